//! Result codes (RFC 4511 appendix A) and the messages that carry them.

use super::ber::{Writer, tag};

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// As asked.
    Success = 0,
    /// The message breaks the protocol.
    ProtocolError = 2,
    /// The time that client or server allow is over; what was found until then was sent.
    TimeLimitExceeded = 3,
    /// There is more than client or server allow; the best was sent.
    SizeLimitExceeded = 4,
    /// The comparison is false.
    CompareFalse = 5,
    /// The comparison is true.
    CompareTrue = 6,
    /// No such way to bind.
    AuthMethodNotSupported = 7,
    /// Only for those who have said who they are.
    StrongerAuthRequired = 8,
    /// More than we do for one question.
    AdminLimitExceeded = 11,
    /// A critical control that we do not have.
    UnavailableCriticalExtension = 12,
    /// Only under TLS.
    ConfidentialityRequired = 13,
    /// The entry has no such attribute, or we do not know it.
    NoSuchAttribute = 16,
    /// Nothing has this name.
    NoSuchObject = 32,
    /// This is no name.
    InvalidDnSyntax = 34,
    /// Not the way to bind here.
    InappropriateAuthentication = 48,
    /// Name or password are wrong, or the certificate is not accepted.
    InvalidCredentials = 49,
    /// Too much at once: later.
    Busy = 51,
    /// Not at this moment.
    Unavailable = 52,
    /// We do not do that.
    UnwillingToPerform = 53,
    /// The operation was cancelled (RFC 3909).
    Canceled = 118,
    /// Nothing to cancel (RFC 3909).
    NoSuchOperation = 119,
    /// Too late to cancel (RFC 3909).
    CannotCancel = 121,
}

/// Code, the nearest name that exists, and words for people: ASCII, saying what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub code: Code,
    /// The nearest name above the one asked for; empty where none was.
    pub(super) matched: String,
    /// Words.
    pub text: String,
}

impl Ending {
    /// An ending with these words.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, matched: String::new(), text: text.into() }
    }

    pub(super) fn put(&self, into: &mut Writer) {
        into.put(tag::ENUMERATED, &[self.code as u8]);
        into.put(tag::OCTETS, self.matched.as_bytes());
        into.put(tag::OCTETS, self.text.as_bytes());
    }
}

/// One message: number, operation, controls.
pub(super) fn message(
    out: &mut Writer,
    id: u32,
    operation: u8,
    content: impl FnOnce(&mut Writer),
    controls: impl FnOnce(&mut Writer),
) {
    out.constructed(tag::SEQUENCE, |message| {
        message.number(tag::INTEGER, id);
        message.constructed(operation, content);
        controls(message);
    });
}

/// The answer to an operation that has nothing but an ending.
pub(super) fn answer(id: u32, operation: u8, ending: &Ending) -> Vec<u8> {
    let mut out = Writer::new();
    message(&mut out, id, operation, |inside| ending.put(inside), |_| {});
    out.into_octets()
}
