//! Which words lead to a person or a structure.

use std::{collections::HashMap, ops::Range};

use foldhash::fast::RandomState;

use super::{
    field::Field,
    strings::{Interner, Strings, Text},
    tables::Tables,
};
use crate::{MailboxType, fold::fold, fonem};

/// Particles that come before or between the parts of a name and that nobody is sure to type.
pub(crate) const PARTICLES: [&str; 14] =
    ["de", "du", "des", "d", "la", "le", "les", "l", "ben", "el", "al", "van", "von", "der"];

/// Cuts texts into words, each with its field; texts that many rows share are cut once.
pub(super) struct Words<'a> {
    text: &'a Strings,
    entries: Interner,
    /// Millions of them: numbers of 32 bits, and as few as will do.
    known: HashMap<(Text, Cut), Range<u32>, RandomState>,
    cut: Vec<Text>,
    scratch: String,
}

/// How a text is cut, and what its words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cut {
    /// Each word.
    Words(Field),
    /// Each word, and the forms in which people run a name together; family and given names sound, too.
    Name(Field),
    /// One part of a coded value (`code|label`), as words.
    Label(u8, Field),
    /// One part of a coded value, as it stands.
    Code(u8, Field),
    /// A town in the second part of a coded value.
    Town,
    /// A town behind its postcode.
    Routing,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a Strings) -> Self {
        Self { text, entries: Interner::new(), known: HashMap::default(), cut: Vec::new(), scratch: String::new() }
    }

    pub(super) fn finish(self) -> Interner {
        self.entries
    }

    /// The words of a person, without those of the places where the person works.
    pub(super) fn person(&mut self, t: &Tables, row: u32, out: &mut Vec<Text>) {
        self.add(out, t.person_family.text_at(row), Cut::Name(Field::Family));
        self.add(out, t.person_given.text_at(row), Cut::Name(Field::Given));
        self.coded(out, t.person_profession.text_at(row), [(0, Field::ProfessionCode), (1, Field::Profession)]);
        for activity in t.person_activity_starts.range(row) {
            self.coded(
                out,
                t.activity_profession.text_at(activity),
                [(0, Field::ProfessionCode), (1, Field::Profession)],
            );
            self.coded(out, t.activity_skill.text_at(activity), [(2, Field::SpecialityCode), (3, Field::Speciality)]);
            self.add(out, t.activity_sector.text_at(activity), Cut::Code(0, Field::SectorCode));
        }
        for skill in t.person_skill_starts.range(row) {
            self.coded(out, t.skill_skill.text_at(skill), [(2, Field::SpecialityCode), (3, Field::Speciality)]);
        }
        for mailbox in t.person_mailboxes.of(&t.person_mailbox_starts, row) {
            self.mailbox(t, mailbox, [Field::Domain, Field::MailboxType], out);
        }
        let state = if t.person_flags.text_at(row) & 1 == 1 { "active" } else { "inactive" };
        self.word(out, state, Field::State);
    }

    /// The words of a structure and of its shared mailboxes.
    pub(super) fn structure(&mut self, t: &Tables, row: u32, out: &mut Vec<Text>) {
        let street = [&t.structure_recipient, &t.structure_place, &t.structure_street, &t.structure_mention];
        for column in street {
            self.add(out, column.text_at(row), Cut::Words(Field::Street));
        }
        self.add(out, t.structure_postcode.text_at(row), Cut::Words(Field::Postcode));
        self.add(out, t.structure_town.text_at(row), Cut::Town);
        self.add(out, t.structure_town.text_at(row), Cut::Code(0, Field::TownCode));
        self.add(out, t.structure_cedex.text_at(row), Cut::Routing);
        // Departments go by their number as often as by their name.
        self.coded(out, t.structure_department.text_at(row), [(0, Field::Department), (1, Field::Department)]);
        self.add(out, t.structure_name.text_at(row), Cut::Name(Field::Structure));
        self.add(out, t.structure_trade_name.text_at(row), Cut::Name(Field::Structure));
        for mailbox in t.structure_mailboxes.of(&t.structure_mailbox_starts, row) {
            // A person's own mailbox is found by the person.
            if t.mailbox_person_starts.range(mailbox).is_empty() {
                self.add(out, t.mailbox_service.text_at(mailbox), Cut::Words(Field::Service));
                self.mailbox(t, mailbox, [Field::SharedDomain, Field::SharedType], out);
            }
        }
    }

    fn mailbox(&mut self, t: &Tables, mailbox: u32, fields: [Field; 2], out: &mut Vec<Text>) {
        let key = self.text.get(t.mailbox_key.text_at(mailbox));
        let kind = usize::try_from(t.mailbox_type.at(mailbox)).ok().and_then(|n| MailboxType::ALL.get(n));
        mailbox_words(key, kind.copied(), fields, |word, field| self.word(out, word, field));
    }

    fn coded(&mut self, out: &mut Vec<Text>, text: Text, [code, label]: [(u8, Field); 2]) {
        self.add(out, text, Cut::Code(code.0, code.1));
        self.add(out, text, Cut::Label(label.0, label.1));
    }

    fn word(&mut self, out: &mut Vec<Text>, word: &str, field: Field) {
        self.scratch.clear();
        self.scratch.push_str(word);
        self.scratch.push('\0');
        self.scratch.push(char::from(field.mark()));
        out.push(self.entries.intern(&self.scratch));
    }

    fn add(&mut self, out: &mut Vec<Text>, text: Text, cut: Cut) {
        if text == 0 {
            return;
        }
        if let Some(range) = self.known.get(&(text, cut)) {
            if let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end)) {
                out.extend_from_slice(self.cut.get(from..to).unwrap_or_default());
            }
            return;
        }
        let mut words = Vec::new();
        for (word, field) in cut_up(self.text.get(text), cut) {
            self.word(&mut words, &word, field);
        }
        let from = u32::try_from(self.cut.len());
        self.cut.extend_from_slice(&words);
        if let (Ok(from), Ok(to)) = (from, u32::try_from(self.cut.len())) {
            self.known.insert((text, cut), from..to);
        }
        out.append(&mut words);
    }
}

