//! Page tokens: opaque, signed, bound to one generation and one question; the server keeps nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use openssl::{
    hash::MessageDigest,
    memcmp,
    pkey::PKey,
    sign::Signer,
    symm::{Cipher, decrypt_aead, encrypt_aead},
};
use zeroize::Zeroizing;

/// Octets of a signature.
const MAC: usize = 32;
/// Longest token that is read.
const MAX_TOKEN: usize = 512;

/// The keys of page tokens: the first signs, all verify, so that a key can be changed while clients turn pages.
#[derive(Debug, Clone)]
pub(super) struct TokenKeys(Vec<Secret>);

#[derive(Clone)]
struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl TokenKeys {
    /// The key in use, 32 random octets, and those before it that still verify.
    pub(super) fn new(current: Vec<u8>, earlier: Vec<Vec<u8>>) -> Self {
        let all = std::iter::once(current).chain(earlier);
        Self(all.map(|key| Secret(Zeroizing::new(key))).collect())
    }

    fn mac(key: &Secret, octets: &[u8]) -> Option<Vec<u8>> {
        let key = PKey::hmac(&key.0).ok()?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
        signer.sign_oneshot_to_vec(octets).ok()
    }

    /// Signs a text.
    pub(super) fn seal(&self, text: &str) -> Option<String> {
        let mut octets = text.as_bytes().to_vec();
        let mac = Self::mac(self.0.first()?, &octets)?;
        octets.extend_from_slice(&mac);
        Some(BASE64.encode(octets))
    }

    /// The text of a token that one of the keys signed.
    pub(super) fn open(&self, token: &str) -> Option<String> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let octets = BASE64.decode(token).ok()?;
        let (text, mac) = octets.split_at_checked(octets.len().checked_sub(MAC)?)?;
        let good = |key| Self::mac(key, text).is_some_and(|own| own.len() == mac.len() && memcmp::eq(&own, mac));
        if self.0.iter().any(good) { String::from_utf8(text.to_vec()).ok() } else { None }
    }
}

/// Octets of the nonce and of the tag of what is hidden (NIST SP 800-38D).
const NONCE: usize = 12;
const TAG: usize = 16;

impl TokenKeys {
    /// Encrypts a question. The nonce is a digest of it under the key: the same question, the same octets, and no nonce is
    /// ever used for two questions.
    pub(super) fn hide(&self, text: &str) -> Option<String> {
        let secret = self.0.first()?;
        let mut octets = Self::mac(secret, [b"nonce ", text.as_bytes()].concat().as_slice())?;
        octets.truncate(NONCE);
        let mut tag = [0; TAG];
        let key = Zeroizing::new(Self::mac(secret, b"questions")?);
        let hidden = encrypt_aead(Cipher::aes_256_gcm(), &key, Some(&octets), &[], text.as_bytes(), &mut tag).ok()?;
        octets.extend_from_slice(&tag);
        octets.extend_from_slice(&hidden);
        Some(BASE64.encode(octets))
    }

    /// The question that one of the keys hid.
    pub(super) fn reveal(&self, hidden: &str) -> Option<String> {
        let octets = BASE64.decode(hidden).ok()?;
        let (nonce, rest) = octets.split_at_checked(NONCE)?;
        let (tag, rest) = rest.split_at_checked(TAG)?;
        let opened = self.0.iter().find_map(|secret| {
            let key = Zeroizing::new(Self::mac(secret, b"questions")?);
            decrypt_aead(Cipher::aes_256_gcm(), &key, Some(nonce), &[], rest, tag).ok()
        });
        String::from_utf8(opened?).ok()
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// How many hits of the query model to pass over.
    pub(super) skip: usize,
    /// How many items of the next hit to pass over (a person has several activities).
    pub(super) inner: usize,
}

/// What a page token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageToken {
    /// What it is a page of: search, history or export.
    pub(super) of: String,
    /// The generation that all pages come from.
    pub(super) generation: String,
    /// The newest edition of the first page, where the question is about time: seconds.
    pub(super) edition: i64,
    /// Digest of the question.
    pub(super) question: String,
    /// Where the page begins.
    pub(super) at: Position,
    /// The total, if it is known, so that all pages say the same.
    pub(super) total: Option<u64>,
}

