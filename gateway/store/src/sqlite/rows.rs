//! Between rows and values.

use ident::{Address, Fingerprint, Timestamp};
use openssl::sha::Sha256;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use trail::{Direction, QueueId};

use super::{
    failure::SqlResult,
    schema::{MAX_PARTS, SHIFT},
};
use crate::{
    BodyInfo, BodyRef, Destination, Envelope, Message, MessageInfo, NewBody, NewMessage, NewRecipient, Notify,
    Progress, Protection, Recipient, StoreError, body::Place,
};

/// `message.facts`.
#[derive(Serialize, Deserialize)]
pub(crate) struct MessageFacts {
    direction: Direction,
    envelope: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    pub(crate) digest: Fingerprint,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repeat: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    notes: String,
    bodies: Vec<BodyFacts>,
}

#[derive(Serialize, Deserialize)]
struct BodyFacts {
    protection: Protection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    content_key: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inner: Option<Fingerprint>,
    digest: Fingerprint,
    size: u64,
}

/// `recipient.facts`.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecipientFacts {
    pub(crate) address: Address,
    notify: Notify,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orcpt: Option<String>,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

impl MessageFacts {
    /// The content keys of its bodies, wrapped.
    pub(crate) fn content_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.bodies.iter().filter_map(|body| body.content_key.as_deref())
    }

    /// The facts of a new message; digests and sizes of its bodies were computed before.
    pub(crate) fn of(message: &NewMessage, bodies: &[(Fingerprint, u64)]) -> Self {
        let body = |(body, (digest, size)): (&NewBody, &(Fingerprint, u64))| BodyFacts {
            protection: body.protection.clone(),
            profile: body.profile.clone(),
            content_key: body.content_key.clone(),
            inner: body.inner,
            digest: *digest,
            size: *size,
        };
        Self {
            direction: message.direction,
            envelope: message.envelope.clone(),
            message_id: message.message_id.clone(),
            digest: message.digest,
            size: message.size,
            repeat: message.repeat.as_ref().map(|repeat| repeat.sender.clone()),
            notes: message.notes.clone(),
            bodies: message.bodies.iter().zip(bodies).map(body).collect(),
        }
    }
}

impl RecipientFacts {
    /// The facts of a new recipient.
    pub(crate) fn of(recipient: &NewRecipient, expires: Timestamp) -> Self {
        Self {
            address: recipient.address.clone(),
            notify: recipient.notify,
            orcpt: recipient.orcpt.clone(),
            progress: Progress::queued(recipient.due.min(expires)),
        }
    }
}

/// First eight octets: the Message-ID; last eight: who sent which content. One index answers
/// both "which messages carry this Message-ID" and "was this handed over before".
pub(crate) fn lookup(message_id: &str, sender: Option<&str>, digest: &Fingerprint) -> [u8; 16] {
    let mut second = Sha256::new();
    second.update(sender.unwrap_or_default().as_bytes());
    second.update(digest.as_bytes());
    let halves = lookup_prefix(message_id).into_iter().chain(second.finish().into_iter().take(8));
    let mut lookup = [0; 16];
    lookup.iter_mut().zip(halves).for_each(|(place, octet)| *place = octet);
    lookup
}

/// The first half of [`lookup`].
pub(crate) fn lookup_prefix(message_id: &str) -> [u8; 8] {
    openssl::sha::sha256(message_id.as_bytes()).first_chunk().copied().unwrap_or_default()
}

/// `seq` of a part of a message.
pub(crate) fn part(message: i64, index: u32) -> i64 {
    message.wrapping_shl(SHIFT) | i64::from(index)
}

/// First and last `seq` that parts of a message can have.
pub(crate) fn parts(message: i64) -> (i64, i64) {
    (part(message, 0), part(message, u32::try_from(MAX_PARTS).unwrap_or(u32::MAX).saturating_sub(1)))
}

/// The message of a part, and its index.
pub(crate) fn whole(part: i64) -> (i64, u32) {
    let index = part & i64::try_from(MAX_PARTS).unwrap_or(i64::MAX).saturating_sub(1);
    (part >> SHIFT, u32::try_from(index).unwrap_or(0))
}

/// A row of `message` as read by [`MESSAGE`].
pub(crate) struct MessageRow {
    pub(crate) seq: i64,
    pub(crate) id: QueueId,
    pub(crate) accepted: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) open: i64,
    pub(crate) facts: MessageFacts,
}

/// Columns of [`MessageRow`].
pub(crate) const MESSAGE: &str = "SELECT seq, id, accepted, expires, open, facts FROM message ";
/// Columns of [`RecipientRow`].
pub(crate) const RECIPIENT: &str = "SELECT seq, destination, body, wake, lease, facts FROM recipient ";

impl MessageRow {
    pub(crate) fn read(row: &Row<'_>) -> SqlResult<Self> {
        Ok(Self {
            seq: row.get(0)?,
            id: parse(&row.get::<_, String>(1)?)?,
            accepted: Timestamp::from_millis(row.get(2)?),
            expires: Timestamp::from_millis(row.get(3)?),
            open: row.get(4)?,
            facts: serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
        })
    }

