//! The state of each source in words, from what is remembered on disk: for `sceau doctor`.

use std::{fmt, io};

use ident::Timestamp;

use super::{
    alarm,
    journal::{Entry, Folder, Journal},
    next_of, sources,
};
use crate::{config::Loaded, snapshot::Snapshot};

/// How one source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// What is remembered of it.
    pub entry: Entry,
    /// When it is asked next.
    pub next: Timestamp,
    now: Timestamp,
}

impl SourceReport {
    /// Whether it gave what it should the last time, and that still holds.
    pub fn is_well(&self) -> bool {
        self.entry.last_success.is_some()
            && self.entry.error.is_none()
            && self.entry.next_update.is_none_or(|next| next >= self.now)
    }
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match self.entry.last_success {
            Some(at) => write!(f, "last success {at} ({} min ago)", self.now.since(at).as_secs().div_euclid(60))?,
            None => f.write_str("never answered")?,
        }
        if let Some((this, next)) = self.entry.this_update.zip(self.entry.next_update) {
            write!(f, ", of {this}, holds until {next}")?;
        }
        write!(f, ", next try {}", self.next)?;
        match &self.entry.error {
            Some(error) => write!(f, ", {} failures: {error}", self.entry.failures),
            None => Ok(()),
        }
    }
}

/// Every source that there is to ask.
///
/// # Errors
/// Those of the disk.
pub fn report(loaded: &Loaded, snapshot: &Snapshot, now: Timestamp) -> io::Result<Vec<SourceReport>> {
    let journal = Folder::below(&loaded.data()).read()?;
    let found = sources::all(snapshot, now).into_iter().map(|(name, source)| {
        let entry = journal.sources.get(&name).cloned().unwrap_or_default();
        let next = next_of(&name, &source, &journal, &snapshot.config.refresh, now);
        SourceReport { name, entry, next, now }
    });
    Ok(found.collect())
}

/// Revocation lists past their date, in words.
pub fn out_of_date(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let standing = alarm::standing(snapshot, &Journal::default(), now);
    standing.into_values().map(|trouble| trouble.words).collect()
}
