//! Copying the write-ahead log back into the main file, beside the thread that commits: a commit never waits for
//! it. What is copied is synced by SQLite before and after, and an error makes the store stand still like any other
//! error of the disk (CR4); within a commit SQLite would say nothing of it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;

use super::{
    failure::{Failure, SqlResult},
    health::Health,
    schema::{self, CHECKPOINT_PAGES},
};
use crate::StoreError;

/// After about so many octets the log is copied.
const LOOK: usize = 48 * 1024 * 1024;
/// So many pages that are left the committing thread copies itself: 8 MB.
const REST: u32 = 2048;
/// Times the usual length at which the committing thread copies whatever is left: the log does not grow for ever.
const AT_MOST: u32 = 4;

/// Length of the log in pages, and how many of them are in the main file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copied {
    pages: u32,
    done: u32,
}

/// Copies what can be copied without anybody waiting.
pub(crate) fn copy(db: &Connection) -> SqlResult<Copied> {
    let (pages, done) =
        db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
    let count = |pages: i64| u32::try_from(pages).unwrap_or(0);
    Ok(Copied { pages: count(pages), done: count(done) })
}

/// What an error of copying means for the store.
pub(crate) fn failed(health: &Health, failure: Failure) {
    match failure {
        // Somebody else copies, or reads: another time.
        Failure::Busy(_) => {}
        Failure::Full(what) => health.ran_short(&what),
        other => health.broke(&format!("copying the log back: {}", other.into_error())),
    }
}

#[derive(Debug, Default)]
struct Progress {
    pages: AtomicU32,
    done: AtomicU32,
    busy: AtomicBool,
}

/// The thread, and what the committer knows of it.
pub(crate) struct Copier {
    order: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
    written: usize,
}

impl Copier {
    pub(crate) fn start(path: &Path, health: Arc<Health>) -> Result<Self, StoreError> {
        let db = schema::open_writer(path, false)?;
        schema::no_automatic_copies(&db).map_err(Failure::into_error)?;
        let (order, orders) = sync_channel(1);
        let progress = Arc::new(Progress::default());
        let work = Work { db, health, progress: Arc::clone(&progress) };
        let thread = Builder::new()
            .name("store-copy".to_owned())
            .spawn(move || work.serve(&orders))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { order: Some(order), thread: Some(thread), progress, written: 0 })
    }

    /// So much was written; the thread looks now and then.
    pub(crate) fn written(&mut self, octets: usize) {
        self.written = self.written.saturating_add(octets);
        if self.written >= LOOK
            && let Some(order) = &self.order
        {
            self.written = 0;
            self.progress.busy.store(true, Ordering::SeqCst);
            // One that waits already is enough.
            let _ = order.try_send(());
        }
    }

    /// Whether the log is worth beginning anew and nearly all of it copied, or so long that it must not grow further.
    pub(crate) fn nearly_done(&self) -> bool {
        let (pages, done) = (self.progress.pages.load(Ordering::SeqCst), self.progress.done.load(Ordering::SeqCst));
        let rest_is_small = !self.progress.busy.load(Ordering::SeqCst) && pages.saturating_sub(done) <= REST;
        pages >= CHECKPOINT_PAGES / 2 && (rest_is_small || pages >= CHECKPOINT_PAGES.saturating_mul(AT_MOST))
    }

    /// The committing thread has copied.
    pub(crate) fn note(&self, copied: Copied) {
        self.progress.note(if copied.done == copied.pages { Copied { pages: 0, done: 0 } } else { copied });
    }
}

impl Progress {
    fn note(&self, copied: Copied) {
        self.done.store(copied.done, Ordering::SeqCst);
        self.pages.store(copied.pages, Ordering::SeqCst);
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.order = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Work {
    db: Connection,
    health: Arc<Health>,
    progress: Arc<Progress>,
}

impl Work {
    fn serve(self, orders: &Receiver<()>) {
        while orders.recv().is_ok() {
            if self.health.check().is_ok() {
                self.copy();
            }
            self.progress.busy.store(false, Ordering::SeqCst);
        }
    }

    fn copy(&self) {
        match copy(&self.db) {
            Ok(copied) => self.progress.note(copied),
            Err(failure) => failed(&self.health, failure),
        }
    }
}
