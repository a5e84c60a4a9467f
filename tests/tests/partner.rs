//! Partners' certificates, end to end: published by one gateway, fetched over HTTP by the other, approved by a
//! person, used without a restart; and everything that must change nothing.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ident::{Clock, SystemClock, Timestamp};
use pki::book::{BookOwner, BookUse};
use pki::issue::ServerMailUse;
use pki::keys::{FileKey, SigningKey};
use pki::partner_file::{PartnerDraft, PartnerEntry, sign};
use sceau::demo::cast::Place::{self, A, B, C};
use serde_json::Value;
use tests::gateway::{Gateway, sceau, sceau_json};
use tests::mint::Mint;
use tests::place::free_endpoint;
use tests::process::PATIENCE;
use tests::publisher::Publisher;
use tests::world::{World, assert_refused, hand_over, letter};

const DAY: Duration = Duration::from_secs(86_400);

/// Any web server: serves the files of one folder. Gives the URL of `partner.p7m` under a name of its own.
fn web_server(folder: PathBuf) -> String {
    let address = free_endpoint();
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut request).unwrap() > 2 {}
            let name = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
            let (status, body) = match std::fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", b"not here".to_vec()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/pkcs7-mime\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://web.ch-b.mssante.test:{}/partner.p7m", address.port())
}

/// Takes the other hospital's `[[book]]` entries out of a configuration, and adds settings.
fn without_book(world: &World, place: Place, other: &str, settings: &str) {
    for usage in ["signs", "reads"] {
        let entry = format!(
            "[[book]]\ndomain = \"{other}.mssante.test\"\nuse = \"{usage}\"\ncertificate = \"../book/{other}-{usage}.pem\"\n"
        );
        world.edit(place, "sceau.toml", &entry, "");
    }
    world.append(place, "sceau.toml", settings);
}

fn ledger(world: &World) -> PathBuf {
    world.folder().join("ch-a/data/partners/ledger")
}

fn ledger_octets(world: &World) -> u64 {
    std::fs::metadata(ledger(world)).map_or(0, |meta| meta.len())
}

/// Waits until the running gateway has taken up what the command line wrote: no restart, no signal.
#[track_caller]
fn taken_up(world: &World, gateway: &Gateway) {
    let octets = format!("octets={}", ledger_octets(world));
    gateway.wait_for_line(&["partners' certificates are in force", &octets]);
}

struct Desk {
    config: String,
}

impl Desk {
    fn new(world: &World, place: Place) -> Self {
        Self { config: world.configuration(place).to_str().unwrap().to_owned() }
    }

    fn partner(&self, order: &[&str]) -> (Option<i32>, Value) {
        sceau_json(&[&["partner"], order, &["--config", &self.config]].concat())
    }

    #[track_caller]
    fn done(&self, order: &[&str]) -> Value {
        let (code, result) = self.partner(order);
        assert_eq!(code, Some(0), "{order:?}: {result}");
        result
    }

    /// Owner, use and standing of each certificate, by fingerprint.
    fn standing(&self, fingerprint: &str) -> Option<String> {
        let all = self.done(&["list"]);
        let found = all["certificates"].as_array().unwrap().iter().find(|it| it["sha256"] == fingerprint)?;
        Some(found["standing"].as_str().unwrap().to_owned())
    }

    /// Waits until the story of a message says this.
    #[track_caller]
    fn wait_for_why(&self, message: &str, part: &str) {
        let begun = Instant::now();
        loop {
            let (_, told) = sceau_json(&["why", message, "--config", &self.config]);
            if told.to_string().contains(part) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{part} is never told of {message}: {told}");
        }
    }

    /// Waits until the trail holds records of an event with all of these parts.
    #[track_caller]
    fn wait_for_trail(&self, event: &str, parts: &[&str]) {
        let begun = Instant::now();
        loop {
            let search = format!("event:{event}");
            let found = sceau_json(&["trail", "search", &search, "--config", &self.config]).1.to_string();
            if parts.iter().all(|part| found.contains(part)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{parts:?} never came into the trail: {found}");
        }
    }

    /// The certificates that a message was sealed for, as the trail tells.
    fn sealed_for(&self, message: &str) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let (_, told) = sceau_json(&["why", message, "--config", &self.config]);
            let found = readers(&told);
            if !found.is_empty() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{message} was never sealed: {told}");
        }
    }
}

