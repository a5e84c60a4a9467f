//! Orders about mailboxes carried out: judged, written, told to the trail, waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use annuaire::{
    DataFolder, FolderError, Generation,
    desk::{Carried, National, Objection, Order, Row, Rules},
};
use ident::{Clock as _, Domain, SystemClock, Timestamp};
use serde_json::{Value, json};
use store::{Changes, Store as _};
use trail::{Event, Record};

use super::{
    super::super::{
        Exit,
        attached::{Attached, who},
        material, say,
    },
    Args,
};
use crate::{
    account,
    config::{Loaded, Problem},
    mailboxes::{Changing, FileError, Note, RegistryFile, watch::InForce},
};

/// Records written in one transaction.
const AT_ONCE: usize = 500;
/// How often it is looked whether the gateway has taken the change up.
const LOOK: Duration = Duration::from_millis(100);

/// One row of a table, or what was typed.
pub(super) struct Wanted {
    /// Its line in the table.
    line: Option<usize>,
    orders: Result<Vec<Order>, Vec<Objection>>,
}

impl Wanted {
    /// An order that was typed.
    pub(super) fn typed(order: Order) -> Self {
        Self { line: None, orders: Ok(vec![order]) }
    }
}

impl From<Row> for Wanted {
    fn from(row: Row) -> Self {
        Self { line: Some(row.line), orders: row.orders }
    }
}

/// What came of all of them.
#[derive(Default)]
struct Report {
    done: Vec<Done>,
    unchanged: usize,
    refused: Vec<Refused>,
    /// Domain and digest of each registry that was written.
    written: Vec<(Domain, String)>,
}

struct Done {
    line: Option<usize>,
    address: String,
    verb: &'static str,
    words: String,
}

struct Refused {
    line: Option<usize>,
    address: Option<String>,
    objection: Objection,
}

/// The registries of our domains, each opened once.
struct Registries {
    by_domain: BTreeMap<Domain, PathBuf>,
    /// In the order of their names, so that two commands never wait for each other.
    open: BTreeMap<PathBuf, Changing>,
}

pub(super) fn run(args: &Args, wanted: Vec<Wanted>, skip_wrong: bool, as_json: bool) -> Exit {
    carry_out(args, wanted, skip_wrong, as_json).unwrap_or_else(|exit| exit)
}

fn carry_out(args: &Args, wanted: Vec<Wanted>, skip_wrong: bool, as_json: bool) -> Result<Exit, Exit> {
    let loaded = Loaded::read(&args.config).map_err(|problem| material::report(&problem))?;
    let generation = generation(&loaded)?;
    let now = Timestamp::from_seconds(SystemClock.now().seconds());
    let rules = Rules {
        domains: loaded.config.domains.iter().map(|own| own.name.clone()).collect(),
        reuse_after: loaded.config.annuaire.mailboxes.reuse_after.map(|span| span.0),
        accept_unknown: args.accept_unknown,
        now,
    };
    let national = National { generation: generation.as_ref(), others: None };
    let mut registries = Registries::open(&loaded, &wanted)?;
    let mut report = Report::default();
    let mut notes: BTreeMap<PathBuf, Vec<Note>> = BTreeMap::new();
    for row in wanted {
        take(row, &mut registries, national, &rules, args, &mut report, &mut notes);
    }
    let stopped = !report.refused.is_empty() && !skip_wrong;
    if !stopped {
        finish(args, &loaded, registries, notes, &mut report)?;
    }
    if as_json {
        say!("{}", report.json(args.dry_run, stopped));
    } else {
        report.print(args.dry_run, stopped);
    }
    let waited = report.written.iter().all(|(domain, digest)| waited_for(args, &loaded, domain, digest));
    Ok(match (report.refused.is_empty(), waited) {
        (false, _) => Exit::No,
        (true, false) => Exit::Undetermined,
        (true, true) => Exit::Done,
    })
}

