//! A connection from its handshake on, at a hospital of ours: what its searches wait for is held by the test.

use std::{net::IpAddr, sync::mpsc};

use annuaire::ldap::ber::{Reader, Writer, length, tag};
use tokio::net::TcpListener;
use tokio_openssl::SslStream;

use super::*;
use crate::{
    ldap::house::House,
    net::{
        crowd::{Crowd, Seated},
        places::Room,
        tls::{connect, nobody},
    },
};

const FACE: &str = "\n[ldap]\nanonymous = true\n[[ldap.listener]]\naddress = \"127.0.0.1:1\"\n";
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const SEARCH: u8 = 0x63;
const ABANDON: u8 = 0x50;
const EXTENDED: u8 = 0x77;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const EXTENDED_ANSWER: u8 = 0x78;
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
const CANCEL: &str = "1.3.6.1.1.8";

/// A client under TLS.
struct Client {
    stream: SslStream<TcpStream>,
    unread: Vec<u8>,
    _seated: Seated,
    /// While it is there nobody stops.
    _running: watch::Sender<bool>,
}

impl Client {
    /// Connects to a connection that is served beside it.
    async fn of(house: &House) -> Self {
        let port = TcpListener::bind((HERE, 0)).await.unwrap();
        let client = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = port.accept().await.unwrap();
        let config = house.gateway.snapshot().config.ldap.clone();
        let room = Room { all: 10, each: 10 };
        let seated = Arc::new(Crowd::default()).enter(HERE, room, std::time::Instant::now()).unwrap();
        let (running, stopping) = watch::channel(false);
        let terms = Terms {
            gateway: Arc::clone(&house.gateway),
            face: Arc::clone(&house.face),
            listener: config.listeners.first().unwrap().clone(),
            limits: config.limits,
            peer,
            visit: Arc::clone(&seated.visit),
            stopping,
        };
        tokio::spawn(run(terms, stream));
        let stream = connect(&nobody().unwrap(), "ldap.ch-exemple.test", client).await.unwrap();
        Self { stream, unread: Vec::new(), _seated: seated, _running: running }
    }

    async fn say(&mut self, id: u32, operation: u8, content: &[u8]) {
        let mut out = Writer::new();
        out.constructed(tag::SEQUENCE, |message| {
            message.number(tag::INTEGER, id);
            message.put(operation, content);
        });
        self.stream.write_all(&out.into_octets()).await.unwrap();
    }

    /// Something that looks through words.
    async fn search(&mut self, id: u32) {
        let mut out = Writer::new();
        out.put(tag::OCTETS, b"dc=annuaire");
        out.number(tag::ENUMERATED, 2);
        out.number(tag::ENUMERATED, 0);
        out.number(tag::INTEGER, 0);
        out.number(tag::INTEGER, 0);
        out.boolean(false);
        out.constructed(0xa4, |filter| {
            filter.put(tag::OCTETS, b"sn");
            filter.constructed(tag::SEQUENCE, |pieces| pieces.put(0x80, b"martin"));
        });
        out.constructed(tag::SEQUENCE, |_| {});
        self.say(id, SEARCH, &out.into_octets()).await;
    }

    async fn extended(&mut self, id: u32, oid: &str, value: impl FnOnce(&mut Writer)) {
        let mut out = Writer::new();
        out.put(0x80, oid.as_bytes());
        value(&mut out);
        self.say(id, EXTENDED, &out.into_octets()).await;
    }

    async fn cancel(&mut self, id: u32, of: u32) {
        let mut value = Writer::new();
        value.constructed(tag::SEQUENCE, |inside| inside.number(tag::INTEGER, of));
        self.extended(id, CANCEL, |out| out.put(0x81, &value.into_octets())).await;
    }

    /// Until everything said before has been heard: what is no search is answered at once, whatever is under way.
    async fn heard(&mut self, id: u32) {
        self.cancel(id, 99).await;
        assert_eq!(self.answer().await, (id, EXTENDED_ANSWER, 119));
    }

