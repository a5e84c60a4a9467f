//! What entries show, where they lie, and what is true of them.

use super::*;

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
