//! No content rests in the clear (promise 3): canaries in body, subject, attachment name and attachment,
//! and a patient's number, are searched for in everything that the gateways write, while their messages
//! wait on either side, after delivery, and after a kill with a message in hand.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use ident::{Clock as _, SystemClock};
use sceau::demo::cast::Place::{self, A, B};
use store::{BodyContent, Changes, SqliteOptions, SqliteStore, Staging as _, Store as _};
use tests::bench::traffic::Traffic;
use tests::capture::{Captured, Sink, SinkOptions};
use tests::certs::Credentials;
use tests::crash::canary::{Canaries, FORMS};
use tests::crash::patients;
use tests::gateway::{Gateway, sceau, sceau_json};
use tests::place::Scratch;
use tests::process::{PATIENCE, Running};
use tests::wire::Wire;
use tests::world::World;

const BODY: &str = "Canari du corps : opérée le 4 février";
const SUBJECT: &str = "Canari-de-l-objet-7f3a91";
const NAME: &str = "canari-nom-de-piece-5c20.pdf";
const ATTACHMENT: &str = "Canari de la pièce jointe : glycémie 1,42";
const NUMBER: &str = "279035121518989";
const CONTENT: [(&str, &str); 4] =
    [("body", BODY), ("subject", SUBJECT), ("attachment name", NAME), ("attachment", ATTACHMENT)];

/// A report of about this many octets, with its canaries all over it.
fn report(from: &str, to: &[String], id: &str, octets: usize) -> String {
    let attachment = format!("{ATTACHMENT}\n").repeat(octets / 2 / ATTACHMENT.len() + 1);
    let attachment = base64::engine::general_purpose::STANDARD.encode(attachment);
    let lines: Vec<&str> = attachment.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let body = format!("{BODY}, patient {NUMBER}\r\n").repeat(octets / 4 / BODY.len() + 1);
    let forms = forms();
    format!(
        "From: <{from}>\r\nTo: {}\r\nSubject: {SUBJECT}\r\nMessage-ID: <{id}>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=coupe\r\n\r\n\
         --coupe\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n\
         {forms}--coupe\r\nContent-Type: application/pdf; name={NAME}\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename={NAME}\r\n\r\n{}\r\n--coupe--\r\n",
        to.join(", "),
        lines.join("\r\n")
    )
}

/// Every canary in every form that a message may hold: quoted-printable, base64 in its three
/// alignments, hexadecimal.
fn forms() -> String {
    let mut texts: Vec<&str> = CONTENT.iter().map(|(_, text)| *text).collect();
    texts.push(NUMBER);
    let quoted: String = texts.iter().map(|text| format!("{}\r\n", quoted_printable(text))).collect();
    let hexadecimal: String = texts
        .iter()
        .map(|text| text.bytes().map(|octet| format!("{octet:02x}")).collect::<String>() + "\r\n")
        .collect();
    let mut octets = Vec::new();
    for shift in 0..3 {
        for text in &texts {
            while octets.len() % 3 != shift {
                octets.push(b' ');
            }
            octets.extend_from_slice(text.as_bytes());
            octets.extend_from_slice(b" et la suite ");
        }
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(octets);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "--coupe\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{quoted}\r\n\
         --coupe\r\nContent-Type: text/plain\r\n\r\n{hexadecimal}\r\n\
         --coupe\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
}

fn quoted_printable(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii() { char::from(b).to_string() } else { format!("={b:02X}") }).collect()
}

/// Polls until something is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A gateway that says everything it can, and a witness of every file that it opens to write.
struct Watched {
    gateway: Gateway,
    witness: Running,
    opened: PathBuf,
}

