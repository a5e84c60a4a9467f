//! What another directory answers about one person: a second opinion, shown as what it is and never mixed with ours. The
//! wire is the caller's; what comes over it is believed in nothing but its form.

use std::collections::BTreeSet;

use ident::{Address, PersonId, is_format};
use serde::Serialize;
use serde_json::Value;

use super::{
    params::encoded,
    publish::{IDNPS, metadata},
};
use crate::MailboxType;

/// Most mailboxes and qualifications of an answer that are shown.
const MOST: usize = 50;
/// Longest text of an answer, in characters.
const MAX_TEXT: usize = 200;

/// A person as another directory describes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecondPerson {
    /// The identifier that was asked for.
    pub id: PersonId,
    /// Family name.
    pub family: String,
    /// Given names.
    pub given: String,
    /// Whether it says that they practise.
    pub active: Option<bool>,
    /// Professions and diplomas, as it writes them.
    pub qualifications: Vec<String>,
    /// Their mailboxes but for those on the red list.
    pub mailboxes: Vec<SecondMailbox>,
}

/// A mailbox as another directory describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecondMailbox {
    /// Its address.
    pub address: Address,
    /// What kind it is, if that is said.
    #[serde(rename = "type")]
    pub kind: Option<MailboxType>,
}

/// Why an answer is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecondError {
    /// No FHIR bundle.
    #[error("the answer is no FHIR bundle")]
    NoBundle,
    /// Somebody or something else.
    #[error("the answer is about somebody else")]
    Somebody,
    /// More than one.
    #[error("the answer names several people")]
    Several,
}

/// What to GET about a person, below the base address.
pub fn second_question(id: &PersonId) -> String {
    let identifier = encoded(&format!("{IDNPS}|{id}"));
    format!("Practitioner?identifier={identifier}&_elements=identifier,name,active,telecom,qualification")
}

/// Reads the answer; none: nobody there has the identifier.
///
/// # Errors
/// See [`SecondError`].
pub fn second_answer(id: &PersonId, answer: &[u8]) -> Result<Option<SecondPerson>, SecondError> {
    let bundle: Value = serde_json::from_slice(answer).map_err(|_| SecondError::NoBundle)?;
    if text_of(&bundle, "/resourceType") != "Bundle" || text_of(&bundle, "/type") != "searchset" {
        return Err(SecondError::NoBundle);
    }
    let matches = array(&bundle, "/entry").iter().filter(|it| matches!(text_of(it, "/search/mode"), "" | "match"));
    let mut people = matches.map(|it| it.get("resource").unwrap_or(&Value::Null));
    let Some(person) = people.next() else { return Ok(None) };
    if people.next().is_some() {
        return Err(SecondError::Several);
    }
    let named = |it: &Value| text_of(it, "/system") == IDNPS && text_of(it, "/value") == id.as_str();
    if text_of(person, "/resourceType") != "Practitioner" || !array(person, "/identifier").iter().any(named) {
        return Err(SecondError::Somebody);
    }
    let qualifications = array(person, "/qualification").iter().flat_map(|it| array(it, "/code/coding"));
    let displays = qualifications.map(|coding| clean(text_of(coding, "/display"))).filter(|text| !text.is_empty());
    let given: Vec<&str> = array(person, "/name/0/given").iter().filter_map(Value::as_str).take(MOST).collect();
    Ok(Some(SecondPerson {
        id: id.clone(),
        family: clean(text_of(person, "/name/0/family")),
        given: clean(&given.join(" ")),
        active: person.get("active").and_then(Value::as_bool),
        qualifications: displays.take(MOST).collect(),
        mailboxes: mailboxes(array(person, "/telecom")),
    }))
}

/// What is said once to be on the red list is not shown for its standing elsewhere without that word.
fn mailboxes(contacts: &[Value]) -> Vec<SecondMailbox> {
    let address = |contact: &Value| Address::parse(text_of(contact, "/value")).ok();
    let red: BTreeSet<String> =
        contacts.iter().filter(|it| is_red(it)).filter_map(address).map(|it| it.key()).collect();
    contacts.iter().filter_map(mailbox).filter(|it| !red.contains(&it.address.key())).take(MOST).collect()
}

/// Whether a contact is said to be on the red list: in an extension of its own or within another, and unless the word is
/// a plain no.
fn is_red(contact: &Value) -> bool {
    let own = array(contact, "/extension");
    let parts = own.iter().chain(own.iter().flat_map(|it| array(it, "/extension")));
    let mut words = parts.filter(|it| text_of(it, "/url") == "listeRouge");
    words.any(|it| it.get("valueBoolean") != Some(&Value::Bool(false)))
}

fn mailbox(contact: &Value) -> Option<SecondMailbox> {
    if text_of(contact, "/system") != "email" {
        return None;
    }
    let kind = metadata(contact, "type").and_then(|it| it.pointer("/valueCodeableConcept/coding/0/code"));
    let kind = kind.and_then(Value::as_str).and_then(MailboxType::parse);
    Some(SecondMailbox { address: Address::parse(text_of(contact, "/value")).ok()?, kind })
}

fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text_of<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What a terminal may print: nothing that steers it or turns its direction.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !is_format(*c)).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> PersonId {
        PersonId::parse("899700000001").unwrap()
    }

    fn person(value: &str) -> Value {
        let red = json!({"url": "listeRouge", "valueBoolean": true});
        let metadata =
            "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata";
        json!({"resource": {
            "resourceType": "Practitioner",
            "identifier": [{"system": "urn:other", "value": "1"}, {"system": IDNPS, "value": value}],
            "active": true,
            "name": [{"family": "MARTIN-TEST\u{1b}[2J\u{202e}", "given": ["Anne", "Zoé"]}],
            "qualification": [{"code": {"coding": [{"code": "10", "display": "Médecin"}, {"display": 7}]}}],
            "telecom": [
                {"system": "email", "value": "anne@ch-exemple.test"},
                {"system": "email", "value": "rouge@ch-exemple.test", "extension": [{"url": metadata, "extension": [red]}]},
                {"system": "email", "value": "not an address"},
                {"system": "phone", "value": "0100000000"},
            ],
        }})
    }

    fn read(entries: Value) -> Result<Option<SecondPerson>, SecondError> {
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
        second_answer(&id(), bundle.to_string().as_bytes())
    }

    #[test]
    fn a_second_answer_is_about_the_person_that_was_asked_for_or_none() {
        let found = read(json!([person("899700000001")])).unwrap().unwrap();
        assert_eq!((found.family.as_str(), found.given.as_str()), ("MARTIN-TEST[2J", "Anne Zoé"));
        let addresses: Vec<_> = found.mailboxes.iter().map(|it| it.address.to_string()).collect();
        assert_eq!((addresses, found.active), (vec!["anne@ch-exemple.test".to_owned()], Some(true)));
        assert_eq!(found.qualifications, ["Médecin"]);
        assert_eq!(read(json!([])), Ok(None));
        assert_eq!(read(json!([person("899700000002")])), Err(SecondError::Somebody));
        assert_eq!(read(json!([{"resource": {"resourceType": "Patient"}}])), Err(SecondError::Somebody));
        assert_eq!(read(json!([person("899700000001"), person("899700000001")])), Err(SecondError::Several));
        for text in ["", "[]", "{}", "<html>", "{\"resourceType\":\"OperationOutcome\"}"] {
            assert_eq!(second_answer(&id(), text.as_bytes()), Err(SecondError::NoBundle), "{text}");
        }
        let many: Vec<_> = (0..9000).map(|n| json!({"system": "email", "value": format!("a{n}@x.test")})).collect();
        let mut full = person("899700000001");
        full["resource"]["telecom"] = json!(many);
        full["resource"]["name"][0]["family"] = json!("A".repeat(100_000));
        let found = read(json!([full])).unwrap().unwrap();
        assert_eq!((found.mailboxes.len(), found.family.len()), (MOST, MAX_TEXT));
    }

    #[test]
    fn no_second_answer_shows_its_red_list_however_it_says_so() {
        let contact =
            |address: &str, extension: Value| json!({"system": "email", "value": address, "extension": extension});
        let word = |value: Value| json!({"url": "listeRouge", "valueBoolean": value});
        let metadata = |parts: Value| json!({"url": super::super::publish::METADATA, "extension": parts});
        let shown = |contacts: Value| {
            let mut person = person("899700000001");
            person["resource"]["telecom"] = contacts;
            let all = read(json!([person])).unwrap().unwrap().mailboxes;
            all.into_iter().map(|it| it.address.to_string()).collect::<Vec<_>>()
        };
        let address = "anne@ch-exemple.test";
        let (yes, no) = (metadata(json!([word(json!(true))])), metadata(json!([word(json!(false))])));
        assert_eq!(shown(json!([contact(address, json!([no]))])), [address]);
        for hidden in [
            json!([contact(address, json!([no, yes]))]),
            json!([contact(address, json!([metadata(json!([word(json!(false)), word(json!(true))]))]))]),
            json!([contact(address, json!([metadata(json!([word(json!("true"))]))]))]),
            json!([contact(address, json!([metadata(json!([{"url": "listeRouge"}]))]))]),
            json!([contact(address, json!([no])), contact("ANNE@ch-exemple.test", json!([yes]))]),
            json!([contact(address, json!([word(true.into())]))]),
            json!([{"system": "phone", "value": address, "extension": [yes]}, contact(address, json!([]))]),
        ] {
            assert!(shown(hidden.clone()).is_empty(), "{hidden}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_second_answer_makes_it_panic(text in "\\PC{0,200}", at in 0usize..400) {
            let mut good = json!({"resourceType": "Bundle", "type": "searchset", "entry": [person("899700000001")]}).to_string();
            let at = (0..=at.min(good.len())).rev().find(|at| good.is_char_boundary(*at)).unwrap_or(0);
            good.insert_str(at, &text);
            let _ = second_answer(&id(), good.as_bytes());
            let _ = second_answer(&id(), text.as_bytes());
        }
    }
}
