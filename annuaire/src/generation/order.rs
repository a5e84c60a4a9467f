//! The order in which answers of equal worth are shown: who can be written to first, then by name, then by
//! identifier. It is total, and the same for equal data.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{
    Generation, Space,
    strings::{Strings, Text},
    tables::{Column, NONE, Tables},
};
use crate::fold::fold;

/// Whether the extracts list a mailbox of a person or a structure.
pub(crate) fn lists_a_mailbox(t: &Tables, space: Space, row: u32) -> bool {
    let starts = match space {
        Space::People => &t.person_mailbox_starts,
        Space::Places => &t.structure_mailbox_starts,
    };
    !starts.range(row).is_empty()
}

/// What people (or structures) are shown by who are alike in whether the extracts list a mailbox of theirs: it sorts
/// them as [`number`] does.
pub(crate) fn shown_by(g: &Generation, space: Space, row: u32) -> (bool, String, String, u32) {
    let (t, name) = (&g.tables, |text: Text| squeezed(g.text.get(text)));
    match space {
        Space::People => {
            (!is_active(t, row), name(t.person_family.text_at(row)), name(t.person_given.text_at(row)), row)
        }
        Space::Places => (false, name(structure_name(t, row)), String::new(), row),
    }
}

fn is_active(t: &Tables, row: u32) -> bool {
    t.person_flags.text_at(row) & 1 == 1
}

/// The name of a structure, or its trade name where it has no other.
fn structure_name(t: &Tables, row: u32) -> Text {
    match t.structure_name.text_at(row) {
        0 => t.structure_trade_name.text_at(row),
        name => name,
    }
}

/// Folded, blanks aside, so that `Jean-Pierre`, `Jean Pierre` and `Jeanpierre` are one name.
fn squeezed(text: &str) -> String {
    fold(text).replace(' ', "")
}

/// Numbers people and structures in the order in which they are shown, and counts homonyms.
pub(super) fn number(t: &mut Tables, text: &Strings) {
    let family = ranks(&[&t.person_family], text);
    let given = ranks(&[&t.person_given], text);
    let key = |row: u32| {
        let mailbox = lists_a_mailbox(t, Space::People, row);
        let active = is_active(t, row);
        let rank = |ranks: &HashMap<Text, u32, RandomState>, column: &Column| {
            ranks.get(&column.text_at(row)).copied().unwrap_or(0)
        };
        (!mailbox, !active, rank(&family, &t.person_family), rank(&given, &t.person_given), row)
    };
    let mut people: Vec<_> = (0..t.person_id.len()).map(key).collect();
    people.sort_unstable();
    let mut alike: HashMap<(u32, u32), u32, RandomState> = HashMap::default();
    for (_, _, family, given, _) in &people {
        let count = alike.entry((*family, *given)).or_default();
        *count = count.saturating_add(1);
    }
    let mut homonyms = vec![0; people.len()];
    for (_, _, family, given, row) in &people {
        if let Some(count) = usize::try_from(*row).ok().and_then(|row| homonyms.get_mut(row)) {
            *count = alike.get(&(*family, *given)).copied().unwrap_or(1).saturating_sub(1);
        }
    }
    t.person_homonyms = homonyms.into();
    (t.doc_person, t.person_doc) = both(people.into_iter().map(|key| key.4).collect());

    let names = ranks(&[&t.structure_name, &t.structure_trade_name], text);
    let key = |row: u32| {
        let mailbox = lists_a_mailbox(t, Space::Places, row);
        (!mailbox, names.get(&structure_name(t, row)).copied().unwrap_or(0), row)
    };
    let mut structures: Vec<_> = (0..t.structure_key.len()).map(key).collect();
    structures.sort_unstable();
    (t.doc_structure, t.structure_doc) = both(structures.into_iter().map(|key| key.2).collect());
}

/// The place of each text among all others of its columns, once squeezed.
fn ranks(columns: &[&Column], text: &Strings) -> HashMap<Text, u32, RandomState> {
    let mut texts: Vec<Text> = columns.iter().flat_map(|column| column.values()).collect();
    texts.sort_unstable();
    texts.dedup();
    let mut folded: Vec<(String, Text)> = texts.into_iter().map(|id| (squeezed(text.get(id)), id)).collect();
    folded.sort_unstable();
    let mut rank = 0u32;
    let mut before: Option<String> = None;
    let mut ranks = HashMap::with_capacity_and_hasher(folded.len(), RandomState::default());
    for (folded, id) in folded {
        if before.as_ref() != Some(&folded) {
            rank = rank.saturating_add(1);
            before = Some(folded);
        }
        ranks.insert(id, rank);
    }
    ranks
}

/// An order, and for each row its place in it.
fn both(order: Vec<u32>) -> (Column, Column) {
    let mut places = vec![NONE; order.len()];
    for (place, row) in (0u32..).zip(&order) {
        if let Some(slot) = usize::try_from(*row).ok().and_then(|row| places.get_mut(row)) {
            *slot = place;
        }
    }
    (order.into(), places.into())
}
