//! Messages that could not be opened, counted per peer (design §7): who tries many is learning something, or sends
//! under an old certificate. Either way the next ones wait, and a person is called.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ident::{Address, Timestamp};
use pki::certificate::Certificate;
use trail::{Event, Record};

use crate::{
    gateway::Gateway,
    refusal::{Refusal, RefusalId},
};

/// The time in which they are counted.
const WINDOW: Duration = Duration::from_secs(3600);
/// Counts kept before those of past hours are forgotten. Their number stays bounded: peers are listed operators, and
/// each fails ten times its authors' limit within an hour at most.
const MOST: usize = 10_000;
/// The alarm.
const ALARM: &str = "many-unreadable-messages";

/// The counts.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    failed: u32,
}

impl Failures {
    /// Whether another message of this peer may be opened.
    fn is_open(&self, who: &str, most: u32, now: Timestamp) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(who).is_none_or(|count| count.failed < most || now >= count.since.plus(WINDOW))
    }

    /// Counts one; how many there are now.
    fn count(&self, who: &str, now: Timestamp) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.retain(|_, count| now < count.since.plus(WINDOW));
        }
        let fresh = Count { since: now, failed: 0 };
        let count = counts.entry(who.to_owned()).or_insert(fresh);
        if now >= count.since.plus(WINDOW) {
            *count = fresh;
        }
        count.failed = count.failed.saturating_add(1);
        count.failed
    }
}

/// The two who are counted, each with its limit: the author as this peer names it, so that one mailbox does not
/// silence its operator, and the peer itself, which may name many.
fn counted(gateway: &Gateway, peer: &Certificate, from: &Address) -> [(String, u32); 2] {
    let most = gateway.snapshot().config.limits.unreadable_per_hour;
    let fingerprint = peer.fingerprint();
    [(format!("{fingerprint} {}", from.key()), most), (fingerprint.to_string(), most.saturating_mul(10))]
}

/// Whether an encrypted message of this author and peer is opened now.
///
/// # Errors
/// [`RefusalId::TooManyUnreadable`].
pub(super) fn may_open(gateway: &Gateway, peer: &Certificate, from: &Address, now: Timestamp) -> Result<(), Refusal> {
    for (who, most) in counted(gateway, peer, from) {
        if !gateway.failures.is_open(&who, most, now) {
            let cause = format!("{most} messages of {from} or {} within an hour", peer.subject());
            return Err(Refusal::new(RefusalId::TooManyUnreadable, cause));
        }
    }
    Ok(())
}

/// Takes note of a message that could not be opened.
pub(super) fn not_opened(gateway: &Gateway, peer: &Certificate, from: &Address, now: Timestamp) {
    for (who, most) in counted(gateway, peer, from) {
        if gateway.failures.count(&who, now) == most {
            let operator = peer.subject();
            let text =
                format!("{most} messages by way of {operator} could not be opened within an hour: the next ones wait");
            tracing::error!(alarm = ALARM, "{text}");
            let event = Event::AlarmRaised { code: ALARM.to_owned(), text: gateway.masker.text(&text) };
            gateway.record(Record::new(now, event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    #[test]
    fn a_peer_waits_for_the_end_of_its_hour() {
        let (failures, [one, other]) = (Failures::default(), ["one", "other"]);
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
            failures.count(&n.to_string(), NOW.plus(WINDOW * (n / 5000)));
        }
        assert!(failures.0.lock().unwrap().len() <= MOST);
    }
}
