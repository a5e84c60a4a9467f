//! By which certificate a signature is judged, how its holder is called, and names that would mislead (A13, H6, H8).

use openssl::{
    cms::{CMSOptions, CmsContentInfo},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    stack::Stack,
    x509::{X509, X509NameBuilder},
};

use super::{
    forged::{ZOE, clear_signed, container, mail, outcome, signed, text},
    *,
};
use crate::{BoundBy, Judgement, SignatureState, Verdict};

const READER: &str = "b@ch-autre.test";

/// A certificate of somebody else's authority with the issuer, number and public key of this one.
fn twin(of: &FileKey, name: &str) -> Certificate {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let authority = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let model = X509::from_der(of.certificate().der()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(model.serial_number()).unwrap();
    builder.set_subject_name(&subject.build()).unwrap();
    builder.set_issuer_name(model.issuer_name()).unwrap();
    builder.set_not_before(model.not_before()).unwrap();
    builder.set_not_after(model.not_after()).unwrap();
    builder.set_pubkey(&model.public_key().unwrap()).unwrap();
    builder.sign(&authority, MessageDigest::sha256()).unwrap();
    Certificate::from_openssl(&builder.build()).unwrap()
}

/// As Outlook signs: nothing says which certificate is meant.
fn as_outlook(key: &FileKey, beside: &[&Certificate], entity: &[u8]) -> Vec<u8> {
    let mut stack = Stack::new().unwrap();
    beside.iter().for_each(|certificate| stack.push(certificate.openssl().clone()).unwrap());
    let (certificate, private) = (key.certificate().openssl(), key.openssl());
    let options = CMSOptions::BINARY;
    let signed = CmsContentInfo::sign(Some(certificate), Some(private), Some(&stack), Some(entity), options);
    container(&signed.unwrap().to_der().unwrap())
}

fn codes(judgement: &Judgement) -> Vec<&'static str> {
    judgement.reasons.iter().map(|reason| reason.code).collect()
}

/// Finding 14: certificates that somebody on the way puts beside the signer's turn nothing away, and dress nothing up.
#[test]
fn a_certificate_put_beside_the_signers_changes_nothing() {
    let world = World::new();
    let trust = world.trust();
    let plain = as_outlook(&world.doctor, &[], &text("bonjour"));
    let judgement = outcome(&world, &mail(ZOE, &plain), &trust, None, &[READER]).unwrap();
    assert_eq!(judgement.verdict, Verdict::Accept, "{judgement:?}");
    assert_eq!(codes(&judgement), ["signing_certificate_not_named", "header_not_signed"]);

    // Whichever way the two are sorted in the container.
    for number in 0..6 {
        let other = twin(&world.doctor, &format!("Dr MALLORY-TEST {number}"));
        let message = mail(ZOE, &as_outlook(&world.doctor, &[&other], &text("bonjour")));
        let judgement = outcome(&world, &message, &trust, None, &[READER]).unwrap();
        assert_eq!((judgement.verdict, judgement.bound_by), (Verdict::Accept, Some(BoundBy::Person)), "{judgement:?}");
        assert_eq!(judgement.signer.as_ref().unwrap().fingerprint, world.doctor.certificate().fingerprint());
        let opened = crate::open(&message, crate::Access::Keys(&[]), &[], &Limits::default()).unwrap();
        let crate::Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
        assert_eq!(signed.judged(judgement.signer.as_ref()), world.doctor.certificate());
        // A doubt about the genuine one is a doubt, not a refusal.
        let waiting = Fake { waiting: true, ..trust.clone() };
        let judgement = outcome(&world, &message, &waiting, None, &[READER]).unwrap();
        assert_eq!(judgement.verdict, Verdict::Undetermined);
        // A valid path of the other alone speaks for nobody here.
        let only = Fake {
            valid: HashMap::from([(other.fingerprint(), vec![Purpose::Email, Purpose::Person])]),
            ..trust.clone()
        };
        let judgement = outcome(&world, &message, &only, None, &[READER]).unwrap();
        assert_eq!((judgement.verdict, judgement.bound_by), (Verdict::Refuse, None));
    }
    // What says which certificate it means is noted by nobody.
    let named = outcome(&world, &mail(ZOE, &signed(&world.doctor, &text("x"))), &trust, None, &[READER]).unwrap();
    assert_eq!(codes(&named), ["header_not_signed"]);
}

