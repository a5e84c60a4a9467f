//! Break-glass: a domain and operator trusted although the list does not name them, because two
//! administrators say so, each with their own key, for a short time.
//!
//! The entry is a text that both sign (CMS, apart): a card and OpenSSL's command line can do it as well as
//! we. Nothing else that lies on this machine makes a grant; a file that somebody edits grants nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ident::{Domain, Timestamp};
use pki::{certificate::Certificate, cms, keys::SigningKey, trust_list::OperatorName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::blocks::Operator;

/// How many administrators it takes.
const NEEDED: usize = 2;
/// Largest entry and signature that are read.
const MAX_PART: usize = 64 * 1024;
/// Most signatures read of one grant.
const MAX_SIGNATURES: usize = 8;
/// How far the clock of whoever wrote the entry may be ahead of ours.
const SKEW: std::time::Duration = std::time::Duration::from_secs(300);
/// What the entry is, so that no other text that an administrator signs is one.
const KIND: &str = "sceau break-glass 1";

/// Somebody who may open the glass, together with another one.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// Name for the trail.
    pub name: String,
    /// What their signature is checked with: this very certificate.
    pub certificate: Certificate,
}

/// What is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    kind: String,
    /// The one gateway that it is for.
    pub gateway: Domain,
    /// Name that it is never granted again under.
    pub id: String,
    /// The domain.
    pub domain: Domain,
    /// Who speaks for it.
    pub operator: Operator,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// An entry with what was signed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The entry, to the octet.
    pub entry: String,
    /// CMS signatures over it, in base64.
    pub signatures: Vec<String>,
}

/// An entry that two administrators signed and that is for this gateway.
#[derive(Debug, Clone)]
pub struct Grant {
    /// What is granted.
    pub entry: Entry,
    /// Who signed.
    pub by: Vec<String>,
}

/// By what a grant is judged.
#[derive(Debug, Clone, Copy)]
pub struct GrantRules<'a> {
    /// Those who may sign.
    pub administrators: &'a [Administrator],
    /// This gateway.
    pub gateway: &'a Domain,
    /// Longest grant.
    pub longest: std::time::Duration,
}

/// Why an entry grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not a text that we wrote.
    #[error("this is no break-glass entry: {0}")]
    Form(String),
    /// For somebody else.
    #[error("the entry is for the gateway {0}, not for this one")]
    Gateway(Domain),
    /// No end, an end before its beginning, or one too far away.
    #[error("the entry must end after it begins, and at most {0} h later")]
    Duration(u64),
    /// Begins in the future.
    #[error("the entry begins in the future, at {0}")]
    Future(Timestamp),
    /// A reason is missing.
    #[error("the entry gives no reason")]
    NoReason,
    /// Too few administrators signed.
    #[error("{signed} of {NEEDED} administrators signed ({who}); each signs with their own key")]
    Signatures {
        /// How many did.
        signed: usize,
        /// Who.
        who: String,
    },
    /// The key failed.
    #[error("the entry could not be signed: {0}")]
    Signing(String),
}

impl Entry {
    /// An entry to be signed.
    pub fn new(
        gateway: Domain,
        id: String,
        domain: Domain,
        operator: Operator,
        span: (Timestamp, Timestamp),
        reason: String,
    ) -> Self {
        let (from, until) = span;
        Self { kind: KIND.to_owned(), gateway, id, domain, operator, from, until, reason }
    }

    /// Whether it holds at this moment.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

impl Signed {
    /// Nobody has signed yet.
    pub fn unsigned(entry: &Entry) -> Self {
        Self { entry: serde_json::to_string(entry).unwrap_or_default(), signatures: Vec::new() }
    }

    /// What it says, believed by nobody yet.
    ///
    /// # Errors
    /// [`GrantError::Form`].
    pub fn claimed(&self) -> Result<Entry, GrantError> {
        let form = |what: &str| GrantError::Form(what.to_owned());
        if self.entry.len() > MAX_PART || self.signatures.len() > MAX_SIGNATURES {
            return Err(form("it is larger than any real one"));
        }
        let entry: Entry = serde_json::from_str(&self.entry).map_err(|error| GrantError::Form(error.to_string()))?;
        if entry.kind == KIND { Ok(entry) } else { Err(form("it is of another kind")) }
    }

    /// Adds the signature of one administrator.
    ///
    /// # Errors
    /// [`GrantError::Signing`].
    pub fn sign(&mut self, key: &dyn SigningKey, at: Timestamp) -> Result<(), GrantError> {
        let signature = cms::sign_detached(self.entry.as_bytes(), key, at, &[])
            .map_err(|error| GrantError::Signing(error.to_string()))?;
        self.signatures.push(STANDARD.encode(signature));
        Ok(())
    }

    /// Who signed, of those who may; each counts once, whatever they sign with.
    pub fn signers<'a>(&self, administrators: &'a [Administrator], at: Timestamp) -> Vec<&'a Administrator> {
        let mut found: Vec<&Administrator> = Vec::new();
        for signature in self.signatures.iter().take(MAX_SIGNATURES).filter(|it| it.len() <= MAX_PART) {
            let Ok(der) = STANDARD.decode(signature) else { continue };
            let known: Vec<Certificate> = administrators.iter().map(|it| it.certificate.clone()).collect();
            let Ok(verified) = cms::verify(&der, Some(self.entry.as_bytes()), &known) else { continue };
            let who = administrators.iter().find(|it| it.certificate.fingerprint() == verified.signer.fingerprint());
            let Some(who) = who.filter(|it| it.certificate.not_before() <= at && at < it.certificate.not_after())
            else {
                continue;
            };
            if !found.iter().any(|known| known.is(who)) {
                found.push(who);
            }
        }
        found
    }

    /// The grant, if it is one.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn grant(&self, rules: GrantRules<'_>, at: Timestamp) -> Result<Grant, GrantError> {
        let entry = self.claimed()?;
        if entry.gateway != *rules.gateway {
            return Err(GrantError::Gateway(entry.gateway));
        }
        let lasts = entry.until.since(entry.from);
        if lasts.is_zero() || lasts > rules.longest {
            return Err(GrantError::Duration(rules.longest.as_secs().div_euclid(3600)));
        }
        if entry.from > at.plus(SKEW) {
            return Err(GrantError::Future(entry.from));
        }
        if entry.reason.trim().is_empty() {
            return Err(GrantError::NoReason);
        }
        let by: Vec<String> = self.signers(rules.administrators, at).iter().map(|it| it.name.clone()).collect();
        if by.len() < NEEDED {
            return Err(GrantError::Signatures { signed: by.len(), who: by.join(", ") });
        }
        Ok(Grant { entry, by })
    }
}

impl Administrator {
    /// Whether this is the same person: the same name, certificate or key.
    pub fn is(&self, other: &Self) -> bool {
        self.name.trim().to_lowercase() == other.name.trim().to_lowercase()
            || self.certificate.fingerprint() == other.certificate.fingerprint()
            || self.certificate.public_key().public_eq(other.certificate.public_key())
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Entry { id, domain, operator, until, reason, .. } = &self.entry;
        write!(
            f,
            "{domain} is trusted although the list does not name it: {} until {until}, {id} by {}: {reason}",
            operator.name(),
            self.by.join(" and ")
        )
    }
}

impl Grant {
    /// Whether it names this operator for this domain at this moment.
    pub fn names(&self, domain: &Domain, at: Timestamp) -> Option<&OperatorName> {
        (self.entry.domain == *domain && self.entry.holds(at)).then(|| self.entry.operator.name())
    }
}
