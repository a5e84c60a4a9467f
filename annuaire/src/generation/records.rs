//! What a generation says, record by record, in a form that does not depend on how it is stored; and what changes in it
//! from one day to the next, for whoever keeps a copy (decision 0038).

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Generation,
    column::Values,
    tables::{Column, NONE},
};
use crate::MailboxType;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A person with activities, skills and diplomas, by national identifier.
    Person,
    /// A structure, by its best identifier.
    Structure,
    /// A mailbox with its people and structures, by folded address.
    Mailbox,
    /// A card, by number and holder.
    Card,
}

/// One record: everything that the extracts said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// What it is about.
    pub kind: RecordKind,
    /// What it is known by: no two records of a kind and a generation share it.
    pub key: String,
    /// What is said. Coded values are `code|label`; what is empty is left out.
    pub says: Map<String, Value>,
}

/// One change from a generation to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// There was none with this key.
    Created(Record),
    /// The same key says something else.
    Changed(Record),
    /// It is not there any more.
    Deleted {
        /// What it was about.
        kind: RecordKind,
        /// What it was known by.
        key: String,
    },
}

impl RecordKind {
    const ALL: [Self; 4] = [Self::Person, Self::Structure, Self::Mailbox, Self::Card];

    fn rows(self, generation: &Generation) -> u32 {
        let t = &generation.tables;
        match self {
            Self::Person => t.person_id.len(),
            Self::Structure => t.structure_key.len(),
            Self::Mailbox => t.mailbox_key.len(),
            Self::Card => t.card_number.len(),
        }
    }
}

/// All records of a generation, kind by kind, each kind in the order of its keys.
pub fn records(generation: &Generation) -> impl Iterator<Item = Record> {
    RecordKind::ALL.into_iter().flat_map(move |kind| {
        ordered(generation, kind).into_iter().map(move |(key, row)| record(generation, kind, key, row))
    })
}

/// What makes `to` of `from`: whoever holds the records of `from` and follows every change holds those of `to`.
///
/// Each change is handed to `take` as it is found: a first load changes millions.
pub fn changes(from: &Generation, to: &Generation, mut take: impl FnMut(Change)) {
    for kind in RecordKind::ALL {
        let (mut old, mut new) = (ordered(from, kind).into_iter().peekable(), ordered(to, kind).into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let before = if order == Ordering::Greater { None } else { old.next() };
            let after = if order == Ordering::Less { None } else { new.next() };
            match (before, after) {
                (Some((key, _)), None) => take(Change::Deleted { kind, key }),
                (None, Some((key, row))) => take(Change::Created(record(to, kind, key, row))),
                (Some((key, was)), Some((_, is))) => {
                    let now = record(to, kind, key, is);
                    if says(from, kind, was) != now.says {
                        take(Change::Changed(now));
                    }
                }
                (None, None) => break,
            }
        }
    }
}

/// The keys of a kind in order, with their rows. Should two rows share a key, the later ones are numbered.
fn ordered(generation: &Generation, kind: RecordKind) -> Vec<(String, u32)> {
    let t = &generation.tables;
    let text = |column: &Column, row| generation.text.get(column.text_at(row));
    let key = |row| match kind {
        RecordKind::Person => text(&t.person_id, row).to_owned(),
        RecordKind::Structure => text(&t.structure_key, row).to_owned(),
        RecordKind::Mailbox => text(&t.mailbox_key, row).to_owned(),
        RecordKind::Card => {
            format!("{} {}", text(&t.card_number, row), text(&t.person_id, t.card_person.at(row)))
        }
    };
    let mut keys: Vec<(String, u32)> = (0..kind.rows(generation)).map(|row| (key(row), row)).collect();
    keys.sort_unstable();
    let mut same = 0u32;
    let mut before: Option<String> = None;
    for (key, _) in &mut keys {
        same = if before.as_deref() == Some(key) { same.saturating_add(1) } else { 0 };
        if same == 0 {
            before = Some(key.clone());
        } else {
            key.push_str(&format!(" {same}"));
        }
    }
    keys.sort_unstable();
    keys
}

fn record(generation: &Generation, kind: RecordKind, key: String, row: u32) -> Record {
    Record { kind, key, says: says(generation, kind, row) }
}

fn says(generation: &Generation, kind: RecordKind, row: u32) -> Map<String, Value> {
    match kind {
        RecordKind::Person => person(generation, row),
        RecordKind::Structure => structure(generation, row),
        RecordKind::Mailbox => mailbox(generation, row),
        RecordKind::Card => card(generation, row),
    }
}

