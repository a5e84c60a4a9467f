//! The professional directory kept up to date: extracts looked for in a folder or at configured addresses, loaded
//! aside, put in service in one step, and an alarm when the data grow old (decision 0038).

mod extracts;
mod loader;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
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
};

/// Between two looks: a file is loaded when it has not changed from one to the next.
const NAP: Duration = Duration::from_secs(3);
/// First new try after a failure; the next ones wait longer.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// The data in service are older than configured.
const STALE: &str = "directory-stale";
/// New extracts are not put in service: somebody must look.
const HELD: &str = "directory-held";
/// An address gives nothing.
const FAILING: &str = "directory-fetch-failing";

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
    /// The alarms that stand: stale, held, failing.
    alarms: [Option<&'static str>; 3],
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
        let (past, alarms) = (Past::default(), [None; 3]);
        Self { lines, loader, chance, past, seen: None, tried: None, alarms, held: None, failed: None }
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
            if let Some(from) = from {
                if settings.from.is_none() {
                    self.fetch(gateway, &settings, &Extracts::new(&from)).await;
                }
                self.load(gateway, &from, &data).await;
            }
        }
        let snapshot = gateway.snapshot();
        let old =
            snapshot.generation.as_ref().filter(|it| gateway.now().since(it.oldest_as_of()) > settings.stale_after.0);
        let stale = old.map(|it| (STALE, oldest(it)));
        let held = self.held.clone().map(|why| (HELD, why));
        let failed = self.failed.clone().map(|why| (FAILING, why));
        let told = [
            (stale, "the directory answers on from old data"),
            (held, "new extracts are not in service, the directory answers on from the data before"),
            (failed, "extracts could not be fetched, the directory answers on from the data before"),
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
        if !still || self.tried.as_ref() == Some(&listing) {
            return;
        }
        self.tried = Some(listing.clone());
        if Listing::remembered(data).as_ref() == Some(&listing) {
            return;
        }
        match self.loader.load(from, data).await {
            Ok(outcome) => self.loaded(gateway, &outcome, &listing, data).await,
            Err(error @ LoaderError::Load(_)) => {
                // Another load is under way, or the disk takes nothing: tried again.
                (self.tried, self.held) = (None, Some(error.to_string()));
            }
            Err(error) => self.held = Some(error.to_string()),
        }
    }

    async fn loaded(&mut self, gateway: &Arc<Gateway>, report: &Outcome, listing: &Listing, data: &Path) {
        for problem in report.problems.iter().take(10) {
            let (line, column) = (problem.line, problem.column.as_deref().unwrap_or_default());
            tracing::warn!(file = problem.file, line, column, what = problem.what, "a row of an extract");
        }
        if !report.in_service() {
            self.held = Some(report.reason.clone().unwrap_or_default());
            return;
        }
        self.held = None;
        if let Err(error) = listing.remember(data) {
            tracing::warn!(%error, "the same extracts are read again after a restart");
        }
        let generation = report.generation.as_deref().unwrap_or_default();
        tracing::info!(generation, unchanged = report.unchanged, "extracts read");
        if !report.unchanged {
            serve::reload(gateway).await;
        }
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
