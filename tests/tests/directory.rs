//! The directory that keeps itself up to date: extracts from a folder or from a server that an anchor knows, taken into
//! service while the gateway runs, and told when they are old or must be looked at.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use annuaire::{DataFolder, FileKind};
use ident::{Clock as _, ManualClock, SystemClock};
use pki::issue::KeyAlgorithm;
use sceau::{
    config::Loaded,
    demo::cast::Place::{A, B, C},
    directory::Known,
    snapshot::Snapshot,
};
use tests::{
    gateway::{sceau, sceau_json},
    inside::Inside,
    place::free_endpoint,
    process::PATIENCE,
    publisher::Publisher,
    world::{World, hand_over, letter},
};

const HOUR: Duration = Duration::from_secs(3600);

fn data(world: &World) -> PathBuf {
    world.folder().join("annuaire-data")
}

fn current(world: &World) -> String {
    DataFolder::new(&data(world)).current_id().unwrap().unwrap()
}

/// Somebody who is in no extract yet.
const NEWCOMER: &str = "899700000999";

/// The national files of the space, and in them one person more.
fn with_newcomer(world: &World, into: &Path) {
    fs::create_dir_all(into).unwrap();
    for entry in fs::read_dir(world.folder().join("annuaire")).unwrap() {
        let path = entry.unwrap().path();
        let mut text = fs::read_to_string(&path).unwrap();
        if text.starts_with("Type d'identifiant PP") && text.contains("Code genre d'activité") {
            let row = text.lines().nth(1).unwrap();
            let fields = row.split('|').enumerate().map(|(n, field)| match n {
                1 => &NEWCOMER[1..],
                2 => NEWCOMER,
                7 => "NOUVELLE-TEST",
                _ => field,
            });
            let fields: Vec<&str> = fields.collect();
            text.push_str(&format!("{}\n", fields.join("|")));
        }
        fs::write(into.join(path.file_name().unwrap()), text).unwrap();
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The pages for monitoring of A.
fn monitored(world: &World) -> SocketAddr {
    let at = free_endpoint();
    world.append(A, "sceau.toml", &format!("[health]\nlisten = \"{at}\"\n"));
    at
}

fn stands(pages: SocketAddr, code: &str) -> bool {
    let mut stream = TcpStream::connect(pages).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: sceau\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().any(|line| line == format!("sceau_alarm{{code=\"{code}\"}} 1"))
}

/// Extracts that somebody puts into the folder are in service soon; an earlier generation comes back by a command, and
/// stays although the folder still holds the later one.
#[test]
fn what_is_put_into_the_folder_is_in_service_soon() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let from = world.folder().join("arrivals");
    fs::create_dir_all(&from).unwrap();
    world.edit(A, "sceau.toml", "[annuaire]\n", "[annuaire]\nfrom = \"../arrivals\"\n");
    let first = current(&world);
    let clock = Arc::new(ManualClock::at(start));
    let _a = Inside::serve(world.configuration(A), &clock);
    with_newcomer(&world, &from);
    wait_until("the new extracts are not in service", || current(&world) != first);
    let second = current(&world);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let (code, found) = sceau_json(&["annuaire", "lookup", "--id", NEWCOMER, "--config", configuration]);
    assert_eq!((code, &found["found"]), (Some(0), &serde_json::Value::Bool(true)), "{found}");

    let place = data(&world);
    let place = place.to_str().unwrap();
    let (code, told) = sceau_json(&["annuaire", "use", place, "previous"]);
    assert_eq!((code, told["generation"].as_str()), (Some(0), Some(first.as_str())), "{told}");
    let (_, list) = sceau_json(&["annuaire", "list", place]);
    assert_eq!(list["generations"][0]["generation"], first.as_str(), "{list}");
    assert_eq!(list["generations"][1]["generation"], second.as_str(), "{list}");
    let files = list["generations"][0]["files"].as_array().unwrap();
    assert!(files.len() == 5 && files.iter().all(|file| file["as_of"].as_str().is_some()), "{list}");
    assert_eq!(sceau(&["annuaire", "use", place, "nothing"], b"").code, Some(2));
}

/// A folder that would take away more than it may is held, told once, and the directory answers on.
#[test]
fn a_folder_that_shrinks_is_held_and_old_data_are_told() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let from = world.folder().join("arrivals");
    world.edit(A, "sceau.toml", "[annuaire]\n", "[annuaire]\nfrom = \"../arrivals\"\nstale_after = \"36h\"\n");
    let first = current(&world);
    fs::create_dir_all(&from).unwrap();
    for entry in fs::read_dir(world.folder().join("annuaire")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let half = text.lines().count() / 2;
        let kept: Vec<&str> = text.lines().take(half.max(2)).collect();
        fs::write(from.join(path.file_name().unwrap()), kept.join("\n") + "\n").unwrap();
    }
    let pages = monitored(&world);
    let clock = Arc::new(ManualClock::at(start));
    let _a = Inside::serve(world.configuration(A), &clock);
    wait_until("nobody was told that it is held", || stands(pages, "directory-held"));
    assert_eq!(current(&world), first);
    assert!(!stands(pages, "directory-stale"));
    clock.advance(37 * HOUR);
    wait_until("nobody was told that the data are old", || stands(pages, "directory-stale"));
    // What is put right is loaded, and the alarm is over.
    with_newcomer(&world, &from);
    wait_until("the alarm stands", || !stands(pages, "directory-held"));
    assert_ne!(current(&world), first);
}

