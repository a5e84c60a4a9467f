//! What a server staples to its handshake (RFC 6066 §8, RFC 8446 §4.4.2.1).
//!
//! The answer passes the rules of every other one, so it does not matter that the peer itself hands it
//! over: it can keep it back or show an old one, and nothing more. One that holds is kept for the next
//! time; a revocation is kept even if the peer stops showing it.

use std::sync::Arc;

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    finding::Finding,
    ocsp::OcspAnswer,
    path::{Purpose, Validator, Verdict},
    status::Offer,
};

/// Judges what a server showed. One whose certificate promises an answer (RFC 7633) and shows none that
/// counts is believed neither good nor bad: whoever holds a stolen key would keep the answer back.
pub(super) fn verify(
    validator: &Validator,
    leaf: &Certificate,
    untrusted: &[Certificate],
    stapled: Option<&[u8]>,
    purpose: Purpose,
    at: Timestamp,
) -> Verdict {
    let answer = stapled.and_then(|der| OcspAnswer::from_der(der).ok()).map(Arc::new);
    let (verdict, counts) = match answer {
        None => (validator.verify(leaf, untrusted, purpose, at), false),
        Some(answer) => {
            let verdict = validator.verify_stapled(leaf, untrusted, Arc::clone(&answer), purpose, at);
            (verdict, keep(validator, leaf, untrusted, answer, purpose, at))
        }
    };
    match verdict {
        Verdict::Valid(_) | Verdict::Undetermined(_) if leaf.must_staple() && !counts => {
            Verdict::Undetermined(Finding::staple_missing(leaf))
        }
        verdict => verdict,
    }
}

