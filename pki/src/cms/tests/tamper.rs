//! Sweeps and noise: no change of a single bit goes unnoticed where it matters, and no octets at
//! all make the readers panic.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::{at, cast};
use crate::cms::{ContentCipher, RsaTransport, encrypt, encrypt_with, kind, open, reopen, sign, sign_detached, verify};

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nBonjour\r\n";

fn flipped(original: &[u8], bit: usize) -> Vec<u8> {
    let mut out = original.to_vec();
    out[bit / 8] ^= 1 << (bit % 8);
    out
}

#[test]
fn every_flipped_bit_of_a_gcm_message_is_refused_or_changes_nothing() {
    let key = &cast().p256;
    let sealed = encrypt(CONTENT, &[key.certificate()], ContentCipher::Aes256Gcm).unwrap();
    let mut unnoticed = 0;
    for bit in 0..sealed.len() * 8 {
        if let Ok(opened) = open(&flipped(&sealed, bit), &[key]) {
            assert_eq!(*opened.content, CONTENT, "bit {bit}");
            assert!(opened.authenticated, "bit {bit}");
            // Letter case of the issuer's name in our entry does not matter; other bits are counted.
            unnoticed += usize::from(!(bit % 8 == 5 && sealed[bit / 8].is_ascii_alphabetic()));
        }
    }
    assert_eq!(unnoticed, 14, "only the two version numbers say nothing");
}

#[test]
fn a_flipped_bit_in_each_octet_of_an_rsa_message_is_refused_or_changes_nothing() {
    let key = &cast().rsa;
    let sealed = encrypt(CONTENT, &[key.certificate()], ContentCipher::Aes256Gcm).unwrap();
    for octet in 0..sealed.len() {
        if let Ok(opened) = open(&flipped(&sealed, octet * 8 + octet % 8), &[key]) {
            assert_eq!(*opened.content, CONTENT, "octet {octet}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_signed_message_is_refused_or_changes_nothing() {
    let key = &cast().p256;
    let signed = sign(CONTENT, key, at(), &[]).unwrap();
    let original = verify(&signed, None, &[]).unwrap();
    for bit in 0..signed.len() * 8 {
        if let Ok(verified) = verify(&flipped(&signed, bit), None, &[]) {
            assert_eq!(verified.content, original.content, "bit {bit}");
            assert_eq!(verified.signer, original.signer, "bit {bit}");
            assert_eq!(verified.attributes, original.attributes, "bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let key = &cast().p256;
    let sealed = encrypt(CONTENT, &[key.certificate()], ContentCipher::Aes256Gcm).unwrap();
    let signed = sign(CONTENT, key, at(), &[]).unwrap();
    for end in 0..sealed.len() {
        assert!(open(&sealed[..end], &[key]).is_err(), "{end}");
    }
    for end in 0..signed.len() {
        assert!(verify(&signed[..end], None, &[]).is_err(), "{end}");
    }
}

fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let cast = cast();
        let to = [cast.rsa.certificate(), cast.p256.certificate()];
        vec![
            encrypt(CONTENT, &to, ContentCipher::Aes256Gcm).unwrap(),
            encrypt_with(CONTENT, &to, ContentCipher::Aes256Cbc, RsaTransport::Pkcs1).unwrap(),
            sign(CONTENT, &cast.p256, at(), &[]).unwrap(),
            sign_detached(CONTENT, &cast.ed25519, at(), &[]).unwrap(),
        ]
    })
}

fn read_all(octets: &[u8]) {
    let cast = cast();
    let _ = kind(octets);
    let _ = open(octets, &[&cast.p256, &cast.rsa]);
    let _ = reopen(octets, &[7; 32]);
    let _ = verify(octets, None, &[]);
    let _ = verify(octets, Some(CONTENT), &[cast.p256.certificate().clone()]);
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&octets);
    }

    #[test]
    fn mutated_messages_never_panic(
        which in 0usize..4,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        let mut octets = samples()[which].clone();
        for (index, value, how) in edits {
            let at = index.index(octets.len() + 1);
            match how {
                0 => octets.insert(at, value),
                1 => octets.truncate(at),
                2 => drop(octets.splice(at.saturating_sub(1)..at, [])),
                _ => drop(octets.splice(at.saturating_sub(1)..at, [value])),
            }
        }
        read_all(&octets);
    }

    #[test]
    fn any_content_comes_back(content in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = &cast().p256;
        let sealed = encrypt(&content, &[key.certificate()], ContentCipher::Aes256Gcm).unwrap();
        let opened = open(&sealed, &[key]).unwrap();
        prop_assert_eq!(&*opened.content, &content);
        let signed = sign(&content, key, at(), &[]).unwrap();
        let verified = verify(&signed, None, &[]).unwrap();
        prop_assert_eq!(&*verified.content, &content[..]);
    }
}
