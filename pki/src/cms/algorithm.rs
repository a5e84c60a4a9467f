//! Algorithm identifiers, and the closed lists of those that we accept.

use openssl::{
    cipher::{Cipher, CipherRef},
    hash::MessageDigest,
};

use super::{
    error::Refusal,
    oid,
    reader::{Element, Malformed, Reader},
};
use crate::der;

/// Octets of a GCM nonce, the only length accepted (H5).
pub(crate) const NONCE: usize = 12;
/// Octets of a GCM tag, the only length accepted (H5).
pub(crate) const TAG: usize = 16;
/// Octets of an AES block and so of a CBC initialisation vector.
pub(crate) const BLOCK: usize = 16;

/// An AlgorithmIdentifier as received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) parameters: Option<Element<'a>>,
    pub(crate) element: Element<'a>,
}

impl<'a> Algorithm<'a> {
    /// The next value as an algorithm.
    pub(crate) fn read(reader: &mut Reader<'a>, what: &'static str) -> Result<Self, Malformed> {
        Self::of(reader.expect(der::tag::SEQUENCE, what)?, what)
    }

    /// A constructed value (SEQUENCE, or one with an implicit tag) as an algorithm.
    pub(crate) fn of(element: Element<'a>, what: &'static str) -> Result<Self, Malformed> {
        let mut members = element.members()?;
        let oid = members.oid(what)?;
        let parameters = members.next()?;
        members.end(what)?;
        Ok(Self { oid, parameters, element })
    }

    /// The single algorithm inside an EXPLICIT tag.
    pub(crate) fn only(explicit: &Element<'a>, what: &'static str) -> Result<Self, Malformed> {
        let mut members = explicit.members()?;
        let algorithm = Self::read(&mut members, what)?;
        members.end(what)?;
        Ok(algorithm)
    }

    /// The algorithm that is this one's parameter: the wrap of a key agreement, the digest of a mask.
    pub(crate) fn inner(&self, what: &'static str) -> Result<Self, Malformed> {
        match self.parameters {
            Some(parameters) if parameters.tag == der::tag::SEQUENCE => Self::of(parameters, what),
            _ => Err(Malformed::Expected(what)),
        }
    }

    /// Parameters absent or NULL.
    pub(crate) fn is_bare(&self) -> bool {
        self.parameters.is_none_or(|p| p.tag == der::tag::NULL && p.content.is_empty())
    }

    /// The parameters' members, when these are a SEQUENCE.
    pub(crate) fn members(&self) -> Option<Result<Reader<'a>, Malformed>> {
        self.parameters.filter(|p| p.tag == der::tag::SEQUENCE).map(|p| p.members())
    }

    pub(crate) fn name(&self) -> String {
        oid::name(self.oid)
    }
}

/// A digest that signatures may rest on: SHA-256 or better (H6).
pub(crate) fn digest(oid: &[u8]) -> Option<(MessageDigest, &'static str)> {
    match oid {
        oid::SHA256 => Some((MessageDigest::sha256(), "SHA-256")),
        oid::SHA384 => Some((MessageDigest::sha384(), "SHA-384")),
        oid::SHA512 => Some((MessageDigest::sha512(), "SHA-512")),
        _ => None,
    }
}

/// How the content is, or is to be, encrypted.
#[derive(Clone, Copy)]
pub(crate) struct ContentAlgorithm<'a> {
    pub(crate) cipher: &'static CipherRef,
    pub(crate) name: &'static str,
    pub(crate) key_length: usize,
    pub(crate) authenticated: bool,
    pub(crate) nonce: &'a [u8],
}

impl<'a> ContentAlgorithm<'a> {
    /// The cipher of authenticated-enveloped data: AES-GCM, nonce 12, tag 16 (A4, A5).
    pub(crate) fn authenticated(algorithm: &Algorithm<'a>) -> Result<Self, Refusal> {
        let (cipher, name, key_length) = match algorithm.oid {
            oid::AES128_GCM => (Cipher::aes_128_gcm(), "AES-128-GCM", 16),
            oid::AES192_GCM => (Cipher::aes_192_gcm(), "AES-192-GCM", 24),
            oid::AES256_GCM => (Cipher::aes_256_gcm(), "AES-256-GCM", 32),
            _ => return Err(Refusal::ContentCipher(algorithm.name())),
        };
        let mut parameters = algorithm.members().ok_or(Malformed::Expected("the parameters of GCM"))??;
        let nonce = parameters.expect(der::tag::OCTET_STRING, "the nonce of GCM")?.content;
        // DEFAULT 12 (RFC 5084 §3.2): whoever omits it asks for a short tag.
        let tag = match parameters.peek() {
            Some(_) => usize::from(parameters.small("the tag length of GCM")?),
            None => 12,
        };
        parameters.end("the parameters of GCM")?;
        if nonce.len() != NONCE {
            return Err(Refusal::NonceLength(nonce.len()));
        }
        if tag != TAG {
            return Err(Refusal::TagLength(tag));
        }
        Ok(Self { cipher, name, key_length, authenticated: true, nonce })
    }

