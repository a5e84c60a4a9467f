//! From a shared secret to the key that wraps the content key: ANSI X9.63 as RFC 5753 §7.1.4 uses it, which
//! `openssl` does not expose, and HKDF as RFC 8418 §2.2 uses it.

use openssl::{
    error::ErrorStack,
    hash::{Hasher, MessageDigest},
    md::{Md, MdRef},
    pkey::Id,
    pkey_ctx::PkeyCtx,
};
use zeroize::Zeroizing;

use super::oid;
use crate::der;

/// How a scheme of key agreement derives.
#[derive(Clone, Copy)]
pub(crate) enum Derivation {
    /// ANSI X9.63 over this digest.
    X963(MessageDigest),
    /// HKDF over this digest, without salt.
    Hkdf(&'static MdRef),
}

impl Derivation {
    /// Derives `length` octets.
    pub(crate) fn derive(self, secret: &[u8], info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        match self {
            Self::X963(digest) => x963(digest, secret, info, length),
            Self::Hkdf(digest) => hkdf(digest, secret, info, length),
        }
    }
}

/// HKDF (RFC 5869) without salt.
fn hkdf(digest: &MdRef, secret: &[u8], info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_md(digest)?;
    context.set_hkdf_key(secret)?;
    context.add_hkdf_info(info)?;
    let mut out = Zeroizing::new(vec![0; length]);
    context.derive(Some(&mut out))?;
    Ok(out)
}

/// Derives `length` octets: `H(secret ‖ counter ‖ info) ‖ …`, counter from 1 in four octets.
pub(crate) fn x963(
    digest: MessageDigest,
    secret: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut out = Zeroizing::new(Vec::with_capacity(length.saturating_add(64)));
    for counter in 1u32.. {
        if out.len() >= length {
            break;
        }
        let mut hasher = Hasher::new(digest)?;
        hasher.update(secret)?;
        hasher.update(&counter.to_be_bytes())?;
        hasher.update(info)?;
        out.extend_from_slice(&hasher.finish()?);
    }
    out.truncate(length);
    Ok(out)
}

/// ECC-CMS-SharedInfo (RFC 5753 §7.2): what binds the derived key to its use.
///
/// `wrap` is the complete AlgorithmIdentifier of the key wrap as sent or received, `key_length`
/// its key in octets.
pub(crate) fn shared_info(wrap: &[u8], ukm: Option<&[u8]>, key_length: usize) -> Vec<u8> {
    let bits = u32::try_from(key_length.saturating_mul(8)).unwrap_or(u32::MAX);
    let mut members = vec![wrap.to_vec()];
    if let Some(ukm) = ukm {
        members.push(der::context(0, &[der::octet_string(ukm)]));
    }
    members.push(der::context(2, &[der::octet_string(&bits.to_be_bytes())]));
    der::sequence(&members)
}

/// A `dhSinglePass-stdDH-*-scheme` by the content octets of its identifier: how it derives, and what people
/// call it.
///
/// SHA-1 is read, because OpenSSL's tool still writes it by default and nothing in this use
/// depends on collisions; it is never written (H17). HKDF goes with X25519 (RFC 8418), which never had SHA-1.
pub(crate) fn scheme(algorithm: &[u8], x25519: bool) -> Option<(Derivation, &'static str)> {
    Some(match (algorithm, x25519) {
        (oid::ECDH_SHA1_KDF, false) => (Derivation::X963(MessageDigest::sha1()), "ECDH-ES SHA-1 KDF"),
        (oid::ECDH_SHA256_KDF, false) => (Derivation::X963(MessageDigest::sha256()), "ECDH-ES SHA-256 KDF"),
        (oid::ECDH_SHA384_KDF, false) => (Derivation::X963(MessageDigest::sha384()), "ECDH-ES SHA-384 KDF"),
        (oid::ECDH_SHA512_KDF, false) => (Derivation::X963(MessageDigest::sha512()), "ECDH-ES SHA-512 KDF"),
        (oid::ECDH_SHA256_KDF, true) => (Derivation::X963(MessageDigest::sha256()), "X25519 SHA-256 KDF"),
        (oid::ECDH_SHA384_KDF, true) => (Derivation::X963(MessageDigest::sha384()), "X25519 SHA-384 KDF"),
        (oid::ECDH_SHA512_KDF, true) => (Derivation::X963(MessageDigest::sha512()), "X25519 SHA-512 KDF"),
        (oid::ECDH_HKDF_SHA256, true) => (Derivation::Hkdf(Md::sha256()), "X25519 HKDF SHA-256"),
        (oid::ECDH_HKDF_SHA384, true) => (Derivation::Hkdf(Md::sha384()), "X25519 HKDF SHA-384"),
        (oid::ECDH_HKDF_SHA512, true) => (Derivation::Hkdf(Md::sha512()), "X25519 HKDF SHA-512"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |c: &u8| u8::try_from(char::from(*c).to_digit(16).unwrap()).unwrap();
        text.as_bytes().chunks(2).map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect()
    }

    /// NIST CAVP component test vectors, ANSI X9.63-2001, SHA-256.
    #[test]
    fn matches_published_vectors() {
        let key = x963(MessageDigest::sha256(), &hex("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08"), &[], 16);
        assert_eq!(*key.unwrap(), hex("443024c3dae66b95e6f5670601558f71"));
        let key = x963(
            MessageDigest::sha256(),
            &hex("22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d"),
            &hex("75eef81aa3041e33b80971203d2c0c52"),
            128,
        );
        assert_eq!(
            *key.unwrap(),
            hex(concat!(
                "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e",
                "52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485",
                "500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269",
                "142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21",
            ))
        );
    }

    /// RFC 5869 appendix A.3: SHA-256, no salt, no info.
    #[test]
    fn hkdf_matches_the_published_vector() {
        let key = hkdf(Md::sha256(), &[0x0b; 22], &[], 42).unwrap();
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(*key, hex(expected));
    }

    #[test]
    fn shared_info_has_the_form_of_rfc_5753() {
        let wrap = der::sequence(&[der::oid("2.16.840.1.101.3.4.1.45").unwrap()]);
        let info = shared_info(&wrap, None, 32);
        assert_eq!(info, hex("3015300b060960864801650304012da206040400000100"));
        let with_ukm = shared_info(&wrap, Some(&[7]), 32);
        assert_eq!(with_ukm, hex("301a300b060960864801650304012da003040107a206040400000100"));
    }
}
