//! Questions to the store.

use ident::{Domain, Timestamp};
use serde::Serialize;
use trail::{Direction, QueueId, Record};

use crate::{Destination, StoreError};

/// Where a message stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// At least one recipient has not ended.
    Active,
    /// At least one recipient is held.
    Held,
    /// All recipients have ended.
    Ended,
}

/// Which messages to list: all conditions hold. Empty lists everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Where it stands.
    pub standing: Option<Standing>,
    /// Which way it goes.
    pub direction: Option<Direction>,
    /// Sender, letter case aside.
    pub sender: Option<String>,
    /// A recipient, letter case aside.
    pub recipient: Option<String>,
    /// The domain of a recipient.
    pub domain: Option<Domain>,
    /// The destination of a recipient that has not ended.
    pub destination: Option<Destination>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Begin after this id.
    pub after: Option<QueueId>,
    /// At most so many.
    pub limit: usize,
}

/// Which trail records.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// About this message.
    pub message: Option<QueueId>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// After this row of the outbox.
    pub after: Option<u64>,
    /// At most so many records; 0 = 10,000.
    pub limit: usize,
}

/// A row of the outbox: records of one message and one retention class that were committed
/// together. It becomes one entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Number, growing with the order of commit, without gaps.
    pub number: u64,
    /// The records, one line of JSON each.
    pub lines: String,
}

impl OutboxRow {
    /// The records.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let read = |line: &str| Record::from_json(line.as_bytes());
        let records = self.lines.lines().map(read).collect::<Result<_, _>>();
        records.map_err(|error| StoreError::Damaged(format!("outbox row {}: {error}", self.number)))
    }
}

/// How much waits for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationCount {
    /// Destination.
    pub destination: Destination,
    /// Recipients waiting.
    pub queued: u64,
    /// Recipients in delivery.
    pub in_flight: u64,
    /// Recipients held.
    pub held: u64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

/// How much waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that have not ended.
    pub messages: u64,
    /// Recipients waiting.
    pub queued: u64,
    /// Recipients in delivery.
    pub in_flight: u64,
    /// Recipients held.
    pub held: u64,
    /// Rows of trail records that wait for the log.
    pub outbox: u64,
    /// When the oldest message was accepted.
    pub oldest: Option<Timestamp>,
    /// By destination, in their order.
    pub destinations: Vec<DestinationCount>,
}
