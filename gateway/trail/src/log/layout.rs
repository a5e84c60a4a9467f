//! Names and files of a log: C2SP tlog-tiles below `log/`, records by day below `records/`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::merkle::{Hash, TILE_WIDTH};

/// Which tile of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tile {
    /// Entries: commitments, each with a length of two octets in front.
    Entries(u64),
    /// Hashes of a level.
    Hashes(usize, u64),
}

/// Length of an entry in its bundle.
pub(crate) const ENTRY: usize = 34;

impl Tile {
    /// The path below `log/`, for a tile of `width` entries or hashes.
    pub(crate) fn path(self, width: usize) -> String {
        let (level, mut index) = match self {
            Self::Entries(index) => ("entries".to_owned(), index),
            Self::Hashes(level, index) => (level.to_string(), index),
        };
        let mut path = format!("{:03}", index % 1000);
        while index >= 1000 {
            index /= 1000;
            path = format!("x{:03}/{path}", index % 1000);
        }
        let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
        format!("tile/{level}/{path}{partial}")
    }

    /// The tiles of a tree of `size` entries with their widths, lowest first.
    pub(crate) fn all(size: u64) -> Vec<(Self, usize)> {
        let width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
        let mut tiles = Vec::new();
        let mut count = size;
        let mut level = 0;
        while count > 0 {
            for index in 0..count.div_ceil(width) {
                let here = count.saturating_sub(index.saturating_mul(width)).min(width);
                let here = usize::try_from(here).unwrap_or(TILE_WIDTH);
                if level == 0 {
                    tiles.push((Self::Entries(index), here));
                }
                tiles.push((Self::Hashes(level, index), here));
            }
            count >>= 8;
            level = level.saturating_add(1);
        }
        tiles
    }
}

/// A bundle of entries as it is stored.
pub(crate) fn bundle(entries: &[Hash]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [0, 32].into_iter().chain(entry.iter().copied())).collect()
}

/// The entries of a bundle; none when it has another form.
pub(crate) fn unbundle(octets: &[u8]) -> Option<Vec<Hash>> {
    let (entries, rest) = octets.as_chunks::<ENTRY>();
    let read = |entry: &[u8; ENTRY]| entry.strip_prefix(&[0, 32]).and_then(|hash| hash.try_into().ok());
    if rest.is_empty() { entries.iter().map(read).collect() } else { None }
}

/// The hashes of a tile; none when it has another length.
pub(crate) fn hashes(octets: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = octets.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// The folder of a trail.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys.db")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.db")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The newest checkpoint, where tile readers look for it.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.root.join("log/checkpoint")
    }

    /// All checkpoints in order.
    pub(crate) fn history(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// The file of the records that were sequenced on a day (days since the epoch).
    pub(crate) fn day(&self, day: i64) -> PathBuf {
        let date = ident::Timestamp::from_seconds(day.saturating_mul(86_400)).rfc3339();
        self.records().join(date.get(..10).unwrap_or("unknown"))
    }

    pub(crate) fn tile(&self, tile: Tile, width: usize) -> PathBuf {
        self.log().join(tile.path(width))
    }

    pub(crate) fn read_tile(&self, tile: Tile, width: usize) -> io::Result<Vec<u8>> {
        fs::read(self.tile(tile, width))
    }

    /// Makes the folders. Their names are made durable even if they are there: whoever made them may
    /// have died before.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        for dir in [&self.root, &self.log(), &self.records()] {
            make_dirs(dir)?;
            sync_dir(dir)?;
        }
        self.root.parent().map_or(Ok(()), sync_dir)
    }

    /// Writes a file whole and durable: under another name, synced, renamed, folder synced.
    pub(crate) fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        make_dirs(parent)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let unfinished = path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(octets)?;
        file.sync_data()?;
        fs::rename(&unfinished, path)?;
        sync_dir(parent)
    }
}

/// Makes a folder with its parents, private, and makes their names durable.
fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    dir.parent().map_or(Ok(()), sync_dir)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_others_expect() {
        assert_eq!(Tile::Hashes(0, 0).path(256), "tile/0/000");
        assert_eq!(Tile::Hashes(2, 1_234_067).path(256), "tile/2/x001/x234/067");
        assert_eq!(Tile::Entries(999).path(17), "tile/entries/999.p/17");
        assert_eq!(Tile::Entries(1000).path(256), "tile/entries/x001/000");
    }

    #[test]
    fn a_tree_has_these_tiles() {
        assert!(Tile::all(0).is_empty());
        assert_eq!(Tile::all(1), [(Tile::Entries(0), 1), (Tile::Hashes(0, 0), 1)]);
        let tiles = Tile::all(70_000);
        assert_eq!(tiles.iter().filter(|(tile, _)| matches!(tile, Tile::Entries(_))).count(), 274);
        assert!(tiles.contains(&(Tile::Hashes(0, 273), 112)));
        assert!(tiles.contains(&(Tile::Hashes(1, 1), 17)));
        assert!(tiles.contains(&(Tile::Hashes(2, 0), 1)));
        assert_eq!(tiles.len(), 274 * 2 + 2 + 1);
    }

    #[test]
    fn bundles_have_one_form() {
        let entries = [[1; 32], [2; 32]];
        let octets = bundle(&entries);
        assert_eq!(unbundle(&octets).unwrap(), entries);
        for wrong in [&octets[1..], &octets[..67], &[0, 33, 1][..]] {
            assert_eq!(unbundle(wrong), None);
        }
    }
}
