//! The progress bar of `sceau annuaire load`: on a terminal only, one line, gone at the end.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use annuaire::{Progress, Step};

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);
/// Before the first guess of the time left: an early one is far off.
const FIRST_GUESS: Duration = Duration::from_secs(2);
/// Places of the bar.
const WIDTH: usize = 16;

/// A line on standard error that tells how far a load is.
pub(super) struct Bar {
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
    last: Option<&'static str>,
}

impl Bar {
    /// Shows itself on a terminal, unless `silent`.
    pub(super) fn new(silent: bool) -> Self {
        let shown = !silent && io::stderr().is_terminal();
        Self { shown, began: Instant::now(), drawn: None, last: None }
    }

    /// Draws, if it is time to.
    pub(super) fn tell(&mut self, progress: &Progress<'_>) {
        if !self.shown {
            return;
        }
        let now = Instant::now();
        let another_step = self.last != Some(verb(progress.step));
        if !another_step && self.drawn.is_some_and(|drawn| now.duration_since(drawn) < PAUSE) {
            return;
        }
        (self.drawn, self.last) = (Some(now), Some(verb(progress.step)));
        // Whoever does not see it needs no error for it.
        let _ = write!(io::stderr(), "\r{}\x1b[K", line(progress, now.duration_since(self.began)));
    }

    /// Takes the line away.
    pub(super) fn end(self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn verb(step: Step<'_>) -> &'static str {
    match step {
        Step::Reading(_) => "reading",
        Step::Indexing => "indexing",
        Step::Comparing => "comparing",
        Step::Storing => "storing",
    }
}

/// `[=====>      ]  42 %  reading ps-….txt  18 MB/s  0:35 left`, within 80 columns.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
#[allow(clippy::arithmetic_side_effects)] // of numbers with a point
fn line(progress: &Progress<'_>, elapsed: Duration) -> String {
    let share = progress.share();
    let done = (share * WIDTH as f64) as usize;
    let bar: String = (0..WIDTH)
        .map(|place| match place.cmp(&done) {
            std::cmp::Ordering::Less => '=',
            std::cmp::Ordering::Equal => '>',
            std::cmp::Ordering::Greater => ' ',
        })
        .collect();
    let mut line = format!("[{bar}] {:3.0} %  {}", share * 100.0, verb(progress.step));
    if let Step::Reading(file) = progress.step {
        let rate = progress.done as f64 / elapsed.as_secs_f64().max(0.001) / 1e6;
        line.push_str(&format!(" {}  {rate:.0} MB/s", short(file)));
    }
    if elapsed >= FIRST_GUESS && share > 0.0 {
        let left = (elapsed.as_secs_f64() * (1.0 - share) / share).round() as u64;
        line.push_str(&format!("  {}:{:02} left", left / 60, left % 60));
    }
    line
}

/// A name that fits beside the bar.
fn short(name: &str) -> String {
    const MOST: usize = 24;
    let clean: Vec<char> = name.chars().filter(|c| !c.is_control()).collect();
    match clean.len().checked_sub(MOST) {
        None | Some(0) => clean.into_iter().collect(),
        // Published names differ at their ends.
        Some(over) => std::iter::once('…').chain(clean.into_iter().skip(over.saturating_add(1))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_share_rate_and_time_left_within_a_terminal() {
        let name = "ps-libreacces-personne-activite.txt";
        let progress = Progress { step: Step::Reading(name), done: 500_000_000, of: 1_000_000_000 };
        let told = line(&progress, Duration::from_secs(10));
        assert_eq!(told, "[===>            ]  22 %  reading …s-personne-activite.txt  50 MB/s  0:34 left");
        assert!(told.chars().count() < 80, "{}", told.chars().count());
        let early = line(&progress, Duration::from_secs(1));
        assert!(!early.contains("left"), "{early}");
        let end = Progress { step: Step::Storing, done: 0, of: 0 };
        assert_eq!(line(&end, Duration::from_secs(90)), "[==============> ]  90 %  storing  0:10 left");
    }

    #[test]
    fn names_that_would_write_on_the_terminal_are_cleaned_and_cut() {
        assert_eq!(short("a\x1b[2Jb\n"), "a[2Jb");
        assert_eq!(short(&"x".repeat(500)).chars().count(), 24);
    }
}
