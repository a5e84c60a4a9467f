//! The peer: the CMS of the `openssl` crate, on the same octets and with the same keys, up to DER: no base64, no header.

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

    pub(crate) fn seal(&self, world: &World, profile: Profile, message: &[u8]) -> Vec<u8> {
        let signed = CmsContentInfo::sign(
            Some(&self.signer),
            Some(world.signer.openssl()),
            None,
            Some(message),
            CMSOptions::BINARY,
        );
        let signed = signed.unwrap().to_der().unwrap();
        let cipher = match profile {
            Profile::SignedOnly => return signed,
            Profile::Client => Cipher::aes_256_cbc(),
            _ => Cipher::aes_256_gcm(),
        };
        let mut to = Stack::new().unwrap();
        to.push(self.reader.clone()).unwrap();
        CmsContentInfo::encrypt(&to, &signed, cipher, CMSOptions::BINARY).unwrap().to_der().unwrap()
    }

    pub(crate) fn open(&self, world: &World, profile: Profile, sealed: &[u8]) -> Vec<u8> {
        let mut object = CmsContentInfo::from_der(sealed).unwrap();
        if profile != Profile::SignedOnly {
            let inside = object.decrypt(world.reader.openssl(), &self.reader).unwrap();
            object = CmsContentInfo::from_der(&inside).unwrap();
        }
        // Only the mathematics: no path is judged here, on neither side.
        let store = X509StoreBuilder::new().unwrap().build();
        let mut out = Vec::new();
        object
            .verify(None, Some(&store), None, Some(&mut out), CMSOptions::BINARY | CMSOptions::NO_SIGNER_CERT_VERIFY)
            .unwrap();
        out
    }
}
