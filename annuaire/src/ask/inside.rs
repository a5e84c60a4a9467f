//! Letters anywhere in a word: the dictionary is searched as one text.

use std::sync::Arc;

use crate::{Fields, Generation, generation::partition};

/// Words with letters inside that are listed; where there are more, words are looked at one by one.
const MOST: usize = 200_000;
/// What an entry costs that has letters inside it, in list entries read.
const FOUND: usize = 8;
/// Octets of the dictionary that are searched in the time that it takes to read a list entry.
const OCTETS: usize = 16;

/// The words that have letters anywhere but at their start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    /// Just these, sorted.
    Few(Arc<[u32]>),
    /// So many that they are not listed: a letter or two are in most words there are.
    Many,
}

/// Letters that stand anywhere in a word of some fields, but not at its start.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) letters: Arc<str>,
    pub(super) fields: Fields,
    pub(super) inside: Inside,
}

impl Inner {
    pub(super) fn new(letters: &str, fields: Fields, inside: Inside) -> Self {
        Self { letters: letters.into(), fields, inside }
    }

    /// Whether an entry of the dictionary, which is of this field, has the letters inside.
    pub(super) fn has(&self, g: &Generation, entry: u32, field: u32) -> bool {
        self.fields.has_number(field)
            && match &self.inside {
                Inside::Few(list) => list.binary_search(&entry).is_ok(),
                Inside::Many => {
                    let behind = g.index.word(entry).get(1..).unwrap_or_default();
                    memchr::memmem::find(behind, self.letters.as_bytes()).is_some()
                }
            }
    }
}

/// The words of a generation that have these letters anywhere but at their start, and what finding them costs. They are
/// kept for whoever asks next, who pays the same.
pub(super) fn entries(g: &Generation, letters: &str) -> (Inside, u64) {
    let inside = g.kept.inside(letters).unwrap_or_else(|| {
        let found = Search { g, entry: 0, found: Vec::new() }.all(letters.as_bytes());
        let inside = if found.len() < MOST { Inside::Few(found.into()) } else { Inside::Many };
        g.kept.put_inside(letters, &inside);
        inside
    });
    let listed = match &inside {
        Inside::Few(list) => list.len(),
        Inside::Many => MOST,
    };
    let read = g.index.entries.bytes.len().div_euclid(OCTETS);
    (inside, u64::try_from(listed.saturating_mul(FOUND).saturating_add(read)).unwrap_or(u64::MAX))
}

/// A walk through the dictionary, which is one text.
struct Search<'g> {
    g: &'g Generation,
    /// The one that was looked at last.
    entry: u32,
    found: Vec<u32>,
}

