//! Outgoing: from a submitted message to sealed bodies in the queue.
//!
//! The whole message is judged once more with the world as it is at end of data; then one body
//! is made for each group of recipients who may share it, and everything is one transaction.

use std::{cell::RefCell, sync::Arc};

use ident::{Address, Domain, Timestamp};
use mail::{
    Assurance as Shown, AssuranceLevel, Facts, Group, Inside, SealFault, SealPlan, SealRequest, groups, received,
    source::{Letter, Room as _, Source},
};
use pki::{
    certificate::Certificate,
    cms::{Attribute, RsaTransport},
    identity::Identity,
};
use smtp::MailFrom;
use store::{Changes, Direction, Envelope, NewBody, NewMessage, NewRecipient, Repeat, Store as _};
use trail::{Acceptance, Event, QueueId, Record, SafeText};
use zeroize::Zeroizing;

use super::{
    REPEAT_WINDOW, Received, author, guarded,
    in_hand::{InHand, Writer},
    incoming, kept, storage, taken, technical, unreadable, unsealed,
};
use crate::{
    admission::{
        caller::{Caller, identify},
        content::{ContentDecision, admit_content, fits, size_on_the_wire},
        form::{self, Form, FormRule},
        recipient::{AdmittedRecipient, Destination, Protection},
        rights::{Assurance, Granted, right_to_send},
        strength,
    },
    events,
    gateway::Gateway,
    net::session::Peer,
    queued::{self, BodyNotes, Notes, Sealed, digest, limits, under_storage_key},
    refusal::{Refusal, RefusalId},
    rest::Spool,
    snapshot::{OwnDomain, Snapshot},
    submission::Wanted,
    trust::Bearer,
};

/// An admitted envelope.
pub struct Outgoing {
    /// Its queue id.
    pub id: QueueId,
    /// Who submits.
    pub caller: Caller,
    /// By which right.
    pub granted: Granted,
    /// MAIL.
    pub mail: MailFrom,
    /// RCPT, admitted.
    pub recipients: Vec<Wanted>,
    /// The connection.
    pub peer: Peer,
}

/// Judges, seals and stores. `Ok` means: on stable storage.
///
/// # Errors
/// The refusal for the whole message; nothing is queued then.
pub async fn accept(gateway: &Arc<Gateway>, outgoing: Outgoing, message: Spool) -> Result<QueueId, Refusal> {
    let worker = Arc::clone(gateway);
    let speaker = events::speaker(&gateway.masker, &outgoing.caller, Some(outgoing.granted.rule));
    let preparing = move || guarded(RefusalId::NotProcessed, || prepare(&worker, &outgoing, message));
    let prepared = gateway.compute(preparing).await.map_err(technical)??;
    let message = gateway.binder.bind(prepared).map_err(technical)?;
    let committed = gateway.store.commit(Changes::message(message)).await.map_err(|error| storage(&error))?;
    taken(gateway, &committed, speaker)
}

