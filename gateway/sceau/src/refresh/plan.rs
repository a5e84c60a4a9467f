//! When each source is asked next: a pure function of what is remembered, the settings and the time.
//!
//! Three moments count, and the earliest wins: the regular one, which each installation has at another
//! hour; some time before what we hold runs out; and the next try after a failure. Nothing here sleeps.

use std::time::Duration;

use ident::Timestamp;

/// Longest time between tries while a source fails.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Most of the time by which sources of one installation differ.
const SPREAD: Duration = Duration::from_secs(600);
/// Bounds of how long before its end a list's successor is looked for.
const OVERLAP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(12 * 3600));

/// What is remembered of a source, as far as time is concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// When it was last asked.
    pub last_try: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// Dates of what is held of it.
    pub held: Option<(Timestamp, Timestamp)>,
}

/// How a source is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// At least so often.
    pub every: Duration,
    /// First new try after a failure.
    pub retry: Duration,
}

/// When to ask again; not after `now` means at once. `chance` is this installation's own random number
/// and `name` the source's: the same every time, so that plans do not change by being looked at.
pub fn due(past: &Past, pace: Pace, chance: u64, name: &str, now: Timestamp) -> Timestamp {
    let Some(last) = past.last_try.filter(|last| *last <= now) else {
        // Never asked, or the clock was set back: nobody knows how old our news is.
        return now.min(past.last_try.unwrap_or(now));
    };
    let own = mixed(chance, name);
    let regular = next_slot(last, pace.every, chance, own);
    if past.failures > 0 {
        return regular.min(last.plus(back_off(pace.retry, past.failures, own)));
    }
    let Some((this_update, next_update)) = past.held else { return regular };
    let overlap = (next_update.since(this_update).div_f64(10.0)).clamp(OVERLAP.0, OVERLAP.1);
    let early = next_update.minus(overlap).minus(share(overlap, own));
    if last < early {
        return regular.min(early);
    }
    // Within the overlap, or past it: the successor is due and may come at any moment.
    regular.min(last.plus(pace.retry.max(overlap.div_f64(4.0)).min(LONGEST_RETRY)))
}

/// The first moment after `last` that is this installation's own.
fn next_slot(last: Timestamp, every: Duration, chance: u64, own: u64) -> Timestamp {
    let step = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let spread = share(SPREAD.min(every.div_f64(10.0)), own);
    let phase = i64::try_from(share(every, chance).saturating_add(spread).as_millis()).unwrap_or(0);
    let since = last.millis().saturating_sub(phase).rem_euclid(step);
    let wait = step.saturating_sub(since);
    last.plus(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
}

/// Doubled from failure to failure, a quarter more or less by chance.
fn back_off(first: Duration, failures: u32, own: u64) -> Duration {
    let doubled = first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX));
    let wait = doubled.min(LONGEST_RETRY);
    let chance = mixed(own, &failures.to_string());
    wait.saturating_sub(wait.div_f64(4.0)).saturating_add(share(wait.div_f64(2.0), chance))
}

/// A part of `whole`, as large as `chance` says.
fn share(whole: Duration, chance: u64) -> Duration {
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance.checked_rem(millis).unwrap_or(0))
}

/// A number that differs from name to name (FNV-1a, then the end of MurmurHash3): chance, not secrecy.
fn mixed(chance: u64, name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ chance;
    let mut hash = name.bytes().fold(start, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PACE: Pace = Pace { every: HOUR, retry: Duration::from_secs(300) };

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn asked(last: Timestamp) -> Past {
        Past { last_try: Some(last), ..Past::default() }
    }

    #[test]
    fn what_was_never_asked_is_asked_at_once() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(due(&Past::default(), PACE, 7, "a", now), now);
        // A clock that was set back must not keep a source unasked until it has caught up.
        assert!(due(&asked(now.plus(24 * HOUR)), PACE, 7, "a", now) <= now);
    }

    #[test]
    fn each_installation_has_its_own_hour() {
        let now = at("2026-11-22T10:00:00Z");
        let daily = Pace { every: 24 * HOUR, ..PACE };
        let mut hours: Vec<i64> = (0..200u64)
            .map(|n| due(&asked(now), daily, mixed(n, "installation"), "a", now).seconds() / 3600 % 24)
            .collect();
        hours.sort_unstable();
        hours.dedup();
        assert_eq!(hours.len(), 24, "some hour of the day is nobody's");
    }

    #[test]
    fn a_list_is_looked_for_before_it_ends_and_then_more_often() {
        let (from, to) = (at("2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z"));
        let weekly = Pace { every: 24 * 7 * HOUR, ..PACE };
        let held = |last| Past { held: Some((from, to)), ..asked(last) };
        let first = due(&held(from), weekly, 7, "a", from);
        // Overlap is a tenth of the life, and jitter at most as much again.
        assert!(to.minus(5 * HOUR) < first && first < to.minus(2 * HOUR), "{first}");
        let again = due(&held(first), weekly, 7, "a", first);
        assert!(again > first && again.since(first) <= HOUR, "{again}");
        let late = to.plus(HOUR);
        assert!(due(&held(late), weekly, 7, "a", late).since(late) <= HOUR);
    }

    #[test]
    fn failures_are_tried_again_later_and_later() {
        let now = at("2026-11-22T10:00:00Z");
        let daily = Pace { every: 24 * HOUR, ..PACE };
        let wait = |failures| due(&Past { failures, ..asked(now) }, daily, 7, "a", now).since(now);
        assert!(wait(1) >= Duration::from_secs(225) && wait(1) <= Duration::from_secs(375), "{:?}", wait(1));
        assert!(wait(3) > wait(1));
        assert!(wait(60) <= HOUR.mul_f64(1.25) && wait(60) >= HOUR.mul_f64(0.75));
    }

    proptest! {
        /// Whatever is remembered, a source is asked again within the configured time, and never without a pause.
        #[test]
        fn never_later_than_configured(
            chance in any::<u64>(), every in 60u64..86_400, ago in 0u64..200_000, failures in 0u32..100,
            held in proptest::option::of((-1_000_000i64..1_000_000, 0i64..2_000_000)),
        ) {
            let now = at("2026-11-22T10:00:00Z");
            let last = now.minus(Duration::from_secs(ago));
            let held = held.map(|(from, long)| {
                let from = Timestamp::from_seconds(now.seconds() + from);
                (from, Timestamp::from_seconds(from.seconds() + long))
            });
            let pace = Pace { every: Duration::from_secs(every), retry: Duration::from_secs(60) };
            let next = due(&Past { last_try: Some(last), failures, held }, pace, chance, "a", now);
            prop_assert!(next > last);
            prop_assert!(next <= last.plus(pace.every));
            prop_assert_eq!(next, due(&Past { last_try: Some(last), failures, held }, pace, chance, "a", now));
        }
    }
}
