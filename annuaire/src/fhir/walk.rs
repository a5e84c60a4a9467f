//! From a plan to the items of a page: hits of the query model in their order, each opened into what it becomes
//! (a person's activities, a structure's services), judged where the model cannot.

use super::{
    budget::{JUDGE, Spent},
    criteria::{Criteria, Plan, space},
    item::Item,
    render::Renderer,
    table::Kind,
    token::Position,
};
use crate::{Field, Filter, Hits, MatchKind, Page, Person, Question, Similar, Total, generation::Space};

/// Most hits of the model that are opened and judged for one page.
const MAX_CANDIDATES: usize = 20_000;
/// So many hits are opened and judged for a total that nobody insisted on.
const FREE_TOTAL: u64 = 2000;
/// Most hits that are asked of the model at first: of more, all that may be opened.
const CHUNK: usize = 2000;

/// One page.
pub(super) struct Walked<'g> {
    /// The items, with how well each fits.
    pub(super) items: Vec<(Item<'g>, MatchKind)>,
    /// Where the next page begins.
    pub(super) next: Option<Position>,
    /// The question was too wide, or a page was cut short by the work it took.
    pub(super) cut: bool,
}

/// A question with its answers.
pub(super) struct Walk<'a, 'g> {
    criteria: &'a Criteria<'g>,
    plan: &'a Plan<'g>,
    question: Question,
}

/// How much work a total is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TotalMode {
    /// None.
    No,
    /// If it is free.
    Free,
    /// Even if it takes work.
    Accurate,
}

impl<'a, 'g> Walk<'a, 'g> {
    pub(super) fn new(criteria: &'a Criteria<'g>, plan: &'a Plan<'g>) -> Self {
        // Services are mailboxes of organisations: no other structure has any.
        let org = Filter::Value { fields: Field::SharedType.into(), value: "org".to_owned() };
        let own = (criteria.kind == Kind::HealthcareService).then_some(org);
        let filters: Vec<Filter> = plan.filters.iter().cloned().chain(own).collect();
        let filter = match filters.as_slice() {
            [] => Filter::All,
            [one] => one.clone(),
            _ => Filter::And(filters),
        };
        let similar = if plan.similar { Similar::IfNone } else { Similar::Never };
        Self { criteria, plan, question: Question { filter, similar } }
    }

    /// Whether one hit of the model is one item, and nothing needs to be judged.
    fn direct(&self) -> bool {
        self.plan.judges.is_empty() && matches!(self.criteria.kind, Kind::Practitioner | Kind::Organization)
    }

