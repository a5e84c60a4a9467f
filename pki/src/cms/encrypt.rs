//! Encrypting content for certificates.
//!
//! Between gateways AES-256-GCM with RSA-OAEP or ECDH-ES; for plain mail clients AES-256-CBC around
//! a signature (design §1.7 of the S/MIME notes, H9). Triple DES and the SHA-1 derivation are never
//! written (H17).

use openssl::{
    aes::{AesKey, wrap_key},
    bn::BigNumContext,
    derive::Deriver,
    ec::{EcKey, PointConversionForm},
    encrypt::Encrypter,
    error::ErrorStack,
    hash::MessageDigest,
    pkey::PKey,
    rand::rand_bytes,
    rsa::Padding,
};
use zeroize::Zeroizing;

use super::{
    CmsError,
    algorithm::{BLOCK, ContentAlgorithm, NONCE, TAG, identifier},
    attribute::oaep_sha256,
    container::{Layer, head},
    content::{self, Encryptor},
    identifier::issuer_serial,
    kdf, oid,
    recipient::{Curve, MAX_RECIPIENTS, group},
};
use crate::{
    certificate::{Certificate, KeyKind},
    der,
};

/// Octets of the content keys that we make: AES-256.
const KEY: usize = 32;
/// RSA keys below this are not encrypted for.
const MIN_RSA_BITS: u32 = 2048;

/// The content ciphers that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCipher {
    /// AES-256-GCM in AuthEnvelopedData: between gateways.
    Aes256Gcm,
    /// AES-256-CBC in EnvelopedData: for mail clients, and only around a signature (H9).
    Aes256Cbc,
}

/// How content keys are wrapped for RSA certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RsaTransport {
    /// RSAES-OAEP with SHA-256 for digest and mask.
    #[default]
    OaepSha256,
    /// RSAES-PKCS1-v1_5, which every mail client reads and RFC 8551 still lists; only with
    /// [`ContentCipher::Aes256Cbc`]. NSS and gpgsm as distributed do not read OAEP, nor does Apple Mail.
    Pkcs1,
}

/// Encrypts for all these certificates, wrapping keys for RSA certificates with OAEP.
///
/// # Errors
/// No recipient or too many, a key that cannot be encrypted for, or a failing library.
pub fn encrypt(content: &[u8], to: &[&Certificate], cipher: ContentCipher) -> Result<Vec<u8>, CmsError> {
    encrypt_with(content, to, cipher, RsaTransport::default())
}

/// As [`encrypt`], choosing how keys for RSA certificates are wrapped.
///
/// # Errors
/// As [`encrypt`]; PKCS#1 v1.5 with GCM is refused.
pub fn encrypt_with(
    content: &[u8],
    to: &[&Certificate],
    cipher: ContentCipher,
    transport: RsaTransport,
) -> Result<Vec<u8>, CmsError> {
    let mut encrypting = Encrypting::new(content.len(), to, cipher, transport)?;
    let mut out = Vec::with_capacity(encrypting.length());
    encrypting.update(content, &mut out)?;
    encrypting.finish(&mut out)?;
    Ok(out)
}

/// A container that is written while its content goes by. The content's length is known beforehand, so all
/// lengths are definite.
pub struct Encrypting {
    head: Vec<u8>,
    encryptor: Encryptor,
    /// Octets of content still to come.
    awaited: usize,
    length: usize,
}

impl Encrypting {
    /// For `length` octets of content and all these certificates.
    ///
    /// # Errors
    /// As [`encrypt_with`].
    pub fn new(
        length: usize,
        to: &[&Certificate],
        cipher: ContentCipher,
        transport: RsaTransport,
    ) -> Result<Self, CmsError> {
        if to.is_empty() {
            return Err(CmsError::NoRecipient);
        }
        if to.len() > MAX_RECIPIENTS {
            return Err(CmsError::TooManyRecipients);
        }
        if (cipher, transport) == (ContentCipher::Aes256Gcm, RsaTransport::Pkcs1) {
            return Err(CmsError::KeyTransport);
        }
        let key = random::<KEY>()?;
        let key = key.as_slice();
        let infos = to.iter().map(|to| recipient(to, key, transport)).collect::<Result<Vec<_>, _>>()?;
        let infos = der::set_of(&infos);
        match cipher {
            ContentCipher::Aes256Gcm => authenticated(length, key, &infos),
            ContentCipher::Aes256Cbc => enveloped(length, key, &infos, version(to)),
        }
    }

