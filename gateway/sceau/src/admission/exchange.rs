//! What other operators may bring: answered at MAIL and RCPT of the exchange port.

use ident::{Address, Timestamp};
use pki::certificate::Certificate;

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
/// [`RefusalId::RelayRefused`], [`RefusalId::RecipientUnknown`].
pub fn admit_recipient(snapshot: &Snapshot, to: &Address, at: Timestamp) -> Result<(), Refusal> {
    snapshot.unblocked(to, at)?;
    let Some(own) = snapshot.own(to.domain()) else {
        return Err(Refusal::new(RefusalId::RelayRefused, format!("{} is not served here", to.domain())).about(to));
    };
    if own.registry.mailbox(to).is_none() {
        return Err(Refusal::new(RefusalId::RecipientUnknown, format!("{to} is not in the registry")).about(to));
    }
    Ok(())
}

/// Whether mail from this address may come unsealed.
///
/// # Errors
/// [`RefusalId::SealRequired`] when the partner rule, or its absence with a signing certificate in
/// the book, asks for sealed mail.
pub fn admit_unsealed(snapshot: &Snapshot, from: &Address) -> Result<(), Refusal> {
    let rule = snapshot.partners.get(from.domain()).map_or(SmimeRule::Required, |partner| partner.smime);
    let held = !snapshot.book.signers(from.domain()).is_empty();
    let refused = match rule {
        SmimeRule::Required => true,
        SmimeRule::WhenPossible => held,
        SmimeRule::Never => false,
    };
    if refused {
        return Err(
            Refusal::new(RefusalId::SealRequired, format!("unsealed mail from {}", from.domain())).about(from.domain())
        );
    }
    Ok(())
}
