//! What is remembered of what was made known in another directory: a file for each directory in the data folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use annuaire::{RegisteredMailbox, Registry, fhir::Destination as Target};
use ident::{Address, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Extent, SWEEP};
use crate::replace;

/// Largest such file.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;

/// What is remembered of what was made known in one directory.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remembered {
    /// Where mailboxes of ours may be shown there.
    known: BTreeSet<Target>,
    /// What was last said of each.
    said: BTreeMap<String, Said>,
    /// What could not be said.
    failed: BTreeMap<String, Attempts>,
    /// How often everything was asked about, and when last.
    sweep: u64,
    swept: Option<Timestamp>,
}

/// What was last said of a mailbox.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// In one word.
    word: String,
    /// When, in sweeps.
    sweep: u64,
}

/// What could not be said of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempts {
    /// How often it was tried.
    pub(crate) tries: u32,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Why the last one failed.
    pub(crate) why: String,
}

/// How a mailbox stands there.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    /// Its address.
    pub(crate) address: String,
    /// What is to be said: `publish`, `hide`, `close`.
    pub(crate) wanted: &'static str,
    /// What came of it so far.
    pub(crate) attempts: Option<Attempts>,
}

impl Remembered {
    /// A run begins.
    pub(super) fn begin(&mut self, extent: Extent, at: Timestamp) {
        if extent == Extent::Whole || self.swept.is_none_or(|last| at.since(last) >= SWEEP) {
            self.sweep = self.sweep.saturating_add(1);
            self.swept = Some(at);
        }
    }

    /// When everything was last asked about.
    pub(super) const fn swept(&self) -> Option<Timestamp> {
        self.swept
    }

    /// Since when something cannot be said.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        self.failed.values().map(|it| it.since).min()
    }

    /// Whether this is what was last said of it.
    pub(super) fn is_said(&self, target: &Target, mailbox: &RegisteredMailbox) -> bool {
        self.said.get(&target.address.key()).is_some_and(|said| said.word == wording(target, mailbox))
    }

    /// Whether it is to be asked about.
    pub(super) fn is_due(&self, target: &Target, mailbox: &RegisteredMailbox) -> bool {
        let key = target.address.key();
        let old = self.said.get(&key).is_none_or(|said| said.sweep < self.sweep);
        old || self.failed.contains_key(&key) || !self.is_said(target, mailbox)
    }

    pub(super) fn has_failed(&self, target: &Target) -> bool {
        self.failed.contains_key(&target.address.key())
    }

    /// It may be shown there from now on.
    pub(super) fn shows(&mut self, target: Target) {
        self.known.insert(target);
    }

    /// It is shown there no more.
    pub(super) fn shows_no_more(&mut self, target: &Target) {
        self.known.remove(target);
        self.said.remove(&target.address.key());
        self.failed.remove(&target.address.key());
    }

    /// The other side is as it should be.
    pub(super) fn was_said(&mut self, target: &Target, mailbox: &RegisteredMailbox) {
        let key = target.address.key();
        self.failed.remove(&key);
        self.said.insert(key, Said { word: wording(target, mailbox), sweep: self.sweep });
    }

    /// It is not.
    pub(super) fn was_not_said(&mut self, key: String, why: String, at: Timestamp) {
        let before = self.failed.get(&key);
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        let since = before.map_or(at, |before| before.since);
        self.failed.insert(key, Attempts { tries, since, why });
    }

    /// What may be shown there and is not wanted there.
    pub(super) fn gone(&self, registry: &Registry) -> Vec<Target> {
        let wanted = |it: &Target| {
            let mailbox = registry.mailbox(&it.address).filter(|mailbox| mailbox.is_open());
            mailbox.and_then(Target::of).is_some_and(|now| now == *it)
        };
        self.known.iter().filter(|it| !wanted(it)).cloned().collect()
    }

    /// Forgets what failed of mailboxes that are no more and were never shown.
    pub(super) fn tidy(&mut self, registry: &Registry) {
        let known: BTreeSet<String> = self.known.iter().map(|it| it.address.key()).collect();
        let open: BTreeSet<String> =
            registry.mailboxes().iter().filter(|it| it.is_open()).map(|it| it.address.key()).collect();
        let lives = |key: &String| known.contains(key) || open.contains(key);
        self.failed.retain(|key, _| lives(key));
        self.said.retain(|key, _| lives(key));
    }

    /// Everything that is still to be said.
    pub(crate) fn waiting(&self, registry: &Registry) -> Vec<Standing> {
        let known: BTreeSet<String> = self.known.iter().map(|it| it.address.key()).collect();
        let standing = |address: &Address, wanted| Standing {
            address: address.to_string(),
            wanted,
            attempts: self.failed.get(&address.key()).cloned(),
        };
        let open = registry.mailboxes().iter().filter(|mailbox| mailbox.is_open());
        let unsaid = open.filter_map(|mailbox| {
            let (target, key) = (Target::of(mailbox)?, mailbox.address.key());
            let failed = self.failed.contains_key(&key);
            // What never was there need not be hidden.
            let idle = mailbox.red_list && !known.contains(&key) && !failed;
            let wanted = if mailbox.red_list { "hide" } else { "publish" };
            ((failed || !self.is_said(&target, mailbox)) && !idle).then(|| standing(&mailbox.address, wanted))
        });
        let gone = self.gone(registry);
        gone.iter().map(|it| standing(&it.address, "close")).chain(unsaid).collect()
    }

    /// How many mailboxes are known there by us.
    pub(crate) fn known(&self) -> usize {
        self.known.len()
    }
}

