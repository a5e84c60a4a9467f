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
        let mut better: Vec<(Grade, Set)> = Vec::new();
        let mut taken: Option<Set> = None;
        let mut by_grade = together(classes).into_iter().peekable();
        while let Some((grade, set)) = by_grade.next() {
            let own = match &taken {
                Some(taken) => set.minus(taken),
                None => set,
            };
            if own.is_empty() {
                continue;
            }
            if by_grade.peek().is_some() {
                taken = Some(match taken {
                    Some(taken) => taken.or(&own),
                    None => own.clone(),
                });
            }
            better.push((grade, own));
        }
        Self(better)
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
        Self(together(both.filter(|(_, set)| !set.is_empty())).into_iter().collect())
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

/// The sets of each grade as one.
fn together(classes: impl IntoIterator<Item = (Grade, Set)>) -> BTreeMap<Grade, Set> {
    let mut by_grade: BTreeMap<Grade, Set> = BTreeMap::new();
    for (grade, set) in classes {
        let all = match by_grade.remove(&grade) {
            Some(all) => all.or(&set),
            None => set,
        };
        by_grade.insert(grade, all);
    }
    by_grade
}
