//! What became of resources between the generations that are kept: `_history` of one resource, of a kind, of all
//! (IHE mCSD, ITI-91).

use std::collections::BTreeSet;

use http::StatusCode;
use ident::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Answered, Asked, awaited, expired, ids,
    item::Item,
    moment::span,
    outcome::Problem,
    params::{Parameter, encoded},
    read::missing,
    render::{Renderer, version},
    search::{MAX_PAGE, PAGE},
    table::Kind,
    token::{PageToken, Position},
    view::{Change, Changed},
};

/// What a client asks of a history.
struct Wanted {
    since: Option<Timestamp>,
    /// Entries of a page, if it was said how many.
    count: Option<usize>,
    page: Option<String>,
    question: String,
}

impl Wanted {
    fn read(parameters: &[Parameter], of: &str) -> Result<Self, Problem> {
        let mut wanted = Self { since: None, count: None, page: None, question: String::new() };
        for parameter in parameters {
            match parameter.name.as_str() {
                "_since" => {
                    let from = span(&parameter.raw).map(|(from, _)| from);
                    wanted.since = Some(from.ok_or_else(|| {
                        parameter.wrong("attendu une date ou un instant.", "a date or an instant is expected.")
                    })?);
                }
                "_count" => {
                    let count = parameter.raw.parse::<usize>();
                    let count = count
                        .map_err(|_| parameter.wrong("attendu un nombre entier.", "a whole number is expected."))?;
                    wanted.count = Some(count.clamp(1, MAX_PAGE));
                }
                "_page" => wanted.page = Some(parameter.raw.clone()),
                "_format" | "_pretty" => {}
                _ => return Err(parameter.wrong("paramètre inconnu d'un historique.", "unknown in a history.")),
            }
        }
        wanted.question = question(of, wanted.since);
        Ok(wanted)
    }

    /// What was asked, and no more: a client holds it against what it sent.
    fn own_address(&self, base: &str) -> String {
        let since = self.since.map(|since| format!("_since={}", encoded(&since.rfc3339())));
        let count = self.count.map(|count| format!("_count={count}"));
        let page = self.page.as_ref().map(|page| format!("_page={}", encoded(page)));
        let all: Vec<String> = [since, count, page].into_iter().flatten().collect();
        if all.is_empty() { base.to_owned() } else { format!("{base}?{}", all.join("&")) }
    }
}

/// What a token of a page is bound to.
fn question(of: &str, since: Option<Timestamp>) -> String {
    format!("{of}@{}", since.map_or_else(String::new, Timestamp::rfc3339))
}

/// The history of one kind, or of all.
pub(super) fn of_kinds(asked: &Asked<'_>, kind: Option<Kind>, parameters: &[Parameter]) -> Result<Answered, Problem> {
    let name = kind.map_or("all", Kind::name);
    let wanted = Wanted::read(parameters, name)?;
    let (oldest, newest) = asked.view.oldest().zip(asked.view.newest()).ok_or_else(awaited)?;
    // Pages go on with what was known when the first was written.
    let (at, until) = match &wanted.page {
        None => (Position::default(), newest),
        Some(page) => {
            let token = opened(asked, page, &wanted.question)?;
            (token.at, Timestamp::from_seconds(token.edition))
        }
    };
    let since = wanted.since.unwrap_or(oldest);
    if since < oldest {
        return Err(Problem::with(
            StatusCode::GONE,
            "expired",
            format!("L'historique ne remonte qu'au {oldest} : recopiez tout ($export), puis demandez _since."),
            format!("The history goes back to {oldest} only: copy everything ($export), then ask with _since."),
        )
        .about("_since"));
    }
    // What the oldest edition is compared with may have gone since the first page.
    if until > newest || (until < oldest && wanted.page.is_some()) {
        return Err(expired());
    }
    let count = wanted.count.unwrap_or(PAGE);
    let (entries, next) = page(asked, kind, (since, until), at, count);
    let path = kind.map_or_else(String::new, |kind| format!("/{}", kind.name()));
    let base = format!("{}{path}/_history", asked.base);
    let mut links = vec![json!({"relation": "self", "url": wanted.own_address(&base)})];
    let next = next.and_then(|at| {
        let token = PageToken {
            of: "history".into(),
            generation: asked.view.current().id().into(),
            edition: until.seconds(),
            question: question(name, Some(since)),
            at,
            total: None,
        };
        token.seal(asked.keys)
    });
    if let Some(next) = next {
        // From the second page on it is said from when on, so that what is forgotten meanwhile is noticed.
        let from = encoded(&since.rfc3339());
        links.push(json!({"relation": "next", "url": format!("{base}?_since={from}&_count={count}&_page={next}")}));
    }
    Ok(bundle(asked, entries, links))
}

