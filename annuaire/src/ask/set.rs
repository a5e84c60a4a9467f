//! Sets of documents: a sorted list where they are few, bits where they are many.

/// A set of document numbers, and of how many documents.
#[derive(Debug, Clone)]
pub(super) struct Set {
    form: Form,
    /// Words of 64 bits that all documents take.
    words: usize,
}

#[derive(Debug, Clone)]
enum Form {
    /// Sorted, each once.
    List(Vec<u32>),
    /// One bit for each document, and how many are set.
    Bits(Vec<u64>, u64),
}

impl Set {
    /// No document of so many.
    pub(super) fn none(docs: u32) -> Self {
        Self { form: Form::List(Vec::new()), words: words_of(docs) }
    }

    /// Every document.
    pub(super) fn all(docs: u32) -> Self {
        let mut bits = vec![u64::MAX; words_of(docs)];
        if let (Some(last), rest @ 1..) = (bits.last_mut(), docs & 63) {
            *last = u64::MAX.checked_shr(64u32.saturating_sub(rest)).unwrap_or(0);
        }
        Self { form: Form::Bits(bits, u64::from(docs)), words: words_of(docs) }
    }

    /// Numbers in any order; those beyond `docs` are left out.
    pub(super) fn of(mut list: Vec<u32>, docs: u32) -> Self {
        // What is read is made of sorted runs.
        list.sort();
        list.dedup();
        list.truncate(list.partition_point(|doc| *doc < docs));
        Self { form: Form::List(list), words: words_of(docs) }.settled()
    }

    fn of_bits(bits: Vec<u64>) -> Self {
        let words = bits.len();
        let count = bits.iter().map(|word| u64::from(word.count_ones())).sum();
        Self { form: Form::Bits(bits, count), words }.settled()
    }

    /// As a list where that takes less than twice the time to walk through.
    fn settled(self) -> Self {
        let most = u64::try_from(self.words).unwrap_or(u64::MAX);
        match &self.form {
            Form::Bits(_, count) if *count <= most => {
                let mut list = Vec::with_capacity(usize::try_from(*count).unwrap_or(0));
                list.extend(self.iter());
                Self { form: Form::List(list), words: self.words }
            }
            Form::List(list) if u64::try_from(list.len()).unwrap_or(u64::MAX) > most => {
                let mut bits = vec![0u64; self.words];
                list.iter().for_each(|doc| mark(&mut bits, *doc));
                Self { form: Form::Bits(bits, self.len()), words: self.words }
            }
            _ => self,
        }
    }

