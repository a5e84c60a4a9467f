//! Which key wraps the content keys of what waits. The store only reads the mark with which each of them
//! begins; it keeps what a running gateway wraps under and what was retired, so that nobody takes a key
//! away on which an acknowledged message depends, or will in a moment (promise 1).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::{
    SqliteStore,
    aside::readable,
    committer::Load,
    failure::SqlResult,
    rows::{MESSAGE, MessageRow},
    schema,
};
use crate::{NewBody, StoreError};

/// Names a wrapping key: the first eight octets of every content key that it wrapped.
pub type KeyMark = [u8; 8];

/// In `meta`: what the gateway that served last wraps under.
const WRAPPING: &str = "wrapping";

/// Which keys are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// What the gateway that serves, or served last, wraps under.
    pub wrapping: Option<KeyMark>,
    /// How many bodies of messages under way each key wrapped.
    pub bodies: BTreeMap<KeyMark, u64>,
    /// Messages under way whose keys cannot be told, because their rows cannot be read.
    pub unreadable: u64,
}

impl SqliteStore {
    /// Notes under which key content keys are wrapped from now on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`]: nobody may retire another key then.
    pub async fn wraps_under(&self, mark: KeyMark) -> Result<(), StoreError> {
        let note = move |db: &Connection| -> SqlResult<()> {
            db.execute("DELETE FROM meta WHERE key = ?1", [retired(&mark)])?;
            schema::set_meta(db, WRAPPING, i64::from_be_bytes(mark))
        };
        self.committer.run(Load::UNDOABLE, move |desk| note(desk.db)).await
    }

    /// Which keys are needed at this moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn wrapped(&self) -> Result<Wrapped, StoreError> {
        self.read(|db| wrapped(db)).await
    }

    /// Retires keys, if new messages are wrapped under `current` and nothing under way needs one of them:
    /// from then on no message is taken that does. Says which keys are needed instead if it cannot be.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn retire(&self, current: KeyMark, older: Vec<KeyMark>) -> Result<Result<(), Wrapped>, StoreError> {
        let retire = move |db: &Connection| -> SqlResult<Result<(), Wrapped>> {
            // Counted within the transaction that writes: nothing is accepted in between.
            let found = wrapped(db)?;
            let free = found.wrapping == Some(current)
                && found.unreadable == 0
                && !older.iter().any(|mark| found.bodies.contains_key(mark));
            if !free {
                return Ok(Err(found));
            }
            older.iter().try_for_each(|mark| schema::set_meta(db, &retired(mark), 1))?;
            Ok(Ok(()))
        };
        self.committer.run(Load::UNDOABLE, move |desk| retire(desk.db)).await
    }
}

/// In `meta`: that a key was retired.
fn retired(mark: &KeyMark) -> String {
    let digits: String = mark.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("retired:{digits}")
}

fn mark(content_key: &[u8]) -> Option<KeyMark> {
    content_key.first_chunk().copied()
}

fn wrapped(db: &Connection) -> SqlResult<Wrapped> {
    let wrapping = db
        .query_row("SELECT value FROM meta WHERE key = ?1", [WRAPPING], |row| row.get::<_, i64>(0))
        .optional()?
        .map(i64::to_be_bytes);
    let mut found = Wrapped { wrapping, ..Wrapped::default() };
    let mut query = db.prepare(&format!("{MESSAGE} WHERE open > 0"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        match readable(MessageRow::read(row))? {
            Ok(message) => {
                for mark in message.facts.content_keys().filter_map(mark) {
                    let count = found.bodies.entry(mark).or_default();
                    *count = count.saturating_add(1);
                }
            }
            Err(_) => found.unreadable = found.unreadable.saturating_add(1),
        }
    }
    Ok(found)
}

/// Refuses what was wrapped under a key that was retired meanwhile: its sender tries again, and by then the
/// gateway wraps under another one.
pub(crate) fn refuse_retired(db: &Connection, bodies: &[NewBody]) -> SqlResult<()> {
    let mut looked_up: Option<KeyMark> = None;
    for mark in bodies.iter().filter_map(|body| mark(body.content_key.as_deref()?)) {
        if looked_up.replace(mark) == Some(mark) {
            continue;
        }
        let gone = db.prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?.exists([retired(&mark)])?;
        if gone {
            let what = "the storage key that wrapped this message was retired meanwhile";
            return Err(StoreError::Unavailable(what.to_owned()).into());
        }
    }
    Ok(())
}
