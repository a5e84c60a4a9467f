//! The exchange door: other operators of the trusted space.

use std::sync::Arc;

use ident::Address;
use pki::certificate::Certificate;
use smtp::{MailFrom, RcptTo};
use trail::{Event, QueueId, Record};

use crate::{
    admission::{
        caller::identify_operator,
        exchange::{admit_recipient, admit_sender, admit_size},
    },
    events,
    gateway::Gateway,
    intake::{
        incoming::{self, Incoming},
        storage, technical,
    },
    knocks::Knocks,
    net::session::{Door, Peer},
    refusal::{Refusal, RefusalId},
    rest::Spool,
};

/// One session's view of the door.
pub struct Exchange {
    gateway: Arc<Gateway>,
    transaction: Option<Transaction>,
}

struct Transaction {
    operator: Certificate,
    mail: MailFrom,
    recipients: Vec<RcptTo>,
}

impl Exchange {
    /// A door for a fresh session.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, transaction: None }
    }

    fn party(&self, address: Option<&Address>) -> Option<trail::Party> {
        address.map(|address| self.gateway.masker.party(address))
    }

    /// Who is there, now. Whoever connects decides how much work their certificates are, so it is done
    /// where it may take its time.
    async fn identify(&self, peer: &Peer) -> Result<Certificate, Refusal> {
        let (snapshot, now) = (self.gateway.snapshot(), self.gateway.now());
        let chain = peer.certificates()?.to_vec();
        self.gateway.compute(move || identify_operator(&snapshot, &chain, now)).await.map_err(technical)?
    }
}

impl Door for Exchange {
    async fn authenticate(&mut self, peer: &Peer, identity: Option<&str>) -> Result<(), Refusal> {
        let operator = self.identify(peer).await?;
        match identity {
            None | Some("") => Ok(()),
            // An operator is its certificate and nobody else.
            Some(_) => {
                Err(Refusal::new(RefusalId::NotYourAddress, format!("{} asked to be somebody", operator.subject())))
            }
        }
    }

    async fn mail(&mut self, peer: &Peer, mail: &MailFrom) -> Result<(), Refusal> {
        self.transaction = None;
        self.gateway.ready().map_err(|error| storage(&error))?;
        let operator = self.identify(peer).await?;
        let snapshot = self.gateway.snapshot();
        admit_sender(&snapshot, &operator, mail.sender.as_ref(), self.gateway.now())?;
        if mail.size.is_some_and(|size| size > incoming::limit(&snapshot)) {
            return Err(Refusal::new(RefusalId::TooLarge, "SIZE announced"));
        }
        if let (Some(sender), Some(size)) = (&mail.sender, mail.size) {
            admit_size(&snapshot, sender, size)?;
        }
        let connection = events::connection(&self.gateway.masker, peer, "exchange");
        let speaker = events::operator(&self.gateway.masker, &operator);
        self.gateway.record(Record::new(self.gateway.now(), Event::Authenticated { connection, speaker }));
        self.transaction = Some(Transaction { operator, mail: mail.clone(), recipients: Vec::new() });
        Ok(())
    }

    async fn recipient(&mut self, _peer: &Peer, recipient: &RcptTo) -> Result<(), Refusal> {
        let snapshot = self.gateway.snapshot();
        let transaction = self.transaction.as_mut().ok_or_else(no_transaction)?;
        admit_recipient(&snapshot, &recipient.address, self.gateway.now())?;
        if transaction.mail.sender.is_none() && !transaction.recipients.is_empty() {
            // A report concerns one message of one sender (design §3).
            return Err(Refusal::new(RefusalId::TooManyRecipients, "null sender with several recipients"));
        }
        transaction.recipients.push(recipient.clone());
        Ok(())
    }

    async fn message(&mut self, peer: &Peer, message: Spool) -> Result<QueueId, Refusal> {
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        let from = self.party(transaction.mail.sender.as_ref());
        let speaker = events::operator(&self.gateway.masker, &transaction.operator);
        let incoming = Incoming {
            id: self.gateway.queue_id(),
            operator: transaction.operator,
            mail: transaction.mail,
            recipients: transaction.recipients,
            peer: peer.clone(),
        };
        let outcome = incoming::accept(&self.gateway, incoming, message).await;
        if let Err(refusal) = &outcome {
            tracing::info!(peer = %peer.address, reason = refusal.id.row().id, "message refused");
            let refusal = events::refusal(&self.gateway, refusal);
            let event = Event::ContentRefused { from, message_id: None, speaker: Some(speaker), refusal };
            self.gateway.record(Record::new(self.gateway.now(), event));
        }
        outcome
    }

    fn refused(&mut self, peer: &Peer, refusal: &Refusal) {
        if self.transaction.is_none() && Knocks::concerns_a_stranger(refusal.id) {
            // No line in the log for each of them either: anybody can cause them.
            self.gateway.knocks.count(peer.address.ip(), "exchange", refusal, self.gateway.now());
            return;
        }
        tracing::info!(peer = %peer.address, reason = refusal.id.row().id, "exchange refused");
        let told = events::refusal(&self.gateway, refusal);
        let event = match &self.transaction {
            Some(transaction) => Event::RecipientRefused {
                from: self.party(transaction.mail.sender.as_ref()),
                speaker: Some(events::operator(&self.gateway.masker, &transaction.operator)),
                refusal: told,
            },
            None => Event::AuthenticationRefused {
                connection: events::connection(&self.gateway.masker, peer, "exchange"),
                certificate: peer.certificates().ok().and_then(<[_]>::first).map(Certificate::fingerprint),
                refusal: told,
            },
        };
        self.gateway.record(Record::new(self.gateway.now(), event));
    }

    fn reset(&mut self) {
        self.transaction = None;
    }
}

/// The state machine does not let this happen; if it did, nothing is accepted.
fn no_transaction() -> Refusal {
    Refusal::new(RefusalId::StorageUnavailable, "no transaction")
}
