//! SQLite's full-text search over the same people: one row each, with the words that we index, prefixes of two,
//! three and four letters indexed, accents aside; in this process, so that no protocol is counted.

use std::path::Path;

use annuaire::{Generation, Person, fold};
use rusqlite::{Connection, params};

/// The peer with its data.
pub(crate) struct Peer {
    connection: Connection,
}

impl Peer {
    pub(crate) fn load(path: &Path, generation: &Generation) -> Self {
        let began = std::time::Instant::now();
        let mut connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;
                 CREATE VIRTUAL TABLE person USING fts5(id UNINDEXED, name, place, prefix = '2 3 4',
                     tokenize = \"unicode61 remove_diacritics 2\");",
            )
            .unwrap();
        let transaction = connection.transaction().unwrap();
        let mut insert = transaction.prepare("INSERT INTO person VALUES (?1, ?2, ?3)").unwrap();
        for person in generation.people() {
            let (name, place) = texts(&person);
            insert.execute(params![person.id_text(), name, place]).unwrap();
        }
        drop(insert);
        transaction.execute("INSERT INTO person(person) VALUES ('optimize')", []).unwrap();
        transaction.commit().unwrap();
        println!(
            "  SQLite {} FTS5 loaded and optimised in {:.1} s",
            rusqlite::version(),
            began.elapsed().as_secs_f64()
        );
        Self { connection }
    }

    /// The first twenty people of whom every word is the start of one; how many.
    pub(crate) fn search(&self, text: &str) -> usize {
        let question: Vec<String> = fold(text).split(' ').map(|word| format!("\"{word}\"*")).collect();
        let mut select =
            self.connection.prepare_cached("SELECT id, name FROM person WHERE person MATCH ?1 LIMIT 20").unwrap();
        let rows = select.query_map([question.join(" ")], |row| row.get::<_, String>(1)).unwrap();
        rows.filter_map(Result::ok).count()
    }
}

fn texts(person: &Person<'_>) -> (String, String) {
    let name = format!("{} {}", person.family(), person.given());
    let mut place = person.profession().to_owned();
    for activity in person.activities() {
        place += &format!(" {}", activity.speciality());
        if let Some(at) = activity.structure() {
            place += &format!(" {} {} {} {}", at.name(), at.street(), at.postcode(), at.town());
        }
    }
    (name, place)
}
