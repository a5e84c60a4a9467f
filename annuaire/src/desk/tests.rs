use std::{collections::BTreeSet, time::Duration};

use ident::Domain;
use proptest::prelude::*;

use super::*;
use crate::{GenerateOptions, Registry, generate, life::end_of_rights};

const NOW: Timestamp = Timestamp::from_seconds(1_796_000_000);
const TEXT: &str = "# Registre du CH EXEMPLE-TEST

# Le Dr MARTIN-TEST
[[mailbox]] # titulaire
address = \"anne.martin-test@ch-exemple.test\"
type = \"PER\"   # personnelle
owner = \"899700000001\"
rank = 1
delegates = [
  \"899700000002\",
]

# La cardiologie
[[mailbox]]
address = \"cardiologie@ch-exemple.test\"
type = \"ORG\"
structure = \"1990000001\"

[[alias]]
old = \"0012800736\"
current = \"899700000001\"
# Fin";

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn id(text: &str) -> PersonId {
    PersonId::parse(text).unwrap()
}

fn rules() -> Rules {
    let domains = BTreeSet::from([Domain::parse("ch-exemple.test").unwrap()]);
    Rules { domains, reuse_after: None, accept_unknown: false, now: NOW }
}

fn personal(local: &str, owner: &str) -> RegisteredMailbox {
    RegisteredMailbox {
        owner: Some(id(owner)),
        ..RegisteredMailbox::new(address(&format!("{local}@ch-exemple.test")), MailboxType::Personal)
    }
}

fn create(mailbox: RegisteredMailbox) -> Order {
    Order::Create(Box::new(mailbox))
}

fn done(draft: &mut Draft, order: &Order) -> String {
    match draft.carry_out(order, National::default(), &rules()) {
        Ok(Carried::Done(words)) => words,
        other => panic!("{order:?}: {other:?}"),
    }
}

fn refused(draft: &mut Draft, order: &Order) -> (&'static str, String) {
    let objection = draft.carry_out(order, National::default(), &rules()).unwrap_err();
    assert!(!objection.what.fr.is_empty());
    (objection.field, objection.what.en)
}

