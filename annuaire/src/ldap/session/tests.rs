//! A session from its first octet to its last, over a small directory; and the index against the definition.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::{
    Cast, CastMailbox, CastPerson, CastStructure, GenerateOptions, Generation, MailboxType, MatchKind, Registry,
    ldap::{
        Certificates, Closed, MAX_MESSAGE, World,
        ber::Writer,
        entry::{Boxes, Entry},
        filter::tests::{encode, parse},
        matching::holds,
        message::tests::{search_octets, search_with},
        page,
        search::MAX_OCTETS,
    },
};

const BASE: &str = "dc=annuaire";

struct Book;

impl Certificates for Book {
    fn readers(&self, address: &str) -> Vec<Vec<u8>> {
        if address.eq_ignore_ascii_case("anne-sophie.lepinaie-test@ch-exemple.test") {
            vec![vec![0x30, 3, 2, 1, 5]]
        } else {
            Vec::new()
        }
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        Registry::parse(
            "[[mailbox]]\naddress = \"secret-test@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\nred_list = true\n\
             [[mailbox]]\naddress = \"ouverte-aujourdhui@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000001\"\nrank = 2\n\
             [[mailbox]]\naddress = \"anne-sophie.lepinaie-test@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000001\"\nrank = 1\n",
        )
        .unwrap()
    })
}

fn generation() -> &'static Generation {
    static GENERATION: OnceLock<Generation> = OnceLock::new();
    GENERATION.get_or_init(|| {
        let person = |id: &str, family: &str, given: &str| CastPerson {
            id: ident::PersonId::parse(id).unwrap(),
            family: family.into(),
            given: given.into(),
            civility: "MME".into(),
            profession_code: "10".into(),
            profession: "Médecin".into(),
            speciality: Some(("SM04".into(), "Cardiologie et maladies vasculaires".into())),
            structures: vec![ident::StructureId::parse("1990000001").unwrap()],
        };
        let mailbox = |text: &str, kind, who: Option<&str>, service: &str| CastMailbox {
            address: ident::Address::parse(text).unwrap(),
            kind,
            person: who.map(|who| ident::PersonId::parse(who).unwrap()),
            structure: ident::StructureId::parse("1990000001").ok(),
            service: service.into(),
        };
        let cast = Cast {
            structures: vec![CastStructure {
                id: ident::StructureId::parse("1990000001").unwrap(),
                entity_finess: None,
                name: "CH EXEMPLE-TEST".into(),
                street: "1 rue de l'Hôpital".into(),
                postcode: "99100".into(),
                town: "Saint-Exemple-sur-Seine".into(),
            }],
            people: vec![
                person("899700000001", "L’ÉPINAIE-TEST", "Anne-Sophie"),
                person("899700000002", "DE LA TOURELLE-TEST", "Bénédicte"),
            ],
            mailboxes: vec![
                mailbox("Anne-Sophie.Lepinaie-TEST@ch-exemple.test", MailboxType::Personal, Some("899700000001"), ""),
                mailbox("lepinaie-test@pro.test", MailboxType::Personal, Some("899700000001"), ""),
                mailbox("secret-test@ch-exemple.test", MailboxType::Personal, Some("899700000002"), ""),
                mailbox("cardiologie@ch-exemple.test", MailboxType::Organisation, None, "Cardiologie"),
                mailbox("urgences@ch-exemple.test", MailboxType::Organisation, None, "Urgences"),
            ],
            cards: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        crate::generate(folder.path(), &GenerateOptions { cast, ..GenerateOptions::new(3, 200) }).unwrap();
        crate::build(folder.path()).unwrap().1.unwrap()
    })
}

fn world() -> World<'static> {
    World { generation: generation(), registry: Some(registry()), certificates: &Book }
}

fn settings() -> Settings {
    Settings {
        base: BASE.into(),
        organisation: "CH Exemple (test)".into(),
        help: "aide@ch-exemple.test".into(),
        anonymous: Some(Rights { entries: 100, paged: Some(100) }),
        starttls: true,
        external: true,
        pages: Pages::new([1; 32]),
    }
}

