//! `sceau annuaire` as its users meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::Place;
use serde_json::{Value, json};

const ACTIVITIES: &str = "ps-libreacces-personne-activite.txt";

fn generated(place: &Place, people: u32) {
    assert_eq!(place.sceau(&format!("annuaire generate --into ext --people {people} --seed 7")).exit, 0);
}

#[test]
fn the_same_seed_writes_the_same_files() {
    let place = Place::new();
    let ran = place.sceau("annuaire generate --into a --people 50 --seed 3 --json");
    assert_eq!((ran.exit, ran.json()["files"].as_array().unwrap().len()), (0, 5));
    place.sceau("annuaire generate --into b --people 50 --seed 3");
    place.sceau("annuaire generate --into c --people 50 --seed 4");
    let file = |folder: &str| place.read(&format!("{folder}/{ACTIVITIES}"));
    assert_eq!(file("a"), file("b"));
    assert_ne!(file("a"), file("c"));
}

#[test]
fn a_load_counts_its_rows_and_names_its_problems() {
    let place = Place::new();
    generated(&place, 60);
    // One bad line at the end.
    let mut text = String::from_utf8(place.read(&format!("ext/{ACTIVITIES}"))).unwrap();
    let line = text.lines().count() + 1;
    text.push_str("not|a|row\n");
    place.write(&format!("ext/{ACTIVITIES}"), text);
    let ran = place.sceau("annuaire load ext --into data --json");
    let report = ran.json();
    assert_eq!(ran.exit, 0, "{report}");
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 5);
    for file in files {
        let count = |key: &str| file[key].as_u64().unwrap();
        assert_eq!(count("rows"), count("kept") + count("merged") + count("refused"), "{file}");
    }
    let problem = &report["problems"][0];
    assert_eq!((problem["file"].as_str(), problem["line"].as_u64()), (Some(ACTIVITIES), Some(line as u64)));
    assert!(problem["what"].is_string());
    let again = place.sceau("annuaire load ext --into data");
    assert!(again.exit == 0 && again.text().contains("was in service already"), "{}", again.text());
}

#[test]
fn a_held_or_refused_load_exits_1_and_the_old_generation_answers_on() {
    let place = Place::new();
    generated(&place, 60);
    let first = place.sceau("annuaire load ext --into data --json").json()["generation"].clone();
    place.sceau("annuaire generate --into other --people 20 --seed 8");
    let ran = place.sceau("annuaire load other --into data --json");
    assert_eq!((ran.exit, &ran.json()["held"], &ran.json()["generation"]), (1, &json!(true), &first));
    assert!(ran.json()["reason"].as_str().unwrap().contains("--accept") && ran.err.contains("held"));
    assert_eq!(place.sceau("annuaire search TEST --in data --json").json()["generation"], first);

    fs::remove_file(place.at(&format!("other/{ACTIVITIES}"))).unwrap();
    let ran = place.sceau("annuaire load other --into data --accept --json");
    assert_eq!((ran.exit, &ran.json()["refused"], &ran.json()["generation"]), (1, &json!(true), &first));

    place.sceau("annuaire generate --into other --people 20 --seed 8");
    // A word without a name is for one file, and all of them hold this one; so is a name for the file that it names.
    let ran = place.sceau("annuaire load other --into data --accept --json");
    assert_eq!((ran.exit, &ran.json()["held"], &ran.json()["generation"]), (1, &json!(true), &first));
    let ran = place.sceau(&format!("annuaire load other --into data --accept {ACTIVITIES} --json"));
    assert_eq!((ran.exit, &ran.json()["held"], &ran.json()["generation"]), (1, &json!(true), &first));
    let holding = ran.json()["holding"].as_array().unwrap().clone();
    assert!(holding.iter().any(|one| one["accepted"] == json!(false)), "{holding:?}");
    for one in &holding {
        assert_eq!(one["accepted"] == json!(true), one["file"] == ACTIVITIES, "{one}");
        let told =
            ran.json()["reason"].as_str().unwrap().contains(&format!("--accept {}", one["file"].as_str().unwrap()));
        assert_eq!(told, one["file"] != ACTIVITIES, "{one}");
    }
    let ran = place.sceau("annuaire load --accept other --into data");
    assert!(ran.exit == 2 && ran.err.contains("none of the files"), "{} {}", ran.exit, ran.err);
    let words = annuaire::FileKind::ALL.map(|kind| format!("--accept {}", kind.file_name())).join(" ");
    let ran = place.sceau(&format!("annuaire load other --into data {words}"));
    assert!(ran.exit == 0 && ran.text().contains(&format!("accepted for {ACTIVITIES}: ")), "{}", ran.text());
    let changes = place.sceau("annuaire diff data previous current --json");
    assert_eq!((changes.exit, &changes.json()["from"]), (0, &first));
    assert!(changes.json()["files"][0]["deleted"].as_u64().unwrap() > 0);
    // What left is remembered.
    let address = String::from_utf8(place.read("ext/extraction-correspondance-mssante.txt")).unwrap();
    let gone = address.split(['|', '\n']).find(|cell| cell.contains('@')).unwrap().to_owned();
    let ran = place.sceau(&format!("annuaire lookup --address {gone} --in data --json"));
    assert_eq!((ran.exit, &ran.json()["found"], ran.json()["gone"].is_string()), (1, &json!(false), true), "{gone}");
}

