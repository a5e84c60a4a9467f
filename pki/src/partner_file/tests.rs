//! What a partner file must be to be believed, and everything that must be refused.

use std::{sync::LazyLock, time::Duration};

use ident::Address;
use proptest::prelude::*;

use super::*;
use crate::{
    crl::RevocationList,
    issue::{CardUse, Issued, OrganisationUse, Profile, ServerMailUse, Structure},
    keys::FileKey,
    path::tests::{NOW, PERSONS, SERVERS, bare, builder, certificate, crl, doctor, hospital, organisation, request},
};

const DAY: Duration = Duration::from_secs(86_400);

fn other_hospital() -> Structure {
    Structure::new(StructureId::parse("1990000009").unwrap(), "CH AUTRE-TEST", "Paris (75)")
}

pub(crate) fn mail(structure: Structure, name: &str, usage: ServerMailUse, emails: Vec<Address>) -> Profile {
    Profile::ServerMail { name: name.into(), structure, usage, emails }
}

fn issued(profile: Profile) -> Issued {
    SERVERS.issuing.issue(&request(profile)).unwrap()
}

fn own(usage: ServerMailUse) -> Issued {
    issued(mail(hospital(), "ch-exemple.test", usage, vec![]))
}

pub(crate) fn key(issued: &Issued) -> FileKey {
    FileKey::new(issued.key().to_owned(), certificate(issued), vec![]).unwrap()
}

pub(crate) static SIGNER: LazyLock<FileKey> = LazyLock::new(|| key(&own(ServerMailUse::Sign)));
static READS: LazyLock<Certificate> = LazyLock::new(|| certificate(&own(ServerMailUse::Confidentiality)));

pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

pub(crate) fn entry(owner: &str, usage: BookUse, certificate: &Certificate) -> PartnerEntry {
    let owner = BookOwner::parse(owner).unwrap();
    PartnerEntry { owner, usage, certificate: certificate.clone(), capabilities: None }
}

pub(crate) fn draft(serial: u64, entries: Vec<PartnerEntry>) -> PartnerDraft {
    PartnerDraft { operator: hospital().id, serial, issued: NOW, expires: NOW.plus(DAY * 30), entries }
}

fn usual() -> Vec<PartnerEntry> {
    vec![
        entry("ch-exemple.test", BookUse::Signs, SIGNER.certificate()),
        entry("ch-exemple.test", BookUse::Reads, &READS),
    ]
}

/// A trust list in which the hospital speaks for its domain, and another for its own.
fn named(domain: &Domain) -> Vec<StructureId> {
    match domain.as_str() {
        "ch-exemple.test" => vec![hospital().id],
        "ch-autre.test" => vec![other_hospital().id],
        _ => vec![],
    }
}

fn verify_with(
    file: &[u8],
    validator: &Validator,
    held: Option<Held>,
    at: Timestamp,
) -> Result<PartnerFile, PartnerFileError> {
    let held = |_: &StructureId| held.clone();
    PartnerFile::verify(file, &Expected { validator, named: &named, operator: None, held: &held }, at)
}

fn verify(file: &[u8]) -> Result<PartnerFile, PartnerFileError> {
    verify_with(file, &builder().build().unwrap(), None, NOW)
}

#[track_caller]
fn refused(entries: Vec<PartnerEntry>) -> PartnerFileError {
    verify(&sign(&draft(7, entries), &*SIGNER).unwrap()).unwrap_err()
}

/// Signs any text, as somebody with the key but other software could.
fn signed_text(text: &str) -> Vec<u8> {
    cms::sign(text.as_bytes(), &*SIGNER, NOW, &[]).unwrap()
}

#[test]
fn what_is_published_is_read() {
    let address = entry("cardio@ch-exemple.test", BookUse::Reads, &READS);
    let entries = [usual(), vec![address]].concat();
    let file = verify(&sign(&draft(7, entries.clone()), &*SIGNER).unwrap()).unwrap();
    assert_eq!((file.operator(), file.serial(), file.issued()), (&hospital().id, 7, NOW));
    assert_eq!((file.expires(), file.entries()), (NOW.plus(DAY * 30), entries.as_slice()));
    assert_eq!((file.signer(), file.left_out()), (SIGNER.certificate(), [].as_slice()));
}

