//! What a search finds: a person, one activity of a person, a structure, or a service of a structure.

use super::{
    ids,
    render::Renderer,
    settings::Settings,
    table::{Kind, What},
};
use crate::{
    Activity, Generation, Mailbox, MailboxAnswer, Person, Structure,
    answer::{Shown, in_order, registered},
    generation::Column,
};

/// Most activities that say in which sectors a structure works.
pub(super) const MAX_ACTIVITIES: usize = 1000;
/// What reading the sector of one activity costs, in list entries read.
const ACTIVITY: u64 = 12;
/// What reading one qualification of a person costs.
const QUALIFICATION: u64 = 60;
/// What looking at one mailbox costs.
const MAILBOX: u64 = 40;

/// One thing that becomes one resource.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'g> {
    /// A Practitioner.
    Person(Person<'g>),
    /// A PractitionerRole.
    Role(Activity<'g>),
    /// An Organization.
    Place(Structure<'g>),
    /// A HealthcareService: the shared mailbox of a service.
    Service(Mailbox<'g>),
}

/// A code with its system and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coding<'a> {
    pub(super) system: &'a str,
    pub(super) code: &'a str,
    pub(super) label: &'a str,
}

impl<'g> Item<'g> {
    /// Which resource it becomes.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Person(_) => Kind::Practitioner,
            Self::Role(_) => Kind::PractitionerRole,
            Self::Place(_) => Kind::Organization,
            Self::Service(_) => Kind::HealthcareService,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Person(person) => ids::person(person),
            Self::Role(activity) => ids::role(activity),
            Self::Place(place) => ids::place(place),
            Self::Service(mailbox) => ids::service(mailbox),
        }
    }

    /// Its row among those of its kind.
    pub(super) fn row(&self) -> u32 {
        match self {
            Self::Person(person) => person.row,
            Self::Role(activity) => activity.row,
            Self::Place(place) => place.row,
            Self::Service(mailbox) => mailbox.row,
        }
    }

    /// The person that it is, or is about.
    pub(super) fn person(&self) -> Option<Person<'g>> {
        match self {
            Self::Person(person) => Some(*person),
            Self::Role(activity) => Some(activity.person()),
            Self::Place(_) | Self::Service(_) => None,
        }
    }

    /// The structures that it is, or where it is.
    pub(super) fn places(&self) -> Vec<Structure<'g>> {
        match self {
            Self::Person(person) => person.activities().filter_map(|activity| activity.structure()).collect(),
            Self::Role(activity) => activity.structure().into_iter().collect(),
            Self::Place(place) => vec![*place],
            Self::Service(mailbox) => mailbox.structures().take(1).collect(),
        }
    }

    /// The mailboxes that it shows, less the red list, preferred first.
    pub(super) fn mailboxes(&self, renderer: &Renderer<'g>) -> Vec<MailboxAnswer> {
        let shown = Shown { generation: renderer.generation, registry: renderer.registry };
        let looked = match self {
            Self::Person(_) | Self::Role(_) => self.person().map_or(0, |person| person.mailboxes().count()),
            Self::Place(place) => place.mailboxes().count(),
            Self::Service(_) => 1,
        };
        renderer.work.spend_on(looked, MAILBOX);
        match self {
            Self::Person(person) => shown.mailboxes_of(person),
            Self::Role(activity) => role_mailboxes(&shown, activity),
            Self::Place(place) => shown.shared_mailboxes_of(place),
            Self::Service(mailbox) if shown.is_red(mailbox) => Vec::new(),
            Self::Service(mailbox) => vec![shown.mailbox(mailbox)],
        }
    }

    /// The codes that a parameter looks through.
    pub(super) fn codings(&self, what: What, renderer: &Renderer<'g>) -> Vec<Coding<'g>> {
        let settings = renderer.settings;
        if let Self::Person(person) = self {
            let (t, row) = (&person.generation.tables, person.row);
            let rows = [&t.person_activity_starts, &t.person_skill_starts, &t.person_diploma_starts];
            rows.iter().for_each(|starts| renderer.work.spend_on(starts.range(row).len(), QUALIFICATION));
        }
        let mut all = Vec::new();
        match (what, self) {
            (What::Qualification, Self::Person(person)) => {
                qualifications(person, settings, |codings| all.extend(codings));
            }
            (What::RoleCode, Self::Role(activity)) => all = role_codes(activity, settings),
            (What::Speciality, Self::Role(activity)) => all.extend(speciality(activity, settings)),
            (What::Speciality, Self::Person(person)) => {
                all.extend(person.activities().filter_map(|activity| speciality(&activity, settings)));
            }
            (What::Sector, Self::Place(place)) => all = sectors(place, renderer),
            (What::CardType, Self::Person(person)) => {
                let card = |card: crate::Card<'g>| Coding {
                    system: &settings.systems.card_type,
                    code: card.kind_code(),
                    label: card.kind(),
                };
                all.extend(person.cards().map(card));
            }
            (What::TownCode, _) => all.extend(self.places().iter().map(|place| Coding {
                system: &settings.systems.town,
                code: place.town_code(),
                label: place.town(),
            })),
            _ => {}
        }
        all.retain(|coding| !coding.code.is_empty());
        all
    }

    /// The texts that a parameter looks through, as published.
    pub(super) fn texts(&self, what: What) -> Vec<&'g str> {
        use crate::Field;
        let mut all = Vec::new();
        if let (What::Names(fields), Some(person)) = (what, self.person()) {
            all.extend(fields.has(Field::Family).then(|| person.family()));
            all.extend(fields.has(Field::Given).then(|| person.given()));
        }
        if let What::Place(fields) = what {
            for place in self.places() {
                let of = [
                    (Field::Structure, vec![place.name(), place.trade_name()]),
                    (Field::Street, vec![place.street()]),
                    (Field::Town, vec![place.town()]),
                    (Field::Postcode, vec![place.postcode()]),
                    (Field::Department, vec![place.department_code(), place.department()]),
                ];
                all.extend(of.into_iter().filter(|(field, _)| fields.has(*field)).flat_map(|(_, texts)| texts));
            }
        }
        if let (What::ServiceName, Self::Service(mailbox)) = (what, self) {
            all.push(mailbox.service());
        }
        all.retain(|text| !text.is_empty());
        all
    }
}

