//! Signature algorithms of certificates and revocation lists.

use openssl::{
    hash::{MessageDigest, hash},
    md::{Md, MdRef},
    nid::Nid,
    pkey::{Id, PKey, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    sign::{RsaPssSaltlen, Verifier},
};

use crate::{
    certificate::{self, KeyKind},
    der::tag,
    der_reader::{self, Malformed, Read, Reader},
};

/// Digests that occur in signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Digest {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    pub(crate) fn of_oid(oid: &str) -> Option<Self> {
        Some(match oid {
            "1.3.14.3.2.26" => Self::Sha1,
            "2.16.840.1.101.3.4.2.4" => Self::Sha224,
            "2.16.840.1.101.3.4.2.1" => Self::Sha256,
            "2.16.840.1.101.3.4.2.2" => Self::Sha384,
            "2.16.840.1.101.3.4.2.3" => Self::Sha512,
            _ => return None,
        })
    }

    pub(crate) fn oid(self) -> &'static str {
        match self {
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha224 => "2.16.840.1.101.3.4.2.4",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        }
    }

    pub(crate) fn message_digest(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha224 => MessageDigest::sha224(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }

    fn md(self) -> Option<&'static MdRef> {
        let nid = match self {
            Self::Sha1 => Nid::SHA1,
            Self::Sha224 => Nid::SHA224,
            Self::Sha256 => Nid::SHA256,
            Self::Sha384 => Nid::SHA384,
            Self::Sha512 => Nid::SHA512,
        };
        Md::from_nid(nid)
    }

    fn strong(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha384 | Self::Sha512)
    }
}

/// A signature algorithm with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    RsaPkcs1(Digest),
    RsaPss { digest: Digest, mask: Digest, salt: u32 },
    Ecdsa(Digest),
    Dsa(Digest),
    Ed25519,
}

