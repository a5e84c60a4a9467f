//! `sceau doctor`: the surroundings of a gateway, each point with what to do about it.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ident::{Clock, SystemClock, Timestamp};
use pki::certificate::Certificate;
use serde_json::json;
use store::{Filter, Page, Standing, Store as _};
use trail::log::{TrailError, verify};

use super::{Exit, attached::Attached, check, storage_key, trusted};
use crate::{
    audit,
    config::{KeyPlace, Loaded},
    directory,
    partners::{LedgerFile, watch},
    refresh,
    snapshot::{self, Snapshot},
    trust::alarms,
};

/// Below this share of free space new messages are refused.
const RESERVE_PERCENT: u64 = 5;
/// Days before the end of a certificate at which it is worth a word.
const RENEW_DAYS: u64 = 60;
/// Messages looked at together.
const PAGE: usize = 200;
/// Largest body read for its hash.
const MAX_BODY: usize = 512 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How a point stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Good,
    Attention,
    Bad,
}

/// One point.
struct Point {
    level: Level,
    what: &'static str,
    says: String,
}

struct Examination {
    points: Vec<Point>,
}

impl Examination {
    fn say(&mut self, level: Level, what: &'static str, says: impl Into<String>) {
        self.points.push(Point { level, what, says: says.into() });
    }
}

pub(super) fn run(args: Args) -> Exit {
    let mut seen = Examination { points: Vec::new() };
    library(&mut seen);
    match check::load(&args.config) {
        Ok((loaded, snapshot)) => {
            let now = SystemClock.now();
            files(&mut seen, &loaded);
            disk(&mut seen, &loaded.data());
            certificates(&mut seen, &snapshot, now);
            tokens(&mut seen, &snapshot);
            sources(&mut seen, &snapshot, now);
            fetched(&mut seen, &loaded, &snapshot, now);
            partners(&mut seen, &loaded, &snapshot, now);
            queue(&mut seen, &args.config);
            trail_of(&mut seen, &args.config, &loaded);
        }
        Err(problems) => problems.iter().for_each(|problem| seen.say(Level::Bad, "configuration", problem.to_string())),
    }
    report(&seen, args.json)
}

fn report(seen: &Examination, as_json: bool) -> Exit {
    let word = |level| match level {
        Level::Good => "good",
        Level::Attention => "attention",
        Level::Bad => "bad",
    };
    let worst = seen.points.iter().map(|point| point.level).max().unwrap_or(Level::Good);
    if as_json {
        let points: Vec<_> =
            seen.points.iter().map(|p| json!({ "level": word(p.level), "what": p.what, "says": p.says })).collect();
        println!("{}", json!({ "ok": worst != Level::Bad, "points": points }));
    } else {
        for point in &seen.points {
            println!("{:<9} {:<14} {}", word(point.level), point.what, point.says);
        }
    }
    if worst == Level::Bad { Exit::No } else { Exit::Done }
}

fn library(seen: &mut Examination) {
    match pki::self_test::self_test() {
        Ok(test) => {
            seen.say(
                Level::Good,
                "cryptography",
                format!("{}, {} known answers right", test.openssl, test.known_answers),
            );
            test.warnings.iter().for_each(|warning| seen.say(Level::Attention, "cryptography", warning.to_string()));
        }
        Err(error) => seen.say(Level::Bad, "cryptography", error.to_string()),
    }
}

fn files(seen: &mut Examination, loaded: &Loaded) {
    let server = &loaded.config.server;
    let keys = loaded.config.domains.iter().flat_map(|own| own.signing.0.iter().chain(&own.decryption));
    let keys = keys.filter_map(|files| match (&files.key, &files.pkcs12) {
        (Some(KeyPlace::File(file)), _) | (_, Some(file)) => Some(file),
        _ => None,
    });
    let secrets = [&server.key, &server.storage_key].into_iter().chain(keys);
    let mut open = Vec::new();
    for path in secrets.map(|path| loaded.path(path)) {
        let mode = fs::metadata(&path).map(|found| found.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o007 != 0) {
            open.push(path.display().to_string());
        }
    }
    if open.is_empty() {
        seen.say(Level::Good, "secret files", "none can be read by everybody");
    } else {
        seen.say(
            Level::Bad,
            "secret files",
            format!("everybody on this machine can read {}: chmod 600", open.join(", ")),
        );
    }
}

