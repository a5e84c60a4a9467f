//! Loading: from a folder of extracts to the generation in service, or a clear reason why not.

use std::{io, path::Path};

use ident::Timestamp;
use thiserror::Error;

use crate::{
    Accept, DataFolder, Diff, FileKind, FolderError, Generation, Holding, Source, TooMuchText, accept, diff,
    extract::{self, Bounds, Candidate, Found, Octets},
    generation::{Builder, oppose, oppositions, remember_gone},
    progress::{Progress, Step, Watch},
    report::{FileReport, Ignored, LoadReport, Problems},
};

/// Of a thousand rows, how many may be unreadable without confirmation…
pub const REFUSED_LIMIT_PER_THOUSAND: u64 = 1;
/// …and up to how many rows the share does not matter: a small file may have a few slips.
pub const REFUSED_LIMIT_FLOOR: u64 = 100;

/// Why a load could not even judge the files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The folder of the extracts, or a file in it, cannot be read.
    #[error("{name}: {error}")]
    Read {
        /// Which one.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The data folder does not work.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It was told to stop.
    #[error("the load was stopped")]
    Stopped,
    /// Beyond what a generation holds.
    #[error(transparent)]
    TooMuchText(#[from] TooMuchText),
}

/// Most text that is read in one load, all files together: the published ones have 1.2 thousand million octets, and a
/// load takes about [`MEMORY_PER_OCTET`] times that in memory (design §6).
pub const MAX_TEXT: u64 = 3 * 1024 * 1024 * 1024;
/// Memory that a load takes for each octet of text, rounded up.
pub const MEMORY_PER_OCTET: u64 = 2;

/// How a load is done.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// For which files a held load is confirmed.
    pub accept: Accept<'a>,
    /// The present, if it is known: files of later than that are refused.
    pub now: Option<Timestamp>,
    /// Most octets of text that may be read.
    pub most: u64,
    /// Whether to leave off: asked often while files are read.
    pub stop: &'a dyn Fn() -> bool,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self { accept: Accept::Nothing, now: None, most: MAX_TEXT, stop: &|| false }
    }
}

/// Reads the extracts in `from` and puts them in service in the data folder `into`.
///
/// The generation in service stays as it is when a file is refused (a needed column is missing) and when the
/// load is held: more than 5 % of a file's records deleted or changed, at once or in the last days together, a file
/// that grew by more than a fifth, or too many unreadable rows. `accept` confirms a held load, whatever holds it
/// ([`load_with`]: for some files only); it does not help against a refused one.
///
/// # Errors
/// [`LoadError`] when the files or the folder cannot be read or written at all. A refused or held load is no
/// error: see [`LoadReport::in_service`].
pub fn load(from: &Path, into: &Path, accept: bool) -> Result<LoadReport, LoadError> {
    load_watched(from, into, accept, &mut |_| ())
}

