//! Finding people and structures by words in any order, each of which may be the start of a word.

use crate::{
    Generation, MatchKind, Registry,
    answer::{Answer, Shown},
    fold::words,
    generation::partition,
};

/// Longest question that is read; the rest is cut off.
pub const MAX_QUESTION: usize = 512;
/// Most words of a question that are used.
pub const MAX_WORDS: usize = 12;

/// What people say in front of a name.
const TITLES: [&str; 8] = ["dr", "docteur", "pr", "professeur", "mr", "mme", "mlle", "monsieur"];

/// How many digits the national identifiers have, with and without their type digit.
const IDENTIFIER_LENGTHS: [usize; 6] = [9, 10, 11, 12, 14, 15];

/// Searches names, profession, speciality, structure, street, town, postcode, department, identifiers and
/// addresses: every word of `text` must be found, in any order, accents and case aside.
pub fn search(generation: &Generation, registry: Option<&Registry>, text: &str, limit: usize) -> Answer {
    let show = Shown { generation, registry };
    let mut answer = show.empty();
    let terms = terms(text);
    if terms.is_empty() {
        return answer;
    }
    let mut hits: Option<Hits> = None;
    for term in &terms {
        let of_term = Finder { show }.find(term);
        hits = Some(match hits {
            None => of_term,
            Some(before) => before.and(&of_term),
        });
    }
    let Hits { people, structures } = hits.unwrap_or_default();
    answer.people = best_people(&show, &people, limit);
    answer.structures = best_structures(&show, &structures, limit);
    answer
}

/// One thing that must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// A folded word.
    Word(String),
    /// The start of an address.
    Address(String),
}

/// Cuts a question. Numbers written with blanks (`10 102 727 017`) are put together.
fn terms(text: &str) -> Vec<Term> {
    let text: String = text.chars().take(MAX_QUESTION).collect();
    let chunks: Vec<&str> = text.split_whitespace().collect();
    let mut terms = Vec::new();
    for run in chunks.chunk_by(|a, b| is_number(a) && is_number(b)) {
        let number = run.concat();
        if run.len() > 1 && IDENTIFIER_LENGTHS.contains(&number.len()) {
            terms.push(Term::Word(number));
            continue;
        }
        for chunk in run {
            match chunk.contains('@') && !chunk.starts_with('@') {
                true => terms.push(Term::Address(chunk.to_lowercase())),
                false => terms.extend(words(chunk).into_iter().map(Term::Word)),
            }
        }
    }
    let title = |term: &Term| matches!(term, Term::Word(word) if TITLES.contains(&word.as_str()));
    if !terms.iter().all(title) {
        terms.retain(|term| !title(term));
    }
    terms.truncate(MAX_WORDS);
    terms
}

fn is_number(chunk: &str) -> bool {
    chunk.bytes().all(|byte| byte.is_ascii_digit())
}

/// Rows that a term hits, and which of them exactly.
#[derive(Debug, Clone, Default)]
struct Hits {
    people: Rows,
    structures: Rows,
}

impl Hits {
    fn and(self, other: &Self) -> Self {
        Self { people: self.people.and(&other.people), structures: self.structures.and(&other.structures) }
    }
}

/// A set of rows as bits: those hit at all, and those hit exactly.
#[derive(Debug, Clone, Default)]
struct Rows {
    all: Vec<u64>,
    exact: Vec<u64>,
}

impl Rows {
    fn new(rows: u32) -> Self {
        let words = usize::try_from(rows.div_ceil(64)).unwrap_or(0);
        Self { all: vec![0; words], exact: vec![0; words] }
    }

    fn add(&mut self, row: u32, exact: bool) {
        let (Ok(place), bit) = (usize::try_from(row / 64), 1u64 << (row & 63)) else { return };
        if let Some(bits) = self.all.get_mut(place) {
            *bits |= bit;
        }
        if let Some(bits) = self.exact.get_mut(place).filter(|_| exact) {
            *bits |= bit;
        }
    }

    fn and(mut self, other: &Self) -> Self {
        self.all.iter_mut().zip(&other.all).for_each(|(a, b)| *a &= b);
        self.exact.iter_mut().zip(&other.exact).for_each(|(a, b)| *a &= b);
        self
    }

    /// The rows, each with how well it was hit.
    fn iter(&self) -> impl Iterator<Item = (u32, MatchKind)> {
        (0u32..).zip(self.all.iter().zip(&self.exact)).flat_map(|(word, (all, exact))| {
            (0u32..64).filter(move |bit| all >> bit & 1 == 1).map(move |bit| {
                let kind = if exact >> bit & 1 == 1 { MatchKind::Exact } else { MatchKind::Prefix };
                (word.saturating_mul(64).saturating_add(bit), kind)
            })
        })
    }
}

/// Finds what one term hits.
struct Finder<'a> {
    show: Shown<'a>,
}

