//! Loading: whole folders of extracts, good, drifted, spoiled and hostile.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod common;

use std::fs;

use annuaire::{
    DataFolder, FileKind, FolderError, GENERATIONS_KEPT, GenerateOptions, LoadOptions, build, load, load_with,
};
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
fn what_is_damaged_in_service_is_replaced_by_the_next_load_and_the_guard_stays_on() {
    let ground = Ground::new();
    let first = ground.load().generation.unwrap();
    let folder = DataFolder::new(&ground.data());
    let damage = |id: &str| fs::write(ground.data().join(format!("{id}.generation")), b"nonsense").unwrap();
    damage(&first);
    // Nothing can be compared with, but how much there was is known.
    let whole = ground.text(FileKind::Mailboxes);
    ground.edit_rows(FileKind::Mailboxes, |n, row| (n % 5 != 0).then(|| row.to_owned()));
    let held = ground.load();
    assert!(held.held && held.reason.unwrap().contains("less"), "{:?}", held.unreadable);
    ground.edit(FileKind::Mailboxes, |_| whole);
    let report = ground.load();
    assert!(report.in_service() && !report.unchanged, "{:?}", report.reason);
    assert!(report.unreadable.iter().any(|what| what.contains(&first)), "{:?}", report.unreadable);
    let mended = report.generation.unwrap();
    assert_eq!(folder.current().unwrap().id(), mended);
    // With one that can be read behind it, that one is compared with.
    ground.edit_rows(FileKind::Diplomas, |n, row| (n > 0).then(|| row.to_owned()));
    let second = ground.load().generation.unwrap();
    damage(&second);
    let report = ground.load();
    assert!(report.in_service() && report.changes.unwrap().from == mended, "{:?}", report.reason);
    assert_eq!(folder.current().unwrap().id(), second);
}

#[test]
fn one_bad_octet_in_the_list_of_generations_leaves_the_others() {
    let ground = Ground::new();
    let first = ground.load().generation.unwrap();
    fs::write(ground.data().join("CURRENT"), [b"2026\xff-x\n", first.as_bytes(), b"\n"].concat()).unwrap();
    let folder = DataFolder::new(&ground.data());
    assert_eq!(folder.ids().unwrap(), [first]);
}

