//! Time stamps beside the domain's signature (RFC 3161, decision 0027). The authority is OpenSSL's command line.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place::{A, B};
use tests::gateway::sceau_json;
use tests::tsa::{HOST, Tsa, section};
use tests::world::{World, assert_refused, hand_over, letter};

fn field(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message).into_owned();
    let header = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
    header.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(mail::words::decode))
}

fn told(world: &World, subject: &str) -> String {
    let id = format!("{}@wire.test", subject.replace(' ', "."));
    let (_, told) = sceau_json(&["why", &id, "--config", world.configuration(A).to_str().unwrap()]);
    told.to_string()
}

/// A large and a small message are stamped; who pins the authority's root reads the time, who does not is
/// told that nobody judged it; and a message that is stamped badly is taken like one without.
#[test]
fn a_signature_is_stamped_and_its_time_is_read() {
    let (world, tsa) = (World::new(), Tsa::start());
    world.append(A, "sceau.toml", &tsa.section("required = true"));
    let store = world.inner_store(B);
    let _a = world.serve(A);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut arrived = 0;
    for pinned in [false, true] {
        if pinned {
            let section =
                tsa.section("").lines().filter(|line| !line.starts_with("url")).collect::<Vec<_>>().join("\n");
            world.append(B, "sceau.toml", &section);
        }
        let _b = world.serve(B);
        let mut wire = world.submission(A, world.card("martin"));
        // What is over a megabyte goes through files on both sides.
        for lines in if pinned { [1, 31_000] } else { [1, 2] } {
            let subject = format!("Date {pinned} {lines}");
            let mut message = letter(&from, &to, &subject);
            message.extend_from_slice(&b"Une ligne de plus, et encore une.\r\n".repeat(lines));
            assert_eq!(hand_over(&mut wire, &from, &to, &message).code, 250);
            arrived += 1;
            let mail = store.wait_for(arrived)[arrived - 1].message.clone();
            assert_eq!(tsa.asked(), arrived);
            assert_eq!(field(&mail, "X-Sceau-Verdict").as_deref(), Some("accept"));
            let stamp = field(&mail, "X-Sceau-Timestamp").unwrap();
            // What nobody vouches for is not repeated to the reader: neither the time nor whose it is.
            let whole = stamp.contains("; valid; ") && stamp.contains("HORODATAGE-TEST");
            assert!(if pinned { whole } else { stamp == "not judged" }, "{stamp}");
            assert!(told(&world, &subject).contains("time stamp: 20"), "{}", told(&world, &subject));
        }
    }
}

/// Without an answer: refused for now where a stamp is required, else sealed without, and the trail says so.
/// An authority that we did not pin is no better than none.
#[test]
fn a_required_time_stamp_that_is_not_had_defers() {
    let (world, tsa, other) = (World::new(), Tsa::start(), Tsa::start());
    let store = world.inner_store(B);
    let _b = world.serve(B);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let silent = std::net::TcpListener::bind((tests::place::loopback(), 0)).unwrap();
    let silent = silent.local_addr().unwrap();
    let silent = section(&format!("http://{HOST}:{}/tsr", silent.port()), silent, &tsa.root(), "rest = \"0s\"");
    let foreign = other.section("rest = \"0s\"").replace(other.root().to_str().unwrap(), tsa.root().to_str().unwrap());
    let pins = |text: &str| text.lines().find(|line| line.starts_with("sha256")).unwrap().to_owned();
    let foreign = foreign.replace(&pins(&other.section("")), &pins(&tsa.section("")));
    let file = world.configuration(A);
    let plain = std::fs::read_to_string(&file).unwrap();
    let mut arrived = 0;
    for (shape, section) in [("silent", silent), ("foreign", foreign)] {
        for required in [true, false] {
            let section = section.replace("rest =", &format!("required = {required}\nrest ="));
            std::fs::write(&file, format!("{plain}\n{section}")).unwrap();
            let a = world.serve(A);
            let mut wire = world.submission(A, world.card("martin"));
            let subject = format!("Sans date {shape} {required}");
            let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, &subject));
            if required {
                assert_refused(&reply, 451, "timestamp-unavailable");
            } else {
                assert_eq!(reply.code, 250, "{}", reply.text());
                arrived += 1;
                let mail = store.wait_for(arrived)[arrived - 1].message.clone();
                assert_eq!(field(&mail, "X-Sceau-Verdict").as_deref(), Some("accept"));
                assert_eq!(field(&mail, "X-Sceau-Timestamp"), None);
                assert!(told(&world, &subject).contains("time stamp: none"), "{}", told(&world, &subject));
            }
            drop(a);
        }
    }
}
