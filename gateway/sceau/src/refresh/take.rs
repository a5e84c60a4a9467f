//! One source asked, and what came of it taken or refused. What was held before stays in force
//! whenever anything is wrong.
//!
//! What is good is written down *before* it takes effect: a kill at any moment must not bring back what it
//! takes away. A disk that takes nothing is no reason to go on trusting who was revoked: then it takes effect
//! all the same, and the source counts as failing.

use std::{io, sync::Arc};

use ident::Fingerprint;
use pki::{
    certificate::Certificate,
    crl::{CrlError, RevocationList},
    name::Name,
    ocsp::{OcspAnswer, OcspError, OcspRequest},
    status::Offer,
    trust_list::MAX_TRUST_LIST,
};
use thiserror::Error;

use super::{
    journal::Entry,
    notes::{Dates, Notes},
    sources::{Gives, Source},
};
use crate::{
    fetch::{AnchoredServers, Answer, FetchError, Fetcher, Kind, Place, Request, Tags, Undetermined},
    gateway::Gateway,
    snapshot::Snapshot,
    trust::Offered,
};

/// Largest OCSP answer.
const MAX_ANSWER: usize = pki::ocsp::MAX_ANSWER;

/// Why a source gave nothing that we may use. Each names where we looked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// Nothing came.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What came is no revocation list.
    #[error("{0}: what came is no usable revocation list: {1}")]
    NoList(Place, CrlError),
    /// What came is no OCSP answer.
    #[error("{0}: what came is no usable OCSP answer: {1}")]
    NoAnswer(Place, OcspError),
    /// It speaks for another authority than the certificate that named the address.
    #[error("{0}: the list is of another authority ({1})")]
    OtherIssuer(Place, String),
    /// Older than what we hold or held.
    #[error("{0}: it is older than what we hold")]
    Older(Place),
    /// Signed by nobody whom we trust.
    #[error("{0}: nobody whom we trust signed it")]
    WrongSigner(Place),
    /// Another rule of the store.
    #[error("{0}: it is not taken: {1}")]
    NotTaken(Place, &'static str),
    /// The trust list was refused.
    #[error("{0}: {1}")]
    TrustList(Place, String),
    /// The disk.
    #[error("what came cannot be kept: {0}")]
    NotKept(#[from] io::Error),
    /// The work could not be run.
    #[error("the work could not be run: {0}")]
    Broken(String),
}

impl RefreshError {
    /// Stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.fault.code(),
            Self::NoList(..) | Self::NoAnswer(..) => "malformed",
            Self::OtherIssuer(..) => "other-issuer",
            Self::Older(_) => "older",
            Self::WrongSigner(_) => "wrong-signer",
            Self::NotTaken(..) => "not-taken",
            Self::TrustList(..) => "trust-list",
            Self::NotKept(_) | Self::Broken(_) => "local",
        }
    }
}

/// What a source gave.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Dates of what is held now.
    pub(super) dates: Option<Dates>,
    /// For the next time.
    pub(super) tags: Tags,
    /// The copy.
    pub(super) copy: Option<Fingerprint>,
    /// Whose list is new, for the trail.
    pub(super) fresh: Option<String>,
}

/// One source to be asked.
pub(super) struct Ask {
    pub(super) gateway: Arc<Gateway>,
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) notes: Arc<Notes>,
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) entry: Entry,
}

impl Ask {
    /// Asks, verifies, takes, keeps. Nothing means that nothing has changed.
    pub(super) async fn run(self) -> Result<Option<News>, RefreshError> {
        let (place, octets, tags, question) = match self.fetch().await? {
            None => return Ok(None),
            Some(found) => found,
        };
        let gateway = Arc::clone(&self.gateway);
        let work = move || self.take(&place, &octets, tags, question.as_ref()).map(Some);
        gateway.compute(work).await.map_err(RefreshError::Broken)?
    }

