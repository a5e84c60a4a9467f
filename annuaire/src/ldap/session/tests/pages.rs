//! Limits of an answer, and pages that go on behind them.

use super::{index::brute, *};
use crate::ldap::page::Place;

/// LD4: more than allowed is cut, the best are given, and it is said.
#[test]
fn limits_cut_and_say_so() {
    let found = ask("(objectClass=*)", &["1.1"]);
    assert_eq!((found.len(), found.last().unwrap().code()), (101, Code::SizeLimitExceeded as u32));
    assert!(found.iter().any(|entry| entry.operation == operation::ENTRY && entry.name().contains("ou=structures,")));
    let one = search_with(1, BASE, 2, 1, &encode("(sn=*epinaie*)"), &["mail"], |_| {});
    let found = exchange(&mut session(), &one);
    assert_eq!((found.len(), found[0].values("mail")[0].as_str(), found[1].code()), (2, ANNE[0], 4));
    let mut late = session();
    late.receive(&search_octets(1, BASE, 2, &encode("(cn=*)"), &[]));
    let Some(Work::Search(search)) = late.poll() else { panic!() };
    let over = search.run(world(), &|| true);
    assert_eq!((over.ending.code, over.entries <= 3), (Code::TimeLimitExceeded, true));
}

/// LD8: pages go to the end without a repetition, and a token is good for its own search only.
#[test]
fn pages_walk_to_the_end() {
    let mut session = session();
    exchange(&mut session, &external(1));
    let (mut cookie, mut seen, mut rounds) = (Vec::new(), Vec::new(), 0);
    loop {
        let found = exchange(&mut session, &paged(2, 11, &cookie, "(mail=*)"));
        let done = found.last().unwrap();
        assert_eq!(done.code(), 0, "{}", done.text());
        seen.extend(found.iter().filter(|a| a.operation == operation::ENTRY).map(Answered::name));
        cookie = done.cookie();
        rounds += 1;
        if cookie.is_empty() {
            break;
        }
        let other = exchange(&mut session, &paged(3, 11, &cookie, "(mail=a*)"));
        assert_eq!(other[0].code(), Code::UnwillingToPerform as u32, "of another search");
    }
    assert!(rounds > 3, "{rounds}");
    let expected = brute("(mail=*)");
    assert_eq!(seen.len(), expected.len());
    seen.sort();
    assert_eq!(seen, expected);
    assert!(exchange(&mut session, &paged(4, 0, b"", "(mail=*)"))[0].cookie().is_empty(), "size 0 gives up");
}

/// LD8: what an earlier page could not look at is told at the end, where who copies looks.
#[test]
fn the_last_page_says_what_an_earlier_one_left_out() {
    let mut session = session();
    exchange(&mut session, &external(1));
    let first = exchange(&mut session, &paged(2, 11, b"", "(mail=*)"));
    let mut cookie = first.last().unwrap().cookie();
    session.receive(&paged(3, 11, &cookie, "(mail=*)"));
    let Some(Work::Search(search)) = session.poll() else { panic!() };
    let (pages, digest) = (&search.settings.pages, search.asked.digest.as_ref().unwrap());
    let place = pages.open(&cookie, generation().id(), digest, &search.who).unwrap();
    assert!(!place.wide);
    cookie = pages.cookie(Place { wide: true, ..place }, generation().id(), digest, &search.who);
    session.found(search.run(world(), &|| false));
    session.take_output();
    for _ in 0..100 {
        let found = exchange(&mut session, &paged(4, 11, &cookie, "(mail=*)"));
        let done = found.last().unwrap();
        cookie = done.cookie();
        if cookie.is_empty() {
            assert_eq!(done.code(), Code::SizeLimitExceeded as u32, "{}", done.text());
            return;
        }
        assert_eq!(done.code(), 0, "{}", done.text());
    }
    panic!("no end");
}

/// LD8: who copies comes to the end, however many are passed over: a page that took long is short, or empty, and says
/// where to go on.
#[test]
fn pages_go_on_where_looking_took_too_long() {
    for filter in ["(structuralObjectClass=organization)", "(objectClass=*)", "(mail=*)", "(telephoneNumber=*1*)"] {
        let mut session = session();
        exchange(&mut session, &external(1));
        let (mut cookie, mut seen, mut empty) = (Vec::new(), Vec::new(), 0);
        loop {
            session.receive(&paged(2, 11, &cookie, filter));
            let Some(Work::Search(search)) = session.poll() else { panic!() };
            session.found(search.run_looking(world(), &|| false, 5));
            let found = answers(&session.take_output());
            let done = found.last().unwrap();
            assert_eq!(done.code(), 0, "{filter}: {}", done.text());
            let entries = found.iter().filter(|a| a.operation == operation::ENTRY);
            let before = seen.len();
            seen.extend(entries.map(Answered::name));
            empty += usize::from(seen.len() == before);
            cookie = done.cookie();
            if cookie.is_empty() {
                break;
            }
        }
        // Folders are found, too.
        seen.retain(|name| name.contains(",ou="));
        seen.sort();
        assert_eq!(seen, brute(filter), "{filter}");
        assert!(empty > 3 || !filter.contains("organization"), "{empty} empty pages");
        // In one piece it ends there, and says so.
        let mut session = self::session();
        session.receive(&search_octets(2, BASE, 2, &encode("(structuralObjectClass=organization)"), &["1.1"]));
        let Some(Work::Search(search)) = session.poll() else { panic!() };
        assert_eq!(search.run_looking(world(), &|| false, 5).ending.code, Code::SizeLimitExceeded);
    }
}

