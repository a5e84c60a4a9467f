//! What changed, and since when: `lastUpdated`, `_history`, 410.

use serde_json::Value;

use crate::world::{World, two_days};

const BENEDICTE: &str = "003-899700000002";
const ZOE: &str = "003-899700000003";

fn world() -> (World, [String; 2]) {
    let [second, first] = two_days();
    let days = [second.data_as_of().rfc3339(), first.data_as_of().rfc3339()];
    assert!(days[0] > days[1], "{days:?}");
    (World::with(second, vec![first]), days)
}

#[test]
fn a_resource_is_as_old_as_its_content() {
    let (world, [second, first]) = world();
    let updated = |path: &str| world.ok(path)["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    assert_eq!(updated(&format!("/Practitioner/{BENEDICTE}")), second);
    assert_eq!(updated("/Practitioner/003-899700000001"), first);
    assert_eq!(updated("/Organization/001-399999999999999"), first);
    assert_eq!(updated("/Organization/001-1990000001"), second, "the service is in its mailbox");
    let changed = world.ids(&format!("/Practitioner?_lastUpdated=gt{first}"));
    assert_eq!(changed, [BENEDICTE]);
    assert_eq!(world.ids(&format!("/Practitioner?_lastUpdated=ge{second}")), [BENEDICTE]);
    assert_eq!(world.ids(&format!("/PractitionerRole?_lastUpdated=ge{second}")).len(), 1, "its display is the name");
    assert!(world.ids(&format!("/Practitioner?_lastUpdated=gt{second}")).is_empty());
    assert_eq!(world.ids(&format!("/Practitioner?_lastUpdated=eq{second}&family=tour")), [BENEDICTE]);
    let old = world.ids(&format!("/Practitioner?_lastUpdated=le{first}&_count=500"));
    assert_eq!(old.len() + 1, world.current.totals().people as usize);
    assert!(!old.contains(&BENEDICTE.to_owned()));
}

fn changes(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let one = |entry: &Value| {
        let request = &entry["request"];
        let line = format!("{} {}", request["method"].as_str().unwrap(), request["url"].as_str().unwrap());
        assert_eq!(entry.get("resource").is_none(), request["method"] == "DELETE", "{line}");
        line
    };
    entries.iter().map(one).collect()
}

#[test]
fn a_history_tells_what_came_changed_and_left() {
    let (world, [_, first]) = world();
    let people = changes(&world.ok(&format!("/Practitioner/_history?_since={first}")));
    assert_eq!(people, [format!("PUT Practitioner/{BENEDICTE}"), format!("DELETE Practitioner/{ZOE}")]);
    let roles = changes(&world.ok(&format!("/PractitionerRole/_history?_since={first}")));
    assert_eq!(roles.len(), 2, "{roles:?}");
    assert!(roles[0].starts_with("PUT PractitionerRole/005-899700000002-"), "{roles:?}");
    assert!(roles[1].starts_with("DELETE PractitionerRole/005-899700000003-"), "{roles:?}");
    let services = changes(&world.ok("/HealthcareService/_history"));
    assert_eq!(services.len(), 1, "{services:?}");
    let all = changes(&world.ok("/_history"));
    assert!(all.len() >= 6 && [&people, &roles, &services].iter().all(|some| some.iter().all(|c| all.contains(c))));
    // Page by page the same.
    let mut next = Some("/_history?_count=1".to_owned());
    let mut paged = Vec::new();
    while let Some(path) = next {
        let bundle = world.ok(&path);
        paged.extend(changes(&bundle));
        next = bundle["link"].get(1).map(|link| link["url"].as_str().unwrap().to_owned());
    }
    assert_eq!(paged, all);
    let (status, outcome) = world.get("/_history?_since=2020-01-01");
    assert_eq!((status, &outcome["issue"][0]["code"]), (410, &"expired".into()));
    assert_eq!(world.get("/_history?_since=hier").0, 400);
    assert_eq!(world.get("/_history?_sort=x").0, 400);
}

/// The link to itself says what was asked, and nothing that was not (R4, search §3.1.1.4.1).
#[test]
fn a_history_links_to_itself_as_it_was_asked() {
    let (world, [_, first]) = world();
    let own = |path: &str| world.ok(path)["link"][0]["url"].as_str().unwrap().to_owned();
    let base = "https://annuaire.ch-exemple.test/fhir";
    assert_eq!(own("/_history"), format!("{base}/_history"));
    assert_eq!(own("/Practitioner/_history?_format=json"), format!("{base}/Practitioner/_history"));
    assert_eq!(own("/_history?_count=2"), format!("{base}/_history?_count=2"));
    let asked = own(&format!("/Organization/_history?_since={first}"));
    assert_eq!(asked.replace("%3A", ":"), format!("{base}/Organization/_history?_since={first}"));
    // A page is the page that it is.
    let next = world.ok("/_history?_count=2")["link"][1]["url"].as_str().unwrap().to_owned();
    assert_eq!(own(&next), next);
}

#[test]
fn one_resource_has_a_history_and_what_left_is_gone() {
    let (world, [second, first]) = world();
    let history = world.ok(&format!("/Practitioner/{BENEDICTE}/_history"));
    let entries = history["entry"].as_array().unwrap();
    let at = |n: usize| entries[n]["resource"]["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    assert_eq!((entries.len(), at(0), at(1)), (2, second, first));
    let name = |n: usize| entries[n]["resource"]["name"][0]["family"].clone();
    assert_eq!((name(0), name(1)), ("DE LA TOUR-TEST".into(), "DE LA TOURELLE-TEST".into()));
    let old = &entries[1]["resource"];
    let version = old["meta"]["versionId"].as_str().unwrap();
    assert_eq!(&world.ok(&format!("/Practitioner/{BENEDICTE}/_history/{version}")), old);
    assert_eq!(changes(&world.ok(&format!("/Practitioner/{ZOE}/_history")))[0], format!("DELETE Practitioner/{ZOE}"));
    assert_eq!(world.get("/Practitioner/003-899799999999/_history").0, 404);
    assert_eq!(world.get(&format!("/Practitioner/{BENEDICTE}/_history/0000")).0, 404);
}
