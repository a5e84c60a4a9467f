//! What can go wrong with a trail.

use std::io;

use thiserror::Error;

use super::note::NoteError;

/// Why the trail cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrailError {
    /// A file cannot be read or written.
    #[error("{place}: {error}")]
    Disk {
        /// Which file.
        place: String,
        /// Why.
        error: io::Error,
    },
    /// The table of keys or the index failed.
    #[error("{place}: {error}")]
    Table {
        /// Which table.
        place: &'static str,
        /// Why.
        error: rusqlite::Error,
    },
    /// Something is not as it was written. `trail verify` says more.
    #[error("{place}: {what}")]
    Damaged {
        /// Where.
        place: String,
        /// What.
        what: String,
    },
    /// Another process writes this trail.
    #[error("another process is writing the trail in {0}")]
    InUse(String),
    /// The search index has not yet taken up the newest entries: nothing is erased by a guess.
    #[error("the index lags behind the log: what is held cannot be told yet")]
    Behind,
    /// The folder belongs to another log, or was written by a later version.
    #[error("the trail in this folder cannot be used: {0}")]
    Foreign(String),
    /// A checkpoint is not good.
    #[error("{place}: {error}")]
    Checkpoint {
        /// Which.
        place: String,
        /// Why.
        error: NoteError,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to {0}")]
    Crypto(&'static str),
    /// Rows must come in the order of their numbers, without gaps.
    #[error("outbox row {got} came where row {expected} was expected")]
    Gap {
        /// The next number.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// Rows came under numbers that have an entry already, and they are not the rows that got it: the
    /// queue was put back to an earlier day. See [`super::Trail::begin_anew`].
    #[error(
        "outbox row {row} has an entry already, made of another row: the queue was put back to an earlier day, or touched"
    )]
    RunsAgain {
        /// The first such row.
        row: u64,
    },
    /// There is nothing to verify.
    #[error("there is no trail in {0}, not one checkpoint: nothing was verified; is it the right folder?")]
    Nothing(String),
    /// More entries than one bundle may hold.
    #[error("{entries} entries are wanted; one bundle holds {most}: narrow the period")]
    TooMuch {
        /// Wanted.
        entries: u64,
        /// The bound.
        most: u64,
    },
    /// After an error the trail must be opened again before it is written.
    #[error("the trail stands still after an error; open it again")]
    Stopped,
}

impl TrailError {
    pub(crate) fn disk(place: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let place = place.display().to_string();
        move |error| Self::Disk { place, error }
    }

    pub(crate) fn damaged(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), what: what.into() }
    }
}
