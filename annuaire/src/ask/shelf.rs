//! A bounded memory: what was not used for longest goes first.

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;

/// What takes room on a [`Shelf`].
pub(super) trait Octets {
    /// How many octets it takes.
    fn octets(&self) -> usize;
}

/// Values by key, so many of them, and so many octets together.
#[derive(Debug)]
pub(super) struct Shelf<K, V> {
    held: HashMap<K, (V, u64), RandomState>,
    octets: usize,
    clock: u64,
    room: usize,
    most: usize,
}

impl<K: Eq + Hash, V: Octets> Shelf<K, V> {
    /// Room for so many octets, and for so many values.
    pub(super) fn new(room: usize, most: usize) -> Self {
        Self { held: HashMap::default(), octets: 0, clock: 0, room, most }
    }

    /// Octets that it may take.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Whether a quarter is free.
    pub(super) fn has_room(&self) -> bool {
        self.octets <= three_quarters(self.room) && self.held.len() <= three_quarters(self.most)
    }

    /// Everything that is on it, and when it was used.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V, u64)> {
        self.held.iter().map(|(key, (value, used))| (key, value, *used))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.held.get(key).map(|(value, _)| value)
    }

    /// The value of a key, which is used now; it may be changed, but not in size.
    pub(super) fn used(&mut self, key: &K) -> Option<&mut V> {
        self.clock = self.clock.saturating_add(1);
        let (value, used) = self.held.get_mut(key)?;
        *used = self.clock;
        Some(value)
    }

    /// Puts a value in its place, which is not a use of it, and gives back what had to go: to free tens of megabytes takes
    /// a while, for which nobody is to wait.
    pub(super) fn put(&mut self, key: K, value: V) -> Vec<(K, (V, u64))> {
        let used = self.held.get(&key).map_or(self.clock, |(_, used)| *used);
        self.octets = self.octets.saturating_add(value.octets());
        if let Some((before, _)) = self.held.insert(key, (value, used)) {
            self.octets = self.octets.saturating_sub(before.octets());
        }
        self.make_room()
    }

    /// Everything that is on it.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.room, self.most))
    }

    /// Forgets what was not used for longest until a quarter is free again.
    fn make_room(&mut self) -> Vec<(K, (V, u64))> {
        if self.octets <= self.room && self.held.len() <= self.most {
            return Vec::new();
        }
        let mut ages: Vec<(u64, usize)> = self.held.values().map(|(value, used)| (*used, value.octets())).collect();
        ages.sort_unstable();
        let (mut octets, mut count, mut youngest) = (self.octets, self.held.len(), 0);
        for (used, own) in ages {
            if octets <= three_quarters(self.room) && count <= three_quarters(self.most) {
                break;
            }
            octets = octets.saturating_sub(own);
            count = count.saturating_sub(1);
            youngest = used;
        }
        let forgotten = self.held.extract_if(|_, (_, used)| *used <= youngest).collect();
        self.octets = self.held.values().map(|(value, _)| value.octets()).fold(0, usize::saturating_add);
        forgotten
    }
}

fn three_quarters(all: usize) -> usize {
    all.saturating_sub(all / 4)
}
