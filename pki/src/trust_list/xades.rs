//! The one signature form that a trust list may have: XAdES-BASELINE-B, enveloped (mssante §5).
//!
//! Nothing is negotiated. Exactly one signature, the last child of the root; exactly two references,
//! to everything but the signature and to the signed properties; fixed algorithms; exactly one
//! certificate. Whatever else a general XML-signature verifier would follow is refused, so there is
//! nothing to wrap, to move or to nest.

use std::collections::HashSet;

use openssl::{
    base64::{decode_block, encode_block},
    hash::{MessageDigest, hash},
};
use roxmltree::{Document, Node};

use super::TrustListError;
use crate::{
    algorithm::{SignatureAlgorithm, Signed, strong_key},
    c14n,
    certificate::Certificate,
    der::{self, tag},
};

pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
pub(super) const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(super) const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";
pub(super) const FILTER2: &str = "http://www.w3.org/2002/06/xmldsig-filter2";
pub(super) const SIGNED_PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";
pub(super) const SUBTRACT: &str = "/descendant::ds:Signature";
const RSA_SHA256_OID: &str = "1.2.840.113549.1.1.11";

type Result<T> = std::result::Result<T, TrustListError>;

const fn profile(what: &'static str) -> TrustListError {
    TrustListError::Profile(what)
}

/// Checks form, digests and signature value; gives the signer's certificate, not yet judged, and the
/// signature element, which is no part of the list.
pub(super) fn verify<'a, 'i>(document: &'a Document<'i>) -> Result<(Certificate, Node<'a, 'i>)> {
    let root = document.root_element();
    let signature = the_signature(root)?;
    unique_ids(root)?;
    let [signed_info, value, key_info, object] = elements(signature)
        .as_slice()
        .try_into()
        .map_err(|_| profile("Signature holds SignedInfo, SignatureValue, KeyInfo and one Object, and nothing else"))?;
    expect(signed_info, DS, "SignedInfo")?;
    expect(value, DS, "SignatureValue")?;
    expect(key_info, DS, "KeyInfo")?;
    expect(object, DS, "Object")?;
    let certificate = signer_certificate(key_info)?;
    let properties = signed_properties(signature, object)?;
    signing_certificate(properties, &certificate)?;
    references(signed_info, root, signature, properties)?;
    signature_value(signed_info, value, &certificate)?;
    Ok((certificate, signature))
}

/// Exactly one in the whole document, the last child of the root.
fn the_signature<'a, 'i>(root: Node<'a, 'i>) -> Result<Node<'a, 'i>> {
    let mut found = root.descendants().filter(|node| is(*node, DS, "Signature"));
    let (Some(signature), None) = (found.next(), found.next()) else {
        return Err(profile("there is exactly one Signature"));
    };
    let last = root.last_element_child() == Some(signature) && signature.parent() == Some(root);
    let text_after = signature.next_siblings().skip(1).any(|node| !is_blank(node));
    if last && !text_after { Ok(signature) } else { Err(profile("Signature is the last child of the root")) }
}

fn unique_ids(root: Node<'_, '_>) -> Result<()> {
    let mut seen = HashSet::new();
    let ids = root.descendants().flat_map(|node| node.attributes()).filter(|a| a.name().eq_ignore_ascii_case("id"));
    if ids.into_iter().all(|attribute| seen.insert(attribute.value())) {
        Ok(())
    } else {
        Err(profile("every Id occurs once"))
    }
}

