//! What is taken although nobody can open it yet, because the configuration prefers quarantine to refusal, and
//! what becomes of it once it is released: it is opened and judged then, as if it had come in at that moment.

use std::sync::Arc;

use ident::Address;
use mail::{Access, Facts, MailFault, OpenFault, Opened, source::Source};
use pki::certificate::Certificate;
use store::{Changes, Direction, NewMessage, Reason, Step, Update, Work};
use trail::{Event, Record, SafeText};

use super::{
    Received,
    in_hand::InHand,
    incoming::{self, Incoming, Prepared},
    outgoing::{envelope, trace},
};
use crate::{
    admission::{
        content::check_loop,
        exchange::{admit_size, speaks_for},
    },
    config::UnknownKey,
    delivery::End,
    gateway::Gateway,
    quarantine,
    queued::{BodyNotes, Load, Notes, accepted_limits, under_storage_key},
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
    trust::Bearer,
};

/// Whether a message that is encrypted for none of our keys is taken all the same: it must be somebody's.
pub(super) fn is_taken(snapshot: &Snapshot, incoming: &Incoming) -> bool {
    snapshot.config.opening.unknown_key == UnknownKey::Quarantine && incoming.mail.sender.is_some()
}

/// Makes it ready for the queue, where it waits for a person. Nothing but its outer header is known of it.
pub(super) fn prepare(
    gateway: &Gateway,
    snapshot: &Snapshot,
    incoming: &Incoming,
    operator: &Certificate,
    message: &Arc<dyn Source>,
    outer: &Facts,
    arrived: Received,
) -> Result<Prepared, Refusal> {
    let now = gateway.now();
    check_loop(outer)?;
    speaks_for(snapshot, operator, &outer.from, now)?;
    admit_size(snapshot, &outer.from, arrived.size)?;
    let hostname = snapshot.config.server.hostname.as_str();
    let head = trace(hostname, &incoming.peer, incoming.id, "ESMTPS", now);
    let body = under_storage_key(gateway, &mut InHand::default(), &**message, arrived.size)?;
    let mut records = vec![incoming::acceptance(gateway, snapshot, incoming, operator, outer, arrived, now)];
    let recipients = incoming::recipients_of(gateway, snapshot, incoming, now, &mut records);
    let notes = Notes::new([BodyNotes { readers: Vec::new(), head }])
        .brought_by(Bearer::new(incoming.peer.certificates()?, None))
        .unopened(operator);
    let message = NewMessage {
        id: incoming.id,
        direction: Direction::Incoming,
        envelope: envelope(&incoming.mail),
        message_id: outer.message_id.clone(),
        digest: arrived.digest,
        size: arrived.size,
        accepted: now,
        expires: gateway.schedule.expires(now),
        repeat: outer.message_id.as_ref().map(|_| incoming::again_from(operator)),
        bodies: vec![body],
        recipients,
        notes: notes.to_json(),
        records,
    };
    Ok(Prepared { message, report: None, operator: operator.clone(), held: Some(UNKNOWN_KEY) })
}

const UNKNOWN_KEY: &str = "it is encrypted for none of our keys";

/// The changes by which a message goes into quarantine in the transaction that takes it.
pub(super) fn held(gateway: &Gateway, mut message: NewMessage, why: &str) -> Changes {
    let now = gateway.now();
    let reason = || gateway.masker.text(why);
    let (id, count) = (message.id, (0u32..).zip(&message.recipients));
    let (mut changes, mut records) = (Changes::default(), Vec::new());
    for (recipient, to) in count {
        let because = Reason { code: quarantine::CODE.to_owned(), text: reason() };
        changes.updates.push(Update {
            message: id,
            recipient,
            lease: None,
            step: Step::Hold { at: now, reason: because },
        });
        let event = Event::Held { by: SafeText::of("sceau"), reason: reason() };
        let party = gateway.masker.party(&to.address);
        records.push(Record::new(now, event).of_message(id).of_recipient(party));
    }
    // With the message, so that a repetition leaves none.
    message.records.extend(records);
    changes.messages.push(message);
    changes
}

/// What it means for a delivery that a body cannot be opened: out of reach is tried again, everything else waits
/// for a person.
pub(crate) fn unopened(fault: &OpenFault) -> End {
    match fault {
        OpenFault::Mail(MailFault::Storage(kind)) => End::temporary("stored-body", kind),
        OpenFault::KeyUnavailable(why) => End::temporary("key-unavailable", why),
        OpenFault::NotForUs => End::Withheld(UNKNOWN_KEY.to_owned()),
        fault => End::Withheld(fault.to_string()),
    }
}

/// Opens and judges what was taken unopened: the message inside, and the result fields for its reader.
///
/// # Errors
/// The end of the attempt. What would have been refused at the door fails now, and its sender is told.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    work: &Work,
    stored: Load,
    operator: Certificate,
) -> Result<(Opened, String), End> {
    let worker = Arc::clone(gateway);
    let (id, sender) = (work.info.id, work.info.envelope.sender.clone());
    let recipients: Vec<Address> = work.recipients.iter().map(|recipient| recipient.address.clone()).collect();
    let opening = move || -> Result<(Opened, String), End> {
        let snapshot = worker.snapshot();
        let keys = snapshot.decryption_keys(&recipients);
        let known = snapshot.known_certificates();
        let opened = mail::open_source(stored.source, Access::Keys(&keys), &known, &accepted_limits(), &worker.room());
        let opened = opened.map_err(|fault| match fault {
            OpenFault::Mail(MailFault::Storage(_)) | OpenFault::KeyUnavailable(_) | OpenFault::NotForUs => {
                unopened(&fault)
            }
            // It will not get better by waiting: its sender is told.
            _ => End::permanent(RefusalId::OpeningFailed.row().id, RefusalId::OpeningFailed.row().en),
        })?;
        let envelope = (sender.as_ref(), &recipients[..]);
        let (judgement, record) =
            incoming::decided(&worker, &snapshot, id, &opened, envelope, &operator).map_err(refused)?;
        worker.record(record);
        let hostname = snapshot.config.server.hostname.as_str();
        Ok((opened, mail::result_fields(&judgement, hostname)))
    };
    gateway.compute(opening).await.unwrap_or_else(|error| Err(End::temporary("stored-body", error)))
}

fn refused(refusal: Refusal) -> End {
    let row = refusal.id.row();
    if refusal.is_temporary() { End::temporary(row.id, refusal.cause) } else { End::permanent(row.id, row.en) }
}