#[test]
fn only_what_an_order_concerns_is_written_anew() {
    let mut draft = Draft::of(TEXT).unwrap();
    assert_eq!(draft.text().unwrap().0, TEXT);
    let cardiology = address("Cardiologie@CH-exemple.test");
    done(&mut draft, &Order::Rank(address("anne.martin-test@ch-exemple.test"), None));
    done(
        &mut draft,
        &Order::Close { address: cardiology.clone(), successor: Some(address("anne.martin-test@ch-exemple.test")) },
    );
    done(&mut draft, &create(personal("anne2", "899700000001")));
    let (text, registry) = draft.text().unwrap();
    for kept in [
        "# Registre du CH EXEMPLE-TEST",
        "# Le Dr MARTIN-TEST\n[[mailbox]] # titulaire\n",
        "# La cardiologie",
        "[[alias]]",
        "# Fin",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert_eq!(registry.mailboxes().len(), 3);
    let closed = registry.mailbox(&cardiology).unwrap().closed.clone().unwrap();
    assert_eq!((closed.since, closed.successor.unwrap().local()), (NOW, "anne.martin-test"));
    assert_eq!(registry.mailboxes()[0].rank, None);
    assert_eq!(registry.mailboxes()[2].created, Some(NOW));
    // What is said again changes nothing, and the text stays.
    let mut again = Draft::of(&text).unwrap();
    let outcome = again.carry_out(&create(personal("anne2", "0012800736")), National::default(), &rules());
    assert_eq!(outcome, Ok(Carried::Unchanged), "the alias leads to the same owner");
    assert_eq!(again.text().unwrap().0, text);
}

#[test]
fn a_file_of_another_form_is_left_to_an_editor() {
    let inline = "mailbox = [{ address = \"a@ch-exemple.test\", type = \"PER\", owner = \"899700000001\" }]\n";
    let mut draft = Draft::of(inline).unwrap();
    done(&mut draft, &Order::Rank(address("a@ch-exemple.test"), Some(1)));
    assert!(matches!(draft.text(), Err(DraftError::Unwritable(_))));
    assert!(matches!(Draft::of("mailbox = 3"), Err(DraftError::Registry(_))));
    let tricky = TEXT.replace("rank = 1", "name = \"\"\"\n[[mailbox]]\naddress\n\"\"\"");
    let mut draft = Draft::of(&tricky).unwrap();
    done(&mut draft, &Order::Close { address: address("anne.martin-test@ch-exemple.test"), successor: None });
    assert!(matches!(draft.text(), Err(DraftError::Unwritable(_))), "a header inside a text");
}

#[test]
fn ranks_delegations_and_red_lists() {
    let mut draft = Draft::of(TEXT).unwrap();
    let first = address("anne.martin-test@ch-exemple.test");
    let second = address("anne2@ch-exemple.test");
    done(&mut draft, &create(RegisteredMailbox { rank: Some(2), ..personal("anne2", "899700000001") }));
    assert_eq!(
        refused(&mut draft, &create(RegisteredMailbox { rank: Some(2), ..personal("anne3", "899700000001") })).0,
        "rank"
    );
    assert!(done(&mut draft, &Order::Rank(second.clone(), Some(1))).contains("anne.martin-test"));
    assert_eq!((draft.mailbox(&first).unwrap().rank, draft.mailbox(&second).unwrap().rank), (Some(2), Some(1)));
    assert_eq!(refused(&mut draft, &Order::Rank(second.clone(), Some(0))).0, "rank");

    let until = end_of_rights("2027-01-31");
    let delegate = |to: &str, access, until| Order::Delegate { address: first.clone(), to: id(to), access, until };
    done(&mut draft, &delegate("3990000001/0001", Access::Write, None));
    done(&mut draft, &delegate("899700000002", Access::Read, until));
    let own = draft.mailbox(&first).unwrap();
    assert_eq!((own.delegates.len(), own.readers.len(), own.grants.len()), (0, 1, 1), "read instead of write");
    assert_eq!(own.until.get(&id("899700000002")).copied(), until);
    assert_eq!(refused(&mut draft, &delegate("899700000003", Access::Write, end_of_rights("2020-01-01"))).0, "until");
    assert_eq!(refused(&mut draft, &delegate("0012800736", Access::Write, None)).0, "delegates");
    done(&mut draft, &Order::Withdraw(first.clone(), id("899700000002")));
    assert!(draft.mailbox(&first).unwrap().until.is_empty());

    let red = |red| Order::Change(first.clone(), Box::new(Changes { red_list: Some(red), ..Changes::default() }));
    assert_eq!(red(true).verb(), "mailbox.red-list");
    done(&mut draft, &red(true));
    assert_eq!(draft.carry_out(&red(true), National::default(), &rules()), Ok(Carried::Unchanged));
    // A box of the red list is not spoken of when it is closed.
    done(&mut draft, &Order::Close { address: first.clone(), successor: None });
    assert!(!draft.text().unwrap().1.mailbox(&first).unwrap().closed.as_ref().unwrap().told);
    assert!(refused(&mut draft, &red(false)).1.contains("closed"));
}

#[test]
fn an_address_belongs_to_one_holder_for_good() {
    let mut draft = Draft::of(TEXT).unwrap();
    let first = address("anne.martin-test@ch-exemple.test");
    for (wrong, field) in [
        (personal("anne.martin-test", "899700000009"), "address"),
        (RegisteredMailbox { owner: None, ..personal("x", "899700000009") }, "owner"),
        (RegisteredMailbox::new(address("x@ch-exemple.test"), MailboxType::Organisation), "structure"),
        (RegisteredMailbox::new(address("x@ailleurs.test"), MailboxType::Practice), "address"),
        (RegisteredMailbox { members: vec![id("899700000002")], ..personal("x", "899700000009") }, "members"),
        (RegisteredMailbox { delegates: vec![id("3990000001/0001")], ..personal("x", "899700000009") }, "delegates"),
        (RegisteredMailbox { grants: vec![id("899700000002")], ..personal("x", "899700000009") }, "grants"),
        (RegisteredMailbox { service: Some("S".into()), ..personal("x", "899700000009") }, "service"),
        (RegisteredMailbox { name: Some("a\nb".into()), ..personal("x", "899700000009") }, "name"),
        (
            RegisteredMailbox { redirect: Some(address("X@ch-exemple.test")), ..personal("x", "899700000009") },
            "redirect",
        ),
        (personal("x", "3990000001/0001"), "structure"),
    ] {
        assert_eq!(refused(&mut draft, &create(wrong.clone())).0, field, "{wrong:?}");
    }
    // BAL-2: neither type nor holder changes.
    let change = |changes| Order::Change(first.clone(), Box::new(changes));
    assert_eq!(
        refused(&mut draft, &change(Changes { kind: Some(MailboxType::Practice), ..Changes::default() })).0,
        "type"
    );
    assert_eq!(
        refused(&mut draft, &change(Changes { owner: Some(id("899700000009")), ..Changes::default() })).0,
        "owner"
    );

    done(&mut draft, &Order::Close { address: first.clone(), successor: None });
    assert!(refused(&mut draft, &create(personal("anne.martin-test", "899700000001"))).1.contains("reopen"));
    assert!(refused(&mut draft, &create(personal("anne.martin-test", "899700000009"))).1.contains("never"));
    let mut practice = RegisteredMailbox::new(first.clone(), MailboxType::Practice);
    practice.owner = Some(id("899700000009"));
    assert_eq!(refused(&mut draft, &create(practice)).0, "type");
    let day = Duration::from_secs(86_400);
    let later = |days| Rules { reuse_after: Some(365 * day), now: NOW.plus(days * day), ..rules() };
    let other = create(personal("anne.martin-test", "899700000009"));
    let early = draft.carry_out(&other, National::default(), &later(364)).unwrap_err();
    assert!(early.what.en.contains("free from"), "{early:?}");
    assert!(matches!(draft.carry_out(&other, National::default(), &later(365)), Ok(Carried::Done(_))));
    let (_, registry) = draft.text().unwrap();
    assert_eq!(registry.mailbox(&first).unwrap().owner, Some(id("899700000009")));

    let mut draft = Draft::of(TEXT).unwrap();
    done(&mut draft, &Order::Close { address: first.clone(), successor: None });
    done(&mut draft, &Order::Reopen(first.clone()));
    assert!(draft.mailbox(&first).unwrap().is_open());
}

#[test]
fn the_national_data_are_asked_and_may_be_behind() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), &GenerateOptions::new(3, 40)).unwrap();
    let generation = crate::build(folder.path()).unwrap().1.unwrap();
    let national = National { generation: Some(&generation), others: None };
    let known = generation.people().find(|person| person.active()).and_then(|person| person.id()).unwrap();
    let published = generation.mailboxes().find(|it| it.kind() == MailboxType::Personal).unwrap();
    let domain = published.address().unwrap().domain().clone();
    let rules = Rules { domains: BTreeSet::from([domain.clone()]), ..rules() };
    let accepting = Rules { accept_unknown: true, ..rules.clone() };
    let own = |local: &str, owner: &PersonId| RegisteredMailbox {
        owner: Some(owner.clone()),
        ..RegisteredMailbox::new(address(&format!("{local}@{domain}")), MailboxType::Personal)
    };
    let mut draft = Draft::of("").unwrap();
    assert!(draft.carry_out(&create(own("a-test", &known)), national, &rules).is_ok());
    let stranger = id("899799999999");
    let objection = draft.carry_out(&create(own("b-test", &stranger)), national, &rules).unwrap_err();
    assert!((objection.field, objection.unknown) == ("owner", true), "{objection:?}");
    assert!(draft.carry_out(&create(own("b-test", &stranger)), national, &accepting).is_ok());
    let others = BTreeSet::from([stranger.clone()]);
    let asked = National { others: Some(&others), ..national };
    assert!(draft.carry_out(&create(own("c-test", &stranger)), asked, &rules).is_ok());
    // What the nation publishes for somebody else is not ours to give.
    let local = published.address().unwrap().local().to_owned();
    let wrong = draft.carry_out(&create(own(&local, &stranger)), asked, &accepting).unwrap_err();
    assert_eq!((wrong.field, wrong.unknown), ("address", false));
    let owner = published.people().next().and_then(|person| person.id()).unwrap();
    let outcome = draft.carry_out(&create(own(&local, &owner)), national, &accepting);
    assert!(outcome.is_ok(), "{outcome:?}");
    let structure = StructureId::parse("1999999999").ok();
    let team = RegisteredMailbox {
        structure,
        ..RegisteredMailbox::new(address(&format!("equipe-test@{domain}")), MailboxType::Organisation)
    };
    let objection = draft.carry_out(&create(team), national, &rules).unwrap_err();
    assert_eq!((objection.field, objection.unknown), ("structure", true));
}

