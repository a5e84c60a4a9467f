//! Which destinations may have due work, remembered between claims: with a thousand destinations in trouble
//! nobody asks the index a thousand times for each piece of work that goes elsewhere.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{claim::all_destinations, failure::SqlResult};

/// For each destination that somebody must look at some day: a moment before which nothing of it is due. It may
/// be too early, which costs a look, and is never too late.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    earliest: BTreeMap<String, i64>,
    /// SQLite's mark of the state that was read; another one means that another process wrote.
    read_at: Option<i64>,
}

impl Lines {
    /// Something for this destination is to be looked at then.
    pub(crate) fn expect(&mut self, destination: &str, wake: Option<i64>) {
        let Some(wake) = wake else { return };
        match self.earliest.get_mut(destination) {
            Some(earliest) => *earliest = wake.min(*earliest),
            None => drop(self.earliest.insert(destination.to_owned(), wake)),
        }
    }

    /// What was done is undone: nothing that was concluded from it holds.
    pub(crate) fn forget(&mut self) {
        self.read_at = None;
    }

    /// Reads everything anew if anything but the own commits may have changed it.
    pub(crate) fn refresh(&mut self, db: &Connection) -> SqlResult<()> {
        let mark: i64 = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.read_at != Some(mark) {
            self.earliest.clear();
            self.read_at = None;
            for destination in all_destinations(db)? {
                self.settle(db, destination)?;
            }
            self.read_at = Some(mark);
        }
        Ok(())
    }

    /// Destinations that may have something due, in their order.
    pub(crate) fn due(&self, now: i64) -> Vec<String> {
        self.earliest.iter().filter(|(_, earliest)| **earliest <= now).map(|(name, _)| name.clone()).collect()
    }

    /// Nothing more of a destination is due now: looks up what is next.
    pub(crate) fn settle(&mut self, db: &Connection, destination: String) -> SqlResult<()> {
        let next: Option<i64> = db
            .prepare_cached("SELECT min(wake) FROM recipient WHERE destination = ?1 AND wake > 0")?
            .query_row([&destination], |row| row.get(0))?;
        match next {
            Some(next) => drop(self.earliest.insert(destination, next)),
            None => drop(self.earliest.remove(&destination)),
        }
        Ok(())
    }
}