    pub(super) fn has(&self, doc: u32) -> bool {
        match &self.form {
            Form::List(list) => list.binary_search(&doc).is_ok(),
            Form::Bits(bits, _) => is_marked(bits, doc),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match &self.form {
            Form::List(list) => u64::try_from(list.len()).unwrap_or(u64::MAX),
            Form::Bits(_, count) => *count,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_bits(&self) -> bool {
        matches!(self.form, Form::Bits(..))
    }

    /// Octets that it takes.
    pub(super) fn octets(&self) -> usize {
        match &self.form {
            Form::List(list) => list.len().saturating_mul(4),
            Form::Bits(bits, _) => bits.len().saturating_mul(8),
        }
    }

    /// In order.
    pub(super) fn iter(&self) -> Docs<'_> {
        match &self.form {
            Form::List(list) => Docs::List(list.iter()),
            Form::Bits(bits, _) => Docs::Bits { words: bits.iter(), word: 0, base: 0, next: 0 },
        }
    }

    /// What both have.
    pub(super) fn and(&self, other: &Self) -> Self {
        let list = match (&self.form, &other.form) {
            (Form::Bits(a, _), Form::Bits(b, _)) => {
                return Self::of_bits(a.iter().zip(b).map(|(a, b)| a & b).collect());
            }
            (Form::List(list), Form::Bits(bits, _)) | (Form::Bits(bits, _), Form::List(list)) => {
                list.iter().copied().filter(|doc| is_marked(bits, *doc)).collect()
            }
            (Form::List(a), Form::List(b)) if a.len() <= b.len() => common(a, b),
            (Form::List(a), Form::List(b)) => common(b, a),
        };
        Self { form: Form::List(list), words: self.words }
    }

    /// What one of them has.
    pub(super) fn or(self, other: &Self) -> Self {
        let words = self.words;
        match (self.form, &other.form) {
            (Form::List(mut a), Form::List(b)) => {
                a.extend(b);
                a.sort();
                a.dedup();
                Self { form: Form::List(a), words }.settled()
            }
            (Form::Bits(mut a, _), Form::Bits(b, _)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Self::of_bits(a)
            }
            (Form::Bits(mut bits, _), Form::List(list)) => {
                list.iter().for_each(|doc| mark(&mut bits, *doc));
                Self::of_bits(bits)
            }
            (Form::List(list), Form::Bits(bits, _)) => {
                let mut bits = bits.clone();
                list.iter().for_each(|doc| mark(&mut bits, *doc));
                Self::of_bits(bits)
            }
        }
    }

    /// What it has and the other has not.
    pub(super) fn minus(self, other: &Self) -> Self {
        let words = self.words;
        match (self.form, &other.form) {
            (Form::List(mut list), _) => {
                list.retain(|doc| !other.has(*doc));
                Self { form: Form::List(list), words }
            }
            (Form::Bits(mut a, _), Form::Bits(b, _)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a &= !b);
                Self::of_bits(a)
            }
            (Form::Bits(mut bits, _), Form::List(list)) => {
                list.iter().for_each(|doc| unmark(&mut bits, *doc));
                Self::of_bits(bits)
            }
        }
    }
}

/// Many numbers, marked one by one or by whole lists of bits, on their way to a [`Set`].
#[derive(Debug)]
pub(super) struct Marks {
    bits: Vec<u64>,
    docs: u32,
}

impl Marks {
    /// None of so many documents yet.
    pub(super) fn new(docs: u32) -> Self {
        Self { bits: vec![0u64; words_of(docs)], docs }
    }

    pub(super) fn add(&mut self, doc: u32) {
        mark(&mut self.bits, doc);
    }

