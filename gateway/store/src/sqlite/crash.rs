//! The real engine in a process of its own, killed at any moment and given a disk that fails.
//!
//! The child is this test program again, running [`child`] only. It says `ack ID` after each
//! commit, `err` after each refusal, `end ID` after each delivery; whatever it said must hold.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::{
    State,
    contract::{body, content, delivered, get, message, minutes, outcome, record, start, wait},
};

const DIR: &str = "SCEAU_TEST_STORE";
const ROUND: &str = "SCEAU_TEST_ROUND";
/// Acknowledgements after the last error that tell that all is well again.
const WELL: u64 = 30;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever reads us may be gone.
    drop(out.write_all(format!("{line}\n").as_bytes()));
    drop(out.flush());
}

/// Not a test of its own: what the others start as a process.
#[test]
#[ignore = "started by the other tests of this module"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = loop {
        match SqliteStore::open(Path::new(&dir), SqliteOptions::default()) {
            Ok((store, _)) => break store,
            Err(error) => say(&format!("err {error}")),
        }
    };
    let well = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..3 {
            let (store, well) = (&store, &well);
            scope.spawn(move || work(store, round * 1_000_000 + worker * 100_000, well));
        }
    });
    say("bye");
}

fn work(store: &SqliteStore, first: u64, well: &AtomicU64) {
    for number in first..first + 5000 {
        let mut sent = message(number, &["a@ch-b.test"]);
        let size = if number % 3 == 0 { 70_000 } else { 3000 };
        sent.bodies[0] = body(&vec![u8::try_from(number % 251).unwrap(); size]);
        let id = sent.id;
        match wait(store.commit(Changes::message(sent))) {
            Ok(_) => {
                well.fetch_add(1, Ordering::SeqCst);
                say(&format!("ack {id}"));
            }
            Err(error) => {
                well.store(0, Ordering::SeqCst);
                assert!(error.is_temporary(), "{error:?}");
                say(&format!("err {error}"));
                drop(wait(store.probe()));
            }
        }
        if number % 4 == 0 {
            deliver(store);
        }
        if well.load(Ordering::SeqCst) > WELL * 20 {
            return;
        }
    }
}

fn deliver(store: &SqliteStore) {
    let request = ClaimRequest::new(2, crate::contract::MINUTE, start());
    for work in wait(store.claim(request)).unwrap_or_default() {
        let mut changes = outcome(&work, &delivered(start()));
        changes.records = vec![record(work.info.id, 777)];
        if wait(store.commit(changes)).is_ok() {
            say(&format!("end {}", work.info.id));
        }
    }
}

fn start_child(dir: &Path, round: u64, strace: &[&str]) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = if strace.is_empty() { Command::new(&program) } else { Command::new("strace") };
    if !strace.is_empty() {
        command.args(["-f", "-q", "-o", "/dev/null"]).args(strace).arg(&program);
    }
    command
        .args(["--exact", "--ignored", "--nocapture", "sqlite::crash::child"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} (the package strace is needed): {error}"))
}

/// What the child said.
#[derive(Default)]
struct Said {
    acked: HashSet<QueueId>,
    ended: HashSet<QueueId>,
    errors: Vec<String>,
    bye: bool,
}

impl Said {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("ack", id)) => self.acked.extend(id.parse::<QueueId>().ok()),
            Some(("end", id)) => self.ended.extend(id.parse::<QueueId>().ok()),
            Some(("err", error)) => self.errors.push(error.to_owned()),
            _ => self.bye |= line == "bye",
        }
    }
}

/// Whatever was said holds: acknowledged ⊆ queued ∪ ended, bodies are whole, what ended stays so,
/// and each end is told once.
fn check(dir: &Path, said: &Said) -> usize {
    let (store, recovery) = SqliteStore::open(dir, SqliteOptions::default()).unwrap();
    assert_eq!(recovery.missing, [] as [String; 0], "{recovery:?}");
    let mut told: HashMap<QueueId, usize> = HashMap::new();
    for row in wait(store.take_outbox(usize::MAX)).unwrap() {
        for told_record in row.records().unwrap() {
            if told_record == record(told_record.message.unwrap(), 777) {
                *told.entry(told_record.message.unwrap()).or_default() += 1;
            }
        }
    }
    let mut queued = 0;
    for id in &said.acked {
        let found = get(&store, *id);
        match &found.recipients[0].progress.state {
            State::Delivered { .. } => assert_eq!(told.get(id), Some(&1), "{id}"),
            State::Queued { .. } => {
                assert!(!said.ended.contains(id), "{id} was delivered and is queued again");
                assert_eq!(told.get(id), None, "{id}");
                assert_eq!(content(&store, *id, 0).len(), usize::try_from(found.bodies[0].size).unwrap());
                queued += 1;
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(told.values().all(|count| *count == 1));
    assert!(recovery.messages >= queued);
    // It goes on from here.
    if queued > 0 {
        let request = ClaimRequest::new(1, crate::contract::MINUTE, minutes(60));
        assert_eq!(wait(store.claim(request)).unwrap().len(), 1);
    }
    said.acked.len()
}

/// CR1, in small: the same store killed again and again while it is under load.
#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = TempDir::new().unwrap();
    let mut said = Said::default();
    for round in 0..6u64 {
        let mut child = start_child(dir.path(), round, &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        // A different number of words each round; the kill falls somewhere after the last.
        for _ in 0..(round * 37 + 11) {
            line.clear();
            lines.read_line(&mut line).unwrap();
            said.hear(line.trim_end());
        }
        child.kill().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        // A torn last line was not said.
        rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).for_each(|line| said.hear(line));
        child.wait().unwrap();
        check(dir.path(), &said);
    }
    assert!(said.acked.len() > 100, "{}", said.acked.len());
    assert_eq!(said.errors, [] as [String; 0]);
}

/// CR3, CR4: a disk that fails for a while. Temporary errors, nothing lost, and it comes back by
/// itself when the disk does.
#[test]
fn a_disk_that_fails_for_a_while_costs_nothing_acknowledged() {
    for fault in [
        "fdatasync:error=EIO:when=8..11",
        "fsync:error=EIO:when=20..21",
        "pwrite64:error=ENOSPC:when=150..220",
        "pwrite64:error=EIO:when=150..220",
        "rename:error=EDQUOT:when=3..6",
        "rename:error=EIO:when=3..4",
    ] {
        let dir = TempDir::new().unwrap();
        let name = fault.split(':').next().unwrap();
        let (trace, inject) = (format!("trace={name}"), format!("inject={fault}"));
        let mut child = start_child(dir.path(), 1, &["-e", &trace, "-e", &inject]);
        let mut said = Said::default();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.for_each(|line| said.hear(&line.unwrap()));
        assert!(child.wait().unwrap().success(), "{fault}: {:?}", said.errors);
        assert!(said.bye, "{fault}: it did not come back: {:?}", said.errors);
        assert!(!said.errors.is_empty(), "{fault}: it was never felt");
        assert!(check(dir.path(), &said) > 50, "{fault}");
    }
}
