//! Lists of every kind, written by hand and judged through the public interface.

#![allow(clippy::cloned_ref_to_slice_refs)] // arrays of lists read better

use std::sync::LazyLock;

use ident::Timestamp;
use openssl::{
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPublic, PKey, Private},
    sign::Signer,
};
use proptest::prelude::*;

use super::*;
use crate::{
    crl::CrlError,
    der::{self, tag},
    finding::Finding,
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder, Verdict},
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const POINT: &str = "http://igc.sceau.test/CRL/1.crl";

fn time(at: Timestamp) -> Vec<u8> {
    let digits: String = at.rfc3339().chars().filter(char::is_ascii_digit).collect();
    der::tlv(tag::GENERALIZED_TIME, format!("{digits}Z").as_bytes())
}

fn extension(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut members = vec![der::oid(oid).unwrap()];
    if critical {
        members.push(der::boolean(true));
    }
    members.push(der::octet_string(value));
    der::sequence(&members)
}

fn name(cn: &str) -> Vec<u8> {
    let pair = der::sequence(&[der::oid("2.5.4.3").unwrap(), der::utf8(cn)]);
    der::sequence(&[der::set_of(&[pair])])
}

fn ecdsa() -> Vec<u8> {
    der::sequence(&[der::oid("1.2.840.10045.4.3.2").unwrap()])
}

/// An authority whose key the test holds.
pub(crate) struct Ca {
    cn: &'static str,
    pub(crate) key: PKey<Private>,
}

impl Ca {
    pub(crate) fn new(cn: &'static str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self { cn, key: PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap() }
    }

    fn sign(&self, body: Vec<u8>) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        let signature = signer.sign_oneshot_to_vec(&body).unwrap();
        der::sequence(&[body, ecdsa(), der::bit_string(&signature)])
    }

    fn certify<T: HasPublic>(&self, cn: &str, serial: &[u8], key: &PKey<T>, extensions: &[Vec<u8>]) -> Certificate {
        let mut members = vec![
            der::context(0, &[der::integer(2)]),
            der::unsigned(serial),
            ecdsa(),
            name(self.cn),
            der::sequence(&[time(NOW.minus(DAY * 30)), time(NOW.plus(DAY * 300))]),
            name(cn),
            key.public_key_to_der().unwrap(),
        ];
        members.push(der::context(3, &[der::sequence(extensions)]));
        Certificate::from_der(&self.sign(der::sequence(&members))).unwrap()
    }

    /// A certificate of an authority: `usage` bits 5 and 6 are keyCertSign and cRLSign.
    pub(crate) fn authority<T: HasPublic>(&self, cn: &str, serial: u8, key: &PKey<T>, may_issue: bool) -> Certificate {
        let usage = der::named_bits(&[false, false, false, false, false, may_issue, true]);
        let basic = if may_issue { der::sequence(&[der::boolean(true)]) } else { der::sequence::<Vec<u8>>(&[]) };
        let extensions = [extension("2.5.29.19", true, &basic), extension("2.5.29.15", true, &usage)];
        self.certify(cn, &[serial], key, &extensions)
    }

    pub(crate) fn leaf(&self, serial: u8, extensions: &[Vec<u8>]) -> Certificate {
        let mut all = vec![
            extension("2.5.29.15", true, &der::named_bits(&[true])),
            extension("2.5.29.37", false, &der::sequence(&[der::oid("1.3.6.1.5.5.7.3.4").unwrap()])),
        ];
        all.extend_from_slice(extensions);
        self.certify("titulaire", &[serial], &self.key, &all)
    }
}

