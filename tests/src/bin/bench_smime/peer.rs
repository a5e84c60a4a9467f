//! The peer: the CMS of the `openssl` crate, on the same octets and with the same keys.
//!
//! Twice: as far as it goes by itself, from and to DER; and as what would have to be built on it for the same result
//! as ours, from and to the text of a mail message. The text is the shortest way there is: no header of the
//! message is read, no line is judged, nothing is wiped.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail::Profile;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use pki::keys::{DecryptionKey, SigningKey};

use crate::world::World;

pub(crate) struct Peer {
    signer: X509,
    reader: X509,
}

impl Peer {
    pub(crate) fn new(world: &World) -> Self {
        let read = |certificate: &pki::certificate::Certificate| X509::from_der(certificate.der()).unwrap();
        Self {
            signer: read(SigningKey::certificate(&world.signer)),
            reader: read(DecryptionKey::certificate(&world.reader)),
        }
    }

    /// A message sealed as text: container in base64 under a header, for mail clients the signed one inside too.
    pub(crate) fn seal_text(&self, world: &World, profile: Profile, message: &[u8]) -> Vec<u8> {
        let signed = self.sign(world, message);
        let inside = if profile == Profile::Client { entity(&signed) } else { signed };
        entity(&self.encrypt(profile, inside))
    }

    /// A container of a message.
    pub(crate) fn seal(&self, world: &World, profile: Profile, message: &[u8]) -> Vec<u8> {
        self.encrypt(profile, self.sign(world, message))
    }

    fn sign(&self, world: &World, message: &[u8]) -> Vec<u8> {
        let signed = CmsContentInfo::sign(
            Some(&self.signer),
            Some(world.signer.openssl()),
            None,
            Some(message),
            CMSOptions::BINARY,
        );
        signed.unwrap().to_der().unwrap()
    }

    fn encrypt(&self, profile: Profile, content: Vec<u8>) -> Vec<u8> {
        let cipher = match profile {
            Profile::SignedOnly => return content,
            Profile::Client => Cipher::aes_256_cbc(),
            _ => Cipher::aes_256_gcm(),
        };
        let mut to = Stack::new().unwrap();
        to.push(self.reader.clone()).unwrap();
        CmsContentInfo::encrypt(&to, &content, cipher, CMSOptions::BINARY).unwrap().to_der().unwrap()
    }

    /// The message in a sealed text.
    pub(crate) fn open_text(&self, world: &World, profile: Profile, sealed: &[u8]) -> Vec<u8> {
        let outside = container(sealed);
        if profile != Profile::Client {
            return self.open(world, profile, &outside);
        }
        Self::verify(&container(&self.decrypt(world, &outside)))
    }

    /// The message in a container.
    pub(crate) fn open(&self, world: &World, profile: Profile, sealed: &[u8]) -> Vec<u8> {
        match profile {
            Profile::SignedOnly => Self::verify(sealed),
            _ => Self::verify(&self.decrypt(world, sealed)),
        }
    }

    fn decrypt(&self, world: &World, container: &[u8]) -> Vec<u8> {
        CmsContentInfo::from_der(container).unwrap().decrypt(world.reader.openssl(), &self.reader).unwrap()
    }

    /// Only the mathematics: no path is judged here, on neither side.
    fn verify(signed: &[u8]) -> Vec<u8> {
        let store = X509StoreBuilder::new().unwrap().build();
        let mut out = Vec::new();
        CmsContentInfo::from_der(signed)
            .unwrap()
            .verify(None, Some(&store), None, Some(&mut out), CMSOptions::BINARY | CMSOptions::NO_SIGNER_CERT_VERIFY)
            .unwrap();
        out
    }
}

const HEADER: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n\
    Content-Transfer-Encoding: base64\r\n\r\n";

/// A container as text.
fn entity(container: &[u8]) -> Vec<u8> {
    let digits = STANDARD.encode(container);
    let mut text = Vec::with_capacity(HEADER.len() + digits.len() / 76 * 78 + 80);
    text.extend_from_slice(HEADER);
    for line in digits.as_bytes().chunks(76) {
        text.extend_from_slice(line);
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The container in a text.
fn container(text: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(text.len());
    let mut rest = &text[HEADER.len()..];
    while let Some(end) = memchr::memchr(b'\r', rest) {
        digits.extend_from_slice(&rest[..end]);
        rest = &rest[end + 2..];
    }
    STANDARD.decode(&digits).unwrap()
}
