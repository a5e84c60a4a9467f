//! What every face over HTTP gets and gives: functions from a request to a response. Sockets, TLS, limits, the
//! clock and the access log are `sceau`'s.

use std::sync::Arc;

use http::header::HeaderValue;
use ident::Timestamp;

use crate::{Generation, Registry};

/// A request whose body has come in whole, within the limits of the listener. The path of its URI is the one below
/// [`Context::mount`]: a face at `/fhir` that is asked for `/fhir/Practitioner` sees `/Practitioner`.
pub type Request = http::Request<Vec<u8>>;

/// A response. The listener adds the headers that all faces share, where the face has not set them itself.
pub type Response = http::Response<Vec<u8>>;

/// The world in which one request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The data in service. Hold on to it for this request only.
    pub generation: &'a Arc<Generation>,
    /// The operator's own mailboxes: what they add, and the red list.
    pub registry: Option<&'a Registry>,
    /// The present.
    pub now: Timestamp,
    /// Seals what the face hands out and wants back unchanged (page tokens). The same for as long as the listener
    /// runs, never shown.
    pub secret: &'a [u8; 32],
    /// Scheme, host and port under which clients know us, as configured: `https://annuaire.ch-exemple.test`. No
    /// slash at the end; never taken from what a client says.
    pub origin: &'a str,
    /// Where the face is mounted: empty, or a path that begins with a slash and does not end with one.
    pub mount: &'a str,
    /// Who runs this gateway, and where a person can be reached.
    pub operator: Operator<'a>,
}

/// Who answers for what is shown.
#[derive(Debug, Clone, Copy)]
pub struct Operator<'a> {
    /// Name.
    pub name: &'a str,
    /// Mail address, telephone number or page.
    pub help: &'a str,
}

impl Context<'_> {
    /// The absolute address of a path below the face.
    pub fn address(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.mount)
    }
}

/// What a response says to the access log; faces leave it among the response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Kind of question, a fixed word: what was typed is never logged.
    pub kind: &'static str,
    /// How many people and structures were shown.
    pub answers: usize,
}

/// A response with a body of this type; the status is 200 until the face sets another.
pub fn response(media_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