/// Finding 20, H8: where only the mailbox was checked, the reader is shown the mailbox.
#[test]
fn the_holder_is_called_what_somebody_answers_for() {
    let world = World::new();
    let notice = |key: &FileKey, from: &str, trust: &Fake| {
        let message = mail(from, &clear_signed(key, &text("bonjour")));
        let judgement = outcome(&world, &message, trust, None, &[READER]).unwrap();
        assert_eq!((judgement.verdict, judgement.signature), (Verdict::Accept, SignatureState::Valid), "{judgement:?}");
        let signer = judgement.signer.clone().unwrap();
        (judgement.notice().fr.split(" (").next().unwrap().to_owned(), signer.title, signer.identifier)
    };
    // Its authority checks mailboxes, whatever structure the subject names.
    assert_eq!(
        notice(&world.mailbox, "labo@tiers.test", &world.trust()),
        ("Signé par labo@tiers.test".to_owned(), None, None)
    );
    let fingerprint = world.mailbox.certificate().fingerprint();
    let checked = Fake { valid: HashMap::from([(fingerprint, vec![Purpose::Organisation])]), ..world.trust() };
    assert_eq!(notice(&world.mailbox, "labo@tiers.test", &checked).0, "Signé par LABO TIERS-TEST");
    // A subject that names nobody of the trust space: the mailbox, or the domain that our book has it for.
    let validity = Validity::days(NOW, 3650);
    let root = Authority::root(&AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, validity)).unwrap();
    let profile = Kind::Custom { subject: pki::issue::SubjectName::french(), extensions: vec![] };
    let plain =
        root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap().file_key().unwrap();
    let fingerprint = plain.certificate().fingerprint();
    let booked = Fake {
        valid: HashMap::from([(fingerprint, vec![Purpose::Email])]),
        book: vec![(fingerprint, Domain::parse("tiers.test").unwrap())],
        ..world.trust()
    };
    assert_eq!(notice(&plain, "x@tiers.test", &booked).0, "Garanti par tiers.test");
}

/// Finding 10, NT-H07: a name that shows another address is noted, however it is written.
#[test]
fn names_that_show_another_address_are_noted() {
    let world = World::new();
    let noted = |name: &str| {
        let entity = signed(&world.doctor, &text("bonjour"));
        let head = wire(&format!("From: {name} <zoe@ch-exemple.test>\nTo: {READER}\nMIME-Version: 1.0\n"));
        let judgement = outcome(&world, &[&head[..], &entity].concat(), &world.trust(), None, &[READER]).unwrap();
        codes(&judgement).into_iter().find(|code| code.starts_with("display_name")).unwrap_or("none")
    };
    for name in [
        "\"chef@tiers.test\"",
        "\"chef@tiers.test (zoe@ch-exemple.test)\"",
        "\"zoe@ch-exemple.test chef@tiers.test\"",
        "\"chef＠tiers.test\"",
        "=?utf-8?Q?chef=EF=B9=AB?= tiers.test",
        "=?iso-8859-2?Q?chef=40tiers.test?=",
        "\"xzoe@ch-exemple.test\"",
    ] {
        assert_eq!(noted(name), "display_name_shows_address", "{name}");
    }
    for name in ["=?utf-7?Q?chef+AEA-tiers.test?=", "=?utf-8?X?chef?="] {
        assert_eq!(noted(name), "display_name_unreadable", "{name}");
    }
    for name in ["Zoé", "\"Zoe@CH-exemple.test\"", "\"'zoe@ch-exemple.test'\"", "=?iso-8859-2?Q?Zo=E9?="] {
        assert_eq!(noted(name), "none", "{name}");
    }
}

