//! The data folder: stored generations, which of them is in service, and the ones before.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use ident::Timestamp;
use thiserror::Error;

use crate::{
    FileKind, Generation, Source, StoredError,
    generation::{read_file, read_sources, read_to_compare, save_file, sync_folder},
    history::History,
};

/// How many generations stay: the one in service and those before it.
pub const GENERATIONS_KEPT: usize = 3;

/// A folder of generations: `<id>.generation` files, and `CURRENT`, which lists their ids, the one in service
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    path: PathBuf,
}

/// Why a data folder does not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder cannot be read or written.
    #[error("the data folder {path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing was loaded yet.
    #[error("the data folder {0} holds no directory yet: load the extracts first")]
    Empty(PathBuf),
    /// No generation of that name, or several.
    #[error("no generation is named {wanted}; there are: {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// A stored generation cannot be used.
    #[error("generation {id}: {error}")]
    Stored {
        /// Which one.
        id: String,
        /// Why.
        error: StoredError,
    },
    /// Somebody else is loading into it.
    #[error("another load into {0} is under way")]
    Busy(PathBuf),
}

impl DataFolder {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Names of the stored generations, the one in service first.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the list exists and cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, FolderError> {
        let list = self.path.join("CURRENT");
        // Of a list with a bad octet the other lines count.
        match fs::read(&list).map(|octets| String::from_utf8_lossy(&octets).into_owned()) {
            Ok(text) => Ok(text.lines().filter(|id| is_id(id)).map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(FolderError::Io { path: list, error }),
        }
    }

    /// Name of the generation in service.
    ///
    /// # Errors
    /// As [`Self::ids`].
    pub fn current_id(&self) -> Result<Option<String>, FolderError> {
        Ok(self.ids()?.into_iter().next())
    }

    /// The generation in service.
    ///
    /// # Errors
    /// [`FolderError::Empty`] before the first load; [`FolderError::Stored`] when it is damaged.
    pub fn current(&self) -> Result<Generation, FolderError> {
        match self.current_id()? {
            Some(id) => self.read(&id),
            None => Err(FolderError::Empty(self.path.clone())),
        }
    }

    /// The generation named so: its whole name, the start of it, `current` or `previous`.
    ///
    /// # Errors
    /// [`FolderError::Unknown`] when none or several are meant; [`FolderError::Stored`] when it is damaged.
    pub fn named(&self, wanted: &str) -> Result<Generation, FolderError> {
        let ids = self.ids()?;
        let of_name: Vec<&String> = match wanted {
            "current" => ids.iter().take(1).collect(),
            "previous" => ids.iter().skip(1).take(1).collect(),
            _ => ids.iter().filter(|id| !wanted.is_empty() && id.starts_with(wanted)).collect(),
        };
        match of_name.as_slice() {
            [id] => self.read(id),
            _ => Err(FolderError::Unknown { wanted: wanted.to_owned(), known: ids.join(", ") }),
        }
    }

    /// The files that a stored generation was made from and the moment that it speaks of, without reading the rest.
    ///
    /// # Errors
    /// [`FolderError::Stored`] when its description cannot be read.
    pub fn sources(&self, id: &str) -> Result<(Timestamp, Vec<Source>), FolderError> {
        read_sources(&self.file(id)).map_err(|error| FolderError::Stored { id: id.to_owned(), error })
    }

    /// The generation in service, with no more than [`crate::diff`] and what is gone need: it answers no question.
    /// Where it cannot be read, the newest one before it that can, and what was passed over.
    pub(crate) fn to_compare(&self) -> Result<(Option<Generation>, Vec<FolderError>), FolderError> {
        let mut passed = Vec::new();
        for id in self.ids()? {
            match read_to_compare(&self.file(&id)) {
                Ok(generation) => return Ok((Some(generation), passed)),
                Err(error) => passed.push(FolderError::Stored { id, error }),
            }
        }
        Ok((None, passed))
    }

