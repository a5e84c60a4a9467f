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

/// Asks so many times a second until told to stop, the first time after this share of the pause between two: several who
/// ask are spread, not one crowd at each stroke. Each `ask` is given a number; after a failure it is asked to connect again
/// with the next one.
pub fn ask(
    (rate, share): (f64, f64),
    stop: &AtomicBool,
    mut connect: impl FnMut() -> Box<dyn FnMut(u64) -> Result<Option<String>, String>>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut client = connect();
    let pause = Duration::from_secs_f64(1.0 / rate);
    let mut due = Instant::now() + pause.mul_f64(share);
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
