//! Rows that cannot be read any more. One changed bit costs one recipient: its row is set aside, and
//! everything else goes on (CR9).
//!
//! A row that is set aside still counts as under way, so that the body stays that a person may need.

use rusqlite::{Connection, OptionalExtension};

use super::{
    SqliteStore,
    claim::all_destinations,
    failure::{Failure, SqlResult},
    rows::{MessageRow, RECIPIENT, RecipientRow, whole},
};
use crate::StoreError;

/// `wake` of what is set aside: never due.
pub(crate) const NEVER: i64 = i64::MAX;
/// `held` of what is set aside; 1 is held by an order.
const ASIDE: i64 = 2;

/// Parts what is damaged from what is wrong with the engine.
pub(crate) fn readable<T>(outcome: SqlResult<T>) -> SqlResult<Result<T, String>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Refused(StoreError::Damaged(what))) => Ok(Err(what)),
        Err(failure) => Err(failure),
    }
}

/// Takes a recipient out of all turns until a person has looked.
pub(crate) fn set_aside(db: &Connection, recipient: i64, what: &str) -> SqlResult<()> {
    db.prepare_cached("UPDATE recipient SET lease = NULL, wake = ?2, held = ?3 WHERE seq = ?1")?
        .execute((recipient, NEVER, ASIDE))?;
    let name = name(db, recipient)?;
    tracing::error!(recipient = name, what, "a row of the queue cannot be read: it is set aside, all else goes on");
    Ok(())
}

/// How a person finds it.
fn name(db: &Connection, recipient: i64) -> SqlResult<String> {
    let (message, index) = whole(recipient);
    let id = db
        .prepare_cached("SELECT id FROM message WHERE seq = ?1")?
        .query_row([message], |row| row.get::<_, String>(0))
        .optional()?;
    let id = id.map_or_else(|| format!("number {message}, which is gone"), |id| id.escape_debug().to_string());
    Ok(format!("message {id}, recipient {index}"))
}

/// What is set aside.
fn aside(db: &Connection) -> SqlResult<Vec<String>> {
    let mut found = Vec::new();
    for destination in all_destinations(db)? {
        let mut query =
            db.prepare_cached("SELECT seq FROM recipient WHERE destination = ?1 AND wake > 0 AND wake = ?2")?;
        let rows = query.query_map((destination, NEVER), |row| row.get::<_, i64>(0))?;
        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    found.into_iter().map(|recipient| name(db, recipient)).collect()
}

/// Every row under way that cannot be read, set aside or not yet.
pub(crate) fn unreadable(db: &Connection) -> SqlResult<Vec<String>> {
    let mut found = Vec::new();
    let mut messages = db.prepare("SELECT seq, id, accepted, expires, open, facts FROM message WHERE open > 0")?;
    let mut rows = messages.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(what) = readable(MessageRow::read(row))? {
            found.push(format!("queue.db: message {} cannot be read: {what}", row.get::<_, String>(1)?.escape_debug()));
        }
    }
    let mut recipients = db.prepare(&format!("{RECIPIENT} WHERE wake IS NOT NULL"))?;
    let mut rows = recipients.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(what) = readable(RecipientRow::read(row))? {
            let name = name(db, row.get(0)?)?;
            found.push(format!("queue.db: {name}: cannot be read and waits for a person: {what}"));
        }
    }
    Ok(found)
}

impl SqliteStore {
    /// Recipients whose rows cannot be read and were set aside: their messages wait for a person.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn set_aside(&self) -> Result<Vec<String>, StoreError> {
        self.read(|db| aside(db)).await
    }
}
