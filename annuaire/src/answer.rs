//! Answers in the shapes of the command line (design §5), and exact look-ups.

use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use serde::Serialize;

use crate::{
    Card, Closed, Date, Generation, GoneKind, Mailbox, MailboxType, Person, RegisteredMailbox, Registry, Structure,
    ask::overlay, report::rfc3339,
};

/// How well a hit fits what was asked, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// Each word is there as typed (accents and case aside).
    Exact,
    /// Each word begins one that is there.
    Prefix,
    /// One or two letters off.
    Fuzzy,
    /// Sounds alike.
    Phonetic,
}

/// People and structures that answer a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The generation that answered.
    pub generation: String,
    /// The date of its data.
    #[serde(serialize_with = "rfc3339")]
    pub data_as_of: Option<Timestamp>,
    /// The registry of our own mailboxes that was laid over it, by the start of its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// People, best first.
    pub people: Vec<PersonAnswer>,
    /// Structures, best first.
    pub structures: Vec<StructureAnswer>,
    /// The question was too wide to be answered whole: refine it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Nothing answers, but the address or identifier that was asked for left the data on this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<Date>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonAnswer {
    /// National identifier with its type digit.
    pub id: String,
    /// Family name in practice.
    pub family: String,
    /// Given name in practice.
    pub given: String,
    /// Profession.
    pub profession: String,
    /// How well the person fits the question.
    pub r#match: MatchKind,
    /// Whether the directory lists the person as practising.
    pub active: bool,
    /// How many other people of the directory have the same names: look twice.
    pub homonyms: u32,
    /// What the person does where.
    pub activities: Vec<ActivityAnswer>,
    /// Mailboxes, preferred first.
    pub mailboxes: Vec<MailboxAnswer>,
    /// Cards.
    pub cards: Vec<CardAnswer>,
}

/// One activity of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActivityAnswer {
    /// Profession in this activity.
    pub profession: String,
    /// Speciality.
    pub speciality: String,
    /// Name of the structure.
    pub structure: String,
    /// Identifier of the structure.
    pub structure_id: Option<String>,
    /// Postcode.
    pub postcode: String,
    /// Town.
    pub town: String,
    /// Department.
    pub department: String,
}

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailboxAnswer {
    /// Address.
    pub address: String,
    /// Kind.
    pub r#type: MailboxType,
    /// 1 is the preferred one; the extracts carry none, the operator's registry does.
    pub rank: Option<u32>,
}

/// One card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardAnswer {
    /// Number.
    pub number: String,
    /// Last day.
    pub valid_to: Option<Date>,
    /// Whether it was opposed.
    pub opposed: bool,
}

/// One structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StructureAnswer {
    /// National identifier, if it has one.
    pub id: Option<String>,
    /// Name.
    pub name: String,
    /// FINESS number of the site.
    pub finess: String,
    /// SIRET of the site.
    pub siret: String,
    /// Number and street.
    pub street: String,
    /// Postcode.
    pub postcode: String,
    /// Town.
    pub town: String,
    /// Department.
    pub department: String,
    /// How well the structure fits the question.
    pub r#match: MatchKind,
    /// Its mailboxes that are no person's own, at most [`MAX_STRUCTURE_MAILBOXES`].
    pub mailboxes: Vec<MailboxAnswer>,
}

/// Most mailboxes that are listed under a structure.
pub const MAX_STRUCTURE_MAILBOXES: usize = 100;
/// Most people or structures that one look-up gives (an entity may have thousands of sites).
pub const MAX_LOOKUP: usize = 100;

/// What is looked up, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A mail address.
    Address(Address),
    /// An identifier of a person, a structure or a card, in any form people write it.
    Id(String),
    /// A card number.
    Card(CardNumber),
}

/// The answer to an exact look-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lookup {
    /// Whether anything answers.
    pub found: bool,
    /// Since when it has left the data, if it was there once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<Date>,
    /// Who takes over, if it is a closed mailbox of ours and somebody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<Address>,
    /// The mailbox, when an address was asked for and is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<MailboxAnswer>,
    /// Who and what.
    #[serde(flatten)]
    pub answer: Answer,
}

