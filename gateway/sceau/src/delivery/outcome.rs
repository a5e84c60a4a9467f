//! What came of an attempt, recipient by recipient, and what that means for the queue.

use std::collections::BTreeMap;

use ident::{Address, Timestamp};
use smtp::{Cause, Outcome, RecipientOutcome, Reply};
use store::{Reason, Recipient, Step, Work};
use trail::{DeliveryFacts, Event, Record};

use crate::{gateway::Gateway, quarantine};

/// Longest reply of a peer that is kept.
const MAX_REPLY: usize = 512;

/// The end of an attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The next hop took charge, in these words.
    Delivered(String),
    /// Not now.
    Temporary {
        /// Stable reason id.
        code: String,
        /// The peer's reply, or our own words.
        text: String,
    },
    /// Never.
    Permanent {
        /// Stable reason id.
        code: String,
        /// The peer's reply, or our own words.
        text: String,
        /// Enhanced status code (RFC 3463), if the peer gave one.
        status: Option<(u8, u16, u16)>,
    },
    /// Nothing was tried: it waits for a person or for a better list, without a bounce.
    Waiting {
        /// Stable reason id.
        code: String,
        /// Words.
        text: String,
        /// When the wait is over in any case.
        until: Timestamp,
    },
    /// What rests here cannot be handed over with what we have now: it is in quarantine until a person has looked.
    Withheld(String),
    /// Its time was over before the attempt.
    Expired,
}

impl End {
    /// Not now.
    pub fn temporary(code: &str, text: impl ToString) -> Self {
        Self::Temporary { code: code.to_owned(), text: text.to_string() }
    }

    /// Never.
    pub fn permanent(code: &str, text: impl ToString) -> Self {
        Self::Permanent { code: code.to_owned(), text: text.to_string(), status: None }
    }

    /// The same, but a failure that its sender cannot be told of is none yet.
    pub(super) fn until_it_can_be_told(self, why: &str) -> Self {
        match self {
            // What a person refused stays refused until its sender knows.
            Self::Permanent { code, text, .. } if code == quarantine::REFUSED => {
                Self::temporary(quarantine::REFUSED, format!("{text}; the sender cannot be told: {why}"))
            }
            Self::Permanent { code, text, .. } => {
                Self::temporary("notice-impossible", format!("{code}: {text}; the sender cannot be told: {why}"))
            }
            other => other,
        }
    }
}

/// An attempt: facts of the connection, and an end for each recipient of the work.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// For the trail.
    pub facts: DeliveryFacts,
    /// The peer announced DSN and was told what the sender wants: it reports itself.
    pub peer_reports: bool,
    by_index: BTreeMap<u32, End>,
}

impl Attempt {
    /// The same end for all recipients.
    pub fn all(work: &Work, end: &End) -> Self {
        let mut attempt = Self::facts_only(work);
        work.recipients.iter().for_each(|recipient| attempt.set(recipient, end.clone()));
        attempt
    }

    /// Work whose time was over.
    pub fn expired(work: &Work) -> Self {
        Self::all(work, &End::Expired)
    }

    /// An attempt of which nothing is known yet.
    pub fn facts_only(work: &Work) -> Self {
        let facts = DeliveryFacts { destination: work.destination.to_string(), ..DeliveryFacts::default() };
        Self { facts, peer_reports: false, by_index: BTreeMap::new() }
    }

    /// Writes down the end for one recipient; the first one counts.
    pub fn set(&mut self, recipient: &Recipient, end: End) {
        self.by_index.entry(recipient.index).or_insert(end);
    }

    /// Takes over what a peer answered. `named` says how the envelope wrote a recipient.
    pub fn answers(&mut self, work: &Work, outcomes: &[RecipientOutcome], named: impl Fn(&Recipient) -> Address) {
        self.by_index.clear();
        for recipient in &work.recipients {
            let address = named(recipient);
            if let Some(answer) = outcomes.iter().find(|outcome| outcome.recipient == address) {
                self.set(recipient, End::of(&answer.outcome));
            }
        }
    }

    /// One host did not take the mail; what a later host says replaces it.
    pub fn tried(&mut self, work: &Work, end: End) {
        self.by_index = work.recipients.iter().map(|recipient| (recipient.index, end.clone())).collect();
    }

    /// Each recipient of the work with its end. One that nobody answered for is tried again.
    pub fn ends<'a>(&self, work: &'a Work) -> Vec<(&'a Recipient, End)> {
        let unanswered = End::temporary("no-answer", "the session ended before an answer for this recipient");
        let end =
            |recipient: &Recipient| self.by_index.get(&recipient.index).cloned().unwrap_or_else(|| unanswered.clone());
        work.recipients.iter().map(|recipient| (recipient, end(recipient))).collect()
    }
}

