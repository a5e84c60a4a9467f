//! Delivery: takes due work from the queue, tries it, and writes down what came of it.
//!
//! One dispatcher claims; each piece of work is a task of its own; all outcomes of an attempt,
//! its trail records and the notification that follows from it are one transaction.

mod busy;
mod feed;
mod inner;
mod notify;
mod outcome;
pub mod probe;
mod relay;
mod route;
mod sessions;
mod stapled;
pub(crate) mod stops;
mod talk;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ident::Timestamp;
use store::{Changes, ClaimRequest, Destination, Store, StoreError, Work};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};
use trail::{Event, Record};

pub use outcome::{Attempt, End};
pub use relay::still_reads;

use self::{busy::Busy, route::Routes, sessions::Sessions};
use crate::{gateway::Gateway, quarantine};

/// How long a piece of work is ours; longer than any single attempt may take.
const LEASE: Duration = Duration::from_secs(30 * 60);
/// One attempt with all its waits; the watchdog that keeps a hanging peer from holding work (QU6).
const ATTEMPT: Duration = Duration::from_secs(20 * 60);
/// How long to wait before trying again to write down an outcome that the disk refused.
const UNWRITTEN: Duration = Duration::from_secs(1);
/// How long what has had its time waits for a notice to its sender to become possible.
const GRACE: Duration = Duration::from_secs(3 * 24 * 3600);
/// The alarm meanwhile.
const UNTELLABLE: &str = "notice-impossible";
/// Why what somebody changed in the queue's own file, or wrote there without our marks, goes nowhere.
const ALTERED: &str = "its row in the queue is not as this gateway writes it: put the queue back from a backup and \
    release it, or refuse it";
/// How often such work is looked at again.
const UNTOLD: Duration = Duration::from_secs(10 * 60);
/// Longest sleep of the dispatcher: what an operator orders from the command line, a moved clock or a
/// missed ring waits no longer than this.
const NAP: Duration = Duration::from_secs(3);

/// Runs until `stopping` turns true, then waits for the attempts that are under way.
pub async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let routes = Arc::new(Routes::new());
    let sessions = Arc::new(Sessions::default());
    let mut busy = Busy::default();
    let mut attempts = Attempts::default();
    let mut look = true;
    while !*stopping.borrow() {
        while std::mem::take(&mut look) {
            let limits = gateway.snapshot().config.delivery.clone();
            busy.bound(limits.connections, limits.connections_per_destination);
            let Some(request) = busy.request(LEASE, gateway.now()) else { break };
            let claimed = claim(&gateway, request.clone()).await;
            look = busy.began(&request, claimed.iter().map(|work| &work.destination));
            for work in claimed {
                let (gateway, sessions, routes) = (Arc::clone(&gateway), Arc::clone(&sessions), Arc::clone(&routes));
                let destination = work.destination.clone();
                attempts.begin(destination, async move {
                    perform(&gateway, &sessions, &routes, work).await;
                });
            }
        }
        sessions.end_idle();
        tokio::select! {
            () = gateway.wake.notified() => look = true,
            Some(ended) = attempts.ended() => look = busy.ended(&ended),
            () = nap(&gateway) => look = true,
            _ = stopping.changed() => {}
        }
        while let Some(ended) = attempts.also_ended() {
            look |= busy.ended(&ended);
        }
    }
    while attempts.ended().await.is_some() {}
    sessions.end_all().await;
}

/// Attempts under way, and where each one goes: also of one that broke off.
#[derive(Default)]
struct Attempts {
    tasks: JoinSet<()>,
    destinations: HashMap<Id, Destination>,
}

impl Attempts {
    fn begin(&mut self, destination: Destination, attempt: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(attempt);
        self.destinations.insert(task.id(), destination);
    }

    async fn ended(&mut self) -> Option<Destination> {
        let ended = self.tasks.join_next_with_id().await?;
        self.destination(ended)
    }

    fn also_ended(&mut self) -> Option<Destination> {
        let ended = self.tasks.try_join_next_with_id()?;
        self.destination(ended)
    }

    fn destination(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<Destination> {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                // Its lease ends by itself.
                tracing::error!(%error, "a delivery attempt broke off");
                error.id()
            }
        };
        self.destinations.remove(&id)
    }
}

