//! From a filter to what can be evaluated: words become ranges of the dictionary, identifiers become documents.

use std::sync::Arc;

use ident::StructureIdKind;

use super::{
    Filter, How, MAX_DEPTH, MAX_PARTS, Work,
    hidden::Hidden,
    inside::{self, Inner, Inside, Searched},
    near,
};
use crate::{
    Field, Fields, Generation, Mailbox, MailboxType, MatchKind, Registry,
    answer::{person_forms, structure_forms},
    fold::{fold, words},
    fonem,
    generation::{PARTICLES, Space, partition},
};

/// Most documents that a number or an address may stand for.
const MAX_DOCS: usize = 20_000;
/// Most people that structures named by a number lead to.
const MAX_STAFF: usize = 100_000;
/// What reading the key of one mailbox costs, in list entries read.
const KEY: u64 = 8;
/// Shortest start of an identifier that is looked for.
pub(crate) const MIN_NUMBER: usize = 5;

/// How far a question may be stretched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// As typed.
    Typed,
    /// Without particles, and with neighbours run together.
    Loose,
    /// With words one or two letters off.
    Fuzzy,
    /// With names that sound alike.
    Sound,
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [Self::Typed, Self::Loose, Self::Fuzzy, Self::Sound];
}

/// Some entries of the dictionary, in some fields, and what a hit there is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) fields: Fields,
    pub(super) kind: MatchKind,
}

/// Spans in the order of the dictionary; one may lie within another.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    list: Vec<Span>,
    /// For each, how far it or any before it goes.
    reach: Vec<u32>,
}

impl Spans {
    pub(super) fn new(mut list: Vec<Span>) -> Self {
        list.sort_by_key(|span| (span.from, span.to));
        let mut far = 0;
        let reach = list.iter().map(|span| {
            far = span.to.max(far);
            far
        });
        Self { reach: reach.collect(), list }
    }

    pub(super) fn all(&self) -> &[Span] {
        &self.list
    }

    /// Those that an entry is in.
    pub(super) fn with(&self, entry: u32) -> impl Iterator<Item = &Span> {
        let begun = self.list.partition_point(|span| span.from <= entry);
        let near = self.list.iter().zip(&self.reach).take(begun).rev().take_while(move |(_, reach)| **reach > entry);
        near.map(|(span, _)| span).filter(move |span| span.to > entry)
    }
}

/// What can be evaluated.
#[derive(Debug, Clone)]
pub(super) enum Node {
    All,
    Leaf(Leaf),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// One word, number or address.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaf {
    pub(super) spans: Spans,
    /// Letters that may stand anywhere in a word.
    pub(super) inner: Option<Inner>,
    /// Sorted by document.
    pub(super) docs: Vec<(u32, MatchKind)>,
    /// Whether hits in names come before others.
    pub(super) ranked: bool,
    /// The word as it was asked for, unless it was stretched: in another generation the same is other spans.
    pub(super) asked: Option<Arc<Filter>>,
}

/// Compiles filters for one generation, space and stage.
pub(super) struct Compiler<'a> {
    pub(super) generation: &'a Generation,
    pub(super) registry: Option<&'a Registry>,
    pub(super) hidden: &'a Hidden,
    pub(super) space: Space,
    pub(super) stage: Stage,
    pub(super) parts: usize,
    /// Something was left out: too deep, too many parts, too many documents.
    pub(super) cut: bool,
    pub(super) work: &'a Work,
    /// What the dictionary was gone through for already.
    pub(super) walked: Walked,
}

