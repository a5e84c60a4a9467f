//! The fictional people and places themselves: each a function of seed and number, so none must be kept.

use ident::{Address, CardNumber, PersonId, StructureId};

use super::{
    names::{FAMILIES, GIVENS, PROFESSIONS, SPECIALITIES, STREETS, TOWNS, composed},
    random::Random,
};
use crate::{fold::fold, generate::GenerateOptions};

/// A fictional person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadePerson {
    /// National identifier.
    pub id: PersonId,
    /// Family name, `-TEST` at its end.
    pub family: String,
    /// Given name.
    pub given: String,
    /// `M` or `MME`.
    pub civility: &'static str,
    /// Profession code and label.
    pub profession: (&'static str, &'static str),
    /// Speciality code and label.
    pub speciality: Option<(&'static str, &'static str)>,
    /// Numbers of the structures where the person works, for `structure`.
    pub(super) structures: Vec<u32>,
    /// Addresses of the mailboxes.
    pub mailboxes: Vec<Address>,
    /// Numbers of the cards.
    pub cards: Vec<CardNumber>,
}

/// A fictional place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeStructure {
    /// FINESS number of the site; practices have none.
    pub(super) finess: String,
    /// SIRET of the site.
    pub(super) siret: String,
    /// Technical identifier.
    pub(super) technical: String,
    /// Name.
    pub(super) name: String,
    /// Number, repetition, street type code, street type, street. Empty: the extract has no address for it.
    pub(super) street: [String; 5],
    /// Town, postcode, INSEE code, department code and label.
    pub(super) town: (&'static str, &'static str, &'static str, &'static str, &'static str),
    /// Domain of its mailboxes.
    pub(super) domain: String,
    /// Whether it is a hospital, with services.
    pub(super) hospital: bool,
}

const PERSON: u64 = 1;
const STRUCTURE: u64 = 2;

/// How many structures there are for so many people.
pub(super) fn structure_count(people: u32) -> u32 {
    (people / 4).max(8)
}

/// Structure number `n`. One in eight is a hospital; one in thirteen has no address.
pub(super) fn structure(options: &GenerateOptions, n: u32) -> MadeStructure {
    let mut random = Random::of(options.seed, STRUCTURE, u64::from(n));
    let town = random.pick(&TOWNS);
    let hospital = n.is_multiple_of(8);
    let (code, label, street) = random.pick(&STREETS);
    let number = random.below(180).saturating_add(1);
    let repeat = if random.chance(60) { "B" } else { "" };
    let without_address = n.checked_rem(13) == Some(5);
    let street = match without_address {
        true => Default::default(),
        false => [number.to_string(), repeat.into(), code.into(), label.into(), street.into()],
    };
    let finess = if hospital { format!("995{n:06}") } else { String::new() };
    let slug = fold(town.0).replace(' ', "-");
    let name = match hospital {
        true => format!("CH {}-TEST {n}", town.0.to_uppercase()),
        false => format!("CABINET TEST {n}"),
    };
    MadeStructure {
        siret: format!("000{n:011}"),
        technical: if hospital { format!("F{finess}") } else { format!("C000{n:011}") },
        finess,
        name,
        street,
        town,
        domain: if hospital { format!("ch-{slug}-{n}.test") } else { "medecin.mssante-exemple.test".into() },
        hospital,
    }
}

impl MadeStructure {
    /// Its national identifier.
    pub(super) fn id(&self) -> Option<StructureId> {
        let digit = if self.finess.is_empty() { ('3', &self.siret) } else { ('1', &self.finess) };
        StructureId::parse(&format!("{}{}", digit.0, digit.1)).ok()
    }
}

