//! Certificates: each extension in each of its forms, names, keys, versions, chains.

use openssl::{
    ec::{Asn1Flag, EcGroup, EcKey},
    nid::Nid,
    pkey::PKey,
};
use pki::{
    der::{self, tag},
    keys::{FileKey, SigningKey},
};

use super::Sample;
use crate::{
    forge::{self, extended, extension, name, oid, place, set},
    world,
};

const CN: &str = "2.5.4.3";
const SURNAME: &str = "2.5.4.4";
const GIVEN: &str = "2.5.4.42";
const ORGANISATION: &str = "2.5.4.10";
const UNIT: &str = "2.5.4.11";
const UTF8: u8 = tag::UTF8_STRING;

/// All of them.
pub fn all() -> Vec<Sample> {
    [
        usages(),
        alternative_names(),
        points(),
        constraints(),
        private(),
        structure(),
        names(),
        holders(),
        keys(),
        chains(),
    ]
    .concat()
}

fn one(dotted: &str, value: &[u8]) -> Vec<u8> {
    extended(&[extension(dotted, false, value)])
}

fn usages() -> Vec<Sample> {
    let usage = |bits: &[bool]| extension("2.5.29.15", true, &der::named_bits(bits));
    let basic = |members: &[Vec<u8>]| extension("2.5.29.19", true, &der::sequence(members));
    vec![
        ("usage-none", extended(&[usage(&[])])),
        ("usage-twice", extended(&[usage(&[true]), usage(&[false, true])])),
        ("usage-long", one("2.5.29.15", &der::bit_string(&[1, 2, 4]))),
        ("usage-all", extended(&[usage(&[true; 9]), basic(&[der::boolean(true), der::integer(1)])])),
        ("basic-empty", extended(&[basic(&[])])),
        ("basic-wrong", extended(&[basic(&[der::tlv(tag::BOOLEAN, &[1])])])),
        ("purposes", one("2.5.29.37", &der::sequence(&[oid("2.5.29.37.0"), oid("1.2.3")]))),
        ("purposes-none", one("2.5.29.37", &der::sequence::<Vec<u8>>(&[]))),
        ("unknown-critical", extended(&[extension("1.2.3.4", true, &der::null())])),
        (
            "key-ids",
            extended(&[
                extension("2.5.29.14", false, &der::octet_string(&[1; 20])),
                extension(
                    "2.5.29.35",
                    false,
                    &der::sequence(&[
                        der::context_primitive(0, &[2; 20]),
                        der::context(1, &[der::context(4, &[name(&[&[(CN, UTF8, b"x")]])])]),
                        der::context_primitive(2, &[1]),
                    ]),
                ),
            ]),
        ),
        ("key-id-bare", one("2.5.29.14", &[1, 2, 3])),
    ]
}

fn alternative_names() -> Vec<Sample> {
    let names = |all: &[Vec<u8>]| one("2.5.29.17", &der::sequence(all));
    let mail = |text: &str| der::context_primitive(1, text.as_bytes());
    let host = |text: &str| der::context_primitive(2, text.as_bytes());
    let other = |kind: &str, text: &str| der::context(0, &[oid(kind), der::context(0, &[der::utf8(text)])]);
    const MAILBOX: &str = "1.3.6.1.5.5.7.8.9";
    vec![
        ("san-empty", names(&[])),
        ("san-mail", names(&[mail("anne.martin-test@ch-exemple.test"), mail("dossier@ch-exemple.test")])),
        ("san-mail-wrong", names(&[mail("a@b@ch-exemple.test"), host("mx.ch-exemple.test")])),
        ("san-mail-quoted", names(&[mail("\"a\"@ch-exemple.test")])),
        ("san-mail-utf8", names(&[mail("zoé@ch-exemple.test")])),
        ("san-host", names(&[host("*.CH-exemple.test"), host("localhost")])),
        ("san-host-wrong", names(&[host("ch exemple")])),
        ("san-mailbox", names(&[other(MAILBOX, "zoé@xn--hpital-ixa.test")])),
        ("san-mailbox-plain", names(&[other(MAILBOX, "zoe@hôpital.test")])),
        ("san-mailbox-wrong", names(&[der::context(0, &[oid(MAILBOX), der::context(0, &[der::null()])])])),
        ("san-other", names(&[other("1.2.3", "x"), der::context_primitive(6, b"https://x.test"), der::null()])),
    ]
}

