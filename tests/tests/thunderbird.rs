//! A real Thunderbird reads what a gateway sealed with the profile `client`, from a Dovecot mailbox behind a Postfix:
//! it shows the message as signed and encrypted, and shows altered ones as neither. What is asserted is its own state;
//! a picture of its window is kept as `thunderbird-client.png` beside the built program.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use ident::{Address, Clock as _, SystemClock};
use mail::{Inside, Limits, Profile as Form, SealRequest};
use pki::certificate::Certificate;
use pki::cms::RsaTransport;
use pki::issue::{KeyAlgorithm, ServerMailUse};
use pki::keys::FileKey;
use sceau::demo::cast::Place::{A, C};
use tests::certs::{CredentialFiles, Credentials};
use tests::dovecot::Dovecot;
use tests::gateway::{binary, sceau};
use tests::interop::{container, entity};
use tests::mint::{Mint, Minted};
use tests::openssl_cli::{cms_decrypt, cms_encrypt};
use tests::postfix::{Postfix, PostfixOptions};
use tests::thunderbird::{Profile, Shown, Thunderbird};
use tests::wire::Wire;
use tests::world::{World, hand_over, letter};

const TEXT: &str = "Texte confidentiel";
/// `nsICMSMessageErrors`: all is well, or the certificate names no address at all.
const SUCCESS: i64 = 0;
const WITHOUT_ADDRESS: i64 = 1040;

/// Who writes and reads, with the keys of both.
struct Stage {
    world: World,
    from: String,
    to: String,
    /// Signs for the doctor's own mailbox.
    signer: Minted,
    /// Signs for her hospital's domain and names no mailbox.
    domain_signer: Minted,
    reader: Minted,
    /// The same person's on a curve.
    curve_reader: Minted,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let mint = Mint::trusted_in(&world, SystemClock.now());
        let (from, to) = (world.address("martin"), world.address("petit"));
        let address = |text: &str| Address::parse(text).unwrap();
        let named = |name: &str, place, usage, email: &str, key| {
            mint.mail_with(name, place, usage, |request| {
                request.key = key;
                if let pki::issue::Profile::ServerMail { emails, .. } = &mut request.profile {
                    emails.push(address(email));
                }
            })
        };
        let (rsa, curve) = (KeyAlgorithm::Rsa2048, KeyAlgorithm::P256);
        Self {
            signer: named("martin-signs", A, ServerMailUse::Sign, &from, rsa),
            domain_signer: mint.mail("domain-signs", A, ServerMailUse::Sign),
            reader: named("petit-reads", C, ServerMailUse::Confidentiality, &to, rsa),
            curve_reader: named("petit-reads-curve", C, ServerMailUse::Confidentiality, &to, curve),
            world,
            from,
            to,
        }
    }

    /// Hospital A seals for this recipient's mail program, and signs for its doctor.
    fn configure(&self) {
        let world = &self.world;
        let never = format!("domain = \"{}\"\nsmime = \"never\"", C.domain().unwrap());
        let client = format!("domain = \"{}\"\nsmime = \"required\"\nprofile = \"client\"", C.domain().unwrap());
        world.edit(A, "sceau.toml", &never, &client);
        let keys = "certificate = \"../mint/martin-signs.pem\", key = \"../mint/martin-signs.key\"";
        world.edit(A, "sceau.toml", "certificate = \"signing.pem\", key = \"signing.key\"", keys);
        let book = format!(
            "[[book]]\naddress = \"{}\"\nuse = \"reads\"\ncertificate = \"../mint/petit-reads.pem\"\n",
            self.to
        );
        world.append(A, "sceau.toml", &book);
    }

    /// What the operator of the recipient runs: a Postfix that gives everything to the mailbox.
    fn operator(&self, dovecot: &Dovecot) -> Postfix {
        let (own, chain) = Credentials::load(&self.world.space.operator.certificate, &self.world.space.operator.key);
        let lmtp = dovecot.lmtp();
        Postfix::start(
            &PostfixOptions::new(&C.host())
                .mailbox(&self.to)
                .listens_with_mutual_tls(&own, &chain, &[self.world.root("servers")])
                .at(self.world.space.ports.c.exchange)
                .service("lmtp unix - - n - - lmtp")
                .setting(&format!("virtual_transport = lmtp:inet:{}:{}", lmtp.ip(), lmtp.port())),
        )
    }

    /// Her message without a gateway, in a form of the test's choice.
    fn sealed(&self, subject: &str, signer: &Minted, reader: &Minted, form: Form, transport: RsaTransport) -> Vec<u8> {
        let read = |path: &std::path::Path| std::fs::read(path).unwrap();
        let signer = FileKey::from_pem(&read(&signer.key), &read(&signer.certificate), None).unwrap();
        let now = SystemClock.now();
        let message = self.letter(subject);
        let request = SealRequest {
            message: &message,
            recipients: &[Address::parse(&self.to).unwrap()],
            signer: &signer,
            to: &[&Certificate::from_pem(&read(&reader.certificate)).unwrap()],
            profile: form,
            inside: Inside::Binary,
            at: now,
            assurance: None,
            extra: &[],
            authserv_id: "smtp.ch-a.mssante.test",
            subject: mail::DEFAULT_SUBJECT,
            limits: &Limits::default(),
        };
        mail::seal_with(&request, transport).unwrap().bytes
    }

    /// Dated now: Thunderbird compares the date with that of the signature.
    fn letter(&self, subject: &str) -> Vec<u8> {
        let text = String::from_utf8(letter(&self.from, &self.to, subject)).unwrap();
        let now = format!("Date: {}", SystemClock.now().rfc5322());
        text.replace("Date: Sat, 21 Nov 2026 10:00:00 +0100", &now).into_bytes()
    }

    fn thunderbird(&self, dovecot: &Dovecot) -> Thunderbird {
        let file = |name: &str| self.world.folder().join("mint").join(name);
        let mut profile = Profile::new().account(&self.to, dovecot.imap());
        profile = profile.authority(&file("root.pem"), true).authority(&file("issuing.pem"), false);
        for reader in [&self.reader, &self.curve_reader] {
            profile = profile.minted_key(reader);
        }
        Thunderbird::start(profile)
    }
}