/// Every `readers` list in a JSON value.
fn readers(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, inside)| match (name.as_str(), inside) {
                ("readers", Value::Array(all)) => all.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
                _ => readers(inside),
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(readers).collect(),
        _ => Vec::new(),
    }
}

fn key(world: &World, certificate: &str) -> FileKey {
    let read = |name: String| std::fs::read(world.folder().join(name)).unwrap();
    FileKey::from_pem(&read(format!("{certificate}.key")), &read(format!("{certificate}.pem")), None).unwrap()
}

fn fingerprint(key: &FileKey) -> String {
    SigningKey::certificate(key).fingerprint().to_string()
}

/// First contact, rotation and approval; then files that change nothing and say why.
#[test]
fn a_partner_file_seals_the_first_message_and_a_rotation_waits_for_approval() {
    let world = World::new();
    let mint = Mint::trusted_in(&world, SystemClock.now());
    let web = world.folder().join("web");
    std::fs::create_dir(&web).unwrap();
    let url = web_server(web.clone());
    let addresses = format!(
        "[partner_files]\nfirst_contact = \"approve\"\nrefresh = \"1h\"\naddresses = {{ \"web.ch-b.mssante.test\" = \"{}\" }}\n",
        tests::place::loopback()
    );
    without_book(&world, A, "ch-b", &addresses);
    world.append(B, "sceau.toml", &format!("[publish]\nfile = \"{}/partner.p7m\"\n", web.display()));
    let store = world.inner_store(B);
    let (a, b) = (world.serve(A), world.serve(B));
    let (at_a, at_b) = (Desk::new(&world, A), Desk::new(&world, B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let send = |subject: &str| {
        let mut wire = world.submission(A, world.card("martin"));
        assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, subject)).code, 250);
        format!("{}@wire.test", subject.replace(' ', "."))
    };

    // Nothing is known yet: nothing leaves.
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    wire.say(&format!("RCPT TO:<{to}>"));
    assert_refused(&wire.reply(), 550, "no-certificate-for-recipient");

    // B publishes, A looks: approved because nothing was known of B and everything chains.
    let published = at_b.done(&["publish"]);
    assert_eq!(published["entries"].as_array().unwrap().len(), 2, "{published}");
    let first_file = std::fs::read(web.join("partner.p7m")).unwrap();
    let added = at_a.done(&["add", &url]);
    assert_eq!(added["files"][0]["approved"].as_array().unwrap().len(), 2, "{added}");
    taken_up(&world, &a);
    let old = fingerprint(&key(&world, "ch-b/decryption"));
    assert_eq!(at_a.sealed_for(&send("Premier contact")), std::slice::from_ref(&old));
    assert!(!store.wait_for(1).is_empty());

    // B changes its keys, keeps the old one for what is under way, and publishes.
    let reads = mint.mail("b-reads", B, ServerMailUse::Confidentiality);
    let signs = mint.mail("b-signs", B, ServerMailUse::Sign);
    world.edit(
        B,
        "sceau.toml",
        "signing = { certificate = \"signing.pem\", key = \"signing.key\" }",
        "signing = { certificate = \"../mint/b-signs.pem\", key = \"../mint/b-signs.key\" }",
    );
    world.edit(
        B,
        "sceau.toml",
        "decryption = [{",
        "decryption = [{ certificate = \"../mint/b-reads.pem\", key = \"../mint/b-reads.key\" }, {",
    );
    b.hang_up();
    b.wait_for_line(&["read again"]);
    at_b.done(&["publish"]);
    let refreshed = at_a.done(&["refresh"]);
    let pending: Vec<&str> =
        refreshed["pending"].as_array().unwrap().iter().map(|it| it["sha256"].as_str().unwrap()).collect();
    let (new, new_signs) = (reads.fingerprint(), signs.fingerprint());
    assert!(
        pending.len() == 2 && pending.contains(&new.as_str()) && pending.contains(&new_signs.as_str()),
        "{refreshed}"
    );
    assert_eq!((at_a.standing(&old).as_deref(), at_a.standing(&new).as_deref()), (Some("replaced"), Some("pending")));
    taken_up(&world, &a);
    a.wait_for_line(&["partner-certificates-pending", &new]);
    let shown = sceau(&["partner", "list", "--pending", "--config", &at_a.config], b"");
    assert!(
        shown.text().contains(&new) && shown.text().contains("PENDING   ch-b.mssante.test reads"),
        "{}",
        shown.text()
    );

    // Mail goes on with the old one; B still reads it.
    assert_eq!(at_a.sealed_for(&send("Ancienne cle")), std::slice::from_ref(&old));
    assert!(!store.wait_for(2).is_empty());

    // What B signs with the new one waits at B: nobody here has said that it is B's.
    let mut wire = world.submission(B, world.card("moreau"));
    assert_eq!(hand_over(&mut wire, &to, &from, &letter(&to, &from, "Signature nouvelle")).code, 250);
    at_b.wait_for_why("Signature.nouvelle@wire.test", "[signature-undetermined]");

    // Somebody has telephoned.
    at_a.done(&["approve", &new, &new_signs, "--reason", "lu au telephone"]);
    taken_up(&world, &a);
    assert_eq!(at_a.sealed_for(&send("Nouvelle cle")), std::slice::from_ref(&new));
    assert!(!store.wait_for(3).is_empty());
    assert_eq!((at_a.standing(&old).as_deref(), at_a.standing(&new).as_deref()), (Some("former"), Some("in_force")));
    a.wait_for_line(&["the alarm is over", "partner-certificates-pending"]);
    let refused = sceau(&["partner", "approve", &old, "--config", &at_a.config], b"");
    assert_eq!(refused.code, Some(1), "what is no longer listed is not approved: {}", refused.errors);

    forged_files_change_nothing(&world, &at_a, &web, &first_file);

    // The decisions are in the trail, with who and why.
    let trail = |event: &str| {
        let searched = sceau_json(&["trail", "search", &format!("event:{event}"), "--config", &at_a.config]).1;
        searched.to_string()
    };
    assert!(trail("partner.file_loaded").contains("1990000022"), "{}", trail("partner.file_loaded"));
    let decisions = trail("partner.certificate");
    assert!(decisions.contains("first-contact") && decisions.contains("lu au telephone"), "{decisions}");

    // And survive: the ledger is what a new start reads.
    drop(a);
    let a = world.serve(A);
    assert_eq!(at_a.sealed_for(&send("Apres le redemarrage")), [new]);
    assert!(!store.wait_for(4).is_empty());
    drop((a, b));
}

