//! Octets in flight: what is held in memory for those who have not read it yet, or have not sent it whole.
//!
//! Small ones are bounded by the number of connections. Larger ones take from one budget, of which no peer gets more
//! than its share: who asks for much and reads nothing waits for itself alone.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::crowd::Busy;
use crate::net::places::neighbourhood;

/// What every connection may hold beside the budget.
pub(super) const SMALL: usize = 64 * 1024;
/// Shares in the budget: one peer's is this part of it.
const SHARES: usize = 4;
/// What the connection is given at once. It copies that: the whole is ours until the last part is taken.
const PART: usize = 16 * 1024;

/// The budget.
#[derive(Debug, Default)]
pub(super) struct Octets {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

impl Octets {
    /// Whether a peer has any of its share left, and there is any at all: asked before work is done.
    pub(super) fn any_left(&self, peer: IpAddr, most: usize) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.by_peer.get(&neighbourhood(peer)).copied().unwrap_or_default();
        held.all < most && mine < share(most)
    }

    /// Takes `octets` from a budget of `most` until the loan is dropped; nothing where it is used up. Small ones are
    /// not counted.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr, octets: usize, most: usize) -> Option<Loan> {
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

fn share(most: usize) -> usize {
    most.div_ceil(SHARES)
}

/// Octets that are held.
#[derive(Debug)]
pub(super) struct Loan {
    from: Option<(Arc<Octets>, IpAddr, usize)>,
}

impl Loan {
    /// Of nothing.
    pub(super) fn none() -> Self {
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

/// An answer on its way: given out in parts, so that what is held is known until the client has read nearly all of it.
#[derive(Debug)]
pub(super) struct Answer {
    rest: Bytes,
    _loan: Loan,
    _busy: Option<Busy>,
}

impl Answer {
    pub(super) fn new(body: Vec<u8>, loan: Loan) -> Self {
        Self { rest: Bytes::from(body), _loan: loan, _busy: None }
    }

    /// The same, for which the connection stays until the last part is taken.
    pub(super) fn with(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.rest.len().min(PART);
        let part = self.rest.split_to(part);
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

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

    /// A runtime that only polls.
    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn an_answer_keeps_its_loan_until_its_last_part_is_taken() {
        let octets = Arc::new(Octets::default());
        let loan = octets.take(peer(1), 100_000, 16 * MB).unwrap();
        let mut answer = Answer::new(vec![7; 100_000], loan);
        assert_eq!(answer.size_hint().exact(), Some(100_000));
        let mut read = 0;
        while let Some(part) = block(answer.frame()) {
            let part = part.unwrap().into_data().unwrap();
            assert!(part.len() <= PART && part.iter().all(|it| *it == 7));
            read += part.len();
            assert_eq!(octets.held.lock().unwrap().all, 100_000);
        }
        assert_eq!((read, answer.is_end_stream()), (100_000, true));
        drop(answer);
        assert_eq!(octets.held.lock().unwrap().all, 0);
    }
}
