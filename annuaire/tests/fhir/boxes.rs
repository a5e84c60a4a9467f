//! Every face shows the same mailboxes of a structure, and finds it by the same.

use std::collections::BTreeSet;

use annuaire::{Field, Fields, Filter, How, Lookup, Page, Query, Question, Registry, face::Face as _, web::Web};
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

/// RED-1: whoever names a red-listed mailbox in full is shown as little of it as whoever guesses, by every face.
#[test]
fn no_face_shows_a_red_listed_mailbox_to_whoever_names_it_in_full() {
    let world = World::ours(40);
    let registry = world.registry.as_ref();
    for address in OURS {
        let query = Query::Address(Address::parse(address).unwrap());
        let hidden = RED.contains(address);
        let found = annuaire::lookup(&world.current, registry, &query);
        assert_eq!(found.found, !hidden, "{address}: {found:?}");
        if hidden {
            let empty = Lookup { answer: annuaire::search(&world.current, registry, "", 0), ..Default::default() };
            assert_eq!(found, empty, "{address}: not even that it is gone, or whose it is");
        }
        let shown = serde_json::to_string(&annuaire::search(&world.current, registry, address, 50)).unwrap();
        assert_eq!(shown.to_lowercase().contains(address), !hidden, "search {address}: {shown}");
        let mut fhir = BTreeSet::new();
        for kind in ["Practitioner", "Organization", "HealthcareService"] {
            for parameter in ["mailbox-mss", "mailbox-mss:exact", "mailbox-mss:contains", "_content"] {
                if kind == "HealthcareService" && parameter != "_content" {
                    continue;
                }
                let bundle = world.ok(&format!("/{kind}?{parameter}={address}"));
                fhir.extend(matches(&bundle).iter().map(|it| it["id"].to_string()));
            }
        }
        assert_eq!(fhir.is_empty(), hidden, "FHIR {address}: {fhir:?}");
        for uri in [format!("/results?mail={address}"), format!("/results?q={address}")] {
            let request = Request::get(uri.as_str()).body(Vec::new()).unwrap();
            let page = world.context(|context| Web.answer(&request, context));
            let page = String::from_utf8(page.into_body()).unwrap();
            let anybody = page.contains("/person/") || page.contains("/structure/");
            assert_eq!(anybody, !hidden, "{uri}: {page}");
        }
        for base in ["ou=people,dc=annuaire", "ou=structures,dc=annuaire"] {
            let whole = piece("mail", 0x80, address);
            let found = names(&world, base, &whole);
            assert!(!hidden || found.is_empty(), "LDAP {address}: {found:?}");
        }
    }
}

/// Who asks for a closed mailbox of ours by its address reads who takes over, in both languages, and nothing of a successor
/// on the red list or of a closed one that was on it.
#[test]
fn over_fhir_a_closed_mailbox_leads_to_its_successor() {
    let closed = |successor: &str, more: &str| {
        let text = format!(
            "[[mailbox]]\naddress = \"ferme-test@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\n\
             closed = \"2026-11-20\"\nsuccessor = \"{successor}\"\n{more}\n\
             [[mailbox]]\naddress = \"suite-test@ch-exemple.test\"\ntype = \"ORG\"\nstructure = \"1990000001\"\n\
             [[mailbox]]\naddress = \"rouge-test@ch-exemple.test\"\ntype = \"ORG\"\nstructure = \"1990000001\"\n\
             red_list = true\n"
        );
        let registry = Registry::union([&Registry::parse(&text).unwrap()]);
        let world = World { registry: Some(registry), ..World::of(40) };
        let bundle = world.ok("/Practitioner?mailbox-mss:exact=ferme-test@ch-exemple.test");
        assert!(matches(&bundle).is_empty(), "{bundle:#}");
        bundle.to_string()
    };
    let told = closed("suite-test@ch-exemple.test", "");
    for words in [
        "Cette boîte est fermée depuis le 2026-11-20 : écrivez à suite-test@ch-exemple.test.",
        "This mailbox has been closed since 2026-11-20: write to suite-test@ch-exemple.test.",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let told = closed("rouge-test@ch-exemple.test", "");
    assert!(told.contains("2026-11-20") && !told.contains("rouge-test@"), "{told}");
    let told = closed("suite-test@ch-exemple.test", "red_list = true");
    assert!(!told.contains("2026-11-20") && !told.contains("suite-test@"), "{told}");
}
