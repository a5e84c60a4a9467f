//! The FHIR R4 face of the directory: functions from request to response, a spelling of the query model
//! ([`crate::Question`]) and no more. Resources follow the French profiles; decisions 0034 and 0035 say where they
//! cannot.
//!
//! [`Fhir::answer`] never fails: whatever is wrong becomes an OperationOutcome. Sockets, TLS, rate limits and the access
//! log belong to the caller.

mod budget;
mod capability;
mod codes;
mod criteria;
mod door;
mod export;
mod history;
mod ids;
mod item;
mod links;
mod moment;
mod outcome;
mod params;
mod patch;
mod publish;
mod read;
mod render;
mod search;
mod second;
mod settings;
mod sort;
mod table;
mod token;
mod view;
mod walk;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, Method, Response, StatusCode, header};
use ident::Timestamp;
use serde_json::{Map, Value, json};

use self::{
    item::Item,
    outcome::{Problem, outcome, shown},
    params::{Parameter, decoded, parse},
    patch::Target,
    render::{Renderer, version},
    table::Kind,
    token::TokenKeys,
};
use crate::{
    Generation, Registry,
    ask::Work,
    face::{self, Context},
    generation::hex,
};

pub use budget::{Cost, MAX_ATOMS, MAX_COST};
pub use export::EXPORT_ROWS;
pub use params::{MAX_NAME, MAX_PARAMETERS, MAX_QUERY, MAX_VALUE, MAX_VALUES};
pub use patch::{Publication, Publisher, Publishing};
pub use publish::{Destination, Done, PublishError, Step};
pub use search::{MAX_INCLUDED, MAX_PAGE, PAGE};
pub use second::{SecondError, SecondMailbox, SecondPerson, second_answer, second_question};
pub use settings::{Settings, Systems};
pub use sort::MAX_SORTED;
pub use view::View;

/// Media type of what is spoken.
const JSON: &str = "application/fhir+json; fhirVersion=4.0; charset=utf-8";
/// What the access log learns of a request that showed nobody.
const TOLD: face::Asked = face::Asked { kind: "fhir", answers: 0 };
/// Header that names the generation of every answer.
pub const GENERATION_HEADER: &str = "x-directory-generation";

/// The FHIR face.
#[derive(Debug)]
pub struct Fhir {
    settings: Settings,
    view: ArcSwapOption<View>,
}

/// One request with what it is asked of.
struct Asked<'a> {
    view: &'a View,
    registry: Option<&'a Registry>,
    settings: &'a Settings,
    base: &'a str,
    keys: &'a TokenKeys,
    /// `Prefer: handling=lenient`.
    lenient: bool,
    /// What operators publish, where that is taken.
    publication: Option<Publication<'a>>,
    /// What all of the answer may cost.
    work: &'a Work,
}

/// An answer before it is written.
struct Answered {
    status: StatusCode,
    body: Vec<u8>,
    headers: HeaderMap,
    value: Option<Value>,
    media: &'static str,
    /// What the access log learns.
    told: face::Asked,
    /// What is to be kept before this goes out.
    publishing: Option<Publishing>,
}

impl Fhir {
    /// A face that speaks so.
    pub fn new(settings: Settings) -> Self {
        Self { settings, view: ArcSwapOption::empty() }
    }

    /// Keeps what the generation in service and those before it differ in: to be given when a generation is put in
    /// service, made by [`View::new`] away from those who answer. Without it there are answers all the same, but no
    /// history, and pages of the generation before are over.
    pub fn keep(&self, view: Arc<View>) {
        self.view.store(Some(view));
    }

    /// Lets go of all generations but those that questions are being answered from: until [`Self::keep`] is told
    /// again there is no history. For whoever is about to read another one and has no room for three.
    pub fn let_go(&self) {
        self.view.store(None);
    }

