//! A message that practice software signed with the doctor's own card (decision 0026): checked at the door,
//! carried octet for octet inside the domain's signature, and named beside it at the other end. The practice
//! software is OpenSSL's command line.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::{A, B};
use sceau::demo::space::IdentityFiles;
use tests::certs::CredentialFiles;
use tests::openssl_cli::{cms_sign, openssl};
use tests::world::{World, assert_refused, files, hand_over};

const TEXT: &[u8] =
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQm9uam91ci4=\r\n";

/// What signs documents on the card of one of the cast.
#[track_caller]
fn signature(world: &World, key: &str) -> CredentialFiles {
    let signs: &IdentityFiles = world.space.holder(key).unwrap().signature.as_ref().unwrap();
    files(signs)
}

/// The signed entity as OpenSSL's command line writes it, with CRLF line ends: header and body.
fn signed(signer: &CredentialFiles, opaque: bool) -> Vec<u8> {
    let made = if opaque {
        cms_sign("SMIME", TEXT, signer, &["-crlfeol"]).success()
    } else {
        let (certificate, key) = (signer.certificate.to_str().unwrap(), signer.key.to_str().unwrap());
        let arguments = ["cms", "-sign", "-binary", "-crlfeol", "-signer", certificate, "-inkey", key];
        openssl(&arguments, TEXT).success()
    };
    let text = String::from_utf8(made).unwrap();
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

fn headed(from: &str, to: &str, subject: &str, entity: &[u8]) -> Vec<u8> {
    let id = subject.replace(' ', ".");
    let header = format!(
        "From: Dr <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{id}@cabinet.test>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n"
    );
    [header.as_bytes(), entity].concat()
}

fn lines(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace("\r\n", "\n")
}

fn field(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message).into_owned();
    let header = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
    header.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(mail::words::decode))
}

/// Clear and opaque, between gateways and for mail clients: the doctor's signature arrives octet for octet,
/// and the verdict names both who signed and whose gateway wrapped it.
#[test]
fn a_card_signed_message_arrives_with_both_signatures() {
    let world = World::new();
    let card = signature(&world, "martin");
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let roots = world.folder().join("persons-chain.pem");
    // The card's file holds the authority that issued it as well.
    let chain = [std::fs::read(world.space.anchor("persons")).unwrap(), std::fs::read(&card.certificate).unwrap()];
    std::fs::write(&roots, chain.concat()).unwrap();
    let store = world.inner_store(B);
    let _b = world.serve(B);
    let mut profile = "gateway";
    let mut arrived = 0;
    for next in ["gateway", "client"] {
        if next != profile {
            let rule = "domain = \"ch-b.mssante.test\"\nsmime = \"required\"\n";
            world.edit(A, "sceau.toml", rule, &format!("{rule}profile = \"{next}\"\n"));
            profile = next;
        }
        let _a = world.serve(A);
        let mut wire = world.submission(A, world.card("martin"));
        for opaque in [false, true] {
            let entity = signed(&card, opaque);
            let message = headed(&from, &to, &format!("Signe {profile} {opaque}"), &entity);
            assert_eq!(hand_over(&mut wire, &from, &to, &message).code, 250, "{profile} {opaque}");
            arrived += 1;
            let mail = store.wait_for(arrived)[arrived - 1].message.clone();
            let shown = String::from_utf8_lossy(&mail).into_owned();
            assert!(mail.ends_with(&entity), "{profile} {opaque}: the signed entity was changed: {shown}");
            // OpenSSL finds the signature good in what the reader gets.
            let begins = mail.len() - entity.len();
            let roots = roots.to_str().unwrap();
            // Without -binary: its reader takes the CR of a clear-signed part away, and so puts it back.
            let arguments = ["cms", "-verify", "-CAfile", roots, "-no-CApath", "-purpose", "any"];
            let verified = openssl(&arguments, &mail[begins..]).success();
            assert_eq!(lines(&verified), lines(TEXT), "{profile} {opaque}");
            assert_eq!(field(&mail, "X-Sceau-Verdict").as_deref(), Some("accept"), "{shown}");
            assert_eq!(field(&mail, "X-Sceau-Bound-By").as_deref(), Some("book"), "{shown}");
            assert_eq!(field(&mail, "X-Sceau-Author-Signature").as_deref(), Some("valid"), "{shown}");
            assert_eq!(field(&mail, "X-Sceau-Author-Bound-By").as_deref(), Some("person"), "{shown}");
            assert!(field(&mail, "X-Sceau-Author-Signer").unwrap().contains("899700000017"), "{shown}");
            let notice = field(&mail, "X-Sceau-Notice-En").unwrap();
            assert!(notice.contains("Signed by") && notice.contains("Vouched for by"), "{notice}");
        }
    }
}

/// What is broken or somebody else's does not pass, and nothing of it is queued.
#[test]
fn a_broken_or_foreign_signature_of_practice_software_is_refused() {
    let world = World::new();
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let own = signed(&signature(&world, "martin"), false);
    let altered = String::from_utf8(own.clone()).unwrap().replace("Qm9uam91ci4=", "Qm9uc29pci4=").into_bytes();
    let stranger = tests::certs::Authority::new("Autre racine");
    let scratch = tests::place::Scratch::new("author");
    let stranger = stranger.issue("899700000017", &tests::certs::Use::Mail(&from)).write(&scratch, "stranger");
    for (shape, entity, code, id) in [
        ("altered", altered, 550, "author-signature-invalid"),
        ("a colleague's card", signed(&signature(&world, "moreau"), false), 550, "author-signature-foreign"),
        ("a colleague's card, opaque", signed(&signature(&world, "moreau"), true), 550, "author-signature-foreign"),
        ("a card that proves presence", signed(&files(world.card("martin")), true), 550, "author-signature-invalid"),
        ("an authority of one's own", signed(&stranger, true), 550, "author-signature-invalid"),
    ] {
        let reply = hand_over(&mut wire, &from, &to, &headed(&from, &to, shape, &entity));
        println!("{shape}: {}", reply.text());
        assert_refused(&reply, code, id);
    }
    // The same session, unsigned and signed by herself: nothing is held against her.
    for entity in [&own[..], b"\r\nBonjour.\r\n"] {
        let message = headed(&from, &to, &format!("Bon {}", entity.len()), entity);
        assert_eq!(hand_over(&mut wire, &from, &to, &message).code, 250);
    }
}

/// A signature whose revocation is not known now is neither believed nor refused: 451, and it passes once the
/// authority's lists are there. Somebody else's certificate connects, of another authority.
#[test]
fn a_card_signature_that_cannot_be_judged_now_is_deferred() {
    let world = World::new();
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let entity = signed(&signature(&world, "martin"), false);
    let lists = ["-root.crl", ".crl"].map(|suffix| format!("\"../crl/persons{suffix}\","));
    lists.iter().for_each(|list| world.edit(A, "sceau.toml", list, ""));
    let send = |subject: &str, entity: &[u8]| {
        let _a = world.serve(A);
        let mut wire = world.submission(A, &world.space.inner_client);
        hand_over(&mut wire, &from, &to, &headed(&from, &to, subject, entity))
    };
    assert_refused(&send("Liste absente", &entity), 451, "author-signature-undetermined");
    // Unsigned it would have gone: it is the signature that nobody can judge.
    assert_eq!(send("Sans signature", b"\r\nBonjour.\r\n").code, 250);
    world.edit(A, "sceau.toml", "crls = [", &format!("crls = [{}", lists.concat()));
    assert_eq!(send("Liste revenue", &entity).code, 250);
}
