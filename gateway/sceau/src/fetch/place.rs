//! An address that the fetcher knows how to ask.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// Longest address.
const MAX_LENGTH: usize = 2048;
/// Longest host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// How a site is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// HTTP in the clear: good enough for what is signed and public.
    Http,
    /// HTTP over TLS.
    Https,
    /// LDAP in the clear: as French revocation lists are published.
    Ldap,
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ldap => 389,
        }
    }
}

/// A host and a port, as the configuration allows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// Lower-case name, or an IP address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a text is no address of something to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Too long.
    #[error("it is longer than {MAX_LENGTH} octets")]
    Long,
    /// No URL.
    #[error("it is no URL")]
    Form,
    /// Another scheme.
    #[error("only http, https and ldap are fetched")]
    Scheme,
    /// No host, or one that cannot be.
    #[error("it names no usable host")]
    Host,
    /// A name or password in it.
    #[error("it carries a user name or password")]
    Credentials,
}

/// Where something is fetched: scheme, host, port, path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Parts {
    url: Url,
    scheme: Scheme,
    site: Site,
}

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if text.len() > MAX_LENGTH {
            return Err(PlaceError::Long);
        }
        Url::parse(text).map_err(|_| PlaceError::Form).and_then(Self::of)
    }

    fn of(mut url: Url) -> Result<Self, PlaceError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ldap" => Scheme::Ldap,
            _ => return Err(PlaceError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(PlaceError::Credentials);
        }
        url.set_fragment(None);
        if url.as_str().len() > MAX_LENGTH {
            return Err(PlaceError::Long);
        }
        let host = match url.host() {
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(name)) => name.to_ascii_lowercase(),
            None => return Err(PlaceError::Host),
        };
        let is_name = host.len() <= MAX_HOST
            && host.split('.').all(|label| !label.is_empty() && label.len() <= 63)
            && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'));
        if !is_name && IpAddr::from_str(&host).is_err() {
            return Err(PlaceError::Host);
        }
        let port = url.port().unwrap_or(scheme.port());
        Ok(Self(Arc::new(Parts { url, scheme, site: Site { host, port } })))
    }

    /// The place that a `Location` field of this one means (RFC 9110 §10.2.2).
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn relative(&self, location: &str) -> Result<Self, PlaceError> {
        if location.len() > MAX_LENGTH {
            return Err(PlaceError::Long);
        }
        self.0.url.join(location).map_err(|_| PlaceError::Form).and_then(Self::of)
    }

    /// How it is asked.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// Host and port.
    pub fn site(&self) -> &Site {
        &self.0.site
    }

    /// What an HTTP request names: path and query.
    pub(super) fn target(&self) -> String {
        let path = self.0.url.path();
        self.0.url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// What the `Host` field says.
    pub(super) fn authority(&self) -> String {
        let host = self.0.url.host_str().unwrap_or_default();
        self.0.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query as they stand, percent signs and all.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        (self.0.url.path(), self.0.url.query())
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.url.as_str()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        Self::parse(&text)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_that_lists_are_published_in() {
        let http = Place::parse("http://IGC.exemple.test/CRL/ACI-EL-ORG.crl#x").unwrap();
        assert_eq!(http.site().to_string(), "igc.exemple.test:80");
        assert_eq!(http.target(), "/CRL/ACI-EL-ORG.crl");
        assert_eq!(http.authority(), "igc.exemple.test");
        let ldap = "ldap://Annuaire.exemple.test/cn=AC%20TEST,o=ASIP-SANTE,c=FR?certificaterevocationlist;binary?base?objectClass=pkiCA";
        let ldap = Place::parse(ldap).unwrap();
        assert_eq!((ldap.scheme(), ldap.site().to_string().as_str()), (Scheme::Ldap, "annuaire.exemple.test:389"));
        let six = Place::parse("https://[2001:db8::1]:8443/liste.xml?v=1").unwrap();
        assert_eq!(six.site(), &Site { host: "2001:db8::1".to_owned(), port: 8443 });
        assert_eq!((six.target(), six.authority()), ("/liste.xml?v=1".to_owned(), "[2001:db8::1]:8443".to_owned()));
    }

    #[test]
    fn refuses_what_is_not_fetched() {
        let refused = |text: &str| Place::parse(text).unwrap_err();
        assert_eq!(refused("file:///etc/passwd"), PlaceError::Scheme);
        assert_eq!(refused("gopher://exemple.test/"), PlaceError::Scheme);
        assert_eq!(refused("ldaps://exemple.test/"), PlaceError::Scheme);
        assert_eq!(refused("http://user:secret@exemple.test/"), PlaceError::Credentials);
        assert_eq!(refused("ldap:///cn=x"), PlaceError::Host);
        assert_eq!(refused("ldap://a b/cn=x"), PlaceError::Form);
        assert_eq!(refused("ldap://a%2fb/cn=x"), PlaceError::Host);
        assert_eq!(refused("not a url"), PlaceError::Form);
        assert_eq!(refused(&format!("http://exemple.test/{}", "x".repeat(3000))), PlaceError::Long);
    }

    /// One spelling for one address: the rules compare hosts as texts.
    #[test]
    fn disguised_addresses_become_plain() {
        for disguised in ["http://127.1/", "http://0x7f.0.0.1/", "http://2130706433/"] {
            assert_eq!(Place::parse(disguised).unwrap().site().host, "127.0.0.1", "{disguised}");
        }
    }
}
