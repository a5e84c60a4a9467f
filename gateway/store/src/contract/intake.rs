//! Taking charge.

use std::{io::Write, time::Duration};

use super::{Harness, samples::*, wait};
use trail::SafeText;

use crate::{
    Accepted, BodyContent, Changes, MAX_INLINE_BODY, QueueId, Reason, Repeat, Staging, State, Step, Store, StoreError,
    Update,
};

pub fn accepted_survives_a_kill<H: Harness>() {
    let harness = H::empty();
    let sent = message(1, &["a@ch-b.test", "b@ch-b.test", "c@op-c.test"]);
    let expected = message(1, &["a@ch-b.test", "b@ch-b.test", "c@op-c.test"]);
    let id = accept(harness.store(), sent);
    let harness = harness.killed();
    let found = get(harness.store(), id);
    assert_eq!(found.info.envelope, expected.envelope);
    assert_eq!(found.info.message_id, expected.message_id);
    assert_eq!((found.info.digest, found.info.size), (expected.digest, expected.size));
    assert_eq!((found.info.accepted, found.info.expires), (expected.accepted, expected.expires));
    assert_eq!(found.info.notes, expected.notes);
    assert_eq!(found.bodies[0].content_key, expected.bodies[0].content_key);
    assert_eq!(found.bodies[0].inner, expected.bodies[0].inner);
    assert_eq!(found.bodies[0].profile, expected.bodies[0].profile);
    for (found, expected) in found.recipients.iter().zip(&expected.recipients) {
        assert_eq!(found.address, expected.address);
        assert_eq!(found.destination, expected.destination);
        assert_eq!((found.notify, &found.orcpt), (expected.notify, &expected.orcpt));
        assert_eq!(found.progress.state, State::Queued { due: start(), last: None });
    }
    assert_eq!(found.recipients.len(), 3);
    assert_eq!(content(harness.store(), id, 0), b"ciphertext 1");
    assert_eq!(wait(harness.store().take_outbox(10)).unwrap()[0].records().unwrap(), [record(id, 0)]);
}

/// On both sides of the border between row and file.
pub fn large_bodies_survive_a_kill<H: Harness>() {
    let harness = H::empty();
    let sizes = [0, 1, MAX_INLINE_BODY - 1, MAX_INLINE_BODY, MAX_INLINE_BODY + 1, 3 * 1024 * 1024];
    let bytes = |size: usize| (0..size).map(|i| (i * 31 % 251) as u8).collect::<Vec<_>>();
    let mut sent = message(1, &[]);
    sent.bodies = sizes.iter().map(|size| body(&bytes(*size))).collect();
    sent.recipients = (0..6).map(|index| recipient(&format!("r{index}@ch-b.test"), index)).collect();
    let id = accept(harness.store(), sent);
    let harness = harness.killed();
    for (index, size) in sizes.iter().enumerate() {
        assert_eq!(content(harness.store(), id, index), bytes(*size));
        assert_eq!(get(harness.store(), id).bodies[index].size, *size as u64);
    }
}

pub fn staged_bodies_are_read_back<H: Harness>() {
    let harness = H::empty();
    let mut staging = harness.store().stage().unwrap();
    (0..100u8).for_each(|piece| staging.write_all(&[piece; 4096]).unwrap());
    drop(harness.store().stage().unwrap());
    let mut sent = message(1, &["a@ch-b.test"]);
    sent.bodies[0].content = BodyContent::Staged(staging.finish().unwrap());
    let id = accept(harness.store(), sent);
    let harness = harness.killed();
    let bytes = content(harness.store(), id, 0);
    assert_eq!(bytes.len(), 409_600);
    assert!(bytes.chunks(4096).zip(0u8..).all(|(piece, number)| piece.iter().all(|octet| *octet == number)));
}

pub fn all_or_nothing<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let first = accept(store, message(1, &["a@ch-b.test"]));
    let unknown = QueueId::new(start(), 99);
    let mut changes = Changes::message(message(2, &["a@ch-b.test"]));
    changes.messages[0].bodies[0] = body(&vec![1; 100_000]);
    changes.records = vec![record(first, 5)];
    changes.updates = vec![
        crate::Update { message: first, recipient: 0, lease: None, step: cancel(start()) },
        crate::Update { message: unknown, recipient: 0, lease: None, step: cancel(start()) },
    ];
    assert_eq!(wait(store.commit(changes)), Err(StoreError::NotFound(unknown)));
    assert_eq!(wait(store.message(QueueId::new(start(), 2))), Ok(None));
    assert!(matches!(states(store, first)[0], State::Queued { .. }));
    assert_eq!(wait(store.take_outbox(10)).unwrap().len(), 1, "only the first message's record");
}

pub fn ids_are_taken_once<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let id = accept(store, message(1, &["a@ch-b.test"]));
    let mut again = message(1, &["other@ch-b.test"]);
    again.message_id = None;
    assert_eq!(wait(store.commit(Changes::message(again))), Err(StoreError::Taken(id)));
    let twice =
        Changes { messages: vec![message(2, &["a@ch-b.test"]), message(2, &["b@ch-b.test"])], ..Changes::default() };
    assert_eq!(wait(store.commit(twice)), Err(StoreError::Taken(QueueId::new(start(), 2))));
    assert_eq!(wait(store.message(QueueId::new(start(), 2))), Ok(None));
}

