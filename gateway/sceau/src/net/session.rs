//! Drives one server session: bytes between the socket and the `smtp` state machine, deadlines,
//! STARTTLS, and the message into the sealed spool. What is allowed is asked of a [`Door`].

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use pki::certificate::Certificate;
use smtp::{BodyFault, CloseReason, Event, MailFrom, Protocol, RcptTo, Reply, Server, ServerOptions};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout_at},
};
use trail::QueueId;

use super::{
    tls::{TlsError, TlsFacts, TlsIdentity},
    wire::Wire,
};
use crate::{
    config::{Limits, TlsStart},
    knocks::Knocks,
    refusal::{self, Refusal, RefusalId},
    rest::Spool,
};

/// Octets read at once.
const CHUNK: usize = 32 * 1024;
/// Slowest body that is waited for, in octets per second (RX1).
const SLOWEST: u64 = 500;
/// Time given to the last words of a session.
const GOODBYE: Duration = Duration::from_secs(5);
/// Refusals that a session bears as long as its peer has not proved who it is: each costs us a look at
/// the certificates that it chose to show.
const STRANGE: u8 = 3;
/// Time in which a slow body may still catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address and port.
    pub address: SocketAddr,
    /// What TLS said, once it did.
    pub tls: Option<TlsFacts>,
    /// What it calls itself.
    pub hello: Option<String>,
}

impl Peer {
    /// The certificates shown, leaf first.
    ///
    /// # Errors
    /// [`RefusalId::TlsRequired`] before TLS, [`RefusalId::CertificateRequired`] without a certificate.
    pub fn certificates(&self) -> Result<&[Certificate], Refusal> {
        let tls = self.tls.as_ref().ok_or_else(|| Refusal::new(RefusalId::TlsRequired, "no TLS"))?;
        if tls.peer.is_empty() {
            return Err(Refusal::new(RefusalId::CertificateRequired, "the peer showed no certificate"));
        }
        Ok(&tls.peer)
    }
}

/// What stands behind a port: answers for each step of a transaction.
pub trait Door: Send {
    /// AUTH EXTERNAL: never required, but what it asks for must be true (RFC 4422 appendix A).
    ///
    /// # Errors
    /// The refusal to answer.
    fn authenticate(&mut self, peer: &Peer, identity: Option<&str>)
    -> impl Future<Output = Result<(), Refusal>> + Send;
    /// MAIL. A certificate is judged anew each time.
    fn mail(&mut self, peer: &Peer, mail: &MailFrom) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// RCPT.
    fn recipient(&mut self, peer: &Peer, recipient: &RcptTo) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// End of data: `Ok` only when the message is on stable storage.
    fn message(&mut self, peer: &Peer, message: Spool) -> impl Future<Output = Result<QueueId, Refusal>> + Send;
    /// A refusal that the session itself decided, for the trail.
    fn refused(&mut self, peer: &Peer, refusal: &Refusal);
    /// The transaction is over.
    fn reset(&mut self);
}

/// What every session of a port shares.
#[derive(Clone)]
pub struct Terms {
    /// Name in the greeting.
    pub hostname: String,
    /// Help address in refusals.
    pub help: String,
    /// How TLS begins.
    pub tls_start: TlsStart,
    /// Our TLS identity.
    pub identity: TlsIdentity,
    /// Bounds.
    pub limits: Limits,
    /// Largest message on this port.
    pub max_size: u64,
    /// Folder of the spool.
    pub spool: PathBuf,
    /// Turns true when the gateway stops.
    pub stopping: watch::Receiver<bool>,
}

/// Why a session ended, for the log.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The peer said QUIT or closed between transactions.
    #[error("closed by the peer")]
    Peer,
    /// The state machine closed it.
    #[error("closed: {0:?}")]
    Closed(CloseReason),
    /// Too long.
    #[error("timed out")]
    Timeout,
    /// We are stopping.
    #[error("stopping")]
    Stopping,
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket failed.
    #[error("connection lost: {0}")]
    Socket(#[from] io::Error),
}

/// Runs a session to its end.
pub async fn run<D: Door>(terms: Terms, stream: TcpStream, address: SocketAddr, door: D) -> SessionEnd {
    let _ = stream.set_nodelay(true);
    match Session::start(terms, stream, address, door).await {
        Ok(mut session) => match session.serve().await {
            Ok(end) | Err(end) => end,
        },
        Err(end) => end,
    }
}

struct Session<D> {
    terms: Terms,
    wire: Option<Wire>,
    server: Server,
    peer: Peer,
    door: D,
    since: Instant,
    /// Somebody whom we know: a MAIL or AUTH was accepted.
    known: bool,
    strange: u8,
    body: Option<Body>,
}

