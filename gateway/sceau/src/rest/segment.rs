//! AES-256-GCM in segments: how anything of ours is written down while it is in our charge.
//!
//! Each segment has its own nonce, made of its number and a mark on the last one, so that
//! segments can neither be swapped nor cut off unnoticed. One key serves one object only;
//! that is what makes counting nonces safe.

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use thiserror::Error;
use zeroize::Zeroizing;

/// Octets of content in a full segment.
pub(super) const SEGMENT: usize = 64 * 1024;
/// Octets that encryption adds to each segment.
pub(super) const TAG: usize = 16;

/// A key for one object.
#[derive(Clone)]
pub struct ObjectKey(Zeroizing<Vec<u8>>);

/// What was written does not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SegmentError {
    /// Changed, cut, reordered, or written under another key.
    #[error("what was stored does not decrypt: it was changed or belongs to another key")]
    Authentication,
    /// The cipher or the random source failed.
    #[error("the cryptographic library failed")]
    Library,
}

impl ObjectKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`SegmentError::Library`] when the random source fails.
    pub fn random() -> Result<Self, SegmentError> {
        let mut octets = Zeroizing::new(vec![0; 32]);
        openssl::rand::rand_bytes(&mut octets).map_err(|_| SegmentError::Library)?;
        Ok(Self(octets))
    }

    /// From stored octets.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`] unless there are 32.
    pub fn from_octets(octets: Zeroizing<Vec<u8>>) -> Result<Self, SegmentError> {
        if octets.len() == 32 { Ok(Self(octets)) } else { Err(SegmentError::Authentication) }
    }

    /// The 32 octets, to be wrapped.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Encrypts segment `number`.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn seal(&self, number: u64, last: bool, content: &[u8]) -> Result<Vec<u8>, SegmentError> {
        let mut tag = [0u8; TAG];
        let mut out = encrypt_aead(Cipher::aes_256_gcm(), &self.0, Some(&nonce(number, last)), &[], content, &mut tag)
            .map_err(|_| SegmentError::Library)?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Decrypts segment `number`.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn open(&self, number: u64, last: bool, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        let (content, tag) = sealed
            .len()
            .checked_sub(TAG)
            .and_then(|at| sealed.split_at_checked(at))
            .ok_or(SegmentError::Authentication)?;
        decrypt_aead(Cipher::aes_256_gcm(), &self.0, Some(&nonce(number, last)), &[], content, tag)
            .map(Zeroizing::new)
            .map_err(|_| SegmentError::Authentication)
    }

    /// Encrypts a whole object.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn seal_all(&self, content: &[u8]) -> Result<Vec<u8>, SegmentError> {
        let count = content.len().div_ceil(SEGMENT).max(1);
        let mut out = Vec::with_capacity(content.len().saturating_add(count.saturating_mul(TAG)));
        let mut rest = content;
        for number in 1..=count {
            let (segment, after) = rest.split_at_checked(SEGMENT).unwrap_or((rest, &[]));
            out.extend(self.seal(number_of(number), number == count, segment)?);
            rest = after;
        }
        Ok(out)
    }

    /// Decrypts a whole object.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn open_all(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        let count = sealed.len().div_ceil(SEGMENT + TAG).max(1);
        let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
        let mut rest = sealed;
        for number in 1..=count {
            let (segment, after) = rest.split_at_checked(SEGMENT + TAG).unwrap_or((rest, &[]));
            out.extend_from_slice(&self.open(number_of(number), number == count, segment)?);
            rest = after;
        }
        Ok(out)
    }
}

impl std::fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectKey(..)")
    }
}

fn number_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0u8; 12];
    for (slot, octet) in nonce.iter_mut().zip([0, 0, 0, u8::from(last)].into_iter().chain(number.to_be_bytes())) {
        *slot = octet;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_come_back_and_changes_do_not() {
        let key = ObjectKey::random().unwrap();
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT] {
            let content: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let sealed = key.seal_all(&content).unwrap();
            assert_eq!(*key.open_all(&sealed).unwrap(), content, "{length}");
            assert!(key.open_all(&sealed[..sealed.len() - 1]).is_err());
            assert!(ObjectKey::random().unwrap().open_all(&sealed).is_err());
        }
    }

    #[test]
    fn segments_cannot_be_dropped_or_swapped() {
        let key = ObjectKey::random().unwrap();
        let sealed = key.seal_all(&vec![7; 3 * SEGMENT]).unwrap();
        let size = SEGMENT + TAG;
        assert!(key.open_all(&sealed[..2 * size]).is_err(), "cut at a segment border");
        let swapped = [&sealed[size..2 * size], &sealed[..size], &sealed[2 * size..]].concat();
        assert!(key.open_all(&swapped).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ObjectKey::random().unwrap().open_all(&bytes).is_err());
        }
    }
}
