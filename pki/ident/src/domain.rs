//! Mail domains, kept in the form that DNS and certificates use.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest domain in octets, in its A-label form (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// A mail domain: at least two labels, lower case, internationalised labels as A-labels
/// (RFC 5890), no final dot. `SANTÉ.example` and `xn--sant-epa.example` are the same value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is no mail domain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("the domain is empty")]
    Empty,
    /// An IP address in brackets: never routable between trusted domains.
    #[error("an address literal such as [192.0.2.1] is not a domain")]
    Literal,
    /// Longer than RFC 5321 allows.
    #[error("the domain is longer than {MAX_DOMAIN} octets")]
    TooLong,
    /// Wrong characters, an empty or over-long label, or a label that IDNA refuses.
    #[error("the domain has a label that DNS or IDNA does not allow")]
    Label,
    /// One label only: no trust list names such a domain.
    #[error("the domain has no dot")]
    SingleLabel,
}

impl Domain {
    /// Reads a domain in either its A-label or its U-label form.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if text.starts_with('[') {
            return Err(DomainError::Literal);
        }
        if text.len() > MAX_DOMAIN.saturating_mul(4) {
            return Err(DomainError::TooLong);
        }
        // Strict: STD3 characters, hyphen rules, label and name lengths.
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError::Label)?;
        if ascii.len() > MAX_DOMAIN {
            return Err(DomainError::TooLong);
        }
        if ascii.split('.').any(str::is_empty) {
            return Err(DomainError::Label);
        }
        if !ascii.contains('.') {
            return Err(DomainError::SingleLabel);
        }
        Ok(Self(ascii))
    }

    /// The A-label form, lower case: what DNS, TLS and comparisons use.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form to show to people: U-labels where they exist.
    pub fn unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(value: Domain) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_domain_one_value() {
        let forms = ["SANTÉ.example.test", "santé.example.test", "XN--SANT-EPA.Example.test"];
        for form in forms {
            assert_eq!(Domain::parse(form).unwrap().as_str(), "xn--sant-epa.example.test", "{form}");
        }
        assert_eq!(Domain::parse(forms[0]).unwrap().unicode(), "santé.example.test");
        // A look-alike (Cyrillic а) is another domain (IN12).
        assert_ne!(Domain::parse("sаnté.example.test"), Domain::parse("santé.example.test"));
    }

    #[test]
    fn refuses_what_is_not_a_mail_domain() {
        let cases = [
            ("", DomainError::Empty),
            ("[192.0.2.1]", DomainError::Literal),
            ("localhost", DomainError::SingleLabel),
            ("a..test", DomainError::Label),
            ("a.test.", DomainError::Label),
            ("-a.test", DomainError::Label),
            ("a b.test", DomainError::Label),
            ("a_b.test", DomainError::Label),
            ("a\0b.test", DomainError::Label),
        ];
        for (text, error) in cases {
            assert_eq!(Domain::parse(text), Err(error), "{text:?}");
        }
        assert!(Domain::parse(&format!("{}.test", "a".repeat(64))).is_err());
        assert!(Domain::parse(&format!("{}.test", "a.".repeat(200))).is_err());
    }

    proptest! {
        #[test]
        fn never_panics_and_is_stable(text in "\\PC{0,80}") {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
                prop_assert_eq!(Domain::parse(&domain.unicode()), Ok(domain));
            }
        }
    }
}
