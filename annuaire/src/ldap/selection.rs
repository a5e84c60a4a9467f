//! Which attributes of an entry are given (RFC 4511 §4.5.1.8).

use super::{
    ber::{Writer, tag},
    entry::Entry,
    message::SearchAsked,
    schema::{self, Attr, AttributeType, Syntax},
};

/// Which attributes are given, and under which names.
pub(super) struct Selection {
    types: Vec<(&'static AttributeType, &'static str)>,
    types_only: bool,
}

impl Selection {
    pub(super) fn of(asked: &SearchAsked) -> Self {
        let mut chosen: Vec<Attr> = Vec::new();
        let everything = asked.attributes.is_empty();
        for known in schema::TYPES {
            // Certificates are given when named: a hundred of them at each keystroke are no help (annuaire §5.3).
            let user = !known.operational && known.syntax != Syntax::Octets;
            let named = |text: &String| {
                let plain = text.split(';').next().unwrap_or_default();
                let binary = known.syntax == Syntax::Octets && text.to_ascii_lowercase().ends_with(";binary");
                let whole = plain.len() == text.len() || binary;
                match text.as_str() {
                    "*" => user,
                    "+" => known.operational,
                    _ if plain.eq_ignore_ascii_case("name") => whole && known.is_name,
                    _ => whole && schema::by_name(plain).is_some_and(|asked| asked.attr == known.attr),
                }
            };
            if everything && user || asked.attributes.iter().any(named) {
                chosen.push(known.attr);
            }
        }
        let shown = |known: &'static AttributeType| match known.attr {
            // RFC 4523 §2.1: certificates travel in this form, and clients look for it.
            Attr::UserCertificate => "userCertificate;binary",
            Attr::SmimeCertificate => "userSMIMECertificate;binary",
            _ => known.name(),
        };
        let types = schema::TYPES.iter().filter(|known| chosen.contains(&known.attr));
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
                let values = entry.values(known.attr);
                if values.is_empty() {
                    continue;
                }
                list.constructed(tag::SEQUENCE, |one| {
                    one.put(tag::OCTETS, name.as_bytes());
                    one.constructed(tag::SET, |set| {
                        if !self.types_only {
                            values.iter().for_each(|value| set.put(tag::OCTETS, value));
                        }
                    });
                });
            }
        });
    }
}
