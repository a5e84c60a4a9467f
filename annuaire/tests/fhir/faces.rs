//! The same question gives the same people, in the same order, by FHIR, on the page and at the command line.

use annuaire::{How, MatchKind, face::Face as _, web::Web};
use http::Request;

use crate::{
    common::questions::{Asked, Place, Questions},
    equal::{size, spelt},
    world::{OURS, World, post, read},
};

/// What one face shows: people in order, and whether each is a near miss.
type People = Vec<(String, bool)>;

fn by_fhir(world: &World, asked: &Asked) -> People {
    let body = format!("{}&_count=500&_elements=identifier&_total=none", spelt(asked));
    let (status, bundle) = read(&world.ask(&post("/Practitioner/_search", &body)));
    assert_eq!(status, 200, "{asked:?}: {bundle:#}");
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
    let one = |entry: &serde_json::Value| {
        let id = entry["resource"]["identifier"][0]["value"].as_str().unwrap().to_owned();
        (id, entry["search"]["score"].as_f64().unwrap() < 0.9)
    };
    matches.map(one).collect()
}

/// The question as the page's form sends it; `None` where the form has no such field.
fn form(asked: &Asked) -> Option<String> {
    let plain = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    match asked {
        Asked::Typed(text) => Some(format!("q={}", plain(text))),
        Asked::Number(text) => Some(format!("id={}", plain(text))),
        Asked::Address(text) => text.find('@').filter(|at| *at > 0).map(|_| format!("mail={}", plain(text))),
        Asked::Fields(all) => {
            let mut pairs = Vec::new();
            let mut seen = Vec::new();
            for word in all {
                let name = match word.place {
                    Place::Family => "family",
                    Place::Given => "given",
                    Place::Town => "town",
                    Place::Postcode => "postcode",
                    Place::Structure => "structure",
                    Place::Street => "street",
                    Place::Name => return None,
                };
                if word.how != How::Prefix || seen.contains(&name) || word.text.chars().count() > 100 {
                    return None;
                }
                seen.push(name);
                pairs.push(format!("{name}={}", plain(&word.text)));
            }
            Some(pairs.join("&"))
        }
    }
}

fn by_page(world: &World, form: &str) -> People {
    let mut people = Vec::new();
    for page in 1..=25 {
        let request = Request::get(format!("/results?{form}&p={page}")).body(Vec::new()).unwrap();
        let response = world.context(|context| Web.answer(&request, context));
        let text = String::from_utf8(response.into_body()).unwrap();
        let own = text.split("<li class=\"person").skip(1).filter(|part| !part.starts_with(" structure"));
        people.extend(own.map(|part| {
            let (_, rest) = part.split_once("/person/").unwrap();
            let id = rest.split(['"', '?']).next().unwrap().replace("%2F", "/");
            let (_, fits) = part.split_once("<span class=\"fits ").unwrap();
            (id, fits.starts_with("fuzzy") || fits.starts_with("phonetic"))
        }));
        if !text.contains("rel=\"next\"") {
            break;
        }
    }
    people
}

/// What `sceau annuaire search` prints.
fn by_command(world: &World, text: &str) -> (People, bool) {
    let answer = annuaire::search(&world.current, world.registry.as_ref(), text, 500);
    let near = |kind: MatchKind| kind > MatchKind::Prefix;
    let typed_place = answer.structures.iter().any(|place| !near(place.r#match));
    (answer.people.into_iter().map(|person| (person.id, near(person.r#match))).collect(), typed_place)
}

#[test]
fn fhir_the_page_and_the_command_line_give_the_same_people() {
    let (count, people) = size();
    let world = World::ours(people);
    let (mut by_form, mut typed, mut answered) = (0, 0, 0);
    for (n, asked) in Questions::new(&world.current, 6_112_026).and(OURS).take(count).enumerate() {
        let fhir = by_fhir(&world, &asked);
        answered += usize::from(!fhir.is_empty());
        let mut expected = fhir;
        if let Asked::Typed(text) = &asked {
            let (own, typed_place) = by_command(&world, text);
            // Near misses of people are left out beside a structure that was meant: FHIR asks for people alone.
            if typed_place && expected.iter().all(|(_, near)| *near) {
                expected.clear();
            }
            assert_eq!(own, expected, "question {n}, command line: {asked:?}");
            typed += 1;
        }
        let Some(form) = form(&asked) else { continue };
        let mut page = by_page(&world, &form);
        // The form offers near misses where a field that is asked for by name has none.
        if expected.is_empty() && !matches!(asked, Asked::Typed(_)) {
            page.retain(|(_, near)| !near);
        }
        assert_eq!(page, expected, "question {n}, page: {asked:?} as {form}");
        by_form += 1;
    }
    println!("{count} questions: {by_form} by the page, {typed} by the command line, {answered} about somebody");
    assert!(
        answered * 2 > count && by_form * 2 > count && typed * 5 > count,
        "{answered} {by_form} {typed} of {count}"
    );
}
