//! `_has`: what is asked of those that refer to a resource (FHIR R4, search §3.2.1.6.2).

use super::{Atom, Criteria, MAX_ROWS, Plan, all_or_nothing, rows_atom};
use crate::{
    Filter, Page, Question,
    fhir::{budget::JUDGE, item::Item, outcome::Problem, params::Parameter, render::Renderer, table::Kind},
};

/// Most of them in one request: each may walk many activities.
const MAX_REVERSE: usize = 4;

/// `_has:PractitionerRole:practitioner:role:not`, taken apart.
pub(super) struct Reverse<'t> {
    pub(super) kind: Kind,
    pub(super) behind: &'t str,
    modifier: Option<&'t str>,
}

impl<'t> Reverse<'t> {
    /// Reads a parameter's name; `None` where nothing of the kind refers so to a resource of kind `to`.
    pub(super) fn read(to: Kind, name: &'t str) -> Option<Self> {
        let mut parts = name.strip_prefix("_has:")?.splitn(3, ':');
        let (kind, link, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let named = format!("{kind}:{link}");
        let refers = to.reverse_includes().contains(&named.as_str())
            || (to == Kind::Organization && named == "Organization:partof");
        let kind = Kind::parse(kind).filter(|_| refers)?;
        let (behind, modifier) = match rest.rsplit_once(':') {
            Some((behind, modifier)) if !modifier.contains('.') => (behind, Some(modifier)),
            _ => (rest, None),
        };
        Some(Self { kind, behind, modifier })
    }
}

impl<'g> Criteria<'g> {
    /// True of what something refers to of which the rest of the parameter is true.
    pub(super) fn reversed(&self, parameter: &Parameter, plan: &mut Plan<'g>) -> Result<Atom<'g>, Problem> {
        let Some(reverse) = Reverse::read(self.kind, &parameter.name) else {
            return Err(
                parameter.wrong("rien ne se réfère ainsi à cette ressource.", "nothing refers to it like this.")
            );
        };
        plan.reversed = plan.reversed.saturating_add(1);
        if plan.reversed > MAX_REVERSE {
            return Err(Problem::bad(
                "too-costly",
                format!("Plus de {MAX_REVERSE} paramètres _has : demandez-en moins."),
                format!("More than {MAX_REVERSE} parameters _has: ask for fewer."),
            )
            .about(&parameter.sent));
        }
        let inner = Self { kind: reverse.kind, renderer: self.renderer, view: self.view };
        let own = Parameter {
            name: reverse.behind.to_owned(),
            modifier: reverse.modifier.map(str::to_owned),
            ..parameter.clone()
        };
        let atoms = inner.atoms(&own, &own.name, plan, 0)?;
        let (renderer, negated) = (self.renderer, own.modifier.as_deref() == Some("not"));
        let base = match negated {
            true => Filter::All,
            false => Filter::Or(atoms.iter().map(|atom| atom.base.clone()).collect()),
        };
        let work = self.renderer.work;
        let meant = move |item: &Item<'g>| {
            let says = |atom: &Atom<'g>| {
                work.spend(JUDGE);
                (atom.judge)(item)
            };
            !work.is_spent() && atoms.iter().any(says) != negated
        };
        Ok(match (self.kind, reverse.kind) {
            (Kind::Practitioner, Kind::PractitionerRole) => self.judged(base, move |item| {
                item.person().is_some_and(|person| person.activities().any(|activity| meant(&Item::Role(activity))))
            }),
            (Kind::Organization, Kind::PractitionerRole) => rows_atom(self.workplaces(base, &meant, &mut plan.cut)),
            (Kind::Organization, Kind::HealthcareService) => self.judged(base, move |item| {
                item.places().iter().any(|place| renderer.services(place).any(|service| meant(&service)))
            }),
            (Kind::Organization, Kind::Organization) => rows_atom(self.entities(base, &meant, &mut plan.cut)),
            _ => all_or_nothing(false),
        })
    }

    /// Where the people of a filter work in an activity that is meant.
    fn workplaces(&self, base: Filter, meant: &dyn Fn(&Item<'g>) -> bool, cut: &mut bool) -> Vec<u32> {
        let Renderer { generation: g, registry, work, .. } = self.renderer;
        let hits = g.people_within(registry, &Question::filter(base), Page::first(MAX_ROWS), work);
        *cut |= hits.cut || hits.hits.len() >= MAX_ROWS;
        let activities = hits.hits.iter().flat_map(|hit| hit.of.activities());
        let wanted = activities.filter(|activity| meant(&Item::Role(*activity)));
        wanted.filter_map(|activity| activity.structure()).map(|place| place.row).collect()
    }

    /// The legal entities of the sites of a filter.
    fn entities(&self, base: Filter, meant: &dyn Fn(&Item<'g>) -> bool, cut: &mut bool) -> Vec<u32> {
        let Renderer { generation: g, registry, work, .. } = self.renderer;
        let hits = g.structures_within(registry, &Question::filter(base), Page::first(MAX_ROWS), work);
        *cut |= hits.cut || hits.hits.len() >= MAX_ROWS;
        let sites = hits.hits.iter().map(|hit| Item::Place(hit.of)).filter(|site| meant(site));
        let entities = sites.filter_map(|site| self.renderer.target(&site, "Organization:partof"));
        entities.map(|entity| entity.row()).collect()
    }
}
