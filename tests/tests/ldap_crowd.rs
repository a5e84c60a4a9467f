//! Many at once over LDAP: who says nothing, who reads nothing, who asks for everything at the same time.
//! Others are served.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::{
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use tests::{
    ldap::{BASE, Client, Served, anonymous, filter, ldaps, search},
    process::PATIENCE,
    world::World,
};

const BUSY: u8 = 51;

/// A connection from one of the loopback's many addresses.
fn from(last: u8, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 77, last], 0))).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

fn bound(to: SocketAddr) -> Client {
    let mut client = Client::connect(to);
    assert!(client.send(&anonymous()));
    let _ = client.message();
    client
}

/// Whether somebody else is answered.
fn served(place: &Served) -> bool {
    let found = place.search(&ldaps(place.open), None, &["-x", "-b", BASE, "(sn=martin-test)", "mail"]);
    String::from_utf8_lossy(&found.output).contains(&place.world.address("martin"))
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

/// Resident memory in kilobytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Twenty hosts sit in the door and say nothing, each well within what one may have.
#[test]
fn who_is_silent_makes_room_for_who_asks() {
    let place = Served::with("limits = { connections = 40, connections_per_peer = 10, idle = \"1h\" }");
    let silent: Vec<TcpStream> = (0..60).map(|n| from(1 + n % 20, place.open)).collect();
    // Who has only just come is left alone for a moment.
    until("nobody gets in", || served(&place));
    assert!(served(&place));
    drop(silent);
}

#[test]
fn many_at_once_are_shown_no_more_than_one_after_the_other() {
    let place = Served::in_world(World::peopled(300), "limits = { entries_an_hour = 300 }");
    let mut all: Vec<Client> = (0..30).map(|_| bound(place.open)).collect();
    for client in &mut all {
        assert!(client.send(&search(&filter("(mail=*)"), 100)));
    }
    let answers: Vec<(usize, u8)> =
        all.iter_mut().map(Client::entries).map(|(found, code)| (found.len(), code)).collect();
    let shown: usize = answers.iter().map(|(found, _)| found).sum();
    assert!((100..=400).contains(&shown), "{answers:?}");
    assert!(answers.iter().any(|(_, code)| *code == BUSY), "{answers:?}");
}

/// Pipelines of long answers that are never read: each connection holds one, and no more is worked out.
#[test]
fn who_reads_nothing_holds_nobody_up() {
    let place = Served::in_world(
        World::peopled(300),
        "limits = { connections_per_peer = 100, searches = 100000, entries_an_hour = 10000000 }",
    );
    let before = memory(place.gateway.pid());
    let asked: Vec<u8> = (0..30).flat_map(|_| search(&filter("(mail=*)"), 100)).collect();
    let unread: Vec<Client> = (0..40)
        .map(|n| {
            let mut client = Client::over(from(100 + n % 4, place.open));
            assert!(client.send(&anonymous()) && client.send(&asked));
            client
        })
        .collect();
    assert!(served(&place));
    let grown = memory(place.gateway.pid()).saturating_sub(before);
    assert!(grown < 100_000, "{grown} KB for 40 connections that read nothing");
    drop(unread);
}