/// What a directory is to show of a mailbox, in one word: another word, and it is to be told.
fn wording(target: &Target, own: &RegisteredMailbox) -> String {
    let facts = (&target.kind, &target.identifier, own.kind.code(), own.red_list, own.rank, &own.name);
    hex(&openssl::sha::sha256(format!("{facts:?}").as_bytes()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}

/// The file that remembers what was made known where.
pub(crate) struct Memory(PathBuf);

/// As the file was before it told what was said of each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Now(Remembered),
    Before(BTreeSet<Target>),
}

impl Memory {
    /// That of one directory, in the data folder.
    pub(crate) fn of(data: &Path, base: &str) -> Self {
        Self(data.join(format!("published-at-{}.json", hex(&openssl::sha::sha256(base.as_bytes())))))
    }

    /// One run at a time: two would forget what the other made known. It ends with the value, or with us.
    pub(super) fn lock(&self) -> io::Result<File> {
        let (path, mut options) = (self.0.with_extension("lock"), OpenOptions::new());
        // It holds nothing: the gateway locks what an operator's command made, too.
        let file = match options.write(true).create(true).truncate(false).mode(0o644).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path)?,
            opened => opened?,
        };
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "the registry is being published there already: try again")
            }
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(file)
    }

    /// What is remembered.
    ///
    /// # Errors
    /// Those of the disk; a file that is not ours.
    pub(crate) fn read(&self) -> io::Result<Remembered> {
        match fs::metadata(&self.0) {
            Ok(found) if found.len() > MAX_MEMORY => {
                return Err(io::Error::other("the memory of what was published is too large"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Remembered::default()),
            _ => {}
        }
        Ok(match serde_json::from_str(&fs::read_to_string(&self.0)?)? {
            Written::Now(held) => held,
            Written::Before(known) => Remembered { known, ..Remembered::default() },
        })
    }

    pub(super) fn write(&self, held: &Remembered) -> io::Result<()> {
        replace::replace(&self.0, &serde_json::to_vec(held)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_796_000_000);

    fn registry(more: &str) -> Registry {
        let text =
            format!("[[mailbox]]\naddress = \"a@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000001\"\n{more}");
        Registry::parse(&text).unwrap()
    }

    fn said(registry: &Registry) -> Remembered {
        let mut held = Remembered::default();
        held.begin(Extent::Due, AT);
        for mailbox in registry.mailboxes() {
            let target = Target::of(mailbox).unwrap();
            held.shows(target.clone());
            held.was_said(&target, mailbox);
        }
        held
    }

    fn wanted(held: &Remembered, registry: &Registry) -> Vec<&'static str> {
        held.waiting(registry).iter().map(|it| it.wanted).collect()
    }

    /// REG-4.
    #[test]
    fn what_waits_follows_from_the_registry_and_from_what_was_said() {
        let plain = registry("");
        assert_eq!(wanted(&Remembered::default(), &plain), ["publish"]);
        let mut held = said(&plain);
        assert!(wanted(&held, &plain).is_empty());
        assert_eq!(wanted(&held, &registry("rank = 2")), ["publish"]);
        assert_eq!(wanted(&held, &registry("red_list = true")), ["hide"]);
        assert!(wanted(&Remembered::default(), &registry("red_list = true")).is_empty());
        assert_eq!(wanted(&held, &registry("closed = \"2026-11-22\"")), ["close"]);
        assert_eq!(wanted(&held, &Registry::default()), ["close"]);
        let moved =
            Registry::parse("[[mailbox]]\naddress = \"a@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"");
        assert_eq!(wanted(&held, &moved.unwrap()), ["close", "publish"]);
        held.was_not_said("a@ch-exemple.test".to_owned(), "away".to_owned(), AT);
        held.was_not_said("a@ch-exemple.test".to_owned(), "away still".to_owned(), AT.plus(SWEEP));
        let waiting = held.waiting(&plain);
        let tried = waiting[0].attempts.as_ref().unwrap();
        assert_eq!((tried.tries, tried.since, tried.why.as_str()), (2, AT, "away still"));
        held.shows_no_more(&Target::of(&plain.mailboxes()[0]).unwrap());
        assert_eq!((held.known(), held.failing_since()), (0, None));
    }

    /// REG-4.
    #[test]
    fn everything_is_asked_about_once_a_day_and_when_that_is_ordered() {
        let plain = registry("");
        let mut held = said(&plain);
        let own = &plain.mailboxes()[0];
        let target = Target::of(own).unwrap();
        assert!(!held.is_due(&target, own));
        held.begin(Extent::Due, AT.plus(SWEEP / 2));
        assert!(!held.is_due(&target, own));
        held.begin(Extent::Due, AT.plus(SWEEP));
        assert!(held.is_due(&target, own) && held.is_said(&target, own));
        held.was_said(&target, own);
        held.begin(Extent::Whole, AT.plus(SWEEP));
        assert!(held.is_due(&target, own));
    }

    /// REG-4.
    #[test]
    fn what_is_remembered_is_read_again_in_both_forms_and_two_do_not_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(folder.path(), "https://annuaire.test/fhir");
        assert_eq!(memory.read().unwrap(), Remembered::default());
        let mut held = said(&registry(""));
        held.was_not_said("b@ch-exemple.test".to_owned(), "away".to_owned(), AT);
        memory.write(&held).unwrap();
        assert_eq!(memory.read().unwrap(), held);
        held.tidy(&Registry::default());
        assert_eq!((held.known(), held.failing_since()), (1, None));
        fs::write(&memory.0, serde_json::to_vec(&held.known).unwrap()).unwrap();
        assert_eq!(memory.read().unwrap(), Remembered { known: held.known, ..Remembered::default() });
        fs::write(&memory.0, "[{").unwrap();
        assert!(memory.read().is_err());
        let one = memory.lock().unwrap();
        assert_eq!(memory.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        memory.lock().unwrap();
    }
}
