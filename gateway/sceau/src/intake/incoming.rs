//! Incoming: from a message of another operator to a judged body in the queue.
//!
//! Everything is decided before `250`: opened, verified, structure judged, signer bound. What
//! rests is the message as it came, with its content key under the storage key.

use std::sync::Arc;

use ident::{Address, Timestamp};
use mail::{
    Access, Facts, Judgement, MailFault, OpenFault, Opened, ProtectionHint, Signature, report,
    source::{self, Source},
};
use pki::certificate::Certificate;
use smtp::{MailFrom, RcptTo};
use store::{Accepted, Changes, Direction, NewBody, NewMessage, NewRecipient, Repeat, Store as _};
use trail::{Acceptance, Event, QueueId, Record, VerdictOutcome};

use super::{
    REPEAT_WINDOW, Received, disclosure, failures, guarded,
    in_hand::{InHand, Writer},
    late,
    outgoing::{Sealing, envelope, notify, trace},
    reports, storage, taken, technical,
    trust::Answers,
    unopened, unreadable,
};
use crate::{
    admission::{
        caller::identify_operator,
        content::check_loop,
        exchange::{
            admit_encryption, admit_recipient, admit_signer, admit_size, admit_unencrypted, admit_unsealed, speaks_for,
        },
    },
    capabilities, events,
    gateway::Gateway,
    net::session::Peer,
    quarantine,
    queued::{self, BodyNotes, Notes, Sealed, limits, under_storage_key},
    refusal::{Refusal, RefusalId},
    rest::Spool,
    snapshot::Snapshot,
    trust::Bearer,
};

/// Octets of a report whose machine part is read.
const MAX_REPORT: usize = 4 << 20;

/// An admitted envelope from another operator.
pub struct Incoming {
    /// Its queue id.
    pub id: QueueId,
    /// Certificate of the operator's server.
    pub operator: Certificate,
    /// MAIL.
    pub mail: MailFrom,
    /// RCPT, admitted.
    pub recipients: Vec<RcptTo>,
    /// The connection.
    pub peer: Peer,
}

/// A message that may be stored.
pub(super) struct Prepared {
    pub(super) message: NewMessage,
    pub(super) report: Option<report::IncomingReport>,
    pub(super) operator: Certificate,
    /// Why it waits for a person from the beginning, if it does.
    pub(super) held: Option<&'static str>,
}

/// Largest message taken from other operators: sealing makes ours larger, theirs too.
pub fn limit(snapshot: &Snapshot) -> u64 {
    let recipients = u64::try_from(snapshot.config.limits.recipients).unwrap_or(u64::MAX);
    mail::size_bound(mail::Profile::Gateway, snapshot.config.limits.message.0, recipients, 4)
}

/// Opens, judges and stores. `Ok` means: on stable storage.
///
/// # Errors
/// The refusal for the whole message; nothing is queued then.
pub async fn accept(gateway: &Arc<Gateway>, incoming: Incoming, message: Spool) -> Result<QueueId, Refusal> {
    let worker = Arc::clone(gateway);
    let speaker = events::operator(&gateway.masker, &incoming.operator);
    let preparing = move || guarded(RefusalId::OpeningFailed, || prepare(&worker, &incoming, message));
    let mut prepared = gateway.compute(preparing).await.map_err(technical)??;
    if let Some(report) = prepared.report.take() {
        let records = reports::matched(gateway, &prepared, &report).await?;
        prepared.message.records.extend(records);
    }
    let message = gateway.binder.bind(prepared.message).map_err(technical)?;
    let changes = match prepared.held {
        None => Changes::message(message),
        Some(why) => late::held(gateway, message, why),
    };
    let committed = gateway.store.commit(changes).await.map_err(|error| storage(&error))?;
    if let (Some(why), Some(Accepted::New(id))) = (prepared.held, committed.accepted.first()) {
        quarantine::alarm(gateway, *id, why);
    }
    taken(gateway, &committed, speaker)
}

