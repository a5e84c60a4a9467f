//! Evaluation: the rarest part gives the candidates, the others test them, by their lists where these are short and
//! by the candidates' own words where they are long.

use super::{
    Filter, Page, Question, Similar, Total, WORK_LIMIT, Work,
    compile::{Compiler, Leaf, Node, Span, Spans, Stage},
    hidden::{Hidden, overlay},
    set::Set,
};
use crate::{
    Fields, Generation, MatchKind, Registry,
    generation::{Space, lists_of},
};

/// Up to so many hits are each weighed by where they were hit; of more, the best are taken level by level.
const WEIGHED: u64 = 2000;
/// The longest sum of lists that is read through for one part, unless there are nearly as many documents.
const READ: u64 = 2_000_000;
/// What testing one candidate by its own words costs, in list entries read.
const TEST: u64 = 60;

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
    let mut cut = false;
    for stage in stages {
        let mut compiler = Compiler::new(generation, (registry, &hidden.added), space, *stage, work);
        let node = compiler.node(&question.filter, 0);
        cut |= compiler.cut;
        let run = Run { generation, space, hidden: &hidden, work };
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
    Compiler::new(generation, (registry, &overlay.added), space, Stage::Typed, work).node(filter, 0)
}

/// Whether a compiled filter is true of one document.
pub(super) fn fits(
    generation: &Generation,
    space: Space,
    (node, hidden): (&Node, &Hidden),
    doc: u32,
    work: &Work,
) -> bool {
    Run { generation, space, hidden, work }.test(node, doc).is_some()
}

/// A level of worth, where hits are too many to be weighed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Every word, as typed, in a name.
    ExactName,
    /// Every word as typed.
    Exact,
    /// Every word starts one of a name.
    Name,
}

struct Run<'a> {
    generation: &'a Generation,
    space: Space,
    hidden: &'a Hidden,
    work: &'a Work,
}

/// A part that cannot be read through.
struct TooWide;

