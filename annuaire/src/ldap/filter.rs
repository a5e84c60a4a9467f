//! Filters as they come (RFC 4511 §4.5.1.7): read within limits of depth and number, before anything is kept.

use super::{
    ber::{Malformed, Reader, tag},
    schema::{self, Attr},
};
use crate::fold::fold;

/// Deepest nesting that is read. Address books nest four deep.
pub const MAX_FILTER_DEPTH: usize = 24;
/// Most parts that are read.
pub const MAX_FILTER_PARTS: usize = 200;
/// Longest value that is looked for.
const MAX_VALUE: usize = 1024;
/// Most words of one filter that others are to sound like: each costs a walk through all words that there are.
const MAX_SOUNDS: usize = 32;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Leaf(Leaf),
}

/// One assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The attribute as the client wrote it.
    name: String,
    /// Nothing when we do not know it: the assertion is then undefined, never an error.
    pub(super) attr: Option<Attr>,
    pub(super) test: Test,
}

/// What is asserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Present,
    Equal(Text),
    /// Case and accents count.
    Exact(Text),
    AtLeast(Text),
    AtMost(Text),
    Approx(Text),
    Substrings {
        initial: Option<Text>,
        any: Vec<Text>,
        last: Option<Text>,
    },
    /// A value or a rule that we cannot compare by.
    Undefined,
}

/// A value, as it came and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) raw: String,
    pub(super) folded: String,
}

impl Text {
    pub(super) fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned(), folded: fold(raw) }
    }
}

/// Why a filter is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterFault {
    /// It breaks the protocol.
    Malformed,
    /// It nests deeper, or has more parts or longer values, than anybody needs.
    TooMuch,
}

impl From<Malformed> for FilterFault {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
pub(super) const EQUAL: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const AT_LEAST: u8 = 0xa5;
const AT_MOST: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROX: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

/// Reads filters; counts their parts.
#[derive(Default)]
pub(super) struct FilterReader {
    parts: usize,
    sounds: usize,
}

impl FilterReader {
    /// Reads the next element as a filter.
    pub(super) fn read(&mut self, from: &mut Reader<'_>) -> Result<Node, FilterFault> {
        self.node(from, 0)
    }

    fn node(&mut self, from: &mut Reader<'_>, depth: usize) -> Result<Node, FilterFault> {
        self.parts = self.parts.saturating_add(1);
        if depth > MAX_FILTER_DEPTH || self.parts > MAX_FILTER_PARTS {
            return Err(FilterFault::TooMuch);
        }
        let (tag, content) = from.element()?;
        let mut inside = Reader::new(content);
        let below = depth.saturating_add(1);
        match tag {
            AND | OR => {
                let mut parts = Vec::new();
                while !inside.is_empty() {
                    parts.push(self.node(&mut inside, below)?);
                }
                // None: absolute true and absolute false (RFC 4526).
                Ok(if tag == AND { Node::And(parts) } else { Node::Or(parts) })
            }
            NOT => {
                let part = self.node(&mut inside, below)?;
                inside.end()?;
                Ok(Node::Not(Box::new(part)))
            }
            PRESENT => Ok(leaf(text(content)?, Test::Present)),
            EQUAL | AT_LEAST | AT_MOST | APPROX => {
                let name = text(inside.expect(self::tag::OCTETS)?)?;
                let value = value(inside.expect(self::tag::OCTETS)?)?;
                inside.end()?;
                if let (APPROX, Some(value)) = (tag, &value) {
                    self.sounds = self.sounds.saturating_add(value.folded.split(' ').count());
                    if self.sounds > MAX_SOUNDS {
                        return Err(FilterFault::TooMuch);
                    }
                }
                let test = match (tag, value) {
                    (_, None) => Test::Undefined,
                    (EQUAL, Some(value)) => Test::Equal(value),
                    (AT_LEAST, Some(value)) => Test::AtLeast(value),
                    (AT_MOST, Some(value)) => Test::AtMost(value),
                    (_, Some(value)) => Test::Approx(value),
                };
                Ok(leaf(name, test))
            }
            SUBSTRINGS => self.substrings(inside),
            EXTENSIBLE => extensible(inside),
            _ => Err(FilterFault::Malformed),
        }
    }

