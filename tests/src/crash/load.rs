//! Practice software that sends and knows what it was promised: each message is offered, and offered
//! again in the very same octets, until it is acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::ssl::{Ssl, SslConnector, SslContext, SslMethod, SslVerifyMode};
use sceau::demo::cast::Place;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_openssl::SslStream;

use super::chance::Chance;
use super::ledger::{Ledger, Promise, message_id};
use crate::certs::Credentials;
use crate::world::World;

/// Connections at once.
const CONNECTIONS: usize = 4;
/// Wait before an endpoint that does not answer, or says "not now", is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for one reply.
const REPLY: Duration = Duration::from_secs(30);

/// A running load. It ends with this value.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    run: u64,
    issued: u64,
    chance: Chance,
    from: String,
    ways: Vec<Promise>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<VecDeque<Letter>>,
    changed: Notify,
    ledger: Arc<Ledger>,
    /// Final refusals: there must be none.
    refused: Mutex<Vec<String>>,
    /// Temporary refusals, by code.
    deferred: Mutex<BTreeMap<u16, u64>>,
    stop: AtomicBool,
}

#[derive(Clone, Debug)]
struct Letter {
    number: u64,
    from: String,
    promise: Promise,
    octets: Arc<Vec<u8>>,
}

impl Load {
    /// Begins to send as Dr Martin through hospital A's gateway whatever [`Load::issue`] orders.
    #[must_use]
    pub fn start(world: &World, ledger: Arc<Ledger>, run: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            changed: Notify::new(),
            ledger,
            refused: Mutex::default(),
            deferred: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let card = world.card("martin");
        let client = Client {
            address: world.ports(Place::A).submission_tls,
            host: Place::A.host(),
            tls: context(world, &Credentials::load(&card.certificate, &card.key)),
        };
        for _ in 0..CONNECTIONS {
            runtime.spawn(work(client.clone(), Arc::clone(&shared)));
        }
        Self {
            shared,
            run,
            issued: 0,
            chance: Chance::new(run),
            from: world.address("martin"),
            ways: ways(world),
            _runtime: runtime,
        }
    }

    /// Orders so many new messages of all sizes.
    pub fn issue(&mut self, count: u64) {
        for _ in 0..count {
            // Bodies in a row of the queue, and bodies in a file of their own.
            let lines = match self.chance.below(10) {
                0..7 => 10 + self.chance.below(40),
                7..9 => 200 + self.chance.below(300),
                _ => 1500 + self.chance.below(1000),
            };
            self.issue_one(lines);
        }
    }

    /// Orders so many new messages that need files of their own, in hand and at rest.
    pub fn issue_large(&mut self, count: u64) {
        for _ in 0..count {
            self.issue_one(2500);
        }
    }

    fn issue_one(&mut self, lines: u64) {
        let letter = self.letter(lines);
        self.shared.waiting.lock().unwrap().push_back(letter);
        self.issued += 1;
        self.shared.changed.notify_waiters();
    }

    /// Temporary refusals so far, by code.
    #[must_use]
    pub fn deferred(&self) -> BTreeMap<u16, u64> {
        self.shared.deferred.lock().unwrap().clone()
    }

    /// How many messages were ordered.
    #[must_use]
    pub fn issued(&self) -> usize {
        usize::try_from(self.issued).unwrap()
    }

    /// Final refusals so far.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap().clone()
    }

    fn letter(&mut self, lines: u64) -> Letter {
        let number = self.issued;
        let way = usize::try_from(self.chance.below(self.ways.len() as u64)).unwrap();
        let promise = self.ways[way].clone();
        let to: Vec<String> = promise.good.iter().chain(&promise.refused).map(|to| format!("<{to}>")).collect();
        let mut octets = format!(
            "From: <{}>\r\nTo: {}\r\nSubject: Essai {number}\r\nMessage-ID: <{}>\r\n\
             Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n\r\n",
            self.from,
            to.join(", "),
            message_id(self.run, number)
        )
        .into_bytes();
        for _ in 0..lines {
            octets.extend_from_slice(format!("{:064x}\r\n", self.chance.below(u64::MAX)).as_bytes());
        }
        octets.extend_from_slice(b".\r\n");
        Letter { number, from: self.from.clone(), promise, octets: Arc::new(octets) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }
}

