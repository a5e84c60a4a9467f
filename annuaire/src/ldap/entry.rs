//! What an entry shows of a person, a structure, or a folder: values of attributes, made when asked for.
//!
//! A person with three mailboxes is three entries, the preferred one first: address books read one `mail` of each.

use std::borrow::Cow;

use super::{
    dn::escaped,
    schema::{self, Attr},
};
use crate::{
    Generation, MailboxAnswer, MailboxType, MatchKind, Person, Registry, Structure,
    answer::Shown,
    generation::{other_forms, other_forms_of_town},
};

/// Certificates for the mailboxes of the directory: the gateway's book answers.
pub trait Certificates: Sync {
    /// Certificates, DER, that mail to this address may be encrypted for.
    fn readers(&self, address: &str) -> Vec<Vec<u8>>;

    /// The same as one PKCS#7 object (RFC 2798 §2.8); nothing where there are none.
    fn bundle(&self, address: &str) -> Option<Vec<u8>> {
        let readers = self.readers(address);
        (!readers.is_empty()).then(|| super::bundle::certificates_only(&readers))
    }
}

/// No certificates.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCertificates;

impl Certificates for NoCertificates {
    fn readers(&self, _: &str) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// What every entry rests on.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The generation that answers.
    pub generation: &'a Generation,
    /// The operator's own mailboxes: red list, ranks.
    pub registry: Option<&'a Registry>,
    /// Certificates.
    pub certificates: &'a dyn Certificates,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({})", self.generation.id())
    }
}

/// Who or what an entry is.
#[derive(Debug, Clone)]
pub(super) enum Subject<'g> {
    /// A person, by one of the person's mailboxes.
    Person { person: Person<'g>, mailbox: Option<MailboxAnswer>, kind: MatchKind },
    /// A structure, by one of its shared mailboxes.
    Structure { structure: Structure<'g>, mailbox: Option<MailboxAnswer>, kind: MatchKind },
    /// A folder, the root, the subschema: attributes as they stand.
    Fixed(Vec<(Attr, Vec<String>)>),
}

/// Which of the mailboxes of a structure are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Boxes<'a> {
    /// All of them.
    All,
    /// Those with these addresses, in lower case.
    At(&'a [String]),
    /// None: the entry of a structure that has no mailbox.
    None,
}

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) world: World<'a>,
    pub(super) subject: Subject<'a>,
    pub(super) name: String,
}

impl<'a> Entry<'a> {
    /// The entries of a person.
    pub(super) fn of_person(world: World<'a>, base: &str, person: Person<'a>, kind: MatchKind) -> Vec<Self> {
        let show = Shown { generation: world.generation, registry: world.registry };
        let one = |mailbox: Option<MailboxAnswer>| {
            let name = named("uid", person.id_text(), mailbox.as_ref(), "people", base);
            Self { world, name, subject: Subject::Person { person, mailbox, kind } }
        };
        let mailboxes = show.mailboxes_of(&person);
        if mailboxes.is_empty() { vec![one(None)] } else { mailboxes.into_iter().map(Some).map(one).collect() }
    }

    /// The entries of a structure: one for each mailbox that is no person's, however many a hospital has.
    pub(super) fn of_structure(
        world: World<'a>,
        base: &str,
        structure: Structure<'a>,
        kind: MatchKind,
        boxes: Boxes<'_>,
    ) -> Vec<Self> {
        let show = Shown { generation: world.generation, registry: world.registry };
        let one = |mailbox: Option<MailboxAnswer>| {
            let name = named("structureIdentifier", structure.key(), mailbox.as_ref(), "structures", base);
            Self { world, name, subject: Subject::Structure { structure, mailbox, kind } }
        };
        let mailboxes = match boxes {
            Boxes::At(addresses) => {
                let those = show.service_mailboxes_at(&structure, addresses);
                return those.into_iter().map(Some).map(one).collect();
            }
            Boxes::None if show.has_service_mailboxes(&structure) => return Vec::new(),
            Boxes::None => Vec::new(),
            Boxes::All => show.service_mailboxes_of(&structure),
        };
        if mailboxes.is_empty() { vec![one(None)] } else { mailboxes.into_iter().map(Some).map(one).collect() }
    }