impl Watched {
    fn start(world: &World, place: Place, outside: &Scratch) -> Self {
        let folder = world.folder().join("tmp");
        std::fs::create_dir_all(&folder).unwrap();
        let variables = [("SCEAU_LOG", "trace"), ("TMPDIR", folder.to_str().unwrap())];
        let gateway = Gateway::serve_with(&world.configuration(place), &variables);
        let opened = outside.join(&format!("opened-{}", gateway.pid()));
        let witness = Running::start("strace", "strace", |command| {
            command.args(["-f", "-s", "4096", "-e", "trace=open,openat,openat2,creat,memfd_create", "-o"]);
            command.arg(&opened).args(["-p", &gateway.pid().to_string()]);
        });
        witness.wait_for_line(&["attached"]);
        // What it had opened before the witness came.
        for path in open_for_writing(gateway.pid()) {
            assert!(path.starts_with(world.folder()), "writes outside its folders: {}", path.display());
        }
        Self { gateway, witness, opened }
    }

    /// Nothing of the canaries in files that have no name, at this moment.
    fn hides_nothing(&self, world: &World) {
        let all = Canaries::new(&[CONTENT.as_slice(), &[("patient", NUMBER)]].concat());
        for octets in unnamed_files(self.gateway.pid(), world.folder()) {
            assert!(all.search(&octets).is_empty(), "in a file without a name: {:?}", all.search(&octets));
        }
    }

    /// The log as a file, to be searched like the others.
    fn keep_log(&self, world: &World, name: &str) {
        std::fs::write(world.folder().join(name), self.gateway.log()).unwrap();
    }

    /// Every path that the program opened to write, which must all be below `folder`.
    fn stays_within(mut self, folder: &Path, kill: bool) {
        let Gateway { .. } = &self.gateway;
        if kill {
            self.gateway.kill()
        } else {
            self.gateway.stop()
        };
        self.witness.stop();
        let text = std::fs::read_to_string(&self.opened).unwrap();
        let written: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("O_WRONLY") || line.contains("O_RDWR") || line.contains("creat("))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert!(!written.is_empty(), "the witness saw nothing");
        for path in written {
            assert!(Path::new(path).starts_with(folder) || path == "/dev/null", "wrote outside its folders: {path}");
        }
    }
}

/// Says MAIL and a RCPT for each, then the message.
fn submit(wire: &mut Wire, from: &str, to: &[String], message: &str) -> u16 {
    wire.exchange(&format!("MAIL FROM:<{from}> RET=FULL"), 250);
    for to in to {
        wire.exchange(
            &format!("RCPT TO:{to} NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{}", to.trim_matches(['<', '>'])),
            250,
        );
    }
    wire.exchange("DATA", 354);
    wire.send(message.as_bytes());
    wire.say(".");
    wire.reply().code
}

/// Nothing anywhere below the space's folder, and the patient only in the queue's envelope.
#[track_caller]
fn nothing_is_found(world: &World, when: &str) {
    let started = Instant::now();
    let found = Canaries::new(&CONTENT).search_files(world.folder(), &[]);
    assert!(found.is_empty(), "{when}: {found:#?}");
    let registry = world.folder().join("ch-b/patients.toml");
    let mut envelopes = vec![registry];
    for place in [A, B] {
        let queue = world.folder().join(place.folder()).join("data/queue");
        envelopes.extend(["queue.db", "queue.db-wal"].map(|name| queue.join(name)));
    }
    let patient = Canaries::new(&[("patient", NUMBER)]);
    let found = patient.search_files(world.folder(), &envelopes);
    assert!(found.is_empty(), "{when}: {found:#?}");
    for database in envelopes.iter().filter(|path| path.extension().is_some_and(|kind| kind == "db") && path.exists()) {
        only_in_the_envelope(database, &patient, when);
    }
    println!("{when}: nothing found, {} ms", started.elapsed().as_millis());
}

