//! Relay to another operator: mutual TLS to whom the trust list names for the domain, or nothing.

use std::{sync::Arc, time::Duration};

use ident::{Domain, Fingerprint, Timestamp};
use pki::{
    book::{BookEntry, Standing},
    certificate::Certificate,
    finding::Finding,
    path::{Purpose, Verdict},
};
use smtp::{ClientOptions, Protocol};
use store::Work;
use trail::{SafeText, Tls};

use super::{
    outcome::{Attempt, End},
    route::{Hop, Routes},
    sessions::Sessions,
    stapled,
    talk::{Judge, Line, TalkError},
};
use crate::{
    admission::recipient::may_stay_unsealed, gateway::Gateway, net::tls::TlsFacts, queued, refusal::RefusalId,
    snapshot::Snapshot,
};

/// What was taken unsealed must not leave so any more.
pub(super) const NOW_SEALED: &str = "domain-now-sealed";

/// Tries the servers of a domain in order; the first that takes the mail ends the attempt.
pub(super) async fn attempt(
    gateway: &Arc<Gateway>,
    sessions: &Sessions,
    routes: &Routes,
    work: &Work,
    domain: &Domain,
) -> Attempt {
    let snapshot = gateway.snapshot();
    if let Err(end) = still_allowed(&snapshot, work, domain, gateway.now()) {
        return Attempt::all(work, &end);
    }
    // The trust list names the domain; what DNS says against it is not authenticated and ends nothing.
    let hops = match routes.hops(gateway, &snapshot, domain).await {
        Ok(hops) => hops,
        Err(error) => return Attempt::all(work, &End::temporary("route", error)),
    };
    let body = match queued::as_sent(gateway, work).await {
        Ok(body) => body,
        Err(end) => return Attempt::all(work, &end),
    };
    let mut attempt = Attempt::facts_only(work);
    for hop in hops {
        let mut operator = Operator { snapshot: &snapshot, domain, at: gateway.now(), facts: None };
        let options = ClientOptions::new(snapshot.config.server.hostname.as_str(), Protocol::Smtp);
        let line = Line { address: hop.address, host: &hop.host, identity: &snapshot.tls, options };
        let envelope = queued::envelope(work, |recipient| recipient.address.clone(), Some(body.size));
        let outcome = sessions.carry(&line, &mut operator, envelope, &body).await;
        note(&mut attempt, gateway, &hop, operator.facts.as_ref());
        match outcome {
            Ok(carried) => {
                attempt.peer_reports = carried.peer_reports;
                attempt.answers(work, &carried.outcomes, |recipient| recipient.address.clone());
                return attempt;
            }
            Err(error) => attempt.tried(work, failure(&error)),
        }
    }
    attempt
}

fn failure(error: &TalkError) -> End {
    let code = match error {
        TalkError::Connect(..) => "unreachable",
        TalkError::Session(_) => "session",
        TalkError::Peer(_) => "peer-not-trusted",
    };
    End::temporary(code, error)
}

fn note(attempt: &mut Attempt, gateway: &Gateway, hop: &Hop, tls: Option<&TlsFacts>) {
    attempt.facts.host = Some(hop.host.clone());
    attempt.facts.address = Some(hop.address.to_string());
    attempt.facts.tls = tls.map(|facts| Tls {
        version: facts.version.clone(),
        cipher: facts.cipher.clone(),
        peer: facts.peer.first().map(Certificate::fingerprint),
    });
    attempt.facts.operator = tls
        .and_then(|facts| facts.peer.first())
        .map(|peer| -> SafeText { gateway.masker.text(&peer.subject().to_string()) });
}

/// Each attempt asks again: is the domain still trusted, and are the certificates that the
/// message was sealed for still good (design §3)?
fn still_allowed(snapshot: &Snapshot, work: &Work, domain: &Domain, at: Timestamp) -> Result<(), End> {
    if !snapshot.trusts(domain, at) {
        let id = RefusalId::OutsideTrustedSpace.row().id;
        return Err(End::permanent(id, format!("{domain} is no longer on the trust list")));
    }
    let sealed = work.body.profile.as_deref().is_some_and(|profile| profile != queued::SIGNED_ONLY);
    if let Some(to) = work.recipients.iter().find(|to| !sealed && !may_stay_unsealed(snapshot, &to.address)) {
        let why = format!("{} is sealed for now, and this message was taken unsealed", to.address.domain());
        return Err(End::permanent(NOW_SEALED, why));
    }
    for fingerprint in queued::Notes::of(work).readers(work) {
        let entry = still_known(snapshot, fingerprint)?;
        still_reads(snapshot, &entry.certificate, work.info.accepted, at)?;
    }
    Ok(())
}

