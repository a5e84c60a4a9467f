//! What an operator may say about the life of its own mailboxes.

use std::time::Duration;

use serde::Deserialize;

use super::Span;

/// The life of our own mailboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mailboxes {
    /// After which time the address of a closed mailbox may be given to somebody else; none: never.
    pub reuse_after: Option<Span>,
}

/// Mail to a closed mailbox goes on coming for long: whoever reads it must not be somebody else.
const MIN_REUSE: Duration = Duration::from_secs(365 * 24 * 3600);

impl Mailboxes {
    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        if self.reuse_after.is_some_and(|span| span.0 < MIN_REUSE) {
            found.push(
                "annuaire.mailboxes.reuse_after must be at least 365d: mail for whoever had an address comes for long"
                    .to_owned(),
            );
        }
    }
}
