//! The same question gives the same people over LDAP, of those who practise: an address book shows no others.

use std::{collections::BTreeSet, sync::Arc};

use annuaire::{
    How,
    ldap::{NoCertificates, Pages, Rights, Session, Settings, Work, World as Entries},
    words,
};

use crate::{
    common::questions::{Asked, Place, Questions, Word},
    equal::{expected, size},
    world::{OURS, World},
};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

pub fn piece(attribute: &str, tag: u8, text: &str) -> Vec<u8> {
    element(0xa4, &[element(4, attribute.as_bytes()), element(0x30, &element(tag, text.as_bytes()))].concat())
}

/// Every word of a field, as address books spell it: its start, or its inside.
fn spelt_word(word: &Word) -> Vec<u8> {
    let attribute = match word.place {
        Place::Family => "sn",
        Place::Given => "givenName",
        Place::Name => "cn",
        Place::Town => "l",
        Place::Postcode => "postalCode",
        Place::Structure => "o",
        Place::Street => "street",
    };
    let tag = if word.how == How::Contains { 0x81 } else { 0x80 };
    words(&word.text).iter().flat_map(|text| piece(attribute, tag, text)).collect()
}

/// The question as a filter; `None` where LDAP has no word for it: one field for everything.
pub fn spelt(asked: &Asked) -> Option<Vec<u8>> {
    let equal =
        |name: &str, text: &str| element(0xa3, &[element(4, name.as_bytes()), element(4, text.as_bytes())].concat());
    match asked {
        Asked::Typed(_) => None,
        Asked::Number(text) => Some(element(0xa1, &[equal("uid", text), equal("structureIdentifier", text)].concat())),
        Asked::Address(text) => Some(piece("mail", 0x80, text)),
        Asked::Fields(all) if all.iter().any(|word| words(&word.text).is_empty()) => None,
        Asked::Fields(all) => Some(element(0xa0, &all.iter().flat_map(spelt_word).collect::<Vec<u8>>())),
    }
}

/// The first element: its tag, its content, and what is behind it.
fn split(octets: &[u8]) -> (u8, &[u8], &[u8]) {
    let (tag, first) = (octets[0], usize::from(octets[1]));
    let long = if first < 0x80 { 0 } else { first & 0x7f };
    let length = match long {
        0 => first,
        _ => octets[2..2 + long].iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)),
    };
    let start = 2 + long;
    (tag, &octets[start..start + length], &octets[start + length..])
}

/// The people that a session answers with.
pub fn by_ldap(world: &World, filter: &[u8]) -> BTreeSet<String> {
    let names = names(world, "ou=people,dc=annuaire", filter);
    let ids = names.iter().filter_map(|name| name.strip_prefix("uid="));
    ids.map(|id| id.split(['+', ',']).next().unwrap().to_owned()).collect()
}

/// The names of the entries that a session answers with.
pub fn names(world: &World, base: &str, filter: &[u8]) -> BTreeSet<String> {
    let (names, _) = ask(&mut session(), world, base, filter, &[]);
    names.into_iter().collect()
}

/// The same page by page, in the order in which they come.
pub fn walked(world: &World, base: &str, filter: &[u8], size: u8) -> Vec<String> {
    let (mut session, mut all, mut cookie) = (session(), Vec::new(), Vec::new());
    loop {
        let value = element(0x30, &[&[2, 1, size], &element(4, &cookie)[..]].concat());
        let control = element(0x30, &[element(4, b"1.2.840.113556.1.4.319"), element(4, &value)].concat());
        let (names, next) = ask(&mut session, world, base, filter, &element(0xa0, &control));
        all.extend(names);
        if next.is_empty() {
            return all;
        }
        cookie = next;
    }
}

fn session() -> Session {
    let all = Rights { entries: 100_000, paged: None };
    let settings = Settings {
        base: "dc=annuaire".into(),
        organisation: "CH Exemple (test)".into(),
        help: "aide@ch-exemple.test".into(),
        anonymous: Some(all),
        starttls: false,
        external: false,
        pages: Pages::new([1; 32]),
    };
    Session::new(Arc::new(settings), true)
}

/// The names of the entries that come, and the token of the next page.
fn ask(session: &mut Session, world: &World, base: &str, filter: &[u8], controls: &[u8]) -> (Vec<String>, Vec<u8>) {
    let numbers = [0x0a, 1, 2, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    let attributes = element(0x30, &element(4, b"1.1"));
    let base = element(4, base.as_bytes());
    let search = element(0x63, &[&base[..], &numbers, filter, &attributes].concat());
    session.receive(&element(0x30, &[&[2, 1, 1][..], &search, controls].concat()));
    let Some(Work::Search(search)) = session.poll() else { unreachable!("no search in {filter:02x?}") };
    let entries =
        Entries { generation: &world.current, registry: world.registry.as_ref(), certificates: &NoCertificates };
    session.found(search.run(entries, &|| false));
    let output = session.take_output();
    let (mut rest, mut names) = (&output[..], Vec::new());
    while !rest.is_empty() {
        let (_, message, next) = split(rest);
        let (_, _, after) = split(message);
        let (tag, operation, controls) = split(after);
        if tag == 0x65 {
            assert_eq!((&operation[..3], next), (&[0x0a, 1, 0][..], &[][..]), "{filter:02x?}");
            return (names, if controls.is_empty() { Vec::new() } else { cookie(controls) });
        }
        names.push(String::from_utf8(split(operation).1.to_vec()).unwrap());
        rest = next;
    }
    unreachable!("an answer without an end")
}

/// The token in the control of an answer: the list, the control, its number, its value, the estimate, the token.
fn cookie(controls: &[u8]) -> Vec<u8> {
    let (_, _, value) = split(split(split(controls).1).1);
    let (_, _, token) = split(split(split(value).1).1);
    split(token).1.to_vec()
}

/// Those whom an address book shows.
pub fn practising(world: &World) -> BTreeSet<String> {
    world.current.people().filter(|person| person.active()).map(|person| person.id_text().to_owned()).collect()
}

#[test]
fn ldap_gives_the_people_of_the_query_model() {
    let (count, people) = size();
    let world = World::ours(people);
    let active = practising(&world);
    let (mut spellable, mut answered) = (0, 0);
    for (n, asked) in Questions::new(&world.current, 389_636).and(OURS).take(count).enumerate() {
        let Some(filter) = spelt(&asked) else { continue };
        let model = expected(&world, &asked.question());
        let model: BTreeSet<String> = model.into_iter().filter(|id| active.contains(id)).collect();
        assert_eq!(by_ldap(&world, &filter), model, "question {n}: {asked:?}");
        spellable += 1;
        answered += usize::from(!model.is_empty());
    }
    println!("{count} questions: {spellable} by LDAP, {answered} about somebody");
    assert!(spellable * 3 > count * 2 && answered * 2 > spellable, "{spellable} {answered} of {count}");
}

/// Whoever copies page by page comes to the end, though there are more people than are looked at for one page of whom
/// the question is not true, and nothing in the index tells.
#[test]
fn a_walk_of_pages_reaches_everything() {
    let world = World::of(10_500);
    assert!(world.current.totals().people > 10_000);
    let of_class = |name: &str| {
        let filter = element(0xa3, &[element(4, name.as_bytes()), element(4, b"organization")].concat());
        walked(&world, "dc=annuaire", &filter, 120)
    };
    let all = of_class("objectClass");
    assert!(all.len() > 200, "{}", all.len());
    assert_eq!(of_class("structuralObjectClass"), all);
}
