//! Signed containers: schemes, signers, what a signer says.

use openssl::{
    hash::{MessageDigest, hash},
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer},
};
use pki::{
    certificate::Certificate,
    der::{self, tag},
    keys::SigningKey,
};

use super::{DATA, ECDSA, MGF1, PSS, RSA, SHA1, SHA256, SHA384, SHA512, SIGNED, indefinite, issuer_serial, object};
use crate::{
    forge::{self, algorithm, edit, oid, with_members},
    samples::Sample,
    targets::cms::TEXT,
    world::{NOW, PUBLISHER, ROOT, SIGNER},
};

/// A signed container in the making: by the kept signer, over the text, with what we write ourselves.
struct Draft {
    announced: Vec<Vec<u8>>,
    content_type: &'static str,
    content: Option<Vec<u8>>,
    certificates: Option<Vec<Vec<u8>>>,
    lists: Option<Vec<u8>>,
    id: Vec<u8>,
    digest: &'static str,
    attributes: Option<Vec<Vec<u8>>>,
    scheme: Vec<u8>,
    sign: fn(&[u8]) -> Vec<u8>,
    unsigned: Option<Vec<u8>>,
}

fn signer() -> &'static Certificate {
    SigningKey::certificate(&*SIGNER)
}

fn publisher() -> &'static Certificate {
    SigningKey::certificate(&*PUBLISHER)
}

pub(super) fn attribute(kind: &str, values: &[Vec<u8>]) -> Vec<u8> {
    der::sequence(&[oid(kind), der::set_of(values)])
}

const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const ESS: &str = "1.2.840.113549.1.9.16.2.12";
const ESS2: &str = "1.2.840.113549.1.9.16.2.47";

fn digest_of(name: &str) -> MessageDigest {
    match name {
        SHA384 => MessageDigest::sha384(),
        SHA512 => MessageDigest::sha512(),
        SHA1 => MessageDigest::sha1(),
        _ => MessageDigest::sha256(),
    }
}

fn needed(digest: &str) -> Vec<Vec<u8>> {
    let value = hash(digest_of(digest), TEXT).expect("a digest");
    vec![attribute(CONTENT_TYPE, &[oid(DATA)]), attribute(MESSAGE_DIGEST, &[der::octet_string(&value)])]
}

fn by(key: &pki::keys::FileKey, digest: MessageDigest, message: &[u8]) -> Vec<u8> {
    Signer::new(digest, key.openssl()).expect("a key").sign_oneshot_to_vec(message).expect("signed")
}

impl Draft {
    fn new() -> Self {
        Self {
            announced: vec![algorithm(SHA256, &[])],
            content_type: DATA,
            content: Some(der::octet_string(TEXT)),
            certificates: None,
            lists: None,
            id: issuer_serial(signer()),
            digest: SHA256,
            attributes: Some(needed(SHA256)),
            scheme: algorithm(ECDSA, &[]),
            sign: |message| by(&SIGNER, MessageDigest::sha256(), message),
            unsigned: None,
        }
    }

    /// By the publisher, whose key is RSA.
    fn rsa(scheme: Vec<u8>, digest: &'static str, sign: fn(&[u8]) -> Vec<u8>) -> Self {
        Self {
            announced: vec![algorithm(digest, &der::null())],
            certificates: Some(vec![publisher().der().to_vec()]),
            id: issuer_serial(publisher()),
            digest,
            attributes: Some(needed(digest)),
            scheme,
            sign,
            ..Self::new()
        }
    }

    fn with(mut self, extra: Vec<Vec<u8>>) -> Self {
        self.attributes.get_or_insert_default().extend(extra);
        self
    }

    fn signer(&self) -> Vec<u8> {
        let attributes = self.attributes.as_ref().map(|all| der::set_of(all));
        let signature = (self.sign)(attributes.as_deref().unwrap_or(TEXT));
        let mut members = vec![der::integer(1), self.id.clone(), algorithm(self.digest, &[])];
        members.extend(attributes.map(|set| [&[0xa0], set.get(1..).unwrap_or_default()].concat()));
        members.extend([self.scheme.clone(), der::octet_string(&signature)]);
        members.extend(self.unsigned.as_ref().map(|it| der::context(1, &[it])));
        der::sequence(&members)
    }

    fn build(self) -> Vec<u8> {
        let signers = [self.signer()];
        self.by(&signers)
    }

