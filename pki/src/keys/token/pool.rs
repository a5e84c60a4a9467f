//! One token: found, logged in to once, and its sessions handed out one at a time.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};

use super::{
    PinFault, PinKeeper, PinOutcome, TokenFacts, TokenFault,
    fault::{is_gone, says},
    module::Module,
};
use crate::keys::KeyUri;

/// Which token, and how it may be used.
pub struct TokenSettings {
    /// File of the PKCS#11 module.
    pub module: PathBuf,
    /// Label of the token.
    pub label: String,
    /// Its serial number, where labels are not unique.
    pub serial: Option<String>,
    /// Sessions at work at once; one more keeps the login.
    pub sessions: usize,
    /// How long to wait for a free session, and then for the token's answer.
    pub patience: Duration,
    /// Who knows the PIN.
    pub pins: Arc<dyn PinKeeper>,
}

/// Whether a token can be used, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStanding {
    /// What it said about itself at the last login.
    pub facts: Option<TokenFacts>,
    /// Why it cannot be used.
    pub fault: Option<TokenFault>,
    /// Sessions open now.
    pub open: usize,
    /// Most sessions.
    pub limit: usize,
}

/// A token with its pool of sessions.
pub struct Token {
    settings: TokenSettings,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    link: Link,
    /// Counts logins: sessions and handles of an earlier one are worth nothing.
    epoch: u64,
    idle: Vec<Session>,
    /// Keeps the login: a token logs out with its last session.
    anchor: Option<Session>,
    open: usize,
    connecting: bool,
    facts: Option<TokenFacts>,
}

enum Link {
    Unused,
    Up(Arc<Module>, Slot),
    Down(TokenFault),
}

/// Why a call did not bring an answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The token cannot be used: later.
    Fault(TokenFault),
    /// The module refused this call; why is not certain.
    Unclear(String),
}

/// Why work on a session ended early.
pub(super) enum Stop {
    /// The module said so.
    Said(Error),
    /// The key is not there, or not the one.
    Fault(TokenFault),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl Token {
    /// A token that is not looked for yet.
    pub fn new(settings: TokenSettings) -> Arc<Self> {
        let state = State {
            link: Link::Unused,
            epoch: 0,
            idle: Vec::new(),
            anchor: None,
            open: 0,
            connecting: false,
            facts: None,
        };
        Arc::new(Self { settings, state: Mutex::new(state), freed: Condvar::new() })
    }

    /// Its label as configured.
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    /// Whether a URI may mean this token.
    pub fn is_meant_by(&self, uri: &KeyUri) -> bool {
        let fits = |asked: Option<&str>, ours: Option<&str>| asked.is_none() || ours.is_none() || asked == ours;
        fits(uri.token.as_deref(), Some(&self.settings.label))
            && fits(uri.serial.as_deref(), self.settings.serial.as_deref())
    }

    /// How it is doing.
    pub fn standing(&self) -> TokenStanding {
        let state = self.state();
        let fault = match &state.link {
            Link::Down(fault) => Some(fault.clone()),
            Link::Unused | Link::Up(..) => None,
        };
        TokenStanding { facts: state.facts.clone(), fault, open: state.open, limit: self.settings.sessions.max(1) }
    }

    /// Finds it and logs in, unless that is done already.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn revive(self: &Arc<Self>) -> Result<(), TokenFault> {
        {
            let mut state = self.state();
            match &state.link {
                Link::Up(..) => return Ok(()),
                Link::Down(fault) if state.connecting => return Err(fault.clone()),
                Link::Unused if state.connecting => return Err(TokenFault::Busy),
                Link::Unused | Link::Down(_) => state.connecting = true,
            }
        }
        let token = Arc::clone(self);
        let outcome = on_a_thread(self.settings.patience, move || token.connect());
        outcome.unwrap_or_else(|| {
            let mut state = self.state();
            if state.connecting {
                state.link = Link::Down(TokenFault::Silent);
            }
            Err(TokenFault::Silent)
        })
    }

