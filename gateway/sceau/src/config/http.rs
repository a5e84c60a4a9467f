//! Where the directory answers over HTTP: the clinicians' page and FHIR.

use std::{net::SocketAddr, path::PathBuf};

use annuaire::web::Audit;
use ident::{Domain, StructureId};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    duration::{Size, Span},
    fhir::Fhir,
};

/// The directory over HTTPS. Without `listen` there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port. TLS always; whoever can reach this port can look people up, so it belongs on the inner
    /// network.
    pub listen: Option<SocketAddr>,
    /// Under which address browsers reach us, without a path: `https://annuaire.ch-exemple.test`. Shared addresses
    /// and paging links begin so. Without it: the host name of the server and the port.
    pub origin: Option<String>,
    /// PEM file: certificate for browsers, then its intermediates. Without it: that of the server.
    pub certificate: Option<PathBuf>,
    /// PEM file: its private key.
    pub key: Option<PathBuf>,
    /// Who is answered.
    pub clients: Clients,
    /// Structures that may copy the directory, by the identifier in their certificate: how much they are shown is not
    /// counted.
    pub mirrors: Vec<StructureId>,
    /// Where each face is.
    pub paths: Paths,
    /// Who may publish mailboxes here by FHIR PATCH. Without any, nobody.
    #[serde(rename = "publisher")]
    pub publishers: Vec<Publisher>,
    /// What an audit of the pages' accessibility has found. Without one they say that they do not conform.
    pub audit: Option<Audit>,
    /// How FHIR speaks.
    pub fhir: Fhir,
    /// Bounds on what comes in.
    pub limits: HttpLimits,
}

/// An operator that may publish its mailboxes here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// The structure in its certificate.
    pub structure: StructureId,
    /// The domains of its mailboxes; never ours, which our registry speaks for.
    pub domains: Vec<Domain>,
}

/// Who is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clients {
    /// Whoever reaches the port: the network around it is the fence.
    #[default]
    Anyone,
    /// The same; who shows a certificate of the trust space is known by it. Browsers ask the person in front of them
    /// which one to show, where there is one.
    Optional,
    /// Only holders of a certificate of the trust space: a professional, staff, an organisation.
    Certificate,
}

/// Where each face is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// The clinicians' page.
    pub web: Mount,
    /// FHIR.
    pub fhir: Mount,
}

/// A path that a face is mounted at, or `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// At this path: empty for the root, else beginning with a slash and not ending with one.
    At(String),
    /// Nowhere.
    Off,
}

/// Bounds on what comes in over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpLimits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one network of 64 bits).
    pub connections_per_peer: usize,
    /// Requests that one peer may make in a minute; twice as many at once after a pause. Typing asks about three
    /// times a second.
    pub requests_per_minute: u32,
    /// People and structures that one peer may be shown in an hour; as many at once after a pause. A whole practice
    /// behind one address is one peer.
    pub answers_per_hour: u32,
    /// Longest request body.
    pub body: Size,
    /// Octets of long bodies and of answers not read yet that are held at once, a quarter of them for one peer. What
    /// is shorter than 64 KB is bounded by the connections.
    pub memory: Size,
    /// How long a request may take to come in.
    pub request: Span,
    /// How long a client may leave what it is answered unread.
    pub unread: Span,
    /// Longest life of a connection.
    pub connection: Span,
}

impl Default for Paths {
    fn default() -> Self {
        Self { web: Mount::At(String::new()), fhir: Mount::At("/fhir".to_owned()) }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        let seconds = |n| Span(std::time::Duration::from_secs(n));
        Self {
            connections: 500,
            connections_per_peer: 100,
            requests_per_minute: 600,
            answers_per_hour: 20_000,
            body: Size(32 * 1024),
            memory: Size(64 * 1024 * 1024),
            request: seconds(15),
            unread: seconds(30),
            connection: seconds(600),
        }
    }
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_');
        match text.as_str() {
            "off" => Ok(Self::Off),
            "/" => Ok(Self::At(String::new())),
            path if path.starts_with('/')
                && !path.ends_with('/')
                && !path.contains("//")
                && path.chars().all(plain) =>
            {
                Ok(Self::At(text))
            }
            _ => Err(D::Error::custom(format!(
                "`{text}` is no path: write for example /annuaire (letters, digits, - and _), / or off"
            ))),
        }
    }
}

