//! Whether a filter is true of an entry: true, false, or undefined (RFC 4511 §4.5.1.7). The index only proposes; what
//! is sent was found true here.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::{
    dn::Dn,
    entry::{Entry, Subject, is_class},
    filter::{Leaf, Node, Test, Text},
    schema::{self, Attr, Syntax},
    spelling,
};
use crate::{
    How,
    answer::{person_forms, structure_forms},
    ask::distance,
    fold::fold,
    fonem,
    generation::PARTICLES,
};

/// True, false, or nothing can be told. Each part of the filter asks whether time `is_up`: then nothing can be told of
/// it any more.
pub(super) fn holds(node: &Node, entry: &Entry<'_>, is_up: &dyn Fn() -> bool) -> Option<bool> {
    match node {
        Node::And(parts) => {
            let mut known = Some(true);
            for part in parts {
                match holds(part, entry, is_up) {
                    Some(false) => return Some(false),
                    None => known = None,
                    Some(true) => {}
                }
            }
            known
        }
        Node::Or(parts) => {
            let mut known = Some(false);
            for part in parts {
                match holds(part, entry, is_up) {
                    Some(true) => return Some(true),
                    None => known = None,
                    Some(false) => {}
                }
            }
            known
        }
        Node::Not(part) => holds(part, entry, is_up).map(|known| !known),
        Node::Leaf(_) if is_up() => None,
        Node::Leaf(leaf) => leaf_holds(leaf, entry),
    }
}

fn leaf_holds(leaf: &Leaf, entry: &Entry<'_>) -> Option<bool> {
    let known = schema::type_of(leaf.attr?)?;
    if leaf.test == Test::Present {
        return Some(match known.syntax {
            Syntax::Octets => !entry.octets(known.attr).is_empty(),
            _ => !entry.values(known.attr).is_empty(),
        });
    }
    let values = || match leaf.test {
        // Of values that are the same but for their case, one is shown.
        Test::Exact(_) => entry.texts(known.attr),
        _ => entry.values(known.attr),
    };
    match known.syntax {
        Syntax::Octets => None,
        Syntax::Class => match &leaf.test {
            Test::Equal(class) | Test::Exact(class) => Some(values().iter().any(|name| is_class(name, &class.raw))),
            _ => None,
        },
        Syntax::Name => match &leaf.test {
            Test::Equal(name) | Test::Exact(name) => {
                let wanted = Dn::parse(&name.raw)?.key();
                Some(values().iter().any(|name| Dn::parse(name).is_some_and(|name| name.key() == wanted)))
            }
            _ => None,
        },
        Syntax::Time | Syntax::Boolean => plain(&leaf.test, &values(), |text| text.to_uppercase()),
        Syntax::Telephone => plain(&leaf.test, &values(), |text| text.chars().filter(char::is_ascii_digit).collect()),
        Syntax::Address => plain(&leaf.test, &values(), str::to_lowercase),
        Syntax::Identifier => identifier(known.attr, &leaf.test, &values()),
        Syntax::Text => {
            let name = [Attr::CommonName, Attr::DisplayName, Attr::Surname, Attr::GivenName].contains(&known.attr);
            let names = name && matches!(entry.subject, Subject::Person { .. });
            text(&leaf.test, &values(), &|| entry.other_forms(known.attr), names)
        }
    }
}

