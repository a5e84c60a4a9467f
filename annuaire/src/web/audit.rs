//! What the accessibility statement may say (order of 20 September 2019): as much as an audit that still holds has
//! shown. Without one the pages do not conform, whatever our own checks say.

use ident::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::words::Lang;
use crate::Date;

/// How long an audit holds: a statement is made anew every three years.
const HOLDS_FOR_YEARS: u32 = 3;

/// What an audit of the pages, as this operator serves them, has found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Of a hundred criteria that apply, how many are met.
    pub conformity: u8,
    /// Who did it.
    pub by: String,
    /// When.
    #[serde(deserialize_with = "day")]
    pub date: Date,
    /// What is not accessible, a sentence each, as it is published.
    #[serde(default)]
    pub faults: Vec<String>,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    Date::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no day: write for example 2026-11-30")))
}

/// The three states that the order knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    Partial,
    None,
}

impl Audit {
    /// How far the pages conform.
    pub(super) fn state(audit: Option<&Self>, now: Timestamp) -> State {
        match audit.filter(|audit| !audit.is_old(now)) {
            Some(audit) if audit.conformity >= 100 => State::Whole,
            Some(audit) if audit.conformity >= 50 => State::Partial,
            _ => State::None,
        }
    }

    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        let until = self.date.number().saturating_add(HOLDS_FOR_YEARS.saturating_mul(10_000));
        Date::of(now).is_none_or(|today| today.number() > until)
    }
}

impl State {
    pub(super) const fn words(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::Whole, Lang::Fr) => "totalement conforme",
            (Self::Whole, Lang::En) => "fully conforming",
            (Self::Partial, Lang::Fr) => "partiellement conforme",
            (Self::Partial, Lang::En) => "partially conforming",
            (Self::None, Lang::Fr) => "non conforme",
            (Self::None, Lang::En) => "not conforming",
        }
    }

    /// What the order wants at the foot of every page.
    pub(super) const fn at_the_foot(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::Whole, Lang::Fr) => "Accessibilité : totalement conforme",
            (Self::Whole, Lang::En) => "Accessibility: fully conforming",
            (Self::Partial, Lang::Fr) => "Accessibilité : partiellement conforme",
            (Self::Partial, Lang::En) => "Accessibility: partially conforming",
            (Self::None, Lang::Fr) => "Accessibilité : non conforme",
            (Self::None, Lang::En) => "Accessibility: not conforming",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_conforms_without_an_audit_that_holds() {
        let audit = |conformity| Audit {
            conformity,
            by: "Cabinet EXEMPLE-TEST".to_owned(),
            date: Date::parse("2026-10-01").unwrap(),
            faults: vec![],
        };
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (soon, late) = (at("2029-10-01T12:00:00Z"), at("2029-10-02T12:00:00Z"));
        assert_eq!(Audit::state(None, soon), State::None);
        for (conformity, state) in [(49, State::None), (50, State::Partial), (99, State::Partial), (100, State::Whole)]
        {
            assert_eq!(Audit::state(Some(&audit(conformity)), soon), state, "{conformity}");
            assert_eq!(Audit::state(Some(&audit(conformity)), late), State::None, "{conformity}");
        }
    }
}
