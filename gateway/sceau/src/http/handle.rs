//! One request: who asks, whether they may, the face's answer, the log.

use std::{sync::Arc, time::Instant};

use annuaire::{
    face::{Asked, Context, Operator, Refused, Response},
    fhir::{Publication, Publisher, Publishing},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    http::{request::Parts, uri::PathAndQuery},
};
use ident::StructureId;

use super::{
    Caller, Mounted, Site,
    caller::{known, strangers_welcome},
    headers,
};
use crate::{
    allowance::{Allowed, Peer},
    config::HttpLimits,
    gateway::Gateway,
    snapshot::Snapshot,
};

/// What the log says of a request.
struct Line {
    id: String,
    who: Option<String>,
    refused: Option<&'static str>,
    begun: Instant,
}

/// Answers one request; every way out has the same headers and a line in the log. What was asked is not logged: the
/// address of a search names people.
pub(super) async fn handle(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    caller: &Arc<Caller>,
    request: Request<Incoming>,
) -> hyper::Response<Full<Bytes>> {
    let mut line = Line { id: request_id(), who: None, refused: None, begun: Instant::now() };
    let method = request.method().clone();
    let found = site.mounts.iter().enumerate().find_map(|(at, it)| Some((at, below(&it.path, request.uri())?)));
    let Some((at, uri)) = found else {
        return nowhere(&line);
    };
    let Some(mounted) = site.mounts.get(at) else { return nowhere(&line) };
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    let snapshot = gateway.snapshot();
    let outcome = answer(site, gateway, caller, (at, &parts, body), &mut line).await;
    let retry_after = outcome.as_ref().err().and_then(|refused| refused.retry_after());
    let mut response = outcome.unwrap_or_else(|refused| refusal(mounted, refused, &parts, &snapshot, &mut line));
    headers::complete(&mut response, &line.id, retry_after);
    let asked = response.extensions().get::<Asked>().copied();
    tracing::info!(
        target: "sceau::access",
        request = %line.id,
        peer = %caller.address,
        who = line.who.as_deref().unwrap_or("-"),
        face = mounted.name,
        %method,
        kind = asked.map_or("-", |asked| asked.kind),
        answers = asked.map_or(0, |asked| asked.answers),
        status = response.status().as_u16(),
        refused = line.refused.unwrap_or("-"),
        generation = snapshot.generation.as_ref().map_or("-", |generation| generation.id()),
        ms = u64::try_from(line.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "directory asked"
    );
    response.map(|body| Full::new(Bytes::from(body)))
}

/// The same address without the path of the mount.
fn below(mount: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(mount)?;
    let path = match rest {
        "" => "/",
        rest if rest.starts_with('/') => rest,
        _ => return None,
    };
    let whole = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    Some(Uri::from(PathAndQuery::try_from(whole).ok()?))
}

async fn answer(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    caller: &Arc<Caller>,
    (at, parts, body): (usize, &Parts, Incoming),
    line: &mut Line,
) -> Result<Response, Refused> {
    let snapshot = gateway.snapshot();
    let limits = &snapshot.config.http.limits;
    let now = gateway.now();
    let guest = who(site, gateway, &snapshot, caller, line).await?;
    site.allowances.ask(&guest.peer, allowed(limits), now).map_err(|retry_after| Refused::TooMany { retry_after })?;
    let most = usize::try_from(limits.body.0).unwrap_or(usize::MAX);
    let body = tokio::time::timeout(limits.request.0, Limited::new(body, most).collect())
        .await
        .map_err(|_| Refused::TooSlow)?
        .map_err(|_| Refused::TooLarge)?
        .to_bytes();
    let mut request = Request::new(body.to_vec());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    // Whoever changes something decides on what is there, and nobody changes it meanwhile.
    let writes = parts.method == Method::PATCH;
    let locked = tokio::time::timeout(limits.request.0, site.publishing.lock());
    let _one_at_a_time = if writes { Some(locked.await.map_err(|_| Refused::Busy)?) } else { None };
    let mut response = think(site, limits.request.0, {
        let (site, snapshot) = (Arc::clone(site), gateway.snapshot());
        let structure = guest.structure.clone();
        move || {
            let mounted = site.mounts.get(at).ok_or(Refused::Failed)?;
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
        let kept = think(site, limits.request.0, move || gateway.publish(mailboxes)).await?;
        kept.map_err(|error| {
            tracing::error!(%error, "what was published could not be kept, and was refused");
            Refused::Failed
        })?;
    }
    let shown = response.extensions().get::<Asked>().map_or(0, |asked| asked.answers);
    if !guest.mirror {
        site.allowances.shown(&guest.peer, shown, allowed(limits), now);
    }
    Ok(response)
}

/// What one peer may have.
fn allowed(limits: &HttpLimits) -> Allowed {
    Allowed { requests_per_minute: limits.requests_per_minute, answers_per_hour: limits.answers_per_hour }
}

/// Who is answered.
struct Guest {
    /// Whose allowance it is.
    peer: Peer,
    /// May copy the directory.
    mirror: bool,
    /// The structure in its certificate.
    structure: Option<StructureId>,
}

impl Guest {
    fn stranger(peer: Peer) -> Self {
        Self { peer, mirror: false, structure: None }
    }
}

/// Whether anything is taken, and from whom.
fn publication<'a>(snapshot: &'a Snapshot, who: Option<&StructureId>) -> Option<Publication<'a>> {
    let publishers = &snapshot.config.http.publishers;
    let allowed = publishers.iter().find(|publisher| Some(&publisher.structure) == who);
    let publisher = allowed.map(|it| Publisher { structure: &it.structure, domains: &it.domains });
    (!publishers.is_empty()).then_some(Publication { so_far: &snapshot.published, publisher })
}

/// Who asks. Where the configuration wants certificates, nobody else is answered.
async fn who(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    caller: &Arc<Caller>,
    line: &mut Line,
) -> Result<Guest, Refused> {
    let (limits, now) = (&snapshot.config.http.limits, gateway.now());
    let address = Peer::at(caller.address);
    let welcome = strangers_welcome(snapshot);
    if welcome && caller.certificates.is_empty() {
        return Ok(Guest::stranger(address));
    }
    // As long as the connection lasts, it is asked again: a card may be revoked meanwhile.
    let (snapshot_of, caller) = (Arc::clone(snapshot), Arc::clone(caller));
    let judged = think(site, limits.request.0, move || known(&snapshot_of, &caller.certificates, now)).await?;
    match judged {
        Ok(known) => {
            line.who = Some(known.id);
            let mirrors = &snapshot.config.http.mirrors;
            let mirror = known.structure.as_ref().is_some_and(|own| mirrors.contains(own));
            Ok(Guest { peer: Peer::Known(known.fingerprint), mirror, structure: known.structure })
        }
        // A card that has run out shows no more than no card.
        Err(why) if welcome => {
            tracing::debug!(why, "an HTTP client is not known");
            Ok(Guest::stranger(address))
        }
        Err(why) => {
            tracing::debug!(why, "an HTTP client is not known");
            site.allowances
                .ask(&address, allowed(limits), now)
                .map_err(|retry_after| Refused::TooMany { retry_after })?;
            Err(Refused::NotKnown)
        }
    }
}

/// Runs what takes a processor on a thread that may block, a few at a time.
async fn think<T: Send + 'static>(
    site: &Arc<Site>,
    patience: std::time::Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let permit = tokio::time::timeout(patience, site.questions.acquire()).await.map_err(|_| Refused::Busy)?;
    let _permit = permit.map_err(|_| Refused::Failed)?;
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a request could not be answered");
        Refused::Failed
    })
}

fn refusal(mounted: &Mounted, refused: Refused, parts: &Parts, snapshot: &Snapshot, line: &mut Line) -> Response {
    line.refused = Some(refused.code());
    let mut response = mounted.face.refuse(refused, parts, operator(snapshot));
    *response.status_mut() = refused.status();
    response
}

fn operator(snapshot: &Snapshot) -> Operator<'_> {
    Operator { name: &snapshot.config.operator.name, help: &snapshot.config.operator.help }
}

/// Where no face is.
fn nowhere(line: &Line) -> hyper::Response<Full<Bytes>> {
    let text = "Rien à cette adresse. / Nothing at this address.\n";
    let mut response = annuaire::face::response("text/plain; charset=utf-8", text.as_bytes().to_vec());
    *response.status_mut() = StatusCode::NOT_FOUND;
    headers::complete(&mut response, &line.id, None);
    response.map(|body| Full::new(Bytes::from(body)))
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
        assert_eq!(at("", "https://elsewhere.test/a"), Some("/a".to_owned()), "whatever host is named");
    }
}
