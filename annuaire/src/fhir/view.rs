//! The generations that are kept and what changed from each edition to the next: `meta.lastUpdated`, `_lastUpdated`,
//! `_history`.

use std::{
    cmp::Ordering,
    sync::{Arc, OnceLock},
};

use ident::Timestamp;

use super::{
    codes::Codes,
    editions::{Editions, Touched},
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
    /// What was in service since when, as far as it is known.
    timeline: Option<Timeline>,
    /// The codes of each generation, read when they are first asked for.
    codes: Vec<Arc<OnceLock<Codes>>>,
}

/// Editions whose generations are at hand.
#[derive(Debug, Clone)]
struct Timeline {
    /// Newest first.
    steps: Vec<Step>,
    /// Since when the oldest was in service.
    oldest: Timestamp,
    /// The generation of the oldest, among those that are kept.
    first: usize,
}

/// From one edition to the next.
#[derive(Debug, Clone)]
struct Step {
    since: Timestamp,
    /// Where the two generations are among those that are kept.
    newer: usize,
    older: usize,
    /// What differs between them.
    differ: Arc<Differences>,
    /// What is to be told again, as the operator's own mailboxes changed.
    touched: Touched,
}

/// What became of something between two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Changed,
    Deleted,
}

/// Something that is not the same in two neighbouring editions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed<'a> {
    pub(super) older: &'a Generation,
    pub(super) newer: &'a Generation,
    pub(super) since: Timestamp,
    pub(super) kind: Kind,
    /// Told although it is the same in both generations: what the operator says of it is not.
    pub(super) touched: bool,
    key: &'a str,
}

impl Changed<'_> {
    /// The id of its resource.
    pub(super) fn id(&self) -> String {
        match self.kind {
            Kind::Organization => ids::place_key(self.key),
            Kind::HealthcareService => self.key.to_owned(),
            _ => ids::person_key(self.key),
        }
    }
}

/// Two generations by name, and what differs between them.
type Compared = (String, String, Arc<Differences>);

/// What differs between two generations: identifiers of people, keys of structures, ids of services, sorted.
#[derive(Debug, Clone, Default)]
struct Differences {
    people: Vec<String>,
    places: Vec<String>,
    services: Vec<String>,
}

impl View {
    /// Compares the generation in service with those before it, newest first, by what was in service since when: `editions`
    /// begin with the one in service. What a view of before knows already is not compared again.
    pub fn new(
        current: Arc<Generation>,
        earlier: Vec<Arc<Generation>>,
        editions: &Editions,
        before: Option<&Self>,
    ) -> Self {
        let mut view = Self::unknown(current, earlier, before);
        let mut pairs = before.map(Self::compared).unwrap_or_default();
        let all = editions.newest_first();
        let at = |id: &str| view.generations.iter().position(|generation| generation.id() == id);
        let Some((newest, mut newer)) = all.first().and_then(|newest| Some((newest, at(&newest.generation)?))) else {
            return view;
        };
        let (mut steps, mut since, mut told) = (Vec::new(), newest.since, &newest.touched);
        for edition in all.iter().skip(1) {
            let Some(older) = at(&edition.generation) else { break };
            let differ = view.difference(newer, older, &mut pairs);
            steps.push(Step { since, newer, older, differ, touched: told.clone() });
            (newer, since, told) = (older, edition.since, &edition.touched);
        }
        view.timeline = Some(Timeline { steps, oldest: since, first: newer });
        view
    }

    /// The same generations, of which it is not known yet since when they were in service.
    pub(super) fn unknown(current: Arc<Generation>, earlier: Vec<Arc<Generation>>, before: Option<&Self>) -> Self {
        let mut generations: Vec<Arc<Generation>> = vec![current.clone()];
        generations.extend(earlier.into_iter().filter(|earlier| earlier.id() != current.id()));
        let known = |generation: &Arc<Generation>| {
            let before = before?;
            let at = before.generations.iter().position(|known| known.id() == generation.id())?;
            before.codes.get(at).cloned()
        };
        let codes = generations.iter().map(|generation| known(generation).unwrap_or_default()).collect();
        Self { generations, current, timeline: None, codes }
    }

    /// A view of another generation, with all that this one keeps.
    pub(super) fn ahead(&self, current: Arc<Generation>) -> Self {
        Self::unknown(current, self.generations.clone(), Some(self))
    }

