//! The client's side of a session: relay to operators, delivery to the inner mail store.

mod outcome;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::VecDeque;

use thiserror::Error;

pub use self::outcome::{Cause, ClientClosed, Extension, Outcome, RecipientOutcome, Refusal, Stage};
use self::transaction::{Expected, Transaction};
use crate::{BodyFault, Capabilities, Envelope, Protocol, Reply, ReplyReader, Wait, buffer::Buffer};

/// Most unread octets from the peer; one reply has its own bound.
const INPUT_BOUND: usize = 4 * 1024;
/// Most unsent output while a body is sent.
const BODY_OUTPUT: usize = 64 * 1024;
/// Most commands in flight, and so in the output: their replies fit the peer's send buffer, so that
/// neither side waits for the other for ever (RFC 2920 §3.1).
const WINDOW: usize = 50;

/// When a client uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsUse {
    /// STARTTLS or nothing (TL4, TL5).
    Required,
    /// STARTTLS if it is announced; a handshake that fails is then a failure, not a reason to go on
    /// in clear.
    IfOffered,
    /// The connection is inside TLS already.
    Implicit,
    /// In clear: an inner mail store on the same machine.
    Never,
}

/// How a client behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Our name in EHLO or LHLO.
    pub hostname: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// When to use TLS.
    pub tls: TlsUse,
    /// Use PIPELINING where it is announced.
    pub pipelining: bool,
}

impl ClientOptions {
    /// Mandatory TLS, pipelining.
    pub fn new(hostname: impl Into<String>, protocol: Protocol) -> Self {
        Self { hostname: hostname.into(), protocol, tls: TlsUse::Required, pipelining: true }
    }
}

/// What the caller has to do or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The peer is ready for TLS: do the handshake, judge the peer, then call
    /// [`Client::tls_started`] or [`Client::tls_failed`].
    StartTls,
    /// The session is open: [`Client::send`] or [`Client::quit`]. See [`Client::capabilities`].
    Ready,
    /// At least one recipient was accepted: give the body with [`Client::send_body`], end it with
    /// [`Client::finish_body`].
    SendBody,
    /// Every recipient's outcome, in the envelope's order. The session is open for the next
    /// message, unless [`ClientEvent::Closed`] follows.
    Done(Vec<RecipientOutcome>),
    /// Drop the connection; nothing more is to be said.
    Closed(ClientClosed),
}

/// The caller asked for something that cannot be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// Before [`ClientEvent::Ready`], during another message or after the end.
    #[error("the session is not ready for a message")]
    NotReady,
    /// An envelope without recipients.
    #[error("the envelope has no recipients")]
    NoRecipients,
}

#[derive(Debug)]
enum Phase {
    Greeting,
    Hello { extended: bool },
    StartTls,
    Handshake,
    Ready,
    Message(Box<Transaction>),
    Quit,
    Closed,
}

/// One session. It waits for the banner first.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    phase: Phase,
    capabilities: Capabilities,
    tls: bool,
    input: Buffer,
    reader: ReplyReader,
    output: Vec<u8>,
    events: VecDeque<ClientEvent>,
    /// A command that nothing preceded is not sent yet: an answer cannot exist.
    unsent: bool,
    /// Bytes came when no answer could exist.
    unsolicited: bool,
    /// The last message left the peer in the middle of a transaction.
    needs_reset: bool,
}

impl Client {
    /// A session on a fresh connection.
    pub fn new(options: ClientOptions) -> Self {
        let tls = options.tls == TlsUse::Implicit;
        Self {
            options,
            phase: Phase::Greeting,
            capabilities: Capabilities::default(),
            tls,
            input: Buffer::new(INPUT_BOUND),
            reader: ReplyReader::new(),
            output: Vec::new(),
            events: VecDeque::new(),
            unsent: false,
            unsolicited: false,
            needs_reset: false,
        }
    }

    /// How many octets [`Client::receive`] will take.
    pub fn input_capacity(&self) -> usize {
        self.input.capacity()
    }

