//! What is taken for which file, what of it is understood, and what is refused.

use std::fs;

use annuaire::{DataFolder, FileKind, LoadOptions, build, load, load_with};

use crate::{
    at,
    common::{Ground, conserved, zip},
    options, set_modified,
};

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
