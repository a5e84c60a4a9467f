//! What an operator may say about fetching: revocation lists, OCSP answers, the trust list.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use serde::Deserialize;

use super::{Size, Span};
use crate::fetch::{Limits, Place, Rules, Scheme};

/// Longest time between two looks at a source: a revocation is published once a day at the latest.
const MAX_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Shortest: publishers ask not to be asked all the time (pki reference §4.1).
const MIN_EVERY: Duration = Duration::from_secs(60);
/// Longest time that a source may fail without an alarm.
const MAX_ALARM_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest deadline of one fetch.
const MAX_TOTAL: Duration = Duration::from_secs(3600);

/// What is fetched in the background, from where, how often. Without this section nothing is fetched:
/// the files under `[trust]` are read again instead.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// Address of the signed list of trusted domains.
    pub list: Option<Place>,
    /// Addresses of revocation lists of the authorities in use, base or delta: asked before those that
    /// certificates name.
    pub crls: Vec<Place>,
    /// Hosts that addresses inside certificates may name, at the usual ports, or `host:port`. None: only what
    /// is written above is asked.
    pub hosts: Vec<String>,
    /// Whether the responders named in our own and our partners' certificates are asked (OCSP).
    pub ocsp: bool,
    /// Fixed addresses of hosts: DNS is not asked for them, and they may be inside our own networks.
    pub addresses: BTreeMap<String, IpAddr>,
    /// How often each revocation list and answer is asked for at least; the moment is this installation's own.
    pub every: Span,
    /// The same for the trust list.
    pub list_every: Span,
    /// How long after a failure the next try comes; doubled from failure to failure, up to an hour.
    pub retry: Span,
    /// How long a source may fail before the alarm.
    pub alarm_after: Span,
    /// Largest revocation list.
    pub max_crl: Size,
    /// Longest wait for a name, a connection and TLS.
    pub connect: Span,
    /// Longest wait for the beginning of an answer.
    pub first_octet: Span,
    /// Longest fetch.
    pub total: Span,
}

impl Default for Refresh {
    fn default() -> Self {
        let limits = Limits::default();
        let hours = |n: u64| Span(Duration::from_secs(n.saturating_mul(3600)));
        Self {
            list: None,
            crls: Vec::new(),
            hosts: Vec::new(),
            ocsp: false,
            addresses: BTreeMap::new(),
            every: hours(4),
            list_every: hours(1),
            retry: Span(Duration::from_secs(300)),
            alarm_after: hours(8),
            max_crl: Size(u64::try_from(pki::crl::MAX_CRL).unwrap_or(u64::MAX)),
            connect: Span(limits.connect),
            first_octet: Span(limits.first_octet),
            total: Span(limits.total),
        }
    }
}

impl Refresh {
    /// Whether anything is fetched at all.
    pub fn is_on(&self) -> bool {
        self.list.is_some() || !self.crls.is_empty() || !self.hosts.is_empty()
    }

    /// The sites that may be asked.
    pub fn rules(&self) -> Rules {
        let rules = self.list.iter().chain(&self.crls).fold(Rules::new(), Rules::place);
        let rules = self.hosts.iter().fold(rules, |rules, host| rules.host(host));
        self.addresses.iter().fold(rules, |rules, (host, address)| rules.address(host, *address))
    }

    /// The deadlines of one fetch.
    pub fn limits(&self) -> Limits {
        Limits { connect: self.connect.0, first_octet: self.first_octet.0, total: self.total.0, ..Limits::default() }
    }

    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        for (key, span) in [("every", self.every), ("list_every", self.list_every)] {
            if span.0 < MIN_EVERY || span.0 > MAX_EVERY {
                found.push(format!("refresh.{key} must be from 1m to {} h", Span(MAX_EVERY).hours()));
            }
        }
        if self.retry.0 < Duration::from_secs(10) || self.retry > self.every {
            found.push("refresh.retry must be from 10s to refresh.every".to_owned());
        }
        if self.alarm_after.0.is_zero() || self.alarm_after.0 > MAX_ALARM_AFTER {
            found.push(format!(
                "refresh.alarm_after must be longer than nothing and at most {} h: nobody else notices that nothing comes",
                Span(MAX_ALARM_AFTER).hours()
            ));
        }
        let waits = [self.connect, self.first_octet, self.total];
        if waits.iter().any(|wait| wait.0.is_zero()) || self.total.0 > MAX_TOTAL || self.first_octet > self.total {
            found.push(
                "refresh.connect, first_octet and total must be longer than nothing, and total at most 1h".to_owned(),
            );
        }
        let most = u64::try_from(pki::crl::MAX_CRL).unwrap_or(u64::MAX);
        if self.max_crl.0 == 0 || self.max_crl.0 > most {
            found.push(format!("refresh.max_crl must be more than nothing and at most {most} octets"));
        }
        let without_port = |host: &str| match host.split_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => name.to_owned(),
            _ => host.to_owned(),
        };
        let hosts = self.hosts.iter().map(|host| without_port(host));
        for host in hosts.chain(self.addresses.keys().cloned()) {
            let named = Place::parse(&format!("http://{host}/"));
            if !named.is_ok_and(|place| place.site().host == host && place.site().port == 80) {
                found.push(format!(
                    "refresh: `{host}` is no host name in lower case, without scheme (hosts may end in :port)"
                ));
            }
        }
        if let Some(list) = self.list.iter().find(|list| list.scheme() == Scheme::Ldap) {
            found.push(format!("refresh.list: {list} is no http or https address"));
        }
        if self.ocsp && self.hosts.is_empty() {
            found.push(
                "refresh.ocsp asks responders that certificates name: allow their hosts under refresh.hosts".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str) -> Vec<String> {
        let refresh: Refresh = toml::from_str(text).unwrap();
        let mut found = Vec::new();
        refresh.faults(&mut found);
        found
    }

    #[test]
    fn nothing_is_fetched_unless_it_is_said_from_where() {
        assert!(!Refresh::default().is_on());
        assert_eq!(faults_of(""), Vec::<String>::new());
        let whole = "list = \"https://liste.exemple.test/liste.xml\"\ncrls = [\"ldap://igc.exemple.test/cn=a?b\"]\n\
                     hosts = [\"ocsp.exemple.test\"]\nocsp = true\n[addresses]\n\"igc.exemple.test\" = \"10.0.0.1\"\n";
        assert_eq!(faults_of(whole), Vec::<String>::new());
    }

    #[test]
    fn what_weakens_without_a_word_is_refused() {
        for (text, part) in [
            ("every = \"30d\"", "refresh.every"),
            ("list_every = \"0s\"", "refresh.list_every"),
            ("retry = \"1s\"", "refresh.retry"),
            ("alarm_after = \"365d\"", "refresh.alarm_after"),
            ("total = \"5h\"", "refresh.connect"),
            ("max_crl = \"500MB\"", "refresh.max_crl"),
            ("hosts = [\"http://igc.exemple.test\"]", "no host name"),
            ("hosts = [\"igc.exemple.test:0\"]", "no host name"),
            ("hosts = [\"igc.exemple.test:ssh\"]", "no host name"),
            ("list = \"ldap://igc.exemple.test/cn=a?b\"", "no http or https"),
            ("ocsp = true", "refresh.hosts"),
        ] {
            let found = faults_of(text);
            assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
        }
        assert!(toml::from_str::<Refresh>("list = \"ftp://igc.exemple.test/\"").is_err());
    }
}
