//! Where the demonstration works: a temporary folder, or one that the user names.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use thiserror::Error;

/// Says that a folder belongs to the demonstration; also its lock.
const MARK: &str = ".sceau-demo";
/// What the demonstration makes in its folder, and takes away before it makes it anew.
const OURS: [&str; 14] = [
    "anchors",
    "annuaire",
    "annuaire-data",
    "authorities",
    "book",
    "cards",
    "ch-a",
    "ch-b",
    "crl",
    "endpoints.json",
    "inconnu",
    "logs",
    "operateur-c",
    "trust-list",
];

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Something of somebody else's is in it.
    #[error("{0} is not empty and was not made by this demonstration: name another folder, or an empty one")]
    Foreign(PathBuf),
    /// Another demonstration works in it.
    #[error("another demonstration is working in {0}")]
    Taken(PathBuf),
    /// The system says no.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

/// The folder of one demonstration.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: Option<TempDir>,
    _lock: Option<File>,
}

impl Folder {
    /// A new folder that goes away again.
    ///
    /// # Errors
    /// [`FolderError::File`]
    pub fn temporary() -> Result<Self, FolderError> {
        let made = tempfile::Builder::new().prefix("sceau-demo-").tempdir();
        let folder = made.map_err(|error| FolderError::File(std::env::temp_dir(), error))?;
        Ok(Self { path: folder.path().to_owned(), temporary: Some(folder), _lock: None })
    }

    /// A folder that stays: a new one, an empty one, or one of an earlier demonstration, whose data go.
    ///
    /// # Errors
    /// [`FolderError`]
    pub fn named(path: &Path) -> Result<Self, FolderError> {
        let failed = |path: &Path, error| FolderError::File(path.to_owned(), error);
        let path = std::path::absolute(path).map_err(|error| failed(path, error))?;
        fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        let mark = path.join(MARK);
        let empty = fs::read_dir(&path).map_err(|error| failed(&path, error))?.next().is_none();
        if !empty && !mark.is_file() {
            return Err(FolderError::Foreign(path));
        }
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&mark);
        let lock = opened.map_err(|error| failed(&mark, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Taken(path)),
            Err(TryLockError::Error(error)) => return Err(failed(&mark, error)),
        }
        for name in OURS {
            remove(&path.join(name)).map_err(|error| failed(&path.join(name), error))?;
        }
        Ok(Self { path, temporary: None, _lock: Some(lock) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it goes away with the demonstration.
    pub const fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Lets a temporary folder stay after all: somebody will want to look.
    pub fn keep(&mut self) {
        if let Some(folder) = self.temporary.take() {
            self.path = folder.keep();
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let outcome = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(Folder::named(place.path()), Err(FolderError::Foreign(_))));
        assert_eq!(fs::read_to_string(place.path().join("thesis.txt")).unwrap(), "mine");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_earlier_space_is_cleared_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/demo");
        drop(Folder::named(&path).unwrap());
        fs::create_dir_all(path.join("ch-a/data")).unwrap();
        fs::write(path.join("ch-a/data/queue.db"), "old").unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        let folder = Folder::named(&path).unwrap();
        assert!(!path.join("ch-a").exists());
        assert!(path.join("notes.txt").exists());
        assert!(matches!(Folder::named(&path), Err(FolderError::Taken(_))), "one at a time");
        drop(folder);
        assert!(Folder::named(&path).is_ok());
    }

    #[test]
    fn a_temporary_folder_goes_unless_it_is_kept() {
        let folder = Folder::temporary().unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        let mut folder = Folder::temporary().unwrap();
        folder.keep();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(path.exists());
        fs::remove_dir_all(path).unwrap();
    }
}
