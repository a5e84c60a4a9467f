//! The catalogue of forged shapes (A2, A10–A14, A16, A20, A24, NT-H): each row verifies somewhere
//! in its mathematics, and each is refused with its own reason.

use ident::Address;
use pki::{
    cms::{self, ContentCipher},
    keys::FileKey,
};

use super::*;
use crate::{
    Access, BoundBy, Envelope, Judgement, OpenFault, SignatureState, Verdict, attributes, catalogue, judge, mime, open,
};

pub(super) const ZOE: &str = "zoe@ch-exemple.test";

/// What the receiving gateway answers: refused while opening, or judged.
pub(super) fn outcome(
    world: &World,
    message: &[u8],
    trust: &Fake,
    sender: Option<&str>,
    to: &[&str],
) -> Result<Judgement, OpenFault> {
    let recipients: Vec<Address> = to.iter().map(|r| address(r)).collect();
    let opened = open(message, Access::Keys(&[&world.reader]), &[], &Limits::default())?;
    let sender = sender.map(address);
    let judgement = judge(&opened, &Envelope { sender: sender.as_ref(), recipients: &recipients }, trust);
    if judgement.verdict == Verdict::Accept {
        // Delivery opens again, without our keys, and hands over the same octets.
        let key = opened.encryption.as_ref().map(|encryption| encryption.content_key.as_slice());
        let access = key.map_or(Access::Keys(&[]), Access::ContentKey);
        let again = open(message, access, &[], &Limits::default()).unwrap();
        assert_eq!(again.inner_digest, opened.inner_digest);
    }
    Ok(judgement)
}

/// The first reason, but for notes on how mail clients sign: most rows here are such mail.
pub(super) fn first(judgement: &Judgement) -> &'static str {
    let mut codes = judgement.reasons.iter().map(|reason| reason.code);
    codes.find(|code| !["header_not_signed", "signing_certificate_not_named"].contains(code)).unwrap_or("none")
}

/// The one code that refuses, whichever door said it.
pub(super) fn refused(world: &World, message: &[u8], trust: &Fake) -> String {
    match outcome(world, message, trust, None, &["b@ch-autre.test"]) {
        Err(fault) => format!("open:{}", fault.code()),
        Ok(judgement) => {
            format!("{:?}:{}", judgement.verdict, first(&judgement))
        }
    }
}

pub(super) fn part(der: &[u8], kind: &str) -> Vec<u8> {
    let mut out = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n").into_bytes();
    mime::write_base64(&mut out, der);
    out
}

pub(super) fn container(der: &[u8]) -> Vec<u8> {
    part(der, "application/pkcs7-mime; name=smime.p7m")
}

/// A mail whose root is this MIME entity.
pub(super) fn mail(from: &str, entity: &[u8]) -> Vec<u8> {
    [format!("From: {from}\r\nTo: b@ch-autre.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n").as_bytes(), entity].concat()
}

pub(super) fn text(body: &str) -> Vec<u8> {
    wire(&format!("Content-Type: text/plain\n\n{body}\n"))
}

pub(super) fn signed(key: &FileKey, entity: &[u8]) -> Vec<u8> {
    container(&cms::sign(entity, key, NOW, &[]).unwrap())
}

pub(super) fn clear_signed(key: &FileKey, entity: &[u8]) -> Vec<u8> {
    clear_with(entity, &cms::sign_detached(entity, key, NOW, &[]).unwrap())
}

pub(super) fn clear_with(entity: &[u8], signature: &[u8]) -> Vec<u8> {
    let head = wire(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\n\n--s\n",
    );
    let signature = part(signature, "application/pkcs7-signature; name=smime.p7s");
    [&head[..], entity, b"\r\n--s\r\n", &signature, b"--s--\r\n"].concat()
}

pub(super) fn mixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = wire("Content-Type: multipart/mixed; boundary=m\n\n");
    for part in parts {
        out.extend_from_slice(b"--m\r\n");
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--m--\r\n");
    out
}

