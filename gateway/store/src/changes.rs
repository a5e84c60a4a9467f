//! What goes into the store and what comes out for delivery.

use std::time::Duration;

use ident::Timestamp;
use trail::{QueueId, Record};

use crate::{BodyInfo, Destination, MessageInfo, NewMessage, Recipient, Step};

/// Changes that belong together: all of them, or none.
#[derive(Debug, Default)]
pub struct Changes {
    /// Messages to take charge of.
    pub messages: Vec<NewMessage>,
    /// Steps of recipients. Those of a message among [`Self::messages`] that turns out to be a repetition are not made.
    pub updates: Vec<Update>,
    /// Recipients that go another way from now on.
    pub reroutes: Vec<(QueueId, u32, Destination)>,
    /// Trail records that are true if all this is.
    pub records: Vec<Record>,
    /// The messages belong to an outcome (a notice): they may use the room that is kept for outcomes.
    pub use_reserve: bool,
}

impl Changes {
    /// Only a message.
    pub fn message(message: NewMessage) -> Self {
        Self { messages: vec![message], ..Self::default() }
    }

    /// Only records.
    pub fn records(records: Vec<Record>) -> Self {
        Self { records, ..Self::default() }
    }
}

/// A step of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Message.
    pub message: QueueId,
    /// Index of the recipient.
    pub recipient: u32,
    /// The lease under which the attempt was made; none for an order.
    pub lease: Option<LeaseToken>,
    /// What happened.
    pub step: Step,
}

impl Update {
    /// The sender could not be told of the delay after all: the next attempt tells it.
    pub fn untell(&mut self) {
        if let Step::Deferred { noticed, .. } = &mut self.step {
            *noticed = false;
        }
    }
}

/// What became of the changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// For each new message, in order.
    pub accepted: Vec<Accepted>,
    /// Messages whose last recipient ended with these changes.
    pub ended: Vec<QueueId>,
}

/// What became of a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is queued.
    New(QueueId),
    /// The same sender handed over the same message before: this is its id, nothing was queued.
    Repeated(QueueId),
}

impl Accepted {
    /// The id to tell the sender.
    pub fn id(self) -> QueueId {
        match self {
            Self::New(id) | Self::Repeated(id) => id,
        }
    }
}

/// Proof of a lease. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub(crate) u64);

/// A lease on some recipients of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Proof, for [`Update::lease`].
    pub token: LeaseToken,
    /// Message.
    pub message: QueueId,
    /// End of the lease.
    pub until: Timestamp,
}

/// What work to give out.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// At most so many pieces of work.
    pub limit: usize,
    /// At most so many for one destination.
    pub per_destination: usize,
    /// At most so many recipients in one piece.
    pub recipients: usize,
    /// How long the lease lasts.
    pub lease: Duration,
    /// Now.
    pub now: Timestamp,
    /// Destinations that get nothing this time: blocked, or backing off (QU2).
    pub excluded: Vec<Destination>,
}

impl ClaimRequest {
    /// A request with the house's usual bounds.
    pub fn new(limit: usize, lease: Duration, now: Timestamp) -> Self {
        Self { limit, per_destination: 20, recipients: 100, lease, now, excluded: Vec::new() }
    }
}

/// A piece of work: recipients of one body that go the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The lease on them.
    pub lease: Lease,
    /// What holds for the whole message.
    pub info: MessageInfo,
    /// The body.
    pub body: BodyInfo,
    /// Where to.
    pub destination: Destination,
    /// The recipients.
    pub recipients: Vec<Recipient>,
    /// Their time is over: write [`Step::Expired`] instead of trying.
    pub expired: bool,
}
