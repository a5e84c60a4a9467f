//! One request to the FHIR face, over a small directory with a day before it and a registry: what is answered is a Bundle,
//! an OperationOutcome or a resource, says the same twice, agrees with its own total from page to page, shows nothing of the
//! red list, and costs no more than it may.
//!
//! An input is the request as text: `GET /Practitioner?family=martin`, headers, an empty line, a form. Behind `x-face: ahead`
//! the generation was put in service a moment ago, and what changed is not known yet; behind `x-face: tight` a request may
//! cost a fiftieth.

// JSON that is asked for what it has not says null; what is counted is counted in tens.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use annuaire::{
    Generation, Registry,
    face::{Context, Operator},
    fhir::{Cost, Editions, Fhir, Settings, View},
};
use http::{Request, Response};
use ident::Timestamp;
use serde_json::Value;

use crate::{Target, samples};

/// The target.
pub const TARGET: Target = Target {
    name: "fhir",
    covers: &[
        "annuaire/src/fhir/budget.rs",
        "annuaire/src/fhir/criteria/codes.rs",
        "annuaire/src/fhir/criteria/mail.rs",
        "annuaire/src/fhir/criteria/mod.rs",
        "annuaire/src/fhir/criteria/numbers.rs",
        "annuaire/src/fhir/criteria/reverse.rs",
        "annuaire/src/fhir/editions.rs",
        "annuaire/src/fhir/export.rs",
        "annuaire/src/fhir/history.rs",
        "annuaire/src/fhir/ids.rs",
        "annuaire/src/fhir/links.rs",
        "annuaire/src/fhir/mod.rs",
        "annuaire/src/fhir/moment.rs",
        "annuaire/src/fhir/params.rs",
        "annuaire/src/fhir/read.rs",
        "annuaire/src/fhir/search.rs",
        "annuaire/src/fhir/sort.rs",
        "annuaire/src/fhir/token.rs",
        "annuaire/src/fhir/view.rs",
        "annuaire/src/fhir/walk.rs",
    ],
    run,
    seeds: samples::fhir::all,
};

/// What a request may cost here: a small directory is no way to spend what a nation's may.
const WORK: u64 = 200_000;
/// What it may cost where that is little.
const LITTLE: u64 = WORK / 50;
/// What the last step may cost beyond that.
const STEP: u64 = WORK / 2;
/// Of so many inputs, one is asked twice…
const TWICE: usize = 8;
/// …and of so many, the pages of one are followed: each costs as much as a first one.
const FOLLOWED: usize = 3;
/// Most pages that are followed.
const PAGES: usize = 4;
/// On the red list, in the extract and not.
const RED: [&str; 2] = ["b.lefevre-test@pro.test", "rouge-zwickyz@chu-nord.test"];

/// Header by which an input chooses its face.
const FACE: &str = "x-face";
/// Where the face is.
pub const BASE: &str = "https://annuaire.ch-exemple.test/fhir";

struct World {
    current: Arc<Generation>,
    registry: Registry,
    face: Fhir,
    ahead: Fhir,
    tight: Fhir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let [earlier, current] = [true, false].map(|earlier| Arc::new(day(earlier)));
    let [face, ahead, tight] = [WORK, WORK, LITTLE].map(|work| Fhir::new(Settings { work, ..Settings::default() }));
    let registry = Registry::parse(REGISTRY).expect("the registry can be read");
    // A day, the next one, and then what the operator says of its mailboxes.
    let mut editions = Editions::default();
    editions.begin(&earlier, None, earlier.data_as_of());
    ahead.keep(Arc::new(View::new(Arc::clone(&earlier), Vec::new(), &editions, None)));
    editions.begin(&current, None, current.data_as_of());
    editions.begin(&current, Some(&registry), current.data_as_of());
    // A restart between.
    let editions = Editions::read(&editions.text()).expect("what was written");
    let view = Arc::new(View::new(Arc::clone(&current), vec![earlier], &editions, None));
    face.keep(Arc::clone(&view));
    tight.keep(view);
    World { current, registry, face, ahead, tight }
});

const REGISTRY: &str = r#"
[[mailbox]]
address = "b.lefevre-test@pro.test"
type = "PER"
owner = "899700000201"
red_list = true

[[mailbox]]
address = "benedicte.lefevre-test@chu-nord.test"
type = "PER"
owner = "899700000201"
rank = 1

[[mailbox]]
address = "rouge-zwickyz@chu-nord.test"
type = "ORG"
structure = "1990000101"
red_list = true

[[mailbox]]
address = "urgences@chu-nord.test"
type = "ORG"
structure = "1990000101"
name = "Urgences"

[[mailbox]]
address = "automate@chu-nord.test"
type = "APP"
structure = "1990000101"

