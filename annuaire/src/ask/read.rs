//! Reads the lists of one word: all the documents that carry it, by how well they do.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    compile::Leaf,
    evaluate::{Run, TooWide},
    graded::{Grade, Graded},
    inside::{Inner, Inside, REMEMBERED},
    kept::{Kept, Key},
    set::{Marks, Set},
};
use crate::{Field, Fields, MatchKind, generation::Postings};

/// The longest sum of lists that is read through for one part, unless there are so many documents.
pub(super) const READ: u64 = 12_000_000;
/// So many list entries, one behind the other, are read for one unit of work.
const READ_AT_ONCE: u64 = 3;
/// Up to so many numbers are sorted; more are marked bit by bit.
const SORTED: u64 = 1500;
/// Words with shorter lists, which stand for fewer entries of the dictionary, are read each time.
const WORTH_KEEPING: u64 = 512;
const WIDE: u64 = 4096;
/// A word that was stretched to so many stretches of the dictionary is not asked for twice.
const SPANS_KEPT: usize = 4;

/// How far what is no name is from it.
const FAR: u32 = 3;
/// How far letters inside a word are from those that begin one: further than any words are from names.
const INSIDE: u32 = 4096;

impl Leaf {
    /// How well an entry of the dictionary fits that is of this field.
    pub(super) fn grade(&self, kind: MatchKind, field: u32) -> Grade {
        Grade { kind, far: if self.ranked { distance_from_name(field) } else { 0 } }
    }

    /// How well an entry fits that has the letters inside.
    pub(super) fn inner_grade(&self, field: u32) -> Grade {
        let Grade { kind, far } = self.grade(MatchKind::Prefix, field);
        Grade { kind, far: far.saturating_add(INSIDE) }
    }

    /// How well a document fits that is listed by itself: by a mailbox, or by a number.
    pub(super) fn listed(&self, kind: MatchKind) -> Grade {
        Grade { kind, far: if self.ranked { FAR } else { 0 } }
    }
}

/// How far a field is from the name.
fn distance_from_name(field: u32) -> u32 {
    let is = |wanted: Field| wanted.number() == field;
    if is(Field::Family) || is(Field::Sound) {
        0
    } else if is(Field::Given) || is(Field::Structure) {
        1
    } else {
        FAR
    }
}

/// Entries of the dictionary that fit equally well, and how long their lists are together.
struct Lists {
    grade: Grade,
    entries: Vec<u32>,
    count: u64,
}

/// Lists on their way, and how long they are together.
struct Wanted {
    lists: Vec<Lists>,
    sum: u64,
}

/// What is known of a word before it is read.
struct Measured {
    /// How many list entries reading it through takes.
    cost: u64,
    /// Which lists these are, where that had to be found out.
    lists: Option<Vec<Lists>>,
    /// What it is kept under.
    key: Option<Key>,
}

