//! Facts of this crate in the words of the trail.

use pki::{certificate::Certificate, identity::Identity};
use trail::{ConnectionFacts, IdentityKind, Masker, Speaker, Tls};

use crate::{admission::caller::Caller, gateway::Gateway, net::session::Peer, refusal::Refusal};

/// A connection.
pub fn connection(masker: &Masker, peer: &Peer, listener: &str) -> ConnectionFacts {
    ConnectionFacts {
        peer: peer.address.to_string(),
        listener: listener.to_owned(),
        hello: peer.hello.as_deref().map(|name| masker.text(name)),
        tls: peer.tls.as_ref().map(|facts| Tls {
            version: facts.version.clone(),
            cipher: facts.cipher.clone(),
            peer: facts.peer.first().map(Certificate::fingerprint),
        }),
    }
}

/// Somebody who was identified at submission.
pub fn speaker(masker: &Masker, caller: &Caller, assurance: Option<&str>) -> Speaker {
    let kind = match &caller.identity {
        Identity::Person(_) => IdentityKind::Person,
        Identity::Staff(_) => IdentityKind::Staff,
        Identity::Organisation(_) | Identity::Server(_) => IdentityKind::Organisation,
    };
    Speaker {
        kind,
        id: masker.text(&caller.identifier()),
        name: masker.text(&caller.name()),
        certificate: Some(caller.certificate.fingerprint()),
        assurance: assurance.map(str::to_owned),
        notes: caller.notes(),
    }
}

/// Another operator's server.
pub fn operator(masker: &Masker, certificate: &Certificate) -> Speaker {
    let (id, name) = match Identity::of(certificate) {
        Ok(Identity::Server(server)) => (server.host.clone(), server.name.unwrap_or_default()),
        _ => (certificate.subject().to_string(), String::new()),
    };
    Speaker {
        kind: IdentityKind::Operator,
        id: masker.text(&id),
        name: masker.text(&name),
        certificate: Some(certificate.fingerprint()),
        assurance: None,
        notes: Vec::new(),
    }
}

/// A refusal: what was said, and what was not.
pub fn refusal(gateway: &Gateway, refusal: &Refusal) -> trail::Refusal {
    let help = gateway.snapshot().config.operator.help.clone();
    trail::Refusal {
        reason: refusal.id.row().id.to_owned(),
        temporary: refusal.is_temporary(),
        reply: gateway.masker.text(&refusal.reply(&help).summary(300)),
        detail: Some(gateway.masker.text(&refusal.cause)),
    }
}
