//! Disks that fail under the running gateway (CR3, CR4, CR5): whatever call fails with whatever error,
//! senders are deferred, nothing is lost, nothing comes twice, and when the disk is well again
//! everything goes on without help. The faults are made in the real process by strace.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sceau::demo::cast::Place::{self, A, B};
use tests::crash::chance::Chance;
use tests::crash::rounds::Installation;
use tests::faults::Faults;
use tests::process::PATIENCE;
use tests::tier::repetitions;
use tests::wire::Wire;

/// Calls that fail together, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// The database's writes, and the trail's.
    DatabaseWrites,
    /// Every sync.
    Syncs,
    /// Names of bodies and of the trail's files.
    Renames,
    /// Writes of bodies.
    BodyWrites,
    /// The unnamed file of a message in hand.
    Spool,
}

impl What {
    const ALL: [Self; 5] = [Self::DatabaseWrites, Self::Syncs, Self::Renames, Self::BodyWrites, Self::Spool];

    fn calls(self) -> &'static str {
        match self {
            Self::DatabaseWrites => "pwrite64",
            Self::Syncs => "fsync,fdatasync",
            Self::Renames => "rename,renameat,renameat2",
            Self::BodyWrites => "write",
            Self::Spool => "open,openat",
        }
    }

    fn paths(self, installation: &Installation, place: Place) -> Vec<PathBuf> {
        let data = installation.world.folder().join(place.folder()).join("data");
        match self {
            // The next names of bodies that are being received: start of the process, then a count.
            Self::BodyWrites => {
                let generation = generation(&data.join("queue/queue.db"));
                let names = (0..2000).map(|number| format!("{generation:x}-{number:x}"));
                names.map(|name| data.join("queue/bodies/unfinished").join(name)).collect()
            }
            Self::Spool => vec![data.join("spool")],
            _ => Vec::new(),
        }
    }

    /// Small messages do not need it.
    fn only_large(self) -> bool {
        matches!(self, Self::Renames | Self::BodyWrites | Self::Spool)
    }
}

fn generation(database: &std::path::Path) -> i64 {
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.query_row("SELECT value FROM meta WHERE key = 'generation'", [], |row| row.get(0)).unwrap()
}

/// How often readiness has turned red.
fn alarms(installation: &Installation, place: Place) -> usize {
    installation.gateway(place).log().matches("not ready: ").count()
}

/// Readiness is green again: every alarm is over.
fn calm(installation: &Installation, place: Place) {
    let ours = |line: &&str| line.contains("the alarm is over") && !line.contains("trail-unavailable");
    let over = || installation.gateway(place).log().lines().filter(ours).count();
    until("readiness stays red", installation, || over() == alarms(installation, place));
}

