//! The last good list on disk, as received, and what is remembered beside it (`data/trust`).
//!
//! `state.json` names the file of the list: replacing it is the one moment at which the new list is the
//! remembered one. Whatever a power cut leaves is either the old pair or the new one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use pki::trust_list::MAX_TRUST_LIST;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Memory;

const STATE: &str = "state.json";
/// Form of the state file; another one was written by a later release.
const FORMAT: u32 = 1;
/// Largest state: a nation's domains struck off at once, with their operators.
const MAX_STATE: u64 = 64 * 1024 * 1024;

/// The folder with the last good list.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

/// What was remembered cannot be read. To forget it is an operator's decision, never ours: it is what keeps
/// an old list from coming back.
#[derive(Debug, Error)]
pub enum ShelfError {
    /// Those of the disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// The state is not what we wrote.
    #[error("{0} is not what was written there ({1}); to forget which list was in force, move it away")]
    State(PathBuf, String),
}

/// What was found on the shelf.
#[derive(Debug)]
pub struct Shelved {
    /// What is remembered.
    pub memory: Memory,
    /// The list as received, if its file can be read.
    pub copy: io::Result<Vec<u8>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    file: String,
    memory: Memory,
}

impl Shelf {
    /// Below a data folder.
    pub fn below(data: &Path) -> Self {
        Self { folder: data.join("trust") }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is remembered; `None` when nothing was ever written.
    ///
    /// # Errors
    /// See [`ShelfError`].
    pub fn read(&self) -> Result<Option<Shelved>, ShelfError> {
        let path = self.folder.join(STATE);
        let text = match bounded(&path, MAX_STATE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ShelfError::Disk(path, error)),
        };
        let state: State =
            serde_json::from_slice(&text).map_err(|error| ShelfError::State(path.clone(), error.to_string()))?;
        let plain = state.file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        if state.format != FORMAT || !plain {
            return Err(ShelfError::State(path, format!("format {}", state.format)));
        }
        let copy = bounded(&self.folder.join(&state.file), u64::try_from(MAX_TRUST_LIST).unwrap_or(u64::MAX));
        Ok(Some(Shelved { memory: state.memory, copy }))
    }

    /// Writes a list and what is remembered with it, on stable storage when it returns.
    ///
    /// # Errors
    /// [`ShelfError::Disk`]: then what was there before still is.
    pub fn write(&self, memory: &Memory, xml: &[u8]) -> Result<(), ShelfError> {
        let file = format!("list-{}.xml", memory.digest.to_string().replace(':', "").to_ascii_lowercase());
        let state = State { format: FORMAT, file: file.clone(), memory: memory.clone() };
        let text = serde_json::to_vec_pretty(&state)
            .map_err(|error| ShelfError::State(self.folder.join(STATE), error.to_string()))?;
        self.make()
            .and_then(|()| self.place(&file, xml))
            .and_then(|()| self.place(STATE, &text))
            .map_err(|error| ShelfError::Disk(self.folder.clone(), error))?;
        self.clear(&file);
        Ok(())
    }

    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        self.folder.parent().map_or(Ok(()), |data| File::open(data)?.sync_all())
    }

    /// Written beside, synced, renamed, the folder synced.
    fn place(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Lists that no state names any more. What cannot be removed costs room only.
    fn clear(&self, kept: &str) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("list-") && name != kept {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A whole file of bounded size.
fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than it may be"));
    }
    fs::read(path)
}
