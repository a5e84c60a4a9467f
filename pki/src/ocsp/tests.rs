//! A responder of our own that can lie in each way of pki reference §5, judged through the public
//! interface.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use ident::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    der,
    finding::Finding,
    issue::{
        Authority, AuthorityRequest, CertificateRequest, CrlRequest, Extension, Issued, KeyAlgorithm, OcspDraft,
        OcspEntry, OcspSigner, OcspStatement, Profile, Reason, Revocation, ServerMailUse, Structure, SubjectName,
        Validity,
    },
    path::{Purpose, RevocationMode, ValidPath, Validator, ValidatorBuilder, Verdict},
    revocation::{EvidenceSource, Said},
    status::{Offer, RevocationStore, StatusSource, sources},
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

struct World {
    root: Authority,
    ca: Authority,
    anchor: Certificate,
    middle: Certificate,
    leaf: Issued,
    certificate: Certificate,
    delegate: Issued,
    /// A responder whose status somebody has to vouch for.
    checked_delegate: Issued,
}

fn request(profile: Profile) -> CertificateRequest {
    CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(NOW, 365))
}

fn responder(nocheck: bool) -> Profile {
    Profile::OcspResponder { name: "OCSP EXEMPLE-TEST".into(), nocheck }
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut wanted = AuthorityRequest::new("RACINE OCSP", KeyAlgorithm::P256, Validity::days(NOW, 3650));
    let root = Authority::root(&wanted).unwrap();
    wanted.name = SubjectName::authority("OCSP ORGANISATIONS");
    wanted.publication.ocsp = Some("http://ocsp.sceau.test".into());
    let ca = root.intermediate(&wanted).unwrap();
    let structure = Structure::new(ident::StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
    let profile = Profile::ServerMail {
        name: "ch-exemple.test".into(),
        structure,
        usage: ServerMailUse::Sign,
        emails: vec![ident::Address::parse("dr.martin@ch-exemple.test").unwrap()],
    };
    let leaf = ca.issue(&request(profile)).unwrap();
    World {
        anchor: Certificate::from_der(root.certificate_der()).unwrap(),
        middle: Certificate::from_der(ca.certificate_der()).unwrap(),
        certificate: leaf.certificate().unwrap(),
        delegate: ca.issue(&request(responder(true))).unwrap(),
        checked_delegate: ca.issue(&request(responder(false))).unwrap(),
        leaf,
        root,
        ca,
    }
});

fn draft(status: OcspStatement) -> OcspDraft {
    OcspDraft::new(WORLD.leaf.serial(), status, NOW.minus(HOUR), NOW.plus(HOUR))
}

fn good() -> OcspDraft {
    draft(OcspStatement::Good)
}

fn revoked(reason: Reason) -> OcspStatement {
    OcspStatement::Revoked { reason, at: NOW.minus(DAY) }
}

fn signed(draft: &OcspDraft) -> Vec<u8> {
    WORLD.ca.ocsp_answer(draft, OcspSigner::Authority).unwrap()
}

fn by(draft: &OcspDraft, signer: &Issued) -> Vec<u8> {
    WORLD.ca.ocsp_answer(draft, OcspSigner::Delegate(signer)).unwrap()
}

fn list(authority: &Authority, number: u64, revoked: &[&[u8]], from: Timestamp, until: Timestamp) -> Vec<u8> {
    let entry =
        |serial: &&[u8]| Revocation { serial: serial.to_vec(), reason: Reason::KeyCompromise, at: NOW.minus(DAY) };
    let revoked = revoked.iter().map(entry).collect();
    let request = CrlRequest { revoked, this_update: from, next_update: until, number };
    authority.crl(&request).unwrap().der().to_vec()
}

fn fresh_list(authority: &Authority, revoked: &[&[u8]]) -> Vec<u8> {
    list(authority, 1, revoked, NOW.minus(HOUR), NOW.plus(DAY))
}

fn base() -> ValidatorBuilder {
    ValidatorBuilder::new()
        .test_category(true)
        .anchor(Purpose::Email, WORLD.anchor.clone())
        .intermediate(WORLD.middle.clone())
        .revocation(RevocationMode::Required { grace: DAY })
        .crl(&fresh_list(&WORLD.root, &[]))
        .unwrap()
}

