//! `tests/bench/annuaire`: load, restart, memory and how long questions take, kind by kind.

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

use std::path::Path;
use std::time::{Duration, Instant};

use annuaire::{
    DataFolder, Field, Filter, GenerateOptions, Generation, How, Page, Person, Question, fold, load, words,
};
use ident::{Address, PersonId};
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, print_ratios, quantile};
use tests::place::Scratch;

use crate::peer::Peer;

/// Budgets of the design, §6: seconds, octets, microseconds.
const LOAD: f64 = 60.0;
const RESTART: f64 = 3.0;
const MEMORY: f64 = 1.5 * 1024.0 * 1024.0 * 1024.0;
const EXACT: f64 = 50.0;
const TYPED: f64 = 10_000.0;
const ANY: f64 = 100_000.0;

/// Hits of a page.
const PAGE: usize = 20;

struct Tier {
    people: u32,
    questions: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--full"] => Tier { people: 1_950_000, questions: 2000 },
        [] | ["--quick"] => Tier { people: 20_000, questions: 400 },
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}", machine::describe());
    let folder = Scratch::new("bench-annuaire");
    let (generation, mut ratios) = loaded(folder.path(), &tier);
    let mut tokens = std::collections::HashSet::new();
    for person in generation.people() {
        tokens.extend(words(person.family()).into_iter().chain(words(person.given())));
    }
    println!("Distinct words in names: {}", tokens.len());
    assert!(tier.people < 1_000_000 || tokens.len() >= 200_000, "too few names for a nation");
    drop(tokens);
    let mut questions = Questions::of(&generation, tier.questions);
    println!("\nQuestions, one thread, {} of each kind (microseconds; load {}):", tier.questions, machine::load());
    let mut table = Table::new(&["", "p50", "p90", "p99", "longest"]);
    let mut longest = 0f64;
    let mut p99 = |name: &str, times: &[f64]| {
        let of = |share| quantile(times, share);
        table.row(&[
            name.to_owned(),
            format!("{:.1}", of(0.5)),
            format!("{:.1}", of(0.9)),
            format!("{:.1}", of(0.99)),
            format!("{:.1}", of(1.0)),
        ]);
        longest = longest.max(of(1.0));
        of(0.99)
    };
    let exact = {
        let ids = times(&questions.ids, |id| generation.person(id).is_some());
        let addresses = times(&questions.addresses, |address| generation.mailbox(address).is_some());
        p99("identifier", &ids).max(p99("address", &addresses))
    };
    let ask = |text: &String| {
        let hits = generation.people_where(None, &Question::text(text), Page::first(PAGE)).hits;
        hits.iter().map(|hit| hit.of.family().len()).sum::<usize>() > 0
    };
    let mut typed = 0f64;
    for (name, texts) in &questions.texts {
        typed = typed.max(p99(name, &times(texts, ask)));
    }
    let names = times(&questions.fragments, |part| {
        let filter = Filter::Words { fields: Field::Family.into(), how: How::Contains, text: part.clone() };
        !generation.people_where(None, &Question::filter(filter), Page::first(PAGE)).hits.is_empty()
    });
    p99("part of a family name", &names);
    let peer = Peer::load(&folder.path().join("peer.db"), &generation);
    let mut beside = |name: &str, texts: &[String]| {
        let theirs = times(texts, |text| peer.search(text) > 0);
        p99(&format!("FTS5: {name}"), &theirs);
        let ours = times(texts, ask);
        (quantile(&ours, 0.99), quantile(&theirs, 0.99), ours.iter().sum::<f64>(), theirs.iter().sum::<f64>())
    };
    let town = questions.texts.remove(1);
    let (ours, theirs, our_sum, their_sum) = beside(town.0, &town.1);
    table.print();
    let budget = |name, unit, figure: f64, budget: f64| {
        Ratio::new(name, format!("{figure:.1} {unit}, budget {budget:.1}; budget / figure"), budget / figure)
    };
    ratios.push(budget("annuaire_exact", "us p99", exact, EXACT));
    ratios.push(budget("annuaire_typed", "us p99 of the slowest kind", typed, TYPED));
    ratios.push(budget("annuaire_longest", "us, the longest of all", longest, ANY));
    let raw = format!("sceau {ours:.1} us, asked again after FTS5, {theirs:.1} us p99; FTS5 / sceau");
    ratios.push(Ratio::new("annuaire_name_town_p99_fts5", raw, theirs / ours));
    let raw = format!("sceau {our_sum:.0} us, FTS5 {their_sum:.0} us in all; FTS5 / sceau");
    ratios.push(Ratio::new("annuaire_name_town_fts5", raw, their_sum / our_sum));
    println!("\nLoad after: {}", machine::load());
    print_ratios(&ratios);
}

