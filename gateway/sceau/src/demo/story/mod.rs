//! The story that `sceau demo` tells: real gateways, real messages, and whether each step went as it should.

pub mod attended;
pub mod folder;
mod invitation;
pub mod received;
mod scenes;
pub mod stage;
pub mod teller;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use pki::issue::KeyAlgorithm;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use self::{attended::AttendError, received::ReceivedError, stage::Stage, teller::Teller};
use super::{
    cast::{CastError, Place},
    letter::LetterError,
    operator::OperatorError,
    postfix::Postfix,
    practice::SendError,
    space::{Ports, Space, SpaceError, SpaceSettings},
};

/// People in the fictional directory, the cast not counted.
const PEOPLE: u32 = 2_000;
/// Seed of that directory.
const SEED: u64 = 58;

/// How the story is to be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where; see [`folder::Folder`].
    pub folder: PathBuf,
    /// Whether the folder goes away with the demonstration.
    pub temporary: bool,
    /// End when all is told; else keep running until a signal comes.
    pub once: bool,
    /// Where the hospitals' ports are bound.
    pub listen: IpAddr,
    /// This program, for `serve`, `why` and the others.
    pub binary: PathBuf,
}

/// Why the story did not come to its end.
#[derive(Debug, Error)]
pub enum StoryError {
    /// Something was not as it should be.
    #[error("step {step}\nexpected: {expected}\nfound: {found}")]
    Unexpected {
        /// Which step.
        step: String,
        /// What should have been.
        expected: String,
        /// What was.
        found: String,
    },
    /// A message did not arrive.
    #[error("the message that {0} should have received did not arrive within {1} s")]
    Lost(String, u64),
    /// The space could not be made.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A gateway did not start or end as it should.
    #[error(transparent)]
    Gateway(#[from] AttendError),
    /// The third operator did not start.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// An inner mail store did not start, or cannot be read.
    #[error("a mail store of the demonstration: {0}")]
    Store(io::Error),
    /// Somebody who should be there is not.
    #[error("the demonstration has lost its {0}")]
    Gone(&'static str),
    /// A letter could not be composed.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// A delivered message cannot be read.
    #[error(transparent)]
    Received(#[from] ReceivedError),
    /// The practice software got no answer at all.
    #[error("the sender's software got no answer: {0}")]
    NoAnswer(SendError),
    /// The cast.
    #[error(transparent)]
    Cast(#[from] CastError),
    /// A file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A command of ours printed something that is not JSON.
    #[error("`sceau {0}` printed no JSON: {1}")]
    Json(String, serde_json::Error),
    /// A task of ours did not end well.
    #[error("a task of the demonstration did not end well: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// Nobody listens any more.
    #[error("nobody reads what the demonstration prints: {0}")]
    Output(io::Error),
    /// No signal handler.
    #[error("signals cannot be waited for: {0}")]
    Signal(io::Error),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A gateway ended while it should run.
    #[error("the gateway of {0} ended by itself; its log: {1}")]
    Ended(String, PathBuf),
}

/// Tells the whole story, and leaves nothing running.
///
/// # Errors
/// [`StoryError`], after everything was stopped.
pub async fn run(options: &Options, teller: &mut Teller) -> Result<(), StoryError> {
    let mut signals = Signals::new().map_err(StoryError::Signal)?;
    // Rather now than after everything else was made.
    Postfix::check().await.map_err(OperatorError::from)?;
    let began = Instant::now();
    teller.heading("Sceau: two hospitals and a third operator exchange mail on this machine.")?;
    teller.line("Everybody is fictional: people, numbers, hospitals, certificates. ✓ means: as it should be.")?;
    let space = tokio::select! {
        space = scenes::space::tell(options, teller) => space?,
        () = signals.any() => return Err(StoryError::Interrupted),
    };
    let mut stage = Stage::new(space, options.binary.clone());
    let told = tokio::select! {
        told = scenes::all(teller, &mut stage) => told,
        () = signals.any() => Err(StoryError::Interrupted),
    };
    let told = match told {
        Ok(()) => after(options, teller, &mut stage, &mut signals, began).await,
        error => error,
    };
    let stopped = stage.stop().await;
    told.and(stopped)
}

/// What comes after the last scene: the end, or an invitation to try it.
async fn after(
    options: &Options,
    teller: &mut Teller,
    stage: &mut Stage,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), StoryError> {
    if options.once {
        stage.stop().await?;
        return teller.end(began.elapsed());
    }
    teller.end(began.elapsed())?;
    invitation::tell(options, teller, stage)?;
    let ended = tokio::select! {
        () = signals.any() => None,
        place = stage.somebody_ended() => Some(place),
    };
    match ended {
        None => teller.line("\nStopping."),
        Some(place) => {
            Err(StoryError::Ended(place.host(), stage.log_folder()?.join(format!("{}.log", place.folder()))))
        }
    }
}

/// Makes the space without holding up anything else.
async fn make_space(options: &Options) -> Result<Space, StoryError> {
    let settings = SpaceSettings {
        folder: options.folder.clone(),
        now: Stage::now(),
        seed: SEED,
        people: PEOPLE,
        // As on real cards.
        key: KeyAlgorithm::Rsa2048,
        ports: Ports::free(options.listen)?,
    };
    Ok(tokio::task::spawn_blocking(move || Space::create(&settings)).await??)
}

/// Whatever may ask the demonstration to end.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let on = |kind| signal(kind);
        Ok(Self([on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The number of files below a folder that have one of these endings.
fn count_files(folder: &Path, endings: &[&str]) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().fold(0usize, |count, entry| {
        let path = entry.path();
        let here = if path.is_dir() {
            count_files(&path, endings)
        } else {
            let name = entry.file_name();
            usize::from(endings.iter().any(|ending| name.to_string_lossy().ends_with(ending)))
        };
        count.saturating_add(here)
    })
}

/// What a reader of these pages should call a hospital.
const fn label(place: Place) -> &'static str {
    match place {
        Place::A => "hospital A",
        Place::B => "hospital B",
        Place::C => "the third operator",
    }
}