    /// Answers one request.
    pub fn answer(&self, request: &face::Request, context: &Context<'_>) -> face::Response {
        let kept = self.view.load_full().filter(|view| view.current().id() == context.generation.id());
        let view = kept.unwrap_or_else(|| Arc::new(View::new(Arc::clone(context.generation), Vec::new())));
        let work = Work::new(self.settings.work);
        let (base, keys) = (context.address(""), TokenKeys::new(context.secret.to_vec(), Vec::new()));
        let headers = request.headers();
        let asked = Asked {
            view: &view,
            registry: context.registry,
            settings: &self.settings,
            base: &base,
            keys: &keys,
            lenient: text(headers, "prefer").to_lowercase().contains("handling=lenient"),
            publication: context.publication,
            work: &work,
        };
        let query = request.uri().query().unwrap_or_default();
        let answered = negotiated(headers, query).and_then(|()| asked.route(request, query));
        let answered = answered.unwrap_or_else(|problem| {
            let outcome = outcome(std::slice::from_ref(&problem.issue));
            let mut answered = Answered::resource(problem.status, outcome).of_generation(view.current());
            if problem.status == StatusCode::METHOD_NOT_ALLOWED {
                answered.header(header::ALLOW.as_str(), allowed(request.uri().path(), context.publication.is_some()));
            }
            answered
        });
        let pretty = query.split('&').any(|pair| pair == "_pretty=true");
        let mut response = answered.written(headers, request.method() == Method::HEAD, pretty);
        response.extensions_mut().insert(Cost(work.total()));
        response
    }
}

