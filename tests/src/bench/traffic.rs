//! Messages and trail records as a gateway hands them to its store, made in memory: what the benches of
//! store and trail are fed with.

use std::time::Duration;

use ident::{Address, Domain, Fingerprint, Timestamp};
use store::{
    BodyContent, Destination, Envelope, NewBody, NewMessage, NewRecipient, Notify, OutboxRow, Protection, Repeat,
};
use trail::{
    Acceptance, ConnectionFacts, DeliveryFacts, Direction, Event, IdentityKind, Masker, QueueId, Record, Speaker, Tls,
};

/// Life of a message in the queue.
const LIFE: Duration = Duration::from_secs(5 * 24 * 3600);
/// Octets by which a sealed message's digest is told from another's.
const DIGEST: usize = 32;

/// Made-up traffic of one hospital: some senders, some recipients, some operators.
#[derive(Debug)]
pub struct Traffic {
    masker: Masker,
    senders: Vec<Address>,
    recipients: Vec<Address>,
    content: Vec<u8>,
}

impl Traffic {
    /// Traffic between `senders` mailboxes here and as many elsewhere, spread over `operators` domains.
    #[must_use]
    pub fn new(senders: usize, operators: usize) -> Self {
        let address = |text: String| Address::parse(&text).unwrap();
        let mut content = vec![0; 64 * 1024];
        openssl::rand::rand_bytes(&mut content).unwrap();
        Self {
            masker: Masker::new([7; 32], Vec::new()),
            senders: (0..senders).map(|n| address(format!("dr.martin-test{n}@ch-exemple.test"))).collect(),
            recipients: (0..senders)
                .map(|n| address(format!("dr.moreau-test{n}@op{}.exemple.test", n % operators)))
                .collect(),
            content,
        }
    }

    /// The sender of message `number`.
    #[must_use]
    pub fn sender(&self, number: u64) -> &Address {
        turn(&self.senders, number, 1)
    }

    /// The recipient of message `number`.
    #[must_use]
    pub fn recipient(&self, number: u64) -> &Address {
        turn(&self.recipients, number, 7)
    }

    /// The queue id of message `number`.
    #[must_use]
    pub fn id(number: u64, at: Timestamp) -> QueueId {
        QueueId::new(at, scatter(number))
    }

    /// The Message-ID of message `number`.
    #[must_use]
    pub fn message_id(number: u64) -> String {
        format!("<bench.{number:x}.{:x}@poste.ch-exemple.test>", scatter(number))
    }

    /// A sealed message of `octets` for one recipient, accepted now and due at `due`.
    #[must_use]
    pub fn message(&self, number: u64, octets: usize, now: Timestamp, due: Timestamp) -> NewMessage {
        let id = Self::id(number, now);
        let recipient = self.recipient(number);
        let mut content = self.content[..octets.min(self.content.len())].to_vec();
        content[..8].copy_from_slice(&number.to_be_bytes());
        NewMessage {
            id,
            direction: Direction::Outgoing,
            envelope: Envelope { sender: Some(self.sender(number).clone()), ..Envelope::default() },
            message_id: Some(Self::message_id(number)),
            digest: digest(number),
            size: octets as u64,
            accepted: now,
            expires: now.plus(LIFE),
            repeat: Some(Repeat {
                sender: digest(number % 100).to_string(),
                window: Duration::from_secs(24 * 3600),
                even_failed: false,
            }),
            bodies: vec![NewBody {
                content: BodyContent::Bytes(content),
                protection: Protection::Sealed,
                profile: Some("gateway".to_owned()),
                content_key: None,
                inner: None,
            }],
            recipients: vec![NewRecipient {
                address: recipient.clone(),
                destination: Destination::Relay(recipient.domain().clone()),
                body: 0,
                notify: Notify::default(),
                orcpt: None,
                due,
            }],
            notes: format!("{{\"bodies\":[{{\"readers\":[\"{}\"]}}]}}", digest(3)),
            records: self.accepted(number, octets, now),
        }
    }

