//! A lenient BER pull reader with hard limits (X.690 §8; hazards H5, H20).
//!
//! CMS travels in BER: mail clients that stream write indefinite lengths and octet strings in
//! pieces. The reader accepts those, keeps every value's received octets (signatures are judged
//! over what was received), copies nothing, and refuses whatever CMS never needs: tag numbers
//! above 30, lengths beyond the input, deep nesting, endless lists. Nothing here recurses
//! without a counter, and no length makes it allocate.

use std::borrow::Cow;

use thiserror::Error;

use crate::der;

/// Constructed values within one another; CMS needs about fifteen.
pub(crate) const MAX_DEPTH: u8 = 32;
/// Pieces of one octet string: 1 GiB in pieces of 1 KiB.
pub(crate) const MAX_SEGMENTS: usize = 1 << 20;
/// Octet strings in pieces among the pieces of one: they may all be empty, so that nothing else counts them (A20).
pub(crate) const MAX_STRINGS: usize = 1024;

/// Why octets are not a value that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The input ends inside a value.
    #[error("it ends inside a value")]
    Truncated,
    /// A length that BER does not allow or that exceeds the input.
    #[error("a length is not allowed or larger than what was received")]
    Length,
    /// A tag that CMS does not use.
    #[error("a tag is not used by this format")]
    Tag,
    /// More levels than any CMS structure needs.
    #[error("values are nested too deeply")]
    TooDeep,
    /// A list has more members than we accept.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A required member is absent, or something else stands in its place.
    #[error("{0} is missing or of the wrong type")]
    Expected(&'static str),
    /// Octets follow where the structure is complete.
    #[error("octets follow the end of {0}")]
    Trailing(&'static str),
    /// A value is outside what its type or our limits allow.
    #[error("{0} has a value that is not allowed")]
    Value(&'static str),
}

#[derive(Clone, Copy)]
pub(crate) enum Length {
    Definite(usize),
    Indefinite,
}

/// One value as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Identifier octet: class, constructed bit, number.
    pub(crate) tag: u8,
    /// The complete value, identifier to last octet.
    pub(crate) raw: &'a [u8],
    /// Its content, without end-of-contents octets.
    pub(crate) content: &'a [u8],
    indefinite: bool,
    depth: u8,
}

/// Takes values one by one from a run of octets.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Reader<'a> {
    /// A reader over a whole input.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, depth: MAX_DEPTH }
    }

    /// The next value, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, length, after) = header(self.rest)?;
        if tag == 0 {
            return Err(Malformed::Tag);
        }
        let (content, rest) = match length {
            Length::Definite(length) => after.split_at_checked(length).ok_or(Malformed::Length)?,
            Length::Indefinite => until_end_of_contents(after, self.depth)?,
        };
        let used = self.rest.len().saturating_sub(rest.len());
        let raw = self.rest.get(..used).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        let indefinite = matches!(length, Length::Indefinite);
        Ok(Some(Element { tag, raw, content, indefinite, depth: self.depth }))
    }

    /// The next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<Element<'a>, Malformed> {
        self.optional(tag)?.ok_or(Malformed::Expected(what))
    }

    /// The next value if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.next() } else { Ok(None) }
    }

    /// The next value if its tag is `[number]` or a universal type, whether primitive or constructed.
    pub(crate) fn optional_string(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        match self.rest.first() {
            Some(found) if found & !CONSTRUCTED == tag & !CONSTRUCTED => self.next(),
            _ => Ok(None),
        }
    }

    /// An INTEGER's content octets.
    pub(crate) fn integer(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let content = self.expect(der::tag::INTEGER, what)?.content;
        if content.is_empty() { Err(Malformed::Value(what)) } else { Ok(content) }
    }

    /// An INTEGER between 0 and 127, as version numbers and tag lengths are.
    pub(crate) fn small(&mut self, what: &'static str) -> Result<u8, Malformed> {
        match self.integer(what)? {
            [value] if *value < 0x80 => Ok(*value),
            _ => Err(Malformed::Value(what)),
        }
    }

    /// An INTEGER between 0 and 65,535: the longest salt of a signature that a key admits.
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u16, Malformed> {
        let content = self.integer(what)?;
        match content.strip_prefix(&[0]).unwrap_or(content) {
            [] => Ok(0),
            [low] if content.len() == 2 || *low < 0x80 => Ok((*low).into()),
            [high, low] if content.len() == 3 || *high < 0x80 => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(Malformed::Value(what)),
        }
    }

    /// An OBJECT IDENTIFIER's content octets.
    pub(crate) fn oid(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let content = self.expect(der::tag::OID, what)?.content;
        if content.is_empty() || content.len() > 64 { Err(Malformed::Value(what)) } else { Ok(content) }
    }

    /// An OCTET STRING in one or several pieces.
    pub(crate) fn octets(&mut self, what: &'static str) -> Result<Octets<'a>, Malformed> {
        self.optional_string(der::tag::OCTET_STRING)?.ok_or(Malformed::Expected(what))?.octets()
    }

    /// The members of the next SEQUENCE.
    pub(crate) fn sequence(&mut self, what: &'static str) -> Result<Reader<'a>, Malformed> {
        self.expect(der::tag::SEQUENCE, what)?.members()
    }

    /// All remaining values, at most `limit`.
    pub(crate) fn all(mut self, limit: usize, what: &'static str) -> Result<Vec<Element<'a>>, Malformed> {
        let mut members = Vec::new();
        while let Some(member) = self.next()? {
            if members.len() >= limit {
                return Err(Malformed::TooMany(what));
            }
            members.push(member);
        }
        Ok(members)
    }

    /// The first octet of what is left.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Refuses left-over octets.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing(what)) }
    }
}

const CONSTRUCTED: u8 = 0x20;

impl<'a> Element<'a> {
    /// The only value of `input`, refusing trailing octets.
    pub(crate) fn only(input: &'a [u8], what: &'static str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(input);
        let element = reader.next()?.ok_or(Malformed::Truncated)?;
        reader.end(what)?;
        Ok(element)
    }

    /// A reader over the members of a constructed value.
    pub(crate) fn members(&self) -> Result<Reader<'a>, Malformed> {
        if !self.is_constructed() {
            return Err(Malformed::Tag);
        }
        let depth = self.depth.checked_sub(1).filter(|depth| *depth > 0).ok_or(Malformed::TooDeep)?;
        Ok(Reader { rest: self.content, depth })
    }

    /// This value read as an octet string, whatever its own tag (IMPLICIT tagging).
    pub(crate) fn octets(&self) -> Result<Octets<'a>, Malformed> {
        if !self.is_constructed() {
            return Ok(Octets(Pieces::One(self.content)));
        }
        let (mut pieces, mut strings) = (Vec::new(), 0);
        // Under an implicit tag the outermost is none of them.
        if self.tag == der::tag::OCTET_STRING | CONSTRUCTED {
            strings = 1;
        }
        self.collect_pieces(&mut pieces, &mut strings)?;
        Ok(Octets(Pieces::Many(pieces)))
    }

    fn collect_pieces(&self, pieces: &mut Vec<&'a [u8]>, strings: &mut usize) -> Result<(), Malformed> {
        let mut members = self.members()?;
        while let Some(piece) = members.next()? {
            if piece.tag == der::tag::OCTET_STRING {
                if pieces.len() >= MAX_SEGMENTS {
                    return Err(Malformed::TooMany("pieces of an octet string"));
                }
                pieces.push(piece.content);
            } else if piece.tag == der::tag::OCTET_STRING | CONSTRUCTED {
                *strings = strings.saturating_add(1);
                if *strings > MAX_STRINGS {
                    return Err(Malformed::TooMany("pieces of an octet string"));
                }
                piece.collect_pieces(pieces, strings)?;
            } else {
                return Err(Malformed::Tag);
            }
        }
        Ok(())
    }

    /// The received octets under another tag, indefinite lengths made definite, order kept.
    ///
    /// Signed and authenticated attributes enter the digest so (RFC 5652 §5.4, RFC 5083 §2.2; H6):
    /// what already has definite lengths is taken octet by octet as received.
    pub(crate) fn retagged(&self, tag: u8) -> Result<Vec<u8>, Malformed> {
        let mut out = self.definite()?.into_owned();
        if let Some(first) = out.first_mut() {
            *first = tag;
        }
        Ok(out)
    }

    /// The received octets, indefinite lengths made definite.
    pub(crate) fn definite(&self) -> Result<Cow<'a, [u8]>, Malformed> {
        if !self.is_constructed() || !self.has_indefinite()? {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut content = Vec::with_capacity(self.content.len());
        let mut members = self.members()?;
        while let Some(member) = members.next()? {
            content.extend_from_slice(&member.definite()?);
        }
        Ok(Cow::Owned(der::tlv(self.tag, &content)))
    }

    fn has_indefinite(&self) -> Result<bool, Malformed> {
        if self.indefinite {
            return Ok(true);
        }
        if self.is_constructed() {
            let mut members = self.members()?;
            while let Some(member) = members.next()? {
                if member.has_indefinite()? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_constructed(&self) -> bool {
        self.tag & CONSTRUCTED != 0
    }
}

/// An octet string as received, in one piece or several; nothing is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Octets<'a>(Pieces<'a>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pieces<'a> {
    One(&'a [u8]),
    Many(Vec<&'a [u8]>),
}

impl<'a> Octets<'a> {
    /// Its pieces, in order.
    pub(crate) fn pieces(&self) -> &[&'a [u8]] {
        match &self.0 {
            Pieces::One(piece) => std::slice::from_ref(piece),
            Pieces::Many(pieces) => pieces,
        }
    }

    /// Octets in all pieces.
    pub(crate) fn len(&self) -> usize {
        self.pieces().iter().fold(0, |sum, piece| sum.saturating_add(piece.len()))
    }

    /// As one run: borrowed when it came in one piece.
    pub(crate) fn joined(&self) -> Cow<'a, [u8]> {
        match self.pieces() {
            [] => Cow::Borrowed(&[]),
            [piece] => Cow::Borrowed(piece),
            pieces => Cow::Owned(pieces.concat()),
        }
    }
}

impl<'a> From<Vec<&'a [u8]>> for Octets<'a> {
    fn from(pieces: Vec<&'a [u8]>) -> Self {
        Self(Pieces::Many(pieces))
    }
}

impl<'a> From<&'a [u8]> for Octets<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(Pieces::One(octets))
    }
}