async fn claim(gateway: &Gateway, request: ClaimRequest) -> Vec<Work> {
    match gateway.store.claim(request).await {
        Ok(work) => work,
        Err(error) => {
            tracing::error!(%error, "the queue gives no work");
            Vec::new()
        }
    }
}

/// Sleeps until something falls due, at most a moment.
async fn nap(gateway: &Gateway) {
    let nap = match gateway.store.next_due().await {
        // Due work that was not claimed waits for an attempt to end, which wakes us.
        Ok(Some(due)) if due > gateway.now() => due.since(gateway.now()).min(NAP),
        _ => NAP,
    };
    tokio::time::sleep(nap).await;
}

/// Tries one piece of work and writes down the outcome.
async fn perform(gateway: &Arc<Gateway>, sessions: &Sessions, routes: &Routes, work: Work) {
    let altered = !gateway.binder.holds(&work);
    let work = if altered { told_of_the_end(work) } else { work };
    let attempt = if work.expired {
        Attempt::expired(&work)
    } else if altered {
        tracing::error!(message = %work.info.id, "the row of a queued message was changed by somebody else: nothing is sent");
        let mut allowed = work.clone();
        let refused = stops::take_refused(&mut allowed);
        let mut attempt = Attempt::all(&allowed, &End::Withheld(ALTERED.to_owned()));
        refused.into_iter().for_each(|(recipient, end)| attempt.set(&recipient, end));
        attempt
    } else {
        let mut allowed = work.clone();
        // What a person decided comes before what may change again.
        let mut stopped = stops::take_refused(&mut allowed);
        stopped.extend(stops::take_stopped(&gateway.snapshot(), &mut allowed, gateway.now()));
        let mut attempt = match allowed.recipients.is_empty() {
            true => Attempt::facts_only(&work),
            false => tried(gateway, sessions, routes, &allowed).await,
        };
        stopped.into_iter().for_each(|(recipient, end)| attempt.set(&recipient, end));
        attempt
    };
    let now = gateway.now();
    loop {
        let Some(changes) = conclude(gateway, &work, &attempt, now).await else {
            return untellable(gateway, &work, now).await;
        };
        let has_notice = !changes.messages.is_empty();
        let committed = gateway.store.commit(changes).await;
        if work.expired && committed.is_ok() && gateway.standing.of(UNTELLABLE).is_some() {
            gateway.record(Record::new(now, Event::AlarmCleared { code: UNTELLABLE.to_owned() }));
        }
        match committed {
            Ok(_) if has_notice => return gateway.wake.notify_one(),
            Ok(_) => return,
            // While the disk is not well the outcome is kept in hand: trying the work again would
            // only repeat a delivery that we know of.
            Err(error) if error.is_temporary() => {
                tracing::error!(%error, message = %work.info.id, "the outcome of a delivery cannot be written yet");
                tokio::time::sleep(UNWRITTEN).await;
            }
            // A commit that seemed to fail had succeeded, or the lease ran out and the work is somebody else's.
            Err(StoreError::LeaseLost(id)) => return tracing::warn!(message = %id, "the outcome is written already"),
            Err(error) => {
                // The lease ends by itself and the work is tried again: a repetition, never a loss.
                return tracing::error!(%error, message = %work.info.id, "the outcome of a delivery was not written");
            }
        }
    }
}

/// An attempt, within its time.
async fn tried(gateway: &Arc<Gateway>, sessions: &Sessions, routes: &Routes, work: &Work) -> Attempt {
    let attempt = async {
        match &work.destination {
            Destination::Inner(domain) => inner::attempt(gateway, sessions, work, domain).await,
            Destination::Relay(domain) => relay::attempt(gateway, sessions, routes, work, domain).await,
            Destination::Route(name) => Attempt::all(work, &End::temporary("unknown-route", name)),
        }
    };
    match tokio::time::timeout(ATTEMPT, attempt).await {
        Ok(attempt) => attempt,
        Err(_) => Attempt::all(work, &End::temporary("attempt-timeout", "the attempt took too long")),
    }
}

