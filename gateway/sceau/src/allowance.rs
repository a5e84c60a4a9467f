//! How much one peer may ask: buckets that fill with time, against whoever would copy the directory by asking. Every
//! face has its own.

mod seen;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use ident::{Fingerprint, Timestamp};

use self::seen::Seen;
use crate::net::places::neighbourhood;

/// Peers whose buckets are kept apart; the others share one. Strangers have more addresses than we have memory.
const MOST: usize = 20_000;

/// Who is counted: whoever proved who they are, else an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// The holder of a certificate of the trust space.
    Known(Fingerprint),
    /// Who proved a name: an account, a certificate that was judged by what it says.
    Named(String),
    /// Whoever comes from there.
    Address(IpAddr),
    /// The same, counted apart: for what is asked before, or beside, a question.
    Beside(Beside, IpAddr),
    /// All those beyond [`MOST`].
    Others,
}

impl Peer {
    /// A peer by its address: an IPv6 network is one.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(neighbourhood(address))
    }

    /// The same, counted apart.
    pub(crate) fn beside(what: Beside, address: IpAddr) -> Self {
        Self::Beside(what, neighbourhood(address))
    }
}

/// What is counted apart from questions, because it costs something, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Beside {
    /// Beginning a connection.
    Handshake,
    /// A certificate that has to be judged.
    Proof,
    /// Style sheets, scripts, and addresses where nothing is.
    File,
}

/// What one peer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Questions in a minute; twice as many at once.
    pub(crate) requests_per_minute: u32,
    /// People, structures, entries that are shown in an hour.
    pub(crate) answers_per_hour: u32,
}

/// One bucket, in thousandths. Below nothing is what was taken beyond it: a page of FHIR shows more than may be left.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: i64,
    at: Timestamp,
}

/// How fast a bucket fills and how much it holds, in thousandths.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: i64,
    size: i64,
}

impl Bucket {
    fn full(rate: Rate, now: Timestamp) -> Self {
        Self { level: rate.size, at: now }
    }

    fn fill(&mut self, rate: Rate, now: Timestamp) {
        // A clock that goes back fills nothing and takes nothing away.
        let passed = i64::try_from(now.since(self.at).as_secs()).unwrap_or(i64::MAX);
        if passed > 0 {
            self.level = self.level.saturating_add(passed.saturating_mul(rate.per_second)).min(rate.size);
            self.at = now;
        }
    }

    /// Whether there is anything in it; else, in how many seconds there will be a request's worth.
    fn wait(&self, rate: Rate, needed: i64) -> Option<u64> {
        if self.level >= needed {
            return None;
        }
        let missing = needed.saturating_sub(self.level).unsigned_abs();
        Some(missing.div_ceil(rate.per_second.max(1).unsigned_abs()).max(1))
    }

    /// Takes from it. What it does not hold is owed, all of it: large pages gain nothing.
    fn take(&mut self, taken: i64) {
        self.level = self.level.saturating_sub(taken);
    }

    fn give_back(&mut self, rate: Rate, given: i64) {
        self.level = self.level.saturating_add(given).min(rate.size);
    }
}

#[derive(Debug, Clone, Copy)]
struct Buckets {
    requests: Bucket,
    answers: Bucket,
}

/// The buckets of all peers.
#[derive(Debug, Default)]
pub(crate) struct Allowances {
    table: Mutex<Table>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Table {
    peers: HashMap<Peer, Buckets>,
    /// When it was last looked through for peers who rest: once a second at most, or looking would be the attack.
    swept: Option<Timestamp>,
}

/// One request, one answer: a thousand thousandths.
const ONE: i64 = 1000;

fn thousandths(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(ONE)
}

impl Allowances {
    /// Takes one request from a peer's allowance.
    ///
    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn ask(&self, peer: &Peer, limits: Allowed, now: Timestamp) -> Result<(), u64> {
        self.reserve(peer, 0, limits, now)
    }

