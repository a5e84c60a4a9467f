//! Durations and sizes as people write them in a configuration: `90s`, `15m`, `24h`, `5d`; `25MB`, `64KB`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// A span of time written as a number and a unit: `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of octets written as a number and a unit: `B`, `KB` or `MB` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Span {
    /// Reads `24h` and its like.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let seconds = match unit {
            "ms" => return Some(Self(Duration::from_millis(number))),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        number.checked_mul(seconds).map(|s| Self(Duration::from_secs(s)))
    }

    /// Whole seconds, for messages.
    pub fn hours(self) -> u64 {
        self.0.as_secs().div_euclid(3600)
    }
}

impl Size {
    /// Reads `25MB` and its like.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor = match unit {
            "B" => 1,
            "KB" => 1024,
            "MB" => 1024 * 1024,
            _ => return None,
        };
        number.checked_mul(factor).map(Self)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not a duration; write for example 90s, 15m, 24h or 5d"))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a size; write for example 64KB or 25MB")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_forms_only() {
        assert_eq!(Span::parse("24h").map(|s| s.0.as_secs()), Some(86_400));
        assert_eq!(Span::parse("200ms").map(|s| s.0.as_millis()), Some(200));
        assert_eq!(Span::parse("90s").map(|s| s.0.as_secs()), Some(90));
        assert_eq!(Size::parse("25MB"), Some(Size(26_214_400)));
        for text in ["", "h", "24", "-1h", "1w", "99999999999999999999d", "é"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert_eq!(Size::parse("18446744073709551615MB"), None);
    }
}