    /// A folder and the like.
    pub(super) fn fixed(world: World<'a>, name: String, values: Vec<(Attr, Vec<String>)>) -> Self {
        Self { world, name, subject: Subject::Fixed(values) }
    }

    /// The classes of the entry, the most general first.
    pub(super) fn classes(&self) -> Vec<Cow<'a, str>> {
        match &self.subject {
            Subject::Person { .. } => PERSON.iter().map(|name| Cow::Borrowed(*name)).collect(),
            Subject::Structure { .. } => STRUCTURE.iter().map(|name| Cow::Borrowed(*name)).collect(),
            Subject::Fixed(values) => listed(values, Attr::ObjectClass).map(|text| text.to_owned().into()).collect(),
        }
    }

    /// The values of an attribute as text, as they are shown; none for certificates.
    pub(super) fn texts(&self, attr: Attr) -> Vec<Cow<'a, str>> {
        let mut out = self.values(attr);
        distinct(&mut out);
        out
    }

    /// The same where one may be there twice, letter case aside.
    pub(super) fn values(&self, attr: Attr) -> Vec<Cow<'a, str>> {
        let mut out = Vec::new();
        match attr {
            Attr::ObjectClass => return self.classes(),
            Attr::EntryDn => out.push(self.name.clone().into()),
            Attr::Subschema => out.push(super::SUBSCHEMA.into()),
            Attr::Generation => out.push(self.world.generation.id().into()),
            Attr::DataAsOf | Attr::Modified => out.push(generalized(self.world.generation.data_as_of()).into()),
            _ => match &self.subject {
                Subject::Person { person, mailbox, kind } => {
                    self.person(attr, person, mailbox.as_ref(), *kind, &mut out)
                }
                Subject::Structure { structure, mailbox, kind } => {
                    self.structure(attr, structure, mailbox.as_ref(), *kind, &mut out);
                }
                Subject::Fixed(values) => out.extend(listed(values, attr).map(|text| Cow::Owned(text.to_owned()))),
            },
        }
        out.retain(|value| !value.is_empty());
        out
    }

    /// The single words by which the names in an attribute go, too: run together, `saint` for `st`.
    pub(super) fn other_forms(&self, attr: Attr) -> Vec<String> {
        match (&self.subject, attr) {
            (Subject::Person { person, .. }, attr) => {
                let places = || person.activities().filter_map(|activity| activity.structure());
                match attr {
                    Attr::CommonName | Attr::DisplayName => {
                        [person.given(), person.family()].into_iter().flat_map(other_forms).collect()
                    }
                    Attr::Surname => other_forms(person.family()),
                    Attr::GivenName => other_forms(person.given()),
                    _ => places().flat_map(|place| forms_of_place(attr, &place)).collect(),
                }
            }
            (Subject::Structure { structure, .. }, Attr::CommonName | Attr::DisplayName) => {
                other_forms(structure.display_name())
            }
            (Subject::Structure { structure, .. }, attr) => forms_of_place(attr, structure),
            _ => Vec::new(),
        }
    }

    /// The certificates in an attribute; none in others.
    pub(super) fn octets(&self, attr: Attr) -> Vec<Vec<u8>> {
        let Some(address) = self.address() else { return Vec::new() };
        match attr {
            Attr::UserCertificate => self.world.certificates.readers(address),
            Attr::SmimeCertificate => self.world.certificates.bundle(address).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn address(&self) -> Option<&str> {
        match &self.subject {
            Subject::Person { mailbox, .. } | Subject::Structure { mailbox, .. } => {
                mailbox.as_ref().map(|mailbox| mailbox.address.as_str())
            }
            Subject::Fixed(_) => None,
        }
    }

    fn person(
        &self,
        attr: Attr,
        person: &Person<'a>,
        mailbox: Option<&MailboxAnswer>,
        kind: MatchKind,
        out: &mut Vec<Cow<'a, str>>,
    ) {
        let places = || person.activities().filter_map(|activity| activity.structure());
        match attr {
            Attr::CommonName => {
                out.push(joined(person.given(), person.family()).into());
                out.push(joined(person.family(), person.given()).into());
            }
            Attr::DisplayName => out.push(joined(person.given(), person.family()).into()),
            Attr::Surname => out.push(person.family().into()),
            Attr::GivenName => out.push(person.given().into()),
            Attr::Uid | Attr::EmployeeNumber => out.push(person.id_text().into()),
            Attr::EmployeeType => out.push(person.profession().into()),
            Attr::Title => {
                out.push(person.profession().into());
                out.extend(person.activities().map(|activity| Cow::Borrowed(activity.profession())));
            }
            Attr::BusinessCategory => {
                out.extend(person.activities().map(|activity| Cow::Borrowed(activity.speciality())));
                out.extend(person.skills().map(Cow::Borrowed));
            }
            Attr::Description => out.extend(described(person).map(Cow::Owned)),
            Attr::ProfessionCode => {
                out.push(person.profession_code().into());
                out.extend(person.activities().map(|activity| Cow::Borrowed(activity.profession_code())));
            }
            Attr::SpecialityCode => {
                out.extend(person.activities().map(|activity| Cow::Borrowed(activity.skill_code())));
            }
            Attr::PersonState => out.push(if person.active() { "active" } else { "inactive" }.into()),
            Attr::StructuralClass => out.push("inetOrgPerson".into()),
            Attr::Organisation => {
                out.extend(places().flat_map(|place| [place.name(), place.trade_name()]).map(Cow::Borrowed));
            }
            Attr::StructureId => out.extend(places().map(|place| Cow::Borrowed(place.key()))),
            _ => {
                self.of_mailbox(attr, mailbox, kind, out);
                places().for_each(|place| located(attr, &place, out));
            }
        }
    }

    fn structure(
        &self,
        attr: Attr,
        structure: &Structure<'a>,
        mailbox: Option<&MailboxAnswer>,
        kind: MatchKind,
        out: &mut Vec<Cow<'a, str>>,
    ) {
        match attr {
            Attr::CommonName | Attr::DisplayName => {
                let service = self.service(mailbox);
                let name = structure.display_name();
                match service.is_empty() {
                    true => out.push(name.into()),
                    false => out.push(format!("{service} - {name}").into()),
                }
            }
            Attr::Organisation => out.extend([structure.name(), structure.trade_name()].map(Cow::Borrowed)),
            Attr::StructureId => {
                out.extend(
                    [structure.key(), structure.finess(), structure.siret(), structure.technical_id()]
                        .map(Cow::Borrowed),
                );
            }
            Attr::Unit => out.push(self.service(mailbox).into()),
            Attr::StructuralClass => out.push("organization".into()),
            _ => {
                self.of_mailbox(attr, mailbox, kind, out);
                located(attr, structure, out);
            }
        }
    }

    fn of_mailbox(&self, attr: Attr, mailbox: Option<&MailboxAnswer>, kind: MatchKind, out: &mut Vec<Cow<'a, str>>) {
        match attr {
            Attr::Mail => out.extend(mailbox.map(|mailbox| Cow::Owned(mailbox.address.clone()))),
            Attr::MailboxType => out.extend(mailbox.map(|mailbox| Cow::Borrowed(mailbox.r#type.code()))),
            Attr::HasSubordinates => out.push("FALSE".into()),
            Attr::Match => out.push(match_name(kind).into()),
            _ => {}
        }
    }

    /// The service that a shared mailbox belongs to.
    fn service(&self, mailbox: Option<&MailboxAnswer>) -> &'a str {
        let shared = mailbox.filter(|mailbox| mailbox.r#type != MailboxType::Personal);
        let address = shared.and_then(|mailbox| ident::Address::parse(&mailbox.address).ok());
        let known = address.and_then(|address| self.world.generation.mailbox(&address));
        known.map(|known| known.service()).unwrap_or_default()
    }
}

const PERSON: [&str; 5] = ["top", "person", "organizationalPerson", "inetOrgPerson", "healthProfessional"];
const STRUCTURE: [&str; 3] = ["top", "organization", "healthStructure"];

/// Whether every entry of people (or else of structures) has this class.
pub(super) fn has_class(people: bool, class: &str) -> bool {
    let classes: &[&str] = if people { &PERSON } else { &STRUCTURE };
    classes.iter().any(|name| is_class(name, class))
}

/// Whether a class is named so, or by its number.
pub(super) fn is_class(name: &str, asked: &str) -> bool {
    name.eq_ignore_ascii_case(asked)
        || schema::CLASSES.iter().any(|class| class.name.eq_ignore_ascii_case(name) && class.oid() == asked)
}

fn match_name(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Exact => "exact",
        MatchKind::Prefix => "prefix",
        MatchKind::Fuzzy => "fuzzy",
        MatchKind::Phonetic => "phonetic",
    }
}

fn listed(values: &[(Attr, Vec<String>)], attr: Attr) -> impl Iterator<Item = &str> {
    values.iter().filter(move |(known, _)| *known == attr).flat_map(|(_, values)| values).map(String::as_str)
}

/// The single words by which the names of a structure and of its town go, too.
fn forms_of_place(attr: Attr, place: &Structure<'_>) -> Vec<String> {
    match attr {
        Attr::Organisation => [place.name(), place.trade_name()].into_iter().flat_map(other_forms).collect(),
        Attr::Locality => [place.town(), place.routing_town()].into_iter().flat_map(other_forms_of_town).collect(),
        _ => Vec::new(),
    }
}

/// Where a structure is.
fn located<'a>(attr: Attr, place: &Structure<'a>, out: &mut Vec<Cow<'a, str>>) {
    match attr {
        Attr::Locality => out.extend([place.town(), place.routing_town()].map(Cow::Borrowed)),
        Attr::State => out.push(place.department().into()),
        Attr::PostalCode => out.push(place.postcode().into()),
        Attr::Street => {
            out.push(place.street().into());
            out.extend(place.further_lines().map(Cow::Borrowed));
        }
        Attr::Telephone => out.push(place.phone().into()),
        Attr::PostalAddress => {
            // `$` separates lines (RFC 4517 §3.3.28).
            let line = |text: &str| text.replace('\\', "\\5C").replace('$', "\\24");
            let town = joined(place.postcode(), place.town());
            let lines = [place.display_name(), place.street(), &town].map(line);
            let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
            out.push(lines.join("$").into());
        }
        _ => {}
    }
}

/// One line for each place of work that tells people of one name apart.
fn described<'a>(person: &Person<'a>) -> impl Iterator<Item = String> + use<'a> {
    person.activities().map(|activity| {
        let place = activity.structure();
        let name = place.map_or("", |place| place.display_name());
        let town = place.map_or_else(String::new, |place| joined(place.postcode(), place.town()));
        let parts = [activity.profession(), activity.speciality(), name, &town];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    })
}

fn joined(one: &str, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.to_owned(),
        (_, true) => one.to_owned(),
        _ => format!("{one} {other}"),
    }
}

/// A set has each value once, letter case aside (RFC 4512 §2.3).
fn distinct(values: &mut Vec<Cow<'_, str>>) {
    if values.len() < 2 {
        return;
    }
    let mut seen: Vec<String> = Vec::with_capacity(values.len());
    values.retain(|value| {
        let key = value.to_lowercase();
        let fresh = !seen.contains(&key);
        if fresh {
            seen.push(key);
        }
        fresh
    });
}

/// RFC 4517 §3.3.13.
fn generalized(at: ident::Timestamp) -> String {
    at.rfc3339().chars().filter(|c| !matches!(c, '-' | ':' | 'T')).collect()
}

fn named(attribute: &str, value: &str, mailbox: Option<&MailboxAnswer>, folder: &str, base: &str) -> String {
    let mail = mailbox.map(|mailbox| format!("+mail={}", escaped(&mailbox.address))).unwrap_or_default();
    format!("{attribute}={}{mail},ou={folder},{base}", escaped(value))
}
