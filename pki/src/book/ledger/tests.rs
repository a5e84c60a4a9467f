//! The ledger over the life of a partner: first contact, rotation, withdrawal, return, a change of operator.

use super::*;
use crate::{
    cms::Capability,
    issue::ServerMailUse,
    partner_file::{
        Expected, PartnerEntry, sign,
        tests::{SIGNER, domain, draft, entry, mail},
    },
    path::tests::{NOW, SERVERS, builder, certificate, hospital, request},
};

const DOMAIN: &str = "ch-exemple.test";

fn reads() -> Certificate {
    let profile = mail(hospital(), DOMAIN, ServerMailUse::Confidentiality, vec![]);
    certificate(&SERVERS.issuing.issue(&request(profile)).unwrap())
}

fn file(serial: u64, entries: Vec<PartnerEntry>) -> PartnerFile {
    verified(&sign(&draft(serial, entries), &*SIGNER).unwrap())
}

fn verified(octets: &[u8]) -> PartnerFile {
    let validator = builder().build().unwrap();
    let named = |_: &Domain| vec![hospital().id];
    let held = |_: &StructureId| None;
    PartnerFile::verify(octets, &Expected { validator: &validator, named: &named, operator: None, held: &held }, NOW)
        .unwrap()
}

fn listing(serial: u64, certificates: &[&Certificate]) -> PartnerFile {
    file(serial, certificates.iter().map(|it| entry(DOMAIN, BookUse::Reads, it)).collect())
}

fn apply(ledger: &mut Ledger, events: Vec<LedgerEvent>) {
    let line = Line { at: NOW, by: "essai".into(), reason: None, events };
    // As it comes back from the disk.
    let line: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
    ledger.apply(&line).unwrap();
}

fn take(ledger: &mut Ledger, file: &PartnerFile, first: FirstContact) -> usize {
    let fetched = Fetched { location: "essai", digest: file.digest() };
    let events = ledger.take(file, &fetched, first, &|_| vec![]);
    let count = events.len();
    apply(ledger, events);
    count
}

fn standing(ledger: &Ledger, certificate: &Certificate) -> Option<Standing> {
    ledger.entries().into_iter().find(|entry| entry.certificate == *certificate).map(|entry| entry.standing)
}

#[test]
fn first_contact_follows_the_configuration_and_a_replacement_never_does() {
    let (one, two) = (reads(), reads());
    for (first, expected) in [(FirstContact::Wait, Standing::Pending), (FirstContact::Approve, Standing::InForce)] {
        let mut ledger = Ledger::default();
        take(&mut ledger, &listing(1, &[&one]), first);
        assert_eq!(standing(&ledger, &one), Some(expected));
        if first == FirstContact::Approve {
            take(&mut ledger, &listing(2, &[&one, &two]), first);
            assert_eq!(standing(&ledger, &two), Some(Standing::Pending), "the domain is known by now");
            // A mailbox's own certificate would come before the domain's: it waits too.
            let mailbox = entry("cardio@ch-exemple.test", BookUse::Reads, &two);
            take(&mut ledger, &file(3, vec![entry(DOMAIN, BookUse::Reads, &one), mailbox]), first);
            assert_eq!(standing(&ledger, &two), Some(Standing::Pending));
        }
    }
}

#[test]
fn what_the_configuration_holds_is_no_first_contact() {
    let (configured, other) = (reads(), reads());
    let mut ledger = Ledger::default();
    let file = listing(1, &[&configured, &other]);
    let fetched = Fetched { location: "essai", digest: file.digest() };
    let held = |_: &Domain| vec![configured.fingerprint()];
    let events = ledger.take(&file, &fetched, FirstContact::Approve, &held);
    apply(&mut ledger, events);
    assert_eq!(standing(&ledger, &configured), Some(Standing::InForce));
    assert_eq!(standing(&ledger, &other), Some(Standing::Pending));
}

/// Rotation: mail goes on with the old certificate until the new one is approved.
#[test]
fn a_rotation_waits_and_then_takes_over() {
    let (old, new) = (reads(), reads());
    let mut ledger = Ledger::default();
    take(&mut ledger, &listing(1, &[&old]), FirstContact::Approve);
    take(&mut ledger, &listing(2, &[&new]), FirstContact::Approve);
    assert_eq!((standing(&ledger, &old), standing(&ledger, &new)), (Some(Standing::Replaced), Some(Standing::Pending)));
    assert!(standing(&ledger, &old).unwrap().in_use() && !standing(&ledger, &new).unwrap().in_use());
    let events = ledger.decide(new.fingerprint(), true).unwrap();
    apply(&mut ledger, events);
    assert_eq!((standing(&ledger, &old), standing(&ledger, &new)), (Some(Standing::Former), Some(Standing::InForce)));
    assert_eq!(ledger.decide(new.fingerprint(), true), Ok(vec![]), "twice means nothing");
    assert_eq!(ledger.decide(old.fingerprint(), true), Err(LedgerError::NotListed(old.fingerprint())));
    let entry = ledger.entries().into_iter().find(|entry| entry.certificate == new).unwrap();
    assert!(entry.decided.unwrap().starts_with("approved by essai") && entry.seen.contains("serial 2"));
}