/// LD13: certificates are long; an answer of five hundred entries is not five hundred times as long.
#[test]
fn an_answer_is_bounded_in_octets_and_pages_go_on_behind_it() {
    struct Heavy;
    impl Certificates for Heavy {
        fn readers(&self, _: &str) -> Vec<Vec<u8>> {
            vec![vec![0x30; 20_000]; 16]
        }
    }
    const ENTRY: usize = 330_000;
    let mut session = session();
    exchange(&mut session, &external(1));
    let mut ask = |octets: &[u8]| {
        session.receive(octets);
        let Some(Work::Search(search)) = session.poll() else { panic!("a search") };
        session.found(search.run(World { certificates: &Heavy, ..world() }, &|| false));
        session.take_output()
    };
    let attribute = "userCertificate;binary";
    let whole = ask(&search_octets(2, BASE, 2, &encode("(mail=*)"), &[attribute]));
    assert!(whole.len() < 2 * (MAX_OCTETS + ENTRY), "{}", whole.len());
    assert_eq!(answers(&whole).last().unwrap().code(), Code::SizeLimitExceeded as u32);
    let (mut cookie, mut seen) = (Vec::new(), Vec::new());
    loop {
        let page = ask(&paged_of(3, 500, &cookie, "(mail=*)", attribute));
        assert!(page.len() < MAX_OCTETS + ENTRY, "{}", page.len());
        let found = answers(&page);
        seen.extend(found.iter().filter(|a| a.operation == operation::ENTRY).map(Answered::name));
        cookie = found.last().unwrap().cookie();
        if cookie.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, brute("(mail=*)"), "nobody twice, nobody left out");
}

/// LD4: who may have fifty may not have them fifty times.
#[test]
fn pages_are_no_way_around_a_limit() {
    let mut session = session();
    assert_eq!(exchange(&mut session, &bind(1, "app", b"right"))[0].code(), 0);
    let first = exchange(&mut session, &paged(2, 30, b"", "(mail=*)"));
    let cookie = first.last().unwrap().cookie();
    assert_eq!((first.len(), cookie.is_empty()), (31, false));
    let second = exchange(&mut session, &paged(3, 30, &cookie, "(mail=*)"));
    let done = second.last().unwrap();
    assert_eq!((second.len(), done.code()), (21, Code::SizeLimitExceeded as u32));
    assert!(done.cookie().is_empty());
}

#[test]
fn a_token_of_pages_from_before_is_told_so() {
    let cookie = settings().pages.cookie(page::Place::default(), "another generation", &[0; 32], "");
    let found = exchange(&mut session(), &paged(2, 10, &cookie, "(mail=*)"));
    assert_eq!(found[0].code(), Code::UnwillingToPerform as u32);
    assert!(found[0].text().contains("start the search again"));
}

/// LD8: a page whose time runs out is short, loses nobody, and says where to go on; one that gets nowhere says so.
#[test]
fn pages_go_on_where_time_ran_out() {
    for filter in ["(mail=*)", "(objectClass=*)", "(&(mail=*)(!(cn=*zz*)))"] {
        let mut session = session();
        exchange(&mut session, &external(1));
        let (mut cookie, mut seen, mut short) = (Vec::new(), Vec::new(), 0);
        loop {
            session.receive(&paged(2, 50, &cookie, filter));
            let Some(Work::Search(search)) = session.poll() else { panic!() };
            let asked = std::cell::Cell::new(0);
            let up = || asked.replace(asked.get() + 1) >= 60;
            session.found(search.run(world(), &up));
            let found = answers(&session.take_output());
            let done = found.last().unwrap();
            seen.extend(found.iter().filter(|a| a.operation == operation::ENTRY).map(Answered::name));
            short += usize::from(found.len() < 51);
            cookie = done.cookie();
            // The last page may itself have had no time left to say that it is the last.
            assert!(done.code() == 0 || cookie.is_empty(), "{filter}: {}", done.text());
            if cookie.is_empty() {
                break;
            }
        }
        seen.retain(|name| name.contains(",ou="));
        seen.sort();
        assert_eq!(seen, brute(filter), "{filter}");
        assert!(short > 3, "{short} short pages");
    }
    let mut session = session();
    exchange(&mut session, &external(1));
    let mut cookie = Vec::new();
    let ends = (0..4).find_map(|_| {
        session.receive(&paged(2, 50, &cookie, "(mail=*)"));
        let Some(Work::Search(search)) = session.poll() else { panic!() };
        session.found(search.run(world(), &|| true));
        let found = answers(&session.take_output());
        cookie = found[0].cookie();
        (found.len() == 1 && cookie.is_empty()).then(|| found[0].code())
    });
    assert_eq!(ends, Some(Code::TimeLimitExceeded as u32), "it would be asked for for ever");
}
