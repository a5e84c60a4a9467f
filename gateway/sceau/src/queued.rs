//! What we put beside a queued message, and how its bodies are read again for delivery.

use std::{
    io::{self, BufReader, Write},
    sync::Arc,
};

use ident::{Address, Fingerprint};
use mail::{
    Access, Limits, MailFault, Opened,
    source::{self, Letter, Room as _, Source},
};
use pki::certificate::Certificate;
use serde::{Deserialize, Serialize};
use smtp::{MailFrom, OriginalRecipient, RcptTo, Ret};
use store::{MessageInfo, NewBody, Protection, Recipient, Store, Work};
use zeroize::Zeroizing;

use crate::{
    delivery::End,
    gateway::Gateway,
    intake::{
        in_hand::{InHand, Writer},
        incoming, late, technical,
    },
    refusal::Refusal,
    rest::{SegmentReader, SpoolRoom},
    snapshot::Snapshot,
    trust::Bearer,
};

/// Largest body read back: the largest message that any configuration may allow, sealed.
const MAX_BODY: usize = 512 * 1024 * 1024;
/// The profile, as the queue names it, of what is signed and not encrypted.
pub(crate) const SIGNED_ONLY: &str = "signedonly";
/// Octets moved at once.
const COPIED: usize = 64 * 1024;

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
    /// Certificate of the operator that brought a message which nobody could open yet: it is judged once it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unopened: Option<String>,
    /// Certificates of signers that were known here and did not come with the message: who withdraws or replaces one
    /// later does not make what was acknowledged unreadable (promise 1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lent: Vec<String>,
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

    /// With the operator whose message is still to be opened and judged.
    #[must_use]
    pub fn unopened(self, operator: &Certificate) -> Self {
        Self { unopened: Some(operator.to_pem()), ..self }
    }

    /// With the certificates that it was verified with and does not carry.
    #[must_use]
    pub fn verified_with(self, lent: &[Certificate]) -> Self {
        Self { lent: lent.iter().map(Certificate::to_pem).collect(), ..self }
    }

    /// The certificates that it was verified with and does not carry.
    fn lent(&self) -> impl Iterator<Item = Certificate> {
        self.lent.iter().filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok())
    }

    /// The operator whose message is still to be opened and judged.
    pub fn unopened_by(&self) -> Option<Certificate> {
        Certificate::from_pem(self.unopened.as_deref()?.as_bytes()).ok()
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
        serde_json::from_str(info.notes.lines().next().unwrap_or_default()).unwrap_or_default()
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
/// What it means for the peer that it cannot be kept.
pub(crate) fn under_storage_key(
    gateway: &Gateway,
    hand: &mut InHand,
    message: &dyn Source,
    size: u64,
) -> Result<NewBody, Refusal> {
    let (key, wrapped) = gateway.vault().begin(&[]).map_err(technical)?;
    let mut hash = Hashing::default();
    let content = hand.write_under(gateway.store.as_ref(), &key, size, &mut |out| {
        let mut both = Both(out, &mut hash);
        source::copy(message, &mut both).map(|_| ()).map_err(|error| MailFault::Storage(error.kind()).into())
    })?;
    Ok(NewBody {
        content,
        protection: Protection::StorageKey,
        profile: None,
        content_key: Some(wrapped),
        inner: Some(hash.finish()),
    })
}

/// A body that is sealed already, or is being sealed while it is written.
pub(crate) struct Sealed<'s> {
    /// Its outer header, which names people: where one of them is a patient, the body rests under the storage
    /// key as well, because a patient's address is a national number (promise 3).
    pub(crate) header: &'s [u8],
    /// Octets of all of it.
    pub(crate) size: u64,
    /// What opens the seal again, where delivery needs that.
    pub(crate) content_key: Option<&'s [u8]>,
    /// Writes it.
    pub(crate) write: Writer<'s>,
}

/// Puts a sealed body to rest; `body` says everything but its content.
///
/// # Errors
/// What it means for the peer that it cannot be kept.
pub(crate) fn sealed(
    gateway: &Gateway,
    hand: &mut InHand,
    sealed: Sealed<'_>,
    body: NewBody,
) -> Result<NewBody, Refusal> {
    let Sealed { header, size, content_key, write } = sealed;
    let store = gateway.store.as_ref();
    if gateway.masker.names_a_patient(&String::from_utf8_lossy(header)) {
        let (key, wrapped) = gateway.vault().begin(content_key.unwrap_or_default()).map_err(technical)?;
        let content = hand.write_under(store, &key, size, write)?;
        return Ok(NewBody { content, protection: Protection::StorageKey, content_key: Some(wrapped), ..body });
    }
    let content_key = content_key.map(|key| gateway.vault().wrap(key)).transpose().map_err(technical)?;
    Ok(NewBody { content: hand.write(store, size, write)?, content_key, ..body })
}

/// SHA-256 of what is written to it.
#[derive(Default)]
pub(crate) struct Hashing(openssl::sha::Sha256);

impl Hashing {
    pub(crate) fn finish(self) -> Fingerprint {
        Fingerprint::new(self.0.finish())
    }
}

impl Write for Hashing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to two places.
struct Both<'a>(&'a mut dyn Write, &'a mut Hashing);

impl Write for Both<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write_all(octets)?;
        self.1.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> Fingerprint {
    Fingerprint::new(openssl::sha::sha256(bytes))
}

