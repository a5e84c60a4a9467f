//! Every operation of a file key, checked with OpenSSL.

use std::{process::Command, sync::LazyLock};

use openssl::{
    encrypt::Encrypter,
    hash::MessageDigest,
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Verifier},
    symm::Cipher,
};

use super::*;
use crate::{
    issue::{Authority, CertificateRequest, Issued, KeyAlgorithm, OrganisationUse},
    path::tests::{PERSONS, SERVERS, certificate, organisation, request},
};

fn issued(authority: &Authority, key: KeyAlgorithm) -> Issued {
    let request = CertificateRequest { key, ..request(organisation(OrganisationUse::Confidentiality)) };
    authority.issue(&request).unwrap()
}

fn file_key(issued: &Issued) -> FileKey {
    FileKey::from_pem(&issued.key_pem().unwrap(), issued.presented_pem().as_bytes(), None).unwrap()
}

static RSA: LazyLock<Issued> = LazyLock::new(|| issued(&SERVERS.issuing, KeyAlgorithm::Rsa2048));
static CURVE: LazyLock<Issued> = LazyLock::new(|| issued(&SERVERS.issuing, KeyAlgorithm::P256));

#[test]
fn pem_carries_the_chain_and_may_be_encrypted() {
    let key = file_key(&RSA);
    assert_eq!(FileKey::certificate(&key), &certificate(&RSA));
    assert_eq!(FileKey::chain(&key).len(), 1);
    let sealed = RSA.key().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
    let pem = RSA.certificate_pem();
    assert!(FileKey::from_pem(&sealed, pem.as_bytes(), Some(b"secret")).is_ok());
    for wrong in [None, Some(&b"autre"[..])] {
        assert_eq!(FileKey::from_pem(&sealed, pem.as_bytes(), wrong).unwrap_err(), KeyError::UnreadableKey);
    }
    let other = CURVE.certificate_pem();
    assert_eq!(FileKey::from_pem(&RSA.key_pem().unwrap(), other.as_bytes(), None).unwrap_err(), KeyError::Mismatch);
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn pkcs12_goes_both_ways() {
    let key = file_key(&CURVE);
    let file = key.to_pkcs12("motdepasse", &[SERVERS.intermediate(), SERVERS.anchor()]).unwrap();
    let back = FileKey::from_pkcs12(&file, "motdepasse").unwrap();
    assert_eq!(FileKey::certificate(&back), FileKey::certificate(&key));
    assert_eq!(FileKey::chain(&back).len(), 2);
    assert_eq!(FileKey::from_pkcs12(&file, "autre").unwrap_err(), KeyError::UnreadablePkcs12);
    assert_eq!(FileKey::from_pkcs12(b"rien", "").unwrap_err(), KeyError::UnreadablePkcs12);
    // And the command line reads it too, with its default settings.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carte.p12");
    std::fs::write(&path, &file).unwrap();
    let arguments = ["pkcs12", "-noout", "-passin", "pass:motdepasse", "-in"];
    assert!(Command::new("openssl").args(arguments).arg(&path).status().unwrap().success());
}

/// What the MAC covers cannot be changed, even where nothing is encrypted; without a MAC nothing is taken.
#[test]
fn a_pkcs12_file_counts_only_under_its_mac() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("key"), CURVE.key_pem().unwrap()).unwrap();
    std::fs::write(path("certificate"), CURVE.certificate_pem()).unwrap();
    let export = |more: &[&str]| {
        let (key, certificate, out) = (path("key"), path("certificate"), path("out"));
        let files = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-out", &out, "-name", "carte-exemple"];
        let clear = ["-keypbe", "NONE", "-certpbe", "NONE", "-passout", "pass:motdepasse"];
        assert!(Command::new("openssl").args(files).args(clear).args(more).status().unwrap().success());
        std::fs::read(out).unwrap()
    };
    let sound = export(&[]);
    assert!(FileKey::from_pkcs12(&sound, "motdepasse").is_ok());
    let utf16: Vec<u8> = "carte-exemple".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let at = sound.windows(utf16.len()).position(|window| window == utf16).unwrap();
    let mut changed = sound;
    changed[at + 1] ^= 1;
    assert_eq!(FileKey::from_pkcs12(&changed, "motdepasse").unwrap_err(), KeyError::UnreadablePkcs12);
    assert_eq!(FileKey::from_pkcs12(&export(&["-nomac"]), "motdepasse").unwrap_err(), KeyError::NoMac);
}

