//! A practitioner's message goes from one hospital to another: the whole way, with real programs.
//! Practice software is swaks, msmtp and lettre; the inner stores are Dovecot, read by IMAP; the third
//! operator, the inner mail server and the stranger are Postfix; OpenSSL's command line is the judge.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use base64::Engine as _;
use pki::issue::KeyAlgorithm;
use sceau::demo::cast::Place::{self, A, B, C};
use tests::capture::{Captured, Sink, SinkOptions};
use tests::certs::Credentials;
use tests::dovecot::Dovecot;
use tests::gateway::{sceau, sceau_json};
use tests::msmtp::Msmtp;
use tests::openssl_cli::{asn1parse, cms_decrypt, cms_verify};
use tests::postfix::{Postfix, PostfixOptions};
use tests::process::Finished;
use tests::world::{World, assert_refused, files, hand_over, letter};

/// A letter with a PDF, as swaks and msmtp take it (LF line ends).
fn letter_with_report(from: &str, to: &str, subject: &str, id: &str) -> Vec<u8> {
    let pdf = base64::engine::general_purpose::STANDARD.encode(REPORT);
    format!(
        "From: Anne MARTIN-TEST <{from}>\nTo: {to}\nSubject: {subject}\nMessage-ID: <{id}>\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0100\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=coupe\n\n\
         --coupe\nContent-Type: text/plain; charset=utf-8\n\nBonjour, voici le compte rendu.\n\
         --coupe\nContent-Type: application/pdf; name=cr.pdf\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename=cr.pdf\n\n{pdf}\n--coupe--\n"
    )
    .into_bytes()
}

const REPORT: &[u8] = b"%PDF-1.4 compte rendu fictif\n%%EOF\n";

#[track_caller]
fn sent(finished: &Finished) {
    assert!(finished.code == Some(0), "{}\n{}", finished.text(), finished.errors);
}

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).into_owned()
}

