//! `sceau annuaire publish`: makes our mailboxes known to another directory by FHIR PATCH.

use std::{net::IpAddr, path::PathBuf};

use annuaire::Registry;
use ident::{Clock as _, SystemClock};

use crate::{
    cli::{Exit, check::load_or_report},
    config::{Loaded, Problem, PublishTo},
    publisher::{Extent, Memory, Told},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file: the registries of its own domains are published
    #[arg(long)]
    config: PathBuf,
    /// Base address of the directory: https://annuaire.example.test/fhir; that of [annuaire.publish] if absent
    #[arg(long, value_name = "BASE", requires_all = ["certificate", "key"])]
    to: Option<String>,
    /// Address of its host, where DNS is not asked or leads inside our own networks
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// PEM file: the certificate of our structure, then its intermediates
    #[arg(long = "as", value_name = "CERT", requires = "to")]
    certificate: Option<PathBuf>,
    /// PEM file: its private key
    #[arg(long, requires = "to")]
    key: Option<PathBuf>,
    /// Say what is still to be made known and what failed, asking nobody
    #[arg(long)]
    status: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Close mailboxes there even though many have left our registry
    #[arg(long)]
    accept: bool,
}

/// Exit: 0 everything is there as it should be; 1 something was refused or held.
pub(super) fn run(args: &Args, as_json: bool) -> Result<Exit, Problem> {
    let (loaded, snapshot) = match load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let Some(there) = there(args, &loaded) else {
        let what = "name a directory: --to, --as and --key, or [annuaire.publish] in the configuration";
        return Err(Problem::of(&args.config, what));
    };
    let own = Registry::union(snapshot.domains.values().map(|own| &*own.registry));
    let memory = Memory::of(&loaded.data(), there.base());
    if args.status {
        return status(&memory, &own, as_json).map_err(|error| Problem::of(loaded.data(), error.to_string()));
    }
    let publisher = there.publisher(&snapshot.validator, SystemClock.now(), args.dry_run)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::of(there.base(), format!("the runtime does not start: {error}")))?;
    let told = runtime.block_on(publisher.run(&own, &memory, Extent::Whole, args.accept));
    let told = told.map_err(|error| Problem::of(loaded.data(), error.to_string()))?;
    match (as_json, serde_json::to_string(&told)) {
        (true, Ok(text)) => println!("{text}"),
        _ => print(&told, args.dry_run),
    }
    Ok(if told.failed.is_empty() && told.held.is_none() { Exit::Done } else { Exit::No })
}

fn there(args: &Args, loaded: &Loaded) -> Option<PublishTo> {
    let (Some(to), Some(certificate), Some(key)) = (&args.to, &args.certificate, &args.key) else {
        return loaded.config.annuaire.publish.as_ref().map(|it| it.at(loaded));
    };
    let (certificate, key) = (certificate.clone(), key.clone());
    Some(PublishTo { to: to.clone(), address: args.address, certificate, key, ..PublishTo::default() })
}

/// Exit: 0 nothing waits; 1 something does.
fn status(memory: &Memory, own: &Registry, as_json: bool) -> std::io::Result<Exit> {
    let held = memory.read()?;
    let waiting = held.waiting(own);
    if as_json {
        println!("{}", serde_json::json!({ "known_there": held.known(), "waiting": waiting }));
    } else {
        for it in &waiting {
            let tried = it.attempts.as_ref();
            let tried = tried.map(|it| format!(": {} tries since {}, {}", it.tries, it.since, it.why));
            println!("{}: {}{}", it.address, it.wanted, tried.unwrap_or_default());
        }
        println!("{} known there by us, {} to be said", held.known(), waiting.len());
    }
    Ok(if waiting.is_empty() { Exit::Done } else { Exit::No })
}

fn print(told: &Told, dry: bool) {
    let would = if dry { "would be " } else { "" };
    for sent in &told.sent {
        println!("{}: {would}{}", sent.address, sent.done.word());
    }
    println!("{} as they should be, {} of practices left out", told.unchanged, told.left_out);
    for failed in &told.failed {
        eprintln!("sceau: {}: {}", failed.address, failed.why);
    }
    if let Some(count) = told.held {
        eprintln!(
            "sceau: {count} mailboxes have left our registry and would be closed there; if that is meant: --accept"
        );
    }
}
