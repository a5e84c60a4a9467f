//! What the store is measured beside: the same bodies put down durably by the simplest means there are.
//! None of them keeps recipients, repetitions, due times or a trail; they say what a sync, a table and a
//! disk cost on this machine at this moment.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tests::bench::machine::{Pace, pace};

/// A peer, ready to take messages.
pub(crate) enum Peer {
    /// A table in SQLite (WAL, `synchronous=FULL`), so many messages to a transaction.
    Sqlite(Connection, usize),
    /// A file that is appended to, one sync for so many messages: the disk's own ceiling.
    Log(File, usize),
}

impl Peer {
    pub(crate) fn sqlite(folder: &Path, group: usize) -> Self {
        let db = Connection::open(folder.join(format!("peer-{group}.db"))).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.pragma_update(None, "synchronous", "FULL").unwrap();
        db.pragma_update(None, "cache_size", -65_536).unwrap();
        // As much log as the store lets grow before it is copied back.
        db.pragma_update(None, "wal_autocheckpoint", 16_384).unwrap();
        let tables = "CREATE TABLE IF NOT EXISTS queue (id TEXT PRIMARY KEY, recipient TEXT NOT NULL, due INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS due ON queue (due)";
        db.execute_batch(tables).unwrap();
        Self::Sqlite(db, group)
    }

    pub(crate) fn log(folder: &Path, group: usize) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(folder.join("peer.log")).unwrap();
        Self::Log(file, group)
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(_, 1) => "SQLite table, a transaction each".to_owned(),
            Self::Sqlite(_, group) => format!("SQLite table, {group} to a transaction"),
            Self::Log(_, group) => format!("log file, {group} to a sync"),
        }
    }

    /// Takes messages for so long.
    pub(crate) fn run(&mut self, octets: usize, time: Duration, first: u64) -> Pace {
        let mut body = vec![0; octets];
        openssl::rand::rand_bytes(&mut body).unwrap();
        pace(|| {
            let began = Instant::now();
            let mut done = 0;
            while began.elapsed() < time {
                done += self.group(&mut body, first + done);
            }
            done
        })
    }

    fn group(&mut self, body: &mut [u8], first: u64) -> u64 {
        match self {
            Self::Sqlite(db, group) => {
                let tx = db.transaction().unwrap();
                for number in first..first + *group as u64 {
                    body[..8].copy_from_slice(&number.to_be_bytes());
                    let id = format!("{number:019}");
                    tx.prepare_cached("INSERT INTO queue VALUES (?1, ?2, ?3, ?4)")
                        .unwrap()
                        .execute((&id, "dr.moreau-test@op1.exemple.test", number.cast_signed(), &*body))
                        .unwrap();
                }
                tx.commit().unwrap();
                *group as u64
            }
            Self::Log(file, group) => {
                let all = body.repeat(*group);
                file.write_all(&all).unwrap();
                file.sync_data().unwrap();
                *group as u64
            }
        }
    }
}
