//! What a message is: strict reading, sealing, opening, judgement, notifications.
//!
//! Everything here is a function of its arguments: no clock, no disk, no network. Messages are in
//! memory, within [`Limits`].
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod annotate;
pub mod attributes;
pub mod clean;
pub mod dsn;
mod fault;
mod groups;
mod header;
mod judge;
mod judgement;
mod lexer;
mod limits;
pub mod mailboxes;
pub mod media;
pub mod mime;
mod open;
mod read;
mod reasons;
mod received;
pub mod report;
mod seal;
#[cfg(test)]
mod tests;
pub mod words;

pub use annotate::{annotate, result_fields};
pub use fault::MailFault;
pub use groups::{Group, Routed, groups, intended};
pub use header::{Field, HeaderBlock, check_lines};
pub use judge::{Envelope, Handover, Trust, judge};
pub use judgement::{Assurance, AssuranceLevel, BoundBy, Judgement, Reason, SignatureState, Signer, Verdict, Weight};
pub use limits::Limits;
pub use mailboxes::Mailbox;
pub use open::{Access, Encryption, OpenFault, Opened, Signature, Signed, open};
pub use read::{Facts, ProtectionHint, facts, read};
pub use reasons::catalogue;
pub use received::{Hop, received};
pub use seal::{DEFAULT_SUBJECT, Profile, SealFault, SealRequest, SealedMessage, seal, seal_with, size_bound};
