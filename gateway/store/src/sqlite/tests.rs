//! The contract on this engine, and what is its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;

use super::*;
use crate::{
    contract::{Harness, accept, body, claim_one, content, delivered, get, message, record, report, start, wait},
    contract_suite,
};

struct Sqlite {
    store: SqliteStore,
    dir: TempDir,
}

fn open(dir: &Path) -> (SqliteStore, Recovery) {
    SqliteStore::open(dir, SqliteOptions::default()).unwrap()
}

/// What a kill at this moment leaves: every file as it is now.
fn image(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            image(&entry.path(), &target);
        } else if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

impl Harness for Sqlite {
    type Store = SqliteStore;

    fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        Self { store: open(dir.path()).0, dir }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn killed(self) -> Self {
        let dir = TempDir::new().unwrap();
        image(self.dir.path(), dir.path());
        let (store, recovery) = open(dir.path());
        assert!(recovery.unclean);
        Self { store, dir }
    }
}

contract_suite!(Sqlite);

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn large(chance: u64) -> crate::NewMessage {
    let mut sent = message(chance, &["a@ch-b.test"]);
    sent.bodies[0] = body(&vec![u8::try_from(chance).unwrap(); 100_000]);
    sent
}

#[test]
fn a_second_process_cannot_serve_but_may_look_and_order() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    assert!(matches!(SqliteStore::open(dir.path(), SqliteOptions::default()), Err(StoreError::InUse(_))));
    let id = accept(&store, large(1));
    let work = claim_one(&store, start());
    let other = SqliteStore::attach(dir.path(), SqliteOptions::default()).unwrap();
    assert_eq!(content(&other, id, 0), vec![1; 100_000]);
    assert!(get(&store, id).recipients[0].leased_until.is_some(), "looking takes no lease away");
    report(&store, &work, &crate::contract::deferred(start())).unwrap();
    crate::contract::order(&other, id, 0, crate::contract::cancel(start())).unwrap();
    assert!(get(&store, id).is_ended());
    drop((store, other));
    assert!(!open(dir.path()).1.unclean);
}