fn prepare(gateway: &Gateway, outgoing: &Outgoing, spool: Spool) -> Result<NewMessage, Refusal> {
    let snapshot = gateway.snapshot();
    let now = gateway.now();
    let spool: Arc<dyn Source> = Arc::new(spool);
    let arrived = Received::of(&*spool)?;
    let facts = mail::read_source(&*spool, &limits(&snapshot)).map_err(|fault| unreadable(&fault))?;
    let (caller, granted) = again(&snapshot, outgoing, now)?;
    let admitted: Vec<_> = outgoing.recipients.iter().map(|wanted| wanted.admitted.clone()).collect();
    let decision = admit_content(&snapshot, &granted, &admitted, &facts, arrived.size, now)?;
    let own = snapshot
        .own(granted.mailbox.domain())
        .ok_or_else(|| Refusal::new(RefusalId::SenderNotOurs, "domain left the configuration"))?;
    let author = author::check(&snapshot, &spool, &facts, &gateway.room(), now)?;
    let (finished, size) = finish(&snapshot, outgoing, &decision, (spool, arrived.size), own, now)?;
    let facts = mail::read_again(&finished, facts.eight_bit_body, &limits(&snapshot));
    let facts = facts.map_err(|fault| unreadable(&fault))?;
    let shown = shown(&caller, &granted);
    let sealing = Sealing {
        gateway,
        snapshot: &snapshot,
        own,
        id: outgoing.id,
        message: &finished,
        size,
        facts: &facts,
        assurance: Some(&shown),
        now,
        stamped: true,
        stamp_told: RefCell::default(),
    };
    let asked = outgoing.recipients.iter().map(|wanted| wanted.rcpt.clone());
    let wanted: Vec<_> =
        decision.recipients.into_iter().zip(asked).map(|(admitted, rcpt)| Wanted { admitted, rcpt }).collect();
    let (bodies, recipients, records) = sealing.bodies(&wanted)?;
    let bearer = Bearer::new(outgoing.peer.certificates()?, None);
    let mut all_records = vec![acceptance(gateway, outgoing, &caller, &facts, arrived, now)];
    all_records.extend(author.map(|(signed, judgement)| {
        let verdict = incoming::verdict(gateway, &signed, &judgement);
        Record::new(now, Event::Judged(Box::new(trail::Verdict { inner: None, ..verdict }))).of_message(outgoing.id)
    }));
    all_records.extend(records);
    Ok(NewMessage {
        id: outgoing.id,
        direction: direction(&recipients),
        envelope: envelope(&outgoing.mail),
        message_id: facts.message_id.clone(),
        digest: arrived.digest,
        size: arrived.size,
        accepted: now,
        expires: gateway.schedule.expires(now),
        repeat: facts.message_id.as_ref().map(|_| Repeat {
            sender: caller.certificate.fingerprint().to_string(),
            window: REPEAT_WINDOW,
            even_failed: false,
        }),
        notes: Notes::new(bodies.iter().map(|(_, notes)| notes.clone())).brought_by(bearer).to_json(),
        bodies: bodies.into_iter().map(|(body, _)| body).collect(),
        recipients,
        records: all_records,
    })
}

/// The certificate may have been revoked, and the right withdrawn, since MAIL.
fn again(snapshot: &Snapshot, outgoing: &Outgoing, now: Timestamp) -> Result<(Caller, Granted), Refusal> {
    let caller = identify(snapshot, outgoing.peer.certificates()?, now)?;
    let granted = right_to_send(snapshot, &caller, &outgoing.granted.mailbox, now)?;
    Ok((caller, granted))
}

/// The message as it will be sealed: what practice software left out, `Sender` of a delegate, trace.
fn finish(
    snapshot: &Snapshot,
    outgoing: &Outgoing,
    decision: &ContentDecision,
    (spool, octets): (Arc<dyn Source>, u64),
    own: &OwnDomain,
    now: Timestamp,
) -> Result<(Letter, u64), Refusal> {
    let missing = mail::clean::missing_fields(&*spool, now, outgoing.id.as_str(), &own.name, &limits(snapshot))
        .map_err(|fault| unreadable(&fault))?;
    let hostname = snapshot.config.server.hostname.as_str();
    let trace = trace(hostname, &outgoing.peer, outgoing.id, "ESMTPSA", now);
    let sender = decision.add_sender.as_ref().map(|sender| format!("Sender: {sender}\r\n")).unwrap_or_default();
    let head = Zeroizing::new([trace, sender, missing].concat().into_bytes());
    let size = octets.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
    Ok((Letter::new(head, spool, 0), size))
}

/// The `Received` field of a hop into this gateway.
pub(super) fn trace(hostname: &str, peer: &Peer, id: QueueId, with: &str, now: Timestamp) -> String {
    let tls = peer.tls.as_ref().map(|facts| format!("{} {}", facts.version, facts.cipher));
    received(&mail::Hop {
        hello: peer.hello.as_deref().unwrap_or("unknown"),
        peer: Some(peer.address.ip()),
        proven: None,
        tls: tls.as_deref(),
        by: hostname,
        with,
        id: id.as_str(),
        recipient: None,
        at: now,
    })
}

