//! The server's side of LDAP (RFC 4511): a whole session from one input, over a small directory.
//!
//! The first octet says whether TLS is there and how the stream is cut.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use annuaire::{
    Generation,
    ldap::{Bind, Code, Ending, NoCertificates, Pages, Rights, Session, Settings, Work, World},
};

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "ldap",
    covers: &[
        "annuaire/src/ldap/ber.rs",
        "annuaire/src/ldap/dn.rs",
        "annuaire/src/ldap/filter.rs",
        "annuaire/src/ldap/matching.rs",
        "annuaire/src/ldap/message.rs",
        "annuaire/src/ldap/page.rs",
        "annuaire/src/ldap/session.rs",
        "annuaire/src/ldap/spelling.rs",
    ],
    run,
    seeds,
};

/// The sample that the directory's own tests load.
static DIRECTORY: LazyLock<Generation> = LazyLock::new(|| {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../annuaire/tests/sample"));
    annuaire::build(sample).expect("the sample can be read").1.expect("a generation")
});

static SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| {
    Arc::new(Settings {
        base: "dc=annuaire".to_owned(),
        organisation: "CH Exemple (test)".to_owned(),
        help: "aide@ch-exemple.test".to_owned(),
        anonymous: Some(Rights { entries: 20, paged: Some(40) }),
        starttls: true,
        external: true,
        pages: Pages::new([7; 32]),
    })
});

/// Most octets that one input is answered with: every question that fits into it, each with twenty entries.
const MOST_SAID: usize = 32 * 1024 * 1024;

fn run(data: &[u8]) -> bool {
    let Some((&kind, stream)) = data.split_first() else {
        return false;
    };
    let mut session = Session::new(Arc::clone(&SETTINGS), kind & 1 == 0);
    let piece = usize::from(kind >> 1).saturating_mul(8).saturating_add(1);
    let (mut deep, mut said) = (false, 0usize);
    for chunk in stream.chunks(piece) {
        session.receive(chunk);
        deep |= drive(&mut session);
        let output = session.take_output();
        assert!(whole_messages(&output), "what is said is BER");
        said = said.saturating_add(output.len());
        assert!(said <= MOST_SAID, "what is said is bounded");
    }
    deep
}

/// Does the work that the session gives; true if it went deep enough.
fn drive(session: &mut Session) -> bool {
    let mut deep = false;
    while let Some(work) = session.poll() {
        match work {
            Work::StartTls => session.tls_started(),
            Work::Bind(Bind::External { .. }) => {
                session.bound(Ok(("899700000017".to_owned(), Rights { entries: 50, paged: None })));
            }
            Work::Bind(Bind::Simple { .. }) => session.bound(Err(Ending::new(Code::InvalidCredentials, "no"))),
            Work::Search(search) => {
                let world = World { generation: &DIRECTORY, registry: None, certificates: &NoCertificates };
                deep |= search.time_limit() == 7 && search.shown().contains("(!(");
                let found = search.run(world, &|| false);
                assert!(found.entries <= 500, "no more entries than a page has");
                session.found(found);
            }
        }
    }
    deep
}

/// Whether these are whole elements, one after the other.
fn whole_messages(mut rest: &[u8]) -> bool {
    while let [tag, first, after @ ..] = rest {
        let long = usize::from(first & 0x7f);
        let (length, after) = match *first {
            short @ 0..=0x7f => (usize::from(short), after),
            _ => match after.split_at_checked(long) {
                Some((digits, after)) => (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), after),
                None => return false,
            },
        };
        let Some((_, next)) = after.split_at_checked(length) else { return false };
        if *tag != 0x30 {
            return false;
        }
        rest = next;
    }
    rest.is_empty()
}

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

/// One seed for each kind of message, filter and base.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let base = "dc=annuaire";
    let present = |name: &str| element(0x87, &[name.as_bytes()]);
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
        element(0xa0, &[&element(0x30, &[&text("1.2.840.113556.1.4.319"), &[1, 1, 0xff], &element(4, &[&value])])])
    };
    let bind = |how: &[u8]| element(0x60, &[&[2, 1, 3], &text("cn=app"), how]);
    let external = element(0x60, &[&[2, 1, 3], &text(""), &element(0xa3, &[&text("EXTERNAL"), &text("u:1")])]);
    let extended = |oid: &str, value: &[u8]| element(0x77, &[&element(0x80, &[oid.as_bytes()]), value]);
    let cancel = element(0x81, &[&element(0x30, &[&[2, 1, 2]])]);
    let one = |operation: &[u8]| [&[0xfe][..], &message(2, operation, &[])].concat();
    let session = [
        &[0x41][..],
        &message(1, &extended("1.3.6.1.4.1.1466.20037", &[]), &[]),
        &message(2, &external, &[]),
        &message(3, &search(base, 2, &typed, &[]), &[]),
        &message(4, &[0x50, 1, 3], &[]),
        &message(5, &extended("1.3.6.1.4.1.4203.1.11.3", &[]), &[]),
        &message(6, &extended("1.3.6.1.1.8", &cancel), &[]),
        &message(7, &[0x42, 0], &[]),
    ]
    .concat();
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
        ("simple", one(&bind(&[0x80, 3, b'a', b'b', b'c']))),
        ("anonymous", one(&element(0x60, &[&[2, 1, 3], &text(""), &[0x80, 0]]))),
        ("external", one(&external)),
        ("modify", one(&[0x66, 0])),
        ("delete", one(&[0x4a, 1, b'x'])),
        ("indefinite", vec![0xfe, 0x30, 0x80, 2, 1, 1, 0, 0]),
    ]
}
