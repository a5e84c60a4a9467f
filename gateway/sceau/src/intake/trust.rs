//! The judge's questions answered from one snapshot.

use annuaire::MailboxType;
use ident::{Address, Domain, PersonId, StructureId, Timestamp};
use mail::{Handover, Trust};
use pki::{
    book::BookUse,
    certificate::Certificate,
    path::{Purpose, Verdict},
    timestamp::{TimeStamp, TimestampFault},
};

use crate::{admission::cards, snapshot::Snapshot};

/// One snapshot at one moment, for a message that `operator` handed over.
pub(super) struct Answers<'a> {
    /// The world.
    pub(super) snapshot: &'a Snapshot,
    /// Now.
    pub(super) at: Timestamp,
    /// Certificate of the operator at the other end.
    pub(super) operator: &'a Certificate,
}

impl Trust for Answers<'_> {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> Verdict {
        let verdict = self.snapshot.verify(certificate, &[], purpose, self.at);
        cards::unless_opposed(self.snapshot, verdict, certificate, self.at)
    }

    fn person_owns(&self, person: &PersonId, address: &Address) -> bool {
        // The registry is the authority for our own mailboxes, the national extract for others'.
        match self.snapshot.own(address.domain()) {
            Some(own) => own
                .registry
                .mailbox(address)
                .is_some_and(|mailbox| mailbox.owner.as_ref() == Some(own.registry.current(person))),
            None => self.snapshot.generation.as_ref().and_then(|generation| generation.mailbox(address)).is_some_and(
                |mailbox| {
                    mailbox.kind() == MailboxType::Personal
                        && mailbox.people().any(|owner| owner.id().as_ref() == Some(person))
                },
            ),
        }
    }

    /// A personal box belongs to a person: that they work in a structure does not let its certificate write as
    /// them (design §3, decision 0018).
    fn structure_owns(&self, structure: &StructureId, address: &Address) -> bool {
        match self.snapshot.own(address.domain()) {
            Some(own) => own.registry.mailbox(address).is_some_and(|mailbox| {
                mailbox.kind != MailboxType::Personal && mailbox.structure.as_ref() == Some(structure)
            }),
            None => self.snapshot.generation.as_ref().and_then(|generation| generation.mailbox(address)).is_some_and(
                |mailbox| {
                    mailbox.kind() != MailboxType::Personal
                        && mailbox.structures().any(|owner| owner.answers_to(structure))
                },
            ),
        }
    }

    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool {
        self.snapshot
            .book
            .signers_for(address)
            .iter()
            .any(|entry| entry.certificate.fingerprint() == certificate.fingerprint())
    }

    fn book_awaits(&self, certificate: &Certificate, address: &Address) -> bool {
        let mut waiting = self.snapshot.book.waiting(address, BookUse::Signs);
        waiting.any(|entry| entry.certificate.fingerprint() == certificate.fingerprint())
    }

    fn stamps(&self, stamp: &TimeStamp) -> Option<Result<Verdict, TimestampFault>> {
        self.snapshot.stamps.as_ref().map(|stamps| stamps.judge(stamp, self.at))
    }

    fn handover(&self, domain: &Domain) -> Handover {
        let name = self.operator.subject().to_string();
        // We hand over to ourselves what one of our users writes to another.
        let ourselves = self.snapshot.own(domain).is_some() && self.snapshot.is_ourselves(self.operator);
        if ourselves || self.snapshot.speaks_for(self.operator, domain, self.at) {
            Handover::Listed(name)
        } else {
            Handover::NotListed(name)
        }
    }

    fn lists(&self, domain: &Domain) -> Option<bool> {
        Some(self.snapshot.trusts(domain, self.at))
    }
}
