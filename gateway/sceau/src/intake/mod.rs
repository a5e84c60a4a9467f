//! Taking charge: from a message in hand to a row in the queue. `250` is said after this, and
//! only then.

mod author;
mod disclosure;
pub(crate) mod failures;
pub(crate) mod in_hand;
pub mod incoming;
pub(crate) mod late;
pub mod outgoing;
mod reports;
mod trust;

use std::{io::ErrorKind, time::Duration};

use ident::Fingerprint;
use mail::{
    MailFault, OpenFault, SealFault,
    source::{self, Source},
};
use pki::{cms::CmsError, guard::caught};
use store::{Accepted, Committed, StoreError};
use trail::{Event, QueueId, Record, Speaker};

use crate::{
    gateway::Gateway,
    queued::Hashing,
    refusal::{Refusal, RefusalId},
};

/// How far back the same message from the same sender counts as the same (ASK-11).
pub(crate) const REPEAT_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// What was received: hashed once, for the queue and for the trail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    digest: Fingerprint,
    size: u64,
}

impl Received {
    fn of(message: &dyn Source) -> Result<Self, Refusal> {
        let mut hash = Hashing::default();
        let size = source::copy(message, &mut hash).map_err(|error| kept(error.kind()))?;
        Ok(Self { digest: hash.finish(), size })
    }
}

/// The id to tell the sender: the first one's, if this is a repetition.
pub(crate) fn taken(gateway: &Gateway, committed: &Committed, speaker: Speaker) -> Result<QueueId, Refusal> {
    let accepted = committed.accepted.first().ok_or_else(|| technical("the store named no message"))?;
    match accepted {
        Accepted::New(_) => gateway.wake.notify_one(),
        Accepted::Repeated(first) => {
            let event = Event::Repeated { speaker: Some(speaker) };
            gateway.record(Record::new(gateway.now(), event).of_message(*first));
        }
    }
    Ok(accepted.id())
}

/// What the store's answer means for the peer: nothing was promised.
pub(crate) fn storage(error: &StoreError) -> Refusal {
    let id = match error {
        StoreError::Full { .. } => RefusalId::StorageFull,
        _ => RefusalId::StorageUnavailable,
    };
    Refusal::new(id, error.to_string())
}

/// What it means for the peer that the message in hand cannot be kept while it is worked on.
pub(crate) fn kept(kind: ErrorKind) -> Refusal {
    let id = match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RefusalId::StorageFull,
        _ => RefusalId::StorageUnavailable,
    };
    Refusal::new(id, format!("message in hand: {kind}"))
}

/// What a message that cannot be read strictly means for the peer.
pub(crate) fn unreadable(fault: &MailFault) -> Refusal {
    let id = match fault {
        MailFault::Storage(kind) => return kept(*kind),
        MailFault::BareLf(_) | MailFault::BareCr(_) | MailFault::Nul(_) => RefusalId::LineEndings,
        MailFault::TooLong(_) => RefusalId::TooLarge,
        MailFault::Loop => RefusalId::Loop,
        _ => RefusalId::HeaderMalformed,
    };
    Refusal::new(id, format!("{} ({})", fault.code(), fault.rule())).about(fault)
}

/// What a message that could not be opened means for the peer: one answer for every fault of the message
/// (H4), another when our key was out of reach and nothing is known about the message.
pub(crate) fn unopened(fault: &OpenFault) -> Refusal {
    match fault {
        OpenFault::Mail(MailFault::Storage(kind)) => kept(*kind),
        OpenFault::KeyUnavailable(why) => Refusal::new(RefusalId::KeyUnavailable, why.to_string()),
        fault => {
            let refused = Refusal::new(RefusalId::OpeningFailed, fault.code());
            match fault.named() {
                // Known without any key: the sender's administrator learns what it was.
                Some(named) => Refusal { id: RefusalId::ProtectionRefused, ..refused }.about(named),
                None => refused,
            }
        }
    }
}

/// A step over what a stranger sent: where one of our readers breaks off, this message is refused and nothing
/// else suffers (H22). `told` is what its sender hears.
fn guarded<T>(told: RefusalId, step: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    caught("a message", step).unwrap_or_else(|broke_off| {
        tracing::error!(%broke_off, "a message is refused");
        Err(Refusal::new(told, broke_off.to_string()))
    })
}

/// What a message that could not be sealed means for the sender: for good only where the message itself is at fault.
pub(crate) fn unsealed(fault: &SealFault) -> Refusal {
    match fault {
        // What nobody could read in the end will not get better by waiting.
        SealFault::Mail(fault) => unreadable(fault),
        SealFault::Stamp(why) => Refusal::new(RefusalId::TimestampUnavailable, why.clone()),
        SealFault::Cms(CmsError::Key(why)) => Refusal::new(RefusalId::KeyUnavailable, why.to_string()),
        fault => technical(format!("sealing: {fault}")),
    }
}