fn points() -> Vec<Sample> {
    let uri = |text: &str| der::context_primitive(6, text.as_bytes());
    let full = |names: &[Vec<u8>]| der::context(0, &[der::context(0, names)]);
    let issuer = der::context(2, &[der::context(4, &[name(&[&[(CN, UTF8, b"AC")]])]), uri("http://x.test")]);
    let reasons = der::tlv(0x81, &[5, 0x60]);
    let relative = der::context(0, &[der::context(1, &[der::sequence(&[oid(CN), der::utf8("x")])])]);
    let points = |points: &[Vec<u8>]| one("2.5.29.31", &der::sequence(points));
    let access = |method: &str, place: Vec<u8>| der::sequence(&[oid(method), place]);
    vec![
        ("points-none", points(&[])),
        (
            "points",
            points(&[
                der::sequence(&[
                    full(&[uri("http://x.test/a.crl"), uri("ldap://x.test/a b")]),
                    reasons,
                    issuer.clone(),
                ]),
                der::sequence(&[relative, issuer]),
            ]),
        ),
        ("point-empty-name", points(&[der::sequence(&[full(&[])])])),
        ("point-wrong-name", points(&[der::sequence(&[der::context(0, &[der::null()])])])),
        ("freshest", one("2.5.29.46", &der::sequence(&[der::sequence(&[full(&[uri("http://x.test/d.crl")])])]))),
        (
            "access",
            one(
                "1.3.6.1.5.5.7.1.1",
                &der::sequence(&[
                    access("1.3.6.1.5.5.7.48.1", uri("http://ocsp.test")),
                    access("1.3.6.1.5.5.7.48.1", der::context_primitive(6, b"\xff")),
                    access("1.3.6.1.5.5.7.48.2", uri("http://x.test/ca.cer")),
                ]),
            ),
        ),
        ("access-wrong", one("1.3.6.1.5.5.7.1.1", &der::null())),
        ("nocheck", one("1.3.6.1.5.5.7.48.1.5", &der::null())),
    ]
}

fn subtree(base: Vec<u8>) -> Vec<u8> {
    der::sequence(&[base])
}

fn mail_subtree(text: &str) -> Vec<u8> {
    subtree(der::context_primitive(1, text.as_bytes()))
}

fn constraints() -> Vec<Sample> {
    let both = |permitted: &[Vec<u8>], excluded: &[Vec<u8>]| {
        one("2.5.29.30", &der::sequence(&[der::context(0, permitted), der::context(1, excluded)]))
    };
    let mailbox = der::context(0, &[oid("1.3.6.1.5.5.7.8.9"), der::context(0, &[der::utf8("é@x.test")])]);
    let policy = |dotted: &str| der::sequence(&[oid(dotted)]);
    let mapping = der::sequence(&[der::sequence(&[oid("1.2.3"), oid("1.2.4")])]);
    vec![
        (
            "constraints",
            both(
                &[mail_subtree("ch-exemple.test"), mail_subtree(".exemple.test"), mail_subtree("")],
                &[mail_subtree("a@ch-exemple.test"), subtree(der::context_primitive(2, b"x.test"))],
            ),
        ),
        ("constraints-none", one("2.5.29.30", &der::sequence::<Vec<u8>>(&[]))),
        ("constraints-empty", both(&[], &[])),
        ("constraints-local", both(&[mail_subtree("a\"b@x.test")], &[])),
        ("constraints-host", both(&[mail_subtree("x..test")], &[])),
        ("constraints-mailbox", both(&[subtree(mailbox)], &[])),
        (
            "policies",
            extended(&[
                extension("2.5.29.32", false, &der::sequence(&[policy("1.2.3"), policy("2.5.29.32.0")])),
                extension("2.5.29.33", true, &mapping),
                extension("2.5.29.36", false, &der::sequence(&[der::context_primitive(0, &[0])])),
                extension("2.5.29.54", true, &der::integer(0)),
            ]),
        ),
        ("policies-none", one("2.5.29.32", &der::sequence::<Vec<u8>>(&[]))),
    ]
}

fn private() -> Vec<Sample> {
    let card = |value: &[u8]| one("1.2.250.1.71.1.2.3", value);
    let category = |value: &[u8]| one("1.2.250.1.71.1.2.5", value);
    vec![
        ("card-octets", card(&der::octet_string(b"8025000001/2990000001"))),
        ("card-bare", card(b"2990000001")),
        ("card-text", card(&der::utf8("2990000001"))),
        ("category-production", category(&der::octet_string(&[3]))),
        ("category-bare", category(&[0x80])),
    ]
}

