//! What a generation shows of its rows: small handles that read the columns when asked.

use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use serde::Serialize;

use super::Generation;
use crate::{Date, MailboxType};

/// A person of the directory.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// One thing that a person does somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Activity<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// A place where people work.
#[derive(Debug, Clone, Copy)]
pub struct Structure<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// A mailbox of the trust space.
#[derive(Debug, Clone, Copy)]
pub struct Mailbox<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// A professional card.
#[derive(Debug, Clone, Copy)]
pub struct Card<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// Whether a card may be relied on at some moment, as far as the extract knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// In its time and not opposed.
    Good,
    /// Opposed (lost, stolen, withdrawn): wins over everything else.
    Opposed,
    /// Past its last day.
    Expired,
    /// Before its first day.
    NotYetValid,
}

/// Something that an earlier generation had and this one has not.
#[derive(Debug, Clone, Copy)]
pub struct Gone<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) row: u32,
}

/// What can be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoneKind {
    /// A person, by national identifier.
    Person,
    /// A mailbox, by [`Address::key`].
    Mailbox,
    /// A structure, by [`Structure::key`].
    Structure,
    /// A card, by number.
    Card,
}

impl GoneKind {
    pub(crate) const ALL: [Self; 4] = [Self::Person, Self::Mailbox, Self::Structure, Self::Card];

    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Person => 0,
            Self::Mailbox => 1,
            Self::Structure => 2,
            Self::Card => 3,
        }
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $column:ident),* $(,)?) => {
        $($(#[$doc])* pub fn $name(&self) -> &'a str {
            self.generation.text.get(self.generation.tables.$column.text_at(self.row))
        })*
    };
}

/// Part `n` of a coded value `code|label`.
fn part(coded: &str, n: usize) -> &str {
    coded.split('|').nth(n).unwrap_or_default()
}

macro_rules! coded {
    ($($(#[$doc:meta])* $name:ident = $column:ident . $part:literal),* $(,)?) => {
        $($(#[$doc])* pub fn $name(&self) -> &'a str {
            part(self.generation.text.get(self.generation.tables.$column.text_at(self.row)), $part)
        })*
    };
}

impl<'a> Person<'a> {
    /// Its place among all people: who can be written to first, then by name.
    pub(crate) fn order(&self) -> u32 {
        self.generation.tables.person_doc.at(self.row)
    }

    texts! {
        /// National identifier with its type digit.
        id_text = person_id,
        /// Family name in practice, as published.
        family = person_family,
        /// Given name in practice, as published.
        given = person_given,
    }

    coded! {
        /// Civility (`M`, `MME`).
        civility = person_civility.0,
        /// Title in practice (`DR`, `PR`).
        title = person_title.0,
        /// Profession code (`10` = physician).
        profession_code = person_profession.0,
        /// Profession label.
        profession = person_profession.1,
    }

    /// National identifier.
    pub fn id(&self) -> Option<PersonId> {
        PersonId::parse(self.id_text()).ok()
    }

    /// Whether the directory lists the person as practising: present in the activity extract; for staff known
    /// only through their structure (identifiers 3… and 5…), present with a mailbox.
    pub fn active(&self) -> bool {
        self.generation.tables.person_flags.text_at(self.row) & 1 == 1
    }

    /// How many other people have the same family and given names, accents, case, hyphens and blanks aside.
    pub fn homonyms(&self) -> u32 {
        self.generation.tables.person_homonyms.text_at(self.row)
    }

    /// What the person does, in the order of the extract.
    pub fn activities(&self) -> impl Iterator<Item = Activity<'a>> + use<'a> {
        let generation = self.generation;
        generation.tables.person_activity_starts.range(self.row).map(move |row| Activity { generation, row })
    }

    /// Mailboxes that the extract publishes for the person.
    pub fn mailboxes(&self) -> impl Iterator<Item = Mailbox<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.person_mailboxes.of(&t.person_mailbox_starts, self.row);
        rows.map(move |row| Mailbox { generation, row })
    }

    /// Cards made for the person.
    pub fn cards(&self) -> impl Iterator<Item = Card<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.person_cards.of(&t.person_card_starts, self.row);
        rows.map(move |row| Card { generation, row })
    }

    /// Labels of skills: ordinal speciality, competence, capacity, qualified function.
    pub fn skills(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        t.person_skill_starts.range(self.row).map(move |row| part(generation.text.get(t.skill_skill.text_at(row)), 3))
    }

    /// The first ordinal speciality among the skills (type `S`), else nothing.
    fn speciality(&self) -> &'a str {
        let t = &self.generation.tables;
        let mut skills =
            t.person_skill_starts.range(self.row).map(|row| self.generation.text.get(t.skill_skill.text_at(row)));
        skills.find(|skill| part(skill, 0) == "S").map(|skill| part(skill, 3)).unwrap_or_default()
    }
}