fn opened(asked: &Asked<'_>, page: &str, question: &str) -> Result<PageToken, Problem> {
    let token = PageToken::open(page, asked.keys).filter(|token| token.question == question);
    token.filter(|token| token.of == "history").ok_or_else(|| {
        Problem::bad(
            "invalid",
            "Ce jeton de page n'est pas de cet historique : recommencez.",
            "This page token is not of this history: start again.",
        )
        .about("_page")
    })
}

fn page(
    asked: &Asked<'_>,
    kind: Option<Kind>,
    (since, until): (Timestamp, Timestamp),
    at: Position,
    count: usize,
) -> (Vec<Value>, Option<Position>) {
    let mut entries = Vec::new();
    asked.work.spend_on(at.skip / 4, 1);
    for (n, change) in asked.view.changes(since, until).enumerate().skip(at.skip) {
        let own = opened_change(asked, kind, &change);
        let inner = if n == at.skip { at.inner } else { 0 };
        for (m, entry) in own.into_iter().enumerate().skip(inner) {
            if entries.len() >= count {
                return (entries, Some(Position { skip: n, inner: m }));
            }
            entries.push(entry);
        }
        // What looked changed and is not costs as much: the page ends here, and the next one goes on.
        if asked.work.is_spent() {
            return (entries, Some(Position { skip: n.saturating_add(1), inner: 0 }));
        }
    }
    (entries, None)
}

