//! Connects to a partner's servers exactly as a delivery would, and tells what they show. No mail is sent and
//! nothing is written down.

use ident::{Domain, Fingerprint, Timestamp};
use pki::{certificate::Certificate, ocsp::OcspAnswer};
use serde::Serialize;
use smtp::{ClientOptions, Protocol};

use super::{
    relay::Operator,
    route::{Hop, Routes},
    talk::{Line, Session, TalkError},
};
use crate::{net::tls::TlsFacts, snapshot::Snapshot};

/// What was found out about a partner.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// The domain.
    pub domain: Domain,
    /// Whether the trust list (or an exception) names it: only then is anybody asked.
    pub listed: bool,
    /// Operators that speak for it.
    pub operators: Vec<String>,
    /// An order that stops its mail, in words.
    pub blocked: Option<String>,
    /// Whether the configuration says where it is; else DNS does.
    pub configured_route: bool,
    /// Why no server was found.
    pub route_error: Option<String>,
    /// Its servers, in the order in which they are tried.
    pub servers: Vec<Server>,
}

/// How one server presented itself.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Name said in TLS.
    pub host: String,
    /// Where it was asked.
    pub address: String,
    /// What became of it.
    pub state: State,
    /// Why, unless it is trusted.
    pub why: Option<String>,
    /// What TLS showed.
    pub tls: Option<Shown>,
    /// What it announced after TLS.
    pub announced: Option<Announced>,
}

/// What a delivery would do with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It would get our mail.
    Trusted,
    /// It showed itself, and would get nothing.
    Refused,
    /// There is no connection, or no session with TLS.
    Unreachable,
}

/// What a TLS handshake showed.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// `TLSv1.3` and its like.
    pub version: String,
    /// Cipher suite.
    pub cipher: String,
    /// Subject of its certificate.
    pub subject: Option<String>,
    /// Issuer of it.
    pub issuer: Option<String>,
    /// SHA-256 of it.
    pub sha256: Option<Fingerprint>,
    /// When it ends.
    pub not_after: Option<Timestamp>,
    /// Whether it promises a stapled answer (RFC 7633).
    pub must_staple: bool,
    /// Who signed the OCSP answer that it showed.
    pub stapled_by: Option<String>,
}

/// What a server announced.
#[derive(Debug, Clone, Serialize)]
pub struct Announced {
    /// Largest message in octets.
    pub size: Option<u64>,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// DSN.
    pub dsn: bool,
}

impl Probe {
    /// Whether a message would find a server that may have it.
    pub fn is_reachable(&self) -> bool {
        self.blocked.is_none() && self.servers.iter().any(|server| server.state == State::Trusted)
    }
}

/// Asks every server of a listed domain. Nobody is asked about a domain that we would not write to.
pub async fn probe(snapshot: &Snapshot, domain: &Domain, at: Timestamp) -> Probe {
    let about = |block: &crate::trust::Block| matches!(&block.target, crate::trust::Target::Domain(it) if it == domain);
    let block = snapshot.orders.blocks().iter().find(|block| block.holds(at) && about(block));
    let mut found = Probe {
        domain: domain.clone(),
        listed: snapshot.trusts(domain, at),
        operators: snapshot.operators(domain, at).map(ToString::to_string).collect(),
        blocked: block.map(|block| format!("{} is blocked until {}", block.target, block.until)),
        configured_route: snapshot.config.routes.iter().any(|route| route.domain == *domain),
        route_error: None,
        servers: Vec::new(),
    };
    if !found.listed {
        return found;
    }
    match Routes::new().look(snapshot, domain).await {
        Ok(hops) => {
            for hop in hops {
                found.servers.push(ask(snapshot, domain, &hop, at).await);
            }
        }
        Err(error) => found.route_error = Some(error.to_string()),
    }
    found
}

async fn ask(snapshot: &Snapshot, domain: &Domain, hop: &Hop, at: Timestamp) -> Server {
    let mut operator = Operator { snapshot, domain, at, facts: None };
    let options = ClientOptions::new(snapshot.config.server.hostname.as_str(), Protocol::Smtp);
    let line = Line { address: hop.address, host: &hop.host, identity: &snapshot.tls, options };
    let outcome = Session::open(&line, &mut operator).await;
    let (state, why, announced) = match outcome {
        Ok(session) => {
            let announced = announced(&session);
            session.quit().await;
            (State::Trusted, None, Some(announced))
        }
        Err(error @ TalkError::Peer(_)) if operator.facts.is_some() => (State::Refused, Some(error.to_string()), None),
        Err(error) => (State::Unreachable, Some(error.to_string()), None),
    };
    let (host, address) = (hop.host.clone(), hop.address.to_string());
    Server { host, address, state, why, tls: operator.facts.as_ref().map(shown), announced }
}

fn announced(session: &Session) -> Announced {
    let it = session.capabilities();
    Announced { size: it.max_size, smtputf8: it.smtputf8, require_tls: it.require_tls, dsn: it.dsn }
}

fn shown(facts: &TlsFacts) -> Shown {
    let leaf = facts.peer.first();
    let stapled = facts.stapled.as_deref().and_then(|der| OcspAnswer::from_der(der).ok());
    Shown {
        version: facts.version.clone(),
        cipher: facts.cipher.clone(),
        subject: leaf.map(|it| it.subject().to_string()),
        issuer: leaf.map(|it| it.issuer().to_string()),
        sha256: leaf.map(Certificate::fingerprint),
        not_after: leaf.map(Certificate::not_after),
        must_staple: leaf.is_some_and(Certificate::must_staple),
        stapled_by: stapled.map(|answer| answer.responder()),
    }
}
