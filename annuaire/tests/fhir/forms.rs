//! What is sent and in what form: modifiers, forms by POST and their further pages, what a client may leave empty.

use http::{Request, Response};
use serde_json::Value;

use crate::world::{World, get, matches, of_mode, post, read};

/// Some value of each parameter that is no refusal for the value.
fn value(name: &str) -> &'static str {
    match name {
        "active" => "true",
        "mailbox-mss-type" => "PER",
        "_lastUpdated" => "ge2020-01-01",
        "practitioner" => "Practitioner/003-899700000001",
        "organization" | "partof" => "Organization/001-1990000001",
        _ => "x",
    }
}

#[test]
fn a_modifier_is_declared_and_served_or_refused() {
    let world = World::of(20);
    let statement = world.ok("/metadata");
    let (mut served, mut refused) = (0, 0);
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let kind = resource["type"].as_str().unwrap();
        for param in resource["searchParam"].as_array().unwrap() {
            let (name, doc) = (param["name"].as_str().unwrap(), param["documentation"].as_str().unwrap());
            let listed = doc.rsplit_once("Modifiers: :").map_or("", |(_, list)| list.trim_end_matches('.'));
            let declared: Vec<&str> = listed.split(", :").filter(|modifier| !modifier.is_empty()).collect();
            for modifier in
                ["missing", "exact", "contains", "text", "not", "of-type", "identifier", "above", "Organization", "x"]
            {
                let value = if modifier == "missing" { "true" } else { value(name) };
                let (status, told) = world.get(&format!("/{kind}?{name}:{modifier}={value}"));
                let code = told["issue"][0]["code"].as_str().unwrap_or_default();
                if declared.contains(&modifier) {
                    assert_eq!(status, 200, "{kind}?{name}:{modifier} is declared: {told:#}");
                    served += 1;
                } else {
                    assert_eq!((status, code), (400, "not-supported"), "{kind}?{name}:{modifier}: {told:#}");
                    refused += 1;
                }
            }
        }
    }
    assert!(served > 100 && refused > 300, "{served} served, {refused} refused");
}

#[test]
fn modifiers_mean_what_they_say() {
    let world = World::of(40);
    let service = "/HealthcareService?organization=001-1990000001";
    for (query, count) in [
        ("&name=cardio", 1),
        ("&name:contains=diolog", 1),
        ("&name=diolog", 0),
        ("&name:exact=Cardiologie", 1),
        ("&name:exact=cardiologie", 0),
        ("&name:exact=Cardio", 0),
        ("&organization:Organization=001-1990000001", 1),
        ("&organization:Organization=Organization/001-399999999999999", 0),
    ] {
        assert_eq!(matches(&world.ok(&format!("{service}{query}"))).len(), count, "{query}");
    }
    let profile = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner";
    for (query, count) in [(profile.to_owned(), 1), (format!("{profile}|2.2.0"), 1), (format!("{profile}x"), 0)] {
        let found = world.ids(&format!("/Practitioner?family=epinaie&_profile={query}"));
        assert_eq!(found.len(), count, "{query}");
    }
}