pub(super) fn wrap(message: &str) -> Vec<u8> {
    [&b"Content-Type: message/rfc822\r\n\r\n"[..], &wire(message)].concat()
}

pub(super) fn encrypted(world: &World, entity: &[u8], cipher: ContentCipher) -> Vec<u8> {
    container(&cms::encrypt(entity, &[world.reader.certificate()], cipher).unwrap())
}

#[test]
fn a_plain_good_signature_is_accepted() {
    let world = World::new();
    for entity in [signed(&world.doctor, &text("bonjour")), clear_signed(&world.doctor, &text("bonjour"))] {
        let message = mail(ZOE, &entity);
        let judgement = outcome(&world, &message, &world.trust(), Some(ZOE), &["b@ch-autre.test"]).unwrap();
        assert_eq!((judgement.verdict, judgement.bound_by), (Verdict::Accept, Some(BoundBy::Person)), "{judgement:?}");
        assert!(judgement.notice().fr.starts_with("Signé par Médecin Zoé MARTIN-TEST ("));
    }
}

#[test]
fn structure_shapes() {
    let world = World::new();
    let good = text("bonjour");
    let evil = text("faux");
    let opaque = cms::sign(&evil, &world.doctor, NOW, &[]).unwrap();
    let detached = cms::sign_detached(&good, &world.doctor, NOW, &[]).unwrap();
    let attached =
        [&b"Content-Type: message/rfc822\r\n\r\n"[..], &mail(ZOE, &clear_signed(&world.doctor, &good))].concat();
    let no_protocol = {
        let message = String::from_utf8(mail(ZOE, &clear_with(&good, &detached))).unwrap();
        message
            .replace("protocol=\"application/pkcs7-signature\"; ", "")
            .replace("pkcs7-signature", "other")
            .into_bytes()
    };
    let gcm = ContentCipher::Aes256Gcm;
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("A10 detached signature with content", mail(ZOE, &clear_with(&good, &opaque)), "Refuse:detached_with_content"),
        (
            "A12 prepended part",
            mail(ZOE, &mixed(&[&evil, &clear_signed(&world.doctor, &good)])),
            "Refuse:signature_not_root",
        ),
        ("A12 opaque part", mail(ZOE, &mixed(&[&evil, &signed(&world.doctor, &good)])), "Refuse:signature_not_root"),
        ("A12 footer", mail(ZOE, &mixed(&[&clear_signed(&world.doctor, &good), &evil])), "Refuse:signature_not_root"),
        (
            "A12 signature file alone",
            mail(ZOE, &mixed(&[&evil, &part(&detached, "application/pkcs7-signature")])),
            "Refuse:signature_not_root",
        ),
        (
            "A12 under encryption",
            mail(ZOE, &encrypted(&world, &mixed(&[&evil, &clear_signed(&world.doctor, &good)]), gcm)),
            "Refuse:signature_not_root",
        ),
        (
            "A12 three parts",
            {
                let message = mail(ZOE, &clear_with(&good, &detached));
                String::from_utf8(message).unwrap().replace("--s--", "--s\r\n\r\nfaux\r\n--s--").into_bytes()
            },
            "open:mime_malformed",
        ),
        ("A12 no protocol", no_protocol, "open:mime_malformed"),
        (
            "H6 altered",
            {
                let message = mail(ZOE, &clear_with(&good, &detached));
                String::from_utf8(message).unwrap().replace("bonjour", "bonsoir").into_bytes()
            },
            "Refuse:altered",
        ),
        (
            "H9 signed ciphertext",
            mail(ZOE, &signed(&world.doctor, &encrypted(&world, &good, gcm))),
            "Refuse:signature_outside_encryption",
        ),
        (
            "A20 too many layers",
            {
                let mut entity = good.clone();
                for _ in 0..6 {
                    entity = signed(&world.doctor, &entity);
                }
                mail(ZOE, &entity)
            },
            "open:too_many_layers",
        ),
        (
            "A20 encrypted twice",
            mail(ZOE, &encrypted(&world, &encrypted(&world, &good, gcm), gcm)),
            "open:encrypted_twice",
        ),
        (
            "H4 not for us",
            {
                let der = cms::encrypt(&good, &[world.other_reader.certificate()], gcm).unwrap();
                mail(ZOE, &container(&der))
            },
            "open:not_for_us",
        ),
        ("no container", mail(ZOE, &container(b"bonjour")), "open:cms_malformed"),
        ("A12 a container called text", mail(ZOE, &part(&opaque, "text/plain")), "open:container_mislabelled"),
        (
            "A12 a container called text, and spoilt further on",
            mail(ZOE, &[part(&opaque, "text/plain"), b"!!!!\r\n".to_vec()].concat()),
            "open:container_mislabelled",
        ),
        (
            "A12 a container called a file",
            mail(ZOE, &part(&opaque, "application/octet-stream")),
            "open:container_mislabelled",
        ),
        (
            "A12 a container called nothing",
            mail(
                ZOE,
                &part(&cms::encrypt(&good, &[world.reader.certificate()], gcm).unwrap(), "application/pkcs7-mjme"),
            ),
            "open:container_mislabelled",
        ),
    ];
    for (shape, message, expected) in rows {
        assert_eq!(refused(&world, &message, &world.trust()), expected, "{shape}");
    }
    // A signed message forwarded as an attachment says nothing about the message that carries it.
    let forwarded = mail(ZOE, &mixed(&[&evil, &attached]));
    assert_eq!(refused(&world, &forwarded, &world.trust()), "Accept:signature_in_attachment");
    let alone = Fake { operator: None, ..world.trust() };
    assert_eq!(refused(&world, &forwarded, &alone), "Refuse:unsigned");
}