#[test]
fn answers_have_the_shape_of_the_contract() {
    let place = Place::new();
    place.space();
    let ran = place.sceau("annuaire search martin-test valfleuri --in annuaire-data --json");
    let answer = ran.json();
    assert_eq!(ran.exit, 0);
    let who = &answer["people"][0];
    assert_eq!((who["id"].as_str(), who["match"].as_str()), (Some("899700000017"), Some("exact")), "{answer}");
    assert_eq!(who["activities"][0]["structure"], "CH DE VALFLEURI-TEST");
    let mailbox = json!({ "address": "anne.martin-test@ch-a.mssante.test", "type": "PER", "rank": null });
    assert_eq!(who["mailboxes"], json!([mailbox]));
    assert!(answer["generation"].is_string() && answer["data_as_of"].as_str().unwrap().ends_with('Z'));
    let text = place.sceau("annuaire search martin-test valfleuri --in annuaire-data").text();
    assert!(text.contains("MARTIN-TEST Anne, Médecin - 899700000017") && text.contains("data as of"), "{text}");

    let none = place.sceau("annuaire search zzzzzzzz --in annuaire-data --json");
    assert_eq!((none.exit, &none.json()["people"], &none.json()["structures"]), (0, &json!([]), &json!([])));
    let few = place.sceau("annuaire search TEST --in annuaire-data --limit 2 --json").json();
    assert_eq!(few["people"].as_array().unwrap().len(), 2);
}

#[test]
fn a_holder_is_looked_up_by_address_identifier_or_certificate() {
    let place = Place::new();
    place.space();
    let martin = Value::from("899700000017");
    for what in [
        "--address Anne.Martin-TEST@ch-a.mssante.test",
        "--id 899700000017",
        "--id 99700000017",
        "--id 9900000001",
        "--certificate cards/martin/card.pem",
        "--certificate cards/martin/signature.pem",
    ] {
        let ran = place.sceau(&format!("annuaire lookup {what} --in annuaire-data --json"));
        assert_eq!((ran.exit, &ran.json()["found"]), (0, &json!(true)), "{what}: {}", ran.err);
        assert_eq!(ran.json()["people"][0]["id"], martin, "{what}");
    }
    let ran = place.sceau("annuaire lookup --certificate ch-a/signing.pem --in annuaire-data --json");
    assert_eq!((ran.exit, &ran.json()["structures"][0]["id"]), (0, &json!("1990000011")));
    let opposed = place.sceau("annuaire lookup --certificate cards/leroy/card.pem --in annuaire-data");
    assert!(opposed.text().contains("OPPOSED"), "{}", opposed.text());
    for what in ["--address nobody@ch-a.mssante.test", "--id 810000000000", "--certificate anchors/persons.pem"] {
        let ran = place.sceau(&format!("annuaire lookup {what} --in annuaire-data --json"));
        assert_eq!((ran.exit, &ran.json()["found"]), (1, &json!(false)), "{what}");
    }
}

/// With a configuration the operator's own registry speaks too: its mailboxes are known, the red
/// list is kept.
#[test]
fn a_configuration_adds_the_registry() {
    let place = Place::new();
    place.space();
    let mailboxes = |arguments: &str| {
        let json = place.sceau(&format!("annuaire lookup --id 899700000025 {arguments} --json")).json();
        json["people"][0]["mailboxes"].as_array().unwrap().len()
    };
    assert_eq!(mailboxes("--config ch-a/sceau.toml"), 1);
    // A second own domain: both registries count.
    let red = "\n[[mailbox]]\naddress = \"paul.autre@ch-z.mssante.test\"\ntype = \"PER\"\nowner = \"899700000025\"\n";
    place.write("ch-a/second.toml", red);
    let config = String::from_utf8(place.read("ch-a/sceau.toml")).unwrap();
    let own = config.split("[[domain]]").nth(1).unwrap().split("\n[[").next().unwrap();
    let table = own.replace("registry.toml", "second.toml").replace("ch-a.mssante.test", "ch-z.mssante.test");
    place.write("ch-a/sceau.toml", format!("{config}\n[[domain]]{table}"));
    assert_eq!(mailboxes("--config ch-a/sceau.toml"), 2);
    place.write("ch-a/second.toml", format!("{red}red_list = true\n"));
    assert_eq!(mailboxes("--config ch-a/sceau.toml"), 1);
    place.write("ch-a/second.toml", format!("{red}colour = 1\n"));
    let ran = place.sceau("annuaire search x --config ch-a/sceau.toml");
    assert!(ran.exit == 2 && ran.err.contains("second.toml") && ran.err.contains("line"), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_is_named_and_is_a_usage_error() {
    let place = Place::new();
    generated(&place, 10);
    place.sceau("annuaire load ext --into data");
    fs::create_dir(place.at("empty")).unwrap();
    for (arguments, named) in [
        ("search x", "--in"),
        ("search --in data", "TEXT"),
        ("search x --in data --config y", "--config"),
        ("search x --in data --limit 0", "--limit"),
        ("search x --in nowhere", "nowhere"),
        ("search x --in empty", "empty"),
        ("search x --config nowhere.toml", "nowhere.toml"),
        ("lookup --in data", "--address"),
        ("lookup --address not-an-address --in data", "not-an-address"),
        ("lookup --certificate nowhere.pem --in data", "nowhere.pem"),
        ("load nowhere --into data", "nowhere"),
        ("diff data this that", "this"),
        ("diff nowhere previous current", "nowhere"),
    ] {
        let ran = place.sceau(&format!("annuaire {arguments}"));
        assert_eq!((ran.exit, ran.text().as_str()), (2, ""), "{arguments}");
        assert!(ran.err.contains(named), "{arguments}: {}", ran.err);
    }
}
