//! The signed trust list: which domains belong to the trust space, and which servers speak for each.

use std::{collections::BTreeMap, fmt};

use ident::{Domain, Fingerprint, Timestamp};
use thiserror::Error;

use crate::{
    certificate::Certificate,
    finding::Finding,
    keys::SigningKey,
    name::{Name, attribute_oid, comparable, write_pair},
    path::Validator,
};

/// Name of an operator's certificate as the list writes it: a set of attribute–value pairs.
#[derive(Debug, Clone)]
pub struct OperatorName {
    pairs: Vec<(String, String)>,
    comparable: Vec<(String, String)>,
}

/// The text is no distinguished name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an operator is named by a distinguished name such as CN=…, OU=…, O=…, ST=…, C=FR")]
pub struct OperatorNameError;

impl OperatorName {
    /// Reads `CN=…, OU=…, O=…, ST=…, C=FR`: any order, any known alias, blanks around, `\` escapes and
    /// quotes as in RFC 4514 and RFC 2253. A part after a comma that does not start with a known type
    /// belongs to the value before it, because real lists do not escape commas.
    ///
    /// # Errors
    /// [`OperatorNameError`].
    pub fn parse(text: &str) -> Result<Self, OperatorNameError> {
        if text.len() > 4096 {
            return Err(OperatorNameError);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (separator, part) in split_unescaped(text) {
            match part.split_once('=').and_then(|(kind, value)| Some((attribute_oid(kind)?, value))) {
                Some((oid, value)) => pairs.push((oid, unescape(value)?)),
                None => {
                    let (_, value) = pairs.last_mut().ok_or(OperatorNameError)?;
                    value.push(separator);
                    value.push_str(&unescape(&part)?);
                }
            }
        }
        for (_, value) in &mut pairs {
            *value = value.trim().to_owned();
        }
        if pairs.is_empty() || pairs.iter().any(|(_, value)| value.is_empty() || value.chars().any(char::is_control)) {
            return Err(OperatorNameError);
        }
        Ok(Self::from_pairs(pairs))
    }

    /// The name of a certificate's subject.
    pub fn of(name: &Name) -> Self {
        Self::from_pairs(name.pairs_reversed())
    }

    fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut comparable: Vec<_> =
            pairs.iter().map(|(oid, value)| (oid.clone(), operator_value(oid, value))).collect();
        comparable.sort();
        Self { pairs, comparable }
    }

    /// Whether a certificate's name has exactly these attributes, in whatever order and grouping.
    pub fn matches(&self, name: &Name) -> bool {
        *self == Self::of(name)
    }
}

impl PartialEq for OperatorName {
    fn eq(&self, other: &Self) -> bool {
        self.comparable == other.comparable
    }
}

impl Eq for OperatorName {}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (oid, value)) in self.pairs.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write_pair(f, oid, value)?;
        }
        Ok(())
    }
}

/// Letter case and blanks apart; the department is written with and without a blank before its
/// number (`Paris (75)`, `Paris(75)`).
fn operator_value(oid: &str, value: &str) -> String {
    let value = comparable(value);
    if oid == crate::name::Attribute::State.oid() { value.replace(" (", "(") } else { value }
}

