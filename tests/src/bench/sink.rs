//! A sink that takes mail as fast as it comes and counts it by Message-ID: another operator's server
//! (TLS with its certificate, asks for the client's), or an inner mail store (LMTP in clear).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openssl::ssl::{Ssl, SslAcceptor, SslContext, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_openssl::SslStream;

use super::load::read_id;
use crate::certs::Credentials;

/// Messages of a run that are kept, spread over it.
const SAMPLE: usize = 25;
/// One message in so many is a candidate for the sample.
const EVERY: u64 = 97;
/// Where a Message-ID is looked for.
const HEADER: usize = 8 * 1024;

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Messages, each counted once.
    pub messages: u64,
    /// Messages that came again.
    pub repeated: u64,
    /// When each message came, by its number.
    pub at: HashMap<u64, Instant>,
    /// When the last one came.
    pub last: Option<Instant>,
    /// Some of them, as they came.
    pub sample: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    runs: Mutex<HashMap<u32, Arrived>>,
    changed: Notify,
    sessions: Mutex<Sessions>,
}

/// Connections taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sessions {
    /// All of them.
    pub all: u64,
    /// Those whose client showed no certificate.
    pub anonymous: u64,
}

/// A sink that runs until its runtime ends.
#[derive(Debug)]
pub struct Sink {
    state: Arc<State>,
}

impl Sink {
    /// Another operator's server.
    pub async fn operator(address: SocketAddr, identity: &(Credentials, Vec<X509>)) -> Self {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        let (credentials, chain) = identity;
        builder.set_certificate(&credentials.certificate).unwrap();
        builder.set_private_key(&credentials.key).unwrap();
        for certificate in chain {
            builder.add_extra_chain_cert(certificate.clone()).unwrap();
        }
        // Asked for and counted; judging it is not what is measured here.
        builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        builder.set_session_id_context(b"sink").unwrap();
        Self::start(address, Some(builder.build().into_context())).await
    }

    /// An inner mail store that speaks LMTP in clear.
    pub async fn inner_store(address: SocketAddr) -> Self {
        Self::start(address, None).await
    }

    async fn start(address: SocketAddr, tls: Option<SslContext>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                // A client that breaks off has lost its own message only.
                tokio::spawn(async move { serve(&state, stream, tls.as_ref()).await });
            }
        });
        Self { state }
    }

    /// What has come of a run; waits until it is `count` messages or `patience` is over.
    pub async fn wait(&self, run: u32, count: u64, patience: Duration) -> Arrived {
        self.wait_until(run, count, patience, |arrived| arrived.messages).await
    }

    /// The same for a load that sends some messages several times.
    pub async fn wait_all(&self, run: u32, count: u64, patience: Duration) -> Arrived {
        self.wait_until(run, count, patience, |arrived| arrived.messages + arrived.repeated).await
    }

    async fn wait_until(&self, run: u32, count: u64, patience: Duration, counted: impl Fn(&Arrived) -> u64) -> Arrived {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.state.changed.notified();
            let arrived = self.state.runs.lock().unwrap().get(&run).map_or(0, &counted);
            if arrived >= count || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return self.state.runs.lock().unwrap().get(&run).cloned().unwrap_or_default();
            }
        }
    }

    /// Connections so far.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        *self.state.sessions.lock().unwrap()
    }
}

impl State {
    fn take(&self, message: &[u8]) {
        let now = Instant::now();
        let Some((run, number)) = message_id(message).and_then(read_id) else { return };
        let mut runs = self.runs.lock().unwrap();
        let arrived = runs.entry(run).or_default();
        arrived.last = Some(now);
        if arrived.at.insert(number, now).is_some() {
            arrived.repeated += 1;
            drop(runs);
            self.changed.notify_waiters();
            return;
        }
        arrived.messages += 1;
        if number.is_multiple_of(EVERY) && arrived.sample.len() < SAMPLE {
            arrived.sample.push(message.to_vec());
        }
        drop(runs);
        self.changed.notify_waiters();
    }
}

/// The Message-ID of a header, without its angle brackets.
fn message_id(message: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"\r\nmessage-id: <";
    let header = message.get(..message.len().min(HEADER))?;
    let start = header.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME))? + NAME.len();
    let end = header[start..].iter().position(|byte| *byte == b'>')?;
    std::str::from_utf8(&header[start..start + end]).ok()
}

async fn serve(state: &State, mut stream: TcpStream, tls: Option<&SslContext>) -> std::io::Result<()> {
    stream.write_all(b"220 sink.test\r\n").await?;
    let starttls = converse(state, &mut stream, if tls.is_some() { Kind::BeforeTls } else { Kind::Inner }).await?;
    let (true, Some(tls)) = (starttls, tls) else { return Ok(()) };
    let mut stream = SslStream::new(Ssl::new(tls)?, stream)?;
    if Pin::new(&mut stream).accept().await.is_err() {
        return Ok(());
    }
    {
        let mut sessions = state.sessions.lock().unwrap();
        sessions.all += 1;
        sessions.anonymous += u64::from(stream.ssl().peer_certificate().is_none());
    }
    converse(state, &mut stream, Kind::Tls).await?;
    let _ = stream.shutdown().await;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    BeforeTls,
    Tls,
    Inner,
}

