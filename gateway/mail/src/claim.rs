//! Who a signature names as the author, whatever it is worth: for deciding what its bringer may be told of it.

use pki::identity::Identity;

use crate::{Opened, Signature, Trust};

/// Whether the signature names the author in `From`: its certificate bears the mailbox, or its holder owns it, or
/// the book holds it for the mailbox, approved or not. It says nothing about whether the certificate is good now:
/// that is what [`crate::judge()`] finds out, and what this signer may then be told.
pub fn signer_names_author(opened: &Opened, trust: &dyn Trust) -> bool {
    let Signature::Good(signed) = &opened.signature else { return false };
    let from = &opened.facts.from;
    signed.candidates().any(|certificate| {
        let owns = match Identity::of(certificate) {
            Ok(Identity::Person(person)) => trust.person_owns(&person.id, from),
            Ok(Identity::Organisation(organisation)) => trust.structure_owns(&organisation.structure, from),
            _ => false,
        };
        owns || certificate.names_address(from)
            || trust.book_signs(certificate, from)
            || trust.book_awaits(certificate, from)
    })
}
