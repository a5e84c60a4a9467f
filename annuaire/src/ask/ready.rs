//! What many will ask for is read before the first of them asks: the words that were asked of the generation before, and
//! the letters with which everybody begins to type.

use std::cell::Cell;

use super::{
    Filter, How, Work,
    compile::{Compiler, Node, Stage},
    evaluate::Run,
    hidden::overlay,
    inside,
};
use crate::{Field, Fields, Generation, Registry, generation::Space};

/// Words with shorter lists are read in a millisecond or two, whenever somebody asks.
const LEAST: Least = Least { asked: 50_000, usual: 200_000 };
/// Longest start of a word that is thought of.
const LONGEST: usize = 12;

/// How long the lists of words are that are read, in entries.
#[derive(Debug, Clone, Copy)]
struct Least {
    /// Where somebody asked of the generation before.
    asked: u64,
    /// Where nobody did.
    usual: u64,
}

/// What the faces make of what is typed: a page looks everywhere, an address book for names, a form for a town.
const TYPED: [(Space, Fields); 9] = [
    (Space::People, Fields::TEXT),
    (Space::Places, Fields::TEXT),
    (Space::People, Fields::of(&[Field::Family])),
    (Space::People, Fields::NAMES),
    (Space::People, Fields::NAMES.or(Fields::of(&[Field::Mailbox]))),
    (Space::Places, Fields::of(&[Field::Structure])),
    (Space::People, Fields::of(&[Field::Given])),
    (Space::People, Fields::of(&[Field::Mailbox])),
    (Space::People, Fields::of(&[Field::Town])),
];

impl Generation {
    /// Reads what was asked lately of the generation `before`, and what is asked usually, as far as that takes long, as
    /// long as `go_on` says so and a quarter of the room is free. Answers and their prices are the same without it. Gives
    /// the number of words that are ready.
    pub fn make_ready(&self, registry: Option<&Registry>, before: Option<&Self>, go_on: &dyn Fn() -> bool) -> usize {
        self.read_ready(registry, before, go_on, LEAST)
    }

    fn read_ready(
        &self,
        registry: Option<&Registry>,
        before: Option<&Self>,
        go_on: &dyn Fn() -> bool,
        least: Least,
    ) -> usize {
        let hidden = overlay(self, registry);
        let (work, spare) = (Work::new(u64::MAX), Cell::new(0));
        let run = |space| Run { generation: self, space, hidden: &hidden, work: &work, spare: &spare };
        let leaf = |space, filter: &Filter| {
            let node = Compiler::new(self, (registry, &hidden), space, Stage::Typed, &work).node(filter, 0);
            if let Node::Leaf(leaf) = node { Some(leaf) } else { None }
        };
        let read = |(space, filter): (Space, &Filter), least: u64| {
            // What is too wide to be read is not read when it is asked for either.
            if let Some(leaf) = leaf(space, filter).filter(|leaf| run(space).width(leaf) >= least) {
                drop(run(space).leaf(&leaf));
            }
        };
        let may = || go_on() && self.kept.has_room();
        if let Some(before) = before {
            for (letters, fields) in before.kept.letters().into_iter().take_while(|_| may()) {
                inside::entries(self, &letters, fields);
            }
            for (space, asked) in before.kept.asked(least.asked).into_iter().take_while(|_| may()) {
                read((space, &asked), least.asked);
            }
        }
        let width = |space, filter: &Filter| leaf(space, filter).map_or(0, |leaf| run(space).width(&leaf));
        for (space, filter) in usual(&width, least.usual, &may).into_iter().take_while(|_| may()) {
            read((space, &filter), least.usual);
        }
        self.kept.ready()
    }
}

/// What is typed in each face that at least so many list entries begin with, the widest first: who asks for that waits
/// longest.
fn usual(width: &dyn Fn(Space, &Filter) -> u64, least: u64, may: &dyn Fn() -> bool) -> Vec<(Space, Filter)> {
    let mut all: Vec<(u64, Space, Filter)> = Vec::new();
    // What begins with a start that few words begin with, fewer do.
    let mut wide: Vec<((Space, Fields), String)> = TYPED.map(|typed| (typed, String::new())).into();
    for _ in 0..LONGEST {
        let longer = wide.iter().flat_map(|(typed, start)| signs().map(move |sign| (*typed, format!("{start}{sign}"))));
        let mut wider = Vec::new();
        for ((space, fields), text) in longer.take_while(|_| may()) {
            let filter = Filter::Words { fields, how: How::Prefix, text: text.clone() };
            let count = width(space, &filter);
            if count >= least {
                all.push((count, space, filter));
                wider.push(((space, fields), text));
            }
        }
        wide = wider;
    }
    all.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    all.into_iter().map(|(_, space, filter)| (space, filter)).collect()
}