fn with(answers: &[Vec<u8>], lists: &[Vec<u8>]) -> Validator {
    let mut builder = base();
    for answer in answers {
        builder = builder.ocsp_answer(Arc::new(OcspAnswer::from_der(answer).unwrap()));
    }
    for list in lists {
        builder = builder.crl(list).unwrap();
    }
    builder.build().unwrap()
}

fn at(validator: &Validator, moment: Timestamp) -> Verdict {
    validator.verify(&WORLD.certificate, &[], Purpose::Email, moment)
}

fn code(verdict: &Verdict) -> &'static str {
    verdict.finding().map_or("valid", |Finding { code, .. }| code)
}

fn check(answers: &[Vec<u8>]) -> &'static str {
    code(&at(&with(answers, &[]), NOW))
}

fn path(verdict: Verdict) -> ValidPath {
    match verdict {
        Verdict::Valid(path) => path,
        other => panic!("{other:?}"),
    }
}

fn critical(value: &str) -> Vec<Extension> {
    vec![Extension { oid: value.into(), critical: true, value: der::null() }]
}

#[test]
fn the_authority_or_its_delegate_answers() {
    for by_key in [false, true] {
        let good = OcspDraft { by_key, ..good() };
        assert_eq!(check(&[signed(&good)]), "valid");
        assert_eq!(check(&[by(&good, &WORLD.delegate)]), "valid");
        let revoked = OcspDraft { by_key, ..draft(revoked(Reason::KeyCompromise)) };
        assert_eq!(check(&[signed(&revoked)]), "revoked");
        assert_eq!(check(&[by(&revoked, &WORLD.delegate)]), "revoked");
    }
    assert_eq!(check(&[]), "crl_missing");
    let path = path(at(&with(&[by(&good(), &WORLD.delegate)], &[]), NOW));
    let fact = path.evidence.last().unwrap();
    assert_eq!((fact.source, fact.said, fact.stale), (EvidenceSource::Answer, Said::NotRevoked, false));
    assert!(fact.signer.contains("OCSP EXEMPLE-TEST") && path.revocation_judged && !path.stale_grace);
}

#[test]
fn nobody_else_answers() {
    // NT-R10: another key of the same name, another authority's responder, one without the purpose.
    let twin = Authority::root(&AuthorityRequest {
        name: SubjectName::authority("OCSP ORGANISATIONS"),
        ..AuthorityRequest::new("AUTRE", KeyAlgorithm::P256, Validity::days(NOW, 365))
    });
    let twin = twin.unwrap();
    assert_eq!(check(&[twin.ocsp_answer(&good(), OcspSigner::Authority).unwrap()]), "crl_missing");
    let elsewhere = WORLD.root.issue(&request(responder(true))).unwrap();
    let forged = twin.issue(&request(responder(true))).unwrap();
    for stranger in [&elsewhere, &forged, &WORLD.leaf] {
        assert_eq!(check(&[by(&good(), stranger)]), "crl_missing");
        assert_eq!(check(&[by(&draft(revoked(Reason::KeyCompromise)), stranger)]), "crl_missing", "nor do they revoke");
    }
    // anyExtendedKeyUsage is not OCSPSigning.
    let any = der::sequence(&[der::oid("2.5.29.37.0").unwrap()]);
    let profile = Profile::Custom {
        subject: SubjectName::authority("TOUT USAGE"),
        extensions: vec![Extension { oid: "2.5.29.37".into(), critical: false, value: any }],
    };
    assert_eq!(check(&[by(&good(), &WORLD.ca.issue(&request(profile)).unwrap())]), "crl_missing");
    // A responder's certificate that has run out, or was not in force when the answer was made.
    let short = |from: Timestamp, to| {
        let wanted = CertificateRequest { validity: Validity { from, to }, ..request(responder(true)) };
        WORLD.ca.issue(&wanted).unwrap()
    };
    assert_eq!(check(&[by(&good(), &short(NOW.minus(DAY), NOW.minus(Duration::from_secs(60))))]), "crl_missing");
    assert_eq!(check(&[by(&good(), &short(NOW.minus(Duration::from_secs(60)), NOW.plus(DAY)))]), "crl_missing");
    assert_eq!(check(&[by(&good(), &short(NOW.minus(DAY), NOW.plus(DAY)))]), "valid");
}

