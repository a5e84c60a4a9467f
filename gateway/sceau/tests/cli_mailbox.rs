//! `sceau annuaire mailbox` as its users meet it, without a running gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::Place;
use serde_json::{Value, json};

const AT: &str = "--config ch-a/sceau.toml";

fn place() -> Place {
    let place = Place::new();
    place.space();
    place
}

fn registry(place: &Place) -> String {
    String::from_utf8(place.read("ch-a/registry.toml")).unwrap()
}

/// REG-1: a hospital moves in waves: one table, all rows or none, each fault with its line and column.
#[test]
fn a_table_opens_many_mailboxes_or_none() {
    let place = place();
    let before = registry(&place);
    let table = "address;type;owner;structure;name;red_list\n\
        un.test@ch-a.mssante.test;PER;99700000025;;;oui\n\
        deux.test@ch-a.mssante.test;ORG;;1990000011;Urgences;\n\
        trois.test@ch-a.mssante.test;PER;899799999999;;;\n\
        quatre.test@ch-b.mssante.test;PER;899700000025;;;\n\
        cinq.test@ch-a.mssante.test;GROUPE;;1990000011;;\n\
        anne.martin-test@ch-a.mssante.test;PER;899700000025;;;\n";
    place.write("vague.csv", table);
    let ran = place.sceau(&format!("annuaire mailbox import vague.csv {AT} --json"));
    let told = ran.json();
    assert_eq!((ran.exit, &told["carried_out"]), (1, &json!(false)), "{told}");
    let refused: Vec<(u64, &str)> = told["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["line"].as_u64().unwrap(), it["column"].as_str().unwrap()))
        .collect();
    assert_eq!(refused, [(4, "owner"), (5, "address"), (6, "type"), (7, "address")], "{told}");
    assert!(told["refused"].as_array().unwrap().iter().all(|it| it["fr"].is_string() && it["en"].is_string()));
    assert_eq!(registry(&place), before, "nothing was changed");
    let words = place.sceau(&format!("annuaire mailbox import vague.csv {AT}"));
    assert!(words.err.contains("line 4: ") && words.err.contains("rien n'a été changé"), "{}", words.err);

    let ran = place.sceau(&format!("annuaire mailbox import vague.csv {AT} --skip-wrong --accept-unknown --json"));
    let told = ran.json();
    assert_eq!((ran.exit, told["done"].as_array().unwrap().len()), (1, 3), "{told}");
    assert!(registry(&place).starts_with(&before), "what was there stays as it was written");
    let good: String = table.lines().take(4).map(|line| format!("{line}\n")).collect();
    place.write("vague.csv", good);
    let ran = place.sceau(&format!("annuaire mailbox import vague.csv {AT} --json"));
    assert_eq!((ran.exit, &ran.json()["unchanged"]), (0, &json!(3)), "said again, nothing changes: {}", ran.err);
    place.write("vague.csv", "adresse;rien\n");
    assert_eq!(place.sceau(&format!("annuaire mailbox import vague.csv {AT}")).exit, 2);
}

#[test]
fn mailboxes_are_listed_by_what_they_are() {
    let place = place();
    let list = |filter: &str| {
        let ran = place.sceau(&format!("annuaire mailbox list {filter} {AT} --json"));
        assert_eq!(ran.exit, 0, "{}", ran.err);
        let addresses = ran.json()["mailboxes"].as_array().unwrap().clone();
        addresses
            .iter()
            .map(|it| it["address"].as_str().unwrap().split('@').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("--owner 899700000017"), ["anne.martin-test"]);
    assert_eq!(list("--red-list"), ["lucie.robert-test"]);
    assert_eq!(list("--text CARDIO"), ["cardiologie"]);
    assert_eq!(list("--open-to 3990000011/000000018"), ["anne.martin-test"]);
    assert!(list("--type ORG").len() > 2 && list("--state closed").is_empty());
    let close = place.sceau(&format!("annuaire mailbox close anne.martin-test@ch-a.mssante.test {AT}"));
    assert_eq!(close.exit, 0, "{}", close.err);
    assert_eq!(list("--state closed"), ["anne.martin-test"]);
    assert!(list("--owner 899700000017").is_empty());
    let shown = place.sceau(&format!("annuaire mailbox show anne.martin-test@ch-a.mssante.test {AT} --json"));
    assert_eq!((shown.exit, &shown.json()["mailbox"]["state"]), (0, &Value::from("closed")));
    assert_eq!(place.sceau(&format!("annuaire mailbox show x@ch-a.mssante.test {AT}")).exit, 1);
    // The trail has not begun: the order waits beside the registry until somebody can tell it.
    assert!(close.err.contains("trail"), "{}", close.err);
    assert!(String::from_utf8(place.read("ch-a/.registry.toml.untold")).unwrap().contains("mailbox.close"));
}

/// Two commands at once: neither undoes what the other did.
#[test]
fn orders_at_the_same_time_all_hold() {
    let place = place();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let place = &place;
            scope.spawn(move || {
                let order = format!("create equipe{n}@ch-a.mssante.test --type ORG --structure 1990000011");
                let ran = place.sceau(&format!("annuaire mailbox {order} {AT}"));
                assert_eq!(ran.exit, 0, "{}", ran.err);
            });
        }
    });
    let text = registry(&place);
    assert!((0..4).all(|n| text.contains(&format!("equipe{n}@"))), "{text}");
}
