//! Who asks: an address, and a certificate where the configuration asks for one.

use ident::{Fingerprint, StructureId, Timestamp};
use pki::{
    certificate::Certificate,
    identity::Identity,
    path::{Purpose, Verdict},
};

use crate::{admission::cards, config::Clients, snapshot::Snapshot};

/// Somebody whose certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Of the certificate.
    pub(super) fingerprint: Fingerprint,
    /// National identifier, for the access log.
    pub(super) id: String,
    /// The structure that it stands for, where it is one's.
    pub(super) structure: Option<StructureId>,
}

/// Who shows these certificates, leaf first.
///
/// # Errors
/// A word for the log: why nobody of the trust space does.
pub(super) fn known(snapshot: &Snapshot, shown: &[Certificate], at: Timestamp) -> Result<Known, String> {
    let Some((leaf, others)) = shown.split_first() else { return Err("no certificate".to_owned()) };
    let (purpose, id, structure) = match Identity::of(leaf).map_err(|error| error.to_string())? {
        Identity::Person(person) => (Purpose::Person, person.id.to_string(), None),
        Identity::Staff(staff) => (Purpose::Person, staff.id.to_string(), None),
        Identity::Organisation(organisation) => {
            (Purpose::Organisation, organisation.structure.to_string(), Some(organisation.structure))
        }
        Identity::Server(_) => return Err("a server's certificate".to_owned()),
    };
    // A stolen card does not look people up, either.
    match cards::unless_opposed(snapshot, snapshot.verify(leaf, others, purpose, at), leaf, at) {
        Verdict::Valid(_) => Ok(Known { fingerprint: leaf.fingerprint(), id, structure }),
        Verdict::Invalid(finding) | Verdict::Undetermined(finding) => Err(finding.code.to_owned()),
    }
}

/// Whether strangers are answered, too.
pub(super) fn strangers_welcome(snapshot: &Snapshot) -> bool {
    snapshot.config.http.clients != Clients::Certificate
}
