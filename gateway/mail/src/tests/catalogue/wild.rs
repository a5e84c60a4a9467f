//! What is met in the wild and has to be read: BER in all its forms, every spelling of the type, opaque and
//! detached, nested, with old and new keys; and old algorithms refused by their names.

use openssl::pkey::PKey;
use pki::{
    cms::{self, ContentCipher},
    keys::SigningKey,
};

use super::{forged, tree::Tree, *};
use crate::{Access, OpenFault, Signature, open};

const GCM: ContentCipher = ContentCipher::Aes256Gcm;
const CBC: ContentCipher = ContentCipher::Aes256Cbc;

/// The letter inside, however it was protected.
fn read(message: &[u8], keys: &[&FileKey]) -> (String, bool) {
    let keys: Vec<&dyn pki::keys::DecryptionKey> = keys.iter().map(|key| *key as _).collect();
    let opened = open(message, Access::Keys(&keys), &[], &Limits::default()).unwrap();
    let text = String::from_utf8(bytes(&opened).to_vec()).unwrap();
    (text, matches!(opened.signature, Signature::Good(_)))
}

#[test]
fn streamed_containers_are_read_octet_for_octet() {
    let cast = cast();
    let long = text(&"une ligne de plus\n".repeat(300));
    let opaque = cms::sign(&long, &cast.world.doctor, NOW, &[]).unwrap();
    let streamed = Tree::of(&opaque).streamed();
    assert!(streamed.starts_with(&[0x30, 0x80]) && streamed != opaque);
    let (whole, _) = read(&mail(ZOE, &in_base64(&opaque)), &[]);
    assert!(read(&mail(ZOE, &in_base64(&streamed)), &[]) == (whole.clone(), true));
    for cipher in [GCM, CBC] {
        for inner in [&opaque, &streamed] {
            let to = [cast.world.reader.certificate(), cast.rsa.certificate()];
            let sealed = Tree::of(&cms::encrypt(&in_base64(inner), &to, cipher).unwrap()).streamed();
            for key in [&cast.world.reader, &cast.rsa] {
                assert!(read(&mail(ZOE, &in_base64(&sealed)), &[key]) == (whole.clone(), true), "{cipher:?}");
            }
        }
    }
    let detached = Tree::of(&cms::sign_detached(&long, &cast.world.doctor, NOW, &[]).unwrap()).streamed();
    assert!(read(&mail(ZOE, &forged::clear_with(&long, &detached)), &[]).1);
}

/// H18: the object identifier decides, whatever the field says; software writes it in many ways.
#[test]
fn every_spelling_of_the_type_is_read() {
    let cast = cast();
    let spellings = [
        "application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m",
        "application/pkcs7-mime; smime-type=authenveloped-data",
        "application/pkcs7-mime; smime-type=authenticated-enveloped-data",
        "application/pkcs7-mime; smime-type=enveloped-data",
        "application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"",
        "application/pkcs7-mime; smime-type=\"certs-only\"",
        "application/pkcs7-mime; smime-type=nonsense",
        "application/pkcs7-mime",
        "APPLICATION/X-PKCS7-MIME; NAME=SMIME.P7M; SMIME-TYPE=ENVELOPED-DATA",
        "application/x-pkcs7-mime;\r\n\tname*0=smime;\r\n\tname*1=.p7m;",
        "application/octet-stream; name=smime.p7m",
        "application/octet-stream; name*=utf-8''SMIME.P7M",
        "application/octet-stream\r\nContent-Disposition: attachment; filename=\"smime.p7m\"",
    ];
    let sealed = cast.sealed(GCM);
    let (expected, _) = read(&mail(ZOE, &in_base64(&sealed)), &[&cast.world.reader]);
    for spelling in spellings {
        let message = mail(ZOE, &forged::part(&sealed, spelling));
        assert_eq!(read(&message, &[&cast.world.reader]), (expected.clone(), true), "{spelling}");
        let message = mail(ZOE, &forged::part(&cast.signed(), spelling));
        assert!(read(&message, &[]).1, "{spelling}");
    }
    // Base64 without line breaks, within the limit of a line, and content without any encoding (NT-C17).
    let limits = Limits { line: 100_000, ..Limits::default() };
    let unbroken = openssl::base64::encode_block(&sealed);
    let header = "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let message = mail(ZOE, &[header.as_bytes(), unbroken.as_bytes()].concat());
    assert!(open(&message, Access::Keys(&[&cast.world.reader]), &[], &limits).is_ok());
    // Type parameters of a clear signature in any order and quoting (NT-C18).
    let clear = String::from_utf8(forged::clear_signed(&cast.world.doctor, &text("bonjour"))).unwrap();
    let told = "protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s";
    for other in [
        "boundary=\"s\"; micalg=SHA256; protocol=application/x-pkcs7-signature"
            .replace("protocol=application/x-pkcs7-signature", "protocol=\"application/x-pkcs7-signature\""),
        "micalg=\"sha-256\";\r\n boundary=s;\r\n protocol=\"APPLICATION/PKCS7-SIGNATURE\"".to_owned(),
        "boundary=s; protocol=\"application/pkcs7-signature\"; micalg=unknown".to_owned(),
    ] {
        assert!(read(&mail(ZOE, clear.replace(told, &other).as_bytes()), &[]).1, "{other}");
    }
}