/// A list under construction.
#[derive(Clone)]
struct Draft {
    from: Timestamp,
    until: Timestamp,
    number: u64,
    entries: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl Draft {
    fn new(number: u64) -> Self {
        Self { from: NOW.minus(DAY), until: NOW.plus(DAY), number, entries: vec![], extensions: vec![] }
    }

    fn dates(self, from: Timestamp, until: Timestamp) -> Self {
        Self { from, until, ..self }
    }

    fn revoke(self, serial: u8, reason: u8) -> Self {
        self.entry(serial, NOW.minus(DAY), vec![extension("2.5.29.21", false, &der::tlv(tag::ENUMERATED, &[reason]))])
    }

    fn entry(mut self, serial: u8, at: Timestamp, extensions: Vec<Vec<u8>>) -> Self {
        let mut members = vec![der::unsigned(&[serial]), time(at)];
        if !extensions.is_empty() {
            members.push(der::sequence(&extensions));
        }
        self.entries.push(der::sequence(&members));
        self
    }

    fn with(mut self, oid: &str, critical: bool, value: &[u8]) -> Self {
        self.extensions.push(extension(oid, critical, value));
        self
    }

    /// issuingDistributionPoint of the given members.
    fn scope(self, members: &[Vec<u8>]) -> Self {
        self.with("2.5.29.28", true, &der::sequence(members))
    }

    fn delta(self, base: u64) -> Self {
        self.with("2.5.29.27", true, &der::integer(base))
    }

    fn sign(&self, ca: &Ca) -> Vec<u8> {
        let mut members = vec![der::integer(1), ecdsa(), name(ca.cn), time(self.from), time(self.until)];
        if !self.entries.is_empty() {
            members.push(der::sequence(&self.entries));
        }
        let mut extensions = self.extensions.clone();
        extensions.push(extension("2.5.29.20", false, &der::integer(self.number)));
        members.push(der::context(0, &[der::sequence(&extensions)]));
        ca.sign(der::sequence(&members))
    }
}

fn uri_point(uri: &str) -> Vec<u8> {
    der::context(0, &[der::context(0, &[der::context_primitive(6, uri.as_bytes())])])
}

/// cRLDistributionPoints with one point of the given members.
fn points(members: &[Vec<u8>]) -> Vec<u8> {
    extension("2.5.29.31", false, &der::sequence(&[der::sequence(members)]))
}

struct World {
    ca: Ca,
    root: Certificate,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let ca = Ca::new("AC Essai");
    let root = ca.authority("AC Essai", 1, &ca.key, true);
    World { ca, root }
});

fn verify_with(
    lists: &[Vec<u8>],
    more: &[Certificate],
    leaf: &Certificate,
    grace: Duration,
    purpose: Purpose,
) -> Verdict {
    let mut builder =
        ValidatorBuilder::new().anchor(purpose, WORLD.root.clone()).revocation(RevocationMode::Required { grace });
    for list in lists {
        builder = builder.crl(list).unwrap();
    }
    builder.build().unwrap().verify(leaf, more, purpose, NOW)
}

fn code(verdict: &Verdict) -> &'static str {
    verdict.finding().map_or("valid", |Finding { code, .. }| code)
}

fn check(lists: &[Vec<u8>], leaf: &Certificate) -> &'static str {
    let verdict = verify_with(lists, &[], leaf, DAY, Purpose::Email);
    match (&verdict, code(&verdict)) {
        (Verdict::Valid(path), _) if path.stale_grace => "grace",
        (Verdict::Undetermined(_), code @ ("crl_missing" | "crl_stale")) => code,
        (Verdict::Undetermined(_), code) => panic!("{code} is no reason to wait"),
        (_, code) => code,
    }
}

#[test]
fn the_age_of_a_list_decides_what_its_silence_means() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let good = Draft::new(1).revoke(8, 1);
    let bad = Draft::new(1).revoke(7, 1);
    let ago = |days: u32| NOW.minus(DAY * days);
    let half = Duration::from_secs(43_200);
    // (from, until, silence, listed)
    let cases = [
        (ago(1), NOW.plus(DAY), "valid", "revoked"),
        (ago(1), NOW, "valid", "revoked"),
        (ago(2), NOW.minus(half), "grace", "revoked"),
        (ago(2), ago(1), "grace", "revoked"),
        (ago(9), ago(1).minus(Duration::from_secs(1)), "crl_stale", "revoked"),
        (ago(900), ago(800), "crl_stale", "revoked"),
        // A little into the future is another machine's clock; more is no list of today.
        (NOW.plus(Duration::from_secs(300)), NOW.plus(DAY), "valid", "revoked"),
        (NOW.plus(Duration::from_secs(301)), NOW.plus(DAY), "crl_missing", "revoked"),
    ];
    for (from, until, silence, listed) in cases {
        assert_eq!(check(&[good.clone().dates(from, until).sign(&WORLD.ca)], &leaf), silence, "{from} to {until}");
        assert_eq!(check(&[bad.clone().dates(from, until).sign(&WORLD.ca)], &leaf), listed, "{from} to {until}");
    }
    assert_eq!(check(&[], &leaf), "crl_missing", "NT-R01");
    // Revoked later than the moment asked about, known from a list of the future.
    let later = Draft::new(2).entry(7, NOW.plus(DAY), vec![]).dates(NOW.plus(DAY), NOW.plus(DAY * 2));
    assert_eq!(check(&[good.sign(&WORLD.ca), later.sign(&WORLD.ca)], &leaf), "valid");
}

