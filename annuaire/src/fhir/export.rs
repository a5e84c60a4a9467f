//! Whole copies: FHIR Bulk Data Access without a job to keep. The status is there at once; each file is a signed range of
//! rows of one generation, so any file can be fetched again, in any order, by anybody who holds its address.

use http::{StatusCode, header};
use ident::Timestamp;
use serde_json::{Value, json};

use super::{
    Answered, Asked, awaited,
    item::Item,
    moment::span,
    outcome::Problem,
    params::{Parameter, encoded},
    render::Renderer,
    table::Kind,
    token::{PageToken, Position},
};
use crate::{Generation, Person, Structure};

/// Rows of people or structures in one file.
pub const EXPORT_ROWS: usize = 2000;
/// Media type of the files.
const NDJSON: &str = "application/fhir+ndjson";

/// The kick-off: 202 and where the status is.
pub(super) fn start(asked: &Asked<'_>, only: Option<Kind>, parameters: &[Parameter]) -> Result<Answered, Problem> {
    let mut kinds: Vec<Kind> = only.into_iter().collect();
    let mut since = String::new();
    for parameter in parameters {
        match parameter.name.as_str() {
            "_type" if only.is_none() => {
                for name in parameter.raw.split(',') {
                    let kind = Kind::parse(name.trim());
                    kinds.push(kind.ok_or_else(|| parameter.wrong("ressource inconnue.", "unknown resource."))?);
                }
            }
            "_since" => {
                let from = span(&parameter.raw).map(|(from, _)| from);
                let from = from.ok_or_else(|| {
                    parameter.wrong("attendu une date ou un instant.", "a date or an instant is expected.")
                })?;
                since = from.rfc3339();
            }
            "_outputFormat" if [NDJSON, "application/ndjson", "ndjson"].contains(&parameter.raw.as_str()) => {}
            "_format" => {}
            _ if asked.lenient => {}
            _ => return Err(parameter.wrong("paramètre inconnu d'un export.", "unknown in an export.")),
        }
    }
    if kinds.is_empty() {
        kinds = Kind::ALL.to_vec();
    }
    kinds.sort_unstable();
    kinds.dedup();
    let names: Vec<&str> = kinds.into_iter().map(Kind::name).collect();
    let current = asked.view.current();
    let job = token("export", current, format!("{}@{since}", names.join(",")), Position::default());
    let job = job.seal(asked.keys).unwrap_or_default();
    let mut answered = Answered::empty(StatusCode::ACCEPTED);
    answered.header(header::CONTENT_LOCATION.as_str(), &format!("{}/$export-status?job={job}", asked.base));
    Ok(answered.of_generation(current))
}

/// The list of files.
pub(super) fn status(asked: &Asked<'_>, parameters: &[Parameter]) -> Result<Answered, Problem> {
    let job = opened(asked, "export", "job", parameters)?;
    let renderer = asked.renderer(Some(&job.generation))?;
    let g = renderer.generation;
    // What changes from then on is told to whoever asks `_since` that.
    let at = asked.view.since(g).ok_or_else(awaited)?;
    let (names, since) = job.question.split_once('@').unwrap_or_default();
    let mut files = Vec::new();
    for kind in names.split(',').filter_map(Kind::parse) {
        for start in (0..rows(g, kind)).step_by(EXPORT_ROWS) {
            let at = Position { skip: start, inner: EXPORT_ROWS };
            let part = token("file", g, format!("{}@{since}", kind.name()), at).seal(asked.keys).unwrap_or_default();
            let url = format!("{}/$export-file?part={part}", asked.base);
            files.push(json!({"type": kind.name(), "url": url}));
        }
    }
    let since = if since.is_empty() { String::new() } else { format!("&_since={}", encoded(since)) };
    let manifest = json!({
        "transactionTime": at.rfc3339(),
        "request": format!("{}/$export?_type={}{since}", asked.base, encoded(names)),
        "requiresAccessToken": false,
        "output": files,
        "error": [],
        "extension": {"generation": g.id()},
    });
    let mut answered = Answered::resource(StatusCode::OK, manifest).of_generation(g);
    answered.media = "application/json";
    Ok(answered)
}

/// One file.
pub(super) fn file(asked: &Asked<'_>, parameters: &[Parameter]) -> Result<Answered, Problem> {
    let part = opened(asked, "file", "part", parameters)?;
    let renderer = asked.renderer(Some(&part.generation))?;
    let (name, since) = part.question.split_once('@').unwrap_or_default();
    let since = Timestamp::parse(since);
    if since.is_some() && !asked.view.is_known() {
        return Err(awaited());
    }
    let mut octets = Vec::new();
    let mut lines = 0usize;
    let end = part.at.skip.saturating_add(part.at.inner);
    if let Some(kind) = Kind::parse(name) {
        for row in part.at.skip..end.min(rows(renderer.generation, kind)) {
            for item in items(&renderer, kind, u32::try_from(row).unwrap_or(u32::MAX)) {
                if since.is_none_or(|since| asked.view.last_updated(&renderer, &item).is_none_or(|at| at > since)) {
                    let resource = Value::Object(asked.resource(&renderer, &item));
                    octets.extend(serde_json::to_vec(&resource).unwrap_or_default());
                    octets.push(b'\n');
                    lines = lines.saturating_add(1);
                }
            }
        }
    }
    let mut answered = Answered::empty(StatusCode::OK).of_generation(renderer.generation).told("export", lines);
    answered.body = octets;
    answered.header(header::CONTENT_TYPE.as_str(), NDJSON);
    Ok(answered)
}

fn rows(g: &Generation, kind: Kind) -> usize {
    let totals = g.totals();
    let rows = match kind {
        Kind::Practitioner | Kind::PractitionerRole => totals.people,
        Kind::Organization | Kind::HealthcareService => totals.structures,
        Kind::Device => 0,
    };
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn items<'g>(renderer: &Renderer<'g>, kind: Kind, row: u32) -> Vec<Item<'g>> {
    let generation = renderer.generation;
    let (person, place) = (Person { generation, row }, Structure { generation, row });
    match kind {
        Kind::Practitioner => vec![Item::Person(person)],
        Kind::PractitionerRole => person.activities().map(Item::Role).collect(),
        Kind::Organization => vec![Item::Place(place)],
        Kind::HealthcareService => renderer.services(&place).collect(),
        Kind::Device => Vec::new(),
    }
}

fn token(of: &str, generation: &Generation, question: String, at: Position) -> PageToken {
    PageToken { of: of.into(), generation: generation.id().into(), edition: 0, question, at, total: None }
}

fn opened(asked: &Asked<'_>, of: &str, name: &str, parameters: &[Parameter]) -> Result<PageToken, Problem> {
    let sent = parameters.iter().find(|parameter| parameter.name == name);
    let token = sent.and_then(|parameter| PageToken::open(&parameter.raw, asked.keys));
    token.filter(|token| token.of == of).ok_or_else(|| {
        Problem::bad(
            "invalid",
            "Cette adresse d'export n'est pas de ce serveur : recommencez par $export.",
            "This address of an export is not of this server: start again with $export.",
        )
        .about(name)
    })
}
