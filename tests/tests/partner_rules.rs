//! Partner rules: every rule with every state of the partner's certificate, in both directions.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::cell::Cell;

use ident::{Address, Clock, SystemClock, Timestamp};
use mail::{Profile, SealRequest, seal_with};
use pki::certificate::Certificate;
use pki::cms::RsaTransport;
use pki::issue::{KeyAlgorithm, ServerMailUse};
use pki::keys::FileKey;
use sceau::admission::content::check_announced;
use sceau::admission::exchange::{admit_size, admit_unsealed};
use sceau::admission::recipient::{Protection, admit_recipient};
use sceau::config::{Loaded, Size};
use sceau::delivery::{End, still_reads};
use sceau::demo::cast::Place::{A, B};
use sceau::refusal::{Refusal, RefusalId};
use sceau::snapshot::Snapshot;
use tests::mint::Mint;
use tests::world::{World, assert_refused, hand_over, letter};

const RULES: [&str; 3] = ["required", "when_possible", "never"];
const POLICY: &str = "1.2.250.1.213.1.7.2.1.1.1.1";

/// A space with certificates of hospital B in every state.
struct Stage {
    world: World,
    now: Timestamp,
    variants: Cell<usize>,
}

impl Stage {
    fn new() -> Self {
        let (world, now) = (World::new(), SystemClock.now());
        let mut mint = Mint::trusted_in(&world, now);
        for (usage, word) in [(ServerMailUse::Confidentiality, "reads"), (ServerMailUse::Sign, "signs")] {
            let _ = mint.mail(&format!("valid-{word}"), B, usage);
            let _ = mint.expired(&format!("expired-{word}"), B, usage);
            let revoked = mint.mail(&format!("revoked-{word}"), B, usage);
            mint.revoke(&revoked);
            let _ =
                mint.mail_with(&format!("other-policy-{word}"), B, usage, |it| it.policies = vec!["1.2.3.4".into()]);
        }
        let _ = mint.mail_with("rsa-reads", B, ServerMailUse::Confidentiality, |it| it.key = KeyAlgorithm::Rsa2048);
        Self { world, now, variants: Cell::new(0) }
    }

    /// What hospital A knows when its `[[partner]]` entry for B says this (`smime = …` and more), and its book
    /// holds the certificates of these states.
    #[track_caller]
    fn at_a(&self, rule: &str, states: &[&str]) -> Snapshot {
        let file = self.world.configuration(A);
        let mut text = std::fs::read_to_string(&file).unwrap();
        for usage in ["signs", "reads"] {
            let known = format!(
                "[[book]]\ndomain = \"ch-b.mssante.test\"\nuse = \"{usage}\"\ncertificate = \"../book/ch-b-{usage}.pem\"\n"
            );
            assert!(text.contains(&known));
            let held = states.iter().map(|state| {
                known.replace(&format!("../book/ch-b-{usage}.pem"), &format!("../mint/{state}-{usage}.pem"))
            });
            let held: String = held.filter(|_| usage == "reads" || !states.contains(&"rsa")).collect();
            text = text.replace(&known, &held);
        }
        text = text.replacen("smime = \"required\"\n", &format!("{rule}\n"), 1);
        // A data folder of its own: what one variant remembers must not decide in another.
        self.variants.set(self.variants.get() + 1);
        let data = format!("data-{}", self.variants.get());
        std::fs::create_dir(file.with_file_name(&data)).unwrap();
        text = text.replace("data = \"data\"", &format!("data = \"{data}\""));
        let loaded =
            Loaded { config: sceau::config::parse(&file, &text).unwrap(), folder: file.parent().unwrap().to_owned() };
        Snapshot::load(&loaded, self.now).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn moreau(&self) -> Address {
        Address::parse(&self.world.address("moreau")).unwrap()
    }

    /// How mail to B goes, or the refusal's id.
    fn outgoing(&self, snapshot: &Snapshot) -> Result<&'static str, RefusalId> {
        let admitted = admit_recipient(snapshot, &self.moreau(), self.now).map_err(id)?;
        Ok(match admitted.protection {
            Protection::Sealed { .. } => "sealed",
            Protection::Signed => "signed",
            Protection::Transport => "mutual TLS",
        })
    }
}

fn id(refusal: Refusal) -> RefusalId {
    refusal.id
}

