//! Background refresh of revocation lists, OCSP answers and the trust list (decision 0016).
//!
//! Nothing is ever fetched on a message's path: what comes in takes effect in the store that the running
//! validator reads, or as the trust list of the next snapshot, and copies outlive a restart. Each source
//! has its own time ([`plan`]); the journal remembers it.

mod alarm;
mod journal;
mod notes;
pub mod plan;
mod report;
mod sources;
mod take;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ident::Timestamp;
use openssl::error::ErrorStack;
use pki::{crl::RevocationList, ocsp::OcspAnswer, path::Validator, status::RevocationStore};
use tokio::{sync::watch, task::JoinSet};
use trail::{Event, Record};

pub use journal::{Entry, Folder, Journal};
pub use report::{SourceReport, out_of_date, report};
pub use sources::{Gives, Source};
pub use take::RefreshError;

use self::{
    alarm::Alarms,
    notes::Notes,
    take::{Ask, News},
};
use crate::{
    config::{Loaded, Refresh},
    fetch::{Fetcher, Lines},
    gateway::Gateway,
    snapshot::Snapshot,
};

/// By name.
type Sources = BTreeMap<String, Source>;

/// Longest sleep: a moved clock or a reloaded configuration waits no longer than this.
const NAP: Duration = Duration::from_secs(3);
/// Fetches at once: each may hold a whole list in memory.
const AT_ONCE: usize = 4;

/// Counts since the start, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sources asked.
    pub asked: AtomicU64,
    /// Of these, those that gave something new.
    pub taken: AtomicU64,
    /// Of these, those that failed.
    pub failed: AtomicU64,
}

/// Keeps what is fetched up to date.
#[derive(Debug)]
pub struct Refresher {
    notes: Arc<Notes>,
    lines: Arc<Lines>,
    alarms: Alarms,
    /// What there is to ask, and the snapshot that it was found in.
    known: Mutex<(Weak<Snapshot>, Arc<Sources>)>,
    /// What happened so far.
    pub counters: Counters,
}

impl Refresher {
    /// With what is remembered below the gateway's data folder.
    ///
    /// # Errors
    /// Those of the TLS library.
    pub fn open(gateway: &Gateway) -> Result<Self, ErrorStack> {
        let folder = Folder::below(&gateway.data());
        let mut journal = folder.read().unwrap_or_else(|error| {
            tracing::error!(%error, folder = %folder.path().display(), "what was remembered of sources is lost: all are asked again");
            Journal::default()
        });
        if journal.chance == 0 {
            let mut chance = [0; 8];
            openssl::rand::rand_bytes(&mut chance)?;
            journal.chance = u64::from_be_bytes(chance).max(1);
        }
        let lines = Arc::new(Lines::new()?);
        Ok(Self {
            notes: Arc::new(Notes::new(folder, journal)),
            lines,
            alarms: Alarms::default(),
            known: Mutex::default(),
            counters: Counters::default(),
        })
    }

    /// Asks every source whose time has come, takes what is good, and says when the next one is due.
    pub async fn round(&self, gateway: &Arc<Gateway>) -> Timestamp {
        let (now, snapshot) = (gateway.now(), gateway.snapshot());
        let settings = snapshot.config.refresh.clone();
        let sources = self.sources(gateway).await;
        let mut due = self.due(&sources, &settings, now);
        let fetcher = Arc::new(Fetcher::new(settings.rules(), settings.limits(), Arc::clone(&self.lines)));
        let asked = !due.is_empty();
        while !due.is_empty() {
            let later = due.split_off(due.len().min(AT_ONCE));
            let mut running = JoinSet::new();
            for name in std::mem::replace(&mut due, later) {
                let Some(source) = sources.get(&name) else { continue };
                let ask = Ask {
                    gateway: Arc::clone(gateway),
                    fetcher: Arc::clone(&fetcher),
                    notes: Arc::clone(&self.notes),
                    name: name.clone(),
                    source: source.clone(),
                    entry: self.notes.journal().sources.get(&name).cloned().unwrap_or_default(),
                };
                running.spawn(async move { (name, ask.run().await) });
            }
            while let Some(done) = running.join_next().await {
                match done {
                    Ok((name, outcome)) => self.note(gateway, name, outcome, now),
                    Err(error) => tracing::error!(%error, "a refresh broke off"),
                }
            }
        }
        let journal = self.notes.journal().clone();
        if asked {
            self.keep().await;
        }
        let snapshot = gateway.snapshot();
        self.alarms.look(gateway, alarm::standing(&snapshot, &journal, gateway.now()));
        next(&sources, &journal, &settings, gateway.now())
    }

    /// What there is to ask; forgets what is not asked any more.
    async fn sources(&self, gateway: &Arc<Gateway>) -> Arc<Sources> {
        let (snapshot, at) = (gateway.snapshot(), gateway.now());
        let seen_in = Arc::downgrade(&snapshot);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if Weak::ptr_eq(&known.0, &seen_in) {
            return known.1;
        }
        match gateway.compute(move || Arc::new(sources::all(&snapshot, at))).await {
            Ok(sources) => {
                self.notes.journal().sources.retain(|name, _| sources.contains_key(name));
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (seen_in, Arc::clone(&sources));
                sources
            }
            Err(error) => {
                tracing::error!(%error, "what there is to refresh cannot be told now");
                known.1
            }
        }
    }

