//! One arena for all the text of a generation, each distinct string once.

use std::hash::BuildHasher;

use super::column::{Column, NONE};

/// Number of a string in the arena. `0` is always the empty string.
pub(crate) type Text = u32;

/// All strings, end to end, and where each ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Strings {
    pub(crate) bytes: String,
    pub(crate) ends: Column,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: String::new(), ends: vec![0].into() }
    }
}

impl Strings {
    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.ends.len()
    }

    /// The string with this number; empty for a number that does not exist.
    pub(crate) fn get(&self, id: Text) -> &str {
        let start = id.checked_sub(1).map_or(0, |before| self.end(before));
        self.bytes.get(start..self.end(id)).unwrap_or_default()
    }

    /// Its octets: what only compares needs not know that letters are whole.
    pub(crate) fn octets(&self, id: Text) -> &[u8] {
        let start = id.checked_sub(1).map_or(0, |before| self.end(before));
        self.bytes.as_bytes().get(start..self.end(id)).unwrap_or_default()
    }

    /// Where a string ends; beyond all others for a number that does not exist.
    pub(crate) fn end(&self, id: Text) -> usize {
        usize::try_from(self.ends.at(id)).unwrap_or(usize::MAX)
    }

    /// Puts the ends at rest.
    pub(crate) fn pack(&mut self) {
        self.ends.pack();
    }

    /// Adds a text behind all others; nothing when it does not fit any more.
    pub(crate) fn append(&mut self, text: &str) -> Option<Text> {
        let end = self.bytes.len().checked_add(text.len()).and_then(|end| u32::try_from(end).ok())?;
        let id = Some(self.ends.len()).filter(|id| *id < NONE)?;
        self.bytes.push_str(text);
        self.ends.push(end);
        Some(id)
    }
}

/// Builds [`Strings`]: gives equal texts the same number.
///
/// An open-addressing table of short hashes and numbers; the text is compared in the arena, so nothing is kept twice.
/// The hash is keyed anew in each process: whoever writes the extracts cannot make the table slow.
#[derive(Debug)]
pub(crate) struct Interner {
    strings: Strings,
    /// Each place: hash and number. The length is a power of two; at most three quarters are taken.
    table: Vec<(u32, Text)>,
    hasher: foldhash::quality::RandomState,
    full: bool,
}

const EMPTY: u32 = u32::MAX;

impl Interner {
    pub(crate) fn new() -> Self {
        Self {
            strings: Strings::default(),
            table: vec![(0, EMPTY); 1024],
            hasher: foldhash::quality::RandomState::default(),
            full: false,
        }
    }

    /// The number of `text`, given now if it is new.
    pub(crate) fn intern(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return 0;
        }
        if usize::try_from(self.strings.len() / 3).is_ok_and(|taken| taken > self.table.len() / 4) {
            self.grow();
        }
        let hash = self.hash(text);
        let mut slot = self.slot(hash);
        loop {
            match self.table.get(slot).copied() {
                Some((_, EMPTY)) | None => break,
                // Mostly the hash tells already: no look into the arena for nothing.
                Some((known, id)) if known == hash && self.strings.get(id) == text => return id,
                Some(_) => slot = self.next(slot),
            }
        }
        let Some(id) = self.strings.append(text) else {
            self.full = true;
            return 0;
        };
        if let Some(place) = self.table.get_mut(slot) {
            *place = (hash, id);
        }
        id
    }

    fn grow(&mut self) {
        let size = self.table.len().saturating_mul(2);
        let before = std::mem::replace(&mut self.table, vec![(0, EMPTY); size]);
        for (hash, id) in before.into_iter().filter(|(_, id)| *id != EMPTY) {
            let mut slot = self.slot(hash);
            while self.table.get(slot).is_some_and(|(_, taken)| *taken != EMPTY) {
                slot = self.next(slot);
            }
            if let Some(place) = self.table.get_mut(slot) {
                *place = (hash, id);
            }
        }
    }

    fn hash(&self, text: &str) -> u32 {
        u32::try_from(self.hasher.hash_one(text) >> 32).unwrap_or(0)
    }

    fn slot(&self, hash: u32) -> usize {
        usize::try_from(hash).unwrap_or(0) & self.table.len().saturating_sub(1)
    }

    fn next(&self, slot: usize) -> usize {
        slot.wrapping_add(1) & self.table.len().saturating_sub(1)
    }

    /// Whether some text did not fit any more (4 GiB): the build must fail then.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn strings(&self) -> &Strings {
        &self.strings
    }

    pub(crate) fn finish(mut self) -> Strings {
        self.strings.bytes.shrink_to_fit();
        self.strings.pack();
        self.strings
    }
}

/// A hash of 64 bits, the same on every machine and in every version: hashes of rows rest on disk.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    extend_hash(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on from an earlier hash with one more value: `ab` behind `c` is not `a` behind `bc`.
///
/// Eight octets at a time, each word multiplied and folded. Not keyed: it tells what changed, and guards nothing.
pub(crate) fn extend_hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(seed, |state, word| folded(state ^ u64::from_le_bytes(*word)));
    let mut last = [0u8; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    folded(state.rotate_left(23) ^ u64::from_le_bytes(last) ^ length.rotate_right(8))
}

/// Both halves of a product of 128 bits, one over the other: every bit reaches every other.
fn folded(value: u64) -> u64 {
    const BY: u128 = 0x9e37_79b9_7f4a_7c15;
    // 64 bits by 64 bits fit in 128.
    let product = u128::from(value ^ 0x2545_f491_4f6c_dd1d).wrapping_mul(BY);
    let halves = [product >> 64, product & u128::from(u64::MAX)];
    halves.map(|half| u64::try_from(half).unwrap_or(0)).into_iter().fold(0, |a, b| a ^ b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_texts_share_a_number_and_come_back(texts in proptest::collection::vec("[aéb]{0,6}", 0..700)) {
            let mut interner = Interner::new();
            let ids: Vec<Text> = texts.iter().map(|text| interner.intern(text)).collect();
            for (text, id) in texts.iter().zip(&ids) {
                prop_assert_eq!(interner.strings().get(*id), text);
                prop_assert_eq!(interner.intern(text), *id);
            }
            let distinct: std::collections::HashSet<&String> = texts.iter().filter(|t| !t.is_empty()).collect();
            prop_assert_eq!(interner.finish().len() as usize, distinct.len() + 1);
        }
    }

    #[test]
    fn hashes_of_rows_are_those_of_every_other_machine() {
        // What rests on disk must be understood later: these figures change with the version of the file only.
        assert_eq!(hash(b""), 0x1bdb_773c_e409_13c5);
        assert_eq!(hash("LEFÈVRE-TEST|Anne".as_bytes()), 0x4eb3_44ca_95fe_f4ba);
        let parted = |parts: [&[u8]; 2]| parts.iter().fold(hash(b""), |state, part| extend_hash(state, part));
        assert_ne!(parted([b"ab", b"c"]), parted([b"a", b"bc"]));
        assert_ne!(parted([b"", b"12345678"]), parted([b"12345678", b""]));
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

    #[test]
    fn a_number_that_does_not_exist_is_the_empty_text() {
        assert_eq!(Strings::default().get(7), "");
        assert_eq!(Strings::default().get(u32::MAX), "");
    }
}
