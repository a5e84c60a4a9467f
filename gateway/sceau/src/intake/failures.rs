//! Messages that could not be opened, counted per peer (design §7): who tries many is learning something, or sends
//! under an old certificate. Either way the next ones wait, and a person is called.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use pki::certificate::Certificate;
use trail::{Event, Record};

use crate::{
    gateway::Gateway,
    refusal::{Refusal, RefusalId},
};

/// The time in which they are counted.
const WINDOW: Duration = Duration::from_secs(3600);
/// Peers remembered; all are listed operators, of whom there are some hundreds.
const MOST: usize = 10_000;
/// The alarm.
const ALARM: &str = "many-unreadable-messages";

/// The counts.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<Fingerprint, Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    failed: u32,
}

impl Failures {
    /// Whether another message of this peer may be opened.
    fn is_open(&self, peer: Fingerprint, most: u32, now: Timestamp) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&peer).is_none_or(|count| count.failed < most || now >= count.since.plus(WINDOW))
    }

    /// Counts one; how many there are now.
    fn count(&self, peer: Fingerprint, now: Timestamp) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.retain(|_, count| now < count.since.plus(WINDOW));
        }
        let fresh = Count { since: now, failed: 0 };
        let count = counts.entry(peer).or_insert(fresh);
        if now >= count.since.plus(WINDOW) {
            *count = fresh;
        }
        count.failed = count.failed.saturating_add(1);
        count.failed
    }
}

/// Whether a message of this peer is opened now.
///
/// # Errors
/// [`RefusalId::TooManyUnreadable`].
pub(super) fn may_open(gateway: &Gateway, peer: &Certificate, now: Timestamp) -> Result<(), Refusal> {
    let most = gateway.snapshot().config.limits.unreadable_per_hour;
    if gateway.failures.is_open(peer.fingerprint(), most, now) {
        return Ok(());
    }
    Err(Refusal::new(RefusalId::TooManyUnreadable, format!("{most} messages of {} within an hour", peer.subject())))
}

/// Takes note of a message of this peer that could not be opened.
pub(super) fn not_opened(gateway: &Gateway, peer: &Certificate, now: Timestamp) {
    let most = gateway.snapshot().config.limits.unreadable_per_hour;
    if gateway.failures.count(peer.fingerprint(), now) == most {
        let text =
            format!("{most} messages of {} could not be opened within an hour: its next ones wait", peer.subject());
        tracing::error!(alarm = ALARM, "{text}");
        let event = Event::AlarmRaised { code: ALARM.to_owned(), text: gateway.masker.text(&text) };
        gateway.record(Record::new(now, event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    #[test]
    fn a_peer_waits_for_the_end_of_its_hour() {
        let (failures, [one, other]) = (Failures::default(), [1, 2].map(|n| Fingerprint::new([n; 32])));
        for count in 1..=3 {
            assert!(failures.is_open(one, 3, NOW));
            assert_eq!(failures.count(one, NOW), count);
        }
        assert!(!failures.is_open(one, 3, NOW.plus(WINDOW).minus(Duration::from_secs(1))));
        assert!(failures.is_open(other, 3, NOW));
        assert!(failures.is_open(one, 3, NOW.plus(WINDOW)));
        assert_eq!(failures.count(one, NOW.plus(WINDOW)), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let failures = Failures::default();
        for n in 0..u32::try_from(MOST).unwrap() + 5 {
            let mut octets = [0; 32];
            octets[..4].copy_from_slice(&n.to_be_bytes());
            failures.count(Fingerprint::new(octets), NOW.plus(WINDOW * (n / 5000)));
        }
        assert!(failures.0.lock().unwrap().len() <= MOST);
    }
}
