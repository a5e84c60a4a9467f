//! The server's side of a session: submission, exchange between operators, LMTP.

mod commands;
mod event;
mod options;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use self::{
    event::{CloseReason, Event},
    options::{Protocol, ServerOptions},
};
use crate::{BodyFault, Command, Complaint, DataReader, Grammar, ProtocolError, Reply, Wait, buffer::Buffer};

/// Longest command line, CR LF included: RFC 5321's 512 and what MAIL and RCPT parameters may add.
pub(crate) const MAX_COMMAND_LINE: usize = 2048;
/// Most unread octets outside a body.
const COMMAND_BUFFER: usize = 4 * 1024;
/// Most unread octets inside a body.
const BODY_BUFFER: usize = 64 * 1024;
/// With more than this unsent, no further command is read (RX8).
const OUTPUT_BOUND: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Authenticate,
    Mail { smtputf8: bool },
    Recipient,
    Data,
    BodyEnd { answers_due: usize },
}

#[derive(Debug)]
struct Body {
    reader: DataReader,
    /// Set once the message is refused: the rest is read only to find its end.
    refusal: Option<Reply>,
}

#[derive(Debug)]
enum State {
    Command,
    AuthResponse,
    Asked(Question),
    Handshake,
    Body(Body),
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Transaction {
    accepted: usize,
    smtputf8: bool,
}

/// One session. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    state: State,
    input: Buffer,
    output: Vec<u8>,
    events: VecDeque<Event>,
    /// The reply to a command after which a client has to wait is not yet sent: whoever sends now
    /// speaks before its turn (SM6).
    peer_must_wait: bool,
    greeted: bool,
    tls: bool,
    authenticated: bool,
    /// `Some(true)` after EHLO or LHLO, `Some(false)` after HELO.
    hello: Option<bool>,
    transaction: Option<Transaction>,
    /// The last MAIL was refused: what a pipelining client sent behind it is no mistake of its own.
    mail_refused: bool,
    errors: u32,
    junk: u32,
    refusals: u32,
}

impl Server {
    /// A session whose banner waits in the output. `tls`: the connection is inside TLS already.
    ///
    /// Bytes received before the first [`Server::take_output`] came before the banner and close
    /// the session (SM6): a caller that wants to catch early talkers waits a moment, looks, and
    /// only then takes the banner.
    pub fn new(options: ServerOptions, tls: bool) -> Self {
        let name = match options.protocol {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        let mut output = Vec::new();
        Reply::bare(220, &format!("{} {name}", options.hostname)).write_to(&mut output);
        Self {
            options,
            state: State::Command,
            input: Buffer::new(BODY_BUFFER),
            output,
            events: VecDeque::new(),
            peer_must_wait: true,
            greeted: false,
            tls,
            authenticated: false,
            hello: None,
            transaction: None,
            mail_refused: false,
            errors: 0,
            junk: 0,
            refusals: 0,
        }
    }

    /// How many octets [`Server::receive`] will take. Read no more than that from the peer; at 0,
    /// do not read.
    pub fn input_capacity(&self) -> usize {
        let bound = match self.state {
            State::Body(_) => BODY_BUFFER,
            _ => COMMAND_BUFFER,
        };
        bound.saturating_sub(self.input.unread().len())
    }

    /// Takes bytes from the peer, at most [`Server::input_capacity`] of them, and says how many.
    #[must_use = "what was not taken has to be offered again"]
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        match self.state {
            State::Closed => return bytes.len(),
            State::Handshake => {
                self.fail(ProtocolError::BehindStartTls);
                return bytes.len();
            }
            _ if self.peer_must_wait => {
                self.fail(ProtocolError::OutOfSync);
                return bytes.len();
            }
            _ => {}
        }
        let fits = bytes.get(..self.input_capacity()).unwrap_or(bytes);
        self.input.push(fits)
    }