/// From an address: only a server that an anchor knows is believed, what has not changed is not fetched again, and a
/// server that is away leaves the directory as it is.
#[test]
fn extracts_are_fetched_from_a_server_that_an_anchor_knows() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let operator = &world.space.operator;
    let publisher = Publisher::start_tls(&operator.certificate, &operator.key);
    let card = world.card("martin");
    let stranger = Publisher::start_tls(&card.certificate, &card.key);
    let (host, ip, first) = (C.host(), publisher.address().ip(), current(&world));
    let changed = world.folder().join("changed");
    with_newcomer(&world, &changed);
    let mut places = Vec::new();
    for entry in fs::read_dir(&changed).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        publisher.publish(&format!("/{name}"), fs::read(&path).unwrap());
        places.push(name);
    }
    let section = |server: &Publisher| {
        let port = server.address().port();
        let places: Vec<String> = places.iter().map(|name| format!("\"https://{host}:{port}/{name}\"")).collect();
        format!("[annuaire]\nfetch = [{}]\nevery = \"1h\"\n", places.join(", "))
    };
    let pages = monitored(&world);
    world.edit(A, "sceau.toml", "[annuaire]\n", &section(&stranger));
    world.append(A, "sceau.toml", &format!("[refresh]\naddresses = {{ {host:?} = \"{ip}\" }}\n"));
    let clock = Arc::new(ManualClock::at(start));
    {
        let _a = Inside::serve(world.configuration(A), &clock);
        wait_until("nobody was told that nothing comes", || stands(pages, "directory-fetch-failing"));
        assert_eq!(stranger.asked(), 0, "it was asked before it was judged");
    }
    world.edit(A, "sceau.toml", &section(&stranger), &section(&publisher));
    let _a = Inside::serve(world.configuration(A), &clock);
    wait_until("what was fetched is not in service", || current(&world) != first);
    let (second, asked) = (current(&world), publisher.asked());
    assert_eq!((asked, publisher.unchanged()), (places.len(), 0));
    clock.advance(2 * HOUR);
    publisher.wait_until_asked(2 * asked);
    wait_until("it was fetched again for nothing", || publisher.unchanged() == asked);
    publisher.set_down(true);
    clock.advance(2 * HOUR);
    wait_until("nobody was told that nothing comes", || stands(pages, "directory-fetch-failing"));
    assert_eq!(current(&world), second);
    publisher.set_down(false);
    clock.advance(2 * HOUR);
    wait_until("the alarm stands", || !stands(pages, "directory-fetch-failing"));
}

