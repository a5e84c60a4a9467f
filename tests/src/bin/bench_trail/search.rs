//! What a search costs when there are ten times the events: two trails, asked in turn.

use std::time::Instant;

use tests::bench::machine;
use tests::bench::report::{Ratio, Table, median};
use tests::bench::traffic::{EVENTS, Traffic};
use trail::log::{NoteSigner, Search, TrailReader};

use crate::{Calendar, ORIGIN, SIGNING, Subject, WRAPPING};

/// By how much a search may grow from one to ten times the events (design, performance budget).
const GROWTH: f64 = 1.3;
/// Searches of each kind.
const SEARCHES: u64 = 201;

/// A kind of search: its ratio's name, what it is, its terms for a message, most hits and least hits.
struct Kind {
    ratio: &'static str,
    name: &'static str,
    terms: fn(&Traffic, Calendar, u64) -> Vec<String>,
    limit: usize,
    least: usize,
}

const KINDS: [Kind; 4] = [
    Kind {
        ratio: "trail_search_id",
        name: "by queue id",
        terms: |_, calendar, number| vec![format!("id:{}", Traffic::id(number, calendar.at(number)))],
        limit: 100,
        least: 2,
    },
    Kind {
        ratio: "trail_search_message_id",
        name: "by Message-ID",
        terms: |_, _, number| vec![format!("message-id:{}", Traffic::message_id(number))],
        limit: 100,
        least: 1,
    },
    Kind {
        ratio: "trail_search_sender",
        name: "newest 4 of a sender",
        terms: |traffic, _, number| vec![format!("from:{}", traffic.sender(number))],
        limit: 4,
        least: 4,
    },
    Kind {
        ratio: "trail_search_recipient",
        name: "newest 4 deliveries to a recipient",
        terms: |traffic, _, number| {
            vec![format!("to:{}", traffic.recipient(number)), "event:delivery.delivered".to_owned()]
        },
        limit: 4,
        least: 4,
    },
];

pub(crate) fn growth(traffic: &Traffic, one: &Subject, ten: &Subject) -> Vec<Ratio> {
    let signer = NoteSigner::new(ORIGIN, &SIGNING).unwrap();
    let open = |subject: &Subject| TrailReader::open(&subject.folder, &WRAPPING, signer.verifier().clone()).unwrap();
    let readers = [(open(one), one), (open(ten), ten)];
    let heading = readers.each_ref().map(|(_, subject)| format!("{} events", subject.messages * EVENTS));
    let mut table = Table::new(&["", &heading[0], &heading[1], "growth"]);
    let mut ratios = Vec::new();
    for kind in &KINDS {
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..SEARCHES {
            for ((reader, subject), times) in readers.iter().zip(&mut times) {
                // All over the trail, the oldest and the newest too.
                let number = turn * (subject.messages - 1) / (SEARCHES - 1);
                times.push(once(kind, (kind.terms)(traffic, subject.calendar, number), reader));
            }
        }
        let [before, after] = times.map(|times| median(&times));
        let growth = after / before;
        table.row(&[kind.name.to_owned(), format!("{before:.3}"), format!("{after:.3}"), format!("{growth:.2}")]);
        let raw = format!("{before:.3} ms, with ten times the events {after:.3} ms; budget {GROWTH} x");
        ratios.push(Ratio::new(kind.ratio, raw, GROWTH / growth));
    }
    println!("\nSearches over the whole trail, middle of {SEARCHES}, ms (load {}):", machine::load());
    table.print();
    ratios
}

/// One search, in milliseconds.
fn once(kind: &Kind, terms: Vec<String>, reader: &TrailReader) -> f64 {
    let search = Search { terms, limit: kind.limit, ..Search::default() };
    let began = Instant::now();
    let hits = reader.search(&search).unwrap();
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert!((kind.least..=kind.limit).contains(&hits.len()), "{}: {} hits", kind.name, hits.len());
    took
}
