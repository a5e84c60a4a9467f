//! AES-256-GCM in segments: how anything of ours is written down while it is in our charge.
//!
//! Each segment has its own nonce, made of its number and a mark on the last one, so that
//! segments can neither be swapped nor cut off unnoticed. One key serves one object only;
//! that is what makes counting nonces safe.

use std::io::{self, Read, Write};

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
        let mut writer = SegmentWriter::new(self, Vec::new());
        writer.write_all(content).and_then(|()| writer.finish()).map_err(|_| SegmentError::Library)
    }

    /// Decrypts a whole object.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn open_all(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
        let read = SegmentReader::new(self.clone(), sealed).read_to_end(&mut out);
        read.map_err(|_| SegmentError::Authentication)?;
        Ok(out)
    }
}

/// Octets of a whole object of this many octets.
pub fn sealed_length(content: u64) -> u64 {
    let segments = content.div_ceil(SEGMENT as u64).max(1);
    content.saturating_add(segments.saturating_mul(TAG as u64))
}

/// Encrypts an object while it is written.
pub struct SegmentWriter<'k, W> {
    key: &'k ObjectKey,
    out: W,
    segment: Zeroizing<Vec<u8>>,
    number: u64,
}

impl<'k, W: Write> SegmentWriter<'k, W> {
    /// Under a key that serves no other object.
    pub fn new(key: &'k ObjectKey, out: W) -> Self {
        Self { key, out, segment: Zeroizing::new(Vec::with_capacity(SEGMENT)), number: 0 }
    }

    /// Writes the last segment, which says that it is the last.
    ///
    /// # Errors
    /// Those of what is written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.next(true)?;
        Ok(self.out)
    }

    fn next(&mut self, last: bool) -> io::Result<()> {
        self.number = self.number.saturating_add(1);
        let sealed = self.key.seal(self.number, last, &self.segment).map_err(io::Error::other)?;
        self.segment.clear();
        self.out.write_all(&sealed)
    }
}

impl<W: Write> Write for SegmentWriter<'_, W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // A full segment waits for more: the last one is marked.
        if self.segment.len() == SEGMENT && !octets.is_empty() {
            self.next(false)?;
        }
        let taken = octets.len().min(SEGMENT.saturating_sub(self.segment.len()));
        self.segment.extend_from_slice(octets.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Decrypts an object while it is read. What was changed, cut or reordered is [`io::ErrorKind::InvalidData`].
pub struct SegmentReader<R> {
    key: ObjectKey,
    input: R,
    /// The next segment as it is stored; it may be the last one.
    ahead: Vec<u8>,
    number: u64,
    plain: Zeroizing<Vec<u8>>,
    given: usize,
    over: bool,
}

impl<R: Read> SegmentReader<R> {
    /// Over the stored octets.
    pub fn new(key: ObjectKey, input: R) -> Self {
        Self { key, input, ahead: Vec::new(), number: 0, plain: Zeroizing::default(), given: 0, over: false }
    }

    fn fetch(&mut self) -> io::Result<Vec<u8>> {
        let mut stored = Vec::with_capacity(SEGMENT + TAG);
        let most = u64::try_from(SEGMENT + TAG).unwrap_or(u64::MAX);
        self.input.by_ref().take(most).read_to_end(&mut stored)?;
        Ok(stored)
    }

    fn next(&mut self) -> io::Result<()> {
        if self.number == 0 {
            self.ahead = self.fetch()?;
        }
        let following = if self.ahead.len() == SEGMENT + TAG { self.fetch()? } else { Vec::new() };
        let stored = std::mem::replace(&mut self.ahead, following);
        self.over = self.ahead.is_empty();
        self.number = self.number.saturating_add(1);
        let plain = self.key.open(self.number, self.over, &stored);
        self.plain = plain.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.given = 0;
        Ok(())
    }
}

impl<R: Read> Read for SegmentReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if self.over {
                return Ok(0);
            }
            self.next()?;
        }
        let ready = self.plain.get(self.given..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}

impl std::fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectKey(..)")
    }
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
            assert_eq!(sealed.len() as u64, sealed_length(content.len() as u64));
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
