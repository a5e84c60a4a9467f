//! Name constraints on mail addresses, decided by us (RFC 5280 §4.2.1.10, RFC 9598 §6).
//!
//! OpenSSL applies them too, and both have to agree to a chain. But it compares the domain of a
//! SmtpUTF8Mailbox in the form of the withdrawn RFC 8398 (Unicode), where RFC 9598 writes A-labels: an
//! excluded domain with letters beyond ASCII would not be recognised.

use ident::Address;

use crate::{
    der::tag,
    der_reader::{Malformed, Read, Reader},
};

/// Comparisons of addresses with subtrees that one chain may ask for: both lists are a stranger's.
pub(crate) const MAX_COMPARISONS: usize = 1 << 20;

/// What an authority may name in the addresses of the certificates below it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct MailConstraints {
    /// `None`: no subtree of this kind is listed, so that addresses are not restricted.
    permitted: Option<Vec<Subtree>>,
    excluded: Vec<Subtree>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    /// Every address.
    All,
    /// One mailbox; its local part is ASCII, so no internationalised address is meant by it.
    Mailbox(String, String),
    /// All mailboxes of one host or domain.
    Host(String),
    /// All mailboxes of the hosts below a domain.
    Below(String),
}

impl MailConstraints {
    /// Reads the rfc822Name subtrees of a NameConstraints extension.
    ///
    /// `minimum` and `maximum` are not used by RFC 5280, and SmtpUTF8Mailbox is no form of constraint
    /// (RFC 9598 §6): whoever writes them means something that nobody applies.
    pub(crate) fn read(value: &[u8]) -> Read<Self> {
        let mut members = Reader::only(value, tag::SEQUENCE)?.inside();
        let (permitted, excluded) = (members.optional(0xa0)?, members.optional(0xa1)?);
        members.end()?;
        if permitted.is_none() && excluded.is_none() {
            return Err(Malformed);
        }
        let permitted = permitted.map(|list| subtrees(list.value)).transpose()?.unwrap_or_default();
        let excluded = excluded.map(|list| subtrees(list.value)).transpose()?.unwrap_or_default();
        Ok(Self { permitted: (!permitted.is_empty()).then_some(permitted), excluded })
    }

    /// How many subtrees there are.
    pub(crate) fn len(&self) -> usize {
        self.permitted.as_ref().map_or(0, Vec::len).saturating_add(self.excluded.len())
    }

    /// Whether the authority may name this address.
    pub(crate) fn allow(&self, address: &Address) -> bool {
        let within = |list: &[Subtree]| list.iter().any(|subtree| subtree.holds(address));
        !within(&self.excluded) && self.permitted.as_deref().is_none_or(within)
    }
}

impl Subtree {
    fn read(base: &[u8]) -> Read<Self> {
        let text = std::str::from_utf8(base).ok().filter(|text| text.is_ascii()).ok_or(Malformed)?;
        if text.is_empty() {
            return Ok(Self::All);
        }
        if let Some((local, domain)) = text.rsplit_once('@') {
            let plain = !local.is_empty() && !local.contains(['@', '"']) && local.bytes().all(|b| b.is_ascii_graphic());
            return if plain { Ok(Self::Mailbox(local.to_owned(), host(domain)?)) } else { Err(Malformed) };
        }
        match text.strip_prefix('.') {
            Some(domain) => Ok(Self::Below(host(domain)?)),
            None => Ok(Self::Host(host(text)?)),
        }
    }

    fn holds(&self, address: &Address) -> bool {
        let domain = address.domain().as_str();
        match self {
            Self::All => true,
            // The local part is compared as written (RFC 5280 §7.5).
            Self::Mailbox(local, host) => address.local() == local && domain == host,
            Self::Host(host) => domain == host,
            Self::Below(parent) => domain.strip_suffix(parent.as_str()).is_some_and(|front| front.ends_with('.')),
        }
    }
}

/// The host of a constraint in lower case; letters beyond ASCII stand there as A-labels.
fn host(text: &str) -> Read<String> {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if text.split('.').all(label) { Ok(text.to_ascii_lowercase()) } else { Err(Malformed) }
}

