//! The log as a whole: growing, crashing, being tampered with, being judged by others.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ident::{Address, Domain, Timestamp};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{sequencer::files_below, *};
use crate::{Acceptance, Class, DeliveryFacts, Direction, Event, Masker, Party, QueueId, Record, SafeText};

pub(super) const KEY: [u8; 32] = [1; 32];
const ORIGIN: &str = "trail.ch-exemple.test";

pub(super) fn secrets() -> TrailSecrets {
    TrailSecrets { wrapping: Zeroizing::new(KEY), signer: NoteSigner::new(ORIGIN, &[2; 32]).unwrap() }
}

pub(super) fn verifier() -> NoteVerifier {
    secrets().signer.verifier().clone()
}

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + i64::try_from(second).unwrap())
}

fn masker() -> Masker {
    Masker::new([3; 32], vec![Domain::parse("patient.exemple.test").unwrap()])
}

fn party(text: &str) -> Party {
    masker().party(&Address::parse(text).unwrap())
}

pub(super) fn id(number: u64) -> QueueId {
    QueueId::new(at(number), number)
}

/// The lines of the row of a number: an acceptance, then its delivery, then an operator's act.
pub(super) fn lines(number: u64) -> String {
    let message = number / 3;
    let record = match number % 3 {
        0 => Record::new(at(number), accepted(message)),
        1 => Record::new(at(number), Event::Delivered { number: 1, delivery: DeliveryFacts::default() })
            .of_recipient(party(&format!("dr.{}@ch-b.test", message % 7))),
        _ => {
            let record = Record::new(at(number), Event::ServiceStopped { reason: SafeText::of("test") });
            return String::from_utf8(record.to_json().unwrap()).unwrap() + "\n";
        }
    };
    String::from_utf8(record.of_message(id(message)).to_json().unwrap()).unwrap() + "\n"
}

fn accepted(message: u64) -> Event {
    Event::Accepted(Box::new(Acceptance {
        direction: Direction::Outgoing,
        from: Some(party("dr.martin-test@ch-exemple.test")),
        author: None,
        message_id: Some(masker().text(&format!("<{message}@poste.test>"))),
        digest: ident::Fingerprint::new([u8::try_from(message % 256).unwrap(); 32]),
        size: 1000,
        recipients: 1,
        connection: None,
        speaker: None,
        policy: None,
        trust_list: None,
        directory: None,
    }))
}

pub(super) fn append(trail: &mut Trail, from: u64, to: u64) -> Sequenced {
    let rows: Vec<_> = (from..to).map(|number| (number + 1, lines(number))).collect();
    let mut rows: Vec<_> = rows.iter().map(|(number, lines)| (*number, lines.as_str())).collect();
    let mut done = trail.append("store-1", &rows, at(to)).unwrap();
    // What has an entry already is released alone.
    while done.release < Some(to) {
        rows.retain(|(number, _)| Some(*number) > done.release);
        let more = trail.append("store-1", &rows, at(to)).unwrap();
        done = Sequenced { added: done.added + more.added, release: more.release };
    }
    done
}

/// A trail with these batches of rows; the row of entry n has the number n + 1.
pub(super) fn trail(batches: &[u64]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let mut number = 0;
    for batch in batches {
        assert_eq!(append(&mut trail, number, number + batch).added, *batch);
        number += batch;
    }
    assert_eq!(trail.size(), number);
    drop(trail);
    dir
}

pub(super) fn check(dir: &Path) -> Report {
    verify(dir, &verifier(), Some(&KEY), &[]).unwrap()
}

pub(super) fn good(dir: &Path, size: u64) {
    let report = check(dir);
    assert!(report.ok && report.size == size, "{report:#?}");
}

pub(super) fn reader(dir: &Path) -> TrailReader {
    TrailReader::open(dir, &KEY, verifier()).unwrap()
}

pub(super) fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for file in files_below(from).unwrap() {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if !target.to_str().unwrap().ends_with("-shm") {
            fs::copy(&file, target).unwrap();
        }
    }
    to
}

