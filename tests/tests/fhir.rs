//! FHIR behind the door, over real HTTPS: a client that knows the standard and not us, copies that go on after a break,
//! what changed between two loads, and a reason in FHIR's own form for everything that is refused.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use annuaire::DataFolder;
use ident::{Clock as _, SystemClock};
use sceau::demo::cast::Place;
use serde_json::Value;
use tests::gateway::{Gateway, sceau, sceau_json};
use tests::https::{Page, Site};
use tests::place::free_endpoint;
use tests::process::{run, tool};
use tests::world::World;

/// A world whose hospital A has this `[http]` section, which begins with the port.
struct Ground {
    world: World,
    gateway: Gateway,
    at: SocketAddr,
    site: Site,
}

const KNOWN: &str = "what changed in the directory is known to FHIR";

impl Ground {
    fn new(more: &str) -> Self {
        let (world, at) = (World::new(), free_endpoint());
        world.append(Place::A, "sceau.toml", &format!("[http]\nlisten = \"{at}\"\n{more}"));
        let gateway = world.serve(Place::A);
        gateway.wait_for_line(&[KNOWN]);
        let site = Site::of(&world, at);
        Self { world, gateway, at, site }
    }

    /// Ends the gateway and starts it again.
    fn restart(&mut self) {
        assert!(self.gateway.stop().success());
        self.gateway = self.world.serve(Place::A);
        // Until then no resource says when it changed.
        self.gateway.wait_for_line(&[KNOWN]);
    }

    /// Under which address clients know it.
    fn base(&self) -> String {
        format!("https://{}:{}/fhir", Place::A.host(), self.at.port())
    }

    fn get(&self, path: &str) -> Page {
        self.site.get(&format!("/fhir{path}"), &[])
    }

    /// What is at a path, or at an address of our own.
    fn ok(&self, path: &str) -> Value {
        let page = self.get(path.strip_prefix(&self.base()).unwrap_or(path));
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        json(&page)
    }
}

#[track_caller]
fn json(page: &Page) -> Value {
    serde_json::from_slice(&page.body).unwrap_or_else(|error| panic!("{error}: {}", page.text()))
}

/// FHIR-21: a general client, which reads the CapabilityStatement and knows nothing else, gets everything once.
#[test]
fn a_general_client_walks_every_page() {
    let ground = Ground::new("");
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fhir/client.py");
    let roots = ground.world.server_roots();
    let (ip, port) = (ground.at.ip().to_string(), ground.at.port().to_string());
    let mut command = tool("python3");
    command.arg(client).args([&ip, &port]).arg(roots).arg(ground.base());
    let told = run(&mut command, b"");
    assert_eq!(told.code, Some(0), "{}", told.errors);
    let seen: Value = serde_json::from_str(&told.text()).unwrap();
    let generation = DataFolder::new(&ground.world.folder().join("annuaire-data")).current().unwrap();
    let totals = generation.totals();
    for (kind, count) in
        [("Practitioner", totals.people), ("PractitionerRole", totals.activities), ("Organization", totals.structures)]
    {
        assert_eq!(seen[kind]["count"], count, "{seen}");
    }
    assert!(seen["PractitionerRole"]["references"].as_u64().unwrap() > 0, "{seen}");
    // The log says who asked for what kind of thing and how many were shown, never what was typed.
    ground.get("/Practitioner?family=martin-test&given=anne");
    let line = ground.gateway.wait_for_line(&["directory asked", "kind=\"Practitioner\"", "answers=1"]);
    assert!(line.contains("face=\"fhir\"") && !line.to_lowercase().contains("martin"), "{line}");
}

