//! Address books type: the very filters of Thunderbird and of Outlook (reference annuaire §5), each over a TLS connection
//! of its own, about people of a generated country. Who is meant is always there, and everybody who is there fits. How long a
//! key takes over a whole nation: `tests/bench/annuaire --keys`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::time::{Duration, Instant};

use tests::asking::{
    ldap::Filter,
    programs::{MOST, PROGRAMS},
};
use tests::ldap::{Client, Served, anonymous, attributes, search};
use tests::pkits::report;
use tests::tier::repetitions;
use tests::world::World;

const SIZE_LIMIT_EXCEEDED: u8 = 4;
/// No bound is to interfere.
const LIMITS: &str = "limits = { searches = 1000000, entries_an_hour = 100000000, search = \"5m\" }";

/// What an entry says.
type Entry = Vec<(String, Vec<String>)>;

/// One key: connect, bind, search, and goodbye.
fn key(place: &Served, asked: &Filter) -> (Vec<Entry>, u8, Duration) {
    let began = Instant::now();
    let mut client = Client::connect(place.open);
    assert!(client.send(&anonymous()));
    let bound = client.message();
    assert_eq!(tests::ldap::code(&bound), 0, "{bound:?}");
    assert!(client.send(&search(&asked.octets(), MOST)));
    let (entries, code) = client.entries();
    let took = began.elapsed();
    assert!(client.send(&tests::ldap::message(3, &[0x42, 0])));
    (entries.iter().map(|entry| attributes(entry)).collect(), code, took)
}

/// Letters and digits alone, without accents, as simply as a test may have it.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let letters = lower.chars().filter_map(|c| match c {
        'à' | 'â' | 'ä' => Some('a'),
        'é' | 'è' | 'ê' | 'ë' => Some('e'),
        'î' | 'ï' | 'í' => Some('i'),
        'ô' | 'ö' => Some('o'),
        'ù' | 'û' | 'ü' => Some('u'),
        'ç' => Some('c'),
        'ÿ' => Some('y'),
        'ñ' => Some('n'),
        'a'..='z' | '0'..='9' => Some(c),
        _ => None,
    });
    letters.collect()
}

/// The words between names: who leaves them out writes the rest in one.
const PARTICLES: [&str; 9] = ["de", "du", "des", "la", "le", "les", "d", "l", "von"];

/// The same without particles: `NEZ-DES ORMEAUX` goes by `nezormeaux`, too.
fn together(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !PARTICLES.contains(&plain(word).as_str()));
    words.map(plain).collect()
}

/// Names and mailboxes of people, from the extract that the world was made of, far apart.
fn people(world: &World, count: usize) -> Vec<(String, String)> {
    let folder = world.folder().join("annuaire");
    let file = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_string_lossy().to_lowercase().contains("correspondance")).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let fields = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
    let own: Vec<Vec<String>> = text.lines().filter(|line| line.starts_with("PER|")).map(fields).collect();
    // Of homonyms one cannot be told from the other while typing; names with words of their own can.
    let step = (own.len() / count).max(1);
    let named = own.iter().step_by(step).take(count);
    named.map(|row| (format!("{} {}", row[10], row[9]).to_lowercase(), row[1].clone())).collect()
}

#[test]
fn who_is_typed_is_found_key_by_key() {
    let place = Served::in_world(World::peopled(repetitions(2000, 20_000).try_into().unwrap()), LIMITS);
    let (mut took, mut whole) = ([Vec::new(), Vec::new()], 0);
    for (name, address) in people(&place.world, repetitions(6, 30)).into_iter().step_by(repetitions(2, 1)) {
        let letters: Vec<char> = name.chars().collect();
        for ((program, spelt), took) in PROGRAMS.into_iter().zip(&mut took) {
            for typed in (1..=letters.len()).map(|most| letters[..most].iter().collect::<String>()) {
                let typed = typed.trim();
                let asked = spelt(typed);
                let (entries, code, time) = key(&place, &asked);
                took.push(time);
                let values = |entry: &[(String, Vec<String>)], wanted: &str| {
                    let found = entry.iter().find(|(name, _)| name == wanted);
                    found.map(|(_, values)| values.clone()).unwrap_or_default()
                };
                let there = entries.iter().any(|entry| values(entry, "mail").contains(&address));
                match code {
                    0 => assert!(there, "{program}: {typed:?} does not find {address}"),
                    SIZE_LIMIT_EXCEEDED => assert_eq!(entries.len(), usize::from(MOST), "{program}: {typed:?}"),
                    other => panic!("{program}: {typed:?} ends with {other}"),
                }
                whole += usize::from(code == 0);
                for entry in &entries {
                    let all = ["cn", "mail", "sn", "givenName"].map(|name| values(entry, name)).concat();
                    let has = |value: &String, word: &str| {
                        [plain(value), together(value)].iter().any(|form| form.contains(&plain(word)))
                    };
                    let fits = |word: &str| all.iter().any(|value| has(value, word));
                    assert!(typed.split_whitespace().any(fits), "{program}: {typed:?} finds {all:?}");
                }
            }
        }
    }
    let keys = took.iter().map(Vec::len).sum::<usize>();
    assert!(whole * 2 > keys, "{whole} of {keys} answers are whole");
    for ((program, _), mut took) in PROGRAMS.into_iter().zip(took) {
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_micros();
        report(&format!(
            "LDAP, {program}, a key each on a new TLS connection: {} keys, p50 {} µs, p90 {} µs, p95 {} µs, p99 {} µs, \
             longest {} µs (this build, this machine's load)",
            took.len(),
            at(50),
            at(90),
            at(95),
            at(99),
            at(100)
        ));
    }
}