fn disk(seen: &mut Examination, data: &Path) {
    let trial = data.join("doctor-trial");
    let write = || {
        let mut file = File::create(&trial)?;
        file.write_all(b"trial")?;
        file.sync_all()?;
        fs::remove_file(&trial)
    };
    match write() {
        Ok(()) => seen.say(Level::Good, "data folder", format!("{} can be written and synced", data.display())),
        Err(error) => seen.say(Level::Bad, "data folder", format!("{}: {error}", data.display())),
    }
    match rustix::fs::statvfs(data) {
        Ok(found) => {
            let percent = found.f_bavail.saturating_mul(100).checked_div(found.f_blocks).unwrap_or(0);
            let level = if percent < RESERVE_PERCENT { Level::Bad } else { Level::Good };
            seen.say(
                level,
                "disk space",
                format!("{percent} % free; below {RESERVE_PERCENT} % new messages are deferred"),
            );
        }
        Err(error) => seen.say(Level::Attention, "disk space", format!("cannot be told: {error}")),
    }
}

fn certificates(seen: &mut Examination, snapshot: &Snapshot, now: Timestamp) {
    let mut all: Vec<(String, &Certificate)> = vec![("TLS".to_owned(), snapshot.tls.certificate())];
    for own in snapshot.domains.values() {
        all.extend(own.keys.signing.certificates().map(|found| (format!("{} signing", own.name), found)));
        all.extend(own.reading_certificate_at(now).map(|found| (format!("{} decryption", own.name), found)));
    }
    for (name, certificate) in all {
        let days = certificate.not_after().since(now).as_secs().div_euclid(86_400);
        let level = match days {
            0 => Level::Bad,
            1..=RENEW_DAYS => Level::Attention,
            _ => Level::Good,
        };
        seen.say(level, "certificate", format!("{name}: ends {} ({days} days)", certificate.not_after()));
    }
    for own in snapshot.domains.values() {
        if snapshot.trust_list.speaks_for(snapshot.tls.certificate(), &own.name) {
            seen.say(Level::Good, "trust list", format!("names our TLS certificate for {}", own.name));
        } else {
            let says =
                format!("does not name our TLS certificate for {}: other operators will refuse our mail", own.name);
            seen.say(Level::Attention, "trust list", says);
        }
    }
}

/// Tokens and the keys on them, asked now.
fn tokens(seen: &mut Examination, snapshot: &Snapshot) {
    for (label, fault) in crate::cli::check::tokens(snapshot) {
        match fault {
            None => seen.say(Level::Good, "token", format!("{label}: there, logged in")),
            Some(fault) => seen.say(Level::Bad, "token", format!("{label}: {fault}")),
        }
    }
    for (place, answer) in snapshot.keys.ask_tokens() {
        match answer {
            Ok(()) => seen.say(Level::Good, "key", format!("{place}: belongs to its certificate, and works")),
            Err(error) => seen.say(Level::Bad, "key", format!("{place}: {error}")),
        }
    }
    for concern in &snapshot.keys.concerns {
        seen.say(Level::Attention, "certificate", concern.to_string());
    }
}