/// FHIR-22: a copy that broke off, in the middle of a file and by a restart of ours, goes on where it was.
#[test]
fn a_copy_goes_on_after_a_break() {
    let mut ground = Ground::new("");
    let start = ground.get("/$export");
    assert_eq!(start.status, 202, "{}", start.text());
    let manifest = ground.ok(start.header("content-location"));
    let files: Vec<(String, String)> = manifest["output"].as_array().unwrap().iter().map(file).collect();
    assert!(files.len() >= 3, "{manifest:#}");
    let path =
        |url: &str| url.strip_prefix(&format!("https://{}:{}", Place::A.host(), ground.at.port())).unwrap().to_owned();
    // Half a file, and the line is cut.
    let first = path(&files[0].1);
    let mut stream = ground.site.connect();
    write!(stream, "GET {first} HTTP/1.1\r\nHost: {}\r\n\r\n", Place::A.host()).unwrap();
    let mut half = [0; 2000];
    stream.read_exact(&mut half).unwrap();
    drop(stream);
    let whole = ground.site.get(&first, &[]);
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/fhir+ndjson"));
    let body = half.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(body < 1500 && whole.body.starts_with(&half[body..]), "the same from the beginning");
    let paths: Vec<(String, String)> = files.iter().map(|(kind, url)| (kind.clone(), path(url))).collect();
    ground.restart();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, (kind, path)) in paths.iter().enumerate() {
        let page = ground.site.get(path, &[]);
        assert_eq!(page.status, 200, "{kind}: {}", page.text());
        if n == 0 {
            assert_eq!(page.body, whole.body, "after the restart, too");
            let tag = format!("If-None-Match: {}", page.header("etag"));
            assert_eq!(ground.site.get(path, &[&tag]).status, 304, "what is there already is not sent again");
        }
        for line in page.text().lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            assert_eq!(resource["resourceType"], kind.as_str());
            *counts.entry(kind).or_default() += 1;
        }
    }
    let generation = DataFolder::new(&ground.world.folder().join("annuaire-data")).current().unwrap();
    let totals = generation.totals();
    assert_eq!(counts["Practitioner"], totals.people as usize);
    assert_eq!(counts["PractitionerRole"], totals.activities as usize);
    assert_eq!(counts["Organization"], totals.structures as usize);
    ground.gateway.wait_for_line(&["directory asked", "kind=\"export\""]);
}

fn file(output: &Value) -> (String, String) {
    (output["type"].as_str().unwrap().to_owned(), output["url"].as_str().unwrap().to_owned())
}

/// FHIR-23: conditional requests, POST, versions; and a second load, which history and pages know of without a pause.
#[test]
fn versions_and_history_over_a_load() {
    let ground = Ground::new("");
    let martin = format!("003-{}", ground.world.space.holder("martin").unwrap().person.id);
    let page = ground.get(&format!("/Practitioner/{martin}"));
    let (tag, before) = (page.header("etag").to_owned(), json(&page));
    assert_eq!(tag, format!("W/\"{}\"", before["meta"]["versionId"].as_str().unwrap()));
    let again = ground.site.get(&format!("/fhir/Practitioner/{martin}"), &[&format!("If-None-Match: {tag}")]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let posted = ground.site.post("/fhir/Practitioner/_search", b"family=martin-test&given=anne");
    assert_eq!(json(&posted)["entry"], ground.ok("/Practitioner?family=martin-test&given=anne")["entry"]);
    assert_eq!(json(&posted)["entry"][0]["resource"], before);
    let head = ground.site.ask(&format!("HEAD /fhir/Practitioner/{martin} HTTP/1.1\r\n"), &[], b"");
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, tag.as_str(), 0));
    let first = ground.ok("/Practitioner?_count=5");
    let next = first["link"][1]["url"].as_str().unwrap().to_owned();
    let page_before = ground.ok(&next);
    let since = before["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    assert!(ground.ok(&format!("/_history?_since={since}"))["entry"].is_null(), "nothing changed yet");

    // Later extracts: the doctor has another name.
    let extracts = ground.world.folder().join("annuaire");
    let later = SystemClock.now().plus(Duration::from_secs(3600)).rfc3339();
    let later: String = later.chars().filter(char::is_ascii_digit).take(12).collect();
    let mut changed = 0;
    let files: Vec<_> = std::fs::read_dir(&extracts).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let new = text.replace("MARTIN-TEST|Anne", "MARTIN-TESTARD|Anne");
        changed += usize::from(new != text);
        let name = format!("{}_{later}.txt", path.file_stem().unwrap().to_str().unwrap());
        std::fs::write(path.with_file_name(name), new).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    assert!(changed > 0);
    let data = ground.world.folder().join("annuaire-data");
    let mut arguments = vec!["annuaire", "load", extracts.to_str().unwrap(), "--into", data.to_str().unwrap()];
    arguments.extend(annuaire::FileKind::ALL.iter().flat_map(|kind| ["--accept", kind.file_name()]));
    let loaded = sceau(&arguments, b"");
    assert_eq!(loaded.code, Some(0), "{}", loaded.errors);
    ground.gateway.hang_up();
    ground.gateway.wait_for_lines(&[KNOWN], 2);
    let after = ground.ok(&format!("/Practitioner/{martin}"));
    assert_eq!(after["name"][0]["family"], "MARTIN-TESTARD");
    let changes = ground.ok(&format!("/Practitioner/_history?_since={since}"));
    let urls: Vec<&str> =
        changes["entry"].as_array().unwrap().iter().map(|it| it["request"]["url"].as_str().unwrap()).collect();
    assert_eq!(urls, [format!("Practitioner/{martin}")]);
    let versions = ground.ok(&format!("/Practitioner/{martin}/_history"));
    assert_eq!(versions["entry"].as_array().unwrap().len(), 2, "{versions:#}");
    let old = before["meta"]["versionId"].as_str().unwrap();
    assert_eq!(ground.ok(&format!("/Practitioner/{martin}/_history/{old}")), before);
    // Pages that were begun before go on in the data that they were begun in.
    assert_eq!(ground.ok(&next), page_before);
}