/// Comparison in a form of both sides.
fn plain(test: &Test, values: &[Cow<'_, str>], form: impl Fn(&str) -> String) -> Option<bool> {
    let any = |holds: &dyn Fn(&str) -> bool| Some(values.iter().any(|value| holds(&form(value))));
    let of = |text: &Text| form(&text.raw);
    match test {
        Test::Equal(wanted) | Test::Exact(wanted) | Test::Approx(wanted) => {
            let wanted = of(wanted);
            any(&|value| value == wanted)
        }
        Test::AtLeast(least) => {
            let least = of(least);
            any(&|value| value >= least.as_str())
        }
        Test::AtMost(most) => {
            let most = of(most);
            any(&|value| value <= most.as_str())
        }
        Test::Substrings { initial, any: middle, last } => {
            let pieces = Pieces {
                initial: initial.as_ref().map(of),
                any: middle.iter().map(of).collect(),
                last: last.as_ref().map(of),
            };
            any(&|value| pieces.are_in(value, false))
        }
        Test::Present | Test::Undefined => None,
    }
}

/// Values, and the `forms` by which the names in them go, too.
fn text(test: &Test, values: &[Cow<'_, str>], forms: &dyn Fn() -> Vec<String>, names: bool) -> Option<bool> {
    let any = |holds: &dyn Fn(&str) -> bool| Some(values.iter().any(|value| holds(&fold(value))));
    match test {
        // Only signs: there is nothing to compare.
        Test::Equal(wanted) if wanted.folded.is_empty() => Some(false),
        Test::Equal(wanted) => {
            let run = squeezed(&wanted.folded);
            let words = || wanted.folded.split(' ').map(|word| (How::Exact, word.to_owned())).collect::<Vec<_>>();
            let apart = |value: &str| squeezed(value) == run && stand_in(&words(), value, &forms());
            any(&|value| value == wanted.folded || apart(value))
        }
        // Accents and case as they stand, in one normal form (annuaire §8).
        Test::Exact(wanted) => {
            let wanted: String = wanted.raw.nfc().collect();
            Some(values.iter().any(|value| value.nfc().eq(wanted.chars())))
        }
        Test::AtLeast(least) => any(&|value| value >= least.folded.as_str()),
        Test::AtMost(most) => any(&|value| value <= most.folded.as_str()),
        Test::Approx(wanted) => any(&|value| sounds(&wanted.folded, value, names)),
        Test::Substrings { initial, any: middle, last } => {
            let of = |text: &Text| text.folded.clone();
            let pieces = Pieces {
                initial: initial.as_ref().map(of),
                any: middle.iter().map(of).collect(),
                last: last.as_ref().map(of),
            };
            if values.iter().any(|value| pieces.are_in(&fold(value), true)) {
                return Some(true);
            }
            let forms = forms();
            let words = spelling::pieces(initial.as_ref(), middle, last.as_ref());
            let run = pieces.squeezed();
            let apart = |value: &str| run.are_in(&squeezed(value), false) && stand_in(&words, value, &forms);
            Some(forms.iter().any(|form| pieces.are_in(form, false)) || values.iter().any(|value| apart(&fold(value))))
        }
        Test::Present | Test::Undefined => None,
    }
}

/// Whether each of these words is one of the value, or of the forms in which its names are run together.
fn stand_in(words: &[(How, String)], value: &str, forms: &[String]) -> bool {
    let is = |how: How, word: &str, known: &str| match how {
        How::Exact => known == word,
        How::Prefix => known.starts_with(word),
        How::Contains | How::Similar => known.contains(word),
    };
    let known = || value.split(' ').chain(forms.iter().map(String::as_str));
    words.iter().all(|(how, word)| known().any(|known| is(*how, word, known)))
}

/// Identifiers are written with and without their first digit, blanks and the like.
fn identifier(attr: Attr, test: &Test, values: &[Cow<'_, str>]) -> Option<bool> {
    let forms = |text: &str| -> Vec<String> {
        let mut forms = vec![compact(text)];
        match attr {
            Attr::StructureId => forms.extend(structure_forms(text).iter().map(|id| id.as_str().to_owned())),
            _ => forms.extend(person_forms(text).iter().map(|id| id.as_str().to_owned())),
        }
        forms
    };
    match test {
        Test::Equal(wanted) | Test::Exact(wanted) | Test::Approx(wanted) => {
            let wanted = forms(&wanted.raw);
            Some(values.iter().any(|value| wanted.iter().any(|form| form == value)))
        }
        Test::Substrings { initial: Some(start), any, last: None } if any.is_empty() => {
            let start = compact(&start.raw);
            let begins = |value: &str| {
                // People leave out the digit that says of which kind a person's number is; structures show both forms.
                let first = value.chars().next().filter(|_| attr != Attr::StructureId);
                let after_first = first.and_then(|first| value.get(first.len_utf8()..));
                value.starts_with(&start) || after_first.is_some_and(|rest| rest.starts_with(&start))
            };
            Some(values.iter().any(|value| begins(value)))
        }
        other => plain(other, values, compact),
    }
}

fn compact(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '.').collect::<String>().to_uppercase()
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| *c != ' ').collect()
}

/// The pieces of a substring assertion.
struct Pieces {
    initial: Option<String>,
    any: Vec<String>,
    last: Option<String>,
}

impl Pieces {
    fn squeezed(&self) -> Self {
        Self {
            initial: self.initial.as_deref().map(squeezed),
            any: self.any.iter().map(|piece| squeezed(piece)).collect(),
            last: self.last.as_deref().map(squeezed),
        }
    }

    /// Whether they stand in the value, in order and without overlap. With `words`, the first may begin any word: the
    /// second half of a hyphenated surname is found (annuaire §4).
    fn are_in(&self, value: &str, words: bool) -> bool {
        let Some(initial) = self.initial.as_deref().filter(|initial| !initial.is_empty()) else {
            return self.any.iter().chain(&self.last).any(|piece| !piece.is_empty()) && self.rest_is_in(value);
        };
        let mut from = 0usize;
        while let Some(rest) = value.get(from..) {
            if let Some(rest) = rest.strip_prefix(initial)
                && self.rest_is_in(rest)
            {
                return true;
            }
            match rest.find(' ').filter(|_| words) {
                Some(blank) => from = from.saturating_add(blank).saturating_add(1),
                None => return false,
            }
        }
        false
    }

    fn rest_is_in(&self, mut rest: &str) -> bool {
        for piece in &self.any {
            match rest.split_once(piece.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        self.last.as_deref().is_none_or(|last| rest.ends_with(last))
    }
}

/// Whether each word is there, begins one, is a letter or two off, or, in names, sounds like one: as the index looks
/// for it.
fn sounds(wanted: &str, value: &str, names: bool) -> bool {
    let mut words = wanted.split(' ').filter(|word| !word.is_empty()).peekable();
    words.peek().is_some() && words.all(|word| is_near(word, value, names))
}

/// Whether a word is one of the value's in one of these ways.
fn is_near(word: &str, value: &str, names: bool) -> bool {
    let plain = word.bytes().all(|octet| octet.is_ascii_lowercase());
    let allowed = distance(word.len()).filter(|_| plain);
    let code = names.then(|| fonem(word)).filter(|code| code.len() > 2);
    let alike = |other: &str| code.as_ref().is_some_and(|code| !PARTICLES.contains(&other) && *code == fonem(other));
    value.split(' ').any(|other| {
        other.starts_with(word) || allowed.is_some_and(|most| within(word, other, usize::from(most))) || alike(other)
    })
}

/// Whether two words are at most `most` letters apart: one more, one less, another one, two neighbours exchanged.
fn within(one: &str, other: &str, most: usize) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if a.len().abs_diff(b.len()) > most || a.len().max(b.len()) > 64 {
        return false;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, wanted) in b.iter().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let changed = at(&row, j).saturating_add(usize::from(letter != wanted));
            let mut best =
                changed.min(at(&row, j.saturating_add(1)).saturating_add(1)).min(at(&next, j).saturating_add(1));
            let earlier = |letters: &[char], at: usize| at.checked_sub(1).and_then(|at| letters.get(at).copied());
            if earlier(&a, i) == Some(*wanted) && earlier(&b, j) == Some(*letter) {
                best = best.min(at(&before, j.saturating_sub(1)).saturating_add(1));
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().is_some_and(|apart| *apart <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::other_forms;

    fn of(filter: &str, values: &[&str]) -> bool {
        let Node::Leaf(leaf) = super::super::filter::tests::parse(filter).unwrap() else { panic!("{filter}") };
        let values: Vec<Cow<'_, str>> = values.iter().map(|value| Cow::Borrowed(*value)).collect();
        let forms = || [other_forms("Jean-Pierre"), other_forms("LEFÈVRE-MARTIN")].concat();
        text(&leaf.test, &values, &forms, true).unwrap()
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        let values = ["Jean-Pierre LEFÈVRE-MARTIN", "LEFÈVRE-MARTIN Jean-Pierre"];
        for filter in [
            "(cn=*lefevre*)",
            "(cn=lefèvre-martin jean pierre)",
            "(cn=jean*)",
            "(cn=martin*)",
            "(cn=*jean*lefevre*)",
            "(cn=*lefevre*jean*)",
            "(cn=*jeanpierre*)",
            "(cn=JEANPIERRE*)",
            "(cn=*jeanpierre lefevre*)",
            "(cn=JeanPierre lefevremartin)",
            "(cn=*lefevrem*)",
            "(cn=jean*tin)",
            "(cn~=lefebvre)",
            "(cn~=lefevr)",
            "(cn~=lefever)",
            "(cn>=jean)",
            "(cn<=lefevre martin jean pierre)",
            "(cn:caseExactMatch:=Jean-Pierre LEFÈVRE-MARTIN)",
        ] {
            assert!(of(filter, &values), "{filter}");
        }
        for filter in [
            "(cn=lefevre)",
            "(cn=*pierre*jean-pierre*)",
            "(cn=artin*)",
            "(cn=*rele*)",
            "(cn=*pierrelefevre*)",
            "(cn=*jean pie rre*)",
            "(cn=*an pi rre*)",
            "(cn=*jean)x",
            "(cn~=dupont)",
            "(cn>=zoe)",
            "(cn:caseExactMatch:=Jean-Pierre LEFEVRE-MARTIN)",
        ] {
            let filter = filter.trim_end_matches('x');
            let expected = filter == "(cn=*jean)";
            assert_eq!(of(filter, &values), expected && values[1].ends_with("Jean"), "{filter}");
        }
    }

    #[test]
    fn letters_apart_are_counted() {
        for (one, other, apart) in [
            ("dupont", "dupont", 0),
            ("dupont", "dupond", 1),
            ("dupont", "duponts", 1),
            ("martin", "matrin", 1),
            ("ab", "ba", 1),
            ("lefevre", "lefebre", 1),
            ("a", "", 1),
            ("abc", "cab", 2),
        ] {
            assert!(within(one, other, apart), "{one} {other}");
            assert!(apart == 0 || !within(one, other, apart - 1), "{one} {other}");
        }
    }

    #[test]
    fn identifiers_in_every_form() {
        let value = [Cow::Borrowed("899700000001")];
        let of = |filter: &str| {
            let Node::Leaf(leaf) = super::super::filter::tests::parse(filter).unwrap() else { panic!("{filter}") };
            identifier(Attr::Uid, &leaf.test, &value).unwrap()
        };
        for good in [
            "(uid=899700000001)",
            "(uid=99700000001)",
            "(uid=99 700 000 001)",
            "(uid=9970*)",
            "(uid=89970*)",
            "(uid=*0001)",
        ] {
            assert!(of(good), "{good}");
        }
        assert!(!of("(uid=99700000002)") && !of("(uid=7000*)"));
    }
}
