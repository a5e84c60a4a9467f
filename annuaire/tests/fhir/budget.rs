//! What a request may cost is counted, and when it is spent there is an honest end: a page with a next one, or a refusal that
//! says what to do. Nothing here looks at a clock.

use std::collections::BTreeSet;

use annuaire::fhir::{Cost, MAX_COST};
use http::Request;
use serde_json::Value;

use crate::world::{World, built, get, ground, matches, post, read, two_days};

/// What a request may cost in these tests: so little that a nation is not needed to spend it.
const TIGHT: u64 = 300_000;
/// What one more step may cost beyond that, here: it is looked at between steps.
const STEP: u64 = TIGHT / 5;

fn cost(world: &World, request: &Request<Vec<u8>>) -> (u64, u16, Value) {
    let response = world.ask(request);
    let Cost(cost) = *response.extensions().get::<Cost>().unwrap();
    let (status, value) = read(&response);
    (cost, status, value)
}

fn next(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array()?;
    links.iter().find(|link| link["relation"] == "next").map(|link| link["url"].as_str().unwrap().to_owned())
}

/// `n` values that nothing has, each another.
fn values(n: usize, start: &str) -> String {
    (0..n).map(|n| format!("{start}{n}")).collect::<Vec<_>>().join(",")
}

/// The questions that brought a core to its knees for seconds or minutes, as large as they are still taken.
fn bombs() -> Vec<(&'static str, String)> {
    let role = |rest: String| ("PractitionerRole", rest);
    let same = |n: usize, value: &str| vec![value; n].join(",");
    vec![
        role(format!("role:not={}&role=x", same(99, "10"))),
        role(format!(
            "{}&role:not=10",
            vec![format!("data-registration-authority:missing=false&role:not={}", same(8, "21")); 10].join("&")
        )),
        role(format!("specialty:text={}&_count=500", values(12, "x"))),
        role(format!("organization.type={}", same(100, "GEOGRAPHICAL-ENTITY"))),
        role(format!(
            "{}&role=10",
            vec![format!("organization.type={}", same(9, "GEOGRAPHICAL-ENTITY")); 11].join("&")
        )),
        role(format!("organization.identifier-type={}", values(100, "x"))),
        role(format!("organization._lastUpdated={}", ["gt2026-01-01"; 100].join(","))),
        role(format!("organization.partof.identifier-type={}", values(100, "x"))),
        role(format!("organization.mailbox-mss-type:missing=true&practitioner.qualification-code={}", same(90, "c"))),
        role(format!("_id={}", ["003-8..0123456789abcdef"; 100].join(","))),
        role(format!("organization={}", ["001-1..0"; 100].join(","))),
        (
            "Practitioner",
            format!("mailbox-mss={}", (0..100).map(|n| ["a", "b", "c", "m"][n % 4]).collect::<Vec<_>>().join(",")),
        ),
        ("Practitioner", format!("mailbox-mss:contains={}&_total=accurate", ["."; 12].join(","))),
        ("Practitioner", format!("data-registration-authority={}&_count=500", values(100, "x"))),
        ("Practitioner", format!("qualification-code:not={}&_sort=-_lastUpdated,name,_id", same(100, "de28"))),
        ("Practitioner", format!("_has:PractitionerRole:practitioner:data-registration-authority={}", values(99, "x"))),
        // Each pair of neighbours is also one word, and each of all of them may be misspelt.
        ("Practitioner", "_content=zwicdient zwicdiagnose paranization contentzwi dientzwix dosexpar iczdiag vezlou gawtrix bowxnal fexqui hozwan".replace(' ', "+")),
        ("Practitioner", "_count=500&_revinclude=*".to_owned()),
        ("Practitioner", format!("name:contains={}&_count=500", "a,e,i,o,u,r,s,t,n,l,m,d")),
        ("Organization", format!("type={}&_summary=count", values(100, "SA"))),
        ("Organization", format!("identifier-type={}&_summary=count", values(100, "x"))),
        ("Organization", format!("_has:PractitionerRole:organization:role:not={}", same(99, "21"))),
        ("Organization", format!("_has:HealthcareService:organization:name={}", values(99, "x"))),
        ("Organization", format!("identifier={}", values(100, "99000000"))),
        ("Organization", "_count=500&_include=*&_revinclude=*&_total=accurate".to_owned()),
        ("HealthcareService", format!("name={}", values(100, "x"))),
        ("HealthcareService", format!("organization.identifier-type:not={}", values(100, "x"))),
    ]
}

