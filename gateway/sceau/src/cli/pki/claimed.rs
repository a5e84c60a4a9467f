//! What a trust list claims about itself, for the settings that the caller did not give. Nothing of
//! it is believed: verification has to find the very same names in the signed and certified parts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::{certificate::Certificate, name::Attribute};
use roxmltree::{Document, ParsingOptions};

/// XML signatures (W3C xmldsig-core).
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Most nodes: the same bound as the verification's.
const MAX_NODES: u32 = 4_000_000;

/// The settings of a list, as it claims them; empty where it claims nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) root: String,
    pub(super) namespace: String,
    pub(super) signer_cn: String,
    pub(super) signer_ou: String,
}

/// Reads the claims; nothing if the file is no XML.
pub(super) fn claimed(xml: &[u8]) -> Option<Claimed> {
    let text = std::str::from_utf8(xml).ok()?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    let signature = root.children().find(|node| node.tag_name().namespace() == Some(DSIG));
    let certificate = signature
        .and_then(|node| node.descendants().find(|node| node.tag_name().name() == "X509Certificate"))
        .and_then(|node| node.text())
        .and_then(|text| STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok())
        .and_then(|der| Certificate::from_der(&der).ok());
    let only = |attribute| {
        let subject = certificate.as_ref().map(Certificate::subject);
        subject.and_then(|name| name.single(attribute)).unwrap_or_default().to_owned()
    };
    Some(Claimed {
        root: root.tag_name().name().to_owned(),
        namespace: root.tag_name().namespace().unwrap_or_default().to_owned(),
        signer_cn: only(Attribute::CommonName),
        signer_ou: only(Attribute::OrganizationalUnit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_a_list_without_signature_are_empty_names() {
        let claims = claimed(b"<L xmlns='urn:x'><Signature/></L>").unwrap();
        assert_eq!(claims, Claimed { root: "L".into(), namespace: "urn:x".into(), ..Claimed::default() });
        assert_eq!(claimed(b"no xml"), None);
    }
}
