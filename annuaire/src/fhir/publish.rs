//! The other end of [`super::patch`]: what our registry has to say to another directory. It asks what is shown there and
//! sends what differs (annuaire reference §3.6); the wire is the caller's.

use ident::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::encoded;
use crate::{MailboxType, RegisteredMailbox};

/// National identifiers of persons and of structures, with their type digit.
pub(super) const IDNPS: &str = "urn:oid:1.2.250.1.71.4.2.1";
const IDNST: &str = "urn:oid:1.2.250.1.71.4.2.2";
const EMAIL_TYPE: &str = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type";
pub(super) const METADATA: &str =
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata";
const MESSAGING: &str = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie";
const MAILBOX_TYPE: &str = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL";

/// On which resource a mailbox of ours is made known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// The mailbox.
    pub address: Address,
    /// `Practitioner` or `Organization`.
    pub kind: String,
    /// Its business identifier, with its system.
    pub identifier: String,
}

/// What a request does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The mailbox becomes known.
    Published,
    /// It is described otherwise.
    Changed,
    /// It is on the red list.
    Hidden,
    /// It is no more.
    Closed,
}

impl Done {
    /// A word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Changed => "changed",
            Self::Hidden => "hidden",
            Self::Closed => "closed",
        }
    }
}

/// What is to be done about one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is there as it should be.
    Nothing,
    /// A PATCH of [`Destination::path`] with this body.
    Send(Done, Vec<u8>),
}

/// Why nothing can be said of a mailbox there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The answer is no bundle.
    #[error("the answer is no FHIR bundle")]
    NoBundle,
    /// Nobody there has the identifier.
    #[error("no {0} there has the identifier {1}")]
    Nobody(String, String),
    /// Several have it.
    #[error("several resources there have the identifier {0}")]
    Several(String),
    /// The type of a mailbox never changes.
    #[error("it is known there as {0}: the type of a mailbox never changes; close it there first")]
    Type(String),
}

impl Destination {
    /// Where a mailbox is made known: a person's on the person, ORG and APP on the structure. The guide leaves those of
    /// practices (CAB) open: they are made known nowhere.
    pub fn of(mailbox: &RegisteredMailbox) -> Option<Self> {
        let (kind, identifier) = match mailbox.kind {
            MailboxType::Personal => ("Practitioner", format!("{IDNPS}|{}", mailbox.owner.as_ref()?)),
            MailboxType::Organisation | MailboxType::Application => {
                ("Organization", format!("{IDNST}|{}", mailbox.structure.as_ref()?))
            }
            MailboxType::Practice => return None,
        };
        Some(Self { address: mailbox.address.clone(), kind: kind.to_owned(), identifier })
    }

    /// What to GET first, below the base address.
    pub fn question(&self) -> String {
        format!("{}&_elements=identifier,telecom", self.path())
    }

    /// What to PATCH: the resource by its business identifier.
    pub fn path(&self) -> String {
        format!("{}?identifier={}", self.kind, encoded(&self.identifier))
    }

