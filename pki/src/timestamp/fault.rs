//! Why a time stamp counts for nothing.

use ident::Timestamp;
use thiserror::Error;

use crate::{cms::CmsError, der_reader};

/// Why a time stamp was not had, or counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimestampFault {
    /// The authority said no, with this status (RFC 3161 §2.4.2).
    #[error("the authority refused to stamp (status {0})")]
    Refused(u32),
    /// Larger than any token is.
    #[error("the token or its answer is too large")]
    TooLarge,
    /// The octets are not the structure that they claim to be.
    #[error("the token or its answer is malformed")]
    Malformed,
    /// Its signature does not verify.
    #[error("the token's own signature: {0}")]
    Signature(#[from] CmsError),
    /// Its signature does not say with which certificate it was made.
    #[error("the token does not name its authority's certificate in what is signed")]
    CertificateNotNamed,
    /// A digest weaker than SHA-256 or unknown.
    #[error("the digest algorithm {0} of the token is not accepted")]
    Digest(String),
    /// It is about something else.
    #[error("the token is about another signature")]
    Imprint,
    /// It answers somebody else's question, or an older one of ours.
    #[error("the token does not repeat our nonce")]
    Nonce,
    /// Its time is not now.
    #[error("the token says {0}, which is too far from our clock")]
    Time(Timestamp),
    /// It has an extension that must be understood.
    #[error("the token has a critical extension")]
    Extension,
    /// Its signer's certificate is not for time stamps alone (RFC 3161 §2.3).
    #[error("the certificate of the authority is not for time stamps and nothing else, critically")]
    Usage,
    /// A key or algorithm of its path is below our floor.
    #[error("a key or an algorithm of the authority's certification path is too weak")]
    Weak,
}

impl TimestampFault {
    /// Stable identifier.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "timestamp_refused",
            Self::TooLarge => "timestamp_too_large",
            Self::Malformed => "timestamp_malformed",
            Self::Signature(_) => "timestamp_signature",
            Self::CertificateNotNamed => "timestamp_certificate_not_named",
            Self::Digest(_) => "timestamp_digest",
            Self::Imprint => "timestamp_imprint",
            Self::Nonce => "timestamp_nonce",
            Self::Time(_) => "timestamp_time",
            Self::Extension => "timestamp_extension",
            Self::Usage => "timestamp_usage",
            Self::Weak => "timestamp_weak",
        }
    }
}

impl From<der_reader::Malformed> for TimestampFault {
    fn from(_: der_reader::Malformed) -> Self {
        Self::Malformed
    }
}
