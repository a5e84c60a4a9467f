//! One connection: octets between the socket and the session, TLS, deadlines, and searches on threads that may block.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use annuaire::ldap::{Closed, Code, Ending, Found, Rights, Search, Session, Settings, Work, World};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    Face,
    book::BookOf,
    caller::{self, Proof},
    pace::Pace,
    taken::Taken,
};
use crate::{
    allowance::{Allowed, Peer},
    cli::log::ACCESS,
    config::{LdapLimits, LdapListener, TlsStart},
    gateway::Gateway,
    net::{
        crowd::{Busy, Visit},
        octets::Loan,
        places::Room,
        tls::{TlsError, TlsFacts, TlsIdentity},
        wire::Wire,
    },
    snapshot::Snapshot,
};

/// Octets read at once.
const CHUNK: usize = 16 * 1024;
/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for a message that has begun.
const MESSAGE: Duration = Duration::from_secs(10);
/// Time for each part of an answer to be taken.
const TAKEN: Duration = Duration::from_secs(30);
/// Octets of such a part.
const PART: usize = 16 * 1024;
/// Octets of long answers that are held at once for those who have not read them, a quarter of them for one peer.
const MEMORY: usize = 64 * 1024 * 1024;
/// How long a client is waited for that gave up its search: some forget the connection (annuaire §5.1).
const FORSAKEN: Duration = Duration::from_secs(5);
/// Time for last words.
const GOODBYE: Duration = Duration::from_secs(2);
/// Readings of what comes after the end.
const MOST_DRAINED: usize = 16;
/// How long a search may wait for a thread.
const PATIENCE: Duration = Duration::from_secs(10);
/// Binds that may fail in one connection.
const FAILED_BINDS: u8 = 3;
/// Searches that look through words, waiting or under way, in all and of one address: others find a thread soon.
const AT_ONCE: Room = Room { all: 1000, each: 8 };
/// How long a search may take for each entry that it is counted as, besides those that it gives: who asks for what is
/// hard to find has less to ask for.
const AN_ENTRY: Duration = Duration::from_millis(10);
/// How much more those may have who said who they are.
const KNOWN: u32 = 10;

/// What a connection rests on.
pub(super) struct Terms {
    pub(super) gateway: Arc<Gateway>,
    pub(super) face: Arc<Face>,
    pub(super) listener: LdapListener,
    pub(super) limits: LdapLimits,
    pub(super) peer: SocketAddr,
    /// What others see of the connection: who rests longest makes room.
    pub(super) visit: Arc<Visit>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Why a connection ended, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("{0:?}")]
    Session(Closed),
    #[error("closed by the peer")]
    Peer,
    #[error("timed out")]
    Timeout,
    #[error("made room for others")]
    MadeRoom,
    #[error("no TLS identity for this port")]
    NoIdentity,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("connection lost: {0}")]
    Socket(#[from] io::Error),
}

/// Runs a connection to its end.
pub(super) async fn run(terms: Terms, stream: TcpStream) -> End {
    let _ = stream.set_nodelay(true);
    let snapshot = terms.gateway.snapshot();
    let session = Session::new(Arc::new(settings(&terms, &snapshot)), terms.listener.tls == TlsStart::Implicit);
    let anonymous = snapshot.config.ldap.anonymous;
    let started = Instant::now();
    let until = started.checked_add(terms.limits.session.0).unwrap_or(started);
    drop(snapshot);
    let pace = Pace::new(&terms.limits, started);
    let mut connection = Connection {
        terms,
        session,
        wire: None,
        tls: None,
        until,
        failed: 0,
        known: None,
        anonymous,
        running: None,
        message_since: None,
        seen: 0,
        pace,
        busy: None,
        held: None,
    };
    let wire = Wire::Plain(stream);
    let wire = match connection.terms.listener.tls {
        TlsStart::Implicit => match connection.handshake(wire).await {
            Ok(wire) => wire,
            Err(end) => return end,
        },
        TlsStart::Starttls => wire,
    };
    connection.wire = Some(wire);
    let end = match connection.serve().await {
        Ok(end) | Err(end) => end,
    };
    connection.leave().await;
    end
}

fn settings(terms: &Terms, snapshot: &Snapshot) -> Settings {
    let config = &snapshot.config;
    let entries = config.ldap.limits.entries;
    Settings {
        base: config.ldap.base.clone(),
        organisation: config.operator.name.clone(),
        help: config.operator.help.clone(),
        anonymous: config.ldap.anonymous.then_some(Rights { entries, paged: Some(entries) }),
        starttls: terms.listener.tls == TlsStart::Starttls,
        external: terms.listener.certificates,
        pages: terms.face.pages.clone(),
    }
}