/// A2, A9, H9: under CBC every failure is one failure, and only a good inner signature opens it.
#[test]
fn unauthenticated_encryption_needs_a_signature_inside() {
    let world = World::new();
    let good = text("bonjour");
    let cbc = ContentCipher::Aes256Cbc;
    let accepted = mail(ZOE, &encrypted(&world, &signed(&world.doctor, &good), cbc));
    assert_eq!(refused(&world, &accepted, &world.trust()), "Accept:none");
    let altered = {
        let mut der = cms::sign(&good, &world.doctor, NOW, &[]).unwrap();
        let at = der.windows(7).position(|w| w == b"bonjour").unwrap();
        der[at] ^= 1;
        container(&der)
    };
    let shapes = [
        ("unsigned", good.clone()),
        ("not a message", b"noise".to_vec()),
        ("altered", altered),
        ("hidden signature", mixed(&[&good, &signed(&world.doctor, &good)])),
        ("compressed", container(&[0x30, 0x0d, 6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 9])),
    ];
    for (shape, entity) in shapes {
        let message = mail(ZOE, &encrypted(&world, &entity, cbc));
        assert_eq!(refused(&world, &message, &world.trust()), "open:decryption_failed", "{shape}");
    }
    let outside = mail(ZOE, &signed(&world.doctor, &encrypted(&world, &good, cbc)));
    assert_eq!(refused(&world, &outside, &world.trust()), "open:decryption_failed");
    // Triple wrapping reads: the inner signature counts.
    let triple = signed(&world.gateway, &encrypted(&world, &signed(&world.doctor, &good), cbc));
    assert_eq!(refused(&world, &mail(ZOE, &triple), &world.trust()), "Accept:none");
}

