//! What goes in comes out, octet for octet, and nothing of a blind copy goes anywhere else.

use ident::{Address, Fingerprint};
use openssl::sha::sha256;
use pki::keys::DecryptionKey;
use proptest::prelude::*;

use super::*;
use crate::{
    Access, BoundBy, Envelope, HeaderBlock, HeaderOrigin, Routed, Signature, SignatureState, Verdict, annotate, clean,
    groups, judge, media::TransferEncoding, mime, open, read, words,
};

const MESSAGE: &str = "Received: from pc by gw.ch-exemple.test; Sat, 21 Nov 2026 22:56:00 +0000\n\
    Date: Sat, 21 Nov 2026 22:57:00 +0000\n\
    From: =?utf-8?Q?Zo=C3=A9_MARTIN-TEST?= <zoe@ch-exemple.test>\n\
    To: \"LAB, the\" <labo@ch-autre.test>,\n b@ch-autre.test\n\
    Cc: c@tiers.test\n\
    Subject: Compte rendu de Mme TEST\n\
    Message-ID: <1@ch-exemple.test>\n\
    MIME-Version: 1.0\n\
    Content-Type: text/plain; charset=utf-8\n\
    Content-Transfer-Encoding: 8bit\n\
    \n\
    Bonjour, voilà le compte rendu.\n";

fn opened(world: &World, bytes: &[u8]) -> crate::Opened {
    open(bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap()
}

#[test]
fn gateway_profile_end_to_end() {
    let world = World::new();
    let message = wire(MESSAGE);
    let sealed = world.seal(&message, &["labo@ch-autre.test", "b@ch-autre.test"], Profile::Gateway).unwrap();
    let text = String::from_utf8(sealed.bytes.clone()).unwrap();
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        header.replace("\r\n", "\n"),
        "Date: Sat, 21 Nov 2026 22:57:00 +0000\nFrom: <zoe@ch-exemple.test>\n\
         To: <labo@ch-autre.test>, <b@ch-autre.test>\nCc: <c@tiers.test>\n\
         Subject: =?utf-8?B?TWVzc2FnZSBzw6ljdXJpc8Op?=\nMessage-ID: <1@ch-exemple.test>\nMIME-Version: 1.0\n\
         Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data;\n name=smime.p7m\n\
         Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=smime.p7m"
    );
    assert!(body.split("\r\n").all(|line| line.len() <= 76 && line.is_ascii()));

    let opened = opened(&world, &sealed.bytes);
    assert_eq!(*bytes(&opened), message);
    assert_eq!(opened.inner_digest, sealed.inner_digest);
    let encryption = opened.encryption.clone().unwrap();
    assert_eq!((encryption.cipher, encryption.authenticated), ("AES-256-GCM", true));
    assert_eq!(opened.header, HeaderOrigin::Signed);
    let Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
    assert_eq!(signed.said.assurance, Some(assurance()));
    assert_eq!(signed.said.checkpoint.as_deref(), Some("gw.ch-exemple.test\n7\n"));
    let intended = ["labo@ch-autre.test", "b@ch-autre.test", "c@tiers.test"].map(str::to_owned);
    assert_eq!(signed.said.intended.as_deref(), Some(&intended[..]));

    // Delivery opens again, without our private key, and gets the same.
    let again = open(&sealed.bytes, Access::ContentKey(&encryption.content_key), &[], &Limits::default()).unwrap();
    assert_eq!(again.inner_digest, opened.inner_digest);

    let recipients = [address("b@ch-autre.test")];
    let sender = address("zoe@ch-exemple.test");
    let envelope = Envelope { sender: Some(&sender), recipients: &recipients };
    let judgement = judge(&opened, &envelope, &world.trust());
    assert_eq!((judgement.verdict, judgement.signature), (Verdict::Accept, SignatureState::Valid), "{judgement:?}");
    assert_eq!(judgement.bound_by, Some(BoundBy::Book));
    let handed = annotate(&bytes(&opened), &judgement, US, &Limits::default()).unwrap();
    let limits = Limits::default();
    let block = HeaderBlock::parse(&handed, &limits).unwrap();
    let notice = words::decode(&block.one("X-Sceau-Notice").unwrap().unwrap().value());
    assert_eq!(notice, "Garanti par CH EXEMPLE-TEST - auteur authentifié : Zoé MARTIN-TEST (899700000001), carte CPS");
    assert!(handed.ends_with(&message));
}

