//! 100 KB in both directions at once, through one gateway: sealed outwards while what another operator
//! sealed is opened inwards. The budget is the peak of a whole national network.

use std::time::Duration;

use ident::{Address, Clock, SystemClock};
use mail::{DEFAULT_SUBJECT, Limits, Profile, SealRequest};
use pki::certificate::Certificate;
use pki::keys::FileKey;
use sceau::demo::cast::Place;
use tests::bench::load::{Endpoint, Letter, Plan, send};
use tests::bench::report::Ratio;
use tests::bench::sink::Sink;
use tests::bench::subjects::{Subject, gateway_identity};
use tests::world::World;
use tokio::runtime::Runtime;

/// A message of this load.
const OCTETS: usize = 100 * 1024;
/// How long it lasts.
const TIME: Duration = Duration::from_secs(20);
/// Connections in each direction.
const CONNECTIONS: usize = 10;
/// Messages a second in each direction: what the German national specification sets as peak.
const WANTED: f64 = 302.0;
/// Numbers of the runs; the main load's are small.
const OUTWARDS: u32 = 1_000_001;
const INWARDS: u32 = 1_000_002;

pub(crate) fn measure(world: &World, runtime: &Runtime, sink: &Sink) -> Ratio {
    let gateway = Subject::sceau(world);
    let (ours, theirs) = (world.address("martin"), world.address("moreau"));
    let outwards = Letter::new(&ours, &theirs, OCTETS);
    let server = world.ports(Place::A).exchange;
    let operator = Endpoint::new(server, &Place::A.host(), &world.root("servers"), &gateway_identity(world, Place::B));
    let inwards = Letter::finished(&theirs, &ours, sealed(world, &Letter::new(&theirs, &ours, OCTETS)));
    let (delivered_out, delivered_in) = runtime.block_on(async {
        let store = Sink::inner_store(world.ports(Place::A).inner).await;
        let plan = |run| Plan { run, connections: CONNECTIONS, time: TIME, rate: None };
        let client = gateway.endpoint(world);
        let (out, inward) =
            tokio::join!(send(&client, &outwards, plan(OUTWARDS)), send(&operator, &inwards, plan(INWARDS)));
        for reply in out.refused.iter().chain(&inward.refused).take(3) {
            println!("  refused: {reply}");
        }
        let out_arrived = sink.wait(OUTWARDS, out.accepted, Duration::from_secs(120)).await;
        let in_arrived = store.wait_all(INWARDS, inward.accepted, Duration::from_secs(120)).await;
        let rate = |count: u64, last: Option<std::time::Instant>, began| {
            last.map_or(0.0, |last: std::time::Instant| count as f64 / last.duration_since(began).as_secs_f64())
        };
        println!(
            "\n100 KB in both directions at once: accepted {} outwards and {} inwards, arrived {} and {}",
            out.accepted,
            inward.accepted,
            out_arrived.messages,
            in_arrived.messages + in_arrived.repeated
        );
        (
            rate(out_arrived.messages, out_arrived.last, out.began),
            rate(in_arrived.messages + in_arrived.repeated, in_arrived.last, inward.began),
        )
    });
    Ratio::new(
        "both_directions_100k",
        format!("{delivered_out:.1}/s sealed outwards and {delivered_in:.1}/s opened inwards; wanted: {WANTED}/s each"),
        delivered_out.min(delivered_in) / WANTED,
    )
}

/// Messages that hospital B has sealed for hospital A; sent in turn, so that sealing them costs nothing
/// while the gateway is measured.
fn sealed(world: &World, letter: &Letter) -> Vec<Vec<u8>> {
    let read = |path: &str| std::fs::read(world.folder().join(path)).unwrap();
    let signer = FileKey::from_pem(&read("ch-b/signing.key"), &read("ch-b/signing.pem"), None).unwrap();
    let reader = Certificate::list_from_pem(&read("book/ch-a-reads.pem")).unwrap().remove(0);
    let recipient = Address::parse(&world.address("martin")).unwrap();
    (0..64)
        .map(|number| {
            let request = SealRequest {
                message: &letter.message(INWARDS, number),
                recipients: std::slice::from_ref(&recipient),
                signer: &signer,
                to: &[&reader],
                profile: Profile::Gateway,
                inside: mail::Inside::Binary,
                at: SystemClock.now(),
                assurance: None,
                extra: &[],
                authserv_id: "generator.test",
                subject: DEFAULT_SUBJECT,
                limits: &Limits::default(),
            };
            mail::seal(&request).unwrap().bytes
        })
        .collect()
}
