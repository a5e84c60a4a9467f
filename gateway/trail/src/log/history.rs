//! The file of all checkpoints: its end is read at each start, the rest front to back, one at a time.
//!
//! A busy gateway signs two a second; nobody holds a year of them in memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Octets of the end that are looked at first.
const WINDOW: u64 = 16 * 1024;
/// Longest note that is read.
const MAX_NOTE: usize = 64 * 1024;

/// The end of a history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last whole note.
    pub(super) note: Option<String>,
    /// Where it begins.
    begins: u64,
    /// Where it ends, with the empty line behind it.
    ends: u64,
    /// Octets of the file: what is behind `ends` was never finished.
    length: u64,
}

impl Tail {
    /// Reads it; one that is not there is empty.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other?,
        };
        let length = file.metadata()?.len();
        let mut window = WINDOW;
        loop {
            let from = length.saturating_sub(window);
            let mut octets = vec![0; usize::try_from(length.saturating_sub(from)).unwrap_or(0)];
            file.read_exact_at(&mut octets, from)?;
            let found = last_note(&octets, from == 0);
            match found {
                Some((begins, ends)) => {
                    let note = octets.get(begins..ends.saturating_sub(1)).unwrap_or_default();
                    let note = String::from_utf8(note.to_vec()).map_err(|_| io::ErrorKind::InvalidData)?;
                    let at = |place: usize| from.saturating_add(u64::try_from(place).unwrap_or(u64::MAX));
                    return Ok(Self { note: Some(note), begins: at(begins), ends: at(ends), length });
                }
                None if from == 0 => return Ok(Self { length, ..Self::default() }),
                None => window = window.saturating_mul(2),
            }
        }
    }

    /// Whether something behind the last whole note was not written to its end.
    pub(super) fn is_torn(&self) -> bool {
        self.length > self.ends
    }

    /// Cuts off what was not finished and writes the last note again: a disk that failed to sync it
    /// may have shown it from memory only.
    pub(super) fn settle(&self, path: &Path) -> io::Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(path)?;
        if self.is_torn() {
            file.set_len(self.ends)?;
        }
        if let Some(note) = &self.note {
            file.write_all_at(format!("{note}\n").as_bytes(), self.begins)?;
        }
        file.sync_all()
    }
}

/// Where the last whole note begins, and ends behind its empty line. Paragraphs of text and of
/// signatures take turns; only those of signatures begin with a dash (C2SP signed-note).
fn last_note(octets: &[u8], whole: bool) -> Option<(usize, usize)> {
    let breaks: Vec<usize> =
        octets.windows(2).enumerate().filter(|(_, two)| *two == b"\n\n").map(|(at, _)| at.saturating_add(2)).collect();
    let start = |number: Option<usize>| match number {
        Some(number) => breaks.get(number).copied(),
        None => whole.then_some(0),
    };
    for (number, end) in breaks.iter().enumerate().rev() {
        let Some(signatures) = number.checked_sub(1) else { break };
        let from = start(Some(signatures))?;
        if octets.get(from..*end).is_some_and(|paragraph| paragraph.starts_with("— ".as_bytes())) {
            return start(signatures.checked_sub(1)).map(|begins| (begins, *end));
        }
    }
    None
}

/// Appends to a history. What cannot be synced is taken away again: it must not be found by the next
/// start as if it were there.
pub(super) fn append(path: &Path, octets: &[u8]) -> io::Result<()> {
    let new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    if let Err(error) = file.write_all(octets).and_then(|()| file.sync_data()) {
        drop(file.set_len(length).and_then(|()| file.sync_all()));
        return Err(error);
    }
    match path.parent() {
        Some(dir) if new => super::layout::sync_dir(dir),
        _ => Ok(()),
    }
}

/// The notes of a history, oldest first.
pub(super) struct Notes {
    file: BufReader<File>,
}

impl Notes {
    /// Begins at the front.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(1 << 16, File::open(path)?) })
    }

    /// The next note; none at the end. One that is not complete, or no text, is an error of its own.
    fn read(&mut self) -> io::Result<Option<String>> {
        let mut note = Vec::new();
        for _ in 0..2 {
            loop {
                let before = note.len();
                let room = u64::try_from(MAX_NOTE.saturating_sub(before)).unwrap_or(0);
                let read = io::Read::take(&mut self.file, room).read_until(b'\n', &mut note)?;
                match (read, note.get(before..)) {
                    (0, _) if note.is_empty() => return Ok(None),
                    (_, Some(b"\n")) => break,
                    (_, Some(line)) if line.ends_with(b"\n") => {}
                    _ => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        }
        // The empty line behind it is not part of it.
        note.pop();
        String::from_utf8(note).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

impl Iterator for Notes {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: [&str; 2] = ["log.test\n1\nroot\n\n— log.test abc\n", "log.test\n2\nroot\n\n— log.test def\n"];

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoints");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_end_is_found_wherever_the_window_begins() {
        for count in [1, 2, 1000] {
            let text: String = NOTES.iter().cycle().take(count).map(|note| format!("{note}\n")).collect();
            let (_dir, path) = written(&text);
            let tail = Tail::read(&path).unwrap();
            assert_eq!(tail.note.as_deref(), Some(NOTES[(count + 1) % 2]), "{count}");
            assert!(!tail.is_torn());
            assert_eq!(Notes::open(&path).unwrap().map(Result::unwrap).count(), count);
            // Not written to its end, at each place.
            let note = NOTES[count % 2];
            for torn in 1..=note.len() {
                let Some(part) = note.get(..torn) else { continue };
                std::fs::write(&path, format!("{text}{part}")).unwrap();
                let tail = Tail::read(&path).unwrap();
                assert!(tail.is_torn() && tail.note.as_deref() == Some(NOTES[(count + 1) % 2]), "{part:?}");
                assert!(Notes::open(&path).unwrap().last().unwrap().is_err());
            }
            Tail::read(&path).unwrap().settle(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(Tail::read(Path::new("/nowhere/checkpoints")).unwrap(), Tail::default());
    }

    #[test]
    fn what_is_no_note_is_neither_whole_nor_cut_blindly() {
        let (_dir, path) = written("nonsense");
        assert!(Tail::read(&path).unwrap().note.is_none());
        let (_dir, path) = written(&"x".repeat(MAX_NOTE + 1));
        assert!(Notes::open(&path).unwrap().next().unwrap().is_err());
    }
}
