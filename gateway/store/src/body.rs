//! Bodies: how they go in and come out.

use std::{
    fmt,
    io::{self, Read, Write},
    path::PathBuf,
};

use ident::Fingerprint;

use crate::StoreError;

/// Up to this size a body lies in the row; above it is a file.
pub const MAX_INLINE_BODY: usize = 64 * 1024;

/// Writes a large body piece by piece. Dropping it without [`Staging::finish`] leaves nothing.
pub trait Staging: Write + Send {
    /// Makes the body durable and hands over the ticket for [`crate::NewBody`]. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    fn finish(self) -> Result<StagedBody, StoreError>;
}

/// A durable body that no row names yet. Dropping it removes it.
pub struct StagedBody {
    pub(crate) path: Option<PathBuf>,
    pub(crate) name: String,
    /// SHA-256 of the body.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
}

impl StagedBody {
    pub(crate) fn new(path: PathBuf, name: String, digest: Fingerprint, size: u64) -> Self {
        Self { path: Some(path), name, digest, size }
    }

    /// A row names it now.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl fmt::Debug for StagedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedBody").field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Drop for StagedBody {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What stays behind is swept at the next start.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Where a stored body is, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyRef {
    pub(crate) place: Place,
    /// SHA-256 of the body.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
}

/// Where an engine keeps a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this row.
    Row(i64),
    /// In a file of this name.
    File(String),
}

/// Reads a stored body. The last piece comes only after the hash of the whole was right; else the
/// read fails with [`io::ErrorKind::InvalidData`], so that a relay never completes a damaged one.
pub struct BodyReader {
    inner: Box<dyn Read + Send>,
    /// Size in octets.
    pub size: u64,
}

impl BodyReader {
    pub(crate) fn new(inner: Box<dyn Read + Send>, size: u64) -> Self {
        Self { inner, size }
    }

    /// Reads it all, if it is no longer than `limit`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the hash is wrong, [`StoreError::Malformed`] over the limit.
    pub fn bytes(mut self, limit: usize) -> Result<Vec<u8>, StoreError> {
        let size = usize::try_from(self.size).ok().filter(|size| *size <= limit);
        let size = size.ok_or(StoreError::Malformed("the body is longer than the caller can hold"))?;
        let mut bytes = Vec::with_capacity(size);
        match self.inner.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(StoreError::Damaged(error.to_string())),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}