fn subtrees(content: &[u8]) -> Read<Vec<Subtree>> {
    let mut reader = Reader::new(content);
    let mut out = Vec::new();
    if reader.is_empty() {
        return Err(Malformed);
    }
    while !reader.is_empty() {
        let mut members = reader.expect(tag::SEQUENCE)?.inside();
        let base = members.next()?;
        members.end()?;
        match base.tag {
            0x81 => out.push(Subtree::read(base.value)?),
            0xa0 if crate::extension::is_smtp_utf8_mailbox(base.value)? => return Err(Malformed),
            _ => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der;

    fn constraints(permitted: &[&str], excluded: &[&str]) -> Read<MailConstraints> {
        let list = |bases: &[&str]| -> Vec<Vec<u8>> {
            bases.iter().map(|base| der::sequence(&[der::context_primitive(1, base.as_bytes())])).collect()
        };
        let mut members = Vec::new();
        if !permitted.is_empty() {
            members.push(der::context(0, &list(permitted)));
        }
        if !excluded.is_empty() {
            members.push(der::context(1, &list(excluded)));
        }
        MailConstraints::read(&der::sequence(&members))
    }

    #[test]
    fn subtrees_hold_what_rfc_5280_says() {
        let cases: &[(&[&str], &[&str], &str, bool)] = &[
            (&["ch-exemple.test"], &[], "a@ch-exemple.test", true),
            (&["CH-Exemple.test"], &[], "a@ch-exemple.test", true),
            (&["ch-exemple.test"], &[], "a@mail.ch-exemple.test", false),
            (&["ch-exemple.test"], &[], "a@xch-exemple.test", false),
            (&[".ch-exemple.test"], &[], "a@mail.ch-exemple.test", true),
            (&[".ch-exemple.test"], &[], "a@ch-exemple.test", false),
            (&[".ch-exemple.test"], &[], "a@mailch-exemple.test", false),
            (&["a@ch-exemple.test"], &[], "a@ch-exemple.test", true),
            (&["a@ch-exemple.test"], &[], "A@ch-exemple.test", false),
            (&["a@ch-exemple.test"], &[], "b@ch-exemple.test", false),
            (&["x.test", "y.test"], &[], "a@y.test", true),
            (&[], &["ch-exemple.test"], "a@ch-exemple.test", false),
            (&[], &["ch-exemple.test"], "a@tiers.test", true),
            (&[".test"], &["tiers.test"], "a@tiers.test", false),
            (&[], &[""], "a@tiers.test", false),
            (&[""], &[], "a@tiers.test", true),
            // Internationalised addresses follow the same subtrees, by A-label (RFC 9598 §6).
            (&["xn--hpital-ixa.test"], &[], "zoé@hôpital.test", true),
            (&[], &["xn--hpital-ixa.test"], "zoé@hôpital.test", false),
            (&["zoe@xn--hpital-ixa.test"], &[], "zoé@hôpital.test", false),
        ];
        for (permitted, excluded, address, allowed) in cases {
            let constraints = constraints(permitted, excluded).unwrap();
            let address = Address::parse(address).unwrap();
            assert_eq!(constraints.allow(&address), *allowed, "{permitted:?} {excluded:?} {address}");
        }
    }

    #[test]
    fn what_nobody_can_apply_is_malformed() {
        for base in
            ["a@", "@x.test", "a@b@x.test", "\"a\"@x.test", "hôpital.test", "x..test", ".", "x.test.", "a b@x.test"]
        {
            assert!(constraints(&[base], &[]).is_err(), "{base:?}");
            assert!(constraints(&[], &[base]).is_err(), "{base:?}");
        }
        assert!(constraints(&[], &[]).is_err(), "an empty extension");
        assert!(MailConstraints::read(&der::sequence(&[der::context::<Vec<u8>>(0, &[])])).is_err(), "an empty list");
        let base = der::context_primitive(1, b"x.test");
        for extra in [der::context_primitive(0, &[1]), der::context_primitive(1, &[5])] {
            let list = der::context(0, &[der::sequence(&[base.clone(), extra])]);
            assert!(MailConstraints::read(&der::sequence(&[list])).is_err(), "minimum or maximum");
        }
        // Other kinds of names are OpenSSL's business.
        let host = der::context(0, &[der::sequence(&[der::context_primitive(2, b"x.test")])]);
        assert_eq!(MailConstraints::read(&der::sequence(&[host])), Ok(MailConstraints::default()));
        let mailbox = der::sequence(&[der::context(
            0,
            &[der::oid("1.3.6.1.5.5.7.8.9").unwrap(), der::context(0, &[der::utf8("é@x.test")])],
        )]);
        let list = der::sequence(&[der::context(0, &[mailbox])]);
        assert!(MailConstraints::read(&list).is_err(), "SmtpUTF8Mailbox is no form of constraint");
    }
}
