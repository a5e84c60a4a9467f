//! Who may answer for an authority (RFC 6960 §4.2.2.2): the authority itself, or a certificate that
//! it issued *directly* for that purpose. Nobody is a responder by configuration.

use ident::Timestamp;

use super::{OcspAnswer, ResponderId, key_hash};
use crate::{
    algorithm::{SignatureAlgorithm, strong_key},
    certificate::{Certificate, Fault, KeyUsage},
};

/// id-kp-OCSPSigning. anyExtendedKeyUsage does not stand for it.
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

/// Who signed an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Responder {
    /// The authority itself.
    Authority,
    /// Somebody whom it named.
    Delegate(Certificate),
}

/// Who signed `answer` on behalf of `issuer`; `None` when it is nobody who may.
///
/// `more` are certificates that may be the responder's if the answer does not bring it along.
pub(crate) fn of(
    answer: &OcspAnswer,
    issuer: &Certificate,
    more: impl FnOnce() -> Vec<Certificate>,
    at: Timestamp,
    floor: bool,
) -> Option<Responder> {
    if floor && !answer.signed.algorithm.strong() {
        return None;
    }
    if named(answer, issuer) && (!floor || strong_key(issuer.key())) && answer.signed_by(issuer) {
        return Some(Responder::Authority);
    }
    let fits = |candidate: &Certificate| {
        named(answer, candidate)
            && may_answer(candidate, issuer, at, floor)
            // Rule 4: made while the responder's certificate was valid.
            && (candidate.not_before()..=candidate.not_after()).contains(&answer.produced_at)
            && answer.signed_by(candidate)
    };
    if let Some(found) = answer.certificates.iter().find(|candidate| fits(candidate)) {
        return Some(Responder::Delegate(found.clone()));
    }
    more().into_iter().take(super::MAX_TRIED).find(|candidate| fits(candidate)).map(Responder::Delegate)
}

/// Names that may be a responder of whom the answer brings no certificate.
pub(crate) fn name_of(answer: &OcspAnswer) -> Option<&crate::name::Name> {
    match &answer.responder {
        ResponderId::Name(name) => Some(name),
        ResponderId::Key(_) => None,
    }
}

fn named(answer: &OcspAnswer, certificate: &Certificate) -> bool {
    match &answer.responder {
        ResponderId::Name(name) => certificate.subject() == name,
        ResponderId::Key(hash) => key_hash(certificate).is_some_and(|own| own == *hash),
    }
}

/// Whether `issuer` made `candidate` a responder, and it is in force.
fn may_answer(candidate: &Certificate, issuer: &Certificate, at: Timestamp, floor: bool) -> bool {
    let purposes = candidate.extended_key_usage().unwrap_or_default();
    let signature = SignatureAlgorithm::of(candidate.signature_algorithm(), candidate.signature_parameters());
    candidate.issuer() == issuer.subject()
        && purposes.iter().any(|oid| oid == OCSP_SIGNING)
        && candidate
            .key_usage()
            .is_none_or(|usage| usage.any(KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::NON_REPUDIATION)))
        && candidate.faults().iter().all(|fault| *fault == Fault::Serial && !floor)
        && !candidate.extensions().unknown_critical
        && (candidate.not_before()..=candidate.not_after()).contains(&at)
        && (!floor || (signature.is_some_and(SignatureAlgorithm::strong) && strong_key(candidate.key())))
        && candidate.openssl().verify(issuer.public_key()).unwrap_or(false)
}