/// The words of one mailbox; `whole` and `types` are the fields of its domain and of its kind.
pub(crate) fn mailbox_words(
    key: &str,
    kind: Option<MailboxType>,
    [whole, types]: [Field; 2],
    mut word: impl FnMut(&str, Field),
) {
    fold(key).split(' ').filter(|part| !part.is_empty()).for_each(|part| word(part, Field::Mailbox));
    if let Some((_, domain)) = key.rsplit_once('@') {
        word(domain, whole);
    }
    if let Some(kind) = kind {
        word(&kind.code().to_ascii_lowercase(), types);
    }
    word("any", types);
}

fn part(coded: &str, n: u8) -> &str {
    coded.split('|').nth(usize::from(n)).unwrap_or_default()
}

fn cut_up(text: &str, cut: Cut) -> Vec<(String, Field)> {
    let words = |text: &str, field: Field| -> Vec<(String, Field)> {
        fold(text).split(' ').filter(|word| !word.is_empty()).map(|word| (word.to_owned(), field)).collect()
    };
    match cut {
        Cut::Words(field) => words(text, field),
        Cut::Label(n, field) => words(part(text, n), field),
        Cut::Code(n, field) => {
            let code = fold(part(text, n)).replace(' ', "");
            if code.is_empty() { Vec::new() } else { vec![(code, field)] }
        }
        Cut::Name(field) => name(text, field),
        Cut::Town => town(part(text, 1)),
        Cut::Routing => town(text.trim_start_matches(|c: char| c.is_ascii_digit())),
    }
}

fn name(text: &str, field: Field) -> Vec<(String, Field)> {
    let folded = fold(text);
    let parts: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
    let mut words: Vec<(String, Field)> = parts.iter().map(|word| ((*word).to_owned(), field)).collect();
    words.extend(parts.iter().filter_map(|word| saint(word)).map(|word| (word.to_owned(), field)));
    words.extend(joined(&parts).into_iter().map(|word| (word, field)));
    if matches!(field, Field::Family | Field::Given) {
        // What is written as one word somewhere sounds like it: `LE FÈVRE`, `D'ARTAGNAN`.
        let alike: Vec<(String, Field)> = words
            .iter()
            .filter(|(word, _)| !PARTICLES.contains(&word.as_str()))
            .map(|(word, _)| (fonem(word), Field::Sound))
            .filter(|(code, _)| code.len() > 1)
            .collect();
        words.extend(alike);
    }
    words
}

