//! Our own doors: the library in this process, and a running gateway over LDAP, the clinicians' page and FHIR.

use std::net::SocketAddr;
use std::sync::Arc;

use annuaire::{Field, Filter as Model, Generation, How, Page, Person, Question as Asked};
use tests::asking::{
    http::{Http, encoded},
    ldap::{Filter, Ldap},
    place::Doors,
};

use crate::{
    questions::Question,
    subject::{Cost, PAGE, Subject},
};

/// The library.
pub(crate) struct InProcess(pub(crate) Arc<Generation>);

/// What a list shows of somebody is read, as the peers read their rows.
fn shown(person: &Person<'_>) -> usize {
    let town = person.activities().filter_map(|activity| activity.structure()).map(|place| place.town().len()).next();
    let mail = person.mailboxes().map(|mailbox| mailbox.address_text().len()).next();
    person.id_text().len()
        + person.family().len()
        + person.given().len()
        + person.profession().len()
        + town.unwrap_or(0)
        + mail.unwrap_or(0)
}

impl InProcess {
    fn people(&self, question: &Asked) -> usize {
        let hits = self.0.people_where(None, question, Page::first(PAGE)).hits;
        hits.iter().filter(|hit| shown(&hit.of) > 0).count()
    }
}

impl Subject for InProcess {
    fn name(&self) -> &'static str {
        "sceau, in process"
    }

    fn ask(&mut self, question: &Question) -> Option<usize> {
        let family =
            |how, text: &str| Asked::filter(Model::Words { fields: Field::Family.into(), how, text: text.to_owned() });
        Some(match question {
            Question::Id(id) => usize::from(self.0.person(id).is_some_and(|person| shown(&person) > 0)),
            Question::Mailbox(address) => {
                let mailbox = self.0.mailbox(address)?;
                mailbox.people().filter(|person| shown(person) > 0).count().max(1)
            }
            Question::Sound(text) => self.people(&family(How::Similar, text)),
            Question::Part(text) => self.people(&family(How::Contains, text)),
            Question::Book(_) => return None,
            typed => self.people(&Asked::text(&typed.text())),
        })
    }

    fn cost(&self) -> Cost {
        Cost::Here
    }
}

/// A question as an LDAP filter, the same for us and for slapd.
pub(crate) fn filter(question: &Question) -> Filter {
    let starts = |name, text: &str| Filter::Starts(name, text.to_owned());
    match question {
        Question::Id(id) => Filter::Equal("uid", id.to_string()),
        Question::Mailbox(address) => Filter::Equal("mail", address.key()),
        Question::Name(name) => starts("sn", name),
        Question::NameTown(name, town) => Filter::All(vec![starts("sn", name), starts("l", town)]),
        Question::Full([name, given, town]) => {
            Filter::All(vec![starts("sn", name), starts("givenName", given), starts("l", town)])
        }
        Question::Speciality(speciality, department) => {
            // A profession stands in for a speciality where there is none.
            let either = vec![starts("businessCategory", speciality), starts("employeeType", speciality)];
            Filter::All(vec![Filter::Any(either), starts("postalCode", department)])
        }
        Question::Typo(name, given) => Filter::All(vec![Filter::Like("sn", name.clone()), starts("givenName", given)]),
        Question::Sound(name) => Filter::Like("sn", name.clone()),
        Question::Part(part) => Filter::Contains("sn", part.clone()),
        Question::Book(text) => {
            let contains = |name| Filter::Contains(name, text.clone());
            Filter::Any(["cn", "mail", "givenName", "sn"].map(contains).to_vec())
        }
    }
}

/// Somebody who speaks LDAP over TLS.
pub(crate) struct OverLdap {
    name: &'static str,
    at: SocketAddr,
    client: Ldap,
    pid: u32,
    /// Whether `~=` means misspelt, too.
    forgives: bool,
}

impl OverLdap {
    pub(crate) fn new(name: &'static str, at: SocketAddr, pid: u32, forgives: bool) -> Self {
        Self { name, at, client: Ldap::connect(at, Doors::BASE), pid, forgives }
    }
}

impl Subject for OverLdap {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self) {
        self.client = Ldap::connect(self.at, Doors::BASE);
    }

    fn ask(&mut self, question: &Question) -> Option<usize> {
        if matches!(question, Question::Typo(..)) && !self.forgives {
            return None;
        }
        let found = self.client.search(&filter(question), u8::try_from(PAGE).unwrap()).unwrap();
        assert!(found.is_answer(), "{} answered {found:?} to {question:?}", self.name);
        Some(found.entries)
    }

    fn cost(&self) -> Cost {
        Cost::There(self.pid)
    }
}

/// Our page or FHIR.
pub(crate) struct OverHttp {
    name: &'static str,
    at: SocketAddr,
    client: Http,
    pid: u32,
    spell: fn(&Question) -> Option<String>,
    /// What stands in an answer that shows somebody.
    mark: &'static [u8],
}

impl OverHttp {
    pub(crate) fn page(at: SocketAddr, pid: u32) -> Self {
        Self {
            name: "sceau, page",
            at,
            client: Http::connect(at),
            pid,
            spell: |question| match question {
                Question::Part(_) | Question::Book(_) => None,
                typed => Some(format!("/annuaire/results?q={}", encoded(&typed.text()))),
            },
            mark: b"class=\"person",
        }
    }

    pub(crate) fn fhir(at: SocketAddr, pid: u32) -> Self {
        Self { name: "sceau, FHIR", at, client: Http::connect(at), pid, spell: fhir, mark: b"\"fullUrl\"" }
    }
}

/// A question as FHIR's parameters.
pub(crate) fn fhir(question: &Question) -> Option<String> {
    let parameters: Vec<(&str, String)> = match question {
        Question::Id(id) => vec![("identifier", id.to_string())],
        Question::Mailbox(address) => vec![("mailbox-mss:exact", address.key())],
        Question::Name(name) => vec![("family", name.clone())],
        Question::NameTown(name, town) => vec![("family", name.clone()), ("address-city", town.clone())],
        Question::Full([name, given, town]) => {
            vec![("family", name.clone()), ("given", given.clone()), ("address-city", town.clone())]
        }
        Question::Speciality(..) | Question::Typo(..) => vec![("_content", question.text())],
        Question::Sound(name) => vec![("phonetic", name.clone())],
        Question::Part(part) => vec![("family:contains", part.clone())],
        Question::Book(_) => return None,
    };
    let parameters: Vec<String> =
        parameters.into_iter().map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
    Some(format!("/fhir/Practitioner?{}&_count={PAGE}", parameters.join("&")))
}

impl Subject for OverHttp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self) {
        self.client = Http::connect(self.at);
    }

    fn ask(&mut self, question: &Question) -> Option<usize> {
        let got = self.client.get(&(self.spell)(question)?).unwrap();
        assert_eq!(got.status, 200, "{} to {question:?}: {}", self.name, String::from_utf8_lossy(&got.body));
        Some(got.body.windows(self.mark.len()).filter(|window| *window == self.mark).count())
    }

    fn cost(&self) -> Cost {
        Cost::There(self.pid)
    }
}
