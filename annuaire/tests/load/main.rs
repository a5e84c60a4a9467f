//! Loading: whole folders of extracts, good, drifted, spoiled and hostile.
#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "../common/mod.rs"]
mod common;

mod files;
mod guard;
mod hostile;
mod stored;

use annuaire::{FileKind, GenerateOptions, LoadOptions, build};

use crate::common::{Ground, conserved};

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
    // Written while a second went by, one would be older than the others.
    for file in std::fs::read_dir(ground.extracts()).unwrap() {
        set_modified(&file.unwrap().path(), at("2026-11-20T10:00:00Z"));
    }
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

fn set_modified(file: &std::path::Path, at: ident::Timestamp) {
    let since = at.since(ident::Timestamp::EPOCH);
    let at = std::time::UNIX_EPOCH + since;
    std::fs::File::options().write(true).open(file).unwrap().set_modified(at).unwrap();
}

fn at(text: &str) -> ident::Timestamp {
    ident::Timestamp::parse(text).unwrap()
}

fn options(now: &str) -> LoadOptions<'static> {
    LoadOptions { now: Some(at(now)), ..LoadOptions::default() }
}