#[test]
fn a_certificate_that_vanishes_leaves_a_domain_that_stays_known() {
    let (old, new) = (reads(), reads());
    let mut ledger = Ledger::default();
    take(&mut ledger, &listing(1, &[&old]), FirstContact::Approve);
    take(&mut ledger, &listing(2, &[]), FirstContact::Approve);
    assert_eq!(standing(&ledger, &old), Some(Standing::Withdrawn));
    assert!(ledger.knows(&domain(DOMAIN)));
    take(&mut ledger, &listing(3, &[&new]), FirstContact::Approve);
    assert_eq!(standing(&ledger, &new), Some(Standing::Pending), "no second first contact");
    let events = ledger.decide(new.fingerprint(), false).unwrap();
    apply(&mut ledger, events);
    assert_eq!(
        (standing(&ledger, &old), standing(&ledger, &new)),
        (Some(Standing::Withdrawn), Some(Standing::Rejected))
    );
    // What was approved once needs no second approval when it comes back.
    take(&mut ledger, &listing(4, &[&old, &new]), FirstContact::Approve);
    assert_eq!((standing(&ledger, &old), standing(&ledger, &new)), (Some(Standing::InForce), Some(Standing::Rejected)));
}

#[test]
fn the_same_content_again_is_no_news_and_a_new_number_alone_is_short() {
    let one = reads();
    let mut ledger = Ledger::default();
    assert_eq!(take(&mut ledger, &listing(1, &[&one]), FirstContact::Wait), 2);
    assert_eq!(take(&mut ledger, &listing(1, &[&one]), FirstContact::Wait), 0);
    let events = ledger.take(
        &listing(2, &[&one]),
        &Fetched { location: "x", digest: one.fingerprint() },
        FirstContact::Wait,
        &|_| vec![],
    );
    assert!(matches!(events.as_slice(), [LedgerEvent::File(FileLine { entries: None, serial: 2, .. })]), "{events:?}");
    apply(&mut ledger, events);
    assert_eq!(ledger.held(&hospital().id).unwrap().serial, 2);
    assert_eq!(standing(&ledger, &one), Some(Standing::Pending));
}

#[test]
fn lines_that_are_not_ours_are_refused() {
    let what = Listed { owner: DOMAIN.into(), usage: BookUse::Reads, certificate: reads().fingerprint() };
    let decision = Decision { operator: hospital().id, what, how: How::Operator };
    let mut ledger = Ledger::default();
    for event in [LedgerEvent::Approved(decision), LedgerEvent::Certificate { der: "AAAA".into() }] {
        assert!(ledger.apply(&Line { at: NOW, by: String::new(), reason: None, events: vec![event] }).is_err());
    }
    for text in [
        "",
        "{}",
        r#"{"at":1,"by":"x","events":[{"other":1}]}"#,
        r#"{"at":1,"by":"x","events":[{"source":{"operator":"1990000001","location":"x","more":1}}]}"#,
    ] {
        assert!(serde_json::from_str::<Line>(text).is_err(), "{text}");
    }
}

/// What its readers read is what the latest file says of each key, and a file may say nothing of it.
#[test]
fn capabilities_are_those_of_the_latest_file() {
    let one = reads();
    let mut ledger = Ledger::default();
    let client = Capabilities::new([Capability::AesCbc]);
    for (serial, said) in [(1, None), (2, Some(Capabilities::ours())), (3, Some(client)), (4, None)] {
        let domains = PartnerEntry { capabilities: said.clone(), ..entry(DOMAIN, BookUse::Reads, &one) };
        let mailbox = entry("cardio@ch-exemple.test", BookUse::Reads, &one);
        let signs = PartnerEntry {
            capabilities: Some(Capabilities::ours()),
            ..entry(DOMAIN, BookUse::Signs, SIGNER.certificate())
        };
        take(&mut ledger, &file(serial, vec![domains, mailbox, signs]), FirstContact::Wait);
        let expected =
            said.map(|capabilities| Reads { owner: DOMAIN.to_owned(), certificate: one.fingerprint(), capabilities });
        assert_eq!(ledger.files()[&hospital().id].reads, expected.into_iter().collect::<Vec<_>>(), "serial {serial}");
    }
}

/// What a later build writes besides is passed over, in a line about a file: going back to this one loses nothing.
#[test]
fn a_file_line_with_more_in_it_is_read() {
    let mut ledger = Ledger::default();
    let file = listing(1, &[&reads()]);
    let fetched = Fetched { location: "essai", digest: file.digest() };
    let events = ledger.take(&file, &fetched, FirstContact::Wait, &|_| vec![]);
    let line = Line { at: NOW, by: "essai".into(), reason: None, events };
    let text = serde_json::to_string(&line).unwrap();
    let more = text.replacen("\"location\":", "\"later\":[1],\"location\":", 1);
    assert_ne!(more, text);
    let read: Line = serde_json::from_str(&more).unwrap();
    assert_eq!(read, line);
    ledger.apply(&read).unwrap();
    assert_eq!(ledger.entries().len(), 1);
}
