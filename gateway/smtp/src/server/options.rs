//! What a server offers and how much it bears.

use ident::Address;

use crate::Voice;

/// Which protocol a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: LHLO, and one final reply for each recipient.
    Lmtp,
}

/// What a server offers and bears.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Our name, in the banner and the EHLO reply.
    pub hostname: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Largest message in octets; announced by SIZE and counted again while reading (NT-X07, RX9).
    pub max_size: u64,
    /// Octets of an over-size message that are read in search of its end before we hang up.
    pub max_discarded: u64,
    /// Longest line of a message without its CR LF.
    pub max_line: usize,
    /// Most recipients of a message; announced by LIMITS RCPTMAX (RFC 9422), enforced at RCPT (RX3).
    pub max_recipients: usize,
    /// Offer STARTTLS.
    pub starttls: bool,
    /// Nothing but EHLO, STARTTLS, NOOP, RSET, HELP and QUIT outside TLS.
    pub require_tls: bool,
    /// Offer AUTH EXTERNAL inside TLS; never required.
    pub auth_external: bool,
    /// Offer SMTPUTF8.
    pub smtputf8: bool,
    /// Offer DSN. Only for a caller that honours NOTIFY, RET, ENVID and ORCPT.
    pub dsn: bool,
    /// Offer REQUIRETLS inside TLS. Only for a caller that honours it.
    pub requiretls: bool,
    /// In what words protocol errors are said.
    pub voice: Voice,
    /// Whom `<Postmaster>` without a domain means.
    pub postmaster: Option<Address>,
    /// Syntax and sequence errors and refused AUTH borne in a session.
    pub max_errors: u32,
    /// Commands that move nothing (NOOP, RSET, VRFY, HELP, EHLO, AUTH) borne between two messages (RX5).
    pub max_junk: u32,
    /// Refused MAIL, RCPT and over-size messages borne between two accepted messages. Not less
    /// than `max_recipients`, or one honest message with many unknown recipients ends the session.
    pub max_refusals: u32,
}

impl ServerOptions {
    /// Careful values: 35 MB, 1000 recipients, no TLS offer, no DSN.
    pub fn new(hostname: impl Into<String>, protocol: Protocol) -> Self {
        Self {
            hostname: hostname.into(),
            protocol,
            max_size: 35_000_000,
            max_discarded: 1_000_000_000,
            max_line: 64 * 1024,
            max_recipients: 1000,
            starttls: false,
            require_tls: false,
            auth_external: false,
            smtputf8: true,
            dsn: false,
            requiretls: false,
            voice: Voice::default(),
            postmaster: None,
            max_errors: 20,
            max_junk: 100,
            max_refusals: 1000,
        }
    }
}
