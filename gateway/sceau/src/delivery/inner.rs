//! Delivery inwards: opens what was kept sealed, adds the verdict, hands over by LMTP or SMTP.

use std::sync::Arc;

use ident::Domain;
use smtp::{ClientOptions, Protocol, TlsUse};
use store::Work;

use super::{
    outcome::{Attempt, End},
    sessions::Sessions,
    talk::{Inside, Line},
};
use crate::{config::InnerProtocol, gateway::Gateway, queued};

/// Tries to deliver to the inner mail server of one of our domains.
pub(super) async fn attempt(gateway: &Arc<Gateway>, sessions: &Sessions, work: &Work, domain: &Domain) -> Attempt {
    let snapshot = gateway.snapshot();
    let Some(own) = snapshot.own(domain) else {
        return Attempt::all(work, &End::temporary("domain-not-served", "the configuration no longer has this domain"));
    };
    let message = match queued::readable(gateway, work).await {
        Ok(message) => message,
        Err(fault) => return Attempt::all(work, &fault),
    };
    let inner_address = |recipient: &store::Recipient| {
        let mailbox = own.registry.mailbox(&recipient.address);
        mailbox.and_then(|mailbox| mailbox.inner_address.clone()).unwrap_or_else(|| recipient.address.clone())
    };
    let protocol = match own.inner.protocol {
        InnerProtocol::Lmtp => Protocol::Lmtp,
        InnerProtocol::Smtp => Protocol::Smtp,
    };
    let mut options = ClientOptions::new(snapshot.config.server.hostname.as_str(), protocol);
    options.tls = if own.inner_certificate.is_some() { TlsUse::Required } else { TlsUse::IfOffered };
    let host = own.inner.address.ip().to_string();
    let line = Line { address: own.inner.address, host: &host, identity: &snapshot.tls, options };
    let envelope = queued::envelope(work, inner_address, Some(message.size));
    let mut attempt = Attempt::facts_only(work);
    attempt.facts.address = Some(own.inner.address.to_string());
    match sessions.carry(&line, &mut Inside(own.inner_certificate), envelope, &message).await {
        Ok(carried) => attempt.answers(work, &carried.outcomes, inner_address),
        Err(error) => {
            let end = End::temporary("inner-server", error);
            work.recipients.iter().for_each(|recipient| attempt.set(recipient, end.clone()));
        }
    }
    attempt
}
