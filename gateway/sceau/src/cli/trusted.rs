//! `sceau trust`: the list in force and what waits for it; confirming a shrinkage; exceptions by two
//! administrators.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use ident::{Clock as _, Domain, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{
    Exit,
    attached::{About, Attached, who},
    block::{self, operator, refused, span},
    check::load_or_report,
    material,
};
use crate::{
    config::{Loaded, Problem, Span, read_bytes},
    snapshot::Snapshot,
    trust::{Confirmed, Entry, Grant, Operator, OrderBook, Signed, alarms},
};

/// Largest file of an exception.
const MAX_GRANT: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// The list in force, what waits, what is blocked, what is excepted, what needs a look
    Show,
    /// Say that an abnormal shrinkage is meant: what waits for it is refused from now on
    Accept {
        /// Why: kept in the trail
        #[arg(long)]
        reason: String,
    },
    /// Trust somebody whom the list does not name, for a short time (two administrators)
    Grant {
        #[command(subcommand)]
        step: Step,
    },
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Write an exception to be signed
    Propose {
        /// The domain
        #[arg(long)]
        domain: Domain,
        /// Who speaks for it: the subject of its server's certificate (CN=…, OU=…, O=…)
        #[arg(long, value_parser = operator)]
        operator: Operator,
        /// How long (4h); it ends by itself
        #[arg(long = "for", value_parser = span, default_value = "4h")]
        lasts: Span,
        /// Why: kept in the trail
        #[arg(long)]
        reason: String,
        /// File to write
        #[arg(long)]
        into: PathBuf,
    },
    /// Sign an exception as one administrator
    Sign {
        /// The file
        file: PathBuf,
        /// The administrator's certificate
        #[arg(long, requires = "key")]
        certificate: Option<PathBuf>,
        /// Its private key
        #[arg(long, requires = "certificate")]
        key: Option<PathBuf>,
        /// Or a signature made elsewhere, with a card: CMS apart over the entry (DER)
        #[arg(long, conflicts_with = "key", required_unless_present = "key")]
        signature: Option<PathBuf>,
        /// Write the entry to be signed elsewhere into this file first
        #[arg(long)]
        entry: Option<PathBuf>,
    },
    /// Put an exception that two administrators signed in force
    Apply {
        /// The file
        file: PathBuf,
    },
    /// Take an exception back, for good
    Remove {
        /// Its id, as `show` shows it
        id: String,
        /// Why: kept in the trail
        #[arg(long)]
        reason: String,
    },
}

pub(super) fn run(args: &Args) -> Exit {
    let now = SystemClock.now();
    let outcome = match &args.order {
        Order::Show => show(args, now),
        Order::Accept { reason } => accept(args, reason, now),
        Order::Grant { step } => match step {
            Step::Propose { domain, operator, lasts, reason, into } => {
                propose(args, (domain, operator), *lasts, reason, into, now)
            }
            Step::Sign { file, certificate, key, signature, entry } => {
                let pair = certificate.as_deref().zip(key.as_deref());
                sign(args, file, pair, signature.as_deref(), entry.as_deref(), now)
            }
            Step::Apply { file } => apply(args, file, now),
            Step::Remove { id, reason } => remove(args, id, reason, now),
        },
    };
    outcome.unwrap_or_else(|exit| exit)
}

