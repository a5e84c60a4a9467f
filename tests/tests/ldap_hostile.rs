//! The directory over LDAP asked by those who mean it no good: octets that no client sends, more connections than there
//! are places, searches that nobody waits for; and what others have of it meanwhile.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::path::Path;

use tests::ldap::{BASE, Client, Served, element, filter, ldaps, search};

#[test]
fn hostile_octets_end_in_an_answer_and_others_are_served() {
    let place = Served::with("limits = { connections = 120, connections_per_peer = 60 }");
    // One octet of a message and no more: closed when a message has had its time, while the rest goes on.
    let mut slow = Client::connect(place.open);
    assert!(slow.send(&[0x30]));

    // Ten thousand deep; and deeper, so that it is more than a message may be.
    let mut deep = element(0x87, b"cn");
    let mut nest = |levels: u32| {
        for _ in 0..levels {
            deep = [&[0xa2, 0x84], &u32::try_from(deep.len()).unwrap().to_be_bytes()[..], &deep].concat();
        }
        deep.clone()
    };
    let (deep, deeper) = (nest(10_000), nest(2_000));
    let mut client = Client::connect(place.open);
    assert!(client.send(&search(&deep, 0)));
    // adminLimitExceeded to message 9; the connection goes on.
    assert_eq!(client.entries(), (vec![], 11));
    assert!(client.send(&search(&filter("(xx=*)"), 0)));
    assert_eq!(client.entries(), (vec![], 0));
    for (lie, what) in [
        (search(&deeper, 0), "larger than a message may be"),
        (vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2], "two gigabytes announced"),
        (vec![0x30, 0x80, 2, 1, 1], "a length that is not said"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "another protocol"),
        (element(0x30, &[2, 1, 1, 0x63, 0x7f, 4]), "longer than what it is in"),
    ] {
        let mut client = Client::connect(place.open);
        // Whoever has heard enough closes while we still write.
        let _ = client.send(&lie);
        let answer = client.rest();
        let notice = b"1.3.6.1.4.1.1466.20036";
        assert!(answer.windows(notice.len()).any(|octets| octets == notice), "{what}: {answer:?}");
    }

    // A thousand connections from one address, none of which says a word.
    let before = descriptors(place.gateway.pid());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let flood = runtime.block_on(async {
        let mut flood = Vec::new();
        for _ in 0..1000 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
            flood.push(socket.connect(place.open).await.unwrap());
        }
        flood
    });
    let found = place.search(&ldaps(place.open), None, &["-x", "-b", BASE, "(sn=martin-test)"]);
    assert!(String::from_utf8(found.success()).unwrap().contains(&place.world.address("martin")));
    let during = descriptors(place.gateway.pid());
    assert!(during < before + 80, "{before} descriptors before, {during} with a thousand connections");
    drop(flood);
    assert!(!slow.rest().is_empty(), "the slow one is told why it was closed");
}

fn descriptors(pid: u32) -> usize {
    Path::new(&format!("/proc/{pid}/fd")).read_dir().unwrap().count()
}

/// Who copies the directory name by name is stopped, and told to wait; the connection stays.
#[test]
fn who_harvests_runs_dry() {
    let place = Served::with("limits = { searches = 10, entries = 3 }");
    let mut client = Client::connect(place.open);
    let (mut served, mut busy) = (0, 0);
    // Twice a minute's worth is served at once; what comes back with time is far less than what is asked.
    while busy < 10 {
        assert!(client.send(&search(&filter("(sn=mar*)"), 0)));
        let (entries, code) = client.entries();
        served += entries.len();
        busy += usize::from(code == 51);
    }
    assert!(served >= 20, "{served} entries before the first refusal");
    let cut = place.search(
        &ldaps(place.cards),
        Some("martin"),
        &["-N", "-Y", "EXTERNAL", "-Q", "-b", "dc=annuaire", "(sn=martin-test)"],
    );
    assert_eq!(cut.code, Some(0), "{}", cut.errors);
}
