//! When to try again, when to tell the sender, when to give up.

use std::time::Duration;

use ident::Timestamp;

/// The retry plan. Pure: the same question has the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Wait after the first attempt.
    pub first: Duration,
    /// Longest wait.
    pub cap: Duration,
    /// Each wait is this many percent of the one before.
    pub growth_percent: u32,
    /// Up to this many percent are added, by the message's seed, so that what failed together does
    /// not come back together (QU4).
    pub jitter_percent: u32,
    /// How long a message may live.
    pub lifetime: Duration,
    /// Ages at which the sender is told that it is delayed (DS14).
    pub notices: Vec<Duration>,
}

impl Default for Schedule {
    /// 5 minutes growing by half to 67 minutes; 5 days; notices after 1 hour and 4 hours.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5 * 60),
            cap: Duration::from_secs(67 * 60),
            growth_percent: 150,
            jitter_percent: 15,
            lifetime: Duration::from_secs(5 * 24 * 3600),
            notices: vec![Duration::from_secs(3600), Duration::from_secs(4 * 3600)],
        }
    }
}

impl Schedule {
    /// When a message accepted now expires.
    pub fn expires(&self, accepted: Timestamp) -> Timestamp {
        accepted.plus(self.lifetime)
    }

    /// The wait after attempt number `attempts` (1 = the first). Never shorter than the one before
    /// for the same seed (QU9), never longer than the cap.
    pub fn wait(&self, attempts: u32, seed: u64) -> Duration {
        let cap = millis(self.cap);
        let mut wait = millis(self.first).min(cap);
        for _ in 1..attempts {
            if wait >= cap {
                break;
            }
            wait = percent(wait, self.growth_percent.max(100)).min(cap);
        }
        // One share for all waits of a message keeps them in order.
        let share = u64::from(self.jitter_percent).saturating_mul(mix(seed) >> 32) >> 32;
        let extra = percent(wait, u32::try_from(share).unwrap_or(0));
        Duration::from_millis(wait.saturating_add(extra).min(cap))
    }

    /// When to try again after attempt number `attempts`, which ended now.
    pub fn next(&self, attempts: u32, seed: u64, now: Timestamp, expires: Timestamp) -> Timestamp {
        now.plus(self.wait(attempts, seed)).min(expires)
    }

    /// Whether a delay notice is due now for a message of which `sent` notices were written.
    pub fn notice_due(&self, accepted: Timestamp, now: Timestamp, sent: u8) -> bool {
        let reached = self.notices.iter().filter(|age| now.since(accepted) >= **age).count();
        reached > usize::from(sent)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn percent(value: u64, percent: u32) -> u64 {
    let product = u128::from(value).saturating_mul(u128::from(percent)) / 100;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Spreads neighbouring seeds (the finaliser of SplitMix64).
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_grow_from_five_minutes_to_the_cap() {
        let schedule = Schedule { jitter_percent: 0, ..Schedule::default() };
        let minutes: Vec<_> = (1..10).map(|n| schedule.wait(n, 0).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 7, 11, 16, 25, 37, 56, 67, 67]);
        assert_eq!(schedule.wait(u32::MAX, 0), schedule.cap);
    }

    #[test]
    fn messages_that_failed_together_spread() {
        let schedule = Schedule::default();
        let mut waits: Vec<_> = (0..1000).map(|seed| schedule.wait(1, seed).as_secs()).collect();
        waits.sort_unstable();
        assert!(waits[0] >= 300 && waits[999] <= 345, "{} {}", waits[0], waits[999]);
        assert!(waits[900] - waits[100] >= 25, "spread over most of the 45 seconds");
    }

    #[test]
    fn notices_after_one_and_four_hours() {
        let schedule = Schedule::default();
        let accepted = Timestamp::from_seconds(1_000_000);
        let after = |minutes: u64| accepted.plus(Duration::from_secs(minutes * 60));
        assert!(!schedule.notice_due(accepted, after(59), 0));
        assert!(schedule.notice_due(accepted, after(60), 0));
        assert!(!schedule.notice_due(accepted, after(239), 1));
        assert!(schedule.notice_due(accepted, after(240), 1));
        assert!(!schedule.notice_due(accepted, after(10_000), 2));
        assert!(!schedule.notice_due(accepted, Timestamp::EPOCH, 0), "the clock went back (CR6)");
    }

    proptest! {
        #[test]
        fn waits_never_shrink(seed: u64, first in 1u64..10_000_000, cap in 1u64..10_000_000, growth in 0u32..1000, jitter in 0u32..200) {
            let schedule = Schedule {
                first: Duration::from_millis(first),
                cap: Duration::from_millis(cap),
                growth_percent: growth,
                jitter_percent: jitter,
                ..Schedule::default()
            };
            let waits: Vec<_> = (1..60).map(|n| schedule.wait(n, seed)).collect();
            prop_assert!(waits.is_sorted());
            prop_assert!(waits.iter().all(|wait| *wait <= schedule.cap && *wait > Duration::ZERO));
        }

        #[test]
        fn never_beyond_expiry(attempts: u32, seed: u64, now in 0i64..1_000_000_000, life in 0i64..1_000_000_000) {
            let expires = Timestamp::from_millis(now + life);
            prop_assert!(Schedule::default().next(attempts, seed, Timestamp::from_millis(now), expires) <= expires);
        }
    }
}
