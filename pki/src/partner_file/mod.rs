//! The partner file: what an operator publishes so that others know which certificates sign for its
//! domains and which read for them (decision 0018).
//!
//! One CMS `SignedData` (RFC 5652) around a JSON text. Nothing in it is believed before its signature,
//! its signer's path and its signer's organisation are good; the trust list says for which domains that
//! organisation speaks. `sceau` fetches and publishes; this module takes bytes.

mod content;
mod error;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ident::{Domain, Fingerprint, StructureId, Timestamp};

pub use error::PartnerFileError;

use crate::{
    book::{BookOwner, BookUse},
    certificate::{self, Certificate, usage},
    cms::{self, Capabilities},
    finding::Finding,
    identity::Identity,
    keys::SigningKey,
    path::{Purpose, Validator, Verdict},
};

/// Largest file that is read: a thousand domains with ten certificates each fit.
pub const MAX_PARTNER_FILE: usize = 16 * 1024 * 1024;
/// Most entries of one file.
pub const MAX_ENTRIES: usize = 20_000;
/// Most different certificates of one file: each one's path is judged.
pub const MAX_CERTIFICATES: usize = 4_000;
/// Longest time between `issued` and `expires`: what is not renewed for so long has been forgotten.
pub const MAX_LIFETIME: Duration = Duration::from_secs(400 * 86_400);
/// How far the publisher's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(300);

/// One certificate of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerEntry {
    /// Whose it is.
    pub owner: BookOwner,
    /// What for.
    pub usage: BookUse,
    /// The certificate.
    pub certificate: Certificate,
    /// What whoever holds its key reads, if the file says so.
    pub capabilities: Option<Capabilities>,
}

/// A file to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerDraft {
    /// The organisation that publishes: it must be that of the signing certificate.
    pub operator: StructureId,
    /// Goes up with each new content.
    pub serial: u64,
    /// When it is made.
    pub issued: Timestamp,
    /// When it is no longer to be believed.
    pub expires: Timestamp,
    /// What it says.
    pub entries: Vec<PartnerEntry>,
}

/// What is already held of an operator: a new file must follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its serial number.
    pub serial: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// Digest of its content.
    pub digest: Fingerprint,
}

/// What a file is judged against.
pub struct Expected<'a> {
    /// Anchors and revocation lists.
    pub validator: &'a Validator,
    /// The organisations that the trust list names for a domain: see [`operators_of`].
    pub named: &'a dyn Fn(&Domain) -> Vec<StructureId>,
    /// The operator that the file is fetched for, if it is known beforehand.
    pub operator: Option<&'a StructureId>,
    /// What is held of an operator.
    pub held: &'a dyn Fn(&StructureId) -> Option<Held>,
}

/// An entry that expiry or revocation made useless: it is left out, the others count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The entry.
    pub entry: PartnerEntry,
    /// Why.
    pub finding: Finding,
}

/// A verified partner file.
#[derive(Debug, Clone)]
pub struct PartnerFile {
    operator: StructureId,
    serial: u64,
    issued: Timestamp,
    expires: Timestamp,
    digest: Fingerprint,
    signer: Certificate,
    entries: Vec<PartnerEntry>,
    left_out: Vec<LeftOut>,
}

/// Signs a file.
///
/// # Errors
/// [`PartnerFileError::Content`] when the draft says what no reader would take, or
/// [`PartnerFileError::Signing`].
pub fn sign(draft: &PartnerDraft, key: &dyn SigningKey) -> Result<Vec<u8>, PartnerFileError> {
    if organisation(key.certificate()).as_ref() != Some(&draft.operator) {
        return Err(PartnerFileError::Signer(key.certificate().subject().to_string()));
    }
    let text = content::write(draft)?;
    // What we would not read ourselves is not published.
    content::read(&text)?;
    cms::sign(&text, key, draft.issued, &[]).map_err(PartnerFileError::Signing)
}

impl PartnerDraft {
    /// Reads the signed text of a file, to see what it says. Nothing vouches for it: what is to be
    /// believed comes from [`PartnerFile::verify`].
    ///
    /// # Errors
    /// See [`PartnerFileError`].
    pub fn read(text: &[u8]) -> Result<Self, PartnerFileError> {
        content::read(text)
    }
}

