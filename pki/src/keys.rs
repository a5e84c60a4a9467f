//! Private keys behind traits: what signs and what decrypts, wherever the key lives.

use openssl::{
    derive::Deriver,
    hash::MessageDigest,
    md::Md,
    pkcs12::Pkcs12,
    pkey::{Id, PKey, Private, Public},
    pkey_ctx::PkeyCtx,
    rand::rand_bytes,
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer},
    stack::Stack,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    certificate::{Certificate, CertificateError, KeyKind},
    pkcs1,
};

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
    /// [`KeyError::Unsupported`] or [`KeyError::Failed`].
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Something that opens what was encrypted to a certificate.
pub trait DecryptionKey: Send + Sync {
    /// The certificate of the key.
    fn certificate(&self) -> &Certificate;

    /// Unwraps an RSA-transported key.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for other keys, [`KeyError::Failed`] for everything else alike.
    fn rsa_decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// Diffie–Hellman with a peer's public key on the same curve: the raw shared value.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for other keys or another curve, [`KeyError::Failed`] else.
    fn ecdh(&self, peer: &PKey<Public>) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// A key held in this process, from a PEM or PKCS#12 file.
pub struct FileKey {
    key: PKey<Private>,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl FileKey {
    /// From a PEM key (PKCS#8, encrypted or not, or the older forms) and a PEM certificate; further
    /// certificates in the same text are the chain.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pem(key: &[u8], certificate: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        // Always with a passphrase: without one OpenSSL would ask at the terminal.
        let key = PKey::private_key_from_pem_passphrase(key, passphrase.unwrap_or_default())
            .map_err(|_| KeyError::UnreadableKey)?;
        let mut certificates = Certificate::list_from_pem(certificate)?.into_iter();
        let first = certificates.next().ok_or(CertificateError::Pem)?;
        Self::new(key, first, certificates.collect())
    }

    /// From a PKCS#12 file.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pkcs12(der: &[u8], password: &str) -> Result<Self, KeyError> {
        let parsed =
            Pkcs12::from_der(der).and_then(|file| file.parse2(password)).map_err(|_| KeyError::UnreadablePkcs12)?;
        let (Some(key), Some(x509)) = (parsed.pkey, parsed.cert) else {
            return Err(KeyError::Incomplete);
        };
        let certificate = Certificate::from_openssl(&x509)?;
        let chain = match &parsed.ca {
            Some(stack) => stack.iter().map(Certificate::from_openssl).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Self::new(key, certificate, chain)
    }

    /// From a key that OpenSSL holds already.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when the two are not a pair.
    pub fn new(key: PKey<Private>, certificate: Certificate, chain: Vec<Certificate>) -> Result<Self, KeyError> {
        if !key.public_eq(certificate.public_key()) {
            return Err(KeyError::Mismatch);
        }
        Ok(Self { key, certificate, chain })
    }

    /// Key, certificate and `chain` as a PKCS#12 file (AES-256, PBKDF2).
    ///
    /// # Errors
    /// [`KeyError::Failed`].
    pub fn to_pkcs12(&self, password: &str, chain: &[Certificate]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Failed;
        let mut stack = Stack::new().map_err(failed)?;
        for certificate in chain {
            stack.push(certificate.openssl().clone()).map_err(failed)?;
        }
        let mut builder = Pkcs12::builder();
        builder.name(&self.certificate.subject().to_string()).pkey(&self.key).cert(self.certificate.openssl());
        builder.ca(stack);
        builder.build2(password).and_then(|file| file.to_der()).map_err(failed)
    }

    /// The private key itself, for TLS.
    pub fn openssl(&self) -> &PKey<Private> {
        &self.key
    }

    /// The certificate of the key.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Certificates between it and the anchor.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileKey({:?})", self.certificate)
    }
}

impl SigningKey for FileKey {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    fn schemes(&self) -> &[SignatureScheme] {
        SignatureScheme::of_key(self.certificate.key())
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !SigningKey::schemes(self).contains(&scheme) {
            return Err(KeyError::Unsupported);
        }
        let failed = |_| KeyError::Failed;
        let mut signer = match scheme {
            SignatureScheme::Ed25519 => Signer::new_without_digest(&self.key),
            SignatureScheme::EcdsaSha384 => Signer::new(MessageDigest::sha384(), &self.key),
            _ => Signer::new(MessageDigest::sha256(), &self.key),
        }
        .map_err(failed)?;
        if scheme == SignatureScheme::RsaPssSha256 {
            signer.set_rsa_padding(Padding::PKCS1_PSS).map_err(failed)?;
            signer.set_rsa_mgf1_md(MessageDigest::sha256()).map_err(failed)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).map_err(failed)?;
        }
        signer.sign_oneshot_to_vec(message).map_err(failed)
    }
}

impl DecryptionKey for FileKey {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn rsa_decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if self.key.id() != Id::RSA {
            return Err(KeyError::Unsupported);
        }
        let failed = |_| KeyError::Failed;
        let mut context = PkeyCtx::new(&self.key).map_err(failed)?;
        context.decrypt_init().map_err(failed)?;
        match padding {
            // Its padding is taken off below, in a way that does not tell whether it was sound.
            RsaPadding::Pkcs1 => context.set_rsa_padding(Padding::NONE).map_err(failed)?,
            RsaPadding::OaepSha256 | RsaPadding::OaepSha1 => {
                let digest = if padding == RsaPadding::OaepSha1 { Md::sha1() } else { Md::sha256() };
                context.set_rsa_padding(Padding::PKCS1_OAEP).map_err(failed)?;
                context.set_rsa_oaep_md(digest).map_err(failed)?;
                context.set_rsa_mgf1_md(digest).map_err(failed)?;
            }
        }
        // One buffer of the key's size, wiped: nothing is left behind by growing.
        let mut out = Zeroizing::new(vec![0u8; self.key.size()]);
        let length = context.decrypt(wrapped, Some(&mut out)).map_err(failed)?;
        out.truncate(length);
        if padding == RsaPadding::Pkcs1 {
            let mut random = Zeroizing::new([0; 32]);
            rand_bytes(&mut *random).map_err(failed)?;
            return pkcs1::message(&out, *random).ok_or(KeyError::Failed);
        }
        Ok(out)
    }

    fn ecdh(&self, peer: &PKey<Public>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !matches!(self.key.id(), Id::EC | Id::X25519) || self.key.id() != peer.id() {
            return Err(KeyError::Unsupported);
        }
        let failed = |_| KeyError::Failed;
        let mut deriver = Deriver::new(&self.key).map_err(failed)?;
        // OpenSSL refuses a peer on another curve, and a point that is not on the curve.
        deriver.set_peer(peer).map_err(failed)?;
        deriver.derive_to_vec().map(Zeroizing::new).map_err(failed)
    }
}

#[cfg(test)]
mod tests;