#[test]
fn only_an_organisation_signs_and_only_for_itself() {
    let text = content::write(&draft(7, usual())).unwrap();
    let by = |key: &FileKey| verify(&cms::sign(&text, key, NOW, &[]).unwrap()).unwrap_err();
    let other = key(&issued(mail(other_hospital(), "ch-autre.test", ServerMailUse::Sign, vec![])));
    assert!(matches!(by(&other), PartnerFileError::OtherOperator { found, .. } if found == other_hospital().id));
    let client = key(&issued(organisation(OrganisationUse::AuthClient)));
    assert!(matches!(by(&client), PartnerFileError::Signer(_)), "a certificate that authenticates signs no files");
    let card = key(&PERSONS.issuing.issue(&request(doctor(CardUse::Signature))).unwrap());
    assert!(matches!(by(&card), PartnerFileError::Signer(_)), "a person is no operator");
    let stranger = crate::path::tests::Hierarchy::new("INCONNUE");
    let stranger = key(&stranger.issuing.issue(&request(mail(hospital(), "x", ServerMailUse::Sign, vec![]))).unwrap());
    assert!(matches!(by(&stranger), PartnerFileError::SignerInvalid(it) if it.code == "unknown_issuer"));
    // We do not publish either what nobody would believe.
    assert!(matches!(sign(&draft(7, usual()), &other), Err(PartnerFileError::Signer(_))));
    // Fetched for one operator, signed by another.
    let validator = builder().build().unwrap();
    let wanted = other_hospital().id;
    let expected =
        Expected { validator: &validator, named: &named, operator: Some(&wanted), held: &|_: &StructureId| None };
    let file = sign(&draft(7, usual()), &*SIGNER).unwrap();
    let error = PartnerFile::verify(&file, &expected, NOW).unwrap_err();
    assert!(matches!(error, PartnerFileError::OtherOperator { .. }), "{error}");
}

#[test]
fn a_signer_that_is_revoked_or_unknown_now_signs_nothing() {
    let file = sign(&draft(7, usual()), &*SIGNER).unwrap();
    let revoking = bare()
        .crl(&crl(&SERVERS.root, &[], NOW, 1))
        .and_then(|it| it.crl(&crl(&SERVERS.issuing, &[SIGNER.certificate()], NOW, 2)))
        .unwrap();
    let error = verify_with(&file, &revoking.build().unwrap(), None, NOW).unwrap_err();
    assert!(matches!(&error, PartnerFileError::SignerInvalid(it) if it.code == "revoked"), "{error}");
    let error = verify_with(&file, &bare().build().unwrap(), None, NOW).unwrap_err();
    assert!(matches!(error, PartnerFileError::Undetermined(_)) && error.is_temporary());
}

#[test]
fn only_the_operators_own_domains() {
    for theirs in ["ch-autre.test", "sous.ch-exemple.test", "x@ch-autre.test", "nulle-part.test"] {
        let error = refused([usual(), vec![entry(theirs, BookUse::Reads, &READS)]].concat());
        let PartnerFileError::OthersDomain { domain, .. } = &error else { panic!("{theirs}: {error}") };
        assert!(theirs.ends_with(domain.as_str()) && error.to_string().contains("1990000001"), "{error}");
    }
}