fn sources(seen: &mut Examination, snapshot: &Snapshot, now: Timestamp) {
    let list = &snapshot.trust_list;
    let old = now.since(list.generated()) > snapshot.config.trust.alarm_after.0;
    let says = format!("{} domains, generated {}", list.domains().count(), list.generated());
    seen.say(if old { Level::Attention } else { Level::Good }, "trust list", says);
    for (code, what) in alarms(snapshot, now).into_iter().filter(|(code, _)| *code != "trust-list-age") {
        seen.say(Level::Attention, "trust", format!("[{code}] {what}"));
    }
    for line in trusted::lines(snapshot, now).iter().filter(|line| line.starts_with("blocked")) {
        seen.say(Level::Attention, "blocks", line.trim_start_matches("blocked").trim());
    }
    for problem in snapshot.troubles.directory.iter().map(|it| &it.problem).chain(&snapshot.troubles.published) {
        seen.say(Level::Bad, "directory", problem.to_string());
    }
    match &snapshot.generation {
        None if snapshot.config.annuaire.data.is_some() => {
            seen.say(Level::Attention, "directory", "none in service: holders of certificates are not looked up")
        }
        None => seen.say(Level::Attention, "directory", "none configured: holders of certificates are not looked up"),
        Some(generation) => {
            let old = generation.is_stale(now);
            let mut says = format!("generation {}, data as of {}", generation.id(), generation.data_as_of());
            if old {
                says.push_str(&format!("; {}", directory::oldest(generation)));
            }
            seen.say(if old { Level::Attention } else { Level::Good }, "directory", says);
        }
    }
}

/// What is fetched in the background: last success, next try, age, error of each source.
fn fetched(seen: &mut Examination, loaded: &Loaded, snapshot: &Snapshot, now: Timestamp) {
    if !loaded.config.refresh.is_on() {
        seen.say(Level::Good, "refresh", "nothing is fetched: the files of [trust] are read again");
    }
    match refresh::report(loaded, snapshot, now) {
        Ok(sources) => {
            for source in sources {
                let level = if source.is_well() { Level::Good } else { Level::Attention };
                seen.say(level, "refresh", source.to_string());
            }
        }
        Err(error) => seen.say(Level::Attention, "refresh", format!("what was fetched cannot be told: {error}")),
    }
    for trouble in refresh::out_of_date(snapshot, now) {
        seen.say(Level::Bad, "revocation", trouble);
    }
}

/// Partners' files and certificates: where we look, what waits, what is missing.
fn partners(seen: &mut Examination, loaded: &Loaded, snapshot: &Snapshot, now: Timestamp) {
    let ledger = match LedgerFile::below(&loaded.data()).read() {
        Ok(ledger) => ledger,
        Err(error) => return seen.say(Level::Bad, "partners", error.to_string()),
    };
    let every = snapshot.config.partner_files.refresh.0;
    for (operator, location) in ledger.sources() {
        let Some(file) = ledger.files().get(operator) else {
            seen.say(Level::Attention, "partners", format!("{operator}: nothing good was ever found at {location}"));
            continue;
        };
        let late = now.since(file.expires) > Duration::ZERO;
        let soon = file.expires.since(now) <= every.saturating_mul(2);
        let says = format!("{operator}: serial {}, expires {}, from {location}", file.held.serial, file.expires);
        seen.say(if late || soon { Level::Attention } else { Level::Good }, "partners", says);
    }
    let pending = watch::pending(snapshot);
    if !pending.is_empty() {
        let says = format!("{} certificates wait for approval: sceau partner list --pending", pending.len());
        seen.say(Level::Attention, "partners", says);
    }
    let missing = watch::missing(snapshot, now);
    if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().collect();
        seen.say(Level::Bad, "partners", format!("mail is deferred, no certificate in force: {}", names.join(", ")));
    }
}

