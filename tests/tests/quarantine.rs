//! Received mail that cannot be read: refused at the door, or in quarantine until a person has looked.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::path::PathBuf;
use std::time::Instant;

use sceau::demo::cast::Place::{A, B};
use serde_json::Value;
use tests::by_hand::sealed;
use tests::faults::Faults;
use tests::gateway::{Gateway, sceau_json};
use tests::process::PATIENCE;
use tests::world::{World, assert_refused, hand_over, letter};

const SIGNER_A: (&str, &str) = ("ch-a/signing.pem", "ch-a/signing.key");
const OWN_KEY: &str = "decryption = [{ certificate = \"decryption.pem\", key = \"decryption.key\" }]";

/// `sceau quarantine` at B.
fn quarantine(world: &World, order: &[&str]) -> (Option<i32>, Value) {
    let configuration = world.configuration(B);
    let mut arguments = vec!["quarantine"];
    arguments.extend(order);
    arguments.extend(["--config", configuration.to_str().unwrap()]);
    sceau_json(&arguments)
}

/// Waits until so much is in quarantine at B.
#[track_caller]
fn wait_for(world: &World, count: usize, gateway: &Gateway) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let (_, said) = quarantine(world, &["list"]);
        let found = said["quarantine"].as_array().unwrap().clone();
        if found.len() == count {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}: {}", gateway.log());
    }
}

/// The key goes, mail for it is kept, the key comes back, the mail is released: it is judged then as it would
/// have been at the door. What is refused instead is told to its sender.
#[test]
fn mail_for_a_key_that_is_gone_waits_and_is_read_once_the_key_is_back() {
    let world = World::new();
    world.append(B, "sceau.toml", "[opening]\nunknown_key = \"quarantine\"");
    let hidden = world.folder().join("ch-b/hidden.key");
    // B reads with another key from now on; the book of A still has the old one.
    world.edit(B, "sceau.toml", OWN_KEY, "decryption = [{ certificate = \"signing.pem\", key = \"signing.key\" }]");
    std::fs::rename(world.folder().join("ch-b/decryption.key"), &hidden).unwrap();
    let (inner, home) = (world.inner_store(B), world.inner_store(A));
    let (_a, b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    for subject in ["Attendue", "Refusee"] {
        let mut wire = world.submission(A, world.card("martin"));
        assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, subject)).code, 250);
    }
    let found = wait_for(&world, 2, &b);
    assert!(found.iter().all(|row| row["reason"].as_str().unwrap().contains("none of our keys")), "{found:?}");
    let id = |subject: &str| {
        let named = format!("{subject}@wire.test");
        found.iter().find(|row| row["message_id"] == named.as_str()).unwrap()["id"].as_str().unwrap().to_owned()
    };
    // Without the key it comes back, and nothing was handed over.
    assert_eq!(quarantine(&world, &["release", &id("Attendue")]).0, Some(0));
    b.wait_for_lines(&["is in quarantine"], 3);
    wait_for(&world, 2, &b);
    assert!(inner.messages().is_empty());

    std::fs::rename(&hidden, world.folder().join("ch-b/decryption.key")).unwrap();
    world.edit(B, "sceau.toml", "decryption = [{ certificate = \"signing.pem\", key = \"signing.key\" }]", OWN_KEY);
    b.hang_up();
    b.wait_for_line(&["read again"]);
    assert_eq!(quarantine(&world, &["refuse", &id("Refusee"), "--reason", "ancienne clef"]).0, Some(0));
    assert_eq!(quarantine(&world, &["release", &id("Attendue"), "--reason", "clef remise"]).0, Some(0));
    let delivered = String::from_utf8_lossy(&inner.wait_for(1)[0].message).into_owned();
    assert!(delivered.contains("Subject: Attendue") && delivered.contains("Texte confidentiel"), "{delivered}");
    assert!(delivered.contains("X-Sceau-Verdict: accept") && delivered.contains("smime=pass"), "{delivered}");
    let notice = String::from_utf8_lossy(&home.wait_for(1)[0].message).into_owned();
    assert!(notice.contains("Action: failed") && notice.contains("Refusee@wire.test"), "{notice}");
    assert!(!notice.contains("Texte confidentiel"), "{notice}");
    wait_for(&world, 0, &b);
    assert_eq!(quarantine(&world, &["release", &id("Attendue")]).0, Some(1), "nothing is there any more");
}

/// What was accepted and became unreadable on the disk is held with an alarm, whole, until somebody has put the
/// body back.
#[test]
fn a_body_that_was_damaged_after_250_is_held_and_handed_over_once_it_is_whole() {
    let world = World::new();
    let b = world.serve(B);
    // The inner store is down: the letter rests.
    let mut inner = letter(&world.address("martin"), &world.address("moreau"), "Abimee");
    inner.extend_from_slice(&b"Une ligne de plus, et encore une.\r\n".repeat(6000));
    let mut wire = world.exchange(B, &world.space.gateways[0]);
    let message = sealed(&world, &inner, SIGNER_A, "ch-b/decryption.pem");
    assert_eq!(hand_over(&mut wire, &world.address("martin"), &world.address("moreau"), &message).code, 250);
    let body = bodies(&world).remove(0);
    let whole = std::fs::read(&body).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
    std::fs::write(&body, &damaged).unwrap();
    let store = world.inner_store(B);
    wait_for(&world, 1, &b);
    assert!(b.log().contains("is in quarantine"), "{}", b.log());
    assert!(store.messages().is_empty());
    std::fs::write(&body, &whole).unwrap();
    assert_eq!(quarantine(&world, &["release", "all"]).0, Some(0));
    let delivered = String::from_utf8_lossy(&store.wait_for(1)[0].message).into_owned();
    assert!(delivered.contains("Subject: Abimee") && delivered.contains("X-Sceau-Verdict: accept"));
}

