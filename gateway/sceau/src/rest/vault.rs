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

    /// Keyed token of something that must be recognisable but not readable (a patient's address).
    pub fn token(&self, purpose: &str, value: &str) -> Option<String> {
        let key = openssl::pkey::PKey::hmac(&self.key).ok()?;
        let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key).ok()?;
        signer.update(purpose.as_bytes()).ok()?;
        signer.update(&[0]).ok()?;
        signer.update(value.as_bytes()).ok()?;
        let mac = signer.sign_to_vec().ok()?;
        Some(mac.iter().take(16).map(|b| format!("{b:02x}")).collect())
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
    fn tokens_depend_on_key_purpose_and_value() {
        let vault = Vault::from_hex(&"ab".repeat(32)).unwrap();
        let other = Vault::from_hex(&"cd".repeat(32)).unwrap();
        let token = vault.token("patient", "x").unwrap();
        assert_eq!(vault.token("patient", "x").unwrap(), token);
        assert_ne!(vault.token("patient", "y").unwrap(), token);
        assert_ne!(vault.token("other", "x").unwrap(), token);
        assert_ne!(other.token("patient", "x").unwrap(), token);
        assert_eq!(token.len(), 32);
    }
}
