//! Messages of LDAP as trees of elements: what is changed is one of these, and the lengths above it are made right.

use super::Dice;

/// Deepest nesting that is taken apart.
const DEEPEST: usize = 40;
/// Tags that stand for something in LDAP.
const TAGS: [u8; 16] = [0x02, 0x04, 0x0a, 0x30, 0x80, 0x81, 0x82, 0x87, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa8, 0xa9];

/// One element.
#[derive(Clone)]
struct Node {
    tag: u8,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Octets(Vec<u8>),
    Nodes(Vec<Node>),
}

/// Changes one to three elements of the messages behind the first octet.
pub(super) fn change(input: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let Some((&kind, stream)) = input.split_first() else { return false };
    let Some(mut nodes) = read(stream, 0).filter(|nodes| !nodes.is_empty()) else { return false };
    for _ in 0..=dice.below(3) {
        change_one(&mut nodes, dice);
    }
    let mut out = vec![kind];
    nodes.iter().for_each(|node| write(node, &mut out));
    *input = out;
    true
}

fn read(mut octets: &[u8], depth: usize) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while let [tag, first, after @ ..] = octets {
        let digits = usize::from(first.saturating_sub(0x80));
        if digits > 4 || *first == 0x80 || depth > DEEPEST {
            return None;
        }
        let (head, after) = after.split_at_checked(digits)?;
        let long = head.iter().fold(0usize, |sum, digit| (sum << 8) | usize::from(*digit));
        let (content, rest) = after.split_at_checked(if digits == 0 { usize::from(*first) } else { long })?;
        let inside = if tag & 0x20 == 0 { None } else { read(content, depth.saturating_add(1)) };
        nodes.push(Node {
            tag: *tag,
            content: inside.map_or_else(|| Content::Octets(content.to_vec()), Content::Nodes),
        });
        octets = rest;
    }
    octets.is_empty().then_some(nodes)
}

fn write(node: &Node, out: &mut Vec<u8>) {
    let mut inside = Vec::new();
    match &node.content {
        Content::Octets(octets) => inside.extend_from_slice(octets),
        Content::Nodes(nodes) => nodes.iter().for_each(|node| write(node, &mut inside)),
    }
    out.push(node.tag);
    match u8::try_from(inside.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            out.push(0x84);
            out.extend_from_slice(&u32::try_from(inside.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&inside);
}

/// What may be changed: every element, in the order in which they begin.
fn all<'n>(nodes: &'n mut [Node], wanted: &dyn Fn(&Node) -> bool, found: &mut Vec<&'n mut Node>) {
    for node in nodes {
        if wanted(node) {
            found.push(node);
        } else if let Content::Nodes(inside) = &mut node.content {
            all(inside, wanted, found);
        }
    }
}

fn count(nodes: &[Node]) -> usize {
    let below = nodes.iter().map(|node| match &node.content {
        Content::Nodes(inside) => count(inside).saturating_add(1),
        Content::Octets(_) => 1,
    });
    below.sum()
}

/// The list in which an element stands, and its place there.
fn at(nodes: &mut Vec<Node>, mut place: usize) -> Option<(&mut Vec<Node>, usize)> {
    let mut here = 0usize;
    while let Some(node) = nodes.get(here) {
        if place == 0 {
            return Some((nodes, here));
        }
        let size = count(std::slice::from_ref(node));
        if place < size {
            let Content::Nodes(inside) = &mut nodes.get_mut(here)?.content else { return None };
            return at(inside, place.saturating_sub(1));
        }
        place = place.saturating_sub(size);
        here = here.saturating_add(1);
    }
    None
}

fn change_one(nodes: &mut Vec<Node>, dice: &mut Dice) {
    let (size, choice, other) = (count(nodes), dice.below(6), dice.below(2) == 0);
    let place = dice.below(size);
    match choice {
        // Numbers are short, and small ones mean most.
        0 | 1 => {
            let mut numbers = Vec::new();
            let number =
                |node: &Node| matches!((&node.content, node.tag), (Content::Octets(o), 1 | 2 | 0x0a) if o.len() < 5);
            all(nodes, &number, &mut numbers);
            let chosen = dice.below(numbers.len());
            if let Some(node) = numbers.into_iter().nth(chosen) {
                node.content = Content::Octets(vec![u8::try_from(dice.below(8)).unwrap_or(0)]);
            }
        }
        // Parts of a filter: not this one, or one of several.
        2 | 3 => {
            let mut parts = Vec::new();
            all(nodes, &|node: &Node| matches!(node.tag, 0x87 | 0xa1..=0xa9), &mut parts);
            let chosen = dice.below(parts.len());
            if let Some(node) = parts.into_iter().nth(chosen) {
                let several = if dice.below(2) == 0 { 0xa0 } else { 0xa1 };
                let tag = if other { 0xa2 } else { several };
                *node = Node { tag, content: Content::Nodes(vec![node.clone()]) };
            }
        }
        4 if other => {
            if let Some((list, here)) = at(nodes, place) {
                list.remove(here);
            }
        }
        4 => {
            if let Some((list, here)) = at(nodes, place)
                && let Some(node) = list.get_mut(here)
            {
                node.tag = TAGS.get(dice.below(TAGS.len())).copied().unwrap_or(0x04);
            }
        }
        // Another element of the input beside this one, or in its place.
        _ => {
            let from = dice.below(size);
            let copied = at(nodes, from).and_then(|(list, here)| list.get(here).cloned());
            if let (Some(copied), Some((list, here))) = (copied, at(nodes, place)) {
                if other {
                    list.insert(here, copied);
                } else if let Some(node) = list.get_mut(here) {
                    *node = copied;
                }
            }
        }
    }
}
