//! Finding the extract files in a folder: plain or zipped, by name or by header.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use ident::Timestamp;
use zip::ZipArchive;

use super::{
    FileKind,
    lines::{Line, Lines, MAX_LINE},
};
use crate::Date;

/// Most entries of an archive that are looked at.
const MAX_ENTRIES: usize = 64;

/// One file that may be an extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) kind: FileKind,
    pub(crate) path: PathBuf,
    /// Place in the archive, if it is one.
    pub(crate) entry: Option<usize>,
    /// What to call it in reports.
    pub(crate) name: String,
    /// Date in its name.
    pub(crate) dated: Option<Timestamp>,
    /// The file's own date.
    pub(crate) modified: Timestamp,
    /// Its length on disk.
    pub(crate) octets: u64,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// At most one file of each kind, in the order of reading.
    pub(crate) chosen: Vec<Candidate>,
    /// Names of the others, with the reason.
    pub(crate) ignored: Vec<(String, String)>,
    /// Files that by their name are extracts and cannot be opened, with the reason.
    pub(crate) broken: Vec<(String, String)>,
}

/// How far a date may lie ahead: no two clocks are the same.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// Archives that hold no dates say that they are of 1980.
const NO_DATE_BEFORE: &str = "2010-01-01T00:00:00Z";

/// Looks through a folder, not its subfolders. `now` is the present, if it is known: nothing is of later than that.
pub(crate) fn find(folder: &Path, now: Option<Timestamp>) -> io::Result<Found> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut found = Found::default();
    let mut candidates = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || !fs::metadata(&path)?.is_file() {
            continue;
        }
        match candidates_of(&path, &name) {
            Ok(of_file) if of_file.is_empty() => {
                found.ignored.push((name, "not an extract: neither name nor header".into()))
            }
            Ok(of_file) => candidates.extend(of_file),
            Err(error) => {
                // An extract that cannot be opened must not pass for one that is not there.
                let extract =
                    FileKind::is_spoken_of(&name) || File::open(&path).is_ok_and(|mut file| begins_as_zip(&mut file));
                let list = if extract { &mut found.broken } else { &mut found.ignored };
                list.push((name, format!("cannot be read: {error}")));
            }
        }
    }
    let latest = now.map(|now| now.plus(AHEAD));
    for candidate in &mut candidates {
        if let (Some(dated), Some(latest)) = (candidate.dated, latest)
            && dated > latest
        {
            found.broken.push((candidate.name.clone(), format!("is of {dated}, which is still to come")));
        }
        candidate.modified = now.map_or(candidate.modified, |now| candidate.modified.min(now));
    }
    for kind in FileKind::ALL {
        choose(candidates.iter().filter(|c| c.kind == kind).cloned().collect(), &mut found);
    }
    Ok(found)
}

/// The newest of one kind. A name without a date says nothing: what lies there since before the date in another's name
/// is older than that; of what came later nobody knows of when it is.
fn choose(mut of_kind: Vec<Candidate>, found: &mut Found) {
    of_kind.sort_by_key(|c| (c.dated.unwrap_or(c.modified), c.modified));
    let Some(newest) = of_kind.pop() else { return };
    if let Some(other) = of_kind.iter().find(|other| newest.dated.is_none() && other.dated.is_some()) {
        let why = format!(
            "and {} are of one kind, and which is newer cannot be told: one has a date in its name, the other has not; \
             take the older one away",
            other.name
        );
        found.broken.push((newest.name.clone(), why));
    }
    for older in of_kind {
        found.ignored.push((older.name, format!("{} is newer", newest.name)));
    }
    found.chosen.push(newest);
}

fn candidates_of(path: &Path, name: &str) -> io::Result<Vec<Candidate>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified = Timestamp::EPOCH.plus(modified);
    let candidate = |kind, entry, name: String, dated: Option<Timestamp>, modified| Candidate {
        kind,
        path: path.to_owned(),
        entry,
        name,
        dated,
        modified,
        octets: metadata.len(),
    };
    if !is_zip(&mut file)? {
        let kind = match FileKind::of_name(name) {
            Some(kind) => Some(kind),
            None => kind_of_header(file)?,
        };
        return Ok(kind
            .map(|kind| candidate(kind, None, name.to_owned(), date_in(name), modified))
            .into_iter()
            .collect());
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(io::Error::other)?;
    let mut candidates = Vec::new();
    let entries = archive.len().min(MAX_ENTRIES);
    for place in 0..entries {
        let entry = archive.by_index(place).map_err(io::Error::other)?;
        if !entry.is_file() {
            continue;
        }
        // When it was packed says more than when it was copied or fetched.
        let packed = entry.last_modified().and_then(moment_of).filter(|packed| *packed <= modified).unwrap_or(modified);
        let inner = entry.name().map_err(io::Error::other)?.into_owned();
        let inner = inner.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let outer = if entries == 1 { FileKind::of_name(name) } else { None };
        let kind = match FileKind::of_name(&inner).or(outer) {
            Some(kind) => Some(kind),
            None => kind_of_header(entry)?,
        };
        // The archive is what the operator sees; its entry is named where there are several.
        let shown = if entries == 1 { name.to_owned() } else { format!("{name}:{inner}") };
        let dated = date_in(&inner).or_else(|| date_in(name));
        candidates.extend(kind.map(|kind| candidate(kind, Some(place), shown, dated, packed)));
    }
    Ok(candidates)
}

