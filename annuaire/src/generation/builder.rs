//! Builds a generation row by row; the rows themselves are never kept.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use thiserror::Error;

use super::{
    Generation, Source, finish,
    strings::{Interner, Text},
    tables::{Column, NONE, Tables},
};
use crate::{
    progress::Watch,
    rows::{ActivityRow, CardRow, DiplomaRow, Fate, MailboxRow, PersonRow, SkillRow, StructureRow},
};

/// The distinct texts of the extracts pass 4 GiB: they are no professional directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the extracts hold more than 4 GiB of distinct text, or more than four thousand million rows")]
pub struct TooMuchText;

/// A generation under construction: tables in the order of the files, to be sorted at the end.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(super) text: Interner,
    pub(super) tables: Tables,
    pub(super) skill_person: Vec<u32>,
    pub(super) diploma_person: Vec<u32>,
    /// Mailbox and person, mailbox and structure: the pairs that rows name, each once.
    pub(super) mailbox_people: Vec<(u32, u32)>,
    pub(super) mailbox_structures: Vec<(u32, u32)>,
    people: RowOf,
    structures: RowOf,
    mailboxes: RowOf,
    cards: HashMap<(Text, u32), u32, RandomState>,
    /// Table, owner and hash of every row that became a record or was added to one.
    seen: HashSet<(u8, u32, u64), RandomState>,
    scratch: String,
    /// Identifiers of structures while building: they need not stay.
    structure_keys: Interner,
}

/// The row that a text names. Numbers of texts are dense and rows come in nearly the order of their texts, so a list
/// needs neither hashing nor jumps.
#[derive(Debug, Default)]
struct RowOf(Vec<u32>);

impl RowOf {
    fn get(&self, text: Text) -> Option<u32> {
        usize::try_from(text).ok().and_then(|text| self.0.get(text)).copied().filter(|row| *row != NONE)
    }

    fn insert(&mut self, text: Text, row: u32) {
        let Ok(text) = usize::try_from(text) else { return };
        if self.0.len() <= text {
            self.0.resize(text.saturating_add(1), NONE);
        }
        if let Some(place) = self.0.get_mut(text) {
            *place = row;
        }
    }
}

