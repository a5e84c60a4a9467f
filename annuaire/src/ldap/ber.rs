//! The few forms of BER that LDAP uses (RFC 4511 §5.1): definite lengths, tags of one octet. Reading neither recurses
//! nor copies, and believes no length that the octets at hand do not bear out. For both sides: the server here, and
//! whoever asks other servers.

use thiserror::Error;

/// Universal and message tags.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// OCTET STRING.
    pub const OCTETS: u8 = 0x04;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET OF.
    pub const SET: u8 = 0x31;
    /// `[0]` constructed: controls of a message, conjunction of a filter.
    pub const CONTEXT_0: u8 = 0xa0;
}

/// Not BER as LDAP uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not BER as LDAP uses it")]
pub struct Malformed;

/// What may go wrong while reading.
pub type Read<T> = Result<T, Malformed>;

/// Elements one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these.
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag and its content.
    ///
    /// # Errors
    /// [`Malformed`] too at the end of the octets.
    pub fn element(&mut self) -> Read<(u8, &'a [u8])> {
        let (tag, after) = self.0.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, after) = length(after)?.ok_or(Malformed)?;
        let (value, rest) = after.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((*tag, value))
    }

    /// The next element, which must have this tag.
    ///
    /// # Errors
    /// [`Malformed`] where another stands, or none.
    pub fn expect(&mut self, wanted: u8) -> Read<&'a [u8]> {
        let (tag, value) = self.element()?;
        if tag == wanted { Ok(value) } else { Err(Malformed) }
    }

    /// The next element, if it has this tag.
    ///
    /// # Errors
    /// [`Malformed`] where an element of this tag is no whole one.
    pub fn optional(&mut self, wanted: u8) -> Read<Option<&'a [u8]>> {
        if self.peek() == Some(wanted) { self.expect(wanted).map(Some) } else { Ok(None) }
    }

    /// A number from 0 to 2³¹ − 1 under this tag (`maxInt`, RFC 4511 §4.1.1).
    ///
    /// # Errors
    /// [`Malformed`] for other numbers and other tags.
    pub fn number(&mut self, wanted: u8) -> Read<u32> {
        let digits = self.expect(wanted)?;
        let positive = digits.first().is_some_and(|first| *first < 0x80);
        let sum = digits.iter().fold(0u64, |sum, digit| (sum << 8) | u64::from(*digit));
        match u32::try_from(sum) {
            Ok(number) if positive && digits.len() <= 5 && number <= 0x7fff_ffff => Ok(number),
            _ => Err(Malformed),
        }
    }

    /// TRUE or FALSE.
    ///
    /// # Errors
    /// [`Malformed`] where nothing of the kind stands.
    pub fn boolean(&mut self) -> Read<bool> {
        match self.expect(tag::BOOLEAN)? {
            [octet] => Ok(*octet != 0),
            _ => Err(Malformed),
        }
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// [`Malformed`] if something does.
    pub fn end(&self) -> Read<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// The length at the start of `octets` and what follows it; nothing when more octets are needed. Some clients always
/// use the long form, with leading zeros.
pub fn length(octets: &[u8]) -> Read<Option<(usize, &[u8])>> {
    let Some((first, rest)) = octets.split_first() else { return Ok(None) };
    match first {
        0..=0x7f => Ok(Some((usize::from(*first), rest))),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let Some((digits, rest)) = rest.split_at_checked(count) else { return Ok(None) };
            let length = digits.iter().fold(0u32, |sum, digit| (sum << 8) | u32::from(*digit));
            Ok(Some((usize::try_from(length).map_err(|_| Malformed)?, rest)))
        }
        // Indefinite, or longer than anything that we would read.
        _ => Err(Malformed),
    }
}

