//! Both directions with `openssl cms`: what one writes, the other reads, octet for octet.

use super::{Only, at, cast, message, openssl_cms};
use crate::{
    cms::{
        Attribute, ContainerKind, ContentCipher, RsaTransport, encrypt, encrypt_with, kind, open, reopen, sign,
        sign_detached, verify,
    },
    der,
    keys::{FileKey, SignatureScheme, SigningKey},
};

#[test]
fn openssl_verifies_what_we_sign() {
    let cast = cast();
    let pss = Only(&cast.rsa, [SignatureScheme::RsaPssSha256]);
    let keys: [(&str, &dyn SigningKey); 4] =
        [("rsa", &cast.rsa), ("rsa", &pss), ("p256", &cast.p256), ("p384", &cast.p384)];
    let extra = Attribute::single("1.2.276.0.76.4.173", der::utf8("Dr DURAND-TEST"));
    for (name, key) in keys {
        let signed = sign(&message(), key, at(), std::slice::from_ref(&extra)).unwrap();
        assert_eq!(kind(&signed), Ok(ContainerKind::Signed));
        let trust = format!("-verify -inform DER -CAfile {name}.crt -purpose any");
        assert_eq!(openssl_cms(&trust, &signed), Ok(message()), "{name} {:?}", key.schemes());

        let detached = sign_detached(&message(), key, at(), &[]).unwrap();
        let content = cast.path("content");
        std::fs::write(&content, message()).unwrap();
        let apart = format!("{trust} -content {}", content.display());
        assert_eq!(openssl_cms(&apart, &detached), Ok(message()), "{name} detached");
    }
}

#[test]
fn we_verify_what_openssl_signs() {
    let cast = cast();
    let cases: [(&FileKey, &str, &str, &str, &str); 13] = [
        (&cast.rsa, "rsa", "", "RSA PKCS#1 v1.5", "SHA-256"),
        (&cast.rsa, "rsa", "-md sha384 -stream", "RSA PKCS#1 v1.5", "SHA-384"),
        (&cast.rsa, "rsa", "-md sha512 -keyid", "RSA PKCS#1 v1.5", "SHA-512"),
        (&cast.rsa, "rsa", "-keyopt rsa_padding_mode:pss", "RSA-PSS", "SHA-256"),
        (&cast.rsa, "rsa", "-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20", "RSA-PSS", "SHA-256"),
        (&cast.rsa, "rsa", "-md sha384 -keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha384", "RSA-PSS", "SHA-384"),
        (&cast.rsa, "rsa", "-cades", "RSA PKCS#1 v1.5", "SHA-256"),
        (&cast.rsa, "rsa", "-cades -md sha512", "RSA PKCS#1 v1.5", "SHA-512"),
        (&cast.p256, "p256", "-stream", "ECDSA", "SHA-256"),
        (&cast.p256, "p256", "-keyid -cades", "ECDSA", "SHA-256"),
        (&cast.p384, "p384", "-md sha384", "ECDSA", "SHA-384"),
        (&cast.p384, "p384", "-md sha512 -nosmimecap", "ECDSA", "SHA-512"),
        (&cast.rsa, "rsa", "-certfile p256.crt", "RSA PKCS#1 v1.5", "SHA-256"),
    ];
    for (key, name, options, scheme, digest) in cases {
        let signer = format!("-sign -outform DER -signer {name}.crt -inkey {name}.key {options}");
        let opaque = openssl_cms(&format!("{signer} -nodetach"), &message()).unwrap();
        let verified = verify(&opaque, None, &[]).unwrap_or_else(|error| panic!("{name} {options}: {error}"));
        assert_eq!(verified.content, message());
        assert_eq!(verified.signer, *key.certificate());
        assert_eq!((verified.scheme, verified.digest), (scheme, digest), "{options}");
        assert!(verified.signing_time.is_some());

        // In DER the tool embeds what it streams, detached or not.
        let detached = openssl_cms(&signer.replace("-stream", ""), &message()).unwrap();
        assert_eq!(verify(&detached, Some(&message()), &[]).unwrap().content, message());
    }
}

