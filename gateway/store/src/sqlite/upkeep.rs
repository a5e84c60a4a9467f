//! What a person may order about a store: to look through it, and to leave nothing behind of what was
//! deleted.

use std::collections::HashSet;

use rusqlite::Connection;

use super::{SqliteStore, aside, committer::Load, failure::SqlResult, recovery};
use crate::StoreError;

/// Most faults of the engine's own file that are listed.
const MOST: u32 = 20;
/// Pages filled in one transaction: others write in between.
const PAGES: i64 = 4096;
/// Transactions of one scrub at most: pages become free while it goes on.
const ROUNDS: u32 = 1000;

/// What looking through a store found, bodies' hashes apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// What is not as it must be, a sentence each.
    pub problems: Vec<String>,
    /// Files of bodies that no message names: being received at this moment, or left by a crash and
    /// swept at the next start.
    pub unnamed: u64,
}

impl SqliteStore {
    /// Looks through the engine's file, the rows that belong together, and the files of bodies.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot even be looked at.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        let (mut found, named) = self
            .read(|db| {
                let mut found = Examination { problems: engine(db)?, unnamed: 0 };
                found.problems.extend(rows(db)?);
                found.problems.extend(aside::unreadable(db)?);
                Ok((found, recovery::named_files(db)?))
            })
            .await?;
        let (missing, unnamed) = self.bodies.compare(named).map_err(|error| self.bodies.trouble(&error))?;
        // What was delivered meanwhile is not missing.
        let still: HashSet<String> = self.read(|db| recovery::named_files(db)).await?;
        let missing = missing.into_iter().filter(|name| still.contains(name));
        found.problems.extend(missing.map(|name| format!("the body {name} is not there")));
        found.unnamed = unnamed;
        Ok(found)
    }

    /// The last row of the outbox that was released: so many went to the trail.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn released(&self) -> Result<u64, StoreError> {
        let released = self.read(|db| super::schema::meta(db, "released")).await?;
        Ok(u64::try_from(released).unwrap_or(0))
    }

    /// Overwrites what deleted rows left in the engine's file and its log. Says how many octets.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be done now, also because a reader is in the way.
    pub async fn scrub(&self) -> Result<u64, StoreError> {
        let mut octets: u64 = 0;
        for _ in 0..ROUNDS {
            let filled = self.committer.run(Load::UNDOABLE, |desk| fill(desk.db)).await?;
            octets = octets.saturating_add(filled);
            if filled == 0 {
                break;
            }
        }
        let drop_filler = |db: &Connection| -> SqlResult<()> { Ok(db.execute_batch("DROP TABLE IF EXISTS filler")?) };
        self.committer.run(Load::UNDOABLE, move |desk| drop_filler(desk.db)).await?;
        let empty = |db: &mut Connection| -> SqlResult<bool> {
            Ok(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))? == 0)
        };
        if self.read(empty).await? {
            Ok(octets)
        } else {
            Err(StoreError::Unavailable("a reader keeps old pages alive; try again".to_owned()))
        }
    }
}

/// Fills free pages with zeros: they stay zeros when the table goes. Says how many octets.
fn fill(db: &Connection) -> SqlResult<u64> {
    db.execute_batch("CREATE TABLE IF NOT EXISTS filler (zeros BLOB)")?;
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if free <= 0 {
        return Ok(0);
    }
    // Each page of a long value begins with the number of the next; one page more than are free, so
    // that none is left.
    let octets = free.min(PAGES).saturating_add(1).saturating_mul(page.saturating_sub(4));
    db.execute("INSERT INTO filler VALUES (zeroblob(?1))", [octets])?;
    Ok(u64::try_from(octets).unwrap_or(0))
}

fn engine(db: &Connection) -> SqlResult<Vec<String>> {
    let mut query = db.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
    let said = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").map(|line| format!("queue.db: {line}")).collect())
}

/// Rows that must come together.
fn rows(db: &Connection) -> SqlResult<Vec<String>> {
    let shift = super::schema::SHIFT;
    let questions = [
        (
            "recipients without a message",
            format!("SELECT count(*) FROM recipient WHERE seq >> {shift} NOT IN (SELECT seq FROM message)"),
        ),
        (
            "bodies without a message",
            format!("SELECT count(*) FROM body WHERE seq >> {shift} NOT IN (SELECT seq FROM message)"),
        ),
        (
            "messages whose count of open recipients is wrong",
            format!(
                "SELECT count(*) FROM message WHERE open <> (SELECT count(*) FROM recipient
                   WHERE recipient.seq >= message.seq << {shift} AND recipient.seq < (message.seq + 1) << {shift}
                   AND wake IS NOT NULL)"
            ),
        ),
        (
            "recipients under way whose body is gone",
            format!(
                "SELECT count(*) FROM recipient WHERE wake IS NOT NULL
                   AND ((seq >> {shift}) << {shift}) + body NOT IN (SELECT seq FROM body)"
            ),
        ),
    ];
    let mut problems = Vec::new();
    for (what, question) in questions {
        let count: i64 = db.query_row(&question, [], |row| row.get(0))?;
        if count > 0 {
            problems.push(format!("queue.db: {count} {what}"));
        }
    }
    Ok(problems)
}
