//! `tests/bench/annuaire`: load, restart, memory and how long questions take, kind by kind and door by door, beside
//! slapd, PostgreSQL and SQLite over the same people.

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

mod budgets;
mod data;
mod ours;
mod percore;
mod postgres;
mod questions;
mod slapd;
mod sqlite;
mod subject;
mod swap;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annuaire::{Generation, words};
use sceau::demo::cast::Place::A;
use tests::asking::place::Doors;
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, median, print_ratios, quantile};
use tests::gateway::Gateway;
use tests::place::Scratch;
use tests::world::World;

use crate::{
    ours::{InProcess, OverHttp, OverLdap},
    postgres::Postgres,
    questions::{Kind, NAME_TOWN},
    slapd::Slapd,
    sqlite::Sqlite,
    subject::{Subject, times},
};

/// Times that everybody is asked in turn; ratios are medians of as many.
const ROUNDS: usize = 5;

struct Tier {
    people: u32,
    questions: usize,
    /// How long exact searches go on over several connections.
    exact: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--full"] => Tier { people: 1_950_000, questions: 2000, exact: Duration::from_secs(5) },
        ["--full", people] => {
            Tier { people: people.parse().expect("a number"), questions: 2000, exact: Duration::from_secs(5) }
        }
        ["--swap"] => return swap::measure(1_950_000),
        ["--swap", people] => return swap::measure(people.parse().expect("a number")),
        [] | ["--quick"] => Tier { people: 20_000, questions: 200, exact: Duration::from_millis(500) },
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}", machine::describe());
    let folder = Scratch::new("bench-annuaire");
    let (generation, mut ratios) = budgets::loaded(folder.path(), tier.people);
    let generation = Arc::new(generation);
    let mut tokens = std::collections::HashSet::new();
    for person in generation.people() {
        tokens.extend(words(person.family()).into_iter().chain(words(person.given())));
    }
    println!("Distinct words in names: {}", tokens.len());
    assert!(tier.people < 1_000_000 || tokens.len() >= 200_000, "too few names for a nation");
    drop(tokens);
    let kinds = questions::questions(&generation, tier.questions);

    let world = World::new();
    let doors = Doors::open(&world, Some(&folder.join("data")));
    let gateway = world.serve(A);
    println!("Gateway started; it has {} MB resident", mega(subject::resident(gateway.pid())));
    let (sqlite, slapd, postgres) = peers(&folder, &generation, &world);
    ratios.extend(percore::exact(&kinds, tier.exact, (doors.ldap, gateway.pid()), (slapd.at, slapd.pid())));
    let mut subjects = subjects(&generation, doors, &gateway, sqlite, (&slapd, postgres));
    let asked = ask(&kinds, &mut subjects);
    println!("\nMemory, in MB (of a process and its children, what is shared once):");
    for subject in &subjects {
        if let Some(resident) = subject.resident() {
            println!("  {}: {}", subject.name(), mega(resident));
        }
    }
    ratios.extend(judged(&kinds, &subjects, &asked));
    println!("\nLoad after: {}", machine::load());
    print_ratios(&ratios);
}

fn mega(octets: u64) -> u64 {
    octets / 1024 / 1024
}

/// The peers, loaded with everybody.
fn peers(folder: &Scratch, generation: &Generation, world: &World) -> (Sqlite, Slapd, Postgres) {
    let timed = |name: &str, began: Instant| println!("  {name}, in {:.1} s", began.elapsed().as_secs_f64());
    println!("\nPeers loaded with the same {} people:", generation.totals().people);
    let began = Instant::now();
    let sqlite = Sqlite::load(folder.path(), &mut data::rows(generation, "SQLite"));
    timed(&format!("SQLite {} with FTS5, prefix = '2 3 4'", rusqlite::version()), began);
    let began = Instant::now();
    let postgres = Postgres::load(&folder.folder("postgres", 0o755), &mut data::rows(generation, "PostgreSQL"));
    timed(&format!("PostgreSQL ({}), {} MB", postgres::SETTINGS.join("; "), mega(postgres.octets)), began);
    let [identity, _] = &world.space.gateways;
    let files: (&Path, &Path) = (&identity.certificate, &identity.key);
    let began = Instant::now();
    let slapd = Slapd::load(&folder.folder("slapd", 0o755), files, &mut data::rows(generation, "slapd"));
    timed(&format!("slapd ({}), {} MB", slapd::SETTINGS.join("; "), mega(slapd.octets)), began);
    (sqlite, slapd, postgres)
}

fn subjects(
    generation: &Arc<Generation>,
    doors: Doors,
    gateway: &Gateway,
    sqlite: Sqlite,
    (slapd, postgres): (&Slapd, Postgres),
) -> Vec<Box<dyn Subject>> {
    let pid = gateway.pid();
    vec![
        Box::new(InProcess(Arc::clone(generation))),
        Box::new(sqlite),
        Box::new(OverLdap::new("sceau, LDAP", doors.ldap, pid, true)),
        Box::new(OverLdap::new("slapd", slapd.at, slapd.pid(), false)),
        Box::new(OverHttp::page(doors.http, pid)),
        Box::new(OverHttp::fhir(doors.http, pid)),
        Box::new(postgres),
    ]
}

