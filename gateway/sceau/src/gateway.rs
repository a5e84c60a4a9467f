//! The running gateway: what all its tasks share.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ident::{Clock, Timestamp};
use store::{Changes, Recovery, Schedule, SqliteOptions, SqliteStore, Store, StoreError};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinHandle,
};
use trail::{Event, Masker, QueueId, Record};

use crate::{
    audit::{self, Checkpoints, Secrets},
    bound::Binder,
    config::{Loaded, Problem},
    directory::When,
    health::Standing,
    intake::failures::Failures,
    keys,
    knocks::Knocks,
    published::PublishedFile,
    refresh,
    rest::{SpoolRoom, Vault},
    snapshot::{self, Snapshot},
    trust::{self, Fresh, OrderBook, Shelf},
};

/// Trail records that may wait to be written; beyond that the oldest news is lost rather than
/// the service (records of accepted messages never come this way).
const RECORDS_WAITING: usize = 10_000;
/// How long to wait before trying again what the disk refused.
const UNWRITTEN: Duration = Duration::from_secs(1);
/// Records written in one transaction.
const RECORDS_AT_ONCE: usize = 200;
/// A generation that is read does not wait longer for the words that will be asked for: it may oppose a card.
const LONGEST_READYING: Duration = Duration::from_secs(5);

/// What all tasks of a gateway share.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    loaded: Mutex<Loaded>,
    /// The durable queue.
    pub store: Arc<SqliteStore>,
    vault: ArcSwap<Vault>,
    /// How addresses and texts may appear in the trail.
    pub masker: Masker,
    /// Messages that could not be opened.
    pub failures: Failures,
    /// What binds queued messages to their rows.
    pub binder: Binder,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Rings when there is something to deliver.
    pub wake: Notify,
    /// Rings when another world is in force.
    replaced: watch::Sender<()>,
    /// How many are reading another generation of the directory.
    reading: watch::Sender<u32>,
    /// Secrets of the trail.
    pub secrets: Arc<Secrets>,
    /// Checkpoints of the trail, ours and our peers'.
    pub checkpoints: Checkpoints,
    /// Alarms that stand.
    pub standing: Standing,
    /// Strangers that were turned away.
    pub knocks: Knocks,
    /// When to try again.
    pub schedule: Schedule,
    /// Bounds how many threads do cryptography at once.
    crypto: Semaphore,
    /// What the start found in the queue.
    pub recovery: Recovery,
    records: Mutex<Option<mpsc::Sender<Record>>>,
    unrecorded: AtomicU64,
    configuration: PathBuf,
    changing: Mutex<()>,
    /// Whoever is about to make a new world of everything: one after the other, before it takes a place of cryptography.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    orders: OrderBook,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Faults of the configuration or of what it names.
    #[error("the configuration is not in order")]
    Configuration(Vec<Problem>),
    /// The queue cannot be opened.
    #[error("the queue cannot be opened: {0}")]
    Store(#[from] store::StoreError),
    /// The data folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// The cryptographic library does not do what it must.
    #[error("the cryptographic self-test failed: {0}")]
    SelfTest(String),
}

impl From<Vec<Problem>> for StartError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Configuration(problems)
    }
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self::Configuration(vec![problem])
    }
}

