//! What the other end hears of a message that was encrypted to us (H4, decision 0042).
//!
//! A captured body can be played again under another author: whatever refuses it then must not say what is inside.
//! Who is known to have written it is told the true reason; everybody else hears that it could not be opened.

use ident::Timestamp;
use mail::{HeaderOrigin, Opened, Signature, signer_names_author};
use pki::{certificate::Certificate, identity::Identity, partner_file::operators_of};

use super::trust::Answers;
use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// A refusal of what was opened, as its bringer hears it. The cause for our own log names the true one.
pub(super) fn outwardly(
    snapshot: &Snapshot,
    operator: &Certificate,
    opened: &Opened,
    refusal: Refusal,
    now: Timestamp,
) -> Refusal {
    if opened.encryption.is_none() || is_ours(refusal.id) || is_its_own(snapshot, operator, opened, now) {
        return refusal;
    }
    Refusal::new(RefusalId::OpeningFailed, format!("{}: {}", refusal.id.row().id, refusal.cause))
}

/// Faults on our side say nothing about the message.
fn is_ours(id: RefusalId) -> bool {
    matches!(id, RefusalId::StorageFull | RefusalId::StorageUnavailable | RefusalId::KeyUnavailable)
}

/// Whether what is inside was written for who brings it: the author that stands under the encryption is of a domain
/// that the operator answers for, or answered for until just now; where no author stands there, the signature names
/// the one outside, or is the operator's own.
fn is_its_own(snapshot: &Snapshot, operator: &Certificate, opened: &Opened, now: Timestamp) -> bool {
    let domain = opened.facts.from.domain();
    if opened.header != HeaderOrigin::Wire {
        return snapshot.speaks_for(operator, domain, now) || snapshot.waits_for(operator, Some(domain), now).is_some();
    }
    let Signature::Good(signed) = &opened.signature else { return false };
    let own_operator = || match Identity::of(&signed.signer) {
        Ok(Identity::Organisation(organisation)) => {
            operators_of(&snapshot.trust_list, domain).contains(&organisation.structure)
        }
        _ => false,
    };
    signer_names_author(opened, &Answers { snapshot, at: now, operator }) || own_operator()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk says nothing about a message, and is told as what it is; what was found inside never is.
    #[test]
    fn our_own_faults_are_told_as_they_are() {
        let ours = |id: &&RefusalId| is_ours(**id);
        let named: Vec<&RefusalId> = RefusalId::ALL.iter().filter(ours).collect();
        assert_eq!(named, [&RefusalId::KeyUnavailable, &RefusalId::StorageUnavailable, &RefusalId::StorageFull]);
    }
}
