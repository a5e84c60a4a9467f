//! The record that carries an event: who and what it concerns, when, on which node.

use std::borrow::Cow;

use ident::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Class, Event, Party, QueueId, catalogue};

/// Version of the record form that this code writes.
pub const RECORD_VERSION: u8 = 1;
/// Longest record that is read, in octets.
const MAX_RECORD: usize = 256 * 1024;

/// One line of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the form.
    pub v: u8,
    /// When it happened, by the clock of the node.
    pub at: Timestamp,
    /// The message it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<QueueId>,
    /// The recipient it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Party>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What every reader of a record needs to know first; reading only this costs a fraction of reading all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// Retention class of what happened.
    pub(crate) class: Class,
}

impl Head {
    /// The head of a line; none when it is no record that we know.
    pub(crate) fn of(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line<'a> {
            v: u8,
            at: Timestamp,
            #[serde(borrow)]
            event: Cow<'a, str>,
        }
        if json.len() > MAX_RECORD {
            return None;
        }
        let line: Line<'_> = serde_json::from_str(json).ok()?;
        let entry = catalogue().iter().find(|entry| entry.id == line.event)?;
        (line.v == RECORD_VERSION).then_some(Self { at: line.at, class: entry.class })
    }
}

/// Why a record cannot be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Larger than any record that we write.
    #[error("the record is longer than {MAX_RECORD} octets")]
    TooLong,
    /// Not JSON, or not of this shape.
    #[error("the record cannot be read: {0}")]
    Form(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("the record has version {0}; this program reads up to {RECORD_VERSION}")]
    Version(u8),
}

impl Record {
    /// A record about the service, a connection or an operator.
    pub fn new(at: Timestamp, event: Event) -> Self {
        Self { v: RECORD_VERSION, at, message: None, recipient: None, event }
    }

    /// The same, about a message.
    #[must_use]
    pub fn of_message(mut self, message: QueueId) -> Self {
        self.message = Some(message);
        self
    }

    /// The same, about a recipient.
    #[must_use]
    pub fn of_recipient(mut self, recipient: Party) -> Self {
        self.recipient = Some(recipient);
        self
    }

    /// The record as one line of JSON: the bytes that are committed to.
    ///
    /// # Errors
    /// [`RecordError::TooLong`]; the other causes do not occur with our own types.
    pub fn to_json(&self) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self)?;
        if json.len() > MAX_RECORD { Err(RecordError::TooLong) } else { Ok(json) }
    }

    /// Reads a line again.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        if json.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        match serde_json::from_slice(json)? {
            Version { v: RECORD_VERSION } => Ok(serde_json::from_slice(json)?),
            Version { v } => Err(RecordError::Version(v)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ident::{Address, Domain, Fingerprint};

    use super::*;
    use crate::{DeliveryFacts, Masker, SafeText, catalogue};

    fn record() -> Record {
        let masker = Masker::new([1; 32], vec![Domain::parse("patient.exemple.test").unwrap()]);
        let delivery = DeliveryFacts { reply: Some(masker.text("250 2.0.0 ok")), ..DeliveryFacts::default() };
        Record::new(Timestamp::from_seconds(1_700_000_000), Event::Delivered { number: 1, delivery })
            .of_message(QueueId::new(Timestamp::from_seconds(1_700_000_000), 5))
            .of_recipient(masker.party(&Address::parse("279035121518989@patient.exemple.test").unwrap()))
    }

    #[test]
    fn reads_what_it_wrote_and_names_the_event() {
        let json = record().to_json().unwrap();
        let text = String::from_utf8(json.clone()).unwrap();
        assert!(text.contains("\"event\":\"delivery.delivered\""), "{text}");
        assert!(!text.contains("279035121518989"), "{text}");
        assert_eq!(Record::from_json(&json).unwrap(), record());
    }

    #[test]
    fn the_head_is_that_of_the_record() {
        let json = String::from_utf8(record().to_json().unwrap()).unwrap();
        assert_eq!(Head::of(&json), Some(Head { at: record().at, class: record().event.class() }));
        for other in [
            json.replace("\"v\":1", "\"v\":2"),
            json.replace("delivery.delivered", "delivery.imagined"),
            json.replace("\"at\"", "\"to\""),
            json.replace("}}", "}"),
        ] {
            assert_eq!(Head::of(&other), None, "{other}");
        }
    }

    #[test]
    fn refuses_a_later_version_by_name() {
        let json = record().to_json().unwrap();
        let later = String::from_utf8(json).unwrap().replace("\"v\":1", "\"v\":2");
        assert!(matches!(Record::from_json(later.as_bytes()), Err(RecordError::Version(2))));
        assert!(matches!(Record::from_json(b"{\"v\":1}"), Err(RecordError::Form(_))));
    }

    #[test]
    fn serde_names_are_the_catalogue_ids() {
        let events = [
            Event::ServiceStopped { reason: SafeText::of("test") },
            Event::ConfigurationLoaded { digest: Fingerprint::new([0; 32]) },
            Event::Repeated { speaker: None },
            Event::Expired { attempts: 3, reason: None },
            Event::Cancelled { by: SafeText::of("test"), reason: SafeText::of("test") },
        ];
        for event in events {
            let value = serde_json::to_value(&event).unwrap();
            assert_eq!(value["event"], event.id());
        }
        let mut ids: Vec<_> = catalogue().iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), catalogue().len(), "an id occurs twice");
    }
}