/// Boxes that exist and are in no extract (red-listed, an application's, a practice's, opened today): mail to each is
/// relayed. A recipient's absence from the directory is noted and never a refusal.
#[test]
fn mail_to_boxes_that_no_extract_knows_is_relayed() {
    let world = World::new();
    let boxes = [
        ("liste.rouge", "type = \"PER\"\nowner = \"899700000991\"\nred_list = true"),
        ("dossier", "type = \"APP\"\nstructure = \"1990000022\"\nname = \"Dossier patient\""),
        ("cabinet", "type = \"CAB\"\nname = \"Cabinet partagé\"\nmembers = [\"899700000992\"]"),
        ("ouverte.ce.matin", "type = \"PER\"\nowner = \"899700000993\""),
    ];
    let address = |local: &str| format!("{local}@ch-b.mssante.test");
    for (local, rest) in boxes {
        world.append(B, "registry.toml", &format!("[[mailbox]]\naddress = \"{}\"\n{rest}", address(local)));
    }
    let directory = DataFolder::new(&data(&world)).current().unwrap();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let from = world.address("martin");
    let mut wire = world.submission(A, world.card("martin"));
    for (count, (local, _)) in (1..).zip(boxes) {
        let to = address(local);
        assert!(directory.mailbox(&to.parse().unwrap()).is_none(), "{to} is in the extract");
        let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, &format!("Bonjour {local}")));
        assert_eq!(reply.code, 250, "{to}: {}", reply.text());
        assert_eq!(store.wait_for(count).len(), count);
    }
}

/// One octet of the middle of a file is another.
fn spoil(file: &Path) {
    let mut octets = fs::read(file).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x20;
    fs::write(file, octets).unwrap();
}

/// Whatever lies where the directory should be, the gateway starts, and a reload is not refused: mail needs neither.
#[test]
fn no_damage_of_the_directory_refuses_a_start_or_a_reload() {
    let now = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, now);
    let loaded = Loaded::read(&world.configuration(A)).unwrap();
    let good = Snapshot::load(&loaded, now).unwrap();
    let first = good.generation.as_ref().unwrap().id().to_owned();
    assert!(good.troubles.directory.is_none() && good.troubles.published.is_none());
    let (list, stored) = (data(&world).join("CURRENT"), data(&world).join(format!("{first}.generation")));
    let whole = fs::read(&stored).unwrap();
    let start = || Snapshot::load(&loaded, now).expect("the start is refused");
    let reload = || Snapshot::load_beside(&loaded, &good, now).expect("the reload is refused");
    let id = |snapshot: &Snapshot| snapshot.generation.as_ref().map(|generation| generation.id().to_owned());

    spoil(&stored);
    let started = start();
    assert!(id(&started).is_none() && started.troubles.directory.is_some());
    let configuration = world.configuration(A);
    let check = sceau(&["check", "--config", configuration.to_str().unwrap()], b"");
    assert_eq!(check.code, Some(1));
    assert!(check.errors.contains("damaged"), "{}", check.errors);
    // Of another version of the program.
    let mut older = whole.clone();
    older[8] = 1;
    fs::write(&stored, older).unwrap();
    assert!(start().troubles.directory.clone().unwrap().problem.what.contains("version"));
    fs::remove_file(&stored).unwrap();
    assert!(start().troubles.directory.is_some());
    fs::write(&stored, &whole).unwrap();

    // What the list names first is not there: at start the next one serves, at a reload the one in memory.
    fs::write(&list, format!("20261101T000000Z-0123456789ab\n{first}\n")).unwrap();
    for world in [start(), reload()] {
        assert_eq!(id(&world), Some(first.clone()));
        assert!(world.troubles.directory.is_some());
    }
    fs::write(&list, "").unwrap();
    assert!(id(&start()).is_none());
    assert_eq!(id(&reload()), Some(first.clone()));
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
    assert!(start().troubles.directory.is_some() && id(&reload()).is_some());
    fs::remove_dir(&list).unwrap();
    // Nothing was ever loaded.
    assert!(start().troubles.directory.clone().unwrap().is_empty());
    fs::write(&list, format!("{first}\n")).unwrap();
    assert!(start().troubles.directory.is_none());

    let published = loaded.data().join("published.jsonl");
    fs::write(&published, "{}\n").unwrap();
    assert_eq!((start().troubles.known, reload().troubles.known), (Known::Partly, Known::Whole));
    assert!(start().generation_to_show().is_some() && reload().troubles.published.is_some());
    fs::remove_file(&published).unwrap();
    fs::create_dir(&published).unwrap();
    // Whom it hides is not known: nobody is shown, and mail goes on with what the directory says.
    let blind = start();
    assert!(blind.generation_to_show().is_none() && blind.generation.is_some());
}