/// Those of a person's mailboxes that belong to the structure of this activity.
fn role_mailboxes(shown: &Shown<'_>, activity: &Activity<'_>) -> Vec<MailboxAnswer> {
    let Some(place) = activity.structure() else { return Vec::new() };
    let person = activity.person();
    let here = |mailbox: &Mailbox<'_>| mailbox.structures().any(|other| other.row == place.row);
    let own = person.mailboxes().filter(|mailbox| here(mailbox) && !shown.is_red(mailbox));
    let mut mailboxes: Vec<MailboxAnswer> = own.map(|mailbox| shown.mailbox(&mailbox)).collect();
    if let (Some(registry), Some(id)) = (shown.registry, person.id()) {
        let known = |key: &str| person.mailboxes().any(|mailbox| mailbox.key() == key);
        let answers = |id: &ident::StructureId| place.answers_to(id);
        let added = registry
            .owned_by(&id)
            .filter(|own| !own.red_list && own.structure.as_ref().is_some_and(answers) && !known(&own.address.key()));
        mailboxes.extend(added.map(registered));
    }
    in_order(&mut mailboxes);
    mailboxes
}

/// Part `n` of a coded column of a row.
pub(super) fn coded<'g>(g: &'g Generation, column: &Column, row: u32, n: usize) -> &'g str {
    g.text.get(column.text_at(row)).split('|').nth(n).unwrap_or_default()
}

