//! What a start does before it serves, and how it tells what it found.

use std::collections::HashSet;

use ident::Bilingual;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    claim,
    failure::{Failure, SqlResult},
    files::Bodies,
    rows, schema,
};
use crate::StoreError;

/// What a start found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The process before did not end by itself.
    pub unclean: bool,
    /// Messages that have not ended.
    pub messages: u64,
    /// Deliveries that were under way: they begin again, and their recipients may get a second copy.
    /// Counts also what earlier starts found that ended before they could tell ([`super::SqliteStore::told`]).
    pub interrupted: u64,
    /// Bodies that were being received: never acknowledged, removed.
    pub unfinished: u64,
    /// Whole bodies that no message names: never acknowledged, or no longer needed, removed.
    pub orphans: u64,
    /// Files that messages name and that are not there: their messages need a person.
    pub missing: Vec<String>,
}

impl Recovery {
    /// The sentence for the log, the trail and `doctor`.
    pub fn explain(&self) -> Bilingual {
        if !self.unclean {
            return Bilingual::new(
                format!("arrêt précédent normal, {} message(s) en file", self.messages),
                format!("the last stop was a normal one, {} message(s) queued", self.messages),
            );
        }
        let missing = self.missing.len();
        Bilingual::new(
            format!(
                "arrêt précédent brutal : {} message(s) en file ; {} remise(s) interrompue(s), reprises, un doublon est possible ; {} corps inachevé(s) et {} corps sans message supprimés, jamais acquittés ou déjà remis ; {missing} corps manquant(s)",
                self.messages, self.interrupted, self.unfinished, self.orphans
            ),
            format!(
                "the last stop was not a normal one: {} message(s) queued; {} interrupted delivery(ies) begin again, a second copy is possible; {} unfinished body(ies) and {} body(ies) without a message removed, never acknowledged or already delivered; {missing} body(ies) missing",
                self.messages, self.interrupted, self.unfinished, self.orphans
            ),
        )
    }
}

/// Interrupted deliveries that were found and not told yet: a start may be killed before it has spoken.
pub(crate) const UNTOLD: &str = "untold";

/// Counts this start, and says whether the one before ended well.
pub(crate) fn begin(db: &mut Connection, serve: bool) -> Result<(i64, bool), StoreError> {
    let count = |db: &mut Connection| -> SqlResult<(i64, bool)> {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let generation = schema::meta(&tx, "generation")?.saturating_add(1);
        schema::set_meta(&tx, "generation", generation)?;
        let unclean = schema::meta(&tx, "clean")? == 0;
        if serve {
            schema::set_meta(&tx, "clean", 0)?;
        }
        tx.commit()?;
        Ok((generation, unclean))
    };
    count(db).map_err(Failure::into_error)
}

/// The name of this store, drawn by the engine when it was made.
pub(crate) fn identity(db: &Connection) -> Result<String, StoreError> {
    let number = schema::meta(db, "identity").map_err(Failure::into_error)?;
    Ok(format!("{number:016x}"))
}

/// Takes back leases and sweeps bodies.
pub(crate) fn recover(db: &mut Connection, bodies: &Bodies, unclean: bool) -> Result<Recovery, StoreError> {
    let mut recovery = void(db, unclean).map_err(Failure::into_error)?;
    if unclean {
        let named = named_files(db).map_err(Failure::into_error)?;
        let swept = bodies.sweep(named).map_err(|error| bodies.trouble(&error))?;
        recovery.unfinished = swept.unfinished;
        recovery.orphans = swept.orphans;
        recovery.missing = swept.missing;
    }
    Ok(recovery)
}

fn void(db: &mut Connection, unclean: bool) -> SqlResult<Recovery> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = if unclean { u64::try_from(schema::meta(&tx, UNTOLD)?).unwrap_or(0) } else { 0 };
    let interrupted = claim::void_leases(&tx)?.saturating_add(before);
    schema::set_meta(&tx, UNTOLD, i64::try_from(interrupted).unwrap_or(i64::MAX))?;
    let messages = tx.query_row("SELECT count(*) FROM message WHERE open > 0", [], |row| rows::count(row, 0))?;
    tx.commit()?;
    Ok(Recovery { unclean, messages, interrupted, ..Recovery::default() })
}

/// Every file that a row names.
pub(crate) fn named_files(db: &Connection) -> SqlResult<HashSet<String>> {
    let mut query = db.prepare("SELECT file FROM body WHERE file IS NOT NULL")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
