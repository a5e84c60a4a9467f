//! A second verifier of RFC 5280 paths, written by others in Rust (`pkix-path`), judges the same chains:
//! PKITS, and thousands of chains that are wrong in one or two ways. Where the two disagree, the reason
//! stands in `specs/decisions/0014-path-validation.md` and its class is pinned here.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::collections::BTreeMap;

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    path::{PolicySettings, Purpose, RevocationMode, ValidatorBuilder, Verdict},
};
use pkix_path::{DefaultVerifier, TrustAnchor, ValidationPolicy, validate_path};
use tests::{
    chains::{Chain, Mutator},
    pkits::{AT, Policies, Suite, report},
};
use x509_cert::der::{Decode as _, asn1::ObjectIdentifier};

/// Both verdicts on one chain, each as a word: `valid` or the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Both {
    ours: String,
    theirs: String,
}

impl Both {
    fn agree(&self) -> bool {
        (self.ours == "valid") == (self.theirs == "valid")
    }
}

/// What we say of a chain (leaf first, anchor last), revocation aside; and the path that we found.
fn ours(chain: &[Vec<u8>], policies: &Policies, at: i64) -> (String, Option<Vec<Vec<u8>>>) {
    let mut certificates = Vec::new();
    for der in chain {
        match Certificate::from_der(der) {
            Ok(certificate) => certificates.push(certificate),
            Err(error) => return (pki::finding::Finding::unreadable(&error).code.to_owned(), None),
        }
    }
    let (anchor, rest) = certificates.split_last().unwrap();
    let validator = ValidatorBuilder::new()
        .anchor(Purpose::Any, anchor.clone())
        .policies(PolicySettings {
            accepted: policies.accepted.clone(),
            require_explicit: policies.explicit,
            inhibit_mapping: policies.inhibit_mapping,
            inhibit_any: policies.inhibit_any,
        })
        .revocation(RevocationMode::NotJudged)
        .build()
        .unwrap();
    match validator.verify(&rest[0], &rest[1..], Purpose::Any, Timestamp::from_seconds(at)) {
        Verdict::Valid(path) => {
            let path = path.certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
            ("valid".to_owned(), Some(path))
        }
        Verdict::Invalid(finding) | Verdict::Undetermined(finding) => (finding.code.to_owned(), None),
    }
}

/// Both verdicts. The second verifier builds no paths, and PKITS lists the signers of revocation lists
/// among the certificates: where we found a path it judges that very path.
fn both(chain: &[Vec<u8>], policies: &Policies, at: i64) -> Both {
    let (ours, path) = ours(chain, policies, at);
    Both { ours, theirs: theirs(path.as_deref().unwrap_or(chain), policies, at) }
}

