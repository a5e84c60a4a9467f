//! From an LDAP filter to the query model: what can be true of whom, as far as the index tells. Never less than is
//! true: [`super::matching`] has the last word.

use super::{
    entry::has_class,
    filter::{Leaf, Node, Test, Text},
    schema::{self, Attr, Syntax},
};
use crate::{
    Field, Fields, Filter, Generation, How, Registry,
    ask::{MIN_NUMBER, Rows},
    fold::words,
};

/// Letters from which on the inside of words says something: fewer are in most words there are.
const MIN_INSIDE: usize = 3;

/// A filter over the index, for people or for structures.
pub(super) struct Spelling<'a> {
    pub(super) people: bool,
    /// The operator's own mailboxes, which the extract may not have yet, and whose they are there.
    pub(super) own: Option<(&'a Registry, &'a Generation)>,
}

impl Spelling<'_> {
    /// What may be true of somebody of whom the filter is.
    pub(super) fn filter(&mut self, node: &Node) -> Filter {
        self.bound(node, true)
    }

    /// Bounds where the node is true, or where it is false, from above.
    fn bound(&mut self, node: &Node, holds: bool) -> Filter {
        match (node, holds) {
            (Node::And(parts), true) | (Node::Or(parts), false) => {
                and(parts.iter().map(|part| self.bound(part, holds)).collect())
            }
            (Node::Or(parts), true) | (Node::And(parts), false) => {
                or(parts.iter().map(|part| self.bound(part, holds)).collect())
            }
            (Node::Not(part), _) => self.bound(part, !holds),
            (Node::Leaf(leaf), true) => self.holds(leaf),
            (Node::Leaf(leaf), false) => self.fails(leaf),
        }
    }

    fn holds(&mut self, leaf: &Leaf) -> Filter {
        let Some(known) = leaf.attr.and_then(schema::type_of) else { return nothing() };
        if leaf.test == Test::Undefined || known.syntax == Syntax::Octets && leaf.test != Test::Present {
            return nothing();
        }
        match known.attr {
            Attr::ObjectClass => match &leaf.test {
                Test::Equal(class) | Test::Exact(class) if !has_class(self.people, &class.raw) => nothing(),
                _ => Filter::All,
            },
            Attr::Uid | Attr::EmployeeNumber if !self.people => nothing(),
            Attr::Uid | Attr::EmployeeNumber => id(&leaf.test, MIN_NUMBER),
            // The index has them without their first digit.
            Attr::StructureId => id(&leaf.test, MIN_NUMBER.saturating_add(1)),
            Attr::Mail => self.mail(&leaf.test),
            Attr::MailboxType => {
                let known = self.code(&leaf.test, if self.people { Field::MailboxType } else { Field::SharedType });
                or(vec![known, self.owners(|_| true)])
            }
            Attr::ProfessionCode => self.code(&leaf.test, Field::ProfessionCode),
            Attr::SpecialityCode => self.code(&leaf.test, Field::SpecialityCode),
            Attr::PersonState if self.people => self.code(&leaf.test, Field::State),
            other => match self.fields(other) {
                Some(fields) if fields == Fields::NONE => nothing(),
                Some(fields) => self.words(&leaf.test, fields),
                // Not in the index: whoever is proposed is looked at.
                None => Filter::All,
            },
        }
    }

    fn fails(&mut self, leaf: &Leaf) -> Filter {
        let Some(known) = leaf.attr.and_then(schema::type_of) else { return nothing() };
        match (&leaf.test, known.attr) {
            (Test::Undefined, _) => nothing(),
            (Test::Equal(class), Attr::ObjectClass) if has_class(self.people, &class.raw) => nothing(),
            _ => Filter::All,
        }
    }

    /// Where the words of an attribute stand; nothing when the index does not have it.
    fn fields(&self, attr: Attr) -> Option<Fields> {
        let of = |fields: &[Field]| Some(Fields::of(fields));
        match attr {
            Attr::CommonName | Attr::DisplayName if self.people => Some(Fields::NAMES),
            Attr::CommonName | Attr::DisplayName => of(&[Field::Structure, Field::Service]),
            Attr::Surname | Attr::GivenName | Attr::Title | Attr::EmployeeType | Attr::BusinessCategory
                if !self.people =>
            {
                Some(Fields::NONE)
            }
            Attr::Surname => of(&[Field::Family]),
            Attr::GivenName => of(&[Field::Given]),
            Attr::EmployeeType | Attr::Title => of(&[Field::Profession]),
            Attr::BusinessCategory => of(&[Field::Speciality]),
            Attr::Organisation => of(&[Field::Structure]),
            Attr::Unit => of(&[Field::Service]),
            Attr::Locality => of(&[Field::Town]),
            Attr::State => of(&[Field::Department]),
            Attr::PostalCode => of(&[Field::Postcode]),
            Attr::Street => of(&[Field::Street]),
            Attr::Description if self.people => {
                of(&[Field::Profession, Field::Speciality, Field::Structure, Field::Postcode, Field::Town])
            }
            Attr::PostalAddress => of(&[Field::Structure, Field::Street, Field::Postcode, Field::Town]),
            Attr::DomainComponent | Attr::Description => Some(Fields::NONE),
            _ => None,
        }
    }

    fn words(&mut self, test: &Test, fields: Fields) -> Filter {
        let with = |how, text: &str| {
            let words = words(text).into_iter().filter(|word| !is_left_out(word, fields));
            and(words.map(|text| Filter::Words { fields, how, text }).collect())
        };
        match test {
            // By their signs, two texts without a letter may be the same.
            Test::Exact(wanted) if wanted.folded.is_empty() => Filter::All,
            Test::Equal(wanted) | Test::Approx(wanted) if wanted.folded.is_empty() => nothing(),
            Test::Equal(wanted) | Test::Exact(wanted) => with(How::Exact, &wanted.folded),
            Test::Approx(wanted) => with(How::Similar, &wanted.folded),
            Test::Substrings { initial, any, last } => {
                let all = pieces(initial.as_ref(), any, last.as_ref());
                // Only signs: nothing to look for.
                if all.is_empty() { nothing() } else { inside(all, fields) }
            }
            Test::AtLeast(_) | Test::AtMost(_) | Test::Present => Filter::All,
            Test::Undefined => nothing(),
        }
    }

    fn code(&self, test: &Test, field: Field) -> Filter {
        match test {
            Test::Equal(value) | Test::Exact(value) => Filter::Value { fields: field.into(), value: value.raw.clone() },
            _ => Filter::All,
        }
    }

    fn mail(&mut self, test: &Test) -> Filter {
        match test {
            Test::Equal(text) | Test::Exact(text) | Test::Approx(text) => {
                Filter::Address { text: text.raw.clone(), how: How::Exact }
            }
            Test::Substrings { initial: Some(start), any, last: None } if any.is_empty() => {
                Filter::Address { text: start.raw.clone(), how: How::Prefix }
            }
            Test::Substrings { initial, any, last } => {
                let pieces: Vec<&Text> = initial.iter().chain(any).chain(last).collect();
                // Only signs, as in `*@*`: every address may have them.
                if pieces.iter().all(|text| text.folded.is_empty()) {
                    return Filter::All;
                }
                let pieces: Vec<String> = pieces.iter().map(|text| text.raw.to_lowercase()).collect();
                let own = self.owners(|key| pieces.iter().all(|piece| key.contains(piece)));
                or(vec![self.words(test, Field::Mailbox.into()), own])
            }
            // Address books leave out who cannot be written to. Structures are few, and are all looked at.
            Test::Present if self.people => {
                Filter::Value { fields: Field::MailboxType.into(), value: "any".to_owned() }
            }
            _ => Filter::All,
        }
    }

    /// The people who own such a mailbox of ours: it may not be in the index.
    fn owners(&self, fits: impl Fn(&str) -> bool) -> Filter {
        let Some((registry, generation)) = self.own.filter(|_| self.people) else { return nothing() };
        let own = registry.mailboxes().iter().filter(|own| !own.red_list && fits(&own.address.key()));
        let owners = own.filter_map(|own| own.owner.as_ref());
        let mut rows: Vec<u32> = owners.filter_map(|id| generation.person(id)).map(|person| person.row).collect();
        rows.sort_unstable();
        rows.dedup();
        if rows.is_empty() { nothing() } else { Filter::Rows(Rows(rows.into())) }
    }
}

