//! `sceau pki verify`: one certificate, one verdict.

use std::{net::IpAddr, path::PathBuf};

use ident::{Address, Bilingual, Domain};
use pki::{
    certificate::{Certificate, CertificateError},
    finding::Finding,
    path::{Purpose, Verdict},
    revocation::Evidence,
};
use serde_json::json;

use super::describe;
use crate::{
    cli::{
        Exit, material,
        trust::{Judge, NOT_JUDGED, PolicyArgs, TrustArgs},
    },
    config::Problem,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Certificate to judge, PEM or DER; certificates after it may stand between it and an anchor
    certificate: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// What the certificate is to be used for; `any` is RFC 5280 and nothing more, every other
    /// purpose adds our floor for keys, algorithms and usages
    #[arg(long, value_enum, default_value_t = Use::Any)]
    purpose: Use,
    /// The certificate must name this mail address in its subject alternative name
    #[arg(long)]
    email: Option<Address>,
    /// The certificate must name this host (or IP address) in its subject alternative name
    #[arg(long, value_parser = host)]
    host: Option<Host>,
    #[command(flatten)]
    policies: PolicyArgs,
}

/// Purposes by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Use {
    Any,
    Person,
    Organisation,
    Server,
    Email,
}

impl From<Use> for Purpose {
    fn from(purpose: Use) -> Self {
        match purpose {
            Use::Any => Self::Any,
            Use::Person => Self::Person,
            Use::Organisation => Self::Organisation,
            Use::Server => Self::Server,
            Use::Email => Self::Email,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(Domain),
    Ip(IpAddr),
}

fn host(text: &str) -> Result<Host, String> {
    match text.parse() {
        Ok(ip) => Ok(Host::Ip(ip)),
        Err(_) => Domain::parse(text).map(Host::Name).map_err(|error| error.to_string()),
    }
}

impl Host {
    /// Whether the subject alternative name holds it. A wildcard stands for the whole first label
    /// (RFC 9525 §6.3); the common name is never looked at.
    fn named_by(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => certificate.dns_names().iter().any(|own| covers(own, name.as_str())),
            Self::Ip(ip) => {
                let octets = match ip {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                };
                let names = certificate.openssl().subject_alt_names();
                names.is_some_and(|names| names.iter().any(|name| name.ipaddress() == Some(&octets)))
            }
        }
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        // `*.test` would name a whole top-level domain.
        (Some(rest), Some((_, parent))) => rest.contains('.') && rest == parent,
        _ => pattern == name,
    }
}

/// A verdict in the words of the command line.
struct Answer {
    verdict: &'static str,
    exit: Exit,
    reason: Option<String>,
    text: Option<Bilingual>,
    concerned: Option<String>,
    path: Vec<Certificate>,
    policies: Vec<String>,
    stale: bool,
    /// What was found about the revocation of the certificate concerned.
    detail: Option<Bilingual>,
    /// What acquitted each certificate of the path.
    evidence: Vec<Evidence>,
}

impl Answer {
    fn no(verdict: &'static str, exit: Exit, finding: Finding) -> Self {
        Self {
            verdict,
            exit,
            reason: Some(finding.code.to_owned()),
            text: Some(finding.text),
            concerned: finding.certificate,
            path: Vec::new(),
            policies: Vec::new(),
            stale: false,
            detail: finding.detail.map(|detail| *detail),
            evidence: Vec::new(),
        }
    }
}

pub(super) fn run(args: &Args, as_json: bool) -> Result<Exit, Problem> {
    let purpose = Purpose::from(args.purpose);
    let presented = material::presented(&args.certificate)?;
    let judge = args.trust.judge(&args.policies, &[purpose])?;
    let (leaf, answer) = match presented.as_deref() {
        Ok([leaf, came_along @ ..]) => (Some(leaf), answer(args, &judge, leaf, came_along, purpose)),
        Ok([]) => (None, Answer::no("invalid", Exit::No, Finding::unreadable(&CertificateError::Malformed))),
        Err(error) => (None, Answer::no("invalid", Exit::No, Finding::unreadable(error))),
    };
    if as_json {
        print_json(args, &judge, leaf, &answer);
    } else {
        print_text(args, &judge, leaf, &answer);
    }
    Ok(answer.exit)
}

fn answer(args: &Args, judge: &Judge, leaf: &Certificate, came_along: &[Certificate], purpose: Purpose) -> Answer {
    let path = match judge.validator.verify(leaf, came_along, purpose, judge.at) {
        Verdict::Valid(path) => path,
        Verdict::Invalid(finding) => return Answer::no("invalid", Exit::No, finding),
        Verdict::Undetermined(finding) => return Answer::no("undetermined", Exit::Undetermined, finding),
    };
    if args.email.as_ref().is_some_and(|email| !leaf.names_address(email)) {
        return Answer::no("invalid", Exit::No, Finding::email_mismatch(leaf));
    }
    if args.host.as_ref().is_some_and(|host| !host.named_by(leaf)) {
        return Answer::no("invalid", Exit::No, Finding::host_mismatch(leaf));
    }
    Answer {
        verdict: "valid",
        exit: Exit::Done,
        reason: None,
        text: None,
        concerned: None,
        path: path.certificates,
        policies: path.policies,
        stale: path.stale_grace,
        detail: None,
        evidence: path.evidence,
    }
}

fn purpose_name(purpose: Use) -> &'static str {
    match purpose {
        Use::Any => "any",
        Use::Person => "person",
        Use::Organisation => "organisation",
        Use::Server => "server",
        Use::Email => "email",
    }
}