/// One answer: its number, operation, and its parts.
#[derive(Debug, Clone)]
struct Answered {
    id: u32,
    operation: u8,
    content: Vec<u8>,
    controls: Vec<u8>,
}

impl Answered {
    fn code(&self) -> u32 {
        Reader::new(&self.content).number(tag::ENUMERATED).unwrap()
    }

    fn text(&self) -> String {
        let mut parts = Reader::new(&self.content);
        parts.number(tag::ENUMERATED).unwrap();
        parts.expect(tag::OCTETS).unwrap();
        String::from_utf8(parts.expect(tag::OCTETS).unwrap().to_vec()).unwrap()
    }

    fn name(&self) -> String {
        String::from_utf8(Reader::new(&self.content).expect(tag::OCTETS).unwrap().to_vec()).unwrap()
    }

    /// Attributes with their values.
    fn attributes(&self) -> Vec<(String, Vec<Vec<u8>>)> {
        let mut parts = Reader::new(&self.content);
        parts.expect(tag::OCTETS).unwrap();
        let mut list = Reader::new(parts.expect(tag::SEQUENCE).unwrap());
        let mut out = Vec::new();
        while !list.is_empty() {
            let mut one = Reader::new(list.expect(tag::SEQUENCE).unwrap());
            let name = String::from_utf8(one.expect(tag::OCTETS).unwrap().to_vec()).unwrap();
            let mut set = Reader::new(one.expect(tag::SET).unwrap());
            let mut values = Vec::new();
            while !set.is_empty() {
                values.push(set.expect(tag::OCTETS).unwrap().to_vec());
            }
            out.push((name, values));
        }
        out
    }

    fn values(&self, wanted: &str) -> Vec<String> {
        let found = self.attributes().into_iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, values)| values.into_iter().map(|v| String::from_utf8_lossy(&v).into_owned()).collect())
            .unwrap_or_default()
    }

    fn cookie(&self) -> Vec<u8> {
        let mut list = Reader::new(&self.controls);
        let mut control = Reader::new(list.expect(tag::SEQUENCE).unwrap());
        assert_eq!(control.expect(tag::OCTETS).unwrap(), PAGED.as_bytes());
        let value = control.expect(tag::OCTETS).unwrap();
        let mut value = Reader::new(Reader::new(value).expect(tag::SEQUENCE).unwrap());
        value.number(tag::INTEGER).unwrap();
        value.expect(tag::OCTETS).unwrap().to_vec()
    }
}

fn answers(octets: &[u8]) -> Vec<Answered> {
    let mut all = Reader::new(octets);
    let mut out = Vec::new();
    while !all.is_empty() {
        let mut message = Reader::new(all.expect(tag::SEQUENCE).unwrap());
        let id = message.number(tag::INTEGER).unwrap();
        let (operation, content) = message.element().unwrap();
        let controls = message.optional(tag::CONTEXT_0).unwrap().unwrap_or_default().to_vec();
        out.push(Answered { id, operation, content: content.to_vec(), controls });
    }
    out
}

/// Gives octets and does the work that follows, searches at once.
fn exchange(session: &mut Session, octets: &[u8]) -> Vec<Answered> {
    session.receive(octets);
    while let Some(work) = session.poll() {
        match work {
            Work::Search(search) => session.found(search.run(world(), &|| false)),
            Work::StartTls => session.tls_started(),
            Work::Bind(Bind::External { .. }) => {
                session.bound(Ok(("899700000001".into(), Rights { entries: 1000, paged: None })));
            }
            Work::Bind(Bind::Simple { name, password }) if name == "app" && password.as_slice() == b"right" => {
                session.bound(Ok((name, Rights { entries: 1000, paged: Some(50) })));
            }
            Work::Bind(_) => session.bound(Err(Ending::new(Code::InvalidCredentials, "wrong"))),
        }
    }
    answers(&session.take_output())
}

fn session() -> Session {
    Session::new(Arc::new(settings()), true)
}

