//! Drives one client session: bytes between a socket and the `smtp` client machine, with the
//! deadline of each stage. Whom we speak to is judged by the caller.

use std::{io, net::SocketAddr, time::Duration};

use smtp::{Client, ClientClosed, ClientEvent, ClientOptions, Envelope, RecipientOutcome};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};

use crate::net::{
    tls::{TlsFacts, TlsIdentity},
    wire::Wire,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);
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
    /// Called once, right after the handshake.
    fn judge(&mut self, facts: &TlsFacts) -> Result<(), String>;
}

/// A peer on this machine or on the inside that is spoken to without TLS.
pub(super) struct Inside;

impl Judge for Inside {
    fn judge(&mut self, _facts: &TlsFacts) -> Result<(), String> {
        Ok(())
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

/// Carries one message over a fresh connection and reports one outcome for each recipient.
///
/// # Errors
/// See [`TalkError`]: nothing was handed over.
pub(super) async fn carry<J: Judge>(
    line: Line<'_>,
    judge: &mut J,
    envelope: Envelope,
    body: &[u8],
) -> Result<Carried, TalkError> {
    let connect = timeout(CONNECT, TcpStream::connect(line.address)).await;
    let stream = connect
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
        .flatten()
        .map_err(|error| TalkError::Connect(line.address, error))?;
    let _ = stream.set_nodelay(true);
    let mut talk = Talk { wire: Some(Wire::Plain(stream)), client: Client::new(line.options.clone()), rejected: None };
    let mut outcomes = None;
    let mut envelope = Some(envelope);
    let mut rest: Option<&[u8]> = None;
    loop {
        while let Some(event) = talk.client.poll() {
            match event {
                ClientEvent::StartTls => talk.start_tls(&line, judge).await,
                ClientEvent::Ready => match envelope.take() {
                    Some(envelope) => {
                        // Only "not ready" and "no recipients" are errors here, and neither can be.
                        let _ = talk.client.send(envelope);
                    }
                    None => talk.client.quit(),
                },
                ClientEvent::SendBody => rest = Some(body),
                ClientEvent::Done(done) => {
                    rest = None;
                    outcomes = Some(Carried { outcomes: done, peer_reports: talk.client.capabilities().dsn });
                    talk.client.quit();
                }
                ClientEvent::Closed(closed) => return talk.close(outcomes, closed),
            }
        }
        if let Some(remaining) = rest {
            rest = talk.give(remaining);
        }
        talk.exchange(rest.is_some()).await;
    }
}

struct Talk {
    wire: Option<Wire>,
    client: Client,
    rejected: Option<String>,
}

impl Talk {
    async fn start_tls<J: Judge>(&mut self, line: &Line<'_>, judge: &mut J) {
        let Some(wire) = self.wire.take() else {
            return self.client.tls_failed();
        };
        match wire.connect_tls(line.identity, line.host).await {
            Ok((wire, facts)) => {
                self.wire = Some(wire);
                match judge.judge(&facts) {
                    Ok(()) => self.client.tls_started(),
                    Err(reason) => {
                        self.rejected = Some(reason);
                        self.client.tls_failed();
                    }
                }
            }
            Err(error) => {
                self.rejected = Some(error.to_string());
                self.client.tls_failed();
            }
        }
    }

    /// Gives the client as much body as it takes; the rest waits for room.
    fn give<'b>(&mut self, body: &'b [u8]) -> Option<&'b [u8]> {
        match self.client.send_body(body) {
            Ok(taken) => match body.get(taken..) {
                Some(rest) if !rest.is_empty() => Some(rest),
                _ => {
                    // A fault closes the session; the event says so.
                    let _ = self.client.finish_body();
                    None
                }
            },
            Err(_) => None,
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

    fn close(self, outcomes: Option<Carried>, closed: ClientClosed) -> Result<Carried, TalkError> {
        match (outcomes, self.rejected, closed) {
            (Some(outcomes), _, _) => Ok(outcomes),
            (None, Some(reason), _) => Err(TalkError::Peer(reason)),
            (None, None, ClientClosed::Failed(refusal)) => Err(TalkError::Session(refusal)),
            (None, None, ClientClosed::Quit) => Ok(Carried { outcomes: Vec::new(), peer_reports: false }),
        }
    }
}
