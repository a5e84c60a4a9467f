//! Proving that nobody altered a trail, off line: with nothing but its folder, the public key of
//! its checkpoints, and (to look into the records too) the wrapping key.
//!
//! Everything is computed again from the records up: record → commitment → leaf → tiles → root →
//! checkpoint, and each checkpoint against the one before and against those that others kept.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use ident::{Fingerprint, Timestamp};
use serde::Serialize;

use super::{
    checkpoint::Checkpoint,
    error::TrailError,
    history::Notes,
    keys::{KeyTable, LeafRow},
    layout::{Folder, Tile, hashes, unbundle},
    merkle::{Edge, Hash, leaf_hash},
    note::NoteVerifier,
    retention::{Due, LeafSet},
    seal::Wrapping,
    sequencer::{FRAME, files_below, parse},
};
use crate::{Class, Event, record::Head};

/// Most findings that are listed; the first is what matters.
const MAX_FINDINGS: usize = 100;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: an entry, a tile, a checkpoint, a file.
    pub place: String,
    /// What.
    pub what: String,
}

/// What a verification found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing was altered, as far as was looked.
    pub ok: bool,
    /// Entries.
    pub size: u64,
    /// Checkpoints in the history.
    pub checkpoints: u64,
    /// Whether the records were opened too.
    pub records_opened: bool,
    /// Entries whose records were erased as an entry tells.
    pub erased: u64,
    /// What is wrong, the first bad place first.
    pub findings: Vec<Finding>,
}

/// A checkpoint that somebody kept elsewhere.
#[derive(Debug, Clone)]
pub struct KnownCheckpoint {
    /// Where it comes from.
    pub place: String,
    /// The signed note.
    pub note: String,
}

/// Verifies the trail in a folder.
///
/// # Errors
/// [`TrailError::Nothing`] when there is no trail, not one entry, and no sign that there was; else only what
/// prevents looking at all. Everything else is a finding.
pub fn verify(
    dir: &Path,
    verifier: &NoteVerifier,
    wrapping: Option<&[u8; 32]>,
    known: &[KnownCheckpoint],
) -> Result<Report, TrailError> {
    let folder = Folder::new(dir);
    let wrapping = match wrapping {
        Some(key) => Some(Wrapping::new(key).ok_or(TrailError::Crypto("take the wrapping key"))?),
        None => None,
    };
    let mut check = Check { folder, findings: Vec::new(), expected: HashSet::new() };
    let history = check.history(verifier)?;
    let size = history.size;
    let outside = check.known(verifier, known, size);
    if size == 0 && check.findings.is_empty() {
        return Err(TrailError::Nothing(dir.display().to_string()));
    }
    let mut records = match &wrapping {
        Some(wrapping) if size > 0 => check.begin_records(wrapping),
        _ => None,
    };
    let mut marks = Marks::new(&check.folder, history.good, outside)?;
    check.tree(size, &mut marks, &mut records);
    let erased = records.map_or(0, |records| check.end_records(records));
    check.strangers();
    Ok(Report {
        ok: check.findings.is_empty(),
        size,
        checkpoints: history.good,
        records_opened: wrapping.is_some() && size > 0,
        erased,
        findings: check.findings,
    })
}

/// The checkpoints of the history that are good, the first bad one not counted.
struct Good {
    good: u64,
    /// Entries that the last covers.
    size: u64,
}

/// Checkpoints while the tree grows: those of the history, read again one at a time, and those that
/// somebody kept.
struct Marks {
    notes: Option<Notes>,
    left: u64,
    number: u64,
    next: Option<Checkpoint>,
    outside: BTreeMap<u64, Vec<(String, Hash)>>,
}

impl Marks {
    fn new(folder: &Folder, good: u64, known: Vec<(String, Checkpoint)>) -> Result<Self, TrailError> {
        let path = folder.history();
        let notes = if good > 0 { Some(Notes::open(&path).map_err(TrailError::disk(&path))?) } else { None };
        let mut outside: BTreeMap<u64, Vec<(String, Hash)>> = BTreeMap::new();
        for (place, checkpoint) in known {
            outside.entry(checkpoint.size).or_default().push((place, checkpoint.root));
        }
        let mut marks = Self { notes, left: good, number: 0, next: None, outside };
        marks.advance();
        Ok(marks)
    }

