//! Loading: whole folders of extracts, good, drifted, spoiled and hostile.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod common;

use std::fs;

use annuaire::{DataFolder, FileKind, FolderError, GENERATIONS_KEPT, GenerateOptions, build, load};
use common::{Ground, conserved, zip};
use ident::Address;

#[test]
fn generated_extracts_load_without_a_problem() {
    let ground = Ground::new();
    let report = ground.load();
    assert_eq!(report.problems, []);
    assert!(report.in_service() && report.reason.is_none());
    conserved(&report);
    assert_eq!(report.files.len(), 5);
    let rows: Vec<u64> = report.files.iter().map(|file| file.rows).collect();
    assert_eq!(rows, ground.made.rows);
    // The extracts hold duplicates of activities and addresses on two rows.
    assert!(report.files[0].merged > 0 && report.files[3].merged > 0);
    let totals = report.totals.unwrap();
    assert_eq!(totals.people, 300);
    assert_eq!(u64::from(totals.mailboxes), report.files[3].kept);
}

#[test]
fn every_line_that_is_wrong_on_purpose_is_refused_and_no_other() {
    let ground = Ground::new();
    let plain = build(&ground.extracts()).unwrap().1.unwrap();
    let made = annuaire::generate_with_faults(&ground.extracts(), &GenerateOptions::new(7, 300)).unwrap();
    assert!(made.wrong >= 40, "{made:?}");
    let (report, spoiled) = build(&ground.extracts()).unwrap();
    conserved(&report);
    let refused: u64 = report.files.iter().map(|file| file.refused).sum();
    assert_eq!(refused, made.wrong, "{:?}", report.files);
    // What is wrong is not loaded, what drifts is understood: the same directory comes of it.
    assert_eq!(spoiled.unwrap().totals(), plain.totals());
    assert!(report.problems.iter().all(|problem| problem.line > 1), "{:?}", report.problems.first());
}

#[test]
fn data_are_stale_after_a_day_and_a_half() {
    let ground = Ground::new();
    let generation = build(&ground.extracts()).unwrap().1.unwrap();
    let later = |hours: u64| generation.data_as_of().plus(std::time::Duration::from_secs(hours * 3600));
    assert!(!generation.is_stale(generation.data_as_of()) && !generation.is_stale(later(36)));
    assert!(generation.is_stale(later(37)));
}

#[test]
fn the_same_seed_gives_the_same_octets_and_another_seed_others() {
    let (a, b) = (Ground::new(), Ground::new());
    let c = Ground::with(&GenerateOptions::new(8, 300));
    for kind in FileKind::ALL {
        assert_eq!(a.text(kind), b.text(kind));
        assert_ne!(a.text(kind), c.text(kind));
        let first = a.text(kind).lines().next().unwrap().trim_end_matches('|').to_owned();
        assert_eq!(first, kind.columns().join("|"), "headers are verbatim");
    }
    assert_eq!(a.made, b.made);
}

