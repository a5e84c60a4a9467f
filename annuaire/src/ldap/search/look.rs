//! People or structures looked through: what the index proposes, step by step, until the answer is full.

use std::collections::HashSet;

use super::{Answer, Run, count};
use crate::{
    MatchKind, Page, Person, Question, Structure, Total,
    ldap::{
        entry::{Boxes, Entry, World},
        page::Place,
        result::Code,
        schema::Attr,
        spelling::{Spelling, is_nothing, steps},
    },
};

/// Hits taken from the index at once, at most.
const MAX_CHUNK: usize = 4096;

pub(in crate::ldap) enum HitOf<'a> {
    Person(Person<'a>, MatchKind),
    Structure(Structure<'a>, MatchKind),
}

impl HitOf<'_> {
    fn row(&self) -> u32 {
        match self {
            Self::Person(person, _) => person.row,
            Self::Structure(structure, _) => structure.row,
        }
    }
}

/// People or structures, being looked through.
struct Part {
    people: bool,
    from: Place,
    limit: usize,
    /// Rows that were looked at in a step before.
    looked_at: HashSet<u32>,
}

pub(in crate::ldap) struct Chunk<'a> {
    pub(in crate::ldap) hits: Vec<HitOf<'a>>,
    cut: bool,
    total: u64,
}

impl<'a> Run<'a> {
    /// People or structures, from a place on; gives how many hits the index knows of.
    pub(super) fn part(&mut self, people: bool, from: Place, limit: usize, answer: &mut Answer) -> u64 {
        if answer.more.is_some() || self.stop.is_some() {
            return 0;
        }
        let own = self.world.registry.map(|registry| (registry, self.world.generation));
        let spelled = Spelling { people, own }.filter(&self.search.asked.filter);
        if is_nothing(&spelled) {
            return 0;
        }
        let mut part = Part { people, from, limit, looked_at: HashSet::new() };
        // An address book shows a handful of very many: the best of them fill the answer, and only when they leave room are
        // all read. Pages go on from place to place in all.
        let steps = if self.search.page.is_none() { steps(spelled) } else { vec![spelled] };
        let (wide, mut total) = (answer.wide, 0);
        for step in steps {
            // What a step before could not read, this one can, or says that it cannot.
            answer.wide = wide;
            let mut rows = Vec::new();
            total = self.look(&part, &Question::filter(step), answer, &mut rows);
            if answer.more.is_some() || self.stop.is_some() {
                break;
            }
            part.looked_at.extend(rows);
        }
        total
    }

    /// Looks at the hits of a question from a place on, until the answer is full, and adds their rows; gives how many hits
    /// the index knows of.
    fn look(&mut self, part: &Part, question: &Question, answer: &mut Answer, rows: &mut Vec<u32>) -> u64 {
        let Part { people, from, limit, ref looked_at } = *part;
        let mut hits = from.hits;
        let mut skip = usize::try_from(from.entries).unwrap_or(usize::MAX);
        let wanted = limit.saturating_sub(answer.given).saturating_add(1).max(16).saturating_add(looked_at.len());
        let mut chunk = wanted.min(MAX_CHUNK).min(self.looks.saturating_add(looked_at.len()).max(1));
        loop {
            if self.is_over() {
                answer.more = self.goes_on(Place { part: from.part, hits, entries: count(skip), ..Place::default() });
                return 0;
            }
            let passed = usize::try_from(hits).unwrap_or(usize::MAX);
            let fresh = self.work.total() == 0;
            let found = self.chunk(people, question, Page { skip: passed, limit: chunk });
            // What is cut for what a page had cost before is found on the next one.
            answer.wide |= found.cut && (fresh || self.search.page.is_none());
            let mut whole = found.hits.len() < chunk;
            for hit in found.hits {
                let row = hit.row();
                let known = looked_at.contains(&row);
                if !known && self.looks == 0 {
                    whole = false;
                    break;
                }
                let entries = if known { Vec::new() } else { self.entries(hit) };
                for (n, entry) in entries.iter().enumerate().skip(skip) {
                    let here = Place { part: from.part, hits, entries: count(n), ..Place::default() };
                    // A filter of two hundred parts over a hospital of thousands of mailboxes takes its time, too.
                    match self.fits(entry) {
                        None => {
                            answer.more = self.goes_on(here);
                            return found.total;
                        }
                        Some(false) => {}
                        Some(true) if answer.is_full(limit) => {
                            answer.more = Some(here);
                            return found.total;
                        }
                        Some(true) => self.put(entry, answer),
                    }
                }
                skip = 0;
                hits = hits.saturating_add(1);
                if !known {
                    rows.push(row);
                    self.looks = self.looks.saturating_sub(1);
                }
            }
            if whole {
                if found.cut {
                    // The index had enough of this page: of the next, it may go on.
                    answer.more = self.goes_on_later(Place { part: from.part, hits, ..Place::default() });
                }
                return found.total;
            }
            if self.looks == 0 {
                // A page may be short, even empty, that says where to go on (RFC 2696 §3).
                match self.search.page {
                    Some(_) => answer.more = Some(Place { part: from.part, hits, ..Place::default() }),
                    None => self.stop = Some(Code::SizeLimitExceeded),
                }
                return found.total;
            }
            // Whoever was looked at before is not looked at again.
            chunk = chunk.saturating_mul(4).min(MAX_CHUNK).min(self.looks.saturating_add(looked_at.len()));
        }
    }

    pub(in crate::ldap) fn chunk(&self, people: bool, question: &Question, page: Page) -> Chunk<'a> {
        let World { generation, registry, .. } = self.world;
        let total = |total: Total| match total {
            Total::Exactly(all) | Total::AtLeast(all) => all,
        };
        if people {
            let found = generation.people_within(registry, question, page, &self.work);
            let hits = found.hits.into_iter().map(|hit| HitOf::Person(hit.of, hit.r#match)).collect();
            Chunk { hits, cut: found.cut, total: total(found.total) }
        } else {
            let found = generation.structures_within(registry, question, page, &self.work);
            let hits = found.hits.into_iter().map(|hit| HitOf::Structure(hit.of, hit.r#match)).collect();
            Chunk { hits, cut: found.cut, total: total(found.total) }
        }
    }

    /// The entries of a hit; of a structure, whose mailboxes may be thousands, those that can be meant.
    fn entries(&self, hit: HitOf<'a>) -> Vec<Entry<'a>> {
        self.entries_with(hit, self.addresses.as_deref().map_or(Boxes::All, Boxes::At))
    }

    pub(in crate::ldap) fn entries_with(&self, hit: HitOf<'a>, boxes: Boxes<'_>) -> Vec<Entry<'a>> {
        let base = self.search.settings.base.as_str();
        match hit {
            // Who no longer practises is no correspondent, unless somebody asks for just those (annuaire §4).
            HitOf::Person(person, _) if !person.active() && !self.search.asked.filter.names(Attr::PersonState) => {
                Vec::new()
            }
            HitOf::Person(person, kind) => Entry::of_person(self.world, base, person, kind),
            HitOf::Structure(structure, kind) => Entry::of_structure(self.world, base, structure, kind, boxes),
        }
    }
}
