//! The catalogue of events: one enum, stable ids, typed facts, for trail, logs and metrics alike.
//!
//! An id is never renamed or given another meaning; a new fact is an optional field.

use ident::{Domain, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Acceptance, Class, ConnectionFacts, DeliveryFacts, ErasedEntries, NotificationKind, Party, QueueId, Refusal,
    RegistryChange, SafeText, Speaker, TrustListChange, Verdict,
};

/// What happened. The serde names are the stable ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "facts")]
#[non_exhaustive]
#[allow(missing_docs)] // each variant says what happened; its fields are named for what they hold
pub enum Event {
    /// The service runs.
    #[serde(rename = "service.started")]
    ServiceStarted { version: String, unclean: bool, recovered: Vec<SafeText> },
    /// The service stops.
    #[serde(rename = "service.stopped")]
    ServiceStopped { reason: SafeText },
    /// A configuration is in force.
    #[serde(rename = "configuration.loaded")]
    ConfigurationLoaded { digest: Fingerprint },
    /// A new configuration was refused; the old one stays in force.
    #[serde(rename = "configuration.refused")]
    ConfigurationRefused { reason: SafeText },
    /// A trust list is in force.
    #[serde(rename = "trust_list.loaded")]
    TrustListLoaded {
        digest: Fingerprint,
        generated: Timestamp,
        domains: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<TrustListChange>,
    },
    /// A trust list was refused; the last good one stays in force.
    #[serde(rename = "trust_list.refused")]
    TrustListRefused { reason: SafeText },
    /// A generation of the directory answers.
    #[serde(rename = "directory.loaded")]
    DirectoryLoaded { generation: String, data_as_of: Option<Timestamp> },
    /// The registry of one of our domains is in force, and how it differs from the one before.
    #[serde(rename = "registry.loaded")]
    RegistryLoaded {
        domain: Domain,
        digest: String,
        mailboxes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<RegistryChange>,
    },
    /// A directory load was refused or held back.
    #[serde(rename = "directory.refused")]
    DirectoryRefused { reason: SafeText },
    /// Revocation data of an issuer came in.
    #[serde(rename = "revocation.loaded")]
    RevocationLoaded { issuer: SafeText, this_update: Timestamp, next_update: Option<Timestamp> },
    /// Revocation data is used beyond its time, inside the configured grace.
    #[serde(rename = "revocation.grace")]
    RevocationGrace { issuer: SafeText, until: Timestamp },
    /// Something that an operator must look at.
    #[serde(rename = "alarm.raised")]
    AlarmRaised { code: String, text: SafeText },
    /// It is over.
    #[serde(rename = "alarm.cleared")]
    AlarmCleared { code: String },
    /// A certificate of ours ends in so many days, or has ended (threshold 0): said once for each threshold.
    #[serde(rename = "certificate.expiring")]
    CertificateExpiring { role: SafeText, certificate: Fingerprint, ends: Timestamp, threshold: u64 },
    /// An operator did something.
    #[serde(rename = "operator.action")]
    OperatorAction { operator: SafeText, action: String, target: SafeText, reason: Option<SafeText> },

    /// A partner's signed file was verified; the certificate book knows what it says.
    #[serde(rename = "partner.file_loaded")]
    PartnerFileLoaded {
        operator: String,
        serial: u64,
        digest: Fingerprint,
        signer: Fingerprint,
        expires: Timestamp,
        location: SafeText,
    },
    /// A partner's file was refused; the book is as before.
    #[serde(rename = "partner.file_refused")]
    PartnerFileRefused { location: SafeText, reason: SafeText },
    /// Where a partner's file is looked for was set, or taken away.
    #[serde(rename = "partner.source")]
    PartnerSource { operator: String, location: Option<SafeText>, by: SafeText },
    /// A partner's certificate was approved or rejected.
    #[serde(rename = "partner.certificate")]
    PartnerCertificate {
        operator: String,
        owner: SafeText,
        usage: String,
        certificate: Fingerprint,
        approved: bool,
        how: String,
        by: SafeText,
        reason: Option<SafeText>,
    },

    /// Connections that ended before anybody was identified, counted per peer and reason.
    #[serde(rename = "connection.refused")]
    ConnectionRefused { peer: String, listener: String, refusal: Refusal, count: u64, since: Timestamp },
    /// A peer proved who it is.
    #[serde(rename = "connection.authenticated")]
    Authenticated { connection: ConnectionFacts, speaker: Speaker },
    /// A peer's proof was refused.
    #[serde(rename = "authentication.refused")]
    AuthenticationRefused { connection: ConnectionFacts, certificate: Option<Fingerprint>, refusal: Refusal },

