//! Client and server of this crate, talking to each other in memory.

use ident::Address;
use proptest::prelude::*;

use crate::{
    Client, ClientClosed, ClientEvent, ClientOptions, CloseReason, Envelope, Event, MailFrom, Notify,
    OriginalRecipient, Outcome, Protocol, RcptTo, Reply, Ret, Server, ServerOptions, TlsUse,
};

/// What the server's side received.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Received {
    mail: MailFrom,
    recipients: Vec<RcptTo>,
    body: Vec<u8>,
}

struct Wire {
    client: Client,
    server: Server,
    /// Bytes on their way, and how many go in one piece.
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    piece: usize,
    /// Messages to send, the body of the one under way, and what is left of it.
    queue: Vec<(Envelope, Vec<u8>)>,
    body: Option<(Vec<u8>, usize)>,
    current: Received,
    received: Vec<Received>,
    outcomes: Vec<String>,
    closed: Option<(ClientClosed, CloseReason)>,
    handshakes: usize,
}

impl Wire {
    fn new(protocol: Protocol, pipelining: bool, piece: usize, queue: Vec<(Envelope, Vec<u8>)>) -> Self {
        let server = ServerOptions { starttls: true, dsn: true, ..ServerOptions::new("mx.ch-exemple.test", protocol) };
        let client =
            ClientOptions { pipelining, tls: TlsUse::Required, ..ClientOptions::new("out.ch-exemple.test", protocol) };
        Self {
            client: Client::new(client),
            server: Server::new(server, false),
            to_server: vec![],
            to_client: vec![],
            piece,
            queue: queue.into_iter().rev().collect(),
            body: None,
            current: Received::default(),
            received: vec![],
            outcomes: vec![],
            closed: None,
            handshakes: 0,
        }
    }

    /// Runs until both sides are closed.
    fn run(&mut self) {
        for _ in 0..2_000_000 {
            self.client_side();
            self.server_side();
            if self.client.is_closed() && self.server.is_closed() {
                return;
            }
        }
        panic!("no end: {:?} {:?}", self.client.waits_for(), self.server.waits_for());
    }

    fn client_side(&mut self) {
        let offered = self.piece.min(self.to_client.len()).min(self.client.input_capacity());
        let taken = self.client.receive(&self.to_client[..offered]);
        self.to_client.drain(..taken);
        while let Some(event) = self.client.poll() {
            match event {
                ClientEvent::StartTls => self.handshakes += 1,
                ClientEvent::Ready => self.next_message(),
                ClientEvent::SendBody => {}
                ClientEvent::Done(outcomes) => {
                    let letter = |outcome: &Outcome| match outcome {
                        Outcome::Accepted(_) => 'A',
                        Outcome::Permanent(_) => 'P',
                        Outcome::Temporary(_) => 'T',
                    };
                    self.outcomes.push(outcomes.iter().map(|found| letter(&found.outcome)).collect());
                    self.body = None;
                    self.next_message();
                }
                ClientEvent::Closed(why) => self.closed = Some((why, CloseReason::Caller)),
            }
        }
        if self.client.waits_for() == Some(crate::Wait::DataBlock) {
            self.more_body();
        }
        self.to_server.append(&mut self.client.take_output());
    }

    fn next_message(&mut self) {
        match self.queue.pop() {
            Some((envelope, body)) => {
                self.client.send(envelope).unwrap();
                self.body = Some((body, 0));
            }
            None => self.client.quit(),
        }
    }

    fn more_body(&mut self) {
        let Some((body, sent)) = &mut self.body else { return };
        let end = body.len().min(*sent + self.piece);
        *sent += self.client.send_body(&body[*sent..end]).unwrap();
        if *sent == body.len() {
            self.client.finish_body().unwrap();
        }
    }

    fn server_side(&mut self) {
        let offered = self.piece.min(self.to_server.len()).min(self.server.input_capacity());
        let taken = self.server.receive(&self.to_server[..offered]);
        self.to_server.drain(..taken);
        while let Some(event) = self.server.poll() {
            self.on_event(event);
        }
        self.to_client.append(&mut self.server.take_output());
        // Both have said all that may be said in clear.
        if self.handshakes == 1 && !self.server_in_tls() {
            assert!(self.to_server.is_empty() && self.to_client.is_empty());
            self.server.tls_started();
            self.client.tls_started();
            self.handshakes = 2;
        }
    }

