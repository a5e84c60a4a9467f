//! Path validation: is this certificate good for this purpose at this time?

mod chain;
mod checks;
mod memory;
mod search;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ident::Timestamp;
use openssl::error::ErrorStack;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    anchors::Anchors,
    certificate::Certificate,
    crl::{CrlError, RevocationList},
    der,
    finding::Finding,
    name::Name,
    ocsp::OcspAnswer,
    revocation::{Evidence, Known, Surroundings, may_sign_lists},
    status::{self, Holdings, RevocationStore, StatusSource},
};
pub use checks::Terms;
pub(crate) use checks::floor;
use memory::Memory;
pub use search::Effort;
use search::Search;

/// What a certificate is to be used for. Anchors, key usage and extended key usage depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// RFC 5280 and nothing more: no algorithm floor, no key usage, every anchor.
    Any,
    /// A person proves who they are: client authentication, mail protection or smart-card logon,
    /// with digitalSignature.
    Person,
    /// A structure signs, authenticates as a client, or reads.
    Organisation,
    /// A server that we connect to: serverAuth.
    Server,
    /// A server that connects to us: serverAuth or clientAuth, under the servers' anchors.
    Peer,
    /// A signer or reader of mail known by address: emailProtection.
    Email,
}

impl Purpose {
    /// Whose anchors it uses.
    pub(crate) fn anchored_as(self) -> Self {
        if self == Self::Peer { Self::Server } else { self }
    }
}

/// Inputs of RFC 5280 §6.1.1 about certificate policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Accepted policies, dotted; empty means any policy.
    pub accepted: Vec<String>,
    /// A chain without an accepted policy is invalid.
    pub require_explicit: bool,
    /// Policy mappings are not followed.
    pub inhibit_mapping: bool,
    /// anyPolicy in certificates counts for nothing.
    pub inhibit_any: bool,
}

/// Whether and how revocation is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationMode {
    /// Every certificate below the anchor needs a revocation list; one that is out of date by no more
    /// than `grace` still counts, and the verdict says so.
    Required {
        /// How long after its `nextUpdate` a list may still be used.
        grace: Duration,
    },
    /// Not judged, and the verdict says so.
    NotJudged,
}

/// A valid path.
#[derive(Debug, Clone)]
pub struct ValidPath {
    /// From the certificate asked about to the anchor.
    pub certificates: Vec<Certificate>,
    /// Policies that the whole path follows, restricted to the accepted ones; dotted.
    pub policies: Vec<String>,
    /// Whether revocation was judged.
    pub revocation_judged: bool,
    /// Whether a revocation list or OCSP answer past its date was used within the grace.
    pub stale_grace: bool,
    /// What acquitted each certificate, from the top down; empty when revocation was not judged.
    pub evidence: Vec<Evidence>,
}

/// The answer to "is this certificate good for this purpose at this time?".
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Yes, by this path.
    Valid(ValidPath),
    /// No, for good.
    Invalid(Finding),
    /// It cannot be told now: no or old revocation data. Mail waits (4xx).
    Undetermined(Finding),
}

impl Verdict {
    /// Whether it is a plain yes.
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// The reason, unless it is a yes.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Valid(_) => None,
            Self::Invalid(finding) | Self::Undetermined(finding) => Some(finding),
        }
    }
}

/// Why a validator cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValidatorError {
    /// A test root among the anchors of a production configuration.
    #[error("{0} is a test authority, and test certificates are not allowed here")]
    TestAnchor(String),
    /// One anchor for persons and for something else, without its issuing authorities.
    #[error(
        "{0} vouches for persons and for something else: name for each purpose the authorities that issue its certificates"
    )]
    UndividedAnchor(String),
    /// A revocation list that cannot be used.
    #[error("the revocation list cannot be used: {0}")]
    Crl(#[from] CrlError),
    /// A policy that is no object identifier.
    #[error("{0} is no object identifier of a policy")]
    Policy(String),
}

/// Gathers what a [`Validator`] knows.
#[derive(Debug)]
pub struct ValidatorBuilder {
    known: Validator,
    undivided: bool,
}

impl Default for ValidatorBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ValidatorBuilder {
    /// Nothing trusted, revocation required without grace, test certificates refused.
    pub fn new() -> Self {
        Self {
            known: Validator {
                anchors: Anchors::default(),
                intermediates: HashMap::new(),
                holdings: Holdings::default(),
                test_category: false,
                policies: PolicySettings::default(),
                mode: RevocationMode::Required { grace: Duration::ZERO },
                memory: Memory::default(),
            },
            undivided: false,
        }
    }

