//! How a domain stands at a moment, by the list and by what operators ordered.

use ident::{Domain, Timestamp};
use pki::{certificate::Certificate, trust_list::OperatorName};

use super::Struck;
use crate::snapshot::Snapshot;

/// How a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The list names it.
    Listed,
    /// Two administrators vouch for it until then, the list does not.
    Granted(Timestamp),
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
        let granted = self.orders.grants().iter().filter(|grant| grant.names(domain, at).is_some());
        if let Some(until) = granted.map(|grant| grant.entry.until).max() {
            return Standing::Granted(until);
        }
        match self.waiting(at).find(|struck| struck.domain == *domain).and_then(|struck| struck.waits_until) {
            Some(until) => Standing::Waiting(until),
            None => Standing::Outside,
        }
    }

    /// Whether a domain is trusted at this moment.
    pub fn trusts(&self, domain: &Domain, at: Timestamp) -> bool {
        matches!(self.standing(domain, at), Standing::Listed | Standing::Granted(_))
    }

    /// The operators that speak for a domain at this moment.
    pub fn operators(&self, domain: &Domain, at: Timestamp) -> impl Iterator<Item = &OperatorName> {
        let granted = self.orders.grants().iter().filter_map(move |grant| grant.names(domain, at));
        self.trust_list.operators(domain).iter().chain(granted)
    }

    /// Whether this peer's subject speaks for a domain at this moment. Says nothing of its validity.
    pub fn speaks_for(&self, peer: &Certificate, domain: &Domain, at: Timestamp) -> bool {
        self.trust_list.speaks_for(peer, domain)
            || self.operators(domain, at).any(|operator| operator.matches(peer.subject()))
    }

    /// Whether this peer's subject speaks for anybody at this moment.
    pub fn knows_operator(&self, peer: &Certificate, at: Timestamp) -> bool {
        self.trust_list.knows(peer)
            || self.orders.grants().iter().any(|grant| self.speaks_for(peer, &grant.entry.domain, at))
    }

    /// What waits at this moment because the list shrank abnormally and nobody said that it was meant to.
    pub fn waiting(&self, at: Timestamp) -> impl Iterator<Item = &Struck> {
        let confirmed = self.orders.confirmed().map(|confirmed| confirmed.at);
        self.held.memory.struck.iter().filter(move |struck| {
            struck.waits_until.is_some_and(|until| at < until)
                && confirmed.is_none_or(|confirmed| struck.at > confirmed)
        })
    }

    /// Until when the mail of this peer waits, that spoke for the domain (or for anybody) before the list
    /// shrank abnormally.
    pub fn waits_for(&self, peer: &Certificate, domain: Option<&Domain>, at: Timestamp) -> Option<Timestamp> {
        let concerned = self.waiting(at).filter(|struck| domain.is_none_or(|domain| *domain == struck.domain));
        concerned.filter(|struck| struck.names(peer)).filter_map(|struck| struck.waits_until).max()
    }
}