impl SignatureAlgorithm {
    /// From an AlgorithmIdentifier; `None` is an algorithm that we do not verify.
    pub(crate) fn of(oid: &str, parameters: &[u8]) -> Option<Self> {
        Some(match oid {
            "1.2.840.113549.1.1.5" => Self::RsaPkcs1(Digest::Sha1),
            "1.2.840.113549.1.1.14" => Self::RsaPkcs1(Digest::Sha224),
            "1.2.840.113549.1.1.11" => Self::RsaPkcs1(Digest::Sha256),
            "1.2.840.113549.1.1.12" => Self::RsaPkcs1(Digest::Sha384),
            "1.2.840.113549.1.1.13" => Self::RsaPkcs1(Digest::Sha512),
            "1.2.840.113549.1.1.10" => pss(parameters).ok()?,
            "1.2.840.10045.4.1" => Self::Ecdsa(Digest::Sha1),
            "1.2.840.10045.4.3.1" => Self::Ecdsa(Digest::Sha224),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Digest::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Digest::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Digest::Sha512),
            "1.2.840.10040.4.3" => Self::Dsa(Digest::Sha1),
            "2.16.840.1.101.3.4.3.1" => Self::Dsa(Digest::Sha224),
            "2.16.840.1.101.3.4.3.2" => Self::Dsa(Digest::Sha256),
            "1.3.101.112" => Self::Ed25519,
            _ => return None,
        })
    }

    /// SHA-256 or better, and no DSA: the floor of every purpose but `any`.
    pub(crate) fn strong(self) -> bool {
        match self {
            Self::RsaPkcs1(digest) | Self::Ecdsa(digest) => digest.strong(),
            Self::RsaPss { digest, mask, .. } => digest.strong() && mask.strong(),
            Self::Ed25519 => true,
            Self::Dsa(_) => false,
        }
    }

    fn digest(self) -> Option<Digest> {
        match self {
            Self::RsaPkcs1(digest) | Self::RsaPss { digest, .. } | Self::Ecdsa(digest) | Self::Dsa(digest) => {
                Some(digest)
            }
            Self::Ed25519 => None,
        }
    }

    fn fits(self, key: Id) -> bool {
        match self {
            Self::RsaPkcs1(_) => key == Id::RSA,
            Self::RsaPss { .. } => matches!(key, Id::RSA | Id::RSA_PSS),
            Self::Ecdsa(_) => key == Id::EC,
            Self::Dsa(_) => key == Id::DSA,
            Self::Ed25519 => key == Id::ED25519,
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1). Trailer field other than 1 is refused.
fn pss(parameters: &[u8]) -> Read<SignatureAlgorithm> {
    let (mut digest, mut mask, mut salt) = (Digest::Sha1, Digest::Sha1, 20);
    let mut reader = Reader::only(parameters, tag::SEQUENCE)?.inside();
    if let Some(element) = reader.optional(0xa0)? {
        digest = digest_of(element.value)?;
    }
    if let Some(element) = reader.optional(0xa1)? {
        let (oid, inner) = certificate::algorithm(Reader::only(element.value, tag::SEQUENCE)?.value)?;
        if oid != "1.2.840.113549.1.1.8" {
            return Err(Malformed);
        }
        mask = digest_of(inner)?;
    }
    if let Some(element) = reader.optional(0xa2)? {
        salt = der_reader::small(Reader::only(element.value, tag::INTEGER)?.value)?;
    }
    if let Some(element) = reader.optional(0xa3)?
        && der_reader::small(Reader::only(element.value, tag::INTEGER)?.value)? != 1
    {
        return Err(Malformed);
    }
    reader.end()?;
    if salt > 512 {
        return Err(Malformed);
    }
    Ok(SignatureAlgorithm::RsaPss { digest, mask, salt })
}

fn digest_of(algorithm: &[u8]) -> Read<Digest> {
    let (oid, _) = certificate::algorithm(Reader::only(algorithm, tag::SEQUENCE)?.value)?;
    Digest::of_oid(&oid).ok_or(Malformed)
}

/// Something signed, kept as its digest: a list of a million entries need not stay in memory only
/// because the key that signed it is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) algorithm: SignatureAlgorithm,
    /// The digest; the message itself for Ed25519, which hashes inside.
    digest: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn new(algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> Option<Self> {
        let digest = match algorithm.digest() {
            Some(digest) => hash(digest.message_digest(), message).ok()?.to_vec(),
            None => message.to_vec(),
        };
        Some(Self { algorithm, digest, signature: signature.to_vec() })
    }

    /// Whether `key` made the signature. Anything that OpenSSL cannot do is a no.
    pub(crate) fn verified_by(&self, key: &PKey<Public>) -> bool {
        self.algorithm.fits(key.id()) && self.check(key).unwrap_or(false)
    }

    fn check(&self, key: &PKey<Public>) -> Option<bool> {
        let Some(digest) = self.algorithm.digest() else {
            let mut verifier = Verifier::new_without_digest(key).ok()?;
            return verifier.verify_oneshot(&self.signature, &self.digest).ok();
        };
        let mut context = PkeyCtx::new(key).ok()?;
        context.verify_init().ok()?;
        match self.algorithm {
            SignatureAlgorithm::RsaPkcs1(_) => context.set_rsa_padding(Padding::PKCS1).ok()?,
            SignatureAlgorithm::RsaPss { mask, salt, .. } => {
                context.set_rsa_padding(Padding::PKCS1_PSS).ok()?;
                context.set_rsa_mgf1_md(mask.md()?).ok()?;
                context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(i32::try_from(salt).ok()?)).ok()?;
            }
            _ => {}
        }
        context.set_signature_md(digest.md()?).ok()?;
        context.verify(&self.digest, &self.signature).ok()
    }
}

