//! Making SignedData (RFC 5652 §5): one signer, its certificate and no other, signed attributes.

use ident::Timestamp;
use openssl::hash::hash;

use super::{
    CmsError,
    algorithm::identifier,
    attribute::{self, Attribute},
    container::{Layer, head},
    identifier::issuer_serial,
    oid,
    signature::{Written, written},
};
use crate::{der, keys::SigningKey};

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
    let parts = Parts::make(content, key, at, extra_attributes)?;
    let data = der::tlv(der::tag::OID, oid::DATA);
    let layers = [
        Layer { tag: der::tag::OCTET_STRING, before: &[], after: 0 },
        Layer { tag: 0xa0, before: &[], after: 0 },
        Layer { tag: der::tag::SEQUENCE, before: &data, after: 0 },
        Layer { tag: der::tag::SEQUENCE, before: &parts.before, after: parts.after.len() },
        Layer { tag: 0xa0, before: &[], after: 0 },
        Layer { tag: der::tag::SEQUENCE, before: &der::tlv(der::tag::OID, oid::SIGNED_DATA), after: 0 },
    ];
    let mut out = head(&layers, content.len());
    out.extend_from_slice(content);
    out.extend_from_slice(&parts.after);
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
    let parts = Parts::make(content, key, at, extra_attributes)?;
    let content_info = der::sequence(&[der::tlv(der::tag::OID, oid::DATA)]);
    let signed = der::tlv(der::tag::SEQUENCE, &[parts.before, content_info, parts.after].concat());
    Ok(der::sequence(&[der::tlv(der::tag::OID, oid::SIGNED_DATA), der::context(0, &[signed])]))
}

/// What stands before and after the content in SignedData.
struct Parts {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Parts {
    fn make(content: &[u8], key: &dyn SigningKey, at: Timestamp, extra: &[Attribute]) -> Result<Self, CmsError> {
        let scheme = *key.schemes().first().ok_or(CmsError::NoScheme)?;
        let Written { digest, digest_oid, algorithm } = written(scheme);
        let certificate = key.certificate();
        let digest = hash(digest, content)?;
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
        // Signed as a SET OF, written under [0] (RFC 5652 §5.4).
        let mut attributes = der::set_of(&attributes);
        let signature = key.sign(scheme, &attributes).map_err(CmsError::Key)?;
        if let Some(tag) = attributes.first_mut() {
            *tag = 0xa0;
        }
        let digest_algorithm = identifier(digest_oid, None);
        let signer = der::sequence(&[
            der::integer(1),
            issuer_serial(certificate),
            digest_algorithm.clone(),
            attributes,
            algorithm,
            der::octet_string(&signature),
        ]);
        Ok(Self {
            before: [der::integer(1), der::set_of(&[digest_algorithm])].concat(),
            // Exactly the signer's certificate and exactly one SignerInfo (KIM A_2122, A_2123; H6).
            after: [der::context(0, &[certificate.der()]), der::set_of(&[signer])].concat(),
        })
    }
}

fn one(oid: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[der::tlv(der::tag::OID, oid), der::set_of(&[value])])
}
