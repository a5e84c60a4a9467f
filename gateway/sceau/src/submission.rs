//! The submission door (RFC 6409): practice software and our own inner mail servers.

use std::sync::Arc;

use ident::Address;
use smtp::{MailFrom, RcptTo};
use trail::{Event, QueueId, Record, SafeText, Speaker};

use crate::{
    admission::{
        caller::{Caller, identify},
        content::check_announced,
        recipient::{AdmittedRecipient, admit_recipient},
        rights::{Granted, right_to_send},
    },
    events,
    gateway::Gateway,
    intake::{
        outgoing::{self, Outgoing},
        storage, technical,
    },
    knocks::Knocks,
    net::session::{Door, Peer},
    refusal::{Refusal, RefusalId},
    rest::Spool,
};

/// One session's view of the door.
pub struct Submission {
    gateway: Arc<Gateway>,
    transaction: Option<Transaction>,
}

/// What MAIL and RCPT have established.
struct Transaction {
    caller: Caller,
    granted: Granted,
    mail: MailFrom,
    recipients: Vec<Wanted>,
}

/// An admitted recipient with what was asked for it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The decision.
    pub admitted: AdmittedRecipient,
    /// The RCPT command.
    pub rcpt: RcptTo,
}

impl Submission {
    /// A door for a fresh session.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, transaction: None }
    }

    /// Who is there, now. Whoever connects decides how much work their certificates are, so it is done
    /// where it may take its time.
    async fn identify(&self, peer: &Peer) -> Result<Caller, Refusal> {
        let (snapshot, now) = (self.gateway.snapshot(), self.gateway.now());
        let chain = peer.certificates()?.to_vec();
        self.gateway.compute(move || identify(&snapshot, &chain, now)).await.map_err(technical)?
    }

    async fn begin(&self, peer: &Peer, mail: &MailFrom) -> Result<Transaction, Refusal> {
        let caller = self.identify(peer).await?;
        let snapshot = self.gateway.snapshot();
        let from =
            mail.sender.as_ref().ok_or_else(|| Refusal::new(RefusalId::NullSender, "MAIL FROM:<> at submission"))?;
        let most = snapshot.config.limits.message.0;
        if let Some(size) = mail.size.filter(|size| *size > most) {
            let figures = format!("{size} octets announced, {most} at most");
            return Err(Refusal::new(RefusalId::TooLarge, figures.clone()).about(figures));
        }
        let granted = right_to_send(&snapshot, &caller, from, self.gateway.now())?;
        snapshot.unblocked(from, self.gateway.now())?;
        Ok(Transaction { caller, granted, mail: mail.clone(), recipients: Vec::new() })
    }

    fn speaker(&self, transaction: &Transaction) -> Speaker {
        events::speaker(&self.gateway.masker, &transaction.caller, Some(transaction.granted.rule))
    }
}

impl Door for Submission {
    async fn authenticate(&mut self, peer: &Peer, identity: Option<&str>) -> Result<(), Refusal> {
        let caller = self.identify(peer).await?;
        let snapshot = self.gateway.snapshot();
        match identity.filter(|identity| !identity.is_empty()) {
            None => Ok(()),
            Some(identity) if identity == caller.identifier() => Ok(()),
            Some(identity) => match Address::parse(identity) {
                Ok(address) => right_to_send(&snapshot, &caller, &address, self.gateway.now()).map(|_| ()),
                Err(_) => Err(Refusal::new(
                    RefusalId::NotYourAddress,
                    format!("{} asked to be somebody else", caller.describe()),
                )),
            },
        }
    }

    async fn mail(&mut self, peer: &Peer, mail: &MailFrom) -> Result<(), Refusal> {
        self.transaction = None;
        self.gateway.ready().map_err(|error| storage(&error))?;
        let transaction = self.begin(peer, mail).await?;
        let connection = events::connection(&self.gateway.masker, peer, "submission");
        let speaker = self.speaker(&transaction);
        self.gateway.record(Record::new(self.gateway.now(), Event::Authenticated { connection, speaker }));
        self.transaction = Some(transaction);
        Ok(())
    }

    async fn recipient(&mut self, _peer: &Peer, recipient: &RcptTo) -> Result<(), Refusal> {
        let (snapshot, now, address) = (self.gateway.snapshot(), self.gateway.now(), recipient.address.clone());
        // Certificates of the book are judged here.
        let admitted = self.gateway.compute(move || admit_recipient(&snapshot, &address, now));
        let admitted = admitted.await.map_err(technical)??;
        let transaction = self.transaction.as_mut().ok_or_else(no_transaction)?;
        check_announced(&admitted, transaction.mail.size)?;
        transaction.recipients.push(Wanted { admitted, rcpt: recipient.clone() });
        Ok(())
    }

    async fn message(&mut self, peer: &Peer, message: Spool) -> Result<QueueId, Refusal> {
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        let outgoing = Outgoing {
            id: self.gateway.queue_id(),
            caller: transaction.caller.clone(),
            granted: transaction.granted.clone(),
            mail: transaction.mail.clone(),
            recipients: transaction.recipients.clone(),
            peer: peer.clone(),
        };
        let outcome = outgoing::accept(&self.gateway, outgoing, message).await;
        if let Err(refusal) = &outcome {
            let speaker = Some(self.speaker(&transaction));
            self.gateway.record(Record::new(
                self.gateway.now(),
                Event::ContentRefused {
                    from: self.party(transaction.mail.sender.as_ref()),
                    message_id: None,
                    speaker,
                    refusal: events::refusal(&self.gateway, refusal),
                },
            ));
        }
        outcome
    }

    fn refused(&mut self, peer: &Peer, refusal: &Refusal) {
        if self.transaction.is_none() && Knocks::concerns_a_stranger(refusal.id) {
            // No line in the log for each of them either: anybody can cause them.
            self.gateway.knocks.count(peer.address.ip(), "submission", refusal, self.gateway.now());
            return;
        }
        tracing::info!(peer = %peer.address, reason = refusal.id.row().id, "submission refused");
        let told = events::refusal(&self.gateway, refusal);
        let event = match &self.transaction {
            Some(transaction) => Event::RecipientRefused {
                from: self.party(transaction.mail.sender.as_ref()),
                speaker: Some(self.speaker(transaction)),
                refusal: told,
            },
            None => Event::AuthenticationRefused {
                connection: events::connection(&self.gateway.masker, peer, "submission"),
                certificate: peer
                    .certificates()
                    .ok()
                    .and_then(<[_]>::first)
                    .map(pki::certificate::Certificate::fingerprint),
                refusal: told,
            },
        };
        self.gateway.record(Record::new(self.gateway.now(), event));
    }

    fn reset(&mut self) {
        self.transaction = None;
    }
}

impl Submission {
    fn party(&self, address: Option<&Address>) -> Option<trail::Party> {
        address.map(|address| self.gateway.masker.party(address))
    }
}

/// The state machine does not let this happen; if it did, nothing is accepted.
fn no_transaction() -> Refusal {
    Refusal::new(RefusalId::StorageUnavailable, SafeText::of("no transaction").to_string())
}
