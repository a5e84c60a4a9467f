//! Load, kill, start again, drain, compare: the same installation, round after round.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::x509::X509;
use sceau::demo::cast::Place;

use super::chance::Chance;
use super::ledger::Ledger;
use super::load::Load;
use crate::capture::{Sink, SinkOptions};
use crate::certs::Credentials;
use crate::gateway::{Gateway, binary, sceau, sceau_json};
use crate::place::Scratch;
use crate::process::{PATIENCE, Running};
use crate::world::World;

/// Two hospitals, the third operator's server, and the load between them.
#[derive(Debug)]
pub struct Installation {
    /// Where it lives.
    pub world: World,
    /// The books.
    pub ledger: Arc<Ledger>,
    /// The load.
    pub load: Load,
    gateways: [Option<Gateway>; 2],
    _sinks: Vec<Sink>,
}

/// What a run of rounds saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Kills.
    pub kills: u64,
    /// Deliveries that were under way at a kill, read from the killed gateway's disk.
    pub interrupted: u64,
    /// Deliveries that came again.
    pub duplicates: u64,
}

const HOSPITALS: [Place; 2] = [Place::A, Place::B];

impl Installation {
    /// Starts everything, with retries in quick succession.
    #[must_use]
    pub fn start(run: u64) -> Self {
        let world = World::new();
        for place in HOSPITALS {
            world.edit(place, "sceau.toml", "first_retry = \"1s\"", "first_retry = \"100ms\"");
            world.edit(place, "sceau.toml", "last_retry = \"8s\"", "last_retry = \"300ms\"");
            // A message that is lost must stay lost: nothing may give up and say so within the test.
            world.edit(place, "sceau.toml", "lifetime = \"5m\"", "lifetime = \"5d\"");
            world.edit(place, "sceau.toml", "delay_notices = [\"15s\", \"60s\"]", "delay_notices = []");
        }
        let ledger = Arc::new(Ledger::default());
        let sinks = sinks(&world, &ledger);
        let gateways = HOSPITALS.map(|place| Some(world.serve(place)));
        let load = Load::start(&world, Arc::clone(&ledger), run);
        Self { world, ledger, load, gateways, _sinks: sinks }
    }

    /// One round: new messages, a kill at a moment that chance chooses, a restart, and everything
    /// acknowledged must arrive.
    pub fn round(&mut self, chance: &mut Chance, tally: &mut Tally) {
        let before = self.ledger.duplicates();
        let already = self.ledger.acknowledged();
        let count = 5 + chance.below(20);
        self.load.issue(count);
        let moment = already + usize::try_from(chance.below(count)).unwrap();
        assert!(self.ledger.wait_acknowledged(moment, PATIENCE), "{}", self.state("nothing is acknowledged"));
        // Between two acknowledgements, too.
        std::thread::sleep(Duration::from_micros(chance.below(30_000)));
        let victims: &[usize] = match chance.below(10) {
            0..5 => &[0],
            5..8 => &[1],
            _ => &[0, 1],
        };
        for victim in victims {
            self.gateways[*victim].take().unwrap().kill();
            tally.kills += 1;
        }
        let mut interrupted = 0;
        for victim in victims {
            let place = HOSPITALS[*victim];
            // What was in flight is read from the disk, not believed.
            let mut in_flight = self.in_flight(place);
            let found = if chance.percent(15) {
                self.die_while_starting(place, chance);
                tally.kills += 1;
                let again = self.in_flight(place);
                in_flight.extend(&again);
                again.len()
            } else {
                in_flight.len()
            };
            let gateway = self.world.serve(place);
            let told = interrupted_in(&gateway.log());
            assert!(told >= found as u64, "{found} deliveries were interrupted: {}", gateway.log());
            interrupted += in_flight.len() as u64;
            self.gateways[*victim] = Some(gateway);
        }
        self.everything_arrives();
        let repeated = self.ledger.duplicates() - before;
        assert!(repeated <= interrupted, "{repeated} came again, {interrupted} were in flight");
        tally.interrupted += interrupted;
        tally.duplicates += repeated;
    }

    /// Stops a hospital's gateway in good order.
    pub fn stop(&mut self, place: Place) {
        self.gateways[index(place)].take().unwrap().stop();
    }

    /// Starts it again.
    pub fn restart(&mut self, place: Place) {
        self.gateways[index(place)] = Some(self.world.serve(place));
    }

    /// Everything ordered is acknowledged and delivered, once or again, within patience.
    #[track_caller]
    pub fn everything_arrives(&self) {
        assert!(self.ledger.wait_acknowledged(self.load.issued(), PATIENCE), "{}", self.state("not all accepted"));
        if let Err(missing) = self.ledger.settle(PATIENCE) {
            panic!("{}", self.state(&missing));
        }
        assert!(self.load.refused().is_empty(), "refused for good: {:?}", self.load.refused());
    }

    /// The running gateway of a hospital.
    #[must_use]
    pub fn gateway(&self, place: Place) -> &Gateway {
        self.gateways[index(place)].as_ref().unwrap()
    }

