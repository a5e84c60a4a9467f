//! What our own gateway does with keys, plaintext and policy: A15, A18, A19, A22, A23.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pki::{
    book::{Book, BookEntry, BookOwner, BookUse, Standing},
    cms::{self, ContentCipher},
};

use super::{Cast, Row, tree::changed, *};
use crate::{
    Access, Envelope, OpenFault, Signature, dsn, judge, open,
    source::{Room, Scratch, Source},
};

const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const CBC: ContentCipher = ContentCipher::Aes256Cbc;

fn row(form: &'static str, got: String, expected: &'static str) -> Row {
    Row { form, got, expected }
}

fn entry(key: &FileKey, usage: BookUse) -> BookEntry {
    BookEntry {
        owner: BookOwner::Domain(Domain::parse("ch-exemple.test").unwrap()),
        usage,
        certificate: key.certificate().clone(),
        provenance: "test".into(),
    }
}

/// The book of a receiver: a pinned certificate, and a new one that somebody sent.
fn book(pinned: &FileKey, sent: &FileKey, usage: BookUse) -> String {
    let book = Book::new(vec![entry(pinned, usage)]).with_others(vec![(entry(sent, usage), Standing::Pending)]);
    let zoe = address(ZOE);
    let used = if usage == BookUse::Signs { book.signers_for(&zoe) } else { book.readers(&zoe) };
    let only = used.iter().all(|entry| entry.certificate == *pinned.certificate()) && used.len() == 1;
    format!("pinned only: {only}, waits: {}", book.awaits(&zoe, usage))
}

/// A world in which another key has a certificate with the same names and numbers as the gateway's.
fn twin(of: &FileKey) -> FileKey {
    let key = openssl::ec::EcKey::generate(
        &openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap(),
    )
    .unwrap();
    let key = openssl::pkey::PKey::from_ec_key(key).unwrap();
    let model = openssl::x509::X509::from_der(of.certificate().der()).unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(model.serial_number()).unwrap();
    builder.set_subject_name(model.subject_name()).unwrap();
    builder.set_issuer_name(model.issuer_name()).unwrap();
    builder.set_not_before(model.not_before()).unwrap();
    builder.set_not_after(model.not_after()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    FileKey::new(key, Certificate::from_openssl(&builder.build()).unwrap(), vec![]).unwrap()
}

const PINNED: &str = "pinned only: true, waits: true";

pub(super) fn a15(cast: &Cast) -> Vec<Row> {
    let world = &cast.world;
    let other = twin(&world.gateway);
    // A signer that waits for approval is neither believed nor refused for good.
    let waiting = Awaiting(Fake { book: vec![], ..world.trust() });
    let letter = mail(ZOE, &signed(&world.gateway, &text("voici ma nouvelle clef")));
    let opened = open(&letter, Access::Keys(&[]), &[], &Limits::default()).unwrap();
    let judgement = judge(&opened, &Envelope { sender: None, recipients: &[] }, &waiting);
    // A notice about a letter carries nothing of what was sealed in it.
    let sealed = world.seal(
        &wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: diagnostic\n\nsecret\n"),
        &["b@ch-autre.test"],
        Profile::Gateway,
    );
    let sealed = sealed.unwrap().bytes;
    let notice = notice(&sealed);
    let holds = |needle: &str| notice.windows(needle.len()).any(|window| window == needle.as_bytes());
    vec![
        row("a new signing certificate in a letter", book(&world.gateway, &other, BookUse::Signs), PINNED),
        row("a new reading certificate in a letter", book(&world.reader, &world.other_reader, BookUse::Reads), PINNED),
        row(
            "signed with the one that waits",
            format!("{:?}:{}", judgement.verdict, judgement.reasons[0].code),
            "Undetermined:signer_awaits_approval",
        ),
        row("a notice that quotes", format!("{} {}", holds("diagnostic"), holds("secret")), "false false"),
    ]
}

fn notice(original: &[u8]) -> Vec<u8> {
    let recipients = [dsn::Reported {
        recipient: address("b@ch-autre.test"),
        original: None,
        action: dsn::Action::Failed,
        status: (5, 7, 5),
        remote: None,
        reply: None,
        advice: ident::Bilingual::new("x", "x"),
        last_attempt: None,
        next_attempt: None,
        retry_until: None,
    }];
    dsn::write(&dsn::Notice {
        reporting: US,
        from: &address("postmaster@ch-autre.test"),
        sender: Some(&address(ZOE)),
        unique: "u",
        at: NOW,
        arrived: NOW,
        envelope_id: None,
        original,
        help: None,
        recipients: &recipients,
    })
    .unwrap()
}

/// A book in which every signer waits.
struct Awaiting(Fake);

impl Trust for Awaiting {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict {
        self.0.path(certificate, purpose)
    }

    fn person_owns(&self, person: &PersonId, address: &Address) -> bool {
        self.0.person_owns(person, address)
    }

    fn structure_owns(&self, structure: &StructureId, address: &Address) -> bool {
        self.0.structure_owns(structure, address)
    }

    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool {
        self.0.book_signs(certificate, address)
    }

    fn book_awaits(&self, _: &Certificate, _: &Address) -> bool {
        true
    }

    fn handover(&self, domain: &Domain) -> Handover {
        self.0.handover(domain)
    }
}

/// Room that counts: how often it was asked for, what was written into it, what was read out of it.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) rooms: AtomicUsize,
    pub(super) written: Arc<AtomicUsize>,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) reads: Arc<AtomicUsize>,
}