#[track_caller]
fn forged_files_change_nothing(world: &World, at_a: &Desk, web: &Path, first_file: &[u8]) {
    let file = web.join("partner.p7m");
    let current = std::fs::read(&file).unwrap();
    let now = SystemClock.now();
    let serial = u64::try_from(now.seconds()).unwrap() + 1_000_000;
    let structure = |place: Place| place.structure().unwrap().id;
    let reads = |place: Place, certificate: &FileKey| PartnerEntry {
        owner: BookOwner::Domain(place.domain().unwrap()),
        usage: BookUse::Reads,
        certificate: SigningKey::certificate(certificate).clone(),
        capabilities: None,
    };
    let made = |issued: Timestamp, expires: Timestamp, entries: Vec<PartnerEntry>, key: &FileKey, place: Place| {
        let draft = PartnerDraft { operator: structure(place), serial, issued, expires, entries };
        sign(&draft, key).unwrap()
    };
    let (a_signs, a_reads) = (key(world, "ch-a/signing"), key(world, "ch-a/decryption"));
    let (b_signs, b_reads) = (key(world, "ch-b/signing"), key(world, "ch-b/decryption"));
    let mut altered = current.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let forged = [
        (
            "another operator's signature",
            made(now, now.plus(DAY), vec![reads(A, &a_reads)], &a_signs, A),
            "signed by the organisation 1990000011, not by 1990000022",
        ),
        (
            "another operator's domain",
            made(now, now.plus(DAY), vec![reads(A, &b_reads)], &b_signs, B),
            "ch-a.mssante.test, for which the trust list does not name 1990000022",
        ),
        (
            "another operator's certificate",
            made(now, now.plus(DAY), vec![reads(B, &a_reads)], &b_signs, B),
            "does not carry the operator's organisation number",
        ),
        ("an older file", first_file.to_vec(), "does not follow"),
        (
            "an expired file",
            made(now.minus(DAY * 2), now.minus(DAY), vec![reads(B, &b_reads)], &b_signs, B),
            "expired at",
        ),
        ("altered octets", altered, "does not verify"),
        ("an error page", b"<html>502</html>".to_vec(), "does not verify"),
    ];
    let before = std::fs::read(ledger(world)).unwrap();
    for (what, octets, why) in forged {
        std::fs::write(&file, octets).unwrap();
        let refreshed = sceau(&["partner", "refresh", "--config", &at_a.config], b"");
        assert_eq!(refreshed.code, Some(1), "{what}: {}{}", refreshed.text(), refreshed.errors);
        assert!(
            refreshed.errors.contains(why) && refreshed.errors.contains("web.ch-b.mssante.test"),
            "{what}: {}",
            refreshed.errors
        );
        assert!(std::fs::read(ledger(world)).unwrap() == before, "{what} changed the ledger");
    }
    // Not to be had at all: it cannot be told now, and we say where we looked.
    std::fs::remove_file(&file).unwrap();
    let refreshed = sceau(&["partner", "refresh", "--config", &at_a.config], b"");
    assert!(refreshed.code == Some(3) && refreshed.errors.contains("404"), "{:?} {}", refreshed.code, refreshed.errors);
    std::fs::write(&file, current).unwrap();
    at_a.done(&["refresh"]);
}

