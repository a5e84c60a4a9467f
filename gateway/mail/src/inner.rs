//! The digest of a message as it is handed over: what was judged, to be found again at delivery (design §3).
//!
//! Of a message that no signature covers it is SHA-256 over its octets. What a signature covers has been digested
//! for that signature already, and a second pass over a large message costs as much as opening it: there the
//! digest that was signed stands for those octets, together with what is put on top of them and where in them the
//! message begins. Either way two messages have the same digest only if they are the same message.

use ident::Fingerprint;
use openssl::sha::Sha256;

/// No message begins so: it has no colon, and a NUL (H13).
const LABEL: &[u8] = b"sceau/inner/1\0";

/// The digest of a message whose first octets are `head` and whose others are signed content from the place `from`
/// on. `signed` is the digest of all of that content by an algorithm that its length tells (SHA-256, SHA-384 or
/// SHA-512).
pub(crate) fn of_signed(head: &[u8], signed: &[u8], from: u64) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(LABEL);
    for part in [head, &from.to_be_bytes(), signed] {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Fingerprint::new(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let found = [
            of_signed(b"", &[7; 32], 0),
            of_signed(b"A: b\r\n", &[7; 32], 0),
            of_signed(b"", &[7; 32], 6),
            of_signed(b"", &[8; 32], 0),
            of_signed(b"", &[7; 48], 0),
            of_signed(&[0; 8], &[7; 32], 0),
            of_signed(b"", &[&[0; 8], &[7; 24][..]].concat(), 0),
        ];
        for (at, one) in found.iter().enumerate() {
            assert!(!found[..at].contains(one), "{at}");
        }
    }
}
