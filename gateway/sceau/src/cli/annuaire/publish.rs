//! `sceau annuaire publish`: makes our mailboxes known to another directory by FHIR PATCH.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use annuaire::Registry;
use ident::{Clock as _, SystemClock};

use crate::{
    cli::{Exit, check::load_or_report},
    config::Problem,
    fetch::{Lines, Place, Rules},
    net::tls::{Clients, TlsIdentity},
    publisher::{Memory, Publisher, Told},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file: the registries of its own domains are published
    #[arg(long)]
    config: PathBuf,
    /// Base address of the directory: https://annuaire.example.test/fhir
    #[arg(long, value_name = "BASE")]
    to: String,
    /// Address of its host, where DNS is not asked or leads inside our own networks
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// PEM file: the certificate of our structure, then its intermediates
    #[arg(long = "as", value_name = "CERT")]
    certificate: PathBuf,
    /// PEM file: its private key
    #[arg(long)]
    key: PathBuf,
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
    let wrong = |what: String| Problem::of(&args.to, what);
    let base = args.to.trim_end_matches('/').to_owned();
    let place = Place::parse(&format!("{base}/metadata")).map_err(|error| wrong(error.to_string()))?;
    if !base.starts_with("https://") {
        return Err(wrong("is no https:// address: mailboxes are published to nobody else".to_owned()));
    }
    let rules = args.address.iter().fold(Rules::new(), |rules, ip| rules.address(&place.site().host, *ip));
    let identity = TlsIdentity::load_for(Clients::NotAsked, &args.certificate, &args.key)?;
    let lines = Lines::new().map_err(|error| wrong(error.to_string()))?.showing(&identity);
    let publisher = Publisher {
        validator: &snapshot.validator,
        at: SystemClock.now(),
        lines: Arc::new(lines),
        rules,
        dry: args.dry_run,
        base,
    };
    let own = Registry::union(snapshot.domains.values().map(|own| &*own.registry));
    let memory = Memory::of(&loaded.data(), &publisher.base);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| wrong(format!("the runtime does not start: {error}")))?;
    let told = runtime.block_on(publisher.run(&own, &memory, args.accept));
    let told = told.map_err(|error| Problem::of(loaded.data(), error.to_string()))?;
    match (as_json, serde_json::to_string(&told)) {
        (true, Ok(text)) => println!("{text}"),
        _ => print(&told, args.dry_run),
    }
    Ok(if told.failed.is_empty() && told.held.is_none() { Exit::Done } else { Exit::No })
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