#[test]
fn only_a_list_that_the_authority_signed_counts() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let twin = Ca::new("AC Essai");
    assert_eq!(check(&[Draft::new(1).sign(&twin)], &leaf), "crl_missing", "NT-R03");
    // Nobody else can revoke, either, nor push a good list aside with a higher number.
    let forged = Draft::new(99).revoke(7, 1).sign(&twin);
    assert_eq!(check(&[forged, Draft::new(1).sign(&WORLD.ca)], &leaf), "valid");
    assert_eq!(check(&[Draft::new(1).sign(&Ca::new("AC Autre"))], &leaf), "crl_missing");
    // An authority without cRLSign.
    let ca = Ca::new("AC Sans CRL");
    let usage = extension("2.5.29.15", true, &der::named_bits(&[false, false, false, false, false, true]));
    let basic = extension("2.5.29.19", true, &der::sequence(&[der::boolean(true)]));
    let middle = WORLD.ca.certify("AC Sans CRL", &[50], &ca.key, &[usage, basic]);
    let lists = [Draft::new(1).sign(&WORLD.ca), Draft::new(1).sign(&ca)];
    let verdict = verify_with(&lists, &[middle], &ca.leaf(7, &[]), DAY, Purpose::Email);
    assert_eq!(code(&verdict), "crl_missing");
}

#[test]
fn the_newest_list_decides() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let (held, lifted) = (Draft::new(1).revoke(7, 6).sign(&WORLD.ca), Draft::new(2).sign(&WORLD.ca));
    assert_eq!(check(&[held.clone()], &leaf), "revoked", "on hold is revoked");
    assert_eq!(check(&[held.clone(), lifted.clone()], &leaf), "valid");
    assert_eq!(check(&[lifted, held], &leaf), "valid");
    let (good, revoked) = (Draft::new(255).sign(&WORLD.ca), Draft::new(256).revoke(7, 1).sign(&WORLD.ca));
    assert_eq!(check(&[revoked, good], &leaf), "revoked");
}

#[test]
fn an_authority_with_two_keys_revokes_with_either() {
    let (old, new) = (Ca::new("AC Deux Cles"), Ca::new("AC Deux Cles"));
    let key_id = |ca: &Ca| der::context_primitive(0, &ca.key.public_key_to_der().unwrap()[27..47]);
    let list = |ca: &Ca, draft: Draft| draft.with("2.5.29.35", false, &der::sequence(&[key_id(ca)])).sign(ca);
    let middles = [&old, &new].map(|ca| WORLD.ca.authority("AC Deux Cles", 50, &ca.key, true));
    let revoking = list(&new, Draft::new(5).revoke(7, 1));
    for other in [Draft::new(4096), Draft::new(5), Draft::new(1)] {
        let root = Draft::new(1).sign(&WORLD.ca);
        let mut lists = [root, list(&old, other), revoking.clone()];
        for _ in 0..2 {
            let verdict = verify_with(&lists, &middles, &new.leaf(7, &[]), DAY, Purpose::Email);
            assert_eq!(code(&verdict), "revoked");
            lists.swap(1, 2);
        }
    }
    let lists = [&old, &new].map(|ca| RevocationList::from_der(&list(ca, Draft::new(1))).unwrap());
    assert!(!lists[0].may_follow(&lists[1]), "they stand side by side");
}

