//! What operators ask for.

use super::{Harness, samples::*, wait};
use crate::{Changes, Destination, State, Step, Store, StoreError, TransitionError};

fn refused(id: crate::QueueId, error: TransitionError) -> Result<crate::Committed, StoreError> {
    Err(StoreError::Transition { id, recipient: 0, error })
}

/// QU8.
pub fn failures_are_not_tried_again_after_a_kill<H: Harness>() {
    let harness = H::empty();
    let id = accept(harness.store(), message(1, &["a@ch-b.test"]));
    let work = claim_one(harness.store(), start());
    report(harness.store(), &work, &failed(minutes(1))).unwrap();
    let harness = harness.killed();
    assert!(claim(harness.store(), minutes(1_000_000)).is_empty());
    assert_eq!(states(harness.store(), id), [State::Failed { at: minutes(1), reason: reason("peer.refused") }]);
}

/// QU11: one outcome.
pub fn orders_wait_for_the_outcome<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    let work = claim_one(store, start());
    for step in [cancel(minutes(1)), hold(minutes(1)), Step::Retry { due: minutes(1) }] {
        assert_eq!(order(store, id, 0, step), refused(id, TransitionError::InFlight));
    }
    report(store, &work, &deferred(minutes(5))).unwrap();
    order(store, id, 0, cancel(minutes(2))).unwrap();
    assert_eq!(order(store, id, 0, cancel(minutes(2))), refused(id, TransitionError::Ended));
    assert_eq!(report(store, &work, &delivered(minutes(6))), Err(StoreError::LeaseLost(id)));
    // A worker that hangs does not keep the operator waiting beyond its lease.
    let id = accept(store, message(2, &["a@ch-b.test"]));
    let hung = claim_one(store, start());
    assert_eq!(order(store, id, 0, cancel(minutes(11))).unwrap().ended, [id]);
    assert_eq!(report(store, &hung, &delivered(minutes(12))), Err(StoreError::LeaseLost(id)));
    assert_eq!(states(store, id), [State::Cancelled { at: minutes(11), reason: reason("operator") }]);
}

/// QU12.
pub fn orders_survive_a_kill<H: Harness>() {
    let harness = H::empty();
    let ids: Vec<_> = (1..=4).map(|chance| accept(harness.store(), message(chance, &["a@ch-b.test"]))).collect();
    for work in claim(harness.store(), start()) {
        report(harness.store(), &work, &deferred(minutes(60))).unwrap();
    }
    order(harness.store(), ids[0], 0, Step::Retry { due: minutes(2) }).unwrap();
    order(harness.store(), ids[1], 0, hold(minutes(2))).unwrap();
    order(harness.store(), ids[2], 0, cancel(minutes(2))).unwrap();
    let harness = harness.killed();
    let work = claim_one(harness.store(), minutes(2));
    assert_eq!(work.info.id, ids[0]);
    report(harness.store(), &work, &delivered(minutes(3))).unwrap();
    assert!(matches!(states(harness.store(), ids[1])[..], [State::Held { .. }]));
    assert!(matches!(states(harness.store(), ids[2])[..], [State::Cancelled { .. }]));
    assert_eq!(claim_one(harness.store(), minutes(60)).info.id, ids[3]);
}

pub fn held_is_not_delivered<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    assert_eq!(order(store, id, 0, Step::Release { due: start() }), refused(id, TransitionError::NotHeld));
    order(store, id, 0, hold(start())).unwrap();
    assert!(claim(store, minutes(60)).is_empty());
    assert_eq!(order(store, id, 0, Step::Retry { due: start() }), refused(id, TransitionError::Held));
    order(store, id, 0, Step::Release { due: minutes(61) }).unwrap();
    assert!(claim(store, minutes(60)).is_empty());
    assert_eq!(claim_one(store, minutes(61)).info.id, id);
}

pub fn rerouted_goes_the_other_way<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    let other = Destination::Route("secours".to_owned());
    let reroute = || Changes { reroutes: vec![(id, 0, other.clone())], ..Changes::default() };
    wait(store.commit(reroute())).unwrap();
    let work = claim_one(store, start());
    assert_eq!(work.destination, other);
    assert_eq!(wait(store.commit(reroute())), refused(id, TransitionError::InFlight));
    report(store, &work, &delivered(start())).unwrap();
    assert_eq!(wait(store.commit(reroute())), refused(id, TransitionError::Ended));
}
