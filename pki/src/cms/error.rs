//! Why a container is refused. Each variant says one thing and has a stable code for logs,
//! verdicts and tables; no text depends on secrets.

use ident::Timestamp;
use thiserror::Error;

use super::reader::Malformed;
use crate::keys::{KeyError, TokenFault};

/// Why a signature was not made, not found good, or content not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CmsError {
    /// The octets are not the structure that they claim to be.
    #[error("the signed container is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// Something else than signed data.
    #[error("a signed container was expected, this is {0}")]
    NotSigned(String),
    /// Zero or several signers: "signed" would have no single meaning (H6, A11).
    #[error("exactly one signer is accepted, the container has {0}")]
    SignerCount(usize),
    /// A detached signature that carries content of its own (H6, A10).
    #[error("a detached signature must not carry content of its own")]
    ContentPresent,
    /// An opaque container without content.
    #[error("the signed container has no content")]
    ContentMissing,
    /// The signed content is not plain data.
    #[error("the signed content has type {0}; S/MIME signs plain data")]
    ContentType(String),
    /// Signature over bare content, without signed attributes (H6).
    #[error("the signature has no signed attributes")]
    NoSignedAttributes,
    /// A required signed attribute is absent.
    #[error("the signed attribute {0} is missing")]
    AttributeMissing(&'static str),
    /// A signed attribute occurs twice or holds not exactly one value.
    #[error("the signed attribute {0} must occur once, with one value")]
    AttributeRepeated(&'static str),
    /// The signed content type differs from the container's.
    #[error("the signed content type differs from that of the container")]
    ContentTypeMismatch,
    /// A digest weaker than SHA-256 or unknown, or one that the container does not announce (A8).
    #[error("the digest algorithm {0} is not accepted")]
    Digest(String),
    /// A signature algorithm or its parameters that we do not accept.
    #[error("the signature algorithm {0} is not accepted")]
    SignatureAlgorithm(String),
    /// Neither the container nor the caller has the signer's certificate.
    #[error("the signer's certificate is not in the message and not known")]
    SignerUnknown,
    /// The attribute that names the signer's certificate names another one (RFC 5035).
    #[error("the signing certificate attribute names another certificate")]
    SigningCertificate,
    /// The content was changed after signing.
    #[error("the content differs from what was signed")]
    DigestMismatch,
    /// The signature was not made by the signer's key.
    #[error("the signature does not verify with the signer's key")]
    SignatureInvalid,
    /// The key offers no scheme that we can write.
    #[error("the signing key offers no usable signature scheme")]
    NoScheme,
    /// A signing time outside the years that can be written.
    #[error("the signing time {0} cannot be written")]
    SigningTime(Timestamp),
    /// The signing key failed, or cannot be reached now.
    #[error("the signing key failed: {0}")]
    Key(KeyError),
    /// An additional attribute is one that we write ourselves, or is malformed.
    #[error("the additional signed attribute {0} is reserved or malformed")]
    AttributeRefused(String),
    /// More attributes beside one signature than anybody reads.
    #[error("there are too many attributes beside the signature, or they are too large")]
    TooManyAttributes,
    /// Nobody to encrypt for.
    #[error("there is no recipient")]
    NoRecipient,
    /// More recipients than one container may have (A20).
    #[error("too many recipients for one container")]
    TooManyRecipients,
    /// A recipient's key cannot receive encrypted content.
    #[error("the key of the recipient certificate {certificate} cannot be encrypted for: {why}")]
    RecipientKey {
        /// SHA-256 fingerprint of the certificate.
        certificate: String,
        /// What is wrong with its key.
        why: &'static str,
    },
    /// RSA PKCS#1 v1.5 key transport next to an authenticated cipher.
    #[error("RSA PKCS#1 v1.5 key transport is written only with AES-CBC, for old mail clients")]
    KeyTransport,
    /// The content is not as long as was announced when the container was begun.
    #[error("the content is not as long as was announced")]
    ContentLength,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed: {0}")]
    Library(String),
}

impl CmsError {
    /// Stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "cms_malformed",
            Self::NotSigned(_) => "cms_not_signed",
            Self::SignerCount(_) => "cms_signer_count",
            Self::ContentPresent => "cms_content_present",
            Self::ContentMissing => "cms_content_missing",
            Self::ContentType(_) => "cms_content_type",
            Self::NoSignedAttributes => "cms_no_signed_attributes",
            Self::AttributeMissing(_) => "cms_attribute_missing",
            Self::AttributeRepeated(_) => "cms_attribute_repeated",
            Self::ContentTypeMismatch => "cms_content_type_mismatch",
            Self::Digest(_) => "cms_digest",
            Self::SignatureAlgorithm(_) => "cms_signature_algorithm",
            Self::SignerUnknown => "cms_signer_unknown",
            Self::SigningCertificate => "cms_signing_certificate",
            Self::DigestMismatch => "cms_digest_mismatch",
            Self::SignatureInvalid => "cms_signature_invalid",
            Self::NoScheme => "cms_no_scheme",
            Self::SigningTime(_) => "cms_signing_time",
            Self::Key(_) => "cms_key",
            Self::AttributeRefused(_) => "cms_attribute_refused",
            Self::TooManyAttributes => "cms_too_many_attributes",
            Self::NoRecipient => "cms_no_recipient",
            Self::TooManyRecipients => "cms_too_many_recipients",
            Self::RecipientKey { .. } => "cms_recipient_key",
            Self::KeyTransport => "cms_key_transport",
            Self::ContentLength => "cms_content_length",
            Self::Library(_) => "cms_library",
        }
    }
}