/// Every word of the pieces, and how it must be there.
pub(super) fn pieces(initial: Option<&Text>, any: &[Text], last: Option<&Text>) -> Vec<(How, String)> {
    let mut all = Vec::new();
    all.extend(initial.into_iter().flat_map(|text| piece(text, false, true)));
    all.extend(any.iter().flat_map(|text| piece(text, true, true)));
    all.extend(last.into_iter().flat_map(|text| piece(text, true, false)));
    all
}

/// The words of one piece: the first may be the end of one, the last the start of one.
fn piece(text: &Text, open_start: bool, open_end: bool) -> Vec<(How, String)> {
    let words = words(&text.raw);
    let last = words.len().saturating_sub(1);
    let how = |n: usize| {
        if n == 0 && open_start {
            How::Contains
        } else if n == last && open_end {
            How::Prefix
        } else {
            How::Exact
        }
    };
    words.into_iter().enumerate().map(|(n, word)| (how(n), word)).collect()
}

/// All of these words. A letter or two inside a word are in most words there are: they are looked for only when there
/// is nothing longer to go by.
fn inside(mut all: Vec<(How, String)>, fields: Fields) -> Filter {
    all.retain(|(_, word)| !is_left_out(word, fields));
    let long = |word: &str| word.chars().count() >= MIN_INSIDE;
    if all.iter().any(|(_, word)| long(word)) {
        all.retain(|(how, word)| *how != How::Contains || long(word));
    }
    and(all.into_iter().map(|(how, text)| Filter::Words { fields, how, text }).collect())
}