#[test]
fn signatures_verify_with_openssl() {
    let keys = [file_key(&RSA), file_key(&CURVE)];
    let mut done = 0;
    for key in &keys {
        let schemes = SigningKey::schemes(key);
        for scheme in schemes {
            let signature = key.sign(*scheme, b"message").unwrap();
            let public = FileKey::certificate(key).public_key();
            let mut verifier = Verifier::new(MessageDigest::sha256(), public).unwrap();
            if *scheme == SignatureScheme::RsaPssSha256 {
                verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                verifier.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).unwrap();
            }
            assert!(verifier.verify_oneshot(&signature, b"message").unwrap(), "{scheme:?}");
            done += 1;
        }
        let foreign = [SignatureScheme::Ed25519, SignatureScheme::EcdsaSha384];
        for scheme in foreign {
            assert_eq!(key.sign(scheme, b"message"), Err(KeyError::Unsupported), "{scheme:?}");
        }
    }
    assert_eq!(done, 3);
}

#[test]
fn edwards_keys_sign() {
    let key = PKey::generate_ed25519().unwrap();
    let (_, der) = PERSONS.issuing.certify(&request(organisation(OrganisationUse::Sign)), &key).unwrap();
    let certificate = Certificate::from_der(&der).unwrap();
    let key = FileKey::new(key, certificate, vec![]).unwrap();
    let signature = key.sign(SignatureScheme::Ed25519, b"message").unwrap();
    let mut verifier = Verifier::new_without_digest(FileKey::certificate(&key).public_key()).unwrap();
    assert!(verifier.verify_oneshot(&signature, b"message").unwrap());
    assert_eq!(key.rsa_decrypt(RsaPadding::Pkcs1, &[0; 256]).unwrap_err(), KeyError::Unsupported);
}

#[test]
fn rsa_unwraps_what_openssl_wrapped() {
    let key = file_key(&RSA);
    let secret = [7u8; 32];
    for (padding, digest) in [
        (RsaPadding::Pkcs1, None),
        (RsaPadding::OaepSha256, Some(MessageDigest::sha256())),
        (RsaPadding::OaepSha1, Some(MessageDigest::sha1())),
    ] {
        let mut encrypter = Encrypter::new(FileKey::certificate(&key).public_key()).unwrap();
        match digest {
            None => encrypter.set_rsa_padding(Padding::PKCS1).unwrap(),
            Some(digest) => {
                encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
                encrypter.set_rsa_oaep_md(digest).unwrap();
                encrypter.set_rsa_mgf1_md(digest).unwrap();
            }
        }
        let mut wrapped = vec![0; 256];
        let length = encrypter.encrypt(&secret, &mut wrapped).unwrap();
        assert_eq!(length, 256);
        assert_eq!(*key.rsa_decrypt(padding, &wrapped).unwrap(), secret, "{padding:?}");
        // A damaged value never gives the secret; PKCS#1 may give noise instead of an error (H4).
        wrapped[100] ^= 1;
        let damaged = key.rsa_decrypt(padding, &wrapped);
        assert!(damaged.as_ref().map_or(true, |value| **value != secret), "{padding:?}");
        assert!(padding == RsaPadding::Pkcs1 || damaged.is_err());
    }
    let stranger = FileKey::new(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), certificate(&RSA), vec![]);
    assert_eq!(stranger.unwrap_err(), KeyError::Mismatch);
}

#[test]
fn both_sides_agree_on_a_secret() {
    let (ours, theirs) = (file_key(&CURVE), file_key(&issued(&SERVERS.issuing, KeyAlgorithm::P256)));
    let here = ours.ecdh(FileKey::certificate(&theirs).public_key()).unwrap();
    let there = theirs.ecdh(FileKey::certificate(&ours).public_key()).unwrap();
    assert_eq!((here.len(), &here), (32, &there));
    assert_eq!(ours.ecdh(certificate(&RSA).public_key()).unwrap_err(), KeyError::Unsupported);
    assert_eq!(file_key(&RSA).ecdh(certificate(&CURVE).public_key()).unwrap_err(), KeyError::Unsupported);
}
