//! Nothing acknowledged is lost when the power goes (CR2): what the real process wrote, synced and
//! renamed is recorded, disks are rebuilt as they might be found, and the real program opens each.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sceau::demo::cast::Place::A;
use store::{Filter, Message, Page, SqliteOptions, SqliteStore, State, Store as _};
use tests::crash::chance::Chance;
use tests::crash::ledger::{Ledger, message_id};
use tests::crash::load::Load;
use tests::crash::power::{DiskState, Record, Rest, record};
use tests::crash::rounds::{ends, interrupted_in, operator, records};
use tests::gateway::{Gateway, binary, sceau};
use tests::place::Scratch;
use tests::process::PATIENCE;
use tests::tier::repetitions;
use tests::world::World;

/// The life of hospital A's gateway from its very first start: messages for hospital B, which is away,
/// and for the third operator, which is there.
fn lived(world: &World, ledger: &Arc<Ledger>, seed: u64, log: &Path) -> Record {
    for (from, to) in [
        ("first_retry = \"1s\"", "first_retry = \"100ms\""),
        ("last_retry = \"8s\"", "last_retry = \"500ms\""),
        ("lifetime = \"5m\"", "lifetime = \"5d\""),
        ("delay_notices = [\"15s\", \"60s\"]", "delay_notices = []"),
    ] {
        world.edit(A, "sceau.toml", from, to);
    }
    let configuration = world.configuration(A);
    let arguments = ["serve", "--config", configuration.to_str().unwrap()];
    let mut process = record(log, binary(), &arguments);
    process.wait_for_line(&["sceau: ready"]);
    let mut load = Load::start(world, Arc::clone(ledger), seed);
    load.issue(25);
    load.issue_large(2);
    assert!(ledger.wait_acknowledged(load.issued(), PATIENCE), "{}", process.log());
    // Some deliveries, some attempts that fail, some entries of the trail.
    std::thread::sleep(Duration::from_secs(1));
    load.issue(5);
    assert!(ledger.wait_acknowledged(load.issued(), PATIENCE), "{}", process.log());
    drop(load);
    process.stop();
    let deadline = Instant::now() + PATIENCE;
    while !process.has_ended() {
        assert!(Instant::now() < deadline, "strace does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    Record::read(log, &world.folder().join(A.folder()).join("data"))
}

/// A rebuilt disk as the gateway finds it, with a configuration that points there.
struct Found<'a> {
    world: &'a World,
    name: String,
    configuration: std::path::PathBuf,
}

impl<'a> Found<'a> {
    fn new(world: &'a World, number: usize, state: &DiskState) -> Self {
        let folder = world.folder().join(A.folder());
        let name = format!("state-{number}");
        state.write(&folder.join(&name));
        let text = std::fs::read_to_string(world.configuration(A)).unwrap();
        assert!(text.contains("data = \"data\""));
        let configuration = folder.join(format!("{name}.toml"));
        std::fs::write(&configuration, text.replacen("data = \"data\"", &format!("data = \"{name}\""), 1)).unwrap();
        Self { world, name, configuration }
    }

    fn queue(&self) -> Vec<Message> {
        let folder = self.world.folder().join(A.folder()).join(&self.name).join("queue");
        let store = SqliteStore::attach(&folder, SqliteOptions::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let messages = runtime.block_on(store.list(Filter::default(), Page { after: None, limit: 10_000 })).unwrap();
        // Reading a body proves its hash.
        for body in messages.iter().flat_map(|message| &message.bodies).filter_map(|body| body.body.as_ref()) {
            let reader = runtime.block_on(store.body(body)).unwrap_or_else(|error| panic!("a body is lost: {error}"));
            reader.bytes(1 << 30).unwrap_or_else(|error| panic!("a body is damaged: {error}"));
        }
        messages
    }

    /// The real program opens it without help, everything promised before that moment is there, what may
    /// come a second time was in flight, and the trail tells of one end for each recipient.
    fn check(&self, ledger: &Ledger, seed: u64, state: &DiskState) -> usize {
        let mut gateway = Gateway::serve(&self.configuration);
        let log = gateway.log();
        assert!(gateway.stop().success(), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
        let queue = self.queue();
        let told = ends(&records(&self.configuration));
        let mut again = 0;
        let promised = ledger.promised_before(state.at);
        for (number, promise) in &promised {
            let id = message_id(seed, *number);
            for recipient in promise.good.iter().chain(&promise.refused) {
                let found = queue
                    .iter()
                    .filter(|message| message.info.message_id.as_deref() == Some(&id))
                    .flat_map(|message| &message.recipients)
                    .find(|found| found.address.to_string() == *recipient);
                let Some(found) = found else { panic!("{id} to {recipient} was acknowledged and is lost") };
                if matches!(found.progress.state, State::Queued { .. }) {
                    again += u64::from(ledger.had_arrived(*number, recipient, state.at));
                }
                let kept = match &found.progress.state {
                    State::Queued { .. } => true,
                    State::Delivered { .. } => ledger.has_arrived(*number, recipient),
                    _ => false,
                };
                assert!(kept, "{id} to {recipient}: {:?}", found.progress.state);
            }
        }
        let in_flight = interrupted_in(&log);
        assert!(again <= in_flight, "{again} come again, {in_flight} were in flight: {log}");
        for message in &queue {
            for recipient in &message.recipients {
                let key = (message.info.id.to_string(), recipient.address.to_string());
                let expected = (1, u32::from(recipient.progress.state.is_ended()));
                assert_eq!(told.get(&key), Some(&expected), "{key:?}: queued and ended in the trail");
            }
        }
        let verified = sceau(&["trail", "verify", "--config", self.configuration.to_str().unwrap()], b"");
        assert_eq!(verified.code, Some(0), "{}{}", verified.text(), verified.errors);
        promised.len()
    }
}

impl Drop for Found<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(self.world.folder().join(A.folder()).join(&self.name));
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let seed = Chance::seed("SCEAU_CRASH_SEED");
    println!("seed {seed}: repeat with SCEAU_CRASH_SEED={seed}");
    let world = World::new();
    let ledger = Arc::new(Ledger::default());
    let outside = Scratch::new("record");
    let _operator = operator(&world, &ledger);
    let record = lived(&world, &ledger, seed, &outside.join("strace"));
    println!("{} changes recorded, {} of them syncs", record.len(), record.syncs());
    assert!(record.syncs() > 50, "the record is too short to mean anything");
    let mut chance = Chance::new(seed);
    let states = repetitions(30, 1000);
    let (mut promises, mut most) = (0, 0);
    for number in 0..states {
        // Any moment, and more often one of the very first start, when files and folders are made.
        let bound = if chance.percent(20) { 80 } else { record.len() as u64 + 1 };
        let moment = usize::try_from(chance.below(bound)).unwrap();
        let rest = [Rest::Lost, Rest::Kept, Rest::Prefix, Rest::Subset, Rest::Subset]
            [usize::try_from(chance.below(5)).unwrap()];
        let state = record.state(moment, rest, &mut chance);
        println!("state {number}: before change {moment}, {rest:?}, {:?}", state.listing().len());
        let found = Found::new(&world, number, &state);
        let kept = found.check(&ledger, seed, &state);
        promises += kept;
        most = most.max(kept);
    }
    assert!(most > 20, "no state came after most acknowledgements");
    println!(
        "{states} disk states opened, {promises} acknowledged messages looked for in them, 0 lost, none again that was not in flight, one \
         end each; every trail verifies"
    );
}