struct Connection {
    terms: Terms,
    session: Session,
    /// Always there but during a handshake.
    wire: Option<Wire>,
    tls: Option<TlsFacts>,
    until: Instant,
    failed: u8,
    /// What it rests on that somebody said who they are, and the world in which it was judged.
    known: Option<(Proof, Weak<Snapshot>)>,
    /// Whether nobody had to say so when the connection began.
    anonymous: bool,
    running: Option<JoinHandle<Option<Found>>>,
    message_since: Option<Instant>,
    /// Messages that there were when that was looked at.
    seen: u64,
    pace: Pace,
    /// As long as something is worked on or said.
    busy: Option<Busy>,
    /// The memory that the answer takes which is being sent.
    held: Option<Loan>,
}

/// What there was to wait for.
enum Event {
    Octets(usize),
    Found(Option<Found>),
    Late,
    /// More may be read again.
    Rested,
    MakeRoom,
    Stopping,
}

impl Connection {
    async fn handshake(&mut self, wire: Wire) -> Result<Wire, End> {
        let snapshot = self.terms.gateway.snapshot();
        let identity: Option<TlsIdentity> = match self.terms.listener.certificates {
            true => Some(snapshot.tls.clone()),
            false => snapshot.ldap.tls.clone(),
        };
        drop(snapshot);
        let identity = identity.ok_or(End::NoIdentity)?;
        let visit = Arc::clone(&self.terms.visit);
        let (wire, facts) = tokio::select! {
            done = timeout(HANDSHAKE, wire.accept_tls(&identity)) => done.map_err(|_| End::Timeout)??,
            () = visit.has_to_leave() => return Err(End::MadeRoom),
        };
        self.tls = Some(facts);
        Ok(wire)
    }

    async fn serve(&mut self) -> Result<End, End> {
        // What is read may be a password.
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        loop {
            // Much is answered without any work of ours: what is to be sent is known only when the session was asked.
            let work = self.session.poll();
            if work.is_some() || self.session.is_busy() {
                let visit = &self.terms.visit;
                self.busy.get_or_insert_with(|| visit.busy());
            }
            self.send().await?;
            if let Some(closed) = self.session.closed() {
                return Ok(End::Session(closed));
            }
            if let Some(work) = work {
                self.work(work).await?;
                continue;
            }
            if !self.session.is_busy() {
                self.busy = None;
            }
            self.note_progress();
            match self.wait(&mut buffer).await? {
                Event::Octets(0) => return Ok(End::Peer),
                Event::Octets(count) => {
                    let octets = buffer.get_mut(..count).unwrap_or_default();
                    self.session.receive(octets);
                    octets.zeroize();
                }
                Event::Rested => {}
                Event::MakeRoom => {
                    self.session.disconnect(Code::Busy, "others wait for this place: connect again");
                    self.send().await?;
                    return Ok(End::MadeRoom);
                }
                Event::Found(found) => self.found(found),
                Event::Late => {
                    self.session.disconnect(Code::TimeLimitExceeded, "nothing was asked for too long: connect again");
                    self.send().await?;
                    return Ok(End::Timeout);
                }
                Event::Stopping => self.session.disconnect(Code::Unavailable, "the service stops: connect again later"),
            }
        }
    }

    /// A message that has begun has its time; every one that was read gives the next its own.
    fn note_progress(&mut self) {
        let read = self.session.messages();
        self.message_since = match self.session.is_inside_message() {
            false => None,
            true if read == self.seen => self.message_since.or_else(|| Some(Instant::now())),
            true => Some(Instant::now()),
        };
        self.seen = read;
    }

