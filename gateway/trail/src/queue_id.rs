//! The name of a message in the queue and in the trail.

use std::{fmt, str::FromStr};

use ident::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Base 32 without the letters that look like digits (i, l, o) or that swear (u).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Nine letters of time (45 bits of milliseconds, until the year 3084) and ten of chance.
const LENGTH: usize = 19;
const TIME_LETTERS: u32 = 9;
const CHANCE_LETTERS: u32 = 10;

/// A queue id: 19 letters and digits, in the order of their time, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId([u8; LENGTH]);

/// The text is no queue id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a queue id is {LENGTH} letters and digits, without i, l, o and u")]
pub struct QueueIdError;

impl QueueId {
    /// Makes an id from the moment of acceptance and 50 random bits (the lower ones of `random`).
    pub fn new(at: Timestamp, random: u64) -> Self {
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        let letters = letters(millis, TIME_LETTERS).chain(letters(random, CHANCE_LETTERS));
        let mut id = [b'0'; LENGTH];
        id.iter_mut().zip(letters).for_each(|(place, letter)| *place = letter);
        Self(id)
    }

    /// The smallest id of a moment: where a search that begins there starts.
    pub fn first_at(at: Timestamp) -> Self {
        Self::new(at, 0)
    }

    /// The id as written in `Received` lines, logs and commands.
    pub fn as_str(&self) -> &str {
        // Only letters of the alphabet ever get in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn letters(value: u64, count: u32) -> impl Iterator<Item = u8> {
    (0..count).rev().map(move |place| {
        let digit = (value >> place.saturating_mul(5)) & 31;
        usize::try_from(digit).ok().and_then(|digit| ALPHABET.get(digit)).copied().unwrap_or(b'0')
    })
}

impl FromStr for QueueId {
    type Err = QueueIdError;

    /// Reads an id in either letter case.
    fn from_str(text: &str) -> Result<Self, QueueIdError> {
        let mut id: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| QueueIdError)?;
        id.make_ascii_lowercase();
        if id.iter().all(|letter| ALPHABET.contains(letter)) { Ok(Self(id)) } else { Err(QueueIdError) }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueId({self})")
    }
}

impl TryFrom<String> for QueueId {
    type Error = QueueIdError;

    fn try_from(text: String) -> Result<Self, QueueIdError> {
        text.parse()
    }
}

impl From<QueueId> for String {
    fn from(value: QueueId) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_other_texts() {
        for text in ["", "01kam7x3q8f3k2m9qz", "01kam7x3q8f3k2m9qzdd", "01kam7x3q8f3k2m9qzl", "../../../../../../x"] {
            assert_eq!(text.parse::<QueueId>(), Err(QueueIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_and_sorts_by_time(a in 0i64..35_000_000_000_000, b in 0i64..35_000_000_000_000, r: u64, s: u64) {
            let (first, second) = (QueueId::new(Timestamp::from_millis(a), r), QueueId::new(Timestamp::from_millis(b), s));
            prop_assert_eq!(first.to_string().to_uppercase().parse(), Ok(first));
            prop_assert!(a >= b || first < second);
            prop_assert!(QueueId::first_at(Timestamp::from_millis(a)) <= first);
        }
    }
}
