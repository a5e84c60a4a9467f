//! The pages for monitoring, over HTTP on this machine: whether we live, whether we are ready, and gauges.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use super::{Readiness, metrics};
use crate::{gateway::Gateway, keys::watch::KeyGauges};

/// Connections at once; one more is closed.
const CONNECTIONS: usize = 16;
/// Longest that one may last.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most octets of a request's head.
const HEAD: usize = 16 * 1024;
/// Rest after a connection that could not be taken: it may be the lack of descriptors.
const REST: Duration = Duration::from_millis(100);

/// Answers until `stopping` turns true.
pub async fn serve(listener: TcpListener, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(REST).await;
            continue;
        };
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                connection(stream, &gateway).await;
                drop(permit);
            });
        }
    }
}

/// One request, one answer.
async fn connection(stream: TcpStream, gateway: &Gateway) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(gateway, request.method(), request.uri().path()))
    });
    let connection =
        http1::Builder::new().keep_alive(false).max_buf_size(HEAD).serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or dawdles is its own affair.
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}

fn answer(gateway: &Gateway, method: &Method, path: &str) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if ![Method::GET, Method::HEAD].contains(method) {
        let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/live" => page(StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/ready" => {
            let keys = KeyGauges::of(&gateway.snapshot(), gateway.now());
            let readiness = Readiness::of(gateway, &keys);
            let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            page(status, "application/json", serde_json::to_string(&readiness).unwrap_or_default())
        }
        "/metrics" => page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics::page(gateway)),
        _ => page(StatusCode::NOT_FOUND, TEXT, "/live, /ready, /metrics\n".to_owned()),
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text)));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    page.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
