//! Where a domain's mail goes: a configured route, else MX records by preference (RFC 5321 §5).
//!
//! Only domains that the signed trust list names come here, and DNS is not authenticated: whoever can
//! forge one answer must not be able to end a message. A "no" of DNS for such a domain is therefore an
//! alarm and a delay, never a failure; the message's lifetime bounds it and its sender is told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use hickory_resolver::{TokioResolver, proto::rr::RData};
use ident::Domain;
use thiserror::Error;
use trail::{Event, Record};

use crate::{gateway::Gateway, snapshot::Snapshot};

/// The relay port.
const SMTP: u16 = 25;
/// Hosts tried for one domain.
const MAX_HOSTS: usize = 10;
/// Addresses tried for one host.
const MAX_ADDRESSES: usize = 4;
/// The alarm: DNS denies what the trust list says.
const DENIED: &str = "route-denied";

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
    /// Whether DNS, or our own configuration, denies what the trust list says.
    fn is_denial(&self) -> bool {
        !matches!(self, Self::Temporary(_))
    }
}

/// What is worth telling of denials.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// One more domain is denied.
    Denied(String),
    /// None is any more.
    Over,
}

/// Finds routes, and remembers for which domains DNS denies what the trust list says.
pub(super) struct Routes {
    resolver: Option<TokioResolver>,
    denied: Mutex<BTreeMap<Domain, RouteError>>,
}

impl Routes {
    /// Knows configured routes only.
    #[cfg(test)]
    pub(super) fn without_dns() -> Self {
        Self { resolver: None, denied: Mutex::default() }
    }

    /// With the machine's resolver.
    pub(super) fn new() -> Self {
        let resolver = TokioResolver::builder_tokio().ok().and_then(|builder| builder.build().ok());
        if resolver.is_none() {
            tracing::warn!("no DNS resolver on this machine: only domains with a [[route]] can be reached");
        }
        Self { resolver, denied: Mutex::default() }
    }

    /// The servers for a listed domain, in the order in which to try them. A denial raises an alarm.
    ///
    /// # Errors
    /// See [`RouteError`]; none of them is for good.
    pub(super) async fn hops(
        &self,
        gateway: &Gateway,
        snapshot: &Snapshot,
        domain: &Domain,
    ) -> Result<Vec<Hop>, RouteError> {
        let found = hops(snapshot, self.resolver.as_ref(), domain).await;
        let event = self.news(domain, found.as_ref().err()).map(|news| match news {
            News::Denied(words) => {
                tracing::error!(alarm = DENIED, words, "DNS denies a domain that the trust list names: its mail waits");
                Event::AlarmRaised { code: DENIED.to_owned(), text: gateway.masker.text(&words) }
            }
            News::Over => {
                tracing::info!(alarm = DENIED, "the alarm is over");
                Event::AlarmCleared { code: DENIED.to_owned() }
            }
        });
        event.into_iter().for_each(|event| gateway.record(Record::new(gateway.now(), event)));
        found
    }

    /// The same for whoever only looks: nothing is remembered or told.
    pub(super) async fn look(&self, snapshot: &Snapshot, domain: &Domain) -> Result<Vec<Hop>, RouteError> {
        hops(snapshot, self.resolver.as_ref(), domain).await
    }

    /// What begins or ends with this answer.
    fn news(&self, domain: &Domain, error: Option<&RouteError>) -> Option<News> {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        match error.filter(|error| error.is_denial()) {
            Some(error) => {
                let known = denied.insert(domain.clone(), error.clone());
                known.is_none().then(|| News::Denied(format!("{domain}: {error}")))
            }
            None if error.is_some() => None,
            None => {
                let was_last = denied.remove(domain).is_some() && denied.is_empty();
                was_last.then_some(News::Over)
            }
        }
    }
}

/// The servers for a domain, in the order in which to try them.
///
/// # Errors
/// See [`RouteError`].
async fn hops(snapshot: &Snapshot, resolver: Option<&TokioResolver>, domain: &Domain) -> Result<Vec<Hop>, RouteError> {
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use hickory_resolver::{
        config::{ConnectionConfig, NameServerConfig, ResolverConfig},
        net::runtime::TokioRuntimeProvider,
    };
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server that denies every name, and the resolver that believes it.
    async fn liar() -> TokioResolver {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
                // The question again, as an answer: name error (RFC 1035 §4.1.1). EDNS is cut off.
                let question = 12 + packet[12..length].iter().position(|octet| *octet == 0).unwrap() + 5;
                packet[2] = 0x85;
                packet[3] = 0x83;
                packet[6..12].fill(0);
                let _ = socket.send_to(&packet[..question], peer).await;
            }
        });
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    /// Whoever can forge one answer of DNS ends no message: the answer is a denial, and a denial waits.
    #[tokio::test]
    async fn a_domain_that_dns_denies_is_an_alarm_and_no_failure() {
        let domain = Domain::parse("ch-exemple.test").unwrap();
        let error = mail_hosts(&liar().await, &domain).await.unwrap_err();
        assert_eq!(error, RouteError::NoSuchDomain);

        let routes = Routes { resolver: None, denied: Mutex::default() };
        let denied = News::Denied("ch-exemple.test: the domain does not exist in DNS".to_owned());
        assert_eq!(routes.news(&domain, Some(&error)), Some(denied));
        assert_eq!(routes.news(&domain, Some(&RouteError::NullMx)), None, "said once");
        let silence = RouteError::Temporary("timeout".to_owned());
        assert_eq!(routes.news(&domain, Some(&silence)), None, "silence is no end");
        assert_eq!(routes.news(&domain, None), Some(News::Over));
        assert_eq!(routes.news(&domain, Some(&silence)), None, "silence is no denial");
    }
}
