//! A generation: one immutable state of the directory, in memory, named, with the date of its data.

mod builder;
mod column;
mod diff;
mod digest;
mod field;
mod file;
mod finish;
mod gone;
mod index;
mod oppositions;
mod order;
mod postings;
mod records;
mod shared;
mod strings;
mod tables;
mod views;
mod words;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use builder::Builder;
pub use builder::TooMuchText;
pub use diff::{Diff, FileDiff, SHRINK_LIMIT_PERCENT, diff};
pub(crate) use digest::hex;
pub use field::{Field, Fields};
pub use file::StoredError;
pub(crate) use file::{read as read_file, read_sources, read_to_compare, save as save_file, sync_folder};
pub(crate) use gone::remember_gone;
pub(crate) use index::{Bearer, Index, Space, lists_of};
pub(crate) use oppositions::{oppose, oppositions};
pub(crate) use order::{lists_a_mailbox, shown_by};
pub(crate) use postings::Postings;
pub use records::{Change, Record, RecordKind, changes, records};
pub use views::{Activity, Card, CardState, Gone, GoneKind, Mailbox, Person, Structure};

pub(crate) use column::{Column, Values};
use strings::Strings;
pub(crate) use strings::{extend_hash, hash};
pub(crate) use tables::Tables;
pub(crate) use words::{PARTICLES, mailbox_words, other_forms, other_forms_of_town};

use crate::{FileKind, ask::Kept};

/// Age of the data from which on somebody should be told: the national files come out daily, and stopped once for ten
/// days without a word.
pub const STALE_AFTER: Duration = Duration::from_secs(36 * 3600);

/// One file that a generation was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Name of the file as it was found.
    pub name: String,
    /// SHA-256 of its bytes as found, in hexadecimal.
    pub sha256: String,
    /// Rows that the generation rests on.
    pub kept: u64,
    /// Which of the national files it is; unknown of generations that were stored before it was kept.
    #[serde(default)]
    pub kind: Option<FileKind>,
    /// The moment that it speaks of: the date in its name, else the file's own.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
}

/// One immutable state of the directory.
///
/// Look-ups are binary searches over sorted columns: no I/O, no lock, no allocation per row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub(crate) id: String,
    pub(crate) data_as_of: Timestamp,
    pub(crate) sources: Vec<Source>,
    pub(crate) text: Strings,
    pub(crate) tables: Tables,
    pub(crate) index: Index,
    /// Words that were asked for lately.
    pub(crate) kept: Kept,
}

/// How many of each a generation holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// People.
    pub people: u32,
    /// Activities of people.
    pub activities: u32,
    /// Structures.
    pub structures: u32,
    /// Mailboxes.
    pub mailboxes: u32,
    /// Cards.
    pub cards: u32,
    /// Skills.
    pub skills: u32,
    /// Diplomas and authorisations.
    pub diplomas: u32,
}

impl Generation {
    /// Its name: the date of its data and a digest of its contents.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Forgets what was asked lately: of a generation that is no longer in service that is room for nothing.
    pub fn forget_questions(&self) {
        self.kept.clear();
    }

    /// Puts at rest what was changed.
    fn pack(&mut self) {
        self.text.pack();
        self.tables.pack();
    }

    /// The moment that its data speak of, to be shown with every answer.
    pub fn data_as_of(&self) -> Timestamp {
        self.data_as_of
    }

