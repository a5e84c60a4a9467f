//! Names of entries (RFC 4514): read leniently, written so that every client reads them.

/// Longest name that is read.
pub(super) const MAX_NAME: usize = 1024;
/// Most parts of a name.
const MAX_PARTS: usize = 16;

/// A name: the entry's own part first. Attributes are in lower case, values as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Dn(pub(super) Vec<Rdn>);

/// One part: attribute and value, several of them side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rdn(pub(super) Vec<(String, String)>);

impl Dn {
    /// Reads a name; nothing when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_NAME {
            return None;
        }
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut rest = text.trim_start();
        if rest.is_empty() {
            return Some(Self::default());
        }
        loop {
            let (attribute, after) = rest.split_once('=')?;
            let attribute = attribute.trim().to_ascii_lowercase();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if attribute.is_empty() || !attribute.chars().all(plain) {
                return None;
            }
            let (value, stop, after) = value(after)?;
            part.push((attribute.strip_prefix("oid.").unwrap_or(&attribute).to_owned(), value));
            if part.len() > MAX_PARTS || parts.len() > MAX_PARTS {
                return None;
            }
            match stop {
                Some('+') => {}
                Some(_) => parts.push(Rdn(std::mem::take(&mut part))),
                None => {
                    parts.push(Rdn(part));
                    return Some(Self(parts));
                }
            }
            rest = after;
        }
    }

    /// The name in the form to compare: attributes by their first name, values folded, parts in order.
    pub(super) fn key(&self) -> Vec<Vec<(String, String)>> {
        let part = |part: &Rdn| {
            let mut pairs: Vec<(String, String)> = part.0.iter().map(|(a, v)| (canonical(a), compared(v))).collect();
            pairs.sort();
            pairs
        };
        self.0.iter().map(part).collect()
    }
}

fn canonical(attribute: &str) -> String {
    super::schema::by_name(attribute).map_or_else(|| attribute.to_owned(), |known| known.name().to_ascii_lowercase())
}

/// Case and runs of blanks aside (RFC 4517 §4.2.11).
fn compared(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A value, the separator behind it, and the rest.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        // The encoded form is of no use for our names.
        return None;
    }
    let mut octets: Vec<u8> = Vec::new();
    // What an escape wrote is no trailing blank.
    let mut kept = 0usize;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            ',' | ';' | '+' => {
                let rest = text.get(at.saturating_add(1)..)?;
                return Some((finish(octets, kept)?, Some(if c == '+' { '+' } else { ',' }), rest));
            }
            '\\' => {
                let (_, first) = characters.next()?;
                match first.to_digit(16) {
                    Some(high) => {
                        let low = characters.next()?.1.to_digit(16)?;
                        octets.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
                    }
                    None => octets.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                kept = octets.len();
            }
            '"' | '<' | '>' | '\0' => return None,
            other => {
                octets.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                if other != ' ' {
                    kept = octets.len();
                }
            }
        }
    }
    Some((finish(octets, kept)?, None, ""))
}

fn finish(mut octets: Vec<u8>, kept: usize) -> Option<String> {
    octets.truncate(kept);
    String::from_utf8(octets).ok()
}

/// A value as it stands in a name.
pub(super) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count();
    for (n, c) in value.chars().enumerate() {
        let edge = (c == ' ' && (n == 0 || n.saturating_add(1) == last)) || (c == '#' && n == 0);
        match c {
            '\0' => out.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                out.push('\\');
                out.push(c);
            }
            _ if edge => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Vec<Vec<(String, String)>> {
        Dn::parse(text).unwrap().key()
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        let name = key("uid=899700000001+mail=a@x.test,ou=people,dc=annuaire");
        for other in [
            "UID=899700000001 + MAIL=A@x.test , OU=People,DC=annuaire",
            "mail=a@x.test+uid=899700000001,ou=people,dc=annuaire",
            "0.9.2342.19200300.100.1.1=899700000001+rfc822mailbox=a\\40x.test,2.5.4.11=people,domainComponent=annuaire",
        ] {
            assert_eq!(key(other), name, "{other}");
        }
        assert_eq!(Dn::parse(""), Some(Dn::default()));
        for bad in ["dc", "=x", "dc=a,", "dc=\"a\"", "dc=#04", "dc=a\\", "dc=a\\4", "d c=x", &"dc=a,".repeat(40)] {
            assert_eq!(Dn::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_back(value in "\\PC{1,40}") {
            let parsed = Dn::parse(&format!("cn={},dc=a", escaped(&value)));
            prop_assert_eq!(&parsed.unwrap().0[0].0[0].1, &value);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            let _ = Dn::parse(&text).map(|name| name.key());
        }
    }
}
