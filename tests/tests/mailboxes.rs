//! The life of our own mailboxes, ordered from the command line while the gateway runs: opened, delegated, hidden, closed;
//! and mail to those that no national file lists.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use sceau::demo::cast::Place::{self, A, B};
use serde_json::Value;
use tests::{
    gateway::{sceau, sceau_json},
    process::PATIENCE,
    world::{World, assert_refused, hand_over, letter},
};

/// `sceau annuaire mailbox …` at a hospital whose gateway runs: done when it answers by the change.
#[track_caller]
fn ordered(world: &World, place: Place, order: &[&str]) -> Value {
    let (code, told) = order_of(world, place, order, &["--wait", "30s"]);
    assert_eq!(code, Some(0), "{order:?}: {told}");
    told
}

fn order_of(world: &World, place: Place, order: &[&str], more: &[&str]) -> (Option<i32>, Value) {
    let configuration = world.configuration(place);
    let mut arguments = vec!["annuaire", "mailbox"];
    arguments.extend(order);
    arguments.extend(["--config", configuration.to_str().unwrap()]);
    arguments.extend(more);
    sceau_json(&arguments)
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn id(world: &World, key: &str) -> String {
    world.space.holder(key).unwrap().person.id.to_string()
}

/// REG-2: whoever writes to a closed mailbox is told since when and who takes over, whoever writes from it that it is
/// closed; its address goes to nobody else; its holder may have it back.
#[test]
fn a_closed_mailbox_neither_takes_nor_sends() {
    let world = World::new();
    let store = world.inner_store(A);
    let _a = world.serve(A);
    let (durand, martin) = (world.address("durand"), world.address("martin"));
    let ward = A.address("cardiologie").unwrap().to_string();
    ordered(&world, A, &["close", &durand, "--successor", &ward, "--reason", "départ en retraite"]);

    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{martin}>"), 250);
    wire.say(&format!("RCPT TO:<{durand}>"));
    let reply = wire.reply();
    assert_refused(&reply, 551, "recipient-moved");
    assert!(reply.text().contains(&ward) && reply.text().contains("fermee") && reply.text().contains("closed"));
    wire.exchange(&format!("RCPT TO:<{ward}>"), 250);
    let mut wire = world.submission(A, world.card("durand"));
    wire.say(&format!("MAIL FROM:<{durand}>"));
    assert_refused(&wire.reply(), 550, "sender-closed");

    // Other operators are told the same.
    let mut wire = world.exchange(A, &world.space.operator);
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("petit")), 250);
    wire.say(&format!("RCPT TO:<{durand}>"));
    assert_refused(&wire.reply(), 551, "recipient-moved");
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let found = sceau_json(&["annuaire", "lookup", "--address", &durand, "--config", configuration]).1;
    assert_eq!((&found["found"], &found["successor"]), (&Value::Bool(false), &Value::from(ward.clone())), "{found}");
    assert!(found["gone"].is_string(), "{found}");

    // Nobody else gets the address; its holder does.
    let create = ["create", &durand, "--type", "PER", "--owner", &id(&world, "martin")];
    let (code, told) = order_of(&world, A, &create, &[]);
    assert_eq!((code, told["refused"][0]["column"].as_str()), (Some(1), Some("address")), "{told}");
    ordered(&world, A, &["close", &durand]);
    let mut wire = world.submission(A, world.card("martin"));
    wire.exchange(&format!("MAIL FROM:<{martin}>"), 250);
    wire.say(&format!("RCPT TO:<{durand}>"));
    assert_refused(&wire.reply(), 550, "recipient-closed");
    ordered(&world, A, &["reopen", &durand]);
    let mut wire = world.submission(A, world.card("durand"));
    assert_eq!(hand_over(&mut wire, &durand, &durand, &letter(&durand, &durand, "De retour")).code, 250);
    assert!(String::from_utf8_lossy(&store.wait_for(1)[0].message).contains("Subject: De retour"));
}