/// What readers are told about how we knew the author.
fn shown(caller: &Caller, granted: &Granted) -> Shown {
    let level = match &granted.assurance {
        Assurance::Authenticated { .. } => AssuranceLevel::Authenticated,
        Assurance::Delegated { .. } => AssuranceLevel::Delegated,
        Assurance::Organisation { .. } => AssuranceLevel::Organisation,
        Assurance::Vouched { .. } => AssuranceLevel::Vouched,
    };
    // What a clinician recognises; the serial number is in the trail.
    let how = match caller.identity {
        Identity::Person(_) => "carte CPS",
        Identity::Staff(_) => "carte de personnel",
        Identity::Organisation(_) | Identity::Server(_) => "certificat de structure",
    }
    .to_owned();
    Shown { level, who: format!("{} ({})", caller.name(), caller.identifier()), how }
}

fn direction(recipients: &[NewRecipient]) -> Direction {
    let inner = recipients.iter().all(|recipient| matches!(recipient.destination, store::Destination::Inner(_)));
    if inner { Direction::Internal } else { Direction::Outgoing }
}

pub(super) fn envelope(mail: &MailFrom) -> Envelope {
    Envelope {
        sender: mail.sender.clone(),
        smtputf8: mail.smtputf8,
        require_tls: mail.require_tls,
        ret: mail.ret.map(|ret| match ret {
            smtp::Ret::Full => store::Return::Full,
            smtp::Ret::Headers => store::Return::Headers,
        }),
        envid: mail.envid.clone(),
    }
}

pub(super) fn notify(asked: Option<smtp::Notify>) -> store::Notify {
    match asked {
        None => store::Notify::default(),
        Some(smtp::Notify::Never) => store::Notify { success: false, failure: false, delay: false },
        Some(smtp::Notify::On { success, failure, delay }) => store::Notify { success, failure, delay },
    }
}

fn acceptance(
    gateway: &Gateway,
    outgoing: &Outgoing,
    caller: &Caller,
    facts: &Facts,
    arrived: Received,
    now: Timestamp,
) -> Record {
    let snapshot = gateway.snapshot();
    let acceptance = Acceptance {
        direction: Direction::Outgoing,
        from: outgoing.mail.sender.as_ref().map(|sender| gateway.masker.party(sender)),
        author: None,
        message_id: facts.message_id.as_deref().map(|id| gateway.masker.text(id)),
        digest: arrived.digest,
        size: arrived.size,
        recipients: u32::try_from(outgoing.recipients.len()).unwrap_or(u32::MAX),
        connection: Some(events::connection(&gateway.masker, &outgoing.peer, "submission")),
        speaker: Some(events::speaker(&gateway.masker, caller, Some(outgoing.granted.rule))),
        policy: None,
        trust_list: Some(snapshot.trust_list.digest()),
        directory: snapshot.generation.as_ref().map(|generation| generation.id().to_owned()),
    };
    Record::new(now, Event::Accepted(Box::new(acceptance))).of_message(outgoing.id)
}

/// Making the bodies of one message.
pub(crate) struct Sealing<'a> {
    /// The gateway.
    pub(crate) gateway: &'a Gateway,
    /// The world.
    pub(crate) snapshot: &'a Snapshot,
    /// Domain that signs.
    pub(crate) own: &'a OwnDomain,
    /// Queue id.
    pub(crate) id: QueueId,
    /// The finished message.
    pub(crate) message: &'a Letter,
    /// Its octets.
    pub(crate) size: u64,
    /// Its header facts.
    pub(crate) facts: &'a Facts,
    /// How the author was known.
    pub(crate) assurance: Option<&'a Shown>,
    /// Now.
    pub(crate) now: Timestamp,
    /// Whether its signatures are stamped, where the configuration says so.
    pub(crate) stamped: bool,
    /// What came of the last one.
    pub(crate) stamp_told: RefCell<Option<SafeText>>,
}

