//! The database file: settings, tables, version.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};

use super::failure::{Failure, SqlResult};
use crate::StoreError;

/// Marks the file as ours (`SCEA`).
const APPLICATION_ID: i32 = 0x5343_4541;
/// Version of the tables.
const VERSION: i32 = 1;
/// Pages of write-ahead log after which it is copied back: 64 MB, so that a burst is not slowed.
pub(crate) const CHECKPOINT_PAGES: u32 = 16_384;

/// `seq` of recipients and bodies is the message's, shifted by this, plus their index: they lie
/// together and need no index of their own.
pub(crate) const SHIFT: u32 = 12;
/// Most recipients, and most bodies, of one message.
pub(crate) const MAX_PARTS: usize = 1 << SHIFT;

/// `wake` is when somebody must look: due time, end of lease, or expiry; NULL when ended.
/// `open` counts the recipients that have not ended.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  lookup BLOB,
  accepted INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  open INTEGER NOT NULL,
  facts TEXT NOT NULL
) STRICT;
CREATE INDEX message_lookup ON message (lookup);
CREATE INDEX message_open ON message (expires) WHERE open > 0;
CREATE TABLE body (
  seq INTEGER PRIMARY KEY,
  file TEXT,
  content BLOB
) STRICT;
CREATE TABLE recipient (
  seq INTEGER PRIMARY KEY,
  destination TEXT NOT NULL,
  body INTEGER NOT NULL,
  wake INTEGER,
  lease INTEGER,
  held INTEGER NOT NULL,
  facts TEXT NOT NULL
) STRICT;
CREATE INDEX recipient_due ON recipient (destination, wake) WHERE wake > 0;
CREATE INDEX recipient_lease ON recipient (lease) WHERE lease > 0;
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY,
  message TEXT,
  records TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES ('identity', random()), ('generation', 0), ('clean', 1), ('released', 0), ('probe', 0);
";

/// Opens the file for writing and makes it if `create`.
pub(crate) fn open_writer(path: &Path, create: bool) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| Failure::from(error).into_error())?;
    set_up(&mut db, create).map_err(Failure::into_error)?;
    check_version(&db, path)?;
    Ok(db)
}

fn set_up(db: &mut Connection, create: bool) -> SqlResult<()> {
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    steady(db)?;
    let empty = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Every commit is on stable storage before it returns (promise 1). No setting weakens this.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", 256 * 1024 * 1024)?;
    // What is deleted is overwritten where that costs no extra write.
    db.pragma_update(None, "secure_delete", "FAST")?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -65_536)?;
    if empty && create {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
    }
    Ok(())
}

/// Statements are planned once and kept. Without the planner's stability guarantee SQLite plans
/// again whenever a parameter changes that might bear on a partial index: half of the time of a
/// commit.
fn steady(db: &Connection) -> SqlResult<()> {
    db.set_prepared_statement_cache_capacity(64);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Whether a commit returns only when it is on stable storage. Whatever somebody is promised is synced; in this
/// mode or not, each sync makes everything durable that was committed before.
pub(crate) fn sync_commits(db: &Connection, synced: bool) -> SqlResult<()> {
    db.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
    Ok(())
}

/// The log is copied back by [`super::checkpoint`], not within a commit: there SQLite would keep errors to itself.
pub(crate) fn no_automatic_copies(db: &Connection) -> SqlResult<()> {
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}

/// Opens the file for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> SqlResult<Connection> {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(std::time::Duration::from_secs(10))?;
        steady(&db)?;
        db.pragma_update(None, "query_only", true)?;
        Ok(db)
    };
    open().map_err(Failure::into_error)
}

fn check_version(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let read = || -> SqlResult<(i32, i32)> { Ok((pragma("application_id")?, pragma("user_version")?)) };
    let (application, version) = read().map_err(Failure::into_error)?;
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign(format!("{} is not a queue of Sceau", path.display())));
    }
    if version != VERSION {
        let text = format!("{} has version {version}, this program knows {VERSION}", path.display());
        return Err(StoreError::Foreign(text));
    }
    Ok(())
}

/// A number of the installation.
pub(crate) fn meta(db: &Connection, key: &str) -> SqlResult<i64> {
    let value = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or(0))
}

/// Changes it.
pub(crate) fn set_meta(db: &Connection, key: &str, value: i64) -> SqlResult<()> {
    db.prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
        .execute((key, value))?;
    Ok(())
}
