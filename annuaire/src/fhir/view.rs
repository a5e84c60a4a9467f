//! The generations that are kept and what changed from each to the next: `meta.lastUpdated`, `_lastUpdated`, `_history`.

use std::{
    cmp::Ordering,
    sync::{Arc, OnceLock},
};

use ident::Timestamp;

use super::{
    codes::Codes,
    ids,
    item::Item,
    render::{Renderer, version},
    table::Kind,
};
use crate::{
    Generation, Mailbox, Person, Structure,
    generation::{Column, extend_hash, hash},
};

/// The generation in service and those before it that are still in memory, with what differs between neighbours.
///
/// To be made when a generation is put in service, away from those who answer: comparing two nations takes some seconds.
#[derive(Debug, Clone)]
pub struct View {
    /// Newest first; never empty.
    generations: Vec<Arc<Generation>>,
    current: Arc<Generation>,
    /// What differs between each generation and the one before it, newest first.
    steps: Vec<Step>,
    /// The codes of each generation, read when they are first asked for.
    codes: Vec<Arc<OnceLock<Codes>>>,
}

/// What became of something between two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Changed,
    Deleted,
}

/// Something that is not the same in two neighbouring generations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed<'a> {
    pub(super) older: &'a Generation,
    pub(super) newer: &'a Generation,
    pub(super) kind: Kind,
    key: &'a str,
}

impl Changed<'_> {
    /// The id of its resource.
    pub(super) fn id(&self) -> String {
        match self.kind {
            Kind::Organization => ids::place_key(self.key),
            Kind::HealthcareService => ids::service_key(self.key),
            _ => ids::person_key(self.key),
        }
    }
}

/// What differs between two generations, by key.
#[derive(Debug, Clone, Default)]
struct Step {
    people: Vec<String>,
    places: Vec<String>,
    services: Vec<String>,
}

impl View {
    /// Compares the generation in service with those before it, newest first.
    pub fn new(current: Arc<Generation>, earlier: Vec<Arc<Generation>>) -> Self {
        let generations: Vec<Arc<Generation>> = std::iter::once(current.clone()).chain(earlier).collect();
        let pairs = generations.iter().zip(generations.iter().skip(1));
        let steps = pairs.map(|(new, old)| Step::between(old, new)).collect();
        let codes = generations.iter().map(|_| Arc::default()).collect();
        Self { generations, current, steps, codes }
    }

    /// The generation in service.
    pub fn current(&self) -> &Generation {
        &self.current
    }

    /// The codes that one of the generations holds.
    pub(super) fn codes(&self, of: &Generation) -> Option<&Codes> {
        let at = self.generations.iter().position(|generation| generation.id() == of.id())?;
        let codes = self.codes.get(at)?.get_or_init(|| Codes::of(of));
        Some(codes)
    }

    pub(super) fn named(&self, id: &str) -> Option<&Generation> {
        self.generations.iter().map(Arc::as_ref).find(|generation| generation.id() == id)
    }

    /// The oldest moment that is known.
    pub(super) fn oldest(&self) -> Timestamp {
        self.generations.last().map_or(Timestamp::EPOCH, |generation| moment(generation))
    }