#[test]
fn certificates_are_the_operators_own_and_made_for_their_use() {
    let domain = "ch-exemple.test";
    let reading =
        |structure, emails| certificate(&issued(mail(structure, domain, ServerMailUse::Confidentiality, emails)));
    let email = |text: &str| vec![Address::parse(text).unwrap()];
    let one_mailbox = reading(hospital(), email("cardio@ch-exemple.test"));
    for (owner, usage, certificate) in [
        (domain, BookUse::Reads, reading(other_hospital(), vec![])),
        // NT-T09: the halves of a pair swapped.
        (domain, BookUse::Reads, SIGNER.certificate().clone()),
        (domain, BookUse::Signs, READS.clone()),
        (domain, BookUse::Signs, certificate(&issued(organisation(OrganisationUse::AuthClient)))),
        (domain, BookUse::Signs, certificate(&issued(crate::path::tests::server()))),
        (domain, BookUse::Signs, certificate(&PERSONS.issuing.issue(&request(doctor(CardUse::Signature))).unwrap())),
        (domain, BookUse::Reads, reading(hospital(), email("cardio@ch-autre.test"))),
        ("urgences@ch-exemple.test", BookUse::Reads, one_mailbox.clone()),
    ] {
        let error = refused([usual(), vec![entry(owner, usage, &certificate)]].concat());
        assert!(matches!(error, PartnerFileError::Entry { .. }), "{owner} {usage}: {error}");
    }
    let good = [usual(), vec![entry("Cardio@CH-exemple.test", BookUse::Reads, &one_mailbox)]].concat();
    assert!(verify(&sign(&draft(7, good), &*SIGNER).unwrap()).is_ok());
    let stranger = crate::path::tests::Hierarchy::new("INCONNUE");
    let profile = mail(hospital(), domain, ServerMailUse::Confidentiality, vec![]);
    let error =
        refused(vec![entry(domain, BookUse::Reads, &certificate(&stranger.issuing.issue(&request(profile)).unwrap()))]);
    assert!(matches!(&error, PartnerFileError::Invalid(it) if it.code == "unknown_issuer"), "{error}");
}

/// NT-D02, NT-T10: what time or revocation spoilt is left out and told; the others count. A key for a
/// later day is listed.
#[test]
fn expired_and_revoked_entries_are_left_out_and_told() {
    let with = |validity| {
        let profile = mail(hospital(), "ch-exemple.test", ServerMailUse::Confidentiality, vec![]);
        let mut request = request(profile);
        request.validity = validity;
        certificate(&SERVERS.issuing.issue(&request).unwrap())
    };
    let expired = with(crate::issue::Validity::expired(NOW, 30));
    let upcoming = with(crate::issue::Validity::days(NOW.plus(DAY), 30));
    let entries = [
        usual(),
        vec![entry("ch-exemple.test", BookUse::Reads, &expired), entry("ch-exemple.test", BookUse::Reads, &upcoming)],
    ]
    .concat();
    let file = verify(&sign(&draft(7, entries), &*SIGNER).unwrap()).unwrap();
    assert_eq!(file.entries().len(), 3);
    assert!(file.entries().iter().any(|entry| entry.certificate == upcoming));
    let left: Vec<_> = file.left_out().iter().map(|it| (&it.entry.certificate, it.finding.code)).collect();
    assert_eq!(left, [(&expired, "expired")]);
    let lists = |revoked: &[&Certificate]| RevocationList::list_from(&crl(&SERVERS.issuing, revoked, NOW, 9)).unwrap();
    let revoking = builder().revocation_list(lists(&[&READS]).remove(0).into()).build().unwrap();
    let file = verify_with(&sign(&draft(8, usual()), &*SIGNER).unwrap(), &revoking, None, NOW).unwrap();
    assert_eq!((file.entries().len(), file.left_out()[0].finding.code), (1, "revoked"));
}

