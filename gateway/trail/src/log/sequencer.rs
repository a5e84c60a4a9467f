//! From outbox rows to log entries, so that it can be done again after a crash at any instant.
//!
//! The order is: leaf numbers and keys in one transaction; records and tiles written from the rows
//! and synced; the signed checkpoint, synced: from here on the entries exist; then the caller
//! releases the rows. What was numbered but not covered by a checkpoint is taken back at the next
//! start: nobody ever saw it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use ident::{Fingerprint, Timestamp};

use super::{
    checkpoint::Checkpoint,
    error::TrailError,
    history::{self, Tail},
    keys::{self, KeyTable, LeafRow},
    layout::{Folder, Tile, bundle, hashes, unbundle},
    merkle::{Edge, Hash, TILE_WIDTH, leaf_hash},
    note::{NoteSigner, NoteVerifier},
    retention::{Purge, hold_back},
    seal::{Seed, Wrapping},
};
use crate::{Event, Record, index::Index};

/// Octets in front of each ciphertext: its length and its leaf.
pub(crate) const FRAME: u64 = 12;
const DAY: i64 = 86_400_000;

/// The secrets of a trail.
pub struct TrailSecrets {
    /// Wraps the key of each record, and keys the search index.
    pub wrapping: zeroize::Zeroizing<[u8; 32]>,
    /// Signs checkpoints; its name is the origin of the log.
    pub signer: NoteSigner,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailRecovery {
    /// Leaves that were numbered but not covered by a checkpoint: their rows come again.
    pub taken_back: u64,
    /// A checkpoint that was not written to its end: removed.
    pub torn_checkpoint: bool,
    /// Entries that the search index had missed.
    pub indexed: u64,
}

/// A trail that is being written.
pub struct Trail {
    folder: Folder,
    keys: KeyTable,
    wrapping: Wrapping,
    signer: NoteSigner,
    index: Index,
    edge: Edge,
    /// Entries of the bundle that is not full.
    entries: Vec<Hash>,
    checkpoint: Option<Checkpoint>,
    note: Option<String>,
    stopped: bool,
    /// Entries may tell of erasures that are not carried out.
    unsettled: bool,
    _lock: File,
}

/// What a batch became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequenced {
    /// Entries added.
    pub added: u64,
    /// The rows up to this one may be released.
    pub release: Option<u64>,
}

impl Trail {
    /// Opens a trail for writing and makes it if there is none.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn open(dir: &Path, secrets: TrailSecrets) -> Result<(Self, TrailRecovery), TrailError> {
        let folder = Folder::new(dir);
        folder.prepare().map_err(TrailError::disk(dir))?;
        let lock = lock(dir)?;
        let mut recovery = TrailRecovery::default();
        let tail = Tail::read(&folder.history()).map_err(TrailError::disk(&folder.history()))?;
        let checkpoint = newest(&tail, secrets.signer.verifier())?;
        let size = checkpoint.map_or(0, |checkpoint| checkpoint.size);
        let mut keys = KeyTable::open(&folder.keys())?;
        super::layout::sync_dir(dir).map_err(TrailError::disk(dir))?;
        fits(&folder, &keys, size, secrets.signer.verifier())?;
        // Only now anything is taken away.
        recovery.torn_checkpoint = tail.is_torn();
        tail.settle(&folder.history()).map_err(TrailError::disk(&folder.history()))?;
        publish(&folder, tail.note.as_deref())?;
        recovery.taken_back = keys.roll_back(size)?;
        let wrapping = Wrapping::new(&secrets.wrapping).ok_or(TrailError::Crypto("take the wrapping key"))?;
        let (edge, entries) = restore(&folder, size)?;
        if checkpoint.is_some_and(|checkpoint| checkpoint.root != edge.root()) {
            return Err(TrailError::damaged("log/tile", "the tiles do not lead to the root of the last checkpoint"));
        }
        clean(&folder, size, &keys)?;
        let index = Index::open(&folder.index(), &wrapping.terms)?;
        let mut trail = Self {
            folder,
            keys,
            wrapping,
            signer: secrets.signer,
            index,
            edge,
            entries,
            checkpoint,
            note: tail.note,
            stopped: false,
            unsettled: true,
            _lock: lock,
        };
        recovery.indexed = trail.catch_up()?;
        Ok((trail, recovery))
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The newest checkpoint's values.
    pub fn latest(&self) -> Option<Checkpoint> {
        self.checkpoint
    }

