//! Certificate revocation lists, version 2 (RFC 5280 §5).

use ident::Timestamp;

use super::{
    Authority, IssueError,
    authority::authority_key_identifier,
    encode::{extension, pem, signature_algorithm, signed, time},
};
use crate::der;

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No reason given; the entry carries none.
    Unspecified,
    /// The key is in other hands: a lost or stolen card.
    KeyCompromise,
    /// The holder's facts changed.
    AffiliationChanged,
    /// A newer certificate took its place.
    Superseded,
    /// The holder stopped.
    CessationOfOperation,
    /// Suspended for now.
    CertificateHold,
}

impl Reason {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
        }
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Serial number of the certificate, unsigned octets.
    pub serial: Vec<u8>,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: Timestamp,
}

/// What a list shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRequest {
    /// What is revoked.
    pub revoked: Vec<Revocation>,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// CRLNumber, which only grows.
    pub number: u64,
}

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
}

impl RevocationList {
    /// DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM form.
    pub fn pem(&self) -> String {
        pem("X509 CRL", &self.der)
    }
}

impl Authority {
    /// Signs the list of what this authority revoked.
    ///
    /// # Errors
    /// [`IssueError`] when a date cannot be written or the signature fails.
    pub fn crl(&self, request: &CrlRequest) -> Result<RevocationList, IssueError> {
        if request.next_update < request.this_update {
            return Err(IssueError::Validity);
        }
        let mut members = vec![
            der::integer(1),
            signature_algorithm(self.key())?,
            self.name().to_der(),
            time(request.this_update)?,
            time(request.next_update)?,
        ];
        if !request.revoked.is_empty() {
            let entries = request.revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            members.push(der::sequence(&entries));
        }
        let extensions =
            [authority_key_identifier(self.key_id())?, extension("2.5.29.20", false, &der::integer(request.number))?];
        members.push(der::context(0, &[der::sequence(&extensions)]));
        Ok(RevocationList { der: signed(der::sequence(&members), self.key())? })
    }
}

fn entry(revocation: &Revocation) -> Result<Vec<u8>, IssueError> {
    let mut members = vec![der::unsigned(&revocation.serial), time(revocation.at)?];
    if revocation.reason != Reason::Unspecified {
        let reason = der::tlv(der::tag::ENUMERATED, &[revocation.reason.code()]);
        members.push(der::sequence(&[extension("2.5.29.21", false, &reason)?]));
    }
    Ok(der::sequence(&members))
}
