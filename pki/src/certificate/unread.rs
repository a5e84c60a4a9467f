//! A certificate of a stranger, before anything of it is given to a reader that is not ours.

use super::{Certificate, CertificateError, MAX_CERTIFICATE, Parts};
use crate::{der::tag, der_reader::Reader, extension::oids, name::Name};

/// By what a signature may mean it; read by our own reader alone.
pub(crate) struct Unread<'a> {
    der: &'a [u8],
    parts: Parts<'a>,
}

impl<'a> Unread<'a> {
    /// `None` for what is no certificate of a size that is read.
    pub(crate) fn of(der: &'a [u8]) -> Option<Self> {
        let parts = Some(der).filter(|der| der.len() <= MAX_CERTIFICATE).and_then(|der| Parts::read(der).ok())?;
        Some(Self { der, parts })
    }

    /// Its octets.
    pub(crate) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Who issued it.
    pub(crate) fn issuer(&self) -> &Name {
        &self.parts.issuer
    }

    /// The content octets of its serial number.
    pub(crate) fn serial(&self) -> &'a [u8] {
        self.parts.serial
    }

    /// Its subject key identifier.
    pub(crate) fn subject_key_id(&self) -> Option<&'a [u8]> {
        let extension = self.parts.extensions.iter().find(|extension| extension.oid == oids::SUBJECT_KEY_ID)?;
        Reader::only(extension.value, tag::OCTET_STRING).ok().map(|id| id.value)
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Certificate::from_der`].
    pub(crate) fn read(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_der(self.der)
    }
}

#[cfg(test)]
thread_local! {
    static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts one that is given to OpenSSL.
#[cfg(test)]
pub(super) fn count() {
    READ.set(READ.get() + 1);
}

/// How many this thread has given to OpenSSL.
#[cfg(test)]
pub(crate) fn given_to_openssl() -> usize {
    READ.get()
}
