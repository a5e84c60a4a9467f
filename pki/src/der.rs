//! Strict DER writing (X.690 §10, §11): small functions that return encoded values.
//!
//! What is written here is canonical by construction: definite lengths, minimal integers,
//! sorted sets. Reading foreign bytes is another matter and lives elsewhere.

use ident::Timestamp;
use time::OffsetDateTime;

/// Tag octets used by the structures that Sceau writes.
pub mod tag {
    /// BOOLEAN
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING
    pub const OCTET_STRING: u8 = 0x04;
    /// NULL
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER
    pub const OID: u8 = 0x06;
    /// ENUMERATED
    pub const ENUMERATED: u8 = 0x0a;
    /// UTF8String
    pub const UTF8_STRING: u8 = 0x0c;
    /// PrintableString
    pub const PRINTABLE_STRING: u8 = 0x13;
    /// IA5String
    pub const IA5_STRING: u8 = 0x16;
    /// UTCTime
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE, constructed
    pub const SEQUENCE: u8 = 0x30;
    /// SET, constructed
    pub const SET: u8 = 0x31;
}

/// One value: tag, definite length, content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len().saturating_add(6));
    header_into(&mut out, tag, content.len());
    out.extend_from_slice(content);
    out
}

/// Appends tag and definite length only, for contents that follow as a stream.
pub fn header_into(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    let octets = length.to_be_bytes();
    let significant: Vec<u8> = octets.iter().copied().skip_while(|b| *b == 0).collect();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0x7e));
            out.extend_from_slice(&significant);
        }
    }
}

/// SEQUENCE of already encoded members, in this order.
pub fn sequence<T: AsRef<[u8]>>(members: &[T]) -> Vec<u8> {
    tlv(tag::SEQUENCE, &concat(members))
}

/// SET OF already encoded members, sorted as DER asks (X.690 §11.6).
pub fn set_of<T: AsRef<[u8]>>(members: &[T]) -> Vec<u8> {
    tlv(tag::SET, &sorted(members))
}

/// The content octets of a SET OF, for places that use another tag.
pub fn sorted<T: AsRef<[u8]>>(members: &[T]) -> Vec<u8> {
    let mut members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
    members.sort_unstable();
    members.concat()
}

/// Constructed context tag `[n]` around already encoded members: EXPLICIT, or IMPLICIT of a SEQUENCE or SET.
pub fn context<T: AsRef<[u8]>>(number: u8, members: &[T]) -> Vec<u8> {
    tlv(0xa0 | (number & 0x1f), &concat(members))
}

/// Primitive context tag `[n]`: IMPLICIT of a string-like type.
pub fn context_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | (number & 0x1f), content)
}

/// INTEGER from unsigned big-endian octets.
pub fn unsigned(octets: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = octets.iter().copied().skip_while(|b| *b == 0).collect();
    if content.first().is_none_or(|b| *b >= 0x80) {
        content.insert(0, 0);
    }
    tlv(tag::INTEGER, &content)
}

/// INTEGER from a small number.
pub fn integer(value: u64) -> Vec<u8> {
    unsigned(&value.to_be_bytes())
}

/// BOOLEAN.
pub fn boolean(value: bool) -> Vec<u8> {
    tlv(tag::BOOLEAN, &[if value { 0xff } else { 0 }])
}

/// NULL.
pub fn null() -> Vec<u8> {
    tlv(tag::NULL, &[])
}

/// OCTET STRING.
pub fn octet_string(content: &[u8]) -> Vec<u8> {
    tlv(tag::OCTET_STRING, content)
}

/// BIT STRING of whole octets.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    let mut octets = vec![0];
    octets.extend_from_slice(content);
    tlv(tag::BIT_STRING, &octets)
}

/// Named bits (key usage, reason flags): bit 0 is the first of `bits`, trailing zeros dropped (X.690 §11.2.2).
pub fn named_bits(bits: &[bool]) -> Vec<u8> {
    let used = bits.iter().rposition(|bit| *bit).map_or(0, |last| last.saturating_add(1));
    let mut octets = vec![u8::try_from(used.next_multiple_of(8).saturating_sub(used)).unwrap_or(0)];
    for chunk in bits.get(..used).unwrap_or_default().chunks(8) {
        octets.push(
            chunk
                .iter()
                .zip([0x80u8, 0x40, 0x20, 0x10, 8, 4, 2, 1])
                .filter(|(on, _)| **on)
                .fold(0, |acc, (_, bit)| acc | bit),
        );
    }
    tlv(tag::BIT_STRING, &octets)
}

