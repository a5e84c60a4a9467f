//! Where a recipient's mail goes, and under which protection: answered at RCPT.

use annuaire::RegisteredMailbox;
use ident::{Address, Domain, Timestamp};
use pki::{
    book::{BookEntry, BookUse},
    certificate::Certificate,
    path::{Purpose, Verdict},
};
use serde::Serialize;

use super::form::{Form, FormRule};
use crate::{
    capabilities,
    config::SmimeRule,
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
    trust::Standing,
};

/// A recipient that may be written to. Made by [`admit_recipient`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedRecipient {
    /// What was asked for, in RCPT.
    pub asked: Address,
    /// Where the mail finally goes: a registry redirection is already followed.
    pub address: Address,
    /// Which way.
    pub destination: Destination,
    /// Under which protection.
    pub protection: Protection,
    /// Rule that chose the protection, for `explain` and the trail.
    pub rule: &'static str,
    /// What chose its form; none: it is not sealed.
    pub form_rule: Option<FormRule>,
    /// Largest message, as it goes out, that the partner takes.
    pub max_size: Option<u64>,
}

/// Which way a recipient's mail goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A mailbox of ours behind the inner server of this domain.
    Own(Domain),
    /// Another operator of the trusted space.
    Operator(Domain),
}

/// How the message is protected on its way and at rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Protection {
    /// Signed and encrypted for these certificates.
    Sealed {
        /// Form of the sealed message.
        form: Form,
        /// All readers of the domain or address that are valid now.
        certificates: Vec<Certificate>,
    },
    /// Signed over mutual TLS; at rest under the storage key.
    Signed,
    /// Unmodified over mutual TLS; at rest under the storage key.
    Transport,
}

