//! The trail of a running gateway: its secrets, the task that turns outbox rows into log entries,
//! and the checkpoints that travel between gateways.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::STANDARD};
use ident::{Domain, Fingerprint, Timestamp};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use store::{Changes, OutboxRow, Store as _};
use tokio::sync::watch;
use trail::{
    Event, Masker, Record, SafeText,
    log::{NoteError, NoteKey, NoteSigner, NoteVerifier, Trail, TrailError, TrailReader, TrailSecrets},
};
use zeroize::Zeroizing;

use crate::{
    gateway::Gateway,
    replace::replace,
    rest::{StorageKeyId, Vault},
};

/// File of the secrets, in the data folder.
const SECRETS: &str = "trail-secrets";
/// Rows that become entries under one checkpoint.
const ROWS: usize = 2000;
/// How long rows may wait for company.
const PAUSE: Duration = Duration::from_millis(500);
/// Wait after an error before the trail is opened again.
const RECOVER: Duration = Duration::from_secs(5);
/// Wait before the queue's file is scrubbed again, when a reader was in the way.
const SCRUB_AGAIN: Duration = Duration::from_secs(60);
/// Longest checkpoint of a peer that is kept, in octets.
const MAX_NOTE: usize = 4096;
/// Peers whose last checkpoint is remembered.
const MAX_PEERS: usize = 20_000;

/// Why a trail cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The secrets cannot be read or made.
    #[error("{0}: {1}")]
    Secrets(PathBuf, String),
    /// The log itself.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// Secrets of a trail: they lie beside it, wrapped under the storage key.
pub struct Secrets {
    origin: String,
    signing: Zeroizing<[u8; 32]>,
    wrapping: Zeroizing<[u8; 32]>,
    masking: Zeroizing<[u8; 32]>,
    /// Signs checkpoints instead of `signing`.
    elsewhere: Option<Arc<dyn NoteKey>>,
}