/// Looks at every value of every table; of the facts of messages and recipients, all but the addresses.
#[track_caller]
fn only_in_the_envelope(database: &Path, patient: &Canaries, when: &str) {
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(tables.len() >= 5, "{tables:?}");
    for table in tables {
        let mut query = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<String> = query.column_names().map(ToString::to_string).collect();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (index, column) in columns.iter().enumerate() {
                let value = match row.get_ref(index).unwrap() {
                    rusqlite::types::ValueRef::Text(text) => text.to_vec(),
                    rusqlite::types::ValueRef::Blob(blob) => blob.to_vec(),
                    _ => continue,
                };
                let value = match (table.as_str(), column.as_str()) {
                    ("message" | "recipient", "facts") => without_addresses(&value),
                    _ => value,
                };
                let found = patient.search(&value);
                assert!(found.is_empty(), "{when}: {table}.{column}: {found:?} in {}", value.escape_ascii());
            }
        }
    }
}

fn without_addresses(facts: &[u8]) -> Vec<u8> {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.retain(|name, _| !matches!(name.as_str(), "address" | "orcpt" | "sender"));
                fields.values_mut().for_each(strip);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut facts: serde_json::Value = serde_json::from_slice(facts).unwrap();
    strip(&mut facts);
    serde_json::to_vec(&facts).unwrap()
}

/// What operators and auditors are shown names no patient either.
#[track_caller]
fn nothing_is_shown(world: &World, place: Place, ids: &[&str]) {
    let all = Canaries::new(&[CONTENT.as_slice(), &[("patient", NUMBER)]].concat());
    let configuration = world.configuration(place);
    let configuration = configuration.to_str().unwrap();
    let mut commands = vec![
        vec!["queue", "list", "--all"],
        vec!["trail", "follow", "--once", "--json"],
        vec!["trail", "follow", "--once"],
    ];
    for id in ids {
        commands.extend([vec!["why", id], vec!["why", id, "--json"], vec!["queue", "show", id]]);
    }
    let mut tokens = 0;
    for mut command in commands {
        command.extend(["--config", configuration]);
        let said = sceau(&command, b"");
        let text = format!("{}{}", said.text(), said.errors);
        assert!(said.code == Some(0) && !text.is_empty(), "{command:?}: {text}");
        assert!(all.search(text.as_bytes()).is_empty(), "{command:?} shows {:?}:\n{text}", all.search(text.as_bytes()));
        tokens += text.matches("patient:").count();
    }
    assert!(tokens > 0, "nowhere does the patient appear as a token");
}

