//! Keys as they come in files: PEM and PKCS#12 (RFC 7292).

use openssl::{
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
};

use super::{super::KeyError, FileKey};
use crate::{
    certificate::{Certificate, CertificateError},
    der::tag,
    der_reader::{Element, Read, Reader},
};

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