pub fn malformed_changes_are_refused<H: Harness>() {
    let harness = H::empty();
    let mut no_body = message(2, &["a@ch-b.test"]);
    no_body.recipients[0].body = 1;
    let mut nameless = message(3, &["a@ch-b.test"]);
    nameless.message_id = None;
    nameless.repeat = Some(Repeat { sender: "card".to_owned(), window: MINUTE, even_failed: false });
    for wrong in [message(1, &[]), no_body, nameless] {
        let refused = wait(harness.store().commit(Changes::message(wrong)));
        assert!(matches!(refused, Err(StoreError::Malformed(_))), "{refused:?}");
    }
    assert_eq!(wait(harness.store().counts()).unwrap().messages, 0);
}

fn submitted(chance: u64, recipients: &[&str]) -> crate::NewMessage {
    let mut sent = message(chance, recipients);
    sent.message_id = Some("<same@poste.ch-exemple.test>".to_owned());
    sent.repeat = Some(Repeat { sender: "card 1".to_owned(), window: Duration::from_secs(3600), even_failed: false });
    sent
}

pub fn repetitions_get_the_first_id<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    let first = accept(store, submitted(1, &["a@ch-b.test", "B@ch-b.test"]));
    for (chance, recipients) in [(2, &["A@ch-b.test", "b@ch-b.test"][..]), (3, &["b@ch-b.test"][..])] {
        let done = wait(store.commit(Changes::message(submitted(chance, recipients)))).unwrap();
        assert_eq!(done.accepted, [Accepted::Repeated(first)]);
    }
    // Both at once, in one commit.
    let both = Changes {
        messages: vec![submitted(4, &["z@ch-b.test"]), submitted(5, &["z@ch-b.test"])],
        ..Changes::default()
    };
    let fourth = QueueId::new(start(), 4);
    assert_eq!(wait(store.commit(both)).unwrap().accepted, [Accepted::New(fourth), Accepted::Repeated(fourth)]);
    // What was to happen with it at once does not happen, neither to it nor to the first one.
    let reason = Reason { code: "quarantine".to_owned(), text: SafeText::of("waits") };
    let update = |message| Update {
        message,
        recipient: 0,
        lease: None,
        step: Step::Hold { at: start(), reason: reason.clone() },
    };
    let changes = Changes {
        messages: vec![submitted(6, &["a@ch-b.test", "b@ch-b.test"])],
        updates: vec![update(QueueId::new(start(), 6))],
        ..Changes::default()
    };
    assert_eq!(wait(store.commit(changes)).unwrap().accepted, [Accepted::Repeated(first)]);
    let state = wait(store.message(first)).unwrap().unwrap().recipients.remove(0).progress.state;
    assert!(matches!(state, State::Queued { .. }), "{state:?}");
    assert_eq!(wait(store.counts()).unwrap().messages, 2);
    assert_eq!(wait(store.take_outbox(10)).unwrap().len(), 2, "no acceptance is written for a repetition");
}

/// Whatever differs, and whatever did not arrive, is a message of its own.
pub fn what_is_no_repetition_is_queued<H: Harness>() {
    let harness = H::empty();
    let store = harness.store();
    accept(store, submitted(1, &["a@ch-b.test"]));
    accept(store, submitted(2, &["a@ch-b.test", "b@ch-b.test"]));
    let mut other = submitted(3, &["a@ch-b.test"]);
    other.repeat.as_mut().unwrap().sender = "card 2".to_owned();
    accept(store, other);
    let mut other = submitted(4, &["a@ch-b.test"]);
    other.digest = ident::Fingerprint::new([8; 32]);
    accept(store, other);
    let mut other = submitted(5, &["a@ch-b.test"]);
    other.message_id = Some("<other@poste.ch-exemple.test>".to_owned());
    accept(store, other);
    let mut later = submitted(6, &["a@ch-b.test"]);
    later.accepted = minutes(61);
    accept(store, later);
    // The one to x failed: sending it again is a new try.
    let lost = accept(store, submitted(7, &["x@ch-b.test"]));
    order(store, lost, 0, cancel(start())).unwrap();
    accept(store, submitted(8, &["x@ch-b.test"]));
    // Unless the sender is a relay that did not hear our answer the first time.
    let relayed = |chance| {
        let mut sent = submitted(chance, &["y@ch-b.test"]);
        sent.repeat.as_mut().unwrap().even_failed = true;
        sent
    };
    let refused = accept(store, relayed(9));
    order(store, refused, 0, cancel(start())).unwrap();
    let done = wait(store.commit(Changes::message(relayed(10)))).unwrap();
    assert_eq!(done.accepted, [Accepted::Repeated(refused)]);
}

pub fn repetitions_are_known_after_a_kill<H: Harness>() {
    let harness = H::empty();
    let first = accept(harness.store(), submitted(1, &["a@ch-b.test"]));
    let work = claim_one(harness.store(), start());
    report(harness.store(), &work, &delivered(start())).unwrap();
    let harness = harness.killed();
    let again = wait(harness.store().commit(Changes::message(submitted(2, &["a@ch-b.test"])))).unwrap();
    assert_eq!(again.accepted, [Accepted::Repeated(first)]);
}
