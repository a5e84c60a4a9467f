//! What the trail costs: the same gateway under the same load, in turn with its trail and without.
//!
//! No setting of the product turns the trail off, and none is made for this bench: between two runs, while the
//! gateway stands still, a trigger is put into its database that drops every row of the outbox. So nothing
//! is written, encrypted, signed or indexed. What is left is making the records as JSON in memory; it is
//! measured alone and counted as loss too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ident::{Clock, SystemClock};
use rusqlite::Connection;
use sceau::demo::cast::Place;
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, median};
use tests::bench::subjects::Subject;
use tests::bench::traffic::Traffic;

use crate::{Bench, Round, delivered, processor};

/// Share of the throughput that the trail may cost (design, performance budget).
const BUDGET: f64 = 0.05;
/// How often the records of a message are made to see what that costs.
const TIMES: u64 = 2000;

pub(crate) fn measure(bench: &mut Bench) -> [Ratio; 2] {
    let queue = bench.world.folder().join(Place::A.folder()).join("data/queue/queue.db");
    let mut rounds = [Vec::new(), Vec::new()];
    let mut shares = Vec::new();
    for pair in 0..bench.tier.pairs {
        // Whoever comes second in one pair comes first in the next: a machine that slows down favours nobody.
        let order = if pair % 2 == 0 { [true, false] } else { [false, true] };
        for told in order {
            rounds[usize::from(told)].push(once(bench, &queue, told));
        }
        if let [Some(without), Some(with)] = rounds.each_ref().map(|rounds| rounds.last()) {
            shares.push(with.delivered / without.delivered);
        }
    }
    let [without, with] = &rounds;
    let mut table = Table::new(&["sceau, sealing", "delivered/s", "at the sink", "CPU ms each"]);
    for (name, rounds) in [("without its trail", without), ("with its trail", with)] {
        let arrived: u64 = rounds.iter().map(|round| round.arrived.messages).sum();
        table.row(&[
            name.to_owned(),
            format!("{:.1}", delivered(rounds)),
            arrived.to_string(),
            format!("{:.3}", processor(rounds)),
        ]);
    }
    println!("\nWith and without the trail, {} pairs of runs in turn (load {}):", bench.tier.pairs, machine::load());
    table.print();
    let making = making().as_secs_f64() * 1e3;
    println!("  making a message's records in memory, in both: {making:.4} ms");
    let making = making / processor(without);
    let loss = 1.0 - median(&shares) + making;
    let ratio = |name, raw: String, loss: f64| {
        let raw = format!("{raw}; budget {:.0} %; what is left / 95 %", BUDGET * 100.0);
        Ratio::new(name, raw, (1.0 - loss) / (1.0 - BUDGET))
    };
    let (told, untold) = (processor(with), processor(without));
    let more = 1.0 - (untold / told) * (1.0 - making);
    let (fast, faster) = (delivered(with), delivered(without));
    [
        ratio(
            "relay_trail",
            format!(
                "{fast:.1}/s with the trail, {faster:.1}/s without; middle of the pairs, with making the records: \
                 {:.1} % lost",
                loss * 100.0
            ),
            loss,
        ),
        // On a busy machine the one to believe: what else runs hardly changes it.
        ratio(
            "relay_trail_processor",
            format!(
                "{told:.3} ms of the processor for a message with the trail, {untold:.3} ms without; with making the \
                 records: {:.1} % of it",
                more * 100.0
            ),
            more,
        ),
    ]
}

/// One run, on a gateway that was started for it.
fn once(bench: &mut Bench, queue: &Path, told: bool) -> Round {
    if !queue.exists() {
        stop(Subject::sceau(&bench.world));
    }
    set(queue, told);
    let subject = Subject::sceau(&bench.world);
    let before = entries(bench.world.folder());
    let round = bench.round(&subject);
    stop(subject);
    set(queue, true);
    let after = entries(bench.world.folder());
    // A run counts only when it was what it is called.
    assert_eq!(after > before + round.sent.accepted / 2, told, "entries of the trail: {before}, then {after}");
    round
}

fn stop(subject: Subject) {
    if let Subject::Sceau(mut gateway) = subject {
        assert!(gateway.stop().success(), "{}", gateway.log());
    }
}

/// Whether rows of the outbox are kept, in a database that nobody serves.
fn set(queue: &Path, told: bool) {
    let trigger = "CREATE TRIGGER IF NOT EXISTS untold BEFORE INSERT ON outbox BEGIN SELECT RAISE(IGNORE); END";
    let sql = if told { "DROP TRIGGER IF EXISTS untold" } else { trigger };
    Connection::open(queue).unwrap().execute_batch(sql).unwrap();
}

/// Entries of hospital A's trail.
fn entries(world: &Path) -> u64 {
    let note: PathBuf = world.join(Place::A.folder()).join("data/trail/log/checkpoint");
    // No checkpoint yet: no entry. Its second line is the number (C2SP tlog-checkpoint).
    std::fs::read_to_string(note).ok().and_then(|note| note.lines().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Processor time for the records of one message that is accepted and delivered.
fn making() -> Duration {
    let traffic = Traffic::new(100, 10);
    let now = SystemClock.now();
    let before = machine::processor_time();
    for number in 0..TIMES {
        std::hint::black_box(traffic.rows(number, now));
    }
    machine::processor_time().saturating_sub(before) / u32::try_from(TIMES).unwrap()
}