    fn substrings(&mut self, mut inside: Reader<'_>) -> Result<Node, FilterFault> {
        let name = text(inside.expect(tag::OCTETS)?)?;
        let mut pieces = Reader::new(inside.expect(tag::SEQUENCE)?);
        inside.end()?;
        // `***` typed by somebody comes as no piece at all: an error, not a crash (annuaire §5.1).
        if pieces.is_empty() {
            return Err(FilterFault::Malformed);
        }
        let (mut initial, mut any, mut last) = (None, Vec::new(), None);
        let mut undefined = false;
        while !pieces.is_empty() {
            self.parts = self.parts.saturating_add(1);
            if self.parts > MAX_FILTER_PARTS {
                return Err(FilterFault::TooMuch);
            }
            let (tag, content) = pieces.element()?;
            if content.is_empty() || last.is_some() {
                return Err(FilterFault::Malformed);
            }
            let Some(value) = value(content)? else {
                undefined = true;
                continue;
            };
            match tag {
                0x80 if initial.is_none() && any.is_empty() => initial = Some(value),
                0x81 => any.push(value),
                0x82 => last = Some(value),
                _ => return Err(FilterFault::Malformed),
            }
        }
        let test = if undefined { Test::Undefined } else { Test::Substrings { initial, any, last } };
        Ok(leaf(name, test))
    }
}

/// `attribute:dn:rule:=value` (RFC 4511 §4.5.1.7.7).
fn extensible(mut inside: Reader<'_>) -> Result<Node, FilterFault> {
    let rule = inside.optional(0x81)?.map(text).transpose()?;
    let name = inside.optional(0x82)?.map(text).transpose()?;
    let value = value(inside.expect(0x83)?)?;
    let in_name = inside.optional(0x84)?.is_some_and(|octets| octets != [0]);
    inside.end()?;
    if rule.is_none() && name.is_none() {
        return Err(FilterFault::Malformed);
    }
    let rule = rule.map(|rule| {
        let known = |(number, name, _): &&(&str, &str, &str)| *number == rule || name.eq_ignore_ascii_case(&rule);
        schema::RULES.iter().find(known).map(|(_, name, _)| *name)
    });
    let test = |value: Text| match rule {
        None | Some(Some("caseIgnoreMatch" | "caseIgnoreIA5Match" | "telephoneNumberMatch")) => Test::Equal(value),
        Some(Some("caseExactMatch")) => Test::Exact(value),
        _ => Test::Undefined,
    };
    let test = value.map_or(Test::Undefined, test);
    match name {
        // Parts of our names are attributes of the entries, but for the folders that they lie in.
        Some(name) if in_name && ["ou", "dc", "o"].iter().any(|folder| name.eq_ignore_ascii_case(folder)) => {
            Ok(leaf(name, Test::Undefined))
        }
        Some(name) => Ok(leaf(name, test)),
        None => {
            let all = schema::TYPES.iter().filter(|known| known.syntax == schema::Syntax::Text && !known.operational);
            let parts = all.map(|known| leaf(known.name().to_owned(), test.clone()));
            Ok(Node::Or(parts.collect()))
        }
    }
}

fn leaf(name: String, test: Test) -> Node {
    // Options (`;binary`, `;lang-fr`) name subtypes that only certificates have.
    let plain = name.split(';').next().unwrap_or_default();
    let attr = schema::by_name(plain)
        .map(|known| known.attr)
        .filter(|attr| plain.len() == name.len() || matches!(attr, Attr::UserCertificate | Attr::SmimeCertificate));
    Node::Leaf(Leaf { name, attr, test })
}

fn text(octets: &[u8]) -> Result<String, FilterFault> {
    if octets.len() > MAX_VALUE {
        return Err(FilterFault::TooMuch);
    }
    String::from_utf8(octets.to_vec()).map_err(|_| FilterFault::Malformed)
}

/// Nothing when it is no text: then nothing can be told of it.
fn value(octets: &[u8]) -> Result<Option<Text>, FilterFault> {
    if octets.len() > MAX_VALUE {
        return Err(FilterFault::TooMuch);
    }
    Ok(std::str::from_utf8(octets).ok().map(Text::new))
}

impl Node {
    /// Whether the filter itself speaks of this attribute.
    pub(super) fn names(&self, attr: Attr) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.names(attr)),
            Self::Not(part) => part.names(attr),
            Self::Leaf(leaf) => leaf.attr == Some(attr),
        }
    }

    /// The same where every value of the attributes will do.
    pub(super) fn present(&self) -> Self {
        match self {
            Self::And(parts) => Self::And(parts.iter().map(Self::present).collect()),
            Self::Or(parts) => Self::Or(parts.iter().map(Self::present).collect()),
            Self::Not(part) => Self::Not(Box::new(part.present())),
            Self::Leaf(leaf) => Self::Leaf(Leaf { test: Test::Present, ..leaf.clone() }),
        }
    }

    /// The filter as people write it (RFC 4515), for the log: no longer than `most` characters.
    pub(super) fn shown(&self, most: usize) -> String {
        let mut out = String::new();
        self.write(&mut out, most);
        if out.chars().count() > most {
            out = out.chars().take(most).collect();
            out.push('…');
        }
        out
    }

    fn write(&self, out: &mut String, most: usize) {
        if out.len() > most.saturating_mul(4) {
            return;
        }
        out.push('(');
        match self {
            Self::And(parts) | Self::Or(parts) => {
                out.push(if matches!(self, Self::And(_)) { '&' } else { '|' });
                parts.iter().for_each(|part| part.write(out, most));
            }
            Self::Not(part) => {
                out.push('!');
                part.write(out, most);
            }
            Self::Leaf(leaf) => leaf.write(out),
        }
        out.push(')');
    }
}

