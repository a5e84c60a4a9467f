//! The national extracts, as somebody might put them into the folder: names, archives, headers, rows, dates.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use annuaire::{Date, FileKind, Generation, LoadReport, MailboxType};
use ident::Address;

use crate::{Target, samples};

/// The target.
pub const TARGET: Target = Target {
    name: "extract",
    covers: &[
        "annuaire/src/date.rs",
        "annuaire/src/extract/columns.rs",
        "annuaire/src/extract/find.rs",
        "annuaire/src/extract/lines.rs",
        "annuaire/src/extract/mod.rs",
        "annuaire/src/extract/parse.rs",
        "annuaire/src/extract/read.rs",
        "annuaire/src/extract/row.rs",
    ],
    run,
    seeds: samples::extract::all,
};

/// Between two files of an input.
pub const NEXT: &[u8] = b"\n%%\n";

/// Each process has its own folder: several fuzz at once.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    // In memory where there is such a place: thousands of inputs a second.
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    root.join(format!("sceau-fuzz-extract-{}", std::process::id()))
});

/// An input is a list of files with [`NEXT`] between them: a line with the name, then the file. A first line `H` stands
/// for the published header of the kind that the name says.
fn run(data: &[u8]) -> bool {
    fs::create_dir_all(&*FOLDER).expect("a folder");
    for (n, file) in parts(data).into_iter().take(8).enumerate() {
        write(n, file);
    }
    // One input in four is built twice: it costs as much as everything else together.
    let twice = data.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet)).is_multiple_of(4);
    let built = annuaire::build(&FOLDER);
    let again = twice.then(|| annuaire::build(&FOLDER));
    fs::remove_dir_all(&*FOLDER).expect("the folder goes");
    assert!(again.as_ref().is_none_or(|again| again.is_ok() == built.is_ok()), "the same files, another outcome");
    // An archive that breaks off in the middle is a fault of reading, and nothing is loaded.
    let Ok((report, generation)) = built else { return false };
    balanced(&report);
    // Hashing is keyed anew in each process and for each map: what is built never shows it.
    if let Some(Ok((_, again))) = &again {
        let names = [&generation, again].map(|it| it.as_ref().map(Generation::id));
        assert_eq!(names[0], names[1], "the same files, another name");
    }
    let Some(generation) = generation else {
        assert!(report.refused && report.reason.is_some(), "no directory and no reason");
        return false;
    };
    consistent(&generation);
    generation
        .mailboxes()
        .any(|mailbox| mailbox.kind() == MailboxType::Application && mailbox.people().next().is_some())
}

fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(NEXT.len()).position(|window| window == NEXT) {
        parts.push(rest.get(..at).unwrap_or_default());
        rest = rest.get(at.saturating_add(NEXT.len())..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

fn write(n: usize, file: &[u8]) {
    let end = file.iter().position(|octet| *octet == b'\n').unwrap_or(file.len());
    let name = String::from_utf8_lossy(file.get(..end).unwrap_or_default());
    // A name of the file system, whatever the input says; none replaces another.
    let name: String = name.chars().filter(|c| !matches!(c, '/' | '\0')).take(60).collect();
    let body = file.get(end.saturating_add(1)..).unwrap_or_default();
    let kind = FileKind::of_name(&name).filter(|_| body.starts_with(b"H\n"));
    let header = kind.map(|kind| kind.columns().join("|")).unwrap_or_default();
    let body = if kind.is_some() { body.get(1..).unwrap_or_default() } else { body };
    let taken = matches!(name.as_str(), "" | "." | "..") || FOLDER.join(&name).exists();
    let name = if taken { format!("{n}{name}") } else { name };
    fs::write(FOLDER.join(name), [header.as_bytes(), body].concat()).expect("a file");
}

fn balanced(report: &LoadReport) {
    for file in &report.files {
        let sum = [file.kept, file.merged, file.refused].into_iter().sum::<u64>();
        assert_eq!(file.rows, sum, "{file:?}");
        assert!(file.refused == 0 || !report.problems.is_empty(), "refused and not told: {file:?}");
    }
    assert!(report.problems.iter().all(|problem| problem.line > 0 && !problem.what.is_empty()));
}

/// What is there is found, and says of itself what it was found by.
fn consistent(generation: &Generation) {
    for person in generation.people() {
        let id = person.id().expect("a person has an identifier");
        assert_eq!(generation.person(&id).and_then(|found| found.id()), Some(id));
    }
    for mailbox in generation.mailboxes() {
        let address: Address = mailbox.address().expect("a mailbox has an address");
        assert_eq!(generation.mailbox(&address).and_then(|found| found.address()), Some(address));
    }
    for card in generation.people().flat_map(|person| person.cards().collect::<Vec<_>>()) {
        for day in [card.valid_from(), card.valid_to(), card.opposed_on()].into_iter().flatten() {
            assert_eq!((Date::parse(&day.to_string()), Date::of(day.midnight())), (Some(day), Some(day)));
            assert!(day.plus_days(1) >= day, "the day after {day}");
        }
    }
    let records: Vec<_> = annuaire::records(generation).map(|record| (record.kind, record.key)).collect();
    assert!(records.is_sorted_by(|a, b| a < b), "two records share a key");
    annuaire::changes(generation, generation, |change| panic!("it differs from itself: {change:?}"));
}
