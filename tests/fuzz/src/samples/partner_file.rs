//! Partner files: the text with each fault, and containers of each kind of signer.

use std::time::Duration;

use ident::{Address, Domain, Timestamp};
use pki::{
    book::{BookOwner, BookUse},
    certificate::Certificate,
    cms,
    der::{self, tag},
    keys::{DecryptionKey, FileKey, SigningKey},
    partner_file::{PartnerDraft, PartnerEntry, sign},
};

use super::Sample;
use crate::{
    forge::{self, extension, name, oid, place, set},
    world::{self, NOW, READER_EC, SIGNER},
};

const DAY: Duration = Duration::from_secs(86_400);
const DOMAIN: &str = "ch-exemple.test";

/// All of them.
pub fn all() -> Vec<Sample> {
    [good(), heads(), dates(), entries(), certificates(), containers()].concat()
}

fn domain(text: &str) -> BookOwner {
    BookOwner::Domain(Domain::parse(text).expect("a domain"))
}

fn address() -> BookOwner {
    BookOwner::Address(Address::parse("anne.martin-test@ch-exemple.test").expect("an address"))
}

fn draft(entries: Vec<PartnerEntry>) -> PartnerDraft {
    let operator = world::hospital().id;
    PartnerDraft { operator, serial: 7, issued: NOW.minus(DAY), expires: NOW.plus(DAY), entries }
}

fn text_of(draft: &PartnerDraft) -> Vec<u8> {
    let file = sign(draft, &*SIGNER).expect("a file");
    cms::verify(&file, None, &[]).expect("our own file").content.to_vec()
}

fn one(owner: BookOwner, usage: BookUse, certificate: &Certificate) -> Vec<u8> {
    text_of(&draft(vec![PartnerEntry { owner, usage, certificate: certificate.clone(), capabilities: None }]))
}

fn signs() -> Certificate {
    SigningKey::certificate(&*SIGNER).clone()
}

fn reads() -> Certificate {
    DecryptionKey::certificate(&*READER_EC).clone()
}

fn good() -> Vec<Sample> {
    let entry = |owner, usage, certificate| PartnerEntry { owner, usage, certificate, capabilities: None };
    let all = draft(vec![
        entry(domain(DOMAIN), BookUse::Signs, signs()),
        entry(domain(DOMAIN), BookUse::Reads, reads()),
        entry(address(), BookUse::Reads, reads()),
    ]);
    vec![("text", text_of(&all)), ("nothing", text_of(&draft(Vec::new())))]
}

/// The text without entries, with one passage replaced.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(text_of(&draft(Vec::new()))).expect("JSON is UTF-8");
    assert!(text.contains(from), "{from} is in {text}");
    text.replace(from, to).into_bytes()
}

fn heads() -> Vec<Sample> {
    vec![
        ("head-format", replaced("sceau-partner-file", "autre")),
        ("head-version", replaced("\"version\":1", "\"version\":2")),
        ("head-no-version", replaced("\"version\":1,", "")),
        ("head-unknown", replaced("\"version\":1", "\"version\":1,\"autre\":[]")),
        ("head-operator", replaced("1990000001", "318751275100020")),
        ("serial-zero", replaced("\"serial\":7", "\"serial\":0")),
        ("serial-large", replaced("\"serial\":7", "\"serial\":9007199254740993")),
        ("serial-older", replaced("\"serial\":7", "\"serial\":4")),
        ("serial-same", replaced("\"serial\":7", "\"serial\":5")),
        ("no-text", b"{".to_vec()),
    ]
}

fn dates() -> Vec<Sample> {
    let lasting = |issued: Timestamp, expires: Timestamp| {
        let usual = draft(Vec::new());
        let field = |name: &str, at: Timestamp| format!("\"{name}\":\"{}\"", at.rfc3339());
        let text = replaced(&field("issued", usual.issued), &field("issued", issued));
        let text = String::from_utf8(text).expect("JSON is UTF-8");
        text.replace(&field("expires", usual.expires), &field("expires", expires)).into_bytes()
    };
    vec![
        ("dates-none", replaced(&NOW.plus(DAY).rfc3339(), "demain")),
        ("dates-backwards", lasting(NOW.plus(DAY), NOW.minus(DAY))),
        ("dates-long", lasting(NOW.minus(DAY), NOW.plus(DAY.saturating_mul(400)))),
        ("dates-future", lasting(NOW.plus(DAY), NOW.plus(DAY.saturating_mul(2)))),
        ("dates-past", lasting(NOW.minus(DAY.saturating_mul(2)), NOW.minus(DAY))),
        ("dates-older", lasting(NOW.minus(DAY.saturating_mul(9)), NOW.plus(DAY))),
    ]
}

