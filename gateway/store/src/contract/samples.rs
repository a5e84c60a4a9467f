//! Messages to try with.

use std::time::Duration;

use ident::{Address, Domain, Fingerprint, Timestamp};
use trail::{DeliveryFacts, Direction, Event, Party, QueueId, Record, SafeText};

use super::wait;
use crate::{
    Accepted, BodyContent, Changes, ClaimRequest, Committed, Destination, Envelope, Message, NewBody, NewMessage,
    NewRecipient, Notify, Protection, Reason, State, Step, Store, StoreError, Update, Work,
};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const LIFE: Duration = Duration::from_secs(5 * 24 * 3600);

/// The moment at which every case begins.
pub fn start() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

pub fn minutes(count: u64) -> Timestamp {
    start().plus(MINUTE * u32::try_from(count).unwrap())
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn relay(domain: &str) -> Destination {
    Destination::Relay(Domain::parse(domain).unwrap())
}

pub fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), text: SafeText::of("450 4.2.1 plus tard") }
}

pub fn body(content: &[u8]) -> NewBody {
    NewBody {
        content: BodyContent::Bytes(content.to_vec()),
        protection: Protection::Sealed,
        profile: Some("gateway".to_owned()),
        content_key: Some(vec![1, 2, 0xff]),
        inner: Some(Fingerprint::new([9; 32])),
    }
}

pub fn recipient(text: &str, body: u32) -> NewRecipient {
    let address = address(text);
    NewRecipient {
        destination: Destination::Relay(address.domain().clone()),
        address,
        body,
        notify: Notify { success: true, ..Notify::default() },
        orcpt: Some("rfc822;someone@ch-exemple.test".to_owned()),
        due: start(),
    }
}

/// A record about a message, told apart by its number.
pub fn record(id: QueueId, number: u32) -> Record {
    let event = Event::Attempted { number, delivery: DeliveryFacts::default() };
    Record::new(start(), event).of_message(id).of_recipient(Party::Mailbox(address("b@ch-b.test")))
}

/// A message of one body to these recipients; `chance` makes its id.
pub fn message(chance: u64, recipients: &[&str]) -> NewMessage {
    let id = QueueId::new(start(), chance);
    NewMessage {
        id,
        direction: Direction::Outgoing,
        envelope: Envelope { sender: Some(address("dr.martin-test@ch-exemple.test")), ..Envelope::default() },
        message_id: Some(format!("<{chance}@poste.ch-exemple.test>")),
        digest: Fingerprint::new([7; 32]),
        size: 1234,
        accepted: start(),
        expires: start().plus(LIFE),
        repeat: None,
        bodies: vec![body(format!("ciphertext {chance}").as_bytes())],
        recipients: recipients.iter().map(|text| recipient(text, 0)).collect(),
        notes: "{\"verdict\":\"accept\"}".to_owned(),
        records: vec![record(id, 0)],
    }
}

pub fn accept(store: &impl Store, message: NewMessage) -> QueueId {
    match wait(store.commit(Changes::message(message))).unwrap().accepted[..] {
        [Accepted::New(id)] => id,
        ref other => panic!("not accepted as new: {other:?}"),
    }
}

pub fn claim(store: &impl Store, now: Timestamp) -> Vec<Work> {
    wait(store.claim(ClaimRequest::new(1000, MINUTE * 10, now))).unwrap()
}

/// The only piece of work there is.
pub fn claim_one(store: &impl Store, now: Timestamp) -> Work {
    let mut work = claim(store, now);
    assert_eq!(work.len(), 1, "{work:#?}");
    work.remove(0)
}

pub fn get(store: &impl Store, id: QueueId) -> Message {
    wait(store.message(id)).unwrap().unwrap()
}

pub fn states(store: &impl Store, id: QueueId) -> Vec<State> {
    get(store, id).recipients.into_iter().map(|recipient| recipient.progress.state).collect()
}

/// The same step for all recipients of a piece of work.
pub fn outcome(work: &Work, step: &Step) -> Changes {
    let update = |recipient: &crate::Recipient| Update {
        message: work.info.id,
        recipient: recipient.index,
        lease: Some(work.lease.token),
        step: step.clone(),
    };
    Changes { updates: work.recipients.iter().map(update).collect(), ..Changes::default() }
}

pub fn report(store: &impl Store, work: &Work, step: &Step) -> Result<Committed, StoreError> {
    wait(store.commit(outcome(work, step)))
}

pub fn order(store: &impl Store, message: QueueId, recipient: u32, step: Step) -> Result<Committed, StoreError> {
    let update = Update { message, recipient, lease: None, step };
    wait(store.commit(Changes { updates: vec![update], ..Changes::default() }))
}

pub fn delivered(at: Timestamp) -> Step {
    Step::Delivered { at, reply: SafeText::of("250 2.0.0 ok") }
}

pub fn deferred(due: Timestamp) -> Step {
    Step::Deferred { due, reason: reason("peer.deferred"), noticed: false }
}

pub fn failed(at: Timestamp) -> Step {
    Step::Failed { at, reason: reason("peer.refused") }
}

pub fn cancel(at: Timestamp) -> Step {
    Step::Cancel { at, reason: reason("operator") }
}

pub fn hold(at: Timestamp) -> Step {
    Step::Hold { at, reason: reason("operator") }
}

/// The content of a message's body.
pub fn content(store: &impl Store, id: QueueId, body: usize) -> Vec<u8> {
    let place = get(store, id).bodies[body].body.clone().expect("the body is still needed");
    wait(store.body(&place)).unwrap().bytes(usize::MAX).unwrap()
}