/// The body as it goes to another operator.
///
/// # Errors
/// The end of the attempt.
pub async fn as_sent(gateway: &Arc<Gateway>, work: &Work) -> Result<Load, End> {
    let body = work.body.body.as_ref().ok_or_else(|| damaged("the body is gone"))?;
    let stored = gateway.store.body(body).await.map_err(|error| End::temporary("stored-body", error))?;
    let key = match work.body.protection {
        Protection::Sealed | Protection::AsReceived => None,
        Protection::StorageKey => {
            let wrapped = work.body.content_key.as_deref().ok_or_else(|| damaged("the key of the body is missing"))?;
            Some(gateway.vault().body_key(wrapped).map_err(|error| damaged(&error.to_string()))?)
        }
    };
    let room = gateway.room();
    let large = stored.size > SpoolRoom::SMALL;
    let fetch = move || {
        let mut scratch = room.scratch(stored.size);
        let size = match key {
            None => io::copy(&mut BufReader::with_capacity(COPIED, stored), &mut scratch),
            Some(key) => io::copy(&mut SegmentReader::new(key, stored), &mut scratch),
        }?;
        Ok(Load { source: scratch.into_source()?, size })
    };
    let fetched: io::Result<Load> = if large {
        tokio::task::spawn_blocking(fetch).await.map_err(|error| End::temporary("stored-body", error))?
    } else {
        fetch()
    };
    fetched.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => damaged(&error.to_string()),
        _ => End::temporary("stored-body", error),
    })
}

/// The readable message for the inner mail server, with trace and verdict on top.
///
/// # Errors
/// The end of the attempt: a body that no longer opens to what was judged is held back.
pub async fn readable(gateway: &Arc<Gateway>, work: &Work) -> Result<Load, End> {
    let stored = as_sent(gateway, work).await?;
    let notes = Notes::of(work);
    if let Some(operator) = notes.unopened_by() {
        let head = notes.body(work).map(|body| body.head.clone()).unwrap_or_default();
        let (opened, results) = late::open(gateway, work, stored, operator).await?;
        return annotated(gateway, work, opened, format!("{head}{results}"));
    }
    let opened = reopen(gateway, work, &notes, stored).await?;
    let judged = work.body.inner.map_or(Ok(true), |judged| opened.is_what_was_judged(judged));
    if !judged.map_err(|fault| End::temporary("stored-body", fault))? {
        return Err(damaged("the body opens to something else than what was judged"));
    }
    let head = notes.body(work).map(|body| body.head.clone()).unwrap_or_default();
    annotated(gateway, work, opened, head)
}

/// The opened message with these fields on top, and none that pretend to be ours.
fn annotated(gateway: &Gateway, work: &Work, opened: Opened, head: String) -> Result<Load, End> {
    let snapshot = gateway.snapshot();
    let hostname = snapshot.config.server.hostname.as_str();
    let kept = opened.keeps_signature();
    let (clean, size) =
        mail::clean::letter_for_sending(Arc::new(opened.inner), opened.inner_size, hostname, &accepted_limits())
            .map_err(|fault| damaged(&fault.to_string()))?;
    let clean: Arc<dyn Source> = Arc::new(clean);
    let banner = match &work.destination {
        store::Destination::Inner(domain) => snapshot.own(domain).is_some_and(|own| own.inner.banner),
        _ => false,
    };
    let (clean, size) = if banner && !kept { under_banner(clean, size, &head)? } else { (clean, size) };
    let size = size.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
    Ok(Load { source: Arc::new(Letter::new(Zeroizing::new(head.into_bytes()), clean, 0)), size })
}

/// The message with our words on top. One that none can be put on is delivered without, and somebody is told.
fn under_banner(message: Arc<dyn Source>, size: u64, head: &str) -> Result<(Arc<dyn Source>, u64), End> {
    match mail::with_banner(&message, size, head, &accepted_limits()) {
        Ok(Some((letter, size))) => Ok((Arc::new(letter), size)),
        Ok(None) => Ok((message, size)),
        Err(MailFault::Storage(kind)) => Err(End::temporary("stored-body", kind)),
        Err(fault) => {
            tracing::warn!(%fault, "a message is delivered without its banner");
            Ok((message, size))
        }
    }
}

/// A message on its way to a peer: read as it goes, as often as it takes.
#[derive(Clone)]
pub struct Load {
    /// Where it is read.
    pub source: Arc<dyn Source>,
    /// Its octets.
    pub size: u64,
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
pub(crate) fn accepted_limits() -> Limits {
    Limits { message: MAX_BODY, ..Limits::default() }
}

/// Opens again with the kept content key: no private-key operation, no new judgement.
async fn reopen(gateway: &Arc<Gateway>, work: &Work, notes: &Notes, message: Load) -> Result<Opened, End> {
    let (wrapped, protection) = (work.body.content_key.clone(), work.body.protection.clone());
    let (worker, lent) = (Arc::clone(gateway), notes.lent().collect::<Vec<_>>());
    let outcome = gateway
        .compute(move || {
            let key = match (wrapped, protection) {
                (Some(wrapped), Protection::AsReceived) => worker.vault().unwrap(&wrapped).map(Some),
                (Some(wrapped), Protection::StorageKey) => worker.vault().beside(&wrapped),
                _ => Ok(None),
            };
            let key = key.map_err(|error| End::Withheld(format!("its key cannot be had: {error}")))?;
            let access = key.as_deref().map_or(Access::Keys(&[]), |key| Access::ContentKey(key));
            // Whoever signed what was accepted is known still, whatever became of the certificate since.
            let known = [lent, worker.snapshot().ever_known_certificates()].concat();
            mail::open_source(message.source, access, &known, &accepted_limits(), &worker.room())
                .map_err(|fault| late::unopened(&fault))
        })
        .await;
    outcome.unwrap_or_else(|error| Err(End::temporary("stored-body", error)))
}

/// Nothing that a retry can mend: a person has to look (design §3).
fn damaged(what: &str) -> End {
    End::Withheld(what.to_owned())
}