/// A13, A16, A24: who, and for whom.
#[test]
fn identity_shapes() {
    let world = World::new();
    let good = text("bonjour");
    let gcm = ContentCipher::Aes256Gcm;
    let wrapped = |outer: &str, inner: &str| {
        let entity = encrypted(&world, &signed(&world.gateway, &wrap(inner)), gcm);
        [&wire(&format!("{outer}MIME-Version: 1.0\n"))[..], &entity].concat()
    };
    let inner = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nMessage-ID: <1@x>\n\nbonjour\n";
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("good", wrapped("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nMessage-ID: <1@x>\n", inner), "Accept:none"),
        ("outer without recipients", wrapped("From: zoe@ch-exemple.test\n", inner), "Accept:none"),
        (
            "A13 person signs for another",
            mail("yves@ch-exemple.test", &signed(&world.doctor, &good)),
            "Refuse:from_not_bound",
        ),
        (
            "A13 domain signs for another",
            mail("zoe@tiers.test", &signed(&world.gateway, &good)),
            "Refuse:from_not_bound",
        ),
        (
            "A13 mailbox signs for its neighbour",
            mail("chef@tiers.test", &signed(&world.mailbox, &good)),
            "Refuse:from_not_bound",
        ),
        (
            "A13 name in the display",
            mail("\"zoe@ch-exemple.test\" <chef@tiers.test>", &signed(&world.doctor, &good)),
            "Refuse:from_not_bound",
        ),
        ("A13 outer From", wrapped("From: chef@ch-exemple.test\n", inner), "Refuse:outer_from_differs"),
        (
            "A13 outer Message-ID",
            wrapped("From: zoe@ch-exemple.test\nMessage-ID: <2@x>\n", inner),
            "Refuse:outer_message_id_differs",
        ),
        ("A16 outer To", wrapped("From: zoe@ch-exemple.test\nTo: c@ch-autre.test\n", inner), "Refuse:outer_to_differs"),
        (
            "A16 outer Cc",
            wrapped("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nCc: c@ch-autre.test\n", inner),
            "Refuse:outer_cc_differs",
        ),
        (
            "A14 two From inside",
            wrapped("From: zoe@ch-exemple.test\n", &format!("From: chef@ch-exemple.test\n{inner}")),
            "open:duplicate_field",
        ),
        (
            "A14 two Subject inside",
            wrapped("From: zoe@ch-exemple.test\n", &format!("Subject: a\nSubject: b\n{inner}")),
            "open:duplicate_field",
        ),
        (
            "A14 two Content-Type outside",
            { [b"Content-Type: text/plain\r\n", &mail(ZOE, &signed(&world.doctor, &good))[..]].concat() },
            "open:duplicate_field",
        ),
        ("unknown issuer", mail(ZOE, &signed(&world.reader, &good)), "Refuse:unknown_issuer"),
        ("A13 unlisted operator", mail("zoe@ailleurs.test", &good), "Refuse:operator_not_listed"),
        ("unsigned from a listed operator", mail("x@tiers.test", &good), "Accept:not_signed"),
        ("A24 encrypted and unsigned", mail("x@tiers.test", &encrypted(&world, &good, gcm)), "Accept:not_signed"),
    ];
    for (shape, message, expected) in rows {
        assert_eq!(refused(&world, &message, &world.trust()), expected, "{shape}");
    }
    let alone = Fake { operator: None, ..world.trust() };
    assert_eq!(refused(&world, &mail("x@tiers.test", &encrypted(&world, &good, gcm)), &alone), "Refuse:unsigned");
}

