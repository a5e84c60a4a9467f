//! The signed text: JSON, each name once. Names that are not known here are passed over: what later programs add may
//! only say more. What would change the meaning of a name that is known takes another version, which is refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ident::{Address, Domain, StructureId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{MAX_ENTRIES, MAX_LIFETIME, MAX_PARTNER_FILE, PartnerDraft, PartnerEntry, PartnerFileError};
use crate::{
    book::{BookOwner, BookUse},
    certificate::{Certificate, MAX_CERTIFICATE},
    cms::Capabilities,
    guard::{BrokenOff, caught},
};

/// What the text calls itself: a signed mail can never be taken for one.
const FORMAT: &str = "sceau-partner-file";
/// The only version so far.
const VERSION: u64 = 1;
/// Largest serial number: what JSON readers of other makes hold exactly.
const MAX_SERIAL: u64 = 1 << 53;

/// Words of capabilities of one key.
const MAX_CAPABILITIES: usize = 100;

/// What is read first: everything else depends on the version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Text {
    format: String,
    version: u64,
    operator: StructureId,
    serial: u64,
    issued: String,
    expires: String,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    r#use: BookUse,
    certificate: String,
    /// What whoever holds this key reads, in words; those that are not known here are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<String>>,
}

pub(super) fn write(draft: &PartnerDraft) -> Result<Vec<u8>, PartnerFileError> {
    let entry = |entry: &PartnerEntry| {
        let (domain, address) = match &entry.owner {
            BookOwner::Domain(domain) => (Some(domain.clone()), None),
            BookOwner::Address(address) => (None, Some(address.clone())),
        };
        Entry {
            domain,
            address,
            r#use: entry.usage,
            certificate: STANDARD.encode(entry.certificate.der()),
            capabilities: entry.capabilities.as_ref().map(Capabilities::words),
        }
    };
    let text = Text {
        format: FORMAT.to_owned(),
        version: VERSION,
        operator: draft.operator.clone(),
        serial: draft.serial,
        issued: draft.issued.rfc3339(),
        expires: draft.expires.rfc3339(),
        entries: draft.entries.iter().map(entry).collect(),
    };
    serde_json::to_vec(&text).map_err(|error| PartnerFileError::Form(error.to_string()))
}

pub(super) fn read(text: &[u8]) -> Result<PartnerDraft, PartnerFileError> {
    const WHAT: &str = "the partner file";
    if text.len() > MAX_PARTNER_FILE {
        return Err(PartnerFileError::TooLarge);
    }
    let form = |error: serde_json::Error| PartnerFileError::Form(error.to_string());
    let broke_off = |fault: BrokenOff| PartnerFileError::Form(fault.to_string());
    let head: Head = caught(WHAT, || serde_json::from_slice(text)).map_err(broke_off)?.map_err(form)?;
    if head.format != FORMAT {
        return Err(PartnerFileError::Content("it is no partner file"));
    }
    if head.version != VERSION {
        return Err(PartnerFileError::Version(head.version));
    }
    let text: Text = caught(WHAT, || serde_json::from_slice(text)).map_err(broke_off)?.map_err(form)?;
    let time =
        |text: &str| Timestamp::parse(text).ok_or(PartnerFileError::Content("a date is not one with time and zone"));
    let (issued, expires) = (time(&text.issued)?, time(&text.expires)?);
    if expires <= issued || expires.since(issued) > MAX_LIFETIME {
        return Err(PartnerFileError::Content("it ends before it begins, or lasts longer than 400 days"));
    }
    if text.serial == 0 || text.serial > MAX_SERIAL {
        return Err(PartnerFileError::Content("the serial number is zero or too large"));
    }
    if text.entries.len() > MAX_ENTRIES {
        return Err(PartnerFileError::Content("it has too many entries"));
    }
    let entries = text.entries.into_iter().map(Entry::read).collect::<Result<_, _>>()?;
    Ok(PartnerDraft { operator: text.operator, serial: text.serial, issued, expires, entries })
}

impl Entry {
    fn read(self) -> Result<PartnerEntry, PartnerFileError> {
        let owner = match (self.domain, self.address) {
            (Some(domain), None) => BookOwner::Domain(domain),
            (None, Some(address)) => BookOwner::Address(address),
            _ => return Err(PartnerFileError::Content("an entry names either a domain or an address")),
        };
        if self.certificate.len() > MAX_CERTIFICATE.saturating_mul(2) {
            return Err(PartnerFileError::Content("a certificate is larger than any real one"));
        }
        if self.capabilities.as_ref().is_some_and(|all| all.len() > MAX_CAPABILITIES) {
            return Err(PartnerFileError::Content("an entry lists too many capabilities"));
        }
        let capabilities = self.capabilities.as_deref().map(Capabilities::from_words);
        let der = STANDARD
            .decode(&self.certificate)
            .map_err(|_| PartnerFileError::Content("a certificate is not written in base64"))?;
        let certificate = Certificate::from_der(&der)
            .map_err(|_| PartnerFileError::Content("a certificate is not a strictly encoded X.509 certificate"))?;
        Ok(PartnerEntry { owner, usage: self.r#use, certificate, capabilities })
    }
}
