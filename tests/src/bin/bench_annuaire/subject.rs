//! Whoever is asked, and how long each takes.

use std::time::Instant;

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

/// Microseconds that each question took; nothing when it cannot be asked there, or is never answered.
pub(crate) fn times(subject: &mut dyn Subject, questions: &[Question]) -> Option<Vec<f64>> {
    let mut answered = 0usize;
    let mut times = Vec::with_capacity(questions.len());
    for question in questions {
        let began = Instant::now();
        let answers = std::hint::black_box(subject.ask(question))?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        answered += usize::from(answers > 0);
    }
    // A bench that asks in vain measures nothing.
    if answered * 10 < questions.len() * 8 {
        eprintln!("  {}: {answered} of {} answered, as {:?}", subject.name(), questions.len(), questions.first());
    }
    Some(times)
}