/// What no signature covers is digested as it is. Of what one covers, header and body both count, whatever the
/// layers around it were: the same message sealed twice is the same, another body or another field is not.
#[test]
fn the_inner_digest_is_of_everything_that_is_handed_over() {
    let world = World::new();
    let message = wire(MESSAGE);
    assert_eq!(opened(&world, &message).inner_digest, Fingerprint::new(sha256(&message)));
    let other = Fingerprint::new(sha256(b"another message"));

    let text = String::from_utf8(message.clone()).unwrap();
    let subject = text.replacen("Subject: ", "Subject: X", 1).into_bytes();
    let body = [&message[..], b"X\r\n"].concat();
    for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
        let digest = |message: &[u8]| {
            let sealed = world.seal(message, &["b@ch-autre.test"], profile).unwrap();
            let opened = opened(&world, &sealed.bytes);
            assert_eq!(*bytes(&opened), message);
            assert_eq!(opened.inner_digest, sealed.inner_digest);
            for (digest, is) in [(opened.inner_digest, true), (Fingerprint::new(sha256(message)), true), (other, false)]
            {
                assert_eq!(opened.is_what_was_judged(digest), Ok(is), "an older version's digest is known, no other");
            }
            opened.inner_digest
        };
        let found = [&message, &subject, &body].map(|message| digest(message));
        assert_eq!(found[0], digest(&message), "{profile:?}");
        assert!(found[0] != found[1] && found[0] != found[2] && found[1] != found[2], "{profile:?}");
    }
}

#[test]
fn client_and_signed_only_profiles() {
    let world = World::new();
    let message = wire(MESSAGE);
    for (profile, cipher) in [(Profile::Client, Some("AES-256-CBC")), (Profile::SignedOnly, None)] {
        let sealed = world.seal_as(&world.doctor, &message, &["b@ch-autre.test"], profile).unwrap();
        let opened = opened(&world, &sealed.bytes);
        assert_eq!(String::from_utf8_lossy(&bytes(&opened)), String::from_utf8_lossy(&message), "{profile:?}");
        assert_eq!(opened.inner_digest, sealed.inner_digest);
        assert_eq!(opened.encryption.as_ref().map(|e| e.cipher), cipher);
        assert_eq!(opened.header, HeaderOrigin::Signed);
        let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
        let judgement = judge(&opened, &envelope, &world.trust());
        assert_eq!((judgement.verdict, judgement.bound_by), (Verdict::Accept, Some(BoundBy::Person)), "{judgement:?}");
        assert!(judgement.notice().fr.starts_with("Signé par Médecin Zoé MARTIN-TEST"), "{}", judgement.notice().fr);
        assert!(!String::from_utf8_lossy(&sealed.bytes).contains("Compte rendu"));
    }
}

/// Decision 0030: mail programs read PKCS#1 v1.5, gateways OAEP.
#[test]
fn content_keys_are_wrapped_as_the_readers_of_a_profile_unwrap_them() {
    let world = World::with(KeyAlgorithm::Rsa2048);
    for (profile, cipher, transport) in
        [(Profile::Gateway, "AES-256-GCM", "RSA-OAEP SHA-256"), (Profile::Client, "AES-256-CBC", "RSA PKCS#1 v1.5")]
    {
        let sealed = world.seal(&wire(MESSAGE), &["b@ch-autre.test"], profile).unwrap();
        let encryption = opened(&world, &sealed.bytes).encryption.unwrap();
        assert_eq!((encryption.cipher, encryption.key_transport), (cipher, transport));
    }
}

/// Finding 16: what claims to be protected when it is handed in claims nothing when it leaves.
#[test]
fn a_claim_of_protection_at_submission_does_not_spoil_the_sealed_message() {
    let world = World::new();
    let message = wire(&MESSAGE.replace("charset=utf-8", "hp=\"cipher\"; charset=utf-8"));
    for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
        let sealed = world.seal(&message, &["b@ch-autre.test"], profile).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes(&opened(&world, &sealed.bytes))).into_owned().replace("\r\n", "\n"),
            MESSAGE
        );
    }
}

