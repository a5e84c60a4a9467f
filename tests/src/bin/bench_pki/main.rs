//! `tests/bench/pki`: how many certificates a second are judged, and what a revocation list of a million
//! entries costs.

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
mod reading;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ident::{Clock, StructureId, SystemClock, Timestamp};
use openssl::x509::X509;
use pki::certificate::Certificate;
use pki::crl::RevocationList;
use pki::issue::{
    Authority, AuthorityRequest, CertificateRequest, CrlRequest, KeyAlgorithm, Profile, Reason, Revocation, Structure,
    Validity,
};
use pki::path::{Purpose, Validator, ValidatorBuilder};
use tests::bench::machine::{self, Pace, pace};
use tests::bench::report::{Ratio, Table, median, print_ratios};
use tests::place::Scratch;

use crate::peer::Peer;

/// Leaves: those that are judged in turn.
const LEAVES: usize = 50;
/// Entries of the list that most authorities have.
const SHORT: usize = 1000;
/// Microseconds of a look-up in a list of a million entries (design, performance budget).
const LOOK_UP: f64 = 1.0;

struct Tier {
    long: usize,
    rounds: usize,
    time: Duration,
}

/// Two authorities, as the national ones are: RSA throughout above the leaves.
struct World {
    root: Authority,
    issuing: Authority,
    anchor: Certificate,
    intermediate: Certificate,
    leaves: Vec<Certificate>,
    now: Timestamp,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--read", long, newer] => return reading::child(long.as_ref(), newer.as_ref()),
        ["--full"] => Tier { long: 1_000_000, rounds: 7, time: Duration::from_secs(3) },
        [] | ["--quick"] => Tier { long: 100_000, rounds: 3, time: Duration::from_millis(500) },
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}; {}", machine::describe(), openssl::version::version());
    println!(
        "Path: {LEAVES} server certificates, an issuing authority with RSA-2048, a root with RSA-4096, a revocation \
         list of each authority; one thread; {} rounds of {} s, subjects take turns, the middle round counts.\n",
        tier.rounds,
        tier.time.as_secs_f64()
    );
    let world = World::new(SystemClock.now());
    let folder = Scratch::new("bench-pki");
    let above = world.root.crl(&world.list(0, 0)).unwrap();
    let short = world.issuing.crl(&world.list(SHORT, 1)).unwrap();
    let long = world.issuing.crl(&world.list(tier.long, 2)).unwrap();
    let newer = world.issuing.crl(&world.list(tier.long + 1, 3)).unwrap();
    let mut ratios = reading::measure(folder.path(), long.der(), newer.der(), tier.long);
    let read = |der: &[u8]| Arc::new(RevocationList::from_der(der).unwrap());
    let [above_read, short_read, long_read] = [&above, &short, &long].map(|list| read(list.der()));
    let lists = |list: &Arc<RevocationList>| [Arc::clone(&above_read), Arc::clone(list)];
    let (short_lists, long_lists) = (lists(&short_read), lists(&long_read));
    let mut openssl =
        [&short, &long].map(|list| Peer::new(folder.path(), &world.root, &world.issuing, &[above.der(), list.der()]));
    let (warm_short, warm_long) = (world.validator(&short_lists), world.validator(&long_lists));
    let others: Vec<X509> = world.leaves.iter().map(peer::read).collect();
    let mut paces: [Vec<Pace>; 6] = Default::default();
    for _ in 0..tier.rounds {
        paces[0].push(repeat(tier.time, |turn| world.judge(&world.validator(&short_lists), turn)));
        paces[1].push(repeat(tier.time, |turn| world.judge(&warm_short, turn)));
        paces[2].push(repeat(tier.time, |turn| assert!(openssl[0].verify(&others[turn % LEAVES]))));
        paces[3].push(repeat(tier.time, |turn| world.judge(&world.validator(&long_lists), turn)));
        paces[4].push(repeat(tier.time, |turn| world.judge(&warm_long, turn)));
        paces[5].push(repeat(tier.time, |turn| assert!(openssl[1].verify(&others[turn % LEAVES]))));
    }
    println!("\nValidations a second (load {}):", machine::load());
    let mut table = Table::new(&["", "middle", "processor us each"]);
    let names = ["sceau, cold: nothing remembered", "sceau, warm: seen before", "OpenSSL X509_verify_cert"];
    let rates: Vec<f64> = paces
        .iter()
        .enumerate()
        .map(|(at, paces)| {
            let of = |figure: fn(&Pace) -> f64| median(&paces.iter().map(figure).collect::<Vec<_>>());
            let (rate, processor) = (of(|pace| pace.rate), of(|pace| pace.processor));
            let entries = if at < 3 { SHORT } else { tier.long };
            let name = format!("{}, list of {entries}", names[at % 3]);
            table.row(&[name, format!("{rate:.0}"), format!("{processor:.2}")]);
            rate
        })
        .collect();
    table.print();
    for (name, ours, theirs) in
        [("pki_cold", 0, 2), ("pki_warm", 1, 2), ("pki_cold_long_list", 3, 5), ("pki_warm_long_list", 4, 5)]
    {
        let raw = format!("sceau {:.0}/s, OpenSSL {:.0}/s; sceau / OpenSSL", rates[ours], rates[theirs]);
        ratios.push(Ratio::new(name, raw, rates[ours] / rates[theirs]));
    }
    ratios.push(look_up(&world, &warm_short, &warm_long, tier.long));
    println!("\nLoad after: {}", machine::load());
    print_ratios(&ratios);
}

