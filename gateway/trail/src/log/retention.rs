//! What is kept, what is held back from erasure, and what is due.
//!
//! A hold rests sealed like a record. Which entries it holds is looked up in the index each time
//! that something is to be erased, so entries that come after the hold are held too.

use std::{collections::BTreeSet, path::Path};

use ident::{Fingerprint, Timestamp};
use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};

use super::{
    error::TrailError,
    keys::KeyTable,
    layout::Folder,
    seal::{Seed, Wrapping},
    sequencer::{open, parse},
};
use crate::{Class, ErasedEntries, Event, SafeText, index::Index};

/// Entries that must not be erased for as long as this stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Terms as in [`super::Search`]: an entry that carries all of them is held, and with it all about its message.
    pub terms: Vec<String>,
    /// Only entries from this day on (UTC).
    pub since: Option<Timestamp>,
    /// Only entries to this day (UTC).
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: SafeText,
    /// Who ordered it.
    pub by: SafeText,
    /// When.
    pub at: Timestamp,
}

/// An order to erase that was told in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// The entry that tells of it.
    pub told: u64,
    /// Class of records.
    pub class: Class,
    /// Older than this.
    pub before: Timestamp,
    /// Exactly so many.
    pub records: u64,
    /// Exactly these.
    pub erased: ErasedEntries,
}

/// What is due in a class: every record that it counts was opened and is of that class and that old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Class of records.
    pub class: Class,
    /// Older than this.
    pub before: Timestamp,
    /// So many.
    pub records: u64,
    /// These.
    pub erased: ErasedEntries,
}

impl Due {
    /// The event that orders, and tells of, its erasure.
    pub fn event(&self) -> Event {
        let Self { class, before, records, erased } = *self;
        Event::TrailPurged { class, before, records, erased: Some(erased) }
    }
}

/// What became of an order to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Waits,
    /// So many records are gone.
    Erased(u64),
    /// What is due was no more what was told: nothing is erased.
    GivenUp,
}

/// Numbers of entries, counted and hashed in ascending order.
#[derive(Clone)]
pub(crate) struct LeafSet {
    count: u64,
    hash: Sha256,
}

impl Default for LeafSet {
    fn default() -> Self {
        let mut hash = Sha256::new();
        hash.update(b"sceau erased entries v1\0");
        Self { count: 0, hash }
    }
}

impl LeafSet {
    pub(crate) fn add(&mut self, leaf: u64) {
        self.count = self.count.saturating_add(1);
        self.hash.update(&leaf.to_be_bytes());
    }

    pub(crate) fn finish(self) -> (u64, Fingerprint) {
        (self.count, Fingerprint::new(self.hash.finish()))
    }
}

/// What is held and due in a trail, which another process may be writing.
pub struct Retention {
    folder: Folder,
    keys: KeyTable,
    wrapping: Wrapping,
    index: Index,
}