    /// Takes bytes from the peer, at most [`Client::input_capacity`] of them, and says how many.
    #[must_use = "what was not taken has to be offered again"]
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        match self.phase {
            Phase::Closed => bytes.len(),
            // TL2: in clear, where only the handshake may be.
            Phase::Handshake => {
                self.fail(Cause::InjectedBytes);
                bytes.len()
            }
            _ => {
                self.unsolicited |= self.unsent;
                self.input.push(bytes)
            }
        }
    }

    /// The next thing that happened; `None` when more bytes are needed, or the caller has to act.
    pub fn poll(&mut self) -> Option<ClientEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.input.is_empty() || self.is_closed() || matches!(self.phase, Phase::Handshake) {
                return None;
            }
            self.read_reply();
        }
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.unsent = false;
        std::mem::take(&mut self.output)
    }

    /// What the server announced last; all off before EHLO and after HELO.
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the session is inside TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether [`Client::send`] may be called.
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether the session is over.
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Which deadline runs for the peer; `None` when the session is over.
    pub fn waits_for(&self) -> Option<Wait> {
        Some(match self.stage() {
            Stage::Greeting => Wait::Greeting,
            Stage::Hello | Stage::StartTls => Wait::Hello,
            Stage::Handshake => Wait::Handshake,
            Stage::Idle if self.is_closed() => return None,
            Stage::Idle => Wait::Command,
            Stage::Mail => Wait::Mail,
            Stage::Recipient => Wait::Recipient,
            Stage::Data => Wait::DataStart,
            Stage::Body => Wait::DataBlock,
            Stage::Final => Wait::DataEnd,
            Stage::Quit => Wait::Quit,
        })
    }

    // --- what the caller does ---

    /// The handshake is done and the peer is who it should be. Everything learnt in clear is
    /// forgotten (TL3).
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Handshake) {
            self.tls = true;
            self.capabilities = Capabilities::default();
            self.input.clear();
            self.reader = ReplyReader::new();
            self.say_hello(true);
        }
    }

    /// The handshake failed, or the peer is not who it should be. No retry in clear (TL4).
    pub fn tls_failed(&mut self) {
        self.fail(Cause::TlsFailed);
    }

    /// Starts a message.
    ///
    /// # Errors
    /// [`SendError`]; what the peer thinks of it comes as [`ClientEvent::Done`].
    pub fn send(&mut self, envelope: Envelope) -> Result<(), SendError> {
        if !self.is_ready() {
            return Err(SendError::NotReady);
        }
        if envelope.recipients.is_empty() {
            return Err(SendError::NoRecipients);
        }
        let transaction = Transaction::new(envelope, &self.capabilities, self.options.protocol, self.needs_reset);
        if transaction.is_decided() {
            // Nothing was said to the peer, so nothing has to be taken back either.
            self.events.push_back(ClientEvent::Done(transaction.into_outcomes()));
            return Ok(());
        }
        self.needs_reset = false;
        self.phase = Phase::Message(Box::new(transaction));
        self.pump();
        Ok(())
    }

    /// Gives a piece of the body after [`ClientEvent::SendBody`]; says how much was taken. Take
    /// the output and offer the rest again. Look for replies meanwhile: a peer may refuse early,
    /// and once the outcome is known what is still given is dropped.
    ///
    /// # Errors
    /// [`BodyFault`]: the stored message has a stray CR, LF or NUL. It was not and will not be sent
    /// to the end; all its recipients are deferred and the session is closed (SM4).
    pub fn send_body(&mut self, body: &[u8]) -> Result<usize, BodyFault> {
        let Phase::Message(transaction) = &mut self.phase else { return Ok(body.len()) };
        let Some(writer) = transaction.writer() else { return Ok(body.len()) };
        // A body of dots and line ends grows by a third.
        let room = BODY_OUTPUT.saturating_sub(self.output.len());
        let piece = body.get(..room.saturating_sub(room / 4)).unwrap_or(body);
        if let Err(fault) = writer.write(piece, &mut self.output) {
            self.fail(Cause::Body(fault));
            return Err(fault);
        }
        Ok(piece.len())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`BodyFault::Unterminated`], with the same consequences as in [`Client::send_body`].
    pub fn finish_body(&mut self) -> Result<(), BodyFault> {
        let Phase::Message(transaction) = &mut self.phase else { return Ok(()) };
        let finished = transaction.finish_body(&mut self.output);
        if let Err(fault) = finished {
            self.fail(Cause::Body(fault));
        }
        finished
    }

    /// Says QUIT when the session is ready; otherwise abandons it without a word.
    pub fn quit(&mut self) {
        if self.is_ready() {
            self.phase = Phase::Quit;
            self.before_first_command();
            self.output.extend_from_slice(b"QUIT\r\n");
        } else {
            self.fail(Cause::Abandoned);
        }
    }

    /// The connection broke, or the peer closed it.
    pub fn connection_lost(&mut self) {
        self.fail(Cause::ConnectionLost);
    }

    /// The deadline of [`Client::waits_for`] passed.
    pub fn timed_out(&mut self) {
        self.fail(Cause::TimedOut);
    }

    // --- replies ---

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Greeting => Stage::Greeting,
            Phase::Hello { .. } => Stage::Hello,
            Phase::StartTls => Stage::StartTls,
            Phase::Handshake => Stage::Handshake,
            Phase::Ready | Phase::Closed => Stage::Idle,
            Phase::Message(transaction) => transaction.stage(),
            Phase::Quit => Stage::Quit,
        }
    }

    fn read_reply(&mut self) {
        match self.reader.read(self.input.unread()) {
            Ok((taken, reply)) => {
                self.input.consume(taken);
                if let Some(reply) = reply {
                    self.on_reply(reply);
                }
            }
            Err(fault) => self.fail(Cause::BadReply(fault)),
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        if reply.code() == 421 {
            // RP4: whatever was going on, the peer is going away.
            self.fail(Cause::Reply(reply));
            return;
        }
        if self.unsolicited {
            self.fail(Cause::Unsolicited);
            return;
        }
        match self.phase {
            Phase::Greeting if reply.code() == 220 => self.say_hello(true),
            Phase::Hello { extended } if reply.is_positive() => self.hello_accepted(extended, &reply),
            Phase::Hello { extended: true } if self.may_fall_back(&reply) => self.say_hello(false),
            Phase::StartTls => self.on_starttls(reply),
            Phase::Message(_) => self.on_transaction_reply(reply),
            Phase::Quit => self.close(ClientClosed::Quit),
            Phase::Ready | Phase::Handshake | Phase::Closed => self.fail(Cause::Unsolicited),
            Phase::Greeting | Phase::Hello { .. } if reply.class() == 2 || reply.class() == 3 => {
                self.fail(Cause::Unexpected(reply));
            }
            Phase::Greeting | Phase::Hello { .. } => self.fail(Cause::Reply(reply)),
        }
    }

    /// Before a command that no other command in flight precedes: what has already come cannot
    /// be its answer. A peer, or somebody on the line, answers ahead (TL2).
    fn before_first_command(&mut self) {
        self.unsent = true;
        self.unsolicited |= !self.input.is_empty() || self.reader.is_inside();
    }

    fn say_hello(&mut self, extended: bool) {
        self.before_first_command();
        let verb = match (extended, self.options.protocol) {
            (true, Protocol::Smtp) => "EHLO",
            (false, _) => "HELO",
            (true, Protocol::Lmtp) => "LHLO",
        };
        self.output.extend_from_slice(format!("{verb} {}\r\n", self.options.hostname).as_bytes());
        self.phase = Phase::Hello { extended };
    }

    /// HELO instead of EHLO (RFC 5321 §4.1.1.1): only where the server does not know EHLO, and
    /// never where TLS is wanted or already there, which a server without EHLO cannot have offered.
    fn may_fall_back(&self, reply: &Reply) -> bool {
        self.options.protocol == Protocol::Smtp
            && matches!(self.options.tls, TlsUse::IfOffered | TlsUse::Never)
            && !self.tls
            && matches!(reply.code(), 500 | 501 | 502 | 504)
    }

    fn hello_accepted(&mut self, extended: bool, reply: &Reply) {
        self.capabilities = if extended { Capabilities::read(reply) } else { Capabilities::default() };
        let wants_tls = !self.tls && matches!(self.options.tls, TlsUse::Required | TlsUse::IfOffered);
        if wants_tls && self.capabilities.starttls {
            self.before_first_command();
            self.output.extend_from_slice(b"STARTTLS\r\n");
            self.phase = Phase::StartTls;
        } else if !self.tls && self.options.tls == TlsUse::Required {
            self.phase = Phase::StartTls;
            self.fail(Cause::NoTls(None));
        } else {
            self.phase = Phase::Ready;
            self.events.push_back(ClientEvent::Ready);
        }
    }

    fn on_starttls(&mut self, reply: Reply) {
        if reply.code() == 220 {
            if self.input.is_empty() {
                self.phase = Phase::Handshake;
                self.events.push_back(ClientEvent::StartTls);
            } else {
                self.fail(Cause::InjectedBytes);
            }
        } else if reply.is_temporary() || reply.is_permanent() {
            self.fail(Cause::NoTls(Some(reply)));
        } else {
            self.fail(Cause::Unexpected(reply));
        }
    }

    fn on_transaction_reply(&mut self, reply: Reply) {
        let Phase::Message(transaction) = &mut self.phase else { return };
        match transaction.on_reply(reply) {
            Ok(None) => self.pump(),
            Ok(Some(Expected::Body)) => self.events.push_back(ClientEvent::SendBody),
            Ok(Some(Expected::Nothing)) => self.message_done(),
            Err(cause) => self.fail(cause),
        }
    }

    fn message_done(&mut self) {
        if let Phase::Message(transaction) = std::mem::replace(&mut self.phase, Phase::Ready) {
            self.needs_reset = transaction.leaves_open();
            self.events.push_back(ClientEvent::Done(transaction.into_outcomes()));
        }
    }

    /// Writes as many commands as may be in flight.
    fn pump(&mut self) {
        let ahead = !self.input.is_empty() || self.reader.is_inside();
        if let Phase::Message(transaction) = &mut self.phase {
            let first = transaction.awaits_nothing();
            let window = if self.options.pipelining && self.capabilities.pipelining { WINDOW } else { 1 };
            while transaction.write_next(window, &self.capabilities, &mut self.output) {}
            if first && !transaction.awaits_nothing() {
                self.unsent = true;
                self.unsolicited |= ahead;
            }
        }
    }

    fn fail(&mut self, cause: Cause) {
        if self.is_closed() {
            return;
        }
        if matches!(self.phase, Phase::Quit) {
            // Nothing depends on a 221 any more.
            self.close(ClientClosed::Quit);
            return;
        }
        let refusal = Refusal { stage: self.stage(), cause };
        if let Phase::Message(transaction) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.events.push_back(ClientEvent::Done(transaction.into_failed(&refusal)));
        }
        self.close(ClientClosed::Failed(refusal));
    }

    fn close(&mut self, closed: ClientClosed) {
        self.phase = Phase::Closed;
        self.input.clear();
        // A half-sent body must not be ended by accident, nor half a command be sent.
        self.output.clear();
        self.events.push_back(ClientEvent::Closed(closed));
    }
}