/// FHIR-35: what was put on the red list is told to those who copied it, and what is known of it survives a restart.
#[test]
fn mirrors_learn_of_the_red_list_over_a_restart() {
    let mut ground = Ground::new("");
    let martin = format!("003-{}", ground.world.space.holder("martin").unwrap().person.id);
    let before = ground.ok(&format!("/Practitioner/{martin}"));
    let (since, address) = (before["meta"]["lastUpdated"].as_str().unwrap().to_owned(), ground.world.address("martin"));
    assert!(before["telecom"].to_string().contains(&address), "{before:#}");
    let declared = format!("address = \"{address}\"\n");
    ground.world.edit(Place::A, "registry.toml", &declared, &format!("{declared}red_list = true\n"));
    ground.gateway.hang_up();
    ground.gateway.wait_for_lines(&[KNOWN], 2);
    let told = |ground: &Ground| {
        let changes = ground.ok(&format!("/Practitioner/_history?_since={since}"));
        let entries = changes["entry"].as_array().unwrap_or_else(|| panic!("{changes:#}")).clone();
        assert_eq!(entries[0]["request"]["url"], format!("Practitioner/{martin}").as_str(), "{changes:#}");
        assert!(entries.len() == 1 && !changes.to_string().contains(&address), "{changes:#}");
        entries[0]["resource"]["meta"]["lastUpdated"].as_str().unwrap().to_owned()
    };
    let later = told(&ground);
    assert!(later > since, "{later} {since}");
    ground.restart();
    ground.gateway.wait_for_line(&[KNOWN]);
    assert_eq!(told(&ground), later, "the same moment after the restart");
    assert!(ground.ok(&format!("/_history?_since={later}"))["entry"].is_null(), "and a restart changes nothing");
}

/// Method, path, headers, body; status and code of the answer.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, u16, &'a str);

/// FHIR-24: whatever is refused, by FHIR or by the door in front of it, says why in FHIR's own form, in both languages.
#[test]
fn every_refusal_is_an_operation_outcome() {
    let ground = Ground::new("limits = { body = \"64KB\" }");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let (thousands, hundred) = ("family=a&".repeat(3000), "family=a&".repeat(100));
    let cases: [Case<'_>; 20] = [
        ("GET", "/Patient", &[], "", 404, "not-supported"),
        ("GET", "/Practitioner/003-800000000000", &[], "", 404, "not-found"),
        ("GET", "/nowhere/at/all/here", &[], "", 404, "not-found"),
        ("GET", "/Practitioner?colour=red", &[], "", 400, "not-supported"),
        ("GET", "/Practitioner?family=", &[], "", 400, "value"),
        ("GET", "/Practitioner?family:near=x", &[], "", 400, "not-supported"),
        ("GET", "/Practitioner?_count=many", &[], "", 400, "value"),
        ("GET", "/Practitioner?_page=forged", &[], "", 400, "invalid"),
        ("GET", "/Practitioner?family=%FF", &[], "", 400, "invalid"),
        ("GET", "/Practitioner?_lastUpdated=yesterday", &[], "", 400, "value"),
        ("GET", "/_history?_since=2001-01-01", &[], "", 410, "expired"),
        ("GET", "/$export-file?part=forged", &[], "", 400, "invalid"),
        ("GET", "/Practitioner", &["Accept: application/fhir+xml"], "", 406, "not-supported"),
        ("PUT", "/Practitioner/003-899700000017", &[], "{}", 405, "not-supported"),
        ("DELETE", "/Practitioner/003-899700000017", &[], "", 405, "not-supported"),
        ("POST", "/Practitioner", &["Content-Type: application/fhir+json"], "{}", 405, "not-supported"),
        ("POST", "/Practitioner/_search", &["Content-Type: application/fhir+json"], "{}", 415, "not-supported"),
        ("POST", "/Practitioner/_search", &[form], &thousands, 400, "too-long"),
        ("POST", "/Practitioner/_search", &[form], &hundred, 400, "too-costly"),
        ("POST", "/Practitioner/_search", &[form], &"a".repeat(80_000), 413, "too-long"),
    ];
    for (method, path, headers, body, status, code) in cases {
        let length = format!("Content-Length: {}", body.len());
        let headers: Vec<&str> = headers.iter().copied().chain([length.as_str()]).collect();
        let page = ground.site.ask(&format!("{method} /fhir{path} HTTP/1.1\r\n"), &headers, body.as_bytes());
        assert_outcome(&page, status, code);
        assert_eq!(status == 405, !page.header("allow").is_empty(), "{method} {path}: {:?}", page.headers);
    }
    assert_eq!(ground.get("/metadata").status, 200, "and nobody else suffers");
}

