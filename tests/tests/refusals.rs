//! What must fail at the gateway's doors, on the wire: the code, the stable id and the words that
//! help. Rows of the table of refusals that need no wire are shown beside the code.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::{A, B};
use tests::by_hand::{part, seal_bytes, sealed, under_header_of};
use tests::certs::{Authority, Use};
use tests::gateway::Gateway;
use tests::openssl_cli::cms_sign;
use tests::wire::{TlsClient, Wire};
use tests::world::{World, assert_refused, hand_over, letter};

/// Hospital A, ready for practice software.
fn hospital_a() -> (World, Gateway) {
    let world = World::new();
    let gateway = world.serve(A);
    (world, gateway)
}

/// Hospital B, ready for other operators.
fn hospital_b() -> (World, Gateway) {
    let world = World::new();
    let gateway = world.serve(B);
    (world, gateway)
}

fn clear(to: std::net::SocketAddr) -> Wire {
    let mut wire = Wire::connect(to);
    wire.expect(220);
    wire.exchange("EHLO wire.test", 250);
    wire
}

// ---- submission: who comes ----

#[test]
fn plain_text_is_refused() {
    let (world, _a) = hospital_a();
    for port in [world.ports(A).submission, world.ports(A).exchange] {
        let mut wire = clear(port);
        wire.say("MAIL FROM:<anne.martin-test@ch-a.mssante.test>");
        assert_refused(&wire.reply(), 530, "tls-required");
    }
}

#[test]
fn no_certificate_is_refused() {
    let (world, _a) = hospital_a();
    let nobody = TlsClient::trusting(&[world.root("servers")]);
    for port in [world.ports(A).submission, world.ports(A).exchange] {
        let mut wire = clear(port);
        wire.start_tls(&A.host(), &nobody);
        wire.say("MAIL FROM:<anne.martin-test@ch-a.mssante.test>");
        assert_refused(&wire.reply(), 530, "certificate-required");
    }
}

#[test]
fn bad_cards_are_refused_each_with_its_reason() {
    let (world, _a) = hospital_a();
    for (card, id) in
        [("leroy", "certificate-revoked"), ("girard", "certificate-expired"), ("fontaine", "certificate-untrusted")]
    {
        let mut wire = world.submission(A, world.card(card));
        wire.say(&format!("MAIL FROM:<{}>", world.address(card)));
        assert_refused(&wire.reply(), 550, id);
    }
}

#[test]
fn a_certificate_that_we_made_ourselves_is_refused() {
    let (world, _a) = hospital_a();
    let forged = Authority::new("TEST AC SCEAU STANDARD PERSONNES").issue("899700000017", &Use::Client);
    let tls = TlsClient::trusting(&[world.root("servers")]).with_identity(&forged, &[]);
    let mut wire = clear(world.ports(A).submission);
    wire.start_tls(&A.host(), &tls);
    wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
    let reply = wire.reply();
    assert!(reply.code == 550, "{}", reply.text());
}

// ---- submission: what is asked ----

#[test]
fn a_null_sender_is_refused_at_submission() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    wire.say("MAIL FROM:<>");
    assert_refused(&wire.reply(), 550, "null-sender");
}

#[test]
fn a_secretary_may_not_write_for_another_doctor() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("bernard"));
    wire.say(&format!("MAIL FROM:<{}>", world.address("durand")));
    assert_refused(&wire.reply(), 550, "not-your-address");
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
}

#[test]
fn each_recipient_has_its_own_answer() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    wire.say("RCPT TO:<somebody@consumer.example>");
    assert_refused(&wire.reply(), 550, "outside-trusted-space");
    wire.say("RCPT TO:<nobody.here@ch-a.mssante.test>");
    assert_refused(&wire.reply(), 550, "recipient-unknown");
    wire.exchange(&format!("RCPT TO:<{}>", world.address("moreau")), 250);
}

#[test]
fn too_many_recipients_are_deferred() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\nrecipients = 2");
    let _a = world.serve(A);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    wire.exchange(&format!("RCPT TO:<{}>", world.address("moreau")), 250);
    wire.exchange(&format!("RCPT TO:<{}>", world.address("lambert")), 250);
    wire.say(&format!("RCPT TO:<{}>", world.address("durand")));
    assert_refused(&wire.reply(), 452, "recipients-limit");
}

// ---- submission: the message ----

#[test]
fn bare_line_feeds_are_refused() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut message = letter(&from, &to, "bare");
    message.extend_from_slice(b"one line\nanother\r\n");
    assert_refused(&hand_over(&mut wire, &from, &to, &message), 550, "body-bare-lf");
    wire.expect_close();
}

