//! What others read, as their own signatures said (RFC 8551 §2.5.2, §2.7; decision 0030).
//!
//! Only signatures that were judged valid and bound teach anything, and the newest by its signed time counts: an
//! old message sent again changes nothing. What is learned chooses among forms that are good anyway.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use mail::{BoundBy, Judgement, Opened, Signature, SignatureState};
use pki::{
    book::{Book, BookEntry, BookOwner},
    cms::{Capabilities, Capability},
};
use serde::{Deserialize, Serialize};

use crate::{config::Follow, gateway::Gateway, snapshot::Snapshot};

/// Owners that are remembered: more than a nation's domains, fewer than its mailboxes would need to fill a disk.
const MAX_OWNERS: usize = 200_000;
/// How far a signer's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(300);
/// How old a signature may be on arrival: an older one does not say what its signer reads today.
const OLDEST: Duration = Duration::from_secs(30 * 86_400);
/// A list that says the same again is written down once in this time.
const AGAIN: Duration = Duration::from_secs(86_400);
/// A domain that reads authenticated encryption no longer does when it says so for longer than this: one old message,
/// or one mail program among many, does not weaken what is written to a whole house.
const DOUBT: Duration = Duration::from_secs(86_400);
/// Largest file that is read: several times what all owners need.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// Lines about what has changed since, beyond one for each owner, before the file is written anew.
const SPENT_LINES: usize = 1000;

/// What is known of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Domain or address.
    owner: String,
    /// What it reads.
    pub capabilities: Capabilities,
    /// When the signature says that it was made.
    pub signed: Timestamp,
    /// When it came.
    pub received: Timestamp,
    /// Whose it was.
    pub signer: Fingerprint,
    /// Since when, for a domain that reads authenticated encryption, newer lists come that do not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubted: Option<Timestamp>,
}

/// The memory: a text file, one JSON object a line; the last line about an owner counts. It is written anew when most
/// of its lines are spent.
#[derive(Debug, Default)]
pub struct CapabilityStore {
    file: Option<PathBuf>,
    memory: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    owners: HashMap<String, Learned>,
    /// Octets of the file that are whole lines, and how many lines.
    whole: u64,
    lines: usize,
}

/// What became of something that could be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// It is new, or newer and different.
    Taken,
    /// It says what was known.
    Known,
    /// It would weaken what is written to a domain that reads better: not taken before it is said again another day.
    Doubted,
    /// It is older than what was known: sent again, or late.
    Older,
    /// Its signed time is not one of today, or it lists nothing that we write, or there is no more room.
    Useless,
}