fn ask(filter: &str, attributes: &[&str]) -> Vec<Answered> {
    exchange(&mut session(), &search_octets(3, BASE, 2, &encode(filter), attributes))
}

fn mails(filter: &str) -> Vec<String> {
    ask(filter, &["mail"]).iter().filter(|a| a.operation == operation::ENTRY).flat_map(|a| a.values("mail")).collect()
}

fn bind(id: u32, name: &str, password: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    let content = |inside: &mut Writer| {
        inside.number(tag::INTEGER, 3);
        inside.put(tag::OCTETS, name.as_bytes());
        inside.put(0x80, password);
    };
    result::message(&mut out, id, operation::BIND, content, |_| {});
    out.into_octets()
}

fn external(id: u32) -> Vec<u8> {
    let mut out = Writer::new();
    let content = |inside: &mut Writer| {
        inside.number(tag::INTEGER, 3);
        inside.put(tag::OCTETS, b"");
        inside.constructed(0xa3, |sasl| sasl.put(tag::OCTETS, b"EXTERNAL"));
    };
    result::message(&mut out, id, operation::BIND, content, |_| {});
    out.into_octets()
}

fn plain(id: u32, operation: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.constructed(tag::SEQUENCE, |message| {
        message.number(tag::INTEGER, id);
        message.put(operation, content);
    });
    out.into_octets()
}

fn extended(id: u32, oid: &str, value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Writer::new();
    let content = |inside: &mut Writer| {
        inside.put(0x80, oid.as_bytes());
        if let Some(value) = value {
            inside.put(0x81, value);
        }
    };
    result::message(&mut out, id, operation::EXTENDED, content, |_| {});
    out.into_octets()
}

fn paged(id: u32, size: u32, cookie: &[u8], filter: &str) -> Vec<u8> {
    paged_of(id, size, cookie, filter, "mail")
}

fn paged_of(id: u32, size: u32, cookie: &[u8], filter: &str, attribute: &str) -> Vec<u8> {
    search_with(id, BASE, 2, 0, &encode(filter), &[attribute], |out| {
        out.constructed(tag::CONTEXT_0, |list| {
            list.constructed(tag::SEQUENCE, |control| {
                control.put(tag::OCTETS, PAGED.as_bytes());
                control.boolean(true);
                let mut value = Writer::new();
                value.constructed(tag::SEQUENCE, |inside| {
                    inside.number(tag::INTEGER, size);
                    inside.put(tag::OCTETS, cookie);
                });
                control.put(tag::OCTETS, &value.into_octets());
            });
        });
    })
}

const ANNE: [&str; 3] =
    ["Anne-Sophie.Lepinaie-TEST@ch-exemple.test", "ouverte-aujourdhui@ch-exemple.test", "lepinaie-test@pro.test"];

/// LD3, LD5: what address books send finds people by any spelling, one entry for each mailbox, preferred first.
#[test]
fn address_books_find_people_while_they_type() {
    for typed in ["lepinaie", "épinaie", "Lépinaie", "anne-sophie.lepinaie"] {
        let filter = format!("(|(cn=*{typed}*)(mail=*{typed}*)(givenName=*{typed}*)(sn=*{typed}*))");
        assert_eq!(mails(&filter), ANNE, "{filter}");
    }
    let split = "(|(cn=*anne*epin*)(mail=*anne epin*)(givenName=*anne*)(sn=*anne epin*))";
    assert!(ANNE.iter().all(|mail| mails(split).contains(&(*mail).to_owned())));
    assert_eq!(mails("(|(cn=*epinaie*anne*)(mail=*epinaie anne*))"), ANNE);
    let outlook = "(&(mail=*)(|(mail=lepinaie*)(|(cn=lepinaie*)(|(sn=lepinaie*)(givenName=lepinaie*)))))";
    assert_eq!(mails(outlook), ANNE);
    assert_eq!(mails("(mail=LEPINAIE-test@pro.test)"), ["lepinaie-test@pro.test"]);
    assert!(mails("(|(cn=*cardiol*)(mail=*cardiol*))").contains(&"cardiologie@ch-exemple.test".to_owned()));
    assert_eq!(mails("(mail=ouverte*)"), ["ouverte-aujourdhui@ch-exemple.test"]);
    assert_eq!(mails("(mail=*aujourdhui*)"), ["ouverte-aujourdhui@ch-exemple.test"]);
}