impl Leaf {
    fn write(&self, out: &mut String) {
        out.push_str(&printable(&self.name));
        match &self.test {
            Test::Present => out.push_str("=*"),
            Test::Equal(value) => out.push_str(&format!("={}", printable(&value.raw))),
            Test::Exact(value) => out.push_str(&format!(":caseExactMatch:={}", printable(&value.raw))),
            Test::AtLeast(value) => out.push_str(&format!(">={}", printable(&value.raw))),
            Test::AtMost(value) => out.push_str(&format!("<={}", printable(&value.raw))),
            Test::Approx(value) => out.push_str(&format!("~={}", printable(&value.raw))),
            Test::Substrings { initial, any, last } => {
                out.push('=');
                let piece = |text: &Option<Text>| text.as_ref().map(|text| printable(&text.raw)).unwrap_or_default();
                out.push_str(&piece(initial));
                out.push('*');
                any.iter().for_each(|text| out.push_str(&format!("{}*", printable(&text.raw))));
                out.push_str(&piece(last));
            }
            Test::Undefined => out.push_str("=?"),
        }
    }
}

/// Nothing that a log or a terminal would obey; what a filter means by a sign is escaped.
fn printable(text: &str) -> String {
    let sign = |c: char| c.is_control() || matches!(c, '(' | ')' | '*' | '\\');
    let each = |c: char| if sign(c) { format!("\\{:02x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(each).collect()
}

#[cfg(test)]
// Filters of tests are ASCII where they are cut.
#[allow(clippy::string_slice)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ldap::ber::Writer;

    /// Writes a filter as clients do, from the form that people write. Test inputs only: no escapes.
    pub(crate) fn encode(text: &str) -> Vec<u8> {
        let mut rest = text;
        let mut out = Writer::new();
        one(&mut rest, &mut out);
        assert_eq!(rest, "", "{text}");
        out.into_octets()
    }

    fn one(rest: &mut &str, out: &mut Writer) {
        *rest = rest.strip_prefix('(').unwrap();
        let tag = match rest.chars().next().unwrap() {
            '&' => Some(AND),
            '|' => Some(OR),
            '!' => Some(NOT),
            _ => None,
        };
        if let Some(tag) = tag {
            *rest = &rest[1..];
            let mut inside = Writer::new();
            while rest.starts_with('(') {
                one(rest, &mut inside);
            }
            out.put(tag, &inside.into_octets());
        } else {
            let end = rest.find(')').unwrap();
            item(&rest[..end], out);
            *rest = &rest[end..];
        }
        *rest = rest.strip_prefix(')').unwrap();
    }

    fn item(text: &str, out: &mut Writer) {
        let at = text.find('=').unwrap();
        let (mut name, value) = (&text[..at], &text[at + 1..]);
        let mut tag = EQUAL;
        for (sign, other) in [('>', AT_LEAST), ('<', AT_MOST), ('~', APPROX), (':', EXTENSIBLE)] {
            if let Some(plain) = name.strip_suffix(sign) {
                (name, tag) = (plain, other);
            }
        }
        if tag == EXTENSIBLE {
            let mut parts: Vec<&str> = name.split(':').collect();
            let attribute = parts.remove(0);
            let in_name = parts.contains(&"dn");
            parts.retain(|part| *part != "dn");
            return out.constructed(EXTENSIBLE, |inside| {
                parts.iter().for_each(|rule| inside.put(0x81, rule.as_bytes()));
                if !attribute.is_empty() {
                    inside.put(0x82, attribute.as_bytes());
                }
                inside.put(0x83, value.as_bytes());
                if in_name {
                    inside.put(0x84, &[0xff]);
                }
            });
        }
        if tag == EQUAL && value == "*" {
            return out.put(PRESENT, name.as_bytes());
        }
        if tag == EQUAL && value.contains('*') {
            return out.constructed(SUBSTRINGS, |inside| {
                inside.put(self::tag::OCTETS, name.as_bytes());
                inside.constructed(self::tag::SEQUENCE, |pieces| {
                    let all: Vec<&str> = value.split('*').collect();
                    for (n, piece) in all.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
                        let place = if n == 0 {
                            0x80
                        } else if n + 1 == all.len() {
                            0x82
                        } else {
                            0x81
                        };
                        pieces.put(place, piece.as_bytes());
                    }
                });
            });
        }
        out.constructed(tag, |inside| {
            inside.put(self::tag::OCTETS, name.as_bytes());
            inside.put(self::tag::OCTETS, value.as_bytes());
        });
    }

    pub(crate) fn parse(text: &str) -> Result<Node, FilterFault> {
        FilterReader::default().read(&mut Reader::new(&encode(text)))
    }

    #[test]
    fn every_kind_is_read_and_shown_as_it_was_written() {
        for text in [
            "(&(objectClass=*)(|(cn=dup*)(sn=*lef*re)(mail=*a*b*))(!(l=Lyon)))",
            "(postalCode>=69000)",
            "(postalCode<=69999)",
            "(sn~=lefevre)",
            "(sn:caseExactMatch:=LEFÈVRE)",
            "(mozillaNickname=*x*)",
            "(&)",
            "(|)",
        ] {
            assert_eq!(parse(text).unwrap().shown(200), text);
        }
        assert_eq!(parse("(sn:caseIgnoreMatch:=x)").unwrap().shown(99), "(sn=x)");
        assert!(matches!(parse("(:caseExactMatch:=x)").unwrap(), Node::Or(all) if all.len() > 5));
        assert_eq!(parse("(sn:1.2.3:=x)").unwrap().shown(99), "(sn=?)");
        assert_eq!(parse("(ou:dn:=people)").unwrap().shown(99), "(ou=?)");
        assert!(matches!(parse("(userCertificate;binary=*)"), Ok(Node::Leaf(Leaf { attr: Some(_), .. }))));
        assert!(matches!(parse("(cn;lang-fr=*)"), Ok(Node::Leaf(Leaf { attr: None, .. }))));
    }

    #[test]
    fn what_is_too_deep_too_many_or_too_long_is_not_read() {
        let nested = |depth: usize| {
            let mut filter = encode("(cn=a)");
            for _ in 0..depth {
                let mut out = Writer::new();
                out.put(NOT, &filter);
                filter = out.into_octets();
            }
            FilterReader::default().read(&mut Reader::new(&filter)).map(|_| ())
        };
        assert_eq!(nested(MAX_FILTER_DEPTH), Ok(()));
        assert_eq!(nested(MAX_FILTER_DEPTH + 1), Err(FilterFault::TooMuch));
        assert_eq!(nested(10_000), Err(FilterFault::TooMuch));
        let many = format!("(|{})", "(cn=a)".repeat(MAX_FILTER_PARTS));
        assert_eq!(parse(&many), Err(FilterFault::TooMuch));
        assert_eq!(parse(&format!("(cn={})", "a".repeat(MAX_VALUE + 1))), Err(FilterFault::TooMuch));
        let pieces = format!("(cn=*{})", "a*".repeat(MAX_FILTER_PARTS));
        assert_eq!(parse(&pieces), Err(FilterFault::TooMuch));
        let sounds = |words: usize| parse(&format!("(|(cn~=a)(cn~=a{}))", " a".repeat(words))).map(|_| ());
        assert_eq!(sounds(MAX_SOUNDS - 2), Ok(()));
        assert_eq!(sounds(MAX_SOUNDS - 1), Err(FilterFault::TooMuch));
    }

    #[test]
    fn broken_filters_are_refused() {
        let mut empty = Writer::new();
        empty.constructed(SUBSTRINGS, |inside| {
            inside.put(tag::OCTETS, b"cn");
            inside.put(tag::SEQUENCE, b"");
        });
        let empty = empty.into_octets();
        for octets in [&empty[..], b"", &[NOT, 0], &[0x04, 1, b'a'], &[AND, 2, PRESENT, 9], &[PRESENT, 1, 0xff]] {
            let read = FilterReader::default().read(&mut Reader::new(octets));
            assert_eq!(read, Err(FilterFault::Malformed), "{octets:?}");
        }
    }

    #[test]
    fn what_the_log_gets_obeys_nobody() {
        let mut out = Writer::new();
        out.constructed(EQUAL, |inside| {
            inside.put(tag::OCTETS, b"cn");
            inside.put(tag::OCTETS, b"a\n)(*\x1b[31m");
        });
        let octets = out.into_octets();
        let node = FilterReader::default().read(&mut Reader::new(&octets)).unwrap();
        assert_eq!(node.shown(99), "(cn=a\\0a\\29\\28\\2a\\1b[31m)");
        assert_eq!(node.shown(5), "(cn=a…");
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(node) = FilterReader::default().read(&mut Reader::new(&octets)) {
                prop_assert!(node.shown(100).chars().count() <= 101);
            }
        }
    }
}