#[test]
fn what_comes_along_may_bring_something_along() {
    let world = World::of(40);
    let query = "/Practitioner?_id=003-899700000001&_revinclude=PractitionerRole:practitioner\
                 &_include:iterate=PractitionerRole:organization";
    let included = of_mode(&world.ok(query), "include");
    let mut kinds: Vec<&str> = included.iter().map(|one| one["resourceType"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["Organization", "Organization", "PractitionerRole", "PractitionerRole"]);
    let (status, told) = world.get("/Practitioner?_include=Practitioner:x");
    let said = told["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(status == 400 && said.contains("nothing to include") && !said.contains(": ."), "{said}");
}

fn lenient(path: &str) -> Request<Vec<u8>> {
    let mut request = get(path);
    request.headers_mut().insert("prefer", "handling=lenient".parse().unwrap());
    request
}

/// Of a request that is full of mistakes the first are named, and the rest counted: what is sent back stays short.
#[test]
fn what_is_left_out_is_named_up_to_a_number_and_then_counted() {
    let world = World::of(20);
    let unknown: Vec<String> = (0..30).map(|n| format!("nom{n}{}=x", "%C3%A9".repeat(30))).collect();
    let (status, bundle) = read(&world.ask(&lenient(&format!("/Practitioner?family=epinaie&{}", unknown.join("&")))));
    assert_eq!(status, 200, "{bundle:#}");
    let entries = bundle["entry"].as_array().unwrap();
    let outcome = &entries.iter().find(|entry| entry["search"]["mode"] == "outcome").unwrap()["resource"];
    let said: Vec<&str> =
        outcome["issue"].as_array().unwrap().iter().map(|issue| issue["diagnostics"].as_str().unwrap()).collect();
    assert_eq!(said.len(), 9, "{said:#?}");
    assert!(said[0].contains("nom0") && said[7].contains("nom7"), "{said:#?}");
    assert_eq!(said[8], "22 more parameters are unknown or empty, and were left out.");
    assert!(outcome.to_string().len() < 16 * 1024, "{}", outcome.to_string().len());
    assert!(entries.iter().any(|entry| entry["search"]["mode"] == "match"), "{bundle:#}");
}

#[test]
fn what_is_empty_is_left_out_where_the_client_is_lenient() {
    let world = World::of(20);
    let (status, bundle) = read(&world.ask(&lenient("/Practitioner?family=epinaie&given=&_count=")));
    assert_eq!((status, matches(&bundle).len(), of_mode(&bundle, "outcome").len()), (200, 1, 1), "{bundle:#}");
    assert_eq!(world.get("/Practitioner?family=epinaie&given=").0, 400);
    for format in ["application%2Ffhir%2Bjson%3BfhirVersion%3D4.0", "application/fhir+json", "json"] {
        assert_eq!(world.get(&format!("/Practitioner?_count=1&_format={format}")).0, 200, "{format}");
    }
    assert_eq!(world.get("/Practitioner?_format=%zz").0, 400);
}

fn next(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array()?;
    links.iter().find(|link| link["relation"] == "next").map(|link| link["url"].as_str().unwrap().to_owned())
}

#[test]
fn the_pages_of_a_form_keep_what_it_said_out_of_addresses() {
    let world = World::of(120);
    let form = "name=a&active=true&_count=3&_include=PractitionerRole:practitioner";
    let form = form.replace("&_include=PractitionerRole:practitioner", "");
    let (mut page, mut found, mut pages) = (read(&world.ask(&post("/Practitioner/_search", &form))).1, Vec::new(), 0);
    let total = page["total"].clone();
    loop {
        found.extend(matches(&page).iter().map(|one| one["id"].clone()));
        assert_eq!(page["total"], total);
        let Some(link) = next(&page) else { break };
        assert!(!link.contains("name") && !link.contains("active") && link.contains("_page=q."), "{link}");
        page = world.ok(&link);
        // Posted, it is the same page; with something added, none.
        let token = link.split_once("_page=").unwrap().1;
        assert_eq!(read(&world.ask(&post("/Practitioner/_search", &format!("_page={token}")))).1, page);
        assert_eq!(world.get(&format!("{link}&family=x")).0, 400);
        assert_eq!(world.get(&link.replacen("/Practitioner?", "/Organization?", 1)).0, 400);
        pages += 1;
    }
    let open = world.ids(&format!("/Practitioner?{}&_count=500", form.replace("&_count=3", "")));
    assert!(pages > 2 && found == open, "{pages}: {found:?}, {open:?}");
    let link = next(&world.ok("/Practitioner?name=a&_count=3")).unwrap();
    assert!(link.contains("name=a"), "what came in an address goes on in one: {link}");
    for forged in ["q.", "q.AAAA", "q.é"] {
        assert_eq!(world.get(&format!("/Practitioner?_page={}", forged.replace('é', "%C3%A9"))).0, 400);
    }
}

#[test]
fn a_question_too_long_for_an_address_is_refused_when_it_has_pages() {
    let world = World::of(120);
    let long = (0..60).map(|n| format!("{n:03}{}", "é".repeat(30))).collect::<Vec<_>>().join(",");
    let asked = |count: usize| {
        let form = format!("family=a,b,c,d,{long}&_count={count}");
        read(&world.ask(&post("/Practitioner/_search", &form)))
    };
    let (status, told) = asked(2);
    assert_eq!((status, &told["issue"][0]["code"]), (400, &"too-long".into()), "{told:#}");
    let (status, whole) = asked(500);
    assert!(status == 200 && matches(&whole).len() > 2, "all on one page");
}

#[test]
fn what_was_not_shown_is_not_counted_and_a_card_that_is_opposed_is_not_shown() {
    let world = World::of(20);
    let told = |response: &Response<Vec<u8>>| response.extensions().get::<annuaire::face::Asked>().unwrap().answers;
    let first = world.response("/Practitioner/003-899700000001");
    let mut again = get("/Practitioner/003-899700000001");
    again.headers_mut().insert("if-none-match", first.headers()["etag"].clone());
    let again = world.ask(&again);
    assert_eq!((told(&first), again.status().as_u16(), told(&again)), (1, 304, 0));
    let shown = |id: &str| String::from_utf8(world.response(&format!("/Practitioner/{id}")).into_body()).unwrap();
    assert!(shown("003-899700000001").contains("8000000001"));
    let opposed = shown("003-899700000002");
    assert!(!opposed.contains("8000000002") && !opposed.contains("oppositionDate"), "{opposed}");
    assert_eq!(
        world.ids("/Practitioner?number-smartcard=8000000002"),
        ["003-899700000002"],
        "who is looked for is found"
    );
}