/// Outwards: twelve rows and the default.
#[test]
fn each_rule_with_each_state_of_the_certificate_outwards() {
    let stage = Stage::new();
    let (sealed, plain) = (Ok("sealed"), Ok("mutual TLS"));
    let (awaited, invalid) = (Err(RefusalId::RecipientCertificateAwaited), Err(RefusalId::RecipientCertificateInvalid));
    let none = Err(RefusalId::NoCertificateForRecipient);
    for (state, required, possible) in [
        ("valid", sealed, sealed),
        ("absent", none, plain),
        ("expired", awaited, awaited),
        ("revoked", invalid, invalid),
    ] {
        let states: &[&str] = if state == "absent" { &[] } else { &[state] };
        for (rule, expected) in RULES.iter().zip([required, possible, plain]) {
            let snapshot = stage.at_a(&format!("smime = \"{rule}\""), states);
            assert_eq!(stage.outgoing(&snapshot), expected, "{rule}, {state}");
        }
    }
    // One good one among bad ones is enough (NT-T10); among bad ones the hopeful reason is told.
    let required = "smime = \"required\"";
    assert_eq!(stage.outgoing(&stage.at_a(required, &["expired", "revoked", "valid"])), sealed);
    assert_eq!(stage.outgoing(&stage.at_a(required, &["revoked", "expired"])), awaited);
}

/// A certificate that ends while mail sealed for it waits costs no bounce; one that is revoked does.
#[test]
fn what_was_sealed_in_time_outlives_the_last_day_of_its_certificate() {
    let stage = Stage::new();
    let snapshot = stage.at_a("smime = \"required\"", &["expired", "revoked"]);
    let certificate = |name: &str| {
        let file = stage.world.configuration(A).with_file_name(format!("../mint/{name}-reads.pem"));
        Certificate::list_from_pem(&std::fs::read(file).unwrap()).unwrap().remove(0)
    };
    let (expired, revoked) = (certificate("expired"), certificate("revoked"));
    let in_time = expired.not_after().minus(std::time::Duration::from_secs(60));
    // The authorities of this space are younger than the certificate's end: it waits, it does not come back.
    let kept = still_reads(&snapshot, &expired, in_time, stage.now);
    assert!(!matches!(kept, Err(End::Permanent { .. })), "{kept:?}");
    let late = still_reads(&snapshot, &expired, stage.now, stage.now);
    assert!(matches!(&late, Err(End::Temporary { code, .. }) if code == "recipient-certificate-awaited"), "{late:?}");
    let gone = still_reads(&snapshot, &revoked, in_time, stage.now);
    assert!(matches!(&gone, Err(End::Permanent { code, .. }) if code == "recipient-certificate-invalid"), "{gone:?}");
}

/// Inwards, unsealed: what counts is whether a certificate is known, not whether it is good today.
#[test]
fn each_rule_with_each_state_of_the_certificate_inwards_unsealed() {
    let stage = Stage::new();
    let refused = Err(RefusalId::SealRequired);
    for state in ["valid", "absent", "expired", "revoked"] {
        let states: &[&str] = if state == "absent" { &[] } else { &[state] };
        let possible = if state == "absent" { Ok(()) } else { refused };
        for (rule, expected) in RULES.iter().zip([refused, possible, Ok(())]) {
            let snapshot = stage.at_a(&format!("smime = \"{rule}\""), states);
            assert_eq!(admit_unsealed(&snapshot, &stage.moreau()).map_err(id), expected, "{rule}, {state}");
        }
    }
    // A domain that we sealed for once writes sealed, too, whatever became of its certificates.
    let snapshot = stage.at_a("smime = \"when_possible\"", &[]);
    snapshot.sealed_before.remember(stage.moreau().domain()).unwrap();
    assert_eq!(admit_unsealed(&snapshot, &stage.moreau()).map_err(id), refused);
    assert_eq!(stage.outgoing(&snapshot), Err(RefusalId::RecipientCertificateAwaited));
}