/// Going through the whole dictionary is done once for each word of a question.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Letters that were looked for inside words, and the entries that have them there.
    inside: Vec<(String, Fields, Inside)>,
    /// Words that near ones were looked for of, and these.
    near: Vec<(String, Vec<u32>)>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        generation: &'a Generation,
        (registry, hidden): (Option<&'a Registry>, &'a Hidden),
        space: Space,
        stage: Stage,
        work: &'a Work,
    ) -> Self {
        Self { generation, registry, hidden, space, stage, parts: 0, cut: false, work, walked: Walked::default() }
    }

    pub(super) fn node(&mut self, filter: &Filter, depth: usize) -> Node {
        self.parts = self.parts.saturating_add(1);
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            self.cut = true;
            return Node::Or(Vec::new());
        }
        let below = depth.saturating_add(1);
        match filter {
            Filter::All => Node::All,
            Filter::Words { fields, how, text } => {
                let words = words(text);
                self.parts = self.parts.saturating_add(words.len());
                let leaves = words.iter().map(|word| Node::Leaf(self.word(word, *fields, *how))).collect();
                one_or(leaves)
            }
            Filter::Value { fields, value } => Node::Leaf(self.value(value, *fields)),
            Filter::Id { text, how } => Node::Leaf(self.id(text, *how)),
            Filter::Address { text, how } => Node::Leaf(self.address(text, *how)),
            Filter::Rows(rows) => {
                self.work.spend_on(rows.0.len(), 2);
                let docs = rows.0.iter().map(|row| (self.generation.doc_of(self.space, *row), MatchKind::Exact));
                let docs = docs.filter(|(doc, _)| *doc < self.generation.docs(self.space)).collect();
                Node::Leaf(self.finish(docs))
            }
            Filter::And(parts) => match self.stage {
                Stage::Typed => Node::And(parts.iter().map(|part| self.node(part, below)).collect()),
                _ => self.loose(parts, below),
            },
            Filter::Or(parts) => Node::Or(parts.iter().map(|part| self.node(part, below)).collect()),
            Filter::Not(part) => Node::Not(Box::new(self.node(part, below))),
        }
    }

    /// All parts but particles of names; or all, two neighbours being one word.
    fn loose(&mut self, parts: &[Filter], depth: usize) -> Node {
        let typed = |part: &Filter| match part {
            Filter::Words { fields, how: How::Prefix, text } if fields.and(Fields::NAMES) != Fields::NONE => {
                Some((text.clone(), *fields))
            }
            _ => None,
        };
        let particle = |part: &Filter| typed(part).is_some_and(|(text, _)| PARTICLES.contains(&text.as_str()));
        let kept: Vec<&Filter> = match parts.iter().all(particle) {
            true => parts.iter().collect(),
            false => parts.iter().filter(|part| !particle(part)).collect(),
        };
        let mut ways = vec![Node::And(kept.iter().map(|part| self.node(part, depth)).collect())];
        for (n, pair) in parts.windows(2).enumerate() {
            let [a, b] = pair else { continue };
            let (Some((a, fields)), Some((b, others))) = (typed(a), typed(b)) else { continue };
            if fields != others {
                continue;
            }
            let run = Filter::Words { fields, how: How::Prefix, text: format!("{a}{b}") };
            let rest = parts.iter().enumerate().filter(|(at, _)| *at != n && *at != n.saturating_add(1));
            let mut way: Vec<Node> =
                rest.filter(|(_, part)| !particle(part)).map(|(_, part)| self.node(part, depth)).collect();
            way.push(self.node(&run, depth));
            ways.push(Node::And(way));
        }
        one_or_any(ways)
    }

    fn word(&mut self, word: &str, fields: Fields, how: How) -> Leaf {
        let mut spans = Vec::new();
        let g = self.generation;
        let mut range = |range: std::ops::Range<u32>, fields, kind| {
            if !range.is_empty() {
                spans.push(Span { from: range.start, to: range.end, fields, kind });
            }
        };
        let exact = g.entries_from(&format!("{word}\0"));
        range(exact.clone(), fields, MatchKind::Exact);
        if how != How::Exact {
            range(exact.end..g.entries_from(word).end, fields, MatchKind::Prefix);
            // `st` stands for `saint`; the index has both for what is written `st`.
            if let Some(full) = match word {
                "st" => Some("saint\0"),
                "ste" => Some("sainte\0"),
                _ => None,
            } {
                range(g.entries_from(full), fields, MatchKind::Exact);
            }
        }
        let inner = if how == How::Contains { self.inside(word, fields) } else { None };
        let stretched = match how {
            How::Similar => Stage::Sound,
            How::Prefix => self.stage,
            How::Exact | How::Contains => Stage::Typed,
        };
        // Each walks through the dictionary, and neighbours run together are words of their own: a dozen words make hundreds.
        self.cut |= stretched >= Stage::Fuzzy && self.work.is_spent();
        if stretched >= Stage::Fuzzy && !self.work.is_spent() {
            let near = self.near(word);
            // Whoever asks for what is near is told when there is more of it; else it is only a help.
            self.cut |= how == How::Similar && near.len() >= near::MAX_NEAR;
            // What begins so is no near miss.
            let begins = g.entries_from(word);
            let in_fields = near.into_iter().filter(|entry| g.entry_in(*entry, fields) && !begins.contains(entry));
            spans.extend(in_fields.map(|entry| Span {
                from: entry,
                to: entry.saturating_add(1),
                fields,
                kind: MatchKind::Fuzzy,
            }));
        }
        if stretched >= Stage::Sound && fields.and(Fields::NAMES) != Fields::NONE {
            let code = fonem(word);
            if code.len() > 2 {
                let alike = g.entries_from(&format!("{code}\0"));
                let fields = Fields::from(Field::Sound);
                let kind = MatchKind::Phonetic;
                spans.push(Span { from: alike.start, to: alike.end, fields, kind });
            }
        }
        let asked = (stretched < Stage::Fuzzy).then(|| Arc::new(Filter::Words { fields, how, text: word.to_owned() }));
        let (docs, ranked) = (self.added(word, fields, how), how != How::Exact);
        Leaf { spans: Spans::new(spans), inner, docs, ranked, asked }
    }

    /// The entries that are one or two letters off.
    fn near(&mut self, word: &str) -> Vec<u32> {
        if let Some((_, near)) = self.walked.near.iter().find(|(known, _)| known == word) {
            return near.clone();
        }
        let (near, work) = near::entries(self.generation, word);
        self.work.spend(work);
        self.walked.near.push((word.to_owned(), near.clone()));
        near
    }

    /// The documents that have a word through a mailbox that only the registry knows.
    fn added(&mut self, word: &str, fields: Fields, how: How) -> Vec<(u32, MatchKind)> {
        let docs = self.hidden.added.by_word((self.generation, self.space), word, fields, how, self.work);
        self.finish(docs).docs
    }

    /// The words of some fields that have these letters anywhere but at their start; nothing when that is too much.
    fn inside(&mut self, letters: &str, fields: Fields) -> Option<Inner> {
        let known = self.walked.inside.iter().find(|(known, of, _)| known == letters && *of == fields);
        if let Some((.., inside)) = known {
            return Some(Inner::new(letters, fields, inside.clone()));
        }
        // Each reads the whole dictionary: a few are a question, hundreds an attack.
        if self.work.is_spent() {
            self.cut = true;
            return None;
        }
        let Searched { inside, cost } = inside::entries(self.generation, letters, fields);
        self.work.spend(cost);
        self.walked.inside.push((letters.to_owned(), fields, inside.clone()));
        Some(Inner::new(letters, fields, inside))
    }

    fn value(&mut self, value: &str, fields: Fields) -> Leaf {
        let domains = Fields::of(&[Field::Domain, Field::SharedDomain]);
        let folded = match fields.and(domains) != Fields::NONE {
            true => value.trim().to_lowercase(),
            false => fold(value).replace(' ', ""),
        };
        let range = self.generation.entries_from(&format!("{folded}\0"));
        let span = Span { from: range.start, to: range.end, fields, kind: MatchKind::Exact };
        Leaf {
            spans: Spans::new(vec![span]),
            inner: None,
            docs: self.added(&folded, fields, How::Exact),
            ranked: false,
            asked: Some(Arc::new(Filter::Value { fields, value: folded })),
        }
    }

    fn finish(&self, mut docs: Vec<(u32, MatchKind)>) -> Leaf {
        self.work.spend_on(docs.len(), 4);
        docs.retain(|(doc, _)| *doc < self.generation.docs(self.space));
        docs.sort_unstable();
        docs.dedup_by_key(|(doc, _)| *doc);
        Leaf { docs, ..Leaf::default() }
    }

    /// The document of a person, or the people of a structure; or the structure itself.
    fn place(&mut self, row: u32, kind: MatchKind, docs: &mut Vec<(u32, MatchKind)>) {
        let (g, t) = (self.generation, &self.generation.tables);
        match self.space {
            Space::Places => docs.push((g.doc_of(Space::Places, row), kind)),
            Space::People => {
                let activities = t.structure_activities.of(&t.structure_activity_starts, row);
                let activities = activities.take(MAX_STAFF.saturating_sub(docs.len()));
                docs.extend(activities.map(|at| (g.doc_of(Space::People, t.activity_person.at(at)), kind)));
            }
        }
    }

    fn id(&mut self, text: &str, how: How) -> Leaf {
        let g = self.generation;
        let mut docs = Vec::new();
        if self.space == Space::People {
            let current = |id: ident::PersonId| match self.registry {
                Some(registry) => registry.current(&id).clone(),
                None => id,
            };
            let exact = person_forms(text).into_iter().map(current).filter_map(|id| g.person(&id));
            docs.extend(exact.map(|person| (g.doc_of(Space::People, person.row), MatchKind::Exact)));
        }
        for id in structure_forms(text) {
            if let Some(structure) = g.structure(&id) {
                self.place(structure.row, MatchKind::Exact, &mut docs);
            } else if id.kind() == StructureIdKind::Finess {
                // The number of a legal entity stands for its sites.
                let sites: Vec<u32> = g.sites_of_entity(id.number()).map(|site| site.row).take(MAX_DOCS).collect();
                sites.into_iter().for_each(|row| self.place(row, MatchKind::Exact, &mut docs));
            }
        }
        let wanted: String = fold(text).chars().filter(|c| *c != ' ').collect::<String>().to_uppercase();
        if let Some(structure) = g.structure_by_technical_id(&wanted) {
            self.place(structure.row, MatchKind::Exact, &mut docs);
        }
        if how != How::Exact && wanted.len() >= MIN_NUMBER {
            self.starts(&wanted, &mut docs);
        }
        docs.retain(|(doc, _)| *doc < g.docs(self.space));
        if docs.len() >= MAX_DOCS {
            self.cut = true;
        }
        self.finish(docs)
    }

    /// Identifiers that begin so.
    fn starts(&mut self, wanted: &str, docs: &mut Vec<(u32, MatchKind)>) {
        let (g, t) = (self.generation, &self.generation.tables);
        let range = |rows: u32, start: &str, text: &dyn Fn(u32) -> u32| {
            let from = g.lower_bound(rows, start, text);
            let to = partition(from, rows, |row| g.text.get(text(row)).starts_with(start));
            from..to
        };
        if self.space == Space::People {
            for digit in ["", "8", "0", "3", "5"] {
                let start = format!("{digit}{wanted}");
                let rows = range(t.person_id.len(), &start, &|row| t.person_id.text_at(row));
                docs.extend(rows.take(MAX_DOCS).map(|row| (g.doc_of(Space::People, row), MatchKind::Prefix)));
            }
        }
        for (order, column, digit) in [
            (&t.structure_by_finess, &t.structure_finess, "1"),
            (&t.structure_by_siret, &t.structure_siret, "3"),
            (&t.structure_by_technical, &t.structure_technical, ""),
        ] {
            let full = wanted.strip_prefix(digit).filter(|rest| !digit.is_empty() && rest.len() >= MIN_NUMBER);
            for start in [Some(wanted), full].into_iter().flatten() {
                let places = range(order.len(), start, &|place| column.text_at(order.at(place)));
                for place in places.take(MAX_DOCS) {
                    self.place(order.at(place), MatchKind::Prefix, docs);
                    if docs.len() >= MAX_DOCS {
                        return;
                    }
                }
            }
        }
    }

    fn address(&mut self, text: &str, how: How) -> Leaf {
        let (g, t) = (self.generation, &self.generation.tables);
        let start = text.trim().to_lowercase();
        let mut docs = Vec::new();
        if start.is_empty() {
            return Leaf::default();
        }
        let rows = t.mailbox_key.len();
        let key = |row| g.text.get(t.mailbox_key.text_at(row));
        let from = g.lower_bound(rows, &start, |row| t.mailbox_key.text_at(row));
        let to = partition(from, rows, |row| key(row).starts_with(&start));
        let is_exact = |row| row == from && key(row) == start;
        for row in from..to {
            let kind = if is_exact(row) { MatchKind::Exact } else { MatchKind::Prefix };
            self.work.spend(KEY);
            if how == How::Exact && kind != MatchKind::Exact {
                break;
            }
            if docs.len() >= MAX_DOCS || self.work.is_spent() {
                self.cut = true;
                break;
            }
            // No structure shows a personal mailbox: it is found by the person, not by where that one works.
            if self.space == Space::Places && (Mailbox { generation: g, row }).kind() == MailboxType::Personal {
                continue;
            }
            let (list, starts) = match self.space {
                Space::Places => (&t.mailbox_structure_list, &t.mailbox_structure_starts),
                Space::People => (&t.mailbox_people, &t.mailbox_person_starts),
            };
            if !self.hidden.is_red(row) {
                docs.extend(list.of(starts, row).map(|row| (g.doc_of(self.space, row), kind)));
            }
        }
        self.hidden.added.by_address((g, self.space), &start, how, self.work, &mut docs);
        docs.retain(|(doc, _)| *doc < g.docs(self.space));
        self.finish(docs)
    }
}

fn one_or(mut leaves: Vec<Node>) -> Node {
    match (leaves.len(), leaves.pop()) {
        (1, Some(leaf)) => leaf,
        (_, Some(last)) => {
            leaves.push(last);
            Node::And(leaves)
        }
        // No word: nothing that could be true.
        _ => Node::Or(Vec::new()),
    }
}

fn one_or_any(mut ways: Vec<Node>) -> Node {
    match (ways.len(), ways.pop()) {
        (1, Some(way)) => way,
        (_, Some(last)) => {
            ways.push(last);
            Node::Or(ways)
        }
        _ => Node::Or(ways),
    }
}
