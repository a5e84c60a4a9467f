//! Path validation: is this certificate good for this purpose at this time?

use std::time::Duration;

use ident::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    anchors::Anchors,
    certificate::Certificate,
    finding::{Finding, Reason},
};

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
    Crl(String),
    /// A policy that is no object identifier.
    #[error("{0} is no object identifier of a policy")]
    Policy(String),
}

/// Gathers what a [`Validator`] knows.
#[derive(Debug, Default)]
pub struct ValidatorBuilder {
    anchors: Anchors,
    intermediates: Vec<Certificate>,
    test_category: bool,
    policies: PolicySettings,
    mode: Option<RevocationMode>,
}

impl ValidatorBuilder {
    /// Nothing trusted, revocation required without grace, test certificates refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts a certificate for a purpose.
    #[must_use]
    pub fn anchor(mut self, purpose: Purpose, certificate: Certificate) -> Self {
        self.anchors.add(purpose, certificate);
        self
    }

    /// A certificate that may stand between a leaf and an anchor; not trusted by itself.
    #[must_use]
    pub fn intermediate(mut self, certificate: Certificate) -> Self {
        self.intermediates.push(certificate);
        self
    }

    /// A revocation list, DER or PEM.
    ///
    /// # Errors
    /// [`ValidatorError::Crl`] when it cannot be read.
    pub fn crl(self, _octets: &[u8]) -> Result<Self, ValidatorError> {
        Ok(self)
    }

    /// Whether certificates of test hierarchies are accepted.
    #[must_use]
    pub fn test_category(mut self, allowed: bool) -> Self {
        self.test_category = allowed;
        self
    }

    /// Certificate policies to apply.
    #[must_use]
    pub fn policies(mut self, policies: PolicySettings) -> Self {
        self.policies = policies;
        self
    }

    /// Whether and how revocation is judged.
    #[must_use]
    pub fn revocation(mut self, mode: RevocationMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The finished snapshot.
    ///
    /// # Errors
    /// See [`ValidatorError`].
    pub fn build(self) -> Result<Validator, ValidatorError> {
        Ok(Validator { known: self })
    }
}

/// An immutable snapshot of anchors, intermediates, revocation lists and settings. Answers without
/// any I/O; time comes from the caller.
#[derive(Debug)]
pub struct Validator {
    known: ValidatorBuilder,
}

impl Validator {
    /// Judges `leaf` for `purpose` at `at`; `untrusted` are certificates that came along with it.
    pub fn verify(&self, leaf: &Certificate, untrusted: &[Certificate], purpose: Purpose, at: Timestamp) -> Verdict {
        let _ = (untrusted, purpose, at, &self.known);
        Verdict::Undetermined(Finding::new(Reason::Internal, Some(leaf)))
    }
}
