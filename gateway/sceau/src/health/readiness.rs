//! Whether mail that comes now is taken and goes on, and if not, why.

use serde::Serialize;
use store::StoreError;

use super::{DOWN, FULL, SPOOL};
use crate::{gateway::Gateway, keys::watch::KeyGauges};

/// One reason not to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The code of its alarm: `storage-full`, `token-unavailable:LABEL`.
    pub code: String,
    /// What is wrong.
    pub what: String,
}

/// The answer to `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Nothing is in the way.
    pub ready: bool,
    /// What is.
    pub reasons: Vec<Reason>,
    /// Codes of all alarms that stand, those too that keep no mail waiting.
    pub alarms: Vec<String>,
}

impl Readiness {
    /// As things stand: the queue and the tokens are asked themselves, the spool's last trial is remembered.
    pub fn of(gateway: &Gateway, keys: &KeyGauges) -> Self {
        let store = gateway.ready().err().map(|error| Reason {
            code: if matches!(error, StoreError::Full(_)) { FULL } else { DOWN }.to_owned(),
            what: error.to_string(),
        });
        let spool = gateway.standing.of(SPOOL).map(|text| Reason { code: SPOOL.to_owned(), what: text.to_string() });
        let tokens = keys.faults().map(|(label, fault)| Reason {
            code: format!("token-unavailable:{label}"),
            what: gateway.masker.text(&fault.to_string()).to_string(),
        });
        let reasons: Vec<Reason> = store.into_iter().chain(spool).chain(tokens).collect();
        Self { ready: reasons.is_empty(), reasons, alarms: gateway.standing.codes() }
    }
}
