//! The people as the peers are given them: one row each, with the words that we index too.

use annuaire::{Generation, Person, fold};

/// One person.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) family: String,
    pub(crate) given: String,
    pub(crate) profession: String,
    pub(crate) specialities: Vec<String>,
    pub(crate) structures: Vec<String>,
    pub(crate) streets: Vec<String>,
    pub(crate) postcodes: Vec<String>,
    pub(crate) towns: Vec<String>,
    pub(crate) departments: Vec<String>,
    pub(crate) mailboxes: Vec<String>,
}

impl Row {
    fn of(person: &Person<'_>) -> Self {
        let mut row = Self {
            id: person.id_text().to_owned(),
            family: person.family().to_owned(),
            given: person.given().to_owned(),
            profession: person.profession().to_owned(),
            ..Self::default()
        };
        let add = |list: &mut Vec<String>, text: &str| {
            if !text.is_empty() && !list.iter().any(|known| known == text) {
                list.push(text.to_owned());
            }
        };
        for activity in person.activities() {
            add(&mut row.specialities, activity.speciality());
            if let Some(place) = activity.structure() {
                add(&mut row.structures, place.name());
                add(&mut row.streets, place.street());
                add(&mut row.postcodes, place.postcode());
                add(&mut row.towns, place.town());
                add(&mut row.departments, place.department_code());
            }
        }
        row.mailboxes = person.mailboxes().map(|mailbox| mailbox.key().to_owned()).collect();
        row
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.family, self.given)
    }

    /// Everything else that words are looked for in.
    pub(crate) fn place(&self) -> String {
        let lists =
            [&self.specialities, &self.structures, &self.streets, &self.postcodes, &self.towns, &self.departments];
        let mut all = self.profession.clone();
        for text in lists.into_iter().flatten() {
            all.push(' ');
            all.push_str(text);
        }
        all
    }

    /// Without accents and case: a peer that knows neither is not asked to.
    pub(crate) fn folded(list: &[String]) -> Vec<String> {
        let mut all: Vec<String> = list.iter().map(|text| fold(text)).filter(|text| !text.is_empty()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Every person, telling how far it is.
pub(crate) fn rows<'g>(generation: &'g Generation, what: &'static str) -> impl Iterator<Item = Row> + 'g {
    let all = generation.totals().people;
    let mut told = std::time::Instant::now();
    generation.people().zip(1u32..).map(move |(person, number)| {
        if told.elapsed().as_secs() >= 10 {
            told = std::time::Instant::now();
            eprintln!("  {what}: {number} of {all} people");
        }
        Row::of(&person)
    })
}