#[test]
fn age_and_number_only_go_forward() {
    let validator = builder().build().unwrap();
    let made = |serial, issued| {
        let draft = PartnerDraft { issued, expires: NOW.plus(DAY), ..draft(serial, usual()) };
        sign(&draft, &*SIGNER).unwrap()
    };
    let first = verify(&made(7, NOW)).unwrap();
    let held = Held { serial: 7, issued: NOW, digest: first.digest() };
    let offered = |file: &[u8]| verify_with(file, &validator, Some(held.clone()), NOW);
    assert!(offered(&made(7, NOW)).is_ok(), "the very same again");
    assert!(offered(&made(8, NOW)).is_ok());
    for (serial, issued) in [(6, NOW), (7, NOW.minus(DAY)), (8, NOW.minus(DAY))] {
        let error = offered(&made(serial, issued)).unwrap_err();
        assert!(matches!(error, PartnerFileError::Older { held: 7, .. }), "{serial}: {error}");
    }
    let other = sign(&PartnerDraft { expires: NOW.plus(DAY), ..draft(7, vec![]) }, &*SIGNER).unwrap();
    assert!(matches!(offered(&other), Err(PartnerFileError::Older { .. })), "same number, other content");
    let later = verify_with(&made(7, NOW), &validator, None, NOW.plus(DAY));
    assert!(matches!(later, Err(PartnerFileError::Expired(_) | PartnerFileError::Undetermined(_))), "{later:?}");
    let early = PartnerDraft { issued: NOW.plus(DAY), ..draft(7, usual()) };
    assert!(matches!(verify(&sign(&early, &*SIGNER).unwrap()), Err(PartnerFileError::Future(_))));
    for (issued, expires) in [(NOW, NOW), (NOW, NOW.minus(DAY)), (NOW, NOW.plus(MAX_LIFETIME + DAY))] {
        let endless = PartnerDraft { issued, expires, ..draft(7, usual()) };
        assert!(matches!(sign(&endless, &*SIGNER), Err(PartnerFileError::Content(_))));
    }
    for serial in [0, u64::MAX] {
        assert!(matches!(sign(&draft(serial, usual()), &*SIGNER), Err(PartnerFileError::Content(_))));
    }
}

#[test]
fn hostile_content_ends_in_a_sentence() {
    let good = String::from_utf8(content::write(&draft(7, usual())).unwrap()).unwrap();
    assert!(verify(&signed_text(&good)).is_ok());
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        verify(&signed_text(&good.replacen(from, to, 1))).unwrap_err()
    };
    assert!(matches!(changed("\"version\":1", "\"version\":2"), PartnerFileError::Version(2)));
    assert!(matches!(changed("sceau-partner-file", "trust-list"), PartnerFileError::Content(_)));
    for (from, to) in [
        ("\"serial\":7", "\"serial\":7,\"serial\":9"),
        ("\"serial\":7", "\"serial\":-7"),
        ("\"serial\":7", "\"serial\":7e0"),
        ("\"use\":\"signs\"", "\"use\":\"signs\",\"use\":\"reads\""),
        ("\"use\":\"signs\"", "\"use\":\"both\""),
        ("\"domain\":\"ch-exemple.test\"", "\"domain\":\"*\""),
        ("\"operator\":\"1990000001\"", "\"operator\":\"1\""),
    ] {
        let error = changed(from, to);
        assert!(matches!(error, PartnerFileError::Form(_)), "{to}: {error}");
    }
    for (from, to) in [
        ("\"domain\":\"ch-exemple.test\"", "\"domain\":\"ch-exemple.test\",\"address\":\"a@ch-exemple.test\""),
        ("\"domain\":\"ch-exemple.test\",", ""),
        ("\"certificate\":\"", "\"certificate\":\"!"),
        ("\"certificate\":\"MII", "\"certificate\":\"MIJ"),
    ] {
        let error = changed(from, to);
        assert!(matches!(error, PartnerFileError::Content(_)), "{to}: {error}");
    }
    let deep = "[".repeat(1_000_000);
    for text in ["", "{}", "null", &deep, good.strip_suffix("}").unwrap(), &format!("{good}x")] {
        assert!(verify(&signed_text(text)).is_err());
    }
    let many = "{},".repeat(MAX_ENTRIES + 1);
    let error = changed("\"entries\":[", &format!("\"entries\":[{many}"));
    assert!(matches!(error, PartnerFileError::Form(_)), "{error}");
    let huge = vec![b' '; MAX_PARTNER_FILE + 1];
    assert_eq!(verify(&huge).unwrap_err(), PartnerFileError::TooLarge);
    assert!(matches!(verify(good.as_bytes()), Err(PartnerFileError::Signature(_))), "not signed at all");
}

