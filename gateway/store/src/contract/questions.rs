//! The outbox and the questions.

use ident::Domain;
use trail::Record;

use super::{Harness, samples::*, wait};
use crate::{Changes, EventQuery, Filter, Page, QueueId, Standing, Store, StoreError};

fn numbers(store: &impl Store, limit: usize) -> Vec<u64> {
    wait(store.take_outbox(limit)).unwrap().iter().map(|row| row.number).collect()
}

pub fn the_outbox_keeps_its_order<H: Harness>() {
    let harness = H::empty();
    let id = |chance| QueueId::new(start(), chance);
    let mut sent = message(1, &["a@ch-b.test"]);
    sent.records = vec![record(id(1), 1), record(id(1), 2), record(id(2), 3)];
    let changes = Changes { records: vec![record(id(9), 4)], ..Changes::message(sent) };
    wait(harness.store().commit(changes)).unwrap();
    wait(harness.store().commit(Changes::records(vec![record(id(1), 5)]))).unwrap();
    let harness = harness.killed();
    let rows = wait(harness.store().take_outbox(100)).unwrap();
    let expected = [(1, 1), (1, 2), (2, 3), (9, 4), (1, 5)].map(|(chance, number)| record(id(chance), number));
    assert_eq!(rows.iter().flat_map(|row| row.records().unwrap()).collect::<Vec<Record>>(), expected);
    assert_eq!(rows.len(), 4, "what belongs together lies together");
    assert!(rows.is_sorted_by(|a, b| a.number + 1 == b.number));
    assert_eq!(wait(harness.store().take_outbox(100)).unwrap(), rows, "taking changes nothing");
}

pub fn released_records_do_not_come_back<H: Harness>() {
    let harness = H::empty();
    let id = QueueId::new(start(), 1);
    for number in 0..5 {
        wait(harness.store().commit(Changes::records(vec![record(id, number)]))).unwrap();
    }
    let all = numbers(harness.store(), 100);
    assert_eq!(all.len(), 5);
    assert_eq!(numbers(harness.store(), 2), all[..2]);
    wait(harness.store().release_outbox(all[1])).unwrap();
    wait(harness.store().release_outbox(all[1])).unwrap();
    assert_eq!(numbers(harness.store(), 100), all[2..]);
    let ahead = wait(harness.store().release_outbox(all[4] + 1));
    assert!(matches!(ahead, Err(StoreError::Malformed(_))), "what was never taken cannot be released: {ahead:?}");
    wait(harness.store().release_outbox(all[4])).unwrap();
    assert!(numbers(harness.store(), 100).is_empty());
    // Numbers go on after everything was released, also after a kill.
    let harness = harness.killed();
    wait(harness.store().commit(Changes::records(vec![record(id, 9)]))).unwrap();
    assert_eq!(numbers(harness.store(), 100), [all[4] + 1]);
}

pub fn events_of_a_message<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let (one, two) = (QueueId::new(start(), 1), QueueId::new(start(), 2));
    wait(store.commit(Changes::records(vec![record(one, 1), record(two, 2), record(one, 3)]))).unwrap();
    let of = |message| EventQuery { message: Some(message), ..EventQuery::default() };
    assert_eq!(wait(store.events(of(one))).unwrap(), [record(one, 1), record(one, 3)]);
    assert_eq!(wait(store.events(EventQuery::default())).unwrap().len(), 3);
    assert_eq!(wait(store.events(EventQuery { limit: 2, ..EventQuery::default() })).unwrap().len(), 2);
    let later = EventQuery { since: Some(minutes(1)), ..EventQuery::default() };
    assert!(wait(store.events(later)).unwrap().is_empty());
}

pub fn found_by_message_id<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let mut ids = Vec::new();
    for chance in 1..=3 {
        let mut sent = message(chance, &["a@ch-b.test"]);
        sent.message_id = Some("<shared@poste.ch-exemple.test>".to_owned());
        ids.insert(0, accept(store, sent));
    }
    accept(store, message(4, &["a@ch-b.test"]));
    assert_eq!(wait(store.find_by_message_id("<shared@poste.ch-exemple.test>")).unwrap(), ids);
    assert!(wait(store.find_by_message_id("<unknown@poste.ch-exemple.test>")).unwrap().is_empty());
}

