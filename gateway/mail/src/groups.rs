//! Bodies by recipient group: who may share one sealed body, and who must not (H15, A22).

use std::collections::HashSet;

use ident::Address;

use crate::Facts;

/// One accepted envelope recipient and how its copy will be protected.
///
/// `P` says which protection (which certificates, which profile); equal values may share a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed<P> {
    /// The recipient of the envelope.
    pub recipient: Address,
    /// Name of the operator or domain that the body goes to.
    pub route: String,
    /// How it is protected.
    pub protection: P,
}

/// Recipients that share one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<P> {
    /// Envelope recipients of this body, in the order of the envelope.
    pub recipients: Vec<Address>,
    /// Name of the operator or domain.
    pub route: String,
    /// How the body is protected.
    pub protection: P,
    /// Whether this is the body of one blind-copy recipient.
    pub blind: bool,
}

/// Sorts envelope recipients into groups.
///
/// Recipients named in `To` or `Cc` share a body when route and protection are the same. A
/// recipient that the header does not name is a blind copy, whether or not a `Bcc` field said so:
/// it gets a body of its own, so that nobody else's container or signed recipients betray it (A22).
/// A recipient given twice is served once.
pub fn groups<P: PartialEq + Clone>(facts: &Facts, envelope: &[Routed<P>]) -> Vec<Group<P>> {
    let named: HashSet<String> = facts.to.iter().chain(&facts.cc).map(Address::key).collect();
    let mut served: HashSet<String> = HashSet::new();
    let mut groups: Vec<Group<P>> = Vec::new();
    for routed in envelope {
        let key = routed.recipient.key();
        let blind = !named.contains(&key);
        if !served.insert(key) {
            continue;
        }
        let shared = groups.iter_mut().find(|group| {
            !blind && !group.blind && group.route == routed.route && group.protection == routed.protection
        });
        match shared {
            Some(group) => group.recipients.push(routed.recipient.clone()),
            None => groups.push(Group {
                recipients: vec![routed.recipient.clone()],
                route: routed.route.clone(),
                protection: routed.protection.clone(),
                blind,
            }),
        }
    }
    groups
}

/// Whom a body is meant for, as it is written into the signed part (A16): everybody that the
/// header names, and the recipients of this body, of which at most one is blind.
pub fn intended<'a>(facts: &'a Facts, recipients: &'a [Address]) -> Vec<&'a Address> {
    let mut known: HashSet<String> = HashSet::new();
    facts.to.iter().chain(&facts.cc).chain(recipients).filter(|address| known.insert(address.key())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Limits, read};

    fn facts(header: &str) -> Facts {
        read(format!("From: a@ch-exemple.test\r\n{header}\r\n\r\n").as_bytes(), &Limits::default()).unwrap()
    }

    fn routed(all: &[(&str, &str, u8)]) -> Vec<Routed<u8>> {
        all.iter()
            .map(|(address, route, protection)| Routed {
                recipient: Address::parse(address).unwrap(),
                route: (*route).to_owned(),
                protection: *protection,
            })
            .collect()
    }

    fn shape(groups: &[Group<u8>]) -> Vec<(Vec<String>, bool)> {
        groups.iter().map(|g| (g.recipients.iter().map(ToString::to_string).collect(), g.blind)).collect()
    }

    #[test]
    fn same_route_and_protection_share_and_blind_copies_do_not() {
        let facts = facts("To: b@b.test, c@b.test, d@c.test\r\nCc: E@b.test");
        let envelope = routed(&[
            ("b@b.test", "op-b", 1),
            ("hidden@b.test", "op-b", 1),
            ("c@b.test", "op-b", 1),
            ("d@c.test", "op-c", 1),
            ("e@b.test", "op-b", 2),
            ("secret@b.test", "op-b", 1),
            ("B@b.test", "op-b", 1),
        ]);
        let groups = groups(&facts, &envelope);
        let expected = [
            (vec!["b@b.test".to_owned(), "c@b.test".to_owned()], false),
            (vec!["hidden@b.test".to_owned()], true),
            (vec!["d@c.test".to_owned()], false),
            (vec!["e@b.test".to_owned()], false),
            (vec!["secret@b.test".to_owned()], true),
        ];
        assert_eq!(shape(&groups), expected);
        let names: Vec<String> = intended(&facts, &groups[1].recipients).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b@b.test", "c@b.test", "d@c.test", "E@b.test", "hidden@b.test"]);
    }

    proptest! {
        #[test]
        fn everybody_is_served_once_and_no_blind_copy_shares(
            header in proptest::collection::btree_set(0u8..12, 0..6),
            envelope in proptest::collection::vec((0u8..12, 0u8..3, 0u8..2), 0..12),
        ) {
            let to: Vec<String> = header.iter().map(|n| format!("r{n}@x.test")).collect();
            let facts = facts(&format!("To: {}", to.join(", ")));
            let envelope: Vec<Routed<u8>> = envelope.into_iter().map(|(n, route, protection)| Routed {
                recipient: Address::parse(&format!("r{n}@x.test")).unwrap(), route: route.to_string(), protection,
            }).collect();
            let groups = groups(&facts, &envelope);
            let mut served: Vec<String> = groups.iter().flat_map(|g| &g.recipients).map(Address::key).collect();
            served.sort();
            let mut wanted: Vec<String> = envelope.iter().map(|r| r.recipient.key()).collect();
            wanted.sort();
            wanted.dedup();
            prop_assert_eq!(served, wanted);
            for group in &groups {
                let visible = group.recipients.iter().all(|r| facts.names(r));
                prop_assert_eq!(group.blind, !visible);
                prop_assert!(!group.blind || group.recipients.len() == 1);
            }
        }
    }
}
