//! Turns on the threads that think: so many at once, and one peer never has them all.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::net::places::neighbourhood;

/// Who thinks, and who waits.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    /// At once for one peer.
    each: usize,
    by_peer: Mutex<HashMap<IpAddr, Peer>>,
}

#[derive(Debug)]
struct Peer {
    turns: Arc<Semaphore>,
    /// Those who have one or wait for one.
    here: usize,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _mine: OwnedSemaphorePermit,
    _here: Here,
}

/// Somebody of a peer who has a turn or waits for one; the last one takes the peer out of the table.
#[derive(Debug)]
struct Here {
    turns: Arc<Turns>,
    peer: IpAddr,
}

impl Turns {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Self {
        let each = threads.div_ceil(2).max(1);
        Self { all: Arc::new(Semaphore::new(threads.max(1))), each, by_peer: Mutex::default() }
    }

    /// Waits for a turn, so long.
    pub(super) async fn turn(self: &Arc<Self>, peer: IpAddr, patience: Duration) -> Option<Turn> {
        let peer = neighbourhood(peer);
        let (mine, here) = self.here(peer);
        let both = async {
            // First among one's own: whoever waits there takes nobody else's place.
            let mine = mine.acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn { _all: all, _mine: mine, _here: here })
        };
        timeout(patience, both).await.ok()?
    }

    fn here(self: &Arc<Self>, peer: IpAddr) -> (Arc<Semaphore>, Here) {
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Peer { turns: Arc::new(Semaphore::new(self.each)), here: 0 };
        let entry = by_peer.entry(peer).or_insert_with(fresh);
        entry.here = entry.here.saturating_add(1);
        (Arc::clone(&entry.turns), Here { turns: Arc::clone(self), peer })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut by_peer = self.turns.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = by_peer.get_mut(&self.peer) {
            entry.here = entry.here.saturating_sub(1);
            if entry.here == 0 {
                by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_peer_never_has_every_turn() {
        let turns = Arc::new(Turns::new(2));
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let short = Duration::from_millis(20);
        let first = turns.turn(a, short).await.unwrap();
        assert!(turns.turn(a, short).await.is_none(), "one of two");
        let second = turns.turn(b, short).await.unwrap();
        assert!(turns.turn([10, 0, 0, 3].into(), short).await.is_none(), "two in all");
        drop(first);
        let third = turns.turn(a, short).await.unwrap();
        drop((second, third));
        assert!(turns.by_peer.lock().unwrap().is_empty(), "who has left is forgotten");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let turns = Arc::new(Turns::new(1));
        let peer: IpAddr = [10, 0, 0, 1].into();
        let only = turns.turn(peer, Duration::from_secs(1)).await.unwrap();
        for _ in 0..100 {
            assert!(turns.turn(peer, Duration::ZERO).await.is_none());
        }
        assert_eq!(turns.by_peer.lock().unwrap().get(&peer).map(|it| it.here), Some(1));
        drop(only);
        assert!(turns.turn(peer, Duration::from_secs(1)).await.is_some());
    }
}
