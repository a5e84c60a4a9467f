//! How a message is protected for each recipient, why, and how large it becomes.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use sceau::demo::cast::Place::{A, B};
use tests::crash::canary::files;
use tests::gateway::{sceau, sceau_json};
use tests::wire::{Reply, Wire};
use tests::world::{World, assert_refused, hand_over, letter};

const RULE: &str = "domain = \"ch-b.mssante.test\"\nsmime = \"required\"\n";

fn told(world: &World, id: &str) -> String {
    sceau_json(&["why", id, "--config", world.configuration(A).to_str().unwrap()]).1.to_string()
}

fn explained(world: &World, to: &[&str]) -> String {
    let configuration = world.configuration(A);
    let card = world.card("martin").certificate.clone();
    let from = world.address("martin");
    let mut arguments = vec!["explain", "--config", configuration.to_str().unwrap(), "--as", card.to_str().unwrap()];
    arguments.extend(["--from", &from, "--to"]);
    arguments.extend(to);
    let done = sceau(&arguments, b"");
    done.text()
}

fn to_both(wire: &mut Wire, from: &str, to: &[&str], message: &[u8]) -> Reply {
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    for address in to {
        wire.exchange(&format!("RCPT TO:<{address}>"), 250);
    }
    wire.exchange("DATA", 354);
    wire.send(message);
    wire.say(".");
    wire.reply()
}

/// RFC 8551 §6: a weaker copy beside stronger ones is what the operator decided, and the trail says who got it.
#[test]
fn copies_of_different_strength_are_a_decision_with_a_trail() {
    let world = World::new();
    let (from, strong, weak) = (world.address("martin"), world.address("moreau"), world.address("petit"));
    let message = |subject: &str| letter(&from, &format!("{strong}>, <{weak}"), subject);
    {
        let _a = world.serve(A);
        let mut wire = world.submission(A, world.card("martin"));
        assert_eq!(to_both(&mut wire, &from, &[&strong, &weak], &message("Les deux")).code, 250);
        assert_eq!(hand_over(&mut wire, &from, &strong, &message("Une seule")).code, 250);
        let both = told(&world, "Les.deux@wire.test");
        assert!(both.contains("mutual-tls, partner-never-sealed, weaker-than-other-copies"), "{both}");
        assert!(!told(&world, "Une.seule@wire.test").contains("weaker-than-other-copies"));
    }
    assert!(explained(&world, &[&strong, &weak]).contains(&format!("weaker for {weak}")));
    assert!(explained(&world, &[&strong, &strong]).contains("every copy has the same strength"));

    world.append(A, "sceau.toml", "[seal]\nmixed_strength = \"refuse\"");
    let explained = explained(&world, &[&strong, &weak]);
    assert!(explained.contains("no   all recipients: [mixed-strength] 554"), "{explained}");
    let _a = world.serve(A);
    let mut wire = world.submission(A, world.card("martin"));
    let reply = to_both(&mut wire, &from, &[&strong, &weak], &message("Refus"));
    assert_refused(&reply, 554, "mixed-strength");
    assert!(reply.text().contains(&weak), "{}", reply.text());
    for one in [&strong, &weak] {
        assert_eq!(hand_over(&mut wire, &from, one, &message(&format!("Seul {one}"))).code, 250);
    }
}