/// A16: the same signed body, taken out of its envelope and sealed again for somebody else.
#[test]
fn surreptitious_forwarding() {
    let world = World::new();
    let message = wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n");
    let sealed = world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap().bytes;
    let judged = |message: &[u8], to: &str| outcome(&world, message, &world.trust(), None, &[to]).unwrap();
    assert_eq!(judged(&sealed, "B@ch-autre.test").verdict, Verdict::Accept);
    let judgement = judged(&sealed, "c@ch-autre.test");
    assert_eq!((judgement.verdict, judgement.reasons[0].code), (Verdict::Refuse, "recipient_not_intended"));
    assert!(judgement.assurance.is_none());
    // A blind copy is intended for exactly that recipient.
    let blind = world.seal(&message, &["cache@ch-autre.test"], Profile::Gateway).unwrap().bytes;
    assert_eq!(judged(&blind, "cache@ch-autre.test").verdict, Verdict::Accept);
    assert_eq!(judged(&blind, "autre@ch-autre.test").verdict, Verdict::Refuse);
    // Without our attribute, protected To and Cc decide (NT-H01).
    let entity = signed(&world.gateway, &wrap("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nx\n"));
    let foreign = [&wire("From: zoe@ch-exemple.test\nMIME-Version: 1.0\n")[..], &entity].concat();
    assert_eq!(judged(&foreign, "b@ch-autre.test").verdict, Verdict::Accept);
    assert_eq!(judged(&foreign, "c@ch-autre.test").reasons[0].code, "recipient_not_named");
    // Repeated attributes: nothing is believed.
    let b = address("b@ch-autre.test");
    let attribute = attributes::intended_recipients(&[&b]);
    let mut twice = attribute.clone();
    twice.values.push(attributes::intended_recipients(&[]).values.remove(0));
    let der = cms::sign(&wrap("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nx\n"), &world.gateway, NOW, &[twice])
        .unwrap();
    let forged = [&wire("From: zoe@ch-exemple.test\nMIME-Version: 1.0\n")[..], &container(&der)].concat();
    assert_eq!(judged(&forged, "b@ch-autre.test").reasons[0].code, "signed_attributes_malformed");
}

/// Design §3: the order of binding, and what the reader is told for each.
#[test]
fn binding_order() {
    let world = World::new();
    let good = text("bonjour");
    let bound = |key: &FileKey, from: &str, trust: &Fake| {
        let message = mail(from, &signed(key, &good));
        let judgement = outcome(&world, &message, trust, None, &["b@ch-autre.test"]).unwrap();
        let notice = judgement.notice().fr;
        (judgement.bound_by, notice.split(" (").next().unwrap_or_default().to_owned())
    };
    let trust = world.trust();
    let name = |text: &str| text.to_owned();
    assert_eq!(
        bound(&world.mailbox, "labo@tiers.test", &trust),
        (Some(BoundBy::CertificateAddress), name("Signé par labo@tiers.test"))
    );
    assert_eq!(bound(&world.doctor, ZOE, &trust), (Some(BoundBy::Person), name("Signé par Médecin Zoé MARTIN-TEST")));
    let labo = "labo@ch-exemple.test";
    assert_eq!(bound(&world.gateway, labo, &trust), (Some(BoundBy::Organisation), name("Garanti par CH EXEMPLE-TEST")));
    assert_eq!(bound(&world.gateway, ZOE, &trust), (Some(BoundBy::Book), name("Garanti par CH EXEMPLE-TEST")));
    // The same certificates without the path, the ownership or the book are bound by nothing.
    let empty = Fake { persons: vec![], structures: vec![], book: vec![], ..trust.clone() };
    assert_eq!(bound(&world.doctor, ZOE, &empty).0, None);
    assert_eq!(bound(&world.gateway, labo, &empty).0, None);
    let no_path = Fake { valid: HashMap::new(), ..trust.clone() };
    assert_eq!(bound(&world.mailbox, "labo@tiers.test", &no_path).0, None);
    assert_eq!(bound(&world.doctor, ZOE, &no_path).0, None);
    // An address in a person's or organisation's certificate counts only under a fitting path.
    let wrong =
        Fake { valid: HashMap::from([(world.mailbox.certificate().fingerprint(), vec![Purpose::Server])]), ..trust };
    assert_eq!(bound(&world.mailbox, "labo@tiers.test", &wrong).0, None);
}

#[test]
fn what_cannot_be_told_is_not_refused_for_good() {
    let world = World::new();
    let waiting = Fake { waiting: true, ..world.trust() };
    let message = mail(ZOE, &signed(&world.doctor, &text("bonjour")));
    let judgement = outcome(&world, &message, &waiting, None, &[]).unwrap();
    assert_eq!((judgement.verdict, judgement.signature), (Verdict::Undetermined, SignatureState::Undetermined));
    assert_eq!(judgement.reasons[0].code, "crl_missing");
    // A certificate that its own authority has withdrawn is no doubt.
    let revoked = Fake { revoked: true, ..waiting.clone() };
    let judgement = outcome(&world, &message, &revoked, None, &[]).unwrap();
    assert_eq!((judgement.verdict, judgement.reasons[0].code), (Verdict::Refuse, "revoked"));
    // A reason to refuse outweighs the doubt.
    let judgement = outcome(&world, &message, &waiting, Some("x@tiers.test"), &[]).unwrap();
    assert_eq!((judgement.verdict, judgement.reasons[0].code), (Verdict::Refuse, "envelope_sender_differs"));
}