impl Gateway {
    /// Loads the configuration, opens the queue, and makes ready to run.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn open(
        configuration: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Record>), StartError> {
        pki::self_test::self_test().map_err(|error| StartError::SelfTest(error.to_string()))?;
        let loaded = Loaded::read(&configuration)?;
        let snapshot = Snapshot::load(&loaded, clock.now())?;
        // A token that is away is waited for; a key that is not on it, or another one's, never heals.
        let lasting = snapshot.keys.lasting_faults();
        if !lasting.is_empty() {
            return Err(StartError::Configuration(lasting));
        }
        let (snapshot, fresh) = remembered(&loaded, snapshot, clock.now())?;
        refresh::recall_answers(&loaded, &snapshot, clock.now());
        let data = loaded.data();
        DirBuilder::new().recursive(true).mode(0o700).create(data.join("spool"))?;
        let (store, recovery) = SqliteStore::open(&data.join("queue"), SqliteOptions::default())?;
        tracing::info!("{}", recovery.explain().en);
        // Read while nobody else serves: what is retired now is not what we wrap under.
        let vault = snapshot::vault(&loaded)?;
        let secrets = keys::checkpoint::secrets(&loaded, &vault, Some(&snapshot.keys))?;
        rewrap(&data, &vault)?;
        let masker = Masker::new(secrets.masking(), loaded.config.patients.domains.clone());
        let delivery = &loaded.config.delivery;
        let schedule = Schedule {
            first: delivery.first_retry.0,
            cap: delivery.last_retry.0,
            lifetime: delivery.lifetime.0,
            notices: delivery.delay_notices.iter().map(|span| span.0).collect(),
            ..Schedule::default()
        };
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let (records, waiting) = mpsc::channel(RECORDS_WAITING);
        let gateway = Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            loaded: Mutex::new(loaded),
            store: Arc::new(store),
            vault: ArcSwap::from_pointee(vault),
            masker,
            binder: Binder::new(secrets.binding()?),
            clock,
            wake: Notify::new(),
            replaced: watch::Sender::new(()),
            reading: watch::Sender::new(0),
            secrets: Arc::new(secrets),
            checkpoints: Checkpoints::default(),
            failures: Failures::default(),
            standing: Standing::default(),
            knocks: Knocks::default(),
            schedule,
            crypto: Semaphore::new(threads),
            recovery,
            records: Mutex::new(Some(records)),
            unrecorded: AtomicU64::new(0),
            configuration,
            changing: Mutex::new(()),
            reloading: tokio::sync::Mutex::new(()),
            orders: OrderBook::below(&data),
        };
        fresh.iter().for_each(|fresh| trust::tell(&gateway, fresh));
        Ok((Arc::new(gateway), waiting))
    }

    /// The world as it is now, for work that decides nothing and must not take up orders: it may be slow.
    pub(crate) fn in_force(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The world as it is now, under the orders as they are now. Hold it for one decision, not for a session.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.load_full();
        let unchanged = snapshot.orders.stamp() == self.orders.stamp();
        if unchanged { snapshot } else { self.obey() }
    }

    /// Takes up what was ordered since. Orders that cannot be read leave those before in force.
    fn obey(&self) -> Arc<Snapshot> {
        // Whoever changes the world at this moment sees to it; the next decision looks again.
        if let Ok(_one_at_a_time) = self.changing.try_lock() {
            let current = self.snapshot.load_full();
            match self.orders.read(current.grant_rules(), self.now()) {
                Ok(orders) => self.replace(current.ordered(orders)),
                Err(error) => {
                    tracing::error!(%error, "orders cannot be read: those before stay in force");
                    self.replace(current.ordered(current.orders.unreadable(self.orders.stamp(), error.to_string())));
                }
            }
        }
        self.snapshot.load_full()
    }

    /// The storage keys.
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.load_full()
    }

    /// Notes in the queue under which key we wrap: until that is another one, nobody may retire it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tell_wrapping(&self) -> Result<(), StoreError> {
        self.store.wraps_under(self.vault().current().octets()).await
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether messages can be kept at this moment (readiness).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while the store stands still, [`StoreError::Full`] while it only drains.
    pub fn ready(&self) -> Result<(), StoreError> {
        self.store.ready()
    }

    /// Folder of queue, trail and spool.
    pub fn data(&self) -> PathBuf {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).data()
    }

    /// A path of the configuration.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).path(path)
    }

    /// Another directory that our mailboxes are made known in, with its files as the configuration finds them.
    pub(crate) fn publish_to(&self, there: &crate::config::PublishTo) -> crate::config::PublishTo {
        there.at(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fresh queue id.
    pub fn queue_id(&self) -> QueueId {
        let mut random = [0u8; 8];
        // Ids need to be unique, not secret; should the source fail, the clock still tells them apart.
        let _ = openssl::rand::rand_bytes(&mut random);
        QueueId::new(self.now(), u64::from_be_bytes(random))
    }

    /// Reads configuration and everything that it names again. On any fault the old state stays.
    ///
    /// # Errors
    /// The problems found.
    pub fn reload(&self) -> Result<(), Vec<Problem>> {
        if self.reload_all_else()? {
            self.bring_directory(None);
        }
        Ok(())
    }

    /// The same but for the directory, where another one is to be read: that takes seconds, for which nothing else waits.
    /// Gives whether it does ([`crate::directory::Troubles::waits`]).
    ///
    /// # Errors
    /// The problems found.
    pub(crate) fn reload_all_else(&self) -> Result<bool, Vec<Problem>> {
        let _one_at_a_time = self.changing();
        let loaded = Loaded::read(&self.configuration).map_err(|problem| vec![problem])?;
        let current = self.snapshot();
        let snapshot = Snapshot::load_all_else_beside(&loaded, &current, self.now())?;
        // How patients are masked is settled at the start: half a trail under other rules helps nobody, and
        // a change that is only believed to be in force would write numbers down.
        if snapshot.config.patients != current.config.patients {
            let what = "[patients] has changed: that takes a restart";
            return Err(vec![Problem::of(&self.configuration, what)]);
        }
        self.vault.store(Arc::new(snapshot::vault(&loaded).map_err(|problem| vec![problem])?));
        // One memory for all snapshots: what is remembered meanwhile must not be missing in the new one.
        let (mut snapshot, fresh) = remembered(&loaded, snapshot, self.now()).map_err(|problem| vec![problem])?;
        snapshot.sealed_before = Arc::clone(&current.sealed_before);
        snapshot.capabilities = Arc::clone(&current.capabilities);
        let directory_waits = snapshot.troubles.waits;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
        self.replace(snapshot);
        fresh.iter().for_each(|fresh| trust::tell(self, fresh));
        Ok(directory_waits)
    }

    /// Reads the generation that is to be in service, and then, for some seconds at most and as long as `go_on` says so, the
    /// words that will be asked for. What cannot be read is told by [`Self::bring_directory`].
    pub(crate) fn read_ahead(&self, go_on: &dyn Fn() -> bool) -> Option<Ahead> {
        let data = self.directory()?;
        // Three nations side by side would be more than we may take: whoever holds one more lets it go first.
        let until_used = Reading::of(&self.reading);
        let generation = Arc::new(data.current().ok()?);
        // What people asked of the one in service they ask of this one next, and nobody is to be the first.
        let (current, began) = (self.in_force(), Instant::now());
        let go_on = || began.elapsed() < LONGEST_READYING && go_on();
        generation.make_ready(Some(&current.registry), current.generation.as_deref(), &go_on);
        Some(Ahead { generation, until_used, is_ready: go_on() })
    }

    /// Puts the generation in service that is to be, which is read now if it was not ahead. Gives whether there is still
    /// another one to be read.
    pub(crate) fn bring_directory(&self, ahead: Option<Ahead>) -> bool {
        let one_at_a_time = self.changing();
        let until_read = Reading::of(&self.reading);
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (ahead, until_used) = ahead.map(|ahead| (ahead.generation, ahead.until_used)).unzip();
        let before = self.in_force();
        let snapshot = before.with_directory(&loaded, ahead.map_or(When::Now, When::Ahead));
        let (now, last, waits) = (snapshot.generation.clone(), before.generation.clone(), snapshot.troubles.waits);
        self.replace(snapshot);
        drop((one_at_a_time, until_read, until_used, before));
        if let Some(last) = last.filter(|last| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, last))) {
            last.forget_questions();
            drop(last);
            pki::memory::give_back();
        }
        waits
    }

    /// For whoever makes a new world of the one in force: nobody else does meanwhile.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is the world. Only while [`Self::changing`] is held.
    pub(crate) fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.replaced.send_replace(());
    }

    /// Keeps what an operator published: it is shown from now on, and after a crash.
    ///
    /// # Errors
    /// Those of the system; then nothing was published.
    pub(crate) fn publish(&self, mailboxes: Vec<annuaire::PublishedMailbox>) -> std::io::Result<()> {
        let _one_at_a_time = self.changing();
        PublishedFile::below(&self.data()).append(&mailboxes)?;
        self.replace(self.snapshot.load_full().publishing(mailboxes));
        Ok(())
    }

    /// For whoever keeps something that follows from the world in force.
    pub(crate) fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Until this goes, whoever holds generations that nobody is answered from has let them go.
    pub(crate) fn begin_reading(&self) -> Reading {
        Reading::of(&self.reading)
    }

    /// For whoever holds generations that nobody is answered from.
    pub(crate) fn reading(&self) -> watch::Receiver<u32> {
        self.reading.subscribe()
    }

    /// The data folder of the directory, if one is configured.
    pub(crate) fn directory(&self) -> Option<annuaire::DataFolder> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.config.annuaire.data.as_ref().map(|data| annuaire::DataFolder::new(&loaded.path(data)))
    }

    /// Runs cryptographic work on a thread that may block, at most one per core at a time.
    ///
    /// # Errors
    /// A sentence when the work could not be run; it is the caller's 4xx.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let _permit = self.crypto.acquire().await.map_err(|error| error.to_string())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
    }

    /// Waits for somebody else in the middle of such work: meanwhile another thread may have its place.
    ///
    /// # Errors
    /// A sentence when there is nobody to wait with: not on a thread of [`Self::compute`].
    pub fn aside<T>(&self, wait: impl Future<Output = T>) -> Result<T, String> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        self.crypto.add_permits(1);
        let outcome = runtime.block_on(wait);
        // What was lent is taken back: whoever called us gives its own place back when it is done.
        runtime.block_on(self.crypto.acquire()).map_err(|error| error.to_string())?.forget();
        Ok(outcome)
    }

    /// Room for what becomes of messages while they are worked on.
    pub fn room(&self) -> SpoolRoom {
        SpoolRoom::new(self.data().join("spool"))
    }

    /// Writes a record that belongs to no acceptance: refusals, connections, loads.
    pub fn record(&self, record: Record) {
        self.standing.hear(&record.event);
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.as_ref().is_none_or(|records| records.try_send(record).is_err()) {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says in log and trail how many records found no room since the last time: the trail names its gaps.
    pub fn tell_unrecorded(&self) {
        let lost = self.unrecorded.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let words = format!(
                "{lost} refusals and connections came faster than they could be written: they are not in the trail"
            );
            tracing::warn!(lost, "records came faster than the trail could be written");
            let event = Event::AlarmRaised { code: "records-lost".to_owned(), text: self.masker.text(&words) };
            let room = |records: &mpsc::Sender<Record>| records.try_send(Record::new(self.now(), event)).is_ok();
            if !self.records.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(room) {
                // They count until they can be told.
                self.unrecorded.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }

    /// Takes no more records and waits until those that wait are written.
    pub async fn flush_records(&self, writer: JoinHandle<()>) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = tokio::time::timeout(Duration::from_secs(5), writer).await;
    }

    /// Writes waiting records until the gateway is dropped: it must not hold the gateway itself.
    pub async fn write_records(store: Arc<SqliteStore>, mut waiting: mpsc::Receiver<Record>) {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, RECORDS_AT_ONCE).await > 0 {
            while let Err(error) = store.commit(Changes::records(batch.clone())).await {
                tracing::error!(%error, "trail records could not be written");
                if !error.is_temporary() {
                    break;
                }
                // They are kept until the disk is well again; the channel bounds how many.
                tokio::time::sleep(UNWRITTEN).await;
            }
            batch.clear();
        }
    }
}