#[test]
fn attaching_to_nothing_makes_nothing() {
    let dir = TempDir::new().unwrap();
    assert!(SqliteStore::attach(dir.path(), SqliteOptions::default()).is_err());
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_start_explains_what_it_found() {
    let harness = Sqlite::empty();
    accept(harness.store(), large(1));
    accept(harness.store(), large(2));
    claim_one_of_two(harness.store());
    let dir = TempDir::new().unwrap();
    image(harness.dir.path(), dir.path());
    // A body that was being received, one whose row never came, and one that somebody removed.
    fs::write(dir.path().join("bodies/unfinished/1-77"), b"half").unwrap();
    let named: Vec<_> = files(&dir.path().join("bodies")).into_iter().filter(|path| !path.ends_with("1-77")).collect();
    assert_eq!(named.len(), 2);
    fs::write(named[0].with_file_name("0badcafe-1-99"), b"nobody's").unwrap();
    fs::remove_file(&named[1]).unwrap();
    let (store, recovery) = open(dir.path());
    assert_eq!((recovery.messages, recovery.interrupted, recovery.unfinished, recovery.orphans), (2, 1, 1, 1));
    assert_eq!(recovery.missing.len(), 1);
    assert!(named[1].ends_with(&recovery.missing[0]));
    assert!(recovery.explain().en.contains("1 body(ies) missing"), "{recovery:?}");
    assert_eq!(files(&dir.path().join("bodies")), [named[0].clone()]);
    drop(store);
    assert!(!open(dir.path()).1.unclean);
}

/// A start that is killed between taking leases back and telling of it: the next one tells.
#[test]
fn what_a_start_found_is_told_even_if_it_dies() {
    let harness = Sqlite::empty();
    accept(harness.store(), large(1));
    accept(harness.store(), large(2));
    claim_one_of_two(harness.store());
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    image(harness.dir.path(), first.path());
    let (dies, found) = open(first.path());
    assert_eq!(found.interrupted, 1);
    image(first.path(), second.path());
    drop(dies);
    let (lives, found) = open(second.path());
    assert_eq!(found.interrupted, 1);
    wait(lives.told()).unwrap();
    let third = TempDir::new().unwrap();
    image(second.path(), third.path());
    assert_eq!(open(third.path()).1.interrupted, 0);
}

fn claim_one_of_two(store: &SqliteStore) {
    let request = ClaimRequest::new(1, crate::contract::MINUTE, start());
    assert_eq!(wait(store.claim(request)).unwrap().len(), 1);
}

/// CR9: never delivered in silence, and the others are.
#[test]
fn a_flipped_bit_in_a_body_is_seen_before_its_last_piece() {
    use std::io::Read;
    let harness = Sqlite::empty();
    let store = harness.store();
    let id = accept(store, large(1));
    let other = accept(store, large(2));
    let path =
        &files(&harness.dir.path().join("bodies")).into_iter().find(|path| fs::read(path).unwrap()[0] == 1).unwrap();
    let place = get(store, id).bodies[0].body.clone().unwrap();
    for position in [0, 65_535, 65_536, 99_999] {
        let mut bytes = vec![1; 100_000];
        bytes[position] ^= 4;
        fs::write(path, &bytes).unwrap();
        let mut reader = wait(store.body(&place)).unwrap();
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(read.len() < 100_000, "the last piece was given out");
        assert!(reader.read(&mut [0; 10]).is_err(), "asking again helps nobody");
    }
    fs::write(path, [1; 99_999]).unwrap();
    assert!(matches!(wait(store.body(&place)), Err(StoreError::Damaged(_))));
    fs::remove_file(path).unwrap();
    assert!(matches!(wait(store.body(&place)), Err(StoreError::Damaged(_))));
    assert_eq!(content(store, other, 0), vec![2; 100_000]);
}

#[test]
fn a_flipped_bit_in_a_row_body_is_seen() {
    let harness = Sqlite::empty();
    let id = accept(harness.store(), message(1, &["a@ch-b.test"]));
    let db = Connection::open(harness.dir.path().join("queue.db")).unwrap();
    db.execute("UPDATE body SET content = x'00'", []).unwrap();
    let place = get(harness.store(), id).bodies[0].body.clone().unwrap();
    assert!(matches!(wait(harness.store().body(&place)), Err(StoreError::Damaged(_))));
}

/// CR3: new messages are refused, what is queued drains.
#[test]
fn the_reserve_is_for_outcomes() {
    let dir = TempDir::new().unwrap();
    let free = Arc::new(AtomicU64::new(50));
    let asked = Arc::clone(&free);
    let options = SqliteOptions {
        free_space: Box::new(move |_| Ok(FreeSpace { free: asked.load(Ordering::SeqCst), total: 1000 })),
        ..SqliteOptions::default()
    };
    let (store, _) = SqliteStore::open(dir.path(), options).unwrap();
    accept(&store, message(1, &["a@ch-b.test"]));
    free.store(49, Ordering::SeqCst);
    let refused = wait(store.commit(Changes::message(message(2, &["a@ch-b.test"]))));
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(matches!(store.stage().err(), Some(StoreError::Full(_))));
    assert!(matches!(store.ready(), Err(StoreError::Full(_))));
    let work = claim_one(&store, start());
    report(&store, &work, &delivered(start())).unwrap();
    wait(store.commit(Changes::records(vec![record(work.info.id, 1)]))).unwrap();
    // A notice to a sender belongs to the outcome.
    let notice = Changes { use_reserve: true, ..Changes::message(message(4, &["a@ch-b.test"])) };
    wait(store.commit(notice)).unwrap();
    free.store(50, Ordering::SeqCst);
    assert_eq!(store.ready(), Ok(()));
    accept(&store, message(3, &["a@ch-b.test"]));
}

/// CR4: nothing is promised until a probe has proven the disk.
#[test]
fn an_error_is_sticky_until_a_probe_succeeds() {
    let harness = Sqlite::empty();
    let store = harness.store();
    let before = accept(store, large(1));
    wait(store.probe()).unwrap();
    store.health.broke("disk I/O error");
    let refused = wait(store.commit(Changes::message(message(2, &["a@ch-b.test"]))));
    assert_eq!(refused, Err(StoreError::Unavailable("disk I/O error".to_owned())));
    assert!(store.stage().is_err() && store.ready().is_err());
    assert_eq!(content(store, before, 0), vec![1; 100_000], "reading goes on");
    wait(store.probe()).unwrap();
    assert_eq!(store.ready(), Ok(()));
    accept(store, message(3, &["a@ch-b.test"]));
}

/// CR3: a quota that is used up shows in no free space. Once the disk has said no, the store says so
/// before anybody hands a message over, until a probe has found room.
#[test]
fn a_disk_that_said_full_is_believed_until_a_probe_finds_room() {
    let harness = Sqlite::empty();
    let store = harness.store();
    let sent = accept(store, message(1, &["a@ch-b.test"]));
    store.health.ran_short("disk quota exceeded");
    assert_eq!(store.ready(), Err(StoreError::Full("disk quota exceeded".to_owned())));
    let refused = wait(store.commit(Changes::message(message(2, &["a@ch-b.test"]))));
    assert_eq!(refused, Err(StoreError::Full("disk quota exceeded".to_owned())));
    wait(store.commit(Changes::records(vec![record(sent, 1)]))).unwrap();
    assert!(store.ready().is_err(), "that an outcome fits proves nothing");
    wait(store.probe()).unwrap();
    assert_eq!(store.ready(), Ok(()));
    accept(store, message(3, &["a@ch-b.test"]));
    assert!(files(&harness.dir.path().join("bodies")).is_empty(), "the trial is gone");
}

#[test]
fn looking_through_finds_what_is_not_as_it_must_be() {
    let harness = Sqlite::empty();
    for number in 1..=3 {
        accept(harness.store(), large(number));
    }
    assert_eq!(wait(harness.store().examine()).unwrap(), crate::Examination::default());
    let bodies = files(&harness.dir.path().join("bodies"));
    fs::write(bodies[0].with_file_name("0badcafe-1-99"), b"nobody's").unwrap();
    fs::remove_file(&bodies[1]).unwrap();
    let found = wait(harness.store().examine()).unwrap();
    assert_eq!((found.problems.len(), found.unnamed), (1, 1));
    assert!(found.problems[0].contains(bodies[1].file_name().unwrap().to_str().unwrap()), "{found:?}");
    let db = Connection::open(harness.dir.path().join("queue.db")).unwrap();
    db.execute_batch(
        "UPDATE message SET open = 2 WHERE seq = (SELECT min(seq) FROM message);
         DELETE FROM body WHERE seq >> 12 = (SELECT max(seq) FROM message);
         INSERT INTO recipient SELECT 77 << 12, destination, body, wake, lease, held, facts FROM recipient LIMIT 1;",
    )
    .unwrap();
    let problems = wait(harness.store().examine()).unwrap().problems.join("; ");
    for what in ["recipients without a message", "open recipients is wrong", "whose body is gone"] {
        assert!(problems.contains(what), "{what}: {problems}");
    }
}

/// What deleted rows leave in free pages and in the log is overwritten.
#[test]
fn a_scrub_leaves_nothing_of_what_was_deleted() {
    let harness = Sqlite::empty();
    let store = harness.store();
    for number in 1..=200 {
        accept(store, message(number, &["effacee.martin-test@ch-b.test"]));
    }
    let seen = || {
        let name = b"effacee.martin-test";
        let of = |file: &str| fs::read(harness.dir.path().join(file)).unwrap_or_default();
        ["queue.db", "queue.db-wal"].iter().any(|file| of(file).windows(name.len()).any(|window| window == name))
    };
    let db = Connection::open(harness.dir.path().join("queue.db")).unwrap();
    db.execute_batch("DELETE FROM recipient; DELETE FROM body; DELETE FROM message; DELETE FROM outbox;").unwrap();
    drop(db);
    assert!(seen(), "deleting alone does not do it");
    assert!(wait(store.scrub()).unwrap() > 0);
    assert!(!seen());
    assert_eq!(wait(store.examine()).unwrap(), crate::Examination::default());
    accept(store, message(300, &["a@ch-b.test"]));
}

#[test]
fn a_refused_change_leaves_no_file() {
    let harness = Sqlite::empty();
    let store = harness.store();
    let mut changes = Changes::message(large(1));
    let unknown = QueueId::new(start(), 9);
    changes.reroutes = vec![(unknown, 0, crate::contract::relay("x.test"))];
    assert_eq!(wait(store.commit(changes)), Err(StoreError::NotFound(unknown)));
    drop(store.stage().unwrap());
    assert!(files(&harness.dir.path().join("bodies")).is_empty());
    let id = accept(store, large(2));
    assert_eq!(files(&harness.dir.path().join("bodies")).len(), 1);
    let work = claim_one(store, start());
    report(store, &work, &delivered(start())).unwrap();
    assert!(get(store, id).is_ended());
    let dir = harness.dir;
    drop(harness.store);
    assert!(files(&dir.path().join("bodies")).is_empty(), "nobody needs the body any more");
}

#[test]
fn a_store_of_a_later_version_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let db = Connection::open(dir.path().join("queue.db")).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let refused = SqliteStore::open(dir.path(), SqliteOptions::default()).err().unwrap();
    assert!(refused.to_string().contains("version 2"), "{refused}");
    db.pragma_update(None, "user_version", 1).unwrap();
    db.pragma_update(None, "application_id", 7).unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), SqliteOptions::default()), Err(StoreError::Foreign(_))));
}

