//! Our own partner file: made from the running configuration, for any web server to serve.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ident::{StructureId, Timestamp};
use pki::{
    book::{BookOwner, BookUse},
    certificate::Certificate,
    cms::Capabilities,
    identity::Identity,
    keys::SigningKey,
    partner_file::{self, Expected, PartnerDraft, PartnerEntry, PartnerFile, PartnerFileError, operators_of},
};
use thiserror::Error;

use super::source::FILE_NAME;
use crate::{
    config::{Loaded, Problem},
    keys,
    snapshot::{self, Snapshot},
};

/// Why nothing was published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The configuration, or what it names.
    #[error(transparent)]
    Configuration(#[from] Problem),
    /// The file would be refused by everybody: by us, too.
    #[error("the file would be refused by others: {0}")]
    Refused(Box<PartnerFileError>),
    /// It could not be written.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where.
    pub path: PathBuf,
    /// As others will read it.
    pub file: PartnerFile,
}

/// The signing key and everything that the file will say but its number.
///
/// # Errors
/// [`PublishError::Configuration`]
pub fn draft(
    loaded: &Loaded,
    snapshot: &Snapshot,
    at: Timestamp,
) -> Result<(std::sync::Arc<dyn SigningKey>, PartnerDraft), PublishError> {
    let settings = &loaded.config.publish;
    let problem = |what: String| Problem::of(&loaded.folder, what);
    let key: std::sync::Arc<dyn SigningKey> = match &settings.signing {
        Some(files) => keys::signing_key(loaded, &snapshot.keys, files)?,
        None => {
            let first = loaded.config.domains.first().and_then(|own| snapshot.own(&own.name));
            let first = first.and_then(|own| own.signing_at(at)).cloned();
            first.ok_or_else(|| problem("there is no [[domain]] to publish anything about".to_owned()))?
        }
    };
    let operator = organisation(key.certificate()).ok_or_else(|| {
        problem(format!("[publish]: {} is not an organisation's certificate", key.certificate().subject()))
    })?;
    let mut entries = Vec::new();
    for own in snapshot.domains.values() {
        let entry = |usage, certificate| PartnerEntry {
            owner: BookOwner::Domain(own.name.clone()),
            usage,
            certificate,
            capabilities: ours_where(usage == BookUse::Reads),
        };
        // All that may sign, or that others may still seal for: overlapping certificates are for this.
        entries.extend(own.keys.signing.certificates().map(|certificate| entry(BookUse::Signs, certificate.clone())));
        entries.extend(own.reading_certificate_at(at).map(|certificate| entry(BookUse::Reads, certificate.clone())));
    }
    for upcoming in &settings.upcoming {
        let (owner, usage) = snapshot::owner_and_use(loaded, upcoming)?;
        let certificate = snapshot::one_certificate(&loaded.path(&upcoming.certificate))?;
        // The key of a single mailbox may be in a mail program: of that we know nothing.
        let gateway = usage == BookUse::Reads && matches!(owner, BookOwner::Domain(_));
        entries.push(PartnerEntry { owner, usage, certificate, capabilities: ours_where(gateway) });
    }
    entries.dedup();
    let expires = at.plus(settings.lifetime.0);
    Ok((key, PartnerDraft { operator, serial: 0, issued: at, expires, entries }))
}

fn ours_where(gateway: bool) -> Option<Capabilities> {
    gateway.then(Capabilities::ours)
}

/// Writes the file: `into` is a file or a folder; without it, where the configuration says.
///
/// # Errors
/// [`PublishError`]; the file before stays.
pub fn publish(
    loaded: &Loaded,
    snapshot: &Snapshot,
    into: Option<&Path>,
    at: Timestamp,
) -> Result<Published, PublishError> {
    let (key, mut draft) = draft(loaded, snapshot, at)?;
    let state = loaded.data().join("partners").join("published");
    draft.serial = next_serial(&state, at)?;
    let octets = partner_file::sign(&draft, key.as_ref()).map_err(|error| PublishError::Refused(Box::new(error)))?;
    // What others would refuse is not published: the trust list may not name us, a certificate be expired.
    let named = |domain: &ident::Domain| operators_of(&snapshot.trust_list, domain);
    let held = |_: &StructureId| None;
    let expected = Expected { validator: &snapshot.validator, named: &named, operator: None, held: &held };
    let file = PartnerFile::verify(&octets, &expected, at).map_err(|error| PublishError::Refused(Box::new(error)))?;
    let given =
        into.map(Path::to_path_buf).or_else(|| loaded.config.publish.file.as_ref().map(|file| loaded.path(file)));
    let path = given.unwrap_or_else(|| loaded.data().join(FILE_NAME));
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path };
    // The number first: one that is skipped does no harm, one that is used twice does.
    replace(&state, draft.serial.to_string().as_bytes(), 0o600).map_err(|error| PublishError::Disk(state, error))?;
    replace(&path, &octets, 0o644).map_err(|error| PublishError::Disk(path.clone(), error))?;
    Ok(Published { path, file })
}

fn organisation(certificate: &Certificate) -> Option<StructureId> {
    match Identity::of(certificate) {
        Ok(Identity::Organisation(organisation)) => Some(organisation.structure),
        _ => None,
    }
}

/// One more than the last number, and never below the seconds of the clock: a gateway that lost its data
/// folder still goes on upwards.
fn next_serial(state: &Path, at: Timestamp) -> Result<u64, PublishError> {
    let mut text = String::new();
    match File::open(state) {
        Ok(file) => {
            file.take(32).read_to_string(&mut text).map_err(|error| PublishError::Disk(state.to_owned(), error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(PublishError::Disk(state.to_owned(), error)),
    }
    let last: u64 = text.trim().parse().unwrap_or(0);
    Ok(last.saturating_add(1).max(u64::try_from(at.seconds()).unwrap_or(0)))
}

/// Writes beside, syncs, renames: a web server never serves half a file.
fn replace(path: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(FILE_NAME);
    let aside = path.with_file_name(format!(".{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
