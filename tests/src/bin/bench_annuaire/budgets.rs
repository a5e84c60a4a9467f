//! What the design promises (§6): load, restart, memory, and the time of questions.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annuaire::{DataFolder, GenerateOptions, Generation, load};
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, quantile};

use crate::{Rounds, ours::InProcess, questions::Kind, subject::Subject};

/// Seconds, octets, microseconds.
const LOAD: f64 = 60.0;
const RESTART: f64 = 3.0;
const MEMORY: f64 = 1.5 * 1024.0 * 1024.0 * 1024.0;
const EXACT: f64 = 50.0;
const TYPED: f64 = 10_000.0;
const ANY: f64 = 100_000.0;

/// Writes, loads and opens again; the figures of each.
pub(crate) fn loaded(folder: &Path, people: u32) -> (Generation, Vec<Ratio>) {
    let (extracts, data) = (folder.join("extracts"), folder.join("data"));
    let began = Instant::now();
    let made = annuaire::generate(&extracts, &GenerateOptions::new(1, people)).unwrap();
    println!("Written: {} rows of five files in {:.1} s", made.rows.iter().sum::<u64>(), seconds(began.elapsed()));
    machine::forget_peak();
    let (began, before) = (Instant::now(), machine::processor_time());
    let report = load(&extracts, &data, false).unwrap();
    let took = seconds(began.elapsed());
    assert!(report.in_service(), "{:?}", report.reason);
    let used = seconds(machine::processor_time().saturating_sub(before));
    let peak = machine::peak_memory() as f64;
    println!(
        "Loaded: {:?}\n  in {took:.1} s ({used:.1} s of processor), {:.0} MB at most; load {}",
        report.totals.unwrap(),
        mega(peak),
        machine::load()
    );
    let (began, before) = (Instant::now(), machine::processor_time());
    let generation = DataFolder::new(&data).current().unwrap();
    let restart = seconds(began.elapsed());
    let busy = seconds(machine::processor_time().saturating_sub(before));
    let memory = machine::memory() as f64;
    println!("Opened again: {restart:.2} s ({busy:.2} s of processor), {:.0} MB resident", mega(memory));
    let ratio = |name, raw: String, figure: f64, budget: f64| Ratio::new(name, raw, budget / figure);
    let ratios = vec![
        ratio("annuaire_load", format!("{took:.1} s, budget {LOAD} s; budget / figure"), took, LOAD),
        ratio("annuaire_restart", format!("{restart:.2} s, budget {RESTART} s; budget / figure"), restart, RESTART),
        ratio(
            "annuaire_memory",
            format!("{:.0} MB at most while loading, budget {:.0} MB; budget / figure", mega(peak), mega(MEMORY)),
            peak,
            MEMORY,
        ),
    ];
    (generation, ratios)
}

/// Kinds that are looked up, not searched for.
const EXACT_KINDS: [&str; 2] = ["identifier", "mailbox"];

/// The times of the library, which is the first that was asked.
pub(crate) fn of_questions(kinds: &[Kind], name: Option<&str>, asked: &[Vec<Rounds>]) -> Vec<Ratio> {
    let name = name.unwrap_or_default();
    let (mut typed, mut longest) = (0f64, 0f64);
    for (kind, of_kind) in kinds.iter().zip(asked) {
        let Some(Some(rounds)) = of_kind.first() else { continue };
        let times = crate::times(rounds);
        let p99 = quantile(&times, 0.99);
        if !EXACT_KINDS.contains(&kind.name) {
            typed = typed.max(p99);
        }
        longest = longest.max(quantile(&times, 1.0));
    }
    let budget = |id, what: &str, figure: f64, budget: f64| {
        Ratio::new(id, format!("{name}, {what}: {figure:.1} us, budget {budget:.0}; budget / figure"), budget / figure)
    };
    vec![
        budget("annuaire_typed", "p99 of the slowest kind", typed, TYPED),
        budget("annuaire_longest", "the longest of all", longest, ANY),
    ]
}

/// Identifiers and mailboxes in this process, before the peers are loaded: what is looked up in microseconds is slower for a
/// while after the machine did something else for minutes, for everybody (the table has that).
pub(crate) fn exact(generation: &Arc<Generation>, kinds: &[Kind]) -> Ratio {
    let mut ours = InProcess(Arc::clone(generation));
    let mut worst = 0f64;
    println!("\nExact look-ups in process, microseconds:");
    let mut table = Table::new(&["", "asked", "p50", "p99", "longest"]);
    for kind in kinds.iter().filter(|kind| EXACT_KINDS.contains(&kind.name)) {
        let times: Vec<f64> = kind
            .questions
            .iter()
            .map(|question| {
                let began = Instant::now();
                let found = ours.ask(question);
                let took = began.elapsed().as_secs_f64() * 1e6;
                assert!(found.is_some_and(|found| found > 0), "{question:?} finds nobody");
                took
            })
            .collect();
        worst = worst.max(quantile(&times, 0.99));
        let shown = [0.5, 0.99, 1.0].map(|at| format!("{:.1}", quantile(&times, at)));
        table.row(&[[kind.name.to_owned(), times.len().to_string()].as_slice(), &shown].concat());
    }
    table.print();
    let raw =
        format!("in process, p99 of identifiers and mailboxes: {worst:.1} us, budget {EXACT:.0}; budget / figure");
    Ratio::new("annuaire_exact", raw, EXACT / worst)
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn mega(octets: f64) -> f64 {
    octets / 1024.0 / 1024.0
}
