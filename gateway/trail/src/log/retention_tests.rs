//! Erasure: what is due goes, what is held stays, and what is gone is gone for good.

use std::path::Path;

use ident::Timestamp;

use super::{
    layout::Folder,
    seal::Wrapping,
    sequencer::files_below,
    tests::{KEY, append, at, check, copy, id, reader, secrets, trail},
    *,
};
use crate::{Class, Record, SafeText};

/// Tells of the erasure of what is due as entry `number`, and carries it out.
fn purge(dir: &Path, trail: &mut Trail, number: u64, class: Class, before: Timestamp) -> u64 {
    tell(dir, trail, number, class, before);
    trail.settle().unwrap()
}

fn tell(dir: &Path, trail: &mut Trail, number: u64, class: Class, before: Timestamp) {
    let due = Retention::open(dir, &KEY).unwrap().due(class, before).unwrap();
    let told = Record::new(at(number), due.event());
    let line = String::from_utf8(told.to_json().unwrap()).unwrap() + "\n";
    trail.append("store-1", &[(number + 1, &line)], at(number)).unwrap();
}

fn hold(terms: &[&str]) -> Hold {
    Hold {
        terms: terms.iter().map(|term| (*term).to_owned()).collect(),
        since: None,
        until: None,
        reason: SafeText::of("inquiry"),
        by: SafeText::of("dpo"),
        at: at(0),
    }
}

/// Everything that whoever holds the trail's key can still read: each run of octets in each file that
/// unwraps to a seed is tried on each record.
fn readable(dir: &Path) -> Vec<u64> {
    let wrapping = Wrapping::new(&KEY).unwrap();
    let mut seeds = Vec::new();
    for file in files_below(dir).unwrap() {
        let octets = std::fs::read(&file).unwrap();
        // A wrapped key is random: it does not begin with nothing.
        let random = octets.windows(40).filter(|window| window[..4] != [0; 4]);
        seeds.extend(random.filter_map(|window| wrapping.unwrap(window)));
    }
    let folder = Folder::new(dir);
    let mut found = std::collections::BTreeSet::new();
    for file in files_below(&folder.records()).unwrap() {
        let octets = std::fs::read(&file).unwrap();
        let mut place = 0;
        while let Some((header, rest)) = octets[place..].split_first_chunk::<12>() {
            let length = usize::try_from(u32::from_be_bytes(header[..4].try_into().unwrap())).unwrap();
            let leaf = u64::from_be_bytes(header[4..].try_into().unwrap());
            if seeds.iter().any(|seed| seed.open(leaf, &rest[..length]).is_some()) {
                found.insert(leaf);
            }
            place += 12 + length;
        }
    }
    found.into_iter().collect()
}

#[test]
fn what_was_purged_cannot_be_read_by_anybody_with_all_keys() {
    let dir = trail(&[20, 80, 20]);
    let mail = |range: std::ops::Range<u64>| range.filter(|number| number % 3 != 2).count() as u64;
    assert_eq!(readable(dir.path()).len(), 120, "the search finds what is there");
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let gone = purge(dir.path(), &mut trail, 120, Class::Mail, at(70));
    assert_eq!(gone, mail(0..70));
    drop(trail);
    let left = readable(dir.path());
    assert!(!left.iter().any(|leaf| *leaf < 70 && leaf % 3 != 2), "{left:?}");
    assert_eq!(left.len() as u64, 121 - gone);
    let report = check(dir.path());
    assert!(report.ok && report.erased == gone, "{report:#?}");
}