impl Search<'_> {
    /// The first [`MOST`] entries that have the letters behind their first octet.
    fn all(mut self, letters: &[u8]) -> Vec<u32> {
        let octets = self.g.index.entries.bytes.as_bytes();
        for at in memchr::memmem::find_iter(octets, letters) {
            if self.found.len() >= MOST {
                break;
            }
            if !self.take(at, letters.len()) {
                // A hit that began at a mark hides one that begins within it.
                let mut hidden = at.saturating_add(1)..at.saturating_add(letters.len());
                let begins = |at: &usize| octets.get(*at..).is_some_and(|rest| rest.starts_with(letters));
                if let Some(at) = hidden.find(begins) {
                    self.take(at, letters.len());
                }
            }
        }
        self.found
    }

    /// Takes the entry that has letters at this place, if they stand behind its first octet; whether they are within it.
    fn take(&mut self, at: usize, length: usize) -> bool {
        let end_of = |entry: u32| self.g.index.entries.end(entry);
        let count = self.g.index.len();
        // Hits come in order: the entry is found by doubling steps from the last, then by halves.
        let (mut low, mut step) = (self.entry, 1u32);
        while low.saturating_add(step) < count && end_of(low.saturating_add(step)) <= at {
            low = low.saturating_add(step);
            step = step.saturating_mul(2);
        }
        let high = low.saturating_add(step).saturating_add(1).min(count);
        let entry = partition(low, high, |entry| end_of(entry) <= at);
        let start = entry.checked_sub(1).map_or(0, end_of);
        // Behind the word are a zero octet and the mark of its field.
        let within = at.saturating_add(length) <= end_of(entry).saturating_sub(2);
        if within && at > start && self.found.last() != Some(&entry) {
            self.found.push(entry);
        }
        self.entry = entry;
        within
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeSet};

    use super::*;
    use crate::{
        Field, Filter, GenerateOptions, How, Page, Total,
        ask::{
            Work,
            compile::{Compiler, Node, Stage},
            evaluate::Run,
            hidden::overlay,
            read::READ,
        },
        build, fold, generate,
        generation::Space,
    };

    fn generation() -> Generation {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), &GenerateOptions::new(7, 600)).unwrap();
        build(folder.path()).unwrap().1.unwrap()
    }

    fn contains(field: Field, text: &str) -> Filter {
        Filter::Words { fields: field.into(), how: How::Contains, text: text.to_owned() }
    }

    /// The same where letters are in too many words to be listed.
    fn many(node: Node) -> Node {
        match node {
            Node::Leaf(mut leaf) => {
                leaf.inner.iter_mut().for_each(|inner| inner.inside = Inside::Many);
                Node::Leaf(leaf)
            }
            Node::And(parts) => Node::And(parts.into_iter().map(many).collect()),
            Node::Or(parts) => Node::Or(parts.into_iter().map(many).collect()),
            Node::Not(part) => Node::Not(Box::new(many(*part))),
            Node::All => Node::All,
        }
    }

    #[test]
    fn a_word_has_letters_behind_its_first_whether_they_are_listed_or_not() {
        let g = generation();
        let fields = Fields::from(Field::Family);
        for letters in ["a", "e", "ar", "tin", "é", "-", "zzz"] {
            let (listed, _) = entries(&g, letters);
            let Inside::Few(list) = &listed else { panic!("{letters}: too many") };
            let slowly =
                |entry: u32| g.index.word(entry).windows(letters.len()).skip(1).any(|w| w == letters.as_bytes());
            assert_eq!(
                list.to_vec(),
                (0..g.index.len()).filter(|entry| slowly(*entry)).collect::<Vec<_>>(),
                "{letters}"
            );
            let (few, many) = (Inner::new(letters, fields, listed.clone()), Inner::new(letters, fields, Inside::Many));
            for entry in 0..g.index.len() {
                let field = g.tables.entry_field.at(entry);
                let is_it = list.contains(&entry) && field == Field::Family.number();
                assert_eq!((few.has(&g, entry, field), many.has(&g, entry, field)), (is_it, is_it), "{letters}");
            }
        }
    }

    #[test]
    fn letters_in_too_many_words_are_looked_for_in_each_and_the_answer_says_that_it_may_lack_some() {
        let g = generation();
        let hidden = overlay(&g, None);
        let ask = |filter: &Filter, turn: fn(Node) -> Node, page: Page| {
            let (work, spare) = (Work::new(u64::MAX), Cell::new(READ));
            let node = Compiler::new(&g, (None, &hidden.added), Space::People, Stage::Typed, &work).node(filter, 0);
            Run { generation: &g, space: Space::People, hidden: &hidden, work: &work, spare: &spare }
                .page(&turn(node), page)
        };
        let all = Page::first(10_000);
        let set = |found: &crate::ask::evaluate::Found| found.docs.iter().map(|(doc, _)| *doc).collect::<BTreeSet<_>>();
        let town = Filter::Words { fields: Field::Town.into(), how: How::Prefix, text: "s".to_owned() };
        let one = contains(Field::Family, "a");
        let either = Filter::Or(vec![contains(Field::Given, "i"), one.clone()]);
        let not = Filter::And(vec![town.clone(), Filter::Not(Box::new(one.clone()))]);
        for filter in [one.clone(), either, Filter::And(vec![one.clone(), town]), not] {
            let (few, many) = (ask(&filter, |node| node, all), ask(&filter, many, all));
            assert_eq!(set(&few), set(&many), "{filter:?}");
            assert!(few.docs.len() > 5 && matches!(few.total, Total::Exactly(_)), "{filter:?}");
        }
        let first = ask(&one, many, Page::first(20));
        let begins = |doc: u32| {
            fold(crate::Person { generation: &g, row: g.row_of(Space::People, doc) }.family()).starts_with('a')
        };
        assert!(begins(first.docs[0].0) && !set(&ask(&one, |node| node, all)).iter().all(|doc| begins(*doc)));
        assert!(first.cut && matches!(first.total, Total::AtLeast(20)), "{:?}", first.total);
    }
}