impl Http {
    /// What is wrong with it.
    pub(super) fn faults<'d>(&self, own: impl Iterator<Item = &'d Domain> + Clone, found: &mut Vec<String>) {
        for publisher in &self.publishers {
            let structure = &publisher.structure;
            if publisher.domains.is_empty() {
                found.push(format!("http.publisher {structure} has no `domains`: it could publish nothing"));
            }
            for domain in publisher.domains.iter().filter(|domain| own.clone().any(|own| own == *domain)) {
                found.push(format!("http.publisher {structure}: {domain} is ours, and our registry speaks for it"));
            }
        }
        if self.clients == Clients::Anyone && !self.publishers.is_empty() {
            found.push(
                "http.publisher: nobody is known by a certificate unless `http.clients` is \"optional\" or \"certificate\""
                    .to_owned(),
            );
        }
        if self.certificate.is_some() != self.key.is_some() {
            found.push("http: `certificate` and `key` come together, or not at all".to_owned());
        }
        if self.paths.web == self.paths.fhir && self.paths.web != Mount::Off {
            found.push("http.paths: two faces cannot be at the same path".to_owned());
        }
        if self.clients == Clients::Anyone && !self.mirrors.is_empty() {
            found.push(
                "http.mirrors: nobody is known by a certificate unless `http.clients` is \"optional\" or \"certificate\""
                    .to_owned(),
            );
        }
        if self.audit.as_ref().is_some_and(|audit| audit.conformity > 100 || audit.by.trim().is_empty()) {
            found.push("http.audit: say who did it (`by`), and `conformity` is a percentage".to_owned());
        }
        self.fhir.faults(found);
        if let Some(origin) = &self.origin {
            let sound = url::Url::parse(origin).is_ok_and(|url| {
                url.scheme() == "https"
                    && url.has_host()
                    && url.username().is_empty()
                    && format!("{}/", origin) == url.as_str()
            });
            if !sound {
                found.push(format!(
                    "http.origin {origin}: write scheme, host and port as browsers show them, no path, no slash at the \
                     end: https://annuaire.example.test or https://annuaire.example.test:8443"
                ));
            }
        }
        let limits = &self.limits;
        let counts = [
            ("connections", limits.connections),
            ("connections_per_peer", limits.connections_per_peer),
            ("requests_per_minute", usize::try_from(limits.requests_per_minute).unwrap_or(usize::MAX)),
            ("answers_per_hour", usize::try_from(limits.answers_per_hour).unwrap_or(usize::MAX)),
        ];
        for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            found.push(format!("http.limits.{key} is 0: nobody would be answered; leave out `http.listen` instead"));
        }
        for (key, span) in [("request", limits.request), ("unread", limits.unread), ("connection", limits.connection)] {
            if span.0.is_zero() {
                found.push(format!("http.limits.{key} must be longer than nothing"));
            }
        }
        if limits.body.0 > MAX_BODY {
            found.push(format!("http.limits.body: at most {} MB, they are held in memory", MAX_BODY / 1024 / 1024));
        }
        if !MEMORY.contains(&limits.memory.0) {
            let [least, most] = [MEMORY.start(), MEMORY.end()].map(|it| it / 1024 / 1024);
            found.push(format!("http.limits.memory: between {least} MB, or long answers find no room, and {most} MB"));
        }
    }
}

/// The longest body that may be allowed.
const MAX_BODY: u64 = 1024 * 1024;
/// Octets that may be held at once. The longest answers of FHIR are some megabytes.
const MEMORY: std::ops::RangeInclusive<u64> = 16 * 1024 * 1024..=1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let http: Http = toml::from_str(text).unwrap();
        let mut found = Vec::new();
        http.faults([Domain::parse("ch-a.test").unwrap()].iter(), &mut found);
        found
    }

    #[test]
    fn what_is_written_is_what_holds() {
        let http: Http =
            toml::from_str("listen = \"127.0.0.1:8443\"\npaths = { web = \"/annuaire\", fhir = \"off\" }").unwrap();
        assert_eq!(http.paths, Paths { web: Mount::At("/annuaire".to_owned()), fhir: Mount::Off });
        assert_eq!((http.clients, http.limits.requests_per_minute), (Clients::Anyone, 600));
        let http: Http =
            toml::from_str("fhir = { systems = { siret = \"urn:test:siret\" }, profiles = false }").unwrap();
        assert_eq!((http.fhir.settings().systems.siret.as_str(), http.fhir.profiles), ("urn:test:siret", false));
        assert_eq!(http.fhir.settings().source, annuaire::fhir::Settings::default().source);
        assert!(toml::from_str::<Http>("fhir = { systems = { siret = 1 } }").is_err());
        assert!(toml::from_str::<Http>("fhir = { systems = { sirett = \"x\" } }").is_err());
        assert!(faults("origin = \"https://annuaire.ch-exemple.test:8443\"").is_empty());
    }

    #[test]
    fn what_would_not_work_is_refused() {
        for path in ["annuaire", "/annuaire/", "//", "/a//b", "/é", "/a?b", ""] {
            assert!(toml::from_str::<Http>(&format!("paths = {{ web = \"{path}\" }}")).is_err(), "{path}");
        }
        assert!(toml::from_str::<Http>("listener = 1").is_err());
        let audit = |date: &str| format!("audit = {{ by = \"x\", date = \"{date}\", conformity = 80 }}");
        assert!(toml::from_str::<Http>(&audit("2026-10-01")).is_ok());
        assert!(toml::from_str::<Http>(&audit("2026-02-30")).is_err());
        for text in [
            "certificate = \"web.pem\"",
            "paths = { web = \"/fhir\" }",
            "origin = \"http://annuaire.test\"",
            "origin = \"https://annuaire.test/\"",
            "origin = \"https://annuaire.test/chemin\"",
            "origin = \"https://user@annuaire.test\"",
            "limits = { answers_per_hour = 0 }",
            "limits = { request = \"0s\" }",
            "limits = { body = \"900MB\" }",
            "limits = { memory = \"1MB\" }",
            "limits = { unread = \"0s\" }",
            "mirrors = [\"1990000001\"]",
            "fhir = { earlier_generations = 9 }",
            "fhir = { source = \"\" }",
            "audit = { by = \"x\", date = \"2026-10-01\", conformity = 101 }",
            "audit = { by = \"\", date = \"2026-10-01\", conformity = 80 }",
            "publisher = [{ structure = \"1990000001\", domains = [\"ch-b.test\"] }]",
            "clients = \"optional\"\npublisher = [{ structure = \"1990000001\", domains = [] }]",
            "clients = \"optional\"\npublisher = [{ structure = \"1990000001\", domains = [\"ch-a.test\"] }]",
        ] {
            assert_eq!(faults(text).len(), 1, "{text}");
        }
    }
}
