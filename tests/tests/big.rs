//! Messages too large for memory: the real gateways keep to their bounds while such messages are sealed,
//! relayed, opened and delivered, and a disk that fills meanwhile defers and leaves nothing behind.
//!
//! `tests/run` sends one of 20 MB; `tests/run --full` one of 100 MB and fifty of 25 MB at once.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ident::Fingerprint;
use openssl::sha::Sha256;
use sceau::demo::cast::Place::{A, B};
use tests::capture::{Sink, SinkOptions};
use tests::faults::Faults;
use tests::gateway::Gateway;
use tests::tier::repetitions;
use tests::world::{World, letter};

const MIB: u64 = 1024 * 1024;
/// How long the slowest machine may take for the largest message.
const ARRIVES: Duration = Duration::from_secs(1200);

fn world(message: &str) -> World {
    let world = World::new();
    for place in [A, B] {
        world.append(place, "sceau.toml", &format!("[limits]\nmessage = \"{message}\""));
    }
    world
}

/// What the inner store got, as the hash of everything from the first field of the letter on.
fn store(world: &World) -> (Sink, Receiver<(Fingerprint, usize)>) {
    let (sender, receiver) = channel();
    let sender = std::sync::Mutex::new(sender);
    let options = SinkOptions::lmtp().at(world.ports(B).inner).giving_to(move |captured| {
        let message = captured.message;
        let from = message.windows(7).position(|octets| octets == b"From: <").unwrap();
        let _ = sender.lock().unwrap().send((digest(&[&message[from..]]), message.len()));
    });
    (Sink::start(options), receiver)
}

fn digest(pieces: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    Fingerprint::new(hash.finish())
}

/// A letter of so many octets: its beginning, and a line that is repeated.
struct Large {
    head: Vec<u8>,
    block: Vec<u8>,
    blocks: usize,
}

impl Large {
    fn new(world: &World, subject: &str, octets: u64) -> Self {
        let head = letter(&world.address("martin"), &world.address("moreau"), subject);
        let line: String = (0..76u8).map(|column| char::from(b'A' + column % 26)).collect();
        let block = format!("{line}\r\n").repeat(512).into_bytes();
        Self { head, blocks: usize::try_from(octets).unwrap() / block.len(), block }
    }

    fn digest(&self) -> Fingerprint {
        let mut pieces = vec![&self.head[..]];
        pieces.extend(std::iter::repeat_n(&self.block[..], self.blocks));
        digest(&pieces)
    }

    /// Sends it to hospital A; the code of the answer at the end of data.
    fn send(&self, world: &World) -> u16 {
        let mut wire = world.submission(A, world.card("martin")).patient(ARRIVES);
        wire.exchange("EHLO wire.test", 250);
        wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
        wire.exchange(&format!("RCPT TO:<{}>", world.address("moreau")), 250);
        wire.exchange("DATA", 354);
        wire.send(&self.head);
        (0..self.blocks).all(|_| wire.try_send(&self.block));
        wire.send(b".\r\n");
        wire.reply().code
    }
}

/// Resident memory of a program now, and the most that it ever had, in octets.
fn resident(gateway: &Gateway) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Sends one letter from hospital A to hospital B and says by how much each grew.
fn grows(octets: u64) -> [u64; 2] {
    let world = world("110MB");
    let (_store, arrived) = store(&world);
    let gateways = [world.serve(A), world.serve(B)];
    // What is made at first use is not what a large message costs.
    let small = Large::new(&world, "premier", 100_000);
    assert_eq!(small.send(&world), 250);
    assert_eq!(arrived.recv_timeout(ARRIVES).unwrap().0, small.digest());
    let before = gateways.each_ref().map(|gateway| resident(gateway).0);
    let large = Large::new(&world, "volumineux", octets);
    assert_eq!(large.send(&world), 250, "{}", gateways[0].log());
    let (digest, _) = arrived.recv_timeout(ARRIVES).unwrap_or_else(|_| panic!("{}", gateways[1].log()));
    assert_eq!(digest, large.digest(), "it arrives as it was written");
    let mut after = gateways.iter().map(|gateway| resident(gateway).1);
    before.map(|before| after.next().unwrap().saturating_sub(before))
}