/// As [`load`], telling `watch` how far it is.
///
/// # Errors
/// As [`load`].
pub fn load_watched(
    from: &Path,
    into: &Path,
    accept: bool,
    watch: &mut dyn FnMut(&Progress<'_>),
) -> Result<LoadReport, LoadError> {
    let accept = if accept { Accept::Everything } else { Accept::Nothing };
    load_with(from, into, &LoadOptions { accept, ..LoadOptions::default() }, watch)
}

/// As [`load`], with everything that may be said about it.
///
/// # Errors
/// As [`load`]; [`LoadError::Stopped`].
pub fn load_with(
    from: &Path,
    into: &Path,
    options: &LoadOptions<'_>,
    watch: &mut dyn FnMut(&Progress<'_>),
) -> Result<LoadReport, LoadError> {
    let folder = DataFolder::new(into);
    let _lock = folder.lock()?;
    let (mut report, generation) = build_watched(from, options, watch)?;
    report.previous = folder.current_id()?;
    let Some(mut generation) = generation else {
        report.generation.clone_from(&report.previous);
        return Ok(report);
    };
    report.totals = Some(generation.totals());
    report.data_as_of = Some(generation.data_as_of());
    let mut holding = unreadable(&report);
    if report.previous.is_some() {
        watch(&Progress { step: Step::Comparing, done: 0, of: 0 });
        let (previous, passed) = folder.to_compare()?;
        report.unreadable = passed.iter().map(ToString::to_string).collect();
        if let Some(previous) = previous {
            let changes = diff(&previous, &generation);
            holding.extend(shrinkage(&changes));
            // The same rows in a newer file are newer data: what was thought to be stale is not.
            let same_age = previous.oldest_as_of() == generation.oldest_as_of();
            report.unchanged = passed.is_empty() && previous.id() == generation.id() && same_age;
            remember_gone(&mut generation, &previous);
            report.changes = Some(changes);
        }
    }
    if !report.unchanged {
        // What no stored generation shows any more is still counted.
        holding.extend(folder.history().reasons(&generation));
    }
    options.accept.mark(&mut holding);
    let (held, found) = (accept::held(&holding), accept::found(&holding));
    let accepted = accept::kinds_of(holding.iter());
    report.holding = holding;
    if held.is_some() {
        report.reason = held;
        return hold(report, &folder, generation);
    }
    report.reason = Some(found).filter(|found| !found.is_empty());
    if (options.stop)() {
        return Err(LoadError::Stopped);
    }
    if report.unchanged {
        // The comparison does not look at all that is stored: what is damaged elsewhere is mended.
        folder.renew(&generation)?;
    } else {
        watch(&Progress { step: Step::Storing, done: 0, of: 0 });
        folder.install(&generation)?;
        let noted = folder.history().note(&generation, &accepted);
        noted.map_err(|error| FolderError::Io { path: into.to_owned(), error })?;
    }
    report.generation = Some(generation.id().to_owned());
    Ok(report)
}

/// Reads the extracts in a folder into a generation, without any data folder. No generation: see the report's
/// reason.
///
/// # Errors
/// [`LoadError::Read`] and [`LoadError::TooMuchText`].
pub fn build(from: &Path) -> Result<(LoadReport, Option<Generation>), LoadError> {
    build_watched(from, &LoadOptions::default(), &mut |_| ())
}

/// Of how many cards oppositions are believed without a person's word: this many, or this share of the cards known.
const OPPOSED_AT_ONCE: u64 = 100;
const OPPOSED_PER_THOUSAND: u64 = 10;

/// What is held stays out of service, but for the oppositions of cards: a stolen card does not wait for somebody who
/// looks at the rest.
fn hold(mut report: LoadReport, folder: &DataFolder, held: Generation) -> Result<LoadReport, LoadError> {
    report.held = true;
    report.generation.clone_from(&report.previous);
    let opposed = oppositions(&held);
    // Two whole ones and what is asked of them do not fit in the memory that a load may take.
    drop(held);
    let Ok(mut generation) = folder.current() else { return Ok(report) };
    let (news, unknown) = oppose(&mut generation, &opposed);
    let most = u64::from(generation.totals().cards).saturating_mul(OPPOSED_PER_THOUSAND).div_euclid(1000);
    report.oppositions_unknown = unknown;
    if news > most.max(OPPOSED_AT_ONCE) {
        let why = report.reason.take().unwrap_or_default();
        report.reason = Some(format!("{news} cards more would be opposed, which is not believed, either. {why}"));
    } else if news > 0 {
        folder.install(&generation)?;
        report.oppositions = news;
        report.generation = Some(generation.id().to_owned());
    }
    Ok(report)
}

fn build_watched(
    from: &Path,
    options: &LoadOptions<'_>,
    watch: &mut Watch<'_>,
) -> Result<(LoadReport, Option<Generation>), LoadError> {
    let stopped = options.stop;
    let read_error = |name: &str, error| match stopped() {
        true => LoadError::Stopped,
        false => LoadError::Read { name: name.to_owned(), error },
    };
    let Found { chosen, ignored, broken } =
        extract::find(from, options.now).map_err(|error| read_error(&from.to_string_lossy(), error))?;
    let mut report = LoadReport {
        ignored: ignored.into_iter().map(|(name, why)| Ignored { name, why }).collect(),
        ..LoadReport::default()
    };
    for (name, why) in broken {
        refuse(&mut report, format!("{name} {why}"));
    }
    if !chosen.iter().any(|candidate| candidate.kind == FileKind::Activities) {
        let needed = FileKind::Activities.file_name();
        refuse(&mut report, format!("{} has no person-activity file ({needed})", from.display()));
    }
    if report.refused {
        return Ok((report, None));
    }
    let mut builder = Builder::new();
    let mut problems = Problems::default();
    let mut sources = Vec::new();
    let mut octets =
        Octets { done: 0, of: chosen.iter().fold(0, |sum, candidate| candidate.octets.saturating_add(sum)) };
    let mut bounds = Bounds { left: options.most, stop: options.stop };
    for candidate in &chosen {
        let outcome = extract::read(candidate, &mut builder, &mut problems, &mut octets, &mut bounds, watch)
            .map_err(|error| read_error(&candidate.name, error))?;
        let name = candidate.name.clone();
        if outcome.unusable {
            refuse(&mut report, format!("{name} cannot be used: see the problems of its line 1"));
        }
        let extract::Outcome { rows, kept, merged, refused, sha256, .. } = outcome;
        report.files.push(FileReport { name: name.clone(), kind: candidate.kind, rows, kept, merged, refused });
        let as_of = Some(candidate.dated.unwrap_or(candidate.modified));
        sources.push(Source { name, sha256, kept, kind: Some(candidate.kind), as_of });
    }
    report.problems = problems.listed;
    report.problems_omitted = problems.omitted;
    if report.refused {
        return Ok((report, None));
    }
    let generation = builder.finish(date_of(&chosen), sources, watch)?;
    report.generation = Some(generation.id().to_owned());
    report.data_as_of = Some(generation.data_as_of());
    report.totals = Some(generation.totals());
    Ok((report, Some(generation)))
}

/// The newest date in a file name, else the newest of the files' own.
fn date_of(chosen: &[Candidate]) -> Timestamp {
    let named = chosen.iter().filter_map(|candidate| candidate.dated).max();
    named.or_else(|| chosen.iter().map(|candidate| candidate.modified).max()).unwrap_or(Timestamp::EPOCH)
}

fn refuse(report: &mut LoadReport, why: String) {
    report.refused = true;
    report.reason = Some(match report.reason.take() {
        Some(before) => format!("{before}; {why}"),
        None => why,
    });
}

/// A file in which a whole share of the rows is wrong is a wrong file (annuaire reference §9).
fn unreadable(report: &LoadReport) -> Vec<Holding> {
    let too_many = |file: &&FileReport| {
        file.refused > REFUSED_LIMIT_FLOOR
            && file.refused.saturating_mul(1000) > file.rows.saturating_mul(REFUSED_LIMIT_PER_THOUSAND)
    };
    let say = |file: &FileReport| {
        Holding::new(file.kind, format!("{}: {} of {} rows cannot be read", file.name, file.refused, file.rows))
    };
    report.files.iter().filter(too_many).map(say).collect()
}

fn shrinkage(changes: &Diff) -> Vec<Holding> {
    let say = |file: &crate::FileDiff| {
        let why = format!(
            "{}: {} of {} records would be deleted and {} changed, more than {} % in all",
            file.file,
            file.deleted,
            file.before,
            file.changed,
            crate::SHRINK_LIMIT_PERCENT
        );
        let kind = FileKind::ALL.into_iter().find(|kind| kind.file_name() == file.file);
        Holding::new(kind.unwrap_or(FileKind::Activities), why)
    };
    changes.held_by().map(say).collect()
}
