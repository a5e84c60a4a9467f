//! A session from its first octet to its last, over a small directory; and the index against the definition.

use std::sync::OnceLock;

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

mod entries;
mod hostile;
mod index;
mod pages;
mod rights;

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