impl End {
    /// What a peer's answer means.
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted(reply) => Self::Delivered(reply.summary(MAX_REPLY)),
            Outcome::Permanent(refusal) => Self::Permanent {
                code: cause(&refusal.cause).to_owned(),
                text: words(&refusal.cause),
                status: reply(&refusal.cause)
                    .and_then(Reply::enhanced)
                    .map(|code| (code.class, code.subject, code.detail)),
            },
            Outcome::Temporary(refusal) => Self::temporary(cause(&refusal.cause), words(&refusal.cause)),
        }
    }

    /// The step of the recipient's state machine.
    pub(super) fn step(&self, gateway: &Gateway, work: &Work, recipient: &Recipient, now: Timestamp) -> Step {
        let reason = |code: &str, text: &str| Reason { code: code.to_owned(), text: gateway.masker.text(text) };
        match self {
            Self::Delivered(reply) => Step::Delivered { at: now, reply: gateway.masker.text(reply) },
            Self::Permanent { code, text, .. } => Step::Failed { at: now, reason: reason(code, text) },
            Self::Expired => Step::Expired { at: now },
            Self::Withheld(text) => Step::Withheld { at: now, reason: reason(quarantine::CODE, text) },
            Self::Waiting { code, text, until } => {
                let attempts = recipient.progress.attempts.saturating_add(1);
                let due = gateway.schedule.next(attempts, work.info.seed(), now, work.info.expires).min(*until);
                // The sender is told at once, and once.
                let told = recipient.progress.notices > 0;
                let noticed = !told && recipient.notify.delay && work.info.envelope.sender.is_some();
                Step::Deferred { due, reason: reason(code, text), noticed }
            }
            Self::Temporary { code, text } => {
                let attempts = recipient.progress.attempts.saturating_add(1);
                let due = gateway.schedule.next(attempts, work.info.seed(), now, work.info.expires);
                let noticed = recipient.notify.delay
                    && work.info.envelope.sender.is_some()
                    && gateway.schedule.notice_due(work.info.accepted, now, recipient.progress.notices);
                Step::Deferred { due, reason: reason(code, text), noticed }
            }
        }
    }

    /// The record of it.
    pub(super) fn record(
        &self,
        gateway: &Gateway,
        work: &Work,
        recipient: &Recipient,
        step: &Step,
        facts: &DeliveryFacts,
        now: Timestamp,
    ) -> Record {
        let number = recipient.progress.attempts.saturating_add(1);
        let mut delivery = facts.clone();
        let event = match (self, step) {
            (Self::Delivered(reply), _) => {
                delivery.reply = Some(gateway.masker.text(reply));
                Event::Delivered { number, delivery }
            }
            (Self::Temporary { code, text } | Self::Waiting { code, text, .. }, Step::Deferred { due, .. }) => {
                delivery.reply = Some(gateway.masker.text(text));
                Event::Deferred { number, reason: code.clone(), delivery, next: *due }
            }
            (
                Self::Temporary { code, text } | Self::Waiting { code, text, .. } | Self::Permanent { code, text, .. },
                _,
            ) => {
                delivery.reply = Some(gateway.masker.text(text));
                Event::Failed { number, reason: code.clone(), delivery }
            }
            (Self::Withheld(text), _) => {
                Event::Held { by: trail::SafeText::of("sceau"), reason: gateway.masker.text(text) }
            }
            (Self::Expired, _) => {
                Event::Expired { attempts: recipient.progress.attempts, reason: last_reason(recipient) }
            }
        };
        Record::new(now, event).of_message(work.info.id).of_recipient(gateway.masker.party(&recipient.address))
    }
}

fn reply(cause: &Cause) -> Option<&Reply> {
    match cause {
        Cause::Reply(reply) | Cause::Unexpected(reply) => Some(reply),
        _ => None,
    }
}

/// What the peer said, or what happened.
fn words(cause: &Cause) -> String {
    reply(cause).map_or_else(|| cause.to_string(), |reply| reply.summary(MAX_REPLY))
}

/// Stable id of why a peer did not take a recipient.
fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Reply(_) => "refused-by-peer",
        Cause::NotOffered(_) => "extension-not-offered",
        Cause::TooLarge { .. } => "too-large-for-peer",
        Cause::Body(_) => "stored-message-damaged",
        Cause::NoTls(_) | Cause::TlsFailed | Cause::InjectedBytes => "tls",
        _ => "session",
    }
}

/// Why the last attempt did not succeed.
pub(super) fn last_reason(recipient: &Recipient) -> Option<String> {
    match &recipient.progress.state {
        store::State::Queued { last, .. } => last.as_ref().map(|reason| format!("{}: {}", reason.code, reason.text)),
        store::State::Held { reason, .. } => Some(format!("{}: {}", reason.code, reason.text)),
        _ => None,
    }
}
