//! Malformed, weak and forged encrypted containers: H4, H5, A3–A9 and A20. What can be refused
//! without a private key is; what cannot fails in one way.

use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::{pkey::PKey, pkey::Public, rand::rand_bytes, symm};
use zeroize::Zeroizing;

use super::{cast, message, openssl_cms};
use crate::{
    certificate::Certificate,
    cms::{
        CmsError, ContentCipher, Malformed, OpenError, Refusal, RsaTransport, algorithm::identifier, attribute,
        container, encrypt, encrypt_with, identifier::issuer_serial, kdf, oid, open, reader::Element, reopen,
    },
    der,
    keys::{DecryptionKey, FileKey, KeyError, RsaPadding},
};

/// A key that counts how often it is used.
struct Counting<'a> {
    key: &'a FileKey,
    used: AtomicUsize,
}

impl<'a> Counting<'a> {
    fn new(key: &'a FileKey) -> Self {
        Self { key, used: AtomicUsize::new(0) }
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }
}

impl DecryptionKey for Counting<'_> {
    fn certificate(&self) -> &Certificate {
        self.key.certificate()
    }

    fn rsa_decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.used.fetch_add(1, Ordering::SeqCst);
        self.key.rsa_decrypt(padding, wrapped)
    }

    fn ecdh(&self, peer: &PKey<Public>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.used.fetch_add(1, Ordering::SeqCst);
        self.key.ecdh(peer)
    }
}

/// Refused with this reason, and the private key was not touched.
#[track_caller]
fn refused(cms: &[u8], expected: &Refusal) {
    for key in [&cast().rsa, &cast().p256] {
        let key = Counting::new(key);
        assert_eq!(open(cms, &[&key]).map(|_| ()), Err(OpenError::Refused(expected.clone())));
        assert_eq!(key.used(), 0, "refused before the key is used");
    }
    assert_eq!(reopen(cms, &[0; 32]).map(|_| ()), Err(OpenError::Refused(expected.clone())));
}

/// As [`refused`], for what shows only when a recipient entry is chosen.
#[track_caller]
fn refused_for(key: &FileKey, cms: &[u8], expected: &Refusal) {
    let key = Counting::new(key);
    assert_eq!(open(cms, &[&key]).map(|_| ()), Err(OpenError::Refused(expected.clone())));
    assert_eq!(key.used(), 0, "refused before the key is used");
}

fn sealed(cipher: ContentCipher) -> Vec<u8> {
    encrypt(&message(), &[cast().rsa.certificate(), cast().p256.certificate()], cipher).unwrap()
}

/// The members of the container's content.
fn members(cms: &[u8]) -> Vec<Vec<u8>> {
    let (_, reader) = container::read(cms).unwrap();
    reader.all(10, "members").unwrap().iter().map(|member| member.raw.to_vec()).collect()
}

fn rebuilt(kind: &[u8], members: &[Vec<u8>]) -> Vec<u8> {
    der::sequence(&[der::tlv(der::tag::OID, kind), der::context(0, &[der::sequence(members)])])
}

fn replaced(cms: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = cms.windows(from.len()).position(|window| window == from).expect("it is there");
    let mut out = cms.to_vec();
    out[at..at + to.len()].copy_from_slice(to);
    out
}

fn transport(to: &Certificate, algorithm: Vec<u8>, wrapped: &[u8]) -> Vec<u8> {
    der::sequence(&[der::integer(0), issuer_serial(to), algorithm, der::octet_string(wrapped)])
}

