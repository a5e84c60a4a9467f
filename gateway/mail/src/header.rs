//! Header blocks, read strictly: whatever two readers could understand in two ways is refused
//! (A14, H13, IN15), because a signature over an ambiguous message proves nothing.

use std::borrow::Cow;

use crate::{Limits, MailFault, lines::LineCheck};

/// Fields that RFC 5322 §3.6 and the MIME documents allow at most once.
pub(crate) const SINGLETONS: [&str; 17] = [
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
];

/// One header field, still in its place in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a str,
    value: &'a str,
    raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// The name as written.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Whether the field has this name; letter case is ignored.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The whole field with its final CRLF, byte for byte.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value, unfolded (RFC 5322 §2.2.3) and trimmed.
    pub fn value(&self) -> Cow<'a, str> {
        let value = self.value.trim_matches([' ', '\t', '\r', '\n']);
        if value.contains('\r') { Cow::Owned(value.replace("\r\n", "")) } else { Cow::Borrowed(value) }
    }
}

/// A header block and what follows it.
#[derive(Debug, Clone)]
pub struct HeaderBlock<'a> {
    fields: Vec<Field<'a>>,
    block: &'a [u8],
    body: &'a [u8],
}

impl<'a> HeaderBlock<'a> {
    /// Reads the header block at the start of `bytes`, up to the first empty line.
    ///
    /// A message without an empty line is all header (RFC 5322 §3.5: the body is optional).
    ///
    /// # Errors
    /// Every line must be a field or a continuation, in UTF-8 without control characters, and
    /// within the limits; see [`MailFault`]. Singletons are not judged here but by
    /// [`Self::check_singletons`].
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, MailFault> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut rest = bytes;
        let mut used = 0usize;
        let mut number = 0usize;
        while !rest.is_empty() {
            number = number.saturating_add(1);
            let (field, lines) = match next_field(rest, number, limits)? {
                Next::Empty(length) => {
                    let body = rest.get(length..).unwrap_or_default();
                    return Ok(Self { fields, block: bytes.get(..used).unwrap_or_default(), body });
                }
                Next::Field(field, lines) => (field, lines),
            };
            number = number.saturating_add(lines.saturating_sub(1));
            used = used.saturating_add(field.raw.len());
            if used > limits.header {
                return Err(MailFault::HeaderTooLong);
            }
            if fields.len() >= limits.fields {
                return Err(MailFault::TooManyFields);
            }
            fields.push(field);
            rest = bytes.get(used..).unwrap_or_default();
        }
        Ok(Self { fields, block: bytes, body: &[] })
    }

    /// All fields in order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The block itself, without the empty line that ends it.
    pub const fn block(&self) -> &'a [u8] {
        self.block
    }

    /// What follows the empty line.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Fields of this name, in order.
    pub fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// The field of this name, if there is exactly one.
    ///
    /// # Errors
    /// [`MailFault::Duplicate`] when there are several.
    pub fn one(&self, name: &'static str) -> Result<Option<&Field<'a>>, MailFault> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            _ => Err(MailFault::Duplicate(name)),
        }
    }

    /// Refuses a second copy of a field of a MIME part: readers pick different ones (A14).
    ///
    /// # Errors
    /// [`MailFault::Duplicate`] naming the field.
    pub fn check_part_singletons(&self) -> Result<(), MailFault> {
        let of_parts = SINGLETONS.iter().filter(|name| name.starts_with("Content-"));
        of_parts.into_iter().try_for_each(|name| self.one(name).map(|_| ()))
    }

    /// Refuses a second copy of any field that may be there once (A14).
    ///
    /// # Errors
    /// [`MailFault::Duplicate`] naming the field.
    pub fn check_singletons(&self) -> Result<(), MailFault> {
        SINGLETONS.iter().try_for_each(|name| self.one(name).map(|_| ()))
    }
}

enum Next<'a> {
    Empty(usize),
    Field(Field<'a>, usize),
}

