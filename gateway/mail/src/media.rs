//! MIME media types and transfer encodings (RFC 2045 §5, RFC 2231).

use crate::{
    HeaderBlock, MailFault,
    lexer::{Token, is_plain, tokens},
};

/// Parameters of one field, sections of RFC 2231 counted apart. They are compared with each other: without a bound
/// one field would cost a minute.
const MOST_PARAMETERS: usize = 128;
const SPECIALS: &str = "<>@,;:[]?=/";

/// The value of a `Content-Type` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    parameters: Vec<(String, String)>,
    /// Whether every reader finds the same boundary: no comment, no backslash, no RFC 2231 form of it.
    plain_boundary: bool,
}

impl MediaType {
    /// Reads a media type and its parameters; RFC 2231 continuations are joined.
    ///
    /// # Errors
    /// Malformed values and repeated parameters are refused: readers would pick different ones.
    pub fn parse(value: &str) -> Result<Self, MailFault> {
        parse(value).ok_or(MailFault::Mime("Content-Type"))
    }

    /// `text/plain`, which stands for a missing field (RFC 2045 §5.2).
    pub fn plain() -> Self {
        Self { essence: "text/plain".into(), parameters: Vec::new(), plain_boundary: true }
    }

    /// Of a header block.
    ///
    /// # Errors
    /// As [`Self::parse`]; a second `Content-Type` is [`MailFault::Duplicate`].
    pub fn of(block: &HeaderBlock<'_>) -> Result<Self, MailFault> {
        block.one("Content-Type")?.map_or_else(|| Ok(Self::plain()), |field| Self::parse(&field.value()))
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether this is `multipart/…`.
    pub fn is_multipart(&self) -> bool {
        self.essence.starts_with("multipart/")
    }

    /// Whether this announces an opaque CMS container: the registered type, its old spelling, or
    /// a `.p7m` that was sent as an unknown file. What it is inside is decided by its OID only (H18).
    pub fn is_pkcs7_mime(&self, file_name: Option<&str>) -> bool {
        match self.essence.as_str() {
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => true,
            "application/octet-stream" => [self.parameter("name"), file_name]
                .into_iter()
                .flatten()
                .any(|name| name.to_ascii_lowercase().ends_with(".p7m")),
            _ => false,
        }
    }

    /// Whether this announces a clear signature of ours. Without the `protocol` that RFC 1847 asks for, some readers
    /// still show one: so it has to be one.
    pub fn is_clear_signed(&self) -> bool {
        let ours = |protocol: &str| {
            let protocol = protocol.trim().to_ascii_lowercase();
            matches!(protocol.as_str(), "application/pkcs7-signature" | "application/x-pkcs7-signature")
        };
        self.essence == "multipart/signed" && self.parameter("protocol").is_none_or(ours)
    }

    /// Whether this is the signature part of `multipart/signed`.
    pub fn is_pkcs7_signature(&self) -> bool {
        matches!(self.essence.as_str(), "application/pkcs7-signature" | "application/x-pkcs7-signature")
    }

    /// The boundary of a multipart type.
    ///
    /// # Errors
    /// [`MailFault::Mime`] when it is missing or breaks RFC 2046 §5.1.1 (1 to 70 characters).
    pub fn boundary(&self) -> Result<&str, MailFault> {
        let boundary = self.parameter("boundary").unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(c);
        if boundary.is_empty() || boundary.len() > 70 || boundary.ends_with(' ') || !boundary.chars().all(allowed) {
            return Err(MailFault::Mime("boundary"));
        }
        Ok(boundary)
    }

    /// The boundary of a `multipart/signed` that counts: old readers and new ones must find the same one (A12).
    ///
    /// # Errors
    /// As [`Self::boundary`]; a comment or a backslash anywhere in the field, the boundary in a form of RFC 2231.
    pub fn signed_boundary(&self) -> Result<&str, MailFault> {
        if self.plain_boundary { self.boundary() } else { Err(MailFault::Mime("boundary")) }
    }

    /// Which protection of header fields the entity claims for its own fields (RFC 9788 §2.1).
    pub fn header_protection(&self) -> Option<HeaderProtection> {
        match self.parameter("hp")?.to_ascii_lowercase().as_str() {
            "clear" => Some(HeaderProtection::Clear),
            "cipher" => Some(HeaderProtection::Cipher),
            _ => None,
        }
    }
}

/// The parameter `hp` of RFC 9788.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderProtection {
    /// Nothing in the header was confidential: outside stands the same.
    Clear,
    /// Something outside is missing, or says less.
    Cipher,
}