/// The methods that a path takes (RFC 9110 §15.5.6).
fn allowed(path: &str, patched: bool) -> &'static str {
    match path {
        path if path.ends_with("/_search") => "POST",
        _ if patched => "GET, HEAD, PATCH",
        _ => "GET, HEAD",
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the client takes what we speak: JSON. `_format` wins over `Accept` (FHIR R4, http §2.21.0.7).
fn negotiated(headers: &HeaderMap, query: &str) -> Result<(), Problem> {
    let is_json = |media: &str| {
        let media = media.split(';').next().unwrap_or_default().trim().to_lowercase();
        [
            "*/*",
            "application/*",
            "application/json",
            "application/fhir+json",
            "text/json",
            "json",
            "application/fhir+ndjson",
            "application/ndjson",
            "application/x-ndjson",
            "ndjson",
        ]
        .contains(&media.as_str())
    };
    let format = query.split('&').find_map(|pair| pair.strip_prefix("_format="));
    let accepted = match format {
        // An unencoded plus sign of `application/fhir+json` is the client's slip, not a blank.
        Some(format) => is_json(&decoded(format)?.replace(' ', "+")),
        None => {
            let accept = text(headers, "accept");
            accept.is_empty() || accept.split(',').any(is_json)
        }
    };
    if accepted {
        return Ok(());
    }
    Err(Problem::with(
        StatusCode::NOT_ACCEPTABLE,
        "not-supported",
        "Ce serveur ne parle que JSON : demandez « Accept: application/fhir+json ».",
        "This server speaks JSON only: ask with “Accept: application/fhir+json”.",
    ))
}

impl<'a> Asked<'a> {
    /// The renderer of a generation by name, of the current one without a name.
    fn renderer(&self, generation: Option<&str>) -> Result<Renderer<'a>, Problem> {
        let generation = match generation {
            None => self.view.current(),
            Some(id) => self.view.named(id).ok_or_else(expired)?,
        };
        Ok(self.renderer_of(generation))
    }

    fn renderer_of(&self, generation: &'a Generation) -> Renderer<'a> {
        Renderer { generation, registry: self.registry, settings: self.settings, work: self.work }
    }

    fn route(&self, request: &face::Request, query: &str) -> Result<Answered, Problem> {
        let path = request.uri().path().trim_matches('/');
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        match (get, request.method(), parts.as_slice()) {
            (true, _, ["metadata"]) => {
                let resource = capability::statement(self);
                Ok(Answered::resource(StatusCode::OK, resource).of_generation(self.view.current()))
            }
            (true, _, ["$export"]) => export::start(self, None, &parse(query)?),
            (true, _, ["$export-status"]) => export::status(self, &parse(query)?),
            (true, _, ["$export-file"]) => export::file(self, &parse(query)?),
            (true, _, [kind, "$export"]) => export::start(self, Some(kind_of(kind)?), &parse(query)?),
            (true, _, ["_history"]) => history::of_kinds(self, None, &parse(query)?),
            (true, _, [kind, "_history"]) => history::of_kinds(self, Some(kind_of(kind)?), &parse(query)?),
            (true, _, [kind, id, "_history"]) => history::of_one(self, kind_of(kind)?, id),
            (true, _, [kind]) => search::search(self, kind_of(kind)?, parse(query)?),
            (false, &Method::POST, [kind, "_search"]) => {
                let mut parameters = parse(query)?;
                parameters.extend(form(request.headers(), request.body())?);
                search::posted(self, kind_of(kind)?, parameters)
            }
            (false, &Method::PATCH, [kind]) => {
                let target = Target::Found(parse(query)?);
                patch::patch(self, (kind_of(kind)?, target), request.headers(), request.body())
            }
            (false, &Method::PATCH, [kind, id]) => {
                patch::patch(self, (kind_of(kind)?, Target::Id(id)), request.headers(), request.body())
            }
            (true, _, [kind, id]) => read::read(self, kind_of(kind)?, id, &parse(query)?),
            (true, _, [kind, id, "_history", version]) => read::version_of(self, kind_of(kind)?, id, version),
            (true, _, _) => Err(Problem::with(
                StatusCode::NOT_FOUND,
                "not-found",
                format!("Rien à l'adresse « {} » ; voir {}/metadata.", shown(path), self.base),
                format!("There is nothing at “{}”; see {}/metadata.", shown(path), self.base),
            )),
            _ => Err(no_such()),
        }
    }

    /// A resource with its `meta`.
    fn resource<'g>(&'g self, renderer: &Renderer<'g>, item: &Item<'g>) -> Map<String, Value> {
        let mut resource = renderer.content(item);
        let profiles = if self.settings.profiles { item.kind().profiles() } else { &[] };
        let mut meta = json!({
            "versionId": version(&resource),
            "lastUpdated": self.view.last_updated(renderer, item).rfc3339(),
            "source": self.settings.source,
        });
        if let Some(meta) = meta.as_object_mut().filter(|_| !profiles.is_empty()) {
            meta.insert("profile".into(), json!(profiles));
        }
        resource.insert("meta".into(), meta);
        resource
    }

    /// What stands above a bundle: the moment that its data speak of, and their generation.
    fn bundle_meta(&self, generation: &Generation) -> Value {
        let system = format!("{}/CodeSystem/generation", self.base);
        json!({
            "lastUpdated": generation.data_as_of().rfc3339(),
            "tag": [{"system": system, "code": generation.id()}],
        })
    }
}

/// 405.
fn no_such() -> Problem {
    Problem::with(
        StatusCode::METHOD_NOT_ALLOWED,
        "not-supported",
        "Cette opération n'existe pas ici : GET, ou POST sur …/_search.",
        "There is no such operation here: GET, or POST on …/_search.",
    )
}

/// The pages go on in a generation that is no longer there.
fn expired() -> Problem {
    Problem::with(
        StatusCode::GONE,
        "expired",
        "Les données de cette suite de pages ont été remplacées : recommencez depuis la première page.",
        "The data behind these pages have been replaced: start again from the first page.",
    )
    .about("_page")
}

fn kind_of(name: &str) -> Result<Kind, Problem> {
    let known = Kind::ALL.map(Kind::name).join(", ");
    Kind::parse(name).ok_or_else(|| {
        Problem::with(
            StatusCode::NOT_FOUND,
            "not-supported",
            format!("Pas de ressource « {} » ici ; il y a : {known}.", shown(name)),
            format!("There is no resource “{}” here; there are: {known}.", shown(name)),
        )
    })
}