/// The value of a header field, unfolded.
fn field(message: &str, name: &str) -> Option<String> {
    let header = message.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
    header.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

/// Postfix as the third operator: a mailbox, mutual TLS, its own certificate when it writes to B.
fn third_operator(world: &World) -> Postfix {
    let (own, chain) = Credentials::load(&world.space.operator.certificate, &world.space.operator.key);
    let roots = [world.root("servers")];
    Postfix::start(
        &PostfixOptions::new(&C.host())
            .mailbox(&world.address("petit"))
            .listens_with_mutual_tls(&own, &chain, &roots)
            .at(world.space.ports.c.exchange)
            .route("ch-a.mssante.test", world.ports(A).exchange)
            .tls_verified(&A.host(), &roots, false)
            .identity(&own, &chain),
    )
}

fn queue_id(transcript: &str) -> String {
    let (_, rest) = transcript.split_once("Accepted as ").unwrap_or_else(|| panic!("no queue id in {transcript}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// The whole of the first story: one message to a colleague at another hospital, to a colleague
/// behind the same gateway, and to an operator without S/MIME; and that operator's answer.
#[test]
fn one_letter_three_ways_and_the_answer() {
    let world = World::new();
    let (martin, durand) = (world.address("martin"), world.address("durand"));
    let (moreau, petit) = (world.address("moreau"), world.address("petit"));
    let store_a = Dovecot::start_at(world.ports(A).inner, &[&martin, &durand]);
    let store_b = Dovecot::start_at(world.ports(B).inner, &[&moreau]);
    let third = third_operator(&world);
    let (_a, _b) = (world.serve(A), world.serve(B));

    let message = letter_with_report(
        &martin,
        &format!("{moreau}, {durand}, {petit}"),
        "Compte rendu",
        "Compte.rendu@cabinet.test",
    );
    let submitted = world.swaks("martin").from(&martin).recipients(&[&moreau, &durand, &petit]).send(&message);
    sent(&submitted);

    // At the other hospital, and behind the same gateway: opened, with the verdict.
    for (store, reader) in [(&store_b, &moreau), (&store_a, &durand)] {
        let mail = text(&store.wait_for(reader, 1)[0]);
        assert_eq!(field(&mail, "X-Sceau-Verdict").as_deref(), Some("accept"), "{mail}");
        assert_eq!(field(&mail, "X-Sceau-Signature").as_deref(), Some("valid"), "{mail}");
        assert!(field(&mail, "X-Sceau-Assurance").unwrap().contains("899700000017"), "{mail}");
        assert_eq!(field(&mail, "Subject").as_deref(), Some("Compte rendu"), "{mail}");
        assert!(mail.contains(&base64::engine::general_purpose::STANDARD.encode(REPORT)), "{mail}");
    }

    // At the third operator: unsealed, over mutual TLS, from the gateway's own certificate.
    third.wait_for_line(&["Trusted TLS connection established from"]);
    third.wait_for_status("sent", 1);
    let mail = text(&third.mailbox(&petit)[0]);
    assert!(mail.contains("Bonjour, voici le compte rendu.") && !mail.contains("pkcs7-mime"), "{mail}");

    // Its answer: the operator is known, nobody has signed.
    let answer = letter(&petit, &martin, "Re Compte rendu");
    sent(&tests::swaks::Swaks::to(third.inject()).from(&petit).recipients(&[&martin]).send(&answer));
    let mail = text(&store_a.wait_for(&martin, 1)[0]);
    assert_eq!(field(&mail, "X-Sceau-Signature").as_deref(), Some("none"), "{mail}");
    assert!(field(&mail, "X-Sceau-Notice-En").unwrap().to_lowercase().contains("not signed"), "{mail}");

    // Both sides tell the story, by queue id and by Message-ID.
    let (code, told) =
        sceau_json(&["why", &queue_id(&submitted.text()), "--config", world.configuration(A).to_str().unwrap()]);
    assert_eq!((code, &told["found"], &told["messages"][0]["ended"]), (Some(0), &true.into(), &true.into()), "{told}");
    let (code, told) =
        sceau_json(&["why", "Compte.rendu@cabinet.test", "--config", world.configuration(B).to_str().unwrap()]);
    assert_eq!((code, &told["found"]), (Some(0), &true.into()), "{told}");
    let shown = sceau(&["why", "Compte.rendu@cabinet.test", "--config", world.configuration(B).to_str().unwrap()], b"");
    assert!(!shown.text().contains("voici le compte rendu"), "content in the trail: {}", shown.text());
}

/// What A sends is captured in B's place and opened with OpenSSL's command line.
#[track_caller]
fn captured_from_a(world: &World) -> Captured {
    let (own, chain) = Credentials::load(&world.space.gateways[1].certificate, &world.space.gateways[1].key);
    let sink =
        Sink::start(SinkOptions::smtp().mutual_tls(&own, &chain, &[world.root("servers")]).at(world.ports(B).exchange));
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    sent(&world.swaks("martin").from(&from).recipients(&[&to]).send(&letter_with_report(
        &from,
        &to,
        "Secret dossier",
        "deux@cabinet.test",
    )));
    sink.wait_for(1).remove(0)
}

/// With this much more said of A's signing key; what A signed.
fn openssl_opens_what_a_sent(key: KeyAlgorithm, signing: &str) -> Vec<u8> {
    let world = World::with(key, ident::Clock::now(&ident::SystemClock));
    world.edit(A, "sceau.toml", SIGNING_KEY, &format!("{SIGNING_KEY}{signing}"));
    let kept = captured_from_a(&world);
    let seen = text(&kept.message);
    assert!(kept.tls.is_some() && kept.peer.is_some());
    for secret in ["Secret", "dossier", "Bonjour", "cr.pdf", "Anne"] {
        assert!(!seen.contains(secret), "{secret} travels in clear: {seen}");
    }
    assert_eq!(field(&seen, "Content-Type").unwrap().split(';').next(), Some("application/pkcs7-mime"), "{seen}");

    let body: String = seen.split("\r\n\r\n").nth(1).unwrap().split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    assert!(asn1parse(&der).contains("authEnvelopedData"), "{}", asn1parse(&der));
    let folder = world.folder();
    let key_of = |place: Place| tests::certs::CredentialFiles {
        certificate: folder.join(place.folder()).join("decryption.pem"),
        key: folder.join(place.folder()).join("decryption.key"),
    };
    assert_ne!(cms_decrypt("DER", &der, &key_of(A)).code, Some(0), "A's own key opens what was sealed for B");
    // Inside, the signed container stands as it is.
    let entity = cms_decrypt("DER", &der, &key_of(B)).success();
    let at = entity.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap();
    let (header, signed) = entity.split_at(at);
    assert!(text(header).contains("Content-Transfer-Encoding: binary"), "{}", text(header));
    let signed = signed.strip_prefix(b"\r\n\r\n").unwrap();
    let mut roots = std::fs::read(world.space.anchor("organisations")).unwrap();
    roots.extend(std::fs::read(folder.join("authorities").join("organisations.pem")).unwrap());
    let trusted = folder.join("for-openssl.pem");
    std::fs::write(&trusted, roots).unwrap();
    let letter = text(&cms_verify("DER", signed, &trusted).success());
    assert!(
        letter.contains("Subject: Secret dossier") && letter.contains("Bonjour, voici le compte rendu."),
        "{letter}"
    );
    signed.to_vec()
}

/// The end of the entry of a domain's signing key.
const SIGNING_KEY: &str = "key = \"signing.key\"";

#[test]
fn openssl_opens_what_a_sent_with_p256_keys() {
    openssl_opens_what_a_sent(KeyAlgorithm::P256, "");
}

#[test]
fn openssl_opens_what_a_sent_with_rsa_keys() {
    let signed = openssl_opens_what_a_sent(KeyAlgorithm::Rsa2048, "");
    assert!(!asn1parse(&signed).contains("rsassaPss"));
}

/// PSS where the operator wants it (RFC 4056).
#[test]
fn openssl_verifies_the_pss_signature_that_was_asked_for() {
    let signed = openssl_opens_what_a_sent(KeyAlgorithm::Rsa2048, ", rsa_signature = \"pss\"");
    assert!(asn1parse(&signed).contains("rsassaPss"), "{}", asn1parse(&signed));
}

/// A secretary's staff card writes for her doctor and is shown as what she is.
#[test]
fn a_secretary_writes_for_her_doctor() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let message = letter(&from, &to, "Rendez-vous");
    sent(&world.swaks("bernard").from(&from).recipients(&[&to]).send(&message));
    let mail = text(&store.wait_for(1)[0].message);
    let assurance = field(&mail, "X-Sceau-Assurance").unwrap_or_else(|| panic!("{mail}"));
    assert!(assurance.starts_with("delegated; ") && assurance.contains("3990000011/000000018"), "{assurance}");
}

/// A nurse is a delegate with a mailbox of her own: it is in Sender.
#[test]
fn a_delegate_with_a_mailbox_is_in_sender() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("durand"), world.address("moreau"));
    sent(&world.swaks("robert").from(&from).recipients(&[&to]).send(&letter(&from, &to, "Suivi")));
    let mail = text(&store.wait_for(1)[0].message);
    assert_eq!(field(&mail, "Sender"), Some(world.address("robert")), "{mail}");
    assert!(field(&mail, "X-Sceau-Assurance").unwrap().starts_with("delegated; "), "{mail}");
}

/// msmtp (GnuTLS), on both ports, with and without AUTH EXTERNAL.
#[test]
fn msmtp_submits_too() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let (ports, roots, card) = (world.ports(A), world.server_roots(), files(world.card("martin")));
    let runs = [
        Msmtp::to(ports.submission).start_tls(&A.host(), &roots).identity(&card, None),
        Msmtp::to(ports.submission_tls).tls_on_connect(&A.host(), &roots).identity(&card, None),
        Msmtp::to(ports.submission).start_tls(&A.host(), &roots).identity(&card, Some(&from)),
    ];
    for (count, run) in runs.into_iter().enumerate() {
        sent(&run.send(&from, &[&to], &letter(&from, &to, &format!("Par msmtp {count}"))));
        let kept = store.wait_for(count + 1);
        assert!(text(&kept[count].message).contains(&format!("Subject: Par msmtp {count}")));
    }
}

