//! What we put beside a queued message, and how its bodies are read again for delivery.

use std::sync::Arc;

use ident::{Address, Fingerprint};
use mail::{Access, Limits, Opened};
use serde::{Deserialize, Serialize};
use smtp::{MailFrom, OriginalRecipient, RcptTo, Ret};
use store::{MessageInfo, NewBody, Protection, Recipient, Store, Work};
use zeroize::Zeroizing;

use crate::{delivery::End, gateway::Gateway, intake::incoming, rest::SegmentError, snapshot::Snapshot, trust::Bearer};

/// Largest body read back: the largest message that any configuration may allow, sealed.
const MAX_BODY: usize = 512 * 1024 * 1024;

/// What must be known again at delivery. Never content.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Notes {
    /// The different ones: a thousand blind copies of one letter have the same.
    kinds: Vec<BodyNotes>,
    /// For each body its place in `kinds`.
    bodies: Vec<usize>,
    /// Who brought it; nobody for what we wrote ourselves.
    #[serde(default)]
    bearer: Option<Bearer>,
}

/// About one body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyNotes {
    /// Certificates that it was sealed for: checked again at each attempt.
    #[serde(default)]
    pub readers: Vec<Fingerprint>,
    /// Header fields to put on top at inner delivery: trace and verdict.
    #[serde(default)]
    pub head: String,
}

impl Notes {
    /// One for each body, in order.
    pub fn new(all: impl IntoIterator<Item = BodyNotes>) -> Self {
        let mut notes = Self::default();
        for body in all {
            let known = notes.kinds.iter().position(|kind| *kind == body);
            notes.bodies.push(known.unwrap_or(notes.kinds.len()));
            if known.is_none() {
                notes.kinds.push(body);
            }
        }
        notes
    }

    /// With who brought the message.
    #[must_use]
    pub fn brought_by(self, bearer: Bearer) -> Self {
        Self { bearer: Some(bearer), ..self }
    }

    /// Who brought the message; nobody for what we wrote ourselves.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// Those of a piece of work; none if they cannot be read, which only costs a check.
    pub fn of(work: &Work) -> Self {
        Self::beside(&work.info)
    }

    /// Those of a message, in the same way.
    pub fn beside(info: &MessageInfo) -> Self {
        serde_json::from_str(&info.notes).unwrap_or_default()
    }

    /// Written down.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn body(&self, work: &Work) -> Option<&BodyNotes> {
        let index = work.recipients.first().map(|recipient| recipient.body)?;
        self.kinds.get(*self.bodies.get(usize::try_from(index).ok()?)?)
    }

    /// Certificates that the body of this work was sealed for.
    pub fn readers(&self, work: &Work) -> Vec<Fingerprint> {
        self.body(work).map(|body| body.readers.clone()).unwrap_or_default()
    }
}

/// A readable body: it rests under the storage key.
///
/// # Errors
/// Those of the cryptographic library.
pub fn under_storage_key(gateway: &Gateway, message: &[u8]) -> Result<NewBody, SegmentError> {
    let (stored, wrapped) = gateway.vault().protect(message)?;
    Ok(NewBody {
        content: store::BodyContent::Bytes(stored),
        protection: Protection::StorageKey,
        profile: None,
        content_key: Some(wrapped),
        inner: Some(digest(message)),
    })
}

/// A body that is sealed already. Its outer header names people: where one of them is a patient, it
/// rests under the storage key as well, because a patient's address is a national number (promise 3).
/// `content_key` opens the seal again, where delivery needs that.
///
/// # Errors
/// Those of the cryptographic library.
pub fn sealed(
    gateway: &Gateway,
    bytes: Vec<u8>,
    body: NewBody,
    content_key: Option<&[u8]>,
) -> Result<NewBody, SegmentError> {
    if gateway.masker.names_a_patient(&String::from_utf8_lossy(outer_header(&bytes))) {
        let (stored, wrapped) = gateway.vault().protect_with(&bytes, content_key.unwrap_or_default())?;
        let content = store::BodyContent::Bytes(stored);
        return Ok(NewBody { content, protection: Protection::StorageKey, content_key: Some(wrapped), ..body });
    }
    let content_key = content_key.map(|key| gateway.vault().wrap(key)).transpose()?;
    Ok(NewBody { content: store::BodyContent::Bytes(bytes), content_key, ..body })
}

