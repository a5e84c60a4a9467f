//! Random questions that every face can spell: what somebody asks, as the query model takes it. Each face adds its own
//! spelling (FHIR: `tests/fhir/equal.rs`) and must get the same people.
#![allow(dead_code, unreachable_pub, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)]

use annuaire::{Field, Fields, Filter, Generation, How, Question, words};

/// A question about people.
#[derive(Debug, Clone)]
pub enum Asked {
    /// One field of text.
    Typed(String),
    /// Words in fields, all of them.
    Fields(Vec<Word>),
    /// A number, with or without its type digit.
    Number(String),
    /// The start of an address.
    Address(String),
}

/// Words in one field.
#[derive(Debug, Clone)]
pub struct Word {
    pub place: Place,
    pub how: How,
    pub text: String,
}

/// The fields that all faces have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Family,
    Given,
    Name,
    Town,
    Postcode,
    Structure,
    Street,
}

impl Place {
    pub const ALL: [Self; 7] =
        [Self::Family, Self::Given, Self::Name, Self::Town, Self::Postcode, Self::Structure, Self::Street];

    pub fn fields(self) -> Fields {
        match self {
            Self::Family => Field::Family.into(),
            Self::Given => Field::Given.into(),
            Self::Name => Fields::NAMES,
            Self::Town => Field::Town.into(),
            Self::Postcode => Field::Postcode.into(),
            Self::Structure => Field::Structure.into(),
            Self::Street => Field::Street.into(),
        }
    }
}

impl Asked {
    /// As the query model takes it.
    pub fn question(&self) -> Question {
        match self {
            Self::Typed(text) => Question::text(text),
            Self::Fields(all) => {
                let word =
                    |word: &Word| Filter::Words { fields: word.place.fields(), how: word.how, text: word.text.clone() };
                Question::filter(Filter::And(all.iter().map(word).collect()))
            }
            Self::Number(text) => Question::filter(Filter::Id { text: text.clone(), how: How::Exact }),
            Self::Address(text) => Question::filter(Filter::Address { text: text.clone(), how: How::Prefix }),
        }
    }
}

/// Questions from a seed, about what a generation holds and a little beside it.
pub struct Questions<'g> {
    generation: &'g Generation,
    people: Vec<annuaire::Person<'g>>,
    addresses: &'static [&'static str],
    state: u64,
}

impl<'g> Questions<'g> {
    pub fn new(generation: &'g Generation, seed: u64) -> Self {
        Self { generation, people: generation.people().collect(), addresses: &[], state: seed }
    }

    /// About these addresses, too.
    pub fn and(self, addresses: &'static [&'static str]) -> Self {
        Self { addresses, ..self }
    }

    /// One of them, now and then.
    fn address(&mut self, one_in: usize) -> Option<&'static str> {
        let at = if self.addresses.is_empty() { 1 } else { self.below(one_in) };
        let (all, n) = (self.addresses, self.state as usize);
        (at == 0).then(|| all[n % all.len()])
    }

    /// A number below `bound` (SplitMix64).
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// A word of a text, whole, begun, spoilt, or as published.
    fn word(&mut self, text: &str) -> String {
        let all = words(text);
        if all.is_empty() {
            return "x".into();
        }
        let at = self.below(all.len());
        let word: Vec<char> = all[at].chars().collect();
        match self.below(10) {
            0..=3 => word.iter().collect(),
            4..=6 => word.iter().take(1 + self.below(word.len())).collect(),
            7 => all.join(" "),
            8 => text.to_owned(),
            _ => {
                let mut spoilt = word.clone();
                let at = self.below(spoilt.len());
                spoilt[at] = char::from(b'a' + u8::try_from(self.below(26)).unwrap());
                spoilt.into_iter().collect()
            }
        }
    }

    fn said(&mut self, person: &annuaire::Person<'g>, place: Place) -> String {
        let structures: Vec<_> = person.activities().filter_map(|activity| activity.structure()).collect();
        let structure = structures.get(self.below(structures.len()));
        match (place, structure) {
            (Place::Family, _) | (Place::Name, _) => person.family().to_owned(),
            (Place::Given, _) => person.given().to_owned(),
            (_, None) => "nulle part".into(),
            (Place::Town, Some(place)) => place.town().to_owned(),
            (Place::Postcode, Some(place)) => place.postcode().to_owned(),
            (Place::Structure, Some(place)) => place.name().to_owned(),
            (Place::Street, Some(place)) => place.street().to_owned(),
        }
    }
}

impl Iterator for Questions<'_> {
    type Item = Asked;

    fn next(&mut self) -> Option<Asked> {
        let at = self.below(self.people.len());
        let person = *self.people.get(at)?;
        Some(match self.below(10) {
            0..=2 => {
                let count = 1 + self.below(3);
                let typed: Vec<String> = (0..count)
                    .map(|_| {
                        let place = Place::ALL[self.below(Place::ALL.len())];
                        let said = self.said(&person, place);
                        let said = self.address(8).map_or(said, |address| address.replace('@', " "));
                        self.word(&said)
                    })
                    .collect();
                Asked::Typed(typed.join(" "))
            }
            3..=7 => {
                let count = 1 + self.below(3);
                let all = (0..count).map(|_| {
                    let place = Place::ALL[self.below(Place::ALL.len())];
                    let said = self.said(&person, place);
                    let how = if self.below(6) == 0 { How::Contains } else { How::Prefix };
                    Word { place, how, text: self.word(&said) }
                });
                Asked::Fields(all.collect())
            }
            8 => {
                let id = person.id_text();
                Asked::Number(if self.below(2) == 0 { id.into() } else { id[1..].into() })
            }
            _ => {
                let mailboxes: Vec<String> = person.mailboxes().map(|m| m.key().to_owned()).collect();
                let key = mailboxes.first().cloned().unwrap_or_else(|| "personne@nulle-part.test".into());
                let key = self.address(2).map_or(key, str::to_owned);
                let most = 1 + self.below(key.len());
                let _ = self.generation;
                Asked::Address(key.chars().take(most).collect())
            }
        })
    }
}
