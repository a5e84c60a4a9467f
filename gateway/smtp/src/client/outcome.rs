//! What became of a session and of each recipient.

use ident::Address;
use thiserror::Error;

use crate::{BodyFault, Reply, ReplyFault};

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the banner.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS, before the handshake.
    StartTls,
    /// The handshake.
    Handshake,
    /// Between messages.
    Idle,
    /// RSET or MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// Sending the body.
    Body,
    /// After the final dot: the peer may have the message, a repeat may be a duplicate (RFC 1047).
    Final,
    /// QUIT.
    Quit,
}

/// An extension that a message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 6152.
    EightBitMime,
    /// RFC 8689.
    RequireTls,
}

/// Why something did not go through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Cause {
    /// The peer said so; 421 at any stage (RP4).
    #[error("the peer answered: {0}")]
    Reply(Reply),
    /// A code that makes no sense at that stage (RP5).
    #[error("the peer answered out of protocol: {0}")]
    Unexpected(Reply),
    /// What the peer sent is no reply (RP6, RP7).
    #[error("the peer's answer is unreadable: {0}")]
    BadReply(#[from] ReplyFault),
    /// The peer answered what was not asked.
    #[error("the peer sent an answer that nothing asked for")]
    Unsolicited,
    /// Bytes in clear behind the answer to STARTTLS: somebody on the line (TL2). A security event.
    #[error("bytes were injected between STARTTLS and the handshake")]
    InjectedBytes,
    /// TLS is mandatory and not offered, or refused with this reply (TL5).
    #[error("TLS is required and the peer does not offer it{}", .0.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    NoTls(Option<Reply>),
    /// The handshake failed; never retried in clear (TL4).
    #[error("the TLS handshake failed")]
    TlsFailed,
    /// The connection broke.
    #[error("the connection was lost")]
    ConnectionLost,
    /// A deadline passed.
    #[error("the peer took too long")]
    TimedOut,
    /// The caller gave up.
    #[error("the session was abandoned")]
    Abandoned,
    /// The stored message must not be sent: hold it and raise an alarm (SM4).
    #[error("the stored message is damaged: {0}")]
    Body(BodyFault),
    /// The peer cannot take this kind of message.
    #[error("the peer does not offer an extension that the message needs")]
    NotOffered(Extension),
    /// The peer announced a smaller limit.
    #[error("the message is larger than the {limit} octets that the peer takes")]
    TooLarge {
        /// The peer's limit in octets.
        limit: u64,
    },
}

/// What did not go through, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{cause}")]
pub struct Refusal {
    /// Where it happened.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The peer took responsibility with this reply.
    Accepted(Reply),
    /// Trying again is useless.
    Permanent(Refusal),
    /// Try again later.
    Temporary(Refusal),
}

/// One recipient of the envelope with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientOutcome {
    /// As the envelope named it.
    pub recipient: Address,
    /// Its own outcome (RP3).
    pub outcome: Outcome,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientClosed {
    /// After our QUIT.
    Quit,
    /// Otherwise. Whatever the cause, a message that was not yet given to the peer is deferred:
    /// another host, or the same one later, may take it.
    Failed(Refusal),
}

/// What a reply means for a recipient at this stage (RFC 5321 §4.2.1, §4.3.2).
pub(super) fn refusal(stage: Stage, reply: Reply) -> Outcome {
    let permanent = reply.is_permanent() && !(stage == Stage::Recipient && means_too_many(&reply));
    let refusal = Refusal { stage, cause: Cause::Reply(reply) };
    if permanent { Outcome::Permanent(refusal) } else { Outcome::Temporary(refusal) }
}

/// RFC 5321 §4.5.3.1.10: old servers say 552 where 452 is meant, "too many recipients". A 552 that
/// names another condition (5.2.2, mailbox full) means what it says.
fn means_too_many(reply: &Reply) -> bool {
    reply.code() == 552 && reply.enhanced().is_none_or(|code| (code.subject, code.detail) == (5, 3))
}