fn parse(value: &str) -> Option<MediaType> {
    let all = tokens(value, SPECIALS)?;
    let mut rest = all.iter().map(|t| &t.token);
    let (Token::Atom(kind), Token::Special('/'), Token::Atom(subtype)) = (rest.next()?, rest.next()?, rest.next()?)
    else {
        return None;
    };
    let mut pieces: Vec<(String, String)> = Vec::new();
    while let Some(token) = rest.next() {
        if *token != Token::Special(';') || pieces.len() >= MOST_PARAMETERS {
            return None;
        }
        // A final semicolon without a parameter is common and harmless.
        let Some(Token::Atom(name)) = rest.next() else { break };
        if *rest.next()? != Token::Special('=') {
            return None;
        }
        let value = match rest.next()? {
            Token::Atom(text) => (*text).to_owned(),
            Token::Quoted(text) => text.clone(),
            Token::Special(_) => return None,
        };
        pieces.push((name.to_ascii_lowercase(), value));
    }
    if rest.next().is_some() {
        return None;
    }
    let essence = format!("{kind}/{subtype}").to_ascii_lowercase();
    let plain_boundary = is_plain(value) && !pieces.iter().any(|(name, _)| name.starts_with("boundary*"));
    Some(MediaType { essence, parameters: join(pieces)?, plain_boundary })
}

/// Joins `name*0=`, `name*1*=`… and decodes `name*=` (RFC 2231 §3, §4); refuses a second value.
fn join(pieces: Vec<(String, String)>) -> Option<Vec<(String, String)>> {
    let mut whole: Vec<(String, String)> = Vec::new();
    let mut next_section: Vec<(String, usize)> = Vec::new();
    for (name, value) in pieces {
        let (base, section, extended) = match name.split_once('*') {
            None => (name.as_str(), None, false),
            Some((base, "")) => (base, None, true),
            Some((base, tail)) => {
                let number = tail.strip_suffix('*').unwrap_or(tail);
                (base, Some(number.parse::<usize>().ok()?), tail.ends_with('*'))
            }
        };
        let value = if extended { percent_decoded(&value, section.unwrap_or(0) == 0)? } else { value };
        match (whole.iter_mut().find(|(n, _)| n == base), section) {
            (None, None | Some(0)) => {
                whole.push((base.to_owned(), value));
                if section.is_some() {
                    next_section.push((base.to_owned(), 1));
                }
            }
            (Some((_, text)), Some(number)) => {
                let (_, expected) = next_section.iter_mut().find(|(n, _)| n == base)?;
                if number != *expected {
                    return None;
                }
                *expected = expected.saturating_add(1);
                text.push_str(&value);
            }
            _ => return None,
        }
    }
    Some(whole)
}

/// `charset'language'text` with `%XX`; the first section only carries the two quotes.
fn percent_decoded(value: &str, first: bool) -> Option<String> {
    let text = if first { value.splitn(3, '\'').nth(2)? } else { value };
    let mut bytes = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'%' {
            bytes.push(octet);
            continue;
        }
        let digit = |b: u8| char::from(b).to_digit(16);
        let value = digit(octets.next()?)?.checked_mul(16)?.checked_add(digit(octets.next()?)?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// How a part's octets are written down (RFC 2045 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, `8bit` or `binary`: as they are.
    Identity,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
}

impl TransferEncoding {
    /// Of a header block; a missing field means `7bit`.
    ///
    /// # Errors
    /// [`MailFault::Mime`] for an encoding that does not exist.
    pub fn of(block: &HeaderBlock<'_>) -> Result<Self, MailFault> {
        let Some(field) = block.one("Content-Transfer-Encoding")? else { return Ok(Self::Identity) };
        let fault = MailFault::Mime("Content-Transfer-Encoding");
        let value = field.value();
        let all = tokens(&value, SPECIALS).ok_or(fault.clone())?;
        let [word] = all.as_slice() else { return Err(fault) };
        let Token::Atom(name) = word.token else { return Err(fault) };
        match name.to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" => Ok(Self::Identity),
            "base64" => Ok(Self::Base64),
            "quoted-printable" => Ok(Self::QuotedPrintable),
            _ => Err(fault),
        }
    }
}