/// The message under another Message-ID, with another container.
fn with_container(mail: &[u8], id: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(mail).unwrap();
    let header = text.split("Content-Type:").next().unwrap();
    let header: String = header.split_inclusive("\r\n").filter(|line| !line.starts_with("Message-ID:")).collect();
    let container = change(container(mail).unwrap());
    [format!("Message-ID: <{id}>\r\n{header}").as_bytes(), &entity("enveloped-data", &container, false)].concat()
}

/// Encrypted anew by somebody who altered what was signed: everybody can encrypt.
fn resealed(container: &[u8], reader: &Minted) -> Vec<u8> {
    let files = CredentialFiles { certificate: reader.certificate.clone(), key: reader.key.clone() };
    let inside = cms_decrypt("DER", container, &files).success();
    let mut signed = tests::interop::container(&inside).unwrap();
    let at = signed.windows(TEXT.len()).position(|window| window == TEXT.as_bytes()).unwrap();
    signed[at..at + 5].copy_from_slice(b"Fraud");
    cms_encrypt("DER", &entity("signed-data", &signed, false), "-aes256", &[], &[&reader.certificate]).success()
}

fn deliver(dovecot: &Dovecot, to: &str, mail: &[u8]) {
    let mut wire = Wire::connect(dovecot.lmtp());
    wire.play("S: 220\nC: LHLO essai.test\nS: 250");
    assert_eq!(hand_over(&mut wire, "essai@ch-a.mssante.test", to, mail).code, 250);
}

fn good(shown: &Shown) -> bool {
    (shown.encrypted.as_deref(), shown.signed.as_deref(), shown.signature) == (Some("ok"), Some("ok"), SUCCESS)
}

