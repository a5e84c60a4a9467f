//! Everybody who asks a directory at once: pages, address books, FHIR clients, exact lookups. What goes wrong is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{
    http::{Http, encoded},
    ldap::{Filter, Ldap},
    place::Doors,
    steady::{Pace, Sample, ask},
};

/// Somebody whom the directory knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// National identifier.
    pub id: String,
    /// Start of the family name, folded.
    pub name: String,
    /// Start of the town, folded.
    pub town: String,
    /// Mailbox.
    pub mailbox: String,
}

/// A kind of visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visitor {
    /// Types name and town on the page.
    Page,
    /// The same by FHIR.
    Fhir,
    /// Looks one identifier up by FHIR.
    FhirExact,
    /// An address book that types.
    Ldap,
    /// Looks one mailbox up over LDAP.
    LdapExact,
}

impl Visitor {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Page, Self::Fhir, Self::FhirExact, Self::Ldap, Self::LdapExact];

    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page, name and town",
            Self::Fhir => "FHIR, name and town",
            Self::FhirExact => "FHIR, identifier",
            Self::Ldap => "LDAP, name and town",
            Self::LdapExact => "LDAP, mailbox",
        }
    }

    fn client(self, doors: Doors, known: Arc<Vec<Known>>) -> Box<dyn FnMut(u64) -> Result<Option<String>, String>> {
        let of = move |number: u64| known[usize::try_from(number * 7919).unwrap() % known.len()].clone();
        match self {
            Self::Page | Self::Fhir | Self::FhirExact => {
                let mut http = Http::connect(doors.http);
                Box::new(move |number| {
                    let Known { id, name, town, .. } = of(number);
                    let (path, mark) = match self {
                        Self::Page => (format!("/annuaire/results?q={}", encoded(&format!("{name} {town}"))), "person"),
                        Self::Fhir => (
                            format!(
                                "/fhir/Practitioner?name={}&address-city={}&_count=20",
                                encoded(&name),
                                encoded(&town)
                            ),
                            "fullUrl",
                        ),
                        _ => (format!("/fhir/Practitioner?identifier={id}"), "fullUrl"),
                    };
                    let got = http.get(&path).map_err(|error| format!("{path}: {error}"))?;
                    let text = String::from_utf8_lossy(&got.body);
                    if got.status != 200 || !text.contains(mark) {
                        return Err(format!("{path}: {} {text:.300}", got.status));
                    }
                    let generation = got.field("x-directory-generation");
                    Ok((!generation.is_empty()).then(|| generation.to_owned()))
                })
            }
            Self::Ldap | Self::LdapExact => {
                let mut ldap = Ldap::connect(doors.ldap, Doors::BASE);
                Box::new(move |number| {
                    let Known { name, town, mailbox, .. } = of(number);
                    let filter = match self {
                        Self::Ldap => Filter::All(vec![Filter::Starts("cn", name), Filter::Starts("l", town)]),
                        _ => Filter::Equal("mail", mailbox),
                    };
                    let found = ldap.search(&filter, 20).map_err(|error| format!("{filter:?}: {error}"))?;
                    if found.is_answer() && found.entries > 0 {
                        Ok(None)
                    } else {
                        Err(format!("{filter:?}: {found:?}"))
                    }
                })
            }
        }
    }
}

/// Visitors at work.
#[derive(Debug)]
pub struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<(Visitor, JoinHandle<Vec<Sample>>)>,
}

impl Crowd {
    /// Sends `each` visitors of every kind, who ask `rate` times a second each, about these people.
    #[must_use]
    pub fn send(doors: Doors, known: Vec<Known>, each: u32, rate: f64) -> Self {
        let (stop, known) = (Arc::new(AtomicBool::new(false)), Arc::new(known));
        let all = Visitor::ALL.into_iter().flat_map(|visitor| (0..each).map(move |_| visitor)).enumerate();
        let (count, began) = (f64::from(each) * Visitor::ALL.len() as f64, Instant::now());
        let start = |(n, visitor): (usize, Visitor)| {
            let (stop, known) = (Arc::clone(&stop), Arc::clone(&known));
            let pace = Pace { start: began, rate, share: n as f64 / count };
            let thread = std::thread::spawn(move || ask(pace, &stop, || visitor.client(doors, Arc::clone(&known))));
            (visitor, thread)
        };
        Self { threads: all.map(start).collect(), stop }
    }

    /// Calls them back: what each asked.
    #[must_use]
    #[track_caller]
    pub fn home(self) -> Vec<(Visitor, Sample)> {
        self.stop.store(true, Ordering::Relaxed);
        let samples = |(visitor, thread): (Visitor, JoinHandle<Vec<Sample>>)| {
            let samples = thread.join().expect("a visitor could not connect");
            samples.into_iter().map(move |sample| (visitor, sample))
        };
        self.threads.into_iter().flat_map(samples).collect()
    }
}