/// A message being received.
struct Body {
    spool: Spool,
    since: Instant,
}

impl<D: Door> Session<D> {
    async fn start(terms: Terms, stream: TcpStream, address: SocketAddr, door: D) -> Result<Self, SessionEnd> {
        let since = Instant::now();
        let mut peer = Peer { address, tls: None, hello: None };
        let mut wire = Wire::Plain(stream);
        if terms.tls_start == TlsStart::Implicit {
            let (encrypted, facts) = wire.accept_tls(&terms.identity).await?;
            wire = encrypted;
            peer.tls = Some(facts);
        }
        let mut server = Server::new(options(&terms), peer.tls.is_some());
        // Who speaks before the banner is no mail server (SM6).
        tokio::task::yield_now().await;
        if let Some(early) = wire.early() {
            let _ = server.receive(&early);
        }
        Ok(Self { terms, wire: Some(wire), server, peer, door, since, known: false, strange: 0, body: None })
    }

    async fn serve(&mut self) -> Result<SessionEnd, SessionEnd> {
        let mut buffer = vec![0; CHUNK];
        loop {
            self.advance().await?;
            let room = self.server.input_capacity().min(buffer.len());
            let received = match self.read(buffer.get_mut(..room).unwrap_or_default()).await {
                Ok(received) => received,
                Err(end) => return self.say_goodbye(end).await,
            };
            match buffer.get(..received) {
                Some(bytes) if !bytes.is_empty() => {
                    // No more was read than it takes.
                    let _ = self.server.receive(bytes);
                }
                _ => self.server.peer_closed(),
            }
        }
    }

