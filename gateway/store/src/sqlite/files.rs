//! Large bodies as files: written under another name, synced, renamed, the folder synced, and only
//! then named by a row. A file is never believed because it is there: its hash is.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ident::Fingerprint;
use openssl::sha::Sha256;

use super::health::Health;
use crate::{BodyReader, StagedBody, Staging, StoreError};

/// Piece in which a body is read.
const PIECE: usize = 64 * 1024;
/// Pieces of the file that proves that there is room.
const TRIAL_PIECES: usize = 16;
/// Folder of files that have no name yet.
const UNFINISHED: &str = "unfinished";
/// Folders of finished bodies: by the first digit of the hash, so that none grows too large.
const SHARDS: &str = "0123456789abcdef";

/// The folder of bodies.
pub(crate) struct Bodies {
    dir: PathBuf,
    generation: i64,
    counter: AtomicU64,
    health: Arc<Health>,
}

/// What the sweep found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) unfinished: u64,
    pub(crate) orphans: u64,
    pub(crate) missing: Vec<String>,
}

impl Bodies {
    /// The folder, made if needed. `generation` is new at each start, so names are never reused.
    pub(crate) fn new(dir: PathBuf, generation: i64, health: Arc<Health>) -> Result<Self, StoreError> {
        let make = |path: &Path| match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        let prepare = || {
            make(&dir)?;
            make(&dir.join(UNFINISHED))?;
            SHARDS.chars().try_for_each(|shard| make(&dir.join(shard.to_string())))?;
            sync_dir(&dir)?;
            dir.parent().map_or(Ok(()), sync_dir)
        };
        prepare().map_err(|error| health.disk("the folder of bodies", &error))?;
        Ok(Self { dir, generation, counter: AtomicU64::new(0), health })
    }

    /// Begins a body.
    pub(crate) fn stage(self: &Arc<Self>) -> Result<FileStaging, StoreError> {
        self.health.check()?;
        self.health.room(&self.dir)?;
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{:x}-{number:x}", self.generation);
        let path = self.dir.join(UNFINISHED).join(&unique);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| self.health.disk("a new body", &error))?;
        let unfinished = Some(path);
        Ok(FileStaging { bodies: Arc::clone(self), file, unfinished, unique, hash: Sha256::new(), size: 0 })
    }

    /// Opens a body; its reader checks the hash.
    pub(crate) fn open(&self, name: &str, digest: Fingerprint, size: u64) -> Result<BodyReader, StoreError> {
        let damaged = |what: &str| StoreError::Damaged(format!("body {name}: {what}"));
        let file = File::open(self.path(name)).map_err(|error| damaged(&error.to_string()))?;
        let length = file.metadata().map_err(|error| damaged(&error.to_string()))?.len();
        if length != size {
            return Err(damaged("it has not the size it had"));
        }
        Ok(BodyReader::new(Box::new(Proving::new(file, digest, size)), size))
    }

    /// Removes a body that no row names.
    pub(crate) fn remove(&self, name: &str) {
        // What stays behind is swept at the next start.
        if let Err(error) = fs::remove_file(self.path(name)) {
            tracing::warn!(name, %error, "a body that is no longer needed could not be removed");
        }
    }

    /// Removes what no row names, and says which named bodies are not there.
    pub(crate) fn sweep(&self, mut named: HashSet<String>) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for entry in fs::read_dir(self.dir.join(UNFINISHED))? {
            fs::remove_file(entry?.path())?;
            swept.unfinished = swept.unfinished.saturating_add(1);
        }
        for shard in SHARDS.chars() {
            for entry in fs::read_dir(self.dir.join(shard.to_string()))? {
                let entry = entry?;
                let known = entry.file_name().to_str().is_some_and(|name| named.remove(name));
                if !known {
                    fs::remove_file(entry.path())?;
                    swept.orphans = swept.orphans.saturating_add(1);
                }
            }
        }
        swept.missing = named.into_iter().collect();
        swept.missing.sort();
        Ok(swept)
    }

    /// Which named bodies are not there, and how many files nobody names. Changes nothing.
    pub(crate) fn compare(&self, mut named: HashSet<String>) -> io::Result<(Vec<String>, u64)> {
        let mut unnamed: u64 = 0;
        for shard in SHARDS.chars() {
            for entry in fs::read_dir(self.dir.join(shard.to_string()))? {
                let known = entry?.file_name().to_str().is_some_and(|name| named.remove(name));
                unnamed = unnamed.saturating_add(u64::from(!known));
            }
        }
        let mut missing: Vec<String> = named.into_iter().collect();
        missing.sort();
        Ok((missing, unnamed))
    }

    /// Writes, syncs and renames a file of some size where bodies are written, and removes it: proves
    /// that bodies can be kept again.
    pub(crate) fn trial(&self) -> io::Result<()> {
        let path = self.dir.join(UNFINISHED).join(format!("{:x}-trial", self.generation));
        let renamed = path.with_extension("renamed");
        let written =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(|mut file| {
                let zeros = [0; PIECE];
                (0..TRIAL_PIECES).try_for_each(|_| file.write_all(&zeros))?;
                file.sync_data()
            });
        let named = written.and_then(|()| fs::rename(&path, &renamed));
        let left = if named.is_ok() { &renamed } else { &path };
        let removed = fs::remove_file(left);
        named.and(removed)
    }

    /// Sorts an error of writing or sweeping.
    pub(crate) fn trouble(&self, error: &io::Error) -> StoreError {
        self.health.disk("the bodies", error)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name.get(..1).unwrap_or_default()).join(name)
    }
}

