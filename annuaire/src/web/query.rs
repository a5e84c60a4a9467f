//! What is asked for, as it stands in the address of a page: one field, eleven criteria, two filters, a page.

use super::words::Lang;
use crate::{Field, Fields, Filter, How, MAX_QUESTION, MAX_WORDS, Question, Similar, fold::words};

/// How many people are on a page.
pub(super) const PAGE: usize = 20;
/// The last page: whoever leafs further is copying, not searching.
pub(super) const LAST_PAGE: usize = 25;
/// Most parameters of an address that are read.
const MOST: usize = 64;
/// Longest value of a criterion; the rest is cut off.
const LONGEST: usize = 120;

/// The criteria that certification wants in one form, to be combined (Ségur wave 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Criterion {
    Identifier,
    Family,
    Given,
    Profession,
    Speciality,
    Address,
    Structure,
    Street,
    Postcode,
    Town,
    Mail,
}

impl Criterion {
    pub(super) const ALL: [Self; 11] = [
        Self::Identifier,
        Self::Family,
        Self::Given,
        Self::Profession,
        Self::Speciality,
        Self::Address,
        Self::Structure,
        Self::Street,
        Self::Postcode,
        Self::Town,
        Self::Mail,
    ];

    /// Its name in addresses and forms.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identifier => "id",
            Self::Family => "family",
            Self::Given => "given",
            Self::Profession => "profession",
            Self::Speciality => "speciality",
            Self::Address => "address",
            Self::Structure => "structure",
            Self::Street => "street",
            Self::Postcode => "postcode",
            Self::Town => "town",
            Self::Mail => "mail",
        }
    }

    pub(super) const fn label(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::Identifier, Lang::Fr) => "Identifiant national (RPPS ou ADELI)",
            (Self::Identifier, Lang::En) => "National identifier (RPPS or ADELI)",
            (Self::Family, Lang::Fr) => "Nom d’exercice",
            (Self::Family, Lang::En) => "Surname",
            (Self::Given, Lang::Fr) => "Prénom",
            (Self::Given, Lang::En) => "Given name",
            (Self::Profession, _) => "Profession",
            (Self::Speciality, Lang::Fr) => "Spécialité",
            (Self::Speciality, Lang::En) => "Speciality",
            (Self::Address, Lang::Fr) => "Adresse (rue, ville ou code postal)",
            (Self::Address, Lang::En) => "Address (street, town or postcode)",
            (Self::Structure, Lang::Fr) => "Nom de la structure",
            (Self::Structure, Lang::En) => "Name of the structure",
            (Self::Street, Lang::Fr) => "Rue",
            (Self::Street, Lang::En) => "Street",
            (Self::Postcode, Lang::Fr) => "Code postal",
            (Self::Postcode, Lang::En) => "Postcode",
            (Self::Town, Lang::Fr) => "Ville",
            (Self::Town, Lang::En) => "Town",
            (Self::Mail, Lang::Fr) => "Adresse MSSanté",
            (Self::Mail, Lang::En) => "MSSanté address",
        }
    }

    /// Which keyboard a telephone shows.
    pub(super) const fn keyboard(self) -> &'static str {
        match self {
            Self::Identifier | Self::Postcode => "numeric",
            Self::Mail => "email",
            _ => "text",
        }
    }

    const fn fields(self) -> Fields {
        match self {
            Self::Identifier => Fields::NONE,
            Self::Family => Fields::of(&[Field::Family]),
            Self::Given => Fields::of(&[Field::Given]),
            Self::Profession => Fields::of(&[Field::Profession]),
            Self::Speciality => Fields::of(&[Field::Speciality]),
            Self::Address => Fields::of(&[Field::Street, Field::Postcode, Field::Town, Field::Department]),
            Self::Structure => Fields::of(&[Field::Structure]),
            Self::Street => Fields::of(&[Field::Street]),
            Self::Postcode => Fields::of(&[Field::Postcode]),
            Self::Town => Fields::of(&[Field::Town]),
            Self::Mail => Fields::of(&[Field::Mailbox]),
        }
    }

    fn filters(self, value: &str, filters: &mut Vec<Filter>) {
        match self {
            Self::Identifier => filters.push(Filter::Id { text: value.to_owned(), how: How::Prefix }),
            Self::Mail if value.starts_with('@') => {
                let value = value.trim_start_matches('@').to_owned();
                let fields = Fields::of(&[Field::Domain, Field::SharedDomain]);
                filters.push(Filter::Value { fields, value });
            }
            Self::Mail if value.contains('@') => {
                filters.push(Filter::Address { text: value.to_lowercase(), how: How::Prefix });
            }
            _ => starts(self.fields(), value, filters),
        }
    }
}

