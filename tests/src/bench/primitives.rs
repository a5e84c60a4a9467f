//! What the cryptographic primitives of one sealed message cost alone, on one core.

use std::time::{Duration, Instant};

use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::Signer;
use openssl::symm::{Cipher, encrypt_aead};

/// How long each primitive is repeated.
const SPAN: Duration = Duration::from_millis(150);

/// Octets that one message has on its way.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// As it was submitted.
    pub plain: usize,
    /// As it is relayed.
    pub sealed: usize,
}

/// Sum of the primitives for a message of these sizes: RSA-2048 signature, key wrap (OAEP), digests of
/// what is signed and of what is stored, content cipher, TLS records in and out.
#[must_use]
pub fn sum(sizes: Sizes) -> Duration {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let plain = vec![b'x'; sizes.plain];
    // Base64 makes four octets of three: what is encrypted is smaller than what travels.
    let inside = vec![b'x'; sizes.sealed * 3 / 4];
    let sealed = vec![b'x'; sizes.sealed];
    let (content_key, nonce) = ([7; 32], [9; 12]);
    let cipher = |data: &[u8]| {
        encrypt_aead(Cipher::aes_256_gcm(), &content_key, Some(&nonce), &[], data, &mut [0; 16]).unwrap();
    };
    let sign = each(|| {
        Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(&plain).unwrap();
    });
    let wrap = each(|| {
        let mut encrypter = Encrypter::new(&key).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        let mut wrapped = [0; 256];
        encrypter.encrypt(&content_key, &mut wrapped).unwrap();
    });
    let digest = each(|| {
        openssl::sha::sha256(&plain);
        openssl::sha::sha256(&sealed);
    });
    let encrypt = each(|| cipher(&inside));
    let tls = each(|| {
        cipher(&plain);
        cipher(&sealed);
    });
    sign + wrap + digest + encrypt + tls
}

fn each(mut work: impl FnMut()) -> Duration {
    work();
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < SPAN {
        work();
        times += 1;
    }
    began.elapsed() / times
}