/// Each profile for a recipient, with the reason; never more silence than signed mail, and that rests encrypted.
#[test]
fn each_recipient_has_a_profile_and_explain_says_why() {
    let world = World::new();
    let (from, to, petit) = (world.address("martin"), world.address("moreau"), world.address("petit"));
    let durand = world.address("durand");
    let told = explained(&world, &[&to, &petit, &durand]);
    for part in [
        "sealed (profile gateway, AES-256-GCM: the form between gateways: nothing else is known of the recipient; ECDH",
        "profile transport: not sealed, mutual TLS to the operator of the trust list, rule `partner-never-sealed`",
        "rule `own-domain` (our own domain)",
        "book/ch-b-reads.pem",
        "on the trust list (list of ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let plain = std::fs::read_to_string(world.configuration(A)).unwrap();
    let with = |rule: &str| std::fs::write(world.configuration(A), plain.replace(RULE, rule)).unwrap();
    with(&format!("{RULE}profile = \"client\"\n"));
    let told = explained(&world, &[&to]);
    let client = "sealed (profile client, AES-256-CBC: the [[partner]] entry says so; ECDH with SHA-256: the key is on a curve) for ";
    assert!(told.contains(client) && told.contains("smime = required, profile = client"), "{told}");

    with(&RULE.replace("required", "signed"));
    let told = explained(&world, &[&to]);
    assert!(told.contains("profile signed-only") && told.contains("rule `partner-signed-only`"), "{told}");
    let _a = world.serve(A);
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Signe seulement")).code, 250);
    // It waits under the storage key: nothing of it, not even its header, is to be read on the disk.
    let data = world.configuration(A).with_file_name("data").join("queue");
    let held: Vec<_> = files(&data).iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(held.iter().map(Vec::len).sum::<usize>() > 4096);
    assert!(held.iter().all(|octets| !contains(octets, b"pkcs7-mime")));
    let store = world.inner_store(B);
    // The rule holds in both directions: whoever asks for sealed mail takes no other (decision 0054).
    world.edit(B, "sceau.toml", "smime = \"required\"", "smime = \"signed\"");
    let _b = world.serve(B);
    let configuration = world.configuration(A);
    let retry = ["queue", "retry", "Signe.seulement@wire.test", "--config", configuration.to_str().unwrap()];
    let _ = sceau(&retry, b"").success();
    let mail = String::from_utf8_lossy(&store.wait_for(1)[0].message).into_owned();
    assert!(mail.contains("X-Sceau-Signature: valid") && mail.contains("Texte confidentiel"), "{mail}");
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// The three figures of a refusal: what came, what it becomes, what the partner takes.
#[track_caller]
fn figures(reply: &Reply) -> [u64; 3] {
    assert_refused(reply, 552, "too-large-for-recipient");
    let text = reply.text();
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    let found: Vec<u64> = numbers.filter(|number| *number > 1000).collect();
    found.try_into().unwrap_or_else(|found| panic!("{found:?} in {text}"))
}

/// RFC 1870 speaks of what is handed over, partners of what they get: the sealed size decides.
#[test]
fn the_size_that_counts_is_that_of_the_sealed_message() {
    let world = World::new();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let message = |subject: &str| [letter(&from, &to, subject), b"Encore une ligne.\r\n".repeat(2000)].concat();
    let size = message("Taille 1").len() as u64;
    // Base64 in lines of 76 characters: no sealed form is smaller.
    let least = size.div_ceil(57) * 78;
    let plain = std::fs::read_to_string(world.configuration(A)).unwrap();
    let limited = |most: u64| {
        std::fs::write(world.configuration(A), plain.replace(RULE, &format!("{RULE}max_size = \"{most}B\"\n")))
            .unwrap();
    };
    limited(least + 200);
    let becomes = {
        let _a = world.serve(A);
        let mut wire = world.submission(A, world.card("martin"));
        let [came, becomes, most] = figures(&hand_over(&mut wire, &from, &to, &message("Taille 1")));
        assert_eq!((came >= size, most), (true, least + 200));
        assert!(becomes > most && becomes < most + 20_000, "{becomes}");
        becomes
    };
    // Next time there may be a checkpoint of the trail in it: some hundred octets. A bound that has to hold for
    // every message would be off by tens of thousands.
    for (most, code) in [(becomes + 2000, 250), (becomes - 2000, 552)] {
        limited(most);
        let _a = world.serve(A);
        let mut wire = world.submission(A, world.card("martin"));
        let reply = hand_over(&mut wire, &from, &to, &message("Taille 2"));
        assert_eq!(reply.code, code, "{most}: {}", reply.text());
    }
    // What is announced too large for certain is refused before a single octet of it came.
    limited(least - 200);
    let _a = world.serve(A);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{from}> SIZE={size}"), 250);
    wire.say(&format!("RCPT TO:<{to}>"));
    let [came, becomes, most] = figures(&wire.reply());
    assert_eq!((came, most), (size, least - 200));
    assert!(becomes > most && becomes <= least, "{becomes}");
}