/// Every word of a value starts one of these fields. Nothing but signs: nothing is true.
fn starts(fields: Fields, value: &str, filters: &mut Vec<Filter>) {
    let before = filters.len();
    let one = |text: String| Filter::Words { fields, how: How::Prefix, text };
    filters.extend(words(value).into_iter().take(MAX_WORDS).map(one));
    if filters.len() == before {
        filters.push(Filter::Or(Vec::new()));
    }
}

/// Which mailboxes people must have.
const BOXES: [&str; 5] = ["any", "per", "cab", "org", "app"];

/// A search, as its address says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// The one field.
    pub(super) q: String,
    /// The criteria, in the order of [`Criterion::ALL`].
    pub(super) criteria: [String; 11],
    /// A department, by number or name.
    pub(super) department: String,
    /// A kind of mailbox, `any`, or nothing.
    pub(super) mailbox: String,
    /// The page, from 1.
    pub(super) page: usize,
    /// Something was cut off.
    pub(super) shortened: bool,
    /// The language that the address names.
    pub(super) lang: Option<Lang>,
}

impl Search {
    /// Reads the query of an address. What is not known is passed over: addresses are shared and age.
    pub(super) fn read(query: &str) -> Self {
        let mut search = Self { page: 1, ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MOST) {
            search.set(&name, &value);
        }
        search
    }

    fn set(&mut self, name: &str, value: &str) {
        let longest = if name == "q" { MAX_QUESTION } else { LONGEST };
        let plain: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let plain = plain.trim();
        let kept: String = plain.chars().take(longest).collect();
        let shortened = kept.len() < plain.len();
        match name {
            "q" => self.q = kept,
            "department" => self.department = kept,
            "box" if BOXES.contains(&kept.as_str()) => self.mailbox = kept,
            "p" => self.page = kept.parse().unwrap_or(1).clamp(1, LAST_PAGE),
            "lang" => self.lang = Lang::parse(&kept),
            _ => {
                let known = Criterion::ALL.iter().position(|it| it.name() == name);
                let Some(slot) = known.and_then(|at| self.criteria.get_mut(at)) else { return };
                *slot = kept;
            }
        }
        self.shortened |= shortened;
    }

    /// The value of a criterion.
    pub(super) fn criterion(&self, criterion: Criterion) -> &str {
        let at = Criterion::ALL.iter().position(|it| *it == criterion);
        at.and_then(|at| self.criteria.get(at)).map_or("", String::as_str)
    }

    /// Whether anything is asked beside the one field.
    pub(super) fn has_criteria(&self) -> bool {
        !self.department.is_empty() || !self.mailbox.is_empty() || self.criteria.iter().any(|it| !it.is_empty())
    }

    /// Whether anything is asked at all.
    pub(super) fn is_empty(&self) -> bool {
        self.q.is_empty() && !self.has_criteria()
    }

    /// The question. The one field alone is asked as any other face asks it.
    pub(super) fn question(&self) -> Question {
        if !self.has_criteria() {
            return Question::text(&self.q);
        }
        let mut filters = Vec::new();
        if !self.q.is_empty() {
            match Filter::text(&self.q) {
                Filter::And(parts) => filters.extend(parts),
                other => filters.push(other),
            }
        }
        for criterion in Criterion::ALL {
            let value = self.criterion(criterion);
            if !value.is_empty() {
                criterion.filters(value, &mut filters);
            }
        }
        if !self.department.is_empty() {
            starts(Field::Department.into(), &self.department, &mut filters);
        }
        if !self.mailbox.is_empty() {
            let fields = Fields::of(&[Field::MailboxType, Field::SharedType]);
            filters.push(Filter::Value { fields, value: self.mailbox.clone() });
        }
        Question { filter: Filter::And(filters), similar: Similar::IfNone }
    }