#[test]
fn every_certificate_of_the_path_is_judged_but_the_anchor() {
    let middle_ca = Ca::new("AC Milieu");
    let middle = WORLD.ca.authority("AC Milieu", 40, &middle_ca.key, true);
    let leaf = middle_ca.leaf(7, &[]);
    let run = |lists: &[Vec<u8>]| verify_with(lists, std::slice::from_ref(&middle), &leaf, DAY, Purpose::Email);
    let (root_good, middle_good) = (Draft::new(1).sign(&WORLD.ca), Draft::new(1).sign(&middle_ca));
    assert!(run(&[root_good.clone(), middle_good.clone()]).is_valid());
    assert_eq!(code(&run(&[root_good.clone()])), "crl_missing");
    let missing = run(&[middle_good.clone()]);
    assert_eq!(code(&missing), "crl_missing");
    assert!(missing.finding().unwrap().certificate.as_ref().unwrap().contains("AC Milieu"));
    let revoked = run(&[Draft::new(1).revoke(40, 2).sign(&WORLD.ca), middle_good]);
    assert_eq!(code(&revoked), "revoked");
    assert!(revoked.finding().unwrap().certificate.as_ref().unwrap().contains("AC Milieu"));
    // A revoked leaf is revoked, whatever is not known further up.
    assert_eq!(code(&run(&[Draft::new(1).revoke(7, 1).sign(&middle_ca)])), "revoked");
}

#[test]
fn scopes_are_obeyed() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let flag = |number: u8| der::context_primitive(number, &[0xff]);
    let list = |members: &[Vec<u8>]| Draft::new(1).scope(members).sign(&WORLD.ca);
    assert_eq!(check(&[list(&[flag(1)])], &leaf), "valid", "users only");
    assert_eq!(check(&[list(&[flag(2)])], &leaf), "crl_missing", "authorities only");
    assert_eq!(check(&[list(&[flag(5)])], &leaf), "crl_missing", "attributes only");
    assert_eq!(check(&[list(&[flag(4)])], &leaf), "valid", "an indirect list covers its own issuer too");
    // By distribution point.
    let pointed = WORLD.ca.leaf(7, &[points(&[uri_point(POINT)])]);
    assert_eq!(check(&[list(&[uri_point(POINT)])], &pointed), "valid");
    assert_eq!(check(&[list(&[uri_point("http://igc.sceau.test/CRL/2.crl")])], &pointed), "crl_missing");
    assert_eq!(check(&[list(&[uri_point(POINT)])], &leaf), "crl_missing", "nothing in the certificate names it");
    assert_eq!(check(&[Draft::new(1).sign(&WORLD.ca)], &pointed), "valid", "a complete list needs no name");
}

#[test]
fn reasons_add_up() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let all = [false, true, true, true, true, true, true, true, true];
    let flags = |on: &[usize]| {
        let bits: Vec<bool> = all.iter().enumerate().map(|(at, known)| *known && on.contains(&at)).collect();
        let encoded = der::named_bits(&bits);
        der::context_primitive(3, &encoded[2..])
    };
    let list = |number, on: &[usize]| Draft::new(number).scope(&[flags(on)]);
    let (first, second) = (list(1, &[1, 2]), list(2, &[3, 4, 5, 6, 7, 8]));
    assert_eq!(check(&[first.sign(&WORLD.ca)], &leaf), "crl_missing");
    assert_eq!(check(&[first.sign(&WORLD.ca), second.sign(&WORLD.ca)], &leaf), "valid");
    let revoked = second.revoke(7, 4).sign(&WORLD.ca);
    assert_eq!(check(&[first.sign(&WORLD.ca), revoked], &leaf), "revoked");
}