#[test]
fn what_is_held_stays_until_the_hold_is_lifted() {
    let dir = trail(&[30]);
    let mut retention = Retention::open(dir.path(), &KEY).unwrap();
    let number = retention.add(&hold(&[&format!("id:{}", id(2))])).unwrap();
    assert_eq!(retention.holds().unwrap(), [(number, hold(&[&format!("id:{}", id(2))]))]);
    for file in files_below(dir.path()).unwrap() {
        let octets = std::fs::read(&file).unwrap();
        let word = id(2);
        assert!(
            !octets.windows(word.as_str().len()).any(|window| window == word.as_str().as_bytes()),
            "a hold is sealed"
        );
    }
    // Message 2 is entries 6 and 7; 8 of mail are older than 12.
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap().records, 6);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    assert_eq!(purge(dir.path(), &mut trail, 30, Class::Mail, at(12)), 6);
    assert!(reader(dir.path()).records(6).unwrap().is_some() && reader(dir.path()).records(4).unwrap().is_none());
    assert!(check(dir.path()).ok);
    assert!(retention.remove(number).unwrap() && !retention.remove(number).unwrap());
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap().records, 2);
    assert_eq!(purge(dir.path(), &mut trail, 31, Class::Mail, at(12)), 2);
    drop(trail);
    assert!(reader(dir.path()).records(6).unwrap().is_none());
    let report = check(dir.path());
    assert!(report.ok && report.erased == 8, "{report:#?}");
    // By day, and by everybody of a domain.
    assert_eq!(retention.due(Class::Mail, at(1000)).unwrap().records, 12);
    let since = Hold { since: Some(at(0)), until: Some(at(0)), ..hold(&[]) };
    retention.add(&since).unwrap();
    assert_eq!(retention.due(Class::Mail, at(1000)).unwrap().records, 0);
}

/// Killed after it was told and before it was done: the next start does it, and no more than told.
#[test]
fn an_interrupted_purge_is_carried_out_once() {
    let dir = trail(&[30]);
    let (mut first, _) = Trail::open(dir.path(), secrets()).unwrap();
    tell(dir.path(), &mut first, 30, Class::Mail, at(12));
    drop(first);
    let told = copy(dir.path());
    let (mut again, _) = Trail::open(told.path(), secrets()).unwrap();
    assert_eq!((again.settle().unwrap(), again.settle().unwrap()), (8, 0));
    drop(again);
    let report = check(told.path());
    assert!(report.ok && report.erased == 8, "{report:#?}");
    // Erased, but not noted as done: nothing more is erased.
    let db = rusqlite::Connection::open(told.path().join("keys.db")).unwrap();
    db.execute("UPDATE erasure SET done = 0", []).unwrap();
    drop(db);
    let (mut again, _) = Trail::open(told.path(), secrets()).unwrap();
    assert_eq!(again.settle().unwrap(), 0);
    assert_eq!(append(&mut again, 31, 33).added, 2);
    drop(again);
    assert!(check(told.path()).ok);
    assert_eq!(reader(told.path()).check_index().unwrap(), None);
}

