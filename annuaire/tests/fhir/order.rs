//! Questions about those that refer to a resource (`_has`), and answers in another order (`_sort`).

use std::collections::BTreeSet;

use annuaire::fold;
use serde_json::Value;

use crate::world::{World, matches, two_days};

const ANNE: &str = "003-899700000001";
const BENEDICTE: &str = "003-899700000002";
const ZOE: &str = "003-899700000003";
const HOSPITAL: &str = "001-1990000001";
const CAST: &str = "family=epinaie,tourelle,val-test";

#[test]
fn what_refers_to_a_resource_can_be_asked() {
    let world = World::of(80);
    for (question, expected) in [
        (format!("/Practitioner?{CAST}&_has:PractitionerRole:practitioner:specialty=SM04"), vec![ANNE, BENEDICTE]),
        (format!("/Practitioner?{CAST}&_has:PractitionerRole:practitioner:specialty:not=SM04"), vec![ZOE]),
        (
            format!("/Practitioner?{CAST}&_has:PractitionerRole:practitioner:organization.address-postalcode=99200"),
            vec![ANNE],
        ),
        (format!("/Practitioner?{CAST}&_has:PractitionerRole:practitioner:role=10,21"), vec![ANNE, BENEDICTE, ZOE]),
        ("/Organization?_has:PractitionerRole:organization:practitioner.family=tourelle".into(), vec![HOSPITAL]),
        (
            "/Organization?_has:PractitionerRole:organization:practitioner.identifier=99700000001".into(),
            vec![HOSPITAL, "001-399999999999999"],
        ),
        ("/Organization?name=exemple&_has:HealthcareService:organization:name=cardio".into(), vec![HOSPITAL]),
        ("/Organization?_has:Organization:partof:_id=001-1990000001".into(), vec!["001-1990000009"]),
        ("/Organization?_has:Device:organization:_id=1".into(), vec![]),
    ] {
        let mut ids = world.ids(&question);
        ids.sort();
        assert_eq!(ids, expected, "{question}");
    }
    let many = "&_has:PractitionerRole:practitioner:role=10".repeat(5);
    for (question, code) in [
        ("/Practitioner?_has:PractitionerRole:organization:role=10", "not-supported"),
        ("/Practitioner?_has:Patient:general-practitioner:name=a", "not-supported"),
        ("/Practitioner?_has:PractitionerRole:practitioner:colour=red", "not-supported"),
        ("/Practitioner?_has:PractitionerRole:practitioner", "not-supported"),
        ("/Practitioner?_has:PractitionerRole:practitioner:_has:PractitionerRole:practitioner:role=1", "not-supported"),
        ("/PractitionerRole?practitioner._has:PractitionerRole:practitioner:role=10", "not-supported"),
        ("/Practitioner?_has:PractitionerRole:practitioner:role:near=10", "not-supported"),
        (&format!("/Practitioner?family=a{many}"), "too-costly"),
    ] {
        let (status, outcome) = world.get(question);
        assert_eq!((status, &outcome["issue"][0]["code"]), (400, &code.into()), "{question}: {outcome:#}");
    }
}

#[test]
fn what_refers_is_what_a_search_for_it_finds() {
    let world = World::of(120);
    let mut found = 0;
    for question in [
        "role=10",
        "role=21,40",
        "specialty:text=generale",
        "specialty:missing=false",
        "organization.address-city=paris",
        "organization.name:contains=a",
        "practitioner.given=mar,ann",
        "mailbox-mss:missing=false",
        "role:not=10",
    ] {
        let roles = matches(&world.ok(&format!("/PractitionerRole?{question}&_count=500")));
        for (kind, link, field) in
            [("Practitioner", "practitioner", "practitioner"), ("Organization", "organization", "organization")]
        {
            let meant: BTreeSet<String> = roles
                .iter()
                .filter_map(|role| role[field]["reference"].as_str()?.split('/').next_back().map(str::to_owned))
                .collect();
            let asked = world.ids(&format!("/{kind}?_has:PractitionerRole:{link}:{question}&_count=500"));
            assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), meant, "{kind}: {question}");
            assert_eq!(asked.len(), meant.len(), "each once");
            found += meant.len();
        }
    }
    assert!(found > 200, "{found}");
}

fn walk(world: &World, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let bundle = world.ok(&path);
        all.extend(matches(&bundle));
        let mut links = bundle["link"].as_array().unwrap().iter();
        next = links.find(|it| it["relation"] == "next").map(|it| it["url"].as_str().unwrap().to_owned());
    }
    all
}

#[test]
fn answers_come_in_the_order_that_was_asked_for() {
    let world = World::of(60);
    let name = |one: &Value, field: &str| match &one["name"][0][field] {
        Value::Array(all) => fold(&all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        other => fold(other.as_str().unwrap_or_default()),
    };
    let people = walk(&world, "/Practitioner?_sort=family,-given&_count=7");
    assert_eq!(people.len(), world.current.totals().people as usize);
    let keys: Vec<(String, String)> = people.iter().map(|one| (name(one, "family"), name(one, "given"))).collect();
    assert!(
        keys.windows(2).all(|two| two[0].0 < two[1].0 || (two[0].0 == two[1].0 && two[0].1 >= two[1].1)),
        "{keys:?}"
    );
    assert!(keys.windows(2).any(|two| two[0].0 != two[1].0));
    let back = walk(&world, "/Practitioner?_sort=-_id&_count=500");
    let ids: Vec<&str> = back.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|two| two[0] > two[1]));
    let places = walk(&world, "/Organization?_sort=address-city,name&_count=11");
    let towns: Vec<String> =
        places.iter().map(|one| fold(one["address"][0]["city"].as_str().unwrap_or_default())).collect();
    assert!(towns.windows(2).all(|two| two[0] <= two[1]), "{towns:?}");
    let roles = walk(&world, "/PractitionerRole?_sort=_id&role=10&_count=5");
    assert_eq!(roles.len(), walk(&world, "/PractitionerRole?role=10&_count=500").len());
    for wrong in [
        "/Practitioner?_sort=phone",
        "/PractitionerRole?_sort=family",
        "/Practitioner?_sort=",
        "/Practitioner?_sort=_id,_id,_id,_id,_id",
    ] {
        assert_eq!(world.get(wrong).0, 400, "{wrong}");
    }

    let [second, first] = two_days();
    let world = World::with(second, vec![first]);
    let newest = world.ids("/Practitioner?_sort=-_lastUpdated&_count=1");
    assert_eq!(newest, [BENEDICTE], "what changed last comes first");
}
