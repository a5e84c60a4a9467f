//! Signed attributes: reading them strictly, writing ours.

use ident::Timestamp;

use super::{
    CmsError,
    algorithm::{Algorithm, identifier},
    oid,
    reader::{Element, Malformed},
};
use crate::{der, der_reader};

/// Attributes in one set.
const MAX_ATTRIBUTES: usize = 64;
/// Values of one attribute; KIM names each recipient in one (A_2127).
const MAX_VALUES: usize = 1000;
/// Octets of a whole set: KIM's recipient list at its largest fits.
const MAX_ATTRIBUTE_OCTETS: usize = 512 * 1024;

/// One attribute: a type and its values, each a complete encoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Type, in dotted form.
    pub oid: String,
    /// Values as received, or DER to be written.
    pub values: Vec<Vec<u8>>,
}

impl Attribute {
    /// An attribute with one value.
    pub fn single(oid: impl Into<String>, value: Vec<u8>) -> Self {
        Self { oid: oid.into(), values: vec![value] }
    }

    /// Its DER; refuses malformed types and values, and the types that [`super::sign`] writes itself.
    pub(crate) fn encoded(&self) -> Result<Vec<u8>, CmsError> {
        let refused = || CmsError::AttributeRefused(self.oid.clone());
        let oid = der::oid(&self.oid).ok_or_else(refused)?;
        let content = Element::only(&oid, "the attribute type")?.content;
        let reserved = [
            oid::CONTENT_TYPE,
            oid::MESSAGE_DIGEST,
            oid::SIGNING_TIME,
            oid::SMIME_CAPABILITIES,
            oid::SIGNING_CERTIFICATE,
            oid::SIGNING_CERTIFICATE_V2,
        ];
        if reserved.contains(&content) || self.values.is_empty() || self.values.len() > MAX_VALUES {
            return Err(refused());
        }
        if !self.values.iter().all(|value| is_written_out(value)) {
            return Err(refused());
        }
        Ok(der::sequence(&[oid, der::set_of(&self.values)]))
    }
}

/// Refuses attributes of a number or size that is not read again: what we write, we can verify.
pub(crate) fn within_limits(attributes: &[Vec<u8>]) -> Result<(), CmsError> {
    let octets: usize = attributes.iter().map(Vec::len).sum();
    // The tag and the length of the set come on top.
    if attributes.len() > MAX_ATTRIBUTES || octets.saturating_add(8) > MAX_ATTRIBUTE_OCTETS {
        return Err(CmsError::TooManyAttributes);
    }
    Ok(())
}

/// One value, whole down to its last member, with its lengths written: whoever verifies it brings it into this
/// form, and must find what was signed.
fn is_written_out(value: &[u8]) -> bool {
    let definite = Element::only(value, "an attribute value").and_then(|value| value.definite());
    definite.is_ok_and(|definite| *definite == *value)
}

/// An attribute as received.
#[derive(Debug, Clone)]
pub(crate) struct Received<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) values: Vec<Element<'a>>,
}

impl Received<'_> {
    pub(crate) fn to_public(&self) -> Attribute {
        Attribute { oid: oid::dotted(self.oid), values: self.values.iter().map(|value| value.raw.to_vec()).collect() }
    }
}

/// A set of attributes, within limits.
pub(crate) fn read<'a>(set: &Element<'a>) -> Result<Vec<Received<'a>>, Malformed> {
    if set.raw.len() > MAX_ATTRIBUTE_OCTETS {
        return Err(Malformed::TooMany("octets of attributes"));
    }
    let mut attributes = Vec::new();
    for attribute in set.members()?.all(MAX_ATTRIBUTES, "attributes")? {
        if attribute.tag != der::tag::SEQUENCE {
            return Err(Malformed::Expected("an attribute"));
        }
        let mut members = attribute.members()?;
        let oid = members.oid("the attribute type")?;
        let values = members.expect(der::tag::SET, "the attribute values")?.members()?;
        members.end("an attribute")?;
        attributes.push(Received { oid, values: values.all(MAX_VALUES, "attribute values")? });
    }
    Ok(attributes)
}

/// The value of an attribute that may occur once, with one value (RFC 5652 §5.3, §11).
pub(crate) fn single<'a>(
    attributes: &[Received<'a>],
    oid: &[u8],
    name: &'static str,
) -> Result<Option<Element<'a>>, CmsError> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
        (None, _) => Ok(None),
        (Some([value]), None) => Ok(Some(*value)),
        _ => Err(CmsError::AttributeRepeated(name)),
    }
}

/// The first certificate of a SigningCertificate or SigningCertificateV2 attribute (RFC 5035 §3):
/// digest algorithm, digest, and issuer and serial number if given.
pub(crate) struct EssCertificate<'a> {
    pub(crate) digest: &'a [u8],
    pub(crate) hash: &'a [u8],
    pub(crate) serial: Option<&'a [u8]>,
}

