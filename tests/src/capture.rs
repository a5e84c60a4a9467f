//! A mail server that keeps what it is sent: the far end of a relay, or the inner mail store, as a
//! test wants to see it. Plain SMTP or LMTP, STARTTLS with a client certificate asked for.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;

use crate::certs::Credentials;
use crate::place::free_endpoint;
use crate::process::PATIENCE;

/// One message as it came over the wire.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The client's certificate, where it showed one.
    pub peer: Option<X509>,
    /// The TLS version, where there was TLS.
    pub tls: Option<String>,
    /// What the client called itself.
    pub hello: String,
    /// The whole argument of MAIL FROM, parameters included.
    pub sender: String,
    /// The whole argument of each RCPT TO that was accepted.
    pub recipients: Vec<String>,
    /// The message, dots unstuffed, line ends as they came.
    pub message: Vec<u8>,
}

type Answers = dyn Fn(&str) -> Option<String> + Send + Sync;
type Taker = dyn Fn(Captured) + Send + Sync;

/// How a [`Sink`] behaves.
#[derive(Clone)]
pub struct SinkOptions {
    at: Option<SocketAddr>,
    lmtp: bool,
    tls: Option<(Credentials, Vec<X509>, Vec<X509>)>,
    answers: Arc<Answers>,
    taker: Option<Arc<Taker>>,
}

impl std::fmt::Debug for SinkOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SinkOptions").field("lmtp", &self.lmtp).finish_non_exhaustive()
    }
}

impl SinkOptions {
    /// SMTP without TLS, accepting everything.
    #[must_use]
    pub fn smtp() -> Self {
        Self { at: None, lmtp: false, tls: None, answers: Arc::new(|_| None), taker: None }
    }

    /// LMTP without TLS, accepting everything (one final reply for each recipient, RFC 2033 §4.2).
    #[must_use]
    pub fn lmtp() -> Self {
        Self { lmtp: true, ..Self::smtp() }
    }

    /// Offers STARTTLS, demands a client certificate under one of `client_roots`, and refuses mail
    /// before TLS.
    #[must_use]
    pub fn mutual_tls(mut self, server: &Credentials, chain: &[X509], client_roots: &[X509]) -> Self {
        self.tls = Some((server.clone(), chain.to_vec(), client_roots.to_vec()));
        self
    }

    /// Listens here instead of at a free endpoint.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.at = Some(address);
        self
    }

    /// Answers otherwise than "accepted": the function sees each command line (and `.` at the end of
    /// the message, `. <recipient>` for each under LMTP) and gives the reply, or `None` for the
    /// usual one.
    #[must_use]
    pub fn answering(mut self, answers: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.answers = Arc::new(answers);
        self
    }

    /// Hands each message over, before its reply, instead of keeping it: for tests with very many.
    #[must_use]
    pub fn giving_to(mut self, taker: impl Fn(Captured) + Send + Sync + 'static) -> Self {
        self.taker = Some(Arc::new(taker));
        self
    }
}

#[derive(Debug, Default)]
struct Kept {
    messages: Mutex<Vec<Captured>>,
    changed: Condvar,
    closing: AtomicBool,
}

/// A running server that keeps what it is sent.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl Sink {
    /// Starts one.
    #[must_use]
    pub fn start(options: SinkOptions) -> Self {
        let address = options.at.unwrap_or_else(free_endpoint);
        let listener = TcpListener::bind(address).unwrap();
        let kept = Arc::new(Kept::default());
        let acceptor = options.tls.as_ref().map(|(server, chain, roots)| acceptor(server, chain, roots));
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.closing.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (options, acceptor, kept) = (options.clone(), acceptor.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &options, acceptor.as_ref(), &kept));
            }
        });
        Self { address, kept }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has been sent so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Captured> {
        self.kept.messages.lock().unwrap().clone()
    }

    /// Waits until it has been sent at least `count` messages.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Captured> {
        let deadline = Instant::now() + PATIENCE;
        let mut messages = self.kept.messages.lock().unwrap();
        while messages.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} messages came", messages.len());
            messages = self.kept.changed.wait_timeout(messages, left).unwrap().0;
        }
        messages.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.kept.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that waits in accept.
        let _ = TcpStream::connect(self.address);
    }
}

