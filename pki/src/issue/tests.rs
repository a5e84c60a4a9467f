//! The judge is the `openssl` command line: what we write must read back as the national shapes.

use std::{path::Path, process::Command};

use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

struct House {
    root: Authority,
    issuing: Authority,
}

fn house(key: KeyAlgorithm) -> House {
    let validity = Validity::days(NOW, 3650);
    let root = Authority::root(&AuthorityRequest::new("RACINE SCEAU FORT", key, validity)).unwrap();
    let issuing = root.intermediate(&AuthorityRequest::new("SCEAU FORT PERSONNES", key, validity)).unwrap();
    House { root, issuing }
}

fn hospital() -> Structure {
    Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Côte-d'Or (21)")
}

fn doctor() -> Profile {
    Profile::Person {
        id: PersonId::parse("899700000017").unwrap(),
        family: "MARTIN-TEST".into(),
        given: "Élodie".into(),
        title: "Médecin".into(),
        structure: Some(hospital()),
        card: CardNumber::parse("2800067201").unwrap(),
        kind: CardKind::Cps,
        usage: CardUse::Authentication,
    }
}

fn request(profile: Profile) -> CertificateRequest {
    CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(NOW, 1095))
}

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().expect("the openssl command is needed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn text_of(issued: &Issued) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "leaf.pem", issued.certificate_pem());
    let (good, text) =
        openssl(&["x509", "-in", &file, "-noout", "-text", "-nameopt", "utf8,sep_comma_plus_space,sname"]);
    assert!(good, "{text}");
    text
}

/// `openssl verify` with lists for the whole chain, at `at`.
fn verifies(house: &House, issued: &Issued, revoked: Vec<Revocation>, at: Timestamp, purpose: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let list = |authority: &Authority, revoked| {
        let request = CrlRequest {
            revoked,
            this_update: NOW,
            next_update: NOW.plus(std::time::Duration::from_secs(86_400)),
            number: 7,
        };
        authority.crl(&request).unwrap().pem()
    };
    let lists = list(&house.root, vec![]) + &list(&house.issuing, revoked);
    let root = write(folder.path(), "root.pem", house.root.certificate_pem());
    let issuing = write(folder.path(), "issuing.pem", house.issuing.certificate_pem());
    let lists = write(folder.path(), "lists.pem", lists);
    let leaf = write(folder.path(), "leaf.pem", issued.certificate_pem());
    openssl(&[
        "verify",
        "-x509_strict",
        "-policy_check",
        "-policy",
        "1.2.250.1.213.1.7.2.1.1.1.1",
        "-explicit_policy",
        "-purpose",
        purpose,
        "-attime",
        &at.seconds().to_string(),
        "-CAfile",
        &root,
        "-untrusted",
        &issuing,
        "-CRLfile",
        &lists,
        "-crl_check_all",
        &leaf,
    ])
}

