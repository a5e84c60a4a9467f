//! What an auditor takes home, and what is erased when its time is over: the commands as people use
//! them, against a running gateway.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sceau::demo::cast::Place::{A, B};
use tests::crash::canary::Canaries;
use tests::gateway::{sceau, sceau_json};
use tests::process::{Finished, PATIENCE};
use tests::world::{World, hand_over, letter};

struct Auditor {
    configuration: String,
}

impl Auditor {
    fn of(world: &World) -> Self {
        Self { configuration: world.configuration(A).to_str().unwrap().to_owned() }
    }

    fn run(&self, words: &[&str]) -> Finished {
        sceau(&[words, &["--config", &self.configuration]].concat(), b"")
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        sceau_json(&[words, &["--config", &self.configuration]].concat()).1
    }

    /// Polls until the trail knows something.
    #[track_caller]
    fn until_found(&self, term: &str, found: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&["trail", "search", term]).code != Some(i32::from(!found)) {
            assert!(Instant::now() < deadline, "{term} found: never {found}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Queue id in the reply to the message.
fn sent(world: &World, subject: &str) -> String {
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, subject));
    assert_eq!(reply.code, 250);
    let text = reply.text();
    text.split_whitespace().skip_while(|word| *word != "as").nth(1).unwrap().trim_end_matches('.').to_owned()
}

/// The file is read by a program that has neither configuration nor trail, as on an auditor's machine.
fn alone(arguments: &[&str]) -> Finished {
    sceau(&[&["trail", "verify"], arguments].concat(), b"")
}

#[test]
fn evidence_stands_alone_and_any_change_of_it_is_seen() {
    let world = World::new();
    let mut a = world.serve(A);
    let _b = world.serve(B);
    let inner = world.inner_store(B);
    let auditor = Auditor::of(&world);
    let id = sent(&world, "Essai");
    assert_eq!(inner.wait_for(1).len(), 1);
    auditor.until_found("event:delivery.delivered", true);
    let place = |name: &str| world.folder().join(name).to_str().unwrap().to_owned();
    let (key, known) = (auditor.run(&["trail", "key"]).text(), auditor.run(&["trail", "checkpoint"]).text());
    let kept = place("kept");
    fs::write(&kept, known).unwrap();
    // Something follows, so that the log goes on.
    let other = sent(&world, "Encore");
    assert_eq!(inner.wait_for(2).len(), 2);
    auditor.until_found(&format!("id:{other}"), true);

    let bundle = place("evidence.json");
    let words = [
        "trail",
        "export",
        "--message",
        &id,
        "--known-checkpoint",
        &kept,
        "--output",
        &bundle,
        "--reason",
        "plainte 12",
    ];
    drop(auditor.run(&words).success());
    assert_eq!(auditor.run(&words).code, Some(2), "a file that is there is not touched");
    let said = alone(&[&bundle, "--key", key.trim(), "--known-checkpoint", &kept]);
    assert_eq!(said.code, Some(0), "{}{}", said.text(), said.errors);
    for part in [&id, "message pris en charge", "remis", "prouve / this bundle proves", "It does not", "kept elsewhere"]
    {
        assert!(said.text().to_lowercase().contains(&part.to_lowercase()), "{part}: {}", said.text());
    }
    assert!(!said.text().contains(&other), "it tells of the other message, too");
    let own = alone(&[&bundle, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&own.output).unwrap();
    assert_eq!((report["ok"].as_bool(), report["key_known"].as_bool()), (Some(true), Some(false)));

    let text = fs::read_to_string(&bundle).unwrap();
    for (from, to) in [("message.accepted", "message.accepteD"), ("\"entry\": ", "\"entry\": 1"), ("\n}\n", "\n} \n")] {
        assert!(text.contains(from));
        fs::write(&bundle, text.replacen(from, to, 1)).unwrap();
        let said = alone(&[&bundle, "--key", key.trim()]);
        assert!(said.code == Some(1) && said.text().contains("ALTERED"), "{from}: {}", said.text());
    }
    // A checkpoint that the bundle does not reach to is no yes and no no.
    fs::write(&bundle, text).unwrap();
    let later = sent(&world, "Ensuite");
    auditor.until_found(&format!("id:{later}"), true);
    fs::write(&kept, auditor.run(&["trail", "checkpoint"]).text()).unwrap();
    let said = alone(&[&bundle, "--known-checkpoint", &kept]);
    assert_eq!(said.code, Some(3), "{}", said.text());

    // A period: whole.
    let (from, to) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let period = auditor.run(&["trail", "export", "--since", from, "--until", to]).success();
    let whole = place("whole.json");
    fs::write(&whole, &period).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&alone(&[&whole, "--json"]).output).unwrap();
    let entries = report["entries"].as_array().unwrap();
    assert!(report["ok"] == true && entries.len() > 5, "{report}");
    assert_eq!(report["about"]["entries"]["to"].as_u64(), Some(entries.len() as u64));

    // Who read is told, with the reason.
    let read = auditor.json(&["trail", "search", "event:trail.read"]).to_string();
    assert!(read.contains("plainte 12") && read.contains(&format!("export id:{id}")), "{read}");
    // A new index is made while nobody writes only.
    let reindex = auditor.run(&["trail", "reindex"]);
    assert!(reindex.code == Some(3) && reindex.errors.contains("another process"), "{}", reindex.errors);
    a.stop();
    drop(auditor.run(&["trail", "reindex"]).success());
    drop(auditor.run(&["trail", "reindex", "--check"]).success());
    assert_eq!(auditor.run(&["trail", "verify"]).code, Some(0));
}

/// A name that is in the trail alone: the program of a session without a message gave it.
const CANARY: &str = "canari-efface-5c20.exemple.test";

fn files_with_canary(data: &Path) -> Vec<PathBuf> {
    let canary = Canaries::new(&[("name", CANARY)]);
    canary.search_files(data, &[]).into_iter().map(|(path, _)| path).collect()
}

/// Records whose time is over go, in the trail and in what the queue's file still held of them; what
/// is held stays; both while the gateway runs and without it; and the trail verifies.
#[test]
fn what_is_due_and_not_held_is_purged_for_good() {
    let world = World::new();
    world.append(A, "sceau.toml", "[trail]\nkeep_mail = \"1s\"\nkeep_access = \"1s\"\n");
    let mut a = world.serve(A);
    let _b = world.serve(B);
    let inner = world.inner_store(B);
    let auditor = Auditor::of(&world);
    let data = Path::new(&auditor.configuration).parent().unwrap().join("data");
    let (held, gone) = (sent(&world, "Un"), sent(&world, "Deux"));
    assert_eq!(inner.wait_for(2).len(), 2);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("EHLO {CANARY}"), 250);
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("martin")), 250);
    drop(wire);
    let shown =
        || auditor.run(&["trail", "search", "event:connection.authenticated", "--json"]).text().contains(CANARY);
    let deadline = Instant::now() + PATIENCE;
    while !shown() {
        assert!(Instant::now() < deadline, "the session is not in the trail");
    }
    assert!(!files_with_canary(&data).is_empty(), "the queue's file has held the record on its way to the trail");

    let added = auditor.json(&["trail", "hold", "add", &format!("id:{held}"), "--reason", "réquisition"]);
    assert!(added["entries"].as_u64() > Some(0), "{added}");
    assert_eq!(auditor.run(&["trail", "hold", "add", "sender:x", "--reason", "faute"]).code, Some(2));
    let number = added["hold"].as_u64().unwrap_or_else(|| panic!("{added}")).to_string();
    // Until all that is known of the other message and of the refused address is older than a second.
    let deadline = Instant::now() + PATIENCE;
    let known = |term: &str| auditor.run(&["trail", "search", term]).code == Some(0);
    while known(&format!("id:{gone}")) || shown() {
        assert!(Instant::now() < deadline);
        drop(auditor.run(&["trail", "purge", "--reason", "échéance"]).success());
    }
    assert!(known(&format!("id:{held}")), "a held message was erased");
    assert!(auditor.run(&["trail", "hold", "list"]).text().contains("réquisition"));
    assert_eq!(files_with_canary(&data), [] as [PathBuf; 0], "what was purged rests somewhere");
    a.stop();
    let report = auditor.json(&["trail", "verify"]);
    assert!(report["ok"] == true && report["erased"].as_u64() > Some(1), "{report}");
    assert_eq!(auditor.run(&["trail", "reindex", "--check"]).code, Some(0));

    // Without a gateway the command does it by itself.
    drop(auditor.run(&["trail", "hold", "remove", &number, "--reason", "levée"]).success());
    let purged = auditor.json(&["trail", "purge"]);
    assert!(purged["purged"][0]["records"].as_u64() > Some(0), "{purged}");
    assert!(!known(&format!("id:{held}")));
    let report = auditor.json(&["trail", "verify"]);
    assert!(report["ok"] == true, "{report}");
    let told = auditor.json(&["trail", "search", "event:trail.purged"]);
    assert!(told["entries"].as_array().unwrap().len() >= 2, "{told}");
    let acts = auditor.json(&["trail", "search", "event:operator.action"]).to_string();
    for act in ["trail.purge", "trail.hold.add", "échéance"] {
        assert!(acts.contains(act), "{act}: {acts}");
    }
}