#[test]
fn an_entry_says_what_address_books_show() {
    let found = ask("(mail=lepinaie-test@pro.test)", &[]);
    let entry = &found[0];
    assert_eq!(entry.name(), "uid=899700000001+mail=lepinaie-test@pro.test,ou=people,dc=annuaire");
    assert_eq!(entry.values("cn"), ["Anne-Sophie L’ÉPINAIE-TEST", "L’ÉPINAIE-TEST Anne-Sophie"]);
    for (name, value) in [
        ("sn", "L’ÉPINAIE-TEST"),
        ("givenName", "Anne-Sophie"),
        ("displayName", "Anne-Sophie L’ÉPINAIE-TEST"),
        ("uid", "899700000001"),
        ("employeeNumber", "899700000001"),
        ("title", "Médecin"),
        ("o", "CH EXEMPLE-TEST"),
        ("l", "Saint-Exemple-sur-Seine"),
        ("postalCode", "99100"),
        ("structureIdentifier", "1990000001"),
        ("mssMailboxType", "PER"),
        ("personState", "active"),
        ("objectClass", "top"),
    ] {
        assert_eq!(entry.values(name).first().map(String::as_str), Some(value), "{name}: {:?}", entry.attributes());
    }
    assert!(entry.values("businessCategory").contains(&"Cardiologie et maladies vasculaires".to_owned()));
    assert!(entry.values("directoryGeneration").is_empty() && entry.values("userCertificate;binary").is_empty());
    let all = &ask("(mail=lepinaie-test@pro.test)", &["*", "+"])[0];
    assert_eq!(all.values("directoryGeneration"), [generation().id()]);
    assert_eq!(all.values("directoryMatch"), ["exact"]);
    assert_eq!(all.values("entryDN"), [entry.name()]);
    assert!(!all.values("sn").is_empty());
    let none = &ask("(mail=lepinaie-test@pro.test)", &["1.1"])[0];
    assert!(none.attributes().is_empty());
    let some = &ask("(mail=lepinaie-test@pro.test)", &["SURNAME", "postalcode", "nothing"])[0];
    assert_eq!(some.attributes().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["sn", "postalCode"]);
    let done = found.last().unwrap();
    assert!(done.code() == 0 && done.text().contains(generation().id()) && done.text().contains("data as of"));
}

/// LD6: certificates come from the book, when they are named, under the form that clients look for.
#[test]
fn certificates_are_given_when_named() {
    let filter = "(mail=anne-sophie.lepinaie-test@ch-exemple.test)";
    for name in ["userCertificate;binary", "usercertificate", "2.5.4.36"] {
        let found = ask(filter, &[name]);
        assert_eq!(
            found[0].attributes(),
            [("userCertificate;binary".to_owned(), vec![vec![0x30, 3, 2, 1, 5]])],
            "{name}"
        );
    }
    let bundle = ask(filter, &["userSMIMECertificate;binary"]);
    assert_eq!(bundle[0].attributes()[0].0, "userSMIMECertificate;binary");
    assert!(ask(filter, &[])[0].attributes().iter().all(|(name, _)| !name.contains("ertificate")));
    assert_eq!(ask("(&(sn=*epinaie*)(userCertificate;binary=*))", &["mail"]).len(), 2);
}

