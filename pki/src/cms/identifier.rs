//! How CMS names a certificate: issuer and serial number, or subject key identifier.

use std::borrow::Cow;

use super::reader::{Element, Malformed, Reader};
use crate::{certificate::Certificate, der, name::Name};

/// The longest key identifier that anybody writes is a SHA-512 value.
const MAX_KEY_ID: usize = 64;

/// SignerIdentifier and RecipientIdentifier (RFC 5652 §5.3, §6.2).
#[derive(Debug, Clone)]
pub(crate) enum CertificateId<'a> {
    IssuerSerial { issuer: Cow<'a, [u8]>, serial: &'a [u8] },
    KeyId(Cow<'a, [u8]>),
}

impl<'a> CertificateId<'a> {
    /// IssuerAndSerialNumber, or `[0]` IMPLICIT SubjectKeyIdentifier.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.optional_string(0x80)? {
            Some(key_id) => Self::key_id(&key_id),
            None => Self::issuer_serial(reader),
        }
    }

    /// The KeyAgreeRecipientIdentifier: IssuerAndSerialNumber, or `[0]` IMPLICIT RecipientKeyIdentifier.
    pub(crate) fn read_agreement(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "the recipient key identifier";
        let Some(identifier) = reader.optional(0xa0)? else {
            return Self::issuer_serial(reader);
        };
        let mut members = identifier.members()?;
        let key_id = members.optional_string(der::tag::OCTET_STRING)?.ok_or(Malformed::Expected(WHAT))?;
        // Date and other attributes say which message key was meant: nothing that we have.
        members.optional(der::tag::GENERALIZED_TIME)?;
        members.optional(der::tag::SEQUENCE)?;
        members.end(WHAT)?;
        Self::key_id(&key_id)
    }

    fn key_id(element: &Element<'a>) -> Result<Self, Malformed> {
        let octets = element.octets()?;
        if octets.len() == 0 || octets.len() > MAX_KEY_ID {
            return Err(Malformed::Value("a key identifier"));
        }
        Ok(Self::KeyId(octets.joined()))
    }

    fn issuer_serial(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "the issuer and serial number";
        let mut members = reader.sequence(WHAT)?;
        let issuer = members.expect(der::tag::SEQUENCE, WHAT)?.definite()?;
        let serial = members.integer(WHAT)?;
        members.end(WHAT)?;
        Ok(Self::IssuerSerial { issuer, serial })
    }

    /// Whether this names the certificate.
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        self.means(certificate.issuer(), certificate.serial(), certificate.subject_key_id())
    }

    /// Whether this names a certificate with these. Issuers that were encoded anew by the sender's software
    /// (other string types, other order in a set) are compared as names.
    pub(crate) fn means(&self, issuer: &Name, serial: &[u8], key_id: Option<&[u8]>) -> bool {
        match self {
            Self::KeyId(wanted) => key_id == Some(wanted.as_ref()),
            Self::IssuerSerial { issuer: wanted, serial: number } => {
                significant(number) == significant(serial)
                    && (wanted.as_ref() == issuer.der() || Name::read(wanted).is_ok_and(|name| name == *issuer))
            }
        }
    }
}

/// IssuerAndSerialNumber of a certificate.
pub(crate) fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    let serial = der::tlv(der::tag::INTEGER, certificate.serial());
    der::sequence(&[certificate.issuer_der(), &serial])
}

/// A serial number without the octets that carry nothing, so that sloppy encodings compare equal.
pub(crate) fn significant(mut serial: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = serial {
        serial = rest;
    }
    serial
}
