//! Of whom a filter can be true at all, told from the filter alone.

use super::{
    filter::{Node, Test},
    schema::Attr,
};

/// Digits of an RPPS number, without and with its type digit: no structure's number is as long.
const RPPS: [usize; 2] = [11, 12];

/// Whether a part is one that the index answers whole, and with few. The number of a structure leads to all who work there.
pub(super) fn names(node: &Node) -> bool {
    let Node::Leaf(leaf) = node else { return false };
    match (leaf.attr, &leaf.test) {
        (Some(Attr::Mail), Test::Equal(_)) => true,
        (Some(Attr::Uid | Attr::EmployeeNumber), Test::Equal(text)) => RPPS.contains(&text.raw.len()),
        _ => false,
    }
}

/// The addresses of which an entry must have one for the filter to be true; nothing where it may have any, or none.
pub(super) fn addresses(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Leaf(leaf) => match &leaf.test {
            Test::Equal(text) | Test::Exact(text) if leaf.attr == Some(Attr::Mail) => {
                Some(vec![text.raw.to_lowercase()])
            }
            _ => None,
        },
        Node::And(parts) => parts.iter().find_map(addresses),
        Node::Or(parts) if !parts.is_empty() => {
            let all: Option<Vec<Vec<String>>> = parts.iter().map(addresses).collect();
            all.map(|all| all.concat())
        }
        Node::Or(_) | Node::Not(_) => None,
    }
}

/// Whether a part says next to nothing, and costs that.
pub(super) fn costs_nothing(node: &Node) -> bool {
    matches!(node, Node::Leaf(leaf) if leaf.test == Test::Present) || is_equality(node, &[Attr::ObjectClass])
}

fn is_equality(node: &Node, wanted: &[Attr]) -> bool {
    let Node::Leaf(leaf) = node else { return false };
    matches!(leaf.test, Test::Equal(_)) && leaf.attr.is_some_and(|attr| wanted.contains(&attr))
}

/// Whether the filter can be true of people and structures only: what is asked for stands in no folder.
pub(super) fn is_about_entries(node: &Node) -> bool {
    match node {
        Node::Leaf(leaf) => leaf.attr.is_some_and(|attr| ENTRIES_ONLY.contains(&attr)),
        Node::And(parts) => parts.iter().any(is_about_entries),
        Node::Or(parts) => !parts.is_empty() && parts.iter().all(is_about_entries),
        Node::Not(_) => false,
    }
}

/// Attributes that no folder, and neither the root nor the subschema, has.
const ENTRIES_ONLY: [Attr; 8] = [
    Attr::Mail,
    Attr::Uid,
    Attr::EmployeeNumber,
    Attr::Surname,
    Attr::GivenName,
    Attr::DisplayName,
    Attr::Locality,
    Attr::StructureId,
];
