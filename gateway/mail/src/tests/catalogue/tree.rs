//! DER taken apart and put together again, to make one thing in a container wrong.

use std::ops::{Deref, DerefMut};

use pki::der;

/// A value: its tag, and what is in it.
#[derive(Debug, Clone)]
pub(in crate::tests) enum Tree {
    Plain(u8, Vec<u8>),
    Of(u8, Vec<Tree>),
}

impl Tree {
    /// One value of definite length.
    pub(super) fn of(der: &[u8]) -> Self {
        let (tree, rest) = Self::next(der);
        assert!(rest.is_empty(), "one value");
        tree
    }

    fn next(der: &[u8]) -> (Self, &[u8]) {
        let (tag, first) = (der[0], der[1]);
        let long = usize::from(if first < 0x80 { 0 } else { first & 0x7f });
        let length = match first {
            0..0x80 => usize::from(first),
            _ => der[2..2 + long].iter().fold(0, |sum, octet| sum * 256 + usize::from(*octet)),
        };
        let (content, rest) = der[2 + long..].split_at(length);
        if tag & 0x20 == 0 {
            return (Self::Plain(tag, content.to_vec()), rest);
        }
        let (mut members, mut left) = (Vec::new(), content);
        while !left.is_empty() {
            let (member, after) = Self::next(left);
            members.push(member);
            left = after;
        }
        (Self::Of(tag, members), rest)
    }

    pub(super) fn der(&self) -> Vec<u8> {
        match self {
            Self::Plain(tag, content) => der::tlv(*tag, content),
            Self::Of(tag, members) => der::tlv(*tag, &members.iter().flat_map(Self::der).collect::<Vec<_>>()),
        }
    }

    /// The same in BER as streaming software writes it: indefinite lengths, and the content in pieces.
    pub(super) fn streamed(&self) -> Vec<u8> {
        match self {
            // A certificate is DER wherever it stands.
            Self::Of(_, members) if matches!(members.last(), Some(Self::Plain(3, _))) => self.der(),
            Self::Of(tag, members) => {
                let inner: Vec<u8> = members.iter().flat_map(Self::streamed).collect();
                [&[*tag, 0x80][..], &inner, &[0, 0]].concat()
            }
            // A string of octets, its own or that of an implicit tag, in pieces of three sizes.
            Self::Plain(tag @ (4 | 0x80), content) if content.len() > 64 => {
                let (first, rest) = content.split_at(1);
                let (second, third) = rest.split_at(40);
                let pieces = [first, &[], second].map(der::octet_string).concat();
                let nested = [&[0x24, 0x80][..], &der::octet_string(third), &[0, 0]].concat();
                [&[*tag | 0x20, 0x80][..], &pieces, &nested, &[0, 0]].concat()
            }
            Self::Plain(..) => self.der(),
        }
    }

    /// The value at this path of members.
    pub(in crate::tests) fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |tree, member| &mut tree[*member])
    }

    /// The octets of a plain value.
    pub(in crate::tests) fn octets(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(_, content) => content,
            Self::Of(..) => panic!("a plain value"),
        }
    }
}

impl Deref for Tree {
    type Target = Vec<Tree>;

    fn deref(&self) -> &Vec<Tree> {
        match self {
            Self::Of(_, members) => members,
            Self::Plain(..) => panic!("a value with members"),
        }
    }
}

impl DerefMut for Tree {
    fn deref_mut(&mut self) -> &mut Vec<Tree> {
        match self {
            Self::Of(_, members) => members,
            Self::Plain(..) => panic!("a value with members"),
        }
    }
}

/// The container with one thing made wrong.
pub(in crate::tests) fn changed(container: &[u8], change: impl FnOnce(&mut Tree)) -> Vec<u8> {
    let mut tree = Tree::of(container);
    change(&mut tree);
    tree.der()
}

/// Another object identifier, another value.
pub(super) fn oid(dotted: &str) -> Tree {
    Tree::of(&der::oid(dotted).unwrap())
}
