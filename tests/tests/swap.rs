//! Generations of the directory change while everybody asks and mail flows: nobody is refused, nobody waits in vain, and
//! what is told afterwards is of the new one. The same at the size of a nation, with its figures:
//! `tests/bench/annuaire --swap`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::collections::BTreeSet;

use annuaire::{DataFolder, fold, words};
use sceau::demo::cast::Place::{A, B};
use tests::asking::{
    days,
    http::Http,
    place::Doors,
    visitors::{Crowd, Known, Visitor},
};
use tests::gateway::sceau_json;
use tests::world::{World, hand_over, letter};

/// Generations put in service by hand, after the first.
const TURNS: usize = 4;

fn known(data: &DataFolder) -> Vec<Known> {
    let generation = data.current().unwrap();
    let first = |text: &str| words(text).into_iter().next().unwrap_or_default();
    let of = |person: annuaire::Person<'_>| {
        let town = person.activities().filter_map(|it| it.structure()).map(|it| first(it.town())).next()?;
        let (name, mailbox) = (fold(&first(person.family())), person.mailboxes().next()?.address()?);
        let known = Known { id: person.id_text().to_owned(), name, town, mailbox: mailbox.key() };
        (person.active() && !known.town.is_empty()).then_some(known)
    };
    generation.people().filter_map(of).collect()
}

#[test]
fn nobody_notices_that_the_generation_changes() {
    let world = World::new();
    let folder = world.folder().join("annuaire-data");
    let data = DataFolder::new(&folder);
    let known = known(&data);
    assert!(known.len() > 5, "{known:?}");
    let tomorrow = world.folder().join("tomorrow");
    // One row: more would be held.
    assert_eq!(days::next(&world.folder().join("annuaire"), &tomorrow, 1000), 1);
    let arrivals = world.folder().join("arrivals");
    std::fs::create_dir(&arrivals).unwrap();
    world.edit(A, "sceau.toml", "[annuaire]\n", "[annuaire]\nfrom = \"../arrivals\"\n");
    let doors = Doors::open(&world, None);
    let store = world.inner_store(B);
    let (a, _b) = (world.serve(A), world.serve(B));
    a.wait_for_line(&["what changed in the directory is known"]);
    let first = data.current_id().unwrap().unwrap();

    // Few a second: the machine may be slow, and this is about errors. The bench does the rest.
    let crowd = Crowd::send(doors, known, 1, 10.0);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let mut own = Http::connect(doors.http);
    let mut in_service = vec![first];
    let folder = folder.to_str().unwrap();
    for turn in 0..=TURNS {
        if turn == 0 {
            // The gateway has them loaded by a process of its own.
            for file in std::fs::read_dir(&tomorrow).unwrap().map(Result::unwrap) {
                std::fs::rename(file.path(), arrivals.join(file.file_name())).unwrap();
            }
            a.wait_for_line(&["extracts read", "unchanged=false"]);
        } else {
            assert_eq!(sceau_json(&["annuaire", "use", folder, "previous"]).0, Some(0));
            a.hang_up();
        }
        let subject = format!("Message {turn}");
        let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, &subject));
        assert_eq!(reply.code, 250, "{}", reply.text());
        a.wait_for_lines(&["configuration, trust list, revocation lists and directory read again"], turn + 1);
        let now = data.current_id().unwrap().unwrap();
        assert_ne!(in_service.last(), Some(&now), "the generation is the same");
        assert_eq!(own.get("/fhir/metadata").unwrap().field("x-directory-generation"), now);
        in_service.push(now);
        a.wait_for_lines(&["what changed in the directory is known"], turn + 2);
    }
    let samples = crowd.home();
    assert_eq!(store.wait_for(TURNS + 1).len(), TURNS + 1, "a message is missing");

    for (visitor, sample) in &samples {
        assert!(sample.outcome.is_ok(), "{}: {:?}", visitor.name(), sample.outcome);
    }
    let visitors: BTreeSet<Visitor> = samples.iter().map(|(visitor, _)| *visitor).collect();
    assert_eq!(visitors.len(), Visitor::ALL.len(), "somebody did not ask at all");
    let told = samples.iter().filter_map(|(_, sample)| sample.outcome.as_ref().ok()?.as_ref());
    for generation in told {
        assert!(in_service.contains(generation), "{generation} was never in service: {in_service:?}");
    }
}