/// Files of message bodies at B.
fn bodies(world: &World) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(world.folder().join("ch-b/data/queue/bodies")).unwrap();
    shards
        .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

/// H4: the answer to a wrong key, a wrong text and a wrong tag is one answer, letter for letter.
#[test]
fn every_failed_opening_has_one_answer() {
    let world = World::new();
    let _b = world.serve(B);
    let inner = letter(&world.address("martin"), &world.address("moreau"), "essai");
    let sound = sealed(&world, &inner, SIGNER_A, "ch-b/decryption.pem");
    let text = String::from_utf8(sound).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    // A changed octet near the end of the ciphertext, and one in the tag.
    let with_change = |from_end: usize| {
        let mut body = body.to_owned().into_bytes();
        let at = body.len() - from_end;
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        [head.as_bytes(), b"\r\n\r\n", &body].concat()
    };
    let for_another = sealed(&world, &inner, SIGNER_A, "ch-a/decryption.pem");
    let replies: Vec<String> = [for_another, with_change(400), with_change(12)]
        .iter()
        .map(|message| {
            let mut wire = world.exchange(B, &world.space.gateways[0]);
            let reply = hand_over(&mut wire, &world.address("martin"), &world.address("moreau"), message);
            assert_refused(&reply, 554, "opening-failed");
            reply.text()
        })
        .collect();
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:#?}");
}

/// What is too old to be opened is refused by its name, on the wire.
#[test]
fn an_old_cipher_is_refused_by_its_name() {
    let world = World::new();
    let _b = world.serve(B);
    let inner = letter(&world.address("martin"), &world.address("moreau"), "ancien");
    let reader = world.folder().join("ch-b/decryption.pem");
    let der = tests::openssl_cli::cms_encrypt("DER", &inner, "-des3", &[], &[&reader]).success();
    let mut message = letter(&world.address("martin"), &world.address("moreau"), "ancien");
    message.truncate(message.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap() + 2);
    message.extend_from_slice(b"MIME-Version: 1.0\r\n");
    message.extend_from_slice(&tests::by_hand::part("enveloped-data", &der));
    let mut wire = world.exchange(B, &world.space.gateways[0]);
    let reply = hand_over(&mut wire, &world.address("martin"), &world.address("moreau"), &message);
    assert_refused(&reply, 554, "protection-refused");
    assert!(reply.text().contains("triple DES"), "{}", reply.text());
}

/// The disk is full when what was received is to be opened: 452, and no file is left; with room again it passes.
#[test]
fn a_disk_that_is_full_while_a_message_is_opened() {
    let world = World::new();
    let b = world.serve(B);
    let data = world.folder().join("ch-b/data");
    let mut inner = letter(&world.address("martin"), &world.address("moreau"), "Volumineuse");
    inner.extend_from_slice(&b"Une ligne de plus, et encore une.\r\n".repeat(60_000));
    let message = sealed(&world, &inner, SIGNER_A, "ch-b/decryption.pem");
    let mut wire = world.exchange(B, &world.space.gateways[0]);
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    wire.exchange(&format!("RCPT TO:<{}>", world.address("moreau")), 250);
    wire.exchange("DATA", 354);
    wire.send(&message);
    // What is received has its place on the disk; what it opens to gets none.
    wait_for_spool(&b);
    let faults = Faults::inject_at(b.pid(), "open,openat", "ENOSPC", &[data.join("spool")]);
    wire.say(".");
    assert_refused(&wire.reply(), 452, "storage-full");
    faults.end();
    assert_eq!(bodies(&world), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read_dir(data.join("spool")).unwrap().count(), 0);
    let store = world.inner_store(B);
    let mut wire = world.exchange(B, &world.space.gateways[0]);
    assert_eq!(hand_over(&mut wire, &world.address("martin"), &world.address("moreau"), &message).code, 250);
    assert!(String::from_utf8_lossy(&store.wait_for(1)[0].message).contains("Subject: Volumineuse"));
}

/// Waits until the gateway has opened the unnamed file of a message in hand.
#[track_caller]
fn wait_for_spool(gateway: &Gateway) {
    let begun = Instant::now();
    let descriptors = format!("/proc/{}/fd", gateway.pid());
    loop {
        let links =
            std::fs::read_dir(&descriptors).unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        if links.into_iter().any(|link| link.to_string_lossy().contains("/spool/")) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is in hand: {}", gateway.log());
    }
}