impl CapabilityStore {
    /// Reads what is remembered below a data folder; nothing yet is an empty memory.
    ///
    /// # Errors
    /// Those of the disk. What is in the file stops nobody: lines that cannot be read are passed over, and a file that
    /// is too large is forgotten, which leads back to the defaults.
    pub fn open(data: &Path) -> io::Result<Self> {
        let file = data.join("capabilities.jsonl");
        let octets = match std::fs::metadata(&file) {
            Ok(found) if found.len() <= MAX_FILE => std::fs::read(&file)?,
            Ok(found) => {
                tracing::warn!(file = %file.display(), octets = found.len(), "too large: what others read is forgotten");
                Vec::new()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let whole = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at.saturating_add(1));
        let mut memory = Memory { whole: u64::try_from(whole).unwrap_or(u64::MAX), ..Memory::default() };
        for line in octets.get(..whole).unwrap_or_default().split_inclusive(|octet| *octet == b'\n') {
            memory.lines = memory.lines.saturating_add(1);
            let Ok(learned) = serde_json::from_slice::<Learned>(line) else { continue };
            if memory.owners.len() < MAX_OWNERS || memory.owners.contains_key(&learned.owner) {
                memory.owners.insert(learned.owner.clone(), learned);
            }
        }
        Ok(Self { file: Some(file), memory: RwLock::new(memory) })
    }

    /// What is known of an owner.
    pub fn of(&self, owner: &BookOwner) -> Option<Learned> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner).owners.get(&owner.key()).cloned()
    }

    /// Takes what a signature said that was judged good and bound to this owner.
    ///
    /// # Errors
    /// Those of the disk: what was learned holds until the next start.
    pub fn learn(
        &self,
        owner: &BookOwner,
        capabilities: Capabilities,
        signed: Timestamp,
        received: Timestamp,
        signer: Fingerprint,
    ) -> io::Result<Lesson> {
        if capabilities.is_useless() || signed > received.plus(AHEAD) || signed < received.minus(OLDEST) {
            return Ok(Lesson::Useless);
        }
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        let mut learned = Learned { owner: owner.key(), capabilities, signed, received, signer, doubted: None };
        let full = memory.owners.len() >= MAX_OWNERS;
        let lesson = match memory.owners.get_mut(&learned.owner) {
            Some(known) if known.signed >= signed => return Ok(Lesson::Older),
            Some(known) if known.capabilities == learned.capabilities => {
                // Messages come many a minute; that nothing changed is worth a line a day.
                // That what was doubted is said again ends the doubt, and is worth one at once.
                let quiet = received.since(known.received) < AGAIN && known.doubted.is_none();
                known.signed = signed;
                if quiet {
                    return Ok(Lesson::Known);
                }
                Lesson::Known
            }
            Some(known)
                if weakens(owner, known, &learned) && known.doubted.is_none_or(|day| received.since(day) < DOUBT) =>
            {
                if known.doubted.is_some() {
                    return Ok(Lesson::Doubted);
                }
                learned = Learned { doubted: Some(received), ..known.clone() };
                Lesson::Doubted
            }
            None if full => return Ok(Lesson::Useless),
            _ => Lesson::Taken,
        };
        let line = format!("{}\n", serde_json::to_string(&learned).map_err(io::Error::other)?);
        memory.owners.insert(learned.owner.clone(), learned);
        memory.append(self.file.as_deref(), &line)?;
        Ok(lesson)
    }
}

/// Whether a whole domain would get a weaker form than it has.
fn weakens(owner: &BookOwner, known: &Learned, learned: &Learned) -> bool {
    let gcm = |learned: &Learned| learned.capabilities.has(Capability::Aes256Gcm);
    matches!(owner, BookOwner::Domain(_)) && gcm(known) && !gcm(learned)
}

impl Memory {
    /// Not synced: what a power failure takes is learned again.
    fn append(&mut self, file: Option<&Path>, line: &str) -> io::Result<()> {
        let Some(path) = file else { return Ok(()) };
        if self.lines > self.owners.len().saturating_mul(2).saturating_add(SPENT_LINES) {
            return self.rewrite(path);
        }
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        // What an earlier failure left half written is written over, never continued.
        file.set_len(self.whole)?;
        file.seek(SeekFrom::Start(self.whole))?;
        file.write_all(line.as_bytes())?;
        self.whole = self.whole.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }

    /// One line for each owner, put in the place of all lines at once.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
        for learned in self.owners.values() {
            text.push_str(&serde_json::to_string(learned).map_err(io::Error::other)?);
            text.push('\n');
        }
        let aside = path.with_extension("part");
        std::fs::write(&aside, &text)?;
        std::fs::rename(&aside, path)?;
        self.whole = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.lines = self.owners.len();
        Ok(())
    }
}

/// Learns from an accepted message, where its signature teaches something.
pub(crate) fn learn(gateway: &Gateway, snapshot: &Snapshot, opened: &Opened, judgement: &Judgement, now: Timestamp) {
    let Signature::Good(signed) = &opened.signature else { return };
    let Some((capabilities, at)) = signed.said.capabilities.clone().zip(signed.signing_time) else { return };
    let (Some(signer), SignatureState::Valid) = (&judgement.signer, judgement.signature) else { return };
    // A patient's address is a national number: it rests nowhere but in the envelope (promise 3).
    if snapshot.config.seal.capabilities != Follow::Learned || gateway.masker.is_patient(&judgement.from) {
        return;
    }
    let Some(owner) = owner(&snapshot.book, judgement, signer.fingerprint) else { return };
    match snapshot.capabilities.learn(&owner, capabilities, at, now, signer.fingerprint) {
        Ok(Lesson::Taken) => tracing::info!(domain = %owner.domain(), "learned what it reads from its signature"),
        Ok(Lesson::Doubted) => {
            tracing::warn!(domain = %owner.domain(), "a signature no longer lists the authenticated encryption that others did");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "what a signature taught was not written down"),
    }
}