/// REG-1: what is ordered holds at once, without a restart: who may write, what is shown; and the trail knows who
/// ordered it and why.
#[test]
fn what_is_ordered_holds_at_once_and_is_in_the_trail() {
    let world = World::new();
    let a = world.serve(A);
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let new = A.address("urgences-test").unwrap().to_string();
    let durand = id(&world, "durand");
    let structure = A.structure().unwrap().id.to_string();
    let create = ["create", &new, "--type", "ORG", "--structure", &structure, "--name", "Urgences"];
    let (code, told) = order_of(&world, A, &create, &["--dry-run"]);
    assert_eq!((code, told["carried_out"].as_bool()), (Some(0), Some(false)), "{told}");
    let mut wire = world.submission(A, world.card("durand"));
    wire.say(&format!("MAIL FROM:<{new}>"));
    assert_refused(&wire.reply(), 550, "sender-unknown");
    ordered(&world, A, &create);
    wire.say(&format!("MAIL FROM:<{new}>"));
    assert_refused(&wire.reply(), 550, "not-your-address");
    ordered(&world, A, &["delegate", &new, "--to", &durand, "--read-only"]);
    wire.say(&format!("MAIL FROM:<{new}>"));
    assert_refused(&wire.reply(), 550, "not-your-address");
    ordered(&world, A, &["delegate", &new, "--to", &durand, "--until", "2999-12-31", "--reason", "garde de nuit"]);
    wire.exchange(&format!("MAIL FROM:<{new}>"), 250);
    wire.exchange("RSET", 250);
    ordered(&world, A, &["withdraw", &new, "--from", &durand]);
    wire.say(&format!("MAIL FROM:<{new}>"));
    assert_refused(&wire.reply(), 550, "not-your-address");

    let found = |address: &str| {
        let found = sceau_json(&["annuaire", "search", address, "--config", configuration]).1;
        !found["people"].as_array().unwrap().is_empty()
    };
    let martin = world.address("martin");
    assert!(found(&martin));
    ordered(&world, A, &["red-list", &martin]);
    assert!(!found(&martin));
    ordered(&world, A, &["unlist", &martin]);
    assert!(found(&martin));
    // A file that an editor spoiled is told, and what was in force stays.
    world.append(A, "registry.toml", "[[mailbox]]\naddress = \"not an address\"");
    a.wait_for_line(&["registry-refused"]);
    wire.exchange(&format!("MAIL FROM:<{}>", world.address("durand")), 250);
    let spoiled = sceau(&["annuaire", "mailbox", "red-list", &martin, "--config", configuration], b"");
    assert_eq!(spoiled.code, Some(2), "{}", spoiled.errors);

    let told = |term: &str| sceau(&["trail", "search", term, "--config", configuration, "--json"], b"").text();
    wait_until("the orders are in the trail", || told("event:operator.action").contains("mailbox.unlist"));
    wait_until("the registries are in the trail", || told("event:registry.loaded").contains("\"created\":1"));
    let acts = told("event:operator.action");
    for word in ["mailbox.create", "mailbox.delegate", "garde de nuit", "mailbox.red-list", "mailbox.unlist", &new] {
        assert!(acts.contains(word), "{word}: {acts}");
    }
}

/// REG-6: a recipient's absence from the extracts is no refusal (promise 5): red-listed, application, shared practice,
/// opened today: mail to each is sealed, relayed and delivered.
#[test]
fn mailboxes_that_no_extract_lists_get_their_mail() {
    let world = World::new();
    let (_a, _b) = (world.serve(A), world.serve(B));
    let store = world.inner_store(B);
    let address = |local: &str| B.address(local).unwrap().to_string();
    let structure = B.structure().unwrap().id.to_string();
    let lambert = id(&world, "lambert");
    let (red, program, practice, today) =
        (address("rouge-test"), address("logiciel-test"), address("cabinet-test"), address("ouverte-test"));
    ordered(&world, B, &["create", &red, "--type", "PER", "--owner", &lambert, "--red-list"]);
    ordered(&world, B, &["create", &program, "--type", "APP", "--structure", &structure, "--name", "Laboratoire"]);
    ordered(&world, B, &["create", &practice, "--type", "CAB", "--owner", &lambert, "--name", "Cabinet"]);
    ordered(&world, B, &["create", &today, "--type", "PER", "--owner", &lambert]);
    let data = world.folder().join("annuaire-data");
    let martin = world.address("martin");
    for (n, to) in [&red, &program, &practice, &today].into_iter().enumerate() {
        let found = sceau_json(&["annuaire", "lookup", "--address", to, "--in", data.to_str().unwrap()]);
        assert_eq!((found.0, &found.1["found"]), (Some(1), &Value::Bool(false)), "{to} is in the extract");
        let subject = format!("Hors annuaire {n}");
        let mut wire = world.submission(A, world.card("martin"));
        assert_eq!(hand_over(&mut wire, &martin, to, &letter(&martin, to, &subject)).code, 250, "{to}");
        let handed = &store.wait_for(n + 1)[n];
        assert!(String::from_utf8_lossy(&handed.message).contains(&subject), "{to}");
        assert!(handed.recipients.iter().any(|recipient| recipient.contains(to.as_str())), "{handed:?}");
    }
}

