//! `sceau block`: the emergency stop. At once, in both directions, the queue included; it ends by itself.

use std::{path::Path, time::Duration};

use clap::{Subcommand, ValueEnum as _};
use ident::{Address, Clock as _, Domain, Fingerprint, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{
    Exit,
    attached::{About, Attached, who},
    material,
};
use crate::{
    config::{Loaded, Span},
    trust::{Block, Fate, Operator, OrderBook, OrderError, Target},
};

/// Longest block: what is meant to last is said to whoever keeps the trust list.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Stop the exchange with somebody, from now on
    Add {
        #[command(flatten)]
        target: WhatArgs,
        /// How long (2h, 3d); it ends by itself
        #[arg(long = "for", value_parser = span, default_value = "24h")]
        lasts: Span,
        /// What becomes of mail: `hold` waits (451), `refuse` fails (550)
        #[arg(long, value_enum, default_value_t = Fate::Hold)]
        mail: Fate,
        /// Why: kept in the trail, never told to others
        #[arg(long)]
        reason: String,
    },
    /// List what is blocked
    List {
        /// Also what has ended lately
        #[arg(long)]
        all: bool,
    },
    /// End a block before its time
    Remove {
        /// Its name, as `list` shows it
        id: String,
        /// Why: kept in the trail
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct WhatArgs {
    /// A domain
    #[arg(long)]
    domain: Option<Domain>,
    /// An operator, by its name on the trust list (CN=…, OU=…, O=…)
    #[arg(long, value_parser = operator)]
    operator: Option<Operator>,
    /// A certificate: its file, or its SHA-256 in hexadecimal
    #[arg(long)]
    certificate: Option<String>,
    /// A mailbox
    #[arg(long)]
    mailbox: Option<Address>,
}

pub(super) fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).filter(|span| !span.0.is_zero()).ok_or_else(|| "write for example 90m, 24h or 5d".to_owned())
}

pub(super) fn operator(text: &str) -> Result<Operator, String> {
    Operator::try_from(text.to_owned()).map_err(|error| error.to_string())
}

impl WhatArgs {
    fn target(&self) -> Result<Target, Exit> {
        if let Some(domain) = &self.domain {
            return Ok(Target::Domain(domain.clone()));
        }
        if let Some(operator) = &self.operator {
            return Ok(Target::Operator(operator.clone()));
        }
        if let Some(mailbox) = &self.mailbox {
            return Ok(Target::Mailbox(mailbox.clone()));
        }
        let text = self.certificate.clone().unwrap_or_default();
        if let Ok(fingerprint) = text.parse::<Fingerprint>() {
            return Ok(Target::Certificate(fingerprint));
        }
        let found = material::leaf(Path::new(&text)).map_err(|problem| material::report(&problem))?;
        Ok(Target::Certificate(found.0.fingerprint()))
    }
}

pub(super) fn run(args: &Args) -> Exit {
    let now = SystemClock.now();
    let outcome = match &args.order {
        Order::Add { target, lasts, mail, reason } => add(args, target, *lasts, *mail, reason, now),
        Order::List { all } => list(args, *all, now),
        Order::Remove { id, reason } => remove(args, id, reason, now),
    };
    outcome.unwrap_or_else(|exit| exit)
}

fn add(args: &Args, what: &WhatArgs, lasts: Span, mail: Fate, reason: &str, now: Timestamp) -> Result<Exit, Exit> {
    if lasts.0 > LONGEST || reason.trim().is_empty() {
        eprintln!("sceau: a block has a reason and lasts at most {} h", Span(LONGEST).hours());
        return Err(Exit::Usage);
    }
    let (queue, book) = open(args)?;
    let target = what.target()?;
    if matches!(&target, Target::Mailbox(mailbox) if queue.masker.is_patient(mailbox)) {
        // Their address is their national number: it stands in clear in the queue's envelope and nowhere else (P3).
        eprintln!("sceau: a patient's mailbox is not written into the orders: block whoever writes, or the domain");
        return Err(Exit::No);
    }
    let block = Block {
        id: String::new(),
        target,
        mail,
        since: now,
        until: now.plus(lasts.0),
        by: who(),
        reason: queue.masker.text(reason).to_string(),
    };
    let block = book.block(block).map_err(|error| refused(&error))?;
    let action = format!("block.add {} until {}", word(mail), block.until);
    queue.note(&action, &block.target.to_string(), Some(reason), now)?;
    if args.about.json {
        println!("{}", as_json(&block, now));
    } else {
        println!("{}: {} is blocked until {} ({})", block.id, block.target, block.until, word(mail));
    }
    Ok(Exit::Done)
}

fn remove(args: &Args, id: &str, reason: &str, now: Timestamp) -> Result<Exit, Exit> {
    let (queue, book) = open(args)?;
    let block = book.unblock(id, None, now).map_err(|error| refused(&error))?;
    queue.note("block.remove", &block.target.to_string(), Some(reason), now)?;
    if args.about.json {
        println!("{}", json!({ "removed": as_json(&block, now) }));
    } else {
        println!("{}: {} is no longer blocked", block.id, block.target);
    }
    Ok(Exit::Done)
}

fn list(args: &Args, all: bool, now: Timestamp) -> Result<Exit, Exit> {
    let loaded = Loaded::read(&args.about.config).map_err(|problem| material::report(&problem))?;
    let blocks = OrderBook::below(&loaded.data()).blocks().map_err(|error| refused(&error))?;
    let shown: Vec<&Block> = blocks.iter().filter(|block| all || block.holds(now)).collect();
    if args.about.json {
        println!("{}", json!({ "blocks": shown.iter().map(|block| as_json(block, now)).collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if shown.is_empty() {
        eprintln!("Nothing is blocked.");
    }
    for block in shown {
        let over = if block.holds(now) { "" } else { " (over)" };
        println!("{}  {}  {}  {} to {}{over}", block.id, block.target, word(block.mail), block.since, block.until);
        println!("    by {}: {}", block.by, block.reason);
    }
    Ok(Exit::Done)
}

fn open(args: &Args) -> Result<(Attached, OrderBook), Exit> {
    let loaded = Loaded::read(&args.about.config).map_err(|problem| material::report(&problem))?;
    Ok((Attached::open(&args.about.config)?, OrderBook::below(&loaded.data())))
}

/// What an order that was not taken means for the caller.
pub(super) fn refused(error: &OrderError) -> Exit {
    eprintln!("sceau: {error}");
    match error {
        OrderError::Disk(..) | OrderError::File(..) => Exit::Undetermined,
        _ => Exit::No,
    }
}

pub(super) fn as_json(block: &Block, now: Timestamp) -> Value {
    json!({
        "id": block.id,
        "target": block.target,
        "mail": word(block.mail),
        "since": block.since.rfc3339(),
        "until": block.until.rfc3339(),
        "holds": block.holds(now),
        "by": block.by,
        "reason": block.reason,
    })
}

fn word(fate: Fate) -> String {
    fate.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