#[test]
fn deltas_change_what_the_base_says() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let ago = |days: u32| NOW.minus(DAY * days);
    let old_base = |draft: Draft| draft.dates(ago(9), ago(5)).sign(&WORLD.ca);
    let base = Draft::new(10).sign(&WORLD.ca);
    let delta = Draft::new(12).delta(9);
    assert_eq!(check(&[base.clone(), delta.clone().revoke(7, 1).sign(&WORLD.ca)], &leaf), "revoked");
    assert_eq!(check(&[delta.sign(&WORLD.ca)], &leaf), "crl_missing", "a delta alone is nothing");
    let held = Draft::new(10).revoke(7, 6);
    let lifting = delta.clone().revoke(7, REMOVE_FROM_CRL);
    assert_eq!(check(&[held.sign(&WORLD.ca), lifting.sign(&WORLD.ca)], &leaf), "valid");
    let expired_lifting = lifting.clone().dates(ago(9), ago(5)).sign(&WORLD.ca);
    assert_eq!(check(&[held.sign(&WORLD.ca), expired_lifting], &leaf), "revoked", "an old delta takes nothing away");
    let expired_adding = delta.clone().revoke(7, 1).dates(ago(9), ago(5)).sign(&WORLD.ca);
    assert_eq!(check(&[base.clone(), expired_adding], &leaf), "revoked");
    // A base that the delta does not build on.
    let too_new = Draft::new(12).delta(11).revoke(7, 1).sign(&WORLD.ca);
    assert_eq!(check(&[base.clone(), too_new], &leaf), "valid");
    assert_eq!(check(&[old_base(Draft::new(10)), delta.sign(&WORLD.ca)], &leaf), "valid", "base and delta together");
    let forged = delta.revoke(7, 1).sign(&Ca::new("AC Essai"));
    assert_eq!(check(&[base, forged], &leaf), "valid");
}

#[test]
fn lists_may_come_from_another_authority_if_the_certificate_says_so() {
    let issuer = Ca::new("AC des listes");
    let certificate = WORLD.ca.authority("AC des listes", 60, &issuer.key, false);
    let directory = der::context(4, &[name("AC des listes")]);
    let leaf = WORLD.ca.leaf(7, &[points(&[uri_point(POINT), der::context(2, &[directory])])]);
    let indirect = |draft: Draft| draft.scope(&[uri_point(POINT), der::context_primitive(4, &[0xff])]).sign(&issuer);
    let own_good = Draft::new(1).sign(&WORLD.ca);
    let run = |lists: &[Vec<u8>]| {
        let verdict = verify_with(lists, std::slice::from_ref(&certificate), &leaf, DAY, Purpose::Email);
        code(&verdict)
    };
    let foreign = extension("2.5.29.29", true, &der::sequence(&[der::context(4, &[name("AC Essai")])]));
    let revoking = Draft::new(1).entry(7, NOW.minus(DAY), vec![foreign.clone()]);
    assert_eq!(run(&[indirect(revoking.clone()), own_good.clone()]), "revoked", "NT-R04");
    // Serial 7 of the list's own authority is another certificate.
    assert_eq!(run(&[indirect(Draft::new(1).revoke(7, 1)), own_good.clone()]), "valid");
    // The issuer stays for the entries after it.
    let sticky = Draft::new(1).entry(6, NOW.minus(DAY), vec![foreign]).revoke(7, 1);
    assert_eq!(run(&[indirect(sticky), own_good.clone()]), "revoked");
    // The authority of the list is itself revoked, or its status unknown: the list says nothing, and
    // the list of the certificate's own issuer decides.
    let signer_revoked = Draft::new(2).revoke(60, 1).sign(&WORLD.ca);
    assert_eq!(run(&[indirect(revoking.clone()), signer_revoked]), "valid");
    assert_eq!(run(&[indirect(revoking)]), "crl_missing");
    // Not marked indirect: it cannot speak for another authority.
    let direct = Draft::new(1).scope(&[uri_point(POINT)]).sign(&issuer);
    let only_users_elsewhere = Draft::new(1).scope(&[der::context_primitive(2, &[0xff])]).sign(&WORLD.ca);
    assert_eq!(run(&[direct, only_users_elsewhere]), "crl_missing");
}

#[test]
fn an_unknown_critical_extension_silences_a_list() {
    let leaf = WORLD.ca.leaf(7, &[]);
    let unknown = Draft::new(1).with("1.2.3.4", true, &[5, 0]).sign(&WORLD.ca);
    assert_eq!(check(&[unknown], &leaf), "crl_missing");
    let in_entry = Draft::new(1).entry(9, NOW, vec![extension("1.2.3.4", true, &[5, 0])]).sign(&WORLD.ca);
    assert_eq!(check(&[in_entry], &leaf), "crl_missing");
    let harmless = Draft::new(1).with("1.2.3.4", false, &[5, 0]).sign(&WORLD.ca);
    assert_eq!(check(&[harmless], &leaf), "valid");
}

