//! Answers of a second directory: one for each rule of their reader.

use serde_json::{Value, json};

use super::Sample;
use crate::targets::second::ASKED;

const IDNPS: &str = "urn:oid:1.2.250.1.71.4.2.1";
const METADATA: &str =
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata";
const TYPES: &str = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL";

/// A mailbox of a kind, on the red list or not; without a word about it where none is given.
fn mailbox(address: &str, kind: &str, red: Option<bool>) -> Value {
    let coding = json!({"system": TYPES, "code": kind});
    let mut parts = vec![json!({"url": "type", "valueCodeableConcept": {"coding": [coding]}})];
    parts.extend(red.map(|red| json!({"url": "listeRouge", "valueBoolean": red})));
    json!({"system": "email", "value": address, "extension": [{"url": METADATA, "extension": parts}]})
}

fn person(id: &str, telecom: Value) -> Value {
    json!({
        "resourceType": "Practitioner",
        "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "99700000001"}, {"system": IDNPS, "value": id}],
        "active": true,
        "name": [{"use": "usual", "family": "MARTIN-TEST", "given": ["Anne", "Zo\u{e9}"]}],
        "qualification": [
            {"code": {"coding": [{"code": "10", "display": "M\u{e9}decin"}, {"code": "SM04", "display": "Cardiologie"}]}},
            {"code": {"text": "sans code"}},
        ],
        "telecom": telecom,
    })
}

fn bundle(entries: Value) -> Vec<u8> {
    json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": entries}).to_string().into_bytes()
}

fn about(person: Value) -> Vec<u8> {
    bundle(json!([{"fullUrl": "https://autre.test/Practitioner/1", "resource": person, "search": {"mode": "match"}}]))
}

/// The seeds.
pub fn all() -> Vec<Sample> {
    let anne = "anne.martin-test@ch-exemple.test";
    let known = |telecom: Value| about(person(ASKED, telecom));
    let changed = |field: &str, value: Value| {
        let mut person = person(ASKED, json!([mailbox(anne, "PER", Some(false))]));
        person.as_object_mut().into_iter().for_each(|fields| drop(fields.insert(field.to_owned(), value.clone())));
        about(person)
    };
    let many: Vec<Value> = (0..60).map(|n| json!({"system": "email", "value": format!("a{n}@x.test")})).collect();
    vec![
        ("person", known(json!([mailbox(anne, "PER", Some(false)), mailbox("cabinet@pro.test", "CAB", None)]))),
        ("kinds", known(json!([mailbox("a@b.test", "ORG", None), mailbox("c@d.test", "APP", None)]))),
        ("red", known(json!([mailbox(anne, "PER", Some(true)), mailbox("cabinet@pro.test", "CAB", Some(false))]))),
        ("red-twice", known(json!([mailbox(anne, "PER", Some(true)), mailbox(anne, "PER", Some(false))]))),
        ("kind-unknown", known(json!([mailbox(anne, "FAX", None)]))),
        ("no-metadata", known(json!([{"system": "email", "value": anne}, {"system": "phone", "value": "0100000000"}]))),
        ("no-address", known(json!([{"system": "email", "value": "nobody"}, {"system": "email"}, 7]))),
        ("many", known(json!(many))),
        ("no-mailbox", known(json!([]))),
        ("inactive", changed("active", json!(false))),
        ("active-text", changed("active", json!("true"))),
        ("long", changed("name", json!([{"family": "A".repeat(300), "given": vec!["\u{1b}[2J\u{202e}"; 60]}]))),
        ("no-name", changed("name", json!([]))),
        (
            "odd-qualification",
            changed("qualification", json!([{"code": {"coding": [{"display": 7}, {"display": ""}]}}])),
        ),
        ("kind", changed("resourceType", json!("Patient"))),
        ("somebody", about(person("899700000002", json!([])))),
        ("several", bundle(json!([{"resource": person(ASKED, json!([]))}, {"resource": person(ASKED, json!([]))}]))),
        (
            "included",
            bundle(json!([
                {"resource": {"resourceType": "Organization"}, "search": {"mode": "include"}},
                {"resource": person(ASKED, json!([]))},
            ])),
        ),
        ("nobody", bundle(json!([]))),
        ("no-resource", bundle(json!([{"search": {"mode": "match"}}]))),
        ("history", json!({"resourceType": "Bundle", "type": "history"}).to_string().into_bytes()),
        ("outcome", json!({"resourceType": "OperationOutcome", "issue": []}).to_string().into_bytes()),
        ("page", b"<html></html>".to_vec()),
    ]
}
