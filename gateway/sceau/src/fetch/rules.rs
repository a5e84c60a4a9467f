//! Which sites may be asked, and at which addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{Fault, Place, Scheme, Site, error::quoted};

/// The sites that the configuration allows. What is not in here is not asked, whoever wrote it where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    sites: BTreeSet<Site>,
    addresses: BTreeMap<String, IpAddr>,
}

impl Rules {
    /// Nothing is allowed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows the site of an address that the configuration spells out.
    #[must_use]
    pub fn place(mut self, place: &Place) -> Self {
        self.sites.insert(place.site().clone());
        self
    }

    /// Allows a host at the usual ports, or `host:port` at this one: what addresses inside certificates may
    /// name.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        let own = host.split_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        let (name, ports) = own.map_or((host, vec![80, 443, 389]), |(name, port)| (name, vec![port]));
        self.sites.extend(ports.into_iter().map(|port| Site { host: name.to_ascii_lowercase(), port }));
        self
    }

    /// Fixes the address of a host: DNS is not asked, and it may be inside our own networks.
    #[must_use]
    pub fn address(mut self, host: &str, address: IpAddr) -> Self {
        self.addresses.insert(host.to_ascii_lowercase(), address);
        self
    }

    /// Whether a place may be asked at all.
    ///
    /// # Errors
    /// [`Fault::SiteNotAllowed`].
    pub fn allows(&self, place: &Place) -> Result<(), Fault> {
        let site = place.site();
        if self.sites.contains(site) { Ok(()) } else { Err(Fault::SiteNotAllowed(site.to_string())) }
    }

    /// Where a redirect leads.
    ///
    /// # Errors
    /// [`Fault::Redirect`] when it leads to no address of ours or away from encryption,
    /// [`Fault::SiteNotAllowed`].
    pub(super) fn redirect(&self, from: &Place, location: &str) -> Result<Place, Fault> {
        let refused = |why| Fault::Redirect(quoted(location.as_bytes()), why);
        let target = from.relative(location).map_err(|_| refused("it is no address that we fetch from"))?;
        match (from.scheme(), target.scheme()) {
            (_, Scheme::Ldap) => return Err(refused("it is another protocol")),
            (Scheme::Https, Scheme::Http) => return Err(refused("it is not encrypted")),
            _ => {}
        }
        self.allows(&target)?;
        Ok(target)
    }

    /// The address that the configuration fixes for a host.
    pub(super) fn fixed(&self, host: &str) -> Option<IpAddr> {
        self.addresses.get(host).copied()
    }
}

/// Whether an address belongs to the public network: a name that somebody else answers for must not
/// lead the gateway to its own neighbours (SSRF).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // 0/8 "this network", 240/4 reserved, 100.64/10 behind carriers' NAT (RFC 6598), 192.0.0/24
        // protocols (RFC 6890), 198.18/15 benchmarks (RFC 2544), 192.88.99/24 old relays (RFC 7526).
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && matches!(b, 18 | 19))
        || (a, b, c) == (192, 88, 99);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    match segments {
        // Global unicast only (RFC 4291), without documentation, and without what carries an IPv4 address
        // of its own inside: Teredo (RFC 4380), 6to4 (RFC 3056).
        [0x2001, 0x0db8, ..] | [0x2001, 0..=0x01ff, ..] | [0x2002, ..] | [0x3fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_network_is_public() {
        for public in ["8.8.8.8", "185.24.184.1", "2a00:1450:4007::1", "2001:4860:4860::8888"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        let inside = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:0a00:0001::",
            "2001:0:4136:e378::",
            "2001:db8::1",
        ];
        for inside in inside {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn a_port_that_nobody_named_is_not_asked() {
        let rules =
            Rules::new().host("igc.exemple.test").place(&Place::parse("http://autre.exemple.test:8080/x").unwrap());
        let allowed = |url: &str| rules.allows(&Place::parse(url).unwrap()).is_ok();
        assert!(allowed("http://igc.exemple.test/a.crl") && allowed("ldap://igc.exemple.test/cn=a"));
        assert!(allowed("http://autre.exemple.test:8080/other"));
        assert!(!allowed("http://igc.exemple.test:22/a.crl"));
        let one = Rules::new().host("ocsp.exemple.test:8080");
        let allowed_by_one = |url: &str| one.allows(&Place::parse(url).unwrap()).is_ok();
        assert!(allowed_by_one("http://ocsp.exemple.test:8080/") && !allowed_by_one("http://ocsp.exemple.test/"));
        assert!(!allowed("http://autre.exemple.test/x") && !allowed("http://evil.test/a.crl"));
    }
}