    /// Adds outbox rows (number from 1 on, lines of records) of one store as entries and signs a
    /// checkpoint.
    /// Rows that have an entry already are only released, alone, if the entry was made of them; so the same
    /// rows may come again. When this returns, [`Sequenced::release`] may be released.
    ///
    /// # Errors
    /// [`TrailError::RunsAgain`], [`TrailError::Gap`]: nothing was done. After another error the trail must be
    /// opened again: what this call began is taken back there.
    pub fn append(&mut self, source: &str, rows: &[(u64, &str)], now: Timestamp) -> Result<Sequenced, TrailError> {
        if self.stopped {
            return Err(TrailError::Stopped);
        }
        let last = self.keys.last_of(source)?.unwrap_or(0);
        let again = rows.iter().take_while(|(number, _)| *number <= last);
        if let Some(release) = self.again(source, again)? {
            return Ok(Sequenced { added: 0, release: Some(release) });
        }
        let mut expected = last.saturating_add(1);
        for (number, _) in rows {
            if *number != expected {
                return Err(TrailError::Gap { expected, got: *number });
            }
            expected = expected.saturating_add(1);
        }
        let Some((release, _)) = rows.last() else { return Ok(Sequenced { added: 0, release: None }) };
        let rows: Vec<&str> = rows.iter().map(|(_, lines)| *lines).collect();
        self.stopped = true;
        let added = self.sequence(source, last, &rows, now)?;
        self.stopped = false;
        Ok(Sequenced { added, release: Some(*release) })
    }