/// RFC 5280 §4.2.1.12: no extended key usage, no restriction. It is good for none of our purposes all
/// the same; only what is said of its signature follows the general rule.
#[test]
fn a_signer_that_states_no_purpose_is_refused_whatever_its_signature_is_worth() {
    let world = World::new();
    let validity = Validity::days(NOW, 3650);
    let root = Authority::root(&AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, validity)).unwrap();
    let profile = Kind::Custom { subject: pki::issue::SubjectName::french(), extensions: vec![] };
    let plain =
        root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap().file_key().unwrap();
    let message = mail("labo@tiers.test", &signed(&plain, &text("bonjour")));
    let valid = |purposes: Vec<Purpose>| Fake {
        valid: HashMap::from([(plain.certificate().fingerprint(), purposes)]),
        ..world.trust()
    };
    for (purposes, expected) in [(vec![Purpose::Any], SignatureState::Valid), (vec![], SignatureState::Invalid)] {
        let judgement = outcome(&world, &message, &valid(purposes), None, &[]).unwrap();
        assert_eq!((judgement.verdict, judgement.signature), (Verdict::Refuse, expected));
        assert_eq!(judgement.reasons[0].code, "wrong_purpose");
    }
    // A certificate that does state a purpose is judged by it alone.
    let gateway = mail(ZOE, &signed(&world.gateway, &text("bonjour")));
    let any = Fake {
        valid: HashMap::from([(world.gateway.certificate().fingerprint(), vec![Purpose::Any])]),
        ..world.trust()
    };
    let judgement = outcome(&world, &gateway, &any, None, &[]).unwrap();
    assert_eq!((judgement.verdict, judgement.signature), (Verdict::Refuse, SignatureState::Invalid));
}

/// NT-H02, NT-H04, NT-H05, NT-H07.
#[test]
fn envelope_and_misleading_headers() {
    let world = World::new();
    let judged = |header: &str, sender: Option<&str>| {
        let entity = signed(&world.doctor, &text("bonjour"));
        let message = [&wire(&format!("{header}MIME-Version: 1.0\n"))[..], &entity].concat();
        let judgement = outcome(&world, &message, &world.trust(), sender, &[]).unwrap();
        (judgement.verdict, first(&judgement))
    };
    let delegate = "From: zoe@ch-exemple.test\nSender: sec@ch-exemple.test\n";
    assert_eq!(judged(delegate, Some("sec@ch-exemple.test")), (Verdict::Accept, "none"));
    assert_eq!(judged(delegate, Some("autre@ch-exemple.test")), (Verdict::Refuse, "envelope_sender_differs"));
    assert_eq!(
        judged("From: zoe@ch-exemple.test\nSender: x@ailleurs.test\n", None),
        (Verdict::Refuse, "sender_domain")
    );
    assert_eq!(
        judged("From: zoe@ch-exemple.test\nReply-To: x@grand-public.test\n", None),
        (Verdict::Accept, "reply_to_outside")
    );
    assert_eq!(
        judged("From: \"ministre@sante.test\" <zoe@ch-exemple.test>\n", None),
        (Verdict::Accept, "display_name_shows_address")
    );
}

#[test]
fn reasons_are_distinct_and_bilingual() {
    let all = catalogue();
    let mut codes: Vec<_> = all.iter().map(|reason| reason.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all.len());
    assert!(
        all.iter().all(|reason| !reason.text.fr.is_empty() && !reason.text.en.is_empty() && !reason.rule.is_empty())
    );
}