/// Elements being written: lengths are filled in when an element is closed.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Octets so far.
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Takes back everything from `mark` on.
    pub fn truncate(&mut self, mark: usize) {
        self.octets.truncate(mark);
    }

    /// One element whose content is here.
    pub fn put(&mut self, tag: u8, value: &[u8]) {
        self.octets.push(tag);
        push_length(&mut self.octets, value.len());
        self.octets.extend_from_slice(value);
    }

    /// What is already encoded.
    pub fn raw(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// TRUE or FALSE.
    pub fn boolean(&mut self, value: bool) {
        self.put(tag::BOOLEAN, &[if value { 0xff } else { 0 }]);
    }

    /// A number under this tag.
    pub fn number(&mut self, tag: u8, number: u32) {
        let digits = number.to_be_bytes();
        let zeros = digits.iter().take(3).take_while(|digit| **digit == 0).count();
        let shortest = digits.get(zeros..).unwrap_or_default();
        if shortest.first().is_some_and(|first| *first >= 0x80) {
            let mut padded = vec![0];
            padded.extend_from_slice(shortest);
            self.put(tag, &padded);
        } else {
            self.put(tag, shortest);
        }
    }

    /// An element with elements in it.
    pub fn constructed(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.octets.push(tag);
        // Most elements are short: the one octet that says how long they are has its place from the start.
        let head = self.octets.len();
        self.octets.push(0);
        let start = self.octets.len();
        content(self);
        let length = self.octets.len().saturating_sub(start);
        match (u8::try_from(length), self.octets.get_mut(head)) {
            (Ok(short), Some(octet)) if short < 0x80 => *octet = short,
            _ => {
                let mut long = Vec::with_capacity(5);
                push_length(&mut long, length);
                self.octets.splice(head..start, long);
            }
        }
    }
}

fn push_length(octets: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => octets.push(short),
        _ => {
            let digits = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            let zeros = digits.iter().take(3).take_while(|digit| **digit == 0).count();
            let shortest = digits.get(zeros..).unwrap_or_default();
            octets.push(0x80 | u8::try_from(shortest.len()).unwrap_or(4));
            octets.extend_from_slice(shortest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_long_forms_and_refuses_the_rest() {
        assert_eq!(length(&[0x05, 9]), Ok(Some((5, &[9][..]))));
        assert_eq!(length(&[0x84, 0, 0, 0, 5, 9]), Ok(Some((5, &[9][..]))));
        assert_eq!(length(&[0x82, 1]), Ok(None));
        assert_eq!(length(&[0x80]), Err(Malformed));
        assert_eq!(length(&[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(Reader::new(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).element(), Err(Malformed));
        assert_eq!(Reader::new(&[0x1f, 0x81, 0]).element(), Err(Malformed));
        assert_eq!(Reader::new(&[2, 1, 0xff]).number(tag::INTEGER), Err(Malformed));
        assert_eq!(Reader::new(&[2, 5, 0, 0x7f, 0xff, 0xff, 0xff]).number(tag::INTEGER), Ok(0x7fff_ffff));
        assert_eq!(Reader::new(&[2, 4, 0x80, 0, 0, 0]).number(tag::INTEGER), Err(Malformed));
        assert_eq!(Reader::new(&[2, 0]).number(tag::INTEGER), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in prop::collection::vec(any::<u8>(), 0..700), long in any::<bool>(), number in 0..0x7fff_ffffu32) {
            let value = if long { value.repeat(200) } else { value };
            let mut writer = Writer::new();
            writer.constructed(tag::SEQUENCE, |inside| {
                inside.put(tag::OCTETS, &value);
                inside.number(tag::INTEGER, number);
                inside.boolean(true);
            });
            let written = writer.into_octets();
            let mut reader = Reader::new(&written);
            let mut inside = Reader::new(reader.expect(tag::SEQUENCE).unwrap());
            prop_assert_eq!(inside.expect(tag::OCTETS), Ok(&value[..]));
            prop_assert_eq!(inside.number(tag::INTEGER), Ok(number));
            prop_assert_eq!(inside.boolean(), Ok(true));
            prop_assert!(inside.end().is_ok() && reader.end().is_ok());
        }

        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&octets);
            while reader.element().is_ok() {}
        }
    }
}