/// The texts of a row by name; empty ones are left out.
fn texts<const N: usize>(generation: &Generation, row: u32, columns: [(&str, &Column); N]) -> Map<String, Value> {
    let texts = columns.into_iter().map(|(name, column)| (name, generation.text.get(column.text_at(row))));
    texts.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

fn structure(generation: &Generation, row: u32) -> Map<String, Value> {
    let t = &generation.tables;
    let columns = [
        ("finess", &t.structure_finess),
        ("entity", &t.structure_entity),
        ("siret", &t.structure_siret),
        ("siren", &t.structure_siren),
        ("technical", &t.structure_technical),
        ("former", &t.structure_former),
        ("name", &t.structure_name),
        ("trade_name", &t.structure_trade_name),
        ("recipient", &t.structure_recipient),
        ("place", &t.structure_place),
        ("street", &t.structure_street),
        ("mention", &t.structure_mention),
        ("cedex", &t.structure_cedex),
        ("postcode", &t.structure_postcode),
        ("town", &t.structure_town),
        ("department", &t.structure_department),
        ("country", &t.structure_country),
        ("phone", &t.structure_phone),
        ("phone2", &t.structure_phone2),
        ("fax", &t.structure_fax),
        ("email", &t.structure_email),
    ];
    texts(generation, row, columns)
}

fn person(generation: &Generation, row: u32) -> Map<String, Value> {
    let t = &generation.tables;
    let columns = [
        ("family", &t.person_family),
        ("given", &t.person_given),
        ("civility", &t.person_civility),
        ("title", &t.person_title),
        ("profession", &t.person_profession),
    ];
    let mut says = texts(generation, row, columns);
    let list = |starts: &Column, of: &dyn Fn(u32) -> Map<String, Value>| -> Value {
        starts.range(row).map(|row| Value::Object(of(row))).collect()
    };
    says.insert("active".to_owned(), json!(t.person_flags.at(row) & 1 == 1));
    says.insert("activities".to_owned(), list(&t.person_activity_starts, &|row| activity(generation, row)));
    let skill = |row| {
        let columns = [("profession", &t.skill_profession), ("category", &t.skill_category), ("skill", &t.skill_skill)];
        texts(generation, row, columns)
    };
    says.insert("skills".to_owned(), list(&t.person_skill_starts, &skill));
    let diploma = |row| {
        let columns = [
            ("diploma", &t.diploma_diploma),
            ("authorisation", &t.diploma_authorisation),
            ("discipline", &t.diploma_discipline),
        ];
        texts(generation, row, columns)
    };
    says.insert("diplomas".to_owned(), list(&t.person_diploma_starts, &diploma));
    says
}

fn activity(generation: &Generation, row: u32) -> Map<String, Value> {
    let t = &generation.tables;
    let columns = [
        ("profession", &t.activity_profession),
        ("category", &t.activity_category),
        ("skill", &t.activity_skill),
        ("mode", &t.activity_mode),
        ("sector", &t.activity_sector),
        ("section", &t.activity_section),
        ("function", &t.activity_function),
        ("kind", &t.activity_kind),
        ("authority", &t.activity_authority),
    ];
    let mut says = texts(generation, row, columns);
    let structure = generation.text.get(t.structure_key.text_at(t.activity_structure.at(row)));
    if !structure.is_empty() {
        says.insert("structure".to_owned(), json!(structure));
    }
    says
}

fn mailbox(generation: &Generation, row: u32) -> Map<String, Value> {
    let t = &generation.tables;
    let columns =
        [("address", &t.mailbox_address), ("service", &t.mailbox_service), ("paperless", &t.mailbox_paperless)];
    let mut says = texts(generation, row, columns);
    let kind = usize::try_from(t.mailbox_type.at(row)).ok().and_then(|kind| MailboxType::ALL.get(kind));
    let named =
        |of: Values<'_>, keys: &Column| -> Value { of.map(|row| generation.text.get(keys.text_at(row))).collect() };
    let people = t.mailbox_people.of(&t.mailbox_person_starts, row);
    let structures = t.mailbox_structure_list.of(&t.mailbox_structure_starts, row);
    says.insert("type".to_owned(), json!(kind.map(|kind| kind.code())));
    says.insert("people".to_owned(), named(people, &t.person_id));
    says.insert("structures".to_owned(), named(structures, &t.structure_key));
    says
}

fn card(generation: &Generation, row: u32) -> Map<String, Value> {
    let t = &generation.tables;
    let mut says = texts(generation, row, [("number", &t.card_number), ("kind", &t.card_kind)]);
    says.insert("holder".to_owned(), json!(generation.text.get(t.person_id.text_at(t.card_person.at(row)))));
    says.insert("opposed".to_owned(), json!(t.card_opposed.at(row) == 1));
    let days =
        [("from", &t.card_from), ("to", &t.card_to), ("opposed_on", &t.card_opposed_on), ("updated", &t.card_updated)];
    for (name, column) in days {
        // Days are AAAAMMJJ, 0 = none.
        if !matches!(column.at(row), 0 | NONE) {
            says.insert(name.to_owned(), json!(column.at(row)));
        }
    }
    says
}
