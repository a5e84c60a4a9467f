//! Where a partner's file is read from.

use std::path::{Path, PathBuf};

use ident::Fingerprint;
use pki::partner_file::MAX_PARTNER_FILE;
use thiserror::Error;

use crate::{config::read_bytes, queued::digest};

/// Name of the file in a folder that is given instead of a file.
pub(super) const FILE_NAME: &str = "partner.p7m";

/// A file as it was read, believed by nobody yet.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Their SHA-256.
    pub digest: Fingerprint,
    /// Where they came from.
    pub location: String,
}

/// Why a partner's file could not be had: always with the place where we looked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("looked in {0}: {1}")]
    File(PathBuf, String),
    /// A URL that this gateway does not fetch.
    #[error("{0}: {1}")]
    Url(String, String),
}

/// Whether a location is a URL rather than a path.
pub(super) fn is_url(location: &str) -> bool {
    location.contains("://")
}

/// Reads a partner's file from a file, or from `partner.p7m` in a folder.
///
/// # Errors
/// [`SourceError`]
pub fn read(location: &str) -> Result<Fetched, SourceError> {
    if is_url(location) {
        return Err(SourceError::Url(location.to_owned(), "this program fetches from files only".to_owned()));
    }
    let given = Path::new(location);
    let path = if given.is_dir() { given.join(FILE_NAME) } else { given.to_owned() };
    let most = u64::try_from(MAX_PARTNER_FILE).unwrap_or(u64::MAX);
    let octets = read_bytes(&path, most).map_err(|problem| SourceError::File(path, problem.what))?;
    Ok(fetched(octets, location))
}

/// Octets with where they came from.
pub(super) fn fetched(octets: Vec<u8>, location: &str) -> Fetched {
    Fetched { digest: digest(&octets), octets, location: location.to_owned() }
}
