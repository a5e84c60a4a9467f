//! What an operator must look at: sources that fail for long, lists past their date. Said once when it
//! begins and once when it is over, in log and trail; the present state is what `doctor` shows.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ident::Timestamp;
use trail::{Event, Record};

use super::journal::Journal;
use crate::{gateway::Gateway, snapshot::Snapshot};

/// A source gives nothing for longer than configured.
const FAILING: &str = "refresh-failing";
/// A list is past its date and counts within the grace only.
const GRACE: &str = "revocation-grace";
/// A list is past its date and the grace: what it does not name is undetermined.
const STALE: &str = "revocation-stale";

/// What stands, by code and subject.
pub(super) type Standing = BTreeMap<(&'static str, String), Trouble>;

/// What is wrong with one subject.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) words: String,
    /// Whose data is used beyond its date, and until when.
    grace: Option<(String, Timestamp)>,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Alarms(Mutex<Standing>);

/// Everything that is not as it should be.
pub(super) fn standing(snapshot: &Snapshot, journal: &Journal, at: Timestamp) -> Standing {
    let mut out = Standing::new();
    let patience = snapshot.config.refresh.alarm_after.0;
    for (name, entry) in &journal.sources {
        let Some(since) = entry.failing_since.filter(|since| at.since(*since) >= patience) else { continue };
        let why = entry.error.as_deref().unwrap_or("no answer");
        out.insert((FAILING, name.clone()), Trouble { words: format!("nothing since {since}: {why}"), grace: None });
    }
    let lists = snapshot.validator.revocation_lists();
    let newest = |it: &pki::crl::RevocationList| {
        !lists.iter().any(|other| other.digest() != it.digest() && other.may_follow(it) && !it.may_follow(other))
    };
    for list in lists.iter().filter(|list| list.next_update() < at && newest(list)) {
        let until = list.next_update().plus(snapshot.config.trust.grace.0);
        let issuer = list.issuer().to_string();
        let (code, grace) = if at <= until { (GRACE, Some((issuer.clone(), until))) } else { (STALE, None) };
        let what = if list.is_delta() { "changes to the list of" } else { "the list of" };
        let words = format!("{what} {issuer} ended {}", list.next_update());
        out.insert((code, format!("{issuer} {}", list.digest())), Trouble { words, grace });
    }
    out
}

impl Alarms {
    /// Says what began and what is over since the last look.
    pub(super) fn look(&self, gateway: &Gateway, now: Standing) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = |event| gateway.record(Record::new(gateway.now(), event));
        for (code, subject) in said.keys().filter(|key| !now.contains_key(*key)) {
            tracing::info!(alarm = code, subject, "the alarm is over");
            // The trail knows codes only: over is over for all subjects.
            if !now.keys().any(|(other, _)| other == code) {
                record(Event::AlarmCleared { code: (*code).to_owned() });
            }
        }
        for ((code, subject), Trouble { words, grace }) in now.iter().filter(|(key, _)| !said.contains_key(*key)) {
            tracing::error!(alarm = code, subject, words, "revocation data needs a look");
            let text = gateway.masker.text(&format!("{subject}: {words}"));
            record(Event::AlarmRaised { code: (*code).to_owned(), text });
            if let Some((issuer, until)) = grace {
                record(Event::RevocationGrace { issuer: gateway.masker.text(issuer), until: *until });
            }
        }
        *said = now;
    }
}