/// The organisations whose servers a trust list names for a domain: their OU.
pub fn operators_of(list: &crate::trust_list::TrustList, domain: &Domain) -> Vec<StructureId> {
    let units =
        list.operators(domain).iter().filter_map(|name| name.single(crate::name::Attribute::OrganizationalUnit));
    units.filter_map(|unit| StructureId::parse(unit).ok()).collect()
}

impl PartnerFile {
    /// Verifies a file: signature, signer, age, and for each entry whose domain and whose certificate it is.
    ///
    /// # Errors
    /// See [`PartnerFileError`]. A refused file changes nothing.
    pub fn verify(octets: &[u8], expected: &Expected<'_>, at: Timestamp) -> Result<Self, PartnerFileError> {
        if octets.len() > MAX_PARTNER_FILE {
            return Err(PartnerFileError::TooLarge);
        }
        let signed = cms::verify(octets, None, &[]).map_err(PartnerFileError::Signature)?;
        let operator = signer(&signed.signer, expected.validator, at)?;
        if let Some(wanted) = expected.operator
            && *wanted != operator
        {
            return Err(PartnerFileError::OtherOperator { wanted: wanted.clone(), found: operator });
        }
        let digest = certificate::fingerprint(&signed.content).ok_or(PartnerFileError::Content("it has no digest"))?;
        let draft = content::read(&signed.content)?;
        if draft.operator != operator {
            return Err(PartnerFileError::OtherOperator { wanted: draft.operator, found: operator });
        }
        dates(&draft, at)?;
        follows(&draft, digest, (expected.held)(&operator))?;
        let PartnerDraft { serial, issued, expires, entries: offered, .. } = draft;
        let (entries, left_out) = entries(offered, &operator, expected, at)?;
        let signer = signed.proof.signer;
        Ok(Self { operator, serial, issued, expires, digest, signer, entries, left_out })
    }

    /// The organisation that published it.
    pub fn operator(&self) -> &StructureId {
        &self.operator
    }

    /// Its serial number.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// When it was made.
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// Until when it may be taken.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// SHA-256 of the signed content: the same for every signature around it.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// Who signed.
    pub fn signer(&self) -> &Certificate {
        &self.signer
    }

    /// What it says: certificates that are valid, now or from a later day on.
    pub fn entries(&self) -> &[PartnerEntry] {
        &self.entries
    }

