//! What the registry changes of the word index, which is built without it: what the red list takes out, and what is added.
//!
//! A red-listed mailbox shows itself by what it lets be found: asked letter by letter, an index tells an address that
//! no answer holds. So the words that somebody bears through red-listed mailboxes only count for nothing.

use std::{
    collections::HashSet,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{added::Added, order::Order};
use crate::{
    Field, Generation, Mailbox, Registry,
    fold::fold,
    generation::{Bearer, Space, Values, lists_of, mailbox_words},
};

/// What the next one is called by.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Words that do not count, and those that do beside the index, for one generation and registry.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    /// Another one for each; that of no registry is zero.
    pub(super) number: u64,
    /// Who bears what through red-listed mailboxes only.
    words: HashSet<(Bearer, u32)>,
    /// The words among them, sorted.
    entries: Vec<u32>,
    /// The mailboxes on the red list, by row, sorted.
    mailboxes: Vec<u32>,
    /// The people and structures that this touches, by document, sorted.
    people: Vec<u32>,
    places: Vec<u32>,
    people_order: Order,
    place_order: Order,
    /// What counts beside what the index has.
    pub(crate) added: Added,
}

impl Hidden {
    fn of(g: &Generation, registry: &Registry) -> Self {
        let mut bearers: HashSet<Bearer> = HashSet::new();
        let (mut people, mut places, mut red_listed) = (HashSet::new(), HashSet::new(), Vec::new());
        for own in registry.mailboxes().iter().filter(|own| own.red_list) {
            let Some(mailbox) = g.mailbox(&own.address) else { continue };
            red_listed.push(mailbox.row);
            people.extend(mailbox.people().map(|person| person.row));
            places.extend(mailbox.structures().map(|place| place.row));
            bearers.extend(mailbox.people().map(|person| Bearer::Person(person.row)));
            if mailbox.people().next().is_none() {
                bearers.extend(mailbox.structures().map(|place| Bearer::Structure(place.row)));
            }
        }
        let t = &g.tables;
        let red = |mut rows: Values<'_>| rows.all(|row| registry.is_red(Mailbox { generation: g, row }.key()));
        people.retain(|row| red(t.person_mailboxes.of(&t.person_mailbox_starts, *row)));
        places.retain(|row| red(t.structure_mailboxes.of(&t.structure_mailbox_starts, *row)));
        let docs = |space, rows: HashSet<u32>| rows.into_iter().map(|row| g.doc_of(space, row)).collect();
        let mut hidden = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            people_order: Order::of(g, Space::People, docs(Space::People, people)),
            place_order: Order::of(g, Space::Places, docs(Space::Places, places)),
            added: Added::of(g, registry),
            mailboxes: red_listed,
            ..Self::default()
        };
        for bearer in bearers {
            let (red, shown): (Vec<_>, Vec<_>) =
                mailboxes(g, bearer).into_iter().partition(|mailbox| registry.is_red(mailbox.key()));
            let shown: HashSet<u32> = shown.iter().flat_map(|mailbox| entries(g, bearer, mailbox)).collect();
            let only = red.iter().flat_map(|mailbox| entries(g, bearer, mailbox)).filter(|it| !shown.contains(it));
            hidden.words.extend(only.map(|entry| (bearer, entry)));
            hidden.touches(g, bearer);
        }
        hidden.entries = hidden.words.iter().map(|(_, entry)| *entry).collect();
        for list in [&mut hidden.entries, &mut hidden.mailboxes, &mut hidden.people, &mut hidden.places] {
            list.sort_unstable();
            list.dedup();
        }
        hidden
    }

    /// The words of a structure are also those of the people who work there.
    fn touches(&mut self, g: &Generation, bearer: Bearer) {
        let t = &g.tables;
        match bearer {
            Bearer::Person(row) => self.people.push(g.doc_of(Space::People, row)),
            Bearer::Structure(row) => {
                self.places.push(g.doc_of(Space::Places, row));
                let activities = t.structure_activities.of(&t.structure_activity_starts, row);
                self.people.extend(activities.map(|at| g.doc_of(Space::People, t.activity_person.at(at))));
            }
        }
    }

    /// Whether a mailbox is on the red list, by its row.
    pub(super) fn is_red(&self, row: u32) -> bool {
        self.mailboxes.binary_search(&row).is_ok()
    }

    /// The order in which documents are shown.
    pub(crate) fn order(&self, space: Space) -> &Order {
        match space {
            Space::People => &self.people_order,
            Space::Places => &self.place_order,
        }
    }

    /// Whether this word of this bearer does not count.
    pub(super) fn covers(&self, bearer: Bearer, entry: u32) -> bool {
        !self.words.is_empty() && self.words.contains(&(bearer, entry))
    }

    /// Whether nobody's use of this word is touched.
    pub(super) fn leaves(&self, entry: u32) -> bool {
        self.entries.binary_search(&entry).is_err()
    }

    /// The same for all these words.
    pub(super) fn leaves_all(&self, words: Range<u32>) -> bool {
        let from = self.entries.partition_point(|entry| *entry < words.start);
        self.entries.get(from).is_none_or(|entry| *entry >= words.end)
    }

    /// The same for these words, which are sorted; and what it costs to find out.
    pub(super) fn leaves_these(&self, words: &[u32]) -> (bool, u64) {
        let (few, many) =
            if self.entries.len() < words.len() { (&*self.entries, words) } else { (words, &*self.entries) };
        (few.iter().all(|entry| many.binary_search(entry).is_err()), u64::try_from(few.len()).unwrap_or(u64::MAX))
    }

    /// Whether a document that carries a word carries it through something that is shown.
    pub(super) fn shows(&self, g: &Generation, space: Space, doc: u32, entry: u32) -> bool {
        let touched = match space {
            Space::People => &self.people,
            Space::Places => &self.places,
        };
        if touched.binary_search(&doc).is_err() {
            return true;
        }
        let mut shown = false;
        lists_of(&g.tables, space, g.row_of(space, doc), |bearer, words| {
            shown |= words.into_iter().any(|own| own == entry) && !self.covers(bearer, entry);
        });
        shown
    }
}

