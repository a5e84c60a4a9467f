//! The author's own signature inside the gateway's: kept as it came, judged apart, named beside it.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::Engine as _;
use pki::cms;

use super::*;
use crate::{
    Access, AuthorSignature, BoundBy, Envelope, Opened, Signature, SignatureState, Verdict, author, judge, open,
    open_source, read,
    source::{InMemory, Room, Scratch, Source},
};

const HEADER: &str = "Date: Sat, 21 Nov 2026 22:57:00 +0000\nFrom: <zoe@ch-exemple.test>\nTo: <b@ch-autre.test>\n\
    Subject: Signe\nMessage-ID: <2@ch-exemple.test>\nMIME-Version: 1.0\n";
const TEXT: &str = "Content-Type: text/plain\n\nBonjour.\n";

/// `multipart/signed` by hand, as practice software writes it.
fn clear(signer: &FileKey, content: &str) -> Vec<u8> {
    let content = wire(content);
    let signature = cms::sign_detached(&content, signer, NOW, &[]).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.encode(signature);
    let lines: Vec<&str> = signature.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let head = format!(
        "{HEADER}Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\n\n\
         This is signed.\n--b\n"
    );
    let tail = format!(
        "\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n{}\n--b--\n",
        lines.join("\n")
    );
    [wire(&head), content, wire(&tail)].concat()
}

fn opaque(signer: &FileKey, content: &str) -> Vec<u8> {
    let signed = cms::sign(&wire(content), signer, NOW, &[]).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(signed);
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let head = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n\
                Content-Transfer-Encoding: base64\n\n";
    wire(&format!("{HEADER}{head}{}\n", lines.join("\n")))
}

fn handed_in(message: &[u8]) -> Option<Opened> {
    let limits = Limits::default();
    let facts = read(message, &limits).unwrap();
    let source: Arc<dyn Source> = Arc::new(message.to_vec());
    author(&source, &facts, &[], &limits, &InMemory).unwrap()
}

fn judged(world: &World, opened: &Opened) -> AuthorSignature {
    AuthorSignature::of(&judge(opened, &Envelope { sender: None, recipients: &[] }, &world.trust()))
}

/// In every profile the message comes out as the author's software wrote it, and both are named.
#[test]
fn an_authors_signature_is_kept_and_named_beside_the_gateways() {
    let world = World::new();
    for message in [clear(&world.doctor, TEXT), opaque(&world.doctor, TEXT)] {
        for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
            let sealed = world.seal(&message, &["b@ch-autre.test"], profile).unwrap();
            let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
            assert_eq!(*bytes(&opened), message, "{profile:?}");
            assert_eq!(opened.inner_digest, sealed.inner_digest);
            let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
            let judgement = judge(&opened, &envelope, &world.trust());
            assert_eq!(
                (judgement.verdict, judgement.bound_by),
                (Verdict::Accept, Some(BoundBy::Book)),
                "{judgement:?}"
            );
            let author = judgement.author.clone().unwrap();
            assert_eq!((author.counts(), author.bound_by), (true, Some(BoundBy::Person)), "{author:?}");
            let notice = judgement.notice();
            assert!(
                notice.fr.starts_with("Signé par Médecin Zoé MARTIN-TEST - Garanti par CH EXEMPLE-TEST"),
                "{notice:?}"
            );
        }
    }
    let unsigned = wire(&format!("{HEADER}\nBonjour.\n"));
    assert!(handed_in(&unsigned).is_none());
    let sealed = world.seal(&unsigned, &["b@ch-autre.test"], Profile::Gateway).unwrap();
    // Whom a message is encrypted for says nothing about who wrote it.
    assert!(handed_in(&sealed.bytes).is_none());
    let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
    assert!(opened.author.is_none());
}

/// What counts for nothing is never shown as signed; the gateway's word stands without it.
#[test]
fn a_bad_author_signature_is_told_and_never_shown_as_signed() {
    let world = World::new();
    let altered = String::from_utf8(clear(&world.doctor, TEXT)).unwrap().replace("Bonjour", "Bonsoir").into_bytes();
    let parts =
        String::from_utf8(clear(&world.doctor, TEXT)).unwrap().replacen("\r\n--b--", "\r\n--b\r\n\r\nx\r\n--b--", 1);
    let other = "Content-Type: message/rfc822\n\nFrom: <autre@ch-exemple.test>\nTo: <b@ch-autre.test>\n\nx\n";
    let hp = "From: <autre@ch-exemple.test>\nTo: <b@ch-autre.test>\nContent-Type: text/plain; hp=\"clear\"\n\nx\n";
    for (shape, message, state) in [
        ("altered", altered, SignatureState::Invalid),
        ("three parts", parts.into_bytes(), SignatureState::Invalid),
        ("another structure's key", opaque(&world.mailbox, TEXT), SignatureState::Valid),
        ("another author in the signed header", clear(&world.doctor, other), SignatureState::Valid),
        ("the same, protected by the other means", opaque(&world.doctor, hp), SignatureState::Valid),
    ] {
        let alone = judged(&world, &handed_in(&message).unwrap());
        assert!(!alone.counts() && !alone.faults.is_empty(), "{shape}: {alone:?}");
        assert_eq!(alone.signature, state, "{shape}: {alone:?}");
        let sealed = world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap();
        let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        assert!(matches!(opened.signature, Signature::Good(_)));
        let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
        let judgement = judge(&opened, &envelope, &world.trust());
        assert_eq!(judgement.verdict, Verdict::Accept, "{shape}");
        assert!(judgement.reasons.iter().any(|reason| reason.code == "author_signature_invalid"), "{shape}");
        let notice = judgement.notice().fr;
        assert!(!notice.contains("Signé par") && notice.contains("n'est pas valable"), "{shape}: {notice}");
    }
    // Not invalid: it cannot be told today.
    let doubtful = Fake { waiting: true, ..world.trust() };
    let signed = handed_in(&clear(&world.doctor, TEXT)).unwrap();
    let judgement = judge(&signed, &Envelope { sender: None, recipients: &[] }, &doubtful);
    let author = AuthorSignature::of(&judgement);
    assert_eq!((author.signature, author.counts()), (SignatureState::Undetermined, false));
}

