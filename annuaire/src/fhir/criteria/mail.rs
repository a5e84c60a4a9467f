//! Mailboxes: by address, by part of it, by type. The red list is obeyed, the registry's own are found.

use super::{Atom, Criteria, words_of};
use crate::{
    Field, Fields, Filter, How, MailboxType,
    fhir::{
        item::Item,
        outcome::Problem,
        params::{Parameter, Part},
        table::Kind,
    },
    fold::words,
};

impl<'g> Criteria<'g> {
    pub(super) fn mailbox(&self, text: &str, modifier: Option<&str>) -> Atom<'g> {
        let wanted = text.trim().to_lowercase();
        let renderer = self.renderer;
        let fits = |how: How| {
            move |address: &str, wanted: &str| match how {
                How::Exact => address == wanted,
                How::Contains => address.contains(wanted),
                How::Prefix | How::Similar => address.starts_with(wanted),
            }
        };
        let how = match modifier {
            Some("exact") => How::Exact,
            Some("contains") => How::Contains,
            _ => How::Prefix,
        };
        let test = fits(how);
        let base = match how {
            How::Contains => self.fragment(&wanted),
            _ => Filter::Address { text: wanted.clone(), how },
        };
        let precise = self.kind == Kind::Practitioner && (how != How::Contains || wanted == "@");
        let judge = move |item: &Item<'g>| {
            let mailboxes = item.mailboxes(&renderer);
            mailboxes.iter().any(|mailbox| test(&mailbox.address.to_lowercase(), &wanted))
        };
        Atom { base, precise, judge: Box::new(judge) }
    }

    /// Mailboxes in whose address a fragment may stand.
    pub(super) fn fragment(&self, fragment: &str) -> Filter {
        let any = Fields::of(&[Field::MailboxType, Field::SharedType]);
        let some = match self.kind {
            Kind::Practitioner => Filter::Value { fields: Field::MailboxType.into(), value: "any".into() },
            _ => Filter::Value { fields: any, value: "any".into() },
        };
        let words = words(fragment);
        if words.is_empty() {
            return some;
        }
        // A whole domain is looked up as such; else the longest words lead, few enough to be read through.
        let mut longest: Vec<&String> = words.iter().collect();
        longest.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let inside = longest.into_iter().take(3);
        let inside = inside.map(|word| words_of(Field::Mailbox.into(), How::Contains, word.clone()));
        Filter::And(inside.collect())
    }

    pub(super) fn mailbox_type(&self, parameter: &Parameter, part: &Part) -> Result<Atom<'g>, Problem> {
        let (_, code) = part.token();
        let kind = MailboxType::parse(code);
        if kind.is_none() && !code.eq_ignore_ascii_case("MSSANTE") {
            return Err(parameter.wrong("attendu PER, ORG, APP ou CAB.", "PER, ORG, APP or CAB is expected."));
        }
        let value = kind.map_or("any", MailboxType::code).to_lowercase();
        let fields = match self.kind {
            Kind::Practitioner => Field::MailboxType.into(),
            _ => Fields::of(&[Field::MailboxType, Field::SharedType]),
        };
        let base = Filter::Value { fields, value };
        let renderer = self.renderer;
        let judge = move |item: &Item<'g>| {
            let mailboxes = item.mailboxes(&renderer);
            mailboxes.iter().any(|mailbox| kind.is_none_or(|kind| kind == mailbox.r#type))
        };
        let precise = self.kind == Kind::Practitioner;
        Ok(Atom { base, precise, judge: Box::new(judge) })
    }
}
