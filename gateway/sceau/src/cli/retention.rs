//! `sceau trail purge` and `sceau trail hold`: what is erased when its time is over, and what is not.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Subcommand;
use ident::{Clock, SystemClock, Timestamp};
use serde_json::json;
use store::{Changes, Store as _};
use trail::{
    Class, Record,
    log::{Due, Hold, Outcome, Retention, TrailError},
};

use super::{
    Exit,
    attached::Attached,
    say, told,
    trail::{Opened, time, unavailable},
};
use crate::{audit, config::Loaded};

/// How long a running gateway is given to carry an order out.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows of the outbox taken at once.
const ROWS: usize = 2000;

/// Orders a purge.
#[derive(Debug, clap::Args)]
pub(super) struct Purge {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Only tell what is due
    #[arg(long)]
    dry_run: bool,
    /// Why: kept in the trail
    #[arg(long)]
    reason: Option<String>,
}

/// Orders about holds.
#[derive(Debug, Subcommand)]
pub(super) enum HoldOrder {
    /// Keep entries from being erased: those that carry all terms, or all of some days
    Add {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
        /// Terms such as id:QUEUEID, message-id:ID, to:ADDRESS, from:ADDRESS, domain:DOMAIN
        terms: Vec<String>,
        /// From this day on (UTC)
        #[arg(long, value_parser = time)]
        since: Option<Timestamp>,
        /// To this day (UTC)
        #[arg(long, value_parser = time)]
        until: Option<Timestamp>,
        /// Why: kept with the hold and in the trail
        #[arg(long)]
        reason: String,
    },
    /// List holds
    List {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
    /// Lift a hold: what is due goes with the next purge
    Remove {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
        /// Its number
        number: u64,
        /// Why: kept in the trail
        #[arg(long)]
        reason: String,
    },
}

fn retention(opened: &Opened) -> Result<Retention, Exit> {
    let folder = audit::folder(&opened.data);
    Retention::open(&folder, opened.secrets.wrapping()).map_err(|error| unavailable(&error))
}

/// Erases what is due and not held.
pub(super) fn purge(order: &Purge, as_json: bool) -> Result<Exit, Exit> {
    let loaded = Loaded::read(&order.config).map_err(|problem| super::trail::usage(&problem))?;
    let opened = Opened::at(&order.config)?;
    let mut state = retention(&opened)?;
    let mut due = Vec::new();
    for (class, before) in loaded.config.trail.due(SystemClock.now()) {
        due.push(counted(&mut state, class, before)?);
    }
    if order.dry_run || due.iter().all(|due| due.records == 0) {
        let counts: Vec<_> = due.iter().map(|due| (*due, due.records)).collect();
        print(&counts, order.dry_run, as_json);
        return Ok(Exit::Done);
    }
    let queue = Attached::open(&order.config)?;
    let orders: Vec<Due> = due.iter().copied().filter(|due| due.records > 0).collect();
    for due in &orders {
        // Each of its own, so that one entry tells of one erasure.
        let told = Record::new(SystemClock.now(), due.event());
        queue.wait(queue.store.commit(Changes::records(vec![told])))?;
    }
    told::acted(&opened.data, &opened.masker, "trail.purge", "what is due", order.reason.as_deref());
    let erased = orders.iter().map(|due| Ok((*due, carry_out(&opened, &queue, &state, due)?)));
    let erased = erased.collect::<Result<Vec<_>, Exit>>()?;
    // The outbox lay in the queue's file before it came here.
    queue.wait(queue.store.scrub())?;
    let counts: Vec<_> = erased.iter().map(|(due, erased)| (*due, erased.unwrap_or(0))).collect();
    print(&counts, false, as_json);
    if erased.iter().all(|(_, erased)| erased.is_some()) {
        return Ok(Exit::Done);
    }
    eprintln!("sceau: what is due changed between the order and its execution (a hold?): give the order again");
    Ok(Exit::Undetermined)
}

/// How many records are due. The index follows a busy gateway a moment later: it is waited for.
fn counted(state: &mut Retention, class: Class, before: Timestamp) -> Result<Due, Exit> {
    let begun = Instant::now();
    loop {
        match state.due(class, before) {
            Err(TrailError::Behind) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
            due => return due.map_err(|error| unavailable(&error)),
        }
    }
}

/// By the running gateway, or here when there is none. Says how many records are gone; none when the
/// order was given up.
fn carry_out(opened: &Opened, queue: &Attached, state: &Retention, due: &Due) -> Result<Option<u64>, Exit> {
    let begun = Instant::now();
    loop {
        match state.outcome(due).map_err(|error| unavailable(&error))? {
            Outcome::Erased(records) => return Ok(Some(records)),
            Outcome::GivenUp => return Ok(None),
            Outcome::Waits => {}
        }
        if begun.elapsed() > PATIENCE {
            eprintln!(
                "sceau: the order is told but not carried out yet; it will be as soon as the trail can be written"
            );
            return Err(Exit::Undetermined);
        }
        match opened.secrets.trail(&opened.data) {
            Ok(mut trail) => {
                let rows = queue.wait(queue.store.take_outbox(ROWS))?;
                let lines: Vec<_> = rows.iter().map(|row| (row.number, row.lines.as_str())).collect();
                let appended = trail.append(queue.store.identity(), &lines, SystemClock.now());
                if let Err(TrailError::RunsAgain { row }) = appended {
                    let alarm = audit::runs_again(&queue.masker, row, SystemClock.now());
                    queue.wait(queue.store.commit(Changes::records(vec![alarm])))?;
                    trail.begin_anew(queue.store.identity(), row).map_err(|error| unavailable(&error))?;
                    continue;
                }
                let sequenced = appended.map_err(|error| unavailable(&error))?;
                if let Some(up_to) = sequenced.release {
                    queue.wait(queue.store.release_outbox(up_to))?;
                }
                trail.settle().map_err(|error| unavailable(&error))?;
            }
            Err(TrailError::InUse(_)) => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => return Err(unavailable(&error)),
        }
    }
}

/// What is due with how many records of it are, or are gone.
fn print(counts: &[(Due, u64)], only_due: bool, as_json: bool) {
    if as_json {
        let classes: Vec<_> = counts
            .iter()
            .map(|(due, records)| json!({ "class": due.class, "before": due.before, "records": records }))
            .collect();
        say!("{}", if only_due { json!({ "due": classes }) } else { json!({ "purged": classes }) });
        return;
    }
    for (Due { class, before, .. }, records) in counts {
        let done = if only_due { "are due" } else { "erased, their commitments stay" };
        say!("{class:?} before {before}: {records} entries {done}");
    }
}

/// Kinds of terms that entries carry.
const KINDS: [&str; 13] = [
    "id",
    "message-id",
    "from",
    "to",
    "domain",
    "by",
    "certificate",
    "peer",
    "destination",
    "operator",
    "digest",
    "reason",
    "event",
];

/// A term as entries carry it. One of another kind would hold nothing, in silence.
fn known(opened: &Opened, term: &str) -> Result<String, Exit> {
    match term.split_once(':') {
        Some(("domain", domain)) => Ok(format!("domain:{}", domain.to_ascii_lowercase())),
        Some((kind, _)) if KINDS.contains(&kind) => Ok(super::trail::masked(opened, term)),
        _ => Err(super::trail::usage(&format!("{term}: no entry carries such a term; one of {}", KINDS.join(", ")))),
    }
}

/// Adds, lists and lifts holds.
pub(super) fn hold(order: &HoldOrder, as_json: bool) -> Result<Exit, Exit> {
    match order {
        HoldOrder::Add { config, terms, since, until, reason } => {
            if terms.is_empty() && since.is_none() && until.is_none() {
                return Err(super::trail::usage(&"name terms or days: a hold on everything is a longer retention"));
            }
            let opened = Opened::at(config)?;
            let terms = terms.iter().map(|term| known(&opened, term)).collect::<Result<Vec<_>, _>>()?;
            let by = told::operator(&opened.masker);
            let target = terms.join(" ");
            let reason = opened.masker.text(reason);
            let hold = Hold { terms, since: *since, until: *until, reason, by, at: SystemClock.now() };
            let mut state = retention(&opened)?;
            let number = state.add(&hold).map_err(|error| unavailable(&error))?;
            let entries = state.matches(&hold).map_err(|error| unavailable(&error))?;
            let why = Some(hold.reason.as_str());
            told::acted(&opened.data, &opened.masker, "trail.hold.add", &format!("{number} {target}"), why);
            if as_json {
                say!("{}", json!({ "hold": number, "entries": entries }));
            } else {
                say!(
                    "hold {number}: {entries} entries match now; these, and what comes later, are not erased until it is removed"
                );
            }
            Ok(Exit::Done)
        }
        HoldOrder::List { config } => {
            let opened = Opened::at(config)?;
            let holds = retention(&opened)?.holds().map_err(|error| unavailable(&error))?;
            if as_json {
                let holds: Vec<_> =
                    holds.iter().map(|(number, hold)| json!({ "number": number, "hold": hold })).collect();
                say!("{}", json!({ "holds": holds }));
            } else {
                for (number, hold) in &holds {
                    let days =
                        [hold.since, hold.until].map(|at| at.map_or_else(|| "…".to_owned(), |at| at.to_string()));
                    say!("{number}  {}  {}  {}: {}", hold.at, days.join(" to "), hold.by, hold.reason);
                    say!("    {}", hold.terms.join(" "));
                }
            }
            Ok(Exit::Done)
        }
        HoldOrder::Remove { config, number, reason } => {
            let opened = Opened::at(config)?;
            let mut state = retention(&opened)?;
            let holds = state.holds().map_err(|error| unavailable(&error))?;
            if !holds.iter().any(|(known, _)| known == number) {
                eprintln!("sceau: there is no hold {number}");
                return Ok(Exit::No);
            }
            // First told, then done.
            let target = number.to_string();
            Attached::open(config)?.note("trail.hold.remove", &target, Some(reason), SystemClock.now())?;
            state.remove(*number).map_err(|error| unavailable(&error))?;
            say!(
                "{}",
                if as_json { json!({ "removed": number }).to_string() } else { format!("hold {number} is lifted") }
            );
            Ok(Exit::Done)
        }
    }
}
