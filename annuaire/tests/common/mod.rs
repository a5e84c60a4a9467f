//! Folders of extracts for tests: a generated base and ways to spoil it.
#![allow(dead_code, unreachable_pub, clippy::arithmetic_side_effects, clippy::unwrap_used)] // each test program uses its part

pub mod questions;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use annuaire::{FileKind, GenerateOptions, Generated, LoadReport};
use tempfile::TempDir;

/// A folder of extracts and a data folder.
pub struct Ground {
    folder: TempDir,
    pub made: Generated,
}

impl Ground {
    /// 300 people from seed 7.
    pub fn new() -> Self {
        Self::with(&GenerateOptions::new(7, 300))
    }

    pub fn with(options: &GenerateOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = annuaire::generate(&folder.path().join("extracts"), options).unwrap();
        Self { folder, made }
    }

    pub fn extracts(&self) -> PathBuf {
        self.folder.path().join("extracts")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn file(&self, kind: FileKind) -> PathBuf {
        self.extracts().join(kind.file_name())
    }

    pub fn text(&self, kind: FileKind) -> String {
        fs::read_to_string(self.file(kind)).unwrap()
    }

    pub fn edit(&self, kind: FileKind, change: impl FnOnce(String) -> String) {
        fs::write(self.file(kind), change(self.text(kind))).unwrap();
    }

    /// Changes each data row with its number (from 0); `None` deletes it.
    pub fn edit_rows(&self, kind: FileKind, mut change: impl FnMut(usize, &str) -> Option<String>) {
        self.edit(kind, |text| {
            let mut lines = text.lines();
            let header = lines.next().unwrap().to_owned();
            let rows = lines.enumerate().filter_map(|(n, row)| change(n, row));
            let mut all: Vec<String> = [header].into_iter().chain(rows).collect();
            all.push(String::new());
            all.join("\n")
        });
    }

    pub fn load(&self) -> LoadReport {
        annuaire::load(&self.extracts(), &self.data(), false).unwrap()
    }
}

/// The report balances, for each file.
pub fn conserved(report: &LoadReport) {
    for file in &report.files {
        assert_eq!(file.rows, file.kept + file.merged + file.refused, "{file:?}");
    }
}

/// Packs one file as the mailbox extract is published.
pub fn zip(file: &Path, archive: &Path, entry: &str) {
    let mut writer = zip::ZipWriter::new(fs::File::create(archive).unwrap());
    writer.start_file(entry, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(&fs::read(file).unwrap()).unwrap();
    writer.finish().unwrap();
    fs::remove_file(file).unwrap();
}
