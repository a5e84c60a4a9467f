//! PINs and passphrases: where they are read, and the memory of what became of a PIN.
//!
//! A card locks after three wrong PINs. So before a PIN is tried that is written down, and what the token
//! said is written down after; a PIN that was refused is not tried again by anybody who shares this data
//! folder, across reloads and restarts, until the PIN file says another one.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::sha::sha256;
use pki::keys::{PinFault, PinKeeper, PinOutcome, TokenFacts};
use zeroize::Zeroizing;

use crate::{
    config::{Loaded, SecretPlace},
    replace::replace,
    rest::{StorageKeyId, Vault},
    snapshot,
};

/// Longest PIN or passphrase.
const MAX_SECRET: u64 = 1024;
/// Room for one, so that reading it never moves it: more than [`MAX_SECRET`].
const READ_AT_ONCE: usize = 4096;
/// Folder of the memory, in the data folder.
const FOLDER: &str = "tokens";

/// A secret of the operator's, without its line end.
pub(super) fn secret(loaded: &Loaded, place: &SecretPlace) -> Result<Zeroizing<String>, String> {
    let (path, ours) = located(loaded, place)?;
    read_secret(&path, ours)
}

/// The file, and whether its permissions are ours to judge.
fn located(loaded: &Loaded, place: &SecretPlace) -> Result<(PathBuf, bool), String> {
    match place {
        SecretPlace::File(file) => Ok((loaded.path(file), true)),
        SecretPlace::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) => Ok((Path::new(&folder).join(name), false)),
            None => Err(format!("the credential {name} is not there: $CREDENTIALS_DIRECTORY is set by systemd only")),
        },
    }
}

