//! Revocation lists: each extension of a list and of an entry, scopes, deltas, other issuers.

use pki::{
    der::{self, tag},
    keys::SigningKey,
};

use super::Sample;
use crate::{
    forge::{self, extension, name, oid},
    world::{NOW, ROOT, SIGNER},
};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const NUMBER: &str = "2.5.29.20";
const SCOPE: &str = "2.5.29.28";
const REASON: &str = "2.5.29.21";

/// A list in the making: what stands in its signed part.
struct Draft {
    members: Vec<Vec<u8>>,
    entries: Option<Vec<Vec<u8>>>,
    extensions: Option<Vec<Vec<u8>>>,
}

impl Draft {
    /// Version 2, of the root, of yesterday until tomorrow, number 7.
    fn new() -> Self {
        let at = |when| der::time(when).expect("a date");
        let members = vec![
            der::integer(1),
            forge::algorithm("1.2.840.10045.4.3.2", &[]),
            SigningKey::certificate(&*ROOT).subject().der().to_vec(),
            at(NOW.minus(DAY)),
            at(NOW.plus(DAY)),
        ];
        Self { members, entries: None, extensions: Some(vec![extension(NUMBER, false, &der::integer(7))]) }
    }

    fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.get_or_insert_default().push(extension);
        self
    }

    fn listing(mut self, entries: Vec<Vec<u8>>) -> Self {
        self.entries = Some(entries);
        self
    }

    fn numbered(mut self, number: &[u8]) -> Self {
        self.extensions = Some(vec![extension(NUMBER, false, &der::tlv(tag::INTEGER, number))]);
        self
    }

    fn body(self) -> Vec<u8> {
        let mut members = self.members;
        members.extend(self.entries.map(|entries| der::sequence(&entries)));
        members.extend(self.extensions.map(|extensions| der::context(0, &[der::sequence(&extensions)])));
        der::sequence(&members)
    }

    fn signed(self) -> Vec<u8> {
        forge::signed(&self.body())
    }

    /// Under another algorithm's name.
    fn under(mut self, dotted: &str, parameters: &[u8]) -> Vec<u8> {
        let algorithm = forge::algorithm(dotted, parameters);
        forge::set(&mut self.members, 1, algorithm.clone());
        forge::pretended(&self.body(), &algorithm)
    }
}

fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let at = der::time(NOW.minus(DAY)).expect("a date");
    let mut members = vec![der::tlv(tag::INTEGER, serial), at];
    if !extensions.is_empty() {
        members.push(der::sequence(extensions));
    }
    der::sequence(&members)
}

fn reason(code: u8) -> Vec<u8> {
    extension(REASON, false, &der::tlv(tag::ENUMERATED, &[code]))
}

fn issued_by(common: &[u8]) -> Vec<u8> {
    let directory = der::context(4, &[name(&[&[("2.5.4.3", tag::UTF8_STRING, common)]])]);
    extension("2.5.29.29", true, &der::sequence(&[directory]))
}

/// All of them.
pub fn all() -> Vec<Sample> {
    [entries(), scopes(), structure(), algorithms()].concat()
}

fn entries() -> Vec<Sample> {
    let one = |extensions: &[Vec<u8>]| Draft::new().listing(vec![entry(&[9], extensions)]).signed();
    let own = SigningKey::certificate(&*SIGNER).serial().to_vec();
    let root = SigningKey::certificate(&*ROOT).subject().der().to_vec();
    let by_root = extension("2.5.29.29", true, &der::sequence(&[der::context(4, &[root])]));
    let many: Vec<_> = (0..=130).map(|at| entry(&[1, at], &[])).collect();
    let date = der::sequence(&[der::integer(3), der::tlv(tag::UTC_TIME, b"500101000000Z")]);
    vec![
        ("entries-none", Draft::new().listing(vec![]).signed()),
        ("entries-many", Draft::new().listing(many).signed()),
        ("entry-ours", Draft::new().listing(vec![entry(&own, &[reason(1)])]).signed()),
        ("entry-ours-removed", Draft::new().listing(vec![entry(&own, &[reason(8)])]).signed()),
        ("entry-known", Draft::new().listing(vec![entry(&[1, 1, 2, 3], &[]), entry(&[0x80], &[])]).signed()),
        ("entry-two-extensions", one(&[reason(3), extension("1.2.3", false, &der::null())])),
        ("entry-critical", one(&[extension("1.2.3", true, &der::null())])),
        ("entry-twice", one(&[reason(3), reason(4)])),
        ("entry-reason", one(&[reason(7)])),
        ("entry-serial", Draft::new().listing(vec![entry(&[1; 22], &[])]).signed()),
        ("entry-old", Draft::new().listing(vec![date]).signed()),
        (
            "issuers",
            Draft::new()
                .with(scope(&[der::tlv(0x84, &[0xff])]))
                .listing(vec![
                    entry(&[1], &[issued_by(b"A")]),
                    entry(&[2], &[reason(2), issued_by(b"B")]),
                    entry(&[3], &[issued_by(b"A")]),
                    entry(&[1, 1, 2, 3], &[by_root]),
                ])
                .signed(),
        ),
        ("issuer-nobody", one(&[extension("2.5.29.29", true, &der::sequence(&[der::context_primitive(2, b"x")]))])),
    ]
}

fn scope(members: &[Vec<u8>]) -> Vec<u8> {
    extension(SCOPE, true, &der::sequence(members))
}

