//! Who reads new extracts: a process of its own. What a load needs (1.1 GB for a nation, for a minute) goes back with it,
//! it gives way to the mail, and whatever becomes of it, the gateway goes on.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use annuaire::{Accept, FolderError, LoadError, LoadOptions, LoadReport};
use ident::Timestamp;
use serde::Deserialize;
use tokio::process::Command;

use super::most_text;

/// How it ends when another load is under way: nothing can be told now.
const BUSY: i32 = 3;
/// Most octets of its last words that are told.
const WORDS: usize = 1000;

/// How extracts are loaded.
#[derive(Debug, Clone)]
pub enum Loader {
    /// By this program: our own.
    Program(PathBuf),
    /// In this process, whose program is not ours.
    Here,
}

/// What came of it, as far as whoever keeps the directory wants to know.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) generation: Option<String>,
    pub(super) unchanged: bool,
    pub(super) problems: Vec<Trouble>,
    pub(super) reason: Option<String>,
    pub(super) oppositions: u64,
    pub(super) refused: bool,
    held: bool,
}

/// A row that could not be used.
#[derive(Debug, Deserialize)]
pub(super) struct Trouble {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) column: Option<String>,
    pub(super) what: String,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoaderError {
    /// The program does not start, or cannot be waited for.
    #[error("the program that loads extracts does not run: {0}")]
    Start(#[from] io::Error),
    /// Another load is under way.
    #[error("{0}")]
    Busy(String),
    /// A file cannot be read, or the disk takes nothing.
    #[error("{0}")]
    Load(String),
}

impl Loader {
    /// Our own program, wherever it was installed and whatever has replaced it since.
    pub fn own() -> Self {
        Self::Program(PathBuf::from("/proc/self/exe"))
    }

    /// Loads extracts into a data folder, as `sceau annuaire load` does. A load that is no longer waited for ends.
    /// `over` ends one in this process.
    pub(super) async fn load(
        &self,
        from: &Path,
        into: &Path,
        now: Timestamp,
        over: &Arc<AtomicBool>,
    ) -> Result<Outcome, LoaderError> {
        match self {
            Self::Program(program) => by(program, from, into).await,
            Self::Here => {
                let (from, into, over) = (from.to_owned(), into.to_owned(), Arc::clone(over));
                // On a thread of its own: the places for cryptographic work stay free for mail.
                let loaded = tokio::task::spawn_blocking(move || {
                    let stop = || over.load(Ordering::Relaxed);
                    let options =
                        LoadOptions { accept: Accept::Nothing, now: Some(now), most: most_text(), stop: &stop };
                    annuaire::load_with(&from, &into, &options, &mut |_| ())
                });
                let report = loaded.await.map_err(io::Error::other)?;
                report.map(Outcome::from).map_err(|error| match error {
                    LoadError::Folder(FolderError::Busy(_)) => LoaderError::Busy(error.to_string()),
                    other => LoaderError::Load(other.to_string()),
                })
            }
        }
    }
}

async fn by(program: &Path, from: &Path, into: &Path) -> Result<Outcome, LoaderError> {
    let mut command = Command::new(program);
    command.args(["annuaire", "load", "--json", "--gently", "--into"]).arg(into).arg("--").arg(from);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = command.spawn()?.wait_with_output().await?;
    serde_json::from_slice(&ended.stdout).map_err(|_| {
        let words = String::from_utf8_lossy(&ended.stderr);
        let words: String = words.trim().chars().take(WORDS).collect();
        let words = format!("the load ended without a result ({}): {words}", ended.status);
        without_result(ended.status.code(), words)
    })
}

fn without_result(code: Option<i32>, words: String) -> LoaderError {
    match code == Some(BUSY) {
        true => LoaderError::Busy(words),
        false => LoaderError::Load(words),
    }
}

impl Outcome {
    /// Whether the data given are now in service.
    pub(super) fn in_service(&self) -> bool {
        !self.held && !self.refused
    }
}

impl From<LoadReport> for Outcome {
    fn from(report: LoadReport) -> Self {
        let trouble =
            |it: annuaire::Problem| Trouble { file: it.file, line: it.line, column: it.column, what: it.what };
        Self {
            generation: report.generation,
            unchanged: report.unchanged,
            problems: report.problems.into_iter().map(trouble).collect(),
            reason: report.reason,
            oppositions: report.oppositions,
            held: report.held,
            refused: report.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_prints_is_the_outcome() {
        let report = LoadReport { generation: Some("g".to_owned()), held: true, ..LoadReport::default() };
        let outcome: Outcome = serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
        assert!(!outcome.in_service());
        assert_eq!(outcome.generation.as_deref(), Some("g"));
    }

    #[tokio::test]
    async fn a_program_without_a_result_is_told() {
        let by = async |program: &str| {
            let loader = Loader::Program(PathBuf::from(program));
            loader.load(Path::new("from"), Path::new("into"), Timestamp::EPOCH, &Arc::default()).await.unwrap_err()
        };
        let error = by("/bin/false").await;
        assert!(matches!(&error, LoaderError::Load(text) if text.contains("exit status: 1")), "{error}");
        assert!(matches!(by("/bin/echo").await, LoaderError::Load(_)));
        assert!(matches!(without_result(Some(BUSY), String::new()), LoaderError::Busy(_)));
        assert!(matches!(by("/nonexistent").await, LoaderError::Start(_)));
    }
}