/// RSA of 2048 to 16384 bits, or a named curve.
pub(crate) fn strong_key(kind: KeyKind) -> bool {
    match kind {
        KeyKind::Rsa(bits) => (2048..=16384).contains(&bits),
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 | KeyKind::X25519 => true,
        KeyKind::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use openssl::{pkey::Private, rsa::Rsa, sign::Signer};

    use super::*;
    use crate::der;

    fn identifier(oid: &str) -> Vec<u8> {
        der::sequence(&[der::oid(oid).unwrap()])
    }

    fn pss_parameters(digest: &str, mask: &str, salt: u64) -> Vec<u8> {
        let mask = der::sequence(&[der::oid("1.2.840.113549.1.1.8").unwrap(), identifier(mask)]);
        let salt = der::context(2, &[der::integer(salt)]);
        der::sequence(&[der::context(0, &[identifier(digest)]), der::context(1, &[mask]), salt])
    }

    fn public(key: &PKey<Private>) -> PKey<Public> {
        PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
    }

    const PSS: &str = "1.2.840.113549.1.1.10";
    const SHA256: &str = "2.16.840.1.101.3.4.2.1";
    const SHA1: &str = "1.3.14.3.2.26";

    #[test]
    fn pss_is_verified_with_its_own_parameters() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).unwrap();
        let signature = signer.sign_oneshot_to_vec(b"message").unwrap();
        let verified = |parameters: &[u8], message: &[u8]| {
            let algorithm = SignatureAlgorithm::of(PSS, parameters).unwrap();
            Signed::new(algorithm, message, &signature).unwrap().verified_by(&public(&key))
        };
        assert!(verified(&pss_parameters(SHA256, SHA256, 32), b"message"));
        assert!(!verified(&pss_parameters(SHA256, SHA256, 32), b"massage"));
        assert!(!verified(&pss_parameters(SHA256, SHA256, 20), b"message"));
        assert!(!verified(&pss_parameters(SHA256, SHA1, 32), b"message"));
        // Left out, everything is SHA-1 (RFC 4055 §3.1): below the floor.
        let strong = |parameters: &[u8]| SignatureAlgorithm::of(PSS, parameters).map(SignatureAlgorithm::strong);
        assert_eq!(strong(&pss_parameters(SHA256, SHA256, 32)), Some(true));
        assert_eq!(strong(&pss_parameters(SHA256, SHA1, 32)), Some(false));
        assert_eq!(strong(&der::sequence::<Vec<u8>>(&[])), Some(false));
        assert_eq!(strong(&[]), None);
        assert_eq!(strong(&pss_parameters(SHA256, SHA256, 513)), None);
    }

    #[test]
    fn a_key_of_another_kind_verifies_nothing() {
        let (edwards, rsa) = (PKey::generate_ed25519().unwrap(), PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let signature = Signer::new_without_digest(&edwards).unwrap().sign_oneshot_to_vec(b"message").unwrap();
        let algorithm = SignatureAlgorithm::of("1.3.101.112", &[]).unwrap();
        let signed = Signed::new(algorithm, b"message", &signature).unwrap();
        assert!(signed.verified_by(&public(&edwards)));
        assert!(!signed.verified_by(&public(&rsa)));
        assert!(!Signed::new(algorithm, b"massage", &signature).unwrap().verified_by(&public(&edwards)));
        let other = Signed::new(SignatureAlgorithm::RsaPkcs1(Digest::Sha256), b"message", &signature).unwrap();
        assert!(!other.verified_by(&public(&edwards)) && !other.verified_by(&public(&rsa)));
        assert_eq!(SignatureAlgorithm::of("1.2.840.113549.1.1.4", &[]), None, "MD5 (NT-T13)");
    }

    #[test]
    fn the_floor_of_keys() {
        for (kind, strong) in [
            (KeyKind::Rsa(1024), false),
            (KeyKind::Rsa(2047), false),
            (KeyKind::Rsa(2048), true),
            (KeyKind::Rsa(32768), false),
            (KeyKind::P256, true),
            (KeyKind::Other, false),
        ] {
            assert_eq!(strong_key(kind), strong, "{kind:?}");
        }
    }
}