#[test]
fn a_delegate_without_nocheck_needs_a_list_and_a_revoked_one_is_not_heard() {
    let answer = by(&good(), &WORLD.checked_delegate);
    assert_eq!(check(std::slice::from_ref(&answer)), "crl_missing", "nobody vouches for the responder");
    // An answer about itself vouches for nothing.
    let about_itself =
        OcspDraft::new(WORLD.checked_delegate.serial(), OcspStatement::Good, NOW.minus(HOUR), NOW.plus(HOUR));
    assert_eq!(check(&[answer.clone(), by(&about_itself, &WORLD.checked_delegate)]), "crl_missing");
    let other = fresh_list(&WORLD.ca, &[]);
    let verdict = at(&with(std::slice::from_ref(&answer), std::slice::from_ref(&other)), NOW);
    assert_eq!(path(verdict).evidence.len(), 3, "root's list, issuer's list, the answer");
    let evidence = |serial: &[u8], signer: &Issued| {
        let lists = [fresh_list(&WORLD.ca, &[serial])];
        let verdict = at(&with(&[by(&draft(revoked(Reason::KeyCompromise)), signer)], &lists), NOW);
        code(&verdict)
    };
    assert_eq!(evidence(WORLD.checked_delegate.serial(), &WORLD.checked_delegate), "valid", "the list alone decides");
    assert_eq!(evidence(WORLD.delegate.serial(), &WORLD.delegate), "valid", "nocheck does not outweigh a list");
    assert_eq!(evidence(&[9], &WORLD.delegate), "revoked");
}

#[test]
fn times_are_bounded_on_our_clock() {
    let validator = with(&[signed(&good())], &[]);
    let minute = Duration::from_secs(60);
    assert!(at(&validator, NOW.plus(HOUR)).is_valid());
    let late = path(at(&validator, NOW.plus(HOUR + minute)));
    assert!(late.stale_grace && late.evidence.last().unwrap().stale);
    // NT-R08: past the grace; the root's list is out of date then too, so only its leaf counts here.
    let old = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW.minus(DAY * 9), NOW.minus(DAY * 2));
    assert_eq!(check(&[signed(&old)]), "crl_stale");
    // A day at most, whatever is promised; an hour where nothing is.
    let long = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW.minus(DAY * 3), NOW.plus(DAY * 30));
    assert_eq!(check(&[signed(&long)]), "crl_stale");
    let mut open = good();
    open.entries[0].next_update = None;
    assert_eq!(check(&[signed(&open)]), "valid");
    open.entries[0].this_update = NOW.minus(DAY * 2);
    assert_eq!(check(&[signed(&open)]), "crl_stale");
    // From the future, beyond the skew of clocks: it acquits nobody, and revokes only what is in the past.
    let future = |status| OcspDraft::new(WORLD.leaf.serial(), status, NOW.plus(HOUR), NOW.plus(DAY));
    assert_eq!(check(&[signed(&future(OcspStatement::Good))]), "crl_missing");
    assert_eq!(check(&[signed(&future(revoked(Reason::KeyCompromise)))]), "revoked");
    let produced_later = OcspDraft { produced_at: NOW.plus(HOUR), ..good() };
    assert_eq!(check(&[signed(&produced_later)]), "crl_missing");
    let tolerated = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW.plus(minute), NOW.plus(DAY));
    assert_eq!(check(&[signed(&tolerated)]), "valid");
    // Like a list, an old answer still revokes.
    let old =
        OcspDraft::new(WORLD.leaf.serial(), revoked(Reason::KeyCompromise), NOW.minus(DAY * 9), NOW.minus(DAY * 8));
    assert_eq!(check(&[signed(&old)]), "revoked");
}