    fn by(self, signers: &[Vec<u8>]) -> Vec<u8> {
        let mut content = vec![oid(self.content_type)];
        content.extend(self.content.map(|it| der::context(0, &[it])));
        let mut members = vec![der::integer(1), der::set_of(&self.announced), der::sequence(&content)];
        members.extend(self.certificates.map(|all| der::context(0, &all)));
        members.extend(self.lists.map(|it| der::context(1, &[it])));
        members.push(der::set_of(signers));
        object(SIGNED, &der::sequence(&members))
    }
}

fn pss(digest: &str, mask: &str, salt: Option<u64>, trailer: Option<u64>) -> Vec<u8> {
    let mask = algorithm(MGF1, &algorithm(mask, &der::null()));
    let mut members = vec![der::context(0, &[algorithm(digest, &der::null())]), der::context(1, &[mask])];
    members.extend(salt.map(|salt| der::context(2, &[der::integer(salt)])));
    members.extend(trailer.map(|trailer| der::context(3, &[der::integer(trailer)])));
    algorithm(PSS, &der::sequence(&members))
}

fn sign_pss(message: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), PUBLISHER.openssl()).expect("a key");
    signer.set_rsa_padding(Padding::PKCS1_PSS).expect("padding");
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).expect("a salt");
    signer.sign_oneshot_to_vec(message).expect("signed")
}

/// Schemes, and what announces them.
pub(super) fn signatures() -> Vec<Sample> {
    let good = Draft { certificates: Some(vec![signer().der().to_vec()]), ..Draft::new() }.build();
    let plain = |message: &[u8]| by(&PUBLISHER, MessageDigest::sha256(), message);
    let strong = |message: &[u8]| by(&PUBLISHER, MessageDigest::sha512(), message);
    let middle = |message: &[u8]| by(&PUBLISHER, MessageDigest::sha384(), message);
    let pss_as = |scheme: Vec<u8>| Draft::rsa(scheme, SHA256, sign_pss).build();
    let ec = |scheme: &str, digest: &'static str, sign: fn(&[u8]) -> Vec<u8>| {
        let announced = vec![algorithm(digest, &[])];
        Draft {
            announced,
            digest,
            attributes: Some(needed(digest)),
            scheme: algorithm(scheme, &[]),
            sign,
            ..Draft::new()
        }
        .build()
    };
    let content = |content: Option<Vec<u8>>| Draft { content, ..Draft::new() }.build();
    let cut: Vec<Vec<u8>> = TEXT.chunks(9).map(der::octet_string).collect();
    let (first, rest) = cut.split_first().expect("pieces");
    let nested = [first.clone(), der::tlv(0x24, &rest.concat())].concat();
    vec![
        ("signed", good.clone()),
        ("signed-ber", indefinite(&good, 3)),
        ("signed-ber-attributes", edit(&good, &[1, 0, 4], &|signers| indefinite(signers, 5))),
        ("signed-ber-content", indefinite_content(&good)),
        ("detached", content(None)),
        ("signed-pieces", content(Some(der::tlv(0x24, &cut.concat())))),
        ("signed-nested", content(Some([&[0x24, 0x80][..], &nested, &[0, 0]].concat()))),
        ("signed-two-contents", content(Some([der::octet_string(TEXT), der::octet_string(TEXT)].concat()))),
        ("signed-no-octets", content(Some(der::null()))),
        ("signed-other-text", content(Some(der::octet_string(b"Autre texte.")))),
        ("signed-type", Draft { content_type: SIGNED, ..Draft::new() }.build()),
        ("signed-unannounced", Draft { announced: vec![], ..Draft::new() }.build()),
        ("signed-announced-oddly", Draft { announced: vec![der::null()], ..Draft::new() }.build()),
        ("rsa-signed", Draft::rsa(algorithm(RSA, &der::null()), SHA256, plain).build()),
        ("rsa-signed-sha256", Draft::rsa(algorithm("1.2.840.113549.1.1.11", &der::null()), SHA256, plain).build()),
        ("rsa-signed-sha384", Draft::rsa(algorithm("1.2.840.113549.1.1.12", &der::null()), SHA384, middle).build()),
        ("rsa-signed-sha512", Draft::rsa(algorithm("1.2.840.113549.1.1.13", &der::null()), SHA512, strong).build()),
        ("rsa-signed-mixed", Draft::rsa(algorithm("1.2.840.113549.1.1.13", &der::null()), SHA256, plain).build()),
        ("rsa-signed-sha1", Draft::rsa(algorithm("1.2.840.113549.1.1.5", &der::null()), SHA256, plain).build()),
        ("digest-sha1", Draft { digest: SHA1, ..Draft::new() }.build()),
        ("pss", pss_as(pss(SHA256, SHA256, Some(32), Some(1)))),
        ("pss-default-salt", pss_as(pss(SHA256, SHA256, None, None))),
        ("pss-large-salt", pss_as(pss(SHA256, SHA256, Some(70_000), None))),
        ("pss-salt-222", pss_as(pss(SHA256, SHA256, Some(222), None))),
        ("pss-trailer", pss_as(pss(SHA256, SHA256, Some(32), Some(2)))),
        ("pss-mask", pss_as(pss(SHA256, SHA1, Some(32), None))),
        ("pss-digest", pss_as(pss(SHA512, SHA256, Some(32), None))),
        ("pss-empty", pss_as(algorithm(PSS, &der::sequence::<Vec<u8>>(&[])))),
        ("pss-bare", pss_as(algorithm(PSS, &[]))),
        ("ec-signed-384", ec("1.2.840.10045.4.3.3", SHA384, |message| by(&SIGNER, MessageDigest::sha384(), message))),
        ("ec-signed-512", ec("1.2.840.10045.4.3.4", SHA512, |message| by(&SIGNER, MessageDigest::sha512(), message))),
        ("ec-signed-rsa-name", ec(RSA, SHA256, |message| by(&SIGNER, MessageDigest::sha256(), message))),
        ("ed25519-name", ec("1.3.101.112", SHA512, |_| vec![7; 64])),
        ("scheme-unknown", ec("1.2.3", SHA256, |_| vec![7; 64])),
        ("signature-wrong", Draft { sign: |_| vec![7; 70], ..Draft::new() }.build()),
    ]
}

