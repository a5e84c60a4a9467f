//! Containers: what is in the wild (BER, pieces, every key transport), and one for each rule of the readers.

mod sealed;
mod signed;

use openssl::hash::MessageDigest;
use pki::{
    certificate::Certificate,
    der::{self, tag},
    keys::DecryptionKey,
};

use self::{
    sealed::{agreements, contents, objects, recipients, transports},
    signed::{attributes, signatures, signers},
};
use super::Sample;
use crate::{
    forge::{oid, parts},
    targets::cms::TEXT,
    world::{READER_EC, READER_RSA},
};

const DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED: &str = "1.2.840.113549.1.7.2";
const ENVELOPED: &str = "1.2.840.113549.1.7.3";
const AUTHENTICATED: &str = "1.2.840.113549.1.9.16.1.23";
const COMPRESSED: &str = "1.2.840.113549.1.9.16.1.9";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";
const MGF1: &str = "1.2.840.113549.1.1.8";
const OAEP: &str = "1.2.840.113549.1.1.7";
const RSA: &str = "1.2.840.113549.1.1.1";
const PSS: &str = "1.2.840.113549.1.1.10";
const ECDSA: &str = "1.2.840.10045.4.3.2";
const EC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const AES256_WRAP: &str = "2.16.840.1.101.3.4.1.45";
const GCM: [&str; 3] = ["2.16.840.1.101.3.4.1.6", "2.16.840.1.101.3.4.1.26", "2.16.840.1.101.3.4.1.46"];
const CBC: [&str; 3] = ["2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.22", "2.16.840.1.101.3.4.1.42"];
const ECDH: [(&str, MessageKind); 4] = [
    ("1.3.133.16.840.63.0.2", MessageDigest::sha1),
    ("1.3.132.1.11.1", MessageDigest::sha256),
    ("1.3.132.1.11.2", MessageDigest::sha384),
    ("1.3.132.1.11.3", MessageDigest::sha512),
];

type MessageKind = fn() -> MessageDigest;

/// All of them.
pub fn all() -> Vec<Sample> {
    [objects(), contents(), transports(), agreements(), recipients(), signatures(), signers(), attributes(), written()]
        .concat()
}

/// What we write ourselves: a text, and values for attributes.
fn written() -> Vec<Sample> {
    let of = |text: &[u8]| [b"w", text].concat();
    vec![
        ("write-text", of(TEXT)),
        ("write-nothing", of(b"")),
        ("write-values", of(&der::sequence(&[der::null(), der::sequence(&[der::integer(7)])]))),
        ("write-wrong-value", of(&der::sequence(&[vec![0x1f, 1, 0]]))),
    ]
}

/// ContentInfo.
fn object(kind: &str, body: &[u8]) -> Vec<u8> {
    der::sequence(&[oid(kind), der::context(0, &[body])])
}

fn rsa() -> &'static Certificate {
    DecryptionKey::certificate(&*READER_RSA)
}

fn ec() -> &'static Certificate {
    DecryptionKey::certificate(&*READER_EC)
}

fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    let serial = der::tlv(tag::INTEGER, certificate.serial());
    der::sequence(&[certificate.issuer_der().to_vec(), serial])
}

/// The same value with lengths that are found at its end, all the way down to what is signed or a certificate.
fn indefinite(value: &[u8], levels: usize) -> Vec<u8> {
    let constructed = value.first().is_some_and(|tag| tag & 0x20 != 0);
    match parts(value).filter(|_| constructed && levels > 0) {
        None => value.to_vec(),
        Some(members) => {
            let inside: Vec<u8> =
                members.iter().flat_map(|member| indefinite(member, levels.saturating_sub(1))).collect();
            [&[*value.first().expect("a tag"), 0x80][..], &inside, &[0, 0]].concat()
        }
    }
}
