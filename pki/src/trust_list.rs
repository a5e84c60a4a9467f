//! The signed trust list: which domains belong to the trust space, and which servers speak for each.

mod bounds;
mod diff;
mod operator;
mod sign;
mod xades;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use ident::{Domain, Fingerprint, Timestamp};
use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

use crate::{
    certificate::{self, Certificate},
    finding::Finding,
    guard::caught,
    name::{Attribute, comparable},
    path::{Purpose, Validator, Verdict},
};

pub use diff::{ChangedDomain, TrustListDiff};
pub use operator::{OperatorName, OperatorNameError};
pub use sign::{sign_trust_list, sign_written_list};

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

/// Most XML nodes: the national list has about 200,000.
const MAX_NODES: u32 = 4_000_000;
/// How far the publisher's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(300);

/// A verified trust list.
#[derive(Debug, Clone)]
pub struct TrustList {
    generated: Timestamp,
    digest: Fingerprint,
    entries: BTreeMap<Domain, TrustListEntry>,
    /// Every operator of any domain: thousands of domains share few, and each connection asks.
    operators: HashSet<OperatorName>,
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
        let (list, signer) = Self::authentic(xml, profile)?;
        match validator.verify(&signer, &[], Purpose::Organisation, at) {
            Verdict::Valid(_) => {}
            Verdict::Invalid(finding) => return Err(TrustListError::Invalid(finding)),
            Verdict::Undetermined(finding) => return Err(TrustListError::Undetermined(finding)),
        }
        if list.generated > at.plus(SKEW) {
            return Err(TrustListError::Future(list.generated));
        }
        Ok(list)
    }

    /// Reads again a list that [`Self::verify`] accepted earlier and whose SHA-256 was remembered: the
    /// same form, digests, signature value and signer's name; the path of the signer's certificate was
    /// judged then. For the last good copy, which stays in force while its signer cannot be judged (SUB-7).
    ///
    /// # Errors
    /// See [`TrustListError`]; another file than the remembered one is [`TrustListError::Signature`].
    pub fn verify_remembered(
        xml: &[u8],
        profile: &TrustListProfile,
        remembered: Fingerprint,
    ) -> Result<Self, TrustListError> {
        let (list, _) = Self::authentic(xml, profile)?;
        if list.digest == remembered {
            Ok(list)
        } else {
            Err(TrustListError::Signature("this is not the file that was accepted"))
        }
    }

    /// Form, digests, signature value and the signer's name; the signer's path is not judged yet.
    fn authentic(xml: &[u8], profile: &TrustListProfile) -> Result<(Self, Certificate), TrustListError> {
        if xml.len() > MAX_TRUST_LIST {
            return Err(TrustListError::TooLarge);
        }
        let text = std::str::from_utf8(xml).map_err(|_| TrustListError::Structure("the text is not UTF-8"))?;
        if declares_other_encoding(text) {
            return Err(TrustListError::Structure("the declared encoding is not UTF-8"));
        }
        bounds::check(text)?;
        let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = caught("the trust list", || Document::parse_with_options(text, options))
            .map_err(|_| TrustListError::Structure("its reader broke off"))?
            .map_err(|_| TrustListError::Structure("it is not well-formed, or has a DTD"))?;
        let root = document.root_element();
        if !xades::is(root, &profile.namespace, &profile.root) {
            return Err(TrustListError::Structure("the root element is another one"));
        }
        if document.root().children().any(|node| node.is_pi()) {
            return Err(TrustListError::Structure("there are processing instructions outside the root"));
        }
        let (certificate, signature) = xades::verify(&document)?;
        check_signer(&certificate, profile)?;
        let mut list = Self::read(root, signature, &profile.namespace)?;
        list.digest = certificate::fingerprint(xml).ok_or(TrustListError::Signature("no digest"))?;
        Ok((list, certificate))
    }

    /// Reads the verified tree; domains stand under the root or under `ListeDomaines`.
    fn read(root: Node<'_, '_>, signature: Node<'_, '_>, namespace: &str) -> Result<Self, TrustListError> {
        let generated = field(root, namespace, "DateDeGeneration")?;
        let generated =
            Timestamp::parse(&generated).ok_or(TrustListError::Structure("DateDeGeneration is no date with time"))?;
        let mut list = Self {
            generated,
            digest: Fingerprint::new([0; 32]),
            entries: BTreeMap::new(),
            operators: HashSet::new(),
            problems: Vec::new(),
        };
        let children = || root.children().filter(|node| *node != signature);
        let lists = children().filter(|node| xades::is(*node, namespace, "ListeDomaines"));
        for node in children().chain(lists.flat_map(|list| list.children())) {
            if xades::is(node, namespace, "Domaine") {
                list.take(node, namespace)?;
            }
        }
        if list.entries.is_empty() {
            return Err(TrustListError::Structure("it names no domain"));
        }
        Ok(list)
    }

    /// One `Domaine`. What cannot be understood is noted and left out: one mistyped line must not
    /// take a nation's mail down.
    fn take(&mut self, node: Node<'_, '_>, namespace: &str) -> Result<(), TrustListError> {
        let name = field(node, namespace, "Nom")?;
        let domain = match Domain::parse(&name) {
            Ok(domain) => domain,
            Err(error) => {
                self.problems.push(problem(&name, error.to_string()));
                return Ok(());
            }
        };
        let mut operators = Vec::new();
        for operator in node.children().filter(|child| xades::is(*child, namespace, "DNCertificatOperateur")) {
            match OperatorName::parse(xades::text(operator)?.trim()) {
                Ok(operator) => operators.push(operator),
                Err(error) => self.problems.push(problem(&name, error.to_string())),
            }
        }
        if operators.is_empty() {
            self.problems.push(problem(&name, "no operator is named for the domain"));
            return Ok(());
        }
        let entry = TrustListEntry {
            domain: domain.clone(),
            description: field(node, namespace, "Description")?,
            operators: Vec::new(),
            responsible: field(node, namespace, "ResponsableContact")?,
            support: field(node, namespace, "SupportContact")?,
            updated: field(node, namespace, "DateMAJ")?,
        };
        // Several rows of one domain are several operators (REL-6).
        let known = self.entries.entry(domain).or_insert(entry);
        for operator in operators {
            self.operators.insert(operator.clone());
            if !known.operators.contains(&operator) {
                known.operators.push(operator);
            }
        }
        Ok(())
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
        let subject = OperatorName::of(certificate.subject());
        self.operators(domain).contains(&subject)
    }

    /// Whether the list names this certificate's subject for any domain. Says nothing about the
    /// certificate's validity.
    pub fn knows(&self, certificate: &Certificate) -> bool {
        self.operators.contains(&OperatorName::of(certificate.subject()))
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
        self.may_follow_dated(current.generated, current.digest)
    }

    /// The same when only the date and the SHA-256 of the list in force are remembered.
    ///
    /// # Errors
    /// [`TrustListError::RollBack`].
    pub fn may_follow_dated(&self, generated: Timestamp, digest: Fingerprint) -> Result<(), TrustListError> {
        if self.generated > generated || self.digest == digest {
            return Ok(());
        }
        Err(TrustListError::RollBack { current: generated, offered: self.generated })
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

/// Pinned by common name and structure, and made for signing.
fn check_signer(certificate: &Certificate, profile: &TrustListProfile) -> Result<(), TrustListError> {
    let subject = certificate.subject();
    let only = |attribute, wanted: &str| {
        let value = subject.single(attribute);
        value.is_some_and(|value| comparable(value) == comparable(wanted))
    };
    let expected =
        only(Attribute::CommonName, &profile.signer_cn) && only(Attribute::OrganizationalUnit, &profile.signer_ou);
    if expected && certificate.may_sign() { Ok(()) } else { Err(TrustListError::Signer(subject.to_string())) }
}

fn problem(domain: &str, what: impl Into<String>) -> TrustListProblem {
    TrustListProblem { domain: domain.chars().take(255).collect(), what: what.into() }
}

/// Text of the one child of this name; empty if there is none.
fn field(parent: Node<'_, '_>, namespace: &str, name: &str) -> Result<String, TrustListError> {
    let mut found = parent.children().filter(|node| xades::is(*node, namespace, name));
    match (found.next(), found.next()) {
        (None, _) => Ok(String::new()),
        (Some(node), None) => Ok(xades::text(node)?.trim().to_owned()),
        _ => Err(TrustListError::Structure("a value that stands once stands twice")),
    }
}

/// The encoding that the XML declaration names, if it is not UTF-8, makes other readers see other
/// characters than we do.
fn declares_other_encoding(xml: &str) -> bool {
    let declaration = xml.trim_start_matches('\u{feff}').strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let encoding = declaration.and_then(|(inside, _)| inside.split_once("encoding"));
    encoding.is_some_and(|(_, rest)| {
        let value = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '=');
        let value: String = value.chars().skip(1).take_while(|c| !matches!(c, '"' | '\'')).collect();
        !value.eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrapping_tests;