/// By its first octets, not by its name.
fn is_zip(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let is = begins_as_zip(file);
    file.rewind()?;
    Ok(is)
}

fn begins_as_zip(file: &mut impl Read) -> bool {
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).is_ok() && magic == b"PK\x03\x04"
}

/// The moment in an archive, which knows no zone: as UTC, which is at most some hours off.
fn moment_of(at: zip::DateTime) -> Option<Timestamp> {
    let (day, time) = ((at.year(), at.month(), at.day()), (at.hour(), at.minute(), at.second()));
    let text = format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", day.0, day.1, day.2, time.0, time.1, time.2);
    Timestamp::parse(&text).filter(|at| Timestamp::parse(NO_DATE_BEFORE).is_some_and(|begin| *at >= begin))
}

fn kind_of_header(input: impl Read) -> io::Result<Option<FileKind>> {
    // No more than a line: what follows one that never ends is not looked at.
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(1);
    let mut lines = Lines::new(BufReader::new(input.take(most)));
    Ok(match lines.next()? {
        Some((_, Line::Bytes(line))) => std::str::from_utf8(without_mark(line)).ok().and_then(FileKind::of_header),
        _ => None,
    })
}

/// A line without the byte order mark of UTF-8.
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
}

/// The newest date in a name: `AAAAMMJJ`, `AAAAMMJJHHMM`, `AAAAMMJJHHMMSS` or `YYYY-MM-DD`. Hours count as UTC.
pub(crate) fn date_in(name: &str) -> Option<Timestamp> {
    let runs: Vec<&str> = name.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).collect();
    let whole = runs.iter().filter_map(|run| moment(run));
    let parted = runs.windows(3).filter_map(|three| match three {
        [year, month, day] if name.contains(&format!("{year}-{month}-{day}")) => {
            Date::parse(&format!("{year}-{month}-{day}"))
        }
        [year, month, day] if name.contains(&format!("{year}_{month}_{day}")) => {
            Date::parse(&format!("{year}-{month}-{day}"))
        }
        _ => None,
    });
    whole.chain(parted.map(Date::midnight)).max()
}

fn moment(digits: &str) -> Option<Timestamp> {
    let (day, time) = digits.split_at_checked(8)?;
    let day = Date::parse(day).filter(|day| day.number() > 19_000_000)?;
    let (hours, minutes, seconds) = match time.len() {
        0 => ("00", "00", "00"),
        4 => (time.get(..2)?, time.get(2..)?, "00"),
        6 => (time.get(..2)?, time.get(2..4)?, time.get(4..)?),
        _ => return None,
    };
    Timestamp::parse(&format!("{day}T{hours}:{minutes}:{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_never_ends_no_more_is_read_than_a_line_may_have() {
        struct Endless(u64);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += u64::try_from(buffer.len()).unwrap();
                assert!(self.0 < 1024 * 1024, "it is read on and on");
                buffer.fill(b'x');
                Ok(buffer.len())
            }
        }
        assert_eq!(kind_of_header(Endless(0)).unwrap(), None);
    }

    #[test]
    fn dates_are_read_from_names() {
        for (name, date) in [
            ("Extraction_Correspondance_MSSante_202608261013.zip", Some("2026-08-26T10:13:00Z")),
            ("ps-libreacces-personne-activite-20260826.txt", Some("2026-08-26T00:00:00Z")),
            ("2026-08-26-porteurs-cps-cpf.txt", Some("2026-08-26T00:00:00Z")),
            ("20260101_x_20260826101359.txt", Some("2026-08-26T10:13:59Z")),
            ("x-99999999.txt", None),
            ("x-202608269999.txt", None),
            ("porteurs-cps-cpf.txt", None),
        ] {
            assert_eq!(date_in(name).map(|at| at.rfc3339()).as_deref(), date, "{name}");
        }
    }
}
