//! An OCSP answer (RFC 6960), read strictly and kept until somebody shows whose key it needs.
//!
//! Nothing here trusts anything: who may sign is [`crate::ocsp::responder`]'s business, what an answer
//! is worth at which time is the revocation engine's. OpenSSL's own decision is not used: it takes
//! "good" where good and revoked stand side by side, and knows no clock but the system's
//! (pki reference §5).

mod read;
mod request;
pub(crate) mod responder;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use openssl::hash::{MessageDigest, hash};
use thiserror::Error;

use crate::{
    algorithm::{Digest, Signed},
    certificate::{self, Certificate},
    der::tag,
    der_reader::{Malformed, Read, Reader},
    name::Name,
};

pub use request::{NONCE_LENGTH, OcspRequest};

/// Largest answer that is read (pki reference §5, rule 1).
pub const MAX_ANSWER: usize = 20 * 1024;
/// How long an answer counts at most, whatever it promises: rule 10.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long one counts that does not say when the next one comes.
const AGE_WITHOUT_NEXT: Duration = Duration::from_secs(3600);

/// Why octets are no usable answer. Each of them leaves the status undetermined.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OcspError {
    /// Over [`MAX_ANSWER`].
    #[error("the answer is larger than {} KB", MAX_ANSWER / 1024)]
    TooLarge,
    /// Not DER, or not the structure of an answer.
    #[error("these octets are not a strictly encoded OCSP answer")]
    Malformed,
    /// The responder says that it does not answer (RFC 6960 §4.2.1), for example tryLater.
    #[error("the responder gives no answer: {0}")]
    NotSuccessful(&'static str),
    /// Not the basic form, the only one that anybody uses.
    #[error("the answer is not of the basic form")]
    NotBasic,
    /// A signature algorithm that we do not verify.
    #[error("the answer is signed with an algorithm that is not supported")]
    Algorithm,
    /// An extension marked critical that we do not know.
    #[error("the answer carries a critical extension that is not known")]
    UnknownCritical,
    /// The answer repeats another nonce than the one that was sent.
    #[error("the answer belongs to another question: its nonce is not the one that was sent")]
    Nonce,
    /// The answer does not speak about the certificate that was asked about.
    #[error("the answer does not speak about the certificate that was asked about")]
    OtherCertificate,
    /// OpenSSL could not make the request.
    #[error("the request could not be made")]
    Internal,
}

impl From<Malformed> for OcspError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// How an answer names a certificate (RFC 6960 §4.1.1). SHA-1 is allowed here and nowhere else: it
/// only identifies, and whoever finds a collision has certificates of one authority to offer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CertId {
    digest: Digest,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    /// Content octets of the INTEGER.
    serial: Vec<u8>,
}

impl CertId {
    /// Whether it names `certificate` as `issuer` issued it.
    pub(crate) fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.serial == certificate.serial()
            && Self::of(certificate, issuer, self.digest).is_some_and(|other| other == *self)
    }

    fn of(certificate: &Certificate, issuer: &Certificate, digest: Digest) -> Option<Self> {
        let key = key_bits(issuer).ok()?;
        let hashed = |octets: &[u8]| hash(digest.message_digest(), octets).ok().map(|digest| digest.to_vec());
        Some(Self {
            digest,
            issuer_name: hashed(certificate.issuer_der())?,
            issuer_key: hashed(key)?,
            serial: certificate.serial().to_vec(),
        })
    }

    /// Names the same certificate in the same way.
    pub(crate) fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// What an answer says about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspStatus {
    /// Not revoked.
    Good,
    /// Revoked, or on hold.
    Revoked {
        /// RFC 5280 §5.3.1; 0 when none is given.
        reason: u8,
        /// Since when.
        since: Timestamp,
    },
    /// The responder does not know the certificate.
    Unknown,
}

impl OcspStatus {
    /// The worse, the higher (rule 6).
    fn severity(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Unknown => 1,
            Self::Revoked { .. } => 2,
        }
    }

    pub(crate) fn is_worse_than(self, other: Self) -> bool {
        self.severity() > other.severity()
    }

    /// Revoked for a reason that nobody takes back; certificateHold (6) may be lifted.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Revoked { reason, .. } if reason != 6)
    }
}

/// One statement of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Single {
    pub(crate) id: CertId,
    pub(crate) status: OcspStatus,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
}

impl Single {
    /// Until when it counts: what it promises, but never long.
    pub(crate) fn until(&self) -> Timestamp {
        let longest = self.this_update.plus(MAX_AGE);
        self.next_update.map_or(self.this_update.plus(AGE_WITHOUT_NEXT), |next| next.min(longest))
    }
}