fn prepare(gateway: &Gateway, incoming: &Incoming, spool: Spool) -> Result<Prepared, Refusal> {
    let snapshot = gateway.snapshot();
    let now = gateway.now();
    let operator = identify_operator(&snapshot, incoming.peer.certificates()?, now)?;
    incoming.recipients.iter().try_for_each(|recipient| admit_recipient(&snapshot, &recipient.address, now))?;
    let message: Arc<dyn Source> = Arc::new(spool);
    let arrived = Received::of(&*message)?;
    // What is wrong outside may be named; from here on a fault may be about what is inside.
    let outer = mail::read_source(&*message, &limits(&snapshot)).map_err(|fault| unreadable(&fault))?;
    // Opening costs more than anything before: what is refused anyway is refused first.
    speaks_for(&snapshot, &operator, &outer.from, now)?;
    check_loop(&outer)?;
    admit_size(&snapshot, &outer.from, arrived.size)?;
    if outer.protection == ProtectionHint::None {
        admit_unsealed(&snapshot, &outer.from)?;
    }
    let recipients: Vec<Address> = incoming.recipients.iter().map(|recipient| recipient.address.clone()).collect();
    // Whatever the encryption is wrapped in, without keys it is for nobody here.
    let waits = failures::may_open(gateway, &operator, &outer.from, now).err();
    let opened = match opened(gateway, &snapshot, &message, &recipients, waits.is_none()) {
        Err(OpenFault::NotForUs) if waits.is_some() || late::is_taken(&snapshot, incoming) => {
            let taken = || late::prepare(gateway, &snapshot, incoming, &operator, &message, &outer, arrived);
            return waits.map_or_else(taken, Err);
        }
        Err(fault) => {
            if fault.follows_key() {
                failures::not_opened(gateway, &operator, &outer.from, now);
            }
            return Err(unopened(&fault));
        }
        Ok(opened) => opened,
    };
    let inside = Inside { gateway, snapshot: &snapshot, incoming, operator: &operator, recipients: &recipients, now };
    let Considered { report, judgement, judged, signer } = inside.considered(&opened, arrived).map_err(|refusal| {
        let told = disclosure::outwardly(&snapshot, &operator, &opened, refusal, now);
        if told.id == RefusalId::OpeningFailed {
            failures::not_opened(gateway, &operator, &outer.from, now);
        }
        told
    })?;
    capabilities::learn(gateway, &snapshot, &opened, &judgement, now);
    let hostname = snapshot.config.server.hostname.as_str();
    let head = format!(
        "{}{}",
        trace(hostname, &incoming.peer, incoming.id, "ESMTPS", now),
        mail::result_fields(&judgement, hostname)
    );
    let bearer = Bearer::new(incoming.peer.certificates()?, signer.as_ref());
    let body = at_rest(gateway, &mut InHand::default(), &message, arrived.size, &opened)?;
    let mut records = vec![acceptance(gateway, &snapshot, incoming, &operator, &opened.facts, arrived, now), judged];
    records.extend(peer_checkpoint(gateway, &opened, signer.as_ref(), now));
    let recipients = recipients_of(gateway, &snapshot, incoming, now, &mut records);
    let repeat = opened.facts.message_id.as_ref().map(|_| again_from(&operator));
    let message = NewMessage {
        id: incoming.id,
        direction: Direction::Incoming,
        envelope: envelope(&incoming.mail),
        message_id: opened.facts.message_id.clone(),
        digest: arrived.digest,
        size: arrived.size,
        accepted: now,
        expires: gateway.schedule.expires(now),
        repeat,
        bodies: vec![body],
        recipients,
        notes: Notes::new([BodyNotes { readers: Vec::new(), head }])
            .brought_by(bearer)
            .verified_with(&opened.lent)
            .to_json(),
        records,
    };
    Ok(Prepared { message, report, operator, held: None })
}