    /// Since when an item of this generation is as it is, as far as generations are kept.
    pub(super) fn last_updated<'g>(&'g self, renderer: &Renderer<'g>, item: &Item<'g>) -> Timestamp {
        let mut newer = renderer.generation;
        let from = self.generations.iter().position(|generation| generation.id() == newer.id()).unwrap_or(0);
        let older = self.generations.iter().skip(from.saturating_add(1));
        for (step, older) in self.steps.iter().skip(from).zip(older) {
            if step.names(item) && self.differs(renderer, item, older) {
                return moment(newer);
            }
            newer = older;
        }
        moment(newer)
    }

    fn differs<'g>(&'g self, renderer: &Renderer<'g>, item: &Item<'g>, older: &'g Generation) -> bool {
        let before = Renderer { generation: older, ..*renderer };
        match ids::find(older, &item.id(), renderer.work) {
            Some(old) => version(&before.content(&old)) != version(&renderer.content(item)),
            None => true,
        }
    }

    /// Rows of the current generation that changed after `since`, by kind: people for activities. Nothing when some of
    /// what changed may be from before the oldest generation.
    pub(super) fn rows_since(&self, kind: Kind, since: Timestamp) -> Option<Vec<u32>> {
        // What is as it was in the oldest generation has its moment.
        if since <= self.oldest() {
            return None;
        }
        let g = self.current();
        let steps = self.steps.iter().zip(&self.generations).filter(|(_, newer)| moment(newer) >= since);
        let mut rows: Vec<u32> = Vec::new();
        for (step, _) in steps {
            match kind {
                Kind::Practitioner | Kind::PractitionerRole => {
                    rows.extend(step.people.iter().filter_map(|key| g.person_by_text(key)).map(|p| p.row));
                }
                Kind::Organization => {
                    let place = |key: &String| g.structure_by_key(key);
                    rows.extend(step.places.iter().filter_map(place).map(|place| place.row));
                }
                Kind::HealthcareService | Kind::Device => return None,
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Some(rows)
    }

    /// What changed after `since`, newest generation first.
    pub(super) fn changes_since(&self, since: Timestamp) -> impl Iterator<Item = Changed<'_>> {
        let pairs = self.generations.iter().zip(self.generations.iter().skip(1)).zip(&self.steps);
        let pairs = pairs.filter(move |((newer, _), _)| moment(newer) > since);
        pairs.flat_map(|((newer, older), step)| {
            let all = [
                (Kind::Practitioner, &step.people),
                (Kind::Organization, &step.places),
                (Kind::HealthcareService, &step.services),
            ];
            let all = all.into_iter().flat_map(|(kind, list)| list.iter().map(move |key| (kind, key)));
            all.map(move |(kind, key)| Changed { older, newer, kind, key })
        })
    }

    /// Every kept generation, newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().map(Arc::as_ref)
    }
}

impl Step {
    fn names(&self, item: &Item<'_>) -> bool {
        let has = |list: &[String], key: &str| list.binary_search_by(|own| own.as_str().cmp(key)).is_ok();
        match item {
            Item::Person(person) => has(&self.people, person.id_text()),
            Item::Role(activity) => has(&self.people, activity.person().id_text()),
            Item::Place(place) => has(&self.places, place.key()),
            Item::Service(mailbox) => has(&self.services, mailbox.key()),
        }
    }

    fn between(old: &Generation, new: &Generation) -> Self {
        let people = |g: &Generation| g.tables.person_id.len();
        let places = |g: &Generation| g.tables.structure_key.len();
        let boxes = |g: &Generation| g.tables.mailbox_key.len();
        Self {
            people: merge(old, new, people, |t| &t.person_id, |g, row| Some(person_hash(g, row))),
            places: merge(old, new, places, |t| &t.structure_key, |g, row| Some(place_hash(g, row))),
            services: merge(old, new, boxes, |t| &t.mailbox_key, service_hash),
        }
    }
}

/// The moment that a generation's data speak of, as it is written in answers: whole seconds. What a client sends back
/// is compared with what it was told.
pub(super) fn moment(generation: &Generation) -> Timestamp {
    Timestamp::from_seconds(generation.data_as_of().seconds())
}

/// Walks two sorted columns together; rows without a hash are not there.
fn merge(
    old: &Generation,
    new: &Generation,
    rows: impl Fn(&Generation) -> u32,
    column: impl Fn(&crate::generation::Tables) -> &Column,
    hash: impl Fn(&Generation, u32) -> Option<u64>,
) -> Vec<String> {
    fn key<'g>(g: &'g Generation, column: &Column, row: u32) -> &'g str {
        g.text.get(column.text_at(row))
    }
    let (mut a, mut b) = (0u32, 0u32);
    let mut changes = Vec::new();
    let (end_a, end_b) = (rows(old), rows(new));
    while a < end_a || b < end_b {
        let (old_key, new_key) = (key(old, column(&old.tables), a), key(new, column(&new.tables), b));
        let order = match (a < end_a, b < end_b) {
            (true, false) => Ordering::Less,
            (false, _) => Ordering::Greater,
            (true, true) => old_key.cmp(new_key),
        };
        let before = if order == Ordering::Greater { None } else { hash(old, a) };
        let after = if order == Ordering::Less { None } else { hash(new, b) };
        let name = if order == Ordering::Greater { new_key } else { old_key };
        if before != after {
            changes.push(name.to_owned());
        }
        a = a.saturating_add(u32::from(order != Ordering::Greater));
        b = b.saturating_add(u32::from(order != Ordering::Less));
    }
    changes
}

