//! Address books while somebody types: the filters of Thunderbird and of Outlook (reference annuaire §5), letter by letter,
//! each over a TLS connection of its own.

use std::time::Instant;

use annuaire::{Generation, fold};
use tests::asking::{
    ldap::Ldap,
    place::Doors,
    programs::{MOST, PROGRAMS},
};
use tests::bench::report::{Ratio, Table, quantile};
use tests::gateway::Gateway;

/// Microseconds that an answer may take (design §6: search as you type; nothing ever over).
const TYPED: f64 = 10_000.0;
const EVER: f64 = 100_000.0;

/// What the figures of each program are called.
const NAMES: [[&str; 2]; 2] = [
    ["annuaire_thunderbird_typed", "annuaire_thunderbird_longest"],
    ["annuaire_outlook_typed", "annuaire_outlook_longest"],
];

/// Types the names of so many people, far apart; a key is connected, bound, asked and answered.
pub(crate) fn measure(generation: &Generation, people: usize, (doors, gateway): (Doors, &Gateway)) -> Vec<Ratio> {
    gateway.wait_for_line(&["what is asked for most is read", generation.id()]);
    let step = (generation.totals().people as usize / people).max(1);
    let names: Vec<String> = generation
        .people()
        .filter(|person| person.active() && person.mailboxes().next().is_some())
        .step_by((step / 4).max(1))
        .take(people)
        .map(|person| fold(&format!("{} {}", person.given(), person.family())))
        .collect();
    println!(
        "\nAddress books, {} names typed letter by letter, a TLS connection for each key, {MOST} entries at most \
         (milliseconds):",
        names.len()
    );
    let mut table = Table::new(&["", "keys", "with entries", "p50", "p90", "p95", "p99", "longest"]);
    let mut ratios = Vec::new();
    let mut slowest = Vec::new();
    for ((program, spell), [typed_name, longest_name]) in PROGRAMS.into_iter().zip(NAMES) {
        let (mut times, mut answered, mut longest) = (Vec::new(), 0usize, (0.0, ""));
        for typed in names.iter().flat_map(|name| keys(name)) {
            let began = Instant::now();
            let found = Ldap::connect(doors.ldap, Doors::BASE).search(&spell(typed), MOST).unwrap();
            let took = began.elapsed().as_secs_f64() * 1e6;
            times.push(took);
            if took > longest.0 {
                longest = (took, typed);
            }
            assert!(found.is_answer(), "{program}: {typed:?} is answered with {found:?}");
            answered += usize::from(found.entries > 0);
        }
        let part = |part| quantile(&times, part);
        let shown = [0.5, 0.9, 0.95, 0.99, 1.0].map(|at| format!("{:.1}", part(at) / 1e3));
        let counts = [program.to_owned(), times.len().to_string(), answered.to_string()];
        table.row(&[counts.as_slice(), shown.as_slice()].concat());
        slowest.push(format!("{program} {:?}", longest.1));
        let figures =
            [(typed_name, "p99 of a key", part(0.99), TYPED), (longest_name, "longest of a key", longest.0, EVER)];
        ratios.extend(figures.map(|(name, what, figure, budget)| {
            let raw = format!("{program}, {what}: {figure:.0} us, budget {budget:.0}; budget / figure");
            Ratio::new(name, raw, budget / figure)
        }));
    }
    table.print();
    println!("Longest: {}", slowest.join(", "));
    ratios
}

/// What stands in the field after each key.
fn keys(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.map(|end| name[..end].trim_end())
}