/// The dictionary has no `cedex` of towns, which says nothing about where they are.
fn is_left_out(word: &str, fields: Fields) -> bool {
    fields.has(Field::Town) && "cedex".contains(word)
}

fn id(test: &Test, shortest: usize) -> Filter {
    match test {
        Test::Equal(text) | Test::Exact(text) | Test::Approx(text) => {
            Filter::Id { text: text.raw.clone(), how: How::Exact }
        }
        // The index knows no shorter starts.
        Test::Substrings { initial: Some(start), any, last: None }
            if any.is_empty() && start.folded.replace(' ', "").len() >= shortest =>
        {
            Filter::Id { text: start.raw.clone(), how: How::Prefix }
        }
        _ => Filter::All,
    }
}

/// True of nobody.
pub(super) fn nothing() -> Filter {
    Filter::Or(Vec::new())
}

/// Whether it can be true of nobody at all.
pub(super) fn is_nothing(filter: &Filter) -> bool {
    matches!(filter, Filter::Or(parts) if parts.is_empty())
}

/// The same question step by step, the last being all of it: first who has a family name, or a structure's, that begins so
/// or a whole word as it was typed; then whose words begin so; then who has the letters anywhere. Each is true of those of
/// the step before, and of no other than the last is.
pub(super) fn steps(whole: Filter) -> Vec<Filter> {
    let mut steps = Vec::new();
    let begun = changed(&whole, &|how, fields, text| {
        (how == How::Contains).then(|| Filter::Words { fields, how: How::Prefix, text: text.to_owned() })
    });
    let named = changed(begun.as_ref().unwrap_or(&whole), &|how, fields, text| {
        let first = fields.and(Fields::of(&[Field::Family, Field::Structure]));
        let word = |how, fields| Filter::Words { fields, how, text: text.to_owned() };
        let either = || Filter::Or(vec![word(How::Exact, fields), word(How::Prefix, first)]);
        (how == How::Prefix && first != Fields::NONE && first != fields).then(either)
    });
    steps.extend(named);
    steps.extend(begun);
    steps.push(whole);
    steps
}

/// Changes some words of a filter; nothing when there were none to be changed.
fn changed(filter: &Filter, change: &dyn Fn(How, Fields, &str) -> Option<Filter>) -> Option<Filter> {
    let any = |parts: &[Filter]| {
        let changed: Vec<Option<Filter>> = parts.iter().map(|part| self::changed(part, change)).collect();
        let one = |(changed, part): (Option<Filter>, &Filter)| changed.unwrap_or_else(|| part.clone());
        changed.iter().any(Option::is_some).then(|| changed.into_iter().zip(parts).map(one).collect())
    };
    match filter {
        Filter::Words { fields, how, text } => change(*how, *fields, text),
        Filter::And(parts) => any(parts).map(Filter::And),
        Filter::Or(parts) => any(parts).map(Filter::Or),
        _ => None,
    }
}

fn and(parts: Vec<Filter>) -> Filter {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Filter::All => {}
            part if is_nothing(&part) => return nothing(),
            Filter::And(inner) => kept.extend(inner),
            other if kept.contains(&other) => {}
            other => kept.push(other),
        }
    }
    match kept.len() {
        0 => Filter::All,
        1 => kept.pop().unwrap_or(Filter::All),
        _ => Filter::And(kept),
    }
}