/// Keeps an answer for the next time, and says whether somebody who may gave it and it is still fresh.
fn keep(
    validator: &Validator,
    leaf: &Certificate,
    untrusted: &[Certificate],
    answer: Arc<OcspAnswer>,
    purpose: Purpose,
    at: Timestamp,
) -> bool {
    // Only for a certificate that leads to an anchor: strangers fill no store.
    let path = validator.path(leaf, untrusted, purpose, at);
    let issuer = path.as_ref().and_then(|path| path.get(1));
    let Some((store, issuer)) = validator.revocation_store().zip(issuer) else { return false };
    let is_fresh = answer.fresh_until(leaf, issuer).is_some_and(|until| until >= at);
    let offer = store.offer_answer(answer, leaf, issuer, at);
    tracing::debug!(server = %leaf.subject(), ?offer, "stapled answer");
    is_fresh && !matches!(offer, Offer::Untrusted | Offer::FromTheFuture)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pki::{
        issue::{
            Authority, AuthorityRequest, CertificateRequest, CrlRequest, Extension, Issued, KeyAlgorithm, OcspDraft,
            OcspSigner, OcspStatement, Profile, Reason, Structure, Validity,
        },
        path::{RevocationMode, ValidatorBuilder},
        status::RevocationStore,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn world() -> (Authority, Issued, Validator, Arc<RevocationStore>) {
        let validity = Validity::days(NOW, 300);
        let root = Authority::root(&AuthorityRequest::new("RACINE AGRAFE", KeyAlgorithm::P256, validity)).unwrap();
        let structure = ident::StructureId::parse("1990000001").unwrap();
        let structure = Structure::new(structure, "CH EXEMPLE-TEST", "Paris (75)");
        let profile = Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure };
        let server = root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap();
        let store = Arc::new(RevocationStore::new());
        let validator = ValidatorBuilder::new()
            .test_category(true)
            .anchor(Purpose::Server, Certificate::from_der(root.certificate_der()).unwrap())
            .revocation(RevocationMode::Required { grace: Duration::ZERO })
            .store(Arc::clone(&store))
            .build()
            .unwrap();
        (root, server, validator, store)
    }

    #[test]
    fn a_stapled_answer_is_honoured_and_kept() {
        let (root, server, validator, _) = world();
        let leaf = server.certificate().unwrap();
        let judge = |stapled: Option<&[u8]>, at| {
            let verdict = verify(&validator, &leaf, &[], stapled, Purpose::Server, at);
            verdict.finding().map_or("valid", |finding| finding.code)
        };
        let answer = |status, from: Timestamp| {
            let draft = OcspDraft::new(server.serial(), status, from, from.plus(HOUR));
            root.ocsp_answer(&draft, OcspSigner::Authority).unwrap()
        };
        assert_eq!(judge(None, NOW), "crl_missing");
        assert_eq!(judge(Some(b"noise"), NOW), "crl_missing");
        let good = answer(OcspStatement::Good, NOW);
        assert_eq!(judge(Some(&good), NOW), "valid");
        // Kept until it ends.
        assert_eq!(judge(None, NOW.plus(HOUR)), "valid");
        assert_eq!(judge(None, NOW.plus(HOUR * 2)), "crl_stale");
        let revoked = OcspStatement::Revoked { reason: Reason::KeyCompromise, at: NOW };
        assert_eq!(judge(Some(&answer(revoked, NOW.plus(HOUR))), NOW.plus(HOUR)), "revoked");
        // The server goes back to the answer from before.
        assert_eq!(judge(Some(&good), NOW.plus(HOUR)), "revoked");
        assert_eq!(judge(None, NOW.plus(HOUR)), "revoked");
    }

    /// RFC 7633: a list that says nothing against it does not stand for the answer that was promised.
    #[test]
    fn a_certificate_that_must_be_stapled_is_not_believed_without() {
        let (root, plain, ..) = world();
        let (names, validity) = (plain.certificate().unwrap(), Validity::days(NOW, 300));
        let structure = ident::StructureId::parse("1990000001").unwrap();
        let structure = Structure::new(structure, "CH EXEMPLE-TEST", "Paris (75)");
        let profile = Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure };
        let mut request = CertificateRequest::new(profile, KeyAlgorithm::P256, validity);
        let value = vec![0x30, 0x03, 0x02, 0x01, 0x05];
        request.extra.push(Extension { oid: "1.3.6.1.5.5.7.1.24".into(), critical: false, value });
        let server = root.issue(&request).unwrap();
        let leaf = server.certificate().unwrap();
        assert!(leaf.must_staple() && !names.must_staple());
        let list = CrlRequest { revoked: vec![], this_update: NOW, next_update: NOW.plus(HOUR * 48), number: 1 };
        let validator = ValidatorBuilder::new()
            .test_category(true)
            .anchor(Purpose::Server, Certificate::from_der(root.certificate_der()).unwrap())
            .revocation(RevocationMode::Required { grace: Duration::ZERO })
            .store(Arc::new(RevocationStore::new()))
            .crl(root.crl(&list).unwrap().der())
            .unwrap()
            .build()
            .unwrap();
        let judge = |leaf: &Certificate, stapled: Option<&[u8]>, at| {
            let verdict = verify(&validator, leaf, &[], stapled, Purpose::Server, at);
            verdict.finding().map_or("valid", |finding| finding.code)
        };
        let answer = |authority: &Authority, status| {
            let draft = OcspDraft::new(server.serial(), status, NOW, NOW.plus(HOUR));
            authority.ocsp_answer(&draft, OcspSigner::Authority).unwrap()
        };
        let good = answer(&root, OcspStatement::Good);
        assert_eq!(judge(&names, None, NOW), "valid");
        assert_eq!(judge(&leaf, None, NOW), "staple_missing");
        assert_eq!(judge(&leaf, Some(b"noise"), NOW), "staple_missing");
        assert_eq!(judge(&leaf, Some(&answer(&world().0, OcspStatement::Good)), NOW), "staple_missing");
        assert_eq!(judge(&leaf, Some(&good), NOW), "valid");
        assert_eq!(judge(&leaf, Some(&good), NOW), "valid", "the same again");
        assert_eq!(judge(&leaf, None, NOW), "staple_missing", "that we hold one is not that it shows one");
        assert_eq!(judge(&leaf, Some(&good), NOW.plus(HOUR * 2)), "staple_missing", "an old one");
        let revoked = OcspStatement::Revoked { reason: Reason::KeyCompromise, at: NOW };
        assert_eq!(judge(&leaf, Some(&answer(&root, revoked)), NOW), "revoked");
    }

    #[test]
    fn a_strangers_answer_is_neither_honoured_nor_kept() {
        let (_, _, validator, store) = world();
        let (other, server, ..) = world();
        let leaf = server.certificate().unwrap();
        let draft = OcspDraft::new(server.serial(), OcspStatement::Good, NOW, NOW.plus(HOUR));
        let answer = other.ocsp_answer(&draft, OcspSigner::Authority).unwrap();
        assert!(!verify(&validator, &leaf, &[], Some(&answer), Purpose::Server, NOW).is_valid());
        let issuer = Certificate::from_der(other.certificate_der()).unwrap();
        assert!(store.answers(&leaf, &issuer).is_empty());
    }
}
