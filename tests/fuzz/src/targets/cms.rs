//! Containers that strangers send (RFC 5652): what they are, opening, verifying.

use pki::{
    cms::{self, ContentCipher, RsaTransport},
    keys::{DecryptionKey, SigningKey},
};

use crate::{
    Target,
    world::{NOW, READER_EC, READER_RSA, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "cms",
    covers: &[
        "pki/src/cms/container.rs",
        "pki/src/cms/content.rs",
        "pki/src/cms/open.rs",
        "pki/src/cms/reader.rs",
        "pki/src/cms/recipient.rs",
        "pki/src/cms/verify.rs",
        "pki/src/cms/attribute.rs",
        "pki/src/cms/identifier.rs",
    ],
    run,
    seeds,
};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nBonjour.\r\n";

fn run(data: &[u8]) -> bool {
    let _ = cms::kind(data);
    let keys: [&dyn DecryptionKey; 2] = [&*READER_RSA, &*READER_EC];
    let mut deep = false;
    if let Ok(opened) = cms::open(data, &keys) {
        // Every seed holds a signature; in CBC another initialisation vector gives other octets (H9).
        deep = opened.content.first() != Some(&0x30);
        let again = cms::reopen(data, &opened.content_key).expect("what opened once opens again");
        assert_eq!(*again, *opened.content);
    }
    let known = [SigningKey::certificate(&*SIGNER).clone()];
    let _ = cms::verify(data, Some(TEXT), &known);
    if let Ok(verified) = cms::verify(data, None, &known)
        && known.first() == Some(&verified.signer)
    {
        assert_eq!(&*verified.content, TEXT, "our signer signed one text only");
    }
    deep
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let (rsa, ec) = (DecryptionKey::certificate(&*READER_RSA), DecryptionKey::certificate(&*READER_EC));
    let signed = cms::sign(TEXT, &*SIGNER, NOW, &[]).expect("signed");
    let seal = |to: &[&_], cipher, transport| cms::encrypt_with(&signed, to, cipher, transport).expect("sealed");
    vec![
        ("gcm-rsa", seal(&[rsa], ContentCipher::Aes256Gcm, RsaTransport::default())),
        ("gcm-ec", seal(&[ec], ContentCipher::Aes256Gcm, RsaTransport::default())),
        ("cbc-both", seal(&[rsa, ec], ContentCipher::Aes256Cbc, RsaTransport::Pkcs1)),
        ("detached", cms::sign_detached(TEXT, &*SIGNER, NOW, &[]).expect("signed")),
        ("signed", signed),
    ]
}
