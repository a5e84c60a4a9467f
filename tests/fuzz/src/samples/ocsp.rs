//! OCSP answers: kept ones, changed at each place. A changed one has a signature that is none.

use pki::{
    der::{self, tag},
    issue::Authority,
};

use super::Sample;
use crate::{
    forge::{self, edit, extension, oid, with_members},
    world,
};

/// `responseBytes`, the octets of the basic response, and its members.
const BYTES: &[usize] = &[1, 0];
const DATA: &[usize] = &[1, 0, 1, 0, 0];

/// All of them.
pub fn all() -> Vec<Sample> {
    let kept = |name| (name, world::kept(name));
    let kept =
        vec![kept("ocsp-good"), kept("ocsp-revoked"), kept("ocsp-unknown"), kept("ocsp-delegated"), kept("ocsp-later")];
    [kept, refusals(), outside(), data(), statements(), statuses(), extensions()].concat()
}

/// The kept answer "revoked", by name, without nonce, changed at one place of its ResponseData: responder,
/// time, statements.
fn changed(below: &[usize], change: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    edit(&world::kept("ocsp-revoked"), &[DATA, below].concat(), change)
}

/// Changed in its one statement: certificate, status, time, next time.
fn statement(change: &dyn Fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    changed(&[2, 0], &|single| with_members(single, |all| change(all)))
}

fn refusals() -> Vec<Sample> {
    vec![
        ("refusal-request", Authority::ocsp_refusal(1)),
        ("refusal-internal", Authority::ocsp_refusal(2)),
        ("refusal-signature", Authority::ocsp_refusal(5)),
        ("refusal-unauthorized", Authority::ocsp_refusal(6)),
        ("refusal-other", Authority::ocsp_refusal(4)),
    ]
}

fn outside() -> Vec<Sample> {
    let good = world::kept("ocsp-revoked");
    let delegated = world::kept("ocsp-delegated");
    let basic = [BYTES, &[1, 0]].concat();
    let algorithm = |dotted: &str| edit(&good, &[&*basic, &[1]].concat(), &|_| forge::algorithm(dotted, &[]));
    let certificates = |change: &dyn Fn(&[u8]) -> Vec<u8>| edit(&delegated, &[&*basic, &[3, 0]].concat(), change);
    vec![
        ("not-basic", edit(&good, &[BYTES, &[0]].concat(), &|_| oid("1.2.3"))),
        ("algorithm", algorithm("1.2.840.113549.1.1.4")),
        ("algorithm-ed25519", algorithm("1.3.101.112")),
        ("algorithm-pss", algorithm("1.2.840.113549.1.1.10")),
        ("certificates-none", certificates(&|_| der::sequence::<Vec<u8>>(&[]))),
        ("certificate-wrong", certificates(&|_| der::sequence(&[der::sequence(&[der::null()])]))),
        ("certificates-many", certificates(&|list| der::sequence(&vec![forge::members(list).concat(); 5]))),
    ]
}

fn data() -> Vec<Sample> {
    let version = |number: u64| {
        changed(&[], &|data| with_members(data, |all| all.insert(0, der::context(0, &[der::integer(number)]))))
    };
    let statements = |change: &dyn Fn(&[u8]) -> Vec<u8>| changed(&[2], change);
    vec![
        ("version-1", version(0)),
        ("version-2", version(1)),
        ("responder-key", changed(&[0], &|_| der::context(2, &[der::octet_string(&[1; 20])]))),
        ("responder-wrong", changed(&[0], &|_| der::null())),
        ("produced-utc", changed(&[1], &|_| der::tlv(tag::UTC_TIME, b"260901000000Z"))),
        ("statements-none", statements(&|_| der::sequence::<Vec<u8>>(&[]))),
        ("statements-two", statements(&|list| with_members(list, |all| all.extend_from_within(..)))),
        ("statements-many", statements(&|list| der::sequence(&vec![forge::members(list).concat(); 33]))),
    ]
}

fn statements() -> Vec<Sample> {
    let digest = |dotted: &'static str| changed(&[2, 0, 0, 0], &|_| forge::algorithm(dotted, &der::null()));
    let early = der::tlv(tag::GENERALIZED_TIME, b"20200101000000Z");
    vec![
        ("digest-sha256", digest("2.16.840.1.101.3.4.2.1")),
        ("digest-unknown", digest("1.2.3")),
        ("other-certificate", changed(&[2, 0, 0, 3], &|_| der::integer(42))),
        ("next-none", statement(&|all| all.truncate(3))),
        ("next-before", statement(&|all| forge::set(all, 3, der::context(0, std::slice::from_ref(&early))))),
    ]
}

fn statuses() -> Vec<Sample> {
    let status = |value: Vec<u8>| statement(&|all| forge::set(all, 1, value.clone()));
    let at = der::tlv(tag::GENERALIZED_TIME, b"20260901000000Z");
    let revoked =
        |code: &[u8]| status(der::context(1, &[at.clone(), der::context(0, &[der::tlv(tag::ENUMERATED, code)])]));
    vec![
        ("status-good", status(der::context_primitive(0, &[]))),
        ("status-unknown", status(der::context_primitive(2, &[]))),
        ("status-wrong", status(der::context_primitive(3, &[]))),
        ("revoked-plain", status(der::context(1, std::slice::from_ref(&at)))),
        ("revoked-hold", revoked(&[6])),
        ("revoked-removed", revoked(&[8])),
        ("revoked-reason", revoked(&[7])),
    ]
}

fn extensions() -> Vec<Sample> {
    let list = |all: &[Vec<u8>]| der::context(1, &[der::sequence(all)]);
    let whole = |all: &[Vec<u8>]| changed(&[], &|data| with_members(data, |members| members.push(list(all))));
    let single = |all: &[Vec<u8>]| statement(&|members| members.push(list(all)));
    let nonce = |value: &[u8]| extension("1.3.6.1.5.5.7.48.1.2", false, value);
    let other = |critical| extension("1.2.3.4", critical, &der::null());
    vec![
        ("nonce", whole(&[nonce(&der::octet_string(&world::NONCE))])),
        ("nonce-other", whole(&[nonce(&der::octet_string(&[9; 32]))])),
        ("nonce-bare", whole(&[nonce(&[9; 16])])),
        ("nonce-empty", whole(&[nonce(&der::octet_string(&[]))])),
        ("nonce-long", whole(&[nonce(&der::octet_string(&[9; 129]))])),
        ("extension", whole(&[other(false)])),
        ("extension-critical", whole(&[other(true)])),
        ("extension-twice", whole(&[other(false), other(false)])),
        ("statement-extension", single(&[other(false)])),
        ("statement-critical", single(&[other(true)])),
    ]
}
