//! The envelope: what MAIL and RCPT say, as checked values. Both sides share these types.

use ident::Address;

/// How the body's lines are made (`BODY=`, RFC 6152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BodyKind {
    /// `7BIT`, and what is meant when nothing is said.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBit,
}

/// How much of the message a failure report should return (`RET=`, RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header only.
    Headers,
}

/// When the sender wants a report about one recipient (`NOTIFY=`, RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NEVER`.
    Never,
    /// Any of `SUCCESS`, `FAILURE`, `DELAY`; at least one is set.
    On {
        /// Report delivery.
        success: bool,
        /// Report failure.
        failure: bool,
        /// Report delay.
        delay: bool,
    },
}

/// The recipient as the sender first wrote it (`ORCPT=`, RFC 3461 §4.2), decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// Address type, lower case: `rfc822`, `utf-8`…
    pub kind: String,
    /// The address, decoded, without control characters. Text from the peer: for reports only.
    pub address: String,
}

/// One MAIL command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MailFrom {
    /// Reverse path; `None` is the null sender `<>`.
    pub sender: Option<Address>,
    /// Octets announced by `SIZE=` (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=`.
    pub body: BodyKind,
    /// `SMTPUTF8` was said (RFC 6531).
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded.
    pub envid: Option<String>,
    /// `REQUIRETLS` was said (RFC 8689).
    pub require_tls: bool,
}

/// One RCPT command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RcptTo {
    /// Forward path; a source route in front of it was dropped (IN7).
    pub address: Address,
    /// `NOTIFY=`; `None` means the default of RFC 3461 (failure and delay).
    pub notify: Option<Notify>,
    /// `ORCPT=`.
    pub orcpt: Option<OriginalRecipient>,
}

impl RcptTo {
    /// A recipient without parameters.
    pub const fn new(address: Address) -> Self {
        Self { address, notify: None, orcpt: None }
    }
}

/// What a client transaction carries besides the body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Envelope {
    /// The MAIL command. `size` should be exact: it lets a peer refuse early.
    pub mail: MailFrom,
    /// The RCPT commands, in order.
    pub recipients: Vec<RcptTo>,
}