impl<'a> Activity<'a> {
    coded! {
        /// Profession code.
        profession_code = activity_profession.0,
        /// Profession label.
        profession = activity_profession.1,
        /// Category code (`C` civil, `M` military, `E` student).
        category_code = activity_category.0,
        /// Code of the skill in this activity.
        skill_code = activity_skill.2,
        /// Mode label (liberal, employed…).
        mode = activity_mode.1,
        /// Sector label.
        sector = activity_sector.1,
        /// Function label.
        function = activity_function.1,
    }

    /// Whose activity it is.
    pub fn person(&self) -> Person<'a> {
        Person { generation: self.generation, row: self.generation.tables.activity_person.at(self.row) }
    }

    /// Speciality: of the activity if the extract says it there, else the person's ordinal speciality.
    pub fn speciality(&self) -> &'a str {
        let own = part(self.generation.text.get(self.generation.tables.activity_skill.text_at(self.row)), 3);
        if own.is_empty() { self.person().speciality() } else { own }
    }

    /// Where, if the extract says it.
    pub fn structure(&self) -> Option<Structure<'a>> {
        Structure::at(self.generation, self.generation.tables.activity_structure.at(self.row))
    }
}

impl<'a> Structure<'a> {
    pub(crate) fn at(generation: &'a Generation, row: u32) -> Option<Self> {
        (row < generation.tables.structure_key.len()).then_some(Self { generation, row })
    }

    texts! {
        /// What names it for good: its national identifier, else its technical one, else name and place.
        key = structure_key,
        /// FINESS number of the site, 9 characters.
        finess = structure_finess,
        /// FINESS number of its legal entity.
        entity_finess = structure_entity,
        /// SIRET of the site.
        siret = structure_siret,
        /// SIREN of its enterprise.
        siren = structure_siren,
        /// Technical identifier of the directory.
        technical_id = structure_technical,
        /// Registered name.
        name = structure_name,
        /// Trade name.
        trade_name = structure_trade_name,
        /// Number and street.
        street = structure_street,
        /// Postcode.
        postcode = structure_postcode,
        /// Telephone.
        phone = structure_phone,
    }

    coded! {
        /// INSEE code of the town.
        town_code = structure_town.0,
        /// Department code.
        department_code = structure_department.0,
        /// Department label.
        department = structure_department.1,
    }

    /// Town: its label, else what stands behind the postcode in the routing line.
    pub fn town(&self) -> &'a str {
        let t = &self.generation.tables;
        let label = part(self.generation.text.get(t.structure_town.text_at(self.row)), 1);
        if label.is_empty() { self.routing_town() } else { label }
    }

    /// The town as mail is routed to it, with its `CEDEX`.
    pub(crate) fn routing_town(&self) -> &'a str {
        let cedex = self.generation.text.get(self.generation.tables.structure_cedex.text_at(self.row));
        cedex.trim_start_matches(|c: char| c.is_ascii_digit()).trim()
    }

    /// The lines of its address beside the street: recipient, place, mention.
    pub(crate) fn further_lines(&self) -> [&'a str; 3] {
        let t = &self.generation.tables;
        [&t.structure_recipient, &t.structure_place, &t.structure_mention]
            .map(|column| self.generation.text.get(column.text_at(self.row)))
    }

    /// The name to show.
    pub fn display_name(&self) -> &'a str {
        if self.trade_name().is_empty() {
            self.name()
        } else if self.name().is_empty() {
            self.trade_name()
        } else {
            self.name()
        }
    }

    /// National identifier, if it has one.
    pub fn id(&self) -> Option<StructureId> {
        StructureId::parse(self.key()).ok()
    }

    /// Whether this identifier is one of its own, or that of its legal entity.
    pub fn answers_to(&self, id: &StructureId) -> bool {
        use ident::StructureIdKind::{Finess, RppsRank, Siret};
        match id.kind() {
            Finess => [self.finess(), self.entity_finess()].contains(&id.number()),
            Siret => self.siret() == id.number(),
            RppsRank => self.key() == id.as_str(),
        }
    }

    /// What people do there.
    pub fn activities(&self) -> impl Iterator<Item = Activity<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.structure_activities.of(&t.structure_activity_starts, self.row);
        rows.map(move |row| Activity { generation, row })
    }

    /// Mailboxes that the extract publishes under it.
    pub fn mailboxes(&self) -> impl Iterator<Item = Mailbox<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.structure_mailboxes.of(&t.structure_mailbox_starts, self.row);
        rows.map(move |row| Mailbox { generation, row })
    }
}

