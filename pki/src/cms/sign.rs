//! Making SignedData (RFC 5652 §5): one signer, its certificate and no other, signed attributes.

use ident::Timestamp;
use openssl::hash::Hasher;

use super::{
    CmsError,
    algorithm::identifier,
    attribute::{self, Attribute},
    container::{Layer, head},
    identifier::issuer_serial,
    oid,
    signature::{Written, written},
};
use crate::{
    certificate::Certificate,
    der,
    keys::{SignatureScheme, SigningKey},
};

/// Signs opaquely: the container holds the content.
///
/// The signed attributes are contentType, messageDigest, signingTime, SigningCertificateV2,
/// sMIMECapabilities and `extra_attributes`.
///
/// # Errors
/// The key fails or has no scheme that we write, or an additional attribute is reserved or malformed.
pub fn sign(
    content: &[u8],
    key: &dyn SigningKey,
    at: Timestamp,
    extra_attributes: &[Attribute],
) -> Result<Vec<u8>, CmsError> {
    let mut signing = Signing::new(key)?;
    signing.update(content)?;
    let Frame { before, after } = signing.opaque(at, extra_attributes)?;
    let mut out = before;
    out.reserve_exact(content.len().saturating_add(after.len()));
    out.extend_from_slice(content);
    out.extend_from_slice(&after);
    Ok(out)
}

/// Signs apart: the container holds no content (multipart/signed).
///
/// # Errors
/// As [`sign`].
pub fn sign_detached(
    content: &[u8],
    key: &dyn SigningKey,
    at: Timestamp,
    extra_attributes: &[Attribute],
) -> Result<Vec<u8>, CmsError> {
    let mut signing = Signing::new(key)?;
    signing.update(content)?;
    signing.signed(at, extra_attributes)?.detached()
}

/// What stands before and after content that is written into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Everything up to the first octet of content.
    pub before: Vec<u8>,
    /// Everything after the last one.
    pub after: Vec<u8>,
}

impl Frame {
    /// Octets of the container around this much content.
    pub const fn length(&self, content: u64) -> u64 {
        // Both are lengths of buffers, and so far below the limit of the type.
        content.saturating_add(self.before.len() as u64).saturating_add(self.after.len() as u64)
    }
}

/// A signature over content that goes by: first digested, then signed, then written inside a [`Frame`].
pub struct Signing<'k> {
    key: &'k dyn SigningKey,
    scheme: SignatureScheme,
    hasher: Hasher,
    octets: usize,
}

impl<'k> Signing<'k> {
    /// With the first scheme that the key offers.
    ///
    /// # Errors
    /// [`CmsError::NoScheme`], or the library fails.
    pub fn new(key: &'k dyn SigningKey) -> Result<Self, CmsError> {
        let scheme = *key.schemes().first().ok_or(CmsError::NoScheme)?;
        Ok(Self { key, scheme, hasher: Hasher::new(written(scheme).digest)?, octets: 0 })
    }

    /// Takes the next octets of content.
    ///
    /// # Errors
    /// The library fails.
    pub fn update(&mut self, content: &[u8]) -> Result<(), CmsError> {
        self.octets = self.octets.saturating_add(content.len());
        Ok(self.hasher.update(content)?)
    }

    /// Signs; the container will hold the content, the same octets again.
    ///
    /// # Errors
    /// As [`sign`].
    pub fn opaque(self, at: Timestamp, extra_attributes: &[Attribute]) -> Result<Frame, CmsError> {
        self.signed(at, extra_attributes)?.opaque(&[])
    }

