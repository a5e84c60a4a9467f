//! Octets in flight: what is held in memory for those who have not read it yet, or have not sent it whole.
//!
//! Small ones are bounded by the number of connections. Larger ones take from one budget, of which no peer gets more
//! than its share: who asks for much and reads nothing waits for itself alone.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::places::neighbourhood;

/// What every connection may hold beside the budget.
pub(crate) const SMALL: usize = 64 * 1024;
/// Shares in the budget: one peer's is this part of it.
const SHARES: usize = 4;
/// The budget.
#[derive(Debug, Default)]
pub(crate) struct Octets {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

impl Octets {
    /// Whether a peer has any of its share left, and there is any at all: asked before work is done.
    pub(crate) fn any_left(&self, peer: IpAddr, most: usize) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.by_peer.get(&neighbourhood(peer)).copied().unwrap_or_default();
        held.all < most && mine < share(most)
    }

    /// Takes `octets` from a budget of `most` until the loan is dropped; nothing where it is used up. Small ones are
    /// not counted.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr, octets: usize, most: usize) -> Option<Loan> {
        if octets <= SMALL {
            return Some(Loan::none());
        }
        let peer = neighbourhood(peer);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.by_peer.get(&peer).copied().unwrap_or_default();
        let (all, mine_then) = (held.all.saturating_add(octets), mine.saturating_add(octets));
        // One answer is larger than a small share: it is given alone.
        if all > most || (mine > 0 && mine_then > share(most)) {
            return None;
        }
        held.all = all;
        held.by_peer.insert(peer, mine_then);
        Some(Loan { from: Some((Arc::clone(self), peer, octets)) })
    }
}

#[cfg(test)]
impl Octets {
    /// All that is held.
    pub(crate) fn all(&self) -> usize {
        self.held.lock().unwrap().all
    }
}

fn share(most: usize) -> usize {
    most.div_ceil(SHARES)
}

/// Octets that are held.
#[derive(Debug)]
pub(crate) struct Loan {
    from: Option<(Arc<Octets>, IpAddr, usize)>,
}

impl Loan {
    /// Of nothing.
    pub(crate) fn none() -> Self {
        Self { from: None }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some((octets, peer, taken)) = &self.from else { return };
        let mut held = octets.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(*taken);
        if let Some(mine) = held.by_peer.get_mut(peer) {
            *mine = mine.saturating_sub(*taken);
            if *mine == 0 {
                held.by_peer.remove(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1024 * 1024;

    fn peer(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn who_reads_nothing_holds_a_share_and_no_more() {
        let (octets, most) = (Arc::new(Octets::default()), 16 * MB);
        let loans: Vec<Loan> = (0..1000).map_while(|_| octets.take(peer(1), MB, most)).collect();
        assert_eq!(loans.len(), 4);
        assert!(!octets.any_left(peer(1), most) && octets.any_left(peer(2), most));
        assert!(octets.take(peer(1), SMALL, most).is_some(), "a page is always given");
        let others: Vec<Loan> = (2..1000).map_while(|n| octets.take(peer(n), 3 * MB, most)).collect();
        assert_eq!(others.len(), 4, "all together hold no more than the budget");
        assert!(octets.take(peer(5000), SMALL, most).is_some());
        drop((loans, others));
        assert!(octets.take(peer(1), MB, most).is_some());
        assert_eq!(octets.held.lock().unwrap().by_peer.len(), 0, "nobody is remembered who holds nothing");
    }

    #[test]
    fn what_is_larger_than_a_share_is_given_alone() {
        let (octets, most) = (Arc::new(Octets::default()), 16 * MB);
        let one = octets.take(peer(1), 6 * MB, most).unwrap();
        assert!(octets.take(peer(1), MB, most).is_none());
        drop(one);
        assert!(octets.take(peer(1), 17 * MB, most).is_none());
        assert_eq!(octets.held.lock().unwrap().all, 0);
    }
}