/// Tag, length, and what follows them.
pub(crate) fn header(input: &[u8]) -> Result<(u8, Length, &[u8]), Malformed> {
    let (tag, rest) = input.split_first().ok_or(Malformed::Truncated)?;
    if tag & 0x1f == 0x1f {
        return Err(Malformed::Tag);
    }
    let (first, rest) = rest.split_first().ok_or(Malformed::Truncated)?;
    match *first {
        short @ 0..0x80 => Ok((*tag, Length::Definite(short.into()), rest)),
        0x80 if tag & CONSTRUCTED != 0 => Ok((*tag, Length::Indefinite, rest)),
        0x80 => Err(Malformed::Length),
        long => {
            let count = usize::from(long & 0x7f);
            if count > 8 {
                return Err(Malformed::Length);
            }
            let (octets, rest) = rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
            let length = octets.iter().fold(0u64, |length, octet| (length << 8) | u64::from(*octet));
            let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
            Ok((*tag, Length::Definite(length), rest))
        }
    }
}

/// Splits after the end-of-contents octets that close the value just opened. Definite values are
/// skipped whole, so that one counter of open values is all the state there is.
fn until_end_of_contents(input: &[u8], depth: u8) -> Result<(&[u8], &[u8]), Malformed> {
    let mut rest = input;
    let mut open = 1u8;
    loop {
        let before = rest;
        let (tag, length, after) = header(rest)?;
        rest = match length {
            Length::Definite(0) if tag == 0 => {
                open = open.saturating_sub(1);
                if open == 0 {
                    let used = input.len().saturating_sub(before.len());
                    return Ok((input.get(..used).ok_or(Malformed::Truncated)?, after));
                }
                after
            }
            _ if tag == 0 => return Err(Malformed::Tag),
            Length::Definite(length) => after.get(length..).ok_or(Malformed::Length)?,
            Length::Indefinite => {
                open = open.saturating_add(1);
                if open > depth {
                    return Err(Malformed::TooDeep);
                }
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_definite_and_indefinite_alike() {
        let definite = Element::only(&[0x30, 3, 2, 1, 5], "it").unwrap();
        let indefinite = Element::only(&[0x30, 0x80, 2, 1, 5, 0, 0], "it").unwrap();
        assert_eq!(definite.content, indefinite.content);
        assert_eq!(indefinite.raw.len(), 7);
        assert_eq!(indefinite.definite().unwrap().as_ref(), definite.raw);
        assert_eq!(definite.members().unwrap().small("n"), Ok(5));
    }

    #[test]
    fn nested_indefinite_values_become_definite_in_received_order() {
        // SET { SEQUENCE { 2, 1 }, 7 }: the order is not that of DER and must stay.
        let raw = [0xa0, 0x80, 0x30, 0x80, 2, 1, 2, 2, 1, 1, 0, 0, 2, 1, 7, 0, 0];
        let element = Element::only(&raw, "it").unwrap();
        assert_eq!(element.retagged(0x31).unwrap(), [0x31, 11, 0x30, 6, 2, 1, 2, 2, 1, 1, 2, 1, 7]);
        // A definite value is taken as it is, even with a length longer than needed.
        let long = [0xa0, 0x81, 3, 2, 1, 7];
        assert_eq!(Element::only(&long, "it").unwrap().retagged(0x31).unwrap(), [0x31, 0x81, 3, 2, 1, 7]);
    }

    #[test]
    fn joins_octet_strings_in_pieces() {
        let raw = [0x24, 0x80, 4, 2, 1, 2, 0x24, 3, 4, 1, 3, 4, 0, 0, 0];
        let octets = Element::only(&raw, "it").unwrap().octets().unwrap();
        assert_eq!(octets.pieces().len(), 3);
        assert_eq!(octets.len(), 3);
        assert_eq!(octets.joined().as_ref(), [1, 2, 3]);
        // A piece of another type is refused.
        assert_eq!(Element::only(&[0x24, 3, 2, 1, 1], "it").unwrap().octets(), Err(Malformed::Tag));
    }

    #[test]
    fn refuses_what_cms_never_needs() {
        let cases: [(&[u8], Malformed); 11] = [
            (&[], Malformed::Truncated),
            (&[0x30], Malformed::Truncated),
            (&[0x30, 5, 1], Malformed::Length),
            (&[0x30, 0x80, 2, 1, 5], Malformed::Truncated),
            (&[0x30, 0x80, 2, 1, 5, 0], Malformed::Truncated),
            (&[0x04, 0x80, 0, 0], Malformed::Length),
            (&[0x1f, 0x81, 1, 0], Malformed::Tag),
            (&[0, 0], Malformed::Tag),
            (&[0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1], Malformed::Length),
            (&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Malformed::Length),
            (&[2, 1, 5, 0], Malformed::Trailing("it")),
        ];
        for (input, expected) in cases {
            assert_eq!(Element::only(input, "it"), Err(expected), "{input:02x?}");
        }
    }

    #[test]
    fn refuses_deep_nesting_without_deep_recursion() {
        let mut bomb = [0x30, 0x80].repeat(100_000);
        bomb.extend(vec![0; 200_000]);
        assert_eq!(Element::only(&bomb, "it"), Err(Malformed::TooDeep));
        // Definite: each level is opened by the caller, and the counter ends it.
        let mut nested = vec![0x24, 0];
        for _ in 0..60 {
            nested = der::tlv(0x24, &nested);
        }
        assert_eq!(Element::only(&nested, "it").unwrap().octets(), Err(Malformed::TooDeep));
        assert_eq!(Element::only(&nested, "it").unwrap().definite().map(|_| ()), Err(Malformed::TooDeep));
    }

    #[test]
    fn numbers_are_read_within_their_range() {
        for number in [0u16, 1, 20, 127, 128, 222, 255, 256, 32_767, 32_768, 65_535] {
            assert_eq!(Reader::new(&der::integer(number.into())).number("it"), Ok(number));
        }
        for bad in [&[2u8, 0][..], &[2, 1, 0x80], &[2, 2, 0x80, 0], &[2, 3, 1, 0, 0], &[4, 1, 1]] {
            assert!(Reader::new(bad).number("it").is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn lists_have_a_bound() {
        let members = [2, 1, 5].repeat(11);
        assert_eq!(Reader::new(&members).all(10, "members"), Err(Malformed::TooMany("members")));
        assert_eq!(Reader::new(&members).all(11, "members").map(|m| m.len()), Ok(11));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_reads_beyond(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(element) = Element::only(&input, "it") {
                prop_assert_eq!(element.raw, &input[..]);
                if let Ok(octets) = element.octets() {
                    prop_assert!(octets.len() <= input.len());
                }
                if let Ok(definite) = element.definite() {
                    // Making definite is idempotent and yields a single value.
                    let again = Element::only(&definite, "it").unwrap().definite().unwrap();
                    prop_assert_eq!(again.as_ref(), definite.as_ref());
                }
            }
        }

        #[test]
        fn structured_noise_never_panics(input in proptest::collection::vec(
            prop_oneof![Just(0x30u8), Just(0x80), Just(0), Just(0x24), Just(4), Just(1), Just(2), Just(0xa0), any::<u8>()], 0..300)) {
            if let Ok(element) = Element::only(&input, "it") {
                let _ = element.octets();
                let _ = element.retagged(0x31);
            }
        }
    }
}