/// A reader is in the way of emptying the table's log: the purge is not done until it went.
#[test]
fn a_purge_is_not_done_while_old_pages_live_on() {
    let dir = trail(&[30]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let db = rusqlite::Connection::open(dir.path().join("keys.db")).unwrap();
    db.execute_batch("BEGIN; SELECT count(*) FROM leaf;").unwrap();
    let count: i64 = db.query_row("SELECT count(*) FROM leaf", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 30);
    let mut retention = Retention::open(dir.path(), &KEY).unwrap();
    let due = retention.due(Class::Mail, at(12)).unwrap();
    assert_eq!(purge(dir.path(), &mut trail, 30, Class::Mail, at(12)), 8);
    assert_eq!(retention.outcome(&due).unwrap(), Outcome::Waits);
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(trail.settle().unwrap(), 0);
    assert_eq!(retention.outcome(&due).unwrap(), Outcome::Erased(8));
    drop(trail);
    assert!(!readable(dir.path()).contains(&4));
}

/// Keys of records taken away by somebody who has none of ours, after one good purge.
#[test]
fn records_erased_without_a_key_are_found() {
    let dir = trail(&[30]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    purge(dir.path(), &mut trail, 30, Class::Mail, at(12));
    drop(trail);
    assert!(check(dir.path()).ok);
    for theft in [
        // By an entry that tells of nothing, while a later one tells of something.
        "UPDATE leaf SET seed = NULL, erased = 0 WHERE class = 0 AND number > 0",
        "UPDATE leaf SET seed = NULL, erased = 0 WHERE number = 15",
        // By an entry of the future.
        "UPDATE leaf SET seed = NULL, erased = 31 WHERE number = 15",
        // In the place of one that was told, the count being the same.
        "UPDATE leaf SET seed = NULL, erased = 30 WHERE number = 15; UPDATE leaf SET seed = x'00', erased = NULL WHERE number = 4",
        // Of a later day or of another class, as if it were an older one.
        "UPDATE leaf SET seed = NULL, erased = 30, at = 0 WHERE number = 15",
        "UPDATE leaf SET seed = NULL, erased = 30, at = 0, class = 0 WHERE number = 14",
        "UPDATE leaf SET seed = NULL, erased = NULL WHERE number = 15",
    ] {
        let spoiled = copy(dir.path());
        let db = rusqlite::Connection::open(spoiled.path().join("keys.db")).unwrap();
        db.execute_batch(theft).unwrap();
        drop(db);
        assert!(!check(spoiled.path()).ok, "{theft}");
    }
}

/// What was told and held back leaves no room for others to go unseen.
#[test]
fn no_more_is_erased_than_what_was_told() {
    let dir = trail(&[30]);
    let mut retention = Retention::open(dir.path(), &KEY).unwrap();
    retention.add(&hold(&[&format!("id:{}", id(2))])).unwrap();
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    purge(dir.path(), &mut trail, 30, Class::Mail, at(12));
    drop(trail);
    let db = rusqlite::Connection::open(dir.path().join("keys.db")).unwrap();
    let taken = db.execute("UPDATE leaf SET seed = NULL, erased = 30 WHERE number IN (6, 7)", []).unwrap();
    drop(db);
    assert_eq!(taken, 2);
    assert!(!check(dir.path()).ok);
}

/// All that was told or nothing: a hold that comes between word and deed stops the deed.
#[test]
fn an_order_that_no_longer_fits_is_given_up() {
    let dir = trail(&[30]);
    let mut retention = Retention::open(dir.path(), &KEY).unwrap();
    let due = retention.due(Class::Mail, at(12)).unwrap();
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    tell(dir.path(), &mut trail, 30, Class::Mail, at(12));
    retention.add(&hold(&[&format!("id:{}", id(2))])).unwrap();
    assert_eq!(trail.settle().unwrap(), 0);
    assert_eq!(retention.outcome(&due).unwrap(), Outcome::GivenUp);
    assert_eq!(purge(dir.path(), &mut trail, 31, Class::Mail, at(12)), 6);
    drop(trail);
    let report = check(dir.path());
    assert!(report.ok && report.erased == 6, "{report:#?}");
}

/// What the table says of a record is not believed when it is to be erased.
#[test]
fn the_table_of_keys_cannot_make_a_record_due() {
    let dir = trail(&[30]);
    for (change, named) in [
        ("UPDATE leaf SET at = 0 WHERE number = 21", "entry 21"),
        ("UPDATE leaf SET class = 0, at = 0 WHERE number = 20", "entry 20"),
    ] {
        let spoiled = copy(dir.path());
        let db = rusqlite::Connection::open(spoiled.path().join("keys.db")).unwrap();
        db.execute(change, []).unwrap();
        drop(db);
        let error = Retention::open(spoiled.path(), &KEY).unwrap().due(Class::Mail, at(12)).unwrap_err();
        assert!(error.to_string().starts_with(named), "{error}");
    }
}

/// The entries that tell of erasures are what proves them: they outlive their class.
#[test]
fn what_tells_of_an_erasure_is_never_erased() {
    let dir = trail(&[30]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    assert_eq!(purge(dir.path(), &mut trail, 30, Class::Mail, at(12)), 8);
    assert_eq!(purge(dir.path(), &mut trail, 31, Class::Operation, at(1000)), 10);
    drop(trail);
    assert!(reader(dir.path()).records(29).unwrap().is_none() && reader(dir.path()).records(30).unwrap().is_some());
    let report = check(dir.path());
    assert!(report.ok && report.erased == 18, "{report:#?}");
}

/// Who holds the mail of a sender holds what became of it, too.
#[test]
fn a_hold_on_a_sender_holds_everything_about_its_messages() {
    let dir = trail(&[30]);
    let mut retention = Retention::open(dir.path(), &KEY).unwrap();
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap().records, 8);
    let sender = hold(&["from:dr.martin-test@ch-exemple.test"]);
    retention.add(&sender).unwrap();
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap().records, 0);
    assert_eq!(retention.matches(&sender).unwrap(), 20);
    assert_eq!(retention.matches(&hold(&["sender:dr.martin-test@ch-exemple.test"])).unwrap(), 0);
}