fn numbers(seed: u64, values: impl Iterator<Item = u32>) -> u64 {
    values.fold(seed, |seed, value| extend_hash(seed, &value.to_le_bytes()))
}

/// Several hashes in no order.
fn unordered(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, |sum, value| sum.wrapping_add(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (value >> 29)))
}

fn person_hash(g: &Generation, row: u32) -> u64 {
    let t = &g.tables;
    let own = [&t.person_family, &t.person_given, &t.person_civility, &t.person_title, &t.person_profession];
    let mut state = hash(b"person");
    for column in own {
        state = extend_hash(state, g.text.get(column.text_at(row)).as_bytes());
        state = extend_hash(state, b"|");
    }
    state = numbers(state, std::iter::once(t.person_flags.text_at(row)));
    let listed = |starts: &Column, high: &Column, low: &Column| {
        numbers(0, starts.range(row).flat_map(|row| [high.at(row), low.at(row)]))
    };
    let lists = [
        listed(&t.person_activity_starts, &t.activity_hash_high, &t.activity_hash_low),
        listed(&t.person_skill_starts, &t.skill_hash_high, &t.skill_hash_low),
        listed(&t.person_diploma_starts, &t.diploma_hash_high, &t.diploma_hash_low),
    ];
    for list in lists {
        state = extend_hash(state, &list.to_le_bytes());
    }
    let person = Person { generation: g, row };
    let mailboxes = unordered(person.mailboxes().map(|mailbox| mailbox_hash(&mailbox)));
    let cards = unordered(person.cards().map(|card| {
        let own = [t.card_hash_high.at(card.row), t.card_hash_low.at(card.row)];
        numbers(hash(card.number_text().as_bytes()), own.into_iter())
    }));
    extend_hash(extend_hash(state, &mailboxes.to_le_bytes()), &cards.to_le_bytes())
}

fn mailbox_hash(mailbox: &Mailbox<'_>) -> u64 {
    let t = &mailbox.generation.tables;
    let state = hash(mailbox.address_text().as_bytes());
    numbers(state, [t.mailbox_hash_high.at(mailbox.row), t.mailbox_hash_low.at(mailbox.row)].into_iter())
}

fn place_hash(g: &Generation, row: u32) -> u64 {
    let t = &g.tables;
    let own = [
        &t.structure_finess,
        &t.structure_entity,
        &t.structure_siret,
        &t.structure_siren,
        &t.structure_technical,
        &t.structure_name,
        &t.structure_trade_name,
        &t.structure_street,
        &t.structure_cedex,
        &t.structure_postcode,
        &t.structure_town,
        &t.structure_department,
        &t.structure_phone,
    ];
    let mut state = hash(b"place");
    for column in own {
        state = extend_hash(state, g.text.get(column.text_at(row)).as_bytes());
        state = extend_hash(state, b"|");
    }
    let place = Structure { generation: g, row };
    let mailboxes = unordered(place.mailboxes().map(|mailbox| mailbox_hash(&mailbox)));
    let mut sectors: Vec<&str> =
        place.activities().map(|activity| g.text.get(t.activity_sector.text_at(activity.row))).collect();
    sectors.sort_unstable();
    sectors.dedup();
    let sectors = hash(sectors.join("|").as_bytes());
    extend_hash(extend_hash(state, &mailboxes.to_le_bytes()), &sectors.to_le_bytes())
}

fn service_hash(g: &Generation, row: u32) -> Option<u64> {
    let mailbox = Mailbox { generation: g, row };
    ids::is_service(&mailbox).then(|| {
        let place = mailbox.structures().next().map_or("", |place| place.key());
        extend_hash(mailbox_hash(&mailbox), place.as_bytes())
    })
}