#[test]
fn no_question_costs_more_than_a_request_is_given() {
    let world = World::of(400).tight(TIGHT);
    let mut spent = 0;
    for (kind, query) in bombs() {
        let (cost, status, value) = cost(&world, &post(&format!("/{kind}/_search"), &query));
        let name = format!("{kind}?{}", &query[..query.len().min(70)]);
        println!("{cost:>9} of {TIGHT}, {status}: {name}");
        assert!(cost <= TIGHT + STEP, "{name} cost {cost}");
        match status {
            200 => assert_eq!(value["resourceType"], "Bundle", "{name}"),
            _ => {
                assert_eq!((status, &value["issue"][0]["code"]), (400, &"too-costly".into()), "{name}: {value:#}");
                let about = value["issue"][0]["expression"][0].as_str().unwrap();
                let (about, said) = (&about["http.".len()..], value["issue"][0]["diagnostics"].as_str().unwrap());
                assert!(query.contains(about) && said.contains(about), "{name}: {value:#}");
            }
        }
        spent += usize::from(cost > TIGHT / 2);
    }
    assert!(spent >= 8, "only {spent} of the bombs still cost anything: is the table of use?");
}

#[test]
fn a_request_has_a_hundred_values_and_no_more() {
    let world = World::of(20);
    for (query, status) in [
        (format!("family={}", values(100, "x")), 200),
        (format!("family={}&given=y", values(100, "x")), 400),
        (vec![format!("family={}", values(10, "x")); 10].join("&"), 200),
        (vec![format!("family={}", values(10, "x")); 11].join("&"), 400),
        (format!("family={}&_count=5&_elements={}", values(100, "x"), values(30, "y")), 200),
    ] {
        let (cost, got, value) = cost(&world, &post("/Practitioner/_search", &query));
        assert_eq!(got, status, "{value:#}");
        assert!(status == 200 || (value["issue"][0]["code"] == "too-costly" && cost == 0), "{cost} {value:#}");
    }
    // As many in the address as in the form: they count together.
    let both = format!("/Practitioner/_search?family={}", values(60, "x"));
    assert_eq!(read(&world.ask(&post(&both, &format!("given={}", values(60, "y"))))).0, 400);
}