/// The mailboxes whose words a bearer has: see how the index is built.
fn mailboxes(g: &Generation, bearer: Bearer) -> Vec<Mailbox<'_>> {
    let t = &g.tables;
    let of = |rows: Values<'_>| -> Vec<Mailbox<'_>> { rows.map(|row| Mailbox { generation: g, row }).collect() };
    match bearer {
        Bearer::Person(row) => of(t.person_mailboxes.of(&t.person_mailbox_starts, row)),
        Bearer::Structure(row) => {
            let mut shared = of(t.structure_mailboxes.of(&t.structure_mailbox_starts, row));
            shared.retain(|mailbox| mailbox.people().next().is_none());
            shared
        }
    }
}

/// The dictionary entries that a mailbox gives its bearer.
fn entries(g: &Generation, bearer: Bearer, mailbox: &Mailbox<'_>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut add =
        |word: &str, field: Field| found.extend(g.entries_from(&format!("{word}\0{}", char::from(field.mark()))));
    let fields = match bearer {
        Bearer::Person(_) => [Field::Domain, Field::MailboxType],
        Bearer::Structure(_) => [Field::SharedDomain, Field::SharedType],
    };
    mailbox_words(mailbox.key(), Some(mailbox.kind()), fields, &mut add);
    if matches!(bearer, Bearer::Structure(_)) {
        fold(mailbox.service()).split(' ').filter(|word| !word.is_empty()).for_each(|word| add(word, Field::Service));
    }
    found
}

/// What a registry hides in the generations that it was asked about last: it never changes once it is read.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Vec<(String, Arc<Hidden>)>>);

impl Memory {
    /// How many generations: the one in service, and earlier ones that pages go on with.
    const KEPT: usize = 4;
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What is remembered makes no registry another one.
impl PartialEq for Memory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Memory {}

/// What a registry hides in a generation, and what it adds.
pub(crate) fn overlay(g: &Generation, registry: Option<&Registry>) -> Arc<Hidden> {
    let Some(registry) = registry else { return Arc::default() };
    let memory = || registry.hidden.0.lock().unwrap_or_else(PoisonError::into_inner);
    let of_it = |known: &[(String, Arc<Hidden>)]| {
        known.iter().find(|(id, _)| id == g.id()).map(|(_, hidden)| Arc::clone(hidden))
    };
    if let Some(hidden) = of_it(&memory()) {
        return hidden;
    }
    // Nobody waits for it who asks of another generation.
    let hidden = Arc::new(Hidden::of(g, registry));
    let mut known = memory();
    if let Some(first) = of_it(&known) {
        return first;
    }
    known.insert(0, (g.id().to_owned(), Arc::clone(&hidden)));
    known.truncate(Memory::KEPT);
    hidden
}
