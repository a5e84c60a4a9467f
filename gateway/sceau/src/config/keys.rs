//! Where private keys are: in files, in PKCS#12 files, or on PKCS#11 tokens.

use std::{fmt, path::PathBuf, time::Duration};

use pki::keys::KeyUri;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Config, Span};

/// A private key with its certificate: two PEM files, one PKCS#12 file, or a certificate whose key is on
/// a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFiles {
    /// PEM certificate, then its intermediates.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM private key, or a `pkcs11:` URI (RFC 7512).
    #[serde(default)]
    pub key: Option<KeyPlace>,
    /// PKCS#12 file, instead of both.
    #[serde(default)]
    pub pkcs12: Option<PathBuf>,
    /// What opens an encrypted PEM key or the PKCS#12 file.
    #[serde(default)]
    pub passphrase: Option<SecretPlace>,
    /// How an RSA key signs: PKCS#1 v1.5 unless said, which every reader of mail knows.
    #[serde(default)]
    pub rsa_signature: Option<RsaSignature>,
}

/// Padding of RSA signatures (RFC 8017 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RsaSignature {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS with SHA-256 and a salt of 32 octets (RFC 4056).
    Pss,
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a PEM file.
    File(PathBuf),
    /// On a token.
    Token(KeyUri),
}

impl<'de> Deserialize<'de> for KeyPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("pkcs11:")) {
            return Ok(Self::File(text.into()));
        }
        // The text itself is not repeated: somebody may have written a PIN into it.
        text.parse().map(Self::Token).map_err(|error| D::Error::custom(format!("the pkcs11 URI is refused: {error}")))
    }
}

/// Where a PIN or passphrase is. Never in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SecretPlace {
    /// A file that only the service's user may read.
    File(PathBuf),
    /// A systemd credential (`LoadCredential=`, `LoadCredentialEncrypted=`), by its name.
    Credential(String),
}

/// What signs for a domain: one key, or several whose certificates overlap, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningFiles(pub Vec<KeyFiles>);

impl<'de> Deserialize<'de> for SigningFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = SigningFiles;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key, or a list of keys")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<SigningFiles, M::Error> {
                KeyFiles::deserialize(MapAccessDeserializer::new(map)).map(|one| SigningFiles(vec![one]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<SigningFiles, S::Error> {
                let mut keys = Vec::new();
                while let Some(key) = list.next_element()? {
                    keys.push(key);
                }
                Ok(SigningFiles(keys))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// A PKCS#11 token: HSM, card, or SoftHSM2.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// Its label.
    pub label: String,
    /// Its serial number, where labels are not unique.
    #[serde(default)]
    pub serial: Option<String>,
    /// File of the PKCS#11 module.
    pub module: PathBuf,
    /// Where the user's PIN is.
    pub pin: SecretPlace,
    /// Operations at once.
    #[serde(default = "default_sessions")]
    pub sessions: usize,
    /// Longest wait for a free session and for an answer of the token.
    #[serde(default = "default_patience")]
    pub patience: Span,
}

/// How checkpoints of the trail are signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// `pkcs11:` URI of the Ed25519 key that signs checkpoints; without it a key beside the trail, under the
    /// storage key. A trail keeps the key that it begins with.
    #[serde(default, deserialize_with = "token_only")]
    pub key: Option<KeyUri>,
}

fn token_only<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyUri>, D::Error> {
    match KeyPlace::deserialize(deserializer)? {
        KeyPlace::Token(uri) => Ok(Some(uri)),
        KeyPlace::File(_) => Err(D::Error::custom("only a pkcs11: URI can be named here")),
    }
}

fn default_sessions() -> usize {
    4
}

fn default_patience() -> Span {
    Span(Duration::from_secs(10))
}

/// Keys that the operator has, in words that say what is missing.
pub(super) fn faults(found: &mut Vec<String>, config: &Config) {
    for token in &config.tokens {
        if token.sessions == 0 || token.sessions > 256 {
            found.push(format!("token {}: `sessions` is from 1 to 256", token.label));
        }
        if token.patience.0 == Duration::ZERO || token.patience.0 > Duration::from_secs(60) {
            found.push(format!("token {}: `patience` is longer than nothing and at most 60 s", token.label));
        }
        if let SecretPlace::Credential(name) = &token.pin
            && (name.is_empty() || name.starts_with('.') || name.contains('/'))
        {
            found.push(format!("token {}: a credential has a plain name, no path", token.label));
        }
    }
    for own in &config.domains {
        let keys = own.signing.0.iter().chain(&own.decryption);
        if own.signing.0.is_empty() {
            found.push(format!("domain {}: `signing` needs at least one key", own.name));
        }
        if own.decryption.iter().any(|key| key.rsa_signature.is_some()) {
            found.push(format!("domain {}: `rsa_signature` belongs to a key that signs", own.name));
        }
        for key in keys {
            let form = match (&key.certificate, &key.key, &key.pkcs12) {
                (Some(_), Some(_), None) | (None, None, Some(_)) => continue,
                (None, None, None) => "a key is `certificate` with `key`, or `pkcs12`",
                (Some(_), None, None) => "`certificate` needs its `key`",
                (None, Some(_), None) => "`key` needs its `certificate`",
                (_, _, Some(_)) => "`pkcs12` stands alone: it holds key and certificate",
            };
            found.push(format!("domain {}: {form}", own.name));
        }
    }
}