    /// Asks the token whether it is still there; finds it again if it was away.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn check(self: &Arc<Self>) -> Result<(), TokenFault> {
        self.revive()?;
        self.with(|session, _| {
            session.get_session_info()?;
            Ok(())
        })
        .map_err(|trouble| match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Unclear(said) => self.fell(None, TokenFault::Device(said)),
        })
    }

    /// Runs `work` on a session: once more after a new login if the token was away in between.
    pub(super) fn with<T, F>(self: &Arc<Self>, work: F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: Fn(&Session, u64) -> Result<T, Stop> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let (epoch, error) = match self.once(&work)? {
            (_, Ok(done)) => return Ok(done),
            (_, Err(Stop::Fault(fault))) => return Err(Trouble::Fault(fault)),
            (_, Err(Stop::Said(error))) if !is_gone(&error) => return Err(Trouble::Unclear(says(&error))),
            (epoch, Err(Stop::Said(error))) => (epoch, error),
        };
        self.fell(Some(epoch), TokenFault::Device(says(&error)));
        self.revive().map_err(Trouble::Fault)?;
        match self.once(&work)? {
            (_, Ok(done)) => Ok(done),
            (_, Err(Stop::Fault(fault))) => Err(Trouble::Fault(fault)),
            (_, Err(Stop::Said(error))) if !is_gone(&error) => Err(Trouble::Unclear(says(&error))),
            (epoch, Err(Stop::Said(error))) => {
                Err(Trouble::Fault(self.fell(Some(epoch), TokenFault::Device(says(&error)))))
            }
        }
    }

    fn once<T, F>(self: &Arc<Self>, work: &Arc<F>) -> Result<(u64, Result<T, Stop>), Trouble>
    where
        T: Send + 'static,
        F: Fn(&Session, u64) -> Result<T, Stop> + Send + Sync + 'static,
    {
        let mut lease = self.lease().map_err(Trouble::Fault)?;
        let epoch = lease.epoch;
        let work = Arc::clone(work);
        let answer = on_a_thread(self.settings.patience, move || {
            let outcome = lease.run(|session| work(session, epoch));
            drop(lease);
            outcome
        });
        match answer {
            Some(outcome) => Ok((epoch, outcome)),
            None => Err(Trouble::Fault(self.fell(Some(epoch), TokenFault::Silent))),
        }
    }

    /// A session of one's own, within the bound.
    fn lease(self: &Arc<Self>) -> Result<Lease, TokenFault> {
        let mut state = self.state();
        loop {
            let (module, slot) = match &state.link {
                Link::Up(module, slot) => (Arc::clone(module), *slot),
                Link::Down(fault) => return Err(fault.clone()),
                Link::Unused => {
                    drop(state);
                    self.revive()?;
                    state = self.state();
                    continue;
                }
            };
            let epoch = state.epoch;
            let lease = |session| Lease { token: Arc::clone(self), module, slot, epoch, session, sound: false };
            if let Some(session) = state.idle.pop() {
                return Ok(lease(Some(session)));
            }
            if state.open < self.settings.sessions.max(1) {
                state.open = state.open.saturating_add(1);
                return Ok(lease(None));
            }
            let waited = self.freed.wait_timeout(state, self.settings.patience).unwrap_or_else(PoisonError::into_inner);
            if waited.1.timed_out() {
                return Err(TokenFault::Busy);
            }
            state = waited.0;
        }
    }

    /// Notes that the token failed, unless it is up again since `epoch`.
    pub(super) fn fell(&self, epoch: Option<u64>, fault: TokenFault) -> TokenFault {
        let mut state = self.state();
        if epoch.is_none_or(|epoch| epoch == state.epoch) {
            self.down(&mut state, fault.clone());
        }
        fault
    }

    fn down(&self, state: &mut State, fault: TokenFault) {
        if let Link::Up(module, _) = std::mem::replace(&mut state.link, Link::Down(fault)) {
            let closing = (std::mem::take(&mut state.idle), state.anchor.take());
            state.open = 0;
            // From here on a session that comes back belongs to the past.
            state.epoch = state.epoch.saturating_add(1);
            // Closing may hang with a token that is gone: nobody waits for it. Until it is done the module
            // does not begin anew, or old handles would close new sessions.
            let _ = thread::Builder::new().name("pkcs11".to_owned()).spawn(move || {
                let within = module.enter();
                drop(closing);
                drop(within);
                module.unused();
            });
        }
        self.freed.notify_all();
    }

    fn connect(self: &Arc<Self>) -> Result<(), TokenFault> {
        let outcome = self.log_in();
        let mut state = self.state();
        state.connecting = false;
        let outcome = match outcome {
            Ok((module, slot, session, facts)) => {
                module.used();
                state.link = Link::Up(module, slot);
                state.epoch = state.epoch.saturating_add(1);
                state.anchor = Some(session);
                state.idle = Vec::new();
                state.open = 0;
                state.facts = Some(facts);
                Ok(())
            }
            Err(fault) => {
                state.link = Link::Down(fault.clone());
                Err(fault)
            }
        };
        self.freed.notify_all();
        outcome
    }

    fn log_in(&self) -> Result<(Arc<Module>, Slot, Session, TokenFacts), TokenFault> {
        let module = Module::of(&self.settings.module)?;
        let found = self.find(&module.enter());
        let (slot, facts) = match found {
            Err(TokenFault::Absent(_)) => {
                module.restart()?;
                self.find(&module.enter())?
            }
            found => found?,
        };
        let context = module.enter();
        let failed = |error: Error| TokenFault::Device(says(&error));
        let session = context.open_ro_session(slot).map_err(failed)?;
        let inside = session.get_session_info().map_err(failed)?.session_state();
        let wanted = context.get_token_info(slot).map_err(failed)?.login_required();
        if wanted && !matches!(inside, SessionState::RoUser | SessionState::RwUser) {
            self.enter_pin(&session, &facts)?;
        }
        drop(context);
        Ok((module, slot, session, facts))
    }

    fn find(&self, context: &Pkcs11) -> Result<(Slot, TokenFacts), TokenFault> {
        let failed = |error: Error| TokenFault::Device(says(&error));
        let mut found = Vec::new();
        for slot in context.get_slots_with_initialized_token().map_err(failed)? {
            let facts = facts(&context.get_token_info(slot).map_err(failed)?);
            let serial = self.settings.serial.as_ref().is_none_or(|serial| *serial == facts.serial);
            if facts.label == self.settings.label && serial {
                found.push((slot, facts));
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(TokenFault::Absent(self.settings.label.clone())),
            (Some(_), false) => Err(TokenFault::Ambiguous(self.settings.label.clone())),
        }
    }

    /// One try, announced to the keeper before and reported to it after.
    fn enter_pin(&self, session: &Session, facts: &TokenFacts) -> Result<(), TokenFault> {
        if facts.locked {
            return Err(PinFault::Locked.into());
        }
        if facts.last_try {
            return Err(PinFault::LastTry.into());
        }
        let pins = &self.settings.pins;
        let mut pin = pins.begin(facts)?;
        // The string moves into a box that is wiped when dropped; nothing stays behind.
        let pin = AuthPin::new(std::mem::take(&mut *pin).into_boxed_str());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) => {
                pins.end(facts, PinOutcome::Accepted);
                Ok(())
            }
            // Another user of this process was faster; our PIN was not looked at.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                pins.end(facts, PinOutcome::Unknown);
                Ok(())
            }
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                pins.end(facts, PinOutcome::Refused);
                Err(PinFault::Refused.into())
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => {
                pins.end(facts, PinOutcome::Refused);
                Err(PinFault::Locked.into())
            }
            Err(error) => {
                pins.end(facts, PinOutcome::Unknown);
                Err(TokenFault::Device(says(&error)))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Link::Up(module, _) = &state.link {
            let within = module.enter();
            state.idle.clear();
            state.anchor = None;
            drop(within);
            module.unused();
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?})", self.settings.label)
    }
}