    /// Takes one request, and as many answers as it may be shown: whoever asks a hundred times at once has asked for
    /// a hundred pages. What is not shown is given back ([`Self::give_back`]).
    ///
    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn reserve(&self, peer: &Peer, most: usize, limits: Allowed, now: Timestamp) -> Result<(), u64> {
        let (requests, answers) = rates(limits);
        self.with(peer, limits, now, |buckets| {
            // Nothing left to be shown: whoever has had an hour's worth waits for a page's worth, not for one line.
            let page = ONE.saturating_mul(PAGE).min(answers.size);
            let spent = buckets.answers.level < ONE;
            let worst = buckets.requests.wait(requests, ONE);
            let worst = worst.max(buckets.answers.wait(answers, page).filter(|_| spent));
            match worst {
                Some(seconds) => Err(seconds),
                None => {
                    buckets.requests.take(ONE);
                    buckets.answers.take(thousandths(most));
                    Ok(())
                }
            }
        })
    }

    /// Takes what was shown.
    pub(crate) fn shown(&self, peer: &Peer, answers: usize, limits: Allowed, now: Timestamp) {
        self.with(peer, limits, now, |buckets| buckets.answers.take(thousandths(answers)));
    }

    /// Gives back what was reserved and not shown.
    pub(crate) fn give_back(&self, peer: &Peer, answers: usize, limits: Allowed, now: Timestamp) {
        let (_, rate) = rates(limits);
        self.with(peer, limits, now, |buckets| buckets.answers.give_back(rate, thousandths(answers)));
    }

    /// Gives a request back that turned out to cost nothing.
    pub(crate) fn forgive(&self, peer: &Peer, limits: Allowed, now: Timestamp) {
        let (rate, _) = rates(limits);
        self.with(peer, limits, now, |buckets| buckets.requests.give_back(rate, ONE));
    }

    /// How many of these the peer has not been shown within the hour.
    pub(crate) fn news<'n>(&self, peer: &Peer, shown: impl Iterator<Item = &'n str>, now: Timestamp) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).news(peer, shown, now)
    }

    fn with<T>(&self, peer: &Peer, limits: Allowed, now: Timestamp, what: impl FnOnce(&mut Buckets) -> T) -> T {
        let (requests, answers) = rates(limits);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { peers, swept } = &mut *table;
        if peers.len() >= MOST && !peers.contains_key(peer) && *swept != Some(now) {
            *swept = Some(now);
            // Who asks for nothing has full buckets, which need no memory.
            peers.retain(|_, buckets| {
                buckets.requests.fill(requests, now);
                buckets.answers.fill(answers, now);
                buckets.requests.level < requests.size || buckets.answers.level < answers.size
            });
        }
        let peer = match peers.len() < MOST || peers.contains_key(peer) {
            true => peer.clone(),
            false => Peer::Others,
        };
        let fresh = || Buckets { requests: Bucket::full(requests, now), answers: Bucket::full(answers, now) };
        let buckets = peers.entry(peer).or_insert_with(fresh);
        buckets.requests.fill(requests, now);
        buckets.answers.fill(answers, now);
        what(buckets)
    }
}

/// What a page shows about: come back when there is room for one.
const PAGE: i64 = 20;

