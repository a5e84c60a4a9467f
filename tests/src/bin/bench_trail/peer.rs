//! What the trail is measured beside: the same records written down durably by plainer means.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use openssl::sha::Sha256;
use rusqlite::Connection;
use trail::Record;

/// An audit table in SQLite with the usual indexes: searchable, but anybody who may write it may change it.
pub(crate) struct Table {
    db: Connection,
}

impl Table {
    pub(crate) fn new(folder: &Path) -> Self {
        let db = Connection::open(folder.join("audit.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.pragma_update(None, "synchronous", "FULL").unwrap();
        db.pragma_update(None, "cache_size", -65_536).unwrap();
        let tables = "CREATE TABLE audit (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, message TEXT, recipient TEXT, event TEXT NOT NULL, record TEXT NOT NULL) STRICT;
             CREATE INDEX audit_at ON audit (at);
             CREATE INDEX audit_message ON audit (message);
             CREATE INDEX audit_recipient ON audit (recipient)";
        db.execute_batch(tables).unwrap();
        Self { db }
    }

    /// Writes rows in one synced transaction; each record becomes a line of the table.
    pub(crate) fn append(&mut self, rows: &[(u64, &str)]) {
        let tx = self.db.transaction().unwrap();
        {
            let sql = "INSERT INTO audit (at, message, recipient, event, record) VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut insert = tx.prepare_cached(sql).unwrap();
            for line in rows.iter().flat_map(|(_, lines)| lines.lines()) {
                let record = Record::from_json(line.as_bytes()).unwrap();
                let message = record.message.map(|id| id.to_string());
                let recipient = record.recipient.as_ref().map(ToString::to_string);
                insert.execute((record.at.millis(), message, recipient, record.event.id(), line)).unwrap();
            }
        }
        tx.commit().unwrap();
    }
}

/// A file of lines, each with the SHA-256 over the line before and itself: a change is seen, but nothing can
/// be erased, proven alone or searched.
pub(crate) struct Chain {
    path: PathBuf,
    file: File,
    last: [u8; 32],
}

impl Chain {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("chain");
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Self { path, file, last: [0; 32] }
    }

    pub(crate) fn append(&mut self, rows: &[(u64, &str)]) {
        let mut octets = Vec::new();
        for line in rows.iter().flat_map(|(_, lines)| lines.lines()) {
            self.last = link(&self.last, line.as_bytes());
            octets.extend(openssl::base64::encode_block(&self.last).bytes());
            octets.push(b' ');
            octets.extend_from_slice(line.as_bytes());
            octets.push(b'\n');
        }
        self.file.write_all(&octets).unwrap();
        self.file.sync_data().unwrap();
    }

    /// Computes every link again; the number of lines.
    pub(crate) fn verify(&self) -> u64 {
        let (mut last, mut lines) = ([0; 32], 0);
        for line in BufReader::with_capacity(1 << 16, File::open(&self.path).unwrap()).lines() {
            let line = line.unwrap();
            let (mark, record) = line.split_once(' ').unwrap();
            last = link(&last, record.as_bytes());
            assert_eq!(mark, openssl::base64::encode_block(&last));
            lines += 1;
        }
        lines
    }
}

fn link(last: &[u8; 32], line: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(last);
    hash.update(line);
    hash.finish()
}

/// The tree of a log computed again by the independent crate from the entries in its tiles; its root.
pub(crate) fn tlog_root(log: &Path, size: u64) -> [u8; 32] {
    let mut hashes = Stored(Vec::new());
    let mut number = 0;
    for index in 0..size.div_ceil(256) {
        let width = (size - index * 256).min(256);
        let mut name = format!("{:03}", index % 1000);
        let mut above = index / 1000;
        while above > 0 {
            name = format!("x{:03}/{name}", above % 1000);
            above /= 1000;
        }
        let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
        let bundle = std::fs::read(log.join(format!("tile/entries/{name}{partial}"))).unwrap();
        for entry in bundle.chunks_exact(34) {
            let new = tlog_tiles::stored_hashes(number, &entry[2..], &hashes).unwrap();
            hashes.0.extend(new);
            number += 1;
        }
    }
    tlog_tiles::tree_hash(size, &hashes).unwrap().0
}

struct Stored(Vec<tlog_tiles::Hash>);

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}
