//! Sealed mail made by hand with OpenSSL's command line, with code that is not ours.

use crate::certs::CredentialFiles;
use crate::openssl_cli::{cms_encrypt, cms_sign};
use crate::world::World;

/// Sealed by hand with OpenSSL's command line: signed by `signer`, encrypted for `reader`.
#[must_use]
pub fn sealed(world: &World, content: &[u8], signer: (&str, &str), reader: &str) -> Vec<u8> {
    let at = |name: &str| world.folder().join(name);
    let signer = CredentialFiles { certificate: at(signer.0), key: at(signer.1) };
    let mut inner = b"Content-Type: message/rfc822\r\n\r\n".to_vec();
    inner.extend_from_slice(content);
    let signed = cms_sign("DER", &inner, &signer, &[]).success();
    seal_bytes(world, &part("signed-data", &signed), content, reader)
}

/// A body encrypted for `reader`, under the outer header of a letter.
#[must_use]
pub fn seal_bytes(world: &World, content: &[u8], inner: &[u8], reader: &str) -> Vec<u8> {
    let reader = world.folder().join(reader);
    let der = cms_encrypt("DER", content, "-aes-256-gcm", &[], &[&reader]).success();
    under_header_of(inner, &part("authEnveloped-data", &der))
}

/// An entity in a message that repeats outside what the letter inside says of itself.
#[must_use]
pub fn under_header_of(inner: &[u8], entity: &[u8]) -> Vec<u8> {
    let inner = String::from_utf8_lossy(inner);
    let header = inner.split("\r\n\r\n").next().unwrap_or_default();
    let outer = header.lines().map(|line| if line.starts_with("Subject:") { "Subject: ..." } else { line });
    let mut message = outer.collect::<Vec<_>>().join("\r\n").into_bytes();
    message.extend_from_slice(b"\r\nMIME-Version: 1.0\r\n");
    message.extend_from_slice(entity);
    message
}

/// An entity that is one container, in base64.
#[must_use]
pub fn part(kind: &str, der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    for line in text.as_bytes().chunks(76) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}
