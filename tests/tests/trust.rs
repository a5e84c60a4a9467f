//! What operators order about trust, on the running gateway: the emergency stop and the glass that two
//! administrators break.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::time::Duration;

use ident::Domain;
use pki::{certificate::Certificate, trust_list::OperatorName};
use sceau::config::Loaded;
use sceau::demo::cast::Place::A;
use sceau::trust::{Shelf, Shelved, Struck};
use tests::gateway::{sceau, sceau_json};
use tests::process::{PATIENCE, run, tool};
use tests::world::{World, assert_refused, hand_over, letter};

/// Asks for a message's timeline until it shows what is waited for.
#[track_caller]
fn wait_for_why(id: &str, configuration: &str, part: &str) {
    let begun = std::time::Instant::now();
    loop {
        let (_, told) = sceau_json(&["why", id, "--config", configuration]);
        if told.to_string().contains(part) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{part} was never told: {told}");
    }
}

/// Waits until the trail holds a record that a search finds, with all of these parts.
#[track_caller]
fn wait_for_trail(configuration: &str, search: &str, parts: &[&str]) {
    let begun = std::time::Instant::now();
    loop {
        let (_, found) = sceau_json(&["trail", "search", search, "--config", configuration]);
        if parts.iter().all(|part| found.to_string().contains(part)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{parts:?} never came into the trail: {found}");
    }
}

/// Who gives the orders of this test.
fn me() -> String {
    sceau::account::orderer().to_owned()
}

/// At once in a session that is open, in the queue, in `explain` and `doctor`; and over as soon as it is taken back.
#[test]
fn an_emergency_block_is_obeyed_at_once_by_the_running_gateway() {
    let world = World::new();
    let _a = world.serve(A);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, "En attente"));
    let id = reply.text().split("Accepted as ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();

    let add = ["block", "add", "--domain", "ch-b.mssante.test", "--for", "2h", "--mail", "refuse", "--reason"];
    let (exit, block) = sceau_json(&[&add[..], &["boîte piratée", "--config", configuration]].concat());
    assert_eq!(exit, Some(0), "{block}");
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    wire.say(&format!("RCPT TO:<{to}>"));
    assert_refused(&wire.reply(), 550, "blocked");
    wait_for_why(&id, configuration, "delivery.failed");

    let card = world.card("martin").certificate.to_str().unwrap();
    let explain = ["explain", "--config", configuration, "--as", card, "--from", &from, "--to", &to];
    let order = ["block.add refuse until ", "domain ch-b.mssante.test", "boîte piratée", &me()];
    wait_for_trail(configuration, "event:operator.action", &order);
    let (exit, told) = sceau_json(&explain);
    assert!(exit == Some(1) && told.to_string().contains("piratée"), "{told}");
    let (_, examined) = sceau_json(&["doctor", "--config", configuration]);
    assert!(examined.to_string().contains("domain ch-b.mssante.test"), "{examined}");

    let name = block["id"].as_str().unwrap();
    let listed = || sceau_json(&["block", "list", "--config", configuration]).1["blocks"].as_array().unwrap().len();
    assert_eq!(listed(), 1);
    let remove = ["block", "remove", name, "--reason", "nettoyée", "--config", configuration];
    assert_eq!(sceau(&remove, b"").code, Some(0));
    assert_eq!((sceau(&remove, b"").code, listed()), (Some(1), 0));
    wire.exchange(&format!("RCPT TO:<{to}>"), 250);
    assert_eq!(sceau_json(&explain).0, Some(0));
    let order = ["block.remove", "domain ch-b.mssante.test", "nettoyée", &me()];
    wait_for_trail(configuration, "event:operator.action", &order);
}

