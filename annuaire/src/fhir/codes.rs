//! The codes that a generation holds where the word index has none: so that an unknown code is nothing at once, and a sector
//! is a list of structures.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    Generation, Rows, Structure,
    fhir::{
        item::{MAX_ACTIVITIES, coded},
        table::What,
    },
    generation::Column,
};

/// Codes in small letters, by where they stand.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// Of people: categories, skills and their types, diplomas and theirs, professions.
    qualifications: BTreeSet<String>,
    /// Of activities: profession, function, mode, kind.
    roles: BTreeSet<String>,
    cards: BTreeSet<String>,
    /// The structures where somebody works in a sector.
    sectors: HashMap<String, Rows>,
}

impl Codes {
    /// Reads a generation through: a fifth of a second for a nation.
    pub(super) fn of(g: &Generation) -> Self {
        let t = &g.tables;
        let profession = (&t.activity_profession, [0, 0]);
        Self {
            qualifications: held(
                g,
                &[
                    profession,
                    (&t.person_profession, [0, 0]),
                    (&t.activity_category, [0, 0]),
                    (&t.activity_skill, [0, 2]),
                    (&t.skill_skill, [0, 2]),
                    (&t.diploma_diploma, [0, 2]),
                ],
            ),
            roles: held(
                g,
                &[profession, (&t.activity_function, [0, 0]), (&t.activity_mode, [0, 0]), (&t.activity_kind, [0, 0])],
            ),
            cards: held(g, &[(&t.card_kind, [0, 0])]),
            sectors: sectors(g),
        }
    }

    /// Whether anything can have this code where a parameter looks; what is not known here may.
    pub(super) fn may_have(&self, what: What, code: &str) -> bool {
        let code = code.to_ascii_lowercase();
        match what {
            What::Qualification => self.qualifications.contains(&code),
            What::RoleCode => self.roles.contains(&code),
            What::CardType => self.cards.contains(&code),
            What::Sector => self.sectors.contains_key(&code),
            _ => true,
        }
    }

    /// The structures where somebody works in a sector.
    pub(super) fn sector(&self, code: &str) -> Option<&Rows> {
        self.sectors.get(&code.to_ascii_lowercase())
    }
}

/// The codes in these parts of coded columns.
fn held(g: &Generation, columns: &[(&Column, [usize; 2])]) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (column, parts) in columns {
        // Each text is there once: millions of rows share a few hundred.
        let mut seen = HashSet::new();
        for row in (0..column.len()).filter(|row| seen.insert(column.text_at(*row))) {
            let own = parts.map(|part| coded(g, column, row, part).to_ascii_lowercase());
            codes.extend(own.into_iter().filter(|code| !code.is_empty()));
        }
    }
    codes
}

fn sectors(g: &Generation) -> HashMap<String, Rows> {
    let t = &g.tables;
    let mut rows: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in 0..t.structure_key.len() {
        let place = Structure { generation: g, row };
        for activity in place.activities().take(MAX_ACTIVITIES) {
            let list = rows.entry(t.activity_sector.text_at(activity.row)).or_default();
            if list.last() != Some(&row) {
                list.push(row);
            }
        }
    }
    let mut sectors: HashMap<String, Vec<u32>> = HashMap::new();
    for (text, mut list) in rows {
        let code = g.text.get(text).split('|').next().unwrap_or_default().to_ascii_lowercase();
        sectors.entry(code).or_default().append(&mut list);
    }
    sectors.remove("");
    let rows = |mut list: Vec<u32>| {
        list.sort_unstable();
        list.dedup();
        Rows(list.into())
    };
    sectors.into_iter().map(|(code, list)| (code, rows(list))).collect()
}
