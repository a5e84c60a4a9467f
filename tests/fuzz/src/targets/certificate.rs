//! X.509 certificates as peers, cards and files show them (RFC 5280 §4).

use ident::{Address, CardNumber, PersonId};
use pki::{
    certificate::Certificate,
    identity::Identity,
    issue::{CardKind, CardUse, KeyAlgorithm, OrganisationUse, Profile, ServerMailUse},
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
};

use crate::{
    Target,
    world::{self, NOW},
};

/// The target.
pub const TARGET: Target = Target {
    name: "certificate",
    covers: &["pki/src/certificate.rs", "pki/src/extension.rs", "pki/src/name.rs", "pki/src/identity.rs"],
    run,
    seeds,
};

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Any, world::root())
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

fn run(data: &[u8]) -> bool {
    let _ = Certificate::list_from_pem(data);
    let Ok(certificate) = Certificate::from_der(data) else {
        return false;
    };
    assert_eq!(certificate.der(), data, "what is kept is what came");
    assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()).as_ref(), Ok(&certificate));
    let _ = Identity::of(&certificate);
    let _ = (certificate.subject().to_string(), certificate.issuer().to_string());
    let _ =
        (certificate.may_sign(), certificate.card_number(), certificate.dns_names(), certificate.is_test_category());
    let untrusted = std::slice::from_ref(&certificate);
    VALIDATOR.with(|validator| {
        let verdict = validator.verify(&certificate, untrusted, Purpose::Any, NOW);
        assert!(
            !verdict.is_valid() || untrusted == [world::root()] || is_kept(&certificate),
            "no key of ours signed it"
        );
    });
    certificate.subject().to_string().contains('~')
}

/// Of the certificates that the fuzzer can make, only those that we issued have a good signature.
fn is_kept(certificate: &Certificate) -> bool {
    [&world::SIGNER, &world::PUBLISHER, &world::READER_RSA, &world::READER_EC]
        .iter()
        .any(|key| key.certificate() == certificate)
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let authority = world::authority();
    let issue = |profile: &str, key| world::issue(&authority, profile_of(profile), key).certificate_der().to_vec();
    vec![
        ("root", authority.certificate_der().to_vec()),
        ("card", issue("card", KeyAlgorithm::P256)),
        ("staff", issue("staff", KeyAlgorithm::P256)),
        ("organisation", issue("organisation", KeyAlgorithm::Rsa2048)),
        ("server", issue("server", KeyAlgorithm::P256)),
        ("mail", issue("mail", KeyAlgorithm::P256)),
        ("pem", authority.certificate_pem().into_bytes()),
    ]
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