    fn server_in_tls(&self) -> bool {
        self.handshakes > 1
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Hello { name } => assert_eq!(name, "out.ch-exemple.test"),
            Event::StartTls | Event::Reset => {}
            Event::Mail(mail) => {
                self.current = Received { mail, ..Received::default() };
                self.server.answer(Reply::new(250, (2, 1, 0), "ok"));
            }
            Event::Recipient(rcpt) => {
                let local = rcpt.address.local();
                let reply = if local.starts_with("no") {
                    Reply::new(550, (5, 1, 1), "unknown")
                } else if local.starts_with("later") {
                    Reply::new(451, (4, 3, 0), "later")
                } else {
                    self.current.recipients.push(rcpt);
                    Reply::new(250, (2, 1, 5), "ok")
                };
                self.server.answer(reply);
            }
            Event::DataRequested => self.server.answer(Reply::send_body()),
            Event::Body(piece) => self.current.body.extend_from_slice(&piece),
            Event::BodyEnd => {
                self.received.push(self.current.clone());
                for _ in 0..self.server.answers_due() {
                    self.server.answer(Reply::new(250, (2, 0, 0), "queued"));
                }
            }
            Event::Closed(why) => assert_eq!(why, CloseReason::Quit),
            Event::Authenticate { .. } | Event::BodyRefused(_) => panic!("{event:?}"),
        }
    }
}

fn message(size: u64, names: &[String]) -> Envelope {
    Envelope {
        mail: MailFrom {
            sender: Address::parse("dr.martin-test@ch-exemple.test").ok(),
            size: Some(size),
            ret: Some(Ret::Headers),
            envid: Some("envid+1=2 3".into()),
            ..MailFrom::default()
        },
        recipients: names
            .iter()
            .map(|name| RcptTo {
                address: Address::parse(&format!("{name}@y.test")).unwrap(),
                notify: Some(Notify::On { success: false, failure: true, delay: true }),
                orcpt: Some(OriginalRecipient { kind: "rfc822".into(), address: format!("+{name}=@y.test") }),
            })
            .collect(),
    }
}

fn check(protocol: Protocol, pipelining: bool, piece: usize, messages: &[(Vec<String>, Vec<u8>)]) {
    let queue: Vec<_> =
        messages.iter().map(|(names, body)| (message(body.len() as u64, names), body.clone())).collect();
    let mut wire = Wire::new(protocol, pipelining, piece, queue.clone());
    wire.run();
    assert_eq!(wire.closed.map(|(why, _)| why), Some(ClientClosed::Quit));
    let letter = |name: &String| match name.as_str() {
        name if name.starts_with("no") => 'P',
        name if name.starts_with("later") => 'T',
        _ => 'A',
    };
    let expected: Vec<String> = messages.iter().map(|(names, _)| names.iter().map(letter).collect()).collect();
    assert_eq!(wire.outcomes, expected);
    let expected: Vec<Received> = queue
        .into_iter()
        .map(|(envelope, body)| {
            let accepted = |rcpt: &RcptTo| letter(&rcpt.address.local().to_owned()) == 'A';
            let recipients: Vec<RcptTo> = envelope.recipients.into_iter().filter(accepted).collect();
            Received { mail: envelope.mail, recipients, body }
        })
        .filter(|received| !received.recipients.is_empty())
        .collect();
    assert_eq!(wire.received, expected, "envelopes and bodies arrive as they were sent");
}

#[test]
fn a_large_message_of_dots() {
    let body = [".\r\n..\r\n.a\r\n\r\n".repeat(30_000), "\r\n.\r\n".to_owned()].concat().into_bytes();
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        for piece in [1000, 70_000] {
            check(protocol, true, piece, &[(vec!["a".into()], body.clone())]);
        }
    }
}

#[test]
fn many_recipients() {
    let names: Vec<String> = (0..500).map(|n| format!("{}{n}", ["a", "no", "later"][n % 3])).collect();
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        for pipelining in [true, false] {
            check(protocol, pipelining, 777, &[(names.clone(), b"x\r\n".to_vec())]);
        }
    }
}

proptest! {
    /// What goes into the client comes out of the server, byte for byte, however the transport cuts it.
    #[test]
    fn messages_arrive_as_they_were_sent(
        messages in proptest::collection::vec((
            proptest::collection::vec("(a|no|later)[0-9]", 1..5),
            proptest::collection::vec("(\\.{0,3}|[ -~]{0,30}|\u{e9})", 0..12),
        ), 0..5),
        lmtp in any::<bool>(), pipelining in any::<bool>(), piece in prop_oneof![Just(1usize), 2usize..40, Just(100_000)],
    ) {
        let messages: Vec<(Vec<String>, Vec<u8>)> = messages
            .into_iter()
            .map(|(names, lines)| (names, lines.into_iter().map(|line| line + "\r\n").collect::<String>().into_bytes()))
            .collect();
        check(if lmtp { Protocol::Lmtp } else { Protocol::Smtp }, pipelining, piece, &messages);
    }
}
