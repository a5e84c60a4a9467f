//! The end of a build: sorting, joining, indexing.

use ident::Timestamp;

use super::{
    Generation, Source, TooMuchText,
    builder::Builder,
    digest, index,
    strings::Strings,
    tables::{Column, NONE, Tables},
};
use crate::{
    ask::Kept,
    progress::{Progress, Step, Watch},
};

/// Parts of the step that are told, and how many of them come before the index.
const STEPS: u64 = 100;
const BEFORE_INDEX: u64 = 20;

pub(super) fn finish(
    mut builder: Builder,
    data_as_of: Timestamp,
    sources: Vec<Source>,
    watch: &mut Watch<'_>,
) -> Result<Generation, TooMuchText> {
    let mut told = |done| watch(&Progress { step: Step::Indexing, done, of: STEPS });
    told(0);
    builder.forget_maps();
    structure_keys(&mut builder);
    let skill_person = std::mem::take(&mut builder.skill_person);
    let diploma_person = std::mem::take(&mut builder.diploma_person);
    let mailbox_people = std::mem::take(&mut builder.mailbox_people);
    let mailbox_structures = std::mem::take(&mut builder.mailbox_structures);
    let Builder { text: interner, tables: mut t, .. } = builder;

    let strings = interner.strings();
    let people = sort_table(&mut t, "person_", strings, "person_id");
    let structures = sort_table(&mut t, "structure_", strings, "structure_key");
    let mailboxes = sort_table(&mut t, "mailbox_", strings, "mailbox_key");
    renumber(&mut t.activity_person, &people);
    renumber(&mut t.activity_structure, &structures);
    renumber(&mut t.card_person, &people);
    sort_table(&mut t, "card_", strings, "card_number");

    let rows = t.person_id.len();
    t.person_activity_starts = sort_by_owner(&mut t, "activity_", rows, None);
    t.person_skill_starts = sort_by_owner(&mut t, "skill_", rows, Some(renumbered(skill_person, &people)));
    t.person_diploma_starts = sort_by_owner(&mut t, "diploma_", rows, Some(renumbered(diploma_person, &people)));
    link_mailboxes(&mut t, (&people, mailbox_people), (&structures, mailbox_structures), &mailboxes);
    let cards = pairs(t.card_person.values(), 0..);
    (t.person_card_starts, t.person_cards) = listed(cards, rows);
    let activities = pairs(t.activity_structure.values(), 0..);
    (t.structure_activity_starts, t.structure_activities) = listed(activities, t.structure_key.len());

    t.structure_by_finess = sorted_by(&t.structure_finess, strings);
    t.structure_by_entity = sorted_by(&t.structure_entity, strings);
    t.structure_by_siret = sorted_by(&t.structure_siret, strings);
    t.structure_by_technical = sorted_by(&t.structure_technical, strings);
    if interner.is_full() {
        return Err(TooMuchText);
    }
    // The index needs the room.
    t.pack();
    let text = interner.finish();
    told(BEFORE_INDEX);
    let index = index::build(&mut t, &text, &mut told).ok_or(TooMuchText)?;
    if t.columns().iter().any(|(_, column)| column.len() == NONE) {
        return Err(TooMuchText);
    }
    t.pack();
    let mut generation =
        Generation { id: String::new(), data_as_of, sources, text, tables: t, index, kept: Kept::default() };
    generation.id = digest::name(&generation);
    Ok(generation)
}

/// Names each structure by its best identifier, now that all rows about it were seen.
fn structure_keys(builder: &mut Builder) {
    let rows = builder.tables.structure_finess.len();
    for row in 0..rows {
        let strings = builder.text.strings();
        let text = |column: &Column| strings.get(column.text_at(row));
        let t = &builder.tables;
        let technical = text(&t.structure_technical);
        let key = if !text(&t.structure_finess).is_empty() {
            format!("1{}", text(&t.structure_finess))
        } else if !text(&t.structure_siret).is_empty() {
            format!("3{}", text(&t.structure_siret))
        } else if let Some(rank) = technical.strip_prefix('R') {
            format!("4{rank}")
        } else if !technical.is_empty() {
            technical.to_owned()
        } else {
            let columns = [&t.structure_name, &t.structure_trade_name, &t.structure_street, &t.structure_postcode];
            format!("~{}~{}", columns.map(text).join("|"), text(&t.structure_town))
        };
        let key = builder.text.intern(&key);
        builder.tables.structure_key.push(key);
    }
}

/// Sorts all columns of one table by the text of one of them; gives where each old row went.
fn sort_table(t: &mut Tables, prefix: &str, strings: &Strings, by: &str) -> Vec<u32> {
    let Some(column) = t.column_mut(by) else { return Vec::new() };
    let order = sorted(0..column.len(), column, strings);
    permute(t, prefix, &order);
    inverse(&order)
}

/// Sorts a table by owner, keeping the order of the file within each; gives where each owner's rows start.
fn sort_by_owner(t: &mut Tables, prefix: &str, owners: u32, given: Option<Vec<u32>>) -> Column {
    let owner = given.unwrap_or_else(|| t.activity_person.values().collect());
    let (starts, order) = grouped(pairs(owner, 0..), owners);
    permute(t, prefix, &order);
    starts
}