    /// Handles events and sends replies until the peer has to speak again.
    async fn advance(&mut self) -> Result<(), SessionEnd> {
        loop {
            let mut moved = false;
            while let Some(event) = self.server.poll() {
                self.handle(event).await?;
                moved = true;
            }
            moved |= self.flush().await?;
            if !moved {
                return Ok(());
            }
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SessionEnd> {
        let idle = after(self.terms.limits.idle.0).min(self.deadline());
        let idle = self.body.as_ref().map_or(idle, |body| idle.min(body.slowest_deadline()));
        let between = self.body.is_none();
        let wire = self.wire.as_mut().ok_or(SessionEnd::Peer)?;
        tokio::select! {
            biased;
            read = timeout_at(idle, wire.receive(buffer)) => match read {
                Ok(read) => Ok(read?),
                Err(_) => Err(SessionEnd::Timeout),
            },
            // A message in hand is finished; a peer between messages is sent away.
            _ = self.terms.stopping.wait_for(|stopping| *stopping), if between => Err(SessionEnd::Stopping),
        }
    }

    /// When the session ends whatever happens; for who is not known, soon (RX2).
    fn deadline(&self) -> Instant {
        let limits = &self.terms.limits;
        let life = if self.known { limits.session.0 } else { limits.stranger.0.min(limits.session.0) };
        self.since.checked_add(life).unwrap_or(self.since)
    }

    async fn flush(&mut self) -> Result<bool, SessionEnd> {
        let output = self.server.take_output();
        if output.is_empty() {
            return Ok(false);
        }
        let wire = self.wire.as_mut().ok_or(SessionEnd::Peer)?;
        // A peer that does not read its replies does not hold us (RX8).
        match timeout_at(after(self.terms.limits.idle.0), wire.send(&output)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(SessionEnd::Timeout),
        }
        Ok(true)
    }

    async fn handle(&mut self, event: Event) -> Result<(), SessionEnd> {
        match event {
            Event::Hello { name } => {
                self.peer.hello = Some(name);
                self.end_transaction();
            }
            Event::StartTls => self.start_tls().await?,
            Event::Authenticate { identity } => {
                let outcome = self.door.authenticate(&self.peer, identity.as_deref()).await;
                self.known |= outcome.is_ok();
                self.answer(outcome, Reply::new(235, (2, 7, 0), "The certificate is the identity"));
            }
            Event::Mail(mail) => {
                let outcome = self.door.mail(&self.peer, &mail).await;
                self.known |= outcome.is_ok();
                self.answer(outcome, Reply::new(250, (2, 1, 0), "Sender accepted"));
            }
            Event::Recipient(recipient) => {
                let outcome = self.door.recipient(&self.peer, &recipient).await;
                self.answer(outcome, Reply::new(250, (2, 1, 5), "Recipient accepted"));
            }
            Event::DataRequested => {
                self.body = Some(Body { spool: Spool::new(&self.terms.spool), since: Instant::now() });
                self.server.answer(Reply::send_body());
            }
            Event::Body(chunk) => self.take(&chunk),
            Event::BodyEnd => self.finish().await,
            Event::BodyRefused(fault) => {
                let id = if fault == BodyFault::TooLarge { RefusalId::TooLarge } else { RefusalId::LineEndings };
                self.door.refused(&self.peer, &Refusal::new(id, fault.to_string()));
                self.end_transaction();
            }
            Event::Reset => self.end_transaction(),
            Event::Closed(reason) => {
                self.flush().await?;
                if let Some(wire) = self.wire.as_mut() {
                    // Without close_notify a peer cannot tell an end from a cut.
                    let _ = timeout_at(after(GOODBYE), wire.shutdown()).await;
                }
                return Err(match reason {
                    CloseReason::Quit => SessionEnd::Peer,
                    other => SessionEnd::Closed(other),
                });
            }
        }
        Ok(())
    }

    fn end_transaction(&mut self) {
        self.body = None;
        self.door.reset();
    }

    async fn start_tls(&mut self) -> Result<(), SessionEnd> {
        self.flush().await?;
        let wire = self.wire.take().ok_or(SessionEnd::Peer)?;
        let (encrypted, facts) = wire.accept_tls(&self.terms.identity).await?;
        self.wire = Some(encrypted);
        // Everything said in clear is forgotten (TL3).
        self.peer.tls = Some(facts);
        self.peer.hello = None;
        self.door.reset();
        self.server.tls_started();
        Ok(())
    }

    fn take(&mut self, chunk: &[u8]) {
        let Some(Err(error)) = self.body.as_mut().map(|body| body.spool.write(chunk)) else {
            return;
        };
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let id = if full { RefusalId::StorageFull } else { RefusalId::StorageUnavailable };
        let refusal = Refusal::new(id, format!("spool: {error}"));
        self.door.refused(&self.peer, &refusal);
        self.server.refuse_body(refusal.reply(&self.terms.help));
        self.end_transaction();
    }

    async fn finish(&mut self) {
        let outcome = match self.body.take() {
            Some(body) => self.door.message(&self.peer, body.spool).await,
            None => Err(Refusal::new(RefusalId::StorageUnavailable, "end of data without a body")),
        };
        self.door.reset();
        match outcome {
            Ok(id) => self.server.answer(Reply::new(250, (2, 6, 0), &format!("Accepted as {id}"))),
            Err(refusal) => self.server.answer(refusal.reply(&self.terms.help)),
        }
    }

    fn answer(&mut self, outcome: Result<(), Refusal>, yes: Reply) {
        match outcome {
            Ok(()) => self.server.answer(yes),
            Err(refusal) => {
                self.door.refused(&self.peer, &refusal);
                let reply = refusal.reply(&self.terms.help);
                if !self.known && Knocks::is_not_let_in(refusal.id) {
                    self.strange = self.strange.saturating_add(1);
                }
                if self.strange > STRANGE {
                    self.server.close_with(&reply);
                } else {
                    self.server.answer(reply);
                }
            }
        }
    }

    /// A last line for a peer that is still listening.
    async fn say_goodbye(&mut self, end: SessionEnd) -> Result<SessionEnd, SessionEnd> {
        let id = match &end {
            SessionEnd::Timeout => RefusalId::Timeout,
            SessionEnd::Stopping => RefusalId::ShuttingDown,
            _ => return Err(end),
        };
        let refusal = Refusal::new(id, end.to_string());
        if id == RefusalId::Timeout {
            self.door.refused(&self.peer, &refusal);
        }
        self.server.close_with(&refusal.reply(&self.terms.help));
        let output = self.server.take_output();
        if let Some(wire) = self.wire.as_mut() {
            let _ = timeout_at(after(GOODBYE), wire.send(&output)).await;
        }
        Err(end)
    }
}

impl Body {
    /// When a body that came at the slowest rate allowed would have brought what is here.
    fn slowest_deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.spool.len().div_euclid(SLOWEST));
        self.since.checked_add(PATIENCE.saturating_add(earned)).unwrap_or(self.since)
    }
}

fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or(now)
}

fn options(terms: &Terms) -> ServerOptions {
    ServerOptions {
        max_size: terms.max_size,
        max_recipients: terms.limits.recipients,
        starttls: terms.tls_start == TlsStart::Starttls,
        auth_external: true,
        dsn: true,
        voice: refusal::protocol::voice(&terms.help),
        ..ServerOptions::new(terms.hostname.clone(), Protocol::Smtp)
    }
}
