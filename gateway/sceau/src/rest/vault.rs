//! The storage keys: what wraps the keys of everything that rests in our own charge.
//!
//! Only wrapped keys depend on them, never bodies. The key file holds one key a line: the first
//! one wraps, the older ones only unwrap. Rotating is to put a new line on top; an old line may go
//! when nothing that waits was wrapped under it.

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use super::segment::{ObjectKey, SegmentError, TAG};

/// Octets of the nonce of a wrapped key.
const NONCE: usize = 12;
/// Octets that say which storage key wrapped.
const ID: usize = 8;
/// Octets of a body's own key.
const OBJECT_KEY: usize = 32;
/// Most keys in a file: more would mean that old ones are never retired.
const MAX_KEYS: usize = 16;

type Secret = Zeroizing<Vec<u8>>;

/// Which storage key: the start of a hash of it, safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageKeyId([u8; ID]);

/// One storage key.
struct StorageKey {
    id: StorageKeyId,
    key: Zeroizing<Vec<u8>>,
}

/// Holder of the storage keys.
pub struct Vault {
    current: StorageKey,
    older: Vec<StorageKey>,
}

impl StorageKeyId {
    /// From the mark that a store keeps.
    pub fn from_octets(octets: [u8; ID]) -> Self {
        Self(octets)
    }

    /// The mark with which everything begins that the key wrapped.
    pub fn octets(self) -> [u8; ID] {
        self.0
    }

    /// The key that wrapped this; `None` for what is no wrapped key.
    pub fn of_wrapped(wrapped: &[u8]) -> Option<Self> {
        wrapped.first_chunk().copied().map(Self)
    }
}

impl std::fmt::Display for StorageKeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl StorageKey {
    fn parse(line: &str) -> Option<Self> {
        let key: ident::Fingerprint = line.trim().parse().ok()?;
        let mut hash = openssl::sha::Sha256::new();
        hash.update(b"sceau/storage-key-id/1");
        hash.update(key.as_bytes());
        let id = hash.finish().first_chunk().copied().map(StorageKeyId)?;
        Some(Self { id, key: Zeroizing::new(key.as_bytes().to_vec()) })
    }
}

