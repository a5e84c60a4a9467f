//! A fresh certificate with its key, and the forms in which both leave.

use openssl::{
    pkcs12::Pkcs12,
    pkey::{PKey, PKeyRef, Private},
    stack::Stack,
    x509::X509,
};
use zeroize::Zeroizing;

use super::{IssueError, encode::pem};
use crate::{
    certificate::{Certificate, CertificateError},
    keys::{FileKey, KeyError},
};

/// A certificate just issued, its private key, and the authorities above it.
pub struct Issued {
    certificate: Vec<u8>,
    serial: Vec<u8>,
    key: PKey<Private>,
    chain: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Issued {
    pub(super) fn new(certificate: Vec<u8>, serial: Vec<u8>, key: PKey<Private>, chain: Vec<Vec<u8>>) -> Self {
        Self { certificate, serial, key, chain }
    }

    /// The certificate, read back by our own strict reader.
    ///
    /// # Errors
    /// [`CertificateError`] when a custom profile made something that the reader refuses.
    pub fn certificate(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_der(&self.certificate)
    }

    /// Key, certificate and chain as the other parts of this crate use them.
    ///
    /// # Errors
    /// [`KeyError`] when the certificate cannot be read back.
    pub fn file_key(&self) -> Result<FileKey, KeyError> {
        let chain = self.chain.iter().map(|c| Certificate::from_der(c)).collect::<Result<_, _>>()?;
        FileKey::new(self.key.clone(), self.certificate()?, chain)
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Serial number, as unsigned octets: what a revocation names.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The private key.
    pub fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }

    /// The private key as unencrypted PKCS#8 PEM. The caller guards it.
    ///
    /// # Errors
    /// [`IssueError::Library`] when OpenSSL cannot write it.
    pub fn key_pem(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        Ok(Zeroizing::new(self.key.private_key_to_pem_pkcs8()?))
    }

    /// The authorities above, issuer first, root last (DER).
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Certificate and intermediates, without the root: what a TLS server or client presents (PEM).
    pub fn presented_pem(&self) -> String {
        let below_root = self.chain.len().saturating_sub(1);
        let above = self.chain.iter().take(below_root).map(|c| pem("CERTIFICATE", c));
        std::iter::once(self.certificate_pem()).chain(above).collect()
    }

    /// Key, certificate and chain as PKCS#12 under a password (AES-256, PBKDF2: OpenSSL 3's choice).
    ///
    /// # Errors
    /// [`IssueError::Library`] when OpenSSL cannot write it.
    pub fn to_pkcs12(&self, friendly_name: &str, password: &str) -> Result<Vec<u8>, IssueError> {
        let mut chain = Stack::new()?;
        for certificate in &self.chain {
            chain.push(X509::from_der(certificate)?)?;
        }
        let certificate = X509::from_der(&self.certificate)?;
        let mut builder = Pkcs12::builder();
        builder.name(friendly_name).pkey(&self.key).cert(&certificate).ca(chain);
        Ok(builder.build2(password)?.to_der()?)
    }
}
