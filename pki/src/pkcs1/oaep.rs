//! Taking RSA-OAEP padding off (RFC 8017 §7.1.2), for tokens that do raw RSA but not the OAEP with
//! SHA-256 that others write to us. As with PKCS#1 v1.5 the answer is always some octets (H4): what
//! made Manger's attack work, a first octet that can be told from a wrong hash, cannot be seen here.

use openssl::hash::{MessageDigest, hash};
use zeroize::Zeroizing;

use super::{is_zero, message_or};

/// The message of an encoded block with an empty label, or `random` when there is none of at most 64 octets.
///
/// `None` only for a block too short for the digest, or when the library fails.
pub(crate) fn message(block: &[u8], digest: MessageDigest, random: [u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
    let size = digest.size();
    let (first, masked) = block.split_first()?;
    let (masked_seed, masked_db) = masked.split_at_checked(size)?;
    let seed = unmask(masked_seed, masked_db, digest)?;
    let db = unmask(masked_db, &seed, digest)?;
    let (found_label, rest) = db.split_at_checked(size)?;
    let label = hash(digest, &[]).ok()?;

    let mut sound = is_zero(u64::from(*first));
    for (found, expected) in found_label.iter().zip(label.iter()) {
        sound &= is_zero(u64::from(found ^ expected));
    }
    // Zeros, then a one, then the message.
    let (mut separator, mut seen) = (0u64, 0u64);
    for (index, octet) in (0u64..).zip(rest) {
        let one = is_zero(u64::from(*octet ^ 1)) & !seen;
        let neither = !is_zero(u64::from(*octet)) & !is_zero(u64::from(*octet ^ 1)) & !seen;
        separator |= index & one;
        sound &= !neither;
        seen |= one;
    }
    message_or(rest, separator, sound & seen, u64::try_from(rest.len()).ok()?, random)
}

/// `masked` ⊕ MGF1(`seed`) (RFC 8017 §B.2.1).
fn unmask(masked: &[u8], seed: &[u8], digest: MessageDigest) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(masked.len()));
    for (counter, chunk) in (0u32..).zip(masked.chunks(digest.size())) {
        let input = Zeroizing::new([seed, &counter.to_be_bytes()].concat());
        let mask = hash(digest, &input).ok()?;
        out.extend(chunk.iter().zip(mask.iter()).map(|(octet, mask)| octet ^ mask));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use openssl::{
        encrypt::Encrypter,
        pkey::{PKey, Private},
        rsa::{Padding, Rsa},
    };
    use proptest::prelude::*;
    use std::sync::LazyLock;

    use super::*;

    const RANDOM: [u8; 32] = [9; 32];
    static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());

    /// An encoded block as OpenSSL makes it.
    fn block(digest: MessageDigest, message: &[u8]) -> Vec<u8> {
        let mut encrypter = Encrypter::new(&KEY).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(digest).unwrap();
        encrypter.set_rsa_mgf1_md(digest).unwrap();
        let mut wrapped = vec![0; 256];
        assert_eq!(encrypter.encrypt(message, &mut wrapped).unwrap(), 256);
        let mut out = vec![0; 256];
        KEY.rsa().unwrap().private_decrypt(&wrapped, &mut out, Padding::NONE).unwrap();
        out
    }

    /// Masks a data block of our own making, so that everything but one thing is right.
    fn masked(first: u8, db: &[u8], digest: MessageDigest) -> Vec<u8> {
        let seed = vec![5; digest.size()];
        let masked_db = unmask(db, &seed, digest).unwrap();
        let masked_seed = unmask(&seed, &masked_db, digest).unwrap();
        [&[first][..], &masked_seed, &masked_db].concat()
    }

    #[test]
    fn openssls_blocks_give_the_message() {
        for digest in [MessageDigest::sha256(), MessageDigest::sha1()] {
            for length in [0usize, 1, 16, 32, 64] {
                let expected: Vec<u8> = (0..length).map(|octet| u8::try_from(octet).unwrap()).collect();
                assert_eq!(*super::message(&block(digest, &expected), digest, RANDOM).unwrap(), expected);
            }
        }
        let other = super::message(&block(MessageDigest::sha1(), b"x"), MessageDigest::sha256(), RANDOM);
        assert_eq!(*other.unwrap(), RANDOM);
    }

    #[test]
    fn each_single_fault_gives_the_random_octets() {
        let digest = MessageDigest::sha256();
        let label = hash(digest, &[]).unwrap();
        let db = |label: &[u8], padding: &[u8], message: &[u8]| {
            let zeros = vec![0; 223 - label.len() - padding.len() - message.len()];
            [label, &zeros, padding, message].concat()
        };
        let read = |first, db: &[u8]| super::message(&masked(first, db, digest), digest, RANDOM).unwrap();
        assert_eq!(*read(0, &db(&label, &[1], &[7; 32])), [7; 32], "the way it must be");
        assert_eq!(*read(1, &db(&label, &[1], &[7; 32])), RANDOM, "first octet");
        let mut wrong = label.to_vec();
        wrong[31] ^= 1;
        assert_eq!(*read(0, &db(&wrong, &[1], &[7; 32])), RANDOM, "hash of the label");
        assert_eq!(*read(0, &db(&label, &[2], &[7; 32])), RANDOM, "no separator");
        assert_eq!(*read(0, &db(&label, &[2, 1], &[7; 32])), RANDOM, "something before the separator");
        assert_eq!(*read(0, &db(&label, &[], &[0; 32])), RANDOM, "all zeros");
        assert_eq!(*read(0, &db(&label, &[1], &[7; 65])), RANDOM, "too long");
        assert!(super::message(&[0; 20], digest, RANDOM).is_none());
        assert!(super::message(&[], digest, RANDOM).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_reading(first in prop_oneof![Just(0u8), any::<u8>()],
                                         rest in proptest::collection::vec(prop_oneof![6 => Just(0u8), 1 => Just(1), 1 => any::<u8>()], 100..191)) {
            let digest = MessageDigest::sha256();
            let label = hash(digest, &[]).unwrap();
            let db = [&label[..], &rest].concat();
            let at = rest.iter().position(|octet| *octet != 0);
            let plain = at.filter(|at| first == 0 && rest[*at] == 1).map(|at| &rest[at + 1..]);
            let expected = plain.filter(|message| message.len() <= 64).unwrap_or(&RANDOM);
            prop_assert_eq!(&**super::message(&masked(first, &db, digest), digest, RANDOM).unwrap(), expected);
        }
    }
}
