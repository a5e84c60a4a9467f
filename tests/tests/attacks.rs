//! What somebody hostile tries: strangers who cost more than they may, card holders and operators who
//! go beyond their rights.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use sceau::demo::cast::Place::{self, A, B};
use tests::capture::{Sink, SinkOptions};
use tests::certs::{Authority, Use};
use tests::gateway::sceau_json;
use tests::process::PATIENCE;
use tests::wire::{TlsClient, Wire};
use tests::world::{World, assert_refused, hand_over, letter};

/// RX2: a place is not held by who says nothing that proves who they are.
#[test]
fn a_stranger_does_not_keep_a_place() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\nstranger = \"1s\"");
    let _a = world.serve(A);
    let mut known = world.submission(A, world.card("martin"));
    known.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    for port in [world.ports(A).submission, world.ports(A).exchange] {
        let mut stranger = Wire::connect(port);
        stranger.expect(220);
        assert_refused(&stranger.reply(), 421, "timeout");
        stranger.expect_close();
    }
    // Who is known stays.
    known.exchange("RSET", 250);
    known.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
}

/// Each look at a stranger's certificates costs; a session does not ask for it a thousand times.
#[test]
fn a_stranger_is_refused_a_few_times_only() {
    let world = World::new();
    let _a = world.serve(A);
    let forged = Authority::new("TEST AC SCEAU STANDARD PERSONNES").issue("899700000017", &Use::Client);
    let tls = TlsClient::trusting(&[world.root("servers")]).with_identity(&forged, &[]);
    let mut wire = Wire::connect(world.ports(A).submission);
    wire.expect(220);
    wire.exchange("EHLO wire.test", 250);
    wire.start_tls(&A.host(), &tls);
    // Nor does whoever found a card that is revoked: each refusal of a known card is a row in the trail.
    for mut wire in [wire, world.submission(A, world.card("leroy"))] {
        for _ in 0..4 {
            wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
            assert_eq!(wire.reply().code, 550);
        }
        wire.expect_close();
    }
}

/// A20: each blind recipient has a copy apart; what they come to together has a bound.
#[test]
fn copies_of_one_message_have_a_bound() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\ncopies = \"1MB\"");
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut large = letter(&from, &to, "Grande lettre");
    large.extend_from_slice(&b"Une ligne de plus, et encore une.\r\n".repeat(3000));
    for (copies, code) in [(2, 250), (20, 552)] {
        let mut wire = world.submission(A, world.card("martin"));
        wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
        for number in 0..copies {
            wire.exchange(&format!("RCPT TO:<boite{number}@ch-b.mssante.test>"), 250);
        }
        wire.exchange("DATA", 354);
        wire.send(&large);
        wire.say(".");
        let reply = wire.reply();
        assert_eq!(reply.code, code, "{copies} copies: {}", reply.text());
    }
}

/// Hundreds of blind copies to colleagues behind the same gateway: one transaction like any other.
#[test]
fn hundreds_of_colleagues_get_their_blind_copies() {
    let world = World::new();
    for number in 0..300 {
        let text = format!(
            "[[mailbox]]\naddress = \"service{number}@ch-a.mssante.test\"\ntype = \"ORG\"\nname = \"Service\"\nstructure = \"1990000011\""
        );
        world.append(A, "registry.toml", &text);
    }
    let _a = world.serve(A);
    let from = world.address("martin");
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    for number in 0..300 {
        wire.exchange(&format!("RCPT TO:<service{number}@ch-a.mssante.test>"), 250);
    }
    wire.exchange("DATA", 354);
    wire.send(&letter(&from, &world.address("moreau"), "A tous les services"));
    wire.say(".");
    wire.expect(250);
}

// ---- the world changes while mail waits ----

/// The letter that waits was tried, and this is why it is put off: no attempt is under way.
#[track_caller]
fn wait_for_queue(world: &World, place: Place, reason: &str) {
    let configuration = world.configuration(place);
    let begun = std::time::Instant::now();
    loop {
        let (_, queue) = sceau_json(&["queue", "list", "--config", configuration.to_str().unwrap()]);
        if queue.to_string().contains(reason) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the queue never said {reason:?}: {queue}");
    }
}

/// Who takes a certificate out of the book has a reason: what was sealed for it does not go out any
/// more, and its sender learns that (decision 0001).
#[test]
fn mail_sealed_for_a_certificate_that_left_the_book_does_not_leave() {
    let world = World::new();
    let a = world.serve(A);
    let inner = world.inner_store(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    // B is down: the letter waits.
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Scelle avant")).code, 250);
    world.edit(A, "sceau.toml", "../book/ch-b-reads.pem", "../book/ch-a-reads.pem");
    a.hang_up();
    a.wait_for_line(&["read again"]);
    let notice = String::from_utf8_lossy(&inner.wait_for(1)[0].message).into_owned();
    assert!(notice.contains("Action: failed"), "{notice}");
}

/// A limit that is lowered holds for new mail, not for what was acknowledged.
#[test]
fn what_was_accepted_is_delivered_under_a_lower_limit_too() {
    let world = World::new();
    world.edit(A, "sceau.toml", "delay_notices = [\"15s\", \"60s\"]", "delay_notices = [\"4m\"]");
    let a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    let mut large = letter(&from, &to, "Grande lettre");
    large.extend_from_slice(&b"Une ligne de plus, et encore une.\r\n".repeat(60_000));
    // The inner store is down: the letter waits.
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &large).code, 250);
    wait_for_queue(&world, A, "cannot connect");
    world.append(A, "sceau.toml", "[limits]\nmessage = \"10KB\"\nrecipients = 1");
    a.hang_up();
    a.wait_for_line(&["read again"]);
    let inner = world.inner_store(A);
    let delivered = String::from_utf8_lossy(&inner.wait_for(1)[0].message).into_owned();
    assert!(delivered.contains("Subject: Grande lettre"));
}