impl Secrets {
    /// Reads them from the data folder; makes them if the trail has none yet.
    ///
    /// # Errors
    /// [`AuditError::Secrets`]; a file that does not unwrap is never replaced.
    pub fn open(data: &Path, vault: &Vault, origin: &str) -> Result<Self, AuditError> {
        let path = data.join(SECRETS);
        match Self::read(&path, vault, origin) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome.map_err(|error| AuditError::Secrets(path, error.to_string())),
        }
        let mut octets = Zeroizing::new(vec![0u8; 96]);
        openssl::rand::rand_bytes(&mut octets).map_err(|error| AuditError::Secrets(path.clone(), error.to_string()))?;
        write(&path, vault, &octets).map_err(|error| AuditError::Secrets(path.clone(), error.to_string()))?;
        Self::read(&path, vault, origin).map_err(|error| AuditError::Secrets(path, error.to_string()))
    }

    fn read(path: &Path, vault: &Vault, origin: &str) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let wrapped = STANDARD.decode(fs::read_to_string(path)?.trim()).map_err(|_| wrong("is not base64"))?;
        let plain = vault.unwrap(&wrapped).map_err(|_| wrong("does not open under this storage key"))?;
        let mut parts = plain.chunks_exact(32).map(|part| <[u8; 32]>::try_from(part).map(Zeroizing::new));
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(|| wrong("is too short"));
        Ok(Self { origin: origin.to_owned(), signing: next()?, wrapping: next()?, masking: next()?, elsewhere: None })
    }

    /// With checkpoints signed by a key that lives elsewhere, on a token.
    #[must_use]
    pub fn signing_with(self, key: Arc<dyn NoteKey>) -> Self {
        Self { elsewhere: Some(key), ..self }
    }

    fn signer(&self) -> Result<NoteSigner, TrailError> {
        let signer = match &self.elsewhere {
            Some(key) => NoteSigner::with_key(&self.origin, Arc::clone(key)),
            None => NoteSigner::new(&self.origin, &self.signing),
        };
        signer.map_err(|_| TrailError::Crypto("take the signing key"))
    }

    /// The public half of the signing key: what auditors keep.
    ///
    /// # Errors
    /// [`TrailError::Crypto`].
    pub fn verifier(&self) -> Result<NoteVerifier, TrailError> {
        Ok(self.signer()?.verifier().clone())
    }

    /// The key that wraps the records' keys.
    pub fn wrapping(&self) -> &[u8; 32] {
        &self.wrapping
    }

    /// The key under which patients' numbers become tokens.
    pub fn masking(&self) -> [u8; 32] {
        *self.masking
    }

    /// The key of the marks that bind queued messages to their rows; what the storage key is changed for does not
    /// change it.
    ///
    /// # Errors
    /// What the library says.
    pub fn binding(&self) -> io::Result<Zeroizing<[u8; 32]>> {
        self.derived(b"sceau/binding-of-rows/1")
    }

    /// The key of what the directory hands out and wants back unchanged: addresses of further pages. The same after a
    /// restart, so that a client turns pages over it.
    ///
    /// # Errors
    /// What the library says.
    pub fn pages(&self) -> io::Result<Zeroizing<[u8; 32]>> {
        self.derived(b"sceau/pages-of-the-directory/1")
    }

    fn derived(&self, purpose: &[u8]) -> io::Result<Zeroizing<[u8; 32]>> {
        let key = PKey::hmac(&*self.masking).map_err(io::Error::other)?;
        let derived = Signer::new(MessageDigest::sha256(), &key)
            .and_then(|mut mac| mac.sign_oneshot_to_vec(purpose))
            .map_err(io::Error::other)?;
        derived.first_chunk().copied().map(Zeroizing::new).ok_or_else(|| io::Error::other("a short digest"))
    }

    /// The trail for reading.
    ///
    /// # Errors
    /// Those of the log.
    pub fn reader(&self, data: &Path) -> Result<TrailReader, TrailError> {
        TrailReader::open(&folder(data), &self.wrapping, self.verifier()?)
    }

    /// The trail for writing.
    ///
    /// # Errors
    /// Those of the log; [`TrailError::InUse`] while a gateway writes it.
    pub(crate) fn trail(&self, data: &Path) -> Result<Trail, TrailError> {
        let secrets = TrailSecrets { wrapping: self.wrapping.clone(), signer: self.signer()? };
        let (trail, recovery) = Trail::open(&folder(data), secrets)?;
        if recovery.taken_back > 0 || recovery.torn_checkpoint || recovery.indexed > 0 {
            tracing::info!(?recovery, "the trail was left in the middle of a batch; it is whole again");
        }
        Ok(trail)
    }
}

/// Wraps secrets and writes them.
fn write(path: &Path, vault: &Vault, octets: &[u8]) -> io::Result<()> {
    let wrapped = vault.wrap(octets).map_err(io::Error::other)?;
    replace(path, STANDARD.encode(wrapped).as_bytes())
}

/// Wraps the secrets of a trail that has begun under the current key: the gateway at its start, and whoever
/// rotates the key. Nobody else writes them.
///
/// # Errors
/// Those of the disk, or `InvalidData` when they do not unwrap.
pub(crate) fn rewrap(data: &Path, vault: &Vault) -> io::Result<()> {
    if wrapped_under(data)?.is_none_or(|id| id == vault.current()) {
        return Ok(());
    }
    let path = data.join(SECRETS);
    let wrapped = STANDARD.decode(fs::read_to_string(&path)?.trim()).map_err(io::Error::other)?;
    let plain = vault.unwrap(&wrapped).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    write(&path, vault, &plain)
}

