//! The facts that events share.

use ident::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::{Party, SafeText};

/// Why something was refused: the stable reason id and what the other side was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable reason id of the refusal catalogue.
    pub reason: String,
    /// Whether trying again may help (4xx).
    pub temporary: bool,
    /// The reply as sent.
    pub reply: SafeText,
    /// What the other side was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<SafeText>,
}

/// Facts of a TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// For example `TLSv1.3`.
    pub version: String,
    /// Cipher suite.
    pub cipher: String,
    /// Leaf certificate of the peer.
    pub peer: Option<Fingerprint>,
}

/// Facts of an incoming connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFacts {
    /// Address of the peer.
    pub peer: String,
    /// Which door it came through: `submission`, `exchange`…
    pub listener: String,
    /// Name that it gave in EHLO.
    pub hello: Option<SafeText>,
    /// TLS session, if any.
    pub tls: Option<Tls>,
}

/// What kind of identity spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdentityKind {
    /// Health professional.
    Person,
    /// Other staff (CPE, CPA).
    Staff,
    /// Organisation.
    Organisation,
    /// Server of an operator that the trust list names.
    Operator,
    /// The gateway itself.
    Gateway,
}

/// Who spoke, and how it was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Kind of identity.
    pub kind: IdentityKind,
    /// National id, structure id, or operator's name.
    pub id: SafeText,
    /// Name to show.
    pub name: SafeText,
    /// Certificate, if one proved it.
    pub certificate: Option<Fingerprint>,
    /// How far the proof goes: `authenticated`, `delegated`, `vouched`…
    pub assurance: Option<String>,
    /// What was not certain about the proof and let pass all the same, as stable codes:
    /// `card-opposition-uncertain`, `revocation-within-grace`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From one of our mailboxes to the trusted space.
    Outgoing,
    /// From the trusted space to one of our mailboxes.
    Incoming,
    /// Between two of our mailboxes, or from ourselves to one.
    Internal,
}

/// Facts of acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Which way it goes.
    pub direction: Direction,
    /// Envelope sender; none for `<>`.
    pub from: Option<Party>,
    /// Author in the header, if it is someone else.
    pub author: Option<Party>,
    /// Message-ID.
    pub message_id: Option<SafeText>,
    /// SHA-256 of the message as it came in.
    pub digest: Fingerprint,
    /// Its size in octets.
    pub size: u64,
    /// Number of recipients.
    pub recipients: u32,
    /// Connection that it came over; none for what we wrote ourselves.
    pub connection: Option<ConnectionFacts>,
    /// Who handed it over.
    pub speaker: Option<Speaker>,
    /// Policy that decided: digest of the configuration.
    pub policy: Option<Fingerprint>,
    /// Trust list that decided.
    pub trust_list: Option<Fingerprint>,
    /// Directory generation that decided.
    pub directory: Option<String>,
}

/// Outcome of judging an incoming message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictOutcome {
    /// Good.
    Accept,
    /// Refused for good.
    Refuse,
    /// Could not be determined now.
    Undetermined,
}

/// Facts of a judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Outcome.
    pub verdict: VerdictOutcome,
    /// How the signer is bound to the author (`bound_by` of the design).
    pub bound_by: String,
    /// `valid`, `invalid`, `none`, `undetermined`.
    pub signature: String,
    /// `none`, or the cipher.
    pub encryption: String,
    /// Signer.
    pub signer: Option<Speaker>,
    /// Assurance shown to the reader.
    pub assurance: SafeText,
    /// Digest of what was inside.
    pub inner: Option<Fingerprint>,
    /// Reasons, as stable ids.
    pub reasons: Vec<String>,
}

/// Facts of a delivery attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFacts {
    /// Destination as queued.
    pub destination: String,
    /// Host that we spoke to.
    pub host: Option<String>,
    /// Its address and port.
    pub address: Option<String>,
    /// TLS session.
    pub tls: Option<Tls>,
    /// How the peer was recognised: operator's name in the trust list.
    pub operator: Option<SafeText>,
    /// What the peer said last, code included.
    pub reply: Option<SafeText>,
    /// Milliseconds from connection to reply.
    pub took: Option<u64>,
}

/// What a list changed when it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustListChange {
    /// Domains that came in.
    pub added: u64,
    /// Domains that were struck off.
    pub removed: u64,
    /// Domains whose operators changed.
    pub changed: u64,
    /// It took too much away: mail of what was struck off waits.
    pub shrunk: bool,
}

/// What a notification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// Not delivered, for good.
    Failed,
    /// Not delivered yet.
    Delayed,
    /// Delivered to the mailbox.
    Delivered,
    /// Handed to a system that gives no further news.
    Relayed,
    /// Read (MDN).
    Read,
}

/// Which entries of the log an erasure takes: whoever sees which are gone can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedEntries {
    /// All have numbers below this.
    pub below: u64,
    /// SHA-256 over their numbers in ascending order, each in eight octets, after the octets
    /// `sceau erased entries v1` and a zero.
    pub digest: Fingerprint,
}

/// How a registry differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryChange {
    /// Mailboxes that were opened, or opened again.
    pub created: u64,
    /// Open ones of which something else is said.
    pub changed: u64,
    /// Those that were closed, or have left the file.
    pub closed: u64,
}
