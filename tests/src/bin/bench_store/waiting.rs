//! A queue in which very many messages wait: how it starts after a kill, and what it still takes.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::Advice;
use tests::bench::machine;
use tests::bench::report::{Ratio, Table};
use tests::place::Scratch;
use tokio::runtime::Runtime;

use crate::load::Subject;
use crate::{middle, paces};

/// Octets of a message.
const OCTETS: usize = 4096;
/// Longest start (design, performance budget).
const START: f64 = 10.0;
/// Share of an empty queue's throughput that must be left.
const LEFT: f64 = 0.9;
/// Messages of the load have numbers from here on, so that none repeats a waiting one.
const FIRST: u64 = 1 << 40;

/// In a process of its own: fills a queue, says so, and waits to be killed.
pub(crate) fn fill(folder: &Path, count: u64) {
    let subject = Subject::open(folder, 0);
    subject.fill(&Runtime::new().unwrap(), OCTETS, count);
    println!("full");
    std::thread::park();
}

/// A queue of `count` messages after a kill of the process that took them.
fn killed(folder: &Path, count: u64) -> Duration {
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--fill".as_ref(), folder.as_os_str(), count.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said, "full\n", "the queue could not be filled");
    took
}

/// The system forgets what it keeps of these files in memory, as after a restart of the machine.
fn forget(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(file) = File::open(&path)
            && path.is_file()
        {
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
    }
}

pub(crate) fn measure(runtime: &Runtime, rounds: usize, time: Duration, count: u64) -> Vec<Ratio> {
    // As many as take about as long.
    let through_count = time.as_millis().try_into().unwrap_or(u64::MAX) * 2;
    let folder = Scratch::new("bench-waiting");
    let (full, empty) = (folder.join("full"), folder.join("empty"));
    let filled = killed(&full, count);
    let size: u64 = std::fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!(
        "{count} messages of {OCTETS} octets queued in {:.1} s, then killed: {} MB on disk",
        filled.as_secs_f64(),
        size >> 20
    );
    forget(&full);
    let began = Instant::now();
    let full = Subject::open(&full, FIRST);
    let start = began.elapsed().as_secs_f64();
    println!("Start after the kill, nothing of the files in memory: {start:.2} s (load {})\n", machine::load());
    let empty = Subject::open(&empty, FIRST);
    let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..rounds {
        for (subject, [accepted, through]) in [&empty, &full].into_iter().zip(&mut rates) {
            accepted.push(subject.accept(runtime, OCTETS, time / 2));
            through.push(subject.through(runtime, OCTETS, through_count));
        }
    }
    let mut table = Table::new(&["messages a second", "middle", "lowest", "highest", "processor us each"]);
    let names = ["accepted, empty queue", "all the way, empty queue"].map(str::to_owned).into_iter();
    let names = names.chain(["accepted", "all the way"].map(|what| format!("{what}, {count} waiting")));
    for (name, rates) in names.zip(rates.iter().flatten()) {
        table.row(&paces(name, rates));
    }
    table.print();
    let [empty_rates, full_rates] = rates.map(|[accepted, through]| [middle(&accepted).rate, middle(&through).rate]);
    let left = |name, at: usize| {
        let (empty, full) = (empty_rates[at], full_rates[at]);
        let raw = format!("{full:.0}/s with {count} waiting, {empty:.0}/s with none; budget: 90 %");
        Ratio::new(name, raw, full / (LEFT * empty))
    };
    vec![
        Ratio::new("store_start", format!("{start:.2} s with {count} messages; budget {START} s"), START / start),
        left("store_waiting_accept", 0),
        left("store_waiting_through", 1),
    ]
}
