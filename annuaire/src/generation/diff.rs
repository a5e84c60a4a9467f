//! What differs between two generations, file by file.

use std::{cmp::Ordering, collections::BTreeSet};

use serde::Serialize;

use super::{Card, Generation, builder::join, tables::Column};
use crate::FileKind;

/// Differences of one file's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileDiff {
    /// Published name of the file.
    pub file: &'static str,
    /// Records before.
    pub before: u64,
    /// Records now.
    pub after: u64,
    /// New ones.
    pub created: u64,
    /// Same person, address or card number, other content.
    pub changed: u64,
    /// Gone.
    pub deleted: u64,
}

/// What differs between two generations. The extracts have no technical keys: activities, skills and diplomas
/// are compared within each person, mailboxes by address, cards by number and person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The earlier generation.
    pub from: String,
    /// The later one.
    pub to: String,
    /// File by file.
    pub files: Vec<FileDiff>,
    /// Mail domains that have no mailbox any more: worth a look, never a reason to stop.
    pub domains_gone: Vec<String>,
    /// Mail domains that had none before.
    pub domains_new: Vec<String>,
}

/// Of a hundred records, how many may be deleted or changed without confirmation.
pub const SHRINK_LIMIT_PERCENT: u64 = 5;

impl FileDiff {
    /// Whether more than [`SHRINK_LIMIT_PERCENT`] of the records were deleted or changed. Creations do not count.
    pub fn trips_guard(&self) -> bool {
        self.lost().saturating_mul(100) > self.before.saturating_mul(SHRINK_LIMIT_PERCENT)
    }

    fn lost(&self) -> u64 {
        self.deleted.saturating_add(self.changed)
    }
}

impl Diff {
    /// The files that differ too much to be put in service without confirmation.
    pub fn held_by(&self) -> impl Iterator<Item = &FileDiff> {
        self.files.iter().filter(|file| file.trips_guard())
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|file| file.created == 0 && file.lost() == 0)
    }
}

/// Compares two generations.
pub fn diff(from: &Generation, to: &Generation) -> Diff {
    let files = FileKind::ALL.map(|kind| {
        let mut counts = Counts::default();
        match kind {
            FileKind::Activities | FileKind::Skills | FileKind::Diplomas => by_person(kind, from, to, &mut counts),
            FileKind::Mailboxes => by_key(mailboxes(from), mailboxes(to), &mut counts),
            FileKind::Cards => by_key(cards(from), cards(to), &mut counts),
        }
        let Counts { before, after, created, changed, deleted } = counts;
        FileDiff { file: kind.file_name(), before, after, created, changed, deleted }
    });
    let (old, new) = (domains(from), domains(to));
    let names = |names: BTreeSet<&str>, others: &BTreeSet<&str>| {
        names.difference(others).map(|domain| (*domain).to_owned()).collect()
    };
    Diff {
        from: from.id.clone(),
        to: to.id.clone(),
        files: files.to_vec(),
        domains_gone: names(old.clone(), &new),
        domains_new: names(new, &old),
    }
}

fn domains(generation: &Generation) -> BTreeSet<&str> {
    generation.mailboxes().filter_map(|mailbox| mailbox.key().rsplit_once('@').map(|(_, domain)| domain)).collect()
}

#[derive(Debug, Default)]
struct Counts {
    before: u64,
    after: u64,
    created: u64,
    changed: u64,
    deleted: u64,
}

impl Counts {
    /// Two sets of row hashes of one owner: equal ones are unchanged, the others change in pairs, the rest came
    /// or went.
    fn compare(&mut self, mut old: Vec<u64>, mut new: Vec<u64>) {
        self.before = self.before.saturating_add(count(&old));
        self.after = self.after.saturating_add(count(&new));
        old.sort_unstable();
        new.sort_unstable();
        let same = common(&old, &new);
        let (gone, come) = (count(&old).saturating_sub(same), count(&new).saturating_sub(same));
        let changed = gone.min(come);
        self.changed = self.changed.saturating_add(changed);
        self.deleted = self.deleted.saturating_add(gone.saturating_sub(changed));
        self.created = self.created.saturating_add(come.saturating_sub(changed));
    }
}

fn count(hashes: &[u64]) -> u64 {
    u64::try_from(hashes.len()).unwrap_or(u64::MAX)
}

