//! What an accepted message teaches, and about whose keys.

use ident::Timestamp;
use mail::{BoundBy, Judgement, Opened, Signature, SignatureState};
use pki::{
    book::{Book, BookEntry, BookOwner},
    certificate::Certificate,
    cms::Capabilities,
};
use trail::{Event, Record};

use super::{Lesson, ReadingKey, Said};
use crate::{config::Follow, gateway::Gateway, snapshot::Snapshot};

/// A domain that read authenticated encryption says that it does not.
const DOUBTED: &str = "domain-form-doubted";
/// It said so again: it is written a weaker form from now on.
const WEAKENED: &str = "domain-form-weakened";

/// Learns from an accepted message, where its signature teaches something.
pub(crate) fn learn(gateway: &Gateway, snapshot: &Snapshot, opened: &Opened, judgement: &Judgement, now: Timestamp) {
    let Signature::Good(signed) = &opened.signature else { return };
    let Some((capabilities, at)) = signed.said.capabilities.clone().zip(signed.signing_time) else { return };
    if judgement.signature != SignatureState::Valid {
        return;
    }
    // A patient's address is a national number: it rests nowhere but in the envelope (promise 3).
    if snapshot.config.seal.capabilities != Follow::Learned || gateway.masker.is_patient(&judgement.from) {
        return;
    }
    let signer = signed.judged(judgement.signer.as_ref());
    let said = Said { capabilities, signed: at, received: now, signer: signer.fingerprint() };
    for reader in readers(&snapshot.book, judgement, signer) {
        let (key, keep) = (ReadingKey::of(reader), snapshot.config.seal.capabilities_kept.0);
        let published = snapshot.book.stated(reader);
        match snapshot.capabilities.learn(&key, said.clone(), published, keep) {
            Ok(lesson) => told(gateway, reader, &said, lesson),
            Err(error) => tracing::warn!(%error, "what a signature taught was not written down"),
        }
    }
}

/// The reading keys that the signature speaks for. Those of a whole domain only where the book says that this
/// certificate signs for it; else those of the mailbox that it is bound to, as far as their certificates are of the very
/// holder who signed: another one may be in a gateway, whatever the author's program reads.
fn readers<'b>(book: &'b Book, judgement: &Judgement, signer: &Certificate) -> Vec<&'b BookEntry> {
    let domain = judgement.from.domain();
    if book.signers(domain).iter().any(|entry| entry.certificate == *signer) {
        return book.domain_readers(domain);
    }
    let own = matches!(
        judgement.bound_by,
        Some(BoundBy::CertificateAddress | BoundBy::Person | BoundBy::Organisation | BoundBy::Book)
    );
    let mailbox = |entry: &&BookEntry| matches!(entry.owner, BookOwner::Address(_));
    let same = |entry: &&BookEntry| entry.certificate == *signer || entry.certificate.subject() == signer.subject();
    let all = if own { book.readers(&judgement.from) } else { Vec::new() };
    all.into_iter().filter(mailbox).filter(same).collect()
}

/// For whoever has to know it.
fn told(gateway: &Gateway, reader: &BookEntry, said: &Said, lesson: Lesson) {
    let alarm = |code: &str, before: &Capabilities, then: &str| {
        let text = format!(
            "{} read {before}; its signature by {} of {} lists {} only: {then}",
            reader.owner, said.signer, said.signed, said.capabilities
        );
        tracing::warn!(alarm = code, "{text}");
        let event = Event::AlarmRaised { code: code.to_owned(), text: gateway.masker.text(&text) };
        gateway.record(Record::new(said.received, event));
    };
    match lesson {
        Lesson::Taken => tracing::info!(domain = %reader.owner.domain(), "learned what it reads from its signature"),
        Lesson::Doubted(Some(before)) => {
            alarm(DOUBTED, &before, "it is written as before until that is said again another day");
        }
        Lesson::Weakened(before) => {
            alarm(WEAKENED, &before, "it is written the weaker form; a [[partner]] profile decides otherwise");
        }
        Lesson::Known | Lesson::Doubted(None) | Lesson::Older | Lesson::Useless => {}
    }
}
