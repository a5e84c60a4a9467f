//! HTTP spoken by hand over TLS: one request a connection, or what no honest client would send.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

use crate::certs::Credentials;
use crate::process::PATIENCE;
use crate::world::World;
use sceau::demo::space::IdentityFiles;

/// A server that is asked.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where it listens.
    pub at: SocketAddr,
    connector: SslConnector,
    host: String,
    from: Option<Ipv4Addr>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// Headers by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Page {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Site {
    /// The pages of a world's hospital A at this port, whose certificate is checked.
    #[must_use]
    pub fn of(world: &World, at: SocketAddr) -> Self {
        Self::with(world, at, None)
    }

    /// The same, showing a certificate.
    #[must_use]
    pub fn known(world: &World, at: SocketAddr, identity: &IdentityFiles) -> Self {
        Self::with(world, at, Some(identity))
    }

    fn with(world: &World, at: SocketAddr, identity: Option<&IdentityFiles>) -> Self {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
        builder.cert_store_mut().add_cert(world.root("servers")).unwrap();
        if let Some(identity) = identity {
            let (credentials, chain) = Credentials::load(&identity.certificate, &identity.key);
            builder.set_certificate(&credentials.certificate).unwrap();
            builder.set_private_key(&credentials.key).unwrap();
            for certificate in &chain {
                builder.add_extra_chain_cert(certificate.clone()).unwrap();
            }
        }
        Self { at, connector: builder.build(), host: sceau::demo::cast::Place::A.host(), from: None }
    }

    /// The same, asked from another address of this machine's loopback: another peer.
    #[must_use]
    pub fn from(self, address: Ipv4Addr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// A connection without TLS.
    #[must_use]
    #[track_caller]
    pub fn knock(&self) -> TcpStream {
        let stream = match self.from {
            None => TcpStream::connect_timeout(&self.at, PATIENCE).unwrap(),
            Some(from) => connected_from(from, self.at),
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection, TLS done.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> SslStream<TcpStream> {
        self.connector.connect(&self.host, self.knock()).unwrap_or_else(|error| panic!("TLS with {}: {error}", self.at))
    }

    /// GET, with further headers (`Name: value`).
    #[track_caller]
    pub fn get(&self, path: &str, headers: &[&str]) -> Page {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), headers, b"")
    }

    /// POST of a form.
    #[track_caller]
    pub fn post(&self, path: &str, body: &[u8]) -> Page {
        let length = format!("Content-Length: {}", body.len());
        let headers = ["Content-Type: application/x-www-form-urlencoded", &length];
        self.ask(&format!("POST {path} HTTP/1.1\r\n"), &headers, body)
    }

    /// Any request line, with the headers that every request needs.
    #[track_caller]
    pub fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Page {
        let mut request = format!("{line}Host: {}\r\nConnection: close\r\n", self.host);
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let mut stream = self.connect();
        // A server that refuses the head may close before it has read the body.
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        page(&answer).unwrap_or_else(|| panic!("{line:?}: no HTTP answer: {:?}", String::from_utf8_lossy(&answer)))
    }
}

/// The standard library cannot choose where a connection comes from.
fn connected_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let connected = async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(to).await?.into_std()
    };
    let stream = runtime.block_on(connected).unwrap_or_else(|error| panic!("from {from} to {to}: {error}"));
    stream.set_nonblocking(false).unwrap();
    stream
}

fn page(answer: &[u8]) -> Option<Page> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &answer[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|it| it == "chunked");
    Some(Page { status, headers, body: if chunked { unchunked(rest)? } else { rest.to_vec() } })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}
