//! One test per row of the table of design §3, and one per refusal that admission decides alone,
//! on the configuration of the demonstration's first hospital.

use std::{fs, path::Path, sync::OnceLock};

use ident::{Address, PersonId, Timestamp};
use pki::{
    certificate::Certificate,
    identity::{Identity, Person},
    path::{Purpose, Verdict},
};

use super::{
    caller::{Caller, DirectoryNote, identify, identify_operator},
    cards::{consult, unless_opposed},
    content::{MAX_RECEIVED, admit_content},
    exchange,
    recipient::{AdmittedRecipient, Destination, Protection, admit_recipient},
    rights::{Assurance, Granted, right_to_send},
};
use crate::{
    config::{self, Loaded},
    demo::{
        cast::Place,
        space::{Space, SpaceSettings},
    },
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const MARTIN: &str = "anne.martin-test@ch-a.mssante.test";
const DURAND: &str = "paul.durand-test@ch-a.mssante.test";
const MOREAU: &str = "claire.moreau-test@ch-b.mssante.test";
const PETIT: &str = "jean.petit-test@operateur-c.mssante.test";

/// One space for all tests: making keys takes time.
fn space() -> &'static Space {
    static SPACE: OnceLock<(tempfile::TempDir, Space)> = OnceLock::new();
    &SPACE
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let settings = SpaceSettings::small(folder.path(), NOW, 20);
            let space = Space::create(&settings).unwrap();
            (folder, space)
        })
        .1
}

