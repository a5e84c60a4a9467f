//! The query model: what any face of the directory may ask, and what it gets.
//!
//! A face turns its own form (words, an LDAP filter, FHIR parameters, fields of a page) into a [`Filter`], gets rows
//! in an order that is total and the same for the same generation, and shows them in its own form. Paging is a
//! [`Page`]: the faces make tokens of it. No question costs more than [`WORK_LIMIT`]: what is beyond is cut, and
//! [`Hits::cut`] says so.

mod added;
mod compile;
mod evaluate;
mod graded;
mod hidden;
mod inside;
mod kept;
mod near;
mod order;
mod read;
mod ready;
mod set;
mod shelf;
mod text;
mod work;

use crate::{Fields, Generation, MatchKind, Person, Registry, Structure, generation::Space};

pub(crate) use compile::MIN_NUMBER;
pub(crate) use hidden::{Memory, overlay};
pub(crate) use kept::Kept;
pub(crate) use near::distance;
pub use text::{MAX_QUESTION, MAX_WORDS};
pub(crate) use work::Work;

/// The most that one question may cost, in list entries read: some thirty milliseconds of one core.
pub const WORK_LIMIT: u64 = 8_000_000;
/// The deepest nesting of a [`Filter`], and the most parts it has, that are answered.
pub const MAX_DEPTH: usize = 32;
/// See [`MAX_DEPTH`].
pub const MAX_PARTS: usize = 512;

/// How a word must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// As a whole word.
    Exact,
    /// As a word or the start of one.
    Prefix,
    /// Anywhere in a word.
    Contains,
    /// As a word, the start of one, one or two letters off, or as something that sounds alike.
    Similar,
}

/// What must be true of a person, or of a structure. About a person, the words of the places where the person works
/// are the person's too. Whoever reads filters from outside bounds their depth while reading: a tree that is dropped
/// nests as deep as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    All,
    /// Every word of the text (folded here) stands in one of these fields.
    Words {
        /// Where.
        fields: Fields,
        /// How.
        how: How,
        /// The words as typed.
        text: String,
    },
    /// One code or value that is no word: `…Code`, `…Type`, `…Domain` or `State` of [`crate::Field`].
    Value {
        /// Where.
        fields: Fields,
        /// The value; case and blanks aside.
        value: String,
    },
    /// Has this identifier, or one that begins so: RPPS, ADELI, FINESS, SIRET, technical, with or without type digit
    /// and blanks. Asked about people, the identifier of a structure means those who work there.
    Id {
        /// The number as typed.
        text: String,
        /// [`How::Exact`], or its start.
        how: How,
    },
    /// Has a mailbox with this address, or one that begins so. Red-listed mailboxes do not count.
    Address {
        /// The address, or the start of it.
        text: String,
        /// [`How::Exact`], or its start.
        how: How,
    },
    /// Is one of these, found already by other means.
    Rows(Rows),
    /// All of them. None: everything.
    And(Vec<Filter>),
    /// One of them. None: nothing.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

/// People, or structures, of one generation, as a face found them: only the crate's own faces make such lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(pub(crate) std::sync::Arc<[u32]>);

impl Filter {
    /// What people type into one field: words in any order, the last or any of them unfinished; numbers and
    /// addresses are recognised.
    pub fn text(text: &str) -> Self {
        text::parse(text)
    }
}

/// Whether near misses are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Similar {
    /// Only when nothing is found as typed: then what is one or two letters off, then what sounds alike.
    #[default]
    IfNone,
    /// Only what people leave out or run together when nothing is found as typed: particles, two words in one.
    Loosely,
    /// Not at all: protocols that say themselves what they want.
    Never,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What must be true.
    pub filter: Filter,
    /// Whether near misses are looked for.
    pub similar: Similar,
}

impl Question {
    /// What people type, near misses welcome if there is nothing else.
    pub fn text(text: &str) -> Self {
        Self { filter: Filter::text(text), similar: Similar::IfNone }
    }

    /// Exactly this.
    pub fn filter(filter: Filter) -> Self {
        Self { filter, similar: Similar::Never }
    }
}

