//! Reverse and forward paths (RFC 5321 §4.1.2).

use ident::{Address, AddressError, Domain, DomainError};

/// Longest path in octets, angle brackets included (RFC 5321 §4.5.3.1.3).
const MAX_PATH: usize = 256;

/// What stands between the angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    /// `<>`.
    Null,
    /// `<Postmaster>`, any case, without a domain (RFC 5321 §4.1.1.3).
    Postmaster,
    /// A mailbox.
    Mailbox {
        /// Its checked address.
        address: Address,
        /// It was written with 8-bit characters, in either part.
        eight_bit: bool,
    },
}

/// Why a path does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// Not a path.
    Syntax,
    /// The domain is an address literal (IN10).
    Literal,
}

/// Reads the path at the start of `text`; gives what follows it. Blanks before the path are
/// skipped: RFC 5321 allows none, many clients write one, and no meaning depends on it.
pub(crate) fn read(text: &str) -> Result<(Path, &str), PathError> {
    let text = text.trim_start_matches(' ');
    let inner = text.strip_prefix('<').ok_or(PathError::Syntax)?;
    let end = end_of_path(inner).ok_or(PathError::Syntax)?;
    let (inner, rest) = inner.split_at_checked(end).ok_or(PathError::Syntax)?;
    let rest = rest.strip_prefix('>').ok_or(PathError::Syntax)?;
    if inner.len().saturating_add(2) > MAX_PATH {
        return Err(PathError::Syntax);
    }
    Ok((read_inner(inner)?, rest))
}

/// Index of the `>` that closes the path: one outside quotes.
fn end_of_path(inner: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    inner.bytes().position(|octet| {
        let closes = octet == b'>' && !quoted;
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        closes
    })
}

fn read_inner(inner: &str) -> Result<Path, PathError> {
    if inner.is_empty() {
        return Ok(Path::Null);
    }
    if inner.eq_ignore_ascii_case("postmaster") {
        return Ok(Path::Postmaster);
    }
    let mailbox = without_route(inner)?;
    match Address::parse(mailbox) {
        Ok(address) => Ok(Path::Mailbox { address, eight_bit: !mailbox.is_ascii() }),
        Err(AddressError::Domain(DomainError::Literal)) => Err(PathError::Literal),
        Err(_) => Err(PathError::Syntax),
    }
}

/// Drops `@a,@b:` in front of a mailbox (RFC 5321 §4.1.1.3, appendix C): trust is decided on the
/// mailbox's own domain only (IN7).
fn without_route(inner: &str) -> Result<&str, PathError> {
    if !inner.starts_with('@') {
        return Ok(inner);
    }
    let (route, mailbox) = inner.split_once(':').ok_or(PathError::Syntax)?;
    let sound = route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(|name| Domain::parse(name).is_ok()));
    if sound { Ok(mailbox) } else { Err(PathError::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Option<String> {
        match read(text) {
            Ok((Path::Mailbox { address, .. }, "")) => Some(address.to_string()),
            _ => None,
        }
    }

    #[test]
    fn reads_paths() {
        assert_eq!(read("<>"), Ok((Path::Null, "")));
        assert_eq!(read("<PostMaster> NOTIFY=NEVER"), Ok((Path::Postmaster, " NOTIFY=NEVER")));
        assert_eq!(mailbox(" <a@x.test>").as_deref(), Some("a@x.test"));
        // IN2: quotes, quoted pairs, `>` and `@` inside quotes.
        assert_eq!(mailbox("<\"a> b\"@x.test>").as_deref(), Some("\"a> b\"@x.test"));
        assert_eq!(mailbox("<\"a\\\"> b@c\"@x.test>").as_deref(), Some("\"a\\\"> b@c\"@x.test"));
        // IN8, IN9: just local parts.
        assert_eq!(mailbox("<-opt@x.test>").as_deref(), Some("-opt@x.test"));
        assert_eq!(mailbox("<u%other.test@x.test>").as_deref(), Some("u%other.test@x.test"));
        assert_eq!(mailbox("<other.test!u@x.test>").as_deref(), Some("other.test!u@x.test"));
    }

    /// IN7: only the last domain counts.
    #[test]
    fn in7_source_routes() {
        assert_eq!(mailbox("<@a.test,@b.test:c@d.test>").as_deref(), Some("c@d.test"));
        for text in ["<@a.test>", "<@a.test,c@d.test>", "<@:c@d.test>", "<@a.test,b.test:c@d.test>", "<@a.test:>"] {
            assert_eq!(read(text).unwrap_err(), PathError::Syntax, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_path() {
        for text in [
            "",
            "a@x.test",
            "<a@x.test",
            "a@x.test>",
            "<a@x.test\0>",
            "<a\r@x.test>",
            "<a\n@x.test>",
            "<<a@x.test>>",
            "< a@x.test>",
            "<a@x.test >",
            "<\"a@x.test>",
            "<a>",
            "<@>",
            "<a@>",
        ] {
            assert!(!matches!(read(text), Ok((_, ""))), "{text:?}");
        }
        assert_eq!(read("<a@[192.0.2.1]>").unwrap_err(), PathError::Literal);
        assert_eq!(read("<a@[IPv6:::1]>").unwrap_err(), PathError::Literal);
    }

    /// IN13: at the limit accepted, over it refused.
    #[test]
    fn in13_limits() {
        let domain = format!("{}.{}.{}.test", "b".repeat(63), "c".repeat(63), "d".repeat(57));
        assert_eq!(domain.len(), 190);
        assert!(mailbox(&format!("<{}@x.test>", "a".repeat(64))).is_some());
        assert!(mailbox(&format!("<{}@x.test>", "a".repeat(65))).is_none());
        assert!(mailbox(&format!("<{}@{domain}>", "a".repeat(63))).is_some(), "256 octets");
        assert!(mailbox(&format!("<{}@{domain}>", "a".repeat(64))).is_none(), "257 octets");
        // A route counts: the path is what is limited.
        assert!(mailbox(&format!("<@{domain}:{}@x.test>", "a".repeat(55))).is_some(), "256 octets");
        assert!(mailbox(&format!("<@{domain}:{}@x.test>", "a".repeat(56))).is_none(), "257 octets");
    }
}
