//! What a load tells: counts per file, problems with their place, and what was decided.

use ident::Timestamp;
use serde::{Serialize, Serializer};

use crate::{Diff, FileKind, Holding, Totals};

/// Most problems that a report lists; the rest is counted.
pub const MAX_PROBLEMS: usize = 10_000;

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Physical line, the header being 1.
    pub line: u64,
    /// Label of the column; nothing when the whole row is meant.
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// The first problems, and how many more there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problems {
    pub(crate) listed: Vec<Problem>,
    pub(crate) omitted: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        if self.listed.len() < MAX_PROBLEMS {
            self.listed.push(problem);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }
}

/// What became of the rows of one file: `rows = kept + merged + refused`. Empty lines are no rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the folder.
    pub name: String,
    /// Which of the five it is.
    pub kind: FileKind,
    /// All rows.
    pub rows: u64,
    /// Rows that became a record.
    pub kept: u64,
    /// Rows that said again, or added to, what another row said.
    pub merged: u64,
    /// Rows that could not be used; each is among the problems.
    pub refused: u64,
}

/// A file of the folder that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Its name in the folder.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// The result of a load (design §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// What was read.
    pub files: Vec<FileReport>,
    /// What was wrong, up to [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many problems more there were.
    pub problems_omitted: u64,
    /// Files of the folder that were passed over.
    pub ignored: Vec<Ignored>,
    /// The generation in service after the load.
    pub generation: Option<String>,
    /// The date of its data.
    #[serde(serialize_with = "rfc3339")]
    pub data_as_of: Option<Timestamp>,
    /// The generation in service before.
    pub previous: Option<String>,
    /// The new generation was not put in service: it differs too much. Confirm to put it in service.
    pub held: bool,
    /// The files cannot be used as they are.
    pub refused: bool,
    /// Why it was held or refused, and what to do.
    pub reason: Option<String>,
    /// What holds it back, file by file, and what of that was confirmed.
    pub holding: Vec<Holding>,
    /// The same data were already in service.
    pub unchanged: bool,
    /// What differs from the generation before.
    pub changes: Option<Diff>,
    /// Stored generations that could not be compared with: damaged, or of another version of this program.
    pub unreadable: Vec<String>,
    /// Cards whose opposition was taken from data that are held.
    pub oppositions: u64,
    /// Oppositions in them about cards that the data in service do not know.
    pub oppositions_unknown: u64,
    /// What the new generation holds.
    pub totals: Option<Totals>,
}

impl LoadReport {
    /// Whether the data given are now in service.
    pub fn in_service(&self) -> bool {
        !self.held && !self.refused
    }
}

/// A moment as people and scripts read it.
pub(crate) fn rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::rfc3339).serialize(serializer)
}