/// Postfix as the hospital's inner mail server submits with its vouching certificate; readers are
/// told that the organisation vouches. Without that certificate it gets nowhere.
#[test]
fn an_inner_mail_server_vouches_for_its_users() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (own, chain) = Credentials::load(&world.space.inner_client.certificate, &world.space.inner_client.key);
    let options = PostfixOptions::new("mail.ch-a.mssante.test").route("*", world.ports(A).submission).tls_verified(
        &A.host(),
        &[world.root("servers")],
        false,
    );
    let (from, to) = (world.address("durand"), world.address("moreau"));
    let inner = Postfix::start(&options.clone().identity(&own, &chain));
    sent(&tests::swaks::Swaks::to(inner.inject()).from(&from).recipients(&[&to]).send(&letter(&from, &to, "Interne")));
    inner.wait_for_status("sent", 1);
    let mail = text(&store.wait_for(1)[0].message);
    assert!(field(&mail, "X-Sceau-Assurance").unwrap().starts_with("vouched; "), "{mail}");

    let stranger = Postfix::start(&options);
    sent(&tests::swaks::Swaks::to(stranger.inject()).from(&from).recipients(&[&to]).send(&letter(&from, &to, "Sans")));
    let line = stranger.wait_for_line(&["certificate-required"]);
    assert!(line.contains("530"), "{line}");
}