/// The national data, if there are any: without them nothing is looked up, and that is said.
fn generation(loaded: &Loaded) -> Result<Option<Generation>, Exit> {
    let Some(data) = loaded.config.annuaire.data.as_ref().map(|data| loaded.path(data)) else {
        eprintln!("sceau: no national data are configured: people and structures are not looked up");
        return Ok(None);
    };
    match DataFolder::new(&data).current() {
        Ok(generation) => Ok(Some(generation)),
        Err(FolderError::Empty(_)) => {
            eprintln!("sceau: no national data are loaded yet: people and structures are not looked up");
            Ok(None)
        }
        Err(error) => Err(material::report(&Problem::of(data, error.to_string()))),
    }
}

impl Registries {
    fn open(loaded: &Loaded, wanted: &[Wanted]) -> Result<Self, Exit> {
        let by_domain: BTreeMap<Domain, PathBuf> =
            loaded.config.domains.iter().map(|own| (own.name.clone(), loaded.path(&own.registry))).collect();
        let orders = wanted.iter().filter_map(|row| row.orders.as_ref().ok()).flatten();
        let needed: BTreeSet<&PathBuf> = orders.filter_map(|order| by_domain.get(order.address().domain())).collect();
        let mut open = BTreeMap::new();
        for path in needed {
            let changing = RegistryFile::new(path.clone()).change().map_err(|error| failed(&error))?;
            open.insert(path.clone(), changing);
        }
        Ok(Self { by_domain, open })
    }
}

fn failed(error: &FileError) -> Exit {
    eprintln!("sceau: {error}");
    match error {
        FileError::Disk(..) => Exit::Undetermined,
        FileError::Draft(..) => Exit::Usage,
    }
}

/// Carries one row out on the draft of its registry.
fn take(
    row: Wanted,
    registries: &mut Registries,
    national: National<'_>,
    rules: &Rules,
    args: &Args,
    report: &mut Report,
    notes: &mut BTreeMap<PathBuf, Vec<Note>>,
) {
    let line = row.line;
    let orders = match row.orders {
        Ok(orders) => orders,
        Err(objections) => {
            let refused = |objection| Refused { line, address: None, objection };
            return report.refused.extend(objections.into_iter().map(refused));
        }
    };
    let Some(first) = orders.first() else {
        report.unchanged = report.unchanged.saturating_add(1);
        return;
    };
    let address = first.address().clone();
    let path = registries.by_domain.get(address.domain()).cloned();
    let changing = path.as_ref().and_then(|path| registries.open.get_mut(path));
    let (Some(path), Some(changing)) = (path, changing) else {
        let what = ident::Bilingual::new(
            format!("{} n'est pas un domaine de cet opérateur", address.domain()),
            format!("{} is no domain of this operator", address.domain()),
        );
        let objection = Objection { field: "address", what, unknown: false };
        return report.refused.push(Refused { line, address: Some(address.to_string()), objection });
    };
    match changing.draft.carry_out_all(&orders, national, rules) {
        Err(objection) => report.refused.push(Refused { line, address: Some(address.to_string()), objection }),
        Ok(outcomes) => {
            for (order, outcome) in orders.iter().zip(outcomes) {
                let Carried::Done(words) = outcome else {
                    report.unchanged = report.unchanged.saturating_add(1);
                    continue;
                };
                let reason = [Some(words.as_str()).filter(|words| !words.is_empty()), args.reason.as_deref()];
                let reason: Vec<&str> = reason.into_iter().flatten().collect();
                notes.entry(path.clone()).or_default().push(Note {
                    at: rules.now,
                    by: who(),
                    action: order.verb().to_owned(),
                    target: address.to_string(),
                    reason: (!reason.is_empty()).then(|| reason.join(" — ")),
                });
                report.done.push(Done { line, address: address.to_string(), verb: order.verb(), words });
            }
        }
    }
}

