//! How far a load is, told to whoever waits for it.

/// What a load does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Reads the file of this name.
    Reading(&'a str),
    /// Sorts, joins and indexes what was read.
    Indexing,
    /// Compares with the generation in service.
    Comparing,
    /// Writes the new generation to disk.
    Storing,
}

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What it does now.
    pub step: Step<'a>,
    /// How much of [`Self::of`] is done: octets of all files together while reading, else parts of the step.
    pub done: u64,
    /// How much there is to do in this step; 0 where that is not known.
    pub of: u64,
}

/// Who is told: called a few thousand times in a whole load, so that it may draw each time.
pub(crate) type Watch<'w> = dyn FnMut(&Progress<'_>) + 'w;

impl Progress<'_> {
    /// Which part of the whole load is done, from 0 to 1. The steps take their measured parts of the time, over the
    /// data of a nation (2 million activities).
    pub fn share(&self) -> f64 {
        let (before, part) = match self.step {
            Step::Reading(_) => (0.0, 0.45),
            Step::Indexing => (0.45, 0.42),
            Step::Comparing => (0.87, 0.03),
            Step::Storing => (0.90, 0.10),
        };
        before + part * of(self.done, self.of)
    }
}

#[allow(clippy::cast_precision_loss)] // a bar has no more than a few hundred places
fn of(done: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (done as f64 / of as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_never_goes_back() {
        let steps = [Step::Reading("x"), Step::Indexing, Step::Comparing, Step::Storing];
        let shares: Vec<f64> = steps
            .into_iter()
            .flat_map(|step| [0, 1, 7, 10, 99].map(|done| Progress { step, done, of: 10 }.share()))
            .collect();
        assert!(shares.is_sorted(), "{shares:?}");
        assert!(shares.first() == Some(&0.0) && shares.last() == Some(&1.0), "{shares:?}");
        assert!(Progress { step: Step::Indexing, done: 3, of: 0 }.share() < 0.5);
    }
}
