//! The trail's signing key on a token: checkpoints are then worth as much as the token.
//!
//! Ed25519 only, because that is what signed notes (C2SP) carry. The public half is kept beside the trail,
//! so that it can be read and verified while the token is away.

use std::{fs, io, path::Path, sync::Arc};

use openssl::pkey::{Id, PKey};
use pki::{
    certificate::KeyKind,
    keys::{SignatureScheme, TokenKey},
};
use trail::log::NoteKey;

use super::{KeyRing, load};
use crate::{
    audit::{AuditError, Secrets},
    config::{Loaded, Problem},
    rest::Vault,
};

/// File of the public half, in the data folder.
const FILE: &str = "trail-key.pub";

/// A checkpoint key on a token.
struct OnToken {
    key: TokenKey,
    public: [u8; 32],
}

impl NoteKey for OnToken {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn ready(&self) -> Result<(), String> {
        self.key.prove().map_err(|error| error.to_string())?;
        // Proved at the last login; whether it is there still is another question.
        self.key.token().check().map_err(|error| error.to_string())
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        self.key.sign(SignatureScheme::Ed25519, text).map_err(|error| error.to_string())
    }
}

/// The secrets of the trail that the configuration describes; `ring` lends its tokens.
///
/// # Errors
/// What is wrong with the secrets or the key.
pub fn secrets(loaded: &Loaded, vault: &Vault, ring: Option<&KeyRing>) -> Result<Secrets, Problem> {
    let data = loaded.data();
    let wrong = |error: AuditError| Problem::of(&data, error.to_string());
    let secrets = Secrets::open(&data, vault, loaded.config.server.hostname.as_str()).map_err(wrong)?;
    let Some(uri) = &loaded.config.checkpoints.key else {
        if data.join(FILE).exists() {
            return Err(Problem::of(&data, "this trail is signed by a token's key: `checkpoints.key` must name it"));
        }
        return Ok(secrets);
    };
    let failed = |what: String| Problem::of(uri.to_string(), what);
    let token = match ring {
        Some(ring) => load::meant(ring, uri)?,
        None => load::meant(&load::tokens_only(loaded), uri)?,
    };
    let public = match known(&data).map_err(|error| failed(format!("{}: {error}", data.join(FILE).display())))? {
        Some(public) => public,
        None if data.join("trail").join("log").join("checkpoint").exists() => {
            return Err(failed("this trail was begun with another key, and a trail keeps its key".to_owned()));
        }
        None => first_seen(&data, TokenKey::open(Arc::clone(&token), uri.clone()).map_err(|e| failed(e.to_string()))?)
            .map_err(failed)?,
    };
    let half = PKey::public_key_from_raw_bytes(&public, Id::ED25519).map_err(|error| failed(error.to_string()))?;
    let key = TokenKey::new(token, uri.clone(), half);
    Ok(secrets.signing_with(Arc::new(OnToken { key, public })))
}

fn known(data: &Path) -> io::Result<Option<[u8; 32]>> {
    match fs::read(data.join(FILE)) {
        Ok(octets) => octets.try_into().map(Some).map_err(|_| io::Error::other("is not a key of 32 octets")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_seen(data: &Path, key: TokenKey) -> Result<[u8; 32], String> {
    if key.kind() != KeyKind::Ed25519 {
        return Err("checkpoints are signed with Ed25519: make such a key on the token".to_owned());
    }
    let raw = key.public_key().raw_public_key().map_err(|error| error.to_string())?;
    let public: [u8; 32] = raw.try_into().map_err(|_| "the token's public key has not 32 octets".to_owned())?;
    key.prove().map_err(|error| error.to_string())?;
    let write = || -> io::Result<()> {
        let aside = data.join(FILE).with_extension("new");
        fs::write(&aside, public)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(&aside, data.join(FILE))?;
        fs::File::open(data)?.sync_all()
    };
    write().map_err(|error| error.to_string())?;
    Ok(public)
}