/// Inwards, sealed, through the door: whatever the rule asks for, a signature that is there must be good.
#[test]
fn each_rule_with_each_state_of_the_certificate_inwards_sealed() {
    let stage = Stage::new();
    let world = &stage.world;
    for usage in ["signs", "reads"] {
        let known = format!(
            "[[book]]\ndomain = \"ch-b.mssante.test\"\nuse = \"{usage}\"\ncertificate = \"../book/ch-b-{usage}.pem\"\n"
        );
        let held: String = ["valid", "expired", "revoked"]
            .iter()
            .map(|state| known.replace(&format!("../book/ch-b-{usage}.pem"), &format!("../mint/{state}-{usage}.pem")))
            .collect();
        world.edit(A, "sceau.toml", &known, &held);
    }
    let _inner = world.inner_store(A);
    let (mut rule, tls) = ("required", world.space.gateways[1].clone());
    for next in RULES {
        world.edit(A, "sceau.toml", &format!("smime = \"{rule}\""), &format!("smime = \"{next}\""));
        rule = next;
        let _a = world.serve(A);
        let mut wire = world.exchange(A, &tls);
        for (state, code, refusal) in [
            ("valid", 250, ""),
            ("expired", 554, "signature-invalid"),
            ("revoked", 554, "signature-invalid"),
            // "Absent": a certificate of B's that A's book does not hold.
            ("other-policy", 550, "signer-not-bound"),
        ] {
            let message = sealed_by_b(world, state, &format!("{next} {state}"), None);
            let reply = hand_over(&mut wire, &world.address("moreau"), &world.address("martin"), &message);
            match code {
                250 => assert_eq!(reply.code, 250, "{next}, {state}: {}", reply.text()),
                _ => assert_refused(&reply, code, refusal),
            }
        }
    }
}

/// A letter from B's doctor to A's, signed with B's certificate in this state and sealed for A.
fn sealed_by_b(world: &World, state: &str, subject: &str, profile: Option<Profile>) -> Vec<u8> {
    let message = letter(&world.address("moreau"), &world.address("martin"), subject);
    sealed(world, state, &message, profile.unwrap_or(Profile::Gateway))
}

fn sealed(world: &World, state: &str, message: &[u8], profile: Profile) -> Vec<u8> {
    let read = |name: &str| std::fs::read(world.folder().join(name)).unwrap();
    let pair = (read(&format!("mint/{state}-signs.key")), read(&format!("mint/{state}-signs.pem")));
    let signer = FileKey::from_pem(&pair.0, &pair.1, None).unwrap();
    let reader = Certificate::from_pem(&read("book/ch-a-reads.pem")).unwrap();
    let recipients = [Address::parse(&world.address("martin")).unwrap()];
    let request = SealRequest {
        message: &message,
        recipients: &recipients,
        signer: &signer,
        to: &[&reader],
        profile,
        inside: mail::Inside::Binary,
        at: SystemClock.now(),
        assurance: None,
        extra: &[],
        authserv_id: "smtp.ch-b.mssante.test",
        subject: mail::DEFAULT_SUBJECT,
        limits: &mail::Limits::default(),
    };
    let bytes = seal_with(&request, RsaTransport::OaepSha256).unwrap().bytes;
    // The dot that ends DATA comes after the last line.
    assert!(bytes.ends_with(b"\r\n") && !bytes.windows(3).any(|line| line == b"\n.\r"));
    bytes
}

/// Both ways: a certificate whose path follows none of the accepted policies.
#[test]
fn a_certificate_under_another_policy_is_refused() {
    let stage = Stage::new();
    let rule = format!("smime = \"required\"\npolicies = [\"{POLICY}\"]");
    assert_eq!(stage.outgoing(&stage.at_a(&rule, &["valid"])), Ok("sealed"));
    let other = stage.at_a(&rule, &["other-policy"]);
    assert_eq!(stage.outgoing(&other), Err(RefusalId::PolicyNotAccepted));
    assert_eq!(stage.outgoing(&stage.at_a(&rule, &["other-policy", "valid"])), Ok("sealed"));
    let signer = |state: &str| {
        let pem = std::fs::read(stage.world.folder().join(format!("mint/{state}-signs.pem"))).unwrap();
        let signer = Certificate::from_pem(&pem).unwrap();
        sceau::admission::exchange::admit_signer(&other, &stage.moreau(), &signer, stage.now).map_err(id)
    };
    assert_eq!((signer("valid"), signer("other-policy")), (Ok(()), Err(RefusalId::PolicyNotAccepted)));
}