/// Looks up exactly one address, identifier or card, as every face shows it: the registry, if given, adds the operator's own
/// mailboxes and ranks, and hides what is on the red list, even from whoever names it in full. Whether a mailbox exists is
/// asked of [`Generation::mailbox`] and [`Registry::mailbox`], as admission does.
pub fn lookup(generation: &Generation, registry: Option<&Registry>, query: &Query) -> Lookup {
    let show = Shown { generation, registry };
    let mut found = Lookup { answer: show.empty(), ..Lookup::default() };
    match query {
        Query::Address(address) => show.address(address, &mut found),
        Query::Id(text) => show.id(text, &mut found),
        Query::Card(number) => show.card(number, &mut found),
    }
    found.found = found.mailbox.is_some() || !found.answer.people.is_empty() || !found.answer.structures.is_empty();
    if found.found {
        found.gone = None;
    }
    found
}

/// The forms in which somebody may mean a person: with or without type digit, blanks, dots or hyphens.
pub(crate) fn person_forms(text: &str) -> Vec<PersonId> {
    let text = compact(text);
    ["", "8", "0", "3", "5"].iter().filter_map(|digit| PersonId::parse(&format!("{digit}{text}")).ok()).collect()
}

/// The forms in which somebody may mean a structure.
pub(crate) fn structure_forms(text: &str) -> Vec<StructureId> {
    let text = compact(text);
    ["", "1", "3", "4"].iter().filter_map(|digit| StructureId::parse(&format!("{digit}{text}")).ok()).collect()
}

fn compact(text: &str) -> String {
    let is_filler = |c: char| c.is_whitespace() || matches!(c, '.' | '\u{2010}'..='\u{2015}');
    let text: String = text.chars().filter(|c| !is_filler(*c)).collect();
    // A hyphen is filler in a number, and part of the internal number of staff behind a slash.
    if text.contains('/') { text.to_uppercase() } else { text.replace('-', "").to_uppercase() }
}

/// One generation as this operator shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) registry: Option<&'a Registry>,
}

impl<'a> Shown<'a> {
    pub(crate) fn empty(&self) -> Answer {
        Answer {
            generation: self.generation.id().to_owned(),
            data_as_of: Some(self.generation.data_as_of()),
            registry: self.registry.map(|it| it.digest().to_owned()).filter(|name| !name.is_empty()),
            ..Answer::default()
        }
    }

    fn address(&self, address: &Address, found: &mut Lookup) {
        if let Some(closed) = self.closed(address) {
            // Not even its absence from the extracts is told of what was on the red list.
            (found.gone, found.successor) = (Date::of(closed.since).filter(|_| closed.told), self.successor(closed));
            return;
        }
        if self.is_red_key(&address.key()) {
            return;
        }
        let answer = &mut found.answer;
        if let Some(mailbox) = self.generation.mailbox(address) {
            found.mailbox = Some(self.mailbox(&mailbox));
            answer.people = mailbox.people().take(MAX_LOOKUP).map(|p| self.person(&p, MatchKind::Exact)).collect();
            let structures = mailbox.structures().take(MAX_LOOKUP);
            answer.structures = structures.map(|s| self.structure(&s, MatchKind::Exact)).collect();
        } else if let Some(own) = self.registry.and_then(|registry| registry.mailbox(address)) {
            found.mailbox = Some(registered(own));
            let owner = own.owner.as_ref().and_then(|id| self.generation.person(id));
            answer.people = owner.iter().map(|person| self.person(person, MatchKind::Exact)).collect();
            let structure = own.structure.as_ref().and_then(|id| self.generation.structure(id));
            answer.structures = structure.iter().map(|s| self.structure(s, MatchKind::Exact)).collect();
        }
        found.gone = self.gone(GoneKind::Mailbox, &address.key());
    }