impl Retention {
    /// Opens it.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn open(dir: &Path, wrapping: &[u8; 32]) -> Result<Self, TrailError> {
        let folder = Folder::new(dir);
        let wrapping = Wrapping::new(wrapping).ok_or(TrailError::Crypto("take the wrapping key"))?;
        // Nothing is made here: a trail begins when the gateway starts.
        KeyTable::read_only(&folder.keys())?;
        let keys = KeyTable::open(&folder.keys())?;
        let index = Index::read_only(&folder.index(), &wrapping.terms)?;
        Ok(Self { folder, keys, wrapping, index })
    }

    /// The holds with their numbers.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn holds(&self) -> Result<Vec<(u64, Hold)>, TrailError> {
        holds(&self.keys, &self.wrapping)
    }

    /// Adds a hold and gives its number.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn add(&mut self, hold: &Hold) -> Result<u64, TrailError> {
        let seed = Seed::random().ok_or(TrailError::Crypto("make a key"))?;
        let json = serde_json::to_vec(hold).map_err(|error| TrailError::damaged("hold", error.to_string()))?;
        let sealed = seed.seal(HOLDS, &json).ok_or(TrailError::Crypto("seal a hold"))?;
        let wrapped = self.wrapping.wrap(&seed).ok_or(TrailError::Crypto("wrap a key"))?;
        self.keys.add_hold(&wrapped, &sealed)
    }

    /// Lifts a hold. Says whether there was one.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn remove(&mut self, number: u64) -> Result<bool, TrailError> {
        self.keys.remove_hold(number)
    }

    /// How many entries a hold holds, as the log is now.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn matches(&self, hold: &Hold) -> Result<usize, TrailError> {
        Ok(held_by(hold, &self.folder, &self.keys, &self.index, &self.wrapping)?.len())
    }

    /// What is due in a class: older than `before`, readable and not held. Each record is opened, so
    /// that nobody who touched the table has others erased than those.
    ///
    /// # Errors
    /// [`TrailError::Damaged`] when the table says something else than a record; see [`TrailError`].
    pub fn due(&mut self, class: Class, before: Timestamp) -> Result<Due, TrailError> {
        hold_back(&self.folder, &mut self.keys, &self.index, &self.wrapping)?;
        let below = self.keys.size()?;
        let mut due = LeafSet::default();
        self.keys.each_due(class, before, below, &mut |row| {
            let place = || format!("entry {}", row.number);
            let lines = open(&self.folder, &self.wrapping, &row)?.unwrap_or_default();
            let records = parse(&lines, row.number)?;
            let first = records.first().ok_or_else(|| TrailError::damaged(place(), "it holds no record"))?;
            if first.event.class() != class || first.at != row.at {
                let what = "the table of keys says something else than the record: nothing is erased";
                return Err(TrailError::damaged(place(), what));
            }
            if records.iter().any(|record| matches!(record.event, Event::TrailPurged { erased: Some(_), .. })) {
                return Err(TrailError::damaged(place(), "the table of keys has lost the erasure that it tells of"));
            }
            due.add(row.number);
            Ok(())
        })?;
        let (records, digest) = due.finish();
        Ok(Due { class, before, records, erased: ErasedEntries { below, digest } })
    }

    /// What became of an order.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn outcome(&self, due: &Due) -> Result<Outcome, TrailError> {
        self.keys.outcome(due.class, &due.erased)
    }
}

/// What stands for the entry number in the sealing of holds: no entry has it.
const HOLDS: u64 = u64::MAX;

fn holds(keys: &KeyTable, wrapping: &Wrapping) -> Result<Vec<(u64, Hold)>, TrailError> {
    let open = |(number, wrapped, sealed): (u64, Vec<u8>, Vec<u8>)| {
        let place = || format!("hold {number}");
        let seed =
            wrapping.unwrap(&wrapped).ok_or_else(|| TrailError::damaged(place(), "its key cannot be unwrapped"))?;
        let json = seed.open(HOLDS, &sealed).ok_or_else(|| TrailError::damaged(place(), "it cannot be decrypted"))?;
        let hold = serde_json::from_slice(&json).map_err(|error| TrailError::damaged(place(), error.to_string()))?;
        Ok((number, hold))
    };
    keys.holds()?.into_iter().map(open).collect()
}

/// Marks what the holds hold, by the index as it is now. A hold that cannot be read, or an index
/// that lags behind, erases nothing.
pub(super) fn hold_back(
    folder: &Folder,
    keys: &mut KeyTable,
    index: &Index,
    wrapping: &Wrapping,
) -> Result<(), TrailError> {
    let holds = holds(keys, wrapping)?;
    let mut held = BTreeSet::new();
    if !holds.is_empty() && index.size()? < keys.size()? {
        return Err(TrailError::Behind);
    }
    for (_, hold) in holds {
        held.extend(held_by(&hold, folder, keys, index, wrapping)?);
    }
    keys.mark_held(&held)
}

/// The entries that carry what a hold names, and all others about the messages that they tell of: whoever
/// asks for the mail of a sender asks for what became of it.
fn held_by(
    hold: &Hold,
    folder: &Folder,
    keys: &KeyTable,
    index: &Index,
    wrapping: &Wrapping,
) -> Result<BTreeSet<u64>, TrailError> {
    let named = index.find(&hold.terms, hold.since, hold.until, None, usize::MAX)?;
    let mut messages = BTreeSet::new();
    for leaf in &named {
        let row = keys.leaf(*leaf)?;
        let lines = row.map(|row| open(folder, wrapping, &row)).transpose()?.flatten().unwrap_or_default();
        messages.extend(parse(&lines, *leaf)?.iter().filter_map(|record| record.message));
    }
    let mut held = BTreeSet::from_iter(named);
    for message in messages {
        held.extend(index.find(&[format!("id:{message}")], None, None, None, usize::MAX)?);
    }
    Ok(held)
}