struct Sheet {
    octets: Vec<u8>,
    written: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl Room for Watched {
    fn scratch(&self, _: u64) -> Box<dyn Scratch> {
        self.rooms.fetch_add(1, Ordering::SeqCst);
        self.alive.fetch_add(1, Ordering::SeqCst);
        Box::new(Sheet {
            octets: Vec::new(),
            written: Arc::clone(&self.written),
            alive: Arc::clone(&self.alive),
            reads: Arc::clone(&self.reads),
        })
    }
}

impl Write for Sheet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.written.fetch_add(octets.len(), Ordering::SeqCst);
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scratch for Sheet {
    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        Ok(Arc::new(*self))
    }
}

impl Source for Sheet {
    fn reader(&self, from: u64) -> io::Result<Box<dyn io::Read + Send + '_>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let from = usize::try_from(from).unwrap();
        Ok(Box::new(self.octets.get(from..).unwrap_or_default()))
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn a18(cast: &Cast) -> Vec<Row> {
    let world = &cast.world;
    // What became of plaintext: whether any was made, and whether any is left or handed over.
    let left = |container: &[u8]| {
        let room = Watched::default();
        let message: Arc<dyn Source> = Arc::new(mail(ZOE, &in_base64(container)));
        let opened = crate::open_source(message, Access::Keys(&[&world.reader]), &[], &Limits::default(), &room);
        let handed = opened.as_ref().map_or(0, |opened| opened.inner_size);
        drop(opened);
        let made = room.written.load(Ordering::SeqCst) > 0;
        format!("made {made}, handed over {handed}, left {}", room.alive.load(Ordering::SeqCst))
    };
    let sealed = cast.sealed(GCM);
    let tag = changed(&sealed, |tree| tree.at(&[1, 0, 3]).octets()[0] ^= 1);
    let padding = changed(&cast.sealed(CBC), |tree| *tree.at(&[1, 0, 2, 2]).octets().last_mut().unwrap() ^= 1);
    let mut altered = cast.signed();
    let at = altered.windows(7).position(|window| window == b"bonjour").unwrap();
    altered[at] = b'B';
    let broken = cms::encrypt(&in_base64(&altered), &[world.reader.certificate()], GCM).unwrap();
    let large = wire(&format!("Content-Type: text/plain\n\n{}", "une ligne\n".repeat(50_000)));
    let large = cms::encrypt(&signed(&world.doctor, &large), &[world.reader.certificate()], GCM).unwrap();
    let large = changed(&large, |tree| tree.at(&[1, 0, 3]).octets()[0] ^= 1);
    const NOTHING: &str = "made true, handed over 0, left 0";
    vec![
        row("wrong tag", left(&tag), NOTHING),
        row("wrong tag behind much text", left(&large), NOTHING),
        row("wrong padding", left(&padding), NOTHING),
        row("wrong signature", left(&broken), NOTHING),
        row(
            "for another reader",
            left(&cms::encrypt(&text("x"), &[world.other_reader.certificate()], GCM).unwrap()),
            "made false, handed over 0, left 0",
        ),
    ]
}

pub(super) fn a19(cast: &Cast) -> Vec<Row> {
    let world = &cast.world;
    let sealed = |field: &str| {
        let message = wire(&format!(
            "{field}From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: [signe][unsigned] x\n\nbonjour\n"
        ));
        let sealed = world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap().bytes;
        let opened = open(&sealed, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        let Signature::Good(signed) = &opened.signature else { return "not signed".to_owned() };
        let who = if signed.signer == *world.gateway.certificate() { "the gateway" } else { "another" };
        format!("{who}, {}", opened.encryption.map_or("clear", |encryption| encryption.cipher))
    };
    // Nor does what comes in: a stranger's letter says that it was judged, and is judged all the same.
    let coming = |field: &str| {
        let message = [wire(field), mail("x@ailleurs.test", &text("x"))].concat();
        cast.says(&message)
    };
    const OURS: &str = "the gateway, AES-256-GCM";
    vec![
        row("a signer by name", sealed("X-Signer: zoe@ch-exemple.test\n"), OURS),
        row("signing switched off", sealed("X-Skip-Signing: yes\nX-Sceau-Profile: transport\n"), OURS),
        row("a word in the subject", sealed(""), OURS),
        row("a verdict in a letter that comes in", coming("X-Sceau-Verdict: accept\n"), "Refuse:operator_not_listed"),
        row(
            "an assurance in a letter that comes in",
            coming("X-Sceau-Assurance: authenticated; Zoe; CPS\n"),
            "Refuse:operator_not_listed",
        ),
    ]
}

pub(super) fn a22(cast: &Cast) -> Vec<Row> {
    let sealed = |field: &str, to: &[&str]| {
        let message = wire(&format!("{field}From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n"));
        cast.world.seal(&message, to, Profile::Gateway).map(|sealed| sealed.bytes)
    };
    let shows = |field: &str| {
        let bytes = sealed(field, &["b@ch-autre.test"]).unwrap();
        let opened = open(&bytes, Access::Keys(&[&cast.world.reader]), &[], &Limits::default()).unwrap();
        let inner = super::bytes(&opened);
        let Signature::Good(signed) = &opened.signature else { return "not signed".to_owned() };
        let named = signed.said.intended.clone().unwrap_or_default().iter().any(|named| named.contains("cache"));
        let found = [&bytes[..], &inner]
            .iter()
            .any(|octets| octets.windows(5).any(|window| window.eq_ignore_ascii_case(b"cache")));
        format!("shows {}", found || named)
    };
    let together = |to: &[&str]| sealed("", to).map_or_else(|fault| format!("{fault:?}"), |_| "sealed".to_owned());
    vec![
        row("in Bcc", shows("Bcc: cache@ch-autre.test\n"), "shows false"),
        row(
            "in Bcc, folded, in another case",
            shows("bCC: Caché <CACHE@ch-autre.test>,\n autre@ch-autre.test\n"),
            "shows false",
        ),
        row("in Resent-Bcc", shows("Resent-Bcc: cache@ch-autre.test\n"), "shows false"),
        row("beside a visible one", together(&["b@ch-autre.test", "cache@ch-autre.test"]), "BlindCopy"),
        row("beside another one", together(&["cache@ch-autre.test", "autre@ch-autre.test"]), "BlindCopy"),
    ]
}

pub(super) fn a23(cast: &Cast) -> Vec<Row> {
    let world = &cast.world;
    let other = twin(&world.gateway);
    let good = text("bonjour");
    // Names, numbers and issuer are the pinned one's; the key is not.
    let by_twin = cast.says(&mail(ZOE, &signed(&other, &good)));
    let without = |key: &FileKey| {
        changed(&cms::sign(&good, key, NOW, &[]).unwrap(), |tree| {
            tree.at(&[1, 0]).remove(3);
        })
    };
    let known = |container: &[u8], known: &[Certificate]| {
        let message = mail(ZOE, &in_base64(container));
        let opened = open(&message, Access::Keys(&[]), known, &Limits::default()).unwrap();
        let judgement = judge(&opened, &Envelope { sender: None, recipients: &[] }, &world.trust());
        format!("{:?}:{}", judgement.verdict, forged::first(&judgement))
    };
    let both = [other.certificate().clone(), world.gateway.certificate().clone()];
    vec![
        row("a twin in the message", by_twin, "Refuse:unknown_issuer"),
        row(
            "a twin in the message, the pinned one known",
            known(&cms::sign(&good, &other, NOW, &[]).unwrap(), &both[1..]),
            "Refuse:unknown_issuer",
        ),
        row("a twin known before the pinned one", known(&without(&world.gateway), &both), "Accept:none"),
        row("a twin signs, both are known", known(&without(&other), &both), "Refuse:unknown_issuer"),
        row("a twin sent as a replacement", book(&world.gateway, &other, BookUse::Signs), PINNED),
    ]
}

/// A9, H4: whatever is wrong with what was encrypted, the same is done: one use of the key, the same octets
/// decrypted, the same answer in the same words. Under CBC a wrong padding goes all the way that a right one
/// goes.
#[test]
fn a9_the_same_is_done_whatever_failed() {
    struct Counting<'k>(&'k FileKey, AtomicUsize);
    impl pki::keys::DecryptionKey for Counting<'_> {
        fn certificate(&self) -> &Certificate {
            pki::keys::DecryptionKey::certificate(self.0)
        }

        fn rsa_decrypt(
            &self,
            padding: pki::keys::RsaPadding,
            wrapped: &[u8],
        ) -> Result<zeroize::Zeroizing<Vec<u8>>, pki::keys::KeyError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.rsa_decrypt(padding, wrapped)
        }