#[test]
fn of_two_statements_the_worse_counts_and_unknown_is_no_yes() {
    let both = |first: OcspStatement, second: OcspStatement| {
        let mut draft = draft(first);
        draft.entries.push(OcspEntry { status: second, ..draft.entries[0].clone() });
        check(&[signed(&draft)])
    };
    let bad = revoked(Reason::KeyCompromise);
    assert_eq!(both(OcspStatement::Good, bad), "revoked");
    assert_eq!(both(bad, OcspStatement::Good), "revoked");
    assert_eq!(both(OcspStatement::Good, OcspStatement::Unknown), "status_unknown");
    // NT-R07, in one answer, in two of the same moment; a list of the authority is another source.
    let unknown = signed(&draft(OcspStatement::Unknown));
    assert_eq!(check(std::slice::from_ref(&unknown)), "status_unknown");
    assert_eq!(check(&[unknown.clone(), signed(&good())]), "status_unknown");
    assert!(at(&with(&[unknown], &[fresh_list(&WORLD.ca, &[])]), NOW).is_valid());
    // The newer takes the place of the older; only a revocation for good stays.
    let later =
        |status| OcspDraft::new(WORLD.leaf.serial(), status, NOW.minus(Duration::from_secs(60)), NOW.plus(HOUR));
    let held = signed(&draft(revoked(Reason::CertificateHold)));
    assert_eq!(check(std::slice::from_ref(&held)), "revoked", "on hold is revoked");
    assert_eq!(check(&[held, signed(&later(OcspStatement::Good))]), "valid", "the hold was lifted");
    assert_eq!(check(&[signed(&draft(bad)), signed(&later(OcspStatement::Good))]), "revoked");
    assert_eq!(check(&[signed(&good()), signed(&later(bad))]), "revoked");
}

#[test]
fn where_list_and_answer_disagree_the_revocation_is_believed_and_told() {
    let serial = WORLD.leaf.serial();
    let by_answer = at(&with(&[signed(&draft(revoked(Reason::KeyCompromise)))], &[fresh_list(&WORLD.ca, &[])]), NOW);
    let by_list = at(&with(&[signed(&good())], &[fresh_list(&WORLD.ca, &[serial])]), NOW);
    for verdict in [by_answer, by_list] {
        assert_eq!(code(&verdict), "revoked");
        let detail = verdict.finding().unwrap().detail.clone().unwrap();
        assert!(detail.en.contains("contradict each other") && detail.fr.contains("se contredisent"), "{detail:?}");
        assert!(detail.en.contains("keyCompromise") && detail.en.contains("the OCSP answer of"), "{detail:?}");
    }
    // An answer from before the revocation contradicts nothing.
    let before = OcspDraft::new(serial, OcspStatement::Good, NOW.minus(DAY * 2), NOW.plus(HOUR));
    let verdict = at(&with(&[signed(&before)], &[fresh_list(&WORLD.ca, &[serial])]), NOW);
    assert!(!verdict.finding().unwrap().detail.clone().unwrap().en.contains("contradict"));
}

#[test]
fn what_is_not_a_proper_answer_is_none() {
    let read = |der: &[u8]| OcspAnswer::from_der(der).map(|_| ()).unwrap_err();
    for (status, name) in [(1, "malformedRequest"), (3, "tryLater"), (6, "unauthorized"), (4, "does not exist")] {
        let error = read(&Authority::ocsp_refusal(status));
        assert!(matches!(error, OcspError::NotSuccessful(_)) && error.to_string().contains(name), "{error}");
    }
    assert_eq!(read(&OcspDraftWith::extra(critical("1.2.3.4"))), OcspError::UnknownCritical);
    let mut in_entry = good();
    in_entry.entries[0].extra = critical("1.2.3.4");
    assert_eq!(read(&signed(&in_entry)), OcspError::UnknownCritical);
    let harmless = vec![Extension { oid: "1.2.3.4".into(), critical: false, value: der::null() }];
    assert!(OcspAnswer::from_der(&OcspDraftWith::extra(harmless)).is_ok());
    let twice = vec![Extension { oid: "1.2.3.4".into(), critical: false, value: der::null() }; 2];
    assert_eq!(read(&OcspDraftWith::extra(twice)), OcspError::Malformed);
    assert_eq!(read(&vec![0x30; MAX_ANSWER + 1]), OcspError::TooLarge);
    let crowded = OcspDraft { entries: vec![good().entries[0].clone(); 40], ..good() };
    assert_eq!(read(&signed(&crowded)), OcspError::TooLarge);
    assert_eq!(read(&signed(&OcspDraft { entries: vec![], ..good() })), OcspError::Malformed);
    let mut backwards = good();
    backwards.entries[0].next_update = Some(NOW.minus(DAY));
    assert_eq!(read(&signed(&backwards)), OcspError::Malformed);
    let mut trailing = signed(&good());
    trailing.push(0);
    assert_eq!(read(&trailing), OcspError::Malformed);
}

