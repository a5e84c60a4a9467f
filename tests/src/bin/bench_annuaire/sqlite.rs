//! SQLite with its full-text search (FTS5): one row for each person, prefixes of two, three and four letters indexed,
//! accents aside; tables with a key for identifiers and addresses. In this process, so that no protocol is counted.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::{
    data::Row,
    questions::Question,
    subject::{Cost, PAGE, Subject},
};

/// The peer with its data.
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(crate) fn load(folder: &Path, rows: &mut dyn Iterator<Item = Row>) -> Self {
        let mut connection = Connection::open(folder.join("peer.db")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;
                 PRAGMA mmap_size = 8000000000;
                 CREATE VIRTUAL TABLE person USING fts5(id UNINDEXED, name, place, mail UNINDEXED, prefix = '2 3 4',
                     tokenize = \"unicode61 remove_diacritics 2\");
                 CREATE TABLE holder(id TEXT PRIMARY KEY, name TEXT, place TEXT, mail TEXT) WITHOUT ROWID;
                 CREATE TABLE mailbox(address TEXT PRIMARY KEY, id TEXT) WITHOUT ROWID;",
            )
            .unwrap();
        let transaction = connection.transaction().unwrap();
        {
            let mut person = transaction.prepare("INSERT INTO person VALUES (?1, ?2, ?3, ?4)").unwrap();
            let mut holder = transaction.prepare("INSERT OR IGNORE INTO holder VALUES (?1, ?2, ?3, ?4)").unwrap();
            let mut mailbox = transaction.prepare("INSERT OR IGNORE INTO mailbox VALUES (?1, ?2)").unwrap();
            for row in rows {
                let mail = row.mailboxes.first().map(String::as_str).unwrap_or_default();
                person.execute(params![row.id, row.name(), row.place(), mail]).unwrap();
                holder.execute(params![row.id, row.name(), row.place(), mail]).unwrap();
                for address in &row.mailboxes {
                    mailbox.execute(params![address, row.id]).unwrap();
                }
            }
        }
        transaction.execute("INSERT INTO person(person) VALUES ('optimize')", []).unwrap();
        transaction.commit().unwrap();
        Self { connection }
    }

    fn count(&self, sql: &str, value: &str) -> usize {
        let mut select = self.connection.prepare_cached(sql).unwrap();
        let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<usize> {
            Ok((0..4).map(|at| row.get::<_, String>(at).map(|text| text.len())).filter_map(Result::ok).sum())
        };
        select.query_map([value], columns).unwrap().filter_map(Result::ok).count()
    }
}

impl Subject for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn ask(&mut self, question: &Question) -> Option<usize> {
        Some(match question {
            Question::Id(id) => self.count("SELECT id, name, place, mail FROM holder WHERE id = ?1", id.as_str()),
            Question::Mailbox(address) => self.count(
                "SELECT h.id, h.name, h.place, h.mail FROM mailbox m JOIN holder h ON h.id = m.id WHERE m.address = ?1",
                &address.key(),
            ),
            Question::Name(_) | Question::NameTown(..) | Question::Full(_) | Question::Speciality(..) => {
                let text = question.text();
                let words: Vec<String> = text.split(' ').map(|word| format!("\"{word}\"*")).collect();
                let sql = format!("SELECT id, name, place, mail FROM person WHERE person MATCH ?1 LIMIT {PAGE}");
                self.count(&sql, &words.join(" "))
            }
            _ => return None,
        })
    }

    fn cost(&self) -> Cost {
        Cost::Here
    }
}