/// A GCM container under a known key with any recipients, in this order, and attributes.
fn by_hand(key: &[u8], infos: &[Vec<u8>], attributes: Option<&[Vec<u8>]>) -> Vec<u8> {
    let nonce = [7; 12];
    let associated = attributes.map(der::set_of).unwrap_or_default();
    let mut tag = [0; 16];
    let cipher = symm::Cipher::aes_256_gcm();
    let content = symm::encrypt_aead(cipher, key, Some(&nonce), &associated, &message(), &mut tag).unwrap();
    let parameters = der::sequence(&[der::octet_string(&nonce), der::integer(16)]);
    let info = der::sequence(&[
        der::tlv(der::tag::OID, oid::DATA),
        identifier(oid::AES256_GCM, Some(parameters)),
        der::context_primitive(0, &content),
    ]);
    let mut members = vec![der::integer(0), der::tlv(der::tag::SET, &infos.concat()), info];
    if attributes.is_some() {
        let mut tagged = associated;
        tagged[0] = 0xa1;
        members.push(tagged);
    }
    members.push(der::octet_string(&tag));
    rebuilt(oid::AUTH_ENVELOPED_DATA, &members)
}

fn wrapped(key: &[u8], padding: openssl::rsa::Padding) -> Vec<u8> {
    let rsa = cast().rsa.certificate().public_key().rsa().unwrap();
    let mut out = vec![0; 256];
    rsa.public_encrypt(key, &mut out, padding).unwrap();
    out
}

fn pkcs1(key: &[u8]) -> Vec<u8> {
    let wrapped = wrapped(key, openssl::rsa::Padding::PKCS1);
    transport(cast().rsa.certificate(), identifier(oid::RSA, Some(der::null())), &wrapped)
}

#[test]
fn password_and_shared_key_recipients_are_refused_by_name_a7() {
    let password = "-encrypt -aes-256-cbc -outform DER -pwri_password secret -recip rsa.crt";
    refused(&openssl_cms(password, &message()).unwrap(), &Refusal::PasswordRecipient);
    let shared =
        format!("-encrypt -aes-256-cbc -outform DER -secretkey {} -secretkeyid 01 -recip rsa.crt", "07".repeat(32));
    refused(&openssl_cms(&shared, &message()).unwrap(), &Refusal::SharedKeyRecipient);
}

#[test]
fn old_ciphers_are_refused_by_name() {
    let triple = "-encrypt -des3 -outform DER -recip rsa.crt";
    let triple = openssl_cms(triple, &message()).unwrap();
    refused(&triple, &Refusal::ContentCipher("triple DES".into()));
    let rc2 = replaced(&triple, oid::DES_EDE3_CBC, oid::RC2_CBC);
    refused(&rc2, &Refusal::ContentCipher("RC2".into()));
    let mut parts = members(&triple);
    for (cipher, name) in [
        ("1.2.840.113549.3.4", "RC4"),
        ("1.3.14.3.2.7", "DES"),
        ("1.2.840.113533.7.66.10", "CAST-128"),
        ("1.2.410.200004.1.4", "SEED"),
        ("1.2.392.200011.61.1.1.1.4", "Camellia-256"),
        ("2.16.840.1.101.3.4.1.47", "AES-256-CCM"),
        ("1.2.3.4", "1.2.3.4"),
    ] {
        let algorithm = der::sequence(&[der::oid(cipher).unwrap(), der::octet_string(&[7; 8])]);
        parts[2] = der::sequence(&[der::tlv(der::tag::OID, oid::DATA), algorithm, der::context_primitive(0, &[7; 16])]);
        let kind = if name.contains("CCM") { oid::AUTH_ENVELOPED_DATA } else { oid::ENVELOPED_DATA };
        if name.contains("CCM") {
            parts.push(der::octet_string(&[0; 16]));
        }
        refused(&rebuilt(kind, &parts), &Refusal::ContentCipher(name.into()));
        parts.truncate(3);
    }
    // The key of a sound cipher, wrapped in an old one.
    let wrapped = identifier(oid::DES_EDE3_WRAP, Some(der::null()));
    let point = cast().p256.certificate().public_key().public_key_to_der().unwrap();
    let public = Element::only(&point, "the key").unwrap().content.to_vec();
    let originator = der::context(0, &[der::context(1, &[public])]);
    let entry = der::sequence(&[issuer_serial(cast().p256.certificate()), der::octet_string(&[7; 40])]);
    let info = der::context(
        1,
        &[der::integer(3), originator, identifier(oid::ECDH_SHA256_KDF, Some(wrapped)), der::sequence(&[entry])],
    );
    refused_for(&cast().p256, &by_hand(&[7; 32], &[info], None), &Refusal::KeyManagement("triple DES key wrap".into()));
}

