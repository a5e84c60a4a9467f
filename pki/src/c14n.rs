//! Exclusive XML canonicalisation without comments (W3C xml-exc-c14n), over a parsed document.
//!
//! The document that is verified is the document that is read: there is no second parser that could
//! see something else.

use std::{borrow::Cow, collections::BTreeMap};

use roxmltree::{Attribute, Node, NodeId, NodeType};
use thiserror::Error;

/// Deepest nesting that is canonicalised; the trust list has about ten levels.
const MAX_DEPTH: usize = 64;
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// The document cannot be canonicalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the XML is nested too deeply, or not consistent")]
pub(crate) struct CannotCanonicalise;

/// The canonical form of `node` and what is in it, without the subtree `without`.
pub(crate) fn exclusive(node: Node<'_, '_>, without: Option<NodeId>) -> Result<Vec<u8>, CannotCanonicalise> {
    let mut writer = Writer { out: Vec::new(), without };
    writer.node(node, &BTreeMap::new(), 0)?;
    Ok(writer.out)
}

/// Prefixes whose declaration stands in an ancestor of the output; the default namespace is `""`.
type Rendered<'a> = BTreeMap<&'a str, &'a str>;

struct Writer {
    out: Vec<u8>,
    without: Option<NodeId>,
}

impl Writer {
    fn node(&mut self, node: Node<'_, '_>, rendered: &Rendered<'_>, depth: usize) -> Result<(), CannotCanonicalise> {
        if self.without == Some(node.id()) {
            return Ok(());
        }
        match node.node_type() {
            NodeType::Element if depth < MAX_DEPTH => self.element(node, rendered, depth),
            NodeType::Element => Err(CannotCanonicalise),
            NodeType::Text => {
                escape(&mut self.out, node.text().unwrap_or_default(), text_escape);
                Ok(())
            }
            NodeType::PI => {
                let pi = node.pi().ok_or(CannotCanonicalise)?;
                self.put(&["<?", pi.target]);
                if let Some(value) = pi.value.filter(|value| !value.is_empty()) {
                    self.put(&[" ", value]);
                }
                self.put(&["?>"]);
                Ok(())
            }
            NodeType::Comment => Ok(()),
            NodeType::Root => node.children().try_for_each(|child| self.node(child, rendered, depth)),
        }
    }

    fn element(&mut self, node: Node<'_, '_>, rendered: &Rendered<'_>, depth: usize) -> Result<(), CannotCanonicalise> {
        let name = element_name(node)?;
        let mut attributes = Vec::new();
        for attribute in node.attributes() {
            attributes.push((
                attribute.namespace().unwrap_or_default(),
                attribute.name(),
                qualified(node, &attribute)?,
                attribute,
            ));
        }
        attributes.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));

        // Only what the element and its attributes visibly use is declared.
        let mut used: BTreeMap<&str, &str> = BTreeMap::new();
        used.insert(prefix(name), node.tag_name().namespace().unwrap_or_default());
        for (namespace, _, qualified, _) in &attributes {
            if !prefix(qualified).is_empty() {
                used.insert(prefix(qualified), namespace);
            }
        }
        // Copied only where something is declared: most elements declare nothing.
        let mut rendered = Cow::Borrowed(rendered);
        self.put(&["<", name]);
        for (prefix, namespace) in used {
            // Declared above, or "no default namespace" where none is in force.
            let known = rendered.get(prefix).copied().unwrap_or_default();
            if prefix == "xml" || namespace == XML_NAMESPACE || known == namespace {
                continue;
            }
            if prefix.is_empty() {
                self.put(&[" xmlns=\""]);
            } else {
                self.put(&[" xmlns:", prefix, "=\""]);
            }
            escape(&mut self.out, namespace, attribute_escape);
            self.put(&["\""]);
            rendered.to_mut().insert(prefix, namespace);
        }
        for (_, _, qualified, attribute) in &attributes {
            self.put(&[" ", qualified, "=\""]);
            escape(&mut self.out, attribute.value(), attribute_escape);
            self.put(&["\""]);
        }
        self.put(&[">"]);
        for child in node.children() {
            self.node(child, &rendered, depth.saturating_add(1))?;
        }
        self.put(&["</", name, ">"]);
        Ok(())
    }

    fn put(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }
}

