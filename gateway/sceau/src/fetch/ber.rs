//! The few forms of BER that LDAP uses (RFC 4511 §5.1): definite lengths, tags of one octet. Reads
//! what a stranger sent, without recursion and without copies; writes our own one question.

/// A tag of one octet.
pub(super) type Tag = u8;

/// Elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ber<'a>(pub(super) &'a [u8]);

/// Not BER as LDAP uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotBer;

impl<'a> Ber<'a> {
    /// The next element; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Tag, &'a [u8])>, NotBer> {
        let Some((tag, rest)) = self.0.split_first() else { return Ok(None) };
        let (length, rest) = length(rest)?.ok_or(NotBer)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(NotBer)?;
        self.0 = rest;
        Ok(Some((*tag, value)))
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, wanted: Tag) -> Result<&'a [u8], NotBer> {
        self.next()?.filter(|(tag, _)| *tag == wanted).map(|(_, value)| value).ok_or(NotBer)
    }
}

/// The length at the start of `octets` and what follows it; nothing when more octets are needed.
/// Some servers always use the long form, with leading zeros.
pub(super) fn length(octets: &[u8]) -> Result<Option<(usize, &[u8])>, NotBer> {
    let Some((first, rest)) = octets.split_first() else { return Ok(None) };
    match first {
        0..=0x7f => Ok(Some((usize::from(*first), rest))),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let Some((digits, rest)) = rest.split_at_checked(count) else { return Ok(None) };
            let length = digits.iter().fold(0, |sum: usize, digit| sum.wrapping_mul(256) | usize::from(*digit));
            Ok(Some((length, rest)))
        }
        // Indefinite, or longer than anything that we would read.
        _ => Err(NotBer),
    }
}

/// One element.
pub(super) fn element(tag: Tag, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            out.push(0x84);
            out.extend_from_slice(&digits);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
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
        assert_eq!(length(&[0x80]), Err(NotBer));
        assert_eq!(length(&[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(NotBer));
        assert_eq!(Ber(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).next(), Err(NotBer));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in prop::collection::vec(any::<u8>(), 0..700), tag in any::<u8>()) {
            let written = element(tag, &[&value]);
            let mut reader = Ber(&written);
            prop_assert_eq!(reader.next(), Ok(Some((tag, &value[..]))));
            prop_assert_eq!(reader.next(), Ok(None));
        }

        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Ber(&octets);
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
