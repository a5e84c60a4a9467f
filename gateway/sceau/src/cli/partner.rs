//! `sceau partner`: partners' files of certificates, what waits for approval, and our own file.
//!
//! Nothing here talks to a running gateway: it watches the ledger and takes changes up within seconds.

mod show;

use std::path::PathBuf;

use ident::{Clock, Fingerprint, StructureId, SystemClock};
use pki::book::{Ledger, LedgerError, ledger::LedgerEvent};
use serde_json::{Value, json};

use super::{Exit, check::load_or_report};
use crate::{
    config::Loaded,
    partners::{self, LedgerFault, LedgerFile, TakeError, Taken},
    snapshot::Snapshot,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    /// Configuration file
    #[arg(long, global = true, required = false)]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Look for a partner's file from now on: verify it, show its certificates, take it
    Add {
        /// URL (http, https), path of the file, or path of a folder with partner.p7m in it
        location: String,
        /// Organisation number that must have signed it
        #[arg(long)]
        operator: Option<StructureId>,
    },
    /// Look for a partner's file no longer; its certificates stay
    Remove {
        /// Organisation number
        operator: StructureId,
    },
    /// Show partners' files and certificates
    List {
        /// Only what waits for approval
        #[arg(long)]
        pending: bool,
    },
    /// Look for partners' files now
    Refresh {
        /// Organisation numbers; all if none is given
        operators: Vec<StructureId>,
    },
    /// Let certificates be used
    Approve(Decide),
    /// Let certificates not be used (again)
    Reject(Decide),
    /// Write our own file, for a web server to serve
    Publish {
        /// File, or folder, to write to; as configured if absent
        #[arg(long)]
        into: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Decide {
    /// SHA-256 of the certificates, compared with what the partner says by another way
    #[arg(required = true)]
    fingerprints: Vec<Fingerprint>,
    /// Why: kept with the decision
    #[arg(long)]
    reason: Option<String>,
}

/// What every order works on.
struct Desk {
    loaded: Loaded,
    snapshot: Snapshot,
    ledger: LedgerFile,
    runtime: tokio::runtime::Runtime,
    json: bool,
}

impl Args {
    /// Whether its result goes to a folder that need not be the gateway's.
    pub(super) fn writes_elsewhere(&self) -> bool {
        matches!(self.order, Order::Publish { into: Some(_) })
    }
}

pub(super) fn run(args: Args) -> Exit {
    let Some(config) = &args.config else {
        eprintln!("sceau: --config FILE is needed");
        return Exit::Usage;
    };
    let (loaded, snapshot) = match load_or_report(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let ledger = LedgerFile::below(&loaded.data());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sceau: the runtime does not start: {error}");
            return Exit::Undetermined;
        }
    };
    let desk = Desk { loaded, snapshot, ledger, runtime, json: args.json };
    match &args.order {
        Order::Add { location, operator } => desk.add(location, operator.as_ref()),
        Order::Remove { operator } => desk.remove(operator),
        Order::List { pending } => desk.list(*pending),
        Order::Refresh { operators } => desk.refresh(operators),
        Order::Approve(decide) => desk.decide(decide, true),
        Order::Reject(decide) => desk.decide(decide, false),
        Order::Publish { into } => desk.publish(into.as_deref()),
    }
}

impl Desk {
    fn print(&self, value: &Value, text: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            print!("{}", text());
        }
    }

    fn read(&self) -> Result<Ledger, Exit> {
        self.ledger.read().map_err(|error| fault(&error))
    }

    fn take(&self, location: &str, operator: Option<&StructureId>) -> Result<Taken, TakeError> {
        let now = SystemClock.now();
        let fetched = self.runtime.block_on(partners::read(location, &self.snapshot, now))?;
        partners::take(&self.ledger, &self.snapshot, &fetched, operator, &partners::person(), now)
    }

    fn add(&self, location: &str, operator: Option<&StructureId>) -> Exit {
        let location = absolute(location);
        let outcome = self.take(&location, operator);
        let Ok(taken) = &outcome else { return self.report(&[(location, outcome)]) };
        let operator = taken.operator.clone();
        let source = LedgerEvent::Source { operator: operator.clone(), location: location.clone() };
        let noted = self.ledger.change(SystemClock.now(), &partners::person(), None, |held: &Ledger| {
            let known = held.sources().get(&operator) == Some(&location);
            Ok::<_, LedgerFault>((if known { Vec::new() } else { vec![source] }, ()))
        });
        match noted {
            Ok(()) => self.report(&[(location, outcome)]),
            Err(error) => fault(&error),
        }
    }

    fn remove(&self, operator: &StructureId) -> Exit {
        let done = self.ledger.change(SystemClock.now(), &partners::person(), None, |held: &Ledger| {
            let known = held.sources().contains_key(operator);
            let event = LedgerEvent::SourceRemoved { operator: operator.clone() };
            Ok::<_, LedgerFault>((known.then_some(event).into_iter().collect(), known))
        });
        match done {
            Ok(known) => {
                self.print(&json!({ "removed": known }), || match known {
                    true => format!("{operator}: its file is not looked for any more; its certificates stay\n"),
                    false => String::new(),
                });
                if !known {
                    eprintln!("no file is looked for of {operator}");
                }
                if known { Exit::Done } else { Exit::No }
            }
            Err(error) => fault(&error),
        }
    }

    fn list(&self, pending: bool) -> Exit {
        let ledger = match self.read() {
            Ok(ledger) => ledger,
            Err(exit) => return exit,
        };
        let shown = show::listing(&ledger, pending);
        self.print(&shown.to_json(), || shown.to_text());
        Exit::Done
    }

    fn refresh(&self, operators: &[StructureId]) -> Exit {
        let ledger = match self.read() {
            Ok(ledger) => ledger,
            Err(exit) => return exit,
        };
        if let Some(unknown) = operators.iter().find(|operator| !ledger.sources().contains_key(operator)) {
            eprintln!("sceau: no file is looked for of {unknown}: sceau partner add LOCATION");
            return Exit::Usage;
        }
        let wanted = ledger.sources().iter().filter(|(it, _)| operators.is_empty() || operators.contains(it));
        let outcomes: Vec<_> =
            wanted.map(|(operator, location)| (location.clone(), self.take(location, Some(operator)))).collect();
        if outcomes.is_empty() {
            eprintln!("no partner's file is looked for: sceau partner add LOCATION");
        }
        self.report(&outcomes)
    }

    /// What came of looking for files, and what waits now.
    fn report(&self, outcomes: &[(String, Result<Taken, TakeError>)]) -> Exit {
        let waiting = match self.read() {
            Ok(ledger) => show::listing(&ledger, true),
            Err(exit) => return exit,
        };
        let files: Vec<Value> = outcomes.iter().map(|(location, outcome)| show::outcome(location, outcome)).collect();
        self.print(&json!({ "files": files, "pending": waiting.to_json().get("certificates") }), || {
            let lines =
                outcomes.iter().filter_map(|(location, outcome)| Some(show::taken(location, outcome.as_ref().ok()?)));
            lines.chain([waiting.to_text()]).collect()
        });
        let mut exit = Exit::Done;
        for (_, outcome) in outcomes {
            let Err(error) = outcome else { continue };
            eprintln!("sceau: {error}");
            // A refusal says more than a wait.
            if exit != Exit::No {
                exit = if error.is_temporary() { Exit::Undetermined } else { Exit::No };
            }
        }
        exit
    }

    fn decide(&self, decide: &Decide, approve: bool) -> Exit {
        let (now, by) = (SystemClock.now(), partners::person());
        let outcome = self.ledger.change(now, &by, decide.reason.as_deref(), |held: &Ledger| {
            let mut events = Vec::new();
            for fingerprint in &decide.fingerprints {
                events.extend(held.decide(*fingerprint, approve).map_err(LedgerFault::from)?);
            }
            let count = events.len();
            Ok::<_, LedgerFault>((events, count))
        });
        match outcome {
            Ok(count) => {
                let word = if approve { "approved" } else { "rejected" };
                self.print(&json!({ word: decide.fingerprints, "changed": count }), || match count {
                    0 => format!("already {word}\n"),
                    _ => format!("{word}; a running gateway takes it up within seconds\n"),
                });
                Exit::Done
            }
            Err(LedgerFault::Order(error @ LedgerError::NotListed(_))) => {
                eprintln!("sceau: {error}; nothing was changed (sceau partner list)");
                Exit::No
            }
            Err(error) => fault(&error),
        }
    }

    fn publish(&self, into: Option<&std::path::Path>) -> Exit {
        match partners::publish(&self.loaded, &self.snapshot, into, SystemClock.now()) {
            Ok(published) => {
                self.print(&show::published(&published), || show::published_text(&published));
                Exit::Done
            }
            Err(error @ partners::PublishError::Configuration(_)) => {
                eprintln!("sceau: {error}");
                Exit::Usage
            }
            Err(error @ partners::PublishError::Refused(_)) => {
                eprintln!("sceau: {error}; nothing was published");
                Exit::No
            }
            Err(error @ partners::PublishError::Disk(..)) => {
                eprintln!("sceau: {error}");
                Exit::Undetermined
            }
        }
    }
}

fn fault(error: &LedgerFault) -> Exit {
    eprintln!("sceau: {error}");
    Exit::Undetermined
}

/// A path is remembered so that the gateway finds it from wherever it runs.
fn absolute(location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let path = std::path::absolute(location).unwrap_or_else(|_| PathBuf::from(location));
    path.to_string_lossy().into_owned()
}
