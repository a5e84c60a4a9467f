//! Sets of documents: a sorted list where they are few, bits where they are many.

/// A set of document numbers.
#[derive(Debug, Clone)]
pub(super) enum Set {
    /// Sorted, each once.
    List(Vec<u32>),
    /// One bit for each document.
    Bits(Vec<u64>),
}

impl Set {
    /// No document, with room for `docs`.
    pub(super) fn bits(docs: u32) -> Self {
        Self::Bits(vec![0; usize::try_from(docs.div_ceil(64)).unwrap_or(0)])
    }

    /// Every document.
    pub(super) fn all(docs: u32) -> Self {
        let mut words = vec![u64::MAX; usize::try_from(docs.div_ceil(64)).unwrap_or(0)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), docs & 63) {
            *last = u64::MAX.checked_shr(64u32.saturating_sub(rest)).unwrap_or(0);
        }
        Self::Bits(words)
    }

    /// A list of numbers in any order.
    pub(super) fn of(mut docs: Vec<u32>) -> Self {
        docs.sort_unstable();
        docs.dedup();
        Self::List(docs)
    }

    pub(super) fn insert(&mut self, doc: u32) {
        match self {
            Self::List(docs) => {
                if let Err(place) = docs.binary_search(&doc) {
                    docs.insert(place, doc);
                }
            }
            Self::Bits(words) => {
                if let Some(word) = usize::try_from(doc / 64).ok().and_then(|at| words.get_mut(at)) {
                    *word |= 1u64 << (doc & 63);
                }
            }
        }
    }

    pub(super) fn has(&self, doc: u32) -> bool {
        match self {
            Self::List(docs) => docs.binary_search(&doc).is_ok(),
            Self::Bits(words) => usize::try_from(doc / 64)
                .ok()
                .and_then(|at| words.get(at))
                .is_some_and(|word| word >> (doc & 63) & 1 == 1),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::List(docs) => u64::try_from(docs.len()).unwrap_or(u64::MAX),
            Self::Bits(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
        }
    }

    /// In order.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::List(docs) => Box::new(docs.iter().copied()),
            Self::Bits(words) => {
                Box::new((0u32..).zip(words).filter(|(_, word)| **word != 0).flat_map(|(at, word)| {
                    let mut left = *word;
                    std::iter::from_fn(move || {
                        let bit = left.trailing_zeros();
                        left &= left.checked_sub(1)?;
                        Some(at.wrapping_mul(64).wrapping_add(bit))
                    })
                }))
            }
        }
    }

    /// Those for which `keep` is true; a list.
    pub(super) fn filtered(&self, mut keep: impl FnMut(u32) -> bool) -> Self {
        Self::List(self.iter().filter(|doc| keep(*doc)).collect())
    }

    /// What both have.
    pub(super) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Bits(mut a), Self::Bits(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a &= b);
                Self::Bits(a)
            }
            (Self::List(docs), other) => Self::List(docs.into_iter().filter(|doc| other.has(*doc)).collect()),
            (bits @ Self::Bits(_), other) => other.filtered(|doc| bits.has(doc)),
        }
    }

    /// What one of them has.
    pub(super) fn or(self, other: Self, docs: u32) -> Self {
        match (self, other) {
            (Self::List(mut a), Self::List(b)) if a.len().saturating_add(b.len()) < 4096 => {
                a.extend(b);
                Self::of(a)
            }
            (Self::Bits(mut a), Self::Bits(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Self::Bits(a)
            }
            (Self::List(list), other @ Self::Bits(_)) | (other @ Self::Bits(_), Self::List(list)) => {
                let mut all = other;
                list.into_iter().for_each(|doc| all.insert(doc));
                all
            }
            (a, b) => {
                let mut all = Self::bits(docs);
                a.iter().chain(b.iter()).for_each(|doc| all.insert(doc));
                all
            }
        }
    }

    /// What it has not.
    pub(super) fn not(self, docs: u32) -> Self {
        let Self::Bits(mut all) = Self::all(docs) else { return Self::List(Vec::new()) };
        match &self {
            Self::Bits(words) => all.iter_mut().zip(words).for_each(|(all, word)| *all &= !word),
            Self::List(list) => {
                for doc in list {
                    if let Some(word) = usize::try_from(doc / 64).ok().and_then(|at| all.get_mut(at)) {
                        *word &= !(1u64 << (doc & 63));
                    }
                }
            }
        }
        Self::Bits(all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn both(docs: &BTreeSet<u32>) -> [Set; 2] {
        let mut bits = Set::bits(200);
        docs.iter().for_each(|doc| bits.insert(*doc));
        [Set::of(docs.iter().rev().copied().collect()), bits]
    }

    proptest! {
        #[test]
        fn lists_and_bits_agree(
            a in proptest::collection::btree_set(0u32..200, 0..80),
            b in proptest::collection::btree_set(0u32..200, 0..80),
        ) {
            for x in both(&a) {
                for y in both(&b) {
                    let sorted = |set: Set| set.iter().collect::<Vec<_>>();
                    prop_assert_eq!(sorted(x.clone().and(&y)), a.intersection(&b).copied().collect::<Vec<_>>());
                    prop_assert_eq!(sorted(x.clone().or(y, 200)), a.union(&b).copied().collect::<Vec<_>>());
                }
                prop_assert_eq!(x.len(), a.len() as u64);
                let rest: Vec<u32> = (0..200).filter(|doc| !a.contains(doc)).collect();
                prop_assert_eq!(x.clone().not(200).iter().collect::<Vec<_>>(), rest);
                prop_assert!((0..210).all(|doc| x.has(doc) == a.contains(&doc)));
            }
        }
    }
}
