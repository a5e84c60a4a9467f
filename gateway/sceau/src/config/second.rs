//! Another directory that may be asked about one person, on demand.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Size, Span};

/// Longest that somebody at a terminal waits.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer about one person.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// A FHIR server that is asked about one person when somebody says so. What it answers is shown as its own and goes nowhere
/// else: not into the directory, and into no decision about a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Its base address: `https://annuaire.example.test/fhir`. Its server is judged by the anchors of `[trust]`.
    pub from: String,
    /// The address of its host, where DNS is not asked or leads inside our own networks.
    pub address: Option<IpAddr>,
    /// PEM file: the certificate that is shown there, if one is.
    pub certificate: Option<PathBuf>,
    /// PEM file: its private key.
    pub key: Option<PathBuf>,
    /// How long an answer may take in all.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How large it may be.
    #[serde(default = "max")]
    pub max: Size,
}

const fn timeout() -> Span {
    Span(Duration::from_secs(10))
}

const fn max() -> Size {
    Size(256 * 1024)
}

impl Second {
    /// Its base address, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.from.trim_end_matches('/')
    }

    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        if !self.from.starts_with("https://") {
            found.push("annuaire.second.from: https only, nobody else is believed to be who they say".to_owned());
        }
        if self.certificate.is_some() != self.key.is_some() {
            found.push("annuaire.second: certificate and key go together".to_owned());
        }
        if self.timeout.0.is_zero() || self.timeout.0 > MAX_TIMEOUT {
            found.push("annuaire.second.timeout must be from 1ms to 60s".to_owned());
        }
        if self.max.0 == 0 || self.max.0 > MAX_ANSWER {
            found.push("annuaire.second.max must be from 1B to 4MB".to_owned());
        }
    }
}