/// The parameters of a form.
fn form(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Parameter>, Problem> {
    let media = text(headers, "content-type").split(';').next().unwrap_or_default().trim().to_lowercase();
    if body.is_empty() {
        return Ok(Vec::new());
    }
    if media != "application/x-www-form-urlencoded" {
        return Err(Problem::with(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "Une recherche par POST se fait avec « Content-Type: application/x-www-form-urlencoded ».",
            "A search by POST is sent with “Content-Type: application/x-www-form-urlencoded”.",
        ));
    }
    let text = std::str::from_utf8(body.get(..body.len().min(MAX_QUERY.saturating_add(1))).unwrap_or_default());
    parse(text.map_err(|_| Problem::bad("invalid", "Le formulaire n'est pas en UTF-8.", "The form is not UTF-8."))?)
}

impl Answered {
    fn empty(status: StatusCode) -> Self {
        let (headers, body) = (HeaderMap::new(), Vec::new());
        Self { status, body, headers, value: None, media: JSON, told: TOLD, publishing: None }
    }

    fn resource(status: StatusCode, value: Value) -> Self {
        Self { value: Some(value), ..Self::empty(status) }
    }

    fn of_generation(mut self, generation: &Generation) -> Self {
        self.header(GENERATION_HEADER, generation.id());
        self.header(header::LAST_MODIFIED.as_str(), &http_date(generation.data_as_of()));
        self
    }

    /// For the access log: what was asked for, and how many resources were shown.
    fn told(mut self, kind: &'static str, answers: usize) -> Self {
        self.told = face::Asked { kind, answers };
        self
    }

    fn header(&mut self, name: &str, value: &str) {
        let pair = header::HeaderName::try_from(name).ok().zip(header::HeaderValue::try_from(value).ok());
        pair.into_iter().for_each(|(name, value)| drop(self.headers.insert(name, value)));
    }

    /// As octets: with an ETag, and without a body where the client has it already.
    fn written(mut self, asked: &HeaderMap, head: bool, pretty: bool) -> Response<Vec<u8>> {
        if let Some(value) = self.value.take() {
            let octets = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
            self.body = octets.unwrap_or_default();
            self.header(header::CONTENT_TYPE.as_str(), self.media);
        }
        if self.status == StatusCode::OK {
            if !self.headers.contains_key(header::ETAG) {
                let mut digest = hex(&openssl::sha::sha256(&self.body));
                digest.truncate(16);
                self.header(header::ETAG.as_str(), &format!("W/\"{digest}\""));
            }
            let own = text(&self.headers, "etag").trim_start_matches("W/").to_owned();
            let known = text(asked, "if-none-match").split(',').any(|tag| {
                let tag = tag.trim();
                tag == "*" || (!own.is_empty() && tag.trim_start_matches("W/") == own)
            });
            if known {
                self.status = StatusCode::NOT_MODIFIED;
                self.body.clear();
                self.told.answers = 0;
            }
        }
        // The address of a search names people, the answer says more: neither rests on a disk.
        self.header(header::CACHE_CONTROL.as_str(), "no-store");
        self.header(header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff");
        if head {
            self.header(header::CONTENT_LENGTH.as_str(), &self.body.len().to_string());
            self.body.clear();
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.extensions_mut().insert(self.told);
        self.publishing.into_iter().for_each(|publishing| drop(response.extensions_mut().insert(publishing)));
        response
    }
}

/// A date of HTTP (RFC 9110 §5.6.7).
fn http_date(at: Timestamp) -> String {
    let text = at.rfc5322();
    let day = text.find(' ').map(|at| at.saturating_add(1));
    // RFC 5322 and RFC 9110 differ in the zone, and in a leading zero of the day.
    let padded = match day.and_then(|at| text.get(at..at.saturating_add(2))) {
        Some(digit) if digit.ends_with(' ') => text.replacen(", ", ", 0", 1),
        _ => text,
    };
    padded.replace("+0000", "GMT")
}
