//! `sceau trail`: verify, search and follow the log; make its search index again.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use clap::Subcommand;
use ident::Timestamp;
use serde_json::json;
use trail::{
    Record, Timeline,
    log::{Finding, Hit, KnownCheckpoint, NoteVerifier, Report, Search, TrailError, TrailReader, verify},
};

use super::{CLOSED, Exit, evidence, retention, say};
use crate::{
    audit::{self, Secrets},
    config::Loaded,
    keys, snapshot,
};

/// Entries read at once by `follow`.
const PAGE: u64 = 500;
/// Longest a batch of the running gateway is waited for before what looks wrong is wrong.
const WRITING: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Compute everything again and name the first place that was altered; also of an exported bundle
    Verify(Verify),
    /// Search records: all terms must hold
    Search(SearchArgs),
    /// Make the search index again, or check it
    Reindex {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
        /// Only compare, change nothing
        #[arg(long)]
        check: bool,
    },
    /// Write evidence about a message or a period, which proves itself off line
    Export(evidence::Export),
    /// Erase the records whose time is over (key and salt; commitments stay)
    Purge(retention::Purge),
    /// Keep records from being erased
    #[command(subcommand)]
    Hold(retention::HoldOrder),
    /// Print entries from a number on, then wait for more
    Follow {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
        /// First entry
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Stop at the newest entry
        #[arg(long)]
        once: bool,
    },
    /// Print the newest signed checkpoint: keep it elsewhere
    Checkpoint {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the public key that verifies checkpoints: keep it elsewhere
    Key {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Folder of the trail, or a bundle; the configuration's trail if absent
    dir: Option<PathBuf>,
    /// Configuration file: its keys open the records too
    #[arg(long)]
    config: Option<PathBuf>,
    /// Public key of the checkpoints, as `sceau trail key` printed it (text or file)
    #[arg(long)]
    key: Option<String>,
    /// A checkpoint kept elsewhere
    #[arg(long = "known-checkpoint")]
    known: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SearchArgs {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Terms such as to:ADDRESS, from:ADDRESS, message-id:ID, id:QUEUEID, reason:ID, event:ID, domain:DOMAIN
    #[arg(required = true)]
    terms: Vec<String>,
    /// At or after
    #[arg(long, value_parser = time)]
    since: Option<Timestamp>,
    /// Before
    #[arg(long, value_parser = time)]
    until: Option<Timestamp>,
    /// At most so many entries
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Why: kept in the trail
    #[arg(long)]
    reason: Option<String>,
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write 2026-11-21T22:57:00Z, or seconds since 1970".to_owned())
}

/// What a configuration opens.
pub(super) struct Opened {
    pub(super) data: PathBuf,
    pub(super) secrets: Secrets,
    pub(super) masker: trail::Masker,
}

impl Opened {
    pub(super) fn at(config: &Path) -> Result<Self, Exit> {
        let loaded = Loaded::read(config).map_err(|problem| usage(&problem))?;
        let vault = snapshot::vault(&loaded).map_err(|problem| usage(&problem))?;
        let data = loaded.data();
        if !data.join("trail-secrets").exists() {
            return Err(usage(&format!("{}: no trail here yet; it begins when the gateway starts", data.display())));
        }
        let secrets = keys::checkpoint::secrets(&loaded, &vault, None).map_err(|problem| usage(&problem))?;
        let masker = trail::Masker::new(secrets.masking(), loaded.config.patients.domains.clone());
        Ok(Self { data, secrets, masker })
    }

    pub(super) fn reader(&self) -> Result<TrailReader, Exit> {
        self.secrets.reader(&self.data).map_err(|error| unavailable(&error))
    }
}

pub(super) fn run(args: Args) -> Exit {
    let outcome = match &args.order {
        Order::Verify(order) => verify_trail(order, args.json),
        Order::Search(order) => search(order, args.json),
        Order::Reindex { config, check } => reindex(config, *check, args.json),
        Order::Follow { config, from, once } => follow(config, *from, *once, args.json),
        Order::Export(order) => evidence::export(order),
        Order::Purge(order) => retention::purge(order, args.json),
        Order::Hold(order) => retention::hold(order, args.json),
        Order::Checkpoint { config } => checkpoint(config),
        Order::Key { config } => key(config),
    };
    outcome.unwrap_or_else(|exit| exit)
}

pub(super) fn usage(problem: &impl ToString) -> Exit {
    eprintln!("sceau: {}", problem.to_string());
    Exit::Usage
}

pub(super) fn unavailable(problem: &impl ToString) -> Exit {
    eprintln!("sceau: {}", problem.to_string());
    Exit::Undetermined
}

fn verify_trail(order: &Verify, as_json: bool) -> Result<Exit, Exit> {
    let opened = order.config.as_deref().map(Opened::at).transpose()?;
    let dir = match (&order.dir, &opened) {
        (Some(dir), _) => dir.clone(),
        (None, Some(opened)) => audit::folder(&opened.data),
        (None, None) => return Err(usage(&"name the folder of the trail, or a configuration with --config")),
    };
    if dir.is_file() {
        let key = match (&order.key, &opened) {
            (Some(key), _) => Some(read_key(key)?),
            (None, Some(opened)) => Some(opened.secrets.verifier().map_err(|error| unavailable(&error))?),
            (None, None) => None,
        };
        return evidence::verify(&dir, key.as_ref(), &order.known, as_json);
    }
    let verifier = match (&order.key, &opened) {
        (Some(key), _) => read_key(key)?,
        (None, Some(opened)) => opened.secrets.verifier().map_err(|error| unavailable(&error))?,
        (None, None) => return Err(usage(&"without --config, --key must give the public key of the checkpoints")),
    };
    let known = order.known.iter().map(|path| known_checkpoint(path)).collect::<Result<Vec<_>, _>>()?;
    let wrapping = opened.as_ref().map(|opened| opened.secrets.wrapping());
    let report = match settled(|| verify(&dir, &verifier, wrapping, &known)) {
        Err(TrailError::Nothing(place)) => nothing(place, order, opened.as_ref())?,
        report => report.map_err(|error| unavailable(&error))?,
    };
    print_report(&report, known.len(), as_json);
    Ok(if report.ok { Exit::Done } else { Exit::No })
}

/// A trail that is not there proves nothing, unless the queue says that there was one.
fn nothing(place: String, order: &Verify, opened: Option<&Opened>) -> Result<Report, Exit> {
    let released = match opened.filter(|_| order.dir.is_none()) {
        Some(opened) => super::attached::released(&opened.data)?,
        None => 0,
    };
    if released == 0 {
        return Err(unavailable(&TrailError::Nothing(place)));
    }
    let findings = vec![Finding { place, what: gone(released) }];
    Ok(Report { ok: false, size: 0, checkpoints: 0, records_opened: false, erased: 0, findings })
}

/// What a queue proves about a trail that is not there.
pub(super) fn gone(released: u64) -> String {
    format!("the queue handed {released} rows to this trail, and there is not one entry: put its folder back")
}

/// A gateway that is writing shows half a batch for a moment: what is wrong then is looked at again. What was
/// altered is altered at every look.
fn settled(mut look: impl FnMut() -> Result<Report, TrailError>) -> Result<Report, TrailError> {
    let begun = Instant::now();
    loop {
        let report = look()?;
        if report.ok || begun.elapsed() > WRITING {
            return Ok(report);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn read_key(key: &str) -> Result<NoteVerifier, Exit> {
    let text = fs::read_to_string(key).unwrap_or_else(|_| key.to_owned());
    NoteVerifier::parse(&text).map_err(|error| usage(&format!("--key {key}: {error}")))
}

pub(super) fn known_checkpoint(path: &Path) -> Result<KnownCheckpoint, Exit> {
    let note = fs::read_to_string(path).map_err(|error| usage(&format!("{}: {error}", path.display())))?;
    Ok(KnownCheckpoint { place: path.display().to_string(), note })
}

fn print_report(report: &Report, known: usize, as_json: bool) {
    if as_json {
        say!("{}", json!(report));
        return;
    }
    say!("{} entries, {} checkpoints, {} erased as told", report.size, report.checkpoints, report.erased);
    say!(
        "{}",
        if report.records_opened {
            "records: opened and compared"
        } else {
            "records: not opened (no --config): tree and checkpoints only"
        }
    );
    if known == 0 {
        say!("no checkpoint from elsewhere was given: a history rewritten as a whole cannot be seen without one");
    }
    for finding in &report.findings {
        say!("ALTERED  {}: {}", finding.place, finding.what);
    }
    say!(
        "{}",
        match (report.ok, report.records_opened) {
            (true, true) => "nothing was altered",
            (true, false) => {
                "tree and checkpoints fit together; whether records are there, are the ones committed to, or were erased as told was not looked at"
            }
            (false, _) => "this trail was altered: the first place named is where to look",
        }
    );
}

fn search(order: &SearchArgs, as_json: bool) -> Result<Exit, Exit> {
    let opened = Opened::at(&order.config)?;
    let terms: Vec<String> = order.terms.iter().map(|term| masked(&opened, term)).collect();
    let query = terms.join(" ");
    let search = Search { terms, since: order.since, until: order.until, before: None, limit: order.limit };
    let hits = opened.reader()?.search(&search).map_err(|error| unavailable(&error))?;
    opened.told(&query, order.reason.as_deref(), hits.len());
    if as_json {
        say!("{}", json!({ "entries": hits.iter().map(hit_json).collect::<Vec<_>>() }));
    } else {
        hits.iter().for_each(print_hit);
    }
    Ok(if hits.is_empty() { Exit::No } else { Exit::Done })
}

/// A patient is searched for as the trail knows them: by token.
pub(super) fn masked(opened: &Opened, term: &str) -> String {
    match term.split_once(':') {
        Some((kind @ ("from" | "to"), address)) => match ident::Address::parse(address) {
            Ok(address) => format!("{kind}:{}", opened.masker.party(&address)),
            Err(_) => term.to_owned(),
        },
        _ => term.to_owned(),
    }
}

fn reindex(config: &Path, check: bool, as_json: bool) -> Result<Exit, Exit> {
    let reader = Opened::at(config)?.reader()?;
    if check {
        let differs = reader.check_index().map_err(|error| unavailable(&error))?;
        match (as_json, differs) {
            (true, _) => say!("{}", json!({ "ok": differs.is_none(), "first_difference": differs })),
            (false, None) => say!("the index is that of the log"),
            (false, Some(leaf)) => {
                say!("the index differs from the log at entry {leaf}: run `sceau trail reindex`")
            }
        }
        return Ok(if differs.is_none() { Exit::Done } else { Exit::No });
    }
    let entries = reader.reindex().map_err(|error| unavailable(&error))?;
    if as_json {
        say!("{}", json!({ "entries": entries }));
    } else {
        say!("index made again from {entries} entries");
    }
    Ok(Exit::Done)
}

fn follow(config: &Path, from: u64, once: bool, as_json: bool) -> Result<Exit, Exit> {
    let opened = Opened::at(config)?;
    opened.told(&format!("follow from {from}"), None, 0);
    let mut next = from;
    loop {
        let hits = opened.reader()?.from(next, PAGE).map_err(|error| unavailable(&error))?;
        for hit in &hits {
            if as_json {
                say!("{}", hit_json(hit));
            } else {
                print_hit(hit);
            }
            next = hit.leaf.saturating_add(1);
        }
        if CLOSED.load(Ordering::Relaxed) {
            return Ok(Exit::Done);
        }
        if hits.is_empty() {
            if once {
                return Ok(Exit::Done);
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

fn checkpoint(config: &Path) -> Result<Exit, Exit> {
    let (_, note) = Opened::at(config)?.reader()?.checkpoint().map_err(|error| unavailable(&error))?;
    print!("{note}");
    Ok(Exit::Done)
}

fn key(config: &Path) -> Result<Exit, Exit> {
    let verifier = Opened::at(config)?.secrets.verifier().map_err(|error| unavailable(&error))?;
    say!("{verifier}");
    Ok(Exit::Done)
}

fn hit_json(hit: &Hit) -> serde_json::Value {
    json!({ "entry": hit.leaf, "records": hit.records })
}

fn print_hit(hit: &Hit) {
    for (record, line) in hit.records.iter().zip(Timeline::of(&hit.records).lines) {
        let message = record_id(record);
        let recipient = line.recipient.map(|recipient| format!("{recipient}: ")).unwrap_or_default();
        say!("{:>8}  {}  {message}{recipient}{}", hit.leaf, line.at, line.text.fr);
    }
}

fn record_id(record: &Record) -> String {
    record.message.map(|id| format!("{id}  ")).unwrap_or_default()
}