    /// Signs, and leaves open what is said about the signature itself.
    ///
    /// # Errors
    /// As [`sign`].
    pub fn signed(mut self, at: Timestamp, extra: &[Attribute]) -> Result<Signed, CmsError> {
        let Written { digest_oid, algorithm, .. } = written(self.scheme);
        let certificate = self.key.certificate();
        let digest = self.hasher.finish()?;
        let mut attributes = vec![
            one(oid::CONTENT_TYPE, &der::tlv(der::tag::OID, oid::DATA)),
            one(oid::MESSAGE_DIGEST, &der::octet_string(&digest)),
            one(oid::SIGNING_TIME, &der::time(at).ok_or(CmsError::SigningTime(at))?),
            one(oid::SIGNING_CERTIFICATE_V2, &attribute::signing_certificate_v2(certificate.fingerprint().as_bytes())),
            one(oid::SMIME_CAPABILITIES, &attribute::capabilities()),
        ];
        for attribute in extra {
            attributes.push(attribute.encoded()?);
        }
        attribute::within_limits(&attributes)?;
        // Signed as a SET OF, written under [0] (RFC 5652 §5.4).
        let mut attributes = der::set_of(&attributes);
        let value = self.key.sign(self.scheme, &attributes).map_err(CmsError::Key)?;
        if let Some(tag) = attributes.first_mut() {
            *tag = 0xa0;
        }
        let digest_algorithm = identifier(digest_oid, None);
        let about =
            [der::integer(1), issuer_serial(certificate), digest_algorithm.clone(), attributes, algorithm].concat();
        let content_digest = digest.to_vec();
        let certificate = certificate.clone();
        Ok(Signed { octets: self.octets, about, value, content_digest, digest_algorithm, certificate })
    }
}

/// A signature that is made, and not yet written.
pub struct Signed {
    octets: usize,
    /// Members of the SignerInfo before the signature.
    about: Vec<u8>,
    value: Vec<u8>,
    content_digest: Vec<u8>,
    digest_algorithm: Vec<u8>,
    certificate: Certificate,
}

impl Signed {
    /// The signature: what a time stamp is about (RFC 3161 appendix A).
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The digest of the content, as it was signed.
    pub fn content_digest(&self) -> &[u8] {
        &self.content_digest
    }

    /// The container that will hold the content, with unsigned attributes beside the signature.
    ///
    /// # Errors
    /// [`CmsError::AttributeRefused`].
    pub fn opaque(self, unsigned: &[Attribute]) -> Result<Frame, CmsError> {
        let octets = self.octets;
        let Frame { before, after } = self.parts(unsigned)?;
        let data = der::tlv(der::tag::OID, oid::DATA);
        let layers = [
            Layer { tag: der::tag::OCTET_STRING, before: &[], after: 0 },
            Layer { tag: 0xa0, before: &[], after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &data, after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &before, after: after.len() },
            Layer { tag: 0xa0, before: &[], after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &der::tlv(der::tag::OID, oid::SIGNED_DATA), after: 0 },
        ];
        Ok(Frame { before: head(&layers, octets), after })
    }

    /// The content stays apart.
    fn detached(self) -> Result<Vec<u8>, CmsError> {
        let Frame { before, after } = self.parts(&[])?;
        let content_info = der::sequence(&[der::tlv(der::tag::OID, oid::DATA)]);
        let signed = der::tlv(der::tag::SEQUENCE, &[before, content_info, after].concat());
        Ok(der::sequence(&[der::tlv(der::tag::OID, oid::SIGNED_DATA), der::context(0, &[signed])]))
    }

    /// What stands before and after the content in SignedData.
    fn parts(self, unsigned: &[Attribute]) -> Result<Frame, CmsError> {
        let mut signer = vec![self.about, der::octet_string(&self.value)];
        if !unsigned.is_empty() {
            let attributes: Vec<_> = unsigned.iter().map(Attribute::encoded).collect::<Result<_, _>>()?;
            attribute::within_limits(&attributes)?;
            signer.push(der::context(1, &[der::sorted(&attributes)]));
        }
        Ok(Frame {
            before: [der::integer(1), der::set_of(&[self.digest_algorithm])].concat(),
            // Exactly the signer's certificate and exactly one SignerInfo (KIM A_2122, A_2123; H6).
            after: [der::context(0, &[self.certificate.der()]), der::set_of(&[der::sequence(&signer)])].concat(),
        })
    }
}

fn one(oid: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[der::tlv(der::tag::OID, oid), der::set_of(&[value])])
}
