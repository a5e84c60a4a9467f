//! News for the sender: failure, delay, success if asked for (RFC 3461, RFC 3464).
//!
//! A notice rests and travels like any message: under the storage key for our own users, sealed
//! and signed by the domain for another operator. About a message without sender there is none.

use std::sync::Arc;

use ident::{Address, Bilingual, Domain, Timestamp};
use mail::{
    Assurance, AssuranceLevel,
    dsn::{self, Action, Notice, Reported},
};
use store::{Direction, Envelope, NewBody, NewMessage, NewRecipient, Recipient, Step, Work};
use trail::{Acceptance, Event, NotificationKind, QueueId, Record};

use super::outcome::{Attempt, End, last_reason};
use crate::{
    admission::recipient::{Destination, Protection, admit_recipient},
    gateway::Gateway,
    intake::in_hand::InHand,
    intake::outgoing::{Sealing, destination},
    quarantine,
    queued::{self, BodyNotes, Notes, digest, limits, under_storage_key},
    refusal::RefusalId,
    snapshot::{OwnDomain, Snapshot},
};

/// One piece of news about one recipient.
pub(super) struct News {
    recipient: Recipient,
    reported: Reported,
}

impl News {
    /// What this end means for the sender, if anything.
    pub(super) fn of(
        work: &Work,
        recipient: &Recipient,
        end: &End,
        step: &Step,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Option<Self> {
        let wants = recipient.notify;
        let (action, text) = match (end, step) {
            (End::Delivered(reply), _) if wants.success => (handed_over(work, attempt)?, Some(reply.clone())),
            (End::Permanent { text, .. }, _) if wants.failure => (Action::Failed, Some(text.clone())),
            (End::Expired, _) if wants.failure => (Action::Failed, last_reason(recipient)),
            (End::Temporary { text, .. } | End::Waiting { text, .. }, Step::Deferred { noticed: true, .. }) => {
                (Action::Delayed, Some(text.clone()))
            }
            _ => return None,
        };
        let next_attempt = match step {
            Step::Deferred { due, .. } => Some(*due),
            _ => None,
        };
        // How our house is built is nobody's affair outside: not its servers, nor their words, nor where a
        // mailbox is redirected. The trail has them.
        let inside = matches!(work.destination, store::Destination::Inner(_));
        let remote = attempt.facts.host.clone().or_else(|| attempt.facts.address.clone());
        let reported = Reported {
            recipient: recipient.address.clone(),
            original: recipient.orcpt.clone(),
            action,
            status: status(action, end),
            remote: remote.filter(|_| !inside),
            reply: if inside { text.as_deref().map(codes).filter(|codes| !codes.is_empty()) } else { text },
            advice: advice(action, end),
            last_attempt: Some(now),
            next_attempt,
            retry_until: (action == Action::Delayed).then_some(match end {
                End::Waiting { until, .. } => work.info.expires.min(*until),
                _ => work.info.expires,
            }),
        };
        Some(Self { recipient: recipient.clone(), reported })
    }
}

/// The codes at the start of a reply.
fn codes(reply: &str) -> String {
    let code = |word: &&str| word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    reply.split([' ', '-']).take(2).take_while(code).collect::<Vec<_>>().join(" ")
}

/// What success means here: in the mailbox, or handed to somebody who will not report (DS6).
fn handed_over(work: &Work, attempt: &Attempt) -> Option<Action> {
    match work.destination {
        store::Destination::Inner(_) => Some(Action::Delivered),
        _ if attempt.peer_reports => None,
        _ => Some(Action::Relayed),
    }
}

fn status(action: Action, end: &End) -> (u8, u16, u16) {
    match (action, end) {
        (Action::Failed, End::Expired) => (5, 4, 7),
        (Action::Failed, End::Permanent { status: Some(status), .. }) => *status,
        (Action::Failed, _) => (5, 0, 0),
        (Action::Delayed, _) => (4, 4, 7),
        _ => (2, 0, 0),
    }
}

fn advice(action: Action, end: &End) -> Bilingual {
    match (action, end) {
        (Action::Failed, End::Expired) => Bilingual::new(
            "Le message n'a pas pu être remis à temps. Prévenez le destinataire par un autre moyen, puis renvoyez-le.",
            "The message could not be delivered in time. Reach the recipient by other means, then send it again.",
        ),
        (Action::Failed, End::Permanent { code, .. }) if code.starts_with("recipient-certificate") => Bilingual::new(
            "Le certificat pour lequel le message était chiffré n'est plus valable. Renvoyez le message : il sera chiffré avec le certificat actuel.",
            "The certificate that the message was sealed for is no longer valid. Send it again: it will be sealed with the current one.",
        ),
        (Action::Failed, End::Permanent { code, .. }) if code == super::relay::NOW_SEALED => Bilingual::new(
            "Le domaine du destinataire exige maintenant des messages chiffrés, et celui-ci avait été accepté avant. Renvoyez-le : il sera chiffré.",
            "The recipient's domain now takes sealed messages only, and this one was taken before. Send it again: it will be sealed.",
        ),
        (Action::Failed, End::Permanent { code, .. }) if *code == quarantine::REFUSED => Bilingual::new(
            "Le message n'a pas pu être lu à l'arrivée, sans doute parce qu'il était chiffré pour une ancienne clé. Renvoyez-le : il sera chiffré avec le certificat actuel.",
            "The message could not be read on arrival, perhaps because it was sealed for an old key. Send it again: it will be sealed with the current certificate.",
        ),
        (Action::Failed, End::Permanent { code, .. }) if *code == RefusalId::OutsideTrustedSpace.row().id => {
            Bilingual::new(
                "Le domaine du destinataire n'est plus sur la liste blanche de l'espace de confiance : rien ne lui a été envoyé. Cherchez une autre adresse dans l'annuaire, ou prévenez le destinataire par un autre moyen.",
                "The recipient's domain is no longer on the trust list: nothing was sent to it. Look for another address in the directory, or reach the recipient by other means.",
            )
        }
        (Action::Failed, End::Permanent { code, .. }) if *code == RefusalId::Blocked.row().id => Bilingual::new(
            "Les échanges avec ce correspondant sont bloqués par mesure d'urgence : rien ne lui a été envoyé. Prévenez-le par un autre moyen et appelez l'aide indiquée.",
            "Exchange with this correspondent is blocked as an emergency measure: nothing was sent. Reach them by other means, and call the help given.",
        ),
        (Action::Delayed, End::Waiting { code, .. }) if *code == RefusalId::DomainWaiting.row().id => Bilingual::new(
            "Le domaine du destinataire vient de quitter la liste blanche avec beaucoup d'autres, sans doute par erreur : le message attend une vérification et partira de lui-même si le domaine revient. N'envoyez pas de copie ; si c'est urgent, téléphonez.",
            "The recipient's domain has just left the trust list together with many others, perhaps by mistake: the message waits for a second look and leaves by itself if the domain comes back. Do not send a copy; if it is urgent, telephone.",
        ),
        (Action::Delayed, End::Waiting { .. }) => Bilingual::new(
            "Les échanges avec ce correspondant sont suspendus par mesure d'urgence : le message attend. N'envoyez pas de copie ; si c'est urgent, téléphonez.",
            "Exchange with this correspondent is suspended as an emergency measure: the message waits. Do not send a copy; if it is urgent, telephone.",
        ),
        (Action::Failed, _) => Bilingual::new(
            "Le serveur du destinataire a refusé le message. Vérifiez l'adresse dans l'annuaire, puis renvoyez-le.",
            "The recipient's server refused the message. Check the address in the directory, then send it again.",
        ),
        (Action::Delayed, _) => Bilingual::new(
            "Le message attend : il sera présenté de nouveau automatiquement. N'envoyez pas de copie ; si c'est urgent, téléphonez.",
            "The message is waiting: it will be tried again automatically. Do not send a copy; if it is urgent, telephone.",
        ),
        _ => Bilingual::new("Le message est arrivé.", "The message has arrived."),
    }
}

fn kind(action: Action) -> NotificationKind {
    match action {
        Action::Failed => NotificationKind::Failed,
        Action::Delayed => NotificationKind::Delayed,
        Action::Delivered => NotificationKind::Delivered,
        Action::Relayed | Action::Expanded => NotificationKind::Relayed,
    }
}

/// Writes one notice for all the news of an attempt; `None` when there is nobody to tell.
///
/// # Errors
/// Why somebody cannot be told.
pub(super) async fn write(
    gateway: &Arc<Gateway>,
    work: &Work,
    news: Vec<News>,
    now: Timestamp,
) -> Result<Option<(NewMessage, Vec<Record>)>, String> {
    let Some(sender) = work.info.envelope.sender.clone().filter(|_| !news.is_empty()) else { return Ok(None) };
    // Only the header is used, and nothing at all for whoever a changed row now says to write to.
    let original = match gateway.binder.holds(work) {
        true => queued::as_sent(gateway, work).await.ok(),
        false => None,
    };
    let limits = limits(&gateway.snapshot());
    let original = original.and_then(|load| mail::source::header(&*load.source, &limits).ok()).unwrap_or_default();
    let (worker, work) = (Arc::clone(gateway), work.clone());
    let written = gateway
        .compute(move || {
            Writer { gateway: &worker, snapshot: &worker.snapshot(), work: &work, sender: &sender, now }
                .notice(&news, &original)
        })
        .await;
    written?.map(Some)
}

impl News {
    /// For the trail: what became of this recipient is settled, and the sender does not know. A delay is told
    /// by the next attempt.
    pub(super) fn untold(&self, gateway: &Gateway, work: &Work, why: &str, now: Timestamp) -> Option<Record> {
        let kind = kind(self.reported.action);
        if kind == NotificationKind::Delayed {
            return None;
        }
        let suppressed = Some(gateway.masker.text(why).to_string());
        let event = Event::NotificationSent { kind, notification: None, suppressed };
        let party = gateway.masker.party(&self.recipient.address);
        Some(Record::new(now, event).of_message(work.info.id).of_recipient(party))
    }
}

struct Writer<'a> {
    gateway: &'a Gateway,
    snapshot: &'a Snapshot,
    work: &'a Work,
    sender: &'a Address,
    now: Timestamp,
}