#[test]
fn the_database_is_synced_at_every_commit() {
    let dir = TempDir::new().unwrap();
    let db = schema::open_writer(&dir.path().join("queue.db"), true).unwrap();
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".to_owned()));
}

#[test]
fn nothing_is_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("queue");
    let (store, _) = open(&dir);
    accept(&store, large(1));
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o077, 0);
    for path in files(&dir.join("bodies")) {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

/// A statement that SQLite plans again at each use costs more than what it does.
#[test]
fn no_statement_is_planned_twice() {
    let dir = TempDir::new().unwrap();
    let db = schema::open_writer(&dir.path().join("queue.db"), true).unwrap();
    let mut turn = Turn::new(1);
    for chance in 0..20 {
        let mut sent = message(chance, &["a@ch-b.test", "b@op-c.test"]);
        sent.bodies.clear();
        sent.repeat =
            Some(crate::Repeat { sender: "card".to_owned(), window: crate::contract::MINUTE, even_failed: false });
        let changes = ready::ReadyChanges::new(Changes::message(sent), vec![vec![]]).unwrap();
        write::commit(&db, changes, &mut committer::Effects::default(), &mut turn).unwrap();
        drop(claim::claim(&db, &ClaimRequest::new(1, crate::contract::MINUTE, start()), &mut turn));
    }
    let again: Vec<String> = db_statements(&db);
    assert!(again.is_empty(), "{again:#?}");
}

/// The statements of the hot paths that were planned again.
fn db_statements(db: &Connection) -> Vec<String> {
    let source = [include_str!("write.rs"), include_str!("claim.rs")].concat();
    let quoted = source
        .split('"')
        .filter(|text| ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)));
    let mut seen = 0;
    let mut again = Vec::new();
    for sql in quoted {
        let Ok(statement) = db.prepare_cached(sql) else { continue };
        seen += statement.get_status(rusqlite::StatementStatus::Run);
        let planned = statement.get_status(rusqlite::StatementStatus::RePrepare);
        if planned > 0 {
            again.push(format!("{planned} times: {sql}"));
        }
    }
    assert!(seen > 50, "the statements were found in the cache: {seen}");
    again
}