impl Vault {
    /// From the text of the key file: 64 hexadecimal digits a line, the current key first.
    ///
    /// # Errors
    /// A sentence that says what the file must hold.
    pub fn from_text(text: &str) -> Result<Self, &'static str> {
        let wrong = "the storage key file must hold 64 hexadecimal digits a line (32 random octets), the current key first: `sceau storage-key make FILE`";
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<StorageKey>> = lines.take(MAX_KEYS.saturating_add(1)).map(StorageKey::parse).collect();
        let mut keys = keys.filter(|keys| keys.len() <= MAX_KEYS).ok_or(wrong)?.into_iter();
        Ok(Self { current: keys.next().ok_or(wrong)?, older: keys.collect() })
    }

    /// The key that wraps now.
    pub fn current(&self) -> StorageKeyId {
        self.current.id
    }

    /// The keys that only unwrap.
    pub fn older(&self) -> Vec<StorageKeyId> {
        self.older.iter().map(|key| key.id).collect()
    }

    /// Wraps a key for storage.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn wrap(&self, key: &[u8]) -> Result<Vec<u8>, SegmentError> {
        let mut nonce = [0u8; NONCE];
        openssl::rand::rand_bytes(&mut nonce).map_err(|_| SegmentError::Library)?;
        let mut tag = [0u8; TAG];
        let StorageKey { id, key: storage } = &self.current;
        let wrapped = encrypt_aead(Cipher::aes_256_gcm(), storage, Some(&nonce), b"sceau/key", key, &mut tag)
            .map_err(|_| SegmentError::Library)?;
        Ok([&id.0[..], &nonce, &wrapped, &tag].concat())
    }

    /// The key that was wrapped.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`] when it was changed or wrapped under a storage key that is not held.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        let (id, rest) = wrapped.split_first_chunk().ok_or(SegmentError::Authentication)?;
        let mut keys = std::iter::once(&self.current).chain(&self.older);
        let storage = keys.find(|key| key.id.0 == *id).ok_or(SegmentError::Authentication)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or(SegmentError::Authentication)?;
        let (content, tag) =
            rest.len().checked_sub(TAG).and_then(|at| rest.split_at_checked(at)).ok_or(SegmentError::Authentication)?;
        decrypt_aead(Cipher::aes_256_gcm(), &storage.key, Some(nonce), b"sceau/key", content, tag)
            .map(Zeroizing::new)
            .map_err(|_| SegmentError::Authentication)
    }

    /// Encrypts a body for rest: the stored octets, and its wrapped key for the row.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn protect(&self, body: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SegmentError> {
        self.protect_with(body, &[])
    }

    /// The same; another key of the body's is wrapped beside its own.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn protect_with(&self, body: &[u8], beside: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SegmentError> {
        let (key, wrapped) = self.begin(beside)?;
        Ok((key.seal_all(body)?, wrapped))
    }

    /// A key for a body that is written piece by piece, and the same wrapped for the row.
    ///
    /// # Errors
    /// [`SegmentError::Library`].
    pub fn begin(&self, beside: &[u8]) -> Result<(ObjectKey, Vec<u8>), SegmentError> {
        let key = ObjectKey::random()?;
        let both = Zeroizing::new([key.octets(), beside].concat());
        let wrapped = self.wrap(&both)?;
        Ok((key, wrapped))
    }

    /// The key of a body that is read piece by piece.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn body_key(&self, wrapped: &[u8]) -> Result<ObjectKey, SegmentError> {
        let (own, _) = self.both(wrapped)?;
        ObjectKey::from_octets(own)
    }

    /// The body that was protected.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn reveal(&self, stored: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SegmentError> {
        self.body_key(wrapped)?.open_all(stored)
    }

    /// The key that was wrapped beside the body's own, if there was one.
    ///
    /// # Errors
    /// [`SegmentError::Authentication`].
    pub fn beside(&self, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, SegmentError> {
        let (_, beside) = self.both(wrapped)?;
        Ok((!beside.is_empty()).then_some(beside))
    }

    fn both(&self, wrapped: &[u8]) -> Result<(Secret, Secret), SegmentError> {
        let keys = self.unwrap(wrapped)?;
        let (own, beside) = keys.split_at_checked(OBJECT_KEY).ok_or(SegmentError::Authentication)?;
        Ok((Zeroizing::new(own.to_vec()), Zeroizing::new(beside.to_vec())))
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

    fn key(octet: &str) -> String {
        octet.repeat(32)
    }

    #[test]
    fn bodies_come_back_under_the_same_key_only() {
        let vault = Vault::from_text(&key("ab")).unwrap();
        let (stored, wrapped) = vault.protect(b"un contenu").unwrap();
        assert_eq!(*vault.reveal(&stored, &wrapped).unwrap(), b"un contenu");
        assert!(!stored.windows(7).any(|w| w == b"contenu"));
        assert_eq!(vault.beside(&wrapped), Ok(None));
        let (stored, wrapped) = vault.protect_with(b"un contenu", b"une autre cle").unwrap();
        assert_eq!(*vault.reveal(&stored, &wrapped).unwrap(), b"un contenu");
        assert_eq!(vault.beside(&wrapped).unwrap().as_deref().map(Vec::as_slice), Some(&b"une autre cle"[..]));
        let other = Vault::from_text(&key("cd")).unwrap();
        assert_eq!(other.reveal(&stored, &wrapped).unwrap_err(), SegmentError::Authentication);
        let mut changed = wrapped.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(vault.reveal(&stored, &changed).is_err());
    }

    #[test]
    fn an_older_key_unwraps_and_never_wraps() {
        let old = Vault::from_text(&key("ab")).unwrap();
        let wrapped = old.wrap(b"secret").unwrap();
        let rotated = Vault::from_text(&format!("# rotated\n{}\n{}\n", key("cd"), key("ab"))).unwrap();
        assert_eq!(*rotated.unwrap(&wrapped).unwrap(), b"secret");
        assert_eq!(StorageKeyId::of_wrapped(&wrapped), Some(old.current()));
        let fresh = rotated.wrap(b"secret").unwrap();
        assert_eq!(StorageKeyId::of_wrapped(&fresh), Some(rotated.current()));
        assert!(old.unwrap(&fresh).is_err());
        assert_eq!(rotated.older(), [old.current()]);
    }

    #[test]
    fn the_file_is_read_strictly() {
        for text in [
            "",
            "short",
            "# only a comment\n",
            &format!("{}\nnot a key\n", key("ab")),
            &format!("{}\n", key("ab")).repeat(17),
        ] {
            assert!(Vault::from_text(text).is_err(), "{text}");
        }
    }
}
