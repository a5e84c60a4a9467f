//! What operators order about trust, on the running gateway: the emergency stop and the glass that two
//! administrators break.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use pki::{certificate::Certificate, trust_list::OperatorName};
use sceau::demo::cast::Place::A;
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
    let (_, shown) = sceau_json(&["trust", "show", "--config", configuration]);
    assert_eq!(shown["exceptions"][0]["by"], serde_json::json!(["martin", "durand"]), "{shown}");
    assert!(shown["alarms"]["break-glass"].is_string(), "{shown}");

    let id = shown["exceptions"][0]["id"].as_str().unwrap();
    assert_eq!(grant(&["remove", id, "--reason", "liste revenue"]).code, Some(0));
    assert!(mail(550).text().contains("[peer-not-listed]"));
    assert_eq!(grant(&["apply", &file]).code, Some(1), "the same paper never counts again");
}