/// Within a destination what has been due longest comes first.
#[test]
fn longest_due_comes_first() {
    let dir = TempDir::new().unwrap();
    let (store, _) = SqliteStore::open(dir.path(), SqliteOptions::default()).unwrap();
    for (chance, due) in [(1, 3), (2, 1), (3, 2)] {
        let mut sent = message(chance, &["a@ch-b.test"]);
        sent.recipients[0].due = crate::contract::minutes(due);
        wait(store.commit(Changes::message(sent))).unwrap();
    }
    let order: Vec<_> = (1..=3).map(|minute| claim_one(&store, crate::contract::minutes(minute)).info.id).collect();
    assert_eq!(order, [2, 3, 1].map(|chance| QueueId::new(start(), chance)));
}

fn edit(dir: &Path, sql: &str) {
    let db = rusqlite::Connection::open(dir.join("queue.db")).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
}

/// One changed octet in one recipient's row costs that recipient, for every destination and the list too;
/// with a lease on it the queue is opened all the same. A person is told which message it is.
#[test]
fn an_unreadable_recipient_is_set_aside_and_all_else_goes_on() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let bad = accept(&store, message(1, &["a@ch-b.test"]));
    let good = accept(&store, message(2, &["b@ch-b.test"]));
    let elsewhere = accept(&store, message(3, &["c@ch-c.test"]));
    edit(
        dir.path(),
        "UPDATE recipient SET facts = 'X' || substr(facts, 2) WHERE seq = (SELECT min(seq) FROM recipient)",
    );
    let request = ClaimRequest::new(1000, crate::contract::MINUTE * 10, start());
    let given: Vec<_> = wait(store.claim(request)).unwrap().iter().map(|work| work.info.id).collect();
    assert!(given.contains(&good) && given.contains(&elsewhere) && given.len() == 2, "{given:?}");
    assert!(crate::contract::claim(&store, start()).is_empty());
    let listed = wait(store.list(Filter::default(), Page { after: None, limit: 10 })).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(store.passed_over(), 1);
    let aside = wait(store.set_aside()).unwrap();
    assert!(aside.len() == 1 && aside[0].contains(bad.as_str()), "{aside:?}");
    let problems = wait(store.examine()).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains(bad.as_str())), "{problems:?}");
    // Repaired by a person, it is given again when that person says so.
    edit(
        dir.path(),
        "UPDATE recipient SET facts = '{' || substr(facts, 2) WHERE seq = (SELECT min(seq) FROM recipient)",
    );
    crate::contract::order(&store, bad, 0, crate::Step::Retry { due: start() }).unwrap();
    assert_eq!(claim_one(&store, start()).info.id, bad);
    assert!(wait(store.set_aside()).unwrap().is_empty());
}

