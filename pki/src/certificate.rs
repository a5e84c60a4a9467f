//! An X.509 certificate, read once and strictly.
//!
//! OpenSSL and our own DER reader both have to accept the same octets. What our reader finds wrong
//! beyond that (a duplicate extension, a malformed name) does not stop the reading, so that a
//! certificate can still be shown; it is kept as a [`Fault`], and path validation refuses it.

mod twin;
mod unread;

use std::{fmt, sync::Arc};

use ident::{Address, CardNumber, Fingerprint, Timestamp};
use openssl::{
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{Id, PKey, Public},
    x509::X509,
};
use thiserror::Error;

use crate::{
    der::tag,
    der_reader::{self, Read, Reader},
    extension::{self, Extension, Extensions},
    name::Name,
};

pub(crate) use self::unread::Unread;
#[cfg(test)]
pub(crate) use self::unread::given_to_openssl;

/// Largest certificate that is read at all. Real ones have 1 to 3 KB.
pub const MAX_CERTIFICATE: usize = 64 * 1024;
/// Most certificates in one PEM text.
pub const MAX_CERTIFICATES: usize = 1000;

/// Public exponents of RSA keys, in bits: above 2^16, as the French general security rules have it
/// (RGS B1), and at most 64; real ones have 17.
const EXPONENT: std::ops::RangeInclusive<i32> = 17..=64;
/// Longest serial number that is read at all; more than 20 octets are a fault.
const MAX_SERIAL: usize = 64;

/// Why octets are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Over [`MAX_CERTIFICATE`], or more than [`MAX_CERTIFICATES`] in one text.
    #[error("the certificate (or the number of certificates) is larger than any real one")]
    TooLarge,
    /// Not DER, or not the structure of a certificate.
    #[error("these octets are not a strictly encoded X.509 certificate")]
    Malformed,
    /// No PEM block `CERTIFICATE`, or a broken one.
    #[error("the text holds no readable PEM block CERTIFICATE")]
    Pem,
    /// The public key cannot be read.
    #[error("the public key of the certificate cannot be read")]
    Key,
}

/// What kind of key a certificate carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with this many bits.
    Rsa(u32),
    /// Elliptic curve NIST P-256.
    P256,
    /// Elliptic curve NIST P-384.
    P384,
    /// Elliptic curve NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// X25519.
    X25519,
    /// Anything else (other curves, curves spelled out, absurd exponents): never accepted by the
    /// algorithm floor.
    Other,
}

/// Something in a certificate that RFC 5280 forbids and that OpenSSL lets pass, or a form of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The same extension twice (RFC 5280 §4.2).
    DuplicateExtension,
    /// An extension that we know has content that we cannot read.
    MalformedExtension,
    /// A SAN rfc822Name or SmtpUTF8Mailbox that is no mail address: one bad name spoils them all.
    MalformedEmail,
    /// A SAN dNSName that is no host name.
    MalformedHost,
    /// A subject or issuer with control characters.
    ControlCharacters,
    /// Extensions in a version 1 certificate, or a version that does not exist.
    Version,
    /// A serial number of zero, below zero, or over 20 octets (RFC 5280 §4.1.2.2).
    Serial,
    /// `notAfter` before `notBefore`.
    Validity,
}