/// RFC 8418: an X25519 recipient with each derivation; a container made here by hand, and our own writer.
#[test]
fn x25519_recipients_are_read_with_every_derivation() {
    let to = &cast().x25519;
    let key = [7; 32];
    let info = |scheme: &[u8], point: Option<Vec<u8>>, parameters: Option<Vec<u8>>| {
        let ephemeral = PKey::generate_x25519().unwrap();
        let mut deriver = openssl::derive::Deriver::new(&ephemeral).unwrap();
        deriver.set_peer(to.certificate().public_key()).unwrap();
        let secret = deriver.derive_to_vec().unwrap();
        let wrap = identifier(oid::AES256_WRAP, None);
        let (derivation, _) = kdf::scheme(scheme, true).unwrap();
        let wrapping = derivation.derive(&secret, &kdf::shared_info(&wrap, None, 32), 32).unwrap();
        let mut wrapped = vec![0; 40];
        let wrapping = openssl::aes::AesKey::new_encrypt(&wrapping).unwrap();
        openssl::aes::wrap_key(&wrapping, None, &mut wrapped, &key).unwrap();
        let public = der::bit_string(&point.unwrap_or_else(|| ephemeral.raw_public_key().unwrap()));
        let originator = der::context(0, &[der::context(1, &[identifier(oid::X25519, parameters), public])]);
        let entry = der::sequence(&[issuer_serial(to.certificate()), der::octet_string(&wrapped)]);
        der::context(1, &[der::integer(3), originator, identifier(scheme, Some(wrap)), der::sequence(&[entry])])
    };
    for (scheme, name) in [
        (oid::ECDH_HKDF_SHA256, "X25519 HKDF SHA-256"),
        (oid::ECDH_HKDF_SHA384, "X25519 HKDF SHA-384"),
        (oid::ECDH_HKDF_SHA512, "X25519 HKDF SHA-512"),
        (oid::ECDH_SHA256_KDF, "X25519 SHA-256 KDF"),
        (oid::ECDH_SHA512_KDF, "X25519 SHA-512 KDF"),
    ] {
        let opened = open(&by_hand(&key, &[info(scheme, None, None)], None), &[to]).unwrap();
        assert_eq!((&*opened.content, opened.key_transport), (&message(), name));
    }
    for cipher in [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc] {
        let ours = encrypt(&message(), &[to.certificate(), cast().rsa.certificate()], cipher).unwrap();
        let opened = open(&ours, &[to]).unwrap();
        assert_eq!((&*opened.content, opened.key_transport), (&message(), "X25519 HKDF SHA-256"));
    }
    // A key of another length or kind is refused unused; a point of small order fails as all failures do.
    for odd in [Some(vec![9; 31]), Some(vec![9; 33]), Some(vec![])] {
        let sealed = by_hand(&key, &[info(oid::ECDH_HKDF_SHA256, odd, None)], None);
        refused_for(to, &sealed, &Refusal::OriginatorKey);
    }
    let sealed = by_hand(&key, &[info(oid::ECDH_HKDF_SHA256, None, Some(der::null()))], None);
    refused_for(to, &sealed, &Refusal::OriginatorKey);
    let small = by_hand(&key, &[info(oid::ECDH_HKDF_SHA256, Some(vec![0; 32]), None)], None);
    assert_eq!(open(&small, &[to]).map(|_| ()), Err(OpenError::Failed));
    // SHA-1 never belonged to this curve, and HKDF not to the others.
    let sha1 = replaced(
        &by_hand(&key, &[info(oid::ECDH_SHA256_KDF, None, None)], None),
        oid::ECDH_SHA256_KDF,
        &[0x2b, 0x81, 4, 1, 11, 0],
    );
    refused_for(to, &sha1, &Refusal::KeyManagement("1.3.132.1.11.0".into()));
}