    /// Rows that come again: only the last batch can be unreleased, and each must be what its entry was made
    /// of. Gives the last of them.
    fn again<'a>(
        &self,
        source: &str,
        rows: impl Iterator<Item = &'a (u64, &'a str)>,
    ) -> Result<Option<u64>, TrailError> {
        let batch = self.keys.batch()?.filter(|batch| batch.source == source);
        let mut last = None;
        for (number, lines) in rows {
            let leaf = batch
                .as_ref()
                .filter(|batch| *number > batch.before)
                .map(|batch| batch.first.saturating_add(number.saturating_sub(batch.before)).saturating_sub(1));
            let row = leaf.map(|leaf| self.keys.leaf(leaf)).transpose()?.flatten();
            let same = match row {
                // Erased since: told, so `verify` looks after it.
                Some(row) => open(&self.folder, &self.wrapping, &row)?.is_none_or(|entry| entry == **lines),
                None => false,
            };
            if !same {
                return Err(TrailError::RunsAgain { row: *number });
            }
            last = Some(*number);
        }
        Ok(last)
    }

    /// Takes the rows of a store from this number on, though entries were made of rows with such numbers
    /// before. For [`TrailError::RunsAgain`], after telling it in that store: what was lost between is
    /// nowhere.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn begin_anew(&mut self, source: &str, row: u64) -> Result<(), TrailError> {
        self.keys.set_last(source, row.saturating_sub(1))
    }

    fn sequence(&mut self, source: &str, before: u64, rows: &[&str], now: Timestamp) -> Result<u64, TrailError> {
        let batch = self.number(source, before, rows, now)?;
        batch.write_records(&self.folder)?;
        let old = self.edge.clone();
        self.write_tiles(&batch.entries)?;
        self.sign(now)?;
        self.drop_partials(&old);
        let from = old.size();
        self.index.add(from, &batch.records)?;
        Ok(self.edge.size().saturating_sub(from))
    }

    /// Gives leaf numbers and keys, in one transaction.
    fn number(&mut self, source: &str, before: u64, rows: &[&str], now: Timestamp) -> Result<Batch, TrailError> {
        let first = self.edge.size();
        let day = now.millis().div_euclid(DAY);
        // A clock that goes back does not open an old file again.
        let last = self.keys.last()?;
        let day = last.as_ref().map_or(day, |last| day.max(last.day));
        let same_day = last.filter(|last| last.day == day);
        let mut place = same_day.map_or(0, |last| last.place.saturating_add(last.length));
        let mut batch = Batch { day, first: place, frames: Vec::new(), entries: Vec::new(), records: Vec::new() };
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let tx = self.keys.begin()?;
        keys::begin_batch(&tx, source, before, first, before.saturating_add(count))?;
        for (number, lines) in (first..).zip(rows) {
            let records = parse(lines, number)?;
            for record in &records {
                // One that does not say which entries is no order: nobody could prove what it erased.
                if let Event::TrailPurged { class, before, records, erased: Some(erased) } = record.event {
                    self.unsettled = true;
                    keys::note_purge(&tx, &Purge { told: number, class, before, records, erased })?;
                }
            }
            let seed = Seed::random().ok_or(TrailError::Crypto("make a key"))?;
            let sealed = seed.seal(number, lines.as_bytes()).ok_or(TrailError::Crypto("seal a record"))?;
            let wrapped = self.wrapping.wrap(&seed).ok_or(TrailError::Crypto("wrap a key"))?;
            let length = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
            place = place.saturating_add(FRAME);
            let row = LeafRow {
                number,
                seed: None,
                day,
                place,
                length,
                class: records.first().map_or(crate::Class::Operation, |record| record.event.class()),
                at: records.first().map_or(now, |record| record.at),
                erased: None,
            };
            keys::insert(&tx, &row, &wrapped)?;
            place = place.saturating_add(length);
            batch.frame(number, &sealed);
            batch.entries.push(seed.commit(lines.as_bytes()));
            batch.records.push(records);
        }
        tx.commit().map_err(keys::failed)?;
        Ok(batch)
    }

    fn write_tiles(&mut self, entries: &[Hash]) -> Result<(), TrailError> {
        let mut files: Vec<(Tile, Vec<u8>, usize)> = Vec::new();
        for entry in entries {
            self.entries.push(*entry);
            let index = self.edge.size() >> 8;
            if self.entries.len() == TILE_WIDTH {
                files.push((Tile::Entries(index), bundle(&self.entries), TILE_WIDTH));
                self.entries.clear();
            }
            self.edge.push(leaf_hash(entry), &mut |level, index, hashes| {
                files.push((Tile::Hashes(level, index), hashes.concat(), TILE_WIDTH));
            });
        }
        if !self.entries.is_empty() {
            files.push((Tile::Entries(self.edge.size() >> 8), bundle(&self.entries), self.entries.len()));
        }
        for (level, hashes, index) in partials(&self.edge) {
            files.push((Tile::Hashes(level, index), hashes.concat(), hashes.len()));
        }
        for (tile, octets, width) in files {
            let path = self.folder.tile(tile, width);
            Folder::write(&path, &octets).map_err(TrailError::disk(&path))?;
        }
        Ok(())
    }

    /// Signs what is there now. The history comes first: when it is synced, the checkpoint exists.
    fn sign(&mut self, now: Timestamp) -> Result<(), TrailError> {
        let origin = self.signer.verifier().name().to_owned();
        let at = Timestamp::from_seconds(now.seconds());
        let checkpoint = Checkpoint {
            size: self.edge.size(),
            root: self.edge.root(),
            at: self.checkpoint.map_or(at, |last| at.max(last.at)),
            previous: self.checkpoint.map_or(Fingerprint::new([0; 32]), |last| last.digest(&origin)),
        };
        let place = || "log/checkpoint".to_owned();
        let note = checkpoint.sign(&self.signer).map_err(|error| TrailError::Checkpoint { place: place(), error })?;
        let history = self.folder.history();
        history::append(&history, format!("{note}\n").as_bytes()).map_err(TrailError::disk(&history))?;
        let newest = self.folder.checkpoint();
        Folder::write(&newest, note.as_bytes()).map_err(TrailError::disk(&newest))?;
        self.checkpoint = Some(checkpoint);
        self.note = Some(note);
        Ok(())
    }

    /// Removes the partial tiles of before: readers of the new checkpoint do not need them.
    fn drop_partials(&self, old: &Edge) {
        let width = |octets: &[Hash]| octets.len();
        let entries = old.levels().first().map_or(0, Vec::len);
        let mut gone = vec![(Tile::Entries(old.size() >> 8), entries)];
        gone.extend(
            partials(old).into_iter().map(|(level, hashes, index)| (Tile::Hashes(level, index), width(&hashes))),
        );
        let kept = |(tile, width): &(Tile, usize)| match tile {
            Tile::Entries(index) => *index == self.edge.size() >> 8 && self.entries.len() == *width,
            Tile::Hashes(level, index) => {
                partials(&self.edge).iter().any(|(l, hashes, i)| (l, i) == (level, index) && hashes.len() == *width)
            }
        };
        for (tile, width) in gone.into_iter().filter(|(_, width)| *width > 0).filter(|tile| !kept(tile)) {
            // What stays behind is removed at the next start.
            drop(fs::remove_file(self.folder.tile(tile, width)));
        }
    }

    /// Adds to the search index what it missed.
    fn catch_up(&mut self) -> Result<u64, TrailError> {
        let from = self.index.size()?;
        if from > self.size() {
            return Err(TrailError::damaged("index.db", "it knows entries that the log does not; remove it"));
        }
        let mut at = from;
        while at < self.size() {
            let to = self.size().min(at.saturating_add(1000));
            let mut records = Vec::new();
            for row in self.keys.leaves(at, to)? {
                records.push(match open(&self.folder, &self.wrapping, &row)? {
                    Some(lines) => parse(&lines, row.number)?,
                    None => Vec::new(),
                });
            }
            self.index.add(at, &records)?;
            at = to;
        }
        Ok(at.saturating_sub(from))
    }

    /// Whether [`Trail::settle`] may have something to do.
    pub fn unsettled(&self) -> bool {
        self.unsettled
    }

    /// Carries out what entries tell of erasures: key and salt of what is due and not held are
    /// deleted, commitments stay. Says how many records are gone. What a reader is in the way of, or
    /// a crash, is carried out the next time. Where what is due is no more what was told, since a hold
    /// came in between, nothing is erased and the order is given up.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn settle(&mut self) -> Result<u64, TrailError> {
        let mut gone: u64 = 0;
        let pending = self.keys.pending()?;
        self.unsettled = false;
        for purge in pending {
            match hold_back(&self.folder, &mut self.keys, &self.index, &self.wrapping) {
                // What is held cannot be told: nothing is erased by a guess, and the trail goes on.
                Err(TrailError::Damaged { .. }) => {
                    self.keys.given_up(purge.told)?;
                    continue;
                }
                held => held?,
            }
            let Some(erased) = self.keys.erase(&purge)? else {
                self.keys.given_up(purge.told)?;
                continue;
            };
            gone = gone.saturating_add(erased);
            let forgotten = self.index.forget(&self.keys, purge.told)?;
            if self.keys.wipe()? && forgotten {
                self.keys.purged(purge.told)?;
            } else {
                self.unsettled = true;
            }
        }
        Ok(gone)
    }
}

