//! Reading one extract into a generation under construction.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
};

use openssl::sha::Sha256;
use zip::ZipArchive;

use super::{
    Candidate, FileKind,
    find::without_mark,
    lines::{Line, Lines, MAX_LINE},
    parse,
    row::{Fault, Header, Place, Row},
};
use crate::{
    generation::{Builder, hex},
    progress::{Progress, Step, Watch},
    report::{Problem, Problems},
    rows::Fate,
};

/// Most octets that come of one octet of an archive: of the published ones about ten do.
const MOST_UNPACKED: u64 = 100;
/// So many may come of any file: a small one may repeat itself.
const ALWAYS_UNPACKED: u64 = 16 * 1024 * 1024;

/// What a load may take, all files together.
pub(crate) struct Bounds<'a> {
    /// Octets of text that may still be read.
    pub(crate) left: u64,
    /// Whether nobody waits for it any more.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// What reading one file gave. `rows = kept + merged + refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) rows: u64,
    pub(crate) kept: u64,
    pub(crate) merged: u64,
    pub(crate) refused: u64,
    /// The file as a whole cannot be used; nothing of it was taken.
    pub(crate) unusable: bool,
    pub(crate) sha256: String,
}

/// How many octets of how many were read, all files together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Octets {
    pub(crate) done: u64,
    pub(crate) of: u64,
}

/// Reads the file of a candidate.
pub(crate) fn read(
    candidate: &Candidate,
    builder: &mut Builder,
    problems: &mut Problems,
    octets: &mut Octets,
    bounds: &mut Bounds<'_>,
    watch: &mut Watch<'_>,
) -> io::Result<Outcome> {
    let before = octets.done;
    let unpacked = candidate.octets.saturating_mul(MOST_UNPACKED).max(ALWAYS_UNPACKED);
    let file = File::open(&candidate.path)?;
    let mut input = Watched { file, sha: Sha256::new(), name: &candidate.name, octets: &mut *octets, watch };
    let mut reading = Reading { kind: candidate.kind, name: &candidate.name, builder, problems };
    let outcome = match candidate.entry {
        None => {
            let outcome =
                reading.all(BufReader::with_capacity(BLOCK, Limited { input: &mut input, unpacked, bounds }))?;
            // To the end, even of a file that is of no use: its name is that of all its octets.
            io::copy(&mut input, &mut io::sink())?;
            Outcome { sha256: hex(&input.sha.finish()), ..outcome }
        }
        Some(entry) => {
            // An archive is read here and there: its octets are summed up on their own.
            let sha256 = digest(&mut input.file)?;
            let mut archive = ZipArchive::new(BufReader::with_capacity(BLOCK, input)).map_err(io::Error::other)?;
            let entry = archive.by_index(entry).map_err(io::Error::other)?;
            let outcome = reading.all(BufReader::with_capacity(BLOCK, Limited { input: entry, unpacked, bounds }))?;
            Outcome { sha256, ..outcome }
        }
    };
    octets.done = before.saturating_add(candidate.octets);
    Ok(outcome)
}

/// What is read at once.
const BLOCK: usize = 256 * 1024;

/// A file that is summed up and told of while it is read.
struct Watched<'a, 'w> {
    file: File,
    sha: Sha256,
    name: &'a str,
    octets: &'a mut Octets,
    watch: &'a mut Watch<'w>,
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.sha.update(buffer.get(..read).unwrap_or_default());
        self.octets.done = self.octets.done.saturating_add(u64::try_from(read).unwrap_or(0));
        let Octets { done, of } = *self.octets;
        (self.watch)(&Progress { step: Step::Reading(self.name), done, of });
        Ok(read)
    }
}

impl Seek for Watched<'_, '_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn digest(file: &mut File) -> io::Result<String> {
    let mut sha = Sha256::new();
    let mut block = vec![0u8; BLOCK];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        sha.update(block.get(..read).unwrap_or_default());
    }
    file.rewind()?;
    Ok(hex(&sha.finish()))
}

/// One file being read.
pub(crate) struct Reading<'a> {
    pub(crate) kind: FileKind,
    pub(crate) name: &'a str,
    pub(crate) builder: &'a mut Builder,
    pub(crate) problems: &'a mut Problems,
}

