//! What is in service since when: corrections of the same day, going back, what the operator says of its mailboxes, and the
//! time until what changed is known.

use std::sync::Arc;

use annuaire::{
    FileKind, Generation, Registry,
    fhir::{Editions, MAX_TOUCHED, View},
};
use ident::Timestamp;
use serde_json::Value;

use crate::world::{World, built, ground, matches, two_days};

const ANNE: &str = "003-899700000001";
const BENEDICTE: &str = "003-899700000002";
const HOSPITAL: &str = "001-1990000001";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn registry(text: &str) -> Registry {
    Registry::parse(&format!("mailbox = [{text}]")).unwrap()
}

/// A day, and its correction some hours later: the same date, another name.
fn corrected() -> [Arc<Generation>; 2] {
    let ground = ground(40);
    let first = built(&ground);
    ground.edit_rows(FileKind::Activities, |_, row| Some(row.replace("DE LA TOURELLE-TEST", "DE LA TOUR-TEST")));
    for file in std::fs::read_dir(ground.extracts()).unwrap() {
        let day = std::time::SystemTime::UNIX_EPOCH
            + std::time::Duration::from_secs(u64::try_from(first.data_as_of().seconds()).unwrap());
        std::fs::File::options().append(true).open(file.unwrap().path()).unwrap().set_modified(day).unwrap();
    }
    let second = built(&ground);
    assert_eq!(second.data_as_of().seconds(), first.data_as_of().seconds());
    [second, first]
}

fn changes(world: &World, path: &str) -> Vec<String> {
    let bundle = world.ok(path);
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let of = |entry: &Value| {
        format!("{} {}", entry["request"]["method"].as_str().unwrap(), entry["request"]["url"].as_str().unwrap())
    };
    entries.iter().map(of).collect()
}

