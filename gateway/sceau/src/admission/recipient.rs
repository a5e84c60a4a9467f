//! Where a recipient's mail goes, and under which protection: answered at RCPT.

use ident::{Address, Domain, Timestamp};
use pki::{
    book::BookEntry,
    certificate::Certificate,
    path::{Purpose, Verdict},
};
use serde::Serialize;

use crate::{
    config::{SealProfile, SmimeRule},
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
        profile: SealProfile,
        /// All readers of the domain or address that are valid now.
        certificates: Vec<Certificate>,
    },
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
        return match &mailbox.redirect {
            // One hop only: a redirection of a redirection would be a loop in disguise.
            Some(target) => redirected(snapshot, target, at)
                .map(|admitted| AdmittedRecipient { asked: to.clone(), ..admitted })
                .map_err(|refusal| refusal.about(to)),
            None => Ok(AdmittedRecipient {
                asked: to.clone(),
                address: mailbox.address.clone(),
                destination: Destination::Own(own.name.clone()),
                protection: Protection::Sealed {
                    profile: SealProfile::Gateway,
                    certificates: vec![own.reading_certificate()],
                },
                rule: "own-domain",
                max_size: None,
            }),
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
    let (protection, rule) = protection(snapshot, to, at).map_err(|refusal| refusal.about(to))?;
    Ok(AdmittedRecipient {
        asked: to.clone(),
        address: to.clone(),
        destination: Destination::Operator(to.domain().clone()),
        protection,
        rule,
        max_size: snapshot.partners.get(to.domain()).and_then(|partner| partner.max_size).map(|size| size.0),
    })
}

fn redirected(snapshot: &Snapshot, target: &Address, at: Timestamp) -> Result<AdmittedRecipient, Refusal> {
    match snapshot.own(target.domain()).and_then(|own| own.registry.mailbox(target)) {
        Some(mailbox) if mailbox.redirect.is_some() => {
            Err(Refusal::new(RefusalId::Loop, format!("redirection to {target}, which is itself redirected")))
        }
        _ => admit_recipient(snapshot, target, at),
    }
}

/// The partner rule; the default is that mail is sealed or not sent.
fn protection(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<(Protection, &'static str), Refusal> {
    let partner = snapshot.partners.get(to.domain());
    let readers = snapshot.book.readers(to);
    match partner.map_or(SmimeRule::Required, |partner| partner.smime) {
        SmimeRule::Never => Ok((Protection::Transport, "partner-never-sealed")),
        // "When possible" asks whether a certificate is held, not whether it is good today: a domain
        // whose certificate expired or was revoked is not silently downgraded (promise 2).
        SmimeRule::WhenPossible if readers.is_empty() && !snapshot.sealed_before.contains(to.domain()) => {
            Ok((Protection::Transport, "partner-without-certificate"))
        }
        SmimeRule::WhenPossible | SmimeRule::Required => {
            let certificates = valid_readers(snapshot, &readers, at)?;
            let profile = partner.map(|partner| partner.profile).unwrap_or_default();
            Ok((
                Protection::Sealed { profile, certificates },
                if partner.is_some() { "partner-sealed" } else { "default-sealed" },
            ))
        }
    }
}

/// The certificates that are valid now; one good one among bad ones is enough (NT-T10).
fn valid_readers(snapshot: &Snapshot, readers: &[&BookEntry], at: Timestamp) -> Result<Vec<Certificate>, Refusal> {
    let mut certificates = Vec::new();
    let mut refusal = Refusal::new(RefusalId::NoCertificateForRecipient, "the book holds no reading certificate");
    for reader in readers {
        // A signing certificate of a split pair reads nothing (NT-T09).
        if !reader.certificate.may_encrypt() {
            refusal = Refusal::new(
                RefusalId::RecipientCertificateInvalid,
                format!("{} is not for encryption", reader.certificate.subject()),
            );
            continue;
        }
        match snapshot.verify(&reader.certificate, &[], Purpose::Organisation, at) {
            Verdict::Valid(_) => certificates.push(reader.certificate.clone()),
            Verdict::Undetermined(finding) => {
                refusal = Refusal::new(
                    RefusalId::RecipientCertificateUndetermined,
                    format!("{}: {}", finding.code, finding.text.en),
                );
            }
            Verdict::Invalid(finding) if refusal.id != RefusalId::RecipientCertificateUndetermined => {
                refusal = Refusal::new(
                    RefusalId::RecipientCertificateInvalid,
                    format!("{}: {}", finding.code, finding.text.en),
                );
            }
            Verdict::Invalid(_) => {}
        }
    }
    if certificates.is_empty() { Err(refusal) } else { Ok(certificates) }
}
