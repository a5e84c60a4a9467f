//! Giving out work and taking outcomes.

use std::{collections::HashSet, thread};

use super::{Harness, samples::*, wait};
use crate::{ClaimRequest, State, Store, StoreError};

pub fn recipients_of_one_body_come_together<H: Harness>() {
    let harness = H::empty();
    let mut sent = message(1, &["a@ch-b.test", "b@ch-b.test", "c@op-c.test"]);
    sent.bodies.push(body(b"for the hidden one"));
    sent.recipients.push(recipient("hidden@ch-b.test", 1));
    accept(harness.store(), sent);
    let mut parts: Vec<_> = claim(harness.store(), start())
        .into_iter()
        .map(|work| {
            let names: Vec<_> = work.recipients.iter().map(|r| r.address.local().to_owned()).collect();
            assert!(work.recipients.iter().all(|r| r.leased_until == Some(work.lease.until)));
            (work.destination, names.join(" "))
        })
        .collect();
    parts.sort();
    let expected = [("ch-b.test", "a b"), ("ch-b.test", "hidden"), ("op-c.test", "c")];
    assert_eq!(parts, expected.map(|(domain, names)| (relay(domain), names.to_owned())));
}

pub fn nobody_gets_work_twice<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    for chance in 0..60 {
        accept(store, message(chance, &["a@ch-b.test", "b@ch-b.test", "c@op-c.test"]));
    }
    let greedy = || {
        let mut mine = Vec::new();
        loop {
            let request = ClaimRequest { per_destination: 3, ..ClaimRequest::new(7, MINUTE, start()) };
            let work = wait(store.claim(request)).unwrap();
            if work.is_empty() {
                return mine;
            }
            mine.extend(work);
        }
    };
    let all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(greedy)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let tokens: HashSet<_> = all.iter().map(|work| work.lease.token).collect();
    assert_eq!(tokens.len(), all.len());
    let pairs: Vec<_> = all.iter().flat_map(|work| work.recipients.iter().map(|r| (work.info.id, r.index))).collect();
    assert_eq!(pairs.len(), 180);
    assert_eq!(pairs.iter().collect::<HashSet<_>>().len(), 180);
}

pub fn leases_end_and_late_outcomes_are_refused<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    let late = claim_one(store, start());
    assert_eq!(late.lease.until, minutes(10));
    assert_eq!(claim(store, minutes(9)), []);
    let second = claim_one(store, minutes(10));
    assert_ne!(second.lease.token, late.lease.token);
    assert_eq!(report(store, &late, &delivered(minutes(11))), Err(StoreError::LeaseLost(id)));
    assert_eq!(wait(store.renew(&late.lease, minutes(20))), Err(StoreError::LeaseLost(id)));
    assert_eq!(wait(store.release(&late.lease, minutes(20))), Err(StoreError::LeaseLost(id)));
    report(store, &second, &delivered(minutes(12))).unwrap();
    assert_eq!(states(store, id), [State::Delivered { at: minutes(12), reply: "250 2.0.0 ok".into_safe() }]);
    assert_eq!(report(store, &second, &delivered(minutes(12))), Err(StoreError::LeaseLost(id)), "it ends once");
    // A lease that ended and that nobody took since still counts: what was done was done.
    let id = accept(store, message(2, &["a@ch-b.test"]));
    let slow = claim_one(store, start());
    report(store, &slow, &delivered(minutes(30))).unwrap();
    assert!(get(store, id).is_ended());
}

trait IntoSafe {
    fn into_safe(self) -> trail::SafeText;
}

impl IntoSafe for &'static str {
    fn into_safe(self) -> trail::SafeText {
        trail::SafeText::of(self)
    }
}

pub fn renewal_and_release<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    let work = claim_one(store, start());
    let lease = wait(store.renew(&work.lease, minutes(30))).unwrap();
    assert_eq!(claim(store, minutes(29)), []);
    wait(store.release(&lease, minutes(40))).unwrap();
    let found = &get(store, id).recipients[0];
    assert_eq!(found.progress.state, State::Queued { due: minutes(40), last: None });
    assert_eq!((found.progress.attempts, found.leased_until), (0, None));
    assert_eq!(claim(store, minutes(39)), []);
    assert_eq!(claim_one(store, minutes(40)).recipients[0].progress.attempts, 0);
}

pub fn outcomes_end_recipients_and_messages<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test", "b@op-c.test", "c@op-d.test"]));
    let work = claim(store, start());
    assert_eq!(work.len(), 3);
    let steps = [delivered(minutes(1)), failed(minutes(1)), deferred(minutes(5))];
    for (work, step) in work.iter().zip(&steps) {
        assert_eq!(report(store, work, step).unwrap().ended, []);
    }
    let message = get(store, id);
    assert!(!message.is_ended());
    assert!(message.bodies[0].body.is_some(), "one recipient still needs it");
    assert_eq!(message.recipients.iter().map(|r| r.progress.attempts).collect::<Vec<_>>(), [1, 1, 1]);
    let work = claim_one(store, minutes(5));
    assert_eq!(
        work.recipients[0].progress.state,
        State::Queued { due: minutes(5), last: Some(reason("peer.deferred")) }
    );
    assert_eq!(report(store, &work, &delivered(minutes(6))).unwrap().ended, [id]);
    let message = get(store, id);
    assert!(message.is_ended());
    assert_eq!(message.recipients[2].progress.attempts, 2);
    assert_eq!(message.bodies[0].body, None, "nobody needs it any more");
    assert!(claim(store, minutes(100_000)).is_empty());
}