/// The name as written, prefix included: the tree keeps only its meaning, the source has the rest.
fn element_name<'a>(node: Node<'a, '_>) -> Result<&'a str, CannotCanonicalise> {
    let source = node.document().input_text().get(node.range()).and_then(|text| text.strip_prefix('<'));
    let name = source.and_then(|text| text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).next());
    name.filter(|name| local(name) == node.tag_name().name()).ok_or(CannotCanonicalise)
}

fn qualified<'a>(node: Node<'a, '_>, attribute: &Attribute<'_, '_>) -> Result<&'a str, CannotCanonicalise> {
    let name = node.document().input_text().get(attribute.range_qname());
    name.filter(|name| local(name) == attribute.name()).ok_or(CannotCanonicalise)
}

fn prefix(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

fn escape(out: &mut Vec<u8>, text: &str, replacement: fn(u8) -> Option<&'static str>) {
    for octet in text.bytes() {
        match replacement(octet) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => out.push(octet),
        }
    }
}

fn text_escape(octet: u8) -> Option<&'static str> {
    Some(match octet {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'\r' => "&#xD;",
        _ => return None,
    })
}

fn attribute_escape(octet: u8) -> Option<&'static str> {
    Some(match octet {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'"' => "&quot;",
        b'\t' => "&#x9;",
        b'\n' => "&#xA;",
        b'\r' => "&#xD;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn canonical(xml: &str) -> String {
        let document = Document::parse(xml).unwrap();
        String::from_utf8(exclusive(document.root_element(), None).unwrap()).unwrap()
    }

    #[test]
    fn declares_only_what_is_used_where_it_is_used() {
        let xml = r#"<a xmlns="urn:a" xmlns:b="urn:b" xmlns:c="urn:c"><b:x c:z="1" y="2"><b:y/></b:x><n xmlns=""/><b:x/></a>"#;
        let expected = r#"<a xmlns="urn:a"><b:x xmlns:b="urn:b" xmlns:c="urn:c" y="2" c:z="1"><b:y></b:y></b:x><n xmlns=""></n><b:x xmlns:b="urn:b"></b:x></a>"#;
        assert_eq!(canonical(xml), expected);
        assert_eq!(canonical("<n xmlns=''><m/></n>"), "<n><m></m></n>");
    }

    #[test]
    fn a_prefix_may_change_its_meaning() {
        let xml = r#"<p:a xmlns:p="urn:1"><p:a xmlns:p="urn:2"><p:a/></p:a><p:a/></p:a>"#;
        let expected = r#"<p:a xmlns:p="urn:1"><p:a xmlns:p="urn:2"><p:a></p:a></p:a><p:a></p:a></p:a>"#;
        assert_eq!(canonical(xml), expected);
        // Two prefixes of one namespace stay as written.
        let xml = r#"<p:a xmlns:p="urn:1" xmlns:q="urn:1"><q:a q:b="" p:a=""/></p:a>"#;
        let expected = r#"<p:a xmlns:p="urn:1"><q:a xmlns:q="urn:1" p:a="" q:b=""></q:a></p:a>"#;
        assert_eq!(canonical(xml), expected);
    }

    #[test]
    fn text_and_attributes_are_escaped_comments_are_gone() {
        let xml = "<a b='&quot;&#9;&#10;&#13;&lt;>&amp;&apos;\n'>x<!-- c -->y&gt;&#13;\r\n<![CDATA[<&]]><?p  d ?></a>";
        let expected = "<a b=\"&quot;&#x9;&#xA;&#xD;&lt;>&amp;' \">xy&gt;&#xD;\n&lt;&amp;<?p d ?></a>";
        assert_eq!(canonical(xml), expected);
    }

    #[test]
    fn a_subtree_can_be_left_out_and_depth_is_bounded() {
        let document = Document::parse("<a><b><c/></b>x</a>").unwrap();
        let b = document.root_element().first_element_child().unwrap();
        assert_eq!(exclusive(document.root_element(), Some(b.id())).unwrap(), b"<a>x</a>");
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        let bearable = deep(MAX_DEPTH);
        assert!(exclusive(Document::parse(&bearable).unwrap().root_element(), None).is_ok());
        let absurd = deep(MAX_DEPTH + 1);
        assert!(exclusive(Document::parse(&absurd).unwrap().root_element(), None).is_err());
    }
}
