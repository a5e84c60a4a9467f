//! Another directory asked about one person, on demand: our own FHIR face as the other side, and servers that answer
//! something else.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use sceau::demo::cast::Place;
use serde_json::Value;
use tests::{
    gateway::sceau_json,
    place::{free_endpoint, loopback},
    world::World,
};

fn section(at: SocketAddr, more: &str) -> String {
    let base = format!("https://{}:{}/fhir", Place::A.host(), at.port());
    format!("[annuaire.second]\nfrom = {base:?}\naddress = \"{}\"\n{more}", at.ip())
}

fn asked(world: &World, who: &str, more: &[&str]) -> (Option<i32>, Value) {
    let configuration = world.configuration(Place::B);
    let mut all = vec!["annuaire", "lookup", "--id", who, "--config", configuration.to_str().unwrap()];
    all.extend(more);
    sceau_json(&all)
}

/// REG-7: what another directory knows of somebody is shown when it is asked for, as its own.
#[test]
fn another_directory_is_asked_about_one_person_on_demand() {
    let (world, at) = (World::new(), free_endpoint());
    world.append(Place::A, "sceau.toml", &format!("[http]\nlisten = \"{at}\"\npaths = {{ web = \"/annuaire\" }}\n"));
    world.append(Place::B, "sceau.toml", &section(at, "timeout = \"60s\"\n"));
    let _a = world.serve(Place::A);
    let moreau = world.space.holder("moreau").unwrap().person.clone();
    let id = moreau.id.to_string();
    let (code, told) = asked(&world, &id, &[]);
    assert!(code == Some(0) && told.get("second").is_none(), "nobody is asked unless somebody says so: {told}");
    let (code, told) = asked(&world, &id, &["--ask"]);
    let second = &told["second"];
    assert_eq!(
        (code, &second["found"], &second["person"]["id"]),
        (Some(0), &Value::Bool(true), &Value::from(id)),
        "{told}"
    );
    assert_eq!(second["person"]["family"], told["people"][0]["family"], "{told}");
    assert!(second["source"].as_str().unwrap().ends_with("/fhir") && second["asked_at"].is_string(), "{told}");
    // Whom neither knows: the second does not make the first say otherwise.
    let (code, told) = asked(&world, "899799999999", &["--ask"]);
    assert_eq!(
        (code, &told["found"], &told["second"]["found"]),
        (Some(1), &Value::Bool(false), &Value::Bool(false)),
        "{told}"
    );
    assert!(told["second"].get("error").is_none(), "{told}");
}

/// Answers every request with these octets.
fn answering(world: &World, reply: Vec<u8>) -> SocketAddr {
    let server = &world.space.gateways[0];
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate_chain_file(&server.certificate).unwrap();
    acceptor.set_private_key_file(&server.key, SslFiletype::PEM).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind((loopback(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(mut stream) = acceptor.accept(stream) else { continue };
            let _ =
                BufReader::new(&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let _ = stream.write_all(&reply);
            let _ = stream.shutdown();
        }
    });
    at
}

/// REG-7: whatever a second source answers, it is bounded, judged and named, and our own answer stands.
#[test]
fn what_a_second_source_may_not_answer_is_told_as_such() {
    let world = World::new();
    let id = world.space.holder("moreau").unwrap().person.id.to_string();
    let page = |status: &str, kind: &str, body: &str| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nLocation: https://ailleurs.test/fhir\r\n");
        format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
    };
    let fhir = "application/fhir+json";
    let other = "{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":[{\"resource\":{\"resourceType\":\
                 \"Practitioner\",\"identifier\":[{\"system\":\"urn:oid:1.2.250.1.71.4.2.1\",\"value\":\"899700000099\"}]}}]}";
    let mut before = String::new();
    let ask = |at: SocketAddr, more: &str, before: &mut String| {
        let section = section(at, more);
        if before.is_empty() {
            world.append(Place::B, "sceau.toml", &section);
        } else {
            world.edit(Place::B, "sceau.toml", before, &section);
        }
        *before = section;
        let (code, told) = asked(&world, &id, &["--ask"]);
        assert_eq!(
            (code, &told["found"], &told["second"]["found"]),
            (Some(0), &Value::Bool(true), &Value::Bool(false)),
            "{told}"
        );
        told["second"]["error"].as_str().unwrap_or_default().to_owned()
    };
    for (reply, word) in [
        (page("302 Found", fhir, ""), "redirect"),
        (page("200 OK", "text/html", "<html>"), "declared as text/html"),
        (page("200 OK", fhir, "<html>"), "no FHIR bundle"),
        (page("200 OK", fhir, &format!("\"{}\"", "x".repeat(300 * 1024))), "more than 262144 octets"),
        (page("200 OK", fhir, other), "somebody else"),
        (page("503 Service Unavailable", fhir, ""), "503"),
        (b"not HTTP at all\r\n\r\n".to_vec(), ""),
    ] {
        let error = ask(answering(&world, reply), "timeout = \"60s\"\n", &mut before);
        assert!(!error.is_empty() && error.contains(word), "{word}: {error}");
    }
    // Somebody listens, and says nothing.
    let silent = TcpListener::bind((loopback(), 0)).unwrap();
    let error = ask(silent.local_addr().unwrap(), "timeout = \"300ms\"\n", &mut before);
    assert!(error.contains("waited too long"), "{error}");
}
