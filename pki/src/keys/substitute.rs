//! What stands in for a transported key that cannot be had (RFC 3218 §2.3.2).
//!
//! It is the same each time for the same octets: a fresh one would tell, by what a second opening of the same
//! message does, that the first had failed. Nobody outside this process can compute it.

use std::sync::OnceLock;

use openssl::{error::ErrorStack, hash::MessageDigest, pkey::PKey, rand::rand_bytes, sign::Signer};
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
    let mut mac = Signer::new(MessageDigest::sha256(), &*PKey::hmac(&**secret)?)?;
    mac.update(b"sceau/substitute-key/1")?;
    let mut out = Zeroizing::new([0; LENGTH]);
    mac.sign_oneshot(&mut *out, octets)?;
    Ok(out)
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
}