/// Both ways: key transports outwards, ciphers inwards.
#[test]
fn an_algorithm_outside_the_partner_rule_is_refused() {
    let stage = Stage::new();
    let rule = |transports: &str| format!("smime = \"required\"\nkey_transports = [{transports}]");
    let oaep = stage.at_a(&rule("\"rsa-oaep\""), &["valid"]);
    assert_eq!(stage.outgoing(&oaep), Err(RefusalId::AlgorithmNotAllowed), "a curve takes no RSA transport");
    assert_eq!(stage.outgoing(&stage.at_a(&rule("\"rsa-oaep\""), &["rsa"])), Ok("sealed"));
    assert_eq!(stage.outgoing(&stage.at_a(&rule("\"rsa-oaep\", \"ecdh\""), &["valid"])), Ok("sealed"));
    let old = stage.at_a(&format!("profile = \"client\"\n{}", rule("\"rsa-pkcs1\"")), &["rsa"]);
    let admitted = admit_recipient(&old, &stage.moreau(), stage.now).unwrap();
    let Protection::Sealed { form, .. } = admitted.protection else { panic!("not sealed") };
    assert_eq!(form.transport, RsaTransport::Pkcs1);

    let world = &stage.world;
    world.edit(
        A,
        "sceau.toml",
        "smime = \"required\"",
        "smime = \"required\"\nciphers = [\"aes-256-gcm\"]\nmax_incoming = \"64KB\"",
    );
    world.edit(A, "sceau.toml", "../book/ch-b-signs.pem", "../mint/valid-signs.pem");
    let _inner = world.inner_store(A);
    let _a = world.serve(A);
    let mut wire = world.exchange(A, &world.space.gateways[1]);
    let (from, to) = (world.address("moreau"), world.address("martin"));
    let gcm = sealed_by_b(world, "valid", "Authentifie", None);
    assert_eq!(hand_over(&mut wire, &from, &to, &gcm).code, 250);
    let cbc = sealed_by_b(world, "valid", "Ancien", Some(Profile::Client));
    assert_refused(&hand_over(&mut wire, &from, &to, &cbc), 554, "algorithm-not-allowed");
    // Sizes inwards: what is announced, and what comes.
    wire.say(&format!("MAIL FROM:<{from}> SIZE=70000"));
    assert_refused(&wire.reply(), 552, "too-large");
    let large = [letter(&from, &to, "Gros"), b"texte\r\n".repeat(15_000)].concat();
    let large = sealed(world, "valid", &large, Profile::Gateway);
    assert_refused(&hand_over(&mut wire, &from, &to, &large), 552, "too-large");
}

/// Outwards the size is looked at when it is announced, and again at the end.
#[test]
fn a_size_over_the_partner_rule_is_refused_at_rcpt() {
    let stage = Stage::new();
    let snapshot = stage.at_a("smime = \"required\"\nmax_size = \"64KB\"\nmax_incoming = \"32KB\"", &["valid"]);
    let admitted = admit_recipient(&snapshot, &stage.moreau(), stage.now).unwrap();
    assert_eq!(admitted.max_size, Some(Size::parse("64KB").unwrap().0));
    assert_eq!(check_announced(&admitted, Some(65_537)).map_err(id), Err(RefusalId::TooLargeForRecipient));
    assert!(check_announced(&admitted, Some(1000)).is_ok() && check_announced(&admitted, None).is_ok());
    assert_eq!(admit_size(&snapshot, &stage.moreau(), 32_769).map_err(id), Err(RefusalId::TooLarge));
    let martin = Address::parse(&stage.world.address("martin")).unwrap();
    assert!(admit_size(&snapshot, &stage.moreau(), 32_768).is_ok() && admit_size(&snapshot, &martin, 1 << 40).is_ok());
}

/// A doctor's box is no structure's: a certificate of B's own, for another service, does not write as her,
/// but it does as the service.
#[test]
fn a_structure_does_not_write_as_its_doctors() {
    let stage = Stage::new();
    let world = &stage.world;
    let _inner = world.inner_store(A);
    let _a = world.serve(A);
    let mut wire = world.exchange(A, &world.space.gateways[1]);
    let (from, to) = (world.address("moreau"), world.address("martin"));
    let reply = hand_over(&mut wire, &from, &to, &sealed_by_b(world, "valid", "Au nom du medecin", None));
    assert_refused(&reply, 550, "signer-not-bound");
}