/// What words are made of.
fn signs() -> impl Iterator<Item = char> {
    ('a'..='z').chain('0'..='9')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GenerateOptions, MailboxType, Page, Question, build, generate};

    fn generation(seed: u64) -> Generation {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), &GenerateOptions::new(seed, 3000)).unwrap();
        build(folder.path()).unwrap().1.unwrap()
    }

    const ASKED: Least = Least { asked: 600, usual: u64::MAX };

    fn questions() -> Vec<Question> {
        let mailbox = Filter::Value { fields: Field::MailboxType.into(), value: "any".to_owned() };
        let inside = Filter::Words { fields: Fields::NAMES, how: How::Contains, text: "ar".to_owned() };
        let typed = ["m", "me de", "par ma", "caxbinet"].map(Question::text);
        typed.into_iter().chain([mailbox, inside].map(Question::filter)).collect()
    }

    /// Who is found, how many there are, whether that is all, and what it cost.
    fn answers(g: &Generation, registry: Option<&Registry>) -> Vec<String> {
        let ask = |question: &Question| {
            let work = Work::new(u64::MAX);
            let hits = g.people_within(registry, question, Page::first(40), &work);
            let shown: Vec<_> = hits.hits.iter().map(|hit| (hit.of.id_text(), hit.r#match)).collect();
            format!("{shown:?} {:?} {} {}", hits.total, hits.cut, work.total())
        };
        questions().iter().map(ask).collect()
    }

    #[test]
    fn what_was_asked_of_one_generation_is_ready_in_the_next_and_nothing_else_is_changed() {
        let (before, next) = (generation(7), generation(8));
        answers(&before, None);
        let fresh = answers(&next.clone(), None);
        let asked = before.kept.asked(ASKED.asked);
        assert!(asked.len() >= 4 && before.kept.asked(u64::MAX).is_empty(), "{asked:?}");
        assert_eq!(before.kept.letters(), [("ar".to_owned(), Fields::ALL)]);

        next.read_ready(None, Some(&before), &|| true, ASKED);
        assert_eq!(next.kept.letters(), before.kept.letters());
        let mut ready = next.kept.asked(ASKED.asked);
        assert!(asked.iter().all(|asked| ready.contains(asked)), "{asked:?} {ready:?}");
        assert_eq!(answers(&next, None), fresh);
        ready.retain(|ready| !asked.contains(ready));
        assert!(ready.is_empty(), "nobody asked for {ready:?}");
    }

    #[test]
    fn what_is_typed_usually_is_ready_as_long_as_it_is_wide_and_somebody_lets_it() {
        let g = generation(7);
        let fresh = answers(&g.clone(), None);
        let least = Least { asked: u64::MAX, usual: 700 };
        assert_eq!(g.clone().read_ready(None, None, &|| false, least), 0);
        let all = g.read_ready(None, None, &|| true, least);
        let words: Vec<String> = g
            .kept
            .asked(0)
            .into_iter()
            .filter_map(|(_, asked)| match &*asked {
                Filter::Words { text, .. } => Some(text.clone()),
                _ => None,
            })
            .collect();
        assert!(all > 20 && words.len() == all, "{all} {words:?}");
        assert!(words.iter().any(|word| word == "m") && words.iter().any(|word| word.len() > 2), "{words:?}");
        assert!(words.iter().all(
            |word| word.len() == 1 || words.iter().any(|start| word.len() > start.len() && word.starts_with(start))
        ));
        assert_eq!(answers(&g, None), fresh);
    }

    #[test]
    fn another_registry_leaves_ready_what_its_red_list_does_not_touch() {
        let g = generation(7);
        let alone = |m: &crate::Mailbox<'_>| m.people().count() == 1 && m.people().all(|p| p.mailboxes().count() == 1);
        let plain = |m: &crate::Mailbox<'_>| m.key().starts_with(|c: char| c.is_ascii_lowercase());
        let red = g.mailboxes().find(|m| alone(m) && plain(m) && m.kind() == MailboxType::Personal).unwrap();
        let owner = red.people().next().unwrap().id_text().to_owned();
        let registry = |red_list: bool| {
            let entry = format!("address = \"{}\"\ntype = \"PER\"\nowner = \"{owner}\"", red.key());
            Registry::parse(&format!("[[mailbox]]\n{entry}\nred_list = {red_list}\n")).unwrap()
        };
        let (shown, hidden) = (registry(false), registry(true));
        answers(&g, Some(&shown));
        let known = g.kept.ready();
        answers(&g, Some(&registry(false)));
        assert_eq!(g.kept.ready(), known, "the same words again");
        answers(&g, Some(&hidden));
        let touched = g.kept.ready() - known;
        // That somebody has a mailbox, and nothing else.
        assert!((1..known).contains(&touched), "{touched} of {known}");
        assert_eq!(answers(&g, Some(&hidden)), answers(&g.clone(), Some(&hidden)));
    }
}