/// Times of one subject for one kind, round by round; nothing where it cannot be asked.
type Rounds = Option<Vec<Vec<f64>>>;

/// Asks everybody everything, in turn.
fn ask(kinds: &[Kind], subjects: &mut [Box<dyn Subject>]) -> Vec<Vec<Rounds>> {
    let mut all = Vec::new();
    for kind in kinds {
        let mut of_kind: Vec<Rounds> = subjects.iter().map(|_| Some(Vec::new())).collect();
        let size = kind.questions.len().div_ceil(ROUNDS).max(1);
        for questions in kind.questions.chunks(size) {
            for (subject, rounds) in subjects.iter_mut().zip(&mut of_kind) {
                let Some(so_far) = rounds else { continue };
                subject.begin();
                // The first question of a connection is not what is measured.
                let _ = questions.first().and_then(|question| subject.ask(question));
                match times(subject.as_mut(), questions) {
                    Some(times) => so_far.push(times),
                    None => *rounds = None,
                }
            }
        }
        eprintln!("  asked: {}", kind.name);
        all.push(of_kind);
    }
    all
}

/// The tables, and what was promised of them.
fn judged(kinds: &[Kind], subjects: &[Box<dyn Subject>], asked: &[Vec<Rounds>]) -> Vec<Ratio> {
    let count = kinds.first().map_or(0, |kind| kind.questions.len());
    println!(
        "\nQuestions, {count} of each kind in {ROUNDS} rounds, everybody in turn, one connection kept open; twenty \
         answers each\n(microseconds, p50 / p99; -: cannot be asked there):"
    );
    let mut headings = vec![""];
    headings.extend(subjects.iter().map(|subject| subject.name()));
    let mut table = Table::new(&headings);
    let flat = |rounds: &Rounds| rounds.as_ref().map(|rounds| rounds.concat());
    for (kind, of_kind) in kinds.iter().zip(asked) {
        let mut cells = vec![kind.name.to_owned()];
        cells.extend(of_kind.iter().map(|rounds| match flat(rounds) {
            Some(times) => format!("{:.0} / {:.0}", quantile(&times, 0.5), quantile(&times, 0.99)),
            None => "-".to_owned(),
        }));
        table.row(&cells);
    }
    table.print();
    let own = |name: &str| name.starts_with("sceau");
    let mut ratios = budgets::of_questions(kinds, subjects.first().map(|it| it.name()), asked);
    let at = kinds.iter().position(|kind| kind.name == NAME_TOWN).unwrap();
    let of = |subject: usize| asked[at][subject].clone().unwrap();
    let fastest = |figure: &dyn Fn(&[f64]) -> f64, wanted: bool| -> (usize, f64) {
        let mine = subjects.iter().enumerate().filter(|(_, subject)| own(subject.name()) == wanted);
        let figures = mine.map(|(n, _)| (n, figure(&of(n).concat())));
        figures.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len().max(1) as f64;
    let pair = |name, ours: usize, theirs: usize, figure: &dyn Fn(&[f64]) -> f64, what: &str, goal: f64| {
        let rounds = of(ours).iter().zip(&of(theirs)).map(|(a, b)| figure(b) / figure(a)).collect::<Vec<_>>();
        let (a, b) = (figure(&of(ours).concat()), figure(&of(theirs).concat()));
        let raw = format!(
            "{what}: {} {a:.1} us, {} {b:.1} us; {:.2} times as fast (median of rounds), wanted {goal}",
            subjects[ours].name(),
            subjects[theirs].name(),
            median(&rounds)
        );
        Ratio::new(name, raw, median(&rounds) / goal)
    };
    let (ours, theirs) = (0, fastest(&mean, false).0);
    ratios.push(pair("annuaire_name_town_mean", ours, theirs, &mean, "name and town, mean", 10.0));
    let p99 = |times: &[f64]| quantile(times, 0.99);
    let theirs = fastest(&p99, false).0;
    ratios.push(pair("annuaire_name_town_p99", ours, theirs, &p99, "name and town, p99", 10.0));
    let place = |name: &str| subjects.iter().position(|subject| subject.name() == name).unwrap();
    let (ldap, slapd) = (place("sceau, LDAP"), place("slapd"));
    ratios.push(pair("annuaire_name_town_ldap", ldap, slapd, &mean, "name and town over LDAP, mean", 10.0));
    let postgres = place("PostgreSQL");
    ratios.push(pair("annuaire_name_town_server", ldap, postgres, &mean, "name and town from a server, mean", 10.0));
    ratios
}