/// Who signed, as the answer says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResponderId {
    Name(Name),
    /// SHA-1 of the public key's bits, by definition (RFC 6960 §4.2.1).
    Key(Vec<u8>),
}

/// A successful answer.
#[derive(Debug)]
pub struct OcspAnswer {
    der: Vec<u8>,
    responder: ResponderId,
    produced_at: Timestamp,
    singles: Vec<Single>,
    nonce: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    signed: Signed,
    /// Keys already tried, by SHA-256 of the key: the answer never changes.
    tried: Mutex<HashMap<Fingerprint, bool>>,
}

impl OcspAnswer {
    /// Reads one answer; whoever sent a request reads with [`OcspRequest::read`].
    ///
    /// # Errors
    /// See [`OcspError`].
    pub fn from_der(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > MAX_ANSWER {
            return Err(OcspError::TooLarge);
        }
        read::answer(der)
    }

    /// The octets, to be kept, or stapled.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it was made.
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// What it says about a certificate: the worst, if it speaks twice.
    pub fn status_of(&self, certificate: &Certificate, issuer: &Certificate) -> Option<OcspStatus> {
        self.about(certificate, issuer).map(|single| single.status)
    }

    /// When its statement about a certificate was true.
    pub fn this_update(&self, certificate: &Certificate, issuer: &Certificate) -> Option<Timestamp> {
        self.about(certificate, issuer).map(|single| single.this_update)
    }

    /// Until when its statement about a certificate counts: its `nextUpdate`, a day after
    /// `thisUpdate` at most, an hour without one. Time for the next question.
    pub fn fresh_until(&self, certificate: &Certificate, issuer: &Certificate) -> Option<Timestamp> {
        self.about(certificate, issuer).map(Single::until)
    }

    /// Who signed it, in words.
    pub fn responder(&self) -> String {
        match &self.responder {
            ResponderId::Name(name) => name.to_string(),
            ResponderId::Key(hash) => format!("key {}", hash.iter().map(|o| format!("{o:02x}")).collect::<String>()),
        }
    }

    pub(crate) fn about(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Single> {
        self.singles
            .iter()
            .filter(|single| single.id.names(certificate, issuer))
            .max_by_key(|single| (single.status.severity(), std::cmp::Reverse(single.until())))
    }

    pub(crate) fn singles(&self) -> &[Single] {
        &self.singles
    }

    fn signed_by(&self, certificate: &Certificate) -> bool {
        let key = certificate.key_fingerprint();
        let known = |tried: &Mutex<HashMap<Fingerprint, bool>>| {
            tried.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
        };
        if let Some(answer) = known(&self.tried) {
            return answer;
        }
        let answer = self.signed.verified_by(certificate.public_key());
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever shows more keys than that is not the signer.
        if tried.len() < MAX_TRIED {
            tried.insert(key, answer);
        }
        answer
    }
}

/// Most keys whose answers are remembered.
const MAX_TRIED: usize = 64;

/// The public key's bits, without tag, length and unused-bits octet: what RFC 6960 hashes.
fn key_bits(certificate: &Certificate) -> Read<&[u8]> {
    let mut tbs = Reader::only(certificate.der(), tag::SEQUENCE)?.inside().expect(tag::SEQUENCE)?.inside();
    tbs.optional(0xa0)?;
    // serialNumber, signature, issuer, validity, subject
    for _ in 0..5 {
        tbs.next()?;
    }
    let mut key = tbs.expect(tag::SEQUENCE)?.inside();
    key.next()?;
    crate::der_reader::bits(key.expect(tag::BIT_STRING)?.value)
}

/// SHA-1 of the key's bits: a name for a key, never a proof.
fn key_hash(certificate: &Certificate) -> Option<Vec<u8>> {
    hash(MessageDigest::sha1(), key_bits(certificate).ok()?).ok().map(|digest| digest.to_vec())
}

/// Reads a CertID.
fn cert_id(content: &[u8]) -> Read<CertId> {
    let mut members = Reader::new(content);
    let (oid, _) = certificate::algorithm(members.expect(tag::SEQUENCE)?.value)?;
    let id = CertId {
        digest: Digest::of_oid(&oid).ok_or(Malformed)?,
        issuer_name: members.expect(tag::OCTET_STRING)?.value.to_vec(),
        issuer_key: members.expect(tag::OCTET_STRING)?.value.to_vec(),
        serial: crate::der_reader::integer(members.expect(tag::INTEGER)?.value)?.to_vec(),
    };
    members.end()?;
    Ok(id)
}

#[cfg(test)]
mod tests;
