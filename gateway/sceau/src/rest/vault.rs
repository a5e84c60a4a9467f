//! The storage key: what wraps the keys of everything that rests in our own charge.
//!
//! Only wrapped keys depend on it, never bodies, so that rotating it rewrites short rows.

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use super::segment::{ObjectKey, SegmentError, TAG};

/// Octets of the nonce in front of a wrapped key.
const NONCE: usize = 12;

/// Holder of the storage key.
pub struct Vault {
    key: Zeroizing<Vec<u8>>,
}

impl Vault {
    /// From the text of the key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// A sentence that says what the file must hold.
    pub fn from_hex(text: &str) -> Result<Self, &'static str> {
        let wrong = "the storage key file must hold 64 hexadecimal digits (32 random octets): `openssl rand -hex 32`";
        let key: ident::Fingerprint = text.trim().parse().map_err(|_| wrong)?;
        Ok(Self { key: Zeroizing::new(key.as_bytes().to_vec()) })
    }

    /// Wraps a key for storage.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn wrap(&self, key: &[u8]) -> Result<Vec<u8>, SegmentError> {
        let mut nonce = [0u8; NONCE];
        openssl::rand::rand_bytes(&mut nonce).map_err(|_| SegmentError::Library)?;
        let mut tag = [0u8; TAG];
        let wrapped = encrypt_aead(Cipher::aes_256_gcm(), &self.key, Some(&nonce), b"sceau/key", key, &mut tag)
            .map_err(|_| SegmentError::Library)?;
        Ok([&nonce[..], &wrapped, &tag].concat())
    }

    /// The key that was wrapped.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`] when it was changed or wrapped under another storage key.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        let (nonce, rest) = wrapped.split_at_checked(NONCE).ok_or(SegmentError::Authentication)?;
        let (content, tag) =
            rest.len().checked_sub(TAG).and_then(|at| rest.split_at_checked(at)).ok_or(SegmentError::Authentication)?;
        decrypt_aead(Cipher::aes_256_gcm(), &self.key, Some(nonce), b"sceau/key", content, tag)
            .map(Zeroizing::new)
            .map_err(|_| SegmentError::Authentication)
    }

    /// Encrypts a body for rest: the stored octets, and its wrapped key for the row.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn protect(&self, body: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SegmentError> {
        let key = ObjectKey::random()?;
        Ok((key.seal_all(body)?, self.wrap(key.octets())?))
    }

    /// The body that was protected.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn reveal(&self, stored: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        ObjectKey::from_octets(self.unwrap(wrapped)?)?.open_all(stored)
    }

    /// The key that masks patients in the trail: derived, so that it needs no file of its own.
    pub fn masking_key(&self) -> [u8; 32] {
        let mut hash = openssl::sha::Sha256::new();
        hash.update(b"sceau/masking-key/1");
        hash.update(&self.key);
        hash.finish()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_under_the_same_key_only() {
        let vault = Vault::from_hex(&"ab".repeat(32)).unwrap();
        let (stored, wrapped) = vault.protect(b"un contenu").unwrap();
        assert_eq!(*vault.reveal(&stored, &wrapped).unwrap(), b"un contenu");
        assert!(!stored.windows(7).any(|w| w == b"contenu"));
        let other = Vault::from_hex(&"cd".repeat(32)).unwrap();
        assert_eq!(other.reveal(&stored, &wrapped).unwrap_err(), SegmentError::Authentication);
        assert!(Vault::from_hex("short").is_err());
    }

    #[test]
    fn the_masking_key_is_not_the_storage_key() {
        let vault = Vault::from_hex(&"ab".repeat(32)).unwrap();
        assert_ne!(vault.masking_key(), [0xab; 32]);
        assert_ne!(vault.masking_key(), Vault::from_hex(&"cd".repeat(32)).unwrap().masking_key());
    }
}
