//! Key files: PKCS#12 with and without each part, PEM with and without a passphrase.

use openssl::{
    error::ErrorStack,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    stack::Stack,
    symm::Cipher,
    x509::X509,
};
use pki::{
    certificate::Certificate,
    der,
    keys::{FileKey, SigningKey},
};

use super::Sample;
use crate::{forge, world};

/// What opens the sealed ones.
pub const PASSWORD: &str = "essai";

type Contents<'a> = (Option<&'a PKey<Private>>, Option<&'a Certificate>, &'a [&'a Certificate]);

/// All of them.
pub fn all() -> Vec<Sample> {
    let (signer, reader): (&FileKey, &FileKey) = (&world::SIGNER, &world::READER_RSA);
    let (certificate, other) = (SigningKey::certificate(signer), SigningKey::certificate(reader));
    let root = world::root();
    let open = |contents: Contents<'_>| open(contents).expect("a file");
    let packed = vec![
        ("sealed", signer.to_pkcs12(PASSWORD, std::slice::from_ref(&root)).expect("a file")),
        ("open", open((Some(signer.openssl()), Some(certificate), &[]))),
        ("open-rsa", open((Some(reader.openssl()), Some(other), &[&root]))),
        ("open-chain", open((Some(signer.openssl()), Some(certificate), &[&root, other]))),
        ("open-no-key", open((None, None, &[certificate]))),
        ("open-no-certificate", open((Some(signer.openssl()), None, &[]))),
        ("no-file", der::sequence::<Vec<u8>>(&[])),
    ];
    [packed, texts(signer, certificate, other)].concat()
}

fn texts(signer: &FileKey, certificate: &Certificate, other: &Certificate) -> Vec<Sample> {
    let key = signer.openssl().private_key_to_pem_pkcs8().expect("a key");
    let cipher = Cipher::aes_128_cbc();
    let sealed = signer.openssl().private_key_to_pem_pkcs8_passphrase(cipher, PASSWORD.as_bytes()).expect("a key");
    let [own, strange] = [certificate, other].map(|it| it.to_pem().into_bytes());
    vec![
        ("pem", [key.clone(), own.clone(), world::root().to_pem().into_bytes()].concat()),
        ("pem-sealed", [sealed, own.clone()].concat()),
        ("pem-no-certificate", key.clone()),
        ("pem-no-key", own),
        ("pem-strange", [key, strange].concat()),
    ]
}

/// Neither encrypted nor authenticated, so that a changed octet is still read: the target makes the MAC.
fn open((key, certificate, others): Contents<'_>) -> Result<Vec<u8>, ErrorStack> {
    let none = Nid::from_raw(-1);
    let mut builder = Pkcs12::builder();
    builder.name("essai").key_algorithm(none).cert_algorithm(none);
    let certificate = certificate.map(|it| X509::from_der(it.der())).transpose()?;
    key.iter().for_each(|key| {
        builder.pkey(key);
    });
    certificate.iter().for_each(|certificate| {
        builder.cert(certificate);
    });
    let mut stack = Stack::new()?;
    for other in others {
        stack.push(X509::from_der(other.der())?)?;
    }
    builder.ca(stack);
    let file = builder.build2("")?.to_der()?;
    // PFX: version, contents, authentication code.
    Ok(forge::with_members(&file, |all| all.truncate(2)))
}