/// Work on a cryptographic thread that could not be done.
pub(crate) fn technical(cause: impl ToString) -> Refusal {
    Refusal::new(RefusalId::StorageUnavailable, cause.to_string())
}

#[cfg(test)]
mod door_tests;

#[cfg(test)]
mod tests {
    use pki::keys::{KeyError, TokenFault};

    use super::*;

    /// Neither a full disk nor a failing one is ever the sender's fault (CR3).
    #[test]
    fn a_full_store_defers() {
        let refusal = storage(&StoreError::Full("3 % free".to_owned()));
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::StorageFull, true));
    }

    #[test]
    fn a_failing_store_defers() {
        for error in [StoreError::Unavailable("EIO".to_owned()), StoreError::Malformed("x")] {
            let refusal = storage(&error);
            assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::StorageUnavailable, true));
        }
    }

    /// Out of reach is not refused: 4xx whichever half of the key pair was wanted.
    #[test]
    fn an_unreachable_key_defers() {
        let away = || TokenFault::Absent("sceau".to_owned());
        let opening = unopened(&OpenFault::KeyUnavailable(away()));
        let sealing = unsealed(&SealFault::Cms(CmsError::Key(KeyError::Unavailable(away()))));
        for refusal in [opening, sealing] {
            assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::KeyUnavailable, true));
            assert!(refusal.cause.contains("plug it in"));
        }
        assert_eq!(unopened(&OpenFault::Failed).id, RefusalId::OpeningFailed);
    }

    /// Promise 1: what every receiver would refuse is refused, naming what is wrong; our own faults are not the sender's.
    #[test]
    fn what_nobody_would_read_is_not_deferred_for_ever() {
        let refusal = unsealed(&SealFault::Mail(MailFault::TooManyMailboxes("To")));
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::HeaderMalformed, false));
        assert!(refusal.about.is_some_and(|about| about.contains("To")));
        assert!(unsealed(&SealFault::Mail(MailFault::Storage(ErrorKind::Other))).is_temporary());
        assert!(unsealed(&SealFault::Recipients).is_temporary());
    }

    /// H22: a planted panic costs its message, and the peer learns nothing of it.
    #[test]
    fn a_reader_that_breaks_off_refuses_its_message_only() {
        let planted = |octets: &[u8]| -> Result<u8, Refusal> { Ok(octets[7]) };
        assert_eq!(guarded(RefusalId::OpeningFailed, || planted(b"12345678")), Ok(b'8'));
        let refusal = guarded(RefusalId::OpeningFailed, || planted(b"1")).unwrap_err();
        assert_eq!(
            (refusal.id, refusal.about.clone(), refusal.is_temporary()),
            (RefusalId::OpeningFailed, None, false)
        );
        assert!(refusal.cause.contains("broke off"));
    }

    /// H22: the same at the door of our own users. Nothing was promised: their software keeps the message and shows the
    /// answer, where one to try again would have it sent for days.
    #[test]
    fn a_reader_that_breaks_off_at_submission_is_final_and_says_so() {
        let planted = |octets: &[u8]| -> Result<u8, Refusal> { Ok(octets[7]) };
        assert_eq!(guarded(RefusalId::NotProcessed, || planted(b"12345678")), Ok(b'8'));
        let refusal = guarded(RefusalId::NotProcessed, || planted(b"1")).unwrap_err();
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::NotProcessed, false));
        assert!(refusal.cause.contains("broke off"));
        assert!(refusal.id.row().en.contains("nothing was sent"));
    }

    /// What is known without a key is named; what follows a key never is (H4).
    #[test]
    fn an_old_cipher_is_named_and_a_failed_decryption_is_not() {
        use pki::cms::Refusal as Container;
        let old = unopened(&OpenFault::Refused(Container::ContentCipher("triple DES".to_owned())));
        assert_eq!((old.id, old.is_temporary()), (RefusalId::ProtectionRefused, false));
        assert!(old.about.is_some_and(|about| about.contains("triple DES")));
        for fault in [
            OpenFault::Failed,
            OpenFault::NotForUs,
            OpenFault::Layers,
            OpenFault::Inside(Box::new(OpenFault::EncryptedTwice)),
        ] {
            let refusal = unopened(&fault);
            assert_eq!((refusal.id, refusal.about), (RefusalId::OpeningFailed, None));
        }
    }

    #[test]
    fn an_unreadable_message_names_what_is_wrong() {
        let refusal = unreadable(&MailFault::BareLf(7));
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::LineEndings, false));
        assert!(refusal.about.is_some_and(|about| about.contains('7')));
    }
}
