//! Evaluation: the rarest part gives the candidates, the others test them, by their lists where these are short and
//! by the candidates' own words where they are long.

use std::{cell::Cell, sync::Arc};

use super::{
    Filter, Page, Question, Similar, Total, WORK_LIMIT, Work,
    compile::{Compiler, Leaf, Node, Span, Spans, Stage, Walked},
    graded::{Classes, Grade, Graded},
    hidden::{Hidden, overlay},
    inside::{Inner, Inside},
    read::READ,
    set::Set,
};
use crate::{
    Fields, Generation, MatchKind, Registry,
    generation::{Space, lists_of},
};

/// What testing one candidate by its own words costs, for each word that is looked for; and where these have to be read
/// letter by letter.
const TEST: u64 = 60;
const TEST_LETTERS: u64 = 240;
/// How many list entries are read in the time that it takes: a candidate's own words are all over the memory.
const READ_MEANWHILE: u64 = 300;

/// Documents of a page, best first.
pub(super) struct Found {
    pub(super) docs: Vec<(u32, MatchKind)>,
    pub(super) total: Total,
    pub(super) cut: bool,
}

/// Answers a question stage by stage: near misses only if nothing is found as typed.
pub(super) fn run(
    generation: &Generation,
    registry: Option<&Registry>,
    space: Space,
    question: &Question,
    page: Page,
    work: &Work,
) -> Found {
    let hidden = overlay(generation, registry);
    let stages: &[Stage] = match question.similar {
        Similar::Never => &[Stage::Typed],
        Similar::Loosely => &[Stage::Typed, Stage::Loose],
        Similar::IfNone => &Stage::ALL,
    };
    let (mut cut, mut walked, spare) = (false, Walked::default(), Cell::new(READ));
    for stage in stages {
        let mut compiler = Compiler::new(generation, (registry, &hidden), space, *stage, work);
        compiler.walked = walked;
        let node = compiler.node(&question.filter, 0);
        cut |= compiler.cut;
        walked = compiler.walked;
        let run = Run { generation, space, hidden: &hidden, work, spare: &spare };
        let mut found = run.page(&node, page);
        found.cut |= cut;
        cut = found.cut;
        if !matches!(found.total, Total::Exactly(0)) || work.is_spent() {
            return found;
        }
    }
    Found { docs: Vec::new(), total: Total::Exactly(0), cut }
}

/// One filter as typed, ready for [`fits`].
pub(super) fn compile(
    generation: &Generation,
    registry: Option<&Registry>,
    space: Space,
    filter: &Filter,
    work: &Work,
) -> Node {
    let overlay = overlay(generation, registry);
    Compiler::new(generation, (registry, &overlay), space, Stage::Typed, work).node(filter, 0)
}

/// Whether a compiled filter is true of one document.
pub(super) fn fits(
    generation: &Generation,
    space: Space,
    (node, hidden): (&Node, &Hidden),
    doc: u32,
    work: &Work,
) -> bool {
    let spare = Cell::new(0);
    Run { generation, space, hidden, work, spare: &spare }.test(node, doc).is_some()
}

/// A level of worth, where hits are too many to be read through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Every word, as typed, in a name.
    ExactName,
    /// Every word as typed.
    Exact,
    /// Every word starts one of a name.
    Name,
}

pub(super) struct Run<'a> {
    pub(super) generation: &'a Generation,
    pub(super) space: Space,
    pub(super) hidden: &'a Hidden,
    pub(super) work: &'a Work,
    /// List entries that may still be read because they will be asked for again, beyond what the question pays for.
    pub(super) spare: &'a Cell<u64>,
}

/// A part that cannot be read through.
pub(super) struct TooWide;

