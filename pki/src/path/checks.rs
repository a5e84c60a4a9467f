//! Our own checks around OpenSSL's: stricter reading, the algorithm floor, purposes.

use ident::Timestamp;

use super::Purpose;
use crate::{
    algorithm::{SignatureAlgorithm, strong_key},
    certificate::{Certificate, Fault, KeyUsage, usage},
    finding::Reason,
    mail_constraints::MAX_COMPARISONS,
};

/// What RFC 5280 forbids in any certificate and OpenSSL lets pass (pki reference §2.4). The serial
/// number is left to the floor: PKITS asks to bear negative ones.
pub(super) fn form(certificate: &Certificate) -> Result<(), Reason> {
    for fault in certificate.faults() {
        return Err(match fault {
            Fault::Serial => continue,
            Fault::DuplicateExtension => Reason::DuplicateExtension,
            Fault::MalformedExtension => Reason::MalformedExtension,
            Fault::MalformedEmail | Fault::MalformedHost | Fault::ControlCharacters => Reason::MalformedName,
            Fault::Version => Reason::BadVersion,
            Fault::Validity => Reason::BadValidity,
        });
    }
    if certificate.extensions().unknown_critical { Err(Reason::UnknownCriticalExtension) } else { Ok(()) }
}

/// The validity period, both ends included (RFC 5280 §4.1.2.5).
pub(super) fn dates(certificate: &Certificate, at: Timestamp) -> Result<(), Reason> {
    if at < certificate.not_before() {
        Err(Reason::NotYetValid)
    } else if at.seconds() > certificate.not_after().seconds() {
        Err(Reason::Expired)
    } else {
        Ok(())
    }
}

/// Algorithm floor: applies to every certificate below the anchor, and to the anchor's key.
pub(crate) fn floor(certificate: &Certificate, is_anchor: bool) -> Result<(), Reason> {
    if certificate.faults().contains(&Fault::Serial) && !is_anchor {
        return Err(Reason::BadSerial);
    }
    let signature = SignatureAlgorithm::of(certificate.signature_algorithm(), certificate.signature_parameters());
    let signed_well = is_anchor || signature.is_some_and(SignatureAlgorithm::strong);
    if signed_well && strong_key(certificate.key()) { Ok(()) } else { Err(Reason::WeakAlgorithm) }
}

/// What the authorities of a chain may name in mail addresses (RFC 5280 §6.1.3 (b) and (c)): each rules
/// everything below it but self-issued authorities. The position is that of the certificate at fault.
pub(super) fn mail_constraints(chain: &[Certificate]) -> Result<(), (Reason, usize)> {
    let mut left = MAX_COMPARISONS;
    for (above, authority) in chain.iter().enumerate().skip(1) {
        let constraints = &authority.extensions().mail_constraints;
        if constraints.len() == 0 {
            continue;
        }
        for (position, certificate) in chain.iter().enumerate().take(above) {
            if position > 0 && certificate.is_self_issued() {
                continue;
            }
            let asked = certificate.emails().len().saturating_mul(constraints.len());
            left = left.checked_sub(asked).ok_or((Reason::TooComplex, position))?;
            if !certificate.emails().iter().all(|address| constraints.allow(address)) {
                return Err((Reason::NameConstraints, position));
            }
        }
    }
    Ok(())
}

/// Rights and constraints of the holder's certificate.
pub(super) fn leaf(certificate: &Certificate, purpose: Purpose) -> Result<(), Reason> {
    let extensions = certificate.extensions();
    if certificate.is_authority()
        || certificate.key_usage().is_some_and(|bits| bits.has(KeyUsage::KEY_CERT_SIGN))
        || extensions.has_name_constraints
        || extensions.policy_constraints_not_critical
    {
        return Err(Reason::BadLeaf);
    }
    let purposes = certificate.extended_key_usage().unwrap_or_default();
    let listed = purposes.iter().any(|oid| wanted(purpose).contains(&oid.as_str()));
    // Without the extension RFC 5280 restricts nothing; a card always has it.
    let absent = !purpose.terms().needs_key_usage;
    let bits = certificate.key_usage().map_or(absent, |bits| bits.any(wanted_bits(purpose)));
    if listed && bits { Ok(()) } else { Err(Reason::WrongPurpose) }
}

/// An authority that restricts purposes restricts what it issues.
pub(super) fn authority(certificate: &Certificate, purpose: Purpose) -> Result<(), Reason> {
    // RFC 5280 §4.2.1.5 wants the mapped policy asserted; without it OpenSSL's answer is not to be had.
    if certificate.extensions().maps_out_of_any_policy() {
        return Err(Reason::Policy);
    }
    let Some(purposes) = certificate.extended_key_usage() else { return Ok(()) };
    let allowed = purposes.iter().any(|oid| oid == usage::ANY || wanted(purpose).contains(&oid.as_str()));
    if allowed { Ok(()) } else { Err(Reason::WrongPurpose) }
}

/// Extended key usages, one of which is needed. anyExtendedKeyUsage is none of them.
fn wanted(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Any => &[],
        Purpose::Person => &[usage::CLIENT_AUTH, usage::EMAIL_PROTECTION, usage::SMART_CARD_LOGON],
        Purpose::Organisation => &[usage::CLIENT_AUTH, usage::EMAIL_PROTECTION],
        Purpose::Server => &[usage::SERVER_AUTH],
        Purpose::Peer => &[usage::SERVER_AUTH, usage::CLIENT_AUTH],
        Purpose::Email => &[usage::EMAIL_PROTECTION],
    }
}

/// What a purpose asks of the holder's certificate, for the published table.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The purpose, as written everywhere.
    pub name: &'static str,
    /// Whose anchors it uses.
    pub anchors: &'static str,
    /// Extended key usages, one of which it needs.
    pub extended: Vec<&'static str>,
    /// Key usages, one of which it needs.
    pub bits: Vec<&'static str>,
    /// Whether a certificate without key usage is refused.
    pub needs_key_usage: bool,
}

impl Purpose {
    /// What it asks of the holder's certificate.
    pub fn terms(self) -> Terms {
        let (name, anchors) = match self {
            Self::Any => ("any", "all"),
            Self::Person => ("person", "persons"),
            Self::Organisation => ("organisation", "organisations"),
            Self::Server => ("server", "servers"),
            Self::Peer => ("peer", "servers"),
            Self::Email => ("email", "mailboxes"),
        };
        let extended = wanted(self).iter().map(|oid| usage::name(oid)).collect();
        let bits = KeyUsage::NAMES.iter().filter(|(bit, _)| wanted_bits(self).has(*bit)).map(|(_, name)| *name);
        Terms { name, anchors, extended, bits: bits.collect(), needs_key_usage: self == Self::Person }
    }
}

/// Key usage bits, one of which is needed. What signs and what reads is told apart by
/// [`Certificate::may_sign`] and [`Certificate::may_encrypt`].
fn wanted_bits(purpose: Purpose) -> KeyUsage {
    let signs = KeyUsage::DIGITAL_SIGNATURE;
    let agrees = KeyUsage::KEY_ENCIPHERMENT.and(KeyUsage::KEY_AGREEMENT);
    match purpose {
        Purpose::Person | Purpose::Any => signs,
        Purpose::Server | Purpose::Peer => signs.and(agrees),
        Purpose::Organisation | Purpose::Email => signs.and(KeyUsage::NON_REPUDIATION).and(agrees),
    }
}