impl World {
    fn new(now: Timestamp) -> Self {
        let validity = Validity::days(now.minus(Duration::from_secs(24 * 3600)), 1000);
        let request = |name, key| AuthorityRequest::new(name, key, validity);
        let root = Authority::root(&request("RACINE BANC", KeyAlgorithm::Rsa4096)).unwrap();
        let issuing = root.intermediate(&request("BANC", KeyAlgorithm::Rsa2048)).unwrap();
        let structure = Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
        let leaves = (0..LEAVES)
            .map(|number| {
                let profile = Profile::ServerTls {
                    host: format!("smtp{number}.ch-exemple.test"),
                    alternatives: vec![],
                    structure: structure.clone(),
                };
                let issued = issuing.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap();
                Certificate::from_der(issued.certificate_der()).unwrap()
            })
            .collect();
        let certificate = |authority: &Authority| Certificate::from_der(authority.certificate_der()).unwrap();
        let (anchor, intermediate) = (certificate(&root), certificate(&issuing));
        Self { root, issuing, anchor, intermediate, leaves, now }
    }

    /// So many revoked certificates, none of them ours.
    fn list(&self, entries: usize, number: u64) -> CrlRequest {
        let revoked = (0..entries as u64).map(|serial| Revocation {
            // Sixteen octets all over the range, as real serial numbers are.
            serial: openssl::sha::sha256(&serial.to_be_bytes())[..16].to_vec(),
            reason: if serial % 3 == 0 { Reason::KeyCompromise } else { Reason::Unspecified },
            at: self.now,
        });
        CrlRequest {
            revoked: revoked.collect(),
            this_update: self.now,
            next_update: self.now.plus(Duration::from_secs(7 * 24 * 3600)),
            number,
        }
    }

    fn validator(&self, lists: &[Arc<RevocationList>]) -> Validator {
        let mut builder = ValidatorBuilder::new()
            .test_category(true)
            .anchor(Purpose::Server, self.anchor.clone())
            .intermediate(self.intermediate.clone());
        for list in lists {
            builder = builder.revocation_list(Arc::clone(list));
        }
        builder.build().unwrap()
    }

    fn judge(&self, validator: &Validator, turn: usize) {
        let verdict = validator.verify(&self.leaves[turn % LEAVES], &[], Purpose::Server, self.now);
        assert!(verdict.is_valid(), "{verdict:?}");
    }
}

fn repeat(time: Duration, mut once: impl FnMut(usize)) -> Pace {
    once(0);
    pace(|| {
        let began = Instant::now();
        let mut turn = 0;
        while began.elapsed() < time {
            once(turn);
            turn += 1;
        }
        turn as u64
    })
}

/// What a look-up in the long list takes more than one in the short list: everything else is the same.
fn look_up(world: &World, short: &Validator, long: &Validator, entries: usize) -> Ratio {
    const AT_ONCE: usize = 200;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..201 {
        for (validator, times) in [short, long].into_iter().zip(&mut times) {
            let before = machine::processor_time();
            for turn in 0..AT_ONCE {
                world.judge(validator, round + turn);
            }
            let used = machine::processor_time().saturating_sub(before);
            times.push(used.as_secs_f64() * 1e6 / AT_ONCE as f64);
        }
    }
    let [short, long] = times.map(|times| median(&times));
    let more = (long - short).max(0.01);
    Ratio::new(
        "pki_list_look_up",
        format!(
            "a warm validation takes {short:.2} us with a list of {SHORT} entries, {long:.2} us with {entries}: \
             {more:.2} us more; budget {LOOK_UP} us"
        ),
        LOOK_UP / more,
    )
}
