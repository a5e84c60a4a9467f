//! Asking: exact look-ups, search, registry overlay, and the JSON that scripts read.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod common;

use annuaire::{
    Answer, CardState, Cast, CastCard, CastMailbox, CastPerson, CastStructure, DataFolder, Date, Directory, FileKind,
    GenerateOptions, Generation, MailboxType, MatchKind, Page, Query, Question, Registry, Similar, build, find, lookup,
    search,
};
use common::Ground;
use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};

fn person(id: &str) -> PersonId {
    PersonId::parse(id).unwrap()
}

fn place(id: &str) -> StructureId {
    StructureId::parse(id).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn cast() -> Cast {
    let doctor = |id: &str, family: &str, given: &str, structures: &[&str]| CastPerson {
        id: person(id),
        family: family.into(),
        given: given.into(),
        civility: "MME".into(),
        profession_code: "10".into(),
        profession: "Médecin".into(),
        speciality: Some(("SM04".into(), "Cardiologie et maladies vasculaires".into())),
        structures: structures.iter().map(|id| place(id)).collect(),
    };
    let mailbox = |text: &str, kind, who: Option<&str>, structure: Option<&str>| CastMailbox {
        address: address(text),
        kind,
        person: who.map(person),
        structure: structure.map(place),
        service: String::new(),
    };
    let card = |number: &str, who: &str, to: &str, opposed: Option<&str>| CastCard {
        number: CardNumber::parse(number).unwrap(),
        person: person(who),
        valid_from: day("2024-01-01"),
        valid_to: day(to),
        opposed_on: opposed.map(day),
    };
    let structure = |id: &str, name: &str| CastStructure {
        id: place(id),
        entity_finess: Some("990000009".into()),
        name: name.into(),
        street: "1 rue de l'Hôpital".into(),
        postcode: "99100".into(),
        town: "Saint-Exemple-sur-Seine".into(),
    };
    Cast {
        structures: vec![structure("1990000001", "CH EXEMPLE-TEST"), structure("399999999999999", "SSR TEST")],
        people: vec![
            doctor("899700000001", "L’ÉPINAIE-TEST", "Anne-Sophie", &["1990000001", "399999999999999"]),
            doctor("899700000002", "DE LA TOURELLE-TEST", "Bénédicte", &["1990000001"]),
        ],
        mailboxes: vec![
            mailbox(
                "Anne-Sophie.Lepinaie-TEST@ch-exemple.test",
                MailboxType::Personal,
                Some("899700000001"),
                Some("1990000001"),
            ),
            mailbox("lepinaie-test@pro.test", MailboxType::Personal, Some("899700000001"), None),
            mailbox("cardiologie@ch-exemple.test", MailboxType::Organisation, None, Some("1990000001")),
            mailbox("agent@ch-exemple.test", MailboxType::Personal, Some("3990000001/0001"), Some("1990000001")),
        ],
        cards: vec![
            card("8000000001", "899700000001", "2029-01-31", None),
            card("8000000002", "899700000002", "2025-01-31", Some("2024-06-01")),
            card("8000000003", "899700000002", "2025-01-31", None),
            card("8000000004", "899700000099", "2029-01-31", None),
        ],
    }
}

fn generation() -> Generation {
    let ground = Ground::with(&GenerateOptions { cast: cast(), ..GenerateOptions::new(3, 300) });
    build(&ground.extracts()).unwrap().1.unwrap()
}

#[test]
fn admission_finds_everything_by_its_key() {
    let g = generation();
    let anne = g.person(&person("899700000001")).unwrap();
    assert!(anne.active());
    assert_eq!((anne.family(), anne.given(), anne.profession_code()), ("L’ÉPINAIE-TEST", "Anne-Sophie", "10"));
    assert_eq!(anne.activities().count(), 2);
    assert_eq!(anne.activities().next().unwrap().speciality(), "Cardiologie et maladies vasculaires");
    let structures: Vec<_> = anne.activities().filter_map(|a| a.structure()?.id()).collect();
    assert_eq!(structures, [place("1990000001"), place("399999999999999")]);
    assert_eq!(anne.mailboxes().count(), 2);

    let mailbox = g.mailbox(&address("anne-sophie.lepinaie-test@CH-EXEMPLE.test")).unwrap();
    assert_eq!(mailbox.people().map(|p| p.id_text().to_owned()).collect::<Vec<_>>(), ["899700000001"]);
    assert_eq!(mailbox.structures().next().unwrap().id(), Some(place("1990000001")));
    assert_eq!(mailbox.address_text(), "Anne-Sophie.Lepinaie-TEST@ch-exemple.test");
    let service = g.mailbox(&address("cardiologie@ch-exemple.test")).unwrap();
    assert_eq!((service.kind(), service.people().count()), (MailboxType::Organisation, 0));
    assert!(g.mailbox(&address("nobody@ch-exemple.test")).is_none());

    let hospital = g.structure(&place("1990000001")).unwrap();
    assert_eq!(hospital.name(), "CH EXEMPLE-TEST");
    assert!(hospital.answers_to(&place("1990000009")) && !hospital.answers_to(&place("1990000002")));
    assert_eq!(hospital.activities().count(), 2);
    assert_eq!(hospital.mailboxes().count(), 3);
    assert_eq!(g.sites_of_entity("990000009").count(), 2);
    assert_eq!(g.structure(&place("399999999999999")).unwrap().siret(), "99999999999999");
    assert_eq!(g.structure_by_technical_id("F990000001").unwrap().id(), Some(place("1990000001")));
}

#[test]
fn who_is_active_and_which_card_is_good() {
    let g = generation();
    // Staff exist by their mailbox, a stranger's card makes nobody active.
    assert!(g.person(&person("3990000001/0001")).unwrap().active());
    assert!(!g.person(&person("899700000099")).unwrap().active());
    let state = |number: &str, at: &str| {
        let cards = g.cards(&CardNumber::parse(number).unwrap());
        assert_eq!(cards.len(), 1);
        cards[0].state(Timestamp::parse(at).unwrap())
    };
    assert_eq!(state("8000000001", "2026-11-02T10:00:00Z"), CardState::Good);
    assert_eq!(state("8000000001", "2029-01-31T23:59:59Z"), CardState::Good);
    assert_eq!(state("8000000001", "2029-02-01T00:00:00Z"), CardState::Expired);
    assert_eq!(state("8000000001", "2023-12-31T00:00:00Z"), CardState::NotYetValid);
    assert_eq!(state("8000000002", "2024-07-01T00:00:00Z"), CardState::Opposed);
    assert_eq!(state("8000000003", "2026-07-01T00:00:00Z"), CardState::Expired);
    assert!(g.cards(&CardNumber::parse("1").unwrap()).is_empty());
}

#[test]
fn every_row_of_the_extracts_is_found_again() {
    let ground = Ground::new();
    let g = build(&ground.extracts()).unwrap().1.unwrap();
    for made in &ground.made.people {
        let found = g.person(&made.id).unwrap();
        assert_eq!((found.family(), found.given()), (made.family.as_str(), made.given.as_str()));
        assert_eq!(found.cards().count(), made.cards.len());
        let mut addresses: Vec<String> = found.mailboxes().map(|mailbox| mailbox.key().to_owned()).collect();
        let mut expected: Vec<String> = made.mailboxes.iter().map(Address::key).collect();
        addresses.sort();
        expected.sort();
        assert_eq!(addresses, expected);
        for card in &made.cards {
            assert_eq!(g.cards(card)[0].person().id(), Some(made.id.clone()));
        }
    }
    for (_, row) in ground.text(FileKind::Mailboxes).lines().enumerate().skip(1) {
        let text = row.split('|').nth(1).unwrap();
        assert_eq!(g.mailbox(&address(text)).unwrap().address_text(), text);
    }
    // No dangling reference.
    for structure in g.structures() {
        assert!(!structure.key().is_empty());
        structure.activities().for_each(|activity| assert_eq!(activity.structure().unwrap().key(), structure.key()));
    }
    assert!(g.people().all(|p| p.activities().all(|a| a.person().id_text() == p.id_text())));
}

#[test]
fn identifiers_are_looked_up_in_every_form() {
    let g = generation();
    let ids = |text: &str| {
        let found = lookup(&g, None, &Query::Id(text.to_owned()));
        let people = found.answer.people.into_iter().map(|p| p.id);
        let places = found.answer.structures.into_iter().filter_map(|s| s.id);
        (found.found, people.chain(places).collect::<Vec<_>>().join(","))
    };
    for (text, expected) in [
        ("899700000001", "899700000001"),
        ("99700000001", "899700000001"),
        ("99 700 000 001", "899700000001"),
        ("3990000001/0001", "3990000001/0001"),
        ("990000001/0001", "3990000001/0001"),
        ("1990000001", "1990000001"),
        ("990000001", "1990000001"),
        ("990 000 001", "1990000001"),
        ("99999999999999", "399999999999999"),
        ("F990000001", "1990000001"),
        ("8000000001", "899700000001"),
    ] {
        assert_eq!(ids(text), (true, expected.to_owned()), "{text}");
    }
    assert_eq!(lookup(&g, None, &Query::Id("990000009".into())).answer.structures.len(), 2);
    assert_eq!(ids("12345678901"), (false, String::new()));
    assert_eq!(ids("nonsense é"), (false, String::new()));
}

fn people(answer: &Answer) -> Vec<&str> {
    answer.people.iter().map(|p| p.id.as_str()).collect()
}

#[test]
fn words_are_found_in_any_order_with_or_without_accents() {
    let g = generation();
    for (text, kind) in [
        ("l'épinaie anne-sophie", MatchKind::Exact),
        ("Anne Sophie L’Epinaie", MatchKind::Exact),
        ("dr lepinaie", MatchKind::Exact),
        ("LEPINAIE annesophie", MatchKind::Exact),
        ("epina anne", MatchKind::Prefix),
        ("cardio lepinaie", MatchKind::Prefix),
        ("lepinaie saint exemple seine", MatchKind::Exact),
        ("lepinaie 99100", MatchKind::Exact),
        ("lepinaie hopital", MatchKind::Exact),
        ("lepinaie exemple", MatchKind::Exact),
        ("899700000001", MatchKind::Exact),
        ("99700000001", MatchKind::Exact),
        ("99 700 000 001", MatchKind::Exact),
        ("anne-sophie.lepinaie-test@ch-exemple.test", MatchKind::Exact),
        ("Anne-Sophie.Lepinaie-test@ch", MatchKind::Prefix),
    ] {
        let answer = search(&g, None, text, 10);
        assert_eq!(people(&answer), ["899700000001"], "{text}");
        assert_eq!(answer.people[0].r#match, kind, "{text}");
    }
    for text in ["de la tourelle benedicte", "tourelle bénédicte 99100", "delatourelle ben exemple", "la tourel exempl"]
    {
        assert_eq!(people(&search(&g, None, text, 10)), ["899700000002"], "{text}");
    }
    for text in ["", "   ", "'", "lepinaie nowhere", "zzzz"] {
        let answer = search(&g, None, text, 10);
        assert!(answer.people.is_empty() && answer.structures.is_empty(), "{text}");
        assert_eq!(answer.generation, g.id());
    }
}

#[test]
fn what_is_left_out_is_forgiven_before_what_is_misspelt() {
    let g = generation();
    let found = |text: &str, similar| {
        let question = Question { similar, ..Question::text(text) };
        let found = find(&g, None, &question, Page::first(10), Page::first(10));
        found.answer.people.iter().map(|it| (it.id.clone(), it.r#match)).collect::<Vec<_>>()
    };
    let her = |kind| vec![("899700000002".to_owned(), kind)];
    // A particle that is none of hers, then a letter too many.
    for (text, never, loosely, if_none) in [
        ("tourelle benedicte", her(MatchKind::Exact), her(MatchKind::Exact), her(MatchKind::Exact)),
        ("du tourelle benedicte", vec![], her(MatchKind::Exact), her(MatchKind::Exact)),
        ("tourexlle benedicte", vec![], vec![], her(MatchKind::Fuzzy)),
    ] {
        assert_eq!(found(text, Similar::Never), never, "{text}");
        assert_eq!(found(text, Similar::Loosely), loosely, "{text}");
        assert_eq!(found(text, Similar::IfNone), if_none, "{text}");
    }
}

#[test]
fn structures_answer_by_name_and_number() {
    let g = generation();
    for text in ["ch exemple test", "990000001", "1990000001", "exemple 99100 cardiologie"] {
        let answer = search(&g, None, text, 10);
        assert_eq!(answer.structures.first().and_then(|s| s.id.as_deref()), Some("1990000001"), "{text}");
    }
    let answer = search(&g, None, "99999999999999", 10);
    assert_eq!(answer.structures[0].id.as_deref(), Some("399999999999999"));
    let all = search(&g, None, "test", 5);
    assert_eq!((all.people.len(), all.structures.len()), (5, 5));
}

#[test]
fn a_structure_is_found_by_the_addresses_that_it_shows() {
    let g = generation();
    let found = |registry: Option<&Registry>, text: &str| {
        let answer = search(&g, registry, text, 10);
        let places = answer.structures.iter().filter_map(|s| s.id.clone()).collect::<Vec<_>>();
        (people(&answer).iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), places)
    };
    let one = |id: &str| vec![id.to_owned()];
    assert_eq!(found(None, "cardiologie@ch-exemple.test"), (vec![], one("1990000001")));
    assert_eq!(found(None, "anne-sophie.lepinaie-test@"), (one("899700000001"), vec![]));
    let registry = Registry::parse(
        "[[mailbox]]\naddress = \"neuve@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\nstructure = \"1990000001\"\n\
         [[mailbox]]\naddress = \"neuve-urgences@ch-exemple.test\"\ntype = \"ORG\"\nstructure = \"1990000001\"\n",
    )
    .unwrap();
    assert_eq!(found(Some(&registry), "neuve@ch-exemple.test"), (one("899700000002"), vec![]));
    assert_eq!(found(Some(&registry), "neuve-urgences@ch-exemple.test"), (vec![], one("1990000001")));
}

/// All words that lead to a person, found the slow way.
fn words_about(p: &annuaire::Person<'_>) -> Vec<String> {
    let joined = |name: &str| annuaire::words(name).concat();
    let mut all = vec![p.family().to_owned(), p.given().to_owned(), p.profession().to_owned()];
    all.extend([joined(p.family()), joined(p.given())]);
    all.extend(p.skills().map(str::to_owned));
    for s in p.activities().filter_map(|activity| activity.structure()) {
        let texts = [s.name(), s.street(), s.postcode(), s.town(), s.department(), s.department_code()];
        all.extend(texts.map(str::to_owned));
        all.push(joined(s.name()));
        let shared = s.mailboxes().filter(|mailbox| mailbox.people().next().is_none());
        all.extend(shared.map(|mailbox| format!("{} {}", mailbox.service(), mailbox.key())));
    }
    all.extend(p.activities().map(|activity| activity.speciality().to_owned()));
    all.extend(p.mailboxes().map(|mailbox| mailbox.key().to_owned()));
    all.iter().flat_map(|text| annuaire::words(text)).collect()
}

#[test]
fn search_agrees_with_a_plain_scan() {
    let g = generation();
    for text in
        ["martin", "jean", "cardio", "lyon", "med par", "infirmier rue", "marie medecin", "toul", "a e", "republique"]
    {
        let wanted = annuaire::words(text);
        let fits = |p: &annuaire::Person<'_>| {
            let have = words_about(p);
            wanted.iter().all(|w| have.iter().any(|h| h.starts_with(w.as_str())))
        };
        let expected: Vec<String> = g.people().filter(fits).map(|p| p.id_text().to_owned()).collect();
        let mut found: Vec<String> = search(&g, None, text, 1000).people.into_iter().map(|p| p.id).collect();
        found.sort();
        assert_eq!(found, expected, "{text}");
        assert!(!expected.is_empty(), "{text}");
    }
}

const REGISTRY: &str = r#"
[[mailbox]]
address = "lepinaie-test@pro.test"
type = "PER"
owner = "899700000001"
rank = 1

[[mailbox]]
address = "anne-sophie.lepinaie-test@ch-exemple.test"
type = "PER"
owner = "0012800736"
red_list = true

[[mailbox]]
address = "nouvelle@ch-exemple.test"
type = "PER"
owner = "899700000001"

[[alias]]
old = "0012800736"
current = "899700000001"
"#;

#[test]
fn the_registry_adds_ranks_hides_and_follows_aliases() {
    let g = generation();
    let registry = Registry::parse(REGISTRY).unwrap();
    let shown = |registry| -> Vec<String> {
        let answer = search(&g, registry, "lepinaie anne", 10);
        answer.people[0].mailboxes.iter().map(|m| format!("{} {:?}", m.address, m.rank)).collect()
    };
    let plain = shown(None);
    assert_eq!(plain, ["Anne-Sophie.Lepinaie-TEST@ch-exemple.test None", "lepinaie-test@pro.test None"]);
    assert_eq!(shown(Some(&registry)), ["lepinaie-test@pro.test Some(1)", "nouvelle@ch-exemple.test None"]);
    let red = search(&g, Some(&registry), "anne-sophie.lepinaie-test@ch-exemple.test", 10);
    assert!(red.people.is_empty());
    let own = lookup(&g, Some(&registry), &Query::Address(address("nouvelle@ch-exemple.test")));
    assert!(own.found && own.answer.people[0].id == "899700000001");
    let old = lookup(&g, Some(&registry), &Query::Id("0012800736".into()));
    assert_eq!(people(&old.answer), ["899700000001"]);
    assert!(!lookup(&g, None, &Query::Id("0012800736".into())).found);
}

#[test]
fn json_has_the_shapes_of_the_command_line() {
    let ground = Ground::with(&GenerateOptions { cast: cast(), ..GenerateOptions::new(3, 50) });
    let report = serde_json::to_value(ground.load()).unwrap();
    for key in ["files", "problems", "generation", "data_as_of", "held", "refused"] {
        assert!(report.get(key).is_some(), "{key}");
    }
    let file = &report["files"][0];
    assert_eq!(file["name"], FileKind::Activities.file_name());
    assert!(["rows", "kept", "merged", "refused"].iter().all(|key| file[key].is_u64()));
    assert!(report["data_as_of"].as_str().unwrap().ends_with('Z'));
    let g = DataFolder::new(&ground.data()).current().unwrap();
    let found = serde_json::to_value(lookup(&g, None, &Query::Id("99700000002".into()))).unwrap();
    assert_eq!(found["found"], true);
    assert_eq!(found["generation"], g.id());
    let who = &found["people"][0];
    assert_eq!((&who["id"], &who["match"], &who["active"]), (&"899700000002".into(), &"exact".into(), &true.into()));
    assert_eq!(who["activities"][0]["town"], "Saint-Exemple-sur-Seine");
    assert_eq!(who["activities"][0]["structure"], "CH EXEMPLE-TEST");
    let card = &who["cards"][0];
    assert_eq!(
        (&card["number"], &card["valid_to"], &card["opposed"]),
        (&"8000000002".into(), &"2025-01-31".into(), &true.into())
    );
    let found =
        serde_json::to_value(lookup(&g, None, &Query::Address(address("cardiologie@ch-exemple.test")))).unwrap();
    assert_eq!(found["mailbox"]["type"], "ORG");
    assert_eq!(found["structures"][0]["id"], "1990000001");
    let nobody = serde_json::to_value(lookup(&g, None, &Query::Id("1".into()))).unwrap();
    assert_eq!((&nobody["found"], nobody["people"].as_array().map(Vec::len)), (&false.into(), Some(0)));
}

#[test]
fn a_new_generation_is_swapped_in_while_the_old_one_is_in_use() {
    let directory = Directory::empty();
    assert!(directory.current().is_none());
    let first = std::sync::Arc::new(generation());
    directory.swap(first.clone());
    let held = directory.current().unwrap();
    let other = Ground::with(&GenerateOptions::new(9, 20));
    let second = std::sync::Arc::new(build(&other.extracts()).unwrap().1.unwrap());
    assert_eq!(directory.swap(second.clone()).unwrap().id(), first.id());
    assert!(held.person(&person("899700000001")).is_some());
    assert_eq!(directory.current().unwrap().id(), second.id());
}

#[test]
fn no_question_makes_it_panic() {
    use proptest::prelude::*;
    let g = generation();
    proptest!(ProptestConfig::with_cases(128), |(text in "(\\PC|[0-9]{1,15}|[a-e ]|@|/){0,40}")| {
        prop_assert!(search(&g, None, &text, 3).people.len() <= 3);
        let found = lookup(&g, None, &Query::Id(text.clone()));
        prop_assert_eq!(found.found, !(found.answer.people.is_empty() && found.answer.structures.is_empty()));
        if let Ok(address) = Address::parse(&text) {
            lookup(&g, None, &Query::Address(address));
        }
    });
}
