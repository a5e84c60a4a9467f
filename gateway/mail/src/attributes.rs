//! What a gateway writes into the signed part beside the message: for whom it is (A16), who was
//! authenticated, and the sender's latest trail checkpoint.
//!
//! The object identifiers hang under 2.999, the arc that ITU-T X.660 sets aside for examples:
//! a placeholder until the project has an arc of its own. This module is the only place that
//! knows them. Peers that do not know an attribute pass over it (RFC 5652 §5.3).

use ident::Address;
use pki::{
    cms::{Attribute, Capabilities},
    der::{self, tag},
};

use crate::{
    Assurance, AssuranceLevel,
    recipient_emails::{RECIPIENT_EMAILS, RecipientEmails},
};

/// The project's arc. Placeholder: see the module's text and `specs/deviations.md`.
pub const ARC: &str = "2.999.2026.1";
/// `IntendedRecipients ::= SEQUENCE OF UTF8String`: every address that the body is meant for.
pub const INTENDED_RECIPIENTS: &str = "2.999.2026.1.1";
/// `Assurance ::= SEQUENCE { level UTF8String, who UTF8String, how UTF8String }`
pub const ASSURANCE: &str = "2.999.2026.1.2";
/// `Checkpoint ::= UTF8String`: a signed checkpoint of the sender's trail.
pub const CHECKPOINT: &str = "2.999.2026.1.3";

/// Addresses in one attribute; a message has at most a thousand recipients (A20).
pub(crate) const MAX_RECIPIENTS: usize = 2000;
/// Octets of one text.
const MAX_TEXT: usize = 4096;

/// The attribute that names whom a body is meant for, in comparable form.
pub fn intended_recipients(recipients: &[&Address]) -> Attribute {
    let texts: Vec<Vec<u8>> = recipients.iter().map(|address| der::utf8(&address.key())).collect();
    Attribute::single(INTENDED_RECIPIENTS, der::sequence(&texts))
}

/// The attribute that says who was authenticated and how.
pub fn assurance(assurance: &Assurance) -> Attribute {
    let texts = [assurance.level.code(), &assurance.who, &assurance.how].map(der::utf8);
    Attribute::single(ASSURANCE, der::sequence(&texts))
}

/// The attribute that carries a trail checkpoint.
pub fn checkpoint(text: &str) -> Attribute {
    Attribute::single(CHECKPOINT, der::utf8(text))
}

/// What the signed attributes of a peer say, as far as we know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Whom the body is meant for, in comparable form.
    pub intended: Option<Vec<String>>,
    /// Who was authenticated.
    pub assurance: Option<Assurance>,
    /// The peer's checkpoint.
    pub checkpoint: Option<String>,
    /// Addresses and certificates that a gateway of the German KIM network encrypted for (A_2127).
    pub recipient_emails: Option<RecipientEmails>,
    /// What the signer reads, as far as it bears on how we write (RFC 8551 §2.5.2).
    pub capabilities: Option<Capabilities>,
    /// One of ours is there and cannot be read: nothing in it is believed.
    pub malformed: bool,
}

/// Reads our attributes among signed ones.
pub fn said(attributes: &[Attribute]) -> Said {
    let mut said = Said { capabilities: Capabilities::among(attributes), ..Said::default() };
    for attribute in attributes {
        let read = match attribute.oid.as_str() {
            INTENDED_RECIPIENTS if said.intended.is_none() => {
                single(attribute).and_then(texts).map(|texts| said.intended = Some(texts))
            }
            ASSURANCE if said.assurance.is_none() => {
                single(attribute).and_then(read_assurance).map(|it| said.assurance = Some(it))
            }
            CHECKPOINT if said.checkpoint.is_none() => {
                single(attribute).and_then(whole_text).map(|it| said.checkpoint = Some(it))
            }
            RECIPIENT_EMAILS if said.recipient_emails.is_none() => {
                RecipientEmails::read(attribute).map(|emails| said.recipient_emails = Some(emails))
            }
            INTENDED_RECIPIENTS | ASSURANCE | CHECKPOINT | RECIPIENT_EMAILS => None,
            _ => Some(()),
        };
        said.malformed |= read.is_none();
    }
    said
}

fn single(attribute: &Attribute) -> Option<&[u8]> {
    match attribute.values.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn read_assurance(value: &[u8]) -> Option<Assurance> {
    let texts = texts(value)?;
    let [level, who, how] = texts.as_slice() else { return None };
    Some(Assurance { level: AssuranceLevel::parse(level)?, who: who.clone(), how: how.clone() })
}

/// A SEQUENCE OF UTF8String.
fn texts(value: &[u8]) -> Option<Vec<String>> {
    let (mut members, rest) = take(value, tag::SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    while !members.is_empty() {
        let (text, rest) = take(members, tag::UTF8_STRING)?;
        if found.len() >= MAX_RECIPIENTS || text.len() > MAX_TEXT {
            return None;
        }
        found.push(std::str::from_utf8(text).ok()?.to_owned());
        members = rest;
    }
    Some(found)
}

fn whole_text(value: &[u8]) -> Option<String> {
    let (text, rest) = take(value, tag::UTF8_STRING)?;
    let fits = rest.is_empty() && text.len() <= MAX_TEXT;
    std::str::from_utf8(text).ok().filter(|_| fits).map(str::to_owned)
}

/// One value with this tag and a definite length: its content, and what follows.
pub(crate) fn take(value: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let [tag, first, rest @ ..] = value else { return None };
    if *tag != wanted {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().try_fold(0usize, |sum, b| sum.checked_mul(256)?.checked_add(usize::from(*b)))?;
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let a = Address::parse("A@x.test").unwrap();
        let who =
            Assurance { level: AssuranceLevel::Delegated, who: "Luc PETIT-TEST".into(), how: "carte CPE ".repeat(30) };
        let all = [intended_recipients(&[&a]), assurance(&who), checkpoint("gw.test\n1\nx")];
        let expected = Said {
            intended: Some(vec!["a@x.test".into()]),
            assurance: Some(who),
            checkpoint: Some("gw.test\n1\nx".into()),
            ..Said::default()
        };
        assert_eq!(said(&all), expected);
        assert_eq!(said(&[Attribute::single("1.2.3", vec![5, 0])]), Said::default());
    }

    #[test]
    fn believes_nothing_that_is_repeated_or_malformed() {
        let a = Address::parse("a@x.test").unwrap();
        let twice = [intended_recipients(&[&a]), intended_recipients(&[])];
        assert!(said(&twice).malformed);
        let two_values = Attribute { oid: CHECKPOINT.into(), values: vec![der::utf8("a"), der::utf8("b")] };
        assert!(said(&[two_values]).malformed);
        assert!(
            said(&[Attribute::single(ASSURANCE, der::sequence(&[der::utf8("lord"), der::utf8(""), der::utf8("")]))])
                .malformed
        );
        for value in [vec![], vec![0x30], vec![0x30, 0x80, 0, 0], vec![0x30, 2, 0x0c, 5], vec![0x30, 3, 0x0c, 1, 0xff]]
        {
            assert!(said(&[Attribute::single(INTENDED_RECIPIENTS, value)]).malformed);
        }
    }

    proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = said(&[Attribute::single(INTENDED_RECIPIENTS, value.clone()), Attribute::single(CHECKPOINT, value)]);
        }
    }
}
