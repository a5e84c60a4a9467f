//! The structures of RFC 3161 §2.4.2, strictly in DER.

use ident::Timestamp;

use super::TimestampFault;
use crate::{
    algorithm::Digest,
    certificate,
    der::tag,
    der_reader::{self, Element, Malformed, Read, Reader},
};

/// Octets of a serial number: RFC 3161 asks readers for 160 bits.
const MAX_SERIAL: usize = 20;
/// Octets of a nonce; ours has eight.
const MAX_NONCE: usize = 64;

/// What we read of TSTInfo.
pub(super) struct Info {
    pub(super) digest: Digest,
    pub(super) imprint: Vec<u8>,
    pub(super) serial: String,
    pub(super) at: Timestamp,
    pub(super) policy: String,
    pub(super) nonce: Option<Vec<u8>>,
}

impl Info {
    pub(super) fn read(der: &[u8]) -> Result<Self, TimestampFault> {
        let mut members = Reader::only(der, tag::SEQUENCE)?.inside();
        if der_reader::small(members.expect(tag::INTEGER)?.value)? != 1 {
            return Err(TimestampFault::Malformed);
        }
        let policy = der_reader::oid(members.expect(tag::OID)?.value)?;
        let (digest, imprint) = imprint(members.expect(tag::SEQUENCE)?.inside())?;
        let serial = number(&members.expect(tag::INTEGER)?, MAX_SERIAL)?;
        let at = time(&members.expect(tag::GENERALIZED_TIME)?)?;
        // Accuracy and order matter to nobody here: the bound on the time is ours, in minutes.
        members.optional(tag::SEQUENCE)?;
        members.optional(tag::BOOLEAN)?;
        let nonce = match members.optional(tag::INTEGER)? {
            Some(nonce) => Some(number(&nonce, MAX_NONCE)?),
            None => None,
        };
        members.optional(0xa0)?;
        if let Some(extensions) = members.optional(0xa1)? {
            no_critical(extensions.inside())?;
        }
        members.end()?;
        let serial = serial.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self { digest, imprint, serial, at, policy, nonce })
    }
}

/// PKIStatus, without the texts beside it.
pub(super) fn status(info: &Element<'_>) -> Read<u32> {
    let mut members = info.inside();
    let status = der_reader::small(members.expect(tag::INTEGER)?.value)?;
    members.optional(tag::SEQUENCE)?;
    members.optional(tag::BIT_STRING)?;
    members.end()?;
    Ok(status)
}

fn imprint(mut members: Reader<'_>) -> Result<(Digest, Vec<u8>), TimestampFault> {
    let (oid, _) = certificate::algorithm(members.expect(tag::SEQUENCE)?.value)?;
    let value = members.expect(tag::OCTET_STRING)?.value;
    members.end()?;
    match Digest::of_oid(&oid) {
        Some(digest @ (Digest::Sha256 | Digest::Sha384 | Digest::Sha512)) => Ok((digest, value.to_vec())),
        _ => Err(TimestampFault::Digest(oid)),
    }
}

/// A non-negative number without leading zeros.
fn number(element: &Element<'_>, most: usize) -> Read<Vec<u8>> {
    let octets = der_reader::integer(element.value)?;
    let octets = if octets.first().is_some_and(|first| *first >= 0x80) { return Err(Malformed) } else { octets };
    let octets = significant(octets);
    if octets.len() > most { Err(Malformed) } else { Ok(octets.to_vec()) }
}

/// Without leading zeros.
pub(super) fn significant(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    octets.get(zeros..).unwrap_or_default()
}

/// GeneralizedTime with the fraction of a second that RFC 3161 allows here; what we tell is whole seconds.
fn time(element: &Element<'_>) -> Read<Timestamp> {
    let text = element.value;
    let whole: Vec<u8> = match text.iter().position(|octet| *octet == b'.') {
        None => text.to_vec(),
        Some(dot) => {
            let fraction =
                text.get(dot.saturating_add(1)..).and_then(|rest| rest.strip_suffix(b"Z")).ok_or(Malformed)?;
            let digits = (1..=9).contains(&fraction.len()) && fraction.iter().all(u8::is_ascii_digit);
            if !digits || fraction.last() == Some(&b'0') {
                return Err(Malformed);
            }
            [text.get(..dot).unwrap_or_default(), b"Z"].concat()
        }
    };
    der_reader::time(&Element { tag: element.tag, value: &whole, whole: &whole })
}

/// An extension that must be understood is not.
fn no_critical(mut extensions: Reader<'_>) -> Result<(), TimestampFault> {
    while !extensions.is_empty() {
        let mut members = extensions.expect(tag::SEQUENCE)?.inside();
        members.expect(tag::OID)?;
        if members.optional(tag::BOOLEAN)?.is_some() {
            return Err(TimestampFault::Extension);
        }
        members.expect(tag::OCTET_STRING)?;
        members.end()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_may_have_a_fraction_and_only_one_spelling() {
        let read = |text: &str| {
            time(&Element { tag: tag::GENERALIZED_TIME, value: text.as_bytes(), whole: &[] }).map(Timestamp::rfc3339)
        };
        for text in ["20261122100000Z", "20261122100000.5Z", "20261122100000.123456789Z"] {
            assert_eq!(read(text).as_deref(), Ok("2026-11-22T10:00:00Z"), "{text}");
        }
        for text in
            ["20261122100000.Z", "20261122100000.50Z", "20261122100000.5", "202611221000.5Z", "20261122100000,5Z"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Info::read(&octets);
            let wrapped = crate::der::tlv(tag::SEQUENCE, &[&[2, 1, 1, 6, 1, 42][..], &octets].concat());
            let _ = Info::read(&wrapped);
        }
    }
}