/// The field at the start of `rest` with its continuation lines, or the empty line.
fn next_field<'a>(rest: &'a [u8], number: usize, limits: &Limits) -> Result<Next<'a>, MailFault> {
    let first = header_line(rest, number, limits)?;
    if first.text.is_empty() {
        return Ok(Next::Empty(first.length));
    }
    let (name, _) = first.text.split_once(':').ok_or(MailFault::NotAField(number))?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(MailFault::NotAField(number));
    }
    let mut length = first.length;
    let mut lines = 1usize;
    while let Some(more) = rest.get(length..).filter(|more| more.starts_with(b" ") || more.starts_with(b"\t")) {
        let line = header_line(more, number.saturating_add(lines), limits)?;
        if line.text.trim_matches([' ', '\t']).is_empty() {
            return Err(MailFault::BlankContinuation(number.saturating_add(lines)));
        }
        length = length.saturating_add(line.length);
        lines = lines.saturating_add(1);
        if length > limits.header {
            return Err(MailFault::HeaderTooLong);
        }
    }
    let raw = rest.get(..length).unwrap_or_default();
    // Every line was checked to be UTF-8.
    let text = std::str::from_utf8(raw).map_err(|_| MailFault::HeaderCharacter(number))?;
    let value = text.split_once(':').map(|(_, value)| value).unwrap_or_default();
    Ok(Next::Field(Field { name, value, raw }, lines))
}

struct Line<'a> {
    text: &'a str,
    length: usize,
}

/// One header line: its text without CRLF, and its length with it.
fn header_line<'a>(rest: &'a [u8], number: usize, limits: &Limits) -> Result<Line<'a>, MailFault> {
    // No search beyond the limit: a line of a megabyte is refused after its first kilobyte.
    let window = rest.get(..limits.line.saturating_add(2)).unwrap_or(rest);
    let (text, length) = match memchr::memchr(b'\n', window) {
        Some(at) => {
            let text = window.get(..at).unwrap_or_default();
            (text.strip_suffix(b"\r").ok_or(MailFault::BareLf(number))?, at.saturating_add(1))
        }
        None if window.len() < rest.len() || window.len() > limits.line => return Err(MailFault::LongLine(number)),
        None => return Err(MailFault::Truncated),
    };
    // Nearly every line: nothing else can be wrong with it. No branch in it, so that it is done a vector at a time.
    let visible = |octet: &u8| (0x20..0x7f).contains(octet) | (*octet == b'\t');
    if text.iter().fold(true, |all, octet| all & visible(octet)) {
        return match std::str::from_utf8(text) {
            Ok(text) => Ok(Line { text, length }),
            Err(_) => Err(MailFault::HeaderCharacter(number)),
        };
    }
    if text.contains(&b'\r') {
        return Err(MailFault::BareCr(number));
    }
    if text.contains(&0) {
        return Err(MailFault::Nul(number));
    }
    let text = std::str::from_utf8(text).map_err(|_| MailFault::HeaderCharacter(number))?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MailFault::HeaderCharacter(number));
    }
    Ok(Line { text, length })
}

