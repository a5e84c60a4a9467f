//! Signed notes (C2SP signed-note): a text and Ed25519 signatures under it.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    pkey::{Id, PKey, Private, Public},
    sign::{Signer, Verifier},
};
use thiserror::Error;

/// Signature type of Ed25519 in key ids.
const ED25519: u8 = 1;
/// Longest note that is read.
const MAX_NOTE: usize = 64 * 1024;

/// Why a note is not good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Not a text, an empty line, and signature lines.
    #[error("it has not the form of a signed note")]
    Form,
    /// No signature by the expected key.
    #[error("it is not signed by {0}")]
    Unsigned(String),
    /// The signature by the expected key is wrong.
    #[error("the signature by {0} is wrong")]
    Signature(String),
    /// A key that cannot be: wrong length, or a name with a blank or a plus sign.
    #[error("the key or its name cannot be used")]
    Key,
    /// The key did not sign; it may later.
    #[error("the signing key cannot be used now: {0}")]
    Unavailable(String),
}

/// The secret half of a note key, wherever it lives.
pub trait NoteKey: Send + Sync {
    /// Its public half, Ed25519.
    fn public(&self) -> [u8; 32];

    /// Whether it can sign now: asked before a batch is begun, because records without a checkpoint over
    /// them look like an altered trail to whoever verifies it meanwhile.
    ///
    /// # Errors
    /// Why it cannot.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// An Ed25519 signature of 64 octets.
    ///
    /// # Errors
    /// Why it cannot sign now.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String>;
}

/// A key in this process.
struct InMemory {
    key: PKey<Private>,
    public: [u8; 32],
}

impl NoteKey for InMemory {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Signer::new_without_digest(&self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(text))
            .map_err(|error| error.to_string())
    }
}

/// Signs notes.
pub struct NoteSigner {
    verifier: NoteVerifier,
    key: Arc<dyn NoteKey>,
}

/// Checks notes.
#[derive(Debug, Clone)]
pub struct NoteVerifier {
    name: String,
    public: [u8; 32],
    id: [u8; 4],
}

impl NoteSigner {
    /// With the key's name and its 32 secret octets.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        let key = PKey::private_key_from_raw_bytes(secret, Id::ED25519).map_err(|_| NoteError::Key)?;
        let public = key.raw_public_key().map_err(|_| NoteError::Key)?;
        let public = public.as_slice().try_into().map_err(|_| NoteError::Key)?;
        Self::with_key(name, Arc::new(InMemory { key, public }))
    }

    /// With the key's name and a key that may live elsewhere.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn with_key(name: &str, key: Arc<dyn NoteKey>) -> Result<Self, NoteError> {
        Ok(Self { verifier: NoteVerifier::new(name, key.public())?, key })
    }

    /// The public half.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The note with our signature.
    ///
    /// # Errors
    /// [`NoteError::Unavailable`] when the key is out of reach, [`NoteError::Form`] when the text does not end its last line or has control characters.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let signature = self.key.sign(text.as_bytes()).map_err(NoteError::Unavailable)?;
        let blob: Vec<u8> = self.verifier.id.iter().copied().chain(signature).collect();
        Ok(format!("{text}\n\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(blob)))
    }
}

impl NoteVerifier {
    /// With the key's name and its 32 public octets.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+') {
            return Err(NoteError::Key);
        }
        let mut hash = openssl::sha::Sha256::new();
        [name.as_bytes(), b"\n", &[ED25519], &public].iter().for_each(|part| hash.update(part));
        let id = hash.finish().first_chunk().copied().unwrap_or_default();
        Ok(Self { name: name.to_owned(), public, id })
    }

    /// Reads `name+id+key`, the form in which keys are handed over.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let blob = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let public = match blob.split_first() {
            Some((&ED25519, public)) => public.try_into().map_err(|_| NoteError::Key)?,
            _ => return Err(NoteError::Key),
        };
        let verifier = Self::new(name, public)?;
        if verifier.hex_id() == id { Ok(verifier) } else { Err(NoteError::Key) }
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn hex_id(&self) -> String {
        self.id.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn key(&self) -> Result<PKey<Public>, NoteError> {
        PKey::public_key_from_raw_bytes(&self.public, Id::ED25519).map_err(|_| NoteError::Key)
    }

    /// The text of a note that carries a good signature by this key. Signatures by others
    /// (witnesses) are carried along.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let mut found = Err(NoteError::Unsigned(self.name.clone()));
        for line in signatures {
            let (name, blob) = signature(line)?;
            let Some((id, signature)) = blob.split_first_chunk::<4>() else { return Err(NoteError::Form) };
            if name != self.name || *id != self.id {
                continue;
            }
            let key = self.key()?;
            let good = Verifier::new_without_digest(&key)
                .and_then(|mut verifier| verifier.verify_oneshot(signature, text.as_bytes()))
                .unwrap_or(false);
            if !good {
                return Err(NoteError::Signature(self.name.clone()));
            }
            found = Ok(text);
        }
        found
    }
}

impl std::fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let blob: Vec<u8> = std::iter::once(ED25519).chain(self.public).collect();
        write!(f, "{}+{}+{}", self.name, self.hex_id(), STANDARD.encode(blob))
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if plain && text.ends_with('\n') && !text.contains("\n\n\u{2014} ") { Ok(()) } else { Err(NoteError::Form) }
}

/// Text (with its last line end) and signature lines.
fn split(note: &str) -> Result<(&str, Vec<&str>), NoteError> {
    if note.len() > MAX_NOTE || note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(NoteError::Form);
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
    let (text, rest) = note.split_at_checked(at.saturating_add(1)).ok_or(NoteError::Form)?;
    let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or(NoteError::Form)?;
    Ok((text, lines.split('\n').collect()))
}

/// Key name and octets of a signature line.
fn signature(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let (name, blob) = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' ')).ok_or(NoteError::Form)?;
    let octets = STANDARD.decode(blob).map_err(|_| NoteError::Form)?;
    if name.is_empty() { Err(NoteError::Form) } else { Ok((name, octets)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Example of the C2SP signed-note specification's reference implementation (Go sumdb/note).
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn reads_the_reference_note() {
        let key = NoteVerifier::parse(KEY).unwrap();
        assert_eq!(key.to_string(), KEY);
        assert!(key.open(NOTE).unwrap().starts_with("If you think"));
        for position in 0..NOTE.len() {
            let mut octets = NOTE.as_bytes().to_vec();
            octets[position] ^= 1;
            assert!(String::from_utf8(octets).map_or(true, |note| key.open(&note).is_err()), "octet {position}");
        }
    }

    #[test]
    fn signs_what_it_reads() {
        let signer = NoteSigner::new("sceau.ch-exemple.test", &[3; 32]).unwrap();
        let note = signer.sign("un\ndeux\n").unwrap();
        let key = NoteVerifier::parse(&signer.verifier().to_string()).unwrap();
        assert_eq!(key.open(&note), Ok("un\ndeux\n"));
        let other = NoteSigner::new("sceau.ch-exemple.test", &[4; 32]).unwrap();
        assert_eq!(other.verifier().open(&note), Err(NoteError::Unsigned("sceau.ch-exemple.test".to_owned())));
        assert!(signer.sign("no end").is_err());
        assert!(NoteSigner::new("a b", &[3; 32]).is_err());
    }
}