/// All octets of a body as they are before encryption: the signed container and the outer header.
fn before_encryption(world: &World, message: &[u8], recipients: &[Address]) -> Vec<u8> {
    let to: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let sealed = world.seal(message, &to, Profile::SignedOnly).unwrap();
    let limits = Limits::default();
    let block = HeaderBlock::parse(&sealed.bytes, &limits).unwrap();
    let der = mime::decode(block.body(), TransferEncoding::Base64).unwrap();
    [block.block(), &der].concat()
}

/// A22: a blind copy is in its own body only, and there nothing but the signed list names it.
#[test]
fn blind_copies_leak_nowhere() {
    let world = World::new();
    let message = wire(&format!("Bcc: secret@ch-autre.test,\n cache@tiers.test\n{MESSAGE}"));
    let facts = read(&message, &Limits::default()).unwrap();
    let envelope: Vec<Routed<u8>> =
        ["labo@ch-autre.test", "b@ch-autre.test", "secret@ch-autre.test", "c@tiers.test", "cache@tiers.test"]
            .map(|r| Routed { recipient: address(r), route: address(r).domain().to_string(), protection: 0 })
            .to_vec();
    let groups = groups(&facts, &envelope);
    assert_eq!(groups.len(), 4);
    for group in &groups {
        let octets = before_encryption(&world, &message, &group.recipients);
        let holds = |needle: &str| octets.windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle.as_bytes()));
        assert!(!holds("Bcc"));
        for blind in ["secret@", "cache@"] {
            let own = group.recipients.iter().any(|r| r.to_string().starts_with(blind));
            assert_eq!(holds(blind), own, "{blind} in the body of {:?}", group.recipients);
        }
    }
    // Two blind copies in one body, or one beside others, is refused.
    for to in [&["secret@ch-autre.test", "b@ch-autre.test"][..], &["secret@ch-autre.test", "cache@tiers.test"]] {
        assert_eq!(world.seal(&message, to, Profile::Gateway).map(|_| ()), Err(SealFault::BlindCopy));
    }
}

#[test]
fn the_size_bound_holds_for_large_messages_and_many_recipients() {
    let world = World::new();
    for (octets, named) in [(0, 1), (57 * 1000, 1), (1_000_000, 1), (1000, 900)] {
        let to: Vec<String> = (0..named).map(|n| format!("{}{n}@{}.test", "a".repeat(60), "b".repeat(60))).collect();
        let body = format!("{}\n", "x".repeat(76)).repeat(octets / 78);
        let message = wire(&format!("From: a@ch-exemple.test\nTo: {}\n\n{body}", to.join(",\n ")));
        for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
            let sealed = world.seal(&message, &[&to[0]], profile).unwrap();
            let bound = crate::size_bound(profile, message.len() as u64, named, 1);
            let size = sealed.bytes.len() as u64;
            assert!(size <= bound && bound <= size * 2 + 2_000_000, "{profile:?} {octets} {named}: {size} {bound}");
        }
    }
}

/// Promise 3: neither content nor key shows in what a log could print.
#[test]
fn nothing_of_the_content_is_printed() {
    let world = World::new();
    let sealed = world.seal(&wire(MESSAGE), &["b@ch-autre.test"], Profile::Gateway).unwrap();
    let opened = opened(&world, &sealed.bytes);
    let printed = format!("{opened:?}");
    let key = format!("{:?}", &**opened.encryption.as_ref().unwrap().content_key);
    assert!(!printed.contains("compte rendu") && !printed.contains("Subject") && !printed.contains(&key));
    let octets = format!("{:?}", b"compte rendu");
    assert!(!printed.contains(octets.trim_matches(['[', ']'])));
}

