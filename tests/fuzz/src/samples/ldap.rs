//! Sessions over LDAP: each kind of message, filter, base and control, and what breaks the protocol in each.

use super::Sample;

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("small").to_be_bytes();
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => [&[tag, short], &content[..]].concat(),
        _ => [&[tag, 0x82], &length[..], &content].concat(),
    }
}

fn text(text: &str) -> Vec<u8> {
    element(4, &[text.as_bytes()])
}

fn message(id: u8, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], operation, controls])
}

fn search(base: &str, scope: u8, filter: &[u8], attributes: &[&str]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes.iter().flat_map(|name| text(name)).collect();
    let numbers = [0x0a, 1, scope, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    element(0x63, &[&text(base), &numbers, filter, &element(0x30, &[&attributes])])
}

fn compare(tag: u8, name: &str, value: &str) -> Vec<u8> {
    element(tag, &[&text(name), &text(value)])
}

fn pieces(name: &str, pieces: &[(u8, &str)]) -> Vec<u8> {
    let all: Vec<u8> = pieces.iter().flat_map(|(tag, piece)| element(*tag, &[piece.as_bytes()])).collect();
    element(0xa4, &[&text(name), &element(0x30, &[&all])])
}

fn bind(version: u8, name: &str, how: &[u8]) -> Vec<u8> {
    element(0x60, &[&[2, 1, version], &text(name), how])
}

fn sasl(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<u8> = parts.iter().flat_map(|part| text(part)).collect();
    element(0xa3, &[&parts])
}

fn extended(oid: &str, value: &[u8]) -> Vec<u8> {
    element(0x77, &[&element(0x80, &[oid.as_bytes()]), value])
}

fn control(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    element(0x30, &[&text(oid), critical, value])
}

/// One operation under TLS, all of it at once.
fn one(operation: &[u8]) -> Vec<u8> {
    with(operation, &[])
}

fn with(operation: &[u8], controls: &[u8]) -> Vec<u8> {
    [&[0xfe][..], &message(2, operation, controls)].concat()
}

/// Messages one after the other, octet by octet: under TLS or in clear.
fn told(tls: bool, operations: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![u8::from(!tls)];
    for (id, operation) in (1u8..).zip(operations) {
        out.extend(message(id, operation, &[]));
    }
    out
}

const BASE: &str = "dc=annuaire";
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
const CANCEL: &str = "1.3.6.1.1.8";
const PAGED: &str = "1.2.840.113556.1.4.319";

fn present(name: &str) -> Vec<u8> {
    element(0x87, &[name.as_bytes()])
}

/// All of them.
pub fn all() -> Vec<Sample> {
    [questions(), sessions(), faults(), filters()].concat()
}

/// Who says who they are, and what is there to be said besides searches.
fn sessions() -> Vec<Sample> {
    let anybody = search(BASE, 2, &present("mail"), &[]);
    let (start, who) = (extended(START_TLS, &[]), extended(WHO_AM_I, &[]));
    let external = bind(3, "", &sasl(&["EXTERNAL"]));
    let cancel = |id: u8| extended(CANCEL, &element(0x81, &[&element(0x30, &[&[2, 1, id]])]));
    let password = [0x80, 3, b'a', b'b', b'c'];
    vec![
        ("starttls", told(false, &[&who, &start, &external, &who, &anybody])),
        ("starttls-behind", [&[0xff][..], &message(1, &start, &[]), &message(2, &who, &[])].concat()),
        ("starttls-twice", told(true, &[&start, &anybody])),
        ("in-clear", told(false, &[&anybody, &bind(3, "cn=app", &password), &external])),
        ("in-clear-root", told(false, &[&search("", 0, &present("objectClass"), &["+"])])),
        ("named-without-password", told(true, &[&bind(3, "cn=app", &[0x80, 0]), &who])),
        ("version-2", told(true, &[&bind(2, "", &[0x80, 0])])),
        ("other-sasl", told(true, &[&bind(3, "", &sasl(&["PLAIN", "x"]))])),
        ("sasl-empty", told(true, &[&bind(3, "", &sasl(&["EXTERNAL", ""])), &who])),
        ("sasl-wanted", told(true, &[&bind(3, "", &sasl(&["external", "u:899700000017"])), &anybody])),
        ("unknown-bind", told(true, &[&bind(3, "", &[0x85, 0])])),
        ("cancel-nothing", told(true, &[&cancel(9), &extended(CANCEL, &[])])),
        ("unknown-extension", told(true, &[&extended("1.2.3.4", &[])])),
        ("waiting", {
            let all: Vec<u8> = (1..=40).flat_map(|id| message(id, &anybody, &[])).collect();
            [&[0xfe][..], &all, &message(41, &cancel(39), &[]), &message(42, &[0x50, 1, 38], &[])].concat()
        }),
        ("unbind-behind", told(true, &[&anybody, &[0x42, 0], &anybody])),
    ]
}

/// What breaks the protocol, or asks for what is not there.
fn faults() -> Vec<Sample> {
    let anybody = search(BASE, 2, &present("mail"), &[]);
    let pages = |value: &[u8]| element(0xa0, &[&control(PAGED, true, value)]);
    let many: Vec<u8> = (0..18).flat_map(|_| control("1.2.3", false, &[])).collect();
    let names = vec!["cn"; 201];
    let deep = (0..30).fold(present("cn"), |inside, _| element(0xa2, &[&inside]));
    let long = "x".repeat(1025);
    vec![
        ("critical", with(&anybody, &element(0xa0, &[&control("1.2.3", true, &[])]))),
        ("not-critical", with(&anybody, &element(0xa0, &[&control("1.2.3", false, &text("x"))]))),
        ("controls-too-many", with(&anybody, &element(0xa0, &[&many]))),
        ("pages-malformed", with(&anybody, &pages(&text("x")))),
        ("pages-without-value", with(&anybody, &pages(&[]))),
        ("pages-of-a-bind", with(&bind(3, "", &[0x80, 0]), &pages(&[]))),
        ("pages-of-none", with(&anybody, &pages(&element(4, &[&element(0x30, &[&[2, 1, 0], &text("")])])))),
        ("attributes-too-many", one(&search(BASE, 2, &present("cn"), &names))),
        ("too-deep", one(&search(BASE, 2, &deep, &[]))),
        ("value-too-long", one(&search(BASE, 2, &compare(0xa3, "cn", &long), &[]))),
        ("name-too-long", one(&search(&"x".repeat(5000), 2, &present("cn"), &[]))),
        ("scope-unknown", one(&search(BASE, 9, &present("cn"), &[]))),
        ("scope-children", one(&search(BASE, 3, &present("cn"), &[]))),
        ("base-elsewhere", one(&search("dc=ailleurs", 2, &present("cn"), &[]))),
        ("base-malformed", one(&search("dc", 2, &present("cn"), &[]))),
        ("number-zero", [&[0xfe][..], &message(0, &anybody, &[])].concat()),
        ("abandon-nothing", one(&[0x50, 0])),
        ("abandon-long", one(&[0x50, 6, 1, 2, 3, 4, 5, 6])),
        ("bind-malformed", one(&element(0x60, &[&[2, 1, 3]]))),
        ("extended-malformed", one(&element(0x77, &[&[4, 0]]))),
        ("add", one(&[0x68, 0])),
        ("rename", one(&[0x6c, 0])),
        ("compare", one(&[0x6e, 0])),
        ("unknown-operation", one(&[0x7e, 0])),
        ("more-behind", [&[0xfe, 0x30, 8][..], &[2, 1, 1, 0x42, 0, 1, 1, 0]].concat()),
        ("two-gigabytes", vec![0xfe, 0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        ("nine-digits", vec![0xfe, 0x30, 0x89, 1]),
        ("long-tag", one(&[0x1f, 0x81, 0])),
    ]
}

/// Filters of every kind, and broken ones.
fn filters() -> Vec<Sample> {
    let asked = |filter: &[u8]| one(&search(BASE, 2, filter, &["mail"]));
    let rule = |rule: &str, name: &str, value: &str| {
        asked(&element(
            0xa9,
            &[
                &element(0x81, &[rule.as_bytes()]),
                &element(0x82, &[name.as_bytes()]),
                &element(0x83, &[value.as_bytes()]),
            ],
        ))
    };
    let not_text = |tag: u8| asked(&element(tag, &[&text("cn"), &[4, 2, 0xff, 0xfe]]));
    vec![
        ("all", asked(&[0xa0, 0])),
        ("exact", rule("caseExactMatch", "sn", "Martin-TEST")),
        ("any-case", rule("2.5.13.2", "sn", "martin-test")),
        ("telephone-rule", rule("telephoneNumberMatch", "telephoneNumber", "01 00 00 00 00")),
        ("rule-unknown", rule("1.2.3.4", "sn", "x")),
        ("rule-without-anything", asked(&element(0xa9, &[&element(0x83, &[b"x"])]))),
        ("not-text", not_text(0xa3)),
        ("not-text-approx", not_text(0xa8)),
        ("no-piece", asked(&pieces("cn", &[]))),
        ("empty-piece", asked(&pieces("cn", &[(0x81, "")]))),
        ("behind-the-last", asked(&pieces("cn", &[(0x82, "a"), (0x81, "b")]))),
        ("start-in-the-middle", asked(&pieces("cn", &[(0x81, "a"), (0x80, "b")]))),
        ("whole-pieces", asked(&pieces("cn", &[(0x80, "an"), (0x81, "mar"), (0x82, "test")]))),
        ("piece-not-text", asked(&element(0xa4, &[&text("cn"), &element(0x30, &[&[0x81, 1, 0xff]])]))),
        ("at-least", asked(&compare(0xa5, "sn", "mart"))),
        ("at-most", asked(&compare(0xa6, "sn", "mart"))),
        ("sounds-alike", asked(&compare(0xa8, "cn", "martain"))),
        ("signs", asked(&compare(0xa3, "cn", "(*)\\\u{1}é"))),
        ("unknown-attribute", asked(&pieces("mozillaNickname", &[(0x81, "x")]))),
        ("not-two", asked(&element(0xa2, &[&present("cn"), &present("sn")]))),
        ("unknown-kind", asked(&[0xaf, 0])),
        ("class", asked(&compare(0xa3, "objectClass", "organization"))),
        ("state", asked(&compare(0xa3, "healthProfessionalState", "active"))),
    ]
}

/// One seed for each kind of message, filter and base.
fn questions() -> Vec<Sample> {
    let base = BASE;
    let typed = element(
        0xa1,
        &[
            &pieces("cn", &[(0x81, "martin")]),
            &pieces("mail", &[(0x81, "martin")]),
            &pieces("givenName", &[(0x81, "martin")]),
            &pieces("sn", &[(0x81, "martin")]),
        ],
    );
    let prefix = element(
        0xa0,
        &[
            &present("mail"),
            &element(0xa1, &[&pieces("mail", &[(0x80, "a")]), &pieces("cn", &[(0x80, "a"), (0x82, "e")])]),
        ],
    );
    let every = element(
        0xa0,
        &[
            &element(0xa2, &[&compare(0xa3, "l", "LYON")]),
            &compare(0xa5, "postalCode", "10000"),
            &compare(0xa6, "postalCode", "99999"),
            &element(0xa1, &[&compare(0xa8, "sn", "lefevr"), &compare(0xa3, "objectClass", "inetOrgPerson")]),
        ],
    );
    let extensible =
        element(0xa9, &[&[0x81, 8], b"2.5.13.5", &[0x82, 2], b"sn", &[0x83, 4], b"TEST", &[0x84, 1, 0xff]]);
    let any_attribute = element(0xa9, &[&[0x81, 8], b"2.5.13.2", &[0x83, 4], b"lyon"]);
    let paged = |cookie: &[u8]| {
        let value = element(0x30, &[&[2, 1, 5], &element(4, &[cookie])]);
        element(0xa0, &[&element(0x30, &[&text(PAGED), &[1, 1, 0xff], &element(4, &[&value])])])
    };
    let external = bind(3, "", &sasl(&["EXTERNAL", "u:1"]));
    let cancel = element(0x81, &[&element(0x30, &[&[2, 1, 2]])]);
    let session = told(
        false,
        &[
            &extended(START_TLS, &[]),
            &external,
            &search(base, 2, &typed, &[]),
            &[0x50, 1, 3],
            &extended(WHO_AM_I, &[]),
            &extended(CANCEL, &cancel),
            &[0x42, 0],
        ],
    );
    let named = "uid=899700000017+mail=a\\2bb@x.test, OU=people , dc=annuaire";
    vec![
        ("session", session),
        ("typed", one(&search(base, 2, &typed, &["cn", "mail", "*", "+"]))),
        ("prefix", one(&search("", 2, &prefix, &["1.1"]))),
        ("every", one(&search("ou=people,dc=annuaire", 1, &every, &["name", "userCertificate;binary"]))),
        ("extensible", one(&search("ou=structures,dc=annuaire", 2, &extensible, &[]))),
        ("any-attribute", one(&search(base, 2, &any_attribute, &["entryDN"]))),
        ("identifier", one(&search(base, 2, &compare(0xa3, "uid", "10 102 727 017"), &[]))),
        ("identifier-start", one(&search(base, 2, &pieces("structureIdentifier", &[(0x80, "99000")]), &[]))),
        ("address", one(&search(base, 2, &compare(0xa3, "mail", "a@x.test"), &[]))),
        ("telephone", one(&search(base, 2, &compare(0xa3, "telephoneNumber", "01 02"), &[]))),
        ("name", one(&search(base, 2, &compare(0xa3, "entryDN", named), &[]))),
        ("named", one(&search(named, 0, &present("objectClass"), &[]))),
        ("root", one(&search("", 0, &present("objectClass"), &["+", "*"]))),
        ("subschema", one(&search("cn=Subschema", 0, &present("objectClass"), &["attributeTypes"]))),
        ("nothing", one(&search(base, 2, &[0xa1, 0], &[]))),
        ("pages", [&[0xfe][..], &message(2, &search(base, 2, &present("mail"), &["mail"]), &paged(b""))].concat()),
        (
            "cookie",
            [&[0xfe][..], &message(2, &search(base, 2, &present("mail"), &["mail"]), &paged(&[1; 40]))].concat(),
        ),
        ("simple", one(&bind(3, "cn=app", &[0x80, 3, b'a', b'b', b'c']))),
        ("anonymous", one(&bind(3, "", &[0x80, 0]))),
        ("external", one(&external)),
        ("modify", one(&[0x66, 0])),
        ("delete", one(&[0x4a, 1, b'x'])),
        ("indefinite", vec![0xfe, 0x30, 0x80, 2, 1, 1, 0, 0]),
    ]
}
