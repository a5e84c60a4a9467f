//! Names of operators as the list writes them (WL-5, WL-11).

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use thiserror::Error;

use crate::name::{Attribute, Name, attribute_oid, comparable, write_pair};

/// Longest name that is read or written, in octets.
const MAX_NAME: usize = 4096;

/// Name of an operator's certificate as the list writes it: a set of attribute–value pairs.
#[derive(Debug, Clone)]
pub struct OperatorName {
    pairs: Vec<(String, String)>,
    comparable: Vec<(String, String)>,
}

/// The text is no distinguished name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an operator is named by a distinguished name such as CN=…, OU=…, O=…, ST=…, C=FR")]
pub struct OperatorNameError;

impl OperatorName {
    /// Reads `CN=…, OU=…, O=…, ST=…, C=FR`: any order, any known alias, blanks around, `\` escapes and
    /// quotes as in RFC 4514 and RFC 2253. A part after a comma that does not start with a known type
    /// belongs to the value before it, because real lists do not escape commas.
    ///
    /// # Errors
    /// [`OperatorNameError`].
    pub fn parse(text: &str) -> Result<Self, OperatorNameError> {
        if text.len() > MAX_NAME {
            return Err(OperatorNameError);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (separator, part) in split_unescaped(text) {
            match part.split_once('=').and_then(|(kind, value)| Some((attribute_oid(kind)?, value))) {
                Some((oid, value)) => pairs.push((oid, unescape(value)?)),
                None if part.trim().is_empty() => return Err(OperatorNameError),
                None => {
                    let (_, value) = pairs.last_mut().ok_or(OperatorNameError)?;
                    value.push(separator);
                    if part.starts_with(char::is_whitespace) {
                        value.push(' ');
                    }
                    value.push_str(&unescape(&part)?);
                }
            }
        }
        for (_, value) in &mut pairs {
            *value = value.trim().to_owned();
        }
        if pairs.is_empty() || pairs.iter().any(|(_, value)| value.is_empty() || value.chars().any(char::is_control)) {
            return Err(OperatorNameError);
        }
        let name = Self::from_pairs(pairs);
        // Escaped, it may be twice as long: what we read, others must be able to read when we write it.
        if name.to_string().len() > MAX_NAME { Err(OperatorNameError) } else { Ok(name) }
    }

    /// The name of a certificate's subject.
    pub fn of(name: &Name) -> Self {
        Self::from_pairs(name.pairs_reversed())
    }

    fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut comparable: Vec<_> =
            pairs.iter().map(|(oid, value)| (oid.clone(), operator_value(oid, value))).collect();
        comparable.sort();
        Self { pairs, comparable }
    }

    /// The value of an attribute that the name has exactly once.
    pub fn single(&self, attribute: Attribute) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(oid, _)| oid == attribute.oid()).map(|(_, value)| value.as_str());
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether a certificate's name has exactly these attributes, in whatever order and grouping.
    pub fn matches(&self, name: &Name) -> bool {
        *self == Self::of(name)
    }
}

impl PartialEq for OperatorName {
    fn eq(&self, other: &Self) -> bool {
        self.comparable == other.comparable
    }
}

impl Eq for OperatorName {}

impl Hash for OperatorName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.comparable.hash(state);
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (oid, value)) in self.pairs.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write_pair(f, oid, value)?;
        }
        Ok(())
    }
}

/// Letter case and blanks apart; the department is written with and without a blank before its
/// number (`Paris (75)`, `Paris(75)`).
fn operator_value(oid: &str, value: &str) -> String {
    let value = comparable(value);
    if oid == Attribute::State.oid() { value.replace(" (", "(") } else { value }
}

/// Parts between unescaped, unquoted `,`, `;` or `+`, each with the separator in front of it.
fn split_unescaped(text: &str) -> Vec<(char, String)> {
    let mut parts = vec![(',', String::new())];
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        match c {
            ',' | ';' | '+' if !escaped && !quoted => {
                parts.push((c, String::new()));
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some((_, part)) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// Takes `\,`, `\C3\A9` and surrounding quotes away.
fn unescape(value: &str) -> Result<String, OperatorNameError> {
    let trimmed = value.trim_start();
    let inner = trimmed.trim_end().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    let mut chars = inner.unwrap_or(trimmed).chars().peekable();
    let mut buffer = [0u8; 4];
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let escaped = chars.next().ok_or(OperatorNameError)?;
        let pair = escaped.to_digit(16).zip(chars.peek().and_then(|low| low.to_digit(16)));
        match pair {
            Some((high, low)) => {
                chars.next();
                out.push(u8::try_from((high << 4) | low).map_err(|_| OperatorNameError)?);
            }
            None => out.extend_from_slice(escaped.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    String::from_utf8(out).map_err(|_| OperatorNameError)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the trust list's fuzz target: a name full of quotes was read, and what we wrote of it was not.
    #[test]
    fn a_name_that_is_read_can_be_written_and_read_again() {
        let quoted = |count: usize| format!("CN=\"{}\"", "<".repeat(count));
        let longest = OperatorName::parse(&quoted(2046)).unwrap();
        assert_eq!(OperatorName::parse(&longest.to_string()), Ok(longest));
        assert_eq!(OperatorName::parse(&quoted(2047)), Err(OperatorNameError));
        assert_eq!(OperatorName::parse(&quoted(4097)), Err(OperatorNameError));
    }
}
