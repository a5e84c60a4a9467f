//! The generated extracts are as ugly as the true ones.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use annuaire::{FileKind, GenerateOptions, generate, generate_with_faults, words};

const PEOPLE: u32 = 6_000;

/// Rows of a file, cut into columns.
fn rows(folder: &Path, kind: FileKind) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join(kind.file_name())).unwrap();
    text.lines().skip(1).map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn column(kind: FileKind, label: &str) -> usize {
    kind.columns().iter().position(|known| *known == label).unwrap()
}

#[test]
fn everything_that_makes_the_true_files_hard_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let made = generate(folder.path(), &GenerateOptions::new(3, PEOPLE)).unwrap();
    let activities = rows(folder.path(), FileKind::Activities);
    let at = |label| column(FileKind::Activities, label);
    let (id, family, given, town, street) = (
        at("Identification nationale PP"),
        at("Nom d'exercice"),
        at("Prénom d'exercice"),
        at("Libellé commune (coord. structure)"),
        at("Libellé Voie (coord. structure)"),
    );
    let names: BTreeSet<&str> = activities.iter().map(|row| row[family].as_str()).collect();
    let has = |what: &str, is: &dyn Fn(&str) -> bool| assert!(names.iter().any(|name| is(name)), "no name with {what}");
    has("a straight apostrophe", &|name| name.contains('\''));
    has("a typographic apostrophe", &|name| name.contains('’'));
    has("accents", &|name| name.contains(['É', 'È', 'Ï', 'Ö', 'Ü', 'Ł', 'Œ']));
    has("a blank inside", &|name| name.contains(' '));
    has("a particle", &|name| name.starts_with("DE ") || name.starts_with("LE "));
    has("two particles", &|name| name.starts_with("DE LA ") || name.starts_with("VAN DEN "));
    has("two hyphens", &|name| name.matches('-').count() > 1);
    assert!(
        activities.iter().any(|row| row[given].contains('-')) && activities.iter().any(|row| row[given].contains(' '))
    );

    let mut alike: BTreeMap<(&str, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    for row in activities.iter().filter(|row| !row[town].is_empty()) {
        alike.entry((&row[family], &row[given], &row[town])).or_default().insert(&row[id]);
    }
    assert!(alike.values().any(|people| people.len() > 1), "no homonyms in one town");
    assert!(activities.iter().any(|row| row[town].is_empty() && !row[at("Raison sociale site")].is_empty()));
    assert!(activities.iter().any(|row| row[street].contains('’')));
    let distinct: BTreeSet<&Vec<String>> = activities.iter().collect();
    assert!(distinct.len() < activities.len(), "no row twice");
    assert!(activities.iter().all(|row| row.len() == 57 && row[56].is_empty()), "no separator at the end");

    let mailboxes = rows(folder.path(), FileKind::Mailboxes);
    let at = |label| column(FileKind::Mailboxes, label);
    let mut of_people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in mailboxes.iter().filter(|row| row[0] == "PER") {
        of_people.entry(&row[at("Identification nationale PP")]).or_default().insert(&row[at("Adresse BAL")]);
    }
    assert!(of_people.values().any(|addresses| addresses.len() == 4), "nobody with four mailboxes");
    let addresses: BTreeSet<&str> = mailboxes.iter().map(|row| row[at("Adresse BAL")].as_str()).collect();
    assert!(addresses.len() < mailboxes.len(), "no address on two rows");
    assert!(mailboxes.iter().any(|row| row[0] == "PER" && row[at("Identification Structure")].is_empty()));

    let cards = rows(folder.path(), FileKind::Cards);
    let ends = column(FileKind::Cards, "Date fin validité");
    assert!(cards.iter().any(|row| row[ends].contains('-')) && cards.iter().any(|row| !row[ends].contains('-')));

    // As spread as the names of a nation: a bench counts 200,000 and more at its size.
    let told = names.iter().copied().chain(activities.iter().map(|row| row[given].as_str()));
    let tokens: BTreeSet<String> = told.flat_map(words).collect();
    assert!(tokens.len() * 3 > PEOPLE as usize, "{} distinct words in the names of {PEOPLE} people", tokens.len());
    assert_eq!(made.rows[0], activities.len() as u64);
}

#[test]
fn headers_drift_and_lines_are_wrong_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let made = generate_with_faults(folder.path(), &GenerateOptions::new(3, 300)).unwrap();
    let octets = fs::read(folder.path().join(FileKind::Activities.file_name())).unwrap();
    let text = String::from_utf8_lossy(&octets);
    let header = text.lines().next().unwrap();
    assert!(header.contains("Code rôle") && !header.contains("Code fonction"), "{header}");
    for wrong in ["<html>", "surplus|surplus|", "\u{1}", "\u{fffd}", "8ABCDEFGHIJK", "|12345|"] {
        assert!(text.contains(wrong), "no line with {wrong:?}");
    }
    assert!(text.lines().filter(|line| line.starts_with("Type d'identifiant PP|")).count() > 1, "no header inside");
    assert!(made.wrong > 40);
}

#[test]
fn fewer_mailboxes_are_published_when_fewer_are_wanted() {
    let count = |mailboxes| {
        let folder = tempfile::tempdir().unwrap();
        let made = generate(folder.path(), &GenerateOptions { mailboxes, ..GenerateOptions::new(3, PEOPLE) }).unwrap();
        // What is not published exists all the same.
        let exist: usize = made.people.iter().map(|person| person.mailboxes.len()).sum();
        (made.rows[3], exist)
    };
    let (all, exist) = count(None);
    assert!(all.abs_diff(u64::from(PEOPLE) * 383 / 1000) * 20 < all, "{all}");
    let (fewer, still) = count(Some(PEOPLE * 27 / 100));
    assert!(fewer.abs_diff(u64::from(PEOPLE) * 27 / 100) * 20 < fewer, "{fewer}");
    assert_eq!(exist, still);
    assert_eq!(count(Some(0)).0, 0);
}