/// For as long as it lives, another generation is being read.
pub(crate) struct Reading(watch::Sender<u32>);

impl Reading {
    fn of(told: &watch::Sender<u32>) -> Self {
        told.send_modify(|count| *count = count.saturating_add(1));
        Self(told.clone())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A generation that was read before it is needed; until then nobody else is to hold one beside it.
pub(crate) struct Ahead {
    generation: Arc<annuaire::Generation>,
    until_used: Reading,
    is_ready: bool,
}

impl Ahead {
    /// Which generation it is, if there was time for its words.
    pub(crate) fn ready(&self) -> Option<&str> {
        self.is_ready.then_some(self.generation.id())
    }
}

/// What rests beside the queue comes under the key that wraps now.
pub(crate) fn rewrap(data: &Path, vault: &Vault) -> std::io::Result<()> {
    audit::rewrap(data, vault)?;
    keys::pins::rewrap(data, vault)
}

/// A list that is about to be in force for the first time is on the shelf before it is.
fn remembered(loaded: &Loaded, snapshot: Snapshot, at: Timestamp) -> Result<(Snapshot, Option<Arc<Fresh>>), Problem> {
    if snapshot.held.fresh.is_none() {
        return Ok((snapshot, None));
    }
    let shelf = Shelf::below(&loaded.data());
    let (held, fresh) = trust::put_on_shelf(&shelf, snapshot.held.as_ref().clone())
        .map_err(|error| Problem::of(shelf.folder(), error.to_string()))?;
    Ok((snapshot.under(held, at), fresh))
}
