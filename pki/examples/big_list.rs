//! A revocation list of a million entries: processor time to read and index it, of a lookup, memory before
//! and after it is replaced (design §6: 2 s, 1 µs, memory returned).
//!
//! ```text
//! cargo run --release -p pki --example big_list [ENTRIES]
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, clippy::cast_precision_loss)]

use std::{env, fs, hint::black_box, process::Command, sync::Arc, time::Duration};

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    crl::RevocationList,
    issue::{Authority, AuthorityRequest, CrlRequest, KeyAlgorithm, Reason, Revocation, Validity},
    path::{Purpose, Validator, ValidatorBuilder},
    status::{Offer, RevocationStore},
};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const LOOKUPS: u32 = 1_000_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [make, folder, entries] if make == "--make" => write_lists(folder, entries.parse().unwrap()),
        rest => measure(rest.first().map_or(1_000_000, |count| count.parse().unwrap())),
    }
}

/// 16 octets, as national serial numbers have; spread as if random.
fn serial(n: u32) -> Vec<u8> {
    let mixed = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1 << 126;
    (mixed & !(1 << 127)).to_be_bytes().to_vec()
}

/// Done by a process of its own, so that its memory is not measured.
fn write_lists(folder: &str, entries: u32) {
    let root = Authority::root(&AuthorityRequest::new("GRANDE LISTE", KeyAlgorithm::P256, Validity::days(NOW, 300)));
    let root = root.unwrap();
    fs::write(format!("{folder}/root.der"), root.certificate_der()).unwrap();
    let entry = |n| Revocation { serial: serial(n), reason: Reason::KeyCompromise, at: NOW.minus(HOUR) };
    let revoked: Vec<_> = (0..entries).map(entry).collect();
    for number in 1..=4 {
        let this_update = NOW.minus(HOUR * (10 - u32::try_from(number).unwrap()));
        let request = CrlRequest { revoked: revoked.clone(), this_update, next_update: NOW.plus(HOUR), number };
        fs::write(format!("{folder}/{number}.crl"), root.crl(&request).unwrap().der()).unwrap();
    }
}

fn measure(entries: u32) {
    // As `sceau serve` does.
    pki::memory::large_buffers_go_back();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let made = Command::new(env::current_exe().unwrap()).args(["--make", path, &entries.to_string()]).status();
    assert!(made.unwrap().success());
    let root = Certificate::from_der(&fs::read(folder.path().join("root.der")).unwrap()).unwrap();
    let store = Arc::new(RevocationStore::new());
    let validator = ValidatorBuilder::new()
        .test_category(true)
        .anchor(Purpose::Person, root.clone())
        .store(Arc::clone(&store))
        .build()
        .unwrap();
    println!("entries                {entries}");
    println!("resident at start      {:.1} MB", resident());
    for number in 1..=4 {
        replace(folder.path().join(format!("{number}.crl")), &store, &validator);
        println!("resident with list {number}   {:.1} MB", resident());
    }
    let list = store.lists().pop().unwrap();
    let wanted: Vec<Vec<u8>> = (0..LOOKUPS).map(|n| serial(n.wrapping_mul(7919) % entries.saturating_mul(2))).collect();
    let begun = cpu();
    let found = wanted.iter().filter(|serial| black_box(list.find(root.subject(), serial)).is_some()).count();
    let each = (cpu() - begun) / f64::from(LOOKUPS) * 1e6;
    println!("lookup                 {each:.3} us ({found} of {LOOKUPS} were listed)");
    drop((list, store, validator));
    println!("resident at the end    {:.1} MB (with {LOOKUPS} wanted numbers)", resident());
}

fn replace(file: std::path::PathBuf, store: &RevocationStore, validator: &Validator) {
    let octets = fs::read(file).unwrap();
    let begun = cpu();
    let list = RevocationList::from_der(&octets).unwrap();
    let read = cpu() - begun;
    let megabytes = octets.len() as f64 / 1e6;
    drop(octets);
    assert_eq!(store.offer_list(list, validator, NOW), Offer::Taken);
    let whole = cpu() - begun;
    println!("read and indexed       {read:.2} s, {whole:.2} s with its signature ({megabytes:.1} MB)");
}

/// Seconds of processor time of the main thread: on a busy machine a clock would measure the neighbours.
fn cpu() -> f64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Megabytes of resident memory (Linux).
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