#[test]
fn a_signer_that_the_message_lacks_is_found_among_the_known() {
    let cast = cast();
    for id in ["", "-keyid"] {
        let arguments = format!("-sign -nodetach -nocerts {id} -outform DER -signer p256.crt -inkey p256.key");
        let signed = openssl_cms(&arguments, &message()).unwrap();
        let known = [cast.rsa.certificate().clone(), cast.p256.certificate().clone()];
        let verified = verify(&signed, None, &known).unwrap();
        assert_eq!(verified.signer, known[1]);
        assert!(verified.certificates.is_empty());
    }
}

#[test]
fn we_verify_what_we_sign() {
    let cast = cast();
    let extra = Attribute { oid: "1.2.276.0.76.4.173".into(), values: vec![der::utf8("b"), der::utf8("a")] };
    for key in [&cast.rsa, &cast.p256, &cast.p384, &cast.ed25519] {
        let signed = sign(&message(), key, at(), std::slice::from_ref(&extra)).unwrap();
        let verified = verify(&signed, None, &[]).unwrap();
        assert_eq!(verified.content, message());
        assert!(matches!(verified.content, std::borrow::Cow::Borrowed(_)), "one piece is not copied");
        assert_eq!(verified.signing_time, Some(at()));
        assert_eq!(verified.certificates, [key.certificate().der()], "the signer's certificate and no other");
        assert_eq!(verified.attribute(&extra.oid).unwrap().values, [der::utf8("a"), der::utf8("b")]);
        assert!(verified.attribute("1.2.840.113549.1.9.16.2.47").is_some(), "SigningCertificateV2");
        assert!(verified.attribute("1.2.840.113549.1.9.15").is_some(), "sMIMECapabilities");
        let detached = sign_detached(&message(), key, at(), &[]).unwrap();
        assert_eq!(verify(&detached, Some(&message()), &[]).unwrap().content, message());
    }
}

#[test]
fn openssl_opens_what_we_encrypt() {
    let cast = cast();
    let to = [cast.rsa.certificate(), cast.p256.certificate(), cast.p384.certificate()];
    let mut sealed = vec![
        (encrypt(&message(), &to, ContentCipher::Aes256Gcm).unwrap(), ContainerKind::AuthEnveloped),
        (encrypt(&message(), &to, ContentCipher::Aes256Cbc).unwrap(), ContainerKind::Enveloped),
    ];
    for recipient in &to {
        for cipher in [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc] {
            let one = encrypt(&message(), &[recipient], cipher).unwrap();
            let expected = if cipher == ContentCipher::Aes256Gcm {
                ContainerKind::AuthEnveloped
            } else {
                ContainerKind::Enveloped
            };
            sealed.push((one, expected));
        }
    }
    sealed.push((
        encrypt_with(&message(), &to, ContentCipher::Aes256Cbc, RsaTransport::Pkcs1).unwrap(),
        ContainerKind::Enveloped,
    ));
    let mut opened = 0;
    for (sealed, expected) in &sealed {
        assert_eq!(kind(sealed), Ok(expected.clone()));
        for name in ["rsa", "p256", "p384"] {
            let arguments = format!("-decrypt -inform DER -recip {name}.crt -inkey {name}.key");
            if let Ok(content) = openssl_cms(&arguments, sealed) {
                assert_eq!(content, message());
                opened += 1;
            }
        }
    }
    assert_eq!(opened, 3 * 3 + 3 * 2, "each recipient opens what is for it and nothing else");
}

