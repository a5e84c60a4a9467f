//! NIST PKITS, every verdict by name: through the public interface, through `sceau pki verify`, and the
//! signed messages through `sceau open`. Revocation is judged by the engine that production uses.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    path::{PolicySettings, Purpose, RevocationMode, ValidatorBuilder, ValidatorError, Verdict},
};
use tests::{
    gateway::sceau,
    pkits::{AT, MISSED, MISSED_MESSAGES, Messages, Score, Suite, Vector},
};

const NOW: Timestamp = Timestamp::from_seconds(AT);

fn settings(vector: &Vector) -> PolicySettings {
    let policies = vector.policies();
    PolicySettings {
        accepted: policies.accepted,
        require_explicit: policies.explicit,
        inhibit_mapping: policies.inhibit_mapping,
        inhibit_any: policies.inhibit_any,
    }
}

/// A list that cannot be used is passed over, as production does: it answers for nobody.
fn with_list(builder: ValidatorBuilder, octets: &[u8]) -> ValidatorBuilder {
    match pki::crl::RevocationList::list_from(octets) {
        Ok(lists) => lists.into_iter().fold(builder, |builder, list| builder.revocation_list(list.into())),
        Err(_) => builder,
    }
}

/// What we say about `leaf`, and whether that is a yes.
fn judged(builder: ValidatorBuilder, vector: &Vector, anchor: &[u8], leaf: &[u8]) -> (String, bool) {
    let Ok(leaf) = Certificate::from_der(leaf) else { return ("unreadable certificate".into(), false) };
    let validator = builder
        .anchor(Purpose::Any, Certificate::from_der(anchor).unwrap())
        .policies(settings(vector))
        .revocation(RevocationMode::Required { grace: std::time::Duration::ZERO })
        .build();
    let validator = match validator {
        Ok(validator) => validator,
        Err(error @ ValidatorError::Policy(_)) => panic!("{}: {error}", vector.name),
        Err(error) => return (error.to_string(), false),
    };
    match validator.verify(&leaf, &[], Purpose::Any, NOW) {
        Verdict::Valid(_) => ("valid".into(), true),
        Verdict::Invalid(finding) | Verdict::Undetermined(finding) => (finding.code.into(), false),
    }
}

#[test]
fn pkits_through_the_public_interface() {
    let suite = Suite::load();
    let mut score = Score::default();
    for vector in &suite.vectors {
        let (anchor, between, leaf) = vector.path();
        let mut builder = ValidatorBuilder::new();
        for file in between {
            if let Ok(certificate) = Certificate::from_der(&suite.certificate(file)) {
                builder = builder.intermediate(certificate);
            }
        }
        for file in &vector.crl_path {
            builder = with_list(builder, &suite.list(file));
        }
        let (said, valid) = judged(builder, vector, &suite.certificate(anchor), &suite.certificate(leaf));
        score.count(vector, &said, valid);
    }
    score.conclude("through the public interface", &MISSED);
}

/// The same with everything at hand: who builds paths must find the right one among 405 certificates,
/// and the right lists among 173.
#[test]
fn pkits_with_all_certificates_and_lists_at_once() {
    let suite = Suite::load();
    let certificates: Vec<Certificate> =
        suite.all("certs").iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    let lists: Vec<_> =
        suite.all("crls").iter().filter_map(|der| pki::crl::RevocationList::list_from(der).ok()).flatten().collect();
    let lists: Vec<std::sync::Arc<_>> = lists.into_iter().map(std::sync::Arc::new).collect();
    let mut score = Score::default();
    for vector in &suite.vectors {
        let (anchor, _, leaf) = vector.path();
        let builder = certificates.iter().cloned().fold(ValidatorBuilder::new(), ValidatorBuilder::intermediate);
        let builder = lists.iter().cloned().fold(builder, ValidatorBuilder::revocation_list);
        let (said, valid) = judged(builder, vector, &suite.certificate(anchor), &suite.certificate(leaf));
        score.count(vector, &said, valid);
    }
    score.conclude("with all certificates and lists at once", &MISSED);
}

/// The options that a command needs to judge one verdict's path.
fn arguments(suite: &Suite, vector: &Vector) -> Vec<String> {
    let (anchor, between, _) = vector.path();
    let shown = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let mut all = vec!["--anchors".to_owned(), shown(suite.certificate_file(anchor)), "--crls".to_owned()];
    all.extend(vector.crl_path.iter().map(|file| shown(suite.list_file(file))));
    if !between.is_empty() {
        all.push("--intermediates".to_owned());
        all.extend(between.iter().map(|file| shown(suite.certificate_file(file))));
    }
    all.extend(["--at".to_owned(), AT.to_string()]);
    all.extend(vector.options());
    all
}

#[test]
fn pkits_through_the_command_line() {
    let suite = Suite::load();
    let mut score = Score::default();
    for vector in &suite.vectors {
        let (_, _, leaf) = vector.path();
        let leaf = suite.certificate_file(leaf);
        let mut command = vec!["pki", "verify", leaf.to_str().unwrap(), "--json", "--purpose", "any"];
        let options = arguments(&suite, vector);
        command.extend(options.iter().map(String::as_str));
        let done = sceau(&command, b"");
        let answer: serde_json::Value = serde_json::from_slice(&done.output)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", vector.name, done.errors));
        let said = answer["verdict"].as_str().unwrap();
        let exit = match said {
            "valid" => 0,
            "invalid" => 1,
            "undetermined" => 3,
            other => panic!("{other}"),
        };
        assert_eq!(done.code, Some(exit), "{}", vector.name);
        assert_eq!(answer["revocation_judged"], true, "{}", vector.name);
        score.count(vector, answer["reason"].as_str().unwrap_or("valid"), said == "valid");
    }
    score.conclude("through sceau pki verify", &MISSED);
}

/// The signer's path is judged by RFC 5280, the message by us: these certificates name nobody of the
/// trust space, so every message is refused, whatever its signature is worth.
#[test]
fn pkits_messages_through_sceau_open() {
    let (suite, messages) = (Suite::load(), Messages::unpack());
    let mut used = std::collections::BTreeSet::new();
    let mut score = Score::default();
    for vector in &suite.vectors {
        let (name, message) = messages.of(vector);
        used.insert(name.to_owned());
        let mut command = vec!["open", "--json"];
        // NIST signed the message of 4.14.18 with the certificate of 4.14.19: that one's path leads to it.
        let signed_as = match vector.name.starts_with("4.14.18 ") {
            true => suite.vectors.iter().find(|other| other.name.starts_with("4.14.19 ")).unwrap(),
            false => vector,
        };
        let options = arguments(&suite, signed_as);
        command.extend(options.iter().map(String::as_str));
        let done = sceau(&command, &message);
        let report = done.errors.lines().find(|line| line.starts_with('{'));
        let report: serde_json::Value = report
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_else(|| panic!("{}: no report: {}", vector.name, done.errors));
        assert_eq!(report["signed"], true, "{}", vector.name);
        assert_ne!(report["verdict"], "accept", "{}: these certificates are for no mail", vector.name);
        assert!(done.output.is_empty(), "{}: nothing is handed out", vector.name);
        let signature = report["signature"].as_str().unwrap();
        score.count(vector, &format!("{signature}, {}", report["reasons"]), signature == "valid");
    }
    assert_eq!(used.len(), tests::pkits::MESSAGES, "every message is used");
    score.conclude("messages through sceau open", &MISSED_MESSAGES);
}