type Bodies = (Vec<(NewBody, BodyNotes)>, Vec<NewRecipient>, Vec<Record>);

/// What recipients must have in common to share a body.
#[derive(Clone, PartialEq)]
struct Way {
    destination: Destination,
    protection: Protection,
}

impl Sealing<'_> {
    fn bodies(&self, all: &[Wanted]) -> Result<Bodies, Refusal> {
        let routed: Vec<_> = all
            .iter()
            .map(|wanted| mail::Routed {
                recipient: wanted.admitted.address.clone(),
                route: format!("{:?}", wanted.admitted.destination),
                protection: Way {
                    destination: wanted.admitted.destination.clone(),
                    protection: wanted.admitted.protection.clone(),
                },
            })
            .collect();
        let groups = groups(self.facts, &routed);
        self.bearable(&groups)?;
        let admitted: Vec<AdmittedRecipient> = all.iter().map(|wanted| wanted.admitted.clone()).collect();
        let weaker: Vec<&Address> = strength::weaker(&admitted).into_iter().map(|it| &it.address).collect();
        let mut hand = InHand::default();
        let (mut bodies, mut recipients, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let index = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
            let (body, notes, judged) = self.body(&mut hand, &group.protection, &group.recipients)?;
            records.push(self.sealed_record(index, &group.protection, &body, &notes));
            records.extend(judged);
            bodies.push((body, notes));
            for address in &group.recipients {
                let wanted = all.iter().find(|wanted| wanted.admitted.address.same_mailbox(address));
                let Some(wanted) = wanted else { continue };
                let recipient = NewRecipient {
                    address: address.clone(),
                    destination: destination(&group.protection.destination),
                    body: index,
                    notify: notify(wanted.rcpt.notify),
                    orcpt: wanted.rcpt.orcpt.as_ref().map(|o| format!("{};{}", o.kind, o.address)),
                    due: self.now,
                };
                records.push(self.admitted_record(address, wanted, weaker.contains(&address)));
                records.push(self.queued_record(&recipient));
                recipients.push(recipient);
            }
        }
        Ok((bodies, recipients, records))
    }

    /// Each blind copy is a body of its own: one large message must not fill the disk (A20).
    fn bearable(&self, groups: &[Group<Way>]) -> Result<(), Refusal> {
        let of = |group: &Group<Way>| size_on_the_wire(&group.protection.protection, self.size, self.facts);
        let all = groups.iter().map(of).fold(0, u64::saturating_add);
        if all <= self.snapshot.config.limits.copies.0 {
            return Ok(());
        }
        let cause = format!("{all} octets in {} separate copies", groups.len());
        Err(Refusal::new(RefusalId::TooLarge, cause).about(format_args!("{} copies", groups.len())))
    }

    fn body(
        &self,
        hand: &mut InHand,
        way: &Way,
        recipients: &[Address],
    ) -> Result<(NewBody, BodyNotes, Option<Record>), Refusal> {
        match (&way.protection, &way.destination) {
            (Protection::Transport, _) => {
                let (clean, size) = mail::clean::letter_for_sending(
                    Arc::new(self.message.clone()),
                    self.size,
                    self.snapshot.config.server.hostname.as_str(),
                    &limits(self.snapshot),
                )
                .map_err(|fault| unreadable(&fault))?;
                self.fits(recipients, size)?;
                Ok((under_storage_key(self.gateway, hand, &clean, size)?, BodyNotes::default(), None))
            }
            (Protection::Signed, _) => {
                let body = self.seal(SIGNED_ONLY, &[], recipients, |plan| {
                    let size = plan.size();
                    let signed = self.in_scratch(plan)?;
                    under_storage_key(self.gateway, hand, &*signed, size)
                })?;
                Ok((NewBody { profile: profile(SIGNED_ONLY), ..body }, BodyNotes::default(), None))
            }
            (Protection::Sealed { form, certificates }, Destination::Operator(domain)) => {
                self.snapshot.sealed_before.remember(domain).map_err(technical)?;
                let (body, notes) = self.sealed(hand, *form, certificates, recipients)?;
                Ok((body, notes, None))
            }
            // A colleague behind the same gateway: sealed, then taken in by the other door.
            (Protection::Sealed { form, certificates }, Destination::Own(_)) => {
                self.seal(way_of(*form), certificates, recipients, |plan| {
                    let size = plan.size();
                    let sealed = self.in_scratch(plan)?;
                    incoming::from_ourselves(self, hand, &sealed, size, recipients)
                })
            }
        }
    }

    /// The sealed message where it can be read again.
    fn in_scratch(&self, plan: SealPlan<'_>) -> Result<Arc<dyn Source>, Refusal> {
        let mut scratch = self.gateway.room().scratch(plan.size());
        plan.write(&mut *scratch).map_err(|fault| unsealed(&fault))?;
        scratch.into_source().map_err(|error| kept(error.kind()))
    }

    /// Whether what leaves is within the limit of the operator that it goes to.
    fn fits(&self, recipients: &[Address], becomes: u64) -> Result<(), Refusal> {
        let Some(first) = recipients.first() else { return Ok(()) };
        let most = self.snapshot.partners.get(first.domain()).and_then(|partner| partner.max_size);
        most.map_or(Ok(()), |most| fits(first, self.size, becomes, most.0))
    }

    /// Seals one body for another operator.
    pub(crate) fn sealed(
        &self,
        hand: &mut InHand,
        form: Form,
        certificates: &[Certificate],
        recipients: &[Address],
    ) -> Result<(NewBody, BodyNotes), Refusal> {
        let body = NewBody {
            content: store::BodyContent::Bytes(Vec::new()),
            protection: store::Protection::Sealed,
            profile: profile(way_of(form)),
            content_key: None,
            inner: None,
        };
        let body = self.seal(way_of(form), certificates, recipients, |plan| {
            let (header, size) = (plan.header().to_vec(), plan.size());
            let mut plan = Some(plan);
            let write: Writer<'_> = &mut |out| plan.take().map_or(Ok(()), |plan| plan.write(out));
            queued::sealed(self.gateway, hand, Sealed { header: &header, size, content_key: None, write }, body)
        })?;
        let notes =
            BodyNotes { readers: certificates.iter().map(Certificate::fingerprint).collect(), head: String::new() };
        Ok((body, notes))
    }

    /// Signs, and hands over what is ready to be written.
    fn seal<T>(
        &self,
        (sealing, transport): (mail::Profile, RsaTransport),
        certificates: &[Certificate],
        recipients: &[Address],
        write: impl FnOnce(SealPlan<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let to: Vec<&Certificate> = certificates.iter().collect();
        // Our peers keep our checkpoints: nobody can write another history later (design §4).
        let extra: Vec<_> =
            self.gateway.checkpoints.ours().map(|note| mail::attributes::checkpoint(&note)).into_iter().collect();
        let signer = self.own.signing_at(self.now).ok_or_else(|| technical("the domain has no signing key"))?;
        let request = SealRequest {
            message: self.message,
            recipients,
            signer: signer.as_ref(),
            to: &to,
            profile: sealing,
            inside: Inside::Binary,
            at: self.now,
            assurance: self.assurance,
            extra: &extra,
            authserv_id: self.snapshot.config.server.hostname.as_str(),
            subject: &self.snapshot.config.seal.subject,
            limits: &limits(self.snapshot),
        };
        let stamp = |signature: &[u8]| self.stamp(signature);
        let plan = SealPlan::stamped(&request, self.facts, transport, &stamp).map_err(|fault| unsealed(&fault))?;
        self.fits(recipients, plan.size())?;
        write(plan)
    }

    /// A time stamp for a signature, where one is wanted; what came of it goes into the trail.
    fn stamp(&self, signature: &[u8]) -> Result<Option<Attribute>, SealFault> {
        let Some(stamps) = self.snapshot.stamps.as_ref().filter(|stamps| stamps.asks() && self.stamped) else {
            return Ok(None);
        };
        let (attribute, told) = match stamps.stamp(self.gateway, signature, self.now) {
            Ok(token) => {
                let stamp = token.stamp();
                (Some(token.attribute()), format!("{} by {}", stamp.at.rfc3339(), stamp.signer.subject()))
            }
            Err(why) if stamps.is_required() => return Err(SealFault::Stamp(why)),
            Err(why) => {
                tracing::warn!(why, "no time stamp: sealed without");
                (None, format!("none, {why}"))
            }
        };
        self.stamp_told.replace(Some(self.gateway.masker.text(&told)));
        Ok(attribute)
    }

    fn sealed_record(&self, index: u32, way: &Way, body: &NewBody, notes: &BodyNotes) -> Record {
        let (size, hash) = match &body.content {
            store::BodyContent::Bytes(bytes) => (bytes.len(), digest(bytes)),
            store::BodyContent::Staged(staged) => (usize::try_from(staged.size).unwrap_or(usize::MAX), staged.digest),
        };
        let (word, signed) = match way.protection {
            Protection::Sealed { .. } => ("sealed", true),
            Protection::Signed => ("signed", true),
            Protection::Transport => ("storage-key", false),
        };
        let event = Event::Sealed {
            body: index,
            protection: word.to_owned(),
            profile: body.profile.clone(),
            digest: hash,
            size: u64::try_from(size).unwrap_or(u64::MAX),
            signer: self.own.signing_at(self.now).filter(|_| signed).map(|key| key.certificate().fingerprint()),
            readers: notes.readers.clone(),
            stamp: self.stamp_told.take(),
        };
        Record::new(self.now, event).of_message(self.id)
    }

    fn admitted_record(&self, address: &Address, wanted: &Wanted, weaker: bool) -> Record {
        let weaker = weaker.then(|| strength::WEAKER.to_owned());
        let told = wanted.admitted.form_rule.as_ref().is_some_and(FormRule::is_told).then(|| form::TOLD.to_owned());
        let event = Event::RecipientAdmitted {
            protection: match wanted.admitted.protection {
                Protection::Sealed { .. } => "sealed",
                Protection::Signed => "signed",
                Protection::Transport => "mutual-tls",
            }
            .to_owned(),
            reasons: std::iter::once(wanted.admitted.rule.to_owned()).chain(told).chain(weaker).collect(),
            directory: self.snapshot.directory_note(address),
            trust_list: Some(self.snapshot.trust_list.digest()),
        };
        Record::new(self.now, event).of_message(self.id).of_recipient(self.gateway.masker.party(address))
    }

    /// A recipient that waits.
    pub(crate) fn queued_record(&self, recipient: &NewRecipient) -> Record {
        let event = Event::Queued {
            destination: recipient.destination.to_string(),
            body: recipient.body,
            due: recipient.due,
            expires: self.gateway.schedule.expires(self.now),
        };
        Record::new(self.now, event).of_message(self.id).of_recipient(self.gateway.masker.party(&recipient.address))
    }
}

/// How a message is signed that is not encrypted.
const SIGNED_ONLY: (mail::Profile, RsaTransport) = (mail::Profile::SignedOnly, RsaTransport::OaepSha256);

const fn way_of(form: Form) -> (mail::Profile, RsaTransport) {
    (form.profile.of_mail(), form.transport)
}

fn profile((profile, _): (mail::Profile, RsaTransport)) -> Option<String> {
    Some(format!("{profile:?}").to_lowercase())
}

/// The way in the words of the queue.
pub(crate) fn destination(destination: &Destination) -> store::Destination {
    let domain: &Domain = match destination {
        Destination::Own(domain) => return store::Destination::Inner(domain.clone()),
        Destination::Operator(domain) => domain,
    };
    store::Destination::Relay(domain.clone())
}