/// One answer everywhere to what a clear signature is (A12): at the door, at sealing, inside a wrap, at opening. Readers
/// show one without `protocol`, and so it has to be one.
#[test]
fn a_clear_signature_is_one_however_its_header_says_so() {
    let world = World::new();
    let told = "protocol=\"application/pkcs7-signature\"; ";
    for (spelling, is_one) in [
        (told, true),
        ("", true),
        ("Protocol=\"APPLICATION/Pkcs7-Signature\"; ", true),
        ("protocol=\"application/x-pkcs7-signature\"; ", true),
        ("protocol=\" application/pkcs7-signature\"; ", true),
        ("protocol=\"application/pgp-signature\"; ", false),
        ("protocol=\"x/pkcs7-signature-not\"; ", false),
    ] {
        let spelled = |message: Vec<u8>| String::from_utf8(message).unwrap().replace(told, spelling).into_bytes();
        let own = spelled(clear(&world.doctor, TEXT));
        let foreign = spelled(clear(&world.mailbox, TEXT));
        let broken = String::from_utf8(own.clone()).unwrap().replace("Bonjour", "Bonsoir").into_bytes();
        // At the door of submission.
        let door = |message: &[u8]| handed_in(message).map(|found| judged(&world, &found).counts());
        let expected = |counts: bool| is_one.then_some(counts);
        assert_eq!(door(&own), expected(true), "{spelling}");
        assert_eq!((door(&foreign), door(&broken)), (expected(false), expected(false)), "{spelling}");
        // At opening, as it is and in what programs read.
        let opened = open(&own, Access::Keys(&[]), &[], &Limits::default()).unwrap();
        assert_eq!(matches!(opened.signature, Signature::Good(_)), is_one, "{spelling}");
        for (message, counts) in [(&own, true), (&foreign, false), (&broken, false)] {
            let sealed = world.seal(message, &["b@ch-autre.test"], Profile::Client).unwrap();
            let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
            let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
            let judgement = judge(&opened, &envelope, &world.trust());
            assert_eq!(judgement.bound_by, Some(BoundBy::Book), "the gateway's counts: {spelling} {judgement:?}");
            assert_eq!(judgement.author.as_ref().map(AuthorSignature::counts), expected(counts), "{spelling}");
        }
    }
}

/// A delegate hands in what Dr MARTIN-TEST signed with its header protected, under another subject: it is delivered as
/// it came, and the reader hears that what is shown above it is not what was signed.
#[test]
fn a_subject_that_the_author_did_not_sign_is_told() {
    let world = World::new();
    let hp = "Date: Sat, 21 Nov 2026 22:57:00 +0000\nFrom: <zoe@ch-exemple.test>\nTo: <b@ch-autre.test>\n\
        Subject: Signe\nContent-Type: text/plain; hp=\"clear\"\n\nBonjour.\n";
    let letter = format!("Content-Type: message/rfc822\n\n{}", hp.replace("; hp=\"clear\"", ""));
    let same: [(&str, &str); 2] =
        [("Subject: Signe", "Subject: Signe"), ("Subject: Signe", "Subject:  =?utf-8?Q?Signe?=")];
    let other = [
        ("Subject: Signe", "Subject: Autre"),
        ("Subject: Signe\n", ""),
        ("Date: Sat, 21 Nov 2026 22:57", "Date: Sat, 21 Nov 2026 20:57"),
    ];
    for (content, (from, to), differs) in [hp, &letter].into_iter().flat_map(|content| {
        same.map(|change| (content, change, false)).into_iter().chain(other.map(|change| (content, change, true)))
    }) {
        for message in [clear(&world.doctor, content), opaque(&world.doctor, content)] {
            let text = String::from_utf8(message).unwrap();
            let (from, to) = (from.replace('\n', "\r\n"), to.replace('\n', "\r\n"));
            // Only the field outside, which comes first.
            let message = text.replacen(&from, &to, 1).into_bytes();
            let found = handed_in(&message).unwrap();
            assert_eq!((found.outer_fields_differ, judged(&world, &found).counts()), (differs, true), "{to}");
            let sealed = world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap();
            let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
            let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
            let judgement = judge(&opened, &envelope, &world.trust());
            assert_eq!(judgement.verdict, Verdict::Accept, "{to}");
            let noted = judgement.reasons.iter().any(|reason| reason.code == "author_fields_differ");
            assert_eq!(noted, differs, "{to}");
            let notice = judgement.notice();
            assert!(notice.fr.starts_with("Signé par Médecin Zoé MARTIN-TEST"), "{notice:?}");
            assert_eq!(
                notice.fr.contains("(texte et pièces jointes ; ni objet, ni date, ni destinataires)"),
                differs,
                "{notice:?}"
            );
        }
    }
}

