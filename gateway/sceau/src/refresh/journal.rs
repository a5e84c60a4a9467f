//! What is remembered over restarts: each source's history, and copies of what it gave, below the data
//! folder (`data/refresh`).
//!
//! A copy's file is named after its SHA-256 and the journal names the copy, so that a half-written or
//! altered file is noticed; whatever a power cut leaves is the old journal or the new one. Copies are
//! verified again when they are read: nothing on this disk is believed because it is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ident::{Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

use super::plan::Past;
use crate::{fetch::Tags, queued::digest};

/// The file of the journal.
const JOURNAL: &str = "journal.json";
/// Form of it.
const FORMAT: u32 = 1;
/// Largest journal.
const MAX_JOURNAL: u64 = 16 * 1024 * 1024;
/// Largest copy.
const MAX_COPY: u64 = 64 * 1024 * 1024;

/// Everything remembered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Journal {
    format: u32,
    /// This installation's own random number: its hour.
    pub chance: u64,
    /// By source.
    pub sources: BTreeMap<String, Entry>,
}

/// What is remembered of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When it was last asked.
    pub last_try: Option<Timestamp>,
    /// When it last gave what it should, or said that nothing has changed.
    pub last_success: Option<Timestamp>,
    /// Failures since.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// What was wrong the last time, and where.
    pub error: Option<String>,
    /// Date of what is held of it: nothing older is taken, even if the copy is lost.
    pub this_update: Option<Timestamp>,
    /// When its successor is due.
    pub next_update: Option<Timestamp>,
    /// What the publisher said about it.
    pub tags: Tags,
    /// SHA-256 of what it gave.
    pub copy: Option<Fingerprint>,
}

impl Entry {
    /// As far as the plan is concerned.
    pub fn past(&self) -> Past {
        Past { last_try: self.last_try, failures: self.failures, held: self.this_update.zip(self.next_update) }
    }
}

/// The folder of journal and copies.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Below a data folder.
    pub fn below(data: &Path) -> Self {
        Self(data.join("refresh"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is remembered; an empty journal when nothing was ever written.
    ///
    /// # Errors
    /// Those of the disk; [`io::ErrorKind::InvalidData`] when the file is not what we wrote.
    pub fn read(&self) -> io::Result<Journal> {
        let octets = match bounded(&self.0.join(JOURNAL), MAX_JOURNAL) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journal::default()),
            octets => octets?,
        };
        let journal: Journal = serde_json::from_slice(&octets).map_err(|error| invalid(&error.to_string()))?;
        if journal.format == FORMAT { Ok(journal) } else { Err(invalid("the journal has another format")) }
    }

    /// Writes the journal, on stable storage when it returns, and removes copies that it does not name.
    ///
    /// # Errors
    /// Those of the disk: then what was there before still is.
    pub fn write(&self, journal: &Journal) -> io::Result<()> {
        let journal = Journal { format: FORMAT, ..journal.clone() };
        self.place(JOURNAL, &serde_json::to_vec_pretty(&journal)?)?;
        let kept: BTreeSet<String> = journal.sources.values().filter_map(|entry| entry.copy).map(file_name).collect();
        for entry in fs::read_dir(&self.0)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".copy") && !kept.contains(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Keeps a copy; the journal must name it before the next [`Self::write`].
    ///
    /// # Errors
    /// Those of the disk.
    pub fn keep(&self, octets: &[u8]) -> io::Result<Fingerprint> {
        let digest = digest(octets);
        self.place(&file_name(digest), octets)?;
        Ok(digest)
    }

    /// Whether there is such a copy; what it holds is seen when it is read.
    pub fn holds(&self, name: Fingerprint) -> bool {
        self.0.join(file_name(name)).is_file()
    }

    /// A copy, whole.
    ///
    /// # Errors
    /// Those of the disk; [`io::ErrorKind::InvalidData`] when it is not what was kept.
    pub fn copy(&self, name: Fingerprint) -> io::Result<Vec<u8>> {
        let octets = bounded(&self.0.join(file_name(name)), MAX_COPY)?;
        if digest(&octets) == name { Ok(octets) } else { Err(invalid("the copy was altered")) }
    }

    /// Written beside, synced, renamed, the folder synced.
    fn place(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if !self.0.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            self.0.parent().map_or(Ok(()), |data| File::open(data)?.sync_all())?;
        }
        let beside = self.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }
}

fn file_name(digest: Fingerprint) -> String {
    format!("{}.copy", digest.to_string().replace(':', "").to_ascii_lowercase())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A whole file of bounded size.
fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > limit { Err(invalid("the file is larger than it may be")) } else { fs::read(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_whole_or_noticed_and_old_ones_go() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::below(place.path());
        assert!(folder.read().unwrap().sources.is_empty());
        let first = folder.keep(b"first").unwrap();
        let mut journal = Journal { chance: 7, ..Journal::default() };
        let entry =
            |copy| Entry { copy: Some(copy), this_update: Some(Timestamp::from_seconds(5)), ..Entry::default() };
        journal.sources.insert("http://a.test/".to_owned(), entry(first));
        folder.write(&journal).unwrap();
        let again = folder.read().unwrap();
        assert_eq!((again.chance, &again.sources["http://a.test/"]), (7, &entry(first)));
        assert_eq!(folder.copy(first).unwrap(), b"first");

        let second = folder.keep(b"second").unwrap();
        journal.sources.insert("http://a.test/".to_owned(), entry(second));
        folder.write(&journal).unwrap();
        assert!(folder.copy(first).is_err(), "the old copy is gone");
        fs::write(folder.path().join(file_name(second)), b"altered").unwrap();
        assert_eq!(folder.copy(second).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(folder.path().join(JOURNAL), b"{").unwrap();
        assert_eq!(folder.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
