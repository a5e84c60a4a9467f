//! Two days, the second followed as the changes from the first, are the second loaded whole.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod common;

use std::collections::BTreeMap;

use annuaire::{
    Change, FileKind, GenerateOptions, Generation, Record, RecordKind, build, changes, diff, generate, records,
};
use common::Ground;
use proptest::prelude::*;

/// What a receiver keeps: records by kind and key, nothing else.
#[derive(Debug, PartialEq)]
struct Copy(BTreeMap<(RecordKind, String), Record>);

impl Copy {
    fn of(generation: &Generation) -> Self {
        let all: Vec<Record> = records(generation).collect();
        let count = all.len();
        let copy = Self(all.into_iter().map(|record| ((record.kind, record.key.clone()), record)).collect());
        assert_eq!(copy.0.len(), count, "two records share a key");
        copy
    }

    /// Follows a change as it came over a wire; what does not fit is a fault of the changes.
    fn follow(&mut self, change: Change) {
        match change {
            Change::Created(record) => {
                assert!(self.0.insert((record.kind, record.key.clone()), record).is_none(), "created twice");
            }
            Change::Changed(record) => {
                let before = self.0.insert((record.kind, record.key.clone()), record.clone());
                assert_ne!(before.unwrap(), record, "nothing changed");
            }
            Change::Deleted { kind, key } => assert!(self.0.remove(&(kind, key)).is_some(), "deleted twice"),
        }
    }
}

/// What happens to a row between two days.
#[derive(Debug, Clone)]
enum Edit {
    Delete,
    Double,
    /// This column says something else, or what another row says in it.
    Column(usize, u8),
    /// Moved to the end of the file.
    Later,
}

fn edits() -> impl Strategy<Value = Vec<(usize, usize, Edit)>> {
    let edit = prop_oneof![
        Just(Edit::Delete),
        Just(Edit::Double),
        Just(Edit::Later),
        (0usize..60, any::<u8>()).prop_map(|(column, how)| Edit::Column(column, how)),
    ];
    proptest::collection::vec((0usize..5, 0usize..80, edit), 0..30)
}

/// A day: the generated extracts with some rows changed.
fn day(seed: u64, edits: &[(usize, usize, Edit)]) -> Generation {
    let ground = Ground::with(&GenerateOptions::new(seed, 40));
    for (n, kind) in FileKind::ALL.into_iter().enumerate() {
        ground.edit(kind, |text| {
            let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
            for (_, at, edit) in edits.iter().filter(|(file, ..)| *file == n) {
                let count = rows.len() - 1;
                if count == 0 {
                    continue;
                }
                let at = 1 + at % count;
                match edit {
                    Edit::Delete => drop(rows.remove(at)),
                    Edit::Double => rows.push(rows[at].clone()),
                    Edit::Later => {
                        let row = rows.remove(at);
                        rows.push(row);
                    }
                    Edit::Column(column, how) => {
                        let other: Vec<String> =
                            rows[1 + usize::from(*how) % count].split('|').map(str::to_owned).collect();
                        let mut fields: Vec<String> = rows[at].split('|').map(str::to_owned).collect();
                        let column = column % kind.columns().len();
                        fields[column] = match how % 3 {
                            0 => String::new(),
                            1 => format!("AUTRE-TEST {how}"),
                            _ => other[column].clone(),
                        };
                        rows[at] = fields.join("|");
                    }
                }
            }
            rows.join("\n") + "\n"
        });
    }
    build(&ground.extracts()).unwrap().1.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_second_day_followed_is_the_second_day_loaded(
        other in any::<bool>(), first in edits(), second in edits(), third in edits(),
    ) {
        let days = [day(7, &first), day(if other { 8 } else { 7 }, &second), day(7, &third)];
        let mut copy = Copy::of(&days[0]);
        for pair in days.windows(2) {
            let mut counts = BTreeMap::<(RecordKind, &str), u64>::new();
            changes(&pair[0], &pair[1], |change| {
                let (kind, what) = match &change {
                    Change::Created(record) => (record.kind, "created"),
                    Change::Changed(record) => (record.kind, "changed"),
                    Change::Deleted { kind, .. } => (*kind, "deleted"),
                };
                *counts.entry((kind, what)).or_default() += 1;
                copy.follow(change);
            });
            prop_assert_eq!(&copy, &Copy::of(&pair[1]));
            // The report counts the same of what has a key.
            let report = diff(&pair[0], &pair[1]);
            for (kind, file) in [(RecordKind::Mailbox, &report.files[3]), (RecordKind::Card, &report.files[4])] {
                let counted = |what| counts.get(&(kind, what)).copied().unwrap_or(0);
                prop_assert_eq!((counted("created"), counted("deleted")), (file.created, file.deleted));
            }
        }
    }
}

#[test]
fn a_record_says_everything_and_nothing_changes_by_itself() {
    let ground = Ground::new();
    let generation = build(&ground.extracts()).unwrap().1.unwrap();
    let mut count = 0;
    changes(&generation, &generation, |_| count += 1);
    assert_eq!(count, 0);
    // Every column that one file says of a person comes out again.
    ground.edit(FileKind::Activities, |text| {
        let header = text.lines().next().unwrap().to_owned();
        let row: Vec<String> = FileKind::Activities
            .columns()
            .iter()
            .enumerate()
            .map(|(n, label)| match *label {
                "Type d'identifiant PP" => "8".into(),
                "Identifiant PP" => "99700000001".into(),
                "Identification nationale PP" => "899700000001".into(),
                "Numéro SIRET site" => "00000000000018".into(),
                "Numéro FINESS site" => "990000001".into(),
                _ => format!("VALEUR{n}-TEST"),
            })
            .collect();
        format!("{header}\n{}|\n", row.join("|"))
    });
    let one = build(&ground.extracts()).unwrap().1.unwrap();
    let told: Vec<String> = records(&one).map(|record| serde_json::to_string(&record).unwrap()).collect();
    let told = told.join("\n");
    // Identifiers have a form of their own, and of the kind of street only the label is kept, not its code (30).
    let own_form = [0, 1, 2, 19, 21, 30];
    let values = (0..56).filter(|n| !own_form.contains(n)).map(|n| format!("VALEUR{n}-TEST"));
    let untold: Vec<String> = values.filter(|value| !told.contains(value.as_str())).collect();
    assert!(untold.is_empty(), "columns that no record tells: {untold:?}");
    // The same people written anew, in another folder: the same records.
    let again = Ground::new();
    generate(&again.extracts(), &GenerateOptions::new(7, 300)).unwrap();
    assert_eq!(Copy::of(&generation), Copy::of(&build(&again.extracts()).unwrap().1.unwrap()));
}
