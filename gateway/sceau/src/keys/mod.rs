//! The keys of our own domains: loaded from files and tokens, judged before they serve, watched while
//! they do.
//!
//! A reload that brings a bad key or certificate leaves the ones in service where they are and says so;
//! everything else that it brings is taken.

pub mod checkpoint;
pub mod expiry;
mod judge;
mod load;
pub(crate) mod pins;
pub mod watch;

pub use load::{signing_key, token_key};

use std::{collections::BTreeMap, sync::Arc};

use ident::{Domain, Fingerprint, Timestamp};
use pki::{
    certificate::Certificate,
    keys::{DecryptionKey, KeyError, SigningKey, Token, TokenFault, TokenReader, TokenSigner},
};

use crate::config::{Problem, TokenSection};

/// Every key that we hold, with the tokens that some are on.
#[derive(Default)]
pub struct KeyRing {
    tokens: Vec<(TokenSection, Arc<Token>)>,
    domains: BTreeMap<Domain, DomainKeys>,
    /// What was refused while what was in service stays.
    pub kept: Vec<Problem>,
    /// What is in service although something is wrong with it.
    pub concerns: Vec<Problem>,
}

/// The keys of one domain.
#[derive(Clone)]
pub struct DomainKeys {
    /// What signs.
    pub signing: SigningSet,
    /// What reads.
    pub reading: ReadingSet,
}

/// A key on a token can be asked whether it is there.
#[derive(Clone)]
enum OnToken {
    Signer(Arc<TokenSigner>),
    Reader(Arc<TokenReader>),
}

/// One key of ours.
struct One<K: ?Sized> {
    key: Arc<K>,
    /// File or URI, for messages.
    place: String,
    on_token: Option<OnToken>,
}

/// What signs for a domain; certificates may overlap, the preferred one is first.
#[derive(Clone)]
pub struct SigningSet(Vec<One<dyn SigningKey>>);

/// What opens mail sealed for a domain: the current key first, then older ones for mail that comes late.
#[derive(Clone)]
pub struct ReadingSet(Vec<One<dyn DecryptionKey>>);

fn in_force(certificate: &Certificate, at: Timestamp) -> bool {
    certificate.not_before() <= at && at < certificate.not_after()
}

impl SigningSet {
    /// The key to sign with now: the first one in force. When none is, the first one: partners then say
    /// what is wrong with it, and the watch has told the operator for two months.
    pub fn at(&self, now: Timestamp) -> Option<&Arc<dyn SigningKey>> {
        let current = self.0.iter().find(|one| in_force(one.key.certificate(), now));
        current.or(self.0.first()).map(|one| &one.key)
    }

    /// All its certificates, the preferred one first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().map(|one| one.key.certificate())
    }
}

impl ReadingSet {
    /// The certificate that others seal for: the first one in force.
    pub fn certificate_at(&self, now: Timestamp) -> Option<&Certificate> {
        self.certificates().find(|certificate| in_force(certificate, now)).or_else(|| self.certificates().next())
    }

    /// All its certificates, the current one first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter().map(|one| one.key.certificate())
    }

    /// All its keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &dyn DecryptionKey> {
        self.0.iter().map(|one| one.key.as_ref())
    }
}

impl KeyRing {
    /// The keys of a domain.
    pub fn of(&self, domain: &Domain) -> Option<&DomainKeys> {
        self.domains.get(domain)
    }

    /// The tokens that keys are on.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.iter().map(|(_, token)| token)
    }

    /// Every key on a token, asked whether it is there and the right one: its place and what is wrong.
    pub fn ask_tokens(&self) -> Vec<(String, Result<(), KeyError>)> {
        let mut answers = Vec::new();
        for keys in self.domains.values() {
            let signing = keys.signing.0.iter().map(|one| (&one.place, &one.on_token));
            let reading = keys.reading.0.iter().map(|one| (&one.place, &one.on_token));
            for (place, on_token) in signing.chain(reading) {
                answers.extend(on_token.as_ref().map(|key| (place.clone(), key.prove())));
            }
        }
        answers
    }

    /// Faults that no waiting heals: a key that is not there, or another one's.
    pub fn lasting_faults(&self) -> Vec<Problem> {
        let lasting = |error: &KeyError| {
            matches!(
                error,
                KeyError::Unavailable(
                    TokenFault::NoKey(_) | TokenFault::SeveralKeys(_) | TokenFault::Foreign(_) | TokenFault::Unfit(..)
                )
            )
        };
        let answers = self.ask_tokens().into_iter().filter_map(|(place, answer)| answer.err().map(|e| (place, e)));
        answers
            .filter(|(_, error)| lasting(error))
            .map(|(place, error)| Problem::of(place, error.to_string()))
            .collect()
    }
}

impl<K: ?Sized> Clone for One<K> {
    fn clone(&self) -> Self {
        Self { key: Arc::clone(&self.key), place: self.place.clone(), on_token: self.on_token.clone() }
    }
}

impl OnToken {
    fn prove(&self) -> Result<(), KeyError> {
        match self {
            Self::Signer(key) => key.prove(),
            Self::Reader(key) => key.prove(),
        }
    }
}

impl<K: ?Sized> One<K> {
    fn prove(&self) -> Result<(), KeyError> {
        self.on_token.as_ref().map_or(Ok(()), OnToken::prove)
    }
}

/// Places and certificates of a set, to tell what is new in another one.
fn known<'a>(places: impl Iterator<Item = (&'a String, &'a Certificate)>) -> Vec<(String, Fingerprint)> {
    places.map(|(place, certificate)| (place.clone(), certificate.fingerprint())).collect()
}
