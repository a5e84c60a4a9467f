//! The directory of the demonstration: generated people in the five national formats, and the cast among them.

use std::{path::Path, time::Duration};

use annuaire::{
    Cast, CastCard, CastMailbox, CastPerson, CastStructure, Date, GenerateOptions, LoadReport, MailboxType,
};
use ident::Timestamp;

use super::{
    cast::{CardFate, CastError, Person, Place, Role},
    space::{SpaceError, SpaceSettings},
};

/// Writes the extracts into `extracts` and loads them into `data`, as `sceau annuaire load` would.
pub(super) fn make(
    settings: &SpaceSettings,
    people: &[Person],
    extracts: &Path,
    data: &Path,
) -> Result<LoadReport, SpaceError> {
    let today = day(settings.now)?;
    let cast = cast(people, settings.now)?;
    let options = GenerateOptions { day: today, cast, ..GenerateOptions::new(settings.seed, settings.people) };
    annuaire::generate(extracts, &options).map_err(|e| SpaceError::File(extracts.to_owned(), e))?;
    let report = annuaire::load(extracts, data, true).map_err(|e| SpaceError::Annuaire(e.to_string()))?;
    if report.in_service() { Ok(report) } else { Err(SpaceError::Annuaire(report.reason.unwrap_or_default())) }
}

fn cast(people: &[Person], now: Timestamp) -> Result<Cast, SpaceError> {
    let mut cast = Cast::default();
    for place in Place::ALL {
        cast.structures.push(structure(place)?);
        cast.mailboxes.push(CastMailbox {
            address: place.address("cardiologie")?,
            kind: MailboxType::Organisation,
            person: None,
            structure: Some(place.structure()?.id),
            service: "Cardiologie".to_owned(),
        });
    }
    for person in people {
        // Staff cards are not in the national directory.
        let Some((code, label)) = person.role.profession() else { continue };
        cast.people.push(professional(person, code, label)?);
        cast.cards.push(card(person, now)?);
        // Red-listed mailboxes are not published (BAL-5): the nurse's is one.
        if let Some(address) = person.mailbox.clone().filter(|_| person.role != Role::Nurse) {
            cast.mailboxes.push(CastMailbox {
                address,
                kind: MailboxType::Personal,
                person: Some(person.id.clone()),
                structure: Some(person.place.structure()?.id),
                service: String::new(),
            });
        }
    }
    Ok(cast)
}

fn structure(place: Place) -> Result<CastStructure, CastError> {
    let structure = place.structure()?;
    let (street, postcode, town) = match place {
        Place::A => ("1 RUE DES ESSAIS", "58000", "VALFLEURI-TEST"),
        Place::B => ("2 RUE DES ESSAIS", "21000", "MONTCLAIR-TEST"),
        Place::C => ("3 RUE DES ESSAIS", "75001", "PARIS"),
    };
    Ok(CastStructure {
        id: structure.id,
        entity_finess: None,
        name: structure.name,
        street: street.to_owned(),
        postcode: postcode.to_owned(),
        town: town.to_owned(),
    })
}

fn professional(person: &Person, code: &str, label: &str) -> Result<CastPerson, CastError> {
    let speciality = ("SM04".to_owned(), "Cardiologie et maladies vasculaires".to_owned());
    Ok(CastPerson {
        id: person.id.clone(),
        family: person.family.to_owned(),
        given: person.given.to_owned(),
        civility: person.civility.to_owned(),
        profession_code: code.to_owned(),
        profession: label.to_owned(),
        speciality: (person.role == Role::Doctor).then_some(speciality),
        structures: vec![person.place.structure()?.id],
    })
}

fn card(person: &Person, now: Timestamp) -> Result<CastCard, SpaceError> {
    let days = |count: u64| Duration::from_secs(count.saturating_mul(86_400));
    let (from, to) = match person.fate {
        CardFate::Expired => (now.minus(days(1125)), now.minus(days(30))),
        _ => (now.minus(days(1)), now.plus(days(1095))),
    };
    let opposed_on = if person.fate == CardFate::Revoked { Some(day(now)?) } else { None };
    let (number, holder) = (person.card.clone(), person.id.clone());
    Ok(CastCard { number, person: holder, valid_from: day(from)?, valid_to: day(to)?, opposed_on })
}

fn day(at: Timestamp) -> Result<Date, SpaceError> {
    Date::of(at).ok_or_else(|| SpaceError::Annuaire(format!("{at} is no day of the calendar")))
}
