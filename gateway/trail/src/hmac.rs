//! HMAC-SHA-256 (RFC 2104) over OpenSSL's SHA-256. Written out because OpenSSL's own call can
//! fail and a token has no sensible failure.

use openssl::sha::Sha256;
use zeroize::Zeroizing;

const BLOCK: usize = 64;

/// The 32 octets of HMAC-SHA-256 over the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |fill: u8| {
        let mut block = Zeroizing::new([fill; BLOCK]);
        block.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
        block
    };
    let mut inner = Sha256::new();
    inner.update(pad(0x36).as_slice());
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(pad(0x5c).as_slice());
    outer.update(&inner.finish());
    outer.finish()
}

#[cfg(test)]
mod tests {
    use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_openssl(key: [u8; 32], message: Vec<u8>, cut: prop::sample::Index) {
            let reference = PKey::hmac(&key).unwrap();
            let mut signer = Signer::new(MessageDigest::sha256(), &reference).unwrap();
            signer.update(&message).unwrap();
            let (head, tail) = message.split_at(cut.index(message.len() + 1));
            prop_assert_eq!(signer.sign_to_vec().unwrap(), hmac_sha256(&key, &[head, tail]));
        }
    }
}
