//! `tests/bench/smime`: how many messages a second are sealed and opened on one core, beside what their primitives
//! alone would allow and what the `openssl` crate's CMS does with the same octets.

// A bench that cannot do its work says so and ends.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod ours;
mod peer;
mod primitives;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::Profile;
use tests::bench::machine;
use tests::bench::report::{Ratio, Table, median, print_ratios};
use zeroize::Zeroizing;

use crate::peer::Peer;
use crate::primitives::Made;
use crate::world::{Kind, World, message};

/// A message of 20 KB, of a megabyte, and one at the size that operators allow.
const SMALL: usize = 20 << 10;
const LARGE: usize = 1 << 20;
const HUGE: usize = 25 << 20;

const PROFILES: [(Profile, &str); 3] =
    [(Profile::Gateway, "gateway"), (Profile::Client, "client"), (Profile::SignedOnly, "signed-only")];

struct Tier {
    sizes: &'static [(usize, &'static str)],
    rounds: usize,
    time: Duration,
}

/// Middle figures of one kind of work, in microseconds of processor time for each message.
#[derive(Clone, Copy)]
struct Figures {
    ours: f64,
    primitives: f64,
    /// The crate's CMS and what else the same result takes.
    peer: f64,
    /// Containers alone: ours, the primitives, the crate's.
    ours_der: f64,
    primitives_der: f64,
    peer_der: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tier = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--full"] => Tier {
            sizes: &[(SMALL, "20 KB"), (LARGE, "1 MB"), (HUGE, "25 MB")],
            rounds: 21,
            time: Duration::from_millis(100),
        },
        [] | ["--quick"] => {
            // Many short rounds in turn: what a neighbour does for a moment then falls on all subjects alike.
            Tier { sizes: &[(SMALL, "20 KB"), (LARGE, "1 MB")], rounds: 11, time: Duration::from_millis(12) }
        }
        _ => panic!("unknown options {arguments:?}"),
    };
    println!("Machine: {}; {}", machine::describe(), openssl::version::version());
    println!(
        "One thread. Messages with an attachment in base64, from and into memory. Figures: messages a second by \
         processor time; {} rounds of {} ms, subjects take turns, the middle round counts.\n\
         sceau: read, sealed and opened as the gateway does it, every line judged, what was decrypted wiped; no path, \
         no judgement, no disk.\n\
         primitives: digest, signature, key wrap, cipher (opening: their counterparts), and nothing else: no base64, no \
         reading.\n\
         crate: CmsContentInfo, the same keys and ciphers, and base64 by the `base64` crate, from message to message as \
         ours; nothing is read or judged beyond it.\n\
         DER: containers alone, from and to DER without base64: pki::cms beside CmsContentInfo.\n\
         at most: how many times the crate's rate the primitives alone reach. Nobody with these keys can do more.\n",
        tier.rounds,
        tier.time.as_millis()
    );
    settle_allocator();
    let mut table = Table::new(&[
        "",
        "sceau/s",
        "primitives/s",
        "crate/s",
        "of primitives",
        "x crate",
        "at most",
        "DER sceau/s",
        "DER crate/s",
        "DER x crate",
        "at most",
    ]);
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let world = World::new(kind);
        for (size, size_name) in tier.sizes {
            let text = message(*size);
            for (profile, profile_name) in PROFILES {
                for (work, figures) in ["seal", "open"].into_iter().zip(measure(&world, profile, &text, &tier)) {
                    table.row(&[
                        format!("{work} {profile_name} {} {size_name}", kind.name()),
                        rate(figures.ours),
                        rate(figures.primitives),
                        rate(figures.peer),
                        format!("{:.2}", figures.primitives / figures.ours),
                        format!("{:.2}", figures.peer / figures.ours),
                        format!("{:.2}", figures.peer / figures.primitives),
                        rate(figures.ours_der),
                        rate(figures.peer_der),
                        format!("{:.2}", figures.peer_der / figures.ours_der),
                        format!("{:.2}", figures.peer_der / figures.primitives_der),
                    ]);
                    all.push((kind, *size, profile, format!("{work} {profile_name}"), figures));
                }
            }
        }
    }
    println!("Load at the end: {}\n", machine::load());
    table.print();
    print_ratios(&ratios(&all));
}

/// The C library begins with giving the end of its heap back after each small message, and stops that for good when
/// a large buffer was freed for the first time. A gateway has done that long ago; so have all subjects here.
fn settle_allocator() {
    drop(std::hint::black_box(vec![1u8; HUGE]));
}

fn rate(microseconds: f64) -> String {
    format!("{:.0}", 1e6 / microseconds)
}

type Row = (Kind, usize, Profile, String, Figures);

