//! What a message is: strict reading, sealing, opening, judgement, notifications.
//!
//! Everything here is a function of its arguments: no clock, no network. A message may be in memory or
//! anywhere else: it is read through a [`source::Source`], within [`Limits`], and of a large one only headers,
//! and what stands around its content, come into memory.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod annotate;
pub mod attributes;
mod banner;
mod claim;
pub mod clean;
mod coding;
pub mod dsn;
mod fault;
mod groups;
mod head;
mod header;
mod inner;
mod judge;
mod judgement;
mod lexer;
mod limits;
mod lines;
pub mod mailboxes;
pub mod media;
pub mod mime;
mod open;
mod read;
mod reasons;
mod received;
pub mod recipient_emails;
pub mod report;
mod seal;
mod signer;
pub mod source;
#[cfg(test)]
mod tests;
pub mod words;

pub use annotate::{annotate, result_fields};
pub use banner::with_banner;
pub use claim::signer_names_author;
pub use fault::MailFault;
pub use groups::{Group, Routed, groups, intended};
pub use header::{Field, HeaderBlock, check_lines};
pub use judge::{Envelope, Handover, Trust, judge};
pub use judgement::{
    Assurance, AssuranceLevel, AuthorSignature, BoundBy, Judgement, Reason, SignatureState, Signer, StampState,
    TimeStamped, Verdict, Weight,
};
pub use limits::Limits;
pub use mailboxes::Mailbox;
pub use open::{
    Access, Encryption, HeaderOrigin, OpenFault, Opened, Signature, Signed, Stamp, author, open, open_source,
};
pub use read::{Facts, ProtectionHint, facts, read, read_again, read_source};
pub use reasons::catalogue;
pub use received::{Hop, received};
pub use seal::{
    DEFAULT_SUBJECT, Inside, Profile, SealFault, SealPlan, SealRequest, SealedMessage, Stamping, seal, seal_with,
    size_bound, size_floor,
};
