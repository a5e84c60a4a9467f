//! `sceau check`: the configuration and everything that it names, without starting anything.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ident::{Clock, SystemClock};
use pki::keys::Token;
use serde_json::json;

use super::Exit;
use crate::{
    config::{Loaded, Problem},
    snapshot::Snapshot,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Exit {
    let outcome = load(&args.config);
    if args.json {
        println!("{}", as_json(&outcome));
    }
    match outcome {
        Ok((_, snapshot)) => {
            if !args.json {
                print_summary(&snapshot);
            }
            // The gateway starts all the same, and serves mail: but this is not as it should be.
            let damaged = damages(&snapshot);
            damaged.iter().for_each(|problem| eprintln!("damaged: {problem}"));
            if damaged.is_empty() { Exit::Done } else { Exit::No }
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            Exit::Usage
        }
    }
}

/// Loads a configuration for any command, printing nothing.
pub(super) fn load(path: &Path) -> Result<(Loaded, Snapshot), Vec<Problem>> {
    let loaded = Loaded::read(path).map_err(|problem| vec![problem])?;
    let snapshot = Snapshot::load(&loaded, SystemClock.now())?;
    Ok((loaded, snapshot))
}

/// Loads a configuration, or prints what is wrong with it.
pub(super) fn load_or_report(path: &Path) -> Result<(Loaded, Snapshot), Exit> {
    load(path).map_err(|problems| {
        problems.iter().for_each(|problem| eprintln!("{problem}"));
        Exit::Usage
    })
}

/// What of the directory cannot be read. That nothing was loaded yet is no damage where the gateway does it by itself.
fn damages(snapshot: &Snapshot) -> Vec<&Problem> {
    let settings = &snapshot.config.annuaire;
    let by_itself = settings.from.is_some() || !settings.fetch.is_empty();
    let directory = snapshot.troubles.directory.as_ref().filter(|trouble| !(by_itself && trouble.is_empty()));
    directory.map(|trouble| &trouble.problem).into_iter().chain(&snapshot.troubles.published).collect()
}

fn print_summary(snapshot: &Snapshot) {
    println!("configuration: in order");
    for own in snapshot.domains.values() {
        println!("own domain {}: {} mailboxes", own.name.unicode(), own.registry.mailboxes().len());
    }
    println!(
        "trust list: {} domains, generated {}",
        snapshot.trust_list.domains().count(),
        snapshot.trust_list.generated()
    );
    for (label, fault) in tokens(snapshot) {
        println!("token {label}: {}", fault.as_deref().unwrap_or("there, logged in"));
    }
    for concern in &snapshot.keys.concerns {
        println!("attention: {concern}");
    }
    match &snapshot.generation {
        Some(generation) => {
            println!("directory: generation {}, data as of {}", generation.id(), generation.data_as_of())
        }
        None if snapshot.config.annuaire.data.is_some() => {
            println!("directory: none in service yet, holders are not looked up")
        }
        None => println!("directory: none configured, holders are not looked up"),
    }
}

/// Every token of the configuration, and why it cannot be used.
pub(super) fn tokens(snapshot: &Snapshot) -> Vec<(String, Option<String>)> {
    let ask = |token: &Arc<Token>| (token.label().to_owned(), token.check().err().map(|fault| fault.to_string()));
    snapshot.keys.tokens().map(ask).collect()
}

fn as_json(outcome: &Result<(Loaded, Snapshot), Vec<Problem>>) -> serde_json::Value {
    match outcome {
        Ok((_, snapshot)) => json!({
            "ok": damages(snapshot).is_empty(),
            "damaged": damages(snapshot).iter().map(ToString::to_string).collect::<Vec<_>>(),
            "domains": snapshot.domains.keys().collect::<Vec<_>>(),
            "trusted_domains": snapshot.trust_list.domains().count(),
            "tokens": tokens(snapshot).into_iter().map(|(label, fault)| json!({ "label": label, "fault": fault })).collect::<Vec<_>>(),
            "attention": snapshot.keys.concerns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Err(problems) => json!({
            "ok": false,
            "problems": problems.iter().map(|problem| json!({
                "file": problem.file, "line": problem.place.map(|p| p.0), "column": problem.place.map(|p| p.1), "what": problem.what,
            })).collect::<Vec<_>>(),
        }),
    }
}