/// How many values two sorted lists share.
fn common(old: &[u64], new: &[u64]) -> u64 {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut same = 0u64;
    while let (Some(a), Some(b)) = (old.peek(), new.peek()) {
        match a.cmp(b) {
            Ordering::Less => drop(old.next()),
            Ordering::Greater => drop(new.next()),
            Ordering::Equal => {
                same = same.saturating_add(1);
                old.next();
                new.next();
            }
        }
    }
    same
}

/// Walks two lists sorted by key together.
fn merge<K: Ord, V>(
    old: impl Iterator<Item = (K, V)>,
    new: impl Iterator<Item = (K, V)>,
    mut both: impl FnMut(Option<V>, Option<V>),
) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let before = if order == Ordering::Greater { None } else { old.next() };
        let after = if order == Ordering::Less { None } else { new.next() };
        both(before.map(|(_, value)| value), after.map(|(_, value)| value));
    }
}

fn by_person(kind: FileKind, from: &Generation, to: &Generation, counts: &mut Counts) {
    merge(people(from), people(to), |old, new| {
        let hashes = |g: &Generation, row: Option<u32>| row.map_or_else(Vec::new, |row| person_hashes(g, kind, row));
        counts.compare(hashes(from, old), hashes(to, new));
    });
}

fn people(generation: &Generation) -> impl Iterator<Item = (&str, u32)> {
    generation.people().map(|person| (person.id_text(), person.row))
}

fn person_hashes(generation: &Generation, kind: FileKind, person: u32) -> Vec<u64> {
    let t = &generation.tables;
    let (starts, high, low): (&Column, &Column, &Column) = match kind {
        FileKind::Skills => (&t.person_skill_starts, &t.skill_hash_high, &t.skill_hash_low),
        FileKind::Diplomas => (&t.person_diploma_starts, &t.diploma_hash_high, &t.diploma_hash_low),
        _ => (&t.person_activity_starts, &t.activity_hash_high, &t.activity_hash_low),
    };
    starts.range(person).map(|row| join(high.at(row), low.at(row))).collect()
}

/// Mailboxes by address, with the hash of what the rows say.
fn mailboxes(generation: &Generation) -> Vec<(&str, u64)> {
    let t = &generation.tables;
    let hash = |row| join(t.mailbox_hash_high.at(row), t.mailbox_hash_low.at(row));
    generation.mailboxes().map(|mailbox| (mailbox.key(), hash(mailbox.row))).collect()
}

/// Cards by number and person.
fn cards(generation: &Generation) -> Vec<((&str, &str), u64)> {
    let t = &generation.tables;
    let hash = |row| join(t.card_hash_high.at(row), t.card_hash_low.at(row));
    let all = (0..t.card_number.len()).map(|row| Card { generation, row });
    let mut cards: Vec<_> = all.map(|card| ((card.number_text(), card.person().id_text()), hash(card.row))).collect();
    cards.sort_unstable();
    cards
}

fn by_key<K: Ord>(old: Vec<(K, u64)>, new: Vec<(K, u64)>, counts: &mut Counts) {
    let hashes = |hash: Option<u64>| hash.into_iter().collect();
    merge(old.into_iter(), new.into_iter(), |old, new| counts.compare(hashes(old), hashes(new)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(old: &[u64], new: &[u64]) -> (u64, u64, u64) {
        let mut counts = Counts::default();
        counts.compare(old.to_vec(), new.to_vec());
        (counts.created, counts.changed, counts.deleted)
    }

    #[test]
    fn rows_without_keys_are_paired() {
        assert_eq!(counted(&[1, 2, 3], &[3, 1, 2]), (0, 0, 0));
        assert_eq!(counted(&[1, 2], &[1, 9]), (0, 1, 0));
        assert_eq!(counted(&[1, 2, 3], &[9]), (0, 1, 2));
        assert_eq!(counted(&[], &[1, 1]), (2, 0, 0));
    }

    #[test]
    fn the_guard_is_tripped_above_five_percent_only() {
        let file = |deleted, changed| FileDiff { file: "x", before: 1000, after: 1000, created: 900, changed, deleted };
        assert!(!file(50, 0).trips_guard());
        assert!(file(51, 0).trips_guard());
        assert!(file(0, 51).trips_guard());
        assert!(file(26, 25).trips_guard());
        assert!(!FileDiff { file: "x", before: 0, after: 9, created: 9, changed: 0, deleted: 0 }.trips_guard());
    }
}