#[test]
fn compressed_and_signed_data_are_not_opened() {
    let empty = rebuilt(oid::COMPRESSED_DATA, &[]);
    refused(&empty, &Refusal::Compressed);
    let digested = rebuilt(oid::SHA256, &[]);
    refused(&digested, &Refusal::NotEncrypted("2.16.840.1.101.3.4.2.1".into()));
}

#[test]
fn a_cipher_in_the_wrong_container_is_refused_a3_a4() {
    // GCM offered as CBC under the same key, and the other way.
    let gcm = sealed(ContentCipher::Aes256Gcm);
    let as_cbc = replaced(&gcm, oid::AES256_GCM, oid::AES256_CBC);
    refused(&as_cbc, &Refusal::ContentCipher("AES-256-CBC".into()));
    let mut parts = members(&gcm);
    parts.truncate(3);
    refused(&rebuilt(oid::ENVELOPED_DATA, &parts), &Refusal::ContentCipher("AES-256-GCM".into()));
    let cbc = sealed(ContentCipher::Aes256Cbc);
    let mut parts = members(&cbc);
    parts.push(der::octet_string(&[0; 16]));
    refused(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &Refusal::ContentCipher("AES-256-CBC".into()));
}

#[test]
fn short_tags_and_odd_nonces_are_refused_a4_a5() {
    let gcm = sealed(ContentCipher::Aes256Gcm);
    for length in [0, 4, 12, 15, 17] {
        let mut parts = members(&gcm);
        parts[3] = der::octet_string(&vec![0; length]);
        refused(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &Refusal::TagLength(length));
    }
    let with_parameters = |parameters: &[u8]| {
        let mut parts = members(&gcm);
        let algorithm = identifier(oid::AES256_GCM, Some(parameters.to_vec()));
        parts[2] = der::sequence(&[der::tlv(der::tag::OID, oid::DATA), algorithm, der::context_primitive(0, &[7; 32])]);
        rebuilt(oid::AUTH_ENVELOPED_DATA, &parts)
    };
    let nonce = |length| der::octet_string(&vec![7; length]);
    refused(&with_parameters(&der::sequence(&[nonce(12), der::integer(4)])), &Refusal::TagLength(4));
    refused(&with_parameters(&der::sequence(&[nonce(12)])), &Refusal::TagLength(12));
    refused(&with_parameters(&der::sequence(&[nonce(4096), der::integer(16)])), &Refusal::NonceLength(4096));
}

#[test]
fn impossible_ciphertext_is_refused() {
    let cbc = sealed(ContentCipher::Aes256Cbc);
    for length in [0, 1, 15, 17] {
        let mut parts = members(&cbc);
        let algorithm = identifier(oid::AES256_CBC, Some(der::octet_string(&[7; 16])));
        let content = der::context_primitive(0, &vec![7; length]);
        parts[2] = der::sequence(&[der::tlv(der::tag::OID, oid::DATA), algorithm, content]);
        refused(&rebuilt(oid::ENVELOPED_DATA, &parts), &Refusal::CiphertextLength);
    }
}

#[test]
fn originator_information_is_refused() {
    for (cipher, kind) in
        [(ContentCipher::Aes256Gcm, oid::AUTH_ENVELOPED_DATA), (ContentCipher::Aes256Cbc, oid::ENVELOPED_DATA)]
    {
        let mut parts = members(&sealed(cipher));
        parts.insert(1, der::context::<Vec<u8>>(0, &[]));
        refused(&rebuilt(kind, &parts), &Refusal::OriginatorInfo);
    }
}