    /// Trusts a certificate for a purpose.
    #[must_use]
    pub fn anchor(mut self, purpose: Purpose, certificate: Certificate) -> Self {
        self.known.anchors.add(purpose, certificate);
        self
    }

    /// Trusts a certificate for a purpose, but only where one of `issuers` signs the holder's certificate.
    /// A root that vouches for persons and for something else needs it for each purpose.
    #[must_use]
    pub fn anchor_with_issuers(
        mut self,
        purpose: Purpose,
        certificate: Certificate,
        issuers: Vec<Certificate>,
    ) -> Self {
        self.known.anchors.add_with_issuers(purpose, certificate, issuers);
        self
    }

    /// Whether one anchor may vouch for persons and for something else without naming its issuing
    /// authorities: for commands whose user gives one set of anchors for everything.
    #[must_use]
    pub fn undivided_anchors(mut self, allowed: bool) -> Self {
        self.undivided = allowed;
        self
    }

    /// A certificate that may stand between a leaf and an anchor; not trusted by itself.
    #[must_use]
    pub fn intermediate(mut self, certificate: Certificate) -> Self {
        let known = self.known.intermediates.entry(certificate.subject().clone()).or_default();
        if !known.contains(&certificate) {
            known.push(certificate);
        }
        self
    }

    /// Revocation lists: one in DER, or those of a PEM text.
    ///
    /// # Errors
    /// [`ValidatorError::Crl`] when one cannot be read.
    pub fn crl(mut self, octets: &[u8]) -> Result<Self, ValidatorError> {
        for list in RevocationList::list_from(octets)? {
            self.known.holdings.own_mut().add_list(Arc::new(list));
        }
        Ok(self)
    }

    /// A revocation list that was read before: the same list may serve many validators.
    #[must_use]
    pub fn revocation_list(mut self, list: Arc<RevocationList>) -> Self {
        self.known.holdings.own_mut().add_list(list);
        self
    }

    /// An OCSP answer.
    #[must_use]
    pub fn ocsp_answer(mut self, answer: Arc<OcspAnswer>) -> Self {
        self.known.holdings.own_mut().add_answer(answer);
        self
    }

    /// A store whose facts count beside those given here, as they are at each decision.
    #[must_use]
    pub fn store(mut self, store: Arc<RevocationStore>) -> Self {
        self.known.holdings.shared = Some(store);
        self
    }

    /// Whether certificates of test hierarchies are accepted.
    #[must_use]
    pub fn test_category(mut self, allowed: bool) -> Self {
        self.known.test_category = allowed;
        self
    }

    /// Certificate policies to apply.
    #[must_use]
    pub fn policies(mut self, policies: PolicySettings) -> Self {
        self.known.policies = policies;
        self
    }

    /// Whether and how revocation is judged.
    #[must_use]
    pub fn revocation(mut self, mode: RevocationMode) -> Self {
        self.known.mode = mode;
        self
    }

    /// The finished snapshot.
    ///
    /// # Errors
    /// [`ValidatorError::TestAnchor`] when test certificates are refused and an anchor (for anything
    /// but [`Purpose::Any`]) is one; [`ValidatorError::UndividedAnchor`]; [`ValidatorError::Policy`].
    pub fn build(self) -> Result<Validator, ValidatorError> {
        let known = self.known;
        let anchors = known.anchors.iter().filter(|(purpose, _)| *purpose != Purpose::Any);
        for (_, anchor) in anchors {
            if anchor.is_test_category() && !known.test_category {
                return Err(ValidatorError::TestAnchor(anchor.subject().to_string()));
            }
        }
        if let Some(anchor) = known.anchors.undivided().filter(|_| !self.undivided) {
            return Err(ValidatorError::UndividedAnchor(anchor.subject().to_string()));
        }
        for policy in &known.policies.accepted {
            if der::oid(policy).is_none() {
                return Err(ValidatorError::Policy(policy.clone()));
            }
        }
        Ok(known)
    }
}

/// An immutable snapshot of anchors, intermediates, revocation lists and settings. Answers without
/// any I/O; time comes from the caller.
#[derive(Debug)]
pub struct Validator {
    anchors: Anchors,
    intermediates: HashMap<Name, Vec<Certificate>>,
    holdings: Holdings,
    test_category: bool,
    policies: PolicySettings,
    mode: RevocationMode,
    memory: Memory,
}

impl Validator {
    /// Judges `leaf` for `purpose` at `at`; `untrusted` are certificates that came along with it.
    pub fn verify(&self, leaf: &Certificate, untrusted: &[Certificate], purpose: Purpose, at: Timestamp) -> Verdict {
        self.verify_counted(leaf, untrusted, purpose, at).0
    }

