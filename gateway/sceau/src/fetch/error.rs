//! Why nothing was fetched: where we looked, and what was wrong there.

use std::{fmt, io, net::IpAddr};

use thiserror::Error;

use super::Place;

/// Longest text of another machine that is repeated in an error.
const MAX_QUOTED: usize = 80;

/// A fetch that came to nothing. What was held before stays in force.
#[derive(Debug, Error)]
#[error("{place}: {fault}")]
pub struct FetchError {
    /// Where we looked last, redirects followed.
    pub place: Place,
    /// What was wrong.
    #[source]
    pub fault: Fault,
}

impl FetchError {
    pub(super) fn at(place: &Place, fault: Fault) -> Self {
        Self { place: place.clone(), fault }
    }
}

/// What we waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Name, connection, TLS.
    Connection,
    /// The header of the answer.
    FirstOctet,
    /// All of it.
    Whole,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "a connection",
            Self::FirstOctet => "the beginning of the answer",
            Self::Whole => "the end of the answer",
        })
    }
}

/// What was wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The configuration does not name this site.
    #[error("the configuration does not allow to ask {0}")]
    SiteNotAllowed(String),
    /// An address inside our own networks, which only the configuration may name.
    #[error("the name leads to {0}, which is no public address; name it under [refresh.addresses] if that is right")]
    PrivateAddress(IpAddr),
    /// DNS knows no address.
    #[error("DNS gives no address: {0}")]
    Dns(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// No TLS.
    #[error("no TLS connection: {0}")]
    Tls(String),
    /// Somebody else answers.
    #[error("the server is not who it should be: {0}")]
    Server(String),
    /// A wait ended.
    #[error("waited too long for {0}")]
    Timeout(Wait),
    /// Not an answer that helps.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// More redirects than allowed.
    #[error("more than {0} redirects")]
    Redirects(usize),
    /// Away from encryption, or to something that is no address.
    #[error("redirected to {0}, which is not followed: {1}")]
    Redirect(String, &'static str),
    /// More octets than allowed.
    #[error("the answer has more than {0} octets")]
    TooLarge(usize),
    /// Not what was asked for.
    #[error("the answer is declared as {0}, which is not what was asked for")]
    Type(String),
    /// Compressed: nobody asked for that.
    #[error("the answer is encoded ({0}) although that was not asked for")]
    Encoded(String),
    /// It stopped in the middle.
    #[error("the answer ends before its end")]
    Truncated,
    /// Not the protocol.
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    /// A directory's refusal (RFC 4511 §4.1.9).
    #[error("the directory answers with result {code}: {text}")]
    Directory {
        /// Result code.
        code: u8,
        /// What it said.
        text: String,
    },
    /// The directory sends us elsewhere, where we do not go.
    #[error("the directory refers to another server, which is not followed")]
    Referral,
    /// The entry is not there, or has not what we look for.
    #[error("the directory has no such attribute there")]
    NoAttribute,
}

impl Fault {
    /// Stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SiteNotAllowed(_) => "site-not-allowed",
            Self::PrivateAddress(_) => "private-address",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Server(_) => "server",
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::Redirects(_) | Self::Redirect(..) => "redirect",
            Self::TooLarge(_) => "too-large",
            Self::Type(_) => "type",
            Self::Encoded(_) => "encoded",
            Self::Truncated => "truncated",
            Self::Protocol(_) => "protocol",
            Self::Directory { .. } | Self::NoAttribute => "directory",
            Self::Referral => "referral",
        }
    }
}

/// Another machine's text, short and harmless: what is printable in ASCII.
pub(super) fn quoted(text: &[u8]) -> String {
    let harmless = |octet: &u8| if (0x20..0x7f).contains(octet) { char::from(*octet) } else { '?' };
    text.iter().take(MAX_QUOTED).map(harmless).collect()
}