    #[allow(clippy::type_complexity)] // where, what, for the next time, and what was asked
    async fn fetch(&self) -> Result<Option<(Place, Vec<u8>, Tags, Option<OcspRequest>)>, RefreshError> {
        let snapshot = self.gateway.snapshot();
        let settings = &snapshot.config.refresh;
        // What we fetch is signed by itself, and may be the very thing that determines it (decision 0016).
        let (at, undetermined) = (self.gateway.now(), Undetermined::Accepted);
        let trust = AnchoredServers { validator: &snapshot.validator, at, undetermined };
        let held = self.is_held(&snapshot).then_some(&self.entry.tags);
        let mut failure = None;
        for place in &self.source.places {
            let question = match &self.source.gives {
                Gives::Answer { certificate, issuer } => Some(
                    OcspRequest::new(certificate, issuer).map_err(|why| RefreshError::NoAnswer(place.clone(), why))?,
                ),
                _ => None,
            };
            let (kind, most) = match &self.source.gives {
                Gives::TrustList => (Kind::TrustList, MAX_TRUST_LIST),
                Gives::List(_) => (Kind::RevocationList, usize::try_from(settings.max_crl.0).unwrap_or(usize::MAX)),
                Gives::Answer { .. } => (Kind::OcspAnswer, MAX_ANSWER),
            };
            let request = Request { place, kind, most, held, question: question.as_ref().map(OcspRequest::der) };
            match self.fetcher.fetch(&request, &trust).await {
                Ok(Answer::Unchanged) => return Ok(None),
                Ok(Answer::New { octets, tags }) => return Ok(Some((place.clone(), octets, tags, question))),
                // The first address is the one that counts; what is wrong with it is what is told.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Whether the publisher's tags speak of what is really in force here.
    fn is_held(&self, snapshot: &Snapshot) -> bool {
        let Some(copy) = self.entry.copy else { return false };
        match &self.source.gives {
            Gives::TrustList => snapshot.trust_list.digest() == copy,
            Gives::List(_) => snapshot.status.lists().iter().any(|list| list.digest() == copy),
            Gives::Answer { .. } => false,
        }
    }

    fn take(
        &self,
        place: &Place,
        octets: &[u8],
        tags: Tags,
        question: Option<&OcspRequest>,
    ) -> Result<News, RefreshError> {
        match (&self.source.gives, question) {
            (Gives::TrustList, _) => self.take_trust_list(place, octets, tags),
            (Gives::List(issuer), _) => self.take_list(place, octets, tags, issuer.as_ref()),
            (Gives::Answer { certificate, issuer }, Some(question)) => {
                let answer = question.read(octets).map_err(|why| RefreshError::NoAnswer(place.clone(), why))?;
                self.take_answer(place, answer, certificate, issuer)
            }
            (Gives::Answer { .. }, None) => Err(RefreshError::Broken("no question was asked".to_owned())),
        }
    }

    fn take_trust_list(&self, place: &Place, octets: &[u8], tags: Tags) -> Result<News, RefreshError> {
        match self.gateway.offer_trust_list(octets) {
            Offered::Same | Offered::InForce(_) => {
                let list = Arc::clone(&self.gateway.snapshot().trust_list);
                // The list says no end; its copy is kept where lists are kept.
                Ok(News { tags, copy: Some(list.digest()), ..News::default() })
            }
            Offered::Refused(refused) => Err(RefreshError::TrustList(place.clone(), refused.to_string())),
            Offered::NotKept(error) => Err(RefreshError::TrustList(place.clone(), error.to_string())),
        }
    }

    fn take_list(&self, place: &Place, octets: &[u8], tags: Tags, issuer: Option<&Name>) -> Result<News, RefreshError> {
        let lists = RevocationList::list_from(octets).map_err(|why| RefreshError::NoList(place.clone(), why))?;
        let (snapshot, at) = (self.gateway.snapshot(), self.gateway.now());
        let judge = |list: &RevocationList| {
            if issuer.is_some_and(|issuer| issuer != list.issuer()) {
                return Err(RefreshError::OtherIssuer(place.clone(), list.issuer().to_string()));
            }
            if self.entry.this_update.is_some_and(|held| list.this_update() < held) {
                return Err(RefreshError::Older(place.clone()));
            }
            done(place, snapshot.status.weigh_list(list, &snapshot.validator, at))
        };
        lists.iter().try_for_each(judge)?;
        // Of several lists in one file the first end counts.
        let dates = lists.iter().map(|list| (list.this_update(), list.next_update())).min_by_key(|(_, next)| *next);
        let kept = self.notes.remember(&self.name, octets, dates, &tags);
        let mut fresh = None;
        for list in lists {
            let name = list.issuer().to_string();
            let offer = snapshot.status.offer_list(list, &snapshot.validator, at);
            fresh = if offer == Offer::Taken { Some(name) } else { fresh };
            done(place, offer)?;
        }
        Ok(News { dates, tags, copy: Some(kept?), fresh })
    }

    fn take_answer(
        &self,
        place: &Place,
        answer: OcspAnswer,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<News, RefreshError> {
        let (status, at) = (Arc::clone(&self.gateway.snapshot().status), self.gateway.now());
        done(place, status.weigh_answer(&answer, certificate, issuer, at))?;
        let dates = answer.this_update(certificate, issuer).zip(answer.fresh_until(certificate, issuer));
        let tags = Tags::default();
        let kept = self.notes.remember(&self.name, answer.der(), dates, &tags);
        done(place, status.offer_answer(answer, certificate, issuer, at))?;
        Ok(News { dates, tags, copy: Some(kept?), fresh: None })
    }
}

fn done(place: &Place, offer: Offer) -> Result<(), RefreshError> {
    let place = place.clone();
    Err(match offer {
        Offer::Taken | Offer::Known => return Ok(()),
        Offer::Older => RefreshError::Older(place),
        Offer::Untrusted => RefreshError::WrongSigner(place),
        Offer::FromTheFuture => RefreshError::NotTaken(place, "it is dated in the future"),
        Offer::TakesBack => RefreshError::NotTaken(place, "it takes back a revocation that was for good"),
        Offer::Full => RefreshError::NotTaken(place, "no more fits into memory"),
    })
}
