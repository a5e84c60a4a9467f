//! The embedded engine: SQLite in WAL mode with every commit synced, one committer, large bodies
//! in files (decision 0002).

mod aside;
mod checkpoint;
mod claim;
mod committer;
#[cfg(test)]
mod crash;
mod failure;
mod files;
mod health;
mod lines;
mod pool;
mod read;
mod ready;
mod recovery;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod upkeep;
mod wrapping;
mod write;

use std::{
    fs::{self, File, OpenOptions},
    io::{Cursor, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use files::FileStaging;
pub use health::{FreeSpace, FreeSpaceHook, free_space};
use ident::{Fingerprint, Timestamp};
pub use recovery::Recovery;
use rusqlite::{Connection, OptionalExtension};
use trail::{QueueId, Record};
pub use upkeep::Examination;
pub use wrapping::{KeyMark, Wrapped};

use self::{
    checkpoint::Copier,
    claim::Turn,
    committer::{Committer, Engine, Load},
    failure::SqlResult,
    files::Bodies,
    health::Health,
    pool::Pool,
    ready::{ReadyBody, ReadyChanges},
};
use crate::{
    BodyContent, BodyReader, BodyRef, Changes, ClaimRequest, Committed, Counts, EventQuery, Filter, Lease,
    MAX_INLINE_BODY, Message, OutboxRow, Page, Staging, Store, StoreError, Work, body::Place,
};

/// How an embedded store behaves.
pub struct SqliteOptions {
    /// Asks for the room on the disk.
    pub free_space: FreeSpaceHook,
    /// Under this percentage of free space new messages are refused.
    pub reserve_percent: u8,
    /// Threads that write bodies to files.
    pub disk_threads: usize,
    /// Threads that answer questions.
    pub read_threads: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { free_space: Box::new(free_space), reserve_percent: 5, disk_threads: 4, read_threads: 2 }
    }
}

/// The embedded store.
pub struct SqliteStore {
    // In this order they end: the committer first, the lock last.
    committer: Committer,
    readers: Pool<Connection>,
    disk: Arc<Pool<()>>,
    bodies: Arc<Bodies>,
    health: Arc<Health>,
    dir: PathBuf,
    identity: String,
    passed_over: Arc<AtomicU64>,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the store in a folder to serve it, and makes it if there is none. Takes back the
    /// leases of a process that died, sweeps what it left half done, and says what it found.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process serves it, [`StoreError::Foreign`],
    /// [`StoreError::Unavailable`].
    pub fn open(dir: &Path, options: SqliteOptions) -> Result<(Self, Recovery), StoreError> {
        let lock = take_lock(dir)?;
        let new = !dir.join("queue.db").exists();
        let mut db = schema::open_writer(&dir.join("queue.db"), true)?;
        if new {
            files::sync_dir(dir).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        let (generation, unclean) = recovery::begin(&mut db, true)?;
        let health = Arc::new(Health::new(options.free_space, options.reserve_percent));
        let bodies = Arc::new(Bodies::new(dir.join("bodies"), generation, Arc::clone(&health))?);
        let recovery = recovery::recover(&mut db, &bodies, unclean)?;
        let parts = Parts { dir, db, generation, health, bodies, lock: Some(lock) };
        Ok((Self::start(parts, options.disk_threads, options.read_threads)?, recovery))
    }

    /// Opens a store that another process may be serving: to look at it and to give orders.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none, [`StoreError::Foreign`].
    pub fn attach(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let mut db = schema::open_writer(&dir.join("queue.db"), false)?;
        let (generation, _) = recovery::begin(&mut db, false)?;
        let health = Arc::new(Health::new(options.free_space, options.reserve_percent));
        let bodies = Arc::new(Bodies::new(dir.join("bodies"), generation, Arc::clone(&health))?);
        let parts = Parts { dir, db, generation, health, bodies, lock: None };
        Self::start(parts, 1, 1)
    }

    fn start(parts: Parts<'_>, disk_threads: usize, read_threads: usize) -> Result<Self, StoreError> {
        let path = parts.dir.join("queue.db");
        let identity = recovery::identity(&parts.db)?;
        let disk = Arc::new(Pool::new("store-disk", vec![(); disk_threads.max(1)])?);
        let readers = (0..read_threads.max(1)).map(|_| schema::open_reader(&path)).collect::<Result<_, _>>()?;
        let serves = parts.lock.is_some();
        let copier = if serves { Some(Copier::start(&path, Arc::clone(&parts.health))?) } else { None };
        let engine = Engine {
            path,
            db: parts.db,
            turn: Turn::new(parts.generation),
            bodies: Arc::clone(&parts.bodies),
            disk: Arc::clone(&disk),
            health: Arc::clone(&parts.health),
            serves,
            copier,
            synced: true,
        };
        Ok(Self {
            committer: Committer::start(engine)?,
            readers: Pool::new("store-read", readers)?,
            disk,
            bodies: parts.bodies,
            health: parts.health,
            dir: parts.dir.to_owned(),
            identity,
            passed_over: Arc::default(),
            _lock: parts.lock,
        })
    }

    /// Whether the store may promise anything at this moment; for readiness.
    ///
    /// # Errors
    /// Why not: [`StoreError::Unavailable`] or [`StoreError::Full`].
    pub fn ready(&self) -> Result<(), StoreError> {
        self.health.check()?;
        self.health.room(&self.dir)
    }

    /// How many messages lists have passed over because they cannot be read.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// What [`SqliteStore::open`] found was told where it stays: the next start need not tell it again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn told(&self) -> Result<(), StoreError> {
        self.committer.run(Load::UNDOABLE, |desk| schema::set_meta(desk.db, recovery::UNTOLD, 0)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> SqlResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.readers.run(question).await {
            Some(answer) => answer.map_err(failure::Failure::into_error),
            None => Err(StoreError::Unavailable("the store has stopped".to_owned())),
        }
    }

    /// Settles the hash of every body, and writes the large ones to files.
    async fn ready_bodies(&self, changes: &mut Changes) -> Result<Vec<Vec<ReadyBody>>, StoreError> {
        let mut all = Vec::new();
        for message in &mut changes.messages {
            let mut bodies = Vec::new();
            for body in &mut message.bodies {
                let content = std::mem::replace(&mut body.content, BodyContent::Bytes(Vec::new()));
                bodies.push(self.ready_body(content).await?);
            }
            all.push(bodies);
        }
        Ok(all)
    }

    async fn ready_body(&self, content: BodyContent) -> Result<ReadyBody, StoreError> {
        match content {
            BodyContent::Bytes(bytes) if bytes.len() > MAX_INLINE_BODY => {
                let bodies = Arc::clone(&self.bodies);
                let written = self.disk.run(move |()| {
                    let mut staging = bodies.stage()?;
                    staging.write_all(&bytes).map_err(|error| bodies.trouble(&error))?;
                    staging.finish()
                });
                let staged =
                    written.await.ok_or_else(|| StoreError::Unavailable("the store has stopped".to_owned()))??;
                let (digest, size) = (staged.digest, staged.size);
                Ok(ReadyBody { content: BodyContent::Staged(staged), digest, size })
            }
            BodyContent::Bytes(bytes) => {
                let digest = Fingerprint::new(openssl::sha::sha256(&bytes));
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(ReadyBody { content: BodyContent::Bytes(bytes), digest, size })
            }
            BodyContent::Staged(staged) => {
                let (digest, size) = (staged.digest, staged.size);
                Ok(ReadyBody { content: BodyContent::Staged(staged), digest, size })
            }
        }
    }
}

struct Parts<'a> {
    dir: &'a Path,
    db: Connection,
    generation: i64,
    health: Arc<Health>,
    bodies: Arc<Bodies>,
    lock: Option<File>,
}

/// Makes the folder and takes its lock; it is given back when the process ends, however it ends.
fn take_lock(dir: &Path) -> Result<File, StoreError> {
    let unavailable = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", dir.display()));
    files::make_dir(dir).map_err(unavailable)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join("queue.lock"))
        .map_err(unavailable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(dir.display().to_string())),
        Err(fs::TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

impl Store for SqliteStore {
    type Staging = FileStaging;

    fn identity(&self) -> &str {
        &self.identity
    }

    fn stage(&self) -> Result<FileStaging, StoreError> {
        self.bodies.stage()
    }

    async fn commit(&self, mut changes: Changes) -> Result<Committed, StoreError> {
        write::check(&changes)?;
        self.health.check()?;
        if !changes.messages.is_empty() && !changes.use_reserve {
            self.health.room(&self.dir)?;
        }
        let bodies = self.ready_bodies(&mut changes).await?;
        let changes = ReadyChanges::new(changes, bodies)?;
        let load = Load { octets: changes.weight(), undo: changes.may_be_undone(), durable: true };
        self.committer.run(load, move |desk| write::commit(desk.db, changes, desk.effects, desk.turn)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Work>, StoreError> {
        self.committer.run(Load::LEASE, move |desk| claim::claim(desk.db, &request, desk.turn)).await
    }

    async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        let lease = *lease;
        self.committer.run(Load::UNDOABLE, move |desk| claim::renew(desk.db, &lease, until, desk.turn)).await
    }

    async fn release(&self, lease: &Lease, due: Timestamp) -> Result<(), StoreError> {
        let lease = *lease;
        self.committer.run(Load::UNDOABLE, move |desk| claim::release(desk.db, &lease, due, desk.turn)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(read::next_due).await
    }

    async fn body(&self, body: &BodyRef) -> Result<BodyReader, StoreError> {
        let (bodies, body) = (Arc::clone(&self.bodies), body.clone());
        self.read(move |db| match &body.place {
            Place::File(name) => Ok(bodies.open(name, body.digest, body.size)?),
            Place::Row(seq) => inline_body(db, *seq, &body),
        })
        .await
    }

    async fn message(&self, id: QueueId) -> Result<Option<Message>, StoreError> {
        self.read(move |db| read::message(db, id)).await
    }

    async fn list(&self, filter: Filter, page: Page) -> Result<Vec<Message>, StoreError> {
        let passed_over = Arc::clone(&self.passed_over);
        self.read(move |db| {
            read::list(db, &filter, page, |id| {
                tracing::error!(%id, "a message of the queue cannot be read: `sceau doctor` says why");
                passed_over.fetch_add(1, Ordering::Relaxed);
            })
        })
        .await
    }

    async fn find_by_message_id(&self, message_id: &str) -> Result<Vec<QueueId>, StoreError> {
        let message_id = message_id.to_owned();
        self.read(move |db| read::find_by_message_id(db, &message_id)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(read::counts).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Record>, StoreError> {
        self.read(move |db| read::events(db, &query)).await
    }

    async fn take_outbox(&self, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(move |db| read::outbox(db, 0, limit, None)).await
    }

    async fn release_outbox(&self, up_to: u64) -> Result<(), StoreError> {
        self.committer.run(Load::UNDOABLE, move |desk| write::release_outbox(desk.db, up_to)).await
    }

    async fn forget(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.committer.run(Load::UNDOABLE, move |desk| write::forget(desk.db, before.millis(), limit)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.committer.probe().await
    }
}

fn inline_body(db: &Connection, seq: i64, body: &BodyRef) -> SqlResult<BodyReader> {
    let content = db
        .prepare_cached("SELECT content FROM body WHERE seq = ?1")?
        .query_row([seq], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()?
        .flatten();
    match content {
        Some(bytes) if openssl::sha::sha256(&bytes) == *body.digest.as_bytes() => {
            Ok(BodyReader::new(Box::new(Cursor::new(bytes)), body.size))
        }
        Some(_) => Err(StoreError::Damaged(format!("the hash of body {} is wrong", body.digest)).into()),
        None => Err(StoreError::Damaged(format!("body {} is not there", body.digest)).into()),
    }
}