impl Finder<'_> {
    fn find(&self, term: &Term) -> Hits {
        let g = self.show.generation;
        let mut hits =
            Hits { people: Rows::new(g.tables.person_id.len()), structures: Rows::new(g.tables.structure_key.len()) };
        match term {
            Term::Word(word) => self.word(word, &mut hits),
            Term::Address(start) => self.address(start, &mut hits),
        }
        hits
    }

    fn word(&self, word: &str, hits: &mut Hits) {
        let g = self.show.generation;
        let t = &g.tables;
        for place in range(g, t.word_text.len(), word, |place| t.word_text.text_at(place)) {
            let exact = g.text.get(t.word_text.text_at(place)) == word;
            t.word_people.of(&t.word_person_starts, place).iter().for_each(|row| hits.people.add(*row, exact));
            for structure in t.word_structures.of(&t.word_structure_starts, place) {
                self.place(*structure, exact, hits);
            }
        }
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            self.identifiers(word, hits);
        }
    }

    /// Identifiers, with or without their type digit.
    fn identifiers(&self, word: &str, hits: &mut Hits) {
        let g = self.show.generation;
        let t = &g.tables;
        let upper = word.to_uppercase();
        for digit in ["", "8", "0", "3", "5"] {
            let wanted = format!("{digit}{upper}");
            for row in range(g, t.person_id.len(), &wanted, |row| t.person_id.text_at(row)) {
                hits.people.add(row, g.text.get(t.person_id.text_at(row)) == wanted);
            }
        }
        let columns = [
            (&t.structure_by_finess, &t.structure_finess, "1"),
            (&t.structure_by_siret, &t.structure_siret, "3"),
            (&t.structure_by_technical, &t.structure_technical, ""),
        ];
        for (order, column, digit) in columns {
            let full = upper.strip_prefix(digit).filter(|rest| !digit.is_empty() && !rest.is_empty());
            for wanted in [Some(upper.as_str()), full].into_iter().flatten() {
                for place in range(g, order.len(), wanted, |place| column.text_at(order.at(place))) {
                    let row = order.at(place);
                    self.place(row, g.text.get(column.text_at(row)) == wanted, hits);
                }
            }
        }
    }

    fn address(&self, start: &str, hits: &mut Hits) {
        let g = self.show.generation;
        let t = &g.tables;
        for row in range(g, t.mailbox_key.len(), start, |row| t.mailbox_key.text_at(row)) {
            let mailbox = crate::Mailbox { generation: g, row };
            if self.show.is_red(&mailbox) {
                continue;
            }
            let exact = mailbox.key() == start;
            mailbox.people().for_each(|person| hits.people.add(person.row, exact));
            mailbox.structures().for_each(|structure| hits.structures.add(structure.row, exact));
        }
    }

    /// A structure, and with it the people who work there.
    fn place(&self, structure: u32, exact: bool, hits: &mut Hits) {
        let t = &self.show.generation.tables;
        hits.structures.add(structure, exact);
        for activity in t.structure_activities.of(&t.structure_activity_starts, structure) {
            hits.people.add(t.activity_person.at(*activity), exact);
        }
    }
}

/// The sorted rows whose text begins with `start`.
fn range(g: &Generation, rows: u32, start: &str, text: impl Fn(u32) -> u32) -> std::ops::Range<u32> {
    let from = g.lower_bound(rows, start, &text);
    from..partition(from, rows, |row| g.text.get(text(row)).starts_with(start))
}

fn best_people(show: &Shown<'_>, rows: &Rows, limit: usize) -> Vec<crate::PersonAnswer> {
    let person = |row| crate::Person { generation: show.generation, row };
    let key = |(row, kind): (u32, MatchKind)| {
        let who = person(row);
        let without_mailbox = who.mailboxes().next().is_none();
        (kind, without_mailbox, !who.active(), who.family(), who.given(), who.id_text(), row)
    };
    let mut best: Vec<_> = rows.iter().map(key).collect();
    best.sort_unstable();
    best.into_iter().take(limit).map(|hit| show.person(&person(hit.6), hit.0)).collect()
}

fn best_structures(show: &Shown<'_>, rows: &Rows, limit: usize) -> Vec<crate::StructureAnswer> {
    let structure = |row| crate::Structure { generation: show.generation, row };
    let key = |(row, kind): (u32, MatchKind)| {
        let place = structure(row);
        (kind, place.mailboxes().next().is_none(), place.display_name(), place.key(), row)
    };
    let mut best: Vec<_> = rows.iter().map(key).collect();
    best.sort_unstable();
    best.into_iter().take(limit).map(|hit| show.structure(&structure(hit.4), hit.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(text: &str) -> Vec<String> {
        terms(text)
            .into_iter()
            .map(|term| match term {
                Term::Word(word) => word,
                Term::Address(start) => format!("<{start}"),
            })
            .collect()
    }

    #[test]
    fn questions_are_cut_into_terms() {
        for (text, terms) in [
            ("Dr Jean-Pierre  LEFÈVRE", "jean,pierre,lefevre"),
            ("docteur", "docteur"),
            ("10 102 727 017", "10102727017"),
            ("8 10102727017", "810102727017"),
            ("dupont 75001 12", "dupont,75001,12"),
            ("Anne.Martin@CH-exemple", "<anne.martin@ch-exemple"),
            ("@ch-exemple.test", "ch,exemple,test"),
            ("", ""),
            (" ' ", ""),
        ] {
            assert_eq!(words_of(text).join(","), terms, "{text}");
        }
    }
}