/// Somebody says that an abnormal shrinkage is meant: with a name and a reason, in the trail.
#[test]
fn a_shrinkage_that_is_meant_is_confirmed_with_a_name_and_a_reason() {
    let world = World::new();
    let configuration = world.configuration(A);
    let text = configuration.to_str().unwrap();
    // A gateway that has a list in force, and remembers that it lost a domain among too many.
    drop(world.serve(A));
    let data = Loaded::read(&configuration).unwrap().data();
    let shelf = Shelf::below(&data);
    let Shelved { mut memory, copy } = shelf.read().unwrap().unwrap();
    memory.struck.push(Struck {
        domain: Domain::parse("perdu.test").unwrap(),
        operators: vec!["CN=mail.perdu.test,OU=318190000000099,O=CH PERDU-TEST,C=FR".to_owned()],
        at: memory.accepted,
        waits_until: Some(memory.accepted.plus(Duration::from_secs(86_400))),
    });
    shelf.write(&memory, &copy.unwrap()).unwrap();
    let _a = world.serve(A);
    let accept = ["trust", "accept", "--reason", "fusion des établissements", "--config", text];
    let (exit, confirmed) = sceau_json(&accept);
    assert!(exit == Some(0) && confirmed["confirmed"] == 1, "{confirmed}");
    wait_for_trail(text, "event:operator.action", &["trust.accept", "fusion des établissements", "1 domains", &me()]);
    assert_eq!(sceau(&accept, b"").code, Some(1), "nothing waits any more");
}

/// Puts two cards in the place of a person's only one in the national file: none is the one that the
/// certificate is proved to be on, the first is good, the second was opposed.
fn lost_card_plus_new(world: &World, key: &str) {
    let pem = std::fs::read(&world.card(key).certificate).unwrap();
    let proved = Certificate::list_from_pem(&pem).unwrap()[0].card_number().unwrap().to_string();
    let folder = world.folder().join("annuaire");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_cards = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).unwrap().starts_with("Identifiant PP|Code type de carte")
    };
    let file = files.into_iter().find(is_cards).expect("no file of cards");
    let text = std::fs::read_to_string(&file).unwrap();
    let columns: Vec<&str> = text.lines().next().unwrap().split('|').collect();
    let column = |name: &str| columns.iter().position(|it| *it == name).unwrap();
    let (number, from, opposed) = (column("Numéro carte"), column("Date début validité"), column("Date opposition"));
    let mut out = Vec::new();
    for line in text.lines() {
        let mut fields: Vec<String> = line.split('|').map(str::to_owned).collect();
        if fields[number] != proved {
            out.push(line.to_owned());
            continue;
        }
        let last = proved.chars().last().unwrap().to_digit(10).unwrap();
        let other = |step: u32| format!("{}{}", &proved[..proved.len() - 1], (last + step) % 10);
        fields[number] = other(4);
        out.push(fields.join("|"));
        fields[number] = other(5);
        fields[opposed] = fields[from].clone();
        out.push(fields.join("|"));
    }
    assert_eq!(out.len(), text.lines().count() + 1, "{key} has not one card in {}", file.display());
    std::fs::write(&file, out.join("\n") + "\n").unwrap();
    let (from, into) = (folder.to_str().unwrap(), world.folder().join("annuaire-data"));
    let loaded = sceau(&["annuaire", "load", from, "--into", into.to_str().unwrap(), "--accept"], b"");
    assert_eq!(loaded.code, Some(0), "{}", loaded.errors);
}

