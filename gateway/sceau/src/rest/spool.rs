//! The sealed spool: where a message in hand lives (design §7).
//!
//! Up to 64 KB it stays in memory; beyond that it goes to an unnamed file, encrypted under a
//! random key that exists only in this process. Nothing readable reaches a disk, and nothing
//! remains after a crash: the file has no name.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::source::{InMemory, Room, Scratch, Source};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use zeroize::{Zeroize, Zeroizing};

use super::segment::{ObjectKey, SEGMENT, SegmentError, TAG};

/// A message in hand.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    tail: Zeroizing<Vec<u8>>,
    overflow: Option<Overflow>,
    length: u64,
}

#[derive(Debug)]
struct Overflow {
    file: File,
    key: ObjectKey,
    segments: u64,
}

impl Spool {
    /// An empty spool; `folder` is touched only by messages over 64 KB.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), tail: Zeroizing::new(Vec::new()), overflow: None, length: 0 }
    }

    /// Proves that a message that does not fit into memory could be kept.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn trial(folder: &Path) -> io::Result<()> {
        Self::new(folder).write(&[0; SEGMENT + 1])
    }

    /// Octets written so far.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// Those of the disk; the caller answers 4xx and drops the spool.
    pub fn write(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        self.length = self.length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        while !chunk.is_empty() {
            let room = SEGMENT.saturating_sub(self.tail.len());
            let (now, later) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
            self.tail.extend_from_slice(now);
            chunk = later;
            if self.tail.len() == SEGMENT && !chunk.is_empty() {
                self.spill()?;
            }
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let overflow = match &mut self.overflow {
            Some(overflow) => overflow,
            none => none.insert(Overflow {
                file: unnamed_file(&self.folder)?,
                key: ObjectKey::random().map_err(invalid)?,
                segments: 0,
            }),
        };
        let number = overflow.segments.saturating_add(1);
        overflow.file.write_all(&overflow.key.seal(number, false, &self.tail).map_err(invalid)?)?;
        overflow.segments = number;
        self.tail.zeroize();
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Self::write(self, octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scratch for Spool {
    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        Ok(Arc::new(*self))
    }
}

impl Source for Spool {
    /// What does not come back as it was written is [`io::ErrorKind::InvalidData`].
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let segment = u64::try_from(SEGMENT).unwrap_or(u64::MAX);
        let offset = usize::try_from(from.checked_rem(segment).unwrap_or(0)).unwrap_or(0);
        let number = from.checked_div(segment).unwrap_or(0);
        Ok(Box::new(Reading { spool: self, number, offset, plain: None }))
    }
}

/// Reads a spool, segment by segment.
struct Reading<'s> {
    spool: &'s Spool,
    /// Segments before this one.
    number: u64,
    offset: usize,
    plain: Option<Zeroizing<Vec<u8>>>,
}

impl Reading<'_> {
    /// Segment `number` from the file; nothing when only the tail is left.
    fn fetch(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(overflow) = self.spool.overflow.as_ref().filter(|overflow| self.number < overflow.segments) else {
            return Ok(None);
        };
        let mut sealed = vec![0; SEGMENT + TAG];
        let place = self.number.saturating_mul(u64::try_from(sealed.len()).unwrap_or(u64::MAX));
        overflow.file.read_exact_at(&mut sealed, place)?;
        overflow.key.open(self.number.saturating_add(1), false, &sealed).map(Some).map_err(invalid)
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let segments = self.spool.overflow.as_ref().map_or(0, |overflow| overflow.segments);
        loop {
            if self.plain.is_none() {
                self.plain = self.fetch()?;
            }
            let octets = match (&self.plain, self.number == segments) {
                (Some(plain), _) => plain,
                (None, true) => &self.spool.tail,
                (None, false) => return Ok(0),
            };
            let ready = octets.get(self.offset..).unwrap_or_default();
            let count = ready.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
                to.copy_from_slice(from);
            }
            self.offset = self.offset.saturating_add(count);
            if count > 0 || buffer.is_empty() || self.plain.is_none() {
                return Ok(count);
            }
            self.plain = None;
            self.number = self.number.saturating_add(1);
            self.offset = 0;
        }
    }
}

/// Room for what decryption makes: in memory for a moment if it is small, else in a spool.
#[derive(Debug, Clone)]
pub struct SpoolRoom {
    folder: PathBuf,
}

impl SpoolRoom {
    /// Octets that stay in memory: such work is done by few threads, and not for long.
    pub const SMALL: u64 = 1 << 20;

    /// In this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl Room for SpoolRoom {
    fn scratch(&self, octets: u64) -> Box<dyn Scratch> {
        if octets <= Self::SMALL { InMemory.scratch(octets) } else { Box::new(Spool::new(&self.folder)) }
    }
}

fn unnamed_file(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        // A file system without unnamed files: a name for a moment, before the first octet is written.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => Ok(tempfile::tempfile_in(folder)?),
        Err(error) => Err(error.into()),
    }
}

fn invalid(error: SegmentError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_whatever_the_chunks() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|i| (i % 253) as u8).collect();
        for chunk in [1000, SEGMENT, SEGMENT + 1, 300_000] {
            let mut spool = Spool::new(folder.path());
            content.chunks(chunk).for_each(|c| spool.write(c).unwrap());
            assert_eq!(spool.len(), 300_000);
            for from in [0, 1, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 5, 4 * SEGMENT, 299_999, 300_000, 300_001, 900_000] {
                let mut read = Vec::new();
                spool.reader(from as u64).unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, content[from.min(content.len())..], "chunks of {chunk}, from {from}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file must have no name");
    }

    #[test]
    fn nothing_readable_reaches_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path());
        let canary = b"CANARI-DE-TEST".repeat(20_000);
        spool.write(&canary).unwrap();
        let overflow = spool.overflow.as_mut().unwrap();
        std::io::Seek::rewind(&mut overflow.file).unwrap();
        let mut stored = Vec::new();
        overflow.file.read_to_end(&mut stored).unwrap();
        assert!(stored.len() > 2 * SEGMENT);
        assert!(!stored.windows(14).any(|w| w == b"CANARI-DE-TEST"));
    }
}
