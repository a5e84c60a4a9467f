//! Remembering what left the data, and when.

use super::{Generation, GoneKind, tables::Column};
use crate::Date;

/// Most of what is gone that is remembered; the latest stay.
const MAX_GONE: usize = 500_000;

/// Notes in `generation` what `previous` had and it has not, and what was gone before and did not come back.
pub(crate) fn remember_gone(generation: &mut Generation, previous: &Generation) {
    let today = Date::of(generation.data_as_of).map_or(0, Date::number);
    let mut gone: Vec<((u32, String), u32)> = Vec::new();
    let t = &previous.tables;
    for row in 0..t.gone_kind.len() {
        let key = previous.text.get(t.gone_key.text_at(row));
        let kind = GoneKind::ALL.into_iter().find(|kind| kind.number() == t.gone_kind.at(row));
        if let Some(kind) = kind.filter(|kind| !kind.has(generation, key)) {
            gone.push(((kind.number(), key.to_owned()), t.gone_day.at(row)));
        }
    }
    for kind in GoneKind::ALL {
        let column = kind.column(previous);
        let keys = (0..column.len()).map(|row| previous.text.get(column.text_at(row)));
        let left = keys.filter(|key| !kind.has(generation, key));
        gone.extend(left.map(|key| ((kind.number(), key.to_owned()), today)));
    }
    gone.sort();
    gone.dedup_by(|later, earlier| later.0 == earlier.0);
    if gone.len() > MAX_GONE {
        gone.sort_by_key(|(_, day)| std::cmp::Reverse(*day));
        gone.truncate(MAX_GONE);
        gone.sort();
    }
    store(generation, gone);
    generation.pack();
}

fn store(generation: &mut Generation, gone: Vec<((u32, String), u32)>) {
    generation.tables.gone_kind = Column::default();
    generation.tables.gone_key = Column::default();
    generation.tables.gone_day = Column::default();
    for ((kind, key), day) in gone {
        // What is gone is in no column, so its text is new: appended behind the others.
        let Some(text) = generation.text.append(&key) else { break };
        generation.tables.gone_kind.push(kind);
        generation.tables.gone_key.push(text);
        generation.tables.gone_day.push(day);
    }
}

impl GoneKind {
    /// The column of the keys of this kind.
    fn column(self, generation: &Generation) -> &Column {
        match self {
            Self::Person => &generation.tables.person_id,
            Self::Mailbox => &generation.tables.mailbox_key,
            Self::Structure => &generation.tables.structure_key,
            Self::Card => &generation.tables.card_number,
        }
    }

    fn has(self, generation: &Generation, key: &str) -> bool {
        let column = self.column(generation);
        let row = generation.lower_bound(column.len(), key, |row| column.text_at(row));
        row < column.len() && generation.text.get(column.text_at(row)) == key
    }
}
