//! A disk that fails or fills under the running gateway (CR3, CR4): a temporary refusal, nothing lost,
//! and recovery. The faults are made in the real process by strace.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::{A, B};
use tests::faults::Faults;
use tests::world::{World, hand_over, letter};

/// What the gateway says while these calls fail, and that it still serves or can be started again.
fn refused_for_now_and_nothing_lost(calls: &str, error: &str, code: u16) {
    let world = World::new();
    let mut a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Avant")).code, 250);

    let faults = Faults::inject(a.pid(), calls, error);
    let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, "Pendant"));
    assert!(reply.code == code, "{calls} {error}: {} {}\n{}", reply.code, reply.text(), a.log());
    faults.end();

    // Whether it recovers by itself or wants a restart (a failed sync is believed, CR4): afterwards
    // what was acknowledged is there, and mail flows.
    a.stop();
    let _a = world.serve(A);
    let _b = world.serve(B);
    let store = world.inner_store(B);
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Apres")).code, 250);
    let kept: Vec<String> =
        store.wait_for(2).iter().map(|kept| String::from_utf8_lossy(&kept.message).into_owned()).collect();
    assert!(kept.iter().any(|mail| mail.contains("Subject: Avant")));
    assert!(kept.iter().any(|mail| mail.contains("Subject: Apres")));
    assert!(!kept.iter().any(|mail| mail.contains("Subject: Pendant")), "refused and delivered all the same");
}

#[test]
fn a_failing_sync_defers() {
    refused_for_now_and_nothing_lost("fsync,fdatasync", "EIO", 451);
}

#[test]
fn a_full_disk_defers() {
    refused_for_now_and_nothing_lost("pwrite64", "ENOSPC", 452);
}
