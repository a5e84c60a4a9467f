//! What a recipient's own signatures say about what it reads, and what is made of it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::time::Duration;

use ident::{Address, Clock as _, SystemClock, Timestamp};
use mail::{Inside, Limits, Profile, SealRequest};
use pki::certificate::Certificate;
use pki::keys::FileKey;
use sceau::demo::cast::Place::{A, B};
use tests::by_hand::sealed;
use tests::gateway::{sceau, sceau_json};
use tests::wire::Wire;
use tests::world::{World, hand_over, letter};

const SIGNER_B: (&str, &str) = ("ch-b/signing.pem", "ch-b/signing.key");
const SIGNER_A: (&str, &str) = ("ch-a/signing.pem", "ch-a/signing.key");
const READER_A: &str = "ch-a/decryption.pem";
const DEFAULT: &str = "profile gateway, AES-256-GCM: the form between gateways: nothing else is known";
const CLIENT: &str = "profile client, AES-256-CBC: it reads AES-CBC, says its signature by ";
const GATEWAY: &str =
    "profile gateway, AES-256-GCM: it reads AES-256-GCM, AES-CBC, RSA-OAEP with SHA-256, says its signature by ";

/// How A would write to B's doctor.
fn explained(world: &World) -> String {
    let (configuration, card) = (world.configuration(A), &world.card("martin").certificate);
    let arguments = ["explain", "--config", configuration.to_str().unwrap(), "--as", card.to_str().unwrap()];
    sceau(&[&arguments[..], &["--from", &world.address("martin"), "--to", &world.address("moreau")]].concat(), b"")
        .text()
}

#[track_caller]
fn assert_form(world: &World, form: &str) {
    let told = explained(world);
    assert!(told.contains(form), "expected {form}, got {told}");
}

/// From B's doctor to A's, as a program signs that lists AES-CBC and triple DES: OpenSSL's command line.
fn by_openssl(world: &World, subject: &str, signer: (&str, &str)) -> Vec<u8> {
    sealed(world, &letter(&world.address("moreau"), &world.address("martin"), subject), signer, READER_A)
}

/// The same from a gateway of ours that signs at this moment.
fn by_gateway(world: &World, subject: &str, at: Timestamp) -> Vec<u8> {
    let read = |name: &str| std::fs::read(world.folder().join(name)).unwrap();
    let signer = FileKey::from_pem(&read(SIGNER_B.1), &read(SIGNER_B.0), None).unwrap();
    let message = letter(&world.address("moreau"), &world.address("martin"), subject);
    let request = SealRequest {
        message: &message,
        recipients: &[Address::parse(&world.address("martin")).unwrap()],
        signer: &signer,
        to: &[&Certificate::from_pem(&read(READER_A)).unwrap()],
        profile: Profile::Gateway,
        inside: Inside::Binary,
        at,
        assurance: None,
        extra: &[],
        authserv_id: "smtp.ch-b.mssante.test",
        subject: mail::DEFAULT_SUBJECT,
        limits: &Limits::default(),
    };
    mail::seal(&request).unwrap().bytes
}

#[test]
fn the_newest_good_signature_of_a_recipient_chooses_the_form() {
    let world = World::new();
    let (from, to) = (world.address("moreau"), world.address("martin"));
    let _inner = world.inner_store(A);
    let store = world.inner_store(B);
    let _a = world.serve(A);
    let mut wire = world.exchange(A, &world.space.gateways[1]);
    let send = |wire: &mut Wire, message: &[u8]| hand_over(wire, &from, &to, message).code;
    assert_form(&world, DEFAULT);

    // A signature that is not B's teaches nothing, whatever it lists.
    assert_eq!(send(&mut wire, &by_openssl(&world, "Faux", SIGNER_A)), 550);
    assert_form(&world, DEFAULT);

    let first = by_openssl(&world, "Ancien", SIGNER_B);
    assert_eq!(send(&mut wire, &first), 250);
    let told = explained(&world);
    let signer = Certificate::from_pem(&std::fs::read(world.folder().join(SIGNER_B.0)).unwrap()).unwrap();
    let source = format!("{CLIENT}{}, received ", signer.fingerprint());
    assert!(told.contains(&source) && told.contains(", signed "), "{told}");
    {
        // And so it is written, told in the trail, and read.
        let _b = world.serve(B);
        let mut wire = world.submission(A, world.card("martin"));
        assert_eq!(hand_over(&mut wire, &to, &from, &letter(&to, &from, "Reponse")).code, 250);
        let mail = String::from_utf8_lossy(&store.wait_for(1)[0].message).into_owned();
        assert!(mail.contains("X-Sceau-Signature: valid") && mail.contains("Texte confidentiel"), "{mail}");
        let configuration = world.configuration(A);
        let why = sceau_json(&["why", "Reponse@wire.test", "--config", configuration.to_str().unwrap()]).1.to_string();
        assert!(why.contains("form-from-capabilities") && why.contains("client"), "{why}");
    }

    // A newer signature replaces it; the first message again, under another name or not, does not come back.
    let now = SystemClock.now();
    assert_eq!(send(&mut wire, &by_gateway(&world, "Nouveau", now.plus(Duration::from_secs(240)))), 250);
    assert_form(&world, GATEWAY);
    assert_eq!(send(&mut wire, &first), 250);
    assert_eq!(send(&mut wire, &by_openssl(&world, "Encore", SIGNER_B)), 250);
    assert_form(&world, GATEWAY);

    // Two lessons, two lines.
    let file = world.configuration(A).with_file_name("data").join("capabilities.jsonl");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);

    // The configuration comes first, and may have nobody's word followed.
    world.edit(A, "sceau.toml", "smime = \"required\"", "smime = \"required\"\nprofile = \"client\"");
    assert_form(&world, "profile client, AES-256-CBC: the [[partner]] entry says so");
    world.edit(A, "sceau.toml", "\nprofile = \"client\"", "");
    world.append(A, "sceau.toml", "[seal]\ncapabilities = \"nobody\"");
    assert_form(&world, DEFAULT);
}