[[alias]]
old = "0012800736"
current = "899700000201"
"#;

/// The sample that the directory's own tests load; the day before, one service had another name and somebody was not there.
fn day(earlier: bool) -> Generation {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../annuaire/tests/sample"));
    let folder = std::env::temp_dir().join(format!("sceau-fuzz-fhir-{}-{earlier}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    for file in sample.read_dir().expect("the sample").flatten() {
        let text = fs::read_to_string(file.path()).expect("a text");
        let text = match earlier {
            true => text.replace("|Cardiologie|", "|Cardiologie et rythmologie|").replace("99700000202", "99700009202"),
            false => text,
        };
        let path = folder.join(file.file_name());
        fs::write(&path, text).expect("a file");
        let day = std::time::UNIX_EPOCH + std::time::Duration::from_hours(if earlier { 500_000 } else { 500_024 });
        let file = fs::File::options().append(true).open(path).expect("a file");
        file.set_modified(day).expect("a date");
    }
    let built = annuaire::build(&folder).expect("the sample can be read").1.expect("a generation");
    fs::remove_dir_all(folder).expect("the folder goes");
    built
}

/// The request that an input is; `None` for what no listener would let through.
fn request(text: &str) -> Option<Request<Vec<u8>>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target.strip_prefix(BASE).unwrap_or(target));
    for line in lines.take(8) {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(body.trim_end_matches('\n').as_bytes().to_vec()).ok().filter(|it| it.uri().path().starts_with('/'))
}

/// What is answered.
pub fn answer(request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let world = &*WORLD;
    let context = Context {
        generation: &world.current,
        registry: Some(&world.registry),
        now: Timestamp::from_seconds(1_800_000_000),
        secret: &[7; 32],
        origin: "https://annuaire.ch-exemple.test",
        mount: "/fhir",
        operator: Operator { name: "CH Exemple (test)", help: "aide@ch-exemple.test", audit: None },
        publication: None,
    };
    let face = match request.headers().get(FACE).map(|name| name.as_bytes()) {
        Some(b"ahead") => &world.ahead,
        Some(b"tight") => &world.tight,
        _ => &world.face,
    };
    face.answer(request, &context)
}

fn run(data: &[u8]) -> bool {
    let Some(request) = std::str::from_utf8(data).ok().and_then(request) else { return false };
    let response = answer(&request);
    let chance = data.iter().fold(0, |sum: usize, octet| sum.wrapping_mul(31).wrapping_add(usize::from(*octet)));
    if chance % TWICE == 0 {
        assert_eq!(response.body(), answer(&request).body(), "the same question, another answer");
    }
    let Some(bundle) = sound(&request, &response) else { return false };
    if bundle["type"] != "searchset" || response.status() != 200 {
        return false;
    }
    let face = request.headers().get(FACE).and_then(|name| name.to_str().ok()).unwrap_or_default();
    // Where little may be spent, what was not counted on one page is on another.
    if chance % FOLLOWED == 0 && face != "tight" {
        pages(&bundle, face);
    }
    // A question of two parameters at least, about somebody, six to nine to a page: no seed asks so.
    let own = bundle["link"][0]["url"].as_str().unwrap_or_default();
    let found = bundle["entry"].as_array().into_iter().flatten().any(|entry| entry["search"]["mode"] == "match");
    found
        && ["_count=6&", "_count=7&", "_count=8&", "_count=9&"].iter().any(|few| own.contains(few))
        && own.matches('&').count() >= 2
}

/// Holds an answer against what every answer is; its JSON, where it is one document.
fn sound(request: &Request<Vec<u8>>, response: &Response<Vec<u8>>) -> Option<Value> {
    let Cost(cost) = *response.extensions().get::<Cost>().expect("a cost");
    // A file of an export is as large as its rows (decision 0044).
    assert!(cost <= WORK + STEP || request.uri().path() == "/$export-file", "cost {cost}");
    let status = response.status().as_u16();
    assert!([200, 202, 304, 400, 404, 405, 406, 410, 415, 503].contains(&status), "status {status}");
    let text = std::str::from_utf8(response.body()).expect("UTF-8");
    for red in RED {
        assert!(!text.contains(red) || format!("{request:?}").contains(red), "{red} is shown");
    }
    if text.is_empty() {
        assert!([200, 202, 304].contains(&status) || request.method() == "HEAD", "{status} without a word");
        return None;
    }
    if response.headers()["content-type"] == "application/fhir+ndjson" {
        text.lines().for_each(|line| resource(&serde_json::from_str(line).expect("JSON")));
        return None;
    }
    let value: Value = serde_json::from_str(text).expect("JSON");
    match value["resourceType"].as_str() {
        Some("Bundle") => bundle(&value),
        Some("OperationOutcome") => outcome(&value),
        Some("CapabilityStatement") => {}
        Some(_) => {
            resource(&value);
            // Since when it is so is not known of a generation that was put in service a moment ago.
            let ahead = request.headers().get(FACE).is_some_and(|name| name == "ahead");
            assert!(ahead || value["meta"]["lastUpdated"].is_string(), "since when? {value}");
        }
        None => assert!(value["output"].is_array(), "no resource and no list of files"),
    }
    assert_eq!(status == 200, value["resourceType"] != "OperationOutcome", "{status}: {value}");
    Some(value)
}

