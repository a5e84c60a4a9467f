//! How many octets each word of the dictionary shares with the one before it: what walks through the dictionary letter by
//! letter leaves out whatever begins like a word that does not fit, without looking at it.

use super::strings::Strings;

/// Entries that are looked at at once.
const AT_ONCE: usize = 64;

/// For each entry what it shares with the one before, up to 255.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shared(Vec<u8>);

impl Shared {
    /// Of a sorted dictionary.
    pub(super) fn of(entries: &Strings) -> Self {
        let mut before: &[u8] = &[];
        let of_entry = |entry| {
            let here = entries.octets(entry);
            let both = before.iter().zip(here).take_while(|(a, b)| a == b).count();
            before = here;
            u8::try_from(both).unwrap_or(u8::MAX)
        };
        Self((0..entries.len()).map(of_entry).collect())
    }

    /// The first entry behind this one that shares less than so many octets with the one before it, and how many it does;
    /// if there is none, the number of entries.
    pub(crate) fn next(&self, entry: u32, within: usize) -> (u32, usize) {
        let within = u8::try_from(within).unwrap_or(u8::MAX);
        let from = usize::try_from(entry).unwrap_or(usize::MAX).saturating_add(1);
        let rest = self.0.get(from..).unwrap_or_default();
        let whole = rest.chunks(AT_ONCE).take_while(|chunk| chunk.iter().fold(true, |all, own| all & (*own >= within)));
        let passed = whole.map(<[u8]>::len).sum::<usize>();
        let near = rest.iter().skip(passed).take_while(|own| **own >= within).count();
        let at = from.saturating_add(passed).saturating_add(near);
        let shared = self.0.get(at).map_or(0, |own| usize::from(*own));
        (u32::try_from(at).unwrap_or(u32::MAX), shared)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_begins_alike_is_passed_over_and_nothing_else(
            words in proptest::collection::btree_set("[ab]{1,7}", 1..200),
            entry in 0usize..200,
            within in 1usize..6,
        ) {
            let words: Vec<String> = words.into_iter().collect();
            let mut entries = Strings { bytes: String::new(), ends: Vec::new().into() };
            words.iter().for_each(|word| assert!(entries.append(word).is_some()));
            let shared = Shared::of(&entries);
            let entry = entry % words.len();
            let start = words[entry].get(..within).unwrap_or_default();
            prop_assume!(start.len() == within);
            let next = (entry + 1..words.len()).find(|at| !words[*at].starts_with(start)).unwrap_or(words.len());
            let (found, both) = shared.next(u32::try_from(entry).unwrap(), within);
            prop_assert_eq!(usize::try_from(found).unwrap(), next);
            if let Some(word) = words.get(next) {
                let alike = words[entry].bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
                prop_assert_eq!(both.min(within), alike);
            }
        }
    }
}
