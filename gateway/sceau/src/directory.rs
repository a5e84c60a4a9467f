//! The professional directory kept up to date: extracts looked for in a folder or at configured addresses, loaded
//! aside, put in service in one step, and an alarm when the data grow old (decision 0038).

#[cfg(test)]
mod ahead_tests;
pub(crate) mod bring;
mod extracts;
mod held;
mod loader;
mod memory;

pub(crate) use held::{Held, When};
pub use held::{Known, Trouble, Troubles};
pub(crate) use memory::most_text;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annuaire::Generation;
use ident::Timestamp;
use tokio::sync::watch;

pub use self::loader::Loader;
use self::{
    extracts::{Extracts, Listing},
    loader::{LoaderError, Outcome},
};
use crate::{
    config::Annuaire,
    fetch::{AnchoredServers, Answer, Fetcher, Kind, Lines, Place, Request, Undetermined},
    gateway::Gateway,
    health,
    refresh::plan::{self, Pace, Past},
    serve,
    snapshot::Snapshot,
};

/// A file that changed less long ago may be the beginning of one.
const SETTLED: Duration = Duration::from_secs(10 * 60);

/// Between two looks: a file is loaded when it has not changed from one to the next.
const NAP: Duration = Duration::from_secs(3);
/// First new try after a failure; the next ones wait longer.
const RETRY: Duration = Duration::from_secs(15 * 60);
/// What did not fail is not tried again by itself.
const ONLY_AFTER_FAILURE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The data in service are older than configured.
const STALE: &str = "directory-stale";
/// New extracts are not put in service: somebody must look.
const HELD: &str = "directory-held";
/// An address gives nothing.
const FAILING: &str = "directory-fetch-failing";

