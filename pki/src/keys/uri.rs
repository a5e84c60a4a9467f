//! `pkcs11:` URIs (RFC 7512), read strictly: what names a key on a token, and nothing else.
//!
//! Attributes that say where secrets or code come from (`pin-value`, `pin-source`, `module-path`) are
//! refused, and so are those that change by themselves (`slot-id`): module, PIN and token are named once
//! in the configuration, where they can be judged.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Longest URI read.
const MAX_URI: usize = 1024;
/// Longest CKA_ID.
const MAX_ID: usize = 256;

/// Why a URI does not name a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UriError {
    /// Another scheme.
    #[error("it does not begin with `pkcs11:`")]
    Scheme,
    /// Longer than any URI that is meant.
    #[error("it is longer than {MAX_URI} octets")]
    TooLong,
    /// Not `name=value`.
    #[error("`{0}` is not name=value")]
    Form(String),
    /// A character that must be written as `%XX`, or a broken `%XX`.
    #[error("the value of `{0}` holds a character that must be written as %XX, or a broken %XX")]
    Encoding(String),
    /// Not UTF-8, empty or too long.
    #[error("the value of `{0}` is empty, too long or not UTF-8")]
    Value(String),
    /// The same attribute twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// An attribute that a URI may carry, but not here.
    #[error("`{0}` does not belong here: {1}")]
    NotHere(String, &'static str),
    /// Neither `object` nor `id`.
    #[error("it names no key: `object` or `id` is missing")]
    NoKey,
}

/// Which key on which token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KeyUri {
    /// Label of the token.
    pub token: Option<String>,
    /// Its manufacturer.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Label of the key (CKA_LABEL).
    pub object: Option<String>,
    /// Identifier of the key (CKA_ID).
    pub id: Option<Vec<u8>>,
}

impl KeyUri {
    /// Reads a URI.
    ///
    /// # Errors
    /// See [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        // Schemes are compared without case (RFC 3986 §3.1).
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("pkcs11") {
            return Err(UriError::Scheme);
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        if let Some(query) = query {
            let first = query.split('&').next().unwrap_or_default();
            let name = first.split_once('=').map_or(first, |(name, _)| name);
            return Err(UriError::NotHere(
                shown(name),
                "module, PIN and where it lies are named in the configuration's [[token]]",
            ));
        }
        let mut uri = Self::default();
        let mut private = false;
        for part in path.split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| UriError::Form(shown(part)))?;
            let octets = decoded(name, value)?;
            let slot = match name {
                "token" => &mut uri.token,
                "manufacturer" => &mut uri.manufacturer,
                "model" => &mut uri.model,
                "serial" => &mut uri.serial,
                "object" => &mut uri.object,
                "id" if octets.is_empty() || octets.len() > MAX_ID => return Err(UriError::Value(shown(name))),
                "id" if uri.id.is_some() => return Err(UriError::Twice(shown(name))),
                "id" => {
                    uri.id = Some(octets);
                    continue;
                }
                "type" if private => return Err(UriError::Twice(shown(name))),
                "type" if octets == b"private" => {
                    private = true;
                    continue;
                }
                "type" => return Err(UriError::NotHere(shown(name), "only a private key signs or decrypts")),
                "slot-id" | "slot-description" | "slot-manufacturer" => {
                    return Err(UriError::NotHere(shown(name), "slots are renumbered; name the token"));
                }
                "library-description" | "library-manufacturer" | "library-version" => {
                    return Err(UriError::NotHere(shown(name), "the module is named in the configuration's [[token]]"));
                }
                _ => return Err(UriError::NotHere(shown(name), "it is not an attribute of RFC 7512")),
            };
            if slot.is_some() {
                return Err(UriError::Twice(shown(name)));
            }
            let value = String::from_utf8(octets).ok().filter(|value| !value.is_empty());
            *slot = Some(value.ok_or_else(|| UriError::Value(shown(name)))?);
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(UriError::NoKey);
        }
        Ok(uri)
    }

    /// Whether it may be meant for a token with this label, manufacturer, model and serial number.
    pub fn names_token(&self, label: &str, manufacturer: &str, model: &str, serial: &str) -> bool {
        let fits = |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|asked| asked == found);
        fits(&self.token, label)
            && fits(&self.manufacturer, manufacturer)
            && fits(&self.model, model)
            && fits(&self.serial, serial)
    }
}

impl FromStr for KeyUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        let texts = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ];
        let mut between = "";
        for (name, value) in texts {
            if let Some(value) = value {
                write!(f, "{between}{name}={}", encoded(value.as_bytes()))?;
                between = ";";
            }
        }
        if let Some(id) = &self.id {
            let id: String = id.iter().map(|octet| format!("%{octet:02X}")).collect();
            write!(f, "{between}id={id}")?;
        }
        Ok(())
    }
}