impl Run<'_> {
    /// The longest sum of lists that is read through for one part: nearly everybody may be meant, however many there are.
    pub(super) fn readable(&self) -> u64 {
        u64::from(self.docs()).saturating_mul(5).max(READ)
    }

    /// How many list entries reading a word through takes.
    pub(super) fn leaf_cost(&self, leaf: &Leaf) -> u64 {
        self.measured(leaf).cost
    }

    /// The same without noting that it was asked for, the index alone.
    pub(super) fn width(&self, leaf: &Leaf) -> u64 {
        self.lists(leaf).iter().map(|list| list.count).fold(0, u64::saturating_add)
    }

    /// What is known of a word before it is read.
    fn measured(&self, leaf: &Leaf) -> Measured {
        let mut width = 0u64;
        for span in leaf.spans.all() {
            let entries = u64::from(span.to.saturating_sub(span.from));
            self.spend(entries / 4);
            width = width.saturating_add(entries);
        }
        match leaf.inner.as_ref().map(|inner| &inner.inside) {
            Some(Inside::Many) => return Measured { cost: u64::MAX, lists: None, key: None },
            Some(Inside::Few(list)) => self.spend(u64::try_from(list.len()).unwrap_or(u64::MAX) / 4),
            None => {}
        }
        let listed = u64::try_from(leaf.docs.len()).unwrap_or(u64::MAX);
        let key = self.key(leaf);
        if let Some(known) = key.as_ref().and_then(|key| self.kept().again(key)) {
            return Measured { cost: known.cost.saturating_add(listed), lists: None, key };
        }
        let lists = self.lists(leaf);
        let cost = lists.iter().map(|list| list.count).fold(0, u64::saturating_add);
        if let Some(key) = key.as_ref().filter(|_| cost >= WORTH_KEEPING || width >= WIDE) {
            self.kept().learn(key.clone(), cost, leaf.asked.clone());
        }
        Measured { cost: cost.saturating_add(listed), lists: Some(lists), key }
    }

    /// Whether a word is read already, or is to be because it was looked for before: one question may read so much that it
    /// does not pay for, and no more.
    pub(super) fn may_read(&self, leaf: &Leaf) -> bool {
        let Some(known) = self.key(leaf).and_then(|key| self.kept().get(&key)) else { return false };
        if known.graded.is_some() {
            return true;
        }
        let left = self.spare.get().checked_sub(known.cost).filter(|_| known.before > 0);
        left.map(|left| self.spare.set(left)).is_some()
    }

    /// All documents that carry a word.
    pub(super) fn leaf(&self, leaf: &Leaf) -> Result<Arc<Graded>, TooWide> {
        let Measured { cost, lists, key } = self.measured(leaf);
        if cost > self.readable() {
            return Err(TooWide);
        }
        self.spend(cost / READ_AT_ONCE);
        let known = key.as_ref().and_then(|key| self.kept().get(key)).and_then(|known| known.graded);
        let indexed = known.unwrap_or_else(|| {
            let read = Arc::new(self.read(lists.unwrap_or_else(|| self.lists(leaf))));
            if let Some(key) = &key {
                self.kept().put(key, &read);
            }
            read
        });
        if leaf.docs.is_empty() {
            return Ok(indexed);
        }
        self.spend(u64::try_from(indexed.octets() / 64).unwrap_or(u64::MAX));
        let mut by_kind: BTreeMap<MatchKind, Vec<u32>> = BTreeMap::new();
        leaf.docs.iter().for_each(|(doc, kind)| by_kind.entry(*kind).or_default().push(*doc));
        let listed = by_kind.into_iter().map(|(kind, docs)| (leaf.listed(kind), Set::of(docs, self.docs())));
        Ok(Arc::new(Graded::of(indexed.classes().cloned().chain(listed))))
    }

    fn read(&self, lists: Vec<Lists>) -> Graded {
        Graded::of(lists.into_iter().map(|list| (list.grade, self.class(&list))))
    }

    fn class(&self, list: &Lists) -> Set {
        let (g, docs) = (self.generation, self.docs());
        let each = |take: &mut dyn FnMut(Postings<'_>, Option<u32>)| {
            for entry in &list.entries {
                let touched = if self.hidden.leaves(*entry) { None } else { Some(*entry) };
                take(g.postings(self.space, *entry), touched);
            }
        };
        let shows =
            |doc: u32, touched: Option<u32>| touched.is_none_or(|entry| self.hidden.shows(g, self.space, doc, entry));
        if list.count < SORTED {
            let mut few = Vec::with_capacity(usize::try_from(list.count).unwrap_or(0));
            each(&mut |postings, touched| {
                postings.for_each(|doc| {
                    if shows(doc, touched) {
                        few.push(doc)
                    }
                });
            });
            return Set::of(few, docs);
        }
        let mut marks = Marks::new(docs);
        each(&mut |postings, touched| match (postings, touched) {
            (Postings::Dense(list), None) => marks.add_bits(list.octets()),
            (postings, None) => postings.for_each(|doc| marks.add(doc)),
            (postings, touched) => postings.filter(|doc| shows(*doc, touched)).for_each(|doc| marks.add(doc)),
        });
        marks.finish()
    }

    /// The entries of a word, by how well they fit; not all of them when they are far too many to be read.
    fn lists(&self, leaf: &Leaf) -> Vec<Lists> {
        let mut all = Wanted { lists: Vec::new(), sum: 0 };
        let most = self.readable().saturating_mul(8);
        for span in leaf.spans.all() {
            for entry in span.from..span.to {
                self.want(entry, span.fields, |field| leaf.grade(span.kind, field), &mut all);
            }
            if all.sum > most {
                return all.lists;
            }
        }
        if let Some(Inner { fields, inside: Inside::Few(entries), .. }) = &leaf.inner {
            entries.iter().for_each(|entry| self.want(*entry, *fields, |field| leaf.inner_grade(field), &mut all));
        }
        all.lists
    }

    /// Takes an entry of the dictionary, if it is of one of these fields.
    fn want(&self, entry: u32, fields: Fields, grade: impl Fn(u32) -> Grade, all: &mut Wanted) {
        let field = self.generation.tables.entry_field.at(entry);
        if !fields.has_number(field) {
            return;
        }
        let count = u64::from(self.generation.posting_counts(self.space).text_at(entry));
        if count == 0 {
            return;
        }
        let grade = grade(field);
        match all.lists.iter_mut().find(|list| list.grade == grade) {
            Some(list) => {
                list.entries.push(entry);
                list.count = list.count.saturating_add(count);
            }
            None => all.lists.push(Lists { grade, entries: vec![entry], count }),
        }
        all.sum = all.sum.saturating_add(count);
    }

    fn kept(&self) -> &Kept {
        &self.generation.kept
    }

    fn key(&self, leaf: &Leaf) -> Option<Key> {
        let spans = leaf.spans.all();
        let inner = leaf.inner.as_ref().map(|inner| (Arc::clone(&inner.letters), inner.fields));
        // What no word has is not asked for twice.
        if inner.as_ref().is_some_and(|(letters, _)| letters.len() > REMEMBERED) {
            return None;
        }
        let any = inner.is_some() || spans.iter().any(|span| span.to.saturating_sub(span.from) > 0);
        // What the red list leaves alone is the same under any.
        let left = spans.iter().all(|span| self.hidden.leaves_all(span.from..span.to));
        let left_inside = leaf.inner.as_ref().is_none_or(|inner| match &inner.inside {
            Inside::Few(words) => {
                let (left, cost) = self.hidden.leaves_these(words);
                self.spend(cost);
                left
            }
            Inside::Many => false,
        });
        let overlay = if left && left_inside { 0 } else { self.hidden.number };
        let (space, ranked) = (self.space, leaf.ranked);
        (any && spans.len() <= SPANS_KEPT).then(|| Key { overlay, space, ranked, spans: spans.to_vec(), inner })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::{
        Fields, Filter, GenerateOptions, Generation, How, Page, Question, Registry, Total, ask::Work, build, generate,
    };

    fn generation() -> &'static Generation {
        static GENERATION: OnceLock<Generation> = OnceLock::new();
        GENERATION.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            generate(folder.path(), &GenerateOptions::new(7, 3000)).unwrap();
            build(folder.path()).unwrap().1.unwrap()
        })
    }

    /// Who is found, how many there are, and what it cost.
    fn found(g: &Generation, registry: Option<&Registry>, question: &Question) -> (Vec<String>, Total, bool, u64) {
        let work = Work::new(u64::MAX);
        let hits = g.people_within(registry, question, Page::first(50), &work);
        let shown = hits.hits.iter().map(|hit| format!("{} {:?}", hit.of.id_text(), hit.r#match)).collect();
        (shown, hits.total, hits.cut, work.total())
    }

    #[test]
    fn what_others_asked_before_changes_neither_the_answer_nor_its_price() {
        let texts = ["m", "d", "ca ru", "me 1", "ru de", "me de ca", "mar", "m c", "10 p", "ph", "xx m", "caxbinet"];
        let plain = texts.map(Question::text).to_vec();
        let without = |text: &str| {
            let all = Filter::Words { fields: Fields::TEXT, how: How::Prefix, text: text.to_owned() };
            Question::filter(Filter::And(vec![Filter::text("me"), Filter::Not(Box::new(all))]))
        };
        let contains = |(fields, text): (Fields, &str)| {
            Question::filter(Filter::Words { fields, how: How::Contains, text: text.to_owned() })
        };
        let names = Fields::NAMES;
        let inside = [(names, "ar"), (Fields::TEXT, "ar"), (names, "e"), (Field::Town.into(), "e"), (names, "i")];
        let questions: Vec<Question> =
            plain.into_iter().chain(["c", "p", "ma"].map(without)).chain(inside.map(contains)).collect();
        let fresh: Vec<_> = questions.iter().map(|question| found(&generation().clone(), None, question)).collect();
        assert!(fresh.iter().any(|(.., cost)| *cost > WORTH_KEEPING * 4), "too small a directory to keep anything");
        assert!(fresh.iter().filter(|(shown, ..)| shown.len() == 50).count() > 5);
        for turn in 0..4 {
            for (question, fresh) in questions.iter().zip(&fresh) {
                assert_eq!(&found(generation(), None, question), fresh, "turn {turn}: {question:?}");
            }
        }
    }

    #[test]
    fn what_is_kept_for_one_red_list_is_not_shown_by_another() {
        let g = generation();
        let alone = |m: &crate::Mailbox<'_>| m.people().count() == 1 && m.people().all(|p| p.mailboxes().count() == 1);
        let red = g.mailboxes().filter(alone).find(|m| m.key().starts_with(|c: char| c.is_ascii_lowercase())).unwrap();
        let owner = red.people().next().unwrap().id_text().to_owned();
        let text =
            format!("[[mailbox]]\naddress = \"{}\"\ntype = \"PER\"\nowner = \"{owner}\"\nred_list = true\n", red.key());
        let registry = Registry::parse(&text).unwrap();
        // Everybody with a mailbox has it.
        let all = Filter::Words { fields: Field::MailboxType.into(), how: How::Prefix, text: "any".to_owned() };
        let question = Question::filter(all);
        let (plain, hidden) = (found(g, None, &question), found(g, Some(&registry), &question));
        let (Total::Exactly(plain_count), Total::Exactly(hidden_count)) = (plain.1, hidden.1) else {
            panic!("{plain:?}")
        };
        assert!(plain_count > WORTH_KEEPING && hidden_count == plain_count - 1, "{plain_count} {hidden_count}");
        for _ in 0..3 {
            assert_eq!(found(g, None, &question), plain);
            assert_eq!(found(g, Some(&registry), &question), hidden);
            assert_eq!(found(g, Some(&Registry::parse(&text).unwrap()), &question), hidden);
        }
    }
}
