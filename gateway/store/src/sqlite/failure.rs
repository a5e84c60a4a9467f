//! What an error of the engine means for us.

use rusqlite::ErrorCode;

use crate::StoreError;

/// An error of the engine, sorted by what it asks of us.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The caller's change is refused; others go on.
    Refused(StoreError),
    /// No room: this group is refused, the next may fit.
    Full(String),
    /// Somebody else writes for too long.
    Busy(String),
    /// Nothing of this file may be believed to be durable until it was proven well (CR4).
    Broken(String),
}

/// Result of engine work.
pub(crate) type SqlResult<T> = Result<T, Failure>;

impl Failure {
    /// As the caller sees it.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Full(text) => StoreError::Full(text),
            Self::Busy(text) | Self::Broken(text) => StoreError::Unavailable(text),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(text),
            Some(_) => Self::Broken(text),
            // A row that does not have the shape we wrote.
            None => Self::Refused(StoreError::Damaged(text)),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Refused(StoreError::Damaged(error.to_string()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}
