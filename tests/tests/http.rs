//! The door of the directory over HTTPS: bounds, headers, who is answered, what is logged.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use sceau::demo::cast::Place;
use tests::gateway::Gateway;
use tests::https::Site;
use tests::place::free_endpoint;
use tests::world::World;

/// A world whose hospital A has this `[http]` section, which begins with the port.
fn site(more: &str) -> (World, Gateway, SocketAddr) {
    let (world, at) = (World::new(), free_endpoint());
    world.append(Place::A, "sceau.toml", &format!("[http]\nlisten = \"{at}\"\n{more}"));
    let gateway = world.serve(Place::A);
    (world, gateway, at)
}

/// HT1, HT2, HT4: headers, methods, sizes and silence, on one gateway.
#[test]
fn the_door_of_the_directory_is_bounded() {
    let (world, mut gateway, at) = site("limits = { request = \"5s\", body = \"1KB\", connections_per_peer = 40 }");
    let site = Site::of(&world, at);
    let page = site.get("/", &[]);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{:?}", page.headers);
    assert!(!page.header("content-security-policy").contains("unsafe"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    let id = page.header("x-request-id").to_owned();
    let line = gateway.wait_for_line(&[&id]);
    assert!(line.contains("face") && line.contains("status=200") && line.contains("peer=127.0.0.1"), "{line}");

    // The browser is not asked for a certificate that it need not show.
    assert!(site.connect().ssl().verify_result() == openssl::x509::X509VerifyResult::OK);

    let long = format!("X-Long: {}", "a".repeat(20_000));
    assert_eq!(site.get("/", &[&long]).status, 431);
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: a")).collect();
    assert_eq!(site.get("/", &many.iter().map(String::as_str).collect::<Vec<_>>()).status, 431);
    assert_eq!(site.post("/", &[b'a'; 5000]).status, 413);
    assert_eq!(site.ask("GET / HTTP/1.1\r\n", &["Content-Length: 5"], b"hello").status, 413, "GET has no body");
    let elsewhere = site.get("//evil.test/", &[]);
    assert!(elsewhere.status == 404 && !elsewhere.text().contains("\"//evil"), "{}", elsewhere.text());
    assert_eq!(site.ask("GET http://\u{0}/ HTTP/1.1\r\n", &[], b"").status, 400);

    // Half a request, and silence: closed in time, and others are served meanwhile.
    let mut silent: Vec<_> = (0..15).map(|_| site.connect()).collect();
    for stream in &mut silent {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    }
    assert_eq!(site.get("/", &[]).status, 200);
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
    }
    assert_eq!(site.get("/", &[]).status, 200);
    assert!(gateway.stop().success());
}

/// HT3: whoever copies the directory by asking is slowed down, and told so in both languages.
#[test]
fn harvesting_is_slowed_down() {
    let (world, gateway, at) = site("limits = { requests_per_minute = 5 }");
    let site = Site::of(&world, at);
    let pages: Vec<_> = (0..40).map(|_| site.get("/", &[])).collect();
    let refused = pages.iter().find(|page| page.status == 429).expect("ten requests are let through, not forty");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(refused.text().contains("Attendez") && refused.text().contains("Wait"), "{}", refused.text());
    gateway.wait_for_line(&["too-many-requests"]);
}

/// HT3: a script that asks for everything, many times at once, is shown an hour's worth and a page; others are served.
#[test]
fn a_harvest_is_bounded() {
    let (world, _gateway, at) = site("limits = { answers_per_hour = 5, requests_per_minute = 100000 }");
    let letters: Vec<char> = ('a'..='z').collect();
    let harvest = |letters: &[char]| {
        let (site, mut shown, mut refused) = (Site::of(&world, at), 0, 0);
        for letter in letters {
            let page = site.get(&format!("/results?q={letter}"), &[]);
            shown += page.text().matches("class=\"person").count();
            refused += usize::from(page.status == 429);
        }
        (shown, refused)
    };
    let harvests: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let started: Vec<_> = letters.chunks(7).map(|part| scope.spawn(move || harvest(part))).collect();
        started.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let shown: usize = harvests.iter().map(|(shown, _)| shown).sum();
    let refused: usize = harvests.iter().map(|(_, refused)| refused).sum();
    assert!((1..=45).contains(&shown) && refused > 10, "{harvests:?}");
    let other = Site::of(&world, at).from(Ipv4Addr::new(127, 0, 0, 9));
    assert_eq!(other.get("/?q=martin-test", &[]).status, 200);
}

/// HT3: whoever types the names of a few colleagues is shown the same people at every letter, and not slowed down.
#[test]
fn typing_is_no_harvest() {
    let (world, _gateway, at) = site("limits = { answers_per_hour = 100, requests_per_minute = 100000 }");
    let site = Site::of(&world, at);
    let mut shown = 0;
    for name in ["martin-test", "durand-test", "martin-test", "moreau-test"] {
        for letters in 1..=name.len() {
            let typed: String = name.chars().take(letters).collect();
            let page = site.get(&format!("/results?q={typed}"), &[]);
            assert_eq!(page.status, 200, "{shown} shown before {typed}");
            shown += page.text().matches("class=\"person").count();
        }
    }
    assert!(shown > 150, "{shown}: or nothing was shown here");
}

/// HT4: whoever asks and reads nothing is gone after a while, and nobody waits for them.
#[test]
fn who_reads_nothing_is_gone() {
    let (world, _gateway, at) = site("limits = { unread = \"2s\", requests_per_minute = 100000 }");
    let site = Site::of(&world, at);
    let page = site.get("/", &[]).text();
    let style = page.split('"').find(|it| it.starts_with("/assets/") && it.ends_with(".css")).unwrap();
    let asked = format!("GET {style} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(100);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (site, asked) = (&site, asked.as_bytes());
            scope.spawn(move || {
                let mut stream = site.connect();
                // As long as there is room on the way, everything is answered into it.
                let error = loop {
                    if let Err(error) = stream.write_all(asked) {
                        break error;
                    }
                };
                let waited = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
                assert!(!waited, "the connection was kept: {error}");
            });
        }
        assert_eq!(site.get("/", &[]).status, 200);
    });
    assert_eq!(site.get("/", &[]).status, 200);
}

