//! What every face over HTTP gets and gives: functions from a request to a response. Sockets, TLS, limits, the
//! clock and the access log are `sceau`'s.

use std::sync::Arc;

use http::{StatusCode, header::HeaderValue, request::Parts};
use ident::{Bilingual, Timestamp};

use crate::{Generation, Registry};

/// A request whose body has come in whole, within the limits of the listener. The path of its URI is the one below
/// [`Context::mount`]: a face at `/fhir` that is asked for `/fhir/Practitioner` sees `/Practitioner`.
pub type Request = http::Request<Vec<u8>>;

/// A response. The listener adds the headers that all faces share, where the face has not set them itself.
pub type Response = http::Response<Vec<u8>>;

/// One way of asking the directory over HTTP.
pub trait Face: Send + Sync {
    /// Answers a request, within the work that the face gives one: a few questions of [`crate::WORK_LIMIT`] each.
    fn answer(&self, request: &Request, context: &Context<'_>) -> Response;

    /// Says in the face's own form what the listener refused before the face was asked; `mount` as in
    /// [`Context::mount`]. The listener sets the status ([`Refused::status`]) and `Retry-After`.
    fn refuse(&self, refused: Refused, request: &Parts, operator: Operator<'_>, mount: &str) -> Response;

    /// How many people and structures the answer may show at most, as far as the address tells: so many are taken from
    /// an allowance before the question is answered, and what is not shown is given back.
    fn most(&self, request: &Parts) -> usize;

    /// What is at this address without any data: a style sheet, a script. Given to whoever reaches the listener.
    fn file(&self, _request: &Parts) -> Option<Response> {
        None
    }
}

impl<F: Face + ?Sized> Face for Arc<F> {
    fn answer(&self, request: &Request, context: &Context<'_>) -> Response {
        (**self).answer(request, context)
    }

    fn refuse(&self, refused: Refused, request: &Parts, operator: Operator<'_>, mount: &str) -> Response {
        (**self).refuse(refused, request, operator, mount)
    }

    fn most(&self, request: &Parts) -> usize {
        (**self).most(request)
    }

    fn file(&self, request: &Parts) -> Option<Response> {
        (**self).file(request)
    }
}

/// Why the listener does not put a request before a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// More requests or more answers than one peer is given.
    TooMany {
        /// When to come back, in seconds.
        retry_after: u64,
    },
    /// No directory is loaded.
    NoData,
    /// Everything is busy.
    Busy,
    /// The body is too large.
    TooLarge,
    /// The request did not come whole in time.
    TooSlow,
    /// Only those who show a certificate of the trust space are answered.
    NotKnown,
    /// A fault of ours.
    Failed,
}

impl Refused {
    /// One of each.
    pub const ALL: [Self; 7] = [
        Self::TooMany { retry_after: 60 },
        Self::NoData,
        Self::Busy,
        Self::TooLarge,
        Self::TooSlow,
        Self::NotKnown,
        Self::Failed,
    ];

    /// The status of the response.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoData | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotKnown => StatusCode::FORBIDDEN,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// When to come back, in seconds, where that helps.
    pub const fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany { retry_after } => Some(retry_after),
            Self::NoData => Some(60),
            Self::Busy => Some(1),
            Self::TooLarge | Self::TooSlow | Self::NotKnown | Self::Failed => None,
        }
    }

    /// A stable word, for logs and programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too-many-requests",
            Self::NoData => "no-directory",
            Self::Busy => "busy",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::NotKnown => "certificate-required",
            Self::Failed => "failed",
        }
    }

    /// What is wrong and what to do, for people.
    pub fn text(self) -> Bilingual {
        match self {
            Self::TooMany { retry_after } => Bilingual::new(
                format!(
                    "Trop de demandes depuis ce poste ou ce réseau. Attendez {retry_after} s puis recommencez. \
                     L’annuaire se consulte, il ne se recopie pas par cette voie."
                ),
                format!(
                    "Too many requests from this machine or network. Wait {retry_after} s, then try again. The \
                     directory is here to be consulted, not to be copied this way."
                ),
            ),
            Self::NoData => Bilingual::new(
                "Aucun annuaire n’est chargé pour le moment. Réessayez dans une minute, puis prévenez l’exploitant.",
                "No directory is loaded at the moment. Try again in a minute, then tell the operator.",
            ),
            Self::Busy => Bilingual::new(
                "Le service est très sollicité. Réessayez dans quelques secondes.",
                "The service is very busy. Try again in a few seconds.",
            ),
            Self::TooLarge => {
                Bilingual::new("La demande est trop longue. Raccourcissez-la.", "The request is too long. Shorten it.")
            }
            Self::TooSlow => Bilingual::new(
                "La demande n’est pas arrivée entière à temps. Recommencez.",
                "The request did not arrive whole in time. Try again.",
            ),
            Self::NotKnown => Bilingual::new(
                "Cet annuaire ne répond qu’aux porteurs d’un certificat de l’espace de confiance en cours de validité : \
                 présentez votre carte ou le certificat de votre structure.",
                "This directory answers only holders of a valid certificate of the trust space: show your card or \
                 your structure’s certificate.",
            ),
            Self::Failed => Bilingual::new(
                "Une erreur est survenue chez nous. Réessayez ; si elle revient, donnez à l’exploitant le numéro de la \
                 demande.",
                "Something went wrong on our side. Try again; if it happens again, give the operator the number of \
                 the request.",
            ),
        }
    }
}

/// The world in which one request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The data in service. Hold on to it for this request only.
    pub generation: &'a Arc<Generation>,
    /// The operator's own mailboxes: what they add, and the red list.
    pub registry: Option<&'a Registry>,
    /// The present.
    pub now: Timestamp,
    /// Seals what the face hands out and wants back unchanged (page tokens). The same after a restart, never shown.
    pub secret: &'a [u8; 32],
    /// Scheme, host and port under which clients know us, as configured: `https://annuaire.ch-exemple.test`. No
    /// slash at the end; never taken from what a client says.
    pub origin: &'a str,
    /// Where the face is mounted: empty, or a path that begins with a slash and does not end with one.
    pub mount: &'a str,
    /// Who runs this gateway, and where a person can be reached.
    pub operator: Operator<'a>,
    /// What operators publish here, where that is taken.
    pub publication: Option<crate::fhir::Publication<'a>>,
}

/// Who answers for what is shown.
#[derive(Debug, Clone, Copy)]
pub struct Operator<'a> {
    /// Name.
    pub name: &'a str,
    /// Mail address, telephone number or page.
    pub help: &'a str,
    /// What an audit of the pages' accessibility has found, where there was one.
    pub audit: Option<&'a crate::web::Audit>,
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

/// Whom a response shows, by identifier; faces that are asked at each letter leave it among the response's extensions,
/// and who was shown to the same client a moment ago is not counted again. Never logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named(pub Vec<String>);

/// A response with a body of this type; the status is 200 until the face sets another.
pub fn response(media_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