impl Run<'_> {
    pub(super) fn spend(&self, work: u64) {
        self.work.spend(work);
    }

    pub(super) fn docs(&self) -> u32 {
        self.generation.docs(self.space)
    }

    pub(super) fn page(&self, node: &Node, page: Page) -> Found {
        match self.graded(node) {
            Ok(all) => Found { docs: self.listed(&all, page), total: Total::Exactly(all.len()), cut: false },
            Err(TooWide) => self.partly(node, page),
        }
    }

    /// The documents of a page: class by class, each in the order in which documents are shown.
    fn listed(&self, all: &Graded, page: Page) -> Vec<(u32, MatchKind)> {
        let mut docs = Vec::new();
        let mut skip = page.skip;
        for (grade, set) in all.classes() {
            let left = page.limit.saturating_sub(docs.len());
            let size = usize::try_from(set.len()).unwrap_or(usize::MAX);
            if left > 0 && skip < size {
                docs.extend(self.shown(set).skip(skip).take(left).map(|doc| (doc, grade.kind)));
            }
            skip = skip.saturating_sub(size);
        }
        docs
    }

    /// What can be said of a question that is too wide: the best levels as far as these can be read, then whoever is
    /// found by going through the directory.
    fn partly(&self, node: &Node, page: Page) -> Found {
        let wanted = page.skip.saturating_add(page.limit);
        let mut seen: Vec<Arc<Graded>> = Vec::new();
        let mut docs: Vec<(u32, MatchKind)> = Vec::new();
        for level in [Level::ExactName, Level::Exact, Level::Name] {
            let Some(narrow) = narrowed(node, level).filter(|_| docs.len() < wanted) else { continue };
            let Ok(graded) = self.graded(&narrow) else { continue };
            for (grade, set) in graded.classes() {
                let fresh = self.shown(set).filter(|doc| !seen.iter().any(|before| before.has(*doc)));
                docs.extend(fresh.take(wanted.saturating_sub(docs.len())).map(|doc| (doc, grade.kind)));
            }
            seen.push(graded);
        }
        for doc in self.hidden.order(self.space).shown(0..self.docs(), |_| true) {
            if docs.len() >= wanted || self.work.is_spent() {
                break;
            }
            if !seen.iter().any(|before| before.has(doc)) {
                docs.extend(self.test(node, doc).map(|grade| (doc, grade.kind)));
            }
        }
        let total = Total::AtLeast(u64::try_from(docs.len()).unwrap_or(u64::MAX));
        Found { docs: docs.into_iter().skip(page.skip).take(page.limit).collect(), total, cut: true }
    }

    /// The documents of a set, in the order in which they are shown.
    fn shown<'s>(&'s self, set: &'s Set) -> impl Iterator<Item = u32> + 's {
        self.hidden.order(self.space).shown(set.iter(), |doc| set.has(doc))
    }

    /// How many list entries reading a part through would take.
    fn cost(&self, node: &Node) -> u64 {
        match node {
            Node::All | Node::Not(_) => u64::from(self.docs()).saturating_mul(2),
            Node::Leaf(leaf) => self.leaf_cost(leaf),
            Node::And(parts) => parts.iter().map(|part| self.cost(part)).min().unwrap_or(0),
            Node::Or(parts) => parts.iter().map(|part| self.cost(part)).fold(0, u64::saturating_add),
        }
    }

    /// All documents for which a part is true, by how well.
    fn graded(&self, node: &Node) -> Result<Arc<Graded>, TooWide> {
        let docs = self.docs();
        if self.work.is_spent() {
            return Err(TooWide);
        }
        match node {
            Node::All => {
                self.spend(u64::from(docs) / 64);
                Ok(Arc::new(Graded::of([(Grade::BEST, Set::all(docs))])))
            }
            Node::Leaf(leaf) => self.leaf(leaf),
            Node::Not(part) => {
                self.spend(u64::from(docs) / 32);
                let rest = Set::all(docs).minus(&self.graded(part)?.all(docs));
                Ok(Arc::new(Graded::of([(Grade::BEST, rest)])))
            }
            Node::Or(parts) => {
                let mut all = Classes::default();
                for part in parts {
                    // Sets become one bit by bit, and none is held longer.
                    self.spend(u64::from(docs) / 64);
                    let part = self.graded(part)?;
                    part.classes().for_each(|(grade, set)| all.add(*grade, set.clone()));
                }
                Ok(Arc::new(all.graded()))
            }
            Node::And(parts) => self.and(parts),
        }
    }

    fn and(&self, parts: &[Node]) -> Result<Arc<Graded>, TooWide> {
        let mut costs: Vec<(u64, &Node)> = parts.iter().map(|part| (self.cost(part), part)).collect();
        costs.sort_by_key(|(cost, _)| *cost);
        let mut parts = costs.into_iter();
        let Some((_, first)) = parts.next() else { return self.graded(&Node::All) };
        let mut all = self.graded(first)?;
        for (cost, part) in parts {
            let candidates = all.len();
            if candidates == 0 {
                break;
            }
            let testing = candidates.saturating_mul(test_cost(part));
            all = if cost < candidates.saturating_mul(READ_MEANWHILE) && cost <= self.readable() {
                let other = self.graded(part)?;
                self.spend(all.cost_of_meeting(&other, self.docs()));
                Arc::new(all.and(&other))
            } else if testing > WORK_LIMIT / 2 || self.work.is_spent() {
                return Err(TooWide);
            } else {
                self.spend(testing);
                Arc::new(self.tested(&all, part))
            };
        }
        Ok(all)
    }

    /// Those of some documents for which a part is true, too; paid for already.
    fn tested(&self, all: &Graded, part: &Node) -> Graded {
        let nothing = Work::new(u64::MAX);
        let free = Run { work: &nothing, ..*self };
        if let Node::Leaf(leaf) = part
            && self.may_read(leaf)
            && let Ok(graded) = free.leaf(leaf)
        {
            return all.and(&graded);
        }
        all.tested(self.docs(), |doc| free.test(part, doc))
    }

    /// Whether a part is true of a document, and how well.
    fn test(&self, node: &Node, doc: u32) -> Option<Grade> {
        match node {
            Node::All => Some(Grade::BEST),
            Node::Leaf(leaf) => self.test_leaf(leaf, doc),
            Node::And(parts) => {
                parts.iter().try_fold(Grade::BEST, |grade, part| Some(grade.with(self.test(part, doc)?)))
            }
            Node::Or(parts) => parts.iter().filter_map(|part| self.test(part, doc)).min(),
            Node::Not(part) => self.test(part, doc).is_none().then_some(Grade::BEST),
        }
    }

    fn test_leaf(&self, leaf: &Leaf, doc: u32) -> Option<Grade> {
        let g = self.generation;
        let listed = leaf.docs.binary_search_by_key(&doc, |(doc, _)| *doc).ok();
        let mut best = listed.and_then(|at| leaf.docs.get(at)).map(|(_, kind)| leaf.listed(*kind));
        let mut looked = 4u64;
        lists_of(&g.tables, self.space, g.row_of(self.space, doc), |bearer, words| {
            looked = looked.saturating_add(u64::try_from(words.len()).unwrap_or(0));
            for entry in words {
                let field = g.tables.entry_field.at(entry);
                let spans = leaf.spans.with(entry).filter(|span| span.fields.has_number(field));
                let spans = spans.map(|span| leaf.grade(span.kind, field));
                let inner = leaf.inner.as_ref().filter(|inner| inner.fields.has_number(field)).filter(|inner| {
                    looked = looked.saturating_add(inner.look());
                    inner.has(g, entry)
                });
                for grade in spans.chain(inner.map(|_| leaf.inner_grade(field))) {
                    if !self.hidden.covers(bearer, entry) {
                        best = Some(best.map_or(grade, |best| best.min(grade)));
                    }
                }
            }
        });
        self.spend(looked);
        best
    }
}