    /// Octets of the whole container.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Appends the next octets of the container, made of the next octets of content.
    ///
    /// # Errors
    /// More content than was announced, or the library fails.
    pub fn update(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        self.awaited = self.awaited.checked_sub(content.len()).ok_or(CmsError::ContentLength)?;
        out.append(&mut self.head);
        Ok(self.encryptor.update(content, out)?)
    }

    /// Appends the end of the container.
    ///
    /// # Errors
    /// Less content than was announced, or the library fails.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), CmsError> {
        if self.awaited > 0 {
            return Err(CmsError::ContentLength);
        }
        out.append(&mut self.head);
        let tag = self.encryptor.finish(out)?;
        if !tag.is_empty() {
            out.extend_from_slice(&der::octet_string(&tag));
        }
        Ok(())
    }
}

/// EnvelopedData's version: 0 when every recipient is a key transport by issuer and serial (RFC 5652 §6.1).
fn version(to: &[&Certificate]) -> u64 {
    if to.iter().all(|to| matches!(to.key(), KeyKind::Rsa(_))) { 0 } else { 2 }
}

fn authenticated(length: usize, key: &[u8], infos: &[u8]) -> Result<Encrypting, CmsError> {
    let nonce = random::<NONCE>()?;
    // The tag length is always written: its default is 12 (RFC 5084 §3.2; H5).
    let parameters = der::sequence(&[der::octet_string(&*nonce), der::integer(TAG as u64)]);
    let algorithm = ContentAlgorithm {
        cipher: openssl::cipher::Cipher::aes_256_gcm(),
        name: "AES-256-GCM",
        key_length: KEY,
        authenticated: true,
        nonce: &*nonce,
    };
    let outer = Outer { kind: oid::AUTH_ENVELOPED_DATA, version: 0, after: TAG.saturating_add(2) };
    outer.begin(infos, identifier(oid::AES256_GCM, Some(parameters)), &algorithm, key, length)
}

fn enveloped(length: usize, key: &[u8], infos: &[u8], version: u64) -> Result<Encrypting, CmsError> {
    let iv = random::<BLOCK>()?;
    let algorithm = ContentAlgorithm {
        cipher: openssl::cipher::Cipher::aes_256_cbc(),
        name: "AES-256-CBC",
        key_length: KEY,
        authenticated: false,
        nonce: &*iv,
    };
    let written = identifier(oid::AES256_CBC, Some(der::octet_string(&*iv)));
    Outer { kind: oid::ENVELOPED_DATA, version, after: 0 }.begin(infos, written, &algorithm, key, length)
}

/// What differs between the two containers.
struct Outer {
    kind: &'static [u8],
    version: u64,
    /// Octets that follow the encrypted content.
    after: usize,
}

impl Outer {
    fn begin(
        &self,
        infos: &[u8],
        written: Vec<u8>,
        algorithm: &ContentAlgorithm<'_>,
        key: &[u8],
        length: usize,
    ) -> Result<Encrypting, CmsError> {
        let info = [der::tlv(der::tag::OID, oid::DATA), written].concat();
        let members = [&der::integer(self.version), infos].concat();
        let kind = der::tlv(der::tag::OID, self.kind);
        let layers = [
            Layer { tag: 0x80, before: &[], after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &info, after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &members, after: self.after },
            Layer { tag: 0xa0, before: &[], after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &kind, after: 0 },
        ];
        let encrypted = content::encrypted_length(algorithm, length);
        let head = head(&layers, encrypted);
        let whole = head.len().saturating_add(encrypted).saturating_add(self.after);
        Ok(Encrypting { head, encryptor: Encryptor::new(algorithm, key)?, awaited: length, length: whole })
    }
}

