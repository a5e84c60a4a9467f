//! Messages as they come (RFC 4511 §4.1.1): where one ends, and what it asks.

use std::fmt;

use openssl::sha::sha256;

use super::{
    ber::{self, Malformed, Reader, Writer, tag},
    dn::MAX_NAME,
    filter::{self, FilterFault, FilterReader, Node},
    page::PAGED,
};

/// Largest message that is read.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Most attributes that a search may name.
const MAX_ATTRIBUTES: usize = 200;
/// Most controls of one message.
const MAX_CONTROLS: usize = 16;
/// Longest password.
const MAX_PASSWORD: usize = 1024;

/// "Show referrals as entries" (RFC 3296): there are none here, so it changes nothing.
pub(super) const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";

/// Numbers of operations.
pub(super) mod operation {
    pub(crate) const BIND: u8 = 0x60;
    pub(crate) const BIND_ANSWER: u8 = 0x61;
    pub(crate) const UNBIND: u8 = 0x42;
    pub(crate) const SEARCH: u8 = 0x63;
    pub(crate) const ENTRY: u8 = 0x64;
    pub(crate) const SEARCH_DONE: u8 = 0x65;
    pub(crate) const COMPARE: u8 = 0x6e;
    pub(crate) const COMPARE_ANSWER: u8 = 0x6f;
    pub(crate) const ABANDON: u8 = 0x50;
    pub(crate) const EXTENDED: u8 = 0x77;
    pub(crate) const EXTENDED_ANSWER: u8 = 0x78;
}

/// How many octets the first message of `octets` has; nothing while that cannot be told yet.
///
/// A length is judged before anything is waited for.
pub(super) fn frame(octets: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some((first, rest)) = octets.split_first() else { return Ok(None) };
    if *first != tag::SEQUENCE {
        return Err(Malformed);
    }
    let Some((length, after)) = ber::length(rest)? else { return Ok(None) };
    let head = octets.len().saturating_sub(after.len());
    let whole = head.saturating_add(length);
    if whole > MAX_MESSAGE { Err(Malformed) } else { Ok(Some(whole)) }
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: u32,
    pub(super) asked: Asked,
    pub(super) controls: Vec<Control>,
}

/// An extension of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) oid: String,
    pub(super) critical: bool,
    pub(super) value: Option<Vec<u8>>,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Asked {
    Bind {
        version: u32,
        name: String,
        how: HowBound,
    },
    Unbind,
    Search(Box<SearchAsked>),
    /// Whether the entry that is the base has a value: the filter.
    Compare(Box<SearchAsked>),
    /// A search that we do not read further: its number must be answered all the same.
    SearchTooMuch,
    Abandon(u32),
    Extended {
        oid: String,
        value: Option<Vec<u8>>,
    },
    /// An operation that changes something: the tag of its answer.
    Other(u8),
}

/// The two ways to say who one is.
pub(super) enum HowBound {
    Simple(zeroize::Zeroizing<Vec<u8>>),
    Sasl {
        mechanism: String,
        credentials: Option<Vec<u8>>,
    },
    /// One that nobody defined.
    Unknown,
}

impl fmt::Debug for HowBound {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple(_) => "Simple",
            Self::Sasl { .. } => "Sasl",
            Self::Unknown => "Unknown",
        })
    }
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Base,
    One,
    Subtree,
    /// The subtree without its root (an Internet-Draft that clients send).
    Children,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchAsked {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) size_limit: u32,
    pub(super) time_limit: u32,
    pub(super) types_only: bool,
    pub(super) filter: Node,
    pub(super) attributes: Vec<String>,
    /// Names the question of which pages are asked for: those of one must not be used for another.
    pub(super) digest: Option<[u8; 32]>,
}

/// Why a message is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageFault {
    /// It breaks the protocol: nothing more can be understood on this connection.
    Malformed,
    /// Its operation breaks the protocol, but its number and kind are known.
    Operation(u32, u8),
}