#[test]
fn malformed_lists_are_refused_when_they_are_read() {
    let read = |der: &[u8]| RevocationList::from_der(der).map(|_| ()).unwrap_err();
    let body = |members: &[Vec<u8>]| WORLD.ca.sign(der::sequence(members));
    let dates = || [time(NOW), time(NOW.plus(DAY))];
    let number = || der::context(0, &[der::sequence(&[extension("2.5.29.20", false, &der::integer(1))])]);
    let [from, until] = dates();
    let start = |version: u64| vec![der::integer(version), ecdsa(), name("AC Essai")];
    let joined = |start: Vec<Vec<u8>>, rest: &[Vec<u8>]| [start, rest.to_vec()].concat();
    assert!(RevocationList::from_der(&body(&joined(start(1), &[from.clone(), until.clone(), number()]))).is_ok());
    let cases = [
        (CrlError::Version, joined(start(2), &[from.clone(), until.clone(), number()])),
        (CrlError::Version, vec![ecdsa(), name("AC Essai"), from.clone(), until.clone(), number()]),
        (CrlError::NoNextUpdate, joined(start(1), &[from.clone(), number()])),
        (CrlError::NoNumber, joined(start(1), &[from.clone(), until.clone()])),
        (
            CrlError::EmptyElement,
            joined(start(1), &[from.clone(), until.clone(), der::sequence::<Vec<u8>>(&[]), number()]),
        ),
    ];
    for (expected, members) in cases {
        assert_eq!(read(&body(&members)), expected);
    }
    assert_eq!(read(&Draft::new(1).scope(&[]).sign(&WORLD.ca)), CrlError::EmptyElement);
    assert_eq!(
        read(&Draft::new(1).with("2.5.29.20", false, &der::integer(2)).sign(&WORLD.ca)),
        CrlError::DuplicateExtension
    );
    let both = [der::context_primitive(1, &[0xff]), der::context_primitive(2, &[0xff])];
    assert_eq!(read(&Draft::new(1).scope(&both).sign(&WORLD.ca)), CrlError::Malformed);
    let mut trailing = Draft::new(1).sign(&WORLD.ca);
    trailing.push(0);
    assert_eq!(read(&trailing), CrlError::Malformed);
    assert_eq!(read(&[]), CrlError::Malformed);
    assert!(RevocationList::list_from(b"").is_err());
}