/// Parts between unescaped, unquoted `,`, `;` or `+`, each with the separator in front of it.
fn split_unescaped(text: &str) -> Vec<(char, String)> {
    let mut parts = vec![(',', String::new())];
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        match c {
            ',' | ';' | '+' if !escaped && !quoted => {
                parts.push((c, String::new()));
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some((_, part)) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// Takes `\,`, `\C3\A9` and surrounding quotes away.
fn unescape(value: &str) -> Result<String, OperatorNameError> {
    let trimmed = value.trim_start();
    let inner = trimmed.trim_end().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    let mut chars = inner.unwrap_or(trimmed).chars().peekable();
    let mut buffer = [0u8; 4];
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let escaped = chars.next().ok_or(OperatorNameError)?;
        let pair = escaped.to_digit(16).zip(chars.peek().and_then(|low| low.to_digit(16)));
        match pair {
            Some((high, low)) => {
                chars.next();
                out.push(u8::try_from((high << 4) | low).map_err(|_| OperatorNameError)?);
            }
            None => out.extend_from_slice(escaped.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    String::from_utf8(out).map_err(|_| OperatorNameError)
}

/// What a genuine list looks like and who signs it. Settings, because the national list's own root
/// element and signer are not published (WL-8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListProfile {
    /// Local name of the root element.
    pub root: String,
    /// Namespace of the list's elements.
    pub namespace: String,
    /// Common name of the signer.
    pub signer_cn: String,
    /// Organizational unit of the signer: the structure's identifier.
    pub signer_ou: String,
}

/// One domain of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListEntry {
    /// The domain.
    pub domain: Domain,
    /// What the list says about it.
    pub description: String,
    /// Operators that speak for it, at least one.
    pub operators: Vec<OperatorName>,
    /// Who is responsible.
    pub responsible: String,
    /// Whom to call.
    pub support: String,
    /// When the entry changed, as the list writes it.
    pub updated: String,
}

/// An entry that could not be used; the others still are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListProblem {
    /// The domain as written.
    pub domain: String,
    /// What is wrong with it.
    pub what: String,
}

/// Why a trust list is refused. The last good one stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustListError {
    /// Larger than any real list.
    #[error("the list is larger than {} MB", MAX_TRUST_LIST / 1024 / 1024)]
    TooLarge,
    /// Not well-formed, with a DTD, or not the expected structure.
    #[error("the list is not the expected XML: {0}")]
    Structure(&'static str),
    /// The signature does not have the profile's exact form.
    #[error("the signature does not have the expected form: {0}")]
    Profile(&'static str),
    /// The digest or the signature value is wrong.
    #[error("the signature on the list is wrong: {0}")]
    Signature(&'static str),
    /// Signed by somebody else.
    #[error("the list is signed by {0}, not by the expected signer")]
    Signer(String),
    /// The signer's certificate is not valid.
    #[error("the signer's certificate is not valid: {0}")]
    Invalid(Finding),
    /// Whether the signer's certificate is valid cannot be told now.
    #[error("whether the signer's certificate is valid cannot be told: {0}")]
    Undetermined(Finding),
    /// Generated later than now.
    #[error("the list says that it was made in the future, at {0}")]
    Future(Timestamp),
    /// Older than the one in force, or of the same date and different.
    #[error("the list of {offered} does not follow the one in force, of {current}")]
    RollBack {
        /// The date in force.
        current: Timestamp,
        /// The date of the list that was offered.
        offered: Timestamp,
    },
    /// The list could not be signed.
    #[error("the list could not be signed: {0}")]
    Signing(&'static str),
}

/// Largest trust list that is read. The national one is about 6 MB.
pub const MAX_TRUST_LIST: usize = 64 * 1024 * 1024;

/// A verified trust list.
#[derive(Debug, Clone)]
pub struct TrustList {
    generated: Timestamp,
    digest: Fingerprint,
    entries: BTreeMap<Domain, TrustListEntry>,
    problems: Vec<TrustListProblem>,
}

impl TrustList {
    /// Verifies a signed list and reads it: form, digests, signature, the signer's name and path.
    ///
    /// # Errors
    /// See [`TrustListError`].
    pub fn verify(
        xml: &[u8],
        profile: &TrustListProfile,
        validator: &Validator,
        at: Timestamp,
    ) -> Result<Self, TrustListError> {
        let _ = (xml, profile, validator, at);
        Err(TrustListError::Structure("not read yet"))
    }

    /// When the list says that it was made.
    pub fn generated(&self) -> Timestamp {
        self.generated
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// Whether a domain is in the trust space.
    pub fn lists(&self, domain: &Domain) -> bool {
        self.entries.contains_key(domain)
    }

    /// The operators that speak for a domain; none if it is not listed.
    pub fn operators(&self, domain: &Domain) -> &[OperatorName] {
        self.entries.get(domain).map(|entry| entry.operators.as_slice()).unwrap_or_default()
    }

    /// Whether the list names this certificate's subject for the domain. Says nothing about the
    /// certificate's validity.
    pub fn speaks_for(&self, certificate: &Certificate, domain: &Domain) -> bool {
        self.operators(domain).iter().any(|operator| operator.matches(certificate.subject()))
    }

    /// All domains, sorted.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.entries.keys()
    }

    /// Everything that the list says about a domain.
    pub fn entry(&self, domain: &Domain) -> Option<&TrustListEntry> {
        self.entries.get(domain)
    }

    /// All entries, sorted by domain.
    pub fn entries(&self) -> impl Iterator<Item = &TrustListEntry> {
        self.entries.values()
    }

    /// Entries that could not be used.
    pub fn problems(&self) -> &[TrustListProblem] {
        &self.problems
    }

    /// Whether this list may take the place of `current`: its date only goes up (WL-10). The very same
    /// file again is fine.
    ///
    /// # Errors
    /// [`TrustListError::RollBack`].
    pub fn may_follow(&self, current: &Self) -> Result<(), TrustListError> {
        if self.generated > current.generated || self.digest == current.digest {
            return Ok(());
        }
        Err(TrustListError::RollBack { current: current.generated, offered: self.generated })
    }
}

/// A list to be signed.
#[derive(Debug, Clone)]
pub struct TrustListDraft {
    /// Root element and namespace; the signer's names are not used for signing.
    pub profile: TrustListProfile,
    /// Date of the list.
    pub generated: Timestamp,
    /// Its domains.
    pub entries: Vec<TrustListEntry>,
}

/// Signs a list as XAdES-BASELINE-B, enveloped (mssante §5).
///
/// # Errors
/// [`TrustListError::Signing`].
pub fn sign_trust_list(
    draft: &TrustListDraft,
    signer: &dyn SigningKey,
    at: Timestamp,
) -> Result<Vec<u8>, TrustListError> {
    let _ = (draft, signer, at);
    Err(TrustListError::Signing("not written yet"))
}
