//! The small table that really deletes: for each entry its wrapped seed, and where its record is.

use std::{collections::BTreeSet, path::Path, time::Duration};

use ident::{Fingerprint, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::{
    error::TrailError,
    retention::{LeafSet, Outcome, Purge},
    seal::WRAPPED,
};
use crate::{Class, ErasedEntries};

const APPLICATION_ID: i32 = 0x5343_544b;
const VERSION: i32 = 1;
/// Longest wait for another writer of the table.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE leaf (
  number INTEGER PRIMARY KEY,
  seed BLOB,
  day INTEGER NOT NULL,
  place INTEGER NOT NULL,
  length INTEGER NOT NULL,
  class INTEGER NOT NULL,
  at INTEGER NOT NULL,
  held INTEGER NOT NULL DEFAULT 0,
  erased INTEGER
) STRICT;
CREATE TABLE source (id TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE batch (one INTEGER PRIMARY KEY CHECK (one = 1), source TEXT NOT NULL, before INTEGER NOT NULL, first INTEGER NOT NULL) STRICT;
";

/// Orders to erase, each told by an entry (done: 1 carried out, 2 given up), and what is held back from them.
const RETENTION: &str = "
CREATE TABLE IF NOT EXISTS erasure (told INTEGER PRIMARY KEY, class INTEGER NOT NULL, before INTEGER NOT NULL, records INTEGER NOT NULL, below INTEGER NOT NULL, digest BLOB NOT NULL, done INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS hold (number INTEGER PRIMARY KEY AUTOINCREMENT, seed BLOB NOT NULL, sealed BLOB NOT NULL) STRICT;
";

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeafRow {
    pub(crate) number: u64,
    /// None when the record was erased.
    pub(crate) seed: Option<Vec<u8>>,
    pub(crate) day: i64,
    /// Where its frame begins in the file of its day.
    pub(crate) place: u64,
    /// Length of the ciphertext with its tag.
    pub(crate) length: u64,
    pub(crate) class: Class,
    /// Time of its first record.
    pub(crate) at: Timestamp,
    /// The entry that tells about the erasure.
    pub(crate) erased: Option<u64>,
}

/// The batch that was begun last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastBatch {
    /// The store of its rows.
    pub(crate) source: String,
    /// The row before its first.
    pub(crate) before: u64,
    /// Its first leaf.
    pub(crate) first: u64,
}

/// A hold as it rests: number, wrapped key, sealed text.
pub(crate) type SealedHold = (u64, Vec<u8>, Vec<u8>);

/// The table.
pub(crate) struct KeyTable {
    db: Connection,
}

pub(crate) fn failed(error: rusqlite::Error) -> TrailError {
    TrailError::Table { place: "keys.db", error }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What is due in a class before a time and below an entry. The entries that tell of erasures prove them,
/// and are never due.
const DUE: &str = "WHERE class = ?1 AND at < ?2 AND number < ?3 AND NOT held AND seed IS NOT NULL
                   AND number NOT IN (SELECT told FROM erasure)";

const COLUMNS: &str = "SELECT number, seed, day, place, length, class, at, erased FROM leaf ";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<LeafRow> {
    Ok(LeafRow {
        number: unsigned(row.get(0)?),
        seed: row.get(1)?,
        day: row.get(2)?,
        place: unsigned(row.get(3)?),
        length: unsigned(row.get(4)?),
        class: class_of(row.get(5)?),
        at: Timestamp::from_millis(row.get(6)?),
        erased: row.get::<_, Option<i64>>(7)?.map(unsigned),
    })
}

impl KeyTable {
    /// Opens the table for writing, and makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, TrailError> {
        let db = Connection::open(path).map_err(failed)?;
        let set_up = || -> rusqlite::Result<(i32, i32)> {
            db.busy_timeout(PATIENCE)?;
            let empty = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0))?;
            // What is deleted is overwritten, in the table and in its log.
            db.pragma_update(None, "secure_delete", true)?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
            if empty {
                db.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES}"))?;
                db.pragma_update(None, "application_id", APPLICATION_ID)?;
                db.pragma_update(None, "user_version", VERSION)?;
                db.execute_batch("COMMIT")?;
            }
            version(&db)
        };
        let found = set_up().map_err(failed)?;
        check(found)?;
        db.execute_batch(RETENTION).map_err(failed)?;
        Ok(Self { db })
    }

    /// Opens it for reading.
    pub(crate) fn read_only(path: &Path) -> Result<Self, TrailError> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        db.pragma_update(None, "query_only", true).map_err(failed)?;
        check(version(&db).map_err(failed)?)?;
        Ok(Self { db })
    }

    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, TrailError> {
        self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)
    }

    /// Number of leaves, numbered from zero without gaps.
    pub(crate) fn size(&self) -> Result<u64, TrailError> {
        let last = self.db.query_row("SELECT max(number) FROM leaf", [], |row| row.get::<_, Option<i64>>(0));
        Ok(last.map_err(failed)?.map_or(0, |last| unsigned(last).saturating_add(1)))
    }

    pub(crate) fn leaf(&self, number: u64) -> Result<Option<LeafRow>, TrailError> {
        let mut query = self.db.prepare_cached(&format!("{COLUMNS} WHERE number = ?1")).map_err(failed)?;
        query.query_row([signed(number)], read).optional().map_err(failed)
    }

    /// The leaves `[from, to)`.
    pub(crate) fn leaves(&self, from: u64, to: u64) -> Result<Vec<LeafRow>, TrailError> {
        let sql = format!("{COLUMNS} WHERE number >= ?1 AND number < ?2 ORDER BY number");
        let mut query = self.db.prepare_cached(&sql).map_err(failed)?;
        let rows = query.query_map((signed(from), signed(to)), read).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// The last row of this outbox that has a leaf.
    pub(crate) fn last_of(&self, source: &str) -> Result<Option<u64>, TrailError> {
        let mut query = self.db.prepare_cached("SELECT last FROM source WHERE id = ?1").map_err(failed)?;
        query.query_row([source], |row| row.get::<_, i64>(0)).optional().map(|last| last.map(unsigned)).map_err(failed)
    }

    /// Entries go on behind this row of an outbox.
    pub(crate) fn set_last(&self, source: &str, last: u64) -> Result<(), TrailError> {
        let sql = "INSERT OR REPLACE INTO source VALUES (?1, ?2)";
        self.db.execute(sql, (source, signed(last))).map(drop).map_err(failed)
    }

    /// The last batch that was begun.
    pub(crate) fn batch(&self) -> Result<Option<LastBatch>, TrailError> {
        let mut query = self.db.prepare_cached("SELECT source, before, first FROM batch").map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(LastBatch { source: row.get(0)?, before: unsigned(row.get(1)?), first: unsigned(row.get(2)?) })
        };
        query.query_row([], read).optional().map_err(failed)
    }

    /// Where the file of a day ends, by what this table knows; days with records only.
    pub(crate) fn day_ends(&self, from_day: i64) -> Result<Vec<(i64, u64)>, TrailError> {
        let sql = "SELECT day, max(place + length) FROM leaf WHERE day >= ?1 GROUP BY day";
        let mut query = self.db.prepare(sql).map_err(failed)?;
        let rows =
            query.query_map([from_day], |row| Ok((row.get(0)?, unsigned(row.get::<_, i64>(1)?)))).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// The last leaf, for where the next one goes.
    pub(crate) fn last(&self) -> Result<Option<LeafRow>, TrailError> {
        let sql = format!("{COLUMNS} ORDER BY number DESC LIMIT 1");
        self.db.query_row(&sql, [], read).optional().map_err(failed)
    }

    /// Takes back leaves that no checkpoint ever covered. Says how many.
    pub(crate) fn roll_back(&mut self, size: u64) -> Result<u64, TrailError> {
        let tx = self.begin()?;
        let undo = || -> rusqlite::Result<usize> {
            let gone = tx.execute("DELETE FROM leaf WHERE number >= ?1", [signed(size)])?;
            tx.execute("DELETE FROM erasure WHERE told >= ?1", [signed(size)])?;
            if gone > 0 {
                tx.execute(
                    "UPDATE source SET last = (SELECT before FROM batch) WHERE id = (SELECT source FROM batch)",
                    [],
                )?;
            }
            Ok(gone)
        };
        let gone = undo().map_err(failed)?;
        tx.commit().map_err(failed)?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Whether the table itself is whole.
    pub(crate) fn check_file(&self) -> Result<(), String> {
        let result = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        match result {
            Ok(text) if text == "ok" => Ok(()),
            Ok(text) => Err(text),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Calls for every leaf that is due, in ascending order.
    pub(crate) fn each_due(
        &self,
        class: Class,
        before: Timestamp,
        below: u64,
        each: &mut dyn FnMut(LeafRow) -> Result<(), TrailError>,
    ) -> Result<(), TrailError> {
        let sql = format!("{COLUMNS} {DUE} ORDER BY number");
        let mut query = self.db.prepare_cached(&sql).map_err(failed)?;
        let mut rows = query.query((class_number(class), before.millis(), signed(below))).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(read(row).map_err(failed)?)?;
        }
        Ok(())
    }

    /// Deletes the seeds of the leaves that an entry tells of, all or, when what is due is not exactly
    /// what was told, none. Done again after a crash it does nothing. Says how many are gone; none
    /// when they are not the ones that were told.
    pub(crate) fn erase(&mut self, purge: &Purge) -> Result<Option<u64>, TrailError> {
        let tx = self.begin()?;
        let erase = || -> rusqlite::Result<Option<usize>> {
            let told = signed(purge.told);
            if tx.query_row("SELECT EXISTS (SELECT 1 FROM leaf WHERE erased = ?1)", [told], |row| row.get(0))? {
                return Ok(Some(0));
            }
            let bounds = (class_number(purge.class), purge.before.millis(), signed(purge.erased.below.min(purge.told)));
            let mut due = LeafSet::default();
            let mut query = tx.prepare_cached(&format!("SELECT number FROM leaf {DUE} ORDER BY number"))?;
            let mut rows = query.query(bounds)?;
            while let Some(row) = rows.next()? {
                due.add(unsigned(row.get(0)?));
            }
            if due.finish() != (purge.records, purge.erased.digest) {
                return Ok(None);
            }
            let (class, before, below) = bounds;
            tx.execute(&format!("UPDATE leaf SET seed = NULL, erased = ?4 {DUE}"), (class, before, below, told))
                .map(Some)
        };
        let gone = erase().map_err(failed)?;
        tx.commit().map_err(failed)?;
        Ok(gone.map(|gone| u64::try_from(gone).unwrap_or(u64::MAX)))
    }

    /// Empties the write-ahead log, where old images of the pages live on. False when a reader is in
    /// the way.
    pub(crate) fn wipe(&self) -> Result<bool, TrailError> {
        empty_log(&self.db).map_err(failed)
    }

    /// Orders that are told and not carried out.
    pub(crate) fn pending(&self) -> Result<Vec<Purge>, TrailError> {
        let read = || -> rusqlite::Result<Vec<Purge>> {
            let sql = "SELECT told, class, before, records, below, digest FROM erasure WHERE NOT done ORDER BY told";
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map([], |row| {
                Ok(Purge {
                    told: unsigned(row.get(0)?),
                    class: class_of(row.get(1)?),
                    before: Timestamp::from_millis(row.get(2)?),
                    records: unsigned(row.get(3)?),
                    erased: ErasedEntries { below: unsigned(row.get(4)?), digest: Fingerprint::new(row.get(5)?) },
                })
            })?;
            rows.collect()
        };
        read().map_err(failed)
    }

    /// An order was carried out.
    pub(crate) fn purged(&self, told: u64) -> Result<(), TrailError> {
        self.db.execute("UPDATE erasure SET done = 1 WHERE told = ?1", [signed(told)]).map(drop).map_err(failed)
    }

    /// An order is not carried out, now or later.
    pub(crate) fn given_up(&self, told: u64) -> Result<(), TrailError> {
        self.db.execute("UPDATE erasure SET done = 2 WHERE told = ?1", [signed(told)]).map(drop).map_err(failed)
    }

    /// What became of an order that erases these entries.
    pub(crate) fn outcome(&self, class: Class, erased: &ErasedEntries) -> Result<Outcome, TrailError> {
        let sql = "SELECT done, (SELECT count(*) FROM leaf WHERE erased = told) FROM erasure
                   WHERE class = ?1 AND below = ?2 AND digest = ?3 AND told >= ?2 ORDER BY told DESC LIMIT 1";
        let values = (class_number(class), signed(erased.below), erased.digest.as_bytes());
        let found = self.db.query_row(sql, values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional();
        Ok(match found.map_err(failed)? {
            None | Some((0, _)) => Outcome::Waits,
            Some((1, count)) => Outcome::Erased(unsigned(count)),
            Some(_) => Outcome::GivenUp,
        })
    }

    /// The holds.
    pub(crate) fn holds(&self) -> Result<Vec<SealedHold>, TrailError> {
        let read = || -> rusqlite::Result<Vec<SealedHold>> {
            let mut query = self.db.prepare_cached("SELECT number, seed, sealed FROM hold ORDER BY number")?;
            query.query_map([], |row| Ok((unsigned(row.get(0)?), row.get(1)?, row.get(2)?)))?.collect()
        };
        read().map_err(failed)
    }

    /// Adds a hold.
    pub(crate) fn add_hold(&mut self, seed: &[u8; WRAPPED], sealed: &[u8]) -> Result<u64, TrailError> {
        let insert = "INSERT INTO hold (seed, sealed) VALUES (?1, ?2) RETURNING number";
        self.db.query_row(insert, (seed.as_slice(), sealed), |row| row.get(0)).map(unsigned).map_err(failed)
    }

    /// Removes a hold; says whether there was one.
    pub(crate) fn remove_hold(&mut self, number: u64) -> Result<bool, TrailError> {
        let removed = self.db.execute("DELETE FROM hold WHERE number = ?1", [signed(number)]);
        removed.map(|count| count > 0).map_err(failed)
    }

    /// These leaves are held, and no others.
    pub(crate) fn mark_held(&mut self, held: &BTreeSet<u64>) -> Result<(), TrailError> {
        let tx = self.begin()?;
        let mark = || -> rusqlite::Result<()> {
            tx.execute("UPDATE leaf SET held = 0 WHERE held", [])?;
            let mut update = tx.prepare_cached("UPDATE leaf SET held = 1 WHERE number = ?1")?;
            held.iter().try_for_each(|leaf| update.execute([signed(*leaf)]).map(drop))
        };
        mark().map_err(failed)?;
        tx.commit().map_err(failed)
    }
}

fn version(db: &Connection) -> rusqlite::Result<(i32, i32)> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

fn check(found: (i32, i32)) -> Result<(), TrailError> {
    match found {
        (APPLICATION_ID, VERSION) => Ok(()),
        (APPLICATION_ID, version) => Err(TrailError::Foreign(format!("keys.db has version {version}"))),
        _ => Err(TrailError::Foreign("keys.db is not a key table of Sceau".to_owned())),
    }
}

/// Copies a database's write-ahead log back and cuts it to nothing. False when a reader is in the way
/// for longer than a moment: nobody waits for it here.
pub(crate) fn empty_log(db: &Connection) -> rusqlite::Result<bool> {
    db.busy_timeout(Duration::from_millis(200))?;
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    db.busy_timeout(PATIENCE)?;
    busy.map(|busy| busy == 0)
}

fn class_of(number: i64) -> Class {
    match number {
        0 => Class::Mail,
        1 => Class::Access,
        _ => Class::Operation,
    }
}

fn class_number(class: Class) -> i64 {
    match class {
        Class::Mail => 0,
        Class::Access => 1,
        Class::Operation => 2,
    }
}

/// Writes the batch that is about to be sequenced: first its frame, then its leaves.
pub(crate) fn begin_batch(
    tx: &Transaction<'_>,
    source: &str,
    before: u64,
    first: u64,
    last: u64,
) -> Result<(), TrailError> {
    let write = || -> rusqlite::Result<()> {
        tx.prepare_cached("INSERT OR REPLACE INTO batch VALUES (1, ?1, ?2, ?3)")?.execute((
            source,
            signed(before),
            signed(first),
        ))?;
        tx.prepare_cached("INSERT OR REPLACE INTO source VALUES (?1, ?2)")?.execute((source, signed(last)))?;
        Ok(())
    };
    write().map_err(failed)
}

/// Writes a leaf.
pub(crate) fn insert(tx: &Transaction<'_>, row: &LeafRow, seed: &[u8; WRAPPED]) -> Result<(), TrailError> {
    let mut insert = tx
        .prepare_cached(
            "INSERT INTO leaf (number, seed, day, place, length, class, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .map_err(failed)?;
    let values = (
        signed(row.number),
        seed,
        row.day,
        signed(row.place),
        signed(row.length),
        class_number(row.class),
        row.at.millis(),
    );
    insert.execute(values).map(drop).map_err(failed)
}

/// Notes an order to erase that an entry tells of.
pub(crate) fn note_purge(tx: &Transaction<'_>, purge: &Purge) -> Result<(), TrailError> {
    let sql =
        "INSERT OR REPLACE INTO erasure (told, class, before, records, below, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = (
        signed(purge.told),
        class_number(purge.class),
        purge.before.millis(),
        signed(purge.records),
        signed(purge.erased.below),
        purge.erased.digest.as_bytes(),
    );
    tx.execute(sql, values).map(drop).map_err(failed)
}