/// Each qualification of a person, as the codings that it carries: professions with their categories, skills with their
/// types, diplomas with theirs.
pub(super) fn qualifications<'g>(person: &Person<'g>, settings: &'g Settings, mut take: impl FnMut(Vec<Coding<'g>>)) {
    let g = person.generation;
    let t = &g.tables;
    let s = &settings.systems;
    let pair = |column: &Column, row: u32, code: usize, system: &'g str| Coding {
        system,
        code: coded(g, column, row, code),
        label: coded(g, column, row, code.saturating_add(1)),
    };
    let mut seen: Vec<Vec<Coding<'g>>> = Vec::new();
    let mut once = |mut codings: Vec<Coding<'g>>| {
        codings.retain(|coding| !coding.code.is_empty());
        if !codings.is_empty() && !seen.contains(&codings) {
            seen.push(codings.clone());
            take(codings);
        }
    };
    for row in t.person_activity_starts.range(person.row) {
        let profession = pair(&t.activity_profession, row, 0, &s.profession);
        once(vec![profession, pair(&t.activity_category, row, 0, &s.category)]);
    }
    if t.person_activity_starts.range(person.row).is_empty() {
        once(vec![pair(&t.person_profession, person.row, 0, &s.profession)]);
    }
    let mut skill = |column: &Column, row: u32| {
        let kind = coded(g, column, row, 0);
        let codings = vec![pair(column, row, 2, s.skill(kind)), pair(column, row, 0, &s.skill_type)];
        if codings.iter().all(|coding| !coding.code.is_empty()) {
            once(codings);
        }
    };
    for row in t.person_activity_starts.range(person.row) {
        skill(&t.activity_skill, row);
    }
    for row in t.person_skill_starts.range(person.row) {
        skill(&t.skill_skill, row);
    }
    for row in t.person_diploma_starts.range(person.row) {
        let diploma = pair(&t.diploma_diploma, row, 2, &s.diploma);
        once(vec![diploma, pair(&t.diploma_diploma, row, 0, &s.diploma_type)]);
    }
}

/// The codes of an activity: profession, function, mode and kind.
pub(super) fn role_codes<'g>(activity: &Activity<'g>, settings: &'g Settings) -> Vec<Coding<'g>> {
    let (g, t, s) = (activity.generation, &activity.generation.tables, &settings.systems);
    let of = [
        (&t.activity_profession, &s.profession),
        (&t.activity_function, &s.function),
        (&t.activity_mode, &s.mode),
        (&t.activity_kind, &s.activity_kind),
    ];
    let coding = |(column, system): (&Column, &'g String)| Coding {
        system: system.as_str(),
        code: coded(g, column, activity.row, 0),
        label: coded(g, column, activity.row, 1),
    };
    let mut codes: Vec<Coding<'g>> = of.into_iter().map(coding).collect();
    codes.retain(|coding| !coding.code.is_empty());
    codes
}

/// The speciality of an activity: its own, else the person's ordinal one.
pub(super) fn speciality<'g>(activity: &Activity<'g>, settings: &'g Settings) -> Option<Coding<'g>> {
    let (g, t) = (activity.generation, &activity.generation.tables);
    let at = |column: &Column, row: u32| Coding {
        system: settings.systems.skill(coded(g, column, row, 0)),
        code: coded(g, column, row, 2),
        label: coded(g, column, row, 3),
    };
    let own = at(&t.activity_skill, activity.row);
    if !own.label.is_empty() {
        return (!own.code.is_empty()).then_some(own);
    }
    let person = t.activity_person.at(activity.row);
    let mut skills = t.person_skill_starts.range(person);
    let ordinal = skills.find(|row| coded(g, &t.skill_skill, *row, 0) == "S");
    ordinal.map(|row| at(&t.skill_skill, row)).filter(|coding| !coding.code.is_empty())
}

/// The sectors in which people work in a structure.
pub(super) fn sectors<'g>(place: &Structure<'g>, renderer: &Renderer<'g>) -> Vec<Coding<'g>> {
    let settings = renderer.settings;
    let (g, t) = (place.generation, &place.generation.tables);
    let mut all: Vec<Coding<'g>> = Vec::new();
    for activity in place.activities().take(MAX_ACTIVITIES) {
        renderer.work.spend(ACTIVITY);
        let coding = Coding {
            system: &settings.systems.sector,
            code: coded(g, &t.activity_sector, activity.row, 0),
            label: activity.sector(),
        };
        if !coding.code.is_empty() && !all.contains(&coding) {
            all.push(coding);
        }
    }
    all
}