        fn ecdh(
            &self,
            peer: &openssl::pkey::PKey<openssl::pkey::Public>,
        ) -> Result<zeroize::Zeroizing<Vec<u8>>, pki::keys::KeyError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.ecdh(peer)
        }
    }
    let cast = cast();
    let attempt = |container: &[u8]| {
        let key = Counting(&cast.rsa, AtomicUsize::new(0));
        let room = Watched::default();
        let message: Arc<dyn Source> = Arc::new(mail(ZOE, &in_base64(container)));
        let fault = crate::open_source(message, Access::Keys(&[&key]), &[], &Limits::default(), &room).unwrap_err();
        assert_eq!(fault, OpenFault::Failed);
        let (rooms, written) = (room.rooms.load(Ordering::SeqCst), room.written.load(Ordering::SeqCst));
        let read = room.reads.load(Ordering::SeqCst);
        // All but the last block, which holds the padding, is the same work.
        let done = (key.1.load(Ordering::SeqCst), rooms, written / 16 * 16, fault.to_string(), fault.text().en);
        (done, read)
    };
    let letter = [signed(&cast.world.doctor, &text("bonjour")), b" ".repeat(100)].concat();
    for (cipher, transport) in
        [(CBC, cms::RsaTransport::Pkcs1), (CBC, cms::RsaTransport::OaepSha256), (GCM, cms::RsaTransport::OaepSha256)]
    {
        let sealed = cms::encrypt_with(&letter, &[cast.rsa.certificate()], cipher, transport).unwrap();
        let wrapped = |octet: u8| changed(&sealed, |tree| *tree.at(&[1, 0, 1, 0, 3]).octets() = vec![octet; 256]);
        let content = |at: usize| {
            changed(&sealed, |tree| {
                let octets = tree.at(&[1, 0, 2, 2]).octets();
                let at = octets.len() - 1 - at;
                octets[at] ^= 0x55;
            })
        };
        // A wrong key, in three ways; wrong padding, wrong text far before it, and both.
        let keys = [1, 0xff, 0].map(|octet| attempt(&wrapped(octet)));
        let contents = [0, 16, 17, 40, 400].map(|at| attempt(&content(at)));
        println!("{cipher:?} {transport:?}: {:?} {:?}", keys.each_ref().map(|k| k.1), contents.each_ref().map(|c| c.1));
        let (first, _) = keys[0].clone();
        assert_eq!((first.0, first.1), (1, 1), "{cipher:?} {transport:?}");
        let tried = [&keys[..], &contents[..]].concat();
        assert!(tried.iter().all(|(done, _)| *done == first), "{cipher:?} {transport:?}: {tried:#?}");
        // What a wrong key gives begins with an empty line once in some hundred times, and is looked at once more
        // then; never oftener than right text.
        let most = contents[0].1;
        assert!(contents.iter().all(|(_, read)| *read == most), "{cipher:?} {transport:?}: {contents:#?}");
        assert!(keys.iter().all(|(_, read)| *read <= most), "{cipher:?} {transport:?}: {keys:#?}");
    }
}