    /// A view of the generation in service and no other.
    pub(super) fn alone(&self) -> Self {
        Self::unknown(Arc::clone(&self.current), Vec::new(), Some(self))
    }

    /// What was compared, by the names of the two.
    fn compared(&self) -> Vec<Compared> {
        let steps = self.timeline.iter().flat_map(|timeline| &timeline.steps);
        let of = |step: &Step| {
            let name = |at: usize| self.generations.get(at).map(|generation| generation.id().to_owned());
            Some((name(step.newer)?, name(step.older)?, Arc::clone(&step.differ)))
        };
        steps.filter_map(of).collect()
    }

    /// What differs between two of the generations: the same in either direction.
    fn difference(&self, newer: usize, older: usize, known: &mut Vec<Compared>) -> Arc<Differences> {
        let (Some(new), Some(old)) = (self.generations.get(newer), self.generations.get(older)) else {
            return Arc::default();
        };
        if new.id() == old.id() {
            return Arc::default();
        }
        let is = |one: &str, two: &str| (one, two) == (new.id(), old.id()) || (two, one) == (new.id(), old.id());
        if let Some((.., differ)) = known.iter().find(|(one, two, _)| is(one, two)) {
            return Arc::clone(differ);
        }
        let differ = Arc::new(Differences::between(old, new));
        known.push((new.id().to_owned(), old.id().to_owned(), Arc::clone(&differ)));
        differ
    }

    /// The generation in service.
    pub fn current(&self) -> &Generation {
        &self.current
    }

    /// Whether it is known what was in service since when.
    pub(super) const fn is_known(&self) -> bool {
        self.timeline.is_some()
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

    fn steps(&self) -> &[Step] {
        self.timeline.as_ref().map(|timeline| timeline.steps.as_slice()).unwrap_or_default()
    }

    /// The oldest moment that is known.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.timeline.as_ref().map(|timeline| timeline.oldest)
    }

    /// Since when the newest edition is in service.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.steps().first().map(|step| step.since).or_else(|| self.oldest())
    }

    /// The newest moment since which a generation was in service.
    pub(super) fn since(&self, generation: &Generation) -> Option<Timestamp> {
        let is = |at: usize| self.generations.get(at).is_some_and(|known| known.id() == generation.id());
        let step = self.steps().iter().find(|step| is(step.newer)).map(|step| step.since);
        step.or_else(|| self.timeline.as_ref().filter(|timeline| is(timeline.first)).map(|timeline| timeline.oldest))
    }

    /// Since when an item of this generation is as it is, as far as generations are kept.
    pub(super) fn last_updated<'g>(&'g self, renderer: &Renderer<'g>, item: &Item<'g>) -> Option<Timestamp> {
        let timeline = self.timeline.as_ref()?;
        let is = |at: usize| self.generations.get(at).is_some_and(|known| known.id() == renderer.generation.id());
        let from = timeline.steps.iter().position(|step| is(step.newer));
        let steps = from.map(|from| timeline.steps.iter().skip(from)).into_iter().flatten();
        for step in steps {
            let changed = || {
                let older = self.generations.get(step.older);
                step.differ.names(item) && older.is_some_and(|older| self.differs(renderer, item, older))
            };
            if touches(&step.touched, item) || changed() {
                return Some(step.since);
            }
        }
        Some(timeline.oldest)
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
        // What is as it was in the oldest edition has its moment.
        if since <= self.oldest()? {
            return None;
        }
        let g = self.current();
        let mut rows: Vec<u32> = Vec::new();
        for Step { differ, touched, .. } in self.steps().iter().filter(|step| step.since >= since) {
            match kind {
                Kind::Practitioner | Kind::PractitionerRole => {
                    let people = differ.people.iter().chain(&touched.people);
                    rows.extend(people.filter_map(|key| g.person_by_text(key)).map(|person| person.row));
                }
                Kind::Organization => {
                    let places = differ.places.iter().chain(&touched.places);
                    rows.extend(places.filter_map(|key| g.structure_by_key(key)).map(|place| place.row));
                }
                Kind::HealthcareService | Kind::Device => return None,
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Some(rows)
    }

    /// What changed after `since` and until `until`, newest edition first.
    pub(super) fn changes(&self, since: Timestamp, until: Timestamp) -> impl Iterator<Item = Changed<'_>> {
        let steps = self.steps().iter().filter(move |step| step.since > since && step.since <= until);
        steps.flat_map(|step| self.changes_of(step))
    }

    fn changes_of<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = Changed<'a>> {
        let Step { differ, touched, since, .. } = step;
        let generations = self.generations.get(step.older).zip(self.generations.get(step.newer));
        let all = [
            (Kind::Practitioner, &differ.people, &touched.people),
            (Kind::Organization, &differ.places, &touched.places),
            (Kind::HealthcareService, &differ.services, &touched.services),
        ];
        let named = all.into_iter().flat_map(|(kind, differ, touched)| {
            let more = touched.iter().filter(move |key| differ.binary_search(key).is_err());
            let differ = differ.iter().map(move |key| (kind, key, touched.contains(key)));
            differ.chain(more.map(move |key| (kind, key, true)))
        });
        named.filter_map(move |(kind, key, touched)| {
            let (older, newer) = generations?;
            Some(Changed { older, newer, since: *since, kind, touched, key })
        })
    }

    /// Each edition but the oldest, newest first: since when, and the generations before it and in it.
    pub(super) fn editions(&self) -> impl Iterator<Item = (Timestamp, &Generation, &Generation)> {
        self.steps().iter().filter_map(|step| {
            let pair = self.generations.get(step.older).zip(self.generations.get(step.newer))?;
            Some((step.since, pair.0.as_ref(), pair.1.as_ref()))
        })
    }

    /// The oldest edition: since when, and its generation.
    pub(super) fn first(&self) -> Option<(Timestamp, &Generation)> {
        let timeline = self.timeline.as_ref()?;
        Some((timeline.oldest, self.generations.get(timeline.first)?.as_ref()))
    }

    /// Whether the operator's own mailboxes touched an item at that moment.
    pub(super) fn touched_at(&self, since: Timestamp, kind: Kind, id: &str) -> bool {
        let Some(step) = self.steps().iter().find(|step| step.since == since) else { return false };
        let Touched { people, places, services } = &step.touched;
        match kind {
            Kind::Practitioner => people.iter().any(|key| ids::person_key(key) == id),
            Kind::PractitionerRole => people.iter().any(|key| ids::is_role_of(key, id)),
            Kind::Organization => places.iter().any(|key| ids::place_key(key) == id),
            Kind::HealthcareService => services.contains(id),
            Kind::Device => false,
        }
    }

    /// Every kept generation, newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().map(Arc::as_ref)
    }
}

