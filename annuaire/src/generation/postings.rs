//! Sorted lists of document numbers, written as differences of 7 bits an octet.

/// Reads one list. Damaged octets end it early; they never make it panic or run on.
#[derive(Debug, Clone)]
pub(crate) struct Postings<'a> {
    octets: &'a [u8],
    left: u32,
    last: u32,
}

impl<'a> Postings<'a> {
    /// A list of `count` numbers at the start of `octets`.
    pub(crate) fn new(octets: &'a [u8], count: u32) -> Self {
        Self { octets, left: count, last: 0 }
    }
}

impl Iterator for Postings<'_> {
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

    /// The same as [`Postings::next`] over and over, in less than half the time: most differences are one octet.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back(numbers in proptest::collection::btree_set(any::<u32>(), 0..200)) {
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
            prop_assert_eq!(Postings::new(&octets, count).collect::<Vec<_>>(), numbers.clone());
            let mut folded = Vec::new();
            Postings::new(&octets, count).for_each(|number| folded.push(number));
            prop_assert_eq!(folded, numbers);
        }

        #[test]
        fn any_octets_end(octets in proptest::collection::vec(any::<u8>(), 0..64), count in any::<u32>()) {
            let mut list = Postings::new(&octets, count);
            let one_by_one: Vec<u32> = std::iter::from_fn(|| list.next()).collect();
            prop_assert!(one_by_one.len() <= octets.len());
            let folded = Postings::new(&octets, count).fold(Vec::new(), |mut all, number| { all.push(number); all });
            prop_assert_eq!(folded, one_by_one);
        }
    }
}