#[test]
fn a_card_has_the_national_shape() {
    let issued = house(KeyAlgorithm::P256).issuing.issue(&request(doctor())).unwrap();
    let text = text_of(&issued);
    let subject = "C=FR, ST=Côte-d'Or (21), O=CH EXEMPLE-TEST, OU=1990000001, title=Médecin, ";
    assert!(text.contains(subject), "{text}");
    for part in ["CN=899700000017", "SN=MARTIN-TEST", "GN=Élodie"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // one RDN: three attributes joined by plus signs
    let tail = text.split("title=Médecin, ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(tail.matches(" + ").count(), 2, "{tail}");
    assert!(text.contains(
        "Issuer: C=FR, O=AUTORITE FICTIVE SCEAU, OU=0002 999999999, OU=IGC-SANTE TEST, CN=TEST AC SCEAU FORT PERSONNES"
    ));
    for part in [
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Client Authentication, Microsoft Smartcard Login",
        "Policy: 1.2.250.1.213.1.7.2.1.1.1.1",
        "1.2.250.1.71.1.2.2:",
        "1.2.250.1.71.1.2.3:",
        "8025000001/2800067201",
        "1.2.250.1.71.1.2.5:",
        "URI:http://igc.sceau.test/CRL/SCEAU-FORT-PERSONNES.crl",
        "CA Issuers - URI:http://igc.sceau.test/AC/SCEAU-FORT-PERSONNES.cer",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("email:"), "a card carries no mail address: {text}");
    assert_eq!(issued.serial().len(), 16);
}

#[test]
fn every_profile_verifies_for_its_purpose() {
    let house = house(KeyAlgorithm::P256);
    let structure = hospital();
    let mail = Address::parse("cardiologie@ch-exemple.test").unwrap();
    let staff = |kind| Profile::Staff {
        id: PersonId::parse("3990000001/000000018").unwrap(),
        family: "PETIT-TEST".into(),
        given: "Zoé".into(),
        structure: hospital(),
        card: CardNumber::parse("3800000018").unwrap(),
        kind,
    };
    let organisation = |usage| Profile::Organisation {
        structure: hospital(),
        label: "LOGICIEL-TEST".into(),
        usage,
        emails: vec![mail.clone()],
    };
    let server =
        |usage| Profile::ServerMail { name: "ch-exemple.test".into(), structure: hospital(), usage, emails: vec![] };
    let tls = Profile::ServerTls {
        host: "smtp.ch-exemple.test".into(),
        alternatives: vec!["mx.ch-exemple.test".into()],
        structure,
    };
    for (profile, purpose, shown) in [
        (doctor(), "sslclient", "Digital Signature\n"),
        (
            staff(StaffKind::Cpe),
            "sslclient",
            "title=Carte de service santé ou social, pseudonym=PETIT-TEST, CN=3990000001/000000018",
        ),
        (staff(StaffKind::Cpa), "sslclient", "SN=PETIT-TEST"),
        (organisation(OrganisationUse::AuthClient), "sslclient", "CN=LOGICIEL-TEST"),
        (organisation(OrganisationUse::Sign), "smimesign", "Digital Signature, Non Repudiation\n"),
        (organisation(OrganisationUse::Confidentiality), "smimeencrypt", "email:cardiologie@ch-exemple.test"),
        (server(ServerMailUse::Sign), "smimesign", "CN=ch-exemple.test"),
        (server(ServerMailUse::Confidentiality), "any", "Key Agreement\n"),
        (tls.clone(), "sslserver", "DNS:smtp.ch-exemple.test, DNS:mx.ch-exemple.test"),
        (tls, "sslclient", "TLS Web Server Authentication, TLS Web Client Authentication"),
    ] {
        let issued = house.issuing.issue(&request(profile)).unwrap();
        let text = text_of(&issued);
        assert!(text.contains(shown), "{shown} in {text}");
        // OpenSSL's purpose "smimeencrypt" knows RSA's keyEncipherment only.
        let purpose = if purpose == "smimeencrypt" { "any" } else { purpose };
        let (good, said) = verifies(&house, &issued, vec![], NOW, purpose);
        assert!(good, "{purpose}: {said}\n{text}");
    }
}

#[test]
fn rsa_keys_get_key_encipherment_and_null_parameters() {
    let house = house(KeyAlgorithm::Rsa2048);
    let profile = Profile::ServerMail {
        name: "ch-exemple.test".into(),
        structure: hospital(),
        usage: ServerMailUse::Confidentiality,
        emails: vec![],
    };
    let request = CertificateRequest::new(profile, KeyAlgorithm::Rsa2048, Validity::days(NOW, 1095));
    let issued = house.issuing.issue(&request).unwrap();
    let text = text_of(&issued);
    for part in ["Key Encipherment\n", "sha256WithRSAEncryption", "Public-Key: (2048 bit)"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (good, said) = verifies(&house, &issued, vec![], NOW, "smimeencrypt");
    assert!(good, "{said}");
}

#[test]
fn revoked_expired_and_foreign_cards_fail_as_such() {
    let house = house(KeyAlgorithm::P256);
    let issued = house.issuing.issue(&request(doctor())).unwrap();
    let line = Revocation { serial: issued.serial().to_vec(), reason: Reason::KeyCompromise, at: NOW };
    let (good, said) = verifies(&house, &issued, vec![line], NOW, "sslclient");
    assert!(!good && said.contains("certificate revoked"), "{said}");

    let mut old = request(doctor());
    old.validity = Validity::expired(NOW, 30);
    let expired = house.issuing.issue(&old).unwrap();
    let (good, said) = verifies(&house, &expired, vec![], NOW, "sslclient");
    assert!(!good && said.contains("certificate has expired"), "{said}");

    let other = super::tests::house(KeyAlgorithm::P256);
    let stranger = other.issuing.issue(&request(doctor())).unwrap();
    let (good, _) = verifies(&house, &stranger, vec![], NOW, "sslclient");
    assert!(!good, "a card from another root of the same name must fail");
}

#[test]
fn lists_say_number_reason_and_dates() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(KeyAlgorithm::P256);
    let issued = house.issuing.issue(&request(doctor())).unwrap();
    let far = Timestamp::parse("2051-01-02T03:04:05Z").unwrap();
    let line = |reason, serial: &[u8]| Revocation { serial: serial.to_vec(), reason, at: NOW };
    let revoked = vec![line(Reason::KeyCompromise, issued.serial()), line(Reason::Unspecified, &[0x81, 1])];
    let list = house.issuing.crl(&CrlRequest { revoked, this_update: NOW, next_update: far, number: 4711 }).unwrap();
    let file = write(folder.path(), "list.crl", list.der());
    let authority = write(folder.path(), "ca.pem", house.issuing.certificate_pem());
    let (good, text) = openssl(&["crl", "-in", &file, "-inform", "DER", "-noout", "-text", "-CAfile", &authority]);
    assert!(good && text.contains("verify OK"), "{text}");
    for part in ["Version 2", "4711", "Key Compromise", "Serial Number: 8101", "Jan  2 03:04:05 2051 GMT"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(text.matches("X509v3 CRL Reason Code").count(), 1, "unspecified is not written");
}

#[test]
fn pkcs12_opens_with_its_password_only() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(KeyAlgorithm::P256);
    let issued = house.issuing.issue(&request(doctor())).unwrap();
    let file = write(folder.path(), "card.p12", issued.to_pkcs12("Carte de test", "mot-de-passe").unwrap());
    let (good, text) = openssl(&["pkcs12", "-in", &file, "-passin", "pass:mot-de-passe", "-nodes"]);
    assert!(good && text.matches("BEGIN CERTIFICATE").count() == 3 && text.contains("PRIVATE KEY"), "{text}");
    let (good, _) = openssl(&["pkcs12", "-in", &file, "-passin", "pass:autre", "-nodes"]);
    assert!(!good);
    // key and certificate belong together
    let certificate = openssl::x509::X509::from_der(issued.certificate_der()).unwrap();
    assert!(certificate.public_key().unwrap().public_eq(issued.key()));
    assert_eq!(issued.presented_pem().matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn our_own_reader_understands_what_we_issue() {
    use crate::identity::Identity;
    let house = house(KeyAlgorithm::P256);
    let issued = house.issuing.issue(&request(doctor())).unwrap();
    let certificate = issued.certificate().unwrap();
    assert!(certificate.is_test_category());
    assert!(certificate.faults().is_empty(), "{:?}", certificate.faults());
    assert_eq!(certificate.serial(), issued.serial());
    assert!(certificate.emails().is_empty());
    let Ok(Identity::Person(person)) = Identity::of(&certificate) else { panic!("{:?}", Identity::of(&certificate)) };
    assert_eq!(person.id.as_str(), "899700000017");
    assert_eq!((person.family.as_str(), person.given.as_str()), ("MARTIN-TEST", "Élodie"));
    assert_eq!(person.profession.as_deref(), Some("Médecin"));
    assert_eq!(person.card.map(|c| c.to_string()).as_deref(), Some("2800067201"));
    assert!(issued.file_key().is_ok());
}

#[test]
fn requests_that_cannot_be_written_are_refused() {
    let house = house(KeyAlgorithm::P256);
    let mut backwards = request(doctor());
    backwards.validity = Validity { from: NOW, to: NOW.minus(std::time::Duration::from_secs(1)) };
    assert!(matches!(house.issuing.issue(&backwards), Err(IssueError::Validity)));
    let mut far = request(doctor());
    far.validity.to = Timestamp::from_seconds(i64::MAX / 2000);
    assert!(matches!(house.issuing.issue(&far), Err(IssueError::Date(_))));
    let mut odd = request(doctor());
    odd.policies = vec!["9.9".into()];
    assert!(matches!(house.issuing.issue(&odd), Err(IssueError::ObjectIdentifier(_))));
    let host = Profile::ServerTls { host: "hôpital.test".into(), alternatives: vec![], structure: hospital() };
    assert!(matches!(house.issuing.issue(&request(host)), Err(IssueError::NotAscii(_))));
}

#[test]
fn categories_are_one_octet() {
    let house = house(KeyAlgorithm::P256);
    for (category, octet) in [(Category::Test, Some(0x80)), (Category::Production, Some(0)), (Category::Absent, None)] {
        let mut asked = request(doctor());
        asked.category = category;
        let issued = house.issuing.issue(&asked).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(issued.certificate_der()).unwrap();
        let found = parsed.extensions().iter().find(|e| e.oid.to_id_string() == "1.2.250.1.71.1.2.5");
        assert_eq!(found.map(|e| e.value.to_vec()), octet.map(|o| vec![4, 1, o]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever a name holds, the certificate stays well-formed and gives the name back.
    #[test]
    fn any_name_survives(family in "[\\PC]{1,60}", given in "[\\PC]{1,60}") {
        thread_local!(static HOUSE: House = house(KeyAlgorithm::P256));
        let profile = Profile::Person {
            id: PersonId::parse("899700000017").unwrap(),
            family: family.clone(),
            given,
            title: "Médecin".into(),
            structure: None,
            card: CardNumber::parse("1").unwrap(),
            kind: CardKind::Cpf,
            usage: CardUse::Signature,
        };
        let issued = HOUSE.with(|house| house.issuing.issue(&request(profile))).unwrap();
        let (rest, parsed) = x509_parser::parse_x509_certificate(issued.certificate_der()).unwrap();
        prop_assert!(rest.is_empty());
        let surname = parsed.subject().iter_attributes().find(|a| a.attr_type().to_id_string() == "2.5.4.4").unwrap();
        prop_assert_eq!(surname.as_str().unwrap(), family);
    }
}
