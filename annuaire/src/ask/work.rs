//! What answering costs, counted.

use std::cell::Cell;

/// Counts work in list entries read, some four nanoseconds each, and says when enough is enough: the same question costs
/// the same on every machine, at every load. Whoever works looks at it between steps, so the last step may go beyond.
#[derive(Debug)]
pub(crate) struct Work {
    spent: Cell<u64>,
    limit: Cell<u64>,
}

impl Work {
    /// So many units and no more.
    pub(crate) const fn new(limit: u64) -> Self {
        Self { spent: Cell::new(0), limit: Cell::new(limit) }
    }

    /// So many units have been worked off.
    pub(crate) fn spend(&self, units: u64) {
        self.spent.set(self.spent.get().saturating_add(units));
    }

    /// The same, for things that were counted.
    pub(crate) fn spend_on(&self, things: usize, units_each: u64) {
        self.spend(u64::try_from(things).unwrap_or(u64::MAX).saturating_mul(units_each));
    }

    /// Whether it is time to stop.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get() > self.limit.get()
    }

    /// All that was spent.
    pub(crate) fn total(&self) -> u64 {
        self.spent.get()
    }

    /// What is left.
    pub(crate) fn left(&self) -> u64 {
        self.limit.get().saturating_sub(self.spent.get())
    }

    /// Does one part of the work, which must leave so much.
    pub(crate) fn leaving<T>(&self, reserve: u64, part: impl FnOnce() -> T) -> T {
        self.within(self.left().saturating_sub(reserve), part)
    }

    /// Does one part of the work, which may take so much of what is left.
    pub(crate) fn within<T>(&self, most: u64, part: impl FnOnce() -> T) -> T {
        let whole = self.limit.get();
        self.limit.set(whole.min(self.spent.get().saturating_add(most)));
        let done = part();
        self.limit.set(whole);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_no_more_than_its_own_and_no_more_than_the_whole() {
        let work = Work::new(100);
        work.within(10, || {
            work.spend(10);
            assert!(!work.is_spent());
            work.spend_on(2, 3);
            assert!(work.is_spent());
        });
        assert!(!work.is_spent() && work.total() == 16);
        work.within(1000, || {
            work.spend(85);
            assert!(work.is_spent());
        });
        work.spend(u64::MAX);
        assert!(work.is_spent() && work.total() == u64::MAX);
    }
}
