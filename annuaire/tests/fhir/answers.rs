//! Single questions and their answers.

use annuaire::Registry;
use serde_json::Value;

use crate::world::{BASE, World, get, matches, of_mode, post, read};

const ANNE: &str = "003-899700000001";
const BENEDICTE: &str = "003-899700000002";
const ZOE: &str = "003-899700000003";
const HOSPITAL: &str = "001-1990000001";

#[test]
fn people_are_found_by_everything_that_is_said_of_them() {
    let world = World::of(80);
    for (query, expected) in [
        ("family=lepinaie", vec![ANNE]),
        ("family=L%27%C3%89pinaie", vec![ANNE]),
        ("family=epinaie&given=anne", vec![ANNE]),
        ("name=anne+sophie+epinaie", vec![ANNE]),
        ("given=sophie&family=epin", vec![ANNE]),
        ("family=tourelle", vec![BENEDICTE]),
        ("family=la+tourelle-test&given=benedicte", vec![BENEDICTE]),
        ("family:exact=DE+LA+TOURELLE-TEST", vec![BENEDICTE]),
        ("family:exact=de+la+tourelle-test", vec![]),
        ("family=tourelle&given:exact=B%C3%A9n%C3%A9dicte", vec![BENEDICTE]),
        ("family=tourelle&given:exact=Be%CC%81ne%CC%81dicte", vec![BENEDICTE]),
        ("family=tourelle&given:exact=Benedicte", vec![]),
        ("family:contains=ourell", vec![BENEDICTE]),
        ("family:text=tourele", vec![BENEDICTE]),
        ("phonetic=lepinai&given=anne+sophie", vec![ANNE]),
        ("family=epinaie,tourelle", vec![ANNE, BENEDICTE]),
        ("family=epinaie&family=tourelle", vec![]),
        ("family=O%27Dupr%C3%A9/Val", vec![ZOE]),
        ("identifier=899700000001", vec![ANNE]),
        ("identifier=99700000001", vec![ANNE]),
        ("identifier=99+70+00+00+001", vec![ANNE]),
        ("identifier=https://rpps.esante.gouv.fr|99700000001", vec![ANNE]),
        ("identifier=http://rpps.fr|99700000001", vec![ANNE]),
        ("identifier=urn:oid:1.2.250.1.71.4.2.1|899700000001", vec![ANNE]),
        ("identifier=urn:oid:1.2.250.1.71.4.2.1|99700000001", vec![]),
        ("identifier=urn:unknown|899700000001", vec![]),
        ("identifier=899700000001,99700000002", vec![ANNE, BENEDICTE]),
        ("identifier=1990000001", vec![]),
        ("_id=003-899700000001", vec![ANNE]),
        ("_id=001-1990000001", vec![]),
        ("mailbox-mss=lepinaie-test%40medecin.pro.test", vec![ANNE]),
        ("mailbox-mss=LEPINAIE-test%40", vec![ANNE]),
        ("mailbox-mss:exact=lepinaie-test%40medecin.pro.test", vec![ANNE]),
        ("mailbox-mss:exact=lepinaie-test%40", vec![]),
        ("mailbox-mss:contains=medecin.pro.test", vec![ANNE, BENEDICTE]),
        ("mailbox-mss:contains=elle-test%40med", vec![BENEDICTE]),
        ("mailbox-mss:contains=nowhere.test", vec![]),
        ("number-smartcard=8000000002", vec![BENEDICTE]),
        ("_content=lepinaie+cardio+99100", vec![ANNE]),
        ("_content=8+99700000002", vec![BENEDICTE]),
        ("name=epinaie&specialty=SM04&address-city=saint+exemple", vec![ANNE]),
        ("name=epinaie&specialty:text=cardio&address-city=autre", vec![ANNE]),
        ("name=epinaie&specialty=SM26", vec![]),
        ("name=epinaie&organization-name=ssr", vec![ANNE]),
        ("address-postalcode=99200&family=epinaie", vec![ANNE]),
        ("family=epinaie&active=true", vec![ANNE]),
        ("family=epinaie&active=false", vec![]),
        ("family=epinaie&active:not=false", vec![ANNE]),
        ("family=epinaie&qualification-code=10", vec![ANNE]),
        ("family=epinaie&qualification-code=TRE_G15-ProfessionSante|10", vec![ANNE]),
        ("family=epinaie&qualification-code=21", vec![]),
        ("family=epinaie&qualification-code:text=cardiologie", vec![ANNE]),
        ("family=epinaie&qualification-code:not=21", vec![ANNE]),
        ("family=epinaie&mailbox-mss-type=PER", vec![ANNE]),
        ("family=epinaie&mailbox-mss-type=TRE_R256-TypeMessagerie|PER", vec![ANNE]),
        ("family=epinaie&mailbox-mss-type=TRE_R257-TypeBAL|ORG", vec![]),
        ("mailbox-mss:missing=true&family=val-test", vec![ZOE]),
        ("mailbox-mss:missing=false&family=val-test", vec![]),
        ("specialty:missing=false&family=epinaie", vec![ANNE]),
        ("identifier-type=RPPS&family=epinaie", vec![ANNE]),
        ("identifier-type=3&mailbox-mss=agent%40", vec!["003-3990000001.2f0001"]),
        ("identifier:of-type=urn:x|RPPS|99700000001", vec![ANNE]),
        ("data-information-system=RPPS", vec![]),
    ] {
        let mut found = world.ids(&format!("/Practitioner?{query}"));
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn one_call_joins_name_speciality_and_town() {
    let world = World::of(80);
    let query = "/PractitionerRole?practitioner.name=epinaie&specialty=SM04&organization.address-city=saint+exemple\
                 &_include=PractitionerRole:practitioner&_include=PractitionerRole:organization";
    let bundle = world.ok(query);
    let roles = matches(&bundle);
    assert_eq!(roles.len(), 1, "one of the two places only: {bundle:#}");
    assert_eq!(roles[0]["organization"]["reference"], format!("Organization/{HOSPITAL}"));
    assert_eq!(bundle["total"], 1);
    let included = of_mode(&bundle, "include");
    let kinds: Vec<&str> = included.iter().map(|resource| resource["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Practitioner", "Organization"]);
    for (query, count) in [
        ("practitioner=Practitioner/003-899700000001", 2),
        ("practitioner=003-899700000001", 2),
        ("practitioner:identifier=99700000001", 2),
        ("practitioner=003-899700000001&organization=Organization/001-1990000001", 1),
        ("practitioner=003-899700000001&organization:identifier=399999999999999", 1),
        ("practitioner=003-899700000001&role=10", 2),
        ("practitioner=003-899700000001&role:not=10", 0),
        ("practitioner=003-899700000001&role:text=medecin", 2),
        ("practitioner=003-899700000001&organization.name:not-there=x", 400),
        ("practitioner=003-899700000001&organization.partof:identifier=990000009", 2),
        ("practitioner=003-899700000001&organization.mailbox-mss=cardiologie", 1),
        ("practitioner=003-899700000001&organization.partof.partof.name=x", 400),
        ("practitioner=003-899700000001&mailbox-mss:contains=ch-exemple", 1),
        ("practitioner=003-899700000001&mailbox-mss:missing=true", 1),
        ("practitioner:Practitioner.family=epinaie", 2),
        ("practitioner:Organization.family=epinaie", 400),
        ("practitioner=Organization/001-1990000001", 400),
    ] {
        let (status, bundle) = world.get(&format!("/PractitionerRole?{query}"));
        match count {
            400 => assert_eq!(status, 400, "{query}"),
            _ => assert_eq!((status, matches(&bundle).len()), (200, count), "{query}: {bundle:#}"),
        }
    }
}

#[test]
fn structures_and_their_services_are_found() {
    let world = World::of(80);
    for (query, expected) in [
        ("name=ch+exemple", vec![HOSPITAL]),
        ("identifier=990000001", vec![HOSPITAL]),
        ("identifier=1990000001", vec![HOSPITAL]),
        ("identifier=https://finess.esante.gouv.fr|990000001", vec![HOSPITAL]),
        ("identifier=urn:oid:1.2.250.1.71.4.2.2|1990000001", vec![HOSPITAL]),
        ("identifier=https://finess.esante.gouv.fr|1990000001", vec![]),
        ("identifier=99999999999999", vec!["001-399999999999999"]),
        ("address-city=autre+exemple&address-postalcode=99200", vec!["001-399999999999999"]),
        ("address=hopital+99200", vec!["001-399999999999999"]),
        ("partof=990000009&name=ssr", vec!["001-399999999999999"]),
        ("partof=Organization/001-1990000009&name=ssr", vec!["001-399999999999999"]),
        ("partof:identifier=1990000009&name=ch+exemple", vec![HOSPITAL]),
        ("mailbox-mss=cardiologie%40ch-exemple", vec![HOSPITAL]),
        ("mailbox-mss:contains=ologie%40ch", vec![HOSPITAL]),
        ("mailbox-mss=anne-sophie.lepinaie", vec![]),
        ("mailbox-mss-type=ORG&name=ch+exemple", vec![HOSPITAL]),
        ("mailbox-mss-type=PER&name=ch+exemple", vec![]),
        ("pharmacy-licence=1&name=ch", vec![]),
        ("name=ch+exemple&pharmacy-licence:missing=true", vec![HOSPITAL]),
        ("name=ch+exemple&type=GEOGRAPHICAL-ENTITY", vec![HOSPITAL]),
        ("_id=001-1990000001", vec![HOSPITAL]),
    ] {
        assert_eq!(world.ids(&format!("/Organization?{query}")), expected, "{query}");
    }
    let bundle = world.ok("/HealthcareService?organization.name=ch+exemple&_include=HealthcareService:organization");
    assert_eq!(matches(&bundle)[0]["name"], "Cardiologie");
    assert_eq!(of_mode(&bundle, "include")[0]["id"], HOSPITAL);
    assert_eq!(world.ids("/HealthcareService?name=cardio&organization=001-1990000001").len(), 1);
    let bundle = world.ok("/Organization?_id=001-1990000001&_revinclude=*&_include=Organization:partof");
    let included = of_mode(&bundle, "include");
    let of = |kind: &str| included.iter().filter(|resource| resource["resourceType"] == kind).count();
    assert_eq!((of("PractitionerRole"), of("HealthcareService"), of("Organization")), (2, 1, 1));
    let bundle = world.ok("/Device?manufacturer=x");
    assert_eq!((&bundle["total"], bundle.get("entry")), (&Value::from(0), None));
}

#[test]
fn a_resource_is_read_and_read_again_only_if_it_changed() {
    let world = World::of(50);
    let response = world.response(&format!("/Practitioner/{ANNE}"));
    let etag = response.headers()["etag"].to_str().unwrap().to_owned();
    let (_, anne) = read(&response);
    assert_eq!(etag, format!("W/\"{}\"", anne["meta"]["versionId"].as_str().unwrap()));
    assert_eq!(response.headers()["x-directory-generation"], world.current.id());
    assert!(response.headers()["last-modified"].to_str().unwrap().ends_with(" GMT"));
    for path in [format!("/Practitioner/{ANNE}"), "/Practitioner?family=epinaie".into(), "/metadata".into()] {
        let response = world.response(&path);
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let mut again = get(&path);
        again.headers_mut().insert("if-none-match", etag.parse().unwrap());
        let response = world.ask(&again);
        assert_eq!((response.status().as_u16(), response.body().len()), (304, 0), "{path}");
        again.headers_mut().insert("if-none-match", "W/\"other\"".parse().unwrap());
        assert_eq!(world.ask(&again).status(), 200);
    }
    let version = anne["meta"]["versionId"].as_str().unwrap();
    assert_eq!(world.ok(&format!("/Practitioner/{ANNE}/_history/{version}")), anne);
    for path in ["/Practitioner/003-899799999999", "/Practitioner/x", "/Organization/003-899700000001", "/Patient/1"] {
        let (status, outcome) = world.get(path);
        assert_eq!((status, &outcome["resourceType"]), (404, &"OperationOutcome".into()), "{path}");
    }
    let mut head = get(&format!("/Practitioner/{ANNE}"));
    *head.method_mut() = http::Method::HEAD;
    let response = world.ask(&head);
    assert!(response.body().is_empty() && response.headers()["content-length"] != "0");
}

#[test]
fn every_error_says_in_two_languages_what_to_do() {
    let world = World::of(20);
    for (path, status, code) in [
        ("/Practitioner?nme=x", 400, "not-supported"),
        ("/Practitioner?family:nearly=x", 400, "not-supported"),
        ("/Practitioner?family=", 400, "value"),
        ("/Practitioner?active=yes", 400, "value"),
        ("/Practitioner?_count=many", 400, "value"),
        ("/Practitioner?_total=some", 400, "value"),
        ("/Practitioner?_summary=some", 400, "value"),
        ("/Practitioner?_include=Practitioner:x", 400, "value"),
        ("/Practitioner?_lastUpdated=hier", 400, "value"),
        ("/Practitioner?mailbox-mss-type=XXX", 400, "value"),
        ("/Practitioner?family=%zz", 400, "invalid"),
        ("/Practitioner?_page=forged", 400, "invalid"),
        ("/Practitioner?_format=xml", 406, "not-supported"),
        ("/Patient", 404, "not-supported"),
        ("/a/b/c/d/e", 404, "not-found"),
        ("/", 404, "not-found"),
    ] {
        let (got, outcome) = world.get(path);
        assert_eq!(got, status, "{path}: {outcome:#}");
        let issue = &outcome["issue"][0];
        assert_eq!((&issue["severity"], &issue["code"]), (&"error".into(), &code.into()), "{path}");
        let english = &issue["details"]["_text"]["extension"][0]["extension"][1]["valueString"];
        assert!(issue["details"]["text"].as_str().unwrap().len() > 10 && english == &issue["diagnostics"], "{path}");
    }
    let mut xml = get("/Practitioner");
    xml.headers_mut().insert("accept", "application/fhir+xml".parse().unwrap());
    assert_eq!(world.ask(&xml).status(), 406);
    xml.headers_mut().insert("accept", "application/fhir+xml;q=0.9, application/json".parse().unwrap());
    assert_eq!(world.ask(&xml).status(), 200);
    let mut put = get("/Practitioner/1");
    *put.method_mut() = http::Method::PUT;
    assert_eq!(world.ask(&put).status(), 405);
    let mut lenient = get("/Practitioner?nme=x&family=epinaie");
    lenient.headers_mut().insert("prefer", "handling=lenient".parse().unwrap());
    let (status, bundle) = read(&world.ask(&lenient));
    let remarks = of_mode(&bundle, "outcome");
    assert_eq!((status, matches(&bundle).len(), remarks.len()), (200, 1, 1));
    assert_eq!(remarks[0]["issue"][0]["expression"][0], "http.nme");
    let link = bundle["link"][0]["url"].as_str().unwrap();
    assert!(link.contains("family=epinaie") && !link.contains("nme"), "the link says what was understood: {link}");
}

#[test]
fn a_search_by_post_is_the_same_search() {
    let world = World::of(50);
    let (status, posted) = read(&world.ask(&post("/Practitioner/_search", "family=epinaie&given=anne")));
    assert_eq!((status, &posted), (200, &world.ok("/Practitioner?family=epinaie&given=anne")));
    let (_, both) = read(&world.ask(&post("/Practitioner/_search?family=epinaie", "given=anne")));
    assert_eq!(both, posted);
    let mut json = post("/Practitioner/_search", "{}");
    json.headers_mut().insert("content-type", "application/json".parse().unwrap());
    assert_eq!(world.ask(&json).status(), 415);
    let (status, all) = read(&world.ask(&post("/Practitioner/_search", "")));
    assert!(status == 200 && all["total"].as_u64().unwrap() > 50);
}

#[test]
fn the_answer_has_the_form_that_was_asked_for() {
    let world = World::of(60);
    let bundle = world.ok("/Practitioner?family=epinaie&_elements=name,Practitioner.telecom");
    let anne = &matches(&bundle)[0];
    let mut fields: Vec<&String> = anne.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["id", "identifier", "meta", "name", "resourceType", "telecom"]);
    assert_eq!(anne["meta"]["tag"][0]["code"], "SUBSETTED");
    let anne = &matches(&world.ok("/Practitioner?family=epinaie&_summary=true"))[0];
    assert!(anne.get("qualification").is_none() && anne.get("telecom").is_some());
    let count = world.ok("/Practitioner?_summary=count");
    assert!(count.get("entry").is_none() && count["total"].as_u64().unwrap() > 60);
    assert_eq!(count["link"].as_array().unwrap().len(), 1, "no pages of nothing");
    let none = world.ok("/Practitioner?_total=none&_count=2");
    assert!(none.get("total").is_none() && matches(&none).len() == 2);
    let roles = world.ok("/PractitionerRole?_total=accurate&_count=1&role=10");
    assert!(roles["total"].as_u64().unwrap() > 0);
    let anne = &matches(&world.ok("/Practitioner?family=epinaie&_revinclude=PractitionerRole:practitioner"))[0];
    assert_eq!(anne["telecom"].as_array().unwrap().len(), 2);
    let near = world.ok("/Practitioner?_content=lepinaye+anne");
    assert_eq!(near["entry"][0]["search"]["extension"][0]["valueCode"], "possible", "{near:#}");
    let exact = world.ok("/Practitioner?_content=epinaie+anne");
    assert_eq!(exact["entry"][0]["search"]["extension"][0]["valueCode"], "certain");
    let text = |path: &str| String::from_utf8(world.response(path).body().clone()).unwrap();
    assert!(text("/metadata?_pretty=true").contains("\n  ") && !text("/metadata").contains('\n'));
}

const REGISTRY: &str = r#"
[[mailbox]]
address = "lepinaie-test@medecin.pro.test"
type = "PER"
owner = "899700000001"
rank = 1

[[mailbox]]
address = "anne-sophie.lepinaie-test@ch-exemple.test"
type = "PER"
owner = "0012800736"
red_list = true

[[mailbox]]
address = "nouvelle@ch-exemple.test"
type = "PER"
owner = "899700000003"
structure = "1990000001"

[[mailbox]]
address = "robot@ch-exemple.test"
type = "APP"
structure = "1990000001"
name = "Robot des résultats"

[[mailbox]]
address = "cardiologie@ch-exemple.test"
type = "ORG"
structure = "1990000001"
red_list = true

[[alias]]
old = "0012800736"
current = "899700000001"
"#;

#[test]
fn the_registry_ranks_adds_and_hides() {
    let mut world = World::of(40);
    world.registry = Some(Registry::parse(REGISTRY).unwrap());
    let addresses = |resource: &Value| -> Vec<String> {
        let telecom = resource["telecom"].as_array().cloned().unwrap_or_default();
        let email = telecom.iter().filter(|contact| contact["system"] == "email");
        email.map(|contact| format!("{} {}", contact["value"].as_str().unwrap(), contact["rank"])).collect()
    };
    let anne = world.ok(&format!("/Practitioner/{ANNE}"));
    assert_eq!(addresses(&anne), ["lepinaie-test@medecin.pro.test 1"]);
    let hospital = world.ok(&format!("/Organization/{HOSPITAL}"));
    assert_eq!(addresses(&hospital), ["robot@ch-exemple.test null"]);
    for (query, expected) in [
        ("Practitioner?mailbox-mss=anne-sophie.lepinaie-test", vec![]),
        ("Practitioner?mailbox-mss:contains=lepinaie-test%40ch", vec![]),
        ("Practitioner?mailbox-mss=nouvelle%40", vec![ZOE]),
        ("Practitioner?mailbox-mss:contains=velle%40ch", vec![ZOE]),
        ("Practitioner?mailbox-mss-type=PER&family=val-test", vec![ZOE]),
        ("Organization?mailbox-mss-type=APP&name=ch+exemple", vec![HOSPITAL]),
        ("Organization?mailbox-mss-type=ORG&name=ch+exemple", vec![]),
        ("Organization?mailbox-mss=cardiologie%40", vec![]),
        ("Organization?mailbox-mss:contains=robot", vec![HOSPITAL]),
        ("HealthcareService?mailbox-mss:contains=%40&organization=001-1990000001", vec![]),
        ("Practitioner?identifier=0012800736", vec![ANNE]),
    ] {
        assert_eq!(world.ids(&format!("/{query}")), expected, "{query}");
    }
    let everything: String = ["Practitioner", "PractitionerRole", "Organization", "HealthcareService"]
        .iter()
        .map(|kind| String::from_utf8(world.response(&format!("/{kind}?_count=500")).body().clone()).unwrap())
        .collect();
    for hidden in ["Anne-Sophie.Lepinaie-TEST@", "cardiologie@ch-exemple.test", "004-1990000001-"] {
        assert!(!everything.contains(hidden), "{hidden} is on the red list");
    }
    let open = World::with(world.current.clone(), Vec::new());
    let ids = open.ids("/HealthcareService?organization=001-1990000001");
    assert!(ids.len() == 1 && ids[0].starts_with("004-1990000001-") && !ids[0].contains("cardio"), "{ids:?}");
    let service = format!("/HealthcareService/{}", ids[0]);
    assert_eq!(open.ok(&service)["name"], "Cardiologie");
    for hidden in [service.to_owned(), format!("{service}/_history")] {
        assert_eq!(world.response(&hidden).status(), 404, "{hidden}");
    }
    let of_place = "/Organization?_id=001-1990000001&_revinclude=HealthcareService:organization";
    for query in [of_place, "/HealthcareService?name=cardio", "/HealthcareService?organization=001-1990000001"] {
        let answer = String::from_utf8(world.response(query).body().clone()).unwrap();
        assert!(!answer.contains(&ids[0]), "{query}");
    }
}

#[test]
fn the_statement_names_all_that_the_national_server_and_mcsd_declare() {
    let world = World::of(5);
    let statement = world.ok("/metadata");
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let declared = |kind: &str| -> Vec<String> {
        let of = resources.iter().find(|resource| resource["type"] == kind).unwrap();
        of["searchParam"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let national = "_id _lastUpdated data-information-system data-registration-authority identifier";
    for (kind, more) in [
        (
            "Practitioner",
            "active family given identifier-type mailbox-mss mailbox-mss-type name number-smartcard \
             qualification-code type-smartcard",
        ),
        (
            "PractitionerRole",
            "active mailbox-mss mailbox-mss-type organization practitioner role location service specialty",
        ),
        (
            "Organization",
            "active address address-city address-line address-postalcode identifier-type mailbox-mss mailbox-mss-type \
             name partof pharmacy-licence type address-insee period endpoint",
        ),
        ("Device", "manufacturer model organization status type"),
        (
            "HealthcareService",
            "_profile active characteristic organization service-category service-type name location",
        ),
    ] {
        let have = declared(kind);
        for name in national.split_whitespace().chain(more.split_whitespace()) {
            assert!(have.iter().any(|own| own == name), "{kind}?{name}");
            // What is declared is served: with a value, or refused for the value and not for the name.
            let (status, outcome) = world.get(&format!("/{kind}?{name}=x"));
            assert!(status == 200 || outcome["issue"][0]["code"] == "value", "{kind}?{name}: {outcome:#}");
            assert_eq!(world.get(&format!("/{kind}?{name}:missing=true")).0, 200, "{kind}?{name}:missing");
        }
    }
    assert_eq!(statement["implementation"]["url"], BASE);
    // What mCSD asks of every resource of a directory (ITI-90, ITI-91).
    for resource in resources {
        let kind = resource["type"].as_str().unwrap();
        for compare in ["gt", "lt", "ge", "le", "sa", "eb"] {
            let path = format!("/{kind}?_lastUpdated={compare}2026-01-01&_count=1");
            assert_eq!(world.get(&path).0, 200, "{path}");
        }
        let codes = resource["interaction"].to_string();
        for code in ["read", "search-type", "history-type"] {
            assert!(codes.contains(&format!("\"{code}\"")), "{kind}: {code}");
        }
        assert_eq!(world.get(&format!("/{kind}/_history")).0, 200, "{kind}");
        let (status, outcome) = world.get(&format!("/{kind}/no-such-id"));
        assert_eq!((status, &outcome["issue"][0]["code"]), (404, &"not-found".into()), "{kind}");
        for include in resource["searchInclude"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert_eq!(world.get(&format!("/{kind}?_count=1&_include={include}")).0, 200, "{kind}: {include}");
        }
    }
    for (kind, include) in [("Organization", "endpoint"), ("PractitionerRole", "practitioner")] {
        let wanted = format!("{kind}:{include}");
        let of = resources.iter().find(|resource| resource["type"] == kind).unwrap();
        assert!(of["searchInclude"].to_string().contains(&wanted), "{wanted}");
    }
}
