//! Letters anywhere in a word: the dictionary is searched as one text.

use std::sync::Arc;

use memchr::memmem::{Finder, find_iter};

use crate::{Fields, Generation, generation::partition};

/// Words with letters inside that are listed; where there are more, words are looked at one by one.
const MOST: usize = 200_000;
/// Places in the dictionary where the letters stand that are gone through: three letters never have as many.
const PLACES: u64 = 400_000;
/// What such a place costs, in list entries read.
const PLACE: u64 = 4;
/// Octets of the dictionary that are searched in the time that it takes to read a list entry.
const OCTETS: usize = 16;
/// What it costs to look for letters in one word.
const LOOK: u64 = 16;
/// Longest letters that are remembered: those that words have are no longer.
pub(super) const REMEMBERED: usize = 32;

/// The words that have letters anywhere but at their start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    /// Just these, sorted.
    Few(Arc<[u32]>),
    /// So many that they are not listed: a letter or two are in half the names there are.
    Many,
}

/// What a search of the dictionary found, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Searched {
    pub(super) inside: Inside,
    pub(super) cost: u64,
}

/// Letters that stand anywhere in a word of some fields, but not at its start.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) letters: Arc<str>,
    pub(super) fields: Fields,
    pub(super) inside: Inside,
    finder: Arc<Finder<'static>>,
}

impl Inner {
    pub(super) fn new(letters: &str, fields: Fields, inside: Inside) -> Self {
        let finder = Arc::new(Finder::new(letters.as_bytes()).into_owned());
        Self { letters: letters.into(), fields, inside, finder }
    }

    /// What a look at one word costs.
    pub(super) fn look(&self) -> u64 {
        match self.inside {
            Inside::Few(_) => 2,
            Inside::Many => LOOK,
        }
    }

    /// Whether an entry of the dictionary, which is of one of the fields, has the letters inside.
    pub(super) fn has(&self, g: &Generation, entry: u32) -> bool {
        match &self.inside {
            Inside::Few(list) => list.binary_search(&entry).is_ok(),
            Inside::Many => {
                let behind = g.index.word(entry).get(1..).unwrap_or_default();
                self.finder.find(behind).is_some()
            }
        }
    }
}

/// The words of a generation that have these letters anywhere but at their start, and what finding them costs: of all
/// fields together, or, where these are too many, of those that are asked. They are kept for whoever asks next, who pays
/// the same.
pub(super) fn entries(g: &Generation, letters: &str, fields: Fields) -> Searched {
    let all = searched(g, letters, Fields::ALL);
    if all.inside != Inside::Many {
        return all;
    }
    let Searched { inside, cost } = searched(g, letters, fields);
    Searched { inside, cost: cost.saturating_add(all.cost) }
}

fn searched(g: &Generation, letters: &str, fields: Fields) -> Searched {
    let key = (letters.to_owned(), fields);
    g.kept.inside(&key).unwrap_or_else(|| {
        let found = search(g, letters, fields, MOST);
        g.kept.put_inside(key, &found);
        found
    })
}

/// Searches the dictionary, until `most` words are found.
fn search(g: &Generation, letters: &str, fields: Fields, most: usize) -> Searched {
    let mut search = Search { g, fields, entry: 0, found: Vec::new() };
    let (places, read) = search.all(letters.as_bytes(), most);
    let cost = places.saturating_mul(PLACE).saturating_add(u64::try_from(read / OCTETS).unwrap_or(u64::MAX));
    let is_whole = search.found.len() < most && places < PLACES;
    Searched { inside: if is_whole { Inside::Few(search.found.into()) } else { Inside::Many }, cost }
}

/// A walk through the dictionary, which is one text.
struct Search<'g> {
    g: &'g Generation,
    fields: Fields,
    /// The one that was looked at last.
    entry: u32,
    found: Vec<u32>,
}

impl Search<'_> {
    /// Finds the entries that have the letters behind their first octet; how many places there were, and how many octets
    /// were read.
    fn all(&mut self, letters: &[u8], most: usize) -> (u64, usize) {
        let octets = self.g.index.entries.bytes.as_bytes();
        let mut places = 0u64;
        for at in find_iter(octets, letters) {
            if self.found.len() >= most || places >= PLACES {
                return (places, at);
            }
            places = places.saturating_add(1);
            if !self.take(at, letters.len()) {
                // A hit that began at a mark hides one that begins within it.
                let mut hidden = at.saturating_add(1)..at.saturating_add(letters.len());
                let begins = |at: &usize| octets.get(*at..).is_some_and(|rest| rest.starts_with(letters));
                if let Some(at) = hidden.find(begins) {
                    self.take(at, letters.len());
                }
            }
        }
        (places, octets.len())
    }

    /// Takes the entry that has letters at this place, if they stand behind its first octet and it is of one of the fields;
    /// whether the letters are within it.
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
        let meant = || self.fields.has_number(self.g.tables.entry_field.at(entry));
        if within && at > start && self.found.last() != Some(&entry) && meant() {
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
            let listed = entries(&g, letters, fields).inside;
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
                if fields.has_number(field) {
                    assert_eq!(few.has(&g, entry), many.has(&g, entry), "{letters}");
                }
            }
            let family = list.iter().filter(|entry| g.entry_in(**entry, fields)).count();
            let most = |most| search(&g, letters, fields, most);
            let (below, at) = (most(family + 1), most(family.max(1)));
            assert_eq!(
                below.inside,
                Inside::Few(list.iter().copied().filter(|entry| g.entry_in(*entry, fields)).collect())
            );
            assert_eq!(at.inside == Inside::Many, family > 0, "{letters}");
            assert!(family < 10 || most(family / 2).cost * 10 < below.cost * 9, "{letters}: it goes on to the end");
        }
    }

    #[test]
    fn letters_in_too_many_words_are_looked_for_in_each_and_the_answer_says_that_it_may_lack_some() {
        let g = generation();
        let hidden = overlay(&g, None);
        let ask_for = |filter: &Filter, turn: fn(Node) -> Node, page: Page, work: &Work| {
            let (any, spare) = (Work::new(u64::MAX), Cell::new(READ));
            let node = Compiler::new(&g, (None, &hidden), Space::People, Stage::Typed, &any).node(filter, 0);
            Run { generation: &g, space: Space::People, hidden: &hidden, work, spare: &spare }.page(&turn(node), page)
        };
        let ask =
            |filter: &Filter, turn: fn(Node) -> Node, page: Page| ask_for(filter, turn, page, &Work::new(u64::MAX));
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
        // However many such letters, there is an end: looking for one of them goes on to its own.
        let letters = ('a'..='z').map(|letter| contains(Field::Family, &letter.to_string()));
        let every = Filter::And(std::iter::once(Filter::All).chain(letters).collect());
        let work = Work::new(50_000);
        let found = ask_for(&every, many, all, &work);
        let one_part = u64::from(g.docs(Space::People)) * 300;
        assert!(found.cut && work.total() < 50_000 + one_part, "{} beyond {one_part}", work.total());
        let first = ask(&one, many, Page::first(20));
        let begins = |doc: u32| {
            fold(crate::Person { generation: &g, row: g.row_of(Space::People, doc) }.family()).starts_with('a')
        };
        assert!(begins(first.docs[0].0) && !set(&ask(&one, |node| node, all)).iter().all(|doc| begins(*doc)));
        assert!(first.cut && matches!(first.total, Total::AtLeast(20)), "{:?}", first.total);
    }
}
