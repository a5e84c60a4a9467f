//! One request: who asks, whether they may, the face's answer, the log.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use annuaire::{
    face::{Asked, Context, Operator, Refused, Response},
    fhir::{Publication, Publisher, Publishing},
};
use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, StatusCode, Uri,
    body::{Body, Incoming},
    http::{request::Parts, uri::PathAndQuery},
};
use ident::{StructureId, Timestamp};

use super::{
    Caller, Mounted, Site,
    flow::Answer,
    guest::{Reserved, ask_beside, who},
    headers,
};
use crate::{
    allowance::Beside,
    cli::log::ACCESS,
    config::HttpLimits,
    gateway::Gateway,
    net::octets::{Loan, SMALL},
    snapshot::Snapshot,
};

/// What the log says of a request.
pub(super) struct Line {
    id: String,
    pub(super) who: Option<String>,
    refused: Option<&'static str>,
    begun: Instant,
}

impl Line {
    fn begin() -> Self {
        Self { id: request_id(), who: None, refused: None, begun: Instant::now() }
    }

    /// Writes it. What was asked is not in it: the address of a search names people.
    fn write(&self, caller: &Caller, face: &str, method: &Method, response: &Response, generation: Option<&str>) {
        let asked = response.extensions().get::<Asked>().copied();
        tracing::info!(
            target: ACCESS,
            request = %self.id,
            peer = %caller.address,
            who = self.who.as_deref().unwrap_or("-"),
            face,
            method = known_method(method),
            kind = asked.map_or("-", |asked| asked.kind),
            answers = asked.map_or(0, |asked| asked.answers),
            status = response.status().as_u16(),
            refused = self.refused.unwrap_or("-"),
            generation = generation.unwrap_or("-"),
            ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "directory asked"
        );
    }
}

/// A method for the log: others are a client's words, of any length.
fn known_method(method: &Method) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PATCH, "PATCH"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    known.into_iter().find(|(known, _)| known == method).map_or("other", |(_, name)| name)
}

/// Answers one request; every way out has the same headers and a line in the log.
pub(super) async fn handle(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    caller: &Arc<Caller>,
    request: Request<Incoming>,
) -> hyper::Response<Answer> {
    let mut line = Line::begin();
    let found = site.mounts.iter().find_map(|it| Some((it, below(&it.path, request.uri())?)));
    let (mut parts, body) = request.into_parts();
    let snapshot = gateway.snapshot();
    let Some((mounted, uri)) = found else {
        return nowhere(site, gateway, caller, &snapshot, &parts, &mut line);
    };
    parts.uri = uri;
    let outcome = match file(site, mounted, caller, &snapshot, &parts, gateway.now()) {
        Some(file) => file.map(|response| (response, Loan::none())),
        None => answer(site, gateway, caller, mounted, (&parts, body), &mut line).await,
    };
    let retry_after = outcome.as_ref().err().and_then(|refused| refused.retry_after());
    let (mut response, loan) =
        outcome.unwrap_or_else(|refused| (refusal(mounted, refused, &parts, &snapshot, &mut line), Loan::none()));
    headers::complete(&mut response, &line.id, retry_after);
    let generation = snapshot.generation.as_ref().map(|generation| generation.id());
    line.write(caller, mounted.name, &parts.method, &response, generation);
    response.map(|body| Answer::new(body, loan))
}

/// A file that needs neither data nor thought: pages that say that something went wrong look like the others.
fn file(
    site: &Site,
    mounted: &Mounted,
    caller: &Caller,
    snapshot: &Snapshot,
    parts: &Parts,
    now: Timestamp,
) -> Option<Result<Response, Refused>> {
    let reads = [Method::GET, Method::HEAD].contains(&parts.method);
    let response = reads.then(|| mounted.face.file(parts)).flatten()?;
    Some(ask_beside(site, Beside::File, caller, &snapshot.config.http.limits, now).map(|()| response))
}

