//! Who is connected. Where there is no place left, the connection that has rested longest makes room: a door that a few
//! hosts could fill with silence would be closed to everybody.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::places::{Place, Places, Room, neighbourhood};

/// Who was answered less than this ago may still be reading.
const GRACE: Duration = Duration::from_millis(250);
/// One peer's connections that rest are at most this part of its places.
const RESTING: usize = 5;

/// The connections of the port.
#[derive(Default)]
pub(crate) struct Crowd {
    places: Arc<Places>,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Seat>,
}

struct Seat {
    peer: IpAddr,
    visit: Arc<Visit>,
    _place: Place,
}

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Requests that are being answered; an answer counts until its last part is taken.
    busy: AtomicUsize,
    answered: AtomicBool,
    resting_since: Mutex<Instant>,
    leave: Notify,
}

/// A connection's seat; dropping it leaves.
pub(crate) struct Seated {
    crowd: Arc<Crowd>,
    number: u64,
    pub(crate) visit: Arc<Visit>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Busy {
    visit: Arc<Visit>,
}

impl Visit {
    fn new(now: Instant) -> Self {
        let (busy, answered) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { busy, answered, resting_since: Mutex::new(now), leave: Notify::new() }
    }

    /// Until the guard is dropped, nobody closes the connection to make room.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy { visit: Arc::clone(self) }
    }

