//! `sceau pki anchors`: the roots that a configuration pins.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::describe;
use crate::{
    cli::{Exit, material},
    config::{Anchor, AnchorPurpose, Loaded, Problem},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// List the roots of a configuration, each with its purpose and fingerprint
    List {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
}

/// What became of one pinned root.
struct Shown {
    purpose: &'static str,
    file: PathBuf,
    pinned: String,
    /// What is wrong with it.
    problem: Option<String>,
    certificate: Option<pki::certificate::Certificate>,
}

pub(super) fn run(order: &Order, as_json: bool) -> Result<Exit, Problem> {
    let Order::List { config } = order;
    let loaded = Loaded::read(config)?;
    let all: Vec<Shown> = loaded.config.trust.anchors.iter().map(|anchor| look(&loaded, anchor)).collect();
    if as_json {
        println!("{}", json!({ "anchors": all.iter().map(value).collect::<Vec<_>>() }));
    } else {
        all.iter().for_each(print);
    }
    let wrong = all.iter().filter(|shown| shown.problem.is_some()).count();
    if all.is_empty() {
        eprintln!("sceau: {} pins no root: nobody is trusted", config.display());
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::No })
}

fn look(loaded: &Loaded, anchor: &Anchor) -> Shown {
    let file = loaded.path(&anchor.file);
    let purpose = match anchor.purpose {
        AnchorPurpose::Persons => "persons",
        AnchorPurpose::Organisations => "organisations",
        AnchorPurpose::Servers => "servers",
    };
    let (certificate, problem) = match material::leaf(&file) {
        Ok((certificate, _)) if certificate.fingerprint() == anchor.sha256 => (Some(certificate), None),
        Ok((certificate, _)) => {
            let what = format!("the file holds another certificate than the pinned one: {}", certificate.fingerprint());
            (Some(certificate), Some(what))
        }
        Err(problem) => (None, Some(problem.what)),
    };
    Shown { purpose, file, pinned: anchor.sha256.to_string(), problem, certificate }
}

fn value(shown: &Shown) -> Value {
    json!({
        "purpose": shown.purpose,
        "file": shown.file,
        "sha256": shown.pinned,
        "problem": shown.problem,
        "certificate": shown.certificate.as_ref().map(describe::certificate),
    })
}

fn print(shown: &Shown) {
    println!("{}", shown.purpose);
    let mut lines = vec![("file", shown.file.display().to_string()), ("pinned", shown.pinned.clone())];
    if let Some(certificate) = &shown.certificate {
        lines.push(("subject", certificate.subject().to_string()));
        lines.push(("valid", format!("{} to {}", certificate.not_before(), certificate.not_after())));
        lines.push(("key", describe::key(certificate.key())));
        if certificate.is_test_category() {
            lines.push(("category", "TEST: refused in production".to_owned()));
        }
    }
    if let Some(problem) = &shown.problem {
        lines.push(("WRONG", problem.clone()));
    }
    describe::print(&lines);
}