/// Reads every waiting body to its end: the reader proves the hash (CR9).
fn queue(seen: &mut Examination, config: &Path) {
    let Ok(queue) = Attached::open(config) else {
        seen.say(Level::Bad, "queue", "cannot be opened: see above");
        return;
    };
    match queue.wait(queue.store.examine()) {
        Ok(found) => {
            found.problems.iter().for_each(|problem| seen.say(Level::Bad, "queue", problem.as_str()));
            if found.unnamed > 0 {
                let says = format!(
                    "{} body file(s) that no message names: under way at this moment, or swept at the next start",
                    found.unnamed
                );
                seen.say(Level::Good, "queue", says);
            }
        }
        Err(_) => seen.say(Level::Bad, "queue", "cannot be looked through: see above"),
    }
    storage_keys(seen, config, &queue);
    let (mut messages, mut bodies, mut damaged) = (0u64, 0u64, 0u64);
    for standing in [Standing::Active, Standing::Held] {
        let mut after = None;
        loop {
            let filter = Filter { standing: Some(standing), ..Filter::default() };
            let Ok(page) = queue.wait(queue.store.list(filter, Page { after, limit: PAGE })) else {
                seen.say(Level::Bad, "queue", "cannot be listed: see above");
                return;
            };
            let Some(last) = page.last() else { break };
            after = Some(last.info.id);
            for message in &page {
                messages = messages.saturating_add(1);
                for body in message.bodies.iter().filter_map(|body| body.body.as_ref()) {
                    let whole = queue.wait(queue.store.body(body)).is_ok_and(|reader| reader.bytes(MAX_BODY).is_ok());
                    if !whole {
                        damaged = damaged.saturating_add(1);
                        seen.say(
                            Level::Bad,
                            "queue",
                            format!("a body of message {} is damaged or missing", message.info.id),
                        );
                    }
                    bodies = bodies.saturating_add(1);
                }
            }
        }
    }
    let level = if damaged == 0 { Level::Good } else { Level::Bad };
    let says =
        format!("{messages} messages wait, {bodies} bodies read to their end, {damaged} of them damaged or missing");
    seen.say(level, "queue", says);
}

/// Whether everything that waits can be opened with the keys of the file.
fn storage_keys(seen: &mut Examination, config: &Path, queue: &Attached) {
    let vault = Loaded::read(config).and_then(|loaded| snapshot::vault(&loaded));
    let (Ok(vault), Ok(found)) = (vault, queue.wait(queue.store.wrapped())) else {
        return seen.say(Level::Bad, "storage keys", "which are needed cannot be told");
    };
    let strangers = storage_key::strangers(&vault, &found);
    if strangers.is_empty() {
        seen.say(Level::Good, "storage keys", "every key that waiting bodies need is in the file");
    }
    for id in strangers {
        let bodies = found.bodies.get(&id.octets()).copied().unwrap_or(0);
        let says = format!(
            "{id} is not in the file: {bodies} waiting bodies need it, and so does what the gateway accepts if it wraps under it; bring the line back"
        );
        seen.say(Level::Bad, "storage keys", says);
    }
}

fn trail_of(seen: &mut Examination, config: &Path, loaded: &Loaded) {
    let Ok(queue) = Attached::open(config) else {
        seen.say(Level::Bad, "trail", "not looked at, because the queue cannot be opened: use `sceau trail verify`");
        return;
    };
    let Ok(verifier) = queue.secrets.verifier() else {
        seen.say(Level::Bad, "trail", "its key cannot be used");
        return;
    };
    let wrapping = Some(queue.secrets.wrapping());
    let folder = audit::folder(&loaded.data());
    let released = queue.wait(queue.store.released()).unwrap_or(0);
    match verify(&folder, &verifier, wrapping, &[]) {
        Ok(report) if report.ok => {
            seen.say(Level::Good, "trail", format!("{} entries, nothing was altered", report.size))
        }
        Err(TrailError::Nothing(_)) if released == 0 => seen.say(Level::Good, "trail", "not begun yet"),
        Err(TrailError::Nothing(_)) => seen.say(Level::Bad, "trail", super::trail::gone(released)),
        Ok(report) => {
            let first = report.findings.first().map(|finding| format!("{}: {}", finding.place, finding.what));
            seen.say(Level::Bad, "trail", format!("altered: {}", first.unwrap_or_default()));
        }
        Err(error) => seen.say(Level::Attention, "trail", format!("cannot be verified now: {error}")),
    }
}
