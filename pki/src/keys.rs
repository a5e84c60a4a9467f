//! Private keys behind traits: what signs and what decrypts, wherever the key lives.

use std::sync::Arc;

use openssl::pkey::{PKey, Public};
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::{
    file::FileKey,
    token::{
        PinFault, PinKeeper, PinOutcome, Token, TokenFacts, TokenFault, TokenKey, TokenReader, TokenSettings,
        TokenSigner, TokenStanding,
    },
    uri::{KeyUri, UriError},
};
use crate::certificate::{Certificate, CertificateError, KeyKind};

mod file;
pub(crate) mod substitute;
mod token;
mod uri;

/// A way to sign: key, padding and digest together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, salt of 32 octets.
    RsaPssSha256,
    /// ECDSA P-256 with SHA-256.
    EcdsaSha256,
    /// ECDSA P-384 with SHA-384.
    EcdsaSha384,
    /// Ed25519.
    Ed25519,
}

impl SignatureScheme {
    /// What a key of this kind can do, preferred first.
    pub fn of_key(kind: KeyKind) -> &'static [Self] {
        match kind {
            KeyKind::Rsa(_) => &[Self::RsaPkcs1Sha256, Self::RsaPssSha256],
            KeyKind::P256 => &[Self::EcdsaSha256],
            KeyKind::P384 => &[Self::EcdsaSha384],
            KeyKind::Ed25519 => &[Self::Ed25519],
            KeyKind::P521 | KeyKind::X25519 | KeyKind::Other => &[],
        }
    }
}

/// Padding of RSA key transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RsaPadding {
    /// RSAES-PKCS1-v1_5. Broken padding may give random octets instead of an error; the caller must
    /// treat every failure as a wrong content key (H4).
    Pkcs1,
    /// RSAES-OAEP with SHA-256 for digest and MGF1.
    OaepSha256,
    /// RSAES-OAEP with SHA-1 for digest and MGF1, as older software writes it.
    OaepSha1,
}

/// Why a key could not be loaded or used. Never says anything about secret values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The private key cannot be read.
    #[error("the private key cannot be read: wrong format, or wrong or missing passphrase")]
    UnreadableKey,
    /// The PKCS#12 file cannot be read.
    #[error(
        "the PKCS#12 file cannot be read: wrong password, or an old encryption (RC2) that OpenSSL 3 does not offer"
    )]
    UnreadablePkcs12,
    /// The PKCS#12 file carries no MAC.
    #[error("the PKCS#12 file carries no integrity check (MAC): nobody can tell whether somebody changed it")]
    NoMac,
    /// The PKCS#12 file lacks key or certificate.
    #[error("the PKCS#12 file holds no private key with its certificate")]
    Incomplete,
    /// The certificate that goes with the key cannot be read.
    #[error("the certificate of the key cannot be read: {0}")]
    Certificate(#[from] CertificateError),
    /// Key and certificate are not a pair.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The key cannot do what is asked.
    #[error("this kind of key cannot do this operation")]
    Unsupported,
    /// The operation failed.
    #[error("the key operation failed")]
    Failed,
    /// The key cannot be reached now; nothing is known about what it was asked for. Whoever waits for it
    /// is told to try again (4xx), never refused.
    #[error("the key cannot be reached now: {0}")]
    Unavailable(#[from] TokenFault),
}

/// Something that signs in the name of a certificate.
pub trait SigningKey: Send + Sync {
    /// The certificate of the key.
    fn certificate(&self) -> &Certificate;

    /// Certificates between it and the anchor, to be sent along.
    fn chain(&self) -> &[Certificate] {
        &[]
    }

    /// What it can do, preferred first.
    fn schemes(&self) -> &[SignatureScheme];

    /// Signs a message; the digest is computed here. ECDSA values are DER, as CMS and X.509 want.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`], [`KeyError::Failed`] or [`KeyError::Unavailable`].
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// A signing key that prefers another of its schemes than keys of its kind do.
pub struct Preferring {
    key: Arc<dyn SigningKey>,
    schemes: Vec<SignatureScheme>,
}

impl Preferring {
    /// The same key with this scheme first.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`]: the key cannot do that.
    pub fn new(key: Arc<dyn SigningKey>, preferred: SignatureScheme) -> Result<Self, KeyError> {
        if !key.schemes().contains(&preferred) {
            return Err(KeyError::Unsupported);
        }
        let others = key.schemes().iter().copied().filter(|scheme| *scheme != preferred);
        let schemes = std::iter::once(preferred).chain(others).collect();
        Ok(Self { key, schemes })
    }
}

impl SigningKey for Preferring {
    fn certificate(&self) -> &Certificate {
        self.key.certificate()
    }

    fn chain(&self) -> &[Certificate] {
        self.key.chain()
    }

    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key.sign(scheme, message)
    }
}

/// Something that opens what was encrypted to a certificate.
pub trait DecryptionKey: Send + Sync {
    /// The certificate of the key.
    fn certificate(&self) -> &Certificate;

    /// Unwraps an RSA-transported key.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the key cannot be reached, whatever was to be unwrapped;
    /// [`KeyError::Unsupported`] for other keys, [`KeyError::Failed`] for everything else alike.
    fn rsa_decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// Diffie–Hellman with a peer's public key on the same curve: the raw shared value.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] as above, [`KeyError::Unsupported`] for other keys or another curve,
    /// [`KeyError::Failed`] else.
    fn ecdh(&self, peer: &PKey<Public>) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

#[cfg(test)]
mod tests;