    /// All of a list of bits, the lowest of an octet first.
    pub(super) fn add_bits(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        self.bits.iter_mut().zip(words).for_each(|(own, word)| *own |= u64::from_le_bytes(*word));
        let mut last = [0u8; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        if let Some(own) = self.bits.get_mut(words.len()) {
            *own |= u64::from_le_bytes(last);
        }
    }

    /// The set; what is beyond the last document is left out.
    pub(super) fn finish(mut self) -> Set {
        if let (Some(last), rest @ 1..) = (self.bits.last_mut(), self.docs & 63) {
            *last &= u64::MAX.checked_shr(64u32.saturating_sub(rest)).unwrap_or(0);
        }
        Set::of_bits(self.bits)
    }
}

fn words_of(docs: u32) -> usize {
    usize::try_from(docs.div_ceil(64)).unwrap_or(0)
}

fn mark(bits: &mut [u64], doc: u32) {
    if let Some(word) = usize::try_from(doc / 64).ok().and_then(|at| bits.get_mut(at)) {
        *word |= 1u64 << (doc & 63);
    }
}

fn unmark(bits: &mut [u64], doc: u32) {
    if let Some(word) = usize::try_from(doc / 64).ok().and_then(|at| bits.get_mut(at)) {
        *word &= !(1u64 << (doc & 63));
    }
}

fn is_marked(bits: &[u64], doc: u32) -> bool {
    let word = usize::try_from(doc / 64).ok().and_then(|at| bits.get(at));
    word.is_some_and(|word| word >> (doc & 63) & 1 == 1)
}

/// What both lists have: the longer one is gone through by doubling steps, from one hit to the next.
fn common(short: &[u32], long: &[u32]) -> Vec<u32> {
    let mut both = Vec::new();
    let mut rest = long;
    for doc in short {
        let mut step = 1usize;
        while rest.get(step).is_some_and(|other| other < doc) {
            step = step.saturating_mul(2);
        }
        let near = rest.get(..step.saturating_add(1)).unwrap_or(rest);
        let at = near.partition_point(|other| other < doc);
        rest = rest.get(at..).unwrap_or_default();
        match rest.first() {
            Some(other) if other == doc => both.push(*doc),
            Some(_) => {}
            None => break,
        }
    }
    both
}

/// The numbers of a [`Set`], in order.
#[derive(Debug, Clone)]
pub(super) enum Docs<'a> {
    List(std::slice::Iter<'a, u32>),
    Bits {
        words: std::slice::Iter<'a, u64>,
        /// What is left of one word, and the number of its first bit.
        word: u64,
        base: u32,
        /// The number of the first bit of the next word.
        next: u32,
    },
}

impl Iterator for Docs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::List(list) => list.next().copied(),
            Self::Bits { words, word, base, next } => {
                while *word == 0 {
                    *word = *words.next()?;
                    *base = *next;
                    *next = next.saturating_add(64);
                }
                let bit = word.trailing_zeros();
                *word &= word.wrapping_sub(1);
                Some(base.saturating_add(bit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const DOCS: u32 = 200;

    fn both(docs: &BTreeSet<u32>) -> [Set; 2] {
        let list: Vec<u32> = docs.iter().rev().copied().collect();
        let mut bits = vec![0u64; words_of(DOCS)];
        list.iter().for_each(|doc| mark(&mut bits, *doc));
        let words = bits.len();
        let list = Set { form: Form::List(docs.iter().copied().collect()), words };
        [list, Set { form: Form::Bits(bits, docs.len() as u64), words }]
    }

    proptest! {
        #[test]
        fn lists_and_bits_agree(
            a in proptest::collection::btree_set(0..DOCS, 0..80),
            b in proptest::collection::btree_set(0..DOCS, 0..80),
        ) {
            let sorted = |set: Set| {
                let list = set.iter().collect::<Vec<_>>();
                assert_eq!(set.len(), list.len() as u64);
                list
            };
            for x in both(&a) {
                for y in both(&b) {
                    prop_assert_eq!(sorted(x.and(&y)), a.intersection(&b).copied().collect::<Vec<_>>());
                    prop_assert_eq!(sorted(x.clone().or(&y)), a.union(&b).copied().collect::<Vec<_>>());
                    prop_assert_eq!(sorted(x.clone().minus(&y)), a.difference(&b).copied().collect::<Vec<_>>());
                }
                prop_assert_eq!(x.len(), a.len() as u64);
                let rest: Vec<u32> = (0..DOCS).filter(|doc| !a.contains(doc)).collect();
                prop_assert_eq!(sorted(Set::all(DOCS).minus(&x)), rest);
                prop_assert!((0..DOCS + 10).all(|doc| x.has(doc) == a.contains(&doc)));
                prop_assert_eq!(sorted(x.settled()), a.iter().copied().collect::<Vec<_>>());
            }
            let odd = || a.iter().rev().chain(&b).copied().chain([DOCS, u32::MAX]);
            let all = a.union(&b).copied().collect::<Vec<_>>();
            prop_assert_eq!(sorted(Set::of(odd().collect(), DOCS)), all.clone());
            let mut marks = Marks::new(DOCS);
            odd().for_each(|doc| marks.add(doc));
            prop_assert_eq!(sorted(marks.finish()), all.clone());
            let mut octets = vec![0u8; DOCS.div_ceil(8) as usize];
            all.iter().for_each(|doc| octets[*doc as usize / 8] |= 1 << (doc % 8));
            let mut marks = Marks::new(DOCS);
            marks.add_bits(&octets);
            marks.add_bits(&[0; 100]);
            prop_assert_eq!(sorted(marks.finish()), all);
        }

        #[test]
        fn damaged_bits_are_no_documents(octets in proptest::collection::vec(any::<u8>(), 0..60), docs in 1u32..300) {
            let mut marks = Marks::new(docs);
            marks.add_bits(&octets);
            prop_assert!(marks.finish().iter().all(|doc| doc < docs));
        }
    }
}
