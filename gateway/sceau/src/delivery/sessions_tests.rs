use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ident::Address;
use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    x509::X509,
};
use smtp::{MailFrom, Outcome, Protocol, RcptTo};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;
use crate::net::tls::{TlsFacts, TlsIdentity};

/// How a peer behaves after its first message.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    GoesOn,
    Closes,
    SaysGoodbye,
    /// Says 421 to the next MAIL.
    GivesUp,
    /// Takes the next message's content and closes without an answer.
    FallsSilent,
}

/// A peer in clear; only its first session misbehaves.
struct Server {
    address: SocketAddr,
    sessions: Arc<AtomicUsize>,
    messages: Arc<AtomicUsize>,
}

impl Server {
    async fn start(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sessions, messages) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all_sessions, all_messages) = (Arc::clone(&sessions), Arc::clone(&messages));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let then = if all_sessions.fetch_add(1, Ordering::SeqCst) == 0 { then } else { Then::GoesOn };
                tokio::spawn(serve(stream, then, Arc::clone(&all_messages)));
            }
        });
        Self { address, sessions, messages }
    }

    fn counts(&self) -> (usize, usize) {
        (self.sessions.load(Ordering::SeqCst), self.messages.load(Ordering::SeqCst))
    }
}

async fn serve(stream: tokio::net::TcpStream, then: Then, messages: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    let mut mine = 0;
    let mut content = false;
    let mut reply = "220 peer.test";
    loop {
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if !content || line == ".\r\n" {
                break;
            }
        }
        reply = match line.get(..4) {
            _ if content => {
                if mine == 1 && then == Then::FallsSilent {
                    return;
                }
                content = false;
                mine += 1;
                messages.fetch_add(1, Ordering::SeqCst);
                match then {
                    Then::Closes => {
                        stream.write_all(b"250 taken\r\n").await.unwrap();
                        return;
                    }
                    Then::SaysGoodbye => "250 taken\r\n421 going away",
                    _ => "250 taken",
                }
            }
            Some("MAIL") if mine == 1 && then == Then::GivesUp => "421 enough",
            Some("DATA") => {
                content = true;
                "354 go on"
            }
            Some("QUIT") => "221 bye",
            _ => "250 fine",
        };
    }
}

struct Client {
    sessions: Sessions,
    identity: TlsIdentity,
}

impl Client {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
        let own =
            PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap())
                .unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_pubkey(&own).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&own, MessageDigest::sha256()).unwrap();
        std::fs::write(&certificate, builder.build().to_pem().unwrap()).unwrap();
        std::fs::write(&key, own.private_key_to_pem_pkcs8().unwrap()).unwrap();
        Self { sessions: Sessions::default(), identity: TlsIdentity::load(&certificate, &key).unwrap() }
    }

    async fn send<J: Judge>(&self, server: &Server, judge: &mut J) -> Vec<smtp::RecipientOutcome> {
        let mut options = ClientOptions::new("gateway.test", Protocol::Smtp);
        options.tls = TlsUse::Never;
        let line = Line { address: server.address, host: "peer.test", identity: &self.identity, options };
        let address = |text| Address::parse(text).unwrap();
        let envelope = Envelope {
            mail: MailFrom { sender: Some(address("a@a.test")), ..MailFrom::default() },
            recipients: vec![RcptTo { address: address("b@b.test"), notify: None, orcpt: None }],
        };
        let text = b"Subject: x\r\n\r\nx\r\n".to_vec();
        let load = Load { size: text.len() as u64, source: Arc::new(text) };
        self.sessions.carry(&line, judge, envelope, &load).await.unwrap().outcomes
    }

    async fn delivers(&self, server: &Server) -> bool {
        let outcomes = self.send(server, &mut super::super::talk::Inside(None)).await;
        outcomes.len() == 1 && outcomes.iter().all(|outcome| matches!(outcome.outcome, Outcome::Accepted(_)))
    }
}

#[tokio::test]
async fn messages_to_one_server_share_a_session() {
    let (client, server) = (Client::new(), Server::start(Then::GoesOn).await);
    for _ in 0..3 {
        assert!(client.delivers(&server).await);
    }
    assert_eq!(server.counts(), (1, 3));
    client.sessions.end_all().await;
    assert!(client.delivers(&server).await);
    assert_eq!(server.counts(), (2, 4));
}

#[tokio::test]
async fn a_session_that_is_gone_is_replaced_without_a_failure() {
    let client = Client::new();
    for then in [Then::Closes, Then::SaysGoodbye, Then::GivesUp] {
        let server = Server::start(then).await;
        assert!(client.delivers(&server).await);
        assert!(client.delivers(&server).await);
        assert_eq!(server.counts(), (2, 2));
    }
}

#[tokio::test]
async fn a_message_whose_content_was_sent_is_not_sent_again_at_once() {
    let (client, server) = (Client::new(), Server::start(Then::FallsSilent).await);
    assert!(client.delivers(&server).await);
    assert!(!client.delivers(&server).await, "the peer may have it (RFC 1047)");
    assert_eq!(server.counts(), (1, 1));
}

/// Trusts nobody any more.
struct Never;

impl Judge for Never {
    fn judge(&mut self, _facts: &TlsFacts) -> Result<(), String> {
        Err("revoked".to_owned())
    }
}

#[tokio::test]
async fn a_peer_that_lost_our_trust_gets_nothing_over_a_kept_session() {
    let (client, server) = (Client::new(), Server::start(Then::GoesOn).await);
    assert!(client.delivers(&server).await);
    // As if the session had begun with TLS.
    let facts = TlsFacts { version: String::new(), cipher: String::new(), peer: vec![], stapled: None };
    client.sessions.lock().iter_mut().for_each(|waiting| waiting.kept.session.show(facts.clone()));
    client.send(&server, &mut Never).await;
    assert_eq!(server.counts().0, 2, "a fresh session, whose peer is judged by its own handshake");
}

#[tokio::test]
async fn sessions_wait_only_for_a_moment() {
    let (client, server) = (Client::new(), Server::start(Then::GoesOn).await);
    assert!(client.delivers(&server).await);
    client.sessions.end_idle();
    assert_eq!(client.sessions.lock().len(), 1);
    let long_ago = Instant::now().checked_sub(IDLE).unwrap();
    client.sessions.lock().iter_mut().for_each(|waiting| waiting.since = long_ago);
    client.sessions.end_idle();
    assert_eq!(client.sessions.lock().len(), 0);
}
