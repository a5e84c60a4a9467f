//! Our mailboxes are made known as they are opened, changed, hidden and closed. What is to be said follows from the
//! registry and from what was said: nothing waits in a queue that could be lost.
//!
//! It has its own task and its own thread while it speaks; the mail waits for nothing here.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use annuaire::Registry;
use ident::Timestamp;
use tokio::{runtime::Handle, sync::watch};

use crate::{
    config::PublishTo,
    gateway::Gateway,
    health,
    publisher::{Extent, Memory, SWEEP, Told},
    refresh::plan::{self, Pace, Past},
};

/// How often it is looked whether there is something to say.
const LOOK: Duration = Duration::from_millis(500);
/// Until it is looked again whether somebody who publishes by hand is done.
const BUSY: Duration = Duration::from_secs(5);
/// After so many failures the time between tries grows no more.
const MOST_FAILURES: u32 = 4;
/// The alarm of a directory that does not take what is said.
const FAILING: &str = "publication-failing";
/// The alarm of many mailboxes that a registry no longer names.
const HELD: &str = "publication-held";

/// Says what is to be said until `stopping` turns true.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut sayer = Sayer::default();
    while !*stopping.borrow() {
        sayer.round(&gateway, &stopping).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

#[derive(Default)]
struct Sayer {
    /// The registries of which everything was said or tried, and where, by their digests.
    said: Option<BTreeSet<String>>,
    past: Past,
    swept: Option<Timestamp>,
    /// What cannot be said, since when, and why.
    failing: Option<(Timestamp, String)>,
    held: Option<String>,
    busy_until: Option<Timestamp>,
    alarms: [Option<&'static str>; 2],
}

/// What a turn came to.
enum Turn {
    /// What was said and what was not.
    Said(Told),
    /// Nothing could be said at all.
    Failed(String),
    /// Somebody publishes by hand: that is no failure, and over some time.
    Busy,
    /// The gateway stops.
    Stopping,
}

impl Sayer {
    async fn round(&mut self, gateway: &Arc<Gateway>, stopping: &watch::Receiver<bool>) {
        let snapshot = gateway.snapshot();
        let Some(there) = snapshot.config.annuaire.publish.as_ref().map(|it| gateway.publish_to(it)) else {
            (self.failing, self.held, self.said) = (None, None, None);
            return self.alarm(gateway, Duration::ZERO);
        };
        let registries = snapshot.domains.values().map(|own| own.registry.digest());
        let today: BTreeSet<String> = registries.chain([there.base()]).map(str::to_owned).collect();
        drop(snapshot);
        let now = gateway.now();
        let busy = self.busy_until.is_some_and(|until| now < until);
        if !busy && (self.said.as_ref() != Some(&today) || self.is_due(there.retry.0, now)) {
            self.busy_until = None;
            match turn(gateway, there.clone(), now, stopping.clone()).await {
                Turn::Said(told) => self.take(told, today, there.base(), now),
                Turn::Failed(why) => self.failed(why, today, now),
                Turn::Busy => self.busy_until = Some(now.plus(BUSY)),
                Turn::Stopping => return,
            }
        }
        self.alarm(gateway, there.alarm_after.0);
    }

    /// Whether what failed is tried again, or everything asked about once more.
    fn is_due(&self, retry: Duration, now: Timestamp) -> bool {
        let failing = self.failing.is_some() || self.held.is_some();
        let again = failing && plan::due(&self.past, Pace { every: SWEEP, retry }, 0, "publish", now) <= now;
        again || self.swept.is_some_and(|last| now.since(last) >= SWEEP)
    }

    fn failed_again(&self, now: Timestamp) -> Past {
        Past { last_try: Some(now), failures: self.past.failures.saturating_add(1).min(MOST_FAILURES), held: None }
    }

    fn failed(&mut self, why: String, today: BTreeSet<String>, now: Timestamp) {
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, why));
        self.past = self.failed_again(now);
        self.said = Some(today);
    }

    fn take(&mut self, told: Told, today: BTreeSet<String>, base: &str, now: Timestamp) {
        for sent in &told.sent {
            tracing::info!(address = sent.address, done = sent.done.word(), to = base, "mailbox made known");
        }
        let first = told.failed.first().map(|it| format!("{}: {}", it.address, it.why));
        let count = told.failed.len();
        self.failing = first.map(|why| (told.failing_since.unwrap_or(now), format!("{count} mailbox(es); {why}")));
        self.held = told.held.map(|count| format!("{count} mailboxes"));
        let trouble = self.failing.is_some() || self.held.is_some();
        let well = Past { last_try: Some(now), ..Past::default() };
        self.past = if trouble { self.failed_again(now) } else { well };
        self.swept = told.swept;
        // The turn was over before everything was said: on with the next one.
        self.said = (told.left == 0 || told.given_up).then_some(today);
    }

    fn alarm(&mut self, gateway: &Gateway, after: Duration) {
        let [failing, holding] = self.alarms;
        let now = gateway.now();
        let failed = self.failing.clone().filter(|(since, _)| now.since(*since) >= after);
        let failed = failed.map(|(since, why)| (FAILING, format!("since {since}: {why}")));
        let what = "mailboxes could not be made known: see `sceau annuaire publish --status`";
        let many =
            "mailboxes left the registry and would be closed there: `sceau annuaire publish --accept` if that is meant";
        self.alarms = [
            health::tell(gateway, failing, failed, what),
            health::tell(gateway, holding, self.held.clone().map(|why| (HELD, why)), many),
        ];
    }
}