/// The cautious way: the first certificates wait as well, and a domain that loses its certificates is waited
/// for, not written to in clear.
#[test]
fn a_first_contact_waits_and_a_vanished_certificate_defers() {
    let world = World::new();
    let file = world.folder().join("b.p7m");
    without_book(&world, A, "ch-b", "");
    world.edit(A, "sceau.toml", "smime = \"required\"", "smime = \"when_possible\"");
    let a = world.serve(A);
    let (at_a, at_b) = (Desk::new(&world, A), Desk::new(&world, B));
    let path = file.to_str().unwrap();
    let unknown = sceau(&["partner", "refresh", "1990000022", "--config", &at_a.config], b"");
    assert_eq!(unknown.code, Some(2), "no such source: {}", unknown.errors);
    at_b.done(&["publish", "--into", path]);
    let added = at_a.done(&["add", path, "--operator", "1990000022"]);
    assert_eq!(added["pending"].as_array().unwrap().len(), 2, "{added}");
    assert_eq!(at_a.partner(&["add", path, "--operator", "1990000011"]).0, Some(1), "another operator's file");
    let explain = |code: i32, what: &str| {
        let card = world.card("martin").certificate.to_str().unwrap().to_owned();
        let (from, to) = (world.address("martin"), world.address("moreau"));
        let told = sceau(&["explain", "--config", &at_a.config, "--as", &card, "--from", &from, "--to", &to], b"");
        assert!(told.code == Some(code) && told.text().contains(what), "{:?} {}", told.code, told.text());
    };
    // Not held yet: the rule lets it go over mutual TLS.
    explain(0, "partner-without-certificate");
    let reads = fingerprint(&key(&world, "ch-b/decryption"));
    at_a.done(&["approve", &reads]);
    explain(0, "partner file of 1990000022");
    // The same file says what B reads, and whoever seals for B is told where that comes from.
    let reads_all =
        "profile gateway, AES-256-GCM: it reads AES-256-GCM, AES-CBC, RSA-OAEP with SHA-256, says the partner";
    explain(0, reads_all);

    // B publishes a file that lists nothing: not a downgrade, a wait.
    let now = SystemClock.now();
    let empty = PartnerDraft {
        operator: B.structure().unwrap().id,
        serial: u64::try_from(now.seconds()).unwrap() + 1000,
        issued: now,
        expires: now.plus(DAY),
        entries: vec![],
    };
    std::fs::write(&file, sign(&empty, &key(&world, "ch-b/signing")).unwrap()).unwrap();
    at_a.done(&["refresh", "1990000022"]);
    assert_eq!(at_a.standing(&reads).as_deref(), Some("withdrawn"));
    explain(3, "recipient-certificate-awaited");
    taken_up(&world, &a);
    a.wait_for_line(&["partner-certificate-missing", "ch-b.mssante.test"]);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    wire.say(&format!("RCPT TO:<{}>", world.address("moreau")));
    assert_refused(&wire.reply(), 451, "recipient-certificate-awaited");
    let doctor = sceau(&["doctor", "--config", &at_a.config], b"").text();
    assert!(doctor.contains("partners") && doctor.contains("ch-b.mssante.test"), "{doctor}");
}

