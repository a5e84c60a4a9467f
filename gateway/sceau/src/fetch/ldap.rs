//! One LDAP search and its answer (RFC 4511): one entry, one attribute, as French revocation lists
//! are published (`ldap://host/dn?certificateRevocationList;binary`, RFC 4516 and 4523).
//!
//! Anonymous, without a bind (RFC 4511 §4.2.1 makes it optional). References are not followed: they
//! would lead to sites that nobody allowed.

use annuaire::ldap::ber::{self, Malformed, Reader, Writer, tag};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Answer, Fault, Limits, Place, Request, Tags, Wait, error::quoted, within};
use crate::net::wire::Wire;

/// Octets of an answer around the attribute itself: names, other messages.
const OVERHEAD: usize = 64 * 1024;
/// Messages of one answer.
const MAX_MESSAGES: usize = 8;
/// The number of our one question.
const ID: u32 = 1;

const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const REFERENCE: u8 = 0x73;
const EQUALITY: u8 = 0xa3;
const PRESENT: u8 = 0x87;
/// Result code of a referral (RFC 4511 §4.1.9).
const REFERRAL: u8 = 10;

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Protocol("it is no LDAP".to_owned())
    }
}

/// What an LDAP URL asks for (RFC 4516 §2), as far as we do.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    base: Vec<u8>,
    attribute: Vec<u8>,
    /// Attribute and value that the entry must have; without a value, the attribute.
    filter: (Vec<u8>, Option<Vec<u8>>),
}

pub(super) async fn ask(
    mut stream: Wire,
    place: &Place,
    request: &Request<'_>,
    limits: &Limits,
) -> Result<Answer, Fault> {
    let search = Search::of(place)?;
    stream.send(&search.encode()).await.map_err(Fault::Connect)?;
    let mut room = request.most.saturating_add(OVERHEAD);
    let mut found = None;
    let mut first = true;
    for _ in 0..MAX_MESSAGES {
        let next = announced(&mut stream);
        let length = if first { within(limits.first_octet, Wait::FirstOctet, next).await? } else { next.await? };
        first = false;
        // Checked before anything is kept for it.
        room = room.checked_sub(length).ok_or(Fault::TooLarge(request.most))?;
        let message = receive(&mut stream, length).await?;
        match read(&message, &search.attribute)? {
            Message::Value(value) if value.len() > request.most => return Err(Fault::TooLarge(request.most)),
            Message::Value(value) if found.is_none() => found = Some(value.to_vec()),
            Message::Value(_) => return Err(Fault::Protocol("several entries for one name".to_owned())),
            Message::Done => {
                return found.map(|octets| Answer::New { octets, tags: Tags::default() }).ok_or(Fault::NoAttribute);
            }
        }
    }
    Err(Fault::Protocol("too many messages for one entry".to_owned()))
}

impl Search {
    fn of(place: &Place) -> Result<Self, Fault> {
        let refused = |what: &str| Fault::Protocol(format!("the address asks for {what}, which we do not"));
        let (path, query) = place.parts();
        let base = decoded(path.strip_prefix('/').unwrap_or(path)).ok_or_else(|| refused("a malformed name"))?;
        let mut fields = query.unwrap_or_default().split('?');
        let mut field = || fields.next().filter(|field| !field.is_empty());
        let attribute = field().and_then(decoded).ok_or_else(|| refused("no attribute"))?;
        if attribute.contains(&b',') {
            return Err(refused("several attributes"));
        }
        if field().is_some_and(|scope| !scope.eq_ignore_ascii_case("base")) {
            return Err(refused("more than one entry"));
        }
        let filter = field().map_or(Some(b"objectClass=*".to_vec()), decoded).ok_or_else(|| refused("a bad filter"))?;
        let filter = filter.strip_prefix(b"(").and_then(|inner| inner.strip_suffix(b")")).unwrap_or(&filter);
        let equal = filter.iter().position(|octet| *octet == b'=').ok_or_else(|| refused("a complicated filter"))?;
        let (name, value) = filter.split_at(equal);
        let value = value.get(1..).unwrap_or_default();
        let plain = |text: &[u8]| !text.is_empty() && !text.iter().any(|octet| b"()*\\&|!<>~:".contains(octet));
        let filter = match value {
            b"*" if plain(name) => (name.to_vec(), None),
            value if plain(name) && plain(value) => (name.to_vec(), Some(value.to_vec())),
            _ => return Err(refused("a complicated filter")),
        };
        Ok(Self { base, attribute, filter })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.constructed(tag::SEQUENCE, |message| {
            message.number(tag::INTEGER, ID);
            message.constructed(SEARCH, |search| {
                search.put(tag::OCTETS, &self.base);
                // baseObject, neverDerefAliases, one entry, a minute of the server's time, values too.
                search.number(tag::ENUMERATED, 0);
                search.number(tag::ENUMERATED, 0);
                search.number(tag::INTEGER, 1);
                search.number(tag::INTEGER, 60);
                search.boolean(false);
                match &self.filter {
                    (name, Some(value)) => search.constructed(EQUALITY, |pair| {
                        pair.put(tag::OCTETS, name);
                        pair.put(tag::OCTETS, value);
                    }),
                    (name, None) => search.put(PRESENT, name),
                }
                search.constructed(tag::SEQUENCE, |list| list.put(tag::OCTETS, &self.attribute));
            });
        });
        out.into_octets()
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            // A number may have a sign, an octet may not (RFC 3986 §2.1).
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            out.push(*octet);
        }
    }
    Some(out)
}