    /// The deliveries that a killed gateway had under way: recipient and lease, from a copy of its queue.
    fn in_flight(&self, place: Place) -> BTreeSet<(i64, i64)> {
        let queue = self.world.folder().join(place.folder()).join("data/queue");
        let copy = Scratch::new("in-flight");
        for name in ["queue.db", "queue.db-wal"] {
            if queue.join(name).exists() {
                std::fs::copy(queue.join(name), copy.join(name)).unwrap();
            }
        }
        let db = rusqlite::Connection::open(copy.join("queue.db")).unwrap();
        let mut query = db.prepare("SELECT seq, lease FROM recipient WHERE lease > 0").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Starts a gateway and kills it before it is ready, or soon after: recovery must stand a crash, too.
    fn die_while_starting(&self, place: Place, chance: &mut Chance) {
        let configuration = self.world.configuration(place);
        let mut process = Running::start("sceau", binary(), |command| {
            command.arg("serve").arg("--config").arg(configuration);
        });
        std::thread::sleep(Duration::from_millis(chance.below(400)));
        process.kill();
    }

    /// Stops both gateways in good order and checks what they leave: empty queues, one end for each
    /// recipient, a trail that verifies.
    pub fn finish(mut self) {
        for place in HOSPITALS {
            self.drain(place);
        }
        for gateway in &mut self.gateways {
            gateway.take().unwrap().stop();
        }
        for place in HOSPITALS {
            let configuration = self.world.configuration(place);
            let configuration = configuration.to_str().unwrap();
            let (code, queue) = sceau_json(&["queue", "list", "--config", configuration]);
            assert_eq!((code, queue["messages"].as_array().map(Vec::len)), (Some(0), Some(0)), "{queue}");
            let verified = sceau(&["trail", "verify", "--config", configuration], b"");
            assert_eq!(verified.code, Some(0), "{}{}", verified.text(), verified.errors);
            let ends = ends(&records(&self.world.configuration(place)));
            let told: Vec<_> = ends.iter().filter(|(_, (queued, ended))| (*queued, *ended) != (1, 1)).collect();
            assert!(told.is_empty(), "{place:?}: queued and ended other than once: {told:?}");
            assert!(!ends.is_empty(), "{place:?}: the trail knows of nobody");
            if place == Place::A {
                let promised: usize =
                    self.ledger.promises().iter().map(|promise| promise.good.len() + promise.refused.len()).sum();
                assert!(ends.len() >= promised, "{} recipients in the trail, {promised} promised", ends.len());
            }
        }
    }

    /// Waits until a gateway's queue is empty: notices to senders are mail, too.
    fn drain(&self, place: Place) {
        let configuration = self.world.configuration(place);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, queue) = sceau_json(&["queue", "list", "--config", configuration.to_str().unwrap()]);
            if queue["messages"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
            assert!(Instant::now() < deadline, "{place:?} does not drain: {queue}");
        }
    }

    /// What there is to know when something went wrong.
    #[must_use]
    pub fn state(&self, what: &str) -> String {
        let logs: Vec<String> = self.gateways.iter().flatten().map(Gateway::log).collect();
        format!("{what}; refused for good: {:?}\n--- A\n{}", self.load.refused(), logs.join("\n--- B\n"))
    }
}

/// The records of a stopped gateway's trail.
#[must_use]
#[track_caller]
pub fn records(configuration: &Path) -> Vec<trail::Record> {
    let told = sceau(&["trail", "follow", "--once", "--json", "--config", configuration.to_str().unwrap()], b"");
    let text = String::from_utf8(told.success()).unwrap();
    text.lines()
        .flat_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            serde_json::from_value::<Vec<trail::Record>>(entry["records"].clone()).unwrap()
        })
        .collect()
}

fn index(place: Place) -> usize {
    HOSPITALS.iter().position(|hospital| *hospital == place).unwrap()
}

/// How often each recipient of each message was queued and ended, by the records.
#[must_use]
pub fn ends(records: &[trail::Record]) -> std::collections::BTreeMap<(String, String), (u32, u32)> {
    let mut ends = std::collections::BTreeMap::new();
    for record in records {
        let (Some(message), Some(recipient)) = (record.message, &record.recipient) else { continue };
        let entry: &mut (u32, u32) = ends.entry((message.to_string(), recipient.to_string())).or_default();
        entry.0 += u32::from(matches!(record.event, trail::Event::Queued { .. }));
        entry.1 += u32::from(record.event.is_terminal());
    }
    ends
}

/// How many deliveries a start found interrupted.
#[must_use]
pub fn interrupted_in(log: &str) -> u64 {
    let told = log.lines().filter_map(|line| line.split_once(" interrupted delivery"));
    told.filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// The far ends: both inner mail stores and the third operator's server.
fn sinks(world: &World, ledger: &Arc<Ledger>) -> Vec<Sink> {
    let nobody = |said: &str| said.starts_with("RCPT TO:<refuse.").then(|| "550 5.1.1 no such mailbox".to_owned());
    let inner = |place| SinkOptions::lmtp().at(world.ports(place).inner).answering(nobody).giving_to(books(ledger));
    vec![Sink::start(inner(Place::A)), Sink::start(inner(Place::B)), operator(world, ledger)]
}

fn books(ledger: &Arc<Ledger>) -> impl Fn(crate::capture::Captured) + Send + Sync + 'static {
    let ledger = Arc::clone(ledger);
    move |captured| ledger.arrive(&captured)
}

/// The third operator's server, which enters what it gets in the books.
#[must_use]
pub fn operator(world: &World, ledger: &Arc<Ledger>) -> Sink {
    let identity = &world.space.operator;
    let (server, chain): (Credentials, Vec<X509>) = Credentials::load(&identity.certificate, &identity.key);
    let operator = SinkOptions::smtp()
        .mutual_tls(&server, &chain, &[world.root("servers")])
        .at(world.space.ports.c.exchange)
        .giving_to(books(ledger));
    Sink::start(operator)
}