    /// An address that asks the same: `?q=…`, the page left out when it is the first.
    pub(super) fn address(&self) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        let page = self.page.to_string();
        let criteria = Criterion::ALL.iter().zip(&self.criteria).map(|(it, value)| (it.name(), value.as_str()));
        let pairs = [("q", self.q.as_str())].into_iter().chain(criteria).chain([
            ("department", self.department.as_str()),
            ("box", self.mailbox.as_str()),
            ("p", if self.page > 1 { page.as_str() } else { "" }),
            ("lang", self.lang.map_or("", Lang::code)),
        ]);
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            out.append_pair(name, value);
        }
        let query = out.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// The same on another page.
    pub(super) fn at_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// The same with one word of the field left out, and that word; for each of the first few.
    pub(super) fn without_one_word(&self) -> Vec<(String, Self)> {
        let words: Vec<&str> = self.q.split_whitespace().collect();
        if !(2..=5).contains(&words.len()) {
            return Vec::new();
        }
        let left_out = |at: usize, word: &str| {
            let others = words.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| *word);
            (word.to_owned(), Self { q: others.collect::<Vec<_>>().join(" "), page: 1, ..self.clone() })
        };
        words.iter().enumerate().map(|(at, word)| left_out(at, word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_say_what_is_asked() {
        let search = Search::read("q=lef%C3%A8vre+cardio&town=Nevers&box=per&p=3&lang=en&unknown=1&box=nonsense");
        assert_eq!((search.q.as_str(), search.criterion(Criterion::Town)), ("lefèvre cardio", "Nevers"));
        assert_eq!((search.mailbox.as_str(), search.page, search.lang), ("per", 3, Some(Lang::En)));
        assert_eq!(search.address(), "?q=lef%C3%A8vre+cardio&town=Nevers&box=per&p=3&lang=en");
        assert_eq!(Search::read("").address(), "");
        assert!(Search::read("q=+%00+&town=").is_empty());
        assert_eq!(Search::read("p=99999999999999999999").page, 1);
        assert_eq!(Search::read("p=400").page, LAST_PAGE);
    }

    #[test]
    fn the_one_field_alone_is_asked_as_everywhere() {
        let search = Search::read("q=Dr+Jean-Pierre+LEF%C3%88VRE+58");
        assert_eq!(search.question(), Question::text("Dr Jean-Pierre LEFÈVRE 58"));
    }

    #[test]
    fn every_criterion_asks_in_its_own_fields() {
        for criterion in Criterion::ALL {
            let search = Search::read(&format!("{}=deux+mots", criterion.name()));
            let Filter::And(parts) = search.question().filter else { panic!() };
            assert_eq!(parts.len(), if criterion == Criterion::Identifier { 1 } else { 2 }, "{criterion:?}");
            for part in parts {
                match part {
                    Filter::Words { fields, .. } => assert_eq!(fields, criterion.fields()),
                    Filter::Id { .. } => assert_eq!(criterion, Criterion::Identifier),
                    other => panic!("{other:?}"),
                }
            }
        }
        let of = |query: &str| Search::read(query).question().filter;
        assert!(matches!(of("mail=a.b%40c.test"), Filter::And(parts) if matches!(parts[0], Filter::Address { .. })));
        assert!(matches!(of("mail=%40c.test"), Filter::And(parts) if matches!(parts[0], Filter::Value { .. })));
        assert_eq!(of("town=%21%21"), Filter::And(vec![Filter::Or(vec![])]), "signs alone find nobody");
    }

    #[test]
    fn long_questions_are_cut_and_say_so() {
        let search = Search::read(&format!("q={}&town={}", "a+".repeat(5000), "b".repeat(5000)));
        assert!(search.shortened);
        assert!(search.q.len() <= MAX_QUESTION && search.criterion(Criterion::Town).len() <= LONGEST);
        let many: String = (0..10_000).map(|n| format!("town={n}&")).collect();
        assert_eq!(Search::read(&many).criterion(Criterion::Town), "63");
    }

    proptest! {
        #[test]
        fn reading_never_fails_and_addresses_come_back(query in ".{0,300}") {
            let search = Search::read(&query);
            let again = Search::read(search.address().trim_start_matches('?'));
            prop_assert_eq!(Search { shortened: false, ..search }, again);
        }
    }
}