/// A session in use. It goes back to the pool only if its last call was answered well: after an error
/// nobody knows whether an operation is still open in it.
struct Lease {
    token: Arc<Token>,
    module: Arc<Module>,
    slot: Slot,
    epoch: u64,
    session: Option<Session>,
    sound: bool,
}

impl Lease {
    fn run<T>(&mut self, work: impl FnOnce(&Session) -> Result<T, Stop>) -> Result<T, Stop> {
        let context = self.module.enter();
        if self.session.is_none() {
            self.session = Some(context.open_ro_session(self.slot)?);
        }
        let outcome = match &self.session {
            Some(session) => work(session),
            None => Err(Stop::Fault(TokenFault::Busy)),
        };
        self.sound = outcome.is_ok();
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let session = self.session.take();
        let mut state = self.token.state();
        let current = state.epoch == self.epoch;
        match session {
            Some(session) if current && self.sound => state.idle.push(session),
            session => {
                if current {
                    state.open = state.open.saturating_sub(1);
                }
                drop(state);
                let within = self.module.enter();
                drop(session);
                drop(within);
            }
        }
        self.token.freed.notify_one();
    }
}

fn facts(info: &TokenInfo) -> TokenFacts {
    TokenFacts {
        label: info.label().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
        serial: info.serial_number().to_owned(),
        wrong_before: info.user_pin_count_low(),
        last_try: info.user_pin_final_try(),
        locked: info.user_pin_locked(),
    }
}

/// Runs `work` on a thread of its own and waits `patience` for it; `None` when it does not come back.
fn on_a_thread<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().name("pkcs11".to_owned()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = answer.send(work());
    });
    spawned.ok().and_then(|_| answered.recv_timeout(patience).ok())
}
