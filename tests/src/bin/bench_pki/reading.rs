//! Reading a long list: time, memory while it is held, and memory after updates. In a process of its own, whose
//! memory holds nothing else.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pki::crl::RevocationList;
use tests::bench::machine;
use tests::bench::report::Ratio;

/// Seconds for a list of a million entries to be read and indexed (design, performance budget).
const READ: f64 = 2.0;
const MILLION: f64 = 1e6;
/// How often the list is replaced.
const UPDATES: usize = 6;

/// Prints seconds, processor seconds, and octets of memory: with one list, at most, after the updates.
pub(crate) fn child(long: &Path, newer: &Path) {
    // As `sceau serve` does.
    pki::memory::large_buffers_go_back();
    // What is measured is what a list costs, not its file.
    let read = |path: &Path| RevocationList::from_der(&std::fs::read(path).unwrap()).unwrap();
    let before = machine::memory();
    let octets = std::fs::read(long).unwrap();
    let (began, used) = (Instant::now(), machine::processor_time());
    let mut held = RevocationList::from_der(&octets).unwrap();
    let took = (began.elapsed().as_secs_f64(), machine::processor_time().saturating_sub(used).as_secs_f64());
    drop(octets);
    let one = machine::memory().saturating_sub(before);
    machine::forget_peak();
    for _ in 0..UPDATES {
        // The new one is read while the old one serves, then takes its place.
        let next = read(newer);
        assert!(next.may_follow(&held));
        held = next;
    }
    let most = machine::peak_memory().saturating_sub(before);
    let after = machine::memory().saturating_sub(before);
    println!("{} {} {one} {most} {after}", took.0, took.1);
    drop(held);
}

pub(crate) fn measure(folder: &Path, long: &[u8], newer: &[u8], entries: usize) -> Vec<Ratio> {
    let (old_file, new_file) = (folder.join("long.crl"), folder.join("newer.crl"));
    std::fs::write(&old_file, long).unwrap();
    std::fs::write(&new_file, newer).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--read".as_ref(), old_file.as_os_str(), new_file.as_os_str()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = said.split_ascii_whitespace().map(|figure| figure.parse().unwrap()).collect();
    let [took, used, one, most, after] = figures[..] else { panic!("the child said {said:?}") };
    let mega = |octets: f64| octets / f64::from(1 << 20);
    println!("List of {entries} entries, {} MB (load {}):", long.len() >> 20, machine::load());
    println!("  read and indexed in {took:.3} s, {used:.3} s of the processor");
    println!(
        "  memory: {:.1} MB with it, {:.1} MB at most during {UPDATES} updates, {:.1} MB after them",
        mega(one),
        mega(most),
        mega(after)
    );
    // One thread, nothing waited for: on a busy machine the clock would measure the neighbours.
    let scaled = used * MILLION / entries as f64;
    vec![
        Ratio::new(
            "pki_list_read",
            format!(
                "{took:.3} s ({used:.3} s of the processor) for {entries} entries, {scaled:.2} s of the processor for a \
                 million; budget {READ} s"
            ),
            READ / scaled,
        ),
        Ratio::new(
            "pki_list_memory_after_updates",
            format!(
                "{:.1} MB with one list, {:.1} MB after {UPDATES} updates; wanted: at most 1.5 x; 1.5 x one / after",
                mega(one),
                mega(after)
            ),
            1.5 * one / after.max(1.0),
        ),
    ]
}