/// Only what stands around the content without lengths of its own.
fn indefinite_content(signed: &[u8]) -> Vec<u8> {
    edit(signed, &[1, 0, 2], &|holder| indefinite(holder, 2))
}

/// Who signed, and what lies beside.
pub(super) fn signers() -> Vec<Sample> {
    let with_certificates = |certificates: Option<Vec<Vec<u8>>>| Draft { certificates, ..Draft::new() }.build();
    let root = SigningKey::certificate(&*ROOT).der().to_vec();
    let own = signer().der().to_vec();
    let key_id = |octets: &[u8]| Draft { id: der::context_primitive(0, octets), ..Draft::new() }.build();
    let one = Draft::new().signer();
    let first = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let good = Draft::new();
        let changed = with_members(&good.signer(), |all| change(all));
        good.by(&[changed])
    };
    vec![
        ("certificates-none", with_certificates(None)),
        ("certificates-more", with_certificates(Some(vec![root.clone(), own.clone(), own.clone()]))),
        ("certificates-other", with_certificates(Some(vec![der::context(1, &[der::null()]), vec![0x30, 0], own]))),
        (
            "certificates-wrong",
            Draft { certificates: Some(vec![root]), id: issuer_serial(publisher()), ..Draft::new() }.build(),
        ),
        ("lists", Draft { lists: Some(der::sequence(&[der::null()])), ..Draft::new() }.build()),
        ("signers-none", Draft::new().by(&[])),
        ("signers-two", Draft::new().by(&[one.clone(), one])),
        ("signer-null", Draft::new().by(&[der::null()])),
        ("signer-key-id", key_id(signer().subject_key_id().expect("an identifier"))),
        ("signer-key-id-other", key_id(&[7; 20])),
        (
            "signer-issuer",
            Draft {
                id: edit(&issuer_serial(signer()), &[0], &|_| forge::name(&[&[("2.5.4.3", 12, b"AUTRE")]])),
                ..Draft::new()
            }
            .build(),
        ),
        (
            "signer-issuer-oddly",
            Draft { id: edit(&issuer_serial(signer()), &[0], &|_| der::sequence(&[der::null()])), ..Draft::new() }
                .build(),
        ),
        ("signer-unsigned", Draft { unsigned: Some(attribute("1.2.3", &[der::null()])), ..Draft::new() }.build()),
        ("signer-unsigned-wrong", Draft { unsigned: Some(der::null()), ..Draft::new() }.build()),
        ("signer-behind", first(&|all| all.push(der::null()))),
        (
            "signer-pieces",
            first(&|all| {
                let signature = forge::content(all.last().expect("a signature")).expect("octets").to_vec();
                forge::set(
                    all,
                    5,
                    der::tlv(0x24, &signature.chunks(20).flat_map(der::octet_string).collect::<Vec<u8>>()),
                );
            }),
        ),
        ("signer-version", first(&|all| forge::set(all, 0, der::tlv(tag::INTEGER, &[])))),
    ]
}

