//! `tests/bench/trail`: what it costs to write the trail, to prove that nobody altered it, and to find
//! something in it when it has grown tenfold.

// A bench that cannot do its work says so and ends.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod peer;
mod search;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ident::Timestamp;
use tests::bench::machine::{self, Pace, pace};
use tests::bench::report::{Ratio, Table, median, print_ratios};
use tests::bench::traffic::{EVENTS, Traffic};
use tests::place::Scratch;
use trail::log::{NoteSigner, Trail, TrailSecrets, verify};
use zeroize::Zeroizing;

const ORIGIN: &str = "trail.ch-exemple.test";
const SIGNING: [u8; 32] = [3; 32];
const WRAPPING: [u8; 32] = [5; 32];
/// Messages (two rows each) sequenced under one checkpoint, as a busy gateway does.
const BATCH: u64 = 1000;
/// Days over which the smaller trail is spread; ten times the events are ten times as many days.
const DAYS: u64 = 10;
/// Verification of ten million events (design, performance budget), in seconds.
const VERIFY: f64 = 60.0;
const VERIFIED: f64 = 1e7;
/// Messages that go into the peers.
const COMPARED: u64 = 4000;

/// A trail that grows.
struct Subject {
    folder: PathBuf,
    calendar: Calendar,
    trail: Trail,
    messages: u64,
}

fn main() {
    let small = match std::env::args().nth(1).as_deref() {
        Some("--full") => 1_000_000 / EVENTS,
        None | Some("--quick") => COMPARED,
        Some(other) => panic!("unknown option {other}"),
    };
    let calendar = Calendar { a_day: small / DAYS };
    println!("Machine: {}", machine::describe());
    println!(
        "Events: {EVENTS} of each message in two entries (accepted, sealed, admitted, queued; delivered), {} under a \
         checkpoint, {} messages a day.\n",
        BATCH * EVENTS,
        calendar.a_day
    );
    let folder = Scratch::new("bench-trail");
    let traffic = Traffic::new(1000, 200);
    let (mut one, mut ten) = (Subject::new(folder.join("one"), calendar), Subject::new(folder.join("ten"), calendar));
    let mut ratios = vec![append_beside_peers(folder.path(), &traffic, &mut one)];
    one.grow(&traffic, small);
    ten.grow(&traffic, small * 10);
    ratios.extend(search::growth(&traffic, &one, &ten));
    ratios.extend(ten.verify());
    println!("\nLoad after: {}", machine::load());
    print_ratios(&ratios);
}

fn secrets() -> TrailSecrets {
    TrailSecrets { wrapping: Zeroizing::new(WRAPPING), signer: NoteSigner::new(ORIGIN, &SIGNING).unwrap() }
}

/// When messages come.
#[derive(Clone, Copy)]
struct Calendar {
    /// Messages of a day.
    a_day: u64,
}

impl Calendar {
    /// When message `number` came.
    fn at(self, number: u64) -> Timestamp {
        const DAY: u64 = 24 * 3600 * 1000;
        Timestamp::from_seconds(1_700_006_400).plus(Duration::from_millis(number * DAY / self.a_day))
    }
}

/// The rows of some messages, as the outbox numbers them.
fn rows(traffic: &Traffic, calendar: Calendar, from: u64, to: u64) -> Vec<(u64, String)> {
    (from..to).flat_map(|number| (number * 2 + 1..).zip(traffic.rows(number, calendar.at(number)))).collect()
}

