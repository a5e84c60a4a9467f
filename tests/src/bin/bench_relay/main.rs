//! `tests/bench/relay`: how fast a gateway seals and relays, beside Postfix that only relays.

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

mod peak;
mod sample;
mod untold;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ident::{Clock, SystemClock};
use pki::issue::KeyAlgorithm;
use sceau::demo::cast::Place;
use tests::bench::load::{Endpoint, Letter, Plan, Sent, send};
use tests::bench::machine;
use tests::bench::primitives::{self, Sizes};
use tests::bench::report::{Ratio, Table, median, print_ratios, quantile};
use tests::bench::sink::{Arrived, Sink};
use tests::bench::subjects::{POSTFIX_SETTINGS, Subject, gateway_identity, inner_client};
use tests::process::run;
use tests::world::World;
use tokio::runtime::Runtime;

/// Connections of the generator.
const CONNECTIONS: usize = 20;
/// A message of the main load.
const OCTETS: usize = 10 * 1024;
/// Longest wait for the rest of a run, once the generator has ended.
const DRAIN: Duration = Duration::from_secs(120);
/// Latency that a gateway may add at half load (design, performance budget).
const LATENCY: f64 = 50.0;

/// How long everything lasts.
struct Tier {
    rounds: usize,
    time: Duration,
    latency: Duration,
    /// Pairs of runs with and without the trail.
    pairs: usize,
}

struct Bench {
    tier: Tier,
    world: World,
    runtime: Runtime,
    sink: Sink,
    sink_address: SocketAddr,
    letter: Letter,
    runs: u32,
}

/// One run of the main load.
struct Round {
    sent: Sent,
    arrived: Arrived,
    delivered: f64,
    processor: Duration,
}

fn main() {
    let option = std::env::args().nth(1).unwrap_or_else(|| "--quick".to_owned());
    let (full, relay, peak, trail) = match option.as_str() {
        "--full" => (true, true, true, true),
        "--peak" => (true, false, true, false),
        "--trail" => (true, false, false, true),
        "--quick" => (false, true, false, true),
        other => panic!("unknown option {other}"),
    };
    let seconds = Duration::from_secs;
    let tier = if full {
        Tier { rounds: 5, time: seconds(20), latency: seconds(20), pairs: 6 }
    } else {
        Tier { rounds: 2, time: Duration::from_millis(2500), latency: seconds(2), pairs: 1 }
    };
    let mut bench = Bench::new(tier);
    bench.describe();
    let mut ratios = if relay { bench.relay() } else { Vec::new() };
    if trail {
        ratios.extend(untold::measure(&mut bench));
    }
    if peak {
        ratios.push(peak::measure(&bench.world, &bench.runtime, &bench.sink));
    }
    print_ratios(&ratios);
}

impl Bench {
    fn new(tier: Tier) -> Self {
        let began = Instant::now();
        let world = World::with(KeyAlgorithm::Rsa2048, SystemClock.now());
        println!("Made a trust space with RSA-2048 keys in {:.1} s.", began.elapsed().as_secs_f64());
        let runtime = Runtime::new().unwrap();
        let sink_address = world.ports(Place::B).exchange;
        let sink = runtime.block_on(Sink::operator(sink_address, &gateway_identity(&world, Place::B)));
        let letter = Letter::new(&world.address("martin"), &world.address("moreau"), OCTETS);
        Self { tier, world, runtime, sink, sink_address, letter, runs: 0 }
    }

    fn describe(&self) {
        let said = |program: &str, arguments: &[&str]| {
            run(std::process::Command::new(program).args(arguments), b"").text().trim().to_owned()
        };
        println!("Machine: {}; {}", machine::describe(), openssl::version::version());
        println!("Postfix {}, queue synced to disk, with:", said("postconf", &["-d", "-h", "mail_version"]));
        for settings in POSTFIX_SETTINGS.chunks(3) {
            println!("  {}", settings.join("; "));
        }
        println!(
            "Load: {CONNECTIONS} connections kept open, mutual TLS with a vouching certificate, messages of {OCTETS} \
             octets, {} s a run.\nScanners: without (none exist yet).\n",
            self.tier.time.as_secs_f64()
        );
    }

    fn plan(&mut self, time: Duration, rate: Option<f64>) -> Plan {
        self.runs += 1;
        Plan { run: self.runs, connections: CONNECTIONS, time, rate }
    }

    /// Sends and waits for the rest to arrive.
    fn load(&self, endpoint: &Endpoint, plan: Plan) -> (Sent, Arrived) {
        self.runtime.block_on(async {
            let sent = send(endpoint, &self.letter, plan).await;
            let arrived = self.sink.wait(plan.run, sent.accepted, DRAIN).await;
            (sent, arrived)
        })
    }

    fn round(&mut self, subject: &Subject) -> Round {
        let endpoint = subject.endpoint(&self.world);
        let plan = self.plan(self.tier.time, None);
        let before = subject.processor_time();
        let (sent, arrived) = self.load(&endpoint, plan);
        let processor = subject.processor_time() - before;
        if let Some(reply) = sent.refused.first() {
            println!("  {} refused {} messages: {reply}", subject.name(), sent.refused.len());
        }
        if arrived.messages < sent.accepted {
            let missing = sent.accepted - arrived.messages;
            println!("  {}: {missing} messages did not arrive within {} s", subject.name(), DRAIN.as_secs());
            println!("{}", subject.last_words());
        }
        let span = arrived.last.map_or(DRAIN, |last| last - sent.began);
        Round { delivered: arrived.messages as f64 / span.as_secs_f64(), sent, arrived, processor }
    }

