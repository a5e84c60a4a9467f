//! A generator of SMTP load over mutual TLS: a fixed number of connections, each reused for message
//! after message, as a mail server or practice software does.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openssl::ssl::{Ssl, SslConnector, SslContext, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_openssl::SslStream;

use crate::certs::Credentials;

/// A server that takes mail after STARTTLS, and how to come there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: SocketAddr,
    host: String,
    tls: SslContext,
}

impl Endpoint {
    /// The server at `address`, which must show a certificate for `host` under `root`; we show `identity`.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str, root: &X509, identity: &(Credentials, Vec<X509>)) -> Self {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.cert_store_mut().add_cert(root.clone()).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
        let (credentials, chain) = identity;
        builder.set_certificate(&credentials.certificate).unwrap();
        builder.set_private_key(&credentials.key).unwrap();
        for certificate in chain {
            builder.add_extra_chain_cert(certificate.clone()).unwrap();
        }
        Self { address, host: host.to_owned(), tls: builder.build().into_context() }
    }
}

/// What is sent: bytes made once, into which each message's own Message-ID goes.
#[derive(Clone, Debug)]
pub struct Letter {
    from: String,
    to: String,
    variants: Arc<Vec<Variant>>,
}

#[derive(Debug)]
enum Variant {
    /// What stands before and after the Message-ID.
    Open(Vec<u8>, Vec<u8>),
    /// A message whose Message-ID cannot be changed.
    Finished(Vec<u8>),
}

impl Letter {
    /// A readable letter of about `octets` octets with an attachment in base64, which is what fills
    /// medical messages.
    #[must_use]
    pub fn new(from: &str, to: &str, octets: usize) -> Self {
        let before_id = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: Compte rendu de consultation\r\n\
             Date: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\
             Message-ID: <",
            time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc2822).unwrap()
        );
        let mut after_id = b">\r\n\r\n--b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
            Patient fictif, message d'essai.\r\n\r\n--b\r\nContent-Type: application/pdf\r\n\
            Content-Transfer-Encoding: base64\r\n\
            Content-Disposition: attachment; filename=\"compte-rendu.pdf\"\r\n\r\n"
            .to_vec();
        let end = b"\r\n--b--\r\n";
        let mut noise = vec![0; octets];
        openssl::rand::rand_bytes(&mut noise).unwrap();
        let text = openssl::base64::encode_block(&noise);
        for line in text.as_bytes().chunks_exact(76) {
            if before_id.len() + after_id.len() + line.len() + end.len() > octets {
                break;
            }
            after_id.extend_from_slice(line);
            after_id.extend_from_slice(b"\r\n");
        }
        after_id.extend_from_slice(end);
        let variants = vec![Variant::Open(before_id.into_bytes(), after_id)];
        Self { from: from.to_owned(), to: to.to_owned(), variants: Arc::new(variants) }
    }

    /// Finished messages, sent in turn, each time with another trace on top: else they would be taken
    /// for repetitions.
    #[must_use]
    pub fn finished(from: &str, to: &str, messages: Vec<Vec<u8>>) -> Self {
        let variants = messages.into_iter().map(Variant::Finished).collect();
        Self { from: from.to_owned(), to: to.to_owned(), variants: Arc::new(variants) }
    }

    /// The message `number` of a run, as it goes over the wire, without the final dot.
    #[must_use]
    pub fn message(&self, run: u32, number: u64) -> Vec<u8> {
        let turn = usize::try_from(number).unwrap() % self.variants.len();
        let id = id(run, number);
        match &self.variants[turn] {
            Variant::Open(before_id, after_id) => [before_id, id.as_bytes(), after_id].concat(),
            Variant::Finished(message) => {
                let trace = format!(
                    "Received: from generator.test by relay.test with ESMTPS id {id};\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\n"
                );
                [trace.as_bytes(), message].concat()
            }
        }
    }
}

/// The Message-ID of a message of a run.
#[must_use]
pub fn id(run: u32, number: u64) -> String {
    format!("bench.{run}.{number}@generator.test")
}

/// The run and number in a Message-ID.
#[must_use]
pub fn read_id(id: &str) -> Option<(u32, u64)> {
    let (run, number) = id.strip_prefix("bench.")?.strip_suffix("@generator.test")?.split_once('.')?;
    Some((run.parse().ok()?, number.parse().ok()?))
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Tells the messages of one run from those of another.
    pub run: u32,
    /// Connections, each with one message at a time.
    pub connections: usize,
    /// How long new messages are begun.
    pub time: Duration,
    /// Messages a second over all connections; `None`: as fast as they are taken.
    pub rate: Option<f64>,
}

/// What was sent.
#[derive(Debug)]
pub struct Sent {
    /// When the first message was begun; all connections were open then.
    pub began: Instant,
    /// From then until the last message was accepted.
    pub took: Duration,
    /// Messages answered with 250.
    pub accepted: u64,
    /// Replies other than 250, each cost a message.
    pub refused: Vec<String>,
    /// When each message was due to be begun, by its number.
    pub due: Vec<Instant>,
}

impl Sent {
    /// Messages accepted a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64()
    }
}

