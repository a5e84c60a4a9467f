//! Which attributes of an entry are given (RFC 4511 §4.5.1.8).

use super::{
    ber::{Writer, tag},
    entry::Entry,
    message::SearchAsked,
    schema::{self, Attr, AttributeType, Syntax},
};

/// What a client names when it says what it wants of an entry.
#[derive(Debug, Clone, Copy)]
enum Named {
    /// `*`, or nothing at all.
    User,
    /// `+` (RFC 3673).
    Operational,
    /// `name`, of which others are subtypes.
    Names,
    /// One attribute.
    One(Attr),
}

impl Named {
    /// Nothing where we do not know it. Options (`;lang-fr`) name subtypes that only certificates have.
    fn of(text: &str) -> Option<Self> {
        let plain = text.split(';').next().unwrap_or_default();
        let whole = plain.len() == text.len();
        match plain {
            "*" if whole => Some(Self::User),
            "+" if whole => Some(Self::Operational),
            _ if plain.eq_ignore_ascii_case("name") => whole.then_some(Self::Names),
            _ => {
                let known = schema::by_name(plain)?;
                let binary = || known.syntax == Syntax::Octets && text.to_ascii_lowercase().ends_with(";binary");
                (whole || binary()).then_some(Self::One(known.attr))
            }
        }
    }

    fn means(self, known: &AttributeType) -> bool {
        match self {
            // Certificates are given when named: a hundred of them at each keystroke are no help (annuaire §5.3).
            Self::User => !known.operational && known.syntax != Syntax::Octets,
            Self::Operational => known.operational,
            Self::Names => known.is_name,
            Self::One(attr) => attr == known.attr,
        }
    }
}

/// Which attributes are given, and under which names.
#[derive(Debug)]
pub(super) struct Selection {
    types: Vec<(&'static AttributeType, &'static str)>,
    types_only: bool,
}

impl Selection {
    pub(super) fn of(asked: &SearchAsked) -> Self {
        let named: Vec<Named> = match asked.attributes.as_slice() {
            [] => vec![Named::User],
            texts => texts.iter().filter_map(|text| Named::of(text)).collect(),
        };
        let shown = |known: &'static AttributeType| match known.attr {
            // RFC 4523 §2.1: certificates travel in this form, and clients look for it.
            Attr::UserCertificate => "userCertificate;binary",
            Attr::SmimeCertificate => "userSMIMECertificate;binary",
            _ => known.name(),
        };
        let types = schema::TYPES.iter().filter(|known| named.iter().any(|named| named.means(known)));
        Self { types: types.map(|known| (known, shown(known))).collect(), types_only: asked.types_only }
    }

    /// Whether certificates are among them.
    pub(super) fn names_octets(&self) -> bool {
        !self.types_only && self.types.iter().any(|(known, _)| known.syntax == Syntax::Octets)
    }

    pub(super) fn put(&self, entry: &Entry<'_>, out: &mut Writer) {
        out.put(tag::OCTETS, entry.name.as_bytes());
        out.constructed(tag::SEQUENCE, |list| {
            for (known, name) in &self.types {
                match known.syntax {
                    Syntax::Octets => self.put_one(name, entry.octets(known.attr).iter().map(Vec::as_slice), list),
                    _ => self.put_one(name, entry.texts(known.attr).iter().map(|text| text.as_bytes()), list),
                }
            }
        });
    }

    fn put_one<'v>(&self, name: &str, values: impl Iterator<Item = &'v [u8]>, list: &mut Writer) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        list.constructed(tag::SEQUENCE, |one| {
            one.put(tag::OCTETS, name.as_bytes());
            one.constructed(tag::SET, |set| {
                if !self.types_only {
                    values.for_each(|value| set.put(tag::OCTETS, value));
                }
            });
        });
    }
}