impl From<Malformed> for MessageFault {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Reads one whole message.
pub(super) fn read(octets: &[u8]) -> Result<Message, MessageFault> {
    let mut outer = Reader::new(octets);
    let mut inside = Reader::new(outer.expect(tag::SEQUENCE)?);
    outer.end()?;
    let id = inside.number(tag::INTEGER)?;
    let (kind, content) = inside.element()?;
    let controls = match inside.optional(tag::CONTEXT_0)? {
        Some(list) => controls(list)?,
        None => Vec::new(),
    };
    inside.end()?;
    let paged = controls.iter().any(|control| control.oid == PAGED);
    let asked = asked(kind, content, paged).map_err(|fault| match answer_of(kind) {
        // Number 0 is ours (RFC 4511 §4.1.1.1).
        Some(answer) if id != 0 && fault == FilterFault::Malformed => MessageFault::Operation(id, answer),
        _ => MessageFault::Malformed,
    })?;
    if id == 0 && !matches!(asked, Asked::Unbind | Asked::Abandon(_)) {
        return Err(MessageFault::Malformed);
    }
    Ok(Message { id, asked, controls })
}

/// The operation that answers one.
fn answer_of(kind: u8) -> Option<u8> {
    match kind {
        operation::BIND => Some(operation::BIND_ANSWER),
        operation::SEARCH => Some(operation::SEARCH_DONE),
        operation::EXTENDED => Some(operation::EXTENDED_ANSWER),
        // Modify, add, modify name, compare; delete is primitive.
        0x66 | 0x68 | 0x6c | 0x6e => Some(kind.saturating_add(1)),
        0x4a => Some(0x6b),
        _ => None,
    }
}

fn asked(kind: u8, content: &[u8], paged: bool) -> Result<Asked, FilterFault> {
    let inside = Reader::new(content);
    match kind {
        operation::BIND => bind(inside),
        operation::UNBIND => Ok(Asked::Unbind),
        operation::SEARCH => match search(inside, paged.then_some(content)) {
            Err(FilterFault::TooMuch) => Ok(Asked::SearchTooMuch),
            other => other,
        },
        operation::COMPARE => match compare(inside) {
            Err(FilterFault::TooMuch) => Ok(Asked::Other(operation::COMPARE_ANSWER)),
            other => other,
        },
        operation::ABANDON => match content {
            [] => Err(FilterFault::Malformed),
            digits if digits.len() <= 5 => {
                let number = digits.iter().fold(0u64, |sum, digit| (sum << 8) | u64::from(*digit));
                Ok(Asked::Abandon(u32::try_from(number).unwrap_or(0)))
            }
            _ => Err(FilterFault::Malformed),
        },
        operation::EXTENDED => extended(inside),
        other => answer_of(other).map(Asked::Other).ok_or(FilterFault::Malformed),
    }
}

fn bind(mut inside: Reader<'_>) -> Result<Asked, FilterFault> {
    let version = inside.number(tag::INTEGER)?;
    let name = text(inside.expect(tag::OCTETS)?, MAX_NAME)?;
    let (kind, content) = inside.element()?;
    inside.end()?;
    let how = match kind {
        0x80 if content.len() <= MAX_PASSWORD => HowBound::Simple(zeroize::Zeroizing::new(content.to_vec())),
        0x80 => return Err(FilterFault::Malformed),
        0xa3 => {
            let mut sasl = Reader::new(content);
            let mechanism = text(sasl.expect(tag::OCTETS)?, 64)?;
            let credentials =
                sasl.optional(tag::OCTETS)?.map(|octets| octets.get(..MAX_NAME).unwrap_or(octets).to_vec());
            sasl.end()?;
            HowBound::Sasl { mechanism, credentials }
        }
        _ => HowBound::Unknown,
    };
    Ok(Asked::Bind { version, name, how })
}

/// `named`: the octets that name the question, where pages of it are asked for.
fn search(mut inside: Reader<'_>, named: Option<&[u8]>) -> Result<Asked, FilterFault> {
    let base = text(inside.expect(tag::OCTETS)?, MAX_NAME)?;
    let scope = match inside.number(tag::ENUMERATED)? {
        0 => Scope::Base,
        1 => Scope::One,
        2 => Scope::Subtree,
        3 => Scope::Children,
        _ => return Err(FilterFault::Malformed),
    };
    if inside.number(tag::ENUMERATED)? > 3 {
        return Err(FilterFault::Malformed);
    }
    let size_limit = inside.number(tag::INTEGER)?;
    let time_limit = inside.number(tag::INTEGER)?;
    let types_only = inside.boolean()?;
    let filter = FilterReader::default().read(&mut inside)?;
    let mut list = Reader::new(inside.expect(tag::SEQUENCE)?);
    inside.end()?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(FilterFault::TooMuch);
        }
        attributes.push(text(list.expect(tag::OCTETS)?, 256)?);
    }
    let digest = named.map(sha256);
    let asked = SearchAsked { base, scope, size_limit, time_limit, types_only, filter, attributes, digest };
    Ok(Asked::Search(Box::new(asked)))
}

/// RFC 4511 §4.10: read as a search for the one entry, with the assertion as its filter.
fn compare(mut inside: Reader<'_>) -> Result<Asked, FilterFault> {
    let base = text(inside.expect(tag::OCTETS)?, MAX_NAME)?;
    let assertion = inside.expect(tag::SEQUENCE)?;
    inside.end()?;
    let mut equal = Writer::new();
    equal.put(filter::EQUAL, assertion);
    let equal = equal.into_octets();
    let filter = FilterReader::default().read(&mut Reader::new(&equal))?;
    Ok(Asked::Compare(Box::new(SearchAsked {
        base,
        scope: Scope::Base,
        size_limit: 0,
        time_limit: 0,
        types_only: true,
        filter,
        attributes: Vec::new(),
        digest: None,
    })))
}