/// Sends letters as planned.
///
/// # Panics
/// When a connection cannot be opened or breaks.
pub async fn send(endpoint: &Endpoint, letter: &Letter, plan: Plan) -> Sent {
    let ready = Arc::new(Barrier::new(plan.connections + 1));
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections {
        let (endpoint, letter) = (endpoint.clone(), letter.clone());
        let (ready, next) = (Arc::clone(&ready), Arc::clone(&next));
        workers.spawn(async move {
            let session = Session::open(&endpoint).await;
            ready.wait().await;
            work(session, &letter, plan, &next).await
        });
    }
    ready.wait().await;
    let began = Instant::now();
    let mut done = Vec::new();
    let mut refused = Vec::new();
    while let Some(ended) = workers.join_next().await {
        let (sent, replies) = ended.unwrap();
        done.extend(sent);
        refused.extend(replies);
    }
    let took = Instant::now() - began;
    done.sort_by_key(|(number, _)| *number);
    let due = done.iter().map(|(_, due)| *due).collect();
    Sent { began, took, accepted: u64::try_from(done.len()).unwrap() - refused.len() as u64, refused, due }
}

async fn work(
    mut session: Session,
    letter: &Letter,
    plan: Plan,
    next: &AtomicU64,
) -> (Vec<(u64, Instant)>, Vec<String>) {
    let began = Instant::now();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = match plan.rate {
            #[allow(clippy::cast_precision_loss)]
            Some(rate) => began + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if due.saturating_duration_since(began) >= plan.time {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        // Each number that is given out is sent, so that the sink can tell what is missing.
        if let Err(reply) = session.send(letter, plan.run, number).await {
            refused.push(reply);
        }
        done.push((number, due));
    }
    session.quit().await;
    (done, refused)
}

struct Session {
    stream: SslStream<TcpStream>,
    unread: Vec<u8>,
}

impl Session {
    async fn open(endpoint: &Endpoint) -> Self {
        let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut unread = Vec::new();
        expect(&mut stream, &mut unread, "220").await;
        stream.write_all(b"EHLO generator.test\r\n").await.unwrap();
        expect(&mut stream, &mut unread, "250").await;
        stream.write_all(b"STARTTLS\r\n").await.unwrap();
        expect(&mut stream, &mut unread, "220").await;
        let mut ssl = Ssl::new(&endpoint.tls).unwrap();
        ssl.set_hostname(&endpoint.host).unwrap();
        ssl.param_mut().set_host(&endpoint.host).unwrap();
        let mut stream = SslStream::new(ssl, stream).unwrap();
        Pin::new(&mut stream).connect().await.unwrap();
        stream.write_all(b"EHLO generator.test\r\n").await.unwrap();
        expect(&mut stream, &mut unread, "250").await;
        Self { stream, unread }
    }

    /// One message: the commands in one go (RFC 2920), then the content.
    async fn send(&mut self, letter: &Letter, run: u32, number: u64) -> Result<(), String> {
        let commands = format!("MAIL FROM:<{}>\r\nRCPT TO:<{}>\r\nDATA\r\n", letter.from, letter.to);
        self.stream.write_all(commands.as_bytes()).await.unwrap();
        let mut message = letter.message(run, number);
        message.extend_from_slice(b".\r\n");
        let mut refusal = None;
        for wanted in ["250", "250", "354"] {
            let reply = reply(&mut self.stream, &mut self.unread).await;
            if !reply.starts_with(wanted) {
                refusal.get_or_insert(reply);
            }
        }
        if let Some(refusal) = refusal {
            self.stream.write_all(b"RSET\r\n").await.unwrap();
            let _ = reply(&mut self.stream, &mut self.unread).await;
            return Err(refusal);
        }
        self.stream.write_all(&message).await.unwrap();
        let last = reply(&mut self.stream, &mut self.unread).await;
        if last.starts_with("250") { Ok(()) } else { Err(last) }
    }

    async fn quit(&mut self) {
        // The peer's last word changes nothing.
        let _ = self.stream.write_all(b"QUIT\r\n").await;
        let _ = self.stream.shutdown().await;
    }
}

async fn expect<S: AsyncReadExt + Unpin>(stream: &mut S, unread: &mut Vec<u8>, code: &str) {
    let reply = reply(stream, unread).await;
    assert!(reply.starts_with(code), "{reply}");
}

/// The last line of the next reply.
async fn reply<S: AsyncReadExt + Unpin>(stream: &mut S, unread: &mut Vec<u8>) -> String {
    loop {
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            if line.get(3) != Some(&b'-') {
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
        }
        let read = stream.read_buf(unread).await.unwrap();
        assert!(read > 0, "the server closed the connection");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_the_size_asked_for_and_an_id_of_their_own() {
        let letter = Letter::new("a@a.test", "b@b.test", 10_240);
        let message = letter.message(3, 41);
        assert!((10_100..=10_300).contains(&message.len()), "{}", message.len());
        let text = String::from_utf8(message).unwrap();
        assert!(text.contains("Message-ID: <bench.3.41@generator.test>\r\n"));
        assert!(text.ends_with("--b--\r\n"));
        assert!(!text.contains("\r\n."), "needs no dot stuffing");
        assert_eq!(read_id(&id(3, 41)), Some((3, 41)));
        assert_eq!(read_id("bench.3@generator.test"), None);
    }
}
