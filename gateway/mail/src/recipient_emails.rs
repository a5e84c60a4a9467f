//! The attribute by which the German KIM profile ties addresses to the certificates that a message is
//! encrypted for (gemSMIME_KOMLE A_2114, A_2127). It stands beside the ciphertext, where anybody can change
//! it, and again under the signature: both must say the same, and what the ciphertext was really wrapped for
//! (A16, NT-C01 to NT-C03).

use std::collections::BTreeSet;

use ident::Address;
use pki::{cms::Attribute, der::tag};

use crate::attributes::take;

/// komle-recipient-emails: `SET OF SEQUENCE { emailAddress IA5String, rid RecipientIdentifier }`
pub const RECIPIENT_EMAILS: &str = "1.2.276.0.76.4.173";

/// Octets of one address: RFC 5321 allows 254.
const MAX_ADDRESS: usize = 256;

/// Pairs of an address, in comparable form, and an encoded recipient identifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientEmails(BTreeSet<(String, Vec<u8>)>);

impl RecipientEmails {
    /// Reads the values of the attribute; nothing if one of them cannot be read.
    pub(crate) fn read(attribute: &Attribute) -> Option<Self> {
        let pairs: Option<BTreeSet<_>> = attribute.values.iter().map(|value| pair(value)).collect();
        pairs.filter(|pairs| !pairs.is_empty()).map(Self)
    }

    /// The attribute among others: `Err` when it is there and cannot be read, or is there twice.
    pub(crate) fn among(attributes: &[Attribute]) -> Result<Option<Self>, ()> {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == RECIPIENT_EMAILS);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => Self::read(one).map(Some).ok_or(()),
            _ => Err(()),
        }
    }

    /// Whether an address is among them.
    pub fn names(&self, address: &Address) -> bool {
        let key = address.key();
        self.0.iter().any(|(named, _)| *named == key)
    }

    /// Whether these recipient identifiers are the ones named, no more and no fewer.
    pub(crate) fn are(&self, identifiers: &BTreeSet<Vec<u8>>) -> bool {
        let named: BTreeSet<&Vec<u8>> = self.0.iter().map(|(_, identifier)| identifier).collect();
        named.len() == identifiers.len() && identifiers.iter().all(|identifier| named.contains(identifier))
    }
}

/// What stands outside the signature about whom a container was encrypted for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// The unauthenticated copy of the attribute, if there is one that can be read.
    pub emails: Option<RecipientEmails>,
    /// There is one, and it cannot be read.
    pub malformed: bool,
    /// The identifiers of all recipient entries.
    pub identifiers: BTreeSet<Vec<u8>>,
}

impl Outside {
    /// Of an encrypted container.
    pub(crate) fn of(unprotected: &[Attribute], identifiers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let emails = RecipientEmails::among(unprotected);
        Self {
            malformed: emails.is_err(),
            emails: emails.ok().flatten(),
            identifiers: identifiers.into_iter().collect(),
        }
    }

    /// Whether the signed copy says the same as everything outside it. Where neither copy is there, the
    /// message is of another profile and nothing is to be compared.
    pub(crate) fn agrees_with(&self, signed: Option<&RecipientEmails>) -> bool {
        match (&self.emails, signed) {
            _ if self.malformed => false,
            (None, None) => true,
            (Some(outside), Some(inside)) => outside == inside && inside.are(&self.identifiers),
            _ => false,
        }
    }
}

fn pair(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let (members, rest) = take(value, tag::SEQUENCE)?;
    let (address, identifier) = take(members, tag::IA5_STRING)?;
    let sound = rest.is_empty() && !identifier.is_empty() && address.len() <= MAX_ADDRESS && address.is_ascii();
    let address = std::str::from_utf8(address).ok().filter(|_| sound)?;
    Some((Address::parse(address).ok()?.key(), identifier.to_vec()))
}

#[cfg(test)]
mod tests {
    use pki::der;
    use proptest::prelude::*;

    use super::*;

    fn value(address: &str, identifier: &[u8]) -> Vec<u8> {
        der::sequence(&[der::tlv(tag::IA5_STRING, address.as_bytes()), der::octet_string(identifier)])
    }

    fn attribute(values: Vec<Vec<u8>>) -> Attribute {
        Attribute { oid: RECIPIENT_EMAILS.into(), values }
    }

    #[test]
    fn the_order_of_values_and_the_case_of_addresses_do_not_matter() {
        let one = attribute(vec![value("A@x.test", &[1]), value("b@x.test", &[2])]);
        let other = attribute(vec![value("b@x.test", &[2]), value("a@X.test", &[1])]);
        let read = RecipientEmails::read(&one).unwrap();
        assert_eq!(Some(&read), RecipientEmails::read(&other).as_ref());
        assert!(read.names(&Address::parse("a@x.test").unwrap()));
        assert!(!read.names(&Address::parse("c@x.test").unwrap()));
    }

    #[test]
    fn what_cannot_be_read_is_not_believed() {
        let twice = [attribute(vec![value("a@x.test", &[1])]), attribute(vec![value("a@x.test", &[1])])];
        assert!(RecipientEmails::among(&twice).is_err());
        for bad in [
            vec![],
            vec![vec![]],
            vec![value("no address", &[1])],
            vec![der::sequence(&[der::tlv(tag::IA5_STRING, b"a@x.test")])],
            vec![der::sequence(&[der::utf8("a@x.test"), der::octet_string(&[1])])],
            vec![[value("a@x.test", &[1]), vec![0]].concat()],
            vec![value("a@x.test", &[1]), vec![5, 0]],
        ] {
            assert!(RecipientEmails::among(&[attribute(bad.clone())]).is_err(), "{bad:02x?}");
        }
        assert_eq!(RecipientEmails::among(&[]), Ok(None));
    }

    proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = RecipientEmails::read(&attribute(vec![value]));
        }
    }
}
