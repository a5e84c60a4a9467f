//! Writing and signing a trust list in the form that [`super::xades`] verifies.

use std::fmt::Write;

use ident::{Fingerprint, Timestamp};
use openssl::hash::{MessageDigest, hash};
use roxmltree::Document;

use super::{TrustListDraft, TrustListError, xades};
use crate::{
    c14n,
    certificate::Certificate,
    keys::{SignatureScheme, SigningKey},
};

type Result<T> = std::result::Result<T, TrustListError>;

/// Signs a list as XAdES-BASELINE-B, enveloped (mssante §5).
///
/// # Errors
/// [`TrustListError::Signing`].
pub fn sign_trust_list(draft: &TrustListDraft, signer: &dyn SigningKey, at: Timestamp) -> Result<Vec<u8>> {
    sign_written_list(&draft.profile.root, &body(draft), signer, at)
}

/// Signs a list that another program wrote: `list` is the root element `root` from its start to where
/// the signature goes, without the end tag. That the list is in order is the writer's business.
///
/// # Errors
/// [`TrustListError::Signing`].
pub fn sign_written_list(root: &str, list: &str, signer: &dyn SigningKey, at: Timestamp) -> Result<Vec<u8>> {
    if !signer.schemes().contains(&SignatureScheme::RsaPkcs1Sha256) {
        return Err(TrustListError::Signing("the profile wants an RSA key"));
    }
    if !is_plain_name(root) {
        return Err(TrustListError::Signing("the root element's name is no plain XML name"));
    }
    let content = digest(MessageDigest::sha256(), &canonical(&assemble(root, list, ""), root)?)?;
    let id = fingerprint(&content);
    let properties = properties(&id, signer.certificate(), at)?;
    // Each part is canonicalised where it will stand, so that the namespaces in force are the same.
    let signature = |info: &str, value: &str| {
        let certificate = signer.certificate();
        let (ds, subject) = (xades::DS, escape(&certificate.subject().to_string()));
        let encoded = xades::encode(certificate.der());
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{ds}\" Id=\"{id}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
             <ds:KeyInfo><ds:X509Data><ds:X509SubjectName>{subject}</ds:X509SubjectName>\
             <ds:X509Certificate>{encoded}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{properties}</ds:Signature>"
        );
        assemble(root, list, &signature)
    };
    let properties_digest = digest(MessageDigest::sha256(), &canonical(&signature("", ""), "SignedProperties")?)?;
    let info = signed_info(&id, &content, &properties_digest);
    let value = signer
        .sign(SignatureScheme::RsaPkcs1Sha256, &canonical(&signature(&info, ""), "SignedInfo")?)
        .map_err(|_| TrustListError::Signing("the key refused to sign"))?;
    Ok(signature(&info, &xades::encode(&value)).into_bytes())
}

/// The root element up to where the signature goes.
fn body(draft: &TrustListDraft) -> String {
    let (root, namespace) = (&draft.profile.root, escape(&draft.profile.namespace));
    let mut out = format!(
        "<{root} xmlns=\"{namespace}\" versionFormat=\"1.0.0\">\n  <DateDeGeneration>{}</DateDeGeneration>\n  <ListeDomaines>\n",
        draft.generated
    );
    for entry in &draft.entries {
        // Writing into a String cannot fail.
        let _ = write!(
            out,
            "    <Domaine>\n      <Nom>{}</Nom>\n      <Description>{}</Description>\n",
            entry.domain,
            escape(&entry.description)
        );
        for operator in &entry.operators {
            let name = escape(&operator.to_string());
            let _ = writeln!(out, "      <DNCertificatOperateur>{name}</DNCertificatOperateur>");
        }
        let _ = write!(
            out,
            "      <ResponsableContact>{}</ResponsableContact>\n      <SupportContact>{}</SupportContact>\n      \
             <DateMAJ>{}</DateMAJ>\n    </Domaine>\n",
            escape(&entry.responsible),
            escape(&entry.support),
            escape(&entry.updated)
        );
    }
    out.push_str("  </ListeDomaines>\n");
    out
}

fn assemble(root: &str, list: &str, signature: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{list}{signature}</{root}>\n")
}

fn signed_info(id: &str, content: &[u8], properties: &[u8]) -> String {
    let (content, properties) = (xades::encode(content), xades::encode(properties));
    let (c14n, method, sha256) = (xades::EXC_C14N, xades::RSA_SHA256, xades::SHA256);
    let (filter, subtract, kind) = (xades::FILTER2, xades::SUBTRACT, xades::SIGNED_PROPERTIES);
    format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{c14n}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
         <ds:Reference Id=\"r-{id}\" URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{filter}\"><dsig-filter2:XPath xmlns:dsig-filter2=\"{filter}\" Filter=\"subtract\">{subtract}</dsig-filter2:XPath></ds:Transform>\
         <ds:Transform Algorithm=\"{c14n}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{sha256}\"></ds:DigestMethod><ds:DigestValue>{content}</ds:DigestValue></ds:Reference>\
         <ds:Reference Type=\"{kind}\" URI=\"#xades-{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{c14n}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{sha256}\"></ds:DigestMethod><ds:DigestValue>{properties}</ds:DigestValue></ds:Reference>\
         </ds:SignedInfo>"
    )
}

fn properties(id: &str, certificate: &Certificate, at: Timestamp) -> Result<String> {
    let certificate_digest = xades::encode(&digest(MessageDigest::sha512(), certificate.der())?);
    let serial = xades::encode(&xades::issuer_serial(certificate));
    let (namespace, sha512) = (xades::XADES, xades::SHA512);
    Ok(format!(
        "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{namespace}\" Target=\"#{id}\">\
         <xades:SignedProperties Id=\"xades-{id}\"><xades:SignedSignatureProperties>\
         <xades:SigningTime>{at}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>\
         <ds:DigestMethod Algorithm=\"{sha512}\"></ds:DigestMethod><ds:DigestValue>{certificate_digest}</ds:DigestValue>\
         </xades:CertDigest><xades:IssuerSerialV2>{serial}</xades:IssuerSerialV2></xades:Cert></xades:SigningCertificateV2>\
         </xades:SignedSignatureProperties><xades:SignedDataObjectProperties>\
         <xades:DataObjectFormat ObjectReference=\"#r-{id}\"><xades:MimeType>application/octet-stream</xades:MimeType></xades:DataObjectFormat>\
         </xades:SignedDataObjectProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object>"
    ))
}

/// Canonical form of the first element of this name.
fn canonical(xml: &str, name: &str) -> Result<Vec<u8>> {
    const CONFUSED: TrustListError = TrustListError::Signing("the list could not be written as XML");
    let document = Document::parse(xml).map_err(|_| CONFUSED)?;
    let node = document.descendants().find(|node| node.is_element() && node.tag_name().name() == name);
    c14n::exclusive(node.ok_or(CONFUSED)?, None).map_err(|_| CONFUSED)
}

fn digest(algorithm: MessageDigest, octets: &[u8]) -> Result<Vec<u8>> {
    let digest = hash(algorithm, octets).map_err(|_| TrustListError::Signing("the digest failed"))?;
    Ok(digest.to_vec())
}

/// An identifier that follows from the content: signing twice gives the same file.
fn fingerprint(content: &[u8]) -> String {
    let value = <[u8; 32]>::try_from(content).map(Fingerprint::new).map(|it| it.to_string()).unwrap_or_default();
    format!("id-{}", value.get(..32).unwrap_or_default())
}

fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Text for an element or attribute; characters that XML 1.0 does not allow become blanks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