#[test]
fn a_correction_of_the_same_day_is_told_and_so_is_going_back() {
    let [second, first] = corrected();
    let mut editions = Editions::default();
    let noon = at(1_800_000_000);
    for (generation, now) in [(&first, noon), (&second, noon), (&first, noon.minus(std::time::Duration::from_hours(1)))]
    {
        assert!(editions.begin(generation, None, now), "each is another than the one before it");
        assert!(!editions.begin(generation, None, now), "and no other than itself");
    }
    assert_eq!(editions.generations(), [first.id(), second.id()]);
    // They rise, although the clock stood still and then went back.
    let [oldest, middle, newest] = [0, 1, 2].map(|n| at(1_800_000_000 + n).rfc3339());
    let world = World::with(first.clone(), Vec::new());
    world.face.keep(View::new(first.clone(), vec![second.clone()], &editions, None).into());
    let told = [format!("PUT Practitioner/{BENEDICTE}")];
    for since in [&oldest, &middle] {
        let path = format!("/Practitioner/_history?_since={since}");
        let often = if *since == oldest { 2 } else { 1 };
        assert_eq!(changes(&world, &path), vec![told[0].clone(); often], "{path}");
        assert_eq!(world.ids(&format!("/Practitioner?_lastUpdated=gt{since}")), [BENEDICTE]);
    }
    assert!(changes(&world, &format!("/_history?_since={newest}")).is_empty());
    let benedicte = world.ok(&format!("/Practitioner/{BENEDICTE}"));
    assert_eq!(
        (&benedicte["meta"]["lastUpdated"], &benedicte["name"][0]["family"]),
        (&newest.into(), &"DE LA TOURELLE-TEST".into())
    );
    assert_eq!(world.ok(&format!("/Practitioner/{ANNE}"))["meta"]["lastUpdated"], oldest.as_str());
    let history = world.ok(&format!("/Practitioner/{BENEDICTE}/_history"));
    let families: Vec<&Value> =
        history["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]["name"][0]["family"]).collect();
    assert_eq!(
        families,
        ["DE LA TOURELLE-TEST", "DE LA TOUR-TEST"],
        "what came back is one version, where it is newest"
    );
}

/// What is told again as a mailbox of ours changed is the same version: a history that lists it twice contradicts itself.
#[test]
fn the_history_of_one_resource_lists_a_version_once() {
    let generation = built(&ground(40));
    let mailbox = |more: &str| {
        registry(&format!(
            r#"{{ address = "tourelle-test@medecin.pro.test", type = "PER", owner = "899700000002"{more} }}"#
        ))
    };
    let mut editions = Editions::default();
    let mut world = World::with(generation.clone(), Vec::new());
    for (n, more) in ["", ", rank = 1", ", rank = 2", ", rank = 1"].into_iter().enumerate() {
        let now = mailbox(more);
        assert!(editions.begin(&generation, Some(&now), at(1000 * (i64::try_from(n).unwrap() + 1))));
        world.registry = Some(now);
    }
    world.face.keep(View::new(generation.clone(), Vec::new(), &editions, None).into());
    for path in [format!("/Practitioner/{BENEDICTE}/_history"), format!("/Practitioner/{ANNE}/_history")] {
        let history = world.ok(&path);
        let versions: Vec<&Value> =
            history["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]["meta"]["versionId"]).collect();
        assert_eq!(versions.len(), 1, "{path}: {versions:?}");
    }
    let newest = &world.ok(&format!("/Practitioner/{BENEDICTE}/_history"))["entry"][0];
    assert_eq!(newest["response"]["lastModified"], at(4000).rfc3339(), "the newest");
    assert_eq!(
        newest["resource"]["meta"]["versionId"],
        world.ok(&format!("/Practitioner/{BENEDICTE}"))["meta"]["versionId"]
    );
}

#[test]
fn mirrors_are_told_to_drop_what_was_put_on_the_red_list() {
    let generation = built(&ground(40));
    let open = World::with(generation.clone(), Vec::new());
    let service = open.ids(&format!("/HealthcareService?organization={HOSPITAL}"))[0].clone();
    let red = registry(
        r#"{ address = "lepinaie-test@medecin.pro.test", type = "PER", owner = "899700000001", red_list = true },
           { address = "cardiologie@ch-exemple.test", type = "ORG", structure = "1990000001", red_list = true }"#,
    );
    let mut editions = Editions::default();
    editions.begin(&generation, Some(&registry("")), at(1000));
    assert!(editions.begin(&generation, Some(&red), at(2000)));
    let mut world = World::with(generation.clone(), Vec::new());
    let keep = |world: &World, editions: &Editions| {
        world.face.keep(View::new(generation.clone(), Vec::new(), editions, None).into());
    };
    world.registry = Some(red.clone());
    keep(&world, &editions);
    let since = at(1000).rfc3339();
    let told = changes(&world, &format!("/_history?_since={since}"));
    for line in [
        format!("PUT Practitioner/{ANNE}"),
        format!("PUT Organization/{HOSPITAL}"),
        format!("DELETE HealthcareService/{service}"),
    ] {
        assert!(told.contains(&line), "{line}: {told:?}");
    }
    assert!(
        told.iter().filter(|line| line.starts_with("PUT PractitionerRole/005-899700000001-")).count() == 2,
        "{told:?}"
    );
    assert_eq!(told.len(), 5, "{told:?}");
    let text = String::from_utf8(world.response(&format!("/_history?_since={since}")).into_body()).unwrap();
    assert!(!text.contains("lepinaie-test@medecin.pro.test") && !text.contains("cardiologie"), "{text}");
    assert_eq!(world.ids(&format!("/Practitioner?_lastUpdated=gt{since}")), [ANNE]);
    assert_eq!(world.ids(&format!("/Organization?_lastUpdated=gt{since}")), [HOSPITAL]);
    assert_eq!(world.ok(&format!("/Practitioner/{ANNE}"))["meta"]["lastUpdated"], at(2000).rfc3339());
    assert_eq!(world.ok(&format!("/Practitioner/{BENEDICTE}"))["meta"]["lastUpdated"], since);
    // A restart: what was said is read again, and nothing new is said of the same world.
    let mut again = Editions::read(&editions.text()).unwrap();
    assert_eq!(again, editions);
    assert!(!again.begin(&generation, Some(&red), at(9000)));
    // Taken off the list while we were away: shown again, and told.
    let open = registry(r#"{ address = "lepinaie-test@medecin.pro.test", type = "PER", owner = "899700000001" }"#);
    assert!(again.begin(&generation, Some(&open), at(9000)));
    world.registry = Some(open);
    keep(&world, &again);
    let told = changes(&world, &format!("/HealthcareService/_history?_since={}", at(2000).rfc3339()));
    assert_eq!(told, [format!("PUT HealthcareService/{service}")]);
    let told = world.ok(&format!("/Practitioner/_history?_since={}", at(2000).rfc3339()));
    assert!(told["entry"][0]["resource"]["telecom"].to_string().contains("lepinaie-test@medecin.pro.test"), "{told:#}");
}

#[test]
fn a_rank_a_name_and_a_former_identifier_are_changes_what_is_not_shown_is_none() {
    let generation = built(&ground(40));
    let mut editions = Editions::default();
    let mailbox = |more: &str| {
        registry(&format!(
            r#"{{ address = "tourelle-test@medecin.pro.test", type = "PER", owner = "899700000002"{more} }}"#
        ))
    };
    editions.begin(&generation, Some(&mailbox("")), at(1000));
    assert!(!editions.begin(&generation, Some(&mailbox(r#", inner_address = "b@interne.test""#)), at(2000)));
    assert!(editions.begin(&generation, Some(&mailbox(", rank = 1")), at(3000)));
    let former = format!(
        "{}\n[[alias]]\nold = \"0012800736\"\ncurrent = \"899700000002\"",
        "[[mailbox]]\naddress = \"tourelle-test@medecin.pro.test\"\ntype = \"PER\"\nowner = \"899700000002\"\nrank = 1"
    );
    assert!(editions.begin(&generation, Some(&Registry::parse(&former).unwrap()), at(4000)));
    assert!(editions.begin(&generation, None, at(5000)), "and none of ours is one, too");
    for text in ["", "{}", "nonsense", r#"{"editions":[1]}"#] {
        assert_eq!(Editions::read(text), None, "{text}");
    }
    let mut falling: Value = serde_json::from_str(&editions.text()).unwrap();
    falling["editions"].as_array_mut().unwrap().reverse();
    assert_eq!(Editions::read(&falling.to_string()), None, "moments that do not rise are not believed");
}

#[test]
fn too_many_changes_begin_history_anew() {
    let generation = built(&ground(40));
    let mut editions = Editions::default();
    editions.begin(&generation, None, at(1000));
    let boxes: String = (0..MAX_TOUCHED / 2)
        .map(|n| format!("{{ address = \"b{n}@ch-exemple.test\", type = \"PER\", owner = \"8997{n:08}\" }},"))
        .collect();
    let many = registry(&boxes);
    assert!(editions.begin(&generation, Some(&many), at(2000)));
    assert!(editions.begin(&generation, None, at(3000)), "as many again");
    let world = World::with(generation.clone(), Vec::new());
    world.face.keep(View::new(generation.clone(), Vec::new(), &editions, None).into());
    assert_eq!(world.get(&format!("/_history?_since={}", at(1000).rfc3339())).0, 200);
    assert!(editions.begin(
        &generation,
        Some(&registry(r#"{ address = "x@ch-exemple.test", type = "PER", owner = "899700000001" }"#)),
        at(4000)
    ));
    world.face.keep(View::new(generation.clone(), Vec::new(), &editions, None).into());
    assert_eq!(world.get(&format!("/_history?_since={}", at(1000).rfc3339())).0, 410, "the oldest is forgotten");
    assert_eq!(world.get(&format!("/_history?_since={}", at(2000).rfc3339())).0, 200);
}

#[test]
fn until_it_is_known_what_changed_who_asks_is_told_to_come_back() {
    let [second, first] = two_days();
    let mut world = World::with(first.clone(), Vec::new());
    let page = world.ok("/Practitioner?_count=5");
    let next = page["link"][1]["url"].as_str().unwrap().to_owned();
    let before = world.ids(&next);
    let since = first.data_as_of().rfc3339();
    let timed = [
        "/_history".to_owned(),
        format!("/Practitioner/_history?_since={since}"),
        format!("/Practitioner/{ANNE}/_history"),
        format!("/Practitioner/{ANNE}/_history/0000"),
        format!("/Practitioner?_lastUpdated=gt{since}"),
        format!("/PractitionerRole?organization._lastUpdated=ge{since}"),
        "/Organization?_sort=-_lastUpdated".to_owned(),
    ];
    let wait = |world: &World| {
        for path in &timed {
            let response = world.response(path);
            let outcome: Value = serde_json::from_slice(response.body()).unwrap();
            let told = (response.status().as_u16(), &outcome["issue"][0]["code"]);
            assert_eq!(told, (503, &"transient".into()), "{path}: {outcome:#}");
            assert_eq!(response.headers()["retry-after"], "10", "{path}");
        }
        let job = world.response("/$export");
        let job = job.headers()["content-location"].to_str().unwrap().to_owned();
        assert_eq!(world.get(&job).0, 503, "and so is who copies: what to ask from then on is not known");
        let anne = world.ok(&format!("/Practitioner/{ANNE}"));
        assert!(anne["meta"].get("lastUpdated").is_none() && anne["meta"]["versionId"].is_string(), "{anne:#}");
        assert_eq!(matches(&world.ok("/Practitioner?family=epinaie")).len(), 1);
        assert_eq!(world.ids(&next), before, "pages go on in what they were begun in");
    };
    // Another generation is being read: those before the one in service were let go of.
    world.face.let_go();
    wait(&world);
    // It is in service, and not yet compared.
    world.current = second.clone();
    wait(&world);
    assert_eq!(world.ids("/Practitioner?family=tour"), [BENEDICTE]);
    world.swap(second, vec![first]);
    for path in timed.iter().filter(|path| !path.ends_with("/0000")) {
        assert_eq!(world.get(path).0, 200, "{path}");
    }
    assert_eq!(world.ids(&next), before);
}

#[test]
fn pages_of_a_history_go_on_when_something_else_changes() {
    let [second, first] = two_days();
    let mut editions = Editions::default();
    editions.begin(&first, None, at(1000));
    editions.begin(&second, None, at(2000));
    let world = World::with(second.clone(), Vec::new());
    let keep = |editions: &Editions| {
        world.face.keep(View::new(second.clone(), vec![first.clone()], editions, None).into());
    };
    keep(&editions);
    let all = changes(&world, "/_history");
    let page = world.ok("/_history?_count=2");
    let mut told = changes(&world, "/_history?_count=2");
    let mut next = page["link"][1]["url"].as_str().map(str::to_owned);
    let timed = world.ok("/Organization?_lastUpdated=ge1970&_count=2")["link"][1]["url"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&timed).0, 200);
    let one = registry(r#"{ address = "x@ch-exemple.test", type = "PER", owner = "899700000001" }"#);
    editions.begin(&second, Some(&one), at(3000));
    keep(&editions);
    while let Some(path) = next {
        told.extend(changes(&world, &path));
        next = world.ok(&path)["link"][1]["url"].as_str().map(str::to_owned);
    }
    assert_eq!(told, all, "what came later is in the next history");
    let newer = changes(&world, &format!("/Practitioner/_history?_since={}", at(2000).rfc3339()));
    assert_eq!(newer, [format!("PUT Practitioner/{ANNE}")]);
    assert_eq!(world.get(&timed).0, 410, "who changed when is another question now");
}