/// A blind copy has a body of its own, and nobody sees it.
#[test]
fn a_blind_copy_is_seen_by_nobody() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to, blind) = (world.address("martin"), world.address("moreau"), world.address("lambert"));
    let mut message = format!("Bcc: <{blind}>\n").into_bytes();
    message.extend_from_slice(&letter(&from, &to, "Discret"));
    sent(&world.swaks("martin").from(&from).recipients(&[&to, &blind]).send(&message));
    let kept = store.wait_for(2);
    for message in &kept {
        assert_eq!(message.recipients.len(), 1, "two recipients share a body with a blind copy");
        let mail = text(&message.message);
        if !message.recipients[0].contains(&blind) {
            assert!(!mail.to_lowercase().contains("lambert"), "{mail}");
        }
        assert!(field(&mail, "Bcc").is_none(), "{mail}");
    }
}

/// What the inner store refuses for good comes back as a notice with headers only.
#[test]
fn a_permanent_failure_comes_back_as_a_notice_without_content() {
    let world = World::new();
    let store_a = world.inner_store(A);
    let _store_b = Sink::start(
        SinkOptions::lmtp()
            .at(world.ports(B).inner)
            .answering(|said| said.starts_with("RCPT").then(|| "550 5.1.1 no such mailbox any more".to_owned())),
    );
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    sent(&world.swaks("martin").from(&from).recipients(&[&to]).send(&letter(&from, &to, "Perdu")));
    let notice = store_a.wait_for(1).remove(0);
    let mail = text(&notice.message);
    assert!(notice.sender.starts_with("<>"), "{}", notice.sender);
    assert!(mail.contains("multipart/report") && mail.contains("Action: failed") && mail.contains("5.1.1"), "{mail}");
    assert!(!mail.contains("Texte confidentiel"), "content in a notice: {mail}");
}

/// A deferring inner store: the message waits, and arrives when the store takes it again.
#[test]
fn what_is_deferred_arrives_later() {
    let world = World::new();
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let store = Sink::start(SinkOptions::lmtp().at(world.ports(B).inner).answering(move |said| {
        let first = said.starts_with("RCPT") && tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| "451 4.2.1 not now".to_owned())
    }));
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    sent(&world.swaks("martin").from(&from).recipients(&[&to]).send(&letter(&from, &to, "Patience")));
    assert!(text(&store.wait_for(1)[0].message).contains("Subject: Patience"));
}

