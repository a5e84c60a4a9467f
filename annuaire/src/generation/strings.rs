//! One arena for all the text of a generation, each distinct string once.

/// Number of a string in the arena. `0` is always the empty string.
pub(crate) type Text = u32;

/// All strings, end to end, and where each ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Strings {
    pub(crate) bytes: String,
    pub(crate) ends: Vec<u32>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { bytes: String::new(), ends: vec![0] }
    }
}

impl Strings {
    /// The string with this number; empty for a number that does not exist.
    pub(crate) fn get(&self, id: Text) -> &str {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        match (usize::try_from(start), usize::try_from(end)) {
            (Ok(start), Ok(end)) => self.bytes.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    /// Adds a text behind all others; nothing when it does not fit any more.
    pub(crate) fn append(&mut self, text: &str) -> Option<Text> {
        let end = self.bytes.len().checked_add(text.len()).and_then(|end| u32::try_from(end).ok())?;
        let id = u32::try_from(self.ends.len()).ok()?;
        self.bytes.push_str(text);
        self.ends.push(end);
        Some(id)
    }
}

/// Builds [`Strings`]: gives equal texts the same number.
///
/// An open-addressing table of numbers only; the text is compared in the arena, so nothing is kept twice.
#[derive(Debug)]
pub(crate) struct Interner {
    strings: Strings,
    table: Vec<u32>,
    full: bool,
}

const EMPTY: u32 = u32::MAX;

impl Interner {
    pub(crate) fn new() -> Self {
        Self { strings: Strings::default(), table: vec![EMPTY; 1024], full: false }
    }

    /// The number of `text`, given now if it is new.
    pub(crate) fn intern(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return 0;
        }
        if self.strings.ends.len().saturating_mul(2) > self.table.len() {
            self.grow();
        }
        let mut slot = self.slot(text);
        loop {
            match self.table.get(slot).copied() {
                Some(EMPTY) | None => break,
                Some(id) if self.strings.get(id) == text => return id,
                Some(_) => slot = self.next(slot),
            }
        }
        self.append(text, slot)
    }

    fn append(&mut self, text: &str, slot: usize) -> Text {
        let Some(id) = self.strings.append(text) else {
            self.full = true;
            return 0;
        };
        if let Some(place) = self.table.get_mut(slot) {
            *place = id;
        }
        id
    }

    fn grow(&mut self) {
        let size = self.table.len().saturating_mul(2);
        self.table = vec![EMPTY; size];
        for id in 1..u32::try_from(self.strings.ends.len()).unwrap_or(EMPTY) {
            let mut slot = self.slot(self.strings.get(id));
            while self.table.get(slot).is_some_and(|place| *place != EMPTY) {
                slot = self.next(slot);
            }
            if let Some(place) = self.table.get_mut(slot) {
                *place = id;
            }
        }
    }

    fn slot(&self, text: &str) -> usize {
        // The table's length is a power of two.
        let mask = self.table.len().saturating_sub(1);
        usize::try_from(spread(hash(text.as_bytes()))).unwrap_or(0) & mask
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
        self.strings.ends.shrink_to_fit();
        self.strings
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every version, which row hashes on disk need.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    extend_hash(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on from an earlier hash.
pub(crate) fn extend_hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// FNV's low bits alone are weak: mix the high ones in. 32 bits fit every `usize`.
fn spread(hash: u64) -> u32 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u32::try_from(mixed).unwrap_or(0)
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
            prop_assert_eq!(interner.finish().ends.len(), distinct.len() + 1);
        }
    }

    #[test]
    fn a_number_that_does_not_exist_is_the_empty_text() {
        assert_eq!(Strings::default().get(7), "");
        assert_eq!(Strings::default().get(u32::MAX), "");
    }
}
