//! One client's session: messages in, answers out, one thing at a time. Who somebody is, TLS, and searches are work
//! that the caller does.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use zeroize::Zeroizing;

use super::{
    ber::{Reader, Writer, tag},
    message::{self, Asked, Control, HowBound, MANAGE_DSA_IT, Message, MessageFault, SearchAsked, operation},
    page::{PAGED, PageAsked, Pages},
    result::{self, Code, Ending},
    search::{Found, Rights, Search, Wants},
    selection::Selection,
    wiped::Wiped,
};

/// Operations that may wait while one is worked on; what comes beyond is not read yet.
const MAX_WAITING: usize = 32;
/// Octets of them together: a message more may come in beyond it, since it was not known before it was whole.
const MAX_HELD: usize = 128 * 1024;
/// StartTLS (RFC 4511 §4.14).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// "Who am I?" (RFC 4532).
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// Cancel (RFC 3909).
const CANCEL: &str = "1.3.6.1.1.8";
/// Notice of disconnection (RFC 4511 §4.4.1).
const NOTICE: &str = "1.3.6.1.4.1.1466.20036";

/// What all sessions of a server share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the folder that holds everything (`dc=annuaire`).
    pub base: String,
    /// Who runs this server.
    pub organisation: String,
    /// Where a person can be reached, ASCII: said with every refusal.
    pub help: String,
    /// What those may have who do not say who they are; nothing: they may not ask.
    pub anonymous: Option<Rights>,
    /// Whether TLS may begin inside the session.
    pub starttls: bool,
    /// Whether a client's certificate says who it is (SASL EXTERNAL).
    pub external: bool,
    /// Seals the tokens of pages.
    pub pages: Pages,
}

/// Somebody says who he is.
pub enum Bind {
    /// Name and password, under TLS.
    Simple {
        /// The name.
        name: String,
        /// The password.
        password: Zeroizing<Vec<u8>>,
    },
    /// By the certificate of the TLS connection.
    External {
        /// Whom the client wants to be, if it says so.
        wanted: Option<String>,
    },
}

impl std::fmt::Debug for Bind {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Simple { .. } => "Simple",
            Self::External { .. } => "External",
        })
    }
}

/// What the caller does before the session goes on.
#[derive(Debug)]
pub enum Work {
    /// Judge it, then [`Session::bound`].
    Bind(Bind),
    /// Send what is to be sent, begin TLS, then [`Session::tls_started`].
    StartTls,
    /// Run it, then [`Session::found`]; or [`Session::refused`].
    Search(Box<Search>),
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client said goodbye.
    Unbound,
    /// The client broke the protocol.
    Protocol,
    /// We ended it.
    Ours,
}

/// What is being worked on.
#[derive(Debug)]
enum Doing {
    Bind(u32),
    StartTls,
    Search { id: u32, wants: Wants, abandoned: Arc<AtomicBool>, cancelled_by: Option<u32> },
}

/// A message that waits for its turn.
#[derive(Debug)]
struct Waiting {
    message: Message,
    octets: usize,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    tls: bool,
    who: Option<(String, Rights)>,
    input: Wiped,
    waiting: VecDeque<Waiting>,
    /// Octets of all that waits.
    held: usize,
    /// Messages that were read.
    read: u64,
    doing: Option<Doing>,
    output: Vec<u8>,
    closed: Option<Closed>,
    forsaken: bool,
}

impl Session {
    /// A session that begins, under TLS or not.
    pub fn new(settings: Arc<Settings>, tls: bool) -> Self {
        Self {
            settings,
            tls,
            who: None,
            input: Wiped::default(),
            waiting: VecDeque::new(),
            held: 0,
            read: 0,
            doing: None,
            output: Vec::new(),
            closed: None,
            forsaken: false,
        }
    }

    /// Whether more octets may be given: not while enough is waiting.
    pub fn wants_input(&self) -> bool {
        self.closed.is_none() && self.has_room() && !matches!(self.doing, Some(Doing::StartTls))
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING && self.held < MAX_HELD
    }