#[test]
fn a_table_of_orders_names_line_and_column_of_each_fault() {
    let table = "\u{feff}Action;Adresse;Type de BAL;Titulaire;Structure;Nom;Liste rouge;Rang;Bénéficiaire;Jusqu'au\r\n\
        ;un@ch-exemple.test;PER;99700000003;;;oui;1;;\r\n\
        ;deux@ch-exemple.test;ORG;;990000001;\"Urgences; \"\"SAMU\"\"\";;;;\r\n\
        \r\n\
        close;cardiologie@ch-exemple.test;;;;;;;;\r\n\
        delegate;anne.martin-test@ch-exemple.test;;;;;;;899700000003;2027-01-31\r\n\
        ;trois@;PER;89970;;;;;;\r\n\
        ;quatre@ch-exemple.test;EQUIPE;89970;;;peut-être;zéro;;\r\n\
        detruire;cinq@ch-exemple.test;;;;;;;;\r\n\
        change;anne.martin-test@ch-exemple.test;;;;;;-;;\r\n";
    let rows = import(table.as_bytes()).unwrap().rows;
    let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 7, 8, 9, 10]);
    let orders = |n: usize| rows[n].orders.as_ref().unwrap();
    let Order::Create(two) = &orders(1)[0] else { panic!("{:?}", orders(1)) };
    assert_eq!(two.name.as_deref(), Some("Urgences; \"SAMU\""));
    assert_eq!(two.structure.as_ref().unwrap().as_str(), "1990000001");
    let columns = |n: usize| rows[n].orders.as_ref().unwrap_err().iter().map(|it| it.field).collect::<Vec<_>>();
    assert_eq!(columns(4), ["address"]);
    assert_eq!(columns(5), ["type"]);
    assert_eq!(columns(6), ["action"]);
    assert_eq!(orders(7), &[Order::Rank(address("anne.martin-test@ch-exemple.test"), None)]);
    let mut draft = Draft::of(TEXT).unwrap();
    for order in rows.iter().filter_map(|row| row.orders.as_ref().ok()).flatten() {
        done(&mut draft, order);
    }
    assert_eq!(draft.text().unwrap().1.mailboxes().len(), 4);

    let error = |octets: &[u8]| import(octets).unwrap_err();
    assert_eq!(error(b"address\na@b.test\n\xff\n"), TableError::NotUtf8(3));
    assert_eq!(error(b"address\n\"a\n\n"), TableError::Quote(2));
    assert_eq!(error(b"address\n\"a\"b\n"), TableError::Quote(2));
    assert!(matches!(error(b"adress\na\n"), TableError::Header(_)));
    assert!(matches!(error(b"address,adresse\na\n"), TableError::Header(_)));
    assert!(matches!(error(b"type\nPER\n"), TableError::Header(_)));
    assert!(matches!(error(b""), TableError::Header(_)));
}

