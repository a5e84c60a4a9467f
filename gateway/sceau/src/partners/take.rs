//! Taking a fetched file: verified against the trust list and the ledger, then written down.

use ident::{Domain, Fingerprint, StructureId, Timestamp};
use pki::{
    book::ledger::{self, LedgerEvent},
    partner_file::{Expected, PartnerFile, PartnerFileError, operators_of},
};
use thiserror::Error;

use super::{Fetched, LedgerFault, LedgerFile, SourceError};
use crate::snapshot::Snapshot;

/// Why nothing was taken.
#[derive(Debug, Error)]
pub enum TakeError {
    /// The file could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is refused: what is held stays.
    #[error("{0}: {1}")]
    Refused(String, Box<PartnerFileError>),
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
}

impl TakeError {
    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Source(_) | Self::Ledger(_) => true,
            Self::Refused(_, error) => error.is_temporary(),
        }
    }
}

/// What came of a file.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Who published it.
    pub operator: StructureId,
    /// Its number.
    pub serial: u64,
    /// Until when others may take it.
    pub expires: Timestamp,
    /// Whether it says anything that was not held.
    pub news: bool,
    /// Certificates in force at once, by the rule for first contacts or because the configuration holds them.
    pub approved: Vec<Fingerprint>,
    /// Entries that expiry or revocation made useless, in words.
    pub left_out: Vec<String>,
}

/// Verifies and takes a file. `operator` is whom it was fetched for, if that is known.
///
/// # Errors
/// [`TakeError`]; nothing is changed then.
pub fn take(
    ledger: &LedgerFile,
    snapshot: &Snapshot,
    fetched: &Fetched,
    operator: Option<&StructureId>,
    by: &str,
    at: Timestamp,
) -> Result<Taken, TakeError> {
    let named = |domain: &Domain| operators_of(&snapshot.trust_list, domain);
    ledger.change(at, by, None, |held| {
        let of = |operator: &StructureId| held.held(operator);
        let expected = Expected { validator: &snapshot.validator, named: &named, operator, held: &of };
        let file = PartnerFile::verify(&fetched.octets, &expected, at)
            .map_err(|error| TakeError::Refused(fetched.location.clone(), Box::new(error)))?;
        let from = ledger::Fetched { location: &fetched.location, digest: fetched.digest };
        let configured = |domain: &Domain| snapshot.configured_certificates(domain);
        let events = held.take(&file, &from, snapshot.config.partner_files.first_contact, &configured);
        let approved = events.iter().filter_map(|event| match event {
            LedgerEvent::Approved(decision) => Some(decision.what.certificate),
            _ => None,
        });
        let taken = Taken {
            operator: file.operator().clone(),
            serial: file.serial(),
            expires: file.expires(),
            news: !events.is_empty(),
            approved: approved.collect(),
            left_out: file
                .left_out()
                .iter()
                .map(|left| format!("{} {}: {}", left.entry.owner, left.entry.usage, left.finding))
                .collect(),
        };
        Ok((events, taken))
    })
}