fn acceptor(server: &Credentials, chain: &[X509], roots: &[X509]) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&server.certificate).unwrap();
    builder.set_private_key(&server.key).unwrap();
    for certificate in chain {
        builder.add_extra_chain_cert(certificate.clone()).unwrap();
    }
    for root in roots {
        builder.cert_store_mut().add_cert(root.clone()).unwrap();
        builder.add_client_ca(root).unwrap();
    }
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    builder.build()
}

fn serve(stream: TcpStream, options: &SinkOptions, acceptor: Option<&SslAcceptor>, kept: &Kept) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut session = Session { options, kept, hello: String::new(), peer: None, tls: None };
    let mut plain = Lines::new(stream);
    plain.say("220 sink.test ESMTP");
    if session.talk(&mut plain, acceptor.is_some()) == Next::Tls
        && let Some(acceptor) = acceptor
        && let Ok(encrypted) = acceptor.accept(plain.stream.into_inner())
    {
        session.note_peer(&encrypted);
        session.talk(&mut Lines::new(encrypted), false);
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Tls,
    End,
}

struct Session<'a> {
    options: &'a SinkOptions,
    kept: &'a Kept,
    hello: String,
    peer: Option<X509>,
    tls: Option<String>,
}

impl Session<'_> {
    fn note_peer(&mut self, stream: &SslStream<TcpStream>) {
        self.peer = stream.ssl().peer_certificate();
        self.tls = Some(stream.ssl().version_str().to_owned());
    }

    fn talk<S: Read + Write>(&mut self, lines: &mut Lines<S>, tls_first: bool) -> Next {
        let (mut sender, mut recipients) = (String::new(), Vec::new());
        while let Some(line) = lines.line() {
            let command = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let answer = (self.options.answers)(&command);
            let accepted = answer.as_ref().is_none_or(|answer| answer.starts_with('2') || answer.starts_with('3'));
            let argument =
                || command.split_once(':').map(|(_, argument)| argument.trim().to_owned()).unwrap_or_default();
            let usual = match verb.as_str() {
                "EHLO" | "LHLO" | "HELO" => {
                    self.hello = command.get(5..).unwrap_or_default().to_owned();
                    if tls_first { EXTENSIONS_WITH_TLS } else { EXTENSIONS }
                }
                "STARTTLS" if tls_first => {
                    lines.say(answer.as_deref().unwrap_or("220 2.0.0 go ahead"));
                    return if accepted { Next::Tls } else { Next::End };
                }
                "MAIL" | "RCPT" if tls_first => "530 5.7.0 STARTTLS first",
                "MAIL" => {
                    sender = argument();
                    "250 2.1.0 sender noted"
                }
                "RCPT" => {
                    if accepted {
                        recipients.push(argument());
                    }
                    "250 2.1.5 recipient noted"
                }
                "DATA" if accepted && !recipients.is_empty() => {
                    lines.say(answer.as_deref().unwrap_or("354 go on"));
                    let Some(message) = lines.message() else { return Next::End };
                    self.keep(lines, &mut sender, &mut recipients, message);
                    continue;
                }
                "DATA" => "503 5.5.1 no recipient",
                "RSET" => {
                    recipients.clear();
                    "250 2.0.0 forgotten"
                }
                "NOOP" => "250 2.0.0 nothing done",
                "QUIT" => {
                    lines.say("221 2.0.0 bye");
                    return Next::End;
                }
                _ => "500 5.5.2 not known here",
            };
            lines.say(answer.as_deref().unwrap_or(usual));
        }
        Next::End
    }

    fn keep<S: Read + Write>(
        &self,
        lines: &mut Lines<S>,
        sender: &mut String,
        recipients: &mut Vec<String>,
        message: Vec<u8>,
    ) {
        let recipients = std::mem::take(recipients);
        let asked: Vec<String> = if self.options.lmtp {
            recipients.iter().map(|recipient| format!(". {recipient}")).collect()
        } else {
            vec![".".to_owned()]
        };
        let replies: Vec<String> = asked
            .iter()
            .map(|asked| (self.options.answers)(asked).unwrap_or_else(|| "250 2.0.0 kept".to_owned()))
            .collect();
        // Kept before the reply, so that whoever was told 250 finds it.
        if replies.iter().any(|reply| reply.starts_with('2')) {
            let captured = Captured {
                peer: self.peer.clone(),
                tls: self.tls.clone(),
                hello: self.hello.clone(),
                sender: std::mem::take(sender),
                recipients,
                message,
            };
            match &self.options.taker {
                Some(taker) => taker(captured),
                None => self.kept.messages.lock().unwrap().push(captured),
            }
            self.kept.changed.notify_all();
        }
        for reply in replies {
            lines.say(&reply);
        }
    }
}

