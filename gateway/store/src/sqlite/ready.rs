//! Changes made ready for the committer: everything that can be written, hashed or refused before
//! the transaction is, so that the one thread that writes does nothing else.

use trail::{QueueId, Record};

use super::rows::{MessageFacts, RecipientFacts, lookup, wake_column};
use crate::{BodyContent, Changes, Destination, NewMessage, StoreError, Update};

/// Most records in one row of the outbox.
const MAX_RUN: usize = 64;

/// A body whose hash is settled.
pub(crate) struct ReadyBody {
    pub(crate) content: BodyContent,
    pub(crate) digest: ident::Fingerprint,
    pub(crate) size: u64,
}

/// A recipient's row.
pub(crate) struct ReadyRecipient {
    pub(crate) destination: String,
    pub(crate) body: u32,
    pub(crate) wake: Option<i64>,
    pub(crate) facts: String,
}

/// A message's rows.
pub(crate) struct ReadyMessage {
    pub(crate) new: NewMessage,
    pub(crate) lookup: Option<[u8; 16]>,
    pub(crate) facts: String,
    pub(crate) bodies: Vec<BodyContent>,
    pub(crate) recipients: Vec<ReadyRecipient>,
    pub(crate) outbox: Vec<OutboxRun>,
}

/// A row of the outbox.
pub(crate) struct OutboxRun {
    pub(crate) message: Option<String>,
    pub(crate) lines: String,
}

/// All changes.
pub(crate) struct ReadyChanges {
    pub(crate) messages: Vec<ReadyMessage>,
    pub(crate) updates: Vec<Update>,
    pub(crate) reroutes: Vec<(QueueId, u32, Destination)>,
    pub(crate) outbox: Vec<OutboxRun>,
}

impl ReadyChanges {
    /// From changes whose bodies are settled.
    pub(crate) fn new(changes: Changes, bodies: Vec<Vec<ReadyBody>>) -> Result<Self, StoreError> {
        let messages = changes.messages.into_iter().zip(bodies);
        Ok(Self {
            messages: messages.map(|(new, bodies)| ReadyMessage::new(new, bodies)).collect::<Result<_, _>>()?,
            updates: changes.updates,
            reroutes: changes.reroutes,
            outbox: runs(&changes.records)?,
        })
    }

    /// Whether a refusal may come after the first row was written, which then must be undone.
    pub(crate) fn may_be_undone(&self) -> bool {
        self.messages.len().saturating_add(self.updates.len()).saturating_add(self.reroutes.len()) > 1
    }

    /// What the new messages weigh.
    pub(crate) fn weight(&self) -> usize {
        let inline = |content: &BodyContent| match content {
            BodyContent::Bytes(bytes) => bytes.len(),
            BodyContent::Staged(_) => 0,
        };
        let message = |message: &ReadyMessage| {
            let bodies = message.bodies.iter().map(inline).fold(0, usize::saturating_add);
            message.recipients.len().saturating_mul(512).saturating_add(2048).saturating_add(bodies)
        };
        self.messages.iter().map(message).fold(0, usize::saturating_add)
    }
}

impl ReadyMessage {
    fn new(new: NewMessage, bodies: Vec<ReadyBody>) -> Result<Self, StoreError> {
        let unwritable = |_| StoreError::Malformed("a value cannot be written as JSON");
        let digests: Vec<_> = bodies.iter().map(|body| (body.digest, body.size)).collect();
        let sender = new.repeat.as_ref().map(|repeat| repeat.sender.as_str());
        let recipients = new.recipients.iter().map(|recipient| {
            let facts = RecipientFacts::of(recipient, new.expires);
            Ok(ReadyRecipient {
                destination: recipient.destination.to_string(),
                body: recipient.body,
                wake: facts.progress.wake(new.expires).map(wake_column),
                facts: serde_json::to_string(&facts).map_err(unwritable)?,
            })
        });
        Ok(Self {
            lookup: new.message_id.as_deref().map(|id| lookup(id, sender, &new.digest)),
            facts: serde_json::to_string(&MessageFacts::of(&new, &digests)).map_err(unwritable)?,
            bodies: bodies.into_iter().map(|body| body.content).collect(),
            recipients: recipients.collect::<Result<_, _>>()?,
            outbox: runs(&new.records)?,
            new,
        })
    }
}

/// One row for each run of records about the same message and of the same retention class.
fn runs(records: &[Record]) -> Result<Vec<OutboxRun>, StoreError> {
    let same = |a: &Record, b: &Record| a.message == b.message && a.event.class() == b.event.class();
    let runs = records.chunk_by(same).flat_map(|run| run.chunks(MAX_RUN)).map(|run| {
        let mut lines = Vec::new();
        for record in run {
            let json = record.to_json().map_err(|_| StoreError::Malformed("a trail record is too long"))?;
            lines.extend_from_slice(&json);
            lines.push(b'\n');
        }
        let lines = String::from_utf8(lines).map_err(|_| StoreError::Malformed("a trail record is no text"))?;
        Ok(OutboxRun { message: run.first().and_then(|record| record.message).map(|id| id.to_string()), lines })
    });
    runs.collect()
}