#[test]
fn grows_across_tiles_days_and_starts() {
    let dir = TempDir::new().unwrap();
    let mut number = 0;
    for (day, batch) in [1u64, 254, 1, 1, 300, 700].into_iter().enumerate() {
        let (mut trail, recovery) = Trail::open(dir.path(), secrets()).unwrap();
        assert_eq!(recovery, TrailRecovery::default());
        let rows: Vec<_> = (number..number + batch).map(|number| (number + 1, lines(number))).collect();
        let rows: Vec<_> = rows.iter().map(|(number, lines)| (*number, lines.as_str())).collect();
        let now = at(86_400 * u64::try_from(day).unwrap());
        assert_eq!(
            trail.append("store-1", &rows, now).unwrap(),
            Sequenced { added: batch, release: Some(number + batch) }
        );
        number += batch;
        good(dir.path(), number);
    }
    let report = check(dir.path());
    assert_eq!((report.checkpoints, report.erased, report.records_opened), (6, 0, true));
    assert_eq!(files_below(&dir.path().join("records")).unwrap().len(), 6);
    let reader = reader(dir.path());
    for leaf in [0, 255, 256, 600, 1256] {
        assert_eq!(reader.records(leaf).unwrap().unwrap()[0].to_json().unwrap(), lines(leaf).trim_end().as_bytes());
    }
    // Without the key everything but the records is proven.
    let report = verify(dir.path(), &verifier(), None, &[]).unwrap();
    assert!(report.ok && !report.records_opened);
}

#[test]
fn an_empty_or_missing_trail_is_not_called_good() {
    let dir = TempDir::new().unwrap();
    for folder in [dir.path(), &dir.path().join("nowhere")] {
        for key in [None, Some(&KEY)] {
            assert!(matches!(verify(folder, &verifier(), key, &[]), Err(TrailError::Nothing(_))));
        }
    }
    drop(Trail::open(dir.path(), secrets()).unwrap());
    assert!(matches!(verify(dir.path(), &verifier(), Some(&KEY), &[]), Err(TrailError::Nothing(_))));
    // What somebody keeps of a trail that is gone says that it was there.
    let note = fs::read_to_string(trail(&[3]).path().join("log/checkpoint")).unwrap();
    let known = [KnownCheckpoint { place: "peer".to_owned(), note }];
    let report = verify(dir.path(), &verifier(), None, &known).unwrap();
    assert!(report.findings[0].what.contains("the trail was cut"), "{report:#?}");
}

