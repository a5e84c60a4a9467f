use annuaire::{Cast, CastCard, CastPerson, CastStructure, Date, GenerateOptions};
use pki::identity::{Person, Staff};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const RPPS: &str = "899700000017";
const ADELI: &str = "0752800736";
const LOST: &str = "2800067201";
const NEW: &str = "2800067202";
const STRANGE: &str = "2800067299";

fn id(text: &str) -> PersonId {
    PersonId::parse(text).unwrap()
}

fn number(text: &str) -> CardNumber {
    CardNumber::parse(text).unwrap()
}

/// Number, over, opposed.
type Listed = (&'static str, bool, bool);
type Outcome = Result<DirectoryNote, RefusalId>;

/// A directory with one physician, known by RPPS, and her cards.
fn directory(cards: &[Listed]) -> Generation {
    let today = Date::of(NOW).unwrap();
    let structure = ident::StructureId::parse("1990000011").unwrap();
    let card = |(text, over, opposed): &Listed| CastCard {
        number: number(text),
        person: id(RPPS),
        valid_from: today.plus_days(-900),
        valid_to: today.plus_days(if *over { -10 } else { 200 }),
        opposed_on: opposed.then(|| today.plus_days(-1)),
    };
    let cast = Cast {
        structures: vec![CastStructure {
            id: structure.clone(),
            entity_finess: None,
            name: "CH EXEMPLE-TEST".into(),
            street: "1 RUE DE L'ESSAI".into(),
            postcode: "75001".into(),
            town: "PARIS".into(),
        }],
        people: vec![CastPerson {
            id: id(RPPS),
            family: "MARTIN-TEST".into(),
            given: "Anne".into(),
            civility: "MME".into(),
            profession_code: "10".into(),
            profession: "Médecin".into(),
            speciality: None,
            structures: vec![structure],
        }],
        mailboxes: vec![],
        cards: cards.iter().map(card).collect(),
    };
    let folder = tempfile::tempdir().unwrap();
    let options = GenerateOptions { cast, ..GenerateOptions::new(1, 2) };
    annuaire::generate(folder.path(), &options).unwrap();
    annuaire::build(folder.path()).unwrap().1.unwrap()
}

fn doctor(person: &str, card: Option<&str>) -> Identity {
    Identity::Person(Person {
        id: id(person),
        family: "MARTIN-TEST".into(),
        given: "Anne".into(),
        profession: None,
        card: card.map(number),
    })
}

fn asked(generation: &Generation, registries: &[&Registry], identity: &Identity) -> Outcome {
    consult(Some(generation), registries, identity, NOW).map_err(|refusal| refusal.id)
}

#[test]
fn an_opposition_revokes_the_card_that_it_names_and_no_other() {
    let (good, opposed, over) = (false, true, true);
    let table: [(&[Listed], Option<&str>, Outcome); 9] = [
        // The lost card, the new one, and a certificate that does not say on which it is.
        (&[(LOST, good, opposed), (NEW, good, false)], Some(LOST), Err(RefusalId::CardOpposed)),
        (&[(LOST, good, opposed), (NEW, good, false)], Some(NEW), Ok(DirectoryNote::Active)),
        (&[(LOST, good, opposed), (NEW, good, false)], None, Ok(DirectoryNote::OppositionUncertain)),
        (&[(LOST, good, opposed), (NEW, good, false)], Some(STRANGE), Ok(DirectoryNote::OppositionUncertain)),
        // No valid unopposed card is left: the opposition counts, proved or not.
        (&[(LOST, good, opposed)], None, Err(RefusalId::CardOpposed)),
        (&[(LOST, good, opposed)], Some(STRANGE), Err(RefusalId::CardOpposed)),
        (&[(LOST, good, opposed), (NEW, over, false)], None, Err(RefusalId::CardOpposed)),
        // Nothing is opposed.
        (&[(NEW, good, false)], Some(STRANGE), Ok(DirectoryNote::Active)),
        (&[], None, Ok(DirectoryNote::Active)),
    ];
    for (cards, proved, expected) in table {
        let generation = directory(cards);
        assert_eq!(asked(&generation, &[], &doctor(RPPS, proved)), expected, "{cards:?} {proved:?}");
    }
}

#[test]
fn an_old_identifier_is_followed_through_the_registrys_aliases() {
    let generation = directory(&[(LOST, false, true), (NEW, false, false)]);
    let text = format!("[[alias]]\nold = \"{ADELI}\"\ncurrent = \"{RPPS}\"\n");
    let registry = Registry::parse(&text).unwrap();
    let old = |card| doctor(ADELI, card);
    // Without the alias nobody knows who that is.
    assert_eq!(asked(&generation, &[], &old(Some(LOST))), Ok(DirectoryNote::Absent));
    let registries = [&registry];
    assert_eq!(asked(&generation, &registries, &old(Some(LOST))), Err(RefusalId::CardOpposed));
    assert_eq!(asked(&generation, &registries, &old(Some(NEW))), Ok(DirectoryNote::Active));
    assert_eq!(asked(&generation, &registries, &old(None)), Ok(DirectoryNote::OppositionUncertain));
    // Known by both names at once: the card that was listed under the old one counts for the new one.
    assert_eq!(registry.names_of(&id(RPPS)).count(), 2);
}

#[test]
fn a_staff_card_can_be_opposed_too() {
    let generation = directory(&[(LOST, false, true)]);
    let staff = |card: Option<&str>| {
        Identity::Staff(Staff {
            id: id(RPPS),
            structure: None,
            family: None,
            given: None,
            organisation: None,
            title: None,
            card: card.map(number),
        })
    };
    assert_eq!(asked(&generation, &[], &staff(Some(LOST))), Err(RefusalId::CardOpposed));
    assert_eq!(consult(None, &[], &staff(Some(LOST)), NOW).unwrap(), DirectoryNote::NotConsulted);
}