fn bundle(value: &Value) {
    let kind = value["type"].as_str().expect("a type");
    assert!(["searchset", "history"].contains(&kind), "{kind}");
    assert_eq!(value["link"][0]["relation"], "self");
    for link in value["link"].as_array().expect("links") {
        assert!(link["url"].as_str().expect("an address").starts_with(BASE), "{link}");
    }
    assert!(value.get("entry").is_none_or(|all| all.as_array().is_some_and(|all| !all.is_empty())), "an empty list");
    for entry in value["entry"].as_array().into_iter().flatten() {
        match (kind, entry["search"]["mode"].as_str()) {
            ("searchset", Some("match" | "include")) => {
                resource(&entry["resource"]);
                let (kind, id) = (&entry["resource"]["resourceType"], &entry["resource"]["id"]);
                let (kind, id) = (kind.as_str().expect("a kind"), id.as_str().expect("an id"));
                assert_eq!(entry["fullUrl"], format!("{BASE}/{kind}/{id}").as_str());
            }
            ("searchset", Some("outcome")) => outcome(&entry["resource"]),
            ("history", None) => {
                assert_eq!(entry["request"]["method"] == "DELETE", entry.get("resource").is_none(), "{entry}");
                entry.get("resource").into_iter().for_each(resource);
            }
            other => panic!("an entry that is {other:?}"),
        }
    }
}

fn outcome(value: &Value) {
    let issues = value["issue"].as_array().expect("issues");
    assert!(!issues.is_empty());
    for issue in issues {
        assert!(["error", "warning", "information"].contains(&issue["severity"].as_str().expect("a severity")));
        let said = [&issue["code"], &issue["details"]["text"], &issue["diagnostics"]];
        assert!(said.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty())), "{issue}");
    }
    assert!(value.to_string().len() < 16 * 1024, "what is sent back is short");
}

/// What every resource has, and that none of it is empty (R4, datatypes §2.24.0.1).
fn resource(value: &Value) {
    let id = value["id"].as_str().expect("an id");
    assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)), "{id}");
    assert!(value["meta"]["versionId"].is_string());
    full(value);
}

fn full(value: &Value) {
    match value {
        Value::Null => panic!("nothing stands for something"),
        Value::String(text) => assert!(!text.is_empty(), "an empty text"),
        Value::Array(all) => {
            assert!(!all.is_empty(), "an empty list");
            all.iter().for_each(full);
        }
        Value::Object(all) => {
            assert!(!all.is_empty(), "an empty element");
            all.values().for_each(full);
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Follows the pages of a search: one total, nothing twice.
fn pages(first: &Value, face: &str) {
    let (mut page, mut seen, mut found) = (first.clone(), BTreeSet::new(), 0);
    for _ in 0..PAGES {
        let total = first["total"].as_u64();
        assert_eq!(page["total"].as_u64(), total, "another total on another page");
        for entry in page["entry"].as_array().into_iter().flatten() {
            if entry["search"]["mode"] == "match" {
                found += 1;
                assert!(seen.insert(entry["fullUrl"].to_string()), "{} twice", entry["fullUrl"]);
            }
        }
        let links = page["link"].as_array().expect("links");
        let begun = links.first().is_some_and(|own| own["url"].to_string().contains("_page="));
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else {
            // From the first page to the last, unless less was wanted: what is there is what was said to be there.
            let whole = !begun || seen.len() > found;
            let none_wanted = first["link"][0]["url"].to_string().contains("_count=0");
            let counted = first["link"][0]["url"].to_string().contains("_summary=count");
            let started = first["link"][0]["url"].to_string().contains("_page=");
            if whole && !none_wanted && !counted && !started {
                assert!(total.is_none_or(|total| total == found as u64), "{found} of {total:?}");
            }
            return;
        };
        let next = format!("GET {}\n{FACE}: {face}", next["url"].as_str().expect("an address"));
        let request = request(&next).expect("our own link");
        let response = answer(&request);
        assert_eq!(response.status(), 200, "our own link: {next}");
        page = sound(&request, &response).expect("a page");
    }
    assert!(first["total"].as_u64().is_none_or(|total| total >= found as u64), "more than there are");
}
