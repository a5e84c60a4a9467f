//! Mail addresses as RFC 5321 §4.1.2 and RFC 6531 write them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Domain, DomainError};

/// Longest local part in octets (RFC 5321 §4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Longest address in octets: a path of 256 less its angle brackets (RFC 5321 §4.5.3.1.3).
pub const MAX_ADDRESS: usize = 254;

/// A mailbox address `local@domain`.
///
/// The local part is kept unquoted, as its owner wrote it. Two addresses are equal when their
/// domains are and their local parts are the same octets; [`Address::key`] is what directories
/// and registries compare, because no health domain tells mailboxes apart by letter case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: Domain,
}

/// Why a text is no mail address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No `@`, or nothing in front of it.
    #[error("a mail address is written name@domain")]
    Shape,
    /// Local part over 64 octets, or address over 254.
    #[error("the address is too long")]
    TooLong,
    /// A character that RFC 5321 does not allow there, or a control character.
    #[error("the part before @ has a character that is not allowed")]
    LocalPart,
    /// The domain is wrong.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl Address {
    /// Reads `local@domain` without angle brackets; the local part may be quoted.
    ///
    /// # Errors
    /// See [`AddressError`]. Control characters, NUL, CR and LF are never accepted (IN1).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Shape)?;
        let local = match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => unquote(inner)?,
            None if is_dot_string(local) => local.to_owned(),
            None if local.is_empty() => return Err(AddressError::Shape),
            None => return Err(AddressError::LocalPart),
        };
        if local.is_empty() {
            return Err(AddressError::Shape);
        }
        let address = Self { local, domain: Domain::parse(domain)? };
        if address.local.len() > MAX_LOCAL_PART || address.to_string().len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        Ok(address)
    }

    /// The part before `@`, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The form to compare and to look up: everything lower case.
    pub fn key(&self) -> String {
        format!("{}@{}", lower(&self.local), self.domain)
    }

    /// Whether both name the same mailbox, letter case aside.
    pub fn same_mailbox(&self, other: &Self) -> bool {
        self.domain == other.domain && lower(&self.local) == lower(&other.local)
    }

    /// Whether the envelope needs SMTPUTF8 (RFC 6531). Domains never do: they travel as A-labels.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// Lower case. A foreign letter whose lower case is an ASCII one (the Kelvin sign) stays what it is: it would make
/// two mailboxes one.
fn lower(local: &str) -> String {
    let one = |c: char| {
        let lower = c.to_lowercase();
        let becomes_ascii = !c.is_ascii() && lower.clone().any(|c| c.is_ascii());
        if becomes_ascii { Err(c) } else { Ok(lower) }
    };
    let mut text = String::with_capacity(local.len());
    for c in local.chars() {
        match one(c) {
            Ok(lower) => text.extend(lower),
            Err(c) => text.push(c),
        }
    }
    text
}

/// `Dot-string` of RFC 5321, with the UTF-8 letters of RFC 6531.
fn is_dot_string(local: &str) -> bool {
    !local.is_empty() && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{' | '|' | '}'
        | '~' => true,
        _ => !c.is_ascii() && !c.is_control() && !is_hidden(c),
    }
}

/// Characters that look like nothing or turn the line around: an address never needs them.
fn is_hidden(c: char) -> bool {
    c.is_whitespace() || is_format(c)
}

/// Characters that look like nothing, or turn round what stands beside them: nobody reads what they hide.
pub fn is_format(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// `Quoted-string` of RFC 5321: printable text and blanks, `\` in front of any of them.
fn unquote(inner: &str) -> Result<String, AddressError> {
    let mut local = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => chars.next().ok_or(AddressError::LocalPart)?,
            '"' => return Err(AddressError::LocalPart),
            other => other,
        };
        if c.is_control() || (c != ' ' && is_hidden(c)) {
            return Err(AddressError::LocalPart);
        }
        local.push(c);
    }
    Ok(local)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(value: Address) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compares_mailboxes_without_letter_case() {
        let a = Address::parse("Dr.MARTIN-TEST@CH-Exemple.test").unwrap();
        let b = Address::parse("dr.martin-test@ch-exemple.test").unwrap();
        assert!(a.same_mailbox(&b));
        assert_eq!(a.key(), "dr.martin-test@ch-exemple.test");
        assert_eq!(a.to_string(), "Dr.MARTIN-TEST@ch-exemple.test");
    }

    #[test]
    fn quoting_changes_nothing_in_meaning() {
        let plain = Address::parse("a.b@x.test").unwrap();
        assert_eq!(Address::parse("\"a.b\"@x.test").unwrap(), plain);
        assert_eq!(Address::parse("\"a\\.b\"@x.test").unwrap(), plain);
        let odd = Address::parse("\"a b\\\"c\\\\d@e\"@x.test").unwrap();
        assert_eq!(odd.local(), "a b\"c\\d@e");
        assert_eq!(odd.to_string(), "\"a b\\\"c\\\\d@e\"@x.test");
    }

    #[test]
    fn refuses_injection_and_bad_forms() {
        for text in [
            "",
            "@x.test",
            "a@",
            "a",
            "a b@x.test",
            "a\r\n@x.test",
            "\"a\r\nb\"@x.test",
            "\"a\0b\"@x.test",
            ".a@x.test",
            "a.@x.test",
            "a..b@x.test",
            "a@b@x.test",
            "\"a\"b\"@x.test",
            "\"\"@x.test",
            "<a@x.test>",
            "a@[192.0.2.1]",
            "a@localhost",
            "a\u{202e}b@x.test",
            "a\u{200b}b@x.test",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn letters_that_only_look_alike_stay_apart() {
        let address = |text: &str| Address::parse(text).unwrap();
        assert!(address("ÉLISE.K@x.test").same_mailbox(&address("élise.k@x.test")));
        for foreign in ["\u{212a}ate@x.test", "\u{130}ris@x.test"] {
            let (foreign, plain) = (address(foreign), address(&foreign.to_lowercase().replace('\u{307}', "")));
            assert!(!foreign.same_mailbox(&plain), "{foreign} {plain}");
            assert_ne!(foreign.key(), plain.key());
        }
    }

    #[test]
    fn limits_hold_at_the_octet() {
        assert!(Address::parse(&format!("{}@x.test", "a".repeat(64))).is_ok());
        assert_eq!(Address::parse(&format!("{}@x.test", "a".repeat(65))), Err(AddressError::TooLong));
        let domain = format!("{}.{}.{}.test", "b".repeat(63), "c".repeat(63), "d".repeat(57));
        assert_eq!(domain.len(), 190);
        assert!(Address::parse(&format!("{}@{domain}", "a".repeat(63))).is_ok());
        assert_eq!(Address::parse(&format!("{}@{domain}", "a".repeat(64))), Err(AddressError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "\\PC{1,40}@[a-z]{1,8}\\.test") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
                prop_assert!(!address.to_string().chars().any(char::is_control));
            }
        }
    }
}
