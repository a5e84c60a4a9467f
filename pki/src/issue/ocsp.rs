//! OCSP answers (RFC 6960 §4.2), also those that a good responder would never give.

use ident::Timestamp;
use openssl::hash::{MessageDigest, hash};

use super::{
    Authority, Extension, IssueError, Issued, Reason,
    encode::{extension, ocsp_key_hash, oid, signed},
};
use crate::der;

/// What an answer says about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspStatement {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Why.
        reason: Reason,
        /// Since when.
        at: Timestamp,
    },
    /// Not known here.
    Unknown,
}

/// One statement of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspEntry {
    /// Serial number of the certificate, unsigned octets.
    pub serial: Vec<u8>,
    /// Its status.
    pub status: OcspStatement,
    /// When that was true.
    pub this_update: Timestamp,
    /// When there will be news.
    pub next_update: Option<Timestamp>,
    /// Further extensions.
    pub extra: Vec<Extension>,
}

/// What an answer shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspDraft {
    /// The statements.
    pub entries: Vec<OcspEntry>,
    /// When it was made.
    pub produced_at: Timestamp,
    /// The nonce of the question.
    pub nonce: Option<Vec<u8>>,
    /// Whether the responder names itself by the hash of its key; else by its name.
    pub by_key: bool,
    /// Further extensions.
    pub extra: Vec<Extension>,
}

impl OcspDraft {
    /// One statement, true from `from` until `until`.
    pub fn new(serial: &[u8], status: OcspStatement, from: Timestamp, until: Timestamp) -> Self {
        let entry =
            OcspEntry { serial: serial.to_vec(), status, this_update: from, next_update: Some(until), extra: vec![] };
        Self { entries: vec![entry], produced_at: from, nonce: None, by_key: false, extra: vec![] }
    }
}

/// Who signs an answer.
#[derive(Debug, Clone, Copy)]
pub enum OcspSigner<'a> {
    /// The authority itself.
    Authority,
    /// Somebody else, whose certificate comes along.
    Delegate(&'a Issued),
}

impl Authority {
    /// Signs an answer about certificates of this authority.
    ///
    /// # Errors
    /// [`IssueError`] when a date cannot be written or the signature fails.
    pub fn ocsp_answer(&self, draft: &OcspDraft, signer: OcspSigner<'_>) -> Result<Vec<u8>, IssueError> {
        let (key, name, certificates) = match signer {
            OcspSigner::Authority => (self.key(), self.name().to_der(), vec![]),
            OcspSigner::Delegate(issued) => {
                let certificate = issued.certificate().map_err(|_| IssueError::PublicKey)?;
                (issued.key(), certificate.subject().der().to_vec(), vec![issued.certificate_der().to_vec()])
            }
        };
        let responder = match draft.by_key {
            true => der::context(2, &[der::octet_string(&ocsp_key_hash(key)?)]),
            false => der::context(1, &[name]),
        };
        let entries = draft.entries.iter().map(|entry| self.ocsp_entry(entry)).collect::<Result<Vec<_>, _>>()?;
        let mut members = vec![responder, generalized(draft.produced_at)?, der::sequence(&entries)];
        let mut extensions = extensions(&draft.extra)?;
        if let Some(nonce) = &draft.nonce {
            extensions.push(extension("1.3.6.1.5.5.7.48.1.2", false, &der::octet_string(nonce))?);
        }
        if !extensions.is_empty() {
            members.push(der::context(1, &[der::sequence(&extensions)]));
        }
        let basic = with_certificates(signed(der::sequence(&members), key)?, &certificates);
        let bytes = der::sequence(&[oid("1.3.6.1.5.5.7.48.1.1")?, der::octet_string(&basic)]);
        Ok(der::sequence(&[der::tlv(der::tag::ENUMERATED, &[0]), der::context(0, &[bytes])]))
    }

    /// The answer of a responder that does not answer: 3 is tryLater.
    pub fn ocsp_refusal(status: u8) -> Vec<u8> {
        der::sequence(&[der::tlv(der::tag::ENUMERATED, &[status])])
    }

    fn ocsp_entry(&self, entry: &OcspEntry) -> Result<Vec<u8>, IssueError> {
        let id = der::sequence(&[
            der::sequence(&[oid("1.3.14.3.2.26")?, der::null()]),
            der::octet_string(&hash(MessageDigest::sha1(), &self.name().to_der())?),
            der::octet_string(&ocsp_key_hash(self.key())?),
            der::unsigned(&entry.serial),
        ]);
        let status = match entry.status {
            OcspStatement::Good => der::context_primitive(0, &[]),
            OcspStatement::Unknown => der::context_primitive(2, &[]),
            OcspStatement::Revoked { reason, at } => {
                let code = der::context(0, &[der::tlv(der::tag::ENUMERATED, &[reason.code()])]);
                let with_reason = (reason != Reason::Unspecified).then_some(code);
                der::context(1, &[generalized(at)?].into_iter().chain(with_reason).collect::<Vec<_>>())
            }
        };
        let mut members = vec![id, status, generalized(entry.this_update)?];
        if let Some(next) = entry.next_update {
            members.push(der::context(0, &[generalized(next)?]));
        }
        let extensions = extensions(&entry.extra)?;
        if !extensions.is_empty() {
            members.push(der::context(1, &[der::sequence(&extensions)]));
        }
        Ok(der::sequence(&members))
    }
}

fn extensions(extra: &[Extension]) -> Result<Vec<Vec<u8>>, IssueError> {
    extra.iter().map(|it| extension(&it.oid, it.critical, &it.value)).collect()
}

/// GeneralizedTime: the only form in an answer, whatever the year.
fn generalized(at: Timestamp) -> Result<Vec<u8>, IssueError> {
    let digits: String = at.rfc3339().chars().take(19).filter(char::is_ascii_digit).collect();
    if digits.len() == 14 {
        Ok(der::tlv(der::tag::GENERALIZED_TIME, format!("{digits}Z").as_bytes()))
    } else {
        Err(IssueError::Date(at))
    }
}

/// Puts certificates behind the signature.
fn with_certificates(signed: Vec<u8>, certificates: &[Vec<u8>]) -> Vec<u8> {
    let content = crate::der_reader::Reader::only(&signed, der::tag::SEQUENCE).map(|it| it.value.to_vec());
    match content {
        Ok(content) if !certificates.is_empty() => {
            der::sequence(&[content, der::context(0, &[der::sequence(certificates)])])
        }
        _ => signed,
    }
}
