//! What becomes of a mailbox in time: when it was opened, until when somebody has a right to it, since when it is closed.

use ident::{Address, Timestamp};
use openssl::sha::Sha256;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{Date, generation::hex};

/// That a mailbox is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Since when.
    pub since: Timestamp,
    /// Who takes over, if somebody does.
    pub successor: Option<Address>,
    /// Whether strangers may be told: a box that was on the red list is not spoken of after its end either.
    pub told: bool,
}

/// A moment, or the beginning of a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// The end of a right: a moment, or the end of a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        moment(&text, Date::midnight).map(Self).ok_or_else(|| D::Error::custom(FORMS))
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        end_of_rights(&text).map(Self).ok_or_else(|| D::Error::custom(FORMS))
    }
}

const FORMS: &str = "write a day (2026-11-22) or a moment (2026-11-22T16:00:00Z)";

/// When a right ends that lasts until this day, which counts (UTC), or this moment.
pub fn end_of_rights(text: &str) -> Option<Timestamp> {
    moment(text, |day| day.plus_days(1).midnight())
}

fn moment(text: &str, of_day: impl FnOnce(Date) -> Timestamp) -> Option<Timestamp> {
    let is_day = text.len() == 10 && !text.contains('T');
    match Date::parse(text).filter(|_| is_day) {
        Some(day) => Some(of_day(day)),
        None => Timestamp::parse(text).filter(|_| text.contains('T')),
    }
}

/// The name of a registry's contents: the start of the SHA-256 of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegistryDigest(String);

impl RegistryDigest {
    pub(crate) fn of(text: &[u8]) -> Self {
        Self::named(&openssl::sha::sha256(text))
    }

    fn named(digest: &[u8]) -> Self {
        let mut name = hex(digest);
        name.truncate(12);
        Self(name)
    }

    /// The name of several together. What no file declares has none, and gives none.
    pub(crate) fn with(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return if self.0.is_empty() { other.clone() } else { self.clone() };
        }
        let mut sha = Sha256::new();
        sha.update(self.0.as_bytes());
        sha.update(other.0.as_bytes());
        Self::named(&sha.finish())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
