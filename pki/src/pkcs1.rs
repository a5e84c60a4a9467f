//! Taking RSA PKCS#1 v1.5 padding off a transported key without telling whether it was sound (H4, A9).
//!
//! OpenSSL 3.0 answers a broken padding with an error, and making that error takes measurable time;
//! later releases answer with octets that look random (implicit rejection). We decrypt without
//! padding and do the second ourselves, on every release: the answer always is some octets, found
//! without a branch or an index that depends on the padding.

pub(crate) mod oaep;

use std::hint::black_box;

use zeroize::Zeroizing;

/// The longest key that is ever transported; content keys have 32 octets at most.
const LONGEST: usize = 64;
/// Zero, two and eight octets of padding stand before the separator (RFC 8017 §7.2.1).
const FIRST_SEPARATOR: u64 = 10;

/// The message of an encoded block, or `random` when there is none of at most 64 octets.
///
/// `None` only for a block too short for any RSA key that we use.
pub(crate) fn message(block: &[u8], random: [u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
    let size = u64::try_from(block.len()).ok()?;
    let [zero, two, rest @ ..] = block else { return None };
    let mut sound = is_zero(u64::from(*zero)) & is_zero(u64::from(*two ^ 2));
    let (mut separator, mut found) = (0u64, 0u64);
    for (index, octet) in (2u64..).zip(rest) {
        let first = is_zero(u64::from(*octet)) & !found;
        separator |= index & first;
        found |= first;
    }
    sound &= found & !is_less(separator, FIRST_SEPARATOR);
    message_or(block, separator, sound, size, random)
}

/// What stands behind `separator` if the padding was `sound` (all ones) and it has at most 64 octets,
/// else `random`; found without a branch or an index that depends on either.
fn message_or(block: &[u8], separator: u64, sound: u64, size: u64, random: [u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
    let tail = block.get(block.len().checked_sub(LONGEST)?..)?;
    let length = size.wrapping_sub(separator).wrapping_sub(1);
    let sound = sound & !is_less(LONGEST as u64, length);
    let random_at = LONGEST.saturating_sub(random.len());
    let mut out = Zeroizing::new(Vec::with_capacity(LONGEST));
    for (index, octet) in tail.iter().enumerate() {
        let other = index.checked_sub(random_at).and_then(|at| random.get(at)).copied().unwrap_or(0);
        out.push(select(sound, *octet, other));
    }
    let length = (length & sound) | (random.len() as u64 & !sound);
    let skipped = LONGEST.saturating_sub(usize::try_from(length).ok()?);
    out.drain(..skipped);
    Some(out)
}

/// All ones if `value` is zero, else zero.
fn is_zero(value: u64) -> u64 {
    black_box(((!value & value.wrapping_sub(1)) >> 63).wrapping_neg())
}

/// All ones if `left` is less than `right`; both stand for lengths, far below 2⁶³.
fn is_less(left: u64, right: u64) -> u64 {
    black_box((left.wrapping_sub(right) >> 63).wrapping_neg())
}

fn select(mask: u64, yes: u8, no: u8) -> u8 {
    let [mask, ..] = mask.to_le_bytes();
    (yes & mask) | (no & !mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANDOM: [u8; 32] = [9; 32];

    fn block(padding: usize, message: &[u8]) -> Vec<u8> {
        [&[0, 2][..], &vec![0xff; padding], &[0], message].concat()
    }

    fn padded(message: &[u8]) -> Vec<u8> {
        block(256 - 3 - message.len(), message)
    }

    #[test]
    fn sound_padding_gives_the_message() {
        for length in [0, 1, 16, 24, 32, 61, 64] {
            let expected: Vec<u8> = (0..length).map(|octet| octet * 3).collect();
            assert_eq!(*message(&padded(&expected), RANDOM).unwrap(), expected, "{length}");
        }
        // The shortest padding: eight octets.
        assert_eq!(*message(&block(8, &[7; 64]), RANDOM).unwrap(), [7; 64]);
    }

    #[test]
    fn broken_padding_gives_the_random_octets() {
        let sound = padded(&[7; 32]);
        let changed = |at: usize, value: u8| {
            let mut block = sound.clone();
            block[at] = value;
            block
        };
        let mut no_separator = padded(&[7; 32]);
        no_separator[223] = 1;
        for (what, block) in [
            ("first octet", changed(0, 1)),
            ("block type", changed(1, 1)),
            ("block type of signatures", changed(1, 0)),
            ("separator at once", changed(2, 0)),
            ("seven octets of padding", changed(9, 0)),
            ("message too long", changed(100, 0)),
            ("no separator", no_separator),
            ("65 octets", padded(&[7; 65])),
        ] {
            assert_eq!(*message(&block, RANDOM).unwrap(), RANDOM, "{what}");
        }
        assert_eq!(message(&[0, 2, 3], RANDOM), None);
        assert_eq!(message(&[], RANDOM), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_reading(start in prop_oneof![Just([0u8, 2]), any::<[u8; 2]>()],
                                         rest in proptest::collection::vec(prop_oneof![9 => 1u8.., 1 => Just(0)], 126..254)) {
            let block = [&start[..], &rest].concat();
            let separator = rest.iter().position(|octet| *octet == 0);
            let plain = separator.filter(|at| start == [0, 2] && *at >= 8).map(|at| &rest[at + 1..]);
            let expected = plain.filter(|message| message.len() <= LONGEST).unwrap_or(&RANDOM);
            prop_assert_eq!(&**message(&block, RANDOM).unwrap(), expected);
        }
    }
}