    /// The sender was refused.
    #[serde(rename = "sender.refused")]
    SenderRefused { from: Option<Party>, speaker: Option<Speaker>, refusal: Refusal },
    /// A recipient was admitted.
    #[serde(rename = "recipient.admitted")]
    RecipientAdmitted {
        protection: String,
        reasons: Vec<String>,
        directory: Option<String>,
        trust_list: Option<Fingerprint>,
    },
    /// A recipient was refused.
    #[serde(rename = "recipient.refused")]
    RecipientRefused { from: Option<Party>, speaker: Option<Speaker>, refusal: Refusal },
    /// The content was refused: nothing was queued.
    #[serde(rename = "content.refused")]
    ContentRefused { from: Option<Party>, message_id: Option<SafeText>, speaker: Option<Speaker>, refusal: Refusal },

    /// We took charge of a message.
    #[serde(rename = "message.accepted")]
    Accepted(Box<Acceptance>),
    /// The same sender handed over the same message again: the first one's id was given (ASK-11).
    #[serde(rename = "message.repeated")]
    Repeated { speaker: Option<Speaker> },
    /// An incoming message was opened and judged.
    #[serde(rename = "message.judged")]
    Judged(Box<Verdict>),
    /// A body was made or kept for a group of recipients.
    #[serde(rename = "message.sealed")]
    Sealed {
        body: u32,
        protection: String,
        profile: Option<String>,
        digest: Fingerprint,
        size: u64,
        signer: Option<Fingerprint>,
        readers: Vec<Fingerprint>,
        /// The time stamp beside the signature, or why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<SafeText>,
    },

    /// A recipient waits for delivery.
    #[serde(rename = "recipient.queued")]
    Queued { destination: String, body: u32, due: Timestamp, expires: Timestamp },
    /// A delivery began.
    #[serde(rename = "delivery.attempted")]
    Attempted { number: u32, delivery: DeliveryFacts },
    /// The next hop took charge.
    #[serde(rename = "delivery.delivered")]
    Delivered { number: u32, delivery: DeliveryFacts },
    /// Not now; it will be tried again.
    #[serde(rename = "delivery.deferred")]
    Deferred { number: u32, reason: String, delivery: DeliveryFacts, next: Timestamp },
    /// Refused for good.
    #[serde(rename = "delivery.failed")]
    Failed { number: u32, reason: String, delivery: DeliveryFacts },
    /// The time for delivery is over.
    #[serde(rename = "delivery.expired")]
    Expired { attempts: u32, reason: Option<String> },
    /// An operator or the sender ended it.
    #[serde(rename = "delivery.cancelled")]
    Cancelled { by: SafeText, reason: SafeText },
    /// Delivery waits for a person's decision.
    #[serde(rename = "delivery.held")]
    Held { by: SafeText, reason: SafeText },
    /// The wait is over.
    #[serde(rename = "delivery.released")]
    Released { by: SafeText, reason: SafeText },
    /// An operator asked for another try at once.
    #[serde(rename = "delivery.retried")]
    Retried { by: SafeText, reason: SafeText },
    /// An operator sent it another way.
    #[serde(rename = "delivery.rerouted")]
    Rerouted { by: SafeText, from: String, to: String, reason: SafeText },

    /// We wrote a notification (RFC 3464) about this recipient.
    #[serde(rename = "notification.sent")]
    NotificationSent { kind: NotificationKind, notification: Option<QueueId>, suppressed: Option<String> },
    /// A notification about this recipient came in.
    #[serde(rename = "notification.received")]
    NotificationReceived {
        kind: NotificationKind,
        from_operator: SafeText,
        status: Option<String>,
        text: SafeText,
        matched: bool,
    },

    /// Somebody read the trail.
    #[serde(rename = "trail.read")]
    TrailRead { reader: SafeText, query: SafeText, reason: Option<SafeText>, results: u64 },
    /// Records whose time was over are erased, exactly so many and exactly these; their commitments stay.
    #[serde(rename = "trail.purged")]
    TrailPurged {
        class: Class,
        before: Timestamp,
        records: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        erased: Option<ErasedEntries>,
    },
    /// Another gateway's checkpoint, carried in a message that it signed.
    #[serde(rename = "checkpoint.seen")]
    CheckpointSeen { domain: Domain, checkpoint: SafeText, signer: Fingerprint },
    /// A checkpoint of ours was confirmed by somebody else.
    #[serde(rename = "checkpoint.anchored")]
    CheckpointAnchored { size: u64, root: Fingerprint, by: SafeText, proof: SafeText },
}
