//! Lists of document numbers: sorted differences of 7 bits an octet, or, where every eighth document or more is in the
//! list, one bit for each document: that takes less, and is put together with others eight octets at a time.

/// Reads one list. Damaged octets end it early; they never make it panic or run on.
#[derive(Debug, Clone)]
pub(crate) enum Postings<'a> {
    /// Differences.
    Spaced(Spaced<'a>),
    /// Bits.
    Dense(Dense<'a>),
}

/// A list of differences.
#[derive(Debug, Clone)]
pub(crate) struct Spaced<'a> {
    octets: &'a [u8],
    left: u32,
    last: u32,
}

/// A list of bits, the lowest of an octet first.
#[derive(Debug, Clone)]
pub(crate) struct Dense<'a> {
    octets: &'a [u8],
    /// What is left of the octet before, and the number of its first bit.
    octet: u8,
    base: u32,
    next: u32,
}

/// Whether a list of so many of so many documents is one of bits.
pub(crate) fn is_dense(count: u32, docs: u32) -> bool {
    count >= docs.div_ceil(8)
}

/// How many octets a list of bits takes.
pub(crate) fn dense_length(docs: u32) -> u32 {
    docs.div_ceil(8)
}

impl<'a> Postings<'a> {
    /// A list of `count` of `docs` numbers at the start of `octets`.
    pub(crate) fn new(octets: &'a [u8], count: u32, docs: u32) -> Self {
        if count > 0 && is_dense(count, docs) {
            let length = usize::try_from(dense_length(docs)).unwrap_or(0);
            let octets = octets.get(..length).unwrap_or(octets);
            return Self::Dense(Dense { octets, octet: 0, base: 0, next: 0 });
        }
        Self::Spaced(Spaced { octets, left: count, last: 0 })
    }
}

impl<'a> Dense<'a> {
    /// The bits of the whole list.
    pub(crate) fn octets(&self) -> &'a [u8] {
        self.octets
    }
}

impl Iterator for Postings<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Spaced(list) => list.next(),
            Self::Dense(list) => list.next(),
        }
    }

    fn fold<B, F: FnMut(B, u32) -> B>(self, start: B, take: F) -> B {
        match self {
            Self::Spaced(list) => list.fold(start, take),
            Self::Dense(list) => list.fold(start, take),
        }
    }
}

impl Iterator for Dense<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.octet == 0 {
            let (octet, rest) = self.octets.split_first()?;
            (self.octets, self.octet, self.base) = (rest, *octet, self.next);
            self.next = self.next.saturating_add(8);
        }
        let bit = self.octet.trailing_zeros();
        self.octet &= self.octet.wrapping_sub(1);
        Some(self.base.saturating_add(bit))
    }
}

impl Iterator for Spaced<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let mut difference = 0u32;
        let mut shift = 0u32;
        loop {
            let (octet, rest) = self.octets.split_first()?;
            self.octets = rest;
            difference |= u32::from(octet & 0x7f).checked_shl(shift)?;
            if octet & 0x80 == 0 {
                break;
            }
            shift = shift.saturating_add(7);
        }
        self.last = self.last.wrapping_add(difference);
        Some(self.last)
    }

    /// The same as `next` over and over, in less than half the time: most differences are one octet.
    fn fold<B, F: FnMut(B, u32) -> B>(self, start: B, mut take: F) -> B {
        let (mut left, mut last, mut all) = (self.left, self.last, start);
        let (mut difference, mut shift) = (0u32, 0u32);
        if left == 0 {
            return all;
        }
        for octet in self.octets {
            let Some(part) = u32::from(octet & 0x7f).checked_shl(shift) else { return all };
            difference |= part;
            if octet & 0x80 != 0 {
                shift = shift.saturating_add(7);
                continue;
            }
            last = last.wrapping_add(difference);
            all = take(all, last);
            (difference, shift, left) = (0, 0, left.saturating_sub(1));
            if left == 0 {
                break;
            }
        }
        all
    }
}

/// How many octets a difference takes.
pub(crate) fn width(difference: u32) -> u32 {
    let bits = 32u32.saturating_sub(difference.leading_zeros());
    bits.div_ceil(7).max(1)
}

/// Writes a difference at `at`; gives where the next one goes. What does not fit is left out.
pub(crate) fn write(octets: &mut [u8], mut at: usize, mut difference: u32) -> usize {
    loop {
        let low = u8::try_from(difference & 0x7f).unwrap_or(0);
        difference >>= 7;
        if let Some(octet) = octets.get_mut(at) {
            *octet = if difference == 0 { low } else { low | 0x80 };
        }
        at = at.saturating_add(1);
        if difference == 0 {
            return at;
        }
    }
}

/// Marks a document in the list of bits that begins at `at`.
pub(crate) fn mark(octets: &mut [u8], at: usize, doc: u32) {
    let place = usize::try_from(doc / 8).ok().and_then(|octet| at.checked_add(octet));
    if let Some(octet) = place.and_then(|place| octets.get_mut(place)) {
        *octet |= 1u8 << (doc & 7);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both_ways(list: Postings<'_>) -> Vec<u32> {
        let mut one = list.clone();
        let one_by_one: Vec<u32> = std::iter::from_fn(|| one.next()).collect();
        let mut folded = Vec::new();
        list.for_each(|number| folded.push(number));
        assert_eq!(folded, one_by_one);
        folded
    }

    proptest! {
        #[test]
        fn lists_of_differences_come_back(numbers in proptest::collection::btree_set(any::<u32>(), 0..200)) {
            let numbers: Vec<u32> = numbers.into_iter().collect();
            let mut octets = vec![0; 2000];
            let (mut at, mut last, mut octets_long) = (0, 0, 0);
            for number in &numbers {
                octets_long += width(number - last);
                at = write(&mut octets, at, number - last);
                last = *number;
            }
            prop_assert_eq!(at, octets_long as usize);
            let count = u32::try_from(numbers.len()).unwrap();
            prop_assert_eq!(both_ways(Postings::new(&octets, count, u32::MAX)), numbers);
        }

        #[test]
        fn lists_of_bits_come_back(numbers in proptest::collection::btree_set(0u32..300, 40..200), before in 0usize..9) {
            let mut octets = vec![0; 60];
            numbers.iter().for_each(|number| mark(&mut octets, before, *number));
            let count = u32::try_from(numbers.len()).unwrap();
            let list = Postings::new(&octets[before..], count, 300);
            prop_assert!(matches!(list, Postings::Dense(_)));
            prop_assert_eq!(both_ways(list), numbers.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_octets_end(octets in proptest::collection::vec(any::<u8>(), 0..64), count: u32, docs in 0u32..1000) {
            let list = both_ways(Postings::new(&octets, count, docs));
            prop_assert!(list.len() <= octets.len() * 8);
        }
    }
}