/// What an error may repeat: never a value, which may be a secret in the wrong place.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(32).collect()
}

/// pk11-pchar (RFC 7512 §2.3) that needs no `%XX`.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=&".contains(&octet)
}

fn encoded(octets: &[u8]) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    octets
        .iter()
        .map(|octet| if plain(*octet) { char::from(*octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

fn decoded(name: &str, value: &str) -> Result<Vec<u8>, UriError> {
    let wrong = || UriError::Encoding(shown(name));
    let digit = |octet: Option<u8>| {
        octet.and_then(|octet| char::from(octet).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut out = Vec::with_capacity(value.len());
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let (Some(high), Some(low)) = (digit(octets.next()), digit(octets.next())) else { return Err(wrong()) };
            out.push((high << 4) | low);
        } else if is_plain(octet) {
            out.push(octet);
        } else {
            return Err(wrong());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> UriError {
        KeyUri::parse(text).unwrap_err()
    }

    #[test]
    fn a_key_is_named_by_label_or_id() {
        let uri = KeyUri::parse("pkcs11:token=Sceau%20HSM;object=signature%20ch;type=private;id=%01%ff").unwrap();
        assert_eq!(uri.token.as_deref(), Some("Sceau HSM"));
        assert_eq!(uri.object.as_deref(), Some("signature ch"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 0xff][..]));
        assert!(uri.names_token("Sceau HSM", "x", "y", "z"));
        assert!(!uri.names_token("Sceau", "x", "y", "z"));
        assert_eq!(KeyUri::parse("PKCS11:id=%41").unwrap().id.as_deref(), Some(&b"A"[..]));
        // A CKA_ID may be written plainly where its octets allow it.
        assert_eq!(KeyUri::parse("pkcs11:id=A&b").unwrap().id.as_deref(), Some(&b"A&b"[..]));
    }

    #[test]
    fn secrets_and_code_do_not_come_from_a_uri() {
        for query in ["pin-value=1234", "pin-source=file:/etc/pin", "module-path=/tmp/evil.so", "module-name=x", ""] {
            let error = refused(&format!("pkcs11:object=a?{query}"));
            assert!(matches!(error, UriError::NotHere(..)), "{query}");
            assert!(!error.to_string().contains("1234"), "{error}");
        }
        assert!(matches!(refused("pkcs11:slot-id=3;object=a"), UriError::NotHere(..)));
        assert!(matches!(refused("pkcs11:object=a;library-version=3"), UriError::NotHere(..)));
        assert!(matches!(refused("pkcs11:object=a;x-vendor=3"), UriError::NotHere(..)));
        assert!(matches!(refused("pkcs11:object=a;type=public"), UriError::NotHere(..)));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        assert_eq!(refused("file:/key.pem"), UriError::Scheme);
        assert_eq!(refused("/key.pem"), UriError::Scheme);
        assert_eq!(refused("pkcs11:token=a"), UriError::NoKey);
        assert_eq!(refused("pkcs11:object=a;object=a"), UriError::Twice("object".into()));
        assert_eq!(refused("pkcs11:id=a;id=a"), UriError::Twice("id".into()));
        assert_eq!(refused("pkcs11:object=a;type=private;type=private"), UriError::Twice("type".into()));
        assert_eq!(refused("pkcs11:object="), UriError::Value("object".into()));
        assert_eq!(refused("pkcs11:id="), UriError::Value("id".into()));
        assert_eq!(refused("pkcs11:object=%ff"), UriError::Value("object".into()));
        for broken in ["%", "%4", "%4g", "a b", "é", "a/b", "a\"b"] {
            assert_eq!(refused(&format!("pkcs11:object={broken}")), UriError::Encoding("object".into()), "{broken}");
        }
        for form in ["pkcs11:", "pkcs11:object", "pkcs11:object=a;", "pkcs11:;object=a"] {
            assert!(matches!(refused(form), UriError::Form(_)), "{form}");
        }
        assert_eq!(refused(&format!("pkcs11:object={}", "a".repeat(1024))), UriError::TooLong);
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("\\PC{1,12}")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(token in text(), serial in text(), model in text(), manufacturer in text(),
                                         object in "\\PC{1,20}", id in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..20))) {
            let uri = KeyUri { token, manufacturer, model, serial, object: Some(object), id };
            prop_assert_eq!(KeyUri::parse(&uri.to_string()), Ok(uri));
        }

        #[test]
        fn nothing_panics(text in "(pkcs11:)?\\PC{0,60}") {
            let _ = KeyUri::parse(&text);
        }
    }
}
