//! What is unusual is held until a person says that it is right.

use std::fs;

use annuaire::{Accept, DataFolder, FileKind, GenerateOptions, LoadOptions, load, load_with};

use crate::common::{Ground, conserved};

#[test]
fn the_shrink_guard_holds_and_accept_confirms() {
    for kind in FileKind::ALL {
        let ground = Ground::new();
        let first = ground.load();
        // 2 % deleted pass; then 20 % deleted, and 20 % changed, stop.
        ground.edit_rows(kind, |n, row| (n % 50 != 0).then(|| row.to_owned()));
        let second = ground.load();
        assert!(second.in_service(), "{kind:?} {:?}", second.reason);
        assert_eq!(second.previous, first.generation);
        let good = ground.text(kind);
        ground.edit_rows(kind, |n, row| (n % 5 != 0).then(|| row.to_owned()));
        let held = ground.load();
        assert!(held.held && held.generation == second.generation, "{kind:?}");
        assert!(held.reason.as_ref().unwrap().contains("--accept") && held.reason.unwrap().contains(kind.file_name()));
        let current = DataFolder::new(&ground.data()).current_id().unwrap();
        assert_eq!(current, second.generation);
        ground.edit(kind, |_| good);
        // Any value of the row changed is a change.
        ground.edit_rows(kind, |n, row| Some(if n % 5 == 0 { changed(kind, row) } else { row.to_owned() }));
        let held = ground.load();
        assert!(held.held, "{kind:?} {:?}", held.changes);
        let accepted = load(&ground.extracts(), &ground.data(), true).unwrap();
        assert!(accepted.in_service() && accepted.generation != second.generation && accepted.reason.is_some());
    }
}

/// Another value in a column that is not a key.
fn changed(kind: FileKind, row: &str) -> String {
    let place = match kind {
        FileKind::Activities => 40,
        FileKind::Skills | FileKind::Diplomas => 4,
        FileKind::Mailboxes => 10,
        FileKind::Cards => 2,
    };
    let mut fields: Vec<&str> = row.split('|').collect();
    fields[place] = "Autre";
    fields.join("|")
}

#[test]
fn creations_never_trip_the_guard() {
    let ground = Ground::with(&GenerateOptions::new(7, 300));
    ground.edit_rows(FileKind::Activities, |n, row| (n < 100).then(|| row.to_owned()));
    assert!(ground.load().in_service());
    annuaire::generate(&ground.extracts(), &GenerateOptions::new(7, 300)).unwrap();
    let report = ground.load();
    assert!(report.in_service(), "{:?}", report.reason);
    assert!(report.changes.unwrap().files[0].created > 200);
}

#[test]
fn a_file_full_of_bad_rows_is_held_even_the_first_time() {
    let ground = Ground::new();
    ground.edit_rows(FileKind::Activities, |n, row| Some(if n % 3 == 0 { "x|y".to_owned() } else { row.to_owned() }));
    let report = ground.load();
    conserved(&report);
    assert!(report.held && report.generation.is_none());
    assert!(report.reason.unwrap().contains("cannot be read"));
}

#[test]
fn a_vanished_optional_file_is_held() {
    let ground = Ground::new();
    ground.load();
    fs::remove_file(ground.file(FileKind::Cards)).unwrap();
    assert!(ground.load().held);
}

/// Losses that are small each time are not small together.
#[test]
fn what_creeps_away_from_load_to_load_is_held() {
    let ground = Ground::new();
    assert!(ground.load().in_service());
    let mut held = None;
    for load in 1..=3 {
        ground.edit_rows(FileKind::Activities, |n, row| (n % 30 != 7).then(|| row.to_owned()));
        let report = ground.load();
        if report.held {
            held = Some((load, report.reason.unwrap()));
            break;
        }
    }
    let (load, why) = held.expect("nobody was asked");
    assert!(load > 1 && why.contains("in the last days"), "{load}: {why}");
    // A person's word makes it the measure from then on.
    assert!(annuaire::load(&ground.extracts(), &ground.data(), true).unwrap().in_service());
    ground.edit_rows(FileKind::Activities, |n, row| (n % 30 != 7).then(|| row.to_owned()));
    assert!(ground.load().in_service());
}