    /// The four records of a message with one recipient that was accepted and sealed.
    #[must_use]
    pub fn accepted(&self, number: u64, octets: usize, now: Timestamp) -> Vec<Record> {
        let id = Self::id(number, now);
        let recipient = self.recipient(number);
        let text = |text: &str| self.masker.text(text);
        let acceptance = Acceptance {
            direction: Direction::Outgoing,
            from: Some(self.masker.party(self.sender(number))),
            author: None,
            message_id: Some(text(&Self::message_id(number))),
            digest: digest(number),
            size: octets as u64,
            recipients: 1,
            connection: Some(ConnectionFacts {
                peer: "192.0.2.17:40512".to_owned(),
                listener: "submission".to_owned(),
                hello: Some(text("poste.ch-exemple.test")),
                tls: Some(tls()),
            }),
            speaker: Some(Speaker {
                notes: Vec::new(),
                kind: IdentityKind::Organisation,
                id: text("3750000001"),
                name: text("CENTRE HOSPITALIER EXEMPLE-TEST"),
                certificate: Some(digest(2)),
                assurance: Some("vouched".to_owned()),
            }),
            policy: Some(digest(11)),
            trust_list: Some(digest(12)),
            directory: Some("2026-11-20-1".to_owned()),
        };
        let sealed = Event::Sealed {
            stamp: None,
            body: 0,
            protection: "sealed".to_owned(),
            profile: Some("gateway".to_owned()),
            digest: digest(number + 1),
            size: octets as u64,
            signer: Some(digest(4)),
            readers: vec![digest(3)],
        };
        let admitted = Event::RecipientAdmitted {
            protection: "sealed".to_owned(),
            reasons: vec!["sealed-domain".to_owned()],
            directory: Some("2026-11-20-1: known".to_owned()),
            trust_list: Some(digest(12)),
        };
        let queued = Event::Queued {
            destination: format!("relay:{}", recipient.domain()),
            body: 0,
            due: now,
            expires: now.plus(LIFE),
        };
        let about = |event| Record::new(now, event).of_message(id);
        let party = self.masker.party(recipient);
        vec![
            about(Event::Accepted(Box::new(acceptance))),
            about(sealed),
            about(admitted).of_recipient(party.clone()),
            about(queued).of_recipient(party),
        ]
    }

    /// The record of a delivery.
    #[must_use]
    pub fn delivered(&self, number: u64, accepted: Timestamp, now: Timestamp) -> Record {
        let recipient = self.recipient(number);
        let delivery = DeliveryFacts {
            destination: format!("relay:{}", recipient.domain()),
            host: Some(format!("mx.{}", recipient.domain())),
            address: Some("198.51.100.9:25".to_owned()),
            tls: Some(tls()),
            operator: Some(self.masker.text("OPERATEUR EXEMPLE-TEST")),
            reply: Some(self.masker.text("250 2.0.0 queued as 0123456789abcdef")),
            took: Some(12),
        };
        Record::new(now, Event::Delivered { number: 1, delivery })
            .of_message(Self::id(number, accepted))
            .of_recipient(self.masker.party(recipient))
    }

    /// The rows of the outbox for one message that was accepted and delivered: five events.
    #[must_use]
    pub fn rows(&self, number: u64, at: Timestamp) -> [String; 2] {
        [lines(&self.accepted(number, 10_240, at)), lines(&[self.delivered(number, at, at)])]
    }
}

/// Events of one message: those of [`Traffic::rows`].
pub const EVENTS: u64 = 5;

/// Domains that the recipients live in.
#[must_use]
pub fn operator(number: usize) -> Domain {
    Domain::parse(&format!("op{number}.exemple.test")).unwrap()
}

/// Records as a row of the outbox holds them.
#[must_use]
pub fn lines(records: &[Record]) -> String {
    let mut lines = String::new();
    for record in records {
        lines += str::from_utf8(&record.to_json().unwrap()).unwrap();
        lines.push('\n');
    }
    lines
}

/// Rows as the trail takes them.
#[must_use]
pub fn numbered(rows: &[OutboxRow]) -> Vec<(u64, &str)> {
    rows.iter().map(|row| (row.number, row.lines.as_str())).collect()
}

fn tls() -> Tls {
    Tls { version: "TLSv1.3".to_owned(), cipher: "TLS_AES_256_GCM_SHA384".to_owned(), peer: Some(digest(2)) }
}

fn turn<T>(all: &[T], number: u64, stride: u64) -> &T {
    &all[usize::try_from(number.wrapping_mul(stride)).unwrap() % all.len()]
}

/// A digest of its own for each number, as unlike its neighbours as a real one.
fn digest(number: u64) -> Fingerprint {
    let mut octets = [0; DIGEST];
    for (place, part) in octets.chunks_exact_mut(8).zip(0u64..) {
        place.copy_from_slice(&scatter(number * 4 + part).to_be_bytes());
    }
    Fingerprint::new(octets)
}

/// Numbers in a row become numbers all over (the finaliser of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_five_events_in_two_rows() {
        let traffic = Traffic::new(10, 3);
        let rows = traffic.rows(5, Timestamp::from_seconds(1_800_000_000));
        let events: usize = rows.iter().map(|row| row.lines().count()).sum();
        assert_eq!(events as u64, EVENTS);
        for line in rows.iter().flat_map(|row| row.lines()) {
            assert!(Record::from_json(line.as_bytes()).unwrap().message.is_some());
        }
        let message = traffic.message(5, 4096, Timestamp::EPOCH, Timestamp::EPOCH);
        assert_eq!(message.recipients[0].destination, Destination::Relay(operator(5 * 7 % 10 % 3)));
    }
}