#[test]
fn pem_texts_hold_one_or_several_lists() {
    let block = |der: &[u8]| {
        let text = openssl::base64::encode_block(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\r\n"))
    };
    let (a, b) = (Draft::new(1).sign(&WORLD.ca), Draft::new(2).revoke(7, 1).sign(&WORLD.ca));
    let text = format!("# note\n{}{}", block(&a), block(&b));
    let lists = RevocationList::list_from(text.as_bytes()).unwrap();
    assert_eq!(lists.iter().map(RevocationList::len).collect::<Vec<_>>(), [0, 1]);
    assert!(lists[1].may_follow(&lists[0]) && !lists[0].may_follow(&lists[1]), "no way back");
    assert!(RevocationList::list_from(text.replace("END X509", "EDN X509").as_bytes()).is_err());
}

#[test]
fn serial_numbers_are_found_in_any_form() {
    let longest = [vec![0], vec![0xff; 20]].concat();
    let serials = [vec![1], vec![0x7f], vec![0, 0x80], vec![0x80], vec![1, 0], longest];
    let mut draft = Draft::new(1);
    draft.entries = serials.iter().map(|it| der::sequence(&[der::tlv(tag::INTEGER, it), time(NOW)])).collect();
    let list = RevocationList::from_der(&draft.sign(&WORLD.ca)).unwrap();
    let issuer = Name::read(&name("AC Essai")).unwrap();
    for serial in &serials {
        assert!(list.find(&issuer, serial).is_some(), "{serial:02x?}");
    }
    for other in [&[2][..], &[0x81], &[0, 0x81], &[1, 0, 0], &[0xff; 20], &[0; 22]] {
        assert_eq!(list.find(&issuer, other), None, "{other:02x?}");
    }
    assert_eq!(list.find(&Name::read(&name("AC Autre")).unwrap(), &[1]), None);
}

/// Enough entries for many stretches of the index, some of them twice with another reason.
#[test]
fn a_long_list_finds_each_of_its_entries_and_nothing_else() {
    let number = |n: u32| [vec![1], (n * 3).to_be_bytes().to_vec()].concat();
    let line = |n: u32, reason: Option<u8>| {
        let mut members = vec![der::unsigned(&number(n)), time(NOW)];
        let code = reason.map(|code| extension("2.5.29.21", false, &der::tlv(tag::ENUMERATED, &[code])));
        members.extend(code.map(|code| der::sequence(&[code])));
        der::sequence(&members)
    };
    for count in [1, 63, 64, 65, 128, 129, 1000] {
        let mut draft = Draft::new(1);
        draft.entries = (0..count).map(|n| line(n, Some(4))).collect();
        draft.entries.extend((0..count).filter(|n| n % 64 == 0).map(|n| line(n, None)));
        let list = RevocationList::from_der(&draft.sign(&WORLD.ca)).unwrap();
        let issuer = Name::read(&name("AC Essai")).unwrap();
        for n in 0..count {
            // The entry without a reason sorts before the other.
            let reason = if n % 64 == 0 { 0 } else { 4 };
            assert_eq!(list.find(&issuer, &number(n)).map(|it| it.reason), Some(reason), "{n} of {count}");
            let between = [vec![1], (n * 3 + 1).to_be_bytes().to_vec()].concat();
            assert_eq!(list.find(&issuer, &between), None, "{n} of {count}");
        }
        assert_eq!(list.find(&issuer, &[0]), None);
        assert_eq!(list.find(&issuer, &number(count)), None);
    }
}

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    ValidatorBuilder::new()
        .anchor(Purpose::Email, WORLD.root.clone())
        .crl(&Draft::new(1).revoke(8, 1).sign(&WORLD.ca))
        .and_then(ValidatorBuilder::build)
        .unwrap()
});
static LIST: LazyLock<Vec<u8>> = LazyLock::new(|| Draft::new(5).revoke(8, 1).revoke(9, 1).sign(&WORLD.ca));
static GOOD: LazyLock<Certificate> = LazyLock::new(|| WORLD.ca.leaf(7, &[points(&[uri_point(POINT)])]));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// A changed list never acquits: either it cannot be read, or nobody signed it.
    #[test]
    fn a_changed_list_is_worth_nothing(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut octets = LIST.clone();
        let at = at.index(octets.len());
        octets[at] ^= flip;
        if let Ok(list) = RevocationList::from_der(&octets) {
            prop_assert!(!list.signed_by(&WORLD.root));
        }
    }

    /// A changed certificate never becomes valid.
    #[test]
    fn a_changed_certificate_is_never_valid(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut octets = GOOD.der().to_vec();
        let at = at.index(octets.len());
        octets[at] ^= flip;
        if let Ok(certificate) = Certificate::from_der(&octets) {
            prop_assert!(!VALIDATOR.verify(&certificate, &[], Purpose::Email, NOW).is_valid());
            prop_assert!(!VALIDATOR.verify(&certificate, &[], Purpose::Any, NOW).is_valid());
        }
    }

    #[test]
    fn cut_or_grown_octets_are_refused(cut in any::<prop::sample::Index>(), more in 1usize..4) {
        for octets in [GOOD.der(), LIST.as_slice()] {
            let cut = cut.index(octets.len());
            prop_assert!(Certificate::from_der(&octets[..cut]).is_err());
            prop_assert!(RevocationList::from_der(&octets[..cut]).is_err());
            let grown = [octets, &vec![0; more]].concat();
            prop_assert!(Certificate::from_der(&grown).is_err());
            prop_assert!(RevocationList::from_der(&grown).is_err());
        }
    }

    #[test]
    fn noise_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Certificate::from_der(&octets), RevocationList::list_from(&octets), Certificate::list_from_pem(&octets));
    }
}

#[test]
fn the_unchanged_ones_are_good() {
    assert!(VALIDATOR.verify(&GOOD, &[], Purpose::Email, NOW).is_valid());
    assert!(RevocationList::from_der(&LIST).unwrap().signed_by(&WORLD.root));
}