impl<'a> Mailbox<'a> {
    texts! {
        /// The address as published.
        address_text = mailbox_address,
        /// The address in the form to compare ([`Address::key`]).
        key = mailbox_key,
        /// Service that the mailbox belongs to.
        service = mailbox_service,
    }

    /// The address.
    pub fn address(&self) -> Option<Address> {
        Address::parse(self.address_text()).ok()
    }

    /// What kind of mailbox.
    pub fn kind(&self) -> MailboxType {
        let number = usize::try_from(self.generation.tables.mailbox_type.at(self.row)).unwrap_or(usize::MAX);
        MailboxType::ALL.get(number).copied().unwrap_or(MailboxType::Organisation)
    }

    /// The people whose mailbox it is (more than one where the extract has the address on several rows).
    pub fn people(&self) -> impl Iterator<Item = Person<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.mailbox_people.of(&t.mailbox_person_starts, self.row);
        rows.map(move |row| Person { generation, row })
    }

    /// The structures that it belongs to.
    pub fn structures(&self) -> impl Iterator<Item = Structure<'a>> + use<'a> {
        let generation = self.generation;
        let t = &generation.tables;
        let rows = t.mailbox_structure_list.of(&t.mailbox_structure_starts, self.row);
        rows.map(move |row| Structure { generation, row })
    }
}

impl<'a> Card<'a> {
    texts! {
        /// Number as printed.
        number_text = card_number,
    }

    coded! {
        /// Type code of the card.
        kind_code = card_kind.0,
        /// Type label of the card.
        kind = card_kind.1,
    }

    /// Number.
    pub fn number(&self) -> Option<CardNumber> {
        CardNumber::parse(self.number_text())
    }

    /// Who it was made for.
    pub fn person(&self) -> Person<'a> {
        Person { generation: self.generation, row: self.generation.tables.card_person.at(self.row) }
    }

    /// First day.
    pub fn valid_from(&self) -> Option<Date> {
        Date::from_number(self.generation.tables.card_from.at(self.row))
    }

    /// Last day.
    pub fn valid_to(&self) -> Option<Date> {
        Date::from_number(self.generation.tables.card_to.at(self.row))
    }

    /// Whether it was opposed.
    pub fn opposed(&self) -> bool {
        self.generation.tables.card_opposed.at(self.row) != 0
    }

    /// Since when; nothing for a card whose opposition date could not be read.
    pub fn opposed_on(&self) -> Option<Date> {
        Date::from_number(self.generation.tables.card_opposed_on.at(self.row))
    }

    /// What may be relied on at `at`.
    pub fn state(&self, at: Timestamp) -> CardState {
        let today = Date::of(at);
        if self.opposed() {
            CardState::Opposed
        } else if self.valid_to().is_some_and(|last| today > Some(last)) {
            CardState::Expired
        } else if self.valid_from().is_some_and(|first| today < Some(first)) {
            CardState::NotYetValid
        } else {
            CardState::Good
        }
    }
}

impl<'a> Gone<'a> {
    texts! {
        /// What named it.
        key = gone_key,
    }

    pub(crate) fn kind(&self) -> Option<GoneKind> {
        let number = self.generation.tables.gone_kind.at(self.row);
        GoneKind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The date of the first data without it.
    pub fn since(&self) -> Option<Date> {
        Date::from_number(self.generation.tables.gone_day.at(self.row))
    }
}