/// Hospital A with its configuration and registry changed as text.
fn hospital(configuration: &[(&str, &str)], registry: &str) -> Snapshot {
    let file = space().configuration(Place::A);
    let mut text = fs::read_to_string(&file).unwrap();
    for (from, to) in configuration {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let folder = file.parent().unwrap();
    let own = fs::read_to_string(folder.join("registry.toml")).unwrap() + registry;
    let changed = tempfile::NamedTempFile::new_in(folder).unwrap();
    fs::write(changed.path(), own).unwrap();
    let name = changed.path().file_name().unwrap().to_str().unwrap();
    let text = text.replace("\"registry.toml\"", &format!("\"{name}\""));
    let loaded = Loaded { config: config::parse(&file, &text).unwrap(), folder: folder.to_owned() };
    match Snapshot::load(&loaded, NOW) {
        Ok(snapshot) => snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn plain() -> Snapshot {
    hospital(&[], "")
}

fn chain(file: &Path) -> Vec<Certificate> {
    Certificate::list_from_pem(&fs::read(file).unwrap()).unwrap()
}

fn card(key: &str) -> Vec<Certificate> {
    chain(&space().holder(key).unwrap().card.certificate)
}

fn caller(snapshot: &Snapshot, chain: &[Certificate]) -> Caller {
    identify(snapshot, chain, NOW).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn right(snapshot: &Snapshot, chain: &[Certificate], from: &str) -> Result<Granted, RefusalId> {
    right_to_send(snapshot, &caller(snapshot, chain), &address(from), NOW).map_err(|refusal| refusal.id)
}

fn id<T>(outcome: Result<T, Refusal>) -> RefusalId {
    match outcome {
        Ok(_) => panic!("was admitted"),
        Err(refusal) => refusal.id,
    }
}

// --- who may write as whom: the rows ---

#[test]
fn the_owner_writes_as_themselves() {
    let granted = right(&plain(), &card("martin"), MARTIN).unwrap();
    assert_eq!((granted.rule, granted.delegate_mailboxes), ("owner", vec![]));
    assert!(matches!(granted.assurance, Assurance::Authenticated { person } if person.as_str() == "899700000017"));
}

#[test]
fn a_delegate_writes_for_the_owner_and_is_shown() {
    let granted = right(&plain(), &card("robert"), DURAND).unwrap();
    assert_eq!(granted.rule, "delegate");
    assert_eq!(granted.delegate_mailboxes, [address("lucie.robert-test@ch-a.mssante.test")]);
    assert!(matches!(granted.assurance, Assurance::Delegated { delegate, owner: Some(owner) }
        if delegate.as_str() == "899700000033" && owner.as_str() == "899700000025"));
}

#[test]
fn a_member_writes_from_the_organisations_box() {
    let granted = right(&plain(), &card("martin"), "cardiologie@ch-a.mssante.test").unwrap();
    assert_eq!(granted.rule, "organisation-member");
    assert_eq!(right(&plain(), &card("martin"), "refuse.essai@ch-a.mssante.test"), Err(RefusalId::NotYourAddress));
}

#[test]
fn a_staff_card_writes_by_grant_only() {
    let granted = right(&plain(), &card("bernard"), MARTIN).unwrap();
    assert_eq!(granted.rule, "staff-grant");
    assert!(matches!(granted.assurance, Assurance::Delegated { .. }));
    assert_eq!(right(&plain(), &card("bernard"), DURAND), Err(RefusalId::NotYourAddress), "another doctor");
    assert_eq!(right(&plain(), &card("bernard"), "cardiologie@ch-a.mssante.test"), Err(RefusalId::NotYourAddress));
}

#[test]
fn a_structures_certificate_writes_from_its_boxes_only() {
    let application = chain(&space().application.certificate);
    let granted = right(&plain(), &application, "cardiologie@ch-a.mssante.test").unwrap();
    assert_eq!(granted.rule, "structure");
    assert!(matches!(granted.assurance, Assurance::Organisation { .. }));
    assert_eq!(right(&plain(), &application, MARTIN), Err(RefusalId::NotYourAddress), "never a person's box");
    let other = "\n[[mailbox]]\naddress = \"autre@ch-a.mssante.test\"\ntype = \"ORG\"\nstructure = \"1990000029\"\n";
    let result = right(&hospital(&[], other), &application, "autre@ch-a.mssante.test");
    assert_eq!(result, Err(RefusalId::NotYourAddress), "never another structure's box");
}

#[test]
fn an_inner_mail_server_vouches_for_its_domains_only() {
    let inner = chain(&space().inner_client.certificate);
    let granted = right(&plain(), &inner, MARTIN).unwrap();
    assert_eq!(granted.rule, "vouched");
    let elsewhere = hospital(&[("vouches_for = [\"ch-a.mssante.test\"]", "vouches_for = [\"ch-b.mssante.test\"]")], "");
    assert_eq!(right(&elsewhere, &inner, MARTIN), Err(RefusalId::NotYourAddress));
}

// --- refusals about the one who writes ---

#[test]
fn another_doctors_address_is_refused() {
    assert_eq!(right(&plain(), &card("durand"), MARTIN), Err(RefusalId::NotYourAddress));
}

#[test]
fn an_unregistered_sender_is_refused() {
    assert_eq!(right(&plain(), &card("martin"), "nouveau@ch-a.mssante.test"), Err(RefusalId::SenderUnknown));
}

#[test]
fn a_foreign_sender_domain_is_refused() {
    assert_eq!(right(&plain(), &card("martin"), MOREAU), Err(RefusalId::SenderNotOurs));
    let inner = chain(&space().inner_client.certificate);
    assert_eq!(right(&plain(), &inner, MOREAU), Err(RefusalId::SenderNotOurs), "not even when vouched for");
}

#[test]
fn a_revoked_card_is_refused() {
    assert_eq!(id(identify(&plain(), &card("leroy"), NOW)), RefusalId::CertificateRevoked);
}

#[test]
fn an_expired_card_is_refused() {
    assert_eq!(id(identify(&plain(), &card("girard"), NOW)), RefusalId::CertificateExpired);
    let before = Timestamp::from_seconds(1_000_000_000);
    assert_eq!(id(identify(&plain(), &card("martin"), before)), RefusalId::CertificateExpired, "not yet valid");
}

#[test]
fn a_card_from_another_root_is_refused() {
    assert_eq!(id(identify(&plain(), &card("fontaine"), NOW)), RefusalId::CertificateUntrusted);
}

#[test]
fn an_opposed_card_is_refused() {
    let snapshot = plain();
    let generation = snapshot.generation.as_deref();
    // Revoked and opposed: here the directory is asked alone.
    let opposed = Identity::of(&card("leroy")[0]).unwrap();
    assert_eq!(id(consult(generation, &[], &opposed, NOW)), RefusalId::CardOpposed);
    let good = Identity::of(&card("martin")[0]).unwrap();
    assert_eq!(consult(generation, &[], &good, NOW), Ok(DirectoryNote::Active));
    assert_eq!(
        consult(None, &[], &opposed, NOW),
        Ok(DirectoryNote::NotConsulted),
        "without a directory nothing is known"
    );
    // Nor does it sign mail that another operator brings.
    let valid = || snapshot.verify(&card("martin")[0], &card("martin")[1..], Purpose::Person, NOW);
    assert!(matches!(unless_opposed(&snapshot, valid(), &card("martin")[0], NOW), Verdict::Valid(_)));
    let verdict = unless_opposed(&snapshot, valid(), &card("leroy")[0], NOW);
    assert_eq!(verdict.finding().map(|finding| finding.code), Some("card_opposed"));
}

#[test]
fn an_inactive_holder_is_refused() {
    // Everybody keeps their cards and mailboxes; nobody is in the activity file any more but the first.
    let folder = tempfile::tempdir().unwrap();
    annuaire::generate(folder.path(), &annuaire::GenerateOptions::new(1, 20)).unwrap();
    let activities = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let activities =
        activities.into_iter().find(|path| path.to_string_lossy().to_lowercase().contains("personne")).unwrap();
    let text = fs::read_to_string(&activities).unwrap();
    fs::write(&activities, text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let generation = annuaire::build(folder.path()).unwrap().1.unwrap();
    let generation = &generation;
    let gone = generation.people().find(|person| !person.active() && person.id().is_some()).unwrap().id().unwrap();
    let person = |person: PersonId| match Identity::of(&card("martin")[0]).unwrap() {
        Identity::Person(holder) => Identity::Person(Person { id: person, card: None, ..holder }),
        other => panic!("{other:?}"),
    };
    assert_eq!(id(consult(Some(generation), &[], &person(gone), NOW)), RefusalId::HolderInactive);
    let unknown = PersonId::parse("899999999999").unwrap();
    assert_eq!(
        consult(Some(generation), &[], &person(unknown), NOW),
        Ok(DirectoryNote::Absent),
        "absence is no refusal"
    );
}

#[test]
fn no_certificate_is_no_caller() {
    assert_eq!(id(identify(&plain(), &[], NOW)), RefusalId::CertificateRequired);
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    // An encryption certificate proves nobody's presence.
    let reading = chain(&space().folder.join("book/ch-b-reads.pem"));
    let refused = id(identify(&plain(), &reading, NOW));
    assert!(matches!(refused, RefusalId::CertificateInvalid), "{refused:?}");
}

#[test]
fn a_certificate_without_national_id_is_refused() {
    let root = chain(&space().folder.join("anchors/persons.pem"));
    assert_eq!(id(identify(&plain(), &root, NOW)), RefusalId::IdentityUnknown);
}

#[test]
fn an_undetermined_certificate_is_deferred() {
    let lists = "\"../crl/persons-root.crl\", \"../crl/persons.crl\", ";
    let blind = hospital(&[(lists, "")], "");
    let refusal = identify(&blind, &card("martin"), NOW).unwrap_err();
    assert_eq!(refusal.id, RefusalId::CertificateUndetermined);
    assert!(refusal.is_temporary());
}

#[test]
fn a_test_card_is_refused_in_production() {
    let file = space().configuration(Place::A);
    let text = fs::read_to_string(&file).unwrap().replace("environment = \"test\"", "environment = \"production\"");
    let loaded = Loaded { config: config::parse(&file, &text).unwrap(), folder: file.parent().unwrap().to_owned() };
    let problems = Snapshot::load(&loaded, NOW).err().unwrap();
    assert!(problems.iter().any(|problem| problem.what.to_lowercase().contains("test")), "{problems:?}");
}

// --- refusals about recipients ---

fn recipient(snapshot: &Snapshot, to: &str) -> Result<AdmittedRecipient, Refusal> {
    admit_recipient(snapshot, &address(to), NOW)
}

#[test]
fn each_recipient_gets_its_way_and_protection() {
    let snapshot = plain();
    let partner = recipient(&snapshot, MOREAU).unwrap();
    assert!(matches!(partner.destination, Destination::Operator(_)));
    assert!(matches!(partner.protection, Protection::Sealed { ref certificates, .. } if certificates.len() == 1));
    let unsealed = recipient(&snapshot, PETIT).unwrap();
    assert_eq!((unsealed.rule, unsealed.protection), ("partner-never-sealed", Protection::Transport));
    let colleague = recipient(&snapshot, "Paul.Durand-TEST@CH-A.mssante.test").unwrap();
    assert!(matches!(colleague.destination, Destination::Own(_)));
    assert_eq!(colleague.address, address(DURAND), "as the registry writes it");
}

#[test]
fn a_consumer_mailbox_is_refused() {
    assert_eq!(id(recipient(&plain(), "quelquun@messagerie-grand-public.test")), RefusalId::OutsideTrustedSpace);
    // A look-alike of a trusted domain is another domain (IN12).
    assert_eq!(id(recipient(&plain(), "claire@ch-b.mssаnte.test")), RefusalId::OutsideTrustedSpace);
    assert_eq!(id(recipient(&plain(), "claire@sub.ch-b.mssante.test")), RefusalId::OutsideTrustedSpace);
}

#[test]
fn an_unknown_local_recipient_is_refused() {
    assert_eq!(id(recipient(&plain(), "personne@ch-a.mssante.test")), RefusalId::RecipientUnknown);
}

#[test]
fn a_red_listed_recipient_is_served() {
    assert!(recipient(&plain(), "lucie.robert-test@ch-a.mssante.test").is_ok());
}

const NO_READER: (&str, &str) = (
    "use = \"reads\"\ncertificate = \"../book/ch-b-reads.pem\"",
    "use = \"signs\"\ncertificate = \"../book/ch-b-signs.pem\"",
);

#[test]
fn a_recipient_without_certificate_is_refused() {
    assert_eq!(id(recipient(&hospital(&[NO_READER], ""), MOREAU)), RefusalId::NoCertificateForRecipient);
    let no_rule =
        hospital(&[NO_READER, ("[[partner]]\ndomain = \"ch-b.mssante.test\"\nsmime = \"required\"\n", "")], "");
    assert_eq!(id(recipient(&no_rule, MOREAU)), RefusalId::NoCertificateForRecipient, "sealed is the default");
}

#[test]
fn when_possible_never_downgrades_a_domain_whose_certificate_is_bad() {
    let possible = ("smime = \"required\"", "smime = \"when_possible\"");
    let without = recipient(&hospital(&[NO_READER, possible], ""), MOREAU).unwrap();
    assert_eq!((without.rule, without.protection), ("partner-without-certificate", Protection::Transport));
    let revoked = hospital(&[possible, revoked_reader()], "");
    assert_eq!(id(recipient(&revoked, MOREAU)), RefusalId::RecipientCertificateInvalid);
}

#[test]
fn a_domain_once_sealed_is_never_silently_downgraded() {
    let snapshot = hospital(&[NO_READER, ("smime = \"required\"", "smime = \"when_possible\"")], "");
    snapshot.sealed_before.remember(address(MOREAU).domain()).unwrap();
    let refused = id(recipient(&snapshot, MOREAU));
    fs::remove_file(space().configuration(Place::A).with_file_name("data").join("sealed-domains")).unwrap();
    assert_eq!(refused, RefusalId::RecipientCertificateAwaited);
}

/// Any revoked certificate will do: what counts is that it is not valid.
fn revoked_reader() -> (&'static str, &'static str) {
    ("../book/ch-b-reads.pem", "../cards/leroy/card.pem")
}

#[test]
fn a_recipient_with_a_revoked_certificate_is_refused() {
    assert_eq!(id(recipient(&hospital(&[revoked_reader()], ""), MOREAU)), RefusalId::RecipientCertificateInvalid);
}

#[test]
fn an_undetermined_recipient_certificate_is_deferred() {
    // Long after the lists' next update and the grace.
    let later = NOW.plus(std::time::Duration::from_secs(60 * 86_400));
    let Err(refusal) = admit_recipient(&plain(), &address(MOREAU), later) else { panic!("was admitted") };
    assert_eq!(refusal.id, RefusalId::RecipientCertificateUndetermined);
    assert!(refusal.is_temporary());
}

#[test]
fn a_redirection_stays_inside_the_trusted_space() {
    let mailbox = |local: &str, target: &str| {
        format!(
            "\n[[mailbox]]\naddress = \"{local}@ch-a.mssante.test\"\ntype = \"ORG\"\nstructure = \"1990000011\"\nredirect = \"{target}\"\n"
        )
    };
    let registry = mailbox("parti", MOREAU)
        + &mailbox("dehors", "x@messagerie-grand-public.test")
        + &mailbox("ronde", "parti@ch-a.mssante.test");
    let snapshot = hospital(&[], &registry);
    assert_eq!(recipient(&snapshot, "parti@ch-a.mssante.test").unwrap().address, address(MOREAU));
    assert_eq!(id(recipient(&snapshot, "dehors@ch-a.mssante.test")), RefusalId::OutsideTrustedSpace);
    assert_eq!(id(recipient(&snapshot, "ronde@ch-a.mssante.test")), RefusalId::Loop);
}

// --- refusals about the whole message ---

fn content(
    snapshot: &Snapshot,
    by: &str,
    from: &str,
    header: &str,
    size: u64,
    to: &[&str],
) -> Result<Option<Address>, RefusalId> {
    let granted = right(snapshot, &card(by), from)?;
    let recipients: Vec<_> = to.iter().map(|to| recipient(snapshot, to).unwrap()).collect();
    let message = header.replace('\n', "\r\n") + "\r\n\r\nx\r\n";
    let facts = mail::read(message.as_bytes(), &mail::Limits { hops: 1000, ..mail::Limits::default() }).unwrap();
    admit_content(snapshot, &granted, &recipients, &facts, size, NOW)
        .map(|decision| decision.add_sender)
        .map_err(|refusal| refusal.id)
}

/// A session may be open for half an hour: what holds is the world at end of data, not at RCPT.
#[test]
fn recipients_are_admitted_anew_with_the_content() {
    let parti = |redirect: &str| {
        format!(
            "\n[[mailbox]]\naddress = \"parti@ch-a.mssante.test\"\ntype = \"ORG\"\nstructure = \"1990000011\"\n{redirect}\n"
        )
    };
    let before = hospital(&[NO_READER, ("smime = \"required\"", "smime = \"when_possible\"")], &parti(""));
    let asked = [MOREAU, "parti@ch-a.mssante.test"];
    let at_rcpt: Vec<_> = asked.iter().map(|to| recipient(&before, to).unwrap()).collect();
    assert_eq!(at_rcpt[0].protection, Protection::Transport);

    let now = hospital(&[], &parti(&format!("redirect = \"{MOREAU}\"")));
    let granted = right(&now, &card("martin"), MARTIN).unwrap();
    let facts = mail::read(format!("From: <{MARTIN}>\r\n\r\nx\r\n").as_bytes(), &mail::Limits::default()).unwrap();
    let decision = admit_content(&now, &granted, &at_rcpt, &facts, 10, NOW).unwrap();
    for (recipient, asked) in decision.recipients.iter().zip(asked) {
        assert_eq!((&recipient.asked, &recipient.address), (&address(asked), &address(MOREAU)));
        assert!(matches!(recipient.protection, Protection::Sealed { .. }), "{asked}");
    }
}

#[test]
fn header_from_must_be_the_envelope_sender() {
    let snapshot = plain();
    assert_eq!(content(&snapshot, "martin", MARTIN, &format!("From: <{MARTIN}>"), 10, &[MOREAU]), Ok(None));
    assert_eq!(
        content(&snapshot, "martin", MARTIN, &format!("From: <{DURAND}>"), 10, &[MOREAU]),
        Err(RefusalId::FromDiffers)
    );
}

#[test]
fn a_spoofed_sender_header_is_refused() {
    let snapshot = plain();
    let said = |by: &str, from: &str, sender: &str| {
        content(&snapshot, by, from, &format!("From: <{from}>\nSender: <{sender}>"), 10, &[MOREAU])
    };
    assert_eq!(said("martin", MARTIN, DURAND), Err(RefusalId::SenderHeader));
    assert_eq!(said("robert", DURAND, "lucie.robert-test@ch-a.mssante.test"), Ok(None));
    assert_eq!(said("robert", DURAND, MARTIN), Err(RefusalId::SenderHeader));
    // Naming the owner would hide who wrote from everybody who gets no signed assurance.
    assert_eq!(said("robert", DURAND, DURAND), Err(RefusalId::SenderHeader));
    assert_eq!(
        said("martin", "cardiologie@ch-a.mssante.test", "cardiologie@ch-a.mssante.test"),
        Err(RefusalId::SenderHeader)
    );
    assert_eq!(said("martin", MARTIN, MARTIN), Ok(None));
    // A staff card has no mailbox that could be named.
    assert_eq!(said("bernard", MARTIN, MARTIN), Ok(None));
    // Left out, it is added: the reader sees who wrote.
    let added = content(&snapshot, "robert", DURAND, &format!("From: <{DURAND}>"), 10, &[MOREAU]);
    assert_eq!(added, Ok(Some(address("lucie.robert-test@ch-a.mssante.test"))));
}

#[test]
fn a_looping_message_is_refused() {
    let snapshot = plain();
    let hops = |n: usize| {
        format!("{}From: <{MARTIN}>", "Received: from a.test by b.test; Sat, 21 Nov 2026 22:57:00 +0000\n".repeat(n))
    };
    assert_eq!(content(&snapshot, "martin", MARTIN, &hops(MAX_RECEIVED), 10, &[MOREAU]), Ok(None));
    assert_eq!(content(&snapshot, "martin", MARTIN, &hops(MAX_RECEIVED + 1), 10, &[MOREAU]), Err(RefusalId::Loop));
}

#[test]
fn a_message_too_large_for_a_partner_is_refused() {
    let small = hospital(&[("smime = \"required\"", "smime = \"required\"\nmax_size = \"1MB\"")], "");
    let from = format!("From: <{MARTIN}>");
    assert_eq!(content(&small, "martin", MARTIN, &from, 500_000, &[MOREAU]), Ok(None));
    // Under the limit as written, over it once sealed.
    assert_eq!(content(&small, "martin", MARTIN, &from, 900_000, &[MOREAU]), Err(RefusalId::TooLargeForRecipient));
    assert_eq!(content(&small, "martin", MARTIN, &from, 900_000, &[PETIT]), Ok(None));
}

// --- refusals at the exchange door ---

#[test]
fn an_unlisted_operator_is_refused() {
    let stranger = chain(&space().stranger.certificate);
    assert_eq!(id(identify_operator(&plain(), &stranger, NOW)), RefusalId::PeerNotListed);
    assert_eq!(
        id(identify_operator(&plain(), &card("martin"), NOW)),
        RefusalId::CertificateUntrusted,
        "a card is no server"
    );
}

#[test]
fn a_listed_operator_for_another_domain_is_refused() {
    let snapshot = plain();
    let operator = identify_operator(&snapshot, &chain(&space().operator.certificate), NOW).unwrap();
    assert!(exchange::admit_sender(&snapshot, &operator, Some(&address(PETIT)), NOW).is_ok());
    assert_eq!(
        id(exchange::admit_sender(&snapshot, &operator, Some(&address(MOREAU)), NOW)),
        RefusalId::PeerNotForDomain
    );
    let consumer = address("x@messagerie-grand-public.test");
    assert_eq!(id(exchange::admit_sender(&snapshot, &operator, Some(&consumer), NOW)), RefusalId::OutsideTrustedSpace);
}

#[test]
fn relaying_for_others_is_refused() {
    let snapshot = plain();
    assert_eq!(id(exchange::admit_recipient(&snapshot, &address(MOREAU), NOW)), RefusalId::RelayRefused);
    assert_eq!(
        id(exchange::admit_recipient(&snapshot, &address("x@ch-a.mssante.test"), NOW)),
        RefusalId::RecipientUnknown
    );
    assert!(exchange::admit_recipient(&snapshot, &address(MARTIN), NOW).is_ok());
}

#[test]
fn an_unsealed_message_from_a_sealing_domain_is_refused() {
    let snapshot = plain();
    assert_eq!(id(exchange::admit_unsealed(&snapshot, &address(MOREAU))), RefusalId::SealRequired);
    assert!(exchange::admit_unsealed(&snapshot, &address(PETIT)).is_ok());
}
