//! What an operator does with the registry: mailboxes are opened, changed, delegated, closed. Orders are judged against
//! the rules of mailboxes (BAL-1 to BAL-5) and against the national data, applied to a [`Draft`] of a registry, and
//! written as the text of its file, in which nothing but the entries concerned changes.
//!
//! Files, locks, the clock and the trail are the caller's.

mod draft;
mod import;
mod judge;
mod table;
mod text;

use ident::{Address, Bilingual, PersonId, StructureId, Timestamp};

use crate::{MailboxType, RegisteredMailbox};

pub use draft::{Draft, DraftError};
pub use import::{Import, Row, import, person, structure};
pub use judge::{National, Rules};
pub use table::TableError;

/// Longest name, service or responsible, in characters (rule WL-7 of the national back office).
pub const MAX_LABEL: usize = 255;
/// Most people that one mailbox lists.
pub const MAX_LISTED_PEOPLE: usize = 500;

/// One order of an operator about one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A mailbox is opened. Of the entry only what an operator says counts.
    Create(Box<RegisteredMailbox>),
    /// Some of what is said of it changes.
    Change(Address, Box<Changes>),
    /// It takes and sends nothing any more.
    Close {
        /// Which.
        address: Address,
        /// Who takes over.
        successor: Option<Address>,
    },
    /// A closed one is open again, for the same holder.
    Reopen(Address),
    /// It takes this place among those of its owner; whoever had it takes the place that becomes free.
    Rank(Address, Option<u32>),
    /// Somebody may write for it, or read it.
    Delegate {
        /// Which.
        address: Address,
        /// To whom.
        to: PersonId,
        /// What they may.
        access: Access,
        /// Until when; none: until it is withdrawn.
        until: Option<Timestamp>,
    },
    /// Somebody's rights end.
    Withdraw(Address, PersonId),
}

/// What somebody else than the owner may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it, and write from it.
    Write,
    /// Read it only.
    Read,
}

/// What changes: `None` stays as it is, an inner `None` is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named for the field of the mailbox
pub struct Changes {
    pub name: Option<Option<String>>,
    pub service: Option<Option<String>>,
    pub responsible: Option<Option<String>>,
    pub inner_address: Option<Option<Address>>,
    pub redirect: Option<Option<Address>>,
    pub structure: Option<Option<StructureId>>,
    pub members: Option<Vec<PersonId>>,
    pub red_list: Option<bool>,
    pub keep_unused: Option<bool>,
    /// What must not change: named here only so that an import that says the same is no change.
    pub kind: Option<MailboxType>,
    pub owner: Option<PersonId>,
}

impl Order {
    /// The mailbox that it is about.
    pub fn address(&self) -> &Address {
        match self {
            Self::Create(mailbox) => &mailbox.address,
            Self::Change(address, _) | Self::Reopen(address) | Self::Rank(address, _) | Self::Withdraw(address, _) => {
                address
            }
            Self::Close { address, .. } | Self::Delegate { address, .. } => address,
        }
    }

    /// What it is called in the trail.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "mailbox.create",
            Self::Change(_, changes) => match changes.red_list {
                Some(true) => "mailbox.red-list",
                Some(false) => "mailbox.unlist",
                None => "mailbox.change",
            },
            Self::Close { .. } => "mailbox.close",
            Self::Reopen(_) => "mailbox.reopen",
            Self::Rank(..) => "mailbox.rank",
            Self::Delegate { .. } => "mailbox.delegate",
            Self::Withdraw(..) => "mailbox.withdraw",
        }
    }
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .what.en)]
pub struct Objection {
    /// The field that is wrong, as the registry and the import name it.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub what: Bilingual,
    /// It is only that the national data do not know somebody or something: they may be a day behind, and whoever
    /// knows better may say so.
    pub unknown: bool,
}

impl Objection {
    fn new(field: &'static str, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { field, what: Bilingual::new(fr, en), unknown: false }
    }

    fn unknown(self) -> Self {
        Self { unknown: true, ..self }
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It changed this much, in words for the trail.
    Done(String),
    /// Everything was so already.
    Unchanged,
}

#[cfg(test)]
mod tests;