fn structure() -> Vec<Sample> {
    let serial = |octets: &[u8]| forge::certificate(|all| set(all, place::SERIAL, der::tlv(tag::INTEGER, octets)));
    let times = |from: &[u8], to: &[u8]| {
        let validity = der::sequence(&[der::tlv(tag::UTC_TIME, from), der::tlv(tag::GENERALIZED_TIME, to)]);
        forge::certificate(|all| set(all, place::VALIDITY, validity))
    };
    let pretended = |algorithm: Vec<u8>| {
        forge::pretended(&forge::body(|all| set(all, place::ALGORITHM, algorithm.clone())), &algorithm)
    };
    let many: Vec<_> = (0..65).map(|at| extension(&format!("1.2.3.{at}"), false, &[])).collect();
    vec![
        (
            "version-1",
            forge::certificate(|all| {
                all.truncate(place::EXTENSIONS);
                all.remove(place::VERSION);
            }),
        ),
        ("version-9", forge::certificate(|all| set(all, place::VERSION, der::context(0, &[der::integer(9)])))),
        ("serial-zero", serial(&[0])),
        ("serial-negative", serial(&[0x80])),
        ("serial-long", serial(&[1; 30])),
        ("serial-absurd", serial(&[1; 65])),
        ("times-backwards", times(b"491231235959Z", b"20260101000000Z")),
        ("times-wrong", times(b"260230000000Z", b"20260101000000Z")),
        ("times-zone", times(b"260101000000+0100", b"20260101000000Z")),
        (
            "unique-ids",
            forge::certificate(|all| {
                all.insert(place::EXTENSIONS, der::tlv(0x81, &[0, 1]));
                all.insert(place::EXTENSIONS.saturating_add(1), der::tlv(0x82, &[0, 1]));
            }),
        ),
        ("extensions-many", extended(&many)),
        ("extensions-none", extended(&[])),
        (
            "other-algorithm",
            forge::pretended(&forge::body(|_| ()), &forge::algorithm("1.2.840.113549.1.1.11", &der::null())),
        ),
        ("md5", pretended(forge::algorithm("1.2.840.113549.1.1.4", &der::null()))),
        (
            "key-bits",
            forge::certificate(|all| {
                let key = all.get(place::KEY).expect("a key").clone();
                set(all, place::KEY, forge::edit(&key, &[1], &|_| der::tlv(tag::BIT_STRING, &[1, 2])));
            }),
        ),
        ("pem-broken", b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_vec()),
    ]
}

fn names() -> Vec<Sample> {
    let subject = |rdns: &[&[(&str, u8, &[u8])]]| forge::certificate(|all| set(all, place::SUBJECT, name(rdns)));
    let long = [b'x'; 1025];
    let rdn: &[(&str, u8, &[u8])] = &[(CN, UTF8, b"x")];
    vec![
        ("name-specials", subject(&[&[(CN, UTF8, b"# a,b+c\"d\\e;f<g>\n ")]])),
        (
            "name-strings",
            subject(&[
                &[(CN, 0x14, b"N\xe9")],
                &[(CN, 0x1e, &[0, 0x4e, 0, 0xe9])],
                &[(CN, 0x1c, &[0, 0, 0, 0xe9])],
                &[(CN, 0x13, b"\xe9")],
                &[(CN, 0x03, &[0, 1])],
                &[("1.2.3.4", UTF8, b"")],
                &[(CN, UTF8, b"\xff")],
            ]),
        ),
        ("name-empty", subject(&[])),
        ("name-empty-set", subject(&[&[]])),
        ("name-long", subject(&[&[(CN, UTF8, &long)]])),
        ("name-many", subject(&[rdn; 65])),
    ]
}

fn holders() -> Vec<Sample> {
    let subject = |rdns: &[&[(&str, u8, &[u8])]]| forge::certificate(|all| set(all, place::SUBJECT, name(rdns)));
    let person: &[(&str, u8, &[u8])] =
        &[(CN, UTF8, b"899700000017"), (SURNAME, UTF8, b"MARTIN-TEST"), (GIVEN, UTF8, b"L")];
    let serves = |host: &[u8]| {
        forge::certificate(|all| {
            set(all, place::SUBJECT, name(&[&[(CN, UTF8, host)]]));
            let purposes = der::sequence(&[oid("1.3.6.1.5.5.7.3.1")]);
            set(all, place::EXTENSIONS, der::context(3, &[der::sequence(&[extension("2.5.29.37", false, &purposes)])]));
        })
    };
    vec![
        ("holder-number", subject(&[&[(CN, UTF8, b"899700000017")]])),
        ("holder-two", subject(&[person, &[(CN, UTF8, b"899700000025")]])),
        ("holder-two-names", subject(&[person, &[(SURNAME, UTF8, b"DURAND-TEST")]])),
        ("holder-pseudonym", subject(&[&[(CN, UTF8, b"3990000001/000000018")], &[(UNIT, UTF8, b"1990000001")]])),
        (
            "structure-two",
            subject(&[
                &[(ORGANISATION, UTF8, b"CH")],
                &[(UNIT, UTF8, b"1990000001")],
                &[(UNIT, UTF8, b"318751275100020")],
                &[(CN, UTF8, b"x")],
            ]),
        ),
        ("server-by-name", serves(b"MX.ch-exemple.test")),
        ("server-nobody", serves(b"Serveur")),
        (
            "test-unit",
            forge::certificate(|all| {
                set(all, place::ISSUER, name(&[&[(UNIT, UTF8, b"IGC-SANTE TEST")]]));
                all.truncate(place::EXTENSIONS);
            }),
        ),
    ]
}

