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
    Class, Event, Record,
    log::{Hold, Retention, TrailError},
};

use super::{
    Exit,
    attached::Attached,
    told,
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
        let records = counted(&mut state, class, before)?;
        due.push((class, before, records));
    }
    if order.dry_run || due.iter().all(|(.., records)| *records == 0) {
        print(&due, order.dry_run, as_json);
        return Ok(Exit::Done);
    }
    let first = state.size().map_err(|error| unavailable(&error))?;
    let queue = Attached::open(&order.config)?;
    let mut orders: u64 = 0;
    for (class, before, records) in due.iter().copied().filter(|(.., records)| *records > 0) {
        // Each of its own, so that one entry tells of one erasure.
        let told = Record::new(SystemClock.now(), Event::TrailPurged { class, before, records });
        queue.wait(queue.store.commit(Changes::records(vec![told])))?;
        orders = orders.saturating_add(1);
    }
    told::acted(&opened.data, &opened.masker, "trail.purge", "what is due", order.reason.as_deref());
    carry_out(&opened, &queue, &state, first, orders)?;
    // The outbox lay in the queue's file before it came here.
    queue.wait(queue.store.scrub())?;
    print(&due, false, as_json);
    Ok(Exit::Done)
}

/// How many records are due. The index follows a busy gateway a moment later: it is waited for.
fn counted(state: &mut Retention, class: Class, before: Timestamp) -> Result<u64, Exit> {
    let begun = Instant::now();
    loop {
        match state.due(class, before) {
            Err(TrailError::Behind) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
            records => return records.map_err(|error| unavailable(&error)),
        }
    }
}

/// By the running gateway, or here when there is none.
fn carry_out(opened: &Opened, queue: &Attached, state: &Retention, first: u64, orders: u64) -> Result<(), Exit> {
    let begun = Instant::now();
    while state.carried_out(first).map_err(|error| unavailable(&error))? < orders {
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
    Ok(())
}

fn print(due: &[(Class, Timestamp, u64)], only_due: bool, as_json: bool) {
    if as_json {
        let classes: Vec<_> = due
            .iter()
            .map(|(class, before, records)| json!({ "class": class, "before": before, "records": records }))
            .collect();
        println!("{}", if only_due { json!({ "due": classes }) } else { json!({ "purged": classes }) });
        return;
    }
    for (class, before, records) in due {
        let done = if only_due { "are due" } else { "erased, their commitments stay" };
        println!("{class:?} before {before}: {records} entries {done}");
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
            let terms: Vec<String> = terms.iter().map(|term| super::trail::masked(&opened, term)).collect();
            let by = told::operator(&opened.masker);
            let target = terms.join(" ");
            let reason = opened.masker.text(reason);
            let hold = Hold { terms, since: *since, until: *until, reason, by, at: SystemClock.now() };
            let number = retention(&opened)?.add(&hold).map_err(|error| unavailable(&error))?;
            let why = Some(hold.reason.as_str());
            told::acted(&opened.data, &opened.masker, "trail.hold.add", &format!("{number} {target}"), why);
            if as_json {
                println!("{}", json!({ "hold": number }));
            } else {
                println!("hold {number}: nothing that matches is erased until it is removed");
            }
            Ok(Exit::Done)
        }
        HoldOrder::List { config } => {
            let opened = Opened::at(config)?;
            let holds = retention(&opened)?.holds().map_err(|error| unavailable(&error))?;
            if as_json {
                let holds: Vec<_> =
                    holds.iter().map(|(number, hold)| json!({ "number": number, "hold": hold })).collect();
                println!("{}", json!({ "holds": holds }));
            } else {
                for (number, hold) in &holds {
                    let days =
                        [hold.since, hold.until].map(|at| at.map_or_else(|| "…".to_owned(), |at| at.to_string()));
                    println!("{number}  {}  {}  {}: {}", hold.at, days.join(" to "), hold.by, hold.reason);
                    println!("    {}", hold.terms.join(" "));
                }
            }
            Ok(Exit::Done)
        }
        HoldOrder::Remove { config, number, reason } => {
            let opened = Opened::at(config)?;
            let removed = retention(&opened)?.remove(*number).map_err(|error| unavailable(&error))?;
            if !removed {
                eprintln!("sceau: there is no hold {number}");
                return Ok(Exit::No);
            }
            told::acted(&opened.data, &opened.masker, "trail.hold.remove", &number.to_string(), Some(reason));
            println!(
                "{}",
                if as_json { json!({ "removed": number }).to_string() } else { format!("hold {number} is lifted") }
            );
            Ok(Exit::Done)
        }
    }
}
