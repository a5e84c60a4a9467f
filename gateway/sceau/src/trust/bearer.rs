//! Who brought a waiting message, so that an order given later still finds it (WL-15: "queue included").

use ident::{Fingerprint, Timestamp};
use pki::{certificate::Certificate, trust_list::OperatorName};
use serde::{Deserialize, Serialize};

use super::{Block, Target};
use crate::snapshot::Snapshot;

/// Kept beside a queued message: the certificates it came with, by every name that an order may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    /// Subject of whoever opened the connection.
    subject: String,
    /// Theirs, those that they showed above it, and that of whoever signed the content.
    certificates: Vec<Fingerprint>,
}

impl Bearer {
    /// `shown` is what the peer showed, leaf first; `signer` signed the message itself.
    pub fn new(shown: &[Certificate], signer: Option<&Certificate>) -> Self {
        let subject = shown.first().map(|leaf| OperatorName::of(leaf.subject()).to_string());
        let certificates = shown.iter().chain(signer).flat_map(Certificate::known_as).collect();
        Self { subject: subject.unwrap_or_default(), certificates }
    }

    fn is_operator(&self, name: &OperatorName) -> bool {
        OperatorName::parse(&self.subject).is_ok_and(|subject| subject == *name)
    }
}

impl Snapshot {
    /// The block that stops what this bearer brought.
    pub fn block_of_bearer(&self, bearer: &Bearer, at: Timestamp) -> Option<&Block> {
        self.worst_block(at, |target| match target {
            Target::Certificate(blocked) => bearer.certificates.contains(blocked),
            Target::Operator(operator) => bearer.is_operator(operator.name()),
            Target::Domain(_) | Target::Mailbox(_) => false,
        })
    }
}