fn show(args: &Args, now: Timestamp) -> Result<Exit, Exit> {
    let (_, snapshot) = load_or_report(&args.about.config)?;
    let (list, memory) = (&snapshot.trust_list, &snapshot.held.memory);
    let waiting: Vec<_> = snapshot.waiting(now).collect();
    let alarms = alarms(&snapshot, now);
    if args.about.json {
        println!(
            "{}",
            json!({
                "generated": list.generated().rfc3339(),
                "digest": list.digest(),
                "accepted": memory.accepted.rfc3339(),
                "domains": list.domains().count(),
                "left_out": list.problems().len(),
                "waiting": waiting.iter().map(|it| json!({
                    "domain": it.domain, "since": it.at.rfc3339(), "until": it.waits_until.map(Timestamp::rfc3339),
                })).collect::<Vec<_>>(),
                "blocks": snapshot.orders.blocks().iter().filter(|it| it.holds(now)).map(|it| block::as_json(it, now)).collect::<Vec<_>>(),
                "exceptions": snapshot.orders.grants().iter().filter(|it| it.entry.holds(now)).map(grant_json).collect::<Vec<_>>(),
                "alarms": alarms,
            })
        );
        return Ok(Exit::Done);
    }
    println!("trust list   generated {}, in force here since {}", list.generated(), memory.accepted);
    println!(
        "             {} domains, {} entries left out, sha-256 {}",
        list.domains().count(),
        list.problems().len(),
        list.digest()
    );
    lines(&snapshot, now).iter().for_each(|line| println!("{line}"));
    for struck in waiting.iter().take(20) {
        println!("waiting      {} struck off {}", struck.domain.unicode(), struck.at);
    }
    if waiting.len() > 20 {
        println!("waiting      … and {} more (--json lists all)", waiting.len().saturating_sub(20));
    }
    alarms.iter().for_each(|(code, what)| println!("alarm        [{code}] {what}"));
    Ok(Exit::Done)
}

/// Blocks and exceptions that hold, a line each.
pub(super) fn lines(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let blocks = snapshot.orders.blocks().iter().filter(|it| it.holds(now)).map(|it| format!("blocked      {it}"));
    let grants =
        snapshot.orders.grants().iter().filter(|it| it.entry.holds(now)).map(|it| format!("break-glass  {it}"));
    blocks.chain(grants).collect()
}

fn accept(args: &Args, reason: &str, now: Timestamp) -> Result<Exit, Exit> {
    let (loaded, snapshot) = load_or_report(&args.about.config)?;
    let waiting = snapshot.waiting(now).count();
    if waiting == 0 {
        eprintln!("Nothing waits because of the trust list.");
        return Ok(Exit::No);
    }
    let queue = Attached::open(&args.about.config)?;
    let confirmed = Confirmed { at: now, by: who(), reason: queue.masker.text(reason).to_string() };
    OrderBook::below(&loaded.data()).confirm(confirmed).map_err(|error| refused(&error))?;
    let target = format!("{waiting} domains struck off by the list of {}", snapshot.trust_list.generated());
    queue.note("trust.accept", &target, Some(reason), now)?;
    if args.about.json {
        println!("{}", json!({ "confirmed": waiting }));
    } else {
        println!("confirmed: mail for {waiting} domains that left the trust list is refused from now on");
    }
    Ok(Exit::Done)
}

fn propose(
    args: &Args,
    (domain, operator): (&Domain, &Operator),
    lasts: Span,
    reason: &str,
    into: &Path,
    now: Timestamp,
) -> Result<Exit, Exit> {
    let loaded = Loaded::read(&args.about.config).map_err(|problem| material::report(&problem))?;
    let mut random = [0u8; 16];
    openssl::rand::rand_bytes(&mut random).map_err(|error| {
        eprintln!("sceau: {error}");
        Exit::Undetermined
    })?;
    let id = random.iter().map(|octet| format!("{octet:02x}")).collect();
    let gateway = loaded.config.server.hostname.clone();
    let span = (now, now.plus(lasts.0));
    let entry = Entry::new(gateway, id, domain.clone(), operator.clone(), span, reason.to_owned());
    write(into, &Signed::unsigned(&entry))?;
    println!(
        "{}: two administrators sign it (`sceau trust grant sign`), then `sceau trust grant apply`",
        into.display()
    );
    Ok(Exit::Done)
}

