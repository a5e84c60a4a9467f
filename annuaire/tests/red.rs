//! The red list: what is asked must not tell what no answer holds (decision 0006, design §5).
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::string_slice)]

mod common;

use std::collections::HashSet;

use annuaire::{
    Field, Fields, FileKind, Filter, GenerateOptions, Generation, How, Mailbox, MailboxType, Page, Question, Registry,
    Total, build, words,
};
use common::Ground;

/// Mailboxes whose people and structures are in the directory without them, too: every third of them.
fn chosen(g: &Generation) -> Vec<Mailbox<'_>> {
    let known = |mailbox: &Mailbox<'_>| {
        mailbox.people().all(|person| person.activities().next().is_some())
            && mailbox.structures().all(|place| place.activities().next().is_some())
            && (mailbox.kind() == MailboxType::Organisation || mailbox.people().count() == 1)
    };
    g.mailboxes().filter(known).step_by(5).collect()
}

fn registry(red: &[Mailbox<'_>]) -> Registry {
    let one = |mailbox: &Mailbox<'_>| {
        let owner = mailbox.people().next().map(|person| format!("owner = \"{}\"\n", person.id_text()));
        let structure =
            mailbox.structures().next().and_then(|place| place.id()).map(|id| format!("structure = \"{id}\"\n"));
        let (address, kind) = (mailbox.address_text(), mailbox.kind().code());
        let of = if mailbox.kind() == MailboxType::Personal { owner } else { structure };
        format!("[[mailbox]]\naddress = \"{address}\"\ntype = \"{kind}\"\nred_list = true\n{}", of.unwrap_or_default())
    };
    Registry::parse(&red.iter().map(one).collect::<Vec<_>>().join("\n")).unwrap()
}

/// All that is found, in order, and how many there are said to be.
fn found<'g>(g: &'g Generation, registry: Option<&Registry>, filter: &Filter) -> (Vec<&'g str>, Total, Total) {
    let (question, page) = (Question::filter(filter.clone()), Page::first(10_000));
    let people = g.people_where(registry, &question, page);
    let places = g.structures_where(registry, &question, page);
    let ids = people.hits.iter().map(|hit| hit.of.id_text());
    (ids.chain(places.hits.iter().map(|hit| hit.of.key())).collect(), people.total, places.total)
}

/// What somebody would ask who feels for an address: every start and piece of its words, its domain, its kind.
fn probes(red: &[Mailbox<'_>]) -> HashSet<(Option<How>, String)> {
    let mut probes = HashSet::new();
    for mailbox in red {
        for word in words(mailbox.key()).into_iter().chain(words(mailbox.service())) {
            for end in 1..=word.len() {
                probes.insert((Some(How::Prefix), word[..end].to_owned()));
                probes.insert((Some(How::Contains), word[end - 1..word.len().min(end + 1)].to_owned()));
            }
            probes.insert((Some(How::Exact), word.clone()));
            probes.insert((Some(How::Similar), word));
        }
        probes.insert((None, mailbox.key().rsplit_once('@').unwrap().1.to_owned()));
        probes.insert((None, mailbox.kind().code().to_owned()));
    }
    probes.insert((None, "any".to_owned()));
    probes
}

#[test]
fn red_listed_mailboxes_are_found_by_none_of_their_words() {
    // Few people: what the red list hides is as varied among them, and each question is asked of all of them five times.
    let ground = Ground::with(&GenerateOptions::new(11, 150));
    let whole = build(&ground.extracts()).unwrap().1.unwrap();
    let red = chosen(&whole);
    let registry = registry(&red);
    assert!(red.len() > 10 && red.iter().any(|mailbox| mailbox.kind() == MailboxType::Organisation), "{}", red.len());
    let hidden: HashSet<String> = red.iter().map(|mailbox| mailbox.key().to_owned()).collect();
    ground.edit_rows(FileKind::Mailboxes, |_, row| {
        (!row.split('|').any(|field| hidden.contains(&field.to_lowercase()))).then(|| row.to_owned())
    });
    let without = build(&ground.extracts()).unwrap().1.unwrap();
    assert_eq!(without.totals().people, whole.totals().people, "the same people with fewer mailboxes");
    let mut told = 0;
    for (how, text) in probes(&red) {
        let filters = match how {
            Some(how) => [Fields::TEXT, Field::Mailbox.into(), Field::Service.into()]
                .map(|fields| Filter::Words { fields, how, text: text.clone() })
                .to_vec(),
            None => [Field::Domain, Field::SharedDomain, Field::MailboxType, Field::SharedType]
                .map(|field| Filter::Value { fields: field.into(), value: text.clone() })
                .to_vec(),
        };
        for filter in filters {
            let expected = found(&without, None, &filter);
            assert_eq!(found(&whole, Some(&registry), &filter), expected, "{filter:?}");
            // That the question would tell something is asked until it is sure.
            told += usize::from(told <= 100 && found(&whole, None, &filter) != expected);
            // One by one, as FHIR judges what it has found already.
            let both = Filter::And(vec![Filter::All, Filter::Not(Box::new(filter.clone()))]);
            assert_eq!(found(&whole, Some(&registry), &both), found(&without, None, &both), "not {filter:?}");
        }
    }
    assert!(told > 100, "without the red list {told} questions would tell something");
}