/// SignedInfo: methods, then the two references in their order, each recomputed.
fn references(info: Node<'_, '_>, root: Node<'_, '_>, signature: Node<'_, '_>, properties: Node<'_, '_>) -> Result<()> {
    let children = elements(info);
    let [canonical, method, content, props] =
        children.as_slice().try_into().map_err(|_| profile("SignedInfo holds exactly two references"))?;
    algorithm(canonical, "CanonicalizationMethod", EXC_C14N)?;
    algorithm(method, "SignatureMethod", RSA_SHA256)?;

    expect(content, DS, "Reference")?;
    if content.attribute("URI") != Some("") || content.attribute("Type").is_some() {
        return Err(profile("the first reference is to the whole document"));
    }
    let (transforms, digest) = reference_parts(content)?;
    let [filter, then] = transforms.as_slice().try_into().map_err(|_| profile("two transforms"))?;
    subtract_filter(filter)?;
    algorithm(then, "Transform", EXC_C14N)?;
    let canonical = c14n::exclusive(root, Some(signature.id())).map_err(|_| profile("bounded nesting"))?;
    same_digest(&canonical, &digest, "the list was changed after signing")?;

    expect(props, DS, "Reference")?;
    let id = properties.attribute("Id").ok_or(profile("SignedProperties has an Id"))?;
    let target = props.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
    if target != Some(id) || props.attribute("Type") != Some(SIGNED_PROPERTIES) {
        return Err(profile("the second reference is to the signed properties"));
    }
    let (transforms, digest) = reference_parts(props)?;
    let [only] = transforms.as_slice().try_into().map_err(|_| profile("one transform"))?;
    algorithm(only, "Transform", EXC_C14N)?;
    let canonical = c14n::exclusive(properties, None).map_err(|_| profile("bounded nesting"))?;
    same_digest(&canonical, &digest, "the signed properties were changed after signing")
}

fn reference_parts<'a, 'i>(reference: Node<'a, 'i>) -> Result<(Vec<Node<'a, 'i>>, Vec<u8>)> {
    let children = elements(reference);
    let [transforms, method, value] = children
        .as_slice()
        .try_into()
        .map_err(|_| profile("a reference holds Transforms, DigestMethod and DigestValue"))?;
    expect(transforms, DS, "Transforms")?;
    algorithm(method, "DigestMethod", SHA256)?;
    expect(value, DS, "DigestValue")?;
    Ok((elements(transforms), base64(value)?))
}

/// `<XPath Filter="subtract">/descendant::ds:Signature</XPath>`, with `ds` meaning what it says.
fn subtract_filter(transform: Node<'_, '_>) -> Result<()> {
    expect(transform, DS, "Transform")?;
    let children = elements(transform);
    let [path] = children.as_slice().try_into().map_err(|_| profile("one XPath in the filter"))?;
    expect(path, FILTER2, "XPath")?;
    let right = transform.attribute("Algorithm") == Some(FILTER2)
        && path.attribute("Filter") == Some("subtract")
        && text(path)?.trim() == SUBTRACT
        && path.lookup_namespace_uri(Some("ds")) == Some(DS);
    if right { Ok(()) } else { Err(profile("the filter takes away the signature and nothing else")) }
}

fn same_digest(canonical: &[u8], expected: &[u8], what: &'static str) -> Result<()> {
    let digest = hash(MessageDigest::sha256(), canonical).map_err(|_| TrustListError::Signature(what))?;
    if &*digest == expected { Ok(()) } else { Err(TrustListError::Signature(what)) }
}

fn signature_value(info: Node<'_, '_>, value: Node<'_, '_>, certificate: &Certificate) -> Result<()> {
    if !strong_key(certificate.key()) {
        return Err(TrustListError::Signature("the signer's key is too weak"));
    }
    let canonical = c14n::exclusive(info, None).map_err(|_| profile("bounded nesting"))?;
    let signed = SignatureAlgorithm::of(RSA_SHA256_OID, &[])
        .zip(Some(base64(value)?))
        .and_then(|(algorithm, signature)| Signed::new(algorithm, &canonical, &signature));
    if signed.is_some_and(|signed| signed.verified_by(certificate.public_key())) {
        Ok(())
    } else {
        Err(TrustListError::Signature("the signature value is not the signer's"))
    }
}

/// Exactly one certificate; the chain comes from our anchors, never from the document.
fn signer_certificate(key_info: Node<'_, '_>) -> Result<Certificate> {
    let mut certificates = Vec::new();
    for data in elements(key_info) {
        expect(data, DS, "X509Data")?;
        for part in elements(data) {
            if is(part, DS, "X509Certificate") {
                certificates.push(part);
            } else {
                expect(part, DS, "X509SubjectName")?;
            }
        }
    }
    let [only] = certificates.as_slice().try_into().map_err(|_| profile("KeyInfo holds one certificate"))?;
    Certificate::from_der(&base64(only)?).map_err(|_| profile("the signer's certificate can be read"))
}

