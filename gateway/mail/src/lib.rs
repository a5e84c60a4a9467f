//! What a message is: strict reading, sealing, opening, judgement, notifications.
//!
//! Everything here is a function of its arguments: no clock, no disk, no network. Messages are in
//! memory, within [`Limits`].
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod fault;
mod header;
mod lexer;
mod limits;
pub mod mailboxes;
pub mod media;
pub mod mime;
mod read;
pub mod words;

pub use fault::MailFault;
pub use header::{Field, HeaderBlock, check_lines};
pub use limits::Limits;
pub use mailboxes::Mailbox;
pub use read::{Facts, ProtectionHint, facts, read};