/// What the signer says.
pub(super) fn attributes() -> Vec<Sample> {
    let only = |attributes: Option<Vec<Vec<u8>>>| Draft { attributes, ..Draft::new() }.build();
    let with = |extra: Vec<Vec<u8>>| Draft::new().with(extra).build();
    let time = |kind: u8, text: &str| with(vec![attribute(SIGNING_TIME, &[der::tlv(kind, text.as_bytes())])]);
    let [kind, digest] = <[Vec<u8>; 2]>::try_from(needed(SHA256)).expect("two");
    let hashed = |digest: MessageDigest| der::octet_string(&hash(digest, signer().der()).expect("a digest"));
    let ess = |kind: &str, id: &[Vec<u8>]| {
        with(vec![attribute(kind, &[der::sequence(&[der::sequence(&[der::sequence(id)])])])])
    };
    let sha256 = || hashed(MessageDigest::sha256());
    let names = der::sequence(&[der::context(4, &[signer().issuer_der()])]);
    let serial = der::tlv(tag::INTEGER, signer().serial());
    let own = der::sequence(&[names.clone(), serial]);
    let other = der::sequence(&[names, der::integer(7)]);
    let day = std::time::Duration::from_secs(86_400);
    vec![
        ("attributes-none", only(None)),
        ("attributes-empty", only(Some(vec![]))),
        ("attributes-no-type", only(Some(vec![digest.clone()]))),
        ("attributes-no-digest", only(Some(vec![kind.clone()]))),
        (
            "attributes-type-twice",
            only(Some(vec![kind.clone(), attribute(CONTENT_TYPE, &[der::null()]), digest.clone()])),
        ),
        (
            "attributes-digest-values",
            only(Some(vec![kind.clone(), attribute(MESSAGE_DIGEST, &[der::null(), der::octet_string(b"")])])),
        ),
        ("attributes-type", only(Some(vec![attribute(CONTENT_TYPE, &[oid(SIGNED)]), digest.clone()]))),
        (
            "attributes-digest",
            only(Some(vec![kind.clone(), attribute(MESSAGE_DIGEST, &[der::octet_string(&[7; 32])])])),
        ),
        ("attributes-not-one", only(Some(vec![der::null(), kind, digest]))),
        ("attributes-behind", with(vec![der::sequence(&[oid("1.2.3"), der::set_of(&[der::null()]), der::null()])])),
        ("attributes-no-values", with(vec![attribute("1.2.3", &[])])),
        ("attributes-many", with((0..70).map(|at| attribute(&format!("1.2.{at}"), &[der::null()])).collect())),
        (
            "attributes-long-name",
            with(vec![der::sequence(&[der::tlv(tag::OID, &[0x81; 65]), der::set_of(&[der::null()])])]),
        ),
        (
            "attributes-odd-name",
            with(vec![der::sequence(&[der::tlv(tag::OID, &[0x2a, 0x81]), der::set_of(&[der::null()])])]),
        ),
        ("time", with(vec![attribute(SIGNING_TIME, &[der::time(NOW.minus(day)).expect("a date")])])),
        ("time-general", time(tag::GENERALIZED_TIME, "20260921120000Z")),
        ("time-zone", time(tag::UTC_TIME, "2609211200+0100")),
        ("time-month", time(tag::UTC_TIME, "261321120000Z")),
        ("time-text", time(tag::UTF8_STRING, "hier")),
        ("ess", ess(ESS, &[hashed(MessageDigest::sha1())])),
        ("ess-serial", ess(ESS, &[hashed(MessageDigest::sha1()), own.clone()])),
        ("ess2", ess(ESS2, &[sha256()])),
        ("ess2-serial", ess(ESS2, &[sha256(), own])),
        ("ess2-other-serial", ess(ESS2, &[sha256(), other])),
        ("ess2-sha512", ess(ESS2, &[algorithm(SHA512, &[]), hashed(MessageDigest::sha512())])),
        ("ess2-sha1", ess(ESS2, &[algorithm(SHA1, &[]), hashed(MessageDigest::sha1())])),
        ("ess2-other", ess(ESS2, &[der::octet_string(&[7; 32])])),
        (
            "ess2-behind",
            ess(ESS2, &[sha256(), der::sequence(&[der::sequence::<Vec<u8>>(&[]), der::integer(1)]), der::null()]),
        ),
        ("ess2-nothing", with(vec![attribute(ESS2, &[der::sequence(&[der::sequence::<Vec<u8>>(&[])])])])),
        ("ess2-twice", with(vec![attribute(ESS2, &[der::null()]), attribute(ESS2, &[der::integer(1)])])),
    ]
}