    /// What is known of a mailbox of ours that is closed.
    fn closed(&self, address: &Address) -> Option<&'a Closed> {
        self.registry.and_then(|registry| registry.mailbox(address)).and_then(|own| own.closed.as_ref())
    }

    /// Who takes over, as far as strangers may be told.
    fn successor(&self, closed: &Closed) -> Option<Address> {
        closed.successor.clone().filter(|next| closed.told && !self.is_red_key(&next.key()))
    }

    /// Who takes over a closed mailbox of ours that is named in full.
    pub(crate) fn successor_text(&self, text: &str) -> Option<Address> {
        let address = Address::parse(text.trim()).ok()?;
        self.closed(&address).and_then(|closed| self.successor(closed))
    }

    fn is_red_key(&self, key: &str) -> bool {
        self.registry.is_some_and(|registry| registry.is_red(key))
    }

    fn id(&self, text: &str, found: &mut Lookup) {
        let people = person_forms(text);
        let structures = structure_forms(text);
        let current = |id: &PersonId| self.registry.map_or_else(|| id.clone(), |registry| registry.current(id).clone());
        let persons = people.iter().filter_map(|id| self.generation.person(&current(id)));
        found.answer.people = persons.map(|person| self.person(&person, MatchKind::Exact)).collect();
        let technical = self.generation.structure_by_technical_id(&compact(text));
        let mut places: Vec<Structure<'_>> = structures.iter().filter_map(|id| self.generation.structure(id)).collect();
        if places.is_empty() {
            places.extend(technical);
        }
        if places.is_empty() {
            // The number of a legal entity stands for its sites.
            let entities = structures.iter().filter(|id| id.kind() == ident::StructureIdKind::Finess);
            places.extend(entities.flat_map(|id| self.generation.sites_of_entity(id.number())).take(MAX_LOOKUP));
        }
        found.answer.structures = places.iter().map(|place| self.structure(place, MatchKind::Exact)).collect();
        found.gone = people
            .iter()
            .find_map(|id| self.gone(GoneKind::Person, id.as_str()))
            .or_else(|| structures.iter().find_map(|id| self.gone(GoneKind::Structure, id.as_str())));
        if found.answer.people.is_empty()
            && found.answer.structures.is_empty()
            && let Some(number) = CardNumber::parse(&compact(text))
        {
            let before = found.gone;
            self.card(&number, found);
            found.gone = before.or(found.gone);
        }
    }

    fn card(&self, number: &CardNumber, found: &mut Lookup) {
        let cards: Vec<Card<'_>> = self.generation.cards(number);
        let people = cards.iter().take(MAX_LOOKUP).map(|card| self.person(&card.person(), MatchKind::Exact));
        found.answer.people = people.collect();
        found.gone = self.gone(GoneKind::Card, number.as_str());
    }

    fn gone(&self, kind: GoneKind, key: &str) -> Option<Date> {
        self.generation.gone(kind, key).and_then(|gone| gone.since())
    }

    /// When something that is named in full in a question left the data.
    pub(crate) fn gone_text(&self, text: &str) -> Option<Date> {
        let text = text.trim();
        if let Ok(address) = Address::parse(text) {
            if let Some(closed) = self.closed(&address) {
                return Date::of(closed.since).filter(|_| closed.told);
            }
            // What we answer for ourselves left nothing but the extract, and that it is red-listed is not told.
            let ours = self.registry.is_some_and(|registry| registry.mailbox(&address).is_some());
            return if ours { None } else { self.gone(GoneKind::Mailbox, &address.key()) };
        }
        let person = |id: &PersonId| self.gone(GoneKind::Person, id.as_str());
        let structure = |id: &StructureId| self.gone(GoneKind::Structure, id.as_str());
        person_forms(text).iter().find_map(person).or_else(|| structure_forms(text).iter().find_map(structure))
    }

    pub(crate) fn person(&self, person: &Person<'a>, r#match: MatchKind) -> PersonAnswer {
        let activities = person.activities().map(|activity| {
            let place = activity.structure();
            ActivityAnswer {
                profession: activity.profession().to_owned(),
                speciality: activity.speciality().to_owned(),
                structure: place.map_or("", |place| place.display_name()).to_owned(),
                structure_id: place.and_then(|place| place.id()).map(String::from),
                postcode: place.map_or("", |place| place.postcode()).to_owned(),
                town: place.map_or("", |place| place.town()).to_owned(),
                department: place.map_or("", |place| place.department()).to_owned(),
            }
        });
        let cards = person.cards().map(|card| CardAnswer {
            number: card.number_text().to_owned(),
            valid_to: card.valid_to(),
            opposed: card.opposed(),
        });
        PersonAnswer {
            id: person.id_text().to_owned(),
            family: person.family().to_owned(),
            given: person.given().to_owned(),
            profession: person.profession().to_owned(),
            r#match,
            active: person.active(),
            homonyms: person.homonyms(),
            activities: activities.collect(),
            mailboxes: self.mailboxes_of(person),
            cards: cards.collect(),
        }
    }

    /// What the extract publishes and what the registry adds, less the red list, preferred first.
    pub(crate) fn mailboxes_of(&self, person: &Person<'a>) -> Vec<MailboxAnswer> {
        let mut mailboxes: Vec<MailboxAnswer> =
            person.mailboxes().filter(|m| !self.is_red(m)).map(|mailbox| self.mailbox(&mailbox)).collect();
        if let (Some(registry), Some(id)) = (self.registry, person.id()) {
            let known = |own: &RegisteredMailbox| person.mailboxes().any(|mailbox| mailbox.key() == own.address.key());
            mailboxes.extend(registry.owned_by(&id).filter(|own| !own.red_list && !known(own)).map(registered));
        }
        in_order(&mut mailboxes);
        mailboxes
    }

    pub(crate) fn structure(&self, structure: &Structure<'a>, r#match: MatchKind) -> StructureAnswer {
        StructureAnswer {
            id: structure.id().map(String::from),
            name: structure.display_name().to_owned(),
            finess: structure.finess().to_owned(),
            siret: structure.siret().to_owned(),
            street: structure.street().to_owned(),
            postcode: structure.postcode().to_owned(),
            town: structure.town().to_owned(),
            department: structure.department().to_owned(),
            r#match,
            mailboxes: self.shared_mailboxes_of(structure),
        }
    }

    /// The mailboxes of a structure that are no person's own, those of the registry among them, less the red list,
    /// preferred first, and no more than a face shows.
    pub(crate) fn shared_mailboxes_of(&self, structure: &Structure<'a>) -> Vec<MailboxAnswer> {
        let mut mailboxes = self.mailboxes_of_structure(structure, |_| true, |_| true);
        mailboxes.truncate(MAX_STRUCTURE_MAILBOXES);
        mailboxes
    }

    /// Every mailbox that only a structure has, none left out but those on the red list.
    pub(crate) fn service_mailboxes_of(&self, structure: &Structure<'a>) -> Vec<MailboxAnswer> {
        self.mailboxes_of_structure(structure, |m| m.people().next().is_none(), |own| own.owner.is_none())
    }

    /// Those among them with these addresses, in lower case.
    pub(crate) fn service_mailboxes_at(&self, structure: &Structure<'a>, addresses: &[String]) -> Vec<MailboxAnswer> {
        let meant = |key: &str| addresses.iter().any(|address| address == key);
        self.mailboxes_of_structure(
            structure,
            |m| meant(m.key()) && m.people().next().is_none(),
            |own| own.owner.is_none() && meant(&own.address.key()),
        )
    }

    /// Whether there is any.
    pub(crate) fn has_service_mailboxes(&self, structure: &Structure<'a>) -> bool {
        let listed = |m: &Mailbox<'_>| m.kind() != MailboxType::Personal && m.people().next().is_none();
        let added = |registry: &Registry| {
            let overlay = overlay(self.generation, Some(registry));
            overlay.added.of_place(registry, structure.row).any(|own| own.owner.is_none())
        };
        structure.mailboxes().any(|m| listed(&m) && !self.is_red(&m)) || self.registry.is_some_and(added)
    }

    /// What all faces show of a structure: of what the extract lists and of what the registry adds.
    fn mailboxes_of_structure(
        &self,
        structure: &Structure<'a>,
        listed: impl Fn(&Mailbox<'_>) -> bool,
        added: impl Fn(&RegisteredMailbox) -> bool,
    ) -> Vec<MailboxAnswer> {
        let shared = structure.mailboxes().filter(|m| m.kind() != MailboxType::Personal && !self.is_red(m));
        let mut mailboxes: Vec<MailboxAnswer> =
            shared.filter(|m| listed(m)).map(|mailbox| self.mailbox(&mailbox)).collect();
        if let Some(registry) = self.registry {
            let overlay = overlay(self.generation, Some(registry));
            let own = overlay.added.of_place(registry, structure.row);
            mailboxes.extend(own.filter(|own| added(own)).map(registered));
        }
        in_order(&mut mailboxes);
        mailboxes
    }

    pub(crate) fn is_red(&self, mailbox: &Mailbox<'_>) -> bool {
        self.registry.is_some_and(|registry| registry.is_red(mailbox.key()))
    }

    pub(crate) fn mailbox(&self, mailbox: &Mailbox<'_>) -> MailboxAnswer {
        let own = self.registry.and_then(|registry| registry.by_key(mailbox.key()));
        let rank = own.and_then(|own| own.rank);
        MailboxAnswer { address: mailbox.address_text().to_owned(), r#type: mailbox.kind(), rank }
    }
}

pub(crate) fn registered(own: &RegisteredMailbox) -> MailboxAnswer {
    MailboxAnswer { address: own.address.to_string(), r#type: own.kind, rank: own.rank }
}

/// By rank; without one PER before CAB before ORG before APP; then by address.
pub(crate) fn in_order(mailboxes: &mut [MailboxAnswer]) {
    mailboxes.sort_by(|a, b| {
        let key = |m: &MailboxAnswer| (m.rank.unwrap_or(u32::MAX), m.r#type);
        key(a).cmp(&key(b)).then_with(|| a.address.cmp(&b.address))
    });
}