impl<'a> EssCertificate<'a> {
    pub(crate) fn read(value: &Element<'a>, default_digest: &'static [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "the signing certificate attribute";
        let certificates = value.members()?.sequence(WHAT)?;
        let first = certificates.all(64, "signing certificates")?.first().copied().ok_or(Malformed::Expected(WHAT))?;
        let mut members = first.members()?;
        let digest = match members.optional(der::tag::SEQUENCE)? {
            Some(algorithm) => Algorithm::of(algorithm, WHAT)?.oid,
            None => default_digest,
        };
        let hash = members.expect(der::tag::OCTET_STRING, WHAT)?.content;
        let serial = match members.optional(der::tag::SEQUENCE)? {
            Some(issuer_serial) => {
                let mut members = issuer_serial.members()?;
                members.sequence(WHAT)?;
                Some(members.integer(WHAT)?)
            }
            None => None,
        };
        members.end(WHAT)?;
        Ok(Self { digest, hash, serial })
    }
}

/// SigningCertificateV2 for a certificate with this SHA-256 (the DEFAULT algorithm, so not written).
pub(crate) fn signing_certificate_v2(sha256: &[u8]) -> Vec<u8> {
    let id = der::sequence(&[der::octet_string(sha256)]);
    der::sequence(&[der::sequence(&[id])])
}

/// What we can decrypt, strongest first (RFC 8551 §2.5.2).
pub(crate) fn capabilities() -> Vec<u8> {
    let plain = [oid::AES256_GCM, oid::AES128_GCM, oid::AES256_CBC, oid::AES128_CBC].map(|oid| identifier(oid, None));
    let ecdh = identifier(oid::ECDH_SHA256_KDF, Some(identifier(oid::AES256_WRAP, None)));
    let mut members = plain.to_vec();
    members.push(identifier(oid::RSA_OAEP, Some(oaep_sha256())));
    members.push(ecdh);
    der::sequence(&members)
}

/// RSAES-OAEP parameters: SHA-256 for hash and mask, empty label (RFC 4055 §4.1).
pub(crate) fn oaep_sha256() -> Vec<u8> {
    let sha256 = identifier(oid::SHA256, Some(der::null()));
    let mask = identifier(oid::MGF1, Some(sha256.clone()));
    der::sequence(&[der::context(0, &[sha256]), der::context(1, &[mask])])
}

/// Reads a Time in the only form that DER allows: with seconds, in UTC (RFC 5652 §11.3).
pub(crate) fn read_time(value: &Element<'_>) -> Result<Timestamp, Malformed> {
    let bad = |_| Malformed::Value("the signing time");
    der_reader::time(&der_reader::Reader::only(value.raw, value.tag).map_err(bad)?).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back() {
        for text in ["2026-11-21T22:57:03Z", "2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z", "1999-02-28T00:00:00Z"] {
            let at = Timestamp::parse(text).unwrap();
            let der = der::time(at).unwrap();
            assert_eq!(der[0] == der::tag::UTC_TIME, !text.starts_with("205"), "{text}");
            assert_eq!(read_time(&Element::only(&der, "it").unwrap()), Ok(at), "{text}");
        }
    }

    #[test]
    fn other_forms_of_time_are_refused() {
        for text in ["", "Z", "261121225703", "2611212257Z", "261121225703+0100", "261321225703Z", "26112122570３Z"] {
            let der = der::tlv(der::tag::UTC_TIME, text.as_bytes());
            assert!(read_time(&Element::only(&der, "it").unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn reserved_and_malformed_attributes_are_refused() {
        let value = der::utf8("it");
        assert!(Attribute::single("1.2.276.0.76.4.173", value.clone()).encoded().is_ok());
        for (oid, value) in [
            ("1.2.840.113549.1.9.4", value.clone()),
            ("1.2.840.113549.1.9.16.2.47", value.clone()),
            ("not an oid", value.clone()),
            ("1.2.3", vec![]),
            ("1.2.3", vec![0x30, 5]),
            ("1.2.3", [value.clone(), value.clone()].concat()),
        ] {
            assert!(matches!(Attribute::single(oid, value).encoded(), Err(CmsError::AttributeRefused(_))), "{oid}");
        }
        assert!(Attribute { oid: "1.2.3".into(), values: vec![] }.encoded().is_err());
    }

    /// Found by fuzzing: such a value was signed, and then nobody could verify it.
    #[test]
    fn no_attribute_is_signed_that_cannot_be_verified() {
        for value in [&[0x26, 1, 0x2b][..], &[0x30, 0x80, 5, 0, 0, 0], &[0x30, 4, 0x30, 0x80, 0, 0]] {
            let written = Attribute::single("1.2.3", value.to_vec()).encoded();
            assert!(matches!(written, Err(CmsError::AttributeRefused(_))), "{value:02x?}");
        }
    }

    /// Found by fuzzing: more than anybody reads was signed, and then nobody could verify it.
    #[test]
    fn no_more_attributes_are_signed_than_are_read() {
        let many = |count: usize, octets: usize| vec![vec![0; octets]; count];
        assert_eq!(within_limits(&many(MAX_ATTRIBUTES, 100)), Ok(()));
        assert_eq!(within_limits(&many(MAX_ATTRIBUTES + 1, 100)), Err(CmsError::TooManyAttributes));
        assert_eq!(within_limits(&many(2, MAX_ATTRIBUTE_OCTETS / 2 - 4)), Ok(()));
        assert_eq!(within_limits(&many(2, MAX_ATTRIBUTE_OCTETS / 2)), Err(CmsError::TooManyAttributes));
    }
}