    /// The message of an id.
    pub(crate) fn find(db: &Connection, id: QueueId) -> SqlResult<Option<Self>> {
        let mut query = db.prepare_cached(&format!("{MESSAGE} WHERE id = ?1"))?;
        let mut rows = query.query([id.as_str()])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// The message of a `seq`.
    pub(crate) fn at(db: &Connection, seq: i64) -> SqlResult<Option<Self>> {
        let mut query = db.prepare_cached(&format!("{MESSAGE} WHERE seq = ?1"))?;
        let mut rows = query.query([seq])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// What holds for all of it.
    pub(crate) fn info(&self) -> MessageInfo {
        MessageInfo {
            id: self.id,
            direction: self.facts.direction,
            envelope: self.facts.envelope.clone(),
            message_id: self.facts.message_id.clone(),
            digest: self.facts.digest,
            size: self.facts.size,
            accepted: self.accepted,
            expires: self.expires,
            notes: self.facts.notes.clone(),
        }
    }

    /// One of its bodies.
    pub(crate) fn body(&self, db: &Connection, index: u32) -> SqlResult<BodyInfo> {
        let facts = usize::try_from(index).ok().and_then(|index| self.facts.bodies.get(index));
        let facts = facts.ok_or_else(|| StoreError::Damaged(format!("message {} has no body {index}", self.id)))?;
        let seq = part(self.seq, index);
        let file = db
            .prepare_cached("SELECT file FROM body WHERE seq = ?1")?
            .query_row([seq], |row| row.get::<_, Option<String>>(0))
            .optional()?;
        let place = file.map(|file| file.map_or(Place::Row(seq), Place::File));
        Ok(BodyInfo {
            body: place.map(|place| BodyRef { place, digest: facts.digest, size: facts.size }),
            protection: facts.protection.clone(),
            profile: facts.profile.clone(),
            content_key: facts.content_key.clone(),
            inner: facts.inner,
            digest: facts.digest,
            size: facts.size,
        })
    }

    /// Number of its bodies.
    pub(crate) fn bodies(&self) -> u32 {
        u32::try_from(self.facts.bodies.len()).unwrap_or(u32::MAX)
    }

    /// The message with everything.
    pub(crate) fn complete(&self, db: &Connection) -> SqlResult<Message> {
        let bodies = (0..self.bodies()).map(|index| self.body(db, index)).collect::<SqlResult<_>>()?;
        let recipients = RecipientRow::of_message(db, self.seq)?.iter().map(RecipientRow::recipient).collect();
        Ok(Message { info: self.info(), bodies, recipients })
    }
}

/// A row of `recipient` as read by [`RECIPIENT`].
pub(crate) struct RecipientRow {
    pub(crate) seq: i64,
    pub(crate) destination: Destination,
    pub(crate) body: u32,
    pub(crate) wake: Option<Timestamp>,
    pub(crate) lease: Option<i64>,
    pub(crate) facts: RecipientFacts,
}

impl RecipientRow {
    pub(crate) fn read(row: &Row<'_>) -> SqlResult<Self> {
        Ok(Self {
            seq: row.get(0)?,
            destination: parse(&row.get::<_, String>(1)?)?,
            body: row.get(2)?,
            wake: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
            lease: row.get(4)?,
            facts: serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
        })
    }

    /// All recipients of a message, in order.
    pub(crate) fn of_message(db: &Connection, message: i64) -> SqlResult<Vec<Self>> {
        let mut query = db.prepare_cached(&format!("{RECIPIENT} WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq"))?;
        let mut rows = query.query(parts(message))?;
        let mut recipients = Vec::new();
        while let Some(row) = rows.next()? {
            recipients.push(Self::read(row)?);
        }
        Ok(recipients)
    }

    /// One recipient.
    pub(crate) fn at(db: &Connection, seq: i64) -> SqlResult<Option<Self>> {
        let mut query = db.prepare_cached(&format!("{RECIPIENT} WHERE seq = ?1"))?;
        let mut rows = query.query([seq])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// As the caller sees it.
    pub(crate) fn recipient(&self) -> Recipient {
        Recipient {
            index: whole(self.seq).1,
            address: self.facts.address.clone(),
            destination: self.destination.clone(),
            body: self.body,
            notify: self.facts.notify,
            orcpt: self.facts.orcpt.clone(),
            progress: self.facts.progress.clone(),
            leased_until: self.lease.and(self.wake),
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Damaged(format!("the queue holds an unreadable value: {}", text.escape_debug())))
}

/// A count: SQLite's integers have a sign.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A time as a column.
pub(crate) fn millis(at: Timestamp) -> i64 {
    at.millis()
}

/// A time to wake as a column: the index of what is due holds positive values only.
pub(crate) fn wake_column(at: Timestamp) -> i64 {
    at.millis().max(1)
}

/// Octets as hexadecimal text in JSON.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = value.iter().flatten().map(|octet| format!("{octet:02x}")).collect::<String>();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let digits = str::from_utf8(pair).map_err(D::Error::custom)?;
            u8::from_str_radix(digits, 16).map_err(D::Error::custom)
        });
        pairs.collect::<Result<Vec<_>, _>>().map(Some)
    }
}