    /// Whether its data are so old that somebody should be told ([`STALE_AFTER`]). It answers on all the same: stale
    /// data do not block care.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.oldest_as_of()) > STALE_AFTER
    }

    /// The oldest of the files that must be fresh ([`FileKind::is_needed_fresh`]): each of them stops coming by itself,
    /// and the mailbox file once did for ten days while the others went on.
    pub fn oldest(&self) -> Option<&Source> {
        let needed = self.sources.iter().filter(|source| source.kind.is_some_and(FileKind::is_needed_fresh));
        needed.filter(|source| source.as_of.is_some()).min_by_key(|source| source.as_of)
    }

    /// The moment that the oldest of them speaks of.
    pub fn oldest_as_of(&self) -> Timestamp {
        self.oldest().and_then(|source| source.as_of).unwrap_or(self.data_as_of)
    }

    /// The files that it was made from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How many of each it holds.
    pub fn totals(&self) -> Totals {
        Totals {
            people: self.tables.person_id.len(),
            activities: self.tables.activity_person.len(),
            structures: self.tables.structure_key.len(),
            mailboxes: self.tables.mailbox_key.len(),
            cards: self.tables.card_number.len(),
            skills: self.tables.skill_skill.len(),
            diplomas: self.tables.diploma_diploma.len(),
        }
    }

    /// The person with this national identifier.
    pub fn person(&self, id: &PersonId) -> Option<Person<'_>> {
        self.person_by_text(id.as_str())
    }

    pub(crate) fn person_by_text(&self, id: &str) -> Option<Person<'_>> {
        let row = self.first_row(self.tables.person_id.len(), id, |row| self.tables.person_id.text_at(row))?;
        Some(Person { generation: self, row })
    }

    /// The structure with this key.
    pub(crate) fn structure_by_key(&self, key: &str) -> Option<Structure<'_>> {
        let t = &self.tables;
        let row = self.first_row(t.structure_key.len(), key, |row| t.structure_key.text_at(row))?;
        Some(Structure { generation: self, row })
    }

    /// The mailbox with this address, letter case aside.
    pub fn mailbox(&self, address: &Address) -> Option<Mailbox<'_>> {
        let key = address.key();
        let row = self.first_row(self.tables.mailbox_key.len(), &key, |row| self.tables.mailbox_key.text_at(row))?;
        Some(Mailbox { generation: self, row })
    }

    /// The structure with this national identifier (site FINESS, SIRET, or RPPS and rank).
    pub fn structure(&self, id: &StructureId) -> Option<Structure<'_>> {
        use ident::StructureIdKind::{Finess, RppsRank, Siret};
        match id.kind() {
            Finess => self.structure_by(|t| (&t.structure_by_finess, &t.structure_finess), id.number()),
            Siret => self.structure_by(|t| (&t.structure_by_siret, &t.structure_siret), id.number()),
            RppsRank => self.structure_by_technical_id(&format!("R{}", id.number())),
        }
    }

    /// The structure with this technical identifier of the directory (`R…`, `C…`, `F…`).
    pub fn structure_by_technical_id(&self, technical: &str) -> Option<Structure<'_>> {
        self.structure_by(|t| (&t.structure_by_technical, &t.structure_technical), technical)
    }

    /// The sites of a legal entity, by its FINESS number (9 characters, no type digit).
    pub fn sites_of_entity(&self, finess: &str) -> impl Iterator<Item = Structure<'_>> {
        let (order, column) = (&self.tables.structure_by_entity, &self.tables.structure_entity);
        let start = self.lower_bound(order.len(), finess, |place| column.text_at(order.at(place)));
        (start..order.len())
            .map(|place| order.at(place))
            .take_while(move |row| self.text.get(column.text_at(*row)) == finess)
            .map(|row| Structure { generation: self, row })
    }

    /// All cards with this number. Two people with one number would be a fault of the extract: both show.
    pub fn cards(&self, number: &CardNumber) -> Vec<Card<'_>> {
        let column = &self.tables.card_number;
        let start = self.lower_bound(column.len(), number.as_str(), |row| column.text_at(row));
        (start..column.len())
            .take_while(|row| self.text.get(column.text_at(*row)) == number.as_str())
            .map(|row| Card { generation: self, row })
            .collect()
    }

    /// All people, in the order of their identifiers.
    pub fn people(&self) -> impl Iterator<Item = Person<'_>> {
        (0..self.tables.person_id.len()).map(|row| Person { generation: self, row })
    }

    /// All mailboxes, in the order of their folded addresses.
    pub fn mailboxes(&self) -> impl Iterator<Item = Mailbox<'_>> {
        (0..self.tables.mailbox_key.len()).map(|row| Mailbox { generation: self, row })
    }

    /// All structures.
    pub fn structures(&self) -> impl Iterator<Item = Structure<'_>> {
        (0..self.tables.structure_key.len()).map(|row| Structure { generation: self, row })
    }

    /// When something left the data, if it did and that is still remembered.
    pub fn gone(&self, kind: GoneKind, key: &str) -> Option<Gone<'_>> {
        let t = &self.tables;
        let start = partition(0, t.gone_kind.len(), |row| {
            (t.gone_kind.at(row), self.text.get(t.gone_key.text_at(row))) < (kind.number(), key)
        });
        let gone = Gone { generation: self, row: start };
        (gone.kind() == Some(kind) && gone.key() == key).then_some(gone)
    }

    fn structure_by<'a>(
        &'a self,
        columns: impl FnOnce(&'a Tables) -> (&'a tables::Column, &'a tables::Column),
        wanted: &str,
    ) -> Option<Structure<'a>> {
        let (order, column) = columns(&self.tables);
        let place = self.first_row(order.len(), wanted, |place| column.text_at(order.at(place)))?;
        Some(Structure { generation: self, row: order.at(place) })
    }

    /// The first of `rows` sorted rows whose text is `wanted`.
    pub(crate) fn first_row(&self, rows: u32, wanted: &str, text: impl Fn(u32) -> u32) -> Option<u32> {
        if wanted.is_empty() {
            return None;
        }
        let row = self.lower_bound(rows, wanted, &text);
        (row < rows && self.text.get(text(row)) == wanted).then_some(row)
    }

    /// The first of `rows` sorted rows whose text is not before `wanted`.
    pub(crate) fn lower_bound(&self, rows: u32, wanted: &str, text: impl Fn(u32) -> u32) -> u32 {
        partition(0, rows, |row| self.text.get(text(row)) < wanted)
    }
}

/// The first number in `from..to` for which `before` is no longer true.
pub(crate) fn partition(from: u32, to: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low.saturating_add(high.saturating_sub(low) / 2);
        if before(middle) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

/// The same, where it is not far from `from`: by doubling steps, then by halves.
pub(crate) fn partition_near(from: u32, to: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut step) = (from, 1u32);
    loop {
        let next = low.saturating_add(step);
        if next >= to || !before(next) {
            return partition(low, next.min(to), before);
        }
        low = next;
        step = step.saturating_mul(2);
    }
}

/// Where the generation in service stands: readers never wait, a new one is swapped in whole.
#[derive(Debug, Default)]
pub struct Directory {
    current: ArcSwapOption<Generation>,
}

impl Directory {
    /// A directory without data yet.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A directory that answers from this generation.
    pub fn new(generation: Arc<Generation>) -> Self {
        Self { current: ArcSwapOption::new(Some(generation)) }
    }

    /// The generation in service; hold it for as long as one question is being answered.
    pub fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
    }

    /// Puts another generation in service and gives back the one before. Drop that one where a pause does no
    /// harm: freeing half a gigabyte takes a while.
    pub fn swap(&self, generation: Arc<Generation>) -> Option<Arc<Generation>> {
        self.current.swap(Some(generation))
    }
}