    fn due(&self, sources: &Sources, settings: &Refresh, now: Timestamp) -> Vec<String> {
        let journal = self.notes.journal();
        sources
            .iter()
            .filter(|(name, source)| next_of(name, source, &journal, settings, now) <= now)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Remembers what came of a source that was asked at `now`: what is published while we ask is for the
    /// next time, so the time counts from the question.
    fn note(&self, gateway: &Gateway, name: String, outcome: Result<Option<News>, RefreshError>, now: Timestamp) {
        self.counters.asked.fetch_add(1, Ordering::Relaxed);
        let mut journal = self.notes.journal();
        let entry = journal.sources.entry(name.clone()).or_default();
        entry.last_try = Some(now);
        match outcome {
            Ok(news) => {
                entry.last_success = Some(now);
                (entry.failures, entry.failing_since, entry.error) = (0, None, None);
                if let Some(news) = news {
                    (entry.tags, entry.copy) = (news.tags, news.copy);
                    (entry.this_update, entry.next_update) = news.dates.unzip();
                    if let Some((issuer, (this_update, next))) = news.fresh.zip(news.dates) {
                        self.counters.taken.fetch_add(1, Ordering::Relaxed);
                        tracing::info!(source = name, issuer, %this_update, next_update = %next, "a newer revocation list is in force");
                        let issuer = gateway.masker.text(&issuer);
                        let event = Event::RevocationLoaded { issuer, this_update, next_update: Some(next) };
                        gateway.record(Record::new(now, event));
                    }
                    // What waits because nothing could be told may be told now.
                    gateway.wake.notify_one();
                }
            }
            Err(error) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(source = name, code = error.code(), %error, "a refresh failed, what is held stays in force");
                entry.failures = entry.failures.saturating_add(1);
                entry.failing_since = entry.failing_since.or(Some(now));
                entry.error = Some(error.to_string());
            }
        }
    }

    async fn keep(&self) {
        let notes = Arc::clone(&self.notes);
        let written = tokio::task::spawn_blocking(move || notes.write()).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::error!(%error, "what was refreshed is in force but cannot be remembered");
        }
    }
}

fn next_of(name: &str, source: &Source, journal: &Journal, settings: &Refresh, now: Timestamp) -> Timestamp {
    let past = journal.sources.get(name).map(Entry::past).unwrap_or_default();
    plan::due(&past, source.pace(settings), journal.chance, name, now)
}

/// When the next source is due.
fn next(sources: &Sources, journal: &Journal, settings: &Refresh, now: Timestamp) -> Timestamp {
    sources.iter().map(|(name, source)| next_of(name, source, journal, settings, now)).min().unwrap_or(Timestamp::MAX)
}

/// Runs until `stopping` turns true.
pub async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let refresher = match Refresher::open(&gateway) {
        Ok(refresher) => refresher,
        Err(error) => return tracing::error!(%error, "nothing is refreshed"),
    };
    loop {
        let nap = tokio::select! {
            due = refresher.round(&gateway) => due.since(gateway.now()).clamp(Duration::from_millis(10), NAP),
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        tokio::select! {
            () = tokio::time::sleep(nap) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Offers the kept copies of revocation lists to a store: what was in force before a restart is again,
/// verified anew. What cannot be used any more is logged and asked for again.
pub fn recall(loaded: &Loaded, store: &RevocationStore, validator: &Validator, at: Timestamp) {
    let folder = Folder::below(&loaded.data());
    let Ok(journal) = folder.read() else { return };
    for (name, copy) in journal.sources.iter().filter_map(|(name, entry)| entry.copy.map(|copy| (name, copy))) {
        // The trust list keeps its own copy; answers are for [`recall_answers`].
        if name.starts_with("trust list ") || name.contains(" about ") {
            continue;
        }
        let lists = folder.copy(copy).map_err(|error| error.to_string());
        match lists.and_then(|octets| RevocationList::list_from(&octets).map_err(|error| error.to_string())) {
            Ok(lists) => {
                for list in lists {
                    let offer = store.offer_list(list, validator, at);
                    tracing::debug!(source = name, ?offer, "a kept revocation list was read");
                }
            }
            Err(error) => tracing::error!(source = name, error, "a kept revocation list cannot be used"),
        }
    }
}

/// The same for answers about certificates in use: which those are is known once the world is loaded.
pub fn recall_answers(loaded: &Loaded, snapshot: &Snapshot, at: Timestamp) {
    let folder = Folder::below(&loaded.data());
    let Ok(journal) = folder.read() else { return };
    let kept = |name: &String| journal.sources.get(name).and_then(|entry| entry.copy);
    for (name, source) in sources::all(snapshot, at) {
        let (Some(copy), Gives::Answer { certificate, issuer }) = (kept(&name), source.gives) else { continue };
        let answer = folder.copy(copy).map_err(|error| error.to_string());
        match answer.and_then(|octets| OcspAnswer::from_der(&octets).map_err(|error| error.to_string())) {
            Ok(answer) => {
                let offer = snapshot.status.offer_answer(answer, &certificate, &issuer, at);
                tracing::debug!(source = name, ?offer, "a kept answer was read");
            }
            Err(error) => tracing::error!(source = name, error, "a kept answer cannot be used"),
        }
    }
}
