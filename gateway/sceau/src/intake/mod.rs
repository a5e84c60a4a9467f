//! Taking charge: from a message in hand to a row in the queue. `250` is said after this, and
//! only then.

pub mod incoming;
pub mod outgoing;
mod trust;

use mail::MailFault;
use store::StoreError;

use crate::refusal::{Refusal, RefusalId};

/// What the store's answer means for the peer: nothing was promised.
pub(crate) fn storage(error: &StoreError) -> Refusal {
    let id = match error {
        StoreError::Full { .. } => RefusalId::StorageFull,
        _ => RefusalId::StorageUnavailable,
    };
    Refusal::new(id, error.to_string())
}

/// What a message that cannot be read strictly means for the peer.
pub(crate) fn unreadable(fault: &MailFault) -> Refusal {
    let id = match fault {
        MailFault::BareLf(_) | MailFault::BareCr(_) | MailFault::Nul(_) => RefusalId::LineEndings,
        MailFault::TooLong(_) => RefusalId::TooLarge,
        MailFault::Loop => RefusalId::Loop,
        _ => RefusalId::HeaderMalformed,
    };
    Refusal::new(id, format!("{} ({})", fault.code(), fault.rule())).about(fault)
}

/// Work on a cryptographic thread that could not be done.
pub(crate) fn technical(cause: impl ToString) -> Refusal {
    Refusal::new(RefusalId::StorageUnavailable, cause.to_string())
}
