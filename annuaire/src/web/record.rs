//! The pages of one person and of one structure, and the contact card.

use http::{HeaderValue, StatusCode, header};
use ident::{PersonId, PersonIdKind, StructureId};

use super::{
    Visit,
    pages::{PersonPage, StructurePage},
    query::{LAST_PAGE, PAGE},
    vcard::{About, file_name, vcard},
    views::segment,
    words::{Lang, counted, moment, vanished},
};
use crate::{
    GoneKind, MAX_STRUCTURE_MAILBOXES, MatchKind, Person, PersonAnswer, Registry, Structure, Total,
    ask::overlay,
    face::{Asked, Named, Response, response},
    generation::Space,
};

impl Visit<'_> {
    /// Everything about one person.
    pub(super) fn person_page(&self, id: &str) -> Response {
        let Some(person) = self.one_person(id) else { return self.missing(GoneKind::Person, id) };
        let view = self.views().whole(&person);
        let frame = self.frame(&format!("{} {}", view.given, view.family));
        let page = PersonPage {
            number: number(&person.id),
            address: self.context.address(&format!("/person/{}", segment(&person.id))),
            person: view,
            frame,
        };
        self.page("person", vec![person.id], &page)
    }

    /// The same as a file for an address book.
    pub(super) fn contact_card(&self, id: &str) -> Option<Response> {
        let person = self.one_person(id)?;
        let generation = self.context.generation;
        // An address is as good as the oldest of the files that it rests on.
        let as_of = moment(self.lang, generation.oldest_as_of());
        let note = match self.lang {
            Lang::Fr => format!("Annuaire national, données du {as_of} : vérifiez l’adresse avant d’écrire."),
            Lang::En => format!("National directory, data of {as_of}: check the address before you write."),
        };
        let page = self.context.address(&format!("/person/{}", segment(&person.id)));
        let about = About { page: &page, note: &note, revised: &generation.data_as_of().rfc3339() };
        let mut response = response("text/vcard; charset=utf-8", vcard(&person, &about).into_bytes());
        let disposition = format!("attachment; filename=\"{}\"", file_name(&person));
        if let Ok(value) = HeaderValue::from_str(&disposition) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        response.extensions_mut().insert(Asked { kind: "card", answers: 1 });
        response.extensions_mut().insert(Named(vec![person.id]));
        Some(response)
    }

    /// A structure, its mailboxes, and who works there.
    pub(super) fn structure_page(&self, id: &str) -> Response {
        let generation = self.context.generation;
        let known = StructureId::parse(id).ok().and_then(|id| generation.structure(&id));
        let Some(place) = known.or_else(|| generation.structure_by_technical_id(id)) else {
            return self.missing(GoneKind::Structure, id);
        };
        let shown = self.shown();
        let structure = shown.structure(&place, MatchKind::Exact);
        let people = people_of(&place, self.context.registry);
        let skip = PAGE.saturating_mul(self.search.page.saturating_sub(1));
        let more = people.len() > skip.saturating_add(PAGE);
        let answers: Vec<PersonAnswer> =
            people.iter().skip(skip).take(PAGE).map(|person| shown.person(person, MatchKind::Exact)).collect();
        let path = format!("/structure/{}", segment(id));
        let address = |page: usize| {
            let search = super::Search { lang: self.search.lang, page, ..super::Search::default() };
            format!("{}{path}{}", self.context.mount, search.address())
        };
        let page = self.search.page;
        let view = self.views().structure(&structure, MAX_STRUCTURE_MAILBOXES);
        let numbers = [("FINESS", place.finess()), ("SIRET", place.siret())];
        let template = StructurePage {
            frame: self.frame(&view.name),
            structure: view,
            numbers: numbers.into_iter().filter(|it| !it.1.is_empty()).map(|(n, v)| (n, v.to_owned())).collect(),
            phone: place.phone().to_owned(),
            people: answers.iter().map(|person| self.views().listed(person)).collect(),
            count: counted(
                self.lang,
                Total::Exactly(u64::try_from(people.len()).unwrap_or(u64::MAX)),
                Total::Exactly(0),
            ),
            first: skip.saturating_add(1),
            previous: (page > 1).then(|| address(page.saturating_sub(1))),
            next: (more && page < LAST_PAGE).then(|| address(page.saturating_add(1))),
            last_page: more && page >= LAST_PAGE,
            address: self.context.address(&path),
        };
        let mut shown: Vec<String> = answers.into_iter().map(|person| person.id).collect();
        shown.push(id.to_owned());
        self.page("structure", shown, &template)
    }

    fn one_person(&self, id: &str) -> Option<PersonAnswer> {
        let id = PersonId::parse(id).ok()?;
        let current = self.context.registry.map_or(&id, |registry| registry.current(&id));
        let person = self.context.generation.person(current)?;
        Some(self.shown().person(&person, MatchKind::Exact))
    }

    /// Not there; perhaps no longer.
    fn missing(&self, kind: GoneKind, id: &str) -> Response {
        let since = self.context.generation.gone(kind, id).and_then(|gone| gone.since());
        match since {
            Some(since) => {
                let t = self.lang.words();
                self.message(StatusCode::GONE, t.not_found, vec![vanished(self.lang, since)])
            }
            None => self.not_found(),
        }
    }
}

/// Who works at a structure: each once, in the order of every list. That is numbered beforehand: a hospital has thirty
/// thousand, and the page is asked for again at each leaf.
fn people_of<'a>(place: &Structure<'a>, registry: Option<&Registry>) -> Vec<Person<'a>> {
    let mut people: Vec<Person<'a>> = place.activities().map(|activity| activity.person()).collect();
    let overlay = overlay(place.generation, registry);
    people.sort_unstable_by_key(|person| overlay.order(Space::People).key(person.order()));
    people.dedup_by_key(|person| person.order());
    people
}

/// An identifier as people read it: without the type digit where it has a name of its own.
fn number(id: &str) -> String {
    match PersonId::parse(id) {
        Ok(person) if person.kind() == PersonIdKind::Rpps => {
            let rpps = id.strip_prefix('8').unwrap_or(id);
            let grouped: Vec<String> =
                rpps.as_bytes().rchunks(3).rev().map(|three| String::from_utf8_lossy(three).into_owned()).collect();
            format!("RPPS {}", grouped.join("\u{a0}"))
        }
        _ => id.to_owned(),
    }
}