    /// What is to be done, by the answer to the question.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn step(&self, mailbox: &RegisteredMailbox, answer: &[u8]) -> Result<Step, PublishError> {
        let shown = self.shown(answer)?;
        let there = |step: Step| if shown.is_some() { step } else { Step::Nothing };
        if mailbox.red_list {
            let path =
                format!("{}.extension.where(url='{METADATA}').extension.where(url='listeRouge').value", self.entry());
            let parts = json!([typed("replace"), located(&path), {"name": "value", "valueBoolean": true}]);
            return Ok(there(Step::Send(Done::Hidden, body(&parts))));
        }
        let Some(shown) = &shown else {
            let parts = json!([
                typed("insert"),
                located(&format!("{}.telecom", self.kind)),
                {"name": "index", "valueInteger": 0},
                {"name": "value", "valueContactPoint": contact(mailbox)},
            ]);
            return Ok(Step::Send(Done::Published, body(&parts)));
        };
        let kind = metadata(shown, "type").and_then(|it| it.pointer("/valueCodeableConcept/coding/0/code").cloned());
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        if !kind.is_empty() && kind != mailbox.kind.code() {
            return Err(PublishError::Type(kind.chars().take(16).collect()));
        }
        let described = metadata(shown, "description").and_then(|it| it.get("valueString").cloned());
        let description = mailbox.name.as_deref().filter(|_| mailbox.kind != MailboxType::Personal);
        let same = described.as_ref().and_then(Value::as_str) == description
            && shown.get("rank").and_then(Value::as_u64) == mailbox.rank.map(u64::from);
        if same {
            return Ok(Step::Nothing);
        }
        let parts =
            json!([typed("replace"), located(&self.entry()), {"name": "value", "valueContactPoint": contact(mailbox)}]);
        Ok(Step::Send(Done::Changed, body(&parts)))
    }

    /// What is to be done about a mailbox that we made known and that is no more.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn closing(&self, answer: &[u8]) -> Result<Step, PublishError> {
        match self.shown(answer) {
            Ok(Some(_)) => Ok(Step::Send(Done::Closed, body(&json!([typed("delete"), located(&self.entry())])))),
            Ok(None) | Err(PublishError::Nobody(..)) => Ok(Step::Nothing),
            Err(error) => Err(error),
        }
    }

    fn entry(&self) -> String {
        // A quote is an ordinary character of an address (RFC 5322 §3.2.3), and ends a text of a path.
        let address = self.address.to_string().replace('\\', "\\\\").replace('\'', "\\'");
        format!("{}.telecom.where(value='{address}')", self.kind)
    }

    /// The mailbox as it is shown there.
    fn shown(&self, answer: &[u8]) -> Result<Option<Value>, PublishError> {
        let bundle: Value = serde_json::from_slice(answer).map_err(|_| PublishError::NoBundle)?;
        if bundle.get("resourceType").is_none_or(|it| it != "Bundle") {
            return Err(PublishError::NoBundle);
        }
        let entries = bundle.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let matches = entries.iter().filter(|it| it.pointer("/search/mode").is_none_or(|mode| mode == "match"));
        let resources: Vec<&Value> = matches.filter_map(|it| it.get("resource")).collect();
        let resource = match resources.as_slice() {
            [] => return Err(PublishError::Nobody(self.kind.clone(), self.identifier.clone())),
            [one] => one,
            _ => return Err(PublishError::Several(self.identifier.clone())),
        };
        let contacts = resource.get("telecom").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let ours = |contact: &&Value| {
            let address = contact.get("value").and_then(Value::as_str).and_then(|text| Address::parse(text).ok());
            address.is_some_and(|address| address.key() == self.address.key())
        };
        Ok(contacts.iter().find(ours).cloned())
    }
}

fn typed(operation: &str) -> Value {
    json!({"name": "type", "valueCode": operation})
}

fn located(path: &str) -> Value {
    json!({"name": "path", "valueString": path})
}

fn body(parts: &Value) -> Vec<u8> {
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}).to_string().into_bytes()
}

/// A part of the extension of mailboxes.
pub(super) fn metadata<'v>(contact: &'v Value, part: &str) -> Option<&'v Value> {
    let named = |list: Option<&'v Value>, name: &str| {
        list?.as_array()?.iter().find(|it| it.get("url").is_some_and(|url| url == name))
    };
    named(named(contact.get("extension"), METADATA)?.get("extension"), part)
}

/// A mailbox as a ContactPoint (mssante reference §9).
fn contact(mailbox: &RegisteredMailbox) -> Value {
    let coding = json!({"system": MAILBOX_TYPE, "code": mailbox.kind.code()});
    let mut parts = vec![
        json!({"url": "type", "valueCodeableConcept": {"coding": [coding]}}),
        json!({"url": "listeRouge", "valueBoolean": false}),
    ];
    if let Some(name) = mailbox.name.as_deref().filter(|_| mailbox.kind != MailboxType::Personal) {
        parts.push(json!({"url": "description", "valueString": name}));
    }
    let secure = json!({"url": EMAIL_TYPE, "valueCoding": {"system": MESSAGING, "code": "MSSANTE"}});
    let mut contact = json!({
        "system": "email",
        "value": mailbox.address.to_string(),
        "extension": [secure, {"url": METADATA, "extension": parts}],
    });
    if let (Some(rank), Some(fields)) = (mailbox.rank, contact.as_object_mut()) {
        fields.insert("rank".into(), rank.into());
    }
    contact
}