#[test]
fn trailing_octets_and_endless_recipients_are_refused_a20() {
    let mut trailing = sealed(ContentCipher::Aes256Gcm);
    trailing.push(0);
    refused(&trailing, &Refusal::Malformed(Malformed::Trailing("the CMS object")));
    let key = [7; 32];
    let one = pkcs1(&key);
    assert!(open(&by_hand(&key, &vec![one.clone(); 1000], None), &[&cast().rsa]).is_ok());
    refused(&by_hand(&key, &vec![one; 1001], None), &Refusal::Malformed(Malformed::TooMany("recipients")));
}

#[test]
fn key_agreement_with_odd_algorithms_is_refused_a6() {
    let p256 = &cast().p256;
    let gcm = encrypt(&message(), &[p256.certificate()], ContentCipher::Aes256Gcm).unwrap();
    let padded = replaced(&gcm, oid::AES256_WRAP, oid::AES256_WRAP_PAD);
    refused_for(p256, &padded, &Refusal::KeyManagement("AES key wrap with padding".into()));
    // A wrap weaker than the key that it wraps.
    let weak = replaced(&gcm, oid::AES256_WRAP, oid::AES128_WRAP);
    refused_for(p256, &weak, &Refusal::KeyManagement("AES-128 key wrap".into()));
    let scheme = replaced(&gcm, oid::ECDH_SHA256_KDF, &[0x2b, 0x81, 4, 1, 11, 9]);
    refused_for(p256, &scheme, &Refusal::KeyManagement("1.3.132.1.11.9".into()));
}

#[test]
fn key_agreement_with_an_odd_originator_is_refused_a7() {
    let p256 = &cast().p256;
    let entry = |wrapped: usize| {
        der::sequence(&[der::sequence(&[issuer_serial(p256.certificate()), der::octet_string(&vec![7; wrapped])])])
    };
    let info = |originator: Vec<u8>, wrapped| {
        let algorithm = identifier(oid::ECDH_SHA256_KDF, Some(identifier(oid::AES256_WRAP, None)));
        by_hand(&[7; 32], &[der::context(1, &[der::integer(3), originator, algorithm, entry(wrapped)])], None)
    };
    let point = p256.certificate().public_key().ec_key().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    let point = point.public_key().to_bytes(point.group(), form, &mut context).unwrap();
    let ec = |curve: &[u8]| identifier(oid::EC_PUBLIC_KEY, Some(der::tlv(der::tag::OID, curve)));
    let originator =
        |algorithm: Vec<u8>, point: &[u8]| der::context(0, &[der::context(1, &[algorithm, der::bit_string(point)])]);

    for length in [0, 8, 24, 32, 39, 41, 48] {
        let odd = info(originator(ec(oid::P256), &point), length);
        refused_for(p256, &odd, &Refusal::WrappedKeyLength(length));
    }
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let static_key = der::context(0, &[issuer_serial(p256.certificate())]);
    for odd in [
        originator(ec(oid::P256), &off_curve),
        originator(ec(oid::P256), &point[..33]),
        originator(ec(oid::P256), &[0]),
        originator(ec(oid::P256), &[]),
        originator(ec(oid::P384), &point),
        originator(identifier(oid::RSA, None), &point),
        static_key,
    ] {
        refused_for(p256, &info(odd, 40), &Refusal::OriginatorKey);
    }
    // Sound in form, for a key that is not theirs: an attempt, and it fails as all do.
    let stranger = info(originator(identifier(oid::EC_PUBLIC_KEY, Some(der::null())), &point), 40);
    assert_eq!(open(&stranger, &[p256]).map(|_| ()), Err(OpenError::Failed));
}

