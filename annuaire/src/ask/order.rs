//! The order of answers where the red list changes it. Who can be written to comes first, and the index is numbered so,
//! without any registry: who has red-listed mailboxes only would stand among the first and show nothing, and that would
//! tell. They are shown where those stand who have none.

use crate::{
    Generation,
    generation::{Space, lists_a_mailbox, partition, shown_by},
};

/// Documents of a space that are shown elsewhere than where the index has them.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// In the order in which they are shown, each with the document before which it stands.
    moved: Vec<(u32, u32)>,
    /// The same documents, sorted, each with its place above.
    places: Vec<(u32, u32)>,
}

impl Order {
    /// With these documents among those that have no mailbox.
    pub(super) fn of(g: &Generation, space: Space, mut hidden: Vec<u32>) -> Self {
        hidden.sort_unstable();
        hidden.dedup();
        let key = |doc: u32| shown_by(g, space, g.row_of(space, doc));
        let docs = g.docs(space);
        // The index has those without a mailbox behind the others, and both in the order of their names.
        let second = partition(0, docs, |doc| lists_a_mailbox(&g.tables, space, g.row_of(space, doc)));
        let mut keyed: Vec<_> = hidden.into_iter().filter(|doc| *doc < second).map(|doc| (key(doc), doc)).collect();
        keyed.sort_unstable();
        let before = |(own, doc): (_, u32)| (doc, partition(second, docs, |other| key(other) < own));
        let moved: Vec<(u32, u32)> = keyed.into_iter().map(before).collect();
        let mut places: Vec<(u32, u32)> = (0u32..).zip(&moved).map(|(at, (doc, _))| (*doc, at)).collect();
        places.sort_unstable();
        Self { moved, places }
    }

    fn place(&self, doc: u32) -> Option<u32> {
        let at = self.places.binary_search_by_key(&doc, |(doc, _)| *doc).ok()?;
        self.places.get(at).map(|(_, place)| *place)
    }

    /// What sorts documents as they are shown.
    pub(crate) fn key(&self, doc: u32) -> (u32, u32) {
        let moved = self.place(doc).and_then(|place| Some((place, self.moved.get(usize::try_from(place).ok()?)?.1)));
        moved.map_or((doc, u32::MAX), |(place, before)| (before, place))
    }

    /// Sorted documents as they are shown; `has` tells which there are.
    pub(super) fn shown<'o>(
        &'o self,
        docs: impl Iterator<Item = u32> + 'o,
        has: impl Fn(u32) -> bool + 'o,
    ) -> Box<dyn Iterator<Item = u32> + 'o> {
        if self.moved.is_empty() {
            return Box::new(docs);
        }
        let mut docs = docs.filter(|doc| self.place(*doc).is_none()).peekable();
        let mut moved = self.moved.iter().filter(move |(doc, _)| has(*doc)).peekable();
        Box::new(std::iter::from_fn(move || {
            let next = moved.next_if(|(_, before)| docs.peek().is_none_or(|doc| before <= doc));
            next.map(|(doc, _)| *doc).or_else(|| docs.next())
        }))
    }
}
