//! LDAP v3 (RFC 4511) as a client that searches and counts.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use openssl::ssl::SslStream;

/// What must be true of an entry.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them.
    All(Vec<Filter>),
    /// One of them.
    Any(Vec<Filter>),
    /// `(attribute=value)`.
    Equal(&'static str, String),
    /// `(attribute=value*)`.
    Starts(&'static str, String),
    /// `(attribute=*value*)`.
    Contains(&'static str, String),
    /// `(attribute=*value*value*)`.
    InOrder(&'static str, Vec<String>),
    /// `(attribute~=value)`.
    Like(&'static str, String),
    /// `(attribute=*)`.
    Has(&'static str),
}

impl Filter {
    /// As it goes over the wire (RFC 4511 §4.5.1).
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let list = |parts: &[Self]| parts.iter().flat_map(Self::octets).collect::<Vec<u8>>();
        let pair = |tag, name: &str, value: &str| {
            element(tag, &[element(0x04, name.as_bytes()), element(0x04, value.as_bytes())].concat())
        };
        let parts = |name: &str, pieces: &[u8]| {
            element(0xa4, &[element(0x04, name.as_bytes()), element(0x30, pieces)].concat())
        };
        let part = |name: &str, kind, value: &str| parts(name, &element(kind, value.as_bytes()));
        match self {
            Self::All(parts) => element(0xa0, &list(parts)),
            Self::Any(parts) => element(0xa1, &list(parts)),
            Self::Equal(name, value) => pair(0xa3, name, value),
            Self::Like(name, value) => pair(0xa8, name, value),
            Self::Starts(name, value) => part(name, 0x80, value),
            Self::Contains(name, value) => part(name, 0x81, value),
            Self::InOrder(name, values) => {
                let pieces = values.iter().map(|value| element(0x81, value.as_bytes())).collect::<Vec<_>>();
                parts(name, &pieces.concat())
            }
            Self::Has(name) => element(0x87, name.as_bytes()),
        }
    }
}

/// As people write it (RFC 4515), nothing escaped.
impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |parts: &[Self]| parts.iter().map(Self::to_string).collect::<String>();
        match self {
            Self::All(parts) => write!(out, "(&{})", list(parts)),
            Self::Any(parts) => write!(out, "(|{})", list(parts)),
            Self::Equal(name, value) => write!(out, "({name}={value})"),
            Self::Starts(name, value) => write!(out, "({name}={value}*)"),
            Self::Contains(name, value) => write!(out, "({name}=*{value}*)"),
            Self::InOrder(name, values) => write!(out, "({name}=*{}*)", values.join("*")),
            Self::Like(name, value) => write!(out, "({name}~={value})"),
            Self::Has(name) => write!(out, "({name}=*)"),
        }
    }
}

/// What a search brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Entries that came.
    pub entries: usize,
    /// Result code: 0 = all of them, 4 = there are more than were wanted.
    pub code: u8,
}

impl Found {
    /// Whether the server did what it was asked to.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self.code, 0 | 4)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Ldap {
    stream: SslStream<TcpStream>,
    unread: Vec<u8>,
    number: u32,
    base: String,
}

impl Ldap {
    /// Connects with TLS at once and binds as nobody.
    #[must_use]
    pub fn connect(at: SocketAddr, base: &str) -> Self {
        let stream = super::connected(at);
        let mut client = Self { stream, unread: Vec::new(), number: 0, base: base.to_owned() };
        let bind = [element(0x02, &[3]), element(0x04, b""), element(0x80, b"")].concat();
        client.say(&element(0x60, &bind)).unwrap();
        let (_, answer) = client.answer().unwrap();
        assert_eq!(answer.get(2), Some(&0), "bind refused: {answer:?}");
        client
    }

    /// Searches below the base for at most so many entries, with what a list shows of each.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub fn search(&mut self, filter: &Filter, most: u8) -> io::Result<Found> {
        let wanted = ["cn", "mail", "employeeType", "l"];
        let attributes: Vec<u8> = wanted.iter().flat_map(|name| element(0x04, name.as_bytes())).collect();
        let request = [
            element(0x04, self.base.as_bytes()),
            element(0x0a, &[2]),
            element(0x0a, &[0]),
            element(0x02, &[0, most]),
            element(0x02, &[0]),
            element(0x01, &[0]),
            filter.octets(),
            element(0x30, &attributes),
        ];
        self.say(&element(0x63, &request.concat()))?;
        let mut entries = 0;
        loop {
            match self.answer()? {
                (0x64, _) => entries += 1,
                (0x65, done) => return Ok(Found { entries, code: done.get(2).copied().unwrap_or(u8::MAX) }),
                (0x73, _) => {}
                (other, _) => return Err(io::Error::other(format!("answer {other:#x} to a search"))),
            }
        }
    }

    fn say(&mut self, operation: &[u8]) -> io::Result<()> {
        self.number += 1;
        // Four octets: slapd takes no more, although they would say the same.
        let number = element(0x02, &self.number.to_be_bytes());
        self.stream.write_all(&element(0x30, &[number, operation.to_vec()].concat()))
    }

    /// Kind and content of the next answer.
    fn answer(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some((_, message, rest)) = split(&self.unread) {
                let (_, _, after_number) = split(message).expect("a number");
                let (tag, content, _) = split(after_number).expect("an operation");
                let answer = (tag, content.to_vec());
                let used = self.unread.len() - rest.len();
                self.unread.drain(..used);
                return Ok(answer);
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

/// An element with this content (X.690 §8.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => all.push(short),
        _ => {
            all.push(0x84);
            all.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    all.extend_from_slice(content);
    all
}

/// Tag and content of the first element and what comes after it, once it is whole.
fn split(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*octets.first()?, *octets.get(1)?);
    let digits = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    let long = octets.get(2..2 + digits)?.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
    let length = if digits == 0 { usize::from(first) } else { long };
    let content = octets.get(2 + digits..)?;
    Some((tag, content.get(..length)?, content.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_apart_as_they_were_made() {
        for length in [0, 1, 127, 128, 300, 70_000] {
            let content = vec![7; length];
            let mut octets = element(0x30, &content);
            assert!(split(&octets[..octets.len() - 1]).is_none());
            octets.extend_from_slice(b"rest");
            assert_eq!(split(&octets), Some((0x30, content.as_slice(), b"rest".as_slice())));
        }
    }

    #[test]
    fn a_filter_is_spelled_as_the_rfc_says() {
        let filter = Filter::All(vec![Filter::Starts("sn", "ab".into()), Filter::Equal("l", "x".into())]);
        let wanted = b"\xa0\x14\xa4\x0a\x04\x02sn\x30\x04\x80\x02ab\xa3\x06\x04\x01l\x04\x01x";
        assert_eq!(filter.octets().escape_ascii().to_string(), wanted.escape_ascii().to_string());
        let filter = Filter::Any(vec![Filter::InOrder("cn", vec!["a".into(), "b".into()]), Filter::Has("mail")]);
        let wanted = b"\xa1\x14\xa4\x0c\x04\x02cn0\x06\x81\x01a\x81\x01b\x87\x04mail";
        assert_eq!(filter.octets().escape_ascii().to_string(), wanted.escape_ascii().to_string());
    }
}