struct OcspDraftWith;

impl OcspDraftWith {
    fn extra(extra: Vec<Extension>) -> Vec<u8> {
        signed(&OcspDraft { extra, ..good() })
    }
}

#[test]
fn a_request_reads_only_its_own_answer() {
    let request = OcspRequest::new(&WORLD.certificate, &WORLD.middle).unwrap();
    let sent = request.der().windows(NONCE_LENGTH).last().unwrap().to_vec();
    let answer = |nonce: Option<Vec<u8>>| request.read(&signed(&OcspDraft { nonce, ..good() }));
    assert_eq!(
        answer(Some(sent.clone())).unwrap().status_of(&WORLD.certificate, &WORLD.middle),
        Some(OcspStatus::Good)
    );
    assert!(answer(None).is_ok(), "signed in advance");
    // NT-R09
    let mut other = sent.clone();
    other[0] ^= 1;
    assert_eq!(answer(Some(other)).unwrap_err(), OcspError::Nonce);
    assert_eq!(answer(Some(vec![7; 200])).unwrap_err(), OcspError::Malformed);
    let plain = OcspRequest::with_nonce(&WORLD.certificate, &WORLD.middle, None).unwrap();
    assert_eq!(plain.read(&signed(&OcspDraft { nonce: Some(sent), ..good() })).unwrap_err(), OcspError::Nonce);
    let about_another = OcspDraft::new(&[42], OcspStatement::Good, NOW.minus(HOUR), NOW.plus(HOUR));
    assert_eq!(request.read(&signed(&about_another)).unwrap_err(), OcspError::OtherCertificate);
    // The same serial number of another authority is another certificate.
    let elsewhere = WORLD.root.ocsp_answer(&good(), OcspSigner::Authority).unwrap();
    assert_eq!(request.read(&elsewhere).unwrap_err(), OcspError::OtherCertificate);
    assert_eq!(check(&[elsewhere]), "crl_missing");
}

#[test]
fn a_stapled_answer_passes_the_same_rules() {
    let validator = with(&[], &[]);
    let stapled = |der: &[u8]| {
        let answer = Arc::new(OcspAnswer::from_der(der).unwrap());
        code(&validator.verify_stapled(&WORLD.certificate, &[], answer, Purpose::Email, NOW))
    };
    assert_eq!(stapled(&signed(&good())), "valid");
    assert_eq!(stapled(&signed(&draft(revoked(Reason::KeyCompromise)))), "revoked");
    assert_eq!(stapled(&by(&good(), &WORLD.leaf)), "crl_missing", "the peer vouches for itself");
    let listed = with(&[], &[fresh_list(&WORLD.ca, &[WORLD.leaf.serial()])]);
    let answer = Arc::new(OcspAnswer::from_der(&signed(&good())).unwrap());
    assert_eq!(code(&listed.verify_stapled(&WORLD.certificate, &[], answer, Purpose::Email, NOW)), "revoked");
}

#[test]
fn a_store_keeps_the_newest_and_a_running_validator_reads_it() {
    let store = Arc::new(RevocationStore::new());
    let validator = base().store(Arc::clone(&store)).build().unwrap();
    let offer = |der: &[u8]| {
        let answer = OcspAnswer::from_der(der).unwrap();
        store.offer_answer(answer, &WORLD.certificate, &WORLD.middle, NOW)
    };
    assert_eq!(code(&at(&validator, NOW)), "crl_missing");
    assert_eq!(offer(&signed(&good())), Offer::Taken);
    assert!(at(&validator, NOW).is_valid());
    assert_eq!(offer(&signed(&good())), Offer::Taken, "another signature of the same moment");
    let same = signed(&good());
    assert_eq!((offer(&same), offer(&same)), (Offer::Taken, Offer::Known));
    let older = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW.minus(DAY), NOW.plus(HOUR));
    assert_eq!(offer(&signed(&older)), Offer::Older);
    assert_eq!(offer(&by(&good(), &WORLD.leaf)), Offer::Untrusted);
    let future = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW.plus(DAY), NOW.plus(DAY * 2));
    assert_eq!(offer(&signed(&future)), Offer::FromTheFuture);
    assert_eq!(offer(&signed(&draft(revoked(Reason::KeyCompromise)))), Offer::Taken);
    assert_eq!(code(&at(&validator, NOW)), "revoked");
    let later = OcspDraft::new(WORLD.leaf.serial(), OcspStatement::Good, NOW, NOW.plus(HOUR));
    assert_eq!(offer(&signed(&later)), Offer::TakesBack);
    assert_eq!(code(&at(&validator, NOW)), "revoked");
}

