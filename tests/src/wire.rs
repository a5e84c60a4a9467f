//! SMTP and LMTP spoken by hand: one line or any bytes at a time, over TCP or TLS. It knows nothing
//! of the protocol beyond the form of a reply, so it can say what no honest client would.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509;

use crate::certs::Credentials;
use crate::process::PATIENCE;

/// How the TLS side of a [`Wire`] behaves.
#[derive(Clone, Debug, Default)]
pub struct TlsClient {
    roots: Vec<X509>,
    identity: Option<(Credentials, Vec<X509>)>,
    highest: Option<SslVersion>,
}

impl TlsClient {
    /// Trusts whatever it meets: for tests about something else than the server's certificate.
    #[must_use]
    pub fn trusting_all() -> Self {
        Self::default()
    }

    /// Trusts these roots and checks the server's host name.
    #[must_use]
    pub fn trusting(roots: &[X509]) -> Self {
        Self { roots: roots.to_vec(), ..Self::default() }
    }

    /// Presents this certificate.
    #[must_use]
    pub fn with_identity(mut self, identity: &Credentials, chain: &[X509]) -> Self {
        self.identity = Some((identity.clone(), chain.to_vec()));
        self
    }

    /// Speaks no TLS version above this one.
    #[must_use]
    pub fn up_to(mut self, version: SslVersion) -> Self {
        self.highest = Some(version);
        self
    }

    fn connector(&self) -> SslConnector {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        if self.roots.is_empty() {
            builder.set_verify(SslVerifyMode::NONE);
        } else {
            for root in &self.roots {
                builder.cert_store_mut().add_cert(root.clone()).unwrap();
            }
        }
        if let Some((identity, chain)) = &self.identity {
            builder.set_certificate(&identity.certificate).unwrap();
            builder.set_private_key(&identity.key).unwrap();
            for certificate in chain {
                builder.add_extra_chain_cert(certificate.clone()).unwrap();
            }
        }
        builder.set_max_proto_version(self.highest).unwrap();
        builder.build()
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
    /// Only while one kind is being made into the other.
    Gone,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Gone => Ok(0),
        }
    }
}

impl Stream {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
            Self::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// One reply: its code and the text of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// What follows the digits on each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// A connection on which the test says what it likes.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    unread: Vec<u8>,
    transcript: String,
}

impl Wire {
    /// Connects without TLS.
    #[must_use]
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap_or_else(|error| panic!("{to}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Stream::Plain(stream), unread: Vec::new(), transcript: String::new() }
    }

    /// Waits so long for answers: those to very large messages, of which many come at once. TLS reads and
    /// writes over the same socket.
    #[must_use]
    pub fn patient(self, patience: std::time::Duration) -> Self {
        let socket = match &self.stream {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(stream) => Some(stream.get_ref()),
            Stream::Gone => None,
        };
        if let Some(socket) = socket {
            socket.set_read_timeout(Some(patience)).unwrap();
            socket.set_write_timeout(Some(patience)).unwrap();
        }
        self
    }

    /// Connects and begins TLS at once (port 465).
    #[must_use]
    #[track_caller]
    pub fn connect_tls(to: SocketAddr, host: &str, tls: &TlsClient) -> Self {
        let mut wire = Self::connect(to);
        wire.begin_tls(host, tls).unwrap_or_else(|error| panic!("TLS with {to}: {error}"));
        wire
    }

    /// Says EHLO and STARTTLS, shakes hands and says EHLO again.
    #[track_caller]
    pub fn start_tls(&mut self, host: &str, tls: &TlsClient) -> Reply {
        self.exchange("STARTTLS", 220);
        if let Err(error) = self.begin_tls(host, tls) {
            panic!("TLS after STARTTLS: {error}\n{}", self.transcript);
        }
        self.exchange("EHLO wire.test", 250)
    }

    /// The TLS handshake alone; an error says what broke it.
    ///
    /// # Errors
    /// What OpenSSL said.
    pub fn begin_tls(&mut self, host: &str, tls: &TlsClient) -> Result<(), String> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err("there is no plain connection left".to_owned());
        };
        let stream = tls.connector().connect(host, stream).map_err(|error| error.to_string())?;
        let _ = writeln!(self.transcript, "-- {} with {host}", stream.ssl().version_str());
        self.stream = Stream::Tls(stream);
        Ok(())
    }

    /// The certificate that the server showed.
    #[must_use]
    pub fn server_certificate(&self) -> Option<X509> {
        match &self.stream {
            Stream::Tls(stream) => stream.ssl().peer_certificate(),
            _ => None,
        }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = writeln!(self.transcript, "C: {}", bytes.escape_ascii());
        if let Err(error) = self.stream.send(bytes) {
            panic!("sending: {error}\n{}", self.transcript);
        }
    }

    /// Sends bytes to a peer that may have gone already.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        let _ = writeln!(self.transcript, "C: {}", bytes.escape_ascii());
        self.stream.send(bytes).is_ok()
    }

    /// Sends a line.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// Reads one reply, of however many lines.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.line() else {
                panic!("the peer closed the connection where a reply was due\n{}", self.transcript);
            };
            let _ = writeln!(self.transcript, "S: {line}");
            let well_formed = line.len() >= 3 && line.is_char_boundary(3) && line[..3].parse::<u16>().is_ok();
            assert!(well_formed, "not a reply: {line:?}\n{}", self.transcript);
            lines.push(line[3..].get(1..).unwrap_or_default().to_owned());
            if !line[3..].starts_with('-') {
                return Reply { code: line[..3].parse().unwrap(), lines };
            }
        }
    }

    /// Reads one reply, which must have this code.
    #[track_caller]
    pub fn expect(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert!(reply.code == code, "expected {code}, got {} {}\n{}", reply.code, reply.text(), self.transcript);
        reply
    }

    /// Sends a line and reads its reply, which must have this code.
    #[track_caller]
    pub fn exchange(&mut self, line: &str, code: u16) -> Reply {
        self.say(line);
        self.expect(code)
    }

    /// Reads until the peer closes the connection; what it still said comes back. A peer that stays
    /// fails the test.
    #[track_caller]
    pub fn expect_close(&mut self) -> String {
        let mut rest = String::new();
        while let Some(line) = self.line() {
            let _ = writeln!(self.transcript, "S: {line}");
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }

    /// Everything said on both sides.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Plays a script, one step a line: `C: TEXT` sends a line, `S: 250` expects a reply whose code
    /// and text begin so, `S: -` expects the peer to close, `#` begins a comment.
    #[track_caller]
    pub fn play(&mut self, script: &str) {
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty() && !step.starts_with('#')) {
            match step.split_at_checked(3) {
                Some(("C: ", line)) => self.say(line),
                Some(("S: ", "-")) => drop(self.expect_close()),
                Some(("S: ", expected)) => {
                    let reply = self.reply();
                    let got = format!("{} {}", reply.code, reply.text());
                    assert!(got.starts_with(expected), "expected {expected}, got {got}\n{}", self.transcript);
                }
                _ => panic!("not a step of a script: {step}"),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the peer said nothing for too long\n{}", self.transcript)
                }
                Err(_) => return None,
            }
        }
    }
}
