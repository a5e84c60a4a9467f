//! National identifiers of structures (IDNST).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// National identifier of a health structure: one type digit, then a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StructureId(String);

/// Which register a structure's identifier comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructureIdKind {
    /// `1` + 9 characters: health establishments.
    Finess,
    /// `3` + 14 digits: enterprises.
    Siret,
    /// `4` + 11 digits of RPPS + rank: a practice.
    RppsRank,
}

/// The text is no national identifier of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a structure's national identifier is 1 + FINESS (9), 3 + SIRET (14 digits) or 4 + RPPS + rank")]
pub struct StructureIdError;

impl StructureId {
    /// Reads the full form with its type digit, for example `1990000001`. Blanks are dropped.
    ///
    /// # Errors
    /// [`StructureIdError`] when no known shape fits.
    pub fn parse(text: &str) -> Result<Self, StructureIdError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect();
        kind_of(&text).map(|_| Self(text)).ok_or(StructureIdError)
    }

    /// The full form, type digit included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier without its type digit (the bare FINESS, SIRET or RPPS-rank).
    pub fn number(&self) -> &str {
        self.0.get(1..).unwrap_or_default()
    }

    /// Which register it comes from.
    pub fn kind(&self) -> StructureIdKind {
        kind_of(&self.0).unwrap_or(StructureIdKind::Finess)
    }
}

fn kind_of(text: &str) -> Option<StructureIdKind> {
    let (kind, rest) = text.split_at_checked(1)?;
    let digits = rest.bytes().all(|b| b.is_ascii_digit());
    match (kind, rest.len()) {
        ("1", 9) => rest.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(StructureIdKind::Finess),
        ("3", 14) => digits.then_some(StructureIdKind::Siret),
        ("4", 12..=16) => digits.then_some(StructureIdKind::RppsRank),
        _ => None,
    }
}

impl fmt::Display for StructureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StructureId {
    type Err = StructureIdError;

    fn from_str(text: &str) -> Result<Self, StructureIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for StructureId {
    type Error = StructureIdError;

    fn try_from(text: String) -> Result<Self, StructureIdError> {
        Self::parse(&text)
    }
}

impl From<StructureId> for String {
    fn from(value: StructureId) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_three_shapes() {
        let cases = [
            ("1580008803", StructureIdKind::Finess),
            ("12A0000012", StructureIdKind::Finess),
            ("318751275100020", StructureIdKind::Siret),
            ("499700367909006", StructureIdKind::RppsRank),
        ];
        for (text, kind) in cases {
            assert_eq!(StructureId::parse(text).map(|id| id.kind()), Ok(kind), "{text}");
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in ["", "1", "158000880", "31875127510002", "9580008803", "1580008803a", "1580/08803"] {
            assert!(StructureId::parse(text).is_err(), "{text}");
        }
    }
}