/// For whom the signature speaks: a whole domain only where the book says that this certificate signs for it, else
/// the mailbox that it is bound to. A structure may own one mailbox of many in a domain.
fn owner(book: &Book, judgement: &Judgement, signer: Fingerprint) -> Option<BookOwner> {
    let domain = judgement.from.domain();
    if book.signers(domain).iter().any(|entry| entry.certificate.fingerprint() == signer) {
        return Some(BookOwner::Domain(domain.clone()));
    }
    match judgement.bound_by? {
        BoundBy::CertificateAddress | BoundBy::Person | BoundBy::Organisation | BoundBy::Book => {
            Some(BookOwner::Address(judgement.from.clone()))
        }
        BoundBy::Operator => None,
    }
}

/// What somebody reads, and how we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it reads.
    pub capabilities: Capabilities,
    /// Where we have it from, for people.
    pub source: String,
    /// Since when.
    pub at: Timestamp,
}

/// What is known of whoever holds the key that this entry of the book reads with.
pub fn told(snapshot: &Snapshot, reader: &BookEntry) -> Option<Told> {
    let published = || {
        let stated = snapshot.book.stated(&reader.owner)?;
        Some(Told { capabilities: stated.capabilities.clone(), source: stated.source.clone(), at: stated.at })
    };
    let learned = || {
        let learned = snapshot.capabilities.of(&reader.owner)?;
        let source = format!("its signature by {}, received {}", learned.signer, learned.received);
        Some(Told { capabilities: learned.capabilities, source, at: learned.signed })
    };
    match snapshot.config.seal.capabilities {
        Follow::Nobody => None,
        Follow::Published => published(),
        // Its operator says it on purpose; a signature says it by the way.
        Follow::Learned => published().or_else(learned),
    }
}

