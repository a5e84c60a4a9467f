//! Refusals before anybody is identified, counted per peer and minute (design §4): a stranger
//! must not be able to fill the trail.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use ident::Timestamp;
use trail::{Event, Record};

use crate::{
    events,
    gateway::Gateway,
    refusal::{Refusal, RefusalId},
};

/// Peers and reasons counted apart; the rest of a minute's strangers share one row.
const MOST: usize = 1000;
/// Stands for the peers beyond [`MOST`].
const OTHERS: &str = "others";

/// The counts of the current minute.
#[derive(Default)]
pub struct Knocks {
    counts: Mutex<HashMap<(String, &'static str, RefusalId), Count>>,
}

struct Count {
    refusal: Refusal,
    count: u64,
    since: Timestamp,
}

impl Knocks {
    /// Whether a refusal says nothing about anybody known: anyone on the network can cause it.
    pub fn concerns_a_stranger(id: RefusalId) -> bool {
        matches!(
            id,
            RefusalId::TlsRequired
                | RefusalId::CertificateRequired
                | RefusalId::CertificateUntrusted
                | RefusalId::CertificateInvalid
                | RefusalId::IdentityUnknown
                | RefusalId::Timeout
                | RefusalId::TooBusy
        )
    }

    /// Whether a refusal leaves the peer at the door: unknown, or known and not let in. Each such refusal
    /// costs a look at its certificates, and one of somebody known a row in the trail.
    pub fn is_not_let_in(id: RefusalId) -> bool {
        Self::concerns_a_stranger(id)
            || matches!(
                id,
                RefusalId::CertificateExpired
                    | RefusalId::CertificateRevoked
                    | RefusalId::CertificateUndetermined
                    | RefusalId::HolderInactive
                    | RefusalId::CardOpposed
                    | RefusalId::PeerNotListed
            )
    }

    /// Counts one.
    pub fn count(&self, peer: IpAddr, listener: &'static str, refusal: &Refusal, now: Timestamp) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (peer.to_string(), listener, refusal.id);
        if counts.len() >= MOST && !counts.contains_key(&key) {
            key.0 = OTHERS.to_owned();
        }
        let entry = counts.entry(key).or_insert_with(|| Count { refusal: refusal.clone(), count: 0, since: now });
        entry.count = entry.count.saturating_add(1);
    }

    /// Takes the counts as records and begins anew.
    pub fn take(&self, gateway: &Gateway, now: Timestamp) -> Vec<Record> {
        let counts = mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let record = |((peer, listener, _), count): ((String, &'static str, RefusalId), Count)| {
            let refusal = events::refusal(gateway, &count.refusal);
            Record::new(
                now,
                Event::ConnectionRefused {
                    peer,
                    listener: listener.to_owned(),
                    refusal,
                    count: count.count,
                    since: count.since,
                },
            )
        };
        counts.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_strangers_stay_a_bounded_number_of_rows() {
        let knocks = Knocks::default();
        let refusal = Refusal::new(RefusalId::CertificateRequired, "");
        for n in 0..5000u32 {
            knocks.count(IpAddr::from(n.to_be_bytes()), "exchange", &refusal, Timestamp::EPOCH);
        }
        let counts = knocks.counts.lock().unwrap();
        assert_eq!(counts.len(), MOST + 1);
        assert_eq!(counts.values().map(|count| count.count).sum::<u64>(), 5000);
    }
}
