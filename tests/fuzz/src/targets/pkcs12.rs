//! PKCS#12 files that an operator imports (RFC 7292).

use openssl::{nid::Nid, pkcs12::Pkcs12};
use pki::{
    der,
    keys::{FileKey, SigningKey},
};

use crate::{Target, world};

/// The target.
pub const TARGET: Target = Target { name: "pkcs12", covers: &["pki/src/keys/file.rs"], run, seeds };

const PASSWORD: &str = "essai";

fn run(data: &[u8]) -> bool {
    let read = |password| FileKey::from_pkcs12(data, password).ok();
    let Some(key) = read(PASSWORD).or_else(|| read("")) else {
        return false;
    };
    let scheme = *SigningKey::schemes(&key).first().expect("a key that has been read can sign");
    key.sign(scheme, b"essai").is_ok() && SigningKey::certificate(&key) != SigningKey::certificate(&*world::SIGNER)
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let sealed = world::SIGNER.to_pkcs12(PASSWORD, &[world::root()]).expect("a file");
    vec![("sealed", sealed), ("open", open().expect("a file"))]
}

/// Neither encrypted nor authenticated, so that a changed octet is still read.
fn open() -> Option<Vec<u8>> {
    let none = Nid::from_raw(-1);
    let certificate = openssl::x509::X509::from_der(SigningKey::certificate(&*world::SIGNER).der()).ok()?;
    let mut builder = Pkcs12::builder();
    builder.name("essai").pkey(world::SIGNER.openssl()).cert(&certificate).key_algorithm(none).cert_algorithm(none);
    let file = builder.build2("").ok()?.to_der().ok()?;
    // PFX: version, contents, authentication code; each length of the two first takes two octets.
    let contents = file.get(7..)?;
    let length = usize::from(u16::from_be_bytes(contents.get(2..4)?.try_into().ok()?));
    Some(der::sequence(&[file.get(4..7)?.to_vec(), contents.get(..length.checked_add(4)?)?.to_vec()]))
}