/// What is asked about a message once it is open. Every answer may depend on what is inside, and goes out by
/// [`disclosure::outwardly`] only.
struct Inside<'a> {
    gateway: &'a Gateway,
    snapshot: &'a Snapshot,
    incoming: &'a Incoming,
    operator: &'a Certificate,
    recipients: &'a [Address],
    now: Timestamp,
}

/// A message that may be taken.
struct Considered {
    report: Option<report::IncomingReport>,
    judgement: Judgement,
    judged: Record,
    signer: Option<Certificate>,
}

impl Inside<'_> {
    fn considered(&self, opened: &Opened, arrived: Received) -> Result<Considered, Refusal> {
        let Self { gateway, snapshot, incoming, operator, recipients, now } = *self;
        let from = &opened.facts.from;
        speaks_for(snapshot, operator, from, now)?;
        // What could not be handed over in the end is refused now (promise 1).
        let hostname = snapshot.config.server.hostname.as_str();
        mail::clean::letter_for_sending(Arc::new(opened.inner.clone()), opened.inner_size, hostname, &limits(snapshot))
            .map_err(|fault| unreadable(&fault))?;
        admit_size(snapshot, from, arrived.size)?;
        admitted(snapshot, opened)?;
        let report = null_sender(snapshot, incoming, operator, opened, now)?;
        let sender = incoming.mail.sender.as_ref();
        let (judgement, judged) = judged(gateway, snapshot, incoming.id, opened, sender, recipients, operator, now)?;
        let signer = match &opened.signature {
            Signature::Good(signed) => Some(signed.judged(judgement.signer.as_ref()).clone()),
            _ => None,
        };
        signer.iter().try_for_each(|signer| admit_signer(snapshot, from, signer, now))?;
        sealed(snapshot, opened)?;
        Ok(Considered { report, judgement, judged, signer })
    }
}

/// Whether the partner rule of the author takes mail that is protected so.
fn admitted(snapshot: &Snapshot, opened: &Opened) -> Result<(), Refusal> {
    let from = &opened.facts.from;
    opened.encryption.iter().try_for_each(|encryption| admit_encryption(snapshot, from, encryption))?;
    if opened.signature == Signature::None {
        // Encryption alone says nothing about the author (A24): it counts as not sealed.
        admit_unsealed(snapshot, from)?;
    }
    Ok(())
}

/// Whether what is good so far may have come unencrypted.
fn sealed(snapshot: &Snapshot, opened: &Opened) -> Result<(), Refusal> {
    if opened.encryption.is_some() { Ok(()) } else { admit_unencrypted(snapshot, &opened.facts.from) }
}

/// What was opened after its reception: admitted and judged as it would have been then.
pub(super) fn decided(
    gateway: &Gateway,
    snapshot: &Snapshot,
    id: QueueId,
    opened: &Opened,
    (sender, recipients): (Option<&Address>, &[Address]),
    operator: &Certificate,
) -> Result<(Judgement, Record), Refusal> {
    let now = gateway.now();
    proven(opened).map_err(|fault| unopened(&fault))?;
    let decided = || {
        speaks_for(snapshot, operator, &opened.facts.from, now)?;
        admitted(snapshot, opened)?;
        let decided = judged(gateway, snapshot, id, opened, sender, recipients, operator, now)?;
        if let Signature::Good(signed) = &opened.signature {
            admit_signer(snapshot, &opened.facts.from, signed.judged(decided.0.signer.as_ref()), now)?;
        }
        sealed(snapshot, opened)?;
        Ok(decided)
    };
    // The notice to its sender is an answer as well.
    decided().map_err(|refusal| disclosure::outwardly(snapshot, operator, opened, refusal, now))
}

/// The very same octets again: the peer did not hear our 250, or forgot it in a crash (RFC 1047).
pub(super) fn again_from(operator: &Certificate) -> Repeat {
    Repeat { sender: operator.fingerprint().to_string(), window: REPEAT_WINDOW, even_failed: true }
}

