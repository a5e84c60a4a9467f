//! Erasure: what is due goes, what is held stays, and what is gone is gone for good.

use ident::Timestamp;

use super::{
    layout::Folder,
    seal::Wrapping,
    sequencer::files_below,
    tests::{KEY, append, at, check, copy, id, reader, secrets, trail},
    *,
};
use crate::{Class, Event, Record, SafeText};

/// Tells of an erasure as entry `number`, and carries it out.
fn purge(trail: &mut Trail, number: u64, class: Class, before: Timestamp, records: u64) -> u64 {
    tell(trail, number, class, before, records);
    trail.settle().unwrap()
}

fn tell(trail: &mut Trail, number: u64, class: Class, before: Timestamp, records: u64) {
    let told = Record::new(at(number), Event::TrailPurged { class, before, records });
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
fn readable(dir: &std::path::Path) -> Vec<u64> {
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
    let gone = purge(&mut trail, 120, Class::Mail, at(70), mail(0..70));
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
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap(), 6);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    assert_eq!(purge(&mut trail, 30, Class::Mail, at(12), 8), 6);
    assert!(reader(dir.path()).records(6).unwrap().is_some() && reader(dir.path()).records(4).unwrap().is_none());
    assert!(check(dir.path()).ok);
    assert!(retention.remove(number).unwrap() && !retention.remove(number).unwrap());
    assert_eq!(retention.due(Class::Mail, at(12)).unwrap(), 2);
    assert_eq!(purge(&mut trail, 31, Class::Mail, at(12), 2), 2);
    drop(trail);
    assert!(reader(dir.path()).records(6).unwrap().is_none());
    let report = check(dir.path());
    assert!(report.ok && report.erased == 8, "{report:#?}");
    // By day, and by everybody of a domain.
    assert_eq!(retention.due(Class::Mail, at(1000)).unwrap(), 12);
    let since = Hold { since: Some(at(0)), until: Some(at(0)), ..hold(&[]) };
    retention.add(&since).unwrap();
    assert_eq!(retention.due(Class::Mail, at(1000)).unwrap(), 0);
}

/// Killed after it was told and before it was done: the next start does it, and no more than told.
#[test]
fn an_interrupted_purge_is_carried_out_once() {
    let dir = trail(&[30]);
    let (mut first, _) = Trail::open(dir.path(), secrets()).unwrap();
    tell(&mut first, 30, Class::Mail, at(12), 5);
    drop(first);
    let told = copy(dir.path());
    let (mut again, _) = Trail::open(told.path(), secrets()).unwrap();
    assert_eq!((again.settle().unwrap(), again.settle().unwrap()), (5, 0));
    drop(again);
    let report = check(told.path());
    assert!(report.ok && report.erased == 5, "{report:#?}");
    // Erased, but not noted as done: nothing more is erased.
    let db = rusqlite::Connection::open(told.path().join("keys.db")).unwrap();
    db.execute("UPDATE purge SET done = 0", []).unwrap();
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
    assert_eq!(purge(&mut trail, 30, Class::Mail, at(12), 8), 8);
    let retention = Retention::open(dir.path(), &KEY).unwrap();
    assert_eq!(retention.carried_out(0).unwrap(), 0);
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(trail.settle().unwrap(), 0);
    assert_eq!((retention.carried_out(0).unwrap(), retention.erased_since(30).unwrap()), (1, 8));
    drop(trail);
    assert!(!readable(dir.path()).contains(&4));
}
