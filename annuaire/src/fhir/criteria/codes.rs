//! Codes with their systems, and their labels.

use super::{Atom, Criteria, all_or_nothing, begins, words_of};
use crate::{
    Field, Fields, Filter, How,
    fhir::{
        item::{Coding, Item},
        params::{Parameter, Part},
        settings::Systems,
        table::{Kind, What},
    },
};

impl<'g> Criteria<'g> {
    pub(super) fn coded(&self, what: What, parameter: &Parameter, part: &Part) -> Atom<'g> {
        let (system, code) = part.token();
        let (renderer, settings) = (self.renderer, self.renderer.settings);
        if parameter.modifier.as_deref() == Some("text") {
            let text = part.text();
            let fields = match what {
                What::RoleCode => Fields::from(Field::Profession),
                What::Speciality => Fields::from(Field::Speciality),
                _ => Fields::of(&[Field::Profession, Field::Speciality]),
            };
            let base = match what {
                What::Qualification | What::Speciality => words_of(fields, How::Prefix, text.clone()),
                _ => Filter::All,
            };
            let judge =
                move |item: &Item<'g>| item.codings(what, &renderer).iter().any(|coding| begins(&text, coding.label));
            return Atom {
                base,
                precise: self.kind == Kind::Practitioner && what == What::Qualification,
                judge: Box::new(judge),
            };
        }
        let fields = match (what, system) {
            (What::Qualification, None) => Fields::of(&[Field::ProfessionCode, Field::SpecialityCode]),
            (What::Qualification, Some(system)) if Systems::same(&settings.systems.profession, system) => {
                Field::ProfessionCode.into()
            }
            (What::RoleCode, Some(system)) if !Systems::same(&settings.systems.profession, system) => Fields::NONE,
            (What::RoleCode, _) => Field::ProfessionCode.into(),
            (What::Speciality, _) => Field::SpecialityCode.into(),
            _ => Fields::NONE,
        };
        let typed = what == What::Sector && code_is_geographical(part);
        // A code that the dictionary has among professions and skills means these; others are looked for one by one. What
        // nobody has is nothing, and no walk through the country.
        let known = self.has_code(code, fields);
        let held = self.view.codes(renderer.generation);
        let sector = held.and_then(|held| held.sector(code)).filter(|_| what == What::Sector);
        let elsewhere = |system: &str| !system.is_empty() && !Systems::same(&settings.systems.sector, system);
        let foreign = what == What::Sector && !typed && system.is_some_and(elsewhere);
        let nobody = what == What::Speciality || held.is_some_and(|held| !held.may_have(what, code));
        if foreign || (!known && !typed && nobody) {
            return all_or_nothing(false);
        }
        let base = match (known, sector) {
            (true, _) => Filter::Value { fields, value: code.to_owned() },
            (false, Some(rows)) if !typed => Filter::Rows(rows.clone()),
            _ => Filter::All,
        };
        let precise =
            (known && self.kind == Kind::Practitioner && what == What::Qualification) || (sector.is_some() && !typed);
        let (system, code) = (system.map(str::to_owned), code.to_owned());
        let same = move |coding: &Coding<'_>| {
            let system = system.as_deref().filter(|system| !system.is_empty());
            coding.code.eq_ignore_ascii_case(&code) && system.is_none_or(|system| Systems::same(coding.system, system))
        };
        let judge = move |item: &Item<'g>| match item {
            Item::Place(place) if typed => !place.finess().is_empty(),
            _ => item.codings(what, &renderer).iter().any(&same),
        };
        Atom { base, precise, judge: Box::new(judge) }
    }

    pub(super) fn has_code(&self, code: &str, fields: Fields) -> bool {
        let folded = crate::fold(code).replace(' ', "");
        let g = self.renderer.generation;
        !folded.is_empty() && g.entries_from(&format!("{folded}\0")).any(|entry| g.entry_in(entry, fields))
    }
}

fn code_is_geographical(part: &Part) -> bool {
    part.token().1.eq_ignore_ascii_case("GEOGRAPHICAL-ENTITY")
}