#[test]
fn profile_and_certificates_must_fit() {
    let world = World::new();
    let recipients = [address("b@ch-autre.test")];
    let limits = Limits::default();
    let request = |profile, to| SealRequest {
        message: b"From: a@x.test\r\nTo: b@ch-autre.test\r\n\r\n",
        recipients: &recipients,
        signer: &world.gateway,
        to,
        profile,
        inside: crate::Inside::Binary,
        at: NOW,
        assurance: None,
        extra: &[],
        authserv_id: US,
        subject: "x",
        limits: &limits,
    };
    assert_eq!(seal(&request(Profile::Gateway, &[])).map(|_| ()), Err(SealFault::Recipients));
    let to: [&Certificate; 1] = [world.reader.certificate()];
    assert_eq!(seal(&request(Profile::SignedOnly, &to)).map(|_| ()), Err(SealFault::Recipients));
    // The gateway's own result fields never leave, even when practice software writes them.
    let message = wire("X-Sceau-Verdict: accept\nFrom: a@x.test\nTo: b@ch-autre.test\n\nx\n");
    let sealed = seal(&SealRequest { message: &message, ..request(Profile::Gateway, &to) }).unwrap();
    let inner = bytes(&opened(&world, &sealed.bytes));
    assert_eq!(*inner, *clean::for_sending(&message, US, &Limits::default()).unwrap());
    assert!(inner.starts_with(b"From:"));
}

fn world() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(World::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the message, its reader gets it octet for octet, in every profile.
    #[test]
    fn seal_then_open_is_the_identity(
        subject in "[ -~é]{0,60}",
        media in prop_oneof![
            Just("text/plain"), Just("text/html; charset=utf-8;"), Just("message/rfc822"),
            Just("multipart/mixed;\n boundary=b"), Just("application/pdf; name=\"a b.pdf\""),
        ],
        lines in proptest::collection::vec("[ -~é\t]{0,90}", 0..20),
        last in "[a-z]{0,9}",
        profile in prop_oneof![Just(Profile::Gateway), Just(Profile::Client), Just(Profile::SignedOnly)],
    ) {
        let subject = words::text_field("Subject", &subject).replace("\r\n", "\n");
        let message = wire(&format!(
            "From: a@ch-exemple.test\nTo: b@ch-autre.test\nContent-Type: {media}\n{subject}MIME-Version: 1.0\n\n{}\n{last}",
            lines.join("\n"),
        ));
        let sealed = world().seal(&message, &["b@ch-autre.test"], profile).unwrap();
        let bound = crate::size_bound(profile, message.len() as u64, 1, 1);
        prop_assert!(sealed.bytes.len() as u64 <= bound, "{} > {}", sealed.bytes.len(), bound);
        let opened = open(&sealed.bytes, Access::Keys(&[&world().reader as &dyn DecryptionKey]), &[], &Limits::default()).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&bytes(&opened)).into_owned(), String::from_utf8_lossy(&message));
        prop_assert_eq!(opened.inner_digest, sealed.inner_digest);
        prop_assert!(read(&sealed.bytes, &Limits::default()).is_ok());
    }

    /// One changed octet anywhere in the sealed body is refused or changes nothing that counts.
    #[test]
    fn every_change_is_noticed(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let message = wire(MESSAGE);
        let sealed = world().seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap();
        let limits = Limits::default();
        let block = HeaderBlock::parse(&sealed.bytes, &limits).unwrap();
        let mut der = mime::decode(block.body(), TransferEncoding::Base64).unwrap().into_owned();
        let at = at.index(der.len());
        der[at] ^= flip;
        let mut forged = [block.block(), b"\r\n"].concat();
        mime::write_base64(&mut forged, &der);
        if let Ok(opened) = open(&forged, Access::Keys(&[&world().reader as &dyn DecryptionKey]), &[], &limits) {
            prop_assert_eq!(&*bytes(&opened), &message);
        }
    }

    #[test]
    fn opening_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), clear in any::<bool>()) {
        let kind = if clear {
            "multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b"
        } else {
            "application/pkcs7-mime"
        };
        let mut message = format!("From: a@x.test\r\nContent-Transfer-Encoding: base64\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
        mime::write_base64(&mut message, &noise);
        let _ = open(&message, Access::Keys(&[&world().reader as &dyn DecryptionKey]), &[], &Limits::default());
    }
}