/// The budgets: the worst case of each. Twice the crate's speed is asked for everywhere; beside the worst of all cases
/// stands the worst of those in which the primitives alone, and so anybody, could reach it.
fn ratios(all: &[Row]) -> Vec<Ratio> {
    let encrypted = |row: &&Row| row.2 != Profile::SignedOnly;
    let worst = |name: &'static str, budget: f64, raw: fn(&Figures) -> (f64, f64), of: &dyn Fn(&Row) -> bool| {
        let share = |row: &Row| {
            let (theirs, ours) = raw(&row.4);
            theirs / ours
        };
        let row = all.iter().filter(encrypted).filter(|row| of(row)).min_by(|a, b| share(a).total_cmp(&share(b)))?;
        let (theirs, ours) = raw(&row.4);
        let said = format!(
            "{} {}: sceau {}/s, other {}/s; share {:.2} of a budget of {budget}",
            row.3,
            row.0.name(),
            rate(ours),
            rate(theirs),
            share(row)
        );
        Some(Ratio::new(name, said, share(row) / budget))
    };
    let primitives: fn(&Figures) -> (f64, f64) = |figures| (figures.primitives, figures.ours);
    let peer: fn(&Figures) -> (f64, f64) = |figures| (figures.peer, figures.ours);
    let containers: fn(&Figures) -> (f64, f64) = |figures| (figures.peer_der, figures.ours_der);
    let at = |size: usize, elliptic: bool| move |row: &Row| row.1 == size && (row.0 == Kind::P256) == elliptic;
    let possible = |row: &Row| row.1 == LARGE && row.4.peer / row.4.primitives >= 2.0;
    [
        worst("smime_20k_rsa_of_primitives", 0.80, primitives, &at(SMALL, false)),
        worst("smime_20k_p256_of_primitives", 0.50, primitives, &at(SMALL, true)),
        worst("smime_1m_over_openssl_crate", 2.0, peer, &|row| row.1 == LARGE),
        worst("smime_1m_over_openssl_crate_where_possible", 2.0, peer, &possible),
        worst("smime_1m_containers_over_openssl_crate", 2.0, containers, &|row| row.1 == LARGE),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Sealing and opening of one message by all three, in turn.
fn measure(world: &World, profile: Profile, text: &[u8], tier: &Tier) -> [Figures; 2] {
    let peer = Peer::new(world);
    let mut made = Made::new(world, profile, text);
    let mut made_der = Made::of_containers(world, profile, text);
    let sealed = Arc::new(Zeroizing::new(ours::seal(world, profile, text)));
    let theirs = peer.seal_text(world, profile, text);
    let (container, their_container) = (ours::seal_container(world, profile, text), peer.seal(world, profile, text));
    let opened = ours::open(world, &sealed);
    assert_eq!(usize::try_from(opened.inner_size).unwrap(), text.len(), "the message comes back");
    assert_eq!(peer.open_text(world, profile, &theirs), text, "and so it does there");
    assert_eq!(ours::open_container(world, profile, &container), text, "and out of a container");
    let mut times: [Vec<f64>; 12] = Default::default();
    let [a, b, c, d, e, f, g, h, i, j, k, l] = &mut times;
    for _ in 0..tier.rounds {
        a.push(each(tier.time, || drop(ours::seal(world, profile, text))));
        b.push(each(tier.time, || made.seal(world, profile, text)));
        c.push(each(tier.time, || drop(peer.seal_text(world, profile, text))));
        d.push(each(tier.time, || drop(ours::seal_container(world, profile, text))));
        e.push(each(tier.time, || drop(peer.seal(world, profile, text))));
        f.push(each(tier.time, || drop(ours::open(world, &sealed))));
        g.push(each(tier.time, || made.open(world, profile, text)));
        h.push(each(tier.time, || drop(peer.open_text(world, profile, &theirs))));
        i.push(each(tier.time, || drop(ours::open_container(world, profile, &container))));
        j.push(each(tier.time, || drop(peer.open(world, profile, &their_container))));
        // Elsewhere it is the same work.
        if profile == Profile::Client {
            k.push(each(tier.time, || made_der.seal(world, profile, text)));
            l.push(each(tier.time, || made_der.open(world, profile, text)));
        }
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l] = times.map(|times| median(&times));
    let (k, l) = if profile == Profile::Client { (k, l) } else { (b, g) };
    [
        Figures { ours: a, primitives: b, peer: c, ours_der: d, primitives_der: k, peer_der: e },
        Figures { ours: f, primitives: g, peer: h, ours_der: i, primitives_der: l, peer_der: j },
    ]
}

/// Microseconds of processor time for each repetition.
fn each(time: Duration, mut work: impl FnMut()) -> f64 {
    work();
    let (began, before) = (Instant::now(), machine::processor_time());
    let mut count = 0u32;
    while count == 0 || began.elapsed() < time {
        work();
        count += 1;
    }
    machine::processor_time().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(count)
}
