//! One record under its own key: sealed, committed to, opened, forgotten.
//!
//! Everything about an entry comes from one random seed: the key that encrypts it and the salt of
//! its commitment. Who deletes the seed deletes both, and what stays (ciphertext and commitment)
//! says nothing any more.

use openssl::{
    aes::{AesKey, unwrap_key, wrap_key},
    symm::{Cipher, decrypt_aead, encrypt_aead},
};
use zeroize::{Zeroize, Zeroizing};

use super::merkle::Hash;
use crate::hmac::hmac_sha256;

/// Length of a wrapped seed (RFC 3394).
pub(crate) const WRAPPED: usize = 40;
const TAG: usize = 16;

/// The secret of one entry.
pub(crate) struct Seed(Zeroizing<[u8; 32]>);

/// The key under which seeds are wrapped.
pub(crate) struct Wrapping {
    wrap: AesKey,
    unwrap: AesKey,
    /// Key of the search index's terms.
    pub(crate) terms: Zeroizing<[u8; 32]>,
}

impl Wrapping {
    /// From the installation's trail key.
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        let mut derived = Zeroizing::new(hmac_sha256(key, &[b"sceau trail wrapping v1"]));
        let wrapping = Self {
            wrap: AesKey::new_encrypt(derived.as_slice()).ok()?,
            unwrap: AesKey::new_decrypt(derived.as_slice()).ok()?,
            terms: Zeroizing::new(hmac_sha256(key, &[b"sceau trail terms v1"])),
        };
        derived.zeroize();
        Some(wrapping)
    }

    pub(crate) fn wrap(&self, seed: &Seed) -> Option<[u8; WRAPPED]> {
        let mut wrapped = [0; WRAPPED];
        let length = wrap_key(&self.wrap, None, &mut wrapped, seed.0.as_slice()).ok()?;
        (length == WRAPPED).then_some(wrapped)
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8]) -> Option<Seed> {
        if wrapped.len() != WRAPPED {
            return None;
        }
        let mut seed = Zeroizing::new([0; 32]);
        let length = unwrap_key(&self.unwrap, None, seed.as_mut_slice(), wrapped).ok()?;
        (length == 32).then_some(Seed(seed))
    }
}

impl Seed {
    /// A fresh one from OpenSSL's generator.
    pub(crate) fn random() -> Option<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        openssl::rand::rand_bytes(seed.as_mut_slice()).ok()?;
        Some(Self(seed))
    }

    fn key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac_sha256(&self.0, &[b"sceau record key v1"]))
    }

    /// What proves a commitment: may be shown together with the record.
    pub(crate) fn salt(&self) -> Hash {
        hmac_sha256(&self.0, &[b"sceau record salt v1"])
    }

    /// Ciphertext and tag. The key is used once, so the nonce may be zero; the place in the log is
    /// authenticated along.
    pub(crate) fn seal(&self, leaf: u64, lines: &[u8]) -> Option<Vec<u8>> {
        let mut tag = [0; TAG];
        let cipher = Cipher::aes_256_gcm();
        let aad = leaf.to_be_bytes();
        let mut sealed = encrypt_aead(cipher, self.key().as_slice(), Some(&[0; 12]), &aad, lines, &mut tag).ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    /// The record's lines again.
    pub(crate) fn open(&self, leaf: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let aad = leaf.to_be_bytes();
        decrypt_aead(Cipher::aes_256_gcm(), self.key().as_slice(), Some(&[0; 12]), &aad, body, tag).ok()
    }

    /// The log entry for these lines.
    pub(crate) fn commit(&self, lines: &[u8]) -> Hash {
        commitment(&self.salt(), lines)
    }
}

/// The 32 octets that stand in the log for some lines of records.
pub fn commitment(salt: &Hash, lines: &[u8]) -> Hash {
    hmac_sha256(salt, &[b"sceau record v1\0", lines])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_lines_open_at_their_place_only() {
        let wrapping = Wrapping::new(&[1; 32]).unwrap();
        let seed = Seed::random().unwrap();
        let sealed = seed.seal(7, b"{}\n").unwrap();
        let wrapped = wrapping.wrap(&seed).unwrap();
        let again = wrapping.unwrap(&wrapped).unwrap();
        assert_eq!(again.open(7, &sealed).unwrap(), b"{}\n");
        assert_eq!(again.commit(b"{}\n"), seed.commit(b"{}\n"));
        assert_eq!(again.open(8, &sealed), None);
        assert!(Wrapping::new(&[2; 32]).unwrap().unwrap(&wrapped).is_none());
        for position in 0..sealed.len() {
            let mut other = sealed.clone();
            other[position] ^= 1;
            assert_eq!(again.open(7, &other), None);
        }
        assert_ne!(Seed::random().unwrap().commit(b"{}\n"), seed.commit(b"{}\n"), "the salt hides equal records");
    }
}