#[test]
fn names_with_dates_zips_and_headers_alone_are_recognised() {
    let ground = Ground::new();
    let (_, plain) = build(&ground.extracts()).unwrap();
    let folder = ground.extracts();
    // None of the others is younger.
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
    let old = ident::Timestamp::parse("2026-11-02T20:00:00Z").unwrap();
    set_modified(&ground.file(FileKind::Cards), old);
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

fn set_modified(file: &std::path::Path, at: ident::Timestamp) {
    let since = at.since(ident::Timestamp::EPOCH);
    let at = std::time::UNIX_EPOCH + since;
    fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

fn at(text: &str) -> ident::Timestamp {
    ident::Timestamp::parse(text).unwrap()
}

fn options(now: &str) -> LoadOptions<'static> {
    LoadOptions { now: Some(at(now)), ..LoadOptions::default() }
}

/// A leftover with a date in its name does not beat today's file without one, and nobody guesses.
#[test]
fn of_which_file_is_newer_nothing_is_guessed() {
    let ground = Ground::new();
    let folder = ground.extracts();
    set_modified(&ground.file(FileKind::Cards), at("2026-11-20T08:00:00Z"));
    let leftover = folder.join("porteurs-cps-cpf-20261103.txt");
    fs::copy(ground.file(FileKind::Cards), &leftover).unwrap();
    let refused = load_with(&folder, &ground.data(), &options("2026-11-22T00:00:00Z"), &mut |_| ()).unwrap();
    let why = refused.reason.unwrap();
    assert!(refused.refused && why.contains("which is newer cannot be told") && why.contains("20261103"), "{why}");
    // What lay there before the other's date is older.
    set_modified(&ground.file(FileKind::Cards), at("2026-11-02T23:59:59Z"));
    let report = load_with(&folder, &ground.data(), &options("2026-11-22T00:00:00Z"), &mut |_| ()).unwrap();
    assert!(report.in_service(), "{:?}", report.reason);
    assert_eq!(report.ignored[0].name, "porteurs-cps-cpf.txt");
}

/// A date that is still to come would be the newest, and never old, for ever.
#[test]
fn what_is_of_the_future_is_refused() {
    let ground = Ground::new();
    let file = ground.extracts().join("porteurs-cps-cpf-20991231.txt");
    fs::rename(ground.file(FileKind::Cards), &file).unwrap();
    let now = options("2026-11-22T00:00:00Z");
    let report = load_with(&ground.extracts(), &ground.data(), &now, &mut |_| ()).unwrap();
    assert!(report.refused && report.reason.unwrap().contains("still to come"));
    // A file's own date may be wrong: it counts as today's.
    fs::rename(&file, ground.file(FileKind::Cards)).unwrap();
    set_modified(&ground.file(FileKind::Cards), at("2099-01-01T00:00:00Z"));
    let report = load_with(&ground.extracts(), &ground.data(), &now, &mut |_| ()).unwrap();
    assert!(report.in_service() && report.data_as_of.unwrap() <= at("2026-11-22T00:00:00Z"), "{:?}", report.data_as_of);
}

/// Fetched from an address without an ending, cut off: it is no file that may be passed over.
#[test]
fn an_archive_cut_off_is_told_whatever_its_name() {
    let ground = Ground::new();
    fs::write(ground.extracts().join("abc-Extraction"), b"PK\x03\x04 cut off").unwrap();
    let report = ground.load();
    assert!(report.refused && report.reason.unwrap().contains("abc-Extraction"), "{:?}", report.ignored);
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

/// Two hundred million octets in as many thousands: it is left when that is clear, and a load takes no more text than
/// there is memory for.
#[test]
fn what_unpacks_without_end_is_left() {
    let ground = Ground::new();
    let big = ground.extracts().join("big.txt");
    let mut bomb = ground.text(FileKind::Cards).lines().next().unwrap().to_owned() + "\n";
    bomb.push_str(&"0".repeat(40 * 1024 * 1024));
    fs::write(&big, bomb).unwrap();
    fs::remove_file(ground.file(FileKind::Cards)).unwrap();
    let mut writer = zip::ZipWriter::new(fs::File::create(ground.extracts().join("porteurs-cps-cpf.zip")).unwrap());
    let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file("porteurs-cps-cpf.txt", deflated).unwrap();
    std::io::copy(&mut fs::File::open(&big).unwrap(), &mut writer).unwrap();
    writer.finish().unwrap();
    fs::remove_file(&big).unwrap();
    let why = load(&ground.extracts(), &ground.data(), false).unwrap_err().to_string();
    assert!(why.contains("times its size"), "{why}");
    let small = LoadOptions { most: 1000, ..LoadOptions::default() };
    let why = load_with(&ground.extracts(), &ground.data(), &small, &mut |_| ()).unwrap_err().to_string();
    assert!(why.contains("no memory"), "{why}");
}

#[test]
fn a_load_that_nobody_waits_for_leaves_off() {
    let ground = Ground::new();
    let stop = LoadOptions { stop: &|| true, ..LoadOptions::default() };
    let outcome = load_with(&ground.extracts(), &ground.data(), &stop, &mut |_| ());
    assert!(matches!(outcome, Err(annuaire::LoadError::Stopped)), "{outcome:?}");
    assert!(DataFolder::new(&ground.data()).ids().unwrap().is_empty());
}

/// What a crash left of a load, hundreds of megabytes each time, goes with the next one; nothing else does.
#[test]
fn remains_are_swept() {
    let ground = Ground::new();
    let first = ground.load().generation.unwrap();
    let put = |name: &str| fs::write(ground.data().join(name), "x").unwrap();
    let remains = ["20261101T000000Z-0123456789ab.generation", "20261101T000000Z-0123456789ab.part", "CURRENT.part"];
    let others = ["notes.txt", "SOURCES", ".x.generation"];
    remains.iter().chain(&others).for_each(|name| put(name));
    ground.edit_rows(FileKind::Diplomas, |n, row| (n > 0).then(|| row.to_owned()));
    assert!(ground.load().in_service());
    for name in remains {
        assert!(!ground.data().join(name).exists(), "{name}");
    }
    for name in others {
        assert!(ground.data().join(name).exists(), "{name}");
    }
    assert!(ground.data().join(format!("{first}.generation")).exists());
}

/// What could not be stored leaves nothing on a disk that is full.
#[test]
fn a_load_that_cannot_be_stored_leaves_nothing() {
    let ground = Ground::new();
    let (_, generation) = build(&ground.extracts()).unwrap();
    // A folder lies where the file is to be.
    let name = generation.unwrap().id().to_owned();
    fs::create_dir_all(ground.data().join(format!("{name}.generation")).join("x")).unwrap();
    assert!(load(&ground.extracts(), &ground.data(), false).is_err());
    assert!(!ground.data().join(format!("{name}.part")).exists());
}
