//! Another generation put in service while everybody asks and mail flows: what goes wrong (nothing may), how long
//! answers take meanwhile, and what the gateway needs of memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annuaire::{DataFolder, Generation, fold, words};
use sceau::demo::cast::Place;
use tests::asking::{
    days,
    place::Doors,
    steady::Sample,
    visitors::{Crowd, Known, Visitor},
};
use tests::bench::load::{Letter, Plan, send};
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, print_ratios, quantile};
use tests::bench::sink::Sink;
use tests::bench::subjects::{gateway_identity, inner_client};
use tests::gateway::{Gateway, binary};
use tests::place::Scratch;
use tests::world::World;

/// Questions a second of all visitors together, and messages.
const QUESTIONS: f64 = 500.0;
const MESSAGES: f64 = 20.0;
/// Visitors of each kind.
const EACH: u32 = 4;
/// Milliseconds that an answer may take (design §6: search as you type; nothing ever over).
const TYPED: f64 = 10.0;
const ANY: f64 = 100.0;
/// Octets that the gateway may have resident.
const MEMORY: f64 = 1.5 * 1024.0 * 1024.0 * 1024.0;
/// Longest wait for a generation to come.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long it is quiet before and after.
const QUIET: Duration = Duration::from_secs(15);
/// Generations put in service by hand, after the one that was loaded.
const BY_HAND: usize = 4;

/// Everything that happens meanwhile, and when.
struct Phases(Vec<(&'static str, Instant)>);

impl Phases {
    fn begin(&mut self, name: &'static str) {
        println!("  {:>6.1} s  {name}", self.0.first().map_or(0.0, |(_, began)| began.elapsed().as_secs_f64()));
        self.0.push((name, Instant::now()));
    }

    fn of(&self, at: Instant) -> &'static str {
        self.0.iter().rev().find(|(_, began)| *began <= at).map_or("before", |(name, _)| name)
    }
}

pub(crate) fn measure(people: u32) {
    let folder = Scratch::new("bench-swap");
    let (today, tomorrow) = (folder.path().join("today"), folder.path().join("tomorrow"));
    let made = std::process::Command::new(binary())
        .args(["annuaire", "generate", "--people", &people.to_string(), "--into"])
        .arg(&today)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "no extracts");
    let changed = days::next(&today, &tomorrow, 200);
    println!("Two days of {people} people; {changed} rows of the second are other ones");
    let data = folder.path().join("data");
    // In a process of its own, as operators do it: what it needs goes back.
    let began = Instant::now();
    let loaded =
        std::process::Command::new(binary()).args(["annuaire", "load", "--into"]).arg(&data).arg(&today).status();
    assert!(loaded.is_ok_and(|status| status.success()), "not loaded");
    println!("The first is loaded in {:.1} s", began.elapsed().as_secs_f64());
    let known = known(&DataFolder::new(&data).current().unwrap());

    let world = World::new();
    let doors = Doors::open(&world, Some(&data));
    let arrivals = folder.folder("arrivals", 0o755);
    world.edit(
        Place::A,
        "sceau.toml",
        "[annuaire]\n",
        &format!("[annuaire]\nfrom = {:?}\n", arrivals.display().to_string()),
    );
    let gateway = world.serve(Place::A);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sink = runtime.block_on(Sink::operator(world.ports(Place::B).exchange, &gateway_identity(&world, Place::B)));

    let status = |field| memory(gateway.pid(), field);
    println!("Gateway started: {:.0} MB resident", mega(status("VmRSS:")));
    let each = QUESTIONS / f64::from(EACH) / Visitor::ALL.len() as f64;
    println!(
        "{QUESTIONS} questions a second of {} visitors, {MESSAGES} messages a second; load {}",
        EACH * Visitor::ALL.len() as u32,
        machine::load()
    );
    let crowd = Crowd::send(doors, known, EACH, each);
    let stop = Arc::new(AtomicBool::new(false));
    let mail = mail(&world, runtime, sink, Arc::clone(&stop));
    let mut phases = Phases(Vec::new());
    let mut peaks = Vec::new();
    phases.begin("before");
    std::thread::sleep(QUIET);

    forget_peak(gateway.pid());
    phases.begin("extracts loaded beside");
    for entry in std::fs::read_dir(&tomorrow).unwrap().flatten() {
        std::fs::rename(entry.path(), arrivals.join(entry.file_name())).unwrap();
    }
    wait(&gateway, &["extracts read"], 1);
    phases.begin("generation read and compared");
    wait(&gateway, &["what changed in the directory is known"], 2);
    peaks.push(status("VmHWM:"));
    phases.begin("after");
    std::thread::sleep(QUIET);
    for turn in 0..BY_HAND {
        forget_peak(gateway.pid());
        phases.begin("generation read and compared");
        let used = std::process::Command::new(binary()).args(["annuaire", "use"]).arg(&data).arg("previous").status();
        assert!(used.is_ok_and(|status| status.success()), "not put in service");
        gateway.hang_up();
        wait(&gateway, &["what changed in the directory is known"], turn + 3);
        peaks.push(status("VmHWM:"));
        phases.begin("after");
        std::thread::sleep(QUIET / 3);
    }
    let end = status("VmRSS:");
    let samples = crowd.home();
    stop.store(true, Ordering::Relaxed);
    let (messages, refused, arrived) = mail.join().expect("mail did not flow");
    tell(&samples, &phases);
    let errors = samples.iter().filter(|(_, sample)| sample.outcome.is_err()).count();
    for (visitor, sample) in samples.iter().filter(|(_, sample)| sample.outcome.is_err()).take(5) {
        println!("  {}: {:?} after {:?}", visitor.name(), sample.outcome, sample.took);
    }
    println!(
        "Mail: {messages} accepted, {refused} refused, {arrived} arrived.  Questions: {} asked, {errors} in vain",
        samples.len()
    );
    let peak = peaks.iter().copied().max().unwrap_or_default();
    let listed: Vec<String> = peaks.iter().map(|peak| format!("{:.0}", mega(*peak))).collect();
    println!("Gateway, MB resident at most during each change: {}; at the end {:.0}", listed.join(", "), mega(end));
    println!("Load after: {}", machine::load());
    print_ratios(&ratios(&samples, &phases, errors, refused + (messages - arrived), peak));
}

