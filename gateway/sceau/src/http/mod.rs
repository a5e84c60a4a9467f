//! The directory over HTTPS: a door with bounds, behind it the faces of `annuaire` (decision 0036).
//!
//! A face is a function from request to response. What is not its business is done here: TLS, connections, deadlines,
//! sizes, who may ask and how much, the headers that protect a browser, and the access log.

mod caller;
mod flow;
mod guest;
mod handle;
mod headers;
mod history;
mod progress;
mod turns;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use annuaire::{face::Face, fhir::Fhir};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use self::caller::Caller;
use crate::{
    allowance::{Allowances, Allowed, Beside, Peer},
    config::{Clients, Http, HttpLimits, Loaded, Mount, Problem},
    gateway::Gateway,
    net::{
        crowd::{Crowd, Visit},
        octets::Octets,
        places::Room,
        tls::{self, TlsFacts, TlsIdentity},
    },
};

/// Rest after a connection that could not be taken: it may be the lack of descriptors.
const REST: Duration = Duration::from_millis(250);
/// Most octets of a request's head; longer ones are answered 431.
const HEAD: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS: usize = 64;
/// Connections that one peer may begin in a minute, where it may not ask twice as much: each costs a signature.
const HANDSHAKES: u32 = 600;
/// How long a connection whose time is up may go on answering what it was asked.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// The certificate that browsers are shown.
///
/// # Errors
/// A [`Problem`] that names the file.
pub(crate) fn identity(loaded: &Loaded) -> Result<TlsIdentity, Problem> {
    let (http, server) = (&loaded.config.http, &loaded.config.server);
    let certificate = http.certificate.as_ref().unwrap_or(&server.certificate);
    let key = http.key.as_ref().unwrap_or(&server.key);
    let clients = match http.clients {
        Clients::Anyone => tls::Clients::NotAsked,
        Clients::Optional | Clients::Certificate => tls::Clients::Asked,
    };
    TlsIdentity::load_for(clients, &loaded.path(certificate), &loaded.path(key))
}

/// A face and where it is.
struct Mounted {
    path: String,
    name: &'static str,
    face: Box<dyn Face>,
}

/// What all connections share.
struct Site {
    mounts: Vec<Arc<Mounted>>,
    /// Wants to be told of other generations, where it is mounted.
    fhir: Option<Arc<Fhir>>,
    origin: String,
    secret: [u8; 32],
    allowances: Allowances,
    /// What is held for those who have not read it.
    octets: Arc<Octets>,
    /// One publication at a time: each is decided on what the one before left.
    publishing: tokio::sync::Mutex<()>,
    /// Questions that are being answered at once: one per core, and never the mail's.
    questions: Arc<turns::Turns>,
}

/// The port, bound.
pub struct Door {
    listener: TcpListener,
    room: usize,
    site: Site,
}