/// A later program may say more, without being refused whole by this one; a known name still stands once only.
#[test]
fn what_is_not_known_in_a_file_is_passed_over() {
    let mut entries = usual();
    entries[1].capabilities = Some(crate::cms::Capabilities::ours());
    let good = String::from_utf8(content::write(&draft(7, entries.clone())).unwrap()).unwrap();
    for (from, to) in [
        ("\"serial\":7", "\"serial\":7,\"capabilities\":[\"aes-cbc\"],\"extra\":{\"a\":1}"),
        ("\"use\":\"signs\"", "\"use\":\"signs\",\"extra\":[]"),
        ("\"aes-256-gcm\"", "\"aes-256-gcm\",\"ml-kem-768\""),
    ] {
        assert!(good.contains(from), "{from}");
        let file = verify(&signed_text(&good.replacen(from, to, 1))).unwrap();
        assert_eq!(file.entries(), entries, "{to}");
    }
    let many = format!("\"aes-256-gcm\"{}", ",\"x\"".repeat(100));
    let error = verify(&signed_text(&good.replacen("\"aes-256-gcm\"", &many, 1))).unwrap_err();
    assert!(matches!(error, PartnerFileError::Content(_)), "{error}");
}

/// A signed mail of the same key is no partner file, and a detached signature is none.
#[test]
fn a_signature_on_something_else_is_none() {
    for text in ["Content-Type: message/rfc822\r\n\r\nFrom: <a@ch-exemple.test>\r\n\r\nx\r\n", "\u{feff}{}"] {
        assert!(matches!(verify(&signed_text(text)), Err(PartnerFileError::Form(_))));
    }
    let text = content::write(&draft(7, usual())).unwrap();
    let detached = cms::sign_detached(&text, &*SIGNER, NOW, &[]).unwrap();
    assert!(matches!(verify(&detached), Err(PartnerFileError::Signature(_))));
}

/// Each bit of each octet in turn: refused, or the very same content (BER can be written in many ways).
#[test]
fn no_flipped_octet_changes_what_is_read() {
    let file = sign(&draft(7, vec![entry("ch-exemple.test", BookUse::Reads, &READS)]), &*SIGNER).unwrap();
    let validator = builder().build().unwrap();
    let good = verify(&file).unwrap();
    let (mut refused, mut same) = (0, 0);
    for at in 0..file.len() {
        for bit in [0x01, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= bit;
            match verify_with(&changed, &validator, None, NOW) {
                Ok(read) => {
                    same += 1;
                    assert_eq!((read.digest(), read.entries()), (good.digest(), good.entries()), "octet {at}");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > same * 50, "{refused} refused, {same} read the same");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random octets, and random JSON texts signed by the right key: an error, never more.
    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..4000, text in ".{0,40}") {
        prop_assert!(verify(&noise).is_err());
        let mut octets = content::write(&draft(7, usual())).unwrap();
        let at = at % octets.len();
        octets.splice(at..at, text.bytes());
        let read = content::read(&octets);
        if let Ok(read) = read {
            prop_assert!(read.entries.len() <= 2);
        }
    }

    /// What is written is what is read.
    #[test]
    fn content_round_trips(serial in 1u64..1 << 53, life in 1u32..400, count in 0usize..6) {
        let entries: Vec<_> = (0..count).map(|n| entry(&format!("b{n}@ch-exemple.test"), BookUse::Reads, &READS)).collect();
        let draft = PartnerDraft { expires: NOW.plus(DAY * life), ..draft(serial, entries) };
        let read = content::read(&content::write(&draft).unwrap()).unwrap();
        prop_assert_eq!((read.serial, read.issued, read.expires), (draft.serial, draft.issued, draft.expires));
        prop_assert_eq!(read.entries, draft.entries);
    }
}
