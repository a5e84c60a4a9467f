//! A general FHIR client: it knows links and nothing of this server, walks every page, and gets everything once.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::{BASE, World, built, ground, matches, read, two_days};

/// Every resource that was searched for, by following the `next` links.
fn walk(world: &World, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(path.to_owned());
    let mut totals = BTreeSet::new();
    while let Some(path) = next {
        let bundle = world.ok(&path);
        totals.insert(bundle["total"].as_u64());
        all.extend(matches(&bundle));
        let links = bundle["link"].as_array().unwrap();
        let link = links.iter().find(|link| link["relation"] == "next");
        next = link.map(|link| link["url"].as_str().unwrap().to_owned());
        assert!(next.as_ref().is_none_or(|next| next.starts_with(BASE)));
    }
    assert_eq!(totals.len(), 1, "{path}: every page says the same total");
    if let Some(Some(total)) = totals.first() {
        assert_eq!(*total, all.len() as u64, "{path}");
    }
    all
}

fn ids(all: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), all.len(), "each once");
    ids
}

#[test]
fn a_general_client_walks_every_page_and_gets_everything_once() {
    let world = World::of(60);
    let totals = world.current.totals();
    for (kind, count) in
        [("Practitioner", totals.people), ("PractitionerRole", totals.activities), ("Organization", totals.structures)]
    {
        let by_seven = ids(&walk(&world, &format!("/{kind}?_count=7")));
        assert_eq!(by_seven.len(), count as usize, "{kind}");
        assert_eq!(by_seven, ids(&walk(&world, &format!("/{kind}?_count=500"))), "{kind}");
    }
    let services = world.current.mailboxes().filter(|mailbox| {
        mailbox.kind() == annuaire::MailboxType::Organisation
            && !mailbox.service().is_empty()
            && mailbox.people().next().is_none()
            && mailbox.structures().next().is_some()
    });
    assert_eq!(walk(&world, "/HealthcareService?_count=3").len(), services.count());
    let doctors = walk(&world, "/Practitioner?qualification-code=10&_count=3");
    assert_eq!(ids(&doctors), ids(&walk(&world, "/Practitioner?qualification-code=10&_count=500")));
    // What only single items can tell is walked as well.
    let active = ids(&walk(&world, "/PractitionerRole?organization.name:missing=false&role:not=10&_count=5"));
    assert_eq!(active, ids(&walk(&world, "/PractitionerRole?organization.name:missing=false&role:not=10&_count=500")));
    assert!(!active.is_empty());
}

#[test]
fn pages_stay_in_the_generation_that_they_began_in() {
    let [second, first] = two_days();
    let mut world = World::with(first.clone(), Vec::new());
    let bundle = world.ok("/Practitioner?_count=10");
    let next = bundle["link"][1]["url"].as_str().unwrap().to_owned();
    let before = world.response(&next);
    world.swap(second.clone(), vec![first.clone()]);
    let after = world.response(&next);
    assert_eq!(after.headers()["x-directory-generation"], first.id());
    let content = |response: &http::Response<Vec<u8>>| ids(&matches(&read(response).1));
    assert_eq!(content(&before), content(&after));
    // When something changed is another question once there is a newer generation.
    let mut timed = World::with(first.clone(), Vec::new());
    for question in ["/Practitioner?_lastUpdated=le2099&_count=10", "/Practitioner?_sort=_lastUpdated&_count=10"] {
        timed.swap(first.clone(), Vec::new());
        let next = timed.ok(question)["link"][1]["url"].as_str().unwrap().to_owned();
        timed.swap(second.clone(), vec![first.clone()]);
        let (status, outcome) = timed.get(&next);
        assert_eq!((status, &outcome["issue"][0]["code"]), (410, &"expired".into()), "{question}");
    }
    world.face = annuaire::fhir::Fhir::new(annuaire::fhir::Settings::default());
    let (status, outcome) = world.get(&next);
    assert_eq!((status, &outcome["issue"][0]["code"]), (410, &"expired".into()));
}

#[test]
fn a_token_is_good_for_its_own_question_only() {
    let world = World::of(60);
    let bundle = world.ok("/Practitioner?_count=10");
    let next = bundle["link"][1]["url"].as_str().unwrap();
    let token = next.split_once("_page=").unwrap().1;
    for path in [
        format!("/Practitioner?_count=10&family=a&_page={token}"),
        format!("/Practitioner?_count=11&_page={token}"),
        format!("/Organization?_count=10&_page={token}"),
        format!("/Practitioner/_history?_page={token}"),
        format!("/$export-status?job={token}"),
        format!("/$export-file?part={token}"),
    ] {
        let (status, outcome) = world.get(&path);
        assert_eq!((status, &outcome["issue"][0]["code"]), (400, &"invalid".into()), "{path}");
    }
    assert_eq!(world.get(&format!("/Practitioner?_page={token}&_count=10")).0, 200);
}

#[test]
fn an_export_is_the_whole_and_any_file_can_be_fetched_again() {
    let world = World::with(built(&ground(50)), Vec::new());
    let start = world.response("/$export?_outputFormat=application/fhir%2Bndjson");
    assert_eq!((start.status().as_u16(), start.body().len()), (202, 0));
    let status = world.ok(start.headers()["content-location"].to_str().unwrap());
    let files = status["output"].as_array().unwrap();
    for kind in ["Practitioner", "PractitionerRole", "Organization", "HealthcareService"] {
        let of_kind = files.iter().filter(|file| file["type"] == kind);
        let mut lines = Vec::new();
        for file in of_kind {
            let response = world.response(file["url"].as_str().unwrap());
            assert_eq!(response.headers()["content-type"], "application/fhir+ndjson");
            assert_eq!(world.response(file["url"].as_str().unwrap()).body(), response.body());
            let text = String::from_utf8(response.body().clone()).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        let mut searched = walk(&world, &format!("/{kind}?_count=500"));
        let by_id = |a: &Value, b: &Value| a["id"].as_str().cmp(&b["id"].as_str());
        lines.sort_by(by_id);
        searched.sort_by(by_id);
        assert_eq!(lines, searched, "{kind}");
    }
    let one = world.response("/Organization/$export");
    let status = world.ok(one.headers()["content-location"].to_str().unwrap());
    assert!(status["output"].as_array().unwrap().iter().all(|file| file["type"] == "Organization"));
    assert_eq!(world.get("/$export?_type=Patient").0, 400);
    assert_eq!(world.get("/$export-file?part=x").0, 400);
}
