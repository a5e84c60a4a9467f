//! What a message is: strict reading, sealing, opening, judgement, notifications.
//!
//! Everything here is a function of its arguments: no clock, no disk, no network. Messages are in
//! memory, within [`Limits`].
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod clean;
pub mod dsn;
mod fault;
mod groups;
mod header;
mod lexer;
mod limits;
pub mod mailboxes;
pub mod media;
pub mod mime;
mod read;
mod received;
pub mod words;

pub use fault::MailFault;
pub use groups::{Group, Routed, groups, intended};
pub use header::{Field, HeaderBlock, check_lines};
pub use limits::Limits;
pub use mailboxes::Mailbox;
pub use read::{Facts, ProtectionHint, facts, read};
pub use received::{Hop, received};
