//! Commands that look at, or act on, the queue of a gateway that may be running.

use std::{
    future::Future,
    path::{Path, PathBuf},
};

use ident::Timestamp;
use store::{Changes, EventQuery, SqliteOptions, SqliteStore, Store as _};
use trail::{
    Event, Masker, QueueId, Record,
    log::{Search, TrailReader},
};

use super::Exit;
use crate::{audit::Secrets, config::Loaded, keys, snapshot};

/// Records read for one message from the outbox.
const MOST: usize = 10_000;

/// Which installation an order is about, and how its result is said.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    /// Configuration file
    #[arg(long, global = true, default_value = "/etc/sceau/sceau.toml")]
    pub(super) config: PathBuf,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// An opened queue with what is needed to write about it.
pub(super) struct Attached {
    /// The queue.
    pub(super) store: SqliteStore,
    /// The trail for reading, if it has begun.
    pub(super) trail: Option<TrailReader>,
    /// The trail's secrets.
    pub(super) secrets: Secrets,
    /// Folder of queue and trail.
    pub(super) data: PathBuf,
    /// How addresses appear in records.
    pub(super) masker: Masker,
    runtime: tokio::runtime::Runtime,
}

impl Attached {
    /// Opens the queue of a configuration, leaving recovery to the gateway itself.
    pub(super) fn open(configuration: &Path) -> Result<Self, Exit> {
        let report = |error: String, exit| {
            eprintln!("sceau: {error}");
            exit
        };
        let loaded = Loaded::read(configuration).map_err(|problem| report(problem.to_string(), Exit::Usage))?;
        let vault = snapshot::vault(&loaded).map_err(|problem| report(problem.to_string(), Exit::Usage))?;
        let store = SqliteStore::attach(&loaded.data().join("queue"), SqliteOptions::default()).map_err(|error| {
            report(format!("the queue in {} cannot be opened: {error}", loaded.data().display()), Exit::Undetermined)
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| report(error.to_string(), Exit::Undetermined))?;
        let data = loaded.data();
        let secrets = keys::checkpoint::secrets(&loaded, &vault, None)
            .map_err(|problem| report(problem.to_string(), Exit::Usage))?;
        let masker = Masker::new(secrets.masking(), loaded.config.patients.domains.clone());
        let trail = secrets.reader(&data).ok();
        Ok(Self { store, trail, secrets, data, masker, runtime })
    }

    /// Waits for an answer of the queue.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = Result<T, store::StoreError>>) -> Result<T, Exit> {
        self.runtime.block_on(answer).map_err(|error| {
            eprintln!("sceau: {error}");
            Exit::Undetermined
        })
    }

    /// Writes down what whoever is at the terminal has just ordered.
    pub(super) fn note(&self, action: &str, target: &str, reason: Option<&str>, now: Timestamp) -> Result<(), Exit> {
        self.note_by(&who(), action, target, reason, now)
    }

    /// The same for an order of others.
    pub(super) fn note_by(
        &self,
        by: &str,
        action: &str,
        target: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let event = Event::OperatorAction {
            operator: self.masker.text(by),
            action: action.to_owned(),
            target: self.masker.text(target),
            reason: reason.map(|reason| self.masker.text(reason)),
        };
        self.wait(self.store.commit(Changes::records(vec![Record::new(now, event)])))
            .map(|_| ())
            .inspect_err(|_| eprintln!("sceau: the order holds, but is not in the trail yet: give it again"))
    }

    /// All records about a message: those in the log, and those still on their way there.
    pub(super) fn records(&self, id: QueueId) -> Result<Vec<Record>, Exit> {
        let mut records = match &self.trail {
            Some(trail) => trail.of_message(id).map_err(|error| {
                eprintln!("sceau: the trail cannot be read: {error}");
                Exit::Undetermined
            })?,
            None => Vec::new(),
        };
        let query = EventQuery { message: Some(id), limit: MOST, ..EventQuery::default() };
        for record in self.wait(self.store.events(query))? {
            // A row may be in the log already and not yet released.
            if !records.contains(&record) {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// The messages that a queue id or a Message-ID names, newest first.
    pub(super) fn resolve(&self, id: &str) -> Result<Vec<QueueId>, Exit> {
        if let Ok(id) = id.parse::<QueueId>() {
            return Ok(vec![id]);
        }
        let bare = id.trim().trim_start_matches('<').trim_end_matches('>');
        let waiting = self.wait(self.store.find_by_message_id(bare))?;
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        // The queue forgets what has ended; the trail does not.
        let search = Search { terms: vec![format!("message-id:{bare}")], limit: 100, ..Search::default() };
        let hits =
            self.trail.as_ref().map(|trail| trail.search(&search)).transpose().unwrap_or_default().unwrap_or_default();
        let mut ids: Vec<QueueId> =
            hits.iter().flat_map(|hit| &hit.records).filter_map(|record| record.message).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// How many rows the queue of a data folder handed to the trail; none if there is no queue.
pub(super) fn released(data: &Path) -> Result<u64, Exit> {
    let folder = data.join("queue");
    if !folder.exists() {
        return Ok(0);
    }
    let ask = || -> Result<u64, String> {
        let store = SqliteStore::attach(&folder, SqliteOptions::default()).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        runtime.block_on(store.released()).map_err(|error| error.to_string())
    };
    ask().map_err(|error| super::trail::unavailable(&error))
}

/// Who is at the terminal, as the system knows.
pub(super) fn who() -> String {
    crate::account::orderer().to_owned()
}