/// The entries of one change: of a person also those of the activities.
fn opened_change(asked: &Asked<'_>, wanted: Option<Kind>, changed: &Changed<'_>) -> Vec<Value> {
    let means = |kind: Kind| wanted.is_none_or(|wanted| wanted == kind);
    let (before, after) = (asked.renderer_of(changed.older), asked.renderer_of(changed.newer));
    let (id, at) = (changed.id(), When { since: changed.since, touched: changed.touched });
    let mut all = Vec::new();
    if means(changed.kind) {
        let (old, new) = (before.find(&id), after.find(&id));
        all.extend(entry(asked, [&before, &after], (changed.kind, &id), [old, new], at));
    }
    if changed.kind == Kind::Practitioner && means(Kind::PractitionerRole) {
        let roles = |generation| -> Vec<(String, Item<'_>)> {
            let person = ids::find(generation, &id, asked.work).and_then(|item| item.person());
            let activities = person.into_iter().flat_map(|person| person.activities().map(Item::Role));
            activities.map(|item| (item.id(), item)).collect()
        };
        let (old, new) = (roles(changed.older), roles(changed.newer));
        let names: BTreeSet<&String> = old.iter().chain(&new).map(|(id, _)| id).collect();
        for name in names {
            let of = |list: &[(String, Item<'_>)]| list.iter().position(|(id, _)| id == name);
            let old = of(&old).and_then(|at| old.get(at)).map(|(_, item)| *item);
            let new = of(&new).and_then(|at| new.get(at)).map(|(_, item)| *item);
            all.extend(entry(asked, [&before, &after], (Kind::PractitionerRole, name), [old, new], at));
        }
    }
    all
}

/// When an entry is of, and whether it is told although the resource is the same.
#[derive(Debug, Clone, Copy)]
struct When {
    since: Timestamp,
    touched: bool,
}

/// One change of one resource; nothing when the resource is the same.
fn entry<'g>(
    asked: &'g Asked<'_>,
    [before, after]: [&Renderer<'g>; 2],
    (kind, id): (Kind, &str),
    [old, new]: [Option<Item<'g>>; 2],
    When { since, touched }: When,
) -> Option<Value> {
    let change = match (&old, &new) {
        (None, Some(_)) => Change::Created,
        (Some(_), None) => Change::Deleted,
        // Its mailbox was put on the red list: who has it is to drop it.
        (None, None) if touched && kind == Kind::HealthcareService => Change::Deleted,
        (Some(old), Some(new)) if touched || version(&before.content(old)) != version(&after.content(new)) => {
            Change::Changed
        }
        _ => return None,
    };
    let resource = new.map(|item| asked.resource_since(after, &item, Some(since)));
    Some(written(asked, kind, id, change, resource, since))
}

fn written(
    asked: &Asked<'_>,
    kind: Kind,
    id: &str,
    change: Change,
    resource: Option<Map<String, Value>>,
    at: Timestamp,
) -> Value {
    let url = format!("{}/{id}", kind.name());
    let (method, status) = match change {
        Change::Created => ("PUT", "201"),
        Change::Changed => ("PUT", "200"),
        Change::Deleted => ("DELETE", "204"),
    };
    let etag = resource.as_ref().and_then(|r| r.get("meta")).and_then(|meta| meta.get("versionId")?.as_str());
    let mut response = json!({"status": status, "lastModified": at.rfc3339()});
    if let (Some(etag), Some(fields)) = (etag, response.as_object_mut()) {
        fields.insert("etag".into(), format!("W/\"{etag}\"").into());
    }
    let mut entry = json!({
        "fullUrl": format!("{}/{url}", asked.base),
        "request": {"method": method, "url": url},
        "response": response,
    });
    if let (Some(resource), Some(fields)) = (resource, entry.as_object_mut()) {
        fields.insert("resource".into(), Value::Object(resource));
    }
    entry
}

/// The versions of one resource that are kept, newest first. A version is its content: one that came back, or that is told
/// again as a mailbox of the operator's own changed, is listed once, where it is newest.
pub(super) fn of_one(asked: &Asked<'_>, kind: Kind, id: &str) -> Result<Answered, Problem> {
    let (oldest, first) = asked.view.first().ok_or_else(awaited)?;
    let mut entries: Vec<Value> = Vec::new();
    let here = |generation| {
        let renderer = asked.renderer_of(generation);
        (renderer, renderer.find(id).filter(|item| item.kind() == kind))
    };
    let mut seen = false;
    for (since, older, newer) in asked.view.editions() {
        let at = When { since, touched: asked.view.touched_at(since, kind, id) };
        if older.id() == newer.id() && !at.touched {
            continue;
        }
        let ((before, old), (after, new)) = (here(older), here(newer));
        seen |= old.is_some() || new.is_some();
        entries.extend(entry(asked, [&before, &after], (kind, id), [old, new], at));
        if asked.work.is_spent() {
            return Err(too_many_versions());
        }
    }
    let (renderer, item) = here(first);
    if let Some(item) = item {
        seen = true;
        let resource = asked.resource_since(&renderer, &item, Some(oldest));
        entries.push(written(asked, kind, id, Change::Created, Some(resource), oldest));
    }
    if !seen {
        return Err(missing(asked, kind, id));
    }
    let mut told = BTreeSet::new();
    entries.retain(|entry| entry.pointer("/response/etag").is_none_or(|etag| told.insert(etag.to_string())));
    let url = format!("{}/{}/{id}/_history", asked.base, kind.name());
    Ok(bundle(asked, entries, vec![json!({"relation": "self", "url": url})]))
}

/// The history of one resource stands on one page.
fn too_many_versions() -> Problem {
    Problem::bad(
        "too-costly",
        "Trop d'états à comparer pour une réponse : demandez l'historique de la ressource par _history?_since=….",
        "Too many states to be compared for one answer: ask for the history of the kind with _history?_since=….",
    )
}

fn bundle(asked: &Asked<'_>, entries: Vec<Value>, links: Vec<Value>) -> Answered {
    let (current, shown) = (asked.view.current(), entries.len());
    let mut bundle = json!({
        "resourceType": "Bundle",
        "type": "history",
        "meta": asked.bundle_meta(current),
        "link": links,
    });
    if let Some(fields) = bundle.as_object_mut().filter(|_| !entries.is_empty()) {
        fields.insert("entry".into(), Value::Array(entries));
    }
    Answered::resource(StatusCode::OK, bundle).of_generation(current).told("history", shown)
}