#[test]
fn thunderbird_shows_a_client_message_as_signed_and_encrypted() {
    let stage = Stage::new();
    stage.configure();
    let dovecot = Dovecot::start(&[&stage.to]);
    let _operator = stage.operator(&dovecot);
    let gateway = stage.world.serve(A);
    let mut wire = stage.world.submission(A, stage.world.card("martin"));
    assert_eq!(hand_over(&mut wire, &stage.from, &stage.to, &stage.letter("Lisible")).code, 250);
    let configuration = stage.world.configuration(A);
    let card = &stage.world.card("martin").certificate;
    let arguments = ["explain", "--config", configuration.to_str().unwrap(), "--as", card.to_str().unwrap()];
    let explained = sceau(&[&arguments[..], &["--from", &stage.from, "--to", &stage.to]].concat(), b"").text();
    let form = "profile client, AES-256-CBC: the [[partner]] entry says so; RSA PKCS#1 v1.5: not every mail program";
    assert!(explained.contains(form), "{explained}");
    let mail = dovecot.wait_for(&stage.to, 1).remove(0);
    drop(gateway);

    let mut thunderbird = stage.thunderbird(&dovecot);
    let shown = thunderbird.open("Lisible@wire.test");
    std::fs::write(binary().with_file_name("thunderbird-client.png"), thunderbird.screenshot()).unwrap();
    assert!(good(&shown) && shown.text.trim() == TEXT, "{shown:?}");
    assert_eq!(shown.signer.as_deref(), Some(A.domain().unwrap().to_string().as_str()), "{shown:?}");
    // It knows no protected headers in S/MIME (RFC 9788): the constant subject stays, and the real one is read by
    // programs that do.
    assert_eq!(shown.subject, mail::DEFAULT_SUBJECT);

    // Both ways to wrap keys for RSA, and keys on curves.
    let (oaep, old) = (RsaTransport::OaepSha256, RsaTransport::Pkcs1);
    for (subject, reader, transport) in
        [("Oaep", &stage.reader, oaep), ("Ancien", &stage.reader, old), ("Courbe", &stage.curve_reader, old)]
    {
        deliver(&dovecot, &stage.to, &stage.sealed(subject, &stage.signer, reader, Form::Client, transport));
        let shown = thunderbird.open(&format!("{subject}@wire.test"));
        assert!(good(&shown) && shown.text.trim() == TEXT, "{subject}: {shown:?}");
    }

    // Altered ciphertext: nothing is shown of it, nothing is called signed.
    for (id, place) in [("fin@wire.test", 40), ("milieu@wire.test", 1200)] {
        let altered = with_container(&mail, id, |mut container| {
            let at = container.len() - place;
            container[at] ^= 1;
            container
        });
        deliver(&dovecot, &stage.to, &altered);
        let shown = thunderbird.open(id);
        assert_eq!((shown.encrypted.as_deref(), shown.signed.as_deref()), (Some("notok"), None), "{id}: {shown:?}");
        assert!(!shown.text.contains(TEXT), "{id}: {shown:?}");
    }

    // Altered text under its old signature, encrypted anew.
    let altered = with_container(&mail, "fraude@wire.test", |container| resealed(&container, &stage.reader));
    deliver(&dovecot, &stage.to, &altered);
    let shown = thunderbird.open("fraude@wire.test");
    assert!(shown.encrypted.as_deref() == Some("ok") && shown.signed.as_deref() == Some("mismatch"), "{shown:?}");
    assert!(shown.signature != SUCCESS && shown.text.contains("Fraud"), "{shown:?}");

    // A certificate for a whole domain names no mailbox: it reads, and says that it cannot tell who signed.
    let domain = stage.sealed("Domaine", &stage.domain_signer, &stage.reader, Form::Client, old);
    deliver(&dovecot, &stage.to, &domain);
    let shown = thunderbird.open("Domaine@wire.test");
    assert_eq!((shown.encrypted.as_deref(), shown.signed.as_deref()), (Some("ok"), Some("mismatch")), "{shown:?}");
    assert_eq!((shown.signature, shown.text.trim()), (WITHOUT_ADDRESS, TEXT), "{shown:?}");

    // What is between gateways it does not read: the day it does is worth knowing.
    deliver(&dovecot, &stage.to, &stage.sealed("Passerelle", &stage.signer, &stage.reader, Form::Gateway, oaep));
    let shown = thunderbird.open("Passerelle@wire.test");
    assert!(shown.encrypted.as_deref() != Some("ok") && !shown.text.contains(TEXT), "{shown:?}");
}
