//! The primitives that a profile cannot do without, each as short as the library allows: keys and algorithms at hand,
//! no structure around them, no base64.

use mail::Profile;
use openssl::aes::{AesKey, unwrap_key, wrap_key};
use openssl::derive::Deriver;
use openssl::ec::EcKey;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use openssl::symm::{Cipher, Crypter, Mode};

use crate::world::{Kind, World};

/// Octets of signed attributes, about.
const ATTRIBUTES: usize = 500;

/// What the other side made, so that opening has something to undo.
pub(crate) struct Made {
    signature: Vec<u8>,
    wrapped: Vec<u8>,
    ephemeral: Option<PKey<Public>>,
    encrypted: Vec<u8>,
    out: Vec<u8>,
    attributes: Vec<u8>,
}

const KEY: [u8; 32] = [7; 32];

/// The octets that are encrypted: for mail clients the signed message is in base64.
fn inside(profile: Profile, octets: usize) -> usize {
    if profile == Profile::Client { octets / 57 * 78 } else { octets }
}

fn cipher(profile: Profile) -> Option<(Cipher, &'static [u8])> {
    match profile {
        Profile::SignedOnly => None,
        Profile::Client => Some((Cipher::aes_256_cbc(), &[9; 16])),
        _ => Some((Cipher::aes_256_gcm(), &[9; 12])),
    }
}

impl Made {
    /// Of a message.
    pub(crate) fn new(world: &World, profile: Profile, message: &[u8]) -> Self {
        Self::around(world, profile, message, inside(profile, message.len()))
    }

    /// Of containers alone, which hold no base64.
    pub(crate) fn of_containers(world: &World, profile: Profile, message: &[u8]) -> Self {
        Self::around(world, profile, message, message.len())
    }

    fn around(world: &World, profile: Profile, message: &[u8], encrypted: usize) -> Self {
        let attributes = vec![b'a'; ATTRIBUTES];
        let encrypted = vec![b'x'; encrypted];
        let mut made = Self {
            signature: Vec::new(),
            wrapped: Vec::new(),
            ephemeral: None,
            out: vec![0; encrypted.len() + 32],
            encrypted,
            attributes,
        };
        made.seal(world, profile, message);
        made
    }

    /// Digest, signature, key wrap, cipher.
    pub(crate) fn seal(&mut self, world: &World, profile: Profile, message: &[u8]) {
        std::hint::black_box(sha256(message));
        let mut signer = Signer::new(MessageDigest::sha256(), world.signer.openssl()).unwrap();
        self.signature = signer.sign_oneshot_to_vec(&self.attributes).unwrap();
        let Some((cipher, nonce)) = cipher(profile) else { return };
        self.wrap(world);
        let mut crypter = Crypter::new(cipher, Mode::Encrypt, &KEY, Some(nonce)).unwrap();
        let length = crypter.update(&self.encrypted, &mut self.out).unwrap();
        crypter.finalize(&mut self.out[length..]).unwrap();
    }

    /// Key unwrap, cipher, digest, verification.
    pub(crate) fn open(&mut self, world: &World, profile: Profile, message: &[u8]) {
        if let Some((cipher, nonce)) = cipher(profile) {
            self.unwrap(world);
            let mut crypter = Crypter::new(cipher, Mode::Decrypt, &KEY, Some(nonce)).unwrap();
            // What comes out means nothing: only the work counts.
            crypter.pad(false);
            crypter.update(&self.encrypted, &mut self.out).unwrap();
        }
        std::hint::black_box(sha256(message));
        let mut verifier = Verifier::new(MessageDigest::sha256(), world.signer.openssl()).unwrap();
        assert!(verifier.verify_oneshot(&self.signature, &self.attributes).unwrap());
    }

    fn wrap(&mut self, world: &World) {
        let key = world.reader.openssl();
        if world.kind == Kind::P256 {
            let ephemeral = PKey::from_ec_key(EcKey::generate(key.ec_key().unwrap().group()).unwrap()).unwrap();
            self.wrapped = vec![0; 40];
            wrap_key(&AesKey::new_encrypt(&agreed(&ephemeral, key)).unwrap(), None, &mut self.wrapped, &KEY).unwrap();
            let public = ephemeral.ec_key().unwrap();
            let public = EcKey::from_public_key(public.group(), public.public_key()).unwrap();
            self.ephemeral = Some(PKey::from_ec_key(public).unwrap());
            return;
        }
        let mut encrypter = Encrypter::new(key).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        self.wrapped.resize(512, 0);
        let length = encrypter.encrypt(&KEY, &mut self.wrapped).unwrap();
        self.wrapped.truncate(length);
    }

    fn unwrap(&self, world: &World) {
        let key = world.reader.openssl();
        let mut out = [0; 512];
        if let Some(ephemeral) = &self.ephemeral {
            let wrapping = AesKey::new_decrypt(&agreed(key, ephemeral)).unwrap();
            unwrap_key(&wrapping, None, &mut out[..32], &self.wrapped).unwrap();
        } else {
            let mut decrypter = Decrypter::new(key).unwrap();
            decrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
            decrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
            decrypter.decrypt(&self.wrapped, &mut out).unwrap();
        }
        assert_eq!(out[..32], KEY);
    }
}

/// One ECDH and the digest that makes a key of it.
fn agreed<T: openssl::pkey::HasPublic>(own: &PKey<Private>, peer: &PKey<T>) -> [u8; 32] {
    let mut deriver = Deriver::new(own).unwrap();
    // Not checked again: a point that is on its curve is sound (decision 0032).
    deriver.set_peer_ex(peer, false).unwrap();
    sha256(&deriver.derive_to_vec().unwrap())
}