fn read_secret(path: &Path, ours: bool) -> Result<Zeroizing<String>, String> {
    let named = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(named)?;
    if ours && file.metadata().map_err(named)?.mode() & 0o077 != 0 {
        return Err(format!("{} can be read by others: chmod 600", path.display()));
    }
    // One buffer, wiped: nothing is left behind by growing.
    let mut octets = Zeroizing::new(Vec::with_capacity(READ_AT_ONCE));
    file.take(MAX_SECRET.saturating_add(1)).read_to_end(&mut octets).map_err(named)?;
    let text = std::str::from_utf8(&octets).map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() || octets.len() as u64 > MAX_SECRET || text.contains(['\n', '\0']) {
        return Err(format!("{} does not hold one line of at most {MAX_SECRET} octets", path.display()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// What is known about the PIN that was tried last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// About to be tried, or the answer never came.
    Trying,
    Accepted,
    Refused,
}

/// The last PIN tried on one token. It rests under the storage key: a PIN has few digits, so any digest
/// of it would tell it.
struct Memory {
    known: Known,
    /// It was right once.
    was_good: bool,
    pin: Zeroizing<Vec<u8>>,
}

/// A PIN in a file or credential, read when it is needed and wiped after.
pub(super) struct PinFile {
    place: Result<(PathBuf, bool), String>,
    vault: Box<dyn Fn() -> Result<Vault, String> + Send + Sync>,
    folder: PathBuf,
}

impl PinFile {
    pub(super) fn new(loaded: &Loaded, place: &SecretPlace) -> Self {
        let own = loaded.clone();
        Self {
            place: located(loaded, place),
            vault: Box::new(move || snapshot::vault(&own).map_err(|problem| problem.to_string())),
            folder: loaded.data().join(FOLDER),
        }
    }

    fn memory_of(&self, token: &TokenFacts) -> PathBuf {
        let parts = [&token.manufacturer, &token.model, &token.serial, &token.label];
        let name: Vec<u8> = parts.iter().flat_map(|part| part.bytes().chain([0])).collect();
        let name: String = sha256(&name).iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        self.folder.join(name)
    }

    fn recall(&self, path: &Path, vault: &Vault) -> Result<Option<Memory>, String> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let unreadable = || format!("{} cannot be read: remove it once the PIN is known to be right", path.display());
        let wrapped = STANDARD.decode(text.trim()).map_err(|_| unreadable())?;
        let plain = vault.unwrap(&wrapped).map_err(|_| unreadable())?;
        let Some(([known, was_good], pin)) = plain.split_first_chunk::<2>() else { return Err(unreadable()) };
        let known = match known {
            b'T' => Known::Trying,
            b'A' => Known::Accepted,
            b'R' => Known::Refused,
            _ => return Err(unreadable()),
        };
        Ok(Some(Memory { known, was_good: *was_good == 1, pin: Zeroizing::new(pin.to_vec()) }))
    }

    /// Aside, synced, renamed: a crash leaves the old memory or the new one.
    fn keep(&self, path: &Path, vault: &Vault, memory: &Memory) -> Result<(), String> {
        let known = match memory.known {
            Known::Trying => b'T',
            Known::Accepted => b'A',
            Known::Refused => b'R',
        };
        let plain = Zeroizing::new([&[known, u8::from(memory.was_good)][..], &memory.pin].concat());
        let wrapped = STANDARD.encode(vault.wrap(&plain).map_err(|error| error.to_string())?);
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            replace(path, wrapped.as_bytes())
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Wraps every memory under the current key; what cannot be unwrapped stays as it is.
///
/// # Errors
/// Those of the disk.
pub(crate) fn rewrap(data: &Path, vault: &Vault) -> io::Result<()> {
    for path in memories(data)? {
        let Ok(wrapped) = STANDARD.decode(fs::read_to_string(&path)?.trim()) else { continue };
        if StorageKeyId::of_wrapped(&wrapped) == Some(vault.current()) {
            continue;
        }
        if let Ok(plain) = vault.unwrap(&wrapped) {
            let again = vault.wrap(&plain).map_err(io::Error::other)?;
            replace(&path, STANDARD.encode(again).as_bytes())?;
        }
    }
    Ok(())
}

/// The keys under which memories rest.
///
/// # Errors
/// Those of the disk.
pub(crate) fn wrapped_under(data: &Path) -> io::Result<Vec<StorageKeyId>> {
    let texts = memories(data)?.into_iter().map(fs::read_to_string).collect::<io::Result<Vec<_>>>()?;
    let wrapped = texts.iter().filter_map(|text| STANDARD.decode(text.trim()).ok());
    Ok(wrapped.filter_map(|wrapped| StorageKeyId::of_wrapped(&wrapped)).collect())
}

fn memories(data: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(data.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_none()).collect())
}

impl PinKeeper for PinFile {
    fn begin(&self, token: &TokenFacts) -> Result<Zeroizing<String>, PinFault> {
        let (file, ours) = self.place.as_ref().map_err(|what| PinFault::Unreadable(what.clone()))?;
        let pin = read_secret(file, *ours).map_err(PinFault::Unreadable)?;
        let vault = (self.vault)().map_err(PinFault::Forgetful)?;
        let path = self.memory_of(token);
        let before = self.recall(&path, &vault).map_err(PinFault::Forgetful)?;
        let same = before.filter(|memory| memory.pin.as_slice() == pin.as_bytes());
        let was_good = same.as_ref().is_some_and(|memory| memory.was_good);
        match same.map(|memory| memory.known) {
            Some(Known::Refused) => return Err(PinFault::Refused),
            // It was right before, and the token counted no wrong one since.
            Some(Known::Trying) if !was_good || token.wrong_before => {
                tracing::error!(memory = %path.display(), "the last try of the PIN was cut short: check the token's counter, then remove this file");
                return Err(PinFault::Doubtful);
            }
            Some(Known::Trying | Known::Accepted) | None => {}
        }
        let memory = Memory { known: Known::Trying, was_good, pin: Zeroizing::new(pin.as_bytes().to_vec()) };
        self.keep(&path, &vault, &memory).map_err(PinFault::Forgetful)?;
        Ok(pin)
    }

    fn end(&self, token: &TokenFacts, outcome: PinOutcome) {
        let known = match outcome {
            PinOutcome::Accepted => Known::Accepted,
            PinOutcome::Refused => Known::Refused,
            // What was written before the try stays: it may have been counted.
            PinOutcome::Unknown => return,
        };
        let path = self.memory_of(token);
        let update = || -> Result<(), String> {
            let vault = (self.vault)()?;
            let before = self.recall(&path, &vault)?.ok_or("the memory of the PIN is gone")?;
            let was_good = before.was_good || known == Known::Accepted;
            self.keep(&path, &vault, &Memory { known, was_good, ..before })
        };
        if let Err(error) = update() {
            tracing::error!(%error, "what the token said about the PIN could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
        token: TokenFacts,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { folder, token: TokenFacts { label: "sceau".into(), serial: "7".into(), ..TokenFacts::default() } }
        }

        fn pin(&self, text: &str) {
            let file = self.folder.path().join("pin");
            fs::write(&file, text).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }

        /// A new process: nothing but the files is known.
        fn keeper(&self) -> PinFile {
            PinFile {
                place: Ok((self.folder.path().join("pin"), true)),
                vault: Box::new(|| Vault::from_text(&"ab".repeat(32)).map_err(str::to_owned)),
                folder: self.folder.path().join(FOLDER),
            }
        }

        fn begin(&self) -> Result<String, PinFault> {
            self.keeper().begin(&self.token).map(|pin| pin.to_string())
        }
    }

    #[test]
    fn a_refused_pin_is_not_tried_again_after_a_restart() {
        let bench = Bench::new();
        bench.pin("1234\n");
        assert_eq!(bench.begin(), Ok("1234".to_owned()));
        bench.keeper().end(&bench.token, PinOutcome::Refused);
        assert_eq!(bench.begin(), Err(PinFault::Refused));
        bench.pin("1234");
        assert_eq!(bench.begin(), Err(PinFault::Refused), "written anew, it is the same PIN");
        let other = TokenFacts { serial: "8".into(), ..bench.token.clone() };
        assert!(bench.keeper().begin(&other).is_ok(), "another token never refused it");
        bench.pin("4321");
        assert_eq!(bench.begin(), Ok("4321".to_owned()));
        bench.keeper().end(&bench.token, PinOutcome::Accepted);
        assert_eq!(bench.begin(), Ok("4321".to_owned()));
    }

    /// Killed between the try and its answer: nobody knows whether the token counted it.
    #[test]
    fn a_try_without_answer_is_repeated_only_when_it_cannot_hurt() {
        let bench = Bench::new();
        bench.pin("1234");
        assert!(bench.begin().is_ok());
        assert_eq!(bench.begin(), Err(PinFault::Doubtful));
        let memory = bench.keeper().memory_of(&bench.token);
        fs::remove_file(memory).unwrap();
        assert!(bench.begin().is_ok());
        bench.keeper().end(&bench.token, PinOutcome::Accepted);
        assert!(bench.begin().is_ok());
        assert!(bench.begin().is_ok(), "it was right, and the token counted no wrong one");
        let counted = TokenFacts { wrong_before: true, ..bench.token.clone() };
        assert_eq!(bench.keeper().begin(&counted).map(drop), Err(PinFault::Doubtful));
    }

    #[test]
    fn a_pin_that_others_can_read_is_not_used() {
        let bench = Bench::new();
        bench.pin("1234");
        fs::set_permissions(bench.folder.path().join("pin"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(bench.begin(), Err(PinFault::Unreadable(what)) if what.contains("chmod")));
        for text in ["", "\n", "12\n34\n", &"1".repeat(1025)] {
            bench.pin(text);
            assert!(matches!(bench.begin(), Err(PinFault::Unreadable(_))), "{text:?}");
        }
    }

    /// A PIN has few digits: neither it nor a digest of it may rest beside its token's name.
    #[test]
    fn the_memory_does_not_tell_the_pin() {
        let bench = Bench::new();
        bench.pin("271828");
        assert!(bench.begin().is_ok());
        bench.keeper().end(&bench.token, PinOutcome::Refused);
        let first = fs::read(bench.keeper().memory_of(&bench.token)).unwrap();
        assert!(!first.windows(6).any(|window| window == b"271828"));
        bench.keeper().end(&bench.token, PinOutcome::Refused);
        assert_ne!(fs::read(bench.keeper().memory_of(&bench.token)).unwrap(), first, "each writing looks different");
    }
}