/// One RecipientInfo, by the kind of key.
fn recipient(to: &Certificate, key: &[u8], transport: RsaTransport) -> Result<Vec<u8>, CmsError> {
    let unusable = |why| CmsError::RecipientKey { certificate: to.fingerprint().to_string(), why };
    match to.key() {
        KeyKind::Rsa(bits) if bits < MIN_RSA_BITS => Err(unusable("RSA below 2048 bits")),
        KeyKind::Rsa(_) => Ok(key_transport(to, key, transport)?),
        kind => {
            let curve = Curve::of(kind).ok_or_else(|| unusable("this kind of key cannot receive"))?;
            Ok(key_agreement(to, key, &curve)?)
        }
    }
}

/// KeyTransRecipientInfo (RFC 5652 §6.2.1).
fn key_transport(to: &Certificate, key: &[u8], transport: RsaTransport) -> Result<Vec<u8>, ErrorStack> {
    let mut encrypter = Encrypter::new(to.public_key())?;
    let algorithm = match transport {
        RsaTransport::OaepSha256 => {
            encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
            // The mask's digest is this one too.
            encrypter.set_rsa_oaep_md(MessageDigest::sha256())?;
            identifier(oid::RSA_OAEP, Some(oaep_sha256()))
        }
        RsaTransport::Pkcs1 => {
            encrypter.set_rsa_padding(Padding::PKCS1)?;
            identifier(oid::RSA, Some(der::null()))
        }
    };
    let mut wrapped = vec![0; encrypter.encrypt_len(key)?];
    let length = encrypter.encrypt(key, &mut wrapped)?;
    wrapped.truncate(length);
    Ok(der::sequence(&[der::integer(0), issuer_serial(to), algorithm, der::octet_string(&wrapped)]))
}

/// KeyAgreeRecipientInfo with a fresh key, AES-256 wrap: standard ECDH with the X9.63 derivation over SHA-256
/// (RFC 5753 §3.1), or X25519 with HKDF over it (RFC 8551 §2.3).
fn key_agreement(to: &Certificate, key: &[u8], curve: &Curve) -> Result<Vec<u8>, ErrorStack> {
    let (ephemeral, originator) = match curve {
        Curve::Nist(nid, oid) => {
            let group = group(*nid)?;
            let ephemeral = EcKey::generate(group)?;
            let mut context = BigNumContext::new()?;
            let point = ephemeral.public_key().to_bytes(group, PointConversionForm::UNCOMPRESSED, &mut context)?;
            let public = identifier(oid::EC_PUBLIC_KEY, Some(der::tlv(der::tag::OID, oid)));
            (PKey::from_ec_key(ephemeral)?, [public, der::bit_string(&point)])
        }
        Curve::X25519 => {
            let ephemeral = PKey::generate_x25519()?;
            let public = der::bit_string(&ephemeral.raw_public_key()?);
            (ephemeral, [identifier(oid::X25519, None), public])
        }
    };
    let scheme = if matches!(curve, Curve::X25519) { oid::ECDH_HKDF_SHA256 } else { oid::ECDH_SHA256_KDF };
    let mut deriver = Deriver::new(&ephemeral)?;
    // Reading the certificate refused a point that is not on its curve; see `public_point`.
    deriver.set_peer_ex(to.public_key(), false)?;
    let secret = Zeroizing::new(deriver.derive_to_vec()?);

    let wrap = identifier(oid::AES256_WRAP, None);
    let info = kdf::shared_info(&wrap, None, KEY);
    let (derivation, _) = kdf::scheme(scheme, matches!(curve, Curve::X25519)).ok_or_else(ErrorStack::get)?;
    let wrapping = derivation.derive(&secret, &info, KEY)?;
    let mut wrapped = vec![0; key.len().saturating_add(8)];
    let wrapping = AesKey::new_encrypt(&wrapping).map_err(|_| ErrorStack::get())?;
    wrap_key(&wrapping, None, &mut wrapped, key).map_err(|_| ErrorStack::get())?;

    let originator = der::context(0, &[der::context(1, &originator)]);
    let algorithm = identifier(scheme, Some(wrap));
    let entry = der::sequence(&[issuer_serial(to), der::octet_string(&wrapped)]);
    Ok(der::context(1, &[der::integer(3), originator, algorithm, der::sequence(&[entry])]))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, ErrorStack> {
    let mut octets = Zeroizing::new([0; N]);
    rand_bytes(&mut *octets)?;
    Ok(octets)
}