/// Checks the lines of a whole message: CRLF only, no NUL, no line over the limit (H13, A21).
///
/// # Errors
/// The first fault with its line number, counted from 1.
pub fn check_lines(message: &[u8], limits: &Limits) -> Result<(), MailFault> {
    let mut check = LineCheck::new(limits);
    check.update(message)?;
    check.finish().map(|_| ())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &[u8]) -> Result<HeaderBlock<'_>, MailFault> {
        HeaderBlock::parse(text, &Limits::default())
    }

    #[test]
    fn reads_fields_folds_and_body() {
        let block = parse(b"From: a@b.test\r\nSubject: one\r\n two\r\n\tthree\r\n\r\nbody\r\n").unwrap();
        assert_eq!(block.fields().len(), 2);
        assert_eq!(block.fields()[1].value(), "one two\tthree");
        assert_eq!(block.fields()[1].raw(), b"Subject: one\r\n two\r\n\tthree\r\n");
        assert_eq!(block.body(), b"body\r\n");
        assert!(block.one("subject").unwrap().is_some());
        assert_eq!(parse(b"From: a@b.test").map(|_| ()), Err(MailFault::Truncated));
        let all_header = parse(b"From: a@b.test\r\n").unwrap();
        assert_eq!((all_header.fields().len(), all_header.body()), (1, &b""[..]));
    }

    #[test]
    fn refuses_every_ambiguous_header_line() {
        let cases: [(&[u8], MailFault); 13] = [
            (b" folded first\r\n\r\n", MailFault::NotAField(1)),
            (b"no colon\r\n\r\n", MailFault::NotAField(1)),
            (b"Subject : x\r\n\r\n", MailFault::NotAField(1)),
            (b": x\r\n\r\n", MailFault::NotAField(1)),
            ("Suj\u{e9}t: x\r\n\r\n".as_bytes(), MailFault::NotAField(1)),
            (b"From a@b.test Sat Nov 21\r\n\r\n", MailFault::NotAField(1)),
            (b"A: x\r\n \r\nB: y\r\n\r\n", MailFault::BlankContinuation(2)),
            (b"A: x\nB: y\r\n\r\n", MailFault::BareLf(1)),
            (b"A: x\r\nB: y\rz\r\n\r\n", MailFault::BareCr(2)),
            (b"A: x\0\r\n\r\n", MailFault::Nul(1)),
            (b"A: x\x1b[1m\r\n\r\n", MailFault::HeaderCharacter(1)),
            (b"A: caf\xe9\r\n\r\n", MailFault::HeaderCharacter(1)),
            ("A: a\u{85}b\r\n\r\n".as_bytes(), MailFault::HeaderCharacter(1)),
        ];
        for (text, fault) in cases {
            assert_eq!(parse(text).map(|_| ()), Err(fault), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn singletons_are_single() {
        for name in SINGLETONS {
            let text = format!("{name}: a\r\n{}: b\r\n\r\n", name.to_uppercase());
            let block = parse(text.as_bytes()).unwrap();
            assert_eq!(block.check_singletons(), Err(MailFault::Duplicate(name)));
        }
        assert_eq!(parse(b"Received: a\r\nReceived: b\r\n\r\n").unwrap().check_singletons(), Ok(()));
    }

    #[test]
    fn limits_come_before_memory() {
        let limits = Limits { header: 40, fields: 2, line: 20, message: 60, ..Limits::default() };
        let at = |text: &str| HeaderBlock::parse(text.as_bytes(), &limits).map(|_| ());
        assert_eq!(at(&format!("A: {}\r\n\r\n", "x".repeat(17))), Ok(()));
        assert_eq!(at(&format!("A: {}\r\n\r\n", "x".repeat(18))), Err(MailFault::LongLine(1)));
        assert_eq!(at("A: x\r\nB: x\r\nC: x\r\n\r\n"), Err(MailFault::TooManyFields));
        assert_eq!(at(&format!("A: x\r\n{}", " yyyyyyy\r\n".repeat(6))), Err(MailFault::HeaderTooLong));
        assert_eq!(check_lines(&[b'x'; 61], &limits), Err(MailFault::TooLong(60)));
    }

    #[test]
    fn line_rules_hold_in_the_body_too() {
        let limits = Limits::default();
        let long = [&b"a: b\r\n\r\n"[..], &[b'x'; 999], b"\r\n"].concat();
        let cases: [(&[u8], Result<(), MailFault>); 7] = [
            (b"a: b\r\n\r\nc\r\n", Ok(())),
            (b"a: b\r\n\r\nno final line end", Ok(())),
            (b"a: b\r\n\r\nc\n.\r\n", Err(MailFault::BareLf(3))),
            (b"a: b\r\n\r\nc\r.\r\n", Err(MailFault::BareCr(3))),
            (b"a: b\r\n\r\nc\r", Err(MailFault::BareCr(3))),
            (b"a: b\r\n\r\n\0\r\n", Err(MailFault::Nul(3))),
            (&long, Err(MailFault::LongLine(3))),
        ];
        for (text, expected) in cases {
            assert_eq!(check_lines(text, &limits), expected, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_loses_no_octet(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(block) = parse(&text) {
                let whole: Vec<u8> = block.fields().iter().flat_map(|f| f.raw().iter().copied()).collect();
                prop_assert_eq!(&whole[..], block.block());
                prop_assert!(text.starts_with(&whole));
                prop_assert!(text.ends_with(block.body()));
            }
        }

        #[test]
        fn line_check_agrees_with_a_slow_reading(text in "[a\r\n\0]{0,12}") {
            let slow = !text.replace("\r\n", "").contains(['\r', '\n', '\0']);
            prop_assert_eq!(check_lines(text.as_bytes(), &Limits::default()).is_ok(), slow);
        }
    }
}