/// The length of the next message.
async fn announced(stream: &mut (impl AsyncRead + Unpin)) -> Result<usize, Fault> {
    let mut head = Vec::new();
    loop {
        head.push(stream.read_u8().await.map_err(|_| Fault::Truncated)?);
        match head.split_first() {
            Some((&tag::SEQUENCE, rest)) => {
                if let Some((length, _)) = ber::length(rest)? {
                    return Ok(length);
                }
            }
            _ => return Err(Malformed.into()),
        }
    }
}

/// The content of one LDAPMessage. Grows with what really comes, not with what is announced.
async fn receive(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>, Fault> {
    let mut message = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    let read = stream.take(limit).read_to_end(&mut message).await.map_err(|_| Fault::Truncated)?;
    if read == length { Ok(message) } else { Err(Fault::Truncated) }
}

#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    Value(&'a [u8]),
    Done,
}

fn read<'a>(message: &'a [u8], attribute: &[u8]) -> Result<Message<'a>, Fault> {
    let mut message = Reader::new(message);
    if message.number(tag::INTEGER)? != ID {
        // Number 0 is how a server says goodbye (RFC 4511 §4.4.1).
        return Err(Fault::Protocol("an answer to another question".to_owned()));
    }
    let (kind, operation) = message.element()?;
    let mut operation = Reader::new(operation);
    match kind {
        ENTRY => {
            operation.expect(tag::OCTETS)?;
            value(operation.expect(tag::SEQUENCE)?, attribute).map(Message::Value)
        }
        REFERENCE => Err(Fault::Referral),
        DONE => match operation.expect(tag::ENUMERATED)? {
            [0] => Ok(Message::Done),
            [REFERRAL] => Err(Fault::Referral),
            code => {
                operation.expect(tag::OCTETS)?;
                let text = quoted(operation.expect(tag::OCTETS)?);
                Err(Fault::Directory { code: code.first().copied().unwrap_or(u8::MAX), text })
            }
        },
        _ => Err(Fault::Protocol("an answer of another kind".to_owned())),
    }
}

/// The one value of the one attribute of an entry.
fn value<'a>(attributes: &'a [u8], wanted: &[u8]) -> Result<&'a [u8], Fault> {
    let mut attributes = Reader::new(attributes);
    let mut found = None;
    while !attributes.is_empty() {
        let mut attribute = Reader::new(attributes.expect(tag::SEQUENCE)?);
        let name = attribute.expect(tag::OCTETS)?;
        // With or without `;binary`: servers differ in what they repeat (RFC 4522 §4).
        if !bare(name).eq_ignore_ascii_case(bare(wanted)) {
            continue;
        }
        let mut values = Reader::new(attribute.expect(tag::SET)?);
        while !values.is_empty() {
            if found.replace(values.element()?.1).is_some() {
                return Err(Fault::Protocol("several values where one was asked for".to_owned()));
            }
        }
    }
    found.ok_or(Fault::NoAttribute)
}

fn bare(name: &[u8]) -> &[u8] {
    name.split(|octet| *octet == b';').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(url: &str) -> Result<Search, Fault> {
        Search::of(&Place::parse(url).unwrap())
    }

    #[test]
    fn reads_the_addresses_of_french_lists() {
        let found = search(
            "ldap://annuaire.exemple.test/cn=TEST%20AC%20ELEMENTAIRE,ou=0002%20187512751,o=ASIP-SANTE,c=FR\
             ?certificaterevocationlist;binary?base?objectClass=pkiCA",
        )
        .unwrap();
        assert_eq!(found.base, b"cn=TEST AC ELEMENTAIRE,ou=0002 187512751,o=ASIP-SANTE,c=FR");
        assert_eq!(found.attribute, b"certificaterevocationlist;binary");
        assert_eq!(found.filter, (b"objectClass".to_vec(), Some(b"pkiCA".to_vec())));
        let short = search("ldap://annuaire.exemple.test/cn=A?certificateRevocationList;binary").unwrap();
        assert_eq!(short.filter, (b"objectClass".to_vec(), None));
    }

    #[test]
    fn asks_for_one_attribute_of_one_entry_only() {
        for url in [
            "ldap://a.test/cn=x",
            "ldap://a.test/cn=x?a,b",
            "ldap://a.test/cn=x?a?sub",
            "ldap://a.test/cn=x?a?base?(&(a=b)(c=d))",
            "ldap://a.test/cn=x?a?base?(a=b*)",
            "ldap://a.test/cn=%zz?a",
            "ldap://a.test/cn=%+1?a",
            "ldap://a.test/cn=x?a?base?(a=%-0)",
        ] {
            assert!(matches!(search(url), Err(Fault::Protocol(_))), "{url}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&octets, b"a");
        }
    }
}