fn sign(
    args: &Args,
    file: &Path,
    pair: Option<(&Path, &Path)>,
    signature: Option<&Path>,
    entry: Option<&Path>,
    now: Timestamp,
) -> Result<Exit, Exit> {
    let (_, snapshot) = load_or_report(&args.about.config)?;
    let mut signed = read(file)?;
    let report = |problem: Problem| material::report(&problem);
    if let Some(entry) = entry {
        fs::write(entry, &signed.entry).map_err(|error| report(Problem::of(entry, error.to_string())))?;
    }
    match (pair, signature) {
        (Some((certificate, key)), _) => {
            let key = material::key_pair(certificate, key).map_err(report)?;
            signed.sign(&key, now).map_err(|error| report(Problem::of(file, error.to_string())))?;
        }
        (None, Some(signature)) => {
            signed.signatures.push(STANDARD.encode(read_bytes(signature, MAX_GRANT).map_err(report)?));
        }
        (None, None) => return Err(Exit::Usage),
    }
    let claimed = signed.claimed().map_err(|error| report(Problem::of(file, error.to_string())))?;
    write(file, &signed)?;
    let names: Vec<&str> = signed.signers(&snapshot.administrators, now).iter().map(|it| it.name.as_str()).collect();
    println!("{} speaks for {} until {}", claimed.operator.name(), claimed.domain, claimed.until);
    println!(
        "signed by: {}",
        if names.is_empty() { "no administrator of this gateway".to_owned() } else { names.join(", ") }
    );
    Ok(Exit::Done)
}

fn apply(args: &Args, file: &Path, now: Timestamp) -> Result<Exit, Exit> {
    let (loaded, snapshot) = load_or_report(&args.about.config)?;
    let signed = read(file)?;
    let grant = match signed.grant(snapshot.grant_rules(), now) {
        Ok(grant) if grant.entry.holds(now) => grant,
        Ok(grant) => {
            eprintln!("sceau: it ended {}", grant.entry.until);
            return Ok(Exit::No);
        }
        Err(error) => {
            eprintln!("sceau: {}: {error}", file.display());
            return Ok(Exit::No);
        }
    };
    let queue = Attached::open(&args.about.config)?;
    OrderBook::below(&loaded.data()).grant(&signed, &grant.entry, now).map_err(|error| refused(&error))?;
    let target = format!("{} for {} until {}", grant.entry.operator.name(), grant.entry.domain, grant.entry.until);
    queue.note_by(&grant.by.join(" + "), "trust.grant", &target, Some(&grant.entry.reason), now)?;
    if args.about.json {
        println!("{}", grant_json(&grant));
    } else {
        println!("{grant}");
    }
    Ok(Exit::Done)
}

fn remove(args: &Args, id: &str, reason: &str, now: Timestamp) -> Result<Exit, Exit> {
    let loaded = Loaded::read(&args.about.config).map_err(|problem| material::report(&problem))?;
    let queue = Attached::open(&args.about.config)?;
    let entry = OrderBook::below(&loaded.data()).take_back(id, now).map_err(|error| refused(&error))?;
    queue.note("trust.take_back", &format!("{} for {}", entry.operator.name(), entry.domain), Some(reason), now)?;
    println!("{}: {} is trusted no longer, unless the list names it", entry.id, entry.domain);
    Ok(Exit::Done)
}

fn grant_json(grant: &Grant) -> Value {
    let entry = &grant.entry;
    json!({
        "id": entry.id,
        "domain": entry.domain,
        "operator": entry.operator,
        "from": entry.from.rfc3339(),
        "until": entry.until.rfc3339(),
        "by": grant.by,
        "reason": entry.reason,
    })
}

fn read(file: &Path) -> Result<Signed, Exit> {
    let report = |problem: Problem| material::report(&problem);
    let text = read_bytes(file, MAX_GRANT).map_err(report)?;
    serde_json::from_slice(&text).map_err(|error| report(Problem::of(file, error.to_string())))
}

fn write(file: &Path, signed: &Signed) -> Result<(), Exit> {
    let text = serde_json::to_string_pretty(signed).unwrap_or_default();
    fs::write(file, text).map_err(|error| material::report(&Problem::of(file, error.to_string())))
}
