//! What others read, as their own signatures said (RFC 8551 §2.5.2, §2.7; decision 0030).
//!
//! Only signatures that were judged valid and bound teach anything, and the newest by its signed time counts: an
//! old message sent again changes nothing. What is learned is about one reading key, chooses among forms that are
//! good anyway, and is forgotten when nobody has said it again for long.

mod lesson;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use pki::{
    book::{BookEntry, BookOwner, Stated},
    cms::{Capabilities, Capability},
};
use serde::{Deserialize, Serialize};

pub(crate) use self::lesson::learn;
use crate::{config::Follow, snapshot::Snapshot};

/// Keys that are remembered: more than a nation's domains, fewer than its mailboxes would need to fill a disk.
const MAX_KEYS: usize = 200_000;
/// How many of those heard of longest ago make room for others at a time.
const ROOM: usize = 1000;
/// How far a signer's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(300);
/// How old a signature may be on arrival: an older one does not say what its signer reads today.
const OLDEST: Duration = Duration::from_secs(30 * 86_400);
/// A list that says the same again is written down once in this time; what is over is looked for as often.
const AGAIN: Duration = Duration::from_secs(86_400);
/// A domain that reads authenticated encryption no longer does when it says so for longer than this: one old message,
/// or one mail program among many, does not weaken what is written to a whole house.
const DOUBT: Duration = Duration::from_secs(86_400);
/// Largest file that is read: several times what all keys need.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// Lines about what has changed since, beyond one for each key, before the file is written anew.
const SPENT_LINES: usize = 1000;

/// A reading key of an owner: what is said of it holds for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingKey {
    owner: BookOwner,
    certificate: Fingerprint,
}

impl ReadingKey {
    /// That of an entry of the book.
    pub fn of(entry: &BookEntry) -> Self {
        Self { owner: entry.owner.clone(), certificate: entry.certificate.fingerprint() }
    }

    fn place(&self) -> Place {
        (self.owner.key(), self.certificate)
    }
}

type Place = (String, Fingerprint);

/// What is known of one reading key. Members that a newer build adds are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Domain or address.
    owner: String,
    /// The certificate that mail is encrypted for.
    reader: Fingerprint,
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

impl Learned {
    fn place(&self) -> Place {
        (self.owner.clone(), self.reader)
    }

    fn is_over(&self, now: Timestamp, keep: Duration) -> bool {
        now.since(self.received) >= keep
    }
}

/// What a good signature said of the keys of its owner.
#[derive(Debug, Clone)]
pub struct Said {
    /// What they read.
    pub capabilities: Capabilities,
    /// When it was signed.
    pub signed: Timestamp,
    /// When it came.
    pub received: Timestamp,
    /// By whom.
    pub signer: Fingerprint,
}

/// The memory: a text file, one JSON object a line; the last line about a key counts. It is written anew when most
/// of its lines are spent, and when one is over.
#[derive(Debug, Default)]
pub struct CapabilityStore {
    file: Option<PathBuf>,
    memory: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    keys: HashMap<Place, Learned>,
    /// Octets of the file that are whole lines, and how many lines.
    whole: u64,
    lines: usize,
    /// When what is over was last looked for.
    swept: Option<Timestamp>,
}

/// What became of something that could be learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lesson {
    /// It is new, or newer and different.
    Taken,
    /// The same, and a whole domain is now written a weaker form than before: this was what it read.
    Weakened(Capabilities),
    /// It says what was known.
    Known,
    /// It would weaken what is written to a domain that reads better: not taken before it is said again another day.
    /// What is followed meanwhile, the first time.
    Doubted(Option<Capabilities>),
    /// It is older than what was known: sent again, or late.
    Older,
    /// Its signed time is not one of today, or it lists nothing that we write.
    Useless,
}

impl CapabilityStore {
    /// Reads what is remembered below a data folder; nothing yet is an empty memory.
    ///
    /// # Errors
    /// Those of the disk. What is in the file stops nobody: lines that cannot be read, or are of a later time than
    /// `now`, are passed over, and a file that is too large is forgotten, which leads back to the defaults.
    pub fn open(data: &Path, now: Timestamp) -> io::Result<Self> {
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
            // A clock that was ahead once would have the last word until its time comes.
            if learned.signed <= now.plus(AHEAD) && learned.received <= now.plus(AHEAD) {
                memory.insert(learned);
            }
        }
        Ok(Self { file: Some(file), memory: RwLock::new(memory) })
    }

    /// What is known of a key, unless nobody has said it for as long as it is kept.
    pub fn of(&self, key: &ReadingKey, now: Timestamp, keep: Duration) -> Option<Learned> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.keys.get(&key.place()).filter(|learned| !learned.is_over(now, keep)).cloned()
    }

    /// Takes what a signature said that was judged good and bound to the key's owner. `published` is what the owner's
    /// operator says of the same key: where that is newer, it is what would be weakened.
    ///
    /// # Errors
    /// Those of the disk: what was learned holds until the next start.
    pub fn learn(
        &self,
        key: &ReadingKey,
        said: Said,
        published: Option<&Stated>,
        keep: Duration,
    ) -> io::Result<Lesson> {
        let Said { capabilities, signed, received, signer } = said;
        if capabilities.is_useless() || signed > received.plus(AHEAD) || signed < received.minus(OLDEST) {
            return Ok(Lesson::Useless);
        }
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.sweep(self.file.as_deref(), received, keep)?;
        let (owner, reader) = key.place();
        let learned = Learned { owner, reader, capabilities, signed, received, signer, doubted: None };
        let held = memory.keys.get_mut(&learned.place());
        let lesson = match (held, published) {
            (held, Some(published)) if held.as_ref().is_none_or(|held| published.at > held.signed) => {
                let known = Learned {
                    capabilities: published.capabilities.clone(),
                    signed: published.at,
                    doubted: None,
                    ..learned.clone()
                };
                weighed(&key.owner, &known, learned)
            }
            (Some(held), _) if held.signed < signed && held.capabilities == learned.capabilities => {
                // Messages come many a minute; that nothing changed is worth a line a day. That what was doubted is
                // said again ends the doubt, and is worth one at once.
                held.signed = signed;
                if received.since(held.received) < AGAIN && held.doubted.is_none() {
                    return Ok(Lesson::Known);
                }
                (Lesson::Known, Some(learned))
            }
            (Some(held), _) => weighed(&key.owner, held, learned),
            (None, _) => (Lesson::Taken, Some(learned)),
        };
        if let (_, Some(written)) = &lesson {
            memory.insert(written.clone());
            memory.append(self.file.as_deref(), written)?;
        }
        Ok(lesson.0)
    }
}

