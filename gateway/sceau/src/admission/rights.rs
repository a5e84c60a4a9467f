//! Who may write as whom: the one table of design §3, one arm per row, one test per row.

use annuaire::{MailboxType, RegisteredMailbox, Right};
use ident::{Address, PersonId, StructureId, Timestamp};
use pki::identity::Identity;
use serde::Serialize;

use super::caller::Caller;
use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// How sure the reader may be of who wrote, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assurance {
    /// The owner proved who they are.
    Authenticated {
        /// National id of the owner.
        person: PersonId,
    },
    /// Somebody to whom the registry delegates the mailbox.
    Delegated {
        /// National id of the delegate.
        delegate: PersonId,
        /// National id of the owner, if the mailbox has one.
        owner: Option<PersonId>,
    },
    /// A structure's own box.
    Organisation {
        /// The structure.
        structure: StructureId,
    },
    /// An inner mail server that knows its own users.
    Vouched {
        /// Who vouches.
        organisation: String,
    },
}

/// A right found in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The mailbox written from.
    pub mailbox: Address,
    /// What the reader is told.
    pub assurance: Assurance,
    /// Own mailboxes of the delegate: what `Sender` may name, the first one being what we add.
    pub delegate_mailboxes: Vec<Address>,
    /// Row of the table, for `explain` and the trail.
    pub rule: &'static str,
}

/// Looks for the row that lets `caller` write from `from`.
///
/// # Errors
/// [`RefusalId::SenderNotOurs`], [`RefusalId::SenderUnknown`], [`RefusalId::SenderClosed`],
/// [`RefusalId::NotYourAddress`].
pub fn right_to_send(snapshot: &Snapshot, caller: &Caller, from: &Address, at: Timestamp) -> Result<Granted, Refusal> {
    let refuse = |id, cause: String| Err(Refusal::new(id, cause).about(from));
    let Some(own) = snapshot.own(from.domain()) else {
        return refuse(RefusalId::SenderNotOurs, format!("{} is not served here", from.domain()));
    };
    let Some(mailbox) = own.registry.mailbox(from) else {
        return refuse(RefusalId::SenderUnknown, format!("{from} is not in the registry"));
    };
    if let Some(closed) = &mailbox.closed {
        return refuse(RefusalId::SenderClosed, format!("{from} is closed since {}", closed.since));
    }
    if caller.vouches_for.contains(from.domain()) {
        let organisation = caller.organisation_name();
        return Ok(granted(mailbox, Assurance::Vouched { organisation }, Vec::new(), "vouched"));
    }
    let found = match &caller.identity {
        Identity::Person(person) => {
            let right = own.registry.right(&person.id, mailbox, at);
            right.and_then(|right| person_row(snapshot, mailbox, &person.id, right))
        }
        // Staff cards write by explicit grant only, never as owner of a mailbox (table, row 2).
        Identity::Staff(staff) => own
            .registry
            .right(&staff.id, mailbox, at)
            .filter(|right| matches!(right, Right::Grant | Right::Delegate))
            .map(|_| delegated(snapshot, mailbox, &staff.id, "staff-grant")),
        Identity::Organisation(organisation) => structure_row(mailbox, &organisation.structure),
        Identity::Server(_) => None,
    };
    match found {
        Some(granted) => Ok(granted),
        None => refuse(RefusalId::NotYourAddress, format!("{} has no right to {from}", caller.describe())),
    }
}

fn person_row(snapshot: &Snapshot, mailbox: &RegisteredMailbox, person: &PersonId, right: Right) -> Option<Granted> {
    match right {
        Right::Owner => {
            Some(granted(mailbox, Assurance::Authenticated { person: person.clone() }, Vec::new(), "owner"))
        }
        Right::Delegate => Some(delegated(snapshot, mailbox, person, "delegate")),
        Right::Member => Some(delegated(snapshot, mailbox, person, "organisation-member")),
        // Grants are for staff cards.
        Right::Grant => None,
    }
}

fn structure_row(mailbox: &RegisteredMailbox, structure: &StructureId) -> Option<Granted> {
    let boxes = matches!(mailbox.kind, MailboxType::Organisation | MailboxType::Application);
    let same = mailbox.structure.as_ref() == Some(structure);
    (boxes && same)
        .then(|| granted(mailbox, Assurance::Organisation { structure: structure.clone() }, Vec::new(), "structure"))
}

fn delegated(snapshot: &Snapshot, mailbox: &RegisteredMailbox, delegate: &PersonId, rule: &'static str) -> Granted {
    let mailboxes = snapshot.mailboxes_of(delegate);
    granted(mailbox, Assurance::Delegated { delegate: delegate.clone(), owner: mailbox.owner.clone() }, mailboxes, rule)
}

fn granted(
    mailbox: &RegisteredMailbox,
    assurance: Assurance,
    delegate_mailboxes: Vec<Address>,
    rule: &'static str,
) -> Granted {
    Granted { mailbox: mailbox.address.clone(), assurance, delegate_mailboxes, rule }
}