impl Run<'_> {
    fn spend(&self, work: u64) {
        self.work.spend(work);
    }

    fn spent(&self) -> bool {
        self.work.is_spent()
    }

    /// The longest sum of lists that is read through for one part: nearly everybody may be meant, however many there are.
    fn readable(&self) -> u64 {
        let docs = u64::from(self.generation.docs(self.space));
        docs.saturating_add(docs / 4).max(READ)
    }

    fn page(&self, node: &Node, page: Page) -> Found {
        let wanted = page.skip.saturating_add(page.limit);
        match self.set(node) {
            Ok(all) if all.len() <= WEIGHED => self.weighed(node, &all, page),
            all => {
                let all = all.ok();
                let mut seen: Vec<Set> = Vec::new();
                let mut docs: Vec<(u32, MatchKind)> = Vec::new();
                for level in [Level::ExactName, Level::Exact, Level::Name] {
                    let Some(narrow) = narrowed(node, level).filter(|_| docs.len() < wanted) else { continue };
                    if let Ok(set) = self.set(&narrow) {
                        let fresh = self.shown(&set).filter(|doc| !seen.iter().any(|before| before.has(*doc)));
                        let kind = |doc| self.test(&narrow, doc).map_or(MatchKind::Prefix, |(kind, _)| kind);
                        docs.extend(fresh.take(wanted.saturating_sub(docs.len())).map(|doc| (doc, kind(doc))));
                        seen.push(set);
                    }
                }
                self.rest(node, all.as_ref(), &seen, page, &mut docs);
                let total = match &all {
                    Some(all) => Total::Exactly(all.len()),
                    None => Total::AtLeast(u64::try_from(docs.len()).unwrap_or(u64::MAX)),
                };
                let cut = all.is_none();
                Found { docs: docs.into_iter().skip(page.skip).take(page.limit).collect(), total, cut }
            }
        }
    }

    /// Fills the page with what no level had, in the order of documents.
    fn rest(&self, node: &Node, all: Option<&Set>, seen: &[Set], page: Page, docs: &mut Vec<(u32, MatchKind)>) {
        let wanted = page.skip.saturating_add(page.limit);
        let new = |doc: u32| !seen.iter().any(|before| before.has(doc));
        if let Some(all) = all {
            for doc in self.shown(all).filter(|doc| new(*doc)) {
                if docs.len() >= wanted {
                    return;
                }
                // What is passed over is not weighed: deep pages cost little more than the first.
                let passed = docs.len() < page.skip;
                let kind = if passed { None } else { self.test(node, doc).map(|(kind, _)| kind) };
                docs.push((doc, kind.unwrap_or(MatchKind::Prefix)));
            }
            return;
        }
        for doc in self.hidden.order(self.space).shown(0..self.generation.docs(self.space), |_| true) {
            if docs.len() >= wanted || self.spent() {
                return;
            }
            if new(doc) {
                docs.extend(self.test(node, doc).map(|(kind, _)| (doc, kind)));
            }
        }
    }

    /// The documents of a set, in the order in which they are shown.
    fn shown<'s>(&'s self, set: &'s Set) -> impl Iterator<Item = u32> + 's {
        self.hidden.order(self.space).shown(set.iter(), |doc| set.has(doc))
    }

    fn weighed(&self, node: &Node, all: &Set, page: Page) -> Found {
        let order = self.hidden.order(self.space);
        let weigh = |doc| self.test(node, doc).map(|(kind, weight)| (kind, weight, order.key(doc), doc));
        let mut docs: Vec<_> = all.iter().filter_map(weigh).collect();
        docs.sort_unstable();
        let total = Total::Exactly(u64::try_from(docs.len()).unwrap_or(u64::MAX));
        let shown = docs.into_iter().skip(page.skip).take(page.limit);
        Found { docs: shown.map(|(kind, .., doc)| (doc, kind)).collect(), total, cut: false }
    }

    /// How many list entries reading a part through would take.
    fn cost(&self, node: &Node) -> u64 {
        match node {
            Node::All | Node::Not(_) => u64::from(self.generation.docs(self.space)).saturating_mul(2),
            Node::Leaf(leaf) => self.leaf_cost(leaf),
            Node::And(parts) => parts.iter().map(|part| self.cost(part)).min().unwrap_or(0),
            Node::Or(parts) => parts.iter().map(|part| self.cost(part)).fold(0, u64::saturating_add),
        }
    }

    fn leaf_cost(&self, leaf: &Leaf) -> u64 {
        let t = &self.generation.tables;
        let counts = match self.space {
            Space::People => &t.entry_people_counts,
            Space::Places => &t.entry_place_counts,
        };
        let mut sum = u64::try_from(leaf.docs.len()).unwrap_or(u64::MAX);
        for span in leaf.spans.all() {
            self.spend(u64::from(span.to.saturating_sub(span.from)) / 4);
            let entries = (span.from..span.to).filter(|entry| self.generation.entry_in(*entry, span.fields));
            sum = entries.fold(sum, |sum, entry| sum.saturating_add(u64::from(counts.text_at(entry))));
            if sum > self.readable().saturating_mul(8) {
                break;
            }
        }
        sum
    }

    /// All documents for which a part is true.
    fn set(&self, node: &Node) -> Result<Set, TooWide> {
        let docs = self.generation.docs(self.space);
        if self.spent() {
            return Err(TooWide);
        }
        match node {
            Node::All => {
                self.spend(u64::from(docs) / 64);
                Ok(Set::all(docs))
            }
            Node::Leaf(leaf) => self.read(leaf),
            Node::Not(part) => Ok(self.set(part)?.not(docs)),
            Node::Or(parts) => parts.iter().try_fold(Set::List(Vec::new()), |all, part| {
                // Two sets become one bit by bit.
                self.spend(u64::from(docs) / 64);
                Ok(all.or(self.set(part)?, docs))
            }),
            Node::And(parts) => self.and(parts),
        }
    }

    fn and(&self, parts: &[Node]) -> Result<Set, TooWide> {
        let mut costs: Vec<(u64, &Node)> = parts.iter().map(|part| (self.cost(part), part)).collect();
        costs.sort_by_key(|(cost, _)| *cost);
        let mut parts = costs.into_iter();
        let Some((_, first)) = parts.next() else { return self.set(&Node::All) };
        let mut set = self.set(first)?;
        for (cost, part) in parts {
            let candidates = set.len();
            if candidates == 0 {
                break;
            }
            let testing = candidates.saturating_mul(TEST);
            if cost < testing && cost <= self.readable() {
                set = set.and(&self.set(part)?);
            } else if testing > WORK_LIMIT / 2 {
                return Err(TooWide);
            } else {
                set = set.filtered(|doc| self.test(part, doc).is_some());
            }
        }
        Ok(set)
    }

    fn read(&self, leaf: &Leaf) -> Result<Set, TooWide> {
        let cost = self.leaf_cost(leaf);
        if cost > self.readable() {
            return Err(TooWide);
        }
        self.spend(cost);
        let g = self.generation;
        let entries = || {
            let of_span = |span: &Span| {
                let fields = span.fields;
                (span.from..span.to).filter(move |entry| g.entry_in(*entry, fields))
            };
            leaf.spans.all().iter().flat_map(of_span)
        };
        let docs = entries().flat_map(|entry| {
            let untouched = self.hidden.leaves(entry);
            let shown = move |doc: &u32| untouched || self.hidden.shows(g, self.space, *doc, entry);
            g.postings(self.space, entry).filter(shown)
        });
        let docs = docs.chain(leaf.docs.iter().map(|(doc, _)| *doc));
        let count = g.docs(self.space);
        if cost < 4096 {
            return Ok(Set::of(docs.filter(|doc| *doc < count).collect()));
        }
        let mut set = Set::bits(count);
        docs.for_each(|doc| set.insert(doc));
        Ok(set)
    }

    /// Whether a part is true of a document, how well, and how far from its name.
    fn test(&self, node: &Node, doc: u32) -> Option<(MatchKind, u32)> {
        match node {
            Node::All => Some((MatchKind::Exact, 0)),
            Node::Leaf(leaf) => self.test_leaf(leaf, doc),
            Node::And(parts) => parts.iter().try_fold((MatchKind::Exact, 0u32), |(kind, weight), part| {
                let (other, more) = self.test(part, doc)?;
                Some((kind.max(other), weight.saturating_add(more)))
            }),
            Node::Or(parts) => parts.iter().filter_map(|part| self.test(part, doc)).min(),
            Node::Not(part) => self.test(part, doc).is_none().then_some((MatchKind::Exact, 0)),
        }
    }

    fn test_leaf(&self, leaf: &Leaf, doc: u32) -> Option<(MatchKind, u32)> {
        let g = self.generation;
        let listed = leaf.docs.binary_search_by_key(&doc, |(doc, _)| *doc).ok();
        let of_list = if leaf.ranked { FAR } else { 0 };
        let mut best = listed.and_then(|at| leaf.docs.get(at)).map(|(_, kind)| (*kind, of_list));
        let mut looked = 4u64;
        lists_of(&g.tables, self.space, g.row_of(self.space, doc), |bearer, words| {
            looked = looked.saturating_add(u64::try_from(words.len()).unwrap_or(0));
            for entry in words {
                for span in leaf.spans.with(entry) {
                    if g.entry_in(entry, span.fields) && !self.hidden.covers(bearer, entry) {
                        let weight = if leaf.ranked { weight(g.tables.entry_field.at(entry)) } else { 0 };
                        let hit = (span.kind, weight);
                        best = Some(best.map_or(hit, |best| best.min(hit)));
                    }
                }
            }
        });
        self.spend(looked);
        best
    }
}

/// How far what is no name is from it.
const FAR: u32 = 3;

/// How far a field is from the name.
fn weight(field: u32) -> u32 {
    let is = |wanted: crate::Field| wanted.number() == field;
    if is(crate::Field::Family) || is(crate::Field::Sound) {
        0
    } else if is(crate::Field::Given) || is(crate::Field::Structure) {
        1
    } else {
        FAR
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
    let spans = leaf.spans.all().iter().filter(|span| match level {
        Level::Name => !span.inner,
        Level::Exact | Level::ExactName => span.kind == MatchKind::Exact,
    });
    // What stands in a list by itself is the word of an added mailbox: no name.
    let docs = leaf.docs.iter().filter(|(_, kind)| level == Level::Exact && *kind == MatchKind::Exact);
    Leaf {
        spans: Spans::new(spans.map(|span| Span { fields: fields(span), ..*span }).collect()),
        docs: docs.copied().collect(),
        ranked: true,
    }
}
