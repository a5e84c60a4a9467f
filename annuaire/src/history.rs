//! How much each load put in service: what creeps from load to load is seen here, and what shrank or grew when no stored
//! generation can be compared with.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use ident::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FileKind, Generation, Holding, SHRINK_LIMIT_PERCENT, generation::sync_folder};

/// How long what was in service counts: losses that are small each time add up over it.
pub const HISTORY_COUNTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of a hundred records, how many may be new in one load without confirmation…
pub const GROWTH_LIMIT_PERCENT: u64 = 20;
/// …and how many are new before the share matters: a small directory doubles on an ordinary day.
pub const GROWTH_LIMIT_FLOOR: u64 = 1000;

/// Most loads that are remembered.
const MAX_ENTRIES: usize = 64;
/// Largest file that is read.
const MAX_OCTETS: u64 = 256 * 1024;

/// What one load put in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    generation: String,
    data_as_of: Timestamp,
    /// A person put it in service: what was before it does not count any more…
    chosen: bool,
    /// …of these files, or of all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accepted: Vec<FileKind>,
    /// Records of each file, in the order of [`FileKind::ALL`].
    records: [u64; 5],
}

impl Entry {
    fn is_chosen(&self, kind: FileKind) -> bool {
        self.chosen && (self.accepted.is_empty() || self.accepted.contains(&kind))
    }
}

/// The file of a data folder.
#[derive(Debug, Clone)]
pub(crate) struct History(PathBuf);

impl History {
    pub(crate) fn below(data: &Path) -> Self {
        Self(data.join("HISTORY"))
    }

    /// The oldest first. A line that cannot be read is passed over: one guard less must not stop a load.
    fn entries(&self) -> Vec<Entry> {
        let Ok(file) = File::open(&self.0) else { return Vec::new() };
        let lines = BufReader::new(file.take(MAX_OCTETS)).split(b'\n').map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_slice(&line).ok()).collect()
    }

    /// Why `new` must not be in service without a person's word, by what was in service in the last days.
    pub(crate) fn reasons(&self, new: &Generation) -> Vec<Holding> {
        let entries = self.entries();
        let Some(last) = entries.last() else { return Vec::new() };
        let begin = new.data_as_of().max(last.data_as_of).minus(HISTORY_COUNTS);
        let mut reasons = Vec::new();
        for (place, (kind, now)) in FileKind::ALL.into_iter().zip(records_of(new)).enumerate() {
            let after_choice = entries.iter().rposition(|entry| entry.is_chosen(kind)).unwrap_or(0);
            let counted = entries.iter().skip(after_choice);
            let recent: Vec<&Entry> = counted.filter(|entry| entry.data_as_of >= begin || *entry == last).collect();
            let of = |entry: &Entry| entry.records.get(place).copied().unwrap_or(0);
            let (most, before) = (recent.iter().map(|entry| of(entry)).max().unwrap_or(0), of(last));
            let (lost, come) = (most.saturating_sub(now), now.saturating_sub(before));
            let name = kind.file_name();
            if lost.saturating_mul(100) > most.saturating_mul(SHRINK_LIMIT_PERCENT) {
                let why = format!(
                    "{name}: {now} records, and there were {most} in the last days: more than {SHRINK_LIMIT_PERCENT} % less"
                );
                reasons.push(Holding::new(kind, why));
            }
            if come > GROWTH_LIMIT_FLOOR
                && come.saturating_mul(100) > before.saturating_mul(GROWTH_LIMIT_PERCENT)
                && before > 0
            {
                let why =
                    format!("{name}: {now} records, and there were {before}: more than {GROWTH_LIMIT_PERCENT} % more");
                reasons.push(Holding::new(kind, why));
            }
        }
        reasons
    }

    /// Notes what is in service from now on, and of which files a person said that what is unusual in them is right.
    pub(crate) fn note(&self, generation: &Generation, accepted: &[FileKind]) -> io::Result<()> {
        let mut entries = self.entries();
        entries.push(Entry {
            generation: generation.id().to_owned(),
            data_as_of: generation.data_as_of(),
            chosen: !accepted.is_empty(),
            accepted: accepted.to_vec(),
            records: records_of(generation),
        });
        let over = entries.len().saturating_sub(MAX_ENTRIES);
        let mut text = Vec::new();
        for entry in entries.iter().skip(over) {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        let aside = self.0.with_extension("part");
        fs::write(&aside, text)?;
        File::open(&aside)?.sync_all()?;
        fs::rename(&aside, &self.0)?;
        sync_folder(&self.0)
    }
}

fn records_of(generation: &Generation) -> [u64; 5] {
    let totals = generation.totals();
    FileKind::ALL.map(|kind| {
        u64::from(match kind {
            FileKind::Activities => totals.activities,
            FileKind::Skills => totals.skills,
            FileKind::Diplomas => totals.diplomas,
            FileKind::Mailboxes => totals.mailboxes,
            FileKind::Cards => totals.cards,
        })
    })
}