struct Batch {
    day: i64,
    first: u64,
    frames: Vec<u8>,
    entries: Vec<Hash>,
    records: Vec<Vec<Record>>,
}

impl Batch {
    fn frame(&mut self, leaf: u64, sealed: &[u8]) {
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        self.frames.extend_from_slice(&length.to_be_bytes());
        self.frames.extend_from_slice(&leaf.to_be_bytes());
        self.frames.extend_from_slice(sealed);
    }

    /// Writes at the place that the table gave, so that writing again changes nothing.
    fn write_records(&self, folder: &Folder) -> Result<(), TrailError> {
        let path = folder.day(self.day);
        let write = || -> io::Result<()> {
            let new = !path.exists();
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.write_all_at(&self.frames, self.first)?;
            file.sync_data()?;
            if new { super::layout::sync_dir(&folder.records()) } else { Ok(()) }
        };
        write().map_err(TrailError::disk(&path))
    }
}

/// The unfinished tiles of an edge: level, hashes, index.
fn partials(edge: &Edge) -> Vec<(usize, Vec<Hash>, u64)> {
    let mut count = edge.size();
    let mut found = Vec::new();
    for (level, hashes) in edge.levels().iter().enumerate() {
        if !hashes.is_empty() {
            found.push((level, hashes.clone(), count >> 8));
        }
        count >>= 8;
    }
    found
}