/// Messages under a fault: they are deferred, and go through when it ends.
fn strike(installation: &mut Installation, place: Place, what: What, error: &str) {
    let started = Instant::now();
    let paths = what.paths(installation, place);
    let before = installation.load.deferred();
    calm(installation, place);
    let red = alarms(installation, place);
    let faults = Faults::inject_at(installation.gateway(place).pid(), what.calls(), error, &paths);
    if what.only_large() {
        installation.load.issue_large(4);
    } else {
        installation.load.issue(10);
    }
    if place == A {
        // Each waiting message is refused again and again, always temporarily.
        let deadline = Instant::now() + PATIENCE;
        let count = |codes: std::collections::BTreeMap<u16, u64>| codes.values().sum::<u64>();
        while count(installation.load.deferred()) < count(before.clone()) + 4 {
            assert!(Instant::now() < deadline, "{}", installation.state("nobody was deferred"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // At B the other hospital's attempts fail until then.
    until("readiness stays green", installation, || alarms(installation, place) > red);
    faults.end();
    installation.everything_arrives();
    calm(installation, place);
    let codes: Vec<String> = installation
        .load
        .deferred()
        .into_iter()
        .map(|(code, count)| (code, count - before.get(&code).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .map(|(code, count)| format!("{count} × {code}"))
        .collect();
    let codes = if codes.is_empty() { "by hospital A only".to_owned() } else { codes.join(", ") };
    println!("{place:?} {what:?} {error}: deferred {codes}, all arrived, {} ms", started.elapsed().as_millis());
}

#[test]
fn a_failing_disk_defers_loses_nothing_and_needs_no_help() {
    let seed = Chance::seed("SCEAU_CRASH_SEED");
    println!("seed {seed}");
    let mut installation = Installation::start(seed);
    installation.load.issue(5);
    installation.everything_arrives();
    for what in What::ALL {
        for error in ["EIO", "ENOSPC", "EDQUOT"] {
            strike(&mut installation, A, what, error);
        }
    }
    let at_b: Vec<_> =
        What::ALL.into_iter().flat_map(|what| ["EIO", "ENOSPC", "EDQUOT"].map(|error| (what, error))).collect();
    // All in the full run; one of each kind otherwise.
    let step = repetitions(4, 1);
    for (what, error) in at_b.into_iter().step_by(step) {
        strike(&mut installation, B, what, error);
    }
    assert_eq!(installation.ledger.duplicates(), 0, "a disk fault repeats nothing");
    assert!(installation.load.deferred().keys().all(|code| matches!(code, 421 | 451 | 452)));
    installation.finish();
}

/// What a stranger is told at the door of hospital A.
fn greeting(installation: &Installation) -> (u16, String) {
    let mut wire = Wire::connect(installation.world.ports(A).submission);
    let reply = wire.reply();
    (reply.code, reply.text())
}

fn until(what: &str, installation: &Installation, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{}", installation.state(what));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A trail that cannot be written keeps nobody waiting: what it must tell is safe in the queue, the
/// alarm stands, and afterwards every entry is there once.
#[test]
fn a_trail_that_cannot_be_written_keeps_nobody_waiting_and_misses_nothing() {
    let mut installation = Installation::start(7);
    installation.load.issue(3);
    installation.everything_arrives();
    let trail = installation.world.folder().join(A.folder()).join("data/trail");
    let paths = [trail.join("checkpoints"), trail.join("log/checkpoint.new")];
    for error in ["EIO", "ENOSPC", "EDQUOT"] {
        let told = installation.gateway(A).log().matches("the trail cannot be written, its rows wait").count();
        let faults = Faults::inject_at(installation.gateway(A).pid(), "write", error, &paths);
        installation.load.issue(5);
        installation.everything_arrives();
        until("nobody is alarmed", &installation, || {
            installation.gateway(A).log().matches("the trail cannot be written, its rows wait").count() > told
        });
        faults.end();
        until("the alarm stays", &installation, || {
            installation.gateway(A).log().matches("the alarm is over").count() > told
        });
    }
    assert!(installation.load.deferred().is_empty(), "{:?}", installation.load.deferred());
    installation.finish();
}

/// CR5: while the file system takes no write at all, the door says 421 and the alarm stands; when it
/// does again, so does the gateway.
#[test]
fn a_read_only_disk_means_421_until_it_is_well() {
    let mut installation = Installation::start(5);
    assert_eq!(greeting(&installation).0, 220);
    let faults = Faults::inject(installation.gateway(A).pid(), "pwrite64,fsync,fdatasync,ftruncate", "EROFS");
    installation.load.issue(2);
    until("it still greets", &installation, || greeting(&installation).0 == 421);
    let (_, text) = greeting(&installation);
    assert!(text.contains("[not-ready]") && text.contains("Aide/help"), "{text}");
    installation.gateway(A).wait_for_line(&["storage-unavailable", "not ready"]);
    faults.end();
    until("it does not come back", &installation, || greeting(&installation).0 == 220);
    installation.gateway(A).wait_for_line(&["ready: messages are accepted"]);
    installation.everything_arrives();
    installation.finish();
}

/// CR3: under the reserve nothing new is taken, and what is queued goes out.
#[test]
fn a_disk_reserve_defers_the_new_and_drains_the_old() {
    let mut installation = Installation::start(6);
    installation.load.issue(20);
    installation.everything_arrives();
    // Ten messages wait for hospital B, which is away.
    installation.stop(B);
    installation.load.issue(10);
    assert!(installation.ledger.wait_acknowledged(30, PATIENCE));
    // statfs answers that 4 of 100 blocks are free: type, block size, blocks, free, available.
    let words = [0xef53_u64, 4096, 100, 4, 4].map(|word| word.to_le_bytes());
    let answer: String = words.iter().flatten().map(|octet| format!("{octet:02x}")).collect();
    let full =
        Faults::tamper(installation.gateway(A).pid(), "statfs,fstatfs", &format!("poke_exit=@arg2={answer}"), &[]);
    let before = installation.load.deferred().get(&452).copied().unwrap_or_default();
    installation.load.issue(3);
    until("nobody is deferred", &installation, || {
        installation.load.deferred().get(&452).copied().unwrap_or_default() >= before + 3
    });
    installation.gateway(A).wait_for_line(&["storage-full", "not ready"]);
    assert_eq!(installation.ledger.acknowledged(), 30, "a message was taken into the reserve");
    installation.restart(B);
    assert!(installation.ledger.delivered(PATIENCE), "{}", installation.state("the queue does not drain"));
    assert_eq!(installation.ledger.acknowledged(), 30, "a message was taken into the reserve");
    full.end();
    installation.everything_arrives();
    installation.finish();
}

/// Promise 3: a crash leaves no image of the memory.
#[test]
fn a_crash_dumps_no_core() {
    use std::os::unix::process::ExitStatusExt;
    let world = tests::world::World::new();
    let gateway = world.serve(A);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let status = gateway.crash();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
}