/// HT2: a thousand silent connections of ten hosts make room for who has something to ask.
#[test]
fn silence_closes_the_door_to_nobody() {
    let (world, mut gateway, at) = site("");
    let mut silent = Vec::new();
    for host in 1..=10 {
        let from = Site::of(&world, at).from(Ipv4Addr::new(127, 0, 1, host));
        silent.extend((0..100).map(|_| from.knock()));
        assert_eq!(Site::of(&world, at).get("/", &[]).status, 200, "{} wait in silence", silent.len());
    }
    // One of them wakes up, and another comes from there.
    let from = Site::of(&world, at).from(Ipv4Addr::new(127, 0, 1, 10));
    assert_eq!(from.get("/", &[]).status, 200);
    assert!(gateway.stop().success());
}

/// HT5: where certificates are asked for, only a good one of the trust space is answered.
#[test]
fn only_known_clients_where_the_operator_says_so() {
    let (world, gateway, at) = site("clients = \"certificate\"");
    let asks = |site: &Site| site.get("/", &[]).status;
    assert_eq!(asks(&Site::of(&world, at)), 403);
    assert_eq!(asks(&Site::known(&world, at, world.card("martin"))), 200);
    assert_eq!(asks(&Site::known(&world, at, &world.space.application)), 200);
    let revoked = world.space.holders.iter().find(|it| it.person.fate == sceau::demo::cast::CardFate::Revoked);
    assert_eq!(asks(&Site::known(&world, at, &revoked.unwrap().card)), 403);
    assert_eq!(asks(&Site::known(&world, at, &world.space.gateways[1])), 403, "a server is nobody who looks people up");
    let martin = world.space.holder("martin").unwrap().person.id.to_string();
    gateway.wait_for_line(&["directory asked", &martin]);
}
