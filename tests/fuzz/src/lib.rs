//! Fuzz targets: each parser of what strangers send, as a function of octets.
//!
//! `tests/fuzz/run` drives them with libFuzzer; `tests/tests/fuzz.rs` runs every kept input through
//! them with each change. A target may assert what must always hold; it never judges speed.
// The harness may assert: that is what it is for. The parsers under it may not panic.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::{fs, path::Path};

pub mod forge;
pub mod layers;
pub mod samples;
pub mod shape;
pub mod targets;
pub mod world;

/// One parser under the fuzzer.
pub struct Target {
    /// Name on the command line and of its folder in `corpus/`.
    pub name: &'static str,
    /// Source files whose line coverage the kept corpus must reach, relative to the workspace.
    pub covers: &'static [&'static str],
    /// Feeds one input. True when the input went deep enough that the planted panic would strike:
    /// a property that no kept input has, behind everything that the parser checks.
    pub run: fn(&[u8]) -> bool,
    /// Well-formed inputs to start from.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// All targets, in the order of the trust chain.
pub const TARGETS: &[Target] = &[
    targets::certificate::TARGET,
    targets::crl::TARGET,
    targets::ocsp::TARGET,
    targets::trust_list::TARGET,
    targets::partner_file::TARGET,
    targets::pkcs12::TARGET,
    targets::cms::TARGET,
    targets::message::TARGET,
    targets::judge::TARGET,
    targets::headers::TARGET,
    targets::server::TARGET,
    targets::client::TARGET,
    targets::ldap::TARGET,
    targets::extract::TARGET,
    targets::fhir::TARGET,
    targets::second::TARGET,
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Feeds every kept input of a target to it once. The number of inputs, and the names of those that
/// contain the planted panic, which no kept input may.
pub fn replay(corpus: &Path, target: &Target) -> (usize, Vec<String>) {
    let folder = corpus.join(target.name);
    let mut inputs: Vec<_> =
        fs::read_dir(&folder).expect("a kept corpus").map(|entry| entry.expect("an entry").path()).collect();
    inputs.sort();
    let deep = inputs.iter().filter(|path| (target.run)(&fs::read(path).expect("an input")));
    (inputs.len(), deep.map(|path| path.display().to_string()).collect())
}