    /// Resolves when the connection has to make room.
    pub(crate) async fn has_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Since when nothing is asked.
    fn resting_since(&self) -> Option<Instant> {
        let resting = self.busy.load(Ordering::SeqCst) == 0;
        resting.then(|| *self.resting_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it ever asked anything.
    fn was_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    /// The same, where it may be sent away.
    fn dispensable_since(&self, now: Instant) -> Option<Instant> {
        let grace = if self.was_answered() { GRACE } else { Duration::ZERO };
        self.resting_since().filter(|since| now.saturating_duration_since(*since) >= grace)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.visit.resting_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.visit.answered.store(true, Ordering::SeqCst);
        self.visit.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Crowd {
    /// A seat, if need be the one of who has rested longest: of the same peer where that has its share, else of all.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, room: Room, now: Instant) -> Option<Seated> {
        let peer = neighbourhood(address);
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.calm(peer, room.each.div_ceil(RESTING), now);
        let place = self.places.enter(address, room).or_else(|| {
            let own = |seat: &Seat| seat.peer == peer;
            let mine = seats.taken.values().filter(|seat| own(seat)).count();
            let made = if mine >= room.each { seats.make_room(own, now) } else { seats.make_room(|_| true, now) };
            made.then(|| self.places.enter(address, room)).flatten()
        })?;
        let visit = Arc::new(Visit::new(now));
        let number = seats.next;
        seats.next = seats.next.wrapping_add(1);
        seats.taken.insert(number, Seat { peer, visit: Arc::clone(&visit), _place: place });
        Some(Seated { crowd: Arc::clone(self), number, visit })
    }
}

impl Seats {
    /// No more of a peer's connections rest than it may have at rest.
    fn calm(&mut self, peer: IpAddr, most: usize, now: Instant) {
        // Who is still beginning does not rest: a hospital opens fifty pages at eight in the morning.
        let resting = |seat: &Seat| seat.peer == peer && seat.visit.was_answered();
        if self.taken.values().filter(|seat| resting(seat) && seat.visit.resting_since().is_some()).count() > most {
            self.make_room(resting, now);
        }
    }

    /// Sends away who has rested longest among these.
    fn make_room(&mut self, among: impl Fn(&Seat) -> bool, now: Instant) -> bool {
        let resting = self.taken.iter().filter(|(_, seat)| among(seat));
        let longest = resting.filter_map(|(number, seat)| Some((seat.visit.dispensable_since(now)?, *number))).min();
        let Some((_, number)) = longest else { return false };
        // The place is free at once, and the connection is told.
        self.taken.remove(&number).inspect(|seat| seat.visit.leave.notify_one()).is_some()
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.crowd.seats.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { all: 10, each: 5 };

    fn peer(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    fn later(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    /// Whether the connection was told to leave.
    fn told(seated: &Seated) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let leaving = async { tokio::time::timeout(Duration::ZERO, seated.visit.has_to_leave()).await.is_ok() };
        runtime.block_on(leaving)
    }

    #[test]
    fn who_has_rested_longest_makes_room() {
        let (crowd, start) = (Arc::new(Crowd::default()), Instant::now());
        let seated: Vec<Seated> =
            (0..10).map(|n| crowd.enter(peer(n), ROOM, later(start, u64::from(n))).unwrap()).collect();
        let busy: Vec<Busy> = seated.iter().take(3).map(|it| it.visit.busy()).collect();
        let new = crowd.enter(peer(200), ROOM, later(start, 20)).expect("a newcomer is let in");
        assert_eq!(
            seated.iter().map(told).collect::<Vec<_>>(),
            [false, false, false, true, false, false, false, false, false, false]
        );
        // Who has been answered rests from then on.
        drop((busy, new));
        assert_eq!(crowd.seats.lock().unwrap().taken.len(), 9);
        drop(seated);
        assert!(crowd.seats.lock().unwrap().taken.is_empty());
    }

    #[test]
    fn who_is_being_answered_or_has_only_just_been_stays() {
        let (crowd, start) = (Arc::new(Crowd::default()), Instant::now());
        let seated: Vec<Seated> = (0..10).map(|n| crowd.enter(peer(n), ROOM, start).unwrap()).collect();
        let busy: Vec<Busy> = seated.iter().map(|it| it.visit.busy()).collect();
        assert!(crowd.enter(peer(200), ROOM, later(start, 5)).is_none());
        drop(busy);
        assert!(crowd.enter(peer(200), ROOM, Instant::now()).is_none(), "they are still reading");
        assert!(crowd.enter(peer(200), ROOM, later(start, 5)).is_some());
    }

    #[test]
    fn a_peer_with_its_share_makes_room_for_itself() {
        let room = Room { all: 100, each: 5 };
        let (crowd, start) = (Arc::new(Crowd::default()), Instant::now());
        let other = crowd.enter(peer(1), room, start).unwrap();
        // Busy as they come: most of those that rest would be asked to leave.
        let enter = || {
            let seated = crowd.enter(peer(2), room, later(start, 1)).unwrap();
            let busy = seated.visit.busy();
            (seated, busy)
        };
        let (own, busy): (Vec<Seated>, Vec<Busy>) = (0..5).map(|_| enter()).unzip();
        assert!(crowd.enter(peer(2), room, later(start, 9)).is_none());
        drop(busy);
        let _sixth = crowd.enter(peer(2), room, later(start, 9)).unwrap();
        assert!(!told(&other), "it rests longest, and is somebody else's");
        assert!(own.iter().filter(|it| told(it)).count() >= 1);
    }

    #[test]
    fn few_connections_of_a_peer_rest() {
        let room = Room { all: 500, each: 100 };
        let (crowd, start) = (Arc::new(Crowd::default()), Instant::now());
        let enter = |n| crowd.enter(peer(1), room, later(start, n)).unwrap();
        let beginning: Vec<Seated> = (0..60).map(enter).collect();
        assert_eq!(beginning.iter().filter(|it| told(it)).count(), 0, "who begins does not rest");
        drop(beginning);
        let answered = |n| {
            let seated = enter(n);
            drop(seated.visit.busy());
            seated
        };
        let all: Vec<Seated> = (100..200).map(answered).collect();
        assert_eq!(all.iter().filter(|it| told(it)).count(), 100 - 21);
        assert_eq!(crowd.seats.lock().unwrap().taken.len(), 21);
    }
}