/// One of them. The same words looked for in several fields are looked for once: an address book asks for each word in
/// a dozen places.
fn or(parts: Vec<Filter>) -> Filter {
    let mut kept: Vec<Filter> = Vec::new();
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Filter::Or(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    for part in flat {
        if part == Filter::All {
            return Filter::All;
        }
        let Filter::Words { fields, how, text } = &part else {
            if !kept.contains(&part) {
                kept.push(part);
            }
            continue;
        };
        let same = kept.iter_mut().find_map(|known| match known {
            Filter::Words { fields, how: other, text: words } if other == how && words == text => Some(fields),
            _ => None,
        });
        match same {
            // A hit of one word in two fields is a hit of the word: only of a single one are they the same.
            Some(known) if !text.trim().contains(' ') => *known = known.or(*fields),
            _ => kept.push(part),
        }
    }
    if kept.len() == 1 { kept.pop().unwrap_or_else(nothing) } else { Filter::Or(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldap::filter::tests::parse;

    fn spelled(filter: &str, people: bool) -> Filter {
        Spelling { people, own: None }.filter(&parse(filter).unwrap())
    }

    /// The filters of annuaire §5.1 and §5.2: one look through the words, whatever the number of places.
    #[test]
    fn what_address_books_send_becomes_one_look() {
        let thunderbird = spelled("(|(cn=*dup*)(mail=*dup*)(givenName=*dup*)(sn=*dup*))", true);
        let fields = Fields::NAMES.or(Field::Mailbox.into());
        assert_eq!(thunderbird, Filter::Words { fields, how: How::Contains, text: "dup".to_owned() });
        let twelve = "(&(|(cn=*dup*)(givenName=*dup*)(sn=*dup*)(mozillaNickname=*dup*)(mail=*dup*)\
                      (mozillaSecondEmail=*dup*)(&(description=*dup*))(o=*dup*)(ou=*dup*)(title=*dup*)\
                      (mozillaWorkUrl=*dup*)(mozillaHomeUrl=*dup*)))";
        assert!(matches!(spelled(twelve, true), Filter::Words { how: How::Contains, .. }));
        let outlook = "(&(mail=*)(|(mail=dup*)(|(cn=dup*)(|(sn=dup*)(givenName=dup*)))))";
        let written = Filter::Value { fields: Field::MailboxType.into(), value: "any".to_owned() };
        let typed = Filter::Or(vec![
            Filter::Address { text: "dup".to_owned(), how: How::Prefix },
            Filter::Words { fields: Fields::NAMES, how: How::Prefix, text: "dup".to_owned() },
        ]);
        assert_eq!(spelled(outlook, true), Filter::And(vec![written, typed]));
    }

    #[test]
    fn short_fragments_are_looked_for_when_there_is_nothing_longer() {
        let words = |how, text: &str| Filter::Words { fields: Fields::NAMES, how, text: text.to_owned() };
        assert_eq!(spelled("(cn=*du*)", true), words(How::Contains, "du"));
        assert_eq!(
            spelled("(cn=*st r*)", true),
            Filter::And(vec![words(How::Contains, "st"), words(How::Prefix, "r")])
        );
        assert_eq!(spelled("(cn=*du*pont*)", true), words(How::Contains, "pont"));
        assert_eq!(spelled("(cn=dupont*j*)", true), words(How::Prefix, "dupont"));
        // The dictionary does not have it.
        assert_eq!(spelled("(l=*ced*)", true), Filter::All);
        assert_eq!(spelled("(mail=*@*)", true), Filter::All);
        assert_eq!(spelled("(uid=89*)", true), Filter::All);
    }

    #[test]
    fn names_are_asked_for_first_then_what_begins_so_then_what_stands_anywhere() {
        let whole = spelled("(&(|(cn=*dup*)(mail=*dup*))(l=par*))", true);
        let word = |fields: Fields, how, text: &str| Filter::Words { fields, how, text: text.to_owned() };
        let (fields, town) = (Fields::NAMES.or(Field::Mailbox.into()), word(Field::Town.into(), How::Prefix, "par"));
        let with = |first| Filter::And(vec![first, town.clone()]);
        let named = Filter::Or(vec![word(fields, How::Exact, "dup"), word(Field::Family.into(), How::Prefix, "dup")]);
        let all = vec![with(named), with(word(fields, How::Prefix, "dup")), with(word(fields, How::Contains, "dup"))];
        assert_eq!(steps(whole), all);
        for (filter, count) in [
            ("(cn=*dup*)", 3),
            ("(cn=dup*)", 2),
            ("(sn=*dup*)", 2),
            ("(o=*hop*)", 2),
            ("(sn=dup*)", 1),
            ("(l=par*)", 1),
            ("(mail=*)", 1),
            ("(cn=dupont)", 1),
            ("(uid=8999*)", 1),
        ] {
            let spelled = spelled(filter, true);
            let steps = steps(spelled.clone());
            assert_eq!((steps.len(), steps.last()), (count, Some(&spelled)), "{filter}");
        }
    }

    #[test]
    fn what_we_do_not_have_is_true_of_nobody_and_false_of_nobody() {
        for filter in ["(mozillaNickname=*x*)", "(!(mozillaNickname=*x*))", "(!(!(mozillaNickname=x)))", "(|)"] {
            assert!(is_nothing(&spelled(filter, true)), "{filter}");
        }
        assert_eq!(spelled("(&)", true), Filter::All);
        assert!(is_nothing(&spelled("(objectClass=groupOfNames)", true)));
        assert!(is_nothing(&spelled("(objectClass=inetOrgPerson)", false)));
        assert_eq!(spelled("(objectClass=inetOrgPerson)", true), Filter::All);
        assert_eq!(spelled("(!(cn=dup*))", true), Filter::All);
        assert!(is_nothing(&spelled("(sn=*dup*)", false)));
        assert_eq!(spelled("(!(mail=*))", true), Filter::All);
    }
}