/// Talks until QUIT or the end (`false`), or until STARTTLS (`true`).
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    state: &State,
    stream: &mut S,
    kind: Kind,
) -> std::io::Result<bool> {
    let mut input: Vec<u8> = Vec::with_capacity(64 * 1024);
    let mut output = Vec::new();
    loop {
        while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = input.drain(..=end).collect();
            let word: Vec<u8> = line.iter().take(4).map(u8::to_ascii_uppercase).collect();
            match word.as_slice() {
                b"EHLO" | b"LHLO" => output.extend_from_slice(hello(kind)),
                b"STAR" if kind == Kind::BeforeTls => {
                    stream.write_all(b"220 2.0.0 Go on\r\n").await?;
                    return Ok(true);
                }
                b"MAIL" | b"RCPT" if kind == Kind::BeforeTls => output.extend_from_slice(b"530 5.7.0 TLS first\r\n"),
                b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => output.extend_from_slice(b"250 2.0.0 OK\r\n"),
                b"DATA" => {
                    output.extend_from_slice(b"354 Go on\r\n");
                    stream.write_all(&std::mem::take(&mut output)).await?;
                    // What follows the dot is the next command: clients may send it ahead (RFC 2920).
                    let end = loop {
                        if let Some(end) = end_of_data(&input) {
                            break end;
                        }
                        if stream.read_buf(&mut input).await? == 0 {
                            return Ok(false);
                        }
                    };
                    state.take(&input[..end]);
                    input.drain(..end + DOT.len());
                    output.extend_from_slice(b"250 2.0.0 Taken\r\n");
                }
                b"QUIT" => {
                    stream.write_all(b"221 2.0.0 Bye\r\n").await?;
                    return Ok(false);
                }
                _ => output.extend_from_slice(b"502 5.5.1 What?\r\n"),
            }
        }
        if !output.is_empty() {
            stream.write_all(&std::mem::take(&mut output)).await?;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(false);
        }
    }
}

/// The line that ends a message.
const DOT: &[u8] = b".\r\n";

/// Where the content ends: before the dot that stands alone on its line.
fn end_of_data(input: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n.\r\n";
    let end = input.len().saturating_sub(END.len());
    // Nearly always at the very end, when the last piece has come.
    let found = if input.ends_with(END) { Some(end) } else { input.windows(END.len()).position(|five| five == END) };
    found.map(|at| at + 2)
}

fn hello(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::BeforeTls => b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250 SIZE\r\n",
        Kind::Tls | Kind::Inner => {
            b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250 SIZE\r\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::{Endpoint, Letter, Plan, send};
    use crate::certs::{Authority, Use};
    use crate::place::free_endpoint;

    #[test]
    fn ids_are_found_in_headers() {
        let message = b"Received: x\r\nMESSAGE-ID: <bench.1.2@generator.test>\r\n\r\n";
        assert_eq!(message_id(message).and_then(read_id), Some((1, 2)));
        assert_eq!(message_id(b"Subject: x\r\n\r\n"), None);
    }

    #[test]
    fn a_command_behind_the_dot_is_seen() {
        assert_eq!(end_of_data(b"x\r\n.\r\n"), Some(3));
        assert_eq!(end_of_data(b"x\r\n.\r\nQUIT\r\n"), Some(3));
        assert_eq!(end_of_data(b"x\r\n..\r\n"), None);
        assert_eq!(end_of_data(b"x"), None);
    }

    #[tokio::test]
    async fn what_is_sent_arrives_once_and_is_counted() {
        let authority = Authority::new("Test root");
        let server = (authority.issue("sink.test", &Use::Server(&["sink.test"], None)), vec![]);
        let client = (authority.issue("mta.test", &Use::Client), vec![]);
        let address = free_endpoint();
        let sink = Sink::operator(address, &server).await;
        let endpoint = Endpoint::new(address, "sink.test", authority.certificate(), &client);
        let letter = Letter::new("a@a.test", "b@b.test", 2000);
        let plan = Plan { run: 7, connections: 3, time: Duration::from_millis(50), rate: Some(1000.0) };
        let sent = send(&endpoint, &letter, plan).await;
        assert!(sent.refused.is_empty(), "{:?}", sent.refused);
        let arrived = sink.wait(7, sent.accepted, Duration::from_secs(30)).await;
        assert_eq!((arrived.messages, arrived.repeated), (sent.accepted, 0));
        assert_eq!(arrived.sample[0], letter.message(7, 0));
        assert_eq!((sink.sessions().all, sink.sessions().anonymous), (3, 0));
    }
}