fn entries() -> Vec<Sample> {
    let entry = |inside: &str| replaced("\"entries\":[]", &format!("\"entries\":[{{{inside}}}]"));
    vec![
        ("entry-nobody", entry("\"use\":\"reads\",\"certificate\":\"\"")),
        ("entry-both", entry("\"domain\":\"x.test\",\"address\":\"a@x.test\",\"use\":\"reads\",\"certificate\":\"\"")),
        ("entry-base64", entry("\"domain\":\"x.test\",\"use\":\"signs\",\"certificate\":\"*\"")),
        ("entry-no-certificate", entry("\"domain\":\"x.test\",\"use\":\"signs\",\"certificate\":\"MAA=\"")),
        ("entry-use", entry("\"domain\":\"x.test\",\"use\":\"autre\",\"certificate\":\"MAA=\"")),
        ("entry-unknown", entry("\"domain\":\"x.test\",\"use\":\"signs\",\"certificate\":\"\",\"autre\":1")),
        ("entry-domain", entry("\"domain\":\"x..test\",\"use\":\"signs\",\"certificate\":\"MAA=\"")),
        ("entry-others", one(domain("tiers.test"), BookUse::Signs, &signs())),
        ("entry-use-reads", one(domain(DOMAIN), BookUse::Reads, &signs())),
    ]
}

fn forged(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Certificate {
    Certificate::from_der(&forge::certificate(change)).expect("a certificate that reads")
}

/// From and until, in days from now.
fn lasting(from: i32, until: i32) -> Certificate {
    let at = |days: i32| {
        let span = DAY.saturating_mul(days.unsigned_abs());
        der::time(if days < 0 { NOW.minus(span) } else { NOW.plus(span) }).expect("a date")
    };
    forged(|all| set(all, place::VALIDITY, der::sequence(&[at(from), at(until)])))
}

fn of_structure(number: &[u8]) -> Certificate {
    let parts: [&[(&str, u8, &[u8])]; 3] = [
        &[("2.5.4.10", tag::UTF8_STRING, b"CLINIQUE-TEST")],
        &[("2.5.4.11", tag::UTF8_STRING, number)],
        &[("2.5.4.3", tag::UTF8_STRING, b"SCEAU")],
    ];
    forged(|all| set(all, place::SUBJECT, name(&parts)))
}

fn with(extensions: &[Vec<u8>]) -> Certificate {
    Certificate::from_der(&forge::extended(extensions)).expect("a certificate that reads")
}

fn mailbox(text: &str) -> Certificate {
    let names = der::sequence(&[der::context_primitive(1, text.as_bytes())]);
    with(&[extension("2.5.29.17", false, &names)])
}

/// Signed by nobody we know.
fn strange() -> Certificate {
    let der = forge::pretended(&forge::body(|_| ()), &forge::algorithm("1.2.840.10045.4.3.2", &[]));
    Certificate::from_der(&der).expect("a certificate that reads")
}

fn certificates() -> Vec<Sample> {
    let of = |certificate: Certificate| one(domain(DOMAIN), BookUse::Signs, &certificate);
    vec![
        ("certificate-expired", of(lasting(-9, -2))),
        ("certificate-later", of(lasting(2, 9))),
        ("certificate-strange", of(strange())),
        ("certificate-others", of(of_structure(b"318751275100020"))),
        ("certificate-nobody", of(of_structure(b"x"))),
        ("certificate-mailbox", of(mailbox("anne.martin-test@ch-exemple.test"))),
        ("certificate-mailbox-elsewhere", of(mailbox("anne.martin-test@tiers.test"))),
        ("address-mailbox", one(address(), BookUse::Signs, &mailbox("anne.martin-test@ch-exemple.test"))),
        ("address-other", one(address(), BookUse::Signs, &mailbox("zoe.test@ch-exemple.test"))),
        ("certificate-client", of(with(&[extension("2.5.29.37", false, &der::sequence(&[oid("1.3.6.1.5.5.7.3.2")]))]))),
    ]
}

fn containers() -> Vec<Sample> {
    let text = text_of(&draft(Vec::new()));
    let by = |certificate: Certificate| {
        let key = FileKey::new(SIGNER.openssl().clone(), certificate, Vec::new()).expect("a pair");
        cms::sign(&text, &key, NOW, &[]).expect("a container")
    };
    vec![
        ("signed", by(signs())),
        ("signed-expired", by(lasting(-9, -2))),
        ("signed-strange", by(strange())),
        ("signed-others", by(of_structure(b"318751275100020"))),
        ("signed-nobody", by(of_structure(b"x"))),
        ("signed-not-for-it", by(with(&[extension("2.5.29.37", false, &der::sequence(&[oid("1.3.6.1.5.5.7.3.2")]))]))),
        ("no-container", vec![0x30, 0]),
    ]
}