/// Issue 4: lost card plus new card, and nothing proves which one a certificate is on. It counts as good, and
/// the message's record says that this was not certain.
#[test]
fn an_opposition_that_may_be_about_another_card_is_recorded_with_the_message() {
    let world = World::new();
    lost_card_plus_new(&world, "martin");
    let _a = world.serve(A);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, "Carte perdue"));
    assert_eq!(reply.code, 250, "{}", reply.text());
    wait_for_why("Carte.perdue@wire.test", configuration, "card-opposition-uncertain");
    // A colleague's card has no such note.
    let (from, to) = (world.address("durand"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("durand"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Sans doute")).code, 250);
    let (_, told) = sceau_json(&["why", "Sans.doute@wire.test", "--config", configuration]);
    assert!(!told.to_string().contains("card-opposition-uncertain"), "{told}");
}

/// One signs with us, the other with OpenSSL's own command, as a card would.
#[test]
fn two_administrators_break_the_glass_from_the_command_line() {
    let world = World::new();
    for key in ["martin", "durand"] {
        let certificate = world.card(key).certificate.display().to_string();
        let administrator = format!("[[trust.administrator]]\nname = \"{key}\"\ncertificate = \"{certificate}\"");
        world.append(A, "sceau.toml", &administrator);
    }
    let _a = world.serve(A);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let path = |name: &str| world.folder().join(name).to_str().unwrap().to_owned();
    let (file, entry, signature) = (path("exception.json"), path("entry.json"), path("entry.p7s"));
    let stranger = &world.space.stranger;
    let subject = Certificate::list_from_pem(&std::fs::read(&stranger.certificate).unwrap()).unwrap();
    let operator = OperatorName::of(subject[0].subject()).to_string();
    let mail = |code: u16| {
        let mut wire = world.exchange(A, stranger);
        wire.exchange("MAIL FROM:<dr.exception-test@hors-liste.test>", code)
    };
    let grant = |order: &[&str]| sceau(&[&["trust", "grant"], order, &["--config", configuration]].concat(), b"");
    assert!(mail(550).text().contains("[peer-not-listed]"));

    let why = "liste en panne, urgences";
    let propose = ["propose", "--domain", "hors-liste.test", "--operator", &operator, "--reason", why, "--into", &file];
    let proposed = grant(&propose);
    assert_eq!(proposed.code, Some(0), "{}", proposed.errors);
    let martin = world.card("martin");
    let (certificate, key) = (martin.certificate.to_str().unwrap(), martin.key.to_str().unwrap());
    let one = grant(&["sign", &file, "--certificate", certificate, "--key", key, "--entry", &entry]);
    assert!(one.code == Some(0) && one.text().contains("signed by: martin"), "{}{}", one.text(), one.errors);
    let alone = grant(&["apply", &file]);
    assert!(alone.code == Some(1) && alone.errors.contains("1 of 2"), "{}", alone.errors);

    let durand = world.card("durand");
    let openssl = run(
        tool("openssl")
            .args(["cms", "-sign", "-binary", "-outform", "DER", "-md", "sha256", "-in", &entry, "-out", &signature])
            .arg("-signer")
            .arg(&durand.certificate)
            .arg("-inkey")
            .arg(&durand.key),
        b"",
    );
    assert_eq!(openssl.code, Some(0), "{}", openssl.errors);
    let two = grant(&["sign", &file, "--signature", &signature]);
    assert!(two.text().contains("signed by: martin, durand"), "{}{}", two.text(), two.errors);
    let applied = grant(&["apply", &file]);
    assert_eq!(applied.code, Some(0), "{}", applied.errors);
    mail(250);
    wait_for_trail(configuration, "event:operator.action", &["trust.grant", "martin + durand", why, "hors-liste.test"]);
    let (_, shown) = sceau_json(&["trust", "show", "--config", configuration]);
    assert_eq!(shown["exceptions"][0]["by"], serde_json::json!(["martin", "durand"]), "{shown}");
    assert!(shown["alarms"]["break-glass"].is_string(), "{shown}");

    let id = shown["exceptions"][0]["id"].as_str().unwrap();
    assert_eq!(grant(&["remove", id, "--reason", "liste revenue"]).code, Some(0));
    assert!(mail(550).text().contains("[peer-not-listed]"));
    wait_for_trail(configuration, "event:operator.action", &["trust.take_back", "liste revenue", &me()]);
    assert_eq!(grant(&["apply", &file]).code, Some(1), "the same paper never counts again");
}
