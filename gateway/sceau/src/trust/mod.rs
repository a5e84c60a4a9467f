//! Whom we trust at this moment, and how that changes: the list in force with its memory on disk, what
//! lately left it, and what operators ordered (decision 0017).
//!
//! A new list is *considered* ([`consider`]): a pure answer to bytes. What is accepted is written to the
//! [`Shelf`] before it takes effect, so that no restart ever brings an older list back.

mod bearer;
mod blocks;
mod consider;
mod force;
mod grants;
mod memory;
mod orders;
mod shelf;
mod standing;
mod watch;

pub use bearer::Bearer;
pub use blocks::{Block, Fate, Operator, Target};
pub use consider::{Offer, Refused, Rules, consider};
pub use force::Offered;
pub use grants::{Administrator, Entry, Grant, GrantError, GrantRules, Signed};
pub use memory::{Fresh, Held, Memory, Struck};
pub use orders::{Confirmed, OrderBook, OrderError, Orders, Stamp};
pub use shelf::{Shelf, ShelfError, Shelved};
pub use standing::Standing;
pub use watch::{Watch, watch};

pub(crate) use blocks::{HELD, REFUSED};
pub(crate) use consider::{current, rules};
pub(crate) use force::{put_on_shelf, tell};
pub(crate) use watch::alarms;

#[cfg(test)]
mod tests;