/// Object / QualifyingProperties / SignedProperties, at this very place.
fn signed_properties<'a, 'i>(signature: Node<'a, 'i>, object: Node<'a, 'i>) -> Result<Node<'a, 'i>> {
    let qualifying = only_child(object, XADES, "QualifyingProperties")?;
    let target = qualifying.attribute("Target").and_then(|target| target.strip_prefix('#'));
    if target.is_none() || target != signature.attribute("Id") {
        return Err(profile("the properties are those of this signature"));
    }
    only_child(qualifying, XADES, "SignedProperties")
}

/// SigningCertificateV2 binds the certificate into what is signed.
fn signing_certificate(properties: Node<'_, '_>, certificate: &Certificate) -> Result<()> {
    let of_signature = first_child(properties, XADES, "SignedSignatureProperties")?;
    first_child(of_signature, XADES, "SigningTime")?;
    let reference = only_child(first_child(of_signature, XADES, "SigningCertificateV2")?, XADES, "Cert")?;
    let digest = first_child(reference, XADES, "CertDigest")?;
    let algorithm = match first_child(digest, DS, "DigestMethod")?.attribute("Algorithm") {
        Some(SHA512) => MessageDigest::sha512(),
        Some(SHA256) => MessageDigest::sha256(),
        _ => return Err(profile("the certificate's digest is SHA-256 or SHA-512")),
    };
    let mismatch = TrustListError::Signature("the signed properties name another certificate");
    let computed = hash(algorithm, certificate.der()).map_err(|_| mismatch.clone())?;
    if *computed != *base64(first_child(digest, DS, "DigestValue")?)? {
        return Err(mismatch);
    }
    let serial = elements(reference).into_iter().find(|node| is(*node, XADES, "IssuerSerialV2"));
    match serial {
        Some(node) if base64(node)? != issuer_serial(certificate) => Err(mismatch),
        _ => Ok(()),
    }
}

/// IssuerSerial of RFC 5035: the issuer as GeneralNames, and the serial number.
pub(super) fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    let issuer = der::sequence(&[der::context(4, &[certificate.issuer_der()])]);
    der::sequence(&[issuer, der::tlv(tag::INTEGER, certificate.serial())])
}

pub(super) fn encode(octets: &[u8]) -> String {
    encode_block(octets)
}

fn base64(node: Node<'_, '_>) -> Result<Vec<u8>> {
    let compact: String = text(node)?.split_ascii_whitespace().collect();
    decode_block(&compact).map_err(|_| profile("values are in base64"))
}

fn algorithm(node: Node<'_, '_>, name: &str, uri: &str) -> Result<()> {
    expect(node, DS, name)?;
    // No parameters: an InclusiveNamespaces list would change what is signed.
    if node.attribute("Algorithm") == Some(uri) && elements(node).is_empty() {
        Ok(())
    } else {
        Err(profile("the algorithms are exclusive c14n, RSA with SHA-256, SHA-256"))
    }
}

pub(super) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

fn expect(node: Node<'_, '_>, namespace: &str, name: &str) -> Result<()> {
    if is(node, namespace, name) { Ok(()) } else { Err(profile("elements are in their place")) }
}

pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    node.children().filter(Node::is_element).collect()
}

fn only_child<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Result<Node<'a, 'i>> {
    match elements(node).as_slice() {
        [only] if is(*only, namespace, name) => Ok(*only),
        _ => Err(profile("elements are in their place")),
    }
}

fn first_child<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Result<Node<'a, 'i>> {
    let mut found = elements(node).into_iter().filter(|child| is(*child, namespace, name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(profile("elements are in their place")),
    }
}

fn is_blank(node: Node<'_, '_>) -> bool {
    node.is_comment() || (node.is_text() && node.text().unwrap_or_default().trim().is_empty())
}

/// The text of an element that holds text only. A comment in the middle would let one reader see
/// less than another.
pub(super) fn text<'a>(node: Node<'a, '_>) -> Result<std::borrow::Cow<'a, str>> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Ok("".into()),
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or_default().into()),
        _ if node.children().all(|child| child.is_text()) => {
            Ok(node.children().filter_map(|child| child.text()).collect::<String>().into())
        }
        _ => Err(TrustListError::Structure("a value holds something else than text")),
    }
}
