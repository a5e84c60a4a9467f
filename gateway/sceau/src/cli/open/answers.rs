//! The judge's questions answered from what the command line named.

use annuaire::{Generation, MailboxType};
use ident::{Address, Domain, PersonId, StructureId};
use mail::{Handover, Trust};
use pki::{
    book::Book,
    certificate::Certificate,
    path::{Purpose, Validator, Verdict},
    timestamp::{TimeStamp, TimestampFault},
};

use crate::cli::trust::Judge;

/// Anchors, directory and book of one command.
pub(super) struct Answers<'a> {
    pub(super) judge: &'a Judge,
    pub(super) generation: Option<Generation>,
    pub(super) book: Book,
    /// Judges time stamps, if anchors for them were given.
    pub(super) stamps: Option<Validator>,
}

impl Trust for Answers<'_> {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> Verdict {
        self.judge.validator.verify(certificate, &[], purpose, self.judge.at)
    }

    fn person_owns(&self, person: &PersonId, address: &Address) -> bool {
        let mailbox = self.generation.as_ref().and_then(|generation| generation.mailbox(address));
        mailbox.is_some_and(|mailbox| {
            mailbox.kind() == MailboxType::Personal && mailbox.people().any(|owner| owner.id().as_ref() == Some(person))
        })
    }

    fn structure_owns(&self, structure: &StructureId, address: &Address) -> bool {
        let mailbox = self.generation.as_ref().and_then(|generation| generation.mailbox(address));
        mailbox.is_some_and(|mailbox| {
            mailbox.kind() != MailboxType::Personal && mailbox.structures().any(|owner| owner.answers_to(structure))
        })
    }

    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool {
        self.book.signers_for(address).iter().any(|entry| entry.certificate == *certificate)
    }

    fn stamps(&self, stamp: &TimeStamp) -> Option<Result<Verdict, TimestampFault>> {
        self.stamps.as_ref().map(|validator| stamp.judge(validator, self.judge.at))
    }

    /// A file says nothing about who handed it over.
    fn handover(&self, _domain: &Domain) -> Handover {
        Handover::Unknown
    }
}
