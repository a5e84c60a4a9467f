//! What is remembered of the trust list beyond the list itself.

use std::{sync::Arc, time::Duration};

use ident::{Domain, Fingerprint, Timestamp};
use pki::{
    certificate::Certificate,
    trust_list::{OperatorName, TrustList, TrustListDiff},
};
use serde::{Deserialize, Serialize};

use crate::config::Shrinkage;

/// How long losses are counted together: a list that shrinks a little each hour has shrunk.
const COUNTED_TOGETHER: Duration = Duration::from_secs(24 * 3600);

/// The facts that outlive a restart beside the list as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// SHA-256 of the list in force.
    pub digest: Fingerprint,
    /// Its date: no list of an earlier one is ever in force again (WL-10).
    pub generated: Timestamp,
    /// When it took effect here.
    pub accepted: Timestamp,
    /// What lists took away lately.
    pub struck: Vec<Struck>,
}

/// Operators that lately lost a domain, and whether that was one loss among too many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Struck {
    /// The domain.
    pub domain: Domain,
    /// Who spoke for it before and does no longer, as the list wrote it.
    pub operators: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// Mail waits until then, because the list shrank abnormally.
    pub waits_until: Option<Timestamp>,
}

impl Struck {
    /// Whether a certificate's subject is one of the operators that were taken away.
    pub fn names(&self, certificate: &Certificate) -> bool {
        let matches = |name: &String| OperatorName::parse(name).is_ok_and(|name| name.matches(certificate.subject()));
        self.operators.iter().any(matches)
    }
}

/// The list in force with what is remembered about it.
#[derive(Debug, Clone)]
pub struct Held {
    /// The list.
    pub list: Arc<TrustList>,
    /// What is remembered.
    pub memory: Memory,
    /// What is not as it should be, for the alarms: (stable code, words).
    pub troubles: Vec<(&'static str, String)>,
    /// What a list brought that is not on the shelf yet.
    pub fresh: Option<Arc<Fresh>>,
}

/// A list that has just been accepted.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The file as received.
    pub xml: Vec<u8>,
    /// What it changes. Everything is new to a gateway that had no list.
    pub diff: TrustListDiff,
    /// It took too much away: mail to and from what was struck off waits.
    pub shrunk: bool,
}

impl Memory {
    /// Of the first list ever.
    pub fn first(list: &TrustList, at: Timestamp) -> Self {
        Self { digest: list.digest(), generated: list.generated(), accepted: at, struck: Vec::new() }
    }

    /// After `list` took the place of the one remembered here. Says also whether the losses of the last
    /// day together are abnormal: then all of them wait, each from its own moment.
    pub fn after(&self, list: &TrustList, diff: &TrustListDiff, limits: Shrinkage, at: Timestamp) -> (Self, bool) {
        let mut struck: Vec<Struck> = self.struck.iter().filter_map(|loss| loss.left_after(list, at)).collect();
        for loss in diff.losses() {
            // Several losses of one domain are one entry, with the time of the latest.
            let earlier = struck.iter().position(|known| known.domain == loss.domain).map(|at| struck.swap_remove(at));
            let mut operators = earlier.map(|known| known.operators).unwrap_or_default();
            operators.extend(loss.lost.iter().map(ToString::to_string));
            struck.push(Struck { domain: loss.domain.clone(), operators, at, waits_until: None });
        }
        struck.sort_by(|a, b| a.domain.cmp(&b.domain));
        let recent = struck.iter().filter(|loss| at.since(loss.at) < COUNTED_TOGETHER).count();
        // Of what there was before them: those that are gone are not in the list before any more.
        let gone_earlier = self.struck.iter().filter(|loss| !list.lists(&loss.domain)).count();
        let whole = count(diff.before).saturating_add(count(gone_earlier));
        let abnormal = count(recent) >= limits.least
            && count(recent).saturating_mul(100) >= whole.saturating_mul(limits.percent)
            && diff.losses().next().is_some();
        if abnormal {
            for loss in struck.iter_mut().filter(|loss| loss.waits_until.is_none()) {
                loss.waits_until = Some(loss.at.plus(limits.wait.0));
            }
        }
        let memory = Self { digest: list.digest(), generated: list.generated(), accepted: at, struck };
        (memory, abnormal)
    }
}

impl Struck {
    /// What is still lost under a newer list; nothing once it counts for nothing any more.
    fn left_after(&self, list: &TrustList, at: Timestamp) -> Option<Self> {
        let now = list.operators(&self.domain);
        let back = |name: &String| OperatorName::parse(name).is_ok_and(|name| now.contains(&name));
        let operators: Vec<String> = self.operators.iter().filter(|name| !back(name)).cloned().collect();
        let over = at.since(self.at) >= COUNTED_TOGETHER && self.waits_until.is_none_or(|until| until <= at);
        (!operators.is_empty() && !over).then(|| Self { operators, ..self.clone() })
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
