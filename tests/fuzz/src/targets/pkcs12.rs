//! Key files that an operator imports: PKCS#12 (RFC 7292), and PEM with key and certificates in one text.

use std::sync::LazyLock;

use openssl::{
    hash::{MessageDigest, hash},
    pkey::PKey,
    sign::Signer,
};
use pki::{
    der,
    keys::{FileKey, SigningKey},
};

use crate::{
    Target, forge,
    samples::{self, key_file::PASSWORD},
    world,
};

/// The target.
pub const TARGET: Target =
    Target { name: "pkcs12", covers: &["pki/src/keys/file/read.rs"], run, seeds: samples::key_file::all };

fn run(data: &[u8]) -> bool {
    for passphrase in [None, Some(PASSWORD.as_bytes())] {
        if let Ok(key) = FileKey::from_pem(data, data, passphrase) {
            used(&key);
        }
    }
    let read = |file: &[u8]| FileKey::from_pkcs12(file, PASSWORD).ok();
    let Some(key) = read(data).or_else(|| read(&sealed(data)?)) else {
        return false;
    };
    used(&key);
    // Read to the end, with a certificate that no seed has.
    let certificate = SigningKey::certificate(&key);
    ![&world::SIGNER, &world::READER_RSA].iter().any(|kept| SigningKey::certificate(&***kept) == certificate)
}

/// A key that has been read does its work, and fits its certificate.
fn used(key: &FileKey) {
    let certificate = SigningKey::certificate(key);
    assert!(key.openssl().public_eq(certificate.public_key()), "key and certificate are a pair");
    for scheme in SigningKey::schemes(key) {
        let _ = key.sign(*scheme, b"essai");
    }
    let _ = (key.chain().len(), format!("{key:?}"));
}

/// The file under a MAC by its password: what stands behind a MAC cannot be changed, so the target makes it
/// (RFC 7292 §5.1, with SHA-256 and one round).
fn sealed(file: &[u8]) -> Option<Vec<u8>> {
    let outside = forge::parts(file)?;
    let [version, safe, ..] = outside.as_slice() else { return None };
    let explicit = *forge::parts(safe)?.get(1)?;
    let content = forge::content(forge::parts(explicit)?.first()?)?;
    let key = PKey::hmac(&MAC_KEY).ok()?;
    let mac = Signer::new(MessageDigest::sha256(), &key).ok()?.sign_oneshot_to_vec(content).ok()?;
    let digest = der::sequence(&[forge::algorithm("2.16.840.1.101.3.4.2.1", &der::null()), der::octet_string(&mac)]);
    let mac = der::sequence(&[digest, der::octet_string(&SALT)]);
    Some(der::sequence(&[version, safe, mac.as_slice()]))
}

const SALT: [u8; 8] = [7; 8];

/// The key that the password gives (RFC 7292 appendix B.2, purpose 3): one block of SHA-256, one round.
static MAC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let password: Vec<u8> = PASSWORD.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let repeated = |octets: &[u8]| octets.iter().copied().cycle().take(64).collect::<Vec<u8>>();
    let input = [vec![3; 64], repeated(&SALT), repeated(&password)].concat();
    hash(MessageDigest::sha256(), &input).expect("a digest").to_vec()
});
