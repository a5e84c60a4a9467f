//! A registry file that orders change: one at a time, as a whole, and with what the trail must be told beside it until
//! it has been told.
//!
//! What is to be told is written down before the file is replaced, with the digest that the file will have. Whoever
//! comes next after a crash sees by the digest whether the change took place, and tells it or forgets it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use annuaire::{
    MAX_REGISTRY_BYTES, Registry,
    desk::{Draft, DraftError},
};
use ident::{Fingerprint, Timestamp};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::replace::replace;

/// Largest file of what is still to be told.
const MAX_PENDING: u64 = 256 * 1024 * 1024;

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileStamp(Option<(u64, i64, i64, u64)>);

impl FileStamp {
    /// That of what is there now; one call to the system.
    pub(crate) fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self(found.map(|it| (it.ino(), it.mtime(), it.mtime_nsec(), it.size())))
    }

    /// Whether there is a file.
    pub(crate) const fn is_known(self) -> bool {
        self.0.is_some()
    }
}

/// What the trail must be told of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// When.
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) by: String,
    /// What was done.
    pub(crate) action: String,
    /// To which mailbox.
    pub(crate) target: String,
    /// Which change, and why.
    pub(crate) reason: Option<String>,
}

/// Changes that are still to be told.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    /// They took place.
    settled: Vec<Note>,
    /// They took place if the file is this one.
    after: Option<Fingerprint>,
    unsettled: Vec<Note>,
}

/// Why a registry was not changed.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// The system refused.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// The registry is not in order, or not of a form that orders can change.
    #[error("{0}: {1}")]
    Draft(PathBuf, DraftError),
}

/// One registry file.
#[derive(Debug, Clone)]
pub(crate) struct RegistryFile(PathBuf);

/// A registry file that nobody else changes meanwhile.
#[derive(Debug)]
pub(crate) struct Changing {
    file: RegistryFile,
    /// The lock, for as long as this lives.
    _lock: File,
    text: String,
    pending: Pending,
    /// The registry with the orders so far.
    pub(crate) draft: Draft,
}

impl RegistryFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn folder(&self) -> &Path {
        self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn beside(&self) -> PathBuf {
        self.hidden("untold")
    }

    fn hidden(&self, ending: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.folder().join(format!(".{name}.{ending}"))
    }

    /// A file of its own: the registry itself is another one after each change. It holds nothing, so that whoever may
    /// change the registry may open it.
    fn lock(&self) -> io::Result<File> {
        let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let (path, mut options) = (self.hidden("lock"), OpenOptions::new());
        options.read(true).write(true).create(true).truncate(false).mode(0o644).custom_flags(nofollow);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                OpenOptions::new().read(true).custom_flags(nofollow).open(&path)?
            }
            opened => opened?,
        };
        file.lock()?;
        Ok(file)
    }

    fn disk(&self) -> impl Fn(io::Error) -> FileError {
        |error| FileError::Disk(self.0.clone(), error)
    }

    /// Waits until nobody else changes it, and reads it.
    ///
    /// # Errors
    /// See [`FileError`].
    pub(crate) fn change(&self) -> Result<Changing, FileError> {
        let lock = self.lock().map_err(self.disk())?;
        let text = self.read(&self.0, MAX_REGISTRY_BYTES)?;
        let draft = Draft::of(&text).map_err(|error| FileError::Draft(self.0.clone(), error))?;
        let pending = self.pending(&text)?;
        Ok(Changing { file: self.clone(), _lock: lock, text, pending, draft })
    }

    fn read(&self, path: &Path, most: u64) -> Result<String, FileError> {
        let read = || match fs::metadata(path)?.len() {
            size if size > most => Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than it may be")),
            _ => fs::read_to_string(path),
        };
        read().map_err(|error| FileError::Disk(path.to_owned(), error))
    }

    /// What is to be told of what took place.
    fn pending(&self, text: &str) -> Result<Pending, FileError> {
        let path = self.beside();
        if !path.exists() {
            return Ok(Pending::default());
        }
        let written = self.read(&path, MAX_PENDING)?;
        let mut pending: Pending = serde_json::from_str(&written)
            .map_err(|error| FileError::Disk(path, io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let unsettled = std::mem::take(&mut pending.unsettled);
        if pending.after.take() == Some(digest(text)) {
            pending.settled.extend(unsettled);
        }
        Ok(pending)
    }
}

impl Changing {
    /// What took place and the trail does not know yet.
    pub(crate) fn untold(&self) -> &[Note] {
        &self.pending.settled
    }

    /// Writes the registry with the orders carried out, and beside it what is to be told; nothing when nothing differs.
    ///
    /// # Errors
    /// See [`FileError`]; the registry is then as it was.
    pub(crate) fn write(&mut self, notes: Vec<Note>) -> Result<Registry, FileError> {
        let (text, registry) = self.draft.text().map_err(|error| FileError::Draft(self.file.0.clone(), error))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_REGISTRY_BYTES {
            let full = io::Error::new(io::ErrorKind::FileTooLarge, "the registry would be larger than it may be");
            return Err(FileError::Disk(self.file.0.clone(), full));
        }
        if text == self.text {
            return Ok(registry);
        }
        let settled = self.pending.settled.clone();
        self.keep(&Pending { settled, after: Some(digest(&text)), unsettled: notes.clone() })?;
        replace(&self.file.0, text.as_bytes()).map_err(self.file.disk())?;
        self.pending.settled.extend(notes);
        self.text = text;
        Ok(registry)
    }

    fn keep(&self, pending: &Pending) -> Result<(), FileError> {
        let path = self.file.beside();
        let octets = serde_json::to_vec(pending).map_err(io::Error::from);
        octets.and_then(|octets| replace(&path, &octets)).map_err(|error| FileError::Disk(path, error))
    }

    /// The trail knows everything that is [`Self::untold`].
    ///
    /// # Errors
    /// Those of the system: it is then told once more.
    pub(crate) fn told(self) -> Result<(), FileError> {
        let path = self.file.beside();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::Disk(path, error)),
            _ => Ok(()),
        }
    }
}

