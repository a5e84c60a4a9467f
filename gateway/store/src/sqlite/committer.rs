//! The one thread that writes. Whatever waits when it is free becomes one transaction: the time of
//! a sync makes the batch, no timer does.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;

use super::{
    checkpoint::{self, Copier},
    claim::Turn,
    failure::{Failure, SqlResult},
    files::Bodies,
    health::Health,
    pool::Pool,
    schema,
};
use crate::{
    StagedBody, StoreError,
    oneshot::{Answer, oneshot},
};

/// Most changes in one transaction.
const GROUP_JOBS: usize = 512;
/// Most octets of bodies in one transaction.
const GROUP_OCTETS: usize = 8 * 1024 * 1024;
/// Octets of bodies that may wait before new messages are refused.
const WAITING_OCTETS: usize = 256 * 1024 * 1024;

/// What a change without bodies adds to the log at least, roughly.
const SMALL: usize = 4096;

/// What follows from a transaction once it is durable.
#[derive(Default)]
pub(crate) struct Effects {
    /// Bodies that a row names now.
    pub(crate) keep: Vec<StagedBody>,
    /// Files that no row names any more.
    pub(crate) remove: Vec<String>,
}

/// What a job works on.
pub(crate) struct Desk<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) effects: &'a mut Effects,
    pub(crate) turn: &'a mut Turn,
}

trait Job: Send {
    fn run(&mut self, desk: &mut Desk<'_>) -> SqlResult<()>;
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
    fn weight(&self) -> usize;
    /// Whether anybody was promised that it outlives a power failure.
    fn durable(&self) -> bool;
}

type ProbeAnswer = Answer<Result<(), StoreError>>;

enum Order {
    Change(Box<dyn Job>),
    Probe(ProbeAnswer),
}

/// The writing end.
pub(crate) struct Committer {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    health: Arc<Health>,
}

/// What the thread owns.
pub(crate) struct Engine {
    pub(crate) path: PathBuf,
    pub(crate) db: Connection,
    pub(crate) turn: Turn,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) disk: Arc<Pool<()>>,
    pub(crate) health: Arc<Health>,
    /// Whether this process serves the queue and so says when it ended well.
    pub(crate) serves: bool,
    /// Copies the log back on a thread of its own; none in a process that only gives orders.
    pub(crate) copier: Option<Copier>,
    /// Whether a commit is synced before it returns.
    pub(crate) synced: bool,
}

impl Committer {
    pub(crate) fn start(engine: Engine) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let health = Arc::clone(&engine.health);
        let thread = Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || engine.serve(&receiver))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { orders: Some(sender), thread: Some(thread), waiting, health })
    }

    /// Runs a change in the next transaction and answers when it is durable.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        load: Load,
        work: impl FnOnce(&mut Desk<'_>) -> SqlResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.health.check()?;
        let room = Room::take(&self.waiting, load.octets)?;
        let (answer, waiting) = oneshot();
        let job = Change { work: Some(work), done: None, answer, load, room };
        self.send(Order::Change(Box::new(job)))?;
        waiting.await.unwrap_or_else(|| Err(stopped()))
    }

    /// Proves that the store works, or brings it back.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let (answer, waiting) = oneshot();
        self.send(Order::Probe(answer))?;
        waiting.await.unwrap_or_else(|| Err(stopped()))
    }

    fn send(&self, order: Order) -> Result<(), StoreError> {
        self.orders.as_ref().ok_or_else(stopped)?.send(order).map_err(|_| stopped())
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".to_owned())
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What a change asks of the committer.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// What new messages weigh; zero for what must go through even when much waits.
    pub(crate) octets: usize,
    /// It may be refused after its first write, so it needs a savepoint.
    pub(crate) undo: bool,
    /// It is answered only when it is on stable storage.
    pub(crate) durable: bool,
}

impl Load {
    /// Weighs nothing, can be undone.
    pub(crate) const UNDOABLE: Self = Self { octets: 0, undo: true, durable: true };

