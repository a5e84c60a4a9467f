//! Nothing acknowledged is lost when the gateway dies (CR1): `tests/crash --rounds N --seed S` repeats
//! a run or makes a longer one.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use tests::crash::chance::Chance;
use tests::crash::rounds::{Installation, Tally};
use tests::tier::repetitions;

#[test]
fn nothing_acknowledged_is_lost_when_the_gateway_is_killed() {
    let rounds = match std::env::var("SCEAU_CRASH_ROUNDS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SCEAU_CRASH_ROUNDS={text} is not a number")),
        Err(_) => repetitions(50, 1000),
    };
    let seed = Chance::seed("SCEAU_CRASH_SEED");
    println!("seed {seed}: repeat with tests/crash --rounds {rounds} --seed {seed}");
    let started = std::time::Instant::now();
    let mut chance = Chance::new(seed);
    let mut tally = Tally::default();
    let mut installation = Installation::start(seed);
    for round in 1..=rounds {
        installation.round(&mut chance, &mut tally);
        if round % 50 == 0 {
            println!("{round} rounds, {} s: {tally:?}", started.elapsed().as_secs());
        }
    }
    let acknowledged = installation.ledger.acknowledged();
    let kept: usize = installation.ledger.promises().iter().map(|p| p.good.len() + p.refused.len()).sum();
    installation.finish();
    println!(
        "{rounds} rounds, {} kills, {acknowledged} messages acknowledged, {kept} promises kept, 0 lost; {} deliveries \
         in flight at a kill, {} came twice; every recipient ended once; both trails verify",
        tally.kills, tally.interrupted, tally.duplicates
    );
}