pub(crate) fn parse(lines: &str, leaf: u64) -> Result<Vec<Record>, TrailError> {
    let records = lines.lines().map(|line| Record::from_json(line.as_bytes())).collect::<Result<Vec<_>, _>>();
    records.map_err(|error| TrailError::damaged(format!("entry {leaf}"), error.to_string()))
}

/// The lines of an entry; none when they were erased.
pub(crate) fn open(folder: &Folder, wrapping: &Wrapping, row: &LeafRow) -> Result<Option<String>, TrailError> {
    let Some(wrapped) = &row.seed else { return Ok(None) };
    let place = || format!("entry {}", row.number);
    let path = folder.day(row.day);
    let length = usize::try_from(row.length).ok().filter(|length| *length <= 64 * 1024 * 1024);
    let length = length.ok_or_else(|| TrailError::damaged(place(), "its length cannot be"))?;
    let mut sealed = vec![0; length];
    File::open(&path).and_then(|file| file.read_exact_at(&mut sealed, row.place)).map_err(TrailError::disk(&path))?;
    let seed = wrapping.unwrap(wrapped).ok_or_else(|| TrailError::damaged(place(), "its key cannot be unwrapped"))?;
    let lines = seed.open(row.number, &sealed).ok_or_else(|| TrailError::damaged(place(), "it cannot be decrypted"))?;
    String::from_utf8(lines).map(Some).map_err(|_| TrailError::damaged(place(), "it is no text"))
}

/// Taken by whoever writes the trail, or puts a new index in the place of the old one.
pub(super) fn lock(dir: &Path) -> Result<File, TrailError> {
    let path = dir.join("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = lock.map_err(TrailError::disk(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(TrailError::InUse(dir.display().to_string())),
        Err(fs::TryLockError::Error(error)) => Err(TrailError::disk(&path)(error)),
    }
}

/// The last whole checkpoint of the history. One behind it that was not written to its end was not
/// synced, so nobody has it.
fn newest(tail: &Tail, verifier: &NoteVerifier) -> Result<Option<Checkpoint>, TrailError> {
    let opened = tail.note.as_deref().map(|note| Checkpoint::open(note, verifier)).transpose();
    opened.map_err(|error| TrailError::Checkpoint { place: "checkpoints".to_owned(), error })
}