/// Decides about one recipient.
///
/// # Errors
/// The refusal to answer at RCPT.
pub fn admit_recipient(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<AdmittedRecipient, Refusal> {
    let refuse = |id, cause: String| Err(Refusal::new(id, cause).about(to));
    snapshot.unblocked(to, at)?;
    if let Some(own) = snapshot.own(to.domain()) {
        let Some(mailbox) = own.registry.mailbox(to) else {
            return refuse(RefusalId::RecipientUnknown, format!("{to} is not in the registry"));
        };
        open(snapshot, mailbox)?;
        return match &mailbox.redirect {
            // One hop only: a redirection of a redirection would be a loop in disguise.
            Some(target) => redirected(snapshot, target, at)
                .map(|admitted| AdmittedRecipient { asked: to.clone(), ..admitted })
                .map_err(|refusal| refusal.about(to)),
            None => {
                let (form, why) = Form::choose(None, None);
                Ok(AdmittedRecipient {
                    asked: to.clone(),
                    address: mailbox.address.clone(),
                    destination: Destination::Own(own.name.clone()),
                    protection: Protection::Sealed {
                        form,
                        certificates: own.reading_certificate_at(at).cloned().into_iter().collect(),
                    },
                    rule: "own-domain",
                    form_rule: Some(why),
                    max_size: None,
                })
            }
        };
    }
    if let Some(block) = snapshot.block_of_operators(to.domain(), at) {
        return Err(block.refusal().about(to));
    }
    // What was struck off by a list that shrank abnormally is not written to, but mail for it waits in the
    // queue (decision 0017).
    if snapshot.standing(to.domain(), at) == Standing::Outside {
        return refuse(RefusalId::OutsideTrustedSpace, format!("{} is not on the trust list", to.domain()));
    }
    let (protection, rule, form_rule) = protection(snapshot, to, at).map_err(|refusal| refusal.about(to))?;
    let partner = snapshot.partners.get(to.domain());
    Ok(AdmittedRecipient {
        asked: to.clone(),
        address: to.clone(),
        destination: Destination::Operator(to.domain().clone()),
        protection,
        rule,
        form_rule,
        max_size: partner.and_then(|partner| partner.max_size).map(|size| size.0),
    })
}

/// Whether a mailbox of ours takes mail. Whoever writes to a closed one is told since when, and who takes over.
pub(super) fn open(snapshot: &Snapshot, mailbox: &RegisteredMailbox) -> Result<(), Refusal> {
    let Some(closed) = &mailbox.closed else { return Ok(()) };
    let address = &mailbox.address;
    let since = closed.since.rfc3339();
    let day = since.get(..10).unwrap_or(&since);
    let cause = format!("{address} is closed since {since}");
    // A successor on the red list is not spoken of.
    let successor = closed.successor.as_ref().filter(|next| !snapshot.registry.is_red(&next.key()));
    Err(match successor {
        Some(next) => Refusal::new(RefusalId::RecipientMoved, cause).about(format!("{address}, {day}: {next}")),
        None => Refusal::new(RefusalId::RecipientClosed, cause).about(format!("{address}, {day}")),
    })
}

fn redirected(snapshot: &Snapshot, target: &Address, at: Timestamp) -> Result<AdmittedRecipient, Refusal> {
    match snapshot.own(target.domain()).and_then(|own| own.registry.mailbox(target)) {
        Some(mailbox) if mailbox.redirect.is_some() => {
            Err(Refusal::new(RefusalId::Loop, format!("redirection to {target}, which is itself redirected")))
        }
        // Whose box it is that is closed is not told to those who wrote to another.
        Some(mailbox) if !mailbox.is_open() => {
            Err(Refusal::new(RefusalId::RecipientClosed, format!("redirection to {target}, which is closed")))
        }
        _ => admit_recipient(snapshot, target, at),
    }
}

/// Protection, the rule that chose it, and what chose its form.
type Protected = (Protection, &'static str, Option<FormRule>);

/// The partner rule; the default is that mail is sealed or not sent.
fn protection(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<Protected, Refusal> {
    let partner = snapshot.partners.get(to.domain());
    match partner.map_or(SmimeRule::Required, |partner| partner.smime) {
        SmimeRule::Never => Ok((Protection::Transport, "partner-never-sealed", None)),
        SmimeRule::Signed => Ok((Protection::Signed, "partner-signed-only", None)),
        SmimeRule::WhenPossible if !seals(snapshot, to) => {
            Ok((Protection::Transport, "partner-without-certificate", None))
        }
        SmimeRule::WhenPossible | SmimeRule::Required => {
            let certificates = readers(snapshot, to, at)?;
            let sealed_for = |reader: &&BookEntry| certificates.contains(&reader.certificate);
            let told = capabilities::told(snapshot, snapshot.book.readers(to).into_iter().filter(sealed_for), at);
            let (form, why) = Form::choose(partner, told.as_ref());
            let rule = if partner.is_some() { "partner-sealed" } else { "default-sealed" };
            Ok((Protection::Sealed { form, certificates }, rule, Some(why)))
        }
    }
}

/// Whether what was taken unsealed for a recipient may still leave so: a rule, a certificate or a first sealed
/// message may have come while it waited (promise 2).
pub fn may_stay_unsealed(snapshot: &Snapshot, to: &Address) -> bool {
    match snapshot.partners.get(to.domain()).map_or(SmimeRule::Required, |partner| partner.smime) {
        SmimeRule::Never | SmimeRule::Signed => true,
        SmimeRule::WhenPossible => !seals(snapshot, to),
        SmimeRule::Required => false,
    }
}

/// Whether "when possible" means sealed. It asks whether a certificate is held or ever was, not whether it is
/// good today: a domain whose certificate expired, was revoked or vanished is not silently downgraded (promise 2).
fn seals(snapshot: &Snapshot, to: &Address) -> bool {
    !snapshot.book.readers(to).is_empty() || was_sealed(snapshot, to.domain())
}

/// Whether mail for the domain was ever sealed, or a certificate to seal for it approved.
fn was_sealed(snapshot: &Snapshot, domain: &Domain) -> bool {
    snapshot.sealed_before.contains(domain) || snapshot.book.knows(domain, BookUse::Reads)
}

/// The certificates that may be used now; one good one among bad ones is enough (NT-T10). None: the most
/// hopeful of the reasons, and "all invalid" is told apart from "none found" (NT-D02).
fn readers(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<Vec<Certificate>, Refusal> {
    let (mut certificates, mut refusals) = (Vec::new(), Vec::new());
    for entry in snapshot.book.readers(to) {
        match usable(snapshot, to.domain(), entry, at) {
            Ok(()) => certificates.push(entry.certificate.clone()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    let waiting = snapshot.book.waiting(to, BookUse::Reads).next();
    let awaited = |cause: String| Refusal::new(RefusalId::RecipientCertificateAwaited, cause);
    if let Some(waiting) = waiting {
        refusals.push(awaited(format!("{} waits for approval", waiting.certificate.fingerprint())));
    } else if refusals.is_empty() && was_sealed(snapshot, to.domain()) {
        refusals.push(awaited(format!("{} was sealed for before, and no certificate is in force", to.domain())));
    }
    let none = || Refusal::new(RefusalId::NoCertificateForRecipient, "the book holds no reading certificate");
    Err(refusals.into_iter().min_by_key(|refusal| despair(refusal.id)).unwrap_or_else(none))
}

/// How little hope a reason leaves: what may pass by itself comes before what a person has to mend.
fn despair(id: RefusalId) -> u8 {
    match id {
        RefusalId::RecipientCertificateUndetermined => 0,
        RefusalId::RecipientCertificateAwaited => 1,
        RefusalId::PolicyNotAccepted | RefusalId::AlgorithmNotAllowed => 2,
        _ => 3,
    }
}

/// Whether mail may be sealed for this certificate, now and under the rule of its domain.
///
/// # Errors
/// Why not; what cannot be determined is not used either.
pub(crate) fn usable(snapshot: &Snapshot, domain: &Domain, entry: &BookEntry, at: Timestamp) -> Result<(), Refusal> {
    let certificate = &entry.certificate;
    let refuse = |id, cause: String| Err(Refusal::new(id, format!("{}: {cause}", certificate.subject())));
    // A signing certificate of a split pair reads nothing (NT-T09).
    if !certificate.may_encrypt() {
        return refuse(RefusalId::RecipientCertificateInvalid, "is not for encryption".to_owned());
    }
    let partner = snapshot.partners.get(domain);
    if partner.is_some_and(|partner| !partner.allows_key(certificate.key())) {
        return refuse(RefusalId::AlgorithmNotAllowed, "its key fits none of the allowed key transports".to_owned());
    }
    match snapshot.verify(certificate, &[], Purpose::Organisation, at) {
        Verdict::Valid(path) if partner.is_some_and(|partner| !partner.allows_policies(&path.policies)) => {
            refuse(RefusalId::PolicyNotAccepted, format!("follows [{}]", path.policies.join(", ")))
        }
        Verdict::Valid(_) => Ok(()),
        Verdict::Undetermined(finding) => refuse(RefusalId::RecipientCertificateUndetermined, finding.to_string()),
        // Its successor is on the way, or its day is to come: the mail waits, it does not come back.
        Verdict::Invalid(finding) if matches!(finding.code, "expired" | "not_yet_valid") => {
            refuse(RefusalId::RecipientCertificateAwaited, finding.to_string())
        }
        Verdict::Invalid(finding) => refuse(RefusalId::RecipientCertificateInvalid, finding.to_string()),
    }
}
