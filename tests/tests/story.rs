//! A practitioner's message goes from one hospital to another: the whole way, with real programs.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place;
use tests::world::World;

#[test]
fn a_doctors_message_arrives_sealed_and_judged() {
    let world = World::new();
    let _store_a = world.inner_store(Place::A);
    let store_b = world.inner_store(Place::B);
    let a = world.serve(Place::A);
    let b = world.serve(Place::B);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let sent = world
        .swaks("martin")
        .from(&from)
        .recipients(&[&to])
        .send(format!("From: {from}\nTo: {to}\nSubject: Essai\nMessage-ID: <un@ch-a.mssante.test>\nDate: Fri, 21 Nov 2026 10:00:00 +0100\n\nBonjour\n").as_bytes());
    assert_eq!(sent.code, Some(0), "{}\n{}", sent.text(), a.log());
    let kept = store_b.wait_for(1).remove(0);
    let text = String::from_utf8_lossy(&kept.message).into_owned();
    println!("{text}\n{}\n{}", a.log(), b.log());
    assert!(text.contains("Subject: Essai"), "{text}");
}
