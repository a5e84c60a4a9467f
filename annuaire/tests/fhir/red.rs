//! The order of answers does not tell who has a mailbox on the red list: it is that of the same extract without it.

use std::collections::HashSet;

use annuaire::{FileKind, Mailbox, MailboxType, Registry, face::Face as _, web::Web};
use http::Request;

use crate::{
    ldap,
    world::{World, built, ground, matches},
};

/// People and structures who have these mailboxes and no others, or others, too.
fn chosen(world: &World) -> Vec<Mailbox<'_>> {
    let known = |mailbox: &Mailbox<'_>| {
        mailbox.people().all(|person| person.activities().next().is_some())
            && mailbox.structures().all(|place| place.activities().next().is_some())
    };
    world.current.mailboxes().filter(known).step_by(3).collect()
}

/// A world with every third mailbox on the red list, and the same whose extract does not have them.
fn worlds() -> (World, World) {
    let ground = ground(150);
    let mut red = World::with(built(&ground), Vec::new());
    let one = |mailbox: &Mailbox<'_>| {
        let (address, kind) = (mailbox.address_text(), mailbox.kind().code());
        let owner = mailbox.people().next().filter(|_| mailbox.kind() == MailboxType::Personal);
        let of = match (owner, mailbox.structures().find_map(|place| place.id())) {
            (Some(person), _) => format!("owner = \"{}\"", person.id_text()),
            (None, Some(place)) => format!("structure = \"{place}\""),
            (None, None) => String::new(),
        };
        format!("[[mailbox]]\naddress = \"{address}\"\ntype = \"{kind}\"\nred_list = true\n{of}\n")
    };
    let chosen = chosen(&red);
    let hidden: HashSet<String> = chosen.iter().map(|mailbox| mailbox.key().to_owned()).collect();
    let registry = Registry::parse(&chosen.iter().map(one).collect::<String>()).unwrap();
    red.registry = Some(registry);
    ground.edit_rows(FileKind::Mailboxes, |_, row| {
        (!row.split('|').any(|field| hidden.contains(&field.to_lowercase()))).then(|| row.to_owned())
    });
    (red, World::with(built(&ground), Vec::new()))
}

/// Who comes, in order, page by page.
fn by_fhir(world: &World, path: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let bundle = world.ok(&path);
        ids.extend(matches(&bundle).iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let mut links = bundle["link"].as_array().unwrap().iter();
        next = links.find(|it| it["relation"] == "next").map(|it| it["url"].as_str().unwrap().to_owned());
    }
    ids
}

fn by_page(world: &World, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for page in 1..=25 {
        let request = Request::get(format!("{path}p={page}")).body(Vec::new()).unwrap();
        let response = world.context(|context| Web.answer(&request, context));
        let text = String::from_utf8(response.into_body()).unwrap();
        let shown = |kind: &str| {
            let parts = text.split(kind).skip(1).map(|part| part.split(['"', '?']).next().unwrap().to_owned());
            parts.collect::<Vec<_>>()
        };
        ids.extend([shown("/person/"), shown("/structure/")].concat());
        if !text.contains("rel=\"next\"") {
            break;
        }
    }
    ids
}

#[test]
fn the_order_is_that_of_an_extract_without_the_red_mailboxes() {
    let (red, without) = worlds();
    assert_eq!(red.current.totals().people, without.current.totals().people);
    let unlisted = World::with(red.current.clone(), Vec::new());
    let mut told = HashSet::new();
    let mut same = |face: &str, walk: &dyn Fn(&World) -> Vec<String>| {
        let shown = walk(&red);
        assert_eq!(shown, walk(&without), "{face}");
        if shown != walk(&unlisted) {
            told.insert(face.split(' ').next().unwrap().to_owned());
        }
    };
    for path in [
        "/Practitioner?_count=7",
        "/Practitioner?family=ma,le,be&_count=7",
        "/PractitionerRole?_count=7",
        "/Organization?_count=7",
        "/Organization?name=ch,centre&_count=3",
        "/Practitioner?_sort=given&_count=7",
    ] {
        same(&format!("FHIR {path}"), &|world| by_fhir(world, path));
    }
    for path in ["/results?q=ma&", "/results?q=m%C3%A9decin&", "/results?q=e&", "/structure/1990000001?"] {
        same(&format!("page {path}"), &|world| by_page(world, path));
    }
    // `uid` and `structureIdentifier` are present.
    let present: [(&str, Vec<u8>); 2] = [
        ("ou=people,dc=annuaire", [&[0x87, 3][..], b"uid"].concat()),
        ("ou=structures,dc=annuaire", [&[0x87, 19][..], b"structureIdentifier"].concat()),
    ];
    for (base, filter) in &present {
        same(&format!("LDAP {base}"), &|world| ldap::walked(world, base, filter, 7));
    }
    for text in ["ma", "e", "medecin", "centre"] {
        same(&format!("command {text}"), &|world| {
            let answer = annuaire::search(&world.current, world.registry.as_ref(), text, 500);
            let people = answer.people.into_iter().map(|person| person.id);
            people.chain(answer.structures.into_iter().filter_map(|place| place.id)).collect()
        });
    }
    assert_eq!(told.len(), 4, "the order of {told:?} alone tells something where nothing is moved");
}