fn digest(text: &str) -> Fingerprint {
    Fingerprint::new(openssl::sha::sha256(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use annuaire::desk::{National, Order, Rules};
    use ident::{Address, Domain};

    use super::*;

    const TEXT: &str = "[[mailbox]]\naddress = \"a@ch.test\"\ntype = \"PER\"\nowner = \"899700000001\"\n";

    fn note(target: &str) -> Note {
        let (by, action) = ("root".to_owned(), "mailbox.close".to_owned());
        Note { at: Timestamp::EPOCH, by, action, target: target.to_owned(), reason: None }
    }

    fn closing(changing: &mut Changing) {
        let rules = Rules {
            domains: [Domain::parse("ch.test").unwrap()].into(),
            reuse_after: None,
            accept_unknown: true,
            now: Timestamp::from_seconds(1_796_000_000),
        };
        let order = Order::Close { address: Address::parse("a@ch.test").unwrap(), successor: None };
        changing.draft.carry_out(&order, National::default(), &rules).unwrap();
    }

    #[test]
    fn what_took_place_is_told_whatever_crash_there_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = RegistryFile::new(folder.path().join("registry.toml"));
        fs::write(file.path(), TEXT).unwrap();
        let stamp = FileStamp::of(file.path());
        let mut changing = file.change().unwrap();
        assert!(changing.untold().is_empty());
        closing(&mut changing);
        assert!(!changing.write(vec![note("a")]).unwrap().mailboxes()[0].is_open());
        assert_ne!(FileStamp::of(file.path()), stamp);
        // A crash before it was told: it is told by whoever comes next, once.
        drop(changing);
        let after = fs::read_to_string(file.path()).unwrap();
        let beside = fs::read(file.beside()).unwrap();
        let changing = file.change().unwrap();
        assert_eq!(changing.untold(), [note("a")]);
        changing.told().unwrap();
        assert!(file.change().unwrap().untold().is_empty());
        // A crash between the two writings: it did not take place, and nothing is told.
        fs::write(file.path(), TEXT).unwrap();
        fs::write(file.beside(), beside).unwrap();
        let mut changing = file.change().unwrap();
        assert!(changing.untold().is_empty());
        closing(&mut changing);
        changing.write(vec![note("b")]).unwrap();
        assert_eq!(changing.untold(), [note("b")]);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), after);
        // Nothing ordered, nothing written.
        drop(changing);
        let stamp = FileStamp::of(file.path());
        file.change().unwrap().write(vec![note("c")]).unwrap();
        assert_eq!(FileStamp::of(file.path()), stamp);
        assert_eq!(file.change().unwrap().untold(), [note("b")]);
    }

    #[test]
    fn a_registry_that_is_wrong_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = RegistryFile::new(folder.path().join("registry.toml"));
        assert!(matches!(file.change(), Err(FileError::Disk(..))));
        fs::write(file.path(), "mailbox = 3").unwrap();
        assert!(matches!(file.change(), Err(FileError::Draft(..))));
    }
}
