//! What the registry adds to a generation: mailboxes of ours that the extracts do not list, with the words by which they
//! are found. The index is built without any registry; every face asks here for the same.

use std::collections::HashMap;

use super::{How, Work};
use crate::{
    Field, Fields, Generation, MailboxType, MatchKind, RegisteredMailbox, Registry,
    fold::fold,
    generation::{Bearer, Space, mailbox_words},
};

/// What reading one added word or address costs, in list entries read.
const READ: u64 = 8;

/// The mailboxes that a registry adds to one generation, by their place in [`Registry::mailboxes`].
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// The mailboxes of structures, by row, that are no person's own.
    places: HashMap<u32, Vec<usize>>,
    /// Every address that is not on the red list with the people and structures it leads to, sorted.
    keys: Vec<(String, Vec<Bearer>)>,
    /// Words of what is added, sorted.
    words: Vec<(String, Field, Bearer)>,
}

impl Added {
    pub(super) fn of(g: &Generation, registry: &Registry) -> Self {
        let mut added = Self::default();
        for (at, own) in registry.mailboxes().iter().enumerate().filter(|(_, own)| !own.red_list) {
            added.take(g, at, own);
        }
        added.keys.sort_unstable();
        added.words.sort_unstable_by(|a, b| (&a.0, a.1.number(), a.2).cmp(&(&b.0, b.1.number(), b.2)));
        added
    }

    fn take(&mut self, g: &Generation, at: usize, own: &RegisteredMailbox) {
        let key = own.address.key();
        let person = own.owner.as_ref().and_then(|id| g.person(id));
        let place = own.structure.as_ref().and_then(|id| g.structure(id));
        if let Some(person) = person.filter(|person| person.mailboxes().all(|other| other.key() != key)) {
            self.learn(&key, own, [Field::Domain, Field::MailboxType], Bearer::Person(person.row));
        }
        if let Some(place) = place.filter(|place| place.mailboxes().all(|other| other.key() != key)) {
            if own.kind != MailboxType::Personal {
                self.places.entry(place.row).or_default().push(at);
            }
            if own.owner.is_none() {
                let bearer = Bearer::Structure(place.row);
                self.learn(&key, own, [Field::SharedDomain, Field::SharedType], bearer);
                let name = fold(own.name.as_deref().unwrap_or_default());
                let words = name.split(' ').filter(|word| !word.is_empty());
                self.words.extend(words.map(|word| (word.to_owned(), Field::Service, bearer)));
            }
        }
        let person = person.map(|person| Bearer::Person(person.row));
        // No structure shows a personal mailbox: it is found by the person, not by where that one works.
        let place = place.filter(|_| own.kind != MailboxType::Personal).map(|place| Bearer::Structure(place.row));
        let bearers: Vec<Bearer> = person.into_iter().chain(place).collect();
        if !bearers.is_empty() {
            self.keys.push((key, bearers));
        }
    }

    fn learn(&mut self, key: &str, own: &RegisteredMailbox, fields: [Field; 2], bearer: Bearer) {
        mailbox_words(key, Some(own.kind), fields, |word, field| self.words.push((word.to_owned(), field, bearer)));
    }

    /// The mailboxes of a structure, by its row, that are no person's own.
    pub(crate) fn of_place<'r>(
        &'r self,
        registry: &'r Registry,
        row: u32,
    ) -> impl Iterator<Item = &'r RegisteredMailbox> {
        let listed = self.places.get(&row).map(Vec::as_slice).unwrap_or_default();
        listed.iter().filter_map(|at| registry.mailboxes().get(*at))
    }

    /// The documents to which addresses lead that are this one, or begin so. Whoever works in a structure does not answer
    /// for its address.
    pub(super) fn by_address(
        &self,
        (g, space): (&Generation, Space),
        start: &str,
        how: How,
        work: &Work,
        docs: &mut Vec<(u32, MatchKind)>,
    ) {
        let from = self.keys.partition_point(|(key, _)| key.as_str() < start);
        let begin = self.keys.iter().skip(from).take_while(|(key, _)| key.starts_with(start));
        for (key, bearers) in begin {
            work.spend(READ);
            let kind = if key == start { MatchKind::Exact } else { MatchKind::Prefix };
            if how == How::Exact && kind != MatchKind::Exact {
                return;
            }
            docs.extend(bearers.iter().filter_map(|bearer| match (space, *bearer) {
                (Space::People, Bearer::Person(row)) | (Space::Places, Bearer::Structure(row)) => {
                    Some((g.doc_of(space, row), kind))
                }
                _ => None,
            }));
        }
    }

    /// The documents that bear a word in one of these fields, through what is added.
    pub(super) fn by_word(
        &self,
        (g, space): (&Generation, Space),
        word: &str,
        fields: Fields,
        how: How,
        work: &Work,
    ) -> Vec<(u32, MatchKind)> {
        let mut docs = Vec::new();
        if how == How::Contains {
            work.spend_on(self.words.len(), 2);
            self.words.iter().filter(|(own, ..)| own.contains(word)).for_each(|(_, field, bearer)| {
                bear((g, space), fields.has(*field), *bearer, (work, MatchKind::Prefix), &mut docs);
            });
        } else {
            let from = self.words.partition_point(|(own, ..)| own.as_str() < word);
            for (own, field, bearer) in self.words.iter().skip(from).take_while(|(own, ..)| own.starts_with(word)) {
                let kind = if own == word { MatchKind::Exact } else { MatchKind::Prefix };
                if how == How::Exact && kind != MatchKind::Exact {
                    break;
                }
                bear((g, space), fields.has(*field), *bearer, (work, kind), &mut docs);
            }
        }
        docs
    }
}

/// Adds the documents of a bearer: the words of a structure are also those of the people who work there.
fn bear(
    (g, space): (&Generation, Space),
    meant: bool,
    bearer: Bearer,
    (work, kind): (&Work, MatchKind),
    docs: &mut Vec<(u32, MatchKind)>,
) {
    work.spend(READ);
    let t = &g.tables;
    match (space, bearer) {
        _ if !meant => {}
        (Space::People, Bearer::Person(row)) | (Space::Places, Bearer::Structure(row)) => {
            docs.push((g.doc_of(space, row), kind));
        }
        (Space::People, Bearer::Structure(row)) => {
            let activities = t.structure_activities.of(&t.structure_activity_starts, row);
            work.spend_on(activities.len(), 2);
            docs.extend(activities.map(|at| (g.doc_of(Space::People, t.activity_person.at(at)), kind)));
        }
        (Space::Places, Bearer::Person(_)) => {}
    }
}
