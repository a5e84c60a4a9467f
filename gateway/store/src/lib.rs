//! The durable queue: messages, the state of each recipient, their bodies, and the outbox of trail
//! records, changed together or not at all.
//!
//! [`Store`] is the seam: batch-shaped, async, and without a runtime. What it promises is written
//! at each method and checked by one contract suite for every engine. States and their changes
//! ([`Progress`]) and the retry plan ([`Schedule`]) are pure; engines only keep them.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod body;
mod changes;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod message;
mod oneshot;
mod query;
mod schedule;
mod sqlite;
mod state;

use std::future::Future;

pub use body::{BodyReader, BodyRef, MAX_INLINE_BODY, StagedBody, Staging};
pub use changes::{Accepted, Changes, ClaimRequest, Committed, Lease, LeaseToken, Update, Work};
pub use error::StoreError;
use ident::Timestamp;
pub use message::{
    BodyContent, BodyInfo, Destination, DestinationError, Envelope, Message, MessageInfo, NewBody, NewMessage,
    NewRecipient, Notify, Protection, Recipient, Repeat, Return,
};
pub use query::{Counts, DestinationCount, EventQuery, Filter, OutboxRow, Page, Standing};
pub use schedule::Schedule;
pub use sqlite::{
    Examination, FileStaging, FreeSpace, FreeSpaceHook, KeyMark, Recovery, SqliteOptions, SqliteStore, Wrapped,
    free_space,
};
pub use state::{Progress, Reason, State, Step, TransitionError};
pub use trail::{Direction, QueueId};

/// The durable queue.
///
/// Every method may be called from any number of tasks. A future that is dropped does not undo
/// what it began.
pub trait Store: Send + Sync + 'static {
    /// Writes a large body piece by piece.
    type Staging: Staging;

    /// The name that this store was given when it was made: tells it from another one in the same
    /// place (QU13), and its outbox numbers from another one's.
    fn identity(&self) -> &str;

    /// Begins a body that is too large to hold in memory. Blocking: for a thread that may wait.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    fn stage(&self) -> Result<Self::Staging, StoreError>;

    /// Makes all changes, or none. When it returns `Ok`, they are on stable storage: this is the
    /// moment for `250`. On any error nothing was promised: answer 4xx.
    ///
    /// # Errors
    /// [`StoreError::Full`] for new messages only: outcomes still go through.
    fn commit(&self, changes: Changes) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// Leases due work: recipients of one body that go the same way come together. Nobody else
    /// gets them before the lease ends. Destinations take turns.
    fn claim(&self, request: ClaimRequest) -> impl Future<Output = Result<Vec<Work>, StoreError>> + Send;

    /// Prolongs a lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when the work is somebody else's by now, or ended.
    fn renew(&self, lease: &Lease, until: Timestamp) -> impl Future<Output = Result<Lease, StoreError>> + Send;

    /// Gives work back untouched, due at `due`: no attempt is counted.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    fn release(&self, lease: &Lease, due: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// When the next work falls due (also leases that end); none when nothing waits.
    fn next_due(&self) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Opens a body. The reader proves the hash before it hands out the last piece.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the body is missing or shorter than promised.
    fn body(&self, body: &BodyRef) -> impl Future<Output = Result<BodyReader, StoreError>> + Send;

    /// One message with its recipients, ended or not.
    fn message(&self, id: QueueId) -> impl Future<Output = Result<Option<Message>, StoreError>> + Send;

    /// Messages in the order of their ids.
    fn list(&self, filter: Filter, page: Page) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// The messages that carry this Message-ID, newest first, 100 at most.
    fn find_by_message_id(&self, message_id: &str) -> impl Future<Output = Result<Vec<QueueId>, StoreError>> + Send;

    /// How much waits, where, and since when.
    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Trail records that are still in the outbox, in the order in which they were committed.
    fn events(&self, query: EventQuery) -> impl Future<Output = Result<Vec<trail::Record>, StoreError>> + Send;

    /// The oldest rows of the outbox, up to `limit`, in the order of commit. Taking twice gives
    /// the same rows until they are released.
    fn take_outbox(&self, limit: usize) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

    /// Removes the rows up to and with this one: they are safe elsewhere. Their numbers are not
    /// used again.
    fn release_outbox(&self, up_to: u64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets ended messages accepted before this moment, up to `limit`; says how many.
    fn forget(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Tries whether the store works, and when it stood still after an error, brings it back.
    ///
    /// # Errors
    /// The reason why it does not work.
    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