    /// Its signature was looked at before.
    fn advance(&mut self) {
        self.next = None;
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let note = self.notes.as_mut().and_then(Notes::next).and_then(Result::ok);
            self.next = note.and_then(|note| Checkpoint::peek(&note));
        }
    }

    /// The place of a checkpoint of this size that has another root.
    fn contradicted(&mut self, edge: &Edge) -> Option<String> {
        while let Some(checkpoint) = self.next.filter(|checkpoint| checkpoint.size <= edge.size()) {
            let place = format!("checkpoint {}", self.number);
            self.number = self.number.saturating_add(1);
            self.advance();
            if checkpoint.size == edge.size() && checkpoint.root != edge.root() {
                return Some(place);
            }
        }
        let known = self.outside.remove(&edge.size())?;
        known.into_iter().find(|(_, root)| *root != edge.root()).map(|(place, _)| place)
    }
}

struct Check {
    folder: Folder,
    findings: Vec<Finding>,
    /// Files of the log that belong there.
    expected: HashSet<PathBuf>,
}

impl Check {
    fn found(&mut self, place: impl Into<String>, what: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { place: place.into(), what: what.into() });
        }
    }

    /// Every checkpoint: its signature, that it names the one before, that it does not shrink.
    fn history(&mut self, verifier: &NoteVerifier) -> Result<Good, TrailError> {
        let path = self.folder.history();
        let mut found = Good { good: 0, size: 0 };
        let notes = match Notes::open(&path) {
            Ok(notes) => notes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let entries = KeyTable::read_only(&self.folder.keys()).and_then(|keys| keys.size()).unwrap_or(0);
                let left = |dir: PathBuf| files_below(&dir).is_ok_and(|files| !files.is_empty());
                if entries > 0 || left(self.folder.log()) || left(self.folder.records()) {
                    self.found("checkpoints", format!("{error}; other files of a trail are there"));
                }
                return Ok(found);
            }
            Err(error) => return Err(TrailError::disk(&path)(error)),
        };
        let mut last: Option<(Checkpoint, String)> = None;
        for note in notes {
            let place = format!("checkpoint {}", found.good);
            let note = match note {
                Ok(note) => note,
                Err(error) => {
                    match error.kind() {
                        io::ErrorKind::UnexpectedEof => self.found(place, "it is not complete"),
                        io::ErrorKind::InvalidData => self.found(place, "it is no text"),
                        _ => return Err(TrailError::disk(&path)(error)),
                    }
                    break;
                }
            };
            let checkpoint = match Checkpoint::open(&note, verifier) {
                Ok(checkpoint) => checkpoint,
                Err(error) => {
                    self.found(place, error.to_string());
                    return Ok(found);
                }
            };
            let before = last.as_ref().map(|(before, _)| before);
            let previous = before.map_or(Fingerprint::new([0; 32]), |before| before.digest(verifier.name()));
            if checkpoint.previous != previous {
                self.found(&place, "it does not name the checkpoint before it: one is missing or out of order");
            }
            if before.is_some_and(|before| before.size >= checkpoint.size || before.at > checkpoint.at) {
                self.found(&place, "it is not later than the checkpoint before it");
            }
            found = Good { good: found.good.saturating_add(1), size: checkpoint.size };
            last = Some((checkpoint, note));
        }
        let newest = fs::read(self.folder.checkpoint()).unwrap_or_default();
        self.expected.insert(self.folder.checkpoint());
        if last.map(|(_, note)| note.into_bytes()).unwrap_or_default() != newest {
            self.found("log/checkpoint", "it is not the last of the history");
        }
        Ok(found)
    }

    /// Checkpoints that somebody kept: those within our size are compared with the tree.
    fn known(&mut self, verifier: &NoteVerifier, known: &[KnownCheckpoint], size: u64) -> Vec<(String, Checkpoint)> {
        let mut outside = Vec::new();
        for known in known {
            match Checkpoint::open(&known.note, verifier) {
                Ok(checkpoint) if checkpoint.size > size => self.found(
                    &known.place,
                    format!("it covers {} entries, the trail has {size}: the trail was cut", checkpoint.size),
                ),
                Ok(checkpoint) => outside.push((known.place.clone(), checkpoint)),
                Err(error) => self.found(&known.place, error.to_string()),
            }
        }
        outside
    }

    /// Computes the tree again from the entries and compares every record, tile and checkpoint.
    fn tree(&mut self, size: u64, marks: &mut Marks, records: &mut Option<Records<'_>>) {
        let mut edge = Edge::default();
        for index in 0..size.div_ceil(256) {
            let first = index.saturating_mul(256);
            let Some(entries) = self.bundle(index, size) else { return };
            let Some(stored) = self.stored(Tile::Hashes(0, index), entries.len()) else { return };
            let committed = match records {
                Some(records) => self.commitments(records, first, entries.len()),
                None => vec![None; entries.len()],
            };
            for (leaf, ((entry, hash), committed)) in (first..).zip(entries.iter().zip(stored).zip(committed)) {
                if !self.agree(leaf, entry, &hash, committed.as_ref()) {
                    return;
                }
                self.grow(&mut edge, hash);
                if let Some(place) = marks.contradicted(&edge) {
                    self.found(place, format!("its root is not that of the first {} entries", edge.size()));
                    return;
                }
            }
        }
        self.upper_edge(&edge);
    }

    /// Compares record, entry and hash of a leaf; where they differ, two against one says which.
    fn agree(&mut self, leaf: u64, entry: &Hash, hash: &Hash, committed: Option<&Hash>) -> bool {
        let what = match (leaf_hash(entry) == *hash, committed) {
            (true, None) => return true,
            (true, Some(committed)) if committed == entry => return true,
            (true, Some(_)) => "the record is not the one that was committed to",
            (false, Some(committed)) if committed == entry => "its hash in the tile was altered",
            (false, Some(committed)) if leaf_hash(committed) == *hash => "its commitment in the bundle was altered",
            (false, _) => "its commitment in the bundle and its hash in the tile do not belong together",
        };
        self.found(format!("entry {leaf}"), what);
        leaf_hash(entry) == *hash
    }

    /// Adds a leaf and compares the tiles above that it completes.
    fn grow(&mut self, edge: &mut Edge, hash: Hash) {
        let mut full = Vec::new();
        edge.push(hash, &mut |level, index, hashes| {
            if level > 0 {
                full.push((Tile::Hashes(level, index), hashes.to_vec()));
            }
        });
        for (tile, hashes) in full {
            self.compare(tile, &hashes);
        }
    }

    /// Compares the unfinished tiles above the leaves.
    fn upper_edge(&mut self, edge: &Edge) {
        let mut count = edge.size();
        for (level, hashes) in edge.levels().iter().enumerate() {
            if level > 0 && !hashes.is_empty() {
                self.compare(Tile::Hashes(level, count >> 8), hashes);
            }
            count >>= 8;
        }
    }

    fn compare(&mut self, tile: Tile, hashes: &[Hash]) {
        let Some(stored) = self.stored(tile, hashes.len()) else { return };
        if stored != hashes {
            let different = stored.iter().zip(hashes).position(|(a, b)| a != b).unwrap_or(0);
            self.found(
                format!("log/{}", tile.path(hashes.len())),
                format!("hash {different} is not that of the tiles below"),
            );
        }
    }

    /// The hashes of a stored tile; none, with a finding, when it cannot be read.
    fn stored(&mut self, tile: Tile, width: usize) -> Option<Vec<Hash>> {
        let place = format!("log/{}", tile.path(width));
        self.expected.insert(self.folder.tile(tile, width));
        match self.folder.read_tile(tile, width).map(|octets| hashes(&octets)) {
            Ok(Some(hashes)) if hashes.len() == width => return Some(hashes),
            Ok(_) => self.found(place, "it has not the length it must have"),
            Err(error) => self.found(place, error.to_string()),
        }
        None
    }

    fn bundle(&mut self, index: u64, size: u64) -> Option<Vec<Hash>> {
        let width = usize::try_from(size.saturating_sub(index.saturating_mul(256)).min(256)).unwrap_or(256);
        let tile = Tile::Entries(index);
        let place = format!("log/{}", tile.path(width));
        self.expected.insert(self.folder.tile(tile, width));
        match self.folder.read_tile(tile, width).map(|octets| unbundle(&octets)) {
            Ok(Some(entries)) if entries.len() == width => return Some(entries),
            Ok(_) => self.found(place, "it has not the form of a bundle"),
            Err(error) => self.found(place, error.to_string()),
        }
        None
    }

    fn begin_records<'a>(&mut self, wrapping: &'a Wrapping) -> Option<Records<'a>> {
        let keys = match KeyTable::read_only(&self.folder.keys()) {
            Ok(keys) => keys,
            Err(error) => {
                self.found("keys.db", error.to_string());
                return None;
            }
        };
        if let Err(text) = keys.check_file() {
            self.found("keys.db", text);
        }
        let files = DayFiles { folder: self.folder.clone(), open: None, seen: HashSet::new() };
        Some(Records { wrapping, keys, files, told: Tellers::new(), erased: BTreeMap::new() })
    }

    /// Opens the records of some entries and computes what must have been committed to; none for
    /// an entry whose record is gone or bad, the latter with a finding.
    fn commitments(&mut self, records: &mut Records<'_>, first: u64, count: usize) -> Vec<Option<Hash>> {
        let to = first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let mut rows = records.keys.leaves(first, to).unwrap_or_default().into_iter().peekable();
        let mut commitments = Vec::with_capacity(count);
        for leaf in first..to {
            let opened = match rows.next_if(|row| row.number == leaf) {
                Some(row) => records.open(&row).map(|opened| (row, opened)),
                None => Err("the table of keys does not know it".to_owned()),
            };
            commitments.push(match opened {
                Ok((row, Some((commitment, lines)))) => {
                    self.facts(&row, &lines, &mut records.told);
                    Some(commitment)
                }
                Ok((row, None)) => {
                    if !records.count_erased(&row) {
                        self.found(format!("entry {leaf}"), "its key is gone, and no entry is named that tells of it");
                    }
                    None
                }
                Err(what) => {
                    self.found(format!("entry {leaf}"), what);
                    None
                }
            });
        }
        commitments
    }

    /// Returns how many were erased.
    fn end_records(&mut self, records: Records<'_>) -> u64 {
        records.files.finish(self);
        self.erasures(records.erased, &records.told)
    }

    /// What the table says about a record must be what the record says.
    fn facts(&mut self, row: &LeafRow, lines: &[u8], told: &mut Tellers) {
        let place = format!("entry {}", row.number);
        let text = str::from_utf8(lines).unwrap_or_default();
        let Some(head) = text.lines().next().and_then(Head::of) else {
            self.found(place, "it holds no record");
            return;
        };
        if head.class != row.class || head.at != row.at || row.erased.is_some() {
            self.found(&place, "the table of keys says something else than the record");
        }
        // Only entries of the service itself tell of erasures; of the others the first record's head says all that
        // the table says.
        if head.class != Class::Operation {
            return;
        }
        match parse(text, row.number) {
            Ok(records) => {
                for record in &records {
                    if let Event::TrailPurged { class, before, records, erased: Some(erased) } = record.event {
                        told.insert(row.number, Due { class, before, records, erased });
                    }
                }
            }
            Err(error) => self.found(place, error.to_string()),
        }
    }

    /// Each erasure was told before by a later entry of the log, which is there to be read: exactly these
    /// entries, of one class and of before a time. Says how many there are.
    fn erasures(&mut self, erased: BTreeMap<u64, Erased>, told: &Tellers) -> u64 {
        let mut all: u64 = 0;
        for (teller, gone) in erased {
            let (count, digest) = gone.leaves.finish();
            all = all.saturating_add(count);
            let as_told = told.get(&teller).is_some_and(|due| {
                (count, digest) == (due.records, due.erased.digest)
                    && gone.last < due.erased.below.min(teller)
                    && gone.classes.iter().all(|class| *class == due.class)
                    && gone.newest.is_some_and(|newest| newest < due.before)
            });
            if !as_told {
                let what = format!("{count} records are gone that name this entry, and it does not tell of them");
                self.found(format!("entry {teller}"), what);
            }
        }
        all
    }

    /// Files that do not belong to the log.
    fn strangers(&mut self) {
        if !self.findings.is_empty() {
            return;
        }
        match files_below(&self.folder.log()) {
            Ok(files) => {
                for file in files {
                    if !self.expected.contains(&file) {
                        self.found(file.display().to_string(), "it does not belong to the log");
                    }
                }
            }
            Err(error) => self.found("log", error.to_string()),
        }
    }
}

