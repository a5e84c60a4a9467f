//! `tests/bench/store`: how many messages a second the queue takes durably, and what a million of
//! waiting ones changes.

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

mod load;
mod peer;
mod waiting;

use std::time::Duration;

use tests::bench::machine::{self, Pace};
use tests::bench::report::{Ratio, Table, median, print_ratios};
use tests::place::Scratch;
use tokio::runtime::Runtime;

use crate::load::{SUBMITTERS, Subject};
use crate::peer::Peer;

/// Durable accepts a second that the design wants, by octets of a message.
const BUDGET: [(usize, f64); 2] = [(4096, 20_000.0), (32 * 1024, 5_000.0)];

/// How long everything lasts.
struct Tier {
    rounds: usize,
    time: Duration,
    waiting: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--fill", folder, count] => return waiting::fill(folder.as_ref(), count.parse().unwrap()),
        ["--full"] => Tier { rounds: 7, time: Duration::from_secs(5), waiting: 1_000_000 },
        [] | ["--quick"] => Tier { rounds: 2, time: Duration::from_millis(1200), waiting: 20_000 },
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}", machine::describe());
    println!(
        "Load: {SUBMITTERS} submitters, each waits until its message is on stable storage; {} rounds of {} s, subjects \
         take turns, the middle round counts.\n",
        tier.rounds,
        tier.time.as_secs_f64()
    );
    let runtime = Runtime::new().unwrap();
    let mut ratios = Vec::new();
    for (octets, budget) in BUDGET {
        ratios.extend(accept(&runtime, &tier, octets, budget));
    }
    ratios.extend(waiting::measure(&runtime, tier.rounds, tier.time, tier.waiting));
    println!("\nLoad after: {}", machine::load());
    print_ratios(&ratios);
}

/// Durable accepts of one size, beside the peers.
fn accept(runtime: &Runtime, tier: &Tier, octets: usize, budget: f64) -> Vec<Ratio> {
    let folder = Scratch::new("bench-store");
    let subject = Subject::open(&folder.join("queue"), 0);
    let path = folder.path();
    let mut peers = [Peer::sqlite(path, 1), Peer::sqlite(path, SUBMITTERS), Peer::log(path, SUBMITTERS)];
    let mut ours = Vec::new();
    let mut theirs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..tier.rounds {
        ours.push(subject.accept(runtime, octets, tier.time));
        for (peer, rates) in peers.iter_mut().zip(&mut theirs) {
            rates.push(peer.run(octets, tier.time / 2, (round as u64) << 40));
        }
    }
    println!("Messages of {octets} octets taken durably, a second (load {}):", machine::load());
    let mut table = Table::new(&["", "middle", "lowest", "highest", "processor us each"]);
    table.row(&paces("sceau's store: envelope, recipients, trail".to_owned(), &ours));
    for (peer, rates) in peers.iter().zip(&theirs) {
        table.row(&paces(peer.name(), rates));
    }
    table.print();
    println!();
    let rate = middle(&ours).rate;
    let [each, group, log] = theirs.map(|paces| middle(&paces).rate);
    let (budget_name, each_name, group_name, log_name) = match octets {
        4096 => ("store_accept_4k", "store_4k_sqlite_each", "store_4k_sqlite_grouped", "store_4k_log"),
        _ => ("store_accept_32k", "store_32k_sqlite_each", "store_32k_sqlite_grouped", "store_32k_log"),
    };
    let beside = |name, peer: &str, figure: f64| {
        Ratio::new(name, format!("store {rate:.0}/s, {peer} {figure:.0}/s; store / peer"), rate / figure)
    };
    vec![
        Ratio::new(budget_name, format!("{rate:.0}/s; budget {budget:.0}/s"), rate / budget),
        beside(each_name, "SQLite with a transaction each", each),
        beside(group_name, "SQLite with grouped transactions", group),
        beside(log_name, "log file", log),
    ]
}

/// The middle of each figure.
fn middle(paces: &[Pace]) -> Pace {
    let of = |figure: fn(&Pace) -> f64| median(&paces.iter().map(figure).collect::<Vec<_>>());
    Pace { rate: of(|pace| pace.rate), processor: of(|pace| pace.processor) }
}

fn paces(name: String, paces: &[Pace]) -> [String; 5] {
    let rates = || paces.iter().map(|pace| pace.rate);
    let Pace { rate, processor } = middle(paces);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    [name, format!("{rate:.0}"), format!("{least:.0}"), format!("{most:.0}"), format!("{processor:.1}")]
}