#[test]
fn what_is_stored_is_read_back_and_damage_is_found() {
    let ground = Ground::new();
    let report = ground.load();
    let folder = DataFolder::new(&ground.data());
    let (_, built) = build(&ground.extracts()).unwrap();
    assert_eq!(folder.current().unwrap(), built.unwrap());
    let file = ground.data().join(format!("{}.generation", report.generation.unwrap()));
    let good = fs::read(&file).unwrap();
    for at in [3, 9, 13, 60, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        fs::write(&file, &bad).unwrap();
        assert!(matches!(folder.current(), Err(FolderError::Stored { .. })), "octet {at}");
    }
    for length in [0, 4, 11, 40, good.len() / 2, good.len() - 1] {
        fs::write(&file, &good[..length]).unwrap();
        assert!(matches!(folder.current(), Err(FolderError::Stored { .. })), "cut at {length}");
    }
    fs::write(&file, [good.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(folder.current(), Err(FolderError::Stored { .. })));
}

#[test]
fn a_damaged_generation_in_service_holds_the_next_load() {
    let ground = Ground::new();
    let first = ground.load().generation.unwrap();
    fs::write(ground.data().join(format!("{first}.generation")), b"nonsense").unwrap();
    let report = ground.load();
    assert!(report.held && report.reason.unwrap().contains("cannot be compared"));
    assert!(load(&ground.extracts(), &ground.data(), true).unwrap().in_service());
    assert!(DataFolder::new(&ground.data()).current().is_ok());
}

#[test]
fn names_with_dates_zips_and_headers_alone_are_recognised() {
    let ground = Ground::new();
    let (_, plain) = build(&ground.extracts()).unwrap();
    let folder = ground.extracts();
    let dated = "Extraction_Correspondance_MSSante_202611021013";
    zip(&ground.file(FileKind::Mailboxes), &folder.join(format!("{dated}.zip")), &format!("{dated}.txt"));
    fs::rename(ground.file(FileKind::Activities), folder.join("PS_LibreAcces_Personne_activite_202611020800.txt"))
        .unwrap();
    fs::rename(ground.file(FileKind::Cards), folder.join("cartes")).unwrap();
    fs::write(folder.join("LISEZMOI"), "rien").unwrap();
    let (report, generation) = build(&folder).unwrap();
    let generation = generation.unwrap();
    assert_eq!(generation.data_as_of().rfc3339(), "2026-11-02T10:13:00Z");
    assert!(generation.id().starts_with("20261102T101300Z-"));
    assert_eq!(generation.totals(), plain.as_ref().unwrap().totals());
    // Contents alone make the second half of the name.
    assert_eq!(generation.id().split_once('-').unwrap().1, plain.unwrap().id().split_once('-').unwrap().1);
    assert_eq!(report.ignored.len(), 1);
    assert_eq!(report.ignored[0].name, "LISEZMOI");
}

#[test]
fn of_two_files_of_a_kind_the_newer_is_read() {
    let ground = Ground::new();
    let folder = ground.extracts();
    let newer = folder.join("porteurs-cps-cpf-20261103.txt");
    let header = ground.text(FileKind::Cards).lines().next().unwrap().to_owned();
    fs::write(&newer, header + "\n").unwrap();
    let (report, generation) = build(&folder).unwrap();
    assert_eq!(generation.unwrap().totals().cards, 0);
    assert_eq!(report.ignored[0].name, "porteurs-cps-cpf.txt");
}

#[test]
fn drifted_labels_and_line_ends_change_nothing() {
    let ground = Ground::new();
    let (_, plain) = build(&ground.extracts()).unwrap();
    ground.edit(FileKind::Activities, |text| {
        let text = text
            .replacen("Libellé civilité exercice", "Libellé civilité d'exercice", 1)
            .replacen("Code département (coord. structure)", "Code Département (structure)", 1)
            .replacen("Code fonction", "Code rôle", 1);
        format!("\u{feff}{}", text.replace('\n', "\r\n"))
    });
    // Columns in another order, one more, no separator at the end.
    ground.edit(FileKind::Skills, |text| {
        let turned = text.lines().map(|line| {
            let mut fields: Vec<&str> = line.trim_end_matches('|').split('|').collect();
            fields.resize(13, "");
            fields.reverse();
            format!("{}|x", fields.join("|"))
        });
        turned.collect::<Vec<_>>().join("\n")
    });
    // Empty lines are no rows.
    ground.edit(FileKind::Cards, |text| text.replace('\n', "\n\n  \n"));
    let (report, generation) = build(&ground.extracts()).unwrap();
    assert_eq!(report.problems, []);
    let rows: Vec<u64> = report.files.iter().map(|file| file.rows).collect();
    assert_eq!(rows, ground.made.rows);
    assert_eq!(annuaire::diff(plain.as_ref().unwrap(), generation.as_ref().unwrap()).files.len(), 5);
    assert!(annuaire::diff(&plain.unwrap(), &generation.unwrap()).is_empty());
}

#[test]
fn both_date_forms_are_the_same_day() {
    let ground = Ground::new();
    let (_, plain) = build(&ground.extracts()).unwrap();
    let is_day = |field: &str| field.len() == 8 && field.starts_with("20");
    let mut turned = 0;
    ground.edit_rows(FileKind::Cards, |_, row| {
        let fields = row.split('|').enumerate().map(|(place, field)| match place >= 5 && is_day(field) {
            true => {
                turned += 1;
                format!("{}/{}/{}", &field[6..], &field[4..6], &field[..4])
            }
            false => field.to_owned(),
        });
        Some(fields.collect::<Vec<_>>().join("|"))
    });
    assert!(turned > 100);
    let (report, generation) = build(&ground.extracts()).unwrap();
    assert_eq!(report.problems, []);
    assert!(annuaire::diff(&plain.unwrap(), &generation.unwrap()).is_empty());
}

#[test]
fn bad_rows_are_reported_with_their_place_and_nothing_else_is_lost() {
    let ground = Ground::new();
    let (_, plain) = build(&ground.extracts()).unwrap();
    let mailboxes = plain.unwrap().totals().mailboxes;
    let mut bytes = fs::read(ground.file(FileKind::Mailboxes)).unwrap();
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    bytes.extend_from_slice(b"PER|caf\xe9@x.test|8|99700000001|899700000001||||||||||||||||||||||||||\n");
    bytes.extend_from_slice(b"PER|a@x.test|8\n");
    bytes.extend_from_slice(format!("PER|a b@x.test|8|99700000001|899700000001{}\n", "|".repeat(26)).as_bytes());
    bytes.extend_from_slice(format!("PER|b@x.test|||{}\n", "|".repeat(27)).as_bytes());
    bytes.extend_from_slice(format!("XXX|b@x.test|||{}\n", "|".repeat(27)).as_bytes());
    bytes.extend_from_slice(format!("PER|b@x.test|8|99700000001|899700000001\0{}\n", "|".repeat(26)).as_bytes());
    bytes.extend(std::iter::repeat_n(b'x', 70_000));
    bytes.push(b'\n');
    bytes.extend_from_slice(format!("PER|good@x.test|8|99700000001|899700000001{}", "|".repeat(26)).as_bytes());
    fs::write(ground.file(FileKind::Mailboxes), bytes).unwrap();
    let (report, generation) = build(&ground.extracts()).unwrap();
    conserved(&report);
    assert_eq!(report.files[3].refused, 7);
    assert_eq!(generation.unwrap().totals().mailboxes, mailboxes + 1);
    let found: Vec<(u64, Option<&str>)> =
        report.problems.iter().map(|p| (p.line - lines, p.column.as_deref())).collect();
    let expected = [
        (1, Some("Adresse BAL")),
        (2, None),
        (3, Some("Adresse BAL")),
        (4, Some("Identification nationale PP")),
        (5, Some("Type de BAL")),
        (6, Some("Identification nationale PP")),
        (7, None),
    ];
    assert_eq!(found, expected);
    assert!(report.problems.iter().all(|p| p.file == FileKind::Mailboxes.file_name() && !p.what.is_empty()));
}

#[test]
fn a_missing_needed_column_refuses_and_the_old_generation_answers_on() {
    let ground = Ground::new();
    let first = ground.load();
    for (kind, label) in [
        (FileKind::Activities, "Nom d'exercice"),
        (FileKind::Mailboxes, "Adresse BAL"),
        (FileKind::Cards, "Numéro carte"),
    ] {
        let before = ground.text(kind);
        ground.edit(kind, |text| text.replacen(label, "Colonne nouvelle", 1));
        for accept in [false, true] {
            let report = load(&ground.extracts(), &ground.data(), accept).unwrap();
            assert!(report.refused && !report.held, "{label}");
            assert_eq!(report.generation, first.generation);
            let problem = report.problems.iter().find(|p| p.what.contains("needed")).unwrap();
            assert_eq!((problem.line, problem.column.as_deref()), (1, Some(label)));
        }
        ground.edit(kind, |_| before);
    }
    // A column that is only useful may be missing.
    ground.edit(FileKind::Activities, |text| text.replacen("Télécopie (coord. structure)", "Fax", 1));
    let (report, generation) = build(&ground.extracts()).unwrap();
    assert!(!report.refused && generation.is_some());
    assert_eq!(report.problems[0].column.as_deref(), Some("Télécopie (coord. structure)"));
}

#[test]
fn without_the_activity_file_nothing_is_loaded() {
    let ground = Ground::new();
    fs::remove_file(ground.file(FileKind::Activities)).unwrap();
    let report = ground.load();
    assert!(report.refused && report.generation.is_none());
    assert!(DataFolder::new(&ground.data()).current_id().unwrap().is_none());
    // The others are optional.
    let ground = Ground::new();
    for kind in [FileKind::Cards, FileKind::Skills, FileKind::Diplomas, FileKind::Mailboxes] {
        fs::remove_file(ground.file(kind)).unwrap();
    }
    assert!(ground.load().in_service());
}

#[test]
fn an_archive_that_cannot_be_opened_is_not_taken_for_absent() {
    let ground = Ground::new();
    std::fs::remove_file(ground.file(FileKind::Mailboxes)).unwrap();
    let archive = ground.extracts().join("Extraction_Correspondance_MSSante_202611021013.zip");
    fs::write(archive, b"PK\x03\x04 cut off").unwrap();
    let report = ground.load();
    assert!(report.refused && report.reason.unwrap().contains("cannot be read"));
}

#[test]
fn a_doubled_column_and_an_empty_file_are_refused() {
    let ground = Ground::new();
    ground.edit(FileKind::Cards, |text| text.replacen("Date de mise à jour", "Date de fin de validité", 1));
    let (report, generation) = build(&ground.extracts()).unwrap();
    assert!(report.refused && generation.is_none());
    ground.edit(FileKind::Cards, |_| String::new());
    assert!(build(&ground.extracts()).unwrap().0.refused);
}

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

#[test]
fn the_same_data_again_change_nothing_and_old_generations_go() {
    let ground = Ground::new();
    let first = ground.load();
    let again = ground.load();
    assert!(again.unchanged && again.in_service() && again.generation == first.generation);
    let folder = DataFolder::new(&ground.data());
    for day in 1..=GENERATIONS_KEPT {
        ground.edit_rows(FileKind::Diplomas, |n, row| (n >= day).then(|| row.to_owned()));
        assert!(ground.load().in_service());
    }
    let ids = folder.ids().unwrap();
    assert_eq!(ids.len(), GENERATIONS_KEPT);
    assert!(!ids.contains(first.generation.as_ref().unwrap()));
    assert!(!ground.data().join(format!("{}.generation", first.generation.unwrap())).exists());
    assert_eq!(folder.named("previous").unwrap().id(), ids[1]);
    assert_eq!(folder.named(&ids[2]).unwrap().id(), ids[2]);
    assert!(matches!(folder.named("2"), Err(FolderError::Unknown { .. })));
    assert!(matches!(folder.named(""), Err(FolderError::Unknown { .. })));
}

#[test]
fn what_left_the_data_is_remembered_until_it_comes_back() {
    use annuaire::{Query, lookup};
    let ground = Ground::new();
    let whole = ground.text(FileKind::Mailboxes);
    let gone = whole.lines().nth(5).unwrap().split('|').nth(1).unwrap().to_owned();
    let query = Query::Address(Address::parse(&gone).unwrap());
    ground.load();
    ground.edit_rows(FileKind::Mailboxes, |_, row| (!row.contains(&gone)).then(|| row.to_owned()));
    let folder = DataFolder::new(&ground.data());
    for _ in 0..2 {
        assert!(ground.load().in_service());
        let generation = folder.current().unwrap();
        let found = lookup(&generation, None, &query);
        assert!(!found.found && found.gone.is_some(), "{gone}");
        // One more day without it.
        ground.edit_rows(FileKind::Diplomas, |n, row| (n > 0).then(|| row.to_owned()));
    }
    ground.edit(FileKind::Mailboxes, |_| whole);
    assert!(ground.load().in_service());
    let found = lookup(&folder.current().unwrap(), None, &query);
    assert!(found.found && found.gone.is_none());
}

#[test]
fn a_second_load_at_the_same_time_is_turned_away() {
    let ground = Ground::new();
    ground.load();
    let lock = fs::File::open(ground.data().join("LOCK")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(
        load(&ground.extracts(), &ground.data(), false),
        Err(annuaire::LoadError::Folder(FolderError::Busy(_)))
    ));
}

mod hostile {
    use annuaire::{FileKind, build};
    use proptest::prelude::*;

    use super::conserved;

    /// Lines that look like rows, with faults of every kind in them.
    fn row() -> impl Strategy<Value = Vec<u8>> {
        let field = prop_oneof![
            Just(Vec::new()),
            Just(b"899700000001".to_vec()),
            Just(b"99700000001".to_vec()),
            Just(b"PER".to_vec()),
            Just(b"a@x.test".to_vec()),
            Just(b"20261102".to_vec()),
            "\\PC{0,8}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(field, 0..60).prop_map(|fields| fields.join(&b'|'))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn readers_never_panic_and_every_row_is_accounted_for(
            files in proptest::collection::vec((any::<bool>(), proptest::collection::vec(row(), 0..12)), 5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            for (kind, (mark, rows)) in FileKind::ALL.into_iter().zip(&files) {
                let mut octets = if *mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
                octets.extend_from_slice(kind.columns().join("|").as_bytes());
                for row in rows {
                    octets.push(b'\n');
                    octets.extend_from_slice(row);
                }
                std::fs::write(folder.path().join(kind.file_name()), &octets).unwrap();
            }
            let (report, generation) = build(folder.path()).unwrap();
            conserved(&report);
            prop_assert!(!report.refused);
            let rows: u64 = report.files.iter().map(|file| file.refused).sum();
            prop_assert!(report.problems.len() as u64 >= rows);
            let generation = generation.unwrap();
            let data = folder.path().join("data");
            annuaire::load(folder.path(), &data, true).unwrap();
            prop_assert_eq!(&annuaire::DataFolder::new(&data).current().unwrap(), &generation);
            let totals = generation.totals();
            let kept: Vec<u64> = report.files.iter().map(|file| file.kept).collect();
            let counted = [totals.activities, totals.skills, totals.diplomas, totals.mailboxes, totals.cards];
            // Cards that are refused and opposed all the same are the one addition.
            prop_assert_eq!(&kept[..4], &counted.map(u64::from)[..4]);
            prop_assert!(u64::from(totals.cards) >= kept[4]);
        }

        #[test]
        fn any_octets_at_all_are_refused_or_ignored(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FileKind::Activities.file_name()), &octets).unwrap();
            if let Ok((report, generation)) = build(folder.path()) {
                prop_assert!(report.refused && generation.is_none());
            }
        }
    }
}

#[test]
fn an_earlier_generation_is_put_in_service_again() {
    let ground = Ground::new();
    let first = ground.load().generation.unwrap();
    let more = GenerateOptions::new(7, 310);
    annuaire::generate(&ground.extracts(), &more).unwrap();
    let second = load(&ground.extracts(), &ground.data(), true).unwrap().generation.unwrap();
    let folder = DataFolder::new(&ground.data());
    assert_eq!(folder.ids().unwrap(), [second.clone(), first.clone()]);
    assert_eq!(folder.select("previous").unwrap().id(), first);
    assert_eq!(folder.current().unwrap().id(), first);
    assert_eq!(folder.ids().unwrap(), [first.clone(), second.clone()], "the other one stays");
    assert!(matches!(folder.select("nothing"), Err(FolderError::Unknown { .. })));
    // What is damaged is not put in service.
    fs::write(ground.data().join(format!("{second}.generation")), b"nonsense").unwrap();
    assert!(matches!(folder.select(&second), Err(FolderError::Stored { .. })));
    assert_eq!(folder.current_id().unwrap(), Some(first));
}
