//! How much is under way to each destination, and what that leaves to be claimed.

use std::{collections::HashMap, time::Duration};

use ident::Timestamp;
use store::{ClaimRequest, Destination};

/// Attempts under way.
#[derive(Default)]
pub(super) struct Busy {
    by_destination: HashMap<Destination, usize>,
    all: usize,
    /// Bound over all destinations.
    most: usize,
    /// Bound of one destination: how many connections a partner sees at once.
    most_each: usize,
}

impl Busy {
    /// Sets the bounds. A bound of zero would stop all delivery: it counts as one.
    pub(super) fn bound(&mut self, most: usize, most_each: usize) {
        self.most = most.max(1);
        self.most_each = most_each.max(1);
    }

    /// What may be claimed now; `None` when everything is taken.
    pub(super) fn request(&self, lease: Duration, now: Timestamp) -> Option<ClaimRequest> {
        let free = self.most.saturating_sub(self.all);
        if free == 0 {
            return None;
        }
        let mut request = ClaimRequest::new(free, lease, now);
        request.per_destination = self.most_each;
        for (destination, count) in &self.by_destination {
            match self.most_each.saturating_sub(*count) {
                0 => request.excluded.push(destination.clone()),
                // The bound of a request is one for all: the narrowest counts, others come again.
                room => request.per_destination = request.per_destination.min(room),
            }
        }
        Some(request)
    }

    /// Notes what was claimed, and says whether the request may have left due work that there is room for.
    pub(super) fn began<'a>(&mut self, request: &ClaimRequest, claimed: impl Iterator<Item = &'a Destination>) -> bool {
        let mut given: HashMap<&Destination, usize> = HashMap::new();
        for destination in claimed {
            self.all = self.all.saturating_add(1);
            let count = self.by_destination.entry(destination.clone()).or_default();
            *count = count.saturating_add(1);
            let given = given.entry(destination).or_default();
            *given = given.saturating_add(1);
        }
        let room = |destination| self.by_destination.get(destination).is_some_and(|count| *count < self.most_each);
        self.all < self.most
            && given.into_iter().any(|(destination, count)| count >= request.per_destination && room(destination))
    }

    /// Notes an end, and says whether work may have been waiting for it.
    pub(super) fn ended(&mut self, destination: &Destination) -> bool {
        let mut waited_for = self.all >= self.most;
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_destination.get_mut(destination) {
            waited_for |= *count >= self.most_each;
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_destination.remove(destination);
            }
        }
        waited_for
    }
}

#[cfg(test)]
#[path = "busy_tests.rs"]
mod tests;
