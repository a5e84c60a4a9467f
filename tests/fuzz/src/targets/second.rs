//! What another directory answers about one person: of what comes over that wire only the form is believed, and what is
//! shown of it is about the person asked for, bounded, without what steers a terminal, and without its red list.

// JSON that is asked for what it has not says null.
#![allow(clippy::indexing_slicing)]

use annuaire::fhir::{SecondError, SecondPerson, second_answer};
use ident::PersonId;
use serde_json::Value;

use crate::{Target, samples};

/// The target.
pub const TARGET: Target =
    Target { name: "second", covers: &["annuaire/src/fhir/second.rs"], run, seeds: samples::second::all };

/// Who is asked for.
pub const ASKED: &str = "899700000001";
/// Most of a kind that are shown, and the longest text.
const MOST: usize = 50;
const LONGEST: usize = 200;

fn run(data: &[u8]) -> bool {
    let id = PersonId::parse(ASKED).expect("an identifier");
    match second_answer(&id, data) {
        Ok(Some(person)) => {
            sound(&id, data, &person);
            // No seed has a mailbox of an unknown kind, and somebody who no longer practises.
            person.active == Some(false) && person.mailboxes.iter().any(|it| it.kind.is_none())
        }
        Ok(None) => {
            assert!(!names(data), "somebody was there");
            false
        }
        Err(why) => {
            let read = serde_json::from_slice::<Value>(data).is_ok();
            assert!(read || why == SecondError::NoBundle, "{why}");
            false
        }
    }
}

fn sound(id: &PersonId, data: &[u8], person: &SecondPerson) {
    assert_eq!(&person.id, id);
    assert!(names(data), "nobody said that it is about them");
    assert!(person.qualifications.len() <= MOST && person.mailboxes.len() <= MOST);
    for text in person.qualifications.iter().chain([&person.family, &person.given]) {
        assert!(text.chars().count() <= LONGEST, "{} characters", text.chars().count());
        assert!(!text.chars().any(|c| c.is_control() || ident::is_format(c)), "{text:?} steers a terminal");
    }
    assert!(person.qualifications.iter().all(|text| !text.is_empty()));
    let red = |it: &&Value| {
        let own = array(it, "/extension");
        let within = own.iter().flat_map(|it| array(it, "/extension")).collect::<Vec<_>>();
        own.iter().chain(&within).any(|it| it["url"] == "listeRouge" && it["valueBoolean"] == true)
    };
    let bundle: Value = serde_json::from_slice(data).expect("JSON, as it was read");
    let contacts = array(&bundle, "/entry").into_iter().flat_map(|it| array(it, "/resource/telecom"));
    for contact in contacts.filter(red) {
        let Ok(hidden) = ident::Address::parse(contact["value"].as_str().unwrap_or_default()) else { continue };
        assert!(person.mailboxes.iter().all(|it| it.address.key() != hidden.key()), "{hidden} is shown");
    }
    // It goes out as JSON again.
    let told = serde_json::to_value(person).expect("JSON");
    assert_eq!(told.pointer("/id").and_then(Value::as_str), Some(ASKED));
    assert_eq!(second_answer(id, data).as_ref().ok(), Some(&Some(person.clone())), "the same answer, read otherwise");
}

/// Whether one entry at least is somebody's.
fn names(data: &[u8]) -> bool {
    let bundle: Value = serde_json::from_slice(data).expect("JSON, as it was read");
    let mode = |it: &Value| it.pointer("/search/mode").and_then(Value::as_str).unwrap_or_default().to_owned();
    array(&bundle, "/entry").into_iter().any(|it| ["", "match"].contains(&mode(it).as_str()))
}

fn array<'v>(value: &'v Value, pointer: &str) -> Vec<&'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}
