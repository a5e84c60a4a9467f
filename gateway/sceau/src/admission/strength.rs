//! Copies of one message under different cryptography (RFC 8551 §6): the weaker one betrays what the stronger
//! ones protect. An explicit decision of the operator, with an entry in the trail.

use super::recipient::{AdmittedRecipient, Destination, Protection};
use crate::{
    config::{MixedStrength, SealProfile},
    refusal::{Refusal, RefusalId},
};

/// The reason in the trail of a recipient who gets less than another.
pub const WEAKER: &str = "weaker-than-other-copies";

/// What a copy is worth against somebody who stores it and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Mutual TLS and nothing inside it.
    Transport,
    /// Encryption without authentication around a signature.
    Unauthenticated,
    /// Authenticated encryption.
    Authenticated,
}

impl Strength {
    /// Of a copy that leaves the house; what stays rests under keys of ours whatever its form.
    pub fn of(recipient: &AdmittedRecipient) -> Option<Self> {
        match (&recipient.destination, &recipient.protection) {
            (Destination::Own(_), _) => None,
            (_, Protection::Transport | Protection::Signed) => Some(Self::Transport),
            (_, Protection::Sealed { form, .. }) => Some(match form.profile {
                SealProfile::Gateway => Self::Authenticated,
                SealProfile::Client => Self::Unauthenticated,
            }),
        }
    }
}

/// The recipients who would get less than the strongest copy.
pub fn weaker(recipients: &[AdmittedRecipient]) -> Vec<&AdmittedRecipient> {
    let strongest = recipients.iter().filter_map(Strength::of).max();
    recipients.iter().filter(|it| Strength::of(it).is_some_and(|own| Some(own) < strongest)).collect()
}

/// Whether the message may leave in copies of these strengths.
///
/// # Errors
/// [`RefusalId::MixedStrength`], naming the first recipient who would get less.
pub fn check(rule: MixedStrength, recipients: &[AdmittedRecipient]) -> Result<(), Refusal> {
    match (rule, weaker(recipients).first()) {
        (MixedStrength::Refuse, Some(first)) => {
            let cause = format!("{} reads weaker cryptography than the other recipients", first.asked);
            Err(Refusal::new(RefusalId::MixedStrength, cause).about(&first.asked))
        }
        _ => Ok(()),
    }
}