#[test]
fn no_content_rests_in_the_clear() {
    let world = World::new();
    let outside = Scratch::new("witness");
    patients::add(&world, NUMBER);
    for place in [A, B] {
        world.edit(place, "sceau.toml", "delay_notices = [\"15s\", \"60s\"]", "delay_notices = [\"1s\"]");
    }
    let from = world.address("martin");
    let patient = format!("{NUMBER}@{}", patients::DOMAIN);
    let to: Vec<String> = ["moreau", "durand", "petit"]
        .map(|name| world.address(name))
        .into_iter()
        .chain([patient])
        .map(|to| format!("<{to}>"))
        .collect();
    let a = Watched::start(&world, A, &outside);

    // Refused in every way that touches content or patient.
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("EHLO {NUMBER}.cabinet.test"), 250);
    let elsewhere = report("anne.martin-test@ailleurs.test", &to, "refuse@canari.test", 2000);
    assert!(submit(&mut wire, &from, &to, &elsewhere) >= 500);
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    wire.say(&format!("RCPT TO:<{NUMBER}@exemple.test>"));
    assert!(wire.reply().code >= 500);
    wire.say("RSET");
    wire.expect(250);
    wire.say(&format!("MAIL FROM:<{NUMBER}@{}>", patients::DOMAIN));
    assert!(wire.reply().code >= 500);

    // Accepted: one that fits a row, one that needs files. Nobody is there to take them.
    for (id, octets) in [("petit@canari.test", 2000), ("grand@canari.test", 200_000)] {
        assert_eq!(submit(&mut wire, &from, &to, &report(&from, &to, id, octets)), 250);
    }

    // In hand: the spool is an unnamed file, and nothing in it can be read.
    let mut half = world.submission(A, world.card("martin"));
    half.exchange(&format!("MAIL FROM:<{from}>"), 250);
    half.exchange(&format!("RCPT TO:{}", to[0]), 250);
    half.exchange("DATA", 354);
    half.send(report(&from, &to, "en-main@canari.test", 400_000).as_bytes());
    let all = Canaries::new(&[CONTENT.as_slice(), &[("patient", NUMBER)]].concat());
    let mut spooled = Vec::new();
    until("a message in hand is in an unnamed file", || {
        spooled = unnamed_files(a.gateway.pid(), world.folder());
        spooled.iter().any(|octets| octets.len() > 300_000)
    });
    assert!(spooled.iter().all(|octets| all.search(octets).is_empty()), "the spool can be read");

    // A notice about the delay has been written, for a sender whose mail store is down.
    until("the sender is told of the delay", || {
        let config = world.configuration(A);
        let (_, told) = sceau_json(&["why", "grand@canari.test", "--config", config.to_str().unwrap()]);
        told.to_string().matches("notification.sent").count() >= 4
    });
    a.keep_log(&world, "log-a-1");
    nothing_is_found(&world, "waiting at A");
    a.stays_within(world.folder(), true);
    nothing_is_found(&world, "after a kill with a message in hand");

    let a = Watched::start(&world, A, &outside);
    let b = Watched::start(&world, B, &outside);
    until("both messages wait at B for two recipients", || {
        let config = world.configuration(B);
        let (_, queue) = sceau_json(&["queue", "list", "--config", config.to_str().unwrap()]);
        queue["messages"].as_array().unwrap().iter().filter(|m| m["bodies"][0]["size"].as_u64() > Some(0)).count() >= 4
    });
    b.keep_log(&world, "log-b-1");
    nothing_is_found(&world, "waiting at B");
    a.hides_nothing(&world);
    b.hides_nothing(&world);

    let (store_a, store_b, operator) = (world.inner_store(A), world.inner_store(B), operator(&world));
    let reports = |sink: &Sink, count: usize| {
        until("all is delivered", || sink.messages().iter().filter(|kept| is_report(kept)).count() >= count);
    };
    reports(&store_a, 2);
    reports(&store_b, 4);
    reports(&operator, 2);
    a.keep_log(&world, "log-a-2");
    b.keep_log(&world, "log-b-2");
    nothing_is_found(&world, "after delivery");
    let ids = ["petit@canari.test", "grand@canari.test"];
    nothing_is_shown(&world, A, &ids);
    nothing_is_shown(&world, B, &ids);
    a.stays_within(world.folder(), false);
    b.stays_within(world.folder(), false);
    nothing_is_found(&world, "after the stop");
    let delivered = store_b.messages().into_iter().filter(is_report).map(|kept| kept.message);
    control(&delivered.max_by_key(Vec::len).unwrap());
}

fn is_report(kept: &Captured) -> bool {
    let text = String::from_utf8_lossy(&kept.message);
    text.contains(SUBJECT) && text.contains(BODY) && text.contains(NUMBER)
}

/// The third operator's server.
fn operator(world: &World) -> Sink {
    let identity = &world.space.operator;
    let (server, chain) = Credentials::load(&identity.certificate, &identity.key);
    let options = SinkOptions::smtp().mutual_tls(&server, &chain, &[world.root("servers")]);
    Sink::start(options.at(world.space.ports.c.exchange))
}

/// Files that a process has open for writing, pipes, sockets and devices apart.
fn open_for_writing(pid: u32) -> Vec<PathBuf> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let writes = |name: &std::ffi::OsStr| {
        let info =
            std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", name.to_str().unwrap())).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0");
        u32::from_str_radix(flags.trim(), 8).unwrap_or(0) & 3 != 0
    };
    descriptors
        .filter(|descriptor| writes(&descriptor.file_name()))
        .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
        .filter(|path| path.starts_with("/") && !path.starts_with("/dev"))
        .collect()
}