proptest! {
    #[test]
    fn no_table_and_no_registry_makes_it_panic(text in "\\PC{0,200}", at in 0..TEXT.len(), more in "[\\[\\]a-z#\"\n=]{0,8}") {
        let _ = import(format!("address;{text}\n{text};{text}\n").as_bytes());
        let mut spoiled = TEXT.to_owned();
        while !spoiled.is_char_boundary(at) { spoiled.insert(0, ' '); }
        spoiled.insert_str(at, &more);
        if let Ok(mut draft) = Draft::of(&spoiled) {
            prop_assert_eq!(draft.text().unwrap().1.mailboxes().len(), draft.before().mailboxes().len());
            let known = draft.before().mailboxes().first().map(|own| own.address.clone());
            if let Some(known) = known {
                let _ = draft.carry_out(&Order::Close { address: known.clone(), successor: None }, National::default(), &rules());
                // Either what was ordered, or a refusal to write: never another text.
                if let Ok((_, written)) = draft.text() {
                    prop_assert!(!written.mailbox(&known).unwrap().is_open());
                }
            }
        }
    }

    /// Whatever orders are carried out, the text says the same when it is read again (BAL-1).
    #[test]
    fn what_is_written_is_what_is_read(names in proptest::collection::vec("[a-z]{1,6}", 1..8), red in any::<bool>(), label in "[^\\p{C}]{1,20}") {
        let mut draft = Draft::of(TEXT).unwrap();
        for name in &names {
            let own = RegisteredMailbox { red_list: red, inner_address: Some(address("a@b.test")), ..personal(name, "899700000003") };
            let _ = draft.carry_out(&create(own), National::default(), &rules());
            let mut team = RegisteredMailbox::new(address(&format!("t-{name}@ch-exemple.test")), MailboxType::Organisation);
            team.structure = StructureId::parse("1990000001").ok();
            team.name = Some(label.clone());
            let _ = draft.carry_out(&create(team), National::default(), &rules());
        }
        let (text, registry) = draft.text().unwrap();
        prop_assert_eq!(Registry::parse(&text).unwrap(), registry);
    }
}