/// A gateway that was never given a directory starts and loads one; one that finds it damaged loads it anew, though the
/// extracts have not changed.
#[test]
fn what_is_missing_or_damaged_is_loaded_by_itself() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    fs::remove_dir_all(data(&world)).unwrap();
    world.edit(A, "sceau.toml", "[annuaire]\n", "[annuaire]\nfrom = \"../annuaire\"\n");
    let pages = monitored(&world);
    let clock = Arc::new(ManualClock::at(start));
    {
        let _a = Inside::serve(world.configuration(A), &clock);
        wait_until("nothing was loaded", || DataFolder::new(&data(&world)).current().is_ok());
        wait_until("the alarm stands", || !stands(pages, "directory-empty"));
    }
    let first = current(&world);
    let stored = data(&world).join(format!("{first}.generation"));
    spoil(&stored);
    assert!(DataFolder::new(&data(&world)).current().is_err());
    let _a = Inside::serve(world.configuration(A), &clock);
    wait_until("it was not loaded anew", || DataFolder::new(&data(&world)).current().is_ok());
    wait_until("the alarm stands", || !stands(pages, "directory-damaged"));
}

/// A file in which an octet is wrong is not read again at every look, for ever: each try takes a core and much memory.
#[test]
fn a_spoilt_archive_is_not_tried_at_every_look() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let from = world.folder().join("arrivals");
    with_newcomer(&world, &from);
    let text = fs::read(from.join(FileKind::Cards.file_name())).unwrap();
    fs::remove_file(from.join(FileKind::Cards.file_name())).unwrap();
    let archive = from.join("porteurs-cps-cpf.zip");
    let mut writer = zip::ZipWriter::new(fs::File::create(&archive).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file(FileKind::Cards.file_name(), stored).unwrap();
    writer.write_all(&text).unwrap();
    writer.finish().unwrap();
    spoil(&archive);
    world.edit(A, "sceau.toml", "[annuaire]\n", "[annuaire]\nfrom = \"../arrivals\"\nstale_after = \"10m\"\n");
    let pages = monitored(&world);
    let clock = Arc::new(ManualClock::at(start));
    let _a = Inside::serve(world.configuration(A), &clock);
    wait_until("nobody was told", || stands(pages, "directory-held"));
    // Each load makes this file anew. The alarm of old data is told at the end of a look, after its load.
    let lock = data(&world).join("LOCK");
    fs::remove_file(&lock).unwrap();
    clock.advance(Duration::from_secs(11 * 60));
    wait_until("nobody was told that the data are old", || stands(pages, "directory-stale"));
    assert!(!lock.exists(), "it was loaded again");
    clock.advance(HOUR);
    wait_until("it is never tried again", || lock.exists());
}