/// What a newer list means for what is known, and what is written down of it.
fn weighed(owner: &BookOwner, known: &Learned, learned: Learned) -> (Lesson, Option<Learned>) {
    if known.signed >= learned.signed {
        return (Lesson::Older, None);
    }
    if known.capabilities == learned.capabilities {
        return (Lesson::Known, Some(learned));
    }
    if !weakens(owner, known, &learned) {
        return (Lesson::Taken, Some(learned));
    }
    match known.doubted {
        None => {
            let doubted = Learned { doubted: Some(learned.received), ..known.clone() };
            (Lesson::Doubted(Some(known.capabilities.clone())), Some(doubted))
        }
        Some(since) if learned.received.since(since) < DOUBT => (Lesson::Doubted(None), None),
        Some(_) => (Lesson::Weakened(known.capabilities.clone()), Some(learned)),
    }
}

/// Whether a whole domain would get a weaker form than it has.
fn weakens(owner: &BookOwner, known: &Learned, learned: &Learned) -> bool {
    let gcm = |learned: &Learned| learned.capabilities.has(Capability::Aes256Gcm);
    matches!(owner, BookOwner::Domain(_)) && gcm(known) && !gcm(learned)
}

impl Memory {
    /// Where there is no more room, those go that were heard of longest ago.
    fn insert(&mut self, learned: Learned) {
        let place = learned.place();
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(&place) {
            let mut times: Vec<Timestamp> = self.keys.values().map(|learned| learned.received).collect();
            let (_, last, _) = times.select_nth_unstable(ROOM.min(MAX_KEYS.saturating_sub(1)));
            let last = *last;
            self.keys.retain(|_, learned| learned.received > last);
        }
        self.keys.insert(place, learned);
    }

    /// Forgets what is over, on disk too, once in a while.
    fn sweep(&mut self, file: Option<&Path>, now: Timestamp, keep: Duration) -> io::Result<()> {
        if self.swept.is_some_and(|swept| now.since(swept) < AGAIN) {
            return Ok(());
        }
        self.swept = Some(now);
        let before = self.keys.len();
        self.keys.retain(|_, learned| !learned.is_over(now, keep));
        match file {
            Some(path) if self.keys.len() < before => self.rewrite(path),
            _ => Ok(()),
        }
    }

    /// Not synced: what a power failure takes is learned again.
    fn append(&mut self, file: Option<&Path>, learned: &Learned) -> io::Result<()> {
        let Some(path) = file else { return Ok(()) };
        if self.lines > self.keys.len().saturating_mul(2).saturating_add(SPENT_LINES) {
            return self.rewrite(path);
        }
        let line = format!("{}\n", serde_json::to_string(learned).map_err(io::Error::other)?);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        // What an earlier failure left half written is written over, never continued.
        file.set_len(self.whole)?;
        file.seek(SeekFrom::Start(self.whole))?;
        file.write_all(line.as_bytes())?;
        self.whole = self.whole.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }

    /// One line for each key, put in the place of all lines at once.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
        for learned in self.keys.values() {
            text.push_str(&serde_json::to_string(learned).map_err(io::Error::other)?);
            text.push('\n');
        }
        let aside = path.with_extension("part");
        std::fs::write(&aside, &text)?;
        std::fs::rename(&aside, path)?;
        self.whole = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.lines = self.keys.len();
        Ok(())
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

/// What is known of whoever holds these keys, for a message that any of them may have to open: where one reads less
/// than the others, that is what counts.
pub fn told<'a>(snapshot: &Snapshot, readers: impl Iterator<Item = &'a BookEntry>, now: Timestamp) -> Option<Told> {
    let known = readers.filter_map(|reader| told_of(snapshot, reader, now));
    known.min_by_key(|told| [Capability::Aes256Gcm, Capability::RsaOaepSha256].map(|one| told.capabilities.has(one)))
}

/// The newer of what the key's operator published and what signatures said; an operator says it on purpose, a
/// signature by the way.
fn told_of(snapshot: &Snapshot, reader: &BookEntry, now: Timestamp) -> Option<Told> {
    let seal = &snapshot.config.seal;
    let published = || {
        let stated = snapshot.book.stated(reader)?;
        Some(Told { capabilities: stated.capabilities.clone(), source: stated.source.clone(), at: stated.at })
    };
    let learned = || {
        let learned = snapshot.capabilities.of(&ReadingKey::of(reader), now, seal.capabilities_kept.0)?;
        let source = format!("its signature by {}, received {}", learned.signer, learned.received);
        Some(Told { capabilities: learned.capabilities, source, at: learned.signed })
    };
    match seal.capabilities {
        Follow::Nobody => None,
        Follow::Published => published(),
        Follow::Learned => match (published(), learned()) {
            (Some(published), Some(learned)) if learned.at > published.at => Some(learned),
            (published, learned) => published.or(learned),
        },
    }
}