/// Bits of the key usage extension (RFC 5280 §4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// nonRepudiation (contentCommitment)
    pub const NON_REPUDIATION: Self = Self(1 << 1);
    /// keyEncipherment
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// dataEncipherment
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// keyAgreement
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// keyCertSign
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// cRLSign
    pub const CRL_SIGN: Self = Self(1 << 6);

    /// Each bit with its name.
    pub(crate) const NAMES: [(Self, &'static str); 7] = [
        (Self::DIGITAL_SIGNATURE, "digitalSignature"),
        (Self::NON_REPUDIATION, "nonRepudiation"),
        (Self::KEY_ENCIPHERMENT, "keyEncipherment"),
        (Self::DATA_ENCIPHERMENT, "dataEncipherment"),
        (Self::KEY_AGREEMENT, "keyAgreement"),
        (Self::KEY_CERT_SIGN, "keyCertSign"),
        (Self::CRL_SIGN, "cRLSign"),
    ];

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An X.509 certificate. Cloning is cheap; equality is that of the octets.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    x509: X509,
    key: PKey<Public>,
    key_kind: KeyKind,
    key_fingerprint: Fingerprint,
    fingerprint: Fingerprint,
    serial: Vec<u8>,
    signature_algorithm: String,
    signature_parameters: Vec<u8>,
    issuer: Name,
    subject: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    extensions: Extensions,
    faults: Vec<Fault>,
}

impl Certificate {
    /// Reads one DER certificate, with nothing after it.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge);
        }
        let parts = Parts::read(der).map_err(|_| CertificateError::Malformed)?;
        #[cfg(test)]
        unread::count();
        let x509 = X509::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let key = x509.public_key().map_err(|_| CertificateError::Key)?;
        Ok(Self(Arc::new(parts.finish(der, x509, key)?)))
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        if pem.len() > MAX_CERTIFICATE.saturating_mul(2) {
            return Self::list_from_pem(pem)?.into_iter().next().ok_or(CertificateError::Pem);
        }
        let x509 = X509::from_pem(pem).map_err(|_| CertificateError::Pem)?;
        Self::from_der(&x509.to_der().map_err(|_| CertificateError::Pem)?)
    }

    /// Reads all certificates of a PEM text, at least one; other blocks are skipped.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn list_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if pem.len() > MAX_CERTIFICATE.saturating_mul(MAX_CERTIFICATES) {
            return Err(CertificateError::TooLarge);
        }
        let stack = X509::stack_from_pem(pem).map_err(|_| CertificateError::Pem)?;
        if stack.is_empty() {
            return Err(CertificateError::Pem);
        }
        if stack.len() > MAX_CERTIFICATES {
            return Err(CertificateError::TooLarge);
        }
        stack.iter().map(|x509| Self::from_der(&x509.to_der().map_err(|_| CertificateError::Pem)?)).collect()
    }

    /// From what OpenSSL holds, for example a TLS peer's certificate.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_openssl(x509: &openssl::x509::X509Ref) -> Result<Self, CertificateError> {
        Self::from_der(&x509.to_der().map_err(|_| CertificateError::Malformed)?)
    }

    /// The octets.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// PEM form.
    pub fn to_pem(&self) -> String {
        let pem = self.0.x509.to_pem().unwrap_or_default();
        String::from_utf8_lossy(&pem).into_owned()
    }

    /// The certificate as OpenSSL holds it.
    pub fn openssl(&self) -> &X509 {
        &self.0.x509
    }

    /// SHA-256 of the octets. To refuse a certificate by name, ask [`Certificate::is_known_as`].
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Who the certificate is about.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// The issuer's name as encoded, for an IssuerAndSerialNumber.
    pub fn issuer_der(&self) -> &[u8] {
        self.0.issuer.der()
    }

    /// The content octets of the serial number's INTEGER, as encoded (two's complement).
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The serial number in hexadecimal, as people and tools print it.
    pub fn serial_hex(&self) -> String {
        let significant = match self.0.serial.as_slice() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        };
        significant.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Mail addresses of the subject alternative name. Empty as soon as one of them is malformed;
    /// an address in the subject is never taken.
    pub fn emails(&self) -> &[Address] {
        &self.0.extensions.emails
    }

    /// Whether the subject alternative name holds this very mailbox (letter case aside).
    pub fn names_address(&self, address: &Address) -> bool {
        self.emails().iter().any(|own| own.same_mailbox(address))
    }

    /// Host names of the subject alternative name, lower case, wildcards as written.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.dns_names
    }

    /// Whether a server that shows it promises to staple an OCSP answer about it (RFC 7633, "must staple").
    pub fn must_staple(&self) -> bool {
        self.0.extensions.must_staple
    }

    /// What kind of key it carries.
    pub fn key(&self) -> KeyKind {
        self.0.key_kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo as encoded: the same for every certificate of a key.
    pub fn key_fingerprint(&self) -> Fingerprint {
        self.0.key_fingerprint
    }

    /// The public key.
    pub fn public_key(&self) -> &PKey<Public> {
        &self.0.key
    }

    /// The key usage extension, if there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage.map(KeyUsage)
    }

    /// The purposes of the extended key usage extension (dotted), if there is one.
    pub fn extended_key_usage(&self) -> Option<&[String]> {
        self.0.extensions.extended_key_usage.as_deref()
    }

    /// Whether its extended key usage is critical and names time stamps and nothing else (RFC 3161 §2.3).
    pub fn stamps_time_only(&self) -> bool {
        self.0.extensions.extended_key_usage_critical
            && self.extended_key_usage().is_some_and(|purposes| purposes == [usage::TIME_STAMPING])
    }

    /// Whether key usage lets it verify signatures of messages.
    pub fn may_sign(&self) -> bool {
        let bits = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::NON_REPUDIATION);
        self.key() != KeyKind::X25519 && self.key_usage().is_none_or(|usage| usage.any(bits))
    }

    /// Whether key usage lets messages be encrypted to it: key transport for RSA, agreement for curves.
    pub fn may_encrypt(&self) -> bool {
        match self.key() {
            KeyKind::Rsa(_) => self.key_usage().is_none_or(|usage| usage.has(KeyUsage::KEY_ENCIPHERMENT)),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::X25519 => {
                self.key_usage().is_none_or(|usage| usage.has(KeyUsage::KEY_AGREEMENT))
            }
            KeyKind::Ed25519 | KeyKind::Other => false,
        }
    }

    /// Whether basic constraints say that it is an authority.
    pub fn is_authority(&self) -> bool {
        self.0.extensions.basic_constraints.is_some_and(|basic| basic.authority)
    }

    /// Subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// Key identifier of the issuer, from the authority key identifier.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// Whether it belongs to a test hierarchy: its product category says so (PKI-10), or its own or
    /// its issuer's name does (PKI-3).
    pub fn is_test_category(&self) -> bool {
        self.0.extensions.test_category || [self.subject(), self.issuer()].into_iter().any(is_test_name)
    }

    /// The number of the card that holds it, if it says so.
    pub fn card_number(&self) -> Option<CardNumber> {
        self.0.extensions.card_number.clone()
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// The signature algorithm's object identifier, dotted.
    pub fn signature_algorithm(&self) -> &str {
        &self.0.signature_algorithm
    }

    /// What our reader holds against it. Path validation refuses a certificate with faults.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    pub(crate) fn signature_parameters(&self) -> &[u8] {
        &self.0.signature_parameters
    }
}

