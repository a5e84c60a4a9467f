//! The journal in memory and on disk: what is taken in is remembered first.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ident::{Fingerprint, Timestamp};

use super::journal::{Folder, Journal};
use crate::{fetch::Tags, queued::digest};

/// From when something holds, and until when.
pub(super) type Dates = (Timestamp, Timestamp);

/// What is remembered, shared by everybody who asks a source.
#[derive(Debug)]
pub(super) struct Notes {
    folder: Folder,
    journal: Mutex<Journal>,
}

impl Notes {
    pub(super) fn new(folder: Folder, journal: Journal) -> Self {
        Self { folder, journal: Mutex::new(journal) }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the copy of what a source gave, and the journal that names it: on stable storage when it
    /// returns. Call it before what was given takes effect. Blocking.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn remember(
        &self,
        name: &str,
        octets: &[u8],
        dates: Option<Dates>,
        tags: &Tags,
    ) -> io::Result<Fingerprint> {
        // One lock for both writes: writing the journal removes copies that it does not name.
        let mut journal = self.journal();
        let copy = digest(octets);
        let known = journal.sources.get(name).is_some_and(|entry| entry.copy == Some(copy));
        if known && self.folder.holds(copy) {
            return Ok(copy);
        }
        self.folder.keep(octets)?;
        let mut next = journal.clone();
        let entry = next.sources.entry(name.to_owned()).or_default();
        (entry.tags, entry.copy) = (tags.clone(), Some(copy));
        (entry.this_update, entry.next_update) = dates.unzip();
        self.folder.write(&next)?;
        *journal = next;
        Ok(copy)
    }

    /// Writes the journal as it is now. Blocking.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn write(&self) -> io::Result<()> {
        self.folder.write(&self.journal())
    }
}
