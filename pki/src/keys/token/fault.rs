//! What can be wrong with a token.

use cryptoki::error::{Error, RvError};
use thiserror::Error as ThisError;

/// Why a token cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum TokenFault {
    /// The module itself.
    #[error("the PKCS#11 module does not work: {0}")]
    Module(String),
    /// No such token.
    #[error("the token {0} is in no reader: plug it in")]
    Absent(String),
    /// More than one token is meant.
    #[error("several tokens fit {0}: name the serial number")]
    Ambiguous(String),
    /// The PIN.
    #[error(transparent)]
    Pin(#[from] PinFault),
    /// No such key.
    #[error("the token holds no private key {0}")]
    NoKey(String),
    /// More than one key is meant.
    #[error("the token holds several private keys {0}: name the id")]
    SeveralKeys(String),
    /// The key on the token is not the certificate's.
    #[error("the private key {0} on the token does not belong to the certificate")]
    Foreign(String),
    /// The key cannot do what its certificate is for.
    #[error("the private key {0} on the token cannot do what its certificate is for: {1}")]
    Unfit(String, String),
    /// All sessions are busy.
    #[error("all sessions with the token are busy")]
    Busy,
    /// The module did not come back.
    #[error("the token does not answer")]
    Silent,
    /// Anything else that the module says.
    #[error("the token failed: {0}")]
    Device(String),
}

/// Why nobody logs in to a token.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum PinFault {
    /// The PIN cannot be read.
    #[error("the PIN cannot be read: {0}")]
    Unreadable(String),
    /// This very PIN was refused before; it is not tried again.
    #[error("the PIN was refused by the token and is not tried again: put the right one into its file")]
    Refused,
    /// Nobody knows what became of the last try.
    #[error(
        "whether the PIN is right is not known, the last try was cut short: check the token's counter, then write the PIN file anew"
    )]
    Doubtful,
    /// One wrong try would lock the token.
    #[error("one try is left before the token locks: log in once with another tool, then it is used again")]
    LastTry,
    /// Locked.
    #[error("the token's PIN is locked: it must be unblocked by its administrator")]
    Locked,
    /// What was tried cannot be remembered, so nothing is tried.
    #[error("what PIN was tried cannot be written down, so none is tried: {0}")]
    Forgetful(String),
}

/// What the module said, in words that tell no secrets.
pub(super) fn says(error: &Error) -> String {
    match error {
        Error::Pkcs11(value, function) => format!("{value:?} by {function:?}"),
        other => other.to_string(),
    }
}

/// Whether the module says that session, login or token are gone: worth one new beginning.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::CryptokiNotInitialized
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid,
            _
        )
    )
}
