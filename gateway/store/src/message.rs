//! What a queued message consists of.

use std::{fmt, str::FromStr, time::Duration};

use ident::{Address, Domain, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trail::{Direction, QueueId, Record};

use crate::{BodyRef, Progress, StagedBody};

/// The way that a recipient's mail takes. Looked up again at each attempt (QU10); here it groups
/// work and answers "what waits for whom".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    /// The operator of another trusted domain.
    Relay(Domain),
    /// Our own mail store for one of our domains.
    Inner(Domain),
    /// A route that the configuration names.
    Route(String),
}

/// The text is no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a destination is relay:DOMAIN, inner:DOMAIN or route:NAME with letters, digits, - and _")]
pub struct DestinationError;

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(domain) => write!(f, "relay:{domain}"),
            Self::Inner(domain) => write!(f, "inner:{domain}"),
            Self::Route(name) => write!(f, "route:{name}"),
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let domain = |text: &str| Domain::parse(text).map_err(|_| DestinationError);
        match text.split_once(':') {
            Some(("relay", rest)) => domain(rest).map(Self::Relay),
            Some(("inner", rest)) => domain(rest).map(Self::Inner),
            Some(("route", name)) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                let fits = (1..=64).contains(&name.len()) && name.bytes().all(plain);
                fits.then(|| Self::Route(name.to_owned())).ok_or(DestinationError)
            }
            _ => Err(DestinationError),
        }
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(value: Destination) -> Self {
        value.to_string()
    }
}

/// What a failure notice returns (RFC 3461 §4.3). Content is never returned (DS10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Return {
    /// `RET=FULL`.
    Full,
    /// `RET=HDRS`.
    Headers,
}

/// When the sender wants news of a recipient (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notify {
    /// On success.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

impl Default for Notify {
    /// What RFC 3461 §4.1 leaves to us when NOTIFY is absent: failure and delay.
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// Envelope parameters of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Sender; none for `<>`.
    pub sender: Option<Address>,
    /// SMTPUTF8 was asked for (RFC 6531).
    #[serde(default)]
    pub smtputf8: bool,
    /// REQUIRETLS was asked for (RFC 8689).
    #[serde(default)]
    pub require_tls: bool,
    /// RET (RFC 3461).
    #[serde(default)]
    pub ret: Option<Return>,
    /// ENVID (RFC 3461), decoded.
    #[serde(default)]
    pub envid: Option<String>,
}

/// In what form a body rests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Sealed for its readers by us.
    Sealed,
    /// As received: sealed for us by its sender.
    AsReceived,
    /// Encrypted under the storage key.
    StorageKey,
}

/// A body to queue. It is ciphertext by the time it gets here: the store holds no keys.
#[derive(Debug)]
pub struct NewBody {
    /// The octets.
    pub content: BodyContent,
    /// Form in which it rests.
    pub protection: Protection,
    /// Sealing profile, if sealed.
    pub profile: Option<String>,
    /// Content key under the storage key, so that delivery needs no private key again.
    pub content_key: Option<Vec<u8>>,
    /// Digest of what is inside (`mail::Opened::inner_digest`), to be found again at delivery.
    pub inner: Option<Fingerprint>,
}

/// The octets of a new body.
#[derive(Debug)]
pub enum BodyContent {
    /// In memory; written to a file by the store when over [`crate::MAX_INLINE_BODY`].
    Bytes(Vec<u8>),
    /// Written through [`crate::Store::stage`] before.
    Staged(StagedBody),
}

/// A recipient to queue.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// Address.
    pub address: Address,
    /// Way that it takes.
    pub destination: Destination,
    /// Index of its body in [`NewMessage::bodies`].
    pub body: u32,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT, decoded, with its address type.
    pub orcpt: Option<String>,
    /// First attempt.
    pub due: Timestamp,
}

/// How the store recognises a message that is handed over twice (ASK-11).
#[derive(Debug, Clone)]
pub struct Repeat {
    /// The authenticated sender: certificate or account, not an address.
    pub sender: String,
    /// How far back to look.
    pub window: Duration,
    /// Whether a recipient who failed counts as served. Practice software that tries again after a
    /// failure wants another attempt; the very same octets from another operator only mean that it
    /// did not hear our 250 (RFC 1047), and whoever had to be told was told.
    pub even_failed: bool,
}

/// A message to take charge of.
#[derive(Debug)]
pub struct NewMessage {
    /// Queue id, made of `accepted`: by the caller, because it stands in the `Received` line.
    pub id: QueueId,
    /// Which way it goes.
    pub direction: Direction,
    /// Envelope.
    pub envelope: Envelope,
    /// Message-ID as written.
    pub message_id: Option<String>,
    /// SHA-256 of the message as it came in.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
    /// Now.
    pub accepted: Timestamp,
    /// End of its life.
    pub expires: Timestamp,
    /// Look for the same message from the same sender first. Needs `message_id`.
    pub repeat: Option<Repeat>,
    /// One body per group of recipients who may share it.
    pub bodies: Vec<NewBody>,
    /// Recipients; at least one.
    pub recipients: Vec<NewRecipient>,
    /// What the caller must know again at delivery (verdict, peer…): JSON, never content.
    pub notes: String,
    /// Trail records of the acceptance: written if the message is, not if it is a repetition.
    pub records: Vec<Record>,
}

/// A stored body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyInfo {
    /// Where it is. None once the last recipient of it has ended.
    pub body: Option<BodyRef>,
    /// Form in which it rests.
    pub protection: Protection,
    /// Sealing profile, if sealed.
    pub profile: Option<String>,
    /// Content key under the storage key.
    pub content_key: Option<Vec<u8>>,
    /// Digest of what is inside.
    pub inner: Option<Fingerprint>,
    /// SHA-256 of the body.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
}

/// What holds for the whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Queue id.
    pub id: QueueId,
    /// Which way it goes.
    pub direction: Direction,
    /// Envelope.
    pub envelope: Envelope,
    /// Message-ID.
    pub message_id: Option<String>,
    /// SHA-256 of the message as it came in.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
    /// When we took charge.
    pub accepted: Timestamp,
    /// End of its life.
    pub expires: Timestamp,
    /// The caller's notes.
    pub notes: String,
}

impl MessageInfo {
    /// The seed of this message's jitter.
    pub fn seed(&self) -> u64 {
        let id = self.id.as_str().as_bytes();
        // FNV-1a: any spread will do.
        id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// A stored recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Index in the message.
    pub index: u32,
    /// Address.
    pub address: Address,
    /// Way that it takes.
    pub destination: Destination,
    /// Index of its body.
    pub body: u32,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT.
    pub orcpt: Option<String>,
    /// Where it stands.
    pub progress: Progress,
    /// End of the lease, while it is being delivered.
    pub leased_until: Option<Timestamp>,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What holds for all of it.
    pub info: MessageInfo,
    /// Its bodies.
    pub bodies: Vec<BodyInfo>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
}

impl Message {
    /// Whether all recipients have ended.
    pub fn is_ended(&self) -> bool {
        self.recipients.iter().all(|recipient| recipient.progress.state.is_ended())
    }
}
