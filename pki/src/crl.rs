//! A certificate revocation list, read strictly and kept as a sorted index.
//!
//! A list of a million entries becomes 28 MB of fixed-size records; the octets are dropped. The
//! signature is kept as digest and value and checked against a key when a path shows which.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ident::{Fingerprint, Timestamp};
use openssl::base64::decode_block;
use thiserror::Error;

use crate::{
    algorithm::{SignatureAlgorithm, Signed},
    certificate::{self, Certificate},
    der::tag,
    der_reader::{self, Element, Malformed, Read, Reader},
    extension::{self, PointName, oids},
    name::Name,
};

/// Largest list that is read: a million entries are about 35 MB.
pub const MAX_CRL: usize = 64 * 1024 * 1024;
/// Entries between two fences of the index.
const STRETCH: usize = 64;
/// Most lists in one PEM text.
const MAX_CRLS_IN_TEXT: usize = 1000;

/// Why octets are no usable revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Over [`MAX_CRL`].
    #[error("the list is larger than {} MB", MAX_CRL / 1024 / 1024)]
    TooLarge,
    /// Not DER, or not the structure of a list.
    #[error("these octets are not a strictly encoded revocation list")]
    Malformed,
    /// No PEM block, or a broken one.
    #[error("the text holds no readable PEM block X509 CRL")]
    Pem,
    /// Not version 2: without extensions nobody can tell its number and scope.
    #[error("the list is not of version 2")]
    Version,
    /// No CRLNumber (RFC 5280 §5.2.3).
    #[error("the list has no number, so that an older one could be put in its place")]
    NoNumber,
    /// No nextUpdate (RFC 5280 §5.1.2.5).
    #[error("the list does not say when the next one comes, so that nobody can tell when it is stale")]
    NoNextUpdate,
    /// A list of revoked certificates that is there and empty, or an empty scope.
    #[error("the list holds an empty element where RFC 5280 wants it left out")]
    EmptyElement,
    /// The same extension twice.
    #[error("the list carries the same extension twice")]
    DuplicateExtension,
    /// A signature algorithm that we do not verify.
    #[error("the list is signed with an algorithm that is not supported")]
    Algorithm,
}

impl From<Malformed> for CrlError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a list is about (RFC 5280 §5.2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) point: Option<PointName>,
    pub(crate) only_users: bool,
    pub(crate) only_authorities: bool,
    pub(crate) only_attributes: bool,
    /// Reason flags, bit 0 lowest; `None` is all reasons.
    pub(crate) reasons: Option<u16>,
    pub(crate) indirect: bool,
}

/// One entry: certificate issuer (0 is the issuer of the list), serial number, reason, date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    issuer: u16,
    serial: SerialKey,
    reason: u8,
    /// Seconds since the epoch; dates outside 1970–2106 stay at the border.
    since: u32,
}

/// A serial number of any length up to 21 octets, sign-extended: comparable as octets.
type SerialKey = [u8; 21];

/// What a list says about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// CRLReason (RFC 5280 §5.3.1); 8, removeFromCRL, takes an entry back and occurs in deltas only.
    pub reason: u8,
    /// Since when.
    pub since: Timestamp,
}

/// Reason code removeFromCRL, in delta lists only.
pub(crate) const REMOVE_FROM_CRL: u8 = 8;

/// A revocation list.
#[derive(Debug)]
pub struct RevocationList {
    issuer: Name,
    /// The issuer in words, for the record of each decision.
    signer_text: Arc<str>,
    this_update: Timestamp,
    next_update: Timestamp,
    number: Vec<u8>,
    base: Option<Vec<u8>>,
    scope: Scope,
    authority_key_id: Option<Vec<u8>>,
    unknown_critical: bool,
    /// Further certificate issuers of an indirect list; `Entry::issuer` counts from 1 into it.
    issuers: Vec<Name>,
    entries: Vec<Entry>,
    /// Where each stretch of [`STRETCH`] entries begins: a search looks here first and stays in the
    /// processor's cache, where one over all entries would wait for memory at each step.
    fences: Vec<(u16, SerialKey)>,
    digest: Fingerprint,
    signed: Signed,
    /// Keys already tried, by SHA-256 of the key: the answer never changes.
    tried: Mutex<HashMap<Fingerprint, bool>>,
}