/// A history that is missing or was shortened is no reason to throw the rest away.
#[test]
fn opening_deletes_nothing_that_a_checkpoint_may_have_covered() {
    let dir = trail(&[5, 15, 22]);
    let history = fs::read_to_string(dir.path().join("checkpoints")).unwrap();
    let notes: Vec<String> = checkpoint::split_notes(&history).0.iter().map(|note| format!("{note}\n")).collect();
    let first = &notes[0];
    let shortened = notes[..2].concat();
    for (text, newest) in [
        (None, true),
        (None, false),
        (Some(""), false),
        (first.get(..first.len() - 3), false),
        (Some(first.as_str()), false),
        (Some(first.as_str()), true),
        (Some(shortened.as_str()), true),
    ] {
        for index in [true, false] {
            let spoiled = copy(dir.path());
            let at = |name: &str| spoiled.path().join(name);
            fs::remove_file(at("checkpoints")).unwrap();
            if let Some(text) = text {
                fs::write(at("checkpoints"), text).unwrap();
            }
            let note = fs::read(at("log/checkpoint")).unwrap();
            if !newest {
                fs::remove_file(at("log/checkpoint")).unwrap();
            }
            if !index {
                fs::remove_file(at("index.db")).unwrap();
            }
            let error = Trail::open(spoiled.path(), secrets()).err().unwrap();
            assert!(matches!(error, TrailError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("backup"), "{error}");
            // The history put back, everything is there.
            fs::write(at("checkpoints"), &history).unwrap();
            fs::write(at("log/checkpoint"), note).unwrap();
            drop(Trail::open(spoiled.path(), secrets()).unwrap());
            good(spoiled.path(), 42);
        }
    }
}

#[test]
fn rows_come_once_in_order_and_by_source() {
    let dir = trail(&[5]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    assert_eq!(append(&mut trail, 0, 5), Sequenced { added: 0, release: Some(5) }, "they have an entry already");
    assert_eq!(append(&mut trail, 3, 7).added, 2);
    let skipped = trail.append("store-1", &[(9, &lines(8))], at(9));
    assert!(matches!(skipped, Err(TrailError::Gap { expected: 8, got: 9 })), "{skipped:?}");
    let unknown = trail.append("store-2", &[(3, &lines(3))], at(9));
    assert!(matches!(unknown, Err(TrailError::Gap { expected: 1, got: 3 })), "a store begins at its first row");
    let other = trail.append("store-2", &[(1, &lines(3))], at(9)).unwrap();
    assert_eq!(other.added, 1, "another store counts for itself");
    assert!(matches!(Trail::open(dir.path(), secrets()), Err(TrailError::InUse(_))));
    drop(trail);
    good(dir.path(), 8);
}

/// A queue that was put back to an earlier day gives its numbers again, to other events.
#[test]
fn numbers_that_run_again_are_not_passed_over() {
    let dir = trail(&[5, 5]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let row = |number: u64, of: u64| (number, lines(of));
    for rows in [vec![row(3, 50), row(4, 51)], vec![row(5, 4)], vec![row(7, 50)], vec![row(9, 8), row(10, 50)]] {
        let rows: Vec<_> = rows.iter().map(|(number, lines)| (*number, lines.as_str())).collect();
        let again = trail.append("store-1", &rows, at(60));
        assert!(matches!(again, Err(TrailError::RunsAgain { row: 3 | 5 | 7 | 10 })), "{rows:?}: {again:?}");
    }
    // Said aloud by whoever owns the queue, they are entries like others.
    trail.begin_anew("store-1", 7).unwrap();
    let again = trail.append("store-1", &[(7, &lines(50)), (8, &lines(51))], at(60)).unwrap();
    assert_eq!(again, Sequenced { added: 2, release: Some(8) });
    let again = trail.append("store-1", &[(7, &lines(50)), (8, &lines(51))], at(60)).unwrap();
    assert_eq!(again, Sequenced { added: 0, release: Some(8) });
    drop(trail);
    good(dir.path(), 12);
}

#[test]
fn nothing_readable_rests_in_the_files() {
    let dir = trail(&[30]);
    for file in files_below(dir.path()).unwrap() {
        let octets = fs::read(&file).unwrap();
        for word in ["martin-test", "ch-b.test", "delivery.delivered", id(1).as_str()] {
            assert!(
                !octets.windows(word.len()).any(|window| window == word.as_bytes()),
                "{word} in {}",
                file.display()
            );
        }
    }
}

/// Where a flip in a file must be named.
pub(super) fn expected_place(dir: &Path, file: &Path, offset: usize) -> Vec<String> {
    let name = file.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    if name.starts_with("records/") {
        let octets = fs::read(file).unwrap();
        let mut at = 0;
        let mut leaf = 0;
        while at < octets.len() {
            let length = u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
            at += 12 + usize::try_from(length).unwrap();
            if offset < at {
                return vec![format!("entry {leaf}")];
            }
            leaf += 1;
        }
    }
    if name.starts_with("log/tile/entries") {
        return vec![format!("entry {}", offset / 34), name];
    }
    if name.starts_with("log/tile/0") {
        return vec![format!("entry {}", offset / 32)];
    }
    if name == "checkpoints" {
        let text = fs::read(file).unwrap();
        let notes = String::from_utf8(text).unwrap();
        let mut end = 0;
        for (number, note) in checkpoint::split_notes(&notes).0.iter().enumerate() {
            end += note.len() + 1;
            if offset < end {
                return vec![format!("checkpoint {number}"), "checkpoints".to_owned()];
            }
        }
    }
    vec![name]
}

/// Every octet of a small log in turn, every bit pattern that a flip of it can be taken for.
#[test]
fn every_flipped_octet_is_found_and_named() {
    let dir = trail(&[2, 3]);
    good(dir.path(), 5);
    let mut flips = 0;
    for part in ["log", "records", "checkpoints"] {
        let part = dir.path().join(part);
        let files = if part.is_dir() { files_below(&part).unwrap() } else { vec![part] };
        for file in files {
            let octets = fs::read(&file).unwrap();
            for offset in 0..octets.len() {
                let mut other = octets.clone();
                other[offset] ^= if offset % 2 == 0 { 0x01 } else { 0x20 };
                fs::write(&file, &other).unwrap();
                let report = check(dir.path());
                let place = report.findings.first().map(|finding| finding.place.clone()).unwrap_or_default();
                fs::write(&file, &octets).unwrap();
                assert!(!report.ok, "{} octet {offset}", file.display());
                assert!(
                    expected_place(dir.path(), &file, offset).contains(&place),
                    "{} octet {offset}: {report:#?}",
                    file.display()
                );
                flips += 1;
            }
        }
    }
    good(dir.path(), 5);
    assert!(flips > 2000, "{flips}");
}

/// Random octets of a log with several levels of tiles, files shortened, lengthened, removed and
/// exchanged.
#[test]
fn a_large_log_hides_nothing_either() {
    let dir = trail(&[256, 1000, 44]);
    let mut files = files_below(&dir.path().join("log")).unwrap();
    files.extend(files_below(&dir.path().join("records")).unwrap());
    files.push(dir.path().join("checkpoints"));
    let mut seed = 42u64;
    let mut random = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    };
    for file in &files {
        let octets = fs::read(file).unwrap();
        let spoil = |what: &str, other: Option<Vec<u8>>| {
            match other {
                Some(other) => fs::write(file, other).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            let report = check(dir.path());
            fs::write(file, &octets).unwrap();
            assert!(!report.ok, "{what} {}", file.display());
        };
        for _ in 0..2 {
            let mut other = octets.clone();
            other[random(octets.len())] ^= 1 << random(8);
            spoil("flipped", Some(other));
        }
        spoil("shortened", Some(octets[..octets.len() - 1].to_vec()));
        spoil("lengthened", Some([octets.clone(), vec![0]].concat()));
        spoil("removed", None);
    }
    for pair in files.windows(2) {
        let (a, b) = (fs::read(&pair[0]).unwrap(), fs::read(&pair[1]).unwrap());
        fs::write(&pair[0], &b).unwrap();
        fs::write(&pair[1], &a).unwrap();
        assert!(!check(dir.path()).ok, "exchanged {} {}", pair[0].display(), pair[1].display());
        fs::write(&pair[0], &a).unwrap();
        fs::write(&pair[1], &b).unwrap();
    }
    good(dir.path(), 1300);
    fs::write(dir.path().join("log/tile/0/999"), b"stranger").unwrap();
    assert!(check(dir.path()).findings[0].what.contains("does not belong"));
}

#[test]
fn records_and_commitments_do_not_change_places() {
    let dir = trail(&[5]);
    let bundle = dir.path().join("log/tile/entries/000.p/5");
    let mut octets = fs::read(&bundle).unwrap();
    octets.rotate_left(34);
    fs::write(&bundle, &octets).unwrap();
    assert_eq!(check(dir.path()).findings[0].place, "entry 0");
    octets.rotate_right(34);
    fs::write(&bundle, &octets).unwrap();
    good(dir.path(), 5);
    // Rows of the key table exchanged: the keys do not fit their records.
    let db = rusqlite::Connection::open(dir.path().join("keys.db")).unwrap();
    db.execute_batch(
        "UPDATE leaf SET seed = (SELECT seed FROM leaf AS other WHERE other.number = 3) WHERE number = 2;",
    )
    .unwrap();
    assert_eq!(check(dir.path()).findings[0].place, "entry 2");
}

#[test]
fn checkpoints_cannot_be_left_out_or_exchanged() {
    let dir = trail(&[1, 1, 1, 1]);
    let path = dir.path().join("checkpoints");
    let text = fs::read_to_string(&path).unwrap();
    let notes: Vec<String> = checkpoint::split_notes(&text).0.iter().map(|note| format!("{note}\n")).collect();
    assert_eq!(notes.len(), 4);
    for missing in 0..3 {
        let other: Vec<_> =
            notes.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, n)| n.as_str()).collect();
        fs::write(&path, other.concat()).unwrap();
        assert_eq!(check(dir.path()).findings[0].place, format!("checkpoint {missing}"));
    }
    let mut other = notes.clone();
    other.swap(1, 2);
    fs::write(&path, other.concat()).unwrap();
    assert_eq!(check(dir.path()).findings[0].place, "checkpoint 1");
    // One by somebody else.
    let stranger = NoteSigner::new(ORIGIN, &[9; 32]).unwrap();
    let forged = Checkpoint::open(notes[3].trim_end_matches("\n\n"), &verifier()).err();
    assert!(forged.is_some());
    let last = Checkpoint { size: 4, root: [0; 32], at: at(9), previous: ident::Fingerprint::new([0; 32]) };
    fs::write(
        &path,
        [&notes[..3].concat(), &format!("{}\n", last.sign(&stranger).unwrap())].map(String::as_str).concat(),
    )
    .unwrap();
    assert_eq!(check(dir.path()).findings[0].place, "checkpoint 3");
}

/// Who keeps an old checkpoint sees a cut, and a history that was written anew.
#[test]
fn a_known_checkpoint_uncovers_cuts_and_rewriting() {
    let dir = TempDir::new().unwrap();
    let (mut trail_, _) = Trail::open(dir.path(), secrets()).unwrap();
    append(&mut trail_, 0, 3);
    drop(trail_);
    let early = copy(dir.path());
    let (mut trail_, _) = Trail::open(dir.path(), secrets()).unwrap();
    append(&mut trail_, 3, 300);
    let note = trail_.checkpoint().unwrap().to_owned();
    drop(trail_);
    let known = |note: &str| [KnownCheckpoint { place: "peer".to_owned(), note: note.to_owned() }];
    assert!(verify(dir.path(), &verifier(), Some(&KEY), &known(&note)).unwrap().ok);
    // The whole folder put back to an earlier day is good by itself, and uncovered by the note.
    good(early.path(), 3);
    let report = verify(early.path(), &verifier(), Some(&KEY), &known(&note)).unwrap();
    assert!(report.findings[0].what.contains("the trail was cut"), "{report:#?}");
    // Continued from there with another story, by one who holds all keys.
    let (mut forger, _) = Trail::open(early.path(), secrets()).unwrap();
    append(&mut forger, 3, 400);
    drop(forger);
    good(early.path(), 400);
    let report = verify(early.path(), &verifier(), Some(&KEY), &known(&note)).unwrap();
    assert_eq!(report.findings[0].place, "peer");
    assert!(report.findings[0].what.contains("not that of the first 300 entries"), "{report:#?}");
    // A known checkpoint that is no good proves nothing.
    let report = verify(dir.path(), &verifier(), Some(&KEY), &known("nonsense")).unwrap();
    assert!(!report.ok);
}

/// All states that a crash inside a batch can leave, each opened, continued and verified: the
/// files as they were, with the first writes of the batch, whole or half.
#[test]
fn a_crash_inside_a_batch_loses_and_doubles_nothing() {
    let before = trail(&[254]);
    let after = copy(before.path());
    let (mut batch, _) = Trail::open(after.path(), secrets()).unwrap();
    append(&mut batch, 254, 260);
    drop(batch);
    let relative = |dir: &TempDir| -> Vec<PathBuf> {
        files_below(dir.path()).unwrap().iter().map(|f| f.strip_prefix(dir.path()).unwrap().to_owned()).collect()
    };
    // In the order in which they are written.
    let rank = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        ["keys.db", "records", "log/tile", "checkpoints", "log/checkpoint", "index", "lock"]
            .iter()
            .position(|start| name.starts_with(start))
            .unwrap()
    };
    let mut changed: Vec<PathBuf> = relative(&after)
        .into_iter()
        .filter(|path| fs::read(before.path().join(path)).ok() != fs::read(after.path().join(path)).ok())
        .collect();
    changed.sort_by_key(|path| (rank(path), path.clone()));
    assert!(changed.len() >= 8, "{changed:?}");
    for written in 0..=changed.len() {
        for torn in [false, true] {
            let state = copy(before.path());
            for (number, path) in changed.iter().take(written).enumerate() {
                let octets = fs::read(after.path().join(path)).unwrap();
                let last = number + 1 == written;
                // SQLite looks after its own file; a renamed file is whole.
                let can_tear = rank(path) == 1 || rank(path) == 3;
                let length = if torn && last && can_tear { octets.len() - 20 } else { octets.len() };
                let target = state.path().join(path);
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(target, &octets[..length]).unwrap();
            }
            let (mut again, recovery) = Trail::open(state.path(), secrets()).unwrap();
            let exists = again.size() == 260;
            assert!(exists || again.size() == 254, "{}", again.size());
            assert_eq!(recovery.taken_back, if exists || written == 0 { 0 } else { 6 }, "{written} {torn}");
            // The outbox gives the rows again, and more.
            assert_eq!(append(&mut again, 254, 265).added, if exists { 5 } else { 11 });
            drop(again);
            good(state.path(), 265);
            let reader = reader(state.path());
            for number in 250..265 {
                let found = reader.records(number).unwrap().unwrap();
                assert_eq!(found[0].to_json().unwrap(), lines(number).trim_end().as_bytes());
            }
            assert_eq!(reader.check_index().unwrap(), None);
        }
    }
}