    /// A lease: no process outlives the loss of power, and the next one takes all leases back. What is done under
    /// it is synced, and the lease with it.
    pub(crate) const LEASE: Self = Self { octets: 0, undo: true, durable: false };
}

/// Octets that wait; given back when the job is done with.
struct Room {
    waiting: Arc<AtomicUsize>,
    octets: usize,
}

impl Room {
    fn take(waiting: &Arc<AtomicUsize>, octets: usize) -> Result<Self, StoreError> {
        let before = waiting.fetch_add(octets, Ordering::Relaxed);
        let room = Self { waiting: Arc::clone(waiting), octets };
        if octets > 0 && before.saturating_add(octets) > WAITING_OCTETS {
            return Err(StoreError::Unavailable("too much waits to be written".to_owned()));
        }
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

struct Change<T, F> {
    work: Option<F>,
    done: Option<Result<T, StoreError>>,
    answer: Answer<Result<T, StoreError>>,
    load: Load,
    room: Room,
}

impl<T: Send, F: FnOnce(&mut Desk<'_>) -> SqlResult<T> + Send> Job for Change<T, F> {
    fn run(&mut self, desk: &mut Desk<'_>) -> SqlResult<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let marks = (desk.effects.keep.len(), desk.effects.remove.len());
        if self.load.undo {
            desk.db.prepare_cached("SAVEPOINT job")?.execute([])?;
        }
        match work(desk) {
            Ok(value) => self.done = Some(Ok(value)),
            Err(Failure::Refused(error)) => {
                if self.load.undo {
                    desk.db.prepare_cached("ROLLBACK TO job")?.execute([])?;
                    desk.turn.undone();
                }
                desk.effects.keep.truncate(marks.0);
                desk.effects.remove.truncate(marks.1);
                self.done = Some(Err(error));
            }
            Err(failure) => return Err(failure),
        }
        if self.load.undo {
            desk.db.prepare_cached("RELEASE job")?.execute([])?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, group: Result<(), StoreError>) {
        let result = match (group, self.done) {
            // A refusal is true whatever became of the others.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(stopped()),
        };
        drop(self.room);
        self.answer.send(result);
    }

    fn weight(&self) -> usize {
        self.room.octets
    }

    fn durable(&self) -> bool {
        self.load.durable
    }
}

impl Engine {
    fn serve(mut self, orders: &Receiver<Order>) {
        if self.copier.is_some()
            && let Err(failure) = schema::no_automatic_copies(&self.db)
        {
            tracing::warn!(?failure, "the log is copied back by the thread that commits");
        }
        while let Ok(first) = orders.recv() {
            let (group, probe) = gather(first, orders);
            if !group.is_empty() {
                self.transact(group);
            }
            if let Some(answer) = probe {
                answer.send(self.probe());
            }
            self.finish_copy();
        }
        if self.serves
            && self.health.check().is_ok()
            && let Err(failure) = schema::set_meta(&self.db, "clean", 1)
        {
            tracing::warn!(?failure, "the store could not note that it ended well");
        }
    }

    fn transact(&mut self, mut group: Vec<Box<dyn Job>>) {
        let mut effects = Effects::default();
        let written = match self.health.check() {
            Ok(()) => self.write(&mut group, &mut effects),
            Err(error) => Err((Failure::Refused(error), false)),
        };
        match written {
            Ok(()) => {
                effects.keep.drain(..).for_each(StagedBody::keep);
                group.into_iter().for_each(|job| job.finish(Ok(())));
                self.remove(effects.remove);
            }
            Err((failure, doubt)) => {
                if doubt {
                    // The rows may be durable after all: their bodies stay until the next sweep.
                    effects.keep.drain(..).for_each(StagedBody::keep);
                }
                match &failure {
                    Failure::Broken(trouble) => self.health.broke(trouble),
                    Failure::Full(what) => self.health.ran_short(what),
                    _ => {}
                }
                let error = failure.into_error();
                group.into_iter().for_each(|job| job.finish(Err(error.clone())));
            }
        }
    }

    /// Writes a group. The flag of an error says whether the commit had begun.
    fn write(&mut self, group: &mut [Box<dyn Job>], effects: &mut Effects) -> Result<(), (Failure, bool)> {
        let weight = group.iter().map(|job| job.weight().max(SMALL)).fold(0, usize::saturating_add);
        self.turn.last_number = None;
        let mut run = || -> SqlResult<()> {
            let durable = group.iter().any(|job| job.durable());
            if durable != self.synced {
                schema::sync_commits(&self.db, durable)?;
                self.synced = durable;
            }
            self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut desk = Desk { db: &self.db, effects, turn: &mut self.turn };
            group.iter_mut().try_for_each(|job| job.run(&mut desk))
        };
        let (result, doubt) = match run() {
            Ok(()) => (self.end("COMMIT"), true),
            Err(failure) => (Err(failure), false),
        };
        if result.is_err() {
            self.turn.undone();
            if !self.db.is_autocommit() {
                // Its own failure adds nothing: the group is refused in any case.
                drop(self.end("ROLLBACK"));
            }
        }
        if let Some(copier) = &mut self.copier {
            copier.written(weight);
        }
        result.map_err(|failure| (failure, doubt))
    }

    /// What little the copier could not copy while we wrote on; after it SQLite begins the log anew.
    fn finish_copy(&mut self) {
        let due = self.copier.as_ref().is_some_and(Copier::nearly_done);
        if !due || self.health.check().is_err() {
            return;
        }
        match checkpoint::copy(&self.db) {
            Ok(copied) => self.copier.iter().for_each(|copier| copier.note(copied)),
            Err(failure) => checkpoint::failed(&self.health, failure),
        }
    }

    fn end(&self, sql: &str) -> SqlResult<()> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn remove(&self, files: Vec<String>) {
        if !files.is_empty() {
            let bodies = Arc::clone(&self.bodies);
            drop(self.disk.run(move |()| files.iter().for_each(|file| bodies.remove(file))));
        }
    }

    /// After an error nothing of the log file may be believed: a sync that failed may have thrown
    /// pages away, and the next one will not say so. So everything is copied into the main file,
    /// which is written and synced anew, before the first new promise.
    fn probe(&mut self) -> Result<(), StoreError> {
        let (broken, short) = (self.health.check().is_err(), self.health.is_short());
        if broken {
            self.db = schema::open_writer(&self.path, false)?;
            if self.copier.is_some() {
                schema::no_automatic_copies(&self.db).map_err(Failure::into_error)?;
            }
            self.synced = true;
            self.turn.undone();
            let busy = self
                .db
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
                .map_err(|error| Failure::from(error).into_error())?;
            if busy != 0 {
                return Err(StoreError::Unavailable("readers are in the way of recovery".to_owned()));
            }
        }
        if broken || short {
            self.bodies.trial().map_err(|error| self.health.disk("a trial body", &error))?;
        }
        if !self.synced {
            schema::sync_commits(&self.db, true).map_err(Failure::into_error)?;
            self.synced = true;
        }
        let write = || -> SqlResult<()> {
            let count = schema::meta(&self.db, "probe")?;
            schema::set_meta(&self.db, "probe", count.saturating_add(1))
        };
        match write() {
            Ok(()) => {
                self.health.recovered();
                Ok(())
            }
            Err(failure) => {
                match &failure {
                    Failure::Broken(trouble) => self.health.broke(trouble),
                    Failure::Full(what) => self.health.ran_short(what),
                    _ => {}
                }
                Err(failure.into_error())
            }
        }
    }
}

/// What waits, up to the bounds of a group, or up to a probe.
fn gather(first: Order, orders: &Receiver<Order>) -> (Vec<Box<dyn Job>>, Option<ProbeAnswer>) {
    let mut group = Vec::new();
    let mut octets: usize = 0;
    let mut next = Some(first);
    while let Some(order) = next {
        match order {
            Order::Probe(answer) => return (group, Some(answer)),
            Order::Change(job) => {
                octets = octets.saturating_add(job.weight());
                group.push(job);
            }
        }
        if group.len() >= GROUP_JOBS || octets >= GROUP_OCTETS {
            break;
        }
        next = orders.try_recv().ok();
    }
    (group, None)
}
