//! What is asked: about people who are there, spread over the whole directory, as somebody types it.

use annuaire::{Generation, Person, fold, words};
use ident::{Address, PersonId};

/// One question. Texts are folded; each subject spells it its own way.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// A whole national identifier.
    Id(PersonId),
    /// A whole mailbox address.
    Mailbox(Address),
    /// The start of a family name.
    Name(String),
    /// The start of a family name, and the start of a town.
    NameTown(String, String),
    /// Family name, given name, town.
    Full([String; 3]),
    /// A speciality and the number of a department.
    Speciality(String, String),
    /// A family name with a letter too many, and a given name.
    Typo(String, String),
    /// A family name as it sounds.
    Sound(String),
    /// Letters from the middle of a family name.
    Part(String),
    /// What an address book makes of the start of a name: any of four attributes contains it.
    Book(String),
}

impl Question {
    /// The same in one field, as people type it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Mailbox(address) => address.to_string(),
            Self::Name(text) | Self::Sound(text) | Self::Part(text) | Self::Book(text) => text.clone(),
            Self::NameTown(one, other) | Self::Speciality(one, other) | Self::Typo(one, other) => {
                format!("{one} {other}")
            }
            Self::Full(parts) => parts.join(" "),
        }
    }
}

/// Questions of one kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) questions: Vec<Question>,
}

/// The name of the kind that the target is about.
pub(crate) const NAME_TOWN: &str = "name and town as you type";

/// So many questions of each kind.
pub(crate) fn questions(generation: &Generation, count: usize) -> Vec<Kind> {
    let every = |of: u32| (of as usize / count).max(1);
    let totals = generation.totals();
    let people: Vec<Person<'_>> = generation.people().step_by(every(totals.people)).take(count).collect();
    // Those of people: the peers have no others.
    let mailboxes = generation.mailboxes().filter(|mailbox| mailbox.people().next().is_some());
    let mailboxes = mailboxes.step_by(every(totals.mailboxes / 2)).take(count);
    let addresses: Vec<Question> = mailboxes.filter_map(|mailbox| mailbox.address()).map(Question::Mailbox).collect();
    let of = |make: &dyn Fn(&Person<'_>, usize) -> Option<Question>| -> Vec<Question> {
        people.iter().enumerate().filter_map(|(n, person)| make(person, n)).collect()
    };
    let name = |person: &Person<'_>| first(person.family());
    vec![
        Kind { name: "identifier", questions: of(&|person, _| person.id().map(Question::Id)) },
        Kind { name: "mailbox", questions: addresses },
        Kind {
            name: "name as you type",
            questions: of(&|person, n| Some(Question::Name(start(&name(person), 2 + n % 5)))),
        },
        Kind {
            name: NAME_TOWN,
            questions: of(&|person, n| {
                Some(Question::NameTown(start(&name(person), 3 + n % 4), start(&town(person)?, 3 + n % 3)))
            }),
        },
        Kind {
            name: "name, given name, town",
            questions: of(&|person, _| Some(Question::Full([name(person), first(person.given()), town(person)?]))),
        },
        Kind { name: "speciality and department", questions: of(&|person, _| speciality(person)) },
        Kind {
            name: "a letter too many",
            questions: of(&|person, _| {
                let name = name(person);
                let (head, tail) = name.split_at(name.char_indices().nth(2).map_or(0, |(at, _)| at));
                Some(Question::Typo(format!("{head}x{tail}"), first(person.given())))
            }),
        },
        Kind { name: "sounds alike", questions: of(&|person, _| Some(Question::Sound(heard(&name(person))))) },
        Kind {
            name: "part of a name",
            questions: of(&|person, _| {
                let part: String = name(person).chars().skip(1).take(5).collect();
                (part.len() >= 3).then_some(Question::Part(part))
            }),
        },
        Kind {
            name: "address book (4 x contains)",
            questions: of(&|person, n| Some(Question::Book(start(&name(person), 3 + n % 4)))),
        },
    ]
}

fn start(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

fn first(text: &str) -> String {
    words(text).into_iter().next().unwrap_or_default()
}

fn town(person: &Person<'_>) -> Option<String> {
    let mut towns = person.activities().filter_map(|activity| activity.structure()).map(|place| first(place.town()));
    towns.find(|town| town.len() > 2)
}

fn speciality(person: &Person<'_>) -> Option<Question> {
    let department = person.activities().filter_map(|activity| activity.structure()).find_map(|place| {
        let code = fold(place.department_code());
        (code.len() == 2).then_some(code)
    })?;
    let own = person.activities().map(|activity| first(activity.speciality())).find(|text| text.len() > 2);
    Some(Question::Speciality(own.unwrap_or_else(|| first(person.profession())), department))
}

/// The same name as somebody heard it.
fn heard(name: &str) -> String {
    let pairs =
        [("ph", "f"), ("eau", "o"), ("au", "o"), ("qu", "k"), ("y", "i"), ("ai", "e"), ("ss", "s"), ("tt", "t")];
    let changed = pairs.iter().find(|(from, _)| name.contains(from)).map(|(from, to)| name.replacen(from, to, 1));
    changed.unwrap_or_else(|| name.to_owned())
}