/// 100 MB (20 MB in the short run) within 64 MB of memory more, at the gateway that seals and at the one that
/// opens.
#[test]
fn a_message_larger_than_its_memory() {
    let octets = u64::try_from(repetitions(20, 100)).unwrap() * 1_000_000;
    let [sealing, opening] = grows(octets);
    println!(
        "a message of {} MB: the sealing gateway grew by {} MB, the opening one by {} MB",
        octets / 1_000_000,
        sealing / MIB,
        opening / MIB
    );
    assert!(sealing <= 64 * MIB && opening <= 64 * MIB, "{sealing} {opening}");
}

/// Fifty letters of 25 MB at once (three of 3 MB in the short run) within 400 MB resident.
#[test]
fn many_large_messages_at_once() {
    let count = repetitions(3, 50);
    let world = world("30MB");
    let (_store, arrived) = store(&world);
    let gateways = [world.serve(A), world.serve(B)];
    let octets = u64::try_from(repetitions(3, 25)).unwrap() * 1_000_000;
    let letters: Vec<Large> = (0..count).map(|n| Large::new(&world, &format!("lettre {n}"), octets)).collect();
    std::thread::scope(|scope| {
        let sending: Vec<_> = letters.iter().map(|letter| scope.spawn(|| letter.send(&world))).collect();
        sending.into_iter().for_each(|sent| assert_eq!(sent.join().unwrap(), 250));
    });
    let mut missing: Vec<Fingerprint> = letters.iter().map(Large::digest).collect();
    while !missing.is_empty() {
        let (digest, _) = arrived.recv_timeout(ARRIVES).unwrap();
        missing.retain(|expected| *expected != digest);
    }
    let most = gateways.each_ref().map(|gateway| resident(gateway).1);
    println!(
        "{count} messages of {} MB at once: {} MB and {} MB resident",
        octets / 1_000_000,
        most[0] / MIB,
        most[1] / MIB
    );
    assert!(most.iter().all(|most| *most <= 400 * MIB), "{most:?}");
}

/// Files of message bodies, finished or not.
fn bodies(data: &Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(data.join("queue/bodies")).unwrap();
    shards
        .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

/// The names that bodies will be written under.
fn names_to_come(data: &Path) -> Vec<PathBuf> {
    let database = data.join("queue/queue.db");
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let generation: i64 =
        db.query_row("SELECT value FROM meta WHERE key = 'generation'", [], |row| row.get(0)).unwrap();
    (0..200).map(|number| data.join(format!("queue/bodies/unfinished/{generation:x}-{number:x}"))).collect()
}

/// The disk fills while the sealed body is written, or while the message comes in: 452, and no file is left. When
/// there is room again the same message goes through.
#[test]
fn a_disk_that_fills_meanwhile() {
    let world = world("30MB");
    let (_store, arrived) = store(&world);
    let gateways = [world.serve(A), world.serve(B)];
    let data = world.folder().join(A.folder()).join("data");
    let large = Large::new(&world, "disque plein", 3_500_000);
    let faults = Faults::inject_at(gateways[0].pid(), "write", "ENOSPC", &names_to_come(&data));
    assert_eq!(large.send(&world), 452, "{}", gateways[0].log());
    faults.end();
    assert_eq!(bodies(&data), Vec::<PathBuf>::new());

    let faults = Faults::inject_at(gateways[0].pid(), "open,openat", "ENOSPC", &[data.join("spool")]);
    assert_eq!(large.send(&world), 452, "{}", gateways[0].log());
    faults.end();
    assert_eq!(bodies(&data), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read_dir(data.join("spool")).unwrap().count(), 0, "what is in hand has no name");

    // Readiness comes back by itself once it has tried the disk.
    let deadline = Instant::now() + ARRIVES;
    while large.send_when_ready(&world) != 250 {
        assert!(Instant::now() < deadline, "not ready again: {}", gateways[0].log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(arrived.recv_timeout(ARRIVES).unwrap().0, large.digest());
}

impl Large {
    /// As [`Self::send`], for a gateway that may say at MAIL already that it cannot.
    fn send_when_ready(&self, world: &World) -> u16 {
        let mut wire = world.submission(A, world.card("martin"));
        wire.exchange("EHLO wire.test", 250);
        wire.say(&format!("MAIL FROM:<{}>", world.address("martin")));
        match wire.reply().code {
            250 => self.send(world),
            code => {
                assert!((400..500).contains(&code), "{code}");
                code
            }
        }
    }
}
