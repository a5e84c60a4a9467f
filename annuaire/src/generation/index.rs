//! The word index: a sorted dictionary of (folded word, field), for each the people and the structures that carry
//! it, and back from each of these to its words.
//!
//! A person's list holds the words of the places where the person works, so that name and town are one
//! intersection. The way back is kept in two steps (own words, words of each structure): it is what tests a
//! candidate, and costs a third of the whole. Documents are numbered in the order in which answers are shown.

use super::{
    Generation,
    column::Values,
    field::{Field, Fields},
    order,
    postings::{self, Postings},
    shared::Shared,
    strings::{Interner, Strings, Text},
    tables::{Column, NONE, Tables},
    words::Words,
};

/// Dictionary and lists; the columns of numbers are among the [`Tables`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Each word, a zero octet, and the mark of its field; sorted.
    pub(crate) entries: Strings,
    /// All lists, one behind the other.
    pub(crate) postings: Vec<u8>,
    /// What each entry begins with like the one before: worked out whenever a dictionary is read.
    pub(crate) shared: Shared,
}

/// People, or structures: what a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Space {
    People,
    Places,
}

impl Index {
    pub(super) fn new(entries: Strings, postings: Vec<u8>) -> Self {
        let shared = Shared::of(&entries);
        Self { entries, postings, shared }
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len()
    }

    /// The octets of a word without its mark.
    pub(crate) fn word(&self, entry: u32) -> &[u8] {
        let text = self.entries.octets(entry);
        text.len().checked_sub(2).and_then(|end| text.get(..end)).unwrap_or_default()
    }
}

/// Builds the index: `None` when something does not fit in 32 bits.
///
/// `told` hears how far it is, in parts of a hundred of the whole step, from 20 on.
pub(super) fn build(t: &mut Tables, text: &Strings, told: &mut impl FnMut(u64)) -> Option<Index> {
    order::number(t, text);
    told(28);
    let mut words = Words::new(text);
    let own = forward(t.person_id.len(), |row, out| words.person(t, row, out))?;
    told(58);
    let places = forward(t.structure_key.len(), |row, out| words.structure(t, row, out))?;
    told(65);
    let (entries, new) = sorted(words.finish());
    let renumber = |(starts, mut lists): (Column, Vec<u32>)| {
        lists.iter_mut().for_each(|entry| *entry = at(&new, *entry));
        for row in 0..starts.len().saturating_sub(1) {
            let range = starts.range(row);
            if let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end))
                && let Some(list) = lists.get_mut(from..to)
            {
                list.sort_unstable();
            }
        }
        let mut lists = Column::from(lists);
        // At once: what comes next needs the room.
        lists.pack();
        (starts, lists)
    };
    (t.person_word_starts, t.person_words) = renumber(own);
    (t.structure_word_starts, t.structure_words) = renumber(places);
    told(72);
    let count = entries.len();
    t.entry_field = (0..count).map(|entry| mark_of(&entries, entry)).collect::<Vec<_>>().into();
    let mut index = Index::new(entries, Vec::new());
    lists(t, &mut index.postings, count)?;
    told(96);
    Some(index)
}

fn at(column: &[u32], row: u32) -> u32 {
    usize::try_from(row).ok().and_then(|row| column.get(row)).copied().unwrap_or(NONE)
}

/// The words of each row: where they start, and the words.
fn forward(rows: u32, mut words: impl FnMut(u32, &mut Vec<Text>)) -> Option<(Column, Vec<u32>)> {
    let mut starts = Vec::with_capacity(usize::try_from(rows).ok()?);
    let mut all: Vec<u32> = Vec::new();
    let mut of_row = Vec::new();
    for row in 0..rows {
        starts.push(u32::try_from(all.len()).ok()?);
        of_row.clear();
        words(row, &mut of_row);
        of_row.sort_unstable();
        of_row.dedup();
        all.extend_from_slice(&of_row);
    }
    starts.push(u32::try_from(all.len()).ok()?);
    all.shrink_to_fit();
    Some((starts.into(), all))
}

/// The dictionary in order, and for each word of the interner its place there.
fn sorted(words: Interner) -> (Strings, Vec<u32>) {
    let strings = words.finish();
    let count = strings.len();
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by(|a, b| strings.get(*a).cmp(strings.get(*b)));
    let mut entries = Strings { bytes: String::with_capacity(strings.bytes.len()), ends: Column::default() };
    let mut new = vec![NONE; order.len()];
    for (place, old) in (0u32..).zip(&order) {
        entries.bytes.push_str(strings.get(*old));
        entries.ends.push(u32::try_from(entries.bytes.len()).unwrap_or(NONE));
        if let Some(slot) = usize::try_from(*old).ok().and_then(|old| new.get_mut(old)) {
            *slot = place;
        }
    }
    entries.pack();
    (entries, new)
}

fn mark_of(entries: &Strings, entry: u32) -> u32 {
    let mark = entries.get(entry).bytes().last();
    mark.map_or(NONE, |mark| u32::from(mark.wrapping_sub(Field::Family.mark())))
}