/// Applies an order to the columns of a table that are already filled.
fn permute(t: &mut Tables, prefix: &str, order: &[u32]) {
    let names: Vec<&'static str> = t.columns().into_iter().map(|(name, _)| name).collect();
    for name in names.into_iter().filter(|name| name.starts_with(prefix)) {
        if let Some(column) = t.column_mut(name)
            && column.cells().len() == order.len()
        {
            *column = order.iter().map(|row| column.at(*row)).collect::<Vec<_>>().into();
        }
    }
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut places = vec![NONE; order.len()];
    for (new, old) in (0u32..).zip(order) {
        if let Some(place) = usize::try_from(*old).ok().and_then(|old| places.get_mut(old)) {
            *place = new;
        }
    }
    places
}

fn moved(row: u32, places: &[u32]) -> u32 {
    usize::try_from(row).ok().and_then(|row| places.get(row)).copied().unwrap_or(NONE)
}

fn renumbered(rows: Vec<u32>, places: &[u32]) -> Vec<u32> {
    rows.into_iter().map(|row| moved(row, places)).collect()
}

fn renumber(column: &mut Column, places: &[u32]) {
    column.cells().iter_mut().for_each(|row| *row = moved(*row, places));
}

fn pairs(owners: impl IntoIterator<Item = u32>, values: impl IntoIterator<Item = u32>) -> Vec<(u32, u32)> {
    owners.into_iter().zip(values).collect()
}

/// Groups values by owner: where each owner's values start (one more at the end), and the values. Pairs whose
/// owner is [`NONE`] are left out.
pub(super) fn grouped(mut pairs: Vec<(u32, u32)>, owners: u32) -> (Column, Vec<u32>) {
    pairs.retain(|(owner, _)| *owner < owners);
    pairs.sort_unstable();
    pairs.dedup();
    let mut starts = Column::default();
    let mut owner = 0u32;
    for (at, pair) in (0u32..).zip(&pairs) {
        while owner <= pair.0 {
            starts.push(at);
            owner = owner.saturating_add(1);
        }
    }
    let end = u32::try_from(pairs.len()).unwrap_or(NONE);
    while owner <= owners {
        starts.push(end);
        owner = owner.saturating_add(1);
    }
    (starts, pairs.into_iter().map(|(_, value)| value).collect())
}

/// The same, as two columns.
fn listed(pairs: Vec<(u32, u32)>, owners: u32) -> (Column, Column) {
    let (starts, values) = grouped(pairs, owners);
    (starts, values.into())
}

fn link_mailboxes(
    t: &mut Tables,
    (people, mailbox_people): (&[u32], Vec<(u32, u32)>),
    (structures, mailbox_structures): (&[u32], Vec<(u32, u32)>),
    mailboxes: &[u32],
) {
    let rows = t.mailbox_key.len();
    let moved_pairs = |pairs: Vec<(u32, u32)>, places: &[u32]| -> Vec<(u32, u32)> {
        pairs.into_iter().map(|(mailbox, other)| (moved(mailbox, mailboxes), moved(other, places))).collect()
    };
    let turned = |pairs: &[(u32, u32)]| pairs.iter().map(|(a, b)| (*b, *a)).collect::<Vec<_>>();
    let of_people = moved_pairs(mailbox_people, people);
    let of_structures = moved_pairs(mailbox_structures, structures);
    (t.person_mailbox_starts, t.person_mailboxes) = listed(turned(&of_people), t.person_id.len());
    (t.structure_mailbox_starts, t.structure_mailboxes) = listed(turned(&of_structures), t.structure_key.len());
    (t.mailbox_person_starts, t.mailbox_people) = listed(of_people, rows);
    (t.mailbox_structure_starts, t.mailbox_structure_list) = listed(of_structures, rows);
}

/// The rows that have a text in this column, sorted by it.
fn sorted_by(column: &Column, strings: &Strings) -> Column {
    sorted((0..column.len()).filter(|row| column.at(*row) != 0), column, strings).into()
}

/// Rows in the order of their texts in a column; those of equal texts keep theirs.
fn sorted(rows: impl Iterator<Item = u32>, column: &Column, strings: &Strings) -> Vec<u32> {
    let text = |row: u32| strings.get(column.text_at(row));
    // Nearly every comparison ends within the first sixteen octets: identifiers are no longer, and to look for the
    // others in the arena each time is what takes long.
    let start = |text: &str| {
        let mut octets = [0u8; 16];
        octets.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        u128::from_be_bytes(octets)
    };
    let mut rows: Vec<(u128, u32)> = rows.map(|row| (start(text(row)), row)).collect();
    rows.sort_unstable_by(|(a, one), (b, other)| {
        a.cmp(b).then_with(|| text(*one).cmp(text(*other))).then_with(|| one.cmp(other))
    });
    rows.into_iter().map(|(_, row)| row).collect()
}
