//! Finding people and structures by words in any order, in the shapes of the command line.

use crate::{
    Generation, Registry,
    answer::{Answer, Shown},
    ask::{Page, Question},
};

/// Searches names, profession, speciality, structure, street, town, postcode, department, identifiers and
/// addresses: every word of `text` must be found, in any order, accents and case aside. When nothing is, what is
/// near is given, labelled so.
pub fn search(generation: &Generation, registry: Option<&Registry>, text: &str, limit: usize) -> Answer {
    let show = Shown { generation, registry };
    let question = Question::text(text);
    let page = Page::first(limit);
    let people = generation.people_where(registry, &question, page);
    // Near misses of structures would only stand beside the people who were meant.
    let structures = generation.structures_where(registry, &question, page);
    let mut answer = show.empty();
    answer.cut = people.cut || structures.cut;
    let near = |kind| kind > crate::MatchKind::Prefix;
    let typed = |hits: &[crate::MatchKind]| hits.iter().any(|kind| !near(*kind));
    let kinds: Vec<_> =
        people.hits.iter().map(|hit| hit.r#match).chain(structures.hits.iter().map(|hit| hit.r#match)).collect();
    let drop_near = typed(&kinds);
    let keep = |kind| !(drop_near && near(kind));
    answer.people =
        people.hits.iter().filter(|hit| keep(hit.r#match)).map(|hit| show.person(&hit.of, hit.r#match)).collect();
    answer.structures = structures
        .hits
        .iter()
        .filter(|hit| keep(hit.r#match))
        .map(|hit| show.structure(&hit.of, hit.r#match))
        .collect();
    if answer.people.is_empty() && answer.structures.is_empty() {
        answer.gone = show.gone_text(text);
    }
    answer
}
