//! What somebody hostile tries: strangers who cost more than they may, card holders and operators who
//! go beyond their rights.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::A;
use tests::certs::{Authority, Use};
use tests::wire::{TlsClient, Wire};
use tests::world::{World, assert_refused, letter};

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
    for _ in 0..4 {
        wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
        assert_eq!(wire.reply().code, 550);
    }
    wire.expect_close();
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
