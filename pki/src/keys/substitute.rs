//! What stands in for a transported key that cannot be had (RFC 3218 §2.3.2).
//!
//! It is the same each time for the same octets: a fresh one would tell, by what a second opening of the same
//! message does, that the first had failed. Nobody outside this process can compute it.

use std::sync::OnceLock;

use openssl::{error::ErrorStack, rand::rand_bytes, sha::Sha256};
use zeroize::Zeroizing;

/// Octets of a substitute: as many as the longest content key has.
pub(crate) const LENGTH: usize = 32;

/// The substitute for what was made of these octets.
pub(crate) fn substitute(octets: &[u8]) -> Result<Zeroizing<[u8; LENGTH]>, ErrorStack> {
    static SECRET: OnceLock<Zeroizing<[u8; 32]>> = OnceLock::new();
    let mut fresh = Zeroizing::new([0; 32]);
    if SECRET.get().is_none() {
        rand_bytes(&mut *fresh)?;
    }
    let secret = SECRET.get_or_init(|| fresh);
    Ok(hmac(secret, &[b"sceau/substitute-key/1", octets]))
}

/// HMAC with SHA-256 (RFC 2104) and a key of its own length. Written out: the library spends more on building
/// and fetching than on the digest, and this is made for every message that is opened.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; LENGTH]> {
    const BLOCK: usize = 64;
    let keyed = |pad: u8| {
        let mut block = Zeroizing::new([pad; BLOCK]);
        block.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
        let mut hash = Sha256::new();
        hash.update(&*block);
        hash
    };
    let mut inner = keyed(0x36);
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = keyed(0x5c);
    outer.update(&inner.finish());
    Zeroizing::new(outer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_octets_always_get_the_same_substitute() {
        assert_eq!(substitute(b"a").unwrap(), substitute(b"a").unwrap());
        assert_ne!(substitute(b"a").unwrap(), substitute(b"b").unwrap());
        assert_ne!(*substitute(b"").unwrap(), [0; LENGTH]);
    }

    #[test]
    fn it_is_the_hmac_that_the_library_makes() {
        use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
        for octets in [&b""[..], b"a", &[7; 256]] {
            let key = [9; 32];
            let mut mac = Signer::new(MessageDigest::sha256(), &PKey::hmac(&key).unwrap()).unwrap();
            mac.update(b"label").unwrap();
            assert_eq!(mac.sign_oneshot_to_vec(octets).unwrap(), *hmac(&key, &[b"label", octets]));
        }
    }
}