impl RevocationList {
    /// Reads one DER list.
    ///
    /// # Errors
    /// See [`CrlError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL {
            return Err(CrlError::TooLarge);
        }
        let mut outer = Reader::only(der, tag::SEQUENCE)?.inside();
        let tbs = outer.expect(tag::SEQUENCE)?;
        let algorithm = outer.expect(tag::SEQUENCE)?;
        let signature = der_reader::signature(outer.expect(tag::BIT_STRING)?.value)?;
        outer.end()?;
        let (oid, parameters) = certificate::algorithm(algorithm.value)?;
        let algorithm_kind = SignatureAlgorithm::of(&oid, parameters).ok_or(CrlError::Algorithm)?;
        let signed = Signed::new(algorithm_kind, tbs.whole, signature).ok_or(CrlError::Algorithm)?;
        Self::read(der, tbs, algorithm, signed)
    }

    /// Reads one DER list, or all `X509 CRL` blocks of a PEM text, at least one.
    ///
    /// # Errors
    /// See [`CrlError`].
    pub fn list_from(octets: &[u8]) -> Result<Vec<Self>, CrlError> {
        if octets.first() == Some(&tag::SEQUENCE) {
            return Self::from_der(octets).map(|list| vec![list]);
        }
        let text = std::str::from_utf8(octets).map_err(|_| CrlError::Pem)?;
        let mut out = Vec::new();
        for block in text.split("-----BEGIN X509 CRL-----").skip(1) {
            let (body, _) = block.split_once("-----END X509 CRL-----").ok_or(CrlError::Pem)?;
            if (body.len() / 4).saturating_mul(3) > MAX_CRL || out.len() >= MAX_CRLS_IN_TEXT {
                return Err(CrlError::TooLarge);
            }
            let body: String = body.split_ascii_whitespace().collect();
            out.push(Self::from_der(&decode_block(&body).map_err(|_| CrlError::Pem)?)?);
        }
        if out.is_empty() { Err(CrlError::Pem) } else { Ok(out) }
    }

    fn read(der: &[u8], tbs: Element<'_>, algorithm: Element<'_>, signed: Signed) -> Result<Self, CrlError> {
        let mut members = tbs.inside();
        match members.optional(tag::INTEGER)? {
            Some(version) if der_reader::small(version.value)? == 1 => {}
            _ => return Err(CrlError::Version),
        }
        if members.expect(tag::SEQUENCE)?.whole != algorithm.whole {
            return Err(CrlError::Malformed);
        }
        let issuer = Name::read(members.expect(tag::SEQUENCE)?.whole)?;
        let this_update = der_reader::time(&members.next()?)?;
        let next_update = match members.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => der_reader::time(&members.next()?)?,
            _ => return Err(CrlError::NoNextUpdate),
        };
        let revoked = members.optional(tag::SEQUENCE)?;
        let extensions = members.expect(0xa0).map_err(|Malformed| CrlError::NoNumber)?;
        members.end()?;
        let mut list = Self {
            signer_text: issuer.to_string().into(),
            issuer,
            this_update,
            next_update,
            number: Vec::new(),
            base: None,
            scope: Scope::default(),
            authority_key_id: None,
            unknown_critical: false,
            issuers: Vec::new(),
            entries: Vec::new(),
            fences: Vec::new(),
            digest: certificate::fingerprint(der).ok_or(CrlError::Malformed)?,
            signed,
            tried: Mutex::default(),
        };
        list.take_extensions(Reader::only(extensions.value, tag::SEQUENCE)?)?;
        if let Some(revoked) = revoked {
            list.take_entries(revoked)?;
        }
        Ok(list)
    }

    fn take_extensions(&mut self, sequence: Element<'_>) -> Result<(), CrlError> {
        let extensions = extension::split(sequence)?;
        if extension::has_duplicates(&extensions) {
            return Err(CrlError::DuplicateExtension);
        }
        for extension in &extensions {
            match extension.oid.as_str() {
                oids::CRL_NUMBER => self.number = number(extension.value)?,
                oids::DELTA_CRL => self.base = Some(number(extension.value)?),
                oids::ISSUING_DISTRIBUTION_POINT => self.scope = scope(extension.value)?,
                oids::AUTHORITY_KEY_ID => self.authority_key_id = extension::authority_key_id(extension.value)?,
                _ => self.unknown_critical |= extension.critical,
            }
        }
        if self.number.is_empty() { Err(CrlError::NoNumber) } else { Ok(()) }
    }

    fn take_entries(&mut self, revoked: Element<'_>) -> Result<(), CrlError> {
        let mut reader = revoked.inside();
        if reader.is_empty() {
            return Err(CrlError::EmptyElement);
        }
        // An entry has at least 20 octets: a good first guess, never more than the input justifies.
        self.entries.reserve_exact(revoked.value.len() / 36);
        let mut issuer = 0u16;
        while !reader.is_empty() {
            let mut members = reader.expect(tag::SEQUENCE)?.inside();
            let serial = serial_key(der_reader::integer(members.expect(tag::INTEGER)?.value)?)?;
            let since = der_reader::time(&members.next()?)?;
            let mut reason = 0;
            if let Some(extensions) = members.optional(tag::SEQUENCE)? {
                match lone_reason(extensions.value) {
                    Some(code) => reason = code,
                    None => (reason, issuer) = self.entry_extensions(extensions, issuer)?,
                }
            }
            members.end()?;
            let since = u32::try_from(since.seconds().max(0)).unwrap_or(u32::MAX);
            self.entries.push(Entry { issuer, serial, reason, since });
        }
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
        self.fences = self.entries.iter().step_by(STRETCH).map(|entry| (entry.issuer, entry.serial)).collect();
        Ok(())
    }

    /// Reason and certificate issuer of one entry; the issuer stays for the entries after it
    /// (RFC 5280 §5.3.3).
    fn entry_extensions(&mut self, sequence: Element<'_>, mut issuer: u16) -> Result<(u8, u16), CrlError> {
        let mut reason = 0;
        let extensions = extension::split(sequence)?;
        if extension::has_duplicates(&extensions) {
            return Err(CrlError::DuplicateExtension);
        }
        for extension in &extensions {
            match extension.oid.as_str() {
                oids::REASON_CODE => match Reader::only(extension.value, tag::ENUMERATED)?.value {
                    [code @ (0..=6 | 8..=10)] => reason = *code,
                    _ => return Err(CrlError::Malformed),
                },
                oids::CERTIFICATE_ISSUER => {
                    let content = Reader::only(extension.value, tag::SEQUENCE)?.value;
                    let name = extension::directory_names(content)?.into_iter().next().ok_or(CrlError::Malformed)?;
                    issuer = self.issuer_index(name)?;
                }
                _ => self.unknown_critical |= extension.critical,
            }
        }
        Ok((reason, issuer))
    }

    fn issuer_index(&mut self, name: Name) -> Result<u16, CrlError> {
        if name == self.issuer {
            return Ok(0);
        }
        let at = match self.issuers.iter().position(|known| *known == name) {
            Some(at) => at,
            None => {
                self.issuers.push(name);
                self.issuers.len().saturating_sub(1)
            }
        };
        // 1,000 issuers in one list is absurd, and looking them up is linear.
        if at >= 1000 {
            Err(CrlError::Malformed)
        } else {
            u16::try_from(at.saturating_add(1)).map_err(|_| CrlError::Malformed)
        }
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    pub(crate) fn signer_text(&self) -> Arc<str> {
        Arc::clone(&self.signer_text)
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// Its number, unsigned big-endian without leading zeros.
    pub fn number(&self) -> &[u8] {
        &self.number
    }

    /// How many certificates it lists.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it lists nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it only holds the changes since another list.
    pub fn is_delta(&self) -> bool {
        self.base.is_some()
    }

    /// SHA-256 of the octets.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// Whether it may take the place of `current` in a cache: same issuer, key and scope, and neither
    /// number nor date go back (pki reference §4.1).
    pub fn may_follow(&self, current: &Self) -> bool {
        self.same_series(current)
            && compare_numbers(&self.number, &current.number).is_ge()
            && self.this_update >= current.this_update
    }

    /// Each key of an authority numbers its own lists (RFC 5280 §5.2.1, §5.2.3): one key's newest says
    /// nothing about what another key revoked.
    pub(crate) fn same_series(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.authority_key_id == other.authority_key_id
            && self.scope == other.scope
            && self.is_delta() == other.is_delta()
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn base(&self) -> Option<&[u8]> {
        self.base.as_deref()
    }

    pub(crate) fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// A critical extension that we do not know forbids to conclude anything (RFC 5280 §5.2).
    pub(crate) fn has_unknown_critical(&self) -> bool {
        self.unknown_critical
    }

    pub(crate) fn strongly_signed(&self) -> bool {
        self.signed.algorithm.strong()
    }

    /// Whether the key of `authority` signed it; remembered.
    pub(crate) fn signed_by(&self, authority: &Certificate) -> bool {
        let name = authority.key_fingerprint();
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tried.get(&name) {
            return *known;
        }
        let answer = self.signed.verified_by(authority.public_key());
        // Look-alike keys must not grow it without end.
        if tried.len() < 256 {
            tried.insert(name, answer);
        }
        answer
    }

    /// What the list says about a certificate of `issuer` with this serial number (content octets of the
    /// INTEGER). A binary search, whatever the size; whether the list may be believed is another question.
    pub fn find(&self, issuer: &Name, serial: &[u8]) -> Option<Listed> {
        let issuer = if *issuer == self.issuer {
            0
        } else {
            let at = self.issuers.iter().position(|known| known == issuer)?;
            u16::try_from(at.checked_add(1)?).ok()?
        };
        let serial = serial_key(serial).ok()?;
        // Several entries of one serial are sorted by reason and date; the first is found, which may be the
        // last of the stretch before the fence that equals it.
        let wanted = (issuer, serial);
        let fence = self.fences.partition_point(|fence| *fence < wanted);
        let from = fence.saturating_sub(1).saturating_mul(STRETCH);
        let to = fence.saturating_mul(STRETCH).saturating_add(1).min(self.entries.len());
        let stretch = self.entries.get(from..to)?;
        let at = stretch.partition_point(|entry| (entry.issuer, entry.serial) < wanted);
        let entry = stretch.get(at).filter(|entry| (entry.issuer, entry.serial) == wanted)?;
        Some(Listed { reason: entry.reason, since: Timestamp::from_seconds(i64::from(entry.since)) })
    }
}

/// The reason code of an entry that carries nothing else, not critical: what nearly all of a million
/// entries look like, recognised octet by octet. Anything else goes the long way.
fn lone_reason(extensions: &[u8]) -> Option<u8> {
    match extensions {
        [0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, tag::ENUMERATED, 1, code @ (0..=6 | 8..=10)] => {
            Some(*code)
        }
        _ => None,
    }
}

fn serial_key(content: &[u8]) -> Read<SerialKey> {
    let fill = if content.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut key = [fill; 21];
    let start = key.len().checked_sub(content.len()).ok_or(Malformed)?;
    key.get_mut(start..).ok_or(Malformed)?.copy_from_slice(content);
    Ok(key)
}

/// A non-negative INTEGER of at most 20 octets, without leading zeros; zero is one zero octet.
fn number(value: &[u8]) -> Read<Vec<u8>> {
    let content = der_reader::integer(Reader::only(value, tag::INTEGER)?.value)?;
    let digits = match content {
        [0] => content,
        [0, rest @ ..] => rest,
        [first, ..] if *first >= 0x80 => return Err(Malformed),
        all => all,
    };
    if digits.len() > 20 { Err(Malformed) } else { Ok(digits.to_vec()) }
}

/// Compares two numbers as [`number`] gives them.
pub(crate) fn compare_numbers(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn scope(value: &[u8]) -> Result<Scope, CrlError> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    if reader.is_empty() {
        return Err(CrlError::EmptyElement);
    }
    let mut scope = Scope::default();
    if let Some(element) = reader.optional(0xa0)? {
        scope.point = Some(extension::point_name(element.value)?);
    }
    let mut flag = |number: u8| -> Read<bool> {
        reader.optional(number)?.map_or(Ok(false), |element| der_reader::boolean(element.value))
    };
    scope.only_users = flag(0x81)?;
    scope.only_authorities = flag(0x82)?;
    if let Some(element) = reader.optional(0x83)? {
        scope.reasons = Some(der_reader::named_bits(element.value)?);
    }
    let mut flag = |number: u8| -> Read<bool> {
        reader.optional(number)?.map_or(Ok(false), |element| der_reader::boolean(element.value))
    };
    scope.indirect = flag(0x84)?;
    scope.only_attributes = flag(0x85)?;
    reader.end()?;
    let kinds = [scope.only_users, scope.only_authorities, scope.only_attributes];
    // RFC 5280 §5.2.5: at most one of the three.
    if kinds.into_iter().filter(|on| *on).count() > 1 { Err(CrlError::Malformed) } else { Ok(scope) }
}
