//! The same question gives the same people by FHIR as by the query model, in the same order.

use std::collections::BTreeSet;

use annuaire::{How, Page, Question};

use crate::{
    common::questions::{Asked, Place, Questions},
    world::{OURS, World, matches, post, read},
};

/// So many questions, of so many people besides the cast; more of both in `SCEAU_TESTS_TIER=full`.
pub fn size() -> (usize, u32) {
    if std::env::var("SCEAU_TESTS_TIER").is_ok_and(|tier| tier == "full") { (10_000, 400) } else { (1000, 40) }
}

fn encoded(text: &str) -> String {
    // A comma means "or", a bar cuts a token: what is meant as a letter is escaped.
    let escaped: String =
        text.chars().flat_map(|c| matches!(c, ',' | '|' | '\\' | '$').then_some('\\').into_iter().chain([c])).collect();
    escaped.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The question in FHIR's spelling.
pub fn spelt(asked: &Asked) -> String {
    match asked {
        Asked::Typed(text) => format!("_content={}", encoded(text)),
        Asked::Number(text) => format!("identifier={}", encoded(text)),
        Asked::Address(text) => format!("mailbox-mss={}", encoded(text)),
        Asked::Fields(all) => {
            let name = |place: Place| match place {
                Place::Family => "family",
                Place::Given => "given",
                Place::Name => "name",
                Place::Town => "address-city",
                Place::Postcode => "address-postalcode",
                Place::Structure => "organization-name",
                Place::Street => "address-line",
            };
            let how = |how: How| if how == How::Contains { ":contains" } else { "" };
            let one = |word: &crate::common::questions::Word| {
                format!("{}{}={}", name(word.place), how(word.how), encoded(&word.text))
            };
            all.iter().map(one).collect::<Vec<_>>().join("&")
        }
    }
}

pub fn expected(world: &World, question: &Question) -> Vec<String> {
    let hits = world.current.people_where(world.registry.as_ref(), question, Page::first(500)).hits;
    hits.into_iter().map(|hit| hit.of.id_text().to_owned()).collect()
}

#[test]
fn thousands_of_random_questions_give_the_people_of_the_query_model() {
    let (count, people) = size();
    let world = World::ours(people);
    let mut answered = 0;
    for (n, asked) in Questions::new(&world.current, 20_261_122).and(OURS).take(count).enumerate() {
        let body = format!("{}&_count=500&_elements=identifier&_total=none", spelt(&asked));
        let (status, bundle) = read(&world.ask(&post("/Practitioner/_search", &body)));
        assert_eq!(status, 200, "question {n}: {asked:?}: {bundle:#}");
        let people = matches(&bundle);
        let own: Vec<String> =
            people.iter().map(|one| one["identifier"][0]["value"].as_str().unwrap().to_owned()).collect();
        assert_eq!(own, expected(&world, &asked.question()), "question {n}: {asked:?}");
        answered += usize::from(!own.is_empty());
    }
    assert!(answered * 2 > count, "most questions are about somebody: {answered}");
}

#[test]
fn activities_answer_for_the_people_and_their_own_place() {
    let (count, people) = size();
    let world = World::of(people);
    let fields = Questions::new(&world.current, 7)
        .filter(|asked| matches!(asked, Asked::Fields(all) if all.iter().all(|word| word.how == How::Prefix)));
    let mut several = 0;
    for asked in fields.take(count / 20) {
        let Asked::Fields(all) = &asked else { unreachable!() };
        let spelling = |word: &crate::common::questions::Word| {
            let (chain, name) = match word.place {
                Place::Family => ("practitioner", "family"),
                Place::Given => ("practitioner", "given"),
                Place::Name => ("practitioner", "name"),
                Place::Town => ("organization", "address-city"),
                Place::Postcode => ("organization", "address-postalcode"),
                Place::Structure => ("organization", "name"),
                Place::Street => ("organization", "address-line"),
            };
            format!("{chain}.{name}={}", encoded(&word.text))
        };
        let query = all.iter().map(spelling).collect::<Vec<_>>().join("&");
        let bundle = world.ok(&format!("/PractitionerRole?{query}&_count=500"));
        let people: BTreeSet<String> = expected(&world, &asked.question()).into_iter().collect();
        for role in matches(&bundle) {
            let person = role["practitioner"]["reference"].as_str().unwrap();
            let id = person.strip_prefix("Practitioner/003-").unwrap().replace(".2f", "/").replace(".5f", "_");
            assert!(people.contains(&id), "{asked:?} found {id}");
            several += 1;
            // Asked of its place alone, the structure says yes.
            let place = role["organization"]["reference"].as_str().unwrap_or_default();
            let own = all.iter().filter(|word| spelling(word).starts_with("organization."));
            let own: Vec<String> = own.map(|word| spelling(word).replacen("organization.", "", 1)).collect();
            if !own.is_empty() {
                let id = place.strip_prefix("Organization/").unwrap();
                let found = world.ids(&format!("/Organization?_id={id}&{}", own.join("&")));
                assert_eq!(found, [id], "{asked:?}");
            }
        }
    }
    assert!(several > 20, "{several}");
}
