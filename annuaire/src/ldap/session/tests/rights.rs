//! Who may ask what, what is said before TLS, and who gives up.

use super::*;

/// What asks about the server is answered to everybody, so it costs nothing: no filter makes it dear.
#[test]
fn questions_about_the_server_are_cheap_or_count() {
    let asked = |base: &str, filter: &str| {
        let mut session = session();
        session.receive(&search_octets(1, base, 0, &encode(filter), &[]));
        let Some(Work::Search(search)) = session.poll() else { panic!() };
        (search.is_about_the_server(), search.is_exact(), search)
    };
    for base in ["", "cn=Subschema"] {
        for cheap in ["(objectClass=*)", "(objectClass=top)", "(attributeTypes=*)"] {
            let (about, exact, search) = asked(base, cheap);
            assert!(about && exact, "{base} {cheap}");
            assert_eq!(search.run(world(), &|| false).ending.code, Code::Success);
        }
        let part = format!("(attributeTypes~=syntax{})", " syntax".repeat(7));
        let dear = format!("(|{})", part.repeat(4));
        let (about, exact, search) = asked(base, &dear);
        assert!(!about && !exact);
        let over = search.run(world(), &|| true);
        assert_eq!((over.ending.code, over.entries), (Code::TimeLimitExceeded, 0));
        // Within one entry, too: each part of the filter asks.
        let calls = std::cell::Cell::new(0);
        search.run(world(), &|| {
            calls.set(calls.get() + 1);
            calls.get() > 2
        });
        assert!(calls.get() >= 3, "{}", calls.get());
    }
    let (_, exact, _) = asked(BASE, "(|(cn~=martin)(cn=*))");
    assert!(!exact);
    let (_, exact, _) = asked(BASE, &format!("(|{})", "(mail=a@b.test)".repeat(9)));
    assert!(!exact);
    for (number, cheap) in [("899700000001", true), ("99700000001", true), ("1990000001", false), ("990000001", false)]
    {
        for attribute in ["uid", "employeeNumber"] {
            let (_, exact, _) = asked(BASE, &format!("({attribute}={number})"));
            assert_eq!(exact, cheap, "{attribute} {number}");
        }
    }
    let too_many = format!("(attributeTypes~=syntax{})", " syntax".repeat(140));
    let refused = exchange(&mut session(), &search_octets(1, "cn=Subschema", 0, &encode(&too_many), &[]));
    assert_ne!(refused.last().unwrap().code(), 0);
}

#[test]
fn who_may_ask_what() {
    let search = search_octets(2, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]);
    let mut closed = settings();
    closed.anonymous = None;
    let closed = Arc::new(closed);
    let mut session = Session::new(Arc::clone(&closed), true);
    assert_eq!(exchange(&mut session, &bind(1, "", b""))[0].code(), Code::InappropriateAuthentication as u32);
    let refused = exchange(&mut session, &search);
    assert_eq!(refused[0].code(), Code::StrongerAuthRequired as u32);
    assert!(refused[0].text().contains("aide@ch-exemple.test"));
    assert_eq!(exchange(&mut session, &bind(1, "app", b"wrong"))[0].code(), Code::InvalidCredentials as u32);
    assert_eq!(exchange(&mut session, &search)[0].code(), Code::StrongerAuthRequired as u32);
    assert_eq!(exchange(&mut session, &bind(1, "app", b"right"))[0].code(), 0);
    assert_eq!(exchange(&mut session, &search).len(), 4);
    assert_eq!(session.who(), Some("app"));
    // A bind that fails leaves nobody behind (RFC 4513 §4).
    assert_eq!(exchange(&mut session, &bind(1, "app", b""))[0].code(), Code::UnwillingToPerform as u32);
    assert_eq!(exchange(&mut session, &search)[0].code(), Code::StrongerAuthRequired as u32);
    assert_eq!(exchange(&mut session, &external(5))[0].code(), 0);
    let who = exchange(&mut session, &extended(6, WHO_AM_I, None));
    assert!(who[0].content.ends_with(b"u:899700000001"));
}

