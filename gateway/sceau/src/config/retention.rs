//! How long the records of the trail are kept.

use std::time::Duration;

use ident::Timestamp;
use serde::Deserialize;
use trail::Class;

use super::{Environment, Span};

/// How long each class of records can be read. What is older is erased by `sceau trail purge`, but for
/// what a hold keeps; its commitment stays in the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Life of messages: who sent what to whom, and what became of it.
    pub keep_mail: Span,
    /// Who came and who read.
    pub keep_access: Span,
    /// What operators and the service did.
    pub keep_operation: Span,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Retention {
    /// A year for mail, as operators are asked for; three for access, as health-data rules ask for.
    fn default() -> Self {
        Self {
            keep_mail: Span(DAY.saturating_mul(365)),
            keep_access: Span(DAY.saturating_mul(3 * 365)),
            keep_operation: Span(DAY.saturating_mul(3 * 365)),
        }
    }
}

impl Retention {
    /// The classes, with the moment before which their records are due.
    pub fn due(&self, now: Timestamp) -> [(Class, Timestamp); 3] {
        let before = |span: Span| now.minus(span.0);
        [
            (Class::Mail, before(self.keep_mail)),
            (Class::Access, before(self.keep_access)),
            (Class::Operation, before(self.keep_operation)),
        ]
    }

    /// In production nothing is erased that a message under way may still need, or an auditor soon.
    pub(crate) fn faults(&self, environment: Environment) -> Vec<String> {
        const LEAST: Duration = DAY.saturating_mul(30);
        let spans =
            [("keep_mail", self.keep_mail), ("keep_access", self.keep_access), ("keep_operation", self.keep_operation)];
        let short = spans.into_iter().filter(|(_, span)| environment == Environment::Production && span.0 < LEAST);
        short
            .map(|(key, _)| format!("trail.{key} is shorter than 30 days: nobody could look into a complaint"))
            .collect()
    }
}
