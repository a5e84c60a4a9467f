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
mod keystrokes;
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
    subject::{Round, Subject, round},
};

/// Times that everybody is asked in turn; ratios are medians of as many.
const ROUNDS: usize = 5;

struct Tier {
    people: u32,
    questions: usize,
    /// How long one subject may take for the questions of one kind and round: some need seconds for one.
    patience: Duration,
    /// How long exact searches go on over several connections.
    exact: Duration,
    /// People whose names are typed into address books.
    typed: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--full"] => full(1_950_000),
        ["--full", people] => full(people.parse().expect("a number")),
        ["--keys"] => return keys(1_950_000),
        ["--keys", people] => return keys(people.parse().expect("a number")),
        ["--swap"] => return swap::measure(1_950_000),
        ["--swap", people] => return swap::measure(people.parse().expect("a number")),
        [] | ["--quick"] => {
            let (patience, exact) = (Duration::from_millis(200), Duration::from_millis(500));
            Tier { people: 20_000, questions: 200, patience, exact, typed: 20 }
        }
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}", machine::describe());
    let folder = Scratch::new("bench-annuaire");
    let (generation, mut ratios) = budgets::loaded(folder.path(), tier.people);
    let generation = Arc::new(generation);
    let began = Instant::now();
    let ready = generation.make_ready(None, None, &|| true);
    println!("Read before anybody asks, as the gateway does: {ready} words in {:.1} s", began.elapsed().as_secs_f64());
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
    ratios.push(budgets::exact(&generation, &kinds));
    ratios.extend(keystrokes::measure(&generation, tier.typed, (doors, &gateway)));
    let (sqlite, slapd, postgres) = peers(&folder, &generation, &world);
    ratios.extend(percore::exact(&kinds, tier.exact, (doors.ldap, gateway.pid()), (slapd.at, slapd.pid())));
    let mut subjects = subjects(&generation, doors, &gateway, sqlite, (&slapd, postgres));
    let asked = ask(&kinds, &mut subjects, tier.patience);
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

fn full(people: u32) -> Tier {
    Tier { people, questions: 2000, patience: Duration::from_secs(2), exact: Duration::from_secs(5), typed: 100 }
}

/// Exact look-ups and address books only, without the peers.
fn keys(people: u32) {
    println!("Machine: {}", machine::describe());
    let folder = Scratch::new("bench-annuaire");
    let (generation, _) = budgets::loaded(folder.path(), people);
    let generation = Arc::new(generation);
    let exact = budgets::exact(&generation, &questions::questions(&generation, full(people).questions));
    let world = World::new();
    let doors = Doors::open(&world, Some(&folder.join("data")));
    let gateway = world.serve(A);
    let mut ratios = keystrokes::measure(&generation, full(people).typed, (doors, &gateway));
    ratios.push(exact);
    println!("Load after: {}", machine::load());
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

/// What one subject did for one kind, round by round; nothing where it cannot be asked.
type Rounds = Option<Vec<Round>>;

/// All times of some rounds.
fn times(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().flat_map(|round| round.times.iter().copied()).collect()
}

/// So many exact questions of both kinds each is asked before any counts: the last of them, which are asked again in turn.
const WARMING: usize = 50;

/// Asks everybody everything, in turn.
fn ask(kinds: &[Kind], subjects: &mut [Box<dyn Subject>], patience: Duration) -> Vec<Vec<Rounds>> {
    // They have waited for minutes while the others were loaded: who comes first would be asked of cold memory.
    for subject in subjects.iter_mut() {
        subject.begin();
        for question in kinds.iter().take(2).flat_map(|kind| kind.questions.iter().rev().take(WARMING)) {
            let _ = subject.ask(question);
        }
    }
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
                match round(subject.as_mut(), questions, patience) {
                    Some(round) => so_far.push(round),
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
        "\nQuestions, {count} of each kind at most in {ROUNDS} rounds, everybody in turn, one connection kept open; \
         twenty answers each\n(microseconds, p50 / p99; -: cannot be asked there):"
    );
    let mut headings = vec![""];
    headings.extend(subjects.iter().map(|subject| subject.name()));
    let mut table = Table::new(&headings);
    for (kind, of_kind) in kinds.iter().zip(asked) {
        let mut cells = vec![kind.name.to_owned()];
        cells.extend(of_kind.iter().map(|rounds| rounds.as_deref().map_or_else(|| "-".to_owned(), cell)));
        table.row(&cells);
    }
    table.print();
    println!("{WHAT_DIFFERS}");
    let mut ratios = budgets::of_questions(kinds, subjects.first().map(|it| it.name()), asked);
    let at = kinds.iter().position(|kind| kind.name == NAME_TOWN).unwrap();
    let place = |name: &str| subjects.iter().position(|subject| subject.name() == name).unwrap();
    let of = |name: &str| asked[at][place(name)].as_deref().unwrap();
    for (theirs, ours) in [("SQLite", "sceau, in process"), ("slapd", "sceau, LDAP"), ("PostgreSQL", "sceau, LDAP")] {
        for (id, what, figure) in [("mean", "mean", mean as fn(&[f64]) -> f64), ("p99", "p99", p99)] {
            let pairs = of(ours).iter().zip(of(theirs));
            let rounds = pairs.map(|(a, b)| figure(&b.times) / figure(&a.times)).collect::<Vec<_>>();
            let raw = format!(
                "name and town as you type, {what}: {ours} {:.1} us, {theirs} {:.1} us; {:.2} times as fast (median of \
                 rounds), wanted {GOAL}",
                figure(&times(of(ours))),
                figure(&times(of(theirs))),
                median(&rounds)
            );
            let name = match (theirs, id) {
                ("SQLite", "mean") => "annuaire_name_town_sqlite",
                ("SQLite", _) => "annuaire_name_town_sqlite_p99",
                ("slapd", "mean") => "annuaire_name_town_slapd",
                ("slapd", _) => "annuaire_name_town_slapd_p99",
                (_, "mean") => "annuaire_name_town_postgresql",
                _ => "annuaire_name_town_postgresql_p99",
            };
            ratios.push(Ratio::new(name, raw, median(&rounds) / GOAL));
        }
    }
    ratios
}

/// Times as fast as each peer, asked through the same kind of client, that name and town are to be found.
const GOAL: f64 = 10.0;

/// What the table does not say by itself.
const WHAT_DIFFERS: &str = "\
(n %): so many found somebody, where it is not nearly all. Answers differ: we rank, count all hits, group activities and
mailboxes, and say how each word matched; SQLite and PostgreSQL give the first twenty rows in no order, by words and
their beginnings; slapd looks at whole values without accents (sn=dup*), not at each word, and gives the first twenty of
them. A letter too many: trigrams of half alike in PostgreSQL. Sounds: dmetaphone there, metaphone in slapd, both made for
English; FONEM here. SQLite is asked in this process; slapd and we over TLS; PostgreSQL without TLS, prepared.";

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

fn p99(times: &[f64]) -> f64 {
    quantile(times, 0.99)
}

fn cell(rounds: &[Round]) -> String {
    let times = times(rounds);
    let answered = rounds.iter().map(|round| round.answered).sum::<usize>();
    let mut cell = format!("{:.0} / {:.0}", quantile(&times, 0.5), quantile(&times, 0.99));
    if answered * 10 < times.len() * 9 {
        cell.push_str(&format!(" ({} %)", answered * 100 / times.len().max(1)));
    }
    cell
}