pub fn lists_are_filtered_and_paged<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let mut ids: Vec<_> = (1..=30).map(|chance| accept(store, message(chance, &["a@ch-b.test"]))).collect();
    let mut incoming = message(31, &["Z@ch-z.test", "b@ch-b.test"]);
    incoming.direction = trail::Direction::Incoming;
    incoming.envelope.sender = None;
    ids.push(accept(store, incoming));
    order(store, ids[0], 0, cancel(start())).unwrap();
    order(store, ids[1], 0, hold(start())).unwrap();
    let list = |filter: Filter| -> Vec<QueueId> {
        let page = Page { after: None, limit: 100 };
        wait(store.list(filter, page)).unwrap().into_iter().map(|message| message.info.id).collect()
    };
    let all = Filter::default;
    assert_eq!(list(all()), ids);
    assert_eq!(list(Filter { standing: Some(Standing::Ended), ..all() }), ids[..1]);
    assert_eq!(list(Filter { standing: Some(Standing::Active), ..all() }), ids[1..]);
    assert_eq!(list(Filter { standing: Some(Standing::Held), ..all() }), ids[1..2]);
    assert_eq!(list(Filter { recipient: Some("z@CH-z.test".to_owned()), ..all() }), ids[30..]);
    assert_eq!(list(Filter { domain: Some(Domain::parse("ch-z.test").unwrap()), ..all() }), ids[30..]);
    assert_eq!(list(Filter { destination: Some(relay("ch-z.test")), ..all() }), ids[30..]);
    assert_eq!(list(Filter { direction: Some(trail::Direction::Incoming), ..all() }), ids[30..]);
    assert_eq!(list(Filter { sender: Some("Dr.Martin-TEST@ch-exemple.test".to_owned()), ..all() }), ids[..30]);
    assert!(list(Filter { since: Some(minutes(1)), ..all() }).is_empty());
    assert!(list(Filter { until: Some(start()), ..all() }).is_empty());
    let mut paged = Vec::new();
    loop {
        let page = Page { after: paged.last().copied(), limit: 7 };
        let part = wait(store.list(all(), page)).unwrap();
        paged.extend(part.iter().map(|message| message.info.id));
        if part.len() < 7 {
            break;
        }
    }
    assert_eq!(paged, ids);
}

pub fn counts_add_up<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    assert_eq!(wait(store.counts()).unwrap(), crate::Counts::default());
    for chance in 1..=4 {
        accept(store, message(chance, &["a@ch-b.test", "b@ch-b.test", "c@op-c.test"]));
    }
    order(store, QueueId::new(start(), 1), 2, hold(start())).unwrap();
    order(store, QueueId::new(start(), 2), 2, cancel(start())).unwrap();
    let request =
        crate::ClaimRequest { excluded: vec![relay("op-c.test")], ..crate::ClaimRequest::new(1, MINUTE, start()) };
    assert_eq!(wait(store.claim(request)).unwrap().len(), 1);
    let counts = wait(store.counts()).unwrap();
    assert_eq!((counts.messages, counts.queued, counts.in_flight, counts.held), (4, 8, 2, 1));
    assert_eq!((counts.outbox, counts.oldest), (4, Some(start())));
    let parts: Vec<_> =
        counts.destinations.iter().map(|d| (d.destination.clone(), d.queued, d.in_flight, d.held)).collect();
    assert_eq!(parts, [(relay("ch-b.test"), 6, 2, 0), (relay("op-c.test"), 2, 0, 1)]);
}

pub fn the_next_due_is_known<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    assert_eq!(wait(store.next_due()).unwrap(), None);
    for (chance, due) in [(1, 30), (2, 20), (3, 40)] {
        let mut sent = message(chance, &[&format!("a@d{chance}.test")]);
        sent.recipients[0].due = minutes(due);
        accept(store, sent);
    }
    assert_eq!(wait(store.next_due()).unwrap(), Some(minutes(20)));
    claim_one(store, minutes(20));
    assert_eq!(wait(store.next_due()).unwrap(), Some(minutes(30)), "the lease of ten minutes ends then too");
}

pub fn ended_messages_are_forgotten<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let ended = accept(store, message(1, &["a@ch-b.test"]));
    order(store, ended, 0, cancel(start())).unwrap();
    let waiting = accept(store, message(2, &["a@ch-b.test"]));
    assert_eq!(wait(store.forget(start(), 100)).unwrap(), 0);
    assert_eq!(wait(store.forget(minutes(1), 100)).unwrap(), 1);
    assert_eq!(wait(store.message(ended)).unwrap(), None);
    assert!(wait(store.message(waiting)).unwrap().is_some());
    assert!(wait(store.find_by_message_id("<1@poste.ch-exemple.test>")).unwrap().is_empty());
    assert_eq!(wait(store.take_outbox(10)).unwrap().len(), 2, "the trail is not the store's to forget");
}

pub fn a_store_has_a_name_of_its_own<H: Harness>() {
    let harness = H::empty();
    let name = harness.store().identity().to_owned();
    assert!(!name.is_empty());
    assert_ne!(H::empty().store().identity(), name);
    assert_eq!(harness.killed().store().identity(), name);
}