/// A person's word is for the files that it names: it puts no others in service, and makes no new measure of them.
#[test]
fn a_word_for_one_file_is_none_for_another() {
    use FileKind::{Cards, Mailboxes};
    let ground = Ground::new();
    assert!(ground.load().in_service());
    let with = |accept: Accept<'_>| {
        let options = LoadOptions { accept, ..LoadOptions::default() };
        load_with(&ground.extracts(), &ground.data(), &options, &mut |_| ()).unwrap()
    };
    let lose = |kind: FileKind, one_of: usize| {
        ground.edit_rows(kind, |n, row| (n % one_of != 1).then(|| row.to_owned()));
    };
    lose(Cards, 30);
    lose(Mailboxes, 5);
    assert!(with(Accept::Files(&[Cards])).held, "the word was for the cards");
    let report = with(Accept::Files(&[Mailboxes]));
    assert!(report.in_service(), "{:?}", report.reason);
    assert!(report.holding.iter().all(|one| one.accepted && one.file == Mailboxes.file_name()), "{:?}", report.holding);
    // With what they lost before, the cards lose too much: nobody said a word about them yet.
    lose(Cards, 30);
    let report = with(Accept::Files(&[Mailboxes]));
    assert!(report.held && report.reason.as_ref().unwrap().contains("in the last days"), "{:?}", report.reason);
    assert!(with(Accept::TheOne).in_service(), "there is only one");
    lose(Cards, 5);
    lose(Mailboxes, 5);
    assert!(with(Accept::Nothing).held);
    assert!(with(Accept::TheOne).held, "whoever looked at one did not look at the other");
    assert!(with(Accept::Files(&[Cards, Mailboxes])).in_service());
}

#[test]
fn a_file_that_grows_by_more_than_a_fifth_is_held() {
    let ground = Ground::new();
    assert!(ground.load().in_service());
    ground.edit(FileKind::Mailboxes, |text| {
        let row = text.lines().nth(1).unwrap().to_owned();
        let address = row.split('|').nth(1).unwrap().to_owned();
        let more = (0..1100).map(|n| row.replace(&address, &format!("boite{n}.test@ch-exemple.test")) + "\n");
        text.clone() + &more.collect::<String>()
    });
    let report = ground.load();
    assert!(report.held, "{:?}", report.totals);
    assert!(report.reason.unwrap().contains("% more"));
    assert!(load(&ground.extracts(), &ground.data(), true).unwrap().in_service());
}

/// A label that drifts holds the files; the oppositions of cards do not wait for a person.
#[test]
fn oppositions_are_taken_from_files_that_are_held() {
    let ground = Ground::new();
    ground.load();
    let folder = DataFolder::new(&ground.data());
    let before = folder.current().unwrap();
    let opposed = |row: &str| row.split('|').nth(7).is_some_and(|day| !day.is_empty());
    let text = ground.text(FileKind::Cards);
    let good = text.lines().skip(1).find(|row| !opposed(row)).unwrap().to_owned();
    let fields: Vec<String> = good.split('|').map(str::to_owned).collect();
    ground.edit_rows(FileKind::Cards, |_, row| {
        Some(if row == good {
            let mut fields = fields.clone();
            fields[7] = "2026-11-02".to_owned();
            fields.join("|")
        } else {
            row.to_owned()
        })
    });
    ground.edit_rows(FileKind::Diplomas, |_, row| Some(changed(FileKind::Diplomas, row)));
    let report = ground.load();
    assert!(report.held, "{:?}", report.reason);
    assert_eq!((report.oppositions, report.oppositions_unknown), (1, 0));
    let after = folder.current().unwrap();
    assert_eq!(Some(after.id()), report.generation.as_deref());
    assert_ne!(after.id(), before.id());
    let state = |generation: &annuaire::Generation| {
        let person = generation.person(&ident::PersonId::parse(&fields[4]).unwrap()).unwrap();
        person.cards().find(|card| card.number_text() == fields[3]).unwrap().opposed()
    };
    assert_eq!((state(&before), state(&after)), (false, true));
    // Nothing else of the held files is there, and nothing is said twice.
    let changes = annuaire::diff(&before, &after);
    assert!(changes.files.iter().all(|file| file.created + file.deleted == 0), "{changes:?}");
    assert_eq!(changes.files.iter().map(|file| file.changed).sum::<u64>(), 1, "{changes:?}");
    let again = ground.load();
    assert_eq!((again.held, again.oppositions, again.generation.as_deref()), (true, 0, Some(after.id())));
    // A file in which every card is opposed is not believed.
    ground.edit_rows(FileKind::Cards, |_, row| {
        let mut fields: Vec<&str> = row.split('|').collect();
        fields[7] = "2026-11-02";
        Some(fields.join("|"))
    });
    let wild = ground.load();
    assert_eq!((wild.held, wild.oppositions, wild.generation.as_deref()), (true, 0, Some(after.id())));
}
