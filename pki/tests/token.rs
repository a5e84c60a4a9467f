//! Keys on a token, with SoftHSM2 as the token and OpenSSL as the other side.
//!
//! SoftHSM2 finds its tokens through an environment variable that it reads once per process, so each test
//! runs again as a process of its own with that variable set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ident::{StructureId, Timestamp};
use openssl::{
    ec::{EcGroup, EcKey},
    encrypt::Encrypter,
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPublic, PKey, Private, Public},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Verifier},
};
use pki::{
    certificate::Certificate,
    cms::{self, OpenError},
    issue::{
        Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, OrganisationUse, Profile, Structure, Validity,
    },
    keys::{
        DecryptionKey, FileKey, KeyError, KeyUri, PinFault, PinKeeper, PinOutcome, RsaPadding, SignatureScheme,
        SigningKey, Token, TokenFacts, TokenFault, TokenKey, TokenReader, TokenSettings, TokenSigner,
    },
};
use zeroize::Zeroizing;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PLACE: &str = "SCEAU_TOKEN_TEST";
const PIN: &str = "271828";

/// A folder with a token named `sceau`.
struct Bench {
    folder: PathBuf,
    authority: Authority,
}

/// Runs `body` in a process that has a token of its own.
fn with_a_token(test: &str, body: impl FnOnce(&Bench)) {
    if let Some(folder) = std::env::var_os(PLACE) {
        body(&Bench::new(folder.into()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    fs::create_dir(folder.path().join("tokens")).unwrap();
    let text =
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", folder.path().join("tokens").display());
    fs::write(&configuration, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "sceau", "--so-pin", "314159", "--pin", PIN])
        .env("SOFTHSM2_CONF", &configuration)
        .output()
        .expect("softhsm2 is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(PLACE, folder.path())
        .env("SOFTHSM2_CONF", &configuration)
        .env("UNPLUG", folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{}: {said}", run.status);
    print!("{said}");
}

impl Bench {
    fn new(folder: PathBuf) -> Self {
        let request = AuthorityRequest::new("JETONS", KeyAlgorithm::P256, Validity::days(now(), 3650));
        Self { folder, authority: Authority::root(&request).unwrap() }
    }

    /// A module that behaves as if its token were pulled out while the file `away` is there.
    fn module_with_a_plug(&self) -> PathBuf {
        let module = self.folder.join("unplug.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/unplug.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&module)
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status();
        assert!(built.unwrap().success());
        module
    }

    fn token_of(&self, module: PathBuf, patience: u64) -> (Arc<Token>, Arc<Pins>) {
        let pins = Arc::new(Pins { pin: PIN.to_owned(), ..Pins::default() });
        let settings = TokenSettings {
            module,
            label: "sceau".into(),
            serial: None,
            sessions: 3,
            patience: Duration::from_millis(patience),
            pins: Arc::clone(&pins) as Arc<dyn PinKeeper>,
        };
        (Token::new(settings), pins)
    }

    /// Puts a key on the token and gives its certificate.
    fn put(&self, label: &str, id: &str, key: &PKey<Private>, usage: OrganisationUse) -> Certificate {
        let file = self.folder.join(format!("{label}.p8"));
        fs::write(&file, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let put = Command::new("softhsm2-util")
            .args(["--import", file.to_str().unwrap(), "--token", "sceau", "--pin", PIN, "--label", label, "--id", id])
            .output()
            .unwrap();
        assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
        self.certify(key, usage)
    }

    /// A key that the token makes itself; one that agrees on secrets must be made for it.
    fn generate(&self, label: &str, id: &str, kind: &str) {
        let made = Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--token-label", "sceau", "--login", "--pin", PIN, "--usage-derive"])
            .args(["--keypairgen", "--key-type", kind, "--label", label, "--id", id])
            .output()
            .expect("opensc is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn certify<T: HasPublic>(&self, key: &PKey<T>, usage: OrganisationUse) -> Certificate {
        let structure = Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
        let profile = Profile::Organisation { structure, label: "ch-exemple.test".into(), usage, emails: vec![] };
        let algorithm = if key.rsa().is_ok() { KeyAlgorithm::Rsa2048 } else { KeyAlgorithm::P256 };
        let request = CertificateRequest::new(profile, algorithm, Validity::days(now(), 365));
        Certificate::from_der(&self.authority.certify(&request, key).unwrap().1).unwrap()
    }

    fn token(&self) -> (Arc<Token>, Arc<Pins>) {
        self.token_with(PIN, 3)
    }

    fn token_with(&self, pin: &str, sessions: usize) -> (Arc<Token>, Arc<Pins>) {
        let pins = Arc::new(Pins { pin: pin.to_owned(), ..Pins::default() });
        let token = Token::new(TokenSettings {
            module: MODULE.into(),
            label: "sceau".into(),
            serial: None,
            sessions,
            patience: Duration::from_secs(20),
            pins: Arc::clone(&pins) as Arc<dyn PinKeeper>,
        });
        (token, pins)
    }
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

/// A keeper that remembers in this process only.
#[derive(Default)]
struct Pins {
    pin: String,
    tries: AtomicUsize,
    refused: Mutex<bool>,
}

impl PinKeeper for Pins {
    fn begin(&self, _: &TokenFacts) -> Result<Zeroizing<String>, PinFault> {
        if *self.refused.lock().unwrap() {
            return Err(PinFault::Refused);
        }
        self.tries.fetch_add(1, Ordering::SeqCst);
        Ok(Zeroizing::new(self.pin.clone()))
    }

    fn end(&self, _: &TokenFacts, outcome: PinOutcome) {
        *self.refused.lock().unwrap() = outcome == PinOutcome::Refused;
    }
}

fn uri(object: &str) -> KeyUri {
    KeyUri::parse(&format!("pkcs11:token=sceau;object={object};type=private")).unwrap()
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn curve(nid: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()).unwrap()
}

fn verifies(public: &PKey<Public>, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
    let mut verifier = match scheme {
        SignatureScheme::Ed25519 => Verifier::new_without_digest(public).unwrap(),
        SignatureScheme::EcdsaSha384 => Verifier::new(MessageDigest::sha384(), public).unwrap(),
        _ => Verifier::new(MessageDigest::sha256(), public).unwrap(),
    };
    if scheme == SignatureScheme::RsaPssSha256 {
        verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        verifier.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).unwrap();
    }
    verifier.verify_oneshot(signature, message).unwrap_or(false)
}

#[test]
fn a_token_signs_in_every_scheme() {
    with_a_token("a_token_signs_in_every_scheme", |bench| {
        let (token, pins) = bench.token();
        let mut schemes = Vec::new();
        for (label, id, key) in
            [("rsa", "01", rsa()), ("p256", "02", curve(Nid::X9_62_PRIME256V1)), ("p384", "03", curve(Nid::SECP384R1))]
        {
            let certificate = bench.put(label, id, &key, OrganisationUse::Sign);
            let signer = TokenSigner::new(Arc::clone(&token), uri(label), certificate.clone(), vec![]);
            signer.prove().unwrap();
            for scheme in signer.schemes() {
                let signature = signer.sign(*scheme, b"message").unwrap();
                assert!(verifies(certificate.public_key(), *scheme, b"message", &signature), "{scheme:?}");
                schemes.push(*scheme);
            }
            assert_eq!(signer.sign(SignatureScheme::Ed25519, b"message"), Err(KeyError::Unsupported));
            // The public half lies beside it.
            let bare = TokenKey::open(Arc::clone(&token), uri(label)).unwrap();
            assert!(bare.public_key().public_eq(certificate.public_key()), "{label}");
        }
        // Ed25519, as trail checkpoints are signed.
        bench.generate("traces", "09", "EC:edwards25519");
        let checkpoints = TokenKey::open(token, uri("traces")).unwrap();
        let signature = checkpoints.sign(SignatureScheme::Ed25519, b"checkpoint").unwrap();
        assert!(verifies(checkpoints.public_key(), SignatureScheme::Ed25519, b"checkpoint", &signature));
        assert_eq!(schemes.len(), 4);
        assert_eq!(pins.tries.load(Ordering::SeqCst), 1, "one login for everything");
    });
}

fn wrapped(public: &PKey<Public>, padding: RsaPadding, secret: &[u8]) -> Vec<u8> {
    let mut encrypter = Encrypter::new(public).unwrap();
    let digest = match padding {
        RsaPadding::Pkcs1 => None,
        RsaPadding::OaepSha256 => Some(MessageDigest::sha256()),
        RsaPadding::OaepSha1 => Some(MessageDigest::sha1()),
    };
    match digest {
        None => encrypter.set_rsa_padding(Padding::PKCS1).unwrap(),
        Some(digest) => {
            encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
            encrypter.set_rsa_oaep_md(digest).unwrap();
            encrypter.set_rsa_mgf1_md(digest).unwrap();
        }
    }
    let mut out = vec![0; 256];
    assert_eq!(encrypter.encrypt(secret, &mut out).unwrap(), 256);
    out
}

/// What cannot be opened is the message's fault, told as such and never as a failing token (H4).
#[test]
fn a_token_unwraps_what_openssl_wrapped() {
    with_a_token("a_token_unwraps_what_openssl_wrapped", |bench| {
        let (token, _) = bench.token();
        let certificate = bench.put("rsa", "01", &rsa(), OrganisationUse::Confidentiality);
        let reader = TokenReader::new(Arc::clone(&token), uri("rsa"), certificate.clone());
        reader.prove().unwrap();
        let secret = [7u8; 32];
        for padding in [RsaPadding::Pkcs1, RsaPadding::OaepSha256, RsaPadding::OaepSha1] {
            let mut sealed = wrapped(certificate.public_key(), padding, &secret);
            assert_eq!(*reader.rsa_decrypt(padding, &sealed).unwrap(), secret, "{padding:?}");
            sealed[100] ^= 1;
            match reader.rsa_decrypt(padding, &sealed) {
                Ok(other) => assert_ne!(*other, secret, "{padding:?}"),
                Err(error) => assert_eq!(error, KeyError::Failed, "{padding:?}"),
            }
            // Larger than the modulus.
            match reader.rsa_decrypt(padding, &[0xff; 256]) {
                Ok(other) => assert_ne!(*other, secret, "{padding:?}"),
                Err(error) => assert_eq!(error, KeyError::Failed, "{padding:?}"),
            }
            assert_eq!(reader.rsa_decrypt(padding, &[1; 255]), Err(KeyError::Failed));
        }
        assert_eq!(token.standing().fault, None, "bad messages are no failing token");
        assert_eq!(
            reader.ecdh(bench.certify(&curve(Nid::SECP384R1), OrganisationUse::Sign).public_key()),
            Err(KeyError::Unsupported)
        );
        for (label, id, kind, nid) in
            [("p256", "02", "EC:prime256v1", Nid::X9_62_PRIME256V1), ("p384", "03", "EC:secp384r1", Nid::SECP384R1)]
        {
            bench.generate(label, id, kind);
            let public = TokenKey::open(Arc::clone(&token), uri(label)).unwrap().public_key().clone();
            let certificate = bench.certify(&public, OrganisationUse::Confidentiality);
            let reader = TokenReader::new(Arc::clone(&token), uri(label), certificate.clone());
            let theirs = curve(nid);
            let other =
                FileKey::new(theirs.clone(), bench.certify(&theirs, OrganisationUse::Confidentiality), vec![]).unwrap();
            let here = reader.ecdh(FileKey::certificate(&other).public_key()).unwrap();
            assert_eq!(here, other.ecdh(certificate.public_key()).unwrap(), "{label}");
            assert_eq!(reader.rsa_decrypt(RsaPadding::Pkcs1, &[1; 256]), Err(KeyError::Unsupported));
        }
    });
}

fn openssl(arguments: &[&str]) {
    let ran = Command::new("openssl").args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn containers_of_a_token_and_of_openssl_understand_each_other() {
    with_a_token("containers_of_a_token_and_of_openssl_understand_each_other", |bench| {
        let (token, _) = bench.token();
        let place = |name: &str| bench.folder.join(name);
        let root = Certificate::from_der(bench.authority.certificate_der()).unwrap();
        fs::write(place("root.pem"), root.to_pem()).unwrap();
        fs::write(place("content"), b"Contenu\r\n").unwrap();
        bench.generate("p256", "02", "EC:prime256v1");
        let generated = TokenKey::open(Arc::clone(&token), uri("p256")).unwrap().public_key().clone();
        let imported = rsa();
        bench.put("rsa", "01", &imported, OrganisationUse::Sign);
        let imported = PKey::public_key_from_der(&imported.public_key_to_der().unwrap()).unwrap();
        for (label, key, recipient) in [
            (
                "rsa",
                imported,
                vec![
                    "-keyopt",
                    "rsa_padding_mode:oaep",
                    "-keyopt",
                    "rsa_oaep_md:sha256",
                    "-keyopt",
                    "rsa_mgf1_md:sha256",
                ],
            ),
            ("p256", generated, vec!["-keyopt", "ecdh_kdf_md:sha256"]),
        ] {
            let reading = bench.certify(&key, OrganisationUse::Confidentiality);
            fs::write(place("reader.pem"), reading.to_pem()).unwrap();
            let (content, out, certificate) = (place("content"), place("sealed.der"), place("reader.pem"));
            let mut arguments =
                vec!["cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", "-in", text(&content)];
            arguments.extend(["-out", text(&out), "-recip", text(&certificate)]);
            arguments.extend(recipient);
            openssl(&arguments);
            let reader = TokenReader::new(Arc::clone(&token), uri(label), reading);
            let mut sealed = fs::read(&out).unwrap();
            assert_eq!(*cms::open(&sealed, &[&reader]).unwrap().content, b"Contenu\r\n");
            let last = sealed.len() - 1;
            sealed[last] ^= 1;
            assert!(matches!(cms::open(&sealed, &[&reader]), Err(OpenError::Failed)));

            let signing = bench.certify(&key, OrganisationUse::Sign);
            let signer = TokenSigner::new(Arc::clone(&token), uri(label), signing, vec![]);
            fs::write(place("signed.der"), cms::sign(b"Contenu\r\n", &signer, now(), &[]).unwrap()).unwrap();
            let (signed, root, got) = (place("signed.der"), place("root.pem"), place("got"));
            let at = now().seconds().to_string();
            openssl(&[
                "cms",
                "-verify",
                "-binary",
                "-inform",
                "DER",
                "-in",
                text(&signed),
                "-CAfile",
                text(&root),
                "-attime",
                &at,
                "-purpose",
                "any",
                "-out",
                text(&got),
            ]);
            assert_eq!(fs::read(&got).unwrap(), b"Contenu\r\n");
        }
    });
}

#[test]
fn only_the_certificates_own_key_is_used() {
    with_a_token("only_the_certificates_own_key_is_used", |bench| {
        let (token, _) = bench.token();
        // A smaller key refuses most trials made for a larger one as too large.
        let mut pair = [rsa(), rsa()];
        pair.sort_by(|one, other| one.rsa().unwrap().n().cmp(other.rsa().unwrap().n()));
        let [smaller, larger] = pair;
        let certificate = bench.put("one", "01", &larger, OrganisationUse::Sign);
        bench.put("other", "02", &smaller, OrganisationUse::Sign);
        bench.put("curve", "03", &curve(Nid::X9_62_PRIME256V1), OrganisationUse::Sign);
        bench.put("twice", "04", &rsa(), OrganisationUse::Sign);
        bench.put("twice", "05", &rsa(), OrganisationUse::Sign);
        let fault = |object: &str| {
            let signer = TokenSigner::new(Arc::clone(&token), uri(object), certificate.clone(), vec![]);
            let reader = TokenReader::new(Arc::clone(&token), uri(object), certificate.clone());
            match (signer.prove(), reader.prove()) {
                (Err(KeyError::Unavailable(signing)), Err(KeyError::Unavailable(reading))) => {
                    assert_eq!(
                        signer.sign(SignatureScheme::RsaPkcs1Sha256, b"x"),
                        Err(KeyError::Unavailable(signing.clone()))
                    );
                    (signing, reading)
                }
                other => panic!("{object}: {other:?}"),
            }
        };
        let both = |fault: fn(String) -> TokenFault, object: &str| {
            (fault(uri(object).to_string()), fault(uri(object).to_string()))
        };
        for _ in 0..16 {
            assert_eq!(fault("other"), both(TokenFault::Foreign, "other"));
        }
        assert_eq!(fault("none"), both(TokenFault::NoKey, "none"));
        assert_eq!(fault("twice"), both(TokenFault::SeveralKeys, "twice"));
        let (signing, _) = fault("curve");
        assert!(
            matches!(signing, TokenFault::Unfit(..) | TokenFault::Foreign(_) | TokenFault::Device(_)),
            "{signing:?}"
        );
        let good = TokenSigner::new(Arc::clone(&token), uri("one"), certificate.clone(), vec![]);
        token.check().unwrap();
        good.prove().unwrap();
    });
}

#[test]
fn a_wrong_pin_is_tried_once() {
    with_a_token("a_wrong_pin_is_tried_once", |bench| {
        let certificate = bench.put("rsa", "01", &rsa(), OrganisationUse::Sign);
        let (token, pins) = bench.token_with("999999", 3);
        let signer = TokenSigner::new(Arc::clone(&token), uri("rsa"), certificate, vec![]);
        for _ in 0..5 {
            let refused = KeyError::Unavailable(TokenFault::Pin(PinFault::Refused));
            assert_eq!(signer.sign(SignatureScheme::RsaPkcs1Sha256, b"x"), Err(refused));
            assert!(token.check().is_err());
        }
        assert_eq!(pins.tries.load(Ordering::SeqCst), 1);
        // The right one still works: the counter was not burnt.
        let (token, _) = bench.token();
        token.check().unwrap();
    });
}

/// Many threads, few sessions, and the token pulled out under them: every call ends, signs or says
/// "later", and it comes back by itself.
#[test]
fn a_token_goes_and_comes_back_under_load() {
    with_a_token("a_token_goes_and_comes_back_under_load", |bench| {
        let (token, pins) = bench.token_of(bench.module_with_a_plug(), 20_000);
        let certificate = bench.put("rsa", "01", &rsa(), OrganisationUse::Sign);
        let signer = TokenSigner::new(Arc::clone(&token), uri("rsa"), certificate.clone(), vec![]);
        let (signed, later, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let away = bench.folder.join("away");
        let sign = || match signer.sign(SignatureScheme::RsaPkcs1Sha256, b"message") {
            Ok(signature) => {
                let scheme = SignatureScheme::RsaPkcs1Sha256;
                assert!(verifies(certificate.public_key(), scheme, b"message", &signature));
                signed.fetch_add(1, Ordering::SeqCst);
            }
            Err(KeyError::Unavailable(_)) => {
                later.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
            }
            Err(other) => panic!("{other:?}"),
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while stop.load(Ordering::SeqCst) == 0 {
                        sign();
                        assert!(token.standing().open <= 3);
                    }
                });
            }
            let until = |what: &AtomicUsize, more: usize| {
                let goal = what.load(Ordering::SeqCst) + more;
                while what.load(Ordering::SeqCst) < goal {
                    let _ = token.check();
                    std::thread::yield_now();
                }
            };
            for _ in 0..3 {
                until(&signed, 50);
                fs::write(&away, b"").unwrap();
                until(&later, 50);
                assert!(token.standing().fault.is_some());
                fs::remove_file(&away).unwrap();
                until(&signed, 50);
            }
            stop.store(1, Ordering::SeqCst);
        });
        assert_eq!(token.standing().fault, None);
        let (signed, later) = (signed.load(Ordering::SeqCst), later.load(Ordering::SeqCst));
        println!("signed {signed}, told to wait {later}, logins {}", pins.tries.load(Ordering::SeqCst));
    });
}

/// A module that does not come back costs a bounded wait, not a thread for ever; and decryption says
/// "later" then, not "cannot be opened".
#[test]
fn a_silent_token_is_not_waited_for() {
    with_a_token("a_silent_token_is_not_waited_for", |bench| {
        let (token, _) = bench.token_of(bench.module_with_a_plug(), 300);
        let certificate = bench.put("rsa", "01", &rsa(), OrganisationUse::Confidentiality);
        let reader = TokenReader::new(Arc::clone(&token), uri("rsa"), certificate.clone());
        reader.prove().unwrap();
        let sealed = wrapped(certificate.public_key(), RsaPadding::OaepSha256, &[7; 32]);
        let silent = bench.folder.join("silent");
        fs::write(&silent, b"").unwrap();
        let late = KeyError::Unavailable(TokenFault::Silent);
        assert_eq!(reader.rsa_decrypt(RsaPadding::OaepSha256, &sealed), Err(late));
        assert!(matches!(reader.rsa_decrypt(RsaPadding::Pkcs1, &[1; 256]), Err(KeyError::Unavailable(_))));
        fs::remove_file(&silent).unwrap();
        while token.check().is_err() {
            std::thread::yield_now();
        }
        assert_eq!(*reader.rsa_decrypt(RsaPadding::OaepSha256, &sealed).unwrap(), [7; 32]);
    });
}
