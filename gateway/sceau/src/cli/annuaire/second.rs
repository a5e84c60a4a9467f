//! `sceau annuaire lookup --ask`: another directory is asked about one person, and what it answers is shown beside ours.

use std::{path::Path, sync::Arc};

use annuaire::{
    desk,
    fhir::{SecondPerson, second_answer, second_question},
};
use ident::{Clock as _, PersonId, SystemClock, Timestamp};
use pki::path::Validator;
use serde::Serialize;

use crate::{
    cli::{Exit, check::load_or_report},
    config::{Loaded, Problem, Second},
    fetch::{AnchoredServers, Answer, Fetcher, Kind, Limits, Lines, Place, Request, Rules, Undetermined},
    net::tls::{Clients, TlsIdentity},
};

/// What came of asking.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    /// Who was asked.
    source: String,
    /// When.
    asked_at: String,
    /// Whether they know the person.
    found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<SecondPerson>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Asks about a person.
///
/// # Errors
/// The configuration is not in order, or names nobody to ask; that nobody answers is no error, and told.
pub(super) fn ask(configuration: &Path, id: &str) -> Result<Result<Asked, Exit>, Problem> {
    let id = desk::person(id).map_err(|what| Problem::of(id, what))?;
    // Nothing else of the snapshot is kept: a nation is not held twice.
    let (loaded, validator) = match load_or_report(configuration) {
        Ok((loaded, snapshot)) => (loaded, Arc::clone(&snapshot.validator)),
        Err(exit) => return Ok(Err(exit)),
    };
    let Some(second) = loaded.config.annuaire.second.clone() else {
        return Err(Problem::of(configuration, "names nobody to ask: write [annuaire.second]"));
    };
    let now = SystemClock.now();
    let outcome = fetched(&second, &loaded, &validator, &id, now)?;
    let outcome = outcome.and_then(|octets| second_answer(&id, &octets).map_err(|error| error.to_string()));
    let (person, error) = match outcome {
        Ok(person) => (person, None),
        Err(error) => (None, Some(error)),
    };
    let (source, asked_at) = (second.base().to_owned(), now.rfc3339());
    Ok(Ok(Asked { source, asked_at, found: person.is_some(), person, error }))
}

fn fetched(
    second: &Second,
    loaded: &Loaded,
    validator: &Validator,
    id: &PersonId,
    at: Timestamp,
) -> Result<Result<Vec<u8>, String>, Problem> {
    let wrong = |what: String| Problem::of(second.base(), what);
    let place = Place::parse(&format!("{}/{}", second.base(), second_question(id)));
    let place = place.map_err(|error| wrong(error.to_string()))?;
    let rules = second.address.iter().fold(Rules::new(), |rules, ip| rules.address(&place.site().host, *ip));
    let lines = Lines::new().map_err(|error| wrong(error.to_string()))?;
    let lines = match (&second.certificate, &second.key) {
        (Some(certificate), Some(key)) => {
            let identity = TlsIdentity::load_for(Clients::NotAsked, &loaded.path(certificate), &loaded.path(key))?;
            lines.showing(&identity)
        }
        _ => lines,
    };
    let wait = second.timeout.0;
    let limits = Limits { connect: wait, first_octet: wait, total: wait, redirects: 0 };
    let fetcher = Fetcher::new(rules.place(&place), limits, Arc::new(lines));
    let trust = AnchoredServers { validator, at, undetermined: Undetermined::Refused };
    let most = usize::try_from(second.max.0).unwrap_or(usize::MAX);
    let request = Request { place: &place, kind: Kind::Fhir, most, held: None, question: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| wrong(format!("the runtime does not start: {error}")))?;
    Ok(match runtime.block_on(fetcher.fetch(&request, &trust)) {
        Ok(Answer::New { octets, .. }) => Ok(octets),
        Ok(Answer::Unchanged) => Err("it says that nothing changed, and was not asked that".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

impl Asked {
    /// Prints it, apart from what is ours.
    pub(super) fn tell(&self) {
        println!(
            "-- {}, {}: autre source, hors des données ci-dessus / another source, not the data above",
            self.source, self.asked_at
        );
        if let Some(error) = &self.error {
            println!("   pas de réponse / no answer: {error}");
        } else if let Some(person) = &self.person {
            let active = if person.active == Some(false) { ", not practising" } else { "" };
            println!("   {} {}, {}{active}", person.family, person.given, person.id);
            person.qualifications.iter().for_each(|text| println!("     {text}"));
            for mailbox in &person.mailboxes {
                println!("     {} {}", mailbox.address, mailbox.kind.map_or("", |kind| kind.code()));
            }
        } else {
            println!("   inconnu / not known");
        }
    }
}
