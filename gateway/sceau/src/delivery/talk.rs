//! Drives one client session: bytes between a socket and the `smtp` client machine, with the
//! deadline of each stage. Whom we speak to is judged by the caller.

use std::{io, net::SocketAddr, time::Duration};

use ident::Fingerprint;
use pki::certificate::Certificate;
use smtp::{
    Capabilities, Cause, Client, ClientClosed, ClientEvent, ClientOptions, Envelope, Outcome, RecipientOutcome, Stage,
};
use thiserror::Error;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::feed::Feed;
use crate::{
    net::{
        tls::{TlsFacts, TlsIdentity},
        wire::Wire,
    },
    queued::Load,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// Time given to the last words of a session.
const GOODBYE: Duration = Duration::from_secs(5);
/// Octets read at once.
const CHUNK: usize = 4096;

/// Why a session ended before every recipient had an answer.
#[derive(Debug, Error)]
pub(super) enum TalkError {
    /// No connection.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    /// The session failed.
    #[error("{0}")]
    Session(smtp::Refusal),
    /// TLS came up, but the peer may not have our mail.
    #[error("{0}")]
    Peer(String),
}

/// Whether a peer may have our mail, by what TLS showed; the sentence says why not.
pub(super) trait Judge: Send {
    /// Called right after the handshake, and again for each message that a kept session is to carry:
    /// a session outlives neither a revocation nor the end of trust.
    fn judge(&mut self, facts: &TlsFacts) -> Result<(), String>;
}

/// A peer on this machine or on the inside: the one whose certificate is pinned, or whoever answers.
pub(super) struct Inside(pub(super) Option<Fingerprint>);

impl Judge for Inside {
    fn judge(&mut self, facts: &TlsFacts) -> Result<(), String> {
        let shown = facts.peer.first().map(Certificate::fingerprint);
        match (self.0, shown) {
            (None, _) => Ok(()),
            (Some(pinned), Some(shown)) if pinned == shown => Ok(()),
            _ => Err("the inner server does not show the certificate that the configuration names".to_owned()),
        }
    }
}

/// How to reach a peer.
pub(super) struct Line<'a> {
    /// Address and port.
    pub address: SocketAddr,
    /// Name to say in TLS.
    pub host: &'a str,
    /// Our TLS identity.
    pub identity: &'a TlsIdentity,
    /// Protocol, TLS use and our name.
    pub options: ClientOptions,
}

/// What came of a message that was offered.
pub(super) struct Carried {
    /// One for each recipient.
    pub outcomes: Vec<RecipientOutcome>,
    /// The peer announced DSN and got NOTIFY.
    pub peer_reports: bool,
}

impl Carried {
    /// The session was gone before the peer had been given any of the message: nobody has it, and
    /// another session may take it at once without a risk of a duplicate (RFC 1047).
    pub(super) fn came_too_late(&self) -> bool {
        let gone = |outcome: &RecipientOutcome| match &outcome.outcome {
            Outcome::Temporary(refusal) => {
                let before_body = matches!(refusal.stage, Stage::Idle | Stage::Mail | Stage::Recipient | Stage::Data);
                let session_over = match &refusal.cause {
                    Cause::ConnectionLost | Cause::Unsolicited => true,
                    Cause::Reply(reply) => reply.code() == 421,
                    _ => false,
                };
                before_body && session_over
            }
            _ => false,
        };
        let accepted = |outcome: &RecipientOutcome| matches!(outcome.outcome, Outcome::Accepted(_));
        self.outcomes.iter().any(gone) && !self.outcomes.iter().any(accepted)
    }
}

/// An open session, between two messages or in the middle of one.
pub(super) struct Session {
    wire: Option<Wire>,
    client: Client,
    facts: Option<TlsFacts>,
}

impl Session {
    /// Connects, greets, starts TLS, and has the peer judged.
    ///
    /// # Errors
    /// See [`TalkError`].
    pub(super) async fn open<J: Judge>(line: &Line<'_>, judge: &mut J) -> Result<Self, TalkError> {
        let connect = timeout(CONNECT, TcpStream::connect(line.address)).await;
        let stream = connect
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .flatten()
            .map_err(|error| TalkError::Connect(line.address, error))?;
        let _ = stream.set_nodelay(true);
        let mut session =
            Self { wire: Some(Wire::Plain(stream)), client: Client::new(line.options.clone()), facts: None };
        let mut rejected = None;
        loop {
            while let Some(event) = session.client.poll() {
                match event {
                    ClientEvent::StartTls => rejected = session.start_tls(line, judge).await.err(),
                    ClientEvent::Ready => return Ok(session),
                    ClientEvent::Closed(closed) => return Err(not_opened(rejected, closed)),
                    // There is no message yet.
                    ClientEvent::SendBody | ClientEvent::Done(_) => {}
                }
            }
            session.exchange(false).await;
        }
    }

    /// What TLS showed of the peer; nothing without TLS.
    pub(super) fn facts(&self) -> Option<&TlsFacts> {
        self.facts.as_ref()
    }

    /// What the peer announced.
    pub(super) fn capabilities(&self) -> &Capabilities {
        self.client.capabilities()
    }