/// Writes the lists of both spaces: once to learn their lengths, once to fill them.
fn lists(t: &mut Tables, octets: &mut Vec<u8>, entries: u32) -> Option<()> {
    let mut start = 0u32;
    for (space, docs) in [(Space::People, t.doc_person.len()), (Space::Places, t.doc_structure.len())] {
        let mut lengths = vec![0u32; usize::try_from(entries).ok()?];
        let mut counts = lengths.clone();
        let mut last = lengths.clone();
        each(t, space, |doc, entry| {
            let Ok(entry) = usize::try_from(entry) else { return };
            let (Some(length), Some(count), Some(last)) =
                (lengths.get_mut(entry), counts.get_mut(entry), last.get_mut(entry))
            else {
                return;
            };
            *length = length.saturating_add(postings::width(doc.wrapping_sub(*last)));
            *count = count.saturating_add(1);
            *last = doc;
        });
        let mut starts = Vec::with_capacity(lengths.len());
        for (length, count) in lengths.iter().zip(&counts) {
            starts.push(start);
            let dense = postings::is_dense(*count, docs);
            start = start.checked_add(if dense { postings::dense_length(docs) } else { *length })?;
        }
        drop(lengths);
        octets.resize(usize::try_from(start).ok()?, 0);
        let mut places: Vec<u32> = starts.clone();
        last.iter_mut().for_each(|last| *last = 0);
        each(t, space, |doc, entry| {
            let Ok(entry) = usize::try_from(entry) else { return };
            let (Some(place), Some(last), Some(count)) =
                (places.get_mut(entry), last.get_mut(entry), counts.get(entry))
            else {
                return;
            };
            let at = usize::try_from(*place).unwrap_or(usize::MAX);
            if postings::is_dense(*count, docs) {
                postings::mark(octets, at, doc);
            } else {
                let next = postings::write(octets, at, doc.wrapping_sub(*last));
                (*place, *last) = (u32::try_from(next).unwrap_or(NONE), doc);
            }
        });
        match space {
            Space::People => (t.entry_people_starts, t.entry_people_counts) = (starts.into(), counts.into()),
            Space::Places => (t.entry_place_starts, t.entry_place_counts) = (starts.into(), counts.into()),
        }
    }
    Some(())
}

/// Every document with each of its words, once, in the order of documents.
fn each(t: &Tables, space: Space, mut take: impl FnMut(u32, u32)) {
    let mut words: Vec<u32> = Vec::new();
    let docs = match space {
        Space::People => &t.doc_person,
        Space::Places => &t.doc_structure,
    };
    for (doc, row) in (0u32..).zip(docs.values()) {
        words.clear();
        lists_of(t, space, row, |_, list| words.extend(list));
        words.sort_unstable();
        words.dedup();
        words.iter().for_each(|entry| take(doc, *entry));
    }
}

/// Whose words they are: a person's own, or those of a structure, be it the person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Bearer {
    Person(u32),
    Structure(u32),
}

/// The word lists of one row, each with whose it is.
pub(crate) fn lists_of<'a>(t: &'a Tables, space: Space, row: u32, mut take: impl FnMut(Bearer, Values<'a>)) {
    match space {
        Space::Places => take(Bearer::Structure(row), t.structure_words.of(&t.structure_word_starts, row)),
        Space::People => {
            take(Bearer::Person(row), t.person_words.of(&t.person_word_starts, row));
            let mut before = NONE;
            for activity in t.person_activity_starts.range(row) {
                let structure = t.activity_structure.at(activity);
                if structure != NONE && structure != before {
                    take(Bearer::Structure(structure), t.structure_words.of(&t.structure_word_starts, structure));
                }
                before = structure;
            }
        }
    }
}

impl Generation {
    /// How many documents a space has.
    pub(crate) fn docs(&self, space: Space) -> u32 {
        match space {
            Space::People => self.tables.doc_person.len(),
            Space::Places => self.tables.doc_structure.len(),
        }
    }

    /// The row of a document.
    pub(crate) fn row_of(&self, space: Space, doc: u32) -> u32 {
        match space {
            Space::People => self.tables.doc_person.at(doc),
            Space::Places => self.tables.doc_structure.at(doc),
        }
    }

    /// The document of a row.
    pub(crate) fn doc_of(&self, space: Space, row: u32) -> u32 {
        match space {
            Space::People => self.tables.person_doc.at(row),
            Space::Places => self.tables.structure_doc.at(row),
        }
    }

    /// How many documents carry a word, and the list of them.
    pub(crate) fn postings(&self, space: Space, entry: u32) -> Postings<'_> {
        let starts = match space {
            Space::People => &self.tables.entry_people_starts,
            Space::Places => &self.tables.entry_place_starts,
        };
        let counts = self.posting_counts(space);
        let start = usize::try_from(starts.at(entry)).unwrap_or(usize::MAX);
        let count = counts.at(entry);
        let octets = self.index.postings.get(start..).unwrap_or_default();
        Postings::new(octets, if count == NONE { 0 } else { count }, self.docs(space))
    }

    /// For each word, how many documents carry it.
    pub(crate) fn posting_counts(&self, space: Space) -> &Column {
        match space {
            Space::People => &self.tables.entry_people_counts,
            Space::Places => &self.tables.entry_place_counts,
        }
    }

    /// The dictionary entries that begin with these octets.
    pub(crate) fn entries_from(&self, start: &str) -> std::ops::Range<u32> {
        let entries = &self.index.entries;
        let count = self.index.len();
        let start = start.as_bytes();
        let from = super::partition(0, count, |entry| entries.octets(entry) < start);
        from..super::partition_near(from, count, |entry| entries.octets(entry).starts_with(start))
    }

    /// Whether a dictionary entry stands in one of these fields.
    pub(crate) fn entry_in(&self, entry: u32, fields: Fields) -> bool {
        fields.has_number(self.tables.entry_field.at(entry))
    }
}
