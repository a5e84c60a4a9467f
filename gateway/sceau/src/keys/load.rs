//! Loading the keys that the configuration names.

use std::{path::Path, sync::Arc};

use ident::Timestamp;
use pki::{
    certificate::{Certificate, CertificateError},
    keys::{
        FileKey, KeyUri, Preferring, SignatureScheme, SigningKey, Token, TokenKey, TokenReader, TokenSettings,
        TokenSigner,
    },
    path::Validator,
};

use super::{DomainKeys, KeyRing, OnToken, One, ReadingSet, SigningSet, judge, pins};
use crate::config::{KeyFiles, KeyPlace, Loaded, OwnDomain, Problem, RsaSignature, TokenSection, read_bytes};

/// Largest certificate or key file.
const MAX_PEM: u64 = 1024 * 1024;

/// A key of ours before it is known what for.
enum Material {
    File(Arc<FileKey>),
    Token { token: Arc<Token>, uri: KeyUri, certificate: Certificate, chain: Vec<Certificate> },
}

impl KeyRing {
    /// Loads every key. What is new in comparison with `before` is judged first; if it is bad, what was in
    /// service stays and [`KeyRing::kept`] says why. Without `before` only what cannot be used at all is a
    /// problem: a service that does not start helps nobody, and [`KeyRing::concerns`] says the rest.
    pub fn load(
        loaded: &Loaded,
        before: Option<&Self>,
        validator: &Validator,
        at: Timestamp,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut ring = Self { tokens: tokens(loaded, before), ..Self::default() };
        for own in &loaded.config.domains {
            let old = before.and_then(|before| before.of(&own.name));
            let signing = signing(loaded, &ring, own).and_then(|new| match old {
                Some(old) => judge::new_signing(&new, &old.signing, validator, at).map(|()| new),
                None => Ok(new),
            });
            let reading = reading(loaded, &ring, own).and_then(|new| match old {
                Some(old) => judge::new_reading(&new, &old.reading, validator, at).map(|()| new),
                None => Ok(new),
            });
            let signing = ring.settle(signing, old.map(|old| &old.signing), problems);
            let reading = ring.settle(reading, old.map(|old| &old.reading), problems);
            if let (Some(signing), Some(reading)) = (signing, reading) {
                ring.concerns.extend(judge::in_service(&own.name, &signing, &reading, validator, at));
                ring.domains.insert(own.name.clone(), DomainKeys { signing, reading });
            }
        }
        ring
    }

    /// The new keys; or the old ones, and why.
    fn settle<S: Clone>(&mut self, new: Result<S, Problem>, old: Option<&S>, problems: &mut Vec<Problem>) -> Option<S> {
        match (new, old) {
            (Ok(new), _) => Some(new),
            (Err(mut problem), Some(old)) => {
                problem.what.push_str("; the keys in service stay");
                self.kept.push(problem);
                Some(old.clone())
            }
            (Err(problem), None) => {
                problems.push(problem);
                None
            }
        }
    }
}

/// One token for each entry; one that is the same as before stays logged in.
fn tokens(loaded: &Loaded, before: Option<&KeyRing>) -> Vec<(TokenSection, Arc<Token>)> {
    let made = |section: &TokenSection| {
        let known = before.into_iter().flat_map(|before| &before.tokens).find(|(known, _)| known == section);
        let token = known.map(|(_, token)| Arc::clone(token)).unwrap_or_else(|| {
            Token::new(TokenSettings {
                module: loaded.path(&section.module),
                label: section.label.clone(),
                serial: section.serial.clone(),
                sessions: section.sessions,
                patience: section.patience.0,
                pins: Arc::new(pins::PinFile::new(loaded, &section.pin)),
            })
        });
        (section.clone(), token)
    };
    loaded.config.tokens.iter().map(made).collect()
}

fn signing(loaded: &Loaded, ring: &KeyRing, own: &OwnDomain) -> Result<SigningSet, Problem> {
    let mut keys = Vec::new();
    for files in &own.signing.0 {
        keys.push(signer(loaded, ring, files)?);
    }
    if keys.is_empty() {
        return Err(Problem::of(&loaded.folder, format!("domain {}: `signing` needs at least one key", own.name)));
    }
    Ok(SigningSet(keys))
}

fn signer(loaded: &Loaded, ring: &KeyRing, files: &KeyFiles) -> Result<One<dyn SigningKey>, Problem> {
    let (material, place) = material(loaded, ring, files)?;
    let (key, on_token): (Arc<dyn SigningKey>, _) = match material {
        Material::File(key) => (key, None),
        Material::Token { token, uri, certificate, chain } => {
            let key = Arc::new(TokenSigner::new(token, uri, certificate, chain));
            (Arc::clone(&key) as _, Some(OnToken::Signer(key)))
        }
    };
    let key = preferring(key, files.rsa_signature, &place)?;
    Ok(One { key, place, on_token })
}

