//! What the index finds, against the definition of a filter; and any octets in any pieces.

use proptest::prelude::*;

use super::*;
use crate::{fold, generation::other_forms};

/// Every entry there is.
fn entries() -> &'static [Entry<'static>] {
    static ENTRIES: OnceLock<Vec<Entry<'static>>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let people = generation().people().filter(|person| person.active());
        let people = people.flat_map(|person| Entry::of_person(world(), BASE, person, MatchKind::Exact));
        let places = generation().structures();
        let places = places.flat_map(|place| Entry::of_structure(world(), BASE, place, MatchKind::Exact, Boxes::All));
        people.chain(places).collect()
    })
}

pub(super) fn brute(filter: &str) -> Vec<String> {
    let node = parse(filter).unwrap();
    let mut names: Vec<String> = entries()
        .iter()
        .filter(|entry| holds(&node, entry, &|| false) == Some(true))
        .map(|entry| entry.name.clone())
        .collect();
    names.sort();
    names
}

fn by_index(filter: &str) -> (Vec<String>, u32) {
    let mut generous = settings();
    generous.anonymous = Some(Rights { entries: 100_000, paged: None });
    let mut session = Session::new(Arc::new(generous), true);
    let found = exchange(&mut session, &search_octets(1, BASE, 2, &encode(filter), &["1.1"]));
    let entry = |a: &&Answered| a.operation == operation::ENTRY && !a.name().starts_with("ou=") && a.name() != BASE;
    let mut names: Vec<String> = found.iter().filter(entry).map(Answered::name).collect();
    names.sort();
    (names, found.last().unwrap().code())
}

/// LD: an address book shows a few of very many: those whose words begin so are the first of them, nobody comes twice, and
/// nobody is missing.
#[test]
fn whose_words_begin_so_come_first_and_all_come_once() {
    let entry = |a: &&Answered| a.operation == operation::ENTRY;
    let begins = |a: &Answered, letters: &str| {
        let values = [a.values("sn"), a.values("givenName")].concat();
        // L'ÉPINAIE goes by LEPINAIE, too.
        let words = |value: &String| {
            let plain = fold(value);
            plain.split(' ').map(str::to_owned).chain(other_forms(value)).collect::<Vec<_>>()
        };
        values.iter().flat_map(words).any(|word| word.starts_with(letters))
    };
    let mut mixed = 0;
    for letters in ["ar", "le", "an", "ma", "ri", "e", "mar", "lin", "tin"] {
        let filter = format!("(|(sn=*{letters}*)(givenName=*{letters}*))");
        let (whole, code) = by_index(&filter);
        assert_eq!((whole.clone(), code), (brute(&filter), 0), "{filter}");
        let ask = |most| {
            let mut session = session();
            exchange(&mut session, &external(1));
            exchange(&mut session, &search_with(2, BASE, 2, most, &encode(&filter), &["sn", "givenName"], |_| {}))
        };
        let all = ask(0);
        let mut names: Vec<String> = all.iter().filter(entry).map(Answered::name).collect();
        let order: Vec<bool> = all.iter().filter(entry).map(|a| begins(a, letters)).collect();
        let first = order.iter().take_while(|begins| **begins).count();
        assert_eq!(first, order.iter().filter(|begins| **begins).count(), "{letters}: {order:?}");
        mixed += usize::from(first > 0 && first < order.len());
        let few: Vec<String> = ask(3).iter().filter(entry).map(Answered::name).collect();
        assert_eq!(few, names.iter().take(3).cloned().collect::<Vec<_>>(), "{letters}");
        names.sort();
        assert_eq!(names, whole, "{letters}");
    }
    assert!(mixed > 3, "{mixed}");
}

/// Pieces of what stands in the entries, as people type it.
fn typed() -> impl Strategy<Value = String> {
    let words: Vec<String> = entries()
        .iter()
        .flat_map(|entry| {
            [
                crate::ldap::schema::Attr::CommonName,
                crate::ldap::schema::Attr::Mail,
                crate::ldap::schema::Attr::Locality,
            ]
            .into_iter()
            .flat_map(|attr| entry.texts(attr))
            .map(|text| text.replace(['(', ')', '*', '\\'], " ").trim().to_owned())
            .collect::<Vec<_>>()
        })
        .filter(|text| text.len() > 3)
        .collect();
    (0..words.len(), 0usize..12, 1usize..14, any::<bool>()).prop_map(move |(at, from, length, lower)| {
        let text: String = words[at].chars().skip(from).take(length).collect();
        let text = if text.trim().is_empty() { words[at].clone() } else { text.trim().to_owned() };
        if lower { text.to_lowercase() } else { text }
    })
}

fn leaf() -> impl Strategy<Value = String> {
    let attributes = [
        "cn",
        "sn",
        "givenName",
        "mail",
        "displayName",
        "o",
        "ou",
        "l",
        "title",
        "description",
        "street",
        "postalAddress",
        "mozillaNickname",
    ];
    let item = (0..attributes.len(), typed(), typed(), 0u8..8).prop_map(move |(at, text, other, kind)| {
        let name = attributes[at];
        match kind {
            0 => format!("({name}={text})"),
            1 => format!("({name}={text}*)"),
            2 | 3 => format!("({name}=*{text}*)"),
            4 => format!("({name}=*{text})"),
            5 => format!("({name}=*{text}*{other}*)"),
            6 => format!("({name}~={text})"),
            _ => format!("({name}=*)"),
        }
    });
    let fixed = [
        "(objectClass=inetOrgPerson)",
        "(objectClass=organization)",
        "(mssMailboxType=PER)",
        "(mssMailboxType=ORG)",
        "(professionCode=10)",
        "(postalCode>=5)",
        "(postalCode<=69)",
        "(structureIdentifier=1990000001)",
        "(uid=899700000001)",
        "(uid=8997*)",
        "(uid=997000*)",
        "(structureIdentifier=19900*)",
        "(mail=*@*)",
        "(telephoneNumber=*1*)",
        "(personState=active)",
    ];
    prop_oneof![4 => item, 1 => (0..fixed.len()).prop_map(move |at| fixed[at].to_owned())]
}

fn question() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|parts| format!("(&{})", parts.concat())),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|parts| format!("(|{})", parts.concat())),
            inner.prop_map(|part| format!("(!{part})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// LD2: the index never proposes less than is true, whatever the filter.
    #[test]
    fn the_index_finds_what_the_definition_finds(filter in question()) {
        let (found, code) = by_index(&filter);
        prop_assert_eq!(&found, &brute(&filter), "{} ended with {}", filter, code);
        // Over a small directory nothing is too much.
        prop_assert_eq!(code, 0, "{}", filter);
    }

    /// A session cut anywhere says the same as one that comes whole.
    #[test]
    fn octets_may_come_in_any_pieces(cuts in proptest::collection::vec(1usize..40, 1..30)) {
        let mut octets = bind(1, "", b"");
        octets.extend(search_octets(2, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]));
        let mut session = session();
        let (mut rest, mut told) = (&octets[..], Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            told.extend(exchange(&mut session, now));
            rest = later;
        }
        prop_assert_eq!(told.len(), 5);
        prop_assert!(!session.is_inside_message());
    }

    #[test]
    fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut session = session();
        exchange(&mut session, &octets);
        let mut framed = vec![0x30, 0x82];
        framed.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
        framed.extend(&octets);
        exchange(&mut self::session(), &framed);
    }
}
