//! Reading a trail, also while another process writes it: records, proofs, search.

use std::{cell::RefCell, collections::BTreeMap, path::Path, rc::Rc};

use ident::Timestamp;

use super::{
    checkpoint::Checkpoint,
    error::TrailError,
    keys::{KeyTable, LeafRow},
    layout::{Folder, Tile, hashes, unbundle},
    merkle::{Hash, consistency_proof, inclusion_proof, leaf_hash, root_of},
    note::NoteVerifier,
    seal::Wrapping,
    sequencer::{lock, open, parse},
};
use crate::{
    QueueId, Record,
    index::{Index, rows_of, terms},
};

/// Most hits of one search.
const MAX_HITS: usize = 10_000;

/// Tiles kept in memory: what the proofs of neighbours share.
const TILES: usize = 64;

/// Tiles by place and width.
type Tiles = BTreeMap<(Tile, usize), Rc<Vec<u8>>>;

/// A trail to read.
pub struct TrailReader {
    folder: Folder,
    keys: KeyTable,
    wrapping: Wrapping,
    verifier: NoteVerifier,
    tiles: RefCell<Tiles>,
}

/// What to look for: all conditions hold.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Terms `kind:value`: `id`, `message-id`, `from`, `to`, `domain`, `by`, `certificate`, `peer`,
    /// `destination`, `operator`, `digest`, `reason`, `event`.
    pub terms: Vec<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Older than this entry: the next page.
    pub before: Option<u64>,
    /// At most so many entries; 0 = 1,000.
    pub limit: usize,
}

/// An entry that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub leaf: u64,
    /// Its records.
    pub records: Vec<Record>,
}

