//! A message that practice software signed with its user's own card: checked at the door (decision 0026).
//! It then goes on as it is, inside the signature of the domain.

use std::sync::Arc;

use ident::{Address, Timestamp};
use mail::{
    AuthorSignature, Facts, Judgement, Opened, SignatureState,
    source::{Room, Source},
};

use super::{trust::Answers, unreadable};
use crate::{
    queued::limits,
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// What was found, for the trail.
pub(super) type Found = (Opened, Judgement);

/// Judges the signature that a submitted message bears; `None` when it bears none.
///
/// # Errors
/// The refusal of a signature that is broken, somebody else's, or cannot be judged now.
pub(super) fn check(
    snapshot: &Snapshot,
    message: &Arc<dyn Source>,
    facts: &Facts,
    room: &dyn Room,
    now: Timestamp,
) -> Result<Option<Found>, Refusal> {
    let known = snapshot.known_certificates();
    let signed = mail::author(message, facts, &known, &limits(snapshot), room).map_err(|fault| unreadable(&fault))?;
    let Some(signed) = signed else { return Ok(None) };
    // It comes from one of our own users: we are the operator at the other end.
    let answers = Answers { snapshot, at: now, operator: snapshot.tls.certificate() };
    let judgement = mail::judge(&signed, &mail::Envelope { sender: None, recipients: &[] }, &answers);
    match refused(&AuthorSignature::of(&judgement), &judgement.from) {
        Some(refusal) => Err(refusal),
        None => Ok(Some((signed, judgement))),
    }
}

fn refused(author: &AuthorSignature, from: &Address) -> Option<Refusal> {
    if author.counts() {
        return None;
    }
    let (id, cause) = (fault(author), author.faults.first().copied().unwrap_or("not_bound"));
    let signer = author.signer.as_ref().map(|signer| signer.name.as_str()).unwrap_or_default();
    let cause = format!("{cause}: signed by {signer}, From {from}");
    Some(Refusal::new(id, cause).about(from))
}

fn fault(author: &AuthorSignature) -> RefusalId {
    match author.signature {
        SignatureState::Undetermined => RefusalId::AuthorSignatureUndetermined,
        SignatureState::Valid => RefusalId::AuthorSignatureForeign,
        SignatureState::Invalid | SignatureState::None => RefusalId::AuthorSignatureInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(signature: SignatureState, faults: &[&'static str]) -> AuthorSignature {
        AuthorSignature { signature, signer: None, bound_by: None, faults: faults.to_vec() }
    }

    #[test]
    fn an_undetermined_author_signature_is_deferred() {
        let from = Address::parse("dr@ch-exemple.test").unwrap();
        let refusal = refused(&found(SignatureState::Undetermined, &["crl_expired"]), &from).unwrap();
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::AuthorSignatureUndetermined, true));
        assert!(refusal.cause.contains("crl_expired"));
    }

    #[test]
    fn nothing_but_a_valid_and_bound_signature_counts() {
        let from = Address::parse("dr@ch-exemple.test").unwrap();
        let id = |author: &AuthorSignature| refused(author, &from).map(|refusal| refusal.id);
        assert_eq!(id(&found(SignatureState::Valid, &["from_not_bound"])), Some(RefusalId::AuthorSignatureForeign));
        assert_eq!(id(&found(SignatureState::Valid, &[])), Some(RefusalId::AuthorSignatureForeign));
        assert_eq!(id(&found(SignatureState::Invalid, &["altered"])), Some(RefusalId::AuthorSignatureInvalid));
        let good = AuthorSignature { bound_by: Some(mail::BoundBy::Person), ..found(SignatureState::Valid, &[]) };
        assert_eq!(id(&good), None);
    }
}