/// The same address without the path of the mount. It begins with one slash: two would name a host to whoever links
/// to it (RFC 3986 §4.2).
fn below(mount: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(mount)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let path = format!("/{}", rest.trim_start_matches('/'));
    let whole = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    Some(Uri::from(PathAndQuery::try_from(whole).ok()?))
}

async fn answer(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    caller: &Arc<Caller>,
    mounted: &Arc<Mounted>,
    (parts, body): (&Parts, Incoming),
    line: &mut Line,
) -> Result<(Response, Loan), Refused> {
    let snapshot = gateway.snapshot();
    let limits = &snapshot.config.http.limits;
    let now = gateway.now();
    // Who leaves its share unread is not worked for.
    if !site.octets.any_left(caller.address, most_held(limits)) {
        return Err(Refused::Busy);
    }
    let guest = who(site, gateway, &snapshot, caller, line).await?;
    let mut reserved = Reserved::of(site, &guest, mounted.face.most(parts), limits, now)?;
    let (body, _held) = received(site, caller, &snapshot, parts, body).await?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    // Whoever changes something decides on what is there, and nobody changes it meanwhile.
    let writes = parts.method == Method::PATCH;
    let locked = tokio::time::timeout(limits.request.0, site.publishing.lock());
    let _one_at_a_time = if writes { Some(locked.await.map_err(|_| Refused::Busy)?) } else { None };
    let mut response = think(site, caller.address, limits.request.0, {
        let (site, snapshot, mounted) = (Arc::clone(site), gateway.snapshot(), Arc::clone(mounted));
        let structure = guest.structure.clone();
        move || {
            let context = Context {
                generation: snapshot.generation_to_show().ok_or(Refused::NoData)?,
                registry: Some(&snapshot.registry),
                now,
                secret: &site.secret,
                origin: &site.origin,
                mount: &mounted.path,
                operator: operator(&snapshot),
                publication: publication(&snapshot, structure.as_ref()),
            };
            Ok(mounted.face.answer(&request, &context))
        }
    })
    .await??;
    if let Some(Publishing(mailboxes)) = response.extensions_mut().remove() {
        let gateway = Arc::clone(gateway);
        let kept = think(site, caller.address, limits.request.0, move || gateway.publish(mailboxes)).await?;
        kept.map_err(|error| {
            tracing::error!(%error, "what was published could not be kept, and was refused");
            Refused::Failed
        })?;
    }
    let loan = loan(site, caller, &snapshot, response.body().len())?;
    reserved.shown(&response);
    Ok((response, loan))
}

/// Most octets that are held for all.
fn most_held(limits: &HttpLimits) -> usize {
    usize::try_from(limits.memory.0).unwrap_or(usize::MAX)
}

fn loan(site: &Site, caller: &Caller, snapshot: &Snapshot, octets: usize) -> Result<Loan, Refused> {
    site.octets.take(caller.address, octets, most_held(&snapshot.config.http.limits)).ok_or(Refused::Busy)
}

/// The body, whole, and what is held for it until it is answered.
async fn received(
    site: &Site,
    caller: &Caller,
    snapshot: &Snapshot,
    parts: &Parts,
    body: Incoming,
) -> Result<(Vec<u8>, Loan), Refused> {
    let limits = &snapshot.config.http.limits;
    // What is asked stands in the address (RFC 9110 §9.3.1): a body says nothing there.
    let none = [Method::GET, Method::HEAD].contains(&parts.method);
    let most = if none { 0 } else { usize::try_from(limits.body.0).unwrap_or(usize::MAX) };
    let said = body.size_hint().upper().map_or(most, |said| usize::try_from(said).unwrap_or(usize::MAX));
    if said > most {
        return Err(Refused::TooLarge);
    }
    let held = loan(site, caller, snapshot, said)?;
    let body = tokio::time::timeout(limits.request.0, gathered(body, said.min(SMALL), most));
    Ok((body.await.map_err(|_| Refused::TooSlow)??, held))
}

