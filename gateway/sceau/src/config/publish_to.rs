//! Where our mailboxes are made known by FHIR PATCH.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use ident::Timestamp;
use pki::path::Validator;
use serde::Deserialize;

use super::{Loaded, Problem, Span};
use crate::{
    fetch::{Lines, Place, Rules},
    net::tls::{Clients, TlsIdentity},
    publisher::Publisher,
};

/// Shortest time between two tries: the national service counts calls.
const MIN_RETRY: Duration = Duration::from_secs(1);
/// Longest.
const MAX_RETRY: Duration = Duration::from_secs(24 * 3600);

/// Another directory, and who we are there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishTo {
    /// Its base address: `https://annuaire.example.test/fhir`. Its server is judged by the anchors of `[trust]`.
    pub to: String,
    /// The address of its host, where DNS is not asked or leads inside our own networks.
    pub address: Option<IpAddr>,
    /// PEM file: the certificate of our structure, then its intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
    /// After which time what failed is tried again; longer from failure to failure.
    #[serde(default = "retry")]
    pub retry: Span,
    /// How long it may fail before somebody is called.
    #[serde(default = "alarm_after")]
    pub alarm_after: Span,
}

const fn retry() -> Span {
    Span(Duration::from_secs(15 * 60))
}

const fn alarm_after() -> Span {
    Span(Duration::from_secs(3600))
}

impl Default for PublishTo {
    fn default() -> Self {
        let (certificate, key) = (PathBuf::new(), PathBuf::new());
        Self { to: String::new(), address: None, certificate, key, retry: retry(), alarm_after: alarm_after() }
    }
}

impl PublishTo {
    /// The same, with its files as the configuration finds them.
    pub(crate) fn at(&self, loaded: &Loaded) -> Self {
        Self { certificate: loaded.path(&self.certificate), key: loaded.path(&self.key), ..self.clone() }
    }

    /// Its base address, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.to.trim_end_matches('/')
    }

    /// Somebody who speaks with it.
    ///
    /// # Errors
    /// A [`Problem`] with the address, the certificate or the key.
    pub(crate) fn publisher<'a>(
        &self,
        validator: &'a Validator,
        at: Timestamp,
        dry: bool,
    ) -> Result<Publisher<'a>, Problem> {
        let wrong = |what: String| Problem::of(&self.to, what);
        let place = Place::parse(&format!("{}/metadata", self.base())).map_err(|error| wrong(error.to_string()))?;
        if !self.to.starts_with("https://") {
            return Err(wrong("is no https:// address: mailboxes are published to nobody else".to_owned()));
        }
        let rules = self.address.iter().fold(Rules::new(), |rules, ip| rules.address(&place.site().host, *ip));
        let identity = TlsIdentity::load_for(Clients::NotAsked, &self.certificate, &self.key)?;
        let lines = Lines::new().map_err(|error| wrong(error.to_string()))?.showing(&identity);
        Ok(Publisher { base: self.base().to_owned(), validator, at, lines: Arc::new(lines), rules, dry })
    }

    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        if !self.to.starts_with("https://") {
            found.push("annuaire.publish.to: https only, mailboxes are published to nobody else".to_owned());
        }
        if self.retry.0 < MIN_RETRY || self.retry.0 > MAX_RETRY {
            found.push("annuaire.publish.retry must be from 1s to 1d".to_owned());
        }
    }
}