    /// As if TLS had shown this.
    #[cfg(test)]
    pub(super) fn show(&mut self, facts: TlsFacts) {
        self.facts = Some(facts);
    }

    /// Whether it can take a message.
    pub(super) fn is_ready(&self) -> bool {
        self.wire.is_some() && self.client.is_ready()
    }

    /// Whether the peer has been silent since the last message: one that said something, or went
    /// away, wants no more.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let ready = self.is_ready();
        let Some(wire) = self.wire.as_mut() else { return false };
        let mut octet = [0];
        tokio::select! {
            biased;
            _ = wire.receive(&mut octet) => false,
            () = std::future::ready(()) => ready,
        }
    }

    /// Carries one message: one outcome for each recipient.
    pub(super) async fn carry(&mut self, envelope: Envelope, body: &Load) -> Carried {
        let mut carried = Carried { outcomes: Vec::new(), peer_reports: self.client.capabilities().dsn };
        if self.client.send(envelope).is_err() {
            // Not ready, or no recipients: callers see to neither.
            return carried;
        }
        let mut feed: Option<Feed> = None;
        let mut done = false;
        loop {
            while let Some(event) = self.client.poll() {
                match event {
                    ClientEvent::SendBody => feed = Some(Feed::of(body)),
                    ClientEvent::Done(outcomes) => {
                        carried.outcomes = outcomes;
                        done = true;
                    }
                    ClientEvent::Closed(_) => return carried,
                    ClientEvent::StartTls | ClientEvent::Ready => {}
                }
            }
            if done {
                return carried;
            }
            if let Some(active) = &mut feed
                && !self.give(active).await
            {
                feed = None;
            }
            self.exchange(feed.is_some()).await;
        }
    }

    /// Says QUIT and waits a little for the peer's last word.
    pub(super) async fn quit(mut self) {
        let goodbye = async {
            self.client.quit();
            while self.client.poll().is_some() || !self.client.is_closed() {
                self.exchange(false).await;
            }
            if let Some(wire) = self.wire.as_mut() {
                // Without close_notify a peer cannot tell an end from a cut.
                let _ = wire.shutdown().await;
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }

    /// The reason, if the peer may not have our mail.
    async fn start_tls<J: Judge>(&mut self, line: &Line<'_>, judge: &mut J) -> Result<(), String> {
        let outcome = match self.wire.take() {
            Some(wire) => wire.connect_tls(line.identity, line.host).await.map_err(|error| error.to_string()),
            None => Err("the connection is gone".to_owned()),
        };
        let outcome = outcome.and_then(|(wire, facts)| {
            self.wire = Some(wire);
            judge.judge(&facts)?;
            self.facts = Some(facts);
            Ok(())
        });
        match &outcome {
            Ok(()) => self.client.tls_started(),
            Err(_) => self.client.tls_failed(),
        }
        outcome
    }

    /// Gives the client as much body as it takes; whether there is more, which waits for room.
    async fn give(&mut self, feed: &mut Feed) -> bool {
        let octets = match feed.next().await {
            Ok(octets) => octets,
            Err(error) => {
                // Half a message must not look like a whole one: the session ends in the middle of it.
                tracing::error!(%error, "a message on its way could not be read to its end");
                self.wire = None;
                return false;
            }
        };
        if octets.is_empty() {
            // A fault closes the session; the event says so.
            let _ = self.client.finish_body();
            return false;
        }
        match self.client.send_body(octets) {
            Ok(taken) if feed.took(taken) => {
                let _ = self.client.finish_body();
                false
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }

    /// Sends what is to be sent; then waits for the peer, unless more body is to be given.
    async fn exchange(&mut self, more: bool) {
        let Some(wire) = self.wire.as_mut() else {
            return self.client.connection_lost();
        };
        let limit = self.client.waits_for().map_or(CONNECT, smtp::Wait::limit);
        loop {
            let output = self.client.take_output();
            if output.is_empty() {
                break;
            }
            match timeout(limit, wire.send(&output)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return self.client.connection_lost(),
                Err(_) => return self.client.timed_out(),
            }
        }
        if more {
            return;
        }
        let mut buffer = [0; CHUNK];
        let room = self.client.input_capacity().min(CHUNK);
        match timeout(limit, wire.receive(buffer.get_mut(..room).unwrap_or_default())).await {
            Ok(Ok(read)) => match buffer.get(..read) {
                Some(bytes) if !bytes.is_empty() => {
                    // No more was read than it takes.
                    let _ = self.client.receive(bytes);
                }
                _ => self.client.connection_lost(),
            },
            Ok(Err(_)) => self.client.connection_lost(),
            Err(_) => self.client.timed_out(),
        }
    }
}

fn not_opened(rejected: Option<String>, closed: ClientClosed) -> TalkError {
    match (rejected, closed) {
        (Some(reason), _) => TalkError::Peer(reason),
        (None, ClientClosed::Failed(refusal)) => TalkError::Session(refusal),
        (None, ClientClosed::Quit) => TalkError::Peer("the session ended before it began".to_owned()),
    }
}
