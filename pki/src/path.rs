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
    revocation::Lists,
};
use memory::Memory;
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
    /// Whether a revocation list past its date was used within the grace.
    pub stale_grace: bool,
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
                lists: Lists::default(),
                test_category: false,
                policies: PolicySettings::default(),
                mode: RevocationMode::Required { grace: Duration::ZERO },
                memory: Memory::default(),
            },
        }
    }

    /// Trusts a certificate for a purpose.
    #[must_use]
    pub fn anchor(mut self, purpose: Purpose, certificate: Certificate) -> Self {
        self.known.anchors.add(purpose, certificate);
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
            self.known.lists.add(Arc::new(list));
        }
        Ok(self)
    }

    /// A revocation list that was read before: the same list may serve many validators.
    #[must_use]
    pub fn revocation_list(mut self, list: Arc<RevocationList>) -> Self {
        self.known.lists.add(list);
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
    /// but [`Purpose::Any`]) is one; [`ValidatorError::Policy`].
    pub fn build(self) -> Result<Validator, ValidatorError> {
        let known = self.known;
        let anchors = known.anchors.iter().filter(|(purpose, _)| *purpose != Purpose::Any);
        for (_, anchor) in anchors {
            if anchor.is_test_category() && !known.test_category {
                return Err(ValidatorError::TestAnchor(anchor.subject().to_string()));
            }
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
    lists: Lists,
    test_category: bool,
    policies: PolicySettings,
    mode: RevocationMode,
    memory: Memory,
}

impl Validator {
    /// Judges `leaf` for `purpose` at `at`; `untrusted` are certificates that came along with it.
    pub fn verify(&self, leaf: &Certificate, untrusted: &[Certificate], purpose: Purpose, at: Timestamp) -> Verdict {
        let verdict = Search::new(self, untrusted, purpose, at).run(leaf);
        // OpenSSL leaves its reasons in a queue of the thread, where a TLS connection would find them.
        drop(ErrorStack::get());
        verdict
    }

    /// The anchors.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The revocation lists, for a look at their age.
    pub fn revocation_lists(&self) -> impl Iterator<Item = &RevocationList> {
        self.lists.iter().map(AsRef::as_ref)
    }

    /// Whether test certificates are accepted.
    pub fn allows_test(&self) -> bool {
        self.test_category
    }

    fn intermediates(&self, subject: &Name) -> &[Certificate] {
        self.intermediates.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    fn lists(&self) -> &Lists {
        &self.lists
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
pub(crate) mod tests;