/// The records while they are read in order.
struct Records<'a> {
    wrapping: &'a Wrapping,
    keys: KeyTable,
    files: DayFiles,
    /// Entries that tell of an erasure: class and count.
    told: Tellers,
    /// What was erased, by the entry that should tell of it.
    erased: BTreeMap<u64, Erased>,
}

/// What entries tell of erasures, by their numbers.
type Tellers = BTreeMap<u64, Due>;

/// Entries whose keys are gone, and what the table says of them.
#[derive(Default)]
struct Erased {
    leaves: LeafSet,
    last: u64,
    classes: HashSet<Class>,
    newest: Option<Timestamp>,
}

impl Records<'_> {
    /// Commitment and lines of a record; none when it was erased.
    fn open(&mut self, row: &LeafRow) -> Result<Option<(Hash, Vec<u8>)>, String> {
        let sealed = self.files.next(row)?;
        let Some(wrapped) = &row.seed else { return Ok(None) };
        let seed = self.wrapping.unwrap(wrapped).ok_or("its key cannot be unwrapped")?;
        let lines = seed.open(row.number, &sealed);
        let lines = lines.ok_or("the record cannot be decrypted: it or its key was altered")?;
        Ok(Some((seed.commit(&lines), lines)))
    }

    /// False when the table does not say which entry tells of it.
    fn count_erased(&mut self, row: &LeafRow) -> bool {
        let Some(teller) = row.erased else { return false };
        let counted = self.erased.entry(teller).or_default();
        counted.leaves.add(row.number);
        counted.last = row.number;
        counted.classes.insert(row.class);
        counted.newest = counted.newest.max(Some(row.at));
        true
    }
}