/// Whom a signature names as the author, good or not: for what its bringer may be told (decision 0042).
#[test]
fn a_signature_names_its_author_whatever_it_is_worth() {
    struct Awaited(Fake);
    impl crate::Trust for Awaited {
        fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict {
            self.0.path(certificate, purpose)
        }
        fn person_owns(&self, _: &PersonId, _: &Address) -> bool {
            false
        }
        fn structure_owns(&self, _: &StructureId, _: &Address) -> bool {
            false
        }
        fn book_signs(&self, _: &Certificate, _: &Address) -> bool {
            false
        }
        fn book_awaits(&self, certificate: &Certificate, _: &Address) -> bool {
            self.0.book.iter().any(|(known, _)| *known == certificate.fingerprint())
        }
        fn handover(&self, domain: &Domain) -> crate::Handover {
            self.0.handover(domain)
        }
    }
    let world = World::new();
    let opened = |signer: &FileKey, from: &str| {
        let text = format!("From: <{from}>\nTo: <b@ch-autre.test>\nMessage-ID: <1@x.test>\n\nBonjour.\n");
        let sealed = world.seal_as(signer, &wire(&text), &["b@ch-autre.test"], Profile::Gateway).unwrap();
        crate::open(&sealed.bytes, crate::Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap()
    };
    let nobody = Fake { persons: vec![], structures: vec![], book: vec![], ..world.trust() };
    let revoked = Fake { revoked: true, ..world.trust() };
    let waiting = Fake { waiting: true, ..world.trust() };
    let named = crate::signer_names_author;
    for (signer, from, other) in [
        (&world.doctor, "zoe@ch-exemple.test", "luc@ch-exemple.test"),
        (&world.gateway, "labo@ch-exemple.test", "labo@tiers.test"),
        (&world.mailbox, "labo@tiers.test", "autre@tiers.test"),
    ] {
        for trust in [&world.trust(), &revoked, &waiting] {
            assert!(named(&opened(signer, from), trust), "{from}");
            assert!(!named(&opened(signer, other), trust), "{other}");
        }
        let by_certificate = from == "labo@tiers.test";
        assert_eq!(named(&opened(signer, from), &nobody), by_certificate, "{from}");
    }
    // In the book, or in a partner's file that waits for approval.
    let zoe = opened(&world.gateway, "zoe@ch-exemple.test");
    assert!(named(&zoe, &world.trust()) && !named(&zoe, &nobody));
    assert!(named(&zoe, &Awaited(world.trust())) && !named(&zoe, &Awaited(nobody)));
}

/// H6: a signature that fits nothing is opaque: a good one inside it, whoever made it, takes nothing of that away.
#[test]
fn a_good_signature_inside_a_broken_one_counts_for_nothing() {
    let world = World::new();
    let good = signed(&world.doctor, &text("bonjour"));
    let outer = pki::cms::sign(&good, &world.gateway, NOW, &[]).unwrap();
    let says = |der: &[u8]| {
        let judgement = outcome(&world, &mail(ZOE, &container(der)), &world.trust(), None, &[READER]).unwrap();
        (judgement.verdict, judgement.signature)
    };
    assert_eq!(says(&outer), (Verdict::Accept, SignatureState::Valid));
    // What the outer one signs is changed where the inner one does not look: a case of its own media type.
    let place = outer.windows(10).position(|octets| octets == b"name=smime").unwrap();
    let mut broken = outer;
    broken[place] = b'N';
    assert_eq!(says(&broken), (Verdict::Refuse, SignatureState::Invalid));
}

/// A key that its certificate makes for reading signs no mail, whatever path and book say of it.
#[test]
fn a_certificate_that_is_not_for_signing_signs_nothing() {
    let world = World::new();
    let mut trust = world.trust();
    let reads = world.reader.certificate().fingerprint();
    trust.valid.insert(reads, vec![Purpose::Organisation]);
    trust.book.push((reads, Domain::parse("ch-exemple.test").unwrap()));
    let judgement =
        outcome(&world, &mail(ZOE, &signed(&world.reader, &text("bonjour"))), &trust, None, &[READER]).unwrap();
    let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code).collect();
    assert_eq!((judgement.verdict, judgement.signature), (Verdict::Refuse, SignatureState::Invalid), "{codes:?}");
    assert!(codes.contains(&"signer_not_for_mail") && judgement.bound_by.is_none(), "{codes:?}");
}

/// The word of an operator is no signature of the author, and an author's signature with a fault counts for nothing.
#[test]
fn what_only_looks_like_an_authors_signature_is_none() {
    let world = World::new();
    let operators = outcome(&world, &mail(ZOE, &text("bonjour")), &world.trust(), None, &[READER]).unwrap();
    assert_eq!((operators.verdict, operators.bound_by), (Verdict::Accept, Some(BoundBy::Operator)));
    assert!(!operators.from_bound());
    let own = outcome(&world, &mail(ZOE, &signed(&world.doctor, &text("bonjour"))), &world.trust(), None, &[]).unwrap();
    assert!(own.from_bound());
    let author = crate::AuthorSignature::of(&own);
    assert!(author.counts());
    for faulty in [
        crate::AuthorSignature { faults: vec!["signed_attributes_malformed"], ..author.clone() },
        crate::AuthorSignature { bound_by: None, ..author.clone() },
        crate::AuthorSignature { signature: SignatureState::Undetermined, ..author },
    ] {
        assert!(!faulty.counts(), "{faulty:?}");
    }
}
