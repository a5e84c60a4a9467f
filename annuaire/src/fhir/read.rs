//! One resource by its id, now or as it was.

use http::{StatusCode, header};
use serde_json::Value;

use super::{
    Answered, Asked, awaited, http_date,
    item::Item,
    outcome::{Problem, shown},
    params::Parameter,
    render::{Renderer, version},
    search::Elements,
    table::Kind,
};

/// A resource as it is now.
pub(super) fn read(asked: &Asked<'_>, kind: Kind, id: &str, parameters: &[Parameter]) -> Result<Answered, Problem> {
    let renderer = asked.renderer(None)?;
    let Some(item) = renderer.find(id).filter(|item| item.kind() == kind) else {
        return Err(missing(asked, kind, id));
    };
    let elements = Elements::read(parameters, kind)?;
    Ok(shown_as(asked, &renderer, &item, &elements))
}

/// A resource as it was in one of the generations that are kept.
pub(super) fn version_of(asked: &Asked<'_>, kind: Kind, id: &str, wanted: &str) -> Result<Answered, Problem> {
    for generation in asked.view.all() {
        let renderer = asked.renderer_of(generation);
        let Some(item) = renderer.find(id).filter(|item| item.kind() == kind) else { continue };
        if version(&renderer.content(&item)) == wanted {
            return Ok(shown_as(asked, &renderer, &item, &Elements::default()));
        }
    }
    // It may be of a generation that is about to be kept.
    if asked.view.is_known() { Err(missing(asked, kind, id)) } else { Err(awaited()) }
}

/// One resource, with the tag of its version and the moment since which it is so.
fn shown_as<'g>(asked: &'g Asked<'_>, renderer: &Renderer<'g>, item: &Item<'g>, elements: &Elements) -> Answered {
    let mut resource = asked.resource(renderer, item);
    let (etag, kind) = (etag(&resource), item.kind());
    elements.cut(kind, &mut resource);
    let answered = Answered::resource(StatusCode::OK, Value::Object(resource)).of_generation(renderer.generation);
    let mut answered = answered.told(kind.name(), 1);
    answered.header(header::ETAG.as_str(), &etag);
    if let Some(since) = asked.view.last_updated(renderer, item) {
        answered.header(header::LAST_MODIFIED.as_str(), &http_date(since));
    }
    answered
}

pub(super) fn etag(resource: &serde_json::Map<String, Value>) -> String {
    let version = resource.get("meta").and_then(|meta| meta.get("versionId")).and_then(Value::as_str);
    format!("W/\"{}\"", version.unwrap_or_default())
}

/// 404 for what was never there, 410 with the day for what has left.
pub(super) fn missing(asked: &Asked<'_>, kind: Kind, id: &str) -> Problem {
    let (name, id) = (kind.name(), shown(id));
    match asked.gone_since(kind, &id) {
        Some(day) => Problem::with(
            StatusCode::GONE,
            "deleted",
            format!("{name}/{id} a quitté les données le {day}."),
            format!("{name}/{id} left the data on {day}."),
        ),
        None => Problem::with(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("{name}/{id} n'existe pas dans les données actuelles."),
            format!("{name}/{id} is not in the current data."),
        ),
    }
}
