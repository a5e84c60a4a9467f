//! Strict DER reading (X.690 §10): the twin of [`crate::der`].
//!
//! Certificates, revocation lists and names are DER by definition, so everything else is refused:
//! indefinite or padded lengths, tags above 30, trailing octets. A reader that accepts one spelling
//! only cannot disagree with OpenSSL about what was signed.

use ident::Timestamp;
use thiserror::Error;
use time::{Date, Month, PrimitiveDateTime, Time};

/// The octets are not strict DER, or not of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not strict DER, or not of the expected type")]
pub(crate) struct Malformed;

pub(crate) type Read<T> = Result<T, Malformed>;

/// One element: its tag, its content, and both together as they were written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader over the content.
    pub(crate) fn inside(&self) -> Reader<'a> {
        Reader::new(self.value)
    }
}

/// Walks over the elements of one constructed value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The single element that `octets` must be, with nothing after it.
    pub(crate) fn only(octets: &'a [u8], tag: u8) -> Read<Element<'a>> {
        let mut reader = Self::new(octets);
        let element = reader.expect(tag)?;
        reader.end()?;
        Ok(element)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever its tag.
    pub(crate) fn next(&mut self) -> Read<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (&first, mut after) = after_tag.split_first().ok_or(Malformed)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            let octets = after.get(..count).ok_or(Malformed)?;
            // Minimal: no leading zero, and the long form only where the short one cannot do.
            if !(1..=4).contains(&count) || octets.first() == Some(&0) {
                return Err(Malformed);
            }
            let length = octets.iter().fold(0usize, |acc, octet| (acc << 8) | usize::from(*octet));
            if length < 0x80 {
                return Err(Malformed);
            }
            after = after.get(count..).ok_or(Malformed)?;
            length
        };
        let (value, rest) = after.split_at_checked(length).ok_or(Malformed)?;
        let used = self.rest.len().saturating_sub(rest.len());
        let whole = self.rest.get(..used).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Element { tag, value, whole })
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Read<Element<'a>> {
        let element = self.next()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed) }
    }

    /// The next element if it carries `tag`.
    pub(crate) fn optional(&mut self, tag: u8) -> Read<Option<Element<'a>>> {
        if self.peek() == Some(tag) { self.next().map(Some) } else { Ok(None) }
    }

    pub(crate) fn end(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Dotted form of the content of an OBJECT IDENTIFIER.
pub(crate) fn oid(content: &[u8]) -> Read<String> {
    let mut arcs: Vec<u64> = Vec::with_capacity(8);
    let mut value: u64 = 0;
    let mut fresh = true;
    for octet in content {
        if fresh && *octet == 0x80 {
            return Err(Malformed);
        }
        value = value.checked_mul(128).ok_or(Malformed)? | u64::from(octet & 0x7f);
        fresh = octet & 0x80 == 0;
        if fresh {
            if arcs.is_empty() {
                let first = (value / 40).min(2);
                arcs.push(first);
                value = value.saturating_sub(first.saturating_mul(40));
            }
            arcs.push(value);
            value = 0;
        }
    }
    if !fresh || arcs.is_empty() {
        return Err(Malformed);
    }
    Ok(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// BOOLEAN content.
pub(crate) fn boolean(content: &[u8]) -> Read<bool> {
    match content {
        [0] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(Malformed),
    }
}

/// INTEGER content, checked to be minimal; two's complement, as written.
pub(crate) fn integer(content: &[u8]) -> Read<&[u8]> {
    match content {
        [] => Err(Malformed),
        [0, second, ..] if *second < 0x80 => Err(Malformed),
        [0xff, second, ..] if *second >= 0x80 => Err(Malformed),
        _ => Ok(content),
    }
}

/// A small non-negative INTEGER.
pub(crate) fn small(content: &[u8]) -> Read<u32> {
    let content = integer(content)?;
    if content.first().is_some_and(|first| *first >= 0x80) || content.len() > 5 {
        return Err(Malformed);
    }
    let value = content.iter().fold(0u64, |acc, octet| (acc << 8) | u64::from(*octet));
    u32::try_from(value).map_err(|_| Malformed)
}

/// BIT STRING content whose unused bits are zero: the octets.
pub(crate) fn bits(content: &[u8]) -> Read<&[u8]> {
    let (&unused, octets) = content.split_first().ok_or(Malformed)?;
    let clean = match (unused, octets.last()) {
        (0, _) => true,
        (1..=7, Some(last)) => last & (0xffu8 >> (8u8.saturating_sub(unused))) == 0,
        _ => false,
    };
    if clean { Ok(octets) } else { Err(Malformed) }
}

/// A signature: BIT STRING content of whole octets (RFC 5280 §4.1.1.3). Padding bits, which no verifier
/// looks at, would give one signed thing several fingerprints.
pub(crate) fn signature(content: &[u8]) -> Read<&[u8]> {
    match content.split_first() {
        Some((0, octets)) => Ok(octets),
        _ => Err(Malformed),
    }
}

/// Named bits as a number: bit 0 of the ASN.1 type is the lowest bit here; at most 16 of them.
pub(crate) fn named_bits(content: &[u8]) -> Read<u16> {
    let octets = bits(content)?;
    if octets.len() > 2 {
        return Err(Malformed);
    }
    let at = |index: usize| octets.get(index).copied().unwrap_or(0).reverse_bits();
    Ok(u16::from(at(0)) | (u16::from(at(1)) << 8))
}

/// UTCTime or GeneralizedTime in the only forms that RFC 5280 §4.1.2.5 allows.
pub(crate) fn time(element: &Element<'_>) -> Read<Timestamp> {
    let text = std::str::from_utf8(element.value).map_err(|_| Malformed)?;
    let digits = text.strip_suffix('Z').ok_or(Malformed)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed);
    }
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|d| d.parse::<i32>().ok()).ok_or(Malformed);
    let (year, at) = match (element.tag, digits.len()) {
        (crate::der::tag::UTC_TIME, 12) => {
            let year = number(0, 2)?;
            (if year < 50 { year.saturating_add(2000) } else { year.saturating_add(1900) }, 2)
        }
        (crate::der::tag::GENERALIZED_TIME, 14) => (number(0, 4)?, 4usize),
        _ => return Err(Malformed),
    };
    let part = |index: usize| {
        let from = at.saturating_add(index.saturating_mul(2));
        number(from, from.saturating_add(2)).and_then(|n| u8::try_from(n).map_err(|_| Malformed))
    };
    let month = Month::try_from(part(0)?).map_err(|_| Malformed)?;
    let date = Date::from_calendar_date(year, month, part(1)?).map_err(|_| Malformed)?;
    let clock = Time::from_hms(part(2)?, part(3)?, part(4)?).map_err(|_| Malformed)?;
    Ok(Timestamp::from_seconds(PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp()))
}