impl From<openssl::error::ErrorStack> for CmsError {
    fn from(stack: openssl::error::ErrorStack) -> Self {
        Self::Library(library(&stack))
    }
}

/// The first reason of an error stack, which may be empty (H23).
pub(crate) fn library(stack: &openssl::error::ErrorStack) -> String {
    stack.errors().first().and_then(openssl::error::Error::reason).unwrap_or("no reason given").to_owned()
}

/// Why an encrypted container was not opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// None of our keys is among its recipients.
    #[error("the message is not encrypted for any of our keys")]
    NotForUs,
    /// Unwrapping, tag or padding failed: deliberately one answer for all of them (H4, A9).
    #[error("the message could not be decrypted")]
    Failed,
    /// Refused by policy or form, before any private key was used.
    #[error("the encrypted container is refused: {0}")]
    Refused(#[from] Refusal),
    /// Our key cannot be reached now, whatever the container holds: it must be tried again later.
    #[error("our decryption key cannot be reached now: {0}")]
    Unavailable(TokenFault),
}

impl OpenError {
    /// Stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotForUs => "cms_not_for_us",
            Self::Failed => "cms_decryption_failed",
            Self::Unavailable(_) => "cms_key_unavailable",
            Self::Refused(refusal) => refusal.code(),
        }
    }
}

impl From<Malformed> for OpenError {
    fn from(fault: Malformed) -> Self {
        Self::Refused(Refusal::Malformed(fault))
    }
}

/// What our policy does not open, known without using a private key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The octets are not the structure that they claim to be.
    #[error("it is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// Something else than an encrypted container.
    #[error("an encrypted container was expected, this is {0}")]
    NotEncrypted(String),
    /// Compressed data: a bomb costs before anything can be verified (A20).
    #[error("compressed data is not accepted")]
    Compressed,
    /// Originator certificates have no use here (KIM A_2106).
    #[error("originator information is not accepted")]
    OriginatorInfo,
    /// A recipient by password (A7).
    #[error("password recipients are not accepted")]
    PasswordRecipient,
    /// A recipient by shared key (A7).
    #[error("shared-key recipients are not accepted")]
    SharedKeyRecipient,
    /// The encrypted content is not plain data.
    #[error("the encrypted content has type {0}; S/MIME encrypts plain data")]
    ContentType(String),
    /// A content cipher outside the accepted ones, or in the wrong container (A3, A4).
    #[error("the content cipher {0} is not accepted in this container")]
    ContentCipher(String),
    /// A nonce or initialisation vector of another length (A5).
    #[error("the nonce or initialisation vector has {0} octets, which is not accepted")]
    NonceLength(usize),
    /// An authentication tag of another length than 16 octets (A4).
    #[error("an authentication tag of {0} octets is not accepted, 16 are required")]
    TagLength(usize),
    /// Ciphertext that cannot come from the announced cipher.
    #[error("the encrypted content has an impossible length")]
    CiphertextLength,
    /// A key management algorithm or its parameters that we do not accept.
    #[error("the key management algorithm {0} is not accepted")]
    KeyManagement(String),
    /// A wrapped key of impossible length (A6).
    #[error("a wrapped key of {0} octets does not fit the content cipher")]
    WrappedKeyLength(usize),
    /// The sender's ephemeral key is no point of our curve.
    #[error("the originator's public key is not a point of the recipient's curve")]
    OriginatorKey,
    /// The recipient entry does not fit the kind of our key.
    #[error("the recipient entry does not fit the kind of our key")]
    RecipientKind,
    /// Authenticated attributes are missing, repeated or contradict the content type.
    #[error("the authenticated attributes contradict the container")]
    AuthenticatedAttributes,
}

impl Refusal {
    /// Stable identifier.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "cms_malformed",
            Self::NotEncrypted(_) => "cms_not_encrypted",
            Self::Compressed => "cms_compressed",
            Self::OriginatorInfo => "cms_originator_info",
            Self::PasswordRecipient => "cms_password_recipient",
            Self::SharedKeyRecipient => "cms_shared_key_recipient",
            Self::ContentType(_) => "cms_content_type",
            Self::ContentCipher(_) => "cms_content_cipher",
            Self::NonceLength(_) => "cms_nonce_length",
            Self::TagLength(_) => "cms_tag_length",
            Self::CiphertextLength => "cms_ciphertext_length",
            Self::KeyManagement(_) => "cms_key_management",
            Self::WrappedKeyLength(_) => "cms_wrapped_key_length",
            Self::OriginatorKey => "cms_originator_key",
            Self::RecipientKind => "cms_recipient_kind",
            Self::AuthenticatedAttributes => "cms_authenticated_attributes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_error_stack_still_says_something_h23() {
        let empty = openssl::error::ErrorStack::get();
        assert!(empty.errors().is_empty());
        assert_eq!(CmsError::from(empty).to_string(), "the cryptographic library failed: no reason given");
    }
}
