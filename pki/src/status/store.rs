//! The newest list of each series and the newest answer about each certificate.
//!
//! Readers take an immutable set; a writer makes the next one beside it and swaps. What is older than
//! what is held, signed by nobody we trust, or dated in the future is not taken: an attacker between
//! us and a publisher can delay news and do nothing else.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ident::Timestamp;

use crate::{
    certificate::Certificate,
    crl::RevocationList,
    ocsp::{OcspAnswer, OcspStatus, responder},
    path::Validator,
    revocation::{Facts, Known, SKEW},
};

/// Most lists in a store.
const MAX_LISTS: usize = 4096;
/// Most answers in a store; each has some 2 KB.
const MAX_ANSWERS: usize = 20_000;

/// What became of something offered to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is newer than what was held, and counts from now on.
    Taken,
    /// It is what is held already.
    Known,
    /// It is older than what is held, by number or date.
    Older,
    /// Nobody whom we trust signed it, or not well enough; or it speaks about another certificate.
    Untrusted,
    /// It is dated in the future: taken, it would keep everything true out.
    FromTheFuture,
    /// It takes back a revocation that was for good.
    TakesBack,
    /// The store is full.
    Full,
}

/// Shared facts about revocation: one for the life of the service, whatever is loaded again meanwhile.
#[derive(Debug, Default)]
pub struct RevocationStore {
    current: RwLock<Arc<Facts>>,
    /// Writers come one after the other, so that none undoes what another added.
    writing: Mutex<()>,
}

impl RevocationStore {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a list if `validator` knows who signed it and it is not older than the one held.
    pub fn offer_list(&self, list: RevocationList, validator: &Validator, at: Timestamp) -> Offer {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let offer = self.weigh_list(&list, validator, at);
        if offer == Offer::Taken {
            let mut next = Facts::clone(&self.facts());
            next.replace_list(Arc::new(list));
            self.swap(next);
        }
        offer
    }

    /// What an offer of this list would come to at this moment; nothing is changed. For whoever writes a list
    /// down before it takes effect.
    pub fn weigh_list(&self, list: &RevocationList, validator: &Validator, at: Timestamp) -> Offer {
        if list.this_update() > at.plus(SKEW) {
            return Offer::FromTheFuture;
        }
        let facts = self.facts();
        match facts.current(list) {
            Some(held) if held.digest() == list.digest() => return Offer::Known,
            Some(held) if !list.may_follow(held) => return Offer::Older,
            _ => {}
        }
        if !validator.vouches_for(list, at) {
            return Offer::Untrusted;
        }
        let is_full = facts.current(list).is_none() && facts.lists().count() >= MAX_LISTS;
        if is_full { Offer::Full } else { Offer::Taken }
    }

    /// Takes an answer about `certificate` if `issuer`, or somebody whom it named, signed it, and it is
    /// not older than the one held. Both certificates come from a path that a validator found, or from a
    /// [`StatusSource`](super::StatusSource).
    pub fn offer_answer(
        &self,
        answer: impl Into<Arc<OcspAnswer>>,
        certificate: &Certificate,
        issuer: &Certificate,
        at: Timestamp,
    ) -> Offer {
        let answer: Arc<OcspAnswer> = answer.into();
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let offer = self.weigh_answer(&answer, certificate, issuer, at);
        if offer != Offer::Taken {
            return offer;
        }
        let mut next = Facts::clone(&self.facts());
        if next.all_answers().count() >= MAX_ANSWERS {
            next.retain_answers(|held| held.singles().iter().any(|it| it.until() >= at || it.status.is_permanent()));
            if next.all_answers().count() >= MAX_ANSWERS {
                return Offer::Full;
            }
        }
        next.replace_answer(answer, certificate, issuer);
        self.swap(next);
        Offer::Taken
    }

    /// What an offer of this answer would come to at this moment, room apart; nothing is changed.
    pub fn weigh_answer(
        &self,
        answer: &OcspAnswer,
        certificate: &Certificate,
        issuer: &Certificate,
        at: Timestamp,
    ) -> Offer {
        let Some((status, this_update)) = answer.about(certificate, issuer).map(|it| (it.status, it.this_update))
        else {
            return Offer::Untrusted;
        };
        if this_update.max(answer.produced_at()) > at.plus(SKEW) {
            return Offer::FromTheFuture;
        }
        if responder::of(answer, issuer, Vec::new, at, true).is_none() {
            return Offer::Untrusted;
        }
        for held in self.facts().answers(certificate, issuer) {
            let Some(known) = held.about(certificate, issuer) else { continue };
            if held.der() == answer.der() {
                return Offer::Known;
            }
            if known.status.is_permanent() && !matches!(status, OcspStatus::Revoked { .. }) {
                return Offer::TakesBack;
            }
            if this_update < known.this_update {
                return Offer::Older;
            }
        }
        Offer::Taken
    }

    /// The lists held, for a look at their age.
    pub fn lists(&self) -> Vec<Arc<RevocationList>> {
        self.facts().lists().cloned().collect()
    }

    /// The answers held about one certificate.
    pub fn answers(&self, certificate: &Certificate, issuer: &Certificate) -> Vec<Arc<OcspAnswer>> {
        self.facts().answers(certificate, issuer).cloned().collect()
    }

    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, next: Facts) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// What one validator reads: the facts that it was built with, and those of a shared store.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) own: Arc<Facts>,
    pub(crate) shared: Option<Arc<RevocationStore>>,
}

impl Holdings {
    /// For building.
    pub(crate) fn own_mut(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.own)
    }

    /// The facts of this moment. Nothing of the store is kept longer than one decision, so that a list
    /// of a million entries leaves memory as soon as a newer one is there.
    pub(crate) fn known(&self) -> Known {
        Known { own: Arc::clone(&self.own), shared: self.shared.as_ref().map(|store| store.facts()), stapled: None }
    }
}