    /// Number, operation and result code of the next answer; the code of an entry is 0.
    async fn answer(&mut self) -> (u32, u8, u32) {
        loop {
            let after = self.unread.get(1..).and_then(|after| length(after).unwrap());
            if let Some((length, rest)) = after.filter(|(length, rest)| rest.len() >= *length) {
                let whole = self.unread.len() - rest.len() + length;
                let octets: Vec<u8> = self.unread.drain(..whole).collect();
                let mut message = Reader::new(Reader::new(&octets).expect(tag::SEQUENCE).unwrap());
                let id = message.number(tag::INTEGER).unwrap();
                let (operation, content) = message.element().unwrap();
                let code = if operation == ENTRY { 0 } else { Reader::new(content).number(tag::ENUMERATED).unwrap() };
                return (id, operation, code);
            }
            let mut octets = [0; 4096];
            let count = self.stream.read(&mut octets).await.unwrap();
            assert_ne!(count, 0, "the connection is over");
            self.unread.extend_from_slice(&octets[..count]);
        }
    }
}

/// Holds the one thread that searches run on, until what this gives is dropped.
fn hold() -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    tokio::task::spawn_blocking(move || held.recv());
    release
}

/// LD9: a search that is under way when it is abandoned is not answered; what was asked after it is.
#[test]
fn a_search_under_way_is_abandoned() {
    let house = House::with(FACE);
    house.runtime.block_on(async {
        let mut client = Client::of(&house).await;
        client.search(1).await;
        assert_eq!(client.answer().await, (1, ENTRY, 0), "left alone it finds somebody");
        while client.answer().await != (1, DONE, 0) {}
        let held = hold();
        client.search(2).await;
        client.heard(3).await;
        client.say(4, ABANDON, &[2]).await;
        client.extended(5, WHO_AM_I, |_| {}).await;
        client.heard(6).await;
        drop(held);
        assert_eq!(client.answer().await, (5, EXTENDED_ANSWER, 0), "nothing of number 2");
    });
}

/// LD9: one that is cancelled ends in just that, and so does who cancelled it (RFC 3909).
#[test]
fn a_search_under_way_is_cancelled() {
    let house = House::with(FACE);
    house.runtime.block_on(async {
        let mut client = Client::of(&house).await;
        let held = hold();
        client.search(1).await;
        client.heard(2).await;
        client.cancel(3, 1).await;
        client.heard(4).await;
        drop(held);
        assert_eq!(client.answer().await, (1, DONE, 118), "no entry before it");
        assert_eq!(client.answer().await, (3, EXTENDED_ANSWER, 0));
        client.heard(5).await;
    });
}

/// LD9: whoever hangs up is not worked for: the place of the search is free again.
#[test]
fn a_search_of_who_is_gone_leaves_its_place() {
    let house = House::with(FACE);
    house.runtime.block_on(async {
        let mut client = Client::of(&house).await;
        let held = hold();
        client.search(1).await;
        client.heard(2).await;
        client.say(3, 0x42, &[]).await;
        let mut rest = Vec::new();
        let _ = client.stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "nothing is said after goodbye");
        drop(held);
        let mut another = Client::of(&house).await;
        another.search(1).await;
        assert_eq!(another.answer().await, (1, ENTRY, 0));
    });
}

/// LD9: who leaves its share of long answers unread is asked to come back, and served when it has read them.
#[test]
fn who_leaves_its_share_unread_is_told_so() {
    let house = House::with(FACE);
    house.runtime.block_on(async {
        let mut client = Client::of(&house).await;
        let unread = house.face.octets.take(HERE, MEMORY.div_ceil(4), MEMORY).unwrap();
        client.search(1).await;
        assert_eq!(client.answer().await, (1, DONE, 51));
        drop(unread);
        client.search(2).await;
        assert_eq!(client.answer().await, (2, ENTRY, 0));
    });
}