impl PageToken {
    pub(super) fn seal(&self, keys: &TokenKeys) -> Option<String> {
        let total = self.total.map_or_else(String::new, |total| total.to_string());
        let Self { of, generation, edition, question, at, .. } = self;
        keys.seal(&format!("2 {of} {generation} {edition} {question} {} {} {total}", at.skip, at.inner))
    }

    pub(super) fn open(token: &str, keys: &TokenKeys) -> Option<Self> {
        let text = keys.open(token)?;
        let [version, of, generation, edition, question, skip, inner, total] =
            *text.split(' ').collect::<Vec<_>>().first_chunk::<8>()?;
        let edition = edition.parse().ok()?;
        let at = Position { skip: skip.parse().ok()?, inner: inner.parse().ok()? };
        let total = if total.is_empty() { None } else { Some(total.parse().ok()?) };
        let own = |text: &str| text.to_owned();
        (version == "2").then(|| Self {
            of: own(of),
            generation: own(generation),
            edition,
            question: own(question),
            at,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> PageToken {
        PageToken {
            of: "Practitioner".into(),
            generation: "20261102-abc".into(),
            edition: 1_793_000_000,
            question: "0123".into(),
            at: Position { skip: 50, inner: 2 },
            total: Some(1200),
        }
    }

    #[test]
    fn only_what_a_key_signed_is_read() {
        let keys = TokenKeys::new(vec![1; 32], vec![vec![2; 32]]);
        let sealed = token().seal(&keys).unwrap();
        assert_eq!(PageToken::open(&sealed, &keys), Some(token()));
        let after = TokenKeys::new(vec![3; 32], vec![vec![1; 32]]);
        assert_eq!(PageToken::open(&sealed, &after), Some(token()), "a key that was replaced still verifies");
        assert_eq!(PageToken::open(&sealed, &TokenKeys::new(vec![3; 32], Vec::new())), None);
        assert_eq!(PageToken::open("", &keys), None);
        assert_eq!(PageToken::open(&"A".repeat(600), &keys), None);
        assert!(!format!("{keys:?}").contains('1'));
    }

    #[test]
    fn a_hidden_question_is_ours_alone() {
        let keys = TokenKeys::new(vec![1; 32], vec![vec![2; 32]]);
        let hidden = keys.hide("family=martin-test&given=anne").unwrap();
        assert_eq!(keys.reveal(&hidden).as_deref(), Some("family=martin-test&given=anne"));
        assert_eq!(keys.hide("family=martin-test&given=anne").unwrap(), hidden, "the same question, the same token");
        assert_ne!(keys.hide("family=martin-test&given=anna").unwrap().get(..16), hidden.get(..16), "another nonce");
        let octets = BASE64.decode(&hidden).unwrap();
        assert!(!octets.windows(6).any(|six| six == b"martin"));
        for at in 0..octets.len() {
            let mut other = octets.clone();
            other[at] ^= 1;
            assert_eq!(keys.reveal(&BASE64.encode(other)), None, "octet {at}");
        }
        assert_eq!(TokenKeys::new(vec![3; 32], Vec::new()).reveal(&hidden), None);
        let after = TokenKeys::new(vec![3; 32], vec![vec![1; 32]]);
        assert!(after.reveal(&hidden).is_some(), "a key that was replaced still opens");
        for text in ["", "A", &"A".repeat(37), "é"] {
            assert_eq!(keys.reveal(text), None);
        }
    }

    proptest! {
        #[test]
        fn no_octet_can_be_changed(at in 0usize..100, with in any::<u8>()) {
            let keys = TokenKeys::new(vec![1; 32], Vec::new());
            let sealed = token().seal(&keys).unwrap();
            let mut octets = BASE64.decode(&sealed).unwrap();
            let at = at % octets.len();
            prop_assume!(octets[at] != with);
            octets[at] = with;
            prop_assert_eq!(PageToken::open(&BASE64.encode(octets), &keys), None);
        }
    }
}