const ACTIVITY: u8 = 0;
const SKILL: u8 = 1;
const DIPLOMA: u8 = 2;
const MAILBOX: u8 = 3;
const CARD: u8 = 4;

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            text: Interner::new(),
            tables: Tables::default(),
            skill_person: Vec::new(),
            diploma_person: Vec::new(),
            mailbox_people: Vec::new(),
            mailbox_structures: Vec::new(),
            people: RowOf::default(),
            structures: RowOf::default(),
            mailboxes: RowOf::default(),
            cards: HashMap::default(),
            seen: HashSet::default(),
            scratch: String::new(),
            structure_keys: Interner::new(),
        }
    }

    /// Sorts, joins and indexes what was read.
    ///
    /// # Errors
    /// [`TooMuchText`].
    pub(crate) fn finish(
        self,
        data_as_of: ident::Timestamp,
        sources: Vec<Source>,
        watch: &mut Watch<'_>,
    ) -> Result<Generation, TooMuchText> {
        finish::finish(self, data_as_of, sources, watch)
    }

    /// What only reading needs goes before the index is built, which needs the room.
    pub(super) fn forget_maps(&mut self) {
        self.next_file();
        self.people = RowOf::default();
        self.structures = RowOf::default();
        self.mailboxes = RowOf::default();
        self.cards = HashMap::default();
        self.structure_keys = Interner::new();
    }

    /// Between two files: rows are compared within one file only, so what was seen can be forgotten.
    pub(crate) fn next_file(&mut self) {
        self.seen = HashSet::default();
    }

    fn new_row(&mut self, table: u8, owner: u32, hash: u64) -> bool {
        self.seen.insert((table, owner, hash))
    }

    pub(crate) fn activity(&mut self, row: &ActivityRow<'_>) -> Fate {
        let person = self.person(&row.person);
        if let Some(flags) = cell(&mut self.tables.person_flags, person) {
            *flags |= 1;
        }
        if !self.new_row(ACTIVITY, person, row.hash) {
            return Fate::Merged;
        }
        let structure = self.structure(&row.structure);
        let t = &mut self.tables;
        t.activity_person.push(person);
        t.activity_structure.push(structure);
        t.activity_profession.push(self.text.intern(&row.person.profession));
        t.activity_category.push(self.text.intern(&row.category));
        t.activity_skill.push(self.text.intern(&row.skill));
        t.activity_mode.push(self.text.intern(&row.mode));
        t.activity_sector.push(self.text.intern(&row.sector));
        t.activity_section.push(self.text.intern(&row.section));
        t.activity_function.push(self.text.intern(&row.function));
        t.activity_kind.push(self.text.intern(&row.kind));
        t.activity_authority.push(self.text.intern(row.authority));
        let (high, low) = halves(row.hash);
        t.activity_hash_high.push(high);
        t.activity_hash_low.push(low);
        Fate::Kept
    }

    pub(crate) fn skill(&mut self, row: &SkillRow<'_>) -> Fate {
        let person = self.person(&row.person);
        if !self.new_row(SKILL, person, row.hash) {
            return Fate::Merged;
        }
        self.skill_person.push(person);
        let t = &mut self.tables;
        t.skill_profession.push(self.text.intern(&row.person.profession));
        t.skill_category.push(self.text.intern(&row.category));
        t.skill_skill.push(self.text.intern(&row.skill));
        let (high, low) = halves(row.hash);
        t.skill_hash_high.push(high);
        t.skill_hash_low.push(low);
        Fate::Kept
    }

    pub(crate) fn diploma(&mut self, row: &DiplomaRow<'_>) -> Fate {
        let person = self.person(&row.person);
        if !self.new_row(DIPLOMA, person, row.hash) {
            return Fate::Merged;
        }
        self.diploma_person.push(person);
        let t = &mut self.tables;
        t.diploma_diploma.push(self.text.intern(&row.diploma));
        t.diploma_authorisation.push(self.text.intern(&row.authorisation));
        t.diploma_discipline.push(self.text.intern(&row.discipline));
        let (high, low) = halves(row.hash);
        t.diploma_hash_high.push(high);
        t.diploma_hash_low.push(low);
        Fate::Kept
    }

    /// One mailbox for an address, however many rows carry it: each row adds its person and its structure.
    pub(crate) fn mailbox(&mut self, row: &MailboxRow<'_>) -> Fate {
        let key = self.text.intern(&row.address.key());
        let person = row.person.as_ref().map(|person| self.mailbox_person(person));
        let structure = self.structure(&row.structure);
        let (mailbox, fate) = match self.mailboxes.get(key) {
            Some(mailbox) => (mailbox, Fate::Merged),
            None => (self.new_mailbox(key, row), Fate::Kept),
        };
        if self.new_row(MAILBOX, mailbox, row.hash) {
            // The sum does not depend on the order of the rows.
            let t = &mut self.tables;
            let before = join(t.mailbox_hash_high.at(mailbox), t.mailbox_hash_low.at(mailbox));
            let (high, low) = halves(before.wrapping_add(row.hash));
            set(&mut t.mailbox_hash_high, mailbox, high);
            set(&mut t.mailbox_hash_low, mailbox, low);
            if let Some(person) = person {
                self.mailbox_people.push((mailbox, person));
            }
            if structure != NONE {
                self.mailbox_structures.push((mailbox, structure));
            }
        }
        fate
    }

    fn new_mailbox(&mut self, key: Text, row: &MailboxRow<'_>) -> u32 {
        let t = &mut self.tables;
        let mailbox = t.mailbox_key.len();
        self.mailboxes.insert(key, mailbox);
        t.mailbox_key.push(key);
        t.mailbox_address.push(self.text.intern(&row.address.to_string()));
        let kind = crate::MailboxType::ALL.iter().position(|kind| *kind == row.kind);
        t.mailbox_type.push(kind.and_then(|kind| u32::try_from(kind).ok()).unwrap_or(NONE));
        t.mailbox_service.push(self.text.intern(row.service));
        t.mailbox_paperless.push(self.text.intern(row.paperless));
        t.mailbox_hash_high.push(0);
        t.mailbox_hash_low.push(0);
        mailbox
    }

    /// Staff that the registers of professionals do not list exist by their mailbox (identifiers 3… and 5…).
    fn mailbox_person(&mut self, row: &PersonRow<'_>) -> u32 {
        use ident::PersonIdKind::{FinessInternal, SiretInternal};
        let person = self.person(row);
        if matches!(row.id.kind(), FinessInternal | SiretInternal)
            && let Some(flags) = cell(&mut self.tables.person_flags, person)
        {
            *flags |= 1;
        }
        person
    }

    /// One card for a number and a person: of several rows, the one updated last; opposed if any says so.
    pub(crate) fn card(&mut self, row: &CardRow<'_>) -> Fate {
        let person = self.person(&row.person);
        let number = self.text.intern(row.number.as_str());
        let known = self.cards.get(&(number, person)).copied();
        let day = |date: Option<crate::Date>| date.map_or(0, crate::Date::number);
        let card = known.unwrap_or_else(|| {
            let card = self.tables.card_number.len();
            self.cards.insert((number, person), card);
            let t = &mut self.tables;
            t.card_number.push(number);
            t.card_person.push(person);
            for column in [
                &mut t.card_kind,
                &mut t.card_from,
                &mut t.card_to,
                &mut t.card_opposed,
                &mut t.card_opposed_on,
                &mut t.card_updated,
                &mut t.card_hash_high,
                &mut t.card_hash_low,
            ] {
                column.push(0);
            }
            card
        });
        let fate = if known.is_some() { Fate::Merged } else { Fate::Kept };
        if !self.new_row(CARD, card, row.hash) {
            return fate;
        }
        let kind = self.text.intern(&row.kind);
        let t = &mut self.tables;
        if known.is_none() || day(row.updated) >= t.card_updated.at(card) {
            set(&mut t.card_kind, card, kind);
            set(&mut t.card_from, card, day(row.from));
            set(&mut t.card_to, card, day(row.to));
            set(&mut t.card_updated, card, day(row.updated));
        }
        if row.opposed {
            set(&mut t.card_opposed, card, 1);
            let since = t.card_opposed_on.at(card).max(day(row.opposed_on));
            set(&mut t.card_opposed_on, card, since);
        }
        let before = join(t.card_hash_high.at(card), t.card_hash_low.at(card));
        let (high, low) = halves(before.wrapping_add(row.hash));
        set(&mut t.card_hash_high, card, high);
        set(&mut t.card_hash_low, card, low);
        fate
    }

    /// The person of a row; the first row that names somebody gives the names.
    fn person(&mut self, row: &PersonRow<'_>) -> u32 {
        let id = self.text.intern(row.id.as_str());
        if let Some(person) = self.people.get(id) {
            self.complete_person(person, row);
            return person;
        }
        let t = &mut self.tables;
        let person = t.person_id.len();
        self.people.insert(id, person);
        t.person_id.push(id);
        t.person_family.push(self.text.intern(row.family));
        t.person_given.push(self.text.intern(row.given));
        t.person_civility.push(self.text.intern(&row.civility));
        t.person_title.push(self.text.intern(&row.title));
        t.person_profession.push(self.text.intern(&row.profession));
        t.person_flags.push(0);
        person
    }

    fn complete_person(&mut self, person: u32, row: &PersonRow<'_>) {
        let t = &mut self.tables;
        for (column, text) in [
            (&mut t.person_family, row.family),
            (&mut t.person_given, row.given),
            (&mut t.person_civility, &*row.civility),
            (&mut t.person_title, &*row.title),
            (&mut t.person_profession, &*row.profession),
        ] {
            fill(column, person, text, &mut self.text);
        }
    }

    /// The structure of a row, found by any of its identifiers, else by name and place; [`NONE`] when the row
    /// names none.
    fn structure(&mut self, row: &StructureRow<'_>) -> u32 {
        let keys = self.structure_keys(row);
        let Some(known) = keys.iter().find_map(|key| self.structures.get(*key)) else {
            return match keys.is_empty() {
                true => NONE,
                false => self.new_structure(row, &keys),
            };
        };
        for key in keys {
            if self.structures.get(key).is_none() {
                self.structures.insert(key, known);
            }
        }
        self.complete_structure(known, row);
        known
    }

    /// Best first. A prefix keeps the kinds of identifier apart.
    fn structure_keys(&mut self, row: &StructureRow<'_>) -> Vec<Text> {
        let mut keys = Vec::with_capacity(3);
        for (prefix, id) in [("t|", &row.technical), ("f|", &row.finess), ("s|", &row.siret)] {
            if !id.is_empty() {
                self.scratch.clear();
                self.scratch.push_str(prefix);
                self.scratch.push_str(id);
                keys.push(self.structure_keys.intern(&self.scratch));
            }
        }
        if keys.is_empty() && !(row.name.is_empty() && row.trade_name.is_empty()) {
            let parts = [row.name, row.trade_name, &row.street, row.postcode, &row.town];
            self.scratch = format!("~{}", parts.join("|"));
            keys.push(self.structure_keys.intern(&self.scratch));
        }
        keys
    }

    fn new_structure(&mut self, row: &StructureRow<'_>, keys: &[Text]) -> u32 {
        let structure = self.tables.structure_finess.len();
        for key in keys {
            self.structures.insert(*key, structure);
        }
        for (column, text) in structure_cells(&mut self.tables, row) {
            column.push(self.text.intern(text));
        }
        structure
    }

    fn complete_structure(&mut self, structure: u32, row: &StructureRow<'_>) {
        for (column, text) in structure_cells(&mut self.tables, row) {
            fill(column, structure, text, &mut self.text);
        }
    }
}

