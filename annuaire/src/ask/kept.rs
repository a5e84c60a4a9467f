//! Words that were asked for lately, read and ready: whoever types a name or a town types what others type.
//!
//! A word's documents never change within a generation and a registry. What is kept saves time only: a question is charged
//! as if it had read everything anew, so it finds the same and is cut at the same place, whoever asked before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;

use super::{compile::Span, graded::Graded};
use crate::generation::Space;

/// Octets that one generation may take for it.
const ROOM: usize = 64 << 20;
/// Words of which something is known, read or not.
const WORDS: usize = 4096;

/// One word, as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Which red list and which added mailboxes: [`super::hidden::Hidden::number`].
    pub(super) overlay: u64,
    pub(super) space: Space,
    pub(super) ranked: bool,
    pub(super) spans: Vec<Span>,
}

/// What is known of a word.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// How long its lists are together.
    pub(super) cost: u64,
    /// How often it was looked for before.
    pub(super) before: u32,
    pub(super) graded: Option<Arc<Graded>>,
    used: u64,
}

#[derive(Debug, Default)]
struct Shelf {
    words: HashMap<Key, Known, RandomState>,
    octets: usize,
    clock: u64,
}

/// The words of one generation that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Shelf>);

impl Kept {
    /// What is known of a word that is looked for once more; nothing the first time.
    pub(super) fn again(&self, key: &Key) -> Option<Known> {
        self.with(|shelf| {
            shelf.clock = shelf.clock.saturating_add(1);
            let known = shelf.words.get_mut(key)?;
            known.used = shelf.clock;
            known.before = known.before.saturating_add(1);
            Some(known.clone())
        })
    }

    /// What is known of a word.
    pub(super) fn get(&self, key: &Key) -> Option<Known> {
        self.with(|shelf| shelf.words.get(key).cloned())
    }

    /// Learns how long a word's lists are.
    pub(super) fn learn(&self, key: Key, cost: u64) {
        let _forgotten = self.with(|shelf| {
            let used = shelf.clock;
            shelf.words.entry(key).or_insert(Known { cost, before: 0, graded: None, used });
            shelf.make_room()
        });
    }

    /// Keeps what was read.
    pub(super) fn put(&self, key: &Key, graded: &Arc<Graded>) {
        let octets = graded.octets();
        if octets > ROOM / 8 {
            return;
        }
        let _forgotten = self.with(|shelf| {
            let Some(known) = shelf.words.get_mut(key).filter(|known| known.graded.is_none()) else {
                return Vec::new();
            };
            known.graded = Some(Arc::clone(graded));
            shelf.octets = shelf.octets.saturating_add(octets);
            shelf.make_room()
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let _forgotten = self.with(std::mem::take);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf {
    /// Forgets what was not used for longest until a quarter is free again, and gives it back: to free tens of megabytes
    /// takes a while, for which nobody is to wait.
    fn make_room(&mut self) -> Vec<(Key, Known)> {
        if self.octets <= ROOM && self.words.len() <= WORDS {
            return Vec::new();
        }
        let mut ages: Vec<(u64, usize)> = self.words.values().map(|known| (known.used, known.octets())).collect();
        ages.sort_unstable();
        let (mut octets, mut words, mut youngest) = (self.octets, self.words.len(), 0);
        for (used, own) in ages {
            if octets <= ROOM / 4 * 3 && words <= WORDS / 4 * 3 {
                break;
            }
            octets = octets.saturating_sub(own);
            words = words.saturating_sub(1);
            youngest = used;
        }
        let forgotten = self.words.extract_if(|_, known| known.used <= youngest).collect();
        self.octets = self.words.values().map(Known::octets).fold(0, usize::saturating_add);
        forgotten
    }
}

impl Known {
    fn octets(&self) -> usize {
        self.graded.as_ref().map_or(0, |graded| graded.octets())
    }
}

/// What is kept makes no generation another one.
impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Kept {}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{graded::Grade, set::Set};

    fn key(number: u64) -> Key {
        Key { overlay: number, space: Space::People, ranked: true, spans: Vec::new() }
    }

    #[test]
    fn what_is_kept_stays_within_its_room_and_what_was_used_last_stays() {
        let kept = Kept::default();
        let large = Arc::new(Graded::of([(Grade::BEST, Set::all(8 * 4_000_000))]));
        assert!(large.octets() > 4_000_000 - 1 && large.octets() <= ROOM / 8);
        let count = u64::try_from(ROOM / large.octets()).unwrap() * 3;
        for number in 0..count {
            assert!(kept.again(&key(number)).is_none(), "nobody asked for it yet");
            kept.learn(key(number), 7);
            kept.put(&key(number), &large);
            // Asked for all the time.
            assert_eq!(kept.again(&key(0)).map(|known| (known.cost, known.graded.is_some())), Some((7, true)));
            let held = (0..count).filter(|n| kept.get(&key(*n)).is_some_and(|known| known.graded.is_some())).count();
            assert!(held * large.octets() <= ROOM && held >= 1, "{held} of {number}");
        }
        assert!(kept.get(&key(count - 1)).is_some_and(|known| known.graded.is_some()), "the last one");
        assert!(kept.get(&key(1)).is_none(), "not used since");
        let huge = Arc::new(Graded::of([(Grade::BEST, Set::all(8 * 9_000_000))]));
        kept.learn(key(count), 7);
        kept.put(&key(count), &huge);
        assert!(kept.get(&key(count)).is_some_and(|known| known.graded.is_none()), "takes the room of many");
        let names = u64::try_from(WORDS).unwrap() * 2;
        (0..names).for_each(|number| kept.learn(key(1000 + number), 7));
        assert!((0..names).filter(|n| kept.get(&key(1000 + n)).is_some()).count() <= WORDS);
    }
}
