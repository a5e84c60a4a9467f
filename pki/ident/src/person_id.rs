//! National identifiers of persons (IDNPS) and card numbers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// National identifier of a person who works in health (`reference` ID rules of the trust space):
/// one type digit, then a number whose shape depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

/// What kind of register a person's identifier comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonIdKind {
    /// `8` + 11 digits: the shared register of professionals.
    Rpps,
    /// `0` + 9 digits: the older register.
    Adeli,
    /// `3` + FINESS + `/` + internal number: staff of an establishment (CPE).
    FinessInternal,
    /// `5` + 14 digits + `/` + internal number: staff of an enterprise (CPA).
    SiretInternal,
}

/// The text is no national identifier of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a person's national identifier is 8 + 11 digits (RPPS), 0 + 9 characters (ADELI), or 3 + FINESS or 5 + SIRET followed by / and the internal number"
)]
pub struct PersonIdError;

impl PersonId {
    /// Reads the full form with its type digit, for example `899700000001`. Blanks are dropped.
    ///
    /// # Errors
    /// [`PersonIdError`] when no known shape fits.
    pub fn parse(text: &str) -> Result<Self, PersonIdError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect();
        kind_of(&text).map(|_| Self(text)).ok_or(PersonIdError)
    }

    /// From the bare 11 digits of the RPPS register, as the `Identifiant PP` column prints them.
    ///
    /// # Errors
    /// [`PersonIdError`] when it is not 11 digits.
    pub fn from_rpps(digits: &str) -> Result<Self, PersonIdError> {
        Self::parse(&format!("8{digits}"))
    }

    /// The full form, type digit included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier without its type digit.
    pub fn number(&self) -> &str {
        self.0.get(1..).unwrap_or_default()
    }

    /// Which register it comes from.
    pub fn kind(&self) -> PersonIdKind {
        kind_of(&self.0).unwrap_or(PersonIdKind::Rpps)
    }
}

fn kind_of(text: &str) -> Option<PersonIdKind> {
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let alphanumeric = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_alphanumeric());
    let internal = |s: &str| {
        (1..=32).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let (kind, rest) = text.split_at_checked(1)?;
    match kind {
        "8" => digits(rest, 11).then_some(PersonIdKind::Rpps),
        // Corsican departments put a letter in the ADELI number.
        "0" => alphanumeric(rest, 9).then_some(PersonIdKind::Adeli),
        "3" => rest
            .split_once('/')
            .is_some_and(|(finess, number)| alphanumeric(finess, 9) && internal(number))
            .then_some(PersonIdKind::FinessInternal),
        "5" => rest
            .split_once('/')
            .is_some_and(|(siret, number)| digits(siret, 14) && internal(number))
            .then_some(PersonIdKind::SiretInternal),
        _ => None,
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PersonId {
    type Err = PersonIdError;

    fn from_str(text: &str) -> Result<Self, PersonIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PersonId {
    type Error = PersonIdError;

    fn try_from(text: String) -> Result<Self, PersonIdError> {
        Self::parse(&text)
    }
}

impl From<PersonId> for String {
    fn from(value: PersonId) -> Self {
        value.0
    }
}

/// Number printed in a professional card and in its certificates: 1 to 32 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardNumber(String);

impl CardNumber {
    /// Reads a card number; `None` when it is empty, too long or holds anything but letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The number as printed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CardNumber {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).ok_or("a card number is 1 to 32 letters and digits")
    }
}

impl From<CardNumber> for String {
    fn from(value: CardNumber) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_four_shapes() {
        let cases = [
            ("810102727017", PersonIdKind::Rpps),
            ("0012800736", PersonIdKind::Adeli),
            ("02A1234567", PersonIdKind::Adeli),
            ("3760021832/000000018", PersonIdKind::FinessInternal),
            ("500000000029751/CPAT0001", PersonIdKind::SiretInternal),
        ];
        for (text, kind) in cases {
            assert_eq!(PersonId::parse(text).map(|id| id.kind()), Ok(kind), "{text}");
        }
        assert_eq!(PersonId::from_rpps("10102727017").unwrap().as_str(), "810102727017");
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "8",
            "10102727017",
            "8101027270170",
            "81010272701x",
            "3760021832",
            "3760021832/",
            "3760021832/a b/c",
            "é12345678901",
        ] {
            assert!(PersonId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn card_numbers_are_plain() {
        assert!(CardNumber::parse("2800067201").is_some());
        for text in ["", "12 34", "1/2", &"1".repeat(33)] {
            assert_eq!(CardNumber::parse(text), None, "{text}");
        }
    }
}