/// More of the future than clocks differ: such data would never be old.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Keeps the directory up to date until `stopping` turns true.
pub async fn run(gateway: Arc<Gateway>, loader: Loader, mut stopping: watch::Receiver<bool>) {
    let mut keeper = match Lines::new() {
        Ok(lines) => Keeper::new(Arc::new(lines), loader),
        Err(error) => return tracing::error!(%error, "the directory is not kept up to date"),
    };
    loop {
        tokio::select! {
            () = keeper.round(&gateway) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(NAP) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// What is remembered from one look to the next.
struct Keeper {
    lines: Arc<Lines>,
    loader: Loader,
    /// This installation's own moment.
    chance: u64,
    past: Past,
    /// What lay there at the last look, and what was last tried to be loaded.
    seen: Option<Listing>,
    tried: Option<Listing>,
    /// Loads that could not be done.
    loads: Past,
    /// What is wrong with the directory in service, as far as a load was begun for it.
    mended: Option<Trouble>,
    /// The alarms that stand: stale, held, failing, damaged, what is published damaged.
    alarms: [Option<&'static str>; 5],
    /// Set when nobody waits for a load any more.
    over: Arc<AtomicBool>,
    /// Why the last load put nothing in service, and what the last fetch failed of.
    held: Option<String>,
    failed: Option<String>,
}

impl Keeper {
    fn new(lines: Arc<Lines>, loader: Loader) -> Self {
        let mut chance = [0; 8];
        // Only so that not everybody asks at the same moment.
        let _ = openssl::rand::rand_bytes(&mut chance);
        let chance = u64::from_be_bytes(chance);
        let (past, loads, alarms) = (Past::default(), Past::default(), [None; 5]);
        let (seen, tried, mended, held, failed, over) = Default::default();
        Self { lines, loader, chance, past, seen, tried, loads, mended, alarms, over, held, failed }
    }

    /// What cannot be read in service is loaded anew from the extracts, though they have not changed.
    fn mend(&mut self, snapshot: &Snapshot, data: &Path) {
        let trouble = snapshot.troubles.directory.clone();
        if trouble.is_some() && trouble != self.mended {
            Listing::forget(data);
            self.tried = None;
        }
        self.mended = trouble;
    }

    /// One look: what is due is fetched, what has changed is loaded, what is wrong is told.
    async fn round(&mut self, gateway: &Arc<Gateway>) {
        let snapshot = gateway.snapshot();
        let settings = snapshot.config.annuaire.clone();
        if let Some(data) = settings.data.as_deref().map(|data| gateway.path(data)) {
            let from = match &settings.from {
                Some(folder) => Some(gateway.path(folder)),
                None if settings.fetch.is_empty() => None,
                None => Some(fetched_below(&data)),
            };
            self.mend(&snapshot, &data);
            if let Some(from) = from {
                if settings.from.is_none() {
                    self.fetch(gateway, &settings, &Extracts::new(&from)).await;
                }
                self.load(gateway, &from, &data).await;
            }
        }
        let snapshot = gateway.snapshot();
        let now = gateway.now();
        let old = snapshot
            .generation
            .as_ref()
            .filter(|it| now.since(it.oldest_as_of()) > settings.stale_after.0 || it.data_as_of() > now.plus(AHEAD));
        let stale = old.map(|it| (STALE, oldest(it)));
        let held = self.held.clone().map(|why| (HELD, why));
        let failed = self.failed.clone().map(|why| (FAILING, why));
        let trouble = snapshot.troubles.directory.as_ref();
        let damaged = trouble.map(|trouble| (trouble.alarm, trouble.problem.to_string()));
        let published = snapshot.troubles.published.as_ref().map(|problem| (held::PUBLISHED, problem.to_string()));
        let told = [
            (stale, "the directory answers on from old data"),
            (held, "new extracts are not in service, the directory answers on from the data before"),
            (failed, "extracts could not be fetched, the directory answers on from the data before"),
            (damaged, "the directory that should be in service is not, mail goes on without what it says"),
            (published, "what others published here cannot all be read, what is not certain is not shown"),
        ];
        for (alarm, (trouble, meaning)) in self.alarms.iter_mut().zip(told) {
            *alarm = health::tell(gateway, *alarm, trouble, meaning);
        }
    }

    /// Asks the addresses, if it is time to.
    async fn fetch(&mut self, gateway: &Arc<Gateway>, settings: &Annuaire, extracts: &Extracts) {
        let now = gateway.now();
        let pace = Pace { every: settings.every.0, retry: RETRY };
        if plan::due(&self.past, pace, self.chance, "directory", now) > now {
            return;
        }
        self.past.last_try = Some(now);
        let mut failed = Vec::new();
        for place in &settings.fetch {
            if let Err(error) = self.fetch_one(gateway, settings, extracts, place, now).await {
                tracing::warn!(%place, error, "an extract could not be fetched");
                failed.push(error);
            }
        }
        extracts.keep_only(&settings.fetch);
        self.past.failures = if failed.is_empty() { 0 } else { self.past.failures.saturating_add(1) };
        self.failed = (!failed.is_empty()).then(|| failed.join("; "));
    }

    async fn fetch_one(
        &self,
        gateway: &Arc<Gateway>,
        settings: &Annuaire,
        extracts: &Extracts,
        place: &Place,
        at: Timestamp,
    ) -> Result<(), String> {
        let snapshot = gateway.snapshot();
        let refresh = &snapshot.config.refresh;
        let fetcher = Fetcher::new(settings.rules(refresh), settings.limits(refresh), Arc::clone(&self.lines));
        // An extract carries no signature: who its server is must be known for certain.
        let undetermined = Undetermined::Refused;
        let trust = AnchoredServers { validator: &snapshot.validator, at, undetermined };
        let tags = extracts.tags(place);
        let most = usize::try_from(settings.max.0).unwrap_or(usize::MAX);
        let request = Request { place, kind: Kind::Extract, most, held: tags.as_ref(), question: None };
        match fetcher.fetch(&request, &trust).await.map_err(|error| error.to_string())? {
            Answer::Unchanged => Ok(()),
            Answer::New { octets, tags } => {
                let (extracts, place) = (extracts.clone(), place.clone());
                let kept = tokio::task::spawn_blocking(move || extracts.keep(&place, &octets, &tags)).await;
                kept.map_err(std::io::Error::other).flatten().map_err(|error| format!("{error}"))
            }
        }
    }

    /// Loads what lies in a folder, once it has changed and lies still.
    async fn load(&mut self, gateway: &Arc<Gateway>, from: &Path, data: &Path) {
        let listing = match Listing::of(from) {
            Ok(listing) if listing.is_empty() => return,
            Ok(listing) => listing,
            Err(error) => return self.held = Some(format!("{}: {error}", from.display())),
        };
        let still = self.seen.as_ref() == Some(&listing);
        self.seen = Some(listing.clone());
        let now = gateway.now();
        let pace = Pace { every: ONLY_AFTER_FAILURE, retry: RETRY };
        let again = self.loads.failures > 0 && plan::due(&self.loads, pace, self.chance, "load", now) <= now;
        if !still || (self.tried.as_ref() == Some(&listing) && !again) {
            return;
        }
        let before = Listing::remembered(data);
        if before.as_ref() == Some(&listing) {
            self.tried = Some(listing);
            return;
        }
        if listing.may_be_beginning(before.as_ref(), from, now.minus(SETTLED)) {
            return;
        }
        self.tried = Some(listing.clone());
        match self.loader.load(from, data, now, &self.over).await {
            Ok(outcome) => self.loaded(gateway, &outcome, &listing, from, data).await,
            // Somebody loads by hand: what comes of it is seen at the next look.
            Err(error @ LoaderError::Busy(_)) => {
                (self.tried, self.held) = (None, Some(error.to_string()));
            }
            Err(error) => self.failed_to_load(error.to_string(), now, from),
        }
    }

    /// A disk that takes nothing, or a file that cannot be read: the same is not tried at every look, for each try takes
    /// a core and what memory a load takes. What was fetched is asked for anew: it may be bad here and good there.
    fn failed_to_load(&mut self, error: String, now: Timestamp, from: &Path) {
        tracing::warn!(error, "the extracts could not be loaded");
        self.loads = Past { last_try: Some(now), failures: self.loads.failures.saturating_add(1), held: None };
        self.held = Some(error);
        Extracts::new(from).forget_tags();
    }

    async fn loaded(&mut self, gateway: &Arc<Gateway>, report: &Outcome, listing: &Listing, from: &Path, data: &Path) {
        self.loads = Past::default();
        for problem in report.problems.iter().take(10) {
            let (line, column) = (problem.line, problem.column.as_deref().unwrap_or_default());
            tracing::warn!(file = problem.file, line, column, what = problem.what, "a row of an extract");
        }
        let snapshot = gateway.snapshot();
        let serving = snapshot.generation.as_ref().map(|generation| generation.id());
        // What counts is what we hold, not what the load before put there: the reload after it may have been refused.
        let news = report.generation.is_some()
            && (!report.unchanged || serving != report.generation.as_deref() || snapshot.troubles.directory.is_some());
        if !report.in_service() {
            self.held = Some(report.reason.clone().unwrap_or_default());
            if report.refused {
                Extracts::new(from).forget_tags();
            }
            drop(snapshot);
            if news && report.oppositions > 0 {
                tracing::info!(cards = report.oppositions, "oppositions were taken from extracts that are held");
                serve::reload(gateway).await;
            }
            return;
        }
        self.held = None;
        if let Err(error) = listing.remember(data) {
            tracing::warn!(%error, "the same extracts are read again after a restart");
        }
        let generation = report.generation.as_deref().unwrap_or_default();
        tracing::info!(generation, unchanged = report.unchanged, "extracts read");
        drop(snapshot);
        if news {
            serve::reload(gateway).await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A load that is under way must not outlive those who wait for it.
        self.over.store(true, Ordering::Relaxed);
    }
}

/// How old the data are, by the file that came last longest ago.
pub fn oldest(generation: &Generation) -> String {
    match generation.oldest() {
        Some(source) => format!("{} is of {}", source.name, generation.oldest_as_of()),
        None => format!("the data are of {}", generation.data_as_of()),
    }
}

/// Where the extracts that are fetched lie, below the directory's data.
pub fn fetched_below(data: &Path) -> PathBuf {
    data.join("extracts")
}
