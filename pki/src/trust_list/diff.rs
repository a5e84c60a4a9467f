//! What a list changes against the one before it: read by a person before it takes effect, and what
//! decides whether it shrank abnormally.

use ident::Domain;

use super::{OperatorName, TrustList};

/// Differences between two lists, each part sorted by domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustListDiff {
    /// Domains that come in, with their operators.
    pub added: Vec<ChangedDomain>,
    /// Domains that are struck off, with the operators that spoke for them.
    pub removed: Vec<ChangedDomain>,
    /// Domains that stay and whose operators change.
    pub changed: Vec<ChangedDomain>,
    /// Domains of the list before.
    pub before: usize,
    /// Domains of the list after.
    pub after: usize,
}

/// A domain whose operators differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedDomain {
    /// The domain.
    pub domain: Domain,
    /// Operators that speak for it from now on.
    pub gained: Vec<OperatorName>,
    /// Operators that no longer do.
    pub lost: Vec<OperatorName>,
}

impl TrustListDiff {
    /// What `after` changes against `before`. Texts and contacts are no difference: they decide nothing.
    pub fn between(before: &TrustList, after: &TrustList) -> Self {
        let mut diff = Self { before: before.entries.len(), after: after.entries.len(), ..Self::default() };
        for entry in before.entries() {
            let now = after.operators(&entry.domain);
            let gained: Vec<_> = now.iter().filter(|name| !entry.operators.contains(name)).cloned().collect();
            let lost: Vec<_> = entry.operators.iter().filter(|name| !now.contains(name)).cloned().collect();
            let change = ChangedDomain { domain: entry.domain.clone(), gained, lost };
            if !after.lists(&entry.domain) {
                diff.removed.push(change);
            } else if !change.gained.is_empty() || !change.lost.is_empty() {
                diff.changed.push(change);
            }
        }
        for entry in after.entries().filter(|entry| !before.lists(&entry.domain)) {
            let (domain, gained) = (entry.domain.clone(), entry.operators.clone());
            diff.added.push(ChangedDomain { domain, gained, lost: Vec::new() });
        }
        diff
    }

    /// Whether the lists say the same about every domain.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Every domain that loses somebody who spoke for it, whole or in part.
    pub fn losses(&self) -> impl Iterator<Item = &ChangedDomain> {
        self.removed.iter().chain(self.changed.iter().filter(|change| !change.lost.is_empty()))
    }
}