fn preferring(
    key: Arc<dyn SigningKey>,
    wanted: Option<RsaSignature>,
    place: &str,
) -> Result<Arc<dyn SigningKey>, Problem> {
    let scheme = match wanted {
        None => return Ok(key),
        Some(RsaSignature::Pkcs1) => SignatureScheme::RsaPkcs1Sha256,
        Some(RsaSignature::Pss) => SignatureScheme::RsaPssSha256,
    };
    let preferring = Preferring::new(key, scheme);
    let preferring = preferring.map_err(|_| Problem::of(place, "`rsa_signature` is for RSA keys, and this is none"))?;
    Ok(Arc::new(preferring))
}

/// A signing key that belongs to no domain, such as the one under a partner file.
///
/// # Errors
/// What is wrong with file or token.
pub fn signing_key(loaded: &Loaded, ring: &KeyRing, files: &KeyFiles) -> Result<Arc<dyn SigningKey>, Problem> {
    signer(loaded, ring, files).map(|one| one.key)
}

fn reading(loaded: &Loaded, ring: &KeyRing, own: &OwnDomain) -> Result<ReadingSet, Problem> {
    let mut keys = Vec::new();
    for files in &own.decryption {
        let (material, place) = material(loaded, ring, files)?;
        keys.push(match material {
            Material::File(key) => One { key: key as _, place, on_token: None },
            Material::Token { token, uri, certificate, .. } => {
                let key = Arc::new(TokenReader::new(token, uri, certificate));
                One { on_token: Some(OnToken::Reader(Arc::clone(&key))), key: key as _, place }
            }
        });
    }
    if keys.is_empty() {
        return Err(Problem::of(&loaded.folder, format!("domain {}: `decryption` needs at least one key", own.name)));
    }
    Ok(ReadingSet(keys))
}

fn material(loaded: &Loaded, ring: &KeyRing, files: &KeyFiles) -> Result<(Material, String), Problem> {
    let passphrase = |at: &Path| {
        let read = files.passphrase.as_ref().map(|place| pins::secret(loaded, place)).transpose();
        read.map_err(|what| Problem::of(at, format!("its passphrase: {what}")))
    };
    if let Some(file) = &files.pkcs12 {
        let path = loaded.path(file);
        let password = passphrase(&path)?.unwrap_or_default();
        let key = FileKey::from_pkcs12(&read_bytes(&path, MAX_PEM)?, &password)
            .map_err(|error| Problem::of(&path, error.to_string()))?;
        return Ok((Material::File(Arc::new(key)), path.display().to_string()));
    }
    let (Some(certificate), Some(place)) = (&files.certificate, &files.key) else {
        return Err(Problem::of(&loaded.folder, "a key is `certificate` with `key`, or `pkcs12`"));
    };
    let certificate = loaded.path(certificate);
    let pem = read_bytes(&certificate, MAX_PEM)?;
    match place {
        KeyPlace::File(file) => {
            let path = loaded.path(file);
            let passphrase = passphrase(&path)?;
            let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
            FileKey::from_pem(&read_bytes(&path, MAX_PEM)?, &pem, passphrase)
                .map(|key| (Material::File(Arc::new(key)), path.display().to_string()))
                .map_err(|error| Problem::of(path, format!("with {}: {error}", certificate.display())))
        }
        KeyPlace::Token(uri) => {
            let wrong = |error: CertificateError| Problem::of(&certificate, error.to_string());
            let mut chain = Certificate::list_from_pem(&pem).map_err(wrong)?.into_iter();
            let first = chain.next().ok_or_else(|| Problem::of(&certificate, "holds no PEM certificate"))?;
            let token = meant(ring, uri)?;
            let material = Material::Token { token, uri: uri.clone(), certificate: first, chain: chain.collect() };
            Ok((material, uri.to_string()))
        }
    }
}

/// A bare key on a token of the configuration, with the public half that lies beside it.
///
/// # Errors
/// What is wrong with token or key.
pub fn token_key(loaded: &Loaded, uri: KeyUri) -> Result<TokenKey, Problem> {
    let ring = tokens_only(loaded);
    let (token, place) = (meant(&ring, &uri)?, uri.to_string());
    TokenKey::open(token, uri).map_err(|error| Problem::of(place, error.to_string()))
}

/// The tokens of the configuration, without the keys.
pub(super) fn tokens_only(loaded: &Loaded) -> KeyRing {
    KeyRing { tokens: tokens(loaded, None), ..KeyRing::default() }
}

/// The one [[token]] that a URI means.
pub(super) fn meant(ring: &KeyRing, uri: &KeyUri) -> Result<Arc<Token>, Problem> {
    let mut meant = ring.tokens().filter(|token| token.is_meant_by(uri));
    match (meant.next(), meant.next()) {
        (Some(token), None) => Ok(Arc::clone(token)),
        (None, _) => Err(Problem::of(uri.to_string(), "no [[token]] of the configuration has that label and serial")),
        (Some(_), Some(_)) => Err(Problem::of(uri.to_string(), "several [[token]] fit: name the token in the URI")),
    }
}
