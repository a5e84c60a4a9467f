//! Every face shows the same mailboxes of a structure, and finds it by the same.

use std::collections::BTreeSet;

use annuaire::{Field, Fields, Filter, How, Page, Query, Question, face::Face as _, web::Web};
use http::Request;
use ident::Address;

use crate::{
    ldap::{names, piece},
    world::{OURS, World, matches},
};

const HOSPITAL: &str = "1990000001";
/// What the hospital shows, in its order.
const SHOWN: [&str; 3] = ["automate@ch-exemple.test", "cardiologie@ch-exemple.test", "urgences@ch-exemple.test"];
const RED: [&str; 3] =
    ["rouge-zwickyz@ch-exemple.test", "direction-rouge@ch-exemple.test", "lepinaie-test@medecin.pro.test"];

/// The page of a structure.
fn page(world: &World, id: &str) -> String {
    let request = Request::get(format!("/structure/{id}")).body(Vec::new()).unwrap();
    String::from_utf8(world.context(|context| Web.answer(&request, context)).into_body()).unwrap()
}

#[test]
fn a_structure_shows_the_same_mailboxes_by_every_face() {
    let world = World::ours(60);
    let own = world.ok(&format!("/Organization/001-{HOSPITAL}"));
    let telecom = own["telecom"].as_array().unwrap().iter().filter(|one| one["system"] == "email");
    let fhir: Vec<&str> = telecom.map(|one| one["value"].as_str().unwrap()).collect();
    assert_eq!(fhir, SHOWN);
    let found = annuaire::lookup(&world.current, world.registry.as_ref(), &Query::Id(HOSPITAL.into()));
    let command: Vec<&str> = found.answer.structures[0].mailboxes.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(command, SHOWN);
    let page = page(&world, HOSPITAL);
    let mut at: Vec<usize> = SHOWN.iter().map(|address| page.find(address).unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    at.clear();
    let entries = names(&world, "ou=structures,dc=annuaire", &piece("mail", 0x82, "@ch-exemple.test"));
    let of = entries.iter().filter(|name| name.contains(HOSPITAL));
    let ldap: BTreeSet<&str> =
        of.map(|name| name.split("mail=").nth(1).unwrap().split([',', '+']).next().unwrap()).collect();
    assert_eq!(ldap, SHOWN.into_iter().collect());
    for red in RED {
        assert!(!page.contains(red) && !format!("{entries:?}{own}").contains(red), "{red}");
    }
}

#[test]
fn what_only_the_registry_knows_is_found_like_the_rest() {
    let world = World::ours(60);
    let registry = world.registry.as_ref();
    let (mailbox, domain) =
        (Fields::of(&[Field::MailboxType, Field::SharedType]), Fields::of(&[Field::Domain, Field::SharedDomain]));
    let value = |fields: Fields, value: &str| Filter::Value { fields, value: value.to_owned() };
    let words = |text: &str| Filter::Words { fields: Fields::TEXT, how: How::Prefix, text: text.to_owned() };
    let place = |id: &str, filter: Filter| {
        let hits = world.current.structures_where(registry, &Question::filter(filter), Page::first(500)).hits;
        hits.iter().any(|hit| hit.of.id().is_some_and(|own| own.as_str() == id))
    };
    let person = |id: &str, filter: Filter| {
        let hits = world.current.people_where(registry, &Question::filter(filter), Page::first(500)).hits;
        hits.iter().any(|hit| hit.of.id_text() == id)
    };
    let zoe = "899700000003";
    for (filter, found) in [
        (value(mailbox, "app"), [true, false, true, false]),
        (value(mailbox, "cab"), [false, true, false, true]),
        (value(mailbox, "any"), [true, true, true, true]),
        (value(domain, "medecin.pro.test"), [false, true, false, true]),
        (words("urgences"), [true, false, true, false]),
        (words("adult"), [true, false, true, false]),
        (words("zoe val"), [false, false, false, true]),
        (words("zwickyz"), [false, false, false, false]),
        (words("direction"), [false, false, false, false]),
        (Filter::Not(Box::new(words("automate"))), [false, true, false, true]),
    ] {
        // Anne and Zoé work at the one and the other; what a structure has, those who work there are found by. Anne's
        // mailbox of that domain is red.
        let own = [
            place(HOSPITAL, filter.clone()),
            place("1990000009", filter.clone()),
            person("899700000001", filter.clone()),
            person(zoe, filter.clone()),
        ];
        assert_eq!(own, found, "{filter:?}");
    }
    for (query, found) in [
        ("/Organization?mailbox-mss-type=APP&_id=001-1990000001", 1),
        ("/Organization?mailbox-mss-type=CAB&_id=001-1990000001", 0),
        ("/Organization?mailbox-mss:contains=gences@ch-ex", 1),
        ("/Organization?mailbox-mss:contains=direction-rouge", 0),
        ("/Practitioner?mailbox-mss-type=PER&_id=003-899700000003&_summary=count", 0),
        ("/Practitioner?mailbox-mss-type=PER&_id=003-899700000003", 1),
        ("/Practitioner?mailbox-mss:contains=val-test@ch&_id=003-899700000003", 1),
    ] {
        assert_eq!(matches(&world.ok(query)).len(), found, "{query}");
    }
    // Shown is shown by its whole address, and by no other.
    for address in OURS {
        let query = Query::Address(Address::parse(address).unwrap());
        let place = annuaire::search(&world.current, registry, address, 50);
        let any = !place.people.is_empty() || !place.structures.is_empty();
        assert_eq!(any, !RED.contains(address), "{address}: {:?}", annuaire::lookup(&world.current, registry, &query));
    }
}
