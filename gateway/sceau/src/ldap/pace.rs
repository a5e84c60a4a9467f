//! How many messages of a connection are read in a second: what else is said than searches costs something, too.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::LdapLimits;

/// Messages that are read in a second at least, and twice as many as searches are allowed where that is more.
const MESSAGES: u64 = 500;

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    /// Messages in a second.
    most: u64,
    /// When this second began, and how many messages had been read by then.
    second: (Instant, u64),
}

impl Pace {
    /// Of a connection that begins now.
    pub(super) fn new(limits: &LdapLimits, now: Instant) -> Self {
        Self { most: u64::from(limits.searches).div_euclid(30).max(MESSAGES), second: (now, 0) }
    }

    /// Until when nothing more is read, of who said too much in a second; `read`: messages that were read in all.
    pub(super) fn rests_until(&mut self, now: Instant, read: u64) -> Option<Instant> {
        let (began, before) = self.second;
        let next = began.checked_add(Duration::from_secs(1)).unwrap_or(began);
        if now >= next {
            self.second = (now, read);
            return None;
        }
        (read.saturating_sub(before) > self.most).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beyond_a_seconds_worth_waits_for_the_next() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace::new(&LdapLimits::default(), start);
        assert_eq!(pace.rests_until(start, 500), None);
        assert_eq!(pace.rests_until(start + second / 2, 501), Some(start + second));
        // The second is over: it begins anew, with what was read by then.
        assert_eq!(pace.rests_until(start + second, 501), None);
        assert_eq!(pace.rests_until(start + second, 1001), None);
        assert_eq!(pace.rests_until(start + second, 1002), Some(start + second * 2));
        // Who was silent saves nothing up.
        assert_eq!(pace.rests_until(start + second * 60, 1002), None);
        assert_eq!(pace.rests_until(start + second * 60, 1503), Some(start + second * 61));
    }

    #[test]
    fn who_may_search_more_may_say_more() {
        let limits = LdapLimits { searches: 60_000, ..LdapLimits::default() };
        let now = Instant::now();
        let mut pace = Pace::new(&limits, now);
        assert_eq!(pace.rests_until(now, 2000), None, "twice a thousand in a second");
        assert!(pace.rests_until(now, 2001).is_some());
    }
}