#[test]
fn search_finds_by_every_term_and_pages() {
    let dir = trail(&[100, 200]);
    let reader = reader(dir.path());
    let find = |terms: &[&str], before: Option<u64>, limit: usize| -> Vec<u64> {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        let search = Search { terms, before, limit, ..Search::default() };
        reader.search(&search).unwrap().into_iter().map(|hit| hit.leaf).collect()
    };
    assert_eq!(find(&[&format!("id:{}", id(7))], None, 0), [22, 21]);
    assert_eq!(find(&["message-id:<7@poste.test>"], None, 0), [21]);
    assert_eq!(find(&["to:dr.3@ch-b.test", &format!("id:{}", id(10))], None, 0), [31]);
    assert_eq!(find(&["to:dr.4@ch-b.test", &format!("id:{}", id(10))], None, 0), [] as [u64; 0]);
    let all = find(&["from:dr.martin-test@ch-exemple.test"], None, 0);
    assert_eq!(all.len(), 100);
    let mut paged = Vec::new();
    loop {
        let page = find(&["domain:ch-exemple.test", "event:message.accepted"], paged.last().copied(), 7);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(find(&[], None, 5), [299, 298, 297, 296, 295]);
    let within = Search { since: Some(at(10)), until: Some(at(20)), ..Search::default() };
    let leaves: Vec<_> = reader.search(&within).unwrap().into_iter().map(|hit| hit.leaf).collect();
    assert_eq!(leaves, (10..20).rev().collect::<Vec<_>>());
    let told: Vec<_> = reader.of_message(id(7)).unwrap().iter().map(|record| record.event.id()).collect();
    assert_eq!(told, ["message.accepted", "delivery.delivered"]);
    assert_eq!(reader.from(298, 10).unwrap().len(), 2);
}

#[test]
fn the_index_is_made_again_from_the_log() {
    let dir = trail(&[100]);
    assert_eq!(reader(dir.path()).check_index().unwrap(), None);
    let search = Search { terms: vec![format!("id:{}", id(7))], ..Search::default() };
    let found = reader(dir.path()).search(&search).unwrap();
    let db = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    db.execute("DELETE FROM term WHERE leaf = 22", []).unwrap();
    drop(db);
    assert_eq!(reader(dir.path()).check_index().unwrap(), Some(22));
    reader(dir.path()).reindex().unwrap();
    assert_eq!(reader(dir.path()).check_index().unwrap(), None);
    assert_eq!(reader(dir.path()).search(&search).unwrap(), found);
    // Lost altogether: the next start makes it.
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(fs::remove_file(dir.path().join(file)));
    }
    let (_, recovery) = Trail::open(dir.path(), secrets()).unwrap();
    assert_eq!(recovery.indexed, 100);
    assert_eq!(reader(dir.path()).check_index().unwrap(), None);
}