#[test]
fn a_store_takes_lists_of_our_authorities_only_forwards() {
    let store = Arc::new(RevocationStore::new());
    let validator = base().store(Arc::clone(&store)).build().unwrap();
    let offer = |authority: &Authority, number: u64, revoked: &[&[u8]], from: Timestamp| {
        let list = RevocationList::from_der(&list(authority, number, revoked, from, NOW.plus(DAY))).unwrap();
        store.offer_list(list, &validator, NOW)
    };
    use crate::crl::RevocationList;
    assert_eq!(offer(&WORLD.ca, 7, &[], NOW.minus(HOUR)), Offer::Taken);
    assert!(at(&validator, NOW).is_valid());
    assert_eq!(offer(&WORLD.ca, 6, &[], NOW.minus(HOUR)), Offer::Older);
    assert_eq!(offer(&WORLD.ca, 8, &[], NOW.minus(DAY)), Offer::Older);
    assert_eq!(offer(&WORLD.ca, 9, &[], NOW.plus(DAY / 2)), Offer::FromTheFuture);
    let stranger = AuthorityRequest {
        name: SubjectName::authority("OCSP ORGANISATIONS"),
        ..AuthorityRequest::new("AUTRE", KeyAlgorithm::P256, Validity::days(NOW, 365))
    };
    let stranger = Authority::root(&stranger).unwrap();
    assert_eq!(offer(&stranger, 10, &[], NOW), Offer::Untrusted, "NT-R03");
    assert_eq!(offer(&WORLD.ca, 8, &[WORLD.leaf.serial()], NOW), Offer::Taken);
    assert_eq!(code(&at(&validator, NOW)), "revoked", "NT-R11");
    assert_eq!((store.lists().len(), validator.revocation_lists().len()), (1, 2), "the older one is gone");
}

#[test]
fn only_what_chains_to_an_anchor_says_what_to_fetch() {
    let validator = with(&[], &[]);
    let found = validator.sources_for(&WORLD.certificate, &[], Purpose::Email, NOW);
    let urls: Vec<&str> = found.iter().flat_map(StatusSource::urls).map(String::as_str).collect();
    assert_eq!(
        urls,
        [
            "http://igc.sceau.test/CRL/RACINE-OCSP.crl",
            "http://ocsp.sceau.test",
            "http://igc.sceau.test/CRL/RACINE-OCSP.crl",
        ]
    );
    assert_eq!(validator.own_sources(NOW), sources(&[WORLD.middle.clone(), WORLD.anchor.clone()]));
    let stranger =
        Authority::root(&AuthorityRequest::new("AUTRE", KeyAlgorithm::P256, Validity::days(NOW, 365))).unwrap();
    let lured = stranger.issue(&request(responder(true))).unwrap().certificate().unwrap();
    assert!(validator.sources_for(&lured, &[], Purpose::Any, NOW).is_empty());
    assert!(validator.sources_for(&WORLD.certificate, &[], Purpose::Person, NOW).is_empty(), "no anchor for persons");
}

static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| by(&good(), &WORLD.delegate));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// A changed answer never acquits: it cannot be read, or nobody who may signed it. (What is beside
    /// the signed part, the responder's certificate, is signed by the authority.)
    #[test]
    fn a_changed_answer_is_worth_nothing(at_index in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut octets = ANSWER.clone();
        let index = at_index.index(octets.len());
        octets[index] ^= flip;
        if let Ok(answer) = OcspAnswer::from_der(&octets) {
            let validator = base().ocsp_answer(Arc::new(answer)).build().unwrap();
            prop_assert!(!at(&validator, NOW).is_valid(), "octet {index}");
        }
    }

    #[test]
    fn noise_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = OcspAnswer::from_der(&octets);
        let mut dressed = ANSWER.clone();
        let end = dressed.len().min(40 + octets.len());
        dressed.splice(40..end, octets);
        let _ = OcspAnswer::from_der(&dressed);
    }
}
