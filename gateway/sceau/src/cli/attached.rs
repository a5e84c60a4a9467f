//! Commands that look at, or act on, the queue of a gateway that may be running.

use std::{future::Future, path::Path};

use store::{SqliteOptions, SqliteStore, Store as _};
use trail::{Masker, QueueId};

use super::Exit;
use crate::{config::Loaded, snapshot};

/// An opened queue with what is needed to write about it.
pub(super) struct Attached {
    /// The queue.
    pub(super) store: SqliteStore,
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
        let masker = Masker::new(vault.masking_key(), loaded.config.patients.domains.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| report(error.to_string(), Exit::Undetermined))?;
        Ok(Self { store, masker, runtime })
    }

    /// Waits for an answer of the queue.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = Result<T, store::StoreError>>) -> Result<T, Exit> {
        self.runtime.block_on(answer).map_err(|error| {
            eprintln!("sceau: {error}");
            Exit::Undetermined
        })
    }

    /// The messages that a queue id or a Message-ID names, newest first.
    pub(super) fn resolve(&self, id: &str) -> Result<Vec<QueueId>, Exit> {
        if let Ok(id) = id.parse::<QueueId>() {
            return Ok(vec![id]);
        }
        let bare = id.trim().trim_start_matches('<').trim_end_matches('>');
        self.wait(self.store.find_by_message_id(bare))
    }
}