#[test]
fn erased_records_are_gone_and_the_proof_stays() {
    let dir = trail(&[30]);
    let (mut trail, _) = Trail::open(dir.path(), secrets()).unwrap();
    let due = Retention::open(dir.path(), &KEY).unwrap().due(Class::Mail, at(12)).unwrap();
    assert_eq!(due.records, 8);
    let told = Record::new(at(31), due.event());
    let line = String::from_utf8(told.to_json().unwrap()).unwrap() + "\n";
    assert_eq!(trail.settle().unwrap(), 0, "first tell, then erase");
    trail.append("store-1", &[(31, &line)], at(31)).unwrap();
    let bytes = || fs::read(dir.path().join("keys.db")).unwrap();
    let seed: Vec<u8> = rusqlite::Connection::open(dir.path().join("keys.db"))
        .unwrap()
        .query_row("SELECT seed FROM leaf WHERE number = 0", [], |row| row.get(0))
        .unwrap();
    assert_eq!(trail.settle().unwrap(), 8);
    drop(trail);
    assert!(!bytes().windows(16).any(|window| window == &seed[..16]), "the seed is still in the file");
    let report = check(dir.path());
    assert!(report.ok && report.erased == 8, "{report:#?}");
    let reader = reader(dir.path());
    assert_eq!(reader.records(0).unwrap(), None);
    assert!(reader.records(2).unwrap().is_some(), "another class");
    assert!(reader.of_message(id(0)).unwrap().is_empty());
    assert_eq!(reader.check_index().unwrap(), None);
    // One more gone than was told, and one gone without a word.
    for number in [15, 2] {
        let spoiled = copy(dir.path());
        let db = rusqlite::Connection::open(spoiled.path().join("keys.db")).unwrap();
        db.execute("UPDATE leaf SET seed = NULL, erased = 30 WHERE number = ?1", [number]).unwrap();
        drop(db);
        assert_eq!(check(spoiled.path()).findings[0].place, "entry 30");
    }
    let spoiled = copy(dir.path());
    let db = rusqlite::Connection::open(spoiled.path().join("keys.db")).unwrap();
    db.execute("UPDATE leaf SET seed = NULL WHERE number = 15", []).unwrap();
    drop(db);
    assert!(!check(spoiled.path()).ok);
}