/// CVE-2023-51764 and its kin: what follows a false end must never be a second message.
#[test]
fn a_smuggled_message_is_never_accepted() {
    let (world, _a) = hospital_a();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    for end in ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"] {
        let mut wire = world.submission(A, world.card("martin"));
        let mut message = letter(&from, &to, "smuggled");
        message.extend_from_slice(end.as_bytes());
        message.extend_from_slice(
            format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n").as_bytes(),
        );
        let reply = hand_over(&mut wire, &from, &to, &message);
        assert!(reply.code == 550, "{end:?}: {} {}", reply.code, reply.text());
        wire.expect_close();
    }
}

#[test]
fn duplicate_from_is_refused() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut message = format!("From: <{}>\r\n", world.address("durand")).into_bytes();
    message.extend_from_slice(&letter(&from, &to, "two authors"));
    assert_refused(&hand_over(&mut wire, &from, &to, &message), 550, "header-malformed");
}

#[test]
fn a_from_that_is_not_the_envelopes_is_refused() {
    let (world, _a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let message = letter(&world.address("durand"), &to, "someone else");
    assert_refused(&hand_over(&mut wire, &from, &to, &message), 550, "from-differs");
}

#[test]
fn an_oversized_message_is_refused() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\nmessage = \"64KB\"");
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    wire.say(&format!("MAIL FROM:<{from}> SIZE=200000"));
    assert_refused(&wire.reply(), 552, "announced-too-large");
    // Who does not announce it, or lies, is read to the end and refused all the same.
    let mut message = letter(&from, &to, "large");
    message.extend(b"0123456789012345678901234567890123456789\r\n".repeat(4000));
    assert_refused(&hand_over(&mut wire, &from, &to, &message), 552, "body-too-large");
    wire.exchange("NOOP", 250);
}

// ---- sessions ----

#[test]
fn too_many_connections_are_deferred() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\nconnections_per_peer = 2");
    let _a = world.serve(A);
    let _first = clear(world.ports(A).submission);
    let _second = clear(world.ports(A).submission);
    let mut third = Wire::connect(world.ports(A).submission);
    assert_refused(&third.reply(), 421, "too-busy");
    third.expect_close();
}

#[test]
fn a_silent_peer_is_disconnected() {
    let world = World::new();
    world.append(A, "sceau.toml", "[limits]\nidle = \"1s\"");
    let _a = world.serve(A);
    let mut wire = clear(world.ports(A).submission);
    assert_refused(&wire.reply(), 421, "timeout");
    wire.expect_close();
}

#[test]
fn a_stopping_server_says_421() {
    let (world, mut a) = hospital_a();
    let mut wire = world.submission(A, world.card("martin"));
    let stopped = std::thread::spawn(move || a.stop());
    assert_refused(&wire.reply(), 421, "shutting-down");
    wire.expect_close();
    assert!(stopped.join().unwrap().success());
}

// ---- exchange: who comes ----

#[test]
fn a_stranger_with_a_good_certificate_is_refused() {
    let (world, _b) = hospital_b();
    let mut wire = world.exchange(B, &world.space.stranger);
    wire.say("MAIL FROM:<somebody@inconnu.mssante.test>");
    assert_refused(&wire.reply(), 550, "peer-not-listed");
}

#[test]
fn a_listed_operator_does_not_write_for_another() {
    let (world, _b) = hospital_b();
    let mut wire = world.exchange(B, &world.space.operator);
    wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
    assert_refused(&wire.reply(), 550, "peer-not-for-domain");
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("petit")), 250);
    wire.say(&format!("RCPT TO:<{}>", world.address("martin")));
    assert_refused(&wire.reply(), 551, "relay-refused");
}

#[test]
fn a_card_is_no_operator() {
    let (world, _b) = hospital_b();
    let mut wire = world.exchange(B, world.card("martin"));
    wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
    let reply = wire.reply();
    assert!(reply.code == 550, "{} {}", reply.code, reply.text());
}

// ---- exchange: what comes ----

fn from_a_to_b(world: &World, message: &[u8]) -> tests::wire::Reply {
    let mut wire = world.exchange(B, &world.space.gateways[0]);
    hand_over(&mut wire, &world.address("martin"), &world.address("moreau"), message)
}

#[test]
fn an_unsealed_message_from_a_sealing_domain_is_refused() {
    let (world, _b) = hospital_b();
    let message = letter(&world.address("martin"), &world.address("moreau"), "in clear");
    assert_refused(&from_a_to_b(&world, &message), 550, "seal-required");
}

const SIGNER_A: (&str, &str) = ("ch-a/signing.pem", "ch-a/signing.key");

/// The other way of the issue's wire proof: what OpenSSL's command line sealed for B is opened by B.
#[test]
fn what_openssl_sealed_is_opened() {
    let (world, _b) = hospital_b();
    let store = world.inner_store(B);
    let inner = letter(&world.address("martin"), &world.address("moreau"), "by hand");
    let reply = from_a_to_b(&world, &sealed(&world, &inner, SIGNER_A, "ch-b/decryption.pem"));
    assert!(reply.code == 250, "{} {}", reply.code, reply.text());
    let text = String::from_utf8_lossy(&store.wait_for(1)[0].message).into_owned();
    assert!(text.contains("X-Sceau-Verdict: accept") && text.ends_with("\r\n\r\nTexte confidentiel\r\n"), "{text}");
}

