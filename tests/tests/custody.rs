//! What rests in the gateway's charge: storage keys that rotate under waiting mail, a trail that
//! shows what was altered, and a doctor that says so.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use sceau::demo::cast::Place::{A, B};
use tests::gateway::{sceau, sceau_json};
use tests::process::PATIENCE;
use tests::world::{World, hand_over, letter};

struct Commands {
    configuration: String,
}

impl Commands {
    fn of(world: &World, place: sceau::demo::cast::Place) -> Self {
        Self { configuration: world.configuration(place).to_str().unwrap().to_owned() }
    }

    /// Exit code, standard output and errors of a command that takes `--config`.
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let words = [words, &["--config", &self.configuration]].concat();
        let finished = sceau(&words, b"");
        (finished.code, format!("{}{}", finished.text(), finished.errors))
    }
}

/// A key is put on top while mail waits under the old one: the mail is still delivered, and the
/// old key cannot be retired before.
#[test]
fn storage_keys_rotate_under_waiting_mail() {
    let world = World::new();
    let mut a = world.serve(A);
    let commands = Commands::of(&world, A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    // Nobody listens behind the gateway: what is accepted waits.
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Essai")).code, 250);

    assert_eq!(commands.run(&["storage-key", "rotate"]).0, Some(0));
    let (_, status) = sceau_json(&["storage-key", "status", "--config", &commands.configuration]);
    assert_eq!(
        (status["current"]["bodies"].as_u64(), status["older"][0]["bodies"].as_u64()),
        (Some(0), Some(1)),
        "{status}"
    );
    let (code, said) = commands.run(&["storage-key", "retire"]);
    assert_eq!(code, Some(1), "{said}");
    a.hang_up();
    a.wait_for_line(&["read again"]);

    let inner = world.inner_store(A);
    commands.run(&["queue", "retry", &queue_ids(&commands)[0]]);
    assert_eq!(inner.wait_for(1).len(), 1);
    // New mail is wrapped under the new key, and a restart finds trail and queue in order.
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Encore")).code, 250);
    assert_eq!(inner.wait_for(2).len(), 2);
    a.stop();
    let (code, said) = commands.run(&["storage-key", "retire"]);
    assert_eq!(code, Some(0), "{said}");
    let a = world.serve(A);
    let (code, said) = commands.run(&["trail", "verify"]);
    assert_eq!(code, Some(0), "{said}");
    drop(a);
}

/// A key that the running gateway still wraps under is not retired, even while nothing waits: what it
/// accepts next would be lost at the next start. What depends on a key that is not in the file is told.
#[test]
fn a_storage_key_that_the_gateway_still_wraps_under_is_not_retired() {
    let world = World::new();
    let a = world.serve(A);
    let commands = Commands::of(&world, A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    assert_eq!(commands.run(&["storage-key", "rotate"]).0, Some(0));
    let (code, said) = commands.run(&["storage-key", "retire"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("SIGHUP"), "{said}");
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Essai")).code, 250);
    drop(wire);
    drop(a);

    // Somebody takes the older key away by hand: `status` and `doctor` do not call that good.
    let key = world.configuration(A).with_file_name("storage.key");
    let both = fs::read_to_string(&key).unwrap();
    fs::write(&key, format!("{}\n", both.lines().next().unwrap())).unwrap();
    // The trail's own secrets rest under the older key too: the commands that need them say so.
    let (code, said) = commands.run(&["storage-key", "status"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not in the file"), "{said}");
    let (code, said) = commands.run(&["doctor"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not in the file"), "{said}");
    fs::write(&key, both).unwrap();

    let inner = world.inner_store(A);
    let _a = world.serve(A);
    commands.run(&["queue", "retry", &queue_ids(&commands)[0]]);
    assert_eq!(inner.wait_for(1).len(), 1);
}

fn queue_ids(commands: &Commands) -> Vec<String> {
    let (_, queue) = sceau_json(&["queue", "list", "--config", &commands.configuration]);
    queue["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

/// Root's orders leave nothing below the data folder that is not the gateway's own, follow no link that its
/// user laid, and are noted under the account that the system knows, whatever the environment says.
#[test]
fn what_root_orders_is_done_as_the_gateways_user() {
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    const USER: u32 = 4242;
    let world = World::new();
    if fs::metadata(world.folder()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can become the gateway's user");
        return;
    }
    world.serve(A).stop();
    let configuration = world.configuration(A);
    let key = configuration.with_file_name("storage.key");
    let data = configuration.with_file_name("data");
    let walk = |folder: &std::path::Path| {
        let mut found = vec![folder.to_owned()];
        let mut next = 0;
        while next < found.len() {
            if found[next].symlink_metadata().unwrap().is_dir() {
                found.extend(fs::read_dir(&found[next]).unwrap().map(|entry| entry.unwrap().path()));
            }
            next += 1;
        }
        found
    };
    walk(world.folder()).iter().for_each(|path| chown(path, Some(USER), Some(USER)).unwrap());
    // The key is root's, and the gateway's user may read it: so it stays.
    chown(&key, Some(0), Some(USER)).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();

    let roots = tempfile::tempdir().unwrap();
    let (written, planted) = (roots.path().join("written"), roots.path().join("planted"));
    fs::write(&written, "root's own").unwrap();
    fs::create_dir_all(data.join("trust")).unwrap();
    chown(data.join("trust"), Some(USER), Some(USER)).unwrap();
    symlink(&written, data.join("trust/orders.new")).unwrap();
    symlink(&planted, data.join("trust/orders.lock")).unwrap();
    let order = |words: &[&str]| {
        let mut command = std::process::Command::new(tests::gateway::binary());
        command.args(words).args(["--config", configuration.to_str().unwrap()]);
        let done = command.env("USER", "root.innocent").env("SUDO_USER", "root.innocent").output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let block = ["block", "add", "--domain", "ch-b.mssante.test", "--reason", "essai"];
    assert_ne!(order(&block).0, Some(0), "the lock is a link");
    assert!(!planted.exists() && fs::read_to_string(&written).unwrap() == "root's own");
    fs::remove_file(data.join("trust/orders.lock")).unwrap();
    for words in [
        &block[..],
        &["storage-key", "rotate"],
        &["storage-key", "status"],
        &["partner", "add", "/nowhere/partner.p7m", "--operator", "1990000022"],
        &["queue", "list"],
        &["doctor"],
        &["trail", "search", "event:operator.action"],
    ] {
        let (code, said) = order(words);
        // What no gateway has taken from the outbox yet is not found; the partner's file is not there.
        assert!(["partner", "doctor", "trail"].contains(&words[0]) || code == Some(0), "{words:?}: {said}");
        assert!(!said.contains("Permission denied") || words[0] == "doctor", "{words:?}: {said}");
    }
    assert_eq!(fs::read_to_string(&written).unwrap(), "root's own");
    for path in walk(&data) {
        let found = path.symlink_metadata().unwrap();
        assert!(found.uid() == USER || found.is_symlink(), "{} is not the gateway's", path.display());
    }
    let found = fs::metadata(&key).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (0, USER, 0o640), "owner and mode are kept");
    let orders = fs::read_to_string(data.join("trust/orders.json")).unwrap();
    assert!(!orders.contains("innocent"), "{orders}");
}

/// `make` never touches a file that is there.
#[test]
fn a_storage_key_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storage.key");
    let name = file.to_str().unwrap();
    assert_eq!(sceau(&["storage-key", "make", name], b"").code, Some(0));
    let first = fs::read_to_string(&file).unwrap();
    assert_eq!(first.trim().len(), 64);
    assert_eq!(sceau(&["storage-key", "make", name], b"").code, Some(2));
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
}

/// One octet of the log changed, or the whole history replaced: `trail verify` and `doctor` say so,
/// and the checkpoint that the other hospital keeps uncovers the second.
#[test]
fn an_altered_trail_is_named_and_a_peer_uncovers_a_rewritten_one() {
    let world = World::new();
    let (mut a, mut b) = (world.serve(A), world.serve(B));
    let inner = world.inner_store(B);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    // The trail's first checkpoint covers the start of the service; messages carry it from then on.
    let commands = Commands::of(&world, A);
    let begun = std::time::Instant::now();
    while commands.run(&["trail", "checkpoint"]).0 != Some(0) {
        assert!(begun.elapsed() < PATIENCE, "no checkpoint");
    }
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Essai")).code, 250);
    assert_eq!(inner.wait_for(1).len(), 1);
    drop(wire);
    a.stop();
    b.stop();
    assert_eq!(commands.run(&["trail", "verify"]).0, Some(0));
    let (code, said) = commands.run(&["doctor"]);
    assert_eq!(code, Some(0), "{said}");

    // B logged A's checkpoint: an auditor takes it from there.
    let (_, seen) =
        sceau_json(&["trail", "search", "event:checkpoint.seen", "--config", &Commands::of(&world, B).configuration]);
    let notes: Vec<String> = seen["entries"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["records"].as_array().unwrap().clone())
        .filter_map(|record| record["facts"]["checkpoint"].as_str().map(str::to_owned))
        .collect();
    assert!(!notes.is_empty(), "{seen}");
    let known = world.folder().join("checkpoint-kept-by-b");
    fs::write(&known, base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &notes[0]).unwrap()).unwrap();
    let known = known.to_str().unwrap();
    let (code, said) = commands.run(&["trail", "verify", "--known-checkpoint", known]);
    assert_eq!(code, Some(0), "{said}");

    let tile = first_tile(&PathBuf::from(&commands.configuration).parent().unwrap().join("data/trail"));
    let good = fs::read(&tile).unwrap();
    let mut altered = good.clone();
    altered[40] ^= 1;
    fs::write(&tile, &altered).unwrap();
    let (code, said) = commands.run(&["trail", "verify"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ALTERED") && said.contains("tile"), "{said}");
    assert_eq!(commands.run(&["doctor"]).0, Some(1));
    fs::write(&tile, &good).unwrap();

    // A wrong folder is no good trail, and neither is one that is gone.
    let key = sceau(&["trail", "key", "--config", &commands.configuration], b"").text();
    let nowhere = world.folder().join("nowhere").to_str().unwrap().to_owned();
    let wrong = sceau(&["trail", "verify", &nowhere, "--key", key.trim()], b"");
    assert!(wrong.code == Some(3) && wrong.errors.contains("nothing was verified"), "{}", wrong.errors);
    fs::remove_dir_all(PathBuf::from(&commands.configuration).parent().unwrap().join("data/trail")).unwrap();
    let (code, said) = commands.run(&["trail", "verify"]);
    assert!(code == Some(1) && said.contains("there is not one entry"), "{said}");
    let (code, said) = commands.run(&["doctor"]);
    assert!(code == Some(1) && said.contains("there is not one entry"), "{said}");
    // Whoever holds the keys can begin a new history; it does not contain what B keeps.
    fs::remove_dir_all(PathBuf::from(&commands.configuration).parent().unwrap().join("data/queue")).unwrap();
    let mut a = world.serve(A);
    a.stop();
    assert_eq!(commands.run(&["trail", "verify"]).0, Some(0), "it is a good trail by itself");
    let (code, said) = commands.run(&["trail", "verify", "--known-checkpoint", known]);
    assert_eq!(code, Some(1), "{said}");
}

/// `doctor` reads every waiting body to its end and looks through the queue: what is damaged is named.
#[test]
fn doctor_names_what_is_damaged_in_the_queue() {
    let world = World::new();
    let mut a = world.serve(A);
    let commands = Commands::of(&world, A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    let mut wire = world.submission(A, world.card("martin"));
    let large = [letter(&from, &to, "Grand"), b"0123456789abcdef\r\n".repeat(20_000)].concat();
    assert_eq!(hand_over(&mut wire, &from, &to, &large).code, 250);
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Petit")).code, 250);
    drop(wire);
    a.stop();
    let (code, said) = commands.run(&["doctor"]);
    assert!(code == Some(0) && said.contains("2 bodies read to their end, 0 of them damaged"), "{said}");
    let queue = PathBuf::from(&commands.configuration).parent().unwrap().join("data/queue");
    let body = files(&queue.join("bodies")).remove(0);
    let good = fs::read(&body).unwrap();
    let mut altered = good.clone();
    altered[100_000] ^= 1;
    fs::write(&body, &altered).unwrap();
    let (code, said) = commands.run(&["doctor"]);
    let ids = queue_ids(&commands);
    assert!(code == Some(1) && said.contains(&format!("a body of message {} is damaged", ids[0])), "{said}");
    fs::remove_file(&body).unwrap();
    let (code, said) = commands.run(&["doctor"]);
    let name = body.file_name().unwrap().to_str().unwrap();
    assert!(code == Some(1) && said.contains(&format!("the body {name} is not there")), "{said}");
    fs::write(&body, &good).unwrap();
    assert_eq!(commands.run(&["doctor"]).0, Some(0));
    rusqlite::Connection::open(queue.join("queue.db")).unwrap().execute("UPDATE message SET open = 7", []).unwrap();
    let (code, said) = commands.run(&["doctor"]);
    assert!(code == Some(1) && said.contains("count of open recipients is wrong"), "{said}");
}

/// Whoever can write the queue's file, but has no storage key, turns no letter away: what is no longer as the
/// gateway wrote it is not sent, nobody is told of it, and it goes on once it is as it was.
#[test]
fn a_row_that_somebody_changed_is_not_sent() {
    let world = World::new();
    let mut a = world.serve(A);
    let commands = Commands::of(&world, A);
    let (from, to) = (world.address("martin"), world.address("durand"));
    let mut wire = world.submission(A, world.card("martin"));
    for subject in ["Un", "Deux", "Trois", "Quatre", "Cinq", "Six"] {
        assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, subject)).code, 250);
    }
    drop(wire);
    a.stop();
    let ids = queue_ids(&commands);
    let queue = PathBuf::from(&commands.configuration).parent().unwrap().join("data/queue/queue.db");
    let as_it_was = {
        let open = rusqlite::Connection::open(&queue).unwrap();
        open.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(open);
        fs::read(&queue).unwrap()
    };
    {
        let open = rusqlite::Connection::open(&queue).unwrap();
        let change = |table: &str, id: &str, old: &str, new: &str| {
            // Rows of recipients are numbered after their message's.
            let order = format!(
                "UPDATE {table} SET facts = replace(facts, ?1, ?2) WHERE instr(facts, ?1) > 0 AND \
                 (SELECT seq FROM message WHERE id = ?3) IN (seq, seq >> 12)"
            );
            assert_eq!(open.execute(&order, [old, new, id]).unwrap(), 1, "{table} {old}");
        };
        change("recipient", &ids[0], &to, &world.address("robert"));
        change("message", &ids[1], &from, &world.address("robert"));
        change("recipient", &ids[2], "\"failure\":true", "\"failure\":false");
        // One message gets another's body, sender and notes; the other stays as it was.
        let order = "UPDATE message SET facts = (SELECT facts FROM message AS other WHERE other.id = ?2) WHERE id = ?1";
        open.execute(order, [&ids[3], &ids[4]]).unwrap();
    }
    let mut a = world.serve(A);
    let inner = world.inner_store(A);
    let subject = |message: &[u8]| {
        let text = String::from_utf8_lossy(message).into_owned();
        text.lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).unwrap_or_default()
    };
    let come = |count: usize| -> Vec<String> {
        inner.wait_for(count).iter().map(|captured| subject(&captured.message)).collect()
    };
    // Those that nobody touched come.
    for untouched in [&ids[4], &ids[5]] {
        commands.run(&["queue", "retry", untouched]);
    }
    come(2);
    let altered = a.wait_for_lines(&["was changed by somebody else"], 4);
    assert!(ids[..4].iter().all(|id| altered.iter().any(|line| line.contains(id))), "{altered:?}");
    a.stop();
    let before = come(2);
    assert!(before.iter().all(|subject| ["Cinq", "Six"].contains(&subject.as_str())), "{before:?}");
    fs::write(&queue, as_it_was).unwrap();
    let _a = world.serve(A);
    ids.iter().for_each(|id| drop(commands.run(&["queue", "retry", id])));
    // Those two come again, which is allowed, and the others once.
    let all = ["Un", "Deux", "Trois", "Quatre", "Cinq", "Six"];
    let complete = |count: usize| {
        let come = come(count);
        all.iter().all(|one| come.iter().any(|subject| subject == one))
    };
    assert!((8..14).any(complete));
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Any file of hash tiles.
fn first_tile(trail: &std::path::Path) -> PathBuf {
    let mut folders = vec![trail.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("/tile/") && fs::metadata(&path).unwrap().len() > 41 {
                return path;
            }
        }
    }
    panic!("no tile in {}", trail.display());
}
