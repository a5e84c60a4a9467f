//! Keys held in this process, and what they do.

mod read;

use openssl::{
    bn::BigNumContext,
    derive::Deriver,
    error::ErrorStack,
    hash::MessageDigest,
    md::Md,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{Id, PKey, Private, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer},
    stack::Stack,
};
use zeroize::Zeroizing;

use super::{DecryptionKey, KeyError, RsaPadding, SignatureScheme, SigningKey, substitute::substitute};
use crate::{certificate::Certificate, pkcs1};

/// A key held in this process, from a PEM or PKCS#12 file.
pub struct FileKey {
    key: PKey<Private>,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl FileKey {
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
                // The mask's digest is this one too (EVP_PKEY_CTX_set_rsa_mgf1_md(3)): naming it fetches it again.
                context.set_rsa_oaep_md(digest).map_err(failed)?;
            }
        }
        // One buffer of the key's size, wiped: nothing is left behind by growing.
        let mut out = Zeroizing::new(vec![0u8; self.key.size()]);
        let length = context.decrypt(wrapped, Some(&mut out)).map_err(failed)?;
        out.truncate(length);
        if padding == RsaPadding::Pkcs1 {
            let other = substitute(wrapped).map_err(failed)?;
            return pkcs1::message(&out, *other).ok_or(KeyError::Failed);
        }
        Ok(out)
    }

    fn ecdh(&self, peer: &PKey<Public>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !matches!(self.key.id(), Id::EC | Id::X25519) || self.key.id() != peer.id() {
            return Err(KeyError::Unsupported);
        }
        let failed = |_| KeyError::Failed;
        // A point on a curve without small subgroups is a sound key (SP 800-56A §5.6.2.3.4): the multiplication by the
        // order that OpenSSL's own check adds costs as much as the agreement and could find nothing more.
        if peer.id() == Id::EC && !on_its_curve(peer) {
            return Err(KeyError::Failed);
        }
        let mut deriver = Deriver::new(&self.key).map_err(failed)?;
        // OpenSSL refuses a peer on another curve.
        deriver.set_peer_ex(peer, false).map_err(failed)?;
        deriver.derive_to_vec().map(Zeroizing::new).map_err(failed)
    }
}

/// Whether the point of a key is one of its curve and not the one at infinity, where the curve is one of those
/// of prime order that we use.
fn on_its_curve(peer: &PKey<Public>) -> bool {
    let sound = || {
        let key = peer.ec_key()?;
        let (group, point) = (key.group(), key.public_key());
        let known = matches!(group.curve_name(), Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1));
        let mut context = BigNumContext::new()?;
        Ok::<_, ErrorStack>(known && !point.is_infinity(group) && point.is_on_curve(group, &mut context)?)
    };
    sound().unwrap_or(false)
}