fn touches(touched: &Touched, item: &Item<'_>) -> bool {
    match item {
        Item::Person(person) => touched.people.contains(person.id_text()),
        Item::Role(activity) => touched.people.contains(activity.person().id_text()),
        Item::Place(place) => touched.places.contains(place.key()),
        Item::Service(mailbox) => !touched.services.is_empty() && touched.services.contains(&ids::service(mailbox)),
    }
}

impl Differences {
    fn names(&self, item: &Item<'_>) -> bool {
        let has = |list: &[String], key: &str| list.binary_search_by(|own| own.as_str().cmp(key)).is_ok();
        match item {
            Item::Person(person) => has(&self.people, person.id_text()),
            Item::Role(activity) => has(&self.people, activity.person().id_text()),
            Item::Place(place) => has(&self.places, place.key()),
            Item::Service(mailbox) => has(&self.services, &ids::service(mailbox)),
        }
    }

    fn between(old: &Generation, new: &Generation) -> Self {
        let people = |g: &Generation| g.tables.person_id.len();
        let places = |g: &Generation| g.tables.structure_key.len();
        let boxes = |g: &Generation| g.tables.mailbox_key.len();
        let keys = merge(old, new, boxes, |t| &t.mailbox_key, service_hash);
        let ids = |g: &Generation, key: &str| {
            let row = g.first_row(g.tables.mailbox_key.len(), key, |row| g.tables.mailbox_key.text_at(row))?;
            let mailbox = Mailbox { generation: g, row };
            ids::is_service(&mailbox).then(|| ids::service(&mailbox))
        };
        // One whose structure is another has another id.
        let mut services: Vec<String> = keys.iter().flat_map(|key| [ids(old, key), ids(new, key)]).flatten().collect();
        services.sort_unstable();
        services.dedup();
        Self {
            people: merge(old, new, people, |t| &t.person_id, |g, row| Some(person_hash(g, row))),
            places: merge(old, new, places, |t| &t.structure_key, |g, row| Some(place_hash(g, row))),
            services,
        }
    }
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