#[test]
fn we_open_what_openssl_encrypts() {
    let cast = cast();
    let cases: [(&FileKey, &str, &str, &str, &str); 14] = [
        (&cast.rsa, "rsa", "-aes-256-cbc", "AES-256-CBC", "RSA PKCS#1 v1.5"),
        (&cast.rsa, "rsa", "-aes-128-cbc -stream", "AES-128-CBC", "RSA PKCS#1 v1.5"),
        (&cast.rsa, "rsa", "-aes-256-gcm -keyid", "AES-256-GCM", "RSA PKCS#1 v1.5"),
        (&cast.rsa, "rsa", "-aes-256-gcm -keyopt rsa_padding_mode:oaep", "AES-256-GCM", "RSA-OAEP SHA-1"),
        (
            &cast.rsa,
            "rsa",
            "-aes-256-gcm -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256",
            "AES-256-GCM",
            "RSA-OAEP SHA-256",
        ),
        (
            &cast.rsa,
            "rsa",
            "-aes-192-gcm -stream -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256",
            "AES-192-GCM",
            "RSA-OAEP SHA-256",
        ),
        (&cast.p256, "p256", "-aes-256-gcm", "AES-256-GCM", "ECDH-ES SHA-1 KDF"),
        (&cast.p256, "p256", "-aes-256-gcm -stream -keyopt ecdh_kdf_md:sha256", "AES-256-GCM", "ECDH-ES SHA-256 KDF"),
        (&cast.p256, "p256", "-aes-256-cbc -keyid -keyopt ecdh_kdf_md:sha256", "AES-256-CBC", "ECDH-ES SHA-256 KDF"),
        (&cast.p256, "p256", "-aes-128-gcm -keyopt ecdh_kdf_md:sha512", "AES-128-GCM", "ECDH-ES SHA-512 KDF"),
        (&cast.p384, "p384", "-aes-256-gcm -keyopt ecdh_kdf_md:sha384", "AES-256-GCM", "ECDH-ES SHA-384 KDF"),
        (&cast.p384, "p384", "-aes-256-cbc -stream", "AES-256-CBC", "ECDH-ES SHA-1 KDF"),
        (&cast.p384, "p384", "-aes-192-cbc", "AES-192-CBC", "ECDH-ES SHA-1 KDF"),
        (&cast.rsa, "rsa", "-aes-256-gcm -recip p256.crt -recip other.crt", "AES-256-GCM", "RSA PKCS#1 v1.5"),
    ];
    for (key, name, options, cipher, transport) in cases {
        // Options of the key belong to the recipient named before them.
        let (cipher_option, rest) = options.split_once(' ').unwrap_or((options, ""));
        let arguments = format!("-encrypt -outform DER {cipher_option} -recip {name}.crt {rest}");
        let sealed = openssl_cms(&arguments, &message()).unwrap();
        let opened = open(&sealed, &[key]).unwrap_or_else(|error| panic!("{name} {options}: {error}"));
        assert_eq!(*opened.content, message());
        assert_eq!((opened.cipher, opened.key_transport), (cipher, transport), "{options}");
        assert_eq!(opened.authenticated, cipher.ends_with("GCM"));
        assert_eq!(opened.recipient, key.certificate().fingerprint());
        assert_eq!(*reopen(&sealed, &opened.content_key).unwrap(), message());
    }
}

#[test]
fn content_of_every_length_comes_back() {
    let cast = cast();
    for length in [0, 1, 15, 16, 17, 31, 32, 255, 256, 70_000] {
        let content = vec![b'x'; length];
        for cipher in [ContentCipher::Aes256Gcm, ContentCipher::Aes256Cbc] {
            let sealed = encrypt(&content, &[cast.p256.certificate()], cipher).unwrap();
            assert_eq!(*open(&sealed, &[&cast.p256]).unwrap().content, content, "{cipher:?} {length}");
        }
        let signed = sign(&content, &cast.p256, at(), &[]).unwrap();
        assert_eq!(verify(&signed, None, &[]).unwrap().content, content);
    }
}