/// RFC 2634 §1.1: signed, encrypted, signed again, each form of signature; and as deep as the limit.
#[test]
fn triple_wraps_and_nests_are_read_up_to_the_limit() {
    let cast = cast();
    let (world, good) = (&cast.world, text("bonjour"));
    let inner = [signed(&world.doctor, &good), forged::clear_signed(&world.doctor, &good)];
    for inner in &inner {
        for cipher in [GCM, CBC] {
            let sealed = encrypted(world, inner, cipher);
            for outer in [signed(&world.gateway, &sealed), forged::clear_signed(&world.gateway, &sealed)] {
                assert_eq!(cast.says(&mail(ZOE, &outer)), "Accept:none");
                let opened = open(&mail(ZOE, &outer), Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
                let Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
                assert_eq!(signed.signer, *world.doctor.certificate(), "the innermost counts");
            }
        }
    }
    let nested = |layers: usize| (0..layers).fold(good.clone(), |entity, _| signed(&world.doctor, &entity));
    assert_eq!(cast.says(&mail(ZOE, &nested(5))), "Accept:none");
    assert_eq!(cast.says(&mail(ZOE, &nested(6))), "open:too_many_layers");
    // One bad layer is enough, wherever it is.
    let mut bad = cast.signed();
    let at = bad.windows(7).position(|window| window == b"bonjour").unwrap();
    bad[at] = b'B';
    assert_eq!(cast.says(&mail(ZOE, &signed(&world.gateway, &in_base64(&bad)))), "Refuse:altered");
}

/// RFC 8419 and RFC 8418: keys on the curves of Bernstein.
#[test]
fn ed25519_signs_and_x25519_reads() {
    let cast = cast();
    let issuer = PKey::generate_ed25519().unwrap();
    let make = |key: PKey<openssl::pkey::Private>, serial: u32| {
        let model = openssl::x509::X509::from_der(SigningKey::certificate(&cast.world.gateway).der()).unwrap();
        let mut builder = openssl::x509::X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = openssl::bn::BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(model.subject_name()).unwrap();
        builder.set_issuer_name(model.issuer_name()).unwrap();
        builder.set_not_before(model.not_before()).unwrap();
        builder.set_not_after(model.not_after()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&issuer, openssl::hash::MessageDigest::null()).unwrap();
        FileKey::new(key, Certificate::from_openssl(&builder.build()).unwrap(), vec![]).unwrap()
    };
    let signer = make(PKey::generate_ed25519().unwrap(), 7);
    let reader = make(PKey::generate_x25519().unwrap(), 8);
    let letter = signed(&signer, &text("bonjour"));
    for cipher in [GCM, CBC] {
        let sealed = cms::encrypt(&letter, &[pki::keys::DecryptionKey::certificate(&reader)], cipher).unwrap();
        for container in [sealed.clone(), Tree::of(&sealed).streamed()] {
            let message = mail(ZOE, &in_base64(&container));
            let opened = open(&message, Access::Keys(&[&reader]), &[], &Limits::default()).unwrap();
            let Signature::Good(good) = &opened.signature else { panic!("{:?}", opened.signature) };
            assert_eq!(good.algorithm, "Ed25519 SHA-512");
            assert_eq!(opened.encryption.as_ref().unwrap().key_transport, "X25519 HKDF SHA-256");
        }
    }
}

/// NT-T13: what is too old to be opened or believed is refused, and the sender learns what it was.
#[test]
fn old_algorithms_are_refused_by_name() {
    let cast = cast();
    let sealed = cast.sealed(CBC);
    for (oid, name) in [
        ("1.2.840.113549.3.7", "triple DES"),
        ("1.2.840.113549.3.2", "RC2"),
        ("1.2.840.113549.3.4", "RC4"),
        ("1.3.14.3.2.7", "DES"),
    ] {
        let old = tree::changed(&sealed, |tree| tree.at(&[1, 0, 2, 1])[0] = tree::oid(oid));
        let fault = open(&mail(ZOE, &in_base64(&old)), Access::Keys(&[&cast.world.reader]), &[], &Limits::default());
        let fault = fault.unwrap_err();
        assert!(matches!(fault, OpenFault::Refused(_)), "{fault}");
        assert_eq!(
            fault.text().en,
            format!("The message is protected with an algorithm that is not accepted: {name}.")
        );
        assert!(fault.named().is_some_and(|named| named.contains(name)));
    }
    for (oid, name) in
        [("1.3.14.3.2.26", "SHA-1"), ("1.2.840.113549.2.5", "MD5"), ("2.16.840.1.101.3.4.2.4", "SHA-224")]
    {
        let old = tree::changed(&cast.signed(), |tree| {
            tree.at(&[1, 0, 1, 0])[0] = tree::oid(oid);
            tree.at(&[1, 0, 4, 0, 2])[0] = tree::oid(oid);
        });
        let opened = open(&mail(ZOE, &in_base64(&old)), Access::Keys(&[]), &[], &Limits::default()).unwrap();
        let judgement = crate::judge(&opened, &crate::Envelope { sender: None, recipients: &[] }, &cast.world.trust());
        assert_eq!(judgement.reasons[0].code, "weak_signature_algorithm");
        assert!(judgement.reasons[0].text.en.contains(name), "{}", judgement.reasons[0].text.en);
    }
}

/// H4: what stands under the encryption is named to nobody but who has the key, whatever it is.
#[test]
fn what_stands_inside_is_known_to_the_key_only() {
    let cast = cast();
    let compressed = [0x30, 17, 6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 9, 0xa0, 2, 0x30, 0];
    let sealed = |entity: &[u8]| in_base64(&cms::encrypt(entity, &[cast.world.reader.certificate()], GCM).unwrap());
    let opened = |entity: &[u8]| {
        open(&mail(ZOE, entity), Access::Keys(&[&cast.world.reader]), &[], &Limits::default()).unwrap_err()
    };
    let disguised =
        String::from_utf8(in_base64(&cast.signed())).unwrap().replace("application/pkcs7-mime", "text/plain");
    for (name, inside) in [
        ("container_kind", in_base64(&compressed)),
        ("encrypted_twice", sealed(b"Content-Type: text/plain\r\n\r\nbonjour\r\n")),
        ("cms_malformed", in_base64(b"no container")),
        ("container_mislabelled", disguised.into_bytes()),
    ] {
        let fault = opened(&sealed(&inside));
        assert_eq!((fault.code(), fault.named(), fault.follows_key()), (name, None, true), "{fault}");
    }
    let outside = opened(&in_base64(&compressed));
    assert!(outside.named().is_some() && !outside.follows_key(), "{outside}");
}

/// H22: a reader that breaks off costs this message and nothing else.
#[test]
fn a_planted_panic_becomes_a_refusal() {
    struct Trap(Vec<u8>);
    impl crate::source::Source for Trap {
        fn reader(&self, from: u64) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
            // The planted fault of a parser: it shows in the middle of the message.
            assert!(from == 0, "planted");
            self.0.reader(from)
        }
    }
    let message = std::sync::Arc::new(Trap(mail(ZOE, &in_base64(&cast().signed()))));
    let fault = crate::open_source(message, Access::Keys(&[]), &[], &Limits::default(), &crate::source::InMemory);
    let fault = fault.unwrap_err();
    assert_eq!(fault.code(), "reader_broke_off");
    assert!(fault.text().en.contains("not accepted") && fault.named().is_none());
}
