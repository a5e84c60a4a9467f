//! Oppositions of cards alone, from data that are held into data that stay: a stolen card does not wait for a person who
//! looks at a drifting file.

use super::{Generation, digest};

/// A card that is opposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opposed {
    number: String,
    person: String,
    on: u32,
    hash: (u32, u32),
}

/// All that `generation` says of them.
pub(crate) fn oppositions(generation: &Generation) -> Vec<Opposed> {
    let t = &generation.tables;
    let opposed = (0..t.card_number.len()).filter(|row| t.card_opposed.at(*row) == 1);
    let one = |row| Opposed {
        number: generation.text.get(t.card_number.text_at(row)).to_owned(),
        person: generation.text.get(t.person_id.text_at(t.card_person.at(row))).to_owned(),
        on: t.card_opposed_on.at(row),
        hash: (t.card_hash_high.at(row), t.card_hash_low.at(row)),
    };
    opposed.map(one).collect()
}

/// Notes them in `generation`, which gets another name by it. How many were news, and how many are about cards that it
/// does not know.
pub(crate) fn oppose(generation: &mut Generation, opposed: &[Opposed]) -> (u64, u64) {
    let (mut news, mut unknown) = (0u64, 0u64);
    for card in opposed {
        let Some(row) = row_of(generation, card) else {
            unknown = unknown.saturating_add(1);
            continue;
        };
        let t = &mut generation.tables;
        if t.card_opposed.at(row) == 1 {
            continue;
        }
        news = news.saturating_add(1);
        let columns = [
            (&mut t.card_opposed, 1),
            (&mut t.card_opposed_on, card.on),
            (&mut t.card_hash_high, card.hash.0),
            (&mut t.card_hash_low, card.hash.1),
        ];
        for (column, value) in columns {
            if let Some(place) = usize::try_from(row).ok().and_then(|row| column.cells().get_mut(row)) {
                *place = value;
            }
        }
    }
    if news > 0 {
        generation.tables.pack();
        generation.id = digest::name(generation);
    }
    (news, unknown)
}

fn row_of(generation: &Generation, card: &Opposed) -> Option<u32> {
    let t = &generation.tables;
    let first = generation.lower_bound(t.card_number.len(), &card.number, |row| t.card_number.text_at(row));
    let same =
        (first..t.card_number.len()).take_while(|row| generation.text.get(t.card_number.text_at(*row)) == card.number);
    let mut own = same.filter(|row| generation.text.get(t.person_id.text_at(t.card_person.at(*row))) == card.person);
    own.next()
}