/// The ways that mail takes: to another gateway, inside, to an operator without S/MIME, to several,
/// and to a mailbox that does not exist.
fn ways(world: &World) -> Vec<Promise> {
    let to =
        |names: &[&str]| Promise { good: names.iter().map(|name| world.address(name)).collect(), refused: Vec::new() };
    let nobody = Place::B.address("refuse.essai").unwrap().to_string();
    vec![
        to(&["moreau"]),
        to(&["moreau", "lambert"]),
        to(&["durand"]),
        to(&["petit"]),
        to(&["moreau", "petit", "durand"]),
        Promise { refused: vec![nobody], ..to(&["moreau"]) },
    ]
}

fn context(world: &World, (credentials, chain): &(Credentials, Vec<openssl::x509::X509>)) -> SslContext {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.cert_store_mut().add_cert(world.root("servers")).unwrap();
    builder.set_verify(SslVerifyMode::PEER);
    builder.set_certificate(&credentials.certificate).unwrap();
    builder.set_private_key(&credentials.key).unwrap();
    for certificate in chain {
        builder.add_extra_chain_cert(certificate.clone()).unwrap();
    }
    builder.build().into_context()
}

#[derive(Clone)]
struct Client {
    address: SocketAddr,
    host: String,
    tls: SslContext,
}

/// What became of an offer.
enum Answer {
    Acknowledged,
    NotNow(u16),
    Never(String),
}

async fn work(client: Client, shared: Arc<Shared>) {
    let mut session: Option<Session> = None;
    while !shared.stop.load(Ordering::SeqCst) {
        let ordered = shared.changed.notified();
        let Some(letter) = shared.waiting.lock().unwrap().pop_front() else {
            let _ = tokio::time::timeout(Duration::from_millis(200), ordered).await;
            continue;
        };
        let offer = async {
            let mut open = match session.take() {
                Some(open) => open,
                None => client.open().await?,
            };
            let answer = open.offer(&letter).await?;
            Ok::<_, std::io::Error>((open, answer))
        };
        match offer.await {
            Ok((open, Answer::Acknowledged)) => {
                shared.ledger.acknowledge(letter.number, letter.promise);
                session = Some(open);
            }
            Ok((_, Answer::Never(reply))) => shared.refused.lock().unwrap().push(reply),
            Ok((_, Answer::NotNow(code))) => {
                *shared.deferred.lock().unwrap().entry(code).or_default() += 1;
                shared.waiting.lock().unwrap().push_back(letter);
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) => {
                shared.waiting.lock().unwrap().push_back(letter);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

struct Session {
    stream: BufReader<SslStream<TcpStream>>,
}

impl Client {
    async fn open(&self) -> std::io::Result<Session> {
        let stream = TcpStream::connect(self.address).await?;
        let _ = stream.set_nodelay(true);
        let mut ssl = Ssl::new(&self.tls)?;
        ssl.set_hostname(&self.host)?;
        ssl.param_mut().set_host(&self.host)?;
        let mut stream = SslStream::new(ssl, stream)?;
        tokio::time::timeout(REPLY, Pin::new(&mut stream).connect())
            .await?
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut session = Session { stream: BufReader::new(stream) };
        session.reply().await?;
        session.exchange(b"EHLO generator.test\r\n").await?;
        Ok(session)
    }
}

impl Session {
    async fn offer(&mut self, letter: &Letter) -> std::io::Result<Answer> {
        let mut commands = vec![format!("MAIL FROM:<{}>\r\n", letter.from)];
        commands
            .extend(letter.promise.good.iter().chain(&letter.promise.refused).map(|to| format!("RCPT TO:<{to}>\r\n")));
        commands.push("DATA\r\n".to_owned());
        for command in commands {
            let reply = self.exchange(command.as_bytes()).await?;
            if let Some(answer) = refusal(&reply) {
                return Ok(answer);
            }
        }
        let reply = self.exchange(&letter.octets).await?;
        Ok(refusal(&reply).unwrap_or(Answer::Acknowledged))
    }

    async fn exchange(&mut self, octets: &[u8]) -> std::io::Result<String> {
        let stream = self.stream.get_mut();
        stream.write_all(octets).await?;
        stream.flush().await?;
        self.reply().await
    }

    /// The last line of a reply.
    async fn reply(&mut self) -> std::io::Result<String> {
        loop {
            let mut line = String::new();
            let mut bounded = (&mut self.stream).take(4096);
            let read = bounded.read_line(&mut line);
            if tokio::time::timeout(REPLY, read).await?? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }
}

fn refusal(reply: &str) -> Option<Answer> {
    match reply.as_bytes().first() {
        Some(b'2' | b'3') => None,
        Some(b'4') => Some(Answer::NotNow(reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(400))),
        _ => Some(Answer::Never(reply.to_owned())),
    }
}
