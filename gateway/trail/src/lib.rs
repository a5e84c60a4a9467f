//! What happened, when, decided by whom and why: the catalogue of events, the records that carry
//! them, the timeline that people read.
//!
//! A record never holds content. Texts that a peer or a user said come in only through a
//! [`Masker`], which escapes and shortens them; addresses become [`Party`] values, in which a
//! patient's national number is a keyed token. Both rules are in the types: an [`Event`] has no
//! field that an unmasked text or address fits into.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod catalogue;
mod event;
mod facts;
mod hmac;
mod index;
pub mod log;
mod party;
mod queue_id;
mod record;
mod telling;
mod timeline;

pub use catalogue::{Class, Entry, catalogue};
pub use event::Event;
pub use facts::{
    Acceptance, ConnectionFacts, DeliveryFacts, Direction, ErasedEntries, IdentityKind, NotificationKind, Refusal,
    RegistryChange, Speaker, Tls, TrustListChange, Verdict, VerdictOutcome,
};
pub use party::{MAX_TEXT, Masker, Party, SafeText, Token};
pub use queue_id::{QueueId, QueueIdError};
pub use record::{RECORD_VERSION, Record, RecordError};
pub use timeline::{Line, Mood, Timeline};