fn ratios(samples: &[(Visitor, Sample)], phases: &Phases, errors: usize, lost: u64, peak: u64) -> Vec<Ratio> {
    let times = |during: bool| -> Vec<f64> {
        let quiet = |at| matches!(phases.of(at), "before" | "after");
        samples.iter().filter(|(_, it)| quiet(it.due) != during).map(|(_, it)| milliseconds(it)).collect()
    };
    let (quiet, during) = (times(false), times(true));
    let (p99, usual, longest) = (quantile(&during, 0.99), quantile(&quiet, 0.99), quantile(&during, 1.0));
    let peak = peak as f64;
    vec![
        Ratio::new(
            "annuaire_swap_errors",
            format!("{errors} questions in vain, {lost} messages refused or lost; wanted: none; 1 / (1 + both)"),
            1.0 / (1.0 + errors as f64 + lost as f64),
        ),
        Ratio::new(
            "annuaire_swap_p99",
            format!(
                "p99 {p99:.1} ms while generations change ({usual:.1} ms else), budget {TYPED} ms; budget / figure"
            ),
            TYPED / p99,
        ),
        Ratio::new(
            "annuaire_swap_longest",
            format!("{longest:.1} ms the longest while generations change, budget {ANY} ms; budget / figure"),
            ANY / longest,
        ),
        Ratio::new(
            "annuaire_swap_memory",
            format!("{:.0} MB at most, budget {:.0} MB; budget / figure", mega_of(peak), mega_of(MEMORY)),
            MEMORY / peak,
        ),
    ]
}

