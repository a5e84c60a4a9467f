//! The directory over HTTPS: a door with bounds, behind it the faces of `annuaire` (decision 0036).
//!
//! A face is a function from request to response. What is not its business is done here: TLS, connections, deadlines,
//! sizes, who may ask and how much, the headers that protect a browser, and the access log.

mod caller;
mod handle;
mod headers;
mod history;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use annuaire::{face::Face, fhir::Fhir};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::certificate::Certificate;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    allowance::Allowances,
    config::{Clients, Http, Loaded, Mount, Problem},
    gateway::Gateway,
    net::{
        places::{Places, Room},
        tls::{self, TlsFacts, TlsIdentity},
    },
};

/// Rest after a connection that could not be taken: it may be the lack of descriptors.
const REST: Duration = Duration::from_millis(250);
/// Most octets of a request's head; longer ones are answered 431.
const HEAD: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS: usize = 64;
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
    mounts: Vec<Mounted>,
    /// Wants to be told of other generations, where it is mounted.
    fhir: Option<Arc<Fhir>>,
    origin: String,
    secret: [u8; 32],
    allowances: Allowances,
    /// One publication at a time: each is decided on what the one before left.
    publishing: tokio::sync::Mutex<()>,
    /// Questions that are being answered at once: one per core, and never the mail's.
    questions: Semaphore,
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
            publishing: tokio::sync::Mutex::default(),
            questions: Semaphore::new(threads),
        };
        Ok(Self { listener, room, site })
    }

    /// Accepts until `stopping`, then waits for the requests that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
        let (places, site) = (Arc::new(Places::default()), Arc::new(self.site));
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
            // No place: closed at once. A browser tries again by itself, and TLS for everybody is what floods are for.
            let Some(place) = places.enter(peer.ip(), room) else { continue };
            let (site, gateway, stopping) = (Arc::clone(&site), Arc::clone(&gateway), stopping.clone());
            connections.spawn(async move {
                connection(stream, peer.ip(), site, gateway, stopping).await;
                drop(place);
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

/// The faces, the longest path first.
fn mounts(http: &Http, fhir: &Arc<Fhir>) -> Vec<Mounted> {
    let faces: [(&Mount, &'static str, Box<dyn Face>); 2] = [
        (&http.paths.web, "web", Box::new(annuaire::web::Web)),
        (&http.paths.fhir, "fhir", Box::new(Arc::clone(fhir))),
    ];
    let mut mounts: Vec<Mounted> = faces
        .into_iter()
        .filter_map(|(mount, name, face)| match mount {
            Mount::At(path) => Some(Mounted { path: path.clone(), name, face }),
            Mount::Off => None,
        })
        .collect();
    mounts.sort_by_key(|mounted| std::cmp::Reverse(mounted.path.len()));
    mounts
}

/// Who is at the other end of a connection.
struct Caller {
    address: IpAddr,
    certificates: Vec<Certificate>,
}

async fn connection(
    stream: TcpStream,
    address: IpAddr,
    site: Arc<Site>,
    gateway: Arc<Gateway>,
    mut stopping: watch::Receiver<bool>,
) {
    let snapshot = gateway.snapshot();
    let limits = snapshot.config.http.limits.clone();
    let Some(identity) = snapshot.http_tls.clone() else { return };
    drop(snapshot);
    let _ = stream.set_nodelay(true);
    let accepted = tokio::time::timeout(limits.request.0, identity.accept(stream)).await;
    let Ok(Ok(stream)) = accepted else { return };
    let certificates = TlsFacts::of(stream.ssl()).peer;
    let caller = Arc::new(Caller { address, certificates });
    let service = service_fn(|request: Request<Incoming>| {
        let (site, gateway, caller) = (Arc::clone(&site), Arc::clone(&gateway), Arc::clone(&caller));
        async move { Ok::<_, std::convert::Infallible>(handle::handle(&site, &gateway, &caller, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request.0)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off or dawdles is its own affair.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(limits.connection.0) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
}
