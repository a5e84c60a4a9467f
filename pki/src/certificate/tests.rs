//! Reading certificates, next to x509-parser as a second reader.

use ident::CardNumber;
use proptest::prelude::*;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::{
    der,
    issue::{
        CardUse, Category, CertificateRequest, Extension as Extra, NamePart, OrganisationUse, Profile, ServerMailUse,
        SubjectName,
    },
    path::tests::{PERSONS, SERVERS, certificate, doctor, hospital, issue, organisation, request, server},
};

fn custom(extensions: Vec<Extra>) -> Certificate {
    let subject = SubjectName::french().with(NamePart::CommonName, "essai");
    issue(&PERSONS.issuing, Profile::Custom { subject, extensions })
}

fn extra(oid: &str, value: Vec<u8>) -> Extra {
    Extra { oid: oid.into(), critical: false, value }
}

fn names(members: &[(u8, &[u8])]) -> Extra {
    let names: Vec<Vec<u8>> = members.iter().map(|(tag, value)| der::tlv(*tag, value)).collect();
    extra("2.5.29.17", der::sequence(&names))
}

#[test]
fn two_readers_agree() {
    for leaf in [
        issue(&PERSONS.issuing, doctor(CardUse::Authentication)),
        issue(&SERVERS.issuing, server()),
        issue(&SERVERS.issuing, organisation(OrganisationUse::Sign)),
        SERVERS.intermediate(),
        SERVERS.anchor(),
    ] {
        let (rest, other) = X509Certificate::from_der(leaf.der()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(leaf.serial(), other.raw_serial());
        assert_eq!(leaf.not_before().seconds(), other.validity().not_before.timestamp());
        assert_eq!(leaf.not_after().seconds(), other.validity().not_after.timestamp());
        assert_eq!(leaf.issuer_der(), other.issuer().as_raw());
        assert_eq!(leaf.subject().der(), other.subject().as_raw());
        let usage = other.key_usage().unwrap().map(|usage| usage.value.flags);
        assert_eq!(leaf.key_usage().map(|usage| usage.0), usage);
        assert_eq!(leaf.is_authority(), other.is_ca());
        assert_eq!(leaf.faults(), []);
        assert_eq!(leaf.key(), KeyKind::P256);
        let pem = leaf.to_pem();
        assert_eq!(Certificate::from_pem(pem.as_bytes()).unwrap(), leaf);
        assert_eq!(Certificate::list_from_pem(format!("{pem}\n# note\n{pem}").as_bytes()).unwrap().len(), 2);
    }
    assert_eq!(Certificate::from_pem(b"rien"), Err(CertificateError::Pem));
    assert_eq!(Certificate::list_from_pem(b""), Err(CertificateError::Pem));
    assert_eq!(Certificate::from_der(&vec![0; MAX_CERTIFICATE + 1]), Err(CertificateError::TooLarge));
}

#[test]
fn cards_and_categories() {
    let card = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    assert_eq!(card.card_number(), CardNumber::parse("2800067201"));
    assert!(card.is_test_category());
    // Under a name without TEST only the extension speaks.
    let category = |value: Vec<u8>| {
        extension::Extensions::interpret(&[extension::Extension {
            oid: "1.2.250.1.71.1.2.5".into(),
            critical: false,
            value: &value,
        }])
        .0
        .test_category
    };
    for (value, test) in [
        (vec![0x00], false),
        (vec![0x03], false),
        (vec![0x80], true),
        (vec![0x83], true),
        (der::octet_string(&[0x02]), false),
        (der::octet_string(&[0x82]), true),
        (vec![], true),
        (vec![0, 0, 0], true),
    ] {
        assert_eq!(category(value.clone()), test, "{value:02x?}");
    }
    let number = |value: Vec<u8>| {
        extension::Extensions::interpret(&[extension::Extension {
            oid: "1.2.250.1.71.1.2.3".into(),
            critical: false,
            value: &value,
        }])
        .0
        .card_number
    };
    assert_eq!(number(der::utf8("8025000001/2800067201")), CardNumber::parse("2800067201"));
    assert_eq!(number(der::octet_string(b"2800067201")), CardNumber::parse("2800067201"));
    assert_eq!(number(b"2800067201".to_vec()), CardNumber::parse("2800067201"));
    assert_eq!(number(der::utf8("28 00")), None);
}

#[test]
fn addresses_are_taken_from_the_alternative_name_only() {
    let subject = SubjectName::french().with(NamePart::CommonName, "x").with(NamePart::Email, "a@ch-exemple.test");
    let in_subject = issue(&PERSONS.issuing, Profile::Custom { subject, extensions: vec![] });
    assert!(in_subject.emails().is_empty(), "NT-T04");
    let address = |text: &str| Address::parse(text).unwrap();
    let named =
        custom(vec![names(&[(0x81, b"Dr.Martin@CH-Exemple.test"), (0x82, b"smtp.ch-exemple.test"), (0x86, b"urn:x")])]);
    assert!(named.names_address(&address("dr.martin@ch-exemple.test")), "NT-T07");
    assert!(!named.names_address(&address("autre@ch-exemple.test")));
    assert!(!named.names_address(&address("dr.martin@sous.ch-exemple.test")));
    assert_eq!(named.dns_names(), ["smtp.ch-exemple.test"]);
    // One bad name spoils them all.
    let spoiled = custom(vec![names(&[(0x81, b"a@ch-exemple.test"), (0x81, b"a@b@c.test")])]);
    assert_eq!((spoiled.emails(), spoiled.faults()), (&[][..], &[Fault::MalformedEmail][..]));
}

#[test]
fn international_mailboxes_have_their_own_form() {
    let other = |oid: &str, text: &str| [der::oid(oid).unwrap(), der::context(0, &[der::utf8(text)])].concat();
    let mailbox = other("1.3.6.1.5.5.7.8.9", "hélène@ch-exemple.test");
    let named = custom(vec![names(&[(0xa0, &mailbox)])]);
    assert!(named.names_address(&Address::parse("hélène@ch-exemple.test").unwrap()));
    // Plain ASCII belongs in rfc822Name (RFC 9598 §3).
    let plain = other("1.3.6.1.5.5.7.8.9", "helene@ch-exemple.test");
    assert_eq!(custom(vec![names(&[(0xa0, &plain)])]).faults(), [Fault::MalformedEmail]);
    let logon = other("1.3.6.1.4.1.311.20.2.3", "2800067201@carte.test");
    let logon = custom(vec![names(&[(0xa0, &logon)])]);
    assert!(logon.emails().is_empty() && logon.faults().is_empty());
}

#[test]
fn signing_and_reading_are_told_apart() {
    let sign = issue(&SERVERS.issuing, organisation(OrganisationUse::Sign));
    assert!(sign.may_sign() && !sign.may_encrypt(), "NT-T09");
    let profile = Profile::ServerMail {
        name: "ch-exemple.test".into(),
        structure: hospital(),
        usage: ServerMailUse::Confidentiality,
        emails: vec![],
    };
    let reads = issue(&SERVERS.issuing, profile.clone());
    assert!(!reads.may_sign() && reads.may_encrypt());
    let rsa = CertificateRequest { key: crate::issue::KeyAlgorithm::Rsa2048, ..request(profile) };
    let rsa = certificate(&SERVERS.issuing.issue(&rsa).unwrap());
    assert_eq!(rsa.key(), KeyKind::Rsa(2048));
    assert!(!rsa.may_sign() && rsa.may_encrypt());
}

#[test]
fn test_names_count_even_without_the_extension() {
    let request = CertificateRequest { category: Category::Production, ..request(doctor(CardUse::Signature)) };
    let leaf = certificate(&PERSONS.issuing.issue(&request).unwrap());
    assert!(!leaf.extensions().test_category);
    assert!(leaf.is_test_category(), "PKI-3: its issuer is a TEST authority");
}

proptest! {
    #[test]
    fn names_in_san_are_addresses_or_faults(text in "[ -~]{0,30}@?[ -~]{0,20}|[a-z]{1,5}@[a-z]{1,5}\\.test") {
        let value = der::sequence(&[der::context_primitive(1, text.as_bytes())]);
        let list = [extension::Extension { oid: "2.5.29.17".into(), critical: false, value: &value }];
        let (extensions, faults) = extension::Extensions::interpret(&list);
        prop_assert_eq!(extensions.emails.len() + faults.len(), 1);
        if let [email] = extensions.emails.as_slice() {
            prop_assert!(email.same_mailbox(&Address::parse(&text).unwrap()));
        }
    }
}

#[test]
fn a_signature_with_padding_bits_is_no_other_form_of_the_certificate() {
    let good = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    let (_, parsed) = X509Certificate::from_der(good.der()).unwrap();
    let length = parsed.signature_value.data.len();
    let mut octets = good.der().to_vec();
    let unused = octets.len() - length - 1;
    assert_eq!(octets[unused], 0);
    octets[unused] = 3;
    // The padding itself is clean.
    *octets.last_mut().unwrap() &= 0xf8;
    assert_eq!(Certificate::from_der(&octets), Err(CertificateError::Malformed));
    assert_eq!(Certificate::from_pem(good.to_pem().as_bytes()), Ok(good));
}
