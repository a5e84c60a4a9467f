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
    let mut walk = Walk::new(wanted, limit);
    let mut near = Vec::new();
    let mut cost = 0u64;
    let (mut entry, mut shared) = (0u32, 0usize);
    while entry < g.index.len() && near.len() < MAX_NEAR {
        let here = g.index.word(entry);
        walk.back_to(shared);
        let dead = here.iter().skip(shared).any(|octet| !walk.step(*octet));
        let steps = u64::try_from(walk.path.len().saturating_sub(shared)).unwrap_or(0);
        cost = cost.saturating_add(8).saturating_add(steps.saturating_mul(4));
        if !dead && walk.last() <= limit && here != wanted {
            near.push(entry);
        }
        // Nothing that begins like what is dead can be near: on to the first entry that does not.
        let within = if dead { walk.path.len() } else { usize::MAX };
        (entry, shared) = g.index.shared.next(entry, within);
        shared = shared.min(walk.path.len());
    }
    (near, cost)
}

/// Cells of a row that can be within the limit: as many on either side of the diagonal.
const BAND: usize = 5;

/// Rows of the edit distance (two neighbours swapped count as one), one for each letter of the path. Of a row only what
/// can be near is worked out: `row[2]` is on the diagonal.
struct Walk<'a> {
    wanted: &'a [u8],
    limit: u8,
    path: Vec<u8>,
    rows: Vec<[u8; BAND]>,
}

impl<'a> Walk<'a> {
    fn new(wanted: &'a [u8], limit: u8) -> Self {
        // Before the first letter: to be left of the word is nowhere.
        let first = [FAR, FAR, 0, 1, 2];
        Self { wanted, limit, path: Vec::new(), rows: vec![first] }
    }

    fn back_to(&mut self, letters: usize) {
        self.path.truncate(letters);
        self.rows.truncate(letters.saturating_add(1));
    }

    /// Goes one letter on; false when no word that begins with the path can be near.
    fn step(&mut self, octet: u8) -> bool {
        let depth = self.rows.len();
        let before = self.path.last().copied();
        let nowhere = [FAR; BAND];
        let last = self.rows.last().copied().unwrap_or(nowhere);
        let earlier = depth.checked_sub(2).and_then(|at| self.rows.get(at)).copied().unwrap_or(nowhere);
        let cell = |row: &[u8; BAND], at: usize| row.get(at).copied().unwrap_or(FAR);
        let mut row = nowhere;
        let mut alive = false;
        for at in 0..BAND {
            // The place in the word: so many letters of it are behind.
            let Some(place) = depth.saturating_add(at).checked_sub(2).filter(|place| *place <= self.wanted.len())
            else {
                continue;
            };
            let left = at.checked_sub(1).map_or(FAR, |left| cell(&row, left));
            // The row before is one place behind: above is one further on, the diagonal is level.
            let mut best = left.min(cell(&last, at.saturating_add(1))).saturating_add(1);
            if let Some(letter) = place.checked_sub(1).and_then(|n| self.wanted.get(n)).copied() {
                best = best.min(cell(&last, at).saturating_add(u8::from(letter != octet)));
                let previous = place.checked_sub(2).and_then(|n| self.wanted.get(n)).copied();
                if previous == Some(octet) && before == Some(letter) {
                    best = best.min(cell(&earlier, at).saturating_add(1));
                }
            }
            alive |= best <= self.limit;
            if let Some(slot) = row.get_mut(at) {
                *slot = best;
            }
        }
        self.path.push(octet);
        self.rows.push(row);
        alive
    }

    /// How far the path is from the word.
    fn last(&self) -> u8 {
        let at = self.wanted.len().saturating_add(3).checked_sub(self.rows.len());
        at.and_then(|at| self.rows.last()?.get(at)).copied().unwrap_or(FAR)
    }
}

/// Too far, and far from running over.
const FAR: u8 = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole table, as the books have it.
    fn by_the_book(a: &[u8], b: &[u8]) -> usize {
        let mut table = vec![vec![0usize; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, _) => j,
                    (_, 0) => i,
                    _ => {
                        let change = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let mut best = change.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            best = best.min(table[i - 2][j - 2] + 1);
                        }
                        best
                    }
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_band_says_what_the_whole_table_says(wanted in "[a-c]{1,9}", other in "[a-c]{0,10}", limit in 1u8..=2) {
            let (wanted, other) = (wanted.as_bytes(), other.as_bytes());
            let mut walk = Walk::new(wanted, limit);
            let alive = other.iter().all(|octet| walk.step(*octet));
            let near = alive && walk.last() <= limit;
            prop_assert_eq!(near, by_the_book(wanted, other) <= usize::from(limit));
        }
    }
}
