//! Revocation facts that come and go while the service runs: where they are published, and the store
//! that keeps the newest.
//!
//! This crate fetches nothing. [`sources`] says what is worth fetching, only for certificates that
//! chain to an anchor (design §7): a stranger's certificate never makes us connect anywhere. Whoever
//! fetched hands the octets over as a [`RevocationList`](crate::crl::RevocationList) or an
//! [`OcspAnswer`](crate::ocsp::OcspAnswer) to a [`RevocationStore`], which a running
//! [`Validator`](crate::path::Validator) reads.

mod store;

pub(crate) use store::Holdings;
pub use store::{Offer, RevocationStore};

use crate::{certificate::Certificate, extension::DistributionPoint, name::Name};

/// Something that is published about the status of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusSource {
    /// A revocation list.
    List {
        /// Addresses of the same list, in the order of the certificate: `http`, `ldap`, others.
        urls: Vec<String>,
        /// Who signs it.
        issuer: Name,
        /// Whether it only holds changes (FreshestCRL).
        delta: bool,
    },
    /// A responder to ask about one certificate; see [`OcspRequest`](crate::ocsp::OcspRequest).
    Answer {
        /// Addresses of responders.
        urls: Vec<String>,
        /// The certificate to ask about.
        certificate: Certificate,
        /// Who issued it.
        issuer: Certificate,
    },
}

impl StatusSource {
    /// Where it is published.
    pub fn urls(&self) -> &[String] {
        match self {
            Self::List { urls, .. } | Self::Answer { urls, .. } => urls,
        }
    }
}

/// What is published about each certificate of a valid path but the anchor; leaf first, each source once.
///
/// Give it paths that a [`Validator`](crate::path::Validator) found and nothing else.
pub fn sources(path: &[Certificate]) -> Vec<StatusSource> {
    let mut out: Vec<StatusSource> = Vec::new();
    for pair in path.windows(2) {
        let [certificate, issuer] = pair else { continue };
        let extensions = certificate.extensions();
        let lists = extensions.distribution_points.iter().map(|point| (point, false));
        let deltas = extensions.delta_points.iter().map(|point| (point, true));
        let lists = lists.chain(deltas).filter_map(|(point, delta)| list(certificate, point, delta));
        let responders = (!extensions.responders.is_empty()).then(|| StatusSource::Answer {
            urls: extensions.responders.clone(),
            certificate: certificate.clone(),
            issuer: issuer.clone(),
        });
        for source in lists.chain(responders) {
            if !out.contains(&source) {
                out.push(source);
            }
        }
    }
    out
}

fn list(certificate: &Certificate, point: &DistributionPoint, delta: bool) -> Option<StatusSource> {
    let urls = point.addresses();
    let issuer = point.issuers.first().unwrap_or(certificate.issuer()).clone();
    (!urls.is_empty()).then_some(StatusSource::List { urls, issuer, delta })
}