/// A partner's file over HTTPS, from a server that our own anchors vouch for under its own name; then a person
/// takes a certificate out, and the source away.
#[test]
fn an_https_source_is_judged_by_our_anchors_and_what_a_person_rejects_is_used_no_more() {
    let world = World::new();
    let operator = &world.space.operator;
    let publisher = Publisher::start_tls(&operator.certificate, &operator.key);
    let card = world.card("martin");
    let no_server = Publisher::start_tls(&card.certificate, &card.key);
    let (host, other, ip) = (C.host(), "autre.exemple.test", publisher.address().ip());
    let settings = format!(
        "[partner_files]\nfirst_contact = \"approve\"\naddresses = {{ {host:?} = \"{ip}\", {other:?} = \"{ip}\" }}\n"
    );
    without_book(&world, A, "ch-b", &settings);
    let (at_a, at_b) = (Desk::new(&world, A), Desk::new(&world, B));
    let file = world.folder().join("b.p7m");
    at_b.done(&["publish", "--into", file.to_str().unwrap()]);
    for server in [&publisher, &no_server] {
        server.publish("/partner.p7m", std::fs::read(&file).unwrap());
    }
    let a = world.serve(A);
    let refused = |host: &str, server: &Publisher, why: &str| {
        let url = format!("https://{host}:{}/partner.p7m", server.address().port());
        let added = sceau(&["partner", "add", &url, "--config", &at_a.config], b"");
        let told = added.errors.contains(why) && added.errors.contains(&url);
        assert!(added.code == Some(3) && told, "{:?} {}", added.code, added.errors);
        assert_eq!((server.asked(), ledger_octets(&world)), (0, 0), "it was asked before it was judged");
    };
    refused(other, &publisher, "not for autre.exemple.test");
    refused(&host, &no_server, "its certificate: ");

    let url = format!("https://{host}:{}/partner.p7m", publisher.address().port());
    let added = at_a.done(&["add", &url]);
    assert_eq!(added["files"][0]["approved"].as_array().unwrap().len(), 2, "{added}");
    taken_up(&world, &a);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    let rcpt = format!("RCPT TO:<{}>", world.address("moreau"));
    wire.exchange(&rcpt, 250);

    let (reads, signs) = (fingerprint(&key(&world, "ch-b/decryption")), fingerprint(&key(&world, "ch-b/signing")));
    at_a.done(&["reject", &reads, "--reason", "cle perdue"]);
    taken_up(&world, &a);
    wire.say(&rcpt);
    assert_refused(&wire.reply(), 550, "no-certificate-for-recipient");
    at_a.wait_for_trail("partner.certificate", &[&reads, "cle perdue", "\"approved\":false"]);
    // The partner saying it again changes nothing: the person's word holds.
    at_a.done(&["refresh"]);
    assert_eq!(at_a.standing(&reads).as_deref(), Some("rejected"));

    assert_eq!(at_a.done(&["remove", "1990000022"])["removed"], true);
    assert_eq!(at_a.partner(&["remove", "1990000022"]).0, Some(1), "there is nothing to remove any more");
    let asked = publisher.asked();
    at_a.done(&["refresh"]);
    assert_eq!((publisher.asked(), at_a.standing(&signs).as_deref()), (asked, Some("in_force")), "certificates stay");
    at_a.wait_for_trail("partner.source", &["1990000022", "\"location\":null"]);
}
