//! The one bounded fetcher: whatever this gateway fetches from a network comes through here.
//!
//! HTTP and HTTPS (GET and POST) and LDAP, from sites that the configuration allows and no others
//! (design §7). Each answer has a most of octets, each wait a deadline, and each failure names where
//! we looked and what was wrong. Nothing that comes out of here is believed: revocation lists, OCSP
//! answers and trust lists are signed, and whoever asked for them verifies them.

mod error;
mod http;
mod ldap;
mod line;
mod place;
mod rules;
mod servers;

use std::{sync::Arc, time::Duration};

use pki::certificate::Certificate;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

pub use error::{Fault, FetchError, Wait};
pub use line::Lines;
pub use place::{Place, PlaceError, Scheme, Site};
pub use rules::Rules;
pub use servers::{AnchoredServers, Undetermined};

/// Deadlines of one fetch, redirects included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the name, the connection and TLS together, at each site.
    pub connect: Duration,
    /// From the request to the end of the answer's header.
    pub first_octet: Duration,
    /// From the beginning to the last octet.
    pub total: Duration,
    /// Redirects that are followed, each to an allowed site.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_octet: Duration::from_secs(20),
            total: Duration::from_secs(180),
            redirects: 3,
        }
    }
}

/// What is asked for; it decides which content types make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A certificate revocation list (RFC 2585 §4.2).
    RevocationList,
    /// The signed list of trusted domains.
    TrustList,
    /// An OCSP answer (RFC 6960 appendix A).
    OcspAnswer,
    /// A partner's signed file of certificates.
    PartnerFile,
    /// A time stamp (RFC 3161 §3.4).
    TimeStamp,
    /// What a directory shows by FHIR.
    Fhir,
    /// A change of what it shows: what is handed over goes out as a PATCH.
    FhirPatch,
    /// A file of the professional directory, zipped or not.
    Extract,
}

impl Kind {
    /// Media types of what is handed over with a question, and of its answer.
    const fn asked(self) -> (&'static str, &'static str) {
        match self {
            Self::TimeStamp => ("application/timestamp-query", "application/timestamp-reply"),
            Self::Fhir | Self::FhirPatch => ("application/fhir+json", "application/fhir+json"),
            _ => ("application/ocsp-request", "application/ocsp-response"),
        }
    }

    /// Whether an answer declared as this media type can be what was asked for. Publishers are loose
    /// about lists, and the signature decides; an error page must still be called by its name.
    fn accepts(self, media: &str) -> bool {
        let fitting: &[&str] = match self {
            Self::RevocationList => &[
                "application/pkix-crl",
                "application/x-pkcs7-crl",
                "application/x-x509-crl",
                "application/pkcs-crl",
                "application/x-pem-file",
                "text/plain",
            ],
            Self::TrustList => &["application/xml", "text/xml"],
            Self::OcspAnswer => return media == "application/ocsp-response",
            Self::TimeStamp => return media == "application/timestamp-reply",
            Self::Fhir | Self::FhirPatch => return ["application/fhir+json", "application/json"].contains(&media),
            Self::Extract => &[
                "application/zip",
                "application/x-zip-compressed",
                "application/force-download",
                "text/plain",
                "text/csv",
            ],
            Self::PartnerFile => {
                &["application/pkcs7-mime", "application/cms", "application/json", "application/jose", "text/plain"]
            }
        };
        media == "application/octet-stream" || fitting.contains(&media)
    }
}

/// What a publisher said about the copy that we hold, for a conditional request (RFC 9110 §13).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

impl Tags {
    fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }
}

/// One thing to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where.
    pub place: &'a Place,
    /// What.
    pub kind: Kind,
    /// Octets that it may have.
    pub most: usize,
    /// What was said about the copy that we hold, if we hold one.
    pub held: Option<&'a Tags>,
    /// What is handed over with the question (OCSP): it makes a POST.
    pub question: Option<&'a [u8]>,
}

/// What came of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The octets, not yet verified by anybody.
    New {
        /// As they came.
        octets: Vec<u8>,
        /// For the next time.
        tags: Tags,
    },
    /// The copy that we hold is still the current one.
    Unchanged,
}

/// Judges the certificates that an HTTPS server shows: configured anchors, never the system's.
pub trait ServerTrust: Send + Sync {
    /// Whether the holder of the first certificate is `host`.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn judge(&self, host: &str, shown: &[Certificate]) -> Result<(), String>;
}

/// The fetcher: rules and deadlines, and the lines to the outside.
#[derive(Debug)]
pub struct Fetcher {
    rules: Rules,
    limits: Limits,
    lines: Arc<Lines>,
}

impl Fetcher {
    /// A fetcher that asks the sites of `rules` and no others.
    pub fn new(rules: Rules, limits: Limits, lines: Arc<Lines>) -> Self {
        Self { rules, limits, lines }
    }

    /// Fetches one thing. HTTPS servers are judged by `trust`.
    ///
    /// # Errors
    /// [`FetchError`]: where we looked and what was wrong.
    pub async fn fetch(&self, request: &Request<'_>, trust: &dyn ServerTrust) -> Result<Answer, FetchError> {
        let end = Instant::now().checked_add(self.limits.total).unwrap_or_else(Instant::now);
        let mut place = request.place.clone();
        let mut redirects = 0usize;
        loop {
            let asked = timeout_at(end, self.ask(&place, request, trust)).await;
            match asked.unwrap_or(Err(Fault::Timeout(Wait::Whole))) {
                Ok(Step::Done(answer)) => return Ok(answer),
                Ok(Step::Elsewhere(target)) => {
                    redirects = redirects.saturating_add(1);
                    let next = if redirects > self.limits.redirects {
                        Err(Fault::Redirects(self.limits.redirects))
                    } else {
                        self.rules.redirect(&place, &target)
                    };
                    place = next.map_err(|fault| FetchError::at(&place, fault))?;
                }
                Err(fault) => return Err(FetchError::at(&place, fault)),
            }
        }
    }

    async fn ask(&self, place: &Place, request: &Request<'_>, trust: &dyn ServerTrust) -> Result<Step, Fault> {
        self.rules.allows(place)?;
        let connect = self.lines.connect(place, &self.rules, trust);
        let stream = within(self.limits.connect, Wait::Connection, connect).await?;
        match place.scheme() {
            Scheme::Http | Scheme::Https => http::ask(stream, place, request, &self.limits).await,
            Scheme::Ldap => ldap::ask(stream, place, request, &self.limits).await.map(Step::Done),
        }
    }
}

/// What one question led to.
enum Step {
    Done(Answer),
    /// The content of a `Location` field.
    Elsewhere(String),
}

/// `work`, unless it takes too long.
async fn within<T>(limit: Duration, wait: Wait, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(Fault::Timeout(wait)))
}

#[cfg(test)]
mod tests;