/// Promise 1, in its simplest form: what was acknowledged survives a power switch.
#[test]
fn what_was_acknowledged_survives_the_power_switch() {
    let world = World::new();
    let mut a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    sent(&world.swaks("martin").from(&from).recipients(&[&to]).send(&letter(&from, &to, "Survivant")));
    a.kill();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    assert!(text(&store.wait_for(1)[0].message).contains("Subject: Survivant"));
}

/// The same Message-ID from the same card is one message (ASK-11).
#[test]
fn a_repeated_submission_is_one_message() {
    let world = World::new();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let message = letter(&from, &to, "Une seule fois");
    let mut wire = world.submission(A, world.card("martin"));
    let first = hand_over(&mut wire, &from, &to, &message);
    let second = hand_over(&mut wire, &from, &to, &message);
    assert_eq!((first.code, second.code), (250, 250));
    assert_eq!(queue_id(&first.text()), queue_id(&second.text()));
    let another = hand_over(&mut wire, &from, &to, &letter(&from, &to, "Une autre"));
    assert_eq!(another.code, 250);
    let kept = store.wait_for(2);
    assert_eq!(kept.iter().filter(|kept| text(&kept.message).contains("Subject: Une seule fois")).count(), 1);
}

/// `explain` gives the answer of the door, with the same id, and sends nothing.
#[test]
fn explain_says_what_the_door_says() {
    let world = World::new();
    let _a = world.serve(A);
    let configuration = world.configuration(A);
    let card = |key: &str| world.card(key).certificate.to_str().unwrap().to_owned();
    let (martin, durand, moreau) = (world.address("martin"), world.address("durand"), world.address("moreau"));
    for (holder, from, to, code, id) in [
        ("martin", &martin, moreau.as_str(), 0, None),
        ("martin", &durand, moreau.as_str(), 1, Some("not-your-address")),
        ("leroy", &martin, moreau.as_str(), 1, Some("certificate-revoked")),
        ("martin", &martin, "somebody@consumer.example", 1, Some("outside-trusted-space")),
    ] {
        let arguments =
            ["explain", "--config", configuration.to_str().unwrap(), "--as", &card(holder), "--from", from, "--to", to];
        let (exit, told) = sceau_json(&arguments);
        assert_eq!(exit, Some(code), "{told}");
        if let Some(id) = id {
            assert!(told.to_string().contains(id), "{told}");
            let mut wire = world.submission(A, world.card(holder));
            wire.say(&format!("MAIL FROM:<{from}>"));
            let mut reply = wire.reply();
            if reply.code == 250 {
                wire.say(&format!("RCPT TO:<{to}>"));
                reply = wire.reply();
            }
            assert_refused(&reply, 550, id);
        }
    }
}

/// Where the inner mail program shows none of our header fields, the verdict stands in front of the text.
#[test]
fn a_banner_says_in_two_languages_who_vouches() {
    let world = World::new();
    world.edit(B, "sceau.toml", "inner = { protocol", "inner = { banner = true, protocol");
    let inner = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Bandeau")).code, 250);
    let message = String::from_utf8(inner.wait_for(1)[0].message.clone()).unwrap();
    let (before, after) = message.split_once("Content-Disposition: inline\r\n\r\n").expect("there is a banner");
    assert!(before.contains("Subject: Bandeau") && before.contains("X-Sceau-Verdict: accept"), "{message}");
    let (banner, rest) = after.split_once("--sceau-").unwrap();
    let banner = base64::engine::general_purpose::STANDARD.decode(banner.replace("\r\n", "")).unwrap();
    let banner = String::from_utf8(banner).unwrap();
    assert!(banner.contains("Garanti par") && banner.contains("Vouched for by"), "{banner}");
    assert!(rest.contains("Texte confidentiel"), "{message}");
}
