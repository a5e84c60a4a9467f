//! The `openssl` command line as judge of what we seal, and as source of what we open.

use std::{path::Path, process::Command};

use pki::keys::FileKey;

use super::*;
use crate::{Access, Envelope, Verdict, judge, open};

const MESSAGE: &str = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/plain\n\nbonjour\n";

fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let output =
        Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().expect("openssl is needed");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn run(folder: &Path, arguments: &str) {
    let (good, text) = openssl(folder, arguments);
    assert!(good, "openssl {arguments}: {text}");
}

fn folder(world: &World) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, key: &FileKey| {
        let pem = key.openssl().private_key_to_pem_pkcs8().unwrap();
        std::fs::write(folder.path().join(format!("{name}.key")), pem).unwrap();
        std::fs::write(folder.path().join(format!("{name}.pem")), key.certificate().to_pem()).unwrap();
    };
    put("reader", &world.reader);
    put("doctor", &world.doctor);
    put("gateway", &world.gateway);
    folder
}

#[test]
fn openssl_opens_what_we_seal() {
    let world = World::new();
    let folder = folder(&world);
    let at = |name: &str| folder.path().join(name);
    let message = wire(MESSAGE);
    for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
        let sealed = world.seal(&message, &["b@ch-autre.test"], profile).unwrap();
        let name = if profile == Profile::SignedOnly { "signed.eml" } else { "sealed.eml" };
        std::fs::write(at(name), &sealed.bytes).unwrap();
        if profile != Profile::SignedOnly {
            run(folder.path(), "cms -decrypt -in sealed.eml -recip reader.pem -inkey reader.key -out signed.eml");
        }
        // Between gateways the signed container is not in base64 inside the encryption, which the tool's own
        // MIME reader does not know: it gets the container.
        let verify = if profile == Profile::Gateway {
            let entity = std::fs::read(at("signed.eml")).unwrap();
            let limits = Limits::default();
            let block = crate::HeaderBlock::parse(&entity, &limits).unwrap();
            assert_eq!(block.one("Content-Transfer-Encoding").unwrap().unwrap().value(), "binary");
            std::fs::write(at("signed.eml"), block.body()).unwrap();
            "cms -verify -binary -inform DER"
        } else {
            "cms -verify"
        };
        run(folder.path(), &format!("{verify} -noverify -in signed.eml -out plain.eml -signer who.pem"));
        let plain = std::fs::read(at("plain.eml")).unwrap();
        assert!(String::from_utf8_lossy(&plain).contains("bonjour"), "{profile:?}");
        if profile != Profile::Client {
            assert!(plain.ends_with(&message), "{profile:?}");
        }
        let who = Certificate::from_pem(&std::fs::read(at("who.pem")).unwrap()).unwrap();
        assert_eq!(who, *world.gateway.certificate());
    }
}

#[test]
fn we_open_what_openssl_seals() {
    let world = World::new();
    let folder = folder(&world);
    std::fs::write(folder.path().join("plain.txt"), wire("Content-Type: text/plain\n\nbonjour\n")).unwrap();
    let header = "-from zoe@ch-exemple.test -to b@ch-autre.test -subject x";
    let sign = "-signer doctor.pem -inkey doctor.key -md sha256";
    for (form, cipher) in [("-nodetach", "-aes-256-cbc"), ("", "-aes-256-cbc"), ("-nodetach", "-aes-256-gcm")] {
        run(folder.path(), format!("cms -sign -binary -in plain.txt -out signed.eml {sign} {form}").trim());
        let kdf = "-recip reader.pem -keyopt ecdh_kdf_md:sha256";
        run(folder.path(), &format!("cms -encrypt {cipher} -in signed.eml -out sealed.eml {header} {kdf}"));
        let text = String::from_utf8(std::fs::read(folder.path().join("sealed.eml")).unwrap()).unwrap();
        let message = text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        let opened = open(&message, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        let judgement = judge(&opened, &Envelope { sender: None, recipients: &[] }, &world.trust());
        assert_eq!(judgement.verdict, Verdict::Accept, "{form} {cipher}: {judgement:?}");
        let inner = bytes(&opened);
        let inner = String::from_utf8_lossy(&inner);
        assert!(inner.contains("From: zoe@ch-exemple.test\r\n") && inner.contains("\r\nbonjour\r\n"), "{inner}");
    }
}

/// A11: no signer, and two of them.
#[test]
fn not_exactly_one_signer() {
    let world = World::new();
    let folder = folder(&world);
    std::fs::write(folder.path().join("plain.txt"), wire("Content-Type: text/plain\n\nbonjour\n")).unwrap();
    run(folder.path(), "crl2pkcs7 -nocrl -certfile doctor.pem -outform DER -out none.der");
    run(
        folder.path(),
        "cms -sign -binary -nodetach -in plain.txt -outform DER -out two.der -md sha256 \
         -signer doctor.pem -inkey doctor.key -signer gateway.pem -inkey gateway.key",
    );
    for name in ["none.der", "two.der"] {
        let der = std::fs::read(folder.path().join(name)).unwrap();
        let mut message = wire(
            "From: zoe@ch-exemple.test\nContent-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n",
        );
        crate::mime::write_base64(&mut message, &der);
        let opened = open(&message, Access::Keys(&[]), &[], &Limits::default()).unwrap();
        let judgement = judge(&opened, &Envelope { sender: None, recipients: &[] }, &world.trust());
        let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!((judgement.verdict, codes.as_slice()), (Verdict::Refuse, &["signer_count"][..]), "{name}");
        assert!(bytes(&opened).is_empty());
    }
}