#[cfg(test)]
mod tests {
    use ident::Domain;
    use pki::cms::Capability::{Aes256Gcm, AesCbc, RsaOaepSha256};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
    }

    fn owner() -> BookOwner {
        BookOwner::Domain(Domain::parse("ch-autre.test").unwrap())
    }

    fn learn(store: &CapabilityStore, capabilities: &Capabilities, signed: Timestamp, received: Timestamp) -> Lesson {
        store.learn(&owner(), capabilities.clone(), signed, received, Fingerprint::new([7; 32])).unwrap()
    }

    #[test]
    fn the_newest_signature_counts_and_an_old_one_sent_again_changes_nothing() {
        let store = CapabilityStore::default();
        let (client, gateway) = (Capabilities::new([AesCbc]), Capabilities::new([Aes256Gcm, AesCbc, RsaOaepSha256]));
        assert_eq!(learn(&store, &client, now(), now()), Lesson::Taken);
        assert_eq!(learn(&store, &gateway, now().plus(DAY), now().plus(DAY)), Lesson::Taken);
        // The first message again, and one that was held back on the way.
        assert_eq!(learn(&store, &client, now(), now().plus(DAY * 2)), Lesson::Older);
        assert_eq!(learn(&store, &client, now().plus(DAY), now().plus(DAY * 2)), Lesson::Older);
        assert_eq!(store.of(&owner()).unwrap().capabilities, gateway);
        // That nothing changed counts too: what is replayed afterwards is older still.
        assert_eq!(learn(&store, &gateway, now().plus(DAY * 3), now().plus(DAY * 3)), Lesson::Known);
        assert_eq!(learn(&store, &client, now().plus(DAY * 2), now().plus(DAY * 3)), Lesson::Older);
    }

    /// One old message, or one mail program in a house, does not weaken what a whole domain is written.
    #[test]
    fn a_domain_that_reads_better_is_believed_less_only_when_it_says_so_again_another_day() {
        let store = CapabilityStore::default();
        let (client, gateway) = (Capabilities::new([AesCbc]), Capabilities::new([Aes256Gcm, AesCbc, RsaOaepSha256]));
        let at = |hours: u32| now().plus(Duration::from_secs(3600) * hours);
        assert_eq!(learn(&store, &gateway, at(0), at(0)), Lesson::Taken);
        assert_eq!(learn(&store, &client, at(1), at(1)), Lesson::Doubted);
        assert_eq!(learn(&store, &gateway, at(2), at(2)), Lesson::Known);
        assert_eq!(learn(&store, &client, at(25), at(25)), Lesson::Doubted);
        assert_eq!(store.of(&owner()).unwrap().capabilities, gateway);
        // The better list again: it was a program among others.
        assert_eq!(learn(&store, &gateway, at(40), at(40)), Lesson::Known);
        assert_eq!(learn(&store, &client, at(50), at(50)), Lesson::Doubted);
        assert_eq!(learn(&store, &client, at(74), at(74)), Lesson::Taken);
        assert_eq!(store.of(&owner()).unwrap().capabilities, client);
        // Upwards at once; and a mailbox, which is one program, either way.
        assert_eq!(learn(&store, &gateway, at(75), at(75)), Lesson::Taken);
        let mailbox = BookOwner::Address(ident::Address::parse("dr.test@ch-autre.test").unwrap());
        for capabilities in [&gateway, &client] {
            let hour = if *capabilities == gateway { at(0) } else { at(1) };
            let signer = Fingerprint::new([7; 32]);
            assert_eq!(store.learn(&mailbox, capabilities.clone(), hour, hour, signer).unwrap(), Lesson::Taken);
        }
    }

    /// What is in the file stops no start, and it does not grow for ever.
    #[test]
    fn the_file_is_written_anew_and_whatever_is_in_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capabilities.jsonl");
        std::fs::write(&file, b"\xff\xfe\n{}\n").unwrap();
        let store = CapabilityStore::open(folder.path()).unwrap();
        let mailbox = BookOwner::Address(ident::Address::parse("dr.test@ch-autre.test").unwrap());
        let lists = [Capabilities::new([AesCbc]), Capabilities::ours()];
        for (second, list) in (0..u32::try_from(SPENT_LINES).unwrap() * 2).zip(lists.iter().cycle()) {
            let at = now().plus(Duration::from_secs(1) * second);
            assert_eq!(store.learn(&mailbox, list.clone(), at, at, Fingerprint::new([7; 32])).unwrap(), Lesson::Taken);
        }
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines < SPENT_LINES + 10, "{lines}");
        let known = store.of(&mailbox).unwrap();
        assert_eq!(CapabilityStore::open(folder.path()).unwrap().of(&mailbox).unwrap(), known);
        std::fs::File::create(&file).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert_eq!(CapabilityStore::open(folder.path()).unwrap().of(&mailbox), None);
    }

    #[test]
    fn times_that_are_not_of_today_and_ciphers_that_nobody_writes_teach_nothing() {
        let store = CapabilityStore::default();
        let client = Capabilities::new([AesCbc]);
        for (capabilities, signed) in [
            (&client, now().plus(AHEAD + Duration::from_secs(1))),
            (&client, now().minus(OLDEST + Duration::from_secs(1))),
            (&Capabilities::default(), now()),
            (&Capabilities::new([RsaOaepSha256]), now()),
        ] {
            assert_eq!(learn(&store, capabilities, signed, now()), Lesson::Useless, "{capabilities} {signed}");
        }
        assert_eq!(store.of(&owner()), None);
    }

    #[test]
    fn it_is_remembered_over_restarts_and_torn_lines_are_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capabilities.jsonl");
        let store = CapabilityStore::open(folder.path()).unwrap();
        let (client, gateway) = (Capabilities::new([AesCbc]), Capabilities::ours());
        learn(&store, &client, now(), now());
        // The same within a day is not written again.
        assert_eq!(learn(&store, &client, now().plus(DAY / 2), now().plus(DAY / 2)), Lesson::Known);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
        learn(&store, &gateway, now().plus(DAY), now().plus(DAY));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("nonsense\n{text}{{\"owner\":")).unwrap();
        let again = CapabilityStore::open(folder.path()).unwrap();
        let known = again.of(&owner()).unwrap();
        assert_eq!((known.capabilities, known.signed, known.received), (gateway, now().plus(DAY), now().plus(DAY)));
        learn(&again, &client, now().plus(DAY * 2), now().plus(DAY * 2));
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().skip(1).all(|line| serde_json::from_str::<Learned>(line).is_ok()), "{text}");
    }
}
