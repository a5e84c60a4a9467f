//! One HTTP/1.1 question and its answer (RFC 9110, 9112). No cookies, no decompression, no
//! connection kept; redirects are given back to the caller, who decides.

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::{Answer, Fault, Kind, Limits, Place, Request, Step, Tags, Wait, error::quoted, within};
use crate::net::wire::Wire;

/// Largest header of an answer.
const MAX_HEADER: usize = 16 * 1024;
/// Fields in the header of an answer.
const MAX_FIELDS: usize = 64;
/// Longest tag that is given back.
const MAX_TAG: usize = 256;

/// Drives the connection while we wait; ends with us.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn ask(stream: Wire, place: &Place, request: &Request<'_>, limits: &Limits) -> Result<Step, Fault> {
    let question = question(place, request)?;
    let begun = within(limits.first_octet, Wait::FirstOctet, begin(stream, question));
    let (answer, _driver) = begun.await?;
    match answer.status() {
        StatusCode::OK => read(answer, request).await.map(Step::Done),
        StatusCode::NOT_MODIFIED if request.held.is_some_and(|tags| !tags.is_empty()) => {
            Ok(Step::Done(Answer::Unchanged))
        }
        status if status.is_redirection() && request.question.is_none() => answer
            .headers()
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .map(|location| Step::Elsewhere(location.to_owned()))
            .ok_or(Fault::Status(status.as_u16())),
        status => Err(Fault::Status(status.as_u16())),
    }
}

fn question(place: &Place, request: &Request<'_>) -> Result<hyper::Request<Full<Bytes>>, Fault> {
    let mut builder = hyper::Request::builder()
        .method(match (request.question, request.kind) {
            (None, _) => Method::GET,
            (Some(_), Kind::FhirPatch) => Method::PATCH,
            (Some(_), _) => Method::POST,
        })
        .uri(place.target())
        .header(header::HOST, place.authority())
        .header(header::USER_AGENT, "sceau")
        .header(header::CONNECTION, "close")
        // A compressed answer could be a thousand times larger than what its limit says.
        .header(header::ACCEPT_ENCODING, "identity");
    if request.question.is_some() {
        let (question, answer) = request.kind.asked();
        builder = builder.header(header::CONTENT_TYPE, question).header(header::ACCEPT, answer);
    }
    if let Some(etag) = request.held.and_then(|tags| tags.etag.as_deref()) {
        builder = builder.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(modified) = request.held.and_then(|tags| tags.modified.as_deref()) {
        builder = builder.header(header::IF_MODIFIED_SINCE, modified);
    }
    let body = Full::new(Bytes::copy_from_slice(request.question.unwrap_or_default()));
    builder.body(body).map_err(|error| Fault::Protocol(error.to_string()))
}

async fn begin(stream: Wire, question: hyper::Request<Full<Bytes>>) -> Result<(Response<Incoming>, Driver), Fault> {
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_FIELDS)
        .max_buf_size(MAX_HEADER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| fault(&error))?;
    // How the connection itself ends is told by the answer and its body.
    let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
    let answer = sender.send_request(question).await.map_err(|error| fault(&error))?;
    Ok((answer, driver))
}

async fn read(answer: Response<Incoming>, request: &Request<'_>) -> Result<Answer, Fault> {
    let (head, mut body) = answer.into_parts();
    check(&head.headers, request)?;
    if body.size_hint().lower() > u64::try_from(request.most).unwrap_or(u64::MAX) {
        return Err(Fault::TooLarge(request.most));
    }
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| fault(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if octets.len().saturating_add(data.len()) > request.most {
            return Err(Fault::TooLarge(request.most));
        }
        octets.extend_from_slice(&data);
    }
    Ok(Answer::New { octets, tags: tags(&head.headers) })
}

/// What the header says about the body.
fn check(headers: &HeaderMap, request: &Request<'_>) -> Result<(), Fault> {
    for encoding in headers.get_all(header::CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(Fault::Encoded(quoted(encoding.as_bytes())));
        }
    }
    let Some(declared) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let media = declared.as_bytes().split(|octet| *octet == b';').next().unwrap_or_default();
    let media = quoted(media.trim_ascii()).to_ascii_lowercase();
    if request.kind.accepts(&media) { Ok(()) } else { Err(Fault::Type(media)) }
}

fn tags(headers: &HeaderMap) -> Tags {
    let tag = |name: HeaderName| {
        let text = headers.get(name).map(HeaderValue::to_str)?.ok()?;
        (text.len() <= MAX_TAG).then(|| text.to_owned())
    };
    Tags { etag: tag(header::ETAG), modified: tag(header::LAST_MODIFIED) }
}

fn fault(error: &hyper::Error) -> Fault {
    if error.is_incomplete_message() || error.is_body_write_aborted() {
        return Fault::Truncated;
    }
    // Hyper says "error reading a body" and keeps the reason as its source.
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match source {
        Some(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => Fault::Truncated,
        Some(io) => Fault::Protocol(io.to_string()),
        None => Fault::Protocol(error.to_string()),
    }
}
