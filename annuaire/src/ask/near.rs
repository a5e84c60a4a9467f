//! Words that are one or two letters off: a walk through the sorted dictionary that leaves out whatever begins
//! wrongly.

use crate::Generation;

/// Shortest word that may be misspelt: of a shorter one too little is left to go by.
const SHORTEST: usize = 4;
/// From this length on, two letters may be wrong.
const TWO_FROM: usize = 8;
/// Most words of the dictionary that one misspelt word may stand for.
pub(super) const MAX_NEAR: usize = 256;
/// Longest word that is walked with.
const LONGEST: usize = 32;

/// How far off a word of so many letters may be; nothing: not at all.
pub(crate) fn distance(length: usize) -> Option<u8> {
    match length {
        0..SHORTEST => None,
        SHORTEST..TWO_FROM => Some(1),
        TWO_FROM..=LONGEST => Some(2),
        _ => None,
    }
}

/// The dictionary entries whose word is near `word` and not the same, and how many octets were looked at.
pub(super) fn entries(g: &Generation, word: &str) -> (Vec<u32>, u64) {
    let wanted = word.as_bytes();
    let Some(limit) = distance(wanted.len()).filter(|_| wanted.iter().all(u8::is_ascii_lowercase)) else {
        return (Vec::new(), 0);
    };
    let mut walk =
        Walk { wanted, limit, rows: vec![(0..=LONGEST).map(|n| u8::try_from(n).unwrap_or(u8::MAX)).collect()] };
    let mut near = Vec::new();
    let mut cost = 0u64;
    let mut entry = 0u32;
    let mut path: Vec<u8> = Vec::new();
    while entry < g.index.len() && near.len() < MAX_NEAR {
        cost = cost.saturating_add(8);
        let here = g.index.word(entry).as_bytes();
        let shared = path.iter().zip(here).take_while(|(a, b)| a == b).count();
        path.truncate(shared);
        walk.rows.truncate(shared.saturating_add(1));
        let dead = here.iter().skip(shared).find_map(|octet| {
            cost = cost.saturating_add(4);
            let before = path.last().copied();
            path.push(*octet);
            (!walk.step(*octet, before)).then_some(path.len())
        });
        match dead {
            // Nothing that begins like this can be near: on to the first entry that does not.
            Some(length) => {
                let start = here.get(..length).unwrap_or_default();
                entry = after(g, entry, start);
                cost = cost.saturating_add(32);
            }
            None => {
                if walk.last() <= limit && here != wanted {
                    near.push(entry);
                }
                entry = entry.saturating_add(1);
            }
        }
    }
    (near, cost)
}

/// The first entry from `from` on that does not begin with `start`: by doubling steps, then by halves.
fn after(g: &Generation, from: u32, start: &[u8]) -> u32 {
    let begins = |entry: u32| entry < g.index.len() && g.index.entries.get(entry).as_bytes().starts_with(start);
    let mut step = 1u32;
    let mut low = from;
    while begins(low.saturating_add(step)) {
        low = low.saturating_add(step);
        step = step.saturating_mul(2);
    }
    crate::generation::partition(low, low.saturating_add(step).min(g.index.len()), begins)
}

/// Rows of the edit distance (two neighbours swapped count as one), one for each letter of the path.
struct Walk<'a> {
    wanted: &'a [u8],
    limit: u8,
    rows: Vec<Vec<u8>>,
}

impl Walk<'_> {
    /// Goes one letter on; false when no word that begins with the path can be near.
    fn step(&mut self, octet: u8, before: Option<u8>) -> bool {
        let depth = self.rows.len();
        let (Some(last), earlier) = (self.rows.last(), depth.checked_sub(2).and_then(|at| self.rows.get(at))) else {
            return false;
        };
        let get = |row: &[u8], at: usize| row.get(at).copied().unwrap_or(u8::MAX);
        let mut row = Vec::with_capacity(self.wanted.len().saturating_add(1));
        row.push(u8::try_from(depth).unwrap_or(u8::MAX));
        for (n, letter) in self.wanted.iter().enumerate() {
            let place = n.saturating_add(1);
            let same = u8::from(*letter != octet);
            let mut best = get(last, n).saturating_add(same);
            best = best.min(get(last, place).saturating_add(1)).min(get(&row, n).saturating_add(1));
            let previous = n.checked_sub(1).and_then(|at| self.wanted.get(at)).copied();
            if let (Some(earlier), Some(n)) = (earlier, n.checked_sub(1))
                && previous == Some(octet)
                && before == Some(*letter)
            {
                best = best.min(get(earlier, n).saturating_add(1));
            }
            row.push(best);
        }
        let alive = row.iter().any(|cost| *cost <= self.limit);
        self.rows.push(row);
        alive
    }

    fn last(&self) -> u8 {
        self.rows.last().and_then(|row| row.get(self.wanted.len())).copied().unwrap_or(u8::MAX)
    }
}