/// Requests and answers.
fn rates(limits: Allowed) -> (Rate, Rate) {
    let requests = i64::from(limits.requests_per_minute).saturating_mul(ONE);
    let answers = i64::from(limits.answers_per_hour).saturating_mul(ONE);
    (
        Rate { per_second: requests.saturating_add(59).div_euclid(60), size: requests.saturating_mul(2) },
        Rate { per_second: answers.saturating_add(3599).div_euclid(3600), size: answers },
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Allowed {
        Allowed { requests_per_minute: 60, answers_per_hour: 3600 }
    }

    fn peer(n: u32) -> Peer {
        Peer::at(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_minute_gives_a_minutes_requests() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        let taken = (0..1000).take_while(|_| all.ask(&peer(1), limits, now).is_ok()).count();
        assert_eq!(taken, 120);
        assert_eq!(all.ask(&peer(1), limits, now), Err(1));
        assert_eq!(all.ask(&peer(2), limits, now), Ok(()), "others are served");
        let later = now.plus(Duration::from_secs(10));
        let taken = (0..1000).take_while(|_| all.ask(&peer(1), limits, later).is_ok()).count();
        assert_eq!(taken, 10);
        // A clock that was set back neither gives nor takes.
        assert_eq!(all.ask(&peer(1), limits, now), Err(1));
    }

    #[test]
    fn who_has_been_shown_an_hours_people_waits() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        all.ask(&peer(1), limits, now).unwrap();
        all.shown(&peer(1), 3600, limits, now);
        let wait = all.ask(&peer(1), limits, now).unwrap_err();
        assert_eq!(wait, 20);
        assert_eq!(all.ask(&peer(1), limits, now.plus(Duration::from_secs(wait))), Ok(()));
    }

    #[test]
    fn what_was_shown_beyond_the_allowance_is_owed() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        // One answer is left, and a page of two thousand is asked for: no more than an hour's worth an hour, all in all.
        all.shown(&peer(1), 3599, limits, now);
        all.ask(&peer(1), limits, now).unwrap();
        all.shown(&peer(1), 2000, limits, now);
        let wait = all.ask(&peer(1), limits, now).unwrap_err();
        assert!((1990..=2020).contains(&wait), "{wait}");
        // However deep: what is shown is paid for, one an answer.
        all.shown(&peer(2), 100_000, limits, now);
        let wait = all.ask(&peer(2), limits, now).unwrap_err();
        assert!((96_400..=96_500).contains(&wait), "{wait}");
    }

    /// HT3: a hundred at once are shown no more than one after the other.
    #[test]
    fn who_asks_many_times_at_once_has_asked_for_as_many_pages() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        let under_way = (0..100).filter(|_| all.reserve(&peer(1), 500, limits, now).is_ok()).count();
        assert_eq!(under_way, 8, "3600 answers are seven pages and a part");
        for _ in 0..under_way {
            all.give_back(&peer(1), 300, limits, now);
        }
        let again = (0..100).filter(|_| all.reserve(&peer(1), 500, limits, now).is_ok()).count();
        assert_eq!(again, 4, "what was not shown is there again: 2000 are left");
        all.give_back(&peer(1), usize::MAX, limits, now);
        assert!(all.ask(&peer(1), limits, now).is_ok());
        all.shown(&peer(1), 3600, limits, now);
        assert!(all.ask(&peer(1), limits, now).is_err(), "a bucket holds no more than it holds");
    }

    #[test]
    fn what_is_counted_apart_takes_nothing_from_questions() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        let at = IpAddr::from([10, 0, 0, 1]);
        for what in [Beside::Handshake, Beside::Proof, Beside::File] {
            let peer = Peer::beside(what, at);
            assert_eq!((0..1000).filter(|_| all.ask(&peer, limits, now).is_ok()).count(), 120, "{what:?}");
            all.forgive(&peer, limits, now);
            assert_eq!((0..1000).filter(|_| all.ask(&peer, limits, now).is_ok()).count(), 1, "{what:?}");
        }
        assert!(all.ask(&Peer::at(at), limits, now).is_ok());
    }

    #[test]
    fn strangers_beyond_count_share_one_bucket() {
        let (all, limits, now) = (Allowances::default(), limits(), Timestamp::from_seconds(1_000_000));
        for n in 0..30_000 {
            let _ = all.ask(&peer(n), limits, now);
        }
        assert!(all.table.lock().unwrap().peers.len() <= MOST + 1);
        assert!(all.ask(&peer(40_000), limits, now).is_err(), "the shared bucket is empty");
        // Once they rest, they are forgotten.
        let later = now.plus(Duration::from_secs(3600));
        assert!(all.ask(&peer(40_000), limits, later).is_ok());
        assert!(all.table.lock().unwrap().peers.len() <= 2);
    }
}
