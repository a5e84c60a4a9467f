//! What a server tells its caller.

use crate::{BodyFault, MailFrom, ProtocolError, RcptTo};

/// What a client did. Those marked *answer* stop the session until [`crate::Server::answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// EHLO, HELO or LHLO was said and answered. An open transaction is over.
    Hello {
        /// The name that the client gives itself: printable, not proven.
        name: String,
    },
    /// 220 is in the output: send it, do the handshake, then call [`crate::Server::tls_started`].
    StartTls,
    /// *Answer* 235 or a refusal. AUTH EXTERNAL, with the identity asked for.
    Authenticate {
        /// `None`: whoever the certificate says.
        identity: Option<String>,
    },
    /// *Answer* 250 or a refusal.
    Mail(MailFrom),
    /// *Answer* 250 or a refusal.
    Recipient(RcptTo),
    /// *Answer* 354 ([`crate::Reply::send_body`]) or a refusal, which ends the transaction.
    DataRequested,
    /// A piece of the message, dots unstuffed.
    Body(Vec<u8>),
    /// *Answer* the final reply; for LMTP one for each accepted recipient, in order.
    BodyEnd,
    /// The message is refused, drop what was kept of it. The reply is ours. After
    /// [`BodyFault::TooLarge`] the session goes on, after the others it is closed.
    BodyRefused(BodyFault),
    /// RSET was said and answered. An open transaction is over.
    Reset,
    /// Send what is in the output, then drop the connection. An open transaction is over.
    Closed(CloseReason),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client said QUIT.
    Quit,
    /// The client broke the protocol in a way that makes what follows unreadable or unsafe.
    Protocol(ProtocolError),
    /// The body had a malformed line end (SM1, SM2).
    Body(BodyFault),
    /// The caller answered 421 or called [`crate::Server::close_with`].
    Caller,
    /// The connection broke.
    PeerGone {
        /// In the middle of a message: nothing of it was accepted (TL6).
        in_body: bool,
    },
}
