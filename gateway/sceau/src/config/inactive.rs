//! Mailboxes that nobody uses: when somebody is told, and when they are closed (BAL-4).

use std::time::Duration;

use serde::Deserialize;

use super::{Environment, Span};

const DAY: Duration = Duration::from_secs(86_400);

/// What becomes of mailboxes that nobody uses. With this section their activity is measured; without it, it is not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inactive {
    /// After which time without a message it is told.
    pub warn_after: Span,
    /// After which time it is closed; none: never by itself.
    pub close_after: Option<Span>,
    /// How long it was told before it may be closed.
    pub notice: Span,
}

impl Default for Inactive {
    /// Told a month before the year that the national rule gives (BAL-4), and never closed without an operator's word.
    fn default() -> Self {
        Self { warn_after: Span(DAY.saturating_mul(335)), close_after: None, notice: Span(DAY.saturating_mul(30)) }
    }
}

impl Inactive {
    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, environment: Environment, found: &mut Vec<String>) {
        let Some(close) = self.close_after else { return };
        if close <= self.warn_after {
            found.push("annuaire.inactive.close_after must be longer than warn_after".to_owned());
        }
        if environment == Environment::Production && close.0 < DAY.saturating_mul(365) {
            found.push("annuaire.inactive.close_after must be at least 365d (BAL-4)".to_owned());
        }
        if environment == Environment::Production && self.notice.0 < DAY.saturating_mul(15) {
            found.push("annuaire.inactive.notice must be at least 15d: the holder may want it kept".to_owned());
        }
    }
}
