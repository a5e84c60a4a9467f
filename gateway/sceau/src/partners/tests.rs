use ident::Timestamp;
use pki::{
    book::{
        BookOwner, BookUse,
        ledger::{Decision, FileLine, How, LedgerEvent, Line, Listed, Reads},
    },
    certificate::Certificate,
    cms::{Capabilities, Capability},
    issue::{Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, Profile, SubjectName, Validity},
};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DOMAIN: &str = "ch-autre.test";
const MAILBOX: &str = "cardio@ch-autre.test";

fn operator(number: u32) -> StructureId {
    StructureId::parse(&format!("199000000{number}")).unwrap()
}

fn certificate() -> Certificate {
    let validity = Validity::days(NOW, 100);
    let root = Authority::root(&AuthorityRequest::new("RACINE TEST", KeyAlgorithm::P256, validity)).unwrap();
    let profile = Profile::Custom { subject: SubjectName::french(), extensions: vec![] };
    let issued = root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap();
    issued.certificate().unwrap()
}

/// One operator's file: each key with whose it is and what is said of it.
fn file(number: u32, keys: &[(&str, &Certificate, Option<Capabilities>)]) -> Line {
    use base64::Engine as _;
    let listed = |(owner, certificate, _): &(&str, &Certificate, _)| Listed {
        owner: (*owner).to_owned(),
        usage: BookUse::Reads,
        certificate: certificate.fingerprint(),
    };
    let reads = |(owner, certificate, said): &(&str, &Certificate, Option<Capabilities>)| {
        let (owner, certificate) = ((*owner).to_owned(), certificate.fingerprint());
        Some(Reads { owner, certificate, capabilities: said.clone()? })
    };
    let der = |(_, certificate, _): &(&str, &Certificate, _)| LedgerEvent::Certificate {
        der: base64::engine::general_purpose::STANDARD.encode(certificate.der()),
    };
    let approved = |key| {
        let (operator, what) = (operator(number), listed(key));
        LedgerEvent::Approved(Decision { operator, what, how: How::Operator })
    };
    let digest = Fingerprint::new([7; 32]);
    let line = FileLine {
        operator: operator(number),
        serial: 1,
        issued: NOW,
        expires: NOW,
        digest,
        file: digest,
        signer: digest,
        location: "essai".to_owned(),
        entries: Some(keys.iter().map(listed).collect()),
        reads: keys.iter().filter_map(reads).collect(),
    };
    let events = keys.iter().map(der).chain([LedgerEvent::File(line)]).chain(keys.iter().map(approved)).collect();
    Line { at: NOW, by: "essai".to_owned(), reason: None, events }
}

fn said(lines: &[&Line], named: &[u32], ours: bool) -> HashMap<(String, Fingerprint), Stated> {
    let mut ledger = Ledger::default();
    lines.iter().for_each(|line| ledger.apply(line).unwrap());
    let named: Vec<StructureId> = named.iter().map(|number| operator(*number)).collect();
    stated(&ledger, &|_| named.clone(), &|_| ours)
}

#[test]
fn what_is_published_is_about_one_key_of_one_owner() {
    let (one, other) = (certificate(), certificate());
    let client = Capabilities::new([Capability::AesCbc]);
    let useless = Capabilities::new([Capability::RsaOaepSha256]);
    let line = file(
        1,
        &[
            (DOMAIN, &one, Some(Capabilities::ours())),
            (DOMAIN, &other, Some(useless)),
            (MAILBOX, &one, Some(client.clone())),
        ],
    );
    let all = said(&[&line], &[1], false);
    let of = |owner: &str, key: &Certificate| {
        all.get(&(owner.to_owned(), key.fingerprint())).map(|stated| stated.capabilities.clone())
    };
    assert_eq!(of(DOMAIN, &one), Some(Capabilities::ours()));
    assert_eq!(of(MAILBOX, &one), Some(client));
    assert_eq!((of(DOMAIN, &other), of(MAILBOX, &other)), (None, None));
    assert!(all.values().all(|stated| stated.at == NOW && stated.source.contains("serial 1")));
    // An operator that the trust list no longer names says nothing, and nobody says anything of our own keys.
    assert!(said(&[&line], &[2], false).is_empty());
    assert!(said(&[&line], &[1], true).is_empty());
}

#[test]
fn two_operators_that_disagree_about_one_key_say_nothing_of_it() {
    let (one, other) = (certificate(), certificate());
    let client = Capabilities::new([Capability::AesCbc]);
    let first = file(1, &[(DOMAIN, &one, Some(Capabilities::ours())), (DOMAIN, &other, Some(client.clone()))]);
    for (second, expected) in [(Capabilities::ours(), 2), (client, 1)] {
        let second = file(2, &[(DOMAIN, &one, Some(second))]);
        assert_eq!(said(&[&first, &second], &[1, 2], false).len(), expected);
        assert_eq!(said(&[&second, &first], &[1, 2], false).len(), expected);
    }
    let owner = BookOwner::parse(DOMAIN).unwrap();
    let entry = BookEntry { owner, usage: BookUse::Reads, certificate: other.clone(), provenance: String::new() };
    let book = pki::book::Book::default().with_stated(said(&[&first], &[1], false));
    assert!(book.stated(&entry).is_some());
    assert!(book.stated(&BookEntry { certificate: certificate(), ..entry }).is_none(), "another key, of nobody's file");
}
