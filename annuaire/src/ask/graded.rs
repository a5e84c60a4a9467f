//! Documents by how well they fit: a few classes of equal worth, each a set.

use std::collections::BTreeMap;

use super::set::Set;
use crate::MatchKind;

/// How well a document fits, best first: the weakest of the words' matches, then how far they are from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Grade {
    pub(super) kind: MatchKind,
    pub(super) far: u32,
}

impl Grade {
    /// As typed, in the name.
    pub(super) const BEST: Self = Self { kind: MatchKind::Exact, far: 0 };

    /// Of a document of which two things are true.
    pub(super) fn with(self, other: Self) -> Self {
        Self { kind: self.kind.max(other.kind), far: self.far.saturating_add(other.far) }
    }
}

/// Classes of documents, best first; none is empty and no document is in two.
#[derive(Debug, Clone, Default)]
pub(super) struct Graded(Vec<(Grade, Set)>);

impl Graded {
    /// Every document in the best of the classes that it is in.
    pub(super) fn of(classes: impl IntoIterator<Item = (Grade, Set)>) -> Self {
        let mut all = Classes::default();
        classes.into_iter().for_each(|(grade, set)| all.add(grade, set));
        all.graded()
    }

    pub(super) fn classes(&self) -> impl Iterator<Item = &(Grade, Set)> {
        self.0.iter()
    }

    /// How many documents.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|(_, set)| set.len()).fold(0, u64::saturating_add)
    }

    /// Octets that it takes.
    pub(super) fn octets(&self) -> usize {
        self.0.iter().map(|(_, set)| set.octets()).fold(64, usize::saturating_add)
    }

    /// The documents of all classes; `docs` is how many there are at all.
    pub(super) fn all(&self, docs: u32) -> Set {
        match self.0.as_slice() {
            [(_, only)] => only.clone(),
            classes => classes.iter().fold(Set::none(docs), |all, (_, set)| all.or(set)),
        }
    }

    pub(super) fn has(&self, doc: u32) -> bool {
        self.0.iter().any(|(_, set)| set.has(doc))
    }

    /// What both have, by both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|own| other.0.iter().map(move |its| (own, its)));
        let both = pairs.map(|((own, set), (its, others))| (own.with(*its), set.and(others)));
        // Classes of either side have no document in common, so these have none: equal grades are put together.
        let mut all = Classes::default();
        both.filter(|(_, set)| !set.is_empty()).for_each(|(grade, set)| all.add(grade, set));
        Self(all.0.into_iter().collect())
    }

    /// What [`Graded::and`] costs beyond reading: sets of bits that meet each other, word by word.
    pub(super) fn cost_of_meeting(&self, other: &Self, docs: u32) -> u64 {
        let bits = |all: &Self| all.0.iter().filter(|(_, set)| set.is_bits()).count();
        let pairs = u64::try_from(bits(self).saturating_mul(bits(other))).unwrap_or(u64::MAX);
        pairs.saturating_mul(u64::from(docs) / 512)
    }

    /// Those of which something else is true, too, and how well.
    pub(super) fn tested(&self, docs: u32, mut test: impl FnMut(u32) -> Option<Grade>) -> Self {
        let mut by_grade: BTreeMap<Grade, Vec<u32>> = BTreeMap::new();
        for (own, set) in &self.0 {
            for doc in set.iter() {
                if let Some(other) = test(doc) {
                    by_grade.entry(own.with(other)).or_default().push(doc);
                }
            }
        }
        Self(by_grade.into_iter().map(|(grade, list)| (grade, Set::of(list, docs))).collect())
    }
}

/// Classes on their way: what is added to one grade becomes one set at once.
#[derive(Debug, Default)]
pub(super) struct Classes(BTreeMap<Grade, Set>);

impl Classes {
    pub(super) fn add(&mut self, grade: Grade, set: Set) {
        let all = match self.0.remove(&grade) {
            Some(all) => all.or(&set),
            None => set,
        };
        self.0.insert(grade, all);
    }

    /// Every document in the best of its classes.
    pub(super) fn graded(self) -> Graded {
        let mut better: Vec<(Grade, Set)> = Vec::new();
        let mut taken: Option<Set> = None;
        let mut classes = self.0.into_iter().peekable();
        while let Some((grade, set)) = classes.next() {
            let own = match &taken {
                Some(taken) => set.minus(taken),
                None => set,
            };
            if own.is_empty() {
                continue;
            }
            if classes.peek().is_some() {
                taken = Some(match taken {
                    Some(taken) => taken.or(&own),
                    None => own.clone(),
                });
            }
            better.push((grade, own));
        }
        Graded(better)
    }
}