    /// The cipher of enveloped data: AES-CBC. Triple DES and RC2 are refused by name.
    pub(crate) fn unauthenticated(algorithm: &Algorithm<'a>) -> Result<Self, Refusal> {
        let (cipher, name, key_length) = match algorithm.oid {
            oid::AES128_CBC => (Cipher::aes_128_cbc(), "AES-128-CBC", 16),
            oid::AES192_CBC => (Cipher::aes_192_cbc(), "AES-192-CBC", 24),
            oid::AES256_CBC => (Cipher::aes_256_cbc(), "AES-256-CBC", 32),
            _ => return Err(Refusal::ContentCipher(algorithm.name())),
        };
        let nonce = algorithm
            .parameters
            .filter(|p| p.tag == der::tag::OCTET_STRING)
            .ok_or(Malformed::Expected("the initialisation vector"))?
            .content;
        if nonce.len() != BLOCK {
            return Err(Refusal::NonceLength(nonce.len()));
        }
        Ok(Self { cipher, name, key_length, authenticated: false, nonce })
    }
}

/// Octets of the key of an AES key wrap (RFC 3394); wrap with padding and triple DES are refused (A6).
pub(crate) fn wrap_key_length(oid: &[u8]) -> Option<usize> {
    match oid {
        oid::AES128_WRAP => Some(16),
        oid::AES192_WRAP => Some(24),
        oid::AES256_WRAP => Some(32),
        _ => None,
    }
}

/// An encoded AlgorithmIdentifier.
pub(crate) fn identifier(oid: &[u8], parameters: Option<Vec<u8>>) -> Vec<u8> {
    let mut members = vec![der::tlv(der::tag::OID, oid)];
    members.extend(parameters);
    der::sequence(&members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gcm(oid: &[u8], parameters: Option<Vec<u8>>) -> Result<&'static str, Refusal> {
        let der = identifier(oid, parameters);
        let algorithm = Algorithm::read(&mut Reader::new(&der), "it").unwrap();
        ContentAlgorithm::authenticated(&algorithm).map(|found| found.name)
    }

    fn gcm_parameters(nonce: usize, tag: Option<u64>) -> Option<Vec<u8>> {
        let mut members = vec![der::octet_string(&vec![7; nonce])];
        members.extend(tag.map(der::integer));
        Some(der::sequence(&members))
    }

    #[test]
    fn only_full_nonce_and_tag_are_accepted() {
        assert_eq!(gcm(oid::AES256_GCM, gcm_parameters(12, Some(16))), Ok("AES-256-GCM"));
        assert_eq!(
            gcm(oid::AES256_GCM, gcm_parameters(12, None)),
            Err(Refusal::TagLength(12)),
            "A4: the default is 12"
        );
        for tag in [0, 4, 12, 15, 17, 100] {
            let short = gcm(oid::AES256_GCM, gcm_parameters(12, Some(tag)));
            assert_eq!(short, Err(Refusal::TagLength(usize::try_from(tag).unwrap())), "A4");
        }
        for nonce in [0, 1, 8, 16, 1024] {
            let odd = gcm(oid::AES256_GCM, gcm_parameters(nonce, Some(16)));
            assert_eq!(odd, Err(Refusal::NonceLength(nonce)), "A5");
        }
        assert!(matches!(gcm(oid::AES256_GCM, None), Err(Refusal::Malformed(_))));
        assert!(matches!(gcm(oid::AES256_GCM, gcm_parameters(12, Some(1 << 40))), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn ciphers_stay_in_their_container() {
        let iv = Some(der::octet_string(&[7; 16]));
        for (oid, name) in [
            (oid::AES256_CBC, "AES-256-CBC"),
            (oid::DES_EDE3_CBC, "triple DES"),
            (oid::AES256_WRAP, "AES-256 key wrap"),
        ] {
            assert_eq!(gcm(oid, iv.clone()), Err(Refusal::ContentCipher(name.into())), "A3, A4");
        }
        for (oid, name) in [(oid::AES256_GCM, "AES-256-GCM"), (oid::DES_EDE3_CBC, "triple DES"), (oid::RC2_CBC, "RC2")]
        {
            let der = identifier(oid, iv.clone());
            let algorithm = Algorithm::read(&mut Reader::new(&der), "it").unwrap();
            let found = ContentAlgorithm::unauthenticated(&algorithm).map(|found| found.name);
            assert_eq!(found, Err(Refusal::ContentCipher(name.into())), "A3");
        }
    }
}
