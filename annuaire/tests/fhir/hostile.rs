//! What strangers may send: refused quickly, bounded, never a panic.

use proptest::prelude::*;

use crate::world::{World, get, post, read};

#[test]
fn too_much_is_refused_before_it_is_read() {
    let world = World::of(20);
    let thousands: String = (0..5000).map(|n| format!("family={n}&")).collect();
    for body in [
        thousands,
        "family=a&".repeat(100),
        format!("family={}", "a".repeat(10_000)),
        format!("family={}", "%41".repeat(6000)),
        format!("family={}", "a,".repeat(2000)),
        format!("family={}", ",".repeat(300)),
        format!("practitioner.name:contains={}", "ab,".repeat(20)),
        "organization.name:text=ab+cd+ef&".repeat(5),
        format!("{}=1", "n".repeat(500)),
        format!("{}name=x", "organization.".repeat(9)),
        format!("_has:{}x=1", "PractitionerRole:practitioner:".repeat(3)),
    ] {
        let (status, outcome) = read(&world.ask(&post("/PractitionerRole/_search", &body)));
        assert_eq!(
            (status, &outcome["resourceType"]),
            (400, &"OperationOutcome".into()),
            "{}",
            &body[..60.min(body.len())]
        );
        assert!(outcome.to_string().len() < 4096, "what is sent back is short");
    }
}

#[test]
fn wide_and_odd_questions_end_with_an_answer() {
    let world = World::of(60);
    for query in [
        "name:contains=a,e,i,o,u",
        "name:not=x",
        "name=%27",
        "name=-",
        "name=%F0%9F%92%89",
        "name:contains=%E2%80%8B",
        "mailbox-mss:contains=.",
        "mailbox-mss:contains=a,b,c,d,e,f,g,h",
        "mailbox-mss=%40",
        "family=a&family=e&family=i&given=a&given=e&given=o",
        "_id=..,.,003-,003-..x,005-x-y,001-%20",
        "identifier=%7C%7C%7C,%7C,x%7C",
        "identifier:of-type=a%7Cb",
        "_lastUpdated=ge9999-12-31T23:59:59Z",
        "_lastUpdated=ge0001-01-01&_lastUpdated=le9999",
        "_count=99999999999999999999",
        "_count=-1",
        "_elements=,,,",
        "_include=*&_revinclude=*",
        "_content=%27%27&_content=@",
        "_profile=x",
        "_page=",
    ] {
        for kind in ["Practitioner", "PractitionerRole", "Organization", "HealthcareService", "Device"] {
            let (status, value) = world.get(&format!("/{kind}?{query}"));
            assert!(matches!(status, 200 | 400), "{kind}?{query}: {status}");
            assert!(value["resourceType"] == "Bundle" || value["resourceType"] == "OperationOutcome");
        }
    }
}

#[test]
fn no_path_and_no_parameter_makes_it_panic() {
    let world = World::of(20);
    let names = "(_id|_lastUpdated|_content|family|name|identifier|mailbox-mss|mailbox-mss-type|organization|practitioner|\
                 organization\\.name|practitioner\\.identifier|role|specialty|address-city|active|_include|_revinclude|\
                 _elements|_summary|_total|_count|_page|_sort|type|partof|qualification-code|\
                 _has:PractitionerRole:practitioner:role|_has:PractitionerRole:organization:practitioner\\.name|_has:x:y)";
    let modifier = "(|:exact|:contains|:missing|:not|:text|:of-type|:identifier|:x)";
    let value = "([a-z0-9|,\\\\@.é'/ -]{0,12}|true|false|003-[0-9.]{1,14}|ge2026-[0-9-]{0,6}|\\PC{0,6})";
    let config = ProptestConfig::with_cases(400);
    proptest!(config, |(
        kind in "(Practitioner|PractitionerRole|Organization|HealthcareService|Device)",
        pairs in proptest::collection::vec((names, modifier, value), 0..4),
        path in "[A-Za-z0-9/_$.-]{0,24}",
    )| {
        let pairs = pairs.iter().map(|(name, modifier, value)| {
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("{name}{modifier}={value}")
        });
        let query: Vec<String> = pairs.collect();
        let response = world.ask(&get(&format!("/{kind}?{}", query.join("&"))));
        prop_assert!(matches!(response.status().as_u16(), 200 | 400), "{}", response.status());
        let response = world.ask(&get(&format!("/{path}")));
        prop_assert!(response.status().as_u16() < 500);
    });
}
