//! Where a partner's file is read from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use pki::partner_file::MAX_PARTNER_FILE;
use thiserror::Error;

use crate::{
    config::read_bytes,
    fetch::{AnchoredServers, Answer, Fetcher, Kind, Limits, Lines, Place, Request, Rules, Undetermined},
    queued::digest,
    snapshot::Snapshot,
};

/// Name of the file in a folder that is given instead of a file.
pub(super) const FILE_NAME: &str = "partner.p7m";
/// Longest fetch: a partner's file is small.
const TOTAL: Duration = Duration::from_secs(60);

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
    /// It cannot be fetched.
    #[error("looked at {0}: {1}")]
    Url(String, String),
}

/// Reads a partner's file: from a URL through the bounded fetcher, from a file, or from `partner.p7m` in a
/// folder. An operator of this gateway wrote the location; nothing that a partner says leads anywhere.
///
/// # Errors
/// [`SourceError`]
pub async fn read(location: &str, snapshot: &Snapshot, at: Timestamp) -> Result<Fetched, SourceError> {
    let octets = if location.contains("://") {
        fetch(location, snapshot, at).await.map_err(|what| SourceError::Url(location.to_owned(), what))?
    } else {
        let given = Path::new(location);
        let path = if given.is_dir() { given.join(FILE_NAME) } else { given.to_owned() };
        let most = u64::try_from(MAX_PARTNER_FILE).unwrap_or(u64::MAX);
        read_bytes(&path, most).map_err(|problem| SourceError::File(path, problem.what))?
    };
    Ok(Fetched { digest: digest(&octets), octets, location: location.to_owned() })
}

async fn fetch(location: &str, snapshot: &Snapshot, at: Timestamp) -> Result<Vec<u8>, String> {
    let place = Place::parse(location).map_err(|error| error.to_string())?;
    let addresses = &snapshot.config.partner_files.addresses;
    let rules = addresses.iter().fold(Rules::new().place(&place), |rules, (host, ip)| rules.address(host, *ip));
    let lines = Lines::new().map_err(|error| error.to_string())?;
    let fetcher = Fetcher::new(rules, Limits { total: TOTAL, redirects: 0, ..Limits::default() }, Arc::new(lines));
    let request =
        Request { place: &place, kind: Kind::PartnerFile, most: MAX_PARTNER_FILE, held: None, question: None };
    let trust = AnchoredServers { validator: &snapshot.validator, at, undetermined: Undetermined::Refused };
    match fetcher.fetch(&request, &trust).await {
        Ok(Answer::New { octets, .. }) => Ok(octets),
        Ok(Answer::Unchanged) => Err("it says that nothing changed, and was not asked that".to_owned()),
        Err(error) => Err(error.fault.to_string()),
    }
}