/// What a crash can leave: the table of keys knows what the history covers, or one batch more. Anything else
/// means that part of the history is missing, and opening would erase what it covered.
fn fits(folder: &Folder, keys: &KeyTable, size: u64, verifier: &NoteVerifier) -> Result<(), TrailError> {
    let damaged = |what: String| {
        let next = "nothing was changed; put `checkpoints` back from a backup, or the whole folder";
        Err(TrailError::damaged("checkpoints", format!("{what}: {next}")))
    };
    let published = fs::read_to_string(folder.checkpoint()).ok();
    let published = published.and_then(|note| Checkpoint::open(&note, verifier).ok());
    if let Some(published) = published.filter(|published| published.size > size) {
        return damaged(format!("the history covers {size} entries, log/checkpoint {}", published.size));
    }
    let (known, begun) = (keys.size()?, keys.batch()?.map(|batch| batch.first));
    if known < size {
        return damaged(format!("it covers {size} entries, keys.db knows {known}"));
    }
    if known > size && begun != Some(size) {
        return damaged(format!("the history covers {size} entries, keys.db knows {known}"));
    }
    let tiles = folder.log().join("tile");
    if known == 0 && begun.is_none() && !files_below(&tiles).map_err(TrailError::disk(&tiles))?.is_empty() {
        return damaged("there are tiles, no history and no keys".to_owned());
    }
    Ok(())
}

/// Puts the newest checkpoint where readers look for it.
fn publish(folder: &Folder, note: Option<&str>) -> Result<(), TrailError> {
    let newest = folder.checkpoint();
    match note {
        Some(note) if fs::read_to_string(&newest).ok().as_deref() != Some(note) => {
            Folder::write(&newest, note.as_bytes()).map_err(TrailError::disk(&newest))
        }
        _ => Ok(()),
    }
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

/// The right edge as the tiles of a tree of `size` have it.
fn restore(folder: &Folder, size: u64) -> Result<(Edge, Vec<Hash>), TrailError> {
    let mut levels = Vec::new();
    let mut count = size;
    let mut entries = Vec::new();
    let read = |tile: Tile, width: usize| {
        let path = folder.tile(tile, width);
        fs::read(&path).map_err(TrailError::disk(&path))
    };
    while count > 0 {
        let width = usize::try_from(count & 255).unwrap_or(0);
        let mut level = Vec::new();
        if width > 0 {
            let tile = Tile::Hashes(levels.len(), count >> 8);
            let wrong = || TrailError::damaged(tile.path(width), "it has not the length it must have");
            level = hashes(&read(tile, width)?).filter(|hashes| hashes.len() == width).ok_or_else(wrong)?;
            if levels.is_empty() {
                let tile = Tile::Entries(count >> 8);
                let wrong = || TrailError::damaged(tile.path(width), "it has not the form of a bundle");
                entries = unbundle(&read(tile, width)?).filter(|found| found.len() == width).ok_or_else(wrong)?;
            }
        }
        levels.push(level);
        count >>= 8;
    }
    Ok((Edge::restore(size, levels), entries))
}

/// Removes what an interrupted batch left: tiles that the tree does not have, and the tail of the
/// records' files.
fn clean(folder: &Folder, size: u64, keys: &KeyTable) -> Result<(), TrailError> {
    let expected: std::collections::HashSet<_> =
        Tile::all(size).into_iter().map(|(tile, width)| folder.tile(tile, width)).collect();
    let tiles = folder.log().join("tile");
    for path in files_below(&tiles).map_err(TrailError::disk(&tiles))? {
        if !expected.contains(&path) {
            fs::remove_file(&path).map_err(TrailError::disk(&path))?;
        }
    }
    let known: BTreeMap<_, _> = keys.day_ends(i64::MIN)?.into_iter().map(|(day, end)| (folder.day(day), end)).collect();
    let records = folder.records();
    for path in files_below(&records).map_err(TrailError::disk(&records))? {
        let trim = || match known.get(&path) {
            Some(end) if fs::metadata(&path)?.len() > *end => cut(&path, *end),
            Some(_) => Ok(()),
            None => fs::remove_file(&path),
        };
        trim().map_err(TrailError::disk(&path))?;
    }
    Ok(())
}

/// All files below a folder, in the order of their names.
pub(crate) fn files_below(dir: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}