/// Makes a folder and those above it that are missing, each with a durable name: what is synced in a
/// folder without one is lost with it (CR2).
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new("/"));
    make_dir(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A body that is being written.
pub struct FileStaging {
    bodies: Arc<Bodies>,
    file: File,
    unfinished: Option<PathBuf>,
    unique: String,
    hash: Sha256,
    size: u64,
}

impl Write for FileStaging {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        self.hash.update(octets.get(..written).unwrap_or_default());
        self.size = self.size.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Staging for FileStaging {
    fn finish(mut self) -> Result<StagedBody, StoreError> {
        let digest = Fingerprint::new(self.hash.clone().finish());
        let name = format!("{digest}-{}", self.unique);
        let path = self.bodies.path(&name);
        let settle = |staging: &mut Self| {
            // A sync that fails is never tried again on this file: it is thrown away (CR4).
            staging.file.sync_data()?;
            if let Some(unfinished) = &staging.unfinished {
                fs::rename(unfinished, &path)?;
            }
            // From here on it has its name; the ticket below removes it if no row comes.
            staging.unfinished = Some(path.clone());
            path.parent().map_or(Ok(()), sync_dir)
        };
        if let Err(error) = settle(&mut self) {
            return Err(self.bodies.health.disk("a body", &error));
        }
        self.unfinished = None;
        Ok(StagedBody::new(path, name, digest, self.size))
    }
}

impl Drop for FileStaging {
    fn drop(&mut self) {
        if let Some(path) = &self.unfinished {
            // What stays behind is swept at the next start.
            drop(fs::remove_file(path));
        }
    }
}

/// Reads a file and lets the last piece out only when the hash of all pieces was right.
struct Proving {
    file: File,
    hash: Sha256,
    digest: Fingerprint,
    left: u64,
    ready: Vec<u8>,
    given: usize,
}

impl Proving {
    fn new(file: File, digest: Fingerprint, size: u64) -> Self {
        Self { file, hash: Sha256::new(), digest, left: size, ready: Vec::new(), given: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        self.ready.resize(want, 0);
        self.given = 0;
        let read = self.file.read_exact(&mut self.ready);
        if let Err(error) = read {
            self.ready.clear();
            let short = error.kind() == io::ErrorKind::UnexpectedEof;
            return Err(if short { damaged() } else { error });
        }
        self.hash.update(&self.ready);
        self.left = self.left.saturating_sub(u64::try_from(want).unwrap_or(u64::MAX));
        if self.left == 0 && self.hash.clone().finish() != *self.digest.as_bytes() {
            self.ready.clear();
            // Whoever asks again gets the same answer.
            self.left = u64::MAX;
            return Err(damaged());
        }
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stored body is damaged: its hash is wrong")
}

impl Read for Proving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() && self.left > 0 {
            self.refill()?;
        }
        let ready = self.ready.get(self.given..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        buffer.iter_mut().zip(ready).for_each(|(place, octet)| *place = *octet);
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}
