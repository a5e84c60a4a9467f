//! What there is to ask: addresses of the configuration, and those that certificates name which chain
//! to an anchor. A stranger's certificate never makes us connect anywhere (design §7).

use std::collections::BTreeMap;

use ident::Timestamp;
use pki::{book::BookEntry, certificate::Certificate, name::Name, path::Purpose, status::StatusSource};

use super::plan::Pace;
use crate::{config::Refresh, fetch::Place, snapshot::Snapshot};

/// Most sources that certificates may add: each has its state, its copy and its hour.
const MAX_NAMED: usize = 1000;
/// Addresses of one source that are tried.
const MAX_PLACES: usize = 4;

/// What a source gives.
#[derive(Debug, Clone)]
pub enum Gives {
    /// The trust list.
    TrustList,
    /// A revocation list; of this issuer, where that is known.
    List(Option<Name>),
    /// An answer about one certificate.
    Answer {
        /// The certificate.
        certificate: Certificate,
        /// Who issued it.
        issuer: Certificate,
    },
}

/// One thing to ask for.
#[derive(Debug, Clone)]
pub struct Source {
    /// What it gives.
    pub gives: Gives,
    /// Where, the first that answers.
    pub places: Vec<Place>,
}

impl Source {
    /// How often it is asked.
    pub fn pace(&self, settings: &Refresh) -> Pace {
        let every = if matches!(self.gives, Gives::TrustList) { settings.list_every } else { settings.every };
        Pace { every: every.0, retry: settings.retry.0.min(every.0) }
    }
}

/// All sources by name: the name is what the journal, the log and `doctor` call them by.
pub(super) fn all(snapshot: &Snapshot, at: Timestamp) -> BTreeMap<String, Source> {
    let settings = &snapshot.config.refresh;
    let mut out = BTreeMap::new();
    if let Some(place) = &settings.list {
        out.insert(format!("trust list {place}"), Source { gives: Gives::TrustList, places: vec![place.clone()] });
    }
    for place in &settings.crls {
        out.insert(place.to_string(), Source { gives: Gives::List(None), places: vec![place.clone()] });
    }
    if !settings.hosts.is_empty() {
        for source in named(snapshot, at).into_iter().take(MAX_NAMED) {
            add(&mut out, source, settings);
        }
    }
    out
}

/// What certificates name that we use all the time.
fn named(snapshot: &Snapshot, at: Timestamp) -> Vec<StatusSource> {
    let validator = &snapshot.validator;
    let mut found = validator.own_sources(at);
    let own = snapshot.domains.values().flat_map(|own| own.keys.signing.certificates().cloned());
    let book = snapshot.book.entries().iter().map(|entry: &BookEntry| entry.certificate.clone());
    let in_use = std::iter::once(snapshot.tls.certificate().clone()).chain(own).chain(book);
    for certificate in in_use {
        for source in validator.sources_for(&certificate, &[], Purpose::Any, at) {
            if !found.contains(&source) {
                found.push(source);
            }
        }
    }
    found
}

fn add(out: &mut BTreeMap<String, Source>, source: StatusSource, settings: &Refresh) {
    let places: Vec<Place> = source.urls().iter().filter_map(|url| Place::parse(url).ok()).take(MAX_PLACES).collect();
    let Some(first) = places.first() else { return };
    // The configured address of the same list came first.
    if places.iter().any(|place| out.contains_key(place.as_str())) {
        return;
    }
    let (name, gives) = match source {
        StatusSource::List { issuer, .. } => (first.to_string(), Gives::List(Some(issuer))),
        StatusSource::Answer { certificate, issuer, .. } if settings.ocsp => {
            (format!("{first} about {}", certificate.fingerprint()), Gives::Answer { certificate, issuer })
        }
        StatusSource::Answer { .. } => return,
    };
    out.entry(name).or_insert(Source { gives, places });
}