/// Everything up to the first empty line.
fn outer_header(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(message.len());
    message.get(..end).unwrap_or_default()
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> Fingerprint {
    Fingerprint::new(openssl::sha::sha256(bytes))
}

/// The body as it goes to another operator.
///
/// # Errors
/// The end of the attempt.
pub async fn as_sent(gateway: &Arc<Gateway>, work: &Work) -> Result<Zeroizing<Vec<u8>>, End> {
    let stored = read(gateway, work).await?;
    match work.body.protection {
        Protection::Sealed | Protection::AsReceived => Ok(Zeroizing::new(stored)),
        Protection::StorageKey => reveal(gateway, work, &stored),
    }
}

/// The readable message for the inner mail server, with trace and verdict on top.
///
/// # Errors
/// The end of the attempt: a body that no longer opens to what was judged is held back.
pub async fn readable(gateway: &Arc<Gateway>, work: &Work) -> Result<Zeroizing<Vec<u8>>, End> {
    let stored = read(gateway, work).await?;
    let revealed = match work.body.protection {
        Protection::StorageKey => reveal(gateway, work, &stored)?,
        Protection::AsReceived | Protection::Sealed => Zeroizing::new(stored),
    };
    let opened = reopen(gateway, work, revealed).await?;
    if work.body.inner.is_some_and(|judged| judged != opened.inner_digest) {
        return Err(damaged("the body opens to something else than what was judged"));
    }
    let head = Notes::of(work).body(work).map(|body| body.head.clone()).unwrap_or_default();
    let snapshot = gateway.snapshot();
    let clean = mail::clean::for_sending(&opened.inner, snapshot.config.server.hostname.as_str(), &accepted_limits())
        .map_err(|fault| damaged(&fault.to_string()))?;
    Ok(Zeroizing::new([head.as_bytes(), clean.as_ref()].concat()))
}

/// The envelope of a piece of work. `named` says how a recipient is written.
pub fn envelope(work: &Work, named: impl Fn(&Recipient) -> Address, size: Option<u64>) -> smtp::Envelope {
    let info = &work.info.envelope;
    let mail = MailFrom {
        sender: info.sender.clone(),
        size,
        body: smtp::BodyKind::EightBit,
        smtputf8: info.smtputf8,
        ret: info.ret.map(|ret| match ret {
            store::Return::Full => Ret::Full,
            store::Return::Headers => Ret::Headers,
        }),
        envid: info.envid.clone(),
        require_tls: info.require_tls,
    };
    let recipients = work.recipients.iter().map(|recipient| rcpt(recipient, named(recipient))).collect();
    smtp::Envelope { mail, recipients }
}

fn rcpt(recipient: &Recipient, address: Address) -> RcptTo {
    let store::Notify { success, failure, delay } = recipient.notify;
    let notify =
        if success || failure || delay { smtp::Notify::On { success, failure, delay } } else { smtp::Notify::Never };
    let orcpt = recipient.orcpt.as_deref().and_then(|text| text.split_once(';'));
    let orcpt = orcpt.map(|(kind, address)| OriginalRecipient { kind: kind.to_owned(), address: address.to_owned() });
    RcptTo { address, notify: Some(notify), orcpt }
}

/// Limits of the readers of mail, from the configuration: room for the largest message, sealed.
pub fn limits(snapshot: &Snapshot) -> Limits {
    Limits { message: usize::try_from(incoming::limit(snapshot)).unwrap_or(usize::MAX), ..Limits::default() }
}

/// For what was accepted already: a limit that is lowered meanwhile holds for new mail only.
fn accepted_limits() -> Limits {
    Limits { message: MAX_BODY, ..Limits::default() }
}

async fn read(gateway: &Gateway, work: &Work) -> Result<Vec<u8>, End> {
    let body = work.body.body.as_ref().ok_or_else(|| damaged("the body is gone"))?;
    let reader = gateway.store.body(body).await.map_err(|error| End::temporary("stored-body", error))?;
    reader.bytes(MAX_BODY).map_err(|error| End::temporary("stored-body", error))
}

fn reveal(gateway: &Gateway, work: &Work, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, End> {
    let wrapped = work.body.content_key.as_deref().ok_or_else(|| damaged("the key of the body is missing"))?;
    gateway.vault().reveal(stored, wrapped).map_err(|error| damaged(&error.to_string()))
}

/// Opens again with the kept content key: no private-key operation, no new judgement.
async fn reopen(gateway: &Arc<Gateway>, work: &Work, message: Zeroizing<Vec<u8>>) -> Result<Opened, End> {
    let (wrapped, protection) = (work.body.content_key.clone(), work.body.protection.clone());
    let worker = Arc::clone(gateway);
    let outcome = gateway
        .compute(move || {
            let snapshot = worker.snapshot();
            let key = match (wrapped, protection) {
                (Some(wrapped), Protection::AsReceived) => worker.vault().unwrap(&wrapped).map(Some),
                (Some(wrapped), Protection::StorageKey) => worker.vault().beside(&wrapped),
                _ => Ok(None),
            };
            let key = key.map_err(|error| error.to_string())?;
            let access = key.as_deref().map_or(Access::Keys(&[]), |key| Access::ContentKey(key));
            mail::open(&message, access, &snapshot.known_certificates(), &accepted_limits())
                .map_err(|fault| fault.to_string())
        })
        .await;
    outcome.and_then(|opened| opened).map_err(|error| damaged(&error))
}

/// Nothing a retry can mend, nothing to lose either: it waits, and the log says so each time.
fn damaged(what: &str) -> End {
    tracing::error!(what, "a stored body cannot be delivered as it is; it stays in the queue");
    End::temporary("stored-body", what)
}