/// Reads the files of days front to back: each octet is a frame's, in the order of the leaves.
struct DayFiles {
    folder: Folder,
    open: Option<(i64, u64, BufReader<fs::File>)>,
    seen: HashSet<PathBuf>,
}

impl DayFiles {
    fn next(&mut self, row: &LeafRow) -> Result<Vec<u8>, String> {
        if self.open.as_ref().is_none_or(|(day, ..)| *day != row.day) {
            self.close()?;
            let path = self.folder.day(row.day);
            let file = fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if !self.seen.insert(path) {
                return Err("its day comes out of order".to_owned());
            }
            self.open = Some((row.day, 0, BufReader::with_capacity(1 << 16, file)));
        }
        let Some((_, at, file)) = &mut self.open else { return Err("its file is not open".to_owned()) };
        if row.place != at.saturating_add(FRAME) {
            return Err("it is not where the record before it ends".to_owned());
        }
        let mut header = [0u8; 12];
        file.read_exact(&mut header).map_err(|error| error.to_string())?;
        let (length, leaf) = header.split_at_checked(4).unwrap_or_default();
        let same = u32::try_from(row.length).is_ok_and(|length_| length == length_.to_be_bytes())
            && leaf == row.number.to_be_bytes();
        if !same || row.length > 64 * 1024 * 1024 {
            return Err("the frame of its record was altered".to_owned());
        }
        let mut sealed = vec![0; usize::try_from(row.length).unwrap_or(0)];
        file.read_exact(&mut sealed).map_err(|error| error.to_string())?;
        *at = row.place.saturating_add(row.length);
        Ok(sealed)
    }

    /// Nothing may follow the last frame of a file.
    fn close(&mut self) -> Result<(), String> {
        let Some((day, _, mut file)) = self.open.take() else { return Ok(()) };
        match file.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(format!("{} goes on after its last record", self.folder.day(day).display())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn finish(mut self, check: &mut Check) {
        if let Err(what) = self.close() {
            check.found("records", what);
        }
        for file in files_below(&self.folder.records()).unwrap_or_default() {
            if !self.seen.contains(&file) {
                check.found(file.display().to_string(), "it does not belong to the trail");
            }
        }
    }
}
