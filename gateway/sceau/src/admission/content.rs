//! The whole message, judged at end of data: it is taken for everybody or for nobody.

use ident::{Address, Timestamp};
use mail::Facts;

use super::{
    recipient::{AdmittedRecipient, Protection, admit_recipient},
    rights::Granted,
    strength,
};
use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// `Received` headers after which a message is looping (LP1).
pub const MAX_RECEIVED: usize = 50;

/// What holds for the whole message, and what has to be done to its headers before sealing.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentDecision {
    /// `Sender` header to add: the delegate's own address.
    pub add_sender: Option<Address>,
    /// The recipients, admitted anew, in their order.
    pub recipients: Vec<AdmittedRecipient>,
}

/// Judges the headers of a submitted message against the envelope already admitted.
///
/// # Errors
/// The refusal for the whole message.
pub fn admit_content(
    snapshot: &Snapshot,
    granted: &Granted,
    recipients: &[AdmittedRecipient],
    facts: &Facts,
    size: u64,
    at: Timestamp,
) -> Result<ContentDecision, Refusal> {
    if !facts.from.same_mailbox(&granted.mailbox) {
        let cause = format!("From {} but envelope {}", facts.from, granted.mailbox);
        return Err(Refusal::new(RefusalId::FromDiffers, cause).about(&facts.from));
    }
    check_loop(facts)?;
    snapshot.unblocked(&granted.mailbox, at)?;
    let add_sender = sender_header(granted, facts)?;
    let mut fresh = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        // The world may have changed since RCPT: a domain struck off, a certificate revoked or come in.
        let recipient = admit_recipient(snapshot, &recipient.asked, at)?;
        check_announced(&recipient, Some(size))?;
        fresh.push(recipient);
    }
    strength::check(snapshot.config.seal.mixed_strength, &fresh)?;
    Ok(ContentDecision { add_sender, recipients: fresh })
}

/// Refuses a message that has been through too many servers.
///
/// # Errors
/// [`RefusalId::Loop`].
pub fn check_loop(facts: &Facts) -> Result<(), Refusal> {
    if facts.received > MAX_RECEIVED {
        return Err(Refusal::new(RefusalId::Loop, format!("{} Received headers", facts.received)));
    }
    Ok(())
}

/// `Sender` names the delegate or nobody; when a delegate left it out, we add it.
fn sender_header(granted: &Granted, facts: &Facts) -> Result<Option<Address>, Refusal> {
    match &facts.sender {
        // A delegate who has an address of their own names it: `Sender` is all that recipients without
        // S/MIME, and readers of RFC 5322, see of the delegation.
        Some(sender) if granted.delegate_mailboxes.is_empty() && sender.same_mailbox(&granted.mailbox) => Ok(None),
        Some(sender) if granted.delegate_mailboxes.iter().any(|own| own.same_mailbox(sender)) => Ok(None),
        Some(sender) => {
            Err(Refusal::new(RefusalId::SenderHeader, format!("Sender {sender} is not the holder's")).about(sender))
        }
        None => Ok(granted.delegate_mailboxes.first().cloned()),
    }
}

/// Size as it will leave, at most.
pub fn size_on_the_wire(protection: &Protection, size: u64, facts: &Facts) -> u64 {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let named = count(facts.to.len().saturating_add(facts.cc.len()));
    match protection {
        Protection::Transport => size,
        Protection::Signed => mail::size_bound(mail::Profile::SignedOnly, size, named, 0),
        Protection::Sealed { form, certificates } => {
            mail::size_bound(form.profile.of_mail(), size, named, count(certificates.len()))
        }
    }
}

/// Size as it will leave, at least.
fn least_on_the_wire(protection: &Protection, size: u64) -> u64 {
    match protection {
        Protection::Transport => size,
        Protection::Signed => mail::size_floor(mail::Profile::SignedOnly, size),
        Protection::Sealed { form, .. } => mail::size_floor(form.profile.of_mail(), size),
    }
}

/// Refuses what will be larger than the recipient's operator takes, whatever is in it: at RCPT by what was
/// announced (RFC 1870), at end of data by what came. What it really comes to is known when it is sealed.
///
/// # Errors
/// [`RefusalId::TooLargeForRecipient`].
pub fn check_announced(recipient: &AdmittedRecipient, announced: Option<u64>) -> Result<(), Refusal> {
    let (Some(size), Some(most)) = (announced, recipient.max_size) else { return Ok(()) };
    fits(&recipient.asked, size, least_on_the_wire(&recipient.protection, size), most)
}

/// Whether a message of `size` octets, which becomes `becomes` on its way, is within the recipient's limit.
///
/// # Errors
/// [`RefusalId::TooLargeForRecipient`], with all three figures.
pub fn fits(to: &Address, size: u64, becomes: u64, most: u64) -> Result<(), Refusal> {
    if becomes <= most {
        return Ok(());
    }
    let figures = format!("{size} octets become {becomes} on their way, {most} at most: {to}");
    Err(Refusal::new(RefusalId::TooLargeForRecipient, figures.clone()).about(figures))
}
