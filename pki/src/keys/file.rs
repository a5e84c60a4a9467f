//! Keys in files: PEM and PKCS#12.

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
use zeroize::Zeroizing;

use super::{DecryptionKey, KeyError, RsaPadding, SignatureScheme, SigningKey};
use crate::{
    certificate::{Certificate, CertificateError},
    der::tag,
    der_reader::{Element, Read, Reader},
    pkcs1,
};

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

    /// From a PKCS#12 file whose MAC (RFC 7292 §5.1) the password proves.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pkcs12(der: &[u8], password: &str) -> Result<Self, KeyError> {
        let unreadable = |_| KeyError::UnreadablePkcs12;
        let file = Pkcs12::from_der(der).map_err(unreadable)?;
        // Newer versions of OpenSSL pass a file without one.
        if !has_mac(&file.to_der().map_err(unreadable)?) {
            return Err(KeyError::NoMac);
        }
        let parsed = file.parse2(password).map_err(unreadable)?;
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

/// Whether a PFX, as OpenSSL writes it down again, has MacData after version and content (RFC 7292 §4).
fn has_mac(pfx: &[u8]) -> bool {
    let third = || -> Read<Option<Element<'_>>> {
        let mut members = Reader::only(pfx, tag::SEQUENCE)?.inside();
        members.expect(tag::INTEGER)?;
        members.expect(tag::SEQUENCE)?;
        members.optional(tag::SEQUENCE)
    };
    matches!(third(), Ok(Some(_)))
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