/// The forms in which a name of several words is run together: whole, from each leading particle on, and without
/// any particle; also each word with the one behind it.
fn joined(parts: &[&str]) -> Vec<String> {
    let mut forms = Vec::new();
    if parts.len() < 2 {
        return forms;
    }
    for (n, word) in parts.iter().enumerate() {
        let rest = parts.get(n..).unwrap_or_default();
        forms.push(rest.concat());
        forms.extend(rest.first_chunk::<2>().filter(|pair| !PARTICLES.contains(&pair[1])).map(|pair| pair.concat()));
        if !PARTICLES.contains(word) {
            break;
        }
    }
    let inner = parts.windows(2).filter(|pair| pair.iter().all(|word| !PARTICLES.contains(word)));
    forms.extend(inner.map(<[&str]>::concat));
    forms.push(parts.iter().filter(|word| !PARTICLES.contains(word)).copied().collect());
    forms.retain(|form| !form.is_empty());
    forms
}

/// The single words by which a name of several words goes, too: run together, `saint` for `st`, `st` for `saint`.
pub(crate) fn other_forms(name: &str) -> Vec<String> {
    let folded = fold(name);
    let parts: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
    let mut forms = joined(&parts);
    forms.extend(parts.iter().filter_map(|word| saint(word).or_else(|| shortened(word))).map(str::to_owned));
    forms
}

/// Who types `st` means `saint`, too: the compiler of questions looks for both.
fn shortened(word: &str) -> Option<&'static str> {
    match word {
        "saint" => Some("st"),
        "sainte" => Some("ste"),
        _ => None,
    }
}

/// The same for a town.
pub(crate) fn other_forms_of_town(town: &str) -> Vec<String> {
    let mut forms: Vec<String> = self::town(town).into_iter().map(|(word, _)| word).collect();
    forms.extend(fold(town).split(' ').filter_map(shortened).map(str::to_owned));
    forms
}

fn saint(word: &str) -> Option<&'static str> {
    match word {
        "st" => Some("saint"),
        "ste" => Some("sainte"),
        _ => None,
    }
}

/// Towns: `cedex` says nothing, the number of an arrondissement is a word, `st` is `saint`.
fn town(text: &str) -> Vec<(String, Field)> {
    let folded = fold(text);
    let parts: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty() && *word != "cedex").collect();
    let mut words: Vec<String> = parts.iter().map(|word| (*word).to_owned()).collect();
    words.extend(parts.iter().filter_map(|word| saint(word)).map(str::to_owned));
    for word in &parts {
        let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if !number.is_empty() && number.len() < word.len() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            words.push(number.to_owned());
        }
    }
    if parts.len() > 1 {
        words.push(parts.concat());
    }
    words.into_iter().map(|word| (word, Field::Town)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, cut: Cut) -> Vec<String> {
        cut_up(text, cut).into_iter().filter(|(_, field)| *field != Field::Sound).map(|(word, _)| word).collect()
    }

    #[test]
    fn names_are_found_by_part_joined_and_without_particles() {
        let words = cut("DE LA TOUR-TEST", Cut::Name(Field::Family));
        for word in ["de", "la", "tour", "test", "delatourtest", "latourtest", "tourtest"] {
            assert!(words.iter().any(|w| w == word), "{word} in {words:?}");
        }
        let words = cut("L’ÉPINE-TEST", Cut::Name(Field::Family));
        assert!(words.iter().any(|w| w == "lepine"), "{words:?}");
        assert_eq!(cut("Jean-Pierre", Cut::Words(Field::Street)), ["jean", "pierre"]);
        assert_eq!(cut("10|Médecin", Cut::Label(1, Field::Profession)), ["medecin"]);
        assert_eq!(cut("10|Médecin", Cut::Code(0, Field::ProfessionCode)), ["10"]);
        assert!(cut("  ", Cut::Name(Field::Family)).is_empty());
    }

    #[test]
    fn towns_are_found_as_people_write_them() {
        let words = cut("75112|Paris 12e Arrondissement", Cut::Town);
        assert!(["paris", "12e", "12"].iter().all(|word| words.iter().any(|w| w == word)), "{words:?}");
        let words = cut("42000 ST ETIENNE CEDEX 1", Cut::Routing);
        assert!(words.iter().any(|w| w == "saint") && !words.iter().any(|w| w == "cedex"), "{words:?}");
    }
}