/// Writes, loads and opens again; the figures of each.
fn loaded(folder: &Path, tier: &Tier) -> (Generation, Vec<Ratio>) {
    let (extracts, data) = (folder.join("extracts"), folder.join("data"));
    let began = Instant::now();
    let made = annuaire::generate(&extracts, &GenerateOptions::new(1, tier.people)).unwrap();
    println!("Written: {} rows of five files in {:.1} s", made.rows.iter().sum::<u64>(), seconds(began.elapsed()));
    machine::forget_peak();
    let (began, before) = (Instant::now(), machine::processor_time());
    let report = load(&extracts, &data, false).unwrap();
    let took = seconds(began.elapsed());
    assert!(report.in_service(), "{:?}", report.reason);
    let used = seconds(machine::processor_time().saturating_sub(before));
    let peak = machine::peak_memory() as f64;
    println!(
        "Loaded: {:?}\n  in {took:.1} s ({used:.1} s of processor), {:.0} MB at most",
        report.totals.unwrap(),
        mega(peak)
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

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn mega(octets: f64) -> f64 {
    octets / 1024.0 / 1024.0
}

/// Microseconds of each question. Each must be answered: a bench that asks in vain measures nothing.
fn times<T>(questions: &[T], mut ask: impl FnMut(&T) -> bool) -> Vec<f64> {
    let mut answered = 0usize;
    let times = questions
        .iter()
        .map(|question| {
            let began = Instant::now();
            answered += usize::from(std::hint::black_box(ask(question)));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    assert!(answered * 10 >= questions.len() * 8, "{answered} of {} answered", questions.len());
    times
}

/// Questions about people who are there, spread over the whole directory.
struct Questions {
    ids: Vec<PersonId>,
    addresses: Vec<Address>,
    texts: Vec<(&'static str, Vec<String>)>,
    fragments: Vec<String>,
}

impl Questions {
    fn of(generation: &Generation, count: usize) -> Self {
        let every = |of: u32| (of as usize / count).max(1);
        let totals = generation.totals();
        let people: Vec<Person<'_>> = generation.people().step_by(every(totals.people)).take(count).collect();
        let mailboxes = generation.mailboxes().step_by(every(totals.mailboxes)).take(count);
        let texts = |make: &dyn Fn(&Person<'_>, usize) -> String| -> Vec<String> {
            people.iter().enumerate().map(|(n, person)| make(person, n)).collect()
        };
        let start = |text: &str, letters: usize| fold(text).chars().take(letters).collect::<String>();
        let first = |text: &str| fold(text).split(' ').next().unwrap_or_default().to_owned();
        let town = |person: &Person<'_>| {
            person.activities().filter_map(|activity| activity.structure()).map(|place| first(place.town())).next()
        };
        let speciality = |person: &Person<'_>| {
            let of = person.activities().map(|activity| first(activity.speciality())).next().unwrap_or_default();
            if of.is_empty() { first(person.profession()) } else { of }
        };
        let kinds: Vec<(&'static str, Vec<String>)> = vec![
            ("name being typed, 2 to 6 letters", texts(&|person, n| start(person.family(), 2 + n % 5))),
            (
                "name and town being typed",
                texts(&|person, n| {
                    let town = town(person).unwrap_or_default();
                    format!("{} {}", start(person.family(), 3 + n % 4), start(&town, 3 + n % 3)).trim().to_owned()
                }),
            ),
            (
                "name, given name, town",
                texts(&|person, _| {
                    format!("{} {} {}", first(person.family()), first(person.given()), town(person).unwrap_or_default())
                }),
            ),
            (
                "speciality and town",
                texts(&|person, _| format!("{} {}", speciality(person), town(person).unwrap_or_default())),
            ),
            (
                "one letter too many",
                texts(&|person, _| {
                    let name = first(person.family());
                    let (head, tail) = name.split_at(name.char_indices().nth(2).map_or(0, |(at, _)| at));
                    format!("{head}x{tail} {}", first(person.given()))
                }),
            ),
            ("one letter", texts(&|person, _| start(person.family(), 1))),
            ("word of half the country", texts(&|_, n| ["test", "medecin", "test me", "rue de"][n % 4].to_owned())),
        ];
        Self {
            ids: people.iter().filter_map(Person::id).collect(),
            addresses: mailboxes.filter_map(|mailbox| mailbox.address()).collect(),
            fragments: texts(&|person, _| fold(person.family()).replace(' ', "").chars().skip(1).take(4).collect()),
            texts: kinds,
        }
    }
}