impl Reading<'_> {
    /// Reads header and rows.
    pub(crate) fn all(&mut self, input: impl BufRead) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut lines = Lines::new(input);
        let Some(header) = self.header(&mut lines)? else {
            outcome.unusable = true;
            return Ok(outcome);
        };
        let mut fields = Vec::new();
        while let Some((number, line)) = lines.next()? {
            let fate = match line {
                Line::Bytes(line) if line.trim_ascii().is_empty() => continue,
                Line::Bytes(line) => self.row(&header, number, line, &mut fields),
                Line::TooLong => Err(Fault::row(format!("the line is longer than {MAX_LINE} octets"))),
            };
            outcome.rows = outcome.rows.saturating_add(1);
            let counter = match fate {
                Ok(Fate::Kept) => &mut outcome.kept,
                Ok(Fate::Merged) => &mut outcome.merged,
                Err(fault) => {
                    self.report(number, fault);
                    &mut outcome.refused
                }
            };
            *counter = counter.saturating_add(1);
        }
        self.builder.next_file();
        Ok(outcome)
    }

    fn header(&mut self, lines: &mut Lines<impl BufRead>) -> io::Result<Option<Header>> {
        let text = match lines.next()? {
            None => Err("the file is empty: not even a header"),
            Some((_, Line::TooLong)) => Err("the header is too long for any extract"),
            Some((_, Line::Bytes(line))) => std::str::from_utf8(without_mark(line))
                .map_err(|_| "the header is not UTF-8 (the extracts are published in UTF-8)"),
        };
        let text = match text {
            Ok(text) => text,
            Err(what) => {
                self.report(1, Fault::row(what));
                return Ok(None);
            }
        };
        let header = self.kind.header(text);
        let fault = |column: &str, what: &'static str| Fault { column: Some(column.to_owned()), what: what.into() };
        for column in &header.missing {
            let what = match header.missing_needed.contains(column) {
                true => "needed column missing: the file is refused",
                false => "column missing: its values are left empty",
            };
            self.report(1, fault(column, what));
        }
        for column in &header.doubled {
            self.report(1, fault(column, "two columns have this name: the file is refused"));
        }
        let usable = header.missing_needed.is_empty() && header.doubled.is_empty();
        Ok(usable.then_some(header))
    }

    fn row(&mut self, header: &Header, number: u64, line: &[u8], fields: &mut Vec<Place>) -> Result<Fate, Fault> {
        let text = std::str::from_utf8(line).map_err(|error| {
            // What stands before the bad octet tells the column.
            let before = line.get(..error.valid_up_to()).unwrap_or_default();
            let place = before.iter().filter(|byte| **byte == b'|').count();
            Fault { column: header.label(place), what: "not UTF-8".into() }
        })?;
        let row = header.row(text, fields)?;
        match self.kind {
            FileKind::Activities => {
                let row = self.noted(number, parse::activity(&row))?;
                Ok(self.builder.activity(&row))
            }
            FileKind::Skills => {
                let row = self.noted(number, parse::skill(&row))?;
                Ok(self.builder.skill(&row))
            }
            FileKind::Diplomas => {
                let row = self.noted(number, parse::diploma(&row))?;
                Ok(self.builder.diploma(&row))
            }
            FileKind::Mailboxes => {
                let row = self.noted(number, parse::mailbox(&row))?;
                Ok(self.builder.mailbox(&row))
            }
            FileKind::Cards => self.card(number, &row),
        }
    }

    fn card(&mut self, number: u64, row: &Row<'_>) -> Result<Fate, Fault> {
        match self.noted(number, parse::card(row)) {
            Ok(card) => Ok(self.builder.card(&card)),
            Err(fault) => {
                if let Some(card) = parse::opposed_all_the_same(row) {
                    self.builder.card(&card);
                }
                Err(fault)
            }
        }
    }

    /// Reports what was wrong in a row that is kept.
    fn noted<T>(&mut self, number: u64, parsed: parse::Parsed<T>) -> Result<T, Fault> {
        let (row, notes) = parsed?;
        for note in notes {
            self.report(number, note);
        }
        Ok(row)
    }

    fn report(&mut self, line: u64, fault: Fault) {
        self.problems.add(Problem {
            file: self.name.to_owned(),
            line,
            column: fault.column,
            what: fault.what.into_owned(),
        });
    }
}

/// Stops an input that goes on for ever, as a crafted archive can, or that nobody waits for any more.
struct Limited<'a, 'b, R> {
    input: R,
    /// What may still come of this file.
    unpacked: u64,
    bounds: &'a mut Bounds<'b>,
}

impl<R> Limited<'_, '_, R> {
    fn used(&mut self, octets: usize) -> io::Result<usize> {
        let used = u64::try_from(octets).unwrap_or(u64::MAX);
        if (self.bounds.stop)() {
            return Err(io::Error::other("stopped"));
        }
        self.unpacked = self.unpacked.checked_sub(used).ok_or_else(|| {
            io::Error::other(format!("unpacks to more than {MOST_UNPACKED} times its size: no extract does"))
        })?;
        self.bounds.left = self.bounds.left.checked_sub(used).ok_or_else(|| {
            io::Error::other("with the others more text than a load may take: there is no memory for it")
        })?;
        Ok(octets)
    }
}

impl<R: Read> Read for Limited<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.input.read(buffer)?;
        self.used(octets)
    }
}