/// REG-5: the use of each mailbox is measured by what the gateway carried; what nobody uses is told, closed by an order
/// where that is settled, and comes back by another; what is not measured is said to be so and never closed.
#[test]
fn unused_mailboxes_are_told_and_closed_and_not_measured_is_said() {
    let world = World::new();
    let store = world.inner_store(A);
    world.append(A, "sceau.toml", "[annuaire.inactive]\nwarn_after = \"335d\"\n");
    let a = world.serve(A);
    let (durand, martin) = (world.address("durand"), world.address("martin"));
    let activity = |address: &str| {
        let (_, told) = order_of(&world, A, &["show", address], &[]);
        told["mailbox"]["activity"].clone()
    };
    let elsewhere = order_of(&world, B, &["list"], &[]).1["mailboxes"].as_array().unwrap().clone();
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|it| it["activity"] == "not measured"), "{elsewhere:?}");
    let mut wire = world.submission(A, world.card("durand"));
    assert_eq!(hand_over(&mut wire, &durand, &durand, &letter(&durand, &durand, "Utile")).code, 250);
    let _ = store.wait_for(1);
    wait_until("the uses are measured", || {
        let known = activity(&durand);
        known["sent"].is_string() && known["delivered"].is_string()
    });
    let known = activity(&martin);
    assert!(known["measured_since"].is_string() && known["sent"].is_null(), "{known}");
    let listed = |more: &[&str]| {
        let (_, told) = order_of(&world, A, &[&["list"], more].concat(), &[]);
        let mailboxes = told["mailboxes"].as_array().unwrap().clone();
        mailboxes.iter().map(|it| it["address"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(listed(&["--unused"]).is_empty());

    // Whoever wants one kept says so; of the others one is left, and closed when its time is over.
    let kept = listed(&[]).into_iter().filter(|address| *address != martin);
    let table = world.folder().join("garder.csv");
    let rows: Vec<String> = kept.map(|address| format!("change;{address};oui")).collect();
    std::fs::write(&table, format!("action;adresse;garder\n{}\n", rows.join("\n"))).unwrap();
    ordered(&world, A, &["import", table.to_str().unwrap()]);
    let short = "warn_after = \"1s\"\nclose_after = \"2s\"\nnotice = \"1s\"";
    world.edit(A, "sceau.toml", "warn_after = \"335d\"", short);
    a.hang_up();
    a.wait_for_line(&["mailboxes-unused", &martin]);
    a.wait_for_line(&["mailbox closed", &martin, "not used since"]);
    wait_until("it is closed", || listed(&["--state", "closed"]) == [martin.clone()]);
    a.wait_for_line(&["the alarm is over", "mailboxes-unused"]);
    let configuration = world.configuration(A);
    let search = ["trail", "search", "event:operator.action", "--config", configuration.to_str().unwrap(), "--json"];
    wait_until("the trail knows why", || {
        let found = sceau(&search, b"").text();
        found.contains("not used since") && found.contains("mailbox.close")
    });

    // An order brings it back.
    world.edit(A, "sceau.toml", short, "warn_after = \"335d\"");
    a.hang_up();
    a.wait_for_lines(&["read again"], 2);
    ordered(&world, A, &["reopen", &martin, "--reason", "retour de congé"]);
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &martin, &durand, &letter(&martin, &durand, "Je reviens")).code, 250);
}
