//! The sealed spool: where a message in hand lives (design §7).
//!
//! Up to 64 KB it stays in memory; beyond that it goes to an unnamed file, encrypted under a
//! random key that exists only in this process. Nothing readable reaches a disk, and nothing
//! remains after a crash: the file has no name.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use zeroize::Zeroizing;

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

    /// The whole message. Its size was bounded while it was written.
    ///
    /// # Errors
    /// Those of the disk, or `InvalidData` when what comes back is not what was written.
    pub fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::with_capacity(usize::try_from(self.length).unwrap_or(0)));
        if let Some(overflow) = &mut self.overflow {
            overflow.file.seek(SeekFrom::Start(0))?;
            let mut sealed = vec![0; SEGMENT + TAG];
            for number in 1..=overflow.segments {
                overflow.file.read_exact(&mut sealed)?;
                out.extend_from_slice(&overflow.key.open(number, false, &sealed).map_err(invalid)?);
            }
        }
        out.extend_from_slice(&self.tail);
        Ok(out)
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
        self.tail = Zeroizing::new(Vec::with_capacity(SEGMENT));
        Ok(())
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
            assert_eq!(*spool.read().unwrap(), content, "chunks of {chunk}");
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
        overflow.file.seek(SeekFrom::Start(0)).unwrap();
        let mut stored = Vec::new();
        overflow.file.read_to_end(&mut stored).unwrap();
        assert!(stored.len() > 2 * SEGMENT);
        assert!(!stored.windows(14).any(|w| w == b"CANARI-DE-TEST"));
    }
}
