//! Where a domain's mail goes: a configured route, else MX records by preference (RFC 5321 §5).

use std::net::SocketAddr;

use hickory_resolver::{TokioResolver, proto::rr::RData};
use ident::Domain;
use thiserror::Error;

use crate::snapshot::Snapshot;

/// The relay port.
const SMTP: u16 = 25;
/// Hosts tried for one domain.
const MAX_HOSTS: usize = 10;
/// Addresses tried for one host.
const MAX_ADDRESSES: usize = 4;

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// Name to say in TLS.
    pub host: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Why no server was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum RouteError {
    /// The domain says that it takes no mail (RFC 7505).
    #[error("the domain accepts no mail (null MX)")]
    NullMx,
    /// DNS says that the domain does not exist.
    #[error("the domain does not exist in DNS")]
    NoSuchDomain,
    /// DNS has no usable answer now.
    #[error("DNS gives no answer: {0}")]
    Temporary(String),
    /// The next hop is ourselves (LP3).
    #[error("the route leads back to this gateway")]
    Loop,
}

impl RouteError {
    /// Whether trying again may help.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

/// The servers for a domain, in the order in which to try them.
///
/// # Errors
/// See [`RouteError`].
pub(super) async fn hops(
    snapshot: &Snapshot,
    resolver: Option<&TokioResolver>,
    domain: &Domain,
) -> Result<Vec<Hop>, RouteError> {
    if let Some(route) = snapshot.config.routes.iter().find(|route| route.domain == *domain) {
        return Ok(vec![Hop { host: route.host.to_string(), address: route.address }]);
    }
    let resolver =
        resolver.ok_or_else(|| RouteError::Temporary("no resolver is configured on this machine".to_owned()))?;
    let mut found = Vec::new();
    for host in mail_hosts(resolver, domain).await? {
        if host == snapshot.config.server.hostname.as_str() {
            // RFC 5321 §5.1: hosts of lower preference than ourselves are not tried either.
            break;
        }
        found.extend(addresses(resolver, &host).await);
    }
    if found.is_empty() {
        return Err(RouteError::Temporary("none of the domain's mail hosts has an address".to_owned()));
    }
    if found.iter().all(|hop| is_ourselves(snapshot, hop.address)) {
        return Err(RouteError::Loop);
    }
    found.retain(|hop| !is_ourselves(snapshot, hop.address));
    Ok(found)
}

async fn mail_hosts(resolver: &TokioResolver, domain: &Domain) -> Result<Vec<String>, RouteError> {
    let lookup = match resolver.mx_lookup(format!("{domain}.")).await {
        Ok(lookup) => lookup,
        Err(error) if error.is_nx_domain() => return Err(RouteError::NoSuchDomain),
        // No MX: the domain itself is the host (RFC 5321 §5.1).
        Err(error) if error.is_no_records_found() => return Ok(vec![domain.to_string()]),
        Err(error) => return Err(RouteError::Temporary(error.to_string())),
    };
    let mut hosts: Vec<(u16, String)> = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii().trim_end_matches('.').to_lowercase())),
            _ => None,
        })
        .collect();
    if hosts.iter().any(|(_, host)| host.is_empty()) {
        return Err(RouteError::NullMx);
    }
    hosts.sort();
    Ok(hosts.into_iter().map(|(_, host)| host).take(MAX_HOSTS).collect())
}

async fn addresses(resolver: &TokioResolver, host: &str) -> Vec<Hop> {
    let Ok(lookup) = resolver.lookup_ip(format!("{host}.")).await else {
        return Vec::new();
    };
    lookup
        .iter()
        .take(MAX_ADDRESSES)
        .map(|ip| Hop { host: host.to_owned(), address: SocketAddr::new(ip, SMTP) })
        .collect()
}

/// Loopback, unspecified and our own listening addresses never are another operator (LP3).
fn is_ourselves(snapshot: &Snapshot, address: SocketAddr) -> bool {
    let ip = address.ip();
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || snapshot.config.listeners.iter().any(|listener| listener.address.ip() == ip && !ip.is_unspecified())
}
