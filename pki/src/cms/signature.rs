//! Signature schemes of SignerInfo: which are accepted, how they are written and verified.

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Public},
    rsa::Padding,
    sign::{RsaPssSaltlen, Verifier},
};

use super::{
    CmsError,
    algorithm::{Algorithm, digest, identifier},
    oid,
    reader::Malformed,
};
use crate::{certificate::KeyKind, der, keys::SignatureScheme};

/// A scheme as found in a SignerInfo.
#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    RsaPkcs1(MessageDigest),
    RsaPss { digest: MessageDigest, salt: u16 },
    Ecdsa(MessageDigest),
    Ed25519,
}

impl Scheme {
    /// The scheme of a signature algorithm next to this digest algorithm. Both must agree (A8), and
    /// neither may be weaker than SHA-256 (H6).
    pub(crate) fn read(algorithm: &Algorithm<'_>, digest_oid: &[u8]) -> Result<Self, CmsError> {
        let (hash, _) = digest(digest_oid).ok_or_else(|| CmsError::Digest(oid::name(digest_oid)))?;
        let refused = || CmsError::SignatureAlgorithm(algorithm.name());
        let of = |expected: &[u8], scheme: Self| {
            if digest_oid == expected && algorithm.is_bare() { Ok(scheme) } else { Err(refused()) }
        };
        match algorithm.oid {
            // RFC 3370 §3.2: the identifier of the key says "sign", the digest stands elsewhere.
            oid::RSA if algorithm.is_bare() => Ok(Self::RsaPkcs1(hash)),
            oid::SHA256_RSA => of(oid::SHA256, Self::RsaPkcs1(hash)),
            oid::SHA384_RSA => of(oid::SHA384, Self::RsaPkcs1(hash)),
            oid::SHA512_RSA => of(oid::SHA512, Self::RsaPkcs1(hash)),
            oid::RSA_PSS => Ok(Self::RsaPss { digest: hash, salt: pss_salt(algorithm, digest_oid)? }),
            oid::ECDSA_SHA256 => of(oid::SHA256, Self::Ecdsa(hash)),
            oid::ECDSA_SHA384 => of(oid::SHA384, Self::Ecdsa(hash)),
            oid::ECDSA_SHA512 => of(oid::SHA512, Self::Ecdsa(hash)),
            oid::ED25519 if algorithm.parameters.is_none() => Ok(Self::Ed25519),
            _ => Err(refused()),
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1(_) => "RSA PKCS#1 v1.5",
            Self::RsaPss { .. } => "RSA-PSS",
            Self::Ecdsa(_) => "ECDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Whether keys of this kind make such signatures.
    pub(crate) fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::RsaPkcs1(_) | Self::RsaPss { .. } => matches!(kind, KeyKind::Rsa(_)),
            Self::Ecdsa(_) => matches!(kind, KeyKind::P256 | KeyKind::P384 | KeyKind::P521),
            Self::Ed25519 => kind == KeyKind::Ed25519,
        }
    }

    /// Whether the signature over `message` was made by this key.
    pub(crate) fn verify(self, key: &PKey<Public>, message: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
        let mut verifier = match self {
            Self::RsaPkcs1(digest) | Self::RsaPss { digest, .. } | Self::Ecdsa(digest) => Verifier::new(digest, key)?,
            Self::Ed25519 => Verifier::new_without_digest(key)?,
        };
        if let Self::RsaPss { digest, salt } = self {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_mgf1_md(digest)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt.into()))?;
        }
        verifier.verify_oneshot(signature, message)
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1): digest and mask must use the announced digest. The defaults
/// are SHA-1, so that absent members refuse themselves.
fn pss_salt(algorithm: &Algorithm<'_>, digest_oid: &[u8]) -> Result<u16, CmsError> {
    const WHAT: &str = "the parameters of RSA-PSS";
    let refused = |what: &str| CmsError::SignatureAlgorithm(format!("RSA-PSS with {what}"));
    let mut members = algorithm.members().ok_or(Malformed::Expected(WHAT))??;
    let (hash, mask) = (members.optional(0xa0)?, members.optional(0xa1)?);
    let mut number = |tag| -> Result<Option<u16>, Malformed> {
        let Some(explicit) = members.optional(tag)? else { return Ok(None) };
        let mut inner = explicit.members()?;
        let number = inner.number(WHAT)?;
        inner.end(WHAT)?;
        Ok(Some(number))
    };
    let (salt, trailer) = (number(0xa2)?, number(0xa3)?);
    members.end(WHAT)?;

    let hash = Algorithm::only(&hash.ok_or_else(|| refused("SHA-1"))?, WHAT)?;
    if hash.oid != digest_oid {
        return Err(refused("another digest than announced"));
    }
    let mask = Algorithm::only(&mask.ok_or_else(|| refused("a mask of SHA-1"))?, WHAT)?;
    if mask.oid != oid::MGF1 || mask.inner(WHAT)?.oid != digest_oid {
        return Err(refused("another mask than announced"));
    }
    if trailer.is_some_and(|trailer| trailer != 1) {
        return Err(refused("another trailer"));
    }
    Ok(salt.unwrap_or(20))
}

/// How one of our schemes is written: digest, digest identifier, signature algorithm.
pub(crate) struct Written {
    pub(crate) digest: MessageDigest,
    pub(crate) digest_oid: &'static [u8],
    pub(crate) algorithm: Vec<u8>,
}

/// How this scheme is written.
pub(crate) fn written(scheme: SignatureScheme) -> Written {
    let (digest, digest_oid) = match scheme {
        SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::RsaPssSha256 | SignatureScheme::EcdsaSha256 => {
            (MessageDigest::sha256(), oid::SHA256)
        }
        SignatureScheme::EcdsaSha384 => (MessageDigest::sha384(), oid::SHA384),
        // RFC 8419 §3.1: the digest next to Ed25519 is SHA-512.
        SignatureScheme::Ed25519 => (MessageDigest::sha512(), oid::SHA512),
    };
    let algorithm = match scheme {
        SignatureScheme::RsaPkcs1Sha256 => identifier(oid::RSA, Some(der::null())),
        SignatureScheme::RsaPssSha256 => identifier(oid::RSA_PSS, Some(pss_sha256())),
        SignatureScheme::EcdsaSha256 => identifier(oid::ECDSA_SHA256, None),
        SignatureScheme::EcdsaSha384 => identifier(oid::ECDSA_SHA384, None),
        SignatureScheme::Ed25519 => identifier(oid::ED25519, None),
    };
    Written { digest, digest_oid, algorithm }
}

/// RSASSA-PSS parameters: SHA-256 for digest and mask, salt of 32 octets.
fn pss_sha256() -> Vec<u8> {
    let sha256 = identifier(oid::SHA256, Some(der::null()));
    let mask = identifier(oid::MGF1, Some(sha256.clone()));
    der::sequence(&[der::context(0, &[sha256]), der::context(1, &[mask]), der::context(2, &[der::integer(32)])])
}