/// What testing one candidate costs.
fn test_cost(node: &Node) -> u64 {
    match node {
        Node::All => 1,
        Node::Leaf(Leaf { inner: Some(Inner { inside: Inside::Many, .. }), .. }) => TEST_LETTERS,
        Node::Leaf(_) => TEST,
        Node::And(parts) | Node::Or(parts) => parts.iter().map(test_cost).fold(0, u64::saturating_add),
        Node::Not(part) => test_cost(part),
    }
}

/// The same question with every word of free text held to a level; nothing when the question has none.
fn narrowed(node: &Node, level: Level) -> Option<Node> {
    fn any_ranked(node: &Node) -> bool {
        match node {
            Node::Leaf(leaf) => leaf.ranked,
            Node::And(parts) | Node::Or(parts) => parts.iter().any(any_ranked),
            Node::Not(_) | Node::All => false,
        }
    }
    fn narrow(node: &Node, level: Level) -> Node {
        match node {
            Node::Leaf(leaf) if leaf.ranked => Node::Leaf(held(leaf, level)),
            Node::And(parts) => Node::And(parts.iter().map(|part| narrow(part, level)).collect()),
            Node::Or(parts) => Node::Or(parts.iter().map(|part| narrow(part, level)).collect()),
            other => other.clone(),
        }
    }
    any_ranked(node).then(|| narrow(node, level))
}

fn held(leaf: &Leaf, level: Level) -> Leaf {
    let names = Fields::NAMES.or(Fields::from(crate::Field::Structure));
    let fields = |span: &Span| match level {
        Level::Exact => span.fields,
        Level::ExactName | Level::Name => span.fields.and(names),
    };
    let spans = leaf.spans.all().iter().filter(|span| level == Level::Name || span.kind == MatchKind::Exact);
    // What stands in a list by itself is the word of an added mailbox: no name.
    let docs = leaf.docs.iter().filter(|(_, kind)| level == Level::Exact && *kind == MatchKind::Exact);
    Leaf {
        spans: Spans::new(spans.map(|span| Span { fields: fields(span), ..*span }).collect()),
        inner: None,
        docs: docs.copied().collect(),
        ranked: true,
        asked: None,
    }
}