/// `CN=TEST AC …` or `OU=IGC-SANTE TEST`.
fn is_test_name(name: &Name) -> bool {
    use crate::name::{Attribute, comparable};
    let starts = |value: &&str| comparable(value).starts_with("test ");
    name.get(Attribute::CommonName).iter().any(starts)
        || name.get(Attribute::OrganizationalUnit).iter().any(|unit| comparable(unit) == "igc-sante test")
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.fingerprint.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {}, {})", self.subject(), self.serial_hex(), self.fingerprint())
    }
}

/// The members of a certificate before they are interpreted.
struct Parts<'a> {
    version: u32,
    serial: &'a [u8],
    signature_algorithm: String,
    signature_parameters: &'a [u8],
    issuer: Name,
    subject: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    key: &'a [u8],
    extensions: Vec<Extension<'a>>,
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> Read<Self> {
        let mut certificate = Reader::only(der, tag::SEQUENCE)?.inside();
        let mut tbs = certificate.expect(tag::SEQUENCE)?.inside();
        let outer_algorithm = certificate.expect(tag::SEQUENCE)?;
        der_reader::signature(certificate.expect(tag::BIT_STRING)?.value)?;
        certificate.end()?;

        let version = match tbs.optional(0xa0)? {
            Some(explicit) => der_reader::small(Reader::only(explicit.value, tag::INTEGER)?.value)?,
            None => 0,
        };
        let serial = der_reader::integer(tbs.expect(tag::INTEGER)?.value)?;
        if serial.len() > MAX_SERIAL {
            return Err(der_reader::Malformed);
        }
        let inner_algorithm = tbs.expect(tag::SEQUENCE)?;
        // RFC 5280 §4.1.1.2: both must be the same, or one of them is unsigned fantasy.
        if inner_algorithm.whole != outer_algorithm.whole {
            return Err(der_reader::Malformed);
        }
        let (signature_algorithm, signature_parameters) = algorithm(inner_algorithm.value)?;
        let issuer = Name::read(tbs.expect(tag::SEQUENCE)?.whole)?;
        let mut validity = tbs.expect(tag::SEQUENCE)?.inside();
        let not_before = der_reader::time(&validity.next()?)?;
        let not_after = der_reader::time(&validity.next()?)?;
        validity.end()?;
        let subject = Name::read(tbs.expect(tag::SEQUENCE)?.whole)?;
        let key = tbs.expect(tag::SEQUENCE)?;
        let mut info = key.inside();
        info.expect(tag::SEQUENCE)?;
        // A key has whole octets; OpenSSL overlooks padding bits.
        if info.expect(tag::BIT_STRING)?.value.first() != Some(&0) {
            return Err(der_reader::Malformed);
        }
        let key = key.whole;
        tbs.optional(0x81)?;
        tbs.optional(0x82)?;
        let extensions = match tbs.optional(0xa3)? {
            Some(explicit) => extension::split(Reader::only(explicit.value, tag::SEQUENCE)?)?,
            None => Vec::new(),
        };
        tbs.end()?;
        Ok(Self {
            version,
            serial,
            signature_algorithm,
            signature_parameters,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            extensions,
        })
    }

    fn finish(self, der: &[u8], x509: X509, key: PKey<Public>) -> Result<Inner, CertificateError> {
        let (extensions, mut faults) = Extensions::interpret(&self.extensions);
        let version_fits = match self.version {
            2 => true,
            0 | 1 => self.extensions.is_empty(),
            _ => false,
        };
        let mut note = |wrong: bool, fault: Fault| {
            if wrong {
                faults.push(fault);
            }
        };
        note(!version_fits, Fault::Version);
        note(!serial_fits(self.serial), Fault::Serial);
        note(self.not_after < self.not_before, Fault::Validity);
        let controls = self.subject.has_control_characters() || self.issuer.has_control_characters();
        note(controls, Fault::ControlCharacters);
        Ok(Inner {
            der: der.to_vec(),
            x509,
            key_kind: written_kind(&key, self.key),
            key,
            key_fingerprint: fingerprint(self.key).ok_or(CertificateError::Key)?,
            fingerprint: fingerprint(der).ok_or(CertificateError::Malformed)?,
            serial: self.serial.to_vec(),
            signature_algorithm: self.signature_algorithm,
            signature_parameters: self.signature_parameters.to_vec(),
            issuer: self.issuer,
            subject: self.subject,
            not_before: self.not_before,
            not_after: self.not_after,
            extensions,
            faults,
        })
    }
}