/// Performs everything that is due now, one piece after the other.
#[cfg(test)]
pub(crate) async fn attend(gateway: &Arc<Gateway>) -> usize {
    let mut performed: usize = 0;
    let (sessions, routes) = (Sessions::default(), Routes::without_dns());
    loop {
        let mut request = ClaimRequest::new(500, LEASE, gateway.now());
        request.per_destination = 500;
        let claimed = claim(gateway, request).await;
        if claimed.is_empty() {
            return performed;
        }
        for work in claimed {
            performed = performed.saturating_add(work.recipients.len());
            perform(gateway, &sessions, &routes, work).await;
        }
    }
}

/// Of a row that somebody changed nobody hears but the operator, until a person has refused it or its time is over:
/// then whoever it says sent it hears that, and nothing that the row itself does not say.
fn told_of_the_end(mut work: Work) -> Work {
    for recipient in &mut work.recipients {
        recipient.notify = store::Notify { success: false, delay: false, ..recipient.notify };
    }
    work
}

/// Looks at work again later, whatever is due.
async fn put_off(gateway: &Gateway, work: &Work, now: Timestamp) {
    if let Err(error) = gateway.store.renew(&work.lease, now.plus(UNTOLD)).await {
        // The lease ends by itself.
        tracing::warn!(%error, message = %work.info.id, "work could not be put off");
    }
}

/// Keeps work whose time is over, and whose sender cannot be told of it now, from being looked at for a while.
async fn untellable(gateway: &Gateway, work: &Work, now: Timestamp) {
    let text = format!("message {}: its time is over and its sender cannot be told yet", work.info.id);
    let event = Event::AlarmRaised { code: UNTELLABLE.to_owned(), text: gateway.masker.text(&text) };
    gateway.record(Record::new(now, event).of_message(work.info.id));
    put_off(gateway, work, now).await;
}

/// What is written down of an attempt; none while a sender must be told that the time is over, and cannot be.
async fn conclude(gateway: &Arc<Gateway>, work: &Work, attempt: &Attempt, now: Timestamp) -> Option<Changes> {
    let ends = attempt.ends(work);
    let (mut changes, news) = outcome(gateway, work, attempt, &ends, now);
    match notify::write(gateway, work, news, now).await {
        Ok(Some((notice, records))) => {
            changes.messages.push(notice);
            changes.records.extend(records);
            Some(changes)
        }
        Ok(None) => Some(changes),
        Err(why) => {
            tracing::error!(why, message = %work.info.id, "a sender cannot be told what became of a message");
            // Nothing is given up in silence (promise 1): what failed for good waits, as long as its time
            // lasts, for a notice to become possible. A certificate may come, a revocation list be read. What
            // has had its time waits a while more, so that a token that is away costs no sender the news.
            if work.expired && now < work.info.expires.plus(GRACE) {
                return None;
            }
            let ends = ends
                .into_iter()
                .map(|(recipient, end)| (recipient, end.until_it_can_be_told(&why)))
                .collect::<Vec<_>>();
            let (mut changes, news) = outcome(gateway, work, attempt, &ends, now);
            // A delay that nobody was told of was not told: the next attempt tells it.
            changes.updates.iter_mut().for_each(store::Update::untell);
            changes.records.extend(news.iter().filter_map(|piece| piece.untold(gateway, work, &why, now)));
            Some(changes)
        }
    }
}

/// What the ends of an attempt mean for the queue, and for the sender.
fn outcome(
    gateway: &Gateway,
    work: &Work,
    attempt: &Attempt,
    ends: &[(&store::Recipient, End)],
    now: Timestamp,
) -> (Changes, Vec<notify::News>) {
    // A notice to a sender is part of the outcome: it may use the room that is kept for outcomes.
    let mut changes = Changes { use_reserve: true, ..Changes::default() };
    let mut news = Vec::new();
    if let Some(End::Withheld(why)) = ends.iter().map(|(_, end)| end).find(|end| matches!(end, End::Withheld(_))) {
        quarantine::alarm(gateway, work.info.id, why);
    }
    for (recipient, end) in ends {
        let step = end.step(gateway, work, recipient, now);
        news.extend(notify::News::of(work, recipient, end, &step, attempt, now));
        changes.records.push(end.record(gateway, work, recipient, &step, &attempt.facts, now));
        changes.updates.push(store::Update {
            message: work.info.id,
            recipient: recipient.index,
            lease: Some(work.lease.token),
            step,
        });
    }
    (changes, news)
}