/// LD7: red-listed addresses are in no answer, by no way of asking.
#[test]
fn a_red_listed_address_is_never_shown() {
    for filter in [
        "(mail=secret-test@ch-exemple.test)",
        "(mail=secret*)",
        "(mail=*secret*)",
        "(cn=*tourelle*)",
        "(uid=899700000002)",
        "(!(cn=*nobody*))",
        "(objectClass=*)",
    ] {
        assert!(mails(filter).iter().all(|mail| !mail.contains("secret")), "{filter}");
    }
    let bare = ask("(cn=*tourelle-test*)", &[]);
    assert_eq!(bare[0].name(), "uid=899700000002,ou=people,dc=annuaire");
    assert!(bare[0].values("mail").is_empty());
    // Who has a hidden box looks like somebody who has none, whichever way one asks.
    for (filter, answers) in [("(!(mail=*))", 2), ("(mail=*)", 1), ("(!(mssMailboxType=PER))", 2), ("(cn=*)", 2)] {
        assert_eq!(ask(&format!("(&(cn=*tourelle*){filter})"), &["cn"]).len(), answers, "{filter}");
    }
}

#[test]
fn the_root_and_the_schema_say_what_there_is() {
    let root = exchange(
        &mut Session::new(Arc::new(settings()), false),
        &search_octets(1, "", 0, &encode("(objectClass=*)"), &["+"]),
    );
    assert_eq!(root[0].values("namingContexts"), [BASE]);
    assert_eq!(root[0].values("supportedControl"), [PAGED, MANAGE_DSA_IT]);
    assert!(root[0].values("supportedExtension").contains(&START_TLS.to_owned()));
    assert!(root[0].values("supportedSASLMechanisms").is_empty(), "not without TLS");
    assert_eq!(root[0].values("directoryGeneration"), [generation().id()]);
    let root = exchange(&mut session(), &search_octets(1, "", 0, &encode("(objectClass=*)"), &["+"]));
    assert_eq!(root[0].values("supportedSASLMechanisms"), ["EXTERNAL"]);
    assert_eq!(root[0].values("subschemaSubentry"), ["cn=Subschema"]);
    let schema = exchange(
        &mut session(),
        &search_octets(1, "cn=subschema", 0, &encode("(objectClass=subschema)"), &["objectClasses", "attributeTypes"]),
    );
    assert!(schema[0].values("objectClasses").iter().any(|class| class.contains("'inetOrgPerson'")));
    assert!(schema[0].values("attributeTypes").iter().any(|kind| kind.contains("'mssMailboxType'")));
}

#[test]
fn scopes_and_bases() {
    let names = |base: &str, scope: u32, filter: &str| {
        let found = exchange(&mut session(), &search_octets(1, base, scope, &encode(filter), &["1.1"]));
        let code = found.last().unwrap().code();
        let names: Vec<String> = found.iter().filter(|a| a.operation == operation::ENTRY).map(Answered::name).collect();
        (code, names)
    };
    assert_eq!(names(BASE, 0, "(objectClass=*)"), (0, vec![BASE.to_owned()]));
    assert_eq!(names(BASE, 1, "(objectClass=*)").1, ["ou=people,dc=annuaire", "ou=structures,dc=annuaire"]);
    assert_eq!(names("OU=People, DC=Annuaire", 0, "(objectClass=*)").1, ["ou=people,dc=annuaire"]);
    let person = "uid=899700000001+mail=lepinaie-test@pro.test,ou=people,dc=annuaire";
    assert_eq!(names(person, 0, "(objectClass=*)"), (0, vec![person.to_owned()]));
    assert_eq!(names(person, 0, "(sn=somebody else)"), (0, vec![]));
    assert_eq!(names(person, 1, "(objectClass=*)"), (0, vec![]));
    assert_eq!(names("ou=people,dc=annuaire", 1, "(sn=*epinaie*)").1.len(), 3);
    assert_eq!(names("ou=structures,dc=annuaire", 2, "(cn=*exemple-test*)").1.len(), 2);
    assert_eq!(names("", 2, "(cn=*exemple-test*)").1.len(), 2);
    assert_eq!(names("uid=1,ou=people,dc=annuaire", 0, "(objectClass=*)").0, Code::NoSuchObject as u32);
    assert_eq!(names("dc=elsewhere", 2, "(objectClass=*)").0, Code::NoSuchObject as u32);
    assert_eq!(names("nonsense", 2, "(objectClass=*)").0, Code::InvalidDnSyntax as u32);
}

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
    let too_many = format!("(attributeTypes~=syntax{})", " syntax".repeat(140));
    let refused = exchange(&mut session(), &search_octets(1, "cn=Subschema", 0, &encode(&too_many), &[]));
    assert_ne!(refused.last().unwrap().code(), 0);
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

