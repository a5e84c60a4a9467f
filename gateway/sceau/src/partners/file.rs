//! The ledger on disk: one JSON line for each change, only ever appended to.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ident::Timestamp;
use pki::book::{
    Ledger, LedgerError,
    ledger::{LedgerEvent, Line},
};
use thiserror::Error;

/// Largest ledger that is read.
const MAX_LEDGER: u64 = 512 * 1024 * 1024;

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerFault {
    /// Those of the disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// A line that we did not write.
    #[error("{0}: line {1}: {2}")]
    Line(PathBuf, usize, String),
    /// What was asked makes no sense.
    #[error(transparent)]
    Order(#[from] LedgerError),
}

/// Where the ledger lies.
#[derive(Debug, Clone)]
pub struct LedgerFile {
    folder: PathBuf,
}

impl LedgerFile {
    /// The ledger below a data folder.
    pub fn below(data: &Path) -> Self {
        Self { folder: data.join("partners") }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("ledger")
    }

    /// Octets written so far: it changes with every change.
    pub fn length(&self) -> u64 {
        fs::metadata(self.path()).map_or(0, |meta| meta.len())
    }

    /// The ledger as it stands.
    ///
    /// # Errors
    /// [`LedgerFault`]; forgetting is not safe, so a line that cannot be read is an error.
    pub fn read(&self) -> Result<Ledger, LedgerFault> {
        self.read_from(0).and_then(|(lines, _)| self.fold(&lines))
    }

    /// The lines after an octet, and where the last whole one ends.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_from(&self, offset: u64) -> Result<(Vec<Line>, u64), LedgerFault> {
        let path = self.path();
        let disk = |error| LedgerFault::Disk(path.clone(), error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(disk(error)),
        };
        if file.metadata().map_err(disk)?.len() > MAX_LEDGER {
            return Err(disk(io::Error::other("is larger than any real one")));
        }
        file.seek(SeekFrom::Start(offset)).map_err(disk)?;
        let mut text = String::new();
        file.take(MAX_LEDGER).read_to_string(&mut text).map_err(disk)?;
        // A line cut off by a power failure was never relied on.
        let whole = text.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let lines = text.get(..whole).unwrap_or_default().lines().enumerate();
        let lines = lines.map(|(at, line)| {
            serde_json::from_str(line)
                .map_err(|error| LedgerFault::Line(path.clone(), at.saturating_add(1), error.to_string()))
        });
        let lines = lines.collect::<Result<Vec<Line>, _>>()?;
        Ok((lines, offset.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX))))
    }

    fn fold(&self, lines: &[Line]) -> Result<Ledger, LedgerFault> {
        let mut ledger = Ledger::default();
        for (at, line) in lines.iter().enumerate() {
            ledger
                .apply(line)
                .map_err(|error| LedgerFault::Line(self.path(), at.saturating_add(1), error.to_string()))?;
        }
        Ok(ledger)
    }

    /// Decides about a change while nobody else changes anything, and writes it down: on stable storage when
    /// this returns. No events: nothing is written.
    ///
    /// # Errors
    /// What `decide` says, or [`LedgerFault`]; nothing is changed then.
    pub fn change<T, E: From<LedgerFault>>(
        &self,
        at: Timestamp,
        by: &str,
        reason: Option<&str>,
        decide: impl FnOnce(&Ledger) -> Result<(Vec<LedgerEvent>, T), E>,
    ) -> Result<T, E> {
        let path = self.path();
        let disk = |error| LedgerFault::Disk(path.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(disk)?;
        let mut open = OpenOptions::new();
        open.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = open.open(&path).map_err(disk)?;
        file.lock().map_err(disk)?;
        let (lines, whole) = self.read_from(0)?;
        let (events, outcome) = decide(&self.fold(&lines)?)?;
        if events.is_empty() {
            return Ok(outcome);
        }
        let line = Line { at, by: by.to_owned(), reason: reason.map(str::to_owned), events };
        let mut text = serde_json::to_string(&line).map_err(|error| disk(io::Error::other(error)))?;
        text.push('\n');
        let mut write = || {
            // What a crash left half written is written over, never continued.
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()?;
            self.folder.parent().map_or(Ok(()), |data| File::open(data)?.sync_all())
        };
        write().map_err(disk)?;
        Ok(outcome)
    }

    /// How far the trail has taken the ledger over.
    pub(super) fn trailed(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("trailed")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Remembers how far the trail has taken the ledger over. A crash in between writes a record twice.
    pub(super) fn set_trailed(&self, offset: u64) -> io::Result<()> {
        let aside = self.folder.join("trailed.new");
        let mut file = File::create(&aside)?;
        write!(file, "{offset}")?;
        file.sync_all()?;
        fs::rename(&aside, self.folder.join("trailed"))
    }
}

#[cfg(test)]
mod tests {
    use ident::StructureId;

    use super::*;

    fn source(location: &str) -> LedgerEvent {
        let operator = StructureId::parse("1990000022").unwrap();
        LedgerEvent::Source { operator, location: location.to_owned() }
    }

    fn add(file: &LedgerFile, location: &str) {
        file.change(Timestamp::EPOCH, "essai", None, |_| Ok::<_, LedgerFault>((vec![source(location)], ()))).unwrap();
    }

    #[test]
    fn the_ledger_survives_restarts_and_torn_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::below(folder.path());
        assert_eq!((file.read().unwrap().sources().len(), file.length()), (0, 0));
        add(&file, "un");
        add(&file, "deux");
        let path = folder.path().join("partners/ledger");
        let whole = fs::read_to_string(&path).unwrap();
        assert_eq!(whole.lines().count(), 2, "appended, never rewritten");
        fs::write(&path, format!("{whole}{{\"at\":1,\"by")).unwrap();
        assert!(file.read().unwrap().sources().values().eq(["deux"]));
        add(&file, "trois");
        let after = fs::read_to_string(&path).unwrap();
        assert!(after.starts_with(&whole) && after.lines().count() == 3, "a torn line is never continued: {after}");
        assert!(LedgerFile::below(folder.path()).read().unwrap().sources().values().eq(["trois"]));
        let (lines, end) = file.read_from(u64::try_from(whole.len()).unwrap()).unwrap();
        assert_eq!((lines.len(), end), (1, file.length()));
    }

    #[test]
    fn a_refused_change_and_a_foreign_line_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::below(folder.path());
        add(&file, "un");
        let before = file.length();
        let refused = file.change(Timestamp::EPOCH, "x", None, |_| {
            Err::<(Vec<LedgerEvent>, ()), _>(LedgerFault::Disk(PathBuf::new(), io::Error::other("no")))
        });
        assert!(refused.is_err() && file.length() == before);
        let path = folder.path().join("partners/ledger");
        fs::write(&path, "not ours\n").unwrap();
        assert!(file.read().is_err());
        let again = file.change(Timestamp::EPOCH, "x", None, |_| Ok::<_, LedgerFault>((vec![source("deux")], ())));
        assert!(again.is_err() && fs::read_to_string(&path).unwrap() == "not ours\n");
    }
}
