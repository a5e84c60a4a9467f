//! What each command does to a session.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{CloseReason, Event, Protocol, Question, Server, State, Transaction};
use crate::{Command, MailFrom, ProtocolError, RcptTo, Reply};

/// Longest authorisation identity in AUTH EXTERNAL.
const MAX_IDENTITY: usize = 255;

impl Server {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Ehlo(name) => self.hello(name, Protocol::Smtp, true),
            Command::Helo(name) => self.hello(name, Protocol::Smtp, false),
            Command::Lhlo(name) => self.hello(name, Protocol::Lmtp, true),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            // Chunks would follow, and nobody may read them as commands (SM5).
            Command::Bdat => self.fail(ProtocolError::NotOffered),
            Command::Rset => {
                self.transaction = None;
                self.mail_refused = false;
                if self.junk(&Reply::ok()) {
                    self.events.push_back(Event::Reset);
                }
            }
            Command::Vrfy if self.needs_tls() => self.refuse(ProtocolError::TlsFirst),
            Command::Noop | Command::Help | Command::Vrfy => {
                self.junk(&match command {
                    Command::Help => Reply::new(214, (2, 0, 0), "See RFC 5321"),
                    Command::Vrfy => Reply::new(252, (2, 0, 0), "Cannot verify, send to find out"),
                    _ => Reply::ok(),
                });
            }
            Command::Quit => self.close(&Reply::new(221, (2, 0, 0), "Bye"), CloseReason::Quit),
        }
    }

    const fn needs_tls(&self) -> bool {
        self.options.require_tls && !self.tls
    }

    /// The reply decides what the client says next, so it must wait for it (RFC 2920 §3.1, SM6).
    fn peer_waits_now(&mut self) -> bool {
        if self.input.is_empty() {
            self.peer_must_wait = true;
        } else {
            self.fail(ProtocolError::OutOfSync);
        }
        !self.is_closed()
    }

    fn hello(&mut self, name: String, protocol: Protocol, extended: bool) {
        if protocol != self.options.protocol {
            self.refuse(ProtocolError::UnknownCommand);
            return;
        }
        if !self.peer_waits_now() {
            return;
        }
        let repeated = self.hello.replace(extended).is_some();
        self.transaction = None;
        self.mail_refused = false;
        let reply = if extended { self.extensions() } else { Reply::bare(250, &self.options.hostname) };
        if !repeated {
            reply.write_to(&mut self.output);
        } else if !self.junk(&reply) {
            return;
        }
        self.events.push_back(Event::Hello { name });
    }

    /// Only what is enforced is announced.
    fn extensions(&self) -> Reply {
        let options = &self.options;
        let mut reply = Reply::bare(250, &options.hostname)
            .and("PIPELINING")
            .and(&format!("SIZE {}", options.max_size))
            .and("8BITMIME")
            .and("ENHANCEDSTATUSCODES")
            .and(&format!("LIMITS RCPTMAX={}", options.max_recipients));
        let optional = [
            (options.smtputf8, "SMTPUTF8"),
            (options.dsn, "DSN"),
            (options.starttls && !self.tls, "STARTTLS"),
            (options.requiretls && self.tls, "REQUIRETLS"),
            (self.offers_auth(), "AUTH EXTERNAL"),
        ];
        for (on, keyword) in optional {
            if on {
                reply = reply.and(keyword);
            }
        }
        reply
    }

    fn start_tls(&mut self) {
        if !self.options.starttls || self.tls {
            self.refuse(ProtocolError::NotOffered);
        } else if self.hello.is_none() || self.transaction.is_some() {
            self.refuse(ProtocolError::Sequence);
        } else if !self.input.is_empty() {
            // TL1: they were written in clear, by whoever sits on the line.
            self.fail(ProtocolError::BehindStartTls);
        } else {
            Reply::new(220, (2, 0, 0), "Ready to start TLS").write_to(&mut self.output);
            self.state = State::Handshake;
            self.events.push_back(Event::StartTls);
        }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.options.auth_external && !self.tls {
            self.refuse(ProtocolError::AuthNeedsTls);
        } else if !self.offers_auth() {
            self.refuse(ProtocolError::NotOffered);
        } else if self.hello != Some(true) || self.authenticated || self.transaction.is_some() {
            self.refuse(ProtocolError::Sequence);
        } else if mechanism != "EXTERNAL" {
            self.refuse(ProtocolError::Mechanism);
        } else if let Some(initial) = initial {
            self.authenticate(if initial == "=" { "" } else { initial });
        } else if self.peer_waits_now() && self.junk(&Reply::bare(334, "")) {
            self.state = State::AuthResponse;
        }
    }

    pub(super) fn auth_response(&mut self, line: &[u8]) {
        self.state = State::Command;
        match std::str::from_utf8(line) {
            Ok("*") => self.refuse(ProtocolError::AuthCancelled),
            Ok(response) => self.authenticate(response),
            Err(_) => self.refuse(ProtocolError::AuthResponse),
        }
    }

    fn authenticate(&mut self, response: &str) {
        match decode_identity(response) {
            Some(identity) => self.ask(Question::Authenticate, Event::Authenticate { identity }),
            None => self.refuse(ProtocolError::AuthResponse),
        }
    }

    fn mail(&mut self, mail: MailFrom) {
        if self.needs_tls() {
            self.refuse(ProtocolError::TlsFirst);
        } else if self.hello.is_none() || self.transaction.is_some() {
            self.refuse(ProtocolError::Sequence);
        } else {
            self.mail_refused = false;
            self.ask(Question::Mail { smtputf8: mail.smtputf8 }, Event::Mail(mail));
        }
    }

    fn rcpt(&mut self, rcpt: RcptTo) {
        match self.transaction {
            _ if self.needs_tls() => self.refuse(ProtocolError::TlsFirst),
            None if self.mail_refused => self.refuse_consequence(ProtocolError::Sequence),
            None => self.refuse(ProtocolError::Sequence),
            Some(Transaction { accepted, .. }) if accepted >= self.options.max_recipients => {
                self.refuse_consequence(ProtocolError::TooManyRecipients);
            }
            Some(_) => self.ask(Question::Recipient, Event::Recipient(rcpt)),
        }
    }

    fn data(&mut self) {
        match self.transaction {
            _ if self.needs_tls() => self.refuse(ProtocolError::TlsFirst),
            None if self.mail_refused => self.refuse_consequence(ProtocolError::Sequence),
            None => self.refuse(ProtocolError::Sequence),
            // RFC 2033 §4.2 wants 503 here, RFC 5321 §3.3 wants 554.
            Some(Transaction { accepted: 0, .. }) => self.refuse_consequence(match self.options.protocol {
                Protocol::Smtp => ProtocolError::NoRecipients,
                Protocol::Lmtp => ProtocolError::Sequence,
            }),
            Some(_) => {
                if self.peer_waits_now() {
                    self.ask(Question::Data, Event::DataRequested);
                }
            }
        }
    }
}

/// The authorisation identity of RFC 4422 appendix A: UTF-8 without NUL; ours also has no other
/// control. `Some(None)` when it is empty.
fn decode_identity(response: &str) -> Option<Option<String>> {
    let octets = STANDARD.decode(response).ok()?;
    let identity = String::from_utf8(octets).ok()?;
    if identity.len() > MAX_IDENTITY || identity.chars().any(char::is_control) {
        return None;
    }
    Some(Some(identity).filter(|identity| !identity.is_empty()))
}