const EXTENSIONS: &str =
    "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 104857600\r\n250 ENHANCEDSTATUSCODES";
const EXTENSIONS_WITH_TLS: &str = "250-sink.test\r\n250-PIPELINING\r\n250 STARTTLS";

struct Lines<S: Read> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Lines<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    fn say(&mut self, reply: &str) {
        // A client that has gone is noticed at the next read.
        let _ = self.stream.get_mut().write_all(format!("{reply}\r\n").as_bytes());
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        match std::io::BufRead::read_until(&mut self.stream, b'\n', &mut line) {
            Ok(count) if count > 0 => Some(line),
            _ => None,
        }
    }

    fn message(&mut self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let line = self.line()?;
            match line.as_slice() {
                b".\r\n" => return Some(message),
                [b'.', rest @ ..] => message.extend_from_slice(rest),
                line => message.extend_from_slice(line),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::{Authority, Use};
    use crate::wire::{TlsClient, Wire};

    #[test]
    fn keeps_a_message_as_it_came() {
        let sink = Sink::start(SinkOptions::smtp());
        let mut wire = Wire::connect(sink.address());
        wire.play("S: 220\nC: EHLO me.test\nS: 250\nC: MAIL FROM:<a@a.test> SIZE=9\nS: 250\nC: RCPT TO:<b@b.test>\nS: 250\nC: DATA\nS: 354");
        wire.send(b"Subject: x\r\n\r\n..dot\r\n.\r\n");
        wire.expect(250);
        let kept = sink.wait_for(1).remove(0);
        assert_eq!(kept.message, b"Subject: x\r\n\r\n.dot\r\n");
        assert_eq!((kept.sender.as_str(), kept.hello.as_str()), ("<a@a.test> SIZE=9", "me.test"));
        assert_eq!(kept.recipients, ["<b@b.test>"]);
    }

    #[test]
    fn lmtp_answers_for_each_recipient_and_as_told() {
        let sink = Sink::start(
            SinkOptions::lmtp().answering(|said| (said == ". <c@b.test>").then(|| "452 4.2.2 full".to_owned())),
        );
        let mut wire = Wire::connect(sink.address());
        wire.play("S: 220\nC: LHLO me.test\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<b@b.test>\nS: 250\nC: RCPT TO:<c@b.test>\nS: 250\nC: DATA\nS: 354\nC: x\nC: .\nS: 250\nS: 452 4.2.2\nC: QUIT\nS: 221\nS: -");
    }

    #[test]
    fn sees_the_certificate_of_its_client_and_takes_no_mail_without() {
        let authority = Authority::new("Test root");
        let server = authority.issue("sink.test", &Use::Server(&["sink.test"], None));
        let client = authority.issue("client.test", &Use::Client);
        let roots = [authority.certificate().clone()];
        let sink = Sink::start(SinkOptions::smtp().mutual_tls(&server, &[], &roots));

        let mut wire = Wire::connect(sink.address());
        wire.play("S: 220\nC: EHLO me.test\nS: 250\nC: MAIL FROM:<a@a.test>\nS: 530");
        wire.start_tls("sink.test", &TlsClient::trusting(&roots).with_identity(&client, &[]));
        wire.play(
            "C: MAIL FROM:<a@a.test>\nS: 250\nC: RCPT TO:<b@b.test>\nS: 250\nC: DATA\nS: 354\nC: x\nC: .\nS: 250",
        );
        let kept = sink.wait_for(1).remove(0);
        assert_eq!(kept.peer.unwrap().to_der().unwrap(), client.certificate.to_der().unwrap());
        assert_eq!(kept.tls.as_deref(), Some("TLSv1.3"));

        let mut nobody = Wire::connect(sink.address());
        nobody.play("S: 220\nC: EHLO me.test\nS: 250\nC: STARTTLS\nS: 220");
        // In TLS 1.3 a client learns of the refusal only when it reads.
        if nobody.begin_tls("sink.test", &TlsClient::trusting(&roots)).is_ok() {
            nobody.try_send(b"EHLO me.test\r\n");
            assert_eq!(nobody.expect_close(), "");
        }
    }
}