    /// The generation with this whole name.
    ///
    /// # Errors
    /// [`FolderError::Stored`] when it is damaged, of another version, or not there.
    pub fn stored(&self, id: &str) -> Result<Generation, FolderError> {
        self.read(id)
    }

    /// The file that a generation of this name is in.
    pub fn file_of(&self, id: &str) -> PathBuf {
        self.file(id)
    }

    fn read(&self, id: &str) -> Result<Generation, FolderError> {
        let stored = |error| FolderError::Stored { id: id.to_owned(), error };
        let generation = read_file(&self.file(id)).map_err(stored)?;
        if generation.id() != id {
            return Err(stored(StoredError::Damaged("its name")));
        }
        Ok(generation)
    }

    /// Puts a stored generation in service again: an earlier one, when the latest is not what it should be. It is
    /// read whole first, so that what is damaged is never in service.
    ///
    /// # Errors
    /// As [`Self::named`]; [`FolderError::Busy`] while a load is under way.
    pub fn select(&self, wanted: &str) -> Result<Generation, FolderError> {
        let _lock = self.lock()?;
        let generation = self.named(wanted)?;
        let mut ids = self.ids()?;
        ids.retain(|id| id != generation.id());
        ids.insert(0, generation.id().to_owned());
        self.write_list(&ids)?;
        self.history()
            .note(&generation, &FileKind::ALL)
            .map_err(|error| FolderError::Io { path: self.path.clone(), error })?;
        Ok(generation)
    }

    /// How much was in service.
    pub(crate) fn history(&self) -> History {
        History::below(&self.path)
    }

    /// Writes a generation over the one of its name.
    pub(crate) fn renew(&self, generation: &Generation) -> Result<(), FolderError> {
        let id = generation.id();
        save_file(generation, &self.file(id)).map_err(|error| FolderError::Stored { id: id.to_owned(), error })
    }

    /// Puts a generation in service and forgets those beyond [`GENERATIONS_KEPT`].
    pub(crate) fn install(&self, generation: &Generation) -> Result<(), FolderError> {
        let id = generation.id().to_owned();
        self.renew(generation)?;
        let mut ids = self.ids()?;
        ids.retain(|other| *other != id);
        ids.insert(0, id.clone());
        ids.truncate(GENERATIONS_KEPT);
        self.write_list(&ids)?;
        self.sweep(&ids);
        Ok(())
    }

    /// Removes what the list, just written, does not name: forgotten generations, and what a crash left. Only under the
    /// lock, and nothing that is not ours. What cannot be removed is not worth failing a load for.
    fn sweep(&self, ids: &[String]) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let ours = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_id(stem));
            let extension = path.extension().and_then(|extension| extension.to_str());
            let remains = match (ours, extension) {
                (Some(id), Some("generation")) => !ids.iter().any(|known| known == id),
                (Some(_), Some("part")) => true,
                _ => false,
            };
            if remains {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn write_list(&self, ids: &[String]) -> Result<(), FolderError> {
        let list = self.path.join("CURRENT");
        let aside = self.path.join("CURRENT.part");
        let write = || {
            let mut text = ids.join("\n");
            text.push('\n');
            fs::write(&aside, text)?;
            File::open(&aside)?.sync_all()?;
            fs::rename(&aside, &list)?;
            sync_folder(&list)
        };
        write().map_err(|error| FolderError::Io { path: list.clone(), error })
    }

    /// Makes the folder and keeps other loads out for as long as the value lives.
    pub(crate) fn lock(&self) -> Result<File, FolderError> {
        let io = |error| FolderError::Io { path: self.path.clone(), error };
        fs::create_dir_all(&self.path).map_err(io)?;
        let file = File::create(self.path.join("LOCK")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(FolderError::Busy(self.path.clone())),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    fn file(&self, id: &str) -> PathBuf {
        self.path.join(format!("{id}.generation"))
    }
}

/// Names are ours; nothing read from a list may lead out of the folder.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