/// SHA-256 as a value of its own.
pub(crate) fn fingerprint(octets: &[u8]) -> Option<Fingerprint> {
    let digest = hash(MessageDigest::sha256(), octets).ok()?;
    <[u8; 32]>::try_from(&*digest).ok().map(Fingerprint::new)
}

/// AlgorithmIdentifier: identifier and the encoded parameters (empty if absent).
pub(crate) fn algorithm(content: &[u8]) -> Read<(String, &[u8])> {
    let mut members = Reader::new(content);
    let oid = der_reader::oid(members.expect(tag::OID)?.value)?;
    let parameters = if members.is_empty() { &[][..] } else { members.next()?.whole };
    members.end()?;
    Ok((oid, parameters))
}

fn serial_fits(serial: &[u8]) -> bool {
    let positive = serial.first().is_some_and(|first| *first < 0x80) && serial != [0];
    // A leading zero octet only keeps the sign: 21 octets then still are a 20-octet number.
    let significant = serial.strip_prefix(&[0]).unwrap_or(serial);
    positive && significant.len() <= 20
}

/// OpenSSL itself bounds the public exponent of large keys only. With one as long as the modulus, each
/// check of a signature costs as much as making one, and whoever shows the certificate decides that.
/// With 1 everybody signs; an even one fits no key.
fn sound_exponent(key: &PKey<Public>) -> bool {
    key.rsa().is_ok_and(|rsa| EXPONENT.contains(&rsa.e().num_bits()) && rsa.e().is_bit_set(0))
}

