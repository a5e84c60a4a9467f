//! The word index: folded word → the people and the structures that carry it.
//!
//! Words of a structure (name, street, town…) are not repeated for each person who works there: a question
//! reaches these people through the structure.

use std::collections::HashMap;

use super::{
    finish::grouped,
    strings::{Interner, Text},
    tables::{Column, NONE, Tables},
};
use crate::fold::fold;

/// Particles that come between the parts of a name and that nobody is sure to type.
const PARTICLES: [&str; 10] = ["de", "du", "des", "d", "la", "le", "les", "l", "ben", "el"];

/// Fills the word columns.
pub(super) fn index(t: &mut Tables, interner: &mut Interner) {
    let mut words = Words { interner, known: HashMap::new(), people: Vec::new(), structures: Vec::new() };
    for row in 0..t.person_id.len() {
        words.person(t, row);
    }
    for row in 0..t.structure_key.len() {
        words.structure(t, row);
    }
    let Words { people, structures, .. } = words;
    store(t, interner, people, structures);
}

struct Words<'a> {
    interner: &'a mut Interner,
    /// Texts that many rows share are folded once.
    known: HashMap<(Text, Split), Vec<Text>>,
    people: Vec<(u32, u32)>,
    structures: Vec<(u32, u32)>,
}

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Split {
    /// Each word.
    Words,
    /// Each word of one part of a coded value: codes are no words that anybody looks for.
    Part(usize),
    /// Each word, and the whole name in one piece with and without its particles.
    Name,
}

impl Words<'_> {
    fn person(&mut self, t: &Tables, row: u32) {
        let mut texts = vec![
            (t.person_family.text_at(row), Split::Name),
            (t.person_given.text_at(row), Split::Name),
            (t.person_profession.text_at(row), Split::Part(1)),
        ];
        for activity in t.person_activity_starts.range(row) {
            texts.push((t.activity_profession.text_at(activity), Split::Part(1)));
            texts.push((t.activity_skill.text_at(activity), Split::Part(3)));
        }
        texts.extend(t.person_skill_starts.range(row).map(|skill| (t.skill_skill.text_at(skill), Split::Part(3))));
        let mailboxes = t.person_mailboxes.of(&t.person_mailbox_starts, row);
        texts.extend(mailboxes.iter().map(|mailbox| (t.mailbox_key.text_at(*mailbox), Split::Words)));
        let words = self.words(&mut texts);
        self.people.extend(words.into_iter().map(|word| (word, row)));
    }

    fn structure(&mut self, t: &Tables, row: u32) {
        let columns = [&t.structure_recipient, &t.structure_place, &t.structure_street, &t.structure_mention];
        let columns = columns.into_iter().chain([&t.structure_cedex, &t.structure_postcode]);
        let mut texts: Vec<_> = columns.map(|column| (column.text_at(row), Split::Words)).collect();
        texts.push((t.structure_town.text_at(row), Split::Part(1)));
        // Departments go by their number as often as by their name.
        texts.push((t.structure_department.text_at(row), Split::Words));
        texts.push((t.structure_name.text_at(row), Split::Name));
        texts.push((t.structure_trade_name.text_at(row), Split::Name));
        for mailbox in t.structure_mailboxes.of(&t.structure_mailbox_starts, row) {
            texts.push((t.mailbox_service.text_at(*mailbox), Split::Words));
            // A person's own mailbox is found by the person.
            if t.mailbox_person_starts.range(*mailbox).is_empty() {
                texts.push((t.mailbox_key.text_at(*mailbox), Split::Words));
            }
        }
        let words = self.words(&mut texts);
        self.structures.extend(words.into_iter().map(|word| (word, row)));
    }

    fn words(&mut self, texts: &mut Vec<(Text, Split)>) -> Vec<Text> {
        texts.retain(|(text, _)| *text != 0);
        let mut words = Vec::new();
        for (text, split) in texts.iter() {
            if let Some(known) = self.known.get(&(*text, *split)) {
                words.extend_from_slice(known);
                continue;
            }
            let cut: Vec<Text> =
                cut(self.interner.strings().get(*text), *split).iter().map(|word| self.interner.intern(word)).collect();
            words.extend_from_slice(&cut);
            self.known.insert((*text, *split), cut);
        }
        words.sort_unstable();
        words.dedup();
        words
    }
}

fn cut(text: &str, split: Split) -> Vec<String> {
    let text = match split {
        Split::Part(n) => text.split('|').nth(n).unwrap_or_default(),
        Split::Words | Split::Name => text,
    };
    let folded = fold(text);
    let mut words: Vec<String> = folded.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if split == Split::Name && words.len() > 1 {
        let plain: String =
            words.iter().filter(|word| !PARTICLES.contains(&word.as_str())).map(String::as_str).collect();
        words.push(folded.replace(' ', ""));
        words.push(plain);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Sorts the words by their text and writes the postings.
fn store(t: &mut Tables, interner: &Interner, people: Vec<(u32, u32)>, structures: Vec<(u32, u32)>) {
    let strings = interner.strings();
    let mut words: Vec<Text> = people.iter().chain(&structures).map(|(word, _)| *word).collect();
    words.sort_unstable();
    words.dedup();
    words.sort_by(|a, b| strings.get(*a).cmp(strings.get(*b)));
    let place: HashMap<Text, u32> = words.iter().copied().zip(0u32..).collect();
    let placed = |pairs: Vec<(u32, u32)>| -> Vec<(u32, u32)> {
        pairs.into_iter().map(|(word, row)| (place.get(&word).copied().unwrap_or(NONE), row)).collect()
    };
    let count = u32::try_from(words.len()).unwrap_or(NONE);
    (t.word_person_starts, t.word_people) = grouped(placed(people), count);
    (t.word_structure_starts, t.word_structures) = grouped(placed(structures), count);
    t.word_text = Column(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_part_joined_and_without_particles() {
        let words = cut("DE LA TOUR-TEST", Split::Name);
        for word in ["de", "la", "tour", "test", "delatourtest", "tourtest"] {
            assert!(words.iter().any(|w| w == word), "{word} in {words:?}");
        }
        assert_eq!(cut("Jean-Pierre", Split::Words), ["jean", "pierre"]);
        assert_eq!(cut("10|Médecin", Split::Part(1)), ["medecin"]);
        assert!(cut("  ", Split::Name).is_empty());
    }
}
