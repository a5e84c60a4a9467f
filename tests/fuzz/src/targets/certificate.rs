//! X.509 certificates as peers, cards and files show them (RFC 5280 §4).

use std::sync::LazyLock;

use ident::{Address, CardNumber, Fingerprint, PersonId};
use pki::{
    certificate::Certificate,
    identity::Identity,
    issue::{CardKind, CardUse, KeyAlgorithm, OrganisationUse, Profile, ServerMailUse},
    name::Attribute,
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
};

use crate::{
    Target, samples,
    world::{self, NOW},
};

/// The target.
pub const TARGET: Target = Target {
    name: "certificate",
    covers: &[
        "pki/src/certificate.rs",
        "pki/src/certificate/twin.rs",
        "pki/src/der_reader.rs",
        "pki/src/extension.rs",
        "pki/src/identity.rs",
        "pki/src/mail_constraints.rs",
        "pki/src/name.rs",
    ],
    run,
    seeds,
};

static ROOT_CERTIFICATE: LazyLock<Certificate> = LazyLock::new(world::root);

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Any, world::root())
        .anchor(Purpose::Organisation, world::root())
        .anchor(Purpose::Person, world::root())
        .anchor(Purpose::Server, world::root())
        .anchor(Purpose::Email, world::root())
        .undivided_anchors(true)
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

fn run(data: &[u8]) -> bool {
    if let Ok(list) = Certificate::list_from_pem(data) {
        judge(&list);
    }
    let Ok(certificate) = Certificate::from_der(data) else {
        return false;
    };
    assert_eq!(certificate.der(), data, "what is kept is what came");
    assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()).as_ref(), Ok(&certificate));
    show(&certificate);
    judge(std::slice::from_ref(&certificate));
    // A subject that no seed has, in a certificate that is in order so far.
    certificate.subject().to_string().contains(|c| "!$%&*?@[]^_`{|}~".contains(c))
}

/// The first for every purpose, with the others beside it. What is valid has OpenSSL's word for its signature.
fn judge(list: &[Certificate]) {
    let Some((leaf, others)) = list.split_first() else { return };
    VALIDATOR.with(|validator| {
        for purpose in [Purpose::Any, Purpose::Organisation, Purpose::Person, Purpose::Server, Purpose::Email] {
            let verdict = validator.verify(leaf, others, purpose, NOW);
            let signers = others.iter().chain(std::iter::once(&*ROOT_CERTIFICATE));
            let signed = |by: &Certificate| leaf.openssl().verify(by.public_key()).unwrap_or(false);
            assert!(!verdict.is_valid() || signers.into_iter().any(signed), "nobody signed it");
        }
        let _ = validator.sources_for(leaf, others, Purpose::Any, NOW);
    });
}

/// Everything that the rest of the program asks a certificate.
fn show(certificate: &Certificate) {
    if let Ok(identity) = Identity::of(certificate) {
        let _ = (identity.purpose(), identity.person_id(), identity.structure(), identity.display_name());
    }
    let _ = (certificate.subject().to_string(), certificate.issuer().to_string(), format!("{certificate:?}"));
    let _ = (certificate.may_sign(), certificate.may_encrypt(), certificate.is_authority(), certificate.card_number());
    let subject = certificate.subject();
    assert!(subject.single(Attribute::CommonName).is_none() || !subject.is_empty(), "an empty name has no values");
    let _ = (certificate.dns_names(), certificate.is_test_category(), certificate.is_self_issued());
    let own = certificate.emails().first();
    assert!(own.is_none_or(|own| certificate.names_address(own)), "a certificate names its own addresses");
    assert!(certificate.is_known_as(&certificate.fingerprint()), "a certificate is itself");
    assert!(!certificate.is_known_as(&Fingerprint::new([0; 32])), "and no other");
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let authority = world::authority();
    let issue = |profile: &str, key| world::issue(&authority, profile_of(profile), key).certificate_der().to_vec();
    let issued = vec![
        ("root", authority.certificate_der().to_vec()),
        ("card", issue("card", KeyAlgorithm::P256)),
        ("staff", issue("staff", KeyAlgorithm::P256)),
        ("organisation", issue("organisation", KeyAlgorithm::Rsa2048)),
        ("server", issue("server", KeyAlgorithm::P256)),
        ("mail", issue("mail", KeyAlgorithm::P256)),
        ("pem", authority.certificate_pem().into_bytes()),
    ];
    [issued, samples::certificate::all()].concat()
}

fn profile_of(kind: &str) -> Profile {
    let person = || PersonId::parse("899700000017").expect("an id");
    let card = || CardNumber::parse("2990000001").expect("a card number");
    let address = |text: &str| Address::parse(text).expect("an address");
    match kind {
        "card" => Profile::Person {
            id: person(),
            family: "MARTIN-TEST".into(),
            given: "Éva".into(),
            title: "Médecin".into(),
            structure: Some(world::hospital()),
            card: card(),
            kind: CardKind::Cps,
            usage: CardUse::Authentication,
        },
        "staff" => Profile::Staff {
            id: PersonId::parse("3990000001/12345").expect("an id"),
            family: "DURAND-TEST".into(),
            given: "Léa".into(),
            structure: world::hospital(),
            card: card(),
            kind: pki::issue::StaffKind::Cpe,
        },
        "server" => Profile::ServerTls {
            host: "mx.ch-exemple.test".into(),
            alternatives: vec!["mail.ch-exemple.test".into()],
            structure: world::hospital(),
        },
        "mail" => Profile::ServerMail {
            name: "ch-exemple.test".into(),
            structure: world::hospital(),
            usage: ServerMailUse::Sign,
            emails: vec![address("anne.martin-test@ch-exemple.test")],
        },
        _ => Profile::Organisation {
            structure: world::hospital(),
            label: "LOGICIEL".into(),
            usage: OrganisationUse::AuthClient,
            emails: vec![address("dossier@ch-exemple.test")],
        },
    }
}