#[test]
fn an_unreadable_row_in_delivery_does_not_keep_the_queue_shut() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    let bad = accept(&store, message(1, &["a@ch-b.test"]));
    claim_one(&store, start());
    let other = TempDir::new().unwrap();
    image(dir.path(), other.path());
    edit(other.path(), "UPDATE recipient SET facts = 'X' || substr(facts, 2)");
    let (again, _) = open(other.path());
    let aside = wait(again.set_aside()).unwrap();
    assert!(aside.len() == 1 && aside[0].contains(bad.as_str()), "{aside:?}");
    drop(again);
    let third = TempDir::new().unwrap();
    image(dir.path(), third.path());
    edit(third.path(), "UPDATE message SET facts = 'X' || substr(facts, 2)");
    assert_eq!(wait(open(third.path()).0.set_aside()).unwrap().len(), 1, "its message cannot be read");
}

/// A message that was wrapped before a key was retired and comes after is not taken; none is lost.
#[test]
fn a_key_is_retired_only_when_nothing_needs_it_or_will() {
    let (old, new) = ([1; 8], [2; 8]);
    let wrapped = |chance: u64, mark: [u8; 8]| {
        let mut sent = message(chance, &["a@ch-b.test"]);
        sent.bodies[0].content_key = Some([&mark[..], &[9; 60]].concat());
        sent
    };
    let dir = TempDir::new().unwrap();
    let (store, _) = open(dir.path());
    assert!(wait(store.retire(new, vec![old])).unwrap().is_err(), "no gateway has said what it wraps under");
    wait(store.wraps_under(old)).unwrap();
    let needed = wait(store.retire(new, vec![old])).unwrap().unwrap_err();
    assert_eq!(needed.wrapping, Some(old), "the gateway was not told to read its keys again");
    let waits = accept(&store, wrapped(1, old));
    wait(store.wraps_under(new)).unwrap();
    assert_eq!(wait(store.retire(new, vec![old])).unwrap().unwrap_err().bodies.get(&old), Some(&1));
    crate::contract::order(&store, waits, 0, crate::contract::cancel(start())).unwrap();
    assert!(wait(store.retire(new, vec![old])).unwrap().is_ok());
    let late = wait(store.commit(crate::Changes::message(wrapped(2, old))));
    assert!(late.is_err_and(|error| error.is_temporary()), "it was wrapped before, and came after");
    accept(&store, wrapped(3, new));
    wait(store.wraps_under(old)).unwrap();
    accept(&store, wrapped(4, old));
    edit(dir.path(), "UPDATE message SET facts = 'X' || substr(facts, 2) WHERE open > 0");
    wait(store.wraps_under(new)).unwrap();
    assert_eq!(wait(store.retire(new, vec![old])).unwrap().unwrap_err().unreadable, 2, "what it needs cannot be told");
}
