//! A gateway as a process of its own: `sceau serve`, exactly as an operator would start it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long a start or a stop may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the log.
const PAUSE: Duration = Duration::from_millis(20);
/// What `sceau serve` says once every port is bound.
const READY: &str = "sceau: ready";
const ATTEND: &str = include_str!("attend.sh");

/// Why a gateway is not there.
#[derive(Debug, Error)]
pub enum AttendError {
    /// It could not be started at all.
    #[error("{0}: {1}")]
    Start(PathBuf, io::Error),
    /// It ended, or was not ready in time.
    #[error("the gateway of {configuration} is not ready; its log ({log}) ends with:\n{words}")]
    NotReady {
        /// Its configuration file.
        configuration: PathBuf,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        words: String,
    },
    /// It did not stop in time, or not well.
    #[error("the gateway did not end well ({how}); its log: {log}")]
    Stop {
        /// What is known.
        how: String,
        /// Its log.
        log: PathBuf,
    },
}

/// A running gateway. When this value goes away the gateway is asked to end, too.
#[derive(Debug)]
pub struct Attended {
    child: Child,
    log: PathBuf,
}

impl Attended {
    /// Starts `binary serve --config configuration` with its log in a file, and waits until it is ready.
    ///
    /// # Errors
    /// [`AttendError`], with the end of the log.
    pub async fn start(binary: &Path, configuration: &Path, log: PathBuf) -> Result<Self, AttendError> {
        let failed = |error| AttendError::Start(binary.to_owned(), error);
        let file = File::create(&log).map_err(|error| AttendError::Start(log.clone(), error))?;
        let child = Command::new("sh")
            .args(["-c", ATTEND, "attend.sh"])
            .arg(binary)
            .args(["serve", "--config"])
            .arg(configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(file))
            .spawn()
            .map_err(failed)?;
        let mut gateway = Self { child, log };
        let deadline = Instant::now().checked_add(PATIENCE);
        while !gateway.said().lines().any(|line| line == READY) {
            if gateway.ended().is_some() || deadline.is_none_or(|d| Instant::now() >= d) {
                let (log, words) = (gateway.log.clone(), gateway.last_words());
                return Err(AttendError::NotReady { configuration: configuration.to_owned(), log, words });
            }
            sleep(PAUSE).await;
        }
        Ok(gateway)
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// [`AttendError::Stop`]
    pub async fn stop(mut self) -> Result<(), AttendError> {
        // The script sees the end of its input and sends SIGTERM.
        drop(self.child.stdin.take());
        let how = match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("still there after {} s", PATIENCE.as_secs()),
        };
        Err(AttendError::Stop { how, log: self.log })
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<_> = said.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