    /// The next thing that happened. `None`: more bytes are needed, or an answer, or the output
    /// has to be taken.
    pub fn poll(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.output.len() > OUTPUT_BOUND || !self.step() {
                return None;
            }
        }
    }

    /// What is to be sent. Send all of it before reading on.
    pub fn take_output(&mut self) -> Vec<u8> {
        if !self.output.is_empty() {
            // With a question open, the reply that the client has to wait for is still to come.
            self.peer_must_wait &= matches!(self.state, State::Asked(_));
            self.greeted = true;
        }
        std::mem::take(&mut self.output)
    }

    /// The caller's answer to the event that asked for one. 421 closes the session. An answer
    /// that nobody asked for, or whose code makes no sense there, is our own fault: 421 and close,
    /// so that client and server never disagree about what was accepted.
    pub fn answer(&mut self, reply: Reply) {
        let State::Asked(question) = self.state else {
            if !self.is_closed() {
                self.fail(ProtocolError::Internal);
            }
            return;
        };
        if reply.code() == 421 {
            self.close(&reply, CloseReason::Caller);
            return;
        }
        let sensible = match question {
            Question::Data => reply.code() == 354 || reply.is_temporary() || reply.is_permanent(),
            _ => reply.class() != 3,
        };
        if !sensible {
            self.fail(ProtocolError::Internal);
            return;
        }
        self.state = State::Command;
        reply.write_to(&mut self.output);
        let positive = reply.is_positive();
        match question {
            Question::Authenticate if positive => self.authenticated = true,
            Question::Mail { smtputf8 } if positive => {
                self.transaction = Some(Transaction { accepted: 0, smtputf8 });
            }
            Question::Recipient if positive => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.accepted = transaction.accepted.saturating_add(1);
                }
            }
            Question::Authenticate => self.count_error(),
            Question::Mail { .. } => {
                self.mail_refused = true;
                self.count_refusal();
            }
            Question::Recipient => self.count_refusal(),
            Question::Data if reply.code() == 354 => {
                let reader = DataReader::new(self.options.max_size, self.options.max_line);
                self.state = State::Body(Body { reader, refusal: None });
            }
            Question::Data => self.transaction = None,
            Question::BodyEnd { answers_due } => self.one_final_reply(answers_due, positive),
        }
    }

    /// How many more times [`Server::answer`] is expected; more than 1 only in LMTP.
    pub fn answers_due(&self) -> usize {
        match self.state {
            State::Asked(Question::BodyEnd { answers_due }) => answers_due,
            State::Asked(_) => 1,
            _ => 0,
        }
    }

    /// Inside a body: refuses the message with this reply (disk full, scanner down). The rest of
    /// it is read and dropped, then the reply is given; no [`Event::BodyEnd`] follows.
    pub fn refuse_body(&mut self, reply: Reply) {
        match &mut self.state {
            State::Body(body) if reply.is_temporary() || reply.is_permanent() => {
                body.refusal.get_or_insert(reply);
            }
            State::Closed => {}
            _ => self.fail(ProtocolError::Internal),
        }
    }

    /// The handshake after [`Event::StartTls`] is done. All that was said in clear is forgotten
    /// and EHLO has to be said again (TL3).
    pub fn tls_started(&mut self) {
        if !matches!(self.state, State::Handshake) {
            self.fail(ProtocolError::Internal);
            return;
        }
        self.state = State::Command;
        self.input.clear();
        self.tls = true;
        self.authenticated = false;
        self.hello = None;
        self.transaction = None;
        self.peer_must_wait = false;
    }

    /// Ends the session with this reply: shutting down (421 4.3.2), deadline passed (421 4.4.2),
    /// unwelcome peer (554 5.7.1). Before the banner was taken, the reply takes its place.
    pub fn close_with(&mut self, reply: &Reply) {
        self.close(reply, CloseReason::Caller);
    }

    /// The connection broke or the peer closed it. An unfinished message is void (TL6).
    pub fn peer_closed(&mut self) {
        if !self.is_closed() {
            let in_body = matches!(self.state, State::Body(_));
            self.end(CloseReason::PeerGone { in_body });
        }
    }

    /// Whether the session is over; what is in the output should still be sent.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Between two messages with nothing unread: the moment to shut down politely.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Command) && self.transaction.is_none() && self.input.is_empty()
    }

    /// Which deadline runs for the peer; `None` while the caller has to answer.
    pub const fn waits_for(&self) -> Option<Wait> {
        match self.state {
            State::Command | State::AuthResponse => Some(Wait::Command),
            State::Handshake => Some(Wait::Handshake),
            State::Body(_) => Some(Wait::DataBlock),
            State::Asked(_) | State::Closed => None,
        }
    }

    /// Whether AUTH succeeded since the session or TLS began.
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    // --- reading ---

    /// One command, or one piece of a body. False: nothing can be done now.
    fn step(&mut self) -> bool {
        match self.state {
            State::Command | State::AuthResponse => self.read_line(),
            State::Body(_) => self.read_body(),
            State::Asked(_) | State::Handshake | State::Closed => false,
        }
    }

    fn read_line(&mut self) -> bool {
        let unread = self.input.unread();
        let in_auth = matches!(self.state, State::AuthResponse);
        let Some(end) = unread.iter().take(MAX_COMMAND_LINE).position(|octet| *octet == b'\n') else {
            let too_long = unread.len() >= MAX_COMMAND_LINE;
            if too_long {
                self.fail(if in_auth { ProtocolError::AuthTooLong } else { ProtocolError::LineTooLong });
            }
            return too_long;
        };
        let line = unread.get(..end).unwrap_or_default().to_vec();
        self.input.consume(end.saturating_add(1));
        match line.strip_suffix(b"\r") {
            None => self.fail(bare_line_feed(&line)),
            Some(line) if in_auth => self.auth_response(line),
            Some(line) => match Command::parse(line, &self.grammar()) {
                Ok(command) => self.command(command),
                Err(ProtocolError::Http) => self.fail(ProtocolError::Http),
                Err(error) => self.refuse(error),
            },
        }
        true
    }

    fn grammar(&self) -> Grammar {
        Grammar {
            extended: self.hello == Some(true),
            smtputf8: self.options.smtputf8,
            utf8_transaction: self.transaction.is_some_and(|transaction| transaction.smtputf8),
            dsn: self.options.dsn,
            require_tls: self.options.requiretls && self.tls,
            auth: self.offers_auth(),
            max_size: self.options.max_size,
            postmaster: self.options.postmaster.clone(),
        }
    }

    const fn offers_auth(&self) -> bool {
        self.options.auth_external && self.tls
    }

    fn read_body(&mut self) -> bool {
        let State::Body(body) = &mut self.state else { return false };
        let unread = self.input.unread();
        if unread.is_empty() {
            return false;
        }
        let mut piece = Vec::with_capacity(unread.len());
        let progress = match body.reader.read(unread, &mut piece) {
            Ok(progress) => progress,
            Err(fault) => {
                if body.refusal.is_none() {
                    self.events.push_back(Event::BodyRefused(fault));
                }
                // Nothing that follows may be read as anything: SM1, SM2.
                let reply = self.options.voice.say(Complaint::Body(fault));
                self.final_replies(&reply);
                self.end(CloseReason::Body(fault));
                return true;
            }
        };
        self.input.consume(progress.taken);
        if body.refusal.is_none() {
            if body.reader.is_oversize() {
                body.refusal = Some(self.options.voice.say(Complaint::Body(BodyFault::TooLarge)));
                self.events.push_back(Event::BodyRefused(BodyFault::TooLarge));
            } else if !piece.is_empty() {
                self.events.push_back(Event::Body(piece));
            }
        }
        let beyond = body.reader.size().saturating_sub(self.options.max_size);
        if progress.finished {
            let refusal = body.refusal.take();
            self.body_ended(refusal);
        } else if beyond > self.options.max_discarded {
            let reply = self.options.voice.say(Complaint::Body(BodyFault::TooLarge));
            self.final_replies(&reply);
            self.end(CloseReason::Body(BodyFault::TooLarge));
        }
        true
    }

    fn body_ended(&mut self, refusal: Option<Reply>) {
        self.input.release();
        match refusal {
            Some(reply) => {
                self.state = State::Command;
                self.final_replies(&reply);
                self.transaction = None;
                self.count_refusal();
            }
            None => {
                self.state = State::Asked(Question::BodyEnd { answers_due: self.final_reply_count() });
                self.events.push_back(Event::BodyEnd);
            }
        }
    }

    /// One for SMTP, one for each accepted recipient for LMTP (RFC 2033 §4.2).
    fn final_reply_count(&self) -> usize {
        match self.options.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.transaction.map_or(1, |transaction| transaction.accepted),
        }
    }

    fn final_replies(&mut self, reply: &Reply) {
        for _ in 0..self.final_reply_count() {
            reply.write_to(&mut self.output);
        }
    }

    fn one_final_reply(&mut self, answers_due: usize, positive: bool) {
        if positive {
            self.junk = 0;
            self.refusals = 0;
        }
        match answers_due.saturating_sub(1) {
            0 => self.transaction = None,
            answers_due => self.state = State::Asked(Question::BodyEnd { answers_due }),
        }
    }

    // --- ending and counting ---

    fn ask(&mut self, question: Question, event: Event) {
        self.state = State::Asked(question);
        self.events.push_back(event);
    }

    /// Refuses one command; the session goes on unless there were too many.
    fn refuse(&mut self, error: ProtocolError) {
        if self.errors < self.options.max_errors {
            self.options.voice.say(Complaint::Command(error)).write_to(&mut self.output);
        }
        self.count_error();
    }

    /// Refuses what an honest pipelining client sends before it knows of an earlier refusal, or
    /// more recipients than fit: counted as a refusal, not as an error.
    fn refuse_consequence(&mut self, error: ProtocolError) {
        self.options.voice.say(Complaint::Command(error)).write_to(&mut self.output);
        self.count_refusal();
    }

    /// Answers a command that moves nothing (RX5). False: it was one too many.
    fn junk(&mut self, reply: &Reply) -> bool {
        self.junk = self.junk.saturating_add(1);
        if self.junk > self.options.max_junk {
            self.fail(ProtocolError::TooManyCommands);
            return false;
        }
        reply.write_to(&mut self.output);
        true
    }

    fn count_error(&mut self) {
        self.errors = self.errors.saturating_add(1);
        if self.errors > self.options.max_errors {
            self.fail(ProtocolError::TooManyErrors);
        }
    }

    fn count_refusal(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > self.options.max_refusals {
            self.fail(ProtocolError::TooManyErrors);
        }
    }

    fn fail(&mut self, error: ProtocolError) {
        let reply = self.options.voice.say(Complaint::Command(error));
        self.close(&reply, CloseReason::Protocol(error));
    }

    fn close(&mut self, reply: &Reply, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        if !self.greeted {
            self.output.clear();
        }
        // In the middle of a handshake nothing may be written in clear.
        if !matches!(self.state, State::Handshake) {
            reply.write_to(&mut self.output);
        }
        self.end(reason);
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        self.transaction = None;
        self.input.clear();
        self.events.push_back(Event::Closed(reason));
    }
}

/// IN1: an LF within an address is named as such; everything else with an LF alone is one refusal.
fn bare_line_feed(line: &[u8]) -> ProtocolError {
    match line.get(..5).map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"MAIL ") => ProtocolError::SenderSyntax,
        Some(b"RCPT ") => ProtocolError::RecipientSyntax,
        _ => ProtocolError::BareLineFeed,
    }
}