    /// What it says about certificates that are expired or revoked.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

/// The organisation of a certificate, if it is an organisation's.
fn organisation(certificate: &Certificate) -> Option<StructureId> {
    match Identity::of(certificate) {
        Ok(Identity::Organisation(organisation)) => Some(organisation.structure),
        _ => None,
    }
}

/// An organisation's certificate for signing, with a path to an anchor, tells which operator speaks.
fn signer(certificate: &Certificate, validator: &Validator, at: Timestamp) -> Result<StructureId, PartnerFileError> {
    let mail = |oid: &String| [usage::EMAIL_PROTECTION, usage::ANY].contains(&oid.as_str());
    let signs = certificate.may_sign() && certificate.extended_key_usage().is_none_or(|all| all.iter().any(mail));
    let operator = organisation(certificate).filter(|_| signs);
    let operator = operator.ok_or_else(|| PartnerFileError::Signer(certificate.subject().to_string()))?;
    match validator.verify(certificate, &[], Purpose::Organisation, at) {
        Verdict::Valid(_) => Ok(operator),
        Verdict::Invalid(finding) => Err(PartnerFileError::SignerInvalid(finding)),
        Verdict::Undetermined(finding) => Err(PartnerFileError::Undetermined(finding)),
    }
}

fn dates(draft: &PartnerDraft, at: Timestamp) -> Result<(), PartnerFileError> {
    if draft.issued > at.plus(SKEW) {
        Err(PartnerFileError::Future(draft.issued))
    } else if draft.expires <= at {
        Err(PartnerFileError::Expired(draft.expires))
    } else {
        Ok(())
    }
}

/// Serial number and date only go up; the same number means the same content.
fn follows(draft: &PartnerDraft, digest: Fingerprint, held: Option<Held>) -> Result<(), PartnerFileError> {
    let Some(held) = held else { return Ok(()) };
    let newer = draft.serial > held.serial && draft.issued >= held.issued;
    if newer || (draft.serial == held.serial && digest == held.digest) {
        return Ok(());
    }
    Err(PartnerFileError::Older { held: held.serial, offered: draft.serial })
}

type Sorted = (Vec<PartnerEntry>, Vec<LeftOut>);

fn entries(
    offered: Vec<PartnerEntry>,
    operator: &StructureId,
    expected: &Expected<'_>,
    at: Timestamp,
) -> Result<Sorted, PartnerFileError> {
    let mut spoken_for = BTreeSet::new();
    let mut judged: BTreeMap<Fingerprint, Option<Finding>> = BTreeMap::new();
    let (mut good, mut left_out) = (Vec::new(), Vec::new());
    for entry in offered {
        let domain = entry.owner.domain();
        if !spoken_for.contains(domain) {
            let named = (expected.named)(domain);
            if !named.contains(operator) {
                let (domain, operator) = (domain.clone(), operator.clone());
                return Err(PartnerFileError::OthersDomain { domain, operator, named });
            }
            spoken_for.insert(domain.clone());
        }
        belongs(&entry, operator)?;
        let id = entry.certificate.fingerprint();
        let finding = match judged.get(&id) {
            Some(known) => known.clone(),
            None if judged.len() >= MAX_CERTIFICATES => {
                return Err(PartnerFileError::Content("it has too many certificates"));
            }
            None => {
                let finding = path(&entry.certificate, expected.validator, at)?;
                judged.insert(id, finding.clone());
                finding
            }
        };
        match finding {
            None => good.push(entry),
            Some(finding) => left_out.push(LeftOut { entry, finding }),
        }
    }
    Ok((good, left_out))
}

/// The certificate is the operator's own, made for what the entry says, and names nobody else's mailbox.
fn belongs(entry: &PartnerEntry, operator: &StructureId) -> Result<(), PartnerFileError> {
    let certificate = &entry.certificate;
    let wrong = |what| {
        Err(PartnerFileError::Entry { owner: entry.owner.to_string(), certificate: certificate.fingerprint(), what })
    };
    if organisation(certificate).as_ref() != Some(operator) {
        return wrong("the certificate does not carry the operator's organisation number");
    }
    let mail = |oid: &String| [usage::EMAIL_PROTECTION, usage::ANY].contains(&oid.as_str());
    let fits = match entry.usage {
        BookUse::Signs => certificate.may_sign(),
        BookUse::Reads => certificate.may_encrypt(),
    };
    // NT-T09: the two halves of a split pair are not each other.
    if !fits || certificate.extended_key_usage().is_some_and(|all| !all.iter().any(mail)) {
        return wrong("the certificate is not made for this use");
    }
    let emails = certificate.emails();
    let stranger = match &entry.owner {
        BookOwner::Address(address) => !emails.is_empty() && !certificate.names_address(address),
        BookOwner::Domain(domain) => emails.iter().any(|email| email.domain() != domain),
    };
    if stranger { wrong("the certificate names other mailboxes") } else { Ok(()) }
}

/// `None`: good. A finding: what time or revocation made of it. Anything else refuses the file.
fn path(certificate: &Certificate, validator: &Validator, at: Timestamp) -> Result<Option<Finding>, PartnerFileError> {
    match validator.verify(certificate, &[], Purpose::Organisation, at) {
        Verdict::Valid(_) => Ok(None),
        Verdict::Undetermined(finding) => Err(PartnerFileError::Undetermined(finding)),
        // A key for a later day: it is judged again on the day on which it is used.
        Verdict::Invalid(finding) if finding.code == "not_yet_valid" => Ok(None),
        Verdict::Invalid(finding) if ["expired", "revoked"].contains(&finding.code) => Ok(Some(finding)),
        Verdict::Invalid(finding) => Err(PartnerFileError::Invalid(finding)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
