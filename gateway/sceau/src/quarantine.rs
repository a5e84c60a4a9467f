//! Quarantine: received mail that rests here and cannot be read. It became unreadable between `250` and delivery
//! (a key is gone, a body is damaged), or the configuration prefers keeping a message that is encrypted for none
//! of our keys to refusing it. A person adds the key and releases it, or refuses it and its sender is told; if
//! nobody looks, its time ends like that of all mail (specs/decisions/0028).

use store::{Reason, Recipient, State, Step, Update};
use trail::{Event, QueueId, Record};

use crate::gateway::Gateway;

/// The reason for which a recipient in quarantine is held, and the alarm's name.
pub const CODE: &str = "quarantine";
/// What a person decided about it: its sender is to be told that it was not delivered.
pub const REFUSED: &str = "quarantine-refused";

/// Why a recipient is in quarantine, if it is.
pub fn reason(recipient: &Recipient) -> Option<&Reason> {
    match &recipient.progress.state {
        State::Held { reason, .. } if reason.code == CODE => Some(reason),
        _ => None,
    }
}

/// Whether a person has refused what was in quarantine: the next attempt tells its sender.
pub fn was_refused(recipient: &Recipient) -> bool {
    matches!(&recipient.progress.state, State::Queued { last: Some(last), .. } if last.code == REFUSED)
}

/// With what reason somebody's order holds this recipient: what was refused in quarantine stays refused after it.
pub fn code_of_hold(recipient: &Recipient) -> Option<&'static str> {
    was_refused(recipient).then_some(REFUSED)
}

/// The steps by which a person refuses what is in quarantine: it goes on, and its next attempt fails for good.
pub fn refusal(message: QueueId, recipient: u32, at: ident::Timestamp, reason: trail::SafeText) -> Vec<Update> {
    let because = Reason { code: REFUSED.to_owned(), text: reason };
    [Step::Release { due: at }, Step::Hold { at, reason: because }, Step::Release { due: at }]
        .map(|step| Update { message, recipient, lease: None, step })
        .into()
}

/// Says so: somebody has to look before the message's time is over.
pub fn alarm(gateway: &Gateway, id: QueueId, text: &str) {
    tracing::error!(message = %id, text, "a received message cannot be read and is in quarantine");
    let text = format!("message {id}: {text}; see: sceau quarantine list");
    let event = Event::AlarmRaised { code: CODE.to_owned(), text: gateway.masker.text(&text) };
    gateway.record(Record::new(gateway.now(), event).of_message(id));
}