/// The parts of a body as one, each copied once.
async fn gathered(mut body: Incoming, room: usize, most: usize) -> Result<Vec<u8>, Refused> {
    let mut whole = Vec::with_capacity(room);
    while let Some(part) = body.frame().await {
        let Ok(part) = part.map_err(|_| Refused::TooSlow)?.into_data() else { continue };
        if whole.len().saturating_add(part.len()) > most {
            return Err(Refused::TooLarge);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

/// Whether anything is taken, and from whom.
fn publication<'a>(snapshot: &'a Snapshot, who: Option<&StructureId>) -> Option<Publication<'a>> {
    let publishers = &snapshot.config.http.publishers;
    let allowed = publishers.iter().find(|publisher| Some(&publisher.structure) == who);
    let publisher = allowed.map(|it| Publisher { structure: &it.structure, domains: &it.domains });
    (!publishers.is_empty()).then_some(Publication { so_far: &snapshot.published, publisher })
}

/// Runs what takes a processor on a thread that may block, a few at a time.
pub(super) async fn think<T: Send + 'static>(
    site: &Site,
    peer: IpAddr,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let turn = site.questions.turn(peer, patience).await.ok_or(Refused::Busy)?;
    let work = move || {
        let done = work();
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        // Only that it was so: a panic's message may quote what somebody typed.
        tracing::error!(panicked = error.is_panic(), "a request could not be answered");
        Refused::Failed
    })
}

fn refusal(mounted: &Mounted, refused: Refused, parts: &Parts, snapshot: &Snapshot, line: &mut Line) -> Response {
    line.refused = Some(refused.code());
    let mut response = mounted.face.refuse(refused, parts, operator(snapshot), &mounted.path);
    *response.status_mut() = refused.status();
    response
}

fn operator(snapshot: &Snapshot) -> Operator<'_> {
    let (operator, audit) = (&snapshot.config.operator, snapshot.config.http.audit.as_ref());
    Operator { name: &operator.name, help: &operator.help, audit }
}

/// Where no face is.
fn nowhere(
    site: &Site,
    gateway: &Gateway,
    caller: &Caller,
    snapshot: &Snapshot,
    parts: &Parts,
    line: &mut Line,
) -> hyper::Response<Answer> {
    let asked = ask_beside(site, Beside::File, caller, &snapshot.config.http.limits, gateway.now());
    let (status, retry_after, text) = match asked {
        Ok(()) => (StatusCode::NOT_FOUND, None, "Rien à cette adresse. / Nothing at this address.\n".to_owned()),
        Err(refused) => {
            line.refused = Some(refused.code());
            let text = refused.text();
            (refused.status(), refused.retry_after(), format!("{}\n{}\n", text.fr, text.en))
        }
    };
    let mut response = annuaire::face::response("text/plain; charset=utf-8", text.into_bytes());
    *response.status_mut() = status;
    headers::complete(&mut response, &line.id, retry_after);
    line.write(caller, "-", &parts.method, &response, None);
    response.map(|body| Answer::new(body, Loan::none()))
}

/// Names a request: random, so that nobody else's can be guessed from it.
fn request_id() -> String {
    let mut random = [0u8; 8];
    // Needs to be unlike others, not secret.
    let _ = openssl::rand::rand_bytes(&mut random);
    format!("{:016x}", u64::from_be_bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_sees_the_path_below_its_mount() {
        let at = |mount: &str, uri: &str| below(mount, &uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(at("", "/search?q=a%20b"), Some("/search?q=a%20b".to_owned()));
        assert_eq!(at("/fhir", "/fhir"), Some("/".to_owned()));
        assert_eq!(at("/fhir", "/fhir?_id=1"), Some("/?_id=1".to_owned()));
        assert_eq!(at("/fhir", "/fhir/Practitioner"), Some("/Practitioner".to_owned()));
        assert_eq!(at("/fhir", "/fhirx"), None);
        assert_eq!(at("/fhir", "/"), None);
        assert_eq!(at("", "//evil.test/a?b"), Some("/evil.test/a?b".to_owned()), "no link to elsewhere");
        assert_eq!(at("/fhir", "/fhir///x"), Some("/x".to_owned()));
        assert_eq!(at("", "https://elsewhere.test/a"), Some("/a".to_owned()), "whatever host is named");
    }
}