/// QU1.
pub fn a_thousand_recipients_share_one_body<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let names: Vec<_> = (0..1000).map(|number| format!("r{number}@ch-b.test")).collect();
    let id = accept(store, message(1, &names.iter().map(String::as_str).collect::<Vec<_>>()));
    let work = claim(store, start());
    assert_eq!(work.len(), 10, "pieces of 100");
    let places: HashSet<_> = work.iter().map(|work| format!("{:?}", work.body.body)).collect();
    assert_eq!(places.len(), 1);
    for (number, work) in work.iter().enumerate() {
        let done = report(store, work, &failed(minutes(1))).unwrap();
        assert_eq!(done.ended, if number == 9 { vec![id] } else { vec![] });
    }
    assert_eq!(get(store, id).recipients.len(), 1000);
    assert_eq!(wait(store.counts()).unwrap().messages, 0);
}

/// QU2: a thousand messages for one domain do not keep one for another waiting.
pub fn destinations_take_turns<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    for chance in 0..50 {
        accept(store, message(chance, &["a@aaa.test"]));
    }
    accept(store, message(50, &["a@bbb.test"]));
    accept(store, message(51, &["a@ccc.test"]));
    let request = ClaimRequest { per_destination: 5, ..ClaimRequest::new(6, MINUTE, start()) };
    let first = wait(store.claim(request.clone())).unwrap();
    let count = |work: &[crate::Work], domain: &str| work.iter().filter(|w| w.destination == relay(domain)).count();
    assert_eq!((count(&first, "aaa.test"), count(&first, "bbb.test"), count(&first, "ccc.test")), (4, 1, 1));
    let second = wait(store.claim(request)).unwrap();
    assert_eq!(count(&second, "aaa.test"), 5, "the bound for one destination");
}

pub fn excluded_destinations_get_nothing<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let both = accept(store, message(1, &["a@aaa.test", "b@bbb.test"]));
    let request = ClaimRequest { excluded: vec![relay("aaa.test")], ..ClaimRequest::new(10, MINUTE, start()) };
    let work = wait(store.claim(request)).unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!((work[0].info.id, &work[0].destination), (both, &relay("bbb.test")));
}

/// QU5: queued for later, held, in delivery, or behind a dead destination: each ends by expiry.
pub fn everything_expires_whatever_the_stage<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let mut later = message(1, &["a@ch-b.test"]);
    later.recipients[0].due = start().plus(LIFE * 2);
    let later = accept(store, later);
    let held = accept(store, message(2, &["a@ch-b.test"]));
    order(store, held, 0, hold(start())).unwrap();
    let stuck = accept(store, message(3, &["a@ch-b.test"]));
    assert_eq!(claim_one(store, start()).info.id, stuck);
    let dead = accept(store, message(4, &["a@dead.test"]));
    let pushed = accept(store, message(5, &["a@op-c.test"]));
    let request = ClaimRequest { excluded: vec![relay("dead.test")], ..ClaimRequest::new(10, MINUTE, start()) };
    let work = wait(store.claim(request.clone())).unwrap();
    assert_eq!(work.len(), 1);
    assert!(!work[0].expired);
    report(store, &work[0], &deferred(start().plus(LIFE * 9))).unwrap();

    let request = ClaimRequest { now: start().plus(LIFE), ..request };
    let mut work = wait(store.claim(request)).unwrap();
    work.sort_by_key(|work| work.info.id);
    assert_eq!(work.iter().map(|work| work.info.id).collect::<Vec<_>>(), [later, held, stuck, dead, pushed]);
    for work in work {
        assert!(work.expired);
        report(store, &work, &crate::Step::Expired { at: start().plus(LIFE) }).unwrap();
        assert!(matches!(states(store, work.info.id)[..], [State::Expired { .. }]));
        assert_eq!(get(store, work.info.id).bodies[0].body, None);
    }
    assert_eq!(wait(store.next_due()).unwrap(), None);
}

/// Nobody holds a lease after a kill; the attempt is not counted.
pub fn interrupted_deliveries_begin_again<H: Harness>() {
    let harness = H::empty();
    let id = accept(harness.store(), message(1, &["a@ch-b.test"]));
    let before = claim_one(harness.store(), start());
    let harness = harness.killed();
    let after = claim(harness.store(), minutes(10));
    assert_eq!(after.len(), 1, "at the latest when the lease ends");
    assert_eq!(after[0].info.id, id);
    assert_ne!(after[0].lease.token, before.lease.token);
    assert_eq!(after[0].recipients[0].progress.attempts, 0);
    assert_eq!(report(harness.store(), &before, &delivered(start())), Err(StoreError::LeaseLost(id)));
}
