//! Finding people and structures by words in any order, in the shapes of the command line.

use crate::{
    Generation, MatchKind, Registry,
    answer::{Answer, Shown},
    ask::{Hits, Page, Question, Similar, Total},
};

/// An answer, and how many there are in all.
#[derive(Debug, Clone)]
pub struct Found {
    /// The people and structures of the pages asked for.
    pub answer: Answer,
    /// All the people.
    pub people: Total,
    /// All the structures.
    pub structures: Total,
}

/// Searches names, profession, speciality, structure, street, town, postcode, department, identifiers and
/// addresses: every word of `text` must be found, in any order, accents and case aside. When nothing is, what is
/// near is given, labelled so.
pub fn search(generation: &Generation, registry: Option<&Registry>, text: &str, limit: usize) -> Answer {
    let page = Page::first(limit);
    let mut answer = find(generation, registry, &Question::text(text), page, page).answer;
    if answer.people.is_empty() && answer.structures.is_empty() {
        answer.gone = Shown { generation, registry }.gone_text(text);
    }
    answer
}

/// The same for any question: these pages of the people and of the structures of whom it is true.
pub fn find(
    generation: &Generation,
    registry: Option<&Registry>,
    question: &Question,
    people_page: Page,
    structures_page: Page,
) -> Found {
    let show = Shown { generation, registry };
    let ask = |similar| {
        let question = Question { similar, ..question.clone() };
        let people = generation.people_where(registry, &question, people_page);
        (people, generation.structures_where(registry, &question, structures_page))
    };
    // Near misses of structures would only stand beside the people who were meant, and the other way round. To look for
    // them is also what takes longest.
    let (people, structures) = match question.similar {
        Similar::Never => ask(Similar::Never),
        Similar::Loosely | Similar::IfNone => {
            let both = ask(Similar::Loosely);
            if question.similar == Similar::Loosely || typed(&both.0) || typed(&both.1) {
                both
            } else {
                ask(Similar::IfNone)
            }
        }
    };
    let mut answer = show.empty();
    answer.cut = people.cut || structures.cut;
    answer.people = people.hits.iter().map(|hit| show.person(&hit.of, hit.r#match)).collect();
    answer.structures = structures.hits.iter().map(|hit| show.structure(&hit.of, hit.r#match)).collect();
    Found { answer, people: people.total, structures: structures.total }
}

/// Whether something is there as typed. Hits of one kind come from one stage: the first tells.
fn typed<T>(hits: &Hits<T>) -> bool {
    hits.hits.iter().any(|hit| hit.r#match <= MatchKind::Prefix)
}
