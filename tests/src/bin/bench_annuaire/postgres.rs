//! PostgreSQL: words as `tsvector` with prefixes and trigrams under GIN, accents by `unaccent`, sounds by
//! `dmetaphone`. Prepared statements over one connection, without TLS, which is in its favour.

mod wire;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{
    place::free_endpoint,
    process::{Running, run},
};

use self::wire::Wire;
use crate::{
    data::Row,
    questions::Question,
    subject::{Cost, PAGE, Subject},
};

/// Its settings, printed with the figures.
pub(crate) const SETTINGS: [&str; 9] = [
    "shared_buffers = 2GB",
    "effective_cache_size = 8GB",
    "work_mem = 64MB",
    "maintenance_work_mem = 1GB",
    "random_page_cost = 1.1",
    "jit = off",
    "plan_cache_mode = force_custom_plan",
    "fsync = off",
    "pg_trgm.similarity_threshold = 0.5",
];

const TABLES: &str = "
    CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent; CREATE EXTENSION fuzzystrmatch;
    CREATE TEXT SEARCH CONFIGURATION directory (COPY = simple);
    ALTER TEXT SEARCH CONFIGURATION directory ALTER MAPPING FOR hword, hword_part, word, asciihword, hword_asciipart,
        asciiword WITH unaccent, simple;
    CREATE TABLE person(id text, family text, given text, name text, place text, mail text,
        words tsvector GENERATED ALWAYS AS (to_tsvector('directory', name || ' ' || place)) STORED);
    CREATE TABLE mailbox(address text, id text);";

const INDEXES: [&str; 7] = [
    "CREATE INDEX ON person(id)",
    "CREATE INDEX ON mailbox(address)",
    "CREATE INDEX ON person USING gin(words) WITH (fastupdate = off)",
    "CREATE INDEX ON person USING gin(family gin_trgm_ops) WITH (fastupdate = off)",
    "CREATE INDEX ON person(family text_pattern_ops)",
    "CREATE INDEX ON person(dmetaphone(family))",
    "VACUUM ANALYZE",
];

/// A PostgreSQL of our own.
pub(crate) struct Postgres {
    process: Running,
    wire: Wire,
    at: std::net::SocketAddr,
    /// Octets of its files.
    pub(crate) octets: u64,
}

impl Postgres {
    pub(crate) fn load(folder: &Path, rows: &mut dyn Iterator<Item = Row>) -> Self {
        let data = folder.join("data");
        std::fs::create_dir_all(&data).unwrap();
        let owned = |path: &Path| {
            let done = run(Command::new("chown").arg("-R").arg("postgres:").arg(path), b"");
            assert_eq!(done.code, Some(0), "{}", done.errors);
        };
        owned(folder);
        let programs = programs();
        let mut make = as_postgres(&programs.join("initdb"));
        make.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust", "-D"]).arg(&data);
        let made = run(&mut make, b"");
        assert_eq!(made.code, Some(0), "initdb: {}", made.errors);
        let at = free_endpoint();
        let process = Running::start("postgres", "setpriv", |command| {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(programs.join("postgres"));
            command.arg("-D").arg(&data).args(["-h", &at.ip().to_string(), "-p", &at.port().to_string(), "-k", ""]);
            for setting in SETTINGS.iter().filter(|setting| !setting.starts_with("pg_trgm")) {
                command.args(["-c", &setting.replace(' ', "")]);
            }
        });
        process.wait_for_line(&["ready to accept connections"]);
        let mut wire = Wire::connect(at);
        wire.run(TABLES);
        let (people, mailboxes) = (folder.join("people.tsv"), folder.join("mailboxes.tsv"));
        write(&people, &mailboxes, rows);
        wire.run(&format!("COPY person(id, family, given, name, place, mail) FROM '{}'", people.display()));
        wire.run(&format!("COPY mailbox FROM '{}'", mailboxes.display()));
        for file in [people, mailboxes] {
            std::fs::remove_file(file).unwrap();
        }
        for index in INDEXES {
            let began = std::time::Instant::now();
            wire.run(index);
            if began.elapsed().as_secs() >= 5 {
                eprintln!("  PostgreSQL: {index}: {} s", began.elapsed().as_secs());
            }
        }
        Self { process, wire: prepared(at), at, octets: size(&data) }
    }
}

/// The newest release that is installed.
fn programs() -> PathBuf {
    let mut all: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("postgres").exists())
        .collect();
    all.sort();
    all.pop().expect("PostgreSQL is not installed")
}

/// It refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).env("LC_ALL", "C.UTF-8");
    command
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

fn write(people: &Path, mailboxes: &Path, rows: &mut dyn Iterator<Item = Row>) {
    let plain = |text: &str| text.replace('\\', "\\\\").replace(['\t', '\n', '\r'], " ");
    let create = |path: &Path| {
        let file = File::create(path).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        BufWriter::new(file)
    };
    let (mut people, mut boxes) = (create(people), create(mailboxes));
    for row in rows {
        let mail = row.mailboxes.first().map(String::as_str).unwrap_or_default();
        let family = annuaire::fold(&row.family);
        let columns = [&row.id, &family, &annuaire::fold(&row.given), &row.name(), &row.place(), mail];
        let columns: Vec<String> = columns.iter().map(|text| plain(text)).collect();
        writeln!(people, "{}", columns.join("\t")).unwrap();
        for address in &row.mailboxes {
            writeln!(boxes, "{}\t{}", plain(address), row.id).unwrap();
        }
    }
    people.flush().unwrap();
    boxes.flush().unwrap();
}

fn prepared(at: std::net::SocketAddr) -> Wire {
    let mut wire = Wire::connect(at);
    wire.run("SET pg_trgm.similarity_threshold = 0.5");
    let of = |condition: &str| format!("SELECT id, name, place, mail FROM person WHERE {condition} LIMIT {PAGE}");
    wire.prepare("id", &of("id = $1"));
    wire.prepare("mail", "SELECT p.id, name, place, mail FROM mailbox m JOIN person p USING (id) WHERE m.address = $1");
    wire.prepare("name", &of("family LIKE $1"));
    wire.prepare("words", &of("words @@ to_tsquery('directory', $1)"));
    wire.prepare("typo", &of("family % $1 AND given LIKE $2"));
    wire.prepare("sound", &of("dmetaphone(family) = dmetaphone($1)"));
    wire
}

impl Subject for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn begin(&mut self) {
        self.wire = prepared(self.at);
    }

    fn ask(&mut self, question: &Question) -> Option<usize> {
        let wire = &mut self.wire;
        Some(match question {
            Question::Id(id) => wire.ask("id", &[id.as_str()]),
            Question::Mailbox(address) => wire.ask("mail", &[&address.key()]),
            Question::Name(name) => wire.ask("name", &[&format!("{name}%")]),
            Question::NameTown(..) | Question::Full(_) | Question::Speciality(..) => {
                let text = question.text();
                let words: Vec<String> = text.split(' ').map(|word| format!("{word}:*")).collect();
                wire.ask("words", &[&words.join(" & ")])
            }
            Question::Typo(name, given) => wire.ask("typo", &[name, &format!("{given}%")]),
            Question::Sound(name) => wire.ask("sound", &[name]),
            Question::Part(part) => wire.ask("name", &[&format!("%{part}%")]),
            Question::Book(_) => return None,
        })
    }

    fn cost(&self) -> Cost {
        Cost::There(self.process.pid())
    }
}
