//! What other operators may bring: answered at MAIL and RCPT of the exchange port.

use ident::{Address, Timestamp};
use pki::{
    book::BookUse,
    certificate::Certificate,
    path::{Purpose, Verdict},
};

use crate::{
    config::SmimeRule,
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
    trust::Standing,
};

/// Whether a listed operator may write for the sender's domain. The null sender is looked at
/// again with the content (design §3).
///
/// # Errors
/// [`RefusalId::OutsideTrustedSpace`], [`RefusalId::PeerNotForDomain`], [`RefusalId::DomainWaiting`], and those
/// of a block.
pub fn admit_sender(
    snapshot: &Snapshot,
    peer: &Certificate,
    sender: Option<&Address>,
    at: Timestamp,
) -> Result<(), Refusal> {
    let Some(sender) = sender else {
        return Ok(());
    };
    speaks_for(snapshot, peer, sender, at)
}

/// Whether the peer may write from `address`: its domain is listed and names this peer.
///
/// # Errors
/// As [`admit_sender`].
pub fn speaks_for(snapshot: &Snapshot, peer: &Certificate, address: &Address, at: Timestamp) -> Result<(), Refusal> {
    let domain = address.domain();
    snapshot.unblocked(address, at)?;
    match snapshot.standing(domain, at) {
        Standing::Listed | Standing::Granted(_) => {}
        Standing::Waiting(until) => {
            let cause =
                format!("{domain} was struck off by a list that shrank abnormally; its mail waits until {until}");
            return Err(Refusal::new(RefusalId::DomainWaiting, cause).about(domain));
        }
        Standing::Outside => {
            let cause = format!("{domain} is not on the trust list");
            return Err(Refusal::new(RefusalId::OutsideTrustedSpace, cause).about(domain));
        }
    }
    if !snapshot.speaks_for(peer, domain, at) {
        if let Some(until) = snapshot.waits_for(peer, Some(domain), at) {
            let cause = format!("{} lost {domain} to an abnormal change; its mail waits until {until}", peer.subject());
            return Err(Refusal::new(RefusalId::DomainWaiting, cause).about(domain));
        }
        let cause = format!("{} may not speak for {domain}", peer.subject());
        return Err(Refusal::new(RefusalId::PeerNotForDomain, cause).about(domain));
    }
    Ok(())
}

/// Whether the recipient has a mailbox here.
///
/// # Errors
/// [`RefusalId::RelayRefused`], [`RefusalId::RecipientUnknown`], [`RefusalId::RecipientClosed`],
/// [`RefusalId::RecipientMoved`].
pub fn admit_recipient(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<(), Refusal> {
    snapshot.unblocked(to, at)?;
    let Some(own) = snapshot.own(to.domain()) else {
        return Err(Refusal::new(RefusalId::RelayRefused, format!("{} is not served here", to.domain())).about(to));
    };
    match own.registry.mailbox(to) {
        None => Err(Refusal::new(RefusalId::RecipientUnknown, format!("{to} is not in the registry")).about(to)),
        Some(mailbox) => super::recipient::open(snapshot, mailbox),
    }
}

/// Whether mail from this address may come unencrypted, signed or not.
///
/// # Errors
/// [`RefusalId::SealRequired`] when the partner rule asks for sealed mail: a signature alone would be a way around
/// what it asks of ciphers, and what everybody on the way reads (decision 0054).
pub fn admit_unencrypted(snapshot: &Snapshot, from: &Address) -> Result<(), Refusal> {
    let domain = from.domain();
    match snapshot.partners.get(domain).map_or(SmimeRule::Required, |partner| partner.smime) {
        SmimeRule::Required => {
            Err(Refusal::new(RefusalId::SealRequired, format!("unencrypted mail from {domain}")).about(domain))
        }
        SmimeRule::WhenPossible | SmimeRule::Signed | SmimeRule::Never => Ok(()),
    }
}

/// Whether mail from this address may come unsigned.
///
/// # Errors
/// [`RefusalId::SealRequired`] when the partner rule asks for sealed mail: because it says so, or "when
/// possible" for a domain that has, or ever had, a signing certificate in the book or was sealed for.
pub fn admit_unsealed(snapshot: &Snapshot, from: &Address) -> Result<(), Refusal> {
    let domain = from.domain();
    let rule = snapshot.partners.get(domain).map_or(SmimeRule::Required, |partner| partner.smime);
    let known = || snapshot.book.knows(domain, BookUse::Signs) || snapshot.sealed_before.contains(domain);
    let refused = match rule {
        SmimeRule::Required | SmimeRule::Signed => true,
        SmimeRule::WhenPossible => known(),
        SmimeRule::Never => false,
    };
    if refused {
        return Err(Refusal::new(RefusalId::SealRequired, format!("unsealed mail from {domain}")).about(domain));
    }
    Ok(())
}

/// Whether a message of this size is taken from the domain: said at MAIL of what is announced (RFC 1870), and
/// at end of data of what came.
///
/// # Errors
/// [`RefusalId::TooLarge`].
pub fn admit_size(snapshot: &Snapshot, from: &Address, size: u64) -> Result<(), Refusal> {
    let domain = from.domain();
    let most = snapshot.partners.get(domain).and_then(|partner| partner.max_incoming);
    match most {
        Some(most) if size > most.0 => {
            Err(Refusal::new(RefusalId::TooLarge, format!("{size} octets, {} at most from {domain}", most.0))
                .about(domain))
        }
        _ => Ok(()),
    }
}

/// Whether a message that was opened came under algorithms that the partner rule of its author allows. Asked
/// after everything that a failed decryption could look like (H4, H9).
///
/// # Errors
/// [`RefusalId::AlgorithmNotAllowed`].
pub fn admit_encryption(snapshot: &Snapshot, from: &Address, encryption: &mail::Encryption) -> Result<(), Refusal> {
    let Some(partner) = snapshot.partners.get(from.domain()) else { return Ok(()) };
    if partner.allows_cipher(encryption.cipher) && partner.allows_transport(encryption.key_transport) {
        return Ok(());
    }
    let cause = format!("{} with {} from {}", encryption.cipher, encryption.key_transport, from.domain());
    Err(Refusal::new(RefusalId::AlgorithmNotAllowed, cause).about(from.domain()))
}

/// Whether the signer's path follows a policy that the partner rule of the author accepts.
///
/// # Errors
/// [`RefusalId::PolicyNotAccepted`].
pub fn admit_signer(snapshot: &Snapshot, from: &Address, signer: &Certificate, at: Timestamp) -> Result<(), Refusal> {
    let Some(partner) = snapshot.partners.get(from.domain()).filter(|partner| !partner.policies.is_empty()) else {
        return Ok(());
    };
    let mut followed = Vec::new();
    for purpose in [Purpose::Organisation, Purpose::Person, Purpose::Email] {
        if let Verdict::Valid(path) = snapshot.verify(signer, &[], purpose, at) {
            if partner.allows_policies(&path.policies) {
                return Ok(());
            }
            followed = path.policies;
        }
    }
    let cause = format!("{} follows [{}]", signer.subject(), followed.join(", "));
    Err(Refusal::new(RefusalId::PolicyNotAccepted, cause).about(from.domain()))
}
