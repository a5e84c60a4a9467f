//! What a responder is asked (RFC 6960 §4.1), with a nonce (RFC 9654).

use openssl::rand::rand_bytes;

use super::{CertId, OcspAnswer, OcspError};
use crate::{algorithm::Digest, certificate::Certificate, der};

/// Octets of a nonce (RFC 9654 §2.1).
pub const NONCE_LENGTH: usize = 32;

/// A question about one certificate.
#[derive(Debug, Clone)]
pub struct OcspRequest {
    certificate: Certificate,
    issuer: Certificate,
    nonce: Option<[u8; NONCE_LENGTH]>,
    der: Vec<u8>,
}

impl OcspRequest {
    /// A question with a fresh nonce. The certificate is named by SHA-1 hashes, the only ones that
    /// every responder knows; they identify and prove nothing.
    ///
    /// # Errors
    /// [`OcspError::Internal`] when OpenSSL gives no random octets.
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Result<Self, OcspError> {
        let mut nonce = [0u8; NONCE_LENGTH];
        rand_bytes(&mut nonce).map_err(|_| OcspError::Internal)?;
        Self::with_nonce(certificate, issuer, Some(nonce))
    }

    /// A question with a given nonce, or with none: the same question to everybody, which caches on
    /// the way may answer.
    ///
    /// # Errors
    /// [`OcspError::Internal`] when the certificate cannot be named.
    pub fn with_nonce(
        certificate: &Certificate,
        issuer: &Certificate,
        nonce: Option<[u8; NONCE_LENGTH]>,
    ) -> Result<Self, OcspError> {
        let id = CertId::of(certificate, issuer, Digest::Sha1).ok_or(OcspError::Internal)?;
        let der = encode(&id, nonce.as_ref()).ok_or(OcspError::Internal)?;
        Ok(Self { certificate: certificate.clone(), issuer: issuer.clone(), nonce, der })
    }

    /// The octets to send, as `application/ocsp-request`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Reads what came back. A nonce that differs is fatal; a missing one is not: most responders
    /// sign in advance, and the answer's own dates bound its age.
    ///
    /// # Errors
    /// See [`OcspError`].
    pub fn read(&self, der: &[u8]) -> Result<OcspAnswer, OcspError> {
        let answer = OcspAnswer::from_der(der)?;
        let repeated = answer.nonce.as_deref();
        if repeated.is_some_and(|repeated| self.nonce.is_none_or(|sent| sent != repeated)) {
            return Err(OcspError::Nonce);
        }
        match answer.about(&self.certificate, &self.issuer) {
            Some(_) => Ok(answer),
            None => Err(OcspError::OtherCertificate),
        }
    }
}

fn encode(id: &CertId, nonce: Option<&[u8; NONCE_LENGTH]>) -> Option<Vec<u8>> {
    let request = der::sequence(&[der::sequence(&[id.to_der()?])]);
    let mut members = vec![request];
    if let Some(nonce) = nonce {
        let value = der::octet_string(&der::octet_string(nonce));
        let extension = der::sequence(&[der::oid("1.3.6.1.5.5.7.48.1.2")?, value]);
        members.push(der::context(2, &[der::sequence(&[extension])]));
    }
    Some(der::sequence(&[der::sequence(&members)]))
}

impl CertId {
    /// As requests and answers write it.
    pub(crate) fn to_der(&self) -> Option<Vec<u8>> {
        let algorithm = der::sequence(&[der::oid(self.digest.oid())?, der::null()]);
        Some(der::sequence(&[
            algorithm,
            der::octet_string(&self.issuer_name),
            der::octet_string(&self.issuer_key),
            der::tlv(der::tag::INTEGER, &self.serial),
        ]))
    }
}
