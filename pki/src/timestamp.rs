//! Time stamps over signatures (RFC 3161): asking for one, reading one.
//!
//! A token says that its authority saw a signature at a moment. It is an attribute that nobody signed, so it
//! is worth what it proves by itself: that its imprint is this signature's, that an authority signed it whose
//! certificate is for time stamps and nothing else, and that the certificate leads to an anchor that the
//! operator pinned for this. It is never a reason to trust the message.

mod fault;
mod info;

use std::time::Duration;

use ident::Timestamp;
use openssl::{hash::hash, sha::sha256};

pub use fault::TimestampFault;
use info::Info;

use crate::{
    algorithm::Digest,
    certificate::Certificate,
    cms::{self, Attribute},
    der,
    der_reader::Reader,
    path::{Purpose, Validator, Verdict, floor},
};

/// The unsigned attribute that carries a token (RFC 3161 appendix A).
pub const ATTRIBUTE: &str = "1.2.840.113549.1.9.16.2.14";
/// Octets of a token: a handful of certificates fit. Sealing reckons with no more (`mail::size_bound`).
pub const MAX_TOKEN: usize = 12 * 1024;
/// Certificates of a token that are read to find a path to its authority's anchor.
const MAX_ALONG: usize = 8;
/// Octets of an answer: the token and its status.
pub const MAX_ANSWER: usize = MAX_TOKEN + 1024;

const SIGNING_CERTIFICATE: [&str; 2] = ["1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"];

/// A question to an authority, and what its answer must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    imprint: [u8; 32],
    nonce: [u8; 8],
}

impl Asking {
    /// About this signature. The nonce is the caller's randomness: it ties the answer to the question.
    pub fn new(signature: &[u8], nonce: [u8; 8]) -> Self {
        Self { imprint: sha256(signature), nonce }
    }

    /// The request (RFC 3161 §2.4.1), with the wish to have the certificate beside the token.
    pub fn request(&self) -> Vec<u8> {
        let sha256 = der::sequence(&[der::oid("2.16.840.1.101.3.4.2.1").unwrap_or_default(), der::null()]);
        let imprint = der::sequence(&[sha256, der::octet_string(&self.imprint)]);
        der::sequence(&[der::integer(1), imprint, der::unsigned(&self.nonce), der::boolean(true)])
    }

    /// The token in an answer, if it answers this question and its time is within `bound` of `now`.
    ///
    /// # Errors
    /// See [`TimestampFault`].
    pub fn token(&self, answer: &[u8], now: Timestamp, bound: Duration) -> Result<Token, TimestampFault> {
        if answer.len() > MAX_ANSWER {
            return Err(TimestampFault::TooLarge);
        }
        let mut members = Reader::only(answer, der::tag::SEQUENCE)?.inside();
        let status = info::status(&members.expect(der::tag::SEQUENCE)?)?;
        let token = members.optional(der::tag::SEQUENCE)?;
        members.end()?;
        // granted, grantedWithMods
        let token = token.filter(|_| status <= 1).ok_or(TimestampFault::Refused(status))?;
        let stamp = TimeStamp::read(token.whole)?;
        if (stamp.digest, stamp.imprint.as_slice()) != (Digest::Sha256, &self.imprint) {
            return Err(TimestampFault::Imprint);
        }
        if stamp.nonce.as_deref() != Some(info::significant(&self.nonce)) {
            return Err(TimestampFault::Nonce);
        }
        if stamp.at > now.plus(bound) || stamp.at < now.minus(bound) {
            return Err(TimestampFault::Time(stamp.at));
        }
        Ok(Token { octets: token.whole.to_vec(), stamp })
    }
}

/// A token that answers our question.
#[derive(Debug, Clone)]
pub struct Token {
    octets: Vec<u8>,
    stamp: TimeStamp,
}

impl Token {
    /// The attribute to write beside the signature.
    pub fn attribute(&self) -> Attribute {
        Attribute::single(ATTRIBUTE, self.octets.clone())
    }

    /// What it says.
    pub fn stamp(&self) -> &TimeStamp {
        &self.stamp
    }
}

/// What a token says. Its authority is still to be judged: [`TimeStamp::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStamp {
    /// When the authority saw the signature.
    pub at: Timestamp,
    /// The authority's policy, dotted.
    pub policy: String,
    /// Number of the token, as the authority counts, in hexadecimal.
    pub serial: String,
    /// Certificate of the authority.
    pub signer: Certificate,
    /// What came along, unread.
    certificates: Vec<Vec<u8>>,
    digest: Digest,
    imprint: Vec<u8>,
    nonce: Option<Vec<u8>>,
}

impl TimeStamp {
    /// Reads the token that stands beside a signature: its own signature is good, and it is about this one.
    ///
    /// # Errors
    /// See [`TimestampFault`].
    pub fn about(token: &[u8], signature: &[u8]) -> Result<Self, TimestampFault> {
        let stamp = Self::read(token)?;
        let found = hash(stamp.digest.message_digest(), signature).map_err(|_| TimestampFault::Imprint)?;
        if *found == *stamp.imprint { Ok(stamp) } else { Err(TimestampFault::Imprint) }
    }

    fn read(token: &[u8]) -> Result<Self, TimestampFault> {
        if token.len() > MAX_TOKEN {
            return Err(TimestampFault::TooLarge);
        }
        let verified = cms::verify_typed(token, None, &[], cms::TST_INFO)?;
        // RFC 3161 §2.4.2 wants the certificate named in what is signed: nobody puts another in its place.
        if !verified.attributes.iter().any(|attribute| SIGNING_CERTIFICATE.contains(&attribute.oid.as_str())) {
            return Err(TimestampFault::CertificateNotNamed);
        }
        let Info { digest, imprint, serial, at, policy, nonce } = Info::read(&verified.content)?;
        let proof = verified.proof;
        let (signer, certificates) = (proof.signer, proof.certificates);
        Ok(Self { at, policy, serial, signer, certificates, digest, imprint, nonce })
    }

    /// Whether its authority may be believed at this moment: a certificate for time stamps and nothing else,
    /// which leads to an anchor of `validator` over keys and algorithms that are strong enough.
    ///
    /// # Errors
    /// [`TimestampFault::Usage`] or [`TimestampFault::Weak`] for a certificate that no path makes good.
    pub fn judge(&self, validator: &Validator, at: Timestamp) -> Result<Verdict, TimestampFault> {
        if !self.signer.stamps_time_only() {
            return Err(TimestampFault::Usage);
        }
        let along = self.certificates.iter().take(MAX_ALONG).filter_map(|der| Certificate::from_der(der).ok());
        let verdict = validator.verify(&self.signer, &along.collect::<Vec<_>>(), Purpose::Any, at);
        if let Verdict::Valid(path) = &verdict {
            let below = path.certificates.len().saturating_sub(1);
            let weak = |(position, certificate)| floor(certificate, position == below).is_err();
            if path.certificates.iter().enumerate().any(weak) {
                return Err(TimestampFault::Weak);
            }
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests;
