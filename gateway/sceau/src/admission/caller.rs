//! Who is at the other end of a connection: certificate, identity, and what the directory says.

use ident::{Domain, Timestamp};
use pki::{
    certificate::{Certificate, KeyUsage, usage},
    finding::Finding,
    identity::Identity,
    path::{Purpose, ValidPath, Verdict},
};

use super::cards;
use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
    trust,
};

/// Somebody whose certificate was found valid *now*. Made by [`identify`] only.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The certificate that proves it.
    pub certificate: Certificate,
    /// Whom it names.
    pub identity: Identity,
    /// Domains that the configuration lets this certificate vouch for.
    pub vouches_for: Vec<Domain>,
    /// What the directory added, for the trail.
    pub directory: DirectoryNote,
    /// Revocation data past its date vouched for the certificate, within the configured grace.
    pub within_grace: bool,
}

/// What the directory knows of the holder. Absence is a note, never a refusal (promise 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryNote {
    /// No directory is configured.
    NotConsulted,
    /// The holder is not in the extract.
    Absent,
    /// The holder is there, and nothing is held against them.
    Active,
    /// One of the holder's cards is opposed, another is good, and nothing proves on which the certificate is.
    OppositionUncertain,
}

impl Caller {
    /// What was not certain and let pass all the same, as stable codes for the trail.
    pub fn notes(&self) -> Vec<String> {
        let uncertain = self.directory == DirectoryNote::OppositionUncertain;
        [(uncertain, "card-opposition-uncertain"), (self.within_grace, "revocation-within-grace")]
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, code)| code.to_owned())
            .collect()
    }

    /// For the log and the trail: never a display name alone.
    pub fn describe(&self) -> String {
        match &self.identity {
            Identity::Person(person) => format!("person {}", person.id),
            Identity::Staff(staff) => format!("staff {}", staff.id),
            Identity::Organisation(organisation) => format!("organisation {}", organisation.structure),
            Identity::Server(server) => format!("server {}", server.host),
        }
    }

    /// National identifier, or host name of a server.
    pub fn identifier(&self) -> String {
        match &self.identity {
            Identity::Person(person) => person.id.to_string(),
            Identity::Staff(staff) => staff.id.to_string(),
            Identity::Organisation(organisation) => organisation.structure.to_string(),
            Identity::Server(server) => server.host.to_string(),
        }
    }

    /// Name for readers. A card of other staff may carry a number instead of a name: then that of its structure.
    pub fn name(&self) -> String {
        match &self.identity {
            Identity::Staff(staff) if staff.given.is_none() || staff.family.is_none() => {
                staff.organisation.clone().unwrap_or_else(|| self.identity.display_name())
            }
            other => other.display_name(),
        }
    }

    /// Name of the organisation behind the certificate.
    pub fn organisation_name(&self) -> String {
        match &self.identity {
            Identity::Organisation(organisation) => organisation.name.clone(),
            other => other.display_name(),
        }
    }
}

/// Judges a client certificate at submission, anew at every MAIL FROM.
///
/// # Errors
/// The refusal to answer: no certificate, or one that is invalid, revoked, undetermined or
/// unreadable, or a holder whom the directory no longer lets write.
pub fn identify(snapshot: &Snapshot, chain: &[Certificate], at: Timestamp) -> Result<Caller, Refusal> {
    let (certificate, untrusted) =
        chain.split_first().ok_or_else(|| Refusal::new(RefusalId::CertificateRequired, "no client certificate"))?;
    let identity = Identity::of(certificate).map_err(|e| Refusal::new(RefusalId::IdentityUnknown, e.to_string()))?;
    let purpose = match identity {
        // An inner mail server comes as a client.
        Identity::Server(_) => Purpose::Peer,
        _ => identity.purpose(),
    };
    let path = accept(snapshot.verify(certificate, untrusted, purpose, at))?;
    proves_presence(certificate, purpose)?;
    let vouches_for = snapshot.vouching.get(&certificate.fingerprint()).cloned().unwrap_or_default();
    let registries: Vec<_> = snapshot.domains.values().map(|own| &*own.registry).collect();
    let directory = cards::consult(snapshot.generation.as_deref(), &registries, &identity, at)?;
    let within_grace = path.stale_grace;
    Ok(Caller { certificate: certificate.clone(), identity, vouches_for, directory, within_grace })
}

/// A structure's certificate for signing or reading mail says nothing about who connects.
fn proves_presence(certificate: &Certificate, purpose: Purpose) -> Result<(), Refusal> {
    let usages = certificate.extended_key_usage();
    let client = |oid: &String| [usage::CLIENT_AUTH, usage::SMART_CARD_LOGON, usage::ANY].contains(&oid.as_str());
    let named = purpose == Purpose::Peer || usages.is_none_or(|usages| usages.iter().any(client));
    let signs = certificate.key_usage().is_none_or(|bits| bits.has(KeyUsage::DIGITAL_SIGNATURE));
    if named && signs {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalId::CertificateInvalid,
        format!("{} is not for client authentication", certificate.subject()),
    ))
}

/// Judges the certificate of another operator's server.
///
/// # Errors
/// As [`identify`], and [`RefusalId::PeerNotListed`] when no listed domain names it.
pub fn identify_operator(snapshot: &Snapshot, chain: &[Certificate], at: Timestamp) -> Result<Certificate, Refusal> {
    let (certificate, untrusted) =
        chain.split_first().ok_or_else(|| Refusal::new(RefusalId::CertificateRequired, "no client certificate"))?;
    accept(snapshot.verify(certificate, untrusted, Purpose::Peer, at))?;
    let subject = certificate.subject();
    if snapshot.knows_operator(certificate, at) {
        return Ok(certificate.clone());
    }
    if let Some(until) = snapshot.waits_for(certificate, None, at) {
        let cause = format!("{subject} was struck off by a list that shrank abnormally; its mail waits until {until}");
        return Err(Refusal::new(RefusalId::DomainWaiting, cause));
    }
    Err(Refusal::new(RefusalId::PeerNotListed, format!("{subject} is on no entry of the trust list")))
}

/// Turns a verdict into the refusal that its reason deserves.
pub fn accept(verdict: Verdict) -> Result<ValidPath, Refusal> {
    match verdict {
        Verdict::Valid(path) => Ok(path),
        Verdict::Invalid(finding) => Err(Refusal::new(invalid(&finding), cause(&finding))),
        Verdict::Undetermined(finding) if finding.code == trust::HELD => {
            Err(Refusal::new(RefusalId::BlockedForNow, cause(&finding)))
        }
        Verdict::Undetermined(finding) => Err(Refusal::new(RefusalId::CertificateUndetermined, cause(&finding))),
    }
}

fn invalid(finding: &Finding) -> RefusalId {
    match finding.code {
        "revoked" => RefusalId::CertificateRevoked,
        trust::REFUSED => RefusalId::Blocked,
        "expired" | "not_yet_valid" => RefusalId::CertificateExpired,
        "unknown_issuer" => RefusalId::CertificateUntrusted,
        _ => RefusalId::CertificateInvalid,
    }
}

fn cause(finding: &Finding) -> String {
    let certificate = finding.certificate.as_deref().unwrap_or("certificate");
    let detail = finding.detail.as_ref().map(|detail| format!("; {}", detail.en)).unwrap_or_default();
    format!("{} ({}): {}{detail}", finding.code, certificate, finding.text.en)
}