/// HT3: who copies by asking is slowed down; who is named as a mirror is not, and everybody has an allowance of their
/// own.
#[test]
fn copying_is_for_mirrors() {
    let structure = Place::A.structure().unwrap().id;
    let ground = Ground::new(&format!(
        "clients = \"optional\"\nmirrors = [\"{structure}\"]\nlimits = {{ answers_per_hour = 10 }}"
    ));
    let people = "/fhir/Practitioner?_count=50";
    let shown = json(&ground.site.get(people, &[]));
    assert!(shown["entry"].as_array().unwrap().len() > 10);
    // What was shown beyond the allowance is owed.
    let refused = ground.site.get(people, &[]);
    assert_outcome(&refused, 429, "throttled");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3600, "{:?}", refused.headers);
    let doctor = Site::known(&ground.world, ground.at, ground.world.card("martin"));
    assert_eq!(doctor.get(people, &[]).status, 200);
    assert_outcome(&doctor.get(people, &[]), 429, "throttled");
    let mirror = Site::known(&ground.world, ground.at, &ground.world.space.application);
    for _ in 0..3 {
        assert_eq!(mirror.get(people, &[]).status, 200);
    }
    ground.gateway.wait_for_line(&["directory asked", &format!("who=\"{structure}\""), "face=\"fhir\""]);
}

/// FHIR-24: where certificates are wanted, FHIR says so in its own form.
#[test]
fn strangers_are_told_in_fhir() {
    let ground = Ground::new("clients = \"certificate\"");
    assert_outcome(&ground.get("/metadata"), 403, "forbidden");
    let doctor = Site::known(&ground.world, ground.at, ground.world.card("martin"));
    assert_eq!(doctor.get("/fhir/metadata", &[]).status, 200);
}

#[track_caller]
fn assert_outcome(page: &Page, status: u16, code: &str) {
    let text = page.text();
    assert_eq!(page.status, status, "{text}");
    let outcome = json(page);
    let issue = &outcome["issue"][0];
    assert_eq!((&outcome["resourceType"], &issue["code"]), (&"OperationOutcome".into(), &code.into()), "{text}");
    assert_eq!(page.header("content-type"), "application/fhir+json; fhirVersion=4.0; charset=utf-8");
    let (french, english) = (issue["details"]["text"].as_str().unwrap(), issue["diagnostics"].as_str().unwrap());
    assert!(french.len() > 10 && english.len() > 10 && french != english, "{text}");
}

/// EQ-1: through the real doors, a sample of what `annuaire` compares by the thousand.
#[test]
fn the_same_people_over_the_wire_and_at_the_command_line() {
    let ground = Ground::new("paths = { web = \"/annuaire\" }");
    let configuration = ground.world.configuration(Place::A);
    let mut somebody = 0;
    for text in [
        "martin-test",
        "anne martin",
        "test cardiologie",
        "medecin test",
        "durand 58",
        "Dr DURAND-TEST",
        "valfleuri",
        "pharmacien",
        "martim-test",
        "personne nulle-part",
        "ch-a.mssante.test",
        "99700000017",
        "paul.durand-test@ch-a.mssante.test",
        "te",
    ] {
        let typed: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (code, told) =
            sceau_json(&["annuaire", "search", text, "--limit", "500", "--config", configuration.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{told}");
        let by_command: Vec<&str> =
            told["people"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        let bundle = ground.ok(&format!("/Practitioner?_content={typed}&_count=500"));
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let matches = entries.iter().filter(|it| it["search"]["mode"] == "match");
        let by_fhir: Vec<&str> = matches.map(|it| it["resource"]["identifier"][0]["value"].as_str().unwrap()).collect();
        let mut by_page = Vec::new();
        for page in 1.. {
            let text = ground.site.get(&format!("/annuaire/?q={typed}&p={page}"), &[]).text();
            let people = text.split("<li class=\"person").skip(1).filter(|part| !part.starts_with(" structure"));
            by_page.extend(
                people.map(|part| part.split("/person/").nth(1).unwrap().split('"').next().unwrap().to_owned()),
            );
            if !text.contains("rel=\"next\"") {
                break;
            }
        }
        assert_eq!(by_page, by_command, "{text}");
        if told["structures"].as_array().unwrap().is_empty() {
            assert_eq!(by_fhir, by_command, "{text}");
        } else {
            assert!(by_command.is_empty() || by_fhir == by_command, "{text}: {by_fhir:?}, {by_command:?}");
        }
        somebody += usize::from(!by_command.is_empty());
    }
    assert!(somebody >= 8, "{somebody}");
}