    fn hits(&self, page: Page) -> Hits<Item<'g>> {
        let Renderer { generation: g, registry, work, .. } = self.criteria.renderer;
        match space(self.criteria.kind) {
            Space::People => mapped(g.people_within(registry, &self.question, page, work), Item::Person),
            Space::Places => mapped(g.structures_within(registry, &self.question, page, work), Item::Place),
        }
    }

    /// What a hit of the model becomes, less what the judges do not agree with.
    fn opened(&self, hit: Item<'g>) -> Vec<Item<'g>> {
        self.criteria.renderer.work.spend(JUDGE);
        let mut items = match (self.criteria.kind, hit) {
            (Kind::PractitionerRole, Item::Person(person)) => roles(&person),
            (Kind::HealthcareService, Item::Place(place)) => self.criteria.renderer.services(&place).collect(),
            (Kind::Device, _) => Vec::new(),
            (_, item) => vec![item],
        };
        items.retain(|item| self.plan.judges.iter().all(|judge| judge(item)));
        items
    }

    /// The items from a position on.
    ///
    /// # Errors
    /// The budget was spent before the first of them was looked at.
    pub(super) fn page(&self, at: Position, limit: usize) -> Result<Walked<'g>, Spent> {
        if self.criteria.kind == Kind::Device {
            return Ok(Walked { items: Vec::new(), next: None, cut: false });
        }
        if self.direct() {
            let hits = self.hits(Page { skip: at.skip, limit });
            let end = at.skip.saturating_add(hits.hits.len());
            let more = match hits.total {
                Total::Exactly(total) => u64::try_from(end).unwrap_or(u64::MAX) < total,
                Total::AtLeast(_) => true,
            };
            let next = (more && hits.hits.len() >= limit).then_some(Position { skip: end, inner: 0 });
            let items = hits.hits.into_iter().map(|hit| (hit.of, hit.r#match)).collect();
            return Ok(Walked { items, next, cut: hits.cut || self.plan.cut });
        }
        self.opened_page(at, limit)
    }

    /// Every item, unless there are more than so many, or not all can be told.
    pub(super) fn all(&self, most: usize) -> Option<Walked<'g>> {
        let walked = self.page(Position::default(), most.saturating_add(1)).ok()?;
        (walked.next.is_none() && !walked.cut && walked.items.len() <= most).then_some(walked)
    }

    fn opened_page(&self, at: Position, limit: usize) -> Result<Walked<'g>, Spent> {
        let work = self.criteria.renderer.work;
        let mut walked = Walked { items: Vec::new(), next: None, cut: self.plan.cut };
        let mut here = at;
        let mut looked = 0usize;
        let mut chunk = limit.saturating_mul(2).clamp(50, CHUNK);
        while looked < MAX_CANDIDATES {
            let hits = self.hits(Page { skip: here.skip, limit: chunk });
            walked.cut |= hits.cut;
            let count = hits.hits.len();
            for hit in hits.hits {
                // At least one hit is opened for each page, so that a client that goes on comes to the end.
                if work.is_spent() && here == at && looked == 0 {
                    return Err(Spent);
                }
                let items = self.opened(hit.of);
                if work.is_spent() && here != at {
                    walked.next = Some(here);
                    return Ok(walked);
                }
                for (n, item) in items.into_iter().enumerate().skip(here.inner) {
                    if walked.items.len() >= limit {
                        walked.next = Some(Position { skip: here.skip, inner: n });
                        return Ok(walked);
                    }
                    walked.items.push((item, hit.r#match));
                }
                here = Position { skip: here.skip.saturating_add(1), inner: 0 };
            }
            if count < chunk {
                return if work.is_spent() && here == at { Err(Spent) } else { Ok(walked) };
            }
            looked = looked.saturating_add(count);
            // Each asking evaluates the question again.
            chunk = MAX_CANDIDATES.saturating_sub(looked).max(1);
        }
        // The page is shorter than it may be, and the next goes on from here: a walk loses nothing.
        walked.next = Some(here);
        Ok(walked)
    }

    /// How many items there are in all, if that is known for the work that it is worth.
    pub(super) fn total(&self, mode: TotalMode) -> Option<u64> {
        if mode == TotalMode::No {
            return None;
        }
        if self.criteria.kind == Kind::Device {
            return Some(0);
        }
        let totals = self.criteria.renderer.generation.totals();
        let Total::Exactly(hits) = self.hits(Page { skip: 0, limit: 0 }).total else { return None };
        if self.direct() {
            return Some(hits);
        }
        if self.criteria.kind == Kind::PractitionerRole && self.plan.judges.is_empty() && self.plan.filters.is_empty() {
            return Some(u64::from(totals.activities));
        }
        let work = self.criteria.renderer.work;
        let most = if mode == TotalMode::Accurate { work.left() / JUDGE } else { FREE_TOTAL };
        if hits > most {
            return None;
        }
        let all = self.hits(Page::first(usize::try_from(hits).unwrap_or(usize::MAX)));
        let counts = all.hits.into_iter().take_while(|_| !work.is_spent()).map(|hit| self.opened(hit.of).len());
        let count: usize = counts.sum();
        u64::try_from(count).ok().filter(|_| !work.is_spent())
    }
}

fn roles<'g>(person: &Person<'g>) -> Vec<Item<'g>> {
    person.activities().map(Item::Role).collect()
}

fn mapped<'g, T>(hits: Hits<T>, item: impl Fn(T) -> Item<'g>) -> Hits<Item<'g>> {
    let Hits { hits, total, cut } = hits;
    let hits = hits.into_iter().map(|hit| crate::Hit { of: item(hit.of), r#match: hit.r#match }).collect();
    Hits { hits, total, cut }
}