fn extended(mut inside: Reader<'_>) -> Result<Asked, FilterFault> {
    let oid = text(inside.expect(0x80)?, 128)?;
    let value = inside.optional(0x81)?.map(<[u8]>::to_vec);
    inside.end()?;
    Ok(Asked::Extended { oid, value })
}

fn controls(list: &[u8]) -> Result<Vec<Control>, Malformed> {
    let mut list = Reader::new(list);
    let mut found = Vec::new();
    while !list.is_empty() {
        if found.len() >= MAX_CONTROLS {
            return Err(Malformed);
        }
        let mut one = Reader::new(list.expect(tag::SEQUENCE)?);
        let oid = text(one.expect(tag::OCTETS)?, 128).map_err(|_| Malformed)?;
        let critical = one.peek() == Some(tag::BOOLEAN) && one.boolean()?;
        let value = one.optional(tag::OCTETS)?.map(<[u8]>::to_vec);
        one.end()?;
        found.push(Control { oid, critical, value });
    }
    Ok(found)
}

fn text(octets: &[u8], most: usize) -> Result<String, FilterFault> {
    if octets.len() > most {
        return Err(FilterFault::Malformed);
    }
    String::from_utf8(octets.to_vec()).map_err(|_| FilterFault::Malformed)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ldap::result::message;

    /// A search as clients write it.
    pub(crate) fn search_octets(id: u32, base: &str, scope: u32, filter: &[u8], attributes: &[&str]) -> Vec<u8> {
        search_with(id, base, scope, 0, filter, attributes, |_| {})
    }

    pub(crate) fn search_with(
        id: u32,
        base: &str,
        scope: u32,
        size_limit: u32,
        filter: &[u8],
        attributes: &[&str],
        controls: impl FnOnce(&mut Writer),
    ) -> Vec<u8> {
        let mut out = Writer::new();
        let content = |inside: &mut Writer| {
            inside.put(tag::OCTETS, base.as_bytes());
            inside.number(tag::ENUMERATED, scope);
            inside.number(tag::ENUMERATED, 0);
            inside.number(tag::INTEGER, size_limit);
            inside.number(tag::INTEGER, 0);
            inside.boolean(false);
            inside.raw(filter);
            inside.constructed(tag::SEQUENCE, |list| {
                attributes.iter().for_each(|name| list.put(tag::OCTETS, name.as_bytes()));
            });
        };
        message(&mut out, id, operation::SEARCH, content, controls);
        out.into_octets()
    }

    #[test]
    fn a_length_is_judged_before_anything_is_waited_for() {
        assert_eq!(frame(b""), Ok(None));
        assert_eq!(frame(&[0x30]), Ok(None));
        assert_eq!(frame(&[0x30, 0x84, 0, 0]), Ok(None));
        assert_eq!(frame(&[0x30, 0x84, 0, 0, 0, 5]), Ok(Some(11)));
        assert_eq!(frame(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(frame(&[0x30, 0x83, 1, 0, 0]), Err(Malformed), "one more than there may be");
        assert_eq!(frame(b"GET / HTTP/1.1\r\n"), Err(Malformed));
        assert_eq!(frame(&[0x30, 0x80]), Err(Malformed));
    }

    #[test]
    fn a_search_is_read_whole() {
        let octets = search_octets(7, "dc=annuaire", 2, &filter::tests::encode("(cn=a*)"), &["cn", "mail"]);
        assert_eq!(frame(&octets), Ok(Some(octets.len())));
        let message = read(&octets).unwrap();
        let Asked::Search(asked) = message.asked else { panic!("{message:?}") };
        assert_eq!((message.id, asked.base.as_str(), asked.scope), (7, "dc=annuaire", Scope::Subtree));
        assert_eq!(asked.attributes, ["cn", "mail"]);
    }

    #[test]
    fn faults_keep_the_number_where_it_is_known() {
        let broken = search_octets(7, "dc=annuaire", 2, &[0x04, 0], &[]);
        assert_eq!(read(&broken).unwrap_err(), MessageFault::Operation(7, operation::SEARCH_DONE));
        let zero = search_octets(0, "dc=annuaire", 2, &filter::tests::encode("(cn=a*)"), &[]);
        assert_eq!(read(&zero).unwrap_err(), MessageFault::Malformed);
        let scope = search_octets(7, "dc=annuaire", 9, &filter::tests::encode("(cn=a*)"), &[]);
        assert_eq!(read(&scope).unwrap_err(), MessageFault::Operation(7, operation::SEARCH_DONE));
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = frame(&octets);
            let _ = read(&octets);
        }

        #[test]
        fn a_spoiled_search_is_read_or_refused(at in 0usize..80, octet in any::<u8>()) {
            let filter = filter::tests::encode("(&(mail=*)(|(cn=dup*)(sn=*a*b)))");
            let mut octets = search_octets(7, "dc=annuaire", 2, &filter, &["cn", "mail"]);
            let at = at % octets.len();
            octets[at] = octet;
            let _ = read(&octets);
        }
    }
}