/// What a process has in files below `folder` that have no name any more, or never had.
fn unnamed_files(pid: u32, folder: &Path) -> Vec<Vec<u8>> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    descriptors
        .filter(|descriptor| {
            std::fs::read_link(descriptor.path())
                .is_ok_and(|target| target.starts_with(folder) && target.to_string_lossy().ends_with(" (deleted)"))
        })
        .filter_map(|descriptor| std::fs::read(descriptor.path()).ok())
        .collect()
}

type Compress = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Content rests in the gateway's own store as a queued message does, with sealing switched off: that is not
/// something the gateway can be told to do, so the store is given what the gateway would have sealed before.
fn rest_unsealed(folder: &Path, content: &[u8]) {
    let (store, _) = SqliteStore::open(&folder.join("queue"), SqliteOptions::default()).unwrap();
    let mut staging = store.stage().unwrap();
    staging.write_all(content).unwrap();
    let now = SystemClock.now();
    let mut message = Traffic::new(1, 1).message(1, 100, now, now);
    message.bodies[0].content = BodyContent::Staged(staging.finish().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(Changes::message(message))).unwrap();
}

/// The control: the very message of this run as the inner mail store keeps it, and that text in the forms that
/// software gives to what it stores, at rest with sealing switched off. The same search finds every canary in every
/// form.
fn control(delivered: &[u8]) {
    let folder = Scratch::new("control");
    rest_unsealed(&folder.join("message"), delivered);
    let text = String::from_utf8(delivered.to_vec()).unwrap();
    rest_unsealed(&folder.join("utf-16le"), &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    rest_unsealed(&folder.join("utf-16be"), &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    let mut streams: BTreeMap<&str, Compress> = BTreeMap::new();
    let level = flate2::Compression::default();
    streams.insert(
        "deflate",
        Box::new(move |octets| {
            let mut stream = flate2::write::DeflateEncoder::new(Vec::new(), level);
            stream.write_all(octets).unwrap();
            stream.finish().unwrap()
        }),
    );
    streams.insert(
        "zlib",
        Box::new(move |octets| {
            let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), level);
            stream.write_all(octets).unwrap();
            stream.finish().unwrap()
        }),
    );
    streams.insert(
        "gzip",
        Box::new(move |octets| {
            let mut stream = flate2::write::GzEncoder::new(Vec::new(), level);
            stream.write_all(octets).unwrap();
            stream.finish().unwrap()
        }),
    );
    for (name, compress) in &streams {
        rest_unsealed(&folder.join(name), &compress(delivered));
    }
    let texts: Vec<(&str, &str)> = CONTENT.iter().copied().chain([("patient", NUMBER)]).collect();
    let found = Canaries::new(&texts).search_files(folder.path(), &[]);
    let bodies = |form: &str| folder.join(form).join("queue/bodies");
    let found_in = |place: &Path, canary: &str, form: &str| {
        found.iter().any(|(path, what)| path.starts_with(place) && what.canary == canary && what.form == form)
    };
    let in_file = |file: &str, canary: &str, form: &str| found_in(&bodies(file), canary, form);
    for (name, text) in &texts {
        // A text of ASCII alone is the same in quoted-printable.
        let quoted = if text.is_ascii() { "text" } else { "quoted-printable" };
        let in_clear = if *name == "attachment" { quoted } else { "text" };
        for form in [in_clear, quoted, FORMS[1], FORMS[2], FORMS[3], "hexadecimal"] {
            assert!(in_file("message", name, form), "{name} as {form} in the message");
        }
        for form in ["utf-16le", "utf-16be"] {
            assert!(in_file(form, name, form) || *name == "attachment", "{name} as {form}");
        }
        for stream in streams.keys() {
            for form in [&format!("inflated {in_clear}"), "inflated base64", "inflated hexadecimal"] {
                assert!(in_file(stream, name, form), "{name} as {form} in {stream}");
            }
        }
    }
    println!("control: every canary found in every form");
}