/// Writes the registries and tells the trail.
fn finish(
    args: &Args,
    loaded: &Loaded,
    registries: Registries,
    mut notes: BTreeMap<PathBuf, Vec<Note>>,
    report: &mut Report,
) -> Result<(), Exit> {
    for (path, mut changing) in registries.open {
        if args.dry_run {
            // What could not be written is told now.
            changing.draft.text().map_err(|error| failed(&FileError::Draft(path, error)))?;
            continue;
        }
        let news = notes.remove(&path).unwrap_or_default();
        let changed = !news.is_empty();
        let registry = changing.write(news).map_err(|error| failed(&error))?;
        if changed {
            let domains = registries.by_domain.iter().filter(|(_, known)| **known == path);
            report.written.extend(domains.map(|(domain, _)| (domain.clone(), registry.digest().to_owned())));
        }
        if !changing.untold().is_empty() && tell(args, loaded, changing.untold()) {
            changing.told().map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// Tells the trail. What it does not take now stays beside the registry, and the next command tells it.
fn tell(args: &Args, loaded: &Loaded, notes: &[Note]) -> bool {
    let data = loaded.data();
    if !data.join("queue").exists() {
        eprintln!("sceau: no trail has begun yet: the next order after the gateway's first start tells it");
        return false;
    }
    let write = || -> Result<(), Exit> {
        let queue = Attached::open(&args.config)?;
        for notes in notes.chunks(AT_ONCE) {
            let records = notes.iter().map(|note| {
                let event = Event::OperatorAction {
                    operator: queue.masker.text(&note.by),
                    action: note.action.clone(),
                    target: queue.masker.text(&note.target),
                    reason: note.reason.as_ref().map(|reason| queue.masker.text(reason)),
                };
                Record::new(note.at, event)
            });
            queue.wait(queue.store.commit(Changes::records(records.collect())))?;
        }
        Ok(())
    };
    let told = account::as_owner_of(&data, write).is_ok_and(|outcome| outcome.is_ok());
    if !told {
        eprintln!("sceau: the change holds, and the trail does not know it yet: the next order tells it");
    }
    told
}

/// Whether a running gateway answers by the change, as far as somebody wants to wait for it.
fn waited_for(args: &Args, loaded: &Loaded, domain: &Domain, digest: &str) -> bool {
    let Some(longest) = args.wait else { return true };
    let begun = Instant::now();
    while !InForce::is(&loaded.data(), domain, digest) {
        if begun.elapsed() >= longest.0 {
            eprintln!("sceau: {domain}: no gateway has taken the change up yet: is it running? see its log");
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

impl Report {
    fn json(&self, dry_run: bool, stopped: bool) -> Value {
        let done = self.done.iter().map(
            |done| json!({ "line": done.line, "address": done.address, "action": done.verb, "change": done.words }),
        );
        let refused = self.refused.iter().map(|refused| {
            json!({
                "line": refused.line,
                "column": refused.objection.field,
                "address": refused.address,
                "fr": refused.objection.what.fr,
                "en": refused.objection.what.en,
                "unknown_to_the_nation": refused.objection.unknown,
            })
        });
        let written = self.written.iter().map(|(domain, digest)| json!({ "domain": domain, "digest": digest }));
        json!({
            "dry_run": dry_run,
            "carried_out": !stopped && !dry_run,
            "done": done.collect::<Vec<_>>(),
            "unchanged": self.unchanged,
            "refused": refused.collect::<Vec<_>>(),
            "registries": written.collect::<Vec<_>>(),
        })
    }

    fn print(&self, dry_run: bool, stopped: bool) {
        if !stopped {
            let would = if dry_run { "would: " } else { "" };
            for done in &self.done {
                let words = if done.words.is_empty() { String::new() } else { format!(" ({})", done.words) };
                say!("{}{}: {would}{}{words}", at(done.line), done.address, done.verb);
            }
        }
        for refused in &self.refused {
            let Objection { field, what, unknown } = &refused.objection;
            let column = if field.is_empty() { String::new() } else { format!("{field}: ") };
            let address = refused.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
            let hint = if *unknown { " (--accept-unknown)" } else { "" };
            eprintln!("sceau: {}{address}{column}{} / {}{hint}", at(refused.line), what.fr, what.en);
        }
        if stopped {
            eprintln!(
                "sceau: rien n'a été changé : {} ligne(s) à corriger / nothing was changed: {} row(s) to mend",
                self.refused.len(),
                self.refused.len()
            );
        } else if self.unchanged > 0 {
            eprintln!("sceau: {} déjà ainsi / so already", self.unchanged);
        }
    }
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}