/// Person number `n`. One in 97 is the homonym of the one before, in the same place.
pub(super) fn person(options: &GenerateOptions, n: u32) -> Option<MadePerson> {
    let homonym = n > 0 && n.is_multiple_of(97);
    let mut names = Random::of(options.seed, PERSON, u64::from(if homonym { n.saturating_sub(1) } else { n }));
    let (family, (given, civility)) = (family(&mut names), names.pick(&GIVENS));
    let first_place = names.below(structure_count(options.people));
    let mut random = Random::of(options.seed, PERSON.rotate_left(8), u64::from(n));
    // Nearly half of them physicians.
    let profession = if random.chance(450) { PROFESSIONS[0] } else { random.pick(&PROFESSIONS) };
    let speciality = (profession.0 == "10").then(|| random.pick(&SPECIALITIES));
    let structures = match random.below(100) {
        0..8 if !homonym => Vec::new(),
        8..11 => vec![first_place, random.below(structure_count(options.people))],
        _ => vec![first_place],
    };
    let cards = match random.below(100) {
        0..52 => 0,
        52..97 => 1,
        _ => 2,
    };
    let mut person = MadePerson {
        id: rpps(n)?,
        family: format!("{family}-TEST"),
        given: given.to_owned(),
        civility,
        profession,
        speciality,
        structures,
        mailboxes: Vec::new(),
        cards: (0..cards).filter_map(|card| CardNumber::parse(&format!("9{card}{n:08}"))).collect(),
    };
    person.mailboxes = mailboxes(options, &mut random, &person, n);
    Some(person)
}

/// Half of all names are frequent ones; the others lie on a long tail, as those of a nation do.
fn family(random: &mut Random) -> String {
    if random.chance(500) {
        return random.pick(&FAMILIES).to_owned();
    }
    // Squared: the first of the tail are far more frequent than its end.
    let place = u64::from(random.below(20_000));
    let number = place.saturating_mul(place) / 500;
    let name = composed(u32::try_from(number).unwrap_or(0).saturating_add(random.below(60)));
    match random.below(40) {
        0 => format!("LE {name}"),
        1 => format!("DE {name}"),
        2 => format!("D’{name}"),
        3 => format!("{name}-{}", random.pick(&FAMILIES)),
        _ => name,
    }
}

/// RPPS numbers that begin with 998 are given to nobody; the last digit is the check digit.
fn rpps(n: u32) -> Option<PersonId> {
    let number = format!("998{n:07}");
    PersonId::from_rpps(&format!("{number}{}", luhn(&number))).ok()
}

fn luhn(number: &str) -> u32 {
    let sum = number.chars().rev().enumerate().fold(0u32, |sum, (place, c)| {
        let digit = c.to_digit(10).unwrap_or(0);
        let doubled = if place.is_multiple_of(2) { digit.saturating_mul(2) } else { digit };
        sum.saturating_add(if doubled > 9 { doubled.saturating_sub(9) } else { doubled })
    });
    10u32.saturating_sub(sum.checked_rem(10).unwrap_or(0)).checked_rem(10).unwrap_or(0)
}

/// A quarter has a mailbox, some several; the address carries the name, without accents, and the number.
fn mailboxes(options: &GenerateOptions, random: &mut Random, person: &MadePerson, n: u32) -> Vec<Address> {
    let count = match random.below(100) {
        0..74 => 0u32,
        74..96 => 1,
        96..99 => 2,
        _ => 4,
    };
    let name = format!("{}.{}", fold(&person.given).replace(' ', "-"), fold(&person.family).replace(' ', "-"));
    let home = person.structures.first().map(|place| structure(options, *place).domain);
    let domains = [home.as_deref().unwrap_or("medecin.mssante-exemple.test"), "pro.mssante-exemple.test"];
    (0..count)
        .filter_map(|mailbox| {
            let domain = if mailbox == 0 { domains[0] } else { domains[1] };
            let suffix = if mailbox < 2 { String::new() } else { format!("-{mailbox}") };
            Address::parse(&format!("{name}.{n}{suffix}@{domain}")).ok()
        })
        .collect()
}
