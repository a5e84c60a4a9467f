//! How a domain stands at a moment.

use ident::{Domain, Timestamp};
use pki::certificate::Certificate;

use super::Struck;
use crate::snapshot::Snapshot;

/// How a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The list names it.
    Listed,
    /// Struck off by a list that shrank abnormally: not trusted, but its mail waits until then.
    Waiting(Timestamp),
    /// Not in the trusted space.
    Outside,
}

impl Snapshot {
    /// How a domain stands at this moment.
    pub fn standing(&self, domain: &Domain, at: Timestamp) -> Standing {
        if self.trust_list.lists(domain) {
            return Standing::Listed;
        }
        match self.waiting(at).find(|struck| struck.domain == *domain).and_then(|struck| struck.waits_until) {
            Some(until) => Standing::Waiting(until),
            None => Standing::Outside,
        }
    }

    /// What waits at this moment because the list shrank abnormally.
    pub fn waiting(&self, at: Timestamp) -> impl Iterator<Item = &Struck> {
        self.held.memory.struck.iter().filter(move |struck| struck.waits_until.is_some_and(|until| at < until))
    }

    /// Whether this peer spoke for somebody until the list shrank abnormally.
    pub fn waits_for(&self, peer: &Certificate, at: Timestamp) -> bool {
        self.waiting(at).any(|struck| struck.names(peer))
    }
}