/// A reader that knows nothing of us: Cloudflare's tlog_tiles on our files.
struct Judge(PathBuf);

impl tlog_tiles::TileReader for Judge {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &tlog_tiles::Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        Ok(tiles.iter().map(|tile| fs::read(path(tile)).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn the_independent_crate_agrees() {
    let dir = trail(&[3, 250, 4, 500, 43]);
    let reader = reader(dir.path());
    let (checkpoint, note) = reader.checkpoint().unwrap();
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let theirs = tlog_tiles::Checkpoint::from_reader(&mut text.as_bytes(), false).unwrap();
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (ORIGIN, 800, checkpoint.root));
    let judge = Judge(dir.path().join("log"));
    let root = tlog_tiles::Hash(checkpoint.root);
    let hashes = tlog_tiles::TileHashReader::new(800, root, &judge);
    assert_eq!(tlog_tiles::tree_hash(800, &hashes).unwrap(), root);
    for leaf in [0, 1, 254, 255, 256, 511, 512, 767, 768, 799] {
        let (_, hash) = reader.entry(leaf).unwrap();
        let ours = reader.inclusion(leaf, 800).unwrap();
        let theirs: Vec<Hash> =
            tlog_tiles::prove_record(800, leaf, &hashes).unwrap().into_iter().map(|hash| hash.0).collect();
        assert_eq!(ours, theirs, "{leaf}");
        assert_eq!(check_inclusion(leaf, hash, 800, &checkpoint.root, &theirs), Ok(()));
        let ours = ours.into_iter().map(tlog_tiles::Hash).collect();
        tlog_tiles::check_record(&ours, 800, root, leaf, tlog_tiles::Hash(hash)).unwrap();
        let shown = reader.show(leaf).unwrap().unwrap();
        let entry = commitment(&shown.salt, shown.lines.as_bytes());
        assert_eq!(check_inclusion(leaf, leaf_hash(&entry), 800, &checkpoint.root, &shown.proof), Ok(()));
    }
    let history = fs::read_to_string(dir.path().join("checkpoints")).unwrap();
    for note in checkpoint::split_notes(&history).0 {
        let old = Checkpoint::open(note, &verifier()).unwrap();
        let ours = reader.consistency(old.size, 800).unwrap();
        assert_eq!(check_consistency(old.size, &old.root, 800, &checkpoint.root, &ours), Ok(()));
        if old.size < 800 {
            let theirs = tlog_tiles::prove_tree(800, old.size, &hashes).unwrap();
            assert_eq!(ours, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>());
            tlog_tiles::check_tree(&theirs, 800, root, old.size, tlog_tiles::Hash(old.root)).unwrap();
        }
    }
}
