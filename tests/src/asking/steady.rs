//! Questions at a steady pace, whatever becomes of them: what is late counts from when it was due.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One question.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was to be asked.
    pub due: Instant,
    /// From then until the answer was there.
    pub took: Duration,
    /// What went wrong, or the generation that answered, where that is told.
    pub outcome: Result<Option<String>, String>,
}

/// When somebody asks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From when on all of them count.
    pub start: Instant,
    /// Times a second.
    pub rate: f64,
    /// Which part of the pause between two passes before the first: several who ask are spread, not one crowd at each
    /// stroke, and as evenly in each run, however long they take to connect.
    pub share: f64,
}

/// Asks until told to stop. Each `ask` is given a number; after a failure it is asked to connect again with the next one.
pub fn ask(
    pace: Pace,
    stop: &AtomicBool,
    mut connect: impl FnMut() -> Box<dyn FnMut(u64) -> Result<Option<String>, String>>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut client = connect();
    let pause = Duration::from_secs_f64(1.0 / pace.rate);
    let mut due = pace.start + pause.mul_f64(pace.share);
    while due < Instant::now() {
        due += pause;
    }
    for number in 0.. {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let outcome = client(number);
        let took = due.elapsed();
        if outcome.is_err() {
            client = connect();
        }
        samples.push(Sample { due, took, outcome });
        due += pause;
        // Nobody goes home without having asked.
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    samples
}