    fn relay(&mut self) -> Vec<Ratio> {
        let straight =
            Endpoint::new(self.sink_address, &Place::B.host(), &self.world.root("servers"), &inner_client(&self.world));
        let plan = self.plan(self.tier.time.min(Duration::from_secs(5)), None);
        let ceiling = self.load(&straight, plan).0.rate();
        println!("Generator straight to the sink: {ceiling:.0} messages/s (its ceiling here)\n");

        let subjects = [Subject::sceau(&self.world), Subject::postfix(&self.world, self.sink_address)];
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..self.tier.rounds {
            for (subject, rounds) in subjects.iter().zip(&mut rounds) {
                rounds.push(self.round(subject));
            }
        }
        let [sceau, postfix] = &rounds;
        table(&subjects, &rounds, &self.sink);
        let (ours, theirs) = (delivered(sceau), delivered(postfix));
        let faster = ours.max(theirs);
        let sizes = Sizes { plain: self.letter.message(0, 0).len(), sealed: sealed_size(sceau) };
        sample::check(&self.world, &self.letter, sceau);
        let (cost, primitives) = (processor(sceau), primitives::sum(sizes).as_secs_f64() * 1e3);
        if ceiling < 3.0 * faster {
            println!("The generator's ceiling is LESS than 3 times the faster relay: these figures are too low.");
        }
        let p99 = self.latency(&straight, &subjects[0], ours / 2.0);
        vec![
            Ratio::new(
                "sealed_relay_10k",
                format!("sceau {ours:.1}/s, Postfix {theirs:.1}/s; budget: 2 x Postfix; sceau / (2 x Postfix)"),
                ours / (2.0 * theirs),
            ),
            Ratio::new(
                "cpu_per_sealed_message",
                format!("{cost:.3} ms used, primitives alone {primitives:.3} ms; budget: 2 x primitives"),
                2.0 * primitives / cost,
            ),
            Ratio::new(
                "latency_added_half_load",
                format!("p99 {p99:.1} ms; budget {LATENCY} ms"),
                LATENCY / p99.max(0.001),
            ),
            Ratio::new(
                "generator_ceiling",
                format!("{ceiling:.0}/s, faster relay {faster:.1}/s; wanted: 3 x the faster relay"),
                ceiling / (3.0 * faster),
            ),
        ]
    }

    /// Half the throughput just found; what the gateway adds to the generator's own way to the sink.
    fn latency(&mut self, straight: &Endpoint, subject: &Subject, rate: f64) -> f64 {
        let endpoint = subject.endpoint(&self.world);
        let mut tails = Vec::new();
        println!("\nLatency at {rate:.0} messages/s, from due at the generator to whole at the sink:");
        for (name, endpoint) in [("straight", straight), (subject.name(), &endpoint)] {
            let plan = self.plan(self.tier.latency, Some(rate));
            let (sent, arrived) = self.load(endpoint, plan);
            let took: Vec<f64> = sent
                .due
                .iter()
                .zip(0u64..)
                .filter_map(|(due, number)| Some(arrived.at.get(&number)?.duration_since(*due).as_secs_f64() * 1e3))
                .collect();
            let (middle, tail) = (quantile(&took, 0.5), quantile(&took, 0.99));
            println!("  {name}: p50 {middle:.1} ms, p99 {tail:.1} ms over {} messages", took.len());
            tails.push((middle, tail));
        }
        // The straight way's usual time is what any relay has to pay; its own tail is noise of the machine.
        tails[1].1 - tails[0].0
    }
}

fn table(subjects: &[Subject; 2], rounds: &[Vec<Round>; 2], sink: &Sink) {
    let mut table =
        Table::new(&["relay", "accepted/s", "delivered/s", "accepted", "at the sink", "repeated", "CPU ms each"]);
    for at in 0..rounds[0].len() {
        for (subject, rounds) in subjects.iter().zip(rounds) {
            let round = &rounds[at];
            table.row(&[
                format!("{}, run {}", subject.name(), at + 1),
                format!("{:.1}", round.sent.rate()),
                format!("{:.1}", round.delivered),
                round.sent.accepted.to_string(),
                round.arrived.messages.to_string(),
                round.arrived.repeated.to_string(),
                format!("{:.3}", each(round)),
            ]);
        }
    }
    for (subject, rounds) in subjects.iter().zip(rounds) {
        let rates: Vec<f64> = rounds.iter().map(|round| round.sent.rate()).collect();
        table.row(&[
            format!("{}, median", subject.name()),
            format!("{:.1}", median(&rates)),
            format!("{:.1}", delivered(rounds)),
            String::new(),
            String::new(),
            String::new(),
            format!("{:.3}", processor(rounds)),
        ]);
    }
    table.print();
    let sessions = sink.sessions();
    println!("\nConnections at the sink: {}, without client certificate: {}", sessions.all, sessions.anonymous);
}

/// Messages a second from the first one's beginning to the last one's arrival.
fn delivered(rounds: &[Round]) -> f64 {
    median(&rounds.iter().map(|round| round.delivered).collect::<Vec<_>>())
}

/// Processor time of a message, in milliseconds.
fn each(round: &Round) -> f64 {
    round.processor.as_secs_f64() * 1e3 / (round.arrived.messages.max(1) as f64)
}

fn processor(rounds: &[Round]) -> f64 {
    median(&rounds.iter().map(each).collect::<Vec<_>>())
}

fn sealed_size(rounds: &[Round]) -> usize {
    rounds.iter().flat_map(|round| &round.arrived.sample).map(Vec::len).max().unwrap_or_default()
}