/// One outward behaviour for every failed decryption (H4), whatever made it fail and however late.
pub(super) fn opened(
    gateway: &Gateway,
    snapshot: &Snapshot,
    message: &Arc<dyn Source>,
    recipients: &[Address],
    with_keys: bool,
) -> Result<Opened, OpenFault> {
    let (known, limits, room) = (snapshot.known_certificates(), limits(snapshot), gateway.room());
    let mut domains: Vec<&Address> = recipients.iter().filter(|_| with_keys).collect();
    domains.sort_by_key(|address| address.domain());
    domains.dedup_by_key(|address| address.domain());
    // For recipients in several domains of ours each domain must be able to read it by itself (A16).
    let keys = |address: &&Address| snapshot.decryption_keys(std::slice::from_ref(*address));
    let readers: Vec<_> = domains.iter().map(keys).collect();
    let opened = mail::open_source(Arc::clone(message), Access::EachOf(&readers), &known, &limits, &room)?;
    proven(&opened)?;
    Ok(opened)
}

/// Without a tag, a failed decryption may look like anything: the peer must not see what (H9).
fn proven(opened: &Opened) -> Result<(), OpenFault> {
    let unproven = opened.encryption.as_ref().is_some_and(|encryption| !encryption.authenticated);
    if unproven && !matches!(opened.signature, Signature::Good(_)) {
        return Err(OpenFault::Failed);
    }
    Ok(())
}

/// What a message without a sender must be: a report or an automatic answer of the peer's own
/// domains to one of our users (design §3).
fn null_sender(
    snapshot: &Snapshot,
    incoming: &Incoming,
    operator: &Certificate,
    opened: &Opened,
    now: Timestamp,
) -> Result<Option<report::IncomingReport>, Refusal> {
    if incoming.mail.sender.is_some() {
        return Ok(None);
    }
    let owns = |domain: &ident::Domain| snapshot.speaks_for(operator, domain, now);
    report::check_null_sender(&opened.facts, incoming.recipients.len(), owns)
        .map_err(|fault| Refusal::new(RefusalId::ReportMalformed, fault.to_string()))?;
    // Notices are worth reading even when their machine part is not.
    let report = opened.inner.bytes(MAX_REPORT).and_then(|inner| report::read_report(&inner, &limits(snapshot)));
    Ok(report.ok().flatten())
}

/// Judges an opened message; only an accepted one comes back.
#[allow(clippy::too_many_arguments)] // one fact each; a struct would only rename them
fn judged(
    gateway: &Gateway,
    snapshot: &Snapshot,
    id: QueueId,
    opened: &Opened,
    sender: Option<&Address>,
    recipients: &[Address],
    operator: &Certificate,
    now: Timestamp,
) -> Result<(Judgement, Record), Refusal> {
    let answers = Answers { snapshot, at: now, operator };
    let judgement = mail::judge(opened, &mail::Envelope { sender, recipients }, &answers);
    if let Some(refusal) = refused(&judgement) {
        return Err(refusal);
    }
    let record = Record::new(now, Event::Judged(Box::new(verdict(gateway, opened, &judgement)))).of_message(id);
    Ok((judgement, record))
}

/// What a judgement that does not accept means for the peer.
fn refused(judgement: &Judgement) -> Option<Refusal> {
    let worst = judgement.reasons.first().map(|reason| reason.code).unwrap_or_default();
    match judgement.verdict {
        mail::Verdict::Accept => None,
        mail::Verdict::Undetermined => Some(Refusal::new(RefusalId::SignatureUndetermined, worst)),
        mail::Verdict::Refuse if judgement.signature == mail::SignatureState::Valid => {
            Some(Refusal::new(RefusalId::SignerNotBound, worst).about(worst))
        }
        mail::Verdict::Refuse => Some(Refusal::new(RefusalId::SignatureInvalid, worst).about(worst)),
    }
}