/// Everything that proves one entry off line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its number.
    pub leaf: u64,
    /// The lines that were committed to.
    pub lines: String,
    /// The salt of the commitment.
    pub salt: Hash,
    /// The path to the root of the checkpoint.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl TrailReader {
    /// Opens a trail for reading.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn open(dir: &Path, wrapping: &[u8; 32], verifier: NoteVerifier) -> Result<Self, TrailError> {
        let folder = Folder::new(dir);
        let keys = KeyTable::read_only(&folder.keys())?;
        let wrapping = Wrapping::new(wrapping).ok_or(TrailError::Crypto("take the wrapping key"))?;
        Ok(Self { folder, keys, wrapping, verifier, tiles: RefCell::default() })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(super) fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The newest checkpoint and its note.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn checkpoint(&self) -> Result<(Checkpoint, String), TrailError> {
        let path = self.folder.checkpoint();
        let note = std::fs::read_to_string(&path).map_err(TrailError::disk(&path))?;
        let opened = Checkpoint::open(&note, &self.verifier);
        let place = path.display().to_string();
        opened.map(|checkpoint| (checkpoint, note)).map_err(|error| TrailError::Checkpoint { place, error })
    }

    /// The records of an entry; none when they were erased.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn records(&self, leaf: u64) -> Result<Option<Vec<Record>>, TrailError> {
        let lines = open(&self.folder, &self.wrapping, &self.row(leaf)?)?;
        lines.map(|lines| parse(&lines, leaf)).transpose()
    }

    fn row(&self, leaf: u64) -> Result<LeafRow, TrailError> {
        let unknown = || TrailError::damaged(format!("entry {leaf}"), "the table of keys does not know it");
        self.keys.leaf(leaf)?.ok_or_else(unknown)
    }

    /// Searches the index and opens what it finds, newest first.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn search(&self, search: &Search) -> Result<Vec<Hit>, TrailError> {
        let index = Index::read_only(&self.folder.index(), &self.wrapping.terms)?;
        let limit = if search.limit == 0 { 1000 } else { search.limit.min(MAX_HITS) };
        let mut hits: Vec<Hit> = Vec::new();
        let mut before = search.before;
        while hits.len() < limit {
            let room = limit.saturating_sub(hits.len());
            let found = index.find(&search.terms, search.since, search.until, before, room)?;
            let enough = found.len() < room;
            before = found.last().copied().or(before);
            for leaf in found {
                let records = self.records(leaf)?.unwrap_or_default();
                let known = terms(&records);
                let fits = search.terms.iter().all(|term| known.contains(term))
                    && records.iter().any(|record| {
                        search.since.is_none_or(|since| record.at >= since)
                            && search.until.is_none_or(|until| record.at < until)
                    });
                if fits {
                    hits.push(Hit { leaf, records });
                }
            }
            if enough {
                break;
            }
        }
        Ok(hits)
    }

    /// All records about a message, oldest first: what `why` tells.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn of_message(&self, id: QueueId) -> Result<Vec<Record>, TrailError> {
        let search = Search { terms: vec![format!("id:{id}")], limit: MAX_HITS, ..Search::default() };
        let mut hits = self.search(&search)?;
        hits.reverse();
        let records = hits.into_iter().flat_map(|hit| hit.records);
        Ok(records.filter(|record| record.message == Some(id)).collect())
    }

    /// Entries from a number on: what `follow` prints.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn from(&self, first: u64, limit: u64) -> Result<Vec<Hit>, TrailError> {
        let (checkpoint, _) = self.checkpoint()?;
        let to = checkpoint.size.min(first.saturating_add(limit));
        let open = |row: LeafRow| {
            let lines = open(&self.folder, &self.wrapping, &row)?;
            let records = lines.map(|lines| parse(&lines, row.number)).transpose()?.unwrap_or_default();
            Ok(Hit { leaf: row.number, records })
        };
        self.keys.leaves(first, to)?.into_iter().map(open).collect()
    }

    /// What proves an entry; none when it was erased.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn show(&self, leaf: u64) -> Result<Option<Shown>, TrailError> {
        let (checkpoint, note) = self.checkpoint()?;
        let Some((lines, salt)) = self.opened(leaf)? else { return Ok(None) };
        let proof = self.inclusion(leaf, checkpoint.size)?;
        Ok(Some(Shown { leaf, lines, salt, proof, checkpoint: note }))
    }

    /// Lines and salt of an entry; none when they were erased.
    pub(super) fn opened(&self, leaf: u64) -> Result<Option<(String, Hash)>, TrailError> {
        let row = self.row(leaf)?;
        let Some(lines) = open(&self.folder, &self.wrapping, &row)? else { return Ok(None) };
        let seed = row.seed.as_deref().and_then(|wrapped| self.wrapping.unwrap(wrapped));
        let salt = seed.ok_or(TrailError::Crypto("unwrap a key"))?.salt();
        Ok(Some((lines, salt)))
    }

    /// The path of an entry to the root of a tree of `size`.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn inclusion(&self, leaf: u64, size: u64) -> Result<Vec<Hash>, TrailError> {
        inclusion_proof(leaf, size, &mut |from, to| self.range(from, to, size))
    }

    /// The proof that the tree of `old` is the beginning of that of `new`.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, TrailError> {
        consistency_proof(old, new, &mut |from, to| self.range(from, to, new))
    }

    /// The root over entries, from the highest tiles that can give it. Proofs ask for ranges that
    /// begin at a multiple of the power of two that holds them.
    fn range(&self, from: u64, to: u64, size: u64) -> Result<Hash, TrailError> {
        let mut level = 0usize;
        while level < 7 {
            let unit = 1u64 << (8usize.saturating_mul(level.saturating_add(1)));
            if !from.is_multiple_of(unit) || to.saturating_sub(from) < unit {
                break;
            }
            level = level.saturating_add(1);
        }
        let shift = 8usize.saturating_mul(level);
        let unit = 1u64 << shift;
        let mut nodes = Vec::new();
        let mut at = from;
        while at.saturating_add(unit) <= to {
            nodes.push(self.node(level, at >> shift, size)?);
            at = at.saturating_add(unit);
        }
        if at < to {
            nodes.push(self.range(at, to, size)?);
        }
        Ok(root_of(&nodes))
    }

    /// A hash of a level of tiles.
    fn node(&self, level: usize, index: u64, size: u64) -> Result<Hash, TrailError> {
        let count = size >> (8usize.saturating_mul(level));
        let width = usize::try_from(count.saturating_sub(index & !255).min(256)).unwrap_or(256);
        let tile = Tile::Hashes(level, index >> 8);
        // A tree that has grown since has a wider tile; its beginning is the same.
        let octets = self.tile(tile, width)?;
        let place = usize::try_from(index & 255).unwrap_or(0);
        let wrong = || TrailError::damaged(tile.path(width), "it has not the length it must have");
        hashes(&octets).and_then(|hashes| hashes.get(place).copied()).ok_or_else(wrong)
    }

    /// A tile, as wide as asked for or wider.
    fn tile(&self, tile: Tile, width: usize) -> Result<Rc<Vec<u8>>, TrailError> {
        if let Some(kept) = self.tiles.borrow().get(&(tile, width)) {
            return Ok(Rc::clone(kept));
        }
        let mut error = None;
        for wider in width..=256 {
            match self.folder.read_tile(tile, wider) {
                Ok(octets) => {
                    let octets = Rc::new(octets);
                    let mut kept = self.tiles.borrow_mut();
                    if kept.len() >= TILES {
                        kept.pop_first();
                    }
                    // What a tile says never changes; only wider ones come.
                    kept.insert((tile, width), Rc::clone(&octets));
                    return Ok(octets);
                }
                Err(first) => error = error.or(Some(first)),
            }
        }
        let path = self.folder.tile(tile, width);
        Err(TrailError::disk(&path)(error.unwrap_or_else(|| std::io::ErrorKind::NotFound.into())))
    }

    /// The log entry of a leaf, and its hash.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn entry(&self, leaf: u64) -> Result<(Hash, Hash), TrailError> {
        let (checkpoint, _) = self.checkpoint()?;
        let tile = Tile::Entries(leaf >> 8);
        let width = usize::try_from(checkpoint.size.saturating_sub(leaf & !255).min(256)).unwrap_or(256);
        let octets = self.tile(tile, width)?;
        let place = usize::try_from(leaf & 255).unwrap_or(0);
        let entry = unbundle(&octets).and_then(|entries| entries.get(place).copied());
        let wrong = || TrailError::damaged(tile.path(width), "it has not the form of a bundle");
        entry.map(|entry| (entry, leaf_hash(&entry))).ok_or_else(wrong)
    }

    /// Compares the search index with what the log says. Says at which entry they first differ.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn check_index(&self) -> Result<Option<u64>, TrailError> {
        let index = Index::read_only(&self.folder.index(), &self.wrapping.terms)?;
        let (checkpoint, _) = self.checkpoint()?;
        let mut at = 0;
        while at < checkpoint.size {
            let to = checkpoint.size.min(at.saturating_add(1000));
            let rows = index.rows(at, to)?;
            let mut expected = std::collections::BTreeSet::new();
            for row in self.keys.leaves(at, to)? {
                if let Some(lines) = open(&self.folder, &self.wrapping, &row)? {
                    expected.extend(rows_of(&self.wrapping.terms, row.number, &parse(&lines, row.number)?));
                }
            }
            let leaf = |row: &(i64, i64, i64)| u64::try_from(row.2).unwrap_or(0);
            if let Some(first) = rows.symmetric_difference(&expected).map(leaf).min() {
                return Ok(Some(first));
            }
            at = to;
        }
        Ok((index.size()? < checkpoint.size).then(|| index.size().unwrap_or(0)))
    }

    /// Makes the search index again from the log, beside the old one, and puts it in its place.
    /// Nobody may be writing the trail meanwhile: stop the gateway first.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub fn reindex(&self) -> Result<u64, TrailError> {
        let _lock = lock(self.folder.root())?;
        let (checkpoint, _) = self.checkpoint()?;
        let fresh = self.folder.root().join("index.new");
        remove(&fresh)?;
        let mut index = Index::open(&fresh, &self.wrapping.terms)?;
        let mut at = 0;
        while at < checkpoint.size {
            let entries: Vec<_> = self.from(at, 1000)?.into_iter().map(|hit| hit.records).collect();
            index.add(at, &entries)?;
            at = checkpoint.size.min(at.saturating_add(1000));
        }
        // Closing it folds its log into the file.
        drop(index);
        let place = self.folder.index();
        remove(&place)?;
        std::fs::rename(&fresh, &place).map_err(TrailError::disk(&place))?;
        Ok(checkpoint.size)
    }
}

/// Removes a database with its side files.
fn remove(path: &Path) -> Result<(), TrailError> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(TrailError::disk(path)(error)),
            _ => {}
        }
    }
    Ok(())
}