/// Nobody else on the machine reads what the gateway writes, whatever the umask it was started with.
#[test]
fn what_the_gateway_writes_is_its_own() {
    let world = World::new();
    let _inner = world.inner_store(A);
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Droits")).code, 250);
    let mut folders = vec![world.folder().join("ch-a/data")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            files += 1;
        }
    }
    assert!(files > 3);
}

/// Promise 3: who believes that patients of a new domain are masked, and is wrong, writes their numbers
/// into the trail.
#[test]
fn a_reload_does_not_pretend_to_mask_other_patients() {
    let world = World::new();
    let a = world.serve(A);
    world.append(A, "sceau.toml", "[patients]\ndomains = [\"patients.ch-a.mssante.test\"]");
    a.hang_up();
    a.wait_for_line(&["reload refused", "takes a restart"]);
}

/// Promise 1: nothing is given up while its sender cannot be told. As long as no notice can be sealed for
/// the sender's domain, what failed waits; when one can, it goes.
#[test]
fn what_fails_waits_until_its_sender_can_be_told() {
    let world = World::new();
    let reads = "use = \"reads\"\ncertificate = \"../book/ch-a-reads.pem\"";
    let signs = "use = \"signs\"\ncertificate = \"../book/ch-a-signs.pem\"";
    world.edit(B, "sceau.toml", reads, signs);
    let refuses = |line: &str| line.starts_with("RCPT").then(|| "550 5.1.1 no such mailbox".to_owned());
    let _inner = Sink::start(SinkOptions::lmtp().at(world.ports(B).inner).answering(refuses));
    let home = world.inner_store(A);
    let (_a, b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Sans reponse")).code, 250);
    wait_for_queue(&world, B, "notice-impossible");
    world.edit(B, "sceau.toml", signs, reads);
    b.hang_up();
    let notice = String::from_utf8_lossy(&home.wait_for(1)[0].message).into_owned();
    // What the inner server said stays inside; the codes are enough to act on.
    assert!(notice.contains("Action: failed") && notice.contains("550 5.1.1"), "{notice}");
    assert!(!notice.contains("no such mailbox"), "{notice}");
}

/// Promise 2: once the inner server's certificate is named, opened mail goes to it over TLS and to
/// nobody else.
#[test]
fn a_pinned_inner_server_gets_opened_mail_over_tls_and_nobody_else_does() {
    let world = World::new();
    let house = Authority::new("AC du reseau interne");
    let (inner, imposter) = (house.issue("imap.ch-a.test", &SERVER), house.issue("imap.ch-a.test", &SERVER));
    std::fs::write(world.folder().join("ch-a/inner.pem"), inner.certificate.to_pem().unwrap()).unwrap();
    world.edit(A, "sceau.toml", "inner = { protocol", "inner = { certificate = \"inner.pem\", protocol");
    let port = world.ports(A).inner;
    let roots = [world.root("servers")];
    let a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Interne")).code, 250);

    let plain = Sink::start(SinkOptions::lmtp().at(port));
    wait_for_queue(&world, A, "does not offer it");
    assert!(plain.messages().is_empty());
    drop(plain);
    wait_until_free(port);
    let false_one = Sink::start(SinkOptions::lmtp().at(port).mutual_tls(&imposter, &[], &roots));
    wait_for_queue(&world, A, "does not show the certificate");
    assert!(false_one.messages().is_empty());
    drop(false_one);
    wait_until_free(port);
    let true_one = Sink::start(SinkOptions::lmtp().at(port).mutual_tls(&inner, &[], &roots));
    assert!(true_one.wait_for(1)[0].tls.is_some());
    drop(a);
}

/// A sink that is dropped ends a moment later.
#[track_caller]
fn wait_until_free(port: std::net::SocketAddr) {
    let begun = std::time::Instant::now();
    while let Err(error) = std::net::TcpListener::bind(port) {
        assert!(begun.elapsed() < PATIENCE, "{error}");
    }
}

const SERVER: Use<'static> = Use::Server(&["imap.ch-a.test"], None);

/// More records than the trail can take at once: what is missing in it is counted in it.
#[test]
fn records_that_find_no_room_are_counted_in_the_trail() {
    let world = World::new();
    let clock = std::sync::Arc::new(ident::SystemClock);
    let (gateway, mut records) = sceau::gateway::Gateway::open(world.configuration(A), clock).unwrap();
    let record = || trail::Record::new(gateway.now(), trail::Event::AlarmCleared { code: "test".to_owned() });
    for _ in 0..20_000 {
        gateway.record(record());
    }
    gateway.tell_unrecorded();
    let mut kept = 0;
    while records.try_recv().is_ok() {
        kept += 1;
    }
    gateway.tell_unrecorded();
    let trail::Event::AlarmRaised { code, text } = records.try_recv().unwrap().event else { panic!("no alarm") };
    let lost: usize = text.to_string().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(code, "records-lost");
    // One more than these: the start says which trust list is in force.
    assert_eq!(lost + kept, 20_001, "{text}");
}
