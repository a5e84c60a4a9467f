//! Words that were asked for lately, read and ready: whoever types a name or a town types what others type.
//!
//! A word's documents never change within a generation and a registry. What is kept saves time only: a question is charged
//! as if it had read everything anew, so it finds the same and is cut at the same place, whoever asked before.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Filter,
    compile::Span,
    graded::Graded,
    inside::{Inside, REMEMBERED, Searched},
    shelf::{Octets, Shelf},
};
use crate::{Fields, generation::Space};

/// Octets that one generation may take for it.
const ROOM: usize = 96 << 20;
/// Words of which something is known, read or not.
const WORDS: usize = 4096;
/// Octets that the words may take that have letters inside them, and of how many letters they are known.
const INSIDE_ROOM: usize = 8 << 20;
const LETTERS: usize = 1024;

/// One word, as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Under which red list: [`super::hidden::Hidden::number`]; zero if none touches the word.
    pub(super) overlay: u64,
    pub(super) space: Space,
    pub(super) ranked: bool,
    pub(super) spans: Vec<Span>,
    /// Letters that may stand anywhere in a word, and in which fields.
    pub(super) inner: Option<(Arc<str>, Fields)>,
}

/// What is known of a word.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// How long its lists are together.
    pub(super) cost: u64,
    /// How often it was looked for before.
    pub(super) before: u32,
    /// What was asked for, if another generation can be asked for the same.
    pub(super) asked: Option<Arc<Filter>>,
    pub(super) graded: Option<Arc<Graded>>,
}

impl Octets for Known {
    fn octets(&self) -> usize {
        self.graded.as_ref().map_or(0, |graded| graded.octets())
    }
}

impl Octets for Searched {
    fn octets(&self) -> usize {
        match &self.inside {
            Inside::Few(list) => list.len().saturating_mul(4),
            Inside::Many => 0,
        }
    }
}

/// The words of one generation that were asked for lately.
#[derive(Debug)]
pub(crate) struct Kept {
    words: Mutex<Shelf<Key, Known>>,
    /// Letters, and the words that have them inside.
    inside: Mutex<Shelf<(String, Fields), Searched>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { words: Mutex::new(Shelf::new(ROOM, WORDS)), inside: Mutex::new(Shelf::new(INSIDE_ROOM, LETTERS)) }
    }
}

impl Kept {
    /// What is known of a word that is looked for once more; nothing the first time.
    pub(super) fn again(&self, key: &Key) -> Option<Known> {
        with(&self.words, |shelf| {
            let known = shelf.used(key)?;
            known.before = known.before.saturating_add(1);
            Some(known.clone())
        })
    }

    /// What is known of a word.
    pub(super) fn get(&self, key: &Key) -> Option<Known> {
        with(&self.words, |shelf| shelf.get(key).cloned())
    }

    /// Learns how long a word's lists are.
    pub(super) fn learn(&self, key: Key, cost: u64, asked: Option<Arc<Filter>>) {
        let _forgotten = with(&self.words, |shelf| match shelf.get(&key) {
            Some(_) => Vec::new(),
            None => shelf.put(key, Known { cost, before: 0, asked, graded: None }),
        });
    }

    /// Keeps what was read.
    pub(super) fn put(&self, key: &Key, graded: &Arc<Graded>) {
        let octets = graded.octets();
        let _forgotten = with(&self.words, |shelf| match shelf.get(key) {
            Some(known) if known.graded.is_none() && octets <= shelf.room() / 8 => {
                shelf.put(key.clone(), Known { graded: Some(Arc::clone(graded)), ..known.clone() })
            }
            _ => Vec::new(),
        });
    }

    /// The words that have these letters inside, in these fields, if somebody asked for them lately.
    pub(super) fn inside(&self, key: &(String, Fields)) -> Option<Searched> {
        with(&self.inside, |shelf| shelf.used(key).cloned())
    }

    /// Keeps the words that have these letters inside.
    pub(super) fn put_inside(&self, key: (String, Fields), found: &Searched) {
        if key.0.len() <= REMEMBERED {
            let _forgotten = with(&self.inside, |shelf| shelf.put(key, found.clone()));
        }
    }

    /// What was read of the words that cost so much at least, used last first.
    pub(super) fn asked(&self, least: u64) -> Vec<(Space, Arc<Filter>)> {
        let mut asked = with(&self.words, |shelf| {
            let read = shelf.iter().filter(|(_, known, _)| known.graded.is_some() && known.cost >= least);
            read.filter_map(|(key, known, used)| Some((used, key.space, known.asked.clone()?))).collect::<Vec<_>>()
        });
        asked.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        asked.into_iter().map(|(_, space, asked)| (space, asked)).collect()
    }

    /// The letters that were looked for inside words, used last first.
    pub(super) fn letters(&self) -> Vec<(String, Fields)> {
        let mut letters: Vec<_> =
            with(&self.inside, |shelf| shelf.iter().map(|(key, _, used)| (used, key.clone())).collect());
        letters.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        letters.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether there is room for words that nobody asked for yet.
    pub(super) fn has_room(&self) -> bool {
        with(&self.words, |shelf| shelf.has_room())
    }

    /// Words that are read.
    pub(super) fn ready(&self) -> usize {
        with(&self.words, |shelf| shelf.iter().filter(|(_, known, _)| known.graded.is_some()).count())
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let _words = with(&self.words, Shelf::take);
        let _inside = with(&self.inside, Shelf::take);
    }
}

fn with<S, T>(shelf: &Mutex<S>, work: impl FnOnce(&mut S) -> T) -> T {
    work(&mut shelf.lock().unwrap_or_else(PoisonError::into_inner))
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
        Key { overlay: number, space: Space::People, ranked: true, spans: Vec::new(), inner: None }
    }

    #[test]
    fn what_is_kept_stays_within_its_room_and_what_was_used_last_stays() {
        let kept = Kept::default();
        let large = Arc::new(Graded::of([(Grade::BEST, Set::all(8 * 4_000_000))]));
        assert!(large.octets() > 4_000_000 - 1 && large.octets() <= ROOM / 8);
        let count = u64::try_from(ROOM / large.octets()).unwrap() * 3;
        for number in 0..count {
            assert!(kept.again(&key(number)).is_none(), "nobody asked for it yet");
            kept.learn(key(number), 7, None);
            kept.put(&key(number), &large);
            // Asked for all the time.
            assert_eq!(kept.again(&key(0)).map(|known| (known.cost, known.graded.is_some())), Some((7, true)));
            let held = (0..count).filter(|n| kept.get(&key(*n)).is_some_and(|known| known.graded.is_some())).count();
            assert!(held * large.octets() <= ROOM && held >= 1, "{held} of {number}");
        }
        assert!(kept.get(&key(count - 1)).is_some_and(|known| known.graded.is_some()), "the last one");
        assert!(kept.get(&key(1)).is_none(), "not used since");
        let huge = Arc::new(Graded::of([(Grade::BEST, Set::all(u32::try_from(8 * (ROOM / 8 + 8)).unwrap()))]));
        kept.learn(key(count), 7, None);
        kept.put(&key(count), &huge);
        assert!(kept.get(&key(count)).is_some_and(|known| known.graded.is_none()), "takes the room of many");
        let names = u64::try_from(WORDS).unwrap() * 2;
        (0..names).for_each(|number| kept.learn(key(1000 + number), 7, None));
        assert!((0..names).filter(|n| kept.get(&key(1000 + n)).is_some()).count() <= WORDS);
    }
}
