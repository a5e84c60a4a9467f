//! HTTP/1.1 as a client that keeps its connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use openssl::ssl::SslStream;

/// One connection.
#[derive(Debug)]
pub struct Http {
    stream: SslStream<TcpStream>,
    unread: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    /// Status code.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Got {
    /// A field of the head, empty where there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        found.next().unwrap_or_default()
    }
}

impl Http {
    /// Connects.
    #[must_use]
    pub fn connect(at: SocketAddr) -> Self {
        Self { stream: super::connected(at), unread: Vec::new() }
    }

    /// GET.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub fn get(&mut self, path: &str) -> io::Result<Got> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: annuaire.test\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let end = self.read_until(|unread| unread.windows(4).position(|four| four == b"\r\n\r\n"))?;
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let mut got = Got { status, head, body: Vec::new() };
        let length = got.field("content-length").parse::<usize>();
        let whole = end + 4 + length.map_err(|_| io::Error::other(format!("no length: {}", got.head)))?;
        self.read_until(|unread| (unread.len() >= whole).then_some(whole))?;
        got.body = self.unread[end + 4..whole].to_vec();
        self.unread.drain(..whole);
        Ok(got)
    }

    fn read_until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> io::Result<usize> {
        loop {
            if let Some(at) = found(&self.unread) {
                return Ok(at);
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }
}

/// A value as it stands in a query.
#[must_use]
pub fn encoded(value: &str) -> String {
    let octet = |octet: u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => char::from(octet).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(octet).collect()
}