fn append_beside_peers(folder: &Path, traffic: &Traffic, subject: &mut Subject) -> Ratio {
    let (mut table, mut chain) = (peer::Table::new(folder), peer::Chain::new(folder));
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for from in (0..COMPARED).step_by(usize::try_from(BATCH).unwrap()) {
        let rows = rows(traffic, subject.calendar, from, from + BATCH);
        let rows: Vec<(u64, &str)> = rows.iter().map(|(number, lines)| (*number, lines.as_str())).collect();
        let timed = |append: &mut dyn FnMut()| {
            pace(|| {
                append();
                BATCH * EVENTS
            })
        };
        times[0].push(timed(&mut || subject.append(&rows, BATCH)));
        times[1].push(timed(&mut || table.append(&rows)));
        times[2].push(timed(&mut || chain.append(&rows)));
    }
    println!("Events appended durably, {} to a sync (load {}):", BATCH * EVENTS, machine::load());
    let mut shown = Table::new(&["", "events/s", "processor us each"]);
    let names = ["the trail: encrypted, indexed, signed", "SQLite table, 3 indexes", "chain of SHA-256"];
    let figures = times.map(|paces| {
        let of = |figure: fn(&Pace) -> f64| median(&paces.iter().map(figure).collect::<Vec<_>>());
        (of(|pace| pace.rate), of(|pace| pace.processor))
    });
    for (name, (rate, processor)) in names.iter().zip(figures) {
        shown.row(&[(*name).to_owned(), format!("{rate:.0}"), format!("{processor:.2}")]);
    }
    shown.print();
    let verified = pace(|| chain.verify());
    println!("  chain of SHA-256, computed again: {:.0} events/s\n", verified.rate);
    let [(ours, _), (theirs, _), _] = figures;
    Ratio::new(
        "trail_append_beside_table",
        format!("trail {ours:.0} events/s, SQLite table with 3 indexes {theirs:.0}/s; trail / table"),
        ours / theirs,
    )
}

impl Subject {
    fn new(folder: PathBuf, calendar: Calendar) -> Self {
        let (trail, _) = Trail::open(&folder, secrets()).unwrap();
        Self { folder, calendar, trail, messages: 0 }
    }

    fn append(&mut self, rows: &[(u64, &str)], messages: u64) {
        self.trail.append("bench", rows, self.calendar.at(self.messages)).unwrap();
        self.messages += messages;
    }

    /// Appends until the trail tells of so many messages.
    fn grow(&mut self, traffic: &Traffic, messages: u64) {
        let (began, first) = (Instant::now(), self.messages);
        while self.messages < messages {
            let more = BATCH.min(messages - self.messages);
            let rows = rows(traffic, self.calendar, self.messages, self.messages + more);
            let rows: Vec<(u64, &str)> = rows.iter().map(|(number, lines)| (*number, lines.as_str())).collect();
            self.append(&rows, more);
        }
        let added = (self.messages - first) * EVENTS;
        println!(
            "Grown to {} events, {} entries, {} days: {added} more in {:.1} s",
            self.messages * EVENTS,
            self.trail.size(),
            self.messages.div_ceil(self.calendar.a_day),
            began.elapsed().as_secs_f64()
        );
    }

    fn verify(&self) -> Vec<Ratio> {
        let events = self.messages * EVENTS;
        let signer = NoteSigner::new(ORIGIN, &SIGNING).unwrap();
        let records = pace(|| {
            let report = verify(&self.folder, signer.verifier(), Some(&WRAPPING), &[]).unwrap();
            assert!(report.ok && report.records_opened, "{report:?}");
            assert_eq!(report.size, self.messages * 2);
            events
        });
        let tree = pace(|| {
            assert!(verify(&self.folder, signer.verifier(), None, &[]).unwrap().ok);
            events
        });
        let peer = pace(|| {
            let theirs = peer::tlog_root(&self.folder.join("log"), self.trail.size());
            assert_eq!(theirs, self.trail.latest().unwrap().root, "the independent crate computes another root");
            events
        });
        println!("\nVerified {events} events, {} entries (load {}):", self.trail.size(), machine::load());
        let mut table = Table::new(&["", "events/s", "processor us each"]);
        let names =
            ["everything, records decrypted and read", "tree, tiles and checkpoints", "the tree alone, by tlog_tiles"];
        for (name, pace) in names.into_iter().zip([records, tree, peer]) {
            table.row(&[name.to_owned(), format!("{:.0}", pace.rate), format!("{:.3}", pace.processor)]);
        }
        table.print();
        let seconds = VERIFIED / records.rate;
        vec![
            Ratio::new(
                "trail_verify",
                format!("{:.0} events/s: {seconds:.1} s for 10 M; budget {VERIFY} s", records.rate),
                VERIFY / seconds,
            ),
            Ratio::new(
                "trail_verify_tree_beside_tlog",
                format!("{:.0} events/s with tiles and checkpoints, tlog_tiles {:.0}/s", tree.rate, peer.rate),
                tree.rate / peer.rate,
            ),
        ]
    }
}