/// Latencies by phase and kind.
fn tell(samples: &[(Visitor, Sample)], phases: &Phases) {
    let mut by: BTreeMap<(Visitor, &str), Vec<f64>> = BTreeMap::new();
    for (visitor, sample) in samples {
        by.entry((*visitor, phases.of(sample.due))).or_default().push(milliseconds(sample));
    }
    let names = ["before", "extracts loaded beside", "generation read and compared", "after"];
    println!("\nMilliseconds from due to answered, p50 / p99 / longest:");
    let mut table = Table::new(&["", names[0], names[1], names[2], names[3]]);
    for visitor in Visitor::ALL {
        let mut cells = vec![visitor.name().to_owned()];
        cells.extend(names.map(|name| match by.get(&(visitor, name)) {
            Some(times) => {
                let of = |share| quantile(times, share);
                format!("{:.1} / {:.1} / {:.1}", of(0.5), of(0.99), of(1.0))
            }
            None => "-".to_owned(),
        }));
        table.row(&cells);
    }
    table.print();
}

fn milliseconds(sample: &Sample) -> f64 {
    sample.took.as_secs_f64() * 1e3
}

fn mega(octets: u64) -> f64 {
    mega_of(octets as f64)
}

fn mega_of(octets: f64) -> f64 {
    octets / 1024.0 / 1024.0
}

fn wait(gateway: &Gateway, parts: &[&str], count: usize) {
    gateway.wait_for_lines_within(parts, count, PATIENCE);
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn forget_peak(pid: u32) {
    // Else the figure is too high, never too low.
    drop(std::fs::write(format!("/proc/{pid}/clear_refs"), "5"));
}

/// Mail outwards at a steady pace: accepted, refused, arrived.
fn mail(
    world: &World,
    runtime: tokio::runtime::Runtime,
    sink: Sink,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<(u64, u64, u64)> {
    use tests::bench::load::Endpoint;
    let endpoint =
        Endpoint::new(world.ports(Place::A).submission, &Place::A.host(), &world.root("servers"), &inner_client(world));
    let letter = Letter::new(&world.address("martin"), &world.address("moreau"), 10 * 1024);
    std::thread::spawn(move || {
        let (mut accepted, mut refused, mut arrived) = (0, 0, 0);
        for run in 1.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let plan = Plan { run, connections: 4, time: Duration::from_secs(3), rate: Some(MESSAGES) };
            runtime.block_on(async {
                let sent = send(&endpoint, &letter, plan).await;
                for reply in sent.refused.iter().take(2) {
                    println!("  refused: {reply}");
                }
                accepted += sent.accepted;
                refused += sent.refused.len() as u64;
                arrived += sink.wait(run, sent.accepted, Duration::from_secs(60)).await.messages;
            });
        }
        (accepted, refused, arrived)
    })
}

/// People to ask for, spread over the whole directory.
fn known(generation: &Generation) -> Vec<Known> {
    let first = |text: &str| words(text).into_iter().next().unwrap_or_default();
    let of = |person: annuaire::Person<'_>| {
        let town = person.activities().filter_map(|it| it.structure()).map(|it| first(it.town())).next()?;
        let (name, mailbox) = (fold(&first(person.family())), person.mailboxes().next()?.address()?);
        let start = |text: &str, letters: usize| text.chars().take(letters).collect::<String>();
        (person.active() && name.len() > 3 && town.len() > 3).then(|| Known {
            id: person.id_text().to_owned(),
            name: start(&name, 4),
            town: start(&town, 4),
            mailbox: mailbox.key(),
        })
    };
    let step = (generation.totals().people as usize / 5000).max(1);
    let all: Vec<Known> = generation.people().step_by(step).filter_map(of).collect();
    assert!(all.len() > 100, "too few people to ask for");
    all
}
