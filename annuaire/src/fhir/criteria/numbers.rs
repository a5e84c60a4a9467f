//! Numbers of registers, ids, references and cards: each stands for rows.

use ident::{PersonId, StructureId};

use super::{Atom, Criteria, MAX_ROWS, in_places, rows_atom, sorted, space};
use crate::{
    Filter, Person, Structure,
    answer::{person_forms, structure_forms},
    fhir::{
        item::Item,
        outcome::Problem,
        params::{Parameter, Part},
        table::{Kind, What},
    },
    generation::Space,
};

impl<'g> Criteria<'g> {
    pub(super) fn id(&self, part: &Part) -> Atom<'g> {
        let wanted = part.token().1.to_owned();
        let rows: Vec<u32> = self.rows_of_id(&wanted).into_iter().collect();
        match self.kind {
            Kind::Practitioner | Kind::Organization => rows_atom(rows),
            _ => self.judged(Filter::Rows(sorted(rows)), move |item| item.id() == wanted),
        }
    }

    /// The row of the person or structure that an id of this kind belongs to.
    pub(super) fn rows_of_id(&self, id: &str) -> Option<u32> {
        match self.renderer.find(id).filter(|item| item.kind() == self.kind)? {
            Item::Person(person) => Some(person.row),
            Item::Role(activity) => Some(activity.person().row),
            Item::Place(place) => Some(place.row),
            Item::Service(mailbox) => mailbox.structures().next().map(|place| place.row),
        }
    }

    pub(super) fn person_of(&self, system: Option<&str>, value: &str) -> Option<Person<'g>> {
        let s = &self.renderer.settings.systems;
        let forms: Vec<PersonId> = match system {
            None => person_forms(value),
            Some(system) if s.is_rpps(system) => {
                let rpps = person_forms(value).into_iter().filter(|id| id.as_str().starts_with('8'));
                rpps.collect()
            }
            Some(system) if system == s.idnps => PersonId::parse(value).into_iter().collect(),
            Some(_) => Vec::new(),
        };
        let g = self.renderer.generation;
        forms.iter().find_map(|id| {
            let current = self.renderer.registry.map_or(id, |registry| registry.current(id));
            g.person(current)
        })
    }

    pub(super) fn places_of(&self, system: Option<&str>, value: &str) -> Vec<Structure<'g>> {
        let s = &self.renderer.settings.systems;
        let g = self.renderer.generation;
        let all: Vec<Structure<'g>> = structure_forms(value).iter().filter_map(|id| g.structure(id)).collect();
        let technical = || g.structure_by_technical_id(&value.trim().to_uppercase());
        let all: Vec<Structure<'g>> = all.into_iter().chain(technical()).collect();
        let squeezed: String = value.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
        let has = |place: &Structure<'g>, system: &str| {
            (system == s.idnst && place.id().is_some_and(|id| id.as_str() == squeezed))
                || (system == s.finess && place.finess() == squeezed)
                || (system == s.siret && place.siret() == squeezed)
                || ((system == s.rpps_rank || s.is_rpps(system))
                    && (place.technical_id() == squeezed || place.technical_id().strip_prefix('R') == Some(&squeezed)))
        };
        all.into_iter().filter(|place| system.is_none_or(|system| has(place, system))).collect()
    }

    pub(super) fn identifier(&self, parameter: &Parameter, part: &Part) -> Atom<'g> {
        if let (Some("of-type"), [_, code, value, ..]) = (parameter.modifier.as_deref(), part.0.as_slice()) {
            let number = Part(vec![value.clone()]);
            let mut atom = self.identifier(&Parameter { modifier: None, ..parameter.clone() }, &number);
            let typed = self.identifier_type(&Part(vec![code.clone()])).judge;
            let judge = atom.judge;
            atom.judge = Box::new(move |item| typed(item) && judge(item));
            atom.precise = false;
            return atom;
        }
        let (system, value) = part.token();
        if value.is_empty() {
            let system = system.unwrap_or_default().to_owned();
            let systems = &self.renderer.settings.systems;
            let rpps = systems.is_rpps(&system);
            let judge = move |item: &Item<'g>| match item {
                Item::Person(person) => system == systems.idnps || (rpps && person.id_text().starts_with('8')),
                Item::Place(place) => {
                    (system == systems.idnst && place.id().is_some())
                        || (system == systems.finess && !place.finess().is_empty())
                        || (system == systems.siret && !place.siret().is_empty())
                }
                _ => false,
            };
            return self.judged(Filter::All, judge);
        }
        let rows = match space(self.kind) {
            Space::People => self.person_of(system, value).map(|person| person.row).into_iter().collect(),
            Space::Places => self.places_of(system, value).iter().map(|place| place.row).collect(),
        };
        rows_atom(rows)
    }

    pub(super) fn identifier_type(&self, part: &Part) -> Atom<'g> {
        let wanted = part.token().1.to_uppercase();
        self.judged(Filter::All, move |item| match item {
            Item::Person(person) => match person.id_text().chars().next() {
                Some('8') => wanted == "RPPS" || wanted == "IDNPS",
                Some('0') => wanted == "IDNPS" || wanted == "0" || wanted == "ADELI",
                Some(digit) => wanted == digit.to_string(),
                None => false,
            },
            Item::Place(place) => match wanted.as_str() {
                "IDNST" => place.id().is_some(),
                "FINEG" | "FINESS" => !place.finess().is_empty(),
                "SIRET" => !place.siret().is_empty(),
                "SIREN" => !place.siren().is_empty(),
                "INTRN" => !place.technical_id().is_empty(),
                _ => false,
            },
            _ => false,
        })
    }

    pub(super) fn card(&self, text: &str) -> Atom<'g> {
        let number = ident::CardNumber::parse(&text.replace(' ', "").to_uppercase());
        let cards = number.map(|number| self.renderer.generation.cards(&number)).unwrap_or_default();
        rows_atom(cards.iter().map(|card| card.person().row).collect())
    }

    pub(super) fn reference(&self, what: What, parameter: &Parameter, part: &Part) -> Result<Atom<'g>, Problem> {
        let wanted = if what == What::Practitioner { Kind::Practitioner } else { Kind::Organization };
        let text = part.text();
        let own = Self { kind: wanted, renderer: self.renderer, view: self.view };
        let rows: Vec<u32> = if parameter.modifier.as_deref() == Some("identifier") {
            let (system, value) = part.token();
            match wanted {
                Kind::Practitioner => own.person_of(system, value).map(|person| person.row).into_iter().collect(),
                _ => own.places_of(system, value).iter().map(|place| place.row).collect(),
            }
        } else {
            let id = match text.rsplit_once('/') {
                Some((before, id)) if before.rsplit('/').next() == Some(wanted.name()) => id,
                Some(_) => {
                    return Err(parameter.wrong(
                        &format!("attendu une référence {}/….", wanted.name()),
                        &format!("a reference {}/… is expected.", wanted.name()),
                    ));
                }
                None => text.as_str(),
            };
            let item = own.rows_of_id(id);
            item.into_iter().collect()
        };
        Ok(match what {
            What::Practitioner => rows_atom(rows),
            What::PartOf => self.part_of(&rows, &text, parameter, part),
            _ => self.of_organization(rows),
        })
    }

    /// Sites of legal entities: meant by one of their own structures, or by the entity's number.
    pub(super) fn part_of(&self, rows: &[u32], text: &str, parameter: &Parameter, part: &Part) -> Atom<'g> {
        let g = self.renderer.generation;
        let named = rows.iter().map(|row| Structure { generation: g, row: *row }.finess().to_owned());
        let mut entities: Vec<String> = named.filter(|finess| !finess.is_empty()).collect();
        let number = if parameter.modifier.as_deref() == Some("identifier") { part.token().1 } else { text };
        let forms = structure_forms(number);
        let finess = forms.iter().filter(|id| id.kind() == ident::StructureIdKind::Finess);
        entities.extend(finess.map(|id: &StructureId| id.number().to_owned()));
        entities.sort_unstable();
        entities.dedup();
        let sites = entities.iter().flat_map(|finess| g.sites_of_entity(finess).collect::<Vec<_>>());
        rows_atom(sites.filter(|site| site.finess() != site.entity_finess()).map(|site| site.row).collect())
    }

    pub(super) fn of_organization(&self, places: Vec<u32>) -> Atom<'g> {
        let g = self.renderer.generation;
        let places = sorted(places);
        if space(self.kind) == Space::Places {
            return Atom { base: Filter::Rows(places.clone()), precise: true, judge: in_places(places) };
        }
        let people = places.0.iter().flat_map(|row| Structure { generation: g, row: *row }.activities());
        let rows: Vec<u32> = people.map(|activity| activity.person().row).take(MAX_ROWS * 10).collect();
        self.renderer.work.spend_on(rows.len(), 2);
        Atom { base: Filter::Rows(sorted(rows)), precise: false, judge: in_places(places) }
    }
}
