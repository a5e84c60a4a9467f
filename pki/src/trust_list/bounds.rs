//! Bounds on the text before there is a tree of it: nobody has signed yet what is read here.
//!
//! An XML parser does work that grows with the square of the attributes of one element and of the
//! namespaces in scope. A real list has two attributes in an element and four namespaces in all.

use super::TrustListError;

/// Deepest nesting; a real list has about ten levels.
const MAX_DEPTH: usize = 64;
/// Most octets from `<` to `>`.
const MAX_TAG: usize = 16 * 1024;
/// Most attributes in one element, namespace declarations among them.
const MAX_ATTRIBUTES: usize = 32;
/// Most namespace declarations in the whole document.
const MAX_NAMESPACES: usize = 256;

/// One pass over the octets. It need not understand XML exactly: what it takes for too much is refused,
/// and what it lets pass is bounded.
pub(super) fn check(text: &str) -> Result<(), TrustListError> {
    let refused = |what| Err(TrustListError::Structure(what));
    let (mut depth, mut namespaces) = (0usize, 0usize);
    let mut rest = text;
    while let Some((_, from)) = rest.split_once('<') {
        if let Some(section) = skipped(from) {
            match section {
                Some(after) => rest = after,
                None => return refused("a comment or section has no end"),
            }
            continue;
        }
        let Some(tag) = Tag::read(from) else {
            return refused("a tag has no end, or is longer than any real one");
        };
        if tag.attributes > MAX_ATTRIBUTES {
            return refused("an element has more attributes than any real one");
        }
        namespaces = namespaces.saturating_add(tag.namespaces);
        if namespaces > MAX_NAMESPACES {
            return refused("there are more namespace declarations than any real list has");
        }
        if from.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !tag.is_empty {
            depth = depth.saturating_add(1);
            if depth > MAX_DEPTH {
                return refused("it is nested more deeply than any real list");
            }
        }
        rest = from.get(tag.length..).unwrap_or_default();
    }
    Ok(())
}

/// What follows a comment, a CDATA section or an instruction; `Some(None)` when it does not end.
fn skipped(from: &str) -> Option<Option<&str>> {
    let end = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")]
        .into_iter()
        .find_map(|(start, end)| Some((from.strip_prefix(start)?, end)));
    end.map(|(inside, end)| inside.split_once(end).map(|(_, after)| after))
}

/// A tag after its `<`.
struct Tag {
    /// Octets up to and with the `>`.
    length: usize,
    attributes: usize,
    namespaces: usize,
    is_empty: bool,
}

impl Tag {
    fn read(from: &str) -> Option<Self> {
        let mut tag = Self { length: 0, attributes: 0, namespaces: 0, is_empty: false };
        let (mut quote, mut before) = (None, b' ');
        let octets = from.as_bytes();
        for (at, octet) in octets.iter().copied().enumerate().take(MAX_TAG) {
            match (quote, octet) {
                (Some(open), close) if open == close => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(octet),
                (None, b'=') => tag.attributes = tag.attributes.saturating_add(1),
                (None, b'>') => {
                    tag.is_empty = before == b'/';
                    tag.length = at.saturating_add(1);
                    return Some(tag);
                }
                (None, b'x') if octets.get(at..at.saturating_add(5)) == Some(b"xmlns") => {
                    tag.namespaces = tag.namespaces.saturating_add(1);
                }
                (None, _) => {}
            }
            before = octet;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_documents_pass_and_absurd_ones_do_not() {
        let attributes = |n: usize| (0..n).map(|i| format!(" a{i}=\"=>'\"")).collect::<String>();
        let spaces = |n: usize| (0..n).map(|i| format!("<a xmlns:n{i}='u'/>")).collect::<String>();
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        for good in [
            "<?xml version='1.0'?><a b=\"c\"/>".to_owned(),
            format!("<a{}/>", attributes(MAX_ATTRIBUTES)),
            format!("<a>{}</a>", spaces(MAX_NAMESPACES)),
            nested(MAX_DEPTH),
            "<a><!-- < <b c='' --><![CDATA[<<<]]></a>".to_owned(),
            format!("<a>{}</a>", "<b/>".repeat(1000)),
            String::new(),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for bad in [
            format!("<a{}/>", attributes(MAX_ATTRIBUTES + 1)),
            format!("<a>{}</a>", spaces(MAX_NAMESPACES + 1)),
            nested(MAX_DEPTH + 1),
            format!("<a b='{}'/>", "x".repeat(MAX_TAG)),
            "<a".to_owned(),
            "<a b='>".to_owned(),
            "<a><!-- </a>".to_owned(),
        ] {
            assert!(check(&bad).is_err(), "{}", bad.chars().take(80).collect::<String>());
        }
    }
}