impl Door {
    /// Binds it; it will take no more than `room` connections at once.
    ///
    /// # Errors
    /// Those of the system, with the address in the text.
    pub async fn bind(at: SocketAddr, room: usize, gateway: &Gateway) -> io::Result<Self> {
        let listener = TcpListener::bind(at)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("http.listen {at}: {error}")))?;
        let snapshot = gateway.snapshot();
        let http = &snapshot.config.http;
        let port = listener.local_addr()?.port();
        let origin = http.origin.clone().unwrap_or_else(|| match port {
            443 => format!("https://{}", snapshot.config.server.hostname),
            port => format!("https://{}:{port}", snapshot.config.server.hostname),
        });
        let secret = *gateway.secrets.pages()?;
        let fhir = Arc::new(Fhir::new(http.fhir.settings()));
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let site = Site {
            mounts: mounts(http, &fhir),
            fhir: (http.paths.fhir != Mount::Off).then_some(fhir),
            origin,
            secret,
            allowances: Allowances::default(),
            octets: Arc::default(),
            publishing: tokio::sync::Mutex::default(),
            questions: Arc::new(turns::Turns::new(threads)),
        };
        Ok(Self { listener, room, site })
    }

    /// Accepts until `stopping`, then waits for the requests that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
        let (crowd, site) = (Arc::new(Crowd::default()), Arc::new(self.site));
        let mut connections = JoinSet::new();
        if let Some(fhir) = &site.fhir {
            connections.spawn(history::keep(Arc::clone(fhir), Arc::clone(&gateway), stopping.clone()));
        }
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(_) = connections.join_next() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let limits = gateway.snapshot().config.http.limits.clone();
            let room = Room { all: limits.connections.min(self.room), each: limits.connections_per_peer };
            // No place, or too many beginnings: closed at once. A browser tries again by itself, and TLS for everybody
            // is what floods are for.
            let beginning = Peer::beside(Beside::Handshake, peer.ip());
            if site.allowances.ask(&beginning, handshakes(&limits), gateway.now()).is_err() {
                continue;
            }
            let Some(seated) = crowd.enter(peer.ip(), room, Instant::now()) else { continue };
            let (site, gateway, stopping) = (Arc::clone(&site), Arc::clone(&gateway), stopping.clone());
            connections.spawn(async move {
                connection(stream, peer.ip(), site, gateway, &seated.visit, stopping).await;
                drop(seated);
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

/// The faces, the longest path first.
fn mounts(http: &Http, fhir: &Arc<Fhir>) -> Vec<Arc<Mounted>> {
    let faces: [(&Mount, &'static str, Box<dyn Face>); 2] = [
        (&http.paths.web, "web", Box::new(annuaire::web::Web)),
        (&http.paths.fhir, "fhir", Box::new(Arc::clone(fhir))),
    ];
    let mut mounts: Vec<Arc<Mounted>> = faces
        .into_iter()
        .filter_map(|(mount, name, face)| match mount {
            Mount::At(path) => Some(Arc::new(Mounted { path: path.clone(), name, face })),
            Mount::Off => None,
        })
        .collect();
    mounts.sort_by_key(|mounted| std::cmp::Reverse(mounted.path.len()));
    mounts
}

/// What one peer may begin: enough that who asks too much, each time anew, is told so.
fn handshakes(limits: &HttpLimits) -> Allowed {
    let requests_per_minute = limits.requests_per_minute.saturating_mul(2).max(HANDSHAKES);
    Allowed { requests_per_minute, answers_per_hour: limits.answers_per_hour }
}

async fn connection(
    stream: TcpStream,
    address: IpAddr,
    site: Arc<Site>,
    gateway: Arc<Gateway>,
    visit: &Arc<Visit>,
    mut stopping: watch::Receiver<bool>,
) {
    let snapshot = gateway.snapshot();
    let limits = snapshot.config.http.limits.clone();
    let Some(identity) = snapshot.http_tls.clone() else { return };
    drop(snapshot);
    let _ = stream.set_nodelay(true);
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(limits.request.0, identity.accept(stream)) => accepted,
        () = visit.has_to_leave() => return,
    };
    let Ok(Ok(stream)) = accepted else { return };
    let caller = Arc::new(Caller::new(address, TlsFacts::of(stream.ssl()).peer));
    let service = service_fn(|request: Request<Incoming>| {
        let (site, gateway, caller) = (Arc::clone(&site), Arc::clone(&gateway), Arc::clone(&caller));
        let busy = visit.busy();
        async move {
            let answer = handle::handle(&site, &gateway, &caller, request).await;
            Ok::<_, std::convert::Infallible>(answer.map(|answer| answer.with(busy)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request.0)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(progress::Progress::new(stream, limits.unread.0)), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off or dawdles is its own affair.
        _ = connection.as_mut() => return,
        () = visit.has_to_leave() => return,
        () = tokio::time::sleep(limits.connection.0) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
}