#[test]
fn key_transport_with_odd_parameters_is_refused_a7() {
    let rsa = &cast().rsa;
    let sha256 = identifier(oid::SHA256, None);
    let mask = |hash: &[u8]| der::context(1, &[identifier(oid::MGF1, Some(identifier(hash, None)))]);
    let label = |octets: &[u8]| der::context(2, &[identifier(oid::P_SPECIFIED, Some(der::octet_string(octets)))]);
    let hash = der::context(0, &[sha256]);
    let named = |text: &str| Refusal::KeyManagement(text.into());
    let cases = [
        (Some(der::sequence(std::slice::from_ref(&hash))), named("RSA-OAEP with SHA-256 and a mask of SHA-1")),
        (Some(der::sequence(&[mask(oid::SHA256)])), named("RSA-OAEP with SHA-1 and a mask of SHA-256")),
        (Some(der::sequence(&[hash.clone(), mask(oid::SHA256), label(b"x")])), named("RSA-OAEP with a label")),
        (None, Refusal::Malformed(Malformed::Expected("the parameters of RSA-OAEP"))),
        (Some(der::null()), Refusal::Malformed(Malformed::Expected("the parameters of RSA-OAEP"))),
    ];
    for (parameters, expected) in cases {
        let info = transport(rsa.certificate(), identifier(oid::RSA_OAEP, parameters), &[7; 256]);
        refused_for(rsa, &by_hand(&[7; 32], &[info], None), &expected);
    }
    // An empty label is the default, written out.
    let empty = der::sequence(&[hash, mask(oid::SHA256), label(b"")]);
    let info = transport(rsa.certificate(), identifier(oid::RSA_OAEP, Some(empty)), &[7; 256]);
    assert_eq!(open(&by_hand(&[7; 32], &[info], None), &[rsa]).map(|_| ()), Err(OpenError::Failed));
    // Key transport to a key that only agrees.
    let info = transport(cast().p256.certificate(), identifier(oid::RSA, None), &[7; 256]);
    refused_for(&cast().p256, &by_hand(&[7; 32], &[info], None), &Refusal::RecipientKind);
}

#[test]
fn every_failure_after_the_key_looks_the_same_h4_a9() {
    let rsa = &cast().rsa;
    let key = [7; 32];
    let mut noise = vec![0; 256];
    rand_bytes(&mut noise).unwrap();
    noise[0] = 0;
    let oaep = |wrapped: &[u8]| {
        transport(rsa.certificate(), identifier(oid::RSA_OAEP, Some(attribute::oaep_sha256())), wrapped)
    };
    let bare = |wrapped: &[u8]| transport(rsa.certificate(), identifier(oid::RSA, Some(der::null())), wrapped);
    let cases = [
        ("broken v1.5", bare(&noise)),
        ("v1.5 of the wrong size", bare(&noise[..100])),
        ("v1.5 larger than the modulus", bare(&[0xff; 256])),
        ("v1.5 empty", bare(&[])),
        ("v1.5 around a short key", pkcs1(&key[..16])),
        ("v1.5 around a long key", pkcs1(&[7; 61])),
        ("v1.5 around an empty key", pkcs1(&[])),
        ("v1.5 around another key", pkcs1(&[8; 32])),
        ("broken OAEP", oaep(&noise)),
        ("OAEP that is v1.5", oaep(&wrapped(&key, openssl::rsa::Padding::PKCS1))),
    ];
    for (what, info) in cases {
        let counting = Counting::new(rsa);
        let failed = open(&by_hand(&key, &[info], None), &[&counting]).map(|_| ());
        assert_eq!(failed, Err(OpenError::Failed), "{what}");
        assert_eq!(failed.unwrap_err().to_string(), "the message could not be decrypted", "{what}");
        assert_eq!(counting.used(), 1, "{what}");
    }
    // A wrong tag, under the right key.
    let sound = by_hand(&key, &[pkcs1(&key)], None);
    assert!(open(&sound, &[rsa]).is_ok());
    let mut parts = members(&sound);
    parts[3][2] ^= 1;
    assert_eq!(open(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &[rsa]).map(|_| ()), Err(OpenError::Failed));
}