/// UTF8String.
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(tag::UTF8_STRING, text.as_bytes())
}

/// UTCTime for the years 1950 to 2049, GeneralizedTime else, whole seconds (RFC 5280 §4.1.2.5,
/// RFC 5652 §11.3); `None` outside the years 0 to 9999.
pub fn time(at: Timestamp) -> Option<Vec<u8>> {
    let moment = OffsetDateTime::from_unix_timestamp(at.seconds()).ok()?;
    let (date, time) = (moment.date(), moment.time());
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    match date.year() {
        year @ 1950..2050 => Some(tlv(tag::UTC_TIME, format!("{:02}{rest}", year.rem_euclid(100)).as_bytes())),
        year @ 0..=9999 => Some(tlv(tag::GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes())),
        _ => None,
    }
}

/// OBJECT IDENTIFIER from its dotted form; `None` when it is malformed.
pub fn oid(dotted: &str) -> Option<Vec<u8>> {
    let mut arcs = dotted.split('.').map(str::parse::<u64>);
    let (first, second) = (arcs.next()?.ok()?, arcs.next()?.ok()?);
    if first > 2 || (first < 2 && second > 39) {
        return None;
    }
    let mut content = Vec::new();
    push_base128(&mut content, first.checked_mul(40)?.checked_add(second)?);
    for arc in arcs {
        push_base128(&mut content, arc.ok()?);
    }
    Some(tlv(tag::OID, &content))
}

fn push_base128(out: &mut Vec<u8>, value: u64) {
    let mut groups = [0u8; 10];
    let mut rest = value;
    let mut used = 0usize;
    for slot in groups.iter_mut().rev() {
        *slot = u8::try_from(rest & 0x7f).unwrap_or(0) | if used == 0 { 0 } else { 0x80 };
        used = used.saturating_add(1);
        rest >>= 7;
        if rest == 0 {
            break;
        }
    }
    out.extend(groups.iter().skip(groups.len().saturating_sub(used)));
}

fn concat<T: AsRef<[u8]>>(members: &[T]) -> Vec<u8> {
    members.iter().flat_map(|m| m.as_ref().iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal() {
        assert_eq!(tlv(4, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tlv(4, &[0; 127]).get(..2), Some(&[4, 127][..]));
        assert_eq!(tlv(4, &[0; 128]).get(..3), Some(&[4, 0x81, 128][..]));
        assert_eq!(tlv(4, &[0; 256]).get(..4), Some(&[4, 0x82, 1, 0][..]));
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(unsigned(&[0, 0, 1]), [2, 1, 1]);
    }

    #[test]
    fn oids_and_bits_match_known_encodings() {
        assert_eq!(oid("1.2.840.113549.1.7.2").unwrap(), [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
        assert_eq!(oid("2.5.29.15").unwrap(), [6, 3, 0x55, 0x1d, 0x0f]);
        assert_eq!(oid("3.1"), None);
        assert_eq!(oid("1.40"), None);
        // keyCertSign + cRLSign
        assert_eq!(named_bits(&[false, false, false, false, false, true, true]), [3, 2, 1, 0x06]);
        assert_eq!(named_bits(&[]), [3, 1, 0]);
    }

    #[test]
    fn times_change_form_in_2050() {
        let written = |text| time(Timestamp::parse(text).unwrap()).unwrap();
        assert_eq!(written("2026-11-21T22:57:03Z"), tlv(tag::UTC_TIME, b"261121225703Z"));
        assert_eq!(written("2049-12-31T23:59:59Z"), tlv(tag::UTC_TIME, b"491231235959Z"));
        assert_eq!(written("2050-01-01T00:00:00Z"), tlv(tag::GENERALIZED_TIME, b"20500101000000Z"));
        assert_eq!(time(Timestamp::MAX), None);
    }

    #[test]
    fn sets_are_sorted() {
        assert_eq!(set_of(&[integer(2), integer(1)]), [0x31, 6, 2, 1, 1, 2, 1, 2]);
    }
}
