//! PKCS#12 files that an operator imports (RFC 7292).

use openssl::{nid::Nid, pkcs12::Pkcs12};
use pki::keys::{FileKey, SigningKey};

use crate::{Target, world};

/// The target.
pub const TARGET: Target = Target { name: "pkcs12", covers: &["pki/src/keys.rs"], run, seeds };

const PASSWORD: &str = "essai";

fn run(data: &[u8]) -> bool {
    let Ok(key) = FileKey::from_pkcs12(data, PASSWORD) else {
        return false;
    };
    let scheme = *SigningKey::schemes(&key).first().expect("a key that has been read can sign");
    key.sign(scheme, b"essai").is_ok() && SigningKey::certificate(&key) != SigningKey::certificate(&*world::SIGNER)
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let (signer, root) = (&world::SIGNER, world::root());
    let sealed = signer.to_pkcs12(PASSWORD, &[root]).expect("a file");
    // Neither encrypted nor authenticated, so that a changed octet is still read.
    let undefined = Nid::UNDEF;
    let mut builder = Pkcs12::builder();
    builder
        .name("essai")
        .pkey(signer.openssl())
        .key_algorithm(undefined)
        .cert_algorithm(undefined)
        .mac_iter(1)
        .key_iter(1);
    let mut seeds = vec![("sealed", sealed)];
    if let Ok(certificate) = openssl::x509::X509::from_der(SigningKey::certificate(&**signer).der()) {
        builder.cert(&certificate);
        if let Ok(open) = builder.build2(PASSWORD).and_then(|file| file.to_der()) {
            seeds.push(("open", open));
        }
    }
    seeds
}
