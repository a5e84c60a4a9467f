//! What is kept: generations, what left, what a crash leaves, what is damaged.

use std::fs;

use annuaire::{
    DataFolder, FileKind, FolderError, GENERATIONS_KEPT, GenerateOptions, LoadOptions, build, load, load_with,
};
use ident::Address;

use crate::common::Ground;

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