/// The verdict on top of a message gives way to a signature that is good, and to nothing that merely looks like one.
#[test]
fn only_a_good_signature_stands_at_the_root_without_our_words() {
    let world = World::new();
    let seal = |message: &[u8], profile| world.seal(message, &["b@ch-autre.test"], profile).unwrap().bytes;
    let opened = |message: &[u8]| open(message, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
    let own = clear(&world.doctor, TEXT);
    let with =
        |to: &str| String::from_utf8(own.clone()).unwrap().replace("application/pkcs7-signature\";", to).into_bytes();
    let broken = String::from_utf8(own.clone()).unwrap().replace("Bonjour", "Bonsoir").into_bytes();
    let file =
        wire(&format!("{HEADER}Content-Type: application/octet-stream; name=lettre.p7m\n\nSigne par Dr MARTIN-TEST\n"));
    for (shape, message, keeps) in [
        ("clear, as it came", own.clone(), true),
        ("clear, in a wrap", seal(&own, Profile::Gateway), true),
        ("clear, for programs", seal(&own, Profile::Client), true),
        ("opaque, in a wrap", seal(&opaque(&world.doctor, TEXT), Profile::SignedOnly), true),
        ("broken, in a wrap", seal(&broken, Profile::Gateway), false),
        ("of another kind", with("application/pgp-signature\";"), false),
        ("of another kind, in a wrap", seal(&with("x/y\";"), Profile::Gateway), false),
        ("the name of a container, in a wrap", seal(&file, Profile::Gateway), false),
        ("nothing", seal(&wire(&format!("{HEADER}\nBonjour.\n")), Profile::Gateway), false),
    ] {
        assert_eq!(opened(&message).keeps_signature(), keeps, "{shape}");
    }
}

/// Room that keeps count of what it is asked for and of what comes.
#[derive(Default)]
struct Counting {
    asked: Mutex<Vec<u64>>,
    written: Arc<AtomicU64>,
}

struct Written(Box<dyn Scratch>, Arc<AtomicU64>);

impl Room for Counting {
    fn scratch(&self, octets: u64) -> Box<dyn Scratch> {
        self.asked.lock().unwrap().push(octets);
        Box::new(Written(InMemory.scratch(0), Arc::clone(&self.written)))
    }
}

impl Write for Written {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.1.fetch_add(octets.len() as u64, Ordering::Relaxed);
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Scratch for Written {
    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        self.0.into_source()
    }
}

/// A20, design §6: whatever stands around a large letter that its author signed, its octets go where the caller keeps
/// them, and nobody asks for as much as a message might be at most.
#[test]
fn a_large_letter_signed_by_its_author_takes_the_room_it_is_given() {
    const MOST: usize = 512 << 20;
    let world = World::new();
    let pictures = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk\n".repeat(70_000);
    let letter = opaque(&world.doctor, &format!("{TEXT}{pictures}"));
    let limits = Limits { message: MOST, ..Limits::default() };
    // What decryption makes, and what lies behind more than one layer: each once.
    for (profile, kept) in [(Profile::Gateway, 1), (Profile::Client, 2), (Profile::SignedOnly, 1)] {
        let sealed = world.seal(&letter, &["b@ch-autre.test"], profile).unwrap().bytes;
        let room = Counting::default();
        let opened =
            open_source(Arc::new(sealed.clone()), Access::Keys(&[&world.reader]), &[], &limits, &room).unwrap();
        assert!(matches!(opened.author.as_ref().unwrap().signature, Signature::Good(_)), "{profile:?}");
        let (asked, written) = (room.asked.into_inner().unwrap(), room.written.load(Ordering::Relaxed));
        assert!(asked.iter().all(|octets| *octets <= sealed.len() as u64 * 2), "{profile:?} asked for {asked:?}");
        assert_eq!(asked.len(), kept, "{profile:?} asked for {asked:?}");
        assert!(written > 4 << 20 && written <= kept as u64 * sealed.len() as u64, "{profile:?} {written}");
    }
}