#[test]
fn pages_that_end_early_lose_nothing() {
    let world = World::of(300);
    let all = |world: &World, query: &str| {
        let (mut found, mut path, mut pages) = (Vec::new(), Some(query.to_owned()), 0);
        while let Some(at) = path {
            let bundle = world.ok(&at);
            found.extend(matches(&bundle).iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            path = next(&bundle);
            pages += 1;
        }
        (found, pages)
    };
    for query in [
        "/PractitionerRole?role:not=10,21,40&_count=500",
        "/Practitioner?qualification-code:not=10&_count=500",
        "/Organization?_count=500",
        "/HealthcareService?organization.type:not=x",
        "/PractitionerRole?organization.name:missing=false&role:not=x1,x2,x3,x4,x5",
    ] {
        let (wide, _) = all(&world, query);
        let (tight, pages) = all(&World::with(world.current.clone(), Vec::new()).tight(TIGHT), query);
        assert_eq!(tight, wide, "{query}");
        assert_eq!(tight.iter().collect::<BTreeSet<_>>().len(), tight.len(), "each once");
        println!("{query}: {} in {pages} pages", tight.len());
    }
}

#[test]
fn who_asks_how_many_is_told_or_told_why_not() {
    let world = World::of(300);
    let tight = World::with(world.current.clone(), Vec::new()).tight(3000);
    for question in [
        "/PractitionerRole?role=10",
        "/PractitionerRole?role:not=10",
        "/Practitioner?qualification-code:not=10",
        "/HealthcareService?active=true",
        "/Organization?type=SA07",
        "/Organization?type=SA07,GEOGRAPHICAL-ENTITY",
    ] {
        let (mut walked, mut path) = (0, Some(format!("{question}&_count=500")));
        while let Some(at) = path {
            let bundle = world.ok(&at);
            walked += matches(&bundle).len();
            path = next(&bundle);
        }
        for asked in ["_summary=count", "_count=0", "_total=accurate"] {
            assert_eq!(world.ok(&format!("{question}&{asked}"))["total"], walked, "{question}&{asked}");
        }
        assert!(walked > 0, "{question}");
        let (status, value) = tight.get(&format!("{question}&_summary=count"));
        let told = value["total"] == walked || (status, &value["issue"][0]["code"]) == (400, &"too-costly".into());
        assert!(told, "{question}: {value:#}");
    }
    assert_eq!(tight.get("/PractitionerRole?role:not=10&_summary=count").0, 400);
}

#[test]
fn what_is_put_in_order_is_known_whole_or_refused() {
    let world = World::of(300);
    let (mut whole, mut refused) = (0, 0);
    for query in
        ["/Practitioner?name:contains=e&_sort=family", "/Practitioner?name=m&_sort=-family", "/Organization?_sort=name"]
    {
        let wide = world.ok(query);
        let ids = |bundle: &Value| matches(bundle).iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
        assert!(wide["total"].as_u64().unwrap() > 0, "{query}: {wide:#}");
        for little in [100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000] {
            let (status, value) = World::with(world.current.clone(), Vec::new()).tight(little).get(query);
            if status == 200 {
                let (got, all) = (ids(&value), ids(&wide));
                assert_eq!(value["total"], wide["total"], "{query} for {little}");
                // A page may end early, and says where to go on.
                assert!(all.starts_with(&got) && !got.is_empty(), "{query} for {little}: {got:?} {all:?}");
                assert!(got.len() == all.len() || next(&value).is_some(), "{query} for {little}: {value:#}");
                whole += 1;
            } else {
                assert_eq!((status, &value["issue"][0]["code"]), (400, &"too-costly".into()), "{query} for {little}");
                refused += 1;
            }
        }
    }
    assert!(whole >= 6 && refused >= 6, "{whole} answered, {refused} refused");
}

#[test]
fn a_code_that_nobody_has_is_nothing_at_once() {
    let world = World::of(300);
    for (question, some) in [
        ("/Practitioner?specialty=XX99", false),
        ("/Practitioner?qualification-code=XX99", false),
        ("/Practitioner?type-smartcard=XX99", false),
        ("/PractitionerRole?role=XX99", false),
        ("/PractitionerRole?specialty=XX99", false),
        ("/PractitionerRole?organization.type=XX99", false),
        ("/Organization?type=XX99", false),
        ("/Organization?type=sa07", true),
        ("/Organization?type=TRE_R02-SecteurActivite|SA07", true),
        ("/Organization?type=TRE_R38-SpecialiteOrdinale|SA07", false),
        ("/Practitioner?qualification-code=c", true),
        ("/HealthcareService", true),
    ] {
        let (cost, status, bundle) = cost(&world, &get(question));
        assert_eq!(status, 200, "{bundle:#}");
        assert_eq!(!matches(&bundle).is_empty(), some, "{question}");
        assert!(some || (next(&bundle).is_none() && bundle["total"] == 0), "{question}: {bundle:#}");
        assert!(some || cost < 5000, "{question} cost {cost}");
    }
}

#[test]
fn a_history_ends_early_and_goes_on() {
    let [second, first] = two_days();
    let history = |work: u64| {
        let mut world = World::with(second.clone(), Vec::new()).tight(work);
        world.swap(second.clone(), vec![first.clone()]);
        let (mut found, mut path, mut pages) = (Vec::new(), Some("/_history?_count=500".to_owned()), 0);
        while let Some(at) = path {
            let (cost, status, bundle) = cost(&world, &get(&at));
            assert_eq!(status, 200, "{bundle:#}");
            assert!(cost <= work + STEP, "{cost}");
            let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
            found.extend(entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap().to_owned()));
            path = next(&bundle);
            pages += 1;
        }
        (found, pages)
    };
    let (whole, one) = history(MAX_COST);
    let (parts, several) = history(10_000);
    assert_eq!(parts, whole);
    assert!(one == 1 && several > 2, "{one} {several}");
}

#[test]
fn an_export_file_costs_what_its_rows_cost() {
    let world = World::with(built(&ground(100)), Vec::new());
    let start = world.response("/$export");
    let status = world.ok(start.headers()["content-location"].to_str().unwrap());
    for file in status["output"].as_array().unwrap() {
        let (cost, status, _) = {
            let response = world.response(file["url"].as_str().unwrap());
            let lines = response.body().iter().filter(|byte| **byte == b'\n').count() as u64;
            let Cost(cost) = *response.extensions().get::<Cost>().unwrap();
            (cost / lines.max(1), response.status().as_u16(), lines)
        };
        assert!(status == 200 && cost < 20_000, "{cost} a line: {file}");
    }
}
