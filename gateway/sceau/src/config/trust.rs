//! What an operator may say about changes of the trust list.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Span, Trust};

/// Longest age of a list without an alarm: publication stood still for ten days once, and somebody must
/// have looked by then.
const MAX_ALARM_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest time that the mail of struck-off domains may wait: the sender must know in time to do otherwise.
const MAX_WAIT: Duration = Duration::from_secs(72 * 3600);

/// Longest exception from the list.
const MAX_BREAK_GLASS: Duration = Duration::from_secs(72 * 3600);

/// When the loss of domains is abnormal, and how long mail waits then. Trust ends at once in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shrinkage {
    /// Abnormal from this share of the domains, lost within a day (percent).
    pub percent: u64,
    /// And at least so many domains: in a small space one of three may leave.
    pub least: u64,
    /// How long the mail of these domains waits before it is refused.
    pub wait: Span,
}

impl Default for Shrinkage {
    fn default() -> Self {
        Self { percent: 1, least: 5, wait: Span(Duration::from_secs(24 * 3600)) }
    }
}

/// Somebody who may, together with another one, trust whom the list does not name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// Name for the trail.
    pub name: String,
    /// PEM file of the certificate that their signature is checked with.
    pub certificate: PathBuf,
}

/// What is contradictory or unsafe in `trust`.
pub(super) fn faults(found: &mut Vec<String>, trust: &Trust) {
    let none = Duration::ZERO;
    if trust.alarm_after.0 == none || trust.alarm_after.0 > MAX_ALARM_AFTER {
        found.push(format!(
            "trust.alarm_after must be longer than nothing and at most {} h: an old list names who has left since",
            Span(MAX_ALARM_AFTER).hours()
        ));
    }
    if trust.break_glass_longest.0 == none || trust.break_glass_longest.0 > MAX_BREAK_GLASS {
        found.push(format!(
            "trust.break_glass_longest must be longer than nothing and at most {} h: whoever stays is to be on the list",
            Span(MAX_BREAK_GLASS).hours()
        ));
    }
    let shrinkage = trust.shrinkage;
    if shrinkage.percent == 0 || shrinkage.percent > 100 || shrinkage.least == 0 {
        found.push("trust.shrinkage: `percent` is from 1 to 100, `least` at least 1".to_owned());
    }
    if shrinkage.wait.0 == none || shrinkage.wait.0 > MAX_WAIT {
        found.push(format!(
            "trust.shrinkage.wait must be longer than nothing and at most {} h: senders must hear in time that their \
             mail does not arrive",
            Span(MAX_WAIT).hours()
        ));
    }
}