/// Says what is due, on a thread that carries no mail.
async fn turn(gateway: &Arc<Gateway>, there: PublishTo, now: Timestamp, mut stopping: watch::Receiver<bool>) -> Turn {
    let (gateway, runtime) = (Arc::clone(gateway), Handle::current());
    let turn = tokio::task::spawn_blocking(move || {
        let snapshot = gateway.snapshot();
        let own = Registry::union(snapshot.domains.values().map(|own| &*own.registry));
        let memory = Memory::of(&gateway.data(), there.base());
        let publisher = match there.publisher(&snapshot.validator, now, false) {
            Ok(publisher) => publisher,
            Err(problem) => return Turn::Failed(problem.to_string()),
        };
        runtime.block_on(async {
            tokio::select! {
                told = publisher.run(&own, &memory, Extent::Due, false) => match told {
                    Ok(told) => Turn::Said(told),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Busy,
                    Err(error) => Turn::Failed(error.to_string()),
                },
                _ = stopping.wait_for(|stopping| *stopping) => Turn::Stopping,
            }
        })
    });
    turn.await.unwrap_or_else(|error| Turn::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Failed;

    const AT: Timestamp = Timestamp::from_seconds(1_796_000_000);
    const RETRY: Duration = Duration::from_secs(60);

    fn today() -> BTreeSet<String> {
        BTreeSet::from(["one".to_owned()])
    }

    fn failed(since: Timestamp) -> Told {
        let failed = vec![Failed { address: "a@ch-exemple.test".to_owned(), why: "away".to_owned() }];
        Told { failed, failing_since: Some(since), swept: Some(AT), ..Told::default() }
    }

    /// REG-4.
    #[test]
    fn what_fails_is_tried_again_ever_more_seldom_until_it_holds() {
        let mut sayer = Sayer::default();
        let (mut now, mut waits) = (AT, Vec::new());
        for _ in 0..4 {
            sayer.take(failed(AT), today(), "there", now);
            assert_eq!(sayer.said, Some(today()));
            let wait = (1..).find(|wait| sayer.is_due(RETRY, now.plus(Duration::from_secs(*wait)))).unwrap();
            now = now.plus(Duration::from_secs(wait));
            waits.push(wait);
        }
        assert!((45..=75).contains(&waits[0]) && waits.windows(2).all(|two| two[1] > two[0]), "{waits:?}");
        assert_eq!(sayer.failing.as_ref().unwrap().0, AT, "since the first failure");
        sayer.failed("no certificate".to_owned(), today(), now);
        assert_eq!(sayer.failing.as_ref().unwrap().0, AT);
        sayer.take(Told { swept: Some(now), ..Told::default() }, today(), "there", now);
        assert!(sayer.failing.is_none() && !sayer.is_due(RETRY, now.plus(SWEEP / 2)));
        assert!(sayer.is_due(RETRY, now.plus(SWEEP)), "others may have changed it there");
    }

    /// REG-4.
    #[test]
    fn a_turn_that_is_over_before_everything_is_said_has_another_unless_nobody_answers() {
        let mut sayer = Sayer::default();
        sayer.take(Told { left: 7, ..Told::default() }, today(), "there", AT);
        assert_eq!(sayer.said, None);
        sayer.take(Told { left: 7, given_up: true, ..failed(AT) }, today(), "there", AT);
        assert_eq!(sayer.said, Some(today()));
        sayer.take(Told { held: Some(9), ..Told::default() }, today(), "there", AT);
        assert!(sayer.held.is_some() && sayer.is_due(RETRY, AT.plus(RETRY * 2)), "the operator may have said yes");
    }
}
