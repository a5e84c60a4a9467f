//! Who was shown to whom lately: to be shown the same colleague at every letter that one types is no copying.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    time::Duration,
};

use ident::Timestamp;

use super::Peer;

/// How long somebody is remembered, at least; at most twice as long.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);
/// Most that are remembered of one half hour. Where they are more the half hour is shorter, and who types is counted
/// again sooner: octets are bounded, and no count is ever too small.
const MOST: usize = 500_000;

/// Who was shown to whom, as keyed digests of both.
#[derive(Debug, Default)]
pub(super) struct Seen {
    key: RandomState,
    young: HashSet<u64>,
    old: HashSet<u64>,
    turned: Option<Timestamp>,
}

impl Seen {
    /// How many of these the peer has not been shown lately; from now on it has.
    pub(super) fn news<'n>(&mut self, peer: &Peer, shown: impl Iterator<Item = &'n str>, now: Timestamp) -> usize {
        let due = self.turned.is_none_or(|turned| now.since(turned) >= REMEMBERED);
        if due || self.young.len() >= MOST {
            self.turned = Some(now);
            self.old = std::mem::take(&mut self.young);
        }
        let mut news = 0usize;
        for one in shown {
            let mark = self.key.hash_one((peer, one));
            if self.young.insert(mark) && !self.old.contains(&mark) {
                news = news.saturating_add(1);
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_news_once_per_peer_and_hour() {
        let (mut seen, now) = (Seen::default(), Timestamp::from_seconds(1_000_000));
        let peer = |n: u8| Peer::at([10, 0, 0, n].into());
        let after = |minutes: u64| now.plus(Duration::from_secs(60 * minutes));
        assert_eq!(seen.news(&peer(1), ["a", "b", "a"].into_iter(), now), 2);
        assert_eq!(seen.news(&peer(1), ["b", "c"].into_iter(), now), 1);
        assert_eq!(seen.news(&peer(2), ["a", "b"].into_iter(), now), 2, "each has seen what they have seen");
        assert_eq!(seen.news(&peer(1), ["a"].into_iter(), after(31)), 0);
        assert_eq!(seen.news(&peer(1), ["b"].into_iter(), after(62)), 1, "an hour later it is news again");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut seen, now) = (Seen::default(), Timestamp::from_seconds(1_000_000));
        let (peer, one) = (Peer::at([10, 0, 0, 1].into()), Peer::at([10, 0, 0, 2].into()));
        for n in 0..1_200 {
            let names: Vec<String> = (0..1000).map(|m| format!("{n}/{m}")).collect();
            assert_eq!(seen.news(&peer, names.iter().map(String::as_str), now), 1000);
        }
        assert!(seen.young.len() <= MOST + 1000 && seen.old.len() <= MOST + 1000);
        assert_eq!(seen.news(&one, ["a"].into_iter(), now), 1);
        assert_eq!(seen.news(&one, ["a"].into_iter(), now), 0, "whoever types is remembered all the same");
    }
}
