//! Address books while somebody types: the filters of Thunderbird and of Outlook (reference annuaire §5), letter by letter,
//! each over a TLS connection of its own.

use std::net::SocketAddr;
use std::time::Instant;

use annuaire::{Generation, fold};
use tests::asking::{
    ldap::{Filter, Ldap},
    place::Doors,
};
use tests::bench::report::{Ratio, Table, quantile};

/// Entries that both programs ask for.
const MOST: u8 = 100;
/// Microseconds that an answer may take (design §6: search as you type; nothing ever over).
const TYPED: f64 = 10_000.0;

/// A program, and how it asks for what was typed.
type Program = (&'static str, &'static str, fn(&str) -> Filter);

const PROGRAMS: [Program; 2] =
    [("Thunderbird", "annuaire_thunderbird", thunderbird), ("Outlook", "annuaire_outlook", outlook)];

fn thunderbird(typed: &str) -> Filter {
    let pieces = |text: &str| text.split(' ').filter(|piece| !piece.is_empty()).map(str::to_owned).collect();
    let contains = |name| Filter::Contains(name, typed.to_owned());
    let first = typed.split(' ').next().unwrap_or_default().to_owned();
    Filter::Any(vec![
        Filter::InOrder("cn", pieces(typed)),
        contains("mail"),
        Filter::Contains("givenName", first),
        contains("sn"),
    ])
}

fn outlook(typed: &str) -> Filter {
    let starts = |name| Filter::Starts(name, typed.to_owned());
    let names = Filter::Any(vec![starts("sn"), starts("givenName")]);
    let either = Filter::Any(vec![starts("mail"), Filter::Any(vec![starts("cn"), names])]);
    Filter::All(vec![Filter::Has("mail"), either])
}

/// Types the names of so many people, far apart; a key is connected, bound, asked and answered.
pub(crate) fn measure(generation: &Generation, people: usize, at: SocketAddr) -> Vec<Ratio> {
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
    for (program, id, spell) in PROGRAMS {
        let (mut times, mut answered) = (Vec::new(), 0usize);
        for typed in names.iter().flat_map(|name| keys(name)) {
            let began = Instant::now();
            let found = Ldap::connect(at, Doors::BASE).search(&spell(typed), MOST).unwrap();
            times.push(began.elapsed().as_secs_f64() * 1e6);
            assert!(found.is_answer(), "{program}: {typed:?} is answered with {found:?}");
            answered += usize::from(found.entries > 0);
        }
        let part = |part| quantile(&times, part);
        let shown = [0.5, 0.9, 0.95, 0.99, 1.0].map(|at| format!("{:.1}", part(at) / 1e3));
        let counts = [program.to_owned(), times.len().to_string(), answered.to_string()];
        table.row(&[counts.as_slice(), shown.as_slice()].concat());
        let raw = format!("{program}, p99 of a key: {:.0} us, budget {TYPED:.0}; budget / figure", part(0.99));
        ratios.push(Ratio::new(id, raw, TYPED / part(0.99)));
    }
    table.print();
    ratios
}

/// What stands in the field after each key.
fn keys(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.map(|end| name[..end].trim_end())
}