#[test]
fn there_is_one_attempt_and_never_a_second_a9() {
    let cast = cast();
    let key = [7; 32];
    let broken = transport(cast.rsa.certificate(), identifier(oid::RSA, Some(der::null())), &[1; 256]);
    // Two entries name our certificate, the good one second: the first is tried, and that was all.
    let good = pkcs1(&key);
    let attempt = |infos: &[Vec<u8>]| {
        let (rsa, p256) = (Counting::new(&cast.rsa), Counting::new(&cast.p256));
        let result = open(&by_hand(&key, infos, None), &[&rsa, &p256]).map(|_| ());
        (result, rsa.used(), p256.used())
    };
    assert_eq!(attempt(&[broken.clone(), good.clone()]), (Err(OpenError::Failed), 1, 0));
    assert_eq!(attempt(&[good, broken.clone()]), (Ok(()), 1, 0));

    // Two of our keys are named: the caller's order decides, and a failure does not move on.
    let mut parts = members(&encrypt(&message(), &[cast.p256.certificate()], ContentCipher::Aes256Gcm).unwrap());
    let agreement = Element::only(&parts[1], "the recipients").unwrap().content.to_vec();
    parts[1] = der::set_of(&[broken, agreement]);
    let mixed = rebuilt(oid::AUTH_ENVELOPED_DATA, &parts);
    let (rsa, p256) = (Counting::new(&cast.rsa), Counting::new(&cast.p256));
    assert_eq!(open(&mixed, &[&rsa, &p256]).map(|_| ()), Err(OpenError::Failed));
    assert_eq!((rsa.used(), p256.used()), (1, 0));
    assert!(open(&mixed, &[&p256, &rsa]).is_ok());
    assert_eq!((rsa.used(), p256.used()), (1, 1));
}

#[test]
fn a_message_for_others_uses_no_key_h4() {
    let cast = cast();
    let others = encrypt(&message(), &[cast.other_rsa.certificate()], ContentCipher::Aes256Gcm).unwrap();
    let (rsa, p256) = (Counting::new(&cast.rsa), Counting::new(&cast.p256));
    assert_eq!(open(&others, &[&rsa, &p256]).map(|_| ()), Err(OpenError::NotForUs));
    assert_eq!(open(&others, &[]).map(|_| ()), Err(OpenError::NotForUs));
    assert_eq!((rsa.used(), p256.used()), (0, 0));
}

#[test]
fn authenticated_attributes_are_part_of_the_tag() {
    let rsa = &cast().rsa;
    let key = [7; 32];
    let attribute = |oid: &[u8], value: Vec<u8>| der::sequence(&[der::tlv(der::tag::OID, oid), der::set_of(&[value])]);
    let content_type = |oid: &[u8]| attribute(oid::CONTENT_TYPE, der::tlv(der::tag::OID, oid));
    let time = attribute(oid::SIGNING_TIME, der::time(super::at()).unwrap());
    let sound = by_hand(&key, &[pkcs1(&key)], Some(&[content_type(oid::DATA), time.clone()]));
    assert_eq!(*open(&sound, &[rsa]).unwrap().content, message());
    // In BER, with an indefinite length: the same octets enter the tag.
    let mut parts = members(&sound);
    let content = parts[3][2..].to_vec();
    parts[3] = [&[0xa1, 0x80][..], &content, &[0, 0]].concat();
    assert_eq!(*open(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &[rsa]).unwrap().content, message());
    // Changed by one bit, or taken away.
    let mut parts = members(&sound);
    let last = parts[3].len() - 2;
    parts[3][last] ^= 1;
    assert_eq!(open(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &[rsa]).map(|_| ()), Err(OpenError::Failed));
    let mut parts = members(&sound);
    parts.remove(3);
    assert_eq!(open(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &[rsa]).map(|_| ()), Err(OpenError::Failed));
    // Unauthenticated attributes say nothing and are passed over.
    let mut parts = members(&sound);
    parts.push(der::context(2, std::slice::from_ref(&time)));
    assert!(open(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &[rsa]).is_ok());
    // Attributes that contradict the container.
    for attributes in
        [vec![], vec![content_type(oid::SIGNED_DATA)], vec![content_type(oid::DATA), content_type(oid::DATA)]]
    {
        let odd = by_hand(&key, &[pkcs1(&key)], Some(&attributes));
        refused(&odd, &Refusal::AuthenticatedAttributes);
    }
}

