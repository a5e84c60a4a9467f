//! Whoever is asked, and how long each takes.

use std::time::{Duration, Instant};

use tests::bench::cpu;

use crate::questions::Question;

/// Hits of a page.
pub(crate) const PAGE: usize = 20;

/// Where processor time is spent on answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// In this process.
    Here,
    /// In that one and its children.
    There(u32),
}

/// Somebody who is asked over one connection that stays.
pub(crate) trait Subject {
    fn name(&self) -> &'static str;

    /// Connects anew, so that nothing has fallen asleep while others were asked.
    fn begin(&mut self) {}

    /// How many answers came; nothing where this cannot be asked.
    fn ask(&mut self, question: &Question) -> Option<usize>;

    fn cost(&self) -> Cost;

    /// Memory that it has resident, if it is a process of its own.
    fn resident(&self) -> Option<u64> {
        match self.cost() {
            Cost::Here => None,
            Cost::There(pid) => Some(resident(pid)),
        }
    }
}

/// What a process and its children have resident, shared pages once.
pub(crate) fn resident(pid: u32) -> u64 {
    cpu::family(pid).into_iter().map(proportional).sum()
}

fn proportional(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// What became of some questions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Microseconds that each took.
    pub(crate) times: Vec<f64>,
    /// How many of them found somebody.
    pub(crate) answered: usize,
}

/// Asks one question after the other, for so long at most; nothing when they cannot be asked there.
pub(crate) fn round(subject: &mut dyn Subject, questions: &[Question], most: Duration) -> Option<Round> {
    let mut round = Round::default();
    let all = Instant::now();
    for question in questions {
        let began = Instant::now();
        let answers = std::hint::black_box(subject.ask(question))?;
        round.times.push(began.elapsed().as_secs_f64() * 1e6);
        round.answered += usize::from(answers > 0);
        if all.elapsed() >= most {
            break;
        }
    }
    Some(round)
}