/// Whether what was taken at a moment, sealed for this certificate, may still go. Its last day may come while
/// the message waits: the partner's archived key still opens it. So it is judged as it stood at its end, if it
/// was in force when we took charge; else it waits for news. What was revoked is revoked.
///
/// # Errors
/// The end of the attempt.
pub fn still_reads(
    snapshot: &Snapshot,
    certificate: &Certificate,
    accepted: Timestamp,
    at: Timestamp,
) -> Result<(), End> {
    let by_day = |finding: &Finding| matches!(finding.code, "expired" | "not_yet_valid");
    let verify = |at| snapshot.verify(certificate, &[], Purpose::Organisation, at);
    let last = certificate.not_after().minus(Duration::from_secs(1));
    let (finding, verdict) = match verify(at) {
        Verdict::Invalid(finding) if by_day(&finding) && accepted <= last => (Some(finding), verify(at.min(last))),
        verdict => (None, verdict),
    };
    match verdict {
        Verdict::Valid(_) => Ok(()),
        Verdict::Undetermined(found) => {
            let id = RefusalId::RecipientCertificateUndetermined.row().id;
            Err(End::temporary(id, finding.unwrap_or(found)))
        }
        Verdict::Invalid(found) if by_day(&found) => {
            Err(End::temporary(RefusalId::RecipientCertificateAwaited.row().id, found))
        }
        Verdict::Invalid(found) => Err(End::permanent(RefusalId::RecipientCertificateInvalid.row().id, found)),
    }
}

/// The certificate that a message was sealed for, in whatever standing it still may be delivered.
fn still_known(snapshot: &Snapshot, fingerprint: Fingerprint) -> Result<&BookEntry, End> {
    let gone = |what: &str| {
        // Whoever took it out of the book had a reason, and nothing is left to judge it by.
        let id = RefusalId::RecipientCertificateInvalid.row().id;
        Err(End::permanent(id, format!("the certificate {fingerprint} {what}")))
    };
    match snapshot.book.lookup(fingerprint) {
        None => gone("is no longer in the book"),
        Some((_, Standing::Rejected)) => gone("was rejected by the operator"),
        // Its partner lists nothing in its place: nobody may be able to read it. It waits for news.
        Some((_, Standing::Withdrawn)) => Err(End::temporary(
            RefusalId::RecipientCertificateAwaited.row().id,
            format!("the partner lists the certificate {fingerprint} no more, and no other"),
        )),
        // A former one too: what was sealed while it was in force is still read (NT-P03).
        Some((entry, _)) => Ok(entry),
    }
}

/// The peer must hold a valid server certificate that the trust list names for the domain (REL-5).
pub(super) struct Operator<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) domain: &'a Domain,
    pub(super) at: Timestamp,
    pub(super) facts: Option<TlsFacts>,
}

impl Judge for Operator<'_> {
    fn judge(&mut self, facts: &TlsFacts) -> Result<(), String> {
        self.facts = Some(facts.clone());
        let (leaf, untrusted) = facts.peer.split_first().ok_or("the server showed no certificate")?;
        let validator = &self.snapshot.validator;
        let stapled = facts.stapled.as_deref();
        let verdict = stapled::verify(validator, leaf, untrusted, stapled, Purpose::Server, self.at);
        match self.snapshot.unless_blocked(verdict, leaf, self.at) {
            Verdict::Valid(_) => {}
            Verdict::Invalid(finding) | Verdict::Undetermined(finding) => {
                return Err(format!("the server's certificate: {finding}"));
            }
        }
        if !self.snapshot.speaks_for(leaf, self.domain, self.at) {
            return Err(format!("the trust list does not name {} for {}", leaf.subject(), self.domain));
        }
        Ok(())
    }
}