    /// Whether a message has begun and not ended: it must not take for ever. What waits for room may be whole.
    pub fn is_inside_message(&self) -> bool {
        self.has_room() && !self.input.is_empty()
    }

    /// How many messages have come so far.
    pub fn messages(&self) -> u64 {
        self.read
    }

    /// Whether the client gave up what it asked and has asked nothing since: some forget the connection then
    /// (annuaire §5.1).
    pub fn is_forsaken(&self) -> bool {
        self.forsaken && self.doing.is_none() && self.waiting.is_empty()
    }

    /// Whether something is being worked on.
    pub fn is_busy(&self) -> bool {
        self.doing.is_some()
    }

    /// Why it is over, if it is: send what is to be sent, then close.
    pub fn closed(&self) -> Option<Closed> {
        self.closed
    }

    /// Who the client has proved to be.
    pub fn who(&self) -> Option<&str> {
        self.who.as_ref().map(|(who, _)| who.as_str())
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Octets from the client, no more than one reading's at once.
    pub fn receive(&mut self, octets: &[u8]) {
        if self.closed.is_some() {
            return;
        }
        self.input.push(octets);
        self.read_messages();
    }

    fn read_messages(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let mut rest = input.octets();
        while self.closed.is_none() && self.has_room() {
            let whole = match message::frame(rest) {
                Ok(Some(whole)) => rest.split_at_checked(whole),
                Ok(None) => None,
                Err(_) => {
                    self.broken();
                    None
                }
            };
            let Some((octets, after)) = whole else { break };
            rest = after;
            self.read = self.read.saturating_add(1);
            match message::read(octets) {
                Ok(message) => self.take(message, octets.len(), rest.is_empty()),
                Err(MessageFault::Operation(id, answer)) => {
                    let text = "this request breaks the protocol; look at its filter";
                    self.answer(id, answer, Code::ProtocolError, text);
                }
                Err(MessageFault::Malformed) => self.broken(),
            }
        }
        // Once for all messages: thousands of small ones would else be moved as often.
        let read = input.octets().len().saturating_sub(rest.len());
        input.forget(read);
        self.input = input;
    }

    fn broken(&mut self) {
        self.disconnect(Code::ProtocolError, "this is no LDAP that can be understood");
        self.closed = Some(Closed::Protocol);
    }

    /// What concerns other messages is done at once, the rest in its turn. `last`: nothing has come behind it yet.
    fn take(&mut self, message: Message, octets: usize, last: bool) {
        self.forsaken = false;
        match message.asked {
            Asked::Unbind => {
                self.give_up();
                self.closed = Some(Closed::Unbound);
            }
            Asked::Abandon(wanted) => {
                self.abandon(wanted, None);
                self.forsaken = true;
            }
            Asked::Extended { ref oid, ref value } if oid == CANCEL => {
                let wanted = value.as_deref().and_then(|value| {
                    let mut outer = Reader::new(value);
                    Reader::new(outer.expect(tag::SEQUENCE).ok()?).number(tag::INTEGER).ok()
                });
                match wanted {
                    None => self.answer(message.id, operation::EXTENDED_ANSWER, Code::ProtocolError, "cancel what?"),
                    Some(wanted) if self.abandon(wanted, Some(message.id)) => {}
                    Some(_) => {
                        let text = "no such operation is under way";
                        self.answer(message.id, operation::EXTENDED_ANSWER, Code::NoSuchOperation, text);
                    }
                }
            }
            // Whatever is said in the clear behind StartTLS may be somebody else's.
            Asked::Extended { ref oid, .. } if oid == START_TLS && !last => self.broken(),
            _ => {
                self.held = self.held.saturating_add(octets);
                self.waiting.push_back(Waiting { message, octets });
            }
        }
    }

    /// Stops a search that is under way or waits; who cancels is answered, who abandons is not.
    fn abandon(&mut self, wanted: u32, by: Option<u32>) -> bool {
        if let Some(Doing::Search { id, abandoned, cancelled_by, .. }) = &mut self.doing
            && *id == wanted
        {
            abandoned.store(true, Ordering::Relaxed);
            *cancelled_by = by.or(*cancelled_by);
            return true;
        }
        let wants = |waiting: &Waiting| match &waiting.message.asked {
            Asked::Search(_) if waiting.message.id == wanted => Some(Wants::Entries),
            Asked::Compare(_) if waiting.message.id == wanted => Some(Wants::Comparison),
            _ => None,
        };
        let found = (0usize..).zip(&self.waiting).find_map(|(at, waiting)| Some((at, wants(waiting)?)));
        let Some((at, wants)) = found else { return false };
        if let Some(gone) = self.waiting.remove(at) {
            self.held = self.held.saturating_sub(gone.octets);
        }
        if let Some(by) = by {
            self.cancelled((wanted, wants), by);
        }
        true
    }

    fn cancelled(&mut self, (search, wants): (u32, Wants), by: u32) {
        self.answer(search, wants.answer(), Code::Canceled, "cancelled");
        self.answer(by, operation::EXTENDED_ANSWER, Code::Success, "");
    }

    /// Whatever is under way is of no use any more.
    fn give_up(&mut self) {
        self.waiting.clear();
        self.held = 0;
        if let Some(Doing::Search { abandoned, .. }) = &self.doing {
            abandoned.store(true, Ordering::Relaxed);
        }
    }

    /// The next work; nothing while something is being worked on or more octets are needed.
    pub fn poll(&mut self) -> Option<Work> {
        while self.doing.is_none() && self.closed.is_none() {
            let Waiting { message, octets } = self.waiting.pop_front()?;
            self.held = self.held.saturating_sub(octets);
            // Room was made: what came meanwhile may be read on.
            self.read_messages();
            if let Some(work) = self.begin(message) {
                return Some(work);
            }
        }
        None
    }

    fn begin(&mut self, message: Message) -> Option<Work> {
        let Message { id, asked, controls } = message;
        let is_search = matches!(asked, Asked::Search(_) | Asked::SearchTooMuch);
        let answer = match &asked {
            Asked::Bind { .. } => operation::BIND_ANSWER,
            Asked::Search(_) | Asked::SearchTooMuch => operation::SEARCH_DONE,
            Asked::Compare(_) => operation::COMPARE_ANSWER,
            Asked::Extended { .. } => operation::EXTENDED_ANSWER,
            Asked::Other(answer) => *answer,
            Asked::Unbind | Asked::Abandon(_) => return None,
        };
        let known = |oid: &str| oid == MANAGE_DSA_IT || is_search && oid == PAGED;
        if let Some(unknown) = controls.iter().find(|control| control.critical && !known(&control.oid)) {
            let oid: String = unknown.oid.chars().filter(char::is_ascii_graphic).take(64).collect();
            let text = format!("critical control {oid} is not available here: leave it out");
            self.answer(id, answer, Code::UnavailableCriticalExtension, &text);
            return None;
        }
        match asked {
            Asked::Bind { version, name, how } => self.bind(id, version, name, how),
            Asked::Search(asked) => self.search(id, *asked, &controls, Wants::Entries),
            Asked::Compare(asked) => self.search(id, *asked, &[], Wants::Comparison),
            Asked::SearchTooMuch => {
                let text = "the filter nests too deep, or has too many or too long parts: make it simpler";
                self.answer(id, answer, Code::AdminLimitExceeded, text);
                None
            }
            Asked::Extended { oid, .. } => self.extended(id, &oid),
            _ => {
                let text =
                    "this directory is read only: data come from the national extract and the operator's registry";
                self.answer(id, answer, Code::UnwillingToPerform, text);
                None
            }
        }
    }

    fn bind(&mut self, id: u32, version: u32, name: String, how: HowBound) -> Option<Work> {
        let refuse = |session: &mut Self, code, text: &str| {
            session.answer(id, operation::BIND_ANSWER, code, text);
            None
        };
        // Whatever the outcome, nobody is who they were (RFC 4513 §4).
        self.who = None;
        if version != 3 {
            return refuse(
                self,
                Code::ProtocolError,
                "only LDAP version 3 is spoken here: say so in your program (Postfix: version = 3)",
            );
        }
        let bind = match how {
            HowBound::Simple(password) if name.is_empty() && password.is_empty() => {
                return match self.settings.anonymous {
                    Some(_) => refuse(self, Code::Success, ""),
                    None => refuse(
                        self,
                        Code::InappropriateAuthentication,
                        "say who you are: bind with a certificate or an account",
                    ),
                };
            }
            // A name without a password proves nothing (RFC 4513 §5.1.2).
            HowBound::Simple(password) if password.is_empty() => {
                return refuse(self, Code::UnwillingToPerform, "a name without a password proves nothing");
            }
            HowBound::Simple(_) if !self.tls => {
                return refuse(self, Code::ConfidentialityRequired, "no password without TLS: use ldaps or StartTLS");
            }
            HowBound::Simple(password) => Bind::Simple { name, password },
            HowBound::Sasl { mechanism, .. }
                if !mechanism.eq_ignore_ascii_case("EXTERNAL") || !self.settings.external =>
            {
                return refuse(self, Code::AuthMethodNotSupported, "this SASL mechanism is not offered here");
            }
            HowBound::Sasl { .. } if !self.tls => {
                return refuse(self, Code::ConfidentialityRequired, "EXTERNAL needs TLS: use ldaps or StartTLS");
            }
            HowBound::Sasl { credentials, .. } => {
                let wanted = credentials.filter(|octets| !octets.is_empty());
                Bind::External { wanted: wanted.map(|octets| String::from_utf8_lossy(&octets).into_owned()) }
            }
            HowBound::Unknown => {
                return refuse(
                    self,
                    Code::AuthMethodNotSupported,
                    "bind with a certificate (SASL EXTERNAL) or an account",
                );
            }
        };
        self.doing = Some(Doing::Bind(id));
        Some(Work::Bind(bind))
    }

    fn search(&mut self, id: u32, asked: SearchAsked, controls: &[Control], wants: Wants) -> Option<Work> {
        let paged = controls.iter().find(|control| control.oid == PAGED);
        let page = paged.map(|control| PageAsked::read(control.value.as_deref()));
        if page == Some(None) {
            self.answer(id, operation::SEARCH_DONE, Code::ProtocolError, "the control for pages is malformed");
            return None;
        }
        let rights = self.who.as_ref().map(|(_, rights)| *rights).or(self.settings.anonymous);
        let abandoned = Arc::new(AtomicBool::new(false));
        let search = Search {
            id,
            selection: Selection::of(&asked),
            asked,
            page: page.flatten(),
            settings: Arc::clone(&self.settings),
            rights: rights.unwrap_or(Rights { entries: 1, paged: Some(1) }),
            who: self.who.as_ref().map(|(who, _)| who.clone()).unwrap_or_default(),
            tls: self.tls,
            wants,
            abandoned: Arc::clone(&abandoned),
        };
        if !search.is_about_the_server() {
            let refusal = match (self.tls, rights) {
                (false, _) => Some((Code::ConfidentialityRequired, "only under TLS: use ldaps or StartTLS")),
                (true, None) => Some((
                    Code::StrongerAuthRequired,
                    "only for those who say who they are: bind with a certificate or an account",
                )),
                (true, Some(_)) => None,
            };
            if let Some((code, text)) = refusal {
                self.answer(id, wants.answer(), code, text);
                return None;
            }
        }
        self.doing = Some(Doing::Search { id, wants, abandoned, cancelled_by: None });
        Some(Work::Search(Box::new(search)))
    }

    fn extended(&mut self, id: u32, oid: &str) -> Option<Work> {
        let answer = operation::EXTENDED_ANSWER;
        match oid {
            START_TLS if self.tls => self.answer(id, answer, Code::UnwillingToPerform, "TLS is there already"),
            START_TLS if !self.settings.starttls => {
                self.answer(id, answer, Code::Unavailable, "use the port for ldaps")
            }
            START_TLS => {
                if !self.input.is_empty() || !self.waiting.is_empty() {
                    self.broken();
                    return None;
                }
                self.extended_answer(id, Some(START_TLS), None);
                self.doing = Some(Doing::StartTls);
                return Some(Work::StartTls);
            }
            WHO_AM_I => {
                let who = self.who.as_ref().map(|(who, _)| format!("u:{who}")).unwrap_or_default();
                self.extended_answer(id, None, Some(who.as_bytes()));
            }
            _ => self.answer(id, answer, Code::ProtocolError, "this extension is not available here"),
        }
        None
    }

    fn extended_answer(&mut self, id: u32, name: Option<&str>, value: Option<&[u8]>) {
        let mut out = Writer::new();
        let content = |inside: &mut Writer| {
            Ending::new(Code::Success, "").put(inside);
            if let Some(name) = name {
                inside.put(0x8a, name.as_bytes());
            }
            if let Some(value) = value {
                inside.put(0x8b, value);
            }
        };
        result::message(&mut out, id, operation::EXTENDED_ANSWER, content, |_| {});
        self.output.extend_from_slice(&out.into_octets());
    }

    fn answer(&mut self, id: u32, operation: u8, code: Code, text: &str) {
        let refused = !matches!(code, Code::Success | Code::Canceled) && !self.settings.help.is_empty();
        let text = if refused { format!("{text}. Aide/help: {}", self.settings.help) } else { text.to_owned() };
        self.output.extend_from_slice(&result::answer(id, operation, &Ending::new(code, text)));
    }

    /// The outcome of [`Work::Bind`]: who it is and what that may have, or why not.
    pub fn bound(&mut self, outcome: Result<(String, Rights), Ending>) {
        let Some(Doing::Bind(id)) = self.doing.take_if(|doing| matches!(doing, Doing::Bind(_))) else { return };
        match outcome {
            Ok(who) => {
                self.who = Some(who);
                self.answer(id, operation::BIND_ANSWER, Code::Success, "");
            }
            Err(Ending { code, text, .. }) => self.answer(id, operation::BIND_ANSWER, code, &text),
        }
    }

    /// TLS has begun: nothing that was said before counts.
    pub fn tls_started(&mut self) {
        if self.doing.take_if(|doing| matches!(doing, Doing::StartTls)).is_some() {
            self.tls = true;
            self.who = None;
        }
    }

    /// What [`Work::Search`] found. Nothing of it is sent when the client gave it up meanwhile.
    pub fn found(&mut self, found: Found) {
        let Some(Doing::Search { id, wants, abandoned, cancelled_by }) =
            self.doing.take_if(|doing| matches!(doing, Doing::Search { .. }))
        else {
            return;
        };
        match cancelled_by {
            Some(by) => self.cancelled((id, wants), by),
            None if abandoned.load(Ordering::Relaxed) || self.closed.is_some() => {}
            None => self.output.extend_from_slice(&found.octets),
        }
    }

    /// [`Work::Search`] is not run.
    pub fn refused(&mut self, ending: &Ending) {
        if let Some(Doing::Search { id, wants, .. }) = self.doing.take_if(|doing| matches!(doing, Doing::Search { .. }))
        {
            self.answer(id, wants.answer(), ending.code, &ending.text);
        }
    }

    /// Says goodbye: no answer to anything, and the last words (RFC 4511 §4.4.1).
    pub fn disconnect(&mut self, code: Code, text: &str) {
        if self.closed.is_some() {
            return;
        }
        self.give_up();
        self.closed = Some(Closed::Ours);
        let mut out = Writer::new();
        let ending = Ending::new(code, format!("{text}. Aide/help: {}", self.settings.help));
        let content = |inside: &mut Writer| {
            ending.put(inside);
            inside.put(0x8a, NOTICE.as_bytes());
        };
        result::message(&mut out, 0, operation::EXTENDED_ANSWER, content, |_| {});
        self.output.extend_from_slice(&out.into_octets());
    }
}

#[cfg(test)]
mod tests;
