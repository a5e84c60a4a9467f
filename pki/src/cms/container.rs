//! The outermost layer of every CMS object: ContentInfo (RFC 5652 §3), read and written.

use std::fmt;

use super::{
    oid,
    reader::{Element, Length, Malformed, Reader, header},
};
use crate::der;

/// What a CMS object is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerKind {
    /// Signed data (RFC 5652 §5).
    Signed,
    /// Enveloped data, encrypted without integrity (RFC 5652 §6).
    Enveloped,
    /// Authenticated enveloped data, AES-GCM (RFC 5083).
    AuthEnveloped,
    /// Compressed data (RFC 3274), which nobody here opens (A20).
    Compressed,
    /// Another type, by its dotted identifier.
    Other(String),
}

impl ContainerKind {
    pub(crate) fn of(oid: &[u8]) -> Self {
        match oid {
            oid::SIGNED_DATA => Self::Signed,
            oid::ENVELOPED_DATA => Self::Enveloped,
            oid::AUTH_ENVELOPED_DATA => Self::AuthEnveloped,
            oid::COMPRESSED_DATA => Self::Compressed,
            _ => Self::Other(oid::dotted(oid)),
        }
    }
}

impl fmt::Display for ContainerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signed data",
            Self::Enveloped => "enveloped data",
            Self::AuthEnveloped => "authenticated enveloped data",
            Self::Compressed => "compressed data",
            Self::Other(oid) => oid,
        })
    }
}

/// What a CMS object in DER or BER is, by its object identifier and nothing else (H18).
///
/// # Errors
/// The octets are not one complete CMS object.
pub fn kind(cms: &[u8]) -> Result<ContainerKind, Malformed> {
    read(cms).map(|(kind, _)| kind)
}

/// Whether octets begin as a signed, encrypted or compressed object does, in DER or BER: enough to know one
/// that is called something else, by its first forty octets.
pub fn begins(octets: &[u8]) -> bool {
    let Ok((der::tag::SEQUENCE, _, inside)) = header(octets) else { return false };
    let Ok((der::tag::OID, Length::Definite(length), content)) = header(inside) else { return false };
    let kind = content.get(..length).map(ContainerKind::of);
    kind.is_some_and(|kind| !matches!(kind, ContainerKind::Other(_)))
}

/// The kind of an object, and a reader over the members of its content.
pub(crate) fn read(cms: &[u8]) -> Result<(ContainerKind, Reader<'_>), Malformed> {
    const WHAT: &str = "the CMS object";
    let outer = Element::only(cms, WHAT)?;
    if outer.tag != der::tag::SEQUENCE {
        return Err(Malformed::Expected(WHAT));
    }
    let mut members = outer.members()?;
    let kind = ContainerKind::of(members.oid("the content type")?);
    let mut explicit = members.expect(0xa0, "the content")?.members()?;
    members.end(WHAT)?;
    let content = match kind {
        // Types that are not opened are not looked into either.
        ContainerKind::Other(_) | ContainerKind::Compressed => explicit,
        _ => {
            let content = explicit.sequence("the content")?;
            explicit.end("the content")?;
            content
        }
    };
    Ok((kind, content))
}

/// One value around another: its tag, what stands before the inner value, how much follows it.
pub(crate) struct Layer<'a> {
    pub(crate) tag: u8,
    pub(crate) before: &'a [u8],
    pub(crate) after: usize,
}

/// Everything that precedes `length` octets of content wrapped in `layers`, innermost first.
///
/// The caller writes the content after it and then what follows in each layer, so that content of any
/// size is copied once.
pub(crate) fn head(layers: &[Layer<'_>], length: usize) -> Vec<u8> {
    let mut inner = length;
    let mut starts = Vec::with_capacity(layers.len());
    for layer in layers {
        let content = inner.saturating_add(layer.before.len()).saturating_add(layer.after);
        let mut start = Vec::with_capacity(layer.before.len().saturating_add(10));
        der::header_into(&mut start, layer.tag, content);
        inner = content.saturating_add(start.len());
        start.extend_from_slice(layer.before);
        starts.push(start);
    }
    starts.reverse();
    starts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_make_the_same_octets_as_nesting() {
        let content = vec![7; 300];
        let version = der::integer(3);
        let tail = der::octet_string(&[9; 16]);
        let layers = [
            Layer { tag: der::tag::OCTET_STRING, before: &[], after: 0 },
            Layer { tag: der::tag::SEQUENCE, before: &version, after: tail.len() },
        ];
        let mut built = head(&layers, content.len());
        built.extend_from_slice(&content);
        built.extend_from_slice(&tail);
        assert_eq!(built, der::sequence(&[version, der::octet_string(&content), tail]));
    }

    #[test]
    fn a_container_is_known_by_how_it_begins() {
        for oid in [oid::SIGNED_DATA, oid::ENVELOPED_DATA, oid::AUTH_ENVELOPED_DATA, oid::COMPRESSED_DATA] {
            let members = [der::tlv(der::tag::OID, oid), der::context(0, &[vec![7; 70_000]])].concat();
            let der = der::tlv(der::tag::SEQUENCE, &members);
            assert!(begins(&der) && begins(&der[..40]));
            assert!(begins(&[&[0x30, 0x80][..], &members[..40]].concat()), "indefinite");
            assert!(!begins(&der[..10]) && !begins(&der[1..]));
        }
        for other in
            [&b""[..], b"0", b"0\x80\x06", b"MIAGCSqGSIb3", &[0x30, 0x82, 1, 0, 6, 0x88], b"%PDF-1.7", b"PK\x03\x04"]
        {
            assert!(!begins(other), "{other:?}");
        }
        // A certificate, a PKCS#12 file, plain data: not what hides a letter.
        assert!(!begins(&der::sequence(&[der::sequence(&[der::integer(1)])])));
        assert!(!begins(&der::sequence(&[der::integer(3), der::sequence(&[der::tlv(der::tag::OID, oid::DATA)])])));
        assert!(!begins(&der::sequence(&[der::tlv(der::tag::OID, oid::DATA)])));
    }

    #[test]
    fn kinds_are_told_by_identifier() {
        let object = |oid: &[u8]| {
            der::sequence(&[der::tlv(der::tag::OID, oid), der::context(0, &[der::sequence::<Vec<u8>>(&[])])])
        };
        assert_eq!(kind(&object(oid::SIGNED_DATA)), Ok(ContainerKind::Signed));
        assert_eq!(kind(&object(oid::ENVELOPED_DATA)), Ok(ContainerKind::Enveloped));
        assert_eq!(kind(&object(oid::AUTH_ENVELOPED_DATA)), Ok(ContainerKind::AuthEnveloped));
        assert_eq!(kind(&object(oid::COMPRESSED_DATA)), Ok(ContainerKind::Compressed));
        assert_eq!(kind(&object(oid::SHA256)), Ok(ContainerKind::Other("2.16.840.1.101.3.4.2.1".into())));
        let mut trailing = object(oid::SIGNED_DATA);
        trailing.push(0);
        assert_eq!(kind(&trailing), Err(Malformed::Trailing("the CMS object")));
        assert!(kind(b"MIME-Version: 1.0").is_err());
    }
}