/// The text columns of a structure, each with what a row says for it. The key comes at the end of the build,
/// when all identifiers are known.
fn structure_cells<'t, 'r>(t: &'t mut Tables, row: &'r StructureRow<'_>) -> [(&'t mut Column, &'r str); 21] {
    [
        (&mut t.structure_finess, &row.finess),
        (&mut t.structure_entity, row.entity_finess),
        (&mut t.structure_siret, &row.siret),
        (&mut t.structure_siren, row.siren),
        (&mut t.structure_technical, &row.technical),
        (&mut t.structure_former, row.former),
        (&mut t.structure_name, row.name),
        (&mut t.structure_trade_name, row.trade_name),
        (&mut t.structure_recipient, row.recipient),
        (&mut t.structure_place, row.place),
        (&mut t.structure_street, &row.street),
        (&mut t.structure_mention, row.mention),
        (&mut t.structure_cedex, row.cedex),
        (&mut t.structure_postcode, row.postcode),
        (&mut t.structure_town, &row.town),
        (&mut t.structure_department, &row.department),
        (&mut t.structure_country, &row.country),
        (&mut t.structure_phone, row.phone),
        (&mut t.structure_phone2, row.phone2),
        (&mut t.structure_fax, row.fax),
        (&mut t.structure_email, row.email),
    ]
}

/// Puts a text where there was none.
fn fill(column: &mut Column, row: u32, text: &str, texts: &mut Interner) {
    if text.is_empty() || column.at(row) != 0 {
        return;
    }
    let id = texts.intern(text);
    set(column, row, id);
}

fn cell(column: &mut Column, row: u32) -> Option<&mut u32> {
    usize::try_from(row).ok().and_then(|row| column.cells().get_mut(row))
}

fn set(column: &mut Column, row: u32, value: u32) {
    if let Some(cell) = cell(column, row) {
        *cell = value;
    }
}

pub(super) fn halves(hash: u64) -> (u32, u32) {
    (u32::try_from(hash >> 32).unwrap_or(0), u32::try_from(hash & 0xffff_ffff).unwrap_or(0))
}

pub(super) fn join(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}