/// What the second verifier says.
fn theirs(chain: &[Vec<u8>], policies: &Policies, at: i64) -> String {
    let read: Result<Vec<_>, _> = chain.iter().map(|der| x509_cert::Certificate::from_der(der)).collect();
    let Ok(mut certificates) = read else { return "Der".to_owned() };
    let Ok(anchor) = TrustAnchor::try_from(certificates.pop().unwrap()) else { return "Anchor".to_owned() };
    let mut policy = ValidationPolicy::new(u64::try_from(at).unwrap());
    policy.initial_policy_set = policies.accepted.iter().map(|oid| ObjectIdentifier::new(oid).unwrap()).collect();
    policy.initial_explicit_policy = policies.explicit;
    policy.initial_policy_mapping_inhibit = policies.inhibit_mapping;
    policy.initial_any_policy_inhibit = policies.inhibit_any;
    match validate_path(&certificates, &[anchor], &policy, &DefaultVerifier) {
        Ok(_) => "valid".to_owned(),
        Err(error) => {
            let shown = format!("{error:?}");
            shown.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

/// PKITS verdicts on which the two differ when neither looks at revocation, by name.
///
/// 4.1.4: it verifies no DSA. 4.2.3: its reader knows no UTCTime before 1970. 4.8.14 (2): it accepts a chain
/// without an accepted policy, against PKITS.
const PKITS_DIFFERENCES: &[&str] = &[
    "4.1.4 Valid DSA Signatures Test4",
    "4.2.3 Valid pre2000 UTC notBefore Date Test3",
    "4.8.14 AnyPolicy Test14 (Subpart 2)",
];

#[test]
fn the_second_verifier_agrees_on_pkits_paths() {
    let suite = Suite::load();
    let mut differ = Vec::new();
    for vector in &suite.vectors {
        let chain: Vec<Vec<u8>> = vector.cert_path.iter().rev().map(|file| suite.certificate(file)).collect();
        let policies = vector.policies();
        let both = both(&chain, &policies, AT);
        if !both.agree() {
            println!("{}: ours {}, theirs {}", vector.name, both.ours, both.theirs);
            differ.push(vector.name.clone());
        }
    }
    let agree = suite.vectors.len() - differ.len();
    report(&format!("second verifier, PKITS paths without revocation: {agree} of {} alike", suite.vectors.len()));
    assert_eq!(differ, PKITS_DIFFERENCES);
}

/// Classes of disagreement: our word, theirs, and why. Nothing else may occur.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("bad_version", "valid", "it does not look at the version (RFC 5280 §4.1.2.1)"),
    ("duplicate_extension", "valid", "it takes the first of two (RFC 5280 §4.2: there must not be two)"),
    ("malformed_extension", "valid", "it does not read the extensions that it does not apply"),
    ("malformed_name", "valid", "it does not read mail names where nothing constrains them"),
    ("policy", "valid", "as in PKITS 4.8.14: an accepted policy that the chain does not have"),
    ("unknown_issuer", "valid", "OpenSSL takes a self-issued authority without key identifier for a root"),
    ("unreadable", "valid", "it does not read the holder's key, whose padding bits we refuse"),
    ("unreadable_key", "valid", "it does not read the holder's key"),
    ("valid", "Der", "it refuses a name attribute that is no text; we keep its octets, which equal nothing else"),
    ("valid", "PolicyViolation", "OpenSSL follows a mapping out of anyPolicy; refused for every purpose but any"),
];

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The chains of one seed are the same in every run; only signature values differ.
#[test]
fn the_second_verifier_agrees_on_mutated_chains() {
    let count = 10_000;
    let mut mutator = Mutator::new(0x5ea0_2026);
    let mut classes: BTreeMap<Both, (usize, String)> = BTreeMap::new();
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..count {
        let Chain { certificates, policies, story } = mutator.next_chain();
        let both = both(&certificates, &policies, tests::chains::AT);
        if both.agree() {
            if both.ours == "valid" { valid += 1 } else { invalid += 1 }
        } else {
            if both.ours == "valid" {
                // What we accept and they do not is looked at octet by octet.
                let shown: Vec<String> = certificates.iter().map(|der| hexadecimal(der)).collect();
                println!("{}: {story}\n{}", both.theirs, shown.join("\n"));
            }
            classes.entry(both).or_insert_with(|| (0, story)).0 += 1;
        }
    }
    let differ = count - valid - invalid;
    report(&format!(
        "second verifier, {count} mutated chains: {valid} valid and {invalid} invalid alike, {differ} differ in {} explained classes",
        classes.len()
    ));
    let mut unexplained = Vec::new();
    for (both, (times, story)) in &classes {
        println!("{times} times: ours {}, theirs {}; first: {story}", both.ours, both.theirs);
        if !EXPLAINED.iter().any(|(ours, theirs, _)| (*ours, *theirs) == (both.ours.as_str(), both.theirs.as_str())) {
            unexplained.push(both);
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:?}");
    assert!(
        valid > count / 10 && invalid > count / 4,
        "{valid} valid, {invalid} invalid: a lopsided trial shows little"
    );
}