#[test]
fn openssl_authenticates_the_same_octets() {
    // Of the releases in use only 3.0.22 and 4.0 read attributes as RFC 5083 has them.
    let version = std::process::Command::new("openssl").arg("version").output().unwrap().stdout;
    if ![&b"OpenSSL 3.0.22 "[..], b"OpenSSL 4."].iter().any(|known| version.starts_with(known)) {
        return;
    }
    let key = [7; 32];
    let one = |oid: &[u8], value: Vec<u8>| der::sequence(&[der::tlv(der::tag::OID, oid), der::set_of(&[value])]);
    let attributes = [
        one(oid::CONTENT_TYPE, der::tlv(der::tag::OID, oid::DATA)),
        one(oid::SIGNING_TIME, der::time(super::at()).unwrap()),
    ];
    let sound = by_hand(&key, &[pkcs1(&key)], Some(&attributes));
    let arguments = "-decrypt -inform DER -recip rsa.crt -inkey rsa.key";
    assert_eq!(openssl_cms(arguments, &sound), Ok(message()));
    let mut parts = members(&sound);
    parts.remove(3);
    assert!(openssl_cms(arguments, &rebuilt(oid::AUTH_ENVELOPED_DATA, &parts)).is_err());
}

#[test]
fn encrypted_content_other_than_data_is_refused() {
    let mut parts = members(&sealed(ContentCipher::Aes256Gcm));
    parts[2] = replaced(&parts[2], oid::DATA, oid::SIGNED_DATA);
    refused(&rebuilt(oid::AUTH_ENVELOPED_DATA, &parts), &Refusal::ContentType("signed data".into()));
}

#[test]
fn the_content_key_opens_again_and_another_does_not() {
    let sealed = sealed(ContentCipher::Aes256Gcm);
    let opened = open(&sealed, &[&cast().p256]).unwrap();
    assert_eq!(*reopen(&sealed, &opened.content_key).unwrap(), message());
    assert_eq!(reopen(&sealed, &[0; 32]).map(|_| ()), Err(OpenError::Failed));
    assert_eq!(reopen(&sealed, &[0; 16]).map(|_| ()), Err(OpenError::Failed));
    let shown = format!("{opened:?}");
    assert!(shown.contains("AES-256-GCM") && !shown.contains("content_key"), "{shown}");
}

#[test]
fn what_cannot_be_encrypted_is_refused() {
    let cast = cast();
    let gcm = ContentCipher::Aes256Gcm;
    assert_eq!(encrypt(b"", &[], gcm), Err(CmsError::NoRecipient));
    assert_eq!(encrypt(b"", &[cast.rsa.certificate(); 1001], gcm), Err(CmsError::TooManyRecipients));
    let pkcs1 = encrypt_with(b"", &[cast.rsa.certificate()], gcm, RsaTransport::Pkcs1);
    assert_eq!(pkcs1, Err(CmsError::KeyTransport));
    let ed25519 = encrypt(b"", &[cast.rsa.certificate(), cast.ed25519.certificate()], gcm);
    assert!(matches!(ed25519, Err(CmsError::RecipientKey { .. })), "nobody is dropped silently");
}
