//! `sceau trail export` and the verification of what it makes: evidence that stands alone.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use ident::{Bilingual, Timestamp};
use serde_json::json;
use trail::{
    Timeline,
    log::{About, Bundle, BundleReport, KnownOutcome, MAX_BUNDLE, NoteVerifier, TrailError, Wanted},
};

use super::{
    Exit, say, told,
    trail::{Opened, known_checkpoint, time, unavailable, usage},
};

/// Orders an export.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Queue id or Message-ID of the message to prove
    #[arg(long, required_unless_present = "since", conflicts_with = "since")]
    message: Option<String>,
    /// Or everything from this time on …
    #[arg(long, value_parser = time, requires = "until")]
    since: Option<Timestamp>,
    /// … to this one
    #[arg(long, value_parser = time)]
    until: Option<Timestamp>,
    /// A checkpoint that the reader of the evidence keeps: the bundle then continues it
    #[arg(long = "known-checkpoint")]
    known: Vec<PathBuf>,
    /// Why: kept in the trail
    #[arg(long)]
    reason: Option<String>,
    /// Write here instead of to standard output; an existing file is not touched
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Writes the bundle.
pub(super) fn export(order: &Export) -> Result<Exit, Exit> {
    let opened = Opened::at(&order.config)?;
    let reader = opened.reader()?;
    let known = order.known.iter().map(|path| known_checkpoint(path)).collect::<Result<Vec<_>, _>>()?;
    let (wanted, query) = match (&order.message, order.since, order.until) {
        (Some(name), ..) => {
            let ids = super::attached::Attached::open(&order.config)?.resolve(name)?;
            let [id] = ids.as_slice() else {
                eprintln!("sceau: {} messages are called {name}: give a queue id", ids.len());
                ids.iter().for_each(|id| eprintln!("  {id}"));
                return Ok(Exit::No);
            };
            (Wanted::Message(*id), format!("export id:{id}"))
        }
        (None, Some(since), Some(until)) => (Wanted::Period { since, until }, format!("export {since} {until}")),
        _ => return Err(usage(&"name a message, or a period with --since and --until")),
    };
    let bundle = match reader.export(wanted, &known) {
        Ok(Some(bundle)) => bundle,
        Ok(None) => {
            eprintln!("sceau: the log holds no such entry (what just happened is there within a second)");
            return Ok(Exit::No);
        }
        Err(error @ (TrailError::Damaged { .. } | TrailError::TooMuch { .. } | TrailError::Checkpoint { .. })) => {
            eprintln!("sceau: {error}");
            return Ok(Exit::No);
        }
        Err(error) => return Err(unavailable(&error)),
    };
    let text = bundle.to_text().map_err(|error| unavailable(&error))?;
    match &order.output {
        Some(path) => write(path, &text)?,
        None => print!("{text}"),
    }
    opened.told(&query, order.reason.as_deref(), bundle.len());
    eprintln!("{} entries; verify with: sceau trail verify BUNDLE --key KEY (key: sceau trail key)", bundle.len());
    Ok(Exit::Done)
}

/// It names people: for its owner only.
fn write(path: &Path, text: &str) -> Result<(), Exit> {
    use std::os::unix::fs::OpenOptionsExt;
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = created.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| usage(&format!("{}: {error}", path.display())))
}

/// Verifies a bundle off line.
pub(super) fn verify(path: &Path, key: Option<&NoteVerifier>, known: &[PathBuf], as_json: bool) -> Result<Exit, Exit> {
    let known = known.iter().map(|path| known_checkpoint(path)).collect::<Result<Vec<_>, _>>()?;
    let length = fs::metadata(path).map_err(|error| usage(&format!("{}: {error}", path.display())))?.len();
    if length > MAX_BUNDLE {
        return Err(usage(&format!("{}: larger than any bundle", path.display())));
    }
    let octets = fs::read(path).map_err(|error| usage(&format!("{}: {error}", path.display())))?;
    let parsed = String::from_utf8(octets).map_err(|_| "it is no text".to_owned());
    let parsed = parsed.and_then(|text| Bundle::parse(&text).map_err(|error| error.to_string()));
    let bundle = match parsed {
        Ok(bundle) => bundle,
        Err(error) => {
            if as_json {
                say!("{}", json!({ "ok": false, "findings": [{ "place": "bundle", "what": error }] }));
            } else {
                say!("ALTERED  {}: {error}", path.display());
            }
            return Ok(Exit::No);
        }
    };
    let report = bundle.verify(key, &known);
    if as_json {
        say!("{}", as_value(&report));
    } else {
        print_report(&report);
    }
    let open = report.known.iter().any(|(_, outcome)| *outcome == KnownOutcome::NotComparable);
    Ok(match (report.ok, open) {
        (true, false) => Exit::Done,
        (true, true) => Exit::Undetermined,
        (false, _) => Exit::No,
    })
}

fn as_value(report: &BundleReport) -> serde_json::Value {
    let mut value = json!(report);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("proves".to_owned(), json!(report.proves()));
        fields.insert("does_not_prove".to_owned(), json!(report.does_not_prove()));
    }
    value
}

fn print_report(report: &BundleReport) {
    match report.about {
        About::Message(id) => say!("message {id}, log {}", report.origin),
        About::Entries { from, to } => say!("entries {from} to {}, log {}", to.saturating_sub(1), report.origin),
    }
    for entry in &report.entries {
        let Some(records) = &entry.records else {
            say!(
                "{:>8}  contenu retenu ou effacé, rien ne prouve lequel des deux ; engagement prouvé / withheld or erased, not proven which; commitment proven",
                entry.entry
            );
            continue;
        };
        for line in Timeline::of(records).lines {
            let recipient = line.recipient.map(|recipient| format!("{recipient}: ")).unwrap_or_default();
            say!("{:>8}  {}  {recipient}{}", entry.entry, line.at, line.text.fr);
        }
    }
    report.findings.iter().for_each(|finding| say!("ALTERED  {}: {}", finding.place, finding.what));
    let said = |heading: &str, sentences: &[Bilingual]| {
        if !sentences.is_empty() {
            say!("{heading}");
            sentences.iter().for_each(|said| say!("  - {}\n    {}", said.fr, said.en));
        }
    };
    if report.ok {
        said("Ce dossier prouve / this bundle proves:", &report.proves());
    } else {
        say!("Ce dossier a été modifié et ne prouve rien / this bundle was altered and proves nothing");
    }
    said("Il ne prouve pas / it does not prove:", &report.does_not_prove());
    for (place, outcome) in &report.known {
        if *outcome == KnownOutcome::NotComparable {
            say!(
                "{place}: hors de portée de ce dossier / out of this bundle's reach: export again with --known-checkpoint"
            );
        }
    }
}

impl Opened {
    /// Tells that the trail was read.
    pub(super) fn told(&self, query: &str, reason: Option<&str>, results: usize) {
        told::read(&self.data, &self.masker, query, reason, results);
    }
}