    async fn wait(&mut self, buffer: &mut [u8]) -> Result<Event, End> {
        let (deadline, rest) = (self.deadline(), self.pace.rests_until(Instant::now(), self.session.messages()));
        let wire = self.wire.as_mut().ok_or(End::Peer)?;
        let reads = self.session.wants_input() && rest.is_none();
        let rested = rest.filter(|rest| *rest < deadline);
        let found = async {
            match self.running.as_mut() {
                Some(running) => running.await.ok().flatten(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = wire.receive(buffer), if reads => Ok(Event::Octets(read?)),
            found = found => Ok(Event::Found(found)),
            () = tokio::time::sleep_until(rested.unwrap_or(deadline)) => {
                Ok(if rested.is_some() { Event::Rested } else { Event::Late })
            }
            () = self.terms.visit.has_to_leave() => Ok(Event::MakeRoom),
            _ = self.terms.stopping.wait_for(|stopping| *stopping) => Ok(Event::Stopping),
        }
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let after = |span: Duration| now.checked_add(span).unwrap_or(now);
        let next = match self.message_since {
            // A search has its own end.
            _ if self.session.is_busy() => self.until,
            Some(since) => since.checked_add(MESSAGE).unwrap_or(since),
            None if self.session.is_forsaken() => after(FORSAKEN),
            None => after(self.terms.limits.idle.0),
        };
        next.min(self.until)
    }

    async fn send(&mut self) -> Result<(), End> {
        let octets = self.session.take_output();
        if octets.is_empty() {
            return Ok(());
        }
        let wire = self.wire.as_mut().ok_or(End::Peer)?;
        for part in octets.chunks(PART) {
            timeout(TAKEN, wire.send(part)).await.map_err(|_| End::Timeout)??;
        }
        self.held = None;
        Ok(())
    }

    async fn work(&mut self, work: Work) -> Result<(), End> {
        match work {
            Work::StartTls => {
                self.send().await?;
                let wire = self.wire.take().ok_or(End::Peer)?;
                let wire = self.handshake(wire).await?;
                self.wire = Some(wire);
                self.session.tls_started();
            }
            Work::Bind(bind) => {
                let (gateway, face) = (Arc::clone(&self.terms.gateway), Arc::clone(&self.terms.face));
                let judged = caller::judge(&gateway, &face, self.terms.peer.ip(), self.tls.as_ref(), bind).await;
                let refused = judged.is_err();
                self.known =
                    judged.as_ref().ok().map(|caller| (caller.proof.clone(), Arc::downgrade(&gateway.snapshot())));
                self.session.bound(judged.map(|caller| (caller.name, caller.rights)));
                if refused {
                    self.failed = self.failed.saturating_add(1);
                    if self.failed >= FAILED_BINDS {
                        self.send().await?;
                        self.session.disconnect(Code::UnwillingToPerform, "too many attempts: connect again");
                    }
                }
            }
            Work::Search(search) => {
                let snapshot = self.terms.gateway.snapshot();
                match self.is_still_who_it_was(&snapshot).await {
                    true => self.search(*search, snapshot),
                    false => {
                        let text = "what you may do here has changed: connect again";
                        self.session.disconnect(Code::Unavailable, text);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether what was said at the beginning would be taken now as well, where the world has changed since.
    async fn is_still_who_it_was(&mut self, snapshot: &Arc<Snapshot>) -> bool {
        if self.session.who().is_none() {
            return snapshot.config.ldap.anonymous || !self.anonymous;
        }
        let Some((proof, judged)) = self.known.as_mut() else { return false };
        let now = Arc::downgrade(snapshot);
        if judged.ptr_eq(&now) {
            return true;
        }
        *judged = now;
        proof.still_holds(&self.terms.gateway, self.tls.as_ref()).await
    }

    /// Who asks, and what they may have in a minute and an hour: those who said who they are, ten times as much.
    fn asker(&self) -> (Peer, Allowed) {
        let limits = &self.terms.limits;
        let (peer, more) = match self.proof() {
            Some(proof) => (proof.peer(), KNOWN),
            None => (Peer::at(self.terms.peer.ip()), 1),
        };
        let allowed = Allowed {
            requests_per_minute: limits.searches.saturating_mul(more),
            answers_per_hour: limits.entries_an_hour.saturating_mul(more),
        };
        (peer, allowed)
    }

    /// Whether whoever asks may have the whole directory.
    fn may_copy(&self) -> bool {
        matches!(self.proof(), Some(Proof::Account(known)) if known.whole)
    }

    /// How whoever asks proved who they are. A later bind without a name takes that back.
    fn proof(&self) -> Option<&Proof> {
        self.session.who()?;
        self.known.as_ref().map(|(proof, _)| proof)
    }

    fn search(&mut self, search: Search, snapshot: Arc<Snapshot>) {
        let gateway = Arc::clone(&self.terms.gateway);
        // Who leaves its share unread is not worked for.
        if !self.terms.face.octets.any_left(self.terms.peer.ip(), MEMORY) {
            return self.unread();
        }
        let most = if self.may_copy() { 0 } else { search.most_entries() };
        let taken = match search.is_about_the_server() {
            true => Ok(None),
            false => Taken::take(&gateway, &self.terms.face, self.asker(), most).map(Some),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(seconds) => {
                tracing::info!(peer = %self.terms.peer, who = self.session.who(), "LDAP: too many searches");
                let text = format!("too much was asked from here: come back in {seconds} seconds");
                return self.session.refused(&Ending::new(Code::Busy, text));
            }
        };
        if snapshot.generation_to_show().is_none() {
            let text = "there is no directory at the moment: try again later";
            return self.session.refused(&Ending::new(Code::Unavailable, text));
        }
        let asked = Asked {
            peer: self.terms.peer,
            who: self.session.who().map(str::to_owned),
            charged: taken.filter(|_| !self.may_copy()),
            face: Arc::clone(&self.terms.face),
            longest: self.terms.limits.search.0,
            gateway,
            snapshot,
        };
        if search.is_exact() {
            // Microseconds: a thread of its own would take longer to wake.
            let found = asked.answer(&search);
            return self.found(found);
        }
        let Some(turn) = self.terms.face.searching.enter(self.terms.peer.ip(), AT_ONCE) else {
            return self.found(None);
        };
        self.running = Some(tokio::spawn(async move {
            let _turn = turn;
            let face = Arc::clone(&asked.face);
            let permit = timeout_at(Instant::now().checked_add(PATIENCE)?, face.searches.acquire()).await.ok()?.ok()?;
            let found = tokio::task::spawn_blocking(move || asked.answer(&search)).await.ok().flatten();
            drop(permit);
            found
        }));
    }

    fn found(&mut self, found: Option<Found>) {
        self.running = None;
        match found {
            Some(found) => match self.terms.face.octets.take(self.terms.peer.ip(), found.size(), MEMORY) {
                Some(held) => {
                    self.held = Some(held);
                    self.session.found(found);
                }
                None => self.unread(),
            },
            None => {
                let text = "too many searches are waiting: try again in a moment";
                self.session.refused(&Ending::new(Code::Busy, text));
            }
        }
    }

    fn unread(&mut self) {
        let text = "too much of what was answered here is not read yet: try again in a moment";
        self.session.refused(&Ending::new(Code::Busy, text));
    }

    /// Says what is left to say, and closes as TLS wants it. What the other side still sends is read away, for a while:
    /// else the system would take our last words back with the connection.
    async fn leave(&mut self) {
        let goodbye = async {
            let octets = self.session.take_output();
            if let Some(wire) = self.wire.as_mut() {
                let _ = wire.send(&octets).await;
                let _ = wire.shutdown().await;
                drained(wire).await;
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

/// Reads what is still coming, until the other side closes or there was too much of it.
async fn drained(wire: &mut Wire) {
    let socket = match wire {
        Wire::Plain(socket) => socket,
        Wire::Tls(stream) => stream.get_mut(),
    };
    let mut buffer = vec![0; CHUNK];
    for _ in 0..MOST_DRAINED {
        if !socket.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            return;
        }
    }
}

/// A search with everything that answering it takes.
struct Asked {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    face: Arc<Face>,
    /// How long it may take.
    longest: Duration,
    peer: SocketAddr,
    who: Option<String>,
    /// Whose allowance what is shown is taken from; nobody's, of those who may copy the directory.
    charged: Option<Taken>,
}

impl Asked {
    /// Answers, counts, and writes down who asked what: the log of access.
    fn answer(mut self, search: &Search) -> Option<Found> {
        let snapshot = Arc::clone(&self.snapshot);
        let generation = snapshot.generation.as_deref()?;
        let started = Instant::now();
        let most = match search.time_limit() {
            0 => self.longest,
            seconds => Duration::from_secs(u64::from(seconds)).min(self.longest),
        };
        let book = BookOf { snapshot: &self.snapshot, verdicts: &self.face.verdicts, at: self.gateway.now() };
        let world = World { generation, registry: Some(&self.snapshot.registry), certificates: &book };
        let found = search.run(world, &|| started.elapsed() >= most);
        if let Some(taken) = self.charged.take() {
            let spent = started.elapsed().as_millis().checked_div(AN_ENTRY.as_millis()).unwrap_or(0);
            let counted = found.entries.saturating_add(usize::try_from(spent).unwrap_or(usize::MAX));
            taken.shown(counted);
        }
        tracing::info!(
            target: ACCESS,
            peer = %self.peer,
            who = self.who,
            search = %self.gateway.masker.text(&search.shown()),
            entries = found.entries,
            code = ?found.ending.code,
            generation = generation.id(),
            micros = started.elapsed().as_micros(),
            "LDAP search"
        );
        Some(found)
    }
}

#[cfg(test)]
mod tests;