/// Text of any of the string types that occur in names.
pub(crate) fn text(element: &Element<'_>) -> Read<String> {
    let value = element.value;
    match element.tag {
        0x0c => String::from_utf8(value.to_vec()).map_err(|_| Malformed),
        // Numeric, Printable, IA5, Visible.
        0x12 | 0x13 | 0x16 | 0x1a => {
            if value.is_ascii() {
                String::from_utf8(value.to_vec()).map_err(|_| Malformed)
            } else {
                Err(Malformed)
            }
        }
        // Teletex: in practice Latin-1.
        0x14 => Ok(value.iter().map(|b| char::from(*b)).collect()),
        // BMP.
        0x1e if value.len().is_multiple_of(2) => {
            let units = value.chunks(2).map(|pair| pair.iter().fold(0u16, |acc, b| (acc << 8) | u16::from(*b)));
            char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| Malformed)
        }
        // Universal.
        0x1c if value.len().is_multiple_of(4) => value
            .chunks(4)
            .map(|four| char::from_u32(four.iter().fold(0u32, |acc, b| (acc << 8) | u32::from(*b))).ok_or(Malformed))
            .collect(),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der;

    #[test]
    fn refuses_every_second_spelling() {
        for octets in [
            &[0x30, 0x80, 0, 0][..],      // indefinite
            &[0x04, 0x81, 0x01, 7],       // long form for a short length
            &[0x04, 0x82, 0x00, 0x80, 0], // leading zero
            &[0x1f, 0x81, 0x01, 0],       // high tag
            &[0x04, 0x02, 0x00],          // truncated
            &[0x04],
            &[],
            &[0x04, 0x85, 1, 0, 0, 0, 0],
        ] {
            assert!(Reader::new(octets).next().is_err(), "{octets:02x?}");
        }
        assert!(Reader::only(&[0x04, 1, 7, 0], 0x04).is_err(), "trailing octet");
        assert!(integer(&[0, 0x7f]).is_err() && integer(&[0xff, 0x80]).is_err() && integer(&[]).is_err());
        assert!(boolean(&[1]).is_err());
        assert!(bits(&[1, 0x01]).is_err() && bits(&[8, 0]).is_err() && bits(&[1]).is_err());
    }

    #[test]
    fn reads_times_as_rfc_5280_writes_them() {
        let read = |tag, text: &str| time(&Element { tag, value: text.as_bytes(), whole: &[] });
        assert_eq!(read(0x17, "491231235959Z").unwrap().rfc3339(), "2049-12-31T23:59:59Z");
        assert_eq!(read(0x17, "500101000000Z").unwrap().rfc3339(), "1950-01-01T00:00:00Z");
        assert_eq!(read(0x18, "99991231235959Z").unwrap().rfc3339(), "9999-12-31T23:59:59Z");
        for (tag, text) in [
            (0x17, "4912312359Z"),
            (0x17, "491231235959+0100"),
            (0x17, "491331235959Z"),
            (0x18, "20260230000000Z"),
            (0x18, "20260101000000.5Z"),
            (0x18, "20260101000000"),
            (0x13, "491231235959Z"),
        ] {
            assert!(read(tag, text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_texts_of_every_kind() {
        let read = |tag, value: &[u8]| text(&Element { tag, value, whole: &[] });
        assert_eq!(read(0x14, &[0x4e, 0xe9]).unwrap(), "Né");
        assert_eq!(read(0x1e, &[0, 0x4e, 0, 0xe9]).unwrap(), "Né");
        assert_eq!(read(0x0c, "Né".as_bytes()).unwrap(), "Né");
        assert!(read(0x13, &[0xe9]).is_err());
        assert!(read(0x1e, &[0]).is_err());
        assert!(read(0x0c, &[0xff]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&octets);
            while let Ok(element) = reader.next() {
                let _ = (oid(element.value), time(&element), text(&element), named_bits(element.value), small(element.value));
            }
        }

        #[test]
        fn reads_what_the_writer_wrote(number in any::<u32>(), arcs in proptest::collection::vec(any::<u32>(), 0..6)) {
            let written = der::integer(u64::from(number));
            prop_assert_eq!(small(Reader::only(&written, 2).unwrap().value), Ok(number));
            let dotted = arcs.iter().fold("1.2".to_owned(), |text, arc| format!("{text}.{arc}"));
            let written = der::oid(&dotted).unwrap();
            prop_assert_eq!(oid(Reader::only(&written, 6).unwrap().value), Ok(dotted));
        }
    }
}