/// Whether an elliptic key is written as RFC 5480 has it: its curve by name (§2.1.1) and its point not in
/// the hybrid form (§2.2). OpenSSL recognises a curve that is spelled out as the named one, whose every
/// parameter a forger may vary.
fn plainly_written(info: &[u8]) -> bool {
    let read = || {
        let mut info = Reader::only(info, tag::SEQUENCE)?.inside();
        let mut algorithm = info.expect(tag::SEQUENCE)?.inside();
        algorithm.expect(tag::OID)?;
        let named = algorithm.next()?.tag == tag::OID;
        let point = der_reader::bits(info.expect(tag::BIT_STRING)?.value)?;
        Ok::<bool, der_reader::Malformed>(named && matches!(point.first(), Some(2..=4)))
    };
    read().unwrap_or(false)
}

/// The kind of a key as a certificate writes it.
fn written_kind(key: &PKey<Public>, info: &[u8]) -> KeyKind {
    match key_kind(key) {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 if !plainly_written(info) => KeyKind::Other,
        kind => kind,
    }
}

pub(crate) fn key_kind(key: &PKey<Public>) -> KeyKind {
    match key.id() {
        Id::RSA | Id::RSA_PSS if sound_exponent(key) => KeyKind::Rsa(key.bits()),
        Id::ED25519 => KeyKind::Ed25519,
        Id::X25519 => KeyKind::X25519,
        Id::EC => match key.ec_key().ok().and_then(|ec| ec.group().curve_name()) {
            Some(Nid::X9_62_PRIME256V1) => KeyKind::P256,
            Some(Nid::SECP384R1) => KeyKind::P384,
            Some(Nid::SECP521R1) => KeyKind::P521,
            _ => KeyKind::Other,
        },
        _ => KeyKind::Other,
    }
}

/// Object identifiers of extended key usage.
pub mod usage {
    /// id-kp-serverAuth
    pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    /// id-kp-clientAuth
    pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
    /// id-kp-emailProtection
    pub const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
    /// id-kp-timeStamping
    pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
    /// Smart-card logon, as professional cards carry it
    pub const SMART_CARD_LOGON: &str = "1.3.6.1.4.1.311.20.2.2";
    /// anyExtendedKeyUsage
    pub const ANY: &str = "2.5.29.37.0";

    /// Its name, for those above.
    pub(crate) fn name(oid: &'static str) -> &'static str {
        match oid {
            SERVER_AUTH => "serverAuth",
            CLIENT_AUTH => "clientAuth",
            EMAIL_PROTECTION => "emailProtection",
            TIME_STAMPING => "timeStamping",
            SMART_CARD_LOGON => "smartCardLogon",
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
