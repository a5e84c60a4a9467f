//! What a server staples to its handshake (RFC 6066 §8, RFC 8446 §4.4.2.1).
//!
//! The answer passes the rules of every other one, so it does not matter that the peer itself hands it
//! over: it can keep it back or show an old one, and nothing more. One that holds is kept for the next
//! time; a revocation is kept even if the peer stops showing it.

use std::sync::Arc;

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    ocsp::OcspAnswer,
    path::{Purpose, Validator, Verdict},
};

/// Judges what a server showed.
pub(super) fn verify(
    validator: &Validator,
    leaf: &Certificate,
    untrusted: &[Certificate],
    stapled: Option<&[u8]>,
    purpose: Purpose,
    at: Timestamp,
) -> Verdict {
    let Some(answer) = stapled.and_then(|der| OcspAnswer::from_der(der).ok()).map(Arc::new) else {
        return validator.verify(leaf, untrusted, purpose, at);
    };
    let verdict = validator.verify_stapled(leaf, untrusted, Arc::clone(&answer), purpose, at);
    if let Some(store) = validator.revocation_store() {
        // Only for a certificate that leads to an anchor: strangers fill no store.
        let path = validator.path(leaf, untrusted, purpose, at);
        if let Some(issuer) = path.as_ref().and_then(|path| path.get(1)) {
            let offer = store.offer_answer(answer, leaf, issuer, at);
            tracing::debug!(server = %leaf.subject(), ?offer, "stapled answer");
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pki::{
        issue::{
            Authority, AuthorityRequest, CertificateRequest, Issued, KeyAlgorithm, OcspDraft, OcspSigner,
            OcspStatement, Profile, Reason, Structure, Validity,
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