#[test]
fn a_message_sealed_for_another_key_is_refused() {
    let (world, _b) = hospital_b();
    let inner = letter(&world.address("martin"), &world.address("moreau"), "for another");
    let reply = from_a_to_b(&world, &sealed(&world, &inner, SIGNER_A, "ch-a/decryption.pem"));
    assert_refused(&reply, 554, "opening-failed");
}

/// Decryption is no oracle (A9): after a few failures the peer's next messages wait, good ones too, and a person
/// is called.
#[test]
fn a_peer_of_many_unreadable_messages_waits() {
    let world = World::new();
    world.append(B, "sceau.toml", "\n[limits]\nunreadable_per_hour = 2\n");
    let b = world.serve(B);
    let inner = letter(&world.address("martin"), &world.address("moreau"), "often");
    let good = sealed(&world, &inner, SIGNER_A, "ch-b/decryption.pem");
    let mut damaged = good.clone();
    let place = damaged.len() - 40;
    damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
    for _ in 0..2 {
        assert_refused(&from_a_to_b(&world, &damaged), 554, "opening-failed");
    }
    assert_refused(&from_a_to_b(&world, &good), 451, "too-many-unreadable");
    b.wait_for_line(&["many-unreadable-messages"]);
}

#[test]
fn a_broken_signature_is_refused() {
    let (world, _b) = hospital_b();
    let inner = letter(&world.address("martin"), &world.address("moreau"), "signed");
    let signer = tests::certs::CredentialFiles {
        certificate: world.folder().join(SIGNER_A.0),
        key: world.folder().join(SIGNER_A.1),
    };
    let mut content = b"Content-Type: message/rfc822\r\n\r\n".to_vec();
    content.extend_from_slice(&inner);
    let mut signed = cms_sign("DER", &content, &signer, &[]).success();
    let place = signed.windows(5).position(|window| window == b"Texte").expect("the text is inside");
    signed[place] = b't';
    let container = part("signed-data", &signed);
    assert_refused(&from_a_to_b(&world, &under_header_of(&inner, &container)), 554, "signature-invalid");
    // Below the encryption a signature that fits nothing names nobody: whoever brings it is told no more (H4).
    let reply = from_a_to_b(&world, &seal_bytes(&world, &container, &inner, "ch-b/decryption.pem"));
    assert_refused(&reply, 554, "opening-failed");
}

#[test]
fn a_signer_who_is_not_from_is_refused() {
    let (world, _b) = hospital_b();
    let inner = letter(&world.address("martin"), &world.address("moreau"), "borrowed");
    // B's own domain key signs perfectly, and not for A.
    let signer = ("ch-b/signing.pem", "ch-b/signing.key");
    let reply = from_a_to_b(&world, &sealed(&world, &inner, signer, "ch-b/decryption.pem"));
    assert_refused(&reply, 550, "signer-not-bound");
}

#[test]
fn a_null_sender_that_is_no_report_is_refused() {
    let (world, _b) = hospital_b();
    let mut wire = world.exchange(B, &world.space.operator);
    let message = letter(&world.address("petit"), &world.address("moreau"), "no report");
    assert_refused(&hand_over(&mut wire, "", &world.address("moreau"), &message), 550, "report-malformed");
}

/// A card in a reader answers for whoever holds it, often without a PIN: what only authenticates a
/// connection signs no letter, and neither does what reads mail or serves TLS.
#[test]
fn only_certificates_for_mail_sign_mail() {
    let (world, _b) = hospital_b();
    let inner = letter(&world.address("martin"), &world.address("moreau"), "signed by what");
    for (certificate, key) in [
        ("cards/martin/card.pem", "cards/martin/card.key"),
        ("ch-a/application.pem", "ch-a/application.key"),
        ("ch-a/messagerie.pem", "ch-a/messagerie.key"),
        ("ch-a/decryption.pem", "ch-a/decryption.key"),
    ] {
        let reply = from_a_to_b(&world, &sealed(&world, &inner, (certificate, key), "ch-b/decryption.pem"));
        assert_refused(&reply, 554, "signature-invalid");
        assert!(reply.text().contains("signer_not_for_mail"), "{certificate}: {}", reply.text());
    }
    let by_hand = ("cards/martin/signature.pem", "cards/martin/signature.key");
    let reply = from_a_to_b(&world, &sealed(&world, &inner, by_hand, "ch-b/decryption.pem"));
    assert!(reply.code == 250, "{} {}", reply.code, reply.text());
}