#[test]
fn nothing_of_value_is_said_before_tls() {
    let mut session = Session::new(Arc::new(settings()), false);
    let search = search_octets(2, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]);
    for octets in [search.clone(), bind(1, "app", b"right"), external(1)] {
        assert_eq!(exchange(&mut session, &octets)[0].code(), Code::ConfidentialityRequired as u32);
    }
    assert_eq!(exchange(&mut session, &extended(3, START_TLS, None))[0].code(), 0);
    assert_eq!(exchange(&mut session, &search).len(), 4);
    assert_eq!(exchange(&mut session, &extended(3, START_TLS, None))[0].code(), Code::UnwillingToPerform as u32);
}

/// What is slipped in behind StartTLS ends the session (as CVE-2011-0411 for SMTP).
#[test]
fn words_behind_starttls_are_not_heard() {
    let mut octets = extended(3, START_TLS, None);
    octets.extend(search_octets(4, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]));
    let mut session = Session::new(Arc::new(settings()), false);
    let found = exchange(&mut session, &octets);
    assert_eq!(session.closed(), Some(Closed::Protocol));
    assert!(found.iter().all(|a| a.id == 0), "{found:?}");
}

/// LD9: an abandoned search is not answered; a cancelled one is, in one word.
#[test]
fn who_gives_up_is_not_answered() {
    let mut session = session();
    session.receive(&search_octets(7, BASE, 2, &encode("(cn=*epinaie*)"), &[]));
    let Some(Work::Search(search)) = session.poll() else { panic!() };
    session.receive(&plain(8, operation::ABANDON, &[7]));
    let found = search.run(world(), &|| false);
    session.found(found);
    assert!(session.take_output().is_empty() && session.is_forsaken());
    // One that waits.
    session.receive(&search_octets(9, BASE, 2, &encode("(cn=*epinaie*)"), &[]));
    session.receive(&plain(10, operation::ABANDON, &[9]));
    assert!(session.poll().is_none());
    // Cancelled while under way.
    session.receive(&search_octets(11, BASE, 2, &encode("(cn=*epinaie*)"), &[]));
    assert!(!session.is_forsaken());
    let Some(Work::Search(search)) = session.poll() else { panic!() };
    let mut value = Writer::new();
    value.constructed(tag::SEQUENCE, |inside| inside.number(tag::INTEGER, 11));
    let value = value.into_octets();
    session.receive(&extended(12, CANCEL, Some(&value)));
    session.found(search.run(world(), &|| false));
    let told = answers(&session.take_output());
    assert_eq!(told.iter().map(|a| (a.id, a.code())).collect::<Vec<_>>(), [(11, 118), (12, 0)]);
    assert_eq!(exchange(&mut session, &extended(13, CANCEL, Some(&value)))[0].code(), Code::NoSuchOperation as u32);
    exchange(&mut session, &plain(14, operation::UNBIND, b""));
    assert_eq!(session.closed(), Some(Closed::Unbound));
}

#[test]
fn what_we_do_not_do_is_refused_by_its_own_answer() {
    let mut session = session();
    for (operation, answer) in [(0x66, 0x67), (0x68, 0x69), (0x6c, 0x6d), (0x4a, 0x6b)] {
        let found = exchange(&mut session, &plain(4, operation, b""));
        assert_eq!((found[0].operation, found[0].code()), (answer, Code::UnwillingToPerform as u32));
    }
    assert_eq!(exchange(&mut session, &extended(5, "1.2.3", None))[0].code(), Code::ProtocolError as u32);
    let control = |critical: bool| {
        search_with(1, BASE, 0, 0, &encode("(objectClass=*)"), &[], |out| {
            out.constructed(tag::CONTEXT_0, |list| {
                list.constructed(tag::SEQUENCE, |control| {
                    control.put(tag::OCTETS, b"1.2.840.113556.1.4.473");
                    control.boolean(critical);
                });
            });
        })
    };
    let refused = exchange(&mut session, &control(true));
    assert_eq!((refused.len(), refused[0].code()), (1, Code::UnavailableCriticalExtension as u32));
    assert_eq!(exchange(&mut session, &control(false)).len(), 2);
    // `***` typed by somebody.
    let mut empty = Writer::new();
    empty.constructed(0xa4, |inside| {
        inside.put(tag::OCTETS, b"cn");
        inside.put(tag::SEQUENCE, b"");
    });
    let found = exchange(&mut session, &search_octets(6, BASE, 2, &empty.into_octets(), &[]));
    assert_eq!((found[0].id, found[0].code()), (6, Code::ProtocolError as u32));
    assert_eq!(session.closed(), None, "the next question is answered");
}