fn scopes() -> Vec<Sample> {
    let scoped = |members: &[Vec<u8>]| Draft::new().with(scope(members)).signed();
    let uri = der::context_primitive(6, b"http://igc.sceau.test/CRL/RACINE-EXEMPLE.crl");
    let full = der::context(0, &[der::context(0, &[uri])]);
    let relative = der::context(0, &[der::context(1, &[der::sequence(&[oid("2.5.4.3"), der::utf8("x")])])]);
    let flag = |number: u8| der::tlv(0x80 | number, &[0xff]);
    vec![
        ("scope-none", scoped(&[])),
        ("scope-users", scoped(&[full.clone(), flag(1)])),
        ("scope-authorities", scoped(&[relative, flag(2)])),
        ("scope-attributes", scoped(&[flag(5)])),
        ("scope-both", scoped(&[flag(1), flag(2)])),
        ("scope-reasons", scoped(&[full, der::tlv(0x83, &[5, 0x60]), flag(4)])),
        ("scope-wrong", scoped(&[der::tlv(0x81, &[1])])),
        ("scope-name", scoped(&[der::context(0, &[der::null()])])),
        ("delta", Draft::new().with(extension("2.5.29.27", true, &der::integer(5))).signed()),
    ]
}

fn structure() -> Vec<Sample> {
    let authority = der::sequence(&[der::context_primitive(0, &[1; 20])]);
    let number = |octets: &[u8]| Draft::new().numbered(octets).signed();
    let without = |at: usize| {
        let mut draft = Draft::new();
        draft.members.remove(at);
        draft.signed()
    };
    let mut unnumbered = Draft::new();
    unnumbered.extensions = None;
    let mut other = Draft::new();
    other.extensions = Some(vec![extension("2.5.29.35", false, &authority)]);
    let twice = extension(NUMBER, false, &der::integer(8));
    let pem = |text: &[u8]| forge::pem("X509 CRL", text);
    vec![
        ("version-1", without(0)),
        ("next-none", without(4)),
        ("extensions-none", unnumbered.signed()),
        ("number-none", other.signed()),
        ("number-twice", Draft::new().with(twice).signed()),
        ("number-zero", number(&[0])),
        ("number-high", number(&[0, 0xff])),
        ("number-negative", number(&[0x80])),
        ("number-long", number(&[1; 21])),
        ("critical", Draft::new().with(extension("1.2.3", true, &der::null())).signed()),
        ("authority-key", Draft::new().with(extension("2.5.29.35", false, &authority)).signed()),
        ("other-algorithm", forge::pretended(&Draft::new().body(), &forge::algorithm("1.3.101.112", &[]))),
        ("text", b"no list".to_vec()),
        ("octets", b"\xff".to_vec()),
        ("pem-open", b"-----BEGIN X509 CRL-----\n".to_vec()),
        ("pem-wrong", b"-----BEGIN X509 CRL-----\n*\n-----END X509 CRL-----\n".to_vec()),
        ("pem-inside", pem(&[0x30, 0])),
    ]
}

/// RSASSA-PSS-params.
fn pss(digest: &str, mask: &str, salt: u64, trailer: u64) -> Vec<u8> {
    let one = |number, content: Vec<u8>| der::context(number, &[content]);
    der::sequence(&[
        one(0, forge::algorithm(digest, &[])),
        one(1, forge::algorithm(mask, &forge::algorithm(digest, &[]))),
        one(2, der::integer(salt)),
        one(3, der::integer(trailer)),
    ])
}

fn algorithms() -> Vec<Sample> {
    const PSS: &str = "1.2.840.113549.1.1.10";
    const MGF1: &str = "1.2.840.113549.1.1.8";
    const SHA256: &str = "2.16.840.1.101.3.4.2.1";
    const SHA512: &str = "2.16.840.1.101.3.4.2.3";
    let under = |dotted: &str| Draft::new().under(dotted, &[]);
    let pss = |parameters: &[u8]| Draft::new().under(PSS, parameters);
    let parameters = self::pss;
    vec![
        ("rsa-sha1", under("1.2.840.113549.1.1.5")),
        ("rsa-sha224", under("1.2.840.113549.1.1.14")),
        ("rsa-sha384", under("1.2.840.113549.1.1.12")),
        ("rsa-sha512", under("1.2.840.113549.1.1.13")),
        ("ecdsa-sha1", under("1.2.840.10045.4.1")),
        ("ecdsa-sha224", under("1.2.840.10045.4.3.1")),
        ("ecdsa-sha384", under("1.2.840.10045.4.3.3")),
        ("ecdsa-sha512", under("1.2.840.10045.4.3.4")),
        ("dsa-sha1", under("1.2.840.10040.4.3")),
        ("dsa-sha224", under("2.16.840.1.101.3.4.3.1")),
        ("dsa-sha256", under("2.16.840.1.101.3.4.3.2")),
        ("ed25519", under("1.3.101.112")),
        ("md5", under("1.2.840.113549.1.1.4")),
        ("pss", pss(&parameters(SHA256, MGF1, 32, 1))),
        ("pss-sha512", pss(&parameters(SHA512, MGF1, 64, 1))),
        ("pss-mask", pss(&parameters(SHA256, "1.2.3", 32, 1))),
        ("pss-salt", pss(&parameters(SHA256, MGF1, 513, 1))),
        ("pss-trailer", pss(&parameters(SHA256, MGF1, 32, 2))),
        ("pss-digest", pss(&parameters("1.2.3", MGF1, 32, 1))),
        ("pss-default", pss(&der::sequence::<Vec<u8>>(&[]))),
    ]
}