fn compare(id: u32, name: &str, attribute: &str, value: &str) -> Vec<u8> {
    let mut out = Writer::new();
    let content = |inside: &mut Writer| {
        inside.put(tag::OCTETS, name.as_bytes());
        inside.constructed(tag::SEQUENCE, |assertion| {
            assertion.put(tag::OCTETS, attribute.as_bytes());
            assertion.put(tag::OCTETS, value.as_bytes());
        });
    };
    result::message(&mut out, id, operation::COMPARE, content, |_| {});
    out.into_octets()
}

/// RFC 4511 §4.10: the filter of one assertion, asked of one entry.
#[test]
fn a_value_is_compared() {
    let name = ask("(sn=*epinaie*)", &["1.1"])[0].name();
    for (attribute, value, code) in [
        ("givenName", "anne-sophie", Code::CompareTrue),
        ("givenName", "Zoé", Code::CompareFalse),
        ("mail", ANNE[0], Code::CompareTrue),
        ("objectClass", "inetOrgPerson", Code::CompareTrue),
        ("objectClass", "device", Code::CompareFalse),
        ("telephoneNumber;x", "1", Code::NoSuchAttribute),
        ("mozillaNickname", "x", Code::NoSuchAttribute),
        ("userPassword", "x", Code::NoSuchAttribute),
    ] {
        let found = exchange(&mut session(), &compare(5, &name, attribute, value));
        assert_eq!(found.len(), 1, "{attribute}");
        assert_eq!((found[0].operation, found[0].code()), (operation::COMPARE_ANSWER, code as u32), "{attribute}");
    }
    let nobody = exchange(&mut session(), &compare(5, "uid=1,ou=people,dc=annuaire", "sn", "x"));
    assert_eq!((nobody[0].operation, nobody[0].code()), (operation::COMPARE_ANSWER, Code::NoSuchObject as u32));
    let secret = compare(5, "uid=899700000002,ou=people,dc=annuaire", "mail", "secret-test@ch-exemple.test");
    assert_ne!(exchange(&mut session(), &secret)[0].code(), Code::CompareTrue as u32);
    let mut clear = Session::new(Arc::new(settings()), false);
    let before = exchange(&mut clear, &compare(5, &name, "sn", "x"));
    assert_eq!(
        (before[0].operation, before[0].code()),
        (operation::COMPARE_ANSWER, Code::ConfidentialityRequired as u32)
    );
}

/// What real programs send and that changes nothing here is taken.
#[test]
fn habits_of_programs() {
    let manage = |controls: &mut Writer| {
        controls.constructed(tag::CONTEXT_0, |list| {
            list.constructed(tag::SEQUENCE, |control| {
                control.put(tag::OCTETS, message::MANAGE_DSA_IT.as_bytes());
                control.boolean(true);
            });
        });
    };
    let search = search_with(1, BASE, 2, 0, &encode("(sn=*epinaie*)"), &["1.1"], manage);
    assert_eq!(exchange(&mut session(), &search).last().unwrap().code(), 0);
    // The children of a folder, without the folder.
    let names = |base: &str, scope| {
        let found = exchange(&mut session(), &search_octets(1, base, scope, &encode("(ou=*)"), &["1.1"]));
        found.iter().filter(|a| a.operation == operation::ENTRY).map(Answered::name).collect::<Vec<_>>()
    };
    let folders = ["ou=people,dc=annuaire", "ou=structures,dc=annuaire"];
    assert_eq!(names(BASE, 3).into_iter().filter(|name| folders.contains(&name.as_str())).count(), 2);
    assert!(names(folders[0], 2).contains(&folders[0].to_owned()) && names(folders[0], 3).is_empty());
    let mut old = Writer::new();
    let content = |inside: &mut Writer| {
        inside.number(tag::INTEGER, 2);
        inside.put(tag::OCTETS, b"");
        inside.put(0x80, b"");
    };
    result::message(&mut old, 1, operation::BIND, content, |_| {});
    let refused = exchange(&mut session(), &old.into_octets());
    assert_eq!(refused[0].code(), Code::ProtocolError as u32);
    assert!(refused[0].text().contains("version = 3"), "{}", refused[0].text());
    assert!(crate::ldap::is_name_of("UID=899700000001, ou=People,dc=annuaire", "899700000001", BASE));
    assert!(!crate::ldap::is_name_of("uid=899700000002,ou=people,dc=annuaire", "899700000001", BASE));
}