/// The key under which the secrets of a trail rest; none before it has begun.
///
/// # Errors
/// Those of the disk, or `InvalidData`.
pub(crate) fn wrapped_under(data: &Path) -> io::Result<Option<StorageKeyId>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("{SECRETS} is not what was written there"));
    match fs::read_to_string(data.join(SECRETS)) {
        Ok(text) => {
            let wrapped = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
            StorageKeyId::of_wrapped(&wrapped).map(Some).ok_or_else(wrong)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Folder of the log below the data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("trail")
}

/// Checkpoints: our latest one, for sealed messages, and the last seen of each peer.
#[derive(Default)]
pub struct Checkpoints {
    ours: ArcSwapOption<String>,
    seen: Mutex<HashMap<Domain, Fingerprint>>,
    /// Why the trail cannot be written at this moment.
    trouble: Mutex<Option<String>>,
}

impl Checkpoints {
    /// Our latest checkpoint, signed.
    pub fn ours(&self) -> Option<Arc<String>> {
        self.ours.load_full()
    }

    /// Why the trail cannot be written at this moment.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The record of a peer's checkpoint, if it is not the one seen last.
    pub fn saw(&self, domain: &Domain, note: &str, signer: Fingerprint, now: Timestamp) -> Option<Record> {
        if note.len() > MAX_NOTE {
            return None;
        }
        let digest = crate::queued::digest(note.as_bytes());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(domain) == Some(&digest) || (seen.len() >= MAX_PEERS && !seen.contains_key(domain)) {
            return None;
        }
        seen.insert(domain.clone(), digest);
        let checkpoint = SafeText::base64(note.as_bytes());
        Some(Record::new(now, Event::CheckpointSeen { domain: domain.clone(), checkpoint, signer }))
    }
}

/// Turns outbox rows into log entries until `stopping`, then once more for what is left.
pub async fn run(gateway: Arc<Gateway>, secrets: Arc<Secrets>, mut stopping: watch::Receiver<bool>) {
    let mut writer = Writer { trail: None, scrub: None };
    loop {
        let last_round = *stopping.borrow();
        let outcome = writer.round(&gateway, &secrets).await;
        let trouble = outcome.as_ref().err().cloned();
        *gateway.checkpoints.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        let pause = match outcome {
            // A full batch: there is more.
            Ok(taken) if taken >= ROWS => continue,
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::error!(%error, "the trail could not be written; its rows stay in the queue's outbox");
                writer.trail = None;
                RECOVER
            }
        };
        if last_round {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// Who writes the trail.
struct Writer {
    trail: Option<Trail>,
    /// When the queue's file is to be rid of what was erased here: it came through there.
    scrub: Option<Instant>,
}

impl Writer {
    /// Says how many rows there were.
    async fn round(&mut self, gateway: &Arc<Gateway>, secrets: &Arc<Secrets>) -> Result<usize, String> {
        self.scrub(gateway).await;
        let rows = gateway.store.take_outbox(ROWS).await.map_err(|error| error.to_string())?;
        let taken = rows.len();
        if taken == 0 && self.trail.as_ref().is_some_and(|trail| !trail.unsettled()) {
            return Ok(0);
        }
        let (data, secrets, now, open) = (gateway.data(), Arc::clone(secrets), gateway.now(), self.trail.take());
        let source = gateway.store.identity().to_owned();
        let work = tokio::task::spawn_blocking(move || append(open, &data, &secrets, &source, &rows, now));
        let (open, became) = work.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        gateway.checkpoints.ours.store(open.checkpoint().map(|note| Arc::new(note.to_owned())));
        if let Became::RunsAgain { row } = became {
            self.trail = Some(begin_anew(gateway, open, row).await?);
            return Ok(ROWS);
        }
        self.trail = Some(open);
        if let Became::Entries { release: Some(up_to), .. } = became {
            gateway.store.release_outbox(up_to).await.map_err(|error| error.to_string())?;
        }
        if matches!(became, Became::Entries { erased: 1.., .. }) {
            self.scrub = Some(Instant::now());
        }
        Ok(taken)
    }

    /// Whoever ordered an erasure does this too, if he still waits for it.
    async fn scrub(&mut self, gateway: &Gateway) {
        if self.scrub.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.scrub = match gateway.store.scrub().await {
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "what was erased may still rest in the queue's file");
                Instant::now().checked_add(SCRUB_AGAIN)
            }
        };
    }
}

/// What a batch of rows became.
enum Became {
    Entries {
        release: Option<u64>,
        erased: u64,
    },
    /// See [`TrailError::RunsAgain`].
    RunsAgain {
        row: u64,
    },
}

/// Rows under numbers that others had: said in the queue first, then they become entries.
async fn begin_anew(gateway: &Gateway, mut trail: Trail, row: u64) -> Result<Trail, String> {
    tracing::error!(row, "the queue was put back to an earlier day: its outbox gives numbers again");
    let told = gateway.store.commit(Changes::records(vec![runs_again(&gateway.masker, row, gateway.now())]));
    told.await.map_err(|error| error.to_string())?;
    let source = gateway.store.identity().to_owned();
    let work = tokio::task::spawn_blocking(move || trail.begin_anew(&source, row).map(|()| trail));
    work.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The alarm of a queue whose outbox gives numbers again.
pub(crate) fn runs_again(masker: &Masker, row: u64, now: Timestamp) -> Record {
    let words = format!(
        "outbox row {row} has an entry already, made of another row: queue.db was put back to an earlier day, or touched; what it told between is nowhere"
    );
    Record::new(now, Event::AlarmRaised { code: "outbox-repeats".to_owned(), text: masker.text(&words) })
}

fn append(
    open: Option<Trail>,
    data: &Path,
    secrets: &Secrets,
    source: &str,
    rows: &[OutboxRow],
    now: Timestamp,
) -> Result<(Trail, Became), TrailError> {
    let mut trail = match open {
        Some(trail) => trail,
        None => secrets.trail(data)?,
    };
    // After opening, which takes back what an earlier batch left, and before writing anything.
    if let Some(key) = secrets.elsewhere.as_ref().filter(|_| !rows.is_empty()) {
        key.ready().map_err(|why| TrailError::Checkpoint {
            place: "the signing key".to_owned(),
            error: NoteError::Unavailable(why),
        })?;
    }
    let lines: Vec<(u64, &str)> = rows.iter().map(|row| (row.number, row.lines.as_str())).collect();
    let release = match trail.append(source, &lines, now) {
        Err(TrailError::RunsAgain { row }) => return Ok((trail, Became::RunsAgain { row })),
        sequenced => sequenced?.release,
    };
    let mut erased = 0;
    if trail.unsettled() {
        erased = trail.settle()?;
        if erased > 0 {
            tracing::info!(erased, "records whose time is over are erased; their commitments stay");
        }
    }
    Ok((trail, Became::Entries { release, erased }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(octet: &str) -> Vault {
        Vault::from_text(&octet.repeat(32)).unwrap()
    }

    #[test]
    fn secrets_are_made_once_and_open_under_their_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::open(folder.path(), &vault("ab"), "gw.ch-exemple.test").unwrap();
        let again = Secrets::open(folder.path(), &vault("ab"), "gw.ch-exemple.test").unwrap();
        assert_eq!(first.wrapping(), again.wrapping());
        assert!(Secrets::open(folder.path(), &vault("cd"), "gw.ch-exemple.test").is_err());
        let file = folder.path().join("trail-secrets");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_peers_checkpoint_is_told_when_it_changes() {
        let checkpoints = Checkpoints::default();
        let domain = Domain::parse("ch-autre.test").unwrap();
        let saw = |note: &str| checkpoints.saw(&domain, note, Fingerprint::new([2; 32]), Timestamp::EPOCH);
        assert!(saw("a\n1\nx\n").is_some());
        assert!(saw("a\n1\nx\n").is_none());
        assert!(saw("a\n2\ny\n").is_some());
        // A long name makes a long note: half of it would prove nothing.
        let long = "n".repeat(600);
        let record = saw(&long).unwrap();
        let Event::CheckpointSeen { checkpoint, .. } = record.event else { panic!("{record:?}") };
        assert_eq!(STANDARD.decode(checkpoint.as_str()).unwrap(), long.as_bytes());
        assert!(saw(&"n".repeat(MAX_NOTE + 1)).is_none());
    }
}