impl Writer<'_> {
    fn notice(&self, news: &[News], original: &[u8]) -> Result<(NewMessage, Vec<Record>), String> {
        let own = self.speaking_domain(news).ok_or("none of our domains is concerned")?;
        let id = self.gateway.queue_id();
        let from = Address::parse(&format!("postmaster@{}", own.name)).map_err(|error| error.to_string())?;
        let reported: Vec<Reported> = news.iter().map(|piece| piece.reported.clone()).collect();
        let hostname = self.snapshot.config.server.hostname.as_str();
        let text = dsn::write(&Notice {
            reporting: hostname,
            from: &from,
            sender: Some(self.sender),
            unique: id.as_str(),
            at: self.now,
            arrived: self.work.info.accepted,
            envelope_id: self.work.info.envelope.envid.as_deref(),
            original,
            help: Some(&self.snapshot.config.operator.help),
            recipients: &reported,
        })
        .ok_or("there is nobody to tell")?;
        let message = self.gateway.binder.bind(self.queue(own, id, &text)?).map_err(|error| error.to_string())?;
        let records = news.iter().map(|piece| self.sent_record(piece, id)).collect();
        Ok((message, records))
    }

    /// Who speaks: the sender's domain if it is ours, else that of the recipient who failed.
    fn speaking_domain(&self, news: &[News]) -> Option<&OwnDomain> {
        let concerned =
            std::iter::once(self.sender.domain()).chain(news.iter().map(|piece| piece.recipient.address.domain()));
        concerned.filter_map(|domain: &Domain| self.snapshot.own(domain)).next()
    }

    fn queue(&self, own: &OwnDomain, id: QueueId, text: &[u8]) -> Result<NewMessage, String> {
        let facts = mail::read(text, &limits(self.snapshot)).map_err(|fault| fault.to_string())?;
        let (body, notes, way) = self.body(own, id, text, &facts)?;
        let recipient = NewRecipient {
            address: self.sender.clone(),
            destination: way,
            body: 0,
            // A notice about a notice would be a loop (DS2, LP5).
            notify: store::Notify { success: false, failure: false, delay: false },
            orcpt: None,
            due: self.now,
        };
        let inner = matches!(recipient.destination, store::Destination::Inner(_));
        let direction = if inner { Direction::Internal } else { Direction::Outgoing };
        let acceptance = Acceptance {
            direction,
            from: None,
            author: Some(self.gateway.masker.party(&facts.from)),
            message_id: facts.message_id.as_deref().map(|id| self.gateway.masker.text(id)),
            digest: digest(text),
            size: u64::try_from(text.len()).unwrap_or(u64::MAX),
            recipients: 1,
            connection: None,
            speaker: None,
            policy: None,
            trust_list: None,
            directory: None,
        };
        let expires = self.gateway.schedule.expires(self.now);
        let queued = Event::Queued { destination: recipient.destination.to_string(), body: 0, due: self.now, expires };
        let queued = Record::new(self.now, queued).of_message(id).of_recipient(self.gateway.masker.party(self.sender));
        Ok(NewMessage {
            id,
            direction,
            envelope: Envelope::default(),
            message_id: facts.message_id.clone(),
            digest: digest(text),
            size: u64::try_from(text.len()).unwrap_or(u64::MAX),
            accepted: self.now,
            expires,
            repeat: None,
            bodies: vec![body],
            recipients: vec![recipient],
            notes: Notes::new([notes]).to_json(),
            records: vec![Record::new(self.now, Event::Accepted(Box::new(acceptance))).of_message(id), queued],
        })
    }

    fn body(
        &self,
        own: &OwnDomain,
        id: QueueId,
        text: &[u8],
        facts: &mail::Facts,
    ) -> Result<(NewBody, BodyNotes, store::Destination), String> {
        let at_rest = |way| {
            let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
            under_storage_key(self.gateway, &mut InHand::default(), &text, size)
                .map(|body| (body, BodyNotes::default(), way))
                .map_err(|refusal| refusal.to_string())
        };
        if let Some(domain) = self.snapshot.own(self.sender.domain()) {
            return at_rest(store::Destination::Inner(domain.name.clone()));
        }
        let admitted = admit_recipient(self.snapshot, self.sender, self.now).map_err(|refusal| refusal.to_string())?;
        let way = destination(&Destination::Operator(self.sender.domain().clone()));
        match &admitted.protection {
            // A notice says nothing of what was written.
            Protection::Transport | Protection::Signed => at_rest(way),
            Protection::Sealed { form, certificates } => {
                let assurance = Assurance {
                    level: AssuranceLevel::System,
                    who: self.snapshot.config.operator.name.clone(),
                    how: self.snapshot.config.server.hostname.to_string(),
                };
                let sealing = Sealing {
                    gateway: self.gateway,
                    snapshot: self.snapshot,
                    own,
                    id,
                    message: &mail::source::Letter::of(zeroize::Zeroizing::new(text.to_vec())),
                    size: u64::try_from(text.len()).unwrap_or(u64::MAX),
                    facts,
                    assurance: Some(&assurance),
                    now: self.now,
                    // A notice proves nothing that would need a witness.
                    stamped: false,
                    stamp_told: std::cell::RefCell::default(),
                };
                let (body, notes) = sealing
                    .sealed(&mut InHand::default(), *form, certificates, std::slice::from_ref(self.sender))
                    .map_err(|refusal| refusal.to_string())?;
                Ok((body, notes, way))
            }
        }
    }

    fn sent_record(&self, piece: &News, id: QueueId) -> Record {
        let kind = kind(piece.reported.action);
        Record::new(self.now, Event::NotificationSent { kind, notification: Some(id), suppressed: None })
            .of_message(self.work.info.id)
            .of_recipient(self.gateway.masker.party(&piece.recipient.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_inner_reply_only_the_codes_leave_the_house() {
        for (reply, codes_of_it) in [
            ("550 5.1.1 <u4711@interne.ch-exemple.test> unknown at store3", "550 5.1.1"),
            ("452-4.2.2 mailbox full", "452 4.2.2"),
            ("550 no such user", "550"),
            ("unreachable: 10.0.0.7:24", ""),
        ] {
            assert_eq!(codes(reply), codes_of_it);
        }
    }
}