/// What waits is bounded in octets as in number, and what is whole and waits for room is not a message that takes long.
#[test]
fn what_waits_is_bounded_in_octets() {
    let mut session = session();
    let value = "x".repeat(1000);
    let filter = format!("(|{})", format!("(cn={value})").repeat(40));
    let long = search_octets(1, BASE, 2, &encode(&filter), &[]);
    assert!(long.len() > 40_000 && long.len() < MAX_MESSAGE);
    let mut given = 0;
    while session.wants_input() {
        session.receive(&long);
        given += 1;
    }
    assert!(given <= 4, "{given}");
    session.receive(&long[..100]);
    assert!(!session.is_inside_message());
    assert_eq!(session.messages(), given);
    let mut short = self::session();
    short.receive(&long[..100]);
    assert!(short.is_inside_message() && short.messages() == 0);
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

/// LD10: nested ten thousand deep is an answer, a lie about a length the end; neither recurses nor waits for more.
#[test]
fn hostile_octets_end_in_an_answer() {
    let mut filter = encode("(cn=a)");
    for _ in 0..10_000 {
        let mut out = Writer::new();
        out.put(0xa2, &filter);
        filter = out.into_octets();
    }
    assert!(filter.len() < MAX_MESSAGE);
    let mut deep = session();
    let found = exchange(&mut deep, &search_octets(9, BASE, 2, &filter, &[]));
    assert_eq!((found[0].id, found[0].code()), (9, Code::AdminLimitExceeded as u32));
    assert_eq!(deep.closed(), None);
    for lie in [
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..],
        &[0x30, 0x80],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x30, 5, 2, 1, 1, 0x63, 0x7f],
        &[0x16, 3, 1, 2, 0],
    ] {
        let mut session = session();
        let told = exchange(&mut session, lie);
        assert_eq!(session.closed(), Some(Closed::Protocol), "{lie:?}");
        assert_eq!((told.len(), told[0].id, told[0].code()), (1, 0, Code::ProtocolError as u32));
        assert!(exchange(&mut session, lie).is_empty(), "nothing is heard any more");
    }
    // More questions than wait are not read yet.
    let mut many = session();
    let one = search_octets(1, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]);
    many.receive(&one.repeat(100));
    assert!(!many.wants_input());
    assert_eq!(exchange(&mut many, b"").len(), 400);
}

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

fn brute(filter: &str) -> Vec<String> {
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

/// Pieces of what stands in the entries, as people type it.
fn typed() -> impl Strategy<Value = String> {
    let words: Vec<String> = entries()
        .iter()
        .flat_map(|entry| {
            [
                super::super::schema::Attr::CommonName,
                super::super::schema::Attr::Mail,
                super::super::schema::Attr::Locality,
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

#[test]
fn a_token_of_pages_from_before_is_told_so() {
    let cookie = settings().pages.cookie(page::Place::default(), "another generation", &[0; 32], "");
    let found = exchange(&mut session(), &paged(2, 10, &cookie, "(mail=*)"));
    assert_eq!(found[0].code(), Code::UnwillingToPerform as u32);
    assert!(found[0].text().contains("start the search again"));
}