pub(super) fn verdict(gateway: &Gateway, opened: &Opened, judgement: &Judgement) -> trail::Verdict {
    let word = |value: serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    trail::Verdict {
        verdict: VerdictOutcome::Accept,
        bound_by: word(serde_json::json!(judgement.bound_by)),
        signature: word(serde_json::json!(judgement.signature)),
        encryption: opened.encryption.as_ref().map_or("none", |encryption| encryption.cipher).to_owned(),
        signer: judgement.signer.as_ref().map(|signer| trail::Speaker {
            kind: trail::IdentityKind::Organisation,
            id: gateway.masker.text(signer.identifier.as_deref().unwrap_or("-")),
            name: gateway.masker.text(&signer.name),
            certificate: Some(signer.fingerprint),
            assurance: None,
            notes: Vec::new(),
        }),
        assurance: gateway.masker.text(&judgement.notice().fr),
        inner: Some(opened.inner_digest),
        reasons: judgement.reasons.iter().map(|reason| reason.code.to_owned()).collect(),
    }
}

/// The peer's checkpoint in the signed part of its message.
fn peer_checkpoint(gateway: &Gateway, opened: &Opened, signer: Option<&Certificate>, now: Timestamp) -> Option<Record> {
    let Signature::Good(signed) = &opened.signature else { return None };
    let note = signed.said.checkpoint.as_deref()?;
    let domain = opened.facts.from.domain();
    gateway.checkpoints.saw(domain, note, signer?.fingerprint(), now)
}

/// Sealed for us: as it came, its content key under the storage key. Readable: under the storage key.
fn at_rest(
    gateway: &Gateway,
    hand: &mut InHand,
    message: &Arc<dyn Source>,
    size: u64,
    opened: &Opened,
) -> Result<NewBody, Refusal> {
    match &opened.encryption {
        Some(encryption) => {
            let body = NewBody {
                content: store::BodyContent::Bytes(Vec::new()),
                protection: store::Protection::AsReceived,
                profile: Some(encryption.cipher.to_owned()),
                content_key: None,
                inner: Some(opened.inner_digest),
            };
            let header =
                source::header(&**message, &limits(&gateway.snapshot())).map_err(|fault| unreadable(&fault))?;
            let content_key = Some(encryption.content_key.as_slice());
            let write: Writer<'_> = &mut |out| {
                source::copy(&**message, out).map(|_| ()).map_err(|error| MailFault::Storage(error.kind()).into())
            };
            queued::sealed(gateway, hand, Sealed { header: &header, size, content_key, write }, body)
        }
        None => {
            let body = under_storage_key(gateway, hand, &**message, size)?;
            Ok(NewBody { inner: Some(opened.inner_digest), ..body })
        }
    }
}

pub(super) fn acceptance(
    gateway: &Gateway,
    snapshot: &Snapshot,
    incoming: &Incoming,
    operator: &Certificate,
    facts: &Facts,
    arrived: Received,
    now: Timestamp,
) -> Record {
    let acceptance = Acceptance {
        direction: Direction::Incoming,
        from: incoming.mail.sender.as_ref().map(|sender| gateway.masker.party(sender)),
        author: Some(gateway.masker.party(&facts.from)),
        message_id: facts.message_id.as_deref().map(|id| gateway.masker.text(id)),
        digest: arrived.digest,
        size: arrived.size,
        recipients: u32::try_from(incoming.recipients.len()).unwrap_or(u32::MAX),
        connection: Some(events::connection(&gateway.masker, &incoming.peer, "exchange")),
        speaker: Some(events::operator(&gateway.masker, operator)),
        policy: None,
        trust_list: Some(snapshot.trust_list.digest()),
        directory: snapshot.generation.as_ref().map(|generation| generation.id().to_owned()),
    };
    Record::new(now, Event::Accepted(Box::new(acceptance))).of_message(incoming.id)
}