    /// As [`Validator::verify`], and what it has cost; never more than [`Effort::MOST`].
    pub fn verify_counted(
        &self,
        leaf: &Certificate,
        untrusted: &[Certificate],
        purpose: Purpose,
        at: Timestamp,
    ) -> (Verdict, Effort) {
        let search = Search::new(self, untrusted, purpose, at);
        let verdict = search.run(leaf);
        // OpenSSL leaves its reasons in a queue of the thread, where a TLS connection would find them.
        drop(ErrorStack::get());
        (verdict, search.effort())
    }

    /// The anchors.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// As [`Self::verify`], with an OCSP answer that came along (TLS stapling). It passes the same rules
    /// as any other: who sends it decides nothing.
    pub fn verify_stapled(
        &self,
        leaf: &Certificate,
        untrusted: &[Certificate],
        stapled: Arc<OcspAnswer>,
        purpose: Purpose,
        at: Timestamp,
    ) -> Verdict {
        let verdict = Search::new(self, untrusted, purpose, at).with_stapled(stapled).run(leaf);
        drop(ErrorStack::get());
        verdict
    }

    /// A path that is valid but for revocation, which is not looked at.
    pub fn path(
        &self,
        leaf: &Certificate,
        untrusted: &[Certificate],
        purpose: Purpose,
        at: Timestamp,
    ) -> Option<Vec<Certificate>> {
        let verdict = Search::new(self, untrusted, purpose, at).without_revocation().run(leaf);
        drop(ErrorStack::get());
        match verdict {
            Verdict::Valid(path) => Some(path.certificates),
            Verdict::Invalid(_) | Verdict::Undetermined(_) => None,
        }
    }

    /// Where the status of `leaf` and of the authorities above it is published: nothing for a
    /// certificate that does not lead to an anchor.
    pub fn sources_for(
        &self,
        leaf: &Certificate,
        untrusted: &[Certificate],
        purpose: Purpose,
        at: Timestamp,
    ) -> Vec<StatusSource> {
        self.path(leaf, untrusted, purpose, at).map(|path| status::sources(&path)).unwrap_or_default()
    }

    /// Where the status of the configured intermediates is published, of those that lead to an anchor.
    pub fn own_sources(&self, at: Timestamp) -> Vec<StatusSource> {
        let mut out = Vec::new();
        let search = Search::new(self, &[], Purpose::Any, at);
        for certificate in self.intermediates.values().flatten() {
            let anchors = self.anchors.of(Purpose::Any);
            let path = anchors.iter().find_map(|anchor| search.path_to(certificate, anchor));
            for source in path.map(|path| status::sources(&path)).unwrap_or_default() {
                if !out.contains(&source) {
                    out.push(source);
                }
            }
        }
        drop(ErrorStack::get());
        out
    }

    /// The store whose facts count beside its own.
    pub fn revocation_store(&self) -> Option<&Arc<RevocationStore>> {
        self.holdings.shared.as_ref()
    }

    /// Whether an authority that we trust for anything signed this list, well enough for our floor.
    pub(crate) fn vouches_for(&self, list: &RevocationList, at: Timestamp) -> bool {
        let search = Search::new(self, &[], Purpose::Any, at);
        let anchors: Vec<Certificate> = self.anchors.of(Purpose::Any).into_iter().cloned().collect();
        let good = list.strongly_signed()
            && search.named(list.issuer()).iter().any(|signer| {
                may_sign_lists(signer)
                    && list.signed_by(signer)
                    && anchors.iter().any(|anchor| anchor == signer || search.path_to(signer, anchor).is_some())
            });
        drop(ErrorStack::get());
        good
    }

    /// The revocation lists, for a look at their age.
    pub fn revocation_lists(&self) -> Vec<Arc<RevocationList>> {
        let known = self.known();
        let shared = known.shared.iter().flat_map(|facts| facts.lists());
        known.own.lists().chain(shared).cloned().collect()
    }

    /// Whether test certificates are accepted.
    pub fn allows_test(&self) -> bool {
        self.test_category
    }

    fn intermediates(&self, subject: &Name) -> &[Certificate] {
        self.intermediates.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    fn known(&self) -> Known {
        self.holdings.known()
    }

    fn policies(&self) -> &PolicySettings {
        &self.policies
    }

    fn mode(&self) -> RevocationMode {
        self.mode
    }

    fn remembered(&self) -> &Memory {
        &self.memory
    }
}

#[cfg(test)]
mod strict_tests;
#[cfg(test)]
pub(crate) mod tests;