/// The file name of `Content-Disposition`, if there is one that can be read.
pub(crate) fn file_name(block: &HeaderBlock<'_>) -> Result<Option<String>, MailFault> {
    let Some(field) = block.one("Content-Disposition")? else { return Ok(None) };
    // Same grammar but for the subtype: lend it one.
    let value = field.value();
    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let lent = format!("{}/x;{parameters}", kind.trim());
    Ok(parse(&lent).and_then(|media| media.parameter("filename").map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_types_and_parameters() {
        let media = MediaType::parse(
            "Multipart/Signed (x); protocol=\"application/pkcs7-signature\"; MICALG=sha-256;\tboundary=\"a b=c\";",
        )
        .unwrap();
        assert_eq!(media.essence, "multipart/signed");
        assert_eq!(media.parameter("micalg"), Some("sha-256"));
        assert_eq!(media.boundary(), Ok("a b=c"));
    }

    #[test]
    fn joins_rfc_2231() {
        let media = MediaType::parse("a/b; boundary*0=ab; boundary*1=cd; name*=utf-8''%C3%A9.p7m").unwrap();
        assert_eq!((media.parameter("boundary"), media.parameter("name")), (Some("abcd"), Some("é.p7m")));
        let media = MediaType::parse("a/b; name*0*=utf-8'fr'%C3%A9; name*1=\".p7m\"").unwrap();
        assert_eq!(media.parameter("name"), Some("é.p7m"));
    }

    #[test]
    fn refuses_two_readings() {
        for value in [
            "",
            "text",
            "text/",
            "text/plain x",
            "text/plain; a",
            "text/plain; a=",
            "text/plain; a=b c=d",
            "multipart/mixed; boundary=a; boundary=b",
            "multipart/mixed; boundary=a; boundary*0=b",
            "a/b; n*0=x; n*2=y",
            "a/b; n*1=x",
            "a/b; n*=utf-8%C3",
            "a/b; n=\"x",
        ] {
            assert_eq!(MediaType::parse(value), Err(MailFault::Mime("Content-Type")), "{value}");
        }
        for boundary in ["", "\"a \"", "\"a\\\"b\"", &"x".repeat(71)] {
            let media = MediaType::parse(&format!("multipart/mixed; x=y; boundary={boundary}"));
            assert!(media.and_then(|m| m.boundary().map(str::to_owned)).is_err(), "{boundary}");
        }
    }

    #[test]
    fn parameters_are_bounded() {
        let with = |count: usize| (0..count).fold("a/b".to_owned(), |text, n| text + &format!(";p{n}=x"));
        assert!(MediaType::parse(&with(MOST_PARAMETERS)).is_ok());
        assert!(MediaType::parse(&with(MOST_PARAMETERS + 1)).is_err());
        let sections = (0..=MOST_PARAMETERS).fold("a/b".to_owned(), |text, n| text + &format!(";p*{n}=x"));
        assert!(MediaType::parse(&sections).is_err());
    }

    #[test]
    fn knows_containers_by_any_spelling() {
        let is = |value: &str, name: Option<&str>| MediaType::parse(value).unwrap().is_pkcs7_mime(name);
        assert!(is("application/pkcs7-mime; smime-type=authEnveloped-data", None));
        assert!(is("application/x-pkcs7-mime", None));
        assert!(is("application/octet-stream; name=SMIME.P7M", None));
        assert!(is("application/octet-stream", Some("smime.p7m")));
        assert!(!is("application/octet-stream; name=a.pdf", None));
        assert!(!is("text/plain; name=smime.p7m", Some("smime.p7m")));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ab/;=*'%0-9\" ()]{0,40}") {
            let _ = MediaType::parse(&text);
        }
    }
}