/// Which part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// How many hits to pass over.
    pub skip: usize,
    /// How many to give at most.
    pub limit: usize,
}

impl Page {
    /// The first hits.
    pub const fn first(limit: usize) -> Self {
        Self { skip: 0, limit }
    }
}

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Total {
    /// Just so many.
    Exactly(u64),
    /// So many at least: counting them all would have cost too much. "Too many, refine."
    AtLeast(u64),
}

/// One hit.
#[derive(Debug, Clone, Copy)]
pub struct Hit<T> {
    /// Who or what.
    pub of: T,
    /// The weakest of the words' matches.
    pub r#match: MatchKind,
}

/// Part of an answer, best first.
#[derive(Debug, Clone)]
pub struct Hits<T> {
    /// The hits of the page.
    pub hits: Vec<Hit<T>>,
    /// All of them.
    pub total: Total,
    /// The question was too wide, or too deep, to be answered whole: there may be hits that are not shown, and the
    /// best may be among them.
    pub cut: bool,
}

/// A filter that is ready to be tried on single rows: what a page of activities needs, of which each is judged by
/// its own place only.
#[derive(Debug)]
pub(crate) struct Trial<'g> {
    generation: &'g Generation,
    space: Space,
    node: compile::Node,
    hidden: std::sync::Arc<hidden::Hidden>,
    work: &'g Work,
}

impl Trial<'_> {
    /// Whether the filter is true of this row.
    pub(crate) fn fits(&self, row: u32) -> bool {
        let doc = self.generation.doc_of(self.space, row);
        doc < self.generation.docs(self.space)
            && evaluate::fits(self.generation, self.space, (&self.node, &self.hidden), doc, self.work)
    }
}

impl Generation {
    /// The people of whom the question is true: exact matches before starts of words before near misses; names
    /// before other fields; who can be written to before who cannot; then by name.
    pub fn people_where<'g>(
        &'g self,
        registry: Option<&Registry>,
        question: &Question,
        page: Page,
    ) -> Hits<Person<'g>> {
        self.people_within(registry, question, page, &Work::new(WORK_LIMIT))
    }

    /// The structures of which the question is true, in the same order.
    pub fn structures_where<'g>(
        &'g self,
        registry: Option<&Registry>,
        question: &Question,
        page: Page,
    ) -> Hits<Structure<'g>> {
        self.structures_within(registry, question, page, &Work::new(WORK_LIMIT))
    }

    /// [`Generation::people_where`] as a part of more work.
    pub(crate) fn people_within<'g>(
        &'g self,
        registry: Option<&Registry>,
        question: &Question,
        page: Page,
        work: &Work,
    ) -> Hits<Person<'g>> {
        let found = work.within(WORK_LIMIT, || evaluate::run(self, registry, Space::People, question, page, work));
        self.shown(found, Space::People, |generation, row| Person { generation, row })
    }

    /// [`Generation::structures_where`] as a part of more work.
    pub(crate) fn structures_within<'g>(
        &'g self,
        registry: Option<&Registry>,
        question: &Question,
        page: Page,
        work: &Work,
    ) -> Hits<Structure<'g>> {
        let found = work.within(WORK_LIMIT, || evaluate::run(self, registry, Space::Places, question, page, work));
        self.shown(found, Space::Places, |generation, row| Structure { generation, row })
    }

    /// One filter, to be tried on many people or structures, as a part of more work.
    pub(crate) fn trial<'g>(
        &'g self,
        registry: Option<&Registry>,
        space: Space,
        filter: &Filter,
        work: &'g Work,
    ) -> Trial<'g> {
        let node = evaluate::compile(self, registry, space, filter, work);
        Trial { generation: self, space, node, hidden: overlay(self, registry), work }
    }

    fn shown<'g, T>(&'g self, found: evaluate::Found, space: Space, of: impl Fn(&'g Self, u32) -> T) -> Hits<T> {
        let hit = |(doc, kind)| Hit { of: of(self, self.row_of(space, doc)), r#match: kind };
        Hits { hits: found.docs.into_iter().map(hit).collect(), total: found.total, cut: found.cut }
    }
}