fn print_json(args: &Args, judge: &Judge, leaf: Option<&Certificate>, answer: &Answer) {
    println!(
        "{}",
        json!({
            "verdict": answer.verdict,
            "reason": answer.reason,
            "text": answer.text,
            "certificate": answer.concerned,
            "path": answer.path.iter().map(describe::step).collect::<Vec<_>>(),
            "policies": answer.policies,
            "subject": leaf.map(|leaf| leaf.subject().to_string()),
            "fingerprint": leaf.map(Certificate::fingerprint),
            "test": leaf.map(Certificate::is_test_category),
            "purpose": purpose_name(args.purpose),
            "at": judge.at.rfc3339(),
            "revocation_judged": judge.revocation_judged,
            "stale_grace": answer.stale,
            "detail": answer.detail,
            "evidence": answer.evidence.iter().map(describe::fact).collect::<Vec<_>>(),
            "warnings": judge.warnings,
        })
    );
}

fn print_text(args: &Args, judge: &Judge, leaf: Option<&Certificate>, answer: &Answer) {
    println!("{}", answer.verdict);
    let mut lines: Vec<_> = leaf.map(|leaf| ("subject", leaf.subject().to_string())).into_iter().collect();
    lines.push(("asked", format!("purpose {} at {}", purpose_name(args.purpose), judge.at)));
    if let (Some(reason), Some(text)) = (&answer.reason, &answer.text) {
        lines.push(("reason", format!("[{reason}] {}", text.fr)));
        lines.push(("", text.en.clone()));
    }
    if let Some(concerned) = &answer.concerned {
        lines.push(("concerns", concerned.clone()));
    }
    if let Some(detail) = &answer.detail {
        lines.push(("found", detail.fr.clone()));
        lines.push(("", detail.en.clone()));
    }
    for (position, certificate) in answer.path.iter().enumerate().skip(1) {
        lines.push((if position == 1 { "issued by" } else { "under" }, certificate.subject().to_string()));
    }
    for fact in &answer.evidence {
        lines.push(("status", format!("{}: {}", fact.certificate.subject(), fact.text().en)));
    }
    if !answer.policies.is_empty() {
        lines.push(("policies", answer.policies.join(", ")));
    }
    if leaf.is_some_and(Certificate::is_test_category) {
        lines.push(("note", "certificat de test / test certificate".to_owned()));
    }
    if !judge.revocation_judged {
        lines.push(("note", NOT_JUDGED.to_owned()));
    }
    describe::print(&lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_under_two() {
        for (pattern, name, good) in [
            ("smtp.ch.test", "smtp.ch.test", true),
            ("*.ch.test", "smtp.ch.test", true),
            ("*.ch.test", "a.smtp.ch.test", false),
            ("*.ch.test", "ch.test", false),
            ("*.test", "ch.test", false),
            ("s*.ch.test", "smtp.ch.test", false),
        ] {
            assert_eq!(covers(pattern, name), good, "{pattern} {name}");
        }
    }
}