fn keys() -> Vec<Sample> {
    let with = |info: Vec<u8>| forge::certificate(|all| set(all, place::KEY, info));
    let curve = |nid: Nid, flag: Asn1Flag| {
        let mut group = EcGroup::from_curve_name(nid).expect("a curve");
        group.set_asn1_flag(flag);
        let key = EcKey::generate(&group).and_then(PKey::from_ec_key).expect("a key");
        forge::key(&key)
    };
    let named = Asn1Flag::NAMED_CURVE;
    let edwards = PKey::generate_ed25519().expect("a key");
    let montgomery = PKey::generate_x25519().expect("a key");
    vec![
        ("key-p384", with(curve(Nid::SECP384R1, named))),
        ("key-p521", with(curve(Nid::SECP521R1, named))),
        ("key-other-curve", with(curve(Nid::SECP256K1, named))),
        ("key-spelled-out", with(curve(Nid::X9_62_PRIME256V1, Asn1Flag::EXPLICIT_CURVE))),
        ("key-ed25519", with(forge::key(&edwards))),
        ("key-x25519", with(forge::key(&montgomery))),
        ("key-rsa", with(forge::key(world::READER_RSA.openssl()))),
        ("key-unknown", with(der::sequence(&[forge::algorithm("1.2.3.4", &[]), der::bit_string(&[1, 2])]))),
    ]
}

/// A leaf for `address` below an authority with constraints, below the root.
fn chain(address: &str, permitted: &[&str], excluded: &[&str]) -> Vec<u8> {
    let authority: &FileKey = &world::PUBLISHER;
    let above = name(&[&[(CN, UTF8, b"AC EXEMPLE")]]);
    let list = |number, texts: &[&str]| match texts {
        [] => Vec::new(),
        some => der::context(number, &some.iter().map(|text| mail_subtree(text)).collect::<Vec<_>>()),
    };
    let usage = |bits: &[bool]| extension("2.5.29.15", true, &der::named_bits(bits));
    let constrained = forge::certificate(|all| {
        set(all, place::SUBJECT, above.clone());
        set(all, place::KEY, forge::key(authority.openssl()));
        let extensions = der::sequence(&[
            extension("2.5.29.19", true, &der::sequence(&[der::boolean(true)])),
            usage(&[false, false, false, false, false, true, true]),
            extension("2.5.29.30", true, &der::sequence(&[list(0, permitted), list(1, excluded)])),
        ]);
        set(all, place::EXTENSIONS, der::context(3, &[extensions]));
    });
    let algorithm = forge::algorithm("1.2.840.113549.1.1.11", &der::null());
    let leaf = forge::body(|all| {
        set(all, place::ALGORITHM, algorithm.clone());
        set(all, place::ISSUER, above);
        let names = der::sequence(&[der::context_primitive(1, address.as_bytes())]);
        let extensions = der::sequence(&[usage(&[true]), extension("2.5.29.17", false, &names)]);
        set(all, place::EXTENSIONS, der::context(3, &[extensions]));
    });
    let scheme = pki::keys::SignatureScheme::RsaPkcs1Sha256;
    let signature = authority.sign(scheme, &leaf).expect("a signature");
    let leaf = der::sequence(&[leaf, algorithm, der::bit_string(&signature)]);
    [forge::pem("CERTIFICATE", &leaf), forge::pem("CERTIFICATE", &constrained)].concat()
}

fn chains() -> Vec<Sample> {
    let address = "a@mx.ch-exemple.test";
    vec![
        ("chain-host", chain(address, &["tiers.test", "mx.ch-exemple.test"], &[".tiers.test"])),
        ("chain-below", chain(address, &[".ch-exemple.test"], &["b@mx.ch-exemple.test"])),
        ("chain-all", chain(address, &[""], &["ch-exemple.test"])),
        ("chain-refused", chain(address, &["ch-exemple.test"], &[])),
    ]
}