pub(super) fn recipients_of(
    gateway: &Gateway,
    snapshot: &Snapshot,
    incoming: &Incoming,
    now: Timestamp,
    records: &mut Vec<Record>,
) -> Vec<NewRecipient> {
    let mut recipients = Vec::new();
    for rcpt in &incoming.recipients {
        // A mailbox that is redirected inside the trusted space is relayed by the inner server's own rules
        // once it is delivered; here it is a mailbox of ours like any other.
        let recipient = NewRecipient {
            address: rcpt.address.clone(),
            destination: store::Destination::Inner(rcpt.address.domain().clone()),
            body: 0,
            notify: notify(rcpt.notify),
            orcpt: rcpt.orcpt.as_ref().map(|o| format!("{};{}", o.kind, o.address)),
            due: now,
        };
        let event = Event::Queued {
            destination: recipient.destination.to_string(),
            body: 0,
            due: now,
            expires: gateway.schedule.expires(now),
        };
        let party = gateway.masker.party(&rcpt.address);
        let admitted = Event::RecipientAdmitted {
            protection: "as-received".to_owned(),
            reasons: vec!["own-mailbox".to_owned()],
            directory: snapshot.directory_note(&rcpt.address),
            trust_list: Some(snapshot.trust_list.digest()),
        };
        records.push(Record::new(now, admitted).of_message(incoming.id).of_recipient(party.clone()));
        records.push(Record::new(now, event).of_message(incoming.id).of_recipient(party));
        recipients.push(recipient);
    }
    recipients
}

/// A colleague's message, sealed for our own domain: opened and judged as if it had come in.
pub(crate) fn from_ourselves(
    sealing: &Sealing<'_>,
    hand: &mut InHand,
    message: &Arc<dyn Source>,
    size: u64,
    recipients: &[Address],
) -> Result<(NewBody, BodyNotes, Option<Record>), Refusal> {
    let snapshot = sealing.snapshot;
    let opened = opened(sealing.gateway, snapshot, message, recipients, true).map_err(|fault| unopened(&fault))?;
    let ourselves = snapshot.tls.certificate();
    let sender = Some(&sealing.facts.from);
    let (judgement, record) =
        judged(sealing.gateway, snapshot, sealing.id, &opened, sender, recipients, ourselves, sealing.now)?;
    let head = mail::result_fields(&judgement, snapshot.config.server.hostname.as_str());
    let body = at_rest(sealing.gateway, hand, message, size, &opened)?;
    let readers =
        sealing.own.reading_certificate_at(sealing.now).map(|reader| reader.fingerprint()).into_iter().collect();
    Ok((body, BodyNotes { readers, head }, Some(record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(verdict: mail::Verdict, signature: mail::SignatureState) -> Judgement {
        Judgement {
            verdict,
            signature,
            from: Address::parse("dr@ch-exemple.test").unwrap(),
            bound_by: None,
            signer: None,
            operator: None,
            assurance: None,
            timestamp: None,
            author: None,
            reasons: Vec::new(),
        }
    }

    #[test]
    fn an_undetermined_signature_is_deferred() {
        let refusal = refused(&judgement(mail::Verdict::Undetermined, mail::SignatureState::Undetermined)).unwrap();
        assert_eq!((refusal.id, refusal.is_temporary()), (RefusalId::SignatureUndetermined, true));
    }

    #[test]
    fn a_refused_judgement_is_final_and_says_whether_the_signature_was_good() {
        let refusal = |signature| refused(&judgement(mail::Verdict::Refuse, signature)).unwrap();
        assert_eq!(refusal(mail::SignatureState::Valid).id, RefusalId::SignerNotBound);
        assert_eq!(refusal(mail::SignatureState::Invalid).id, RefusalId::SignatureInvalid);
        assert!(!refusal(mail::SignatureState::None).is_temporary());
        assert_eq!(refused(&judgement(mail::Verdict::Accept, mail::SignatureState::None)), None);
    }
}
