//! The professional directory (*annuaire*): who exists, where they work, which mailbox and which card are theirs.
//!
//! * The five national extract files are read into a [`Generation`]: immutable, in memory, named, dated.
//! * [`Directory`] holds the generation in service and swaps it in one step.
//! * [`Registry`] is the operator's own list of mailboxes, the authority for *our* addresses.
//!
//! Nothing here opens a socket or reads the clock.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod date;
mod fold;
#[allow(dead_code)] // its readers land next
mod generation;
mod registry;
#[allow(dead_code)] // its readers land next
mod rows;

pub use date::Date;
pub use fold::{fold, words};
pub use generation::{
    Activity, Card, CardState, Directory, Generation, Gone, GoneKind, Mailbox, Person, Source, Structure, TooMuchText,
    Totals,
};
pub use registry::{MAX_REGISTRY_BYTES, MailboxType, RegisteredMailbox, Registry, RegistryError, Right};
